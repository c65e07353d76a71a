//! The locks of sessions: their holders in this process, and their waiters. A wait list with one place for each
//! session.
//!
//! Requests that hold a worker while they wait (`acquire_lock()` within a handler) are urgent: they come before
//! requests that are parked, and may take a lock that was offered to a parked one. Otherwise all workers could wait
//! behind a parked request that needs one of them to go on: nothing would move until the deadline. Parked requests do
//! not starve: those that block are requests that run already, at most as many as there are workers.

use super::SessionId;
use super::id::IdHasher;
use crate::exchange::{Claim, Class, Entered, LineStatus, Place, RequestId, Turn, WaitList};
#[cfg(test)]
use crate::primitive::Unpark;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// All session locks of one store.
#[derive(Debug)]
pub(super) struct LockTable {
    shards: Box<[WaitList<SessionId, IdHasher>]>,
}

/// The lock of one session, held.
pub(super) type LockGuard = Place<SessionId, IdHasher>;

/// A turn in the line for a lock.
pub(super) type Waiter = Turn<SessionId, IdHasher>;

impl LockTable {
    const SHARDS: usize = 64;

    pub(super) fn new() -> Arc<Self> {
        let shard = |_| WaitList::with_hasher("the lock of the session", 1).max_waiting(usize::MAX);
        Arc::new(Self { shards: (0..Self::SHARDS).map(shard).collect() })
    }

    /// The lock, if it is free and has no waiters: for tests.
    #[cfg(test)]
    pub(super) fn try_acquire(&self, id: SessionId, claim: &Claim, now: Instant) -> Option<LockGuard> {
        self.shard(&id).try_enter_at(id, claim, now)
    }

    /// The lock, or a turn in the line for it: of a request that is parked, or of one that holds a worker, which is
    /// [`Class::Urgent`]. The waker is woken when it is worth polling.
    pub(super) fn enter(
        &self,
        id: SessionId,
        claim: &Claim,
        class: Class,
        now: Instant,
        waker: impl FnOnce() -> Waker,
    ) -> Result<LockGuard, Waiter> {
        match self.shard(&id).enter_at(id, claim, class, now, waker) {
            Entered::Place(guard) => Ok(guard),
            Entered::Turn(waiter) => Err(waiter),
            Entered::Full => unreachable!("as many may wait as there are requests"),
        }
    }

    /// The lock, waited for on this thread until `deadline`: for tests of the table alone.
    #[cfg(test)]
    pub(super) fn acquire_blocking(
        &self,
        id: SessionId,
        claim: &Claim,
        deadline: Instant,
    ) -> Result<LockGuard, TimedOut> {
        self.enter(id, claim, Class::Urgent, Instant::now(), Unpark::waker).or_else(|mut waiter| {
            let guard = waiter.wait_here(|| deadline.saturating_duration_since(Instant::now()));
            guard.ok_or_else(|| TimedOut { holder: self.holder(&id) })
        })
    }

    /// The holder of this lock now.
    #[cfg(test)]
    pub(super) fn holder(&self, id: &SessionId) -> Option<LockStatus> {
        self.shard(id).status(id).map(|line| LockStatus::of(id, &line))
    }

    /// The holders of all locks now. Looks at one shard after the other.
    pub(super) fn status(&self) -> Vec<LockStatus> {
        let all = self.shards.iter().flat_map(WaitList::all);
        all.map(|(id, line)| LockStatus::of(&id, &line)).collect()
    }

    /// How many locks are held now.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(WaitList::len).sum()
    }

    fn shard(&self, id: &SessionId) -> &WaitList<SessionId, IdHasher> {
        &self.shards[id.shard(Self::SHARDS)]
    }
}

/// The deadline passed before the lock was free.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct TimedOut {
    /// The holder at that time.
    pub(super) holder: Option<LockStatus>,
}

/// One session lock that is held: for finding out why a request waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockStatus {
    /// The first digits of the session's id.
    pub session: String,
    /// The request that holds the lock.
    pub request: RequestId,
    /// Its path; a long one is cut off.
    pub path: String,
    /// How long it has held the lock.
    pub held_for: Duration,
    /// How many requests wait behind it.
    pub waiting: usize,
    /// Whether a request of another process has the lock: this one is the next of its process, and has waited for it so
    /// long.
    pub elsewhere: bool,
}

impl LockStatus {
    fn of(id: &SessionId, line: &LineStatus) -> Self {
        let LineStatus { holder, held_for, waiting, .. } = line;
        Self {
            session: id.to_string(),
            request: holder.request(),
            path: holder.path().to_owned(),
            held_for: *held_for,
            waiting: *waiting,
            elsewhere: holder.is_elsewhere,
        }
    }
}

impl std::fmt::Display for LockStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { session, request, path, held_for, waiting, elsewhere } = self;
        if *elsewhere {
            return write!(
                f,
                "session {session} is locked in another process; {path} (request {request}) has waited for it for {held_for:.1?}, {waiting} more waiting"
            );
        }
        write!(f, "session {session} is locked by {path} (request {request}) for {held_for:.1?}, {waiting} waiting")
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn claim(path: &str) -> Claim {
        Claim::new(RequestId::next(), path)
    }

    #[test]
    fn one_that_blocks_gives_up_at_its_deadline_and_learns_who_holds() {
        let (table, id) = (LockTable::new(), SessionId::random());
        let _guard = table.try_acquire(id, &claim("/slow"), Instant::now()).expect("free");
        let timed_out = table.acquire_blocking(id, &claim("/fast"), Instant::now()).expect_err("held");
        let holder = timed_out.holder.expect("somebody holds");
        assert_eq!((holder.path.as_str(), holder.waiting), ("/slow", 1));
        assert!(holder.to_string().starts_with(&format!("session {id} is locked by /slow (request ")), "{holder}");
        assert_eq!(table.holder(&id).expect("held").waiting, 0, "its turn is given up");
    }

    #[test]
    fn one_that_blocks_is_woken_by_the_release() {
        let (table, id) = (LockTable::new(), SessionId::random());
        let guard = table.try_acquire(id, &claim("/"), Instant::now()).expect("free");
        let far = Instant::now() + Duration::from_secs(3600);
        std::thread::scope(|scope| {
            let blocked = scope.spawn(|| table.acquire_blocking(id, &claim("/"), far).is_ok());
            while table.holder(&id).is_some_and(|holder| holder.waiting == 0) {
                std::thread::yield_now();
            }
            drop(guard);
            assert!(blocked.join().expect("no panic"));
        });
    }

    #[test]
    fn the_locks_of_all_shards_are_listed_while_they_are_held() {
        let table = LockTable::new();
        let ids: Vec<_> = (0..100).map(|_| SessionId::random()).collect();
        let guards: Vec<_> = ids.iter().map(|id| table.try_acquire(*id, &claim("/"), Instant::now())).collect();
        assert!(guards.iter().all(Option::is_some));
        assert_eq!((table.len(), table.status().len()), (100, 100));
        drop(guards);
        assert_eq!(table.len(), 0);
    }
}
