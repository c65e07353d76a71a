//! The table of session locks under shuttle: many schedules of threads that block, requests that are parked, and both giving up at
//! every moment. `bash check models` runs it.
//!
//! The table is the real one. Checked are: never two holders, first come first served within a class, nobody lost (a lost wake-up
//! is a deadlock, which shuttle reports), and an empty table at the end.

use super::*;
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Condvar;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Runner, thread};
use std::task::Wake;

/// A mistake of those who use the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Who gives up leaves its place behind.
    ForgottenPlace,
    /// A wake-up is dropped.
    LostWake,
    /// A parked one takes the lock without a look at whose turn it is.
    NoTurn,
}

/// One session and its critical section.
struct Stage {
    table: Arc<LockTable>,
    id: SessionId,
    inside: AtomicUsize,
    /// The tickets of those that had the lock, parked and blocked, in order.
    order: [Mutex<Vec<u64>>; 2],
    fault: Fault,
}

const PARKED: usize = 0;
const BLOCKED: usize = 1;

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
        let order = [Mutex::default(), Mutex::default()];
        Arc::new(Self { table: LockTable::new(), id: SessionId::random(), inside: AtomicUsize::new(0), order, fault })
    }

    fn enter(&self, class: usize, guard: LockGuard) {
        assert_eq!(self.inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
        self.order[class].lock().push(guard.ticket);
        thread::yield_now();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        drop(guard);
    }

    /// A request that waits without a worker; it gives up after some wake-ups, or looks.
    fn park(&self, patience: Option<usize>) {
        let parking = Arc::new(Parking::default());
        let waker = match self.fault {
            Fault::LostWake => Waker::noop().clone(),
            _ => Waker::from(parking.clone()),
        };
        let mut waiter = self.table.enqueue(self.id, &claim(), waker);
        let mut looks = 0;
        loop {
            if self.fault == Fault::NoTurn {
                waiter.is_over = true;
                let guard = LockGuard { table: self.table.clone(), id: self.id, ticket: waiter.ticket };
                return self.enter(PARKED, guard);
            }
            if let Some(guard) = waiter.poll() {
                return self.enter(PARKED, guard);
            }
            match patience {
                Some(most) if looks == most => {
                    if self.fault == Fault::ForgottenPlace {
                        std::mem::forget(waiter);
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

    /// A handler that calls `acquire_lock`.
    fn block(&self, deadline: Instant) {
        if let Ok(guard) = self.table.acquire_blocking(self.id, &claim(), deadline) {
            self.enter(BLOCKED, guard);
        }
    }
}

fn claim() -> Claim {
    Claim::new(RequestId::next(), "/")
}

fn check(fault: Fault, life: impl Fn(&Stage, usize) + Send + Sync + 'static) {
    const THREADS: usize = 4;
    let schedules = 5_000 * primitive::effort();
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
        for order in &stage.order {
            assert!(order.lock().is_sorted(), "somebody was served before one that came earlier");
        }
        assert_eq!(stage.table.len(), 0, "a record is left");
    };
    let again = model.clone();
    Runner::new(RandomScheduler::new_from_seed(7, schedules), shuttle::Config::new()).run(again);
    Runner::new(PctScheduler::new_from_seed(7, 3, schedules), shuttle::Config::new()).run(model);
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// Two park, one blocks, one does either and gives up at a random moment.
fn everybody(fault: Fault) {
    check(fault, |stage, number| match number {
        0 | 1 => stage.park(None),
        2 => stage.block(far()),
        _ => {
            let mut random = shuttle::rand::thread_rng();
            if random.gen_bool(0.3) {
                // The deadline is over: one look, and away.
                stage.block(Instant::now());
            } else {
                stage.park(Some(random.gen_range(0..4)));
            }
        }
    });
}

#[test]
fn there_is_one_holder_and_no_waiter_is_lost() {
    everybody(Fault::None);
}

#[test]
fn blocking_waiters_are_served_first_come_first_served() {
    check(Fault::None, |stage, number| match number {
        0 => stage.park(None),
        _ => stage.block(far()),
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_place_that_is_given_up_and_left() {
    everybody(Fault::ForgottenPlace);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_wake_up_that_is_lost() {
    everybody(Fault::LostWake);
}

#[test]
#[should_panic(expected = "two holders")]
fn found_a_lock_that_is_taken_out_of_turn() {
    everybody(Fault::NoTurn);
}
