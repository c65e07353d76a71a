//! Every wait has a deadline, every queue an end, and a client beyond it gets an answer.

use integration_tests::{Gate, HeldPages, wait_until};
use kirsch::{prelude::*, server::ServerSettings, testing::Client};
use std::{thread, time::Duration};

const SHORT: Duration = Duration::from_millis(50);

fn pages(change: impl FnOnce(&mut ServerSettings)) -> (Client, Gate) {
    let gate = Gate::new();
    (Client::over_socket(App::new(HeldPages { gate: gate.clone() }).server(change)), gate)
}

/// While the only worker is held, `test` runs.
fn while_held(client: &Client, gate: &Gate, test: impl FnOnce()) {
    thread::scope(|scope| {
        scope.spawn(|| client.new_browser().get("/hold").send().assert_text("held").status());
        gate.wait_for(1);
        test();
        gate.open();
    });
}

// The overload answer is part of the contract.
#[test]
fn a_request_that_waits_too_long_for_a_worker_is_503_with_retry_after() {
    let (client, gate) = pages(|settings| {
        settings.threads = 1;
        settings.queue_timeout = SHORT;
    });
    while_held(&client, &gate, || {
        let response = client.get("/").send();
        response.assert_status(503).assert_header("connection", "close");
        assert!(response.header("retry-after").is_some());
    });
    client.get("/").send().assert_text("here");
}

#[test]
fn a_request_beyond_the_queue_is_503_at_once() {
    let (client, gate) = pages(|settings| {
        settings.threads = 1;
        settings.queue = 1;
        settings.queue_timeout = Duration::from_secs(3600);
    });
    while_held(&client, &gate, || {
        let mut waiting: Vec<_> = (0..5).map(|_| client.raw()).collect();
        for connection in &mut waiting {
            connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        // One fits into the queue. Which one is the server's to say; the others are answered while the worker is held.
        let answered = || waiting.iter().filter(|connection| connection.has_input()).count();
        wait_until(|| answered() == 4);
    });
    client.get("/").send().assert_text("here");
}

#[test]
fn a_head_that_takes_too_long_is_408() {
    let (client, _gate) = pages(|settings| settings.head_timeout = SHORT);
    let mut connection = client.raw();
    connection.send("GET / HTTP/1.1\r\nHo").read_response().assert_status(408).assert_header("connection", "close");
    connection.assert_closed();
}

#[test]
fn a_body_that_takes_too_long_is_408() {
    let (client, _gate) = pages(|settings| settings.body_timeout = SHORT);
    let mut connection = client.raw();
    connection.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    connection.read_response().assert_status(408);
    connection.assert_closed();
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let (client, _gate) = pages(|settings| settings.idle_timeout = SHORT);
    let mut connection = client.raw();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("here");
    connection.assert_closed();
    client.raw().assert_closed();
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let app = App::new(HeldPages { gate: Gate::new() }).server(|settings| settings.write_timeout = SHORT);
    let running = app.start("127.0.0.1:0").expect("a free port");
    let mut deaf = Client::connect(running.address()).raw();
    deaf.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until(|| running.statistics().requests == 1 && running.statistics().connections_open == 0);
}

#[test]
fn the_oldest_idle_connection_makes_room_for_a_new_one() {
    let (client, _gate) = pages(|settings| settings.connections = Some(3));
    let mut idle: Vec<_> = (0..3).map(|_| client.raw()).collect();
    for connection in &mut idle {
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_status(200);
    }
    client.get("/").send().assert_text("here");
    idle[0].assert_closed();
    idle[2].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("here");
}

#[test]
fn a_connection_serves_as_many_requests_as_it_may() {
    let (client, _gate) = pages(|settings| settings.requests_per_connection = Some(2));
    let mut connection = client.raw();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_no_header("connection");
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_header("connection", "close");
    connection.assert_closed();
}

#[test]
fn an_unwanted_body_is_not_asked_for() {
    let (client, _gate) = pages(|_| {});
    let mut connection = client.raw();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n");
    // A final response: read_response would skip an interim one, so look at the first bytes that come.
    let answer = connection.read_to_end();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_is_sent() {
    let gate = Gate::new();
    let app = App::new(HeldPages { gate }).settings("/", |settings| settings.max_body = 10);
    let client = Client::over_socket(app);
    let mut connection = client.raw();
    connection.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    connection.read_response().assert_status(413).assert_contains("at most 10 bytes");
}
