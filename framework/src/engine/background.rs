//! The supervised threads of background jobs.
//!
//! A job that fails or panics is logged and counted, and goes on: a sweep that dies of one bad record would let a store
//! grow until the machine is full. Each job has a thread of its own, so that a slow one delays no other.

use crate::lifecycle::BackgroundJob;
use crate::logs;
use crate::panics::guarded;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Builder;
use std::time::Instant;

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

/// The threads of all jobs of one application. Dropping it stops them.
pub(super) struct Background {
    /// Nothing is sent. When it is dropped, all threads end.
    going_on: Sender<Infallible>,
    jobs: Vec<Arc<Counters>>,
    /// Disconnected when the last thread has ended.
    ended: Receiver<&'static str>,
}

struct Counters {
    name: &'static str,
    runs: AtomicU64,
    failures: AtomicU64,
}

impl Background {
    /// Starts a thread for each job.
    pub(super) fn start(jobs: &[BackgroundJob]) -> io::Result<Self> {
        let (going_on, stopped) = bounded(0);
        let (end, ended) = unbounded();
        let mut background = Self { going_on, jobs: Vec::new(), ended };
        for job in jobs {
            let counters = Arc::new(Counters { name: job.name, runs: AtomicU64::new(0), failures: AtomicU64::new(0) });
            let (job, stopped, own, end) = (job.clone(), stopped.clone(), counters.clone(), end.clone());
            Builder::new().name(job.name.to_owned()).spawn(move || {
                repeat(&job, &stopped, &own);
                let name = job.name;
                // The job lets go of its values before the stop goes on.
                drop(job);
                let _ = end.send(name);
            })?;
            background.jobs.push(counters);
        }
        Ok(background)
    }

    pub(super) fn statistics(&self) -> Vec<JobStatistics> {
        let jobs = self.jobs.iter().map(|job| JobStatistics {
            name: job.name,
            runs: job.runs.load(Ordering::Relaxed),
            failures: job.failures.load(Ordering::Relaxed),
        });
        jobs.collect()
    }

    /// Stops all jobs and waits until `deadline` for those that are at work. Returns the names of those that still are:
    /// they are left to themselves, so that a stop never hangs.
    pub(super) fn stop(self, deadline: Instant) -> Vec<&'static str> {
        drop(self.going_on);
        let mut at_work: Vec<_> = self.jobs.iter().map(|job| job.name).collect();
        while let Ok(name) = self.ended.recv_deadline(deadline) {
            at_work.swap_remove(at_work.iter().position(|other| *other == name).expect("each job ends once"));
        }
        at_work
    }
}

fn repeat(job: &BackgroundJob, stopped: &Receiver<Infallible>, counters: &Counters) {
    // Counted from the end of the run: a job slower than its interval still lets the machine breathe.
    while stopped.recv_timeout(job.every) == Err(RecvTimeoutError::Timeout) {
        if let Err(error) = guarded(|| (job.run)()) {
            counters.failures.fetch_add(1, Ordering::Relaxed);
            crate::line::record!(Error, target: logs::ERROR, "the background job {:?} failed: {}", job.name, logs::causes(&error));
        }
        counters.runs.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use std::time::Duration;

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
        assert!(background.stop(Instant::now() + Duration::from_secs(60)).is_empty());
    }

    #[test]
    fn an_interval_that_no_clock_reaches_is_long_and_no_panic() {
        let background = Background::start(&[job(Duration::MAX, || Ok(()))]).unwrap();
        assert!(background.stop(Instant::now() + Duration::from_secs(60)).is_empty());
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
        assert_eq!(background.unwrap().stop(Instant::now()), ["a job"]);
        drop(end);
    }
}
