//! Jobs in engines, done by several processes that are killed.
//!
//! The processes are this test program once more: a child that finds the variable `JOBS_OF` does jobs until it is
//! killed, and leaves its notes in that folder. The jobs are in an SQLite database there, or at the address in
//! `JOBS_AT`.

use integration_tests::engines::Engine;
use kirsch::jobs::{Job, Jobs, Retry, Stage, Work};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const FOLDER: &str = "JOBS_OF";
const ADDRESS: &str = "JOBS_AT";
const LEASE: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(180);

/// Writes its number into a file.
#[derive(Serialize, Deserialize)]
struct Note(u32);

impl Job for Note {
    const NAME: &'static str = "note";
    type State = File;

    fn run(&self, notes: &File, _: &Work) -> kirsch::Result {
        thread::sleep(Duration::from_millis(1));
        let mut notes = notes;
        Ok(notes.write_all(format!("{}\n", self.0).as_bytes())?)
    }
}

/// Kills its process.
#[derive(Serialize, Deserialize)]
struct Poison;

impl Job for Poison {
    const NAME: &'static str = "poison";
    type State = ();
    const RETRY: Option<Retry> = Some(Retry::exponential(3, Duration::ZERO));

    fn run(&self, (): &(), _: &Work) -> kirsch::Result {
        std::process::abort()
    }
}

/// Says that it has begun, and where it ends: `begun 7`, `ended 7` with the number of the process. It ends when there
/// is a file with that number.
#[derive(Serialize, Deserialize)]
struct Gated;

impl Job for Gated {
    const NAME: &'static str = "gated";
    type State = PathBuf;

    fn run(&self, folder: &PathBuf, work: &Work) -> kirsch::Result {
        let process = std::process::id();
        let mut notes = OpenOptions::new().append(true).open(folder.join("notes"))?;
        notes.write_all(format!("begun {process}\n").as_bytes())?;
        while !folder.join(process.to_string()).exists() {
            thread::sleep(Duration::from_millis(5));
        }
        notes.write_all(format!("ended {process}\n").as_bytes())?;
        work.result_at(format!("/of/{process}"))
    }
}

fn jobs(folder: &Path) -> Jobs {
    jobs_at("", folder)
}

/// The jobs at this address; an empty one is that of the folder.
fn jobs_at(address: &str, folder: &Path) -> Jobs {
    let notes = OpenOptions::new().create(true).append(true).open(folder.join("notes")).expect("a file for notes");
    let jobs = match address.split_once("://") {
        Some(("postgres", _)) => Jobs::postgres(address),
        Some(_) => Jobs::redis(address),
        None => Jobs::sqlite(folder.join("jobs.sqlite")),
    };
    let jobs = jobs.threads(2).lease(LEASE);
    jobs.register::<Note>(notes).register::<Poison>(()).register::<Gated>(folder.to_owned())
}

/// A process that does jobs; killed at the latest when the test ends.
struct Worker(Child);

impl Worker {
    fn start(test: &str, folder: &Path) -> Self {
        Self::start_at(test, "", folder)
    }

    fn start_at(test: &str, address: &str, folder: &Path) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command
            .args([test, "--exact", "--nocapture"])
            .env(FOLDER, folder)
            .env(ADDRESS, address)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("it starts"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SIGKILL. Fails when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether this is a child; then it does jobs until it is killed.
fn is_worker() -> bool {
    is_worker_with(|jobs| jobs)
}

fn is_worker_with(set: impl FnOnce(Jobs) -> Jobs) -> bool {
    let Some(folder) = std::env::var_os(FOLDER) else { return false };
    let address = std::env::var(ADDRESS).unwrap_or_default();
    let jobs = set(jobs_at(&address, &PathBuf::from(folder)));
    jobs.start().expect("the jobs start");
    // An orphan ends, too.
    thread::sleep(PATIENCE);
    true
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn jobs_survive_the_death_of_their_processes() {
    if !is_worker() {
        check_deaths("jobs_survive_the_death_of_their_processes", "");
    }
}

#[test]
fn jobs_in_postgres_survive_the_death_of_their_processes() {
    if !is_worker() {
        let engine = Engine::postgres();
        let address = format!("postgres://kirsch@{}/postgres", engine.address());
        check_deaths("jobs_in_postgres_survive_the_death_of_their_processes", &address);
    }
}

#[test]
fn jobs_in_redis_survive_the_death_of_their_processes() {
    if !is_worker() {
        let engine = Engine::redis(&[]);
        let address = format!("redis://{}", engine.address());
        check_deaths("jobs_in_redis_survive_the_death_of_their_processes", &address);
    }
}

/// Two of four processes are killed in the middle of a thousand jobs.
fn check_deaths(test: &str, address: &str) {
    const JOBS: u32 = 1000;
    let folder = tempfile::tempdir().expect("a folder");
    let jobs = jobs_at(address, folder.path());
    let start = || Worker::start_at(test, address, folder.path());
    let notes = || fs::read_to_string(folder.path().join("notes")).expect("notes");
    let (first, _second) = (start(), start());
    for number in 0..JOBS {
        jobs.enqueue(&Note(number)).expect("enqueue");
    }
    wait_until("a third is done", || notes().lines().count() > 300);
    drop(first);
    let third = start();
    wait_until("two thirds are done", || notes().lines().count() > 600);
    drop(third);
    let _fourth = start();
    wait_until("none is stuck", || jobs.counts().expect("counts")[Stage::Done as usize] == JOBS as usize);
    let mut done = HashMap::<u32, u32>::new();
    notes().lines().for_each(|line| *done.entry(line.parse().expect("a number")).or_default() += 1);
    assert_eq!(done.len(), JOBS as usize, "each is done at least once");
    let again = done.values().filter(|times| **times > 1).count();
    assert!(again <= 4, "{again} were done again: two threads of each killed process had one at hand");
}

#[test]
fn a_job_that_kills_its_process_is_dead_in_the_end() {
    if is_worker() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let jobs = jobs(folder.path());
    let poison = jobs.enqueue(&Poison).expect("enqueue");
    let note = jobs.enqueue(&Note(1)).expect("enqueue");
    let stage = |id| jobs.status(id).expect("status").expect("it is kept").stage;
    // What a supervisor does.
    let mut worker = Worker::start("a_job_that_kills_its_process_is_dead_in_the_end", folder.path());
    let mut starts = 1;
    let began = Instant::now();
    while stage(poison) != Stage::Dead || stage(note) != Stage::Done {
        assert!(began.elapsed() < PATIENCE, "it goes on for ever");
        if worker.0.try_wait().expect("it is our child").is_some() {
            worker = Worker::start("a_job_that_kills_its_process_is_dead_in_the_end", folder.path());
            starts += 1;
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert!((3..=4).contains(&starts), "{starts} starts for three attempts");
    let status = jobs.status(poison).expect("status").expect("it is kept");
    assert_eq!(status.attempt, 3);
    assert!(status.error.expect("a reason").contains("its process died or hung"));
}

#[test]
fn a_process_that_was_paused_ends_too_late_and_changes_nothing() {
    const NAME: &str = "a_process_that_was_paused_ends_too_late_and_changes_nothing";
    // Longer than the pauses of a busy machine: the second process is to keep its lease.
    if is_worker_with(|jobs| jobs.threads(1).lease(Duration::from_secs(3))) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let jobs = jobs(folder.path());
    let notes = |note: &str| fs::read_to_string(folder.path().join("notes")).expect("notes").contains(note);
    let open_gate = |worker: &Worker| fs::write(folder.path().join(worker.0.id().to_string()), "").expect("a gate");
    let signal = |worker: &Worker, signal| kill_process(Pid::from_child(&worker.0), signal).expect("it is there");
    let gated = jobs.enqueue(&Gated).expect("enqueue");
    let paused = Worker::start(NAME, folder.path());
    wait_until("the first has it", || notes(&format!("begun {}\n", paused.0.id())));
    signal(&paused, Signal::STOP);
    let second = Worker::start(NAME, folder.path());
    wait_until("the second has it after the lease", || notes(&format!("begun {}\n", second.0.id())));
    open_gate(&paused);
    signal(&paused, Signal::CONT);
    wait_until("the first ends late", || notes(&format!("ended {}\n", paused.0.id())));
    // Its only thread does the next job when it has told the queue about that end. The second one's is busy.
    jobs.enqueue(&Note(1)).expect("enqueue");
    wait_until("the first goes on", || notes("\n1\n"));
    let status = jobs.status(gated).expect("status").expect("it is kept");
    assert_eq!((status.stage, status.attempt), (Stage::Running, 2), "the late end was refused");
    open_gate(&second);
    wait_until("the second ends", || jobs.counts().expect("counts")[Stage::Done as usize] == 2);
    let result = jobs.status(gated).expect("status").expect("it is kept").result;
    assert_eq!(result, Some(format!("/of/{}", second.0.id())));
}

// Another process's bell is not heard; it looks once a second.
#[test]
fn a_process_that_only_enqueues_leaves_the_work_to_others() {
    if is_worker() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let here = Jobs::sqlite(folder.path().join("jobs.sqlite")).threads(0);
    here.start().expect("it starts");
    let _worker = Worker::start("a_process_that_only_enqueues_leaves_the_work_to_others", folder.path());
    let id = here.enqueue(&Note(7)).expect("enqueue");
    wait_until("it is done elsewhere", || {
        here.status(id).expect("status").is_some_and(|status| status.stage == Stage::Done)
    });
}
