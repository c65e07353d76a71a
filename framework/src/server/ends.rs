//! The ends of requests that were answered without a worker, by the ticker or by the thread beside the workers: hooks,
//! counts, the access record.
//!
//! An end may wait for a log that hangs, which may be why all workers do. So a thread of its own makes these ends: they
//! hold up neither those threads nor a connection. Some may wait; of further ones the log tells the number, once the
//! thread comes back.

use super::connection::end;
use super::scheduler::Phase;
use super::workers::WorkerRecord;
use super::workspace::{Shared, Workspace};
use crate::exchange::Exchange;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Ends that wait for the thread.
const MAX_WAITING: usize = 1024;

/// The requests that have ended and of which the service does not know it yet.
#[derive(Debug)]
pub(super) struct Ends {
    /// `None` wakes the thread.
    entry: Sender<Option<Ended>>,
    exit: Receiver<Option<Ended>>,
    /// How many found no room.
    lost: AtomicU64,
}

/// A request whose response is out, or will never be.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) exchange: Box<Exchange>,
    pub(super) body_bytes: u64,
    pub(super) is_complete: bool,
}

impl Default for Ends {
    fn default() -> Self {
        let (entry, exit) = bounded(MAX_WAITING);
        Self { entry, exit, lost: AtomicU64::new(0) }
    }
}

impl Ends {
    /// Leaves an end to the thread. Gives the request back when too many wait.
    pub(super) fn push(&self, mut ended: Ended) -> Option<Box<Exchange>> {
        // All workers hang, perhaps for hours, and a browser asks for the page every few seconds.
        drop(ended.exchange.response.take_body());
        let refused = self.entry.try_send(Some(ended)).err().and_then(TrySendError::into_inner)?;
        self.lost.fetch_add(1, Ordering::Relaxed);
        Some(refused.exchange)
    }

    /// Lets the thread look whether the server has stopped.
    pub(super) fn ring(&self) {
        // When it is full, the thread is not asleep.
        let _ = self.entry.try_send(None);
    }
}

/// The life of the thread: until the server has ended, and all requests with it.
pub(super) fn run(shared: &Arc<Shared>, record: &Arc<WorkerRecord>) {
    let Ends { exit, lost, .. } = &shared.ends;
    let mut workspace = None;
    loop {
        let next = exit.try_recv().ok().or_else(|| {
            // Its buffers are large, and it is seldom needed.
            workspace = None;
            if shared.scheduler.phase() < Phase::Ended { exit.recv().ok() } else { exit.try_recv().ok() }
        });
        match next {
            Some(Some(ended)) => {
                let work = workspace.get_or_insert_with(|| Workspace::new(shared.clone(), Arc::clone(record)));
                end(work, ended.exchange, ended.body_bytes, ended.is_complete);
            }
            Some(None) => {}
            None => return,
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            crate::line::record!(
                Warn,
                "{lost} requests that were answered while no worker was free are missing in the access log and in the \
                 counts: the log, or a hook at `on_end_request`, did not come back in time"
            );
        }
    }
}
