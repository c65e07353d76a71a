//! Request heads of HTTP/2, written as heads of HTTP/1.1: so that one parser, with one set of rules and limits, reads
//! both.
//!
//! The engine of HTTP/2 has checked what only HTTP/2 has: the order and number of pseudo-fields, names in lower case,
//! no fields about the connection (RFC 9113, section 8.2 and 8.3). Every other rule is that of `head.rs`: forms of
//! targets, hosts, lengths, sizes.

use ::http::header::{COOKIE, HOST};
use ::http::request::Parts;

/// Appends the head as text. Its version is HTTP/1.1 until [`become_http2`](super::RequestHead::become_http2).
///
/// `:authority` becomes the field Host. A Host field that says the same is left out, and another one makes two of them,
/// which the parser refuses. The pieces of a Cookie field become one again (RFC 9113, section 8.2.3).
pub(crate) fn write_http2_head(out: &mut Vec<u8>, head: &Parts) {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    let target = match head.uri.path_and_query() {
        Some(target) => target.as_str(),
        // CONNECT has no path.
        None => authority.unwrap_or_default(),
    };
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(authority) = authority {
        write_line(out, b"host", authority.as_bytes());
    }
    for (name, value) in &head.headers {
        let says_the_same = || authority.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(value.as_bytes()));
        if *name == COOKIE || (*name == HOST && says_the_same()) {
            continue;
        }
        write_line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    let mut cookies = head.headers.get_all(COOKIE).iter();
    if let Some(first) = cookies.next() {
        out.extend_from_slice(b"cookie: ");
        out.extend_from_slice(first.as_bytes());
        for piece in cookies {
            out.extend_from_slice(b"; ");
            out.extend_from_slice(piece.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::{Framing, HeadLimits, Refusal, RequestHead};
    use super::*;
    use ::http::{Request, Version, request};

    fn read(request: request::Builder, has_content: bool) -> Result<RequestHead, Refusal> {
        let mut text = Vec::new();
        write_http2_head(&mut text, &request.body(()).expect("a request").into_parts().0);
        let mut head = RequestHead::new();
        let used = head.read(&text, &mut 0, &HeadLimits::default())?;
        assert_eq!(used, Some(text.len()));
        head.become_http2(has_content);
        Ok(head)
    }

    fn get(uri: &str) -> request::Builder {
        Request::get(uri)
    }

    #[test]
    fn the_authority_is_the_host() {
        let head = read(get("http://shop.example:8443/a?b=c"), false).expect("well-formed");
        assert_eq!((head.host(), head.path(), head.query()), ("shop.example:8443", "/a", Some("b=c")));
        assert_eq!((head.version(), head.framing()), (Version::HTTP_2, Framing::None));
        assert_eq!(head.request_line().to_string(), "GET /a?b=c HTTP/2.0");
    }

    #[test]
    fn a_host_that_differs_from_the_authority_is_refused_and_an_equal_one_is_not() {
        let host = |host| read(get("http://a/").header("host", host), false);
        assert_eq!(host("A").expect("the same").headers().len(), 1);
        assert_eq!(host("b").expect_err("another"), Refusal::RepeatedHost);
    }

    #[test]
    fn without_an_authority_the_host_field_counts() {
        assert_eq!(read(get("/").header("host", "a"), false).expect("well-formed").host(), "a");
        assert_eq!(read(get("/"), false).expect_err("no host"), Refusal::MissingHost);
    }

    #[test]
    fn pieces_of_a_cookie_are_one_field() {
        let head = read(get("http://a/").header("cookie", "a=1").header("cookie", "b=2"), false).expect("well-formed");
        assert_eq!(head.header("cookie"), Some("a=1; b=2"));
    }

    #[test]
    fn the_rules_of_heads_hold() {
        for (request, refusal) in [
            (get("http://user@a/"), Refusal::MalformedHost),
            (get("http://a,b/"), Refusal::MalformedHost),
            (get("http://a/\\"), Refusal::MalformedTarget),
            (get("http://a/").header("content-length", "01"), Refusal::MalformedContentLength),
            (get("http://a/").header("expect", "gold"), Refusal::UnknownExpectation),
            (Request::connect("a:443"), Refusal::ConnectRefused),
            (get(&format!("http://a/{}", "x".repeat(9000))), Refusal::RequestLineTooLong { limit: 8192 }),
            (get("http://a/").header("x", "y".repeat(33000)), Refusal::HeadTooLarge { limit: 32768 }),
        ] {
            assert_eq!(read(request, false).expect_err("refused"), refusal);
        }
    }

    #[test]
    fn fields_with_an_underscore_are_dropped() {
        let head = read(get("http://a/").header("x_forwarded_for", "1.2.3.4"), false).expect("well-formed");
        assert_eq!(head.headers().len(), 1);
    }

    #[test]
    fn content_without_a_length_lasts_until_the_end_of_the_stream() {
        let post = || Request::post("http://a/");
        assert_eq!(read(post(), true).expect("well-formed").framing(), Framing::UntilEnd);
        assert_eq!(
            read(post().header("content-length", "3"), true).expect("well-formed").framing(),
            Framing::Length(3)
        );
        let expects = |has_content| read(post().header("expect", "100-continue"), has_content).expect("well-formed");
        assert!(expects(true).expects_continue() && !expects(false).expects_continue());
    }
}
