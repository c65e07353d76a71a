//! A wait list: places for each key, and an order of waiters for them. Every wait of a request is built on it.
//!
//! ```text
//! no line ──enter──► held ──given back, nobody waits──► no line
//!                     │ ▲
//!         given back, somebody waits: offered to the first
//!                     ▼ │ it comes (poll)
//!                   offered ──an urgent one comes first──► held by that one, the first waits on
//! ```
//!
//! * A line exists only while a place of its key is taken, so there is nothing to leak and nothing to sweep.
//! * An offered place counts as held, so no one overtakes. A waiter that was offered one and has gone gives it to the
//!   next.
//! * The lock is never held while a waker runs or is dropped, during other code of a user (but `Hash`, `Eq` and `Clone`
//!   of the key), or during I/O.

mod admission;
mod line;

use super::Claim;
use crate::primitive::{Mutex, MutexGuard, park_timeout};
use line::{Held, Line, Waiting};
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Places for requests, so many of each key; a request that finds none waits in line, without a thread.
///
/// A tool that makes requests wait asks it in its admission:
///
/// ```
/// use kirsch::lifecycle::{Admission, Admit, WaitList, Wakers};
/// use kirsch::{prelude::*, testing::Client};
///
/// /// Lets three requests of a customer be at work at once.
/// struct ThreeEach(WaitList<String>);
///
/// impl Tool for ThreeEach {
///     fn name(&self) -> &'static str { "three_each" }
///
///     fn attach(&self, hooks: &mut Hooks) { hooks.admission(Self(self.0.clone())); }
/// }
///
/// impl Admit for ThreeEach {
///     fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> kirsch::Result<Admission, Error> {
///         match exchange.request.header("x-customer") {
///             Some(customer) => self.0.admit(customer.to_owned(), exchange, wakers),
///             None => Ok(Admission::Go),
///         }
///     }
/// }
///
/// let places = WaitList::new("a place of the customer", 3);
/// let app = App::new(Tree::new().index(|_| "served")).tool("/", ThreeEach(places.clone()));
/// Client::in_process(app).get("/").header("x-customer", "anna").send().assert_text("served");
/// assert_eq!((places.statistics().admitted, places.statistics().held), (1, 0));
/// ```
///
/// Waiters of one [`Class`] are served first come, first served. A [`Place`] and a [`Turn`] in line are values:
/// dropping them, however a request ends, gives the place to the next. A clone is a handle to the same list.
pub struct WaitList<K, S = RandomState> {
    shared: Arc<Shared<K, S>>,
}

/// Which waiters are served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Before all usual ones. It may take a place that was offered to a usual waiter which has not come for it. Waiters
    /// that hold a thread are urgent, since a parked request needs a thread before it can come.
    Urgent,
    /// After all urgent ones.
    Usual,
}

/// The answer to a request for a place.
#[must_use = "dropping it gives it up"]
#[derive(Debug)]
pub enum Entered<K: Hash + Eq + Clone, S: BuildHasher = RandomState> {
    /// A place.
    Place(Place<K, S>),
    /// A turn in line.
    Turn(Turn<K, S>),
    /// No place is free, and the line is as long as it may be.
    Full,
}

/// A list and its lock, on cache lines of their own: neighbours do not slow each other down.
#[repr(align(64))]
struct Shared<K, S> {
    rules: Rules,
    lines: Mutex<Lines<K, S>>,
}

#[derive(Clone, Debug)]
struct Rules {
    name: &'static str,
    /// Places of each key, at least one.
    places: usize,
    /// How many of them are for urgent ones only; fewer than all.
    reserved: usize,
    max_waiting: usize,
    max_wait: Duration,
    is_for_all: bool,
}

struct Lines<K, S> {
    by_key: HashMap<K, Line, S>,
    last_ticket: u64,
    admitted: u64,
    waited: u64,
    refused: u64,
}

/// The counts of a list; see the field names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitStatistics {
    /// Places that are taken now.
    pub held: usize,
    /// Those in line now.
    pub waiting: usize,
    /// Those who got a place, since the start.
    pub admitted: u64,
    /// How many of them had to wait for it.
    pub waited: u64,
    /// Those who got none: the line was full, or they waited too long.
    pub refused: u64,
}

/// The holders of the places of one key, and how many wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LineStatus {
    /// The holder that has had its place for longest.
    pub holder: Claim,
    /// For how long.
    pub held_for: Duration,
    /// How many places are taken.
    pub held: usize,
    /// How many are in line.
    pub waiting: usize,
}

/// As `held by /page1 (request 0000000000000002) for 12.4s and 1 more, 4 waiting`.
impl std::fmt::Display for LineStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { holder, held_for, held, waiting } = self;
        match holder.path() {
            "" => write!(f, "held for {held_for:.1?}")?,
            _ if holder.is_elsewhere => {
                write!(f, "held in another process; {holder} has waited for that for {held_for:.1?}")?;
            }
            _ => write!(f, "held by {holder} for {held_for:.1?}")?,
        }
        if *held > 1 {
            write!(f, " and {} more", held - 1)?;
        }
        write!(f, ", {waiting} waiting")
    }
}

impl<K: Hash + Eq + Clone> WaitList<K> {
    /// A list of so many places for each key. `name` is the log's word for what requests wait for, such as `a place of
    /// the customer`.
    ///
    /// # Panics
    /// Without a place.
    #[must_use]
    pub fn new(name: &'static str, places: usize) -> Self {
        Self::with_hasher(name, places)
    }
}

impl<K: Hash + Eq + Clone, S: BuildHasher + Default> WaitList<K, S> {
    /// A list for keys that need no protection from clients that choose them.
    pub(crate) fn with_hasher(name: &'static str, places: usize) -> Self {
        assert!(places > 0, "nobody would get a place of {name:?}");
        let max_wait = Duration::from_secs(30);
        Self::of(Rules { name, places, reserved: 0, max_waiting: 100, max_wait, is_for_all: false })
    }

    fn of(rules: Rules) -> Self {
        let lines = Lines { by_key: HashMap::default(), last_ticket: 0, admitted: 0, waited: 0, refused: 0 };
        Self { shared: Arc::new(Shared { rules, lines: Mutex::new(lines) }) }
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = self.shared.rules.clone();
        change(&mut rules);
        Self::of(rules)
    }

    /// A new list in which so many may wait for places of one key (default 100); one more is refused at once.
    #[must_use]
    pub fn max_waiting(self, requests: usize) -> Self {
        self.change(|rules| rules.max_waiting = requests)
    }

    /// A new list in which [`admit`](Self::admit) lets a request wait for so long (default 30 s).
    #[must_use]
    pub fn max_wait(self, wait: Duration) -> Self {
        self.change(|rules| rules.max_wait = wait)
    }

    /// A new list that says whether all requests for a page stand in the same line (default `false`: each key belongs
    /// to one client). See [`Wait::is_own`](super::Wait::is_own).
    #[must_use]
    pub fn one_line_for_all(self, enabled: bool) -> Self {
        self.change(|rules| rules.is_for_all = enabled)
    }

    /// A new list that keeps so many places of each key for urgent ones.
    pub(crate) fn reserve_for_urgent(self, places: usize) -> Self {
        assert!(places < self.shared.rules.places, "usual ones would wait for ever");
        self.change(|rules| rules.reserved = places)
    }
}

impl<K: Hash + Eq + Clone, S: BuildHasher> WaitList<K, S> {
    /// A place, if one is free and there are no waiters for it.
    #[must_use]
    pub fn try_enter(&self, key: K, claim: &Claim) -> Option<Place<K, S>> {
        self.try_enter_at(key, claim, Instant::now())
    }

    /// The same for a caller that knows the time.
    pub(crate) fn try_enter_at(&self, key: K, claim: &Claim, now: Instant) -> Option<Place<K, S>> {
        let ticket = self.lock().enter(&self.shared.rules, &key, claim, Class::Usual, now)?;
        Some(self.place(key, ticket))
    }

    /// A place, or a turn in line for it. The waker is asked for only in the second case. It is woken when it is worth
    /// polling.
    pub fn enter(&self, key: K, claim: &Claim, class: Class, waker: impl FnOnce() -> Waker) -> Entered<K, S> {
        self.enter_at(key, claim, class, Instant::now(), waker)
    }

    /// The same for a caller that knows the time.
    pub(crate) fn enter_at(
        &self,
        key: K,
        claim: &Claim,
        class: Class,
        now: Instant,
        waker: impl FnOnce() -> Waker,
    ) -> Entered<K, S> {
        let rules = &self.shared.rules;
        let asked = self.lock().ask(rules, &key, claim, class, now);
        match asked {
            Asked::Place(ticket) => return Entered::Place(self.place(key, ticket)),
            Asked::Full => return Entered::Full,
            Asked::Taken => {}
        }
        // Made without the lock; so what was taken may be free by now.
        let waker = waker();
        let mut lines = self.lock();
        match lines.ask(rules, &key, claim, class, now) {
            Asked::Place(ticket) => {
                drop(lines);
                Entered::Place(self.place(key, ticket))
            }
            Asked::Full => Entered::Full,
            Asked::Taken => {
                let ticket = lines.wait(&key, claim, class, waker);
                drop(lines);
                Entered::Turn(Turn { list: self.clone(), key, class, ticket, is_over: false })
            }
        }
    }

    /// The holders of the places of this key, and how many wait; `None` if there are none.
    #[must_use]
    pub fn status(&self, key: &K) -> Option<LineStatus> {
        self.lock().by_key.get(key)?.status()
    }

    /// The same of all keys.
    #[must_use]
    pub fn all(&self) -> Vec<(K, LineStatus)> {
        let lines = self.lock();
        lines.by_key.iter().filter_map(|(key, line)| Some((key.clone(), line.status()?))).collect()
    }

    /// Counters and gauges of this moment.
    #[must_use]
    pub fn statistics(&self) -> WaitStatistics {
        let lines = self.lock();
        WaitStatistics {
            held: lines.by_key.values().map(|line| line.held().count()).sum(),
            waiting: lines.by_key.values().map(Line::waiting).sum(),
            admitted: lines.admitted,
            waited: lines.waited,
            refused: lines.refused,
        }
    }

    /// How many keys have a place that is taken.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    /// Whether a place of this key is taken.
    pub(crate) fn is_held(&self, key: &K) -> bool {
        self.lock().by_key.contains_key(key)
    }

    /// Lets all in line for this key go without a place. Their wakers are put into `wakers`, to be woken when no lock
    /// is held.
    pub(crate) fn dismiss(&self, key: &K, wakers: &mut Vec<Waker>) {
        if let Some(line) = self.lock().by_key.get_mut(key) {
            wakers.extend(line.dismiss().into_iter().map(|waiting| waiting.waker));
        }
    }

    /// Takes the places of this key from all holders that have come for them. They are offered to the waiters in line,
    /// whose wakers are put into `wakers`, to be woken when no lock is held.
    pub(crate) fn revoke(&self, key: &K, wakers: &mut Vec<Waker>) {
        let rules = &self.shared.rules;
        let mut lines = self.lock();
        let Some(line) = lines.by_key.get_mut(key) else { return };
        let ended = line.end_all();
        wakers.extend(std::iter::from_fn(|| line.hand_on(rules)));
        let is_over = line.is_empty();
        let gone = if is_over { lines.by_key.remove_entry(key) } else { None };
        drop(lines);
        drop((ended, gone));
    }

    fn lock(&self) -> MutexGuard<'_, Lines<K, S>> {
        self.shared.lines.lock()
    }

    fn place(&self, key: K, ticket: u64) -> Place<K, S> {
        Place { list: self.clone(), key, ticket }
    }

    /// Ends the hold of `ticket`, if it has one: the first in line is offered the place, or the line goes.
    ///
    /// The caller has locked the lines, and found out under this very lock what it knows about the hold.
    fn end(&self, mut lines: MutexGuard<'_, Lines<K, S>>, key: &K, ticket: u64) {
        // Mostly the place was the only one, and its line goes: so it is taken out first, and put back if it goes on.
        let Some((key, mut line)) = lines.by_key.remove_entry(key) else { return };
        if line.is_only(ticket) {
            drop(lines);
            return;
        }
        let ended = line.end(ticket);
        let next = ended.as_ref().and_then(|_| line.hand_on(&self.shared.rules));
        let gone = if line.is_empty() {
            Some((key, line))
        } else {
            lines.by_key.insert(key, line);
            None
        };
        drop(lines);
        drop((ended, gone));
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

/// The answer of the lines to a request for a place.
enum Asked {
    /// Its ticket.
    Place(u64),
    /// It would have to wait.
    Taken,
    /// It would have to wait, and may not.
    Full,
}

impl<K: Hash + Eq + Clone, S: BuildHasher> Lines<K, S> {
    fn enter(&mut self, rules: &Rules, key: &K, claim: &Claim, class: Class, now: Instant) -> Option<u64> {
        let ticket = self.next_ticket();
        let held = || Held { ticket, class, claim: claim.clone(), since: now, offer: None };
        match self.by_key.entry(key.clone()) {
            Entry::Vacant(line) => {
                line.insert(Line::new(held()));
            }
            Entry::Occupied(mut line) if line.get().admits(class, rules) => line.get_mut().hold(held()),
            Entry::Occupied(_) => return None,
        }
        self.admitted += 1;
        Some(ticket)
    }

    fn ask(&mut self, rules: &Rules, key: &K, claim: &Claim, class: Class, now: Instant) -> Asked {
        if class == Class::Urgent
            && let Some(line) = self.by_key.get_mut(key)
            && !line.admits(class, rules)
        {
            line.make_room();
        }
        if let Some(ticket) = self.enter(rules, key, claim, class, now) {
            return Asked::Place(ticket);
        }
        if self.by_key.get(key).is_some_and(|line| line.waiting() >= rules.max_waiting) {
            self.refused += 1;
            return Asked::Full;
        }
        Asked::Taken
    }

    fn wait(&mut self, key: &K, claim: &Claim, class: Class, waker: Waker) -> u64 {
        let ticket = self.next_ticket();
        let line = self.by_key.get_mut(key).expect("a place that is taken has a line");
        line.wait(Waiting { ticket, class, claim: claim.clone(), waker });
        ticket
    }

    fn next_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }
}

/// A place on a [`WaitList`]. Dropping it gives it to the next in line.
#[must_use = "dropping the place gives it back"]
pub struct Place<K: Hash + Eq + Clone, S: BuildHasher = RandomState> {
    list: WaitList<K, S>,
    key: K,
    ticket: u64,
}

impl<K: Hash + Eq + Clone, S: BuildHasher> Place<K, S> {
    /// What it is a place of.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Whether it is a place on this list.
    #[must_use]
    pub fn is_of(&self, list: &WaitList<K, S>) -> bool {
        Arc::ptr_eq(&self.list.shared, &list.shared)
    }

    /// Whether the place was taken away and given to another request.
    pub(crate) fn is_revoked(&self) -> bool {
        self.list.lock().by_key.get_mut(&self.key).and_then(|line| line.find(self.ticket)).is_none()
    }

    /// How many wait behind it.
    pub(crate) fn waiting(&self) -> usize {
        self.list.lock().by_key.get(&self.key).map_or(0, Line::waiting)
    }

    /// Says whether what goes with the place is somebody else's elsewhere, so that whoever looks for the holder looks
    /// there.
    pub(crate) fn set_elsewhere(&self, is_elsewhere: bool) {
        if let Some(held) = self.list.lock().by_key.get_mut(&self.key).and_then(|line| line.find(self.ticket)) {
            held.claim.is_elsewhere = is_elsewhere;
        }
    }
}

impl<K: Hash + Eq + Clone, S: BuildHasher> Drop for Place<K, S> {
    fn drop(&mut self) {
        self.list.end(self.list.lock(), &self.key, self.ticket);
    }
}

/// A turn in the line for a place on a [`WaitList`]. Dropping it gives it up, and the place if one was just offered.
#[must_use = "dropping it gives the turn up"]
pub struct Turn<K: Hash + Eq + Clone, S: BuildHasher = RandomState> {
    list: WaitList<K, S>,
    key: K,
    class: Class,
    ticket: u64,
    is_over: bool,
}

impl<K: Hash + Eq + Clone, S: BuildHasher> Turn<K, S> {
    /// The place, if it is this one's turn. `None` when there is nothing to wait for any more. Polling without reason
    /// is harmless.
    pub fn poll(&mut self) -> Poll<Option<Place<K, S>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let mut lines = self.list.lock();
        let line = lines.by_key.get_mut(&self.key);
        let (accepted, is_waiting) = match line {
            Some(line) => match line.find(self.ticket) {
                Some(held) => (held.offer.take(), false),
                None => (None, line.find_waiting(self.class, self.ticket).is_ok()),
            },
            None => (None, false),
        };
        if is_waiting {
            return Poll::Pending;
        }
        let has_place = accepted.is_some();
        lines.admitted += u64::from(has_place);
        lines.waited += u64::from(has_place);
        drop(lines);
        self.is_over = true;
        Poll::Ready(has_place.then(|| self.list.place(self.key.clone(), self.ticket)))
    }

    /// Waits on this thread, whose waker it was given, for as long as `left` says. `None` when that is no longer, or
    /// when there is nothing to wait for any more.
    pub(crate) fn wait_here(&mut self, left: impl Fn() -> Duration) -> Option<Place<K, S>> {
        loop {
            if let Poll::Ready(place) = self.poll() {
                return place;
            }
            let left = left();
            if left.is_zero() {
                return None;
            }
            park_timeout(left);
        }
    }

    /// What it is a turn for.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Who is in the way, in words that follow the name of the thing: `held by /page1 (request 0000000000000002) for
    /// 12.4s, 4 waiting`.
    #[must_use]
    pub fn behind(&self) -> String {
        self.list.status(&self.key).map_or_else(|| "free".to_owned(), |status| status.to_string())
    }
}

impl<K: Hash + Eq + Clone, S: BuildHasher> Drop for Turn<K, S> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut lines = self.list.lock();
        let Some(line) = lines.by_key.get_mut(&self.key) else { return };
        if line.find(self.ticket).is_some() {
            // Not in two steps: in between, an urgent waiter could take the offer back, and leave this turn in the line
            // for good.
            return self.list.end(lines, &self.key, self.ticket);
        }
        let given_up = line.give_up(self.class, self.ticket);
        drop(lines);
        drop(given_up);
    }
}

impl<K, S> Clone for WaitList<K, S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K, S> std::fmt::Debug for WaitList<K, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitList").field("rules", &self.shared.rules).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone, S: BuildHasher> std::fmt::Debug for Place<K, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone, S: BuildHasher> std::fmt::Debug for Turn<K, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("ticket", &self.ticket).field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

#[cfg(all(test, shuttle))]
mod model;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
