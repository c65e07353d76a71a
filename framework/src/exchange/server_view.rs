//! What a server can tell about itself while it runs: the door by which an application sees its workers, its queue, its
//! connections and the requests that wait.
//!
//! The server implements [`ServerView`]; a request leads to it ([`Request::server`](super::Request::server)). Looking
//! delays nobody: workers are read without a lock, connections are counted by a byte that their last owner left, and a
//! parked request is looked at only while it has no owner.

use super::{CertificateState, RequestId, StatusSource, WorkerStage};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A running server, for a page or a program that tells why it is slow. No method waits for anything.
///
/// ```
/// use kirsch::prelude::*;
///
/// /// Says which handlers run now.
/// fn at_work(request: &Request) -> String {
///     let Some(server) = request.server() else { return "in process, without a server".to_owned() };
///     let running = server.workers().into_iter().filter_map(|worker| worker.request?.handler);
///     running.collect::<Vec<_>>().join(", ")
/// }
/// # let _ = at_work;
/// ```
pub trait ServerView: Send + Sync {
    /// How far the server's life has come.
    fn phase(&self) -> ServerPhase;

    /// For how long the server has been running.
    fn uptime(&self) -> Duration;

    /// When it started. A clock that is set later changes nothing.
    fn started(&self) -> SystemTime;

    /// The present work of each worker.
    fn workers(&self) -> Vec<WorkerState>;

    /// The requests that wait for a worker.
    fn queue(&self) -> QueueState;

    /// Requests that wait without a worker, those that have waited longest first: at most so many of them. A request
    /// that a thread is just busy with is left out.
    fn parked(&self, at_most: usize) -> Vec<ParkedRequest>;

    /// How many connections are in which state.
    fn connections(&self) -> ConnectionCounts;

    /// The last requests that took longer than a second, the latest first.
    fn slow_requests(&self) -> Vec<SlowRequest>;

    /// Counters and gauges of this moment.
    fn statistics(&self) -> Statistics;

    /// The certificates that it shows its clients, as they are in force.
    fn certificates(&self) -> Vec<CertificateState> {
        Vec::new()
    }

    /// What the parts of the program show on the status page.
    fn sources(&self) -> Vec<Arc<dyn StatusSource>>;

    /// From this age on a running request counts as stuck (`server.stuck_after`).
    fn stuck_after(&self) -> Duration;

    /// Whether every worker has been in one request for longer than [`stuck_after`](Self::stuck_after): then the server
    /// answers nothing any more, and only a restart helps.
    fn is_stuck(&self) -> bool {
        let limit = self.stuck_after();
        self.workers().iter().all(|worker| worker.request.as_ref().is_some_and(|request| request.age >= limit))
    }
}

/// How far a server's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ServerPhase {
    /// It listens, but not everything of the application has started.
    Starting,
    /// It serves.
    Running,
    /// It ends what it has begun, and takes nothing new.
    Draining,
    /// It has ended.
    Stopped,
}

impl ServerPhase {
    /// One word, in lower case.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

/// A worker at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerState {
    /// Its number: the thread is called `kirsch-worker-` and this.
    pub number: usize,
    /// The kernel's number of its thread, as in `/proc/self/task`; 0 before it has begun.
    pub thread: u32,
    /// The request that it runs; `None` when it is free.
    pub request: Option<RunningRequest>,
}

/// A request that a worker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningRequest {
    /// The method and the path as the client sent them, as `GET /page1`; a long one is cut off.
    pub line: String,
    /// Its number.
    pub id: RequestId,
    /// The type and the method that answer it, as `Experiment::page1`; `None` while it is not known, and for nodes that
    /// only their value knows.
    pub handler: Option<String>,
    /// What the worker does for it.
    pub stage: WorkerStage,
    /// Since its head was complete, waits included; of a stream since the chunk was begun.
    pub age: Duration,
}

/// The requests that wait for a worker, as far as the server has read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// How many.
    pub length: usize,
    /// How many there may be (`server.queue`).
    pub limit: usize,
    /// How long the oldest one has waited.
    pub oldest: Option<Duration>,
}

/// A request that waits without a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedRequest {
    /// The method and the path as the client sent them.
    pub line: String,
    /// Its number.
    pub id: RequestId,
    /// The type and the method that will answer it.
    pub handler: Option<String>,
    /// What it waits for and who is in the way, in words that continue the sentence "it waits for ...".
    pub waits_for: String,
    /// For how long.
    pub waited: Duration,
    /// How much longer it waits at most.
    pub left: Duration,
}

/// A request that took long, and where its time went. The parts make up the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowRequest {
    /// The method and the path as the client sent them.
    pub line: String,
    /// Its number.
    pub id: RequestId,
    /// The type and the method that answered it.
    pub handler: Option<String>,
    /// How long ago it ended.
    pub ended: Duration,
    /// From its head to the last byte of its response.
    pub took: Duration,
    /// Waiting for a worker.
    pub in_queue: Duration,
    /// Parked: for a lock, for a place, for another request.
    pub parked: Duration,
    /// On a worker.
    pub on_worker: Duration,
    /// Until its client had sent the body.
    pub reading_body: Duration,
    /// Until its client had taken the response.
    pub sending: Duration,
}

/// How many connections are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// Between two requests, or before the first.
    pub idle: usize,
    /// In the handshake of TLS.
    pub handshaking: usize,
    /// A part of a head is there.
    pub reading_head: usize,
    /// The body of a request is being read, without a worker.
    pub reading_body: usize,
    /// The request waits for something else than its client.
    pub parked: usize,
    /// The client takes its time with the response.
    pub sending: usize,
    /// The response waits for news to tell: an event stream.
    pub pushing: usize,
    /// It carries the requests of HTTP/2, which are counted like connections of their own.
    pub with_streams: usize,
    /// A conversation by WebSocket.
    pub speaking: usize,
    /// The response is out; the connection is about to end.
    pub closing: usize,
    /// In line for a worker: new requests, and connections whose turn it is.
    pub queued: usize,
    /// A thread is busy with it.
    pub at_work: usize,
}

impl ConnectionCounts {
    /// All states with their names.
    #[must_use]
    pub fn by_name(&self) -> [(&'static str, usize); 12] {
        [
            ("idle", self.idle),
            ("handshaking", self.handshaking),
            ("reading_head", self.reading_head),
            ("reading_body", self.reading_body),
            ("parked", self.parked),
            ("sending", self.sending),
            ("pushing", self.pushing),
            ("with_streams", self.with_streams),
            ("speaking", self.speaking),
            ("closing", self.closing),
            ("queued", self.queued),
            ("at_work", self.at_work),
        ]
    }
}

/// The counts of a server; see the field names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections accepted since the start.
    pub connections_accepted: u64,
    /// Connections closed because they did not begin with a PROXY header of a trusted proxy, where one is required.
    pub proxy_headers_refused: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Requests answered since the start.
    pub requests: u64,
    /// Requests answered with 503 because no worker was free in time.
    pub overload_rejections: u64,
    /// Requests that wait for a free worker now, as far as the server has read them.
    pub queued: u64,
    /// Bytes of memory that request bodies hold now, and those decoded from them.
    pub bodies_in_memory: u64,
    /// Bytes of request bodies in temporary files now.
    pub bodies_on_disk: u64,
    /// Requests answered with 503 because all bodies together were as large as they may be.
    pub bodies_refused: u64,
    /// Bytes of memory that responses hold now which their clients have not taken.
    pub responses_in_memory: u64,
    /// Responses that were cut off because all waiting ones together were larger than the budget.
    pub responses_cut_off: u64,
    /// Workers that the settings ask for.
    pub workers_configured: u64,
    /// Workers alive now.
    pub workers_alive: u64,
    /// Workers that run a handler now.
    pub workers_busy: u64,
    /// Places taken by requests that hold a worker, or are about to, while they wait; see
    /// [`waiting_threads`](crate::server::ServerSettings::waiting_threads).
    pub workers_waiting: u64,
    /// Workers that died and were replaced.
    pub workers_replaced: u64,
    /// The handshakes of TLS, by their ends.
    pub handshakes: HandshakeCounts,
    /// The conversations by WebSocket.
    pub conversations: ConversationCounts,
}

/// How many conversations by WebSocket there are, what they say, and how those before have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationCounts {
    /// Open now. One that ends is not, even while the client has not agreed yet.
    pub open: u64,
    /// Opened since the start.
    pub opened: u64,
    /// Messages received since the start.
    pub messages_in: u64,
    /// Messages sent since the start; one that is said in a room counts for each client.
    pub messages_out: u64,
    /// Ended since the start, in the order of [`ENDS`](Self::ENDS).
    pub ended: [u64; Self::ENDS.len()],
}

impl ConversationCounts {
    /// Close codes with their names. The last one is for all other codes.
    pub const ENDS: [(u16, &'static str); 12] = [
        (1000, "normal"),
        (1001, "going_away"),
        (1002, "protocol"),
        (1003, "unsupported"),
        (1005, "no_code"),
        (1006, "lost"),
        (1007, "invalid"),
        (1008, "policy"),
        (1009, "too_large"),
        (1011, "failed"),
        (1013, "try_later"),
        (0, "other"),
    ];

    /// The ends with their names.
    pub fn ends(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Self::ENDS.map(|(_, name)| name).into_iter().zip(self.ended)
    }
}

/// How the handshakes of TLS have ended since the start. Failures are everyday ends: scanners, browsers that
/// preconnect, clients with old software.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeCounts {
    /// Complete ones, with all of the cryptography.
    pub full: u64,
    /// Complete ones that went on where an earlier connection of the client had ended.
    pub resumed: u64,
    /// A request of plain HTTP came in the place of a handshake, and was answered so.
    pub plain_http: u64,
    /// Something came that is neither TLS nor HTTP.
    pub not_tls: u64,
    /// The client left before the end.
    pub cut_off: u64,
    /// It was not over in time.
    pub too_slow: u64,
    /// Client and server have no version, cipher or protocol in common.
    pub incompatible: u64,
    /// The client has refused: mostly it does not trust the server's certificate.
    pub refused: u64,
    /// The server has refused the client's certificate, or the client showed none where one is required.
    pub client_certificate: u64,
    /// A message breaks the rules of TLS.
    pub malformed: u64,
}

impl HandshakeCounts {
    /// The failures with their names.
    #[must_use]
    pub fn failures(&self) -> [(&'static str, u64); 8] {
        [
            ("plain_http", self.plain_http),
            ("not_tls", self.not_tls),
            ("cut_off", self.cut_off),
            ("too_slow", self.too_slow),
            ("incompatible", self.incompatible),
            ("refused", self.refused),
            ("client_certificate", self.client_certificate),
            ("malformed", self.malformed),
        ]
    }

    /// All handshakes, whatever their end.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.full + self.resumed + self.failures().iter().map(|(_, count)| count).sum::<u64>()
    }
}
