//! Sessions as users see them: one browser, one lock, nothing lost, no other visitor disturbed.

use integration_tests::{Gate, both, wait_until};
use kirsch::{prelude::*, sessions::LockMode, testing::Client};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

#[derive(Default)]
struct Pages {
    gate: Gate,
    inside: AtomicUsize,
    most_inside: Arc<AtomicUsize>,
}

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> &'static str {
        "here"
    }

    #[expose]
    fn begin(&self, session: &Session) -> &'static str {
        session.set("count", 0);
        "begun"
    }

    /// Reads, lets others try, writes.
    #[expose]
    fn count(&self, session: &Session) -> String {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        let count = session.get::<u64>("count").unwrap_or(0) + 1;
        thread::yield_now();
        session.set("count", count);
        self.inside.fetch_sub(1, Ordering::SeqCst);
        count.to_string()
    }

    #[expose]
    fn hold(&self, session: &Session) -> &'static str {
        session.set("held", true);
        self.gate.pass();
        "held"
    }

    #[expose]
    fn release_and_hold(&self, session: &Session) -> &'static str {
        session.set("count", 10);
        session.release_lock();
        self.gate.pass();
        "held"
    }

    #[expose]
    fn peek(&self, session: SessionView) -> String {
        session.get::<u64>("count").unwrap_or(0).to_string()
    }

    #[expose]
    fn fail(&self, session: &Session) -> kirsch::Result {
        session.set("count", 1000);
        Err(Error::unexpected("after a write"))
    }

    #[expose]
    fn crash(&self, session: &Session) -> &'static str {
        session.set("count", 1000);
        panic!("after a write")
    }
}

fn pages() -> App {
    App::new(Pages::default()).tool("/", Sessions::in_memory())
}

fn held_pages() -> (Client, Gate) {
    let pages = Pages::default();
    let gate = pages.gate.clone();
    (Client::over_socket(App::new(pages).tool("/", Sessions::in_memory())), gate)
}

// 50 requests of one session run one after another, and no count is lost.
#[test]
fn requests_of_one_session_run_one_after_another() {
    let pages = Pages::default();
    let most_inside = Arc::clone(&pages.most_inside);
    let client = Client::over_socket(App::new(pages).tool("/", Sessions::in_memory()));
    client.get("/begin").send().assert_text("begun");
    let counts: BTreeSet<u64> = thread::scope(|scope| {
        let requests: Vec<_> =
            (0..50).map(|_| scope.spawn(|| client.get("/count").send().text().parse().expect("a count"))).collect();
        requests.into_iter().map(|request| request.join().expect("no assertion failed")).collect()
    });
    assert_eq!(counts, (1..=50).collect());
    assert_eq!(most_inside.load(Ordering::SeqCst), 1);
}

// First come, first served.
#[test]
fn waiting_requests_are_served_in_the_order_in_which_they_came() {
    let pages = Pages::default();
    let (gate, sessions) = (pages.gate.clone(), Sessions::in_memory());
    let client = Client::over_socket(App::new(pages).tool("/", sessions.clone()));
    client.get("/begin").send().assert_status(200);
    let cookie = client.cookie("session_id").expect("a session was begun");
    let mut waiting = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| client.get("/hold").send().assert_text("held").status());
        gate.wait_for(1);
        for number in 0..50 {
            let mut connection = client.raw();
            connection.send(format!("GET /count HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n"));
            wait_until(|| sessions.statistics().waits > number);
            waiting.push(connection);
        }
        gate.open();
    });
    for (number, connection) in (1..).zip(&mut waiting) {
        connection.read_response().assert_text(&number.to_string());
    }
}

// Promise 2: 50 waiting requests of one session hold one worker of ten.
#[test]
fn requests_that_wait_for_a_session_hold_no_worker() {
    let (anna, gate) = held_pages();
    let ben = anna.new_browser();
    anna.get("/begin").send().assert_status(200);
    thread::scope(|scope| {
        scope.spawn(|| anna.get("/hold").send().assert_text("held").status());
        gate.wait_for(1);
        for _ in 0..50 {
            scope.spawn(|| anna.get("/count").send().assert_status(200).status());
        }
        for _ in 0..50 {
            ben.get("/").send().assert_text("here");
        }
        gate.open();
    });
    anna.get("/count").send().assert_text("51");
}

#[test]
fn the_testbed_counts_slowly_without_losing_a_count() {
    let client = Client::over_socket(testbed::app());
    client.get("/count").send().assert_text("1");
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| client.get("/count_slow?ms=2").send().assert_status(200).status());
        }
        client.new_browser().get("/").send().assert_text("Hello, World!");
    });
    client.get("/count").send().assert_text("22");
}

#[test]
fn a_released_session_can_be_used_by_the_next_request() {
    let (client, gate) = held_pages();
    client.get("/begin").send().assert_status(200);
    thread::scope(|scope| {
        scope.spawn(|| client.get("/release_and_hold").send().assert_text("held").status());
        gate.wait_for(1);
        client.get("/count").send().assert_text("11");
        gate.open();
    });
    // The end of the first request does not overwrite the value that the second has written.
    client.get("/count").send().assert_text("12");
}

// A snapshot never waits.
#[test]
fn a_view_does_not_wait_for_the_lock() {
    let (client, gate) = held_pages();
    client.get("/begin").send().assert_status(200);
    client.get("/count").send().assert_text("1");
    thread::scope(|scope| {
        scope.spawn(|| client.get("/hold").send().assert_text("held").status());
        gate.wait_for(1);
        client.get("/peek").send().assert_text("1");
        gate.open();
    });
}

// A failed request rolls back and lets go of the lock.
#[test]
fn a_failed_request_rolls_back_and_releases_the_lock() {
    both(pages, |client| {
        client.get("/begin").send().assert_status(200);
        client.get("/fail").send().assert_status(500);
        client.get("/count").send().assert_text("1");
        client.get("/crash").send().assert_status(500);
        client.get("/count").send().assert_text("2");
    });
}

// No write, no cookie.
#[test]
fn a_request_that_writes_nothing_gets_no_cookie() {
    both(pages, |client| {
        client.get("/").send().assert_no_header("set-cookie");
        client.get("/peek").send().assert_text("0").assert_no_header("set-cookie");
        client.get("/nowhere").send().assert_status(404).assert_no_header("set-cookie");
    });
}

// The cookie is sent when it is new, not with every answer.
#[test]
fn the_cookie_is_sent_once() {
    both(pages, |client| {
        assert!(client.get("/begin").send().header("set-cookie").is_some());
        client.get("/peek").send().assert_no_header("set-cookie");
    });
}

// The defaults are safe.
#[test]
fn the_cookie_is_http_only_and_lax() {
    both(pages, |client| {
        let response = client.get("/begin").send();
        let cookie = response.header("set-cookie").expect("a session was begun").to_owned();
        assert!(cookie.starts_with("session_id=") && cookie.contains("; HttpOnly"), "{cookie}");
        assert!(cookie.contains("; SameSite=Lax") && cookie.contains("; Path=/"), "{cookie}");
        assert!(!cookie.contains("; Secure"), "{cookie}");
    });
}

// Ids that the server did not make are never adopted.
#[test]
fn an_id_made_by_the_client_is_not_adopted() {
    for forged in ["evil", "0123456789abcdef0123456789abcdef", "../../etc/passwd", &"a".repeat(10_000)] {
        let client = Client::over_socket(pages());
        client.get("/begin").header("Cookie", format!("session_id={forged}")).send().assert_status(200);
        let id = client.cookie("session_id").expect("a session was begun");
        assert_ne!(id, forged);
        assert!(id.len() >= 22, "128 random bits do not fit into {id:?}");
    }
}

#[derive(Default)]
struct Uploads {
    gate: Gate,
}

#[handlers]
impl Uploads {
    #[expose]
    fn hold(&self, session: &Session) -> &'static str {
        session.set("held", true);
        self.gate.pass();
        "held"
    }

    #[expose]
    fn upload(&self, body: Bytes, session: &Session) -> String {
        session.set("size", body.0.len());
        body.0.len().to_string()
    }
}

/// Whether an upload is asked for its body while another request of its session holds the lock.
fn body_is_asked_for_under_the_lock(mode: LockMode) -> bool {
    let uploads = Uploads::default();
    let (gate, sessions) = (uploads.gate.clone(), Sessions::in_memory().lock(mode));
    let client = Client::over_socket(App::new(uploads).tool("/", sessions.clone()));
    client.post("/upload").body("first").send().assert_text("5");
    let cookie = client.cookie("session_id").expect("a session was begun");
    thread::scope(|scope| {
        scope.spawn(|| client.get("/hold").send().assert_text("held").status());
        gate.wait_for(1);
        let mut upload = client.raw();
        upload.send(format!(
            "POST /upload HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        ));
        wait_until(|| upload.has_input() || sessions.statistics().waits > 0);
        let asked_at_once = upload.has_input();
        gate.open();
        assert_eq!(upload.read_interim(), 100);
        upload.send("abc").read_response().assert_text("3");
        asked_at_once
    })
}

// An upload does not hold the lock while its body comes in, unless the mode asks for it.
#[test]
fn the_lock_is_taken_after_the_upload_and_before_it_in_mode_early() {
    assert!(body_is_asked_for_under_the_lock(LockMode::Implicit));
    assert!(!body_is_asked_for_under_the_lock(LockMode::Early));
}
