//! Who hears of jobs that other processes have enqueued: the message is in how many milliseconds the job is due.

use crate::databases::listening;
use std::time::Duration;

pub(super) struct Ear<'e> {
    pub(super) heard: &'e dyn Fn(Duration),
    pub(super) goes_on: &'e dyn Fn() -> bool,
}

impl listening::Ear for Ear<'_> {
    fn connected(&mut self) {
        (self.heard)(Duration::ZERO);
    }

    fn heard(&mut self, message: &str) {
        (self.heard)(Duration::from_millis(message.parse().unwrap_or(0)));
    }

    fn patience(&mut self) -> Option<Duration> {
        (self.goes_on)().then_some(Duration::from_secs(1))
    }
}
