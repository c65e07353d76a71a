//! The cache under shuttle: many schedules of requests that lead, follow, give up, keep and invalidate. `bash check models` runs it.
//!
//! The cache is the real one. Checked are: never two leaders of a variant, nobody stranded (a lost wake-up is a deadlock, which shuttle
//! reports), what is kept is what was made after the last invalidation, and an empty index at the end.

use super::super::samples::{request, response, stored_as};
use super::super::settings::LIMITS;
use super::*;
use crate::primitive;
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Condvar;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Runner, thread};
use std::task::Wake;

/// A mistake of those who use the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Who gives up leaves its place behind.
    ForgottenPlace,
    /// A leader that fails leaves its lead behind, as CherryPy's does.
    ForgottenLead,
    /// A wake-up is dropped.
    LostWake,
    /// One that waits runs its handler before its turn, and the others wait for it, too.
    NoTurn,
}

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
    fault: Fault,
}

/// Where a parked request of the model waits: it is run again after each wake-up.
#[derive(Default)]
struct Parking {
    woken: shuttle::sync::Mutex<bool>,
    bell: Condvar,
}

impl Wake for Parking {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().expect("no panic in the model") = true;
        self.bell.notify_one();
    }
}

impl Parking {
    fn wait(&self) {
        let mut woken = self.woken.lock().expect("no panic in the model");
        while !*woken {
            woken = self.bell.wait(woken).expect("no panic in the model");
        }
        *woken = false;
    }
}

impl Stage {
    fn new(fault: Fault) -> Arc<Self> {
        Arc::new(Self { cache: Cache::new(LIMITS), leaders: AtomicUsize::new(0), made: AtomicUsize::new(0), fault })
    }

    fn run(&self, lead: Lead, end: End) {
        assert_eq!(self.leaders.fetch_add(1, Ordering::SeqCst), 0, "two leaders");
        self.made.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        self.leaders.fetch_sub(1, Ordering::SeqCst);
        match end {
            End::Keep => lead.keep(Arc::new(stored_as(&response("", "made")))),
            End::ShareNothing => lead.share_nothing(),
            End::Fail if self.fault == Fault::ForgottenLead => std::mem::forget(lead),
            End::Fail => drop(lead),
        }
    }

    /// A request that ends so if it leads, and gives up after some looks if it waits.
    fn serve(&self, end: End, patience: Option<usize>) {
        let request = request("");
        let parking = Arc::new(Parking::default());
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
            let waker = match self.fault {
                Fault::LostWake => Waker::noop().clone(),
                _ => Waker::from(Arc::clone(&parking)),
            };
            let mut follower = match self.cache.find(&inquiry, Some(waker)) {
                Found::Hit(..) | Found::Free(_) => return,
                Found::Lead(lead) => return self.run(lead, end),
                Found::Busy => unreachable!("there is a waker"),
                Found::Wait(follower) => follower,
            };
            loop {
                match follower.poll() {
                    Polled::Lead(lead) => return self.run(lead, end),
                    Polled::Over => continue 'ask,
                    Polled::Waiting if self.fault == Fault::NoTurn => {
                        let lead = Lead::new(Arc::clone(&self.cache), Arc::from("a"), 0);
                        return self.run(lead, end);
                    }
                    Polled::Waiting => {}
                }
                match patience {
                    Some(most) if looks == most => {
                        if self.fault == Fault::ForgottenPlace {
                            std::mem::forget(follower);
                        }
                        return;
                    }
                    // It may give up at any moment, woken or not.
                    Some(_) => thread::yield_now(),
                    None => parking.wait(),
                }
                looks += 1;
            }
        }
    }
}

fn check(fault: Fault, life: impl Fn(&Stage, usize) + Send + Sync + 'static, after: fn(&Stage)) {
    const THREADS: usize = 4;
    let schedules = 3_000 * primitive::effort();
    let life = Arc::new(life);
    let model = move || {
        let stage = Stage::new(fault);
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
fn everybody(fault: Fault) {
    let life = |stage: &Stage, number: usize| {
        let mut random = shuttle::rand::thread_rng();
        let end = [End::Keep, End::Fail, End::Fail, End::ShareNothing][random.gen_range(0..4)];
        let patience = (number == 3).then(|| random.gen_range(0..4));
        stage.serve(end, patience);
    };
    check(fault, life, |_| ());
}

#[test]
fn there_is_one_leader_and_nobody_is_stranded() {
    everybody(Fault::None);
}

#[test]
fn a_response_that_may_be_kept_is_made_once() {
    let after = |stage: &Stage| assert_eq!(stage.made.load(Ordering::SeqCst), 1, "made again");
    check(Fault::None, |stage, _| stage.serve(End::Keep, None), after);
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
    check(Fault::None, life, after);
}

#[test]
#[should_panic(expected = "a record is left")]
fn found_a_place_that_is_given_up_and_left() {
    everybody(Fault::ForgottenPlace);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_lead_that_is_given_up_and_left() {
    everybody(Fault::ForgottenLead);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_wake_up_that_is_lost() {
    everybody(Fault::LostWake);
}

#[test]
#[should_panic(expected = "two leaders")]
fn found_a_handler_that_runs_before_its_turn() {
    everybody(Fault::NoTurn);
}
