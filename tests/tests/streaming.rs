//! Streams: sent chunk by chunk, made only when the connection has room, broken off visibly.

use integration_tests::{both, wait_until};
use kirsch::{
    ClientWatch,
    prelude::*,
    testing::{Client, RawConnection},
};
use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

struct Streams {
    made: Arc<AtomicUsize>,
}

#[handlers]
impl Streams {
    #[expose]
    fn three(&self) -> Stream {
        Stream::new(["one", "two", "three"])
    }

    #[expose]
    fn endless(&self) -> Stream {
        let made = Arc::clone(&self.made);
        Stream::new(std::iter::repeat_with(move || {
            made.fetch_add(1, Ordering::SeqCst);
            vec![b'x'; 64 * 1024]
        }))
    }

    #[expose]
    fn failing(&self) -> Stream {
        Stream::fallible([Ok("one"), Err(Error::unexpected("no more"))])
    }

    #[expose]
    fn panicking(&self) -> Stream {
        Stream::new((0..2).map(|number| if number == 0 { "one" } else { panic!("no more") }))
    }

    #[expose]
    fn empty_chunks(&self) -> Stream {
        Stream::new(["", "one", "", "two", ""])
    }

    /// Can always go on, and never has anything to send.
    #[expose]
    fn nothing_for_ever(&self) -> Stream {
        let made = Arc::clone(&self.made);
        Stream::new(std::iter::repeat_with(move || {
            made.fetch_add(1, Ordering::Relaxed);
            ""
        }))
    }

    #[expose]
    fn counted(&self, body: Body) -> kirsch::Result<String> {
        let mut content = Vec::new();
        let mut body = body;
        Ok(body.read_to_end(&mut content)?.to_string())
    }
}

fn streams() -> App {
    App::new(Streams { made: Arc::default() })
}

#[test]
fn each_item_is_one_chunk() {
    both(streams, |client| {
        let response = client.get("/three").send();
        response.assert_header("transfer-encoding", "chunked").assert_no_header("content-length");
        assert_eq!(response.chunks(), [&b"one"[..], b"two", b"three"]);
    });
}

#[test]
fn an_empty_item_does_not_end_the_stream() {
    both(streams, |client| {
        client.get("/empty_chunks").send().assert_text("onetwo");
    });
}

/// A stream whose items come through a channel, one when the test says so.
struct OnDemand {
    items: std::sync::Mutex<Option<Receiver<String>>>,
}

#[handlers]
impl OnDemand {
    #[expose]
    fn index(&self) -> Stream {
        let items = self.items.lock().expect("nobody panics with it").take();
        Stream::new(items.into_iter().flatten())
    }
}

fn on_demand() -> (Client, SyncSender<String>) {
    let (sender, items) = sync_channel(1);
    (Client::over_socket(App::new(OnDemand { items: std::sync::Mutex::new(Some(items)) })), sender)
}

// More of them than workers: the queue of those who can go on is never empty.
#[test]
fn streams_without_chunks_keep_no_request_waiting() {
    let made = Arc::new(AtomicUsize::new(0));
    let client = Client::over_socket(App::new(Streams { made: Arc::clone(&made) }).threads(1));
    let mut silent = [client.raw(), client.raw(), client.raw()];
    for connection in &mut silent {
        connection.send("GET /nothing_for_ever HTTP/1.1\r\nHost: a\r\n\r\n");
        connection.read_response_to_head();
    }
    let waits = (0..5).map(|_| {
        let before = made.load(Ordering::Relaxed);
        client.get("/three").send().assert_text("onetwothree");
        made.load(Ordering::Relaxed) - before
    });
    // The shortest, since this thread may have to wait for a processor, too.
    let shortest = waits.min().expect("five");
    assert!(shortest < 100_000, "{shortest} chunks were made before a request was heard");
}

#[test]
fn a_chunk_arrives_before_the_next_one_is_made() {
    let (client, items) = on_demand();
    items.send("one".to_owned()).expect("the stream is waiting");
    let mut response = client.get("/").send_streaming();
    assert_eq!(response.next().as_deref(), Some(&b"one"[..]));
    items.send("two".to_owned()).expect("the stream is waiting");
    assert_eq!(response.next().as_deref(), Some(&b"two"[..]));
    drop(items);
    assert_eq!(response.next(), None);
}

#[test]
fn a_broken_stream_ends_the_connection_without_the_last_chunk() {
    both(streams, |client| {
        for path in ["/failing", "/panicking"] {
            let mut response = client.get(path).send_streaming();
            assert_eq!(response.next().as_deref(), Some(&b"one"[..]), "{path}");
            assert!(response.try_next().is_err(), "{path}");
        }
        client.get("/three").send().assert_text("onetwothree");
    });
}

#[test]
fn an_endless_stream_is_made_only_as_far_as_the_client_reads() {
    let made = Arc::new(AtomicUsize::new(0));
    let client = Client::over_socket(App::new(Streams { made: Arc::clone(&made) }));
    let mut response = client.get("/endless").send_streaming();
    for _ in 0..10 {
        assert!(response.next().is_some());
    }
    // Socket buffers on both sides hold some MiB, never gigabytes.
    assert!(made.load(Ordering::SeqCst) < 4096);
    drop(response);
    client.get("/three").send().assert_status(200);
}

#[test]
fn http_1_0_gets_a_stream_until_the_connection_ends() {
    let client = Client::over_socket(streams());
    let mut connection = client.raw();
    connection.send("GET /three HTTP/1.0\r\n\r\n");
    connection.read_response().assert_text("onetwothree").assert_no_header("transfer-encoding");
}

#[test]
fn head_of_a_stream_makes_no_chunk() {
    let made = Arc::new(AtomicUsize::new(0));
    let client = Client::over_socket(App::new(Streams { made: Arc::clone(&made) }));
    client.head("/endless").send().assert_status(200).assert_text("");
    assert_eq!(made.load(Ordering::SeqCst), 0);
}

#[test]
fn a_handler_can_read_the_body_as_a_stream() {
    both(streams, |client| {
        client.post("/counted").body(vec![b'x'; 3_000_000]).send().assert_text("3000000");
    });
}

/// Streams that promise a length: `/promise/6` makes six bytes.
struct Promises;

#[handlers]
impl Promises {
    #[expose]
    fn promise(&self, length: u64) -> Stream {
        Stream::new(["one", "two"]).with_length(length)
    }

    #[expose]
    fn zeros(&self) -> Stream {
        Stream::reader(std::io::repeat(0).take(100_000)).with_length(100_000)
    }
}

#[test]
fn a_stream_of_known_length_is_sent_with_its_length() {
    both(
        || App::new(Promises),
        |client| {
            for _ in 0..2 {
                let response = client.get("/promise/6").send();
                response
                    .assert_text("onetwo")
                    .assert_header("content-length", "6")
                    .assert_no_header("transfer-encoding");
            }
            assert_eq!(client.get("/zeros").send().bytes(), [0; 100_000]);
            client.head("/promise/6").send().assert_header("content-length", "6");
        },
    );
}

#[test]
fn a_broken_promise_breaks_the_connection() {
    both(
        || App::new(Promises),
        |client| {
            for path in ["/promise/7", "/promise/5", "/promise/1"] {
                assert!(client.get(path).try_send().is_err(), "{path}");
            }
        },
    );
}

#[test]
fn never_a_byte_more_than_promised() {
    let client = Client::over_socket(App::new(Promises));
    for (length, sent) in [(7, "onetwo"), (5, "one"), (1, ""), (6, "onetwo")] {
        let mut connection = client.raw();
        connection.send(format!("GET /promise/{length} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let received = connection.read_to_end();
        let body = received.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        assert_eq!(std::str::from_utf8(&received[body..]), Ok(sent), "{length}");
    }
}

/// Says when it is dropped.
struct Dropped(SyncSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        // The test may have ended.
        let _ = self.0.send(());
    }
}

/// Pages that outlive their clients, and tell.
struct Abandoned {
    dropped: SyncSender<()>,
    items: std::sync::Mutex<Option<Receiver<String>>>,
    watches: SyncSender<ClientWatch>,
}

#[handlers]
impl Abandoned {
    /// More than the sockets hold.
    #[expose]
    fn endless(&self) -> Stream {
        let held = Dropped(self.dropped.clone());
        Stream::new(std::iter::repeat_with(move || {
            let _held = &held;
            vec![b'x'; 64 * 1024]
        }))
    }

    /// One chunk for each item of the test.
    #[expose]
    fn on_demand(&self) -> Stream {
        let held = Dropped(self.dropped.clone());
        let items = self.items.lock().expect("nobody panics with it").take();
        Stream::new(items.into_iter().flatten().inspect(move |_| {
            let _held = &held;
        }))
    }

    /// Ends when the client has gone.
    #[expose]
    fn patient(&self, request: &Request) -> &'static str {
        let _told_at_the_end = Dropped(self.dropped.clone());
        let _ = self.watches.send(request.client_watch());
        while !request.client_gone() {
            std::thread::yield_now();
        }
        "nobody reads this"
    }

    /// The same in a stream.
    #[expose]
    fn patient_stream(&self, request: &Request) -> Stream {
        let held = Dropped(self.dropped.clone());
        let client = request.client_watch();
        Stream::new((0..2).map(move |number| {
            let _held = &held;
            while number == 1 && !client.has_gone() {
                std::thread::yield_now();
            }
            "chunk"
        }))
    }

    #[expose]
    fn watch(&self, request: &Request) -> String {
        let _ = self.watches.send(request.client_watch());
        request.client_gone().to_string()
    }
}

struct Stage {
    client: Client,
    dropped: Receiver<()>,
    items: SyncSender<String>,
    watches: Receiver<ClientWatch>,
}

fn abandoned() -> Stage {
    let ((dropped, drops), (items, taken), (watches, watched)) = (sync_channel(9), sync_channel(9), sync_channel(9));
    let items_taken = std::sync::Mutex::new(Some(taken));
    let app = App::new(Abandoned { dropped, items: items_taken, watches });
    Stage { client: Client::over_socket(app.threads(2)), dropped: drops, items, watches: watched }
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_stream_that_waits_for_room_is_dropped_when_the_client_vanishes() {
    let stage = abandoned();
    let mut response = stage.client.get("/endless").send_streaming();
    assert!(response.next().is_some());
    drop(response);
    stage.dropped.recv_timeout(SOON).expect("the stream is dropped");
    let mut connection = stage.client.raw();
    connection.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.reset();
    stage.dropped.recv_timeout(SOON).expect("the stream is dropped");
}

#[test]
fn a_stream_between_two_chunks_is_dropped_when_the_client_vanishes() {
    let stage = abandoned();
    stage.items.send("one".to_owned()).expect("the stream is waiting");
    let mut response = stage.client.get("/on_demand").send_streaming();
    assert_eq!(response.next().as_deref(), Some(&b"one"[..]));
    drop(response);
    // The client's system refuses the first chunk after its end; the second does not leave any more.
    stage.items.send("two".to_owned()).expect("the stream is waiting");
    stage.items.send("three".to_owned()).expect("the stream is waiting");
    stage.dropped.recv_timeout(SOON).expect("the stream is dropped");
}

#[test]
fn a_handler_learns_that_its_client_has_gone() {
    for leave in [|connection: RawConnection| connection.reset(), |connection| drop(connection)] {
        let stage = abandoned();
        let mut connection = stage.client.raw();
        connection.send("GET /patient HTTP/1.1\r\nHost: a\r\n\r\n");
        let watch = stage.watches.recv_timeout(SOON).expect("the handler runs");
        assert!(!watch.has_gone());
        leave(connection);
        stage.dropped.recv_timeout(SOON).expect("the handler ends");
    }
}

#[test]
fn a_client_that_ends_its_side_has_gone_and_is_answered_all_the_same() {
    let stage = abandoned();
    let mut connection = stage.client.raw();
    connection.send("GET /patient HTTP/1.1\r\nHost: a\r\n\r\n").shutdown_write();
    connection.read_response().assert_text("nobody reads this");
}

#[test]
fn a_stream_learns_that_its_client_has_gone() {
    let stage = abandoned();
    let mut response = stage.client.get("/patient_stream").send_streaming();
    assert_eq!(response.next().as_deref(), Some(&b"chunk"[..]));
    drop(response);
    stage.dropped.recv_timeout(SOON).expect("the stream is dropped");
}

#[test]
fn a_watch_is_about_its_own_connection_also_when_another_took_its_place() {
    let stage = abandoned();
    let mut first = stage.client.raw();
    first.send("GET /watch HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("false");
    let first_watch = stage.watches.recv_timeout(SOON).expect("a watch");
    assert!(!first_watch.has_gone(), "it waits for the next request");
    first.send("GET /watch HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").read_response();
    first.assert_closed();
    drop((first, stage.watches.recv_timeout(SOON)));
    wait_until(|| first_watch.has_gone());
    // The slot that was freed last is taken first.
    stage.client.get("/watch").send().assert_text("false");
    let second_watch = stage.watches.recv_timeout(SOON).expect("a watch");
    assert!(first_watch.has_gone() && !second_watch.has_gone());
    drop(stage.client);
    wait_until(|| second_watch.has_gone());
}

#[test]
fn in_process_no_client_goes() {
    let ((dropped, _), (_, taken), (watches, watched)) = (sync_channel(9), sync_channel(9), sync_channel(9));
    let app = App::new(Abandoned { dropped, items: std::sync::Mutex::new(Some(taken)), watches });
    Client::in_process(app).get("/watch").send().assert_text("false");
    assert!(!watched.recv_timeout(SOON).expect("a watch").has_gone());
}
