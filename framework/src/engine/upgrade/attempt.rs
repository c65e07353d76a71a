//! The old process's side of an upgrade, until the new process is ready or has failed.
//!
//! It runs on a thread of its own: the signals of the program are heard meanwhile. One try, and the old process goes on
//! if it fails: a program that cannot start would not be able to the second time either.

use super::Program;
use super::message::{Link, Message, Received, unexpected};
use crate::Result;
use crate::exchange::Error;
use crate::neighbours::{self, Neighbour};
use crate::server::NamedSocket;
use crate::threads::Threads;
use crossbeam_channel::{Receiver, bounded};
use rustix::process::{Pid, Signal, kill_process};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

/// All that the new process gets. It is not shown: there are keys in it.
pub(crate) struct Offer {
    pub(crate) listeners: Vec<NamedSocket>,
    /// Of older processes that have not ended yet.
    pub(crate) elders: Vec<OwnedFd>,
    pub(crate) has_dropped: bool,
    pub(crate) ticket_keys: Option<Vec<u8>>,
}

/// A new process on its way. Dropping it ends that process.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Until the result was taken.
    link: Option<Link>,
    ended: Receiver<Result<Successor>>,
    thread: Threads,
}

/// A new process that is ready.
#[derive(Debug)]
pub(crate) struct Successor {
    process: u32,
    /// Closed when this process has ended what it has begun.
    link: Link,
    /// So long.
    _neighbour: Neighbour,
}

/// How often a process that has closed its end is looked at until it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How long a process that has closed its end may take until it has ended.
const MOMENT: Duration = Duration::from_secs(1);
/// How long the end of an attempt is waited for after a kill.
const GRACE: Duration = Duration::from_secs(5);

impl Attempt {
    /// Starts the program and offers it what it needs. `done` is called when the [result](Self::result) is there.
    pub(crate) fn begin(
        program: Program,
        offer: &Offer,
        within: Duration,
        done: impl FnOnce() + Send + 'static,
    ) -> Result<Self> {
        let (link, other) = Link::pair()?;
        offer.send(&link)?;
        let (tell, ended) = bounded(1);
        let mut attempt = Self { link: Some(link.try_clone()?), ended, thread: Threads::new() };
        attempt.thread.spawn("kirsch-upgrade", move || {
            let _ = tell.send(watch(&program, link, other, within));
            done();
        })?;
        Ok(attempt)
    }

    /// How it went; `None` while that is open.
    pub(crate) fn result(&mut self) -> Option<Result<Successor>> {
        let result = self.ended.try_recv().ok()?;
        self.link = None;
        Some(result)
    }

    /// Waits for the result.
    pub(crate) fn wait(mut self) -> Result<Successor> {
        let result = self.ended.recv();
        self.link = None;
        result.unwrap_or_else(|_| Err(Error::unexpected("the thread of the upgrade has died")))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        // The thread takes that for the end of the new process, and ends it.
        let _ = rustix::net::shutdown(&link, rustix::net::Shutdown::Both);
        self.thread.end_by(Instant::now() + GRACE);
        if let Ok(Ok(ready)) = self.ended.try_recv()
            && let Some(process) = i32::try_from(ready.process).ok().and_then(Pid::from_raw)
        {
            // Ready at the last moment: it ends as any other.
            let _ = kill_process(process, Signal::TERM);
        }
    }
}

impl Offer {
    fn send(&self, link: &Link) -> Result<()> {
        link.send(&Message::hello(self.has_dropped, self.ticket_keys.clone()), None)?;
        for NamedSocket { name, socket } in &self.listeners {
            link.send(&Message::Listener { name: name.clone() }, Some(socket.as_fd()))?;
        }
        for elder in &self.elders {
            link.send(&Message::Elder, Some(elder.as_fd()))?;
        }
        link.send(&Message::Complete, None)
    }
}

impl Successor {
    /// Its number.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// The background jobs of this process have ended: its own may begin.
    pub(crate) fn begin(&self) {
        if let Err(error) = self.link.send(&Message::Begin, None) {
            crate::line::record!(Warn, target: "kirsch::engine", "the new process {} is not there any more: {error}", self.process);
        }
    }

    pub(crate) fn try_clone(&self) -> Result<Self> {
        Ok(Self { process: self.process, link: self.link.try_clone()?, _neighbour: Neighbour::appears() })
    }
}

/// From the start of the program to its word.
fn watch(program: &Program, link: Link, other: OwnedFd, within: Duration) -> Result<Successor> {
    let deadline = Instant::now() + within;
    // Counted before it is there, so that no request relies on being alone when it is.
    let neighbour = Neighbour::appears();
    if !neighbours::nothing_relies_on_being_alone(deadline) {
        return Err(Error::unexpected(format!(
            "a request has kept a session that is not shared for longer than {within:?} (`server.upgrade_timeout`)"
        )));
    }
    let mut child = program.start(other)?;
    let path = program.path().display();
    let reason = match link.receive(deadline) {
        Ok(Received::Message(Message::Ready, _)) => {
            return Ok(Successor { process: child.id(), link, _neighbour: neighbour });
        }
        Ok(Received::Message(Message::Failed { reason }, _)) => {
            // It may have accepted connections, and ends what it has begun.
            wait_for_the_end(&mut child, deadline);
            format!("{path} has failed to start: {reason}")
        }
        Ok(Received::Message(other, _)) => unexpected(&other).to_string(),
        Ok(Received::Closed) => {
            let status = wait_for_the_end(&mut child, Instant::now() + MOMENT);
            status.map_or_else(
                || format!("{path} has closed its standard input, and was ended"),
                |status| format!("{path} has ended before it was ready: {status}"),
            )
        }
        Ok(Received::Late) => {
            format!("{path} was not ready within {within:?} (`server.upgrade_timeout`) and was ended")
        }
        Err(error) => error.to_string(),
    };
    let _ = child.kill();
    let _ = child.wait();
    Err(Error::unexpected(reason))
}

fn wait_for_the_end(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(LOOK);
    }
    None
}
