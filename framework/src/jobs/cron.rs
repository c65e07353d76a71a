//! Timetables in the five fields of `cron`, in UTC or at a fixed distance from it.
//!
//! Minutes since 1970 go in and out, so there is no clock here.

use std::fmt;
use std::str::FromStr;

/// When something happens again and again: the five fields of `crontab`, and where wanted a distance from UTC.
///
/// ```text
/// minute 0-59   hour 0-23   day of the month 1-31   month 1-12 or jan-dec   day of the week 0-7 or sun-sat
/// ```
///
/// Each field is `*`, a number, a range `1-5`, a list `1,3,5-7`, or any of these with a step: `*/15`. If both days are
/// limited, one of them suffices, as in `cron`. `0 3 * * *` is 3:00 UTC each day; `0 3 * * * +02:00` is 3:00 two hours
/// east of it. There is no daylight saving time.
///
/// ```
/// use kirsch::jobs::Cron;
///
/// assert!("*/15 9-17 * * mon-fri".parse::<Cron>().is_ok());
/// assert_eq!("0 24 * * *".parse::<Cron>().unwrap_err().to_string(), "hour: 24 is not in 0-23");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    either_day: bool,
    /// Minutes east of UTC.
    offset: i64,
}

/// Why a text is not a timetable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError(String);

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CronError {}

struct Field {
    name: &'static str,
    first: u8,
    last: u8,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, names: &[] },
    Field { name: "hour", first: 0, last: 23, names: &[] },
    Field { name: "day of the month", first: 1, last: 31, names: &[] },
    Field { name: "month", first: 1, last: 12, names: &MONTHS },
    Field { name: "day of the week", first: 0, last: 7, names: &WEEKDAYS },
];

const MINUTES_OF_DAY: i64 = 24 * 60;
/// Any day comes within so many days: 29 February, across a century without one.
const LONGEST: i64 = 8 * 366 + 1;

impl Cron {
    /// The first minute after this one.
    #[must_use]
    pub fn after(&self, minute: u64) -> Option<u64> {
        let local = i64::try_from(minute).ok()?.checked_add(self.offset)?;
        let (day, of_day) = (local.div_euclid(MINUTES_OF_DAY), local.rem_euclid(MINUTES_OF_DAY));
        (day..day + LONGEST).find_map(|other| {
            let begin = if other == day { of_day + 1 } else { 0 };
            let found = self.has_day(other).then(|| (begin..MINUTES_OF_DAY).find(|at| self.has_time(*at)))??;
            self.in_utc(other, found)
        })
    }

    /// The last minute that is not after this one.
    #[must_use]
    pub fn until(&self, minute: u64) -> Option<u64> {
        let local = i64::try_from(minute).ok()?.checked_add(self.offset)?;
        let (day, of_day) = (local.div_euclid(MINUTES_OF_DAY), local.rem_euclid(MINUTES_OF_DAY));
        (0..LONGEST).find_map(|ago| {
            let end = if ago == 0 { of_day } else { MINUTES_OF_DAY - 1 };
            let found = self.has_day(day - ago).then(|| (0..=end).rev().find(|at| self.has_time(*at)))??;
            self.in_utc(day - ago, found)
        })
    }

    fn in_utc(&self, day: i64, of_day: i64) -> Option<u64> {
        u64::try_from(day * MINUTES_OF_DAY + of_day - self.offset).ok()
    }

    fn has_time(&self, of_day: i64) -> bool {
        has(self.hours, of_day / 60) && has(self.minutes, of_day % 60)
    }

    fn has_day(&self, day: i64) -> bool {
        let (month, of_month) = month_and_day(day);
        // 1 January 1970 was a Thursday.
        let (of_month, of_week) = (has(self.days, of_month), has(self.weekdays, (day + 4).rem_euclid(7)));
        has(self.months, month) && if self.either_day { of_month || of_week } else { of_month && of_week }
    }
}

fn has(set: u64, number: i64) -> bool {
    set & (1 << number) != 0
}

/// Month and day of the month of a day since 1970, after Howard Hinnant's `civil_from_days`.
fn month_and_day(day: i64) -> (i64, i64) {
    let day_of_era = (day + 719_468).rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    (if month < 10 { month + 3 } else { month - 9 }, day_of_year - (153 * month + 2) / 5 + 1)
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let offset = match parts.len() {
            5 => 0,
            6 => offset(parts[5])?,
            count => return Err(CronError(format!("there are five fields and a distance from UTC, not {count}"))),
        };
        let mut sets = [0; 5];
        for ((set, field), part) in sets.iter_mut().zip(&FIELDS).zip(&parts) {
            *set = field.set(part)?;
        }
        let [minutes, hours, days, months, mut weekdays] = sets;
        // Sunday is 0 and 7.
        weekdays = (weekdays | weekdays >> 7) & 0x7f;
        let either_day = !parts[2].starts_with('*') && !parts[4].starts_with('*');
        let cron = Self { minutes, hours, days, months, weekdays, either_day, offset };
        if cron.after(0).is_none() {
            return Err(CronError("there is no such day".to_owned()));
        }
        Ok(cron)
    }
}

impl Field {
    fn set(&self, text: &str) -> Result<u64, CronError> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    fn part(&self, text: &str) -> Result<u64, CronError> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => match step.parse::<u8>() {
                Ok(step) if step > 0 => (range, Some(step)),
                _ => return Err(self.refuse(format!("{step:?} is not a step"))),
            },
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None => {
                let first = self.number(range)?;
                (first, if step.is_some() { self.last } else { first })
            }
        };
        if first > last {
            return Err(self.refuse(format!("{range} goes backwards")));
        }
        Ok((first..=last).step_by(step.unwrap_or(1).into()).fold(0, |set, number| set | 1 << number))
    }

    fn number(&self, text: &str) -> Result<u8, CronError> {
        if let Some(index) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(self.first + u8::try_from(index).unwrap_or(0));
        }
        let number = text.parse::<u8>().map_err(|_| self.refuse(format!("{text:?} is not a number")))?;
        let is_inside = (self.first..=self.last).contains(&number);
        if is_inside {
            Ok(number)
        } else {
            Err(self.refuse(format!("{number} is not in {}-{}", self.first, self.last)))
        }
    }

    fn refuse(&self, problem: impl fmt::Display) -> CronError {
        CronError(format!("{}: {problem}", self.name))
    }
}

/// Minutes of `+02:00`, `-5:30`, `Z` or `UTC`.
fn offset(text: &str) -> Result<i64, CronError> {
    let refuse = || CronError(format!("{text:?} is not a distance from UTC, such as +02:00"));
    if matches!(text, "Z" | "UTC") {
        return Ok(0);
    }
    let sign = match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(refuse()),
    };
    let (hours, minutes) = text[1..].split_once(':').ok_or_else(refuse)?;
    match (hours.parse::<u8>(), minutes.parse::<u8>()) {
        (Ok(hours), Ok(minutes)) if hours <= 14 && minutes < 60 => {
            Ok(sign * (i64::from(hours) * 60 + i64::from(minutes)))
        }
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes since 1970 of a moment of 2024, a leap year whose 1 January was a Monday.
    fn at(month: i64, day: i64, hour: i64, minute: i64) -> u64 {
        let days_before = [0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335];
        let days = 19_723 + days_before[usize::try_from(month - 1).unwrap()] + day - 1;
        u64::try_from(days * MINUTES_OF_DAY + hour * 60 + minute).unwrap()
    }

    #[test]
    fn the_next_and_the_last_minute_are_found() {
        let table = [
            ("* * * * *", at(1, 1, 0, 0), at(1, 1, 0, 1)),
            ("*/15 * * * *", at(1, 1, 0, 50), at(1, 1, 1, 0)),
            ("5/20 * * * *", at(1, 1, 0, 26), at(1, 1, 0, 45)),
            ("0 3 * * *", at(2, 28, 3, 0), at(2, 29, 3, 0)),
            ("0 0 29 2 *", at(1, 1, 0, 0), at(2, 29, 0, 0)),
            ("30 9-17/4 * * mon-fri", at(1, 5, 17, 31), at(1, 8, 9, 30)),
            ("0 12 * * 7", at(1, 1, 0, 0), at(1, 7, 12, 0)),
            ("0 12 * * SUN", at(1, 1, 0, 0), at(1, 7, 12, 0)),
            ("0 0 13 * fri", at(1, 1, 0, 0), at(1, 5, 0, 0)),
            ("0 0 13 * fri", at(1, 12, 0, 0), at(1, 13, 0, 0)),
            ("0 0 1 jan *", at(1, 1, 0, 0), at(12, 31, 0, 0) + 1440),
            ("0 3 * * * +02:00", at(1, 1, 0, 0), at(1, 1, 1, 0)),
            ("0 22 * * 1 -03:30", at(1, 1, 12, 0), at(1, 2, 1, 30)),
        ];
        for (text, now, next) in table {
            let cron: Cron = text.parse().unwrap();
            assert_eq!(cron.after(now), Some(next), "{text}");
            assert_eq!(cron.until(next), Some(next), "{text}");
            assert!(cron.until(next - 1).unwrap() <= now, "{text}: nothing is between");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let table = [
            ("", "five fields"),
            ("* * * *", "not 4"),
            ("60 * * * *", "minute: 60 is not in 0-59"),
            ("* * 0 * *", "day of the month: 0"),
            ("* * * foo *", "month: \"foo\""),
            ("*/0 * * * *", "not a step"),
            ("5-1 * * * *", "backwards"),
            ("0 0 30 2 *", "no such day"),
            ("* * * * * 2", "distance"),
            ("* * * * * +15:00", "distance"),
            ("-1 * * * *", "minute"),
            ("1,, * * * *", "minute"),
        ];
        for (text, problem) in table {
            let error = text.parse::<Cron>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
    }
}
