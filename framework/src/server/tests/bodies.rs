//! Request bodies: read before, read by the handler, or not at all.

use super::*;

#[test]
fn a_large_body_goes_through_a_temporary_file() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    let body: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    assert!(client.answer().body == body);
}

#[test]
fn a_body_can_be_read_by_the_handler_while_it_arrives() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    client.send("3\r\ndef\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "abcdef");
    assert_eq!(client.answer().text(), "/next");
}

#[test]
fn a_stream_of_the_response_gets_what_of_the_body_has_come_already() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("POST /relay HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef");
    client.head();
    assert_eq!(client.rest(), b"5\r\nbcdef\r\n0\r\n\r\n");
}

/// A handler that works before it reads is not a slow client.
#[test]
fn only_waiting_for_the_client_counts_as_its_time() {
    let stage = Stage::new(|settings| settings.body_timeout = LATE / 2);
    let mut client = stage.connect();
    client.send("POST /late-read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc");
    assert_eq!(client.answer().text(), "abc");
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let stage = Stage::new(|settings| settings.body_timeout = Duration::from_millis(50));
    for path in ["/echo", "/read"] {
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"));
        let answer = client.answer();
        assert!(answer.closes(), "{answer:?}");
        assert!(client.is_closed());
    }
    assert_eq!(*stage.puppet.refusals.lock(), [Refusal::TooSlow { setting: "server.body_timeout" }]);
}

#[test]
fn fast_bytes_buy_no_long_silence() {
    let stage = Stage::new(|settings| {
        settings.body_timeout = Duration::from_millis(50);
        settings.body_rate = 1;
    });
    for path in ["/echo", "/read"] {
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
        client.send(format!("40000\r\n{}", "x".repeat(0x3ffff)));
        assert!(client.answer().closes(), "{path}");
    }
}

#[test]
fn a_client_that_never_follows_100_continue_is_given_up() {
    let stage = Stage::new(|settings| settings.body_timeout = Duration::from_millis(50));
    for path in ["/echo", "/read"] {
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"));
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
        assert!(client.answer().closes(), "{path}");
    }
}

/// Chunk extensions and trailers are bytes of the body like others; here the end is missing.
#[test]
fn a_body_that_stops_within_its_framing_is_given_up() {
    let stage = Stage::new(|settings| settings.body_timeout = Duration::from_millis(50));
    for framing in ["3", "3;a=", "3\r\nabc", "3\r\nabc\r\n0\r\n", "3\r\nabc\r\n0\r\nTrailer: x\r\n"] {
        for path in ["/echo", "/read"] {
            let mut client = stage.connect();
            client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{framing}"));
            assert!(client.answer().closes(), "{path} {framing:?}");
        }
    }
}

#[test]
fn an_unread_body_does_not_become_the_next_request() {
    let stage = Stage::new(|_| {});
    for path in ["/discard", "/early"] {
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{}}"));
        assert_eq!(client.answer().text(), path);
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        ));
        assert_eq!(client.answer().text(), path);
        assert_eq!(client.get("/next").text(), "/next");
    }
}

/// The rest of the body comes after the response.
#[test]
fn an_unread_body_that_is_still_coming_is_discarded() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("POST /discard HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    assert!(!client.answer().closes());
    client.send([b'x'; 1000]);
    assert_eq!(client.get("/next").text(), "/next");
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let stage = Stage::new(|_| {});
    for path in ["/discard", "/small"] {
        let mut client = stage.connect();
        client.send(format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"));
        client.send(vec![b'x'; 200_000]);
        let answer = client.answer();
        assert!(answer.closes());
        assert_eq!(answer.status(), if path == "/small" { "413" } else { "200" });
    }
}

#[test]
fn a_client_that_asks_is_told_to_continue_when_the_body_is_wanted() {
    let stage = Stage::new(|_| {});
    for path in ["/echo", "/read"] {
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("abc");
        assert_eq!(client.answer().text(), "abc");
    }
}

#[test]
fn a_client_that_asks_is_not_told_to_continue_when_the_body_is_not_wanted() {
    let stage = Stage::new(|_| {});
    for (path, status) in [("/discard", "200"), ("/early", "200"), ("/small", "413")] {
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n"));
        let answer = client.answer();
        assert_eq!((answer.status(), answer.closes()), (status, true), "{path}");
        assert!(client.is_closed());
    }
}

/// A million bytes in memory, or on disk, of a budget of 1 MiB: five bodies that are each a byte short.
fn nearly_full(stage: &Stage, path: &str) -> Vec<Client> {
    let begun = (0..5).map(|_| {
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 200001\r\n\r\n"));
        client.send([b'x'; 200_000]);
        client
    });
    let begun = begun.collect();
    eventually("a million bytes are held", || {
        let statistics = stage.server().statistics();
        statistics.bodies_in_memory.max(statistics.bodies_on_disk) >= 1_000_000
    });
    begun
}

fn small_budgets(settings: &mut ServerSettings) {
    (settings.memory_for_bodies, settings.disk_for_bodies) = (1 << 20, 1 << 20);
}

fn held(stage: &Stage) -> u64 {
    let statistics = stage.server().statistics();
    statistics.bodies_in_memory + statistics.bodies_on_disk
}

#[test]
fn bodies_that_do_not_fit_beside_the_others_are_refused_before_they_come() {
    let stage = Stage::new(small_budgets);
    for path in ["/form", "/echo"] {
        let begun = nearly_full(&stage, path);
        let mut client = stage.connect();
        client
            .send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n"));
        let answer = client.answer();
        assert_eq!((answer.status(), answer.closes()), ("503", true), "{path}");
        // Others are served, as long as they bring little.
        assert_eq!(stage.connect().get("/next").text(), "/next");
        for mut client in begun {
            client.send("x");
            assert_eq!(client.answer().status(), "200", "{path}");
        }
        eventually("all is given back", || held(&stage) == 0);
    }
}

/// Its length is not known before.
#[test]
fn a_chunked_body_that_does_not_fit_is_refused_on_its_way() {
    let stage = Stage::new(small_budgets);
    for path in ["/form", "/echo"] {
        let begun = nearly_full(&stage, path);
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n"));
        let _ = client.socket.write_all(&[b'x'; 100_000]);
        assert_eq!(client.answer().status(), "503", "{path}");
        drop(begun);
        eventually("vanished clients give back what they held", || held(&stage) == 0);
    }
    assert_eq!(stage.server().statistics().bodies_refused, 2);
}

#[test]
fn a_body_counts_until_its_exchange_ends_however_it_ends() {
    let stage = Stage::new(small_budgets);
    let post = |path: &str| {
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"));
        client.send([b'x'; 1000]);
        client
    };
    let mut blocked = post("/block");
    stage.entered.recv_timeout(SOON).expect("a worker for the request");
    let parked = post("/park");
    let waker = stage.wakers.recv_timeout(SOON).expect("it parks");
    assert_eq!(held(&stage), 2000, "in a handler, and parked");
    drop(parked);
    *stage.puppet.open.lock() = true;
    waker.wake();
    stage.release.send(()).expect("the handler waits");
    blocked.answer();
    eventually("ends and vanished clients give back", || held(&stage) == 0);
    for path in ["/echo", "/panic", "/start-panics", "/end-panics", "/discard", "/early"] {
        post(path).answer();
        eventually(path, || held(&stage) == 0);
    }
}

#[test]
fn no_file_is_opened_for_more_bodies_than_the_descriptors_allow() {
    // More connections than descriptors: nothing is left but the least.
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
    let settings = ServerSettings {
        connections: Some(usize::try_from(descriptors).expect("a number of files")),
        ..Default::default()
    };
    assert_eq!(settings.most_spooled(), 4);
    assert!(ServerSettings::default().most_spooled() >= 4);
}
