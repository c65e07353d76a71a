//! Connections that are kept for the next request, at most so many at once. The store defines the connection.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

pub(crate) struct Pool<L> {
    most: usize,
    patience: Duration,
    state: Mutex<State<L>>,
    freed: Condvar,
}

/// Invariant: `open` counts the idle ones and the leases.
struct State<L> {
    idle: Vec<L>,
    open: usize,
}

/// All places are taken, and none became free in time.
pub(crate) struct Full;

impl<L> Pool<L> {
    /// Waits for a free place for at most `patience`.
    pub(crate) fn new(most: usize, patience: Duration) -> Self {
        Self { most, patience, state: Mutex::new(State { idle: Vec::new(), open: 0 }), freed: Condvar::new() }
    }

    /// The connection used last, or a place for a new one.
    pub(crate) fn lease(&self) -> Result<Lease<'_, L>, Full> {
        self.wait_for(|state| {
            if let Some(link) = state.idle.pop() {
                return Some(Some(link));
            }
            (state.open < self.most).then(|| {
                state.open += 1;
                None
            })
        })
    }

    /// A place for a new one.
    #[cfg(any(test, feature = "redis", feature = "memcached"))]
    pub(crate) fn place(&self) -> Result<Lease<'_, L>, Full> {
        let mut lease = self.lease()?;
        lease.link = None;
        Ok(lease)
    }

    #[cfg(any(test, feature = "redis", feature = "memcached"))]
    pub(crate) fn close_idle(&self) {
        let mut state = self.state.lock();
        let closed = std::mem::take(&mut state.idle);
        state.open -= closed.len();
        drop(state);
        self.freed.notify_all();
        drop(closed);
    }

    fn wait_for(&self, take: impl Fn(&mut State<L>) -> Option<Option<L>>) -> Result<Lease<'_, L>, Full> {
        let deadline = Instant::now() + self.patience;
        let mut state = self.state.lock();
        loop {
            if let Some(link) = take(&mut state) {
                return Ok(Lease { pool: self, link });
            }
            if self.freed.wait_until(&mut state, deadline).timed_out() {
                return Err(Full);
            }
        }
    }
}

/// A connection in use, or the place for one. A caller that leaves a connection in it gives that back for the next.
pub(crate) struct Lease<'p, L> {
    pool: &'p Pool<L>,
    pub(crate) link: Option<L>,
}

impl<L> Drop for Lease<'_, L> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock();
        match self.link.take() {
            Some(link) => state.idle.push(link),
            None => state.open -= 1,
        }
        drop(state);
        self.pool.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_used_again_and_the_maximum_is_kept() {
        let pool = Pool::new(2, Duration::ZERO);
        let mut first = pool.lease().ok().expect("a place");
        first.link = Some("first");
        drop(first);
        let first = pool.lease().ok().expect("kept");
        assert_eq!(first.link, Some("first"));
        let second = pool.lease().ok().expect("a place");
        assert!(second.link.is_none() && pool.lease().is_err(), "two are the most");
        drop(second);
        assert!(pool.lease().is_ok(), "a place that was not used is free again");
    }

    #[test]
    fn a_place_for_a_new_one_closes_an_old_one() {
        let pool = Pool::new(1, Duration::ZERO);
        pool.lease().ok().expect("a place").link = Some("old");
        assert_eq!(pool.place().ok().expect("the place of the old one").link, None);
        pool.close_idle();
        assert!(pool.lease().ok().expect("a place").link.is_none());
    }
}
