//! The ticker: deadlines, and the attendant of a server whose workers are all busy.
//!
//! It looks at all slots ten times a second while there is a connection, and sleeps without end while there is none: an idle server
//! burns nothing. It never runs application code. When no worker waits for work and few come back, it does their input and
//! output: blocked responses go on, heads are read, complete requests wait in the run queue with a bound and a deadline, and
//! what is beyond gets 503. No timer is part of the promise that a free worker takes a request at once.

use super::poll::{BATCH, Events};
use super::run_queue::Waiting;
use super::scheduler::{Phase, Role};
use super::word::Edges;
use super::workspace::{Shared, Workspace};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Wakes the ticker from its endless sleep.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    asleep: AtomicBool,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Alarm {
    /// There is a connection, or the server stops. One atomic load while the ticker is awake.
    pub(super) fn ring(&self) {
        if self.asleep.load(Ordering::SeqCst) {
            let _guard = self.lock.lock();
            self.bell.notify_all();
        }
    }

    /// Waits for an interval, or without end while `sleeps` holds.
    fn wait(&self, interval: Duration, sleeps: impl Fn() -> bool) {
        let mut guard = self.lock.lock();
        self.asleep.store(true, Ordering::SeqCst);
        // Announced first, looked second; who rings has inserted first and looks second.
        if sleeps() {
            self.bell.wait(&mut guard);
            self.asleep.store(false, Ordering::SeqCst);
        } else {
            self.asleep.store(false, Ordering::SeqCst);
            self.bell.wait_for(&mut guard, interval);
        }
    }

    /// Ends the wait whatever it is.
    pub(super) fn ring_loudly(&self) {
        let _guard = self.lock.lock();
        self.bell.notify_all();
    }
}

const INTERVAL: Duration = Duration::from_millis(100);
/// While all workers are busy.
const BUSY_INTERVAL: Duration = Duration::from_millis(20);
/// Workers that come back more often than this in a busy interval need no help: a request waits for
/// microseconds. (Sixteen is about one request in a millisecond.)
const BRISK_TURNS: u64 = 16;
/// Events that are taken in one look.
const MOST_EVENTS: usize = 8 * BATCH;

/// The life of the ticker.
pub(super) fn run(shared: &Arc<Shared>, alarm: &Alarm, record: usize) {
    let scheduler = &shared.scheduler;
    let mut workspace: Option<Workspace> = None;
    let mut events = Events::new();
    let mut turns = 0;
    let mut was_busy = false;
    while scheduler.phase() < Phase::Stopped {
        alarm.wait(if was_busy { BUSY_INTERVAL } else { INTERVAL }, || {
            scheduler.slab.open() == 0 && scheduler.phase() == Phase::Running
        });
        if scheduler.slab.open() == 0 {
            // Its buffers are large, and it may sleep for long.
            workspace = None;
            continue;
        }
        let work = workspace.get_or_insert_with(|| Workspace::new(shared.clone(), record));
        expire(shared, work);
        let turns_now = scheduler.records[..shared.settings.threads].iter().map(|record| record.turns()).sum();
        let is_busy = scheduler.is_busy();
        let few = turns_now - turns < BRISK_TURNS * shared.settings.threads as u64;
        if is_busy && was_busy && few {
            relieve(shared, &mut events, work);
        }
        (was_busy, turns) = (is_busy, turns_now);
    }
}

/// Tells connections whose deadline has passed.
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

/// Does what the workers have no time for.
fn relieve(shared: &Shared, events: &mut Events, work: &mut Workspace) {
    let scheduler = &shared.scheduler;
    let mut taken = 0;
    while taken < MOST_EVENTS {
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
