//! What a queue of jobs must do: the trait, and the values that go in and out. How jobs are run is not its matter.
//!
//! ```text
//! enqueue ─► queued ──claim──► running ──finish──► done
//!              ▲                 │   │               dead       after the last attempt
//!              └── again, released,  └── cancelled   cancelled
//!                  or its lease has ended
//! ```
//!
//! A job is claimed for a *lease*. Its attempt is counted when it is claimed, so a job that kills its process ends dead
//! as well. Every later call names the attempt, and the queue refuses a call for an attempt that is not the present
//! one.

use std::any::Any;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The number of a job: 63 random bits, so nobody can guess one. Whoever knows it may ask for the state of the job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(u64);

impl JobId {
    /// The number from these bits; the highest is left out.
    #[must_use]
    pub const fn new(bits: u64) -> Self {
        Self(bits >> 1)
    }

    /// The number as an integer. It does not fit into a number of JSON.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The number that an engine has kept.
    #[must_use]
    pub const fn of_number(number: u64) -> Self {
        Self(number & (u64::MAX >> 1))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}", self.0)
    }
}

impl std::str::FromStr for JobId {
    type Err = std::num::ParseIntError;

    /// Digits only, as they are displayed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: u64 = text.parse()?;
        let is_as_displayed = text.starts_with(|first: char| first.is_ascii_digit()) && number <= u64::MAX >> 1;
        if is_as_displayed { Ok(Self(number)) } else { "".parse::<u64>().map(Self) }
    }
}

/// A job that is to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewJob<'j> {
    /// Its number.
    pub id: JobId,
    /// The name of its kind.
    pub kind: &'j str,
    /// Its content, as JSON.
    pub payload: &'j str,
    /// How long it is kept back.
    pub after: Duration,
    /// How many attempts it has before it is dead; at least one.
    pub attempts: u32,
    /// If a job of this kind and key is queued or running, there is no second one.
    pub unique: Option<&'j str>,
    /// For a job of a timetable: its entry, and the minute since 1970 that it is for. If the entry was served for this
    /// minute or a later one, there is no second job. A later one does not count if it is more than three hours ahead
    /// of the clock: the clock was wrong then. (`cron` has the same limit.)
    pub turn: Option<(&'j str, u64)>,
    /// How many jobs may be queued or running; one more is refused.
    pub max_waiting: usize,
}

impl<'j> NewJob<'j> {
    /// A job that is due at once, has five attempts, and finds a place among 1,000.
    #[must_use]
    pub fn new(id: JobId, kind: &'j str, payload: &'j str) -> Self {
        Self { id, kind, payload, after: Duration::ZERO, attempts: 5, unique: None, turn: None, max_waiting: 1000 }
    }
}

/// The answer to a job that is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is queued.
    New,
    /// A job with the same key is queued or running: this one.
    Existing(JobId),
    /// Its turn in the timetable was served already.
    Served,
}

/// A job that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its number.
    pub id: JobId,
    /// The name of its kind.
    pub kind: String,
    /// Its content, as JSON.
    pub payload: String,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
    /// How many it has.
    pub attempts: u32,
}

/// The answer to the renewal of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The lease goes on.
    Held,
    /// It goes on, and the job was cancelled: it is to end soon.
    Cancelled,
    /// The attempt is not the present one any more.
    Lost,
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The job is done.
    Done {
        /// The path of the result, if there is one.
        result: Option<String>,
    },
    /// It has failed, and is due again later.
    Again {
        /// When.
        after: Duration,
        /// Why, for the operator.
        error: String,
    },
    /// It has failed for the last time.
    Dead {
        /// Why, for the operator.
        error: String,
    },
    /// It was given back, since the program stops. The attempt does not count.
    Released,
    /// It has ended because it was cancelled.
    Cancelled,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It waits for its time, or for a thread.
    Queued,
    /// A thread is at it.
    Running,
    /// It is done.
    Done,
    /// It has failed as often as it may.
    Dead,
    /// It was cancelled.
    Cancelled,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Dead, Self::Cancelled];

    /// Whether nothing more happens to the job.
    #[must_use]
    pub fn is_end(self) -> bool {
        self > Self::Running
    }

    /// In lower case, as pages show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["queued", "running", "done", "dead", "cancelled"][self as usize]
    }
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JobStatus {
    /// Its number.
    pub id: JobId,
    /// The name of its kind.
    pub kind: String,
    /// Where it is.
    pub stage: Stage,
    /// The number of its latest attempt; 0 before the first.
    pub attempt: u32,
    /// How far it says it is, from 0 to 1.
    pub progress: f32,
    /// The path of its result.
    pub result: Option<String>,
    /// Why the latest attempt failed, for the operator.
    pub error: Option<String>,
    /// How long ago it was enqueued.
    pub age: Duration,
}

impl JobStatus {
    /// For queues of your own.
    #[must_use]
    pub fn new(id: JobId, kind: impl Into<String>, stage: Stage) -> Self {
        let kind = kind.into();
        Self { id, kind, stage, attempt: 0, progress: 0.0, result: None, error: None, age: Duration::ZERO }
    }
}

/// What a sweep takes away.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Keep {
    /// How long jobs that are done or cancelled are kept (default 1 h).
    pub done: Duration,
    /// How long dead ones are kept (default 14 days).
    pub dead: Duration,
    /// The length of a lease. One that ends much later than this was given before the clock was set back, and ends now.
    pub lease: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self { done: Duration::from_secs(3600), dead: DAY * 14, lease: Duration::from_secs(60) }
    }
}

/// Keeps jobs until they are done. [`MemoryQueue`](super::MemoryQueue) is one; for one of your own there is a
/// [suite](crate::testing::job_queue).
///
/// The queue has its own clock. Where several processes share it, that is the clock of its engine. No call waits for
/// longer than a deadline of the queue's own: requests make them.
pub trait Queue: Any + Send + Sync {
    /// Tries out whether the engine does what is wanted of it, and makes what is missing there: asked at the start.
    ///
    /// # Errors
    /// What the operator has to mend. The program does not start then.
    fn probe(&self) -> Result<(), QueueError> {
        Ok(())
    }

    /// Keeps a job.
    ///
    /// # Errors
    /// [`QueueError::Full`], or the engine's own.
    fn enqueue(&self, job: &NewJob<'_>) -> Result<Enqueued, QueueError>;

    /// Takes a job that is due, or whose lease has ended, for so long. The first of these kinds that has one gives its
    /// oldest; jobs of other kinds are left alone. A job whose lease has ended after its last attempt is dead.
    ///
    /// # Errors
    /// The engine's own.
    fn claim(&self, kinds: &[&str], lease: Duration) -> Result<Option<Claimed>, QueueError>;

    /// Lets the lease of this attempt end so long from now, and keeps how far the job is.
    ///
    /// # Errors
    /// The engine's own.
    fn renew(&self, id: JobId, attempt: u32, lease: Duration, progress: f32) -> Result<Renewed, QueueError>;

    /// Ends this attempt. `false` if it is not the present one; then nothing changes.
    ///
    /// # Errors
    /// The engine's own.
    fn finish(&self, id: JobId, attempt: u32, outcome: &Outcome) -> Result<bool, QueueError>;

    /// Cancels a job that is queued, and marks one that is running. `false` if it has ended, or is not there.
    ///
    /// # Errors
    /// The engine's own.
    fn cancel(&self, id: JobId) -> Result<bool, QueueError>;

    /// Queues a dead job again, with as many further attempts as it has had. `false` if it is not dead.
    ///
    /// # Errors
    /// [`QueueError::Exists`] if another job with its key is queued or running, or the engine's own.
    fn revive(&self, id: JobId) -> Result<bool, QueueError>;

    /// What is known of a job.
    ///
    /// # Errors
    /// The engine's own.
    fn status(&self, id: JobId) -> Result<Option<JobStatus>, QueueError>;

    /// At most so many jobs of this stage, those that were enqueued last first.
    ///
    /// # Errors
    /// The engine's own.
    fn list(&self, stage: Stage, at_most: usize) -> Result<Vec<JobStatus>, QueueError>;

    /// How many jobs are in each stage, in the order of [`Stage::ALL`].
    ///
    /// # Errors
    /// The engine's own.
    fn counts(&self) -> Result<[usize; 5], QueueError>;

    /// How long it is until the next job is due or the next lease ends; zero if one is due now. `None` without jobs.
    ///
    /// # Errors
    /// The engine's own.
    fn next_due(&self) -> Result<Option<Duration>, QueueError>;

    /// The last minute since 1970 for which this entry of a timetable was served.
    ///
    /// # Errors
    /// The engine's own.
    fn last_turn(&self, entry: &str) -> Result<Option<u64>, QueueError>;

    /// Takes away what has ended long ago. Returns how many there were.
    ///
    /// # Errors
    /// The engine's own.
    fn sweep(&self, keep: &Keep) -> Result<usize, QueueError>;

    /// Whether other processes may enqueue and claim, so that it must be looked at now and then.
    fn is_shared(&self) -> bool {
        false
    }

    /// Listens for jobs that any process enqueues, on a thread for that alone: `heard` is told in how long such a job
    /// is due. It returns when `goes_on` says no, which it asks once a second, or at once where the engine sends no
    /// messages. Nothing depends on it: a shared queue is looked at once a second all the same.
    fn listen(&self, heard: &dyn Fn(Duration), goes_on: &dyn Fn() -> bool) {
        let _ = (heard, goes_on);
    }
}

/// The longest key of a job, in bytes: engines keep them in an index.
pub(super) const MAX_KEY: usize = 512;

/// Minutes. A turn that is served further ahead than this was served before the clock was set back.
pub(super) const CLOCK_SET_BACK: u64 = 180;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
/// Milliseconds, as engines count.
pub(super) fn millis(duration: Duration) -> i64 {
    // A hundred years are as good as for ever.
    const LONGEST: i64 = 100 * 365 * 24 * 3600 * 1000;
    i64::try_from(duration.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
/// Databases count in signed numbers.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The minute since 1970.
pub(super) fn minute(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60
}

/// Why a queue could not do something.
#[derive(Debug)]
#[non_exhaustive]
pub enum QueueError {
    /// So many jobs are queued or running already.
    Full(usize),
    /// Another job with the same key is queued or running.
    Exists(JobId),
    /// The engine has failed.
    Engine(Box<dyn std::error::Error + Send + Sync>),
}

/// The error shows its cause, so it is one text for an operator.
#[cfg(any(feature = "postgres", feature = "redis"))]
impl From<crate::databases::StoreError> for QueueError {
    fn from(error: crate::databases::StoreError) -> Self {
        Self::Engine(error.to_string().into())
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(jobs) => write!(f, "the queue is full: {jobs} jobs wait or run"),
            Self::Exists(id) => write!(f, "{id:?} has the same key and has not ended"),
            Self::Engine(_) => f.write_str("the queue's engine has failed"),
        }
    }
}

impl std::error::Error for QueueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Engine(error) => Some(&**error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_only_as_it_is_displayed() {
        let id = JobId::new(u64::MAX);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "+1", "-1", "1x", " 1", "9223372036854775808"] {
            assert!(text.parse::<JobId>().is_err(), "{text:?}");
        }
    }
}
