//! The threads of this process, as the kernel tells about them in `/proc/self/task`.
//!
//! Stacks are not read in the process: that would need to stop the thread, and can hang. The page shows the line for
//! `gdb` that prints them.

use crate::exchange::ServerView;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Most threads that are told.
const MAX_THREADS: usize = 1000;

/// One thread.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) id: u32,
    /// Its name; the kernel keeps fifteen bytes of it.
    pub(super) name: String,
    /// What it is there for.
    pub(super) owner: String,
    /// The kernel's word for its state, such as `sleeping`.
    pub(super) state: &'static str,
    /// The place in the kernel where it sleeps, such as `ep_poll`; empty where the kernel does not tell.
    pub(super) sleeps_in: String,
    /// The time that processors have spent on it.
    pub(super) processor_time: Duration,
}

/// Prints the stacks of all threads.
pub(super) fn stacks_command() -> String {
    format!("gdb -p {} -batch -ex 'thread apply all backtrace'", std::process::id())
}

/// All threads, in the order in which they were started. Empty where there is no `/proc`.
pub(super) fn all(server: Option<&dyn ServerView>) -> Vec<Thread> {
    let workers = server.map(ServerView::workers).unwrap_or_default();
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    let mut threads: Vec<Thread> = ids.take(MAX_THREADS).filter_map(read).collect();
    threads.sort_by_key(|thread| thread.id);
    for thread in &mut threads {
        let worker = workers.iter().find(|worker| worker.thread == thread.id);
        thread.owner = match worker {
            Some(worker) => match &worker.request {
                Some(request) => format!("worker {}: {}", worker.number, request.line),
                None => format!("worker {}: free", worker.number),
            },
            None if thread.id == std::process::id() => "the program: its main thread".to_owned(),
            None if thread.name.starts_with("kirsch-") => "the server".to_owned(),
            None => "the program".to_owned(),
        };
    }
    threads
}

/// `None` when it has ended meanwhile.
fn read(id: u32) -> Option<Thread> {
    let folder = Path::new("/proc/self/task").join(id.to_string());
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let (name, state, ticks) = parse(&text("stat"))?;
    let sleeps_in = text("wchan");
    Some(Thread {
        id,
        name,
        owner: String::new(),
        state,
        sleeps_in: if sleeps_in == "0" { String::new() } else { sleeps_in },
        processor_time: Duration::from_millis(ticks.saturating_mul(1000 / TICKS_PER_SECOND)),
    })
}

/// The unit of times in `/proc`, which is the same on all machines (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// Name, state and time on processors, from `/proc/.../stat`. The name is in parentheses, and may contain some.
fn parse(stat: &str) -> Option<(String, &'static str, u64)> {
    let (start, rest) = stat.rsplit_once(')')?;
    let (_, name) = start.split_once('(')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let state = match *fields.first()? {
        "R" => "running",
        "S" => "sleeping",
        "D" => "in a disk wait",
        "T" | "t" => "stopped",
        "Z" | "X" | "x" => "ended",
        "I" => "idle",
        "P" => "parked",
        _ => "unknown",
    };
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((name.to_owned(), state, ticks(11)? + ticks(12)?))
}

/// For programs.
pub(super) fn json(threads: &[Thread]) -> Value {
    let threads = threads.iter().map(|thread| {
        json!({
            "id": thread.id,
            "name": thread.name,
            "owner": thread.owner,
            "state": thread.state,
            "sleeps_in": thread.sleeps_in,
            "processor_ms": u64::try_from(thread.processor_time.as_millis()).unwrap_or(u64::MAX),
        })
    });
    json!({"process": std::process::id(), "stacks": stacks_command(), "threads": threads.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_read_to_its_end() {
        let stat = "17 (a) R (b) S 1 17 17 0 -1 4194368 10 0 0 0 250 50 0 0 20 0 3 0 100";
        assert_eq!(parse(stat), Some(("a) R (b".to_owned(), "sleeping", 300)));
        assert_eq!(parse("17 (cut"), None);
    }

    #[test]
    fn this_thread_is_among_them() {
        let me = std::thread::Builder::new().name("look-for-me".to_owned());
        let found = me.spawn(|| all(None).into_iter().any(|thread| thread.name == "look-for-me"));
        assert!(found.unwrap().join().unwrap());
    }
}
