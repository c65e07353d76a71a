//! A flight: one request makes a response, others wait for it.

use super::super::stored::Stored;
use super::super::variant::Variant;
use super::{Cache, State};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// Who makes the response for a variant of an address, and who waits, first come, first served.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) variant: Variant,
    leader: u64,
    /// The leader's place, until it comes for the lead.
    offered: Option<Place>,
    waiting: VecDeque<Place>,
}

#[derive(Debug)]
pub(super) struct Place {
    ticket: u64,
    waker: Waker,
}

impl Flight {
    pub(super) fn new(variant: Variant, leader: u64) -> Self {
        Self { variant, leader, offered: None, waiting: VecDeque::new() }
    }

    pub(super) fn enqueue(&mut self, ticket: u64, waker: Waker) {
        self.waiting.push_back(Place { ticket, waker });
    }

    /// Whether the leader was only offered the lead.
    pub(super) fn is_offered(&self) -> bool {
        self.offered.is_some()
    }

    /// All that wait, to be woken.
    pub(super) fn release(&mut self) -> VecDeque<Place> {
        std::mem::take(&mut self.waiting)
    }

    /// Ends the lead of the present leader, who has taken it: offers it to the first that waits, whose waker is put into `wakers`. `false`
    /// when nobody waits.
    pub(super) fn hand_on(&mut self, wakers: &mut Vec<Waker>) -> bool {
        self.offered = self.waiting.pop_front();
        let Some(next) = &self.offered else { return false };
        self.leader = next.ticket;
        wakers.push(next.waker.clone());
        true
    }
}

/// The duty to make a response that others may wait for. Dropping it hands the duty on to the first that waits.
#[derive(Debug)]
#[must_use = "dropping the lead hands it on"]
pub(in super::super) struct Lead {
    cache: Arc<Cache>,
    key: Arc<str>,
    ticket: u64,
    is_over: bool,
}

impl Lead {
    pub(super) fn new(cache: Arc<Cache>, key: Arc<str>, ticket: u64) -> Self {
        Self { cache, key, ticket, is_over: false }
    }

    /// Keeps the response, for those that wait and for others. Not if the address was invalidated meanwhile.
    pub(in super::super) fn keep(mut self, stored: Arc<Stored>) {
        self.is_over = true;
        let mut state = self.cache.state.lock();
        let Some(flight) = state.take_flight(&self.key, self.ticket) else { return };
        let mut gone = Vec::new();
        state.insert(&self.key, stored, &mut gone);
        state.tidy(&self.key);
        drop(state);
        drop(gone);
        wake_all(flight.waiting);
    }

    /// There is nothing for others: all that wait run by themselves, and so do others for a while if anybody had to wait.
    pub(in super::super) fn share_nothing(mut self) {
        self.is_over = true;
        let mut state = self.cache.state.lock();
        let Some(flight) = state.take_flight(&self.key, self.ticket) else { return };
        let mut gone = Vec::new();
        if !flight.waiting.is_empty() {
            state.note_unshared(&self.key, Instant::now(), &mut gone);
        }
        state.tidy(&self.key);
        drop(state);
        drop(gone);
        wake_all(flight.waiting);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.is_over {
            self.cache.give_up(&self.key, self.ticket);
        }
    }
}

/// A place among those that wait. Dropping it gives the place up, and the lead if it was just offered.
#[derive(Debug)]
#[must_use = "dropping the follower gives up its place"]
pub(in super::super) struct Follower {
    cache: Arc<Cache>,
    key: Arc<str>,
    ticket: u64,
    is_over: bool,
}

/// How a wait stands.
#[derive(Debug)]
pub(in super::super) enum Polled {
    /// It goes on.
    Waiting,
    /// The one that made the response gave up: it is this one's turn.
    Lead(Lead),
    /// The response is there, or nobody needs to wait for it: look again.
    Over,
}

impl Follower {
    pub(super) fn new(cache: Arc<Cache>, key: Arc<str>, ticket: u64) -> Self {
        Self { cache, key, ticket, is_over: false }
    }

    /// How the wait stands. Polling without reason is harmless.
    pub(in super::super) fn poll(&mut self) -> Polled {
        if self.is_over {
            return Polled::Over;
        }
        let mut state = self.cache.state.lock();
        let mut accepted = None;
        let flights = state.addresses.get_mut(&self.key).map(|address| &mut address.flights);
        for flight in flights.into_iter().flatten() {
            if flight.leader == self.ticket {
                accepted = flight.offered.take();
            } else if flight.waiting.iter().any(|place| place.ticket == self.ticket) {
                return Polled::Waiting;
            }
        }
        drop(state);
        self.is_over = true;
        match accepted {
            Some(place) => {
                drop(place);
                Polled::Lead(Lead::new(Arc::clone(&self.cache), Arc::clone(&self.key), self.ticket))
            }
            None => Polled::Over,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if !self.is_over {
            self.cache.give_up(&self.key, self.ticket);
        }
    }
}

/// Lets all of them look again. The caller has removed them from their flight and holds no lock.
pub(super) fn wake_all(places: VecDeque<Place>) {
    places.into_iter().for_each(|place| place.waker.wake());
}

impl Cache {
    /// Gives up the lead or the place of this ticket. In one step: in between, an offer would reach one that is gone.
    fn give_up(&self, key: &Arc<str>, ticket: u64) {
        let mut state = self.state.lock();
        let (mut wakers, mut given_up) = (Vec::new(), None);
        if let Some(address) = state.addresses.get_mut(key) {
            address.flights.retain_mut(|flight| {
                if flight.leader == ticket {
                    given_up = flight.offered.take();
                    return flight.hand_on(&mut wakers);
                }
                if let Some(index) = flight.waiting.iter().position(|place| place.ticket == ticket) {
                    given_up = flight.waiting.remove(index);
                }
                true
            });
        }
        state.tidy(key);
        drop(state);
        drop(given_up);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn take_flight(&mut self, key: &Arc<str>, leader: u64) -> Option<Flight> {
        let flights = &mut self.addresses.get_mut(key)?.flights;
        let index = flights.iter().position(|flight| flight.leader == leader)?;
        Some(flights.remove(index))
    }
}
