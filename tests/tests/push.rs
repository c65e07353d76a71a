//! Event streams and long polls: what a client sees, whatever it missed, and what the server holds meanwhile.

#[path = "push/attacks.rs"]
mod attacks;
#[path = "push/endings.rs"]
mod endings;

use integration_tests::{Gate, allow_descriptors, both, wait_until};
use kirsch::{
    prelude::*,
    push::{Await, Event, EventId, Events, Lag, LastEventId, Topic},
    status,
    testing::{Client, StreamingResponse},
    tools::Limit,
};
use std::{
    collections::HashSet,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Long enough for everything that must happen.
const SOON: Duration = Duration::from_secs(20);

struct News {
    topic: Topic<String>,
    gate: Gate,
}

#[handlers]
impl News {
    #[expose]
    fn events(&self, last: LastEventId, lag: Option<String>) -> Events {
        self.topic.events(last).lag(match lag.as_deref() {
            Some("close") => Lag::Close,
            Some("newest") => Lag::Newest,
            _ => Lag::Resync,
        })
    }

    #[expose]
    fn quick_beat(&self) -> Events {
        self.topic.events(LastEventId::None).heartbeat(Duration::from_secs(1))
    }

    #[expose]
    fn changes(&self, after: Option<EventId>) -> Text<String> {
        Text(self.topic.changes(after).values.into_iter().map(|(_, text)| text + "\n").collect())
    }

    #[expose]
    fn free(&self) -> &'static str {
        "free"
    }

    #[expose]
    fn held(&self) -> &'static str {
        self.gate.pass();
        "let go"
    }

    #[expose]
    fn quiet(&self) -> Events {
        let (feed, events) = Events::channel(2);
        for number in 0..3 {
            let sent = feed.send(Event::text(number.to_string()));
            assert_eq!(sent.is_err(), number == 2, "two wait at most");
        }
        events
    }
}

/// The same with a session.
struct OfSession {
    topic: Topic<String>,
}

#[handlers]
impl OfSession {
    #[expose]
    fn page1(&self, session: &Session) -> Events {
        session.set("last_page", "page1");
        self.topic.events(LastEventId::None)
    }

    #[expose]
    fn page2(&self, session: &Session) -> String {
        session.get("last_page").unwrap_or_default()
    }

    #[expose]
    fn poll1(&self, session: &Session) -> &'static str {
        session.set("last_page", "poll1");
        "polled"
    }
}

fn app(topic: &Topic<String>) -> App {
    App::new(News { topic: topic.clone(), gate: Gate::new() })
}

fn follow(client: &Client) -> StreamingResponse {
    client.new_browser().get("/events").send_streaming()
}

/// The texts of the next events.
fn texts(stream: &mut StreamingResponse, count: usize) -> Vec<String> {
    (0..count).map(|_| text(&stream.next_event().expect("an event"))).collect()
}

fn text(event: &str) -> String {
    let data = event.lines().find_map(|line| line.strip_prefix("data: "));
    data.unwrap_or_else(|| panic!("an event without data: {event:?}")).to_owned()
}

fn publish(topic: &Topic<String>, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        topic.publish(number.to_string());
    }
}

#[test]
fn what_is_published_comes_to_everybody_in_order() {
    let topic = Topic::new("news");
    both(
        || app(&topic),
        |client| {
            let mut streams = [follow(client), follow(client)];
            publish(&topic, 1..=3);
            for stream in &mut streams {
                assert_eq!(texts(stream, 3), ["1", "2", "3"]);
            }
        },
    );
}

#[test]
fn the_head_comes_at_once_and_says_how_to_read() {
    let topic = Topic::new("news");
    both(
        || app(&topic),
        |client| {
            let mut stream = follow(client);
            assert_eq!(stream.header("content-type"), Some("text/event-stream"));
            assert_eq!(stream.header("cache-control"), Some("no-store"));
            assert_eq!(stream.header("x-accel-buffering"), Some("no"));
            let first = String::from_utf8(stream.next().expect("a greeting")).expect("text");
            assert!(first.starts_with("retry: ") && first.ends_with(&format!("\nid: {}\n\n", topic.last_id())));
        },
    );
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed() {
    let topic = Topic::new("news");
    both(
        || app(&topic),
        |client| {
            publish(&topic, [1]);
            let seen = topic.last_id();
            publish(&topic, 2..=3);
            let mut stream = client.get("/events").header("last-event-id", seen.to_string()).send_streaming();
            publish(&topic, [4]);
            assert_eq!(texts(&mut stream, 3), ["2", "3", "4"]);
        },
    );
}

/// It has seen no event yet, and knows where it was all the same.
#[test]
fn a_client_that_is_cut_off_before_the_first_event_has_a_position() {
    let topic = Topic::new("news");
    let client = Client::in_process(app(&topic));
    let mut stream = follow(&client);
    let greeting = String::from_utf8(stream.next().expect("a greeting")).expect("text");
    let id = greeting.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned();
    drop(stream);
    publish(&topic, [1]);
    assert_eq!(texts(&mut client.get("/events").header("last-event-id", id).send_streaming(), 1), ["1"]);
}

#[test]
fn an_id_that_the_topic_does_not_know_is_answered_with_a_gap() {
    let topic = Topic::new("news").keep(4);
    publish(&topic, 0..10);
    let EventId { epoch, number } = topic.last_id();
    let table = [
        ("of yesterday", EventId { epoch: epoch ^ 1, number }.to_string(), "null"),
        ("of the future", EventId { epoch, number: number + 1 }.to_string(), "null"),
        ("too old", EventId { epoch, number: 1 }.to_string(), "5"),
        ("rubbish", "../../etc/passwd".to_owned(), "null"),
        ("no text", "\u{e4}".to_owned(), "null"),
        ("overflow", format!("{epoch:x}-99999999999999999999999"), "null"),
        ("huge", "9".repeat(4_000), "null"),
    ];
    both(
        || app(&topic),
        |client| {
            for (name, id, missed) in &table {
                let mut stream = client.new_browser().get("/events").header("last-event-id", id).send_streaming();
                let first = stream.next_event().expect("an event");
                let expected = format!("event: resync\ndata: {{\"missed\":{missed}}}\nid: {}\n\n", topic.last_id());
                assert!(first.ends_with(&expected), "{name}: {first:?}");
            }
        },
    );
    let resync = |last| topic.changes(Some(last)).is_gap;
    assert!(resync(EventId { epoch, number: 1 }) && resync(EventId { epoch, number: 99 }));
    assert!(!resync(EventId { epoch, number: 6 }) && !resync(topic.last_id()));
}

/// In process a client that does not read stops the stream behind its first piece.
#[test]
fn a_client_that_falls_behind_is_treated_as_the_page_says() {
    let table: [(&str, &[&str]); 3] =
        [("", &["{\"missed\":6}", "11"]), ("?lag=newest", &["10", "11"]), ("?lag=close", &[])];
    for (lag, expected) in table {
        let topic = Topic::new("news").keep(4);
        let client = Client::in_process(app(&topic));
        let mut stream = client.get(&format!("/events{lag}")).send_streaming();
        stream.next().expect("the greeting");
        publish(&topic, 1..=10);
        let mut seen = Vec::new();
        if let Some(first) = stream.next_event() {
            seen.push(text(&first));
            publish(&topic, [11]);
            seen.extend(stream.next_event().map(|event| text(&event)));
        }
        assert_eq!(seen, expected, "{lag}");
    }
}

#[test]
fn a_page_that_closes_on_a_gap_does_not_close_at_the_beginning() {
    let topic = Topic::new("news").keep(1);
    publish(&topic, 0..5);
    let client = Client::in_process(app(&topic));
    let id = EventId { number: 1, ..topic.last_id() }.to_string();
    let mut stream = client.get("/events?lag=close").header("last-event-id", id).send_streaming();
    assert!(stream.next_event().expect("an event").contains("event: resync"));
}

#[test]
fn a_head_request_follows_nothing() {
    let topic = Topic::new("news").most(1);
    both(
        || app(&topic),
        |client| {
            for _ in 0..3 {
                let response = client.head("/events").send();
                response.assert_status(200).assert_header("content-type", "text/event-stream");
            }
            wait_until(|| topic.statistics().open == 0);
        },
    );
}

#[test]
fn a_stream_too_many_is_refused_and_the_place_of_one_that_left_is_free() {
    let topic = Topic::new("news").most(1);
    both(
        || app(&topic),
        |client| {
            let stream = follow(client);
            client.get("/events").send().assert_status(503).assert_header("retry-after", "10");
            drop(stream);
            wait_until(|| topic.statistics().open == 0);
            drop(follow(client));
            wait_until(|| topic.statistics().open == 0);
        },
    );
}

#[test]
fn a_page_still_loads_while_as_many_streams_as_may_be_are_open() {
    let topic = Topic::new("news");
    let running = app(&topic).server(|server| server.pushes = Some(5)).start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(running.address());
    let streams: Vec<_> = (0..5).map(|_| follow(&client)).collect();
    let refused = client.get("/events").send();
    assert!(refused.header("retry-after").is_some());
    refused.assert_status(503);
    client.get("/free").send().assert_text("free");
    drop(streams);
    wait_until(|| topic.statistics().open == 0);
    drop(follow(&client));
}

#[test]
fn the_places_of_a_limit_are_kept_to_the_end_of_a_stream() {
    let topic = Topic::new("news");
    let limit = Limit::new(1).queue(0);
    let client = Client::over_socket(app(&topic).tool("/events", limit.clone()));
    let stream = follow(&client);
    client.get("/events").send().assert_status(503);
    drop(stream);
    wait_until(|| limit.statistics().at_work == 0);
}

#[test]
fn a_compressor_holds_nothing_back() {
    let topic = Topic::new("news");
    both(
        || app(&topic).tool("/", tools::Gzip::new().mime_types(["text/event-stream"])),
        |client| {
            let mut stream = client.get("/events").header("accept-encoding", "gzip").send_streaming();
            assert_eq!(stream.header("content-encoding"), None);
            publish(&topic, [1]);
            assert_eq!(texts(&mut stream, 1), ["1"]);
        },
    );
}

#[test]
fn a_silent_stream_sends_heartbeats() {
    let topic = Topic::new("news");
    both(
        || app(&topic),
        |client| {
            let mut stream = client.get("/quick_beat").send_streaming();
            stream.next().expect("the greeting");
            assert_eq!(stream.next().as_deref(), Some(&b":\n\n"[..]));
        },
    );
}

#[test]
fn each_stream_has_a_time_of_its_own_to_come_back() {
    let client = Client::in_process(app(&Topic::new("news")));
    let times = (0..300).map(|_| {
        let greeting = follow(&client).next().expect("a greeting");
        let text = String::from_utf8(greeting).expect("text");
        text.lines().find_map(|line| line.strip_prefix("retry: ")?.parse::<u64>().ok()).expect("a time")
    });
    let times: HashSet<u64> = times.collect();
    assert!(times.len() > 200 && times.iter().all(|time| (1_000..10_000).contains(time)));
    let early = times.iter().filter(|time| **time < 5_500).count();
    assert!((times.len() / 3..times.len() * 2 / 3).contains(&early), "{early} of {}", times.len());
}

#[test]
fn a_feed_is_bounded_and_ends_its_stream() {
    both(
        || app(&Topic::new("news")),
        |client| {
            client.get("/quiet").send().assert_contains("data: 0\n\ndata: 1\n\n").assert_lacks("data: 2");
        },
    );
}

#[test]
fn a_stream_and_a_poll_leave_their_session_to_others() {
    let topic = Topic::new("news");
    let sessions = Sessions::in_memory().lock_timeout(Duration::from_millis(500));
    let app = App::new(OfSession { topic: topic.clone() }).tool("/", sessions);
    let app = app.tool("/poll1", Await::on(&topic).since("after"));
    let client = Client::over_socket(app);
    client.get("/page2").send().assert_text("");
    let stream = client.get("/page1").send_streaming();
    client.get("/page2").send().assert_text("page1");
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| client.get("/poll1").send().text().to_owned());
        wait_until(|| topic.statistics().waiting == 1);
        client.get("/page2").send().assert_text("page1");
        publish(&topic, [1]);
        assert_eq!(poll.join().expect("no panic"), "polled");
    });
    client.get("/page2").send().assert_text("poll1");
    drop(stream);
}

#[test]
fn news_and_heartbeats_come_while_every_worker_is_in_a_handler() {
    let topic = Topic::new("news");
    let gate = Gate::new();
    let app = App::new(News { topic: topic.clone(), gate: gate.clone() }).threads(2);
    let client = Client::over_socket(app);
    let mut stream = follow(&client);
    let mut beats = client.new_browser().get("/quick_beat").send_streaming();
    beats.next().expect("the greeting");
    std::thread::scope(|scope| {
        let held = [0, 1].map(|_| scope.spawn(|| client.new_browser().get("/held").send().text().to_owned()));
        gate.wait_for(2);
        publish(&topic, 1..=2);
        assert_eq!(texts(&mut stream, 2), ["1", "2"]);
        assert!(beats.next_event().is_some_and(|event| event.contains("data: 1")));
        assert!(beats.next_event().is_some());
        assert_eq!(beats.next().as_deref(), Some(&b":\n\n"[..]));
        gate.open();
        held.into_iter().for_each(|thread| assert_eq!(thread.join().expect("no panic"), "let go"));
    });
}

/// As a client of the network: what the library's own client would hide.
fn raw_stream(client: &Client) -> TcpStream {
    let mut socket = TcpStream::connect(client.address().expect("a server")).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid timeout");
    socket.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
    socket
}

#[test]
fn a_poll_waits_until_there_is_something_and_holds_no_worker() {
    let topic = Topic::new("news");
    let await_news = Await::on(&topic).since("after");
    let app = app(&topic).tool("/changes", await_news).threads(1).mount("/status", status::app().open());
    let running = app.start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(running.address());
    let seen = topic.publish("old".to_owned());
    std::thread::scope(|scope| {
        let polls = [0, 1, 2].map(|_| {
            let request = client.new_browser().get(&format!("/changes?after={seen}"));
            scope.spawn(|| request.send().text().to_owned())
        });
        wait_until(|| topic.statistics().waiting == 3);
        client.get("/free").send().assert_text("free");
        client.get("/status").send().assert_contains(&format!("topic news after {seen}"));
        publish(&topic, [7]);
        polls.into_iter().for_each(|poll| assert_eq!(poll.join().expect("no panic"), "7\n"));
    });
    client.get("/changes").send().assert_text("old\n7\n");
}

#[test]
fn a_poll_answers_in_time_without_news() {
    let topic = Topic::new("news");
    let waits = || Await::on(&topic).since("after").up_to(Duration::from_millis(50));
    both(
        || app(&topic).tool("/changes", waits()),
        |client| {
            let last = topic.last_id();
            client.get(&format!("/changes?after={last}")).send().assert_text("");
            client.get(&format!("/changes?after={last}")).header("prefer", "wait=0").send().assert_text("");
            client.get("/changes?after=rubbish").send().assert_status(400);
            let unknown = EventId { number: 99, ..last };
            client.get(&format!("/changes?after={unknown}")).send().assert_status(200);
        },
    );
}

#[test]
fn polls_are_answered_at_once_when_the_server_stops() {
    let topic = Topic::new("news");
    let app = app(&topic).tool("/changes", Await::on(&topic).up_to(Duration::from_secs(3600)));
    let running = app.start("127.0.0.1:0").expect("it starts");
    let client = Client::connect(running.address());
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| client.get("/changes").send().text().to_owned());
        wait_until(|| topic.statistics().waiting == 1);
        assert!(running.stop(SOON).unfinished.is_empty());
        assert_eq!(poll.join().expect("no panic"), "");
    });
}

#[test]
fn a_named_topic_is_the_same_for_all_and_apart_from_others() {
    let rooms: Topic<String> = Topic::new("rooms").most_names(2);
    let id = rooms.named("a").publish("here".to_owned());
    assert_eq!(rooms.named("a").last_id(), id);
    assert_eq!(rooms.named("b").last_id().number, 0);
    let held = rooms.named("a");
    for other in ["c", "d", "e"] {
        drop(rooms.named(other));
    }
    assert_eq!(rooms.named("a").last_id(), id, "it is held, so it is found");
    assert_ne!(rooms.named("b").last_id().epoch, 0, "this one began again");
    drop(held);
}

/// Whoever asks for the name later speaks to those who follow it already.
#[test]
fn a_topic_that_is_followed_is_not_begun_again() {
    let rooms: Topic<String> = Topic::new("rooms").most_names(1);
    let follow_room = {
        let rooms = rooms.clone();
        move |_: &mut kirsch::publish::PageCall<'_>| rooms.named("a").events(LastEventId::None)
    };
    let client = Client::in_process(App::new(Tree::new().page("a", follow_room)));
    let mut stream = client.get("/a").send_streaming();
    stream.next().expect("the greeting");
    for other in ["b", "c"] {
        drop(rooms.named(other));
    }
    rooms.named("a").publish("still here".to_owned());
    assert_eq!(texts(&mut stream, 1), ["still here"]);
}

#[test]
fn a_handler_may_publish_in_the_topic_that_it_follows() {
    let topic: Topic<String> = Topic::new("news");
    let announce = move |_: &mut kirsch::publish::PageCall<'_>| {
        let events = topic.events(LastEventId::None);
        topic.publish("somebody has come".to_owned());
        events
    };
    let client = Client::over_socket(App::new(Tree::new().page("hall", announce)));
    let mut first = client.new_browser().get("/hall").send_streaming();
    assert_eq!(texts(&mut first, 1), ["somebody has come"]);
    let mut second = client.new_browser().get("/hall").send_streaming();
    for stream in [&mut first, &mut second] {
        assert_eq!(texts(stream, 1), ["somebody has come"]);
    }
}

#[test]
fn a_restored_topic_goes_on_without_a_gap() {
    let before = Topic::new("news");
    let kept: Vec<(u64, String)> =
        (1..=3).map(|number| (before.publish(number.to_string()).number, number.to_string())).collect();
    let seen = EventId { number: 2, ..before.last_id() };
    let topic = Topic::restored("news", seen.epoch, kept);
    let client = Client::in_process(app(&topic));
    let mut stream = client.get("/events").header("last-event-id", seen.to_string()).send_streaming();
    publish(&topic, [4]);
    assert_eq!(texts(&mut stream, 2), ["3", "4"]);
    let holes = Topic::restored("news", 7, [(1, "1".to_owned()), (5, "5".to_owned())]);
    assert!(holes.changes(Some(EventId { epoch: 7, number: 1 })).is_gap);
    assert_eq!(holes.last_id(), EventId { epoch: 7, number: 5 });
}

/// Many threads publish while clients come: each sees a row of numbers without a hole.
#[test]
fn nothing_is_lost_between_replay_and_what_comes() {
    let topic = Topic::new("news").keep(10_000);
    let client = Client::over_socket(app(&topic));
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(&topic, 0..2_000));
        for _ in 0..8 {
            let from = topic.last_id();
            let request = client.new_browser().get("/events").header("last-event-id", from.to_string());
            let mut stream = request.send_streaming();
            let begin = usize::try_from(from.number).expect("a few");
            let count = 100.min(2_000 - begin);
            let expected: Vec<_> = (begin..begin + count).map(|number| number.to_string()).collect();
            assert_eq!(texts(&mut stream, count), expected);
        }
        publisher.join().expect("no panic");
    });
}
