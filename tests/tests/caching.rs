//! The caching tool as users see it: made once, kept as long as client and page agree, never for the wrong person.

use integration_tests::{Gate, both, wait_until};
use kirsch::{
    HeaderValue, header,
    prelude::*,
    sessions::LockMode,
    testing::Client,
    tools::{CachingStatistics, Gzip},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Pages that say which call of a handler made them.
#[derive(Clone, Default)]
struct Pages {
    gate: Gate,
    calls: Arc<AtomicUsize>,
}

impl Pages {
    fn call(&self) -> usize {
        self.calls.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[handlers]
impl Pages {
    /// The handler puts words of the query into the fields of the response.
    #[expose]
    fn index(&self, response: &mut Response, cache: Option<&str>, vary: Option<&str>, cookie: Option<&str>) -> String {
        for (name, value) in [(header::CACHE_CONTROL, cache), (header::VARY, vary), (header::SET_COOKIE, cookie)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                response.add_header(name, value);
            }
        }
        self.call().to_string()
    }

    /// Waits at the gate.
    #[expose]
    fn hold(&self) -> String {
        let call = self.call();
        self.gate.pass();
        call.to_string()
    }

    /// The first call waits at the gate and ends in some way, later ones end well.
    #[expose]
    fn end(&self, response: &mut Response, how: &str) -> kirsch::Result<String> {
        let call = self.call();
        if call > 1 {
            return Ok(call.to_string());
        }
        self.gate.pass();
        match how {
            "panic" => panic!("asked for"),
            "error" => return Err(Error::unexpected("asked for")),
            "unavailable" => return Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "asked for")),
            "not found" => return Err(Error::not_found()),
            "redirect" => return Err(Redirect::to("/").into()),
            "elsewhere" => return Err(Error::internal_redirect("/tiny")),
            "not modified" => drop(response.set_status(StatusCode::NOT_MODIFIED)),
            "no-store" | "private" => {
                response.set_header(header::CACHE_CONTROL, how.parse()?);
            }
            "cookie" => drop(response.add_header(header::SET_COOKIE, HeaderValue::from_static("a=b"))),
            "star" => drop(response.set_header(header::VARY, HeaderValue::from_static("*"))),
            "large" => return Ok("x".repeat(200_000)),
            how => panic!("unknown: {how}"),
        }
        Ok(call.to_string())
    }

    #[expose]
    fn tiny(&self) -> &'static str {
        "tiny"
    }

    #[expose]
    fn large(&self) -> String {
        format!("{}{}", self.call(), "x".repeat(200_000))
    }

    /// Large enough to be compressed, small enough to be kept.
    #[expose]
    fn text(&self) -> String {
        format!("call {}\n", self.call()).repeat(1000)
    }

    #[expose]
    fn missing(&self) -> kirsch::Result {
        Err(Error::new(StatusCode::NOT_FOUND, format!("call {}", self.call())))
    }

    /// The first call makes something that is stale at once, the second fails.
    #[expose]
    fn failing(&self, response: &mut Response) -> kirsch::Result<&'static str> {
        response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("max-age=0, stale-if-error=60"));
        if self.call() > 1 { Err(Error::unexpected("asked for")) } else { Ok("good") }
    }

    /// Stale at once; later calls wait at the gate.
    #[expose]
    fn stale(&self, response: &mut Response) -> String {
        response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("max-age=0, stale-while-revalidate=60"));
        let call = self.call();
        if call > 1 {
            self.gate.pass();
        }
        call.to_string()
    }

    #[expose]
    fn stream(&self, chunks: usize) -> Stream {
        let call = self.call();
        Stream::new((0..chunks).map(move |number| format!("{call}.{number} ")))
    }

    /// The first call breaks off.
    #[expose]
    fn broken_stream(&self) -> Stream {
        let call = self.call();
        Stream::fallible((0..3).map(move |number| match number {
            2 if call == 1 => Err(Error::unexpected("asked for")),
            _ => Ok(format!("{call}.{number} ")),
        }))
    }

    /// The first call waits at the gate after its first chunk and then never ends.
    #[expose]
    fn endless_stream(&self) -> Stream {
        let (call, gate) = (self.call(), self.gate.clone());
        let chunks = if call == 1 { usize::MAX } else { 2 };
        Stream::new((0..chunks).map(move |number| {
            if call > 1 || number == 0 {
                return format!("{call}.{number} ");
            }
            gate.pass();
            "x".repeat(16 * 1024)
        }))
    }

    #[expose(patch)]
    fn change(&self, response: &mut Response, status: Option<u16>, location: Option<&str>) -> kirsch::Result {
        if let Some(status) = status.filter(|status| *status >= 400) {
            return Err(Error::new(StatusCode::from_u16(status)?, "asked for"));
        }
        if let Some(location) = location {
            response.set_header(header::LOCATION, location.parse()?);
        }
        Ok(())
    }
}

fn cached() -> (Pages, Caching, App) {
    let (pages, caching) = (Pages::default(), Caching::new());
    let app = App::new(pages.clone()).tool("/", caching.clone());
    (pages, caching, app)
}

fn app() -> App {
    cached().2
}

#[test]
fn a_second_request_is_answered_from_the_cache() {
    both(app, |client| {
        client.get("/").send().assert_text("1").assert_no_header("age");
        let hit = client.get("/").send();
        hit.assert_status(200).assert_text("1").assert_header("age", "0");
        hit.assert_header("content-type", "text/html; charset=utf-8").assert_header("content-length", "1");
        client.get("/?a").send().assert_text("2");
        client.get("/?a=").send().assert_text("3");
    });
}

// 50 cold requests at once run the handler once and hold one worker of two.
#[test]
fn fifty_cold_requests_run_the_handler_once_and_hold_one_worker() {
    let (pages, caching, app) = cached();
    let client = Client::over_socket(app.threads(2));
    thread::scope(|scope| {
        for _ in 0..50 {
            let client = client.new_browser();
            scope.spawn(move || client.get("/hold").send().assert_status(200).assert_text("1").status());
        }
        wait_until(|| caching.statistics().waits == 49);
        for number in 0..20 {
            client.get(&format!("/tiny?{number}")).send().assert_text("tiny");
        }
        pages.gate.open();
    });
    assert_eq!(pages.calls(), 1);
    let CachingStatistics { hits, misses, .. } = caching.statistics();
    assert_eq!((hits, misses), (49, 21));
}

// However the first request ends, no other waits for a response that will not come.
#[test]
fn no_request_waits_for_a_leader_that_failed() {
    integration_tests::quiet_worker_panics();
    let table = [
        ("panic", 500),
        ("error", 500),
        ("unavailable", 503),
        ("not%20found", 404),
        ("redirect", 303),
        ("elsewhere", 200),
        ("not%20modified", 304),
        ("no-store", 200),
        ("private", 200),
        ("cookie", 200),
        ("star", 200),
        ("large", 200),
    ];
    for (how, status) in table {
        let pages = Pages::default();
        let caching = Caching::new().stampede_timeout(Duration::from_secs(3600));
        let client = Client::over_socket(App::new(pages.clone()).tool("/", caching.clone()));
        let path = format!("/end?how={how}");
        thread::scope(|scope| {
            scope.spawn(|| client.new_browser().get(&path).send().assert_status(status).status());
            pages.gate.wait_for(1);
            let waiting: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| client.new_browser().get(&path).send().assert_status(200).text().to_owned()))
                .collect();
            wait_until(|| caching.statistics().waits == 3);
            pages.gate.open();
            for thread in waiting {
                assert!(thread.join().expect("no assertion failed").parse::<usize>().expect("a call") > 1, "{how}");
            }
        });
        assert!(caching.statistics().bytes < 2_000, "{how}");
    }
}

#[test]
fn a_client_that_leaves_a_stream_hands_its_lead_on() {
    let pages = Pages::default();
    let caching = Caching::new().max_size(1 << 30).max_object_size(1 << 30).stampede_timeout(Duration::from_secs(3600));
    let client = Client::over_socket(App::new(pages.clone()).tool("/", caching.clone()));
    let mut leaving = client.new_browser().get("/endless_stream").send_streaming();
    assert_eq!(leaving.next().as_deref(), Some(&b"1.0 "[..]));
    thread::scope(|scope| {
        scope.spawn(|| client.get("/endless_stream").send().assert_text("2.0 2.1 ").status());
        wait_until(|| caching.statistics().waits == 1);
        drop(leaving);
        pages.gate.open();
    });
    client.get("/endless_stream").send().assert_text("2.0 2.1 ").assert_header("age", "0");
}

#[test]
fn a_request_that_has_waited_long_enough_runs_the_handler_itself() {
    let pages = Pages::default();
    let caching = Caching::new().stampede_timeout(Duration::from_millis(20));
    let client = Client::over_socket(App::new(pages.clone()).tool("/", caching.clone()));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| client.new_browser().get("/hold").send().assert_status(200).status());
        }
        pages.gate.wait_for(3);
        pages.gate.open();
    });
    client.get("/hold").send().assert_header("age", "0");
    assert_eq!((pages.calls(), caching.statistics().waits), (3, 2));
}

// One entry for each language and each coding.
#[test]
fn variants_are_kept_beside_each_other() {
    both(app, |client| {
        let get = |language: &str, coding: &str| {
            let path = "/?vary=Accept-Language,%20Accept-Encoding";
            let request = client.get(path).header("Accept-Language", language).header("Accept-Encoding", coding);
            request.send().text().to_owned()
        };
        let requests = [("de", "gzip"), ("en", "gzip"), ("de", "identity"), ("en", "identity")];
        for (number, (language, coding)) in (1..).zip(requests) {
            assert_eq!(get(language, coding), number.to_string());
        }
        for (number, (language, coding)) in (1..).zip(requests) {
            assert_eq!(get(language, coding), number.to_string());
        }
        assert_eq!(get("DE", "GZIP"), "1");
        client.get("/?vary=*").send().assert_text("5");
        client.get("/?vary=*").send().assert_text("6");
    });
}

// The word of the client.
#[test]
fn a_client_that_wants_a_new_answer_gets_it_and_others_get_it_too() {
    both(app, |client| {
        let get = |directive: &str| client.get("/").header("Cache-Control", directive).send().text().to_owned();
        assert_eq!(get("max-age=3600"), "1");
        assert_eq!(get("max-age=3600"), "1");
        assert_eq!(get("max-age=0"), "2");
        assert_eq!(get("no-cache"), "3");
        assert_eq!(client.get("/").header("Pragma", "no-cache").send().text(), "4");
        assert_eq!(get("min-fresh=700"), "5");
        assert_eq!(get("min-fresh=500"), "5");
        client.get("/").send().assert_text("5");
    });
}

#[test]
fn a_client_that_wants_nothing_kept_is_obeyed() {
    both(app, |client| {
        client.get("/").header("Cache-Control", "no-store").send().assert_text("1");
        client.get("/").send().assert_text("2").assert_no_header("age");
    });
}

#[test]
fn a_client_that_wants_only_kept_responses_gets_one_or_504() {
    both(app, |client| {
        let get = || client.get("/").header("Cache-Control", "only-if-cached").send();
        get().assert_status(504);
        client.get("/").send().assert_text("1");
        get().assert_status(200).assert_text("1");
    });
}

// The word of the page, and its audience.
#[test]
fn a_page_for_one_person_is_not_kept() {
    both(app, |client| {
        for path in ["/?cache=private", "/?cache=no-store", "/?cache=no-cache", "/?cache=max-age=0", "/?cookie=a=b"] {
            let first = client.get(path).send().text().to_owned();
            client.clear_cookies();
            assert_ne!(client.get(path).send().assert_no_header("age").text(), first, "{path}");
        }
    });
}

#[test]
fn two_users_at_one_address_get_their_own_pages() {
    both(app, |client| {
        let get = |path: &str, user: &str| client.get(path).header("Authorization", user).send().text().to_owned();
        assert_eq!(get("/", "Bearer anna"), "1");
        assert_eq!(get("/", "Bearer ben"), "2");
        client.get("/").send().assert_text("3");
        assert_eq!(get("/", "Bearer anna"), "4");
        assert_eq!(get("/?cache=public", "Bearer anna"), "5");
        assert_eq!(get("/?cache=public", "Bearer ben"), "5");
    });
}

/// Stands for a tool that compresses: after hooks of the usual priority, and only responses that are not compressed
/// yet.
struct Brackets;

impl Tool for Brackets {
    fn name(&self) -> &'static str {
        "brackets"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let run = |exchange: &mut Exchange| {
            let is_coded = exchange.response.header(&header::CONTENT_ENCODING).is_some();
            exchange.response.set_header(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            if is_coded || exchange.request.header("accept-encoding") != Some("brackets") {
                return;
            }
            let content = String::from_utf8_lossy(exchange.response.body().as_bytes().unwrap_or_default()).into_owned();
            exchange.response.set_header(header::CONTENT_ENCODING, HeaderValue::from_static("brackets"));
            exchange.response.set_body(format!("({content})"));
        };
        hooks.at(HookPoint::BeforeFinalize, run).priority(80);
    }
}

// A response is coded once, kept, and sent only to clients that can read it.
#[test]
fn each_coding_is_an_entry_of_its_own() {
    let app = || app().tool("/", Brackets);
    both(app, |client| {
        let coded = || client.get("/").header("Accept-Encoding", "brackets").send();
        coded().assert_text("(1)").assert_header("content-encoding", "brackets");
        client.get("/").send().assert_text("2").assert_no_header("content-encoding");
        coded().assert_text("(1)").assert_header("content-encoding", "brackets").assert_header("age", "0");
        client.get("/").send().assert_text("2").assert_no_header("content-encoding").assert_header("age", "0");
        let tag = |response: kirsch::testing::TestResponse| response.header("etag").map(str::to_owned);
        assert_ne!(tag(coded()), tag(client.get("/").send()));
    });
}

// With the tool that compresses: an entry is compressed or not, as its fields say, and a hit costs no compression.
#[test]
fn gzip_goes_into_the_cache_compressed_and_comes_out_so() {
    let app = || app().tool("/", Gzip::new());
    both(app, |client| {
        let text = || client.get("/text").send();
        let coded = || client.get("/text").header("Accept-Encoding", "gzip, br").send();
        let first = coded();
        first.assert_header("content-encoding", "gzip").assert_no_header("age");
        assert!(first.bytes().starts_with(&[0x1f, 0x8b]));
        text().assert_no_header("content-encoding").assert_contains("call 2");
        let hit = coded();
        hit.assert_header("age", "0")
            .assert_header("content-encoding", "gzip")
            .assert_header("vary", "Accept-Encoding");
        assert_eq!(hit.bytes(), first.bytes());
        text().assert_header("age", "0").assert_no_header("content-encoding").assert_contains("call 2");
        let tag = hit.header("etag").expect("made of the content").to_owned();
        client
            .get("/text")
            .header("Accept-Encoding", "gzip, br")
            .header("If-None-Match", &tag)
            .send()
            .assert_status(304);
        client.get("/text").header("If-None-Match", &tag).send().assert_status(200);
    });
}

// A response that is too large is sent whole and not kept.
#[test]
fn a_large_response_is_not_cut_off() {
    both(app, |client| {
        for call in ["1", "2"] {
            let response = client.get("/large").send();
            assert!(response.text().starts_with(&format!("{call}x")) && response.bytes().len() == 200_001);
        }
    });
}

// A 304 takes nothing from the entry.
#[test]
fn a_client_that_has_the_response_gets_304_and_the_entry_stays_whole() {
    both(app, |client| {
        let tag = client.get("/").send().header("etag").expect("made of the content").to_owned();
        let response = client.get("/").header("If-None-Match", &tag).send();
        response.assert_status(304).assert_header("etag", &tag).assert_header("age", "0").assert_text("");
        client.get("/").header("If-None-Match", "\"other\"").send().assert_status(200).assert_text("1");
        client.get("/").send().assert_status(200).assert_text("1").assert_header("etag", &tag);
    });
}

#[test]
fn a_304_to_the_first_request_is_not_kept_but_its_response_is() {
    both(app, |client| {
        client.get("/").header("If-None-Match", "*").send().assert_status(304);
        client.get("/").send().assert_status(200).assert_text("1").assert_header("age", "0");
    });
}

// Error pages are not kept.
#[test]
fn error_pages_are_not_kept() {
    both(app, |client| {
        client.get("/missing").send().assert_status(404).assert_contains("call 1");
        client.get("/missing").send().assert_status(404).assert_contains("call 2");
    });
}

#[test]
fn head_is_answered_from_the_response_to_get_and_makes_none() {
    both(app, |client| {
        client.head("/").send().assert_status(200).assert_no_header("age");
        client.get("/").send().assert_text("2");
        client.head("/").send().assert_header("age", "0").assert_header("content-length", "1");
    });
}

#[test]
fn requests_with_content_do_not_meet_the_cache() {
    both(app, |client| {
        client.get("/").body("a").send().assert_text("1");
        client.get("/").send().assert_text("2").assert_no_header("age");
        client.get("/").body("a").send().assert_text("3");
    });
}

#[derive(Clone, Default)]
struct Song {
    calls: Arc<AtomicUsize>,
}

#[resource]
impl Song {
    fn get(&self) -> String {
        (self.calls.fetch_add(1, Ordering::SeqCst) + 1).to_string()
    }
    fn post(&self) {}
    fn put(&self) {}
    fn patch(&self) {}
    fn delete(&self) -> kirsch::Result {
        Err(Error::new(StatusCode::CONFLICT, "it is played"))
    }
}

// PATCH too, which CherryPy forgets.
#[test]
fn a_change_removes_the_responses_for_its_address() {
    both(
        || App::new(Song::default()).tool("/", Caching::new()),
        |client| {
            for (call, method) in (1..).zip([Method::POST, Method::PUT, Method::PATCH]) {
                client.get("/").send().assert_text(&call.to_string());
                client.get("/").send().assert_text(&call.to_string());
                client.request(method, "/").send().assert_status(200);
            }
            client.get("/").send().assert_text("4");
            client.delete("/").send().assert_status(409);
            client.get("/").send().assert_text("4");
        },
    );
}

#[test]
fn a_change_removes_the_addresses_in_its_answer_on_the_same_host() {
    let (pages, _, app) = cached();
    let client = Client::over_socket(app);
    client.get("/?a").send().assert_text("1");
    client.request(Method::PATCH, "/change?location=http://elsewhere.example/?a").send().assert_status(200);
    client.request(Method::PATCH, "/change?status=409&location=/?a").send().assert_status(409);
    client.get("/?a").send().assert_text("1");
    client.request(Method::PATCH, "/change?location=/?a").send().assert_status(200);
    client.get("/?a").send().assert_text("2");
    assert_eq!(pages.calls(), 2);
}

#[test]
fn a_stale_response_is_sent_while_one_request_makes_a_new_one() {
    let (pages, _, app) = cached();
    let client = Client::over_socket(app);
    client.get("/stale").send().assert_text("1");
    thread::scope(|scope| {
        scope.spawn(|| client.new_browser().get("/stale").send().assert_text("2").status());
        pages.gate.wait_for(1);
        for _ in 0..5 {
            client.get("/stale").send().assert_text("1");
        }
        pages.gate.open();
    });
    assert_eq!(pages.calls(), 2);
}

#[test]
fn a_stale_response_stands_in_for_an_error_if_it_may() {
    integration_tests::quiet_worker_panics();
    both(app, |client| {
        client.get("/failing").send().assert_text("good");
        client.get("/failing").send().assert_status(200).assert_text("good").assert_header("age", "0");
        client.get("/failing?other").send().assert_status(500);
    });
}

#[test]
fn a_stream_is_kept_when_it_has_ended() {
    both(app, |client| {
        client.get("/stream?chunks=3").send().assert_text("1.0 1.1 1.2 ").assert_no_header("content-length");
        client.get("/stream?chunks=3").send().assert_text("1.0 1.1 1.2 ").assert_header("content-length", "12");
        let large = client.get("/stream?chunks=50000").send();
        assert!(large.text().ends_with("2.49999 "));
        client.get("/stream?chunks=50000").send().assert_contains("3.49999 ");
    });
}

#[test]
fn a_stream_that_breaks_off_is_not_kept() {
    let client = Client::over_socket(app());
    assert!(client.get("/broken_stream").try_send().is_err());
    client.get("/broken_stream").send().assert_text("2.0 2.1 2.2 ");
    client.get("/broken_stream").send().assert_text("2.0 2.1 2.2 ");
}

#[derive(Clone, Default)]
struct Personal {
    gate: Gate,
}

#[handlers]
impl Personal {
    #[expose]
    fn name(&self, session: &Session, name: Option<&str>) -> String {
        if let Some(name) = name {
            session.set("name", name);
        }
        session.get("name").unwrap_or_default()
    }

    #[expose]
    fn view(&self, session: SessionView) -> String {
        session.get("name").unwrap_or_default()
    }

    #[expose]
    fn hold(&self, session: &Session) -> &'static str {
        session.set("held", true);
        self.gate.pass();
        "held"
    }

    #[expose]
    fn public(&self) -> &'static str {
        "public"
    }

    #[expose]
    fn slow(&self) -> &'static str {
        self.gate.pass();
        "slow"
    }
}

/// Answers from the session in a hook, whether the handler takes the session or not.
struct Greeting;

impl Tool for Greeting {
    fn name(&self) -> &'static str {
        "greeting"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.at(HookPoint::BeforeHandler, |exchange| {
            let name = Session::of(exchange).and_then(|session| session.get::<String>("name"));
            let Some(name) = name else { return Flow::Continue };
            let mut response = Response::new();
            response.set_body(format!("Hello, {name}"));
            Flow::Answer(response)
        });
    }
}

#[test]
fn a_page_that_depends_on_the_session_is_not_kept() {
    let app = || App::new(Personal::default()).tool("/", Sessions::in_memory()).tool("/", Caching::new());
    both(app, |anna| {
        let ben = anna.new_browser();
        anna.get("/name?name=Anna").send().assert_text("Anna");
        ben.get("/name?name=Anna").send().assert_text("Anna");
        ben.get("/name?name=Ben").send().assert_text("Ben");
        for path in ["/name", "/view"] {
            anna.get(path).send().assert_text("Anna").assert_no_header("age");
            ben.get(path).send().assert_text("Ben").assert_no_header("age");
        }
    });
}

#[test]
fn a_page_with_a_hooks_use_of_the_session_is_not_kept() {
    let app = || App::new(Personal::default()).tool("/", Sessions::in_memory()).tool("/", Caching::new());
    both(
        || app().tool("/public", Greeting),
        |anna| {
            let ben = anna.new_browser();
            anna.get("/name?name=Anna").send().assert_text("Anna");
            ben.get("/name?name=Ben").send().assert_text("Ben");
            anna.get("/public").send().assert_text("Hello, Anna");
            ben.get("/public").send().assert_text("Hello, Ben");
        },
    );
}

// CherryPy's order (lock at 50, cache at 90) lets cached pages wait for the lock.
#[test]
fn a_cached_page_does_not_wait_for_the_session() {
    let personal = Personal::default();
    let app = App::new(personal.clone()).tool("/", Sessions::in_memory()).tool("/", Caching::new());
    let client = Client::over_socket(app);
    client.get("/name?name=Anna").send().assert_text("Anna");
    client.get("/public").send().assert_text("public");
    thread::scope(|scope| {
        scope.spawn(|| client.get("/hold").send().assert_text("held").status());
        personal.gate.wait_for(1);
        client.get("/public").send().assert_text("public").assert_header("age", "0");
        personal.gate.open();
    });
}

// In any order of the tools, no request waits for a response with the lock of a session.
#[test]
fn a_request_that_waits_for_a_response_holds_no_lock() {
    let (personal, caching) = (Personal::default(), Caching::new());
    let sessions = Sessions::in_memory().lock(LockMode::Early);
    let app = App::new(personal.clone()).tool("/", sessions.clone()).tool("/", caching.clone());
    let client = Client::over_socket(app);
    let stranger = client.new_browser();
    client.get("/name?name=Anna").send().assert_text("Anna");
    let locks = thread::scope(|scope| {
        scope.spawn(|| stranger.get("/slow").send().assert_text("slow").status());
        personal.gate.wait_for(1);
        scope.spawn(|| client.get("/slow").send().assert_text("slow").status());
        wait_until(|| caching.statistics().waits == 1);
        let locks = sessions.locks().len();
        personal.gate.open();
        locks
    });
    assert_eq!(locks, 0);
}

#[test]
fn each_section_has_its_settings_and_all_share_one_cache() {
    let file = "[\"/\"]\ncaching.delay = \"0s\"\n[\"/tiny\"]\ncaching.delay = \"1m\"";
    let (_, caching, app) = cached();
    let client = Client::in_process(app.config_str(file));
    client.get("/").send().assert_text("1");
    client.get("/").send().assert_text("2");
    client.get("/tiny").send().assert_text("tiny");
    client.get("/tiny").send().assert_header("age", "0");
    assert_eq!(caching.statistics().objects, 1);
}

#[test]
fn settings_that_do_not_go_together_stop_the_start() {
    let wrong = App::new(Pages::default()).tool("/", Caching::new()).config_str("[\"/\"]\ncaching.statuses = [500]");
    let message = wrong.build().expect_err("500 is never kept").to_string();
    assert!(message.contains("statuses") && message.contains("has 500"), "{message}");
    let wrong = App::new(Pages::default()).tool("/", Caching::new().max_object_size(20_000_000));
    let message = wrong.build().expect_err("more than all objects together").to_string();
    assert!(message.contains("`max_object_size` is 20000000"), "{message}");
}

#[test]
fn the_program_can_remove_responses() {
    let (_, caching, app) = cached();
    let client = Client::in_process(app);
    let keep = |path: &str| client.get(path).send().assert_status(200).status();
    let hits = |path: &str| client.get(path).send().header("age").is_some();
    for path in ["/", "/?a", "/tiny", "/tiny?a", "/stream?chunks=1"] {
        keep(path);
    }
    assert_eq!(caching.statistics().objects, 5);
    assert_eq!((caching.purge("/tiny?a"), caching.purge("/tin"), caching.purge("/t%69ny/")), (1, 0, 1));
    assert!(hits("/") && hits("/?a"));
    assert_eq!((caching.purge_prefix("/stream"), caching.purge_prefix("/str")), (1, 0));
    assert_eq!((caching.purge("/"), caching.clear()), (2, 0));
    assert!(!hits("/"));
    assert_eq!(caching.statistics().invalidated, 5);
}

#[test]
fn a_hook_before_the_cache_decides_which_visitors_see_it() {
    struct Door;
    impl Tool for Door {
        fn name(&self) -> &'static str {
            "door"
        }
        fn attach(&self, hooks: &mut Hooks) {
            hooks.at(HookPoint::BeforeRequestBody, |exchange| match exchange.request.header("x-key") {
                Some("right") => Ok(()),
                _ => Err(Error::new(StatusCode::FORBIDDEN, "no key")),
            });
        }
    }
    let (_, _, app) = cached();
    let client = Client::in_process(app.tool("/", Door));
    client.get("/").header("X-Key", "right").send().assert_text("1");
    client.get("/").send().assert_status(403);
    client.get("/").header("X-Key", "right").send().assert_text("1");
}
