//! The supervised threads of background jobs.
//!
//! A job that fails or panics is logged and counted, and goes on: a sweep that dies of one bad record would let a store grow until the
//! machine is full. Each job has a thread of its own, so that a slow one delays no other.

use crate::lifecycle::BackgroundJob;
use crate::logs;
use crate::panics::guarded;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// What a background job has done so far.
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
    stopping: Arc<Stopping>,
    jobs: Vec<Arc<Counters>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Stopping {
    asked: Mutex<bool>,
    signal: Condvar,
}

struct Counters {
    name: &'static str,
    runs: AtomicU64,
    failures: AtomicU64,
}

impl Background {
    /// Starts a thread for each job.
    pub(super) fn start(jobs: &[BackgroundJob]) -> io::Result<Self> {
        let mut background = Self { stopping: Arc::default(), jobs: Vec::new(), threads: Vec::new() };
        for job in jobs {
            let counters = Arc::new(Counters { name: job.name, runs: AtomicU64::new(0), failures: AtomicU64::new(0) });
            let (job, stopping, own) = (job.clone(), background.stopping.clone(), counters.clone());
            let thread = Builder::new().name(job.name.to_owned()).spawn(move || repeat(&job, &stopping, &own))?;
            background.jobs.push(counters);
            background.threads.push(thread);
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

    /// Asks all jobs to stop, without waiting for one that is at work.
    fn ask_to_stop(&self) {
        *self.stopping.asked.lock() = true;
        self.stopping.signal.notify_all();
    }

    /// Stops all jobs and waits until `deadline` for those that are at work. Returns the names of those that still are: they are left to
    /// themselves, so that a stop never hangs.
    pub(super) fn stop(mut self, deadline: Instant) -> Vec<String> {
        self.ask_to_stop();
        let mut at_work = std::mem::take(&mut self.threads);
        loop {
            at_work.retain(|thread| !thread.is_finished());
            if at_work.is_empty() || Instant::now() >= deadline {
                return at_work.iter().filter_map(|thread| thread.thread().name().map(str::to_owned)).collect();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// A year: longer intervals are cut to this.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

fn repeat(job: &BackgroundJob, stopping: &Stopping, counters: &Counters) {
    let every = job.every.min(LONGEST);
    let mut next = Instant::now() + every;
    loop {
        let mut asked = stopping.asked.lock();
        while !*asked && Instant::now() < next {
            stopping.signal.wait_until(&mut asked, next);
        }
        if *asked {
            return;
        }
        drop(asked);
        if let Err(error) = guarded(|| (job.run)()) {
            counters.failures.fetch_add(1, Ordering::Relaxed);
            crate::line::record!(Error, target: logs::ERROR, "the background job {:?} failed: {}", job.name, logs::causes(&error));
        }
        counters.runs.fetch_add(1, Ordering::Relaxed);
        // Counted from the end of the run: a job slower than its interval still lets the machine breathe.
        next = Instant::now() + every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use std::sync::mpsc;

    fn job(every: Duration, run: impl Fn() -> Result<(), Error> + Send + Sync + 'static) -> BackgroundJob {
        BackgroundJob::new("a job", every, run)
    }

    #[test]
    fn a_job_that_panics_or_fails_goes_on() {
        let (done, runs) = mpsc::channel();
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
        assert_eq!(background.stop(Instant::now() + Duration::from_secs(60)), Vec::<String>::new());
    }

    #[test]
    fn an_interval_that_no_clock_reaches_is_long_and_no_panic() {
        let stopping = Stopping { asked: Mutex::new(true), signal: Condvar::new() };
        let counters = Counters { name: "a job", runs: AtomicU64::new(0), failures: AtomicU64::new(0) };
        repeat(&job(Duration::MAX, || Ok(())), &stopping, &counters);
    }

    #[test]
    fn a_job_that_never_ends_is_named_and_left() {
        let (began, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let ended = Mutex::new(ended);
        let background = Background::start(&[job(Duration::ZERO, move || {
            began.send(()).unwrap_or_default();
            ended.lock().recv().unwrap_or_default();
            Ok(())
        })]);
        begun.recv().unwrap();
        assert_eq!(background.unwrap().stop(Instant::now()), ["a job"]);
        drop(end);
    }
}
