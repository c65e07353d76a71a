//! Settings in configuration files: typed values out of TOML, and the messages when they are wrong.
//!
//! The rules: a duration has a unit (`"5m"`), since one reader takes a bare number for minutes and the next for
//! seconds. A size is a number of bytes or has a unit (`"100 MiB"`). An unknown key is an error with a suggestion. A
//! tool reads its own settings with a [`SettingReader`]; the server's and the paths' tables in `config/` use the same
//! functions.

use crate::suggestion::suggestion;
use std::collections::BTreeMap;
use std::time::Duration;
use toml::{Table, Value};

/// Why a setting was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The key within its tool or group.
    pub key: String,
    /// The mistake, and the right form.
    pub problem: String,
}

impl SettingError {
    /// The key is there, its value will not do.
    #[must_use]
    pub fn new(key: &str, problem: impl Into<String>) -> Self {
        Self { key: key.to_owned(), problem: problem.into() }
    }

    /// The key does not exist; suggests the most similar of `known`.
    #[must_use]
    pub fn unknown(key: &str, known: &[&str]) -> Self {
        Self::new(key, format!("is not a setting; {}", suggestion(key, known)))
    }
}

impl std::fmt::Display for SettingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {}", self.key, self.problem)
    }
}

impl std::error::Error for SettingError {}

/// Reads the settings of a tool from its table, key by key, and refuses the rest.
///
/// ```
/// use kirsch::lifecycle::{SettingError, SettingReader, SettingTable};
/// use std::time::Duration;
///
/// fn configure(settings: &SettingTable) -> Result<(Duration, bool), SettingError> {
///     let (mut timeout, mut secure) = (Duration::from_secs(3600), false);
///     let mut reader = SettingReader::new(settings);
///     reader.duration("timeout", &mut timeout)?;
///     reader.flag("secure", &mut secure)?;
///     reader.finish()?;
///     Ok((timeout, secure))
/// }
///
/// let table = r#"timeout = "30m""#.parse().unwrap();
/// assert_eq!(configure(&table), Ok((Duration::from_secs(1800), false)));
///
/// let typo = r#"time_out = "30m""#.parse().unwrap();
/// assert_eq!(configure(&typo).unwrap_err().to_string(), "`time_out` is not a setting; did you mean `timeout`?");
/// ```
#[derive(Debug)]
pub struct SettingReader<'t> {
    table: &'t Table,
    known: Vec<&'static str>,
}

impl<'t> SettingReader<'t> {
    /// A reader of `table`.
    #[must_use]
    pub fn new(table: &'t Table) -> Self {
        Self { table, known: Vec::new() }
    }

    /// A duration with its unit: `"250ms"`, `"20s"`, `"5m"`, `"2h"`, `"7d"`.
    ///
    /// # Errors
    /// When the value is there and is something else; so for all readers below.
    pub fn duration(&mut self, key: &'static str, into: &mut Duration) -> Result<(), SettingError> {
        self.read(key, into, duration)
    }

    /// A size in bytes, alone or with a unit: `65536`, `"64 KiB"`, `"100 MiB"`, `"1 GB"`.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn size(&mut self, key: &'static str, into: &mut u64) -> Result<(), SettingError> {
        self.read(key, into, size)
    }

    /// A whole number, zero or more.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn count(&mut self, key: &'static str, into: &mut usize) -> Result<(), SettingError> {
        self.read(key, into, count)
    }

    /// A list of whole numbers, zero or more.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn counts(&mut self, key: &'static str, into: &mut Vec<usize>) -> Result<(), SettingError> {
        self.read(key, into, |value| match value.as_array() {
            Some(list) => list.iter().map(count).collect(),
            None => Err(wrong(value, "a list of whole numbers, as [1, 2]")),
        })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn flag(&mut self, key: &'static str, into: &mut bool) -> Result<(), SettingError> {
        self.read(key, into, flag)
    }

    /// A text.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn text(&mut self, key: &'static str, into: &mut String) -> Result<(), SettingError> {
        self.read(key, into, text)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn texts(&mut self, key: &'static str, into: &mut Vec<String>) -> Result<(), SettingError> {
        self.read(key, into, texts)
    }

    /// A table of texts: each key in it sets, or adds, one entry.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn text_table(&mut self, key: &'static str, into: &mut BTreeMap<String, String>) -> Result<(), SettingError> {
        let mut said = BTreeMap::new();
        self.read(key, &mut said, text_table)?;
        into.extend(said);
        Ok(())
    }

    /// A table of durations, each with its unit: each key in it sets, or adds, one entry.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn durations(&mut self, key: &'static str, into: &mut BTreeMap<String, Duration>) -> Result<(), SettingError> {
        let mut said = BTreeMap::new();
        self.read(key, &mut said, |value| {
            let table = value.as_table().ok_or_else(|| wrong(value, "a table of durations, as { a = \"5m\" }"))?;
            let entry = |(name, value)| match duration(value) {
                Ok(duration) => Ok((String::clone(name), duration)),
                Err(problem) => Err(format!("has a {name:?} that {problem}")),
            };
            table.iter().map(entry).collect()
        })?;
        into.extend(said);
        Ok(())
    }

    /// One of several words.
    ///
    /// # Errors
    /// As [`duration`](Self::duration); the message lists the words.
    pub fn choice<T: Clone>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        into: &mut T,
    ) -> Result<(), SettingError> {
        self.read(key, into, |value| {
            let chosen = value.as_str().and_then(|word| words.iter().find(|(name, _)| *name == word));
            chosen.map(|(_, choice)| choice.clone()).ok_or_else(|| {
                let names: Vec<_> = words.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                wrong(value, &format!("one of {}", names.join(", ")))
            })
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When the table has a key that was not asked for; the message suggests the most similar known one.
    pub fn finish(self) -> Result<(), SettingError> {
        match self.table.keys().find(|key| !self.known.contains(&key.as_str())) {
            Some(key) => Err(SettingError::unknown(key, &self.known)),
            None => Ok(()),
        }
    }

    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        into: &mut T,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<(), SettingError> {
        self.known.push(key);
        if let Some(value) = self.table.get(key) {
            *into = read(value).map_err(|problem| SettingError::new(key, problem))?;
        }
        Ok(())
    }
}

/// Longest duration that may be set: added to any clock it stays representable.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

const DURATION_UNITS: [(&str, u32); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 24 * 3600)];

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

pub(crate) fn duration(value: &Value) -> Result<Duration, String> {
    let refused = || wrong(value, "a duration with its unit, as \"250ms\", \"20s\", \"5m\", \"2h\" or \"7d\"");
    let (number, unit) = value.as_str().and_then(number_and_unit).ok_or_else(refused)?;
    let duration = if unit == "ms" {
        Some(Duration::from_millis(number))
    } else {
        let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
        Duration::from_secs(number).checked_mul(*factor)
    };
    duration.filter(|duration| *duration <= LONGEST).ok_or_else(|| format!("is {value}; the longest is \"36500d\""))
}

pub(crate) fn size(value: &Value) -> Result<u64, String> {
    let refused = || wrong(value, "a number of bytes or a size with its unit, as 65536, \"64 KiB\" or \"100 MiB\"");
    if let Some(bytes) = value.as_integer() {
        return u64::try_from(bytes).map_err(|_| refused());
    }
    let (number, unit) = value.as_str().and_then(number_and_unit).ok_or_else(refused)?;
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
    number.checked_mul(*factor).ok_or_else(|| format!("is {value}, more than can be counted"))
}

pub(crate) fn count(value: &Value) -> Result<usize, String> {
    let number = value.as_integer().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| wrong(value, "a whole number, zero or more"))
}

pub(crate) fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong(value, "true or false"))
}

pub(crate) fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong(value, "a text in quotes"))
}

pub(crate) fn texts(value: &Value) -> Result<Vec<String>, String> {
    let list =
        value.as_array().and_then(|values| values.iter().map(|value| value.as_str().map(str::to_owned)).collect());
    list.ok_or_else(|| wrong(value, "a list of texts in quotes, as [\"a\", \"b\"]"))
}

fn text_table(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let entry = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let table = value.as_table().and_then(|table| table.iter().map(entry).collect());
    table.ok_or_else(|| wrong(value, "a table of texts, as { a = \"b\" }"))
}

/// The problem of a value that the setting cannot use.
pub(crate) fn wrong(value: &Value, expected: &str) -> String {
    format!("is {}; it must be {expected}", shown(value))
}

/// A duration as it would be written in a file, in the largest unit that says it exactly.
pub(crate) fn show_duration(duration: Duration) -> String {
    if duration.subsec_nanos() != 0 {
        return format!("{}ms", duration.as_millis());
    }
    let seconds = duration.as_secs();
    let fits = |(_, factor): &&(&str, u32)| seconds != 0 && seconds.is_multiple_of(u64::from(*factor));
    let (unit, factor) = DURATION_UNITS.iter().rev().find(fits).unwrap_or(&DURATION_UNITS[0]);
    format!("{}{unit}", seconds / u64::from(*factor))
}

/// A size as it would be written in a file, in the largest unit that says it exactly.
pub(crate) fn show_size(bytes: u64) -> String {
    const EXACT: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let fits = |(_, shift): &&(&str, u32)| bytes != 0 && bytes.is_multiple_of(1 << shift);
    match EXACT.iter().find(fits) {
        Some((unit, shift)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} B"),
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

/// The part of a value that may be shown. A text with `@` or `://` may be an address with a password under the wrong
/// key.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('@') || text.contains("://") => "a text".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        format!("key = {text}").parse::<Table>().expect("a line of TOML")["key"].clone()
    }

    #[test]
    fn durations_carry_their_unit() {
        let table = [
            (r#""250ms""#, Duration::from_millis(250)),
            (r#""20s""#, Duration::from_secs(20)),
            (r#""5m""#, Duration::from_secs(300)),
            (r#""2 h""#, Duration::from_secs(7200)),
            (r#""7d""#, Duration::from_secs(604_800)),
            (r#""0s""#, Duration::ZERO),
        ];
        for (text, expected) in table {
            assert_eq!(duration(&value(text)), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_no_duration() {
        let expected = "it must be a duration with its unit, as \"250ms\", \"20s\", \"5m\", \"2h\" or \"7d\"";
        for text in ["5", "\"5\"", "5.5", "true", "\"m\"", "\"-5m\"", "\"5 minutes\"", "\"5M\""] {
            assert_eq!(duration(&value(text)), Err(format!("is {text}; {expected}")));
        }
    }

    #[test]
    fn a_duration_that_no_clock_can_add_is_refused() {
        assert_eq!(duration(&value("\"999999999d\"")), Err("is \"999999999d\"; the longest is \"36500d\"".to_owned()));
        assert!(duration(&value("\"18446744073709551615d\"")).is_err());
        assert!(duration(&value("\"99999999999999999999s\"")).is_err());
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
            assert_eq!(size(&value(text)), Ok(expected), "{text}");
        }
        for text in ["-1", "\"10 M\"", "\"x\"", "1.5", "\"99999999999 GiB\""] {
            assert!(size(&value(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["\"250ms\"", "\"90s\"", "\"5m\"", "\"2h\"", "\"7d\"", "\"0s\""] {
            assert_eq!(format!("\"{}\"", show_duration(duration(&value(text)).unwrap())), text);
        }
        for text in ["\"100 MiB\"", "\"1000 B\"", "\"0 B\"", "\"3 GiB\""] {
            assert_eq!(format!("\"{}\"", show_size(size(&value(text)).unwrap())), text);
        }
    }

    #[test]
    fn a_list_has_nothing_but_texts() {
        assert_eq!(texts(&value(r#"["a", "b"]"#)), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(texts(&value("[]")), Ok(vec![]));
        for text in ["\"a\"", "[\"a\", 1]", "[[\"a\"]]"] {
            assert!(texts(&value(text)).unwrap_err().contains("must be a list of texts"), "{text}");
        }
    }

    #[test]
    fn a_table_of_texts_is_laid_over_the_one_before() {
        let table = r#"types = { b = "3", c = "4" }"#.parse().unwrap();
        let mut types = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        SettingReader::new(&table).text_table("types", &mut types).unwrap();
        assert_eq!(types.into_values().collect::<Vec<_>>(), ["1", "3", "4"]);
        let wrong = "types = { a = 1 }".parse().unwrap();
        assert!(SettingReader::new(&wrong).text_table("types", &mut BTreeMap::new()).is_err());
    }

    #[test]
    fn an_unknown_key_gets_the_most_similar_one_or_the_list() {
        let known = ["timeout", "secure"];
        assert_eq!(SettingError::unknown("timeuot", &known).problem, "is not a setting; did you mean `timeout`?");
        assert_eq!(SettingError::unknown("colour", &known).problem, "is not a setting; there are: timeout, secure");
        assert_eq!(SettingError::unknown("on", &[]).problem, "is not a setting; there are none here");
    }

    #[test]
    fn a_choice_lists_its_words() {
        let table = "lock = \"late\"".parse().unwrap();
        let error = SettingReader::new(&table).choice("lock", &[("early", 1), ("lazy", 2)], &mut 0).unwrap_err();
        assert_eq!(error.to_string(), "`lock` is \"late\"; it must be one of \"early\", \"lazy\"");
    }
}
