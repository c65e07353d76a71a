//! Which requests may ask a server while it does not answer.

use std::sync::atomic::{AtomicBool, Ordering};

/// While a server does not answer, one request asks it at a time, and the others fail at once. Each of them would wait
/// until the deadline, some of them on a worker, and soon pages without a session would find none.
#[derive(Default)]
pub(crate) struct Doubt {
    is_doubtful: AtomicBool,
    is_asked: AtomicBool,
}

/// The right to ask a server that did not answer lately. Dropping it gives it to the next.
pub(crate) struct Turn<'d>(&'d Doubt);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.is_asked.store(false, Ordering::Release);
    }
}

/// Another request is finding out whether the server answers again.
pub(crate) struct StillSilent;

impl Doubt {
    /// Whether the server has not answered lately. A hint.
    #[cfg(any(feature = "redis", feature = "memcached"))]
    pub(crate) fn is_doubtful(&self) -> bool {
        self.is_doubtful.load(Ordering::Relaxed)
    }

    /// Lets one caller through at a time while the server is silent. The caller holds the returned guard until it has
    /// its answer.
    pub(crate) fn enter(&self) -> Result<Option<Turn<'_>>, StillSilent> {
        // A hint: a caller that reads an old value waits for an answer as it would without it.
        if !self.is_doubtful.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let is_taken = self.is_asked.swap(true, Ordering::Acquire);
        if is_taken { Err(StillSilent) } else { Ok(Some(Turn(self))) }
    }

    /// The result: no answer in time, or some answer.
    pub(crate) fn learn(&self, was_silent: bool) {
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
