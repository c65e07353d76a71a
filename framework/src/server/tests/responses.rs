//! Responses: large ones, streams, HEAD, failures.

use super::*;

#[test]
fn a_large_response_to_a_slow_reader_holds_no_worker() {
    let stage = Stage::new(|settings| settings.threads = 1);
    let mut readers: Vec<_> = (0..5).map(|_| stage.connect()).collect();
    for reader in &mut readers {
        reader.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert_eq!(stage.connect().get("/free").text(), "/free");
    for reader in &mut readers {
        let answer = reader.answer();
        assert!(answer.body.len() == LARGE && answer.body.iter().all(|&byte| byte == b'x'));
    }
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off() {
    let stage = Stage::new(|settings| settings.write_timeout = Duration::from_millis(50));
    let mut client = stage.connect();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    let (_, delivery) = stage.next_end();
    assert!(!delivery.complete);
    assert!(delivery.body_bytes < LARGE as u64);
}

/// It takes a byte whenever the server looks, and would hold the response for days.
#[test]
fn a_reader_that_sips_is_cut_off() {
    let stage = Stage::new(|settings| {
        settings.write_timeout = Duration::from_millis(50);
        settings.write_rate = 1 << 40;
    });
    for path in ["/large", "/large-file", "/large-stream"] {
        let mut client = stage.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let delivery = loop {
            match stage.ends.try_recv() {
                Ok((_, delivery)) => break delivery,
                Err(_) => drop(client.socket.read(&mut [0])),
            }
        };
        assert!(!delivery.complete, "{path}");
    }
}

#[test]
fn a_stream_arrives_chunk_by_chunk_as_it_is_made() {
    let mut stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(field(&client.head(), "transfer-encoding"), Some("chunked"));
    let chunks = stage.chunks.take().expect("not used yet");
    for text in ["one", "two"] {
        chunks.send(text.into()).expect("the stream is open");
        assert_eq!(client.exactly(8), format!("3\r\n{text}\r\n").into_bytes());
    }
    drop(chunks);
    assert_eq!(client.exactly(5), b"0\r\n\r\n");
    assert_eq!(stage.next_end().1.body_bytes, 6);
    assert_eq!(client.get("/next").text(), "/next");
}

#[test]
fn a_stream_that_fails_ends_without_its_last_chunk() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("GET /broken-stream HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    assert_eq!(client.rest(), b"5\r\nfirst\r\n");
    assert!(!stage.next_end().1.complete);
}

#[test]
fn head_gets_the_head_and_no_byte_of_the_body() {
    let stage = Stage::new(|_| {});
    for path in ["/page", "/large", "/stream"] {
        let mut client = stage.connect();
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        client.head();
        assert!(client.is_closed(), "{path}");
        assert_eq!(stage.next_end().1.body_bytes, 0);
    }
}

#[test]
fn a_panic_in_the_service_costs_one_response() {
    let stage = Stage::new(|settings| settings.threads = 1);
    for _ in 0..20 {
        for path in ["/panic", "/start-panics"] {
            let answer = stage.connect().get(path);
            assert_eq!((answer.status(), answer.closes()), ("500", true));
        }
        assert_eq!(stage.connect().get("/end-panics").status(), "200");
    }
    let statistics = stage.server().statistics();
    assert_eq!((statistics.workers_alive, statistics.workers_replaced), (1, 0));
}

#[test]
fn a_1_0_client_is_kept_or_closed_as_it_asks() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(field(&client.answer().head, "connection"), Some("keep-alive"));
    client.send("GET /b HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().text(), "/b");
    assert!(client.is_closed());
}

/// It reads nothing, and the server has noticed.
fn deaf(stage: &Stage, path: &str, index: usize) -> Client {
    let mut client = stage.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    eventually("the response is charged", || {
        let statistics = stage.server().statistics();
        statistics.requests > index as u64 && statistics.responses_in_memory >= LARGE as u64
    });
    client
}

#[test]
fn beyond_the_budget_the_longest_stalled_response_ends() {
    let stage = Stage::new(|settings| settings.memory_for_responses = 2 * LARGE as u64 + LARGE as u64 / 2);
    let mut first = deaf(&stage, "/large", 0);
    let mut others = [deaf(&stage, "/large", 1), deaf(&stage, "/large", 2)];
    assert!(!stage.next_end().1.complete);
    assert!(first.rest().len() < LARGE);
    assert!(stage.server().statistics().responses_in_memory <= 2 * LARGE as u64 + LARGE as u64 / 2);
    for other in &mut others {
        assert_eq!(other.answer().body.len(), LARGE);
    }
    eventually("all is given back", || stage.server().statistics().responses_in_memory == 0);
    assert_eq!(stage.server().statistics().responses_cut_off, 1);
}

#[test]
fn a_response_larger_than_the_whole_budget_is_for_those_who_take_it() {
    let stage = Stage::new(|settings| settings.memory_for_responses = 1 << 20);
    let mut client = stage.connect();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!stage.next_end().1.complete);
    assert!(client.rest().len() < LARGE);
    assert_eq!(stage.connect().get("/next").text(), "/next");
}

#[test]
fn shared_bytes_count_once_and_files_and_streams_not_at_all() {
    let stage = Stage::new(|settings| settings.memory_for_responses = LARGE as u64 + (8 << 20));
    let paths = ["/large-shared", "/large-file", "/large-stream"];
    let mut deaf: Vec<_> = (0..8).flat_map(|_| paths).map(|path| (path, stage.connect())).collect();
    for (path, client) in &mut deaf {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    eventually("all have a response", || stage.server().statistics().requests == 24);
    for (path, client) in &mut deaf {
        assert_eq!(client.answer().body.len(), LARGE, "{path}");
    }
    eventually("all is given back", || stage.server().statistics().responses_in_memory == 0);
    assert_eq!(stage.server().statistics().responses_cut_off, 0);
}
