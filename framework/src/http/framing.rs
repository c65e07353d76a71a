//! How the end of a request body is found: the one decision that request smuggling attacks.
//!
//! Content-Length and Transfer-Encoding are read nowhere else. Every doubt is a refusal (RFC 9112, section 6.3).

use super::Refusal;
use super::fields::{FieldTable, KnownName};
use super::grammar::trim;
use ::http::Version;

/// How the end of a request body is found (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Neither Content-Length nor Transfer-Encoding: no body.
    None,
    /// Content-Length, canonical; zero is `Length(0)`.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
    /// A stream of HTTP/2 without Content-Length: the body ends with the stream (RFC 9113, section 8.1).
    UntilEnd,
}

impl Framing {
    pub(super) fn of(fields: &FieldTable, bytes: &[u8], version: Version) -> Result<Self, Refusal> {
        let length = fields.known(bytes, KnownName::ContentLength);
        let coding = fields.known(bytes, KnownName::TransferEncoding);
        match (length, coding) {
            (None, None) => Ok(Self::None),
            (Some(_), Some(_)) => Err(Refusal::TransferEncodingWithContentLength),
            (Some(_), None) if fields.is_repeated(KnownName::ContentLength) => Err(Refusal::RepeatedContentLength),
            (Some(text), None) => parse_length(text).map(Self::Length).ok_or(Refusal::MalformedContentLength),
            (None, Some(_)) if version != Version::HTTP_11 => Err(Refusal::TransferEncodingInHttp10),
            (None, Some(_)) if fields.is_repeated(KnownName::TransferEncoding) => {
                Err(Refusal::RepeatedTransferEncoding)
            }
            (None, Some(text)) if text.eq_ignore_ascii_case(b"chunked") => Ok(Self::Chunked),
            (None, Some(text)) if ends_in_one_chunked(text) => Err(Refusal::UnsupportedTransferCoding),
            (None, Some(_)) => Err(Refusal::LastCodingNotChunked),
        }
    }
}

/// Whether a list of codings ends as RFC 9112, section 6.1 has it: in `chunked`, once. Only then the end of the body
/// could be found by a server that knows the others.
fn ends_in_one_chunked(list: &[u8]) -> bool {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut from_last = list.rsplit(|&byte| byte == b',').map(trim);
    from_last.next().is_some_and(is_chunked) && from_last.all(|coding| !coding.is_empty() && !is_chunked(coding))
}

/// Nineteen digits always fit into 64 bits, so this cannot overflow.
fn parse_length(text: &[u8]) -> Option<u64> {
    let is_canonical = matches!(text, [b'0'] | [b'1'..=b'9', ..]);
    if !is_canonical || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}
