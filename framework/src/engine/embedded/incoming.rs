//! The way in: the head of an `http::Request` as bytes, and its body in the framing that the head promises.

use super::Visitor;
use crate::http::{is_of_the_connection, write_chunk, write_last_chunk};
use crate::server::by_hand::Hand;
use ::http::request::Parts;
use ::http::{HeaderValue, header};
use std::io::{self, Read};

/// The body of a request to an [`Embedded`](super::Embedded) application: bytes, or a reader.
pub struct Incoming(Content);

enum Content {
    Bytes(bytes::Bytes),
    Reader(Box<dyn Read + Send>),
}

impl Incoming {
    /// A body that is read as far as the application wants it, on the thread that answers. The reader may wait for the
    /// client; its deadlines are its own. An error in the middle is a client that has broken off.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self(Content::Reader(Box::new(reader)))
    }
}

impl From<()> for Incoming {
    fn from((): ()) -> Self {
        bytes::Bytes::new().into()
    }
}

impl From<bytes::Bytes> for Incoming {
    fn from(content: bytes::Bytes) -> Self {
        Self(Content::Bytes(content))
    }
}

impl From<Vec<u8>> for Incoming {
    fn from(content: Vec<u8>) -> Self {
        bytes::Bytes::from(content).into()
    }
}

impl From<&'static str> for Incoming {
    fn from(content: &'static str) -> Self {
        bytes::Bytes::from(content).into()
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Content::Bytes(content) => write!(f, "Incoming({} bytes)", content.len()),
            Content::Reader(_) => f.write_str("Incoming(reader)"),
        }
    }
}

/// Sends all of a request.
pub(super) fn send(hand: &Hand, parts: &Parts, visitor: &Visitor, body: Incoming) {
    let mut head = Vec::with_capacity(512);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut line = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| head.extend_from_slice(part));
        head.extend_from_slice(b"\r\n");
    };
    line(&[parts.method.as_str().as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1"]);
    line(&[b"host: ", &host(parts, visitor)]);
    let options: Vec<_> = parts.headers.get_all(header::CONNECTION).iter().map(HeaderValue::as_bytes).collect();
    for (name, value) in &parts.headers {
        if *name != header::HOST && !is_of_the_connection(name.as_str(), &options) {
            line(&[name.as_str().as_bytes(), b": ", value.as_bytes()]);
        }
    }
    line(&[b"connection: close"]);
    let promised = parts.headers.get(header::CONTENT_LENGTH);
    match body.0 {
        Content::Bytes(content) => {
            if promised.is_some() || !content.is_empty() {
                line(&[b"content-length: ", content.len().to_string().as_bytes()]);
            }
            line(&[]);
            hand.send(&head);
            hand.send(&content);
            hand.end_input();
        }
        Content::Reader(reader) => match promised {
            Some(length) => {
                line(&[b"content-length: ", length.as_bytes()]);
                line(&[]);
                hand.send(&head);
                let most = length.to_str().ok().and_then(|length| length.parse().ok()).unwrap_or(0);
                hand.read_from(reader.take(most));
            }
            None => {
                line(&[b"transfer-encoding: chunked"]);
                line(&[]);
                hand.send(&head);
                hand.read_from(InChunks { reader, framed: Vec::new(), position: 0, has_ended: false });
            }
        },
    }
}

/// The host that the request is for. HTTP/1.1 wants one.
fn host(parts: &Parts, visitor: &Visitor) -> Vec<u8> {
    if let Some(authority) = parts.uri.authority() {
        return authority.as_str().rsplit('@').next().unwrap_or_default().into();
    }
    match (parts.headers.get(header::HOST), visitor.connection.local) {
        (Some(host), _) => host.as_bytes().into(),
        (None, Some(local)) => local.to_string().into_bytes(),
        (None, None) => b"localhost".into(),
    }
}

/// A body of a length that nobody knows.
struct InChunks {
    reader: Box<dyn Read + Send>,
    framed: Vec<u8>,
    position: usize,
    has_ended: bool,
}

/// How much is read at a time.
const PIECE: usize = 16 * 1024;

impl Read for InChunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.framed.len() && !self.has_ended {
            let mut piece = vec![0; PIECE];
            let length = self.reader.read(&mut piece)?;
            self.framed.clear();
            self.position = 0;
            write_chunk(&mut self.framed, &piece[..length]);
            if length == 0 {
                write_last_chunk(&mut self.framed);
                self.has_ended = true;
            }
        }
        let length = (&self.framed[self.position..]).read(buffer)?;
        self.position += length;
        Ok(length)
    }
}
