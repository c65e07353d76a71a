//! The thread beside the workers: it answers the pages that tell why all workers are busy.
//!
//! While no worker is free the ticker reads the heads of requests. Those of which the service says that they wait for
//! nothing ([`WhenBusy::Aside`](crate::exchange::WhenBusy)) go to this thread, one after another, and not into the run
//! queue. It runs the hooks of such a request and sends the response. A request that no hook answers goes to the
//! workers like any other. The end of the request, which may write to a log that hangs, is left to a worker; so the
//! connection closes after each response. While too many ends wait for a worker, further ones are not told, so that
//! looking at a server that hangs does not use up its connections.
//!
//! A few may wait here. One more is a request like any other. If the thread itself hangs, because a hook breaks its
//! promise, the ticker refuses those that wait.

use super::scheduler::{Phase, Role};
use super::slab::Queued;
use super::word::Edges;
use super::workspace::{Shared, Workspace};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;

/// Requests that wait for the thread.
const MAX_WAITING: usize = 16;
/// While so many connections wait for a worker, the service is not told of the end of further requests.
pub(super) const MAX_UNENDED: usize = 64;

/// The connections whose requests wait for the thread. They are owned like those of the run queue.
#[derive(Debug)]
pub(super) struct AsideQueue {
    /// `None` wakes the thread.
    entry: Sender<Option<Queued>>,
    exit: Receiver<Option<Queued>>,
}

impl Default for AsideQueue {
    fn default() -> Self {
        let (entry, exit) = bounded(MAX_WAITING);
        Self { entry, exit }
    }
}

impl AsideQueue {
    /// Hands a connection over; gives it back when too many wait.
    pub(super) fn push(&self, queued: Queued) -> Option<Queued> {
        self.entry.try_send(Some(queued)).err().and_then(TrySendError::into_inner)
    }

    /// Lets the thread look whether the server has stopped.
    pub(super) fn ring(&self) {
        // When it is full, the thread is not asleep.
        let _ = self.entry.try_send(None);
    }

    /// The next connection that waits, if any does.
    pub(super) fn pop(&self) -> Option<Queued> {
        let mut has_rung = false;
        let next = loop {
            match self.exit.try_recv() {
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
}

/// The life of the thread.
pub(super) fn run(shared: &Arc<Shared>) {
    let scheduler = &shared.scheduler;
    let record = &scheduler.records[shared.settings.threads + 2];
    record.is_of_this_thread();
    while scheduler.phase() < Phase::Ended {
        let Ok(next) = scheduler.aside.exit.recv() else { return };
        let Some(owned) = next.and_then(|queued| scheduler.slab.dequeue(&queued)) else { continue };
        let role = if scheduler.phase() >= Phase::Stopped { Role::Undertaker } else { Role::Aside };
        // Its buffers are large, and it is seldom needed.
        let mut workspace = Workspace::new(shared.clone(), Arc::clone(record));
        scheduler.drive(owned, Edges::NONE, role, &mut workspace);
        record.finish();
    }
}
