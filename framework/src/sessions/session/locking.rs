//! How a request comes to its session's lock: what it waits for before its handler, and what it may wait for later, on its worker.
//!
//! Requests wait parked, in the admission. On a worker only a handler waits, for a lock that was not known to be wanted before (it calls `acquire_lock`, or
//! its signature is not known at start); and whoever writes, elsewhere, what nobody has locked. Such waits are among those that may hold only a part of the workers. Reading
//! waits for no lock.

use super::{Lock, LockMode, Session, State, changed_elsewhere, record_id, try_again};
use crate::exchange::{Blocking, HandlerRef, HttpError, Step, Trail, WaitsFor};
use crate::primitive::{self, Unpark};
use crate::sessions::hold::{Asked, Contender, Hold};
use crate::sessions::lock_table::{LockGuard, LockStatus};
use crate::sessions::tool::Shared;
use crate::sessions::{Answer, Answers, Moment, Record, SessionId, Store};
use std::time::{Duration, Instant};

/// What a request waits for before its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sessions) enum Wanted {
    Nothing,
    Lock,
    /// To see what is in the session, without a lock.
    Look,
}

/// Before the handler.
impl Session {
    /// What the request waits for, before its body is read if `is_early`.
    pub(in crate::sessions) fn wanted(&self, trail: &Trail, is_early: bool, has_waited: bool) -> Wanted {
        let was_seen = has_waited && self.forget_snapshot();
        #[cfg(feature = "cookie")]
        if self.shared.seal.is_some() {
            return Wanted::Nothing;
        }
        let state = self.state.borrow();
        let is_held = matches!(state.lock, Lock::Held(_));
        if !is_held && record_id(&state).is_some() && self.needs_lock(trail, is_early) {
            return Wanted::Lock;
        }
        // A store that answers at once is looked into when somebody asks.
        let is_worth_it = self.shared.answers != Answers::AtOnce && !state.is_loaded && state.client.is_some();
        if is_worth_it && (trail.views_session() || was_seen) { Wanted::Look } else { Wanted::Nothing }
    }

    fn needs_lock(&self, trail: &Trail, is_early: bool) -> bool {
        match (self.settings.lock, self.expects_lock.get()) {
            // What a tool has to do comes after the body in any mode.
            (_, Some(true)) if !is_early => true,
            (LockMode::Explicit, _) => false,
            (LockMode::Lazy, _) => trail.locks_session(),
            _ if trail.locks_session() => true,
            // A handler that was not made by a macro may take the session, though nobody knows.
            (_, Some(false)) if matches!(trail.handler, Some(HandlerRef::Static(_))) => false,
            // Behind a node that is resolved late there may be any handler. Without a handler there is only an error page.
            _ => {
                !trail.views_session()
                    && (trail.handler().is_some() || trail.steps().iter().any(|step| matches!(step, Step::Late { .. })))
            }
        }
    }

    /// What was seen without the lock before a long wait is seen anew after it. Whether anything was.
    fn forget_snapshot(&self) -> bool {
        let state = &mut *self.state.borrow_mut();
        let is_snapshot = state.is_loaded && state.client.is_some() && !matches!(state.lock, Lock::Held(_));
        #[cfg(feature = "cookie")]
        if self.shared.seal.is_some() {
            // The client has the content; only the end of the session can be news.
            state.is_doubtful = is_snapshot;
            return is_snapshot;
        }
        if is_snapshot {
            state.is_loaded = false;
        }
        is_snapshot
    }

    /// The record that the lock is for: of several that the client names, the first that is there.
    pub(in crate::sessions) fn lock_id(&self, now: Moment) -> Result<Option<SessionId>, HttpError> {
        let state = &mut *self.state.borrow_mut();
        self.choose(state, now)?;
        Ok(record_id(state))
    }

    /// What a handler that only looks will see; `None` where it is not clear which record.
    pub(in crate::sessions) fn look_later(&self, now: Moment) -> Option<(SessionId, Answer<Option<Record>>)> {
        let state = self.state.borrow();
        let id = state.client.filter(|_| state.others.is_empty())?;
        Some((id, self.shared.store.load(&id, now)))
    }

    /// This is it.
    pub(in crate::sessions) fn looked(
        &self,
        id: SessionId,
        record: Option<Record>,
        now: Moment,
    ) -> Result<(), HttpError> {
        self.take(&mut self.state.borrow_mut(), id, record, now)
    }

    pub(in crate::sessions) fn lock_timeout(&self) -> Duration {
        self.settings.lock_timeout
    }

    /// Whether no other process has a part in the store, so that the lock within this one is all there is.
    pub(in crate::sessions) fn is_alone(&self) -> bool {
        !self.settings.shared || self.shared.store.shared_lock().is_none()
    }

    /// Whether calls of the store keep a thread waiting, so that each needs a place among the waits.
    pub(in crate::sessions) fn needs_place(&self) -> bool {
        self.shared.answers == Answers::Blocking
    }

    /// Whether the end of the request may have to ask the store.
    pub(in crate::sessions) fn has_business(&self) -> bool {
        let state = self.state.borrow();
        state.stored.is_some() || !state.data.is_empty()
    }

    /// The lock within this process is there: on to the one between processes.
    pub(in crate::sessions) fn contend(&self, guard: LockGuard) -> Box<Contender> {
        Contender::new(&self.shared, &self.claim, self.settings.lock_lease, guard)
    }

    /// A request of another process has had the session meanwhile.
    pub(in crate::sessions) fn note_wait_elsewhere(&self) {
        self.state.borrow_mut().has_waited_elsewhere = true;
    }

    /// The lock is this request's: reads the record anew, unless it came along with the lock. If there is none (any more), there is
    /// nothing to lock.
    #[expect(
        clippy::option_option,
        reason = "the outer one says whether it came along, the inner one whether there is one"
    )]
    pub(in crate::sessions) fn enter(
        &self,
        hold: Hold,
        record: Option<Option<Record>>,
        now: Moment,
    ) -> Result<(), HttpError> {
        let id = *hold.id();
        let state = &mut *self.state.borrow_mut();
        match record {
            Some(record) => self.take(state, id, record, now)?,
            None => self.load(state, id, now)?,
        }
        state.lock = Lock::Held(state.stored.is_some().then_some(hold));
        state.is_read_unlocked = false;
        Ok(())
    }

    /// The answer when the lock was not free in time.
    pub(in crate::sessions) fn gave_up(&self) -> HttpError {
        self.shared.count_lock_timeout();
        try_again("Another request of your session takes too long. Please try again.")
    }

    /// The same for a request that has waited on its worker; tells the log who had the lock.
    fn gave_up_here(&self, holder: Option<&LockStatus>) -> HttpError {
        let (path, request, limit) = (self.claim.path(), self.claim.request(), self.settings.lock_timeout);
        match holder {
            Some(holder) => {
                crate::line::record!(Warn, target: "kirsch::sessions", "{path} (request {request}) gave up after {limit:?}: {holder}");
            }
            None => {
                crate::line::record!(Warn, target: "kirsch::sessions", "{path} (request {request}) gave up after {limit:?}");
            }
        }
        self.gave_up()
    }

    /// The same when the lock between processes was not free in time. Only the other process knows who had it.
    fn gave_up_elsewhere(&self, id: &SessionId) -> HttpError {
        let (path, request, limit) = (self.claim.path(), self.claim.request(), self.settings.lock_timeout);
        crate::line::record!(Warn,
            target: "kirsch::sessions",
            "{path} (request {request}) gave up after {limit:?}: session {id} is locked in another process; its `Sessions::locks` says by whom"
        );
        self.gave_up()
    }
}

/// On the worker.
impl Session {
    /// Makes the session ready for a handler that takes it. It has the lock since its admission, unless its signature was not known at start.
    pub(super) fn prepare(&self) -> Result<(), HttpError> {
        self.is_used.set(true);
        let wants_lock = matches!(self.state.borrow().lock, Lock::Wanted);
        if wants_lock { self.lock_now() } else { self.look() }?;
        self.is_still_there()
    }

    /// 409 if the session has ended while the request waited: it was locked by whoever has ended it. What came in its place is for who has its new
    /// cookie; that a request with the old id may follow to it would let in who has planted that id.
    pub(super) fn is_still_there(&self) -> Result<(), HttpError> {
        if self.state.borrow().has_vanished {
            self.shared.count_conflict();
            return Err(changed_elsewhere());
        }
        Ok(())
    }

    /// Reads the record without its lock, if nothing was read yet.
    pub(in crate::sessions) fn look(&self) -> Result<(), HttpError> {
        let state = &mut *self.state.borrow_mut();
        #[cfg(feature = "cookie")]
        if let Some(seal) = &self.shared.seal {
            return self.open_cookie(state, seal, Moment::now());
        }
        let now = Moment::now();
        self.choose(state, now)?;
        match (state.is_loaded, state.client) {
            (false, Some(id)) => self.load(state, id, now),
            _ => Ok(()),
        }
    }

    /// Of several ids that the client has sent, the first that has a record is its session: the others may be anybody's, planted by a neighbour
    /// below the same domain.
    fn choose(&self, state: &mut State, now: Moment) -> Result<(), HttpError> {
        if state.others.is_empty() || state.is_loaded {
            return Ok(());
        }
        let others = std::mem::take(&mut state.others);
        for id in state.client.into_iter().chain(others) {
            let record = self.ask(|store| store.load(&id, now))?;
            if record.is_some() {
                state.client = Some(id);
                return self.take(state, id, record, now);
            }
        }
        Ok(())
    }

    /// Asks the store, and waits for its answer on this thread.
    pub(super) fn ask<T>(&self, ask: impl FnOnce(&dyn Store) -> Answer<T>) -> Result<T, HttpError> {
        let _blocking = self.shared.block()?;
        self.answered(ask(&*self.shared.store).wait())
    }

    pub(super) fn lock_now(&self) -> Result<(), HttpError> {
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
            self.choose(state, Moment::now())?;
            match record_id(state) {
                Some(id) => id,
                None => {
                    state.is_loaded = true;
                    state.lock = Lock::Held(None);
                    return Ok(());
                }
            }
        };
        let now = Moment::now();
        let deadline = now.later(self.settings.lock_timeout).monotonic;
        let guard = match self.shared.locks.try_acquire(id, &self.claim, now.monotonic) {
            Some(guard) => guard,
            None => {
                let _blocking = Blocking::here(WaitsFor::Others)?;
                let guard = self.shared.locks.acquire_blocking(id, &self.claim, deadline);
                guard.map_err(|timed_out| self.gave_up_here(timed_out.holder.as_ref()))?
            }
        };
        if self.is_alone() {
            return self.enter(Hold::local(guard), None, Moment::now());
        }
        let _blocking = Blocking::here(WaitsFor::Others)?;
        self.win_now(self.contend(guard), deadline)
    }

    /// The lock between processes, waited for on this thread.
    fn win_now(&self, mut contender: Box<Contender>, deadline: Instant) -> Result<(), HttpError> {
        let waker = Unpark::waker();
        loop {
            match self.answered(contender.ask(&waker))? {
                Asked::Won(hold, record) => return self.enter(hold, record, Moment::now()),
                Asked::Taken(again) => {
                    self.note_wait_elsewhere();
                    contender = again;
                }
                Asked::Unanswered(again) => contender = again,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.gave_up_elsewhere(contender.id()));
            }
            primitive::park_timeout(left);
        }
    }
}

impl Shared {
    /// Lets this thread wait for the store, if that keeps it waiting.
    pub(in crate::sessions) fn block(&self) -> Result<Option<Blocking>, HttpError> {
        (self.answers != Answers::AtOnce).then(|| Blocking::here(WaitsFor::Store)).transpose()
    }
}
