//! Going together: requests that are made while others are under way share the next trip.
//!
//! A trip costs both sides system calls and changes of threads that cost more than the request in it. So few trips are
//! under way at once. A request that comes when none is goes at once, alone, on its own thread. One that comes later
//! queues without a thread. A courier, a thread of the store, takes all queued requests along when a trip is back, and
//! hands each its answers. No request waits for company: a trip waits only for the one before it, and not even for that
//! if enough have queued, so that neither side idles while the other works.
//!
//! If even the quickest trip takes long, the way is long, not the work at its ends. Then no request goes on its own
//! thread, which would be kept from others for all that time. A few couriers go at the same time, since waiting for the
//! trip before would double the time.
//!
//! While the server does not answer, one trip at a time finds out whether it does again. Other requests fail at once.
//!
//! A queued request is sent even if its caller has gone. A batch may sort its requests, so order holds only between
//! batches. The queue needs no bound of its own: a visitor's request has one question in it at a time, and the server
//! bounds the requests.

use crate::exchange::{Blocking, WaitsFor};
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// The trips of one process to one server.
pub(super) struct Company<T: Travel> {
    inner: Arc<Inner<T>>,
    /// The only one that lasts: the couriers end with it.
    _bell: Arc<Sender<()>>,
    rung: Receiver<()>,
}

/// The result of a request.
type Outcome<T> = Result<<T as Travel>::Answers, <T as Travel>::Failure>;

/// How a request goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// On this thread, while there is room and the way is short.
    Soonest,
    /// After all that was asked before, and never on this thread.
    AfterAll,
}

/// Goes to the server and back.
pub(super) trait Travel: Send + Sync + 'static {
    /// A request.
    type Request;
    /// The answers to one request.
    type Answers: Send + 'static;
    /// The reason why there are no answers.
    type Failure: Failed;
    /// Requests that go together.
    type Batch: Batch<Self::Request>;

    /// The name of the couriers.
    const COURIER: &'static str;

    /// Goes with one request.
    fn alone(&self, request: &Self::Request) -> Result<Self::Answers, Self::Failure>;

    /// Goes with all of them: the answers to each, in the order in which they were added.
    fn together(&self, batch: Self::Batch) -> Result<Vec<Self::Answers>, Self::Failure>;

    /// Whether the server has not answered lately.
    fn is_doubtful(&self) -> bool;
}

/// Requests that go together.
pub(super) trait Batch<R>: Default + Send + 'static {
    /// Adds one. `false`: it has to go with the next batch. An empty one takes any.
    fn add(&mut self, request: &R) -> bool;
}

/// A failure that can be told to all who went along.
pub(super) trait Failed: Clone + Send + 'static {
    /// The server has not answered in time, and another request is finding out whether it does again.
    const SILENT: Self;

    /// Whether those who wait for the next trip need not try.
    fn is_silence(&self) -> bool;
}

struct Inner<T: Travel> {
    state: Mutex<State<T>>,
    /// Rung for a courier, when it may have something to do. It has room for all of them: if it is full, all look.
    bell: Weak<Sender<()>>,
    traveller: Weak<T>,
}

struct State<T: Travel> {
    under_way: usize,
    queue: VecDeque<Queued<T>>,
    quickest: Quickest,
    couriers: usize,
}

impl<T: Travel> State<T> {
    /// Whether a request may go on its own thread.
    fn has_room(&self) -> bool {
        self.queue.is_empty() && self.under_way == 0 && !self.quickest.is_long()
    }

    /// Whether it is time for a courier to go with those who have queued.
    fn is_due(&self) -> bool {
        self.queue.front().is_some_and(|next| {
            let others = match next {
                Queued { is_after_all: true, .. } => 0,
                _ if self.quickest.is_long() => LONG_TRIPS - 1,
                _ => usize::from(self.queue.len() > 1 || next.tickets.len() >= ENOUGH),
            };
            self.under_way <= others
        })
    }
}

/// The load of a courier.
struct Queued<T: Travel> {
    batch: T::Batch,
    /// One for each request of the batch.
    tickets: Vec<Arc<Ticket<T>>>,
    /// Whether it must not overtake requests that are under way.
    is_after_all: bool,
}

impl<T: Travel> Default for Queued<T> {
    fn default() -> Self {
        Self { batch: T::Batch::default(), tickets: Vec::new(), is_after_all: false }
    }
}

/// Hands each its own answers, or all of them the failure.
fn distribute<T: Travel>(tickets: Vec<Arc<Ticket<T>>>, answers: Result<Vec<T::Answers>, T::Failure>) {
    let (mut answers, failure) = match answers {
        Ok(answers) => (answers.into_iter(), T::Failure::SILENT),
        Err(failure) => (Vec::new().into_iter(), failure),
    };
    for ticket in tickets {
        ticket.hand(answers.next().ok_or_else(|| failure.clone()));
    }
}

/// The place of a request in the queue, and of its answers.
struct Ticket<T: Travel> {
    state: Mutex<Handover<T>>,
}

type Handover<T> = (Option<Result<<T as Travel>::Answers, <T as Travel>::Failure>>, Option<Waker>);

impl<T: Travel> Ticket<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new((None, None)) })
    }

    fn hand(&self, answers: Result<T::Answers, T::Failure>) {
        let waker = {
            let mut state = self.state.lock();
            state.0 = Some(answers);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn answers(&self) -> Result<T::Answers, T::Failure> {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if let Some(answers) = state.0.take() {
                return Poll::Ready(answers);
            }
            match &mut state.1 {
                Some(waker) => waker.clone_from(context.waker()),
                empty => *empty = Some(context.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }
}

/// While one courier waits for the server, another may go.
const COURIERS: usize = 2;
/// So many are worth another trip at the same time.
const ENOUGH: usize = 8;
/// How many couriers go at the same time where the way is long.
const LONG_TRIPS: usize = 4;
/// From here on the way is long.
const LONG: Duration = Duration::from_micros(400);

impl<T: Travel> Company<T> {
    pub(super) fn new(traveller: Weak<T>) -> Self {
        let (queue, quickest) = (VecDeque::new(), Quickest::default());
        let state = Mutex::new(State { under_way: 0, queue, quickest, couriers: 0 });
        let (bell, rung) = bounded(LONG_TRIPS);
        let bell = Arc::new(bell);
        Self { inner: Arc::new(Inner { state, bell: Arc::downgrade(&bell), traveller }), _bell: bell, rung }
    }

    /// The answers to a request.
    pub(super) async fn send(&self, how: How, request: &T::Request, traveller: &T) -> Result<T::Answers, T::Failure> {
        match self.go_or_queue(how, request, traveller) {
            Ok(answers) => answers,
            Err(ticket) => ticket.answers().await,
        }
    }

    /// The answers, if there is room and this thread may wait for a trip of its own; otherwise the ticket for them.
    fn go_or_queue(&self, how: How, request: &T::Request, traveller: &T) -> Result<Outcome<T>, Arc<Ticket<T>>> {
        let mut state = self.inner.state.lock();
        let is_doubtful = traveller.is_doubtful();
        if is_doubtful && (state.under_way > 0 || !state.queue.is_empty()) {
            return Ok(Err(T::Failure::SILENT));
        }
        let may_go = how == How::Soonest && state.has_room() && !is_doubtful;
        let blocking = may_go.then(|| Blocking::here_at_once(WaitsFor::Store)).flatten();
        if blocking.is_none() && self.has_courier(&mut state) {
            return Err(self.add(state, how, request));
        }
        state.under_way += 1;
        drop(state);
        Ok(self.inner.trip(|| traveller.alone(request)))
    }

    fn add(&self, mut state: parking_lot::MutexGuard<'_, State<T>>, how: How, request: &T::Request) -> Arc<Ticket<T>> {
        let is_in = state.queue.back_mut().is_some_and(|last| last.batch.add(request));
        if !is_in {
            let mut next = Queued::<T>::default();
            let _ = next.batch.add(request);
            state.queue.push_back(next);
        }
        let ticket = Ticket::new();
        if let Some(last) = state.queue.back_mut() {
            last.is_after_all |= how == How::AfterAll;
            last.tickets.push(Arc::clone(&ticket));
        }
        let is_due = state.is_due();
        drop(state);
        if is_due {
            self.inner.ring();
        }
        ticket
    }

    /// Whether there is a courier for the queued requests; starts one if needed.
    fn has_courier(&self, state: &mut State<T>) -> bool {
        let wanted = if state.quickest.is_long() { LONG_TRIPS } else { COURIERS };
        while state.couriers < wanted {
            let (inner, rung) = (Arc::clone(&self.inner), self.rung.clone());
            match std::thread::Builder::new().name(T::COURIER.to_owned()).spawn(move || inner.deliver(&rung)) {
                Ok(_) => state.couriers += 1,
                Err(error) if state.couriers == 0 => {
                    crate::line::record!(Error, target: "kirsch::sessions", "no thread `{}` for trips of the store: {error}", T::COURIER);
                    return false;
                }
                Err(_) => break,
            }
        }
        true
    }
}

impl<T: Travel> Inner<T> {
    /// The work of a courier.
    fn deliver(&self, rung: &Receiver<()>) {
        while let Some(Queued { batch, tickets, .. }) = self.next(rung) {
            // A panic fails the requests of its own trip, not later ones.
            let answers = catch_unwind(AssertUnwindSafe(|| {
                self.trip(|| match self.traveller.upgrade() {
                    Some(traveller) => traveller.together(batch),
                    None => Err(T::Failure::SILENT),
                })
            }));
            distribute(tickets, answers.unwrap_or(Err(T::Failure::SILENT)));
        }
    }

    /// Waits for something to take along. `None`: the store is gone.
    fn next(&self, rung: &Receiver<()>) -> Option<Queued<T>> {
        loop {
            let mut state = self.state.lock();
            if state.is_due()
                && let Some(next) = state.queue.pop_front()
            {
                state.under_way += 1;
                if state.is_due() {
                    self.ring();
                }
                return Some(next);
            }
            drop(state);
            rung.recv().ok()?;
        }
    }

    fn ring(&self) {
        if let Some(bell) = self.bell.upgrade() {
            let _ = bell.try_send(());
        }
    }

    /// Makes a trip that was counted as under way.
    fn trip<A>(&self, travel: impl FnOnce() -> Result<A, T::Failure>) -> Result<A, T::Failure> {
        let mut trip = Trip { inner: self, silence: None };
        let start = Instant::now();
        let answers = travel();
        match &answers {
            Ok(_) => self.state.lock().quickest.learn(start.elapsed()),
            Err(failure) => trip.silence = Some(failure.clone()).filter(Failed::is_silence),
        }
        answers
    }
}

/// One trip. However it ends, the next is made.
struct Trip<'i, T: Travel> {
    inner: &'i Inner<T>,
    silence: Option<T::Failure>,
}

impl<T: Travel> Drop for Trip<'_, T> {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        state.under_way -= 1;
        let told = if self.silence.is_some() { std::mem::take(&mut state.queue) } else { VecDeque::new() };
        let is_due = state.is_due();
        drop(state);
        if is_due {
            self.inner.ring();
        }
        if let Some(failure) = &self.silence {
            told.into_iter().for_each(|queued| distribute(queued.tickets, Err(failure.clone())));
        }
    }
}

/// The quickest of the last trips: how long the way itself is, without other delays.
#[derive(Default)]
struct Quickest {
    before: Option<Duration>,
    now: Option<Duration>,
    trips: u8,
}

impl Quickest {
    const TRIPS: u8 = 64;
    /// So many trips are enough to judge by at first.
    const FIRST: u8 = 4;

    fn learn(&mut self, took: Duration) {
        self.now = Some(self.now.map_or(took, |now| now.min(took)));
        self.trips += 1;
        if self.trips == Self::TRIPS {
            *self = Self { before: self.now, now: None, trips: 0 };
        }
    }

    fn is_long(&self) -> bool {
        self.before.or_else(|| self.now.filter(|_| self.trips >= Self::FIRST)).is_some_and(|quickest| quickest > LONG)
    }
}

#[cfg(test)]
mod tests;
