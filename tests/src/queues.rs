//! The common tests of all queues of jobs with an engine on the network: an engine that starts again, answers that are
//! lost, and a server that says nothing.

use crate::engines::Wire;
use crate::wait_until;
use kirsch::engine::Deadline;
use kirsch::jobs::{Job, JobId, Jobs, NewJob, Outcome, Queue, Stage, Work};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A lease that does not end during a test.
const LONG: Duration = Duration::from_secs(60);

/// Says that it was done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told(pub u32);

/// How often each was done.
pub type Done = Mutex<HashMap<u32, u32>>;

impl Job for Told {
    const NAME: &'static str = "told";
    type State = Done;

    fn run(&self, done: &Done, _: &Work) -> kirsch::Result {
        *done.lock().unwrap_or_else(PoisonError::into_inner).entry(self.0).or_default() += 1;
        Ok(())
    }
}

/// An engine that ends in the middle and starts again costs no job, and no program has to start again.
///
/// # Panics
/// If the queue breaks that rule.
pub fn check_restart(open: impl Fn() -> Jobs, stop: impl FnOnce(), resume: impl FnOnce()) {
    const JOBS: u32 = 200;
    let done = std::sync::Arc::new(Done::default());
    let start = || {
        let jobs = open().threads(2).register::<Told>(std::sync::Arc::clone(&done));
        jobs.start().expect("the engine is there");
        jobs
    };
    let (one, other) = (start(), start());
    for number in 0..JOBS {
        one.enqueue(&Told(number)).expect("the engine is there");
    }
    let count = || done.lock().unwrap_or_else(PoisonError::into_inner).len();
    wait_until(|| count() > 50);
    stop();
    assert!(one.enqueue(&Told(JOBS)).is_err(), "the engine is gone");
    resume();
    wait_until(|| one.enqueue(&Told(JOBS)).is_ok());
    wait_until(|| one.counts().is_ok_and(|counts| counts[..2] == [0, 0]));
    assert!(one.counts().expect("it is back")[Stage::Done as usize] > JOBS as usize);
    assert_eq!(count(), JOBS as usize + 1, "each was done");
    assert!(one.stop(Deadline::within(LONG)).is_empty() && other.stop(Deadline::within(LONG)).is_empty());
}

/// A call whose answer is lost leaves no job behind that nobody is at, and costs no attempt. The queue should have one
/// connection, so that the lost answer is that of the call and not of a preparation.
///
/// # Panics
/// If the queue breaks that rule.
pub fn check_lost_answers(queue: &impl Queue, wire: &Wire) {
    let id = JobId::of_number(1);
    // The first call of each kind makes what it needs.
    let claim = || queue.claim(&["mail"], LONG);
    assert_eq!(claim().expect("the engine is there"), None);
    let mut new = NewJob::new(id, "mail", "{}");
    new.attempts = 1;
    queue.enqueue(&new).expect("the engine is there");
    wire.lose_an_answer();
    let claimed = RefCell::new(None);
    wait_until(|| {
        *claimed.borrow_mut() = claim().ok().flatten();
        claimed.borrow().is_some()
    });
    assert!(!wire.is_about_to_lose(), "an answer was lost");
    let attempt = claimed.into_inner().expect("waited for").attempt;
    let renewed = || queue.renew(id, attempt, LONG, 0.5);
    renewed().expect("the engine is there");
    wire.lose_an_answer();
    let renewed = renewed().or_else(|_| renewed()).expect("asked again");
    assert_eq!(renewed, kirsch::jobs::Renewed::Held);
    let outcome = Outcome::Done { result: None };
    assert!(!queue.finish(id, attempt + 1, &outcome).expect("the engine is there"));
    wire.lose_an_answer();
    let _ = queue.finish(id, attempt, &outcome);
    let status = || queue.status(id);
    let status = status().or_else(|_| status()).expect("asked again").expect("it is kept");
    assert_eq!((status.stage, status.attempt), (Stage::Done, attempt));
    wire.lose_an_answer();
    // Sent twice by some: the job is there once.
    let _ = queue.enqueue(&NewJob::new(JobId::of_number(2), "export", "{}"));
    let claims = [(); 2].map(|()| queue.claim(&["export"], LONG).expect("the engine is there"));
    assert!(claims[1].is_none(), "a job that was enqueued once is there twice: {claims:?}");
}

/// The end of a job whose answer is lost is an end all the same: nobody does it again.
///
/// # Panics
/// If that is not so.
pub fn check_lost_end(jobs: &Jobs, wire: &Wire) {
    let done = std::sync::Arc::new(Done::default());
    let jobs = jobs.clone().register::<Told>(std::sync::Arc::clone(&done));
    for number in 0..100 {
        jobs.enqueue(&Told(number)).expect("the engine is there");
    }
    jobs.start().expect("the engine is there");
    for _ in 0..5 {
        wire.lose_an_answer();
        wait_until(|| !wire.is_about_to_lose());
    }
    wait_until(|| jobs.counts().is_ok_and(|counts| counts == [0, 0, 100, 0, 0]));
    jobs.stop(Deadline::within(LONG));
    let times = done.lock().unwrap_or_else(PoisonError::into_inner).values().copied().max();
    assert_eq!(times, Some(1), "a job that has ended was done again");
}

/// A silent engine holds one request at a time, until a deadline, and the others are told.
///
/// # Panics
/// If the queue breaks that rule.
pub fn check_silence(queue: &impl Queue, freeze: impl Fn(), thaw: impl Fn()) {
    queue.probe().expect("the engine is there");
    freeze();
    let look = || queue.status(JobId::of_number(1)).map_err(|error| told(&error));
    let first = look().expect_err("frozen");
    assert!(first.contains("did not answer in time"), "{first}");
    let problems: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| look().expect_err("frozen"))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(problems.iter().any(|problem| problem.contains("one request at a time asks it")), "{problems:?}");
    thaw();
    wait_until(|| look().is_ok());
}

/// A job that another process has enqueued is heard of, without a look into the queue. `enqueue` is called when the
/// queue listens.
///
/// # Panics
/// If it is not.
pub fn check_messages(queue: &impl Queue, enqueue: impl FnOnce(), cut_off: impl FnOnce()) {
    let ((heard, hears), (over, is_over)) = (channel(), channel::<()>());
    let is_over = Mutex::new(is_over);
    std::thread::scope(|scope| {
        let is_going_on = || {
            let is_over = is_over.lock().unwrap_or_else(PoisonError::into_inner);
            is_over.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty)
        };
        scope.spawn(move || queue.listen(&|due| assert!(heard.send(due).is_ok(), "the test is over"), &is_going_on));
        let hear = || hears.recv_timeout(LONG).expect("it is heard");
        assert_eq!(hear(), Duration::ZERO, "it listens: there may be jobs");
        enqueue();
        assert_eq!(hear(), Duration::from_secs(5), "when the job is due");
        cut_off();
        assert_eq!(hear(), Duration::ZERO, "it listens again after a break");
        drop(over);
    });
}

/// What the operator reads.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
