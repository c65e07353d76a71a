//! HTTP/2: many requests of one connection, and what a client must not be able to do.

mod frames;

use super::*;
use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client};
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fn stage(change: impl FnOnce(&mut ServerSettings)) -> Stage {
    Stage::new(|settings| {
        settings.listen = vec!["127.0.0.1:0 h2c".parse().expect("an address")];
        change(settings);
    })
}

/// A client with many requests at a time, moved by the thread that waits for something.
struct Visitor {
    connection: client::Connection<Socket, Bytes>,
    requests: client::SendRequest<Bytes>,
    socket: TcpStream,
}

struct Socket(TcpStream);

impl Visitor {
    fn new(stage: &Stage) -> Self {
        // Answers that nobody reads yet must not shut the window for the others.
        Self::with(stage, client::Builder::new().initial_connection_window_size(1 << 30))
    }

    fn with(stage: &Stage, builder: &client::Builder) -> Self {
        let socket = TcpStream::connect(stage.address).expect("the server listens");
        socket.set_nonblocking(true).expect("a socket");
        let mut handshake = Box::pin(builder.handshake(Socket(socket.try_clone().expect("a descriptor"))));
        let cx = &mut Context::from_waker(Waker::noop());
        let Poll::Ready(Ok((requests, connection))) = handshake.as_mut().poll(cx) else { panic!("a few bytes") };
        Self { connection, requests, socket }
    }

    /// Waits until `poll` is ready.
    fn wait<T>(&mut self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let deadline = Instant::now() + SOON;
        loop {
            let cx = &mut Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.connection).poll(cx);
            if let Poll::Ready(result) = poll(cx) {
                let _ = Pin::new(&mut self.connection).poll(cx);
                return result;
            }
            assert!(Instant::now() < deadline, "it has not come");
            self.socket.set_nonblocking(false).expect("a socket");
            self.socket.set_read_timeout(Some(Duration::from_millis(2))).expect("a timeout");
            let _ = self.socket.peek(&mut [0]);
            self.socket.set_nonblocking(true).expect("a socket");
        }
    }

    fn send(&mut self, request: Request<()>, ends: bool) -> (client::ResponseFuture, SendStream<Bytes>) {
        let mut requests = self.requests.clone();
        self.wait(|cx| requests.poll_ready(cx)).expect("room for a stream");
        let sent = requests.send_request(request, ends).expect("a request");
        self.turn();
        sent
    }

    fn turn(&mut self) {
        let _ = Pin::new(&mut self.connection).poll(&mut Context::from_waker(Waker::noop()));
    }

    fn get(&mut self, path: &str) -> client::ResponseFuture {
        self.send(get(path), true).0
    }

    fn post(&mut self, path: &str, mut body: Bytes) -> client::ResponseFuture {
        let request = Request::post(format!("http://a{path}")).body(()).expect("a request");
        let (response, mut upload) = self.send(request, body.is_empty());
        while !body.is_empty() {
            upload.reserve_capacity(body.len());
            let room = match upload.capacity() {
                0 => self.wait(|cx| upload.poll_capacity(cx)).expect("open").expect("open"),
                room => room,
            };
            let piece = body.split_to(room.min(body.len()));
            upload.send_data(piece, body.is_empty()).expect("open");
            self.turn();
        }
        response
    }

    fn head(&mut self, response: client::ResponseFuture) -> Response<RecvStream> {
        let mut response = response;
        self.wait(|cx| Pin::new(&mut response).poll(cx)).expect("a response")
    }

    fn answer(&mut self, response: client::ResponseFuture) -> (StatusCode, Vec<u8>) {
        let response = self.head(response);
        (response.status(), self.rest(response.into_body()))
    }

    /// The content up to its regular end.
    fn rest(&mut self, mut content: RecvStream) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(data) = self.wait(|cx| content.poll_data(cx)) {
            let data = data.expect("content");
            body.extend_from_slice(&data);
            content.flow_control().release_capacity(data.len()).expect("it has come");
        }
        body
    }

    fn text(&mut self, response: client::ResponseFuture) -> String {
        String::from_utf8(self.answer(response).1).expect("text")
    }
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://a{path}")).body(()).expect("a request")
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.0.read(into.initialize_unfilled()) {
            Ok(length) => {
                into.advance(length);
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_request_has_its_answer() {
    let stage = stage(|_| {});
    let mut client = Visitor::new(&stage);
    let response = client.get("/page?a=b");
    let response = client.head(response);
    assert_eq!((response.status(), response.headers()["content-length"].as_bytes()), (StatusCode::OK, &b"5"[..]));
    assert!(response.headers().contains_key("date"));
    for number in 0..200 {
        let response = client.get(&format!("/{number}"));
        assert_eq!(client.text(response), format!("/{number}"));
    }
}

#[test]
fn requests_of_one_connection_run_at_the_same_time() {
    let stage = stage(|settings| settings.threads = 3);
    let mut client = Visitor::new(&stage);
    let blocked = [client.get("/block"), client.get("/block")];
    (0..2).for_each(|_| stage.entered.recv_timeout(SOON).expect("a worker each"));
    let quick = client.get("/quick");
    assert_eq!(client.text(quick), "/quick");
    (0..2).for_each(|_| stage.release.send(()).expect("they wait"));
    for response in blocked {
        assert_eq!(client.text(response), "released");
    }
}

#[test]
fn http1_goes_on_beside_it_and_elsewhere_the_preface_is_refused() {
    let both = stage(|_| {});
    assert_eq!(both.connect().get("/one").text(), "/one");
    let elsewhere = Stage::new(|_| {});
    let mut client = elsewhere.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(client.answer().status(), "505");
}

#[test]
fn bodies_are_read_before_the_handler_and_large_ones_spooled() {
    let stage = stage(|_| {});
    let mut client = Visitor::new(&stage);
    for length in [0, 1, 10_000, 70_000, 3_000_000] {
        let body: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let response = client.post("/echo", body.clone().into());
        assert!(client.answer(response).1 == body, "{length}");
    }
}

#[test]
fn a_handler_reads_its_body_while_no_other_worker_is_free() {
    let stage = stage(|settings| settings.threads = 1);
    let mut client = Visitor::new(&stage);
    let body = vec![b'x'; 1_000_000];
    let responses: Vec<_> = (0..3).map(|_| client.post("/read", body.clone().into())).collect();
    for response in responses {
        assert!(client.answer(response).1 == body);
    }
}

#[test]
fn large_responses_arrive_whole() {
    let stage = stage(|_| {});
    let mut client = Visitor::new(&stage);
    let paths = ["/large", "/large-shared", "/large-file", "/large-stream"];
    let responses: Vec<_> = paths.iter().map(|path| client.get(path)).collect();
    for response in responses {
        let (status, body) = client.answer(response);
        assert_eq!((status, body.len()), (StatusCode::OK, LARGE));
    }
}

#[test]
fn parked_requests_hold_no_worker_and_are_woken() {
    let stage = stage(|settings| settings.threads = 1);
    let mut client = Visitor::new(&stage);
    let parked: Vec<_> = (0..50).map(|_| client.get("/park")).collect();
    let wakers: Vec<_> = (0..50).map(|_| stage.wakers.recv_timeout(SOON).expect("a parked request")).collect();
    let free = client.get("/free");
    assert_eq!(client.text(free), "/free");
    *stage.puppet.open.lock() = true;
    wakers.into_iter().for_each(Waker::wake);
    for response in parked {
        assert_eq!(client.text(response), "woken");
    }
}

#[test]
fn a_reset_ends_a_parked_request() {
    let stage = stage(|_| {});
    let mut client = Visitor::new(&stage);
    let (_response, mut stream) = client.send(get("/park"), true);
    let _waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    stream.send_reset(Reason::CANCEL);
    client.turn();
    assert!(!stage.next_end().1.complete);
}

#[test]
fn a_connection_that_breaks_ends_its_parked_requests() {
    let stage = stage(|_| {});
    let mut client = Visitor::new(&stage);
    let _parked: Vec<_> = (0..3).map(|_| client.get("/park")).collect();
    let _wakers: Vec<_> = (0..3).map(|_| stage.wakers.recv_timeout(SOON).expect("a parked request")).collect();
    drop(client);
    for _ in 0..3 {
        assert!(!stage.next_end().1.complete);
    }
    eventually("the end of the connection", || stage.server().statistics().connections_open == 0);
}

#[test]
fn a_stream_that_fails_is_reset() {
    let stage = stage(|settings| settings.threads = 4);
    let mut client = Visitor::new(&stage);
    // Several at a time, so that other threads have the connection.
    for _ in 0..50 {
        let responses: Vec<_> = (0..4).map(|_| client.get("/broken-stream")).collect();
        for response in responses {
            let mut content = client.head(response).into_body();
            assert_eq!(client.wait(|cx| content.poll_data(cx)).expect("a chunk").expect("content"), "first");
            let end = client.wait(|cx| content.poll_data(cx)).expect("not the regular end");
            assert_eq!(end.expect_err("a reset").reason(), Some(Reason::CANCEL));
            assert!(!stage.next_end().1.complete);
        }
    }
}

#[test]
fn chunks_leave_one_by_one() {
    let mut stage = stage(|_| {});
    let chunks = stage.chunks.take().expect("one stream");
    let mut client = Visitor::new(&stage);
    let response = client.get("/stream");
    let mut content = client.head(response).into_body();
    for chunk in ["one", "two"] {
        chunks.send(chunk.into()).expect("the stream reads");
        assert_eq!(client.wait(|cx| content.poll_data(cx)).expect("a chunk").expect("content"), chunk);
    }
    drop(chunks);
    let rest = client.wait(|cx| content.poll_data(cx));
    assert!(rest.is_none_or(|data| data.is_ok_and(|data| data.is_empty())) && content.is_end_stream());
}

#[test]
fn more_requests_than_may_run_wait_their_turn() {
    let stage = stage(|settings| {
        settings.threads = 4;
        settings.http2.running = Some(2);
    });
    let mut client = Visitor::new(&stage);
    let blocked: Vec<_> = (0..5).map(|_| client.get("/block")).collect();
    (0..2).for_each(|_| stage.entered.recv_timeout(SOON).expect("two run"));
    // Another client does not wait behind them.
    assert_eq!(stage.connect().get("/other").text(), "/other");
    assert!(stage.entered.try_recv().is_err(), "only two run");
    (0..5).for_each(|_| stage.release.send(()).expect("they wait"));
    for response in blocked {
        assert_eq!(client.text(response), "released");
    }
}

#[test]
fn a_window_that_stays_shut_ends_its_stream_alone() {
    let stage = stage(|settings| settings.write_timeout = Duration::from_millis(200));
    let mut client = Visitor::with(&stage, client::Builder::new().initial_window_size(1000));
    let response = client.get("/large");
    let mut content = client.head(response).into_body();
    let mut received = 0;
    let end = loop {
        match client.wait(|cx| content.poll_data(cx)).expect("not the regular end") {
            Ok(data) => received += data.len(),
            Err(error) => break error.reason(),
        }
    };
    assert_eq!((received, end), (1000, Some(Reason::CANCEL)));
    assert!(!stage.next_end().1.complete);
    let next = client.get("/next");
    assert_eq!(client.text(next), "/next");
}

#[test]
fn a_body_that_stops_is_408() {
    let stage = stage(|settings| settings.body_timeout = Duration::from_millis(100));
    let mut client = Visitor::new(&stage);
    let request = Request::post("http://a/echo").body(()).expect("a request");
    let (response, mut upload) = client.send(request, false);
    upload.send_data("half".into(), false).expect("open");
    assert_eq!(client.answer(response).0, StatusCode::REQUEST_TIMEOUT);
}

#[test]
fn an_idle_connection_is_told_its_end() {
    let stage = stage(|settings| settings.idle_timeout = Duration::from_millis(100));
    let mut client = Visitor::new(&stage);
    let response = client.get("/");
    client.answer(response);
    let mut requests = client.requests.clone();
    client.wait(|cx| match requests.poll_ready(cx) {
        Poll::Ready(Err(_)) => Poll::Ready(()),
        _ => Poll::Pending,
    });
    eventually("the end of the connection", || stage.server().statistics().connections_open == 0);
}

#[test]
fn a_stop_lets_running_requests_end() {
    let mut stage = stage(|_| {});
    let mut client = Visitor::new(&stage);
    let response = client.get("/block");
    stage.entered.recv_timeout(SOON).expect("a worker");
    let server = stage.server.take().expect("not stopped");
    let release = stage.release.clone();
    let stopping = std::thread::spawn(move || server.stop(SOON));
    // The client is told, and the request goes on.
    let mut requests = client.requests.clone();
    client.wait(|cx| match requests.poll_ready(cx) {
        Poll::Ready(Err(_)) => Poll::Ready(()),
        _ => Poll::Pending,
    });
    release.send(()).expect("it waits");
    assert_eq!(client.text(response), "released");
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}

#[test]
fn a_stop_at_its_deadline_cuts_streams_off_and_names_them() {
    let mut stage = stage(|_| {});
    let mut client = Visitor::new(&stage);
    let _response = client.get("/park");
    let _waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    let report = stage.stop(Duration::from_millis(50));
    assert_eq!(report.unfinished.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), ["GET /park"]);
    assert!(!stage.next_end().1.complete);
}

#[test]
fn pushes_of_one_connection_hold_no_worker_and_end_with_the_stream() {
    let mut stage = stage(|settings| settings.threads = 1);
    let mut visitor = Visitor::new(&stage);
    let responses: Vec<_> = (0..20).map(|_| visitor.get("/push")).collect();
    let pushes: Vec<_> = responses.into_iter().map(|response| visitor.head(response).into_body()).collect();
    let wakers: Vec<_> = pushes.iter().map(|_| stage.wakers.recv_timeout(SOON).expect("a push")).collect();
    let free = visitor.get("/free");
    assert_eq!(visitor.text(free), "/free");
    for _ in &pushes {
        stage.chunks.as_ref().expect("not ended").send(b"news".to_vec()).expect("a push listens");
    }
    wakers.iter().for_each(Waker::wake_by_ref);
    (stage.chunks, *stage.puppet.chunks.lock()) = (None, None);
    wakers.iter().for_each(Waker::wake_by_ref);
    let told: usize = pushes.into_iter().map(|push| visitor.rest(push).len()).sum();
    assert_eq!(told, 80);
    let ends: Vec<_> = (0..21).map(|_| stage.next_end().1).collect();
    assert!(ends.iter().all(|delivery| delivery.complete));
}

#[test]
fn a_push_that_breaks_off_is_reset() {
    let stage = stage(|_| {});
    let mut visitor = Visitor::new(&stage);
    let response = visitor.get("/push");
    let mut push = visitor.head(response).into_body();
    let waker = stage.wakers.recv_timeout(SOON).expect("a push");
    stage.chunks.as_ref().expect("not ended").send(b"break".to_vec()).expect("a push listens");
    waker.wake();
    let end = visitor.wait(|cx| push.poll_data(cx)).expect("no regular end");
    assert!(end.is_err());
}

#[test]
fn a_server_that_stops_ends_every_push_of_a_connection() {
    let mut stage = stage(|settings| settings.drain_idle = SOON);
    let mut visitor = Visitor::new(&stage);
    let responses: Vec<_> = (0..20).map(|_| visitor.get("/push")).collect();
    let pushes: Vec<_> = responses.into_iter().map(|response| visitor.head(response).into_body()).collect();
    pushes.iter().for_each(|_| drop(stage.wakers.recv_timeout(SOON).expect("a push")));
    let client = std::thread::spawn(move || {
        pushes.into_iter().for_each(|push| assert_eq!(visitor.rest(push), b"bye"));
    });
    assert!(stage.stop(SOON).unfinished.is_empty());
    client.join().expect("every push ends");
}
