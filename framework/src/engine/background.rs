//! The supervised threads of background jobs.
//!
//! A job that fails or panics goes on: a sweep that dies of one bad record would let a store grow until the machine is
//! full. Each job has a thread of its own, so that a slow one delays no other.

use crate::bus::{Deadline, Supervised, may_begin};
use crate::exchange::{Late, StatusRow, StatusSource};
use crate::lifecycle::BackgroundJob;
use crate::threads::Threads;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

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
    stopped: Receiver<Infallible>,
    threads: Threads,
    jobs: Arc<Vec<(&'static str, Arc<Supervised>)>>,
}

impl Background {
    /// Starts a thread for each job, which begins when `handed_over` disconnects.
    pub(super) fn start<'j>(
        jobs: impl IntoIterator<Item = &'j BackgroundJob>,
        handed_over: &Receiver<Infallible>,
    ) -> io::Result<Self> {
        let mut background = Self::new();
        let mut all = Vec::new();
        for job in jobs {
            let supervised = Arc::new(Supervised::new(job.name, job.every));
            let (name, run, own) = (job.name, job.run.clone(), supervised.clone());
            let handed_over = handed_over.clone();
            background.spawn(name, move |stopped| {
                if may_begin(&handed_over, stopped) {
                    own.repeat(stopped, || run());
                }
            })?;
            all.push((name, supervised));
        }
        background.jobs = Arc::new(all);
        Ok(background)
    }

    /// No jobs yet.
    pub(super) fn new() -> Self {
        let (going_on, stopped) = bounded(0);
        Self { going_on, stopped, threads: Threads::new(), jobs: Arc::default() }
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
        statistics(&self.jobs)
    }

    /// Shows the counts on the status page.
    pub(super) fn show_in(&self, card: &OfBackground) {
        card.0.connect(&self.jobs);
    }

    /// Stops all threads and waits until the deadline for those that are at work. Returns the names of those that still
    /// are: they are left to themselves, so that a stop never hangs.
    pub(super) fn stop(mut self, deadline: Deadline) -> Vec<String> {
        drop(self.going_on);
        self.threads.end_by(deadline.at())
    }
}

fn statistics(jobs: &[(&'static str, Arc<Supervised>)]) -> Vec<JobStatistics> {
    jobs.iter().map(|(name, job)| JobStatistics { name, runs: job.runs(), failures: job.failures() }).collect()
}

/// The card of the status page, once the jobs have started.
#[derive(Clone, Default)]
pub(super) struct OfBackground(Late<Vec<(&'static str, Arc<Supervised>)>>);

impl StatusSource for OfBackground {
    fn title(&self) -> String {
        "Background jobs".to_owned()
    }

    fn rows(&self) -> Vec<StatusRow> {
        let jobs = self.0.get().map(|jobs| statistics(jobs)).unwrap_or_default();
        let row = |job: JobStatistics| match job.failures {
            0 => StatusRow::new(job.name, format!("{} runs", job.runs)),
            failures => StatusRow::new(job.name, format!("{} runs, {failures} failed", job.runs)).alarming(true),
        };
        jobs.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::bus::at_once;
    use crossbeam_channel::unbounded;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    fn job(every: Duration, run: impl Fn() -> Result<(), Error> + Send + Sync + 'static) -> BackgroundJob {
        BackgroundJob::new("a job", every, run)
    }

    #[test]
    fn a_job_that_panics_or_fails_goes_on() {
        let (done, runs) = unbounded();
        let count = AtomicU64::new(0);
        let background = Background::start(
            &[job(Duration::from_millis(1), move || {
                let run = count.fetch_add(1, Ordering::Relaxed);
                done.send(run).unwrap_or_default();
                match run {
                    0 => panic!("the first time"),
                    1 => Err(Error::unexpected("the second time")),
                    _ => Ok(()),
                }
            })],
            &at_once(),
        );
        let background = background.unwrap();
        while runs.recv().unwrap() < 3 {}
        let statistics = background.statistics();
        assert_eq!(statistics[0].failures, 2);
        assert!(statistics[0].runs >= 3);
    }

    #[test]
    fn stopping_does_not_wait_for_the_interval() {
        let background = Background::start(&[job(Duration::from_secs(3600), || Ok(()))], &at_once()).unwrap();
        assert!(background.stop(Deadline::within(Duration::from_secs(60))).is_empty());
    }

    #[test]
    fn an_interval_that_no_clock_reaches_is_long_and_no_panic() {
        let background = Background::start(&[job(Duration::MAX, || Ok(()))], &at_once()).unwrap();
        assert!(background.stop(Deadline::within(Duration::from_secs(60))).is_empty());
    }

    #[test]
    fn a_job_that_never_ends_is_named_and_left() {
        let (began, begun) = unbounded();
        let (end, ended) = unbounded::<()>();
        let background = Background::start(
            &[job(Duration::ZERO, move || {
                began.send(()).unwrap_or_default();
                ended.recv().unwrap_or_default();
                Ok(())
            })],
            &at_once(),
        );
        begun.recv().unwrap();
        assert_eq!(background.unwrap().stop(Deadline::within(Duration::ZERO)), ["a job"]);
        drop(end);
    }
    #[test]
    fn a_job_waits_until_an_older_process_has_handed_over() {
        let (done, runs) = unbounded();
        let (older, handed_over) = bounded(0);
        let run = move || {
            done.send(()).unwrap_or_default();
            Ok(())
        };
        let waiting = Background::start(&[job(Duration::ZERO, run.clone())], &handed_over).unwrap();
        assert!(waiting.stop(Deadline::within(Duration::from_secs(60))).is_empty());
        assert!(runs.try_recv().is_err(), "it was stopped before");
        let background = Background::start(&[job(Duration::ZERO, run)], &handed_over).unwrap();
        drop(older);
        runs.recv().unwrap();
        drop(background);
    }
}
