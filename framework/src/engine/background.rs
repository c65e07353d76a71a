//! The supervised threads of background jobs.
//!
//! A job that fails or panics is logged and counted, and goes on: a sweep that dies of one bad record would let a store
//! grow until the machine is full. Each failure after another one doubles the pause until the next run, so a job that
//! cannot work any more neither fills the log nor burns a core. Each job has a thread of its own, so that a slow one
//! delays no other.

use crate::bus::Deadline;
use crate::lifecycle::BackgroundJob;
use crate::logs;
use crate::panics::guarded;
use crate::threads::Threads;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The counts of a background job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStatistics {
    /// The name of the job.
    pub name: &'static str,
    /// How often it has run, failures included.
    pub runs: u64,
    /// How often it has failed or panicked.
    pub failures: u64,
}

/// The shortest pause after a failure; each further failure in a row doubles it.
const FIRST_PAUSE: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(1) };
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The threads of all jobs of one application. Dropping it stops them.
pub(super) struct Background {
    /// Nothing is sent. When it is dropped, all threads end.
    going_on: Sender<Infallible>,
    stopped: Receiver<Infallible>,
    threads: Threads,
    jobs: Vec<Arc<Counters>>,
}

struct Counters {
    name: &'static str,
    runs: AtomicU64,
    failures: AtomicU64,
}

impl Background {
    /// Starts a thread for each job.
    pub(super) fn start<'j>(jobs: impl IntoIterator<Item = &'j BackgroundJob>) -> io::Result<Self> {
        let (going_on, stopped) = bounded(0);
        let mut background = Self { going_on, stopped, threads: Threads::new(), jobs: Vec::new() };
        for job in jobs {
            let counters = Arc::new(Counters { name: job.name, runs: AtomicU64::new(0), failures: AtomicU64::new(0) });
            let (job, own) = (job.clone(), counters.clone());
            background.spawn(job.name, move |stopped| repeat(&job, stopped, &own))?;
            background.jobs.push(counters);
        }
        Ok(background)
    }

    /// Starts one more thread, which ends when what it gets disconnects.
    pub(super) fn spawn(
        &mut self,
        name: &str,
        life: impl FnOnce(&Receiver<Infallible>) + Send + 'static,
    ) -> io::Result<()> {
        let stopped = self.stopped.clone();
        self.threads.spawn(name, move || life(&stopped))
    }

    pub(super) fn statistics(&self) -> Vec<JobStatistics> {
        let jobs = self.jobs.iter().map(|job| JobStatistics {
            name: job.name,
            runs: job.runs.load(Ordering::Relaxed),
            failures: job.failures.load(Ordering::Relaxed),
        });
        jobs.collect()
    }

    /// Stops all threads and waits until the deadline for those that are at work. Returns the names of those that still
    /// are: they are left to themselves, so that a stop never hangs.
    pub(super) fn stop(mut self, deadline: Deadline) -> Vec<String> {
        drop(self.going_on);
        self.threads.end_by(deadline.at())
    }
}

fn repeat(job: &BackgroundJob, stopped: &Receiver<Infallible>, counters: &Counters) {
    let mut failed_in_a_row = 0;
    let mut pause = job.every;
    // Counted from the end of the run: a job slower than its interval still lets the machine breathe.
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        pause = job.every;
        match guarded(|| (job.run)()) {
            Ok(()) => failed_in_a_row = 0,
            Err(error) => {
                failed_in_a_row += 1;
                counters.failures.fetch_add(1, Ordering::Relaxed);
                pause = pause.max(pause_after(failed_in_a_row));
                if failed_in_a_row == 1 || failed_in_a_row % 10 == 0 {
                    crate::line::record!(Error, target: logs::ERROR, "the background job {:?} failed, {failed_in_a_row} times in a row: {}", job.name, logs::causes(&error));
                }
            }
        }
        counters.runs.fetch_add(1, Ordering::Relaxed);
    }
}

fn pause_after(failures_in_a_row: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures_in_a_row.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crossbeam_channel::unbounded;

    fn job(every: Duration, run: impl Fn() -> Result<(), Error> + Send + Sync + 'static) -> BackgroundJob {
        BackgroundJob::new("a job", every, run)
    }

    #[test]
    fn a_job_that_panics_or_fails_goes_on() {
        let (done, runs) = unbounded();
        let count = AtomicU64::new(0);
        let background = Background::start(&[job(Duration::from_millis(1), move || {
            let run = count.fetch_add(1, Ordering::Relaxed);
            done.send(run).unwrap_or_default();
            match run {
                0 => panic!("the first time"),
                1 => Err(Error::unexpected("the second time")),
                _ => Ok(()),
            }
        })]);
        let background = background.unwrap();
        while runs.recv().unwrap() < 3 {}
        let statistics = background.statistics();
        assert_eq!(statistics[0].failures, 2);
        assert!(statistics[0].runs >= 3);
    }

    #[test]
    fn stopping_does_not_wait_for_the_interval() {
        let background = Background::start(&[job(Duration::from_secs(3600), || Ok(()))]).unwrap();
        assert!(background.stop(Deadline::within(Duration::from_secs(60))).is_empty());
    }

    #[test]
    fn an_interval_that_no_clock_reaches_is_long_and_no_panic() {
        let background = Background::start(&[job(Duration::MAX, || Ok(()))]).unwrap();
        assert!(background.stop(Deadline::within(Duration::from_secs(60))).is_empty());
    }

    #[test]
    fn the_pause_after_failures_doubles_to_its_end() {
        assert_eq!(pause_after(3), FIRST_PAUSE * 4);
        assert_eq!(pause_after(u32::MAX), (FIRST_PAUSE * 1024).min(LONGEST_PAUSE));
    }

    #[test]
    fn a_job_that_never_ends_is_named_and_left() {
        let (began, begun) = unbounded();
        let (end, ended) = unbounded::<()>();
        let background = Background::start(&[job(Duration::ZERO, move || {
            began.send(()).unwrap_or_default();
            ended.recv().unwrap_or_default();
            Ok(())
        })]);
        begun.recv().unwrap();
        assert_eq!(background.unwrap().stop(Deadline::within(Duration::ZERO)), ["a job"]);
        drop(end);
    }
}
