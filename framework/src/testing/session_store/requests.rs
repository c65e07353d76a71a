//! Whole requests through the sessions tool with the store: the view of a store's users.

use super::locks::{LONG, lock, try_lock, unlock};
use super::{PATIENCE, Store};
use crate::prelude::*;
use crate::sessions::{LockMode, SessionId};
use crate::testing::Client;
use std::sync::Arc;
use std::time::Duration;

struct Pages;

#[crate::handlers]
impl Pages {
    #[expose]
    fn set(&self, value: &str, session: &Session) {
        session.set("value", value);
    }

    #[expose]
    fn get(&self, session: SessionView) -> String {
        session.get("value").unwrap_or_default()
    }

    #[expose]
    fn fail(&self, session: &Session) -> Result<String, Error> {
        session.set("value", "failed");
        Err(Error::unexpected("this page fails"))
    }

    #[expose]
    fn login(&self, session: &Session) {
        session.regenerate();
        session.set("user", "ann");
    }

    #[expose]
    fn logout(&self, session: &Session) {
        session.delete();
    }

    #[expose]
    fn count(&self, session: &Session) {
        session.update("count", |count: &mut u64| *count += 1);
    }

    #[expose]
    fn counted(&self, session: SessionView) -> String {
        session.get::<u64>("count").unwrap_or_default().to_string()
    }

    #[expose]
    fn plain(&self) -> &'static str {
        "plain"
    }
}

/// A visitor of a site with this store.
pub(super) fn site(store: impl Store, set_up: impl FnOnce(Sessions) -> Sessions) -> Client {
    let sessions = set_up(Sessions::new(store).sweep_interval(None));
    Client::in_process(App::new(Pages).tool("/", sessions)).with_timeout(PATIENCE)
}

fn id(visitor: &Client) -> SessionId {
    let cookie = visitor.cookie("session_id").expect("a visitor with a session has its cookie");
    SessionId::parse(cookie.as_bytes()).expect("the cookie is an id")
}

pub(super) fn check<S: Store>(make_store: &impl Fn() -> S) {
    let rules = [
        the_next_request_gets_the_values_of_the_last,
        a_request_that_fails_is_rolled_back,
        a_login_gives_another_id_and_a_logout_ends_the_session,
        no_client_chooses_its_id,
        parallel_requests_lose_nothing,
        parallel_first_requests_get_a_session_each,
    ];
    for rule in rules {
        rule(&site(make_store(), |sessions| sessions));
    }
}

fn the_next_request_gets_the_values_of_the_last(visitor: &Client) {
    visitor.get("/set?value=ann").send().assert_status(200);
    visitor.get("/get").send().assert_text("ann");
    visitor.new_browser().get("/get").send().assert_text("");
}

fn a_request_that_fails_is_rolled_back(visitor: &Client) {
    visitor.get("/set?value=old").send().assert_status(200);
    visitor.get("/fail").send().assert_status(500);
    assert_eq!(visitor.get("/get").send().text(), "old", "a request that fails changes nothing");
}

fn a_login_gives_another_id_and_a_logout_ends_the_session(visitor: &Client) {
    visitor.get("/set?value=kept").send().assert_status(200);
    let thief = visitor.new_browser();
    thief.set_cookie("session_id", &id(visitor).reveal());
    visitor.get("/login").send().assert_status(200);
    assert_eq!(visitor.get("/get").send().text(), "kept", "a new id keeps the values");
    assert_eq!(thief.get("/get").send().text(), "", "the old id belongs to no session");
    thief.set_cookie("session_id", &id(visitor).reveal());
    visitor.get("/logout").send().assert_status(200);
    assert_eq!(thief.get("/get").send().text(), "", "an ended session is gone for every holder of its id");
}

fn no_client_chooses_its_id(visitor: &Client) {
    for text in ["evil", "../../etc/passwd", "%00", "", &"0".repeat(40), &"f".repeat(10_000)] {
        let client = visitor.new_browser();
        client.set_cookie("session_id", text);
        assert_eq!(client.get("/get").send().assert_status(200).text(), "", "a made up id has no session");
        client.get("/set?value=new").send().assert_status(200);
        assert_ne!(client.cookie("session_id").as_deref(), Some(text), "a made up id is not adopted");
    }
}

fn parallel_requests_lose_nothing(visitor: &Client) {
    const THREADS: usize = 4;
    const ROUNDS: usize = 25;
    visitor.get("/count").send().assert_status(200);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                (0..ROUNDS).for_each(|_| {
                    visitor.get("/count").send().assert_status(200);
                });
            });
        }
    });
    let total = (THREADS * ROUNDS + 1).to_string();
    assert_eq!(visitor.get("/counted").send().text(), total, "parallel requests lose nothing");
}

fn parallel_first_requests_get_a_session_each(visitor: &Client) {
    let first = |number: usize| {
        let browser = visitor.new_browser();
        browser.get(&format!("/set?value={number}")).send().assert_status(200);
        assert_eq!(browser.get("/get").send().text(), number.to_string(), "each first request has a session");
    };
    std::thread::scope(|scope| (0..8).for_each(|number| drop(scope.spawn(move || first(number)))));
}

pub(super) fn check_shared<S: Store>(make_store: &impl Fn() -> S) {
    requests_to_two_processes_lose_nothing(make_store);
    who_waits_too_long_for_another_process_gets_503(make_store);
}

fn requests_to_two_processes_lose_nothing<S: Store>(make_store: &impl Fn() -> S) {
    const THREADS: usize = 4;
    const ROUNDS: usize = 25;
    let here = site(make_store(), |sessions| sessions);
    here.get("/count").send().assert_status(200);
    let there = site(make_store(), |sessions| sessions);
    there.set_cookie("session_id", &id(&here).reveal());
    std::thread::scope(|scope| {
        for visitor in [&here, &there].into_iter().cycle().take(2 * THREADS) {
            scope.spawn(move || {
                (0..ROUNDS).for_each(|_| {
                    visitor.get("/count").send().assert_status(200);
                });
            });
        }
    });
    let total = (2 * THREADS * ROUNDS + 1).to_string();
    assert_eq!(there.get("/counted").send().text(), total, "requests to two processes lose nothing");
    there.get("/logout").send().assert_status(200);
    assert_eq!(here.get("/counted").send().text(), "0", "a session that is ended there is ended here");
}

fn who_waits_too_long_for_another_process_gets_503<S: Store>(make_store: &impl Fn() -> S) {
    let store = Arc::new(make_store());
    let visitor = site(make_store(), |sessions| sessions.lock_timeout(Duration::from_millis(200)));
    visitor.get("/set?value=old").send().assert_status(200);
    let id = id(&visitor);
    let grant = lock(&*store, &id, LONG);
    visitor.get("/set?value=new").send().assert_status(503).assert_header("retry-after", "1");
    assert_eq!(visitor.get("/get").send().text(), "old", "a snapshot waits for nobody");
    unlock(&*store, &id, grant.fence);
    visitor.get("/set?value=new").send().assert_status(200);
    let grant = try_lock(&*store, &id, LONG).expect("a request gives the lock back before its response is sent");
    unlock(&*store, &id, grant.fence);
}

/// Sessions of a page that does not use them do not matter to it.
pub(super) fn lazy(sessions: Sessions) -> Sessions {
    sessions.lock(LockMode::Lazy).lock_timeout(Duration::from_secs(5))
}
