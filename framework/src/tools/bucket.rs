//! A bucket that each event fills by one, and that empties evenly: what rates are measured with.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    level: f64,
    seen: Instant,
}

impl Bucket {
    pub(super) fn empty(now: Instant) -> Self {
        Self { level: 0.0, seen: now }
    }

    /// How full it is now. One event is forgotten every `each` seconds.
    pub(super) fn level(&self, each: f64, now: Instant) -> f64 {
        (self.level - now.saturating_duration_since(self.seen).as_secs_f64() / each).max(0.0)
    }

    /// Adds an event, or returns the time until there is room for one more within `capacity`.
    pub(super) fn fill(&mut self, capacity: f64, each: f64, now: Instant) -> Result<(), Duration> {
        let level = self.level(each, now);
        if level > capacity - 1.0 {
            return Err(Duration::from_secs_f64((level - (capacity - 1.0)) * each));
        }
        *self = Self { level: level + 1.0, seen: self.seen.max(now) };
        Ok(())
    }

    /// Forgets an event.
    #[cfg(feature = "auth")]
    pub(super) fn take_back(&mut self) {
        self.level = (self.level - 1.0).max(0.0);
    }
}
