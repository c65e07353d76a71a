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
//! | `listen_address.rs`, `listener.rs` | where to listen, as settings say it, and a socket that is bound there |
//! | `socket_file.rs`, `activation.rs` | the files of Unix sockets; the sockets that systemd passes on |
//! | `acceptor.rs`, `ticker.rs`, `stop.rs` | the other threads, and the end |
//! | `aside.rs`, `ends.rs` | the thread that answers while no worker is free: pages that tell why; the ends of those |
//! | `connection/` | one HTTP connection: its states, from the first byte to the last |
//! | `handshakes.rs` | how many handshakes of TLS are computed at a time, and how they ended |
//! | `transport.rs` | all that is read, written and asked of a socket |
//! | `http2/` | HTTP/2: the engine, and the streams of a connection |
//! | `client_gone.rs` | whether a client is still there, for a handler that asks |
//! | `view.rs` | what the server tells about itself |
//! | `slow.rs` | the last slow requests, and where their time went |
//! | `budgets.rs` | how much all bodies and responses together may hold |
//! | `patience.rs` | how slow a client may be, with bodies and responses |
//! | `by_hand.rs` | connections without threads, for tests: stepped by the thread of their client |
//! | `workspace.rs`, `workers.rs`, `waker.rs` | the values that a thread lends; its present work; how parked requests wake |

mod acceptor;
mod activation;
mod alarm;
mod aside;
mod budgets;
pub(crate) mod by_hand;
mod client_gone;
mod clock;
mod connection;
#[cfg(feature = "websocket")]
mod conversation_counts;
mod ends;
#[cfg(feature = "tls")]
mod handshakes;
#[cfg(feature = "http2")]
mod http2;
mod listen_address;
mod listener;
mod panics;
mod patience;
mod poll;
mod reserve;
mod run_queue;
mod scheduler;
mod settings;
mod slab;
mod slow;
mod socket_file;
mod stop;
#[cfg(any(feature = "http2", all(test, shuttle)))]
mod stream_counts;
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
    ConnectionCounts, ConversationCounts, HandshakeCounts, ParkedRequest, QueueState, RunningRequest, SlowRequest,
    Statistics, WorkerStage, WorkerState,
};
pub(crate) use activation::passed_on;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use by_hand::converse;
#[cfg(all(feature = "tls", fuzzing))]
#[doc(hidden)]
pub use by_hand::converse_encrypted;
#[cfg(all(feature = "http2", fuzzing))]
#[doc(hidden)]
pub use by_hand::converse_in_frames;
pub use listen_address::{ListenAddress, ListenPlace, UnixPlace};
pub(crate) use listener::NamedSocket;
pub use settings::ServerSettings;
pub use stop::StopReport;

use crate::exchange::BlockingPlaces;
use crate::threads::Threads;
#[cfg(feature = "tls")]
use crate::tls::TlsInService;
use acceptor::{Acceptor, AcceptorStop};
use listener::{Binding, Listener};
use scheduler::{OtherThread, Scheduler};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
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
    addresses: Vec<ListenAddress>,
    /// `None` when it has stopped: the last owner closes the descriptors.
    listeners: Option<Arc<[Listener]>>,
    accepting: Option<AcceptorStop>,
    threads: Threads,
}

impl Server {
    /// Binds the addresses in the settings (port 0 picks a free one) and starts accepting.
    ///
    /// # Errors
    /// When a setting makes no sense, an address cannot be bound or the threads cannot be started; the message names
    /// the setting or the address.
    pub fn start(settings: ServerSettings, service: Arc<dyn Service>) -> io::Result<Self> {
        let server = Self::bind(settings, Vec::new())?.serve(service, ())?;
        server.announce(ServerPhase::Running);
        Ok(server)
    }

    /// Binds the addresses in the settings; see [`bind_at`](Self::bind_at).
    pub(crate) fn bind(settings: ServerSettings, mut inherited: Vec<NamedSocket>) -> io::Result<Bound> {
        let places: Vec<_> = settings.listen.iter().map(|address| vec![address.clone()]).collect();
        let bound = Self::bind_at(settings, &places, &mut inherited)?;
        refuse_unwanted(&inherited)?;
        Ok(bound)
    }

    /// Listens at all `places`, each at the first of its addresses that can be had. Clients may connect from now on;
    /// nobody answers before [`Bound::serve`].
    ///
    /// Sockets of the same names, or at the same addresses, that another process has bound are taken over. Those that
    /// are not wanted are left.
    pub(crate) fn bind_at(
        mut settings: ServerSettings,
        places: &[Vec<ListenAddress>],
        inherited: &mut Vec<NamedSocket>,
    ) -> io::Result<Bound> {
        settings.listen = places.iter().flatten().cloned().collect();
        settings.check()?;
        let proxies = settings.proxies()?;
        #[cfg(feature = "tls")]
        let tls = match settings.tls.is_on() {
            true => Some(Arc::new(TlsInService::start(settings.tls.clone()).map_err(io::Error::other)?)),
            false => None,
        };
        let mut listeners: Vec<Listener> = Vec::new();
        for alternatives in places {
            listeners.push(bind_first(alternatives, inherited, |address| Binding {
                backlog: settings.backlog,
                v6_only: has_twin(address, places),
                proxies: proxies.clone(),
                write_timeout: settings.write_timeout,
            })?);
        }
        settings.listen = listeners.iter().map(|listener| listener.address().clone()).collect();
        Ok(Bound {
            listeners: listeners.into(),
            settings,
            #[cfg(feature = "tls")]
            tls,
        })
    }

    /// The first IP address that the server listens on, with the port that was picked; `0.0.0.0:0` if it has none.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        first_ip_address(&self.running.addresses)
    }

    /// All addresses that the server listens on, with the ports that were picked.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.running.addresses
    }

    /// Takes the files of Unix sockets over from the process that has passed the sockets on.
    pub(crate) fn keep_files(&self) {
        self.running.listeners.iter().flat_map(|listeners| &**listeners).for_each(Listener::keep_file);
    }

    /// Leaves clients that come from now on, and the files of Unix sockets, to the process that has taken the sockets
    /// over. At the stop those that have come, and are slow to begin, have all the time that they would have had.
    pub(crate) fn leave_to_successor(&self) {
        self.running.shared.has_successor.store(true, Ordering::Relaxed);
        self.running.listeners.iter().flat_map(|listeners| &**listeners).for_each(Listener::leave_file);
    }

    /// Second descriptors of the listening sockets, with their names: for a process that takes them over. There are
    /// none when the server has stopped.
    pub(crate) fn named_sockets(&self) -> io::Result<Vec<NamedSocket>> {
        self.running.listeners.iter().flat_map(|listeners| &**listeners).map(Listener::named_socket).collect()
    }

    /// The keys of TLS tickets for the process that takes this one's place; `None` without TLS.
    pub(crate) fn ticket_keys(&self) -> Option<Vec<u8>> {
        #[cfg(feature = "tls")]
        return self.tls().map(|tls| tls.export());
        #[cfg(not(feature = "tls"))]
        None
    }

    /// TLS as it is in force, if the server has certificates.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Option<&Arc<TlsInService>> {
        self.running.shared.tls.as_ref()
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
    pub fn stop(self, deadline: Duration) -> StopReport {
        let began = Instant::now();
        self.stop_within(&|| deadline.saturating_sub(began.elapsed()))
    }

    /// The same, with a deadline that may come nearer meanwhile: the time that is `left` is asked for again and again.
    pub(crate) fn stop_within(mut self, left: &dyn Fn() -> Duration) -> StopReport {
        self.running.stop(left)
    }
}

/// Listens at the first of these addresses that can be had.
///
/// # Errors
/// Why the first cannot be had.
fn bind_first(
    alternatives: &[ListenAddress],
    inherited: &mut Vec<NamedSocket>,
    how: impl Fn(&ListenAddress) -> Binding,
) -> io::Result<Listener> {
    let mut refused = None;
    for address in alternatives {
        let name = address.name();
        let given = inherited.iter().position(|socket| socket.name == name);
        let given = given.or_else(|| inherited.iter().position(|socket| socket.is_at(address)));
        let given = given.map(|index| inherited.remove(index));
        match Listener::bind(address, given, &how(address)) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                let error = io::Error::new(error.kind(), format!("cannot listen on {name}: {error}"));
                refused.get_or_insert(error);
            }
        }
    }
    Err(refused.unwrap_or_else(|| io::Error::other("there is no address to listen on")))
}

/// Whether an IPv6 address has the port of an IPv4 address in the list: then each has a socket of its own.
fn has_twin(address: &ListenAddress, places: &[Vec<ListenAddress>]) -> bool {
    let Some(address) = address.ip_address() else { return false };
    let mut all = places.iter().flatten().filter_map(ListenAddress::ip_address);
    all.any(|other| other.is_ipv4() && address.is_ipv6() && other.port() == address.port())
}

fn first_ip_address(addresses: &[ListenAddress]) -> SocketAddr {
    let first = addresses.iter().find_map(ListenAddress::ip_address);
    first.unwrap_or_else(|| SocketAddr::from(([0; 4], 0)))
}

/// Sockets that were passed on must be wanted: clients that come there would wait without end.
pub(crate) fn refuse_unwanted(left: &[NamedSocket]) -> io::Result<()> {
    left.first().map_or(Ok(()), |socket| {
        let name = &socket.name;
        let problem = "was passed on, but no address is of that name: add it to server.listen";
        Err(io::Error::other(format!("the socket {name} {problem}")))
    })
}

/// A server that listens and does not answer yet.
pub(crate) struct Bound {
    listeners: Arc<[Listener]>,
    /// Their addresses are those where it really listens.
    settings: ServerSettings,
    #[cfg(feature = "tls")]
    tls: Option<Arc<TlsInService>>,
}

impl Bound {
    /// Takes the keys of TLS tickets of the process before.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self, reason = "there are no tickets"))]
    pub(crate) fn take_ticket_keys(&self, keys: &[u8]) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            tls.import(keys);
        }
        #[cfg(not(feature = "tls"))]
        let _ = keys;
    }

    /// The first IP address; `0.0.0.0:0` if there is none.
    pub(crate) fn address(&self) -> SocketAddr {
        first_ip_address(&self.settings.listen)
    }

    /// All addresses, with the ports that were picked.
    pub(crate) fn addresses(&self) -> &[ListenAddress] {
        &self.settings.listen
    }

    /// Starts the threads.
    pub(crate) fn serve(self, service: Arc<dyn Service>, around: impl AroundWorkers + 'static) -> io::Result<Server> {
        let Self { listeners, settings, .. } = self;
        let (connections, streams) = (settings.most_connections(), settings.most_streams());
        let scheduler = Scheduler::new(connections, streams, settings.threads, settings.queue)?;
        let places = BlockingPlaces::new(settings.most_waiting(), settings.queue_timeout);
        let addresses = settings.listen.clone();
        let shared = Shared::new(scheduler, service, settings, places, ServerPhase::Starting);
        #[cfg(feature = "tls")]
        let shared = Shared { tls: self.tls, ..shared };
        let shared = Arc::new(shared);
        // Dropped on the way out if a thread cannot be started: the threads so far end.
        let mut running =
            Running { shared, addresses, listeners: Some(listeners), accepting: None, threads: Threads::new() };
        running.spawn(&(Arc::new(around) as Arc<dyn AroundWorkers>))?;
        Ok(Server { running })
    }
}

/// What is done on the thread of a worker before its first request and after its last one. A worker whose handler never
/// returns has no end.
pub(crate) trait AroundWorkers: Send + Sync {
    /// Lives the life of a worker, perhaps with something of its own around it. It must not panic.
    fn around(&self, life: &mut (dyn FnMut() + Send)) {
        life();
    }

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
                around.around(&mut || {
                    around.begins(number);
                    work(&shared, number - 1);
                    around.ends(number);
                });
            })?;
        }
        let shared = self.shared.clone();
        self.threads.spawn("kirsch-ticker", move || {
            replaced(&shared, OtherThread::Ticker, "the ticker", ticker::run);
        })?;
        let shared = self.shared.clone();
        self.threads.spawn("kirsch-ends", move || {
            replaced(&shared, OtherThread::Ends, "the thread that ends requests", ends::run);
        })?;
        if self.shared.service.answers_when_busy() {
            let shared = self.shared.clone();
            self.threads.spawn("kirsch-aside", move || {
                replaced(&shared, OtherThread::Aside, "the thread beside the workers", aside::run);
            })?;
        }
        let Some(listeners) = &self.listeners else { return Ok(()) };
        let shared = self.shared.clone();
        let (acceptor, stop) = Acceptor::new(listeners.clone())?;
        self.accepting = Some(stop);
        self.threads.spawn("kirsch-acceptor", move || acceptor.run(&shared))
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
        let _ = self.stop(&|| Duration::ZERO);
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addresses", &self.addresses).finish_non_exhaustive()
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
