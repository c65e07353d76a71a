//! The server over real sockets, with a service that does what the path says. No application, no lifecycle.

mod bodies;
mod connections;
#[cfg(feature = "websocket")]
mod conversations;
mod ending;
mod floods;
#[cfg(feature = "http2")]
mod http2;
mod listeners;
mod overload;
mod parking;
mod pushes;
mod responses;
#[cfg(feature = "tls")]
pub(super) mod tls;

use super::{BodyPlan, Delivery, NamedSocket, Progress, Server, ServerSettings, Service, Wakers};
use crate::exchange::{Exchange, FileBody, Peer, RequestBody, Stream};
use crate::http::Refusal;
use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Long enough for everything that must happen; a test that waits for it has failed.
const SOON: Duration = Duration::from_secs(10);

/// How long `/late-read` works before it reads.
const LATE: Duration = Duration::from_millis(100);

/// The service of the tests: its reports, and its orders.
struct Puppet {
    /// One message for each call of `/block`, then a wait for `release`.
    entered: Sender<()>,
    release: Receiver<()>,
    /// The wakers of parked requests.
    wakers: Sender<Waker>,
    /// Whether `/park` may go on.
    open: Mutex<bool>,
    park_for: Option<Duration>,
    chunks: Mutex<Option<Receiver<Vec<u8>>>>,
    ends: Sender<(String, Delivery)>,
    refusals: Mutex<Vec<Refusal>>,
}

impl Service for Puppet {
    fn start(&self, exchange: &mut Exchange, _wakers: &dyn Wakers) -> BodyPlan {
        match exchange.request.path() {
            "/discard" => BodyPlan::Discard,
            "/read" | "/late-read" | "/relay" | "/early" => BodyPlan::Stream { limit: 1 << 20 },
            "/small" => BodyPlan::Read { limit: 10, memory: 10 },
            "/form" | "/panic" => BodyPlan::Read { limit: 1 << 24, memory: 1 << 24 },
            "/start-panics" => panic!("start"),
            _ => BodyPlan::Read { limit: 1 << 24, memory: 1 << 16 },
        }
    }

    fn run(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Progress {
        let path = exchange.request.path().to_owned();
        match path.as_str() {
            "/block" => {
                self.entered.send(()).expect("the test listens");
                let _ = self.release.recv();
                exchange.response.set_body("released");
            }
            "/park" if !*self.open.lock() => {
                let received = exchange.request.received();
                let deadline = self.park_for.map(|wait| received + wait);
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    exchange.response.set_body("expired");
                } else {
                    self.wakers.send(wakers.waker()).expect("the test listens");
                    return Progress::Park { deadline };
                }
            }
            "/park" => {
                exchange.response.set_body("woken");
            }
            "/panic" => panic!("run"),
            "/large" => {
                exchange.response.set_body(vec![b'x'; LARGE]);
            }
            "/large-shared" => {
                static SHARED: std::sync::OnceLock<bytes::Bytes> = std::sync::OnceLock::new();
                exchange.response.set_body(SHARED.get_or_init(|| vec![b'x'; LARGE].into()).clone());
            }
            "/large-file" => {
                let file = tempfile::tempfile().expect("a temporary file");
                file.set_len(LARGE as u64).expect("room for holes");
                exchange.response.set_body(FileBody::whole(file).expect("a regular file"));
            }
            "/large-stream" => {
                let pieces = std::iter::repeat_n(vec![b'x'; 1 << 16], LARGE >> 16);
                exchange.response.set_body(Stream::new(pieces).with_length(LARGE as u64));
            }
            "/push" => {
                let news = self.chunks.lock().clone().expect("nothing took it");
                exchange.response.set_body(pushes::told(news, self.wakers.clone()));
            }
            "/stream" => {
                let chunks = self.chunks.lock().take().expect("one stream a test");
                exchange.response.set_body(Stream::new(chunks));
            }
            "/broken-stream" => {
                let items = [Ok("first"), Err(crate::Error::from(std::io::Error::other("broken")))];
                exchange.response.set_body(Stream::fallible(items));
            }
            "/relay" => {
                let RequestBody::Stream(mut body) = exchange.request.body.take() else {
                    panic!("a stream was asked for")
                };
                body.read_exact(&mut [0]).expect("the first byte");
                let rest = std::iter::once_with(move || {
                    let mut rest = Vec::new();
                    body.read_to_end(&mut rest).map(|_| rest)
                });
                exchange.response.set_body(Stream::fallible(rest));
            }
            "/read" | "/late-read" => {
                if path == "/late-read" {
                    std::thread::sleep(LATE);
                }
                let RequestBody::Stream(mut body) = exchange.request.body.take() else {
                    panic!("a stream was asked for")
                };
                let mut content = Vec::new();
                match body.read_to_end(&mut content) {
                    Ok(_) => exchange.response.set_body(content),
                    Err(error) => exchange.response.set_body(error.to_string()),
                };
            }
            "/echo" => match exchange.request.body.take() {
                RequestBody::Memory(content) => {
                    exchange.response.set_body(content);
                }
                RequestBody::File { mut file, length } => {
                    let mut content = Vec::new();
                    file.read_to_end(&mut content).expect("the spooled body");
                    assert_eq!(content.len() as u64, length);
                    exchange.response.set_body(content);
                }
                _ => {}
            },
            "/peer" => {
                let connection = exchange.request.connection();
                let process = match connection.peer {
                    Peer::Unix(peer) => format!(" {:?}", (peer.uid, peer.pid.unwrap_or(0))),
                    Peer::Ip(_) => String::new(),
                };
                let proxy = connection.proxy.as_ref().map_or_else(String::new, |proxy| format!(" by {proxy}"));
                let text = format!("{} {}{process}{proxy}", connection.peer, exchange.request.remote());
                exchange.response.set_body(text);
            }
            path => {
                exchange.response.set_body(path.to_owned());
            }
        }
        Progress::Done
    }

    fn refuse(&self, exchange: &mut Exchange, refusal: &Refusal) {
        self.refusals.lock().push(*refusal);
        exchange.response.set_status(refusal.status());
        exchange.response.set_body("refused");
    }

    fn end(&self, exchange: &mut Exchange, delivery: &Delivery) {
        let path = exchange.request.path().to_owned();
        let _ = self.ends.send((path.clone(), *delivery));
        if path == "/end-hangs" {
            let _ = self.release.recv();
        }
        assert_ne!(path, "/end-panics", "end");
    }
}

const LARGE: usize = 16 << 20;

/// A server, its puppet, and the other ends of the puppet's strings.
struct Stage {
    server: Option<Server>,
    puppet: Arc<Puppet>,
    entered: Receiver<()>,
    release: Sender<()>,
    wakers: Receiver<Waker>,
    chunks: Option<Sender<Vec<u8>>>,
    ends: Receiver<(String, Delivery)>,
    address: SocketAddr,
    is_encrypted: bool,
}

impl Stage {
    fn new(change: impl FnOnce(&mut ServerSettings)) -> Self {
        Self::parking_for(None, change)
    }

    fn parking_for(park_for: Option<Duration>, change: impl FnOnce(&mut ServerSettings)) -> Self {
        Self::with(park_for, Vec::new(), std::env::var_os("KIRSCH_TEST_TLS").is_some(), change)
    }

    /// With listening sockets that another server has bound.
    fn inheriting(sockets: Vec<NamedSocket>, change: impl FnOnce(&mut ServerSettings)) -> Self {
        Self::with(None, sockets, false, change)
    }

    /// With `is_encrypted` all connections are by TLS.
    fn with(
        park_for: Option<Duration>,
        inherited: Vec<NamedSocket>,
        is_encrypted: bool,
        change: impl FnOnce(&mut ServerSettings),
    ) -> Self {
        let mut settings = ServerSettings { threads: 2, drain_idle: Duration::ZERO, ..Default::default() };
        settings.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0)).into()];
        #[cfg(feature = "tls")]
        if is_encrypted {
            settings.tls = tls::settings();
            settings.listen = vec!["127.0.0.1:0 tls".parse().expect("an address")];
        }
        change(&mut settings);
        let (entered_sender, entered) = unbounded();
        let (release, release_receiver) = unbounded();
        let (wakers_sender, wakers) = unbounded();
        let (chunks, chunks_receiver) = unbounded();
        let (ends_sender, ends) = unbounded();
        let puppet = Arc::new(Puppet {
            entered: entered_sender,
            release: release_receiver,
            wakers: wakers_sender,
            open: Mutex::new(false),
            park_for,
            chunks: Mutex::new(Some(chunks_receiver)),
            ends: ends_sender,
            refusals: Mutex::default(),
        });
        let bound = Server::bind(settings, inherited).expect("a free port");
        let server = bound.serve(puppet.clone(), ()).expect("threads");
        let address = server.address();
        Self {
            server: Some(server),
            puppet,
            entered,
            release,
            wakers,
            chunks: Some(chunks),
            ends,
            address,
            is_encrypted,
        }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("not stopped yet")
    }

    fn connect(&self) -> Client {
        let client = self.connect_plainly();
        #[cfg(feature = "tls")]
        let client = if self.is_encrypted { client.shake_hands() } else { client };
        client
    }

    fn connect_plainly(&self) -> Client {
        Self::connect_to(self.address)
    }

    fn connect_to(address: SocketAddr) -> Client {
        let socket = TcpStream::connect(address).expect("the server listens");
        socket.set_read_timeout(Some(SOON)).expect("a valid timeout");
        Client::over(socket)
    }

    /// A connection that is in `/block` when this returns.
    fn block(&self) -> Client {
        let mut client = self.connect();
        client.send("GET /block HTTP/1.1\r\nHost: a\r\n\r\n");
        self.entered.recv_timeout(SOON).expect("a worker for the request");
        client
    }

    fn next_end(&self) -> (String, Delivery) {
        self.ends.recv_timeout(SOON).expect("the end of a request")
    }

    fn stop(&mut self, deadline: Duration) -> super::StopReport {
        self.server.take().expect("not stopped yet").stop(deadline)
    }
}

/// A client that sends exactly the given bytes, and reads responses one by one.
struct Client {
    socket: TcpStream,
    #[cfg(feature = "tls")]
    session: Option<Box<rustls::ClientConnection>>,
    received: Vec<u8>,
}

#[derive(Debug)]
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Client {
    fn over(socket: TcpStream) -> Self {
        Self {
            socket,
            #[cfg(feature = "tls")]
            session: None,
            received: Vec::new(),
        }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        #[cfg(feature = "tls")]
        if let Some(session) = &mut self.session {
            return tls::send(session, &mut self.socket, bytes.as_ref());
        }
        self.socket.write_all(bytes.as_ref()).expect("the server reads");
    }

    fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.answer()
    }

    /// Reads one response, body and all.
    fn answer(&mut self) -> Answer {
        let head = self.head();
        let length = field(&head, "content-length").map_or(0, |value| value.parse().expect("a length"));
        let body = self.exactly(length);
        Answer { head, body }
    }

    fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.received.split_off(end + 4);
                let head = std::mem::replace(&mut self.received, rest);
                return String::from_utf8(head).expect("heads are text");
            }
            assert!(self.more(), "the connection ended before a head: {:?}", self.received.escape_ascii().to_string());
        }
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            assert!(self.more(), "the connection ended early");
        }
        let rest = self.received.split_off(length);
        std::mem::replace(&mut self.received, rest)
    }

    /// Everything until the server ends the connection, in order.
    fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.received)
    }

    fn more(&mut self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(session) = &mut self.session {
            return tls::more(session, &mut self.socket, &mut self.received);
        }
        let mut buffer = [0; 65536];
        match self.socket.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.received.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) => panic!("the server neither answered nor closed: {error}"),
        }
    }

    fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }
}

impl Answer {
    fn status(&self) -> &str {
        &self.head["HTTP/1.1 ".len()..][..3]
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    fn closes(&self) -> bool {
        field(&self.head, "connection") == Some("close")
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim()))
}

/// Waits for something that has no event of its own.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}
