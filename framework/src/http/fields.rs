//! The fields of a request head: a table of offsets, with an index of the names that servers and tools ask for.
//!
//! Whoever calls has found the end of the head, and made sure that every LF follows a CR. The names in [`KnownName`] are
//! recognised once, while the table is filled, so that asking for them later is one array access.

use super::Refusal;
use super::grammar::{is_name, is_space, is_token};
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
    IfModifiedSince,
    IfNoneMatch,
    Origin,
    Range,
    Referer,
    TransferEncoding,
    UserAgent,
}

impl KnownName {
    const COUNT: usize = Self::UserAgent as usize + 1;

    /// The known name that `name`, which has no control bytes, is in any case. Length and first letter leave one candidate.
    fn recognise(name: &[u8]) -> Option<Self> {
        let first = name.first()?.to_ascii_lowercase();
        let (candidate, text) = match (name.len(), first) {
            (4, b'h') => (Self::Host, "host"),
            (5, b'r') => (Self::Range, "range"),
            (6, b'a') => (Self::Accept, "accept"),
            (6, b'c') => (Self::Cookie, "cookie"),
            (6, b'e') => (Self::Expect, "expect"),
            (6, b'o') => (Self::Origin, "origin"),
            (7, b'r') => (Self::Referer, "referer"),
            (10, b'c') => (Self::Connection, "connection"),
            (10, b'u') => (Self::UserAgent, "user-agent"),
            (12, b'c') => (Self::ContentType, "content-type"),
            (13, b'a') => (Self::Authorization, "authorization"),
            (13, b'i') => (Self::IfNoneMatch, "if-none-match"),
            (14, b'c') => (Self::ContentLength, "content-length"),
            (15, b'a') => (Self::AcceptEncoding, "accept-encoding"),
            (17, b'i') => (Self::IfModifiedSince, "if-modified-since"),
            (17, b't') => (Self::TransferEncoding, "transfer-encoding"),
            _ => return None,
        };
        is_name(name, text.as_bytes()).then_some(candidate)
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

    /// Fills the table from the head `bytes`, whose first field line begins at `start` and which ends with a blank line.
    pub(super) fn read(&mut self, bytes: &[u8], start: usize, limit: usize) -> Result<(), Refusal> {
        let mut at = start;
        let mut lines = 0;
        while bytes[at..] != *b"\r\n" {
            if lines == limit {
                return Err(Refusal::TooManyFields { limit });
            }
            lines += 1;
            at = self.read_line(bytes, at).ok_or_else(|| broken_rule(&bytes[at..]))?;
        }
        Ok(())
    }

    /// Reads the line that begins at `start`: `name:`, the value between spaces and tabs, CRLF. Returns the start of the next line.
    fn read_line(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        let colon = scan::end_of_name(bytes, start)?;
        let name = &bytes[start..colon];
        let known = KnownName::recognise(name);
        if bytes[colon] != b':' || (known.is_none() && !is_token(name)) {
            return None;
        }
        let mut end = scan::control(bytes, colon + 1)?;
        while bytes[end] == b'\t' {
            end = scan::control(bytes, end + 1)?;
        }
        if bytes[end..].get(..2)? != b"\r\n" {
            return None;
        }
        // Programs behind this one may not tell `_` from `-`, and would take `X_Forwarded_For` for the field of a proxy that they
        // trust. No field in use has one, so such fields are dropped, as nginx does.
        if known.is_some() || !scan::contains_any(name, [b'_']) {
            let (mut first, mut last) = (colon + 1, end);
            while first < last && is_space(bytes[first]) {
                first += 1;
            }
            while first < last && is_space(bytes[last - 1]) {
                last -= 1;
            }
            self.push(Span::new(start, colon), Span::new(first, last), known);
        }
        Some(end + 2)
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
            *slot = u32::try_from(index + 1).expect("a head is limited to less than 4 GiB");
        } else {
            self.repeated |= 1 << known as usize;
        }
    }

    /// All names in the order received.
    pub(super) fn names<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.entries.iter().map(|entry| entry.name.of(bytes))
    }

    /// All names and values in the order received.
    pub(super) fn iter<'a>(&'a self, bytes: &'a [u8]) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> {
        self.entries.iter().map(|entry| (entry.name.text(bytes), entry.value.of(bytes)))
    }
}

/// Names the rule that the first line of `lines` breaks, once it is known that it breaks one.
#[cold]
fn broken_rule(lines: &[u8]) -> Refusal {
    let line = lines.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.contains(&b'\r') {
        return Refusal::BareCarriageReturn;
    }
    if line.first().is_some_and(|&byte| is_space(byte)) {
        return Refusal::FoldedField;
    }
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return Refusal::MalformedFieldName };
    let name = &line[..colon];
    if name.last().is_some_and(|&byte| is_space(byte)) {
        return Refusal::SpaceBeforeColon;
    }
    if is_token(name) { Refusal::ControlByteInField } else { Refusal::MalformedFieldName }
}
