//! What all paths of one sessions tool share: the store, the locks of this process, and what is counted.

use super::ended::EndedSessions;
use super::health::Health;
use super::keeper::Keeper;
use super::lock_table::LockTable;
use super::outliving::Outliving;
use super::session::Backings;
use super::{Answers, Store};
use crate::exchange::{Blocking, HttpError, WaitsFor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    /// Where the content of sessions is.
    pub(super) backings: Backings,
    /// How the store answers.
    pub(super) answers: Answers,
    /// Those of this process, a short while ago.
    pub(super) ended: EndedSessions,
    pub(super) outliving: Outliving,
    pub(super) locks: Arc<LockTable>,
    pub(super) keeper: Keeper,
    pub(super) health: Arc<Health>,
    pub(super) counters: Arc<Counters>,
    pub(super) is_probed: AtomicBool,
    pub(super) is_swept: AtomicBool,
}

impl Shared {
    pub(super) fn new(store: impl Store) -> Self {
        let (store, health, counters): (Arc<dyn Store>, _, _) = (Arc::new(store), Arc::default(), Arc::default());
        Self {
            answers: store.answers(),
            ended: EndedSessions::default(),
            outliving: Outliving::default(),
            backings: Backings::InStore,
            locks: LockTable::new(),
            keeper: Keeper::new(&store, &health, &counters),
            store,
            health,
            counters,
            is_probed: AtomicBool::new(false),
            is_swept: AtomicBool::new(false),
        }
    }

    /// Whether a new process finds none of the sessions.
    pub(super) fn is_lost_with_the_process(&self) -> bool {
        let is_of_one_process = self.answers == Answers::AtOnce && self.store.shared_lock().is_none();
        is_of_one_process && matches!(self.backings, Backings::InStore)
    }

    /// Lets this thread wait for the store, if that keeps it waiting.
    pub(super) fn block(&self) -> Result<Option<Blocking>, HttpError> {
        (self.answers != Answers::AtOnce).then(|| Blocking::here(WaitsFor::Store)).transpose()
    }
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    waits: AtomicU64,
    /// In microseconds.
    longest_wait: AtomicU64,
    lock_timeouts: AtomicU64,
    locks_lost: AtomicU64,
    conflicts: AtomicU64,
}

impl Counters {
    pub(super) fn count_wait(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_waited(&self, waited: Duration) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.longest_wait.fetch_max(micros, Ordering::Relaxed);
    }

    pub(super) fn count_lock_lost(&self) {
        self.locks_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_conflict(&self) {
        self.conflicts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_lock_timeout(&self) {
        self.lock_timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    pub(super) fn longest_wait(&self) -> Duration {
        Duration::from_micros(self.longest_wait.load(Ordering::Relaxed))
    }

    pub(super) fn lock_timeouts(&self) -> u64 {
        self.lock_timeouts.load(Ordering::Relaxed)
    }

    pub(super) fn locks_lost(&self) -> u64 {
        self.locks_lost.load(Ordering::Relaxed)
    }

    pub(super) fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }
}
