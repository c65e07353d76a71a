//! Conversations by WebSocket, in process and over sockets.

mod handshakes;
mod hardships;
mod rooms;
mod sessions;

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
    app_with(&Sessions::in_memory())
}

fn app_with(sessions: &Sessions) -> (App, Heard) {
    let ((peers, peers_heard), (ends, ends_heard), (entered, entered_heard)) = (unbounded(), unbounded(), unbounded());
    let told = Arc::new(Told { peers, ends, entered, release: Mutex::new(None) });
    let heard = Heard { peers: peers_heard, ends: ends_heard, entered: entered_heard, told: told.clone() };
    let app = App::new(Site { told }).tool("/mine", sessions.clone()).tool("/page2", sessions.clone());
    (app.tool("/logout", sessions.clone()).tool("/renew", sessions.clone()), heard)
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
fn pings_are_answered_also_within_a_message() {
    for (client, _heard) in clients(app) {
        let mut socket = client.websocket("/talk");
        socket.send_frame(0x01, b"in ").ping(b"there?").send_frame(0x80, b"parts");
        assert_eq!(socket.receive(), Said::Pong(b"there?".to_vec()));
        assert_eq!(socket.text(), "in parts");
    }
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
    // As programs ask that want to keep little.
    let little =
        [("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12")];
    let mut little = client.try_websocket("/small", &little).expect("a conversation");
    assert_eq!(little.send(&"x".repeat(10_000)).frame().expect("a frame").0, 0xc1);
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
