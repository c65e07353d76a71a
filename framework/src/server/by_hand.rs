//! A server without threads: the thread of the client steps the connection, whose other end is a pipe in memory.
//!
//! For applications without our server, for the test client in process, for properties of whole conversations, and for
//! the fuzzer. Everything from the seam to the service is the code of the server, in its order. There are no workers,
//! no ticker, no acceptor and no slots: the thread sleeps at the pipe until there is news for the connection, or until
//! its deadline.

#[cfg(all(feature = "tls", any(test, fuzzing)))]
mod encrypted;
#[cfg(all(feature = "http2", any(test, fuzzing)))]
mod frames;
#[cfg(any(test, fuzzing))]
mod mirror;

#[cfg(all(feature = "tls", fuzzing))]
#[doc(hidden)]
pub use encrypted::converse_encrypted;

#[cfg(all(feature = "http2", fuzzing))]
#[doc(hidden)]
pub use frames::converse_in_frames;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use mirror::converse;

use super::clock::Tick;
use super::connection::HttpConnection;
use super::panics::guarded;
use super::scheduler::{Connection as _, News, Role, Scheduler, Step};
use super::slab::Token;
use super::transport::{End, Pipe, Transport};
use super::word::Edges;
use super::workspace::{Shared, Workspace};
use super::{ServerSettings, Service};
use crate::exchange::{BlockingPlaces, Connection, ServerPhase};
use parking_lot::Mutex;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A service and the needs of its connections.
pub(crate) struct ByHand {
    shared: Arc<Shared>,
    /// Each thread that steps a connection borrows one.
    spare: Mutex<Vec<Workspace>>,
}

/// One connection and its client, both in the hand of one thread. Dropping it is the client's end of the connection.
pub(crate) struct Hand {
    server: Arc<ByHand>,
    /// `None` when it has ended.
    connection: Option<HttpConnection>,
    work: Option<Workspace>,
    pipe: Arc<Pipe>,
    /// When the connection goes on without news.
    deadline: Option<Tick>,
}

/// The bytes that a client received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// So many bytes.
    Bytes(usize),
    /// The end of the connection.
    End,
    /// The end of a connection that has failed.
    Failure,
    /// Nothing in time.
    Nothing,
}

/// Longer than any test.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// More are not kept.
const MAX_SPARE: usize = 16;

impl ByHand {
    /// The settings are the defaults, without bounds for all clients together.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(crate) fn new(service: Arc<dyn Service>) -> io::Result<Self> {
        Self::with_settings(service, unbounded())
    }

    /// Limits of requests count. There is patience for a client that does not read: it may be a person at a debugger,
    /// or a server with a patience of its own.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(crate) fn with_settings(service: Arc<dyn Service>, settings: ServerSettings) -> io::Result<Self> {
        Self::with_streams(service, settings, 0)
    }

    /// With slots for so many streams of HTTP/2. They stand in the run queue until somebody takes them from there.
    fn with_streams(service: Arc<dyn Service>, settings: ServerSettings, streams: usize) -> io::Result<Self> {
        let settings = ServerSettings {
            threads: 1,
            pushes: Some(usize::MAX),
            memory_for_responses: u64::MAX,
            write_timeout: DAY,
            write_rate: 0,
            ..settings
        };
        let places = BlockingPlaces::new(1, Duration::ZERO);
        let scheduler = Scheduler::new(1, streams, 1, 1 + streams)?;
        let shared = Shared::new(scheduler, service, settings, places, ServerPhase::Running);
        Ok(Self { shared: Arc::new(shared), spare: Mutex::default() })
    }

    /// A new connection.
    pub(crate) fn connect(self: &Arc<Self>, ends: Connection) -> Hand {
        self.connect_by(|pipe| HttpConnection::new(pipe, ends))
    }

    fn connect_by(self: &Arc<Self>, connect: impl FnOnce(Transport) -> HttpConnection) -> Hand {
        let pipe = Arc::<Pipe>::default();
        let connection = connect(Transport::Pipe(Arc::clone(&pipe)));
        let work = self.spare.lock().pop();
        let work = work.unwrap_or_else(|| Workspace::new(Arc::clone(&self.shared), Arc::default()));
        Hand { server: Arc::clone(self), connection: Some(connection), work: Some(work), pipe, deadline: None }
    }
}

/// The defaults, without bounds for all clients together.
fn unbounded() -> ServerSettings {
    ServerSettings { memory_for_bodies: u64::MAX, disk_for_bodies: u64::MAX, ..ServerSettings::default() }
}

impl Hand {
    /// The client sends.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.pipe.write(bytes);
    }

    /// The client sends what this reader has, and nothing behind it. The connection reads it on the thread that steps.
    pub(crate) fn read_from(&self, source: impl Read + Send + 'static) {
        self.pipe.read_from(Box::new(source));
    }

    /// The client will send no more.
    pub(crate) fn end_input(&self) {
        self.pipe.end_input();
    }

    /// Takes the bytes that the server has sent; if there are none, lets the connection go on until there are, or until
    /// the moment.
    pub(crate) fn receive(&mut self, into: &mut Vec<u8>, until: Instant) -> Came {
        loop {
            let length = self.pipe.take(into);
            if length > 0 {
                return Came::Bytes(length);
            }
            if self.connection.is_some() && self.goes_on(until) {
                continue;
            }
            return match self.pipe.output_end() {
                Some(End::Failure) => Came::Failure,
                None if self.connection.is_some() => Came::Nothing,
                _ => Came::End,
            };
        }
    }

    /// Whether the connection holds a request that waits for something else than its client.
    pub(crate) fn is_parked(&self) -> bool {
        self.connection.as_ref().is_some_and(HttpConnection::is_parked)
    }

    /// Waits for news and steps; false when none came until the moment, or the server has ended its side before.
    fn goes_on(&mut self, until: Instant) -> bool {
        let clock = self.server.shared.scheduler.clock;
        let now = Instant::now();
        let due = self.deadline.map(|deadline| now + deadline.left(clock.tick(now)));
        let until = if self.pipe.output_end().is_some() { now } else { until };
        let mut edges = self.pipe.wait_for_news(due.map_or(until, |due| due.min(until)));
        if edges == Edges::NONE {
            if due.is_none_or(|due| due > until) {
                return false;
            }
            edges = Edges::EXPIRED;
        }
        self.step(edges, Role::Worker);
        true
    }

    /// Makes steps until the connection waits for news, or has ended.
    fn step(&mut self, edges: Edges, role: Role) {
        let (Some(connection), Some(work)) = (&mut self.connection, &mut self.work) else { return };
        let mut news = News { token: Token::NOBODY, edges, role };
        let tell =
            |text: &str| crate::line::record!(Error, "a connection was closed because the server panicked: {text}");
        loop {
            match guarded(tell, || connection.step(news, work)) {
                Some(Step::Wait { deadline, .. }) => {
                    self.deadline = deadline;
                    return;
                }
                Some(Step::Again | Step::Later | Step::Lend { .. } | Step::Aside(_)) => news.edges = Edges::NONE,
                Some(Step::Close) | None => {
                    self.connection = None;
                    return;
                }
            }
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.step(Edges::NONE, Role::Undertaker);
        let mut spare = self.server.spare.lock();
        if spare.len() < MAX_SPARE {
            spare.extend(self.work.take());
        }
    }
}

impl std::fmt::Debug for ByHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByHand").finish_non_exhaustive()
    }
}
