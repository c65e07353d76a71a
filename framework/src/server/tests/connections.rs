//! Connections: keep-alive, pipelining, silence, limits.

use super::*;

#[test]
fn a_connection_serves_request_after_request() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    for path in ["/a", "/b", "/c"] {
        assert_eq!(client.get(path).text(), path);
    }
    assert_eq!(stage.server().statistics().connections_accepted, 1);
    assert_eq!(stage.server().statistics().requests, 3);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    let requests: String = (0..100).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests);
    for number in 0..100 {
        assert_eq!(client.answer().text(), format!("/{number}"));
        assert_eq!(stage.next_end().0, format!("/{number}"));
    }
}

#[test]
fn a_finished_response_does_not_wait_for_a_slow_follower() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("GET /quick HTTP/1.1\r\nHost: a\r\n\r\nGET /block HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "/quick");
    stage.entered.recv_timeout(SOON).expect("the second request");
    stage.release.send(()).expect("the puppet waits");
    assert_eq!(client.answer().text(), "released");
}

#[test]
fn the_split_of_the_input_does_not_matter() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    let request =
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    for byte in request {
        client.send([*byte]);
    }
    assert_eq!(client.answer().text(), "hello");
    assert_eq!(client.answer().text(), "/next");
}

#[test]
fn silent_connections_hold_no_worker() {
    let stage = Stage::new(|settings| settings.threads = 1);
    let silent: Vec<_> = (0..50).map(|_| stage.connect()).collect();
    let idle: Vec<_> = (0..50)
        .map(|_| {
            let mut client = stage.connect();
            client.get("/");
            client
        })
        .collect();
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let mut client = stage.connect();
            client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nnot all");
            let mut other = stage.connect();
            other.send("GET / HT");
            (client, other)
        })
        .collect();
    assert_eq!(stage.connect().get("/free").text(), "/free");
    drop((silent, idle, slow));
}

#[test]
fn an_idle_connection_is_closed_in_silence() {
    let stage = Stage::new(|settings| settings.idle_timeout = Duration::from_millis(50));
    let mut client = stage.connect();
    client.get("/");
    assert!(client.is_closed());
    assert!(stage.connect().is_closed(), "also one that never sent anything");
}

#[test]
fn a_head_that_does_not_end_is_answered_with_408() {
    let stage = Stage::new(|settings| settings.head_timeout = Duration::from_millis(50));
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nHos");
    assert_eq!(client.answer().status(), "408");
    assert!(client.is_closed());
    assert_eq!(*stage.puppet.refusals.lock(), [Refusal::TooSlow { setting: "server.head_timeout" }]);
}

#[test]
fn a_refused_head_ends_the_connection() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("GET / HTTP/1.1\r\nBad Name: x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.closes()), ("400", true));
    assert!(client.is_closed());
    assert_eq!(stage.server().statistics().requests, 1);
}

#[test]
fn at_the_limit_the_oldest_idle_connection_makes_room() {
    let stage = Stage::new(|settings| settings.connections = Some(2));
    let mut oldest = stage.connect();
    oldest.get("/");
    // Deadlines are kept in milliseconds; the second one must be later by one.
    let moment = Instant::now();
    eventually("the next millisecond", || moment.elapsed() > Duration::from_millis(2));
    let mut newer = stage.connect();
    newer.get("/");
    assert_eq!(stage.connect().get("/new").text(), "/new");
    assert!(oldest.is_closed());
    assert_eq!(newer.get("/still").text(), "/still");
}

/// Also when all of them have never said anything.
#[test]
fn silent_connections_at_the_limit_keep_no_client_out() {
    let stage = Stage::new(|settings| settings.connections = Some(4));
    let _silent: Vec<_> = (0..20).map(|_| stage.connect()).collect();
    assert_eq!(stage.connect().get("/").text(), "/");
}

#[test]
fn at_the_limit_without_idle_connections_the_new_one_waits() {
    let stage = Stage::new(|settings| settings.connections = Some(1));
    let mut busy = stage.block();
    let mut waiting = stage.connect();
    waiting.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
    stage.release.send(()).expect("the puppet waits");
    assert_eq!(busy.answer().text(), "released");
    assert_eq!(waiting.answer().text(), "/late");
}

#[test]
fn after_its_last_request_the_connection_says_close() {
    let stage = Stage::new(|settings| settings.requests_per_connection = Some(2));
    let mut client = stage.connect();
    assert!(!client.get("/1").closes());
    assert!(client.get("/2").closes());
    assert!(client.is_closed());
}

#[test]
fn a_half_closed_client_is_still_answered() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    client.socket.shutdown(std::net::Shutdown::Write).expect("an open socket");
    assert_eq!(client.answer().text(), "/a");
    assert!(client.is_closed());
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let stage = Stage::new(|_| {});
    for _ in 0..100 {
        let mut client = stage.connect();
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        drop(client);
    }
    for _ in 0..100 {
        assert!(!stage.next_end().1.complete);
    }
    eventually("the last close", || stage.server().statistics().connections_open == 0);
    assert_eq!(stage.connect().get("/").status(), "200");
}

#[test]
fn two_servers_live_in_one_process_and_one_speaks_ipv6() {
    let first = Stage::new(|_| {});
    let second = Stage::new(|settings| settings.listen = vec!["[::1]:0".parse().expect("an address")]);
    assert_eq!(first.connect().get("/1").text(), "/1");
    drop(first);
    assert_eq!(second.connect().get("/2").text(), "/2");
}
