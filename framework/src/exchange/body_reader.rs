//! The body as a stream that the handler reads itself: [`Body`], and how errors of the client keep their status.

use super::{Argument, ArgumentInfo, Arguments, BodyUse, Error, ErrorKind, HttpError, RequestBody};
use crate::http::{MultipartError, Refusal};
use ::http::StatusCode;
use std::io::{self, ErrorKind as IoErrorKind, Read};

/// The body as a stream that the handler reads itself, with [`Read`]. Nothing is read before, and `100 Continue` is
/// sent at the first read. The rest is read past, or the connection is closed.
///
/// The handler holds its worker while it waits for the client, which must keep up the rate of `server.body_timeout` and
/// `server.body_rate`. A body that is too large, too slow or broken off is an [`io::Error`] that `?` turns into its
/// status: 413, 408, 400.
///
/// A body in a content coding comes as it was sent; the request's field `Content-Encoding` says so. Everything else
/// that takes a body answers 415 to it.
#[derive(Debug)]
pub struct Body {
    content: RequestBody,
    position: usize,
}

impl Body {
    pub(super) fn new(content: RequestBody) -> Self {
        Self { content, position: 0 }
    }

    /// Reads all that is left.
    ///
    /// # Errors
    /// 413 when it is more than `limit` bytes; a body that the client spoils has its usual status, such as 408 for one
    /// that is too slow.
    pub fn read_all(&mut self, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut content = Vec::new();
        // One byte more than allowed tells "too much" from "just enough".
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        self.take(most).read_to_end(&mut content).map_err(unreadable)?;
        if content.len() > limit {
            let message = format!("the body is larger than the {limit} bytes that this page reads");
            return Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(content)
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.content {
            RequestBody::None => Ok(0),
            RequestBody::Memory(content) => {
                let mut left = &content[self.position..];
                let count = left.read(buffer)?;
                self.position += count;
                Ok(count)
            }
            RequestBody::File { file, .. } => file.read(buffer),
            RequestBody::Stream(stream) => stream.read(buffer),
        }
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        read_exactly(self, buffer)
    }

    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        read_text(self, text)
    }
}

impl<'a> Argument<'a> for Body {
    const INFO: ArgumentInfo = ArgumentInfo { body: BodyUse::Stream, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        Ok(Self::new(arguments.body.take()))
    }
}

/// An error of the client, as it travels in an [`io::Error`].
///
/// The cause is its `source`: the errors of parsers pass on the source of an `io::Error`, but not its content.
#[derive(Debug)]
pub(crate) enum BodyError {
    Refused(Refusal),
    Multipart(MultipartError),
    NotUtf8(NotUtf8),
}

/// The body was read as a text, so no stream is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8;

impl std::fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the text in the request body is not UTF-8")
    }
}

impl std::error::Error for NotUtf8 {}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Multipart(error) => error.fmt(f),
            Self::NotUtf8(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::Refused(refusal) => refusal,
            Self::Multipart(error) => error,
            Self::NotUtf8(error) => error,
        })
    }
}

impl From<Refusal> for BodyError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<MultipartError> for BodyError {
    fn from(error: MultipartError) -> Self {
        Self::Multipart(error)
    }
}

impl From<BodyError> for io::Error {
    fn from(error: BodyError) -> Self {
        let kind = match error {
            BodyError::Refused(Refusal::TooSlow { .. }) => IoErrorKind::TimedOut,
            BodyError::Refused(Refusal::BodyTooLarge { .. }) => IoErrorKind::FileTooLarge,
            BodyError::Refused(Refusal::IncompleteBody | Refusal::BodyTooShort)
            | BodyError::Multipart(MultipartError::Unfinished) => IoErrorKind::UnexpectedEof,
            BodyError::Refused(Refusal::Stopping) => IoErrorKind::ConnectionAborted,
            _ => IoErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// As the standard library's, but a body that is too short is the client's fault.
pub(super) fn read_exactly(from: &mut impl Read, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match from.read(buffer) {
            Ok(0) => return Err(BodyError::from(Refusal::BodyTooShort).into()),
            Ok(length) => buffer = &mut buffer[length..],
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// As the standard library's, but a text that is not UTF-8 is the client's fault.
pub(super) fn read_text(from: &mut impl Read, text: &mut String) -> io::Result<usize> {
    let mut content = Vec::new();
    from.read_to_end(&mut content)?;
    let read = std::str::from_utf8(&content).map_err(|_| io::Error::from(BodyError::NotUtf8(NotUtf8)))?;
    text.push_str(read);
    Ok(read.len())
}

/// An error of the client keeps its status; any other error, such as a temporary file that cannot be read, is not the
/// client's fault.
pub(super) fn unreadable(error: io::Error) -> HttpError {
    match Error::from(error).into_kind() {
        ErrorKind::Http(error) => error,
        kind => {
            crate::line::record!(Error, target: "kirsch::error", "the body of a request cannot be read: {}", Error::from(kind));
            HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
        }
    }
}
