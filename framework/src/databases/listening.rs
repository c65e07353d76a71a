//! Hearing what other processes say, on a channel of the engine: on a thread for that alone, on a connection of its
//! own, again and again after a break.
//!
//! Messages are hints. Whoever listens must find out by itself, later, what a lost one would have told.

use super::{Owner, StoreError};
use std::time::Duration;

/// Who listens.
pub(crate) trait Ear {
    /// From now on every message is heard. Some may have been missed before.
    fn connected(&mut self);

    fn heard(&mut self, message: &str);

    /// From now on nothing is heard, until it is connected again.
    fn cut_off(&mut self) {}

    /// How long it may hear nothing until it is asked this again; `None` when it has heard enough. Asked before each
    /// message, and between two attempts to connect.
    fn patience(&mut self) -> Option<Duration>;
}

/// An ear, and how well its connection does.
pub(crate) struct Listening<'e> {
    owner: Owner,
    place: &'e str,
    ear: &'e mut dyn Ear,
    failures: usize,
}

impl Listening<'_> {
    pub(crate) fn connected(&mut self) {
        if self.failures > 0 {
            let place = self.place;
            crate::line::record!(Info, target: self.owner.log, "messages from {place} are heard again");
            self.failures = 0;
        }
        self.ear.connected();
    }

    pub(crate) fn heard(&mut self, message: &str) {
        self.ear.heard(message);
    }

    pub(crate) fn patience(&mut self) -> Option<Duration> {
        self.ear.patience()
    }
}

/// After this time without a message the server is asked whether it is still there: a peer that has vanished without a
/// word says nothing either.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);

/// Listens until the ear has heard enough. `once` does it on one connection, and returns when that breaks.
pub(crate) fn listen(
    owner: Owner,
    place: &str,
    ear: &mut dyn Ear,
    mut once: impl FnMut(&mut Listening<'_>) -> Result<(), StoreError>,
) {
    const BACK_OFF: [u64; 5] = [50, 100, 200, 500, 1000];
    let mut listening = Listening { owner, place, ear, failures: 0 };
    while let Err(problem) = once(&mut listening) {
        if listening.failures == 0 {
            crate::line::record!(Warn, target: owner.log, "no messages are heard any more: {problem}");
        }
        listening.ear.cut_off();
        std::thread::sleep(Duration::from_millis(BACK_OFF[listening.failures.min(BACK_OFF.len() - 1)]));
        listening.failures += 1;
        if listening.patience().is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::capture::records;

    const OWNER: Owner = Owner {
        settings: "test",
        log: "kirsch::test",
        #[cfg(feature = "redis")]
        page: "",
    };

    /// Counts connections; hears two messages.
    struct Two(usize, Vec<String>);

    impl Ear for Two {
        fn connected(&mut self) {
            self.0 += 1;
        }
        fn heard(&mut self, message: &str) {
            self.1.push(message.to_owned());
        }
        fn patience(&mut self) -> Option<Duration> {
            (self.1.len() < 2).then_some(Duration::ZERO)
        }
    }

    #[test]
    fn after_a_break_it_is_listened_again_and_the_log_has_two_lines() {
        let mut ear = Two(0, Vec::new());
        let mut attempts = 0;
        let once = |listening: &mut Listening<'_>| {
            attempts += 1;
            if attempts % 2 == 1 {
                return Err(StoreError::new("cut off", "here"));
            }
            listening.connected();
            listening.heard("a");
            if listening.patience().is_none() { Ok(()) } else { Err(StoreError::new("cut off", "here")) }
        };
        let lines = records("kirsch::test", || listen(OWNER, "here", &mut ear, once));
        assert_eq!((ear.0, ear.1.len()), (2, 2));
        assert_eq!(lines.len(), 4, "each break has a line, a further attempt has none: {lines:?}");
    }
}
