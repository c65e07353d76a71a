//! Threads that one owner has started: each has a name, and all are waited for until one deadline.
//!
//! A thread that does not end in time is named and left to itself, so that a stop never hangs. No other thread of the
//! process is ever waited for.

use crossbeam_channel::{Receiver, Sender, unbounded};
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The threads of one owner.
#[derive(Debug)]
pub(crate) struct Threads {
    running: Vec<(String, JoinHandle<()>)>,
    end: Sender<()>,
    /// One message for each thread that has ended.
    ended: Receiver<()>,
}

impl Threads {
    pub(crate) fn new() -> Self {
        let (end, ended) = unbounded();
        Self { running: Vec::new(), end, ended }
    }

    pub(crate) fn spawn(&mut self, name: &str, life: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let end = self.end.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _end = End(end);
            life();
        });
        let handle =
            thread.map_err(|error| io::Error::new(error.kind(), format!("cannot start the thread {name}: {error}")))?;
        self.running.push((name.to_owned(), handle));
        Ok(())
    }

    /// Waits until `deadline` for all threads. Returns the names of those that still run.
    pub(crate) fn end_by(&mut self, deadline: Instant) -> Vec<String> {
        let mut running = self.running.len();
        while running > 0 && self.ended.recv_deadline(deadline).is_ok() {
            running -= 1;
        }
        // A thread that has told its end needs a moment to be gone.
        match running {
            0 => self.running.drain(..).for_each(|(_, handle)| drop(handle.join())),
            _ => self.running.retain(|(_, handle)| !handle.is_finished()),
        }
        self.running.drain(..).map(|(name, _)| name).collect()
    }

    /// Waits for at most `grace` until all threads have ended except `stuck` ones, whose number is asked for at each
    /// look.
    pub(crate) fn end_except(&mut self, stuck: impl Fn() -> usize, grace: Duration, look: Duration) {
        let patience = Instant::now() + grace;
        let mut running = self.running.len();
        while running > stuck() && Instant::now() < patience {
            running -= usize::from(self.ended.recv_timeout(look).is_ok());
        }
        for (_, handle) in self.running.drain(..) {
            if handle.is_finished() {
                let _ = handle.join();
            }
        }
    }
}

/// Tells that a thread has ended when it is dropped, also by a panic.
struct End(Sender<()>);

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
