//! A started application, and the order in which it starts and stops.
//!
//! Start: the server listens and answers, the background jobs begin, the `on_start` functions run in their order. If
//! one fails, all is stopped again and the error returned: an app that is returned as running is running. No stop can
//! be lost, since there is nothing to stop before `start` returns.
//!
//! Stop: the server drains (listener, idle connections, queue, running requests, all by one absolute deadline), the
//! background jobs end, the `on_stop` functions run, the latest first. Only threads that were started here are waited
//! for.

use super::app::{StartFunction, StopFunction};
use super::background::{Background, JobStatistics};
use super::signals::Signals;
use crate::Result;
use crate::exchange::Error;
use crate::lifecycle::Application;
use crate::logs;
use crate::panics::guarded;
use crate::server::{Server, ServerSettings, Statistics, StopReport, WorkerState};
use parking_lot::Mutex;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A started application. Dropping it stops it at once, without draining.
#[must_use = "dropping it stops the application"]
pub struct Running {
    // Dropped in this order.
    server: Option<Server>,
    background: Option<Background>,
    /// In a lock only so that a running application can be shared between threads.
    on_stop: Mutex<Vec<StopFunction>>,
    address: SocketAddr,
    drain_timeout: Duration,
}

impl Running {
    pub(super) fn start(
        application: Application,
        settings: &ServerSettings,
        addresses: &[SocketAddr],
        on_start: Vec<StartFunction>,
        on_stop: Vec<StopFunction>,
    ) -> Result<Self> {
        let application = Arc::new(application);
        let server = listen(&application, settings, addresses)?;
        let address = server.address();
        let background = Background::start(application.background_jobs());
        let mut running = Self {
            server: Some(server),
            background: None,
            on_stop: Mutex::new(on_stop),
            address,
            drain_timeout: settings.drain_timeout,
        };
        running.background = Some(background?);
        crate::line::record!(Info, target: "kirsch::engine", "serving on http://{address}");
        for run in on_start {
            guarded(|| run(address))?;
        }
        Ok(running)
    }

    /// The address that the server listens on, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counters and gauges of the server at this moment.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.server.as_ref().map(Server::statistics).unwrap_or_default()
    }

    /// The present work of each worker, and for how long it has been at it: where to look when the server is slow.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerState> {
        self.server.as_ref().map(Server::workers).unwrap_or_default()
    }

    /// The counts of the background jobs.
    #[must_use]
    pub fn background_jobs(&self) -> Vec<JobStatistics> {
        self.background.as_ref().map(Background::statistics).unwrap_or_default()
    }

    /// Waits for SIGINT or SIGTERM, then stops; a second signal ends the process at once. For programs: it installs
    /// signal handlers.
    ///
    /// # Errors
    /// Names the requests that had not ended within `server.drain_timeout`.
    pub fn wait(self) -> Result {
        self.wait_for(Signals::install()?)
    }

    pub(super) fn wait_for(self, signals: Signals) -> Result {
        let signal = signals.wait()?;
        let timeout = self.drain_timeout;
        crate::line::record!(Info, target: "kirsch::engine", "{signal}: stopping within {timeout:?}; the next signal ends the process at once");
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
    pub fn stop(mut self, within: Duration) -> StopReport {
        // A caller without a limit passes a very long time, which an `Instant` cannot add.
        let deadline = Instant::now() + within.min(LONGEST_STOP);
        let report = self.server.take().map(|server| server.stop(within)).unwrap_or_default();
        let at_work = self.background.take().map(|background| background.stop(deadline)).unwrap_or_default();
        for name in at_work {
            crate::line::record!(Warn, target: "kirsch::engine", "the background job {name:?} did not end in time");
        }
        self.run_on_stop();
        crate::line::record!(Info, target: "kirsch::engine", "stopped");
        report
    }

    fn run_on_stop(&mut self) {
        while let Some(run) = self.on_stop.get_mut().pop() {
            if let Err(error) = guarded(run) {
                crate::line::record!(Error, target: logs::ERROR, "at the stop: {}", logs::causes(&error));
            }
        }
    }
}

/// A year: longer waits for a stop are cut to this.
const LONGEST_STOP: Duration = Duration::from_secs(365 * 24 * 3600);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.server.take());
        drop(self.background.take());
        self.run_on_stop();
    }
}

const _: () = {
    const fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<Running>();
};

/// Listens on the first address that can be had.
fn listen(application: &Arc<Application>, settings: &ServerSettings, addresses: &[SocketAddr]) -> Result<Server> {
    let mut refused = None;
    for &address in addresses {
        match Server::start(ServerSettings { address, ..settings.clone() }, application.clone()) {
            Ok(server) => return Ok(server),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let Some(error) = refused else { return Err(Error::unexpected("there is no address to listen on")) };
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => "; another program listens there: stop it, or choose another port (0 picks a free one)",
        ErrorKind::PermissionDenied => "; ports below 1024 are for privileged programs: choose a higher one",
        ErrorKind::AddrNotAvailable => "; no interface of this machine has it: try 127.0.0.1 or 0.0.0.0",
        _ => "",
    };
    Err(Error::unexpected(format!("{error}{remedy}")))
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}
