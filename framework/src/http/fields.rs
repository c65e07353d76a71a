//! The fields of a request head: a table of offsets, with an index of the names that servers and tools ask for.
//!
//! `httparse` takes the lines apart; whoever calls has made sure that every LF follows a CR. The names in [`KnownName`]
//! are recognised once, while the table is filled, so that asking for them later is one array access.

use super::Refusal;
use super::grammar::{is_field_value_byte, is_name, is_token};
use super::span::Span;
use httparse::{EMPTY_HEADER, Header, Status};

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

    /// The known name that `name` is, in any case. Length and first letter leave one candidate.
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
        if !self.entries.is_empty() {
            *self = Self { entries: std::mem::take(&mut self.entries), ..Self::default() };
            self.entries.clear();
        }
    }

    /// Fills the table from `block`, a part of `bytes` that reaches from the first field line to the blank line.
    pub(super) fn read(&mut self, bytes: &[u8], block: &[u8], limit: usize) -> Result<(), Refusal> {
        // Most heads have few fields, and clearing the array for a hundred costs more than parsing ten.
        const FEW: usize = 24;
        const MANY: usize = 100;
        let fits = self.read_into(&mut [EMPTY_HEADER; FEW][..limit.min(FEW)], bytes, block)?
            || (limit > FEW && self.read_into(&mut [EMPTY_HEADER; MANY][..limit.min(MANY)], bytes, block)?)
            || (limit > MANY && {
                // No field is shorter than `a:` and CRLF.
                let most = limit.min(block.len() / 4);
                self.read_into(&mut vec![EMPTY_HEADER; most], bytes, block)?
            });
        if fits { Ok(()) } else { Err(Refusal::TooManyFields { limit }) }
    }

    /// Whether `headers` had room for all fields.
    fn read_into<'a>(&mut self, headers: &mut [Header<'a>], bytes: &[u8], block: &'a [u8]) -> Result<bool, Refusal> {
        match httparse::parse_headers(block, headers) {
            Ok(Status::Complete((used, fields))) if used == block.len() => {
                for field in fields {
                    self.push(bytes, field);
                }
                Ok(true)
            }
            Err(httparse::Error::TooManyHeaders) => Ok(false),
            _ => Err(broken_rule(block)),
        }
    }

    fn push(&mut self, bytes: &[u8], field: &Header<'_>) {
        // Programs behind this one may not tell `_` from `-`, and would take `X_Forwarded_For` for the field of a proxy that they
        // trust. No field in use has one, so such fields are dropped, as nginx does.
        if field.name.as_bytes().contains(&b'_') {
            return;
        }
        let name = Span::within(bytes, field.name.as_bytes());
        // An empty value of httparse need not lie within the block.
        let value = if field.value.is_empty() { Span::default() } else { Span::within(bytes, field.value) };
        self.entries.push(Entry { name, value });
        if let Some(known) = KnownName::recognise(field.name.as_bytes()) {
            let slot = &mut self.known[known as usize];
            if *slot == 0 {
                *slot = u32::try_from(self.entries.len()).expect("a head is limited to less than 4 GiB");
            } else {
                self.repeated |= 1 << known as usize;
            }
        }
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

    /// All names and values in the order received.
    pub(super) fn iter<'a>(&'a self, bytes: &'a [u8]) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> {
        self.entries.iter().map(|entry| (entry.name.text(bytes), entry.value.of(bytes)))
    }
}

/// Names the first rule that `block` breaks, once it is known that it breaks one.
fn broken_rule(block: &[u8]) -> Refusal {
    for line in block.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if memchr::memchr(b'\r', line).is_some() {
            return Refusal::BareCarriageReturn;
        }
        match line.first() {
            None => continue,
            Some(b' ' | b'\t') => return Refusal::FoldedField,
            Some(_) => {}
        }
        let Some(colon) = memchr::memchr(b':', line) else { return Refusal::MalformedFieldName };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if matches!(name.last(), Some(b' ' | b'\t')) {
            return Refusal::SpaceBeforeColon;
        }
        if !is_token(name) {
            return Refusal::MalformedFieldName;
        }
        if !value.iter().all(|&byte| is_field_value_byte(byte)) {
            return Refusal::ControlByteInField;
        }
    }
    Refusal::MalformedFieldName
}
