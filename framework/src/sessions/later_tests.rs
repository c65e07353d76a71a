//! Requests whose store answers later: they are parked until it does, before their handler and at their end.

use super::shared_tests::{Pair, Tools, as_is, impatient, no_page, wait_until};
use super::*;
use crate::prelude::*;
use crate::primitive::block_on;
use crate::testing::Client;
use crate::testing::session_store::reference::{Engine, Reference};
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// The reference store behind a desk, where questions wait for their answers.
struct Later {
    store: Arc<Reference>,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    /// A mistake.
    is_forgetful: bool,
    /// Another one: no answer comes later.
    blocks: bool,
    is_closed: Mutex<bool>,
    questions: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl Desk {
    /// Answers no question until it is opened again.
    fn close(&self) {
        *self.is_closed.lock() = true;
    }

    fn open(&self) {
        *self.is_closed.lock() = false;
        for question in std::mem::take(&mut *self.questions.lock()) {
            question();
        }
    }

    /// Answers the next question, and stays closed.
    fn answer(&self) {
        wait_until(|| self.waiting() > 0);
        let question = self.questions.lock().remove(0);
        question();
    }

    fn waiting(&self) -> usize {
        self.questions.lock().len()
    }

    /// The answer of `ask`, when the desk is open; `unwanted` gets it if the caller has gone.
    fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
        unwanted: impl Fn(T) + Send + Sync + 'static,
    ) -> StoreFuture<T> {
        let unwanted: Box<dyn Fn(T) + Send + Sync> =
            if self.is_forgetful { Box::new(std::mem::forget) } else { Box::new(unwanted) };
        let slot = Arc::new(Slot { state: Mutex::new((None, None)), unwanted });
        let asked = Arc::clone(&slot);
        let question = move || {
            let answer = ask();
            let waker = {
                let mut state = asked.state.lock();
                state.0 = Some(answer);
                state.1.take()
            };
            waker.into_iter().for_each(Waker::wake);
        };
        if *self.is_closed.lock() {
            self.questions.lock().push(Box::new(question));
        } else {
            std::thread::spawn(question);
        }
        Box::pin(std::future::poll_fn(move |context| {
            let mut state = slot.state.lock();
            match state.0.take() {
                Some(answer) => Poll::Ready(answer),
                None => {
                    state.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }
}

/// Where an answer is handed over.
struct Slot<T> {
    state: Mutex<Handover<T>>,
    unwanted: Box<dyn Fn(T) + Send + Sync>,
}

type Handover<T> = (Option<Result<T, StoreError>>, Option<Waker>);

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        if let Some(Ok(answer)) = self.state.get_mut().0.take() {
            (self.unwanted)(answer);
        }
    }
}

impl Later {
    /// The questions to the store behind the desk.
    fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Reference) -> Answer<T> + Send + 'static,
        unwanted: impl Fn(&Reference, T) + Send + Sync + 'static,
    ) -> Answer<T> {
        let (store, owner) = (Arc::clone(&self.store), Arc::clone(&self.store));
        let answer = self.desk.ask(move || ask(&store).wait(), move |answer| unwanted(&owner, answer));
        if !self.desk.blocks {
            return Answer::Later(answer);
        }
        let waited = block_on(answer, Instant::now() + Duration::from_secs(60));
        waited.expect("the desk opens again").into()
    }
}

impl Store for Later {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        let id = *id;
        self.ask(move |store| store.load(&id, now), |_, _| ())
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        let (id, data, terms) = (*id, data.clone(), *terms);
        self.ask(move |store| store.commit(&id, expected, &data, &terms), |_, _| ())
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        let (id, terms) = (*id, *terms);
        self.ask(move |store| store.touch(&id, &terms), |_, ()| ())
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        let id = *id;
        self.ask(move |store| store.delete(&id), |_, ()| ())
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        self.store.sweep(now)
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        self.store.count()
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        Some(self)
    }

    fn answers(&self) -> Answers {
        if self.desk.blocks { Answers::Blocking } else { Answers::Later }
    }
}

impl SharedLock for Later {
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Answer<Option<Grant>> {
        let id = *id;
        let give_back = move |store: &Reference, grant: Option<Grant>| {
            grant.into_iter().for_each(|grant| store.unlock(&id, grant.fence).wait().expect("alive"));
        };
        self.ask(move |store| store.try_lock(&id, lease), give_back)
    }

    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        self.store.watch(id, waker)
    }

    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Answer<bool> {
        let id = *id;
        self.ask(move |store| store.renew(&id, fence, lease), |_, _| ())
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Answer<()> {
        let id = *id;
        self.ask(move |store| store.unlock(&id, fence), |_, ()| ())
    }
}

fn pair(
    client: impl Fn(App) -> Client,
    set_up: impl Fn(Sessions) -> Sessions,
    page: impl Fn(&str, &Session, &Tools) -> Result<String, Error> + Send + Sync + 'static,
) -> (Pair, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let make = |engine: &Arc<Engine>| {
        Sessions::new(Later { store: Arc::new(Reference::new(engine)), desk: Arc::clone(&desk) })
    };
    (Pair::on(make, client, set_up, page), desk)
}

fn writes(name: &str, session: &Session, _: &Tools) -> Result<String, Error> {
    session.set("value", name);
    Ok(name.to_owned())
}

/// The request of a browser for a page with the session.
fn request(pair: &Pair, name: &str) -> String {
    let cookie = pair.here.cookie("session_id").expect("a session");
    format!("GET /with/{name} HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n")
}

#[test]
fn a_store_that_answers_later_follows_the_same_rules() {
    let (engine, desk) = (Engine::new(), Arc::new(Desk::default()));
    crate::testing::session_store::check_shared(|| Later {
        store: Arc::new(Reference::new(&engine)),
        desk: Arc::clone(&desk),
    });
}

#[test]
#[should_panic(expected = "an abandoned lock is given back")]
fn found_a_store_that_forgets_an_abandoned_grant() {
    let (engine, desk) = (Engine::new(), Arc::new(Desk { is_forgetful: true, ..Desk::default() }));
    crate::testing::session_store::check_shared(|| Later {
        store: Arc::new(Reference::new(&engine)),
        desk: Arc::clone(&desk),
    });
}

#[test]
fn visitors_of_a_slow_engine_hold_no_worker() {
    let (engine, desk) = (Engine::new(), Arc::new(Desk::default()));
    let open = || Later { store: Arc::new(Reference::new(&engine)), desk: Arc::clone(&desk) };
    crate::testing::session_store::check_slow_engine(open, || desk.close(), || desk.open());
}

#[test]
#[should_panic(expected = "10 workers serve 100 visitors of a slow engine at once")]
fn found_a_store_that_keeps_workers_waiting() {
    let (engine, desk) = (Engine::new(), Arc::new(Desk { blocks: true, ..Desk::default() }));
    let open = || Later { store: Arc::new(Reference::new(&engine)), desk: Arc::clone(&desk) };
    crate::testing::session_store::check_slow_engine(open, || desk.close(), || desk.open());
}

#[test]
fn a_request_that_waits_for_the_engine_holds_no_worker() {
    let (pair, desk) = pair(Client::over_socket, as_is, writes);
    std::thread::scope(|scope| {
        desk.close();
        let writing = scope.spawn(|| pair.here.get("/with/new").send().text().to_owned());
        for _ in ["the lock", "the commit"] {
            wait_until(|| desk.waiting() == 1);
            pair.here.new_browser().get("/plain").send().assert_text("plain");
            desk.answer();
        }
        assert_eq!(writing.join().expect("no failure"), "new");
    });
    desk.open();
    assert_eq!(pair.value(), "new");
    assert_eq!(pair.sessions.statistics().waits, 0, "nobody was in the way");
    pair.assert_nothing_left();
}

#[test]
fn a_login_and_a_logout_hold_no_worker_either() {
    let (pair, desk) = pair(Client::over_socket, as_is, |name, session, _| {
        match name {
            "login" => session.regenerate(),
            _ => session.delete(),
        }
        Ok(name.to_owned())
    });
    let login = ["the lock", "its renewal", "the new record", "the end of the old one", "the lock's return"];
    let logout = ["the lock", "its renewal", "the end of the record", "the lock's return"];
    std::thread::scope(|scope| {
        for (path, questions) in [("/with/login", &login[..]), ("/with/logout", &logout[..])] {
            desk.close();
            let ending = scope.spawn(|| pair.here.get(path).send().status());
            for question in questions {
                wait_until(|| desk.waiting() == 1 || ending.is_finished());
                assert_eq!(desk.waiting(), 1, "{path}: {question}");
                pair.here.new_browser().get("/plain").send().assert_text("plain");
                desk.answer();
            }
            assert_eq!(ending.join().expect("no failure"), 200);
            desk.open();
        }
    });
    assert_eq!(pair.here.cookie("session_id"), None);
    pair.there.get("/view").send().assert_text("");
    assert_eq!(pair.sessions.statistics().locks_held, 0);
}

#[test]
fn a_waiter_for_another_process_is_woken_between_question_and_answer() {
    let (pair, desk) = pair(Client::over_socket, as_is, no_page);
    for _ in 0..20 {
        let fence = pair.hold();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pair.here.get("/with/get").send().text().to_owned());
            wait_until(|| pair.engine.watched() == 1);
            pair.give_back(fence);
            assert_eq!(waiting.join().expect("no failure"), "old");
        });
    }
    assert_eq!(desk.waiting(), 0);
    pair.assert_nothing_left();
}

#[test]
fn a_client_that_vanishes_gives_its_grant_back() {
    let (pair, desk) = pair(Client::over_socket, as_is, no_page);
    desk.close();
    let mut connection = pair.here.raw();
    connection.send(request(&pair, "get"));
    wait_until(|| desk.waiting() == 1);
    connection.reset();
    wait_until(|| pair.sessions.statistics().locks_held == 0);
    desk.open();
    assert_eq!(pair.value(), "old");
    pair.assert_nothing_left();
}

#[test]
fn changes_are_kept_when_the_client_vanishes() {
    let (pair, desk) = pair(Client::over_socket, as_is, writes);
    desk.close();
    let mut connection = pair.here.raw();
    connection.send(request(&pair, "new"));
    desk.answer();
    wait_until(|| desk.waiting() == 1);
    connection.reset();
    desk.open();
    wait_until(|| pair.sessions.statistics().locks_held == 0);
    assert_eq!(pair.value(), "new");
    pair.assert_nothing_left();
}

#[test]
fn an_answer_that_comes_later_may_be_no() {
    let (pair, _desk) = pair(Client::in_process, as_is, |name, session, tools| {
        match name {
            "lost" => tools.engine.lose(&session.id()),
            _ => tools.engine.die(true),
        }
        writes(name, session, tools)
    });
    pair.here.get("/with/lost").send().assert_status(409);
    assert_eq!((pair.value().as_str(), pair.sessions.statistics().locks_lost), ("old", 1));
    pair.here.get("/with/dead").send().assert_status(503).assert_header("retry-after", "1");
    pair.here.get("/with/get").send().assert_status(503);
    pair.engine.die(false);
    pair.engine.lose(&pair.id());
    assert_eq!(pair.value(), "old");
    pair.assert_nothing_left();
}

#[test]
fn an_answer_that_does_not_come_is_waited_for_until_the_deadline() {
    let (pair, desk) = pair(Client::in_process, impatient, writes);
    desk.close();
    pair.here.get("/with/new").send().assert_status(503).assert_header("retry-after", "1");
    desk.open();
    desk.close();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| pair.here.get("/with/new").send().assert_status(503).status());
        desk.answer();
        writing.join().expect("an answer");
    });
    desk.open();
    assert!(matches!(&*pair.value(), "old" | "new"), "he was told that it is not known");
    pair.assert_nothing_left();
}

#[test]
fn a_reader_holds_no_worker_either() {
    let (pair, desk) = pair(Client::over_socket, as_is, no_page);
    desk.close();
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| pair.here.get("/view").send().text().to_owned());
        wait_until(|| desk.waiting() == 1);
        pair.here.new_browser().get("/plain").send().assert_text("plain");
        desk.open();
        assert_eq!(looking.join().expect("no failure"), "old");
    });
}

#[test]
fn a_store_of_one_process_is_asked_without_a_lock_and_notices_others_all_the_same() {
    let (pair, desk) = pair(
        Client::over_socket,
        |sessions| sessions.shared(false),
        |name, session, tools| {
            assert!(!tools.engine.is_locked(&session.id()));
            if name == "disturbed" {
                let store = Reference::new(&tools.engine);
                let record = store.load(&session.id(), Moment::now()).wait()?.expect("a record");
                let terms = Terms {
                    now: Moment::now(),
                    lifetime: Duration::from_secs(9),
                    cookie_sent: false,
                    fence: None,
                    unlock: false,
                };
                assert!(matches!(
                    store.commit(&session.id(), Some(record.version), &Data::new(), &terms).wait()?,
                    Commit::Committed(_)
                ));
            }
            writes(name, session, tools)
        },
    );
    let before = pair.engine.asked();
    pair.here.get("/with/new").send().assert_status(200);
    assert_eq!(pair.engine.asked() - before, 2, "a load and a commit");
    pair.here.get("/with/disturbed").send().assert_status(409);
    assert_eq!(pair.value(), "");
    desk.close();
    std::thread::scope(|scope| {
        let writing = [0, 1].map(|_| scope.spawn(|| pair.here.get("/with/again").send().text().to_owned()));
        for _ in ["load", "commit", "load", "touch"] {
            desk.answer();
        }
        writing.into_iter().for_each(|request| assert_eq!(request.join().expect("no failure"), "again"));
    });
    desk.open();
    pair.assert_nothing_left();
}

struct Uploads;

#[handlers]
impl Uploads {
    #[expose]
    fn index(&self, mut body: Body, session: &Session) -> Result<String, Error> {
        let mut first = [0];
        std::io::Read::read_exact(&mut body, &mut first)?;
        session.update("uploads", |count: &mut u32| *count += 1);
        Ok(session.get::<u32>("uploads").unwrap_or_default().to_string())
    }
}

#[test]
fn a_handler_that_has_left_half_of_its_body_is_saved_later_too() {
    let (engine, desk) = (Engine::new(), Arc::new(Desk::default()));
    let sessions = Sessions::new(Later { store: Arc::new(Reference::new(&engine)), desk });
    let client = Client::over_socket(App::new(Uploads).tool("/", sessions.clone()));
    for count in 1..=4 {
        client.post("/").body(vec![b'x'; 300_000]).send().assert_text(&count.to_string());
    }
    assert_eq!(sessions.statistics().locks_held, 0);
}

#[test]
fn only_changes_are_saved_later() {
    let (pair, desk) = pair(Client::in_process, as_is, no_page);
    pair.here.get("/with/get").send().assert_text("old");
    pair.here.new_browser().get("/with/set").send().assert_status(200);
    pair.here.get("/view").send().assert_text("old");
    assert_eq!(desk.waiting(), 0);
    pair.assert_nothing_left();
}
