//! Waits that hold their worker: how many there may be at a time, and who waits in line for one.
//!
//! Most waits are parked and hold nothing. The others hold a worker: a handler reads its body from the client, a handler asks for a lock, a store
//! is asked that cannot answer later. Each of them needs a *place*. There are fewer places than workers, so pages that wait for nothing
//! always find a worker.
//!
//! ```text
//!            place free                                    given back: to the first in line, stores before the rest
//! wait ──────────────────► place ──drop──────────────────────────────►
//!   ├── may park ────────► Line ──granted, poll──► place
//!   └── holds a worker ──► waits only while places change hands, else refused
//! ```
//!
//! A worker says once, at its start, to which server it belongs; other threads (background jobs, tests without a server) have no limit. A thread that
//! has a place needs no second one, whatever it waits for.

use super::HttpError;
use crate::primitive::{Mutex, Unpark, park_timeout};
use crate::seldom::Seldom;
use ::http::{HeaderValue, StatusCode, header};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Whom a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// A client, or another request: that may take as long as they like. One place is never theirs, if there are two, so that slow uploads do not
    /// keep sessions from their store.
    Others,
    /// A store.
    Store,
}

/// The places of a server.
#[derive(Debug)]
pub(crate) struct BlockingPlaces {
    most: usize,
    /// The longest that a request waits in line without a worker.
    patience: Duration,
    state: Mutex<State>,
    start: Instant,
    /// When a place was taken or given back the last time, in milliseconds since `start`.
    moved: AtomicU64,
    said: Seldom,
}

/// Invariant: taken are the places of those who have one, and of those in `granted`.
#[derive(Debug, Default)]
struct State {
    others: usize,
    stores: usize,
    line: VecDeque<(u64, WaitsFor, Waker)>,
    granted: Vec<(u64, WaitsFor)>,
    last_ticket: u64,
}

/// While no place has changed hands for this long, nobody waits for one on a worker.
const STANDSTILL: Duration = Duration::from_millis(100);
/// Most requests in line; one more is refused at once.
const MAX_IN_LINE: usize = 1000;

impl BlockingPlaces {
    /// So many places, for which a parked request waits that long.
    pub(crate) fn new(most: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            most,
            patience,
            state: Mutex::new(State::default()),
            start: Instant::now(),
            moved: AtomicU64::new(0),
            said: Seldom::default(),
        })
    }

    /// From now on the waits of this thread are among those of this server.
    pub(crate) fn hold_for_this_thread(self: &Arc<Self>) {
        PLACES.with_borrow_mut(|places| *places = Some(Arc::clone(self)));
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        let state = self.state.lock();
        state.others + state.stores
    }

    fn enter(self: &Arc<Self>, for_whom: WaitsFor, waker: impl FnOnce() -> Waker) -> Entered {
        let mut state = self.state.lock();
        let is_first = !state.line.iter().any(|(_, other, _)| *other == for_whom);
        if is_first && state.has_room(for_whom, self.most) {
            state.take(for_whom);
            drop(state);
            self.note_move();
            return Entered::Place(Place { places: Arc::clone(self), for_whom });
        }
        if state.line.len() >= MAX_IN_LINE {
            return Entered::Full;
        }
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.line.push_back((ticket, for_whom, waker()));
        Entered::InLine(Line { places: Arc::clone(self), for_whom, ticket, is_over: false })
    }

    fn give_back(&self, for_whom: WaitsFor) {
        let mut state = self.state.lock();
        state.give_back(for_whom);
        let mut wakers = Vec::new();
        // One place may let one of each kind go on, since each has bounds of its own.
        for next in [WaitsFor::Store, WaitsFor::Others] {
            if state.has_room(next, self.most)
                && let Some(index) = state.line.iter().position(|(_, waits_for, _)| *waits_for == next)
                && let Some((ticket, _, waker)) = state.line.remove(index)
            {
                state.take(next);
                state.granted.push((ticket, next));
                wakers.push(waker);
            }
        }
        drop(state);
        self.note_move();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn note_move(&self) {
        self.moved.store(self.now(), Ordering::Relaxed);
    }

    /// How much longer it is worth waiting for a place on a worker.
    fn hope(&self) -> Duration {
        let since = self.now().saturating_sub(self.moved.load(Ordering::Relaxed));
        STANDSTILL.saturating_sub(Duration::from_millis(since))
    }

    /// The answer to who gets no place; the log hears of it now and then.
    #[cold]
    fn refusal(&self) -> HttpError {
        if self.said.may_say(Instant::now()).is_some() {
            crate::line::record!(
                Warn,
                target: "kirsch::server",
                "as many workers wait for slow bodies, locks or stores as `server.waiting_threads` allows ({}): further requests that would \
                 have to wait in the same way are answered 503. Raise `server.threads`, or find out what is slow",
                self.most
            );
        }
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "The server is busy at the moment. Please try again shortly.")
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }
}

impl State {
    fn has_room(&self, for_whom: WaitsFor, most: usize) -> bool {
        let all = self.others + self.stores;
        match (for_whom, most) {
            // One place alone is for whoever comes first: two would take both workers of a server that has two.
            (_, 0 | 1) => all == 0,
            (WaitsFor::Others, _) => all < most && self.others < most - 1,
            (WaitsFor::Store, _) => all < most,
        }
    }

    fn take(&mut self, for_whom: WaitsFor) {
        *self.count(for_whom) += 1;
    }

    fn give_back(&mut self, for_whom: WaitsFor) {
        *self.count(for_whom) -= 1;
    }

    fn count(&mut self, for_whom: WaitsFor) -> &mut usize {
        match for_whom {
            WaitsFor::Others => &mut self.others,
            WaitsFor::Store => &mut self.stores,
        }
    }
}

enum Entered {
    Place(Place),
    InLine(Line),
    Full,
}

/// A place. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "dropping the place gives it back"]
pub(crate) struct Place {
    places: Arc<BlockingPlaces>,
    for_whom: WaitsFor,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(self.for_whom);
    }
}

/// A request in line for a place, without a worker. Dropping it gives up the line, and the place if it was just granted.
#[derive(Debug)]
#[must_use = "dropping the line gives it up"]
pub(crate) struct Line {
    places: Arc<BlockingPlaces>,
    for_whom: WaitsFor,
    ticket: u64,
    is_over: bool,
}

impl Line {
    /// The place, if it was granted.
    pub(crate) fn poll(&mut self) -> Option<Place> {
        if self.is_over || !self.take_grant() {
            return None;
        }
        self.is_over = true;
        Some(Place { places: Arc::clone(&self.places), for_whom: self.for_whom })
    }

    /// How long a request waits here without a worker.
    pub(crate) fn patience(&self) -> Duration {
        self.places.patience
    }

    /// What a request in line waits for, in words.
    pub(crate) fn waits_for() -> Cow<'static, str> {
        Cow::Borrowed(
            "its turn to wait on a worker: others wait there for slow bodies, locks or stores (`server.waiting_threads`)",
        )
    }

    /// The answer when no place was free in time.
    pub(crate) fn refusal(&self) -> HttpError {
        self.places.refusal()
    }

    fn take_grant(&self) -> bool {
        let mut state = self.places.state.lock();
        let index = state.granted.iter().position(|(ticket, _)| *ticket == self.ticket);
        index.map(|index| state.granted.swap_remove(index)).is_some()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let given_up = {
            let mut state = self.places.state.lock();
            let index = state.line.iter().position(|(ticket, ..)| *ticket == self.ticket);
            index.and_then(|index| state.line.remove(index))
        };
        // Not in line any more: then it was granted, and nobody will come for it.
        if given_up.is_none() && self.take_grant() {
            self.places.give_back(self.for_whom);
        }
    }
}

thread_local! {
    static PLACES: RefCell<Option<Arc<BlockingPlaces>>> = const { RefCell::new(None) };
    /// How many guards of this thread say that it has a place.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// This thread may wait, for as long as this is kept.
#[must_use = "the thread may wait only while this is kept"]
pub(crate) struct Blocking {
    /// `None`: somebody else on this thread has it, or there is no limit.
    _place: Option<Place>,
    /// It counts for this thread.
    _not_send: PhantomData<*const ()>,
}

impl Blocking {
    /// Lets this thread wait. Where all places are taken it waits for one, but only while they change hands.
    ///
    /// # Errors
    /// 503 with `Retry-After` when there is no place.
    pub(crate) fn here(for_whom: WaitsFor) -> Result<Self, HttpError> {
        match places() {
            None => Ok(Self::with(None)),
            Some(places) => wait_for_place(&places, for_whom).map(|place| Self::with(Some(place))),
        }
    }

    /// The same without waiting for a place: `None` where none is free.
    #[cfg(any(feature = "redis", feature = "memcached"))]
    pub(crate) fn here_at_once(for_whom: WaitsFor) -> Option<Self> {
        let Some(places) = places() else { return Some(Self::with(None)) };
        match places.enter(for_whom, || Waker::noop().clone()) {
            Entered::Place(place) => Some(Self::with(Some(place))),
            Entered::InLine(_) | Entered::Full => None,
        }
    }

    /// Lets this thread wait without a place of its own: a request has one that runs here.
    pub(crate) fn by_request() -> Self {
        Self::with(None)
    }

    fn with(place: Option<Place>) -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self { _place: place, _not_send: PhantomData }
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// What a request that may park gets.
pub(crate) enum PlaceOrLine {
    /// It may go on and wait.
    Go(Option<Place>),
    /// It waits for a place first.
    Wait(Line),
}

/// A place for a request that runs on this thread, or one in line.
///
/// # Errors
/// 503 with `Retry-After` when too many are in line.
pub(crate) fn place_or_line(for_whom: WaitsFor, waker: impl FnOnce() -> Waker) -> Result<PlaceOrLine, HttpError> {
    let Some(places) = places() else { return Ok(PlaceOrLine::Go(None)) };
    match places.enter(for_whom, waker) {
        Entered::Place(place) => Ok(PlaceOrLine::Go(Some(place))),
        Entered::InLine(line) => Ok(PlaceOrLine::Wait(line)),
        Entered::Full => Err(places.refusal()),
    }
}

/// The way of one request, parked where it must be, to a place for what it does at once on its thread.
#[derive(Debug, Default)]
pub(crate) struct InLine(Option<Line>);

impl InLine {
    /// Lets this thread wait, or puts the request in line: then the waker is woken when it is worth asking again.
    ///
    /// # Errors
    /// 503 with `Retry-After` when too many are in line.
    pub(crate) fn begin(
        &mut self,
        for_whom: WaitsFor,
        waker: impl FnOnce() -> Waker,
    ) -> Result<Option<Blocking>, HttpError> {
        if let Some(line) = &mut self.0 {
            let Some(place) = line.poll() else { return Ok(None) };
            self.0 = None;
            return Ok(Some(Blocking::with(Some(place))));
        }
        match place_or_line(for_whom, waker)? {
            PlaceOrLine::Go(place) => Ok(Some(Blocking::with(place))),
            PlaceOrLine::Wait(line) => {
                self.0 = Some(line);
                Ok(None)
            }
        }
    }

    /// What the request waits for, in words, if it is in line.
    pub(crate) fn waits_for(&self) -> Option<Cow<'static, str>> {
        self.0.as_ref().map(|_| Line::waits_for())
    }

    /// The answer to a request that gives up, if it is in line.
    pub(crate) fn refusal(&self) -> Option<HttpError> {
        self.0.as_ref().map(Line::refusal)
    }
}

/// The places that waits of this thread need, if they need any.
fn places() -> Option<Arc<BlockingPlaces>> {
    if DEPTH.get() > 0 { None } else { PLACES.with_borrow(Clone::clone) }
}

fn wait_for_place(places: &Arc<BlockingPlaces>, for_whom: WaitsFor) -> Result<Place, HttpError> {
    let mut line = match places.enter(for_whom, Unpark::waker) {
        Entered::Place(place) => return Ok(place),
        Entered::InLine(line) => line,
        Entered::Full => return Err(places.refusal()),
    };
    loop {
        if let Some(place) = line.poll() {
            return Ok(place);
        }
        let hope = places.hope();
        if hope.is_zero() {
            return Err(places.refusal());
        }
        park_timeout(hope);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn place(places: &Arc<BlockingPlaces>, for_whom: WaitsFor) -> Option<Place> {
        match places.enter(for_whom, || Waker::noop().clone()) {
            Entered::Place(place) => Some(place),
            Entered::InLine(_) | Entered::Full => None,
        }
    }

    fn line(places: &Arc<BlockingPlaces>, for_whom: WaitsFor, waker: Waker) -> Line {
        match places.enter(for_whom, || waker) {
            Entered::InLine(line) => line,
            Entered::Place(_) | Entered::Full => panic!("there is no place free, and room in the line"),
        }
    }

    #[test]
    fn all_places_but_one_are_for_clients_and_all_for_stores() {
        let places = BlockingPlaces::new(3, Duration::ZERO);
        let others: Vec<_> = (0..5).filter_map(|_| place(&places, WaitsFor::Others)).collect();
        let stores: Vec<_> = (0..5).filter_map(|_| place(&places, WaitsFor::Store)).collect();
        assert_eq!((others.len(), stores.len(), places.taken()), (2, 1, 3));
        drop((others, stores));
        let stores: Vec<_> = (0..5).filter_map(|_| place(&places, WaitsFor::Store)).collect();
        assert_eq!((stores.len(), place(&places, WaitsFor::Others).is_none()), (3, true));
    }

    #[test]
    fn a_single_place_is_there_once_for_both_kinds_together() {
        let places = BlockingPlaces::new(1, Duration::ZERO);
        for (first, second) in [(WaitsFor::Others, WaitsFor::Store), (WaitsFor::Store, WaitsFor::Others)] {
            let taken = place(&places, first);
            assert!(taken.is_some() && place(&places, second).is_none() && place(&places, first).is_none());
        }
        assert_eq!(places.taken(), 0);
    }

    #[test]
    fn who_is_in_line_is_woken_in_order_and_a_line_given_up_leaves_nothing() {
        let (places, count) = (BlockingPlaces::new(2, Duration::ZERO), Arc::new(Count::default()));
        let taken = place(&places, WaitsFor::Others);
        let [mut first, gone, mut third] =
            [(); 3].map(|()| line(&places, WaitsFor::Others, Waker::from(Arc::clone(&count))));
        drop(gone);
        drop(taken);
        assert_eq!((count.0.load(Ordering::SeqCst), third.poll().is_none()), (1, true));
        let granted = first.poll();
        assert!(granted.is_some());
        drop(granted);
        // Granted, and never fetched.
        drop(third);
        assert_eq!(places.taken(), 0);
    }

    #[test]
    fn a_thread_with_a_place_needs_no_other_one_and_without_a_place_it_is_refused() {
        let places = BlockingPlaces::new(1, Duration::ZERO);
        let waits = std::thread::spawn(move || {
            places.hold_for_this_thread();
            let first = Blocking::here(WaitsFor::Others).map_err(|error| error.status);
            let nested = Blocking::here(WaitsFor::Others).is_ok() && places.taken() == 1;
            drop(first);
            let taken = place(&places, WaitsFor::Others);
            let refused = Blocking::here(WaitsFor::Others).err().map(|error| (error.status, error.headers.len()));
            drop(taken);
            (nested, refused, places.taken())
        });
        let expected = (true, Some((StatusCode::SERVICE_UNAVAILABLE, 1)), 0);
        assert_eq!(waits.join().expect("no panic"), expected);
    }
}
