//! The reserve: workers that rest while all work is quick.
//!
//! Every event wakes a worker that sleeps in the poller, even if another one would have come three microseconds later.
//! With many workers asleep that is the greatest cost of a quick request. So, while things are *calm*, only as many
//! workers sleep in the poller as there are processors (at least two); the others rest here, where no event wakes them.
//!
//! The price must not be delay: when all workers outside of the reserve are inside slow handlers, some thread has to
//! call the reserve. The last worker to leave the poller *arms* the ticker, which then looks every millisecond (under
//! load, every five). If it sees the poller unattended and no worker moving between two looks, it ends the calm: all
//! rest is over, until for a second no handler was seen running for long. So a server whose handlers block works as if
//! there were no reserve, and the first surprise after a second of quick work delays others by two looks.
//!
//! The invariant: when workers rest and none is at the poller, the ticker is armed. A worker that goes to rest is
//! counted in `resting` before it is taken out of `sleepers`. The thread that takes the last one out looks at `resting`
//! afterwards. Both are sequentially consistent, so one of them sees the other.

use crate::primitive::{AtomicBool, AtomicUsize, Bell, Mutex, Ordering};

#[derive(Debug)]
pub(super) struct Reserve {
    /// Workers that sleep in the poller, or are on their way there or back.
    sleepers: Apart,
    /// Workers that rest, or are about to.
    resting: Apart,
    /// Workers may rest.
    calm: AtomicBool,
    /// The ticker looks every millisecond.
    armed: AtomicBool,
    /// How many workers sleep in the poller while things are calm.
    quota: usize,
    /// Whether no worker may rest any more.
    bed: Mutex<bool>,
    bell: Bell,
}

/// A number on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Apart(AtomicUsize);

impl Reserve {
    pub(super) fn new(quota: usize) -> Self {
        Self {
            sleepers: Apart(AtomicUsize::new(0)),
            resting: Apart(AtomicUsize::new(0)),
            calm: AtomicBool::new(true),
            armed: AtomicBool::new(false),
            quota,
            bed: Mutex::default(),
            bell: Bell::default(),
        }
    }

    /// A worker goes to the poller.
    pub(super) fn announce(&self) {
        self.sleepers.0.fetch_add(1, Ordering::SeqCst);
    }

    /// A worker comes back from the poller. True if it leaves it unattended while others rest and the ticker does not
    /// know: ring it.
    #[must_use]
    pub(super) fn leave(&self) -> bool {
        self.sleepers.0.fetch_sub(1, Ordering::SeqCst) == 1
            && self.resting.0.load(Ordering::SeqCst) > 0
            && !self.armed.swap(true, Ordering::SeqCst)
    }

    /// How many workers are at the poller.
    pub(super) fn sleepers(&self) -> usize {
        self.sleepers.0.load(Ordering::SeqCst)
    }

    /// Whether all workers are at work: none sleeps, none rests.
    pub(super) fn is_exhausted(&self) -> bool {
        self.sleepers() == 0 && self.resting.0.load(Ordering::SeqCst) == 0
    }

    /// Whether an announced worker is one too many at the poller.
    pub(super) fn is_wanted(&self) -> bool {
        self.sleepers.0.load(Ordering::Relaxed) > self.quota && self.calm.load(Ordering::Relaxed)
    }

    /// Takes an announced worker away from the poller, until the calm is over. It is not announced any more afterwards;
    /// or false: it is the last one at the poller, does not rest, and is still announced.
    #[must_use]
    pub(super) fn rest(&self) -> bool {
        if !self.lie_down() {
            return false;
        }
        let mut bed = self.bed.lock();
        while self.calm.load(Ordering::SeqCst) {
            bed = self.bell.wait(bed);
        }
        drop(bed);
        self.resting.0.fetch_sub(1, Ordering::SeqCst);
        true
    }

    /// Counts a worker as resting instead of asleep; false if no worker would be left at the poller.
    ///
    /// The last one at the poller leaves it through [`leave`](Self::leave) alone, which arms the ticker.
    fn lie_down(&self) -> bool {
        self.resting.0.fetch_add(1, Ordering::SeqCst);
        let others = |sleepers: usize| (sleepers > 1).then(|| sleepers - 1);
        let lies = self.sleepers.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, others).is_ok();
        if !lies {
            self.resting.0.fetch_sub(1, Ordering::SeqCst);
        }
        lies
    }

    /// Whether the ticker has to look every millisecond.
    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// The ticker has seen the poller attended for a while. If that has just changed, it stays armed.
    pub(super) fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
        if self.sleepers() == 0 && self.resting.0.load(Ordering::SeqCst) > 0 {
            self.armed.store(true, Ordering::SeqCst);
        }
    }

    /// Things are calm: workers may rest, unless it was the [`end`](Self::end).
    pub(super) fn calm(&self) {
        let is_over = self.bed.lock();
        self.calm.store(!*is_over, Ordering::SeqCst);
    }

    /// Ends all rest, and allows none until [`calm`](Self::calm).
    pub(super) fn call(&self) {
        let _is_over = self.bed.lock();
        self.calm.store(false, Ordering::SeqCst);
        self.bell.notify_all();
    }

    /// Ends all rest for good.
    pub(super) fn end(&self) {
        *self.bed.lock() = true;
        self.call();
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn one_worker_more_than_the_quota_is_wanted_in_the_reserve() {
        let reserve = Reserve::new(2);
        reserve.announce();
        reserve.announce();
        assert!(!reserve.is_wanted());
        reserve.announce();
        assert!(reserve.is_wanted());
        reserve.call();
        assert!(!reserve.is_wanted(), "nobody rests while something is slow");
    }

    #[test]
    fn the_last_to_leave_the_poller_arms_the_ticker_once() {
        let reserve = Reserve::new(1);
        (0..3).for_each(|_| reserve.announce());
        assert!(reserve.lie_down());
        assert!(!reserve.leave(), "one is left");
        assert!(reserve.leave());
        reserve.announce();
        assert!(!reserve.leave(), "the ticker knows");
    }

    #[test]
    fn no_worker_rests_if_the_poller_would_be_unattended() {
        let reserve = Reserve::new(0);
        reserve.announce();
        assert!(!reserve.lie_down());
        assert_eq!(reserve.sleepers(), 1, "it is still announced");
    }

    #[test]
    fn after_the_end_no_worker_rests() {
        let reserve = Reserve::new(1);
        (0..2).for_each(|_| reserve.announce());
        reserve.end();
        reserve.calm();
        assert!(!reserve.is_wanted());
    }

    #[test]
    fn without_a_reserve_the_ticker_sleeps() {
        let reserve = Reserve::new(2);
        reserve.announce();
        assert!(!reserve.leave());
        assert!(reserve.is_exhausted());
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// One worker lies down, one leaves the poller, the ticker disarms: if all have left, the ticker is armed.
    #[test]
    fn an_unattended_poller_with_a_reserve_has_an_armed_ticker() {
        loom::model(|| {
            let reserve = Arc::new(Reserve::new(1));
            reserve.announce();
            reserve.announce();
            let rester = {
                let reserve = reserve.clone();
                thread::spawn(move || reserve.lie_down())
            };
            let leaver = {
                let reserve = reserve.clone();
                thread::spawn(move || reserve.leave())
            };
            reserve.disarm();
            let (rests, _) = (rester.join().expect("no panic"), leaver.join().expect("no panic"));
            if rests && reserve.sleepers() == 0 {
                assert!(reserve.is_armed());
            }
        });
    }

    /// One rests already. Of two others, one wants to rest and goes to work if it cannot, the other goes to work.
    #[test]
    fn a_worker_that_cannot_rest_leaves_an_armed_ticker() {
        loom::model(|| {
            let reserve = Arc::new(Reserve::new(1));
            (0..3).for_each(|_| reserve.announce());
            assert!(reserve.lie_down());
            let other = {
                let reserve = reserve.clone();
                thread::spawn(move || reserve.leave())
            };
            let rings = !reserve.lie_down() && reserve.leave();
            let other_rings = other.join().expect("no panic");
            if reserve.sleepers() == 0 {
                assert!(reserve.is_armed() && (rings || other_rings));
            }
        });
    }
}
