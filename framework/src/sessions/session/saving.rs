//! Between the session and its store: reading the record, saving or rolling back, extending its life, giving the cookie.
//!
//! `stored` is what the store has, `data` what the request sees; saving makes them one, so does rolling back. Nothing here waits for a
//! lock. A store whose answers come later is asked first ([`Saving`]), and the end of the request goes on from its answer.

use super::{Fate, Lock, Session, State, Stored};
use crate::exchange::{Blocking, HttpError, WaitsFor};
use crate::primitive::block_on;
use crate::sessions::hold::Hold;
use crate::sessions::tool::Shared;
use crate::sessions::{Commit, Data, Moment, Record, SessionId, StoreError, StoreFuture, Terms, Version};
use ::http::{HeaderValue, StatusCode, header};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What the store was asked for at the end of a request, without blocking, and the lock that goes with it.
pub(super) struct Saving {
    /// There until the store has answered.
    hold: Option<Hold>,
    commit: Option<Committing>,
    /// Extends the life of a session that has not changed.
    touch: Option<StoreFuture<()>>,
    /// Gives the lock of such a session back.
    unlock: Option<StoreFuture<()>>,
    /// How long a caller that blocks waits for the commit.
    patience: Duration,
}

struct Committing {
    id: SessionId,
    commit: StoreFuture<Commit>,
    answer: Option<Result<Commit, StoreError>>,
    terms: Terms,
}

impl Saving {
    /// What is not answered by now is not waited for any longer.
    fn give_up(&mut self) -> Option<Hold> {
        let late = || StoreError::new("the store did not answer in time", "`AnswersLater`");
        if let Some(commit) = &mut self.commit {
            commit.answer.get_or_insert_with(|| Err(late()));
        }
        let is_unanswered = self.unlock.take().is_some();
        self.touch = None;
        // What was sent may still be heard; if it is not, the lease ends by itself.
        self.hold.take().map(|mut hold| {
            if is_unanswered {
                hold.ended();
            }
            hold
        })
    }

    /// Whether all of it is answered; if not, the waker will be woken.
    fn poll(&mut self, shared: &Shared, waker: &Waker) -> bool {
        let context = &mut Context::from_waker(waker);
        if let Some(commit) = self.commit.as_mut().filter(|commit| commit.answer.is_none())
            && let Poll::Ready(answer) = commit.commit.as_mut().poll(context)
        {
            commit.answer = Some(answer);
        }
        // If that fails, the session is as it was, only its life is shorter: no reason to fail the request.
        if let Some(Poll::Ready(touched)) = self.touch.as_mut().map(|touch| touch.as_mut().poll(context)) {
            shared.health.note(&touched, "extending the life of a session");
            self.touch = None;
        }
        if let Some(Poll::Ready(unlocked)) = self.unlock.as_mut().map(|unlock| unlock.as_mut().poll(context)) {
            shared.health.note(&unlocked, "giving back a session's lock");
            self.unlock = None;
            self.hold.iter_mut().for_each(Hold::ended);
        }
        let is_committed = self.commit.as_ref().is_none_or(|commit| commit.answer.is_some());
        is_committed && self.touch.is_none() && self.unlock.is_none()
    }
}

/// The client has gone away meanwhile: what its request has done is kept all the same, and the lock is given back in order.
impl Drop for Saving {
    fn drop(&mut self) {
        let Some(mut hold) = self.hold.take() else { return };
        let Some(Committing { commit, .. }) = &mut self.commit else { return };
        let Ok(_blocking) = Blocking::here(WaitsFor::Store) else {
            // The store is silent, and others wait for it already: what was sent to it may still be kept, and the lock lapses by itself.
            return hold.ended();
        };
        let answer = block_on(commit.as_mut(), Instant::now() + self.patience);
        if let Some(Ok(Commit::Committed(_) | Commit::LockLost)) = answer {
            hold.ended();
        }
    }
}

impl Session {
    /// Begins what is to be done at the end, if the store can do that without blocking. `true`: [`poll_saving`](Self::poll_saving) says when
    /// [`finish`](Self::finish) may be called.
    pub(in crate::sessions) fn begin_saving(&self, is_success: bool) -> bool {
        let state = &mut *self.state.borrow_mut();
        if is_success && state.saving.is_none() {
            state.saving = self.save_later(state);
        }
        state.saving.is_some()
    }

    /// `None`: there is nothing to do, or it takes more than one step.
    fn save_later(&self, state: &mut State) -> Option<Box<Saving>> {
        let store = self.shared.store.later()?;
        if state.fate != Fate::Keep || state.failure.is_some() {
            return None;
        }
        let is_changed = match &state.stored {
            Some(stored) => !state.data.is_unchanged_copy_of(&stored.data),
            None => !state.data.is_empty(),
        };
        let is_due = self.is_cookie_due(state);
        let hold = match &mut state.lock {
            Lock::Held(hold) => hold,
            // It may not write.
            _ if is_changed => return None,
            _ => &mut None,
        };
        let fence = hold.as_ref().and_then(Hold::fence);
        if hold.as_ref().is_some_and(Hold::is_lost) || state.data.encoded_len() > self.settings.max_size {
            return None;
        }
        let (mut commit, mut touch, mut unlock) = (None, None, None);
        match &state.stored {
            stored if is_changed => {
                let (id, expected) = match stored {
                    Some(stored) if hold.is_some() => (stored.id, Some(stored.version)),
                    Some(_) => return None,
                    None => (*state.fresh_id.get_or_insert_with(SessionId::random), None),
                };
                let terms = Terms { fence, unlock: fence.is_some(), ..self.terms(false) };
                let asked = store.commit_later(&id, expected, &state.data, &terms);
                commit = Some(Committing { id, commit: asked, answer: None, terms });
            }
            Some(stored) if is_due || !state.is_touched || fence.is_some() => {
                touch = (is_due || !state.is_touched).then(|| store.touch_later(&stored.id, &self.terms(is_due)));
                unlock = fence.map(|fence| store.unlock_later(&stored.id, fence));
            }
            _ => return None,
        }
        hold.iter_mut().for_each(Hold::ending);
        Some(Box::new(Saving { hold: hold.take(), commit, touch, unlock, patience: self.settings.lock_timeout }))
    }

    /// Whether the store has answered; if not, the waker will be woken.
    pub(in crate::sessions) fn poll_saving(&self, waker: &Waker) -> bool {
        let state = &mut *self.state.borrow_mut();
        let Some(saving) = &mut state.saving else { return true };
        let is_over = saving.poll(&self.shared, waker);
        if is_over && let Some(hold) = saving.hold.take() {
            state.lock = Lock::Held(Some(hold));
        }
        is_over
    }

    /// The store has not answered in time.
    pub(in crate::sessions) fn give_up_saving(&self) {
        let state = &mut *self.state.borrow_mut();
        if let Some(saving) = &mut state.saving
            && let Some(hold) = saving.give_up()
        {
            state.lock = Lock::Held(Some(hold));
        }
    }

    /// Ends the session's part in the request: saves or rolls back, extends its life, and says which cookie the client gets.
    pub(in crate::sessions) fn finish(&self, is_success: bool) -> Result<Option<HeaderValue>, HttpError> {
        let state = &mut *self.state.borrow_mut();
        let ended = self.end_hold(state, is_success);
        match state.failure.take() {
            // An error page is being sent already, or the failure of the save is told first.
            Some(failure) if is_success => ended.and(Err(failure)),
            _ => ended,
        }?;
        #[cfg(feature = "cookie")]
        if let Some(seal) = &self.shared.seal {
            let field = self.renew_cookie(state, seal, is_success);
            if is_success && field.is_some() {
                self.touch(state, false);
            }
            return Ok(field);
        }
        let is_due = self.is_cookie_due(state);
        // One that was asked for nothing but this has done it.
        let is_touched = state.saving.take().is_some_and(|saving| saving.commit.is_none());
        if is_success && !is_touched {
            self.touch(state, is_due);
        }
        let cookie = &self.settings.cookie;
        match &state.stored {
            // Who has given it another id meanwhile has given the client the cookie, too.
            Some(stored) if self.shared.ended.is_later_than(self.received, &stored.id) => Ok(None),
            Some(stored) if state.client != Some(stored.id) || (is_due && is_success) => {
                let field = cookie.give(&stored.id.reveal(), self.settings.timeout, self.is_encrypted);
                state.client = Some(stored.id);
                Ok(Some(field))
            }
            None if state.is_ended && state.client.take().is_some() => Ok(Some(cookie.take_away(self.is_encrypted))),
            _ => Ok(None),
        }
    }

    pub(super) fn load(&self, state: &mut State, id: SessionId, now: Moment) -> Result<(), HttpError> {
        let record = self.ask(|store| store.load(&id, now))?;
        self.take(state, id, record, now)
    }

    /// This is what the store has.
    #[inline]
    pub(super) fn take(
        &self,
        state: &mut State,
        id: SessionId,
        record: Option<Record>,
        now: Moment,
    ) -> Result<(), HttpError> {
        let mut remaining = record.as_ref().map_or(Duration::ZERO, |record| record.remaining);
        if record.is_some() && remaining < self.settings.timeout / 2 {
            // The life is extended at the end; here so that it does not end before that.
            let terms = Terms { now, ..self.terms(false) };
            self.ask(|store| store.touch(&id, &terms))?;
            remaining = terms.lifetime;
        }
        state.is_loaded = true;
        state.is_missing = record.is_none();
        // It was there before, it was locked by another process meanwhile, or this process knows of its end.
        state.has_vanished = record.is_none()
            && (state.stored.as_ref().is_some_and(|stored| stored.id == id)
                || state.has_waited_elsewhere
                || self.shared.ended.is_later_than(self.received, &id));
        state.stored = record.map(|record| Stored {
            id,
            version: record.version,
            data: record.data,
            cookie_age: record.cookie_age,
            expires: now.later(remaining).monotonic,
        });
        state.data = state.stored.as_ref().map(|stored| stored.data.clone()).unwrap_or_default();
        Ok(())
    }

    /// Saves or rolls back, then lets go of the lock, whatever came of it.
    pub(super) fn end_hold(&self, state: &mut State, is_success: bool) -> Result<(), HttpError> {
        let saved = match state.lock {
            // After a failure the handler may have read nothing where there was something: what it made of that is not saved.
            Lock::Held(_) if is_success && state.failure.is_none() => self.commit(state),
            _ => Ok(()),
        };
        roll_back(state);
        state.lock = Lock::Open;
        saved
    }

    fn commit(&self, state: &mut State) -> Result<(), HttpError> {
        let is_other = match (&state.stored, state.fate) {
            (Some(stored), Fate::Keep) => !state.data.is_unchanged_copy_of(&stored.data),
            (Some(_), Fate::Renew) => true,
            _ => !state.data.is_empty(),
        };
        if !is_other && state.fate == Fate::Keep {
            return Ok(());
        }
        let answered = state.saving.take().and_then(|mut saving| {
            let Committing { id, answer, terms, .. } = saving.commit.take()?;
            answer.map(|answer| (id, answer, terms))
        });
        let _blocking = if answered.is_some() { None } else { self.shared.block()? };
        let mut hold = match &mut state.lock {
            Lock::Held(hold) => hold.as_mut(),
            _ => None,
        };
        if let Some(hold) = &hold
            && answered.is_none()
            && hold.fence().is_some()
        {
            // What goes under another id, or goes away, carries no fence: the lock is asked for first.
            let must_ask = state.fate != Fate::Keep && !hold.is_lost();
            let is_refused = must_ask && !self.answered(hold.is_still_held(self.settings.lock_lease))?;
            if is_refused {
                self.shared.count_lock_lost();
            }
            if is_refused || hold.is_lost() {
                return Err(self.not_kept(NotKept::LockLost));
            }
        }
        let old = if is_other {
            let committed = match &state.stored {
                Some(old) if state.fate == Fate::Keep => self.commit_again(old, &state.data, hold.take(), answered),
                _ => self.commit_new(state.fresh_id.take().unwrap_or_else(SessionId::random), &state.data, answered),
            };
            state.is_touched = true;
            state.stored.replace(committed.map_err(|reason| self.not_saved(reason, &state.data))?)
        } else {
            state.stored.take()
        };
        let fate = std::mem::replace(&mut state.fate, Fate::Keep);
        if let (Some(old), true) = (&old, fate != Fate::Keep) {
            self.shared.ended.note(old.id);
            self.answered(self.shared.store.delete(&old.id))?;
        }
        state.is_ended = state.stored.is_none() && fate == Fate::End;
        Ok(())
    }

    fn commit_new(&self, id: SessionId, data: &Data, answered: Option<Answered>) -> Result<Stored, NotKept> {
        match answered {
            Some((id, answer, terms)) => self.committed(answer, id, data, Duration::ZERO, terms),
            None => self.commit_record(id, None, data, Duration::ZERO, self.terms(false)),
        }
    }

    /// The last that happens under the lock: it gives the shared one back in the same step. `answered`: the store has done so already.
    fn commit_again(
        &self,
        old: &Stored,
        data: &Data,
        mut hold: Option<&mut Hold>,
        answered: Option<Answered>,
    ) -> Result<Stored, NotKept> {
        let fence = hold.as_ref().and_then(|hold| hold.fence());
        let terms = || Terms { fence, unlock: fence.is_some(), ..self.terms(false) };
        if let Some(hold) = &mut hold {
            hold.ending();
        }
        let first = match answered {
            Some((_, answer, terms)) => self.committed(answer, old.id, data, old.cookie_age, terms),
            None => self.commit_record(old.id, Some(old.version), data, old.cookie_age, terms()),
        };
        let committed = match first {
            // Its life ended while this request had it: it was in use, so it goes on.
            Err(NotKept::Conflict) if old.expires <= Instant::now() => {
                self.commit_record(old.id, None, data, old.cookie_age, terms())
            }
            result => result,
        };
        if let (Some(hold), Ok(_) | Err(NotKept::LockLost)) = (hold, &committed) {
            hold.ended();
        }
        committed
    }

    fn commit_record(
        &self,
        id: SessionId,
        expected: Option<Version>,
        data: &Data,
        cookie_age: Duration,
        terms: Terms,
    ) -> Result<Stored, NotKept> {
        let size = data.encoded_len();
        if size > self.settings.max_size {
            return Err(NotKept::Failed(StoreError::too_large(size, self.settings.max_size)));
        }
        #[cfg(feature = "cookie")]
        if let Some(seal) = &self.shared.seal {
            self.fits_cookie(seal, data).map_err(NotKept::Failed)?;
            if expected.is_some() && self.shared.ended.is_later_than(self.received, &id) {
                return Err(NotKept::Conflict);
            }
        }
        let answer = self.shared.store.commit(&id, expected, data, &terms);
        self.committed(answer, id, data, cookie_age, terms)
    }

    /// What the store says of a commit.
    fn committed(
        &self,
        answer: Result<Commit, StoreError>,
        id: SessionId,
        data: &Data,
        cookie_age: Duration,
        terms: Terms,
    ) -> Result<Stored, NotKept> {
        match answer.map_err(NotKept::Failed)? {
            Commit::Committed(version) => {
                self.shared.health.worked();
                let expires = terms.now.later(terms.lifetime).monotonic;
                Ok(Stored { id, version, data: data.clone(), cookie_age, expires })
            }
            Commit::Conflict => Err(NotKept::Conflict),
            Commit::LockLost => {
                self.shared.count_lock_lost();
                Err(NotKept::LockLost)
            }
        }
    }

    /// Extends the life of the record, unless a commit has done so.
    fn touch(&self, state: &mut State, is_due: bool) {
        if let Some(stored) = state.stored.as_ref().filter(|_| is_due || !state.is_touched) {
            state.is_touched = true;
            // If that fails, the session is as it was, only its life is shorter: no reason to fail the request.
            let Ok(_blocking) = self.shared.block() else { return };
            let touched = self.shared.store.touch(&stored.id, &self.terms(is_due));
            self.shared.health.note(&touched, "extending the life of a session");
        }
    }

    /// Whether more than half of the cookie's life has passed since it was sent.
    fn is_cookie_due(&self, state: &State) -> bool {
        let lifetime = self.settings.cookie.lifetime(self.settings.timeout);
        state.stored.as_ref().zip(lifetime).is_some_and(|(stored, lifetime)| stored.cookie_age > lifetime / 2)
    }

    fn terms(&self, cookie_sent: bool) -> Terms {
        Terms { now: Moment::now(), lifetime: self.settings.timeout, cookie_sent, fence: None, unlock: false }
    }

    /// The same, for a commit: a session that has grown too large is told of with what is in it.
    fn not_saved(&self, reason: NotKept, data: &Data) -> HttpError {
        match reason {
            NotKept::Failed(error) if error.is_too_large() => {
                let (path, request) = (self.claim.path(), self.claim.request());
                let largest: Vec<_> =
                    data.largest(3).into_iter().map(|(key, size)| format!("{key:?} ({size} bytes)")).collect();
                crate::line::record!(Error,
                    target: "kirsch::sessions",
                    "{path} (request {request}): {error}; the largest names are {}; nothing of this request was saved. \
                     The limit is `sessions.max_size`, or the store's own",
                    largest.join(", ")
                );
                HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
            reason => self.not_kept(reason),
        }
    }

    fn not_kept(&self, reason: NotKept) -> HttpError {
        let (path, request) = (self.claim.path(), self.claim.request());
        match reason {
            NotKept::Failed(error) => return self.store_failed(&error),
            NotKept::Conflict => crate::line::record!(Warn,
                target: "kirsch::sessions",
                "{path} (request {request}): the session was changed or ended elsewhere meanwhile, nothing of this request was saved"
            ),
            NotKept::LockLost => crate::line::record!(Warn,
                target: "kirsch::sessions",
                "{path} (request {request}): the lock of the session was lost while the request ran, since its lease lapsed (the process was \
                 paused, or could not reach the store in time); others may have changed the session since, nothing of this request was saved"
            ),
        }
        self.shared.count_conflict();
        changed_elsewhere()
    }

    /// What the store said, or the answer to the client that it said nothing.
    pub(in crate::sessions) fn answered<T>(&self, result: Result<T, StoreError>) -> Result<T, HttpError> {
        match result {
            Ok(value) => {
                self.shared.health.worked();
                Ok(value)
            }
            Err(error) => Err(self.store_failed(&error)),
        }
    }

    #[cold]
    pub(in crate::sessions) fn store_failed(&self, error: &StoreError) -> HttpError {
        let (path, request) = (self.claim.path(), self.claim.request());
        self.shared.health.failed(error, format_args!("{path}, request {request}"));
        try_again("Your session is not available at the moment. Please try again.")
    }
}

/// What the store has said to a commit already, and which one it was.
type Answered = (SessionId, Result<Commit, StoreError>, Terms);

enum NotKept {
    Conflict,
    LockLost,
    Failed(StoreError),
}

pub(super) fn changed_elsewhere() -> HttpError {
    HttpError::new(StatusCode::CONFLICT, "Your session was changed by another request meanwhile. Please try again.")
}

pub(super) fn try_again(message: &str) -> HttpError {
    let retry_after = HeaderValue::from_static("1");
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message).with_header(header::RETRY_AFTER, retry_after)
}

pub(super) fn roll_back(state: &mut State) {
    match &state.stored {
        Some(stored) if state.data.is_unchanged_copy_of(&stored.data) => {}
        Some(stored) => state.data = stored.data.clone(),
        None => state.data = Data::new(),
    }
    state.fate = Fate::Keep;
}
