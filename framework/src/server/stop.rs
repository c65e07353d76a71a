//! The end of a server, in order, under one absolute deadline.
//!
//! ```text
//! Running ─► Draining: no new connections, idle ones may send one more request, every response closes, pushes end
//!         ─► Closing:  idle connections are closed; what is in flight goes on, and with a successor what has begun
//!         ─► Stopped:  what is left is cut off, and the service is told
//!         ─► Ended:    threads end as they come back
//! ```
//!
//! Only threads that this server started are waited for, and only those that are not inside application code at the
//! deadline.

use super::Running;
use super::connection::{HttpConnection, Rests};
use super::run_queue::Waiting;
use super::scheduler::{OtherThread, Phase, Role};
use super::slab::Owned;
use super::transport::cut_off;
use super::word::{Edges, Holder};
use super::workspace::{Shared, Workspace};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a stop went.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StopReport {
    /// The requests that had not ended by the deadline, as `GET /path` with their age; empty when all went well.
    pub unfinished: Vec<(String, Duration)>,
}

/// How often connections are looked at again while the server waits for them.
const LOOK: Duration = Duration::from_millis(10);
/// How long threads that are not inside application code are waited for. They need microseconds.
const GRACE: Duration = Duration::from_secs(1);

impl Running {
    /// Runs through all phases; a second call does nothing.
    pub(super) fn stop(&mut self, left: &dyn Fn() -> Duration) -> StopReport {
        let began = Instant::now();
        let shared = self.shared.clone();
        let scheduler = &shared.scheduler;
        if scheduler.phase() >= Phase::Stopped {
            return StopReport::default();
        }
        scheduler.enter(Phase::Draining);
        // The acceptor's are the last descriptors: when it has ended, they are closed.
        self.listeners = None;
        if let Some(accepting) = self.accepting.take() {
            accepting.stop(GRACE);
        }
        scheduler.alarm.ring_loudly();
        announce_end(&shared);
        let for_idle = || shared.settings.drain_idle.saturating_sub(began.elapsed()).min(left());
        while scheduler.slab.open() > 0 && !for_idle().is_zero() {
            shared.wake_pushes();
            scheduler.slab.wait_for_change(for_idle().min(LOOK), || scheduler.slab.open() == 0);
        }
        scheduler.enter(Phase::Closing);
        let mut workspace = None;
        while scheduler.slab.open() > 0 && !left().is_zero() {
            let work = workspace.get_or_insert_with(|| {
                let record = shared.record_of(OtherThread::Stopper);
                Workspace::new(shared.clone(), Arc::clone(record))
            });
            shared.wake_pushes();
            close_idle(&shared, work);
            scheduler.slab.wait_for_change(left().min(LOOK), || scheduler.slab.open() == 0);
        }
        let report = shared.unfinished();
        scheduler.enter(Phase::Stopped);
        let stuck = || shared.worker_records().iter().filter(|record| record.is_busy()).count();
        let patience = Instant::now() + GRACE;
        // Again and again: a connection that a thread was just busy with is to be cut off when it is let go.
        loop {
            shared.cut_off();
            let busy = stuck();
            if busy == shared.settings.threads || scheduler.slab.open() <= busy || Instant::now() >= patience {
                break;
            }
            scheduler.slab.wait_for_change(LOOK, || scheduler.slab.open() <= busy);
        }
        scheduler.enter(Phase::Ended);
        scheduler.aside.end();
        shared.ends.ring();
        scheduler.alarm.ring_loudly();
        let beside = [OtherThread::Aside, OtherThread::Ends].map(|thread| shared.record_of(thread));
        let stuck = || stuck() + beside.iter().filter(|record| record.is_busy()).count();
        self.threads.end_except(stuck, GRACE, LOOK);
        // Without a worker the service does not hear of these; they are dropped.
        while let Some(entry) = scheduler.queue.pop() {
            drop(scheduler.slab.dequeue(&entry.connection));
        }
        while let Some(queued) = scheduler.aside.pop() {
            drop(scheduler.slab.dequeue(&queued));
        }
        report
    }
}

/// Lets connections that carry streams tell their clients that the server stops.
fn announce_end(shared: &Shared) {
    for index in shared.scheduler.slab.indexes() {
        let Some(mut owned) = shared.scheduler.slab.claim_if_free(index) else { continue };
        match owned.connection().is_mux() {
            true => shared.scheduler.push(owned, Waiting::Turn),
            false => shared.scheduler.put_down(owned),
        }
    }
}

/// Lets every connection without an owner, and without a deadline that is its own, see that idle ones must close.
fn close_idle(shared: &Shared, work: &mut Workspace) {
    for index in shared.scheduler.slab.indexes() {
        if let Some(mut owned) = shared.scheduler.slab.claim_if_free(index) {
            if owned.connection().waits_for_request(shared.has_successor()) {
                shared.scheduler.drive(owned, Edges::NONE, Role::Attendant, work);
            } else {
                shared.scheduler.put_down(owned);
            }
        }
    }
}

impl Shared {
    /// Lets connections that wait for news see that there will be none, and requests that asked to wait. One that a
    /// thread is just busy with may rest after this look, and is found by the next.
    fn wake_pushes(&self) {
        let Self { scheduler, .. } = self;
        for index in scheduler.slab.indexes() {
            let rest = match scheduler.slab.rest(index) {
                Some((Holder::Nobody, rest)) => rest,
                _ => continue,
            };
            let is_parked = rest == Rests::Parked as u8;
            if !is_parked && rest != Rests::Pushing as u8 && rest != Rests::Speaking as u8 {
                continue;
            }
            let Some(mut owned) = scheduler.slab.claim_if_free(index) else { continue };
            if is_parked && !owned.connection().ends_wanted_wait() {
                scheduler.put_down(owned);
            } else {
                scheduler.push(owned, if is_parked { Waiting::Worker } else { Waiting::News });
            }
        }
    }

    /// The requests that are being answered: by workers, in the queue, parked, or on their way out.
    fn unfinished(&self) -> StopReport {
        let scheduler = &self.scheduler;
        let records = self.worker_records().iter();
        let mut unfinished: Vec<_> = records
            .filter_map(|record| record.request(scheduler.clock))
            .map(|request| (request.line, request.age))
            .collect();
        let mut look = |owned: &mut Owned<'_, HttpConnection>| {
            if let Some(exchange) = owned.connection().in_flight() {
                let request = &exchange.request;
                unfinished.push((format!("{} {}", request.method(), request.path()), request.received().elapsed()));
            }
        };
        for _ in 0..scheduler.queue.len() {
            let Some(entry) = scheduler.queue.pop() else { break };
            if let Some(mut owned) = scheduler.slab.dequeue(&entry.connection) {
                look(&mut owned);
                scheduler.push(owned, entry.waiting);
            }
        }
        for index in scheduler.slab.indexes() {
            if let Some(mut owned) = scheduler.slab.claim_if_free(index) {
                look(&mut owned);
                scheduler.put_down(owned);
            }
        }
        StopReport { unfinished }
    }

    /// Ends all connections: those with a request through a worker, which tells the service; the sockets of those that
    /// a worker is busy with are shut down under it.
    fn cut_off(&self) {
        for index in self.scheduler.slab.indexes() {
            if let Some(mut owned) = self.scheduler.slab.claim_if_free(index) {
                if owned.connection().owes_an_end() || owned.connection().is_mux() {
                    self.scheduler.push(owned, Waiting::Worker);
                }
            } else {
                self.scheduler.slab.with_socket(index, cut_off);
            }
        }
    }
}
