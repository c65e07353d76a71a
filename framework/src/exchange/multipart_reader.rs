//! A multipart body that the handler reads while it arrives: [`Multipart`].

use super::body_reader::{BodyError, read_exactly, read_text, unreadable};
use super::limits::Limits;
use super::multipart_form::{part_limits, part_text, refused};
use super::request_text::{CHARSET_FIELD, declared, named_by_field};
use super::upload::last_component;
use super::{Argument, ArgumentInfo, Arguments, Body, BodyUse, HttpError};
use crate::http::{Charset, MultipartError, MultipartEvent, MultipartParser, PartHead};
use ::http::StatusCode;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

/// The parts of a form one after the other, read by the handler while they arrive.
///
/// Nothing is spooled, and nothing is kept: a form of any size takes the memory of one buffer. The handler holds its
/// worker while it waits for the client, with the deadlines of [`Body`]. Where a form is small, or comes from people
/// you do not know, [`Upload`](super::Upload) is the better choice. 415 when the body is not `multipart/form-data`,
/// before it is read.
///
/// ```
/// use kirsch::{prelude::*, testing::{Client, FormData}};
/// use std::io;
///
/// struct Files;
///
/// #[handlers]
/// impl Files {
///     #[expose]
///     fn add(&self, mut form: Multipart) -> kirsch::Result<String> {
///         let mut list = String::new();
///         while let Some(mut part) = form.next_part()? {
///             let size = io::copy(&mut part, &mut io::sink())?;
///             list += &format!("{} has {size} bytes. ", part.name());
///         }
///         Ok(list)
///     }
/// }
///
/// let client = Client::in_process(App::new(Files));
/// let form = FormData::new().field("title", "The sea").file("photo", "sea.jpg", "image/jpeg", b"...");
/// client.post("/add").form_data(form).send().assert_text("title has 7 bytes. photo has 3 bytes. ");
/// ```
#[derive(Debug)]
pub struct Multipart {
    body: Body,
    parser: MultipartParser,
    limits: Arc<Limits>,
    /// The bytes from the body so far; the range is not parsed yet.
    buffer: Vec<u8>,
    unparsed: Range<usize>,
    /// Content that did not fit into the reader's buffer: at most the length of a boundary.
    held: Vec<u8>,
    state: State,
    /// The charset of the form, declared as a whole or by a field that was read.
    charset: Option<Charset>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    BetweenParts,
    InPart,
    Ended,
}

/// How much is read from the body at a time.
const PIECE: usize = 64 * 1024;

impl Multipart {
    /// The next part; the rest of the one before is read past. `None` at the end of the form.
    ///
    /// # Errors
    /// Errors of the client: 400 for a malformed form or one that breaks off, 408, 413.
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>, HttpError> {
        let mut past = [0; 4096];
        while self.state == State::InPart {
            self.read_content(&mut past).map_err(|failure| failure.answer(&self.limits))?;
        }
        match self.find_part().map_err(|failure| failure.answer(&self.limits))? {
            Some(head) => {
                Ok(Some(Part { file_name: head.file_name.as_deref().and_then(last_component), head, form: self }))
            }
            None => Ok(None),
        }
    }

    fn find_part(&mut self) -> Result<Option<PartHead>, Failure> {
        while self.state != State::Ended {
            if !self.fill()? {
                return Err(Failure::Multipart(MultipartError::Unfinished));
            }
            let (used, event) = self.parser.next(&self.buffer[self.unparsed.clone()]).map_err(Failure::Multipart)?;
            self.unparsed.start += used;
            match event {
                MultipartEvent::Part(head) => {
                    self.state = State::InPart;
                    return Ok(Some(head));
                }
                MultipartEvent::End => {
                    self.state = State::Ended;
                    // The epilogue means nothing, but the next request comes behind it.
                    self.unparsed = 0..0;
                    while self.body.read(&mut self.buffer)? > 0 {}
                }
                MultipartEvent::More | MultipartEvent::Content(_) | MultipartEvent::PartEnd => {}
            }
        }
        Ok(None)
    }

    /// Content of the current part; nothing at its end.
    fn read_content(&mut self, out: &mut [u8]) -> Result<usize, Failure> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.held.is_empty() {
            if self.state != State::InPart {
                return Ok(0);
            }
            if !self.fill()? {
                return Err(Failure::Multipart(MultipartError::Unfinished));
            }
            // Only as much as fits: the parser then returns no more either, except for the start of a text that turned
            // out not to be a boundary.
            let end = self.unparsed.end.min(self.unparsed.start + out.len());
            let (used, event) = self.parser.next(&self.buffer[self.unparsed.start..end]).map_err(Failure::Multipart)?;
            self.unparsed.start += used;
            match event {
                MultipartEvent::Content(content) if content.len() <= out.len() => {
                    out[..content.len()].copy_from_slice(content);
                    return Ok(content.len());
                }
                MultipartEvent::Content(content) => self.held.extend_from_slice(content),
                MultipartEvent::PartEnd => self.state = State::BetweenParts,
                MultipartEvent::More | MultipartEvent::Part(_) | MultipartEvent::End => {}
            }
        }
        let length = out.len().min(self.held.len());
        out[..length].copy_from_slice(&self.held[..length]);
        self.held.drain(..length);
        Ok(length)
    }

    /// Reads a piece of the body if nothing is left to parse; false at the body's end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.unparsed.is_empty() {
            self.unparsed = 0..0;
            self.buffer.resize(PIECE, 0);
            let length = self.body.read(&mut self.buffer)?;
            self.unparsed = 0..length;
        }
        Ok(!self.unparsed.is_empty())
    }
}

/// One part of a form, read with [`Read`].
#[derive(Debug)]
pub struct Part<'m> {
    head: PartHead,
    file_name: Option<String>,
    form: &'m mut Multipart,
}

impl Part<'_> {
    /// The name of the form's field.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.head.name
    }

    /// Whether it is a file; a text otherwise. A browser sends an empty file without a name where none was chosen.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.head.file_name.is_some()
    }

    /// The name that the file had at the client, as [`Upload::file_name`](super::Upload::file_name).
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// The name of the file exactly as it was sent, which may be a path; `None` when it is not a file.
    #[must_use]
    pub fn raw_file_name(&self) -> Option<&str> {
        self.head.file_name.as_deref()
    }

    /// The media type that the client claims, unchecked.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.head.content_type.as_deref()
    }

    /// Reads the rest as a text.
    ///
    /// # Errors
    /// 413 when it is more than `limit` bytes, 400 when it is not valid in its declared charset or UTF-8, 415 when it
    /// declares an unknown charset, and the other errors of the client.
    pub fn text(&mut self, limit: usize) -> Result<String, HttpError> {
        let (mut text, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            match self.form.read_content(&mut piece).map_err(|failure| failure.answer(&self.form.limits))? {
                0 => break,
                length => text.extend_from_slice(&piece[..length]),
            }
            if text.len() > limit {
                let message = format!(
                    "the field `{}` is larger than the {limit} bytes that this page reads",
                    self.name().escape_debug()
                );
                return Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
            }
        }
        if self.name() == CHARSET_FIELD && self.form.charset.is_none() {
            self.form.charset = named_by_field(&text)?;
        }
        part_text(&self.head, &text, self.form.charset)
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.form.read_content(buffer).map_err(|failure| match failure {
            Failure::Body(error) => error,
            Failure::Multipart(error) => BodyError::from(error).into(),
        })
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        read_exactly(self, buffer)
    }

    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        read_text(self, text)
    }
}

impl<'a> Argument<'a> for Multipart {
    const INFO: ArgumentInfo = ArgumentInfo { body: BodyUse::Stream, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        if let Some(refusal) = arguments.request.coded() {
            return Err(refusal);
        }
        let limits = arguments.request.limits();
        let content_type = arguments.request.header("content-type").unwrap_or_default();
        let parser =
            MultipartParser::new(content_type, part_limits(&limits)).map_err(|error| refused(error, &limits))?;
        let charset = declared(content_type, "form")?;
        Ok(Self {
            body: Body::new(arguments.body.take()),
            parser,
            limits,
            buffer: Vec::new(),
            unparsed: 0..0,
            held: Vec::new(),
            state: State::BetweenParts,
            charset,
        })
    }
}

/// Why there is nothing more to read.
enum Failure {
    Body(io::Error),
    Multipart(MultipartError),
}

impl Failure {
    fn answer(self, limits: &Limits) -> HttpError {
        match self {
            Self::Body(error) => unreadable(error),
            Self::Multipart(error) => refused(error, limits),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Body(error)
    }
}
