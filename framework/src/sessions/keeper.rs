//! Keeping leases from lapsing while requests hold them.
//!
//! One thread per store, started with the first lease and ended with the store's tool. It sleeps until the next renewal is due; a request that
//! begins and ends its hold in between costs it nothing, and wakes it at most once per third of a lease. A lease is renewed when a third of it has passed.
//! If the engine cannot be reached, it is tried again until the lease has ended. One that is lost is marked: its request finds out at
//! the next write, and the store refuses its commit in any case.

use super::tool::Shared;
use super::{Fence, SessionId, StoreError};
use crate::exchange::Claim;
use crate::exchange::Error;
use crate::panics::guarded;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// All leases of one store that requests of this process hold.
#[derive(Default)]
pub(super) struct Keeper {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    leases: Mutex<Leases>,
    bell: Condvar,
    renewals: AtomicU64,
}

#[derive(Default)]
struct Leases {
    /// By the time of the next renewal; the number tells those apart that have the same.
    due: BTreeMap<(Instant, u64), Arc<Kept>>,
    last_number: u64,
    /// Until when the thread sleeps if nobody wakes it; `None`: for ever, or it is at work.
    sleeps_until: Option<Instant>,
    is_running: bool,
    is_over: bool,
}

/// A lease that is kept from lapsing.
pub(super) struct Kept {
    id: SessionId,
    fence: Fence,
    claim: Claim,
    length: Duration,
    /// Its place among the leases, and when it ends without a renewal. Locked after the leases.
    place: Mutex<Place>,
    is_over: AtomicBool,
    is_lost: AtomicBool,
}

struct Place {
    key: (Instant, u64),
    ends: Instant,
}

impl Kept {
    /// A lease that was granted just now.
    pub(super) fn new(id: SessionId, fence: Fence, claim: &Claim, length: Duration) -> Self {
        let now = Instant::now();
        let place = Place { key: (now + length / 3, 0), ends: now + length };
        Self {
            id,
            fence,
            claim: claim.clone(),
            length,
            place: Mutex::new(place),
            is_over: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    fn lose(&self, shared: &Shared, why: &str) {
        if self.is_over.load(Ordering::Relaxed) || self.is_lost.swap(true, Ordering::Relaxed) {
            return;
        }
        shared.count_lock_lost();
        let (path, request, id) = (self.claim.path(), self.claim.request(), self.id);
        crate::line::record!(Warn,
            target: "kirsch::sessions",
            "{path} (request {request}) has lost the lock of session {id}: {why}; what it writes is not saved"
        );
    }
}

impl Keeper {
    /// Renews this lease from now on, until it is [forgotten](Self::forget).
    pub(super) fn keep(&self, shared: &Arc<Shared>, kept: Kept) -> Result<Arc<Kept>, StoreError> {
        let kept = Arc::new(kept);
        let mut leases = self.inner.leases.lock();
        if !leases.is_running {
            let (inner, shared) = (Arc::clone(&self.inner), Arc::downgrade(shared));
            let thread = std::thread::Builder::new().name("sessions leases".to_owned());
            thread.spawn(move || inner.run(&shared)).map_err(|error| {
                StoreError::new("cannot start the thread that renews session locks", "this process").because(error)
            })?;
            leases.is_running = true;
        }
        leases.last_number += 1;
        let due = {
            let mut place = kept.place.lock();
            place.key.1 = leases.last_number;
            place.key
        };
        leases.due.insert(due, Arc::clone(&kept));
        if leases.sleeps_until.is_none_or(|until| due.0 < until) {
            leases.sleeps_until = Some(due.0);
            self.inner.bell.notify_one();
        }
        Ok(kept)
    }

    /// Its hold ends: no more renewals, and none that is under way says anything about it.
    pub(super) fn forget(&self, kept: &Kept) {
        let mut leases = self.inner.leases.lock();
        kept.is_over.store(true, Ordering::Relaxed);
        let key = kept.place.lock().key;
        let gone = leases.due.remove(&key);
        drop(leases);
        drop(gone);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.inner.leases.lock().due.len()
    }

    pub(super) fn renewals(&self) -> u64 {
        self.inner.renewals.load(Ordering::Relaxed)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.inner.leases.lock().is_over = true;
        self.inner.bell.notify_one();
    }
}

impl Inner {
    fn run(&self, shared: &Weak<Shared>) {
        while let Some(kept) = self.next() {
            let Some(shared) = shared.upgrade() else { return };
            // A store that panics costs this renewal, not the thread.
            let next = guarded(|| Ok(self.renew(&shared, &kept))).unwrap_or_else(|error| {
                crate::line::record!(Error, target: "kirsch::sessions", "renewing a session's lock: {error}", error = Said(&error));
                Some(Instant::now() + kept.length / 10)
            });
            let Some(next) = next else { continue };
            let mut leases = self.leases.lock();
            if !kept.is_over.load(Ordering::Relaxed) {
                let key = {
                    let mut place = kept.place.lock();
                    place.key.0 = next;
                    place.key
                };
                leases.due.insert(key, kept);
            }
        }
    }

    /// The lease whose renewal is due, waited for. `None`: the store's tool is gone.
    fn next(&self) -> Option<Arc<Kept>> {
        let mut leases = self.leases.lock();
        loop {
            if leases.is_over {
                return None;
            }
            match leases.due.first_key_value().map(|(key, _)| key.0) {
                Some(due) if due <= Instant::now() => {
                    leases.sleeps_until = None;
                    return leases.due.pop_first().map(|(_, kept)| kept);
                }
                Some(due) => {
                    leases.sleeps_until = Some(due);
                    self.bell.wait_until(&mut leases, due);
                }
                None => {
                    leases.sleeps_until = None;
                    self.bell.wait(&mut leases);
                }
            }
        }
    }

    /// Renews, and says when to do so again; `None`: never.
    fn renew(&self, shared: &Shared, kept: &Kept) -> Option<Instant> {
        let asked = Instant::now();
        let lock = shared.store.shared_lock()?;
        self.renewals.fetch_add(1, Ordering::Relaxed);
        let renewed = lock.renew(&kept.id, kept.fence, kept.length).wait();
        shared.health.note(&renewed, "renewing a session's lock");
        match renewed {
            Ok(true) => {
                // Counted from before the question: the engine began to count later than that.
                kept.place.lock().ends = asked + kept.length;
                Some(asked + kept.length / 3)
            }
            Ok(false) => {
                kept.lose(
                    shared,
                    "its lease has lapsed, since this process was paused or could not reach the store in time",
                );
                None
            }
            Err(_) if Instant::now() < kept.place.lock().ends => Some(Instant::now() + kept.length / 10),
            Err(_) => {
                kept.lose(shared, "the store cannot be reached to renew its lease");
                None
            }
        }
    }
}

/// An error with its causes.
struct Said<'e>(&'e Error);

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::logs::causes(self.0))
    }
}
