//! Durations and sizes, with the units in which files have them.

use super::{SettingValue, shown, wrong};
use std::time::Duration;

/// Longest duration that may be set: added to any clock it stays representable.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

const DURATION_UNITS: [(&str, u32); 5] = [("s", 1), ("min", 60), ("m", 60), ("h", 3600), ("d", 24 * 3600)];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1000 * 1000),
    ("GB", 1000 * 1000 * 1000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("", 1),
];

pub(super) fn read_duration(value: &SettingValue) -> Result<Duration, String> {
    let refused = || wrong(value, "a duration with its unit, as \"250ms\", \"20s\", \"5m\", \"2h\" or \"7d\"");
    let (number, unit) = value.as_str().and_then(number_and_unit).ok_or_else(refused)?;
    let duration = if unit == "ms" {
        Some(Duration::from_millis(number))
    } else {
        let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
        Duration::from_secs(number).checked_mul(*factor)
    };
    duration
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| format!("is {}; the longest is \"36500d\"", shown(value)))
}

/// A duration as a file has it, in the largest unit that says it exactly.
pub(super) fn show_duration(duration: Duration) -> String {
    if duration.subsec_nanos() != 0 {
        return format!("{}ms", duration.as_millis());
    }
    let seconds = duration.as_secs();
    let fits = |(_, factor): &&(&str, u32)| seconds != 0 && seconds.is_multiple_of(u64::from(*factor));
    let (unit, factor) = DURATION_UNITS.iter().rev().find(fits).unwrap_or(&DURATION_UNITS[0]);
    format!("{}{unit}", seconds / u64::from(*factor))
}

/// Sizes in bytes, alone or with a unit: the form of `#[setting(size)]`.
pub mod size {
    use super::{SIZE_UNITS, SettingValue, number_and_unit, shown, wrong};

    /// A size out of a file: `65536`, `"64 KiB"`, `"100 MiB"`, `"1 GB"`.
    ///
    /// # Errors
    /// When the value is something else, or more than the number can count.
    pub fn read<T: TryFrom<u64>>(value: &SettingValue) -> Result<T, String> {
        let refused = || wrong(value, "a number of bytes or a size with its unit, as 65536, \"64 KiB\" or \"100 MiB\"");
        let too_large = || format!("is {}, more than can be counted", shown(value));
        let bytes = match value.as_integer() {
            Some(bytes) => u64::try_from(bytes).map_err(|_| refused())?,
            None => {
                let (number, unit) = value.as_str().and_then(number_and_unit).ok_or_else(refused)?;
                let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
                number.checked_mul(*factor).ok_or_else(too_large)?
            }
        };
        T::try_from(bytes).map_err(|_| too_large())
    }

    /// A size as a file has it, in the largest unit that says it exactly.
    #[must_use]
    pub fn show<T: TryInto<u64> + Copy>(bytes: &T) -> String {
        const EXACT: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        const ROUND: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
        let bytes: u64 = (*bytes).try_into().unwrap_or(u64::MAX);
        let exact = EXACT.iter().find(|(_, shift)| bytes != 0 && bytes.is_multiple_of(1 << shift));
        let round = || ROUND.iter().find(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor));
        match exact {
            Some((unit, shift)) => format!("\"{} {unit}\"", bytes >> shift),
            None => match round() {
                Some((unit, factor)) => format!("\"{} {unit}\"", bytes / factor),
                None => format!("\"{bytes} B\""),
            },
        }
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::Table;

    fn value(text: &str) -> SettingValue {
        format!("key = {text}").parse::<Table>().expect("a line of TOML")["key"].clone()
    }

    #[test]
    fn durations_carry_their_unit() {
        let table = [
            (r#""250ms""#, Duration::from_millis(250)),
            (r#""20s""#, Duration::from_secs(20)),
            (r#""5m""#, Duration::from_secs(300)),
            (r#""2 h""#, Duration::from_secs(7200)),
            (r#""5 min""#, Duration::from_secs(300)),
            (r#""7d""#, Duration::from_secs(604_800)),
            (r#""0s""#, Duration::ZERO),
        ];
        for (text, expected) in table {
            assert_eq!(read_duration(&value(text)), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_no_duration() {
        let expected = "it must be a duration with its unit, as \"250ms\", \"20s\", \"5m\", \"2h\" or \"7d\"";
        for text in ["5", "\"5\"", "5.5", "true", "\"m\"", "\"-5m\"", "\"5 minutes\"", "\"5M\""] {
            assert_eq!(read_duration(&value(text)), Err(format!("is {text}; {expected}")));
        }
    }

    #[test]
    fn a_duration_that_no_clock_can_add_is_refused() {
        let refused = "is \"999999999d\"; the longest is \"36500d\"".to_owned();
        assert_eq!(read_duration(&value("\"999999999d\"")), Err(refused));
        assert!(read_duration(&value("\"18446744073709551615d\"")).is_err());
        assert!(read_duration(&value("\"99999999999999999999s\"")).is_err());
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        let table = [
            ("65536", 65536),
            ("\"64 KiB\"", 65536),
            ("\"100MiB\"", 100 << 20),
            ("\"2 GB\"", 2_000_000_000),
            ("\"512\"", 512),
        ];
        for (text, expected) in table {
            assert_eq!(size::read::<u64>(&value(text)), Ok(expected), "{text}");
        }
        for text in ["-1", "\"10 M\"", "\"x\"", "1.5", "\"99999999999 GiB\""] {
            assert!(size::read::<u64>(&value(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_that_the_field_cannot_count_is_refused() {
        let refused = "is \"1 TiB\", more than can be counted".to_owned();
        assert_eq!(size::read::<u32>(&value("\"1 TiB\"")), Err(refused));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["250ms", "90s", "5m", "2h", "7d", "0s"] {
            let read = read_duration(&SettingValue::from(text)).expect("a duration");
            assert_eq!(show_duration(read), text);
        }
        for text in ["\"100 MiB\"", "\"999 B\"", "\"0 B\"", "\"3 GiB\"", "\"100 kB\"", "\"10 MB\""] {
            assert_eq!(size::show(&size::read::<u64>(&value(text)).expect("a size")), text);
        }
    }
}
