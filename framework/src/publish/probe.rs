//! A tree's answer to one request, without server and lifecycle: for the tests of this room.

use super::{Call, Publish, Resolution, resolve};
use crate::exchange::{Error, ErrorKind, Exchange, RequestBody};
use crate::http::HeadLimits;
use ::http::header;

/// An exchange that has received this request.
pub(crate) fn exchange(method: &str, target: &str, fields: &str, body: &[u8]) -> Exchange {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let mut exchange = Exchange::new();
    let request = &mut exchange.request;
    let read =
        request.head.read(head.as_bytes(), &mut 0, &HeadLimits { request_line: 60_000, head: 70_000, fields: 100 });
    read.expect("an acceptable head").expect("a complete head");
    request.decode_path().expect("an acceptable path");
    request.body = RequestBody::Memory(body.to_vec());
    exchange
}

/// The content of the answer; of an error its status, `Allow` field and message.
pub(crate) fn answer(root: &dyn Publish, exchange: &mut Exchange) -> String {
    let node = root.describe();
    match resolve(&node, &exchange.request, 0, &mut exchange.trail) {
        Resolution::Found => {}
        Resolution::NotFound => return "404".to_owned(),
        Resolution::WrongMethod(allowed) => return format!("405 {}", allowed.allow()),
    }
    let called = exchange.read_form(false).map_err(Error::from).and_then(|()| root.call(&mut Call::new(exchange)));
    match called {
        Ok(()) => String::from_utf8_lossy(exchange.response.body().as_bytes().expect("no stream")).into_owned(),
        Err(error) => describe(&error),
    }
}

fn describe(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Http(error) => {
            let status = error.status.as_u16();
            let allow = error.headers.iter().find(|(name, _)| *name == header::ALLOW);
            let allow = allow.map_or("", |(_, value)| value.to_str().expect("text"));
            let message = if allow.is_empty() { &error.message } else { allow };
            format!("{status} {message}").trim_end().to_owned()
        }
        ErrorKind::Answer(response) => format!("answered {}", response.status().as_u16()),
        other => format!("{other:?}"),
    }
}

/// The answer to `METHOD /target`.
pub(crate) fn ask(root: &dyn Publish, request: &str) -> String {
    let (method, target) = request.split_once(' ').expect("a method and a target");
    answer(root, &mut exchange(method, target, "", b""))
}
