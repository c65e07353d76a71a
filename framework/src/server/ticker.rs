//! The ticker: deadlines, and the attendant of a server whose workers are all busy.
//!
//! It looks at all slots ten times a second while there is a connection, and sleeps without end when there was none for
//! that long: an idle server burns nothing, and clients that come one by one need not wake it each time. It never runs
//! application code. When no worker waits for work and few come back, it does their input and output. Blocked responses
//! go on, heads are read, complete requests wait in the run queue with a bound and a deadline, and requests beyond it
//! get 503.
//!
//! While the reserve has it armed it also looks every millisecond whether the poller is attended; see `reserve.rs`.

use super::connection::keep_within_budget;
use super::poll::{BATCH, Events};
use super::run_queue::Waiting;
use super::scheduler::{OtherThread, Phase, Role};
use super::slow::WORTH_A_MARK;
use super::word::Edges;
use super::workers::WorkerRecord;
use super::workspace::{Shared, Workspace};
use std::sync::Arc;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(100);
/// While all workers are busy.
const BUSY_INTERVAL: Duration = Duration::from_millis(20);
/// Workers that come back more often than this in a busy interval need no help: a request waits for
/// microseconds. (Sixteen is about one request in a millisecond.)
const BRISK_TURNS: u64 = 16;
/// While the reserve has the ticker armed.
const WATCH_INTERVAL: Duration = Duration::from_millis(1);
/// The interval while workers move so fast that an unattended poller means load and not a slow handler.
const BRISK_WATCH_INTERVAL: Duration = Duration::from_millis(5);
/// Turns between two looks that are brisk.
const BRISK_WATCH_TURNS: u64 = 8;
/// Looks at an attended poller after which the ticker is disarmed.
const CALM_LOOKS: u32 = 50;
/// A handler that runs for longer is slow: others should not depend on it.
const SLOW: Duration = Duration::from_millis(5);
/// How long after the last slow handler workers may rest again.
const CALM_AFTER: Duration = Duration::from_secs(1);
/// Events that are taken in one look.
const MAX_EVENTS: usize = 8 * BATCH;
/// Connections with news that are told in one look: some 10 ms.
const MAX_NEWS: usize = 2048;

/// The life of the ticker.
pub(super) fn run(shared: &Arc<Shared>, record: &Arc<WorkerRecord>) {
    let scheduler = &shared.scheduler;
    let mut workspace: Option<Workspace> = None;
    let mut events = Events::new();
    let mut watch = Watch::default();
    let mut turns = 0;
    let mut was_busy = false;
    let mut looked = Instant::now();
    let mut is_deserted = false;
    while scheduler.phase() < Phase::Stopped {
        let interval = if was_busy || watch.called_until.is_some() { BUSY_INTERVAL } else { INTERVAL };
        let next = interval.saturating_sub(looked.elapsed());
        let wait = || if scheduler.reserve.is_armed() { next.min(watch.interval()) } else { next };
        let sleeps = || is_deserted && scheduler.slab.open() == 0 && scheduler.phase() == Phase::Running;
        scheduler.alarm.wait(wait, sleeps);
        if scheduler.slab.open() == 0 {
            if looked.elapsed() >= interval {
                looked = Instant::now();
                is_deserted = true;
                // Its buffers are large, and it may sleep for long.
                workspace = None;
            }
            continue;
        }
        is_deserted = false;
        let turns_now = shared.worker_records().iter().map(|record| record.turns()).sum();
        watch.look(shared, turns_now);
        if looked.elapsed() < interval {
            continue;
        }
        looked = Instant::now();
        let work = workspace.get_or_insert_with(|| Workspace::new(shared.clone(), Arc::clone(record)));
        #[cfg(feature = "tls")]
        {
            work.handshakes = 1;
        }
        expire(shared, work);
        shared.worker_records().iter().for_each(|record| record.mark_if_slow(WORTH_A_MARK, scheduler.clock));
        keep_within_budget(shared);
        relieve_aside(shared, work);
        let is_busy = scheduler.is_busy();
        let few = turns_now - turns < BRISK_TURNS * shared.settings.threads as u64;
        if is_busy && was_busy && few {
            relieve(shared, &mut events, work);
        }
        (was_busy, turns) = (is_busy, turns_now);
    }
}

/// The ticker's view of the poller and the handlers, for the reserve.
#[derive(Default)]
struct Watch {
    /// How often in a row the poller was attended.
    attended: u32,
    /// The turns of all workers at the last look.
    turns: u64,
    is_brisk: bool,
    /// The turns of all workers at the last look, if the poller was unattended then.
    unattended_at: Option<u64>,
    /// The reserve was called, until this moment at least.
    called_until: Option<Instant>,
}

impl Watch {
    fn interval(&self) -> Duration {
        if self.is_brisk { BRISK_WATCH_INTERVAL } else { WATCH_INTERVAL }
    }

    fn look(&mut self, shared: &Shared, turns: u64) {
        let reserve = &shared.scheduler.reserve;
        self.is_brisk = turns - self.turns >= BRISK_WATCH_TURNS;
        self.turns = turns;
        if let Some(until) = self.called_until {
            let now = Instant::now();
            if shared.runs_for(SLOW) {
                self.called_until = Some(now + CALM_AFTER);
            } else if now >= until {
                self.called_until = None;
                reserve.calm();
            }
        }
        if !reserve.is_armed() {
            return;
        }
        if reserve.sleepers() > 0 {
            self.unattended_at = None;
            self.attended += 1;
            if self.attended >= CALM_LOOKS {
                self.attended = 0;
                reserve.disarm();
            }
            return;
        }
        self.attended = 0;
        if self.unattended_at.replace(turns) == Some(turns) && self.called_until.is_none() {
            self.called_until = Some(Instant::now() + CALM_AFTER);
            reserve.call();
        }
    }
}

/// Tells connections that their deadline has passed.
fn expire(shared: &Shared, work: &mut Workspace) {
    let scheduler = &shared.scheduler;
    let now = scheduler.clock.now();
    let has_expired = |index| scheduler.slab.deadline(index).is_some_and(|deadline| deadline.has_passed(now));
    for index in scheduler.slab.indexes().filter(|&index| has_expired(index)) {
        // An owned connection gets a new deadline when it is let go.
        let Some(owned) = scheduler.slab.claim_if_free(index) else { continue };
        // It may have been owned, and renewed, between the look and the claim.
        let news = if has_expired(index) { Edges::EXPIRED } else { Edges::NONE };
        scheduler.drive(owned, news, Role::Attendant, work);
    }
}

/// Refuses the requests that wait for the thread beside the workers, if it does not come back.
fn relieve_aside(shared: &Shared, work: &mut Workspace) {
    let Shared { scheduler, settings, .. } = shared;
    if !shared.record_of(OtherThread::Aside).runs_for(settings.queue_timeout, scheduler.clock) {
        return;
    }
    while let Some(queued) = scheduler.aside.pop() {
        if let Some(owned) = scheduler.slab.dequeue(&queued) {
            scheduler.drive(owned, Edges::NONE, Role::Refuser, work);
        }
    }
}

/// Does the work for which the workers have no time.
fn relieve(shared: &Shared, events: &mut Events, work: &mut Workspace) {
    let scheduler = &shared.scheduler;
    let mut taken = 0;
    while taken < MAX_EVENTS {
        match scheduler.attend(events, work) {
            0 => break,
            count => taken += count,
        }
    }
    for _ in 0..scheduler.queue.len() {
        let Some(entry) = scheduler.queue.take_first(|entry| entry.waiting == Waiting::Turn) else { break };
        if let Some(owned) = scheduler.slab.dequeue(&entry.connection) {
            scheduler.drive(owned, Edges::NONE, Role::Attendant, work);
        }
    }
    for _ in 0..MAX_NEWS {
        let Some(entry) = scheduler.queue.take_news() else { break };
        if let Some(owned) = scheduler.slab.dequeue(&entry.connection) {
            scheduler.drive(owned, Edges::NONE, Role::Attendant, work);
        }
    }
    let now = scheduler.clock.now();
    let patience = shared.settings.queue_timeout;
    while let Some(entry) = scheduler
        .queue
        .take_first(|entry| entry.waiting == Waiting::Request && entry.since.after(patience).has_passed(now))
    {
        if let Some(owned) = scheduler.slab.dequeue(&entry.connection) {
            scheduler.drive(owned, Edges::NONE, Role::Refuser, work);
        }
    }
}
