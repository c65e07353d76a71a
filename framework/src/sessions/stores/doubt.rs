//! Who may ask a server while it does not answer.

use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering};

/// While a server does not answer, one asks it at a time, and the others are told at once: each of them would hold a worker until the deadline, and soon
/// pages without a session would find none.
#[derive(Default)]
pub(super) struct Doubt {
    is_doubtful: AtomicBool,
    asking: Mutex<()>,
}

/// Somebody else is finding out whether the server answers again.
pub(super) struct StillSilent;

impl Doubt {
    /// Whether the server has not answered lately. A hint.
    #[cfg(feature = "redis")]
    pub(super) fn is_doubtful(&self) -> bool {
        self.is_doubtful.load(Ordering::Relaxed)
    }

    /// Whether this one may ask. He keeps what he gets until he has his answer.
    pub(super) fn enter(&self) -> Result<Option<MutexGuard<'_, ()>>, StillSilent> {
        // A hint: who reads an old value waits for an answer as he would without it.
        if !self.is_doubtful.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.asking.try_lock().map(Some).ok_or(StillSilent)
    }

    /// What came of it: no answer in time, or some answer.
    pub(super) fn learn(&self, was_silent: bool) {
        if self.is_doubtful.load(Ordering::Relaxed) != was_silent {
            self.is_doubtful.store(was_silent, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_is_asked_by_one_at_a_time_until_it_answers() {
        let doubt = Doubt::default();
        assert!(doubt.enter().is_ok_and(|turn| turn.is_none()), "no doubt");
        doubt.learn(true);
        let turn = doubt.enter().ok().expect("the first");
        assert!(turn.is_some() && doubt.enter().is_err());
        drop(turn);
        assert!(doubt.enter().is_ok(), "the next");
        doubt.learn(false);
        assert!(doubt.enter().is_ok_and(|turn| turn.is_none()), "no doubt");
    }
}
