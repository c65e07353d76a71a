//! Signals while the program stops, which may take minutes: its files are still moved away, an operator asks what it
//! waits for, and one may lose patience.
//!
//! The steps of SIGHUP do not run any more, since what they belong to may have stopped.

use super::errand::Errand;
use super::signals::{Signal, Signals, Waker};
use crate::Result;
use crate::logs;
use crate::threads::Threads;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Hears signals until it is dropped.
pub(super) struct LateSignals {
    is_over: Arc<AtomicBool>,
    waker: Option<Waker>,
    thread: Threads,
}

/// How long the thread is waited for. It needs microseconds, unless a log hangs.
const GRACE: Duration = Duration::from_secs(1);

impl LateSignals {
    /// `status` answers SIGQUIT. `hurry` is called with the name of a signal that is to end a stop for which nobody
    /// has waited so far, such as one after an upgrade.
    pub(super) fn hear(
        mut signals: Signals,
        mut status: Errand,
        hurry: impl Fn(&'static str) + Send + 'static,
    ) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let waker = Some(signals.waker()?);
        let mut late = Self { is_over: is_over.clone(), waker, thread: Threads::new() };
        late.thread.spawn("kirsch-signals", move || {
            while let Ok(signal) = signals.wait() {
                match signal {
                    Signal::News if is_over.load(Ordering::Acquire) => break,
                    Signal::News => {}
                    Signal::HangUp => logs::reopen(),
                    Signal::Ask => status.ask(),
                    Signal::Upgrade => {
                        crate::line::record!(Warn, target: "kirsch::engine", "SIGUSR2: this process stops already");
                    }
                    Signal::Stop(name) => hurry(name),
                }
            }
            drop(signals);
            status.end();
        })?;
        Ok(late)
    }
}

impl Drop for LateSignals {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        self.thread.end_by(Instant::now() + GRACE);
    }
}
