//! The work of each worker and its start, readable by any thread without a lock.
//!
//! One worker writes its record, many may read it. The text of the request line goes through a sequence number: it is
//! odd while the worker writes, and a reader that sees it change tries again. All parts are atomic, so a torn read is
//! possible but never undefined, and is thrown away.

use super::clock::{Clock, Tick};
use crate::http::RequestHead;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
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
    replaced: AtomicU64,
    alive: AtomicBool,
    busy: AtomicBool,
    sequence: AtomicU32,
    since: AtomicU32,
    length: AtomicU32,
    line: [AtomicU64; WORDS],
}

/// The work of a worker at a moment; see [`Server::workers`](super::Server::workers).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerState {
    /// The worker's number: the thread is called `kirsch-worker-` and this.
    pub number: usize,
    /// The request that it runs, such as `GET /path`, and for how long it has been running; `None` when it is free.
    pub request: Option<(String, Duration)>,
}

impl WorkerRecord {
    /// The worker took something up. Only the worker itself calls this; the others read it to see that it moves.
    pub(super) fn count_turn(&self) {
        bump(&self.turns);
    }

    pub(super) fn count_request(&self) {
        bump(&self.requests);
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

    /// The worker enters application code for this request.
    pub(super) fn begin(&self, head: &RequestHead, now: Tick) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.write_line(head.method_and_path());
        self.since.store(now.bits(), Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
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

    /// When the worker began its request. A hint: it may have begun another one since.
    pub(super) fn runs_since(&self) -> Option<Tick> {
        self.is_busy().then(|| Tick::from_bits(self.since.load(Ordering::Relaxed)))
    }

    /// The request that the worker runs, and for how long.
    pub(super) fn request(&self, clock: Clock) -> Option<(String, Duration)> {
        loop {
            if !self.is_busy() {
                return None;
            }
            let before = self.sequence.load(Ordering::Acquire);
            let length = (self.length.load(Ordering::Relaxed) as usize).min(LENGTH);
            let line: Vec<u8> =
                self.line.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).take(length).collect();
            let since = Tick::from_bits(self.since.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && before == self.sequence.load(Ordering::Relaxed) {
                let age = clock.tick(Instant::now()).since(since);
                return Some((String::from_utf8_lossy(&line).into_owned(), age));
            }
            std::hint::spin_loop();
        }
    }
}

/// Adds one to a number that only this thread writes.
fn bump(number: &AtomicU64) {
    number.store(number.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
