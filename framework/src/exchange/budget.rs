//! Budgets: how many bytes all clients of a server together may make it hold, and the part of each request.
//!
//! A limit for each request does not bound ten thousand requests. A [`Budget`] bounds the sum. A [`Charge`] is one
//! request's part of it; dropping it always gives it back. The code that charges decides what a budget counts (memory,
//! disk, files) and what happens beyond it.

use super::HttpError;
use crate::http::Refusal;
use crate::seldom::Seldom;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// The part of a budget that its clones share.
#[derive(Debug)]
pub(crate) struct Budget {
    setting: &'static str,
    limit: u64,
    used: AtomicU64,
    refusals: AtomicU64,
    said: Seldom,
}

impl Budget {
    /// A budget that is set by `setting`.
    pub(crate) fn new(setting: &'static str, limit: u64) -> Arc<Self> {
        let (used, refusals) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { setting, limit, used, refusals, said: Seldom::default() })
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// How often something did not fit.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Whether so much more fits at this moment.
    pub(crate) fn has_room_for(&self, more: u64) -> bool {
        self.used().saturating_add(more) <= self.limit
    }

    /// Part of it, nothing yet.
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge { budget: self.clone(), amount: 0 }
    }

    /// Counts a refusal. Returns how many refusals are not in the log yet, if the log should have this one: it gets the
    /// first, and then their number every few seconds.
    pub(crate) fn refused(&self) -> Option<u64> {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        self.said.may_say(Instant::now())
    }

    /// The refusal of a body that does not fit.
    pub(crate) fn refuse_body(&self) -> Refusal {
        let (setting, limit) = (self.setting, self.limit);
        if let Some(unsaid) = self.refused() {
            let quiet = Seldom::QUIET.as_secs();
            crate::line::record!(Warn,
                target: "kirsch::error",
                "{setting}: request bodies are refused with 503, since those that are here take all of {limit}; \
                 {unsaid} more were refused since the last such line; there is one every {quiet} s"
            );
        }
        Refusal::NoRoomForMore
    }
}

/// One holder's part of a budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    amount: u64,
}

impl Charge {
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    /// Makes it `amount`. False when it would have to grow beyond the budget: it stays as it was then.
    #[must_use]
    pub(crate) fn resize(&mut self, amount: u64) -> bool {
        let Some(more) = amount.checked_sub(self.amount) else {
            self.force(amount);
            return true;
        };
        let limit = self.budget.limit;
        let fits = |used: u64| used.checked_add(more).filter(|used| more == 0 || *used <= limit);
        // Relaxed: the number guards no other memory.
        let grown = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if grown {
            self.amount = amount;
        }
        grown
    }

    /// Makes it `amount`, even beyond the limit: for bytes that are held already.
    pub(crate) fn force(&mut self, amount: u64) {
        // Wraps to a subtraction when it shrinks.
        self.budget.used.fetch_add(amount.wrapping_sub(self.amount), Ordering::Relaxed);
        self.amount = amount;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.force(0);
    }
}

/// The charges for the body of one request.
#[derive(Debug)]
pub(crate) struct BodyCharge {
    memory: Charge,
    decoded: Charge,
    /// A body that was spooled, and that the handler has taken into memory.
    whole: OnceLock<Charge>,
    /// A spooled body, shared with the uploads that read it.
    pub(crate) disk: Option<Arc<DiskCharge>>,
}

impl BodyCharge {
    pub(crate) fn new(memory: Charge, disk: Option<DiskCharge>) -> Self {
        let decoded = memory.budget().charge();
        Self { memory, decoded, whole: OnceLock::new(), disk: disk.map(Arc::new) }
    }

    /// This much was made from the body and is kept beside it. It is there already, and bounded by the body.
    pub(super) fn force_decoded(&mut self, amount: u64) {
        self.decoded.force(amount);
    }

    /// Reserves memory for all of a spooled body.
    ///
    /// # Errors
    /// 503 when there is no room.
    pub(super) fn take_whole(&self, length: u64) -> Result<(), HttpError> {
        let mut whole = self.memory.budget().charge();
        if !whole.resize(length) {
            return Err(HttpError::of(&self.memory.budget().refuse_body()));
        }
        // A second read finds nothing.
        let _ = self.whole.set(whole);
        Ok(())
    }
}

/// The charges for a spooled body.
#[derive(Debug)]
pub(crate) struct DiskCharge {
    pub(crate) bytes: Charge,
    /// The open file: one.
    pub(crate) file: Charge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_always_whole_again() {
        let budget = Budget::new("server.memory_for_bodies", 10);
        let (mut one, mut other) = (budget.charge(), budget.charge());
        assert!(one.resize(6) && !other.resize(5) && other.resize(4));
        assert!(!budget.has_room_for(1) && !one.resize(7) && one.resize(1) && budget.has_room_for(5));
        assert_eq!((one.amount(), budget.used()), (1, 5));
        drop((one, other));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_held_already_counts_beyond_the_limit() {
        let budget = Budget::new("server.memory_for_bodies", 10);
        let mut charge = budget.charge();
        charge.force(12);
        assert_eq!((budget.used(), budget.has_room_for(0), charge.resize(11)), (12, false, true));
        assert!(!charge.resize(12), "no growth above the limit");
        charge.force(0);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn many_threads_never_exceed_a_budget() {
        let budget = Budget::new("server.memory_for_bodies", 50);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for amount in 1..500 {
                        let mut charge = budget.charge();
                        let _ = charge.resize(amount % 40);
                        assert!(budget.used() <= 50);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_log_hears_of_the_first_refusal_and_not_of_the_next() {
        let budget = Budget::new("server.memory_for_bodies", 0);
        assert_eq!((budget.refused(), budget.refused(), budget.refused()), (Some(0), None, None));
        assert_eq!(budget.refusals(), 3);
    }
}
