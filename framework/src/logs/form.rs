//! A record as one line: text for people, JSON for programs.
//!
//! ```text
//! 2026-11-30T15:27:00.123456Z ERROR kirsch::error request 2a..: GET "/x" panicked: ...
//! {"ts":"2026-11-30T15:27:00.123456Z","level":"ERROR","target":"kirsch::error","msg":"...","request":"2a.."}
//! ```
//!
//! Whatever a record says stays in its line: control characters, and the characters that turn text around, are escaped
//! in each part. Text keeps a line break only before two spaces, where the framework indents what belongs to the line
//! above. A record has a maximum length, since a message may quote anything.

use super::clock::Timestamp;
use crate::line::is_dangerous;
use log::Record;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::time::SystemTime;

/// Longest message in bytes; the rest is cut off.
const MAX_MESSAGE: usize = 32 << 10;
/// Longest line before another key is left out, in bytes.
const MAX_LINE: usize = 56 << 10;
/// Longest value of a key in bytes.
const MAX_VALUE: usize = 8 << 10;
/// Stands for the rest of a text that was cut.
const CUT: &str = "…";

/// How a record becomes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

/// A line with its line break.
#[derive(Debug)]
pub(super) struct LogLine {
    pub(super) text: String,
    pub(super) level: log::Level,
    /// Where the message stands in the text, as it is written there.
    pub(super) message: Range<usize>,
    /// The same for lines that say the same, apart from the time and the number of the request. None for records of
    /// which each counts.
    pub(super) says: Option<u64>,
}

impl Form {
    pub(super) fn line(self, record: &Record<'_>, now: SystemTime) -> LogLine {
        let mut text = String::with_capacity(384);
        self.begin(&mut text, now, record.level(), record.target());
        let body = text.len();
        let is_access = record.target() == super::ACCESS;
        let mut message = body..body;
        // Programs read the keys of an access record; people read its line. Each says all of it.
        if self == Self::Text || !is_access {
            self.open_message(&mut text);
            let begin = text.len();
            let _ = write!(Escaping::new(&mut text, self, MAX_MESSAGE), "{}", record.args());
            message = begin..text.len();
            self.close_message(&mut text);
        }
        let mut pairs = Pairs { form: self, text: &mut text, message: message.clone(), varying: Vec::new() };
        if self == Self::Json || !is_access {
            let _ = record.key_values().visit(&mut pairs);
        }
        let says = (!is_access).then(|| says(&pairs.text[body..], &pairs.varying));
        self.end(&mut text);
        LogLine { text, level: record.level(), message, says }
    }

    /// A line of the log about itself. `like` has the form of this log already.
    pub(super) fn own_line(self, now: SystemTime, level: log::Level, message: &str, like: &str) -> String {
        let mut text = String::new();
        self.begin(&mut text, now, level, super::LOGS);
        self.open_message(&mut text);
        let _ = Escaping::new(&mut text, self, MAX_MESSAGE).write_str(message);
        text.push_str(like);
        self.close_message(&mut text);
        self.end(&mut text);
        text
    }

    fn begin(self, text: &mut String, now: SystemTime, level: log::Level, target: &str) {
        match self {
            Self::Text => {
                let _ = write!(text, "{} {level:5} ", Timestamp(now));
                let _ = Escaping::new(text, self, MAX_VALUE).write_str(target);
                text.push(' ');
            }
            Self::Json => {
                let _ = write!(text, "{{\"ts\":\"{}\",\"level\":\"{level}\",\"target\":\"", Timestamp(now));
                let _ = Escaping::new(text, self, MAX_VALUE).write_str(target);
                text.push('"');
            }
        }
    }

    fn open_message(self, text: &mut String) {
        if self == Self::Json {
            text.push_str(",\"msg\":\"");
        }
    }

    fn close_message(self, text: &mut String) {
        if self == Self::Json {
            text.push('"');
        }
    }

    fn end(self, text: &mut String) {
        text.push_str(if self == Self::Json { "}\n" } else { "\n" });
    }
}

/// The beginning of a text, at most so many bytes of it.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What a line says, as a number. The parts that differ for each request do not count.
fn says(line: &str, varying: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut rest = line;
    while let Some((at, part)) =
        varying.iter().filter_map(|part| rest.find(&**part).map(|at| (at, part))).min_by_key(|(at, _)| *at)
    {
        rest[..at].hash(&mut hasher);
        rest = &rest[at + part.len()..];
    }
    rest.hash(&mut hasher);
    hasher.finish()
}

/// Keys whose values are another one for each request.
const VARYING: [&str; 2] = ["request", "trace"];

/// Writes the keys of a record with their values.
struct Pairs<'t> {
    form: Form,
    text: &'t mut String,
    /// Where the message stands.
    message: Range<usize>,
    varying: Vec<String>,
}

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        if self.text.len() > MAX_LINE {
            return Ok(());
        }
        let before = self.text.len();
        self.text.push_str(if self.form == Form::Json { ",\"" } else { " " });
        let _ = Escaping::new(self.text, self.form, 256).write_str(key.as_str());
        if matches!(key.as_str(), "ts" | "level" | "target" | "msg") {
            // No key twice in an object.
            self.text.push('_');
        }
        self.text.push_str(if self.form == Form::Json { "\":" } else { "=" });
        let begin = self.text.len();
        value.visit(WrittenValue { form: self.form, text: &mut *self.text })?;
        let written = self.text[begin..].trim_matches('"');
        if VARYING.contains(&key.as_str()) && !written.is_empty() {
            let written = written.to_owned();
            // People have read it in the message.
            if self.form == Form::Text && self.text[self.message.clone()].contains(&written) {
                self.text.truncate(before);
            }
            self.varying.push(written);
        }
        Ok(())
    }
}

struct WrittenValue<'t> {
    form: Form,
    text: &'t mut String,
}

impl WrittenValue<'_> {
    fn plain(&mut self, value: impl std::fmt::Display) -> Result<(), Error> {
        Ok(write!(self.text, "{value}")?)
    }

    fn quoted(&mut self, value: impl std::fmt::Display) -> Result<(), Error> {
        let begin = self.text.len();
        self.text.push('"');
        let mut escaping = Escaping::new(self.text, self.form, MAX_VALUE);
        escaping.is_quoted = true;
        let written = write!(escaping, "{value}");
        let is_plain = !self.text[begin + 1..].contains([' ', '"', '=', '\\']);
        match self.form {
            Form::Text if is_plain => drop(self.text.remove(begin)),
            Form::Text | Form::Json => self.text.push('"'),
        }
        Ok(written?)
    }
}

impl<'v> VisitValue<'v> for WrittenValue<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.quoted(value)
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        self.plain("null")
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.plain(value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.plain(value)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        // JSON knows no NaN and no infinity.
        if value.is_finite() { self.plain(value) } else { self.quoted(value) }
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.plain(value)
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.quoted(value)
    }
}

/// Writes text of anybody into a line, up to a length.
struct Escaping<'t> {
    text: &'t mut String,
    form: Form,
    /// Where the text ends at the latest, with a few bytes to spare for the last character.
    end: usize,
    is_cut: bool,
    /// Whether it stands between quotes, also in lines for people.
    is_quoted: bool,
}

impl<'t> Escaping<'t> {
    fn new(text: &'t mut String, form: Form, most: usize) -> Self {
        let end = text.len() + most;
        Self { text, form, end, is_cut: false, is_quoted: form == Form::Json }
    }

    fn escape(&mut self, character: char) {
        let _ = match (self.form, character) {
            (_, '"' | '\\') => write!(self.text, "\\{character}"),
            (Form::Json, '\n') => write!(self.text, "\\n"),
            (Form::Json, _) => write!(self.text, "\\u{:04x}", u32::from(character)),
            (Form::Text, _) => write!(self.text, "{}", character.escape_debug()),
        };
    }

    fn needs_escape(&self, character: char, after: &str) -> bool {
        match character {
            '"' | '\\' => self.is_quoted,
            '\n' if self.form == Form::Text && !self.is_quoted => !after.starts_with("  "),
            character => is_dangerous(character),
        }
    }
}

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.is_cut {
            return Ok(());
        }
        let room = self.end.saturating_sub(self.text.len());
        let shown = beginning(text, room);
        let mut plain = 0;
        // Most texts are plain.
        if shown.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\' | 0x7f..)) {
            for (index, character) in shown.char_indices() {
                let next = index + character.len_utf8();
                if self.needs_escape(character, &shown[next..]) {
                    self.text.push_str(&shown[plain..index]);
                    self.escape(character);
                    plain = next;
                }
            }
        }
        self.text.push_str(&shown[plain..]);
        if shown.len() < text.len() || self.text.len() > self.end {
            self.is_cut = true;
            self.text.push_str(CUT);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;
    use std::time::{Duration, UNIX_EPOCH};

    fn line(form: Form, message: &str, pairs: &[(&str, &str)]) -> String {
        let now = UNIX_EPOCH + Duration::from_micros(1_795_222_923_000_042);
        let args = format_args!("{message}");
        form.line(&Record::builder().level(Level::Warn).target("shop").args(args).key_values(&pairs).build(), now).text
    }

    #[test]
    fn a_record_is_a_line_of_text_or_an_object() {
        let pairs = [("user", "anna b"), ("n", "1")];
        assert_eq!(
            line(Form::Text, "sold", &pairs),
            "2026-11-21T01:02:03.000042Z WARN  shop sold user=\"anna b\" n=1\n"
        );
        let json: serde_json::Value = serde_json::from_str(&line(Form::Json, "sold", &pairs)).unwrap();
        let expected = serde_json::json!({"ts": "2026-11-21T01:02:03.000042Z", "level": "WARN", "target": "shop",
            "msg": "sold", "user": "anna b", "n": "1"});
        assert_eq!(json, expected);
    }

    #[test]
    fn no_value_of_a_text_line_ends_before_its_quote_or_behind_it() {
        let table = [
            ("\\\" admin=1 \"", r#"user="\\\" admin=1 \"" n=1"#),
            ("a b\\", r#"user="a b\\" n=1"#),
            ("a\n  b", r#"user="a\n  b" n=1"#),
            ("\"", r#"user="\"" n=1"#),
            ("plain", "user=plain n=1"),
        ];
        for (value, written) in table {
            let line = line(Form::Text, "in", &[("user", value), ("n", "1")]);
            assert!(line.ends_with(&format!(" in {written}\n")), "{line}");
        }
    }

    #[test]
    fn no_part_of_a_record_leaves_its_line() {
        let hostile = "a\r\nb\tc\u{1b}[31m\u{85}\u{2028}\u{202e}\0\u{7f}\"\\";
        for form in [Form::Text, Form::Json] {
            let line = line(form, hostile, &[(hostile, hostile), ("msg", hostile)]);
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(!line.trim_end().chars().any(is_dangerous), "{line:?}");
        }
        let json: serde_json::Value = serde_json::from_str(&line(Form::Json, hostile, &[(hostile, hostile)])).unwrap();
        assert_eq!((&json["msg"], &json[hostile]), (&hostile.into(), &hostile.into()));
    }

    #[test]
    fn a_long_record_is_cut_and_stays_whole() {
        let long = "ä\"\u{1}".repeat(100_000);
        let json = line(Form::Json, &long, &[("a", &long), ("b", &long), ("c", &long), ("d", &long), ("e", &long)]);
        assert!(json.len() < 128 << 10);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }

    #[test]
    fn the_same_said_of_two_requests_is_the_same() {
        let says = |request: &str, message: &str| {
            let args = format_args!("request {request}: {message}");
            let pairs = [("request", request)];
            Form::Text.line(&Record::builder().args(args).key_values(&pairs).build(), SystemTime::now()).says
        };
        assert_eq!(says("00aa", "it broke"), says("11bb", "it broke"));
        assert_ne!(says("00aa", "it broke"), says("00aa", "it burst"));
    }
}
