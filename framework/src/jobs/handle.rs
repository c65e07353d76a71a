//! `Jobs`: how it is set up, and what a program asks of it. The threads are in `crew.rs`.

use super::crew::{Crew, run_claimed, tell_trouble};
use super::cron::Cron;
use super::job::{Job, Retry, RunningJob, Work};
use super::memory::MemoryQueue;
use super::queue::{Enqueued, JobId, JobStatus, Keep, MAX_KEY, NewJob, Queue, QueueError, Stage};
use crate::Result;
use crate::bus::{Deadline, Engine, Events, Plugin};
use crate::exchange::{Blocking, Error, HttpError, StatusRow, WaitsFor, Watch};
use crate::logs;
use crate::random;
use crate::seldom::Seldom;
use ::http::{HeaderValue, StatusCode, header};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many requests may wait for one job.
const MAX_WAITING: usize = 1000;

/// The longest name of an entry of the timetable, in bytes: its times, its kind and its content.
const MAX_ENTRY: usize = 1000;

/// The longest content of a job, in bytes of JSON. Larger things are kept elsewhere, and the job has their names.
pub(super) const MAX_PAYLOAD: usize = 64 * 1024;

/// Jobs: a queue, and the threads that do what is in it. A clone is a handle to the same jobs.
///
/// ```
/// use kirsch::jobs::{Accepted, Job, Jobs, Retry, Work};
/// use kirsch::{prelude::*, testing::Client};
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// #[derive(Serialize, Deserialize)]
/// struct Greet { name: String }
///
/// impl Job for Greet {
///     const NAME: &str = "greet";
///     type State = ();
///     fn run(&self, _: &(), work: &Work) -> kirsch::Result {
///         println!("Hello, {}!", self.name);
///         work.result_at("/greetings")
///     }
/// }
///
/// struct Site { jobs: Jobs }
///
/// #[handlers]
/// impl Site {
///     #[expose(post)]
///     fn greet(&self, name: String) -> kirsch::Result<Accepted> {
///         let id = self.jobs.enqueue(&Greet { name })?;
///         Ok(Accepted::at(format!("/jobs/{id}")))
///     }
/// }
///
/// let jobs = Jobs::memory()
///     .threads(2)
///     .retry(Retry::exponential(5, Duration::from_secs(10)))
///     .register::<Greet>(());
/// let running = App::new(Site { jobs: jobs.clone() }).jobs("/jobs", &jobs).start("127.0.0.1:0")?;
/// let client = Client::connect(running.address());
/// let accepted = client.post("/greet").form(&[("name", "Anna")]).send();
/// accepted.assert_status(202);
/// let job = accepted.header("location").unwrap().to_owned();
/// client.get(&job).header("prefer", "wait=20").send().assert_status(303).assert_header("location", "/greetings");
/// # Ok::<_, kirsch::Error>(())
/// ```
#[derive(Clone)]
pub struct Jobs {
    pub(super) core: Arc<Core>,
}

/// What the handles and the threads share.
pub(super) struct Core {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) setup: RwLock<Setup>,
    /// Rings for a thread without work.
    pub(super) bell: (Sender<()>, Receiver<()>),
    /// Rings for the keeper: there is a time that it does not know yet.
    pub(super) keeper_bell: (Sender<()>, Receiver<()>),
    pub(super) running: Mutex<HashMap<JobId, Arc<RunningJob>>>,
    pub(super) watched: Watch<JobId>,
    pub(super) crew: Mutex<Option<Crew>>,
    /// The jobs in each stage, as they were told last.
    pub(super) counts: Mutex<(Instant, [usize; 5])>,
    pub(super) done: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Lines of the log about a queue that does not answer.
    pub(super) trouble: Seldom,
    pub(super) events: Mutex<Option<Events>>,
    pub(super) ids: Mutex<Ids>,
}

/// How jobs are done.
pub(super) struct Setup {
    name: &'static str,
    pub(super) threads: usize,
    pub(super) kinds: BTreeMap<&'static str, Kind>,
    pub(super) retry: Retry,
    pub(super) lease: Duration,
    pub(super) keep: Keep,
    pub(super) max_waiting: usize,
    pub(super) timetable: Vec<Entry>,
    /// Calls that are mistakes, to be told at the start.
    refusals: Vec<String>,
}

/// A kind of jobs.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) retry: Option<Retry>,
    pub(super) run: Arc<RunFunction>,
}

/// The outer error is that of a content that cannot be read.
pub(super) type RunFunction = dyn Fn(&str, &Work) -> Result<Result<()>, serde_json::Error> + Send + Sync;

/// A line of the timetable.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) cron: Cron,
    pub(super) kind: &'static str,
    pub(super) payload: String,
    /// What the queue knows it by.
    pub(super) name: String,
}

/// An event: a job has begun, or an attempt of it has ended. `App::observe(|change: &JobChanged| ...)`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobChanged {
    /// The job.
    pub id: JobId,
    /// The name of its kind.
    pub kind: String,
    /// Where it is now.
    pub stage: Stage,
}

impl Jobs {
    /// Jobs in memory, which are lost with the process. It takes 1,000 that wait or run, unless
    /// [`max_waiting`](Self::max_waiting) says otherwise.
    #[must_use]
    pub fn memory() -> Self {
        Self::with(MemoryQueue::new())
    }

    /// Jobs in a queue of your own, or in one with settings: `Jobs::with(PostgresQueue::new(url).pool(8))`.
    #[must_use]
    pub fn with(queue: impl Queue) -> Self {
        Self { core: Arc::new(Core::new(Arc::new(queue))) }
    }

    /// How many threads do jobs (default 1). 0 is for a process that only enqueues, for others.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        self.set(|setup| setup.threads = threads)
    }

    /// The name in the log and on the status page (default `jobs`), for programs with several.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        self.set(|setup| setup.name = name)
    }

    /// Adds a kind of jobs, with what its work needs: a value, or an `Arc` of one that other code has too.
    ///
    /// Jobs of kinds that are not registered are left in the queue, for another process.
    #[must_use]
    pub fn register<J: Job>(self, state: impl Into<Arc<J::State>>) -> Self {
        let state = state.into();
        let run = move |payload: &str, work: &Work| {
            let job: J = serde_json::from_str(payload)?;
            Ok(job.run(&state, work))
        };
        self.set(|setup| {
            let kind = Kind { retry: J::RETRY, run: Arc::new(run) };
            if setup.kinds.insert(J::NAME, kind).is_some() {
                setup.refusals.push(format!("the kind of jobs {:?} is registered twice", J::NAME));
            }
        })
    }

    /// When jobs that have failed are tried again, for kinds that do not say it (default: five attempts, with pauses of
    /// about 10, 20, 40 and 80 s).
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        self.set(|setup| setup.retry = retry)
    }

    /// Enqueues a job again and again; `times` is a [`Cron`]. After a time without the program it is enqueued once, not
    /// once for each time that has passed. Of several processes that share the queue one enqueues it.
    ///
    /// A mistake in `times` stops the start.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the timetable is the place of the value")]
    pub fn cron<J: Job>(self, times: &str, job: J) -> Self {
        let parsed = times.parse::<Cron>().map_err(|error| error.to_string());
        let payload = serde_json::to_string(&job).map_err(|error| error.to_string());
        self.set(|setup| match parsed.and_then(|cron| Ok((cron, payload?))) {
            Ok((cron, payload)) => {
                let name = format!("{times} {} {payload}", J::NAME);
                if name.len() > MAX_ENTRY {
                    let (kind, length) = (J::NAME, name.len());
                    setup.refusals.push(format!(
                        "the entry {times:?} of {kind:?} has {length} bytes with its content, at most {MAX_ENTRY} are allowed: keep the \
                         thing elsewhere, and its name in the job"
                    ));
                }
                setup.timetable.push(Entry { cron, kind: J::NAME, payload, name });
            }
            Err(problem) => setup.refusals.push(format!("the times {times:?} of {:?}: {problem}", J::NAME)),
        })
    }

    /// How many jobs may wait or run (default 1,000 in memory, 100,000 in an engine). One more is refused: an error of
    /// [`enqueue`](Self::enqueue), which is 503 for the client.
    #[must_use]
    pub fn max_waiting(self, jobs: usize) -> Self {
        self.set(|setup| setup.max_waiting = jobs)
    }

    /// How long a job belongs to a process that does not say that it still lives (default 60 s). The lease of a job
    /// that runs is renewed each third of it, so a job may take longer.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        self.set(|setup| {
            setup.lease = lease.max(Duration::from_millis(10));
            setup.keep.lease = setup.lease;
        })
    }

    /// How long jobs are kept when they have ended: those that are done (default 1 h), and dead ones (default 14 days).
    #[must_use]
    pub fn keep(self, done: Duration, dead: Duration) -> Self {
        self.set(|setup| (setup.keep.done, setup.keep.dead) = (done, dead))
    }

    fn set(self, change: impl FnOnce(&mut Setup)) -> Self {
        change(&mut self.core.setup.write());
        self
    }

    /// Enqueues a job. It returns as soon as the queue has it, and never waits for room.
    ///
    /// # Errors
    /// 503 when the queue is full, or its engine does not answer. Others when the job cannot be kept: its kind is not
    /// registered, its content is longer than 64 KiB, or its key longer than 512 bytes.
    pub fn enqueue<J: Job>(&self, job: &J) -> Result<JobId> {
        self.prepare(job).enqueue()
    }

    /// A job with a delay or a key: `jobs.prepare(&job).unique("export-2026").enqueue()?`.
    pub fn prepare<'j, J: Job>(&'j self, job: &J) -> Prepared<'j> {
        Prepared {
            jobs: self,
            kind: J::NAME,
            retry: J::RETRY,
            payload: serde_json::to_string(job),
            after: Duration::ZERO,
            unique: None,
        }
    }

    /// What is known of a job; `None` if there never was one of this number, or it has ended long ago.
    ///
    /// # Errors
    /// When the engine of the queue does not answer.
    pub fn status(&self, id: JobId) -> Result<Option<JobStatus>> {
        let mut status = self.core.ask(|queue| queue.status(id))?;
        let running = self.core.running.lock().get(&id).cloned();
        if let Some((status, running)) = status.as_mut().zip(running)
            && status.stage == Stage::Running
            && status.attempt == running.attempt
        {
            status.progress = running.progress();
        }
        Ok(status)
    }

    /// At most so many jobs of a stage, the latest first.
    ///
    /// # Errors
    /// When the engine of the queue does not answer.
    pub fn list(&self, stage: Stage, at_most: usize) -> Result<Vec<JobStatus>> {
        self.core.ask(|queue| queue.list(stage, at_most))
    }

    /// How many jobs are in each stage, in the order of [`Stage::ALL`].
    ///
    /// # Errors
    /// When the engine of the queue does not answer.
    pub fn counts(&self) -> Result<[usize; 5]> {
        self.core.ask(|queue| queue.counts())
    }

    /// Cancels a job: one that waits is not begun, and [`Work::check`] fails for one that runs. In another process that
    /// takes up to a third of a lease. `false` if the job has ended, or is not there.
    ///
    /// # Errors
    /// When the engine of the queue does not answer.
    pub fn cancel(&self, id: JobId) -> Result<bool> {
        let cancelled = self.core.ask(|queue| queue.cancel(id))?;
        if cancelled && let Some(running) = self.core.running.lock().get(&id) {
            running.ask_to_end(super::job::EndEarly::Cancelled);
        }
        if cancelled && self.status(id)?.is_some_and(|status| status.stage.is_end()) {
            self.core.watched.happened(&id);
        }
        Ok(cancelled)
    }

    /// Queues a dead job again. `false` if it is not dead.
    ///
    /// # Errors
    /// When another job with its key waits or runs, and when the engine of the queue does not answer.
    pub fn revive(&self, id: JobId) -> Result<bool> {
        let revived = self.core.ask(|queue| queue.revive(id))?;
        self.ring();
        Ok(revived)
    }

    /// Does all jobs that are due, on this thread, and returns how many there were: for tests.
    ///
    /// # Errors
    /// When the engine of the queue does not answer.
    pub fn run_due(&self) -> Result<usize> {
        let (kinds, lease) = {
            let setup = self.core.setup.read();
            (setup.kinds.keys().copied().collect::<Vec<_>>(), setup.lease)
        };
        let mut done = 0;
        while let Some(claimed) = self.core.ask(|queue| queue.claim(&kinds, lease))? {
            run_claimed(&self.core, claimed);
            done += 1;
        }
        Ok(done)
    }

    /// Starts the threads. An application does it with [`App::plugin`](crate::App::plugin) or
    /// [`App::jobs`](crate::App::jobs); this is for programs without a server.
    ///
    /// # Errors
    /// Names the mistake in the set-up. Also when the engine of the queue does not answer, and when the jobs run
    /// already.
    pub fn start(&self) -> Result<()> {
        self.start_with(None)
    }

    fn start_with(&self, engine: Option<&Engine>) -> Result<()> {
        if let Some(refusal) = self.core.setup.read().refusals.first() {
            return Err(Error::unexpected(refusal.clone()));
        }
        self.core.setup.read().timetable.iter().try_for_each(|entry| self.core.require_kind(entry.kind))?;
        let mut crew = self.core.crew.lock();
        if crew.is_some() {
            return Err(Error::unexpected("these jobs run already: add them to one application, once"));
        }
        self.core.queue.probe()?;
        self.core.watched.open();
        *crew = Some(Crew::start(&self.core, engine)?);
        Ok(())
    }

    /// Claims nothing more, lets [`Work::check`] fail, and waits until the deadline for the jobs that run. Returns the
    /// names of those that still do: their leases end, and another process takes them.
    pub fn stop(&self, deadline: Deadline) -> Vec<String> {
        let crew = self.core.crew.lock().take();
        self.core.watched.close();
        crew.map(|crew| crew.stop(&self.core, deadline)).unwrap_or_default()
    }

    /// Lets the threads look into the queue, after something was put into it in another way.
    pub fn ring(&self) {
        // Full: as many threads will look as there are rings.
        let _: Result<(), TrySendError<()>> = self.core.bell.0.try_send(());
        self.core.ring_keeper();
    }

    /// Lets all requests go that wait for jobs, and lets none wait any more: at a stop they would hold it up.
    pub(crate) fn let_waiters_go(&self) {
        self.core.watched.close();
    }
}

/// A job with all that was said about it.
#[must_use = "it is not in the queue before `enqueue` is called"]
#[derive(Debug)]
pub struct Prepared<'j> {
    pub(super) jobs: &'j Jobs,
    kind: &'static str,
    retry: Option<Retry>,
    payload: serde_json::Result<String>,
    after: Duration,
    unique: Option<String>,
}

impl Prepared<'_> {
    /// Keeps it back for so long.
    pub fn after(self, delay: Duration) -> Self {
        Self { after: delay, ..self }
    }

    /// Makes it the only one with this key: if a job of the kind and the key waits or runs, `enqueue` returns the
    /// number of that one. A key has at most 512 bytes; where it may be longer, take a hash of it.
    pub fn unique(self, key: impl Into<String>) -> Self {
        Self { unique: Some(key.into()), ..self }
    }

    /// Enqueues it.
    ///
    /// # Errors
    /// As [`Jobs::enqueue`].
    pub fn enqueue(self) -> Result<JobId> {
        let jobs = self.jobs;
        let is_later = !self.after.is_zero();
        let id = self.enqueue_by(|new| jobs.core.ask(|queue| queue.enqueue(new)))?;
        match is_later {
            true => jobs.core.ring_keeper(),
            false => drop(jobs.core.bell.0.try_send(())),
        }
        Ok(id)
    }

    /// Enqueues it by this way into the queue; nobody is told.
    pub(super) fn enqueue_by(self, enqueue: impl FnOnce(&NewJob<'_>) -> Result<Enqueued>) -> Result<JobId> {
        let core = &self.jobs.core;
        let payload = self.payload?;
        if payload.len() > MAX_PAYLOAD {
            let (kind, length) = (self.kind, payload.len());
            return Err(Error::unexpected(format!(
                "the job {kind:?} has {length} bytes of content, at most {MAX_PAYLOAD} are allowed: keep the thing elsewhere, and its name in the job"
            )));
        }
        if let Some(key) = self.unique.as_deref().filter(|key| key.len() > MAX_KEY || key.contains('\0')) {
            let (kind, length) = (self.kind, key.len());
            return Err(Error::unexpected(format!(
                "the key of the job {kind:?} has {length} bytes, at most {MAX_KEY} without a NUL are allowed: take a hash of it"
            )));
        }
        let (retry, max_waiting) = {
            core.require_kind(self.kind)?;
            let setup = core.setup.read();
            (self.retry.unwrap_or(setup.retry), setup.max_waiting)
        };
        let id = core.ids.lock().next();
        let new = NewJob {
            after: self.after,
            attempts: retry.attempts.max(1),
            unique: self.unique.as_deref(),
            max_waiting,
            ..NewJob::new(id, self.kind, &payload)
        };
        match enqueue(&new)? {
            Enqueued::Existing(other) => Ok(other),
            Enqueued::New | Enqueued::Served => Ok(id),
        }
    }
}

impl Core {
    pub(super) fn new(queue: Arc<dyn Queue>) -> Self {
        let max_waiting = if queue.is_shared() { 100_000 } else { 1000 };
        let keep = Keep::default();
        let setup = Setup {
            name: "jobs",
            threads: 1,
            kinds: BTreeMap::new(),
            retry: Retry::default(),
            lease: keep.lease,
            keep,
            max_waiting,
            timetable: Vec::new(),
            refusals: Vec::new(),
        };
        Self {
            queue,
            setup: RwLock::new(setup),
            bell: bounded(64),
            keeper_bell: bounded(1),
            running: Mutex::default(),
            watched: Watch::new("the end of a job", MAX_WAITING),
            crew: Mutex::new(None),
            counts: Mutex::new((Instant::now(), [0; 5])),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            trouble: Seldom::default(),
            events: Mutex::new(None),
            ids: Mutex::new(Ids { bytes: [0; 512], left: 0 }),
        }
    }

    /// Refuses jobs that nobody can do: another process, of a shared queue, may know the kind.
    fn require_kind(&self, kind: &str) -> Result<()> {
        match self.queue.is_shared() || self.setup.read().kinds.contains_key(kind) {
            true => Ok(()),
            false => Err(Error::unexpected(format!(
                "nobody does jobs of the kind {kind:?}: register it, .register::<...>(...)"
            ))),
        }
    }

    /// Asks the queue for a page or the program. A request waits for an engine in one of the places for such waits, so
    /// that a slow one does not keep all workers.
    pub(super) fn ask<T>(&self, ask: impl FnOnce(&dyn Queue) -> Result<T, QueueError>) -> Result<T> {
        let _blocking = self.queue.is_shared().then(|| Blocking::here(WaitsFor::Store)).transpose()?;
        ask(&*self.queue).map_err(|error| self.unavailable(error))
    }

    /// The queue, if it is one of this kind.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn queue_of<Q: Queue>(&self) -> Option<&Q> {
        let queue: &dyn std::any::Any = &*self.queue;
        queue.downcast_ref()
    }

    /// The answer for a client when the queue does not do what it should. The operator finds the causes in the log.
    pub(super) fn unavailable(&self, error: QueueError) -> Error {
        let (message, remedy) = match error {
            QueueError::Full(jobs) => (
                "There is too much work at the moment. Please try again in a minute.",
                format!("{jobs} jobs wait or run; more threads, or .max_waiting(...), would take more"),
            ),
            error @ QueueError::Exists(_) => return error.into(),
            error @ QueueError::Engine(_) => {
                let error = error.into();
                tell_trouble(self, "a job cannot be left or looked at", &error);
                ("This does not work at the moment. Please try again in a minute.", logs::causes(&error))
            }
        };
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("60"))
            .with_remedy(remedy)
            .into()
    }

    pub(super) fn ring_keeper(&self) {
        let _: Result<(), TrySendError<()>> = self.keeper_bell.0.try_send(());
    }

    /// Tells the observers and, at the end, the requests that wait.
    pub(super) fn changed(&self, id: JobId, kind: &str, stage: Stage) {
        if stage.is_end() {
            self.watched.happened(&id);
        }
        let events = self.events.lock().clone();
        if let Some(events) = events {
            events.emit(JobChanged { id, kind: kind.to_owned(), stage });
        }
    }

    pub(super) fn next_id(&self) -> JobId {
        self.ids.lock().next()
    }
}

/// Random numbers in store: each question to the system costs more than a job in memory.
pub(super) struct Ids {
    bytes: [u8; 512],
    left: usize,
}

impl Ids {
    fn next(&mut self) -> JobId {
        const LENGTH: usize = size_of::<u64>();
        if self.left < LENGTH {
            self.bytes = random::bytes();
            self.left = self.bytes.len();
        }
        let end = self.left;
        self.left -= LENGTH;
        let mut bits = [0; LENGTH];
        bits.copy_from_slice(&self.bytes[self.left..end]);
        JobId::new(u64::from_ne_bytes(bits))
    }
}

impl Plugin for Jobs {
    fn name(&self) -> &str {
        self.core.setup.read().name
    }

    fn start(&self, engine: &Engine) -> Result<()> {
        *self.core.events.lock() = Some(engine.events());
        self.start_with(Some(engine))
    }

    fn stop(&self, deadline: Deadline) -> Result<()> {
        match Self::stop(self, deadline) {
            late if late.is_empty() => Ok(()),
            late => Err(Error::unexpected(format!("still running at the deadline: {}", late.join(", ")))),
        }
    }

    fn status(&self) -> Vec<StatusRow> {
        let core = &self.core;
        let counts = match core.queue.is_shared() {
            // Nobody waits for a disk here.
            true => core.counts.lock().1,
            false => core.queue.counts().unwrap_or_default(),
        };
        let [queued, running, done, dead, cancelled] = counts;
        let mut rows = vec![
            StatusRow::new("waiting", queued),
            StatusRow::new("running", running),
            StatusRow::new("done, kept", done),
            StatusRow::new("dead", dead).alarming(dead > 0),
            StatusRow::new("cancelled, kept", cancelled),
            StatusRow::new("done since the start", core.done.load(Ordering::Relaxed)),
            StatusRow::new("failed attempts since the start", core.failed.load(Ordering::Relaxed)),
        ];
        let at_work = core.running.lock().iter().map(|(id, job)| (*id, job.clone())).collect::<Vec<_>>();
        rows.extend(at_work.into_iter().map(|(id, job)| {
            let (share, age) = (job.progress() * 100.0, job.since.elapsed());
            let text = format!("{}, attempt {}, {share:.0} %, for {age:.1?}", job.kind, job.attempt);
            StatusRow::new(format!("job {id}"), text)
        }));
        rows
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let setup = self.core.setup.read();
        let kinds: Vec<_> = setup.kinds.keys().collect();
        f.debug_struct("Jobs").field("name", &setup.name).field("kinds", &kinds).finish_non_exhaustive()
    }
}
