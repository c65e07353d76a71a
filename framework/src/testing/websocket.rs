//! The client's side of a conversation by WebSocket, with a reader of its own, as strict as a browser.

#[cfg(feature = "http2")]
use super::http2::Http2;
use super::{
    Client, ClientError, TestResponse,
    browser::{Target, connect},
    in_process::InProcess,
    wire::{Socket, Transport, Wire},
};
use crate::websocket::Message;
use std::time::{Duration, Instant};

/// A conversation with a page, opened by [`Client::websocket`]. Pings are answered while something is awaited.
pub struct WebSocket {
    wire: Wire<Box<dyn Duplex>>,
    timeout: Duration,
    protocol: Option<String>,
}

/// A transport that goes on sending.
trait Duplex: Transport {
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), ClientError>;

    /// Nothing more will be sent. A server that has gone already is no mistake.
    fn end(&mut self);
}

impl Transport for Box<dyn Duplex> {
    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<usize, ClientError> {
        (**self).receive(received, deadline)
    }
}

impl Duplex for InProcess {
    fn send(&mut self, bytes: &[u8], _: Instant) -> Result<(), ClientError> {
        self.send_more(bytes);
        Ok(())
    }

    fn end(&mut self) {
        Self::end(self);
    }
}

impl Duplex for Socket {
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), ClientError> {
        Self::send(self, bytes, deadline)
    }

    fn end(&mut self) {
        let _ = Self::end(self);
    }
}

#[cfg(feature = "http2")]
impl Duplex for Http2 {
    fn send(&mut self, bytes: &[u8], _: Instant) -> Result<(), ClientError> {
        self.send_more(bytes)
    }

    fn end(&mut self) {
        Self::end(self);
    }
}

/// What the server has said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// The answer to a ping of ours.
    Pong(Vec<u8>),
    /// The end, with its code, unless it had none, and its words.
    Close(Option<u16>, String),
}

/// The key of the RFC and the answer to it: written down, not computed by the server's code.
const KEY: (&str, &str) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

impl Client {
    /// Opens a conversation with the page at `path`, as a page of the same site does, with the browser's cookies.
    ///
    /// # Panics
    /// If the server refuses it. [`try_websocket`](Self::try_websocket) returns the answer instead.
    #[must_use]
    #[track_caller]
    pub fn websocket(&self, path: &str) -> WebSocket {
        self.try_websocket(path, &[]).unwrap_or_else(|response| panic!("no conversation: {response:?}"))
    }

    /// Opens a conversation with these fields in the request; `Origin` is that of the site unless it is given. An empty
    /// value leaves the field out.
    ///
    /// # Errors
    /// The answer of a server that refuses.
    ///
    /// # Panics
    /// If there is no answer, or one that breaks the rules.
    #[expect(clippy::result_large_err, reason = "a test looks at it at once")]
    #[track_caller]
    pub fn try_websocket(&self, path: &str, fields: &[(&str, &str)]) -> Result<WebSocket, TestResponse> {
        self.open_websocket(path, fields).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn open_websocket(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Result<WebSocket, TestResponse>, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let is_encrypted = self.target.is_encrypted();
        let (host, scheme) = (self.target.host(), if is_encrypted { "https" } else { "http" });
        let origin = format!("{scheme}://{host}");
        let cookies = self.browser.cookies.lock().header(path, is_encrypted, Instant::now());
        let usual = [
            ("Host", &*host),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY.0),
            ("Origin", &origin),
        ];
        let is_given = |name: &str| fields.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut request = format!("GET {path} HTTP/1.1\r\n");
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                request.push_str(&format!("{name}: {value}\r\n"));
            }
        };
        usual.iter().filter(|(name, _)| !is_given(name)).for_each(|(name, value)| line(name, value));
        fields.iter().for_each(|(name, value)| line(name, value));
        cookies.iter().for_each(|cookies| line("Cookie", cookies));
        request.push_str("\r\n");
        let transport: Box<dyn Duplex> = match &*self.target {
            Target::InProcess { server } => Box::new(InProcess::open(server, request.as_bytes())),
            Target::Socket { address, .. } => {
                let mut socket = connect(*address, is_encrypted, &self.browser.identity, self.timeout)?;
                socket.send(request.as_bytes(), deadline)?;
                Box::new(socket)
            }
            #[cfg(feature = "http2")]
            Target::Http2 { address, .. } => {
                Box::new(Http2::open_tunnel(*address, request.as_bytes(), KEY.1, deadline)?)
            }
        };
        let mut wire = Wire::new(transport);
        let head = wire.read_head(deadline)?;
        for cookie in head.values("set-cookie") {
            self.browser.cookies.lock().store(cookie, path, Instant::now());
        }
        if head.status != 101 {
            let (mut body, mut chunks) = (head.body(false)?, Vec::new());
            while let Some(piece) = wire.next_piece(&mut body, deadline)? {
                chunks.push(piece);
            }
            return Ok(Err(TestResponse::new(format!("GET {path}"), head, chunks)));
        }
        let has = |name: &str, value: &str| head.field(name).is_some_and(|field| field.eq_ignore_ascii_case(value));
        let is_usual = is_given("sec-websocket-key") || head.field("sec-websocket-accept") == Some(KEY.1);
        if !has("upgrade", "websocket") || !has("connection", "upgrade") || !is_usual {
            return Err(ClientError::new(format!("an answer that no browser takes: {head:?}")));
        }
        let protocol = head.field("sec-websocket-protocol").map(str::to_owned);
        Ok(Ok(WebSocket { wire, timeout: self.timeout, protocol }))
    }
}

impl WebSocket {
    /// The protocol that was agreed on.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Sends a message of text or bytes.
    ///
    /// # Panics
    /// If the server does not take it by the deadline.
    #[track_caller]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> &mut Self {
        match message.into() {
            Message::Text(text) => self.send_frame(0x81, text.as_bytes()),
            Message::Bytes(bytes) => self.send_frame(0x82, bytes),
        }
    }

    /// Asks whether the server is there.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn ping(&mut self, payload: &[u8]) -> &mut Self {
        self.send_frame(0x89, payload)
    }

    /// Sends a close frame; the server's answer is still to be read.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn close(&mut self, code: u16, reason: &str) -> &mut Self {
        self.send_frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// Sends a frame with this first byte, whatever that means, and a mask.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_frame(&mut self, first: u8, payload: &[u8]) -> &mut Self {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap_or_default()),
            length => match u16::try_from(length) {
                Ok(length) => {
                    frame.push(0x80 | 126);
                    frame.extend_from_slice(&length.to_be_bytes());
                }
                Err(_) => {
                    frame.push(0x80 | 127);
                    frame.extend_from_slice(&(length as u64).to_be_bytes());
                }
            },
        }
        frame.extend_from_slice(&MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.send_bytes(&frame)
    }

    /// Sends exactly these bytes.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        if let Err(error) = self.try_send_bytes(bytes) {
            panic!("{error}");
        }
        self
    }

    fn try_send_bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let deadline = self.deadline();
        self.wire.transport.send(bytes, deadline)
    }

    /// The text that comes next.
    ///
    /// # Panics
    /// If something else comes, or nothing by the deadline.
    #[track_caller]
    pub fn text(&mut self) -> String {
        match self.receive() {
            Said::Text(text) => text,
            other => panic!("not text: {other:?}"),
        }
    }

    /// The bytes that come next.
    ///
    /// # Panics
    /// As [`text`](Self::text).
    #[track_caller]
    pub fn bytes(&mut self) -> Vec<u8> {
        match self.receive() {
            Said::Bytes(bytes) => bytes,
            other => panic!("not bytes: {other:?}"),
        }
    }

    /// The code with which the server ends the conversation; what it says before is passed over. The connection must
    /// end behind it, once the client has answered.
    ///
    /// # Panics
    /// If it does not by the deadline, or if the connection ends without a word.
    #[track_caller]
    pub fn close_code(&mut self) -> Option<u16> {
        loop {
            if let Said::Close(code, _) = self.receive() {
                // The server may have heard ours already, and be gone.
                let _ = self.try_send_bytes(&[&[0x88, 0x80][..], &MASK].concat());
                let deadline = self.deadline();
                self.wire.transport.end();
                let rest = self.wire.read_to_end(deadline);
                match rest {
                    Ok(rest) => assert!(rest.is_empty(), "bytes behind the close frame: {rest:02x?}"),
                    Err(error) => assert!(error.to_string().contains("reset"), "the connection stays open: {error}"),
                }
                return code;
            }
        }
    }

    /// What the server says next.
    ///
    /// # Panics
    /// If nothing comes by the deadline, or something that breaks the rules.
    #[track_caller]
    pub fn receive(&mut self) -> Said {
        self.try_receive().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What the server says next.
    ///
    /// # Errors
    /// If nothing comes by the deadline, the connection ends, or something breaks the rules.
    pub fn try_receive(&mut self) -> Result<Said, ClientError> {
        let wrong = |problem: &str| Err(ClientError::new(problem.to_owned()));
        loop {
            let (first, payload) = self.frame()?;
            return Ok(match first {
                0x81 => match String::from_utf8(payload) {
                    Ok(text) => Said::Text(text),
                    Err(_) => return wrong("text that is not UTF-8"),
                },
                0x82 => Said::Bytes(payload),
                0x89 => {
                    self.try_send_bytes(&pong(&payload))?;
                    continue;
                }
                0x8a => Said::Pong(payload),
                0x88 => match payload.split_first_chunk() {
                    Some((code, reason)) => {
                        let reason = String::from_utf8_lossy(reason).into_owned();
                        Said::Close(Some(u16::from_be_bytes(*code)), reason)
                    }
                    None if payload.is_empty() => Said::Close(None, String::new()),
                    None => return wrong("half a close code"),
                },
                _ => return wrong(&format!("a frame that begins with {first:#04x}")),
            });
        }
    }

    /// The next frame: its first byte and its payload. Nothing is answered.
    ///
    /// # Errors
    /// As [`try_receive`](Self::try_receive).
    pub fn frame(&mut self) -> Result<(u8, Vec<u8>), ClientError> {
        let head = self.read(2, "the head of a frame")?;
        let length = match head[1] {
            126 => {
                let length = self.read(2, "the length of a frame")?;
                u64::from(u16::from_be_bytes([length[0], length[1]]))
            }
            127 => {
                let length = self.read(8, "the length of a frame")?;
                length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
            }
            short @ 0..126 => u64::from(short),
            _ => return Err(ClientError::new("a frame of a server with a mask")),
        };
        let payload = self.read(usize::try_from(length).unwrap_or(usize::MAX), "the payload of a frame")?;
        Ok((head[0], payload))
    }

    fn read(&mut self, count: usize, what: &str) -> Result<Vec<u8>, ClientError> {
        let deadline = self.deadline();
        self.wire.read_exactly(count, what, deadline)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

/// The answer to a ping, of at most 125 bytes.
fn pong(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x8a, 0x80 | u8::try_from(payload.len()).unwrap_or_default()];
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}
