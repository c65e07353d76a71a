//! Clients that send on while the server does not read: their bytes wait, and call no worker again and again.

use super::*;

const DRIPS: usize = 2_000;

impl Stage {
    /// How often workers took something up.
    fn turns(&self) -> u64 {
        self.server().running.shared.worker_records().iter().map(|record| record.turns()).sum()
    }

    /// The turns that workers took while the client sent many requests, byte by byte.
    fn turns_while_dripping(&self, client: &mut Client) -> u64 {
        client.socket.set_nodelay(true).expect("a TCP socket");
        let before = self.turns();
        for byte in DRIP.bytes().cycle().take(DRIPS) {
            let (turns, sent) = (self.turns(), Instant::now());
            client.send([byte]);
            // So slowly that a worker which is woken has come before the next byte.
            while self.turns() == turns && sent.elapsed() < Duration::from_micros(200) {
                std::thread::yield_now();
            }
        }
        self.turns() - before
    }
}

/// A divisor of [`DRIPS`] bytes long.
const DRIP: &str = "GET /drip HTTP/1.1\r\nHost: a\r\nX-Fill: 123456789\r\n\r\n";
const REQUESTS: usize = DRIPS / DRIP.len();

fn assert_all_answered(client: &mut Client) {
    for _ in 0..REQUESTS {
        assert_eq!(client.answer().text(), "/drip");
    }
    assert_eq!(client.get("/after").text(), "/after");
}

/// R10 of the ownership protocol.
#[test]
fn bytes_that_come_while_a_handler_runs_wake_few_workers() {
    let stage = Stage::new(|_| {});
    let mut client = stage.block();
    let turns = stage.turns_while_dripping(&mut client);
    assert!(turns < 50, "{turns} turns of workers for {DRIPS} bytes that nobody reads");
    assert_eq!(stage.connect().get("/other").text(), "/other");
    stage.release.send(()).expect("the handler waits");
    assert_eq!(client.answer().text(), "released");
    assert_all_answered(&mut client);
}

#[test]
fn bytes_that_come_while_a_request_is_parked_wake_few_workers() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
    let waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    let turns = stage.turns_while_dripping(&mut client);
    assert!(turns < 50, "{turns} turns of workers for {DRIPS} bytes that nobody reads");
    assert_eq!(stage.connect().get("/other").text(), "/other");
    *stage.puppet.open.lock() = true;
    waker.wake();
    assert_eq!(client.answer().text(), "woken");
    assert_all_answered(&mut client);
}

#[test]
fn bytes_of_a_client_that_does_not_read_wake_few_workers() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.socket.peek(&mut [0]).expect("a response"), 1);
    let turns = stage.turns_while_dripping(&mut client);
    assert!(turns < 50, "{turns} turns of workers for {DRIPS} bytes that nobody reads");
    assert_eq!(client.answer().body.len(), LARGE);
    assert_all_answered(&mut client);
}

#[test]
fn a_muted_client_that_is_gone_is_noticed() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
    let _waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    stage.turns_while_dripping(&mut client);
    rustix::net::sockopt::set_socket_linger(&client.socket, Some(Duration::ZERO)).expect("a socket");
    drop(client);
    assert!(!stage.next_end().1.complete);
}
