//! Whether a queue in an engine has room for one more job.

use super::queue::QueueError;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// How often jobs are counted; in between the new ones are added.
const COUNT_AGAIN: Duration = Duration::from_secs(1);
/// So close to the end every job counts.
const CLOSE: usize = 100;

/// How many jobs waited or ran at a moment, and those that were enqueued here since. Other processes may enqueue a few
/// more than there is room for, as they count for themselves.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<Option<(Instant, usize)>>);

impl Room {
    /// Takes room for one more of at most `max_waiting`. `count` asks the engine.
    pub(super) fn take(
        &self,
        max_waiting: usize,
        count: impl FnOnce() -> Result<usize, QueueError>,
    ) -> Result<(), QueueError> {
        let known = *self.0.lock();
        let fresh = known.filter(|(at, count)| at.elapsed() < COUNT_AGAIN && count.saturating_add(CLOSE) < max_waiting);
        // Nothing is locked while the engine is asked.
        let (at, count) = match fresh {
            Some(known) => known,
            None => (Instant::now(), count()?),
        };
        let mut known = self.0.lock();
        let is_newer = known.is_some_and(|(other, _)| other > at);
        match &mut *known {
            Some((_, count)) if is_newer || fresh.is_some() => *count += 1,
            known => *known = Some((at, count + 1)),
        }
        if count >= max_waiting { Err(QueueError::Full(count)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn jobs_are_counted_now_and_then_and_each_time_when_there_is_little_room() {
        let (room, counted) = (Room::default(), Cell::new(0));
        let take = |max_waiting, waiting| {
            let count = || {
                counted.set(counted.get() + 1);
                Ok(waiting)
            };
            room.take(max_waiting, count).is_ok()
        };
        assert!((0..50).all(|_| take(1000, 0)));
        assert_eq!(counted.get(), 1, "those that are added are not counted again");
        assert!(take(100, 99) && !take(100, 100));
        assert_eq!(counted.get(), 3);
    }
}
