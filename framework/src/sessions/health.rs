//! The log lines of a store that fails: the first failure, then how many more, and that it works again.
//!
//! A dead engine fails every request; a line for each would bury the lines that the operator looks for, and cost as
//! much as serving.

use super::StoreError;
use crate::seldom::Seldom;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// The failures of one store.
#[derive(Default)]
pub(super) struct Health {
    failures: AtomicU64,
    /// Looked at after every success, so it is apart from the rest.
    is_failing: AtomicBool,
    lines: Seldom,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    /// Whether the last line was of a failure.
    is_failure: bool,
    /// Failures since the store worked.
    all: u64,
}

impl Health {
    /// Counts a failure, and tells the log if it has not heard of the trouble for a while. `who` was at it.
    pub(super) fn failed(&self, error: &StoreError, who: impl std::fmt::Display) {
        self.failed_at(Instant::now(), error, who);
    }

    fn failed_at(&self, now: Instant, error: &StoreError, who: impl std::fmt::Display) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut said = self.said.lock();
        self.is_failing.store(true, Ordering::Relaxed);
        said.all += 1;
        let Some(more) = self.lines.may_say(now) else { return };
        said.is_failure = true;
        drop(said);
        let quiet = Seldom::QUIET.as_secs();
        match more {
            0 => crate::line::record!(Error,
                target: "kirsch::sessions",
                "the session store fails: {error} ({who}); requests that need their session get 503; \
                 further failures are counted and told every {quiet} s"
            ),
            more => crate::line::record!(Error,
                target: "kirsch::sessions",
                "the session store failed {more} more times, and still does: {error} ({who})"
            ),
        }
    }

    /// The store has done its work.
    pub(super) fn worked(&self) {
        if self.is_failing.load(Ordering::Relaxed) {
            self.recovered();
        }
    }

    #[cold]
    fn recovered(&self) {
        let mut said = self.said.lock();
        if !self.is_failing.swap(false, Ordering::Relaxed) {
            return;
        }
        let all = std::mem::take(&mut said.all);
        self.lines.forget();
        // A store that fails now and then is told of as often as one that fails all the time.
        if std::mem::take(&mut said.is_failure) {
            drop(said);
            crate::line::record!(Warn, target: "kirsch::sessions", "the session store works again, after {all} failures");
        }
    }

    /// One of the two, whichever it was.
    pub(super) fn note<T>(&self, result: &Result<T, StoreError>, who: impl std::fmt::Display) {
        match result {
            Ok(_) => self.worked(),
            Err(error) => self.failed(error, who),
        }
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::capture::records;
    use std::time::Duration;

    #[test]
    fn a_store_that_fails_is_told_of_once_then_counted_then_works_again() {
        let (health, start) = (Health::default(), Instant::now());
        let fail = |second| {
            let error = StoreError::new("cannot connect", "127.0.0.1:1");
            health.failed_at(start + Duration::from_secs(second), &error, "/ (request 1)");
        };
        let lines = records("kirsch::sessions", || (0..=10).for_each(fail));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("the session store fails: cannot connect (127.0.0.1:1) (/ (request 1))"));
        assert!(lines[1].contains("failed 9 more times"), "{lines:?}");
        let lines = records("kirsch::sessions", || (0..3).for_each(|_| health.worked()));
        assert!(matches!(&*lines, [line] if line.contains("works again, after 11 failures")), "{lines:?}");
        let lines = records("kirsch::sessions", || {
            for second in 11..15 {
                fail(second);
                health.worked();
            }
        });
        assert_eq!(lines.len(), 0, "one that comes and goes does not flood the log: {lines:?}");
        assert_eq!(health.failures(), 15);
    }
}
