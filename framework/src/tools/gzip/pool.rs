//! Compressors that are lent and come back. Their states are large: with a new one, a page of 2 KB costs a fifth more.
//!
//! Bounded on both sides. A few rest here for the next response; the others are dropped when they come back. Whole
//! responses are compressed while they hold a worker, so there are never more of those than workers. A stream keeps its
//! compressor as long as the client takes to read. So there is a limit of streams, and none waits for it: one too many
//! is sent as it is.

use super::compressor::Compressor;
use crate::Error;
use crate::http::Coding;
use parking_lot::Mutex;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many compressors rest: three megabytes of gzip's. More than are at work at once on most machines.
const MAX_RESTING: usize = 8;

/// The compressors of one tool, for all paths.
#[derive(Default)]
pub(super) struct Pool {
    resting: Mutex<Vec<(Kind, Compressor)>>,
    streams: AtomicUsize,
}

/// The use of a compressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) coding: Coding,
    /// Of gzip.
    pub(super) level: u32,
}

impl Pool {
    /// Lends a compressor.
    pub(super) fn lend(self: &Arc<Self>, kind: Kind) -> Result<Lent, Error> {
        let mut resting = self.resting.lock();
        let found = resting.iter().rposition(|(resting, _)| *resting == kind).map(|index| resting.swap_remove(index).1);
        drop(resting);
        let compressor = match found {
            Some(compressor) => compressor,
            None => Compressor::new(kind.coding, kind.level)?,
        };
        Ok(Lent { compressor: Some(compressor), kind, pool: Arc::clone(self), is_streams: false })
    }

    /// Lends a compressor to a stream, unless `most` streams have one.
    pub(super) fn lend_to_stream(self: &Arc<Self>, kind: Kind, most: usize) -> Result<Option<Lent>, Error> {
        let more = |streams| (streams < most).then_some(streams + 1);
        if self.streams.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Ok(None);
        }
        match self.lend(kind) {
            Ok(mut lent) => {
                lent.is_streams = true;
                Ok(Some(lent))
            }
            Err(error) => {
                self.streams.fetch_sub(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

/// A compressor that goes back when it is dropped, wherever its work stopped.
pub(super) struct Lent {
    /// Empty only while it goes back.
    compressor: Option<Compressor>,
    kind: Kind,
    pool: Arc<Pool>,
    is_streams: bool,
}

impl Deref for Lent {
    type Target = Compressor;

    fn deref(&self) -> &Compressor {
        self.compressor.as_ref().expect("taken only when it is dropped")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Compressor {
        self.compressor.as_mut().expect("taken only when it is dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.is_streams {
            self.pool.streams.fetch_sub(1, Ordering::Relaxed);
        }
        let Some(mut compressor) = self.compressor.take() else { return };
        // One that a panic has passed through may be in any state.
        if std::thread::panicking() || !compressor.reset() {
            return;
        }
        let mut resting = self.pool.resting.lock();
        if resting.len() < MAX_RESTING {
            resting.push((self.kind, compressor));
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let resting = self.resting.lock().len();
        f.debug_struct("Pool").field("resting", &resting).field("streams", &self.streams).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::compressor::Then;
    use super::*;

    const GZIP: Kind = Kind { coding: Coding::Gzip, level: 5 };

    #[test]
    fn a_compressor_that_came_back_is_lent_again() {
        let pool = Arc::new(Pool::default());
        let mut lent = pool.lend(GZIP).unwrap();
        lent.compress(b"half of a", Then::More, &mut Vec::new()).unwrap();
        drop(lent);
        assert_eq!(pool.resting.lock().len(), 1);
        let other = pool.lend(Kind { level: 9, ..GZIP }).unwrap();
        assert_eq!(pool.resting.lock().len(), 1);
        let again = pool.lend(GZIP).unwrap();
        assert_eq!(pool.resting.lock().len(), 0);
        drop((other, again));
        assert_eq!(pool.resting.lock().len(), 2);
    }

    #[test]
    fn only_a_few_rest() {
        let pool = Arc::new(Pool::default());
        let lent: Vec<_> = (0..2 * MAX_RESTING).map(|_| pool.lend(GZIP).unwrap()).collect();
        drop(lent);
        assert_eq!(pool.resting.lock().len(), MAX_RESTING);
    }

    #[test]
    fn one_stream_too_many_gets_none_until_another_has_ended() {
        let pool = Arc::new(Pool::default());
        let first = pool.lend_to_stream(GZIP, 2).unwrap();
        let second = pool.lend_to_stream(GZIP, 2).unwrap();
        assert!(first.is_some() && second.is_some() && pool.lend_to_stream(GZIP, 2).unwrap().is_none());
        drop(second);
        assert!(pool.lend_to_stream(GZIP, 2).unwrap().is_some());
        assert!(pool.lend_to_stream(GZIP, 0).unwrap().is_none());
        drop(first);
        assert_eq!(pool.streams.load(Ordering::Relaxed), 0);
    }
}
