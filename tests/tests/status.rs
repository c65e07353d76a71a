//! The status pages: what they show of a server that hangs, who may see them, and that they hang with nobody.

use integration_tests::{Gate, wait_until};
use kirsch::engine::Running;
use kirsch::lifecycle::{StatusRow, StatusSource};
use kirsch::testing::{Client, RawConnection, TestResponse};
use kirsch::tools::{AuthBasic, Limit, Proxy, SessionAuth};
use kirsch::{prelude::*, status};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
struct Pages {
    gate: Gate,
}

#[handlers]
impl Pages {
    #[expose]
    fn begin(&self, session: &Session) -> &'static str {
        session.set("name", "anna");
        "begun"
    }

    #[expose]
    fn slow(&self) -> &'static str {
        self.gate.pass();
        "made"
    }

    #[expose]
    fn named(&self, name: String, _session: &Session) -> String {
        self.gate.pass();
        name
    }

    /// Without a session, and so without its lock.
    #[expose]
    fn hang(&self) -> &'static str {
        self.gate.pass();
        "hung"
    }

    /// Made once for all.
    #[expose]
    fn cached(&self) -> &'static str {
        self.gate.pass();
        "cached"
    }

    #[expose]
    fn plain(&self) -> &'static str {
        "plain"
    }

    /// One at a time.
    #[expose]
    fn report(&self) -> &'static str {
        self.gate.pass();
        "reported"
    }

    #[expose]
    fn chunks(&self) -> Stream {
        let gate = self.gate.clone();
        Stream::new(std::iter::once_with(move || {
            gate.pass();
            "chunk"
        }))
    }
}

/// A site with its status pages, and a visitor who has a session.
struct Site {
    gate: Gate,
    running: Running,
    visitor: Client,
}

impl Site {
    fn start(change: impl FnOnce(App) -> App) -> Self {
        let pages = Pages::default();
        let gate = pages.gate.clone();
        let app = App::new(pages).tool("/", Sessions::in_memory()).tool("/report", Limit::new(1));
        let running = change(app).start("127.0.0.1:0").expect("the application starts");
        let visitor = Client::connect(running.address());
        visitor.get("/begin").send().assert_text("begun");
        Self { gate, running, visitor }
    }

    fn open() -> Self {
        Self::start(|app| app.mount("/status", status::app().open()))
    }

    /// Asks for a page that the test has to let go.
    fn ask(&self, path: &str) -> RawConnection {
        let mut connection = self.visitor.raw();
        let cookie = self.visitor.cookie("session_id").expect("the visitor has a session");
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n"));
        connection
    }

    fn json(&self) -> Value {
        self.visitor.get("/status/json").send().assert_status(200).json()
    }

    /// The parked requests, once there are so many.
    fn parked(&self, count: usize) -> Vec<Value> {
        let parked = || self.json()["parked"].as_array().expect("a list").clone();
        wait_until(|| parked().len() == count);
        parked()
    }
}

fn page(response: &TestResponse) -> String {
    response.text().to_owned()
}

#[test]
fn the_page_shows_the_session_lock_and_takes_none() {
    let site = Site::open();
    let mut holder = site.ask("/slow");
    site.gate.wait_for(1);
    let mut waiter = site.ask("/begin");
    let parked = site.parked(1);
    assert_eq!(parked[0]["request"], "GET /begin");
    assert_eq!(parked[0]["handler"], "Pages::begin");
    let waits_for = parked[0]["waits_for"].as_str().expect("words");
    assert!(waits_for.starts_with("the lock of session ") && waits_for.contains("held by /slow"), "{waits_for}");
    // With the cookie of the very session that is locked.
    let page = page(&site.visitor.get("/status").send());
    assert!(page.contains("GET /begin") && page.contains("held by /slow"), "{page}");
    site.gate.open();
    holder.read_response().assert_text("made");
    waiter.read_response().assert_text("begun");
}

#[test]
fn a_worker_is_shown_with_its_request_its_handler_and_its_stage() {
    let site = Site::open();
    let mut slow = site.ask("/slow?password=secret");
    site.gate.wait_for(1);
    let status = site.json();
    let worker = status["workers"]
        .as_array()
        .and_then(|workers| workers.iter().find(|worker| worker["handler"] == "Pages::slow"));
    let worker = worker.expect("the worker of /slow");
    assert_eq!((&worker["request"], &worker["stage"]), (&"GET /slow".into(), &"handler".into()));
    assert!(worker["since_ms"].is_u64() && worker["is_stuck"] == false, "{worker}");
    assert!(!status.to_string().contains("secret"), "queries are the visitors' own");
    site.gate.open();
    slow.read_response().assert_text("made");
}

#[test]
fn a_stream_that_makes_no_chunk_is_shown() {
    let site = Site::open();
    let _reader = site.ask("/chunks");
    site.gate.wait_for(1);
    let workers = site.json()["workers"].clone();
    let stages: Vec<_> = workers.as_array().expect("a list").iter().map(|worker| worker["stage"].clone()).collect();
    assert!(stages.contains(&"stream".into()), "{workers}");
    site.gate.open();
}

#[test]
fn a_full_limit_is_shown_with_its_holder() {
    let site = Site::open();
    // Not of one session, whose lock would come into the way.
    let stranger = site.visitor.new_browser();
    let ask = || {
        let mut connection = stranger.raw();
        connection.send("GET /report HTTP/1.1\r\nHost: a\r\n\r\n");
        connection
    };
    let mut holder = ask();
    site.gate.wait_for(1);
    let mut waiter = ask();
    let parked = site.parked(1);
    let waits_for = parked[0]["waits_for"].as_str().expect("words");
    assert!(waits_for.contains("limit") && waits_for.contains("held by /report"), "{waits_for}");
    let page = page(&site.visitor.get("/status/").send());
    assert!(page.contains("Limit of 1 at /report"), "{page}");
    site.gate.open();
    holder.read_response().assert_text("reported");
    waiter.read_response().assert_text("reported");
}

#[test]
fn connections_are_counted_by_state_without_being_claimed() {
    let site = Site::open();
    let mut holder = site.ask("/slow");
    site.gate.wait_for(1);
    let _waiters: Vec<_> = (0..20).map(|_| site.ask("/begin")).collect();
    let mut idle = site.visitor.raw();
    idle.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    idle.read_response().assert_status(404);
    let mut half = site.visitor.raw();
    half.send("GET /half HTTP/1.1\r\n");
    let counts = || site.json()["connections"].clone();
    wait_until(|| counts()["parked"] == 20 && counts()["reading_head"] == 1);
    let counts = counts();
    assert!(counts["at_work"].as_u64() >= Some(2), "the sleeper and this request: {counts}");
    assert!(counts["idle"].as_u64() >= Some(1), "{counts}");
    site.gate.open();
    holder.read_response().assert_text("made");
}

#[test]
fn request_lines_are_escaped() {
    let site = Site::open();
    let mut hostile = site.ask("/named/'onload='&x");
    site.gate.wait_for(1);
    let _waiter = site.ask("/begin");
    site.parked(1);
    let response = site.visitor.get("/status").send();
    // In the row of its worker, in that of the waiter, and among the facts of the sessions.
    assert!(page(&response).matches("/named/&#39;onload=&#39;&amp;x").count() >= 3, "{}", page(&response));
    assert!(!page(&response).contains("'onload"), "{}", page(&response));
    let policy = response.header("content-security-policy").expect("it has one");
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    site.gate.open();
    hostile.read_response().assert_status(200);
}

#[test]
fn strangers_get_404_and_neither_an_address_nor_a_proxy_field_lets_them_in() {
    let site = Site::start(|app| app.mount("/status", status::app()));
    for path in ["/status", "/status/", "/status/json", "/status/threads"] {
        let asked = site.visitor.get(path).header("x-forwarded-for", "127.0.0.1").header("forwarded", "for=127.0.0.1");
        asked.send().assert_status(404);
    }
    let developer = site.visitor.new_browser().as_developer();
    developer.get("/status").send().assert_status(200).assert_contains("The server is running");
}

/// Admins with the password `anna:cherry`, and its credentials.
fn admins() -> AuthBasic {
    AuthBasic::users("Admins", [("anna", "cherry")])
}

const ADMIN: &str = "Basic YW5uYTpjaGVycnk=";

#[test]
fn a_login_tool_at_their_path_lets_its_visitors_in() {
    for (mounted, switched_on) in
        [("/status", "/status"), ("/our/status/", "/our/status"), ("/our-status", "/our_status/")]
    {
        let site = Site::start(|app| app.mount(mounted, status::app()).tool(switched_on, admins()));
        site.visitor.get(mounted).send().assert_status(401);
        site.visitor.get(mounted).header("authorization", "Basic YW5uYTpwbHVt").send().assert_status(401);
        site.visitor.get(mounted).header("authorization", ADMIN).send().assert_contains("The server is running");
    }
}

#[test]
fn a_login_further_up_does_not_count() {
    let below = || App::new(Tree::new()).mount("/status", status::app()).metrics("/metrics");
    let site = Site::start(|app| app.mount("/admin", below()).tool("/admin", admins()));
    for path in ["/admin/status", "/admin/status/json", "/admin/status/threads", "/admin/metrics"] {
        site.visitor.get(path).header("authorization", ADMIN).send().assert_status(404);
        site.visitor.get(path).send().assert_status(401);
        let developer = site.visitor.new_browser().as_developer();
        developer.get(path).header("authorization", ADMIN).send().assert_status(200);
    }
}

#[test]
fn visitors_of_a_site_with_a_login_page_do_not_see_what_others_ask_for() {
    let members = SessionAuth::new(|_, password| password == "cherry");
    let site = |app: App| app.tool("/", members).mount("/status", status::app()).metrics("/metrics");
    let client = Client::over_socket(site(App::new(Pages::default()).tool("/", Sessions::in_memory())));
    client.get("/login?next=%2Fplain").send().login("anna", "cherry").assert_text("plain");
    for path in ["/status", "/status/json", "/status/threads", "/metrics"] {
        client.get(path).send().assert_status(404);
    }
}

#[test]
fn the_links_of_the_pages_lead_back_to_them_wherever_they_are() {
    let pages = || status::app().open();
    let two_deep = App::new(Tree::new()).mount("/below//", pages());
    let proxy = Proxy::trusting(["loopback"]).prefix("X-Forwarded-Prefix");
    let app = App::new(Tree::new()).tool("/", proxy).mount("/our/status/", pages()).mount("/deep", two_deep);
    let client = Client::over_socket(app.virtual_host("status.example", App::from(pages())));
    let table = [
        ("a.example", None, "/our/status", "/our/status", "/our/status"),
        ("a.example", Some("/front"), "/our/status", "/front/our/status", "/front/our/status"),
        ("a.example", None, "/deep/below", "/deep/below", "/deep/below"),
        ("status.example", None, "", "/", ""),
        ("status.example", Some("/front"), "", "/front/", "/front"),
    ];
    for (host, prefix, at, home, base) in table {
        let page = |path: &str| {
            let asked = client.get(path).header("host", host);
            let asked = prefix.into_iter().fold(asked, |asked, prefix| asked.header("x-forwarded-prefix", prefix));
            asked.send().assert_status(200).text().to_owned()
        };
        let threads = page(&format!("{at}/threads"));
        for link in [home, &format!("{base}/threads?pause"), &format!("{base}/json")] {
            assert!(threads.contains(&format!("href=\"{link}\"")), "{host}{at}: {link}\n{threads}");
        }
        let paused = page(&format!("{at}/?pause"));
        assert!(paused.contains(&format!("<a href=\"{home}\">go on</a>")), "{host}{at}: {paused}");
    }
}

/// Lets everybody in, and does not say where.
struct OpenDoor;

impl Tool for OpenDoor {
    fn name(&self) -> &'static str {
        "open_door"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.at(HookPoint::OnStartResource, |exchange| {
            exchange.values.insert(Login::new("anna"));
        });
    }
}

#[test]
fn a_login_that_does_not_say_its_section_does_not_count() {
    let site = Site::start(|app| app.mount("/status", status::app()).tool("/status", OpenDoor));
    site.visitor.get("/status").send().assert_status(404);
}

#[test]
fn nothing_changes_by_looking_and_other_methods_are_refused() {
    let site = Site::open();
    site.visitor.post("/status").send().assert_status(405).assert_header("allow", "GET, HEAD");
    site.visitor.head("/status").send().assert_status(200);
    site.visitor.get("/status/other").send().assert_status(404);
}

struct Broken;

impl StatusSource for Broken {
    fn title(&self) -> String {
        "Broken".to_owned()
    }

    fn rows(&self) -> Vec<StatusRow> {
        panic!("out of cherries")
    }
}

#[test]
fn a_source_that_panics_spoils_only_its_own_rows() {
    let site = Site::start(|app| app.mount("/status", status::app().open().show(Broken)));
    let page = page(&site.visitor.get("/status").send());
    assert!(page.contains("out of cherries") && page.contains("Sessions at /"), "{page}");
}

#[test]
fn background_jobs_are_counted() {
    let failing = || Err::<(), _>(Error::unexpected("out of cherries"));
    let site = Site::start(|app| {
        let app = app.mount("/status", status::app().open());
        app.background("feed the cat", Duration::ZERO, || ()).background("pick", Duration::ZERO, failing)
    });
    let row = |name: &str| {
        let sections = site.json()["sections"].clone();
        let section = sections.as_array()?.iter().find(|section| section["title"] == "Background jobs")?.clone();
        let row = section["rows"].as_array()?.iter().find(|row| row["name"] == name)?.clone();
        row["value"].as_str().map(str::to_owned)
    };
    wait_until(|| row("feed the cat").is_some_and(|value| value.ends_with(" runs") && value != "0 runs"));
    wait_until(|| row("pick").is_some_and(|value| value.ends_with(" failed")));
}

#[test]
fn threads_are_told_with_their_owners() {
    let site = Site::open();
    let threads: Value = site.visitor.get("/status/threads?json").send().json();
    let owners: Vec<_> =
        threads["threads"].as_array().expect("a list").iter().map(|thread| thread["owner"].as_str()).collect();
    assert!(owners.iter().flatten().any(|owner| owner.contains("GET /status/threads")), "{threads}");
    assert!(owners.contains(&Some("the server")), "{threads}");
    site.visitor.get("/status/threads").send().assert_contains("gdb -p");
}

#[test]
fn a_request_that_runs_too_long_is_marked() {
    let site = Site::start(|app| {
        let app = app.mount("/status", status::app().open());
        app.server(|settings| settings.stuck_after = Duration::from_millis(20))
    });
    let mut slow = site.ask("/slow");
    site.gate.wait_for(1);
    let is_stuck = || {
        let workers = site.json()["workers"].clone();
        workers.as_array().is_some_and(|workers| workers.iter().any(|worker| worker["is_stuck"] == true))
    };
    wait_until(is_stuck);
    site.gate.open();
    slow.read_response().assert_text("made");
    assert!(site.running.workers().len() == 10);
}

/// All workers of the site are in `/slow`.
fn hung(change: impl FnOnce(App) -> App) -> (Site, Vec<RawConnection>) {
    let site = Site::start(|app| change(app.threads(2).mount("/status", status::app().open()).health("/health")));
    let ask = || {
        let mut connection = site.visitor.raw();
        connection.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
        connection
    };
    let hanging = vec![ask(), ask()];
    site.gate.wait_for(2);
    (site, hanging)
}

#[test]
fn the_status_is_there_while_no_worker_is_free() {
    let (site, mut hanging) = hung(|app| app);
    let mut other = site.visitor.raw();
    other.send("GET /begin HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..3 {
        let response = site.visitor.get("/status").send();
        response.assert_status(200).assert_contains("All 2 workers are busy").assert_header("connection", "close");
    }
    wait_until(|| site.json()["queue"]["length"] == 1);
    site.gate.open();
    for connection in &mut hanging {
        connection.read_response().assert_text("hung");
    }
    other.read_response().assert_text("begun");
}

/// Keeps the length of the content that a response still has when its request ends.
#[derive(Clone, Default)]
struct KeptContent(Arc<Mutex<Vec<u64>>>);

impl Tool for KeptContent {
    fn name(&self) -> &'static str {
        "kept_content"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let Self(kept) = self.clone();
        hooks.at(HookPoint::OnEndRequest, move |exchange| {
            kept.lock().expect("no panic").push(exchange.response.body().length().unwrap_or(u64::MAX));
        });
    }
}

// Pages of a server that hangs for hours would fill the memory.
#[test]
fn a_page_of_the_thread_beside_the_workers_is_forgotten_once_it_is_sent() {
    let kept = KeptContent::default();
    let (site, _hanging) = hung(|app| app.tool("/status", kept.clone()));
    for _ in 0..3 {
        site.visitor.get("/status").send().assert_contains("All 2 workers are busy");
    }
    site.gate.open();
    wait_until(|| kept.0.lock().expect("no panic").len() >= 3);
    assert_eq!(kept.0.lock().expect("no panic")[..3], [0, 0, 0]);
}

#[test]
fn the_thread_beside_the_workers_runs_no_other_page() {
    let (site, _hanging) = hung(|app| app);
    let mut pipelined = site.visitor.raw();
    pipelined.send("GET /status/json HTTP/1.1\r\nHost: a\r\n\r\nGET /begin HTTP/1.1\r\nHost: a\r\n\r\n");
    pipelined.read_response().assert_status(200).assert_header("connection", "close");
    // A body might have to wait for its client.
    let mut upload = site.visitor.raw();
    upload.send("GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    wait_until(|| site.json()["queue"]["length"] == 1);
    site.gate.open();
    upload.send("x").read_response().assert_status(200);
}

#[test]
fn probes_are_answered_while_no_worker_is_free() {
    let (site, _hanging) = hung(|app| app);
    let mut probe = site.visitor.raw();
    for _ in 0..3 {
        probe.send("GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("ok\n");
        probe.send("HEAD /health/ready HTTP/1.1\r\nHost: a\r\n\r\n").read_response_to_head().assert_status(200);
    }
    site.gate.open();
}

#[test]
fn a_server_is_dead_only_when_every_worker_is_stuck() {
    let (site, _hanging) = hung(|app| app.server(|settings| settings.stuck_after = Duration::from_millis(50)));
    wait_until(|| site.visitor.get("/health/live").send().status() == 503);
    site.visitor.get("/health/live").send().assert_text("every worker is stuck\n");
    site.visitor.get("/health/ready").send().assert_status(200);
    site.gate.open();
    wait_until(|| site.visitor.get("/health/live").send().status() == 200);
}

#[test]
fn a_server_is_not_ready_before_everything_has_started() {
    let (tell, told) = std::sync::mpsc::channel();
    let app = App::new(Pages::default()).tool("/", Sessions::in_memory()).health("/health").on_start(move |address| {
        let asked = |path| Client::connect(address).get(path).send().text().to_owned();
        tell.send((asked("/health/ready"), asked("/health/live"))).expect("the test listens");
        Ok(())
    });
    let running = app.start("127.0.0.1:0").expect("the application starts");
    assert_eq!(told.recv().expect("it was asked"), ("starting\n".to_owned(), "ok\n".to_owned()));
    Client::connect(running.address()).get("/health/ready").send().assert_text("ok\n");
}

#[test]
fn a_server_is_not_ready_from_the_first_moment_of_its_end() {
    let (site, _hanging) = hung(|app| app.server(|settings| settings.drain_idle = Duration::from_secs(10)));
    let mut probe = site.visitor.raw();
    let ask = "GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n";
    probe.send(ask).read_response().assert_text("ok\n");
    let Site { gate, running, visitor } = site;
    let engine = running.engine().clone();
    let stopping = std::thread::spawn(move || running.stop(Duration::from_secs(10)));
    wait_until(|| engine.state() == kirsch::engine::State::Draining);
    probe.send(ask).read_response().assert_status(503).assert_text("stopping\n");
    drop((probe, visitor));
    gate.open();
    assert!(stopping.join().expect("it stops").unfinished.is_empty());
}

#[test]
fn other_methods_and_paths_are_not_questions_of_probes() {
    let site = Site::start(|app| app.health("/health"));
    site.visitor.post("/health/live").send().assert_status(404);
    site.visitor.get("/health").send().assert_status(404);
    let twice = App::new(Tree::new()).mount("/below", App::new(Tree::new()).health("/health"));
    assert!(twice.build().is_err_and(|error| error.to_string().contains("only the outermost")));
}

#[test]
fn slow_requests_are_kept_with_the_parts_of_their_time() {
    let site = Site::open();
    let mut holder = site.ask("/slow");
    site.gate.wait_for(1);
    let mut waiter = site.ask("/begin");
    wait_until(|| site.json()["parked"][0]["since_ms"].as_u64() > Some(1100));
    site.gate.open();
    holder.read_response().assert_text("made");
    waiter.read_response().assert_text("begun");
    let slow = || site.json()["slow"].as_array().expect("a list").clone();
    wait_until(|| slow().len() == 2);
    let slow = slow();
    let of = |line: &str| slow.iter().find(|request| request["request"] == line).expect("it was slow");
    let (made, begun) = (of("GET /slow"), of("GET /begin"));
    assert!(made["worker_ms"].as_u64() > Some(1000) && made["handler"] == "Pages::slow", "{made}");
    assert!(begun["parked_ms"].as_u64() > Some(1000) && begun["worker_ms"].as_u64() < Some(1000), "{begun}");
    let parts = ["queue_ms", "parked_ms", "worker_ms", "body_ms", "sending_ms"].map(|part| begun[part].as_u64());
    let sum: u64 = parts.into_iter().flatten().sum();
    assert!(begun["took_ms"].as_u64().is_some_and(|took| took.abs_diff(sum) <= 5), "{begun}");
    site.visitor.get("/status").send().assert_contains("Slow requests");
}

// Also while sessions are locked and given back all the time.
#[test]
fn looking_spoils_no_request() {
    let site = Site::open();
    let looking = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let visitor = site.visitor.new_browser();
            let looking = &looking;
            scope.spawn(move || {
                while looking.load(std::sync::atomic::Ordering::Relaxed) {
                    visitor.get("/status/json").send().assert_status(200);
                }
            });
        }
        let visits = (0..4).map(|_| {
            scope.spawn(|| {
                for mut connection in (0..100).map(|_| site.ask("/begin")) {
                    connection.read_response().assert_text("begun");
                }
            })
        });
        visits.collect::<Vec<_>>().into_iter().for_each(|visit| visit.join().expect("all are served"));
        looking.store(false, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(site.running.statistics().workers_replaced, 0);
}

#[test]
fn a_stuck_maker_of_a_cached_page_is_shown_to_those_that_wait() {
    let site = Site::start(|app| app.mount("/status", status::app().open()).tool("/cached", Caching::new()));
    let ask = || {
        let mut connection = site.visitor.raw();
        connection.send("GET /cached HTTP/1.1\r\nHost: a\r\n\r\n");
        connection
    };
    let mut maker = ask();
    site.gate.wait_for(1);
    let mut waiter = ask();
    let waits_for = site.parked(1)[0]["waits_for"].as_str().expect("words").to_owned();
    assert!(waits_for.contains("`caching`") && waits_for.contains("held by /cached"), "{waits_for}");
    site.gate.open();
    maker.read_response().assert_text("cached");
    waiter.read_response().assert_text("cached");
}

#[test]
fn a_page_that_no_status_answers_waits_for_a_worker() {
    let (site, _hanging) = hung(|app| app.tool("/", status::app().open()));
    let mut third = site.visitor.raw();
    third.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until(|| site.running.statistics().queued == 1);
    site.visitor.get("/status").send().assert_status(200);
    site.gate.open();
    third.read_response().assert_text("hung");
}

#[test]
fn looking_at_a_server_that_hangs_uses_up_no_connections_and_each_look_is_recorded() {
    let kept = KeptContent::default();
    let (site, _hanging) = hung(|app| app.tool("/status", kept.clone()));
    for _ in 0..100 {
        site.visitor.get("/status/json").send().assert_status(200);
    }
    wait_until(|| kept.0.lock().expect("no panic").len() == 100);
    wait_until(|| site.running.statistics().connections_open < 10);
    assert_eq!(site.running.statistics().workers_busy, 2, "they still hang");
    site.gate.open();
}

// Its end holds up neither the thread beside the workers nor the connections.
#[test]
fn a_log_that_hangs_holds_up_no_look() {
    let gate = Gate::new();
    let (site, _hanging) = hung(|app| app.tool("/status", HangingLog(gate.clone())));
    for _ in 0..100 {
        site.visitor.get("/status/json").send().assert_status(200);
    }
    gate.wait_for(1);
    wait_until(|| site.running.statistics().connections_open < 10);
    gate.open();
    gate.wait_for(100);
    site.gate.open();
}

/// Breaks its promise that it never waits.
struct WaitingSource(Gate);

impl StatusSource for WaitingSource {
    fn title(&self) -> String {
        "Waiting".to_owned()
    }

    fn rows(&self) -> Vec<StatusRow> {
        self.0.pass();
        Vec::new()
    }
}

/// No worker is free, and the thread beside them is in `/waiting`.
fn all_hung(change: impl FnOnce(&mut kirsch::server::ServerSettings)) -> (Site, Gate, RawConnection) {
    let gate = Gate::new();
    let waiting = status::app().open().show(WaitingSource(gate.clone()));
    let (site, _) = hung(|app| app.mount("/waiting", waiting).server(change));
    let first = ask_waiting(&site);
    gate.wait_for(1);
    (site, gate, first)
}

fn ask_waiting(site: &Site) -> RawConnection {
    let mut connection = site.visitor.raw();
    connection.send("GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n");
    connection
}

#[test]
fn too_many_questions_are_refused_like_other_requests() {
    let (site, gate, mut first) = all_hung(|settings| settings.queue = 2);
    let mut others: Vec<_> = (0..20).map(|_| ask_waiting(&site)).collect();
    wait_until(|| site.running.statistics().overload_rejections == 2);
    assert_eq!(site.running.statistics().queued, 2, "sixteen wait for the thread");
    gate.open();
    site.gate.open();
    first.read_response().assert_status(200);
    let refused = others.iter_mut().filter_map(|other| (other.read_response().status() == 503).then_some(()));
    assert_eq!(refused.count(), 2);
}

/// A login that takes its time, as one does that asks a database.
struct SlowLogin(Gate);

impl Tool for SlowLogin {
    fn name(&self) -> &'static str {
        "slow_login"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.provides("login");
        let (gate, section) = (self.0.clone(), hooks.section().to_owned());
        hooks.at(HookPoint::OnStartResource, move |exchange| match exchange.request.header("authorization") {
            Some("Basic slow") => {
                gate.pass();
                Err(Error::new(StatusCode::UNAUTHORIZED, ""))
            }
            Some(_) => {
                exchange.values.insert(Login::new("anna").at(&*section));
                Ok(())
            }
            None => Err(Error::new(StatusCode::UNAUTHORIZED, "")),
        });
    }
}

#[test]
fn strangers_at_the_login_keep_the_holder_of_the_key_not_out() {
    let gate = Gate::new();
    let (site, _hanging) = hung(|app| app.mount("/staff", status::app()).tool("/staff", SlowLogin(gate.clone())));
    let mut strangers: Vec<_> = (0..30).map(|_| site.visitor.raw()).collect();
    for (number, stranger) in strangers.iter_mut().enumerate() {
        stranger.send("GET /staff HTTP/1.1\r\nHost: a\r\nAuthorization: Basic slow\r\n\r\n");
        if number == 0 {
            gate.wait_for(1);
        }
    }
    // One is at the login and four wait for it. The others wait for a worker, like all other requests.
    wait_until(|| site.running.statistics().queued == 25);
    let developer = site.visitor.new_browser().as_developer();
    let asked = developer.get("/staff/json").header("authorization", "Basic right").header("connection", "close");
    let look = std::thread::spawn(move || asked.send().status());
    gate.open();
    assert_eq!(look.join().expect("it is answered"), 200);
    // Before any of the strangers behind it: they still hang there.
    site.gate.open();
}

#[test]
fn strangers_without_key_get_no_place_beside_the_workers() {
    let (site, _hanging) = hung(|app| app.mount("/staff", status::app()));
    let mut stranger = site.visitor.raw();
    stranger.send("GET /staff HTTP/1.1\r\nHost: a\r\nCookie: kirsch_debug=wrong\r\n\r\n");
    wait_until(|| site.running.statistics().queued == 1);
    site.visitor.new_browser().as_developer().get("/staff").send().assert_contains("All 2 workers are busy");
    site.gate.open();
    stranger.read_response().assert_status(404);
}

#[test]
fn the_link_with_the_key_opens_while_no_worker_is_free() {
    let (site, _hanging) = hung(|app| app.mount("/staff", status::app()));
    let developer = site.visitor.new_browser().as_developer();
    let cookie = developer.cookie("kirsch_debug").expect("the key");
    let link = site.visitor.get(&format!("/staff?kirsch_debug={cookie}")).send();
    link.assert_status(303);
    site.gate.open();
}

#[test]
fn questions_behind_one_that_hangs_are_refused_in_time() {
    let (site, gate, mut first) = all_hung(|settings| settings.queue_timeout = Duration::from_millis(100));
    ask_waiting(&site).read_response().assert_status(503);
    gate.open();
    first.read_response().assert_status(200);
    site.gate.open();
}

/// Hangs when the response is out, as a log does whose pipe nobody reads.
struct HangingLog(Gate);

impl Tool for HangingLog {
    fn name(&self) -> &'static str {
        "hanging_log"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let gate = self.0.clone();
        hooks.at(HookPoint::OnEndRequest, move |_| gate.pass());
    }
}

#[test]
fn a_log_that_blocks_all_workers_is_shown() {
    let gate = Gate::new();
    let site = Site::start(|app| {
        let app = app.threads(2).mount("/status", status::app().open());
        app.tool("/plain", HangingLog(gate.clone()))
    });
    let mut logged: Vec<_> = (0..2).map(|_| site.ask("/plain")).collect();
    for connection in &mut logged {
        connection.read_response().assert_text("plain");
    }
    gate.wait_for(2);
    for _ in 0..2 {
        let workers = site.json()["workers"].clone();
        let stages: Vec<_> = workers.as_array().expect("a list").iter().map(|worker| worker["stage"].clone()).collect();
        assert_eq!(stages, ["end", "end"], "{workers}");
    }
    gate.open();
}

/// What a program that reads nothing but the status says about a server that hangs: what the others wait for, the
/// handler that is in their way, and its stage.
fn diagnosis(status: &Value) -> Option<[String; 3]> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let workers = status["workers"].as_array()?;
    let (waits_for, culprit) = match status["parked"].as_array()?.first() {
        Some(parked) => {
            let waits_for = text(&parked["waits_for"])?;
            let holds = |worker: &&Value| worker["id"].as_str().is_some_and(|id| waits_for.contains(id));
            let culprit = workers.iter().find(holds)?;
            (waits_for, culprit)
        }
        None if workers.iter().all(|worker| worker["request"].is_string()) => ("a free worker".to_owned(), &workers[0]),
        None => return None,
    };
    Some([waits_for, text(&culprit["handler"])?, text(&culprit["stage"])?])
}

#[test]
fn five_programs_that_hang_are_diagnosed_from_the_status_alone() {
    let with_cookie = true;
    let table = [
        ("a session is held", with_cookie, ["/slow", "/begin"], ["the lock of session ", "Pages::slow", "handler"]),
        ("a limit is full", !with_cookie, ["/report"; 2], ["a place at work (`limit`)", "Pages::report", "handler"]),
        (
            "a maker of a cached page is stuck",
            !with_cookie,
            ["/cached"; 2],
            ["(`caching`)", "Pages::cached", "handler"],
        ),
        ("the database sleeps", !with_cookie, ["/hang"; 2], ["a free worker", "Pages::hang", "handler"]),
        ("the log blocks", !with_cookie, ["/plain"; 2], ["a free worker", "Pages::plain", "end"]),
    ];
    for (program, with_cookie, requests, [waits_for, handler, stage]) in table {
        let log = Gate::new();
        let site = Site::start(|app| {
            let app = app.threads(2).mount("/status", status::app().open());
            app.tool("/cached", Caching::new()).tool("/plain", HangingLog(log.clone()))
        });
        let stranger = site.visitor.new_browser();
        let _hanging = requests.map(|path| {
            let connection = match with_cookie {
                true => site.ask(path),
                false => {
                    let mut connection = stranger.raw();
                    connection.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
                    connection
                }
            };
            // The first is in the way of the second.
            let gate = if stage == "end" { &log } else { &site.gate };
            gate.wait_for(1);
            connection
        });
        // On their way there both workers are busy for a moment.
        wait_until(|| {
            let told = diagnosis(&site.json());
            println!("{program}: {told:?}");
            told.is_some_and(|told| told[0].contains(waits_for) && told[1] == handler && told[2] == stage)
        });
        site.gate.open();
        log.open();
    }
}
