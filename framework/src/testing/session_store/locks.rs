//! The rules of the lock between processes, on two stores that share an engine.

use super::{PATIENCE, committed, data, load, number, outcome, terms};
use crate::sessions::{Commit, Fence, Grant, Moment, SessionId, SharedLock, Store, Terms, Version};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

pub(super) fn rules<S: Store>() -> Vec<fn(&S, &S)> {
    vec![
        a_lock_has_one_holder,
        locks_of_other_sessions_are_free,
        a_lock_makes_no_record,
        who_holds_the_lock_commits,
        a_commit_with_unlock_gives_the_lock_back,
        a_commit_that_is_not_kept_keeps_the_lock,
        who_holds_the_lock_deletes,
        the_fence_of_an_earlier_hold_is_refused,
        a_commit_without_a_fence_needs_no_lock,
        a_watch_wakes_when_the_lock_is_given_back,
        a_watch_wakes_each_time,
        a_renewal_keeps_the_lock,
        a_lease_that_lapses_ends_the_hold,
        a_lease_that_lapsed_is_refused_though_nobody_came,
        locked_updates_lose_nothing,
    ]
}

/// Long enough to outlast a check.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// Short enough to be waited for.
pub(super) const SHORT: Duration = Duration::from_secs(1);

/// The lock, waited for as the sessions tool does: ask, watch, ask again, and again with each wake-up.
pub(super) fn lock<S: Store>(store: &S, id: &SessionId, lease: Duration) -> Grant {
    if let Some(grant) = try_lock(store, id, lease) {
        return grant;
    }
    let (bell, waker) = bell();
    let _watch = shared(store).watch(id, waker).expect("watch");
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(grant) = try_lock(store, id, lease) {
            return grant;
        }
        let woken = bell.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        assert!(woken.is_ok(), "a watch wakes when the lock may be free: nothing came for {PATIENCE:?}");
    }
}

pub(super) fn try_lock<S: Store>(store: &S, id: &SessionId, lease: Duration) -> Option<Grant> {
    shared(store).try_lock(id, lease).wait().expect("try_lock")
}

pub(super) fn unlock<S: Store>(store: &S, id: &SessionId, fence: Fence) {
    shared(store).unlock(id, fence).wait().expect("unlock");
}

pub(super) fn shared<S: Store>(store: &S) -> &dyn SharedLock {
    store.shared_lock().expect("a store that is shared has a shared lock")
}

pub(super) fn fenced(fence: Fence, unlock: bool) -> Terms {
    Terms { fence: Some(fence), unlock, ..terms(Moment::now()) }
}

/// A waker, and where its wake-ups arrive.
pub(super) fn bell() -> (Receiver<()>, Waker) {
    struct Bell(Sender<()>);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            // One that was not seen yet is enough.
            let _ = self.0.try_send(());
        }
    }
    let (sender, receiver) = bounded(1);
    (receiver, Waker::from(Arc::new(Bell(sender))))
}

fn is_free<S: Store>(store: &S, id: &SessionId) -> bool {
    let grant = try_lock(store, id, LONG);
    if let Some(grant) = &grant {
        unlock(store, id, grant.fence);
    }
    grant.is_some()
}

fn record<S: Store>(store: &S, number: u64) -> (SessionId, Version) {
    let id = SessionId::random();
    let version = committed(store.commit(&id, None, &data(number), &terms(Moment::now())));
    (id, version)
}

fn a_lock_has_one_holder<S: Store>(here: &S, there: &S) {
    let (id, _) = record(here, 1);
    let first = lock(here, &id, LONG);
    assert!(try_lock(there, &id, LONG).is_none(), "a lock has one holder, wherever he is");
    assert!(try_lock(here, &id, LONG).is_none(), "a lock has one holder: its own store is not let in again");
    unlock(here, &id, first.fence);
    let second = lock(there, &id, LONG);
    assert_ne!(first.fence, second.fence, "each holding has a fence of its own");
    assert!(!is_free(here, &id), "a lock has one holder, wherever he is");
    unlock(there, &id, second.fence);
    assert!(is_free(here, &id), "a lock that was given back is free");
}

fn locks_of_other_sessions_are_free<S: Store>(here: &S, there: &S) {
    let id = SessionId::random();
    let grant = lock(here, &id, LONG);
    // Striped locks would meet among so many.
    let others: Vec<_> = (0..1_000).map(|_| SessionId::random()).collect();
    let held: Vec<_> = others.iter().filter_map(|other| try_lock(there, other, LONG)).collect();
    assert_eq!(held.len(), others.len(), "the lock of one session blocks no other");
    others.iter().zip(held).for_each(|(other, grant)| unlock(there, other, grant.fence));
    unlock(here, &id, grant.fence);
}

fn a_lock_makes_no_record<S: Store>(here: &S, there: &S) {
    let (id, now) = (SessionId::random(), Moment::now());
    let grant = lock(here, &id, LONG);
    assert!(!matches!(grant.record, Some(Some(_))), "no record comes along where there is none");
    assert!(load(there, &id, now).is_none(), "a lock is not a record");
    unlock(here, &id, grant.fence);
    assert!(load(there, &id, now).is_none(), "a lock leaves no record");
}

fn who_holds_the_lock_commits<S: Store>(here: &S, there: &S) {
    let (id, version) = record(there, 1);
    let grant = lock(here, &id, LONG);
    if let Some(along) = &grant.record {
        let along = along.as_ref().expect("the record that comes along with the lock is the one there");
        assert_eq!((along.version, along.data.len()), (version, 1), "the record that comes along is the one there");
    }
    let version = committed(here.commit(&id, Some(version), &data(2), &fenced(grant.fence, false)));
    assert!(!is_free(there, &id), "a commit keeps the lock unless it is told to give it back");
    let _ = committed(here.commit(&id, Some(version), &data(3), &fenced(grant.fence, false)));
    unlock(here, &id, grant.fence);
    assert_eq!(number(there, &id, Moment::now()), 3, "what is committed here is loaded there");
}

fn a_commit_with_unlock_gives_the_lock_back<S: Store>(here: &S, there: &S) {
    let (id, version) = record(here, 1);
    let grant = lock(here, &id, LONG);
    let (bell, waker) = bell();
    let _watch = shared(there).watch(&id, waker).expect("watch");
    assert!(try_lock(there, &id, LONG).is_none(), "held");
    let version = committed(here.commit(&id, Some(version), &data(2), &fenced(grant.fence, true)));
    assert!(bell.recv_timeout(PATIENCE).is_ok(), "a commit that gives the lock back wakes who watches it");
    let next = lock(there, &id, LONG);
    assert_eq!(number(there, &id, Moment::now()), 2, "who comes next sees what was committed");
    let late = outcome(here.commit(&id, Some(version), &data(3), &fenced(grant.fence, false)));
    assert_eq!(late, Commit::LockLost, "a store that gave the lock back does not commit under it");
    unlock(there, &id, next.fence);
}

fn a_commit_that_is_not_kept_keeps_the_lock<S: Store>(here: &S, there: &S) {
    let (id, version) = record(here, 1);
    let _ = committed(here.commit(&id, Some(version), &data(2), &terms(Moment::now())));
    let grant = lock(here, &id, LONG);
    let late = outcome(here.commit(&id, Some(version), &data(3), &fenced(grant.fence, true)));
    assert_eq!(late, Commit::Conflict, "a version that is not there is a conflict, lock or not");
    assert!(!is_free(there, &id), "a commit that is not kept keeps the lock");
    unlock(here, &id, grant.fence);
    assert!(is_free(there, &id), "a lock that was given back is free");
}

fn who_holds_the_lock_deletes<S: Store>(here: &S, there: &S) {
    let (id, version) = record(here, 1);
    let grant = lock(here, &id, LONG);
    here.delete(&id).wait().expect("delete");
    let late = outcome(here.commit(&id, Some(version), &data(2), &fenced(grant.fence, false)));
    assert_eq!(late, Commit::Conflict, "a deleted record does not come back, lock or not");
    unlock(here, &id, grant.fence);
    let next = lock(there, &id, LONG);
    assert!(load(there, &id, Moment::now()).is_none(), "who comes next finds no record");
    unlock(there, &id, next.fence);
}

fn the_fence_of_an_earlier_hold_is_refused<S: Store>(here: &S, there: &S) {
    let (id, version) = record(here, 1);
    let early = lock(here, &id, LONG).fence;
    unlock(here, &id, early);
    let late = lock(there, &id, LONG).fence;
    let refused = outcome(here.commit(&id, Some(version), &data(2), &fenced(early, true)));
    assert_eq!(refused, Commit::LockLost, "a commit with the fence of an earlier hold is refused");
    assert_eq!(number(there, &id, Moment::now()), 1, "a refused commit keeps nothing");
    assert!(!shared(here).renew(&id, early, LONG).wait().expect("renew"), "an earlier hold cannot be renewed");
    unlock(here, &id, early);
    assert!(!is_free(here, &id), "giving back the lock of another holder has no effect");
    let _ = committed(there.commit(&id, Some(version), &data(3), &fenced(late, true)));
}

fn a_commit_without_a_fence_needs_no_lock<S: Store>(here: &S, there: &S) {
    let id = SessionId::random();
    let grant = lock(here, &id, LONG);
    let _ = committed(there.commit(&id, None, &data(1), &terms(Moment::now())));
    there.touch(&id, &terms(Moment::now())).wait().expect("touch");
    assert!(!is_free(there, &id), "a commit and a touch without a fence leave the lock as it is");
    there.delete(&id).wait().expect("delete");
    unlock(here, &id, grant.fence);
}

fn a_watch_wakes_when_the_lock_is_given_back<S: Store>(here: &S, there: &S) {
    let (id, _) = record(here, 1);
    let grant = lock(here, &id, LONG);
    std::thread::scope(|scope| {
        let waiting = [here, there].map(|store| {
            scope.spawn(move || {
                let next = lock(store, &id, LONG);
                unlock(store, &id, next.fence);
            })
        });
        unlock(here, &id, grant.fence);
        for thread in waiting {
            assert!(thread.join().is_ok(), "every waiter gets the lock in turn");
        }
    });
}

fn a_watch_wakes_each_time<S: Store>(here: &S, there: &S) {
    let (id, _) = record(here, 1);
    let (bell, waker) = bell();
    let _watch = shared(there).watch(&id, waker).expect("watch");
    for _ in 0..3 {
        let grant = lock(here, &id, LONG);
        while bell.try_recv().is_ok() {}
        unlock(here, &id, grant.fence);
        assert!(bell.recv_timeout(PATIENCE).is_ok(), "a watch wakes each time the lock is given back, not once");
    }
}

fn a_renewal_keeps_the_lock<S: Store>(here: &S, there: &S) {
    if !shared(here).lapses() {
        return;
    }
    // A machine that stands still for most of a lease proves nothing: then once more.
    let is_proven = (0..10).any(|_| {
        let (id, version) = record(here, 1);
        let fence = lock(here, &id, SHORT).fence;
        let end = Instant::now() + 3 * SHORT;
        let mut renewed = Instant::now();
        while renewed < end {
            std::thread::sleep(SHORT / 4);
            let is_renewed = shared(here).renew(&id, fence, SHORT).wait().expect("renew");
            let is_kept = try_lock(there, &id, SHORT).is_none();
            if renewed.elapsed() > SHORT * 3 / 4 {
                return false;
            }
            assert!(is_renewed, "a lease that is renewed in time lasts");
            assert!(is_kept, "a lease that is renewed in time keeps others out");
            renewed = Instant::now();
        }
        let _ = committed(here.commit(&id, Some(version), &data(2), &fenced(fence, true)));
        assert!(is_free(there, &id), "a commit gives a renewed lock back");
        true
    });
    assert!(is_proven, "the machine stood still each time, or the engine needs most of {SHORT:?} for an answer");
}

fn a_lease_that_lapses_ends_the_hold<S: Store>(here: &S, there: &S) {
    if !shared(here).lapses() {
        return;
    }
    let (id, version) = record(here, 1);
    let lapsed = lock(here, &id, SHORT).fence;
    // The lease is not renewed. The watch has to wake by itself.
    let next = lock(there, &id, LONG).fence;
    let refused = outcome(here.commit(&id, Some(version), &data(2), &fenced(lapsed, true)));
    assert_eq!(refused, Commit::LockLost, "a commit after the lease has lapsed is refused");
    assert!(!shared(here).renew(&id, lapsed, LONG).wait().expect("renew"), "a lapsed lease cannot be renewed");
    unlock(here, &id, lapsed);
    assert!(!is_free(here, &id), "giving back a lapsed lease has no effect");
    let _ = committed(there.commit(&id, Some(version), &data(3), &fenced(next, true)));
    assert_eq!(number(here, &id, Moment::now()), 3, "who took over commits");
}

fn a_lease_that_lapsed_is_refused_though_nobody_came<S: Store>(here: &S, there: &S) {
    if !shared(here).lapses() {
        return;
    }
    let (id, version) = record(here, 1);
    let lapsed = lock(here, &id, SHORT).fence;
    // Here time itself is the matter. Engines that count in seconds may be late by two.
    std::thread::sleep(SHORT * 4);
    let refused = outcome(here.commit(&id, Some(version), &data(2), &fenced(lapsed, true)));
    assert_eq!(
        refused,
        Commit::LockLost,
        "a commit after the lease has lapsed is refused, even without another holder"
    );
    assert_eq!(number(there, &id, Moment::now()), 1, "a refused commit keeps nothing");
    assert!(is_free(there, &id), "a lapsed lock is free");
}

fn locked_updates_lose_nothing<S: Store>(here: &S, there: &S) {
    const THREADS: usize = 4;
    const ROUNDS: u64 = 25;
    let (id, _) = record(here, 0);
    let inside = AtomicUsize::new(0);
    let count = |store: &S| {
        for _ in 0..ROUNDS {
            let grant = lock(store, &id, LONG);
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "a lock has one holder");
            let along = grant.record.unwrap_or_else(|| load(store, &id, Moment::now()));
            let record = along.expect("a record");
            let next = record.data.get("number").and_then(|value| value.as_u64()).expect("a number") + 1;
            inside.fetch_sub(1, Ordering::SeqCst);
            let terms = fenced(grant.fence, true);
            let _ = committed(store.commit(&id, Some(record.version), &data(next), &terms));
        }
    };
    std::thread::scope(|scope| {
        for store in [here, there].into_iter().cycle().take(2 * THREADS) {
            scope.spawn(move || count(store));
        }
    });
    let total = 2 * THREADS as u64 * ROUNDS;
    assert_eq!(number(here, &id, Moment::now()), total, "under the lock no update is lost");
}
