//! The session of one request: what handlers, hooks and templates see.
//!
//! There is one [`Session`] per request, kept in the exchange, whoever asks (A42). It starts knowing only the id in the cookie, and goes
//! this way; nothing is read from the store before somebody needs it:
//!
//! ```text
//! Wanted ──admission, or the first use──► Held ──release_lock, forget, end──► Open ──acquire_lock──► Held
//!    └── mode explicit ─────────────────────────────────────────────────────► Open
//! ```
//!
//! `Held` may write. `Open` reads what was read last, or a snapshot. A session without a record needs no lock, since nobody else
//! can know its id: it is `Held` by nothing. What is changed is compared with `stored`, what the store has: equal is not written, and
//! going back costs nothing.

mod saving;
#[cfg(feature = "cookie")]
mod sealed;

use super::hold::{Asked, Contender, Hold};
use super::lock_table::{Claim, LockGuard, LockStatus};
use super::settings::Settings;
use super::tool::Shared;
use super::{Data, LockMode, Moment, Record, SessionId, SessionView, StoreFuture, Version};
use crate::exchange::{Argument, ArgumentInfo, Arguments, Error, Exchange, HttpError, Request, Step, Trail};
use crate::primitive::{self, Unpark};
use ::http::StatusCode;
use saving::{Saving, changed_elsewhere, roll_back, try_again};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The session of this request: values that stay from one request of a visitor to the next.
///
/// As an argument of a handler, `&Session` is locked: no other request of the same visitor runs such a handler at the same time, so
/// that reading a value and setting it again loses nothing. Take [`SessionView`] to read without waiting for anybody.
///
/// ```no_run
/// # use kirsch::prelude::*;
/// fn count(session: &Session) -> String {
///     let count = session.update("count", |count: &mut u64| {
///         *count += 1;
///         *count
///     });
///     format!("You were here {count} times.")
/// }
/// ```
///
/// What was set is saved when the handler has ended well, and before the client sees a byte of the response; a response with a status from
/// 500 on, or a panic, saves nothing. A session that nothing was written to has no record, no cookie and no lock. Values are what
/// [`serde`] can turn into JSON.
pub struct Session {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    claim: Claim,
    is_encrypted: bool,
    is_used: Cell<bool>,
    state: RefCell<State>,
}

struct State {
    lock: Lock,
    /// The id that the client has.
    client: Option<SessionId>,
    /// For sessions that are in their cookies.
    #[cfg(feature = "cookie")]
    brought: Option<Box<sealed::Brought>>,
    is_loaded: bool,
    is_missing: bool,
    /// What the store has.
    stored: Option<Stored>,
    /// What this request sees.
    data: Data,
    /// What becomes of `stored` at the next commit.
    fate: Fate,
    /// That commit, while the store is at it.
    saving: Option<Box<Saving>>,
    /// The id for what is not stored yet, once somebody asked for it.
    fresh_id: Option<SessionId>,
    /// The record was deleted and nothing came in its place.
    is_ended: bool,
    /// The life of the record was extended in this request.
    is_touched: bool,
    /// The first thing that went wrong where it could not be returned; the end of the request answers with it.
    failure: Option<HttpError>,
}

enum Lock {
    Wanted,
    /// `None`: there is no record, so there is nothing to lock.
    Held(Option<Hold>),
    Open,
}

struct Stored {
    id: SessionId,
    version: Version,
    data: Data,
    cookie_age: Duration,
    /// When its life ends unless it is extended.
    expires: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    /// The data goes on under another id.
    Renew,
    /// The record ends; what is set afterwards is another session.
    End,
}

/// Reading.
impl Session {
    /// The session of the request, if the tool [`Sessions`](super::Sessions) is on for its path. For hooks and whoever else has the exchange.
    ///
    /// Where the request has no lock yet, because its handler needs none, the first use of the session waits for it on the worker.
    /// [`SessionView`] of a handler never does.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<&Self> {
        exchange.values.get()
    }

    /// The value of that name, if it is there and is a `T`.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let value = self.read(|data| data.get(key).cloned())?;
        from_value(key, &value)
    }

    /// Whether there is a value of that name.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.read(|data| data.get(key).is_some())
    }

    /// The names, in the order in which they came.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.read(|data| data.iter().map(|(key, _)| key.to_owned()).collect())
    }

    /// The id of the session. One that is not stored yet gets the id that it will be stored under.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.read(|_| ());
        let state = &mut *self.state.borrow_mut();
        match &state.stored {
            Some(stored) if state.fate == Fate::Keep => stored.id,
            _ => *state.fresh_id.get_or_insert_with(SessionId::random),
        }
    }

    /// Whether the store has no record of the session yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.read(|_| ());
        let state = self.state.borrow();
        state.stored.is_none() || state.fate == Fate::End
    }

    /// Whether the client asked for a session that is not there (any more): it has ended, or the id was made up. The id is never
    /// adopted.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.read(|_| ());
        self.state.borrow().is_missing
    }

    /// Whether anything in this request has looked into the session, locked it or changed it: then the response may depend on who asks,
    /// and is not for others. Waiting for the lock at admission, as the lock mode has it, does not count.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.is_used.get()
    }

    /// Whether this request may write.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self.state.borrow().lock, Lock::Held(_))
    }
}

/// Writing. All of it needs the lock, which a handler with `&Session` has from the start, unless the mode is
/// [`LockMode::Explicit`].
impl Session {
    /// Sets a value. The one that is there already changes nothing.
    ///
    /// # Panics
    /// When the session is not locked (see [`acquire_lock`](Self::acquire_lock)), or the value cannot be turned into JSON. Like every
    /// panic of a handler it becomes a 500. [`try_set`](Self::try_set) returns an error instead.
    #[track_caller]
    pub fn set(&self, key: &str, value: impl Serialize) {
        let value = match serde_json::to_value(value) {
            Ok(value) => value,
            Err(error) => panic!("`set({key:?}, ...)`: {error}"),
        };
        self.must_change("set", |data| data.insert(key, value));
    }

    /// Sets a value, or says why not.
    ///
    /// # Errors
    /// When the session is not locked, or the value cannot be turned into JSON.
    pub fn try_set(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        let value = serde_json::to_value(value)?;
        self.change(|data| data.insert(key, value))
    }

    /// Changes a value in place: `T::default()` if there is none. Returns what `change` returns.
    ///
    /// # Panics
    /// As [`set`](Self::set).
    #[track_caller]
    pub fn update<T, R>(&self, key: &str, change: impl FnOnce(&mut T) -> R) -> R
    where
        T: Serialize + DeserializeOwned + Default,
    {
        // First the lock, then the value: what is read before may be old.
        self.must_change("update", |_| ());
        let mut value = self.get(key).unwrap_or_default();
        let result = change(&mut value);
        self.set(key, value);
        result
    }

    /// Removes a value. Returns whether it was there.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn remove(&self, key: &str) -> bool {
        self.must_change("remove", |data| data.remove(key)).is_some()
    }

    /// Removes a value and returns it, if it was there and is a `T`.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn pop<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let value = self.must_change("pop", |data| data.remove(key))?;
        from_value(key, &value)
    }

    /// Removes all values. The session and its id stay.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn clear(&self) {
        self.must_change("clear", |data| *data = Data::new());
    }

    /// Gives the session another id: call it when a visitor logs in, so that an id that somebody planted on him before is worth
    /// nothing. The values stay, the old id ends, the new cookie has the same flags.
    ///
    /// Requests that still come with the old id meet an unknown one. Called before or after anything else, it has the same effect.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn regenerate(&self) {
        self.must_change("regenerate", |_| ());
        let state = &mut *self.state.borrow_mut();
        state.fresh_id = None;
        if state.stored.is_some() && state.fate == Fate::Keep {
            state.fate = Fate::Renew;
        }
    }

    /// Ends the session: its record and its cookie go. What is set afterwards is in a new session with an id of its own.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn delete(&self) {
        self.must_change("delete", |data| *data = Data::new());
        let state = &mut *self.state.borrow_mut();
        state.fresh_id = None;
        state.fate = Fate::End;
    }
}

/// The lock.
impl Session {
    /// Locks the session and reads it anew. A session that this request has locked already stays as it is.
    ///
    /// Waits on the worker, behind the requests that came before, `lock_timeout` at most.
    ///
    /// # Errors
    /// 503 with `Retry-After` when the lock was not free in time, or the store cannot be reached.
    pub fn acquire_lock(&self) -> Result<(), Error> {
        self.is_used.set(true);
        self.lock_now().map_err(Error::from)
    }

    /// Saves what was changed and lets the next request of the session in. What is read afterwards is what was saved; to write again,
    /// [`acquire_lock`](Self::acquire_lock).
    ///
    /// A failure to save is logged at once and answered at the end of the request with 503.
    pub fn release_lock(&self) {
        let state = &mut *self.state.borrow_mut();
        if let Err(error) = self.end_hold(state, true) {
            state.failure.get_or_insert(error);
        }
    }

    /// Gives up what was changed since the last save and lets the next request of the session in (web2py's `session.forget`).
    pub fn forget(&self) {
        let state = &mut *self.state.borrow_mut();
        roll_back(state);
        state.lock = Lock::Open;
    }
}

/// For the tool.
impl Session {
    pub(super) fn new(shared: Arc<Shared>, settings: Arc<Settings>, request: &Request) -> Self {
        #[cfg(feature = "cookie")]
        let brought = shared.seal.is_some().then(|| sealed::Brought::new(settings.cookie.values(request)));
        #[cfg(feature = "cookie")]
        let (is_sealed, is_empty) = brought.as_ref().map_or((false, true), |brought| (true, brought.is_empty()));
        #[cfg(not(feature = "cookie"))]
        let (is_sealed, is_empty) = (false, true);
        let client = if is_sealed { None } else { settings.cookie.read(request) };
        let state = State {
            lock: initial_lock(settings.lock),
            client,
            #[cfg(feature = "cookie")]
            brought,
            is_loaded: client.is_none() && is_empty,
            is_missing: false,
            stored: None,
            data: Data::new(),
            fate: Fate::Keep,
            saving: None,
            fresh_id: None,
            is_ended: false,
            is_touched: false,
            failure: None,
        };
        let claim = Claim::new(request.id(), request.path());
        Self {
            shared,
            settings,
            claim,
            is_encrypted: request.origin().is_secure(),
            is_used: Cell::new(false),
            state: RefCell::new(state),
        }
    }

    /// Goes on with the next resource of the same request, after an internal redirect. `false` if it has other sessions.
    pub(super) fn go_on(&mut self, shared: &Arc<Shared>, settings: &Arc<Settings>, request: &Request) -> bool {
        if !Arc::ptr_eq(&self.shared, shared) {
            return false;
        }
        self.settings = Arc::clone(settings);
        self.claim = Claim::new(request.id(), request.path());
        let state = self.state.get_mut();
        if !matches!(state.lock, Lock::Held(_)) {
            state.lock = initial_lock(settings.lock);
        }
        true
    }

    /// The lock that the handler needs before it may run, if it has to be waited for.
    pub(super) fn lock_for_handler(&self, trail: &Trail) -> Option<SessionId> {
        #[cfg(feature = "cookie")]
        if self.shared.seal.is_some() {
            return None;
        }
        let is_needed = match self.settings.lock {
            LockMode::Explicit => false,
            LockMode::Lazy => trail.locks_session(),
            _ if trail.locks_session() => true,
            // Behind a node that is resolved late there may be any handler. Without a handler there is only an error page.
            _ => {
                !trail.views_session()
                    && (trail.handler().is_some() || trail.steps().iter().any(|step| matches!(step, Step::Late { .. })))
            }
        };
        let state = self.state.borrow();
        if !is_needed || matches!(state.lock, Lock::Held(_)) {
            return None;
        }
        record_id(&state)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    pub(super) fn lock_deadline(&self, now: Moment) -> Instant {
        now.later(self.settings.lock_timeout).monotonic
    }

    /// Whether no other process has a part in the store, so that the lock within this one is all there is.
    pub(super) fn is_alone(&self) -> bool {
        !self.settings.shared || self.shared.store.shared_lock().is_none()
    }

    /// What a handler that only looks will see, if the store can bring it without blocking.
    pub(super) fn view_for_handler(
        &self,
        trail: &Trail,
        now: Moment,
    ) -> Option<(SessionId, StoreFuture<Option<Record>>)> {
        #[cfg(feature = "cookie")]
        if self.shared.seal.is_some() {
            return None;
        }
        let state = self.state.borrow();
        let store = self.shared.store.later()?;
        let id = state.client.filter(|_| !state.is_loaded && trail.views_session())?;
        Some((id, store.load_later(&id, now)))
    }

    /// This is it.
    pub(super) fn looked(&self, id: SessionId, record: Option<Record>, now: Moment) -> Result<(), HttpError> {
        self.take(&mut self.state.borrow_mut(), id, record, now)
    }

    /// The lock within this process is there: on to the one between processes.
    pub(super) fn contend(&self, guard: LockGuard) -> Box<Contender> {
        Contender::new(&self.shared, &self.claim, self.settings.lock_lease, guard)
    }

    /// The lock is this request's: reads the record anew, unless it came along with the lock. If there is none (any more), there is
    /// nothing to lock.
    #[expect(
        clippy::option_option,
        reason = "the outer one says whether it came along, the inner one whether there is one"
    )]
    pub(super) fn enter(&self, hold: Hold, record: Option<Option<Record>>, now: Moment) -> Result<(), HttpError> {
        let id = *hold.id();
        let state = &mut *self.state.borrow_mut();
        match record {
            Some(record) => self.take(state, id, record, now)?,
            None => self.load(state, id, now)?,
        }
        state.lock = Lock::Held(state.stored.is_some().then_some(hold));
        Ok(())
    }

    /// The answer when the lock was not free in time; tells the log who had it.
    pub(super) fn gave_up(&self, holder: Option<&LockStatus>) -> HttpError {
        self.shared.count_lock_timeout();
        let (path, request, limit) = (self.claim.path(), self.claim.request(), self.settings.lock_timeout);
        match holder {
            Some(holder) => {
                crate::line::record!(Warn, target: "kirsch::sessions", "{path} (request {request}) gave up after {limit:?}: {holder}");
            }
            None => {
                crate::line::record!(Warn, target: "kirsch::sessions", "{path} (request {request}) gave up after {limit:?}")
            }
        }
        try_again("Another request of your session takes too long. Please try again.")
    }

    /// The same when the lock between processes was not free in time. Only the other process knows who had it.
    pub(super) fn gave_up_elsewhere(&self, id: &SessionId) -> HttpError {
        self.shared.count_lock_timeout();
        let (path, request, limit) = (self.claim.path(), self.claim.request(), self.settings.lock_timeout);
        crate::line::record!(Warn,
            target: "kirsch::sessions",
            "{path} (request {request}) gave up after {limit:?}: session {id} is locked in another process; its `Sessions::locks` says by whom"
        );
        try_again("Another request of your session takes too long. Please try again.")
    }

    /// Ends the hold: saves if `is_success`, else rolls back. Nothing to do if it has ended already.
    pub(super) fn end(&self, is_success: bool) {
        let state = &mut *self.state.borrow_mut();
        if let Err(error) = self.end_hold(state, is_success) {
            state.failure.get_or_insert(error);
        }
    }

    /// A snapshot: of what this request sees if it has read the session already, else of what the store has.
    pub(super) fn view(&self) -> Result<SessionView, HttpError> {
        self.is_used.set(true);
        self.look()?;
        Ok(SessionView::new(self.state.borrow().data.clone()))
    }

    /// Reads the record without its lock, if nothing was read yet.
    fn look(&self) -> Result<(), HttpError> {
        let state = &mut *self.state.borrow_mut();
        #[cfg(feature = "cookie")]
        if let Some(seal) = &self.shared.seal {
            return self.open_cookie(state, seal, Moment::now());
        }
        match (state.is_loaded, state.client) {
            (false, Some(id)) => self.load(state, id, Moment::now()),
            _ => Ok(()),
        }
    }

    /// Makes the session ready for its first use by a handler.
    fn prepare(&self) -> Result<(), HttpError> {
        self.is_used.set(true);
        let wants_lock = matches!(self.state.borrow().lock, Lock::Wanted);
        if wants_lock { self.lock_now() } else { self.look() }
    }

    fn lock_now(&self) -> Result<(), HttpError> {
        let id = {
            let state = &mut *self.state.borrow_mut();
            if matches!(state.lock, Lock::Held(_)) {
                return Ok(());
            }
            // What the client has in its hands cannot be locked.
            #[cfg(feature = "cookie")]
            if let Some(seal) = &self.shared.seal {
                self.open_cookie(state, seal, Moment::now())?;
                state.lock = Lock::Held(None);
                return Ok(());
            }
            match record_id(state) {
                Some(id) => id,
                None => {
                    state.is_loaded = true;
                    state.lock = Lock::Held(None);
                    return Ok(());
                }
            }
        };
        let deadline = self.lock_deadline(Moment::now());
        let guard = self.shared.locks.acquire_blocking(id, &self.claim, deadline);
        let guard = guard.map_err(|timed_out| self.gave_up(timed_out.holder.as_ref()))?;
        if self.is_alone() {
            return self.enter(Hold::local(guard), None, Moment::now());
        }
        self.win_now(self.contend(guard), deadline)
    }

    /// The lock between processes, waited for on this thread.
    fn win_now(&self, mut contender: Box<Contender>, deadline: Instant) -> Result<(), HttpError> {
        let waker = Unpark::waker();
        loop {
            match self.answered(contender.ask(&waker))? {
                Asked::Won(hold, record) => return self.enter(hold, record, Moment::now()),
                Asked::Taken(again) | Asked::Unanswered(again) => contender = again,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.gave_up_elsewhere(contender.id()));
            }
            primitive::park_timeout(left);
        }
    }

    /// Reads; where that needs a lock or the store and fails, the request ends with that failure, and meanwhile reads nothing.
    fn read<R>(&self, read: impl FnOnce(&Data) -> R) -> R {
        let has_failed = self.state.borrow().failure.is_some();
        if !has_failed && let Err(failure) = self.prepare() {
            self.state.borrow_mut().failure = Some(failure);
        }
        read(&self.state.borrow().data)
    }

    /// Whether this request may write now.
    fn may_change(&self) -> Result<(), Refused> {
        self.is_used.set(true);
        let wants_lock = matches!(self.state.borrow().lock, Lock::Wanted);
        if wants_lock {
            self.lock_now().map_err(Refused::Failed)?;
        }
        match &self.state.borrow().lock {
            Lock::Held(Some(hold)) if hold.is_lost() => Err(Refused::Failed(changed_elsewhere())),
            Lock::Held(_) => Ok(()),
            _ if self.settings.lock == LockMode::Explicit => Err(Refused::Unlocked(
                "the session is not locked: with `lock = \"explicit\"` call `session.acquire_lock()?` before you write",
            )),
            _ => Err(Refused::Unlocked(
                "the session is not locked any more: call `session.acquire_lock()?` before you write again",
            )),
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut Data) -> R) -> Result<R, Error> {
        match self.may_change() {
            Ok(()) => Ok(change(&mut self.state.borrow_mut().data)),
            Err(Refused::Failed(failure)) => Err(failure.into()),
            Err(Refused::Unlocked(what)) => Err(Error::unexpected(what)),
        }
    }

    /// Where the lock or the store fails, the request ends with that failure; meanwhile what is written goes nowhere.
    #[track_caller]
    fn must_change<R>(&self, method: &str, change: impl FnOnce(&mut Data) -> R) -> R {
        match self.may_change() {
            Ok(()) => change(&mut self.state.borrow_mut().data),
            Err(Refused::Failed(failure)) => {
                let state = &mut *self.state.borrow_mut();
                state.failure.get_or_insert(failure);
                change(&mut state.data.clone())
            }
            Err(Refused::Unlocked(what)) => panic!("`{method}()`: {what}"),
        }
    }
}

/// Why a request may not write.
enum Refused {
    /// The program has not locked the session.
    Unlocked(&'static str),
    /// The lock or the store has failed.
    Failed(HttpError),
}

impl<'a> Argument<'a> for &'a Session {
    const INFO: ArgumentInfo = ArgumentInfo { requires: Some("sessions"), locks_session: true, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let session = arguments.values.get::<Session>().ok_or_else(tool_is_off)?;
        session.prepare()?;
        Ok(session)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ok(state) = self.state.try_borrow() else { return f.write_str("Session") };
        let id = state.stored.as_ref().map(|stored| stored.id).or(state.client);
        let is_locked = matches!(state.lock, Lock::Held(_));
        f.debug_struct("Session").field("id", &id).field("locked", &is_locked).field("data", &state.data).finish()
    }
}

pub(super) fn tool_is_off() -> HttpError {
    crate::line::record!(Error, target: "kirsch::sessions", "a handler asks for the session where the tool `sessions` is off");
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
}

fn initial_lock(mode: LockMode) -> Lock {
    if mode == LockMode::Explicit { Lock::Open } else { Lock::Wanted }
}

/// The record that a lock would be for.
fn record_id(state: &State) -> Option<SessionId> {
    if state.is_loaded { state.stored.as_ref().map(|stored| stored.id) } else { state.client }
}

pub(super) fn from_value<T: DeserializeOwned>(key: &str, value: &Value) -> Option<T> {
    match T::deserialize(value) {
        Ok(value) => Some(value),
        Err(error) => {
            let wanted = std::any::type_name::<T>();
            crate::line::record!(Warn, target: "kirsch::sessions", "the session's value {key:?} is no {wanted}: {error}");
            None
        }
    }
}
