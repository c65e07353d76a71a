//! The work of each worker and its start, readable by any thread without a lock.
//!
//! One worker writes its record, many may read it. The text of the request line goes through a sequence number: it is
//! odd while the worker writes, and a reader that sees it change tries again. All parts are atomic, so a torn read is
//! possible but never undefined, and is thrown away.

use super::clock::Clock;
use crate::exchange::{Exchange, HandlerRef, RequestId, StageByte, WorkerStage};
use rustix::thread::gettid;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

/// Longest part of a request line that is kept, in words of eight bytes.
const WORDS: usize = 16;
const LENGTH: usize = WORDS * 8;

/// The record of one worker, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct WorkerRecord {
    turns: AtomicU64,
    requests: AtomicU64,
    #[cfg(feature = "websocket")]
    messages_in: AtomicU64,
    #[cfg(feature = "websocket")]
    messages_out: AtomicU64,
    replaced: AtomicU64,
    alive: AtomicBool,
    busy: AtomicBool,
    /// The kernel's number of the thread.
    thread: AtomicU32,
    sequence: AtomicU32,
    /// In milliseconds of the server's clock: a worker may be stuck for longer than a tick counts.
    since: AtomicU64,
    length: AtomicU32,
    id: AtomicU64,
    /// Where the handler's description is; 0 before it is known. A number to compare with, of which nothing is read.
    handler: AtomicUsize,
    stage: StageByte,
    /// The request that the ticker found slow.
    slow: AtomicU64,
    line: [AtomicU64; WORDS],
}

/// The work of a worker as its record has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RecordedWork {
    pub(super) line: String,
    pub(super) id: RequestId,
    pub(super) handler: usize,
    pub(super) stage: WorkerStage,
    pub(super) age: Duration,
}

impl WorkerRecord {
    /// The worker took something up. Only the worker itself calls this; the others read it to see that it moves.
    pub(super) fn count_turn(&self) {
        bump(&self.turns);
    }

    pub(super) fn count_request(&self) {
        bump(&self.requests);
    }

    /// A message of a conversation has come in.
    #[cfg(feature = "websocket")]
    pub(super) fn count_message_in(&self) {
        bump(&self.messages_in);
    }

    /// So many messages of conversations go out.
    #[cfg(feature = "websocket")]
    pub(super) fn count_messages_out(&self, count: u64) {
        let before = self.messages_out.load(Ordering::Relaxed);
        self.messages_out.store(before + count, Ordering::Relaxed);
    }

    /// Messages of conversations, in and out.
    #[cfg(feature = "websocket")]
    pub(super) fn messages(&self) -> (u64, u64) {
        (self.messages_in.load(Ordering::Relaxed), self.messages_out.load(Ordering::Relaxed))
    }

    pub(super) fn count_replaced(&self) {
        bump(&self.replaced);
    }

    pub(super) fn set_alive(&self, alive: bool) {
        self.alive.store(alive, Ordering::Release);
    }

    pub(super) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// The worker's thread calls this at its start.
    pub(super) fn is_of_this_thread(&self) {
        self.thread.store(u32::try_from(gettid().as_raw_nonzero().get()).unwrap_or(0), Ordering::Relaxed);
        self.stage.is_of_this_thread();
    }

    pub(super) fn thread(&self) -> u32 {
        self.thread.load(Ordering::Relaxed)
    }

    /// The worker enters application code for this request, which has been on its way since then.
    pub(super) fn begin(&self, exchange: &Exchange, since: u64, stage: WorkerStage) {
        let line = exchange.request.head.method_and_path();
        self.begin_line(line, exchange.request.id, handler_of(exchange), since, stage);
    }

    /// As [`begin`](Self::begin), for work that is no request.
    #[inline]
    pub(super) fn begin_line(&self, line: &[u8], id: RequestId, handler: usize, since: u64, stage: WorkerStage) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.write_line(line);
        self.since.store(since, Ordering::Relaxed);
        self.id.store(id.bits(), Ordering::Relaxed);
        self.handler.store(handler, Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
        self.stage.note(stage);
        self.busy.store(true, Ordering::Release);
    }

    /// As [`begin`](Self::begin); mostly it has just been out of this very request.
    #[inline]
    pub(super) fn go_on(&self, exchange: &Exchange, since: impl FnOnce() -> u64, stage: WorkerStage) {
        if self.id.load(Ordering::Relaxed) != exchange.request.id.bits() {
            return self.begin(exchange, since(), stage);
        }
        self.handler.store(handler_of(exchange), Ordering::Relaxed);
        self.stage.note(stage);
        self.busy.store(true, Ordering::Release);
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most LENGTH")]
    fn write_line(&self, line: &[u8]) {
        let line = &line[..line.len().min(LENGTH)];
        let (words, rest) = line.as_chunks();
        let last = rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let words = words.iter().map(|word| u64::from_le_bytes(*word)).chain([last]);
        for (place, word) in self.line.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        self.length.store(line.len() as u32, Ordering::Relaxed);
    }

    /// The worker is out of application code.
    pub(super) fn finish(&self) {
        self.busy.store(false, Ordering::Release);
    }

    /// Whether the worker has been in its request for so long. A hint: it may have begun another one since.
    pub(super) fn runs_for(&self, duration: Duration, clock: Clock) -> bool {
        self.is_busy() && self.age(clock) >= duration
    }

    fn age(&self, clock: Clock) -> Duration {
        Duration::from_millis(clock.millis(Instant::now()).saturating_sub(self.since.load(Ordering::Relaxed)))
    }

    /// Marks the request of the worker if it runs for so long.
    pub(super) fn mark_if_slow(&self, after: Duration, clock: Clock) {
        if self.runs_for(after, clock) {
            self.slow.store(self.id.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Whether this request is marked.
    #[inline]
    pub(super) fn is_slow(&self, id: RequestId) -> bool {
        self.slow.load(Ordering::Relaxed) == id.bits()
    }

    /// The request that the worker runs.
    pub(super) fn request(&self, clock: Clock) -> Option<RecordedWork> {
        loop {
            if !self.is_busy() {
                return None;
            }
            let before = self.sequence.load(Ordering::Acquire);
            let length = (self.length.load(Ordering::Relaxed) as usize).min(LENGTH);
            let line: Vec<u8> =
                self.line.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).take(length).collect();
            let age = self.age(clock);
            let id = RequestId::from_bits(self.id.load(Ordering::Relaxed));
            let (handler, stage) = (self.handler.load(Ordering::Relaxed), self.stage.stage());
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && before == self.sequence.load(Ordering::Relaxed) {
                let line = String::from_utf8_lossy(&line).into_owned();
                return Some(RecordedWork { line, id, handler, stage, age });
            }
            std::hint::spin_loop();
        }
    }
}

/// A number for the handler's description; 0 before it is known.
#[inline]
pub(super) fn handler_of(exchange: &Exchange) -> usize {
    exchange.trail.handler.as_ref().map_or(0, HandlerRef::address)
}

/// Adds one to a number that only this thread writes.
fn bump(number: &AtomicU64) {
    number.store(number.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_is_stuck_for_months_is_stuck() {
        const MINUTE: Duration = Duration::from_secs(60);
        let record = WorkerRecord::default();
        record.begin(&Exchange::new(), 0, WorkerStage::Handler);
        for days in [1, 24, 25, 49, 50, 100] {
            let age = Duration::from_secs(days * 86_400);
            let clock = Clock::started_before(age);
            assert!(record.runs_for(MINUTE, clock), "after {days} days");
            let told = record.request(clock).expect("it runs").age;
            assert!(told >= age && told < age + MINUTE, "{told:?} after {days} days");
        }
    }
}
