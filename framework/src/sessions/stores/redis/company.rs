//! Going together: requests that are made while others are under way share the next trip.
//!
//! A trip costs both sides system calls and changes of threads that are dearer than what is asked. So few trips are under way at once. Who
//! comes when there is room goes at once, alone, on his own thread. Who comes later queues without a thread, and a courier, a thread of
//! the store, takes all that have queued along when a trip is back, and hands each his answers. Nobody waits for company: a trip waits only
//! for the one before it, and not for that if enough have queued, so that neither side idles while the other works.
//!
//! If even the quickest trip takes long, the way is long, and not what is done at its ends: then a few go on their own at the same time, since
//! waiting for the trip before would double the time.
//!
//! What has queued is sent also if nobody waits for its answer any more: commands in the order in which they came, and before them all calls of scripts
//! that can be one.

use super::request::{Call, CallAnswers, Commands, Request};
use ::redis::Value;
use parking_lot::{Condvar, Mutex};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// The trips of one process to one server.
pub(super) struct Company<T: Travel> {
    inner: Arc<Inner<T>>,
}

/// Who goes to the server and back.
pub(super) trait Travel: Send + Sync + 'static {
    /// Why there are no answers.
    type Failure: Failed;

    /// The answers to these commands.
    fn travel(&self, commands: &Commands) -> Answers<Self::Failure>;
}

/// The answers of one request, or why there are none.
pub(super) type Answers<F> = Result<Vec<Value>, F>;

/// A failure that can be told to all who went along.
pub(super) trait Failed: Clone + Send + 'static {
    /// Nobody was there to travel.
    const ABANDONED: Self;

    /// Whether those who wait for the next trip need not try.
    fn is_silence(&self) -> bool;
}

struct Inner<T: Travel> {
    state: Mutex<State<T::Failure>>,
    /// Rung for a courier, when he has something to do.
    bell: Condvar,
    traveller: Weak<T>,
}

struct State<F> {
    under_way: usize,
    batch: Batch<F>,
    quickest: Quickest,
    couriers: usize,
    is_over: bool,
}

impl<F> State<F> {
    /// Whether somebody may go on his own.
    fn has_room(&self) -> bool {
        self.batch.parts.is_empty() && self.under_way < if self.quickest.is_long() { LONG_TRIPS } else { 1 }
    }

    /// Whether it is time for a courier to go with those who have queued.
    fn is_due(&self) -> bool {
        let others = if self.batch.is_after_all { 0 } else { usize::from(self.batch.parts.len() >= ENOUGH) };
        !self.batch.parts.is_empty() && self.under_way <= others
    }
}

/// What the next courier takes along.
struct Batch<F> {
    /// Calls that were made while others queued are one, since each costs the server as much as what it does.
    calls: Vec<Call>,
    commands: Commands,
    /// Without a ticket nobody wants the answers.
    parts: Vec<(Option<Arc<Ticket<F>>>, Part)>,
    /// Whether it must not overtake what is under way.
    is_after_all: bool,
}

/// What of a batch is somebody's own.
enum Part {
    /// So many commands.
    Commands(usize),
    /// One of those in the call with this number.
    Call(usize),
}

impl<F> Default for Batch<F> {
    fn default() -> Self {
        Self { calls: Vec::new(), commands: Commands::default(), parts: Vec::new(), is_after_all: false }
    }
}

impl<F: Clone> Batch<F> {
    fn add(&mut self, request: &Request, ticket: Option<Arc<Ticket<F>>>) {
        let part = match request {
            Request::Commands(commands) => {
                self.commands.append(commands);
                Part::Commands(commands.count)
            }
            Request::Call(call) => {
                if !self.calls.last_mut().is_some_and(|last| last.join(call)) {
                    self.calls.push(call.clone());
                }
                Part::Call(self.calls.len() - 1)
            }
        };
        self.parts.push((ticket, part));
    }

    /// As it is sent: the calls first.
    fn write(&self, trip: &mut Commands) {
        trip.clear();
        self.calls.iter().for_each(|call| trip.call(call));
        trip.append(&self.commands);
    }

    /// Hands each his answers, and is empty.
    fn distribute(&mut self, answers: Answers<F>) {
        let mut answers = answers.map(|mut calls| {
            let commands = calls.split_off(self.calls.len().min(calls.len()));
            (calls.into_iter().map(CallAnswers::of).collect::<Vec<_>>(), commands.into_iter())
        });
        for (ticket, part) in self.parts.drain(..) {
            let own = match (&mut answers, part) {
                (Err(failure), _) => Err(failure.clone()),
                (Ok((_, commands)), Part::Commands(count)) => Ok(commands.by_ref().take(count).collect()),
                (Ok((calls, _)), Part::Call(number)) => {
                    Ok(calls.get_mut(number).and_then(Iterator::next).into_iter().collect())
                }
            };
            if let Some(ticket) = ticket {
                ticket.hand(own);
            }
        }
        self.calls.clear();
        self.commands.clear();
        self.is_after_all = false;
    }
}

/// Who has queued, and what he gets.
struct Ticket<F> {
    state: Mutex<(Option<Answers<F>>, Option<Waker>)>,
}

impl<F> Ticket<F> {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new((None, None)) })
    }

    fn hand(&self, answers: Answers<F>) {
        let waker = {
            let mut state = self.state.lock();
            state.0 = Some(answers);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn answers(&self) -> Answers<F> {
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
/// How many go on their own at the same time where the way is long.
const LONG_TRIPS: usize = 4;
/// From here on the way is long.
const LONG: Duration = Duration::from_micros(400);

impl<T: Travel> Company<T> {
    pub(super) fn new(traveller: Weak<T>) -> Self {
        let state =
            State { under_way: 0, batch: Batch::default(), quickest: Quickest::default(), couriers: 0, is_over: false };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), bell: Condvar::new(), traveller }) }
    }

    /// The answers to a request. Whoever asks while there is room goes to the server himself.
    pub(super) async fn send(&self, request: &Request, traveller: &T) -> Answers<T::Failure> {
        match self.queue(request) {
            Some(ticket) => ticket.answers().await,
            None => {
                let trip = Trip { inner: &self.inner, silence: None };
                trip.make(traveller, &request.alone()).map(|answers| request.own_answers(answers))
            }
        }
    }

    /// `None`: there is room, and the trip is this one's own.
    fn queue(&self, request: &Request) -> Option<Arc<Ticket<T::Failure>>> {
        let mut state = self.inner.state.lock();
        if state.has_room() || !self.has_courier(&mut state) {
            state.under_way += 1;
            return None;
        }
        let ticket = Ticket::new();
        self.add(state, request, Some(Arc::clone(&ticket)));
        Some(ticket)
    }

    /// Has it sent after all that was asked before, and forgets it.
    pub(super) fn post(&self, request: &Request) {
        let mut state = self.inner.state.lock();
        if self.has_courier(&mut state) {
            state.batch.is_after_all = true;
            self.add(state, request, None);
        }
    }

    fn add(
        &self,
        mut state: parking_lot::MutexGuard<'_, State<T::Failure>>,
        request: &Request,
        ticket: Option<Arc<Ticket<T::Failure>>>,
    ) {
        state.batch.add(request, ticket);
        let is_due = state.is_due();
        drop(state);
        if is_due {
            self.inner.bell.notify_one();
        }
    }

    /// Whether there is somebody to take along what has queued; sees to it that there is.
    fn has_courier(&self, state: &mut State<T::Failure>) -> bool {
        while state.couriers < COURIERS {
            let inner = Arc::clone(&self.inner);
            let thread = std::thread::Builder::new().name("kirsch-redis-courier".to_owned());
            match thread.spawn(move || inner.deliver()) {
                Ok(_) => state.couriers += 1,
                Err(error) if state.couriers == 0 => {
                    crate::line::record!(Error, target: "kirsch::sessions", "no thread for trips to Redis: {error}");
                    return false;
                }
                Err(_) => break,
            }
        }
        true
    }
}

/// The couriers end with the store.
impl<T: Travel> Drop for Company<T> {
    fn drop(&mut self) {
        self.inner.state.lock().is_over = true;
        self.inner.bell.notify_all();
    }
}

impl<T: Travel> Inner<T> {
    /// What a courier does.
    fn deliver(&self) {
        let (mut batch, mut commands) = (Batch::default(), Commands::default());
        while self.next(&mut batch) {
            batch.write(&mut commands);
            let trip = Trip { inner: self, silence: None };
            // What panics fails those who went along, not those who come later.
            let answers = catch_unwind(AssertUnwindSafe(|| match self.traveller.upgrade() {
                Some(traveller) => trip.make(&*traveller, &commands),
                None => Err(T::Failure::ABANDONED),
            }));
            batch.distribute(answers.unwrap_or(Err(T::Failure::ABANDONED)));
        }
    }

    /// Waits for something to take along. `false`: the store is gone.
    fn next(&self, batch: &mut Batch<T::Failure>) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.is_over && state.batch.parts.is_empty() {
                return false;
            }
            if state.is_due() {
                state.under_way += 1;
                std::mem::swap(&mut state.batch, batch);
                return true;
            }
            self.bell.wait(&mut state);
        }
    }
}

/// One trip. However it ends, the next is made.
struct Trip<'i, T: Travel> {
    inner: &'i Inner<T>,
    silence: Option<T::Failure>,
}

impl<T: Travel> Trip<'_, T> {
    fn make(mut self, traveller: &T, commands: &Commands) -> Answers<T::Failure> {
        let start = Instant::now();
        let answers = traveller.travel(commands);
        match &answers {
            Ok(_) => self.inner.state.lock().quickest.learn(start.elapsed()),
            Err(failure) => self.silence = Some(failure.clone()).filter(Failed::is_silence),
        }
        answers
    }
}

impl<T: Travel> Drop for Trip<'_, T> {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        state.under_way -= 1;
        let told = match self.silence.take() {
            Some(failure) => {
                std::mem::take(&mut state.batch).parts.into_iter().zip(std::iter::repeat(failure)).collect()
            }
            None => Vec::new(),
        };
        let is_due = state.is_due();
        drop(state);
        if is_due {
            self.inner.bell.notify_one();
        }
        for ((ticket, _), failure) in told {
            ticket.into_iter().for_each(|ticket| ticket.hand(Err(failure.clone())));
        }
    }
}

/// The quickest of the last trips: how long the way itself is, whatever else kept some of them.
#[derive(Default)]
struct Quickest {
    before: Option<Duration>,
    now: Option<Duration>,
    trips: u8,
}

impl Quickest {
    const TRIPS: u8 = 64;

    fn learn(&mut self, took: Duration) {
        self.now = Some(self.now.map_or(took, |now| now.min(took)));
        self.trips += 1;
        if self.trips == Self::TRIPS {
            *self = Self { before: self.now, now: None, trips: 0 };
        }
    }

    fn is_long(&self) -> bool {
        self.before.is_some_and(|before| before > LONG)
    }
}

#[cfg(test)]
mod tests;
