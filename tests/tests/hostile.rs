//! Hostile clients, and clients that vanish. Each attack is bounded, the server goes on to answer others, and nothing
//! is left of the attack in the end.

use integration_tests::{wait_until, watched::Watched};
use kirsch::{
    server::ServerSettings,
    testing::{Client, RawConnection},
};
use std::{
    thread,
    time::{Duration, Instant},
};

const SHORT: Duration = Duration::from_millis(50);
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// How a client ends a connection.
#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Reset,
}

fn end(connection: RawConnection, how: End) {
    match how {
        End::Close => drop(connection),
        End::Reset => connection.reset(),
    }
}

/// A connection that has sent this.
fn sent(client: &Client, bytes: impl AsRef<[u8]>) -> RawConnection {
    let mut connection = client.raw();
    connection.send(bytes);
    connection
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_request_may_be_split_anywhere() {
    let server = Watched::start(|_| {});
    for request in [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"y\"\r\nab\r\n1\r\nc\r\n0\r\nT: t\r\n\r\n",
    ] {
        let mut connection = server.client.raw();
        for split in 1..request.len() {
            connection.send(&request[..split]).send(&request[split..]).read_response().assert_text("abc");
        }
    }
    server.assert_recovered();
}

// A client that leaves, in any way, leaves nothing behind.
#[test]
fn a_client_may_leave_before_its_request_is_complete() {
    for begun in [
        "",
        "\r\n",
        "GET / HT",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
        "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n",
        "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    ] {
        for how in [End::Close, End::Reset] {
            let server = Watched::start(|_| {});
            for _ in 0..30 {
                end(sent(&server.client, begun), how);
            }
            server.assert_recovered();
        }
    }
}

#[test]
fn a_client_may_leave_in_a_body_that_went_to_a_file() {
    for how in [End::Close, End::Reset] {
        let server = Watched::start(|_| {});
        for _ in 0..10 {
            let mut connection =
                sent(&server.client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
            connection.send(vec![b'x'; 2_000_000]);
            end(connection, how);
        }
        server.assert_recovered();
    }
}

#[test]
fn a_client_may_leave_while_its_handler_runs() {
    for how in [End::Close, End::Reset] {
        let server = Watched::start(|_| {});
        let connections: Vec<_> = (0..4).map(|_| sent(&server.client, get("/hold"))).collect();
        server.gate.wait_for(4);
        connections.into_iter().for_each(|connection| end(connection, how));
        server.gate.open();
        server.assert_recovered();
    }
}

// A place in the queue of a session is given up, wherever it is.
#[test]
fn a_client_may_leave_while_it_waits_for_its_session() {
    let server = Watched::start(|_| {});
    server.client.get("/count").send().assert_text("1");
    let cookie = server.client.cookie("session_id").expect("a session was begun");
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n");
    let mut holder = sent(&server.client, ask("/hold_session"));
    server.gate.wait_for(1);
    let mut waiting: Vec<_> = (0..30)
        .map(|number| {
            let connection = sent(&server.client, ask("/count"));
            wait_until(|| server.sessions.statistics().waits > number);
            connection
        })
        .collect();
    let mut last = waiting.pop().expect("thirty wait");
    for connection in waiting {
        connection.reset();
    }
    wait_until(|| server.running.statistics().connections_open <= 3);
    server.gate.open();
    holder.read_response().assert_text("held");
    last.read_response().assert_text("2");
    drop((holder, last));
    server.assert_recovered();
}

#[test]
fn a_client_may_leave_while_its_response_is_sent() {
    for path in ["/large", "/endless"] {
        for how in [End::Close, End::Reset] {
            let server = Watched::start(|_| {});
            for _ in 0..10 {
                let mut connection = sent(&server.client, get(path));
                wait_until(|| connection.has_input());
                connection.send("more");
                end(connection, how);
            }
            server.assert_recovered();
        }
    }
}

#[test]
fn a_client_may_leave_between_two_chunks() {
    for how in [End::Close, End::Reset] {
        let server = Watched::start(|_| {});
        let connections: Vec<_> = (0..4).map(|_| sent(&server.client, get("/hold_stream"))).collect();
        server.gate.wait_for(4);
        connections.into_iter().for_each(|connection| end(connection, how));
        server.assert_recovered();
    }
}

#[test]
fn a_half_closed_connection_is_answered_if_its_request_is_complete() {
    let server = Watched::start(|_| {});
    for (request, answer) in [
        (get("/"), Some("here")),
        (get("/sleep?ms=20"), Some("slept")),
        (get("/slow_stream?chunks=2&ms=20"), Some("0\n1\n")),
        ("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned(), Some("3")),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab".to_owned(), None),
        ("GET / HT".to_owned(), None),
    ] {
        let mut connection = sent(&server.client, &request);
        connection.shutdown_write();
        if let Some(answer) = answer {
            connection.read_response().assert_text(answer);
        }
        connection.assert_closed();
    }
    server.assert_recovered();
}

// Connections come, expire and break off at the same time, from all sides.
#[test]
fn two_thousand_connections_come_and_go() {
    let server = Watched::start(|settings| settings.idle_timeout = Duration::from_millis(1));
    thread::scope(|scope| {
        for part in 0..4 {
            let client = &server.client;
            scope.spawn(move || {
                for number in 0..500 {
                    let mut connection = client.raw();
                    // It may have expired already: that is the point.
                    let _ = match (number + part) % 5 {
                        0 => Ok(()),
                        1 => connection.try_send("GET / HT"),
                        2 | 3 => connection.try_send(GET),
                        _ => connection.try_send(GET.repeat(20)),
                    };
                    end(connection, if number % 2 == 0 { End::Close } else { End::Reset });
                }
            });
        }
    });
    server.assert_recovered();
}

// Pipelining is bounded by the responses that the client takes.
#[test]
fn a_client_that_floods_and_reads_nothing_is_not_read_any_further() {
    let server = Watched::start(|settings| settings.write_timeout = SHORT);
    let mut flood = server.client.with_timeout(Duration::from_secs(60)).raw();
    // Megabytes of requests, answered by more than any buffer takes; the server ends this.
    assert!((0..1000).any(|_| flood.try_send(GET.repeat(1000)).is_err()), "30 MB of requests were read");
    drop(flood);
    server.assert_recovered();
}

#[test]
fn a_pipelining_flood_delays_no_other_for_long() {
    let server = Watched::start(|settings| settings.threads = 1);
    thread::scope(|scope| {
        let mut flood = server.client.raw();
        let mut other = server.client.raw();
        scope.spawn(move || {
            for _ in 0..20 {
                flood.send(GET.repeat(500));
                (0..500).for_each(|_| drop(flood.read_response()));
            }
        });
        for _ in 0..20 {
            other.send(GET).read_response().assert_text("here");
        }
    });
    server.assert_recovered();
}

/// Sends the beginning, then the same again and again until the server has had enough; at most 8 MB.
fn insist(client: &Client, beginning: &str, endless: &str) -> RawConnection {
    let mut connection = sent(client, beginning);
    let piece = endless.repeat(16_384 / endless.len());
    let refused = (0..512).any(|_| connection.has_input() || connection.try_send(&piece).is_err());
    assert!(refused, "8 MB of {endless:?} after {beginning:?} were read");
    connection
}

// Endless input is bounded, also where it is not content.
#[test]
fn endless_input_is_refused() {
    let chunked = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for path in ["/echo", "/read"] {
        for (beginning, endless, statuses) in [
            ("1;", "x=y;", [400, 400]),
            ("0\r\n", "Trailer: x\r\n", [400, 431]),
            ("", "1;extension=abcdefghijklmnopqrstuvwxyz\r\nx\r\n", [400, 413]),
            ("", "00000000000000000000", [400, 400]),
        ] {
            let server = Watched::start_app(|_| {}, |app| app.settings("/", |settings| settings.max_body = 100_000));
            let mut connection = insist(&server.client, &(chunked(path) + beginning), endless);
            let response = connection.read_response();
            let status = response.status().as_u16();
            assert!(statuses.contains(&status), "{path}, {endless:?}: {response:?}");
            response.assert_header("connection", "close");
            drop(connection);
            server.assert_recovered();
        }
    }
}

#[test]
fn a_head_that_never_ends_is_refused() {
    let server = Watched::start(|_| {});
    for (beginning, endless) in
        [("", "\r\n"), ("GET /", "a"), ("GET / HTTP/1.1\r\n", "X: y\r\n"), ("GET / HTTP/1.1\r\nX:", " ")]
    {
        let mut connection = insist(&server.client, beginning, endless);
        let status = connection.read_response().status().as_u16();
        assert!([400, 414, 431].contains(&status), "{beginning:?}, {endless:?}: {status}");
    }
    server.assert_recovered();
}

// An unwanted body does not keep the server busy.
#[test]
fn an_unwanted_body_that_never_ends_is_cut() {
    for path in ["/", "/ignore", "/nowhere"] {
        let server = Watched::start(|_| {});
        let mut connection =
            sent(&server.client, format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
        connection.read_response();
        let piece = "1\r\nx\r\n".repeat(1000);
        let deadline = Instant::now() + Duration::from_secs(10);
        while connection.try_send(&piece).is_ok() {
            assert!(Instant::now() < deadline, "{path}: the body is read for 10 s");
        }
        drop(connection);
        server.assert_recovered();
    }
}

// The answer arrives, also at a client that looks for it only when it has sent everything.
#[test]
fn an_early_answer_reaches_a_client_that_sends_ten_megabytes_first() {
    let server = Watched::start(|settings| settings.linger_timeout = Duration::from_secs(10));
    for path in ["/ignore", "/nowhere", "/"] {
        let mut connection =
            sent(&server.client, format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n"));
        let status = connection.send(vec![b'x'; 10_000_000]).read_response().status().as_u16();
        assert!([200, 404, 405].contains(&status), "{path}: {status}");
    }
    server.assert_recovered();
}

// Clients that speak TLS, or nothing, to a port without it.
#[test]
fn a_tls_handshake_at_a_plain_port_is_refused() {
    let server = Watched::start(|_| {});
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0x5a; 500]].concat();
    for _ in 0..20 {
        let mut connection = sent(&server.client, &hello);
        connection.read_response().assert_status(400).assert_header("connection", "close");
    }
    server.assert_recovered();
}

/// Sends byte after byte, slowly, until the server answers or closes. It never stops for as long as any of its
/// deadlines.
fn drip(client: &Client, beginning: &str, drops: &str) -> RawConnection {
    let mut connection = sent(client, beginning);
    let deadline = Instant::now() + Duration::from_secs(10);
    for byte in drops.bytes().cycle() {
        if connection.has_input() || connection.try_send([byte]).is_err() {
            break;
        }
        assert!(Instant::now() < deadline, "{drops:?} after {beginning:?} was waited for without end");
        // The pace of the client; nothing waits for it.
        thread::sleep(Duration::from_millis(2));
    }
    connection
}

/// All deadlines are short, but never mind each other.
fn short(settings: &mut ServerSettings) {
    settings.head_timeout = SHORT;
    settings.body_timeout = SHORT;
    settings.write_timeout = SHORT;
    settings.idle_timeout = SHORT;
}

// A deadline is not put off by a byte now and then.
#[test]
fn bytes_that_drip_do_not_put_a_deadline_off() {
    for (beginning, drops) in [
        ("GET /", "a"),
        ("GET / HTTP/1.1\r\nX: ", "x"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "x"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x"),
        ("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "x"),
        ("POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
    ] {
        let server = Watched::start(short);
        let mut connection = drip(&server.client, beginning, drops);
        connection.read_response().assert_status(408).assert_header("connection", "close");
        drop(connection);
        server.assert_recovered();
    }
}

// Silence at each stage ends at the deadline of that stage.
#[test]
fn silence_ends_at_a_deadline() {
    let server = Watched::start(short);
    for (sends, status) in [
        ("", None),
        ("GET / HT", Some(408)),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", Some(408)),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", Some(408)),
        ("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", Some(408)),
        ("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", Some(408)),
        ("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", Some(200)),
    ] {
        let mut connection = sent(&server.client, sends);
        if let Some(status) = status {
            connection.read_response().assert_status(status);
        }
        connection.assert_closed();
    }
    server.assert_recovered();
}

// Clients that take nothing of a response.
#[test]
fn a_reader_that_stops_is_given_up() {
    for path in ["/large", "/endless"] {
        let server = Watched::start(|settings| settings.write_timeout = SHORT);
        let deaf: Vec<_> = (0..8).map(|_| sent(&server.client, get(path))).collect();
        wait_until(|| server.running.statistics().requests >= 28);
        server.client.get("/").send().assert_text("here");
        wait_until(|| server.running.statistics().connections_open == 1);
        drop(deaf);
        server.assert_recovered();
    }
}

// One worker, and many who keep their connection without using it.
#[test]
fn unused_connections_hold_no_worker() {
    let server = Watched::start(|settings| settings.threads = 1);
    let mut connections = Vec::new();
    for begun in ["", "GET / HT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", &get("/endless")] {
        connections.extend((0..20).map(|_| sent(&server.client, begun)));
    }
    let mut idle: Vec<_> = (0..20).map(|_| server.client.raw()).collect();
    for _ in 0..3 {
        for connection in &mut idle {
            connection.send(GET).read_response().assert_text("here");
        }
    }
    drop((connections, idle));
    server.assert_recovered();
}
