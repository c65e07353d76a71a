//! Other processes of this program that live at the same time: the one that this process takes over from, and the one
//! that takes over from it.
//!
//! A promise such as `sessions.shared = false` ("no other process uses the store") does not hold while there is one. So
//! whatever relies on it asks here each time, and says for how long it relies on it. It is about the process, and
//! not about an application, since stores are made before there is one.
//!
//! A neighbour is known before it can do anything: the old process counts it, then waits until nothing relies on being
//! alone any more, and starts it after that.

use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

// SeqCst with all of it: each side writes its own number and reads the other one. Of the two at least one sees the
// other.
static NEIGHBOURS: AtomicUsize = AtomicUsize::new(0);
static ALONE: AtomicUsize = AtomicUsize::new(0);
static ENDED: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

/// Another process, as long as this lives.
#[derive(Debug)]
pub(crate) struct Neighbour(());

impl Neighbour {
    pub(crate) fn appears() -> Self {
        NEIGHBOURS.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        NEIGHBOURS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Something that is right only while no other process does the same, as long as this lives.
#[derive(Debug)]
pub(crate) struct Alone(());

impl Alone {
    /// `None` while there is a neighbour.
    pub(crate) fn here() -> Option<Self> {
        ALONE.fetch_add(1, Ordering::SeqCst);
        let alone = Self(());
        (NEIGHBOURS.load(Ordering::SeqCst) == 0).then_some(alone)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let last = ALONE.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && NEIGHBOURS.load(Ordering::SeqCst) > 0 {
            // With the lock, so that it does not come between the look and the wait below.
            let _waiting = ENDED.0.lock();
            ENDED.1.notify_all();
        }
    }
}

/// Waits until nothing relies on being alone, after a neighbour was counted. Whether that came in time.
pub(crate) fn nothing_relies_on_being_alone(deadline: Instant) -> bool {
    let mut waiting = ENDED.0.lock();
    while ALONE.load(Ordering::SeqCst) > 0 {
        if ENDED.1.wait_until(&mut waiting, deadline).timed_out() {
            return ALONE.load(Ordering::SeqCst) == 0;
        }
    }
    true
}
