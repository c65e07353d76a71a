//! The queue in memory: for jobs that may be lost with the process.

use super::queue::{
    CLOCK_SET_BACK, Claimed, Enqueued, JobId, JobStatus, Keep, NewJob, Outcome, Queue, QueueError, Renewed, Stage,
    minute as minute_of,
};
use crate::primitive::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

/// How many jobs that have ended are kept at most; the oldest go first.
const MAX_ENDED: usize = 10_000;

/// Keeps jobs in memory.
///
/// It keeps at most 10,000 jobs that have ended, of which the oldest go first.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    lines: Mutex<Lines>,
}

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// All jobs. Invariants: a job that is kept back or runs has its entry in `timers`, under its `at`; a job that is due
/// has an entry in the line of its kind, with its attempt; entries there of other jobs mean nothing.
#[derive(Debug, Default)]
struct Lines {
    jobs: HashMap<JobId, KeptJob>,
    by_kind: HashMap<String, VecDeque<(JobId, u32)>>,
    timers: BTreeSet<(Instant, JobId)>,
    /// In the order of their ends.
    ended: VecDeque<(Instant, JobId)>,
    by_key: HashMap<(String, String), JobId>,
    turns: HashMap<String, u64>,
    counts: [usize; 5],
    enqueued: u64,
}

#[derive(Debug)]
struct KeptJob {
    kind: String,
    payload: String,
    key: Option<String>,
    stage: Stage,
    attempt: u32,
    attempts: u32,
    /// When it is due, or its lease ends. The end of a job that has ended.
    at: Instant,
    progress: f32,
    is_cancelled: bool,
    result: Option<String>,
    error: Option<String>,
    since: Instant,
    number: u64,
}

impl KeptJob {
    fn status(&self, id: JobId, now: Instant) -> JobStatus {
        JobStatus {
            attempt: self.attempt,
            progress: self.progress,
            result: self.result.clone(),
            error: self.error.clone(),
            age: now.saturating_duration_since(self.since),
            ..JobStatus::new(id, self.kind.clone(), self.stage)
        }
    }
}

/// The moment so much later; at most a hundred years.
fn later(now: Instant, after: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(after.min(LONGEST)).unwrap_or(now)
}

impl Lines {
    fn count(&mut self, from: Stage, to: Stage) {
        self.counts[from as usize] -= 1;
        self.counts[to as usize] += 1;
    }

    fn wait_in_line(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        match self.by_kind.get_mut(&job.kind) {
            Some(line) => line.push_back((id, job.attempt)),
            None => drop(self.by_kind.insert(job.kind.clone(), VecDeque::from([(id, job.attempt)]))),
        }
    }

    /// Queues a job, now or later.
    fn queue(&mut self, id: JobId, after: Duration, now: Instant) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let from = std::mem::replace(&mut job.stage, Stage::Queued);
        job.at = later(now, after);
        let at = job.at;
        self.count(from, Stage::Queued);
        match after {
            Duration::ZERO => self.wait_in_line(id),
            _ => drop(self.timers.insert((at, id))),
        }
    }

    /// Ends a job.
    fn end(&mut self, id: JobId, stage: Stage, now: Instant) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let from = std::mem::replace(&mut job.stage, stage);
        job.at = now;
        let key = job.key.clone().map(|key| (job.kind.clone(), key));
        self.count(from, stage);
        if let Some(key) = key {
            self.by_key.remove(&key);
        }
        self.ended.push_back((now, id));
        if self.ended.len() > MAX_ENDED {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((at, id)) = self.ended.pop_front() else { return };
        // One that was revived since is another entry's.
        if self.jobs.get(&id).is_some_and(|job| job.stage.is_end() && job.at == at)
            && let Some(job) = self.jobs.remove(&id)
        {
            self.counts[job.stage as usize] -= 1;
        }
    }

    /// Puts jobs in line whose time has come, and ends the leases that are over.
    fn advance(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            match job.stage {
                Stage::Queued => self.wait_in_line(id),
                Stage::Running if job.is_cancelled => self.end(id, Stage::Cancelled, now),
                Stage::Running if job.attempt >= job.attempts => {
                    job.error = Some(lease_ended(job.attempt));
                    self.end(id, Stage::Dead, now);
                }
                Stage::Running => self.queue(id, Duration::ZERO, now),
                _ => {}
            }
        }
    }

    fn first_in_line(&mut self, kind: &str) -> Option<JobId> {
        let line = self.by_kind.get_mut(kind)?;
        while let Some((id, attempt)) = line.pop_front() {
            if self.jobs.get(&id).is_some_and(|job| job.stage == Stage::Queued && job.attempt == attempt) {
                return Some(id);
            }
        }
        None
    }

    /// The job, if this attempt is at it.
    fn running(&mut self, id: JobId, attempt: u32) -> Option<&mut KeptJob> {
        self.jobs.get_mut(&id).filter(|job| job.stage == Stage::Running && job.attempt == attempt)
    }
}

/// Why a job is dead that nobody has finished: the words around the attempt.
pub(super) const LEASE_ENDED: [&str; 2] = ["its process died or hung in attempt ", ", which was the last one"];

pub(super) fn lease_ended(attempt: u32) -> String {
    let [before, after] = LEASE_ENDED;
    format!("{before}{attempt}{after}")
}

impl Queue for MemoryQueue {
    fn enqueue(&self, new: &NewJob<'_>) -> Result<Enqueued, QueueError> {
        // Made without the lock.
        let now = Instant::now();
        let latest = new.turn.map_or(0, |_| minute_of(SystemTime::now()) + CLOCK_SET_BACK);
        let (kind, payload, key) = (new.kind.to_owned(), new.payload.to_owned(), new.unique.map(str::to_owned));
        let mut lines = self.lines.lock();
        if let Some((entry, minute)) = new.turn
            && lines.turns.get(entry).is_some_and(|served| *served >= minute && *served <= latest)
        {
            return Ok(Enqueued::Served);
        }
        if let Some(key) = &key
            && let Some(id) = lines.by_key.get(&(kind.clone(), key.clone()))
        {
            return Ok(Enqueued::Existing(*id));
        }
        let waiting = lines.counts[Stage::Queued as usize] + lines.counts[Stage::Running as usize];
        if waiting >= new.max_waiting {
            return Err(QueueError::Full(waiting));
        }
        if let Some((entry, minute)) = new.turn {
            lines.turns.insert(entry.to_owned(), minute);
        }
        if let Some(key) = &key {
            lines.by_key.insert((kind.clone(), key.clone()), new.id);
        }
        lines.enqueued += 1;
        lines.counts[Stage::Queued as usize] += 1;
        let number = lines.enqueued;
        let job = KeptJob {
            kind,
            payload,
            key,
            stage: Stage::Queued,
            attempt: 0,
            attempts: new.attempts.max(1),
            at: later(now, new.after),
            progress: 0.0,
            is_cancelled: false,
            result: None,
            error: None,
            since: now,
            number,
        };
        let at = job.at;
        lines.jobs.insert(new.id, job);
        match new.after {
            Duration::ZERO => lines.wait_in_line(new.id),
            _ => drop(lines.timers.insert((at, new.id))),
        }
        Ok(Enqueued::New)
    }

    fn claim(&self, kinds: &[&str], lease: Duration) -> Result<Option<Claimed>, QueueError> {
        let now = Instant::now();
        let mut lines = self.lines.lock();
        lines.advance(now);
        let Some(id) = kinds.iter().find_map(|kind| lines.first_in_line(kind)) else { return Ok(None) };
        let Some(job) = lines.jobs.get_mut(&id) else { return Ok(None) };
        job.stage = Stage::Running;
        job.attempt += 1;
        job.at = later(now, lease);
        let at = job.at;
        let (attempt, attempts) = (job.attempt, job.attempts);
        let claimed = Claimed { id, kind: job.kind.clone(), payload: job.payload.clone(), attempt, attempts };
        lines.timers.insert((at, id));
        lines.count(Stage::Queued, Stage::Running);
        Ok(Some(claimed))
    }

    fn renew(&self, id: JobId, attempt: u32, lease: Duration, progress: f32) -> Result<Renewed, QueueError> {
        let now = Instant::now();
        let mut lines = self.lines.lock();
        lines.advance(now);
        let Some(job) = lines.running(id, attempt) else { return Ok(Renewed::Lost) };
        job.progress = progress;
        let before = std::mem::replace(&mut job.at, later(now, lease));
        let (at, is_cancelled) = (job.at, job.is_cancelled);
        lines.timers.remove(&(before, id));
        lines.timers.insert((at, id));
        Ok(if is_cancelled { Renewed::Cancelled } else { Renewed::Held })
    }

    fn finish(&self, id: JobId, attempt: u32, outcome: &Outcome) -> Result<bool, QueueError> {
        let now = Instant::now();
        let outcome = outcome.clone();
        let mut lines = self.lines.lock();
        let Some(job) = lines.running(id, attempt) else { return Ok(false) };
        let before = job.at;
        let is_cancelled = job.is_cancelled;
        job.error = None;
        let goes_on = match outcome {
            Outcome::Done { result } => {
                job.result = result;
                job.progress = 1.0;
                Err(Stage::Done)
            }
            Outcome::Again { error, .. } if is_cancelled => {
                job.error = Some(error);
                Err(Stage::Cancelled)
            }
            Outcome::Again { after, error } => {
                job.error = Some(error);
                Ok(after)
            }
            Outcome::Dead { error } => {
                job.error = Some(error);
                Err(Stage::Dead)
            }
            Outcome::Released if !is_cancelled => {
                job.attempts += 1;
                Ok(Duration::ZERO)
            }
            Outcome::Released | Outcome::Cancelled => Err(Stage::Cancelled),
        };
        lines.timers.remove(&(before, id));
        match goes_on {
            Ok(after) => lines.queue(id, after, now),
            Err(stage) => lines.end(id, stage, now),
        }
        Ok(true)
    }

    fn cancel(&self, id: JobId) -> Result<bool, QueueError> {
        let now = Instant::now();
        let mut lines = self.lines.lock();
        let Some(job) = lines.jobs.get_mut(&id).filter(|job| !job.stage.is_end()) else { return Ok(false) };
        job.is_cancelled = true;
        if job.stage == Stage::Queued {
            let at = job.at;
            lines.timers.remove(&(at, id));
            lines.end(id, Stage::Cancelled, now);
        }
        Ok(true)
    }

    fn revive(&self, id: JobId) -> Result<bool, QueueError> {
        let mut lines = self.lines.lock();
        let Some(job) = lines.jobs.get_mut(&id).filter(|job| job.stage == Stage::Dead) else { return Ok(false) };
        let key = job.key.clone().map(|key| (job.kind.clone(), key));
        if let Some(other) = key.as_ref().and_then(|key| lines.by_key.get(key)) {
            return Err(QueueError::Exists(*other));
        }
        if let Some(key) = key {
            lines.by_key.insert(key, id);
        }
        if let Some(job) = lines.jobs.get_mut(&id) {
            job.attempts += job.attempt.max(1);
        }
        lines.queue(id, Duration::ZERO, Instant::now());
        Ok(true)
    }

    fn status(&self, id: JobId) -> Result<Option<JobStatus>, QueueError> {
        let now = Instant::now();
        let mut lines = self.lines.lock();
        lines.advance(now);
        Ok(lines.jobs.get(&id).map(|job| job.status(id, now)))
    }

    fn list(&self, stage: Stage, at_most: usize) -> Result<Vec<JobStatus>, QueueError> {
        let now = Instant::now();
        let mut lines = self.lines.lock();
        lines.advance(now);
        let mut found: Vec<_> = lines.jobs.iter().filter(|(_, job)| job.stage == stage).collect();
        found.sort_unstable_by_key(|(_, job)| std::cmp::Reverse(job.number));
        Ok(found.into_iter().take(at_most).map(|(id, job)| job.status(*id, now)).collect())
    }

    fn counts(&self) -> Result<[usize; 5], QueueError> {
        let mut lines = self.lines.lock();
        lines.advance(Instant::now());
        Ok(lines.counts)
    }

    fn next_due(&self) -> Result<Option<Duration>, QueueError> {
        let now = Instant::now();
        let mut lines = self.lines.lock();
        lines.advance(now);
        let Lines { by_kind, jobs, timers, .. } = &mut *lines;
        let is_due = |(id, attempt): &(JobId, u32)| {
            jobs.get(id).is_some_and(|job| job.stage == Stage::Queued && job.attempt == *attempt)
        };
        if by_kind.values().any(|line| line.iter().any(is_due)) {
            return Ok(Some(Duration::ZERO));
        }
        Ok(timers.first().map(|(at, _)| at.saturating_duration_since(now)))
    }

    fn last_turn(&self, entry: &str) -> Result<Option<u64>, QueueError> {
        Ok(self.lines.lock().turns.get(entry).copied())
    }

    fn sweep(&self, keep: &Keep) -> Result<usize, QueueError> {
        let now = Instant::now();
        let mut lines = self.lines.lock();
        let before = lines.jobs.len();
        let ended = std::mem::take(&mut lines.ended);
        for (at, id) in ended {
            let Some(job) = lines.jobs.get(&id).filter(|job| job.stage.is_end() && job.at == at) else { continue };
            let keep = if job.stage == Stage::Dead { keep.dead } else { keep.done };
            if now.saturating_duration_since(at) < keep {
                lines.ended.push_back((at, id));
            } else if let Some(job) = lines.jobs.remove(&id) {
                lines.counts[job.stage as usize] -= 1;
            }
        }
        // Entries of jobs that were cancelled, or are kept in another line by now.
        let Lines { by_kind, jobs, .. } = &mut *lines;
        for line in by_kind.values_mut() {
            line.retain(|(id, attempt)| {
                jobs.get(id).is_some_and(|job| job.stage == Stage::Queued && job.attempt == *attempt)
            });
        }
        Ok(before - lines.jobs.len())
    }
}
