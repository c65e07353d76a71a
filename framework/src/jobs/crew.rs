//! The threads of the jobs: workers that do them, and the keeper, which renews leases and looks at clocks.
//!
//! ```text
//! enqueue ──► queue ──► bell ──► worker: claim, run, finish, until there is nothing to claim
//!                                   ▲
//! keeper: leases, times that have come, other processes, timetable, sweep ──► bell
//! ```
//!
//! Only the keeper wakes by the clock: when the next time comes that it knows, and for a queue that other processes
//! share once a second.

use super::handle::{Core, Entry};
use super::job::{EndEarly, RunningJob, Work};
use super::queue::{CLOCK_SET_BACK, Claimed, Enqueued, JobId, NewJob, Outcome, Renewed, Stage, minute};
use crate::Result;
use crate::bus::{Deadline, Engine, State, Supervised, at_once, may_begin};
use crate::exchange::Error;
use crate::logs;
use crate::panics::guarded;
use crate::threads::Threads;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, select};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// How often a queue is looked at that other processes share.
const POLL: Duration = Duration::from_secs(1);
/// How often what has ended is swept.
const SWEEP: Duration = Duration::from_secs(60);
/// How often a shared queue is asked for its counts.
const COUNT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(3600);
/// The longest reason that is kept of a failure, in bytes.
const MAX_ERROR: usize = 8 * 1024;

/// The threads while they run.
pub(super) struct Crew {
    /// Nothing is sent. When it is dropped, all threads end.
    going_on: Sender<Infallible>,
    threads: Threads,
}

impl Crew {
    /// `engine` is that of the application, if there is one: its threads begin when no older process does their work,
    /// and the timetable ends when the application begins to end, since a newer process may serve it then.
    pub(super) fn start(core: &Arc<Core>, engine: Option<&Engine>) -> Result<Self> {
        let (going_on, stopped) = bounded(0);
        let mut crew = Self { going_on, threads: Threads::new() };
        let threads = core.setup.read().threads;
        let timetable = Timetable::read(core)?;
        let handed_over = engine.map_or_else(at_once, Engine::handed_over);
        if threads > 0 {
            tell_unknown_kinds(core)?;
        }
        for number in 1..=threads {
            let (core, stopped, handed_over) = (core.clone(), stopped.clone(), handed_over.clone());
            let name = format!("kirsch-jobs-{number}");
            crew.threads.spawn(&name.clone(), move || {
                if !may_begin(&handed_over, &stopped) {
                    return;
                }
                let mut served = 0;
                let turn = || work(&core, &stopped, &mut served);
                Supervised::new(name, Duration::ZERO).repeat(&stopped, turn);
            })?;
        }
        if core.queue.is_shared() {
            listen(core.clone(), stopped.clone())?;
        }
        let (core, engine) = (core.clone(), engine.cloned());
        crew.threads.spawn("kirsch-jobs-keeper", move || {
            if !may_begin(&handed_over, &stopped) {
                return;
            }
            let mut keeper = Keeper { timetable, ..Keeper::new() };
            Supervised::new("kirsch-jobs-keeper", Duration::ZERO).repeat(&stopped, || {
                if engine.as_ref().is_some_and(|engine| engine.state() >= State::Draining) {
                    keeper.timetable.0.clear();
                }
                let wait = keeper.look(&core)?;
                select! {
                    recv(core.keeper_bell.1) -> _ => {}
                    recv(stopped) -> _ => {}
                    default(wait) => {}
                }
                Ok(())
            });
        })?;
        Ok(crew)
    }

    /// See [`Jobs::stop`](super::Jobs::stop).
    pub(super) fn stop(mut self, core: &Core, deadline: Deadline) -> Vec<String> {
        drop(self.going_on);
        core.running.lock().values().for_each(|job| job.ask_to_end(EndEarly::Stop));
        self.threads.end_by(deadline.at());
        core.running.lock().iter().map(|(id, job)| format!("{id:?} ({})", job.kind)).collect()
    }
}

/// Hears of jobs of other processes. A stop does not wait for this thread: it holds nothing, and ends within a second.
fn listen(core: Arc<Core>, stopped: Receiver<Infallible>) -> Result<()> {
    let life = move || {
        let heard = |due: Duration| match due {
            Duration::ZERO => drop(core.bell.0.try_send(())),
            _ => core.ring_keeper(),
        };
        core.queue.listen(&heard, &|| stopped.try_recv() == Err(TryRecvError::Empty));
    };
    std::thread::Builder::new().name("kirsch-jobs-ear".to_owned()).spawn(life)?;
    Ok(())
}

/// One turn of a worker: a job, or the wait for one.
fn work(core: &Arc<Core>, stopped: &Receiver<Infallible>, served: &mut usize) -> Result<()> {
    let (mut kinds, lease) = {
        let setup = core.setup.read();
        (setup.kinds.keys().copied().collect::<Vec<_>>(), setup.lease)
    };
    // Each kind is the first one in turn, so a flood of one keeps no other waiting.
    *served = served.wrapping_add(1);
    if !kinds.is_empty() {
        let first = *served % kinds.len();
        kinds.rotate_left(first);
    }
    match core.queue.claim(&kinds, lease) {
        Ok(Some(claimed)) => run_claimed(core, claimed),
        Ok(None) => {
            select! {
                recv(core.bell.1) -> _ => {}
                recv(stopped) -> _ => {}
            }
        }
        Err(error) => {
            tell_trouble(core, "cannot claim a job", &error.into());
            let _: Result<Infallible, RecvTimeoutError> = stopped.recv_timeout(POLL);
        }
    }
    Ok(())
}

/// Does a job, and tells the queue how it went.
pub(super) fn run_claimed(core: &Arc<Core>, claimed: Claimed) {
    let Claimed { id, kind, payload, attempt, attempts } = claimed;
    let Some(known) = core.setup.read().kinds.get(kind.as_str()).cloned() else { return };
    let retry = known.retry.unwrap_or(core.setup.read().retry);
    let running = Arc::new(RunningJob::new(kind, attempt));
    core.running.lock().insert(id, running.clone());
    let kind = running.kind.as_str();
    core.changed(id, kind, Stage::Running);
    let work = Work { id, attempts, running: running.clone() };
    let mut is_unreadable = false;
    let ended = guarded(|| match (known.run)(&payload, &work) {
        Ok(ended) => ended,
        Err(error) => {
            is_unreadable = true;
            Err(Error::unexpected(format!("its content cannot be read any more: {error}")))
        }
    });
    let outcome = match (ended, running.end_early()) {
        (Ok(()), _) => Outcome::Done { result: running.take_result() },
        (Err(_), EndEarly::Stop) => Outcome::Released,
        (Err(_), EndEarly::Cancelled) => Outcome::Cancelled,
        (Err(error), EndEarly::Lost | EndEarly::No) => {
            core.failed.fetch_add(1, Ordering::Relaxed);
            let error = at_most(logs::causes(&error), MAX_ERROR);
            if attempt >= attempts || is_unreadable {
                crate::line::record!(Error, target: logs::ERROR, "{id:?} ({kind}) is dead after {attempt} attempts: {error}");
                Outcome::Dead { error }
            } else {
                let after = retry.pause(attempt);
                crate::line::record!(Warn, target: "kirsch::jobs", "{id:?} ({kind}) failed in attempt {attempt} of {attempts}, the next is in {after:.1?}: {error}");
                Outcome::Again { after, error }
            }
        }
    };
    finish(core, id, &running, &outcome);
    core.running.lock().remove(&id);
    match outcome {
        Outcome::Done { .. } => drop(core.done.fetch_add(1, Ordering::Relaxed)),
        // Its time is one that the keeper does not know yet.
        Outcome::Again { .. } => core.ring_keeper(),
        _ => {}
    }
}

/// Tells the queue, again and again while its engine does not answer: for as long as a lease, unless the program stops.
/// Then the lease ends, and the job is done again.
fn finish(core: &Arc<Core>, id: JobId, running: &RunningJob, outcome: &Outcome) {
    const TRIES: u32 = 3;
    const LONGEST: Duration = Duration::from_secs(1);
    let (kind, attempt) = (&running.kind, running.attempt);
    let stage = match outcome {
        Outcome::Done { .. } => Stage::Done,
        Outcome::Dead { .. } => Stage::Dead,
        Outcome::Cancelled => Stage::Cancelled,
        Outcome::Again { .. } | Outcome::Released => Stage::Queued,
    };
    let deadline = Instant::now() + core.setup.read().lease;
    let mut pause = Duration::from_millis(20);
    for tries in 1.. {
        let told = core.queue.finish(id, attempt, outcome).and_then(|is_told| match is_told {
            true => Ok(true),
            // An earlier call may have done it, and its answer was lost: nobody else has this attempt.
            false => {
                let status = core.queue.status(id)?;
                Ok(status.is_some_and(|status| status.attempt == attempt && status.stage == stage))
            }
        });
        match told {
            Ok(true) => return core.changed(id, kind, stage),
            Ok(false) => {
                crate::line::record!(Warn, target: "kirsch::jobs", "{id:?} ({kind}): attempt {attempt} has ended too late, another one has taken its place: its lease had ended");
                return;
            }
            Err(error) => tell_trouble(core, "cannot end a job", &error.into()),
        }
        if tries >= TRIES && (Instant::now() >= deadline || running.end_early() == EndEarly::Stop) {
            return;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

/// The beginning of a text, no longer than that.
fn at_most(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

pub(super) fn tell_trouble(core: &Core, what: &str, error: &Error) {
    if let Some(unsaid) = core.trouble.may_say(Instant::now()) {
        let causes = logs::causes(error);
        crate::line::record!(Error, target: logs::ERROR, "{what}: {causes} ({unsaid} times more before)");
    }
}

/// Names the kinds of waiting jobs that nobody here does.
fn tell_unknown_kinds(core: &Core) -> Result<()> {
    let setup = core.setup.read();
    let mut unknown: Vec<_> = core.queue.list(Stage::Queued, 100)?.into_iter().map(|job| job.kind).collect();
    unknown.retain(|kind| !setup.kinds.contains_key(kind.as_str()));
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        crate::line::record!(Warn, target: "kirsch::jobs", "jobs of these kinds wait, and are not registered here; they are left alone: {}", unknown.join(", "));
    }
    Ok(())
}

/// The thread that looks at clocks.
struct Keeper {
    timetable: Timetable,
    leases: HashMap<JobId, Lease>,
    /// When the queue was asked for jobs that other processes have ended.
    looked: Option<Instant>,
    swept: Instant,
    counted: Option<Instant>,
}

/// What was told the queue about a job that runs.
struct Lease {
    renewed: Instant,
    progress: f32,
    attempt: u32,
}

impl Keeper {
    fn new() -> Self {
        let timetable = Timetable(Vec::new());
        Self { timetable, leases: HashMap::new(), looked: None, swept: Instant::now(), counted: None }
    }

    /// Does what is due, and returns how long it may sleep.
    fn look(&mut self, core: &Core) -> Result<Duration> {
        let (is_shared, mut wait) = (core.queue.is_shared(), if core.queue.is_shared() { POLL } else { LONG });
        wait = wait.min(self.renew(core));
        wait = wait.min(self.timetable.serve(core, SystemTime::now()));
        match core.queue.next_due() {
            Ok(Some(Duration::ZERO)) => {
                // Due now: all threads may look. If all are busy, they look by themselves when they are not.
                let threads = core.setup.read().threads;
                let _ = (0..threads).try_for_each(|_| core.bell.0.try_send(()));
                wait = wait.min(POLL);
            }
            Ok(Some(due)) => wait = wait.min(due.max(Duration::from_millis(1))),
            Ok(None) => {}
            Err(error) => {
                tell_trouble(core, "cannot look into the queue", &error.into());
                return Ok(POLL);
            }
        }
        if is_shared {
            // Not each time that the bell rings: many requests may wait, and each job is a question.
            if self.looked.is_none_or(|looked| looked.elapsed() >= POLL) {
                self.looked = Some(Instant::now());
                self.look_for_ends(core)?;
            }
            if self.counted.is_none_or(|counted| counted.elapsed() >= COUNT) {
                self.counted = Some(Instant::now());
                *core.counts.lock() = (Instant::now(), core.queue.counts()?);
            }
        }
        if self.swept.elapsed() >= SWEEP {
            let keep = core.setup.read().keep;
            core.queue.sweep(&keep)?;
            self.swept = Instant::now();
        }
        // Without anything that has ended there is nothing to sweep, and nobody to wake for it.
        let has_ended = is_shared || core.queue.counts()?.iter().skip(Stage::Done as usize).any(|count| *count > 0);
        Ok(if has_ended { wait.min(SWEEP) } else { wait })
    }

    /// Renews leases that are a third gone, and keeps how far jobs are. Returns when to look again.
    fn renew(&mut self, core: &Core) -> Duration {
        let now = Instant::now();
        let lease = core.setup.read().lease;
        let running: Vec<_> = core.running.lock().iter().map(|(id, job)| (*id, job.clone())).collect();
        self.leases.retain(|id, told| running.iter().any(|(other, job)| other == id && job.attempt == told.attempt));
        let is_shared = core.queue.is_shared();
        for (id, job) in &running {
            let (attempt, progress) = (job.attempt, job.progress());
            let told = self.leases.entry(*id).or_insert(Lease { renewed: job.since, progress: 0.0, attempt });
            let since = now.saturating_duration_since(told.renewed);
            // Other processes may show how far it is; here the job itself is asked.
            let has_moved = is_shared && since >= POLL && told.progress.to_bits() != progress.to_bits();
            if since < lease / 3 && !has_moved {
                continue;
            }
            match core.queue.renew(*id, attempt, lease, progress) {
                Ok(Renewed::Held) => {}
                Ok(Renewed::Cancelled) => job.ask_to_end(EndEarly::Cancelled),
                Ok(Renewed::Lost) => job.ask_to_end(EndEarly::Lost),
                // Tried again at the next look.
                Err(error) => {
                    tell_trouble(core, "cannot renew the lease of a job", &error.into());
                    continue;
                }
            }
            (told.renewed, told.progress) = (now, progress);
        }
        if running.is_empty() { LONG } else { (lease / 3).min(POLL) }
    }

    /// Lets requests go that wait for jobs which other processes have ended.
    fn look_for_ends(&self, core: &Core) -> Result<()> {
        for id in core.watched.watched() {
            if core.queue.status(id)?.is_none_or(|status| status.stage.is_end()) {
                core.watched.happened(&id);
            }
        }
        Ok(())
    }
}

/// The jobs that come again and again, with the last minute that each was looked at for.
struct Timetable(Vec<(Entry, u64)>);

impl Timetable {
    /// The timetable of the set-up, with what was served before this process.
    fn read(core: &Core) -> Result<Self> {
        let now = minute(SystemTime::now());
        let entries = core.setup.read().timetable.clone();
        let served = entries.into_iter().map(|entry| {
            let last = core.queue.last_turn(&entry.name)?.unwrap_or(now).min(now);
            Ok((entry, last))
        });
        served.collect::<Result<_>>().map(Self)
    }

    /// Enqueues what has come since the last look, each entry once. Returns how long it is until the next minute.
    fn serve(&mut self, core: &Core, clock: SystemTime) -> Duration {
        if self.0.is_empty() {
            return LONG;
        }
        let now = minute(clock);
        for (entry, last) in &mut self.0 {
            let was_set_back = *last > now + CLOCK_SET_BACK;
            let Some(turn) = entry.cron.until(now).filter(|turn| turn > last || was_set_back) else { continue };
            // A queue without room is asked again at the next look.
            let (retry, max_waiting) = {
                let setup = core.setup.read();
                (setup.kinds.get(entry.kind).and_then(|kind| kind.retry).unwrap_or(setup.retry), setup.max_waiting)
            };
            let new = NewJob {
                attempts: retry.attempts.max(1),
                turn: Some((&entry.name, turn)),
                max_waiting,
                ..NewJob::new(core.next_id(), entry.kind, &entry.payload)
            };
            match core.queue.enqueue(&new) {
                Ok(Enqueued::New | Enqueued::Existing(_) | Enqueued::Served) => *last = turn,
                Err(error) => tell_trouble(core, "cannot enqueue a job of the timetable", &error.into()),
            }
        }
        let of_minute = clock.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() % 60;
        Duration::from_secs(60 - of_minute)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::jobs::{Job, Jobs};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Chime;

    impl Job for Chime {
        const NAME: &'static str = "chime";
        type State = ();
        fn run(&self, (): &(), _: &Work) -> Result {
            Ok(())
        }
    }

    #[test]
    fn the_keeper_serves_the_timetable_and_sleeps_until_the_next_minute_at_most() {
        let jobs = Jobs::memory().register::<Chime>(()).cron("* * * * *", Chime);
        let mut timetable = Timetable::read(&jobs.core).unwrap();
        // As after a minute in which no keeper looked.
        timetable.0[0].1 -= 1;
        let mut keeper = Keeper { timetable, ..Keeper::new() };
        assert!(keeper.look(&jobs.core).unwrap() <= Duration::from_secs(60));
        assert_eq!(jobs.run_due().unwrap(), 1);
    }

    #[test]
    fn a_timetable_goes_on_when_the_clock_has_moved_and_repeats_nothing_of_three_hours() {
        let jobs = Jobs::memory().register::<Chime>(()).cron("* * * * *", Chime);
        let mut timetable = Timetable::read(&jobs.core).unwrap();
        let began = minute(SystemTime::now()) + 1;
        const YEAR: u64 = 365 * 24 * 60;
        let moves = [
            (1, 1, "the next minute"),
            (1, 0, "the same minute once more"),
            (600, 1, "ten hours later: once, not 600 times"),
            (540, 0, "set back by an hour"),
            (601, 1, "the time before that has come again"),
            (YEAR, 1, "a year ahead by mistake"),
            (602, 1, "and put right"),
            (400, 1, "set back by more than three hours"),
        ];
        for (later, jobs_due, what) in moves {
            timetable.serve(&jobs.core, SystemTime::UNIX_EPOCH + Duration::from_secs(60 * (began + later)));
            assert_eq!(jobs.run_due().unwrap(), jobs_due, "{what}");
        }
    }
}
