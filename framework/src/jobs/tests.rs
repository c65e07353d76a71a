//! What users see of jobs in memory: retries, cancelling, stops, fairness, the pages. The rules of queues are in
//! `testing/job_queue.rs`.

use super::*;
use crate::bus::Deadline;
use crate::testing::{Client, job_queue};
use crate::{App, Error, Tree};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn the_queue_in_memory_keeps_the_rules() {
    job_queue::check(MemoryQueue::new);
}

/// Does what it is told, and says when it begins.
#[derive(Serialize, Deserialize)]
enum Told {
    Succeed,
    Fail,
    FailOnce,
    Panic,
    /// Until it is to end early.
    UntilStopped,
    /// Until the gate opens.
    Held,
    Result(String),
}

struct Stage1 {
    begun: Sender<u32>,
    gate: Receiver<()>,
}

impl Job for Told {
    const NAME: &'static str = "told";
    type State = Stage1;

    fn run(&self, stage: &Stage1, work: &Work) -> crate::Result {
        stage.begun.send(work.attempt()).unwrap_or_default();
        match self {
            Self::Succeed => Ok(()),
            Self::FailOnce if work.attempt() > 1 => Ok(()),
            Self::Fail | Self::FailOnce => Err(Error::unexpected("no luck")),
            Self::Panic => panic!("no luck at all"),
            Self::UntilStopped => loop {
                work.check()?;
                std::thread::yield_now();
            },
            Self::Held => {
                work.progress(0.25);
                stage.gate.recv().map_err(Error::from)
            }
            Self::Result(path) => work.result_at(path),
        }
    }
}

/// Jobs, the attempts that have begun, and the sender whose end opens the gate.
fn told() -> (Jobs, Receiver<u32>, Sender<()>) {
    let ((begun, begins), (open, gate)) = (unbounded(), bounded(0));
    let retry = Retry::exponential(3, Duration::from_millis(1));
    (Jobs::memory().retry(retry).register::<Told>(Stage1 { begun, gate }), begins, open)
}

fn stop(jobs: &Jobs) -> Vec<String> {
    jobs.stop(Deadline::within(LONG))
}

fn wait_for(jobs: &Jobs, id: JobId, stage: Stage) -> JobStatus {
    loop {
        let status = jobs.status(id).expect("a queue in memory").expect("it is kept");
        if status.stage == stage {
            return status;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_job_that_fails_is_tried_again_and_dead_in_the_end() {
    let (jobs, begins, _open) = told();
    jobs.start().unwrap();
    let (fails, panics) = (jobs.enqueue(&Told::Fail).unwrap(), jobs.enqueue(&Told::Panic).unwrap());
    let error = wait_for(&jobs, fails, Stage::Dead).error.unwrap();
    assert!(error.starts_with("no luck"), "{error}");
    assert!(wait_for(&jobs, panics, Stage::Dead).error.unwrap().contains("no luck at all"));
    let once = jobs.enqueue(&Told::FailOnce).unwrap();
    assert_eq!(wait_for(&jobs, once, Stage::Done).attempt, 2);
    let mut attempts: Vec<_> = begins.try_iter().collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 1, 2, 2, 2, 3, 3]);
    assert!(stop(&jobs).is_empty());
}

#[test]
fn a_stop_gives_a_job_back_that_asks_and_names_one_that_does_not() {
    let (jobs, begins, open) = told();
    let jobs = jobs.threads(2);
    jobs.start().unwrap();
    let asks = jobs.enqueue(&Told::UntilStopped).unwrap();
    let held = jobs.enqueue(&Told::Held).unwrap();
    begins.recv().unwrap();
    begins.recv().unwrap();
    let late = jobs.stop(Deadline::within(Duration::from_millis(200)));
    assert_eq!(late, [format!("job {held} (told)")]);
    let status = jobs.status(asks).unwrap().unwrap();
    assert_eq!((status.stage, status.attempt), (Stage::Queued, 1));
    drop(open);
}

#[test]
fn a_cancelled_job_ends_and_one_that_waits_is_not_begun() {
    let (jobs, begins, _open) = told();
    jobs.start().unwrap();
    let runs = jobs.enqueue(&Told::UntilStopped).unwrap();
    begins.recv().unwrap();
    let waits = jobs.enqueue(&Told::Succeed).unwrap();
    assert!(jobs.cancel(waits).unwrap() && jobs.cancel(runs).unwrap());
    wait_for(&jobs, runs, Stage::Cancelled);
    assert!(stop(&jobs).is_empty());
    assert!(begins.try_recv().is_err(), "the cancelled one was begun");
}

/// A kind whose content has changed since a job was left.
#[derive(Serialize, Deserialize)]
struct Before(String);

#[derive(Serialize, Deserialize)]
struct After(u32);

impl Job for Before {
    const NAME: &'static str = "changed";
    type State = ();
    fn run(&self, (): &(), _: &Work) -> crate::Result {
        Ok(())
    }
}

impl Job for After {
    const NAME: &'static str = "changed";
    type State = ();
    fn run(&self, (): &(), _: &Work) -> crate::Result {
        Ok(())
    }
}

#[test]
fn a_job_whose_content_cannot_be_read_is_dead_at_once_and_the_next_one_is_done() {
    let jobs = Jobs::memory().register::<After>(());
    let (before, after) = (jobs.enqueue(&Before("7".into())).unwrap(), jobs.enqueue(&After(7)).unwrap());
    assert_eq!(jobs.run_due().unwrap(), 2);
    let dead = jobs.status(before).unwrap().unwrap();
    assert_eq!((dead.stage, dead.attempt), (Stage::Dead, 1));
    assert!(dead.error.unwrap().starts_with("its content cannot be read any more: invalid type"));
    assert_eq!(jobs.status(after).unwrap().unwrap().stage, Stage::Done);
}

#[test]
fn ten_thousand_jobs_that_fail_are_kept_back_and_none_is_lost() {
    let (jobs, _begins, _open) = told();
    let jobs = jobs.max_waiting(10_000).retry(Retry::exponential(2, LONG));
    for _ in 0..10_000 {
        jobs.enqueue(&Told::Fail).unwrap();
    }
    assert_eq!((jobs.run_due().unwrap(), jobs.run_due().unwrap()), (10_000, 0));
    assert_eq!(jobs.counts().unwrap(), [10_000, 0, 0, 0, 0]);
    let due = jobs.core.queue.next_due().unwrap().unwrap();
    assert!((LONG / 2..LONG).contains(&due), "the first comes back {due:?} later");
}

#[derive(Serialize, Deserialize)]
struct Rare;

impl Job for Rare {
    const NAME: &'static str = "rare";
    /// Where it says that it was done, and after how many of the others.
    type State = (Sender<usize>, Receiver<u32>);

    fn run(&self, (done, others): &Self::State, _: &Work) -> crate::Result {
        done.send(others.len()).map_err(Error::from)
    }
}

#[test]
fn a_flood_of_one_kind_does_not_keep_another_waiting() {
    let ((jobs, begins, _open), (done, rare)) = (told(), unbounded());
    let jobs = jobs.register::<Rare>((done, begins));
    for _ in 0..900 {
        jobs.enqueue(&Told::Succeed).unwrap();
    }
    jobs.enqueue(&Rare).unwrap();
    jobs.start().unwrap();
    let others = rare.recv().unwrap();
    assert!(others < 10, "{others} of the others came before it");
    assert!(stop(&jobs).is_empty());
}

#[test]
fn a_full_queue_is_503_for_the_client_and_no_wait() {
    let (jobs, _begins, _open) = told();
    let jobs = jobs.max_waiting(1);
    let to_enqueue = jobs.clone();
    let page = move |_: &mut crate::publish::PageCall<'_>| {
        to_enqueue.enqueue(&Told::Succeed).map(|id| Accepted::at(format!("/jobs/{id}")))
    };
    let client = Client::in_process(App::new(Tree::new().page("order", page)));
    client.post("/order").send().assert_status(202).assert_header("retry-after", "1");
    client.post("/order").send().assert_status(503).assert_header("retry-after", "60");
    assert_eq!(jobs.run_due().unwrap(), 1);
    client.post("/order").send().assert_status(202);
}

#[test]
fn a_content_that_is_too_long_or_unknown_is_refused() {
    let (jobs, _begins, _open) = told();
    let error = jobs.enqueue(&Told::Result("x".repeat(70_000))).unwrap_err().to_string();
    assert!(error.contains("at most 65536 are allowed"), "{error}");
    let error = jobs.enqueue(&Rare).unwrap_err().to_string();
    assert!(error.contains("register it"), "{error}");
    let keyed = |key: String| jobs.prepare(&Told::Succeed).unique(key).enqueue();
    keyed("x".repeat(512)).unwrap();
    for wrong in ["x".repeat(513), "\0".to_owned()] {
        let error = keyed(wrong).unwrap_err().to_string();
        assert!(error.contains("at most 512 without a NUL are allowed"), "{error}");
    }
}

/// Fails with a long reason.
#[derive(Serialize, Deserialize)]
struct Wordy;

impl Job for Wordy {
    const NAME: &'static str = "wordy";
    type State = ();
    fn run(&self, (): &(), _: &Work) -> crate::Result {
        Err(Error::unexpected("ä".repeat(100_000)))
    }
}

#[test]
fn the_reason_of_a_failure_is_kept_up_to_a_length() {
    let jobs = Jobs::memory().retry(Retry::never()).register::<Wordy>(());
    let id = jobs.enqueue(&Wordy).unwrap();
    assert_eq!(jobs.run_due().unwrap(), 1);
    let error = jobs.status(id).unwrap().unwrap().error.unwrap();
    assert!(error.len() < 8200 && error.ends_with("ä…"), "{}", error.len());
}

#[derive(Serialize, Deserialize)]
struct Long(String);

impl Job for Long {
    const NAME: &'static str = "long";
    type State = ();
    fn run(&self, (): &(), _: &Work) -> crate::Result {
        Ok(())
    }
}

#[test]
fn mistakes_of_the_set_up_stop_the_start() {
    let long = Jobs::memory().register::<Long>(()).cron("* * * * *", Long("x".repeat(1000)));
    assert!(long.start().unwrap_err().to_string().contains("at most 1000 are allowed"));
    let state = || (unbounded().0, unbounded().1);
    let twice = Jobs::memory().register::<Rare>(state()).register::<Rare>(state());
    assert!(twice.start().unwrap_err().to_string().contains("registered twice"));
    let never = Jobs::memory().cron("0 25 * * *", Rare);
    let nobodys = Jobs::memory().cron("* * * * *", Rare);
    assert!(nobodys.start().unwrap_err().to_string().contains("register it"), "it would pile up");
    let error = App::new(Tree::new()).plugin(never).start("127.0.0.1:0").unwrap_err().to_string();
    assert_eq!(error, "the times \"0 25 * * *\" of \"rare\": hour: 25 is not in 0-23");
}

#[test]
fn the_page_of_a_job_tells_its_state_and_sends_to_the_result() {
    let (jobs, begins, open) = told();
    let running = App::new(Tree::new()).jobs("/jobs", &jobs).start("127.0.0.1:0").unwrap();
    let client = Client::connect(running.address());
    let held = jobs.enqueue(&Told::Held).unwrap();
    begins.recv().unwrap();
    while jobs.status(held).unwrap().unwrap().progress == 0.0 {
        std::thread::yield_now();
    }
    let page = client.get(&format!("/jobs/{held}")).send();
    page.assert_status(200).assert_header("retry-after", "1").assert_header("cache-control", "no-store");
    page.assert_text(&format!(
        "{{\"id\":\"{held}\",\"kind\":\"told\",\"state\":\"running\",\"progress\":0.25,\"attempt\":1}}"
    ));
    drop(open);
    let result = jobs.enqueue(&Told::Result("/photo/7".to_owned())).unwrap();
    let page = client.get(&format!("/jobs/{result}")).header("prefer", "respond-async, wait=20").send();
    page.assert_status(303).assert_header("location", "/photo/7");
    for unknown in ["/jobs/42", "/jobs/x", "/jobs/-1"] {
        client.get(unknown).header("prefer", "wait=20").send().assert_status(404);
    }
    client.post(&format!("/jobs/{result}")).send().assert_status(405);
}

#[test]
fn a_result_is_a_page_of_the_app_that_publishes_the_jobs() {
    let (jobs, _begins, _open) = told();
    let gallery = App::new(Tree::new()).jobs("/work/jobs/", &jobs);
    let proxy = crate::tools::Proxy::trusting(["loopback"]).prefix("X-Forwarded-Prefix");
    let client = Client::in_process(App::new(Tree::new()).mount("/gallery", gallery).tool("/", proxy));
    let job = jobs.enqueue(&Told::Result("/photo/7?large=1".to_owned())).unwrap();
    assert_eq!(jobs.run_due().unwrap(), 1);
    let asked = client.get(&format!("/gallery/work/jobs/{job}"));
    asked.clone().send().assert_header("location", "/gallery/photo/7?large=1");
    asked.header("x-forwarded-prefix", "/front").send().assert_header("location", "/front/gallery/photo/7?large=1");
}

#[test]
fn a_request_that_prefers_to_wait_is_answered_when_the_job_has_ended() {
    let (jobs, begins, open) = told();
    // One worker: a waiting request does not hold it.
    let app = App::new(Tree::new().index(|_| "here")).jobs("/jobs", &jobs).threads(1);
    let running = app.start("127.0.0.1:0").unwrap();
    let client = Client::connect(running.address());
    let held = jobs.enqueue(&Told::Held).unwrap();
    begins.recv().unwrap();
    std::thread::scope(|scope| {
        let waiting = || client.new_browser().get(&format!("/jobs/{held}")).header("prefer", "wait=60").send();
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(waiting)).collect();
        while jobs.core.watched.waiting(&held) < 3 {
            std::thread::yield_now();
        }
        client.get("/").send().assert_text("here");
        drop(open);
        for waiter in waiters {
            waiter.join().unwrap().assert_status(200).assert_contains("\"state\":");
        }
    });
}

#[test]
fn a_stop_does_not_wait_for_requests_that_wait_for_jobs() {
    let (jobs, begins, open) = told();
    let running = App::new(Tree::new()).jobs("/jobs", &jobs).start("127.0.0.1:0").unwrap();
    let client = Client::connect(running.address());
    let held = jobs.enqueue(&Told::Held).unwrap();
    begins.recv().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| client.get(&format!("/jobs/{held}")).header("prefer", "wait=60").send());
        while jobs.core.watched.waiting(&held) < 1 {
            std::thread::yield_now();
        }
        let stopped = scope.spawn(|| running.stop(LONG));
        waiter.join().unwrap().assert_status(200).assert_contains("running");
        drop(open);
        assert!(stopped.join().unwrap().unfinished.is_empty());
    });
}

#[test]
fn a_change_is_an_event_and_the_status_page_knows_the_job() {
    let ((jobs, begins, open), (seen, changes)) = (told(), unbounded());
    let app = App::new(Tree::new()).plugin(jobs.clone());
    let running =
        app.observe(move |change: &JobChanged| seen.send(change.stage).unwrap()).start("127.0.0.1:0").unwrap();
    jobs.enqueue(&Told::Held).unwrap();
    begins.recv().unwrap();
    let rows = &running.plugins()[0].rows;
    assert_eq!((rows[0].value.clone(), rows[1].value.clone()), (0.into(), 1.into()));
    assert!(rows[7].value.as_str().unwrap().starts_with("told, attempt 1, "), "{rows:?}");
    drop(open);
    let first: Vec<_> = changes.iter().take(2).collect();
    assert_eq!(first, [Stage::Running, Stage::Queued]);
}

#[test]
fn jobs_are_done_by_as_many_threads_as_there_are() {
    let ((begun, begins), (open, gate)) = (unbounded(), bounded(0));
    let jobs = Jobs::memory().threads(3).register::<Told>(Stage1 { begun, gate });
    jobs.start().unwrap();
    assert!(jobs.start().is_err(), "they run already");
    for _ in 0..3 {
        jobs.enqueue(&Told::Held).unwrap();
    }
    for _ in 0..3 {
        begins.recv().unwrap();
    }
    drop(open);
    assert!(stop(&jobs).is_empty());
}

#[test]
fn a_delayed_job_comes_by_itself() {
    let (jobs, begins, _open) = told();
    jobs.start().unwrap();
    let id = jobs.prepare(&Told::Succeed).after(Duration::from_millis(30)).enqueue().unwrap();
    begins.recv().unwrap();
    wait_for(&jobs, id, Stage::Done);
    let unique = || jobs.prepare(&Told::Succeed).unique("2026").after(LONG).enqueue().unwrap();
    assert_eq!(unique(), unique());
    assert!(stop(&jobs).is_empty());
}

/// A queue whose engine breaks now and then.
struct Breaking(MemoryQueue, AtomicUsize);

impl Breaking {
    fn now_and_then(&self) -> Result<(), QueueError> {
        match self.1.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => panic!("the engine has lost its head"),
            1 => Err(QueueError::Engine("the engine is away".into())),
            _ => Ok(()),
        }
    }
}

impl Queue for Breaking {
    fn enqueue(&self, job: &NewJob<'_>) -> Result<Enqueued, QueueError> {
        self.0.enqueue(job)
    }
    fn claim(&self, kinds: &[&str], lease: Duration) -> Result<Option<Claimed>, QueueError> {
        self.now_and_then()?;
        self.0.claim(kinds, lease)
    }
    fn renew(&self, id: JobId, attempt: u32, lease: Duration, progress: f32) -> Result<Renewed, QueueError> {
        self.0.renew(id, attempt, lease, progress)
    }
    /// The answer to an end is lost.
    fn finish(&self, id: JobId, attempt: u32, outcome: &Outcome) -> Result<bool, QueueError> {
        match self.0.finish(id, attempt, outcome)? {
            true => Err(QueueError::Engine("the answer was lost".into())),
            false => Ok(false),
        }
    }
    fn cancel(&self, id: JobId) -> Result<bool, QueueError> {
        self.0.cancel(id)
    }
    fn revive(&self, id: JobId) -> Result<bool, QueueError> {
        self.0.revive(id)
    }
    fn status(&self, id: JobId) -> Result<Option<JobStatus>, QueueError> {
        self.0.status(id)
    }
    fn list(&self, stage: Stage, at_most: usize) -> Result<Vec<JobStatus>, QueueError> {
        self.0.list(stage, at_most)
    }
    fn counts(&self) -> Result<[usize; 5], QueueError> {
        self.0.counts()
    }
    fn next_due(&self) -> Result<Option<Duration>, QueueError> {
        self.0.next_due()
    }
    fn last_turn(&self, entry: &str) -> Result<Option<u64>, QueueError> {
        self.0.last_turn(entry)
    }
    fn sweep(&self, keep: &Keep) -> Result<usize, QueueError> {
        self.0.sweep(keep)
    }
}

#[test]
fn a_queue_that_breaks_now_and_then_ends_no_thread() {
    let (done, rare) = unbounded();
    let jobs =
        Jobs::with(Breaking(MemoryQueue::new(), AtomicUsize::new(0))).register::<Rare>(Arc::new((done, unbounded().1)));
    jobs.start().unwrap();
    for _ in 0..3 {
        jobs.enqueue(&Rare).unwrap();
    }
    assert_eq!(rare.iter().take(3).count(), 3);
    assert!(stop(&jobs).is_empty());
}

#[test]
fn an_end_whose_answer_was_lost_is_told_all_the_same() {
    let ((done, _rare), (seen, changes)) = (unbounded(), unbounded());
    let jobs =
        Jobs::with(Breaking(MemoryQueue::new(), AtomicUsize::new(0))).register::<Rare>(Arc::new((done, unbounded().1)));
    let app = App::new(Tree::new()).plugin(jobs.clone());
    let _running =
        app.observe(move |change: &JobChanged| seen.send(change.stage).unwrap()).start("127.0.0.1:0").unwrap();
    jobs.enqueue(&Rare).unwrap();
    assert_eq!(changes.iter().take(2).collect::<Vec<_>>(), [Stage::Running, Stage::Done]);
}
