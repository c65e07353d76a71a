//! The cache: kept responses by address, and the request that makes the next one while others wait.
//!
//! ```text
//!            find, nothing usable                 keep
//! nobody ──────────────────────► a leader makes it ────► entry; all that wait look again
//!   ▲                              │    ▲      │ nothing to share
//!   │          the leader gives up │    │      └─────────► all that wait run by themselves, and others for a while
//!   └── nobody waits ──────────────┤    │ it comes (poll)
//!                                  └────┴─ offered to the first that waits
//! ```
//!
//! * One mutex guards entries and flights, so "nothing there" and "I make it" are one step: there are never two leaders
//!   of a variant, and no request waits for an entry that came in between. It is held for a look into a map and a few
//!   moves of pointers, never while a waker runs, content is dropped or the application's code runs. The lines of the
//!   flights are a wait list.
//! * The leader has a [`Lead`], a waiting request a [`Follower`]; dropping either does the right thing on every way
//!   out: error, panic, a client that is gone.
//! * An address has a record only while it has entries, or a leader. Nothing else is kept, so there is nothing to leak.
//! * An invalidated entry is gone at once, and a response that is being made is not kept: a leader that began before
//!   the invalidation leads no more.

mod flight;
#[cfg(all(test, shuttle))]
mod model;

pub(super) use flight::{Follower, Lead, Polled};

use super::entries::{Content, Entries, Entry};
use super::stored::Stored;
use super::terms::Verdict;
use super::variant::Variant;
use crate::exchange::{Claim, Class, Entered, WaitList};
use crate::http::RequestDirectives;
use crate::primitive::Mutex;
use crate::{HeaderName, Request};
use flight::Flight;
use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// The wishes of one request.
#[derive(Clone, Copy)]
pub(super) struct Inquiry<'r> {
    pub(super) key: &'r str,
    pub(super) request: &'r Request,
    pub(super) directives: RequestDirectives,
    /// Whether it comes from a user who has logged in by the Authorization field.
    pub(super) is_authorized: bool,
    /// Whether its response may become an entry that others wait for.
    pub(super) may_lead: bool,
    /// Whether the response of another request will do.
    pub(super) may_follow: bool,
    pub(super) now: Instant,
}

/// The fate of the request.
#[derive(Debug)]
pub(super) enum Found {
    /// This answers it.
    Hit(Arc<Stored>, Duration),
    /// It makes the response, and others wait for it.
    Lead(Lead),
    /// It waits; see [`Follower`].
    Wait(Follower),
    /// It would wait, and brought no waker.
    Busy,
    /// It makes its own response and no request waits. The response may be kept if nothing was invalidated since this
    /// epoch.
    Free(u64),
}

#[derive(Debug)]
pub(super) struct Cache {
    state: Mutex<State>,
    /// The request that makes a response, and the waiters for it.
    flights: WaitList<u64>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) objects: usize,
    pub(super) bytes: usize,
}

/// The counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) waits: u64,
    pub(super) stored: u64,
    pub(super) evicted: u64,
    pub(super) expired: u64,
    pub(super) invalidated: u64,
}

#[derive(Debug)]
struct State {
    addresses: HashMap<Arc<str>, Address>,
    entries: Entries,
    limits: Limits,
    counters: Counters,
    last_flight: u64,
    /// How many times something was invalidated.
    epoch: u64,
}

/// The state of one address.
#[derive(Debug, Default)]
struct Address {
    /// The places of its responses, the youngest first.
    variants: Vec<usize>,
    /// The place of the note that its responses are for one request only.
    unshared: Option<usize>,
    flights: Vec<Flight>,
}

/// Maximum of variants of an address: the fields in its Vary may have more values than are worth keeping, or looking
/// through.
const MAX_VARIANTS: usize = 32;

/// How long no request waits at an address whose last response was for one request only.
const UNSHARED_FOR: Duration = Duration::from_secs(120);

/// Entries that a sweep looks at before it lets others have the cache.
const SWEEP_BATCH: usize = 256;

impl Cache {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                addresses: HashMap::new(),
                entries: Entries::new(),
                limits,
                counters: Counters::default(),
                last_flight: 0,
                epoch: 0,
            }),
            flights: WaitList::new("a response (`caching`)", 1).max_waiting(usize::MAX),
        })
    }

    /// Answers the request, or says how it goes on. With a waker it may get a place among those that wait.
    pub(super) fn find(self: &Arc<Self>, inquiry: &Inquiry<'_>, waker: Option<Waker>) -> Found {
        let mut state = self.state.lock();
        let state = &mut *state;
        let (usable, verdict) = match state.best(inquiry) {
            Some((place, stored, verdict)) => (Some((place, stored)), verdict),
            None => (None, Verdict::Unusable),
        };
        if let Some((place, stored)) = usable
            && (verdict == Verdict::Fresh || !inquiry.may_lead || state.flight(inquiry).is_some())
        {
            state.entries.touch(place);
            state.counters.hits += 1;
            let age = stored.age(inquiry.now);
            return Found::Hit(stored, age);
        }
        let is_unshared = || {
            let place = state.addresses.get(inquiry.key)?.unshared?;
            state.entries.get(place).filter(|note| note.ends > inquiry.now)
        };
        if is_unshared().is_some() {
            state.counters.misses += 1;
            return Found::Free(state.epoch);
        }
        if let Some(flight) = state.flight(inquiry) {
            let Some(waker) = waker.filter(|_| inquiry.may_follow) else {
                if inquiry.may_follow {
                    return Found::Busy;
                }
                state.counters.misses += 1;
                return Found::Free(state.epoch);
            };
            let key = state.key(inquiry.key);
            match self.flights.enter(flight, &Claim::of(inquiry.request), Class::Usual, || waker) {
                Entered::Turn(turn) => {
                    state.counters.waits += 1;
                    return Found::Wait(Follower::new(Arc::clone(self), key, turn));
                }
                // The leader has just gone.
                Entered::Place(place) if inquiry.may_lead => {
                    state.counters.misses += 1;
                    return Found::Lead(Lead::new(Arc::clone(self), key, place));
                }
                Entered::Place(_) | Entered::Full => {
                    state.remove_flight(&key, flight);
                    state.tidy(&key);
                }
            }
        }
        state.counters.misses += 1;
        if !inquiry.may_lead {
            return Found::Free(state.epoch);
        }
        state.last_flight += 1;
        let number = state.last_flight;
        let variant = state.variant(inquiry);
        let key = state.key(inquiry.key);
        let place = self.flights.try_enter_at(number, &Claim::of(inquiry.request), inquiry.now);
        let place = place.expect("nobody knows this flight yet");
        state.addresses.entry(Arc::clone(&key)).or_default().flights.push(Flight { variant, number });
        Found::Lead(Lead::new(Arc::clone(self), key, place))
    }

    /// A kept response that may stand in for an error.
    pub(super) fn find_in_place_of_error(&self, inquiry: &Inquiry<'_>) -> Option<(Arc<Stored>, Duration)> {
        let state = self.state.lock();
        let (_, stored) = state.youngest(inquiry)?;
        let age = stored.age(inquiry.now);
        stored.terms.serves_in_place_of_error(age).then(|| (Arc::clone(stored), age))
    }

    /// How many times something was invalidated.
    pub(super) fn epoch(&self) -> u64 {
        self.state.lock().epoch
    }

    /// Keeps the response of a request that did not lead, unless something was invalidated since it began. Waiters at
    /// the address look again.
    pub(super) fn keep(&self, key: &str, stored: Arc<Stored>, epoch: u64) {
        let mut state = self.state.lock();
        if state.epoch != epoch {
            return;
        }
        let mut gone = Vec::new();
        let key = state.key(key);
        state.insert(&key, stored, &mut gone);
        let mut wakers = Vec::new();
        for flight in state.addresses.get(&key).into_iter().flat_map(|address| &address.flights) {
            self.flights.dismiss(&flight.number, &mut wakers);
        }
        state.tidy(&key);
        drop(state);
        drop(gone);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Forgets the responses for an address. A response that is being made for it is not kept.
    pub(super) fn invalidate(&self, key: &str) -> usize {
        self.invalidate_where(|state| {
            state.addresses.get_key_value(key).map(|(key, _)| Arc::clone(key)).into_iter().collect()
        })
    }

    /// Forgets the responses for all addresses that `is_meant` selects. Looks at all of them under the lock.
    pub(super) fn invalidate_all(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        self.invalidate_where(|state| state.addresses.keys().filter(|key| is_meant(key)).cloned().collect())
    }

    fn invalidate_where(&self, meant: impl FnOnce(&State) -> Vec<Arc<str>>) -> usize {
        let mut state = self.state.lock();
        state.epoch += 1;
        let (mut gone, mut wakers) = (Vec::new(), Vec::new());
        for key in meant(&state) {
            state.invalidate(&key, &self.flights, &mut gone, &mut wakers);
        }
        let responses = gone.iter().filter(|entry: &&Entry| matches!(entry.content, Content::Response(_))).count();
        state.counters.invalidated += responses as u64;
        drop(state);
        drop(gone);
        wakers.into_iter().for_each(Waker::wake);
        responses
    }

    /// Removes the entries that have ended. Returns how many.
    pub(super) fn sweep(&self, now: Instant) -> usize {
        let (mut swept, mut start) = (0, 0);
        loop {
            let mut state = self.state.lock();
            let end = state.entries.places().min(start + SWEEP_BATCH);
            let ended = state.entries.ended(start.min(end)..end, now);
            let gone: Vec<Entry> = ended.iter().filter_map(|place| state.remove(*place)).collect();
            state.counters.expired += gone.len() as u64;
            let is_last = end == state.entries.places();
            if is_last {
                state.entries.give_memory_back();
                if state.addresses.len() < state.addresses.capacity() / 4 {
                    state.addresses.shrink_to_fit();
                }
            }
            drop(state);
            swept += gone.len();
            if is_last {
                return swept;
            }
            start = end;
        }
    }

    /// Sets the limits; entries beyond them go.
    pub(super) fn limit(&self, change: impl FnOnce(&mut Limits)) {
        let mut state = self.state.lock();
        change(&mut state.limits);
        let mut gone = Vec::new();
        state.evict(&mut gone);
        drop(state);
        drop(gone);
    }

    pub(super) fn limits(&self) -> Limits {
        self.state.lock().limits
    }

    /// The counts, the number of entries, and their bytes.
    pub(super) fn status(&self) -> (Counters, usize, usize) {
        let state = self.state.lock();
        (state.counters, state.entries.len(), state.entries.bytes())
    }

    /// How many addresses have a record.
    #[cfg(test)]
    pub(super) fn addresses(&self) -> usize {
        self.state.lock().addresses.len()
    }
}

impl State {
    /// The youngest response for the request, if there is one that it may have.
    fn youngest(&self, inquiry: &Inquiry<'_>) -> Option<(usize, &Arc<Stored>)> {
        let address = self.addresses.get(inquiry.key)?;
        address.variants.iter().find_map(|place| match &self.entries.get(*place)?.content {
            Content::Response(stored) if stored.variant.fits(inquiry.request) => {
                (stored.terms.for_authorized || !inquiry.is_authorized).then_some((*place, stored))
            }
            _ => None,
        })
    }

    fn best(&self, inquiry: &Inquiry<'_>) -> Option<(usize, Arc<Stored>, Verdict)> {
        let (place, stored) = self.youngest(inquiry)?;
        let verdict = stored.terms.judge(stored.age(inquiry.now), &inquiry.directives);
        (verdict != Verdict::Unusable).then(|| (place, Arc::clone(stored), verdict))
    }

    /// The number of the flight in which the response for the request is made now.
    fn flight(&self, inquiry: &Inquiry<'_>) -> Option<u64> {
        let flights = &self.addresses.get(inquiry.key)?.flights;
        flights.iter().find(|flight| flight.variant.fits(inquiry.request)).map(|flight| flight.number)
    }

    /// The variant that the request asks for, as far as is known before it is made: by the names that decided last
    /// time.
    fn variant(&self, inquiry: &Inquiry<'_>) -> Variant {
        let youngest = || {
            let place = self.addresses.get(inquiry.key)?.variants.first()?;
            match &self.entries.get(*place)?.content {
                Content::Response(stored) => Some(stored.variant.names().cloned().collect::<Vec<HeaderName>>()),
                Content::Unshared => None,
            }
        };
        youngest().map(|names| Variant::of(inquiry.request, &names)).unwrap_or_default()
    }

    fn key(&self, key: &str) -> Arc<str> {
        self.addresses.get_key_value(key).map_or_else(|| Arc::from(key), |(key, _)| Arc::clone(key))
    }

    /// Adds a response in place of the one for the same variant; entries that must go for it are put into `gone`.
    fn insert(&mut self, key: &Arc<str>, stored: Arc<Stored>, gone: &mut Vec<Entry>) {
        let content = Content::Response(stored);
        if Entries::size(key, &content) > self.limits.bytes {
            // It would push out all others and then itself.
            return self.note_unshared(key, Instant::now(), gone);
        }
        let Content::Response(stored) = &content else { return };
        let ends = stored.ends();
        let address = self.addresses.entry(Arc::clone(key)).or_default();
        let is_replaced = |place: &usize| match self.entries.get(*place).map(|entry| &entry.content) {
            Some(Content::Response(other)) => other.variant == stored.variant,
            _ => true,
        };
        let mut replaced: Vec<usize> = address.variants.extract_if(.., |place| is_replaced(place)).collect();
        replaced.extend(address.variants.drain(address.variants.len().min(MAX_VARIANTS - 1)..));
        replaced.extend(address.unshared.take());
        gone.extend(replaced.iter().filter_map(|place| self.entries.remove(*place)));
        let place = self.entries.insert(Arc::clone(key), content, ends);
        address.variants.insert(0, place);
        self.counters.stored += 1;
        self.evict(gone);
    }

    /// Notes that no request should wait at this address for a while.
    fn note_unshared(&mut self, key: &Arc<str>, now: Instant, gone: &mut Vec<Entry>) {
        let ends = now + UNSHARED_FOR;
        let address = self.addresses.entry(Arc::clone(key)).or_default();
        gone.extend(address.unshared.take().and_then(|place| self.entries.remove(place)));
        address.unshared = Some(self.entries.insert(Arc::clone(key), Content::Unshared, ends));
        self.evict(gone);
    }

    fn evict(&mut self, gone: &mut Vec<Entry>) {
        while self.entries.len() > self.limits.objects || self.entries.bytes() > self.limits.bytes {
            let Some(oldest) = self.entries.oldest() else { return };
            gone.extend(self.remove(oldest));
            self.counters.evicted += 1;
        }
    }

    /// Removes an entry from its place and from its address.
    fn remove(&mut self, place: usize) -> Option<Entry> {
        let entry = self.entries.remove(place)?;
        if let Some(address) = self.addresses.get_mut(&entry.key) {
            address.variants.retain(|other| *other != place);
            address.unshared = address.unshared.filter(|other| *other != place);
        }
        self.tidy(&entry.key);
        Some(entry)
    }

    /// Removes the record of an address that has nothing any more.
    fn tidy(&mut self, key: &Arc<str>) {
        let is_empty =
            |address: &Address| address.variants.is_empty() && address.unshared.is_none() && address.flights.is_empty();
        if self.addresses.get(key).is_some_and(is_empty) {
            self.addresses.remove(key);
        }
    }

    fn invalidate(&mut self, key: &Arc<str>, lines: &WaitList<u64>, gone: &mut Vec<Entry>, wakers: &mut Vec<Waker>) {
        let Some(address) = self.addresses.get_mut(key) else { return };
        let places = address.variants.drain(..).chain(address.unshared.take());
        gone.extend(places.filter_map(|place| self.entries.remove(place)));
        // A request that was offered the lead and has not come has not begun either.
        address.flights.retain(|flight| {
            lines.revoke(&flight.number, wakers);
            lines.is_held(&flight.number)
        });
        self.tidy(key);
    }
}
