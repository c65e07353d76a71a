//! Request heads: one request line and its fields, checked and kept as bytes plus a table of offsets.

use super::Refusal;
use ::http::{Method, Version};

/// How large a request head may be.
#[derive(Clone, Debug)]
pub struct HeadLimits {
    /// Longest request line in bytes, without its CRLF (default 8 KiB; longer is 414).
    pub request_line: usize,
    /// Longest head in bytes, request line and blank line included (default 32 KiB; longer is 431).
    pub head: usize,
    /// Most header fields (default 100; more is 431).
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { request_line: 8 * 1024, head: 32 * 1024, fields: 100 }
    }
}

/// How the end of a request body is found (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Neither Content-Length nor Transfer-Encoding: no body.
    None,
    /// Content-Length, canonical; zero is `Length(0)`.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// One request head, owned: its bytes and the table that finds things in them.
///
/// The value is made to be reused: [`read`](RequestHead::read) keeps the capacity of earlier requests.
#[derive(Debug)]
pub struct RequestHead {
    bytes: Vec<u8>,
}

impl RequestHead {
    /// An empty head, ready for [`read`](RequestHead::read).
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Reads a head from the start of `input`, which holds everything received since the last request ended.
    ///
    /// Returns the number of bytes the head took (leading empty line included), or `None` when more must be
    /// received first. `searched` is how far an earlier call with a shorter `input` has looked for the end;
    /// start it at 0.
    ///
    /// # Errors
    /// A [`Refusal`] names the rule that the head breaks; the connection must end.
    pub fn read(&mut self, input: &[u8], searched: &mut usize, limits: &HeadLimits) -> Result<Option<usize>, Refusal> {
        let _ = (input, searched, limits, &mut self.bytes);
        todo!()
    }

    /// The request method.
    #[must_use]
    pub fn method(&self) -> &Method {
        todo!()
    }

    /// The path as sent, still percent-encoded: starts with `/`, or is `*` for OPTIONS.
    #[must_use]
    pub fn path(&self) -> &str {
        todo!()
    }

    /// The query as sent, without its `?`; `None` when there is no `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        todo!()
    }

    /// The request target as sent.
    #[must_use]
    pub fn target(&self) -> &str {
        todo!()
    }

    /// `HTTP/1.0` or `HTTP/1.1`.
    #[must_use]
    pub fn version(&self) -> Version {
        todo!()
    }

    /// The authority of the request: of an absolute-form target, else the Host field; empty when there is none.
    #[must_use]
    pub fn host(&self) -> &str {
        todo!()
    }

    /// The first field of that name, in any case; `None` also when its value is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let _ = name;
        todo!()
    }

    /// All fields in the order received: names as sent, values without surrounding white space.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        std::iter::empty()
    }

    /// How the body that follows is framed.
    #[must_use]
    pub fn framing(&self) -> Framing {
        todo!()
    }

    /// Whether the client lets the connection live on after this request (version and Connection field).
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        todo!()
    }

    /// Whether the client waits for `100 Continue` before it sends the body (HTTP/1.1 only).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        todo!()
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}
