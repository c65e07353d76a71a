//! Lines for the log that strangers or a dead engine could cause by the thousand: the first is said, then how many
//! every 10 s.
//!
//! A line for each would bury the lines that the operator looks for, and cost as much as serving.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// When one kind of line was said, and how many were not.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    said: Mutex<(Option<Instant>, u64)>,
}

impl Seldom {
    /// At most one line in this time.
    pub(crate) const QUIET: Duration = Duration::from_secs(10);

    /// Whether there may be a line at the moment `now`; then with the number of those that were not said before it.
    pub(crate) fn may_say(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock();
        let (at, unsaid) = &mut *said;
        if at.is_some_and(|at| now.saturating_duration_since(at) < Self::QUIET) {
            *unsaid += 1;
            return None;
        }
        *at = Some(now);
        Some(std::mem::take(unsaid))
    }

    /// The trouble is over: those that were not said do not matter any more.
    pub(crate) fn forget(&self) {
        self.said.lock().1 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_then_how_many_every_ten_seconds() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let said: Vec<_> = (0..=20).map(|second| seldom.may_say(start + Duration::from_secs(second))).collect();
        let expected: Vec<_> = (0..=20)
            .map(|second| match second {
                0 => Some(0),
                10 | 20 => Some(9),
                _ => None,
            })
            .collect();
        assert_eq!(said, expected);
    }
}
