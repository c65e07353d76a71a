//! A bare connection: it sends exactly these bytes, and returns the answer.

use super::{
    TestResponse,
    browser::final_head,
    wire::{Socket, Wire},
};
use rustix::{io::Errno, net::RecvFlags};
use std::time::{Duration, Instant};

/// A connection to the server for requests that no honest client would send: half heads, wrong lengths, many requests
/// at once.
///
/// ```
/// # use kirsch::{prelude::*, testing::Client};
/// # struct Pages;
/// # #[handlers]
/// # impl Pages {
/// #     #[expose]
/// #     fn index(&self) -> &'static str { "Hello, World!" }
/// # }
/// let client = Client::over_socket(App::new(Pages));
/// let mut connection = client.raw();
/// connection.send("GET / HTTP/1.1\r\nHost: one\r\nHost: two\r\n\r\n");
/// connection.read_response().assert_status(400);
/// connection.assert_closed();
/// ```
pub struct RawConnection {
    wire: Wire<Socket>,
    timeout: Duration,
}

impl RawConnection {
    pub(super) fn new(wire: Wire<Socket>, timeout: Duration) -> Self {
        Self { wire, timeout }
    }

    /// Sends these bytes.
    ///
    /// # Panics
    /// If the server does not take them by the deadline, or has closed. [`try_send`](RawConnection::try_send) tells
    /// instead.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        if let Err(error) = self.try_send(bytes) {
            panic!("{error}");
        }
        self
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// If the server does not take them by the deadline, or has closed.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), super::ClientError> {
        let deadline = self.deadline();
        self.wire.transport.send(bytes.as_ref(), deadline)
    }

    /// Reads the next response to a request other than HEAD; interim responses are skipped. Responses to pipelined
    /// requests come one by one.
    ///
    /// # Panics
    /// If none comes by the deadline, or if it breaks the rules of HTTP.
    #[track_caller]
    pub fn read_response(&mut self) -> TestResponse {
        self.response(false)
    }

    /// Reads the next response, which answers a HEAD request and therefore has no body.
    ///
    /// # Panics
    /// As [`read_response`](RawConnection::read_response).
    #[track_caller]
    pub fn read_response_to_head(&mut self) -> TestResponse {
        self.response(true)
    }

    /// Reads an interim response, such as `100 Continue`, and returns its status.
    ///
    /// # Panics
    /// If a final response comes instead, or none by the deadline.
    #[track_caller]
    pub fn read_interim(&mut self) -> u16 {
        match self.wire.read_head(self.deadline()) {
            Ok(head) if head.status < 200 => head.status,
            Ok(head) => panic!("a final response came instead of an interim one: {head:?}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads all bytes until the server closes.
    ///
    /// # Panics
    /// If it does not close by the deadline, or resets the connection.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        self.wire.read_to_end(self.deadline()).unwrap_or_else(|error| panic!("waiting for the end: {error}"))
    }

    /// Whether the server has closed the connection and nothing is left to read. Does not wait.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.wire.unread().is_empty() && matches!(self.peek(), Peek::End)
    }

    /// Whether bytes have come that were not yet read, or the connection has ended. Does not wait.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.wire.unread().is_empty() || !matches!(self.peek(), Peek::Nothing)
    }

    /// The server closes without sending another byte, by the deadline.
    ///
    /// # Panics
    /// If it does not, or sends something, or resets the connection.
    #[track_caller]
    pub fn assert_closed(&mut self) {
        let rest = self.read_to_end();
        assert!(rest.is_empty(), "the server sent more before it closed: {:?}", String::from_utf8_lossy(&rest));
    }

    /// Says that nothing more will be sent (a half-close); responses can still be read.
    ///
    /// # Panics
    /// If the connection is already gone.
    #[track_caller]
    pub fn shutdown_write(&mut self) -> &mut Self {
        if let Err(error) = self.wire.transport.end() {
            panic!("the connection is gone: {error}");
        }
        self
    }

    /// Breaks the connection off at once, as a crashing client does: the server gets a reset.
    ///
    /// # Panics
    /// If the system refuses the option SO_LINGER.
    pub fn reset(self) {
        let stream = &self.wire.transport.stream;
        rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).expect("TCP sockets have SO_LINGER");
    }

    /// The address of this end, as the server sees it.
    #[must_use]
    pub fn local_address(&self) -> Option<std::net::SocketAddr> {
        self.wire.transport.stream.local_addr().ok()
    }

    #[track_caller]
    fn response(&mut self, to_head: bool) -> TestResponse {
        let deadline = self.deadline();
        let read = |wire: &mut Wire<Socket>| {
            let head = final_head(wire, deadline)?;
            let mut body = head.body(to_head)?;
            let mut chunks = Vec::new();
            while let Some(chunk) = wire.next_piece(&mut body, deadline)? {
                chunks.push(chunk);
            }
            Ok::<_, super::ClientError>(TestResponse::new("raw bytes".to_owned(), head, chunks))
        };
        read(&mut self.wire).unwrap_or_else(|error| panic!("{error}"))
    }

    fn peek(&self) -> Peek {
        match rustix::net::recv(&self.wire.transport.stream, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, 1..)) => Peek::Bytes,
            Err(Errno::AGAIN | Errno::INTR) => Peek::Nothing,
            Ok(_) | Err(_) => Peek::End,
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

/// The result of a look at the socket.
enum Peek {
    Nothing,
    Bytes,
    End,
}

impl std::fmt::Debug for RawConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawConnection from {:?}", self.local_address())
    }
}
