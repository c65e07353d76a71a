//! Jobs: what leaving one costs, how many come through, how soon one begins, how often idle ones wake, and what pages
//! feel of busy ones. `cargo bench -p micro-benches --bench jobs` prints a line for each.
//!
//! Each figure is the median of some rounds. Loads and threads share the machine.

use kirsch::engine::Deadline;
use kirsch::jobs::{Job, Jobs, Work};
use kirsch::{App, Tree};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

fn main() {
    let nanos = median((0..21).map(|_| enqueue_in_memory()).collect());
    println!("enqueue in memory: {:.2} us", nanos / 1e3);
    let rate = median((0..5).map(|_| through_two_threads()).collect());
    println!("empty jobs in memory through two threads: {rate:.0} a second");
    let (half, most) = to_begin_in_sqlite();
    println!("from enqueue to begin in SQLite: p50 {:.2} ms, p99 {:.2} ms", half * 1e3, most * 1e3);
    println!("idle jobs in SQLite wake {:.2} times a second", wakes_of_idle_jobs());
    let (alone, share) = pages_beside_busy_jobs();
    println!("pages beside two busy threads: {share:.2} x alone ({alone:.0} a second)");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Counts itself.
#[derive(Serialize, Deserialize)]
struct Empty;

impl Job for Empty {
    const NAME: &'static str = "empty";
    type State = AtomicUsize;

    fn run(&self, done: &AtomicUsize, _: &Work) -> kirsch::Result {
        done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Nanoseconds for each, while no thread is at work.
fn enqueue_in_memory() -> f64 {
    const JOBS: u32 = 10_000;
    let jobs = Jobs::memory().max_waiting(1_000_000).register::<Empty>(AtomicUsize::new(0));
    let began = Instant::now();
    for _ in 0..JOBS {
        jobs.enqueue(&Empty).expect("there is room");
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(JOBS)
}

fn through_two_threads() -> f64 {
    const JOBS: u32 = 200_000;
    let done = Arc::new(AtomicUsize::new(0));
    let jobs = Jobs::memory().threads(2).max_waiting(1_000_000).register::<Empty>(done.clone());
    for _ in 0..JOBS {
        jobs.enqueue(&Empty).expect("there is room");
    }
    let began = Instant::now();
    jobs.start().expect("they start");
    while done.load(Ordering::Relaxed) < JOBS as usize {
        thread::sleep(Duration::from_millis(1));
    }
    let rate = f64::from(JOBS) / began.elapsed().as_secs_f64();
    assert!(jobs.stop(Deadline::within(LONG)).is_empty(), "they end");
    rate
}

/// Says when it begins.
#[derive(Serialize, Deserialize)]
struct Timed;

impl Job for Timed {
    const NAME: &'static str = "timed";
    type State = Sender<Instant>;

    fn run(&self, begins: &Sender<Instant>, _: &Work) -> kirsch::Result {
        Ok(begins.send(Instant::now())?)
    }
}

/// Seconds from the call of `enqueue`, its commit included: of half the jobs, and of 99 %.
fn to_begin_in_sqlite() -> (f64, f64) {
    const JOBS: usize = 1000;
    let folder = tempfile::tempdir().expect("a folder");
    let (begins, begun) = channel();
    let jobs = Jobs::sqlite(folder.path().join("jobs.sqlite")).register::<Timed>(begins);
    jobs.start().expect("they start");
    let mut waits: Vec<_> = (0..JOBS)
        .map(|_| {
            let left = Instant::now();
            jobs.enqueue(&Timed).expect("it is left");
            let begin = begun.recv_timeout(LONG).expect("it begins");
            // The end of the job is a commit, too. One at a time is measured.
            thread::sleep(Duration::from_millis(5));
            (begin - left).as_secs_f64()
        })
        .collect();
    assert!(jobs.stop(Deadline::within(LONG)).is_empty(), "they end");
    waits.sort_by(f64::total_cmp);
    (waits[JOBS / 2], waits[JOBS * 99 / 100])
}

/// How often their threads fell asleep in a second, all together: once for each time that they had woken.
fn wakes_of_idle_jobs() -> f64 {
    const TIME: Duration = Duration::from_secs(10);
    let folder = tempfile::tempdir().expect("a folder");
    let jobs = Jobs::sqlite(folder.path().join("jobs.sqlite")).register::<Empty>(AtomicUsize::new(0));
    jobs.start().expect("they start");
    thread::sleep(Duration::from_secs(2));
    let before = sleeps_of_other_threads();
    thread::sleep(TIME);
    let sleeps = sleeps_of_other_threads() - before;
    assert!(jobs.stop(Deadline::within(LONG)).is_empty(), "they end");
    f64::from(sleeps) / TIME.as_secs_f64()
}

/// By the kernel's account.
fn sleeps_of_other_threads() -> u32 {
    let own = std::process::id().to_string();
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads").flatten();
    let others = tasks.filter(|task| *task.file_name() != *own).map(|task| task.path().join("status"));
    let counts = others.filter_map(|status| {
        let status = std::fs::read_to_string(status).ok()?;
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u32>().ok())
    });
    counts.sum()
}

/// Uses a processor for as long as it may.
#[derive(Serialize, Deserialize)]
struct Busy;

impl Job for Busy {
    const NAME: &'static str = "busy";
    type State = AtomicBool;

    fn run(&self, goes_on: &AtomicBool, _: &Work) -> kirsch::Result {
        while goes_on.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        Ok(())
    }
}

/// The rate of a page alone, and the share of it that is left beside two busy threads.
fn pages_beside_busy_jobs() -> (f64, f64) {
    let goes_on = Arc::new(AtomicBool::new(false));
    let jobs = Jobs::memory().threads(2).register::<Busy>(goes_on.clone());
    let app = App::new(Tree::new().index(|_| "Hello, World!")).plugin(jobs.clone());
    let running = app.start("127.0.0.1:0").expect("it starts");
    let rounds: Vec<_> = (0..5)
        .map(|_| {
            let alone = rate_of_pages(running.address());
            goes_on.store(true, Ordering::Relaxed);
            for _ in 0..2 {
                jobs.enqueue(&Busy).expect("there is room");
            }
            let beside = rate_of_pages(running.address());
            goes_on.store(false, Ordering::Relaxed);
            (alone, beside / alone)
        })
        .collect();
    running.stop(LONG);
    (median(rounds.iter().map(|round| round.0).collect()), median(rounds.iter().map(|round| round.1).collect()))
}

/// Pages a second that 16 clients get, each one after another on a connection of its own.
fn rate_of_pages(server: SocketAddr) -> f64 {
    const TIME: Duration = Duration::from_secs(1);
    let began = Instant::now();
    let clients: Vec<_> = (0..16).map(|_| thread::spawn(move || pages_until(server, began + TIME))).collect();
    let pages: u32 = clients.into_iter().map(|client| client.join().expect("it has counted")).sum();
    f64::from(pages) / began.elapsed().as_secs_f64()
}

fn pages_until(server: SocketAddr, end: Instant) -> u32 {
    let mut server = BufReader::new(TcpStream::connect(server).expect("it accepts"));
    let mut pages = 0;
    while Instant::now() < end {
        server.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
        let response = server.fill_buf().expect("it answers");
        assert!(response.ends_with(b"Hello, World!"), "the response comes in one piece");
        let length = response.len();
        server.consume(length);
        pages += 1;
    }
    pages
}
