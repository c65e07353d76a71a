//! A job as its author writes it, and what it can ask while it runs.

use super::queue::JobId;
use crate::Result;
use crate::exchange::Error;
use crate::http::is_local_reference;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Work that takes longer than a page: a value that is kept until the work is done, and the work itself.
///
/// The value is kept as JSON, and should be small: numbers and names of things, not the things. It is done at least
/// once. When the process dies in the middle, or its machine, it is done again; so make it harmless to be done twice.
///
/// ```
/// use kirsch::jobs::{Job, Jobs, Work};
/// use serde::{Deserialize, Serialize};
/// use std::sync::Arc;
///
/// #[derive(Serialize, Deserialize)]
/// struct Thumbnails { photo: i64 }
///
/// struct Gallery;
///
/// impl Gallery {
///     fn shrink(&self, _photo: i64, _pixels: u32) -> kirsch::Result { Ok(()) }
/// }
///
/// impl Job for Thumbnails {
///     const NAME: &str = "thumbnails";
///     type State = Gallery;
///
///     fn run(&self, gallery: &Gallery, work: &Work) -> kirsch::Result {
///         for (share, pixels) in [(0.2, 100), (0.5, 200), (1.0, 400)] {
///             work.check()?;
///             gallery.shrink(self.photo, pixels)?;
///             work.progress(share);
///         }
///         Ok(())
///     }
/// }
///
/// let jobs = Jobs::memory().register::<Thumbnails>(Gallery);
/// let id = jobs.enqueue(&Thumbnails { photo: 7 })?;
/// assert_eq!(jobs.run_due()?, 1);
/// assert_eq!(jobs.status(id)?.unwrap().stage, kirsch::jobs::Stage::Done);
/// # Ok::<_, kirsch::Error>(())
/// ```
pub trait Job: Serialize + DeserializeOwned + 'static {
    /// The name of the kind. It stays when the type is renamed: jobs that wait are found by it.
    const NAME: &'static str;

    /// What the work needs besides the value: a database, folders. [`Jobs::register`](super::Jobs::register) gets it.
    type State: Send + Sync + 'static;

    /// When it is tried again; [`Jobs::retry`](super::Jobs::retry) decides for kinds that do not say it.
    const RETRY: Option<Retry> = None;

    /// Does the work, on a thread of the jobs.
    ///
    /// # Errors
    /// Lets it be tried again later, until its attempts are used up. A panic counts as an error.
    fn run(&self, state: &Self::State, work: &Work) -> Result<()>;
}

/// When a job that has failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    pub(super) attempts: u32,
    first: Duration,
}

impl Retry {
    /// So many attempts in all. The pause after the first is `first`; each further failure doubles it, up to an hour.
    /// Up to a quarter is added or taken away by chance, so that jobs that failed together do not come back together.
    #[must_use]
    pub const fn exponential(attempts: u32, first: Duration) -> Self {
        Self { attempts, first }
    }

    /// One attempt only.
    #[must_use]
    pub const fn never() -> Self {
        Self { attempts: 1, first: Duration::ZERO }
    }

    /// The pause after this attempt has failed.
    pub(super) fn pause(self, attempt: u32) -> Duration {
        const LONGEST: Duration = Duration::from_secs(3600);
        let doubled = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(LONGEST);
        let chance = u16::from_ne_bytes(crate::random::bytes());
        doubled.mul_f32(0.75 + f32::from(chance) / 131_072.0)
    }
}

impl Default for Retry {
    /// Five attempts, with pauses of about 10, 20, 40 and 80 s.
    fn default() -> Self {
        Self::exponential(5, Duration::from_secs(10))
    }
}

/// Why a job should end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EndEarly {
    /// It should not.
    No,
    /// The program stops.
    Stop,
    /// Somebody has cancelled it.
    Cancelled,
    /// Its lease has ended, and another process may be at it.
    Lost,
}

/// What the threads of the jobs share about a job that runs.
#[derive(Debug)]
pub(super) struct RunningJob {
    pub(super) kind: String,
    pub(super) attempt: u32,
    /// The bits of an `f32`.
    progress: AtomicU32,
    end_early: AtomicU8,
    result: Mutex<Option<String>>,
    pub(super) since: Instant,
}

impl RunningJob {
    pub(super) fn new(kind: String, attempt: u32) -> Self {
        let (progress, end_early, result) = (AtomicU32::new(0), AtomicU8::new(0), Mutex::new(None));
        Self { kind, attempt, progress, end_early, result, since: Instant::now() }
    }

    pub(super) fn progress(&self) -> f32 {
        f32::from_bits(self.progress.load(Ordering::Relaxed))
    }

    pub(super) fn end_early(&self) -> EndEarly {
        // Relaxed: a hint, and the queue decides.
        match self.end_early.load(Ordering::Relaxed) {
            0 => EndEarly::No,
            1 => EndEarly::Stop,
            2 => EndEarly::Cancelled,
            _ => EndEarly::Lost,
        }
    }

    pub(super) fn ask_to_end(&self, why: EndEarly) {
        self.end_early.fetch_max(why as u8, Ordering::Relaxed);
    }

    pub(super) fn take_result(&self) -> Option<String> {
        self.result.lock().take()
    }
}

/// The run of a job, as the job sees it.
#[derive(Debug)]
pub struct Work {
    pub(super) id: JobId,
    pub(super) attempts: u32,
    pub(super) running: Arc<RunningJob>,
}

impl Work {
    /// The number of the job.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Which attempt this is; the first is 1. A higher one may find the work of an earlier one half done.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.running.attempt
    }

    /// Whether it is dead if this attempt fails.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.attempt() >= self.attempts
    }

    /// Whether to go on. Ask between two steps of the work.
    ///
    /// # Errors
    /// When the job was cancelled, the program stops, or another process has taken the job over. Return it: the job is
    /// then cancelled, queued again without the loss of an attempt, or left to the other process.
    pub fn check(&self) -> Result<()> {
        match self.running.end_early() {
            EndEarly::No => Ok(()),
            EndEarly::Stop => Err(Error::unexpected("the program stops")),
            EndEarly::Cancelled => Err(Error::unexpected("the job was cancelled")),
            EndEarly::Lost => Err(Error::unexpected("the lease has ended, and another process may be at the job")),
        }
    }

    /// Says how far the work is, from 0 to 1.
    pub fn progress(&self, share: f32) {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.running.progress.store(share.to_bits(), Ordering::Relaxed);
    }

    /// Says where the result is: a path of the app that publishes the jobs, such as `/photo/7`. Clients that ask for
    /// the job once it is done are sent there, right below mounts and prefixes of proxies.
    ///
    /// # Errors
    /// When it is not a path of this site.
    pub fn result_at(&self, path: impl Into<String>) -> Result<()> {
        let path = path.into();
        if !is_local_reference(&path) {
            return Err(Error::unexpected(format!("{path:?} is not a path of this site")));
        }
        *self.running.result.lock() = Some(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour_and_differ() {
        let retry = Retry::exponential(5, Duration::from_secs(10));
        for (attempt, about) in [(1, 10), (2, 20), (4, 80), (30, 3600)] {
            let pause = retry.pause(attempt).as_secs_f32();
            assert!((0.75..1.26).contains(&(pause / about as f32)), "{attempt}: {pause}");
        }
    }

    #[test]
    fn ten_thousand_jobs_that_fail_together_come_back_spread_over_half_the_pause() {
        let retry = Retry::exponential(5, Duration::from_secs(10));
        let mut in_tenths = [0; 130];
        (0..10_000).for_each(|_| in_tenths[usize::try_from(retry.pause(1).as_millis() / 100).unwrap()] += 1);
        let most = in_tenths.into_iter().max().unwrap();
        // 200 on the average of 50 tenths; the deviation is 14.
        assert!(most < 350, "{most} are due within a tenth of a second");
    }
}
