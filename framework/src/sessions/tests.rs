//! Whole requests through the sessions tool, on the caller's thread. Each test names the row of the list of sufferings
//! it answers.
//!
//! A [`Site`] has one page, `/with?name=...`, that runs the test's own closure with `&Session`, one that takes a
//! [`SessionView`] and one that takes neither. Its store counts what is asked of it, can move its clock, and can fail.

use super::*;
use crate::exchange::{Error, ErrorKind, Exchange, HttpError, Redirect, Request, Stream};
use crate::http::HeadLimits;
use crate::lifecycle::{Application, HookPoint, Hooks, Plan, Sections, Tool};
use crate::testing::{Client, TestResponse};
use crate::{StatusCode, handlers};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

type Page = Box<dyn Fn(&str, &Session) -> Result<String, Error> + Send + Sync>;

struct Pages(Page);

#[handlers]
impl Pages {
    #[expose]
    fn with(&self, name: &str, session: &Session) -> Result<String, Error> {
        (self.0)(name, session)
    }

    #[expose]
    fn view(&self, session: SessionView) -> String {
        session.get("value").unwrap_or_default()
    }

    #[expose]
    fn plain(&self) -> &'static str {
        "plain"
    }

    #[expose]
    fn stream(&self, session: &Session) -> Stream {
        let shared = Arc::clone(session.shared());
        session.set("streamed", true);
        Stream::new(std::iter::once_with(move || shared.locks.len().to_string()))
    }
}

struct Site {
    client: Client,
    store: Arc<Probe>,
    sessions: Sessions,
}

impl Site {
    /// `page` is called with the `name` of the query. These names it need not know: `set` sets `value` to `old`, `get`
    /// returns it.
    fn new(
        configure: impl FnOnce(Sessions) -> Sessions,
        page: impl Fn(&str, &Session) -> Result<String, Error> + Send + Sync + 'static,
    ) -> Self {
        Self::with_hooks(configure, |_| (), page)
    }

    fn with_hooks(
        configure: impl FnOnce(Sessions) -> Sessions,
        more: impl FnOnce(&mut Hooks),
        page: impl Fn(&str, &Session) -> Result<String, Error> + Send + Sync + 'static,
    ) -> Self {
        let store = Arc::new(Probe::default());
        let sessions = configure(Sessions::new(Arc::clone(&store)));
        let mut hooks = Hooks::default();
        sessions.attach(&mut hooks);
        more(&mut hooks);
        let mut plan = Plan::default();
        plan.add(&hooks);
        let pages = Pages(Box::new(move |name, session| match name {
            "set" => {
                session.set("value", "old");
                Ok(String::new())
            }
            "get" => Ok(session.get("value").unwrap_or_default()),
            name => page(name, session),
        }));
        let application = Application::new(Arc::new(pages), Sections::default(), vec![plan], Vec::new());
        Self { client: Client::of_service(Arc::new(application)), store, sessions }
    }

    fn get(&self, name: &str) -> TestResponse {
        self.client.get(&format!("/with?name={name}")).send()
    }

    fn value(&self) -> String {
        self.get("get").assert_status(200).text().to_owned()
    }

    fn id(&self) -> Option<SessionId> {
        SessionId::parse(self.client.cookie("session_id")?.as_bytes())
    }

    /// The lock of this browser's session, held by a request to `/slow`.
    fn hold(&self) -> lock_table::LockGuard {
        let claim = crate::exchange::Claim::new(crate::exchange::RequestId::next(), "/slow");
        let id = self.id().expect("a session");
        self.sessions_locks().try_acquire(id, &claim, Instant::now()).expect("nobody holds it")
    }

    fn sessions_locks(&self) -> Arc<lock_table::LockTable> {
        Arc::clone(&self.sessions.inner().locks)
    }

    fn assert_no_lock(&self) {
        assert_eq!(self.sessions.statistics().locks_held, 0, "{:?}", self.sessions.locks());
    }
}

#[derive(Default)]
struct Probe {
    inner: MemoryStore,
    ahead: Mutex<Duration>,
    is_dead: AtomicBool,
    ends_at_once: AtomicBool,
    expires_by_itself: AtomicBool,
    commits: AtomicUsize,
    loads: AtomicUsize,
}

impl Probe {
    fn wind(&self, by: Duration) {
        *self.ahead.lock() += by;
    }

    fn die(&self, is_dead: bool) {
        self.is_dead.store(is_dead, Ordering::SeqCst);
    }

    fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }

    fn at(&self, now: Moment) -> Moment {
        now.later(*self.ahead.lock())
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.is_dead.load(Ordering::SeqCst) { Err(StoreError::new("the store is dead", "probe")) } else { Ok(()) }
    }
}

impl Store for Probe {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        Answer::of(|| {
            self.alive()?;
            self.loads.fetch_add(1, Ordering::SeqCst);
            let mut record = self.inner.load(id, self.at(now)).wait()?;
            if let (Some(record), true) = (&mut record, self.ends_at_once.load(Ordering::SeqCst)) {
                record.remaining = Duration::ZERO;
            }
            Ok(record)
        })
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        Answer::of(|| {
            self.alive()?;
            self.commits.fetch_add(1, Ordering::SeqCst);
            self.inner.commit(id, expected, data, &Terms { now: self.at(terms.now), ..*terms }).wait()
        })
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        Answer::of(|| {
            self.alive()?;
            self.inner.touch(id, &Terms { now: self.at(terms.now), ..*terms }).wait()
        })
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        Answer::of(|| {
            self.alive()?;
            self.inner.delete(id).wait()
        })
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        self.inner.sweep(self.at(now))
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        self.inner.count()
    }

    fn expires_by_itself(&self) -> bool {
        self.expires_by_itself.load(Ordering::SeqCst)
    }
}

fn as_is(sessions: Sessions) -> Sessions {
    sessions
}

fn impatient(sessions: Sessions) -> Sessions {
    sessions.lock_timeout(Duration::ZERO)
}

fn no_page(name: &str, _: &Session) -> Result<String, Error> {
    panic!("no page {name}")
}

fn stored(site: &Site) -> usize {
    site.sessions.statistics().stored.expect("the store counts")
}

#[test]
fn after_any_failure_the_lock_is_free() {
    use HookPoint::*;
    let points = [
        OnStartResource,
        BeforeRequestBody,
        BeforeHandler,
        BeforeFinalize,
        OnEndResource,
        BeforeErrorResponse,
        AfterErrorResponse,
        OnEndRequest,
    ];
    for point in points {
        for priority in [1, 99] {
            for panics in [false, true] {
                let is_armed = Arc::new(AtomicBool::new(false));
                let armed = Arc::clone(&is_armed);
                let fail = move |_: &mut Exchange| match armed.load(Ordering::SeqCst) {
                    true if panics => panic!("the hook fails"),
                    true => Err(Error::unexpected("the hook fails")),
                    false => Ok(()),
                };
                let more = |hooks: &mut Hooks| {
                    hooks.at(point, fail).priority(priority);
                };
                let site = Site::with_hooks(impatient, more, |_, session| {
                    session.set("value", "new");
                    Err(Error::unexpected("the handler fails"))
                });
                site.get("set").assert_status(200);
                is_armed.store(true, Ordering::SeqCst);
                for name in ["set", "fail"] {
                    site.get(name);
                    site.assert_no_lock();
                }
                is_armed.store(false, Ordering::SeqCst);
                assert_eq!(site.value(), "old", "{point:?} {priority} {panics}");
            }
        }
    }
}

#[test]
fn a_panic_and_a_500_release_and_roll_back() {
    let site = Site::new(impatient, |name, session| {
        session.set("value", "new");
        match name {
            "panic" => panic!("the handler fails"),
            "500" => Err(Error::new(StatusCode::INTERNAL_SERVER_ERROR, "")),
            _ => Err(Error::unexpected("the handler fails")),
        }
    });
    site.get("set").assert_status(200);
    for name in ["panic", "500", "error"] {
        site.get(name).assert_status(500);
        site.assert_no_lock();
        assert_eq!(site.value(), "old");
    }
}

#[test]
fn a_redirect_and_a_client_error_save() {
    for (name, status) in [("redirect", 303), ("404", 404)] {
        let site = Site::new(as_is, |name, session| {
            session.set("value", name);
            Err(if name == "404" { Error::not_found() } else { Redirect::to("/").into() })
        });
        site.get(name).assert_status(status);
        assert_eq!(site.value(), name);
    }
}

#[test]
fn a_hook_that_fails_after_a_redirect_is_a_500_and_rolls_back() {
    let more = |hooks: &mut Hooks| {
        hooks.at(HookPoint::BeforeFinalize, |exchange| match exchange.response.status().is_redirection() {
            true => Err(Error::unexpected("the hook fails")),
            false => Ok(()),
        });
    };
    let site = Site::with_hooks(impatient, more, |_, session| {
        session.set("value", "new");
        Err(Redirect::to("/").into())
    });
    site.get("set").assert_status(200);
    site.get("redirect").assert_status(500);
    site.assert_no_lock();
    assert_eq!(site.value(), "old");
}

#[test]
fn a_request_that_waits_too_long_gets_503_and_leaves_the_queue() {
    let site = Site::new(impatient, no_page);
    site.get("set").assert_status(200);
    let guard = site.hold();
    let records = crate::logs::capture::records("kirsch::waits", || {
        site.get("get").assert_status(503).assert_header("retry-after", "1");
    });
    assert!(
        matches!(&*records, [line] if line.contains("gave up") && line.contains("it waited for the lock of session ") && line.contains(", held by /slow (")),
        "{records:?}"
    );
    let locks = site.sessions.locks();
    assert_eq!((locks.len(), locks[0].path.as_str(), locks[0].waiting), (1, "/slow", 0));
    assert_eq!(site.sessions.statistics().lock_timeouts, 1);
    drop(guard);
    assert_eq!(site.value(), "old");
}

#[test]
fn within_a_handler_too_and_as_an_error() {
    let held = Arc::new(OnceLock::<Site>::new());
    let page = Arc::clone(&held);
    let site = Site::new(impatient, move |_, session| {
        session.release_lock();
        let _guard = page.get().expect("a site").hold();
        session.acquire_lock().map(|()| String::new())
    });
    let site = held.get_or_init(|| site);
    site.get("set").assert_status(200);
    site.get("acquire").assert_status(503).assert_header("retry-after", "1");
    site.assert_no_lock();
}

#[test]
fn a_hook_and_a_handler_have_the_same_session_and_lock_it_once() {
    let more = |hooks: &mut Hooks| {
        hooks.at(HookPoint::BeforeHandler, |exchange| {
            let session = Session::of(exchange).expect("the tool is on");
            session.acquire_lock()?;
            session.try_set("hook", "was here")
        });
    };
    let site = Site::with_hooks(impatient, more, |_, session| {
        session.acquire_lock()?;
        session.acquire_lock()?;
        Ok(session.get("hook").unwrap_or_default())
    });
    site.get("set").assert_status(200);
    site.get("both").assert_text("was here");
    site.assert_no_lock();
}

#[test]
fn a_sweep_does_not_disturb_a_request_that_has_a_session() {
    let site = Arc::new(OnceLock::<Site>::new());
    let page = Arc::clone(&site);
    let made = Site::new(impatient, move |name, session| {
        let site = page.get().expect("a site");
        session.set("value", name);
        site.store.wind(Duration::from_secs(2 * 3600));
        site.sessions.sweep()?;
        Ok(String::new())
    });
    let site = site.get_or_init(|| made);
    site.get("new").assert_status(200);
    assert_eq!(site.value(), "new");
    site.assert_no_lock();
}

#[test]
fn a_record_that_ends_while_a_request_has_it_is_saved_all_the_same() {
    let site = Site::new(as_is, no_page);
    site.get("set").assert_status(200);
    let id = site.id().expect("a session");
    // Nothing is left of its life when the request gets it.
    site.store.ends_at_once.store(true, Ordering::SeqCst);
    let settings = settings::Settings { timeout: Duration::ZERO, ..Default::default() };
    let mut request = Request::default();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: session_id={}\r\n\r\n", id.reveal());
    request.head.read(head.as_bytes(), &mut 0, &HeadLimits::default()).expect("a head");
    let session = Session::new(Arc::clone(site.sessions.inner()), Arc::new(settings), &request);
    session.set("value", "new");
    site.store.wind(Duration::from_secs(2 * 3600));
    assert_eq!(site.sessions.inner().store.sweep(Moment::now()).expect("swept"), 1);
    assert!(matches!(session.poll_finish(true, std::task::Waker::noop()), std::task::Poll::Ready(Ok(_))));
    assert_eq!((session.id(), stored(&site)), (id, 1));
}

#[test]
fn a_session_does_not_end_during_the_request_that_uses_it() {
    let site = Arc::new(OnceLock::<Site>::new());
    let page = Arc::clone(&site);
    let made = Site::new(as_is, move |_, _| {
        page.get().expect("a site").store.wind(Duration::from_secs(2 * 60));
        Ok(String::new())
    });
    let site = site.get_or_init(|| made);
    site.get("set").assert_status(200);
    site.store.wind(Duration::from_secs(59 * 60));
    site.get("slow").assert_status(200);
    assert_eq!(site.value(), "old");
}

#[test]
fn no_write_no_record_no_cookie_no_lock() {
    let site = Site::new(as_is, no_page);
    for path in ["/plain", "/view", "/with?name=get", "/nowhere"] {
        for _ in 0..100 {
            site.client.new_browser().get(path).send().assert_no_header("set-cookie");
        }
    }
    assert_eq!(stored(&site), 0);
    assert_eq!(site.store.loads.load(Ordering::SeqCst), 0);
    site.assert_no_lock();
}

#[test]
fn the_modes_decide_which_requests_wait() {
    // Which of these pages wait for a lock that is held: `&Session`, `SessionView`, neither.
    for (mode, waits) in [
        (LockMode::Implicit, [true, false, true]),
        (LockMode::Early, [true, false, true]),
        (LockMode::Lazy, [true, false, false]),
        (LockMode::Explicit, [false, false, false]),
    ] {
        let site = Site::new(
            |sessions| impatient(sessions).lock(mode),
            |_, session| {
                session.acquire_lock()?;
                session.set("value", "old");
                Ok(String::new())
            },
        );
        site.get("begin").assert_status(200);
        let _guard = site.hold();
        for (path, waits) in ["/with?name=get", "/view", "/plain"].into_iter().zip(waits) {
            let status = if waits { 503 } else { 200 };
            site.client.get(path).send().assert_status(status);
        }
        site.client.get("/nowhere").send().assert_status(404);
        site.client.get("/view").send().assert_text("old");
    }
}

#[test]
fn parallel_requests_lose_no_count() {
    let site = Site::new(as_is, |_, session| {
        Ok(session.update("count", |count: &mut u64| {
            *count += 1;
            count.to_string()
        }))
    });
    site.get("set").assert_status(200);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| drop(site.get("count"))));
        }
    });
    site.get("count").assert_text("401");
    site.assert_no_lock();
}

#[test]
fn after_a_release_nothing_is_overwritten() {
    let site = Arc::new(OnceLock::<Site>::new());
    let page = Arc::clone(&site);
    let made = Site::new(impatient, move |name, session| {
        if name == "write" {
            session.set("value", "theirs");
            return Ok(String::new());
        }
        session.set("value", "mine");
        session.release_lock();
        page.get().expect("a site").get("write").assert_status(200);
        assert!(session.try_set("value", "late").is_err());
        let snapshot = session.get::<String>("value");
        session.acquire_lock()?;
        Ok(format!("{} {}", snapshot.unwrap_or_default(), session.get::<String>("value").unwrap_or_default()))
    });
    let site = site.get_or_init(|| made);
    site.get("set").assert_status(200);
    site.get("release").assert_text("mine theirs");
    assert_eq!(site.value(), "theirs");
}

#[test]
fn explicit_mode_writes_under_its_lock_only() {
    let site = Site::new(
        |sessions| sessions.lock(LockMode::Explicit),
        |name, session| {
            let refused = session.try_set("value", "unlocked").expect_err("not locked").to_string();
            assert!(refused.contains("session.acquire_lock()?"), "{refused}");
            session.acquire_lock()?;
            session.set("value", name);
            if name == "released" {
                session.release_lock();
            }
            Ok(String::new())
        },
    );
    for name in ["released", "kept"] {
        site.get(name).assert_status(200);
        assert_eq!(site.value(), name);
        site.assert_no_lock();
    }
    site.get("set").assert_status(500);
}

#[test]
fn there_is_no_lock_before_the_body_is_there() {
    let more = |hooks: &mut Hooks| {
        hooks.at(HookPoint::BeforeRequestBody, |exchange| {
            assert!(!Session::of(exchange).expect("the tool is on").is_locked());
        });
    };
    let site = Site::with_hooks(as_is, more, no_page);
    site.get("set").assert_status(200);
    site.client.post("/with?name=get").body("content").send().assert_text("old");
}

#[test]
fn a_stream_is_sent_without_the_lock() {
    let site = Site::new(as_is, no_page);
    site.get("set").assert_status(200);
    site.client.get("/stream").send().assert_text("0");
}

#[test]
fn forget_gives_up_the_changes_and_lets_the_next_one_in() {
    let site = Site::new(impatient, |_, session| {
        session.set("value", "new");
        session.forget();
        assert!(!session.is_locked() && session.try_set("value", "late").is_err());
        Ok(session.get("value").unwrap_or_default())
    });
    site.get("set").assert_status(200);
    site.get("forget").assert_text("old");
    assert_eq!(site.value(), "old");
}

#[test]
fn the_session_is_there_from_the_first_hook_to_the_error_page() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let more = move |hooks: &mut Hooks| {
        for point in [HookPoint::OnStartResource, HookPoint::BeforeErrorResponse, HookPoint::OnEndRequest] {
            let log = Arc::clone(&log);
            hooks.at(point, move |exchange| {
                let value = Session::of(exchange).and_then(|session| session.get::<String>("value"));
                log.lock().push((point, value));
            });
        }
    };
    let site = Site::with_hooks(impatient, more, |_, _| Err(Error::unexpected("the handler fails")));
    site.get("set").assert_status(200);
    seen.lock().clear();
    site.get("fail").assert_status(500);
    site.client.get("/nowhere").send().assert_status(404);
    assert!(seen.lock().iter().all(|(_, value)| value.as_deref() == Some("old")), "{seen:?}");
    assert_eq!(seen.lock().len(), 5);
    site.assert_no_lock();
}

#[test]
fn one_sweep_job_for_one_store_or_none() {
    let sessions = Sessions::in_memory();
    let below = sessions.configure(&"timeout = '5m'".parse().expect("TOML")).expect("right");
    let mut hooks = Hooks::default();
    sessions.attach(&mut hooks);
    below.attach(&mut hooks);
    assert_eq!(hooks.background.len(), 1);
    let mut hooks = Hooks::default();
    Sessions::in_memory().sweep_interval(None).attach(&mut hooks);
    let expiring = Probe::default();
    expiring.expires_by_itself.store(true, Ordering::SeqCst);
    Sessions::new(expiring).attach(&mut hooks);
    assert_eq!(hooks.background.len(), 0);
}

#[test]
fn a_session_that_grows_too_large_is_an_error_of_the_program_and_stays_as_it_was() {
    let site = Site::new(
        |sessions| sessions.max_size(300),
        |name, session| {
            session.set("basket", "x".repeat(if name == "fits" { 270 } else { 280 }));
            if name == "release" {
                session.release_lock();
            }
            Ok(String::new())
        },
    );
    site.get("set").assert_status(200);
    for name in ["large", "release"] {
        let records = crate::logs::capture::records("kirsch::sessions", || {
            site.get(name).assert_status(500).assert_lacks("maximum");
        });
        let is_told =
            |line: &str| line.contains("the maximum is 300") && line.contains("\"basket\" (290 bytes), \"value\"");
        assert!(matches!(&*records, [line] if is_told(line)), "{records:?}");
        assert_eq!(site.value(), "old");
        site.assert_no_lock();
    }
    site.get("fits").assert_status(200);
    assert_eq!(site.sessions.statistics().store_errors, 0, "the store has not failed");
}

#[test]
fn a_capacity_is_for_stores_that_have_one() {
    assert_eq!(Sessions::in_memory().capacity(1).statistics().stored, Some(0));
    let refused = std::panic::catch_unwind(|| Sessions::new(Probe::default()).capacity(1));
    assert!(refused.is_err());
}

#[test]
fn the_cookie_is_sent_when_it_is_new_and_when_half_its_life_is_over() {
    let site = Site::new(as_is, no_page);
    assert!(site.get("set").header("set-cookie").is_some());
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (later, is_sent) in [(0, false), (29, false), (2, true), (29, false), (2, true), (59, true)] {
        site.store.wind(minutes(later));
        let response = site.get("get");
        response.assert_text("old");
        assert_eq!(response.header("set-cookie").is_some(), is_sent, "{later} minutes later");
    }
    site.store.wind(minutes(61));
    site.get("get").assert_text("").assert_no_header("set-cookie");
}

#[test]
fn reading_keeps_a_session_alive_and_writes_nothing() {
    let site = Site::new(|sessions| sessions.cookie_lifetime(CookieLifetime::BrowserSession), no_page);
    site.get("set").assert_status(200);
    for _ in 0..5 {
        site.store.wind(Duration::from_secs(59 * 60));
        site.client.get("/view").send().assert_text("old").assert_no_header("set-cookie");
    }
    assert_eq!(site.store.commits(), 1);
}

#[test]
fn an_unknown_id_is_never_adopted() {
    let site = Site::new(impatient, |_, session| Ok(session.is_missing().to_string()));
    let evil = SessionId::random().reveal();
    site.client.set_cookie("session_id", &evil);
    site.get("missing").assert_text("true").assert_no_header("set-cookie");
    site.get("set").assert_status(200);
    assert_ne!(site.client.cookie("session_id"), Some(evil.clone()));
    site.get("missing").assert_text("false");
    let victim = Site { client: site.client.new_browser(), ..site };
    victim.client.set_cookie("session_id", &evil);
    assert_eq!(victim.value(), "");
}

#[test]
fn regenerate_keeps_the_data_and_the_flags_in_any_order() {
    let flags = |response: &TestResponse| {
        let cookie = response.header("set-cookie").expect("a cookie").to_owned();
        cookie.split_once(';').expect("flags").1.to_owned()
    };
    let site = Site::new(
        |sessions| sessions.same_site(SameSite::Strict),
        |name, session| {
            match name {
                "alone" => session.regenerate(),
                "after" => {
                    session.set("login", name);
                    session.regenerate();
                }
                "before" => {
                    session.regenerate();
                    session.set("login", name);
                }
                "twice" => {
                    session.regenerate();
                    session.release_lock();
                    session.acquire_lock()?;
                    session.regenerate();
                }
                _ => {
                    let _ = session.get::<String>("value");
                    session.regenerate();
                }
            }
            Ok(session.id().reveal())
        },
    );
    let first = flags(&site.get("set"));
    for name in ["alone", "after", "before", "twice", "read"] {
        let old = site.client.cookie("session_id").expect("a session");
        let response = site.get(name);
        assert_eq!(flags(&response), first, "{name}");
        assert_ne!(response.text(), old);
        assert_eq!(site.client.cookie("session_id").as_deref(), Some(response.text()), "{name}");
        assert_eq!((site.value().as_str(), stored(&site)), ("old", 1), "{name}");
        let thief = site.client.new_browser();
        thief.set_cookie("session_id", &old);
        thief.get("/view").send().assert_text("");
    }
    site.assert_no_lock();
}

#[test]
fn regenerate_changes_an_id_that_is_not_stored_yet() {
    let site = Site::new(as_is, |_, session| {
        let before = session.id();
        session.regenerate();
        assert!(session.id() != before && session.is_new());
        session.set("value", "new");
        Ok(session.id().reveal())
    });
    let id = site.get("login").assert_status(200).text().to_owned();
    assert_eq!(site.client.cookie("session_id"), Some(id));
}

#[test]
fn a_failed_login_leaves_the_old_session() {
    let site = Site::new(as_is, |_, session| {
        session.regenerate();
        Err(Error::unexpected("the login fails"))
    });
    site.get("set").assert_status(200);
    site.get("login").assert_status(500).assert_no_header("set-cookie");
    assert_eq!((site.value().as_str(), stored(&site)), ("old", 1));
}

#[test]
fn an_unchanged_session_is_not_written() {
    let site = Site::new(as_is, |_, session| {
        session.set("value", "old");
        Ok(session.keys().join(" "))
    });
    site.get("set").assert_status(200);
    for name in ["get", "same", "get"] {
        site.get(name).assert_status(200);
    }
    assert_eq!(site.store.commits(), 1);
}

#[test]
fn parallel_first_requests_get_an_id_each() {
    let site = Site::new(as_is, no_page);
    let ids: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
        let first = || {
            let browser = site.client.new_browser();
            browser.get("/with?name=set").send().assert_status(200);
            browser.cookie("session_id").expect("a session")
        };
        let requests: Vec<_> = (0..8).map(|_| scope.spawn(first)).collect();
        requests.into_iter().map(|request| request.join().expect("no failure")).collect()
    });
    assert_eq!((ids.len(), stored(&site)), (8, 8));
}

#[test]
fn a_session_that_is_held_disturbs_no_other() {
    let site = Site::new(impatient, no_page);
    site.get("set").assert_status(200);
    let _guard = site.hold();
    // More than there are shards, so that some share one with the session that is held.
    for _ in 0..1_000 {
        let stranger = site.client.new_browser();
        stranger.get("/with?name=set").send().assert_status(200);
        stranger.get("/with?name=get").send().assert_text("old");
    }
}

#[test]
fn delete_removes_record_and_cookie() {
    let site = Site::new(as_is, |name, session| {
        session.delete();
        if name == "again" {
            session.set("value", "fresh");
        }
        Ok(String::new())
    });
    site.get("set").assert_status(200);
    let old = site.client.cookie("session_id");
    site.get("again").assert_status(200);
    assert!(site.client.cookie("session_id").is_some_and(|id| Some(id) != old));
    assert_eq!((site.value().as_str(), stored(&site)), ("fresh", 1));
    site.get("end").assert_header("set-cookie", "session_id=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!((site.client.cookie("session_id"), stored(&site)), (None, 0));
}

#[test]
fn a_dead_store_is_an_answer_and_never_a_silent_loss() {
    let site = Arc::new(OnceLock::<Site>::new());
    let page = Arc::clone(&site);
    let made = Site::new(as_is, move |name, session| {
        session.set("value", "new");
        page.get().expect("a site").store.die(true);
        if name == "release" {
            session.release_lock();
        }
        Ok(String::new())
    });
    let site = site.get_or_init(|| made);
    site.get("set").assert_status(200);
    for name in ["save", "release"] {
        site.get(name).assert_status(503).assert_header("retry-after", "1").assert_lacks("is dead");
        site.get("get").assert_status(503);
        site.client.get("/view").send().assert_status(503);
        site.store.die(false);
        site.assert_no_lock();
        assert_eq!(site.value(), "old");
    }
}

#[test]
fn a_session_that_is_changed_elsewhere_is_a_conflict() {
    let site = Arc::new(OnceLock::<Site>::new());
    let page = Arc::clone(&site);
    let made = Site::new(as_is, move |_, session| {
        session.set("value", "mine");
        page.get().expect("a site").store.delete(&session.id()).wait()?;
        Ok(String::new())
    });
    let site = site.get_or_init(|| made);
    site.get("set").assert_status(200);
    site.get("change").assert_status(409);
    assert_eq!((site.value().as_str(), stored(site)), ("", 0), "what was ended elsewhere does not come back");
}

#[test]
fn an_internal_redirect_keeps_the_values() {
    let site = Site::new(impatient, |_, session| {
        session.set("value", "new");
        Err(Error::internal_redirect("/with?name=get"))
    });
    site.get("set").assert_status(200);
    site.get("redirect").assert_text("new");
    let newcomer = site.client.new_browser();
    newcomer.get("/with?name=redirect").send().assert_text("new");
    assert!(newcomer.cookie("session_id").is_some());
    site.assert_no_lock();
}

#[test]
fn values_are_read_by_serde() {
    let site = Site::new(as_is, |_, session| {
        session.set("list", vec![(1, "one".to_owned())]);
        assert_eq!(session.get::<Vec<(i32, String)>>("list"), Some(vec![(1, "one".to_owned())]));
        assert_eq!(session.get::<u8>("list"), None);
        assert_eq!(session.pop::<u8>("nothing"), None);
        assert!(session.contains("list") && session.remove("list") && !session.remove("list"));
        session.set("a", 1);
        assert_eq!(session.pop::<u8>("a"), Some(1));
        let map = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(session.try_set("map", map).is_err(), "JSON has no such keys");
        session.clear();
        assert!(session.keys().is_empty() && session.is_new());
        Ok(String::new())
    });
    site.get("values").assert_status(200).assert_no_header("set-cookie");
}

#[test]
fn settings_that_do_not_go_together_are_refused_at_start() {
    let app = crate::App::new(crate::Tree::new()).tool("/", Sessions::in_memory().same_site(SameSite::None));
    let message = app.build().expect_err("a browser would refuse the cookie").to_string();
    assert!(message.contains("`same_site` `none` needs `secure = true`"), "{message}");
}

#[test]
fn without_the_tool_the_argument_is_an_error_of_the_program() {
    assert_eq!(session::tool_is_off().status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(Session::of(&Exchange::new()).is_none());
    let error: Error = HttpError::new(StatusCode::CONFLICT, "").into();
    assert!(matches!(error.kind(), ErrorKind::Http(_)));
}

#[test]
fn a_value_of_another_type_is_not_destroyed() {
    let site = Site::new(as_is, |name, session| match name {
        "update" => {
            session.update("value", |number: &mut u32| *number += 1);
            Ok(String::new())
        }
        _ => Ok(format!("{:?}", session.pop::<u32>("value"))),
    });
    site.get("set").assert_status(200);
    site.get("update").assert_status(500);
    site.get("pop").assert_text("None");
    assert_eq!(site.value(), "old");
}
