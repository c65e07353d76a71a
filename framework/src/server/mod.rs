//! Sockets and threads: the acceptor, the slots of connections, the workers, the run queue, the ticker, the limits.
//!
//! The room knows a [`Service`], no application. The scheduler in it knows connections that make steps, no HTTP.
//!
//! ```text
//!  acceptor ──► slab of slots ◄── poller ──► workers ──► Service
//!                 word + connection            ▲  │
//!                      ▲                       │  ▼
//!                      └── ticker ─────────► run queue ◄── wakers of parked requests
//! ```
//!
//! | file | what is in it |
//! |---|---|
//! | `word.rs` | who owns a connection, and news for it: one atomic word |
//! | `slab.rs` | slots; the only `unsafe` |
//! | `poll.rs`, `run_queue.rs`, `clock.rs` | epoll, the queue, deadlines |
//! | `scheduler.rs` | lends threads to connections; no HTTP |
//! | `acceptor.rs`, `ticker.rs`, `stop.rs` | the other threads, and the end |
//! | `aside.rs`, `ends.rs` | the thread that answers while no worker is free: pages that tell why; the ends of those |
//! | `connection/` | one HTTP connection: its states, from the first byte to the last |
//! | `transport.rs` | all that is read, written and asked of a socket |
//! | `client_gone.rs` | whether a client is still there, for a handler that asks |
//! | `view.rs` | what the server tells about itself |
//! | `slow.rs` | the last slow requests, and where their time went |
//! | `budgets.rs` | how much all bodies and responses together may hold |
//! | `patience.rs` | how slow a client may be, with bodies and responses |
//! | `by_hand.rs` | connections without threads, for tests: stepped by the thread of their client |
//! | `workspace.rs`, `workers.rs`, `waker.rs` | the values that a thread lends; its present work; how parked requests wake |

mod acceptor;
mod alarm;
mod aside;
mod budgets;
pub(crate) mod by_hand;
mod client_gone;
mod clock;
mod connection;
mod ends;
mod panics;
mod patience;
mod poll;
mod reserve;
mod run_queue;
mod scheduler;
mod settings;
mod slab;
mod slow;
mod stop;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
mod ticker;
mod transport;
mod view;
mod waker;
mod word;
mod workers;
mod workspace;

pub use crate::exchange::{BodyPlan, Delivery, Progress, ServerPhase, ServerView, Service, Wakers};
pub use crate::exchange::{
    ConnectionCounts, ParkedRequest, QueueState, RunningRequest, SlowRequest, Statistics, WorkerStage, WorkerState,
};
#[cfg(fuzzing)]
#[doc(hidden)]
pub use by_hand::converse;
pub use settings::ServerSettings;
pub use stop::StopReport;

use crate::exchange::BlockingPlaces;
use crate::threads::Threads;
use acceptor::Listener;
use scheduler::{OtherThread, Scheduler};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use workers::WorkerRecord;
use workspace::{Shared, Workspace};

/// A running HTTP server.
///
/// Dropping it stops it at once. There is no global state: a process may run any number of servers.
#[derive(Debug)]
pub struct Server {
    running: Running,
}

/// A server and its threads.
struct Running {
    shared: Arc<Shared>,
    listener: Arc<Listener>,
    threads: Threads,
}

impl Server {
    /// Binds the address in the settings (port 0 picks a free one) and starts accepting.
    ///
    /// # Errors
    /// When a setting makes no sense, the address cannot be bound or the threads cannot be started; the message names
    /// the setting or the address.
    pub fn start(settings: ServerSettings, service: Arc<dyn Service>) -> io::Result<Self> {
        let server = Self::bind(settings)?.serve(service, ())?;
        server.announce(ServerPhase::Running);
        Ok(server)
    }

    /// Binds the address in the settings (port 0 picks a free one). Clients may connect from now on; nobody answers
    /// before [`Bound::serve`].
    pub(crate) fn bind(settings: ServerSettings) -> io::Result<Bound> {
        settings.check()?;
        let at = settings.listen;
        let listener = Listener::bind(at, settings.backlog).map_err(|error| {
            io::Error::new(io::Error::from(error).kind(), format!("cannot listen on {at}: {error}"))
        })?;
        Ok(Bound { listener, settings })
    }

    /// The address that the server listens on, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running.listener.address()
    }

    /// Counters and gauges of this moment.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.running.shared.statistics()
    }

    /// The present work of each worker, and for how long it has been at it.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerState> {
        self.running.shared.workers()
    }

    /// All that the server can tell about itself, as its requests see it ([`Request::server`](crate::Request::server)).
    #[must_use]
    pub fn view(&self) -> Weak<dyn ServerView> {
        let view: Weak<Shared> = Arc::downgrade(&self.running.shared);
        view
    }

    /// Tells its visitors how far the application has come, which the server alone does not know. It says that it is
    /// starting until it is told otherwise.
    pub(crate) fn announce(&self, phase: ServerPhase) {
        self.running.shared.announced.store(phase as u8, Ordering::Release);
    }

    /// Stops gracefully: no new connections, running requests end, everything by one absolute deadline from now.
    ///
    /// Idle connections may still send one request for the setting `drain_idle`. Requests that have not ended by the
    /// deadline are cut off and reported; a handler that never ends keeps its thread, but not the caller.
    #[must_use]
    pub fn stop(mut self, deadline: Duration) -> StopReport {
        self.running.stop(deadline)
    }
}

/// A server that listens and does not answer yet.
pub(crate) struct Bound {
    listener: Listener,
    settings: ServerSettings,
}

impl Bound {
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Starts the threads.
    pub(crate) fn serve(self, service: Arc<dyn Service>, around: impl AroundWorkers + 'static) -> io::Result<Server> {
        let Self { listener, settings } = self;
        let scheduler = Scheduler::new(settings.most_connections(), settings.threads, settings.queue)?;
        let places = BlockingPlaces::new(settings.most_waiting(), settings.queue_timeout);
        let shared = Arc::new(Shared::new(scheduler, service, settings, places, ServerPhase::Starting));
        // Dropped on the way out if a thread cannot be started: the threads so far end.
        let mut running = Running { shared, listener: Arc::new(listener), threads: Threads::new() };
        running.spawn(&(Arc::new(around) as Arc<dyn AroundWorkers>))?;
        Ok(Server { running })
    }
}

/// What is done on the thread of a worker before its first request and after its last one. A worker whose handler never
/// returns has no end.
pub(crate) trait AroundWorkers: Send + Sync {
    /// The worker of this number begins; the first is 1. It must not panic.
    fn begins(&self, worker: usize);

    /// It ends. It must not panic.
    fn ends(&self, worker: usize);
}

/// Nothing.
impl AroundWorkers for () {
    fn begins(&self, _: usize) {}

    fn ends(&self, _: usize) {}
}

impl Running {
    fn spawn(&mut self, around: &Arc<dyn AroundWorkers>) -> io::Result<()> {
        for number in 1..=self.shared.settings.threads {
            let (shared, around) = (self.shared.clone(), around.clone());
            self.threads.spawn(&format!("kirsch-worker-{number}"), move || {
                around.begins(number);
                work(&shared, number - 1);
                around.ends(number);
            })?;
        }
        let shared = self.shared.clone();
        self.threads.spawn("kirsch-ticker", move || {
            replaced(&shared, OtherThread::Ticker, "the ticker", ticker::run);
        })?;
        if self.shared.service.answers_when_busy() {
            let shared = self.shared.clone();
            self.threads.spawn("kirsch-aside", move || {
                replaced(&shared, OtherThread::Aside, "the thread beside the workers", aside::run);
            })?;
            let shared = self.shared.clone();
            self.threads.spawn("kirsch-ends", move || {
                replaced(&shared, OtherThread::Ends, "the thread that ends requests", ends::run);
            })?;
        }
        let (shared, listener) = (self.shared.clone(), self.listener.clone());
        self.threads.spawn("kirsch-acceptor", move || listener.run(&shared, &|| shared.scheduler.alarm.ring()))
    }
}

/// The life of a thread that is not a worker.
fn replaced(shared: &Arc<Shared>, thread: OtherThread, name: &str, life: fn(&Arc<Shared>, &Arc<WorkerRecord>)) {
    let record = shared.record_of(thread);
    record.is_of_this_thread();
    until_it_ends(record, name, || life(shared, record));
}

/// Lets a thread begin again if the server's own code panics on it. The panics of application code are caught long
/// before.
fn until_it_ends(record: &WorkerRecord, name: &str, mut life: impl FnMut()) {
    let tell = |text: &str| crate::line::record!(Error, "{name} died and is replaced: {text}");
    while panics::guarded(tell, &mut life).is_none() {
        record.finish();
        record.count_replaced();
    }
}

/// The life of a worker.
fn work(shared: &Arc<Shared>, index: usize) {
    let record = &shared.scheduler.records[index];
    record.set_alive(true);
    record.is_of_this_thread();
    shared.places.hold_for_this_thread();
    until_it_ends(record, &format!("worker {}", index + 1), || {
        let mut workspace = Workspace::new(shared.clone(), Arc::clone(record));
        shared.scheduler.work(record, &mut workspace);
    });
    record.set_alive(false);
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop(Duration::ZERO);
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.listener.address()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod thread_tests {
    use super::*;

    #[test]
    fn a_thread_on_which_the_server_panics_begins_again_and_is_counted() {
        let record = WorkerRecord::default();
        let mut lives = 0;
        until_it_ends(&record, "a thread", || {
            lives += 1;
            assert!(lives > 2, "not yet");
        });
        assert_eq!((lives, record.replaced()), (3, 2));
    }
}
