//! A flight: one request makes a response, others wait for it. Each has one place on a wait list, and its holder leads.
//!
//! The list has a lock of its own, which is taken within the cache's or alone. So a flight may be found whose line has
//! just ended: then the finder leads.

use super::super::stored::Stored;
use super::super::variant::Variant;
use super::{Cache, State};
use crate::exchange::{Place, Turn};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

/// That a response for a variant of an address is being made.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) variant: Variant,
    /// The key of its line. No two flights have the same.
    pub(super) number: u64,
}

/// The duty to make a response that others may wait for. Dropping it hands the duty on to the first that waits.
#[derive(Debug)]
#[must_use = "dropping the lead hands it on"]
pub(in super::super) struct Lead {
    cache: Arc<Cache>,
    key: Arc<str>,
    /// There until it is over.
    place: Option<Place<u64>>,
}

impl Lead {
    pub(super) fn new(cache: Arc<Cache>, key: Arc<str>, place: Place<u64>) -> Self {
        Self { cache, key, place: Some(place) }
    }

    /// Keeps the response, for the waiters and for others. Not if the address was invalidated in between.
    pub(in super::super) fn keep(self, stored: Arc<Stored>) {
        self.end(|state, key, _, gone| state.insert(key, stored, gone));
    }

    /// There is nothing for others: all that wait run by themselves, and so do others for a while if anybody had to
    /// wait.
    pub(in super::super) fn share_nothing(self) {
        self.end(|state, key, place, gone| {
            if place.waiting() > 0 {
                state.note_unshared(key, Instant::now(), gone);
            }
        });
    }

    /// Ends the flight, unless another request has it by now: all waiters look again.
    fn end(mut self, note: impl FnOnce(&mut State, &Arc<str>, &Place<u64>, &mut Vec<super::Entry>)) {
        let Some(place) = self.place.take() else { return };
        let mut state = self.cache.state.lock();
        if place.is_revoked() {
            return;
        }
        let mut gone = Vec::new();
        state.remove_flight(&self.key, *place.key());
        note(&mut state, &self.key, &place, &mut gone);
        state.tidy(&self.key);
        drop(state);
        drop(gone);
        // The flight cannot be found any more, so no request comes into its line.
        let mut wakers = Vec::new();
        self.cache.flights.dismiss(place.key(), &mut wakers);
        drop(place);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let number = *place.key();
            drop(place);
            self.cache.forget_if_ended(&self.key, number);
        }
    }
}

/// A turn in line of those that wait. Dropping it gives it up, and the lead if it was just offered.
#[derive(Debug)]
#[must_use = "dropping the follower gives up its turn"]
pub(in super::super) struct Follower {
    cache: Arc<Cache>,
    key: Arc<str>,
    /// There until the wait is over.
    turn: Option<Turn<u64>>,
}

/// How a wait stands.
#[derive(Debug)]
pub(in super::super) enum Polled {
    /// It goes on.
    Waiting,
    /// The one that made the response gave up: it is this one's turn.
    Lead(Lead),
    /// The response is there, or there is no need to wait for it: look again.
    Over,
}

impl Follower {
    pub(super) fn new(cache: Arc<Cache>, key: Arc<str>, turn: Turn<u64>) -> Self {
        Self { cache, key, turn: Some(turn) }
    }

    /// How the wait stands. Polling without reason is harmless.
    pub(in super::super) fn poll(&mut self) -> Polled {
        let Some(turn) = &mut self.turn else { return Polled::Over };
        let Poll::Ready(place) = turn.poll() else { return Polled::Waiting };
        self.turn = None;
        match place {
            Some(place) => Polled::Lead(Lead::new(Arc::clone(&self.cache), Arc::clone(&self.key), place)),
            None => Polled::Over,
        }
    }

    /// The request that makes the response, in words.
    pub(in super::super) fn behind(&self) -> Option<String> {
        self.turn.as_ref().map(Turn::behind)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            let number = *turn.key();
            drop(turn);
            self.cache.forget_if_ended(&self.key, number);
        }
    }
}

impl Cache {
    /// A request has left the flight: the last one takes it along.
    fn forget_if_ended(&self, key: &Arc<str>, number: u64) {
        let mut state = self.state.lock();
        if !self.flights.is_held(&number) {
            state.remove_flight(key, number);
            state.tidy(key);
        }
    }
}

impl State {
    pub(super) fn remove_flight(&mut self, key: &Arc<str>, number: u64) {
        if let Some(address) = self.addresses.get_mut(key) {
            address.flights.retain(|flight| flight.number != number);
        }
    }
}
