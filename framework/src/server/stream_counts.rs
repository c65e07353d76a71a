//! How many streams one connection has, and when it must hear that there is room again.
//!
//! A stream *runs* while it is in the run queue or at work. Only so many streams of one connection do, so that a client
//! with a hundred requests at a time waits in the queue like a few clients. A parked stream does not run: it holds no
//! worker. A stream is *open* until its exchange has ended, also if the client has reset it: a client that opens and
//! resets cannot have more work done than one that waits.
//!
//! Why no request is left: the connection counts a stream when it takes the request, before another thread can know of
//! it. It looks for room, and lets go of itself afterwards. A stream that makes room counts itself out first, and then
//! rings the connection if that may have found no room. So the ring comes while the connection is owned, as an edge, or
//! the look has found the room. The model in `scheduler/model/streams.rs` tries it.

use crate::primitive::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(super) struct StreamCounts {
    most_open: usize,
    most_running: usize,
    open: AtomicUsize,
    running: AtomicUsize,
}

impl StreamCounts {
    pub(super) fn new(most_open: usize, most_running: usize) -> Self {
        Self { most_open, most_running, open: AtomicUsize::new(0), running: AtomicUsize::new(0) }
    }

    /// Whether one more stream may run.
    pub(super) fn has_room(&self) -> bool {
        self.running.load(Ordering::SeqCst) < self.most_running && self.open.load(Ordering::SeqCst) < self.most_open
    }

    /// Whether there is no stream.
    pub(super) fn is_empty(&self) -> bool {
        self.open.load(Ordering::SeqCst) == 0
    }

    /// A new stream, which runs.
    pub(super) fn opens(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.runs();
    }

    /// A stream that rested runs.
    pub(super) fn runs(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
    }

    /// A stream that ran rests; true if the connection must be rung.
    #[must_use]
    pub(super) fn rests(&self) -> bool {
        self.running.fetch_sub(1, Ordering::SeqCst) >= self.most_running
    }

    /// A stream that runs ends; true if the connection must be rung, also since it is idle now.
    #[must_use]
    pub(super) fn closes(&self) -> bool {
        let had_no_room = self.rests();
        let open = self.open.fetch_sub(1, Ordering::SeqCst);
        had_no_room || open == 1 || open >= self.most_open
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_rests_makes_room_and_one_that_is_parked_stays_open() {
        let counts = StreamCounts::new(3, 2);
        counts.opens();
        counts.opens();
        assert!(!counts.has_room());
        assert!(counts.rests() && counts.has_room());
        counts.opens();
        assert!(counts.rests());
        assert!(!counts.has_room(), "three are open");
        assert!(counts.closes() && counts.has_room());
    }

    #[test]
    fn the_last_stream_rings_too() {
        let counts = StreamCounts::new(100, 10);
        counts.opens();
        counts.opens();
        assert!(!counts.closes());
        assert!(counts.closes() && counts.is_empty());
    }
}
