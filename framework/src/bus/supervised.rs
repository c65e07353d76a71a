//! A loop that survives what it runs.
//!
//! A run that fails or panics is logged and counted, and the next one comes. Each failure after another one doubles the
//! pause until the next run, so a loop that cannot work any more neither fills the log nor burns a core.

use crate::exchange::Error;
use crate::logs;
use crate::panics::guarded;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The shortest pause after a failure; each further failure in a row doubles it.
const FIRST_PAUSE: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(1) };
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The name and the counts of a loop.
#[derive(Debug)]
pub(crate) struct Supervised {
    name: Cow<'static, str>,
    every: Duration,
    runs: AtomicU64,
    failures: AtomicU64,
}

impl Supervised {
    /// A loop with such a pause before each run.
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, every: Duration) -> Self {
        Self { name: name.into(), every, runs: AtomicU64::new(0), failures: AtomicU64::new(0) }
    }

    /// How often it has run, failures included.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// How often it has failed or panicked.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Runs again and again until `stopped` disconnects.
    pub(crate) fn repeat(&self, stopped: &Receiver<Infallible>, mut run: impl FnMut() -> Result<(), Error>) {
        let mut failed_in_a_row = 0;
        let mut pause = self.every;
        // Counted from the end of the run: one slower than its interval still lets the machine breathe.
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            pause = self.every;
            match guarded(&mut run) {
                Ok(()) => failed_in_a_row = 0,
                Err(error) => {
                    failed_in_a_row += 1;
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    pause = pause.max(pause_after(failed_in_a_row));
                    if failed_in_a_row == 1 || failed_in_a_row % 10 == 0 {
                        let (name, causes) = (&self.name, logs::causes(&error));
                        crate::line::record!(Error, target: logs::ERROR, "the background job {name:?} failed, {failed_in_a_row} times in a row: {causes}");
                    }
                }
            }
            self.runs.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn pause_after(failures_in_a_row: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures_in_a_row.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_after_failures_doubles_to_its_end() {
        assert_eq!(pause_after(3), FIRST_PAUSE * 4);
        assert_eq!(pause_after(u32::MAX), (FIRST_PAUSE * 1024).min(LONGEST_PAUSE));
    }
}
