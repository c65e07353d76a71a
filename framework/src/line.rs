//! Text in one line of a log.
//!
//! A log is lines, and its readers trust that each is one event. Texts of clients, applications, files and other
//! servers may contain line breaks, which would begin a line of their own choice, and sequences that terminals obey. So
//! every record of the framework passes [`Line`], even one without foreign text. The macro [`record!`] is the only
//! place where the framework calls the logging facade; a test holds that.

use std::fmt::{Display, Formatter, Result, Write};

/// Displays its value in one line: control characters, line separators and the characters that turn the direction of
/// text around are escaped as in Rust's texts, `\n` and `\u{1b}`. For log lines of your own that contain foreign text.
///
/// ```
/// use kirsch::logs::Line;
///
/// let name = "anna\n2026-01-01 ERROR all is lost\u{1b}[2J";
/// assert_eq!(Line(name).to_string(), "anna\\n2026-01-01 ERROR all is lost\\u{1b}[2J");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Line<T>(pub T);

impl<T: Display> Display for Line<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// Several lines of one record, each in a line for itself; those that follow the first are indented, so none looks like
/// a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'l>(pub(crate) &'l str, pub(crate) &'l [String]);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(first, more) = self;
        write!(f, "{}", Line(first))?;
        more.iter().try_for_each(|line| write!(f, "\n  {}", Line(line)))
    }
}

struct Escaping<'f, 'b>(&'f mut Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> Result {
        let mut plain = 0;
        for (index, character) in text.char_indices().filter(|(_, character)| is_dangerous(*character)) {
            self.0.write_str(&text[plain..index])?;
            write!(self.0, "{}", character.escape_debug())?;
            plain = index + character.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// Control characters (C0, C1, DEL), the two separators of Unicode, and characters that turn text around (UAX #9).
pub(crate) fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Writes a record of the framework: `record!(Warn, target: "kirsch::tools", "{path} took {time:?}")`. The target may
/// be left out. Behind it may be keys for programs that read the log: `[request = id]`.
macro_rules! record {
    ($level:ident, target: $target:expr, [$($key:ident = $value:expr),+], $($text:tt)+) => {
        ::log::log!(
            target: $target, ::log::Level::$level, $($key:% = $value),+;
            "{}", $crate::line::Line(::std::format_args!($($text)+))
        )
    };
    ($level:ident, target: $target:expr, $($text:tt)+) => {
        ::log::log!(target: $target, ::log::Level::$level, "{}", $crate::line::Line(::std::format_args!($($text)+)))
    };
    ($level:ident, $($text:tt)+) => {
        ::log::log!(::log::Level::$level, "{}", $crate::line::Line(::std::format_args!($($text)+)))
    };
}
pub(crate) use record;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_in_its_line() {
        let hostile = "a\r\nb\tc\u{1b}[31m\u{85}\u{2028}\u{2029}\u{202e}\u{2066}\0\u{7f}\u{9b}";
        let expected = r"a\r\nb\tc\u{1b}[31m\u{85}\u{2028}\u{2029}\u{202e}\u{2066}\0\u{7f}\u{9b}";
        assert_eq!(Line(hostile).to_string(), expected);
        assert_eq!(Line(r"a\n ä „b“ 木 👍").to_string(), r"a\n ä „b“ 木 👍");
        assert_eq!(Lines("a\nb", &["c\nd".to_owned(), "e".to_owned()]).to_string(), "a\\nb\n  c\\nd\n  e");
    }

    #[test]
    fn only_the_macro_calls_the_logging_facade() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else if entry.extension().is_some_and(|extension| extension == "rs") && !entry.ends_with("line.rs") {
                    let text = std::fs::read_to_string(&entry).unwrap();
                    let calls = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
                    let is_call = |line: &&str| {
                        ["error", "warn", "info", "debug", "trace", "log"]
                            .iter()
                            .any(|name| line.contains(&format!("log::{name}!(")))
                    };
                    found.extend(calls.filter(is_call).map(|line| format!("{}: {line}", entry.display())));
                }
            }
        }
        found.retain(|call| !call.contains("Lines(") && !call.contains("logs/access.rs") && !call.contains("/tests/"));
        assert!(found.is_empty(), "write `record!(Warn, …)`, so that foreign text stays in its line: {found:#?}");
    }
}
