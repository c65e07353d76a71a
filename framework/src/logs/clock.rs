//! The time of day as logs write it.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECONDS_OF_A_DAY: u64 = 24 * 3600;

/// Prints a time as `21/Nov/2026:01:02:03 +0000`, always in UTC. Times before 1970 print as its first second.
pub(crate) struct ClockTime(pub(crate) SystemTime);

impl std::fmt::Display for ClockTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (year, month, day) = date(seconds / SECONDS_OF_A_DAY);
        let second = seconds % SECONDS_OF_A_DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let month = MONTHS[month];
        write!(f, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
    }
}

/// Prints a time as `2026-11-21T01:02:03.000042Z` (RFC 3339), in UTC with microseconds.
pub(crate) struct Timestamp(pub(crate) SystemTime);

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        let (mut of, mut text) = LAST_SECOND.get();
        if of != seconds {
            let (year, month, day) = date(seconds / SECONDS_OF_A_DAY);
            let second = seconds % SECONDS_OF_A_DAY;
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            let month = month + 1;
            let written = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
            let short = written.as_bytes().first_chunk().copied();
            (of, text) = (seconds, short.unwrap_or(FIRST_SECOND));
            LAST_SECOND.set((of, text));
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())?;
        write!(f, ".{:06}Z", since.subsec_micros())
    }
}

const FIRST_SECOND: [u8; 19] = *b"1970-01-01T00:00:00";

thread_local! {
    /// Most records of a thread follow others of the same second.
    static LAST_SECOND: Cell<(u64, [u8; 19])> = const { Cell::new((0, FIRST_SECOND)) };
}

/// The day since 1970-01-01, in UTC.
pub(crate) fn day(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) / SECONDS_OF_A_DAY
}

/// Year, month from 0 and day from 1 of a day since 1970-01-01. A year is counted from March, so that the leap day is
/// its last; the months from there on follow the line (153 m + 2) / 5 (Howard Hinnant, "chrono-compatible low-level
/// date algorithms").
fn date(day: u64) -> (u64, usize, u64) {
    let day = day + 719_468;
    let era = day / 146_097;
    let day_of_era = day % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 2 } else { from_march - 10 };
    let year = year_of_era + era * 400 + u64::from(month < 2);
    (year, usize::try_from(month).unwrap_or_default(), day_of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_written_in_utc() {
        let table = [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (951_782_399, "28/Feb/2000:23:59:59 +0000"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000"),
            (1_735_689_599, "31/Dec/2024:23:59:59 +0000"),
            (1_795_222_923, "21/Nov/2026:01:02:03 +0000"),
            (4_107_542_400, "01/Mar/2100:00:00:00 +0000"),
        ];
        for (second, text) in table {
            assert_eq!(ClockTime(UNIX_EPOCH + Duration::from_secs(second)).to_string(), text);
        }
    }
}
