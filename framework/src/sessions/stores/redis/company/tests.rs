use super::super::scripts;
use super::*;
use crate::primitive::block_on;
use std::sync::mpsc::{Receiver, Sender, channel};

#[derive(Clone, Debug, PartialEq)]
struct Silent;

impl Failed for Silent {
    const ABANDONED: Self = Self;

    fn is_silence(&self) -> bool {
        true
    }
}

/// Answers each command with its place in the trip. The request `first` waits until the test ends it; `panic` panics.
struct Road {
    trips: Mutex<Vec<usize>>,
    set_out: Sender<()>,
    end: Mutex<Receiver<Answers<Silent>>>,
    company: Company<Road>,
}

impl Travel for Road {
    type Failure = Silent;

    fn travel(&self, commands: &Commands) -> Answers<Silent> {
        self.trips.lock().push(commands.count);
        let text = String::from_utf8_lossy(&commands.bytes);
        assert!(!text.contains("panic"), "on the way");
        if text.contains("first") {
            self.set_out.send(()).expect("the test waits");
            return self.end.lock().recv().expect("the test says how it ends");
        }
        let answer = |place: usize| match place {
            // Calls are sent first, and are answered for each that was joined.
            0 if text.contains("EVALSHA") => Value::Array(vec![Value::Int(100), Value::Int(101)]),
            _ => Value::Int(place as i64),
        };
        Ok((0..commands.count).map(answer).collect())
    }
}

struct Test {
    road: Arc<Road>,
    set_out: Receiver<()>,
    end: Sender<Answers<Silent>>,
}

impl Test {
    fn new() -> Self {
        let ((sent, set_out), (end, ended)) = (channel(), channel());
        let road = Arc::new_cyclic(|road: &Weak<Road>| Road {
            trips: Mutex::default(),
            set_out: sent,
            end: Mutex::new(ended),
            company: Company::new(road.clone()),
        });
        Self { road, set_out, end }
    }

    fn send(&self, name: &str) -> Answers<Silent> {
        self.road.send(name)
    }

    /// The answers of so many who queue while the first is under way, which then ends like this.
    fn behind_first(&self, others: usize, first: Answers<Silent>) -> Vec<Answers<Silent>> {
        let road = &*self.road;
        std::thread::scope(|scope| {
            scope.spawn(|| road.send("first"));
            self.set_out.recv().expect("the first goes");
            let threads: Vec<_> = (0..others).map(|_| scope.spawn(|| road.send("other"))).collect();
            self.until(|state| state.batch.parts.len() == others);
            self.end.send(first).expect("the first waits");
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        })
    }

    fn until(&self, is_so: impl Fn(&State<Silent>) -> bool) {
        while !is_so(&self.road.company.inner.state.lock()) {
            std::thread::yield_now();
        }
    }
}

impl Road {
    fn send(&self, name: &str) -> Answers<Silent> {
        self.ask(&Commands::of(&[name.as_bytes()]).into())
    }

    fn ask(&self, request: &Request) -> Answers<Silent> {
        block_on(self.company.send(request, self), Instant::now() + Duration::from_secs(60)).expect("answered")
    }
}

#[test]
fn who_comes_while_one_is_under_way_goes_together_and_gets_his_own_answers() {
    let test = Test::new();
    let answers = test.behind_first(3, Ok(vec![Value::Nil]));
    assert_eq!(*test.road.trips.lock(), [1, 3]);
    let mut places: Vec<_> = answers.into_iter().map(|answers| answers.expect("answered")).collect();
    places.sort_by_key(|answers| format!("{answers:?}"));
    assert_eq!(places, [[Value::Int(0)], [Value::Int(1)], [Value::Int(2)]]);
}

#[test]
fn who_queues_for_a_silent_server_is_told() {
    let test = Test::new();
    assert_eq!(test.behind_first(3, Err(Silent)), [Err(Silent), Err(Silent), Err(Silent)]);
    assert_eq!(*test.road.trips.lock(), [1]);
    assert_eq!(test.send("next"), Ok(vec![Value::Int(0)]));
}

#[test]
fn what_is_posted_goes_after_what_has_queued_and_nobody_waits_for_it() {
    let test = Test::new();
    let road = &*test.road;
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        test.road.company.post(&Commands::of(&[b"posted"]).into());
        let last = scope.spawn(|| road.send("last"));
        test.until(|state| state.batch.parts.len() == 2);
        test.end.send(Ok(vec![Value::Nil])).expect("the first waits");
        assert_eq!(last.join().expect("no panic"), Ok(vec![Value::Int(1)]));
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
        test.end.send(Ok(vec![Value::Nil])).expect("the first waits");
    });
}

#[test]
fn what_is_posted_overtakes_nothing_however_many_have_queued() {
    let test = Test::new();
    let road = &*test.road;
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        road.company.post(&Commands::of(&[b"posted"]).into());
        let others: Vec<_> = (0..ENOUGH).map(|_| scope.spawn(|| road.send("other"))).collect();
        test.until(|state| state.batch.parts.len() == ENOUGH + 1);
        assert_eq!(*road.trips.lock(), [1]);
        test.end.send(Ok(vec![Value::Nil])).expect("the first waits");
        others.into_iter().for_each(|other| drop(other.join().expect("no panic").expect("answered")));
    });
}

#[test]
fn calls_that_go_together_are_one_and_each_gets_its_own_answer() {
    let test = Test::new();
    let road = &*test.road;
    let call = || Call::new(&scripts::COMMIT, &[b"store"], &[b"{a}"], &[b"x"]).into();
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        let calls: Vec<_> = (0..2).map(|_| scope.spawn(|| road.ask(&call()))).collect();
        let command = scope.spawn(|| road.send("command"));
        test.until(|state| state.batch.parts.len() == 3);
        test.end.send(Ok(vec![Value::Nil])).expect("the first waits");
        let mut answers: Vec<_> =
            calls.into_iter().map(|call| call.join().expect("no panic").expect("answered")).collect();
        answers.sort_by_key(|answers| format!("{answers:?}"));
        assert_eq!(answers, [[Value::Int(100)], [Value::Int(101)]]);
        assert_eq!(command.join().expect("no panic"), Ok(vec![Value::Int(1)]));
        assert_eq!(*road.trips.lock(), [1, 2]);
    });
    assert_eq!(road.ask(&call()), Ok(vec![Value::Int(100)]), "alone, too");
}

#[test]
fn a_trip_that_panics_fails_who_went_along_and_is_in_nobodys_way() {
    let test = Test::new();
    let road = &*test.road;
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        let along = scope.spawn(|| road.send("panic"));
        test.until(|state| state.batch.parts.len() == 1);
        test.end.send(Ok(vec![Value::Nil])).expect("the first waits");
        assert_eq!(along.join().expect("no panic here"), Err(Silent));
    });
    assert_eq!(test.send("next"), Ok(vec![Value::Int(0)]));
    test.until(|state| state.under_way == 0);
}

#[test]
fn on_a_long_way_a_few_go_at_the_same_time() {
    let test = Test::new();
    for _ in 0..Quickest::TRIPS {
        test.road.company.inner.state.lock().quickest.learn(2 * LONG);
    }
    let road = &*test.road;
    std::thread::scope(|scope| {
        scope.spawn(|| road.send("first"));
        test.set_out.recv().expect("the first goes");
        assert_eq!(test.send("second"), Ok(vec![Value::Int(0)]));
        test.end.send(Ok(vec![Value::Nil])).expect("the first waits");
    });
    let state = &mut *test.road.company.inner.state.lock();
    state.quickest.learn(LONG / 2);
    assert!(state.quickest.is_long(), "one trip alone says little");
}

#[test]
fn the_courier_ends_with_the_store() {
    let test = Test::new();
    test.behind_first(1, Ok(vec![Value::Nil]));
    let inner = Arc::downgrade(&test.road.company.inner);
    drop(test);
    while inner.upgrade().is_some() {
        std::thread::yield_now();
    }
}
