//! One request on the caller's thread: the steps of the server, without a server.
//!
//! The request comes in as bytes and is read by the same parser as in the server; the service is called in the order that its
//! door promises; a parked request blocks this thread until it is woken. The response goes out as bytes, made only when the
//! client reads on, so that a stream is pulled chunk by chunk as over a socket.

use super::{ClientError, wire::Transport};
use crate::{
    exchange::{Connection, Exchange, RequestBody, RequestId, ResponseBody, Stream},
    http::{
        BodyDecoder, BodyLimits, DateCache, FixedDate, HeadLimits, Persistence, Refusal, ResponseFraming, write_chunk,
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
        run.exchange.course.is_developers = true;
        let accepted = run.accept(bytes, deadline)?;
        match &accepted {
            Ok(()) => run.answer(deadline)?,
            Err(refusal) => run.service.refuse(&mut run.exchange, refusal),
        }
        run.write_response(accepted.is_ok());
        Ok(run)
    }

    /// Reads the head and, as the service wants it, the body.
    fn accept(&mut self, bytes: &[u8], deadline: Instant) -> Result<Result<(), Refusal>, ClientError> {
        let body = match self.read_head(bytes) {
            Ok(used) => &bytes[used..],
            Err(refusal) => return Ok(Err(refusal)),
        };
        let plan = self.until_woken(deadline, |service, exchange, wakers| match service.start(exchange, wakers) {
            BodyPlan::Park { deadline } => Step::Park(deadline),
            plan => Step::Done(plan),
        })?;
        Ok(self.read_body(plan, body))
    }

    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let request = &mut self.exchange.request;
        request.id = RequestId::next();
        request.received = Some(self.started);
        request.connection = Connection {
            peer: SocketAddr::from(([127, 0, 0, 1], 50_000)),
            local: SocketAddr::from(([127, 0, 0, 1], 80)),
            secure: false,
        };
        let used = request.head.read(bytes, &mut 0, &HeadLimits::default())?;
        used.ok_or(Refusal::MalformedRequestLine)
    }

    fn read_body(&mut self, plan: BodyPlan, body: &[u8]) -> Result<(), Refusal> {
        let framing = self.exchange.request.head.framing();
        match plan {
            BodyPlan::Read { limit, memory } => {
                let content = decode(framing, limit, body)?;
                self.exchange.request.body = keep(content, memory);
            }
            BodyPlan::Stream { limit } => {
                let content = decode(framing, limit, body)?;
                self.exchange.request.body = RequestBody::Stream(Box::new(Cursor::new(content)));
            }
            BodyPlan::Discard | BodyPlan::Park { .. } => {}
        }
        Ok(())
    }

    /// Runs the exchange until it has its response.
    fn answer(&mut self, client_deadline: Instant) -> Result<(), ClientError> {
        self.until_woken(client_deadline, |service, exchange, wakers| match service.run(exchange, wakers) {
            Progress::Done => Step::Done(()),
            Progress::Park { deadline } => Step::Park(deadline),
        })
    }

    /// Repeats `step` until it is done; while the exchange is parked, this thread sleeps.
    fn until_woken<T>(
        &mut self,
        client_deadline: Instant,
        step: impl Fn(&dyn Service, &mut Exchange, &dyn Wakers) -> Step<T>,
    ) -> Result<T, ClientError> {
        let parking = Arc::new(Parking::default());
        loop {
            match step(&*self.service, &mut self.exchange, &ParkingWakers(&parking)) {
                Step::Done(value) => return Ok(value),
                Step::Park(deadline) => {
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
        let date = response.date().map_or_else(|| dates.render(seconds), FixedDate::as_bytes);
        let (headers, ready) = response.fields_to_send();
        write_response_head(&mut self.pending, response.status(), date, headers, ready, self.framing, persistence);
        let body = self.exchange.response.take_body();
        if to_head || matches!(self.framing, ResponseFraming::None | ResponseFraming::Length(0)) {
            return self.end(true);
        }
        match body {
            ResponseBody::Stream(stream) => self.stream = Some(stream),
            ResponseBody::File(file) => self.stream = Some(file.into_stream()),
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
            let delivery = Delivery { body_bytes: self.body_bytes, complete, received: self.started };
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
    let mut decoder = BodyDecoder::new(framing, BodyLimits::new(limit))?;
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
    let spooled = crate::private_file::without_name(&std::env::temp_dir()).and_then(|mut file| {
        file.write_all(&content)?;
        file.rewind()?;
        Ok(file)
    });
    spooled.map_or(RequestBody::Memory(content), |file| RequestBody::File { file, length })
}

/// What a call of the service came to.
enum Step<T> {
    Done(T),
    Park(Option<Instant>),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
        time::Duration,
    };

    type Run = dyn Fn(&mut Exchange, &dyn Wakers) -> Progress + Send + Sync;

    /// A service that runs a closure and writes down how each response ended.
    struct Closure {
        body: BodyPlan,
        run: Box<Run>,
        ends: Arc<Mutex<Vec<Delivery>>>,
    }

    impl Service for Closure {
        fn start(&self, _exchange: &mut Exchange, _wakers: &dyn Wakers) -> BodyPlan {
            self.body
        }

        fn run(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Progress {
            (self.run)(exchange, wakers)
        }

        fn refuse(&self, exchange: &mut Exchange, refusal: &Refusal) {
            exchange.response.clear();
            exchange.response.set_status(refusal.status());
        }

        fn end(&self, _exchange: &mut Exchange, delivery: &Delivery) {
            self.ends.lock().push(*delivery);
        }
    }

    fn client(
        body: BodyPlan,
        run: impl Fn(&mut Exchange, &dyn Wakers) -> Progress + Send + Sync + 'static,
    ) -> (Client, Arc<Mutex<Vec<Delivery>>>) {
        let ends = Arc::<Mutex<Vec<Delivery>>>::default();
        (Client::of_service(Arc::new(Closure { body, run: Box::new(run), ends: Arc::clone(&ends) })), ends)
    }

    #[test]
    fn the_body_reaches_the_service_in_memory_or_in_a_file() {
        for (length, in_memory) in [(10, true), (1000, false)] {
            let (client, _) = client(BodyPlan::Read { limit: 5000, memory: 100 }, |exchange, _| {
                let in_memory = exchange.request.body.in_memory().is_some();
                exchange.response.set_body(in_memory.to_string());
                Progress::Done
            });
            client.post("/").body(vec![b'x'; length]).send().assert_text(&in_memory.to_string());
        }
    }

    #[test]
    fn a_body_beyond_the_limit_is_refused() {
        let (client, _) =
            client(BodyPlan::Read { limit: 5, memory: 100 }, |_, _| unreachable!("the body is too large"));
        client.post("/").body("123456").send().assert_status(413).assert_header("connection", "close");
    }

    #[test]
    fn a_parked_request_goes_on_when_it_is_woken() {
        let woken = Arc::new(AtomicUsize::new(0));
        let (client, _) = client(BodyPlan::Discard, move |exchange, wakers| {
            if woken.load(Ordering::SeqCst) == 1 {
                exchange.response.set_body("woken");
                return Progress::Done;
            }
            let (woken, waker) = (Arc::clone(&woken), wakers.waker());
            thread::spawn(move || {
                woken.store(1, Ordering::SeqCst);
                waker.wake();
            });
            Progress::Park { deadline: None }
        });
        client.get("/").send().assert_text("woken");
    }

    #[test]
    fn a_parked_request_goes_on_at_its_own_deadline() {
        let runs = AtomicUsize::new(0);
        let (client, _) = client(BodyPlan::Discard, move |exchange, _| {
            if runs.fetch_add(1, Ordering::SeqCst) > 0 {
                exchange.response.set_body("expired");
                return Progress::Done;
            }
            Progress::Park { deadline: Some(Instant::now()) }
        });
        client.get("/").send().assert_text("expired");
    }

    #[test]
    fn a_request_parked_for_ever_fails_at_the_clients_deadline_and_is_given_up() {
        let (client, ends) = client(BodyPlan::Discard, |_, _| Progress::Park { deadline: None });
        let error = client.with_timeout(Duration::from_millis(20)).get("/").try_send().expect_err("nobody wakes it");
        assert!(error.to_string().contains("still parked"), "{error}");
        assert_eq!(ends.lock().iter().map(|end| end.complete).collect::<Vec<_>>(), [false]);
    }

    #[test]
    fn a_stream_is_made_as_far_as_it_is_read() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let (client, ends) = client(BodyPlan::Discard, move |exchange, _| {
            let made = Arc::clone(&counter);
            exchange.response.set_body(Stream::new((0..3).map(move |number| {
                made.fetch_add(1, Ordering::SeqCst);
                number.to_string()
            })));
            Progress::Done
        });
        let mut response = client.get("/").send_streaming();
        assert_eq!((response.next(), made.load(Ordering::SeqCst)), (Some(b"0".to_vec()), 1));
        assert!(ends.lock().is_empty());
        drop(response);
        assert_eq!(ends.lock().iter().map(|end| (end.body_bytes, end.complete)).collect::<Vec<_>>(), [(1, false)]);
    }

    #[test]
    fn a_stream_that_panics_has_no_last_chunk() {
        let (client, _) = client(BodyPlan::Discard, |exchange, _| {
            exchange.response.set_body(Stream::new(std::iter::once_with(|| -> String { panic!("in the stream") })));
            Progress::Done
        });
        let error = client.get("/").try_send().expect_err("the body breaks off");
        assert!(error.to_string().contains("closed the connection"), "{error}");
    }

    #[test]
    fn cookies_are_kept_and_sent_back() {
        let (client, _) = client(BodyPlan::Discard, |exchange, _| {
            let cookies = exchange.request.header("cookie").unwrap_or("none").to_owned();
            let value = ::http::HeaderValue::from_static("a=1; Path=/");
            exchange.response.add_header(::http::header::SET_COOKIE, value).set_body(cookies);
            Progress::Done
        });
        client.get("/").send().assert_text("none");
        client.get("/").send().assert_text("a=1");
        client.new_browser().get("/").send().assert_text("none");
    }

    #[test]
    fn a_failed_assertion_shows_the_request_and_the_response() {
        let (client, _) = client(BodyPlan::Discard, |exchange, _| {
            exchange.response.set_body("the body");
            Progress::Done
        });
        let response = client.get("/page").send();
        let failure = catch_unwind(|| response.assert_status(404).status()).expect_err("the status is 200");
        let message = failure.downcast_ref::<String>().map_or("", String::as_str);
        for part in ["200, not 404", "GET /page", "content-length: 8", "the body"] {
            assert!(message.to_lowercase().contains(&part.to_lowercase()), "{part:?} is missing in {message}");
        }
    }
}
