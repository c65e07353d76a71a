//! The line to the thread beside the workers under shuttle, with the real slots and words: whatever an attendant hands
//! over ends once, and the thread sleeps neither through that nor through the end of the server.

use super::*;
use crate::primitive::{AtomicUsize, Ordering};
use crate::server::poll::Interest;
use crate::server::scheduler::model::check;
use crate::server::scheduler::{News, Step};
use shuttle::thread;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

const SCHEDULES: usize = 1_000;
const CALLERS: usize = 3;

/// A mistake of the line or of the thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The thread sleeps before it looks.
    SleepsFirst,
    /// The end wakes nobody.
    SilentEnd,
}

/// A connection with one request, which only the thread beside the workers may answer.
struct Caller {
    socket: UnixStream,
    answered: Arc<AtomicUsize>,
}

impl AsFd for Caller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection for Caller {
    type Workspace = ();

    fn step(&mut self, news: News, (): &mut ()) -> Step {
        match news.role {
            Role::Attendant => Step::Aside(Asker::Known),
            Role::Aside | Role::Undertaker => {
                self.answered.fetch_add(1, Ordering::SeqCst);
                Step::Close
            }
            Role::Worker | Role::Refuser => unreachable!("there are no workers, and enough places"),
        }
    }

    fn interest(&self) -> Interest {
        Interest::INPUT
    }
}

/// `AsideQueue::wait` with a mistake.
fn sleep_first(queue: &AsideQueue) -> Option<Queued> {
    let mut lines = queue.bell.wait(queue.lines.lock());
    if lines.is_over { None } else { lines.next() }
}

fn hand_over(fault: Fault, stops_meanwhile: bool) {
    check(SCHEDULES, move || {
        let scheduler: Arc<Scheduler<Caller>> = Arc::new(Scheduler::new(CALLERS, 0, 0, 100).expect("a poller"));
        let answered = Arc::new(AtomicUsize::new(0));
        let _peers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (near, far) = UnixStream::pair().expect("a socket pair");
                let caller = Caller { socket: near, answered: answered.clone() };
                scheduler.insert(caller, scheduler.clock.now()).expect("room");
                far
            })
            .collect();
        let own = scheduler.clone();
        let beside = thread::spawn(move || match fault {
            Fault::SleepsFirst => {
                while let Some(queued) = sleep_first(&own.aside) {
                    let Some(owned) = own.slab.dequeue(&queued) else { continue };
                    own.drive(owned, Edges::NONE, Role::Aside, &mut ());
                }
            }
            Fault::None | Fault::SilentEnd => own.work_aside(&WorkerRecord::default(), || ()),
        });
        // Each of the two looks at all connections, as the ticker does again and again.
        let attendants = [(); 2].map(|()| {
            let own = scheduler.clone();
            thread::spawn(move || {
                for index in own.slab.indexes() {
                    if let Some(owned) = own.slab.claim_if_free(index) {
                        own.drive(owned, Edges::NONE, Role::Attendant, &mut ());
                    }
                }
            })
        });
        while !stops_meanwhile && answered.load(Ordering::SeqCst) < CALLERS {
            thread::yield_now();
        }
        scheduler.enter(Phase::Ended);
        match fault {
            Fault::SilentEnd => scheduler.aside.lines.lock().is_over = true,
            Fault::None | Fault::SleepsFirst => scheduler.aside.end(),
        }
        attendants.into_iter().for_each(|attendant| attendant.join().expect("no panic in the model"));
        beside.join().expect("no panic in the model");
        // As the stop does.
        let mut dropped = 0;
        while let Some(queued) = scheduler.aside.pop() {
            dropped += usize::from(scheduler.slab.dequeue(&queued).is_some());
        }
        assert_eq!(answered.load(Ordering::SeqCst) + dropped, CALLERS, "each ends once");
        assert_eq!(scheduler.slab.open(), 0);
    });
}

#[test]
fn what_is_handed_over_is_answered_once() {
    hand_over(Fault::None, false);
}

#[test]
fn a_stop_in_the_middle_leaves_nothing() {
    hand_over(Fault::None, true);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_thread_that_sleeps_before_it_looks() {
    hand_over(Fault::SleepsFirst, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_an_end_that_wakes_nobody() {
    hand_over(Fault::SilentEnd, true);
}
