//! Requests and responses for the tests of this room.

use super::stored::{Draft, Stored};
use super::terms::{Defaults, Terms};
use super::variant::{Variant, vary};
use crate::exchange::Connection;
use crate::http::HeadLimits;
use crate::{HeaderName, HeaderValue, Request, Response};
use bytes::Bytes;
use std::hash::RandomState;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// A GET request with these fields, one in a line.
pub(super) fn request(fields: &str) -> Request {
    let mut request = Request::default();
    let fields: String = fields.lines().map(|line| format!("{line}\r\n")).collect();
    let head = format!("GET / HTTP/1.1\r\nHost: A.example:80\r\n{fields}\r\n");
    let read = request.read_head(head.as_bytes(), &mut 0, &HeadLimits::default(), Connection::default());
    assert_eq!(read, Ok(Some(head.len())), "{head}");
    request
}

/// A response with these fields, one in a line.
pub(super) fn response(fields: &str, content: &str) -> Response {
    let mut response = Response::new();
    for line in fields.lines() {
        let (name, value) = line.split_once(": ").expect("a field");
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        response.add_header(name, HeaderValue::from_str(value).expect("a value"));
    }
    response.set_body(content.to_owned());
    response
}

/// The kept form of a response to a request without fields.
pub(super) fn stored_as(response: &Response) -> Stored {
    stored_for(&request(""), response)
}

/// The kept form of a response.
pub(super) fn stored_for(request: &Request, response: &Response) -> Stored {
    static TAGGING: OnceLock<RandomState> = OnceLock::new();
    let defaults = Defaults {
        lifetime: Duration::from_secs(60),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
    };
    let variant = Variant::of(request, &vary(response).expect("no star"));
    let terms = Terms::of(response, false, &defaults, SystemTime::now()).expect("it may be kept");
    let content = response.body().as_bytes().expect("no stream").to_vec();
    let tagging = TAGGING.get_or_init(RandomState::new);
    Draft::of(response, variant, terms, SystemTime::now()).finish(Bytes::from(content), tagging)
}
