//! The way out: the bytes of a response as an `http::Response`, its content piece by piece.

use crate::Result;
use crate::exchange::{Connections, Error};
use crate::http::{BodyDecoder, BodyLimits, Framing, is_of_the_connection};
use crate::server::by_hand::{Came, Hand};
use ::http::response::Builder;
use ::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The body of a response of an [`Embedded`](super::Embedded) application, piece by piece: as an iterator, or with
/// [`Read`].
///
/// Content in memory is one piece. A file comes in pieces, and each item of a [`Stream`](crate::Stream) is a piece. The
/// next one is made when it is asked for, on the thread that asks, which waits as long as the application takes. An
/// error is a stream or a file that has failed: end the connection to the client, so that it can tell that something is
/// missing. Dropping it before its end is a client that has gone.
pub struct Outgoing {
    /// `None` when nothing more comes.
    hand: Option<Hand>,
    decoder: BodyDecoder,
    /// Not decoded.
    received: Vec<u8>,
    /// Decoded and not read.
    piece: bytes::Bytes,
    _client: Arc<dyn Connections>,
}

/// The waits of the application have deadlines of their own, which are nearer.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// No handler sets more fields.
const MAX_FIELDS: usize = 16 * 1024;

/// Lets the request run, and reads the head of its response.
pub(super) fn receive(
    mut hand: Hand,
    client: Arc<dyn Connections>,
    method: &Method,
) -> Result<::http::Response<Outgoing>> {
    let mut received = Vec::new();
    let (response, framing, length) = loop {
        let Came::Bytes(_) = hand.receive(&mut received, Instant::now() + NEVER) else {
            return Err(Error::unexpected("the application has ended the request without an answer"));
        };
        match read_head(&received, method)? {
            Some(head) => break head,
            None => continue,
        }
    };
    received.drain(..length);
    let limits = BodyLimits { content: u64::MAX, ..BodyLimits::default() };
    let decoder = BodyDecoder::new(framing, limits).map_err(|refusal| Error::unexpected(refusal.to_string()))?;
    let mut body = Outgoing { hand: Some(hand), decoder, received, piece: bytes::Bytes::new(), _client: client };
    // Mostly it is all there, and the request need not wait for its end until the content is read.
    if !body.received.is_empty() && body.decoder.remaining().is_some() {
        body.piece = body.next().transpose()?.unwrap_or_default();
    }
    if body.decoder.is_complete() {
        body.hand = None;
    }
    Ok(response.body(body)?)
}

/// The head at the start of `received`, how the content behind it is framed, and its length; `None` while it is not
/// complete.
fn read_head(received: &[u8], method: &Method) -> Result<Option<(Builder, Framing, usize)>> {
    let mut room = 64;
    loop {
        let mut fields = vec![httparse::EMPTY_HEADER; room];
        let mut head = httparse::Response::new(&mut fields);
        let length = match head.parse(received) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) if room < MAX_FIELDS => {
                room *= 4;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let status = StatusCode::from_u16(head.code.unwrap_or_default())?;
        let mut response = ::http::Response::builder().status(status);
        let mut framing = Framing::None;
        for field in head.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes())?;
            if name == header::CONTENT_LENGTH {
                framing = Framing::Length(std::str::from_utf8(field.value)?.parse()?);
            } else if name == header::TRANSFER_ENCODING {
                framing = Framing::Chunked;
            }
            let is_for_the_client = matches!(name, header::CONTENT_LENGTH | header::DATE | header::TRAILER);
            if is_for_the_client || !is_of_the_connection(name.as_str(), &[]) {
                response = response.header(name, HeaderValue::from_bytes(field.value)?);
            }
        }
        let has_none = *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        return Ok(Some((response, if has_none { Framing::None } else { framing }, length)));
    }
}

impl Outgoing {
    /// How many bytes are still to come; `None` for a stream that has not promised it.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.decoder.remaining().map(|left| left + self.piece.len() as u64)
    }

    /// All that is left, in memory.
    ///
    /// # Errors
    /// When it is more than `limit` bytes, and when the response breaks off.
    pub fn read_all(mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        for piece in &mut self {
            let piece = piece?;
            if content.len() + piece.len() > limit {
                return Err(io::Error::new(ErrorKind::FileTooLarge, "the response is larger than the caller reads"));
            }
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }
}

impl Iterator for Outgoing {
    type Item = io::Result<bytes::Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.piece.is_empty() {
            return Some(Ok(std::mem::take(&mut self.piece)));
        }
        let mut content = Vec::new();
        loop {
            if !self.received.is_empty() {
                match self.decoder.decode(&self.received, &mut content) {
                    Ok(used) => drop(self.received.drain(..used)),
                    Err(refusal) => {
                        self.hand = None;
                        self.received.clear();
                        return Some(Err(io::Error::new(ErrorKind::InvalidData, refusal)));
                    }
                }
            }
            if self.decoder.is_complete() {
                self.hand = None;
                self.received.clear();
            }
            if !content.is_empty() {
                return Some(Ok(content.into()));
            }
            match self.hand.as_mut()?.receive(&mut self.received, Instant::now() + NEVER) {
                Came::Bytes(_) => {}
                Came::End | Came::Failure | Came::Nothing => {
                    self.hand = None;
                    let broken = "the response has broken off: a stream or a file has failed";
                    return Some(Err(io::Error::new(ErrorKind::UnexpectedEof, broken)));
                }
            }
        }
    }
}

impl Read for Outgoing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            match self.next() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<Outgoing>();
};

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.length() {
            Some(length) => write!(f, "Outgoing({length} bytes)"),
            None => f.write_str("Outgoing"),
        }
    }
}
