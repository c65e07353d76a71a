//! Response heads and chunks as bytes. The framing is chosen once, from what is known about the body.

use ::http::{HeaderName, HeaderValue, Method, StatusCode, Version};

/// How the client finds the end of a response body (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// No body and no framing field: 1xx, 204, 304.
    None,
    /// `Content-Length`, with or without a body behind it (HEAD).
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The body ends with the connection (HTTP/1.0 without a length).
    Close,
}

impl ResponseFraming {
    /// Chooses the framing for a response of `status` to a `method` request; `length` is `None` for streams.
    #[must_use]
    pub fn choose(method: &Method, version: Version, status: StatusCode, length: Option<u64>) -> Self {
        let _ = (method, version, status, length);
        todo!()
    }
}

/// What the response says about the life of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// HTTP/1.1 and the connection lives on: nothing is said.
    Implied,
    /// HTTP/1.0 and the connection lives on: `Connection: keep-alive`.
    KeepAlive,
    /// `Connection: close`.
    Close,
}

/// Appends a whole response head to `out`: status line, `Date`, the fields, framing, persistence, blank line.
///
/// Fields named Content-Length, Transfer-Encoding, Connection, Date and Keep-Alive in `headers` are left out, since
/// they are the server's to say.
pub fn write_response_head<'a>(
    out: &mut Vec<u8>,
    status: StatusCode,
    date: &[u8; 29],
    headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
    framing: ResponseFraming,
    persistence: Persistence,
) {
    let _ = (out, status, date, headers.count(), framing, persistence);
    todo!()
}

/// Appends one chunk of the chunked coding; an empty `data` appends nothing.
pub fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    let _ = (out, data);
    todo!()
}

/// Appends the last chunk and an empty trailer section.
pub fn write_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}
