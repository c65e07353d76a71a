//! The last change of a response: content that the client has already is not sent (304), and a range request gets only
//! that range (206).
//!
//! This comes after all hooks, so it is about the response as it would be sent: with the tag of its coding, if a tool
//! has compressed it, and with its final length. Tools, caches among them, only ever see whole responses.
//!
//! It concerns successful answers (200) to GET and HEAD that offer something to compare with. `ETag` and
//! `Last-Modified` are compared with the conditions of the request. Ranges are sent of responses that have
//! `Accept-Ranges: bytes` and whose content can be cut: bytes and files, not streams.

use crate::exchange::{Error, Exchange, FileBody, HttpError, Request, Response, ResponseBody, Stream};
use crate::http::{
    ByteRanges, EntityTag, FixedDate, MultipartFrame, Precondition, Validators, content_range, list_has, parse_date,
    unsatisfied_range,
};
use ::http::{HeaderValue, Method, StatusCode, header};
use std::iter::once;
use std::ops::Range;
use std::time::SystemTime;

/// Answers the conditions of the request and cuts the content, where both sides want it.
///
/// An error is the answer in place of the response: 412, 416.
pub(super) fn apply(exchange: &mut Exchange) -> Result<(), Error> {
    let Exchange { request, response, .. } = exchange;
    if response.status() != StatusCode::OK || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let accepts_ranges =
        response.own_header(&header::ACCEPT_RANGES).is_some_and(|units| list_has([units.as_bytes()], "bytes"));
    let last_modified = last_modified(response);
    let etag = response.own_header(&header::ETAG);
    if !(accepts_ranges || etag.is_some() || last_modified.is_some()) || !request.head.is_conditional() {
        return Ok(());
    }
    let validators = Validators { etag: etag.and_then(|etag| EntityTag::parse(etag.as_bytes())), last_modified };
    match request.precondition(Some(&validators)) {
        Precondition::NotModified => {
            response.set_not_modified();
            Ok(())
        }
        Precondition::Failed => Err(HttpError::new(StatusCode::PRECONDITION_FAILED, "").into()),
        Precondition::Met { range: true } if accepts_ranges => cut(request, response),
        Precondition::Met { .. } => Ok(()),
    }
}

/// When the content was last changed. A date that has not come yet is that of the response (RFC 9110, section 8.8.2.1).
fn last_modified(response: &mut Response) -> Option<SystemTime> {
    let value = response.own_header(&header::LAST_MODIFIED)?;
    let now = SystemTime::now();
    let date = parse_date(value.as_bytes(), now)?;
    if date <= now {
        return Some(date);
    }
    let date = FixedDate::of(now);
    response.set_header(header::LAST_MODIFIED, HeaderValue::from_bytes(date.as_bytes()).ok()?);
    parse_date(date.as_bytes(), now)
}

/// 206 with the parts that the client wants, or 416; nothing when the content cannot be cut.
fn cut(request: &Request, response: &mut Response) -> Result<(), Error> {
    let body = response.body();
    let Some(length) = body.length().filter(|_| !matches!(body, ResponseBody::Stream(_))) else { return Ok(()) };
    let mut fields = request.head.headers_named("range");
    let (Some(value), None) = (fields.next(), fields.next()) else { return Ok(()) };
    match ByteRanges::parse(value, length) {
        ByteRanges::Whole => Ok(()),
        ByteRanges::Unsatisfiable => {
            let message = format!("The content has {length} bytes; what was asked for is beyond its end.");
            let range = HeaderValue::try_from(unsatisfied_range(length))?;
            Err(HttpError::new(StatusCode::RANGE_NOT_SATISFIABLE, message)
                .with_header(header::CONTENT_RANGE, range)
                .into())
        }
        ByteRanges::Parts(parts) => {
            let whole = response.take_body();
            response.set_status(StatusCode::PARTIAL_CONTENT);
            match &parts[..] {
                [part] => {
                    let range = HeaderValue::try_from(content_range(part, length))?;
                    response.set_header(header::CONTENT_RANGE, range).set_body(part_of(whole, part));
                    Ok(())
                }
                parts => several(response, whole, parts, length),
            }
        }
    }
}

/// A body of several parts, each with a head of its own.
fn several(response: &mut Response, whole: ResponseBody, parts: &[Range<u64>], length: u64) -> Result<(), Error> {
    let content_type = response.header(&header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // Random, since whoever writes the content should not be able to write the boundary into it.
    let boundary = crate::random::digits();
    let frame = MultipartFrame::new(parts, length, content_type.unwrap_or("application/octet-stream"), &boundary);
    response.set_header(header::CONTENT_TYPE, HeaderValue::try_from(frame.content_type)?);
    // Sharing makes any number of parts of one content cost no copy.
    let whole = shared(whole);
    let parts: Vec<ResponseBody> = parts.iter().map(|part| part_of(whole(), part)).collect();
    let pieces =
        frame.heads.into_iter().zip(parts).flat_map(|(head, part)| once(Ok(head.into_bytes())).chain(pieces(part)));
    let body = pieces.chain(once(Ok(frame.end.into_bytes())));
    response.set_body(Stream::fallible(body).with_length(frame.length));
    Ok(())
}

/// Gives out the content as often as asked.
fn shared(whole: ResponseBody) -> impl Fn() -> ResponseBody {
    let (bytes, file) = match whole {
        ResponseBody::File(file) => (bytes::Bytes::new(), Some(file)),
        ResponseBody::Static(content) => (bytes::Bytes::from_static(content), None),
        ResponseBody::Bytes(content) => (content.into(), None),
        ResponseBody::Shared(content) => (content, None),
        ResponseBody::Empty | ResponseBody::Stream(_) | ResponseBody::Push(_) => (bytes::Bytes::new(), None),
    };
    move || file.clone().map_or_else(|| ResponseBody::Shared(bytes.clone()), ResponseBody::File)
}

/// A part of a content that has one.
fn part_of(whole: ResponseBody, part: &Range<u64>) -> ResponseBody {
    let within = || usize::try_from(part.start).unwrap_or(usize::MAX)..usize::try_from(part.end).unwrap_or(usize::MAX);
    match whole {
        ResponseBody::Static(content) => ResponseBody::Static(&content[within()]),
        ResponseBody::Bytes(content) => ResponseBody::Shared(bytes::Bytes::from(content).slice(within())),
        ResponseBody::Shared(content) => ResponseBody::Shared(content.slice(within())),
        ResponseBody::File(file) => {
            let range = file.offset() + part.start..file.offset() + part.end;
            ResponseBody::File(FileBody::range(file.file().clone(), range))
        }
        other @ (ResponseBody::Empty | ResponseBody::Stream(_) | ResponseBody::Push(_)) => other,
    }
}

/// The content piece by piece, so that one part of a large file is not in memory as a whole.
fn pieces(part: ResponseBody) -> Box<dyn Iterator<Item = Result<Vec<u8>, Error>> + Send> {
    match part {
        ResponseBody::File(file) => Box::new(file.into_stream()),
        part => Box::new(once(Ok(part.as_bytes().unwrap_or_default().to_vec()))),
    }
}
