//! The run queue: connections that have work and wait for a worker, first come, first served.
//!
//! It is touched only in bursts and under overload: the check for "nothing there" is one atomic load. The order of that
//! load and of the sleepers' count is what keeps a job from being left beside a sleeping worker; see `scheduler.rs`.

use super::clock::Tick;
use super::slab::Queued;
use crate::primitive::{AtomicUsize, Mutex, Ordering};
use std::collections::VecDeque;

/// One connection in the queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) connection: Queued,
    /// When it came in.
    pub(super) since: Tick,
    pub(super) waiting: Waiting,
}

/// The purpose of a queued connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Its turn: there may be input or output.
    Turn,
    /// A worker: application code must go on.
    Worker,
    /// A worker for a new request; it may be refused.
    Request,
}

#[derive(Debug, Default)]
pub(super) struct RunQueue {
    entries: Mutex<VecDeque<Entry>>,
    length: AtomicUsize,
    requests: AtomicUsize,
}

impl RunQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.length.load(Ordering::SeqCst) == 0
    }

    /// How many entries are [`Waiting::Request`].
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        self.length.load(Ordering::SeqCst)
    }

    /// Since when the oldest connection waits for a worker.
    pub(super) fn oldest(&self) -> Option<Tick> {
        let entries = self.entries.lock();
        entries.iter().find(|entry| entry.waiting != Waiting::Turn).map(|entry| entry.since)
    }

    pub(super) fn push(&self, entry: Entry) {
        let mut entries = self.entries.lock();
        if entry.waiting == Waiting::Request {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        entries.push_back(entry);
        self.length.store(entries.len(), Ordering::SeqCst);
    }

    /// Takes all of `turns` in at once: connections that wait for their turn.
    pub(super) fn push_turns(&self, turns: &mut Vec<Entry>) {
        debug_assert!(turns.iter().all(|entry| entry.waiting == Waiting::Turn), "requests are counted one by one");
        let mut entries = self.entries.lock();
        entries.extend(turns.drain(..));
        self.length.store(entries.len(), Ordering::SeqCst);
    }

    pub(super) fn pop(&self) -> Option<Entry> {
        self.take_first(|_| true)
    }

    /// Takes the oldest entry that `condition` holds for.
    pub(super) fn take_first(&self, condition: impl Fn(&Entry) -> bool) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let mut entries = self.entries.lock();
        let index = entries.iter().position(condition)?;
        let entry = entries.remove(index)?;
        self.length.store(entries.len(), Ordering::SeqCst);
        if entry.waiting == Waiting::Request {
            self.requests.fetch_sub(1, Ordering::Relaxed);
        }
        Some(entry)
    }
}
