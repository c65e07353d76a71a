//! Response heads as bytes. The framing is chosen once, from the facts about the body.
//!
//! Content-Length, Transfer-Encoding, Connection, Keep-Alive and Date are written here and nowhere else. So a response
//! always ends as it announces. Chunks are written in `chunked`.
//!
//! Names of fields are all in lower case, as in the `http` crate and in HTTP/2. Case means nothing (RFC 9110, section
//! 5.1), and one form costs nothing.

use ::http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use ::http::{HeaderName, HeaderValue, Method, StatusCode, Version};

/// How the client finds the end of a response body (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// No body and no framing field: 1xx, 204, 304.
    None,
    /// `Content-Length`, with or without a body behind it (HEAD).
    Length(u64),
    /// `Transfer-Encoding: chunked`, with or without a body behind it (HEAD).
    Chunked,
    /// The body ends with the connection (HTTP/1.0 without a length), or with its stream (HTTP/2).
    Close,
}

impl ResponseFraming {
    /// Chooses the framing for a response of `status` to a `method` request; `length` is `None` for streams.
    ///
    /// A response to HEAD has the framing fields of the response to GET and no body, which is for the caller to leave
    /// out. 205 has no body either, and says so with a length of zero (RFC 9110, section 15.3.6).
    #[must_use]
    pub fn choose(method: &Method, version: Version, status: StatusCode, length: Option<u64>) -> Self {
        if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Self::None;
        }
        if status == StatusCode::RESET_CONTENT {
            return Self::Length(0);
        }
        match length {
            Some(length) => Self::Length(length),
            None if version == Version::HTTP_11 => Self::Chunked,
            // Without a body there is no end to find, and the connection may live on.
            None if *method == Method::HEAD => Self::None,
            None => Self::Close,
        }
    }
}

/// The response's word about the life of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// HTTP/1.1 and the connection lives on: nothing is said.
    Implied,
    /// HTTP/1.0 and the connection lives on: `Connection: keep-alive`.
    KeepAlive,
    /// `Connection: close`.
    Close,
    /// Another protocol follows: `Connection: upgrade`.
    Upgrade,
}

/// The interim response that asks for the body (RFC 9110, section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends a whole response head to `out`: status line, `Date`, the fields, framing, persistence, blank line.
///
/// Fields named Content-Length, Transfer-Encoding, Connection, Date and Keep-Alive in `headers` are left out, since
/// they are the server's to say. `ready` are further fields that have been written out before, each with its CRLF.
/// [`ResponseFraming::Close`] always says `Connection: close`.
pub fn write_response_head<'a>(
    out: &mut Vec<u8>,
    status: StatusCode,
    date: &[u8; 29],
    headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
    ready: &[u8],
    framing: ResponseFraming,
    persistence: Persistence,
) {
    write_status_line(out, status);
    out.extend_from_slice(b"date: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers.filter(|(name, _)| !is_the_servers(name)) {
        write_field(out, name, value);
    }
    out.extend_from_slice(ready);
    match framing {
        ResponseFraming::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        ResponseFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        ResponseFraming::None | ResponseFraming::Close => {}
    }
    out.extend_from_slice(match (framing, persistence) {
        (ResponseFraming::Close, _) | (_, Persistence::Close) => b"connection: close\r\n\r\n",
        (_, Persistence::KeepAlive) => b"connection: keep-alive\r\n\r\n",
        (_, Persistence::Upgrade) => b"connection: upgrade\r\n\r\n",
        (_, Persistence::Implied) => b"\r\n",
    });
}

/// Appends the line of one field.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether only the server writes this field.
pub(crate) fn is_the_servers(name: &HeaderName) -> bool {
    *name == CONTENT_LENGTH
        || *name == TRANSFER_ENCODING
        || *name == CONNECTION
        || *name == DATE
        || name.as_str() == "keep-alive"
}

fn write_status_line(out: &mut Vec<u8>, status: StatusCode) {
    match canned_status_line(status.as_u16()) {
        Some(line) => out.extend_from_slice(line.as_bytes()),
        None => {
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(status.as_str().as_bytes());
            // The space belongs to the line even without a reason behind it.
            out.extend_from_slice(b" \r\n");
        }
    }
}

macro_rules! status_lines {
    ($($code:literal $reason:literal)+) => {
        fn canned_status_line(status: u16) -> Option<&'static str> {
            match status {
                $( $code => Some(concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n")), )+
                _ => None,
            }
        }

        /// The status in words, as in the status line: the one source of these names. None for a status without a name.
        pub(crate) fn reason(status: StatusCode) -> Option<&'static str> {
            match status.as_u16() {
                $( $code => Some($reason), )+
                _ => None,
            }
        }
    };
}

status_lines! {
    100 "Continue"
    101 "Switching Protocols"
    102 "Processing"
    103 "Early Hints"
    200 "OK"
    201 "Created"
    202 "Accepted"
    203 "Non-Authoritative Information"
    204 "No Content"
    205 "Reset Content"
    206 "Partial Content"
    207 "Multi-Status"
    208 "Already Reported"
    226 "IM Used"
    300 "Multiple Choices"
    301 "Moved Permanently"
    302 "Found"
    303 "See Other"
    304 "Not Modified"
    305 "Use Proxy"
    307 "Temporary Redirect"
    308 "Permanent Redirect"
    400 "Bad Request"
    401 "Unauthorized"
    402 "Payment Required"
    403 "Forbidden"
    404 "Not Found"
    405 "Method Not Allowed"
    406 "Not Acceptable"
    407 "Proxy Authentication Required"
    408 "Request Timeout"
    409 "Conflict"
    410 "Gone"
    411 "Length Required"
    412 "Precondition Failed"
    413 "Content Too Large"
    414 "URI Too Long"
    415 "Unsupported Media Type"
    416 "Range Not Satisfiable"
    417 "Expectation Failed"
    418 "I'm a teapot"
    421 "Misdirected Request"
    422 "Unprocessable Content"
    423 "Locked"
    424 "Failed Dependency"
    425 "Too Early"
    426 "Upgrade Required"
    428 "Precondition Required"
    429 "Too Many Requests"
    431 "Request Header Fields Too Large"
    451 "Unavailable For Legal Reasons"
    500 "Internal Server Error"
    501 "Not Implemented"
    502 "Bad Gateway"
    503 "Service Unavailable"
    504 "Gateway Timeout"
    505 "HTTP Version Not Supported"
    506 "Variant Also Negotiates"
    507 "Insufficient Storage"
    508 "Loop Detected"
    510 "Not Extended"
    511 "Network Authentication Required"
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE_TEXT: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn head(
        status: u16,
        fields: &[(&'static str, &'static str)],
        framing: ResponseFraming,
        persistence: Persistence,
    ) -> String {
        let fields: Vec<_> = fields
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let mut out = Vec::new();
        let status = StatusCode::from_u16(status).expect("a status");
        let fields = fields.iter().map(|(name, value)| (name, value));
        write_response_head(&mut out, status, DATE_TEXT, fields, b"", framing, persistence);
        String::from_utf8(out).expect("ASCII")
    }

    fn choose(method: &Method, version: Version, status: u16, length: Option<u64>) -> ResponseFraming {
        ResponseFraming::choose(method, version, StatusCode::from_u16(status).expect("a status"), length)
    }

    #[test]
    fn a_head_is_the_status_line_the_date_the_fields_and_the_framing() {
        let text = head(200, &[("content-type", "text/plain")], ResponseFraming::Length(13), Persistence::Implied);
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-type: text/plain\r\n\
             content-length: 13\r\n\r\n"
        );
    }

    #[test]
    fn the_servers_own_fields_are_said_once() {
        let own = [
            ("content-length", "1"),
            ("transfer-encoding", "gzip"),
            ("connection", "upgrade"),
            ("date", "x"),
            ("keep-alive", "timeout=5"),
        ];
        let text = head(200, &own, ResponseFraming::Chunked, Persistence::KeepAlive);
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ntransfer-encoding: chunked\r\n\
             connection: keep-alive\r\n\r\n"
        );
    }

    #[test]
    fn a_body_that_ends_with_the_connection_says_close() {
        let text = head(200, &[], ResponseFraming::Close, Persistence::KeepAlive);
        assert!(text.ends_with("GMT\r\nconnection: close\r\n\r\n"), "{text}");
    }

    #[test]
    fn an_unknown_status_keeps_the_space_before_its_empty_reason() {
        assert!(head(299, &[], ResponseFraming::None, Persistence::Close).starts_with("HTTP/1.1 299 \r\ndate"));
    }

    #[test]
    fn every_status_with_a_reason_is_canned() {
        for code in 100..1000 {
            let known = StatusCode::from_u16(code).expect("a status").canonical_reason().is_some();
            assert_eq!(canned_status_line(code).is_some(), known, "{code}");
        }
    }

    #[test]
    fn bodiless_statuses_have_no_framing() {
        for status in [100, 101, 103, 204, 304] {
            assert_eq!(choose(&Method::GET, Version::HTTP_11, status, Some(5)), ResponseFraming::None, "{status}");
        }
        assert_eq!(choose(&Method::GET, Version::HTTP_11, 205, Some(5)), ResponseFraming::Length(0));
    }

    #[test]
    fn a_stream_is_chunked_or_ends_with_the_connection() {
        assert_eq!(choose(&Method::GET, Version::HTTP_11, 200, None), ResponseFraming::Chunked);
        assert_eq!(choose(&Method::GET, Version::HTTP_10, 200, None), ResponseFraming::Close);
        assert_eq!(choose(&Method::GET, Version::HTTP_10, 200, Some(5)), ResponseFraming::Length(5));
    }

    #[test]
    fn head_has_the_framing_fields_of_get() {
        assert_eq!(choose(&Method::HEAD, Version::HTTP_11, 200, Some(5)), ResponseFraming::Length(5));
        assert_eq!(choose(&Method::HEAD, Version::HTTP_11, 200, None), ResponseFraming::Chunked);
        assert_eq!(choose(&Method::HEAD, Version::HTTP_10, 200, None), ResponseFraming::None);
    }
}
