use super::*;
use crate::primitive::block_on;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Debug, PartialEq)]
struct Silent;

impl Failed for Silent {
    const SILENT: Self = Self;

    fn is_silence(&self) -> bool {
        true
    }
}

/// A few at a time.
#[derive(Default)]
struct Names(Vec<&'static str>);

const ROOM: usize = 2 * ENOUGH;

impl Batch<&'static str> for Names {
    fn add(&mut self, name: &&'static str) -> bool {
        let has_room = self.0.len() < ROOM;
        if has_room {
            self.0.push(name);
        }
        has_room
    }
}

type Answers = Result<usize, Silent>;

/// Answers each request with its place in the trip. The request `first` waits until the test ends it; `panic` panics.
struct Road {
    trips: Mutex<Vec<usize>>,
    threads: Mutex<Vec<Option<String>>>,
    set_out: Sender<()>,
    end: Receiver<Answers>,
    is_doubtful: AtomicBool,
    company: Company<Road>,
}

impl Travel for Road {
    type Request = &'static str;
    type Answers = usize;
    type Failure = Silent;
    type Batch = Names;

    const COURIER: &'static str = "courier";

    fn alone(&self, name: &&'static str) -> Answers {
        self.go(&[*name]).map(|answers| answers[0])
    }

    fn together(&self, batch: Names) -> Result<Vec<usize>, Silent> {
        self.go(&batch.0)
    }

    fn is_doubtful(&self) -> bool {
        self.is_doubtful.load(Ordering::SeqCst)
    }
}

impl Road {
    fn go(&self, names: &[&str]) -> Result<Vec<usize>, Silent> {
        self.trips.lock().push(names.len());
        self.threads.lock().push(std::thread::current().name().map(str::to_owned));
        assert!(!names.contains(&"panic"), "on the way");
        if names.contains(&"first") {
            self.set_out.send(()).expect("the test waits");
            self.end.recv().expect("the test says how it ends")?;
        }
        Ok((0..names.len()).collect())
    }

    /// Asks after all others, and does not wait for the answer.
    fn post(&self, name: &'static str) {
        assert!(self.company.go_or_queue(How::AfterAll, &name, self).is_err(), "it queues");
    }

    fn send(&self, name: &'static str) -> Answers {
        block_on(self.company.send(How::Soonest, &name, self), Instant::now() + Duration::from_secs(60))
            .expect("answered")
    }
}

struct Test {
    road: Arc<Road>,
    set_out: Receiver<()>,
    end: Sender<Answers>,
}

impl Test {
    fn new() -> Self {
        let ((sent, set_out), (end, ended)) = (unbounded(), unbounded());
        let road = Arc::new_cyclic(|road: &Weak<Road>| Road {
            trips: Mutex::default(),
            threads: Mutex::default(),
            set_out: sent,
            end: ended,
            is_doubtful: AtomicBool::new(false),
            company: Company::new(road.clone()),
        });
        Self { road, set_out, end }
    }

    /// A way on which even the quickest trip took this long.
    fn with_way(length: Duration) -> Self {
        let test = Self::new();
        (0..Quickest::TRIPS).for_each(|_| test.road.company.inner.state.lock().quickest.learn(length));
        test
    }

    /// The answers of so many who queue while the first is under way, which then ends like this.
    fn behind_first(&self, others: usize, first: Answers) -> Vec<Answers> {
        let road = &*self.road;
        std::thread::scope(|scope| {
            scope.spawn(|| road.send("first"));
            self.set_out.recv().expect("the first goes");
            let threads: Vec<_> = (0..others).map(|_| scope.spawn(|| road.send("other"))).collect();
            self.until(|state| queued(state) == others);
            self.end.send(first).expect("the first waits");
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        })
    }

    fn until(&self, is_so: impl Fn(&State<Road>) -> bool) {
        while !is_so(&self.road.company.inner.state.lock()) {
            std::thread::yield_now();
        }
    }
}

fn queued(state: &State<Road>) -> usize {
    state.queue.iter().map(|queued| queued.tickets.len()).sum()
}

#[test]
fn requests_that_come_while_one_is_under_way_go_together_and_get_their_own_answers() {
    let test = Test::new();
    let mut places: Vec<_> =
        test.behind_first(3, Ok(0)).into_iter().map(|answers| answers.expect("answered")).collect();
    places.sort_unstable();
    assert_eq!((places, &*test.road.trips.lock()), (vec![0, 1, 2], &vec![1, 3]));
}

#[test]
fn requests_that_queue_for_a_silent_server_are_told() {
    let test = Test::new();
    assert_eq!(test.behind_first(3, Err(Silent)), [Err(Silent), Err(Silent), Err(Silent)]);
    assert_eq!(*test.road.trips.lock(), [1]);
    assert_eq!(test.road.send("next"), Ok(0));
}

#[test]
fn while_the_server_is_silent_one_trip_asks_it_and_no_request_waits_behind_that_one() {
    let test = Test::new();
    let road = &*test.road;
    road.is_doubtful.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        assert_eq!([road.send("other"), road.send("other")], [Err(Silent), Err(Silent)]);
        test.end.send(Ok(0)).expect("the first waits");
        assert_eq!(first.join().expect("no panic"), Ok(0));
    });
    assert_eq!(*road.threads.lock(), [Some("courier".to_owned())], "not on the thread of a request");
}

#[test]
fn a_post_goes_after_the_queue_and_is_not_waited_for() {
    let test = Test::new();
    let road = &*test.road;
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        test.road.post("posted");
        let last = scope.spawn(|| road.send("last"));
        test.until(|state| queued(state) == 2);
        test.end.send(Ok(0)).expect("the first waits");
        assert_eq!(last.join().expect("no panic"), Ok(1));
    });
}

#[test]
fn when_enough_have_queued_another_courier_goes_at_the_same_time() {
    let test = Test::new();
    let road = &*test.road;
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        let others: Vec<_> = (0..ENOUGH).map(|_| scope.spawn(|| road.send("other"))).collect();
        assert!(others.into_iter().all(|other| other.join().expect("no panic").is_ok()), "the first is not back yet");
        test.end.send(Ok(0)).expect("the first waits");
    });
}

#[test]
fn a_post_overtakes_nothing_in_a_long_queue() {
    let test = Test::new();
    let road = &*test.road;
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        road.post("posted");
        let others: Vec<_> = (0..ENOUGH).map(|_| scope.spawn(|| road.send("other"))).collect();
        test.until(|state| queued(state) == ENOUGH + 1);
        assert_eq!(*road.trips.lock(), [1]);
        test.end.send(Ok(0)).expect("the first waits");
        others.into_iter().for_each(|other| assert!(other.join().expect("no panic").is_ok()));
    });
}

#[test]
fn a_batch_that_is_full_is_followed_by_another() {
    let test = Test::new();
    test.road.post("first");
    test.set_out.recv().expect("the first goes");
    let road = &*test.road;
    // Behind a posted request no other sets out early.
    (0..2 * ROOM + 1).for_each(|_| road.post("posted"));
    test.end.send(Ok(0)).expect("the first waits");
    test.until(|state| state.queue.is_empty() && state.under_way == 0);
    assert_eq!(*road.trips.lock(), [1, ROOM, ROOM, 1]);
}

#[test]
fn a_trip_that_panics_fails_its_own_requests_alone() {
    let test = Test::new();
    let road = &*test.road;
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        let along = scope.spawn(|| road.send("panic"));
        test.until(|state| queued(state) == 1);
        test.end.send(Ok(0)).expect("the first waits");
        assert_eq!(along.join().expect("no panic here"), Err(Silent));
    });
    assert_eq!(road.send("next"), Ok(0));
    test.until(|state| state.under_way == 0);
}

#[test]
fn on_a_long_way_couriers_go_at_the_same_time_and_no_request_on_its_own_thread() {
    let test = Test::with_way(2 * LONG);
    let road = &*test.road;
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        assert_eq!(road.send("second"), Ok(0));
        test.end.send(Ok(0)).expect("the first waits");
    });
    assert_eq!(*road.threads.lock(), vec![Some("courier".to_owned()); 2]);
    let state = &mut *road.company.inner.state.lock();
    state.quickest.learn(LONG / 2);
    assert!(state.quickest.is_long(), "one trip alone says little");
}

#[test]
fn a_few_trips_tell_a_long_way_from_a_short_one() {
    let mut quickest = Quickest::default();
    (1..Quickest::FIRST).for_each(|_| quickest.learn(2 * LONG));
    assert!(!quickest.is_long(), "too few");
    quickest.learn(2 * LONG);
    assert!(quickest.is_long());
    quickest.learn(LONG / 2);
    assert!(!quickest.is_long(), "one was quick");
}

#[test]
fn the_couriers_end_with_the_store() {
    let test = Test::new();
    let _ = test.behind_first(1, Ok(0));
    let inner = Arc::downgrade(&test.road.company.inner);
    drop(test);
    while inner.upgrade().is_some() {
        std::thread::yield_now();
    }
}
