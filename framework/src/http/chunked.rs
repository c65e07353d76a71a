//! The chunked transfer coding (RFC 9112, section 7.1): decoder of requests, encoder of responses.
//!
//! ```text
//! Size ─┬──────────────► SizeEnd ─► Content ─► ContentEnd ─► ContentEndLineFeed ─► Size
//!       └► Extension ──────┘ │ (size 0)
//!                            └► Trailer ─┬► LastLineFeed ─► Done
//!                                  ▲     └► TrailerName ─► TrailerValue ─► TrailerLineFeed ─┐
//!                                  └───────────────────────────────────────────────────────┘
//! ```
//!
//! An extension has a table of its own: `;` Name [`=` (Token | `"` Quoted `"`)], with white space around its marks.
//!
//! Framing goes byte by byte through this table and is never stored, so a decoder is a few words large and no split of
//! the input can matter. Content is copied in whole pieces. Extensions and trailers are checked, bounded and dropped;
//! trailers never become header fields. White space around a chunk size is refused, although RFC 9112 lets a recipient
//! read it.

use super::grammar::{is_field_value_byte, is_token_byte};
use super::{BodyLimits, Refusal};

/// Takes the chunked coding off one body.
#[derive(Debug)]
pub(super) struct ChunkedDecoder {
    state: State,
    limits: BodyLimits,
    content: u64,
    extensions: u64,
    trailers: u64,
    trailer_fields: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { digits: u8, size: u64 },
    Extension { size: u64, part: ExtensionPart },
    SizeEnd { size: u64 },
    Content { left: u64 },
    ContentEnd,
    ContentEndLineFeed,
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    LastLineFeed,
    Done,
}

/// Where in a chunk extension (RFC 9112, section 7.1.1) the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExtensionPart {
    /// Behind the semicolon.
    Start,
    Name,
    /// White space behind the name.
    NameGap,
    /// Behind the equals sign.
    ValueStart,
    Token,
    Quoted,
    /// Behind a backslash.
    QuotedPair,
    QuotedEnd,
    /// White space behind the value: only another extension may follow.
    ValueGap,
}

impl ExtensionPart {
    /// The state after `byte`, which is not the CR at the end; `None` when it must not be there.
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Quoted, b'"') => Some(Self::QuotedEnd),
            (Self::Quoted, b'\\') => Some(Self::QuotedPair),
            (Self::Quoted | Self::QuotedPair, _) => is_field_value_byte(byte).then_some(Self::Quoted),
            (Self::Start | Self::ValueStart | Self::NameGap | Self::ValueGap, b' ' | b'\t') => Some(self),
            (Self::Start | Self::Name, _) if is_token_byte(byte) => Some(Self::Name),
            (Self::Name | Self::NameGap, b'=') => Some(Self::ValueStart),
            (Self::Name, b' ' | b'\t') => Some(Self::NameGap),
            (Self::ValueStart, b'"') => Some(Self::Quoted),
            (Self::ValueStart | Self::Token, _) if is_token_byte(byte) => Some(Self::Token),
            (Self::Token | Self::QuotedEnd, b' ' | b'\t') => Some(Self::ValueGap),
            (Self::Name | Self::NameGap | Self::Token | Self::QuotedEnd | Self::ValueGap, b';') => Some(Self::Start),
            _ => None,
        }
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Token | Self::QuotedEnd)
    }
}

impl State {
    const CHUNK: Self = Self::Size { digits: 0, size: 0 };
}

impl ChunkedDecoder {
    pub(super) fn new(limits: BodyLimits) -> Self {
        Self { state: State::CHUNK, limits, content: 0, extensions: 0, trailers: 0, trailer_fields: 0 }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Done
    }

    /// Appends content to `content` and returns how much of `input` was used: all of it, unless the body ends within.
    pub(super) fn decode(&mut self, input: &[u8], content: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut used = 0;
        while used < input.len() && self.state != State::Done {
            if let State::Content { left } = self.state {
                let rest = &input[used..];
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                content.extend_from_slice(&rest[..length]);
                used += length;
                let left = left - length as u64;
                self.state = if left == 0 { State::ContentEnd } else { State::Content { left } };
            } else {
                self.state = self.step(input[used])?;
                used += 1;
            }
        }
        Ok(used)
    }

    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size { digits, size }, _) if byte.is_ascii_hexdigit() => match digits {
                16.. => Err(Refusal::MalformedChunkSize),
                _ => Ok(State::Size { digits: digits + 1, size: size << 4 | u64::from(hex_value(byte)) }),
            },
            (State::Size { digits: 1.., size }, b'\r') => self.announce(size).map(|()| State::SizeEnd { size }),
            (State::Size { digits: 1.., size }, b';') => {
                self.announce(size).map(|()| State::Extension { size, part: ExtensionPart::Start })
            }
            (State::Size { .. }, _) => Err(Refusal::MalformedChunkSize),

            (State::Extension { size, part }, b'\r') if part.may_end() => Ok(State::SizeEnd { size }),
            (State::Extension { size, part }, _) => {
                let part = part.next(byte).ok_or(Refusal::MalformedChunkExtension)?;
                self.extensions += 1;
                if self.extensions > self.limits.extensions {
                    return Err(Refusal::ChunkExtensionsTooLarge { limit: self.limits.extensions });
                }
                Ok(State::Extension { size, part })
            }

            (State::SizeEnd { size: 0 }, b'\n') => Ok(State::Trailer),
            (State::SizeEnd { size }, b'\n') => Ok(State::Content { left: size }),
            (State::SizeEnd { .. }, _) => Err(Refusal::MalformedChunkSize),

            (State::ContentEnd, b'\r') => Ok(State::ContentEndLineFeed),
            (State::ContentEndLineFeed, b'\n') => Ok(State::CHUNK),
            (State::ContentEnd | State::ContentEndLineFeed, _) => Err(Refusal::MalformedChunkEnd),

            (State::Trailer, b'\r') => Ok(State::LastLineFeed),
            (State::LastLineFeed, b'\n') => Ok(State::Done),
            (State::Trailer, _) if is_token_byte(byte) => {
                self.trailer_fields += 1;
                if self.trailer_fields > self.limits.trailer_fields {
                    return Err(Refusal::TooManyTrailers { limit: self.limits.trailer_fields });
                }
                self.count_trailer_byte(State::TrailerName)
            }
            (State::TrailerName, _) if is_token_byte(byte) => self.count_trailer_byte(State::TrailerName),
            (State::TrailerName, b':') => self.count_trailer_byte(State::TrailerValue),
            (State::TrailerValue, _) if is_field_value_byte(byte) => self.count_trailer_byte(State::TrailerValue),
            (State::TrailerValue, b'\r') => self.count_trailer_byte(State::TrailerLineFeed),
            (State::TrailerLineFeed, b'\n') => self.count_trailer_byte(State::Trailer),
            (
                State::Trailer
                | State::LastLineFeed
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerLineFeed,
                _,
            ) => Err(Refusal::MalformedTrailer),

            (State::Content { .. } | State::Done, _) => Ok(self.state),
        }
    }

    /// Refuses a chunk before its content arrives when the limit cannot be kept.
    fn announce(&mut self, size: u64) -> Result<(), Refusal> {
        self.content = self.content.saturating_add(size);
        if self.content > self.limits.content {
            return Err(Refusal::BodyTooLarge { limit: self.limits.content });
        }
        Ok(())
    }

    fn count_trailer_byte(&mut self, next: State) -> Result<State, Refusal> {
        self.trailers += 1;
        if self.trailers > self.limits.trailers {
            return Err(Refusal::TrailersTooLarge { limit: self.limits.trailers });
        }
        Ok(next)
    }
}

/// Appends one chunk of the chunked coding; an empty `data` appends nothing, since an empty chunk would end the body.
pub fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let (digits, start) = hex_digits(data.len());
    out.reserve(data.len() + digits.len() + 4);
    out.extend_from_slice(&digits[start..]);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and an empty trailer section.
pub fn write_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// The value of a hexadecimal digit.
fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// The hexadecimal digits of a number that is not zero, at the end of the array, and where they start.
fn hex_digits(mut number: usize) -> ([u8; 16], usize) {
    let mut digits = [0; 16];
    let mut start = digits.len();
    while number > 0 {
        start -= 1;
        digits[start] = b"0123456789abcdef"[number & 15];
        number >>= 4;
    }
    (digits, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_its_length_in_hexadecimal_and_its_data() {
        let mut out = Vec::new();
        write_chunk(&mut out, &[b'x'; 26]);
        assert_eq!(out, b"1a\r\nxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
    }

    #[test]
    fn an_empty_chunk_is_not_written() {
        let mut out = Vec::new();
        write_chunk(&mut out, b"");
        assert!(out.is_empty());
        write_last_chunk(&mut out);
        assert_eq!(out, b"0\r\n\r\n");
    }

    #[test]
    fn written_chunks_can_be_read() {
        for length in [1, 15, 16, 255, 4096, 70_000] {
            let (mut out, mut content) = (Vec::new(), Vec::new());
            write_chunk(&mut out, &vec![7; length]);
            write_last_chunk(&mut out);
            let mut decoder = ChunkedDecoder::new(BodyLimits::default());
            assert_eq!(decoder.decode(&out, &mut content), Ok(out.len()));
            assert!(decoder.is_complete() && content == vec![7; length], "{length}");
        }
    }
}
