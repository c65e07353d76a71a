//! Counts and times of requests by route, for metrics: nothing here runs unless a tool has asked for it.
//!
//! A series is the pattern of a route, never a path, so strangers cannot make more of them. Requests that lead to no
//! handler count for the section whose tool has answered, or as `unmatched`. Each thread adds to counters of its own;
//! they are added up when they are read. So no cache line is written by two workers.

use crate::exchange::{Delivery, Exchange, QueueNote, Stage};
use crate::publish::route_key;
use ::http::{Method, StatusCode};
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Most routes with counts of their own; the others count together.
const MAX_ROUTES: usize = 1000;
/// How many threads have counters of their own; further ones share them.
const SHARDS: usize = 64;

/// The methods that are told apart; the last stands for all others.
pub(crate) const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
pub(crate) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The upper bounds of times, in microseconds; all longer ones are in one more bucket.
pub(crate) const BOUNDS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];
const SHORTEST: u64 = BOUNDS[0] * 1000;

/// The counts of an application.
#[derive(Debug)]
pub(crate) struct RequestCounts {
    /// The label of each series.
    labels: Vec<String>,
    /// The series of routes by their keys. As many places as a power of two, at least twice as many as routes.
    table: Vec<Option<(u64, usize)>>,
    /// The series of the first section.
    sections: usize,
    shards: [OnceLock<Box<Shard>>; SHARDS],
}

const UNMATCHED: usize = 0;
const OTHER: usize = 1;

#[derive(Debug)]
struct Shard {
    series: Box<[Series]>,
    queue: Times,
    waits: Times,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Series {
    requests: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    whole: Times,
    handler: Times,
}

/// How many times were within each bound.
#[derive(Debug, Default)]
struct Times {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Times {
    #[inline]
    fn add(&self, nanoseconds: u64) {
        // Nearly all are.
        let bucket = if nanoseconds <= SHORTEST { 0 } else { bucket(nanoseconds) };
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

#[cold]
fn bucket(nanoseconds: u64) -> usize {
    BOUNDS.partition_point(|bound| nanoseconds > bound * 1000)
}

/// Five centuries at most.
#[inline]
pub(super) fn nanoseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(time.subsec_nanos()))
}

/// The counts of one series, or of times without one, added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeSums {
    pub(crate) buckets: [u64; BOUNDS.len() + 1],
    pub(crate) nanoseconds: u64,
}

impl TimeSums {
    fn add(&mut self, times: &Times) {
        for (sum, count) in self.buckets.iter_mut().zip(&times.buckets) {
            *sum += count.load(Ordering::Relaxed);
        }
        self.nanoseconds += times.nanoseconds.load(Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesSums {
    pub(crate) requests: [[u64; CLASSES.len()]; METHODS.len()],
    pub(crate) whole: TimeSums,
    pub(crate) handler: TimeSums,
}

/// All counts of a moment. A request that ends meanwhile may be in one of them and not yet in another.
#[derive(Debug)]
pub(crate) struct CountSums<'c> {
    /// Series that have counts, with their labels.
    pub(crate) series: Vec<(&'c str, SeriesSums)>,
    pub(crate) queue: TimeSums,
    pub(crate) waits: TimeSums,
    pub(crate) bytes: u64,
}

impl RequestCounts {
    /// Counts for routes by their keys, and for sections of paths.
    pub(super) fn new(routes: impl IntoIterator<Item = (u64, String)>, sections: impl Iterator<Item = String>) -> Self {
        let mut labels = vec!["unmatched".to_owned(), "other".to_owned()];
        let routes: Vec<_> = routes.into_iter().collect();
        let places = (routes.len() * 2).next_power_of_two().max(2);
        let mut table = vec![None; places];
        for (key, path) in routes.into_iter().take(MAX_ROUTES) {
            let series = labels.iter().position(|label| *label == path).unwrap_or_else(|| {
                labels.push(path);
                labels.len() - 1
            });
            let place = (0..places).map(|step| place(key, step, places)).find(|place| table[*place].is_none());
            if let Some(place) = place {
                table[place] = Some((key, series));
            }
        }
        let first_section = labels.len();
        labels.extend(sections);
        Self { labels, table, sections: first_section, shards: [const { OnceLock::new() }; SHARDS] }
    }

    fn shard(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
        }
        let mut own = OWN.get();
        if own == usize::MAX {
            own = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            OWN.set(own);
        }
        self.shards[own].get_or_init(|| {
            Box::new(Shard {
                series: self.labels.iter().map(|_| Series::default()).collect(),
                queue: Times::default(),
                waits: Times::default(),
                bytes: AtomicU64::new(0),
            })
        })
    }

    fn series(&self, exchange: &Exchange) -> usize {
        let course = &exchange.course;
        let steps = exchange.trail.steps();
        if course.stage == Stage::Refused {
            return UNMATCHED;
        }
        if !steps.is_empty() {
            let key = route_key(course.tree, steps);
            for step in 0..self.table.len() {
                match self.table[place(key, step, self.table.len())] {
                    Some((known, series)) if known == key => return series,
                    Some(_) => {}
                    None => break,
                }
            }
        }
        match exchange.response.status() {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::MISDIRECTED_REQUEST => UNMATCHED,
            _ if !steps.is_empty() => OTHER,
            _ if self.sections + course.plan < self.labels.len() => self.sections + course.plan,
            _ => UNMATCHED,
        }
    }

    /// A thread begins with a request that had to wait for one. Only a worker ends the wait.
    #[cold]
    pub(super) fn queued(&self, exchange: &mut Exchange) {
        if exchange.is_aside {
            exchange.course.queue = QueueNote::Waits;
            return;
        }
        self.shard().queue.add(nanoseconds(exchange.request.received().elapsed()));
        exchange.course.queue = QueueNote::Counted;
    }

    /// A wait without a worker is over.
    #[cold]
    pub(super) fn waited(&self, waited: Duration) {
        self.shard().waits.add(nanoseconds(waited));
    }

    /// A request leaves its route without a response: counts the handler that has run.
    #[cold]
    pub(super) fn left(&self, exchange: &mut Exchange) {
        let ran = std::mem::take(&mut exchange.course.handler_ran);
        if ran > 0 {
            self.shard().series[self.series(exchange)].handler.add(ran);
        }
    }

    /// The response is out.
    pub(super) fn ended(&self, exchange: &Exchange, delivery: &Delivery) {
        let (shard, course) = (self.shard(), &exchange.course);
        let series = &shard.series[self.series(exchange)];
        let class = usize::from(exchange.response.status().as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        series.requests[method(exchange.request.sent_method())][class].fetch_add(1, Ordering::Relaxed);
        series.whole.add(nanoseconds(delivery.duration()));
        if course.handler_ran > 0 {
            series.handler.add(course.handler_ran);
        }
        // A worker was free at once, or not needed. The clock would show no more than how long it takes to read it.
        if course.queue != QueueNote::Counted && course.stage != Stage::Refused {
            shard.queue.buckets[0].fetch_add(1, Ordering::Relaxed);
        }
        shard.bytes.fetch_add(delivery.body_bytes, Ordering::Relaxed);
    }

    /// Adds up what all threads have counted.
    pub(crate) fn sums(&self) -> CountSums<'_> {
        let mut sums = vec![SeriesSums::default(); self.labels.len()];
        let (mut queue, mut waits, mut bytes) = (TimeSums::default(), TimeSums::default(), 0);
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            queue.add(&shard.queue);
            waits.add(&shard.waits);
            bytes += shard.bytes.load(Ordering::Relaxed);
            for (sum, series) in sums.iter_mut().zip(&shard.series) {
                let pairs = sum.requests.as_flattened_mut().iter_mut().zip(series.requests.as_flattened());
                pairs.for_each(|(sum, count)| *sum += count.load(Ordering::Relaxed));
                sum.whole.add(&series.whole);
                sum.handler.add(&series.handler);
            }
        }
        let has_counts = |sum: &SeriesSums| sum.whole.count() > 0 || sum.handler.count() > 0;
        let series = self.labels.iter().map(String::as_str).zip(sums).filter(|(_, sum)| has_counts(sum)).collect();
        CountSums { series, queue, waits, bytes }
    }
}

#[inline]
fn place(key: u64, step: usize, places: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "only the low bits count")]
    let start = key as usize;
    start.wrapping_add(step) & (places - 1)
}

fn method(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_time_is_in_the_bucket_of_the_next_bound() {
        let times = Times::default();
        for micros in [0, 500, 501, 1_000, 30_000_000, 30_000_001] {
            times.add(nanoseconds(Duration::from_micros(micros)));
        }
        let mut sums = TimeSums::default();
        sums.add(&times);
        assert_eq!((sums.buckets[0], sums.buckets[1], sums.buckets[14], sums.buckets[15]), (2, 2, 1, 1));
        assert_eq!((sums.count(), sums.nanoseconds), (6, 60_002_002_000));
    }

    #[test]
    fn each_request_that_has_begun_waited_once_for_a_worker() {
        let counts = RequestCounts::new([], ["/".to_owned()].into_iter());
        let received = Instant::now().checked_sub(Duration::from_secs(2)).expect("the machine has run for longer");
        let mut exchange = Exchange::new();
        exchange.request.received = Some(received);
        let delivery = Delivery { body_bytes: 0, complete: true, received };
        for stage in [Stage::Final, Stage::Refused] {
            exchange.course.stage = stage;
            counts.ended(&exchange, &delivery);
        }
        counts.queued(&mut exchange);
        exchange.course.stage = Stage::Final;
        counts.ended(&exchange, &delivery);
        let sums = counts.sums();
        assert_eq!((sums.queue.buckets[0], sums.queue.count()), (1, 2));
        assert_eq!(sums.series.iter().map(|(_, series)| series.whole.count()).sum::<u64>(), 3);
    }

    #[test]
    fn only_a_worker_ends_the_wait_for_one() {
        let counts = RequestCounts::new([], ["/".to_owned()].into_iter());
        let mut exchange = Exchange::new();
        exchange.request.received = Instant::now().checked_sub(Duration::from_secs(2));
        exchange.is_aside = true;
        counts.queued(&mut exchange);
        assert_eq!(counts.sums().queue.count(), 0);
        exchange.is_aside = false;
        counts.queued(&mut exchange);
        let queue = counts.sums().queue;
        assert!(queue.count() == 1 && queue.nanoseconds >= 2_000_000_000, "{queue:?}");
    }

    #[test]
    fn a_hundred_thousand_requests_of_a_scanner_make_one_series() {
        let routes = [(7, "/song/{id}".to_owned())];
        let counts = RequestCounts::new(routes, ["/".to_owned()].into_iter());
        let mut exchange = Exchange::new();
        exchange.course.stage = Stage::Final;
        let delivery = Delivery { body_bytes: 0, complete: true, received: Instant::now() };
        for number in 0..100_000_u32 {
            let status = [404, 405, 421][number as usize % 3];
            exchange.response.set_status(StatusCode::from_u16(status).expect("a status"));
            exchange.request.redirect(&format!("/{number}/wp-login.php?x={number}"));
            counts.ended(&exchange, &delivery);
        }
        let sums = counts.sums();
        assert_eq!(sums.series.iter().map(|(label, _)| *label).collect::<Vec<_>>(), ["unmatched"]);
        assert_eq!(sums.series[0].1.whole.count(), 100_000);
    }

    #[test]
    fn a_thousand_routes_have_counts_and_the_others_count_together() {
        let routes = (0..3000).map(|number: u64| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15), format!("/{number}")));
        let counts = RequestCounts::new(routes, ["/".to_owned()].into_iter());
        assert_eq!(counts.labels.len(), 2 + MAX_ROUTES + 1);
        assert_eq!(counts.table.iter().flatten().count(), MAX_ROUTES);
    }
}
