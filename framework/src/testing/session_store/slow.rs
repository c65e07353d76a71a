//! A store whose engine takes its time.

use super::PATIENCE;
use crate::prelude::*;
use crate::sessions::Store;
use crate::testing::{Client, RawConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const WORKERS: usize = 10;
const VISITORS: usize = 100;
const PLAIN_PAGES: usize = 20;

struct Pages {
    handled: Arc<AtomicUsize>,
}

#[crate::handlers]
impl Pages {
    #[expose]
    fn count(&self, session: &Session) -> String {
        session.update("count", |count: &mut u64| *count += 1);
        self.handled.fetch_add(1, Ordering::SeqCst);
        session.get::<u64>("count").unwrap_or_default().to_string()
    }

    #[expose]
    fn counted(&self, session: SessionView) -> String {
        session.get::<u64>("count").unwrap_or_default().to_string()
    }

    #[expose]
    fn locked(&self, session: &Session) -> String {
        session.get::<u64>("count").unwrap_or_default().to_string()
    }

    #[expose]
    fn plain(&self) -> &'static str {
        "plain"
    }
}

/// Checks that ten workers serve a hundred visitors at once while the engine takes its time, and that pages without a
/// session wait for none of them: for stores whose answers come later
/// ([`Answers::Later`](crate::sessions::Answers::Later)). From `hold` on the engine answers nothing, until `release`.
/// The store must wait for an answer longer than the check takes; a minute is enough.
///
/// # Panics
/// When the store keeps a worker waiting; the message is the rule.
pub fn check_slow_engine<S: Store>(make_store: impl Fn() -> S, hold: impl Fn(), release: impl Fn()) {
    let handled = Arc::new(AtomicUsize::new(0));
    let sessions = Sessions::new(make_store()).sweep_interval(None).lock_timeout(Duration::from_secs(60));
    let app = App::new(Pages { handled: Arc::clone(&handled) }).tool("/", sessions.clone()).threads(WORKERS);
    let client = Client::over_socket(app).with_timeout(PATIENCE);
    let site = Site { client: &client, hold: &hold, release: &release };

    // Visitors whose sessions begin: there is nothing to lock, and each waits for its commit.
    let visitors: Vec<_> = (0..VISITORS).map(|_| client.new_browser()).collect();
    let first = site.ask_while_held(&visitors, "/count", || handled.load(Ordering::SeqCst));
    let cookies: Vec<_> = first
        .into_iter()
        .map(|mut connection| {
            let response = connection.read_response();
            response.assert_status(200).assert_text("1");
            let cookie = response.header("set-cookie").unwrap_or_default();
            cookie.split(';').next().and_then(|pair| pair.split_once('=')).map(|(_, id)| id.to_owned())
        })
        .collect();
    for (visitor, cookie) in visitors.iter().zip(cookies) {
        visitor.set_cookie("session_id", &cookie.expect("a session that begins has a cookie"));
    }

    // The same visitors again: each waits for its lock.
    for (path, text) in [("/count", "2"), ("/locked", "2")] {
        let held = || sessions.locks().len();
        for mut connection in site.ask_while_held(&visitors, path, held) {
            connection.read_response().assert_status(200).assert_text(text);
        }
    }

    // Visitors who only look need no lock that could be counted.
    for mut connection in site.ask_while_held(&visitors, "/counted", || VISITORS) {
        connection.read_response().assert_status(200).assert_text("2");
    }
}

struct Site<'s> {
    client: &'s Client,
    hold: &'s dyn Fn(),
    release: &'s dyn Fn(),
}

impl Site<'_> {
    /// All visitors ask while the engine is held, and so do those who need no session. `served` says for how many the
    /// server has begun.
    fn ask_while_held(&self, visitors: &[Client], path: &str, served: impl Fn() -> usize) -> Vec<RawConnection> {
        (self.hold)();
        let connections: Vec<_> = visitors.iter().map(|visitor| ask(visitor, path)).collect();
        let deadline = Instant::now() + PATIENCE;
        while served() < VISITORS && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let served = served();
        let plain = (0..PLAIN_PAGES).filter(|_| {
            let answer = self.client.new_browser().get("/plain").try_send();
            answer.is_ok_and(|answer| answer.status() == 200)
        });
        let plain = if served == VISITORS { plain.count() } else { 0 };
        // Also before a panic, so that nothing waits without end.
        (self.release)();
        assert_eq!(served, VISITORS, "{WORKERS} workers serve {VISITORS} visitors of a slow engine at once ({path})");
        assert_eq!(plain, PLAIN_PAGES, "pages without a session do not wait for a slow engine ({path})");
        connections
    }
}

fn ask(visitor: &Client, path: &str) -> RawConnection {
    let cookie = visitor.cookie("session_id").map(|id| format!("Cookie: session_id={id}\r\n")).unwrap_or_default();
    let mut connection = visitor.raw();
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{cookie}\r\n"));
    connection
}
