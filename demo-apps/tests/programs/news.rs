//! The news as a program: stopped with clients, killed while it writes, and followed by a browser.

use crate::NEWS;
use demo_apps::process::Program;
use kirsch::testing::{Client, TestResponse};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

fn start(port: u16, file: &Path) -> Program {
    let mut command = Command::new(NEWS);
    command.args(["--port", &port.to_string(), "--file", file.to_str().expect("text")]);
    Program::run(command)
}

fn publish(client: &Client, text: &str) -> String {
    client.post("/publish").body(text).send().assert_status(200).text().trim().to_owned()
}

fn changes(client: &Client, after: &str) -> Value {
    client.get(&format!("/changes?after={after}")).header("prefer", "wait=0").send().json()
}

#[test]
fn sigterm_ends_thousands_of_streams_as_it_should() {
    const STREAMS: u64 = 3_000;
    // The program inherits it.
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(STREAMS * 2);
    if most < STREAMS + 500 {
        println!("skipped: the limit of open files is {most}");
        return;
    }
    if limit.current.is_some_and(|current| current < most) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).expect("it may be raised");
    }
    let program = Program::start(NEWS, &[]);
    let address = program.client.address().expect("it listens");
    let streams = (0..STREAMS).map(|_| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid timeout");
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
        stream
    });
    let mut streams: Vec<_> = streams.collect();
    for stream in &mut streams {
        assert!(stream.read(&mut [0; 1]).is_ok_and(|length| length == 1), "the head");
    }
    assert_eq!(program.end_with(Signal::TERM), (Some(0), String::new()));
    for mut stream in streams {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("a regular end");
        assert!(all.ends_with(b"\r\n0\r\n\r\n"));
    }
}

/// The kills come at different places, also while the file is written again, which is after each thousand.
#[test]
fn a_kill_while_news_is_written_loses_nothing_that_was_answered() {
    let room = tempfile::tempdir().expect("room");
    let file = room.path().join("news");
    let mut last = String::new();
    for kill_at in [5, 400, 998, 1_000] {
        let program = start(0, &file);
        if !last.is_empty() {
            assert_eq!(changes(&program.client, &last)["gap"], false, "behind {last}");
        }
        let count = AtomicUsize::new(0);
        let answered = std::thread::scope(|scope| {
            let publishers = [0, 1, 2].map(|_| {
                scope.spawn(|| {
                    let client = program.client.new_browser();
                    let mut answered = Vec::new();
                    loop {
                        let text = format!("{} \u{1f352}\n{}", count.load(Ordering::Relaxed), "x".repeat(200));
                        let Ok(answer) = client.post("/publish").body(text.as_str()).try_send() else {
                            return answered;
                        };
                        answered.push((answer.text().trim().to_owned(), text));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                })
            });
            while count.load(Ordering::Relaxed) < kill_at {
                std::thread::yield_now();
            }
            program.signal(Signal::KILL);
            publishers.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        drop(program);
        let program = start(0, &file);
        let kept = kept_by(&program.client);
        let number = |id: &str| id.rsplit('-').next().and_then(|number| number.parse::<u64>().ok()).expect("a number");
        assert!(kept.windows(2).all(|two| number(&two[0].0) + 1 == number(&two[1].0)), "in a row");
        let first = number(&kept[0].0);
        for (id, text) in answered.iter().filter(|(id, _)| number(id) >= first) {
            assert!(kept.iter().any(|one| one == &(id.clone(), text.clone())), "{id} was answered and is gone");
        }
        // Whoever saw the third last goes on behind it, and gets what comes.
        let seen = &kept[kept.len().saturating_sub(3)].0;
        let mut stream = program.client.new_browser().get("/events").header("last-event-id", seen).send_streaming();
        last = publish(&program.client, "on it goes");
        let mut event = String::new();
        while !event.contains("on it goes") {
            event = stream.next_event().expect("an event");
            assert!(!event.contains("resync"), "{event}");
        }
        assert!(event.contains(&last), "{event}");
    }
}

fn kept_by(client: &Client) -> Vec<(String, String)> {
    let all: Value = client.get("/changes").send().json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    all["events"].as_array().expect("a list").iter().map(|event| (text(&event["id"]), text(&event["text"]))).collect()
}

/// A browser that is driven by the WebDriver protocol.
struct Driven {
    driver: Child,
    client: Client,
    session: String,
}

impl Driven {
    /// `None` where there is no driver or no browser.
    fn start() -> Option<Self> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut driver) = command.spawn() else {
            println!("skipped: there is no chromedriver; on Debian: apt-get install chromium-driver");
            return None;
        };
        let said = BufReader::new(driver.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let port = said.filter_map(|line| line.split_once("successfully on port ").map(|(_, port)| port.to_owned()));
        let port = port.map(|port| port.trim_end_matches('.').parse::<u16>().expect("a port")).next();
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("a port")));
        let client = Client::connect(address).with_timeout(Duration::from_secs(60));
        let mut driven = Self { driver, client, session: String::new() };
        let options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let options = json!({ "args": options });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        driven.session = driven.ask("/session", &wanted)["sessionId"].as_str().expect("a session").to_owned();
        Some(driven)
    }

    fn ask(&self, path: &str, what: &Value) -> Value {
        let path = if path == "/session" { path.to_owned() } else { format!("/session/{}{path}", self.session) };
        let answer: TestResponse = self.client.post(&path).json(what).send();
        let mut answer: Value = answer.assert_status(200).json();
        answer["value"].take()
    }

    /// Opens another tab, and returns its handle.
    fn open(&self, url: &str) -> Value {
        let tab = self.ask("/window/new", &json!({ "type": "tab" }));
        self.enter(&tab["handle"]);
        self.ask("/url", &json!({ "url": url }));
        tab["handle"].clone()
    }

    fn enter(&self, tab: &Value) {
        self.ask("/window", &json!({ "handle": tab }));
    }

    fn run(&self, script: &str) -> Value {
        self.ask("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Asks the tab until the script says `true`.
    #[track_caller]
    fn wait_until(&self, tab: &Value, script: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        self.enter(tab);
        while self.run(&format!("return {script}")) != true {
            let shown = self.run("return document.body.innerText");
            assert!(Instant::now() < end, "{script}: {shown}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.client.delete(&format!("/session/{}", self.session)).try_send();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The texts of the items, the latest first.
const ITEMS: &str = "[...document.querySelectorAll('#news li')].map(item => item.lastChild.textContent)";
/// A stream of this page's own.
const FOLLOW: &str = "window.got = []; const source = new EventSource('/events'); \
    for (const kind of ['message', 'resync']) source.addEventListener(kind, event => got.push(kind + ' ' + event.data)); \
    source.onopen = () => window.opened = (window.opened ?? 0) + 1;";

#[test]
fn tabs_of_a_browser_go_on_without_a_gap_when_the_program_starts_again() {
    let room = tempfile::tempdir().expect("room");
    let file = room.path().join("news");
    let program = start(0, &file);
    let address = program.client.address().expect("it listens");
    let Some(browser) = Driven::start() else { return };
    let url = format!("http://{address}/");
    let tabs = [(); 2].map(|()| browser.open(&url));
    let own = browser.open(&url);
    browser.run(FOLLOW);
    browser.wait_until(&own, "window.opened === 1");
    publish(&program.client, "two\r\nlines\rmore <b>");
    for tab in &tabs {
        browser.wait_until(tab, &format!("{ITEMS}[0] === 'two\\nlines\\nmore <b>'"));
    }
    browser.wait_until(&own, "got.join('|') === 'message two\\nlines\\nmore <b>'");
    // Three tabs and a stream of its own: the three share one connection.
    let status: Value = program.client.get("/status/json").send().json();
    assert!(status.to_string().contains(r#""name":"streams open","value":2"#), "{status}");
    assert_eq!(program.end_with(Signal::TERM).0, Some(0));
    let program = start(address.port(), &file);
    publish(&program.client, "while they were away");
    for tab in &tabs {
        browser.wait_until(tab, &format!("{ITEMS}.join('|') === 'while they were away|two\\nlines\\nmore <b>'"));
    }
    browser.wait_until(&own, "got.join('|') === 'message two\\nlines\\nmore <b>|message while they were away'");
    drop(program);
    // Without its file the program has forgotten what there was, and says so.
    let mut command = Command::new(NEWS);
    command.args(["--port", &address.port().to_string()]);
    let program = Program::run(command);
    browser.wait_until(&own, "got.at(-1) === 'resync {\"missed\":null}'");
    for tab in &tabs {
        browser.wait_until(tab, &format!("{ITEMS}[0].includes('may be news')"));
    }
    drop(program);
}
