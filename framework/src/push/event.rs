//! Events as clients read them (WHATWG HTML, section 9.2, "server-sent events"), and their numbers.

use crate::exchange::{Argument, ArgumentInfo, Arguments, HttpError, InvalidParameter, Parameter};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// One event of an event stream: a text, and a kind by which the client tells it from others.
///
/// A browser calls `onmessage` for an event without a kind, and the listeners of
/// `addEventListener("article", ...)` for one of the kind `article`. The data may be any text: each of its lines
/// becomes one of the event. Browsers read every end of a line as LF.
///
/// ```
/// use kirsch::push::Event;
///
/// let event = Event::text("two\nlines").kind("note");
/// assert_eq!(event.to_string(), "event: note\ndata: two\ndata: lines\n\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    kind: &'static str,
    data: String,
}

impl Event {
    /// An event with this text, without a kind.
    pub fn text(data: impl Into<String>) -> Self {
        Self { kind: "", data: data.into() }
    }

    /// An event of this kind with a value as JSON.
    ///
    /// # Panics
    /// When the value cannot be JSON, such as a map whose keys are no texts; and as [`kind`](Self::kind).
    pub fn json(kind: &'static str, value: &impl Serialize) -> Self {
        let data = serde_json::to_string(value);
        let data = data.unwrap_or_else(|problem| panic!("an event of the kind {kind:?} cannot be JSON: {problem}"));
        Self::text(data).kind(kind)
    }

    /// The same event, of this kind.
    ///
    /// # Panics
    /// When the kind has the end of a line or a NUL in it. It is a part of the program, never a text of a visitor.
    #[must_use]
    pub fn kind(self, kind: &'static str) -> Self {
        let is_one_line = !kind.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        assert!(is_one_line, "{kind:?} cannot be the kind of an event: it must be one line");
        Self { kind, ..self }
    }

    /// It as it is sent, without a number.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.kind.len() + self.data.len() + 16);
        self.write_fields(&mut bytes);
        bytes.push(b'\n');
        bytes
    }

    /// Writes it without its end, so that a number can follow.
    pub(super) fn write_fields(&self, out: &mut Vec<u8>) {
        if !self.kind.is_empty() {
            write_field(out, "event", self.kind);
        }
        for line in lines(&self.data) {
            write_field(out, "data", line);
        }
    }
}

/// As it is sent, without a number.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        self.write_fields(&mut bytes);
        writeln!(f, "{}", String::from_utf8_lossy(&bytes))
    }
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The lines of a text that may end in LF, CR or both: what clients take for the end of a line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\r', '\n']) else { return rest.take() };
        let behind = &text[end..];
        rest = Some(behind.strip_prefix("\r\n").unwrap_or_else(|| &behind[1..]));
        Some(&text[..end])
    })
}

/// The number of an event within a topic: `4f2a91c0-19` is the nineteenth since the topic began, and `4f2a91c0` names
/// that beginning. So an id of an earlier run of the program is never taken for one of this run.
///
/// As an argument by name it is 400 for a text that is no such number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The beginning of the topic.
    pub epoch: u64,
    /// The number; the first event has 1. 0 is the time before it.
    pub number: u64,
}

impl EventId {
    /// Writes the field, and the end of the event that it belongs to.
    pub(super) fn write_last_field(self, out: &mut Vec<u8>) {
        use std::io::Write;
        // Writing into memory cannot fail.
        let _ = write!(out, "id: {self}\n\n");
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.number)
    }
}

impl FromStr for EventId {
    type Err = InvalidParameter;

    fn from_str(text: &str) -> Result<Self, InvalidParameter> {
        let id = || {
            let (epoch, number) = text.split_once('-')?;
            Some(Self { epoch: u64::from_str_radix(epoch, 16).ok()?, number: number.parse().ok()? })
        };
        // Only the one spelling counts.
        id().filter(|id| id.to_string() == text).ok_or(InvalidParameter)
    }
}

impl Parameter for EventId {
    const EXPECTED: &'static str = "the id of an event, as 4f2a91c0-19";

    fn from_text(text: &str) -> Result<Self, InvalidParameter> {
        text.parse()
    }

    fn to_text(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl<'a> Argument<'a> for EventId {
    const INFO: ArgumentInfo = ArgumentInfo::PARAMETER;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.required(name)
    }
}

/// The last event that a client has seen before it connects again, as the argument of a handler: the field
/// `Last-Event-ID`, which browsers send by themselves. A text that is no id of this topic makes the client hear of a
/// gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastEventId {
    /// The client is new.
    #[default]
    None,
    /// It has seen this one.
    Known(EventId),
    /// It has sent something that no topic of this program has given out.
    Unknown,
}

impl From<EventId> for LastEventId {
    fn from(id: EventId) -> Self {
        Self::Known(id)
    }
}

impl From<Option<EventId>> for LastEventId {
    fn from(id: Option<EventId>) -> Self {
        id.map_or(Self::None, Self::Known)
    }
}

impl<'a> Argument<'a> for LastEventId {
    const INFO: ArgumentInfo = ArgumentInfo::TYPED;

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let mut values = arguments.request.headers_named("last-event-id");
        Ok(match (values.next(), values.next()) {
            (None, _) => Self::None,
            // A browser that has seen an event without an id may send an empty one.
            (Some([]), None) => Self::None,
            (Some(value), None) => {
                let id = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                id.map_or(Self::Unknown, Self::Known)
            }
            (Some(_), Some(_)) => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_forge_a_field_or_an_event() {
        let table = [
            ("", "data: \n\n"),
            ("plain", "data: plain\n\n"),
            (" indented", "data:  indented\n\n"),
            ("a\nb", "data: a\ndata: b\n\n"),
            ("a\rb", "data: a\ndata: b\n\n"),
            ("a\r\nb", "data: a\ndata: b\n\n"),
            ("a\n\rb", "data: a\ndata: \ndata: b\n\n"),
            ("a\n\nevent: forged\ndata: x", "data: a\ndata: \ndata: event: forged\ndata: data: x\n\n"),
            ("a\n", "data: a\ndata: \n\n"),
            ("id: 7\0", "data: id: 7\0\n\n"),
            ("\u{2028}\u{85}", "data: \u{2028}\u{85}\n\n"),
        ];
        for (text, sent) in table {
            assert_eq!(Event::text(text).to_string(), sent, "{text:?}");
        }
    }

    #[test]
    fn a_kind_is_one_line() {
        assert_eq!(Event::json("price", &[1.5]).to_string(), "event: price\ndata: [1.5]\n\n");
        for kind in ["a\nb", "a\rb", "a\0"] {
            assert!(std::panic::catch_unwind(|| Event::text("").kind(kind)).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = EventId { epoch: 0x4f, number: 19 };
        assert_eq!(id.to_string(), "4f-19");
        assert_eq!("4f-19".parse(), Ok(id));
        let rubbish = ["", "-", "4f", "4f-", "-19", "4F-19", "04f-19", "4f-019", "4f-+19", "4f-19 ", "4f-19-2", "zz-1"];
        for text in rubbish {
            assert_eq!(text.parse::<EventId>(), Err(InvalidParameter), "{text:?}");
        }
    }
}
