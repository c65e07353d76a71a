//! The cache under shuttle: many schedules of requests that lead, follow, give up, keep and invalidate. `bash check
//! models` runs it.
//!
//! The cache is the real one. Checked is how its index and the lines of its flights go together: never two leaders of a
//! variant, nobody stranded, what is kept is what was made after the last invalidation, and an empty index at the end.
//! The rules of a line are checked where the wait list is.

use super::super::samples::{request, response, stored_as};
use super::super::shared::LIMITS;
use super::*;
use crate::primitive::{self, Unpark};
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Runner, thread};

/// What a leader does with its lead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Keep,
    Fail,
    ShareNothing,
}

/// One address and its handler.
struct Stage {
    cache: Arc<Cache>,
    leaders: AtomicUsize,
    made: AtomicUsize,
}

impl Stage {
    fn new() -> Arc<Self> {
        Arc::new(Self { cache: Cache::new(LIMITS), leaders: AtomicUsize::new(0), made: AtomicUsize::new(0) })
    }

    fn run(&self, lead: Lead, end: End) {
        assert_eq!(self.leaders.fetch_add(1, Ordering::SeqCst), 0, "two leaders");
        self.made.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        self.leaders.fetch_sub(1, Ordering::SeqCst);
        match end {
            End::Keep => lead.keep(Arc::new(stored_as(&response("", "made")))),
            End::ShareNothing => lead.share_nothing(),
            End::Fail => drop(lead),
        }
    }

    /// A request that ends so if it leads, and gives up after some looks if it waits.
    fn serve(&self, end: End, patience: Option<usize>, jumps_the_line: bool) {
        let request = request("");
        let mut looks = 0;
        'ask: loop {
            let inquiry = Inquiry {
                key: "a",
                request: &request,
                directives: RequestDirectives::default(),
                is_authorized: false,
                may_lead: true,
                may_follow: true,
                now: Instant::now(),
            };
            let mut follower = match self.cache.find(&inquiry, Some(Unpark::waker())) {
                Found::Hit(..) | Found::Free(_) => return,
                Found::Lead(lead) => return self.run(lead, end),
                Found::Busy => unreachable!("there is a waker"),
                Found::Wait(follower) => follower,
            };
            loop {
                match follower.poll() {
                    Polled::Lead(lead) => return self.run(lead, end),
                    Polled::Over => continue 'ask,
                    Polled::Waiting if jumps_the_line => {
                        let line = shuttle::rand::thread_rng().gen_range(1 << 32..u64::MAX);
                        let place =
                            self.cache.flights.try_enter(line, &Claim::of(&request)).expect("a line of its own");
                        return self.run(Lead::new(Arc::clone(&self.cache), Arc::from("a"), place), end);
                    }
                    Polled::Waiting => {}
                }
                match patience {
                    Some(most) if looks == most => return,
                    // It may give up at any moment, woken or not.
                    Some(_) => thread::yield_now(),
                    None => primitive::park_timeout(Duration::from_secs(3600)),
                }
                looks += 1;
            }
        }
    }
}

fn check(life: impl Fn(&Stage, usize) + Send + Sync + 'static, after: fn(&Stage)) {
    const THREADS: usize = 4;
    let schedules = 3_000 * primitive::effort();
    let life = Arc::new(life);
    let model = move || {
        let stage = Stage::new();
        let threads = (0..THREADS).map(|number| {
            let (stage, life) = (stage.clone(), life.clone());
            thread::spawn(move || life(&stage, number))
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            thread.join().expect("no panic in the model");
        }
        after(&stage);
        stage.cache.sweep(Instant::now() + Duration::from_secs(3600));
        assert_eq!(stage.cache.addresses(), 0, "a record is left");
    };
    let again = model.clone();
    Runner::new(RandomScheduler::new_from_seed(7, schedules), shuttle::Config::new()).run(again);
    Runner::new(PctScheduler::new_from_seed(7, 3, schedules), shuttle::Config::new()).run(model);
}

/// Each ends in some way if it leads; one gives up at a random moment.
fn everybody(jumps_the_line: bool) {
    let life = move |stage: &Stage, number: usize| {
        let mut random = shuttle::rand::thread_rng();
        let end = [End::Keep, End::Fail, End::Fail, End::ShareNothing][random.gen_range(0..4)];
        let patience = (number == 3).then(|| random.gen_range(0..4));
        stage.serve(end, patience, jumps_the_line);
    };
    check(life, |_| ());
}

#[test]
fn there_is_one_leader_and_nobody_is_stranded() {
    everybody(false);
}

#[test]
fn a_response_that_may_be_kept_is_made_once() {
    let after = |stage: &Stage| assert_eq!(stage.made.load(Ordering::SeqCst), 1, "made again");
    check(|stage, _| stage.serve(End::Keep, None, false), after);
}

#[test]
fn a_response_from_before_an_invalidation_is_not_kept_after_it() {
    let life = |stage: &Stage, number: usize| match number {
        0 => {
            // The page changes, then what is kept goes.
            stage.made.fetch_add(1, Ordering::SeqCst);
            stage.cache.invalidate("a");
        }
        _ => {
            let request = request("");
            let inquiry = Inquiry {
                key: "a",
                request: &request,
                directives: RequestDirectives::default(),
                is_authorized: false,
                may_lead: true,
                may_follow: true,
                now: Instant::now(),
            };
            let content = || stage.made.load(Ordering::SeqCst).to_string();
            match stage.cache.find(&inquiry, None) {
                Found::Lead(lead) => {
                    let content = content();
                    thread::yield_now();
                    lead.keep(Arc::new(stored_as(&response("", &content))));
                }
                Found::Busy => {
                    let (epoch, content) = (stage.cache.epoch(), content());
                    thread::yield_now();
                    stage.cache.keep("a", Arc::new(stored_as(&response("", &content))), epoch);
                }
                _ => {}
            }
        }
    };
    let after = |stage: &Stage| {
        let state = stage.cache.state.lock();
        let places = state.addresses.values().flat_map(|address| &address.variants);
        for place in places {
            let Some(Entry { content: Content::Response(stored), .. }) = state.entries.get(*place) else { continue };
            let mut kept = crate::Response::new();
            stored.write_into(&mut kept, Duration::ZERO);
            assert_eq!(kept.body().as_bytes(), Some(&b"1"[..]), "kept from before the change");
        }
    };
    check(life, after);
}

#[test]
#[should_panic(expected = "two leaders")]
fn found_a_handler_that_runs_before_its_turn() {
    everybody(true);
}
