//! Deadlines as small numbers: milliseconds since the server started, in 32 bits that may wrap.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A moment, comparable with moments up to 24 days away. Longer waits are cut to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tick(u32);

/// A cut far away from the point where "before" and "after" change places.
const LONGEST: u32 = u32::MAX / 2 - 1000;

impl Tick {
    pub(super) fn after(self, wait: Duration) -> Self {
        let milliseconds = u32::try_from(wait.as_millis()).unwrap_or(LONGEST).min(LONGEST);
        Self(self.0.wrapping_add(milliseconds))
    }

    pub(super) fn has_passed(self, now: Self) -> bool {
        now.0.wrapping_sub(self.0) <= u32::MAX / 2
    }

    /// How long ago `earlier` was.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::from(self.0.wrapping_sub(earlier.0)))
    }

    /// How long it is until then.
    pub(super) fn left(self, now: Self) -> Duration {
        if self.has_passed(now) { Duration::ZERO } else { self.since(now) }
    }

    #[cfg(test)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    pub(super) fn earlier(self, other: Self) -> Self {
        if self.has_passed(other) { self } else { other }
    }
}

/// Where ticks count from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    coarse_start: Timespec,
    began: SystemTime,
}

impl Clock {
    pub(super) fn new() -> Self {
        let coarse_start = clock_gettime(ClockId::MonotonicCoarse);
        Self { start: Instant::now(), coarse_start, began: SystemTime::now() }
    }

    /// A clock that has been going for so long.
    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(super) fn started_before(age: Duration) -> Self {
        let now = Self::new();
        Self { start: now.start.checked_sub(age).expect("the clock of the system counts from long ago"), ..now }
    }

    pub(super) fn now(self) -> Tick {
        self.tick(Instant::now())
    }

    /// How long it has been going.
    pub(super) fn age(self) -> Duration {
        self.start.elapsed()
    }

    /// When it began, by the clock on the wall.
    pub(super) fn began(self) -> SystemTime {
        self.began
    }

    /// A moment as milliseconds since the start, which never wrap.
    #[expect(clippy::cast_possible_truncation, reason = "the age of the universe fits")]
    pub(super) fn millis(self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.start).as_millis() as u64
    }

    /// As [`now`](Self::now), but up to 10 ms late, from the kernel's last timer interrupt: a tenth of the price, for
    /// deadlines that are seconds away.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks wrap")]
    pub(super) fn coarse(self) -> Tick {
        let (now, start) = (clock_gettime(ClockId::MonotonicCoarse), self.coarse_start);
        Tick(((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1_000_000) as u32)
    }

    /// The first tick at which `moment` has passed, so that a comparison with the precise clock then agrees.
    pub(super) fn deadline(self, moment: Instant) -> Tick {
        self.tick(moment).after(Duration::from_millis(1))
    }

    #[expect(clippy::cast_possible_truncation, reason = "ticks wrap")]
    pub(super) fn tick(self, moment: Instant) -> Tick {
        Tick(self.millis(moment) as u32)
    }
}

/// The deadline of a slot: written by its owner before it lets go, read by the ticker at any time.
#[derive(Debug, Default)]
pub(super) struct Deadline(AtomicU32);

impl Deadline {
    const NONE: u32 = 0;

    pub(super) fn set(&self, deadline: Option<Tick>) {
        let value = deadline.map_or(Self::NONE, |tick| tick.0.max(1));
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<Tick> {
        match self.0.load(Ordering::Relaxed) {
            Self::NONE => None,
            value => Some(Tick(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_beyond_the_wrap_has_not_passed() {
        let now = Tick(u32::MAX - 10);
        let deadline = now.after(Duration::from_millis(100));
        assert!(!deadline.has_passed(now));
        assert!(deadline.has_passed(Tick(deadline.0.wrapping_add(1))));
        assert_eq!(now.earlier(deadline), now);
    }

    #[test]
    fn at_the_tick_of_a_deadline_the_precise_clock_has_passed_it() {
        let clock = Clock::new();
        for micros in [0, 1, 999, 1000, 1001] {
            let moment = clock.start + Duration::from_micros(micros);
            let reached = clock.start + Duration::from_millis(u64::from(clock.deadline(moment).bits()));
            assert!(reached > moment, "{micros}");
        }
    }

    #[test]
    fn an_endless_wait_is_cut() {
        assert!(!Tick(5).after(Duration::MAX).has_passed(Tick(5)));
    }
}
