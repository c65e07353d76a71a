//! How long a client may keep the server waiting: a time without a byte, and a rate on the whole.
//!
//! Request bodies, read before the handler or by it, and responses are measured alike. A client begins with a time of
//! grace. Waiting for it uses that time up, and each byte gives a part of it back, but never beyond the beginning. So a
//! client that falls silent is given up after the grace wherever it stops, and fast bytes buy no right to be silent for
//! long afterwards. The measure is the rate over a window of about the grace.
//!
//! Only waiting counts. Other time is not the client's fault.

use super::clock::Tick;
use std::time::Duration;

/// How slow a client may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Longest time without a byte.
    pub(super) grace: Duration,
    /// Bytes per second; 0 when each byte renews the whole grace.
    pub(super) rate: u64,
}

/// In a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// The rest of one client's time.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
}

impl Patience {
    pub(super) fn new(pace: Pace) -> Self {
        Self { left: pace.grace }
    }

    /// How long the client may still be waited for.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// The client has been waited for.
    pub(super) fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }

    /// The client has sent or taken this many bytes.
    pub(super) fn earn(&mut self, bytes: usize, pace: Pace) {
        // In nanoseconds: rounded to milliseconds, small pieces would earn nothing, however many there are.
        let earned =
            (bytes as u64).saturating_mul(NANOSECONDS).checked_div(pace.rate).map_or(pace.grace, Duration::from_nanos);
        if bytes > 0 {
            self.left = self.left.saturating_add(earned).min(pace.grace);
        }
    }
}

/// A client that is waited for again and again, without a thread.
#[derive(Debug)]
pub(super) struct Awaited {
    patience: Patience,
    /// Since when, while it is waited for.
    since: Option<Tick>,
}

impl Awaited {
    pub(super) fn new(pace: Pace) -> Self {
        Self { patience: Patience::new(pace), since: None }
    }

    /// The client is waited for, from now on unless it was before. Returns when it must have done more.
    pub(super) fn wait(&mut self, now: Tick) -> Tick {
        self.since.get_or_insert(now).after(self.patience.left())
    }

    /// The client has sent or taken this many bytes. The moment is only asked for if the client was waited for.
    pub(super) fn earn(&mut self, bytes: usize, pace: Pace, now: impl FnOnce() -> Tick) {
        if let Some(since) = self.since.take() {
            self.patience.spend(now().since(since));
        }
        self.patience.earn(bytes, pace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { grace: Duration::from_secs(10), rate: 1000 };
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn fast_bytes_buy_no_more_than_the_grace() {
        let mut patience = Patience::new(PACE);
        patience.earn(1 << 30, PACE);
        assert_eq!(patience.left(), PACE.grace);
    }

    #[test]
    fn a_client_that_keeps_the_rate_is_waited_for_without_end() {
        let mut patience = Patience::new(PACE);
        for _ in 0..1000 {
            patience.spend(9 * SECOND);
            assert!(!patience.left().is_zero());
            patience.earn(9000, PACE);
        }
    }

    #[test]
    fn small_pieces_count_in_full() {
        for (bytes, rate, pause) in [(1, 1024, 900_u64), (1500, 1 << 20, 1400), (3, 2500, 1100)] {
            let pace = Pace { rate, ..PACE };
            let mut patience = Patience::new(pace);
            for _ in 0..100_000 {
                patience.spend(Duration::from_micros(pause));
                assert!(!patience.left().is_zero(), "{bytes} bytes each {pause} microseconds");
                patience.earn(bytes, pace);
            }
        }
    }

    #[test]
    fn a_client_below_the_rate_is_given_up_however_it_spreads_its_bytes() {
        for (bytes, pause) in [(1, SECOND / 10), (100, SECOND), (4000, 9 * SECOND), (0, SECOND)] {
            let mut patience = Patience::new(PACE);
            let silent = |_: u32| {
                patience.spend(pause);
                let is_over = patience.left().is_zero();
                patience.earn(bytes, PACE);
                is_over
            };
            assert!((0..200).any(silent), "{bytes} bytes each {pause:?}");
        }
    }

    #[test]
    fn without_a_rate_each_byte_renews_the_grace() {
        let pace = Pace { rate: 0, ..PACE };
        let mut patience = Patience::new(pace);
        patience.spend(9 * SECOND);
        patience.earn(0, pace);
        assert_eq!(patience.left(), SECOND);
        patience.earn(1, pace);
        assert_eq!(patience.left(), pace.grace);
    }

    #[test]
    fn a_deadline_moves_with_the_bytes() {
        let at = |second| Tick::default().after(second * SECOND);
        let mut client = Awaited::new(PACE);
        assert_eq!((client.wait(at(0)), client.wait(at(1))), (at(10), at(10)));
        client.earn(2000, PACE, || at(5));
        // From here to second 20 the server had other work.
        assert_eq!(client.wait(at(20)), at(27));
        client.earn(1 << 30, PACE, || at(21));
        assert_eq!(client.wait(at(21)), at(31));
    }
}
