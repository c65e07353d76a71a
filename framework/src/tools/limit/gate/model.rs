//! The gate under shuttle: many schedules of requests that work, wait, and give up. `bash check models` runs it.
//!
//! The gate is the real one. Checked are: never more at work than may be, nobody stranded (a lost wake-up is a deadlock, which shuttle reports), and no lane left at the end.

use super::*;
use shuttle::rand::Rng;
use shuttle::scheduler::RandomScheduler;
use shuttle::sync::Condvar;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Runner, thread};
use std::task::Wake;

const MOST: usize = 2;

/// Where a parked request of the model waits.
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

/// One request; with `forgets` it leaves its place behind when it gives up.
fn request(gate: &Arc<Gate>, at_work: &AtomicUsize, forgets: bool) {
    let parking = Arc::new(Parking::default());
    let permit = match gate.enter(None, MOST, 10, || Waker::from(Arc::clone(&parking))) {
        Place::Free(permit) => permit,
        Place::None => panic!("there is room in the queue"),
        Place::InLine(mut waiter) => {
            if shuttle::rand::thread_rng().gen_bool(0.3) {
                waiter.is_over = forgets;
                return;
            }
            loop {
                if let Some(permit) = waiter.poll() {
                    break permit;
                }
                let mut woken = parking.woken.lock().expect("no panic in the model");
                while !*woken {
                    woken = parking.bell.wait(woken).expect("no panic in the model");
                }
                *woken = false;
            }
        }
    };
    assert!(at_work.fetch_add(1, Ordering::SeqCst) < MOST, "more at work than may be");
    thread::yield_now();
    at_work.fetch_sub(1, Ordering::SeqCst);
    drop(permit);
}

fn check(forgets: bool) {
    let scheduler = RandomScheduler::new(2_000 * crate::primitive::effort());
    Runner::new(scheduler, shuttle::Config::default()).run(move || {
        let (gate, at_work) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        let requests = (0..5).map(|_| {
            let (gate, at_work) = (Arc::clone(&gate), Arc::clone(&at_work));
            thread::spawn(move || request(&gate, &at_work, forgets))
        });
        requests.collect::<Vec<_>>().into_iter().for_each(|request| request.join().expect("no panic in the model"));
        assert!(gate.lanes.lock().by_key.is_empty(), "a lane is left behind");
    });
}

#[test]
fn never_more_than_the_limit_and_no_waiter_is_stranded() {
    check(false);
}

#[test]
#[should_panic]
fn a_place_that_is_left_behind_is_found() {
    check(true);
}
