//! Clients that break rules, say too much or nothing, and leave; servers that stop.

use super::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

#[test]
fn a_client_that_leaves_without_a_word_is_lost() {
    let (app, heard) = app();
    let client = Client::over_socket(app);
    let mut socket = client.websocket("/talk");
    assert_eq!(socket.send("here").text(), "here");
    drop(socket);
    let end = heard.end();
    assert_eq!((end.code, end.by_client), (CloseCode::LOST, true));
    assert_eq!(heard.peer().send("gone"), Err(SendError::Over));
}

#[test]
fn a_client_that_does_not_read_fills_its_outbox_and_nothing_else() {
    let (app, heard) = app();
    let client = Client::over_socket(app);
    let mut socket = client.websocket("/talk");
    assert_eq!(socket.send("first").text(), "first");
    let peer = heard.peer();
    let message = vec![7; 50_000];
    // A gigabyte. The kernel takes some megabytes of it.
    let taken = (0..20_000).filter(|_| peer.send(&message).is_ok()).count();
    assert!(taken < 1000, "the outbox has no bound: {taken} messages");
    client.get("/page").send().assert_text("a page");
    assert_eq!(socket.bytes(), message);
}

#[test]
fn a_silent_client_is_asked_and_given_up() {
    let tool = WebSockets::of_this_site().ping(Duration::from_millis(30)).pong(Duration::from_millis(60));
    for (client, heard) in clients(|| {
        let (app, heard) = app();
        (app.tool("/", tool.clone()), heard)
    }) {
        let mut socket = client.websocket("/talk");
        // Answered by the client while it reads.
        let asked = |socket: &mut crate::testing::WebSocket| loop {
            let (first, _) = socket.frame().expect("a frame");
            if first == 0x89 {
                socket.send_frame(0x8a, b"");
                break;
            }
        };
        (0..3).for_each(|_| asked(&mut socket));
        while socket.frame().expect("a frame").0 != 0x88 {}
        assert_eq!(heard.end().code, CloseCode::POLICY);
    }
}

#[test]
fn half_a_message_has_a_deadline() {
    let (app, heard) = app();
    let client = Client::over_socket(app.config_str("[global]\nserver.body_timeout = \"200ms\""));
    for half in [&[0x81][..], &[0x81, 0x85, 0, 0, 0, 0, b'h'], &[0x01, 0x81, 0, 0, 0, 0, b'h']] {
        let mut socket = client.websocket("/talk");
        socket.send_bytes(half);
        assert_eq!(socket.close_code(), Some(1008), "{half:02x?}");
        assert_eq!(heard.end().reason, "a message takes too long");
    }
}

#[test]
fn a_flood_of_messages_starves_no_page() {
    let (app, _heard) = app();
    let client = Client::over_socket(app.config_str("[global]\nserver.threads = 1"));
    let mut socket = client.websocket("/talk");
    let frame = [0x82, 0x80, 0, 0, 0, 0].repeat(1000);
    socket.send_bytes(&frame);
    client.get("/page").send().assert_text("a page");
    for _ in 0..1000 {
        assert_eq!(socket.bytes(), b"");
    }
    // Pings, and parts of a message that never ends.
    socket.send_bytes(&[0x89, 0x80, 0, 0, 0, 0].repeat(1000)).send_frame(0x01, b"");
    let part = [0x00, 0x80, 0, 0, 0, 0].repeat(100_000);
    let mut flood = client.websocket("/talk");
    flood.send_frame(0x01, b"").send_bytes(&part);
    client.get("/page").send().assert_text("a page");
    assert_eq!(flood.send_frame(0x80, b"last").text(), "last");
}

#[test]
fn a_stop_tells_clients_and_waits_for_no_silent_one() {
    let (app, heard) = app();
    let app = app.tool("/", WebSockets::of_this_site().close(Duration::from_millis(300)));
    let running = app.without_environment().start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(running.address());
    let (mut polite, mut silent) = (client.websocket("/talk"), client.websocket("/talk"));
    assert_eq!((polite.send("a").text(), silent.send("b").text()), ("a".to_owned(), "b".to_owned()));
    let began = Instant::now();
    let stopping = std::thread::spawn(move || running.stop(Duration::from_secs(20)));
    assert_eq!(polite.close_code(), Some(1001));
    stopping.join().expect("no panic");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(silent.receive(), Said::Close(Some(1001), "the server stops".to_owned()));
    assert_eq!((heard.end().code, heard.end().code), (CloseCode::GOING_AWAY, CloseCode::GOING_AWAY));
}

#[test]
fn broken_rules_end_with_their_code() {
    let gibibyte = [0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4];
    for (client, heard) in clients(app) {
        let table: [(&[u8], u16); 5] = [
            (&[0x81, 1, b'a'], 1002),
            (&[0xf1, 0x80, 0, 0, 0, 0], 1002),
            (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
            (&gibibyte, 1009),
            (&[0x88, 0x81, 0, 0, 0, 0, 3], 1002),
        ];
        for (bytes, code) in table {
            let mut socket = client.websocket("/talk");
            socket.send_bytes(bytes);
            assert_eq!(socket.close_code(), Some(code), "{bytes:02x?}");
            assert_eq!(heard.end().code.number(), code);
        }
    }
}

#[test]
fn a_client_that_crashes_is_lost() {
    let (app, heard) = app();
    let client = Client::over_socket(app);
    let mut raw = client.raw();
    raw.send(
        "GET /talk HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(raw.read_interim(), 101);
    let _peer = heard.peer();
    raw.reset();
    assert_eq!(heard.end().code, CloseCode::LOST);
}

/// A frame of a client, with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | u8::try_from(payload.len()).expect("short"), 0, 0, 0, 0], payload].concat()
}

#[test]
fn frames_are_read_at_every_split() {
    let frames = [frame(0x01, "gr\u{fc}".as_bytes()), frame(0x89, b"?"), frame(0x80, "\u{df}e".as_bytes())].concat();
    for (client, _heard) in clients(app) {
        let mut socket = client.websocket("/talk");
        for split in 0..=frames.len() {
            socket.send_bytes(&frames[..split]).send_bytes(&frames[split..]);
            assert_eq!(socket.receive(), Said::Pong(b"?".to_vec()), "split at {split}");
            assert_eq!(socket.text(), "gr\u{fc}\u{df}e", "split at {split}");
        }
    }
}

#[test]
fn what_follows_a_close_frame_is_forgotten() {
    for (client, heard) in clients(app) {
        let mut socket = client.websocket("/talk");
        socket.send_bytes(&[frame(0x81, b"before"), frame(0x88, &[]), frame(0x81, b"after")].concat());
        assert_eq!((socket.text(), socket.receive()), ("before".to_owned(), Said::Close(None, String::new())));
        assert_eq!(heard.end().code, CloseCode::NO_CODE);
        assert!(socket.try_receive().is_err());
    }
}

#[test]
fn no_line_of_the_log_has_what_was_said() {
    let run = || {
        let client = Client::in_process(app().0);
        let said = b"s3cret\xff";
        for bytes in [frame(0x81, said), frame(0x81, b"s3cret"), frame(0x8b, said), frame(0x88, b"\x03\xe8s3cret\xff")]
        {
            let mut socket = client.websocket("/talk");
            socket.send_bytes(&bytes).send("panic");
            while socket.try_receive().is_ok_and(|said| !matches!(said, Said::Close(..))) {}
        }
    };
    let lines = crate::logs::capture::records("kirsch", run);
    assert!(lines.iter().any(|line| line.starts_with("INFO kirsch::websocket ")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("s3cret")), "{lines:?}");
}

#[test]
fn messages_and_ends_are_counted() {
    let (app, heard) = app();
    let running = app.without_environment().start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(running.address());
    let room = crate::push::Room::new();
    let mut socket = client.websocket("/talk");
    assert_eq!(socket.send("one").text(), "one");
    room.join(&heard.peer());
    room.say("two").expect("it fits");
    assert_eq!(socket.text(), "two");
    let counts = running.statistics().conversations;
    assert_eq!((counts.open, counts.messages_in, counts.messages_out), (1, 1, 2));
    socket.send("end");
    assert_eq!(socket.close_code(), Some(4001));
    let counts = running.statistics().conversations;
    let ended: Vec<_> = counts.ends().filter(|(_, count)| *count > 0).collect();
    assert_eq!((counts.open, counts.opened, ended), (0, 1, vec![("other", 1)]));
}

#[test]
fn messages_of_all_clients_together_have_a_bound() {
    let (app, _heard) = app();
    let app = app.config_str("[global]\nserver.memory_for_bodies = \"1 MiB\"");
    let running = app.without_environment().start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(running.address());
    let (mut one, mut other) = (client.websocket("/talk"), client.websocket("/talk"));
    let part = "x".repeat(600_000);
    one.send_frame(0x01, part.as_bytes());
    while running.statistics().bodies_in_memory < 600_000 {
        std::thread::yield_now();
    }
    assert_eq!(other.send_frame(0x01, part.as_bytes()).close_code(), Some(1013));
    assert_eq!(one.send_frame(0x80, b"").text(), part);
    assert_eq!(one.send("small").text(), "small");
    while running.statistics().bodies_in_memory > 0 {
        std::thread::yield_now();
    }
}

/// A proxy that closes what is silent in either direction for `patience`.
fn impatient_proxy(server: SocketAddr, patience: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (client, _) = listener.accept().expect("a client");
        let server = TcpStream::connect(server).expect("it listens");
        let carry = |from: &TcpStream, to: &TcpStream| {
            let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
            from.set_read_timeout(Some(patience)).expect("a timeout");
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = from.read(&mut piece) {
                    if to.write_all(&piece[..length]).is_err() {
                        break;
                    }
                }
                let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
            })
        };
        let (up, down) = (carry(&client, &server), carry(&server, &client));
        let _ = (up.join(), down.join());
    });
    address
}

#[test]
fn a_proxy_that_closes_silent_connections_sees_none() {
    let (app, heard) = app();
    let tool = WebSockets::of_this_site().ping(Duration::from_millis(100));
    let running = app.tool("/", tool).without_environment().start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(impatient_proxy(running.address(), Duration::from_millis(800)));
    let mut socket = client.websocket("/talk");
    assert_eq!(socket.send("here").text(), "here");
    let peer = heard.peer();
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1_200));
        peer.send("still here")
    });
    assert_eq!(socket.text(), "still here");
    assert_eq!(later.join().expect("no panic"), Ok(()));
}
