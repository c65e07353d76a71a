//! A connection that carries streams, under shuttle: no request is left, no byte is left, nothing is left.
//!
//! The scheduler, the slots, the words and the counts are the real ones. The engine is a lock around what streams have
//! given and a waker that is told once, as that of `h2`. Each request parks once, gives its answer in two pieces, and
//! ends.

use super::*;
use crate::primitive::Mutex;
use crate::server::stream_counts::StreamCounts;
use std::sync::{OnceLock, Weak};

/// A mistake between a connection and its streams.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// A stream that parks makes room and does not ring.
    RestsInSilence,
    /// A stream is counted when it gets its slot, not when its request is taken.
    CountedLate,
    /// The engine forgets its waker while the connection looks.
    GivesInSilence,
    /// A stream that holds its connection does not make its step.
    HeldForEver,
    /// A stream that could not hold its connection does not try again once it has given.
    TakenTooEarly,
}

/// What a connection and its streams share.
struct Carriage {
    scheduler: Weak<Scheduler<Party>>,
    token: OnceLock<Token>,
    mistake: Mistake,
    counts: StreamCounts,
    engine: Mutex<Engine>,
    /// Pieces that have left.
    sent: AtomicUsize,
    /// Streams that wait to be woken.
    parked: Mutex<Vec<Token>>,
}

#[derive(Default)]
struct Engine {
    given: usize,
    waker: bool,
}

impl Carriage {
    fn ring(&self) {
        if let (Some(scheduler), Some(&token)) = (self.scheduler.upgrade(), self.token.get()) {
            scheduler.wake(token, Edges::WOKEN, Waiting::Turn);
        }
    }

    fn give(&self) {
        let mut engine = self.engine.lock();
        engine.given += 1;
        // Under the lock, as the engine does.
        if std::mem::take(&mut engine.waker) && self.mistake != Mistake::GivesInSilence {
            self.ring();
        }
    }
}

enum Party {
    Carrying { socket: UnixStream, carriage: Arc<Carriage>, waiting: usize },
    Carried { carriage: Arc<Carriage>, token: Token, has_parked: bool, runs: bool },
}

impl AsFd for Party {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Carrying { socket, .. } => socket.as_fd(),
            Self::Carried { .. } => panic!("it has no socket"),
        }
    }
}

impl Connection for Party {
    type Workspace = Arc<Scheduler<Party>>;

    fn step(&mut self, news: News, scheduler: &mut Self::Workspace) -> Step {
        match self {
            Self::Carrying { socket, carriage, waiting } => {
                let mut buffer = [0; 8];
                loop {
                    match socket.read(&mut buffer) {
                        Ok(0) => return Step::Close,
                        Ok(length) => *waiting += length,
                        Err(_) => break,
                    }
                }
                let mut opened = 0;
                while *waiting > 0 && carriage.counts.has_room() {
                    *waiting -= 1;
                    opened += 1;
                    if carriage.mistake != Mistake::CountedLate {
                        carriage.counts.opens();
                    } else if opened >= 2 {
                        // What it has taken counts for itself.
                        break;
                    }
                }
                let mut engine = carriage.engine.lock();
                carriage.sent.fetch_add(std::mem::take(&mut engine.given), Ordering::SeqCst);
                engine.waker = true;
                drop(engine);
                for _ in 0..opened {
                    if carriage.mistake == Mistake::CountedLate {
                        carriage.counts.opens();
                    }
                    let carriage = carriage.clone();
                    let make = |token| Self::Carried { carriage, token, has_parked: false, runs: true };
                    let scheduler = scheduler.clone();
                    let started = scheduler.start_detached(make, news.role, &mut scheduler.clone());
                    assert!(started.is_ok(), "a slot for each");
                }
                Step::Wait { deadline: None, idle: false }
            }
            Self::Carried { carriage, token, has_parked, runs } => {
                if !std::mem::replace(runs, true) {
                    carriage.counts.runs();
                }
                if news.role != Role::Worker {
                    return Step::Lend { refusable: false };
                }
                if !std::mem::replace(has_parked, true) {
                    carriage.parked.lock().push(*token);
                    *runs = false;
                    if carriage.counts.rests() && carriage.mistake != Mistake::RestsInSilence {
                        carriage.ring();
                    }
                    return Step::Wait { deadline: None, idle: false };
                }
                for _ in 0..2 {
                    let take = || carriage.token.get().and_then(|&token| scheduler.take(token)).map(Owned::enqueue);
                    let mut held = take();
                    carriage.give();
                    // It may have been let go, and queued, in between.
                    if held.is_none() && carriage.mistake != Mistake::TakenTooEarly {
                        held = take();
                    }
                    if let Some(held) = held
                        && carriage.mistake != Mistake::HeldForEver
                    {
                        let scheduler = scheduler.clone();
                        if let Some(owned) = scheduler.slab.dequeue(&held) {
                            scheduler.drive(owned, Edges::NONE, Role::Worker, &mut scheduler.clone());
                        }
                    }
                    // The next piece may take for ever.
                    while carriage.engine.lock().given > 0 {
                        thread::yield_now();
                    }
                }
                Step::Close
            }
        }
    }

    fn interest(&self) -> Interest {
        Interest::INPUT
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        if let Self::Carried { carriage, .. } = self
            && carriage.counts.closes()
        {
            carriage.ring();
        }
    }
}

/// One connection with so many requests at once, of which two may run, and two workers.
fn requests(count: usize, mistake: Mistake) {
    check(SCHEDULES / 2, move || {
        let scheduler = Arc::new(Scheduler::<Party>::new(1, count, 2, 100).expect("a poller"));
        let carriage = Arc::new(Carriage {
            scheduler: Arc::downgrade(&scheduler),
            token: OnceLock::new(),
            mistake,
            counts: StreamCounts::new(count, 2),
            engine: Mutex::new(Engine::default()),
            sent: AtomicUsize::new(0),
            parked: Mutex::new(Vec::new()),
        });
        let (near, mut far) = UnixStream::pair().expect("a socket pair");
        near.set_nonblocking(true).expect("a valid option");
        // The first slot, in its first generation.
        carriage.token.set(Token::from_bits(0)).expect("not set before");
        let carrying = Party::Carrying { socket: near, carriage: carriage.clone(), waiting: 0 };
        scheduler.insert(carrying, scheduler.clock.now()).expect("room");
        let workers = (0..2).map(|index| {
            let scheduler = scheduler.clone();
            thread::spawn(move || scheduler.work(&scheduler.records[index], &mut scheduler.clone()))
        });
        let workers: Vec<_> = workers.collect();
        far.write_all(&vec![b'r'; count]).expect("room for a few bytes");
        // Nothing but room for others ends their waits, as where all wait for the same lock.
        while carriage.parked.lock().len() < count {
            thread::yield_now();
        }
        let parked = std::mem::take(&mut *carriage.parked.lock());
        parked.into_iter().for_each(|token| scheduler.wake(token, Edges::WOKEN, Waiting::Turn));
        while carriage.sent.load(Ordering::SeqCst) < 2 * count {
            thread::yield_now();
        }
        drop(far);
        while scheduler.slab.open() > 0 {
            thread::yield_now();
        }
        scheduler.enter(Phase::Ended);
        for worker in workers {
            worker.join().expect("no panic in the model");
        }
    });
}

#[test]
fn no_request_and_no_piece_of_an_answer_is_left() {
    requests(4, Mistake::None);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_stream_that_makes_room_in_silence() {
    requests(4, Mistake::RestsInSilence);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_stream_that_is_counted_late() {
    requests(4, Mistake::CountedLate);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_an_engine_that_wakes_nobody() {
    requests(4, Mistake::GivesInSilence);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_connection_that_is_left_in_the_queue() {
    requests(4, Mistake::TakenTooEarly);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_connection_that_is_held_for_ever() {
    requests(4, Mistake::HeldForEver);
}
