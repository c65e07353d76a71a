//! Streams: sent chunk by chunk, made only when the connection has room, broken off visibly.

use integration_tests::both;
use kirsch::{prelude::*, testing::Client};
use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
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
