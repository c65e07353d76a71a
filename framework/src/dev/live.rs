//! The present state, and the requests that wait for the next one.

use super::Progress;
use crate::exchange::{Claim, Turn, Watch};
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::Waker;

/// How many browser windows may wait.
const MAX_WAITING: usize = 100;

/// The state of the development, shared by the link and the tool.
#[derive(Clone, Debug)]
pub(super) struct Live {
    present: Arc<Mutex<Arc<Progress>>>,
    news: Watch<()>,
}

impl Live {
    pub(super) fn new(progress: Progress) -> Self {
        Self { present: Arc::new(Mutex::new(Arc::new(progress))), news: Watch::new("news of the build", MAX_WAITING) }
    }

    pub(super) fn present(&self) -> Arc<Progress> {
        self.present.lock().clone()
    }

    /// Takes a new state, and lets all go that wait for one.
    pub(super) fn update(&self, progress: Progress) {
        {
            let mut present = self.present.lock();
            if present.version == progress.version {
                return;
            }
            *present = Arc::new(progress);
        }
        self.news.happened(&());
    }

    /// Lets all go, and lets none wait any more.
    pub(super) fn close(&self) {
        self.news.close();
    }

    /// A turn that is over when there is a state after this version; `None` if there is one, or too many wait.
    pub(super) fn enter(&self, seen: u64, claim: &Claim, waker: impl FnOnce() -> Waker) -> Option<Turn<()>> {
        let is_present = || self.present.lock().version == seen;
        if !is_present() {
            return None;
        }
        let turn = self.news.enter((), claim, waker())?;
        // A state that came before the request was in line wakes nobody.
        is_present().then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: u64) -> Progress {
        Progress { version, ..Progress::default() }
    }

    fn enter(live: &Live, seen: u64) -> Option<Turn<()>> {
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
