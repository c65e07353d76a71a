//! One request on the caller's thread: the steps of the server, without a server.
//!
//! The request comes in as bytes and is read by the same parser as in the server; the service is called in the order that its
//! door promises; a parked request blocks this thread until it is woken. The response goes out as bytes, made only when the
//! client reads on, so that a stream is pulled chunk by chunk as over a socket.

use super::{ClientError, wire::Transport};
use crate::{
    exchange::{Connection, Exchange, RequestBody, RequestId, ResponseBody, Stream},
    http::{
        BodyDecoder, BodyLimits, DateCache, HeadLimits, Persistence, Refusal, ResponseFraming, write_chunk,
        write_last_chunk, write_response_head,
    },
    server::{BodyPlan, Delivery, Progress, Service, Wakers},
};
use ::http::{Method, Version};
use parking_lot::{Condvar, Mutex};
use std::{
    io::{Cursor, Seek, Write},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Wake, Waker},
    time::{Instant, SystemTime},
};

/// A response on its way out of a service.
pub(super) struct InProcess {
    service: Arc<dyn Service>,
    exchange: Exchange,
    pending: Vec<u8>,
    stream: Option<Stream>,
    framing: ResponseFraming,
    started: Instant,
    body_bytes: u64,
    ended: bool,
}

impl InProcess {
    /// Runs the request in `bytes` up to its response head.
    pub(super) fn run(service: Arc<dyn Service>, bytes: &[u8], deadline: Instant) -> Result<Self, ClientError> {
        let mut run = Self {
            service,
            exchange: Exchange::new(),
            pending: Vec::new(),
            stream: None,
            framing: ResponseFraming::None,
            started: Instant::now(),
            body_bytes: 0,
            ended: false,
        };
        let accepted = run.accept(bytes);
        match &accepted {
            Ok(()) => run.answer(deadline)?,
            Err(refusal) => run.service.refuse(&mut run.exchange, refusal),
        }
        run.write_response(accepted.is_ok());
        Ok(run)
    }

    /// Reads the head and, as the service wants it, the body.
    fn accept(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let request = &mut self.exchange.request;
        request.id = RequestId::next();
        request.received = Some(self.started);
        request.connection = Connection {
            peer: SocketAddr::from(([127, 0, 0, 1], 50_000)),
            local: SocketAddr::from(([127, 0, 0, 1], 80)),
            secure: false,
        };
        let used = request.head.read(bytes, &mut 0, &HeadLimits::default())?;
        let body = &bytes[used.ok_or(Refusal::MalformedRequestLine)?..];
        request.decode_path()?;
        let framing = request.head.framing();
        match self.service.start(&mut self.exchange) {
            BodyPlan::Read { limit, memory } => {
                let content = decode(framing, limit, body)?;
                self.exchange.request.body = keep(content, memory);
            }
            BodyPlan::Stream { limit } => {
                let content = decode(framing, limit, body)?;
                self.exchange.request.body = RequestBody::Stream(Box::new(Cursor::new(content)));
            }
            BodyPlan::Discard => {}
        }
        Ok(())
    }

    /// Runs the exchange until it has its response; a parked one blocks this thread.
    fn answer(&mut self, client_deadline: Instant) -> Result<(), ClientError> {
        let parking = Arc::new(Parking::default());
        loop {
            match self.service.run(&mut self.exchange, &ParkingWakers(&parking)) {
                Progress::Done => return Ok(()),
                Progress::Park { deadline } => {
                    let until = deadline.map_or(client_deadline, |deadline| deadline.min(client_deadline));
                    if !parking.wait(until) && Instant::now() >= client_deadline {
                        return Err(ClientError::new(
                            "the request is still parked at the client's deadline: what it waits for has not come",
                        ));
                    }
                }
            }
        }
    }

    /// Renders the head, and the body unless it is a stream.
    fn write_response(&mut self, accepted: bool) {
        let head = &self.exchange.request.head;
        // The head of a refused request may be unreadable: answer as the server does, and close.
        let (method, version) =
            if accepted { (head.method(), head.version()) } else { (&Method::GET, Version::HTTP_11) };
        let response = &self.exchange.response;
        let to_head = *method == Method::HEAD;
        self.framing = ResponseFraming::choose(method, version, response.status(), response.body().length());
        let persistence = match (accepted && head.keep_alive() && self.framing != ResponseFraming::Close, version) {
            (false, _) => Persistence::Close,
            (true, Version::HTTP_10) => Persistence::KeepAlive,
            (true, _) => Persistence::Implied,
        };
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut dates = DateCache::new();
        let date = dates.render(seconds);
        write_response_head(&mut self.pending, response.status(), date, response.headers(), self.framing, persistence);
        let body = self.exchange.response.take_body();
        if to_head || self.framing == ResponseFraming::None {
            return self.end(true);
        }
        match body {
            ResponseBody::Stream(stream) => self.stream = Some(stream),
            bytes => {
                let content = bytes.as_bytes().unwrap_or_default();
                self.body_bytes = content.len() as u64;
                self.pending.extend_from_slice(content);
                self.end(true);
            }
        }
    }

    /// Makes the next chunk of a stream.
    fn pull(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        match catch_unwind(AssertUnwindSafe(|| stream.next())) {
            Ok(Some(Ok(chunk))) => {
                self.body_bytes += chunk.len() as u64;
                if self.framing == ResponseFraming::Chunked {
                    write_chunk(&mut self.pending, &chunk);
                } else {
                    self.pending.extend_from_slice(&chunk);
                }
            }
            Ok(None) => {
                if self.framing == ResponseFraming::Chunked {
                    write_last_chunk(&mut self.pending);
                }
                self.stream = None;
                self.end(true);
            }
            // The connection ends without the last chunk, so that the client can tell.
            Ok(Some(Err(_))) | Err(_) => {
                self.stream = None;
                self.end(false);
            }
        }
    }

    fn end(&mut self, complete: bool) {
        if !std::mem::replace(&mut self.ended, true) {
            let delivery = Delivery { body_bytes: self.body_bytes, complete, duration: self.started.elapsed() };
            self.service.end(&mut self.exchange, &delivery);
            self.exchange.clear();
        }
    }
}

impl Transport for InProcess {
    fn receive(&mut self, received: &mut Vec<u8>, _deadline: Instant) -> Result<usize, ClientError> {
        while self.pending.is_empty() && self.stream.is_some() {
            self.pull();
        }
        let count = self.pending.len();
        received.append(&mut self.pending);
        Ok(count)
    }
}

/// A client that drops a response half read has gone away.
impl Drop for InProcess {
    fn drop(&mut self) {
        self.stream = None;
        self.end(false);
    }
}

fn decode(framing: crate::http::Framing, limit: u64, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut decoder = BodyDecoder::new(framing, BodyLimits { content: limit })?;
    let mut content = Vec::new();
    decoder.decode(body, &mut content)?;
    Ok(content)
}

/// In memory or in a temporary file, by size. A full disk leaves it in memory: nothing is lost in a test.
fn keep(content: Vec<u8>, memory: u64) -> RequestBody {
    let length = content.len() as u64;
    if length <= memory {
        return RequestBody::Memory(content);
    }
    let spooled = tempfile::tempfile().and_then(|mut file| {
        file.write_all(&content)?;
        file.rewind()?;
        Ok(file)
    });
    spooled.map_or(RequestBody::Memory(content), |file| RequestBody::File { file, length })
}

/// Where the thread of a parked request sleeps.
#[derive(Default)]
struct Parking {
    woken: Mutex<bool>,
    signal: Condvar,
}

impl Parking {
    /// Sleeps until woken or `deadline`; tells whether it was woken.
    fn wait(&self, deadline: Instant) -> bool {
        let mut woken = self.woken.lock();
        while !*woken {
            if self.signal.wait_until(&mut woken, deadline).timed_out() {
                break;
            }
        }
        std::mem::take(&mut *woken)
    }
}

impl Wake for Parking {
    fn wake(self: Arc<Self>) {
        *self.woken.lock() = true;
        self.signal.notify_one();
    }
}

struct ParkingWakers<'a>(&'a Arc<Parking>);

impl Wakers for ParkingWakers<'_> {
    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(self.0))
    }
}
