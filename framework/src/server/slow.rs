//! The last requests that took long, and where their time went.
//!
//! A plain page pays a comparison for it. Requests that wait for something are noted where they begin to wait. One that
//! only has a slow handler is marked by the ticker, which looks at the workers anyway.

use crate::exchange::{Doing, Exchange, RequestId, Spent};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A request that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);
/// The ticker marks a request on a worker this early, so that it need not look in the very moment.
pub(super) const WORTH_A_MARK: Duration = Duration::from_millis(500);
/// As many are kept.
const MAX_KEPT: usize = 100;

/// A slow request that has ended.
#[derive(Clone)]
pub(super) struct Ended {
    pub(super) line: Vec<u8>,
    pub(super) id: RequestId,
    /// Where the description of its handler is; 0 if it had none.
    pub(super) handler: usize,
    pub(super) at: Instant,
    pub(super) took: Duration,
    /// In the queue, parked, on a worker, reading the body, sending.
    pub(super) parts: [Duration; 5],
}

/// The last slow requests.
#[derive(Default)]
pub(super) struct SlowRequests(Mutex<VecDeque<Ended>>);

impl SlowRequests {
    /// A request has ended whose time was noted.
    #[cold]
    pub(super) fn note(&self, exchange: &Exchange, spent: &Spent) {
        let at = Instant::now();
        let took = at.saturating_duration_since(exchange.request.received());
        if took < SLOW {
            return;
        }
        let parts = [Doing::Queue, Doing::Parked, Doing::Worker, Doing::Body, Doing::Sending];
        let ended = Ended {
            line: exchange.request.head.method_and_path().to_vec(),
            id: exchange.request.id,
            handler: exchange.trail.handler.as_ref().map_or(0, crate::exchange::HandlerRef::address),
            at,
            took,
            parts: parts.map(|doing| spent.time(doing, at)),
        };
        let mut kept = self.0.lock();
        if kept.len() == MAX_KEPT {
            kept.pop_back();
        }
        kept.push_front(ended);
    }

    /// Each of them, the latest first.
    pub(super) fn all(&self) -> Vec<Ended> {
        self.0.lock().iter().cloned().collect()
    }
}
