//! A started application: what can be asked of it, and its stop.
//!
//! An app that is returned as running is running. No stop can be lost, since there is nothing to stop before `start`
//! returns. The order of start and stop is in `course.rs`.

use super::background::{Background, JobStatistics};
use super::course::{Course, PluginStatus, Start};
use super::errand::Errand;
use super::late_signals::LateSignals;
use super::notify::Notifier;
use super::pid_file::PidFile;
use super::signals::{Signal, Signals};
use super::upgrade::{Attempt, Elders, Inheritance, MAX_ELDERS, Offer, Program, Successor};
use crate::Result;
use crate::bus::{Deadline, Engine, State};
use crate::exchange::{Error, ListenerRole};
use crate::logs::{self, InstalledLogs};
use crate::server::{ListenAddress, Server, Statistics, StopReport, WorkerState};
use crate::status::write_to_log;
use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

/// A started application. Dropping it stops it at once, without draining.
#[must_use = "dropping it stops the application"]
pub struct Running {
    course: Course,
    address: SocketAddr,
    drain_timeout: Duration,
    upgrades: Upgrades,
    /// The older processes, if this one has taken over from them.
    elders: Elders,
    pid_file: Option<PidFile>,
    /// The last field, so that it takes what the stop says.
    pub(super) logs: Option<InstalledLogs>,
}

impl Running {
    pub(super) fn start(start: Start<'_>, upgrades: Upgrades, inheritance: Option<Inheritance>) -> Result<Self> {
        let settings = start.settings;
        let (course, _) = Course::start(start)?;
        let address = course.engine.handle().address().ok_or_else(|| Error::unexpected("no address was bound"))?;
        let mut running = Self {
            course,
            address,
            drain_timeout: settings.drain_timeout,
            upgrades,
            elders: Elders::default(),
            pid_file: None,
            logs: None,
        };
        // Not before it is ready, for programs that wait for it. A failure stops what has started.
        running.pid_file = settings.pid_file.as_deref().map(PidFile::write).transpose()?;
        if let Some(inheritance) = inheritance {
            running.elders = inheritance.ready(running.course.waiting.take())?;
            running.course.server.iter().for_each(Server::keep_files);
        }
        Ok(running)
    }

    /// The first IP address that the server listens on, with the port that was picked; `0.0.0.0:0` if it listens on
    /// Unix sockets alone.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All addresses that the server listens on, with the ports that were picked.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddress] {
        self.course.server.as_ref().map(Server::addresses).unwrap_or_default()
    }

    /// Whether [`address`](Self::address) speaks TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        let is_first = |address: &&ListenAddress| address.ip_address() == Some(self.address());
        self.addresses().iter().filter(is_first).any(|address| address.role() == Some(ListenerRole::Tls))
    }

    /// A handle to the application, as steps and plugins get it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.course.engine.handle()
    }

    /// The stage of the application.
    #[must_use]
    pub fn state(&self) -> State {
        self.engine().state()
    }

    /// Counters and gauges of the server at this moment.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.course.server.as_ref().map(Server::statistics).unwrap_or_default()
    }

    /// The present work of each worker, and for how long it has been at it: where to look when the server is slow.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerState> {
        self.course.server.as_ref().map(Server::workers).unwrap_or_default()
    }

    /// The counts of the background jobs.
    #[must_use]
    pub fn background_jobs(&self) -> Vec<JobStatistics> {
        self.course.background.as_ref().map(Background::statistics).unwrap_or_default()
    }

    /// The plugins in the order of their start, with what they tell of themselves.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginStatus> {
        self.course.plugins()
    }

    /// Opens the file of the log again, and runs the steps [`Graceful`](super::Step::Graceful) on this thread. SIGHUP
    /// does the same, where [`wait`](Self::wait) or `App::serve` waits for signals.
    pub fn graceful(&self) {
        logs::reopen();
        self.course.graceful()();
    }

    /// Writes to the log what each worker does and which requests wait for what, as the status page shows it. SIGQUIT
    /// does the same, where [`wait`](Self::wait) or `App::serve` waits for signals.
    pub fn write_status_to_log(&self) {
        self.status_to_log()();
    }

    fn status_to_log(&self) -> impl Fn() + Send + Sync + 'static {
        let view = self.course.server.as_ref().map(Server::view);
        move || {
            if let Some(view) = view.as_ref().and_then(Weak::upgrade) {
                write_to_log(&*view);
            }
        }
    }

    /// Starts the program anew, hands the listeners over to the new process, and returns its number when it is ready.
    /// Then stop this one: [`stop`](Self::stop) closes the listeners without a gap and ends what has begun. SIGUSR2
    /// does both, where [`wait`](Self::wait) or `App::serve` waits for signals.
    ///
    /// The new process is the program at the path of this one, as it is now, with the same arguments, variables and
    /// working directory. It takes the listeners over in its `App::serve` or `App::start`, by their addresses as they
    /// were given; port 0 stays what it was. So `main` must come there without reading the standard input. Background
    /// jobs of the new process begin when those of this one have ended. Both serve at the same time for a while:
    /// migrations in the steps of the start must bear that.
    ///
    /// It blocks for `server.upgrade_timeout` at most.
    ///
    /// # Errors
    /// When the new process cannot start, ends, or is not ready in time; it is ended then, and this one serves on. When
    /// two older processes have not ended yet. When `server.upgrade_loses_memory` is off and tools would lose
    /// something.
    pub fn upgrade(&mut self) -> Result<u32> {
        let upgraded = self.begin_upgrade(|| ()).and_then(Attempt::wait);
        self.take_successor(upgraded)
    }

    fn begin_upgrade(&self, done: impl FnOnce() + Send + 'static) -> Result<Attempt> {
        if let Some(successor) = &self.course.successor {
            let process = successor.process();
            return Err(Error::unexpected(format!("the new process {process} has taken over already: stop this one")));
        }
        let elders = self.elders.processes();
        if elders.len() > MAX_ELDERS {
            let elders = elders.iter().map(u32::to_string).collect::<Vec<_>>().join(" and ");
            return Err(Error::unexpected(format!(
                "the older processes {elders} have not ended yet: try again when one of them has"
            )));
        }
        let Upgrades { program, timeout, lost, loses_memory, has_dropped, .. } = &self.upgrades;
        if !lost.is_empty() {
            let lost = lost.join(", ");
            if !loses_memory {
                return Err(Error::unexpected(format!(
                    "visitors would lose {lost} (`server.upgrade_loses_memory` is off)"
                )));
            }
            crate::line::record!(Warn, target: "kirsch::engine", "visitors lose {lost}: the new process begins without");
        }
        let program = program.as_ref().map_err(|problem| Error::unexpected(problem.clone()))?.clone();
        let server = self.course.server.as_ref().ok_or_else(|| Error::unexpected("the server has stopped"))?;
        let (listeners, elders) = (server.named_sockets()?, self.elders.sockets()?);
        let offer = Offer { listeners, elders, has_dropped: *has_dropped, ticket_keys: server.ticket_keys() };
        Attempt::begin(program, &offer, *timeout, done)
    }

    /// Notes the new process, or goes on as if nothing had been.
    fn take_successor(&mut self, upgraded: Result<Successor>) -> Result<u32> {
        match upgraded {
            Ok(successor) => {
                let process = successor.process();
                crate::line::record!(Info, target: "kirsch::engine", "the new process {process} is ready and takes over");
                self.course.successor = Some(successor);
                Ok(process)
            }
            Err(error) => {
                crate::line::record!(Error, target: "kirsch::engine", "the upgrade has failed, this process serves on: {error}");
                // The new one may have written its number before it failed.
                if let Some(Err(error)) = self.pid_file.as_ref().map(PidFile::claim) {
                    crate::line::record!(Warn, target: "kirsch::engine", "the PID file cannot be written: {error}");
                }
                Err(error)
            }
        }
    }

    /// Waits for SIGINT or SIGTERM, then stops; a second signal ends the process at once. SIGHUP runs the steps
    /// [`Graceful`](super::Step::Graceful), SIGQUIT writes the [status](Self::write_status_to_log) to the log. SIGUSR2
    /// lets a new process of the program take over, as [`upgrade`](Self::upgrade) does, and stops within
    /// `server.upgrade_drain`, or `server.drain_timeout` after a SIGTERM. For programs: it installs signal handlers.
    ///
    /// # Errors
    /// Names the requests that had not ended within `server.drain_timeout`.
    pub fn wait(self) -> Result {
        self.wait_for(Signals::install()?, &Notifier::of_environment())
    }

    pub(super) fn wait_for(mut self, mut signals: Signals, manager: &Notifier) -> Result {
        let watchdog = match &self.course.server {
            Some(server) => manager.watch(server.view())?,
            None => None,
        };
        let (steps, told) = (self.course.graceful(), manager.clone());
        let mut graceful = Errand::new("kirsch-graceful", move || {
            steps();
            told.tell("READY=1");
        });
        let mut status = Errand::new("kirsch-status", self.status_to_log());
        manager.tell("READY=1");
        let mut attempt: Option<Attempt> = None;
        let timeout = loop {
            match signals.wait()? {
                Signal::HangUp => {
                    crate::line::record!(Info, target: "kirsch::engine", "SIGHUP: files are opened and read again");
                    manager.tell_reloading();
                    logs::reopen();
                    graceful.ask();
                }
                Signal::Ask => status.ask(),
                Signal::Upgrade if attempt.is_some() => {
                    crate::line::record!(Warn, target: "kirsch::engine", "SIGUSR2: a new process is on its way already");
                }
                Signal::Upgrade => {
                    crate::line::record!(Info, target: "kirsch::engine", "SIGUSR2: a new process of the program starts");
                    manager.tell_reloading();
                    let waker = signals.waker()?;
                    match self.begin_upgrade(|| waker.wake()) {
                        Ok(begun) => attempt = Some(begun),
                        Err(error) => {
                            drop(self.take_successor(Err(error)));
                            manager.tell("READY=1");
                        }
                    }
                }
                Signal::News => {}
                Signal::Stop(name) => {
                    // A new process that is on its way ends with this one.
                    drop(attempt);
                    manager.tell("STOPPING=1");
                    let timeout = self.drain_timeout;
                    crate::line::record!(Info, target: "kirsch::engine", "{name}: stopping within {timeout:?}; the next signal ends the process at once");
                    break timeout;
                }
            }
            if let Some(upgraded) = attempt.as_mut().and_then(Attempt::result) {
                attempt = None;
                if let Ok(process) = self.take_successor(upgraded) {
                    // What is said from here on is the new process's.
                    drop(watchdog);
                    manager.tell(&format!("MAINPID={process}\nREADY=1"));
                    break self.upgrades.drain;
                }
                manager.tell("READY=1");
            }
        };
        graceful.end();
        let (haste, soon) = (self.course.haste.clone(), self.drain_timeout);
        let hurry = move |name| {
            crate::line::record!(Info, target: "kirsch::engine", "{name}: stopping within {soon:?}; the next signal ends the process at once");
            haste.end_by(Deadline::within(soon));
        };
        let hearing = LateSignals::hear(signals, status, hurry);
        if let Err(error) = &hearing {
            crate::line::record!(Warn, target: "kirsch::engine", "no signals are heard during the stop: {error}");
        }
        let report = self.stop(timeout);
        drop(hearing);
        if report.unfinished.is_empty() {
            return Ok(());
        }
        let requests = report.unfinished.iter().map(|(request, age)| format!("{request} ({:.1} s)", age.as_secs_f64()));
        let requests = requests.collect::<Vec<_>>().join(", ");
        Err(Error::unexpected(format!("stopped, but not all requests had ended after {timeout:?}: {requests}")))
    }

    /// Stops gracefully: no new connections, running requests end, everything by one deadline from now. The report
    /// names the requests that had not ended by then.
    ///
    /// A log that was given to [`App::logs`](crate::App::logs) then gets two seconds for its last lines.
    pub fn stop(mut self, within: Duration) -> StopReport {
        let report = self.course.stop(Deadline::within(within));
        crate::line::record!(Info, target: "kirsch::engine", "stopped");
        report
    }
}

/// How this process lets another one take over.
pub(super) struct Upgrades {
    /// What is started, or why that is not known.
    pub(super) program: std::result::Result<Program, String>,
    pub(super) timeout: Duration,
    pub(super) drain: Duration,
    /// What visitors lose, and whether they may.
    pub(super) lost: Vec<&'static str>,
    pub(super) loses_memory: bool,
    /// Whether this process has given up the rights of root.
    pub(super) has_dropped: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.course.stop(Deadline::within(Duration::ZERO));
    }
}

const _: () = {
    const fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<Running>();
};

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}
