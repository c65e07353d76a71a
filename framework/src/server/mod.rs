//! Sockets and threads: the acceptor, the slots of connections, the workers, the run queue, the ticker, the limits.
//!
//! The room knows a [`Service`], no application. The scheduler in it knows connections that make steps, no HTTP.

mod service;
mod settings;

pub use service::{BodyPlan, Delivery, Progress, Service, Wakers};
pub use settings::ServerSettings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A running HTTP server.
///
/// Dropping it stops it at once. There is no global state: a process may run any number of servers.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
}

impl Server {
    /// Binds the address in the settings (port 0 picks a free one) and starts accepting.
    ///
    /// # Errors
    /// When the address cannot be bound or the threads cannot be started; the message names the address.
    pub fn start(settings: ServerSettings, service: Arc<dyn Service>) -> std::io::Result<Self> {
        let _ = (settings, service);
        todo!()
    }

    /// The address that the server listens on, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counters and gauges of this moment.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        todo!()
    }

    /// Stops gracefully: no new connections, running requests end, everything by one absolute deadline from now.
    #[must_use]
    pub fn stop(self, deadline: Duration) -> StopReport {
        let _ = deadline;
        todo!()
    }
}

/// What a server has done and is doing; see the field names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections accepted since the start.
    pub connections_accepted: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Requests answered since the start.
    pub requests: u64,
    /// Requests answered with 503 because no worker was free in time.
    pub overload_rejections: u64,
    /// Requests that wait for a free worker now.
    pub queued: u64,
    /// Workers that the settings ask for.
    pub workers_configured: u64,
    /// Workers alive now.
    pub workers_alive: u64,
    /// Workers that run a handler now.
    pub workers_busy: u64,
    /// Workers that died and were replaced.
    pub workers_replaced: u64,
}

/// How a stop went.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StopReport {
    /// The requests that had not ended by the deadline, as `GET /path` with their age; empty when all went well.
    pub unfinished: Vec<(String, Duration)>,
}
