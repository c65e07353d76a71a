//! The session of one request: what handlers, hooks and templates see.
//!
//! The exchange keeps one [`Session`] for each request. At first the session knows only the id in the cookie. It reads
//! nothing from the store before a caller needs it, and goes this way:
//!
//! ```text
//! Wanted ──admission, or the first write──► Held ──release_lock, forget, end──► Open ──acquire_lock──► Held
//!    └── mode explicit ───────────────────────────────────────────────────────► Open
//! ```
//!
//! `Held` may write. `Wanted` and `Open` show what the request has read last, or a snapshot. A session without a record
//! needs no lock, since no other request can know its id: it is `Held` without a hold. The values are compared with the
//! record of the store. Equal values are not written, and a rollback costs nothing.

mod acquiring;
mod backing;
mod failures;
mod locking;
mod saving;
#[cfg(feature = "cookie")]
mod sealed;
mod state;

use super::outliving::SessionTie;
use super::settings::Settings;
use super::shared::Shared;
use super::{Data, LockMode, SessionId, SessionView};
use crate::exchange::{Argument, ArgumentInfo, Arguments, Claim, Error, Exchange, HttpError, Request};
use ::http::StatusCode;
pub(super) use acquiring::Acquiring;
pub(super) use backing::Backings;
use backing::{Backing, Begun};
use failures::{Failure, changed_elsewhere};
use saving::Ending;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
pub(super) use state::State;
use state::{Fate, Known, Lock};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

/// The session of this request: values that stay from one request of a visitor to the next.
///
/// As an argument of a handler, `&Session` is locked: no other request of the same visitor runs such a handler at the
/// same time. So a handler that reads a value and sets it again loses nothing. Take [`SessionView`] to read without
/// waiting for other requests.
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
/// The values are saved when the handler has ended well, before the client sees a byte of the response. A response with
/// a status from 500 on, or a panic, saves nothing. A session without values has no record, no cookie and no lock. A
/// value is anything that [`serde`] can turn into JSON.
pub struct Session {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    claim: Claim,
    is_encrypted: bool,
    backing: Backing,
    /// When the request came.
    received: Instant,
    is_used: Cell<bool>,
    /// Whether a tool expects the lock, if one has said so.
    expects_lock: Cell<Option<bool>>,
    state: RefCell<State>,
}

impl Session {
    /// What ties a conversation or a stream to this session; `None` if this request does not know one that is stored.
    pub(super) fn tie(&self) -> Option<SessionTie> {
        let state = self.state.borrow();
        let stored = state.known.stored()?;
        Some(SessionTie::new(self.shared.clone(), stored.id, self.received))
    }
}

/// Reading.
impl Session {
    /// The session of the request, if the tool [`Sessions`](super::Sessions) is on for its path. For hooks and other
    /// code that has the exchange.
    ///
    /// A request may have no lock, because its handler needs none or its turn has not come. Then reading shows the
    /// values that were saved last, without waiting. Writing takes the lock. If another request has it, the write waits
    /// on the worker, so a tool that writes should announce that with [`expect_lock`](Self::expect_lock). The write
    /// fails with 409 if the session has changed since this request read it without the lock.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<&Self> {
        exchange.values.get()
    }

    /// The value of that name, if there is one and it is a `T`.
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

    /// The id of the session. A session that is not stored yet gets the id under which it will be stored.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.read(|_| ());
        let state = &mut *self.state.borrow_mut();
        match state.known.stored() {
            Some(stored) if state.fate == Fate::Keep => stored.id,
            _ => *state.fresh_id.get_or_insert_with(SessionId::random),
        }
    }

    /// Whether the store has no record of the session yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.read(|_| ());
        let state = self.state.borrow();
        state.known.stored().is_none() || state.fate == Fate::End
    }

    /// Whether the client asked for a session that does not exist: it has ended, or the client made the id up. Such an
    /// id is never adopted.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.read(|_| ());
        self.state.borrow().is_missing
    }

    /// Whether this request has looked into the session, locked it or changed it. Then the response may depend on the
    /// visitor, and is not for others. The lock that a request takes at admission does not count.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.is_used.get()
    }

    /// Whether this request may write.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.state.borrow().is_held()
    }
}

/// Writing. All of it needs the lock, which a handler with `&Session` has from the start, unless the mode is
/// [`LockMode::Explicit`].
impl Session {
    /// Sets a value. An equal value changes nothing.
    ///
    /// # Panics
    /// When the session is not locked (see [`acquire_lock`](Self::acquire_lock)), or the value cannot be turned into
    /// JSON. Every panic of a handler becomes a 500. [`try_set`](Self::try_set) returns an error instead.
    #[track_caller]
    pub fn set(&self, key: &str, value: impl Serialize) {
        let value = match serde_json::to_value(value) {
            Ok(value) => value,
            Err(error) => panic!("`set({key:?}, ...)`: {error}"),
        };
        self.must_change("set", |data| data.insert(key, value));
    }

    /// Sets a value, or returns the reason why it cannot.
    ///
    /// # Errors
    /// When the session is not locked, or the value cannot be turned into JSON.
    pub fn try_set(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        let value = serde_json::to_value(value)?;
        self.change(|data| data.insert(key, value))
    }

    /// Changes a value in place. Without a value it begins with `T::default()`. Returns the result of `change`.
    ///
    /// # Panics
    /// As [`set`](Self::set). Also when the session has a value of that name that is not a `T`; that value stays. After
    /// a change of types, [`get`](Self::get) the old value and [`set`](Self::set) the new one.
    #[track_caller]
    pub fn update<T, R>(&self, key: &str, change: impl FnOnce(&mut T) -> R) -> R
    where
        T: Serialize + DeserializeOwned + Default,
    {
        // First the lock, then the value: a value that was read before may be old.
        self.must_change("update", |_| ());
        let stored = self.read(|data| data.get(key).cloned());
        let mut value = match stored.map(|value| T::deserialize(&*value)) {
            None => T::default(),
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                let wanted = std::any::type_name::<T>();
                panic!("`update()`: the session's value {key:?} is not a {wanted}, and stays as it is: {error}")
            }
        };
        let result = change(&mut value);
        self.set(key, value);
        result
    }

    /// Removes a value. Returns whether there was one.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn remove(&self, key: &str) -> bool {
        self.must_change("remove", |data| data.remove(key)).is_some()
    }

    /// Removes a value and returns it, if there is one and it is a `T`. A value of another type stays.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn pop<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let stored = self.must_change("pop", |data| data.get(key).cloned())?;
        let value = from_value(key, &stored)?;
        self.must_change("pop", |data| data.remove(key));
        Some(value)
    }

    /// Removes all values. The session and its id stay.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn clear(&self) {
        self.must_change("clear", |data| *data = Data::new());
    }

    /// Gives the session another id. Call it when a visitor logs in: an attacker may have planted the old id in the
    /// visitor's browser. The values stay, the old id ends, and the new cookie has the same flags.
    ///
    /// Requests that still bring the old id have an unknown session. The order of this call and other changes does not
    /// matter.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn regenerate(&self) {
        self.must_change("regenerate", |_| ());
        let state = &mut *self.state.borrow_mut();
        state.fresh_id = None;
        if state.known.stored().is_some() && state.fate == Fate::Keep {
            state.fate = Fate::Renew;
        }
    }

    /// Ends the session: its record and its cookie go. Values that are set afterwards are in a new session with an id
    /// of its own.
    ///
    /// # Panics
    /// When the session is not locked.
    #[track_caller]
    pub fn delete(&self) {
        // A session that has ended already may be ended again, and a new one may begin.
        {
            let known = &mut self.state.borrow_mut().known;
            if matches!(known, Known::Vanished) {
                *known = Known::Absent;
            }
        }
        self.must_change("delete", |data| *data = Data::new());
        let state = &mut *self.state.borrow_mut();
        state.fresh_id = None;
        state.fate = Fate::End;
    }
}

/// The lock.
impl Session {
    /// Announces, in a hook before the body, whether the request needs the lock in `before_handler`, whatever its
    /// handler takes. With `true` the request waits for the lock without a worker, in every lock mode: for tools that
    /// write to the session in place of a page, such as a login. With `false` the request goes on without the lock,
    /// unless the handler takes [`&Session`](Session): for tools whose page is for all visitors, such as a cache.
    pub fn expect_lock(&self, enabled: bool) {
        self.expects_lock.set(Some(enabled));
    }

    /// Locks the session and reads it again. A session that this request has locked already stays as it is.
    ///
    /// Waits on the worker, behind the requests that came before, for `lock_timeout` at most.
    ///
    /// # Errors
    /// 503 with `Retry-After` when the lock was not free in time, when the store cannot be reached, or when too many
    /// requests wait on their workers (`server.waiting_threads`). 409 when the session has ended while the request
    /// waited: another request has logged in or out.
    pub fn acquire_lock(&self) -> Result<(), Error> {
        self.is_used.set(true);
        self.lock_now()?;
        self.state.borrow_mut().is_read_unlocked = false;
        self.is_still_there().map_err(Error::from)
    }

    /// Saves the changes and lets the next request of the session in. Reading afterwards shows the saved values. To
    /// write again, call [`acquire_lock`](Self::acquire_lock).
    ///
    /// A failure to save is logged at once, and the request is answered with 503.
    pub fn release_lock(&self) {
        let state = &mut *self.state.borrow_mut();
        if let Err(error) = self.end_here(state, Ending::Save) {
            state.failure.get_or_insert(error);
        }
    }

    /// Gives up all changes since the last save and lets the next request of the session in (web2py's
    /// `session.forget`).
    pub fn forget(&self) {
        // Only the return of the lock can fail. Then the lock lapses.
        let _ = self.end_here(&mut self.state.borrow_mut(), Ending::RollBack);
    }
}

/// For the tool.
impl Session {
    pub(super) fn new(shared: Arc<Shared>, settings: Arc<Settings>, request: &Request) -> Self {
        let Begun { backing, client, others, known } = shared.backings.begin(&settings, request);
        let state = State::new(settings.lock, client, others, known);
        Self {
            shared,
            settings,
            claim: Claim::new(request.id(), request.path()),
            is_encrypted: request.is_secure(),
            backing,
            received: request.received(),
            is_used: Cell::new(false),
            expects_lock: Cell::new(None),
            state: RefCell::new(state),
        }
    }

    /// Goes on with the next resource of the same request, after an internal redirect. `false` if that resource has
    /// other sessions.
    pub(super) fn go_on(&mut self, shared: &Arc<Shared>, settings: &Arc<Settings>, request: &Request) -> bool {
        if !Arc::ptr_eq(&self.shared, shared) {
            return false;
        }
        self.settings = Arc::clone(settings);
        self.claim = Claim::new(request.id(), request.path());
        self.expects_lock.set(None);
        let state = self.state.get_mut();
        if !state.is_held() {
            state.lock = Lock::at_start(settings.lock);
        }
        true
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ends the hold: saves if `is_success`, else rolls back. A hold that has ended already needs neither.
    pub(super) fn end(&self, is_success: bool) {
        let state = &mut *self.state.borrow_mut();
        if let Err(error) = self.end_here(state, if is_success { Ending::Save } else { Ending::RollBack }) {
            state.failure.get_or_insert(error);
        }
    }

    /// A snapshot. It shows the values of this request if it has read the session already, else those of the store.
    pub(super) fn view(&self) -> Result<SessionView, Failure> {
        self.is_used.set(true);
        self.look()?;
        Ok(SessionView::new(self.state.borrow().data.clone()))
    }

    /// Reads. If the store fails, the request ends with that failure, and reads nothing until then.
    fn read<R>(&self, read: impl FnOnce(&Data) -> R) -> R {
        self.is_used.set(true);
        let has_failed = self.state.borrow().failure.is_some();
        if !has_failed && let Err(failure) = self.look() {
            self.state.borrow_mut().failure = Some(failure);
        }
        let state = &mut *self.state.borrow_mut();
        state.is_read_unlocked |= matches!(state.lock, Lock::Wanted);
        read(&state.data)
    }

    /// Whether this request may write now.
    fn may_change(&self) -> Result<(), Refused> {
        self.is_used.set(true);
        let wants_lock = matches!(self.state.borrow().lock, Lock::Wanted);
        if wants_lock {
            self.lock_what_was_read().map_err(Refused::Failed)?;
        }
        self.is_still_there().map_err(Refused::Failed)?;
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

    /// Takes the lock. 409 if the session has changed since it was read without the lock: the next write may depend on
    /// the old values.
    fn lock_what_was_read(&self) -> Result<(), Failure> {
        let version = |state: &State| state.known.stored().map(|stored| stored.version);
        let seen = {
            let state = &mut *self.state.borrow_mut();
            std::mem::take(&mut state.is_read_unlocked).then(|| version(state))
        };
        self.lock_now()?;
        match seen {
            Some(seen) if seen != version(&self.state.borrow()) => {
                self.shared.counters.count_conflict();
                Err(changed_elsewhere())
            }
            _ => Ok(()),
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut Data) -> R) -> Result<R, Error> {
        match self.may_change() {
            Ok(()) => Ok(change(&mut self.state.borrow_mut().data)),
            Err(Refused::Failed(failure)) => Err(failure.into()),
            Err(Refused::Unlocked(what)) => Err(Error::unexpected(what)),
        }
    }

    /// If the lock or the store fails, the request ends with that failure, and writes into a copy until then.
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
    Failed(Failure),
}

impl<'a> Argument<'a> for &'a Session {
    const INFO: ArgumentInfo = ArgumentInfo { requires: Some("sessions"), locks_session: true, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let session = arguments.values.get::<Session>().ok_or_else(tool_is_off)?;
        session.prepare().map_err(|failure| *failure)?;
        Ok(session)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.state.get_mut().saving.is_some() {
            self.finish_alone();
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ok(state) = self.state.try_borrow() else { return f.write_str("Session") };
        let id = state.known.stored().map(|stored| stored.id).or(state.client);
        f.debug_struct("Session").field("id", &id).field("locked", &state.is_held()).field("data", &state.data).finish()
    }
}

pub(super) fn tool_is_off() -> HttpError {
    crate::line::record!(Error, target: "kirsch::sessions", "a handler asks for the session where the tool `sessions` is off");
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
}

pub(super) fn from_value<T: DeserializeOwned>(key: &str, value: &Value) -> Option<T> {
    match T::deserialize(value) {
        Ok(value) => Some(value),
        Err(error) => {
            let wanted = std::any::type_name::<T>();
            crate::line::record!(Warn, target: "kirsch::sessions", "the session's value {key:?} is not a {wanted}: {error}");
            None
        }
    }
}
