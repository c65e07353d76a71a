//! The waiters for locks of an engine that sends no messages, and the thread that looks whether the locks are free.
//!
//! While a request waits, one thread asks for all the wanted locks: soon after a waiter has arrived or a lock has come
//! free, then less and less often. The thread lives only as long as there are waiters. Locks that this process gives
//! back itself need no look.

use crate::sessions::{SessionId, StoreError, Watch, Watchers};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

/// An engine that says which locks are free when it is asked.
pub(super) trait Polled: Send + Sync + 'static {
    /// The name of the thread that asks.
    const THREAD: &'static str;
    /// The longest pause between two questions.
    const LONGEST: Duration;

    /// Those of `watched` whose lock is free.
    ///
    /// # Errors
    /// When the engine cannot say. Then all waiters ask for themselves, and get the error.
    fn free(&self, watched: &[SessionId]) -> Result<HashSet<SessionId>, StoreError>;
}

/// The waiters for the locks of one store.
#[derive(Default)]
pub(super) struct PolledLocks {
    shared: Arc<Waiters>,
}

#[derive(Default)]
struct Waiters {
    watchers: Watchers,
    arrivals: AtomicU64,
    /// Whether the thread is alive.
    is_looking: Mutex<bool>,
}

const SHORTEST: Duration = Duration::from_millis(1);
/// The pause after an engine could not say.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

impl PolledLocks {
    /// Wakes the waiters for a lock that this process has given back.
    pub(super) fn wake(&self, id: &SessionId) {
        self.shared.watchers.wake(id);
    }

    /// Adds a waiter, and starts the thread if it is not there.
    pub(super) fn watch<E: Polled>(&self, engine: &Arc<E>, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        let watch = self.shared.watchers.add(id, waker);
        self.shared.arrivals.fetch_add(1, Ordering::Relaxed);
        let mut is_looking = self.shared.is_looking.lock();
        if !*is_looking {
            let (engine, waiters) = (Arc::downgrade(engine), Arc::clone(&self.shared));
            let thread = std::thread::Builder::new().name(E::THREAD.to_owned());
            thread.spawn(move || waiters.look(&engine)).map_err(|error| {
                StoreError::new("cannot start the thread that waits for locks", E::THREAD).because(error)
            })?;
            *is_looking = true;
        }
        Ok(watch)
    }
}

impl Waiters {
    /// Until there are no waiters, or the store is gone.
    fn look<E: Polled>(&self, engine: &Weak<E>) {
        let mut pause = SHORTEST;
        let (mut arrivals, mut was_free, mut has_failed) = (0, HashSet::new(), false);
        loop {
            std::thread::sleep(pause);
            let Some(engine) = engine.upgrade() else { return };
            let watched = {
                // A waiter that comes after this look finds no thread, and starts one.
                let mut is_looking = self.is_looking.lock();
                let watched = self.watchers.watched();
                if watched.is_empty() {
                    *is_looking = false;
                    return;
                }
                watched
            };
            let now = self.arrivals.load(Ordering::Relaxed);
            match engine.free(&watched) {
                Ok(free) => {
                    free.iter().for_each(|id| self.watchers.wake(id));
                    // Close behind a change there is often another; a lock that stays free is nothing new.
                    let is_news = now != arrivals || free.iter().any(|id| !was_free.contains(id));
                    pause = if is_news { SHORTEST } else { (pause * 2).min(E::LONGEST) };
                    (was_free, has_failed) = (free, false);
                }
                Err(error) => {
                    if !has_failed {
                        crate::line::record!(Warn, target: "kirsch::sessions", "cannot look whether locks are free: {error}");
                    }
                    self.watchers.wake_all();
                    (pause, has_failed) = (AFTER_FAILURE, true);
                }
            }
            arrivals = now;
        }
    }
}
