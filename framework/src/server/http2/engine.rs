//! The protocol of HTTP/2, from memory to memory: the crate `h2` without a runtime, and the only file that knows it.
//!
//! The engine's socket is a pair of buffers that a step lends to it. So it never waits, and what an idle connection
//! owns is the engine alone. It has wakers for one purpose: a stream that gives it something wakes the connection, and
//! a connection that gets something for a stream wakes that. They are called under the engine's own lock, so they must
//! not call it.

use crate::exchange::FileBody;
use crate::http::ResponseFraming;
use crate::server::transport::{FileFailure, Gone, Received, Taken};
use crate::server::workspace::{Input, Output};
use ::http::header::{CONTENT_LENGTH, DATE};
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use bytes::{Buf, Bytes};
use h2::server::{Builder, Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use parking_lot::Mutex;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the engine holds for one stream that cannot be sent yet. More would be 100 times as much for one client.
const MAX_UNSENT_OF_STREAM: usize = 64 * 1024;
/// What a client may send of one body before it is stored.
const WINDOW: u32 = 64 * 1024;
/// What it may send of all its bodies.
const WINDOW_OF_ALL: u32 = 1024 * 1024;
/// Beyond this much unsent output the engine goes no further.
pub(in crate::server) const MAX_OUTPUT: usize = 256 * 1024;
/// What the engine counts for each field beside its bytes (RFC 9113, section 6.5.2).
const FIELD_OVERHEAD: usize = 32;
/// Streams that the client has reset and that nobody has accepted.
const MAX_RESET_UNACCEPTED: usize = 20;
/// Streams that the engine itself has reset, since the client broke a rule in them.
const MAX_RESET_FOR_ERRORS: usize = 100;
/// Streams that were reset, and are remembered for a while: frames for them may be on their way.
const MAX_REMEMBERED: usize = 50;

/// Limits of one connection.
pub(super) struct EngineLimits {
    /// Streams at a time.
    pub(super) streams: u32,
    /// The largest head, as text.
    pub(super) head: usize,
    pub(super) fields: usize,
}

/// One connection's protocol.
pub(super) struct Engine {
    state: Protocol,
    wire: Wire,
}

enum Protocol {
    /// Before the client's preface is complete.
    Greeting(Box<Handshake<Wire, Bytes>>),
    Open(Box<Connection<Wire, Bytes>>),
    Over,
}

/// How far the engine came.
pub(super) enum Turn {
    /// The client has made a request.
    Opened(Box<Opened>),
    /// Nothing more to do for now.
    Waits,
    /// The connection is over; what is in the output is its last.
    Over,
}

/// A new stream.
pub(super) struct Opened {
    pub(super) head: Parts,
    pub(super) has_content: bool,
    pub(super) ends: StreamEnds,
}

impl Engine {
    pub(super) fn new(limits: &EngineLimits) -> Self {
        let wire = Wire::default();
        let head = limits.head.saturating_add(limits.fields.saturating_mul(FIELD_OVERHEAD));
        let mut builder = Builder::new();
        builder
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW_OF_ALL)
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .max_send_buffer_size(MAX_UNSENT_OF_STREAM)
            .max_pending_accept_reset_streams(MAX_RESET_UNACCEPTED)
            .max_local_error_reset_streams(Some(MAX_RESET_FOR_ERRORS))
            .max_concurrent_reset_streams(MAX_REMEMBERED)
            .reset_stream_duration(Duration::from_secs(1));
        #[cfg(feature = "websocket")]
        builder.enable_connect_protocol();
        Self { state: Protocol::Greeting(Box::new(builder.handshake(wire.clone()))), wire }
    }

    /// Goes on with the bytes that have come, until a request is there or nothing more can be done. Requests are only
    /// taken if the caller `accepts` them; the others wait.
    pub(super) fn go_on(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        cx: &mut Context<'_>,
        accepts: bool,
    ) -> Turn {
        let _lent = Lent::new(&self.wire, input, output);
        loop {
            match &mut self.state {
                Protocol::Greeting(handshake) => match Pin::new(&mut **handshake).poll(cx) {
                    Poll::Ready(Ok(connection)) => self.state = Protocol::Open(Box::new(connection)),
                    Poll::Ready(Err(_)) => self.state = Protocol::Over,
                    Poll::Pending => return Turn::Waits,
                },
                Protocol::Open(connection) if accepts => match connection.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, respond)))) => {
                        let (mut head, body) = request.into_parts();
                        let is_tunnel = become_handshake(&mut head);
                        let has_content = !is_tunnel && !body.is_end_stream();
                        let sink = Sink::Head(respond);
                        let ends = StreamEnds { sink, source: body, rest: Bytes::new(), is_tunnel };
                        return Turn::Opened(Box::new(Opened { head, has_content, ends }));
                    }
                    Poll::Ready(_) => self.state = Protocol::Over,
                    Poll::Pending => return Turn::Waits,
                },
                Protocol::Open(connection) => match connection.poll_closed(cx) {
                    Poll::Ready(_) => self.state = Protocol::Over,
                    Poll::Pending => return Turn::Waits,
                },
                Protocol::Over => return Turn::Over,
            }
        }
    }

    /// Whether the client's preface is not complete.
    pub(super) fn is_greeting(&self) -> bool {
        matches!(self.state, Protocol::Greeting(_))
    }

    /// The client will send no more.
    pub(super) fn end_input(&mut self) {
        self.wire.0.lock().has_ended = true;
    }

    /// Tells the client that the connection ends once its streams have: GOAWAY for streams to come, a PING, and when
    /// that is answered, GOAWAY with the number of the last stream (RFC 9113, section 6.8).
    pub(super) fn drain(&mut self) {
        match &mut self.state {
            Protocol::Open(connection) => connection.graceful_shutdown(),
            Protocol::Greeting(_) => self.state = Protocol::Over,
            Protocol::Over => {}
        }
    }

    /// Ends the connection, and all of its streams.
    pub(super) fn end(&mut self, why: Parting) {
        match &mut self.state {
            Protocol::Open(connection) => connection.abrupt_shutdown(match why {
                Parting::Regular => Reason::NO_ERROR,
                Parting::Flood => Reason::ENHANCE_YOUR_CALM,
            }),
            Protocol::Greeting(_) => self.state = Protocol::Over,
            Protocol::Over => {}
        }
    }
}

impl Opened {
    /// Tells the client that nothing has been done for the request, so that it may repeat it elsewhere (RFC 9113,
    /// section 8.7).
    pub(super) fn turn_away(mut self) {
        if let Sink::Head(respond) = &mut self.ends.sink {
            respond.send_reset(Reason::REFUSED_STREAM);
        }
    }
}

/// Why the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    Regular,
    /// The client costs more than it asks for.
    Flood,
}

/// The engine's socket.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Buffers>>);

#[derive(Default)]
struct Buffers {
    input: Input,
    output: Vec<u8>,
    /// The output's length up to which there is room.
    most: usize,
    has_ended: bool,
}

/// The buffers of a step, lent to the engine until this is dropped; also when the engine panics.
struct Lent<'a> {
    wire: &'a Wire,
    input: &'a mut Input,
    output: &'a mut Output,
}

impl<'a> Lent<'a> {
    fn new(wire: &'a Wire, input: &'a mut Input, output: &'a mut Output) -> Self {
        output.compact();
        let buffers = &mut *wire.0.lock();
        buffers.most = output.bytes.len() - output.unsent().len() + MAX_OUTPUT;
        std::mem::swap(&mut buffers.input, input);
        std::mem::swap(&mut buffers.output, &mut output.bytes);
        Self { wire, input, output }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let buffers = &mut *self.wire.0.lock();
        std::mem::swap(&mut buffers.input, self.input);
        std::mem::swap(&mut buffers.output, &mut self.output.bytes);
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Buffers { input, has_ended, .. } = &mut *self.0.lock();
        if input.is_empty() && !*has_ended {
            return Poll::Pending;
        }
        let length = input.bytes().len().min(into.remaining());
        into.put_slice(&input.bytes()[..length]);
        input.consume(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Buffers { output, most, .. } = &mut *self.0.lock();
        if output.len() >= *most {
            return Poll::Pending;
        }
        let before = output.len();
        parts.iter().for_each(|part| output.extend_from_slice(part));
        Poll::Ready(Ok(output.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Both directions of one stream. Dropping it ends the stream, with a reset if the response is not complete, or if the
/// client has more to send.
pub(in crate::server) struct StreamEnds {
    sink: Sink,
    source: RecvStream,
    /// Received, and not taken by the reader.
    rest: Bytes,
    /// It was opened for another protocol.
    #[cfg_attr(not(feature = "websocket"), expect(dead_code, reason = "there is no other protocol"))]
    is_tunnel: bool,
}

/// The way to the client for a response that will not be complete. The engine forgets what it holds for a stream that
/// is reset, so this happens only when that has had its chance to leave.
pub(super) struct Unfinished(SendStream<Bytes>);

impl Unfinished {
    pub(super) fn reset(mut self) {
        self.0.send_reset(Reason::CANCEL);
    }
}

/// The way to the client.
enum Sink {
    /// Before the head of the response.
    Head(SendResponse<Bytes>),
    /// Content.
    Content {
        stream: SendStream<Bytes>,
        /// How much of it is still to come, if that is known.
        left: Option<u64>,
    },
    /// The response is complete.
    Ended,
}

impl StreamEnds {
    /// Takes content of the request. Room is given back to the client for the bytes that the caller takes, and no
    /// others: that is the whole back-pressure.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Received {
        let mut length = 0;
        let last = loop {
            if length == room.len() {
                break Received::Bytes { length, is_drained: false };
            }
            if self.rest.is_empty() {
                match self.source.poll_data(cx) {
                    Poll::Ready(Some(Ok(data))) => self.rest = data,
                    Poll::Ready(Some(Err(_))) => break Received::End,
                    Poll::Ready(None) => break Received::Whole,
                    Poll::Pending => break Received::Nothing,
                }
            }
            let taken = self.rest.len().min(room.len() - length);
            room[length..length + taken].copy_from_slice(&self.rest[..taken]);
            self.rest.advance(taken);
            length += taken;
            if self.source.flow_control().release_capacity(taken).is_err() {
                break Received::End;
            }
        };
        match last {
            Received::Nothing if length > 0 => Received::Bytes { length, is_drained: true },
            // The end is told at the next call.
            Received::End | Received::Whole if length > 0 => Received::Bytes { length, is_drained: false },
            last => last,
        }
    }

    /// Whether the client has asked for another protocol on the stream. Only an answer that agrees may be a success.
    #[cfg(feature = "websocket")]
    pub(in crate::server) fn is_tunnel(&self) -> bool {
        self.is_tunnel
    }

    /// Whether the client has more content to send, or some that nobody has taken.
    pub(in crate::server) fn has_unread(&self) -> bool {
        !self.rest.is_empty() || !self.source.is_end_stream()
    }

    /// Sends the head; `is_whole` if nothing follows it. `ready` are lines of fields.
    pub(in crate::server) fn send_head<'a>(
        &mut self,
        status: StatusCode,
        date: &[u8; 29],
        fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
        ready: &[u8],
        framing: ResponseFraming,
        is_whole: bool,
    ) -> Result<(), Gone> {
        let Sink::Head(respond) = &mut self.sink else { return Err(Gone) };
        let mut response = Response::new(());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(8);
        // The date is digits and letters.
        if let Ok(date) = HeaderValue::from_bytes(date) {
            headers.insert(DATE, date);
        }
        for (name, value) in fields.filter(|(name, _)| is_of_any_connection(name)) {
            headers.append(name, value.clone());
        }
        read_ready(ready, headers);
        let length = match framing {
            ResponseFraming::Length(length) => Some(length),
            _ => None,
        };
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let stream = respond.send_response(response, is_whole).map_err(|_| Gone)?;
        self.sink = if is_whole { Sink::Ended } else { Sink::Content { stream, left: length } };
        Ok(())
    }

    /// Sends the interim response that asks for the body.
    pub(in crate::server) fn ask_for_body(&mut self) {
        if let Sink::Head(respond) = &mut self.sink {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::CONTINUE;
            // A stream that has ended is noticed by the next read.
            let _ = respond.send_informational(response);
        }
    }

    /// Sends the parts, one behind the other, as far as there is room.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, parts: [&[u8]; 2]) -> Result<Taken, Gone> {
        let total = parts[0].len() + parts[1].len();
        let mut length = 0;
        while length < total {
            let Some(room) = self.room(cx, total - length)? else { break };
            let mut piece = Vec::with_capacity(room);
            let mut skip = length;
            for part in parts {
                let rest = &part[skip.min(part.len())..];
                skip = skip.saturating_sub(part.len());
                piece.extend_from_slice(&rest[..rest.len().min(room - piece.len())]);
            }
            self.send_piece(piece)?;
            length += room;
        }
        Ok(Taken { length, is_full: length < total })
    }

    /// Sends up to `most` bytes of a file.
    pub(super) fn send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &FileBody,
        position: u64,
        most: usize,
    ) -> Result<Taken, FileFailure> {
        let Some(room) = self.room(cx, most).map_err(|_| FileFailure::Gone)? else {
            return Ok(Taken { length: 0, is_full: true });
        };
        let mut piece = vec![0; room];
        file.read_exact_at(&mut piece, position).map_err(|_| FileFailure::Unsendable)?;
        self.send_piece(piece).map_err(|_| FileFailure::Gone)?;
        Ok(Taken { length: room, is_full: false })
    }

    /// Room for up to `most` bytes; `None` while there is none, and then the waker is told when there is.
    fn room(&mut self, cx: &mut Context<'_>, most: usize) -> Result<Option<usize>, Gone> {
        let Sink::Content { stream, .. } = &mut self.sink else { return Err(Gone) };
        stream.reserve_capacity(most.min(MAX_UNSENT_OF_STREAM));
        let room = match stream.capacity() {
            0 => match stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(room))) => room,
                Poll::Ready(_) => return Err(Gone),
                Poll::Pending => return Ok(None),
            },
            room => room,
        };
        Ok(Some(room.min(most)))
    }

    fn send_piece(&mut self, piece: Vec<u8>) -> Result<(), Gone> {
        let Sink::Content { stream, left } = &mut self.sink else { return Err(Gone) };
        let is_last = match left {
            Some(left) => {
                *left = left.saturating_sub(piece.len() as u64);
                *left == 0
            }
            None => false,
        };
        stream.send_data(piece.into(), is_last).map_err(|_| Gone)?;
        if is_last {
            self.sink = Sink::Ended;
        }
        Ok(())
    }

    /// The content is complete, if its length was not known before.
    pub(in crate::server) fn finish(&mut self) {
        if let Sink::Content { stream, .. } = &mut self.sink {
            // A stream that has ended needs no second end.
            let _ = stream.send_data(Bytes::new(), true);
            self.sink = Sink::Ended;
        }
    }

    /// What must be reset if the response has begun and is not complete.
    pub(super) fn take_unfinished(&mut self) -> Option<Unfinished> {
        match std::mem::replace(&mut self.sink, Sink::Ended) {
            Sink::Content { stream, .. } => Some(Unfinished(stream)),
            sink => {
                self.sink = sink;
                None
            }
        }
    }

    /// Whether the stream was reset, or the connection is lost; if not, the waker is told when it happens.
    pub(super) fn is_reset(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.sink {
            Sink::Head(respond) => respond.poll_reset(cx).is_ready(),
            Sink::Content { stream, .. } => stream.poll_reset(cx).is_ready(),
            Sink::Ended => false,
        }
    }
}

/// Makes a handshake of HTTP/1.1 of a request for a WebSocket (RFC 8441, section 5), if it is one. No request of HTTP/2
/// has these fields by itself. The key has no meaning here, and its answer is left out.
fn become_handshake(head: &mut Parts) -> bool {
    let protocol = head.extensions.get::<h2::ext::Protocol>();
    let is_one = cfg!(feature = "websocket")
        && head.method == ::http::Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str() == "websocket");
    if is_one {
        head.method = ::http::Method::GET;
        let fields =
            [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")];
        for (name, value) in fields {
            head.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    is_one
}

/// Whether a field has a meaning beyond the connection: those that have not are malformed in HTTP/2 (RFC 9113, section
/// 8.2.2), and the server's own are said by the engine.
fn is_of_any_connection(name: &HeaderName) -> bool {
    !crate::http::is_the_servers(name) && !matches!(name.as_str(), "upgrade" | "proxy-connection" | "te")
}

/// Reads lines of fields that were written once for many responses.
fn read_ready(lines: &[u8], headers: &mut HeaderMap) {
    for line in lines.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value)
            && is_of_any_connection(&name)
        {
            headers.append(name, value);
        }
    }
}
