//! The values that a thread lends to the connections it steps: buffers, spare exchanges, the date.
//!
//! A connection between two requests owns none of these. The rest at the end of a step (an unfinished head, unsent
//! output) moves into the connection, and back at the next step.

use super::budgets::Budgets;
use super::connection::{HttpConnection, Strangers};
#[cfg(feature = "websocket")]
use super::conversation_counts::ConversationTally;
use super::ends::Ends;
#[cfg(feature = "tls")]
use super::handshakes::Handshakes;
use super::scheduler::{OtherThread, Scheduler};
use super::slow::SlowRequests;
use super::workers::WorkerRecord;
use super::{ServerSettings, Service};
use crate::exchange::{BlockingPlaces, Exchange, ServerPhase};
use crate::http::DateCache;
use crate::seldom::Seldom;
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

/// The values that all threads of a server share.
pub(super) struct Shared {
    pub(super) scheduler: Scheduler<HttpConnection>,
    pub(super) service: Arc<dyn Service>,
    pub(super) settings: ServerSettings,
    /// For waits that hold a worker.
    pub(super) places: Arc<BlockingPlaces>,
    pub(super) budgets: Budgets,
    /// How far the application has come: a [`ServerPhase`] as a number.
    pub(super) announced: AtomicU8,
    /// Another process has taken the listeners over: nobody waits for the end of this one.
    pub(super) has_successor: AtomicBool,
    pub(super) slow: SlowRequests,
    pub(super) ends: Ends,
    /// That clients speak TLS where they should not.
    pub(super) said_tls: Seldom,
    pub(super) strangers: Strangers,
    #[cfg(feature = "websocket")]
    pub(super) conversations: Arc<ConversationTally>,
    #[cfg(feature = "tls")]
    pub(super) handshakes: Handshakes,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<crate::tls::TlsInService>>,
}

impl Shared {
    /// For a server whose application has come to this `phase`.
    pub(super) fn new(
        scheduler: Scheduler<HttpConnection>,
        service: Arc<dyn Service>,
        settings: ServerSettings,
        places: Arc<BlockingPlaces>,
        phase: ServerPhase,
    ) -> Self {
        let budgets = Budgets::new(&settings);
        let announced = AtomicU8::new(phase as u8);
        let (slow, ends) = (SlowRequests::default(), Ends::default());
        Self {
            scheduler,
            service,
            settings,
            places,
            budgets,
            announced,
            has_successor: AtomicBool::new(false),
            slow,
            ends,
            said_tls: Seldom::default(),
            strangers: Strangers::default(),
            #[cfg(feature = "websocket")]
            conversations: Arc::default(),
            #[cfg(feature = "tls")]
            handshakes: Handshakes::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Whether connections that have begun, and not come to a request yet, may go on at a stop until their own
    /// deadline.
    pub(super) fn has_successor(&self) -> bool {
        self.has_successor.load(Ordering::Relaxed)
    }

    pub(super) fn worker_records(&self) -> &[Arc<WorkerRecord>] {
        &self.scheduler.records[..self.settings.threads]
    }

    pub(super) fn record_of(&self, thread: OtherThread) -> &Arc<WorkerRecord> {
        &self.scheduler.records[self.settings.threads + thread as usize]
    }

    /// Whether a worker has been running one request for this long.
    pub(super) fn runs_for(&self, duration: Duration) -> bool {
        self.worker_records().iter().any(|record| record.runs_for(duration, self.scheduler.clock))
    }
}

pub(super) struct Workspace {
    pub(super) shared: Arc<Shared>,
    pub(super) input: Input,
    pub(super) output: Output,
    /// Lent to encryption, which alone makes it grow.
    pub(super) scratch: Vec<u8>,
    /// Lent to pushes, one pull long.
    pub(super) news: Vec<u8>,
    /// Handshakes that this thread may still answer.
    #[cfg(feature = "tls")]
    pub(super) handshakes: u32,
    #[expect(clippy::vec_box, reason = "exchanges move between here and connections as boxes")]
    spare: Vec<Box<Exchange>>,
    date: DateCache,
    record: Arc<WorkerRecord>,
}

/// Room for one read. With much more room than a request needs, most reads leave some of it empty, which shows without
/// a second system call that the socket has nothing more.
const INPUT: usize = 64 * 1024;
/// As many as responses leave in one write.
const MAX_SPARE: usize = 16;
/// A larger output buffer is not kept.
const MAX_OUTPUT: usize = 256 * 1024;

impl Workspace {
    /// For the thread with this record.
    pub(super) fn new(shared: Arc<Shared>, record: Arc<WorkerRecord>) -> Self {
        let input = Input::new(INPUT.max(2 * shared.settings.head.head));
        Self {
            shared,
            input,
            output: Output::default(),
            scratch: Vec::new(),
            news: Vec::new(),
            #[cfg(feature = "tls")]
            handshakes: u32::MAX,
            spare: Vec::new(),
            date: DateCache::new(),
            record,
        }
    }

    pub(super) fn record(&self) -> &WorkerRecord {
        &self.record
    }

    /// Whether this thread has time for a handshake; takes it, too.
    #[cfg(feature = "tls")]
    pub(super) fn may_answer_hello(&mut self) -> bool {
        let may = self.handshakes > 0;
        self.handshakes = self.handshakes.saturating_sub(1);
        may
    }

    /// Forgets the rest of a step that panicked: it must not reach another client.
    pub(super) fn reset(&mut self) {
        self.input.clear();
        self.output.bytes.clear();
        self.output.sent = 0;
        self.output.answered.clear();
    }

    /// An empty exchange.
    pub(super) fn exchange(&mut self) -> Box<Exchange> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes an exchange back that was not used.
    pub(super) fn put_back(&mut self, exchange: Box<Exchange>) {
        if self.spare.len() < MAX_SPARE {
            self.spare.push(exchange);
        }
    }

    /// The value of the Date field now.
    pub(super) fn date(&mut self) -> &[u8; 29] {
        let second = clock_gettime(ClockId::RealtimeCoarse).tv_sec;
        self.date.render(u64::try_from(second).unwrap_or(0))
    }
}

/// Received bytes that are not used yet: a window of a buffer. The default is one without room.
#[derive(Default)]
pub(super) struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Input {
    fn new(size: usize) -> Self {
        Self { buffer: vec![0; size].into_boxed_slice(), start: 0, end: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn consume(&mut self, length: usize) {
        self.start += length;
        debug_assert!(self.start <= self.end, "only what is there can be used");
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Room for more, behind the content.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// This much was written into the room.
    pub(super) fn extend(&mut self, length: usize) {
        self.end += length;
    }

    /// Takes over the bytes that a connection has kept.
    pub(super) fn load(&mut self, kept: &mut Vec<u8>) {
        if !kept.is_empty() {
            debug_assert!(self.is_empty(), "a connection keeps input only between steps");
            self.clear();
            self.buffer[..kept.len()].copy_from_slice(kept);
            self.end = kept.len();
            // An idle connection keeps no buffer.
            *kept = Vec::new();
        }
    }

    /// Leaves to the connection the bytes that the step did not use.
    pub(super) fn store(&mut self, kept: &mut Vec<u8>) {
        if !self.is_empty() {
            kept.extend_from_slice(self.bytes());
        }
        self.clear();
    }
}

/// Responses on their way out: bytes, and the exchanges that end when these are sent.
#[derive(Default)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    sent: usize,
    pub(super) answered: VecDeque<Answered>,
}

/// An exchange whose whole response is in the output.
pub(super) struct Answered {
    pub(super) exchange: Box<Exchange>,
    pub(super) body_bytes: u64,
    /// The service has seen the exchange in `start`; otherwise only the refusal for overload.
    pub(super) started: bool,
}

impl Output {
    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent().is_empty() && self.answered.is_empty()
    }

    /// Gives up the place of bytes that are sent, where more are appended before all are.
    #[cfg(feature = "http2")]
    pub(super) fn compact(&mut self) {
        if self.sent > 0 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    pub(super) fn advance(&mut self, length: usize) {
        self.sent += length;
        if self.sent == self.bytes.len() {
            self.sent = 0;
            self.bytes.clear();
            if self.bytes.capacity() > MAX_OUTPUT {
                self.bytes = Vec::new();
            }
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}
