//! The suite that every queue must pass, so that jobs behave the same with each of them.
//!
//! ```
//! use kirsch::{jobs::MemoryQueue, testing::job_queue};
//!
//! job_queue::check(MemoryQueue::new);
//! ```
//!
//! Leases and delays are the engine's, so the suite waits for short ones. A check that fails panics with the rule that
//! was broken.

use crate::jobs::{Claimed, Enqueued, JobId, Keep, NewJob, Outcome, Queue, QueueError, Renewed, Stage};
use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const LONG: Duration = Duration::from_secs(60);
/// A lease or a delay that ends soon, and is still there after a few steps.
const SHORT: Duration = Duration::from_millis(150);
/// The longest wait for something that should come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks all rules on fresh queues that `make_queue` makes: each is empty.
///
/// # Panics
/// When the queue breaks a rule; the message is the rule.
pub fn check<Q: Queue>(make_queue: impl Fn() -> Q) {
    let rules: [fn(&Q); 18] = [
        a_job_is_claimed_once_and_then_done,
        the_oldest_comes_first_and_the_first_kind_wins,
        kinds_that_are_not_asked_for_are_left_alone,
        a_delay_is_kept,
        what_has_failed_comes_again_with_the_next_attempt,
        a_lease_that_has_ended_lets_another_claim,
        a_late_finish_changes_nothing,
        a_renewed_lease_goes_on,
        a_job_that_never_finishes_is_dead_after_its_attempts,
        a_release_costs_no_attempt,
        a_cancelled_job_is_not_begun,
        a_running_job_hears_that_it_is_cancelled,
        a_key_admits_one_job_until_it_has_ended,
        a_full_queue_refuses_and_has_room_again,
        a_turn_of_the_timetable_is_served_once,
        a_dead_job_can_be_revived,
        what_has_ended_is_swept_when_its_time_has_come,
        any_text_is_kept,
    ];
    rules.iter().for_each(|rule| rule(&make_queue()));
    claims_at_the_same_time_share_the_jobs(&[&make_queue()]);
}

/// Checks that several handles of one engine, as several processes have them, are one queue. `make_queue` opens the
/// same, empty engine with each call.
///
/// # Panics
/// When the queue breaks a rule; the message is the rule.
pub fn check_shared<Q: Queue>(make_queue: impl Fn() -> Q) {
    let (one, other) = (make_queue(), make_queue());
    assert!(one.is_shared(), "a queue that several processes use says so");
    enqueue(&one, 1, "mail");
    assert_eq!(claim(&other, LONG).map(|job| job.id), Some(id(1)), "what one has enqueued the other one claims");
    assert!(one.cancel(id(1)).expect("cancel"));
    assert_eq!(other.renew(id(1), 1, LONG, 0.5).expect("renew"), Renewed::Cancelled, "a cancel reaches the other one");
    assert!(other.finish(id(1), 1, &Outcome::Cancelled).expect("finish"));
    claims_at_the_same_time_share_the_jobs(&[&one, &other]);
    let keyed =
        |queue: &Q, number| queue.enqueue(&NewJob { unique: Some("2026"), ..NewJob::new(id(number), "mail", "{}") });
    let rule = "a key admits one of the jobs that come together";
    one_of_those_that_come_together_wins(&[&one, &other], 5000, keyed, rule);
    let turn = |queue: &Q, number| {
        queue.enqueue(&NewJob { turn: Some(("0 3 * * *", 180)), ..NewJob::new(id(number), "mail", "{}") })
    };
    let rule = "of several processes one serves a turn";
    one_of_those_that_come_together_wins(&[&one, &other], 6000, turn, rule);
}

fn id(number: u64) -> JobId {
    JobId::of_number(number)
}

fn enqueue(queue: &impl Queue, number: u64, kind: &str) {
    let payload = number.to_string();
    assert_eq!(queue.enqueue(&NewJob::new(id(number), kind, &payload)).expect("enqueue"), Enqueued::New);
}

fn claim(queue: &impl Queue, lease: Duration) -> Option<Claimed> {
    queue.claim(&["mail"], lease).expect("claim")
}

fn claim_soon(queue: &impl Queue, lease: Duration) -> Claimed {
    let began = Instant::now();
    loop {
        if let Some(claimed) = claim(queue, lease) {
            return claimed;
        }
        assert!(began.elapsed() < PATIENCE, "a job that is due is claimed");
        thread::sleep(Duration::from_millis(5));
    }
}

fn stage(queue: &impl Queue, number: u64) -> Option<Stage> {
    queue.status(id(number)).expect("status").map(|status| status.stage)
}

fn failed(after: Duration) -> Outcome {
    Outcome::Again { after, error: "no luck".to_owned() }
}

fn done() -> Outcome {
    Outcome::Done { result: Some("/result".to_owned()) }
}

fn a_job_is_claimed_once_and_then_done<Q: Queue>(queue: &Q) {
    assert_eq!(queue.next_due().expect("next_due"), None, "an empty queue has nothing due");
    assert_eq!(stage(queue, 1), None, "a job that never was is not there");
    enqueue(queue, 1, "mail");
    assert_eq!(queue.next_due().expect("next_due"), Some(Duration::ZERO), "a job without a delay is due");
    let claimed = claim(queue, LONG).expect("a job that is due is claimed");
    let expected = Claimed { id: id(1), kind: "mail".into(), payload: "1".into(), attempt: 1, attempts: 5 };
    assert_eq!(claimed, expected, "a job is claimed as it was enqueued");
    assert_eq!(claim(queue, LONG), None, "a job is claimed once");
    assert!(queue.finish(id(1), 1, &done()).expect("finish"));
    let status = queue.status(id(1)).expect("status").expect("a job that is done is kept");
    assert_eq!((status.stage, status.result.as_deref()), (Stage::Done, Some("/result")), "the result is kept");
    assert_eq!(queue.counts().expect("counts"), [0, 0, 1, 0, 0]);
    assert!(!queue.finish(id(1), 1, &done()).expect("finish"), "an attempt ends once");
    assert_eq!(queue.next_due().expect("next_due"), None, "nothing is due after the end");
}

fn the_oldest_comes_first_and_the_first_kind_wins<Q: Queue>(queue: &Q) {
    for (number, kind) in [(1, "mail"), (2, "mail"), (3, "export")] {
        enqueue(queue, number, kind);
    }
    let order: Vec<_> = (0..3)
        .map(|_| queue.claim(&["export", "mail"], LONG).expect("claim").expect("three jobs are due").id)
        .collect();
    assert_eq!(order, [id(3), id(1), id(2)], "the first kind that has a job gives its oldest");
    let listed: Vec<_> = queue.list(Stage::Running, 2).expect("list").into_iter().map(|job| job.id).collect();
    assert_eq!(listed, [id(3), id(2)], "a list has the latest first, and no more than was asked for");
}

fn kinds_that_are_not_asked_for_are_left_alone<Q: Queue>(queue: &Q) {
    enqueue(queue, 1, "unknown");
    assert_eq!(claim(queue, LONG), None, "a job of another kind is not claimed");
    assert_eq!(queue.claim(&[], LONG).expect("claim"), None, "without a kind nothing is claimed");
    assert_eq!(stage(queue, 1), Some(Stage::Queued));
}

fn a_delay_is_kept<Q: Queue>(queue: &Q) {
    let began = Instant::now();
    queue.enqueue(&NewJob { after: SHORT, ..NewJob::new(id(1), "mail", "1") }).expect("enqueue");
    let far = Duration::MAX;
    queue.enqueue(&NewJob { after: far, ..NewJob::new(id(2), "mail", "2") }).expect("a delay may be of any length");
    let due = queue.next_due().expect("next_due").expect("a job is queued");
    assert!(due <= SHORT, "the next job is due after its delay, not after {due:?}");
    assert_eq!(claim_soon(queue, LONG).id, id(1));
    assert!(began.elapsed() >= SHORT - Duration::from_millis(2), "a job was claimed before its time");
    assert_eq!(claim(queue, LONG), None);
}

fn what_has_failed_comes_again_with_the_next_attempt<Q: Queue>(queue: &Q) {
    enqueue(queue, 1, "mail");
    assert_eq!(claim_soon(queue, LONG).attempt, 1);
    assert!(queue.finish(id(1), 1, &failed(SHORT)).expect("finish"));
    let status = queue.status(id(1)).expect("status").expect("it is kept");
    assert_eq!((status.stage, status.error.as_deref()), (Stage::Queued, Some("no luck")), "the reason is kept");
    assert_eq!(claim_soon(queue, LONG).attempt, 2, "attempts are counted");
    let dead = Outcome::Dead { error: "no luck at all".to_owned() };
    assert!(queue.finish(id(1), 2, &dead).expect("finish"));
    assert_eq!(stage(queue, 1), Some(Stage::Dead));
    assert_eq!(claim(queue, LONG), None, "a dead job is not claimed");
}

fn a_lease_that_has_ended_lets_another_claim<Q: Queue>(queue: &Q) {
    enqueue(queue, 1, "mail");
    assert_eq!(claim_soon(queue, SHORT).attempt, 1);
    let due = queue.next_due().expect("next_due").expect("a job runs");
    assert!(due <= SHORT, "the end of a lease is a time to look, not {due:?}");
    assert_eq!(claim_soon(queue, LONG).attempt, 2, "a job whose process has died is claimed again");
}

fn a_late_finish_changes_nothing<Q: Queue>(queue: &Q) {
    enqueue(queue, 1, "mail");
    claim_soon(queue, SHORT);
    assert_eq!(claim_soon(queue, LONG).attempt, 2);
    for late in [done(), failed(Duration::ZERO), Outcome::Released] {
        assert!(!queue.finish(id(1), 1, &late).expect("finish"), "the end of an attempt that is over is refused");
    }
    assert_eq!(queue.renew(id(1), 1, LONG, 0.0).expect("renew"), Renewed::Lost, "so is its renewal");
    assert_eq!(stage(queue, 1), Some(Stage::Running));
    assert!(queue.finish(id(1), 2, &done()).expect("finish"), "the present attempt goes on");
}

fn a_renewed_lease_goes_on<Q: Queue>(queue: &Q) {
    enqueue(queue, 1, "mail");
    claim_soon(queue, SHORT);
    assert_eq!(queue.renew(id(1), 1, LONG, 0.5).expect("renew"), Renewed::Held);
    thread::sleep(SHORT + SHORT / 2);
    assert_eq!(claim(queue, LONG), None, "a job is not claimed while its lease is renewed");
    let status = queue.status(id(1)).expect("status").expect("it runs");
    assert!((status.progress - 0.5).abs() < 0.01, "how far the job is was kept");
}

fn a_job_that_never_finishes_is_dead_after_its_attempts<Q: Queue>(queue: &Q) {
    queue.enqueue(&NewJob { attempts: 2, ..NewJob::new(id(1), "mail", "1") }).expect("enqueue");
    assert_eq!(claim_soon(queue, SHORT).attempt, 1);
    assert_eq!(claim_soon(queue, SHORT).attempt, 2);
    let began = Instant::now();
    while stage(queue, 1) != Some(Stage::Dead) {
        assert_eq!(claim(queue, LONG), None, "a job is claimed no more often than it has attempts");
        assert!(began.elapsed() < PATIENCE, "a job that kills its process ends dead");
        thread::sleep(Duration::from_millis(5));
    }
}

fn a_release_costs_no_attempt<Q: Queue>(queue: &Q) {
    queue.enqueue(&NewJob { attempts: 1, ..NewJob::new(id(1), "mail", "1") }).expect("enqueue");
    for attempt in 1..4 {
        let claimed = claim(queue, LONG).expect("a job that was given back is due at once");
        assert_eq!((claimed.attempt, claimed.attempts), (attempt, attempt), "a release leaves as many attempts");
        assert!(queue.finish(id(1), attempt, &Outcome::Released).expect("finish"));
    }
}

fn a_cancelled_job_is_not_begun<Q: Queue>(queue: &Q) {
    enqueue(queue, 1, "mail");
    queue.enqueue(&NewJob { after: LONG, ..NewJob::new(id(2), "mail", "2") }).expect("enqueue");
    for number in [1, 2] {
        assert!(queue.cancel(id(number)).expect("cancel"), "a job that waits can be cancelled");
        assert!(!queue.cancel(id(number)).expect("cancel"), "it is cancelled once");
        assert_eq!(stage(queue, number), Some(Stage::Cancelled));
    }
    assert_eq!(claim(queue, LONG), None, "a cancelled job is not claimed");
    assert!(!queue.cancel(id(3)).expect("cancel"), "a job that is not there cannot be cancelled");
    assert_eq!(queue.next_due().expect("next_due"), None, "a cancelled job is never due");
}

fn a_running_job_hears_that_it_is_cancelled<Q: Queue>(queue: &Q) {
    enqueue(queue, 1, "mail");
    claim_soon(queue, LONG);
    assert!(queue.cancel(id(1)).expect("cancel"));
    assert_eq!(queue.renew(id(1), 1, LONG, 0.0).expect("renew"), Renewed::Cancelled);
    assert!(queue.finish(id(1), 1, &failed(Duration::ZERO)).expect("finish"));
    assert_eq!(stage(queue, 1), Some(Stage::Cancelled), "a cancelled job that fails is not tried again");
    enqueue(queue, 2, "mail");
    claim_soon(queue, SHORT);
    assert!(queue.cancel(id(2)).expect("cancel"));
    let began = Instant::now();
    while stage(queue, 2) != Some(Stage::Cancelled) {
        assert_eq!(claim(queue, LONG), None, "a cancelled job whose process has died is not claimed");
        assert!(began.elapsed() < PATIENCE, "it ends cancelled");
        thread::sleep(Duration::from_millis(5));
    }
}

fn a_key_admits_one_job_until_it_has_ended<Q: Queue>(queue: &Q) {
    let keyed = |number, kind| {
        queue.enqueue(&NewJob { unique: Some("2026"), ..NewJob::new(id(number), kind, "{}") }).expect("enqueue")
    };
    assert_eq!(keyed(1, "mail"), Enqueued::New);
    assert_eq!(keyed(2, "mail"), Enqueued::Existing(id(1)), "a second job with the key is the first one");
    assert_eq!(keyed(3, "export"), Enqueued::New, "a key is of its kind");
    claim_soon(queue, LONG);
    assert_eq!(keyed(4, "mail"), Enqueued::Existing(id(1)), "the key holds while the job runs");
    assert!(queue.finish(id(1), 1, &done()).expect("finish"));
    assert_eq!(keyed(5, "mail"), Enqueued::New, "the key is free when the job has ended");
}

fn a_full_queue_refuses_and_has_room_again<Q: Queue>(queue: &Q) {
    let bounded = |number| queue.enqueue(&NewJob { max_waiting: 2, ..NewJob::new(id(number), "mail", "{}") });
    assert_eq!((bounded(1).expect("enqueue"), bounded(2).expect("enqueue")), (Enqueued::New, Enqueued::New));
    assert!(matches!(bounded(3), Err(QueueError::Full(2))), "a full queue refuses, at once");
    let claimed = claim_soon(queue, LONG);
    assert!(matches!(bounded(3), Err(QueueError::Full(2))), "a job that runs counts");
    assert!(queue.finish(claimed.id, 1, &done()).expect("finish"));
    let began = Instant::now();
    while bounded(3).is_err() {
        assert!(began.elapsed() < PATIENCE, "there is room again when a job has ended");
        thread::sleep(Duration::from_millis(5));
    }
}

fn a_turn_of_the_timetable_is_served_once<Q: Queue>(queue: &Q) {
    let turn = |number, minute| {
        let new = NewJob { turn: Some(("0 3 * * * sweep", minute)), ..NewJob::new(id(number), "mail", "{}") };
        queue.enqueue(&new).expect("enqueue")
    };
    assert_eq!(queue.last_turn("0 3 * * * sweep").expect("last_turn"), None);
    assert_eq!(turn(1, 180), Enqueued::New);
    assert_eq!((turn(2, 180), turn(3, 120)), (Enqueued::Served, Enqueued::Served), "a minute is served once");
    assert_eq!(queue.last_turn("0 3 * * * sweep").expect("last_turn"), Some(180), "what was served is kept");
    assert_eq!(turn(4, 1620), Enqueued::New);
    assert_eq!(queue.counts().expect("counts")[0], 2);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
    assert_eq!((turn(5, now + 100), turn(6, now)), (Enqueued::New, Enqueued::Served), "a clock may go back a little");
    assert_eq!((turn(7, now + 1000), turn(8, now)), (Enqueued::New, Enqueued::New), "a wrong clock stops no timetable");
}

fn a_dead_job_can_be_revived<Q: Queue>(queue: &Q) {
    queue.enqueue(&NewJob { attempts: 1, unique: Some("a"), ..NewJob::new(id(1), "mail", "{}") }).expect("enqueue");
    claim_soon(queue, LONG);
    assert!(!queue.revive(id(1)).expect("revive"), "a job that runs is not dead");
    assert!(queue.finish(id(1), 1, &Outcome::Dead { error: "no".to_owned() }).expect("finish"));
    queue.enqueue(&NewJob { unique: Some("a"), ..NewJob::new(id(2), "mail", "{}") }).expect("enqueue");
    assert!(matches!(queue.revive(id(1)), Err(QueueError::Exists(other)) if other == id(2)), "the key holds");
    claim_soon(queue, LONG);
    assert!(queue.finish(id(2), 1, &done()).expect("finish"));
    assert!(queue.revive(id(1)).expect("revive"));
    let claimed = claim(queue, LONG).expect("a revived job is due");
    assert_eq!((claimed.id, claimed.attempt, claimed.attempts), (id(1), 2, 2), "it has attempts again");
}

fn what_has_ended_is_swept_when_its_time_has_come<Q: Queue>(queue: &Q) {
    for number in 1..=3 {
        enqueue(queue, number, "mail");
        claim_soon(queue, LONG);
    }
    assert!(queue.finish(id(1), 1, &done()).expect("finish"));
    assert!(queue.finish(id(2), 1, &Outcome::Dead { error: "no".to_owned() }).expect("finish"));
    let mut keep = Keep::default();
    assert_eq!(queue.sweep(&keep).expect("sweep"), 0, "what has just ended is kept");
    keep.done = Duration::ZERO;
    assert_eq!(queue.sweep(&keep).expect("sweep"), 1);
    let stages = [stage(queue, 1), stage(queue, 2), stage(queue, 3)];
    assert_eq!(stages, [None, Some(Stage::Dead), Some(Stage::Running)], "a sweep takes what is done, nothing else");
    keep.dead = Duration::ZERO;
    assert_eq!(queue.sweep(&keep).expect("sweep"), 1);
    assert!(queue.finish(id(3), 1, &done()).expect("finish"), "a sweep ends nobody's attempt");
}

fn any_text_is_kept<Q: Queue>(queue: &Q) {
    let text = "O'Hara \\ \"quoted\" $1 {} %s ä 木 \u{1f352}\r\n\t";
    queue.enqueue(&NewJob { unique: Some(text), ..NewJob::new(id(1), text, text) }).expect("enqueue");
    let other = queue.enqueue(&NewJob { unique: Some(text), ..NewJob::new(id(2), text, "") }).expect("enqueue");
    assert_eq!(other, Enqueued::Existing(id(1)), "a key may be any text");
    let claimed = queue.claim(&[text], LONG).expect("claim").expect("a kind may be any text");
    assert_eq!((claimed.kind.as_str(), claimed.payload.as_str()), (text, text), "a content may be any text");
    let error = format!("a NUL: \0, {text}");
    assert!(queue.finish(id(1), 1, &Outcome::Dead { error }).expect("a reason may be any text"));
    let error = queue.status(id(1)).expect("status").and_then(|status| status.error);
    assert!(error.is_some_and(|error| error.ends_with(text)), "the reason is kept");
    let turn = NewJob { turn: Some((text, 1)), ..NewJob::new(id(3), "mail", "{}") };
    assert_eq!(queue.enqueue(&turn).expect("enqueue"), Enqueued::New);
    assert_eq!(queue.last_turn(text).expect("last_turn"), Some(1), "an entry of a timetable may be any text");
    let longest = "x".repeat(512);
    let keyed = NewJob { unique: Some(&longest), ..NewJob::new(id(4), "mail", "{}") };
    assert_eq!(queue.enqueue(&keyed).expect("a key of 512 bytes"), Enqueued::New);
}

/// Several threads enqueue at the same time, of which one should be the first.
fn one_of_those_that_come_together_wins<Q: Queue>(
    queues: &[&Q],
    first: u64,
    enqueue: impl Fn(&Q, u64) -> Result<Enqueued, QueueError> + Sync,
    rule: &str,
) {
    const THREADS: usize = 8;
    let start = Barrier::new(queues.len() * THREADS);
    let (enqueue, start) = (&enqueue, &start);
    let won: Vec<bool> = thread::scope(|scope| {
        let queues = queues.iter().cycle().take(queues.len() * THREADS);
        let threads: Vec<_> = (first..)
            .zip(queues)
            .map(|(number, queue)| {
                scope.spawn(move || {
                    start.wait();
                    enqueue(queue, number).expect("enqueue") == Enqueued::New
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it keeps the rules")).collect()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{rule}");
}

/// Four threads claim from these handles of one queue: each job goes to one of them.
fn claims_at_the_same_time_share_the_jobs<Q: Queue>(queues: &[&Q]) {
    const JOBS: u64 = 100;
    const THREADS: usize = 4;
    (1000..1000 + JOBS).for_each(|number| enqueue(queues[0], number, "mail"));
    let start = Barrier::new(THREADS);
    let claimed: Vec<JobId> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (queue, start) = (queues[thread % queues.len()], &start);
                scope.spawn(move || {
                    start.wait();
                    let claims = std::iter::from_fn(|| claim(queue, LONG));
                    claims
                        .map(|job| {
                            assert!(queue.finish(job.id, job.attempt, &done()).expect("finish"), "it is its own");
                            job.id
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it keeps the rules")).collect()
    });
    let different: HashSet<_> = claimed.iter().collect();
    assert_eq!((claimed.len(), different.len()), (100, 100), "each job is claimed once, and none is left");
}
