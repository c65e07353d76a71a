//! A client of HTTP/2 in the clothes of one of HTTP/1.1: the bytes of a request become a stream, and what comes back
//! becomes the bytes of a response. So every test of an application can run over both.
//!
//! It is a transport of `wire.rs` with one request at a time. A response without a length becomes a chunked one, with a
//! chunk for each DATA frame. There is no thread and no runtime: the caller's thread moves the connection while it
//! waits for the response.

use super::{
    ClientError,
    wire::{Transport, describe, until},
};
use ::http::{Method, Request, Response, Uri, Version};
use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{Connection, ResponseFuture, SendRequest},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    future::Future,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Instant,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One connection.
pub(super) struct Http2 {
    connection: Connection<Unwaited, Bytes>,
    requests: SendRequest<Bytes>,
    socket: TcpStream,
    current: Option<Current>,
}

/// The request that is under way.
struct Current {
    is_head: bool,
    upload: SendStream<Bytes>,
    /// What is not sent yet; `None` when all is.
    unsent: Option<Bytes>,
    response: Option<ResponseFuture>,
    content: Option<RecvStream>,
    is_chunked: bool,
    /// The answer to the key of a handshake of HTTP/1.1, if the stream is for a WebSocket.
    handshake: Option<&'static str>,
}

/// A socket that never waits.
struct Unwaited(TcpStream);

impl Http2 {
    pub(super) fn over(address: SocketAddr, deadline: Instant) -> Result<Self, ClientError> {
        let socket = TcpStream::connect_timeout(&address, until(deadline)?).map_err(describe)?;
        socket.set_nodelay(true).map_err(describe)?;
        socket.set_nonblocking(true).map_err(describe)?;
        let io = Unwaited(socket.try_clone().map_err(describe)?);
        // A response of many small chunks is no attack here.
        let builder = h2::client::Builder::new().data_frame_budget(usize::MAX).to_owned();
        let mut handshake = pin!(builder.handshake(io));
        let (requests, connection) = loop {
            match handshake.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(done) => break done.map_err(failed)?,
                Poll::Pending => wait_for_news(&socket, true, deadline)?,
            }
        };
        Ok(Self { connection, requests, socket, current: None })
    }

    /// Whether another request may follow.
    pub(super) fn is_free(&mut self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        self.current = None;
        self.move_on(cx).is_ok() && matches!(self.requests.poll_ready(cx), Poll::Ready(Ok(())))
    }

    /// Opens a stream for a WebSocket (RFC 8441) with the handshake of HTTP/1.1 in `bytes`, once the server has said
    /// that it takes some. The answer has the clothes of HTTP/1.1, and this answer to the key.
    #[cfg(feature = "websocket")]
    pub(super) fn open_tunnel(
        address: SocketAddr,
        bytes: &[u8],
        answer: &'static str,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let mut opened = Self::over(address, deadline)?;
        while !opened.requests.is_extended_connect_protocol_enabled() {
            opened.move_on(&mut Context::from_waker(Waker::noop()))?;
            if !opened.requests.is_extended_connect_protocol_enabled() {
                wait_for_news(&opened.socket, false, deadline)?;
            }
        }
        opened.send_as(bytes, Some(answer))?;
        Ok(opened)
    }

    /// Sends more on a stream that stays open.
    #[cfg(feature = "websocket")]
    pub(super) fn send_more(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        if let Some(current) = &mut self.current {
            let unsent = current.unsent.take().unwrap_or_default();
            current.unsent = Some([&unsent[..], bytes].concat().into());
        }
        self.move_on(&mut Context::from_waker(Waker::noop()))
    }

    /// Nothing more is sent.
    #[cfg(feature = "websocket")]
    pub(super) fn end(&mut self) {
        if let Some(current) = &mut self.current {
            let _ = current.upload.send_data(Bytes::new(), true);
        }
    }

    /// Sends the request in `bytes`, as far as it goes without waiting.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.send_as(bytes, None)
    }

    fn send_as(&mut self, bytes: &[u8], handshake: Option<&'static str>) -> Result<(), ClientError> {
        let malformed = || ClientError::new("HTTP/2 cannot carry this request");
        let end = bytes.windows(4).position(|end| end == b"\r\n\r\n").ok_or_else(malformed)?;
        let (head, body) = (String::from_utf8_lossy(&bytes[..end]), &bytes[end + 4..]);
        let mut lines = head.split("\r\n");
        let mut line = lines.next().unwrap_or_default().split(' ');
        let (method, path) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
        let mut request = Request::builder().version(Version::HTTP_2).method(method);
        if handshake.is_some() {
            request = request.method(Method::CONNECT).extension(h2::ext::Protocol::from_static("websocket"));
        }
        let fields: Option<Vec<_>> = lines.map(|line| line.split_once(':')).collect();
        let fields = fields.ok_or_else(malformed)?;
        let of_connection = |name: &str| {
            let named = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
            let mut named = named.flat_map(|(_, names)| names.split(','));
            ["connection", "keep-alive", "upgrade", "transfer-encoding"].contains(&name)
                || (handshake.is_some() && name == "sec-websocket-key")
                || named.any(|other| other.trim().eq_ignore_ascii_case(name))
        };
        let mut authority = "localhost";
        for (name, value) in &fields {
            match name.to_ascii_lowercase().as_str() {
                "host" => authority = value.trim(),
                name if of_connection(name) => {}
                name => request = request.header(name, value.trim()),
            }
        }
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query(path).build();
        let request = request.uri(uri.map_err(|_| malformed())?).body(()).map_err(|_| malformed())?;
        let is_head = *request.method() == Method::HEAD;
        let (response, upload) =
            self.requests.send_request(request, body.is_empty() && handshake.is_none()).map_err(failed)?;
        let unsent = (!body.is_empty()).then(|| Bytes::copy_from_slice(body));
        self.current = Some(Current {
            is_head,
            upload,
            unsent,
            response: Some(response),
            content: None,
            is_chunked: false,
            handshake,
        });
        self.move_on(&mut Context::from_waker(Waker::noop()))
    }

    fn move_on(&mut self, cx: &mut Context<'_>) -> Result<(), ClientError> {
        if let Some(current) = &mut self.current {
            current.upload(cx);
        }
        match Pin::new(&mut self.connection).poll(cx) {
            Poll::Ready(Err(error)) => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

impl Current {
    /// Sends what there is room for. A stream that takes no more tells why with its response.
    fn upload(&mut self, cx: &mut Context<'_>) {
        while let Some(unsent) = &mut self.unsent {
            self.upload.reserve_capacity(unsent.len());
            let room = match self.upload.capacity() {
                0 => match self.upload.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(room))) => room,
                    Poll::Ready(_) => return self.unsent = None,
                    Poll::Pending => return,
                },
                room => room,
            };
            let piece = unsent.split_to(room.min(unsent.len()));
            let is_all = unsent.is_empty();
            if self.upload.send_data(piece, is_all && self.handshake.is_none()).is_err() || is_all {
                self.unsent = None;
            }
        }
    }

    /// Appends what has come to `received`; `None` while nothing has.
    fn receive(&mut self, received: &mut Vec<u8>, cx: &mut Context<'_>) -> Result<Option<usize>, ClientError> {
        let before = received.len();
        if let Some(response) = &mut self.response {
            match Pin::new(response).poll(cx) {
                Poll::Pending => return Ok(None),
                Poll::Ready(response) => {
                    let (head, content) = response.map_err(failed)?.into_parts();
                    let head = Response::from_parts(head, ());
                    let has_length = head.headers().contains_key("content-length");
                    let has_no_content = self.is_head || matches!(head.status().as_u16(), 204 | 304);
                    let agreed = self.handshake.filter(|_| head.status() == 200);
                    self.is_chunked = !has_length && !has_no_content && agreed.is_none();
                    write_head(received, &head, self.is_chunked);
                    if let Some(answer) = agreed {
                        become_answer(received, before, answer);
                    }
                    self.response = None;
                    self.content = Some(content);
                    return Ok(Some(received.len() - before));
                }
            }
        }
        let Some(content) = &mut self.content else { return Ok(Some(0)) };
        match content.poll_data(cx) {
            Poll::Pending => Ok(None),
            Poll::Ready(Some(data)) => {
                let data = data.map_err(failed)?;
                content.flow_control().release_capacity(data.len()).map_err(failed)?;
                match self.is_chunked {
                    // What follows may have come already.
                    true if data.is_empty() => return self.receive(received, cx),
                    true => received.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes()),
                    false => {}
                }
                received.extend_from_slice(&data);
                if self.is_chunked {
                    received.extend_from_slice(b"\r\n");
                }
                Ok(Some(received.len() - before))
            }
            Poll::Ready(None) => {
                self.content = None;
                if self.is_chunked {
                    received.extend_from_slice(b"0\r\n\r\n");
                }
                Ok(Some(received.len() - before))
            }
        }
    }
}

impl Transport for Http2 {
    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<usize, ClientError> {
        let cx = &mut Context::from_waker(Waker::noop());
        loop {
            let moved = self.move_on(cx);
            let Some(current) = &mut self.current else { return moved.map(|()| 0) };
            // What has come before the end of the connection counts.
            match current.receive(received, cx)? {
                Some(count) => return Ok(count),
                None => moved?,
            }
            wait_for_news(&self.socket, current.unsent.is_some(), deadline)?;
        }
    }
}

fn write_head(out: &mut Vec<u8>, head: &Response<()>, is_chunked: bool) {
    let reason = head.status().canonical_reason().unwrap_or_default();
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", head.status().as_str()).as_bytes());
    for (name, value) in head.headers() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(if is_chunked { b"transfer-encoding: chunked\r\n\r\n" } else { b"\r\n" });
}

/// Makes the answer to a handshake of HTTP/1.1 of the head that begins at `start`.
fn become_answer(out: &mut Vec<u8>, start: usize, answer: &str) {
    let fields = out[start..].iter().position(|&byte| byte == b'\n').map_or(out.len(), |end| start + end + 1);
    let line = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {answer}\r\n"
    );
    out.splice(start..fields, line.into_bytes());
}

/// Waits until there may be something to read, or, where the client `sends`, a moment for room.
fn wait_for_news(socket: &TcpStream, sends: bool, deadline: Instant) -> Result<(), ClientError> {
    let left = until(deadline)?;
    let left = if sends { left.min(std::time::Duration::from_millis(5)) } else { left };
    let mut waits = [PollFd::new(socket, PollFlags::IN)];
    match poll(&mut waits, Timespec::try_from(left).ok().as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(describe(error.into())),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn failed(error: h2::Error) -> ClientError {
    ClientError::new(format!("the server closed the connection or the stream: {error}"))
}

fn polled<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl AsyncRead for Unwaited {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = into.initialize_unfilled();
        polled(self.0.read(room).map(|length| into.advance(length)))
    }
}

impl AsyncWrite for Unwaited {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        polled(self.0.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
