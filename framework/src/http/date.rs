//! Dates of HTTP (RFC 9110, section 5.6.7): written in the one form, read in all three. The time of day comes in as an
//! argument.

use httpdate::HttpDate;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A date as fields have it, written out: `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedDate([u8; 29]);

impl FixedDate {
    /// The date of `time`, in whole seconds; the nearest that the format can say.
    #[must_use]
    pub fn of(time: SystemTime) -> Self {
        let second = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self(*DateCache::new().render(second))
    }

    /// Its text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }
}

/// Reads a date in any of the three forms. The case of letters means nothing, spaces around it are passed over. A year
/// of two digits that would be more than 50 years after `now` is one of the century before.
///
/// ```
/// use kirsch::http::parse_date;
/// use std::time::{Duration, SystemTime, UNIX_EPOCH};
///
/// let date = Some(UNIX_EPOCH + Duration::from_secs(784_111_777));
/// for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "sunday, 06-nov-94 08:49:37 gmt", "SUN NOV  6 08:49:37 1994"] {
///     assert_eq!(parse_date(text.as_bytes(), SystemTime::now()), date);
/// }
/// ```
#[must_use]
pub fn parse_date(text: &[u8], now: SystemTime) -> Option<SystemTime> {
    // `Wednesday, 06-Nov-94 08:49:37 GMT` is the longest.
    const LONGEST: usize = 33;
    let text = text.trim_ascii();
    let mut buffer = [0; LONGEST];
    let words = buffer.get_mut(..text.len())?;
    words.copy_from_slice(text);
    let mut is_first = true;
    for byte in &mut *words {
        *byte = if is_first { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        is_first = !byte.is_ascii_alphabetic();
    }
    if words.ends_with(b" Gmt") {
        let zone = words.len() - 2;
        words[zone..].make_ascii_uppercase();
    }
    let words = std::str::from_utf8(words).ok()?;
    let Some((date, time)) = words
        .split_once(", ")
        .map(|(_, rest)| rest)
        .filter(|rest| rest.as_bytes().get(2) == Some(&b'-'))
        .and_then(|rest| rest.split_once(' '))
    else {
        return httpdate::parse_http_date(words).ok();
    };
    let (day_and_month, year) = date.rsplit_once('-').filter(|(_, year)| year.len() == 2)?;
    let (day, month) = day_and_month.split_once('-')?;
    let in_century = |century: u64| {
        httpdate::parse_http_date(&format!("{}, {day} {month} {century}{year} {time}", &words[..3])).ok()
    };
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let this_century = year_of(seconds) / 100;
    let date = in_century(this_century);
    date.filter(|date| *date <= now + FIFTY_YEARS).or_else(|| in_century(this_century - 1))
}

/// The year of a second, near enough for its century.
fn year_of(second: u64) -> u64 {
    1970 + second / SECONDS_OF_A_YEAR
}

/// 365.2425 days.
const SECONDS_OF_A_YEAR: u64 = 31_556_952;
const FIFTY_YEARS: Duration = Duration::from_secs(50 * SECONDS_OF_A_YEAR);

/// Keeps the last rendered date.
///
/// ```
/// let mut date = kirsch::http::DateCache::new();
/// assert_eq!(date.render(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[derive(Debug)]
pub struct DateCache {
    /// The second that `text` shows; `None` before the first.
    second: Option<u64>,
    text: [u8; 29],
}

impl DateCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self { second: None, text: [b' '; 29] }
    }

    /// The date of `unix_second` as IMF-fixdate (RFC 9110, section 5.6.7): 29 bytes, always in GMT. A clock that jumps,
    /// in either direction, is followed; beyond the year 9999 the last date that the format can say is shown.
    pub fn render(&mut self, unix_second: u64) -> &[u8; 29] {
        if self.second != Some(unix_second) {
            let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(unix_second.min(LAST_SECOND)));
            write!(&mut self.text[..], "{date}").expect("an IMF-fixdate has 29 bytes");
            self.second = Some(unix_second);
        }
        &self.text
    }
}

impl Default for DateCache {
    fn default() -> Self {
        Self::new()
    }
}

/// Fri, 31 Dec 9999 23:59:59 GMT.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_followed() {
        let mut date = DateCache::new();
        assert_eq!(date.render(1), b"Thu, 01 Jan 1970 00:00:01 GMT");
        assert_eq!(date.render(951_782_400), b"Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date.render(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn all_three_forms_are_read_in_any_case() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let read = |text: &str| parse_date(text.as_bytes(), now).map(|date| *FixedDate::of(date).as_bytes());
        let table = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("sun, 06 nov 1994 08:49:37 gmt", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("SUN, 06 NOV 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
            (" \tSun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("SUNDAY, 06-NOV-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("wednesday, 15-nov-23 00:00:00 gmt", "Wed, 15 Nov 2023 00:00:00 GMT"),
            ("Sunday, 01-Jan-73 00:00:00 GMT", "Sun, 01 Jan 2073 00:00:00 GMT"),
            ("Tuesday, 01-Jan-74 00:00:00 GMT", "Tue, 01 Jan 1974 00:00:00 GMT"),
            ("Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("WED nov 16 08:49:37 1994", "Wed, 16 Nov 1994 08:49:37 GMT"),
        ];
        for (text, expected) in table {
            assert_eq!(read(text).as_ref().map(|date| &date[..]), Some(expected.as_bytes()), "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "Sun",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
            "Sünday, 06-Nov-94 08:49:37 GMT",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_broken_clock_is_harmless() {
        assert_eq!(DateCache::new().render(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
