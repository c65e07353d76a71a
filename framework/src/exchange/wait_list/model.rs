//! The wait list under shuttle: many schedules of requests that are parked, threads that block, and both giving up at
//! every moment. `bash check models` runs it.
//!
//! The list is the real one. Checked are: never more holders than places; first come, first served within a class;
//! nobody lost, whoever gives up, is dismissed or loses the place (a lost wake-up is a deadlock, which shuttle
//! reports); places that are reserved; and an empty list at the end. What it found in the lists before this one: a turn
//! that is given up in two steps.

use super::*;
use crate::exchange::RequestId;
use crate::primitive::{self, Unpark};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Runner, thread};

/// A mistake of those who use the list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// A waiter that gives up leaves its turn behind.
    ForgottenTurn,
    /// A holder that fails leaves its place behind.
    ForgottenPlace,
    /// A wake-up is dropped.
    LostWake,
    /// A request goes in without a look at the order of turns.
    NoTurn,
    /// Those in line are dismissed and not told.
    SilentDismissal,
}

/// One key and what is done by those who have its places.
struct Stage {
    list: WaitList<()>,
    places: usize,
    reserved: usize,
    inside: AtomicUsize,
    usual_inside: AtomicUsize,
    order: [Mutex<Vec<u64>>; 2],
    fault: Fault,
}

/// How a request waits.
#[derive(Clone, Copy)]
enum Patience {
    Endless,
    /// It gives up after so many looks, woken or not.
    Looks(usize),
}

const FAR: Duration = Duration::from_secs(3600);

impl Stage {
    fn new(fault: Fault, places: usize, reserved: usize) -> Arc<Self> {
        let list = WaitList::new("a place", places);
        let list = if reserved > 0 { list.reserve_for_urgent(reserved) } else { list };
        let (inside, usual_inside) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self {
            list,
            places,
            reserved,
            inside,
            usual_inside,
            order: [Mutex::default(), Mutex::default()],
            fault,
        })
    }

    fn enter(&self, class: Class, place: Place<()>) {
        let is_usual = usize::from(class == Class::Usual);
        assert!(self.inside.fetch_add(1, Ordering::SeqCst) < self.places, "one holder too many");
        let usual = self.usual_inside.fetch_add(is_usual, Ordering::SeqCst) + is_usual;
        assert!(usual <= self.places - self.reserved, "a reserved place is taken");
        self.order[class as usize].lock().push(place.ticket);
        thread::yield_now();
        self.usual_inside.fetch_sub(is_usual, Ordering::SeqCst);
        self.inside.fetch_sub(1, Ordering::SeqCst);
        match self.fault {
            Fault::ForgottenPlace => std::mem::forget(place),
            _ => drop(place),
        }
    }

    fn ask(&self, class: Class) -> Entered<()> {
        let waker = || match self.fault {
            Fault::LostWake => Waker::noop().clone(),
            _ => Unpark::waker(),
        };
        self.list.enter((), &Claim::new(RequestId::default(), "/"), class, waker)
    }

    /// A request, or a thread that blocks, from its question to its end.
    fn serve(&self, class: Class, patience: Patience) {
        let mut turn = match self.ask(class) {
            Entered::Place(place) => return self.enter(class, place),
            Entered::Turn(turn) => turn,
            Entered::Full => panic!("there is room in the line"),
        };
        if self.fault == Fault::NoTurn {
            let place = Place { list: turn.list.clone(), key: (), ticket: turn.ticket };
            return self.enter(class, place);
        }
        let place = match patience {
            Patience::Endless => turn.wait_here(|| FAR),
            Patience::Looks(looks) => (0..looks).find_map(|_| {
                thread::yield_now();
                turn.wait_here(|| Duration::ZERO)
            }),
        };
        match place {
            Some(place) => self.enter(class, place),
            None if self.fault == Fault::ForgottenTurn => std::mem::forget(turn),
            None => drop(turn),
        }
    }

    /// Lets those in line go, or takes the places away.
    fn intervene(&self, call: impl Fn(&WaitList<()>, &(), &mut Vec<Waker>)) {
        let mut wakers = Vec::new();
        call(&self.list, &(), &mut wakers);
        thread::yield_now();
        if self.fault != Fault::SilentDismissal {
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

fn check(stage: impl Fn() -> Arc<Stage> + Clone + Send + Sync + 'static, life: fn(&Stage, usize)) {
    const THREADS: usize = 4;
    let schedules = 5_000 * primitive::effort();
    let model = move || {
        let stage = stage();
        let threads = (0..THREADS).map(|number| {
            let stage = stage.clone();
            thread::spawn(move || life(&stage, number))
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            thread.join().expect("no panic in the model");
        }
        // Of several places one may be fetched later than one that was offered later.
        let is_ordered = stage.order.iter().all(|order| order.lock().is_sorted());
        assert!(stage.places > 1 || is_ordered, "somebody was served before one that came earlier");
        assert_eq!(stage.list.len(), 0, "a line is left");
    };
    let again = model.clone();
    Runner::new(RandomScheduler::new_from_seed(7, schedules), shuttle::Config::new()).run(again);
    Runner::new(PctScheduler::new_from_seed(7, 3, schedules), shuttle::Config::new()).run(model);
}

/// Two park, one blocks, one does either and gives up at a random moment.
fn everybody(stage: &Stage, number: usize) {
    match number {
        0 | 1 => stage.serve(Class::Usual, Patience::Endless),
        2 => stage.serve(Class::Urgent, Patience::Endless),
        _ => {
            let class = if thread_rng().gen_bool(0.3) { Class::Urgent } else { Class::Usual };
            stage.serve(class, Patience::Looks(thread_rng().gen_range(0..4)));
        }
    }
}

#[test]
fn there_is_one_holder_and_nobody_is_lost() {
    check(|| Stage::new(Fault::None, 1, 0), everybody);
}

#[test]
fn there_are_as_many_holders_as_places_and_nobody_is_lost() {
    check(|| Stage::new(Fault::None, 2, 0), everybody);
}

#[test]
fn usual_ones_leave_the_reserved_places_free() {
    check(|| Stage::new(Fault::None, 2, 1), everybody);
}

#[test]
fn urgent_ones_are_served_first_come_first_served() {
    check(
        || Stage::new(Fault::None, 1, 0),
        |stage, number| {
            let class = if number == 0 { Class::Usual } else { Class::Urgent };
            stage.serve(class, Patience::Endless);
        },
    );
}

#[test]
fn whoever_is_dismissed_goes_on() {
    check(
        || Stage::new(Fault::None, 1, 0),
        |stage, number| match number {
            0 => stage.intervene(WaitList::dismiss),
            _ => everybody(stage, number),
        },
    );
}

/// Two may be inside then: one that has lost its place, and the next.
#[test]
fn a_place_that_is_revoked_is_handed_on_once() {
    let stage = || Arc::new(Stage { places: 4, ..Arc::into_inner(Stage::new(Fault::None, 1, 0)).expect("one handle") });
    check(stage, |stage, number| match number {
        0 => stage.intervene(WaitList::revoke),
        _ => everybody(stage, number),
    });
}

#[test]
#[should_panic(expected = "a line is left")]
fn found_a_turn_that_is_given_up_and_left() {
    check(|| Stage::new(Fault::ForgottenTurn, 1, 0), everybody);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_place_that_is_left() {
    check(|| Stage::new(Fault::ForgottenPlace, 1, 0), everybody);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_wake_up_that_is_lost() {
    check(|| Stage::new(Fault::LostWake, 2, 0), everybody);
}

#[test]
#[should_panic(expected = "one holder too many")]
fn found_a_place_that_is_taken_out_of_turn() {
    check(|| Stage::new(Fault::NoTurn, 1, 0), everybody);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_dismissal_that_nobody_hears_of() {
    check(
        || Stage::new(Fault::SilentDismissal, 1, 0),
        |stage, number| match number {
            0 => stage.intervene(WaitList::dismiss),
            _ => stage.serve(Class::Usual, Patience::Endless),
        },
    );
}
