//! One request in process: the steps of the server on the caller's thread, without a socket.
//!
//! Its bytes go into a pipe, and the connection at the other end is the server's own. It goes on when the client reads
//! on, so a stream is pulled chunk by chunk, and a parked request blocks this thread until it is woken. How that is
//! done is in `server/by_hand.rs`.

use super::{
    ClientError,
    wire::{Transport, describe},
};
use crate::{
    exchange::{BodyPlan, Connection, Delivery, Exchange, Peer, Progress, Service, Wakers},
    http::Refusal,
    logs,
    server::by_hand::{ByHand, Came, Hand},
};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

/// A connection for one request. A client that drops a response half read has gone away.
pub(super) struct InProcess(Hand);

impl InProcess {
    /// A server without threads.
    pub(super) fn server(service: Arc<dyn Service>) -> io::Result<Arc<ByHand>> {
        Ok(Arc::new(ByHand::new(Arc::new(ForDeveloper(service)))?))
    }

    /// Sends the request in `bytes`. It runs when its response is read.
    pub(super) fn send(server: &Arc<ByHand>, bytes: &[u8]) -> Self {
        let open = Self::open(server, bytes);
        open.end();
        open
    }

    /// Sends the beginning of something.
    pub(super) fn open(server: &Arc<ByHand>, bytes: &[u8]) -> Self {
        let hand = server.connect(Connection {
            peer: Peer::Ip(SocketAddr::from(([127, 0, 0, 1], 50_000))),
            local: Some(SocketAddr::from(([127, 0, 0, 1], 80))),
            ..Connection::default()
        });
        hand.send(bytes);
        Self(hand)
    }

    /// Sends more of it. The server sees it when its answer is read.
    #[cfg(feature = "websocket")]
    pub(super) fn send_more(&self, bytes: &[u8]) {
        self.0.send(bytes);
    }

    /// Nothing more is sent.
    pub(super) fn end(&self) {
        self.0.end_input();
    }
}

impl Transport for InProcess {
    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<usize, ClientError> {
        match self.0.receive(received, deadline) {
            Came::Bytes(count) => Ok(count),
            Came::End => Ok(0),
            Came::Failure => Err(describe(ErrorKind::ConnectionReset.into())),
            Came::Nothing if self.0.is_parked() => Err(ClientError::new(
                "the request is still parked at the client's deadline: what it waits for has not come",
            )),
            Came::Nothing => Err(ClientError::new("the client's deadline has passed")),
        }
    }
}

/// A service whose visitor is its developer.
struct ForDeveloper(Arc<dyn Service>);

impl Service for ForDeveloper {
    fn start(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> BodyPlan {
        exchange.course.is_developers = true;
        self.0.start(exchange, wakers)
    }

    fn run(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Progress {
        self.0.run(exchange, wakers)
    }

    fn refuse(&self, exchange: &mut Exchange, refusal: &Refusal) {
        exchange.course.is_developers = true;
        self.0.refuse(exchange, refusal);
    }

    fn end(&self, exchange: &mut Exchange, delivery: &Delivery) {
        // The page of a 500 hides its cause. The test harness shows this where the test fails.
        if let Some(failure) = exchange.failure().filter(|_| !log::log_enabled!(target: logs::ERROR, log::Level::Error))
        {
            let (method, path) = (exchange.request.method(), exchange.request.path());
            eprintln!("{method} {path} failed: {}", logs::causes(failure));
        }
        self.0.end(exchange, delivery);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Stream;
    use crate::testing::{Client, wire::Wire};
    use parking_lot::Mutex;
    use std::{
        panic::catch_unwind,
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
    fn a_response_without_a_length_that_fails_does_not_end_like_a_complete_one() {
        let run = |exchange: &mut Exchange, _: &dyn Wakers| {
            let items = [Ok("first"), Err(crate::Error::unexpected("broken"))];
            exchange.response.set_body(Stream::fallible(items));
            Progress::Done
        };
        let service = Closure { body: BodyPlan::Discard, run: Box::new(run), ends: Arc::default() };
        let server = InProcess::server(Arc::new(service)).expect("descriptors for a poller");
        let mut wire = Wire::new(InProcess::send(&server, b"GET / HTTP/1.0\r\n\r\n"));
        let error = wire.read_to_end(Instant::now() + Duration::from_secs(10)).expect_err("the stream fails");
        assert!(error.to_string().contains("reset"), "{error}");
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
