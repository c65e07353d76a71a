//! The present state, and the requests that wait for the next one: parked on the wait list.
//!
//! A place of the present version is kept here until there is another one, so that requests stand in line for it. Then
//! all of them are let go without a place. Whether the version is still the one that a browser has seen is looked at
//! under the lock, so none of them waits for a state that has come.

use super::Progress;
use crate::exchange::{Claim, Class, Entered, Place, Turn, WaitList};
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::Waker;

/// How many browser windows may wait.
const MAX_WAITING: usize = 100;

/// The state of the development, shared by the link and the tool.
#[derive(Clone, Debug)]
pub(super) struct Live(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    list: WaitList<u64>,
    present: Mutex<Present>,
}

#[derive(Debug)]
struct Present {
    progress: Arc<Progress>,
    /// Of its version. `None` once the program stops: then none waits any more.
    place: Option<Place<u64>>,
}

impl Live {
    pub(super) fn new(progress: Progress) -> Self {
        let list = WaitList::new("news of the build", 1).max_waiting(MAX_WAITING);
        let place = list.try_enter(progress.version, &Claim::unknown());
        Self(Arc::new(Shared { list, present: Mutex::new(Present { progress: Arc::new(progress), place }) }))
    }

    pub(super) fn present(&self) -> Arc<Progress> {
        self.0.present.lock().progress.clone()
    }

    /// Takes a new state, and lets all go that wait for one.
    pub(super) fn update(&self, progress: Progress) {
        let earlier = {
            let mut present = self.0.present.lock();
            if present.progress.version == progress.version {
                return;
            }
            let next = self.0.list.try_enter(progress.version, &Claim::unknown());
            present.progress = Arc::new(progress);
            if present.place.is_some() { std::mem::replace(&mut present.place, next) } else { None }
        };
        self.let_go(earlier);
    }

    /// Lets all go, and lets none wait any more.
    pub(super) fn close(&self) {
        let earlier = self.0.present.lock().place.take();
        self.let_go(earlier);
    }

    /// A turn that is over when there is a state after this version; `None` if there is one, or too many wait.
    pub(super) fn enter(&self, seen: u64, claim: &Claim, waker: impl FnOnce() -> Waker) -> Option<Turn<u64>> {
        let present = self.0.present.lock();
        if present.place.is_none() || present.progress.version != seen {
            return None;
        }
        match self.0.list.enter(seen, claim, Class::Usual, waker) {
            Entered::Turn(turn) => Some(turn),
            Entered::Place(_) | Entered::Full => None,
        }
    }

    /// Those that stand in line are let go before the place is given back, so none of them gets it.
    fn let_go(&self, place: Option<Place<u64>>) {
        let Some(place) = place else { return };
        let mut wakers = Vec::new();
        self.0.list.dismiss(place.key(), &mut wakers);
        drop(place);
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: u64) -> Progress {
        Progress { version, ..Progress::default() }
    }

    fn enter(live: &Live, seen: u64) -> Option<Turn<u64>> {
        live.enter(seen, &Claim::unknown(), || Waker::noop().clone())
    }

    #[test]
    fn a_browser_that_has_seen_the_present_state_waits_for_the_next() {
        let live = Live::new(at(1));
        assert!(enter(&live, 0).is_none());
        let mut turn = enter(&live, 1).unwrap();
        assert!(turn.poll().is_pending());
        live.update(at(2));
        assert!(turn.poll().is_ready());
        assert!(enter(&live, 1).is_none());
        assert!(enter(&live, 2).is_some());
    }

    #[test]
    fn a_stop_lets_all_go() {
        let live = Live::new(at(1));
        let mut turn = enter(&live, 1).unwrap();
        live.close();
        assert!(turn.poll().is_ready());
        live.update(at(2));
        assert!(enter(&live, 2).is_none());
    }
}
