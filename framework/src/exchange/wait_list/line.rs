//! The line of one key: its holders and its waiters. Plain data; the lock around it is the list's.

use super::{Claim, Class, LineStatus, Rules};
use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

/// Invariant: the first in `waiting` finds no room. So no place is free that a waiter could have.
pub(super) struct Line {
    /// Apart from the others, so that a line with one place needs no heap.
    first: Option<Held>,
    more: Vec<Held>,
    /// By class, then by ticket.
    waiting: VecDeque<Waiting>,
}

/// A place that is taken, or was offered.
pub(super) struct Held {
    pub(super) ticket: u64,
    pub(super) class: Class,
    pub(super) claim: Claim,
    pub(super) since: Instant,
    /// There until the one that was offered the place has come for it.
    pub(super) offer: Option<Waker>,
}

/// A waiter in line.
pub(super) struct Waiting {
    pub(super) ticket: u64,
    pub(super) class: Class,
    pub(super) claim: Claim,
    pub(super) waker: Waker,
}

impl Line {
    pub(super) fn new(held: Held) -> Self {
        Self { first: Some(held), more: Vec::new(), waiting: VecDeque::new() }
    }

    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        self.first.iter().chain(&self.more)
    }

    pub(super) fn find(&mut self, ticket: u64) -> Option<&mut Held> {
        self.first.iter_mut().chain(&mut self.more).find(|held| held.ticket == ticket)
    }

    pub(super) fn hold(&mut self, held: Held) {
        match self.first {
            None => self.first = Some(held),
            Some(_) => self.more.push(held),
        }
    }

    /// Ends the hold of this ticket, if it has one.
    pub(super) fn end(&mut self, ticket: u64) -> Option<Held> {
        if let Some(held) = self.first.take_if(|held| held.ticket == ticket) {
            return Some(held);
        }
        let index = self.more.iter().position(|held| held.ticket == ticket)?;
        Some(self.more.swap_remove(index))
    }

    /// Ends the holds of all that have come for their places.
    pub(super) fn end_all(&mut self) -> Vec<Held> {
        let has_come = |held: &mut Held| held.offer.is_none();
        let mut ended: Vec<Held> = self.first.take_if(has_come).into_iter().collect();
        ended.extend(self.more.extract_if(.., has_come));
        ended
    }

    /// Whether this ticket has the only place that is taken, and nobody waits.
    pub(super) fn is_only(&self, ticket: u64) -> bool {
        self.first.as_ref().is_some_and(|held| held.ticket == ticket) && self.more.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a new request of this class gets a place at once: no waiter is before it.
    pub(super) fn admits(&self, class: Class, rules: &Rules) -> bool {
        self.waiting.front().is_none_or(|first| first.class > class) && self.has_room(class, rules)
    }

    fn has_room(&self, class: Class, rules: &Rules) -> bool {
        let usual = || self.held().filter(|held| held.class == Class::Usual).count();
        self.held().count() < rules.places && (class == Class::Urgent || usual() < rules.places - rules.reserved)
    }

    /// Makes room for an urgent one, if it is the first: takes back the youngest offer that was made to a usual one,
    /// which is the first of its class again.
    pub(super) fn make_room(&mut self) {
        let can_be_taken = |held: &&Held| held.offer.is_some() && held.class == Class::Usual;
        let is_first = self.waiting.front().is_none_or(|first| first.class == Class::Usual);
        let youngest = self.held().filter(can_be_taken).map(|held| held.ticket).max();
        if let Some(ticket) = youngest.filter(|_| is_first)
            && let Some(Held { class, claim, offer: Some(waker), .. }) = self.end(ticket)
        {
            self.wait(Waiting { ticket, class, claim, waker });
        }
    }

    pub(super) fn wait(&mut self, waiting: Waiting) {
        let (Ok(index) | Err(index)) = self.find_waiting(waiting.class, waiting.ticket);
        self.waiting.insert(index, waiting);
    }

    pub(super) fn find_waiting(&self, class: Class, ticket: u64) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&(class, ticket), |waiting| (waiting.class, waiting.ticket))
    }

    pub(super) fn give_up(&mut self, class: Class, ticket: u64) -> Option<Waiting> {
        self.waiting.remove(self.find_waiting(class, ticket).ok()?)
    }

    /// Everybody in line goes, and gets no place.
    pub(super) fn dismiss(&mut self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// Offers a free place to the first in line. Its waker is to be woken when the lock is gone. After one place was
    /// given back there is one offer at most.
    pub(super) fn hand_on(&mut self, rules: &Rules) -> Option<Waker> {
        let class = self.waiting.front()?.class;
        if !self.has_room(class, rules) {
            return None;
        }
        let Waiting { ticket, class, claim, waker } = self.waiting.pop_front()?;
        self.hold(Held { ticket, class, claim, since: Instant::now(), offer: Some(waker.clone()) });
        Some(waker)
    }

    /// `None` where no place is taken.
    pub(super) fn status(&self) -> Option<LineStatus> {
        let oldest = self.held().min_by_key(|held| held.since)?;
        Some(LineStatus {
            holder: oldest.claim.clone(),
            held_for: oldest.since.elapsed(),
            held: self.held().count(),
            waiting: self.waiting.len(),
        })
    }
}
