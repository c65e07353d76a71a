//! Conversations by WebSocket, in process and over sockets.

use super::{Arc, Duration, Mutex, SOON};
use crate::Error;
use crate::prelude::*;
use crate::testing::{Client, Said};
use crate::tools::WebSockets;
use crate::websocket::{CloseCode, CloseWith, Closed, Conversation, Message, Peer, SendError, Upgrade, Upgraded};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::time::Instant;

/// Does what the message says.
struct Obedient {
    site: Arc<Told>,
}

/// What the conversations tell their test.
struct Told {
    peers: Sender<Peer>,
    ends: Sender<Closed>,
    entered: Sender<()>,
    release: Mutex<Option<Receiver<()>>>,
}

impl Conversation for Obedient {
    fn opened(&mut self, peer: &Peer) -> crate::Result<()> {
        self.site.peers.send(peer.clone())?;
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, peer: &Peer) -> crate::Result<()> {
        match message.text().unwrap_or("") {
            "panic" => panic!("a message"),
            "fail" => return Err(Error::unexpected("the secret cause")),
            "forbid" => return Err(Error::new(StatusCode::FORBIDDEN, "not you")),
            "end" => return Err(CloseWith(CloseCode::new(4001).expect("free"), "served".to_owned()).into()),
            "bytes" => message.bytes().map(drop)?,
            "fill" => loop {
                peer.send(&vec![7; 10_000])?;
            },
            "block" => {
                self.site.entered.send(())?;
                let release = self.site.release.lock().clone();
                release.map(|release| release.recv());
            }
            _ => {}
        }
        Ok(peer.send(message)?)
    }

    fn closed(&mut self, why: &Closed) {
        self.site.ends.send(why.clone()).expect("the test listens");
    }
}

struct Site {
    told: Arc<Told>,
}

#[crate::handlers]
impl Site {
    #[expose]
    fn talk(&self, upgrade: Upgrade) -> Upgraded {
        upgrade.protocols(["chat.v2", "chat.v1"]).speak(Obedient { site: self.told.clone() })
    }

    #[expose]
    fn page(&self) -> &'static str {
        "a page"
    }

    #[expose]
    fn mine(&self, session: &Session, upgrade: Upgrade) -> Upgraded {
        session.set("talks", true);
        upgrade.speak(Obedient { site: self.told.clone() })
    }

    #[expose]
    fn page2(&self, session: &Session) -> String {
        format!("{:?}", session.get::<bool>("talks"))
    }

    #[expose]
    fn renew(&self, session: &Session) -> &'static str {
        session.regenerate();
        "another id"
    }

    #[expose]
    fn logout(&self, session: &Session) -> &'static str {
        session.delete();
        "out"
    }

    #[cfg(feature = "websocket-deflate")]
    #[expose]
    fn small(&self, upgrade: Upgrade) -> Upgraded {
        upgrade.compress().speak(Obedient { site: self.told.clone() })
    }
}

struct Heard {
    peers: Receiver<Peer>,
    ends: Receiver<Closed>,
    entered: Receiver<()>,
    told: Arc<Told>,
}

fn app() -> (App, Heard) {
    let ((peers, peers_heard), (ends, ends_heard), (entered, entered_heard)) = (unbounded(), unbounded(), unbounded());
    let told = Arc::new(Told { peers, ends, entered, release: Mutex::new(None) });
    let heard = Heard { peers: peers_heard, ends: ends_heard, entered: entered_heard, told: told.clone() };
    let sessions = Sessions::in_memory();
    let app = App::new(Site { told }).tool("/mine", sessions.clone()).tool("/page2", sessions.clone());
    (app.tool("/logout", sessions.clone()).tool("/renew", sessions), heard)
}

impl Heard {
    fn end(&self) -> Closed {
        self.ends.recv_timeout(SOON).expect("the conversation is told of its end")
    }

    fn peer(&self) -> Peer {
        self.peers.recv_timeout(SOON).expect("the conversation was opened")
    }
}

/// All ways to a server.
fn clients(app: impl Fn() -> (App, Heard)) -> Vec<(Client, Heard)> {
    let ways = [
        Client::in_process,
        Client::over_socket,
        #[cfg(feature = "http2")]
        Client::over_http2,
    ];
    ways.map(|client| {
        let (app, heard) = app();
        (client(app), heard)
    })
    .into()
}

#[test]
fn messages_are_answered_in_their_order() {
    for (client, heard) in clients(app) {
        let mut socket = client.websocket("/talk");
        socket.send("one").send("two").send(&vec![1, 2, 3]);
        assert_eq!((socket.text(), socket.text(), socket.bytes()), ("one".into(), "two".into(), vec![1, 2, 3]));
        for number in 0..50 {
            socket.send(&number.to_string());
        }
        for number in 0..50 {
            assert_eq!(socket.text(), number.to_string());
        }
        let large = "x".repeat(300_000);
        assert_eq!(socket.send(&large).text(), large);
        socket.close(1000, "done");
        assert_eq!(socket.close_code(), Some(1000));
        let end = heard.end();
        assert_eq!((end.code, &*end.reason, end.by_client), (CloseCode::NORMAL, "done", true));
    }
}

#[test]
fn what_is_no_handshake_is_refused() {
    let (client, _heard) = (Client::in_process(app().0), ());
    let key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let table: [(&[(&str, &str)], u16); 11] = [
        (&[("Upgrade", "")], 426),
        (&[("Upgrade", "h2c")], 426),
        (&[("Connection", "keep-alive")], 426),
        (&[("Connection", "keep-alive, UPGRADE"), ("Upgrade", "WebSocket")], 101),
        (&[("Sec-WebSocket-Version", "")], 426),
        (&[("Sec-WebSocket-Version", "8")], 426),
        (&[("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "8")], 426),
        (&[("Sec-WebSocket-Key", "")], 400),
        (&[("Sec-WebSocket-Key", "short")], 400),
        (&[key, key], 400),
        (&[("Origin", "")], 101),
    ];
    for (fields, status) in table {
        match client.try_websocket("/talk", fields) {
            Ok(_) => assert_eq!(status, 101, "{fields:?}"),
            Err(answer) => {
                answer.assert_status(status);
                if status == 426 {
                    answer.assert_header("sec-websocket-version", "13");
                }
            }
        }
    }
    client.post("/talk").form(&[("a", "b")]).send().assert_status(405).assert_header("allow", "GET");
    client.get("/talk").send().assert_status(426).assert_header("upgrade", "websocket");
}

#[test]
fn an_upgrade_that_no_page_takes_is_ignored() {
    let client = Client::in_process(app().0);
    client.try_websocket("/page", &[]).expect_err("a page").assert_status(200).assert_text("a page");
}

#[test]
fn foreign_pages_are_refused_before_the_handler() {
    let tool = WebSockets::of_this_site().origins(["https://app.example:8443"]);
    let client = Client::in_process(app().0.tool("/", tool));
    let table = [
        ("http://a.example", true),
        ("http://A.example:80", true),
        ("https://a.example", true),
        ("http://a.example:8080", false),
        ("http://a.example/", false),
        ("http://a.example.evil.example", false),
        ("http://evil.example/a.example", false),
        ("http://evila.example", false),
        ("https://app.example:8443", true),
        ("https://app.example", false),
        ("https://sub.app.example:8443", false),
        ("null", false),
        ("file://", false),
    ];
    for (origin, passes) in table {
        let answer = client.try_websocket("/talk", &[("Host", "a.example"), ("Origin", origin)]);
        assert_eq!(answer.is_ok(), passes, "{origin}");
        if let Err(answer) = answer {
            answer.assert_status(403);
        }
    }
}

#[test]
fn the_first_protocol_of_the_page_that_the_client_offers_is_agreed_on() {
    let client = Client::in_process(app().0);
    for (offer, agreed) in [("chat.v1, chat.v2", Some("chat.v2")), ("x, chat.v1", Some("chat.v1")), ("x", None)] {
        let socket = client.try_websocket("/talk", &[("Sec-WebSocket-Protocol", offer)]).expect("a conversation");
        assert_eq!(socket.protocol(), agreed);
    }
}

#[test]
fn the_server_ends_a_conversation_with_the_code_of_its_cause() {
    let table: [(&str, u16, &str); 6] = [
        ("panic", 1011, ""),
        ("fail", 1011, ""),
        ("forbid", 1008, "not you"),
        ("end", 4001, "served"),
        ("bytes", 1003, "this page takes bytes"),
        ("fill", 1013, "this client is too slow"),
    ];
    for (client, heard) in clients(app) {
        for (message, code, reason) in table {
            let mut socket = client.websocket("/talk");
            socket.send(message);
            assert_eq!(socket.close_code(), Some(code), "{message}");
            let end = heard.end();
            assert_eq!((end.code.number(), &*end.reason, end.by_client), (code, reason, false));
            client.get("/page").send().assert_text("a page");
        }
    }
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
fn pings_are_answered_also_within_a_message() {
    for (client, _heard) in clients(app) {
        let mut socket = client.websocket("/talk");
        socket.send_frame(0x01, b"in ").ping(b"there?").send_frame(0x80, b"parts");
        assert_eq!(socket.receive(), Said::Pong(b"there?".to_vec()));
        assert_eq!(socket.text(), "in parts");
    }
}

#[test]
fn what_comes_with_the_handshake_is_not_lost() {
    let (app, _heard) = app();
    let client = Client::over_socket(app);
    let mut raw = client.raw();
    let head = "GET /talk HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    raw.send([head.as_bytes(), &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i', 0x88, 0x80, 0, 0, 0, 0]].concat());
    raw.shutdown_write();
    let answer = raw.read_to_end();
    assert!(answer.ends_with(&[0x81, 2, b'h', b'i', 0x88, 0]), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn any_thread_can_send_and_end() {
    for (client, heard) in clients(app) {
        let mut socket = client.websocket("/talk");
        // The conversation is opened when the server goes on.
        assert_eq!(socket.send("first").text(), "first");
        let peer = heard.peer();
        let other = std::thread::spawn(move || {
            for number in 0..1000 {
                peer.send(&format!("news {number}")).expect("room");
            }
            peer.close(CloseCode::NORMAL, "that is all");
        });
        for number in 0..1000 {
            assert_eq!(socket.text(), format!("news {number}"));
        }
        assert_eq!(socket.receive(), Said::Close(Some(1000), "that is all".to_owned()));
        other.join().expect("no panic");
    }
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
fn a_message_at_work_delays_nobody_and_nothing_is_read_meanwhile() {
    let (app, heard) = app();
    let (release, released) = unbounded();
    *heard.told.release.lock() = Some(released);
    let client = Client::over_socket(app);
    let mut socket = client.websocket("/talk");
    socket.send("block").send("behind");
    heard.entered.recv_timeout(SOON).expect("it is at work");
    client.get("/page").send().assert_text("a page");
    let mut other = client.websocket("/talk");
    assert_eq!(other.send("hello").text(), "hello");
    drop(release);
    assert_eq!((socket.text(), socket.text()), ("block".to_owned(), "behind".to_owned()));
}

#[test]
fn a_conversation_holds_no_lock_of_its_session() {
    let (app, _heard) = app();
    let client = Client::over_socket(app);
    client.get("/page2").send().assert_text("None");
    let mut socket = client.websocket("/mine");
    assert_eq!(socket.send("hello").text(), "hello");
    client.get("/page2").send().assert_text("Some(true)");
}

#[test]
fn the_end_of_a_session_ends_its_conversations() {
    for (client, heard) in clients(app) {
        let other = client.new_browser();
        let (mut socket, mut others) = (client.websocket("/mine"), other.websocket("/mine"));
        let before = client.cookie("session_id");
        client.get("/renew").send().assert_status(200);
        assert_ne!(client.cookie("session_id"), before);
        assert_eq!((socket.send("a").text(), others.send("b").text()), ("a".to_owned(), "b".to_owned()));
        client.get("/logout").send().assert_text("out");
        assert_eq!(socket.close_code(), Some(1008));
        assert_eq!(heard.end().reason, "the session has ended");
        assert_eq!(others.send("c").text(), "c");
    }
}

#[test]
fn a_session_that_ends_elsewhere_ends_its_conversations_at_the_next_ping() {
    let (app, heard) = app();
    let bounds = WebSockets::of_this_site().ping(Duration::from_millis(50));
    let app = app.tool("/mine", bounds);
    let client = Client::over_socket(app.config_str("[\"/mine\"]\nsessions.timeout = \"1s\""));
    let mut socket = client.websocket("/mine");
    assert_eq!(socket.send("a").text(), "a");
    assert_eq!(socket.close_code(), Some(1008));
    assert_eq!(heard.end().reason, "the session has ended");
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

#[cfg(feature = "websocket-deflate")]
#[test]
fn messages_are_compressed_where_both_agree() {
    let (app, _heard) = app();
    let client = Client::in_process(app);
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")];
    let mut socket = client.try_websocket("/small", &offer).expect("a conversation");
    socket.send(&"x".repeat(10_000));
    let (first, payload) = socket.frame().expect("a frame");
    assert_eq!((first, payload.len() < 1000), (0xc1, true));
    socket.send_frame(0xc1, &payload);
    assert_eq!(socket.frame().expect("a frame").1, payload);
    // Unless the handler asks for it, nothing is agreed on.
    let mut plain = client.try_websocket("/talk", &offer).expect("a conversation");
    assert_eq!(plain.send_frame(0xc1, &payload).close_code(), Some(1002));
}

#[cfg(feature = "tls")]
#[test]
fn conversations_go_by_tls() {
    let (app, _heard) = app();
    let client = Client::over_socket(app.tls(super::tls::settings()));
    let mut socket = client.websocket("/talk");
    let large = "x".repeat(200_000);
    assert_eq!((socket.send("hello").text(), socket.send(&large).text()), ("hello".to_owned(), large));
    socket.close(1000, "");
    assert_eq!(socket.close_code(), Some(1000));
}

#[cfg(feature = "http2")]
#[test]
fn over_http2_a_page_that_takes_no_upgrade_is_no_success() {
    let (app, _heard) = app();
    let client = Client::over_http2(app);
    client.try_websocket("/page", &[]).expect_err("a page").assert_status(501);
    client.try_websocket("/none", &[]).expect_err("no page").assert_status(404);
    client.try_websocket("/talk", &[("Origin", "https://evil.example")]).expect_err("foreign").assert_status(403);
    let mut sockets: Vec<_> = (0..20).map(|_| client.websocket("/talk")).collect();
    for socket in &mut sockets {
        assert_eq!(socket.send("hello").text(), "hello");
    }
}

#[test]
fn a_room_is_heard_by_all_who_have_joined_and_by_no_others() {
    let room = crate::push::Room::new();
    for (client, heard) in clients(app) {
        let join = |_| {
            let mut socket = client.websocket("/talk");
            assert_eq!(socket.send("here").text(), "here");
            let peer = heard.peer();
            room.join(&peer);
            (socket, peer)
        };
        let (mut sockets, peers): (Vec<_>, Vec<_>) = (0..3).map(join).unzip();
        room.leave(&peers[2]);
        assert_eq!(sockets[2].send("left").text(), "left");
        for number in 0..500 {
            room.say(&format!("said {number}")).expect("it is small");
        }
        peers[2].send("to you alone").expect("room");
        for socket in &mut sockets[..2] {
            for number in 0..500 {
                assert_eq!(socket.text(), format!("said {number}"));
            }
        }
        assert_eq!(sockets[2].text(), "to you alone");
    }
}
