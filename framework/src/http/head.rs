//! Request heads: one request line and its fields, checked and kept as bytes plus a table of offsets.
//!
//! `httparse` takes a head apart, and nearly every head is complete and correct at the first look. Our own rules (no
//! lines that end in LF alone, limits, the meaning of fields) are checked on top of it, and the head is copied once.
//!
//! Any other head goes the long way. First its end is searched, line by line. No byte is looked at twice, whatever the
//! pieces that the input comes in. Limits and bare line feeds are found here, before the head is complete. Once it is
//! complete, a second look names the rule that it breaks, since the parser's errors do not. Every rule looks at a
//! prefix of the input, so the outcome does not depend on how the input was split.
//!
//! Framing is decided in `framing`, target forms in `target`. Nothing is decoded here; see `path` and `cookie`.

use super::fields::{self, FieldTable, KnownName};
use super::grammar::{is_token_byte, trim};
use super::list::list_members;
use super::request_line::RequestLine;
use super::scan;
use super::span::Span;
use super::target::{Target, is_authority};
use super::{Framing, Refusal};
use ::http::{HeaderName, HeaderValue, Method, Version};
use std::fmt;
use std::mem::MaybeUninit;

/// How large a request head may be.
#[derive(Clone, Debug)]
pub struct HeadLimits {
    /// Longest request line in bytes, without its CRLF (default 8 KiB; longer is 414).
    pub request_line: usize,
    /// Longest head in bytes, request line and blank line included (default 32 KiB; longer is 431).
    pub head: usize,
    /// Most header fields (default 100; more is 431).
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { request_line: 8 * 1024, head: 32 * 1024, fields: 100 }
    }
}

/// One request head, owned: its bytes and the table that finds things in them.
///
/// The value is made to be reused: [`read`](RequestHead::read) keeps the capacity of earlier requests. While no head
/// has been read, the method is GET, the version HTTP/1.1, and everything else empty. After a refusal, method, target,
/// path and [`request_line`](RequestHead::request_line) say as much as could be recognised, for the log.
///
/// ```
/// use kirsch::http::{HeadLimits, RequestHead};
///
/// let mut head = RequestHead::new();
/// let input = b"GET /songs?id=42 HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// let used = head.read(input, &mut 0, &HeadLimits::default())?;
/// assert_eq!(used, Some(input.len()));
/// assert_eq!((head.path(), head.query()), ("/songs", Some("id=42")));
/// # Ok::<(), kirsch::http::Refusal>(())
/// ```
#[derive(Debug)]
pub struct RequestHead {
    /// From the request line to the blank line; after a refusal, the start of the request line.
    bytes: Vec<u8>,
    method: Method,
    version: Version,
    line: Span,
    target: String,
    /// In the target. Empty together with a target: absolute-form without a path, which means `/`.
    path: Span,
    /// In the target.
    query: Option<Span>,
    host: Span,
    fields: FieldTable,
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
}

impl RequestHead {
    /// An empty head, ready for [`read`](RequestHead::read).
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: Vec::new(),
            method: Method::GET,
            version: Version::HTTP_11,
            line: Span::default(),
            target: String::new(),
            path: Span::default(),
            query: None,
            host: Span::default(),
            fields: FieldTable::default(),
            framing: Framing::None,
            keep_alive: false,
            expects_continue: false,
        }
    }

    /// Reads a head from the start of `input`, which holds everything received since the last request ended.
    ///
    /// Returns the number of bytes the head took (leading empty line included), or `None` when more must be
    /// received first. `searched` is how far an earlier call with a shorter `input` has looked for the end;
    /// start it at 0.
    ///
    /// # Errors
    /// A [`Refusal`] names the rule that the head breaks; the connection must end.
    pub fn read(&mut self, input: &[u8], searched: &mut usize, limits: &HeadLimits) -> Result<Option<usize>, Refusal> {
        let outcome = self.look(input, searched, limits);
        match outcome {
            Ok(Some(_)) => {}
            Ok(None) => self.clear(),
            Err(_) => self.recognise(input),
        }
        outcome
    }

    /// Empties the head and keeps its buffers.
    pub fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut target = std::mem::take(&mut self.target);
        let mut fields = std::mem::take(&mut self.fields);
        bytes.clear();
        target.clear();
        fields.clear();
        *self = Self { bytes, target, fields, ..Self::new() };
    }

    /// Gives the room of the buffers back that the head does not need.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.target.shrink_to_fit();
        self.fields.shrink();
    }

    /// Reads the request line of an incomplete or broken head as far as possible, for the log and the error page.
    ///
    /// [`read`](RequestHead::read) does this by itself when it refuses; call it when the head was given up for
    /// another reason, such as a deadline.
    pub fn recognise(&mut self, input: &[u8]) {
        self.clear();
        let input = &input[start_of_head(input).unwrap_or(0)..];
        let most = &input[..input.len().min(LONGEST_RECOGNISED)];
        let line = most.split(|&byte| byte == b'\n').next().unwrap_or_default();
        self.bytes.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        self.line = Span::new(0, self.bytes.len());
        let Some((method, target)) = RequestLine::recognise(&self.bytes) else { return };
        self.target.push_str(target);
        if let Ok(parts) = Target::parse(&method, target.as_bytes()) {
            self.path = part_of(target.as_bytes(), parts.path);
            self.query = parts.query.map(|query| part_of(target.as_bytes(), query));
        }
        self.method = method;
    }

    /// The request method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path as sent, still percent-encoded: starts with `/`, or is `*` for OPTIONS. Empty in an empty head.
    #[must_use]
    pub fn path(&self) -> &str {
        if self.path.is_empty() && !self.target.is_empty() { "/" } else { self.path.text(&self.target) }
    }

    /// The request line up to the end of the path, as sent: `GET /path`.
    pub(crate) fn method_and_path(&self) -> &[u8] {
        let end = if self.path.is_empty() { self.target.len() } else { self.path.end() };
        let line = self.line.of(&self.bytes);
        &line[..line.len().min(self.method.as_str().len() + 1 + end)]
    }

    /// The query as sent, without its `?`; `None` when there is no `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.map(|query| query.text(&self.target))
    }

    /// The request target as sent.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The request line as sent, for the log. It is one line in any case: `"`, `\` and all bytes that are not printable
    /// ASCII are written as `\x1b`. After a refusal at most its first 1024 bytes.
    #[must_use]
    pub fn request_line(&self) -> impl fmt::Display + '_ {
        Escaped(self.line.of(&self.bytes))
    }

    /// The authority of the request: of an absolute-form target, else the Host field; empty when it has neither.
    #[must_use]
    pub fn host(&self) -> &str {
        std::str::from_utf8(self.host.of(&self.bytes)).unwrap_or_default()
    }

    /// The first field of that name, in any case; `None` also when its value is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.fields.first(&self.bytes, name)?).ok()
    }

    /// The values of all fields of that name, in any case, in the order received.
    pub fn headers_named<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields.named(&self.bytes, name)
    }

    /// All fields in the order received: names as sent, values without surrounding white space. Fields with `_` in
    /// their name are left out: some programs cannot tell `X_Forwarded_For` from `X-Forwarded-For`.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.fields.iter(&self.bytes)
    }

    /// Puts one field in place of all fields of that name, for later readers. The values that the server has read
    /// already (framing, host, the life of the connection) stay.
    pub fn set_header(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.fields.set(&mut self.bytes, name.as_str().as_bytes(), value.as_bytes());
    }

    /// Removes all fields of that name for later readers. The values that the server has read already stay, as with
    /// [`set_header`](Self::set_header).
    pub fn remove_header(&mut self, name: &HeaderName) {
        self.fields.remove(&self.bytes, name.as_str().as_bytes());
    }

    /// The cookies of all Cookie fields, as [`cookies`](super::cookies) reads them.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        // The index spares requests without cookies the search.
        let any = self.fields.known(&self.bytes, KnownName::Cookie).is_some();
        any.then(|| self.headers_named("cookie")).into_iter().flatten().flat_map(super::cookies)
    }

    /// Whether the request has a condition (RFC 9110, section 13.1) or wants a part (Range), well-formed or not.
    #[must_use]
    pub fn is_conditional(&self) -> bool {
        use KnownName::{IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince, Range};
        self.fields.has_any(&[IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince, Range])
    }

    /// How the body that follows is framed.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The length of the body that the client announced; `None` also for chunked bodies.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked | Framing::UntilEnd => None,
        }
    }

    /// Whether the client lets the connection live on after this request (version and Connection field).
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client waits for `100 Continue` before it sends the body (HTTP/1.1 only; never without a body).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Makes a head that was read from the text of a request of HTTP/2 ([`write_http2_head`](super::write_http2_head))
    /// what it is. A text of HTTP/1.1 has no sign for content without a length, so whether there is content is told
    /// here.
    #[cfg(feature = "http2")]
    pub(crate) fn become_http2(&mut self, has_content: bool) {
        self.version = Version::HTTP_2;
        let line = self.line.end();
        if let Some(version) = self.bytes[..line].last_chunk_mut().filter(|version| *version == b"HTTP/1.1") {
            *version = *b"HTTP/2.0";
        }
        if has_content && self.framing == Framing::None {
            self.framing = Framing::UntilEnd;
        }
        self.expects_continue = self.fields.known(&self.bytes, KnownName::Expect).is_some()
            && !matches!(self.framing, Framing::None | Framing::Length(0));
    }

    fn look(&mut self, input: &[u8], searched: &mut usize, limits: &HeadLimits) -> Result<Option<usize>, Refusal> {
        // An incomplete head is parsed once only: a client that sends it byte by byte must not cost its square.
        if *searched == 0
            && let Some(end) = self.parse(input, limits)?
        {
            return Ok(Some(end));
        }
        let Some((start, end)) = find_head(input, searched, limits)? else { return Ok(None) };
        match self.parse(&input[..end], limits)? {
            Some(end) => Ok(Some(end)),
            None => {
                let refusal = broken_rule(&input[start..end], limits);
                debug_assert!(refusal.is_some(), "each rule of the parser has a name");
                Err(refusal.unwrap_or(Refusal::MalformedRequestLine))
            }
        }
    }

    /// Reads a complete head that is well-formed; `None` when it is not, or not complete yet. Returns where it ends.
    fn parse(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Refusal> {
        let mut usual = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
        let mut many = Vec::new();
        let room = match usual.get_mut(..limits.fields) {
            Some(room) => room,
            None => {
                // Four bytes are the shortest field.
                many.resize_with(limits.fields.min(input.len() / 4 + 1), MaybeUninit::uninit);
                &mut many[..]
            }
        };
        self.parse_into(room, input, limits)
    }

    fn parse_into<'i>(
        &mut self,
        room: &mut [MaybeUninit<httparse::Header<'i>>],
        input: &'i [u8],
        limits: &HeadLimits,
    ) -> Result<Option<usize>, Refusal> {
        let Some(start) = start_of_head(input) else { return Ok(None) };
        let head = &input[start..];
        let head = &head[..head.len().min(head_limit(limits))];
        // The parser passes over any number of empty lines.
        if !head.first().is_some_and(|&byte| is_token_byte(byte)) {
            return Ok(None);
        }
        let mut request = httparse::Request::new(&mut []);
        let Ok(httparse::Status::Complete(length)) = request.parse_with_uninit_headers(head, room) else {
            return Ok(None);
        };
        let (Some(method), Some(target)) = (request.method, request.path) else { return Ok(None) };
        let head = &head[..length];
        let Some(line_end) = self.fields.fill(head, request.headers) else { return Ok(None) };
        if line_end > limits.request_line || scan::not_graphic(target.as_bytes(), 0).is_some() {
            return Ok(None);
        }
        self.version = if request.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        self.method = match method {
            "GET" => Method::GET,
            method => Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::MalformedRequestLine)?,
        };
        self.settle(head, line_end, target)?;
        debug_assert_eq!(broken_rule(head, limits), None, "the parser lets nothing through that has a name");
        Ok(Some(start + length))
    }

    /// Copies a well-formed head in place of the last one and decides what its target and its fields mean together.
    fn settle(&mut self, head: &[u8], line_end: usize, target: &str) -> Result<(), Refusal> {
        let parts = Target::parse(&self.method, target.as_bytes())?;
        let host = check_host(&self.fields, head, self.version)?;
        self.framing = Framing::of(&self.fields, head, self.version)?;
        check_content_type(&self.fields, head)?;
        self.keep_alive = wants_keep_alive(&self.fields, head, self.version);
        self.expects_continue = check_expectation(&self.fields, head, self.version)?
            && !matches!(self.framing, Framing::None | Framing::Length(0));
        self.host = part_of(head, parts.authority.unwrap_or(host));
        self.line = Span::new(0, line_end);
        self.path = part_of(target.as_bytes(), parts.path);
        self.query = parts.query.map(|query| part_of(target.as_bytes(), query));
        self.target.clear();
        self.target.push_str(target);
        self.bytes.clear();
        self.bytes.extend_from_slice(head);
        Ok(())
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of fields for which there is room without an allocation: that of the default limit.
const USUAL_FIELDS: usize = 100;
/// The number of bytes of a refused request line that are kept for the log.
const LONGEST_RECOGNISED: usize = 1024;

/// Names the rule of syntax that a complete head breaks. The parser and this second look hold each other's rules: see
/// the two assertions above.
#[cold]
fn broken_rule(head: &[u8], limits: &HeadLimits) -> Option<Refusal> {
    let line_end = scan::line_feed(head, 0).map_or(0, |end| end - 1);
    if line_end > limits.request_line {
        return Some(Refusal::RequestLineTooLong { limit: limits.request_line });
    }
    let line = match RequestLine::parse(&head[..line_end]) {
        Ok(line) => line,
        Err(refusal) => return Some(refusal),
    };
    let in_target = Target::parse(&line.method, line.target).err();
    in_target.or_else(|| fields::broken_rule(&head[line_end + 2..], limits.fields))
}

/// The longest head in bytes: offsets into a head are 32 bits wide.
fn head_limit(limits: &HeadLimits) -> usize {
    limits.head.min(u32::MAX as usize)
}

/// Where the head begins: one empty line before it is ignored (RFC 9112, section 2.2). `None` while that is open.
fn start_of_head(input: &[u8]) -> Option<usize> {
    match input {
        [] | [b'\r'] => None,
        [b'\r', b'\n', ..] => Some(2),
        _ => Some(0),
    }
}

/// Searches the start and end of the head; the end is behind the blank line.
fn find_head(input: &[u8], searched: &mut usize, limits: &HeadLimits) -> Result<Option<(usize, usize)>, Refusal> {
    let Some(start) = start_of_head(input) else { return Ok(None) };
    match input.get(start) {
        None => return Ok(None),
        // A TLS greeting or other noise is refused at its first byte rather than at the deadline.
        Some(&byte) if !is_token_byte(byte) => {
            return Err(if byte == b'\n' { Refusal::BareLineFeed } else { Refusal::MalformedRequestLine });
        }
        Some(_) => {}
    }
    let head_limit = head_limit(limits);
    let head_end = start.saturating_add(head_limit);
    let line_end = start.saturating_add(limits.request_line).saturating_add(2);
    // Looked at once, by the call that brings the input past this point.
    if line_end <= head_end
        && *searched < line_end
        && input.len() >= line_end
        && !input[start..line_end].contains(&b'\n')
    {
        return Err(Refusal::RequestLineTooLong { limit: limits.request_line });
    }
    let window = &input[..input.len().min(head_end)];
    let from = (*searched).clamp(start, window.len());
    let mut next = from;
    while let Some(line_feed) = scan::line_feed(window, next) {
        match &window[start..line_feed] {
            [.., b'\n', b'\r'] => return Ok(Some((start, line_feed + 1))),
            [.., b'\r'] => next = line_feed + 1,
            _ => return Err(Refusal::BareLineFeed),
        }
    }
    if input.len() >= head_end {
        return Err(Refusal::HeadTooLarge { limit: head_limit });
    }
    *searched = input.len();
    Ok(None)
}

/// The Host field: exactly one in HTTP/1.1, at most one in HTTP/1.0. An empty one stands for an empty authority, which
/// http addresses must not have (RFC 9110, section 4.2.1).
fn check_host<'a>(fields: &FieldTable, bytes: &'a [u8], version: Version) -> Result<&'a [u8], Refusal> {
    match fields.known(bytes, KnownName::Host) {
        None if version == Version::HTTP_10 => Ok(&[]),
        None => Err(Refusal::MissingHost),
        Some(_) if fields.is_repeated(KnownName::Host) => Err(Refusal::RepeatedHost),
        Some(b"") if version == Version::HTTP_10 => Ok(&[]),
        Some(b"") => Err(Refusal::MissingHost),
        Some(host) if is_authority(host) => Ok(host),
        Some(_) => Err(Refusal::MalformedHost),
    }
}

/// One type for one content: programs on the way that take the first field, and those that take the last, would read
/// two contents.
fn check_content_type(fields: &FieldTable, bytes: &[u8]) -> Result<(), Refusal> {
    if !fields.is_repeated(KnownName::ContentType) {
        return Ok(());
    }
    let first = fields.known(bytes, KnownName::ContentType);
    match fields.named(bytes, "content-type").all(|value| Some(value) == first) {
        true => Ok(()),
        false => Err(Refusal::ContradictingContentTypes),
    }
}

/// RFC 9112, section 9.3: `close` wins, HTTP/1.1 lives on, HTTP/1.0 lives on with `keep-alive`.
fn wants_keep_alive(fields: &FieldTable, bytes: &[u8], version: Version) -> bool {
    let Some(first) = fields.known(bytes, KnownName::Connection) else { return version == Version::HTTP_11 };
    // The usual field of browsers needs no look at the list.
    if first == b"keep-alive" && !fields.is_repeated(KnownName::Connection) {
        return true;
    }
    let (mut close, mut keep_alive) = (false, false);
    let mut note = |list: &[u8]| {
        for option in list.split(|&byte| byte == b',').map(trim) {
            close |= option.eq_ignore_ascii_case(b"close");
            keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    };
    if fields.is_repeated(KnownName::Connection) {
        fields.named(bytes, "connection").for_each(note);
    } else {
        note(first);
    }
    !close && (keep_alive || version == Version::HTTP_11)
}

/// Whether `100-continue` is expected. HTTP/1.0 has no expectations, so the field is ignored there.
fn check_expectation(fields: &FieldTable, bytes: &[u8], version: Version) -> Result<bool, Refusal> {
    if version != Version::HTTP_11 || fields.known(bytes, KnownName::Expect).is_none() {
        return Ok(false);
    }
    let mut expects = false;
    for expectation in list_members(fields.named(bytes, "expect")) {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::UnknownExpectation);
        }
        expects = true;
    }
    Ok(expects)
}

/// The span of a part that may be empty and then lies nowhere.
fn part_of(bytes: &[u8], part: &[u8]) -> Span {
    if part.is_empty() { Span::default() } else { Span::within(bytes, part) }
}

/// Bytes of a client on one line of a log, between quotation marks.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for &byte in self.0 {
            match byte {
                b'"' | b'\\' | 0..=0x1f | 0x7f.. => write!(f, "\\x{byte:02x}")?,
                _ => f.write_char(char::from(byte))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
