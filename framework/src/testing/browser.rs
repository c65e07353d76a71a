//! The state of a client between requests, and the way of one request to its response.
//!
//! [`Target`] is the application and the way to it; all browsers of a test share it. [`Browser`] is the state of one of
//! them: cookies and idle connections. Neither knows how requests are composed or responses judged.

#[cfg(feature = "http2")]
use super::http2::Http2;
use super::{
    ClientError,
    cookies::CookieJar,
    in_process::InProcess,
    wire::{BodyState, Head, Socket, Transport, Wire, describe, until},
};
use crate::{
    engine::{App, Running},
    server::{Service, by_hand::ByHand},
};
use ::http::Method;
use parking_lot::Mutex;
use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

/// Where requests go.
pub(super) enum Target {
    /// Onto the caller's thread.
    InProcess { server: Arc<ByHand> },
    /// To a server; dropping `_running` stops it when it is ours. The mutex is there for `Sync` only.
    Socket { address: SocketAddr, is_encrypted: bool, _running: Option<Box<Mutex<Running>>> },
    /// To a server of HTTP/2 without TLS.
    #[cfg(feature = "http2")]
    Http2 { address: SocketAddr, _running: Box<Mutex<Running>> },
}

/// The state of one browser.
#[derive(Default)]
pub(super) struct Browser {
    pub(super) cookies: Mutex<CookieJar>,
    pub(super) identity: Identity,
    idle: Mutex<Vec<Wire<Socket>>>,
    #[cfg(feature = "http2")]
    idle_http2: Mutex<Vec<Http2>>,
}

/// What it shows of itself in handshakes, if anything.
#[derive(Clone, Default)]
pub(super) struct Identity(#[cfg(feature = "tls")] Option<Arc<rustls::ClientConfig>>);

/// One request, ready to be sent.
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) bytes: Vec<u8>,
    pub(super) timeout: Duration,
}

/// A response whose head has arrived and whose body is still to be read.
pub(super) struct Arriving {
    pub(super) head: Head,
    pub(super) body: BodyState,
    timeout: Duration,
    wire: AnyWire,
    browser: Arc<Browser>,
}

enum AnyWire {
    InProcess(Box<Wire<InProcess>>),
    Socket(Wire<Socket>),
    #[cfg(feature = "http2")]
    Http2(Box<Wire<Http2>>),
    /// Given back to its browser.
    Returned,
}

impl Target {
    pub(super) fn in_process(app: App) -> crate::Result<Self> {
        Self::of_service(Arc::new(app.without_environment().build()?))
    }

    pub(super) fn of_service(service: Arc<dyn Service>) -> crate::Result<Self> {
        Ok(Self::InProcess { server: InProcess::server(service)? })
    }

    pub(super) fn over_socket(app: App) -> crate::Result<Self> {
        let running = app.without_environment().start("127.0.0.1:0")?;
        let (address, is_encrypted) = (running.address(), running.is_encrypted());
        Ok(Self::Socket { address, is_encrypted, _running: Some(Box::new(Mutex::new(running))) })
    }

    #[cfg(feature = "http2")]
    pub(super) fn over_http2(app: App) -> crate::Result<Self> {
        let running = app.without_environment().start("127.0.0.1:0 h2c")?;
        Ok(Self::Http2 { address: running.address(), _running: Box::new(Mutex::new(running)) })
    }

    /// The value of the Host field.
    pub(super) fn host(&self) -> String {
        match self {
            Self::InProcess { .. } => "localhost".to_owned(),
            Self::Socket { address, .. } => address.to_string(),
            #[cfg(feature = "http2")]
            Self::Http2 { address, .. } => address.to_string(),
        }
    }

    /// The address of the server, unless there is none.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::InProcess { .. } => None,
            Self::Socket { address, .. } => Some(*address),
            #[cfg(feature = "http2")]
            Self::Http2 { address, .. } => Some(*address),
        }
    }

    /// Whether the server speaks TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Socket { is_encrypted: true, .. })
    }
}

/// Connects to a server within `timeout`.
#[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "who the client is, TLS alone asks"))]
pub(super) fn connect(
    address: SocketAddr,
    is_encrypted: bool,
    identity: &Identity,
    timeout: Duration,
) -> Result<Socket, ClientError> {
    let deadline = Instant::now() + timeout;
    let stream = TcpStream::connect_timeout(&address, timeout)
        .map_err(|error| ClientError::new(format!("no connection to {address}: {error}")))?;
    stream.set_nodelay(true).map_err(describe)?;
    if !is_encrypted {
        return Ok(Socket::plain(stream));
    }
    #[cfg(feature = "tls")]
    return Socket::encrypted(stream, identity.0.as_ref(), deadline);
    #[cfg(not(feature = "tls"))]
    Err(ClientError::new(format!("{address} speaks TLS until {deadline:?}, and this build does not")))
}

impl Browser {
    /// One that shows this.
    #[cfg(feature = "tls")]
    pub(super) fn showing(identity: Arc<rustls::ClientConfig>) -> Self {
        Self { identity: Identity(Some(identity)), ..Self::default() }
    }

    /// Sends one request and waits for the head of the final response.
    pub(super) fn exchange(self: &Arc<Self>, target: &Target, request: &Prepared) -> Result<Arriving, ClientError> {
        let deadline = Instant::now() + request.timeout;
        let (wire, head) = match target {
            Target::InProcess { server } => {
                let mut wire = Wire::new(InProcess::send(server, &request.bytes));
                let head = final_head(&mut wire, deadline)?;
                (AnyWire::InProcess(Box::new(wire)), head)
            }
            #[cfg(feature = "http2")]
            Target::Http2 { address, .. } => {
                let mut idle = std::iter::from_fn(|| self.idle_http2.lock().pop());
                let mut connection = match idle.find_map(|mut idle| idle.is_free().then_some(idle)) {
                    Some(connection) => connection,
                    None => Http2::over(*address, deadline)?,
                };
                connection.send(&request.bytes)?;
                let mut wire = Wire::new(connection);
                let head = final_head(&mut wire, deadline)?;
                (AnyWire::Http2(Box::new(wire)), head)
            }
            Target::Socket { address, is_encrypted, .. } => {
                let mut wire = match self.idle_connection()? {
                    Some(wire) => wire,
                    None => Wire::new(connect(*address, *is_encrypted, &self.identity, until(deadline)?)?),
                };
                // A server may answer and close before it has read everything: the answer counts then.
                let sent = wire.transport.send(&request.bytes, deadline);
                let head = final_head(&mut wire, deadline);
                let head = match (sent, head) {
                    (_, Ok(head)) => head,
                    (Err(error), Err(_)) | (Ok(()), Err(error)) => return Err(error),
                };
                (AnyWire::Socket(wire), head)
            }
        };
        let body = head.body(request.method == Method::HEAD)?;
        let mut arriving = Arriving { head, body, timeout: request.timeout, wire, browser: Arc::clone(self) };
        arriving.give_back();
        Ok(arriving)
    }

    /// A connection that the server has neither closed nor written to since the last response.
    fn idle_connection(&self) -> Result<Option<Wire<Socket>>, ClientError> {
        while let Some(wire) = self.idle.lock().pop() {
            if !wire.unread().is_empty() {
                let unread = String::from_utf8_lossy(wire.unread()).into_owned();
                return Err(ClientError::new(format!("the server sent bytes without a request: {unread:?}")));
            }
            let stream = &wire.transport.stream;
            stream.set_nonblocking(true).map_err(describe)?;
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false).map_err(describe)?;
            match peeked {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(Some(wire)),
                // With TLS that is the word of its end.
                Ok(count) if count > 0 && !wire.transport.is_encrypted() => {
                    return Err(ClientError::new("the server sent bytes without a request".to_owned()));
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }
}

impl Arriving {
    /// The next piece of the body as it arrives.
    pub(super) fn next_piece(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let piece = match &mut self.wire {
            AnyWire::InProcess(wire) => wire.next_piece(&mut self.body, deadline)?,
            AnyWire::Socket(wire) => wire.next_piece(&mut self.body, deadline)?,
            #[cfg(feature = "http2")]
            AnyWire::Http2(wire) => wire.next_piece(&mut self.body, deadline)?,
            AnyWire::Returned => None,
        };
        self.give_back();
        Ok(piece)
    }

    /// Once the body is complete, the connection is free for the next request.
    fn give_back(&mut self) {
        if self.body != BodyState::Complete {
            return;
        }
        match std::mem::replace(&mut self.wire, AnyWire::Returned) {
            AnyWire::Socket(wire) if !self.head.closes() => self.browser.idle.lock().push(wire),
            #[cfg(feature = "http2")]
            AnyWire::Http2(wire) => self.browser.idle_http2.lock().push(wire.transport),
            _ => {}
        }
    }
}

/// The next head that is not an interim response.
pub(super) fn final_head<T: Transport>(wire: &mut Wire<T>, deadline: Instant) -> Result<Head, ClientError> {
    loop {
        let head = wire.read_head(deadline)?;
        if head.status >= 200 {
            return Ok(head);
        }
    }
}
