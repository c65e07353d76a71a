//! Whole requests through the sessions tool with a store that several processes share: two tools on one engine.

use super::*;
use crate::prelude::*;
use crate::publish::PageCall;
use crate::testing::Client;
use crate::testing::session_store::reference::{Engine, Reference};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

type Page = Arc<dyn Fn(&str, &Session, &Tools) -> Result<String, Error> + Send + Sync>;

/// Two processes of one site, and a visitor of each who has the same cookie.
pub(super) struct Pair {
    pub(super) engine: Arc<Engine>,
    pub(super) here: Client,
    pub(super) there: Client,
    pub(super) sessions: Sessions,
}

impl Pair {
    /// `page` is called with its name and the engine; `set` and `get` it need not know.
    fn new(
        set_up: impl Fn(Sessions) -> Sessions,
        page: impl Fn(&str, &Session, &Tools) -> Result<String, Error> + Send + Sync + 'static,
    ) -> Self {
        Self::with(Client::in_process, set_up, page)
    }

    fn with(
        client: impl Fn(App) -> Client,
        set_up: impl Fn(Sessions) -> Sessions,
        page: impl Fn(&str, &Session, &Tools) -> Result<String, Error> + Send + Sync + 'static,
    ) -> Self {
        Self::on(|engine| Sessions::new(Reference::new(engine)), client, set_up, page)
    }

    pub(super) fn on(
        make: impl Fn(&Arc<Engine>) -> Sessions,
        client: impl Fn(App) -> Client,
        set_up: impl Fn(Sessions) -> Sessions,
        page: impl Fn(&str, &Session, &Tools) -> Result<String, Error> + Send + Sync + 'static,
    ) -> Self {
        let engine = Engine::new();
        let page: Page = Arc::new(page);
        let sessions = [0, 1].map(|_| set_up(make(&engine)));
        let [here, there] = [0, 1].map(|index: usize| {
            let page = Arc::clone(&page);
            let tools = Tools { engine: Arc::clone(&engine), sessions: sessions[index].clone() };
            let with = move |call: &mut PageCall<'_>| -> Result<String, Error> {
                let (name, session) = (call.parameter::<String>("name")?, call.argument::<&Session>()?);
                match &*name {
                    "set" => session.set("value", "old"),
                    "get" => {}
                    name => return page(name, session, &tools),
                }
                Ok(session.get("value").unwrap_or_default())
            };
            let view = |call: &mut PageCall<'_>| -> Result<String, Error> {
                Ok(call.argument::<SessionView>()?.get("value").unwrap_or_default())
            };
            let tree = Tree::new().page("with/{name}", with).page("view", view).page("plain", |_| "plain");
            let app = App::new(tree).threads(1).tool("/", sessions[index].clone());
            client(app).with_timeout(Duration::from_secs(60))
        });
        here.get("/with/set").send().assert_status(200);
        there.set_cookie("session_id", &here.cookie("session_id").expect("a session"));
        let [sessions, _] = sessions;
        Self { engine, here, there, sessions }
    }

    pub(super) fn id(&self) -> SessionId {
        SessionId::parse(self.here.cookie("session_id").expect("a session").as_bytes()).expect("an id")
    }

    pub(super) fn value(&self) -> String {
        self.there.get("/with/get").send().assert_status(200).text().to_owned()
    }

    /// The lock of the session, held by a third process.
    pub(super) fn hold(&self) -> Fence {
        let store = Reference::new(&self.engine);
        store.try_lock(&self.id(), Duration::from_secs(60)).wait().expect("alive").expect("nobody has it").fence
    }

    pub(super) fn give_back(&self, fence: Fence) {
        Reference::new(&self.engine).unlock(&self.id(), fence).wait().expect("alive");
    }

    pub(super) fn assert_nothing_left(&self) {
        assert!(!self.engine.is_locked(&self.id()));
        assert_eq!(self.engine.watched(), 0);
        assert_eq!(self.sessions.statistics().locks_held, 0);
        assert_eq!(self.sessions.inner().keeper.len(), 0);
    }
}

/// The values of pages besides their session.
pub(super) struct Tools {
    pub(super) engine: Arc<Engine>,
    pub(super) sessions: Sessions,
}

pub(super) fn as_is(sessions: Sessions) -> Sessions {
    sessions
}

pub(super) fn impatient(sessions: Sessions) -> Sessions {
    sessions.lock_timeout(Duration::from_millis(500))
}

fn short_leases(sessions: Sessions) -> Sessions {
    sessions.lock_lease(Duration::from_millis(200))
}

pub(super) fn no_page(name: &str, _: &Session, _: &Tools) -> Result<String, Error> {
    panic!("no page {name}")
}

pub(super) fn wait_until(happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !happened() {
        assert!(Instant::now() < deadline, "it has not happened within 30 s");
        std::thread::yield_now();
    }
}

#[test]
fn a_waiter_for_another_process_holds_no_worker_and_is_woken() {
    let pair = Pair::with(Client::over_socket, as_is, no_page);
    let fence = pair.hold();
    std::thread::scope(|scope| {
        let waiting = [0, 1].map(|_| scope.spawn(|| pair.here.get("/with/get").send().text().to_owned()));
        wait_until(|| pair.sessions.statistics().waits == 2);
        pair.here.new_browser().get("/plain").send().assert_text("plain");
        let locks = pair.sessions.locks();
        assert!(matches!(&*locks, [lock] if lock.elsewhere && lock.waiting == 1), "{locks:?}");
        assert!(locks[0].to_string().contains("is locked in another process; /with/get (request"), "{}", locks[0]);
        pair.give_back(fence);
        for request in waiting {
            assert_eq!(request.join().expect("no failure"), "old");
        }
    });
    assert!(pair.sessions.statistics().longest_wait > Duration::ZERO);
    pair.assert_nothing_left();
}

#[test]
fn the_deadline_holds_for_both_waits_together_and_the_log_says_where_the_lock_is() {
    let pair = Pair::new(impatient, no_page);
    let fence = pair.hold();
    let records = crate::logs::capture::records("kirsch::waits", || {
        std::thread::scope(|scope| {
            let behind = scope.spawn(|| {
                wait_until(|| pair.sessions.statistics().waits > 0 || pair.sessions.statistics().lock_timeouts > 0);
                pair.here.get("/with/get").send().assert_status(503).assert_header("retry-after", "1");
            });
            pair.here.get("/with/get").send().assert_status(503).assert_header("retry-after", "1");
            behind.join().expect("no failure");
        });
    });
    assert!(matches!(&*records, [line] if line.contains(", held in another process;")), "{records:?}");
    assert_eq!(pair.sessions.statistics().lock_timeouts, 2);
    pair.give_back(fence);
    assert_eq!(pair.value(), "old");
    pair.assert_nothing_left();
}

#[test]
fn the_shared_lock_is_always_given_back() {
    let pair = Pair::new(impatient, |name, session, _| {
        match name {
            "panic" => panic!("the handler fails"),
            "error" => return Err(Error::unexpected("the handler fails")),
            "404" => return Err(Error::not_found()),
            "forget" => session.forget(),
            "release" => session.release_lock(),
            "twice" => {
                session.set("value", "new");
                session.release_lock();
                session.acquire_lock()?;
                session.acquire_lock()?;
                session.set("value", "old");
            }
            "regenerate" => session.regenerate(),
            "delete" => session.delete(),
            _ => {}
        }
        Ok(String::new())
    });
    for name in ["nothing", "panic", "error", "404", "forget", "release", "twice", "regenerate", "delete"] {
        let id = pair.id();
        pair.here.get(&format!("/with/{name}")).send();
        assert!(!pair.engine.is_locked(&id), "{name}");
        assert_eq!(pair.sessions.inner().keeper.len(), 0, "{name}");
        if name != "delete" {
            pair.here.get("/with/get").send().assert_text("old");
        }
    }
}

#[test]
fn a_request_that_saves_makes_two_round_trips_and_one_that_does_not_saves_nothing() {
    let pair = Pair::new(as_is, |_, session, _| {
        session.update("count", |count: &mut u32| *count += 1);
        Ok(String::new())
    });
    let asked = || pair.engine.asked();
    let before = asked();
    pair.here.get("/with/count").send().assert_status(200);
    assert_eq!(asked() - before, 2, "a lock that brings the record, a commit that gives the lock back");
    let before = asked();
    pair.here.get("/with/get").send().assert_status(200);
    assert_eq!(asked() - before, 3, "a lock, its return, a touch");
}

#[test]
fn acquire_lock_waits_for_another_process_on_its_worker() {
    let pair = Arc::new(OnceLock::<Pair>::new());
    let own = Arc::clone(&pair);
    let made = Pair::new(as_is, move |_, session, tools| {
        session.set("value", "mine");
        session.release_lock();
        let pair = own.get().expect("a pair");
        let fence = pair.hold();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                wait_until(|| tools.engine.watched() == 1);
                pair.give_back(fence);
            });
            session.acquire_lock()
        })?;
        session.set("value", session.get::<String>("value").unwrap_or_default() + " again");
        Ok(String::new())
    });
    let pair = pair.get_or_init(|| made);
    pair.here.get("/with/acquire").send().assert_status(200);
    assert_eq!(pair.value(), "mine again");
    pair.assert_nothing_left();
}

#[test]
fn acquire_lock_gives_up_at_the_deadline_too() {
    let pair = Arc::new(OnceLock::<Pair>::new());
    let own = Arc::clone(&pair);
    let made = Pair::new(impatient, move |_, session, _| {
        session.release_lock();
        let pair = own.get().expect("a pair");
        let fence = pair.hold();
        let gave_up = session.acquire_lock();
        pair.give_back(fence);
        gave_up.map(|()| String::new())
    });
    let pair = pair.get_or_init(|| made);
    pair.here.get("/with/acquire").send().assert_status(503).assert_header("retry-after", "1");
    pair.assert_nothing_left();
}

#[test]
fn a_client_that_vanishes_while_it_waits_for_another_process_leaves_the_queue() {
    let pair = Pair::with(Client::over_socket, as_is, no_page);
    let fence = pair.hold();
    let mut connection = pair.here.raw();
    let cookie = pair.here.cookie("session_id").expect("a session");
    connection.send(format!("GET /with/get HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n"));
    wait_until(|| pair.sessions.statistics().waits == 1);
    connection.reset();
    wait_until(|| pair.sessions.statistics().locks_held == 0);
    assert_eq!(pair.engine.watched(), 0);
    pair.give_back(fence);
    pair.assert_nothing_left();
}

#[test]
fn a_lock_is_kept_for_as_long_as_the_request_runs() {
    let pair = Pair::new(short_leases, |_, session, tools| {
        let began = Instant::now();
        wait_until(|| tools.sessions.statistics().lease_renewals >= 4 && began.elapsed() > Duration::from_millis(400));
        session.set("value", "new");
        Ok(String::new())
    });
    pair.here.get("/with/slow").send().assert_status(200);
    assert_eq!((pair.value().as_str(), pair.sessions.statistics().locks_lost), ("new", 0));
    pair.assert_nothing_left();
}

#[test]
fn a_request_that_has_lost_the_lock_saves_nothing_and_is_told_so() {
    let pair = Pair::new(as_is, |name, session, tools| {
        tools.engine.lose(&session.id());
        match name {
            "regenerate" => session.regenerate(),
            "delete" => session.delete(),
            _ => session.set("value", "new"),
        }
        Ok(String::new())
    });
    for (name, conflicts) in [("write", 1), ("regenerate", 2), ("delete", 3)] {
        let records = crate::logs::capture::records("kirsch::sessions", || {
            pair.here.get(&format!("/with/{name}")).send().assert_status(409).assert_no_header("set-cookie");
        });
        assert!(matches!(&*records, [line] if line.contains("the lock of the session was lost")), "{records:?}");
        let statistics = pair.sessions.statistics();
        assert_eq!((pair.value().as_str(), statistics.conflicts), ("old", conflicts));
        assert_eq!(statistics.locks_lost, conflicts);
    }
    pair.assert_nothing_left();
}

#[test]
fn a_loss_that_is_known_refuses_the_next_write() {
    let pair = Pair::new(short_leases, |name, session, tools| {
        let before = tools.sessions.statistics().locks_lost;
        tools.engine.lose(&session.id());
        wait_until(|| tools.sessions.statistics().locks_lost > before);
        if name == "try" {
            session.try_set("value", "new")?;
        }
        session.set("value", "new");
        assert_eq!(session.get::<String>("value").as_deref(), Some("old"), "what is written goes nowhere");
        Ok(String::new())
    });
    for name in ["write", "try"] {
        pair.here.get(&format!("/with/{name}")).send().assert_status(409);
        assert_eq!(pair.value(), "old");
    }
    pair.assert_nothing_left();
}

#[test]
fn a_renewal_that_fails_is_tried_again_until_the_lease_has_ended() {
    let pair = Pair::new(short_leases, |name, session, tools| {
        tools.engine.die(true);
        let before = tools.sessions.statistics();
        match name {
            "lost" => wait_until(|| tools.sessions.statistics().locks_lost > before.locks_lost),
            _ => wait_until(|| tools.sessions.statistics().store_errors > before.store_errors),
        }
        tools.engine.die(false);
        session.set("value", name);
        Ok(String::new())
    });
    pair.here.get("/with/lost").send().assert_status(409);
    let records = crate::logs::capture::records("kirsch::sessions", || {
        pair.here.get("/with/kept").send().assert_status(200);
    });
    assert_eq!(pair.value(), "kept", "{records:?}");
    pair.assert_nothing_left();
}

#[test]
fn a_dead_engine_is_503_for_session_pages_and_nothing_for_others() {
    let pair = Pair::new(|sessions| sessions.lock(LockMode::Lazy), no_page);
    pair.engine.die(true);
    let records = crate::logs::capture::records("kirsch::sessions", || {
        for path in ["/with/get", "/view", "/with/set"] {
            pair.here.get(path).send().assert_status(503).assert_header("retry-after", "1").assert_lacks("engine");
        }
        pair.here.get("/plain").send().assert_text("plain");
        pair.here.new_browser().get("/with/get").send().assert_status(200);
    });
    assert!(matches!(&*records, [line] if line.contains("the session store fails: the engine is gone")), "{records:?}");
    assert_eq!(pair.sessions.statistics().store_errors, 3);
    pair.engine.die(false);
    let records =
        crate::logs::capture::records("kirsch::sessions", || assert_eq!(pair.here.get("/view").send().text(), "old"));
    assert!(matches!(&*records, [line] if line.contains("works again, after 3 failures")), "{records:?}");
    pair.assert_nothing_left();
}

#[test]
fn a_request_parked_when_the_engine_dies_is_answered_by_the_deadline() {
    let pair = Pair::new(impatient, no_page);
    let _fence = pair.hold();
    std::thread::scope(|scope| {
        let parked = scope.spawn(|| pair.here.get("/with/get").send().assert_status(503).status());
        wait_until(|| pair.engine.watched() == 1 || parked.is_finished());
        pair.engine.die(true);
        parked.join().expect("an answer");
    });
}

#[test]
fn a_store_that_cannot_work_stops_the_start() {
    let engine = Engine::new();
    engine.die(true);
    let start = |sessions: Sessions| App::new(Tree::new().index(|_| "")).tool("/", sessions).build().map(drop);
    let message = start(Sessions::new(Reference::new(&engine))).expect_err("the engine is gone").to_string();
    assert!(message.contains("the session store cannot work: the engine is gone (reference)"), "{message}");
    assert!(message.contains("`sessions.probe = false`"), "{message}");
    assert!(start(Sessions::new(Reference::new(&engine)).probe(false)).is_ok());
}
