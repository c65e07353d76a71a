//! The response: a status, fields and a body that knows how it will be sent.

use super::Error;
use ::http::{HeaderName, HeaderValue, StatusCode, header};

/// What the client will be answered.
///
/// Handlers change it through `&mut Response`; what they return is written into it afterwards.
#[derive(Debug, Default)]
pub struct Response {
    pub(crate) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: ResponseBody,
    spare: Vec<u8>,
}

impl Response {
    /// An empty 200.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The status, 200 unless it was set.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Sets the status.
    pub fn set_status(&mut self, status: StatusCode) -> &mut Self {
        self.status = status;
        self
    }

    /// The first field of that name.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// All fields in the order they were added.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.headers.iter().map(|(name, value)| (name, value))
    }

    /// Sets a field in place of all fields of that name.
    pub fn set_header(&mut self, name: HeaderName, value: HeaderValue) -> &mut Self {
        self.remove_header(&name);
        self.headers.push((name, value));
        self
    }

    /// Adds a field and keeps others of that name, as `Set-Cookie` and `Vary` need.
    pub fn add_header(&mut self, name: HeaderName, value: HeaderValue) -> &mut Self {
        self.headers.push((name, value));
        self
    }

    /// Removes all fields of that name.
    pub fn remove_header(&mut self, name: &HeaderName) -> &mut Self {
        self.headers.retain(|(key, _)| key != name);
        self
    }

    /// Sets `Content-Type` unless it is already there.
    pub fn default_content_type(&mut self, value: &'static str) -> &mut Self {
        self.content_type_unless_set(HeaderValue::from_static(value))
    }

    /// As [`default_content_type`](Self::default_content_type), with a value that was checked when the program was compiled.
    pub(super) fn content_type_unless_set(&mut self, value: HeaderValue) -> &mut Self {
        if self.header(&header::CONTENT_TYPE).is_none() {
            self.headers.push((header::CONTENT_TYPE, value));
        }
        self
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &ResponseBody {
        &self.body
    }

    /// The body, to be changed in place.
    pub(crate) fn body_mut(&mut self) -> &mut ResponseBody {
        &mut self.body
    }

    /// Replaces the body.
    pub fn set_body(&mut self, body: impl Into<ResponseBody>) -> &mut Self {
        self.body = body.into();
        self
    }

    /// Replaces the body by a copy of `content`, in a buffer that is used again for later responses.
    pub fn copy_body(&mut self, content: &[u8]) -> &mut Self {
        let mut buffer = std::mem::take(&mut self.spare);
        buffer.clear();
        buffer.extend_from_slice(content);
        self.body = ResponseBody::Bytes(buffer);
        self
    }

    /// Takes the body out and leaves an empty one.
    #[must_use]
    pub fn take_body(&mut self) -> ResponseBody {
        std::mem::take(&mut self.body)
    }

    /// Forgets status, fields and body, as before an error page is written. Keeps the buffers.
    pub fn clear(&mut self) {
        self.status = StatusCode::OK;
        self.headers.clear();
        self.recycle();
    }

    /// Drops the body and keeps its buffer for the next response.
    fn recycle(&mut self) {
        const KEPT: usize = 16 * 1024;
        if let ResponseBody::Bytes(buffer) = std::mem::take(&mut self.body)
            && buffer.capacity() <= KEPT
            && buffer.capacity() > self.spare.capacity()
        {
            self.spare = buffer;
        }
    }
}

/// The content of a response.
#[derive(Debug, Default)]
pub enum ResponseBody {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes that live as long as the program.
    Static(&'static [u8]),
    /// Bytes made for this response.
    Bytes(Vec<u8>),
    /// Chunks made one by one while they are sent.
    Stream(Stream),
}

impl ResponseBody {
    /// The bytes, unless the body is a stream.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Empty => Some(&[]),
            Self::Static(content) => Some(content),
            Self::Bytes(content) => Some(content),
            Self::Stream(_) => None,
        }
    }

    /// The length in bytes, unless the body is a stream.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.as_bytes().map(|content| content.len() as u64)
    }
}

impl From<Vec<u8>> for ResponseBody {
    fn from(content: Vec<u8>) -> Self {
        Self::Bytes(content)
    }
}

impl From<String> for ResponseBody {
    fn from(content: String) -> Self {
        Self::Bytes(content.into_bytes())
    }
}

impl From<&'static str> for ResponseBody {
    fn from(content: &'static str) -> Self {
        Self::Static(content.as_bytes())
    }
}

impl From<Stream> for ResponseBody {
    fn from(stream: Stream) -> Self {
        Self::Stream(stream)
    }
}

/// A response body made chunk by chunk: each item of an iterator is sent as one chunk, and the next one is made only
/// when the connection has room for it.
///
/// Sent as `text/html; charset=utf-8` unless the handler sets a content type. The session lock is released before
/// the first chunk. An item that is an error, and a panic, end the connection without the last chunk, so that the client
/// can tell that something is missing.
pub struct Stream {
    chunks: Box<dyn Iterator<Item = Result<Vec<u8>, Error>> + Send>,
}

impl Stream {
    /// A stream of the items of `chunks`.
    pub fn new<I>(chunks: I) -> Self
    where
        I: IntoIterator,
        I::IntoIter: Send + 'static,
        I::Item: Into<Vec<u8>>,
    {
        Self { chunks: Box::new(chunks.into_iter().map(|chunk| Ok(chunk.into()))) }
    }

    /// A stream whose items may fail.
    pub fn fallible<I, C, E>(chunks: I) -> Self
    where
        I: IntoIterator<Item = Result<C, E>>,
        I::IntoIter: Send + 'static,
        C: Into<Vec<u8>>,
        E: Into<Error>,
    {
        Self { chunks: Box::new(chunks.into_iter().map(|chunk| chunk.map(Into::into).map_err(Into::into))) }
    }
}

impl Iterator for Stream {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.chunks.next()
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}
