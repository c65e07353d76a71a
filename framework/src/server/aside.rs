//! The thread beside the workers: it answers the pages that tell why all workers are busy.
//!
//! While no worker is free the ticker reads the heads of requests. Those of which the service says that they wait for
//! nothing ([`WhenBusy::Aside`](crate::exchange::WhenBusy)) go to this thread, one after another, and not into the run
//! queue. It runs the hooks of such a request and sends the response. A request that no hook answers goes to the
//! workers like any other. The end of the request, which may write to a log that hangs, is left to `ends.rs`. The
//! connection closes after each response, so that each client has one turn.
//!
//! A few may wait here. One more is a request like any other. Strangers, who must still log in, have places of their
//! own and come last: they keep nobody out. If the thread itself hangs, because a hook breaks its promise, the ticker
//! refuses those that wait.

use super::scheduler::{Phase, Role};
use super::slab::Queued;
use super::word::Edges;
use super::workers::WorkerRecord;
use super::workspace::{Shared, Workspace};
use crate::exchange::Asker;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased};
use std::sync::Arc;

/// Requests that wait for the thread.
const MAX_KNOWN: usize = 16;
/// The same of strangers.
const MAX_STRANGERS: usize = 4;

/// The connections whose requests wait for the thread. They are owned like those of the run queue.
#[derive(Debug)]
pub(super) struct AsideQueue {
    known: Line,
    strangers: Line,
}

/// `None` wakes the thread.
#[derive(Debug)]
struct Line {
    entry: Sender<Option<Queued>>,
    exit: Receiver<Option<Queued>>,
}

impl Line {
    fn of(places: usize) -> Self {
        let (entry, exit) = bounded(places);
        Self { entry, exit }
    }
}

impl Default for AsideQueue {
    fn default() -> Self {
        Self { known: Line::of(MAX_KNOWN), strangers: Line::of(MAX_STRANGERS) }
    }
}

impl AsideQueue {
    /// Hands a connection over; gives it back when too many wait.
    pub(super) fn push(&self, asker: Asker, queued: Queued) -> Option<Queued> {
        let line = match asker {
            Asker::Known => &self.known,
            Asker::Stranger => &self.strangers,
        };
        line.entry.try_send(Some(queued)).err().and_then(TrySendError::into_inner)
    }

    /// Lets the thread look whether the server has stopped.
    pub(super) fn ring(&self) {
        // When it is full, the thread is not asleep.
        let _ = self.known.entry.try_send(None);
    }

    /// The next connection that waits, if any does.
    pub(super) fn pop(&self) -> Option<Queued> {
        let mut has_rung = false;
        let next = loop {
            match self.known.exit.try_recv().or_else(|_| self.strangers.exit.try_recv()) {
                Ok(Some(queued)) => break Some(queued),
                Ok(None) => has_rung = true,
                Err(_) => break None,
            }
        };
        if has_rung {
            // That was for the thread.
            self.ring();
        }
        next
    }

    /// Waits for the next one; `None` when the thread was woken without.
    fn wait(&self) -> Option<Queued> {
        select_biased! {
            recv(self.known.exit) -> next => next.ok().flatten(),
            recv(self.strangers.exit) -> next => next.ok().flatten(),
        }
    }
}

/// The life of the thread.
pub(super) fn run(shared: &Arc<Shared>, record: &Arc<WorkerRecord>) {
    let scheduler = &shared.scheduler;
    while scheduler.phase() < Phase::Ended {
        let Some(owned) = scheduler.aside.wait().and_then(|queued| scheduler.slab.dequeue(&queued)) else { continue };
        let role = if scheduler.phase() >= Phase::Stopped { Role::Undertaker } else { Role::Aside };
        // Its buffers are large, and it is seldom needed.
        let mut workspace = Workspace::new(shared.clone(), Arc::clone(record));
        scheduler.drive(owned, Edges::NONE, role, &mut workspace);
        record.finish();
    }
}
