//! The way to a lock that processes share, under shuttle: the local lock, then the shared one, and both given back, at
//! every moment. `bash check models` runs it.
//!
//! Two tools on one engine stand for two processes; the store of the second answers later. The lock tables, the
//! contenders and the holds are the real ones; the engine is as small as one can be. Checked are: never two holders in
//! all, nobody lost (a lost wake-up is a deadlock, which shuttle reports), and nothing left in the end: no local lock,
//! no shared one, no watch.

use super::hold::{Asked, Contender, Hold};
use super::lock_table::{LockGuard, Waiter};
use super::shared::Shared;
use super::tool::Sessions;
use super::*;
use crate::exchange::{Claim, Class, RequestId};
use crate::primitive::{self, Mutex, Unpark};
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Condvar;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Runner, thread};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A mistake of those who use the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The wake-ups of the watch are lost.
    DeafWatch,
    /// What is granted to who has gone is not given back.
    ForgottenGrant,
    /// A hold is not given back.
    ForgottenHold,
    /// Somebody goes in with the local lock alone.
    LocalAlone,
}

/// The lock of one session, between two processes.
#[derive(Default)]
struct Engine {
    holder: Mutex<Option<Fence>>,
    last: AtomicUsize,
    /// Questions that are not answered yet, though perhaps nobody waits for them any more.
    open_questions: AtomicUsize,
    watchers: Watchers,
}

struct Process {
    engine: Arc<Engine>,
    answers_later: bool,
    fault: Fault,
}

impl SharedLock for Process {
    fn try_lock(&self, id: &SessionId, _: Duration) -> Answer<Option<Grant>> {
        if self.answers_later { self.grant_later(*id) } else { Answer::now(self.grant()) }
    }

    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        // The engine is far: others come in between.
        thread::yield_now();
        if self.fault == Fault::DeafWatch {
            return Ok(self.engine.watchers.add(id, Waker::noop().clone()));
        }
        let watch = self.engine.watchers.add(id, waker);
        thread::yield_now();
        Ok(watch)
    }

    fn renew(&self, _: &SessionId, fence: Fence, _: Duration) -> Answer<bool> {
        Answer::now(*self.engine.holder.lock() == Some(fence))
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Answer<()> {
        let mut holder = self.engine.holder.lock();
        assert_eq!(*holder, Some(fence), "who gives back has it");
        *holder = None;
        drop(holder);
        thread::yield_now();
        self.engine.watchers.wake(id);
        Answer::now(())
    }

    fn lapses(&self) -> bool {
        false
    }
}

/// Where an answer that comes later is handed over.
#[derive(Default)]
struct Desk {
    counter: Mutex<Counter>,
}

#[derive(Default)]
struct Counter {
    answer: Option<Option<Grant>>,
    waker: Option<Waker>,
    is_abandoned: bool,
}

impl Desk {
    /// Returns what nobody wants any more.
    fn hand(&self, granted: Option<Grant>) -> Option<Grant> {
        let mut counter = self.counter.lock();
        if counter.is_abandoned {
            return granted;
        }
        counter.answer = Some(granted);
        let waker = counter.waker.take();
        drop(counter);
        waker.into_iter().for_each(Waker::wake);
        None
    }
}

/// An answer that is waited for. Dropped before it was taken, it goes back.
struct Unclaimed {
    desk: Arc<Desk>,
    store: Process,
    id: SessionId,
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        let mut counter = self.desk.counter.lock();
        counter.is_abandoned = true;
        let unwanted = counter.answer.take().flatten();
        drop(counter);
        if let Some(grant) = unwanted {
            self.store.unlock(&self.id, grant.fence).wait().expect("alive");
        }
    }
}

/// No records: only the lock matters here.
impl Store for Process {
    fn load(&self, _: &SessionId, _: Moment) -> Answer<Option<Record>> {
        Answer::now(None)
    }

    fn commit(&self, _: &SessionId, _: Option<Version>, _: &Data, _: &Terms) -> Answer<Commit> {
        Answer::now(Commit::Conflict)
    }

    fn touch(&self, _: &SessionId, _: &Terms) -> Answer<()> {
        Answer::now(())
    }

    fn delete(&self, _: &SessionId) -> Answer<()> {
        Answer::now(())
    }

    fn sweep(&self, _: Moment) -> Result<usize, StoreError> {
        Ok(0)
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        Ok(None)
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        Some(self)
    }

    fn answers(&self) -> Answers {
        if self.answers_later { Answers::Later } else { Answers::Blocking }
    }
}

impl Process {
    fn grant(&self) -> Option<Grant> {
        let mut holder = self.engine.holder.lock();
        if holder.is_some() {
            return None;
        }
        let fence = Fence(self.engine.last.fetch_add(1, Ordering::SeqCst) as u64);
        *holder = Some(fence);
        Some(Grant { fence, record: None })
    }

    fn blocking(&self) -> Self {
        Self { answers_later: false, engine: self.engine.clone(), ..*self }
    }

    fn grant_later(&self, id: SessionId) -> Answer<Option<Grant>> {
        let (asked, fault) = (self.blocking(), self.fault);
        let desk = Arc::new(Desk::default());
        let answer = desk.clone();
        self.engine.open_questions.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            let granted = asked.grant();
            thread::yield_now();
            let unwanted = answer.hand(granted);
            if let Some(grant) = unwanted.filter(|_| fault != Fault::ForgottenGrant) {
                asked.unlock(&id, grant.fence).wait().expect("alive");
            }
            asked.engine.open_questions.fetch_sub(1, Ordering::SeqCst);
        });
        let unclaimed = Unclaimed { desk, store: self.blocking(), id };
        Answer::later(std::future::poll_fn(move |context| {
            let mut counter = unclaimed.desk.counter.lock();
            match counter.answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => {
                    counter.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }
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

struct Stage {
    engine: Arc<Engine>,
    processes: [Arc<Shared>; 2],
    id: SessionId,
    inside: AtomicUsize,
    fault: Fault,
}

impl Stage {
    fn new(fault: Fault) -> Arc<Self> {
        let engine = Arc::new(Engine::default());
        let processes = [false, true].map(|answers_later| {
            Arc::clone(Sessions::new(Process { engine: engine.clone(), answers_later, fault }).inner())
        });
        Arc::new(Self { engine, processes, id: SessionId::random(), inside: AtomicUsize::new(0), fault })
    }

    fn enter(&self, hold: Hold) {
        assert_eq!(self.inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
        thread::yield_now();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        if self.fault == Fault::ForgottenHold {
            std::mem::forget(hold);
        }
    }

    fn contend(&self, process: usize, guard: LockGuard) -> Box<Contender> {
        Contender::new(&self.processes[process], &claim(), Duration::from_secs(1), guard)
    }

    /// What the admission does: one look for each wake-up, in whichever phase. Gives up after so many looks.
    fn park(&self, process: usize, patience: Option<usize>) {
        let parking = Arc::new(Parking::default());
        let waker = || Waker::from(parking.clone());
        let entered = self.processes[process].locks.enter(self.id, &claim(), Class::Usual, Instant::now(), waker);
        let (mut won, mut waiter) = (None, None);
        match entered {
            Ok(guard) => won = Some(guard),
            Err(turn) => waiter = Some(turn),
        }
        let mut contender = None;
        for looks in 0.. {
            if let Some(Poll::Ready(guard)) = waiter.as_mut().map(Waiter::poll) {
                (won, waiter) = (guard, None);
            }
            if let Some(guard) = won.take() {
                if self.fault == Fault::LocalAlone {
                    return self.enter(Hold::local(guard, None));
                }
                contender = Some(self.contend(process, guard));
            }
            if let Some(asking) = contender.take() {
                match asking.ask(&waker()).expect("alive") {
                    Asked::Won(hold, _) => return self.enter(hold),
                    Asked::Taken(again) | Asked::Unanswered(again) => contender = Some(again),
                }
            }
            match patience {
                Some(most) if looks == most => return,
                // It may give up at any moment, woken or not.
                Some(_) => thread::yield_now(),
                None => parking.wait(),
            }
        }
    }

    /// What `acquire_lock` within a handler does.
    fn block(&self, process: usize) {
        let deadline = Instant::now() + Duration::from_secs(3600);
        let guard = self.processes[process].locks.acquire_blocking(self.id, &claim(), deadline).expect("no deadline");
        let (mut contender, waker) = (self.contend(process, guard), Unpark::waker());
        loop {
            match contender.ask(&waker).expect("alive") {
                Asked::Won(hold, _) => return self.enter(hold),
                Asked::Taken(again) | Asked::Unanswered(again) => contender = again,
            }
            primitive::park_timeout(Duration::from_secs(3600));
        }
    }
}

fn claim() -> Claim {
    Claim::new(RequestId::next(), "/")
}

/// In each process one parks; in one of them one blocks, in the other one gives up at a random moment.
fn everybody(fault: Fault) {
    const THREADS: usize = 4;
    let schedules = 5_000 * primitive::effort();
    let model = move || {
        let stage = Stage::new(fault);
        let threads = (0..THREADS).map(|number| {
            let stage = stage.clone();
            thread::spawn(move || match number {
                0 | 1 => stage.park(number, None),
                2 => stage.block(shuttle::rand::thread_rng().gen_range(0..2)),
                _ => stage.park(1, Some(shuttle::rand::thread_rng().gen_range(0..4))),
            })
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            thread.join().expect("no panic in the model");
        }
        while stage.engine.open_questions.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
        assert!(stage.processes.iter().all(|process| process.locks.len() == 0), "a local lock is left");
        assert_eq!(*stage.engine.holder.lock(), None, "a shared lock is left");
        assert!(stage.engine.watchers.watched().is_empty(), "a watch is left");
    };
    Runner::new(RandomScheduler::new_from_seed(7, schedules), shuttle::Config::new()).run(model);
    Runner::new(PctScheduler::new_from_seed(7, 3, schedules), shuttle::Config::new()).run(model);
}

#[test]
fn there_is_one_holder_in_all_processes_and_no_waiter_is_lost() {
    everybody(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_watch_that_is_not_heard() {
    everybody(Fault::DeafWatch);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_grant_that_is_lost_with_its_request() {
    everybody(Fault::ForgottenGrant);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_hold_that_is_not_given_back() {
    everybody(Fault::ForgottenHold);
}

#[test]
#[should_panic(expected = "two holders")]
fn found_a_request_with_the_local_lock_alone() {
    everybody(Fault::LocalAlone);
}
