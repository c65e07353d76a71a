//! Keeping leases from lapsing while requests hold them.
//!
//! Each store has one thread, which starts with the first lease and ends with the store's tool. It sleeps until the
//! next renewal is due. Requests that begin and end their hold in between wake it at most once in a third of a lease. A
//! lease is renewed when a third of it has passed. If the engine cannot be reached, the thread tries again until the
//! lease has ended. A lost lease is marked: its request notices at the next write, and the store refuses its commit in
//! any case.

use super::health::Health;
use super::shared::Counters;
use super::{Fence, SessionId, Store, StoreError};
use crate::exchange::{Claim, Error};
use crate::panics::guarded;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// All leases of one store that requests of this process hold.
pub(super) struct Keeper {
    rounds: Arc<Rounds>,
}

/// The work of the thread.
struct Rounds {
    store: Arc<dyn Store>,
    health: Arc<Health>,
    counters: Arc<Counters>,
    leases: Mutex<Leases>,
    bell: Condvar,
    renewals: AtomicU64,
}

#[derive(Default)]
struct Leases {
    /// By the time of the next renewal; the number tells those apart that have the same.
    due: BTreeMap<(Instant, u64), Arc<Kept>>,
    last_number: u64,
    /// The end of the thread's sleep, unless it is woken. `None`: it sleeps without an end, or is at work.
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
    /// Locked after the leases.
    standing: Mutex<Standing>,
}

struct Standing {
    life: LeaseLife,
    /// Its place among the leases.
    key: (Instant, u64),
    /// The end of the lease without a renewal.
    ends: Instant,
}

/// The life of a lease.
///
/// ```text
/// Held ──► Ending ──► Over
///   └────────────────► Lost
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseLife {
    /// The thread renews it, unless its engine lets no lease lapse.
    Held,
    /// A commit or the return of the lock is under way. The lease is not renewed any more.
    Ending,
    /// The lock was given back, or the store has answered that it is not held.
    Over,
    /// The lease lapsed, or could not be renewed, while a request had it.
    Lost,
}

impl Kept {
    /// A lease that was granted just now.
    pub(super) fn new(id: SessionId, fence: Fence, claim: &Claim, length: Duration) -> Self {
        let now = Instant::now();
        let standing = Standing { life: LeaseLife::Held, key: (now + length / 3, 0), ends: now + length };
        Self { id, fence, claim: claim.clone(), length, standing: Mutex::new(standing) }
    }

    pub(super) fn id(&self) -> &SessionId {
        &self.id
    }

    pub(super) fn fence(&self) -> Fence {
        self.fence
    }

    pub(super) fn life(&self) -> LeaseLife {
        self.standing.lock().life
    }

    /// Ends the lease. A lost one stays lost.
    pub(super) fn end(&self) {
        let mut standing = self.standing.lock();
        if standing.life != LeaseLife::Lost {
            standing.life = LeaseLife::Over;
        }
    }

    fn lose(&self, counters: &Counters, why: &str) {
        {
            let mut standing = self.standing.lock();
            if standing.life != LeaseLife::Held {
                return;
            }
            standing.life = LeaseLife::Lost;
        }
        counters.count_lock_lost();
        let (path, request, id) = (self.claim.path(), self.claim.request(), self.id);
        crate::line::record!(Warn,
            target: "kirsch::sessions",
            "{path} (request {request}) has lost the lock of session {id}: {why}; what it writes is not saved"
        );
    }
}

impl Keeper {
    pub(super) fn new(store: &Arc<dyn Store>, health: &Arc<Health>, counters: &Arc<Counters>) -> Self {
        let rounds = Rounds {
            store: Arc::clone(store),
            health: Arc::clone(health),
            counters: Arc::clone(counters),
            leases: Mutex::default(),
            bell: Condvar::new(),
            renewals: AtomicU64::new(0),
        };
        Self { rounds: Arc::new(rounds) }
    }

    /// Renews this lease from now on, until it is [forgotten](Self::forget).
    pub(super) fn keep(&self, kept: &Arc<Kept>) -> Result<(), StoreError> {
        let mut leases = self.rounds.leases.lock();
        if !leases.is_running {
            let rounds = Arc::clone(&self.rounds);
            let thread = std::thread::Builder::new().name("sessions leases".to_owned());
            thread.spawn(move || rounds.run()).map_err(|error| {
                StoreError::new("cannot start the thread that renews session locks", "this process").because(error)
            })?;
            leases.is_running = true;
        }
        leases.last_number += 1;
        let due = {
            let mut standing = kept.standing.lock();
            standing.key.1 = leases.last_number;
            standing.key
        };
        leases.due.insert(due, Arc::clone(kept));
        if leases.sleeps_until.is_none_or(|until| due.0 < until) {
            leases.sleeps_until = Some(due.0);
            self.rounds.bell.notify_one();
        }
        Ok(())
    }

    /// The hold of this lease ends: no renewal follows, and one that is under way has no effect.
    pub(super) fn forget(&self, kept: &Kept) {
        let mut leases = self.rounds.leases.lock();
        let key = {
            let mut standing = kept.standing.lock();
            if standing.life == LeaseLife::Held {
                standing.life = LeaseLife::Ending;
            }
            standing.key
        };
        let gone = leases.due.remove(&key);
        drop(leases);
        drop(gone);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rounds.leases.lock().due.len()
    }

    pub(super) fn renewals(&self) -> u64 {
        self.rounds.renewals.load(Ordering::Relaxed)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.rounds.leases.lock().is_over = true;
        self.rounds.bell.notify_one();
    }
}

impl Rounds {
    fn run(&self) {
        while let Some(kept) = self.next() {
            // A panic of the store ends this renewal, not the thread.
            let next = guarded(|| Ok(self.renew(&kept))).unwrap_or_else(|error| {
                crate::line::record!(Error, target: "kirsch::sessions", "renewing a session's lock: {error}", error = Said(&error));
                Some(Instant::now() + kept.length / 10)
            });
            let Some(next) = next else { continue };
            let mut leases = self.leases.lock();
            let key = {
                let mut standing = kept.standing.lock();
                standing.key.0 = next;
                (standing.life == LeaseLife::Held).then_some(standing.key)
            };
            if let Some(key) = key {
                leases.due.insert(key, kept);
            }
        }
    }

    /// Waits for the next lease whose renewal is due. `None`: the store's tool is gone.
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

    /// Renews a lease. Returns the time of its next renewal, if there is one.
    fn renew(&self, kept: &Kept) -> Option<Instant> {
        let asked = Instant::now();
        let lock = self.store.shared_lock()?;
        self.renewals.fetch_add(1, Ordering::Relaxed);
        let renewed = lock.renew(&kept.id, kept.fence, kept.length).wait();
        self.health.note(&renewed, "renewing a session's lock");
        match renewed {
            Ok(true) => {
                // Counted from before the question, since the engine begins to count later.
                kept.standing.lock().ends = asked + kept.length;
                Some(asked + kept.length / 3)
            }
            Ok(false) => {
                kept.lose(
                    &self.counters,
                    "its lease has lapsed, since this process was paused or could not reach the store in time",
                );
                None
            }
            Err(_) if Instant::now() < kept.standing.lock().ends => Some(Instant::now() + kept.length / 10),
            Err(_) => {
                kept.lose(&self.counters, "the store cannot be reached to renew its lease");
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
