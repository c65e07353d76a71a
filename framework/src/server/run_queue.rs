//! The run queue: connections that have work and wait for a worker, first come, first served, in two lanes.
//!
//! It is touched only in bursts and under overload: the check for "nothing there" is one atomic load. The order of that
//! load and of the sleepers' count is what keeps a job from being left beside a sleeping worker; see `scheduler.rs`.
//!
//! The lower lane is for news: ten thousand streams that were told the same thing are 50 ms of work, and no request may
//! wait behind them. Among many requests the news still gets a share.

use super::clock::Tick;
use super::slab::Queued;
use crate::primitive::{AtomicUsize, Mutex, MutexGuard, Ordering};
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
    /// Its turn behind all others: there is news to tell.
    News,
}

/// Entries of the upper lane that are taken in a row while there is news.
const MAX_BEFORE_NEWS: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct RunQueue {
    lanes: Mutex<Lanes>,
    length: AtomicUsize,
    requests: AtomicUsize,
}

#[derive(Debug, Default)]
struct Lanes {
    upper: VecDeque<Entry>,
    news: VecDeque<Entry>,
    /// How many were taken from the upper lane while there was news.
    before_news: u32,
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
        let lanes = self.lanes.lock();
        lanes.upper.iter().find(|entry| entry.waiting != Waiting::Turn).map(|entry| entry.since)
    }

    pub(super) fn push(&self, entry: Entry) {
        let mut lanes = self.lanes.lock();
        if entry.waiting == Waiting::Request {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        if entry.waiting == Waiting::News {
            lanes.news.push_back(entry);
        } else {
            lanes.upper.push_back(entry);
        }
        self.note_length(&lanes);
    }

    /// Takes all of `turns` in at once: connections that wait for their turn.
    pub(super) fn push_turns(&self, turns: &mut Vec<Entry>) {
        debug_assert!(turns.iter().all(|entry| entry.waiting == Waiting::Turn), "requests are counted one by one");
        let mut lanes = self.lanes.lock();
        lanes.upper.extend(turns.drain(..));
        self.note_length(&lanes);
    }

    pub(super) fn pop(&self) -> Option<Entry> {
        self.take(|lanes| {
            if lanes.news.is_empty() {
                lanes.before_news = 0;
                return lanes.upper.pop_front();
            }
            if lanes.before_news < MAX_BEFORE_NEWS
                && let Some(entry) = lanes.upper.pop_front()
            {
                lanes.before_news += 1;
                return Some(entry);
            }
            lanes.before_news = 0;
            lanes.news.pop_front()
        })
    }

    /// Takes the oldest entry with news.
    pub(super) fn take_news(&self) -> Option<Entry> {
        self.take(|lanes| lanes.news.pop_front())
    }

    /// Takes the oldest entry of the upper lane that `condition` holds for.
    pub(super) fn take_first(&self, condition: impl Fn(&Entry) -> bool) -> Option<Entry> {
        self.take(|lanes| lanes.upper.remove(lanes.upper.iter().position(condition)?))
    }

    fn take(&self, choose: impl FnOnce(&mut Lanes) -> Option<Entry>) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let mut lanes = self.lanes.lock();
        let entry = choose(&mut lanes)?;
        self.note_length(&lanes);
        if entry.waiting == Waiting::Request {
            self.requests.fetch_sub(1, Ordering::Relaxed);
        }
        Some(entry)
    }

    fn note_length(&self, lanes: &MutexGuard<'_, Lanes>) {
        self.length.store(lanes.upper.len() + lanes.news.len(), Ordering::SeqCst);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::server::slab::Slab;
    use std::os::unix::net::UnixStream;

    #[test]
    fn news_waits_behind_requests_and_still_gets_a_share() {
        let slab = Slab::new(64, 0);
        let queue = RunQueue::default();
        let push = |waiting| {
            let (near, _far) = UnixStream::pair().expect("a socket pair");
            slab.insert(near, Tick::default(), |_, _| Ok(())).expect("room");
            let index = u32::try_from(slab.open() - 1).expect("a few");
            let connection = slab.claim_if_free(index).expect("free").enqueue();
            queue.push(Entry { connection, since: Tick::default(), waiting });
        };
        (0..3).for_each(|_| push(Waiting::News));
        (0..20).for_each(|_| push(Waiting::Request));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|entry| entry.waiting == Waiting::News).collect();
        let news: Vec<_> = (0..order.len()).filter(|&index| order[index]).collect();
        assert_eq!(news, [16, 21, 22]);
        assert_eq!((queue.len(), queue.requests()), (0, 0));
    }
}
