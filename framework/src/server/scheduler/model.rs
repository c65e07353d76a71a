//! The scheduler under shuttle: thousands of schedules of the worker loop with everything below it, which is the real
//! code: slots, ownership words, the run queue, the poller, and the kernel's epoll and eventfd. `bash check models`
//! runs it.
//!
//! Shuttle runs all threads of the model on one and switches at each atomic operation and lock, in sequential
//! consistency, as the loop's two sides require. A worker that waits in the poller asks the kernel again and again (see
//! `poll.rs`), so a job that is left beside sleeping workers shows as a schedule without end. The handlers decide
//! whether it is left: long ones end only when all short ones have, so no worker is freed by chance.
//!
//! [`Fault`] names known mistakes; a copy of the loop that makes them must be found out by the same checks.

mod room;
mod stopping;
mod streams;

use super::*;
use crate::primitive::AtomicUsize;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, MaxSteps, Runner, thread};
use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// A mistake in the worker loop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// A worker does not look at the queue again after it has announced its sleep.
    NoSecondLook,
    /// A push wakes no worker.
    NoKick,
    /// A pop that leaves more behind wakes no worker.
    KickNotPassedOn,
    /// A worker that harvests a kick together with an event keeps it.
    KickKept,
}

/// The part that all connections of one run share.
#[derive(Default)]
struct Stage {
    /// Short jobs that are not done.
    short: AtomicUsize,
    /// Jobs that are not done.
    left: AtomicUsize,
    /// Broken rules. They cannot panic where they are seen: the scheduler catches panics of a step.
    broken: AtomicUsize,
}

/// A connection that reads jobs, one byte each, and does them: `s` is short, `l` goes on until all short ones are done.
struct Visitor {
    socket: UnixStream,
    stage: Arc<Stage>,
    inside: AtomicUsize,
    jobs: Vec<u8>,
}

impl AsFd for Visitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection for Visitor {
    type Workspace = ();

    fn step(&mut self, news: News, (): &mut ()) -> Step {
        if self.inside.fetch_add(1, Ordering::SeqCst) != 0 {
            self.stage.broken.fetch_add(1, Ordering::SeqCst);
        }
        let step = self.work(news);
        self.inside.fetch_sub(1, Ordering::SeqCst);
        step
    }

    fn interest(&self) -> Interest {
        Interest::INPUT
    }
}

impl Visitor {
    fn work(&mut self, news: News) -> Step {
        let mut buffer = [0; 8];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Step::Close,
                Ok(length) => self.jobs.extend_from_slice(&buffer[..length]),
                Err(_) => break,
            }
        }
        if news.edges.contains(Edges::WOKEN) {
            self.jobs.push(b's');
        }
        while let Some(job) = self.jobs.pop() {
            if news.role != Role::Worker {
                self.jobs.push(job);
                return Step::Lend { refusable: false };
            }
            if job == b's' {
                self.stage.short.fetch_sub(1, Ordering::SeqCst);
            } else {
                while self.stage.short.load(Ordering::SeqCst) > 0 {
                    thread::yield_now();
                }
            }
            self.stage.left.fetch_sub(1, Ordering::SeqCst);
        }
        Step::Wait { deadline: None, idle: true }
    }
}

/// The worker loop with a mistake; without one it is `Scheduler::work`.
fn work(scheduler: &Scheduler<Visitor>, fault: Fault) {
    let pop = || match fault {
        Fault::KickNotPassedOn => scheduler.slab.dequeue(&scheduler.queue.pop()?.connection),
        _ => scheduler.pop(),
    };
    let mut events = Events::new();
    loop {
        if let Some(owned) = pop() {
            scheduler.drive(owned, Edges::NONE, Role::Worker, &mut ());
            continue;
        }
        if scheduler.phase() == Phase::Ended {
            return;
        }
        let asleep = Asleep::announce(scheduler);
        if fault != Fault::NoSecondLook
            && let Some(owned) = pop()
        {
            drop(asleep);
            scheduler.drive(owned, Edges::NONE, Role::Worker, &mut ());
            continue;
        }
        let most = if scheduler.reserve.sleepers() > 1 { 1 } else { BATCH };
        scheduler.poller.wait(&mut events, most, None);
        drop(asleep);
        let mut claimed = events.iter().filter_map(|(token, edges)| scheduler.claim(token, edges));
        let Some(first) = claimed.next() else { continue };
        let since = scheduler.clock.now();
        let mut turns: Vec<_> =
            claimed.map(|owned| Entry { connection: owned.enqueue(), since, waiting: Waiting::Turn }).collect();
        let has_pushed = !turns.is_empty();
        scheduler.queue.push_turns(&mut turns);
        if fault != Fault::NoKick && (has_pushed || fault != Fault::KickKept) {
            scheduler.pass_kick_on();
        }
        scheduler.drive(first, Edges::NONE, Role::Worker, &mut ());
    }
}

/// A scheduler with its connections, and the peers of these.
struct Play {
    scheduler: Arc<Scheduler<Visitor>>,
    stage: Arc<Stage>,
    peers: Vec<UnixStream>,
    workers: Vec<thread::JoinHandle<()>>,
}

impl Play {
    /// With so many connections and workers; `jobs` will come.
    fn new(connections: usize, workers: usize, jobs: &str, fault: Option<Fault>) -> Self {
        Self::with_reserve(usize::MAX, connections, workers, jobs, fault)
    }

    /// A run in which at most `quota` workers sleep in the poller while things are calm.
    fn with_reserve(quota: usize, connections: usize, workers: usize, jobs: &str, fault: Option<Fault>) -> Self {
        let stage = Arc::new(Stage::default());
        stage.left.store(jobs.len(), Ordering::SeqCst);
        stage.short.store(jobs.matches('s').count(), Ordering::SeqCst);
        let mut scheduler = Scheduler::new(connections, 0, workers, 100).expect("a poller");
        scheduler.reserve = Reserve::new(quota);
        let scheduler = Arc::new(scheduler);
        let peers = (0..connections).map(|_| {
            let (near, far) = UnixStream::pair().expect("a socket pair");
            near.set_nonblocking(true).expect("a valid option");
            let visitor = Visitor { socket: near, stage: stage.clone(), inside: AtomicUsize::new(0), jobs: Vec::new() };
            scheduler.insert(visitor, scheduler.clock.now()).expect("room");
            far
        });
        let peers = peers.collect();
        let workers = (0..workers).map(|index| {
            let scheduler = scheduler.clone();
            thread::spawn(move || match fault {
                None => scheduler.work(&scheduler.records[index], &mut ()),
                Some(fault) => work(&scheduler, fault),
            })
        });
        let workers = workers.collect();
        Self { scheduler, stage, peers, workers }
    }

    fn spawn(&self, life: impl FnOnce(&Scheduler<Visitor>) + Send + 'static) -> thread::JoinHandle<()> {
        let scheduler = self.scheduler.clone();
        thread::spawn(move || life(&scheduler))
    }

    /// Wakes the first connections from outside: one short job for each.
    fn wake_all(&self, connections: u64) -> thread::JoinHandle<()> {
        self.wake_in(connections, Waiting::Turn)
    }

    /// The same, in this lane.
    fn wake_in(&self, connections: u64, waiting: Waiting) -> thread::JoinHandle<()> {
        self.spawn(move |scheduler| {
            for index in 0..connections {
                scheduler.wake(Token::from_bits(index), Edges::WOKEN, waiting);
            }
        })
    }

    /// All jobs are done, then all connections end, then all workers.
    fn end(self) {
        while self.stage.left.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
        drop(self.peers);
        while self.scheduler.slab.open() > 0 {
            thread::yield_now();
        }
        self.scheduler.enter(Phase::Ended);
        for worker in self.workers {
            worker.join().expect("no panic in the model");
        }
        assert_eq!(self.stage.broken.load(Ordering::SeqCst), 0, "two threads were in one connection");
        assert_eq!(self.scheduler.queue.len(), 0);
    }
}

/// Random schedules, and some in which few switches are made at the worst moments (PCT).
pub(in crate::server) fn check(schedules: usize, model: impl Fn() + Send + Sync + 'static) {
    let (model, schedules) = (Arc::new(model), schedules * crate::primitive::effort());
    let mut config = Config::new();
    // A run that goes on for so long never ends: a worker sleeps that has work.
    config.max_steps = MaxSteps::FailAfter(50_000);
    let random = RandomScheduler::new_from_seed(7, schedules);
    let again = model.clone();
    Runner::new(random, config.clone()).run(move || again());
    let few_switches = PctScheduler::new_from_seed(7, 3, schedules / 4);
    Runner::new(few_switches, config).run(move || model());
}

const SCHEDULES: usize = 2_000;

/// Four jobs come at once to three workers, and two of them take as long as the others are not done.
fn a_burst(fault: Option<Fault>) {
    check(SCHEDULES, move || {
        let mut play = Play::new(4, 3, "llss", fault);
        for (peer, job) in play.peers.iter_mut().zip(["l", "l", "s", "s"]) {
            peer.write_all(job.as_bytes()).expect("room for a byte");
        }
        play.end();
    });
}

#[test]
fn no_job_is_left_beside_a_sleeping_worker() {
    a_burst(None);
}

#[test]
fn the_copy_of_the_loop_is_right_without_a_mistake() {
    a_burst(Some(Fault::None));
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_worker_that_does_not_look_again() {
    a_burst(Some(Fault::NoSecondLook));
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_push_without_a_kick() {
    a_burst(Some(Fault::NoKick));
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_kick_that_is_not_passed_on() {
    a_burst(Some(Fault::KickNotPassedOn));
}

/// The burst with two workers in reserve, and a ticker that looks or does not.
fn a_burst_on_a_reserve(ticker_looks: bool) {
    check(SCHEDULES, move || {
        let mut play = Play::with_reserve(1, 4, 3, "llss", None);
        let scheduler = play.scheduler.clone();
        let ticker = thread::spawn(move || {
            while ticker_looks && scheduler.phase() < Phase::Ended {
                if scheduler.reserve.is_armed() {
                    if scheduler.reserve.sleepers() == 0 {
                        scheduler.reserve.call();
                    } else {
                        scheduler.reserve.disarm();
                        scheduler.reserve.calm();
                    }
                }
                thread::yield_now();
            }
        });
        for (peer, job) in play.peers.iter_mut().zip(["l", "l", "s", "s"]) {
            peer.write_all(job.as_bytes()).expect("room for a byte");
        }
        play.end();
        ticker.join().expect("no panic in the model");
    });
}

#[test]
fn a_reserve_is_called_when_all_others_are_in_long_handlers() {
    a_burst_on_a_reserve(true);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_reserve_that_is_never_called() {
    a_burst_on_a_reserve(false);
}

/// A wake-up from outside meets news of the poller: a worker may harvest the kick for one together with the other.
#[test]
fn a_kick_and_an_event_reach_two_workers() {
    a_kick_meets_an_event(None);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_kick_that_is_kept_by_a_worker_with_an_event() {
    a_kick_meets_an_event(Some(Fault::KickKept));
}

fn a_kick_meets_an_event(fault: Option<Fault>) {
    check(SCHEDULES, move || {
        let mut play = Play::new(2, 2, "ls", fault);
        let waker = play.wake_all(1);
        play.peers[1].write_all(b"l").expect("room for a byte");
        waker.join().expect("no panic in the model");
        play.end();
    });
}

/// News in the lower lane is not left beside a sleeping worker, whatever comes in the upper one.
fn news_beside_a_long_job(fault: Option<Fault>) {
    check(SCHEDULES, move || {
        let mut play = Play::new(3, 2, "lss", fault);
        let waker = play.wake_in(2, Waiting::News);
        play.peers[2].write_all(b"l").expect("room for a byte");
        waker.join().expect("no panic in the model");
        play.end();
    });
}

#[test]
fn news_reaches_a_worker() {
    news_beside_a_long_job(None);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_news_whose_kick_is_kept() {
    news_beside_a_long_job(Some(Fault::KickKept));
}

/// The attendant harvests too, and must not keep a kick for itself.
#[test]
fn a_kick_that_the_attendant_takes_reaches_a_worker() {
    check(SCHEDULES, || {
        let mut play = Play::new(2, 2, "ls", None);
        let waker = play.wake_all(1);
        let attendant = play.spawn(|scheduler| {
            scheduler.attend(&mut Events::new(), &mut ());
        });
        play.peers[1].write_all(b"l").expect("room for a byte");
        for thread in [waker, attendant] {
            thread.join().expect("no panic in the model");
        }
        play.end();
    });
}

/// News come while others own the connection: wakers, the ticker, the stop.
#[test]
fn news_from_everywhere_reach_a_worker() {
    check(SCHEDULES, || {
        let mut play = Play::new(3, 2, "lsss", None);
        let waker = play.wake_all(2);
        let ticker = play.spawn(|scheduler| {
            for index in [0, 1] {
                if let Some(owned) = scheduler.slab.claim_if_free(index) {
                    scheduler.drive(owned, Edges::EXPIRED, Role::Attendant, &mut ());
                }
                if let Some(owned) = scheduler.slab.claim_if_free(1 - index) {
                    scheduler.put_down(owned);
                }
            }
        });
        play.peers[2].write_all(b"l").expect("room for a byte");
        thread::yield_now();
        play.peers[1].write_all(b"s").expect("room for a byte");
        for thread in [waker, ticker] {
            thread.join().expect("no panic in the model");
        }
        play.end();
    });
}
