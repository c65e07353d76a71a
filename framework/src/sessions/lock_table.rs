//! The table of session locks: who holds one, who waits for it, in which order.
//!
//! ```text
//! no record ──acquire──► held ──release, nobody waits──► no record
//!                         │ ▲
//!            release, somebody waits: offered to the first
//!                         ▼ │ he comes (poll)
//!                       offered ──a blocked one comes first──► held by him, the first waits on
//! ```
//!
//! * A record exists only while somebody holds or waits. Nothing else removes it, so there is nothing to leak and nothing to sweep.
//! * A shard's mutex protects the map only. It is never held while a waker runs or is dropped, during user code, or during I/O.
//! * Whoever has a lock has a [`LockGuard`], whoever waits a [`Waiter`]; dropping either does the right thing on every way out. There is
//!   no other way to release.
//! * Waiters are served first come, first served, in two classes: requests that hold a worker while they wait (`acquire_lock()` within a
//!   handler) come before requests that are parked, and may take a lock that was offered to a parked one. Otherwise all workers could
//!   wait behind a parked request that needs one of them to go on: nothing would move until the deadline. Parked requests do not
//!   starve: those that block are requests that run already, at most as many as there are workers.

use super::SessionId;
use super::id::IdHasher;
use crate::exchange::RequestId;
#[cfg(test)]
use crate::primitive;
use crate::primitive::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// All session locks of one store.
#[derive(Debug)]
pub(super) struct LockTable {
    shards: Box<[Shard]>,
}

impl LockTable {
    const SHARDS: usize = 64;

    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { shards: (0..Self::SHARDS).map(|_| Shard::default()).collect() })
    }

    /// The lock, if nobody holds it or waits for it.
    pub(super) fn try_acquire(self: &Arc<Self>, id: SessionId, claim: &Claim, now: Instant) -> Option<LockGuard> {
        let mut shard = self.shard(&id).lock();
        shard.take_free(id, claim, now).map(|ticket| LockGuard { table: Arc::clone(self), id, ticket })
    }

    /// A place at the end of the queue for a request that is parked. The waker is woken when it is worth polling.
    pub(super) fn enqueue(self: &Arc<Self>, id: SessionId, claim: &Claim, waker: Waker) -> Waiter {
        let now = Instant::now();
        let mut shard = self.shard(&id).lock();
        let ticket = match shard.take_free(id, claim, now) {
            Some(ticket) => ticket,
            None => {
                let ticket = shard.next_ticket();
                let place = Place { ticket, claim: claim.clone(), waker, is_blocked: false };
                shard.records.get_mut(&id).expect("a lock that is not free has a record").queue.push_back(place);
                ticket
            }
        };
        Waiter { table: Arc::clone(self), id, ticket, is_over: false }
    }

    /// The lock, waited for on this thread until `deadline`: for tests of the table alone.
    #[cfg(test)]
    pub(super) fn acquire_blocking(
        self: &Arc<Self>,
        id: SessionId,
        claim: &Claim,
        deadline: Instant,
    ) -> Result<LockGuard, TimedOut> {
        if let Some(guard) = self.try_acquire(id, claim, Instant::now()) {
            return Ok(guard);
        }
        let mut waiter = self.enqueue_blocked(id, claim, primitive::Unpark::waker());
        loop {
            if let Some(guard) = waiter.poll() {
                return Ok(guard);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TimedOut { holder: self.holder(&id) });
            }
            primitive::park_timeout(left);
        }
    }

    pub(super) fn enqueue_blocked(self: &Arc<Self>, id: SessionId, claim: &Claim, waker: Waker) -> Waiter {
        let now = Instant::now();
        let mut shard = self.shard(&id).lock();
        let ticket = match shard.take_free(id, claim, now) {
            Some(ticket) => ticket,
            None => {
                let ticket = shard.next_ticket();
                let record = shard.records.get_mut(&id).expect("a lock that is not free has a record");
                match record.offered.take() {
                    Some(offered) if !offered.is_blocked => {
                        record.queue.push_front(offered);
                        record.holder = Holder::new(ticket, claim.clone(), now);
                    }
                    offered => {
                        record.offered = offered;
                        let place = Place { ticket, claim: claim.clone(), waker, is_blocked: true };
                        let behind = record.queue.iter().take_while(|other| other.is_blocked).count();
                        record.queue.insert(behind, place);
                    }
                }
                ticket
            }
        };
        Waiter { table: Arc::clone(self), id, ticket, is_over: false }
    }

    /// Who holds this lock now.
    pub(super) fn holder(&self, id: &SessionId) -> Option<LockStatus> {
        let shard = self.shard(id).lock();
        shard.records.get(id).map(|record| record.status(id))
    }

    /// Who holds which lock now. Looks at one shard after the other.
    pub(super) fn status(&self) -> Vec<LockStatus> {
        let mut all = Vec::new();
        for shard in &*self.shards {
            all.extend(shard.0.lock().records.iter().map(|(id, record)| record.status(id)));
        }
        all
    }

    /// How many locks are held now.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().records.len()).sum()
    }

    fn shard(&self, id: &SessionId) -> &Mutex<Locks> {
        &self.shards[id.shard(Self::SHARDS)].0
    }

    /// Ends the hold of `ticket`, if it has one: the first in the queue gets the lock offered, or the record goes.
    ///
    /// The caller has locked the shard, and found out under this very lock what it knows about the record.
    fn release(mut shard: MutexGuard<'_, Locks>, id: &SessionId, ticket: u64) {
        let Some(record) = shard.records.get_mut(id).filter(|record| record.holder.ticket == ticket) else { return };
        let declined = record.offered.take();
        let waker = match record.queue.pop_front() {
            Some(next) => {
                record.holder = Holder::new(next.ticket, next.claim.clone(), Instant::now());
                let waker = next.waker.clone();
                record.offered = Some(next);
                Some(waker)
            }
            None => {
                shard.records.remove(id);
                None
            }
        };
        drop(shard);
        drop(declined);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The lock of one session, held. Dropping it hands the lock to the next in the queue.
#[derive(Debug)]
#[must_use = "dropping the guard releases the lock"]
pub(super) struct LockGuard {
    table: Arc<LockTable>,
    id: SessionId,
    ticket: u64,
}

impl LockGuard {
    pub(super) fn id(&self) -> &SessionId {
        &self.id
    }

    /// Says whether the lock between processes is somebody else's, so that who looks for the holder looks there.
    pub(super) fn is_elsewhere(&self, is_elsewhere: bool) {
        let mut shard = self.table.shard(&self.id).lock();
        if let Some(record) = shard.records.get_mut(&self.id) {
            record.holder.is_elsewhere = is_elsewhere;
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        LockTable::release(self.table.shard(&self.id).lock(), &self.id, self.ticket);
    }
}

/// A place in the queue for a lock. Dropping it gives up the place, and the lock if it was just offered.
#[derive(Debug)]
#[must_use = "dropping the waiter gives up its place"]
pub(super) struct Waiter {
    table: Arc<LockTable>,
    id: SessionId,
    ticket: u64,
    is_over: bool,
}

impl Waiter {
    /// The lock, if it is this one's turn. Polling without reason is harmless.
    pub(super) fn poll(&mut self) -> Option<LockGuard> {
        if self.is_over {
            return None;
        }
        let mut shard = self.table.shard(&self.id).lock();
        let record = shard.records.get_mut(&self.id)?;
        if record.holder.ticket != self.ticket {
            return None;
        }
        let accepted = record.offered.take();
        drop(shard);
        drop(accepted);
        self.is_over = true;
        Some(LockGuard { table: Arc::clone(&self.table), id: self.id, ticket: self.ticket })
    }

    /// What is waited for, in words for people.
    pub(super) fn waits_for(&self) -> String {
        match self.table.holder(&self.id) {
            Some(holder) => holder.in_the_way(),
            None => format!("the lock of session {}", self.id),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut shard = self.table.shard(&self.id).lock();
        let Some(record) = shard.records.get_mut(&self.id) else { return };
        if record.holder.ticket == self.ticket {
            // Not in two steps: in between, one that blocks could take the offer back, and leave this place in the queue for ever.
            return LockTable::release(shard, &self.id, self.ticket);
        }
        let index = record.queue.iter().position(|place| place.ticket == self.ticket);
        let given_up = index.and_then(|index| record.queue.remove(index));
        drop(shard);
        drop(given_up);
    }
}

/// The deadline passed before the lock was free.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct TimedOut {
    /// Who held it then.
    pub(super) holder: Option<LockStatus>,
}

/// Who asks for a lock. It is copied without the heap, since every request of a session makes one.
#[derive(Clone)]
pub(super) struct Claim {
    request: RequestId,
    length: u8,
    path: [u8; Claim::PATH_BYTES],
}

impl Claim {
    /// As much of a path as is kept for messages.
    const PATH_BYTES: usize = 79;

    pub(super) fn new(request: RequestId, path: &str) -> Self {
        let end = (0..=path.len().min(Self::PATH_BYTES)).rev().find(|end| path.is_char_boundary(*end)).unwrap_or(0);
        let mut bytes = [0; Self::PATH_BYTES];
        bytes[..end].copy_from_slice(&path.as_bytes()[..end]);
        Self { request, length: u8::try_from(end).unwrap_or(0), path: bytes }
    }

    pub(super) fn request(&self) -> RequestId {
        self.request
    }

    pub(super) fn path(&self) -> &str {
        std::str::from_utf8(&self.path[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.request, self.path())
    }
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
    /// Whether a request of another process has the lock: this one is the next of its process, and has waited for it so long.
    pub elsewhere: bool,
}

impl LockStatus {
    /// As `the lock of session 3f9a1c, held by /page1 (request 0000000000000002) for 12.4s, 4 waiting`.
    fn in_the_way(&self) -> String {
        let Self { session, request, path, held_for, waiting, elsewhere } = self;
        let by = match elsewhere {
            true => {
                format!("held in another process; {path} (request {request}) has waited for that for {held_for:.1?}")
            }
            false => format!("held by {path} (request {request}) for {held_for:.1?}"),
        };
        format!("the lock of session {session}, {by}, {waiting} waiting")
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

/// On a cache line of its own, so that neighbours do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(Mutex<Locks>);

#[derive(Debug, Default)]
struct Locks {
    records: HashMap<SessionId, LockRecord, IdHasher>,
    last_ticket: u64,
}

impl Locks {
    fn take_free(&mut self, id: SessionId, claim: &Claim, now: Instant) -> Option<u64> {
        let ticket = self.next_ticket();
        match self.records.entry(id) {
            std::collections::hash_map::Entry::Occupied(_) => None,
            std::collections::hash_map::Entry::Vacant(place) => {
                let holder = Holder::new(ticket, claim.clone(), now);
                place.insert(LockRecord { holder, offered: None, queue: VecDeque::new() });
                Some(ticket)
            }
        }
    }

    fn next_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }
}

/// Invariant: `holder` has the lock. While `offered` is there, it is the holder's place in the queue: he has not come for the lock yet.
#[derive(Debug)]
struct LockRecord {
    holder: Holder,
    offered: Option<Place>,
    queue: VecDeque<Place>,
}

impl LockRecord {
    fn status(&self, id: &SessionId) -> LockStatus {
        LockStatus {
            session: id.to_string(),
            request: self.holder.claim.request(),
            path: self.holder.claim.path().to_owned(),
            held_for: self.holder.since.elapsed(),
            waiting: self.queue.len(),
            elsewhere: self.holder.is_elsewhere,
        }
    }
}

#[derive(Debug)]
struct Holder {
    ticket: u64,
    claim: Claim,
    since: Instant,
    /// He waits for the lock between processes.
    is_elsewhere: bool,
}

impl Holder {
    fn new(ticket: u64, claim: Claim, since: Instant) -> Self {
        Self { ticket, claim, since, is_elsewhere: false }
    }
}

#[derive(Debug)]
struct Place {
    ticket: u64,
    claim: Claim,
    waker: Waker,
    is_blocked: bool,
}

#[cfg(all(test, shuttle))]
mod model;
#[cfg(all(test, not(shuttle)))]
mod tests;
