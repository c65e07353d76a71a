//! What a request waits for before its handler: decided here, gone for in `acquiring`.
//!
//! Requests wait parked, in the admission. On a worker only a handler waits, for a lock that was not known to be wanted
//! before (it calls `acquire_lock`, or its signature is not known at start), and a hook that writes to a session that
//! no admission has locked. Such waits are among those that may hold only a part of the workers. Reading waits for no
//! lock.

use super::acquiring::{Goal, Manner};
use super::{Acquiring, LockMode, Session};
use crate::exchange::{HandlerRef, Step, Trail};
use crate::sessions::Answers;
use std::time::Duration;

/// Before the handler.
impl Session {
    /// The way to what the request needs before its handler, and before its body is read if `is_early`.
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
        // A store that answers at once is looked into when somebody asks.
        let is_worth_it = self.shared.answers != Answers::AtOnce && !state.known.is_current() && state.client.is_some();
        (is_worth_it && (trail.views_session() || was_seen)).then_some(Goal::Look)
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
            // Behind a node that is resolved late there may be any handler. Without a handler there is only an error
            // page.
            _ => {
                !trail.views_session()
                    && (trail.handler().is_some() || trail.steps().iter().any(|step| matches!(step, Step::Late { .. })))
            }
        }
    }

    /// What was seen without the lock before a long wait is seen anew after it. Whether anything was.
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

    /// Whether no other process has a part in the store, so that the lock within this one is all there is.
    pub(super) fn is_alone(&self) -> bool {
        !self.settings.shared || self.shared.store.shared_lock().is_none()
    }

    /// Whether calls of the store keep a thread waiting, so that each needs a place among the waits.
    pub(in crate::sessions) fn needs_place(&self) -> bool {
        self.shared.answers == Answers::Blocking
    }

    /// Whether the end of the request may have to ask the store.
    pub(in crate::sessions) fn has_business(&self) -> bool {
        let state = self.state.borrow();
        state.known.stored().is_some() || !state.data.is_empty()
    }
}
