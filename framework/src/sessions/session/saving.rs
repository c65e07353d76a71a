//! Between the session and its store: reading the record, saving or rolling back, extending its life, giving the
//! cookie.
//!
//! The record is what the store has, `data` is what the request sees. Saving makes them equal, and so does a rollback.
//! Nothing here waits for a lock. A hold ends in steps. Each step asks the store one question, and the next step goes
//! on from the answer:
//!
//! ```text
//! Renewing ──► Committing ──► Deleting ──► Releasing ──► over
//! ```
//!
//! If all answers are there at once, one call does all steps. If an answer comes later, a [`Saving`] keeps the steps
//! that are left, and the request is parked.

use super::Session;
use super::failures::{Failure, NotKept};
use super::state::{Fate, Known, Lock, State, Stored};
use crate::exchange::{Blocking, WaitsFor};
use crate::primitive::block_on;
use crate::sessions::hold::Hold;
use crate::sessions::{Answer, Commit, Data, Moment, Record, SessionId, StoreError, Terms, Version};
use ::http::HeaderValue;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// The rest of the end of a hold while the store is asked, and the lock that goes with it.
pub(super) struct Saving {
    hold: Option<Hold>,
    step: Step,
    ending: Ending,
}

/// How a hold ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The changes are given up.
    RollBack,
    /// The changes are saved, and the request goes on.
    Save,
    /// The session's part in the request ends: its life is extended, and the client may get a cookie.
    Finish { is_success: bool },
}

impl Ending {
    fn saves(self) -> bool {
        matches!(self, Self::Save | Self::Finish { is_success: true })
    }
}

/// What the client gets at the end: perhaps a cookie.
type Finished = Result<Option<HeaderValue>, Failure>;

/// The next step, or `None` when all is saved. A question that the store answers at once is no step.
type Next = Result<Option<Step>, Failure>;

/// A question to the store.
enum Step {
    /// Whether this request still has the lock: a record that gets another id, or goes, carries no fence.
    Renewing(Answer<bool>),
    Committing(Committing, Answer<Commit>),
    /// The old record goes. Its content may have gone on under another id.
    Deleting(Fate, Answer<()>),
    /// Gives the lock back and extends the life of the session, side by side.
    Releasing {
        unlock: Option<Answer<()>>,
        touch: Option<Answer<()>>,
        finished: Finished,
    },
}

/// The commit that the store was asked for.
#[derive(Clone, Copy)]
struct Committing {
    id: SessionId,
    expected: Option<Version>,
    terms: Terms,
}

/// The end of a hold.
impl Session {
    /// Ends the session's part in the request: saves or rolls back, extends its life, and says which cookie the client
    /// gets. `Pending`: the store has not answered yet, and the waker is woken when it has.
    pub(in crate::sessions) fn poll_finish(&self, is_success: bool, waker: &Waker) -> Poll<Finished> {
        self.poll_end(&mut self.state.borrow_mut(), Ending::Finish { is_success }, waker)
    }

    /// The store has not answered in time. The request does not wait for the rest.
    pub(in crate::sessions) fn give_up_finish(&self) -> Finished {
        self.give_up_end(&mut self.state.borrow_mut())
    }

    /// Ends the hold, and waits for the store on this thread.
    pub(super) fn end_here(&self, state: &mut State, ending: Ending) -> Result<(), Failure> {
        let is_over = matches!(state.lock, Lock::Open) && state.saving.is_none() && state.fate == Fate::Keep;
        if is_over {
            return Ok(());
        }
        let (saves, is_shared) = match &state.lock {
            Lock::Held(hold) => {
                (self.has_to_save(state, ending), hold.as_ref().is_some_and(|hold| hold.fence().is_some()))
            }
            _ => (false, false),
        };
        let blocking = if saves || is_shared { self.shared.block() } else { Ok(None) };
        match blocking {
            Ok(_blocking) => match self.poll_end(state, ending, Waker::noop()) {
                Poll::Ready(finished) => finished.map(drop),
                Poll::Pending => self.go_on_here(state, ending).map(drop),
            },
            Err(refusal) => {
                state.roll_back();
                state.lock = Lock::Open;
                if saves { Err(refusal.into()) } else { Ok(()) }
            }
        }
    }

    /// The client has gone while the store was asked. The changes of its request are saved all the same, and the lock
    /// is given back in order.
    pub(super) fn finish_alone(&mut self) {
        let state = &mut *self.state.borrow_mut();
        let Some(ending) = state.saving.as_ref().map(|saving| saving.ending) else { return };
        match Blocking::here(WaitsFor::Store) {
            Ok(_blocking) => drop(self.go_on_here(state, ending)),
            // The store is silent, and other requests wait for it already. It may still save what was sent, and the
            // lock lapses by itself.
            Err(_) => state.saving.iter_mut().flat_map(|saving| &mut saving.hold).for_each(Hold::abandon),
        }
    }

    fn go_on_here(&self, state: &mut State, ending: Ending) -> Finished {
        let deadline = Moment::now().later(self.settings.lock_timeout).monotonic;
        let end = block_on(poll_fn(|context| self.poll_end(state, ending, context.waker())), deadline);
        end.unwrap_or_else(|| self.give_up_end(state))
    }

    fn give_up_end(&self, state: &mut State) -> Finished {
        let Some(saving) = state.saving.take() else { return Ok(None) };
        let Saving { mut hold, step, .. } = *saving;
        match step {
            Step::Releasing { unlock, finished, .. } => {
                // The store may still hear the message. If it does not, the lease ends by itself.
                if unlock.is_some() {
                    hold.iter_mut().for_each(Hold::ended);
                }
                finished
            }
            step => {
                drop(step);
                state.roll_back();
                Err(self.store_failed(&StoreError::new("the store did not answer in time", "at the end of a request")))
            }
        }
    }

    /// Goes on as far as the store has answered.
    fn poll_end(&self, state: &mut State, ending: Ending, waker: &Waker) -> Poll<Finished> {
        if let Some(saving) = state.saving.take() {
            return self.poll_saving(state, *saving, waker);
        }
        let saves = self.has_to_save(state, ending);
        let mut hold = match std::mem::replace(&mut state.lock, Lock::Open) {
            Lock::Held(hold) => hold,
            _ => None,
        };
        match if saves { self.save(state, &mut hold) } else { Ok(None) } {
            Ok(Some(step)) => self.poll_saving(state, Saving { hold, step, ending }, waker),
            Ok(None) => self.release(state, hold, ending, Ok(()), waker),
            Err(failure) => self.release(state, hold, ending, Err(failure), waker),
        }
    }

    #[inline(never)]
    fn poll_saving(&self, state: &mut State, mut saving: Saving, waker: &Waker) -> Poll<Finished> {
        let hold = &mut saving.hold;
        saving.step = loop {
            let next = match saving.step {
                Step::Renewing(renewed) => match renewed.hear(waker) {
                    Ok(renewed) => self.renewed(state, hold, renewed),
                    Err(unheard) => break Step::Renewing(unheard),
                },
                Step::Committing(asked, commit) => match commit.hear(waker) {
                    Ok(commit) => self.committed(state, hold, asked, commit),
                    Err(unheard) => break Step::Committing(asked, unheard),
                },
                Step::Deleting(fate, deleted) => match deleted.hear(waker) {
                    Ok(deleted) => self.deleted(state, fate, deleted),
                    Err(unheard) => break Step::Deleting(fate, unheard),
                },
                Step::Releasing { unlock, touch, finished } => {
                    let unlock = unlock.and_then(|unlock| self.unlocked(hold, unlock, waker));
                    let touch = touch.and_then(|touch| self.touched(touch, waker));
                    if unlock.is_none() && touch.is_none() {
                        return Poll::Ready(finished);
                    }
                    break Step::Releasing { unlock, touch, finished };
                }
            };
            saving.step = match next {
                Ok(Some(step)) => step,
                Ok(None) => return self.release(state, saving.hold, saving.ending, Ok(()), waker),
                Err(failure) => return self.release(state, saving.hold, saving.ending, Err(failure), waker),
            };
        };
        state.saving = Some(Box::new(saving));
        Poll::Pending
    }

    /// Whether the request has changed something under the lock that must be saved.
    fn has_to_save(&self, state: &State, ending: Ending) -> bool {
        // After a failure the handler may have read nothing where there were values. Its conclusions are not saved.
        let may_save = ending.saves() && matches!(state.lock, Lock::Held(_)) && state.failure.is_none();
        may_save && (state.fate != Fate::Keep || state.is_changed())
    }

    fn save(&self, state: &mut State, hold: &mut Option<Hold>) -> Next {
        match hold.as_ref().filter(|hold| hold.fence().is_some()) {
            Some(hold) if hold.is_lost() => Err(self.not_kept(NotKept::LockLost)),
            Some(hold) if state.fate != Fate::Keep => Ok(Some(Step::Renewing(hold.renew(self.settings.lock_lease)))),
            _ => self.write(state, hold),
        }
    }

    fn renewed(&self, state: &mut State, hold: &mut Option<Hold>, renewed: Result<bool, StoreError>) -> Next {
        let is_refused = !self.answered(renewed)?;
        if is_refused {
            self.shared.counters.count_lock_lost();
        }
        if is_refused || hold.as_ref().is_some_and(Hold::is_lost) {
            return Err(self.not_kept(NotKept::LockLost));
        }
        self.write(state, hold)
    }

    fn write(&self, state: &mut State, hold: &mut Option<Hold>) -> Next {
        if !state.is_changed() && state.fate != Fate::Renew {
            let old = state.known.take();
            return self.end_old(state, old);
        }
        match state.known.stored() {
            Some(old) if state.fate == Fate::Keep => {
                let (id, expected) = (old.id, Some(old.version));
                // This is the last step under the lock: it also gives the shared lock back.
                hold.iter_mut().for_each(Hold::ending);
                self.commit(state, id, expected, hold)
            }
            _ => {
                let id = state.fresh_id.take().unwrap_or_else(SessionId::random);
                self.commit(state, id, None, &mut None)
            }
        }
    }

    fn commit(&self, state: &mut State, id: SessionId, expected: Option<Version>, hold: &mut Option<Hold>) -> Next {
        let (size, data) = (state.data.encoded_len(), &state.data);
        if size > self.settings.max_size {
            let error = StoreError::too_large(size, self.settings.max_size);
            return Err(self.not_saved(NotKept::Failed(error), data));
        }
        let fence = hold.as_ref().and_then(Hold::fence);
        let terms = Terms { fence, unlock: fence.is_some(), ..self.terms(false) };
        let asked = Committing { id, expected, terms };
        match self.backing.commit(self, &id, expected, data, &terms) {
            Answer::Now(commit) => self.committed(state, hold, asked, commit),
            later => Ok(Some(Step::Committing(asked, later))),
        }
    }

    /// Goes on from the store's answer to a commit.
    fn committed(
        &self,
        state: &mut State,
        hold: &mut Option<Hold>,
        asked: Committing,
        commit: Result<Commit, StoreError>,
    ) -> Next {
        let Committing { id, expected, terms } = asked;
        let commit = commit.map_err(|error| self.not_saved(NotKept::Failed(error), &state.data))?;
        // Under the same id it is the same session.
        let before = state.known.stored().filter(|_| state.fate == Fate::Keep);
        match commit {
            Commit::Committed(version) => {
                self.shared.health.worked();
                if terms.unlock {
                    hold.iter_mut().for_each(Hold::ended);
                }
                let cookie_age = before.map_or(Duration::ZERO, |before| before.cookie_age);
                let expires = terms.now.later(terms.lifetime).monotonic;
                let old = state.known.take();
                let data = state.data.clone();
                state.known = Known::Stored(Stored { id, version, data, cookie_age, expires, is_touched: true });
                self.end_old(state, old)
            }
            // The life of the session ended while this request used it. So it goes on.
            Commit::Conflict if expected.is_some() && before.is_some_and(|before| before.expires <= Instant::now()) => {
                self.commit(state, id, None, hold)
            }
            Commit::Conflict => Err(self.not_kept(NotKept::Conflict)),
            Commit::LockLost => {
                self.shared.counters.count_lock_lost();
                hold.iter_mut().for_each(Hold::ended);
                Err(self.not_kept(NotKept::LockLost))
            }
        }
    }

    /// Deletes the old record, unless the session keeps its id.
    fn end_old(&self, state: &mut State, old: Option<Stored>) -> Next {
        let fate = std::mem::replace(&mut state.fate, Fate::Keep);
        let Some(old) = old.filter(|_| fate != Fate::Keep) else {
            return self.deleted(state, fate, Ok(()));
        };
        self.shared.ended.note(old.id);
        match state.known.stored().filter(|_| fate == Fate::Renew) {
            Some(renewed) => self.shared.outliving.rename(&old.id, renewed.id),
            None => self.shared.outliving.end(&old.id),
        }
        match self.shared.store.delete(&old.id) {
            Answer::Now(deleted) => self.deleted(state, fate, deleted),
            later => Ok(Some(Step::Deleting(fate, later))),
        }
    }

    fn deleted(&self, state: &mut State, fate: Fate, deleted: Result<(), StoreError>) -> Next {
        if let Err(error) = deleted {
            return Err(self.store_failed(&error));
        }
        if state.known.stored().is_none() && fate == Fate::End {
            state.known = Known::Ended;
        }
        Ok(None)
    }

    /// Rolls back what was not saved, and gives the lock to the next request. At the end of the request this also
    /// extends the life of the session.
    fn release(
        &self,
        state: &mut State,
        mut hold: Option<Hold>,
        ending: Ending,
        saved: Result<(), Failure>,
        waker: &Waker,
    ) -> Poll<Finished> {
        state.roll_back();
        let unlock = match hold.as_mut().and_then(Hold::unlock) {
            Some(Answer::Later(unlock)) => Some(Answer::Later(unlock)),
            Some(now) => self.unlocked(&mut hold, now, waker),
            None => {
                hold = None;
                None
            }
        };
        let (finished, touch) = match ending {
            Ending::Finish { is_success } => self.finish(state, is_success, saved),
            Ending::RollBack | Ending::Save => (saved.map(|()| None), None),
        };
        let touch = match touch {
            Some(Answer::Later(touch)) => Some(Answer::Later(touch)),
            Some(now) => self.touched(now, waker),
            None => None,
        };
        if unlock.is_none() && touch.is_none() {
            return Poll::Ready(finished);
        }
        self.poll_saving(state, Saving { hold, step: Step::Releasing { unlock, touch, finished }, ending }, waker)
    }

    /// The client's part at the end of the request, and the extension of the session's life.
    fn finish(
        &self,
        state: &mut State,
        is_success: bool,
        saved: Result<(), Failure>,
    ) -> (Finished, Option<Answer<()>>) {
        let failure = state.failure.take().filter(|_| is_success);
        match (saved, failure) {
            // The failure of the save comes first.
            (Err(failure), _) | (Ok(()), Some(failure)) => (Err(failure), None),
            (Ok(()), None) => {
                let (cookie, touch) = self.backing.cookie(self, state, is_success);
                (Ok(cookie), touch)
            }
        }
    }

    /// Hears whether the lock was given back. Returns the question if the store has not answered yet.
    fn unlocked(&self, hold: &mut Option<Hold>, unlock: Answer<()>, waker: &Waker) -> Option<Answer<()>> {
        match unlock.hear(waker) {
            Ok(unlocked) => {
                self.shared.health.note(&unlocked, "giving back a session's lock");
                hold.iter_mut().for_each(Hold::ended);
                *hold = None;
                None
            }
            Err(unheard) => Some(unheard),
        }
    }

    /// The same for the extension of life. A failure only leaves the session a shorter life, so the request succeeds.
    fn touched(&self, touch: Answer<()>, waker: &Waker) -> Option<Answer<()>> {
        let touched = match touch.hear(waker) {
            Ok(touched) => touched,
            Err(unheard) => return Some(unheard),
        };
        self.shared.health.note(&touched, "extending the life of a session");
        None
    }

    /// Extends the life of the record, unless a commit has done so.
    pub(super) fn touch(&self, state: &mut State, is_due: bool) -> Option<Answer<()>> {
        let (Known::Stored(stored) | Known::Outdated(stored)) = &mut state.known else { return None };
        if stored.is_touched && !is_due {
            return None;
        }
        stored.is_touched = true;
        Some(self.shared.store.touch(&stored.id, &self.terms(is_due)))
    }
}

/// Reading the record.
impl Session {
    /// Takes over the record that the store has, or its absence.
    #[inline]
    pub(super) fn take(&self, state: &mut State, id: SessionId, record: Option<Record>, now: Moment) {
        state.is_missing = record.is_none();
        let before = state.known.take().filter(|stored| stored.id == id);
        let Some(Record { version, data, remaining, cookie_age, .. }) = record else {
            // This request had read it, another process had it locked meanwhile, or this process knows of its end.
            let has_vanished =
                before.is_some() || state.has_waited_elsewhere || self.shared.ended.is_later_than(self.received, &id);
            state.known = if has_vanished { Known::Vanished } else { Known::Absent };
            state.data = Data::new();
            return;
        };
        state.data = data.clone();
        let (expires, is_touched) = (now.later(remaining).monotonic, before.is_some_and(|before| before.is_touched));
        state.known = Known::Stored(Stored { id, version, data, cookie_age, expires, is_touched });
    }

    pub(super) fn terms(&self, cookie_sent: bool) -> Terms {
        Terms { now: Moment::now(), lifetime: self.settings.timeout, cookie_sent, fence: None, unlock: false }
    }
}
