//! How the time of one request was spent: in the queue, waiting for others, on a worker, with its client.
//!
//! Noted only for requests that had to wait for something or that are slow, so that a plain page reads no clock for it.

use super::Exchange;
use std::time::{Duration, Instant};

/// What a request does with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It waits for a worker.
    Queue,
    /// It is parked: for a lock, for a place, for another request.
    Parked,
    /// A worker runs it: hooks and handler.
    Worker,
    /// Its client sends the body.
    Body,
    /// Its client takes the response.
    Sending,
}

/// A clock that always runs for one of these.
#[derive(Debug)]
pub(crate) struct Spent {
    doing: Doing,
    since: Instant,
    times: [Duration; 5],
}

impl Spent {
    /// From now on the request does this.
    #[cold]
    pub(crate) fn turn(exchange: &mut Exchange, doing: Doing) {
        let since = exchange.request.received();
        let new = || Box::new(Self { doing: Doing::Worker, since, times: [Duration::ZERO; 5] });
        exchange.spent.get_or_insert_with(new).turn_to(doing);
    }

    /// The same, if it is noted at all.
    #[inline]
    pub(crate) fn turn_if_noted(exchange: &mut Exchange, doing: Doing) {
        if let Some(spent) = &mut exchange.spent {
            spent.turn_to(doing);
        }
    }

    fn turn_to(&mut self, doing: Doing) {
        if doing != self.doing {
            let now = Instant::now();
            self.times[self.doing as usize] += now.saturating_duration_since(self.since);
            (self.doing, self.since) = (doing, now);
        }
    }

    /// The time that went into this until now.
    pub(crate) fn time(&self, doing: Doing, now: Instant) -> Duration {
        let running = if doing == self.doing { now.saturating_duration_since(self.since) } else { Duration::ZERO };
        self.times[doing as usize] + running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_time_goes_into_what_the_request_does() {
        let mut exchange = Exchange::new();
        let received = Instant::now();
        exchange.request.received = Some(received);
        for doing in [Doing::Queue, Doing::Worker, Doing::Parked, Doing::Parked, Doing::Worker, Doing::Sending] {
            Spent::turn(&mut exchange, doing);
        }
        let spent = exchange.spent.take().expect("it is noted");
        let now = Instant::now();
        let all = [Doing::Queue, Doing::Parked, Doing::Worker, Doing::Body, Doing::Sending];
        assert_eq!(all.map(|doing| spent.time(doing, now)).iter().sum::<Duration>(), now - received);
        assert_eq!(spent.time(Doing::Body, now), Duration::ZERO);
    }
}
