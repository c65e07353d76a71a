//! The lock between processes: what a store that several processes share offers besides records.
//!
//! Within a process the lock table decides who comes next; only the request that has its session's lock there asks for
//! the shared one. So of each process at most one request competes for the lock of a session. It asks with
//! [`try_lock`](SharedLock::try_lock), which never waits; if somebody else has the lock, the request is parked with a
//! [`Watch`] that wakes it when asking again is worth it.
//!
//! A lock is a *lease* where the engine cannot know that its holder has died: it ends by itself unless it is renewed in
//! time, which the sessions tool does from a thread of its own for as long as the request runs. Each grant has a
//! [`Fence`]; a commit carries it, and a store refuses the commit of who does not hold the lock any more.

use super::{Answer, Record, SessionId, StoreError};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// A lock for each session, shared by all processes that use the store.
///
/// Calls come from any thread. A round trip to the engine has a deadline of the store's own; none waits for a holder.
/// They answer as those of the store do ([`Store::answers`](super::Store::answers)).
pub trait SharedLock: Send + Sync {
    /// Takes the lock of `id` if nobody has it, for `lease` from now on if the engine needs one. `None`: somebody has
    /// it. An answer that is dropped before it is there gives back what it is granted.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Answer<Option<Grant>>;

    /// Wakes `waker` when the lock of `id` may be free: soon after its holder gave it back, has died, or let its lease
    /// lapse, wherever he is. Waking without reason is harmless, once more than needed too. Whoever asks calls
    /// [`try_lock`](Self::try_lock) again after `watch` has returned, so that nothing can happen unseen in between.
    ///
    /// # Errors
    /// When the engine cannot be watched.
    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError>;

    /// Holds on to the lock for another `lease` from now on. `false`: it is lost.
    ///
    /// # Errors
    /// When the engine cannot say.
    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Answer<bool>;

    /// Gives the lock back and wakes who watches it. One that is not held any more has no effect, whoever has it now.
    ///
    /// # Errors
    /// When the engine cannot be reached: then the lease ends by itself.
    fn unlock(&self, id: &SessionId, fence: Fence) -> Answer<()>;

    /// Whether a lock ends by itself after its lease; `false` where the engine notices that a holder has died.
    fn lapses(&self) -> bool {
        true
    }
}

/// The number of one holding of a lock: no other holding of that lock has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence(pub u64);

impl Fence {
    /// A number that nobody else has drawn.
    ///
    /// # Panics
    /// When the operating system has no random source.
    #[must_use]
    pub fn random() -> Self {
        const BYTES: usize = 8;
        thread_local! {
            // Drawn ahead: nobody gains anything by a fence that he knows, and each call of the system would cost each
            // request.
            static DRAWN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let bytes = DRAWN.with_borrow_mut(|drawn| {
            if drawn.len() < BYTES {
                drawn.extend_from_slice(&crate::random::bytes::<{ 64 * BYTES }>());
            }
            let mut bytes = [0; BYTES];
            bytes.copy_from_slice(&drawn[drawn.len() - BYTES..]);
            drawn.truncate(drawn.len() - BYTES);
            bytes
        });
        // Engines count in signed numbers.
        Self(u64::from_le_bytes(bytes) >> 1)
    }
}

/// A lock that was granted.
#[derive(Debug)]
pub struct Grant {
    /// Which holding it is.
    pub fence: Fence,
    /// The record, if the engine has brought it along in the same round trip: `Some(None)` is "there is no record".
    pub record: Option<Option<Record>>,
}

/// Somebody's interest in a lock. Dropping it ends the interest.
#[must_use = "dropping the watch ends it"]
pub struct Watch {
    _interest: Box<dyn Send>,
}

impl Watch {
    /// An interest that lasts as long as `interest` lives.
    pub fn new(interest: impl Send + 'static) -> Self {
        Self { _interest: Box::new(interest) }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

/// Who in this process watches which lock: for stores, whose listener wakes them.
///
/// ```
/// use kirsch::sessions::{SessionId, Watchers};
/// use std::task::Waker;
///
/// let (watchers, id) = (Watchers::default(), SessionId::random());
/// let watch = watchers.add(&id, Waker::noop().clone());
/// watchers.wake(&id);
/// assert_eq!(watchers.watched(), [id]);
/// drop(watch);
/// assert!(watchers.watched().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Watchers {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<SessionId, Vec<(u64, Waker)>>,
    last: u64,
}

impl Watchers {
    /// Adds one who watches `id`.
    pub fn add(&self, id: &SessionId, waker: Waker) -> Watch {
        let number = {
            let mut inner = self.inner.lock();
            inner.last += 1;
            let number = inner.last;
            inner.by_id.entry(*id).or_default().push((number, waker));
            number
        };
        Watch::new(Interest { watchers: self.clone(), id: *id, number })
    }

    /// Wakes all who watch `id`.
    pub fn wake(&self, id: &SessionId) {
        let wakers: Vec<_> = {
            let inner = self.inner.lock();
            inner.by_id.get(id).into_iter().flatten().map(|(_, waker)| waker.clone()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes everybody: after the listener was cut off and may have missed something, and from time to time for leases
    /// that lapse.
    pub fn wake_all(&self) {
        let wakers: Vec<_> = {
            let inner = self.inner.lock();
            inner.by_id.values().flatten().map(|(_, waker)| waker.clone()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The ids that somebody watches.
    #[must_use]
    pub fn watched(&self) -> Vec<SessionId> {
        self.inner.lock().by_id.keys().copied().collect()
    }
}

struct Interest {
    watchers: Watchers,
    id: SessionId,
    number: u64,
}

impl Drop for Interest {
    fn drop(&mut self) {
        let mut inner = self.watchers.inner.lock();
        let Some(wakers) = inner.by_id.get_mut(&self.id) else { return };
        let index = wakers.iter().position(|(number, _)| *number == self.number);
        let gone = index.map(|index| wakers.swap_remove(index));
        if wakers.is_empty() {
            inner.by_id.remove(&self.id);
        }
        drop(inner);
        // A waker may run code of its own when it is dropped: not under the lock.
        drop(gone);
    }
}
