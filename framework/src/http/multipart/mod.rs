//! multipart/form-data (RFC 7578, RFC 2046): from the bytes of a body to its parts.
//!
//! ```text
//! Preamble ─► Boundary ─┬─► LineFeed ─► Head ─► Content ─► Boundary
//!                ▲   ▲  │       ▲
//!                │   │  ├► Padding
//!                │   │  └► Dash ─► Done
//! ```
//!
//! The parser takes pieces of the body, however they were split, and returns their meaning; content is borrowed from
//! the piece. A possible start of a boundary at the end of a piece need not be kept: it *is* the start of the boundary,
//! so only its length is remembered. A boundary is searched for as a whole, never line by line: a file without line
//! ends, or one of nothing but CR, costs no more than any other.
//!
//! Strict where parts begin and end: a boundary is CRLF, `--`, its text, white space and CRLF. LF alone, or text behind
//! a boundary, is an error, since another reader might see other parts. Generous in the heads of parts, which are MIME:
//! they may be folded, and a bad parameter in one loses neither the part nor the form.

mod error;
mod part_head;
#[cfg(test)]
mod tests;

use super::{Charset, Parameters, UnknownCharset};
pub use error::MultipartError;
use memchr::memmem::Finder;
pub use part_head::PartHead;

/// How much of a multipart body is read; its size is limited where the body is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartLimits {
    /// Maximum of parts (default 1000).
    pub parts: usize,
    /// Largest head of one part in bytes (default 8 KiB: a file name has 255 bytes at most on any file system).
    pub head: usize,
}

impl Default for PartLimits {
    fn default() -> Self {
        Self { parts: 1000, head: 8 * 1024 }
    }
}

/// Takes a multipart/form-data body apart.
///
/// ```
/// use kirsch::http::{MultipartEvent, MultipartParser, PartLimits};
///
/// let mut parser = MultipartParser::new("multipart/form-data; boundary=XX", PartLimits::default())?;
/// let body = b"--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHello\r\n--XX--\r\n";
/// let mut texts = Vec::new();
/// for mut piece in body.chunks(7) {
///     while !piece.is_empty() {
///         let (used, event) = parser.next(piece)?;
///         match event {
///             MultipartEvent::Part(head) => texts.push((head.name, Vec::new())),
///             MultipartEvent::Content(content) => texts.last_mut().unwrap().1.extend_from_slice(content),
///             _ => {}
///         }
///         piece = &piece[used..];
///     }
/// }
/// parser.finish()?;
/// assert_eq!(texts, [("title".to_owned(), b"Hello".to_vec())]);
/// # Ok::<(), kirsch::http::MultipartError>(())
/// ```
#[derive(Debug)]
pub struct MultipartParser {
    state: State,
    /// CR, LF, `--` and the boundary's text.
    delimiter: Finder<'static>,
    /// How many bytes of the delimiter the input has ended with.
    matched: usize,
    /// How many of these are not content: a delimiter at the very start, or right behind a head, needs no CRLF of its
    /// own.
    free: usize,
    head: Vec<u8>,
    parts: usize,
    limits: PartLimits,
    /// The charset of the names of parts.
    charset: Charset,
}

/// The meaning of a piece of a multipart body.
#[derive(Debug, PartialEq, Eq)]
pub enum MultipartEvent<'a> {
    /// Nothing yet; all of the input is used.
    More,
    /// A part begins.
    Part(PartHead),
    /// Content of the part.
    Content(&'a [u8]),
    /// The part has ended.
    PartEnd,
    /// The last boundary. Anything after it is ignored.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Preamble,
    /// Behind the text of a boundary.
    Boundary,
    Padding,
    LineFeed,
    Dash,
    Head,
    Content,
    Done,
    Failed(MultipartError),
}

/// The result of the search for the delimiter at the start of the input.
enum Found {
    /// Bytes that are not part of a delimiter.
    Content(usize),
    /// The bytes that were held back are not part of a delimiter.
    Held(usize),
    /// A delimiter that ends here.
    Delimiter(usize),
    /// Perhaps the start of one.
    Perhaps,
}

impl MultipartParser {
    /// A parser for a body with this `Content-Type`.
    ///
    /// # Errors
    /// [`MultipartError::NotMultipart`], [`MultipartError::BadBoundary`] or [`MultipartError::UnknownCharset`].
    pub fn new(content_type: &str, limits: PartLimits) -> Result<Self, MultipartError> {
        let delimiter = [b"\r\n--", &*boundary(content_type)?].concat();
        let charset = Charset::declared(content_type).map_err(|UnknownCharset| MultipartError::UnknownCharset)?;
        Ok(Self {
            state: State::Preamble,
            delimiter: Finder::new(&delimiter).into_owned(),
            matched: 2,
            free: 2,
            head: Vec::new(),
            parts: 0,
            limits,
            charset: charset.unwrap_or_default(),
        })
    }

    /// Reads from the start of `input`: how many bytes were used, and what they mean. Call it again with the rest.
    ///
    /// # Errors
    /// The rule that the body breaks; from then on the same error each time.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, MultipartEvent<'a>), MultipartError> {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            match self.state {
                State::Preamble | State::Content => {
                    let in_part = self.state == State::Content;
                    match self.search(rest) {
                        Found::Perhaps => used = input.len(),
                        Found::Delimiter(length) => {
                            self.state = State::Boundary;
                            used += length;
                            if in_part {
                                return Ok((used, MultipartEvent::PartEnd));
                            }
                        }
                        Found::Content(length) => {
                            if in_part {
                                return Ok((used + length, MultipartEvent::Content(&rest[..length])));
                            }
                            used += length;
                        }
                        Found::Held(length) => {
                            let held = self.free..length;
                            self.free = 0;
                            if in_part && !held.is_empty() {
                                return Ok((used, MultipartEvent::Content(&self.delimiter.needle()[held])));
                            }
                        }
                    }
                }
                State::Head => {
                    let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                    used += length;
                    if let Some(head) = self.read_head(&rest[..length]).map_err(|error| self.fail(error))? {
                        return Ok((used, MultipartEvent::Part(head)));
                    }
                }
                State::Boundary | State::Padding | State::LineFeed | State::Dash => {
                    self.state = self.step(rest[0]).map_err(|error| self.fail(error))?;
                    used += 1;
                    if self.state == State::Done {
                        return Ok((used, MultipartEvent::End));
                    }
                }
                State::Done => used = input.len(),
                State::Failed(error) => return Err(error),
            }
        }
        Ok((used, MultipartEvent::More))
    }

    /// Tells the parser that there is no more input.
    ///
    /// # Errors
    /// When the last boundary has not come.
    pub fn finish(&self) -> Result<(), MultipartError> {
        match self.state {
            State::Done => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(MultipartError::Unfinished),
        }
    }

    fn search(&mut self, input: &[u8]) -> Found {
        let delimiter = self.delimiter.needle();
        if self.matched > 0 {
            let wanted = &delimiter[self.matched..];
            let common = wanted.iter().zip(input).take_while(|(wanted, byte)| wanted == byte).count();
            return if common == wanted.len() {
                self.matched = 0;
                Found::Delimiter(common)
            } else if common == input.len() {
                self.matched += common;
                Found::Perhaps
            } else {
                // No second delimiter can start among these bytes: it starts with CR, and has no other.
                Found::Held(std::mem::take(&mut self.matched))
            };
        }
        match self.delimiter.find(input) {
            Some(0) => Found::Delimiter(delimiter.len()),
            Some(place) => Found::Content(place),
            None => {
                let tail = input.len().saturating_sub(delimiter.len() - 1);
                let start = memchr::memrchr(b'\r', &input[tail..]).map(|place| tail + place);
                match start.filter(|start| delimiter.starts_with(&input[*start..])) {
                    Some(0) => {
                        self.matched = input.len();
                        Found::Perhaps
                    }
                    start => Found::Content(start.unwrap_or(input.len())),
                }
            }
        }
    }

    fn step(&mut self, byte: u8) -> Result<State, MultipartError> {
        match (self.state, byte) {
            (State::Boundary, b'-') => Ok(State::Dash),
            (State::Dash, b'-') => Ok(State::Done),
            (State::Boundary | State::Padding, b' ' | b'\t') => Ok(State::Padding),
            (State::Boundary | State::Padding, b'\r') => Ok(State::LineFeed),
            (State::Boundary | State::Padding, b'\n') => Err(MultipartError::BareLineFeed),
            (State::LineFeed, b'\n') => {
                self.parts += 1;
                if self.parts > self.limits.parts {
                    return Err(MultipartError::TooManyParts { limit: self.limits.parts });
                }
                self.head.clear();
                Ok(State::Head)
            }
            _ => Err(MultipartError::AfterBoundary),
        }
    }

    /// Takes a line of a head, or a part of a line; the head when this was its last.
    fn read_head(&mut self, line: &[u8]) -> Result<Option<PartHead>, MultipartError> {
        if self.head.len() + line.len() > self.limits.head {
            return Err(MultipartError::HeadTooLarge { limit: self.limits.head });
        }
        self.head.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            return Ok(None);
        }
        if !self.head.ends_with(b"\r\n") {
            return Err(MultipartError::BareLineFeed);
        }
        if !(self.head.ends_with(b"\r\n\r\n") || self.head == b"\r\n") {
            return Ok(None);
        }
        let head = PartHead::read(&self.head, self.charset)?;
        (self.state, self.matched, self.free) = (State::Content, 2, 2);
        Ok(Some(head))
    }

    fn fail(&mut self, error: MultipartError) -> MultipartError {
        self.state = State::Failed(error);
        error
    }
}

/// Whether a `Content-Type` says multipart/form-data.
#[must_use]
pub fn is_multipart(content_type: &str) -> bool {
    Parameters::split(content_type.as_bytes()).0.eq_ignore_ascii_case(b"multipart/form-data")
}

/// The boundary in a `Content-Type` (RFC 2046, section 5.1.1).
fn boundary(content_type: &str) -> Result<Vec<u8>, MultipartError> {
    if !is_multipart(content_type) {
        return Err(MultipartError::NotMultipart);
    }
    let mut boundary = None;
    for parameter in Parameters::split(content_type.as_bytes()).1 {
        if parameter.name.eq_ignore_ascii_case(b"boundary")
            && (!parameter.is_sound || boundary.replace(parameter.value).is_some())
        {
            return Err(MultipartError::BadBoundary);
        }
    }
    // White space may follow a boundary in the body, so white space at its end makes no difference.
    let text = boundary.as_deref().unwrap_or_default().trim_ascii_end();
    let is_allowed = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if (1..=70).contains(&text.len()) && text.iter().all(is_allowed) {
        Ok(text.to_vec())
    } else {
        Err(MultipartError::BadBoundary)
    }
}
