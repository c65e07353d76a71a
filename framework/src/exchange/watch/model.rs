//! A model of a request that waits for something while it happens, such as the end of a job: no schedule lets it sleep
//! for ever.

use super::*;
use crate::primitive::{AtomicBool, Ordering, Unpark, effort};
use shuttle::thread;
use std::sync::Arc;
use std::task::Poll;

const SCHEDULES: usize = 2_000;

/// The order in which a request looks at the job and goes into the line.
#[derive(Clone, Copy)]
enum Order {
    LineThenJob,
    /// The planted fault.
    JobThenLine,
}

fn wait_while_it_ends(order: Order) {
    let watched = Watch::new("the end of a job", 10);
    let has_ended = Arc::new(AtomicBool::new(false));
    let id = 14_u64;
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            let (watched, has_ended) = (watched.clone(), has_ended.clone());
            thread::spawn(move || {
                if matches!(order, Order::JobThenLine) && has_ended.load(Ordering::SeqCst) {
                    return;
                }
                let Some(mut turn) = watched.enter(id, &Claim::unknown(), Unpark::waker()) else {
                    assert!(has_ended.load(Ordering::SeqCst), "turned away while the job runs");
                    return;
                };
                if matches!(order, Order::LineThenJob) && has_ended.load(Ordering::SeqCst) {
                    return;
                }
                while let Poll::Pending = turn.poll() {
                    thread::park();
                }
            })
        })
        .collect();
    has_ended.store(true, Ordering::SeqCst);
    watched.happened(&id);
    waiters.into_iter().for_each(|waiter| waiter.join().expect("it ends"));
}

#[test]
fn a_request_never_sleeps_through_the_end_of_its_job() {
    shuttle::check_random(|| wait_while_it_ends(Order::LineThenJob), SCHEDULES * effort());
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_request_that_looks_before_it_is_in_line_is_found_out() {
    shuttle::check_random(|| wait_while_it_ends(Order::JobThenLine), SCHEDULES * effort());
}
