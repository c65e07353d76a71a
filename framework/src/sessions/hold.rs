//! A session's lock, held by a request: in this process, and between processes where the store is shared.
//!
//! ```text
//! LockGuard ──store of one process──────────────────────────────► Hold
//!     └──► Contender ──try_lock──► Hold
//!              │ another process has it: watch, try_lock, wait, try_lock with each wake-up
//!              └──► given up: the local lock goes to the next
//! ```
//!
//! Dropping gives everything back, whatever way the request took: first the shared lock, then the local one. So the
//! next request of this process finds the shared lock free. A [`Lease`] that a commit has given back already is marked,
//! and does nothing.

use super::keeper::{Kept, LeaseLife};
use super::lock_table::LockGuard;
use super::shared::Shared;
use super::{Answer, Answers, Fence, Grant, Record, SessionId, SharedLock, StoreError, Watch, detached};
use crate::exchange::Claim;
use crate::neighbours::Alone;
use crate::primitive::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

/// The lock of one session. Dropping it gives it back.
#[must_use = "dropping the hold gives the lock back"]
pub(super) struct Hold {
    /// Before the guard: fields are dropped in their order.
    lease: Option<Box<Lease>>,
    guard: LockGuard,
    /// What makes the guard enough, where the store could be shared. After the guard.
    _alone: Option<Alone>,
}

impl Hold {
    /// The lock of a session whose store has no other processes.
    pub(super) fn local(guard: LockGuard, alone: Option<Alone>) -> Self {
        Self { lease: None, guard, _alone: alone }
    }

    pub(super) fn id(&self) -> &SessionId {
        self.guard.key()
    }

    pub(super) fn fence(&self) -> Option<Fence> {
        self.lease.as_ref().map(|lease| lease.kept.fence())
    }

    /// Whether another request is known to have the shared lock by now.
    pub(super) fn is_lost(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.kept.life() == LeaseLife::Lost)
    }

    /// The next commit gives the shared lock back. From here on no thread renews it.
    pub(super) fn ending(&mut self) {
        if let Some(lease) = &self.lease {
            lease.end_renewals();
        }
    }

    /// The shared lock was given back or lost.
    pub(super) fn ended(&mut self) {
        if let Some(lease) = &self.lease {
            lease.kept.end();
        }
    }

    /// Leaves a shared lock that lapses by itself to that. Other locks are given back.
    pub(super) fn abandon(&mut self) {
        if self.lease.as_ref().is_some_and(|lease| lease.lapses) {
            self.ended();
        }
    }

    /// Asks the engine whether this hold still has the shared lock, and keeps it for another `length`.
    pub(super) fn renew(&self, length: Duration) -> Answer<bool> {
        match self.lease.as_ref().map(|lease| (lease, lease.lock())) {
            Some((lease, Ok(lock))) => lock.renew(lease.kept.id(), lease.kept.fence(), length),
            Some((_, Err(error))) => Answer::Now(Err(error)),
            None => Answer::now(true),
        }
    }

    /// Gives the shared lock back, if there is one that was not given back or lost. The caller says
    /// [`ended`](Self::ended) when the answer is there.
    pub(super) fn unlock(&mut self) -> Option<Answer<()>> {
        let lease = self.lease.as_ref().filter(|lease| !lease.is_over())?;
        lease.end_renewals();
        Some(lease.unlock())
    }
}

/// The lock between processes, held.
struct Lease {
    shared: Arc<Shared>,
    kept: Arc<Kept>,
    /// Whether the lock ends by itself, and is renewed.
    lapses: bool,
}

impl Lease {
    fn lock(&self) -> Result<&dyn SharedLock, StoreError> {
        shared_lock(&self.shared)
    }

    fn is_over(&self) -> bool {
        matches!(self.kept.life(), LeaseLife::Over | LeaseLife::Lost)
    }

    fn unlock(&self) -> Answer<()> {
        match self.lock() {
            Ok(lock) => lock.unlock(self.kept.id(), self.kept.fence()),
            Err(error) => Answer::Now(Err(error)),
        }
    }

    fn end_renewals(&self) {
        self.shared.keeper.forget(&self.kept);
    }
}

/// Gives the lock back without waiting for the answer.
impl Drop for Lease {
    fn drop(&mut self) {
        self.end_renewals();
        if self.is_over() {
            return;
        }
        let blocking = match self.shared.answers {
            Answers::Blocking => self.shared.block().map(Some),
            Answers::AtOnce | Answers::Later => Ok(None),
        };
        if blocking.is_err() && self.lapses {
            // Too many threads wait already. The lock lapses by itself.
            return;
        }
        let note = |shared: &Shared, given_back| shared.health.note(&given_back, "giving back a session's lock");
        match self.unlock() {
            Answer::Now(given_back) => note(&self.shared, given_back),
            Answer::Later(answer) => {
                let shared = Arc::clone(&self.shared);
                detached::finish(async move { note(&shared, answer.await) });
            }
        }
    }
}

/// A request that has its session's lock in this process and wants the shared one.
#[must_use = "dropping the contender gives up"]
pub(super) struct Contender {
    shared: Arc<Shared>,
    claim: Claim,
    length: Duration,
    /// Before the guard, as the watch: the next request begins when both have ended.
    question: Option<Answer<Option<Grant>>>,
    watch: Option<(Watch, Arc<Bell>)>,
    guard: LockGuard,
}

/// The result of asking for the shared lock.
pub(super) enum Asked {
    /// The lock, and the record, if it came along.
    Won(Hold, Option<Option<Record>>),
    /// A request of another process has it.
    Taken(Box<Contender>),
    /// The engine has not answered yet. The waker is woken when it has.
    Unanswered(Box<Contender>),
}

impl Contender {
    pub(super) fn new(shared: &Arc<Shared>, claim: &Claim, length: Duration, guard: LockGuard) -> Box<Self> {
        let (shared, claim) = (Arc::clone(shared), claim.clone());
        Box::new(Self { shared, claim, length, question: None, watch: None, guard })
    }

    /// Asks. If another request has the lock, `waker` is woken when asking again is worth it, and no release in between
    /// goes unseen. A call without a reason costs nothing.
    pub(super) fn ask(self: Box<Self>, waker: &Waker) -> Result<Asked, StoreError> {
        if self.watch.is_some() && self.question.is_none() && !self.has_rung() {
            return Ok(Asked::Taken(self));
        }
        match self.ask_once(waker)? {
            Asked::Taken(mut contender) if contender.watch.is_none() => {
                contender.watch(waker)?;
                contender.ask_once(waker)
            }
            // The bell may have rung after the engine had answered.
            Asked::Taken(contender) if contender.has_rung() => contender.ask_once(waker),
            asked => Ok(asked),
        }
    }

    fn ask_once(mut self: Box<Self>, waker: &Waker) -> Result<Asked, StoreError> {
        let lock = shared_lock(&self.shared)?;
        let id = *self.guard.key();
        let question = match self.question.take() {
            Some(question) => question,
            None => {
                // A ring from here on may be newer than the answer.
                let _ = self.has_rung();
                lock.try_lock(&id, self.length)
            }
        };
        let granted = match question.hear(waker) {
            Ok(granted) => granted,
            Err(question) => {
                self.question = Some(question);
                return Ok(Asked::Unanswered(self));
            }
        };
        let Some(grant) = granted? else { return Ok(Asked::Taken(self)) };
        let lapses = lock.lapses();
        if self.watch.is_some() {
            self.guard.set_elsewhere(false);
        }
        // From here on dropping gives the lock back.
        let shared = Arc::clone(&self.shared);
        let kept = Arc::new(Kept::new(id, grant.fence, &self.claim, self.length));
        let lease = Box::new(Lease { shared, kept, lapses });
        if lapses {
            self.shared.keeper.keep(&lease.kept)?;
        }
        Ok(Asked::Won(Hold { lease: Some(lease), guard: self.guard, _alone: None }, grant.record))
    }

    /// From now on `waker` is woken when asking is worth it. A release before that is unseen: ask once more.
    fn watch(&mut self, waker: &Waker) -> Result<(), StoreError> {
        let too_many = |_| StoreError::new("no request may wait for it any more", "`server.waiting_threads`");
        let _blocking = self.shared.block().map_err(too_many)?;
        let bell = Arc::new(Bell { has_rung: AtomicBool::new(false), waker: waker.clone() });
        let watch = shared_lock(&self.shared)?.watch(self.guard.key(), Waker::from(Arc::clone(&bell)))?;
        self.watch = Some((watch, bell));
        self.guard.set_elsewhere(true);
        Ok(())
    }

    /// Whether the watch has woken the request since the last call.
    fn has_rung(&self) -> bool {
        self.watch.as_ref().is_some_and(|(_, bell)| bell.has_rung.swap(false, Ordering::AcqRel))
    }

    pub(super) fn id(&self) -> &SessionId {
        self.guard.key()
    }
}

/// Tells the wake-ups of a watch from those of an answer. Both wake the same request, which may run once for both.
struct Bell {
    has_rung: AtomicBool,
    waker: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.waker.wake_by_ref();
    }
}

fn shared_lock(shared: &Shared) -> Result<&dyn SharedLock, StoreError> {
    shared
        .store
        .shared_lock()
        .ok_or_else(|| StoreError::new("the store has no shared lock any more", "its `shared_lock`"))
}
