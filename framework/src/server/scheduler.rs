//! The scheduler: lends threads to connections that have something to do.
//!
//! It knows connections that make steps, no HTTP. All workers are alike and share one poller. An idle worker sleeps in
//! the poller; an event wakes one; the worker claims the connection and makes its steps, application code included,
//! until it has to wait for the peer. A handler that sleeps takes one worker away and nothing else.
//!
//! Why nothing is left beside a sleeping worker: every event wakes one sleeper by itself. What does not come from the
//! poller comes through the run queue, and there
//!
//! 1. a worker first announces that it goes to sleep, then looks at the queue again;
//! 2. who pushes first pushes, then looks for sleepers and kicks the poller;
//! 3. kicks merge, so who pops and leaves more behind kicks again;
//! 4. a kick may be harvested along with events, or by an attendant, so who harvests and does not look at the queue
//!    next kicks again.
//!
//! Both sides use sequentially consistent operations: at least one of them sees the other. `scheduler/model.rs` checks
//! it.
//!
//! A worker that harvests while others sleep takes one event and leaves the rest to them; the last one takes a batch.
//! How many sleep in the poller, and how many in reserve, is said in `reserve.rs`.

use super::alarm::Alarm;
use super::aside::AsideQueue;
use super::clock::{Clock, Tick};
use super::panics::guarded;
use super::poll::{BATCH, Events, Interest, Poller};
use super::reserve::Reserve;
use super::run_queue::{Entry, RunQueue, Waiting};
use super::slab::{Owned, Slab, Token};
use super::word::Edges;
#[cfg(any(feature = "http2", all(test, shuttle)))]
use super::word::Holder;
use super::workers::WorkerRecord;
use crate::exchange::Asker;
use crate::primitive::{AtomicU8, AtomicU64, Ordering};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// Something with a socket that makes steps and never waits in one, except in application code.
pub(super) trait Connection: AsFd + Send + Sized + 'static {
    /// The values that a thread lends to the connection for a step: buffers, the application.
    type Workspace;

    /// Goes on until it must wait.
    fn step(&mut self, news: News, workspace: &mut Self::Workspace) -> Step;

    /// The reports that the poller should make of the socket.
    fn interest(&self) -> Interest;

    /// A number for the state in which it rests between two steps, for those that count.
    fn rest(&self) -> u8 {
        0
    }
}

/// The orders to a connection for a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct News {
    pub(super) token: Token,
    pub(super) edges: Edges,
    pub(super) role: Role,
}

/// The rights of the thread that makes the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything: a worker.
    Worker,
    /// Application code that was promised to wait for nothing, while no worker is free; see `aside.rs`.
    Aside,
    /// Input and output, no application code: the ticker, or the thread that stops the server.
    Attendant,
    /// No worker will have time for the waiting request: answer so.
    Refuser,
    /// The server has stopped: end everything. A worker.
    Undertaker,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The connection waits for news.
    Wait {
        /// When waiting ends without.
        deadline: Option<Tick>,
        /// Whether it is between two requests.
        idle: bool,
    },
    /// It could go on, but others must have their turn.
    Again,
    /// The same, and it is in no hurry: there is news to tell.
    Later,
    /// Only a worker can go on.
    Lend {
        /// Whether a new request waits, which may be refused.
        refusable: bool,
    },
    /// The thread beside the workers can go on.
    Aside(Asker),
    /// It is over.
    Close,
}

/// How far the server's life has come; it only goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    Running,
    /// Idle connections may send one more request; every response closes.
    Draining,
    /// Idle connections are closed.
    Closing,
    /// Everything ends now: workers tell the service of requests that are cut off.
    Stopped,
    /// Threads end as they come back.
    Ended,
}

/// A thread with a record that is not a worker. The records of these are behind those of the workers.
#[derive(Clone, Copy, Debug)]
pub(super) enum OtherThread {
    Ticker,
    /// The one that stops the server.
    Stopper,
    /// The one beside the workers.
    Aside,
    /// The one that ends requests which were answered without a worker.
    Ends,
}

impl OtherThread {
    const COUNT: usize = 4;
}

/// Connections that a worker takes from the queue before it looks at the poller.
const MAX_UNPOLLED: u32 = 64;
/// A connection with news counts as so many of them: telling it costs a system call, and a request may be waiting.
const NEWS_WEIGHS: u32 = 8;

#[derive(Debug)]
pub(super) struct Scheduler<C> {
    pub(super) slab: Slab<C>,
    pub(super) poller: Poller,
    pub(super) queue: RunQueue,
    pub(super) records: Box<[Arc<WorkerRecord>]>,
    pub(super) clock: Clock,
    pub(super) reserve: Reserve,
    pub(super) aside: AsideQueue,
    /// Rings the ticker.
    pub(super) alarm: Alarm,
    phase: AtomicU8,
    queue_limit: usize,
    pub(super) rejections: AtomicU64,
}

impl<C: Connection> Scheduler<C> {
    /// For so many connections with sockets and `detached` ones without.
    pub(super) fn new(
        connections: usize,
        detached: usize,
        threads: usize,
        queue_limit: usize,
    ) -> std::io::Result<Self> {
        Ok(Self {
            slab: Slab::new(connections, detached),
            poller: Poller::new()?,
            queue: RunQueue::default(),
            records: (0..threads + OtherThread::COUNT).map(|_| Arc::default()).collect(),
            clock: Clock::new(),
            reserve: Reserve::new(sleepers_in_calm()),
            aside: AsideQueue::default(),
            alarm: Alarm::default(),
            phase: AtomicU8::new(0),
            queue_limit,
            rejections: AtomicU64::new(0),
        })
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            2 => Phase::Closing,
            3 => Phase::Stopped,
            _ => Phase::Ended,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        if phase >= Phase::Stopped {
            self.reserve.end();
        }
        if phase == Phase::Ended {
            self.poller.stop();
        }
        self.slab.notify();
    }

    /// Whether no worker waits for work.
    pub(super) fn is_busy(&self) -> bool {
        self.reserve.is_exhausted()
    }

    /// The life of a worker, until the server has stopped.
    pub(super) fn work(&self, record: &WorkerRecord, workspace: &mut C::Workspace) {
        let mut events = Events::new();
        let mut in_a_row = 0;
        let mut turns = Vec::with_capacity(BATCH);
        loop {
            record.count_turn();
            if let Some((owned, waiting)) = self.pop_entry() {
                self.drive(owned, Edges::NONE, self.worker_role(), workspace);
                in_a_row += if waiting == Waiting::News { NEWS_WEIGHS } else { 1 };
                // Connections that can always go on keep the queue from ever being empty; the others must still be
                // heard.
                if in_a_row >= MAX_UNPOLLED && self.phase() < Phase::Stopped {
                    in_a_row = 0;
                    self.attend(&mut events, workspace);
                }
                continue;
            }
            in_a_row = 0;
            if self.phase() == Phase::Ended {
                return;
            }
            let asleep = Asleep::announce(self);
            if let Some(owned) = self.pop() {
                drop(asleep);
                self.drive(owned, Edges::NONE, self.worker_role(), workspace);
                continue;
            }
            if self.reserve.is_wanted() {
                asleep.rest();
                continue;
            }
            let most = if self.reserve.sleepers() > 1 { 1 } else { BATCH };
            self.poller.wait(&mut events, most, None);
            drop(asleep);
            if let Some(first) = self.claim_all(&events, &mut turns) {
                self.drive(first, Edges::NONE, self.worker_role(), workspace);
            }
        }
    }

    /// Takes a new connection in. From then on it belongs to the workers.
    pub(super) fn insert(&self, connection: C, deadline: Tick) -> std::io::Result<()> {
        let rest = connection.rest();
        self.slab.insert(connection, deadline, |socket, token| {
            self.slab.note_rest(token, rest);
            Ok(self.poller.add(socket, token)?)
        })?;
        Ok(())
    }

    /// Takes the ready events of the poller without waiting; for a thread that is not a worker.
    pub(super) fn attend(&self, events: &mut Events, workspace: &mut C::Workspace) -> usize {
        self.poller.wait(events, BATCH, Some(Duration::ZERO));
        self.pass_kick_on();
        let mut count = 0;
        for (token, edges) in events.iter() {
            count += 1;
            if let Some(owned) = self.claim(token, edges) {
                self.drive(owned, Edges::NONE, Role::Attendant, workspace);
            }
        }
        count
    }

    /// Makes steps with a connection until it lets go of the thread.
    pub(super) fn drive<'s>(&'s self, mut owned: Owned<'s, C>, extra: Edges, role: Role, workspace: &mut C::Workspace) {
        let token = owned.token();
        let mut role = role;
        let mut extra = extra;
        loop {
            let edges = owned.take_edges() | std::mem::take(&mut extra);
            let news = News { token, edges, role };
            let tell = |text: &str| {
                crate::line::record!(Error, "a connection was closed because the server panicked: {text}");
            };
            let Some(step) = guarded(tell, || owned.connection().step(news, workspace)) else { return };
            match step {
                // A worker that comes back from application code after the end: no other would look at the connection
                // again.
                Step::Wait { .. } if matches!(role, Role::Worker | Role::Aside) && self.phase() >= Phase::Stopped => {
                    role = Role::Undertaker;
                }
                Step::Wait { deadline, idle } => {
                    let rest = owned.connection().rest();
                    owned.note_rest(rest);
                    match owned.release(deadline, idle) {
                        Ok(()) => return,
                        Err(still_owned) => {
                            owned = still_owned;
                            if owned.unmute() {
                                let connection = owned.connection();
                                if let Err(error) = self.poller.watch(&*connection, token, connection.interest()) {
                                    crate::line::record!(
                                        Warn,
                                        "a connection was closed because it cannot be watched any more: {error}"
                                    );
                                    return;
                                }
                            }
                        }
                    }
                }
                // Its turn is now: no other waits for it, and an event at the poller wakes another worker there.
                Step::Again | Step::Later
                    if role == Role::Worker
                        && self.queue.is_empty()
                        && self.reserve.sleepers() > 0
                        && self.phase() < Phase::Stopped => {}
                Step::Again => return self.push(owned, Waiting::Turn),
                Step::Later => return self.push(owned, Waiting::News),
                Step::Lend { refusable: true } if self.queue.requests() >= self.queue_limit => role = Role::Refuser,
                Step::Lend { refusable: true } => return self.push(owned, Waiting::Request),
                Step::Lend { refusable: false } => return self.push(owned, Waiting::Worker),
                Step::Aside(asker) => match self.aside.push(asker, owned.enqueue()) {
                    None => return,
                    Some(queued) => match self.slab.dequeue(&queued) {
                        Some(still_owned) if self.queue.requests() < self.queue_limit => {
                            return self.push(still_owned, Waiting::Request);
                        }
                        Some(still_owned) => (owned, role) = (still_owned, Role::Refuser),
                        None => return,
                    },
                },
                Step::Close => return,
            }
        }
    }

    /// Takes in a connection without a socket, on which a new request waits: for a worker, or, where too many wait, for
    /// a refusal. When there is no slot any more, the caller gets back what makes it.
    #[cfg(any(feature = "http2", all(test, shuttle)))]
    pub(super) fn start_detached<M: FnOnce(Token) -> C>(
        &self,
        make: M,
        role: Role,
        workspace: &mut C::Workspace,
    ) -> Result<(), M> {
        let owned = self.slab.insert_detached(make)?;
        match role {
            Role::Worker if self.queue.requests() < self.queue_limit => self.push(owned, Waiting::Request),
            Role::Worker => self.drive(owned, Edges::NONE, Role::Refuser, workspace),
            _ => self.drive(owned, Edges::NONE, role, workspace),
        }
        Ok(())
    }

    /// Takes a connection that waits for news, or in the run queue for its turn; `None` when a thread has it.
    #[cfg(any(feature = "http2", all(test, shuttle)))]
    pub(super) fn take(&self, token: Token) -> Option<Owned<'_, C>> {
        if let Some(owned) = self.claim(token, Edges::NONE) {
            return Some(owned);
        }
        if !self.slab.is_current(token) || self.slab.rest(token.index())?.0 != Holder::Queue {
            return None;
        }
        let is_it = |entry: &Entry| entry.connection.index() == token.index() && entry.waiting == Waiting::Turn;
        let entry = self.queue.take_first(is_it)?;
        let owned = self.slab.dequeue(&entry.connection)?;
        if owned.token() != token {
            // Another connection has the slot now.
            self.push(owned, Waiting::Turn);
            return None;
        }
        Some(owned)
    }

    /// Hands a connection to the workers.
    pub(super) fn push(&self, owned: Owned<'_, C>, waiting: Waiting) {
        let since = self.clock.now();
        self.queue.push(Entry { connection: owned.enqueue(), since, waiting });
        self.kick_if_idle();
    }

    /// Lets go of a connection that was claimed only to look at it.
    pub(super) fn put_down(&self, owned: Owned<'_, C>) {
        let deadline = owned.deadline();
        if let Err(owned) = owned.release(deadline, false) {
            self.push(owned, Waiting::Turn);
        }
    }

    /// Leaves news for a connection from outside of the poller; it waits in this lane for a thread.
    pub(super) fn wake(&self, token: Token, edges: Edges, waiting: Waiting) {
        if let Some(owned) = self.claim(token, edges) {
            self.push(owned, waiting);
        }
    }

    fn worker_role(&self) -> Role {
        if self.phase() >= Phase::Stopped { Role::Undertaker } else { Role::Worker }
    }

    pub(super) fn pop(&self) -> Option<Owned<'_, C>> {
        Some(self.pop_entry()?.0)
    }

    fn pop_entry(&self) -> Option<(Owned<'_, C>, Waiting)> {
        let entry = self.queue.pop()?;
        self.pass_kick_on();
        Some((self.slab.dequeue(&entry.connection)?, entry.waiting))
    }

    /// Records news for a connection, and owns it if it has no owner. Too many events in one ownership end in silence;
    /// see `word.rs`.
    pub(super) fn claim(&self, token: Token, edges: Edges) -> Option<Owned<'_, C>> {
        // If silence cannot be had, events go on to disturb.
        self.slab.claim(token, edges, |socket| {
            let _ = self.poller.watch(socket, token, Interest::NOTHING);
        })
    }

    /// Claims the connections of the events; keeps the first and queues the others. They are collected in `turns`
    /// before, since a claim may need a system call, and the queue is shared.
    fn claim_all(&self, events: &Events, turns: &mut Vec<Entry>) -> Option<Owned<'_, C>> {
        let mut claimed = events.iter().filter_map(|(token, edges)| self.claim(token, edges));
        let first = claimed.next()?;
        let mut others = claimed.peekable();
        if others.peek().is_some() {
            let since = self.clock.now();
            turns.extend(others.map(|owned| Entry { connection: owned.enqueue(), since, waiting: Waiting::Turn }));
            self.queue.push_turns(turns);
        }
        self.pass_kick_on();
        Some(first)
    }

    /// The job of the kick may still be in the queue.
    fn pass_kick_on(&self) {
        if !self.queue.is_empty() {
            self.kick_if_idle();
        }
    }

    fn kick_if_idle(&self) {
        if self.reserve.sleepers() > 0 {
            self.poller.kick();
        }
    }
}

/// Counts one sleeper for as long as it lives.
struct Asleep<'a, C>(&'a Scheduler<C>);

impl<'a, C> Asleep<'a, C> {
    fn announce(scheduler: &'a Scheduler<C>) -> Self {
        scheduler.reserve.announce();
        Self(scheduler)
    }

    /// Rests instead of sleeping in the poller, unless no other worker sleeps there.
    fn rest(self) {
        if self.0.reserve.rest() {
            std::mem::forget(self);
        }
    }
}

impl<C> Drop for Asleep<'_, C> {
    fn drop(&mut self) {
        if self.0.reserve.leave() {
            self.0.alarm.ring_loudly();
        }
    }
}

/// One worker for each processor, and a second one to be at the poller while the first works.
fn sleepers_in_calm() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

#[cfg(all(test, shuttle))]
pub(super) mod model;
