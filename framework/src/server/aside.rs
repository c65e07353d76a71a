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

use super::scheduler::{Connection, Phase, Role, Scheduler};
use super::slab::Queued;
use super::word::Edges;
use super::workers::WorkerRecord;
use super::workspace::{Shared, Workspace};
use crate::exchange::Asker;
use crate::primitive::{Bell, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;

/// Requests that wait for the thread.
const MAX_KNOWN: usize = 16;
/// The same of strangers.
const MAX_STRANGERS: usize = 4;

/// The connections whose requests wait for the thread. They are owned like those of the run queue.
#[derive(Debug, Default)]
pub(super) struct AsideQueue {
    lines: Mutex<Lines>,
    bell: Bell,
}

#[derive(Debug, Default)]
struct Lines {
    known: VecDeque<Queued>,
    strangers: VecDeque<Queued>,
    /// The server has ended.
    is_over: bool,
}

impl Lines {
    fn next(&mut self) -> Option<Queued> {
        self.known.pop_front().or_else(|| self.strangers.pop_front())
    }
}

impl AsideQueue {
    /// Hands a connection over; gives it back when too many wait.
    pub(super) fn push(&self, asker: Asker, queued: Queued) -> Option<Queued> {
        let mut lines = self.lines.lock();
        let (line, most) = match asker {
            Asker::Known => (&mut lines.known, MAX_KNOWN),
            Asker::Stranger => (&mut lines.strangers, MAX_STRANGERS),
        };
        if line.len() == most {
            return Some(queued);
        }
        line.push_back(queued);
        self.bell.notify_all();
        None
    }

    /// Lets the thread end.
    pub(super) fn end(&self) {
        self.lines.lock().is_over = true;
        self.bell.notify_all();
    }

    /// The next connection that waits, if any does.
    pub(super) fn pop(&self) -> Option<Queued> {
        self.lines.lock().next()
    }

    /// Waits for the next one; `None` at the end.
    fn wait(&self) -> Option<Queued> {
        let mut lines = self.lines.lock();
        loop {
            if lines.is_over {
                return None;
            }
            if let Some(next) = lines.next() {
                return Some(next);
            }
            lines = self.bell.wait(lines);
        }
    }
}

/// The life of the thread.
pub(super) fn run(shared: &Arc<Shared>, record: &Arc<WorkerRecord>) {
    // Its buffers are large, and it is seldom needed.
    let workspace = || Workspace::new(shared.clone(), Arc::clone(record));
    shared.scheduler.work_aside(record, workspace);
}

impl<C: Connection> Scheduler<C> {
    /// The same, with values for the steps of one connection.
    pub(super) fn work_aside(&self, record: &WorkerRecord, workspace: impl Fn() -> C::Workspace) {
        while let Some(queued) = self.aside.wait() {
            let Some(owned) = self.slab.dequeue(&queued) else { continue };
            let role = if self.phase() >= Phase::Stopped { Role::Undertaker } else { Role::Aside };
            self.drive(owned, Edges::NONE, role, &mut workspace());
            record.finish();
        }
    }
}

#[cfg(all(test, shuttle))]
mod model;
