//! The decision what a request needs of its session before its handler. The way there is in `acquiring`.
//!
//! Requests wait parked, in the admission. Two waits hold a worker: that of a handler whose need for the lock was not
//! known before (it calls `acquire_lock`, or its signature is not known at start), and that of a hook that writes to a
//! session without its lock. Only a part of the workers may wait in this way. Reading waits for no lock.

use super::acquiring::{Goal, Manner};
use super::{Acquiring, LockMode, Session};
use crate::exchange::{HandlerRef, Step, Trail};
use crate::neighbours::Alone;
use crate::sessions::Answers;
use crate::sessions::hold::Hold;
use crate::sessions::lock_table::LockGuard;
use std::time::Duration;

/// Before the handler.
impl Session {
    /// The way that the request has to go before its handler, or before its body is read if `is_early`.
    pub(in crate::sessions) fn acquiring(&self, trail: &Trail, is_early: bool, has_waited: bool) -> Option<Acquiring> {
        self.goal(trail, is_early, has_waited).map(|goal| Acquiring::new(goal, Manner::Parked))
    }

    fn goal(&self, trail: &Trail, is_early: bool, has_waited: bool) -> Option<Goal> {
        let was_seen = has_waited && self.forget_snapshot();
        if !self.backing.is_lockable() {
            return None;
        }
        let state = self.state.borrow();
        if !state.is_held() && state.record_id().is_some() && self.needs_lock(trail, is_early) {
            return Some(Goal::Lock);
        }
        // A store that answers at once is asked when the handler reads.
        let is_worth_it = self.shared.answers != Answers::AtOnce && !state.known.is_current() && state.client.is_some();
        (is_worth_it && (trail.views_session() || was_seen)).then_some(Goal::Look)
    }

    fn needs_lock(&self, trail: &Trail, is_early: bool) -> bool {
        match (self.settings.lock, self.expects_lock.get()) {
            // A tool writes after the body in any mode.
            (_, Some(true)) if !is_early => true,
            (LockMode::Explicit, _) => false,
            (LockMode::Lazy, _) => trail.locks_session(),
            _ if trail.locks_session() => true,
            // A handler that was not made by a macro may take the session without saying so.
            (_, Some(false)) if matches!(trail.handler, Some(HandlerRef::Static(_))) => false,
            // A node that is resolved late may have any handler. Without a handler there is only an error page.
            _ => {
                !trail.views_session()
                    && (trail.handler().is_some() || trail.steps().iter().any(|step| matches!(step, Step::Late { .. })))
            }
        }
    }

    /// Lets the request read again, after a long wait, what it had read without the lock. Whether it had read anything.
    fn forget_snapshot(&self) -> bool {
        let state = &mut *self.state.borrow_mut();
        let is_snapshot = state.known.is_current() && state.client.is_some() && !state.is_held();
        if is_snapshot {
            state.known.outdate();
        }
        is_snapshot
    }

    pub(in crate::sessions) fn lock_timeout(&self) -> Duration {
        self.settings.lock_timeout
    }

    /// The hold of a session that has its lock in this process, if that is enough, since no other process uses the
    /// store. The promise that none does (`sessions.shared = false`) is not kept while the program is exchanged for a
    /// newer one.
    pub(super) fn hold_alone(&self, guard: LockGuard) -> Result<Hold, LockGuard> {
        if self.shared.store.shared_lock().is_none() {
            return Ok(Hold::local(guard, None));
        }
        match if self.settings.shared { None } else { Alone::here() } {
            Some(alone) => Ok(Hold::local(guard, Some(alone))),
            None => Err(guard),
        }
    }

    /// Whether calls of the store keep a thread waiting, so that each needs a place to wait on a worker.
    pub(in crate::sessions) fn needs_place(&self) -> bool {
        self.shared.answers == Answers::Blocking
    }

    /// Whether the end of the request may have to ask the store.
    pub(in crate::sessions) fn has_business(&self) -> bool {
        let state = self.state.borrow();
        state.known.stored().is_some() || !state.data.is_empty()
    }
}
