//! Clients that do not read, vanish or ask for too much, and texts that would be something else.

use super::*;

#[test]
fn a_client_that_does_not_read_costs_no_memory() {
    let topic = Topic::new("news").keep_bytes(1 << 16);
    let app = app(&topic).server(|server| server.write_timeout = Duration::from_secs(1));
    let running = app.start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(running.address());
    let silent = raw_stream(&client);
    wait_until(|| topic.statistics().open == 1);
    let text = "x".repeat(1000);
    let mut most = 0;
    // 40 MB in all: more than two sockets hold.
    for _ in 0..40_000 {
        topic.publish(text.clone());
        most = most.max(running.statistics().responses_in_memory);
    }
    assert!(most < 1 << 20, "{most} bytes are held for it");
    assert!(topic.statistics().kept_bytes <= 1 << 16);
    // It is given up, or was told of its gap if the system took everything for it.
    wait_until(|| topic.statistics().open == 0 || topic.statistics().gaps > 0);
    drop(silent);
}

/// Kind, data and id of each event, as WHATWG HTML, section 9.2.6 has it.
fn parsed(stream: &str) -> Vec<(String, String, String)> {
    let (mut events, mut kind, mut data, mut id) = (Vec::new(), String::new(), String::new(), String::new());
    for line in stream.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (line, name) {
            ("", _) if data.is_empty() => kind.clear(),
            ("", _) => {
                data.pop();
                events.push((std::mem::take(&mut kind), std::mem::take(&mut data), id.clone()));
            }
            (_, "event") => value.clone_into(&mut kind),
            (_, "data") => data.extend([value, "\n"]),
            (_, "id") if !value.contains('\0') => value.clone_into(&mut id),
            _ => {}
        }
    }
    events
}

/// What every reader of the standard makes of it is the text, with LF for each end of a line.
#[test]
fn a_text_of_a_stranger_is_the_data_of_one_event_and_nothing_else() {
    let texts = [
        "",
        "\n",
        "\r\n\r\n",
        "a\rb",
        "a\n\rb",
        "data: x",
        "\nevent: forged\n\ndata: y",
        "a\u{0}b",
        "id: 7\0",
        "retry: 1\n",
        ":",
        "\u{feff}mark",
        "\u{2028}\u{85}",
        " x ",
        "\n\n:\n\n",
        "a\u{b}\u{c}b",
    ];
    for text in texts {
        let topic = Topic::new("news");
        let mut stream = follow(&Client::in_process(app(&topic)));
        let greeting = stream.next().expect("the greeting");
        let id = topic.publish(text.to_owned()).to_string();
        let came = [greeting, stream.next().expect("the event")].concat();
        let expected = text.replace("\r\n", "\n").replace('\r', "\n");
        let came = parsed(&String::from_utf8(came).expect("text"));
        assert_eq!(came, [(String::new(), expected, id)], "{text:?}");
    }
}

#[test]
fn an_event_of_a_mebibyte_arrives_whole_or_as_a_gap() {
    let large = "x".repeat(1 << 20);
    for (keeps, arrives) in [(2 << 20, true), (1 << 20, false)] {
        let topic = Topic::new("news").keep_bytes(keeps);
        both(
            || app(&topic),
            |client| {
                let mut stream = follow(client);
                stream.next().expect("the greeting");
                topic.publish(large.clone());
                let event = stream.next_event().expect("an event");
                assert_eq!(text(&event) == large, arrives);
                assert_eq!(event.contains("event: resync\ndata: {\"missed\":1}\n"), !arrives);
                publish(&topic, [2]);
                assert_eq!(texts(&mut stream, 1), ["2"]);
            },
        );
    }
}

#[test]
fn hundreds_that_never_read_cost_bounded_memory_and_others_read_on() {
    const SILENT: usize = 300;
    allow_descriptors(3 * SILENT as u64);
    let topic = Topic::new("news").keep_bytes(1 << 18);
    let app = app(&topic).server(|server| server.memory_for_responses = 4 << 20);
    let running = app.start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(running.address());
    let silent: Vec<_> = (0..SILENT).map(|_| raw_stream(&client)).collect();
    let mut reader = follow(&client);
    wait_until(|| topic.statistics().open == SILENT + 1);
    let news = "x".repeat(16 << 10);
    let mut most = 0;
    // 6 MiB for each: more than the sockets hold.
    for number in 0..400 {
        let id = topic.publish(format!("{number} {news}"));
        while !reader.next_event().expect("an event").contains(&id.to_string()) {}
        most = most.max(running.statistics().responses_in_memory);
    }
    // Each thread may hold one piece more.
    assert!(most < 6 << 20, "{most} bytes are held for them");
    client.get("/free").send().assert_text("free");
    drop(silent);
    wait_until(|| topic.statistics().open == 1);
}

#[test]
fn clients_that_come_and_vanish_leave_nothing() {
    let topic = Topic::new("news");
    let running = app(&topic).start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(running.address());
    let ends = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(std::sync::atomic::Ordering::Relaxed) {
                topic.publish("news".to_owned());
            }
        });
        for number in 0..600 {
            let mut socket = raw_stream(&client);
            match number % 3 {
                // Before the answer, behind its head, and with a reset for what was not read.
                0 => {}
                1 => assert!(socket.read(&mut [0; 20]).is_ok()),
                _ => assert!(socket.read(&mut [0; 1_000]).is_ok()),
            }
        }
        ends.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    wait_until(|| topic.statistics().open == 0 && running.statistics().responses_in_memory == 0);
    wait_until(|| running.statistics().connections_open == 0);
    assert!(running.stop(SOON).unfinished.is_empty());
}

#[test]
fn news_comes_over_tls() {
    let topic = Topic::new("news");
    let tls = demo_apps::certificate::of_this_machine().expect("a key");
    let client = Client::over_socket(app(&topic).tls(tls));
    let mut streams = [follow(&client), follow(&client)];
    publish(&topic, 1..=3);
    for stream in &mut streams {
        assert_eq!(texts(stream, 3), ["1", "2", "3"]);
    }
}

#[test]
fn no_log_shows_what_is_published() {
    let topic: Topic<String> = Topic::new("news");
    topic.publish("a secret".to_owned());
    let (feed, events) = Events::channel(2);
    feed.send(Event::text("a secret")).expect("room");
    let shown = format!("{topic:?} {feed:?} {events:?} {:?}", topic.statistics());
    assert!(!shown.contains("secret") && !shown.contains("115, 101, 99"), "{shown}");
}
