//! The types that a setting can have, each with its form in a file, and the text of messages about a wrong value.

use super::units::{read_duration, show_duration};
use super::{Secret, SettingValue, secret_file};
use crate::StatusCode;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A type that a setting can have: `#[derive(Settings)]` reads and shows its fields by it.
///
/// For an enum of words implement [`SettingWord`], which brings this trait along. For a type of another crate name a
/// module with the two functions: `#[setting(with = path)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a setting",
    label = "a file has no value for this",
    note = "a setting is a `bool`, a whole number, a `String`, a `PathBuf`, a `Duration`, a `SocketAddr`, a `Secret`, a list of texts or numbers, or a table of texts or durations",
    note = "for an enum, implement `kirsch::settings::SettingWord`; for another type of yours, `kirsch::settings::Setting`",
    note = "for an `Option`, say how a file leaves it out: `#[setting(none = \"auto\")]`; for what only code can set: `#[setting(skip)]`"
)]
pub trait Setting: Sized {
    /// The value out of a file.
    ///
    /// # Errors
    /// The mistake, as it goes on after the key: `is 5; it must be a text in quotes`.
    fn read(value: &SettingValue) -> Result<Self, String>;

    /// The value as a file has it.
    fn show(&self) -> String;

    /// Takes the value out of a file: in place of the old one, unless the type adds to it, as tables do.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn set(&mut self, value: &SettingValue) -> Result<(), String> {
        *self = Self::read(value)?;
        Ok(())
    }
}

/// An enum whose values are words in a file.
///
/// ```
/// use kirsch::settings::{Setting, SettingValue, SettingWord};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Side { Left, Right }
///
/// impl SettingWord for Side {
///     const WORDS: &'static [(&'static str, Self)] = &[("left", Self::Left), ("right", Self::Right)];
/// }
///
/// assert_eq!(Side::read(&SettingValue::from("left")), Ok(Side::Left));
/// let refused = Side::read(&SettingValue::from("up")).unwrap_err();
/// assert_eq!(refused, "is \"up\"; it must be one of \"left\", \"right\"");
/// ```
pub trait SettingWord: Copy + PartialEq + 'static {
    /// All words, each with its value.
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: SettingWord> Setting for T {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let chosen = value.as_str().and_then(|word| T::WORDS.iter().find(|(name, _)| *name == word));
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = T::WORDS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            wrong(value, &format!("one of {}", names.join(", ")))
        })
    }

    fn show(&self) -> String {
        let word = T::WORDS.iter().find(|(_, choice)| choice == self);
        word.map(|(name, _)| format!("\"{name}\"")).unwrap_or_default()
    }
}

impl Setting for bool {
    fn read(value: &SettingValue) -> Result<Self, String> {
        flag(value)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_numbers {
    ($($number:ty)*) => {
        $(
            impl Setting for $number {
                fn read(value: &SettingValue) -> Result<Self, String> {
                    whole(value, 0, None)
                }

                fn show(&self) -> String {
                    self.to_string()
                }
            }
        )*
    };
}

whole_numbers!(u8 u16 u32 u64 usize);

impl Setting for String {
    fn read(value: &SettingValue) -> Result<Self, String> {
        text(value)
    }

    fn show(&self) -> String {
        SettingValue::from(self.as_str()).to_string()
    }
}

impl Setting for PathBuf {
    fn read(value: &SettingValue) -> Result<Self, String> {
        text(value).map(Self::from)
    }

    fn show(&self) -> String {
        self.display().to_string().show()
    }
}

impl Setting for Duration {
    fn read(value: &SettingValue) -> Result<Self, String> {
        read_duration(value)
    }

    fn show(&self) -> String {
        format!("\"{}\"", show_duration(*self))
    }
}

impl Setting for SocketAddr {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let address = value.as_str().and_then(|text| text.parse().ok());
        address.ok_or_else(|| wrong(value, "an IP address and a port, as \"127.0.0.1:8080\" or \"[::]:8080\""))
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for StatusCode {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let number = usize::read(value)?;
        let status = u16::try_from(number).ok().and_then(|number| Self::from_u16(number).ok());
        status.ok_or_else(|| format!("is {number}; it must be a status of three digits, as 404"))
    }

    fn show(&self) -> String {
        self.as_u16().to_string()
    }
}

/// No message shows its value. A table names a file that has it.
impl Setting for Secret {
    fn read(value: &SettingValue) -> Result<Self, String> {
        if let SettingValue::Table(table) = value {
            return secret_file::read(table).map(Self::from);
        }
        text(value).map(Self::from).map_err(|_| kind(value, "a text in quotes"))
    }

    fn show(&self) -> String {
        if self.exposed().is_empty() { String::new() } else { self.to_string() }
    }
}

/// No message shows its values.
impl Setting for Vec<Secret> {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let is_secret = |value: &&SettingValue| value.is_str() || value.is_table();
        match value.as_array().filter(|list| list.iter().filter(is_secret).count() == list.len()) {
            Some(list) => list.iter().map(Secret::read).collect(),
            None => Err(kind(value, "a list of texts in quotes, as [\"a\", \"b\"]")),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for Vec<String> {
    fn read(value: &SettingValue) -> Result<Self, String> {
        texts(value)
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(Setting::show).collect::<Vec<_>>().join(", "))
    }
}

impl Setting for BTreeSet<String> {
    fn read(value: &SettingValue) -> Result<Self, String> {
        texts(value).map(Self::from_iter)
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(Setting::show).collect::<Vec<_>>().join(", "))
    }
}

impl Setting for Vec<usize> {
    fn read(value: &SettingValue) -> Result<Self, String> {
        match value.as_array() {
            Some(list) => list.iter().map(Setting::read).collect(),
            None => Err(wrong(value, "a list of whole numbers, as [1, 2]")),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

/// Each key of the table sets, or adds, one entry.
impl Setting for BTreeMap<String, String> {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let entry = |(key, value): (&String, &SettingValue)| Some((key.clone(), value.as_str()?.to_owned()));
        let table = value.as_table().and_then(|table| table.iter().map(entry).collect());
        table.ok_or_else(|| wrong(value, "a table of texts, as { a = \"b\" }"))
    }

    fn show(&self) -> String {
        shown_table(self)
    }

    fn set(&mut self, value: &SettingValue) -> Result<(), String> {
        self.extend(Self::read(value)?);
        Ok(())
    }
}

/// Each key of the table sets, or adds, one entry.
impl Setting for BTreeMap<String, Duration> {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let table = value.as_table().ok_or_else(|| wrong(value, "a table of durations, as { a = \"5m\" }"))?;
        let entry = |(name, value)| match read_duration(value) {
            Ok(duration) => Ok((String::clone(name), duration)),
            Err(problem) => Err(format!("has a {name:?} that {problem}")),
        };
        table.iter().map(entry).collect()
    }

    fn show(&self) -> String {
        shown_table(self)
    }

    fn set(&mut self, value: &SettingValue) -> Result<(), String> {
        self.extend(Self::read(value)?);
        Ok(())
    }
}

fn shown_table<T: Setting>(table: &BTreeMap<String, T>) -> String {
    let entries: Vec<_> = table.iter().map(|(key, value)| format!("{} = {}", key.show(), value.show())).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

/// A whole number from `least` on, up to `most` if there is one: the form of `#[setting(min = 1, max = 9)]`.
///
/// # Errors
/// When the value is something else, or more than the number can count.
pub fn whole<T: TryFrom<u64>>(value: &SettingValue, least: u64, most: Option<u64>) -> Result<T, String> {
    let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
    let fits = |number: &u64| *number >= least && most.is_none_or(|most| *number <= most);
    let number = number.filter(fits).ok_or_else(|| {
        let expected = match (least, most) {
            (0, None) => "a whole number, zero or more".to_owned(),
            (1, None) => "a whole number, one or more".to_owned(),
            (least, None) => format!("a whole number, {least} or more"),
            (least, Some(most)) => format!("a whole number from {least} to {most}"),
        };
        wrong(value, &expected)
    })?;
    T::try_from(number).map_err(|_| format!("is {}, more than can be counted", shown(value)))
}

/// The list of a method or a default: of texts, or of its own values.
pub fn list<A, C: FromIterator<A>>(items: impl IntoIterator<Item = impl Into<A>>) -> C {
    items.into_iter().map(Into::into).collect()
}

/// A value, or a word that stands for none: the form of `#[setting(none = "auto")]`.
///
/// # Errors
/// As `read`, with the word as another possibility.
pub fn optional<T>(
    value: &SettingValue,
    word: &str,
    read: impl FnOnce(&SettingValue) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if value.as_str() == Some(word) {
        return Ok(None);
    }
    read(value).map(Some).map_err(|problem| format!("{problem}, or \"{word}\""))
}

pub(crate) fn flag(value: &SettingValue) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong(value, "true or false"))
}

pub(crate) fn text(value: &SettingValue) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong(value, "a text in quotes"))
}

pub(crate) fn texts(value: &SettingValue) -> Result<Vec<String>, String> {
    let list =
        value.as_array().and_then(|values| values.iter().map(|value| value.as_str().map(str::to_owned)).collect());
    list.ok_or_else(|| wrong(value, "a list of texts in quotes, as [\"a\", \"b\"]"))
}

/// The problem of a value that the setting cannot use.
pub(crate) fn wrong(value: &SettingValue, expected: &str) -> String {
    format!("is {}; it must be {expected}", shown(value))
}

/// The part of a value that may be shown. A text with `@` or `://` may be an address with a password under the wrong
/// key.
pub(crate) fn shown(value: &SettingValue) -> String {
    match value {
        SettingValue::String(text) if text.contains('@') || text.contains("://") => "a text".to_owned(),
        SettingValue::Table(_) => "a table".to_owned(),
        SettingValue::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    }
}

/// The problem of a secret that the setting cannot use: names its kind, and nothing of its content.
fn kind(value: &SettingValue, expected: &str) -> String {
    let kind = match value {
        SettingValue::String(_) => "a text",
        SettingValue::Integer(_) | SettingValue::Float(_) => "a number",
        SettingValue::Boolean(_) => "true or false",
        SettingValue::Datetime(_) => "a date",
        SettingValue::Array(_) => "a list of something else",
        SettingValue::Table(_) => "a table",
    };
    format!("is {kind}; it must be {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::Table;

    fn value(text: &str) -> SettingValue {
        format!("key = {text}").parse::<Table>().expect("a line of TOML")["key"].clone()
    }

    #[test]
    fn a_list_has_nothing_but_texts() {
        assert_eq!(Setting::read(&value(r#"["a", "b"]"#)), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(Vec::<String>::read(&value("[]")), Ok(vec![]));
        for text in ["\"a\"", "[\"a\", 1]", "[[\"a\"]]"] {
            assert!(Vec::<String>::read(&value(text)).unwrap_err().contains("must be a list of texts"), "{text}");
        }
    }

    #[test]
    fn a_table_of_texts_is_laid_over_the_one_before() {
        let mut types = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        assert_eq!(types.set(&value(r#"{ b = "3", c = "4" }"#)), Ok(()));
        assert_eq!(types.show(), r#"{ "a" = "1", "b" = "3", "c" = "4" }"#);
        assert!(types.set(&value("{ a = 1 }")).unwrap_err().contains("must be a table of texts"));
    }

    #[test]
    fn a_number_out_of_its_bounds_is_told_them() {
        let table = [
            ("-1", 0, None, "is -1; it must be a whole number, zero or more"),
            ("0", 1, None, "is 0; it must be a whole number, one or more"),
            ("10", 1, Some(9), "is 10; it must be a whole number from 1 to 9"),
            ("300", 0, None, "is 300, more than can be counted"),
            ("\"many\"", 2, None, "is \"many\"; it must be a whole number, 2 or more"),
        ];
        for (text, least, most, problem) in table {
            assert_eq!(whole::<u8>(&value(text), least, most), Err(problem.to_owned()));
        }
    }

    #[test]
    fn a_value_may_be_left_out_by_a_word() {
        let read = |text| optional(&value(text), "auto", |value| whole::<usize>(value, 1, None));
        assert_eq!((read("\"auto\""), read("5")), (Ok(None), Ok(Some(5))));
        assert_eq!(read("0"), Err("is 0; it must be a whole number, one or more, or \"auto\"".to_owned()));
    }

    #[test]
    fn no_message_about_a_secret_shows_it() {
        assert_eq!(Secret::read(&value("4711")).unwrap_err(), "is a number; it must be a text in quotes");
        for text in ["\"hunter2\"", "[\"hunter2\", 4711]"] {
            let problem = Vec::<Secret>::read(&value(text)).unwrap_err();
            assert!(problem.contains("must be a list") && !problem.contains("hunter2"), "{problem}");
        }
        assert_eq!(Secret::from("hunter2".to_owned()).show(), "(secret)");
    }

    #[test]
    fn what_may_be_an_address_with_a_password_is_not_shown() {
        let problem = bool::read(&value("\"redis://:hunter2@host\"")).unwrap_err();
        assert_eq!(problem, "is a text; it must be true or false");
    }
}
