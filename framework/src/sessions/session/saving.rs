//! Between the session and its store: reading the record, saving or rolling back, extending its life, giving the cookie.
//!
//! `stored` is what the store has, `data` what the request sees; saving makes them one, so does rolling back. Nothing here waits for a
//! lock.

use super::{Fate, Lock, Session, State, Stored};
use crate::exchange::HttpError;
use crate::sessions::{Commit, Data, Moment, SessionId, StoreError, Terms, Version};
use ::http::{HeaderValue, StatusCode, header};
use std::time::{Duration, Instant};

impl Session {
    /// Ends the session's part in the request: saves or rolls back, extends its life, and says which cookie the client gets.
    pub(in crate::sessions) fn finish(&self, is_success: bool) -> Result<Option<HeaderValue>, HttpError> {
        let state = &mut *self.state.borrow_mut();
        let ended = self.end_hold(state, is_success);
        match state.failure.take() {
            // An error page is being sent already, or the failure of the save is told first.
            Some(failure) if is_success => ended.and(Err(failure)),
            _ => ended,
        }?;
        let is_due = self.is_cookie_due(state);
        if is_success {
            self.touch(state, is_due);
        }
        let cookie = &self.settings.cookie;
        match &state.stored {
            Some(stored) if state.client != Some(stored.id) || (is_due && is_success) => {
                let field = cookie.give(&stored.id, self.settings.timeout, self.is_encrypted);
                state.client = Some(stored.id);
                Ok(Some(field))
            }
            None if state.is_ended && state.client.take().is_some() => Ok(Some(cookie.take_away(self.is_encrypted))),
            _ => Ok(None),
        }
    }

    pub(super) fn load(&self, state: &mut State, id: SessionId, now: Moment) -> Result<(), HttpError> {
        let record = self.shared.store.load(&id, now).map_err(|error| self.store_failed(&error))?;
        let mut remaining = record.as_ref().map_or(Duration::ZERO, |record| record.remaining);
        if record.is_some() && remaining < self.settings.timeout / 2 {
            // The life is extended at the end; here so that it does not end before that.
            let terms = Terms { now, ..self.terms(false) };
            self.shared.store.touch(&id, &terms).map_err(|error| self.store_failed(&error))?;
            remaining = terms.lifetime;
        }
        state.is_loaded = true;
        state.is_missing = record.is_none();
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
        let old = if is_other {
            let committed = match &state.stored {
                Some(old) if state.fate == Fate::Keep => self.commit_again(old, &state.data),
                _ => self.commit_new(state.fresh_id.take().unwrap_or_else(SessionId::random), &state.data),
            };
            state.is_touched = true;
            state.stored.replace(committed.map_err(|reason| self.not_kept(reason))?)
        } else {
            state.stored.take()
        };
        let fate = std::mem::replace(&mut state.fate, Fate::Keep);
        if let (Some(old), true) = (&old, fate != Fate::Keep) {
            self.shared.store.delete(&old.id).map_err(|error| self.store_failed(&error))?;
        }
        state.is_ended = state.stored.is_none() && fate == Fate::End;
        Ok(())
    }

    fn commit_new(&self, id: SessionId, data: &Data) -> Result<Stored, NotKept> {
        self.commit_record(id, None, data, Duration::ZERO)
    }

    fn commit_again(&self, old: &Stored, data: &Data) -> Result<Stored, NotKept> {
        match self.commit_record(old.id, Some(old.version), data, old.cookie_age) {
            // Its life ended while this request had it: it was in use, so it goes on.
            Err(NotKept::Conflict) if old.expires <= Instant::now() => {
                self.commit_record(old.id, None, data, old.cookie_age)
            }
            result => result,
        }
    }

    fn commit_record(
        &self,
        id: SessionId,
        expected: Option<Version>,
        data: &Data,
        cookie_age: Duration,
    ) -> Result<Stored, NotKept> {
        let terms = self.terms(false);
        match self.shared.store.commit(&id, expected, data, &terms) {
            Ok(Commit::Committed(version)) => {
                let expires = terms.now.later(terms.lifetime).monotonic;
                Ok(Stored { id, version, data: data.clone(), cookie_age, expires })
            }
            Ok(Commit::Conflict | Commit::LockLost) => Err(NotKept::Conflict),
            Err(error) => Err(NotKept::Failed(error)),
        }
    }

    /// Extends the life of the record, unless a commit has done so.
    fn touch(&self, state: &mut State, is_due: bool) {
        if let Some(stored) = state.stored.as_ref().filter(|_| is_due || !state.is_touched) {
            state.is_touched = true;
            if let Err(error) = self.shared.store.touch(&stored.id, &self.terms(is_due)) {
                // The session is as it was, only its life is shorter: no reason to fail the request.
                log::error!(target: "kirsch::sessions", "the life of session {} was not extended: {error}", stored.id);
            }
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

    fn not_kept(&self, reason: NotKept) -> HttpError {
        match reason {
            NotKept::Failed(error) => self.store_failed(&error),
            NotKept::Conflict => {
                let (path, request) = (self.claim.path(), self.claim.request());
                log::warn!(
                    target: "kirsch::sessions",
                    "{path} (request {request}): the session was changed or ended elsewhere meanwhile, nothing of this request was saved"
                );
                let message = "Your session was changed by another request meanwhile. Please try again.";
                HttpError::new(StatusCode::CONFLICT, message)
            }
        }
    }

    pub(super) fn store_failed(&self, error: &StoreError) -> HttpError {
        let (path, request) = (self.claim.path(), self.claim.request());
        log::error!(target: "kirsch::sessions", "{path} (request {request}): {error}");
        try_again("Your session is not available at the moment. Please try again.")
    }
}

enum NotKept {
    Conflict,
    Failed(StoreError),
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
