//! A started application: what can be asked of it, and its stop.
//!
//! An app that is returned as running is running. No stop can be lost, since there is nothing to stop before `start`
//! returns. The order of start and stop is in `course.rs`.

use super::background::{Background, JobStatistics};
use super::course::{Course, PluginStatus, Start};
use super::errand::Errand;
use super::notify::Notifier;
use super::pid_file::PidFile;
use super::signals::{Signal, Signals};
use crate::Result;
use crate::bus::{Deadline, Engine, State};
use crate::exchange::{Error, ListenerRole};
use crate::logs::{self, InstalledLogs};
use crate::server::{ListenAddress, ListenPlace, Server, Statistics, StopReport, WorkerState};
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
    pid_file: Option<PidFile>,
    /// The last field, so that it takes what the stop says.
    pub(super) logs: Option<InstalledLogs>,
}

impl Running {
    pub(super) fn start(start: Start<'_>) -> Result<Self> {
        let settings = start.settings;
        let course = Course::start(start)?;
        let address = course.engine.handle().address().ok_or_else(|| Error::unexpected("no address was bound"))?;
        let mut running = Self { course, address, drain_timeout: settings.drain_timeout, pid_file: None, logs: None };
        // Not before it is ready, for programs that wait for it. A failure stops what has started.
        running.pid_file = settings.pid_file.as_deref().map(PidFile::write).transpose()?;
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
        let mut addresses = self.addresses().iter();
        addresses.any(|address| {
            *address.place() == ListenPlace::Tcp(self.address()) && address.role() == Some(ListenerRole::Tls)
        })
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

    /// Waits for SIGINT or SIGTERM, then stops; a second signal ends the process at once. SIGHUP runs the steps
    /// [`Graceful`](super::Step::Graceful), SIGQUIT writes the [status](Self::write_status_to_log) to the log. For
    /// programs: it installs signal handlers.
    ///
    /// # Errors
    /// Names the requests that had not ended within `server.drain_timeout`.
    pub fn wait(self) -> Result {
        self.wait_for(Signals::install()?, &Notifier::of_environment())
    }

    pub(super) fn wait_for(self, mut signals: Signals, manager: &Notifier) -> Result {
        let _watchdog = match &self.course.server {
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
        let signal = loop {
            match signals.wait()? {
                Signal::HangUp => {
                    crate::line::record!(Info, target: "kirsch::engine", "SIGHUP: files are opened and read again");
                    manager.tell_reloading();
                    logs::reopen();
                    graceful.ask();
                }
                Signal::Ask => status.ask(),
                Signal::Stop(name) => break name,
            }
        };
        manager.tell("STOPPING=1");
        drop(signals);
        let timeout = self.drain_timeout;
        crate::line::record!(Info, target: "kirsch::engine", "{signal}: stopping within {timeout:?}; the next signal ends the process at once");
        graceful.end();
        status.end();
        let report = self.stop(timeout);
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
