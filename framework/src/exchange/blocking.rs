//! Waits that hold their worker: how many there may be at a time, and which requests wait in line for one.
//!
//! Most waits are parked and hold nothing. The others hold a worker: a handler reads its body from the client, a
//! handler asks for a lock, a store is asked that cannot answer later. Each of them needs a *place*. There are fewer
//! places than workers, so pages that wait for nothing always find a worker.
//!
//! ```text
//!            place free                                    given back: to the first in line, stores before the rest
//! wait ──────────────────► place ──drop──────────────────────────────►
//!   ├── may park ────────► Line ──granted, poll──► place
//!   └── holds a worker ──► waits only while places change hands, else refused
//! ```
//!
//! The line is a wait list, in which stores are the urgent ones.
//!
//! A worker says once, at its start, to which server it belongs; other threads (background jobs, tests without a
//! server) have no limit. A thread that has a place needs no second one, whatever it waits for.

use super::{Claim, Class, Entered, HttpError, Place, Turn, WaitList, WorkerStage};
use crate::primitive::Unpark;
use crate::seldom::Seldom;
use ::http::{HeaderValue, StatusCode, header};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// The aim of a request's wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// A client, or another request: that may take as long as they like. One place is never theirs, if there are two,
    /// so that slow uploads do not keep sessions from their store.
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
    list: WaitList<()>,
    start: Instant,
    /// When a place was taken or given back the last time, in milliseconds since `start`.
    moved: AtomicU64,
    said: Seldom,
}

/// While no place has changed hands for this long, no request waits for one on a worker.
const STANDSTILL: Duration = Duration::from_millis(100);
/// Maximum of requests in line; one more is refused at once.
const MAX_IN_LINE: usize = 1000;

impl BlockingPlaces {
    /// So many places, for which a parked request waits that long.
    pub(crate) fn new(most: usize, patience: Duration) -> Arc<Self> {
        // One place alone is first come, first served: two would take both workers of a server that has two.
        let list = WaitList::new("a place to wait on a worker", most.max(1)).max_waiting(MAX_IN_LINE);
        let list = if most > 1 { list.reserve_for_urgent(1) } else { list };
        Arc::new(Self {
            most,
            patience,
            list,
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
        self.list.statistics().held
    }

    /// `None` where the line is full.
    fn enter(self: &Arc<Self>, for_whom: WaitsFor, waker: impl FnOnce() -> Waker) -> Option<PlaceOrLine> {
        let class = match for_whom {
            WaitsFor::Others => Class::Usual,
            WaitsFor::Store => Class::Urgent,
        };
        match self.list.enter((), &Claim::unknown(), class, waker) {
            Entered::Place(place) => Some(PlaceOrLine::Go(Some(self.note_taken(place)))),
            Entered::Turn(turn) => Some(PlaceOrLine::Wait(Line { places: Arc::clone(self), turn })),
            Entered::Full => None,
        }
    }

    fn note_taken(self: &Arc<Self>, place: Place<()>) -> BlockingPlace {
        self.note_move();
        BlockingPlace { _place: place, _given_back: GivenBack(Arc::clone(self)) }
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

    /// The answer to a request that gets no place; the log hears of it now and then.
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

/// A place. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "dropping the place gives it back"]
pub(crate) struct BlockingPlace {
    /// Before the other one: fields are dropped in their order.
    _place: Place<()>,
    _given_back: GivenBack,
}

/// Notes the move when the place was given back.
#[derive(Debug)]
struct GivenBack(Arc<BlockingPlaces>);

impl Drop for GivenBack {
    fn drop(&mut self) {
        self.0.note_move();
    }
}

/// A request in line for a place, without a worker. Dropping it gives up the line, and the place if it was just
/// offered.
#[derive(Debug)]
#[must_use = "dropping the line gives it up"]
pub(crate) struct Line {
    places: Arc<BlockingPlaces>,
    turn: Turn<()>,
}

impl Line {
    /// The place, if it is this one's turn.
    pub(crate) fn poll(&mut self) -> Option<BlockingPlace> {
        let Poll::Ready(place) = self.turn.poll() else { return None };
        place.map(|place| self.places.note_taken(place))
    }

    /// How long a request waits here without a worker.
    pub(crate) fn patience(&self) -> Duration {
        self.places.patience
    }

    /// The aim of the wait of a request in line, in words.
    pub(crate) fn waits_for(&self) -> Cow<'static, str> {
        format!("a place to wait on a worker (`server.waiting_threads`), {}", self.turn.behind()).into()
    }

    /// The answer when no place was free in time.
    pub(crate) fn refusal(&self) -> HttpError {
        self.places.refusal()
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
    /// `None`: another wait on this thread has it, or there is no limit.
    _place: Option<BlockingPlace>,
    /// What the worker did before it waited.
    before: Option<WorkerStage>,
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
            None => Ok(Self::with(None, for_whom)),
            Some(places) => Ok(Self::with(wait_for_place(&places, for_whom)?, for_whom)),
        }
    }

    /// A place without waiting for it: `None` where none is free.
    #[cfg(any(feature = "redis", feature = "memcached"))]
    pub(crate) fn here_at_once(for_whom: WaitsFor) -> Option<Self> {
        let Some(places) = places() else { return Some(Self::with(None, for_whom)) };
        match places.enter(for_whom, || Waker::noop().clone()) {
            Some(PlaceOrLine::Go(place)) => Some(Self::with(place, for_whom)),
            Some(PlaceOrLine::Wait(_)) | None => None,
        }
    }

    /// Lets this thread wait without a place of its own: a request has one that runs here.
    pub(crate) fn by_request() -> Self {
        Self::in_stage(None, None)
    }

    fn with(place: Option<BlockingPlace>, for_whom: WaitsFor) -> Self {
        let stage = match for_whom {
            WaitsFor::Others => WorkerStage::Waiting,
            WaitsFor::Store => WorkerStage::Store,
        };
        Self::in_stage(place, Some(stage))
    }

    fn in_stage(place: Option<BlockingPlace>, stage: Option<WorkerStage>) -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self { _place: place, before: stage.map(WorkerStage::enter), _not_send: PhantomData }
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if let Some(stage) = self.before {
            stage.note();
        }
    }
}

/// The answer to a request that may park.
pub(crate) enum PlaceOrLine {
    /// It may go on and wait.
    Go(Option<BlockingPlace>),
    /// It waits for a place first.
    Wait(Line),
}

/// A place for a request that runs on this thread, or one in line.
///
/// # Errors
/// 503 with `Retry-After` when too many are in line.
pub(crate) fn place_or_line(for_whom: WaitsFor, waker: impl FnOnce() -> Waker) -> Result<PlaceOrLine, HttpError> {
    let Some(places) = places() else { return Ok(PlaceOrLine::Go(None)) };
    places.enter(for_whom, waker).ok_or_else(|| places.refusal())
}

/// The way of one request, parked where it must be, to a place for its work on its thread.
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
            return Ok(Some(Blocking::with(Some(place), for_whom)));
        }
        match place_or_line(for_whom, waker)? {
            PlaceOrLine::Go(place) => Ok(Some(Blocking::with(place, for_whom))),
            PlaceOrLine::Wait(line) => {
                self.0 = Some(line);
                Ok(None)
            }
        }
    }

    /// The aim of the wait, in words, if the request is in line.
    pub(crate) fn waits_for(&self) -> Option<Cow<'static, str>> {
        self.0.as_ref().map(Line::waits_for)
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

fn wait_for_place(places: &Arc<BlockingPlaces>, for_whom: WaitsFor) -> Result<Option<BlockingPlace>, HttpError> {
    match places.enter(for_whom, Unpark::waker) {
        Some(PlaceOrLine::Go(place)) => Ok(place),
        Some(PlaceOrLine::Wait(mut line)) => match line.turn.wait_here(|| places.hope()) {
            Some(place) => Ok(Some(places.note_taken(place))),
            None => Err(places.refusal()),
        },
        None => Err(places.refusal()),
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

    fn place(places: &Arc<BlockingPlaces>, for_whom: WaitsFor) -> Option<BlockingPlace> {
        match places.enter(for_whom, || Waker::noop().clone()) {
            Some(PlaceOrLine::Go(place)) => place,
            Some(PlaceOrLine::Wait(_)) | None => None,
        }
    }

    fn line(places: &Arc<BlockingPlaces>, for_whom: WaitsFor, waker: Waker) -> Line {
        match places.enter(for_whom, || waker) {
            Some(PlaceOrLine::Wait(line)) => line,
            Some(PlaceOrLine::Go(_)) | None => panic!("there is no place free, and room in the line"),
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

    #[test]
    fn a_wait_is_the_stage_of_its_worker() {
        let byte = crate::exchange::StageByte::default();
        byte.is_of_this_thread();
        WorkerStage::Handler.note();
        let blocking = Blocking::here(WaitsFor::Store).expect("without places there is no limit");
        assert_eq!(byte.stage(), WorkerStage::Store);
        drop(blocking);
        assert_eq!(byte.stage(), WorkerStage::Handler);
    }
}
