//! A graceful stop: running requests are answered, idle connections are not waited for, and all ends by one deadline.

use integration_tests::{Gate, HeldPages, allow_descriptors, wait_until};
use kirsch::{
    engine::Running,
    prelude::*,
    testing::Client,
    websocket::{Conversation, Message, Peer, Upgrade, Upgraded},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(3600);

fn start(change: impl FnOnce(App) -> App) -> (Running, Client, Gate) {
    let gate = Gate::new();
    let running = change(App::new(HeldPages { gate: gate.clone() })).start("127.0.0.1:0").expect("a free port");
    let client = Client::connect(running.address());
    (running, client, gate)
}

// A request whose head was read counts as running. Its answer announces the end.
#[test]
fn a_running_request_is_answered() {
    let (running, client, gate) = start(|app| app);
    thread::scope(|scope| {
        let held = scope.spawn(|| client.get("/hold").send());
        gate.wait_for(1);
        let stopped = scope.spawn(|| running.stop(LONG));
        wait_until(|| client.new_browser().get("/").try_send().is_err());
        gate.open();
        held.join().expect("it is answered").assert_text("held").assert_header("connection", "close");
        assert!(stopped.join().expect("it stops").unfinished.is_empty());
    });
}

// Idle connections are not waited for. The deadline of an hour would show.
#[test]
fn idle_connections_are_not_waited_for() {
    let (running, client, _gate) = start(|app| app);
    let mut idle: Vec<_> = (0..10).map(|_| client.raw()).collect();
    for connection in &mut idle {
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_status(200);
    }
    assert!(running.stop(LONG).unfinished.is_empty());
    idle.iter_mut().for_each(kirsch::testing::RawConnection::assert_closed);
}

// The deadline is absolute, and the report names late requests.
#[test]
fn late_requests_are_in_the_report() {
    let (running, client, gate) = start(|app| app);
    thread::scope(|scope| {
        scope.spawn(|| drop(client.get("/hold").try_send()));
        gate.wait_for(1);
        let report = running.stop(Duration::from_millis(50));
        assert_eq!(report.unfinished.iter().map(|(request, _)| request.as_str()).collect::<Vec<_>>(), ["GET /hold"]);
        gate.open();
    });
}

#[test]
fn on_stop_runs_after_the_last_request() {
    let done = Arc::new(AtomicBool::new(false));
    let at_stop = Arc::clone(&done);
    let (running, client, _gate) = start(|app| {
        app.on_stop(move || {
            at_stop.store(true, Ordering::SeqCst);
            Ok(())
        })
    });
    client.get("/").send().assert_text("here");
    assert!(!done.load(Ordering::SeqCst));
    let _report = running.stop(LONG);
    assert!(done.load(Ordering::SeqCst));
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let app = App::new(HeldPages { gate: Gate::new() }).on_start(|_| Err(Error::unexpected("not today")));
    let error = app.start("127.0.0.1:0").expect_err("on_start failed");
    assert!(error.to_string().contains("not today"));
}

struct Hall;

#[handlers]
impl Hall {
    #[expose]
    fn talk(&self, upgrade: Upgrade) -> Upgraded {
        upgrade.speak(Silent)
    }
}

struct Silent;

impl Conversation for Silent {
    fn message(&mut self, _: Message<'_>, _: &Peer) -> kirsch::Result<()> {
        Ok(())
    }
}

/// As a client of the network: thousands of them keep nothing.
fn raw_conversation(client: &Client) -> TcpStream {
    let mut socket = TcpStream::connect(client.address().expect("a server")).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid timeout");
    let head = "GET /talk HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(head.as_bytes()).expect("it reads");
    socket
}

// Those that answer are not waited for any longer, and those that do not for no longer than the setting says.
#[test]
fn thousands_of_conversations_are_told_of_the_end() {
    const CONVERSATIONS: usize = 2_000;
    allow_descriptors(2 * CONVERSATIONS as u64 + 200);
    let app = App::new(Hall).server(|server| server.connections = Some(CONVERSATIONS + 100));
    let running = app.server(|server| server.pushes = Some(CONVERSATIONS)).start("127.0.0.1:0").expect("a free port");
    let client = Client::connect(running.address());
    let sockets: Vec<_> = (0..CONVERSATIONS).map(|_| raw_conversation(&client)).collect();
    wait_until(|| running.statistics().conversations.open == CONVERSATIONS as u64);
    let stopping = thread::spawn(move || running.stop(Duration::from_secs(30)));
    for mut socket in sockets {
        let (mut all, end) = (Vec::new(), b"\x88\x12\x03\xe9the server stops");
        while !all.ends_with(end) {
            let mut piece = [0; 512];
            match socket.read(&mut piece) {
                Ok(length @ 1..) => all.extend_from_slice(&piece[..length]),
                ended => panic!("{ended:?} after {:?}", String::from_utf8_lossy(&all)),
            }
        }
        socket.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]).expect("it reads");
        assert_eq!(socket.read(&mut [0; 16]).expect("a regular end"), 0);
    }
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}
