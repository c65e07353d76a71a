//! The fields of a request head: a table of offsets, with an index of the names that servers and tools ask for.
//!
//! The parser has found the fields; the table keeps where they are. The names in [`KnownName`] are recognised once,
//! while the table is filled, so that asking for them later is one array access. For a head that the parser has not
//! read, [`broken_rule`] says why.

use super::Refusal;
use super::grammar::{is_field_value_byte, is_name, is_space, is_token};
use super::scan;
use super::span::Span;

/// Names that are found without a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownName {
    Accept,
    AcceptEncoding,
    Authorization,
    Connection,
    ContentLength,
    ContentType,
    Cookie,
    Expect,
    Host,
    IfMatch,
    IfModifiedSince,
    IfNoneMatch,
    IfRange,
    IfUnmodifiedSince,
    Origin,
    Range,
    Referer,
    TransferEncoding,
    UserAgent,
}

impl KnownName {
    const COUNT: usize = Self::UserAgent as usize + 1;

    /// The known name that `name`, which has no control bytes, is in any case. Length and first letter leave one
    /// candidate, or two.
    fn recognise(name: &[u8]) -> Option<Self> {
        let first = name.first()? | 0x20;
        match (name.len(), first) {
            (4, b'h') => Self::Host.if_named(name, b"host"),
            (5, b'r') => Self::Range.if_named(name, b"range"),
            (6, b'a') => Self::Accept.if_named(name, b"accept"),
            (6, b'c') => Self::Cookie.if_named(name, b"cookie"),
            (6, b'e') => Self::Expect.if_named(name, b"expect"),
            (6, b'o') => Self::Origin.if_named(name, b"origin"),
            (7, b'r') => Self::Referer.if_named(name, b"referer"),
            (8, b'i') => {
                Self::IfMatch.if_named(name, b"if-match").or_else(|| Self::IfRange.if_named(name, b"if-range"))
            }
            (10, b'c') => Self::Connection.if_named(name, b"connection"),
            (10, b'u') => Self::UserAgent.if_named(name, b"user-agent"),
            (12, b'c') => Self::ContentType.if_named(name, b"content-type"),
            (13, b'a') => Self::Authorization.if_named(name, b"authorization"),
            (13, b'i') => Self::IfNoneMatch.if_named(name, b"if-none-match"),
            (14, b'c') => Self::ContentLength.if_named(name, b"content-length"),
            (15, b'a') => Self::AcceptEncoding.if_named(name, b"accept-encoding"),
            (17, b'i') => Self::IfModifiedSince.if_named(name, b"if-modified-since"),
            (17, b't') => Self::TransferEncoding.if_named(name, b"transfer-encoding"),
            (19, b'i') => Self::IfUnmodifiedSince.if_named(name, b"if-unmodified-since"),
            _ => None,
        }
    }

    #[inline]
    fn if_named<const LENGTH: usize>(self, text: &[u8], name: &[u8; LENGTH]) -> Option<Self> {
        is_name(text, name).then_some(self)
    }
}

/// The fields of one head, in the order received.
#[derive(Debug, Default)]
pub(super) struct FieldTable {
    entries: Vec<Entry>,
    /// For each known name, one more than the index of its first field; zero when there is none.
    known: [u32; KnownName::COUNT],
    /// One bit for each known name that came more than once.
    repeated: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    name: Span,
    value: Span,
}

impl FieldTable {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.known = [0; KnownName::COUNT];
        self.repeated = 0;
    }

    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// Fills the table with the fields that the parser has found in `head`. Returns where the request line ends, `None`
    /// when a line ends in LF alone, which the parser lets pass.
    pub(super) fn fill(&mut self, head: &[u8], fields: &[httparse::Header<'_>]) -> Option<usize> {
        self.clear();
        let is_line_start = |at: usize| head.get(at.wrapping_sub(2)..at) == Some(b"\r\n");
        if !head.ends_with(b"\r\n\r\n") {
            return None;
        }
        let mut line_end = head.len() - 4;
        if let Some(first) = fields.first() {
            line_end = Span::within(head, first.name.as_bytes()).start().saturating_sub(2);
        }
        self.entries.reserve(fields.len());
        for field in fields {
            let name = Span::within(head, field.name.as_bytes());
            if !is_line_start(name.start()) {
                return None;
            }
            let known = KnownName::recognise(field.name.as_bytes());
            // Programs behind this one may not tell `_` from `-`, and would take `X_Forwarded_For` for the field of a
            // proxy that they trust. No field in use has one, so such fields are dropped, as nginx does.
            if known.is_some() || !scan::contains_any(field.name.as_bytes(), [b'_']) {
                self.push(name, Span::within(head, field.value), known);
            }
        }
        Some(line_end)
    }

    fn push(&mut self, name: Span, value: Span, known: Option<KnownName>) {
        self.entries.push(Entry { name, value });
        self.index(known, self.entries.len() - 1);
    }

    /// The value of the first field of a known name.
    pub(super) fn known<'a>(&self, bytes: &'a [u8], name: KnownName) -> Option<&'a [u8]> {
        let index = (self.known[name as usize] as usize).checked_sub(1)?;
        Some(self.entries[index].value.of(bytes))
    }

    /// Whether there is a field of one of these names.
    pub(super) fn has_any(&self, names: &[KnownName]) -> bool {
        names.iter().any(|&name| self.known[name as usize] != 0)
    }

    /// Whether there is more than one field of a known name.
    pub(super) fn is_repeated(&self, name: KnownName) -> bool {
        self.repeated & (1 << name as usize) != 0
    }

    /// The value of the first field of that name, in any case.
    pub(super) fn first<'a>(&'a self, bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
        match KnownName::recognise(name.as_bytes()) {
            Some(known) => self.known(bytes, known),
            None => self.named(bytes, name).next(),
        }
    }

    /// The values of all fields of that name, in any case.
    pub(super) fn named<'a, 'n>(
        &'a self,
        bytes: &'a [u8],
        name: &'n str,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.entries
            .iter()
            .filter(move |entry| entry.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()))
            .map(move |entry| entry.value.of(bytes))
    }

    /// Puts one field in place of all fields of that name. Its name and value are appended to `bytes`.
    pub(super) fn set(&mut self, bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        self.remove(bytes, name);
        let start = bytes.len();
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(value);
        let middle = start + name.len();
        let entry = Entry { name: Span::new(start, middle), value: Span::new(middle, bytes.len()) };
        self.entries.push(entry);
        self.index(KnownName::recognise(name), self.entries.len() - 1);
    }

    /// Takes all fields of that name out.
    pub(super) fn remove(&mut self, bytes: &[u8], name: &[u8]) {
        self.entries.retain(|entry| !entry.name.of(bytes).eq_ignore_ascii_case(name));
        // Entries behind those that are gone have moved.
        (self.known, self.repeated) = ([0; KnownName::COUNT], 0);
        for index in 0..self.entries.len() {
            let known = KnownName::recognise(self.entries[index].name.of(bytes));
            self.index(known, index);
        }
    }

    /// Lets the field with this index be found by its name, if that is a known one.
    fn index(&mut self, known: Option<KnownName>, index: usize) {
        let Some(known) = known else { return };
        let slot = &mut self.known[known as usize];
        if *slot == 0 {
            // A head, which is below 4 GiB, has fewer fields.
            *slot = u32::try_from(index + 1).unwrap_or(0);
        } else {
            self.repeated |= 1 << known as usize;
        }
    }

    /// All names and values in the order received.
    pub(super) fn iter<'a>(&'a self, bytes: &'a [u8]) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> {
        self.entries
            .iter()
            .map(|entry| (std::str::from_utf8(entry.name.of(bytes)).unwrap_or_default(), entry.value.of(bytes)))
    }
}

/// Names the first rule that the field lines of a head break, up to its blank line.
pub(super) fn broken_rule(lines: &[u8], limit: usize) -> Option<Refusal> {
    let lines = lines.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let fields = lines.take_while(|line| !line.is_empty());
    fields.enumerate().find_map(|(index, line)| match index {
        index if index == limit => Some(Refusal::TooManyFields { limit }),
        _ => broken_rule_of_line(line),
    })
}

fn broken_rule_of_line(line: &[u8]) -> Option<Refusal> {
    if line.contains(&b'\r') {
        return Some(Refusal::BareCarriageReturn);
    }
    if line.first().is_some_and(|&byte| is_space(byte)) {
        return Some(Refusal::FoldedField);
    }
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return Some(Refusal::MalformedFieldName) };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.last().is_some_and(|&byte| is_space(byte)) {
        return Some(Refusal::SpaceBeforeColon);
    }
    if !is_token(name) {
        return Some(Refusal::MalformedFieldName);
    }
    (!value.iter().all(|&byte| is_field_value_byte(byte))).then_some(Refusal::ControlByteInField)
}
