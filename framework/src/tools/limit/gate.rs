//! Places and the queue for them.
//!
//! ```text
//! enter ──place free──► at work ──drop──► free, or granted to the first in line
//!   └──────────► in line ──granted──► poll ──► at work
//! ```
//!
//! Whoever is granted a place counts as at work from then on, though he has not come for it: so nobody can take it from him, and if he never comes, his
//! [`Waiter`] gives it on when it is dropped. A lane (of one address, or of all) is there only while somebody is in it. No waker runs under the lock.

use crate::primitive::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;

/// The places of a limit.
#[derive(Debug, Default)]
pub(super) struct Gate {
    lanes: Mutex<Lanes>,
}

#[derive(Debug, Default)]
struct Lanes {
    by_key: HashMap<Option<IpAddr>, Lane>,
    last_ticket: u64,
}

/// Invariant: at work are those with a permit and those in `granted`.
#[derive(Debug, Default)]
struct Lane {
    at_work: usize,
    queue: VecDeque<(u64, Waker)>,
    granted: Vec<u64>,
}

/// What a request finds.
pub(super) enum Place {
    Free(Permit),
    InLine(Waiter),
    /// Neither a place nor room in the queue.
    None,
}

impl Gate {
    /// A place in the lane, or in its queue.
    pub(super) fn enter(
        self: &Arc<Self>,
        key: Option<IpAddr>,
        most: usize,
        queue: usize,
        waker: impl FnOnce() -> Waker,
    ) -> Place {
        let mut lanes = self.lanes.lock();
        lanes.last_ticket += 1;
        let ticket = lanes.last_ticket;
        let lane = lanes.by_key.entry(key).or_default();
        if lane.at_work < most && lane.queue.is_empty() {
            lane.at_work += 1;
            return Place::Free(Permit { gate: Arc::clone(self), key });
        }
        if lane.queue.len() >= queue {
            return Place::None;
        }
        lane.queue.push_back((ticket, waker()));
        Place::InLine(Waiter { gate: Arc::clone(self), key, ticket, is_over: false })
    }

    /// How many are at work, and how many wait.
    pub(super) fn load(&self) -> (usize, usize) {
        let lanes = self.lanes.lock();
        let add = |(at_work, waiting), lane: &Lane| (at_work + lane.at_work, waiting + lane.queue.len());
        lanes.by_key.values().fold((0, 0), add)
    }

    /// Gives a place on to the first in line, or back.
    fn give_back(&self, key: Option<IpAddr>) {
        let mut lanes = self.lanes.lock();
        let Some(lane) = lanes.by_key.get_mut(&key) else { return };
        let next = lane.queue.pop_front();
        match &next {
            Some((ticket, _)) => lane.granted.push(*ticket),
            None => lane.at_work -= 1,
        }
        if lane.at_work == 0 {
            lanes.by_key.remove(&key);
        }
        drop(lanes);
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }
}

/// A place. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Arc<Gate>,
    key: Option<IpAddr>,
}

impl Permit {
    pub(super) fn is_of(&self, gate: &Arc<Gate>) -> bool {
        Arc::ptr_eq(&self.gate, gate)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.give_back(self.key);
    }
}

/// Somebody in line. Dropping it gives up the line, and the place if it was just granted.
pub(super) struct Waiter {
    gate: Arc<Gate>,
    key: Option<IpAddr>,
    ticket: u64,
    is_over: bool,
}

impl Waiter {
    /// The place, if it was granted. Polling without reason is harmless.
    pub(super) fn poll(&mut self) -> Option<Permit> {
        if self.is_over || !self.take_grant() {
            return None;
        }
        self.is_over = true;
        Some(Permit { gate: Arc::clone(&self.gate), key: self.key })
    }

    fn take_grant(&self) -> bool {
        let mut lanes = self.gate.lanes.lock();
        let Some(lane) = lanes.by_key.get_mut(&self.key) else { return false };
        let index = lane.granted.iter().position(|ticket| *ticket == self.ticket);
        index.map(|index| lane.granted.swap_remove(index)).is_some()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let given_up = {
            let mut lanes = self.gate.lanes.lock();
            let Some(lane) = lanes.by_key.get_mut(&self.key) else { return };
            let index = lane.queue.iter().position(|(ticket, _)| *ticket == self.ticket);
            index.and_then(|index| lane.queue.remove(index))
        };
        // Not in line any more: then it was granted, and nobody will come for it.
        if given_up.is_none() && self.take_grant() {
            self.gate.give_back(self.key);
        }
    }
}

#[cfg(all(test, shuttle))]
mod model;
