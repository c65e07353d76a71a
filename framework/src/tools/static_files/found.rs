//! A file that was found, with all that is said of it in a response, ready to be said any number of times.

use super::directory::Moment;
use crate::exchange::{FileBody, Request, Response, ResponseBody};
use crate::http::{Coding, EntityTag, Precondition, Validators, parse_date};
use ::http::{HeaderValue, header};
use std::sync::Arc;
use std::time::SystemTime;

/// A file and the fields of its response.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) content: Content,
    pub(super) content_type: HeaderValue,
    pub(super) etag: HeaderValue,
    pub(super) last_modified: Option<HeaderValue>,
    pub(super) cache_control: Option<HeaderValue>,
    pub(super) modified: Moment,
}

/// Where the bytes are.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Memory(bytes::Bytes),
    File(Arc<std::fs::File>, u64),
}

impl Found {
    /// Writes the file into a response, in place of the content that is there.
    pub(super) fn write(&self, response: &mut Response) {
        response.set_header(header::CONTENT_TYPE, self.content_type.clone());
        self.write_content(response);
        response.set_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(cache_control) = &self.cache_control {
            response.set_header(header::CACHE_CONTROL, cache_control.clone());
        }
    }

    /// As [`write`](Self::write), with the content of `compressed`, which is this file in `coding`.
    pub(super) fn write_compressed(&self, compressed: &Self, coding: Coding, response: &mut Response) {
        self.write(response);
        compressed.write_content(response);
        response.set_header(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }

    /// Whether the client has this already. Decided here and not when the response is done, so that no unsent content
    /// is compressed.
    pub(super) fn is_known_to(&self, request: &Request) -> bool {
        let date = |value: &HeaderValue| parse_date(value.as_bytes(), SystemTime::now());
        let validators = || Validators {
            etag: EntityTag::parse(self.etag.as_bytes()),
            last_modified: self.last_modified.as_ref().and_then(date),
        };
        let asks = request.header("if-none-match").is_some() || request.header("if-modified-since").is_some();
        asks && request.precondition(Some(&validators())) == Precondition::NotModified
    }

    fn write_content(&self, response: &mut Response) {
        response.set_body(match &self.content {
            Content::Memory(bytes) => ResponseBody::Shared(bytes.clone()),
            Content::File(file, length) => ResponseBody::File(FileBody::range(file.clone(), 0..*length)),
        });
        response.set_header(header::ETAG, self.etag.clone());
        match &self.last_modified {
            Some(date) => response.set_header(header::LAST_MODIFIED, date.clone()),
            None => response.remove_header(&header::LAST_MODIFIED),
        };
        response.set_header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
}
