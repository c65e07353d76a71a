//! The Date field, rendered once a second. The time of day comes in as an argument.

use httpdate::HttpDate;
use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

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

    /// The date of `unix_second` as IMF-fixdate (RFC 9110, section 5.6.7): 29 bytes, always in GMT. A clock that jumps, in either
    /// direction, is followed; beyond the year 9999 the last date that the format can say is shown.
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
    fn a_broken_clock_is_harmless() {
        assert_eq!(DateCache::new().render(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
