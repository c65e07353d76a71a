//! The server's promises to the outside: which connection holds a worker, when a connection ends, and the answers under
//! load.

use integration_tests::{Gate, HeldPages, allow_descriptors, watched::Watched};
use kirsch::{prelude::*, testing::Client};
use std::thread;

fn pages() -> (Client, Gate) {
    let gate = Gate::new();
    (Client::over_socket(App::new(HeldPages { gate: gate.clone() }).threads(10)), gate)
}

#[test]
fn a_page_answers_while_nine_of_ten_workers_are_held() {
    let (client, gate) = pages();
    thread::scope(|scope| {
        for _ in 0..9 {
            scope.spawn(|| client.new_browser().get("/hold").send().assert_text("held").status());
        }
        gate.wait_for(9);
        client.get("/").send().assert_text("here");
        gate.open();
    });
}

// A worker is lent to a request, never to a socket.
#[test]
fn idle_connections_half_heads_and_clients_that_read_nothing_hold_no_worker() {
    allow_descriptors(4096);
    let (client, _gate) = pages();
    let mut connections = Vec::new();
    for _ in 0..500 {
        let mut idle = client.raw();
        idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_status(200);
        let mut half = client.raw();
        half.send("GET / HTTP/1.1\r\nHo");
        connections.extend([idle, half]);
    }
    for _ in 0..100 {
        let mut deaf = client.raw();
        deaf.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        connections.push(deaf);
    }
    for _ in 0..20 {
        client.new_browser().get("/").send().assert_text("here");
    }
    drop(connections);
    client.get("/").send().assert_text("here");
}

#[test]
fn a_client_that_reads_late_gets_all_of_it() {
    let (client, _gate) = pages();
    let mut late = client.raw();
    late.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    client.get("/").send().assert_text("here");
    assert_eq!(late.read_response().bytes().len(), 16 << 20);
}

#[test]
fn a_connection_serves_request_after_request() {
    let (client, _gate) = pages();
    let mut connection = client.raw();
    for _ in 0..100 {
        connection
            .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .read_response()
            .assert_text("here")
            .assert_no_header("connection");
    }
    assert!(!connection.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let (client, _gate) = pages();
    let mut connection = client.raw();
    let requests: String = (0..50)
        .map(|number| format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{number:02}"))
        .collect();
    connection.send(requests);
    for number in 0..50 {
        connection.read_response().assert_text(&format!("{number:02}"));
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let (client, _gate) = pages();
    let mut connection = client.raw();
    for byte in
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"
    {
        connection.send([*byte]);
    }
    connection.read_response().assert_text("abc");
}

#[test]
fn connection_close_is_obeyed() {
    let (client, _gate) = pages();
    let mut connection = client.raw();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    connection.read_response().assert_text("here").assert_header("connection", "close");
    connection.assert_closed();
}

#[test]
fn http_1_0_closes_unless_it_asks_to_stay() {
    let (client, _gate) = pages();
    let mut connection = client.raw();
    connection.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    connection.read_response().assert_text("here").assert_header("connection", "keep-alive");
    connection.send("GET / HTTP/1.0\r\n\r\n").read_response().assert_text("here");
    connection.assert_closed();
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let (client, _gate) = pages();
    let mut connection = client.raw();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").shutdown_write();
    connection.read_response().assert_text("here");
    connection.assert_closed();
}

#[test]
fn continue_is_said_before_the_body_is_read() {
    let (client, _gate) = pages();
    let mut connection = client.raw();
    connection.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(connection.read_interim(), 100);
    connection.send("abc").read_response().assert_text("abc");
}

// Any doubt about the framing ends the connection, and the answer arrives.
#[test]
fn malformed_requests_are_refused_and_end_the_connection() {
    let (client, _gate) = pages();
    for (head, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ] {
        let mut connection = client.raw();
        connection.send(head);
        let response = connection.read_response();
        assert_eq!(response.status(), status, "to {head:?}: {response:?}");
        response.assert_header("connection", "close");
        connection.assert_closed();
    }
}

#[test]
fn a_path_that_cannot_be_decoded_is_refused() {
    let (client, _gate) = pages();
    for path in ["/%zz", "/%", "/%00", "/%ff"] {
        client.get(path).send().assert_status(400);
    }
}

#[test]
fn heads_beyond_the_limits_are_refused() {
    let (client, _gate) = pages();
    let many: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    for (head, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(40_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
    ] {
        let mut connection = client.raw();
        connection.send(head);
        connection.read_response().assert_status(status).assert_header("connection", "close");
    }
}

// A client that is gone is an ordinary end.
#[test]
fn clients_that_break_off_do_no_harm() {
    let server = Watched::start(|_| {});
    for request in [
        "GET / HT",
        "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
    ] {
        for _ in 0..20 {
            let mut connection = server.client.raw();
            connection.send(request);
            connection.reset();
        }
    }
    server.assert_recovered();
}

#[test]
fn two_servers_live_in_one_process() {
    let (one, _) = pages();
    let (two, _) = pages();
    assert_ne!(one.address(), two.address());
    drop(one);
    two.get("/").send().assert_text("here");
}

// Idle connections are not waited for.
#[test]
fn a_stopped_server_lets_go_of_its_port() {
    let (client, _gate) = pages();
    let address = client.address().expect("it has a socket");
    let mut idle = client.raw();
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_status(200);
    drop(client);
    assert!(std::net::TcpListener::bind(address).is_ok());
    idle.assert_closed();
}
