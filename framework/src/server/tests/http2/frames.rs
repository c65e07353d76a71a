//! Frames as no honest client sends them.

mod sections;

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(content.len()).expect("a length").to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(content);
    frame
}

/// `GET path` without Huffman codes, from the static table.
fn request(stream: u32, path: &str, flags: u8) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).expect("short")];
    block.extend(path.as_bytes());
    block.extend([0x01, 1, b'a']);
    frame(HEADERS, END_HEADERS | flags, stream, &block)
}

/// A connection that has sent the preface and its settings.
fn greet(stage: &Stage) -> Client {
    let mut client = stage.connect();
    client.socket.set_nodelay(true).expect("a socket");
    client.send(PREFACE);
    client.send(frame(SETTINGS, 0, 0, &[]));
    client
}

impl Client {
    /// Type, flags, stream and content of the next frame; `None` at the end.
    fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        while self.received.len() < 9 {
            if !self.still_more() {
                return None;
            }
        }
        let length = u32::from_be_bytes([0, self.received[0], self.received[1], self.received[2]]) as usize;
        while self.received.len() < 9 + length {
            if !self.still_more() {
                return None;
            }
        }
        let frame: Vec<u8> = self.received.drain(..9 + length).collect();
        let stream = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
        Some((frame[3], frame[4], stream, frame[9..].to_vec()))
    }

    /// As `more`, but a reset is an end as well.
    fn still_more(&mut self) -> bool {
        #[cfg(feature = "tls")]
        if self.session.is_some() {
            return self.more();
        }
        let mut buffer = [0; 4096];
        match self.socket.read(&mut buffer) {
            Ok(length) => {
                self.received.extend_from_slice(&buffer[..length]);
                length > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("the server neither answered nor closed: {error}"),
        }
    }

    /// The error that the server ends the connection for, if it says so.
    fn end(&mut self) -> Option<u32> {
        let mut why = None;
        while let Some((kind, _, _, content)) = self.frame() {
            if kind == GO_AWAY {
                why = Some(u32::from_be_bytes([content[4], content[5], content[6], content[7]]));
            }
        }
        why
    }

    /// Sends as long as the server reads.
    fn flood(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).is_ok()
    }
}

/// Sends what `next` makes until the server ends the connection, for this reason.
#[track_caller]
fn ends_a_flood(stage: &Stage, reason: u32, mut next: impl FnMut(u32) -> Vec<u8>) {
    let mut client = greet(stage);
    let mut reader = Client::over(client.socket.try_clone().expect("a descriptor"));
    let end = std::thread::spawn(move || reader.end());
    let went_on = (0..2_000_000).all(|number| client.flood(&next(number)));
    assert!(!went_on, "the server takes it all");
    // The socket may be reset before the word is read.
    assert!(matches!(end.join().expect("no panic"), Some(why) if why == reason) || reason == 0, "another reason");
    assert_eq!(stage.connect().get("/others").text(), "/others");
}

#[test]
fn the_answer_does_not_depend_on_how_frames_are_split() {
    let stage = stage(|_| {});
    let mut client = stage.connect();
    client.socket.set_nodelay(true).expect("a socket");
    let post = frame(HEADERS, END_HEADERS, 3, &[&[0x83, 0x86, 0x04, 5][..], b"/echo", &[0x01, 1, b'a']].concat());
    let bytes = [
        PREFACE.to_vec(),
        frame(SETTINGS, 0, 0, &[]),
        request(1, "/one", END_STREAM),
        post,
        frame(DATA, END_STREAM, 3, b"content"),
    ];
    for byte in bytes.concat() {
        client.send([byte]);
    }
    let mut answers = std::collections::BTreeMap::<u32, Vec<u8>>::new();
    while answers.values().map(Vec::len).sum::<usize>() < 11 {
        let (kind, _, stream, content) = client.frame().expect("two answers");
        if kind == DATA {
            answers.entry(stream).or_default().extend(content);
        }
    }
    assert_eq!(answers.into_values().collect::<Vec<_>>(), [b"/one".to_vec(), b"content".to_vec()]);
}

#[test]
fn pieces_about_as_large_as_the_buffers_change_nothing() {
    for length in [65_535, 65_536, 65_537] {
        let stage = stage(|_| {});
        let mut client = greet(&stage);
        let content = frame(DATA, 0, 1, &[b'x'; 15_000]);
        let bytes = |stream: u32| {
            let mut pieces = content.repeat(4);
            pieces.chunks_mut(content.len()).for_each(|frame| frame[5..9].copy_from_slice(&stream.to_be_bytes()));
            [upload(stream, "/echo"), pieces, frame(DATA, END_STREAM, stream, b"")].concat()
        };
        let all = (0..10).map(|number| bytes(2 * number + 1)).collect::<Vec<_>>().concat();
        client.send(frame(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes()));
        all.chunks(length).for_each(|piece| client.send(piece));
        let (mut length, mut ends) = (0, 0);
        while ends < 10 {
            if let (DATA, flags, _, content) = client.frame().expect("ten answers") {
                length += content.len();
                ends += u32::from(flags & END_STREAM);
            }
        }
        assert_eq!(length, 600_000);
    }
}

#[cfg(feature = "tls")]
#[test]
fn it_is_agreed_on_over_tls_where_the_client_can() {
    let stage = tls::encrypted(|_| {});
    let config = |protocol: &[u8]| {
        let mut config = rustls::ClientConfig::clone(&crate::testing::encrypted::CLIENT_CONFIG);
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    };
    let mut client = stage.connect_plainly().shake_hands_as(config(b"h2"), b"");
    client.send([PREFACE, &frame(SETTINGS, 0, 0, &[]), &request(1, "/one", END_STREAM)].concat());
    let content = loop {
        let (kind, _, _, content) = client.frame().expect("an answer");
        if kind == DATA {
            break content;
        }
    };
    assert_eq!(content, b"/one");
    let mut client = stage.connect_plainly().shake_hands_as(config(b"http/1.1"), b"");
    assert_eq!(client.get("/two").text(), "/two");
}

#[test]
fn requests_that_are_reset_at_once_end_the_connection() {
    let stage = stage(|_| {});
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |number| {
        let stream = 2 * number + 1;
        [request(stream, "/park", END_STREAM), frame(RESET, 0, stream, &8_u32.to_be_bytes())].concat()
    });
}

#[test]
fn requests_that_make_the_server_reset_them_end_the_connection() {
    let stage = stage(|_| {});
    type Fault = fn(u32) -> Vec<u8>;
    let faults: [(u8, Fault); 4] = [
        (0, |stream| frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes())),
        (0, |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes())),
        (END_STREAM, |stream| frame(DATA, END_STREAM, stream, b"x")),
        (END_STREAM, |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x82, 0x86, 0x84, 0x01, 1, b'a'])),
    ];
    for (flags, fault) in faults {
        // Some of them are errors of the connection at once.
        ends_a_flood(&stage, 0, |number| {
            let stream = 2 * number + 1;
            [request(stream, "/park", flags), fault(stream)].concat()
        });
    }
}

#[test]
fn a_head_without_end_ends_the_connection() {
    let stage = stage(|_| {});
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |number| match number {
        0 => frame(HEADERS, END_STREAM, 1, &[0x82, 0x86, 0x84]),
        _ => frame(CONTINUATION, 0, 1, &[]),
    });
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |number| match number {
        0 => frame(HEADERS, END_STREAM, 1, &[0x82, 0x86, 0x84]),
        _ => frame(CONTINUATION, 0, 1, &[&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat().repeat(100)),
    });
}

#[test]
fn frames_that_ask_for_nothing_end_the_connection() {
    let stage = stage(|_| {});
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(100);
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |_| pings.clone());
    let settings = frame(SETTINGS, 0, 0, &[]).repeat(100);
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |_| settings.clone());
}

#[test]
fn empty_content_without_end_ends_the_connection() {
    let stage = stage(|_| {});
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |number| match number {
        0 => request(1, "/echo", 0),
        _ => frame(DATA, 0, 1, &[]).repeat(100),
    });
}

#[test]
fn content_in_single_bytes_without_end_ends_the_connection() {
    let stage = stage(|_| {});
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |number| match number {
        0 => upload(1, "/echo"),
        _ => frame(DATA, 0, 1, b"x").repeat(100),
    });
}

#[test]
fn content_in_single_bytes_is_content() {
    let stage = stage(|_| {});
    let mut client = greet(&stage);
    client.send(upload(1, "/echo"));
    for _ in 0..20 {
        client.send(frame(DATA, 0, 1, b"x").repeat(100));
        assert!(!is_reset_before_the_ping(&mut client));
    }
    client.send(frame(DATA, END_STREAM, 1, b""));
    let mut length = 0;
    while length < 2000 {
        if let (DATA, _, 1, content) = client.frame().expect("an answer") {
            length += content.len();
        }
    }
    assert_eq!(length, 2000);
}

#[test]
fn window_updates_and_priorities_without_end_end_the_connection() {
    let stage = stage(|_| {});
    let by_one = frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(100);
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |_| by_one.clone());
    let by_nothing = frame(WINDOW_UPDATE, 0, 0, &0_u32.to_be_bytes()).repeat(100);
    ends_a_flood(&stage, PROTOCOL_ERROR, |_| by_nothing.clone());
    let priorities = frame(2, 0, 1, &[0, 0, 0, 3, 15]).repeat(100);
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |_| priorities.clone());
    let unknown = frame(0x16, 0, 0, &[0; 100]).repeat(100);
    ends_a_flood(&stage, ENHANCE_YOUR_CALM, |_| unknown.clone());
}

#[test]
fn a_head_that_comes_in_drops_has_the_time_of_an_idle_connection() {
    let stage = stage(|settings| settings.idle_timeout = Duration::from_millis(300));
    let mut client = greet(&stage);
    let began = Instant::now();
    for byte in frame(HEADERS, END_HEADERS, 1, &[0; 10_000]) {
        if !client.flood(&[byte]) {
            return;
        }
        assert!(began.elapsed() < SOON, "it is kept");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn control_frames_do_not_keep_an_idle_connection() {
    let stage = stage(|settings| settings.idle_timeout = Duration::from_millis(300));
    let mut client = greet(&stage);
    let began = Instant::now();
    while client.flood(&frame(PING, 0, 0, &[0; 8])) {
        assert!(began.elapsed() < SOON, "it is kept");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `POST path` with content to come.
fn upload(stream: u32, path: &str) -> Vec<u8> {
    let mut bytes = request(stream, path, 0);
    bytes[9] = 0x83;
    bytes
}

/// Reads frames until the answer to a PING, or a reset of the stream; true if that comes.
fn is_reset_before_the_ping(client: &mut Client) -> bool {
    client.send(frame(PING, 0, 0, &[0; 8]));
    loop {
        match client.frame().expect("the connection stays") {
            (PING, ACK, ..) => return false,
            (RESET, ..) => return true,
            _ => {}
        }
    }
}

#[test]
fn an_answer_before_the_end_of_the_body_lets_the_client_send_the_rest() {
    let stage = stage(|_| {});
    let mut client = greet(&stage);
    client.send(upload(1, "/early"));
    while !matches!(client.frame().expect("an answer"), (DATA, END_STREAM, ..)) {}
    // More than both windows, so that they must be opened again.
    let mut window = 65_535;
    for _ in 0..100 {
        while window < 16_384 {
            match client.frame().expect("the connection stays") {
                (WINDOW_UPDATE, _, 1, by) => window += u32::from_be_bytes([by[0], by[1], by[2], by[3]]),
                (RESET, ..) => panic!("it was reset"),
                _ => {}
            }
        }
        client.send(frame(DATA, 0, 1, &[b'x'; 16_384]));
        window -= 16_384;
    }
    client.send(frame(DATA, END_STREAM, 1, b"end"));
    assert!(!is_reset_before_the_ping(&mut client));
}

#[test]
fn a_body_that_nobody_reads_is_reset_after_a_while() {
    let stage = stage(|settings| settings.linger_timeout = Duration::from_millis(50));
    let mut client = greet(&stage);
    client.send(upload(1, "/early"));
    loop {
        let (kind, _, _, content) = client.frame().expect("the connection stays");
        if kind == RESET {
            return assert_eq!(content, [0; 4]);
        }
    }
}

#[test]
fn settings_without_an_answer_end_an_idle_connection() {
    let stage = stage(|settings| settings.head_timeout = Duration::from_millis(100));
    let mut silent = greet(&stage);
    let mut polite = greet(&stage);
    polite.send(frame(SETTINGS, ACK, 0, &[]));
    assert_eq!(silent.end(), Some(0));
    assert!(!is_reset_before_the_ping(&mut polite));
}

#[test]
fn a_client_of_neither_protocol_is_left() {
    let stage = stage(|_| {});
    let mut client = stage.connect();
    client.send("INVALID CONNECTION PREFACE\r\n\r\n");
    assert!(client.frame().is_none() && client.received.is_empty());
    let mut client = stage.connect();
    client.send("GET / / HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().status(), "400");
}

#[test]
fn half_a_preface_has_the_time_of_a_head() {
    let stage = stage(|settings| settings.head_timeout = Duration::from_millis(100));
    let mut client = stage.connect();
    client.send(&PREFACE[..20]);
    while client.frame().is_some() {}
}

#[test]
fn a_first_frame_that_is_none_ends_the_connection() {
    let stage = stage(|_| {});
    for bytes in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &frame(DATA, 0, 1, b"x"), &[0xff; 100]] {
        let mut client = stage.connect();
        client.send([PREFACE, bytes].concat());
        assert!(matches!(client.end(), Some(PROTOCOL_ERROR | 6)), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_ping_has_its_answer() {
    let stage = stage(|_| {});
    let mut client = greet(&stage);
    client.send(frame(PING, 0, 0, b"12345678"));
    loop {
        let (kind, flags, _, content) = client.frame().expect("an answer");
        if kind == PING {
            return assert_eq!((flags, &content[..]), (ACK, &b"12345678"[..]));
        }
    }
}

#[test]
fn a_hundred_downloads_that_nobody_reads_hold_little_and_end() {
    let stage = stage(|settings| settings.write_timeout = Duration::from_millis(500));
    let mut client = greet(&stage);
    // Windows as wide as they can be: only the server's own bounds hold.
    client.send(frame(SETTINGS, 0, 0, &[&[0, 4][..], &0x7fff_ffff_u32.to_be_bytes()].concat()));
    client.send(frame(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes()));
    for number in 0..100 {
        client.send(request(2 * number + 1, "/large-file", END_STREAM));
    }
    let taken: u64 =
        (0..100).map(|_| stage.next_end().1).inspect(|end| assert!(!end.complete)).map(|end| end.body_bytes).sum();
    // What the system holds for the socket is beside it.
    assert!(taken < 20 << 20, "{taken}");
    eventually("the end of the connection", || stage.server().statistics().connections_open == 0);
}

#[test]
fn clients_with_many_requests_wait_in_line_like_a_few() {
    let stage = stage(|settings| settings.threads = 2);
    let mut clients: Vec<_> = (0..10).map(|_| greet(&stage)).collect();
    for client in &mut clients {
        (0..20).for_each(|number| client.send(request(2 * number + 1, "/block", END_STREAM)));
        assert!(!is_reset_before_the_ping(client));
    }
    (0..2).for_each(|_| stage.entered.recv_timeout(SOON).expect("two run"));
    let mut other = stage.connect();
    other.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
    // Two requests of each client are in line or run, and this one is behind them.
    eventually("all in line", || stage.server().statistics().queued == 19);
    let (answered, is_answered) = unbounded();
    let reader = std::thread::spawn(move || {
        let text = other.answer().text().to_owned();
        answered.send(()).expect("the test listens");
        text
    });
    let mut before = 0;
    while is_answered.try_recv().is_err() {
        stage.release.send(()).expect("they wait");
        stage.entered.recv_timeout(SOON).expect("the next one");
        before += 1;
        assert!(before < 60, "it waits behind all of them");
    }
    assert_eq!(reader.join().expect("no panic"), "/other");
    drop(clients);
    (0..200).for_each(|_| stage.release.send(()).expect("they wait"));
}

#[test]
fn a_reset_ends_a_request_in_every_state() {
    let stage = stage(|_| {});
    for frames in [
        request(1, "/park", END_STREAM),
        request(1, "/large-file", END_STREAM),
        upload(1, "/echo"),
        upload(1, "/read"),
        [upload(1, "/read"), frame(DATA, 0, 1, &[b'x'; 16_384])].concat(),
    ] {
        let mut client = greet(&stage);
        client.send(&frames);
        assert!(!is_reset_before_the_ping(&mut client));
        client.send(frame(RESET, 0, 1, &8_u32.to_be_bytes()));
        assert!(!stage.next_end().1.complete, "{}", frames.escape_ascii());
        assert!(!is_reset_before_the_ping(&mut client), "the connection goes on");
    }
}

/// What a client has sent by TLS before the hand-over: nothing, the handshake, a part of the preface, its settings.
#[cfg(feature = "tls")]
#[test]
fn a_client_that_has_just_connected_is_answered_after_a_hand_over() {
    let mut stage = tls::encrypted(|_| {});
    let mut config = rustls::ClientConfig::clone(&crate::testing::encrypted::CLIENT_CONFIG);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    let whole = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[]), request(1, "/first", END_STREAM)].concat();
    let mut kept = stage.connect();
    kept.get("/");
    let silent = stage.connect_plainly();
    let begun = [0, 18, PREFACE.len() + 9].map(|sent| {
        let mut client = stage.connect_plainly().shake_hands_as(config.clone(), b"");
        client.send(&whole[..sent]);
        (client, sent)
    });
    let server = stage.server.take().expect("running");
    server.leave_to_successor();
    let stopping = std::thread::spawn(move || server.stop(SOON));
    assert!(kept.is_closed(), "it is idle");
    for (mut client, sent) in [(silent.shake_hands_as(config, b""), 0)].into_iter().chain(begun) {
        client.send(&whole[sent..]);
        let (mut content, mut reason) = (Vec::new(), None);
        while let Some((kind, flags, _, bytes)) = client.frame() {
            match kind {
                DATA => content.extend(bytes),
                GO_AWAY => reason = Some(bytes[4..8].to_vec()),
                // What the client has sent before it heard of the end is answered.
                PING if flags & ACK == 0 => {
                    client.send(request(3, "/second", END_STREAM));
                    client.send(frame(PING, ACK, 0, &bytes));
                }
                _ => {}
            }
        }
        assert_eq!(
            (content.escape_ascii().to_string(), reason),
            ("/first/second".to_owned(), Some(vec![0; 4])),
            "{sent}"
        );
    }
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}

#[test]
fn a_request_without_a_place_is_refused_and_reported() {
    let stage = stage(|settings| settings.http2.requests = Some(1));
    let mut client = greet(&stage);
    client.send(request(1, "/park", END_STREAM));
    let waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    for stream in [3, 5] {
        client.send(request(stream, "/more", END_STREAM));
        while !matches!(client.frame().expect("an answer"), (DATA, END_STREAM, of, content) if of == stream && content == b"refused")
        {
        }
        let (path, end) = stage.next_end();
        assert_eq!((path.as_str(), end.complete), ("/more", true));
    }
    assert_eq!(*stage.puppet.refusals.lock(), [Refusal::Overloaded; 2]);
    assert_eq!(stage.server().statistics().overload_rejections, 2);
    *stage.puppet.open.lock() = true;
    waker.wake();
    assert_eq!(stage.next_end().0, "/park");
}

#[test]
fn a_refusal_whose_client_takes_nothing_is_reported_as_lost() {
    let stage = stage(|settings| settings.http2.requests = Some(1));
    let mut client = greet(&stage);
    client.send(frame(SETTINGS, 0, 0, &[&[0, 4][..], &0_u32.to_be_bytes()].concat()));
    client.send(request(1, "/park", END_STREAM));
    let _waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    client.send(request(3, "/more", END_STREAM));
    let (path, end) = stage.next_end();
    assert_eq!((path.as_str(), end.complete), ("/more", false));
    assert!(is_reset_before_the_ping(&mut client));
}

/// Reads up to the next GOAWAY, and answers no PING; the number of the last stream.
fn last_stream(client: &mut Client) -> u32 {
    loop {
        if let (GO_AWAY, _, _, content) = client.frame().expect("the connection stays") {
            return u32::from_be_bytes([content[0], content[1], content[2], content[3]]);
        }
    }
}

#[test]
fn requests_that_cross_the_word_of_the_end_are_answered() {
    let mut stage = stage(|settings| settings.drain_idle = SOON);
    let mut client = greet(&stage);
    client.send(request(1, "/park", END_STREAM));
    let waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    let server = stage.server.take().expect("not stopped");
    let stopping = std::thread::spawn(move || server.stop(SOON));
    assert_eq!(last_stream(&mut client), 0x7fff_ffff);
    // The client had sent it before it could know.
    client.send(request(3, "/crossed", END_STREAM));
    let mut ping = Vec::new();
    loop {
        match client.frame().expect("the connection stays") {
            (DATA, _, 3, content) => break assert_eq!(content, b"/crossed"),
            (PING, 0, _, content) => ping = content,
            _ => {}
        }
    }
    client.send(frame(PING, ACK, 0, &ping));
    assert_eq!(last_stream(&mut client), 3);
    *stage.puppet.open.lock() = true;
    waker.wake();
    assert_eq!(client.end(), None);
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}

#[test]
fn requests_behind_the_time_for_the_last_ones_are_turned_away() {
    let mut stage = stage(|_| {});
    let mut client = greet(&stage);
    client.send(request(1, "/park", END_STREAM));
    let waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    let server = stage.server.take().expect("not stopped");
    let stopping = std::thread::spawn(move || server.stop(SOON));
    assert_eq!(last_stream(&mut client), 0x7fff_ffff);
    // It answers no PING, and goes on asking until it is late.
    let refused = (1_u32..).find_map(|number| {
        let stream = 2 * number + 1;
        client.send(request(stream, "/late", END_STREAM));
        loop {
            match client.frame().expect("the connection stays") {
                (RESET, _, of, content) if of == stream => break Some(content),
                (DATA, END_STREAM, of, _) if of == stream => break None,
                _ => {}
            }
        }
    });
    assert_eq!(refused.expect("it is late some time"), 7_u32.to_be_bytes());
    *stage.puppet.open.lock() = true;
    waker.wake();
    assert_eq!(client.end(), Some(0));
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}
