//! Request bodies: from framed bytes to content, whatever the framing.
//!
//! This module decides only where the body ends; the caller decides where its content goes. After a refusal the decoder
//! stays refused: the rest of the stream belongs to no request.

use super::chunked::ChunkedDecoder;
use super::{Framing, Refusal};

/// How much of a request body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Maximum of content in bytes, decoded (default 100 MiB, as in CherryPy); more is [`Refusal::BodyTooLarge`].
    pub content: u64,
    /// Maximum of chunk extensions in one body, in bytes (default 16 KiB, as in hyper and Node.js). Clients do not use
    /// them, and without a limit they would carry bytes past the limit of the content.
    pub extensions: u64,
    /// Maximum of the trailer section in bytes (default 8 KiB).
    pub trailers: u64,
    /// Most trailer fields (default 100, as many as header fields).
    pub trailer_fields: u32,
}

impl BodyLimits {
    /// The default limits with at most `content` bytes of content.
    #[must_use]
    pub fn new(content: u64) -> Self {
        Self { content, ..Self::default() }
    }
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { content: 100 * 1024 * 1024, extensions: 16 * 1024, trailers: 8 * 1024, trailer_fields: 100 }
    }
}

/// Takes the framing off one request body.
///
/// ```
/// use kirsch::http::{BodyDecoder, BodyLimits, Framing};
///
/// let mut decoder = BodyDecoder::new(Framing::Chunked, BodyLimits::new(1000))?;
/// let (input, mut content) = (b"5\r\nHello\r\n0\r\n\r\nGET /next", Vec::new());
/// let used = decoder.decode(input, &mut content)?;
/// assert_eq!((&content[..], &input[used..]), (&b"Hello"[..], &b"GET /next"[..]));
/// assert!(decoder.is_complete());
/// # Ok::<(), kirsch::http::Refusal>(())
/// ```
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    Length {
        left: u64,
    },
    Chunked(ChunkedDecoder),
    /// Up to the end of its stream, at most so many bytes.
    UntilEnd {
        left: u64,
        limit: u64,
    },
    Refused(Refusal),
}

impl BodyDecoder {
    /// A decoder for a body framed as the head says.
    ///
    /// # Errors
    /// [`Refusal::BodyTooLarge`] when the announced length already exceeds the limit.
    pub fn new(framing: Framing, limits: BodyLimits) -> Result<Self, Refusal> {
        let state = match framing {
            Framing::None => State::Length { left: 0 },
            Framing::Length(length) if length > limits.content => {
                return Err(Refusal::BodyTooLarge { limit: limits.content });
            }
            Framing::Length(length) => State::Length { left: length },
            Framing::Chunked => State::Chunked(ChunkedDecoder::new(limits)),
            Framing::UntilEnd => State::UntilEnd { left: limits.content, limit: limits.content },
        };
        Ok(Self { state })
    }

    /// Decodes from the start of `input`, appends content to `content` and returns how many bytes of `input`
    /// were used. Uses all of `input` unless the body ends within it.
    ///
    /// # Errors
    /// Any doubt about the framing, or a limit passed; from then on the same refusal each time.
    pub fn decode(&mut self, input: &[u8], content: &mut Vec<u8>) -> Result<usize, Refusal> {
        match &mut self.state {
            State::Length { left } => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                content.extend_from_slice(&input[..length]);
                *left -= length as u64;
                Ok(length)
            }
            State::Chunked(decoder) => {
                decoder.decode(input, content).inspect_err(|&refusal| self.state = State::Refused(refusal))
            }
            State::UntilEnd { left, limit } => match left.checked_sub(input.len() as u64) {
                Some(rest) => {
                    content.extend_from_slice(input);
                    *left = rest;
                    Ok(input.len())
                }
                None => {
                    let refusal = Refusal::BodyTooLarge { limit: *limit };
                    self.state = State::Refused(refusal);
                    Err(refusal)
                }
            },
            State::Refused(refusal) => Err(*refusal),
        }
    }

    /// The stream of the body has ended regularly. False when the body had announced more.
    pub(crate) fn end(&mut self) -> bool {
        if let State::UntilEnd { .. } = self.state {
            self.state = State::Length { left: 0 };
        }
        self.is_complete()
    }

    /// Whether the body has ended: the next byte belongs to the next request.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match &self.state {
            State::Length { left } => *left == 0,
            State::Chunked(decoder) => decoder.is_complete(),
            State::UntilEnd { .. } | State::Refused(_) => false,
        }
    }

    /// How many bytes of content are still to come, when that is known: by Content-Length, or at the end.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match &self.state {
            State::Length { left } => Some(*left),
            State::Chunked(decoder) => decoder.is_complete().then_some(0),
            State::UntilEnd { .. } | State::Refused(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
