//! The settings of a server, each with its unit, default and reason.

use super::patience::Pace;
use crate::http::HeadLimits;
use crate::private_file;
use rustix::process::{Resource, getrlimit};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set on a server. Start from [`ServerSettings::default`].
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// `server.address`: where to listen (default 127.0.0.1:8080; port 0 picks a free one).
    pub address: SocketAddr,
    /// `server.threads`: how many workers run handlers (default 10, CherryPy's `thread_pool`).
    pub threads: usize,
    /// `server.waiting_threads`: how many of them may be held at a time by waits that cannot be parked: handlers that read their body from the
    /// client or call `acquire_lock`, calls of session stores (default: all but a fifth, at least one left; of a single one that one). A
    /// request that would be one too many is parked where it can be, for `queue_timeout`, else answered 503.
    pub waiting_threads: Option<usize>,
    /// `server.connections`: most open connections (default: what the descriptor limit allows, at most 16,384).
    pub connections: Option<usize>,
    /// `server.backlog`: connections that the kernel keeps waiting (default 1024).
    pub backlog: u32,
    /// `server.limits`: sizes of request heads.
    pub head: HeadLimits,
    /// `server.head_timeout`: from the first byte of a head to its last (default 10 s; then 408).
    pub head_timeout: Duration,
    /// `server.idle_timeout`: a connection between requests (default 20 s; then closed).
    pub idle_timeout: Duration,
    /// `server.body_timeout`: a body that is silent, or brings less than `body_rate` on the whole (default 10 s; then 408). Fast bytes
    /// make up for slow ones, up to this time.
    pub body_timeout: Duration,
    /// `server.body_rate`: slowest body in bytes per second, over windows of `body_timeout` (default 1 KiB/s; 0 asks for one byte
    /// in each `body_timeout`).
    pub body_rate: u64,
    /// `server.memory_for_bodies`: bytes that all request bodies together may take in memory, from their arrival to the end of their
    /// response, decoded forms included (default 256 MiB: a thousand bodies of `body_memory`; more is 503 before the body is read).
    pub memory_for_bodies: u64,
    /// `server.disk_for_bodies`: bytes that all request bodies together may take in temporary files (default 4 GiB: forty bodies of
    /// `max_body`; more is 503). The largest `max_body` must fit, or such a body is never taken.
    pub disk_for_bodies: u64,
    /// `server.spool_directory`: where request bodies beyond `body_memory` are kept, in files without a name (default: `TMPDIR`, or
    /// `/tmp`). Where `/tmp` is in memory, choose a directory on a disk.
    pub spool_directory: Option<PathBuf>,
    /// `server.write_timeout`: a response of which the client takes no byte, or less than `write_rate` on the whole (default 30 s; then
    /// closed).
    pub write_timeout: Duration,
    /// `server.write_rate`: slowest client of a response in bytes per second, over windows of `write_timeout` (default 1 KiB/s; 0 asks
    /// for one byte in each `write_timeout`). Only the time counts in which the socket takes nothing.
    pub write_rate: u64,
    /// `server.memory_for_responses`: bytes that responses may take in memory, all together, while their clients do not take them
    /// (default 256 MiB). Beyond it those that have waited longest are cut off. Files take none, and a page of the cache counts once.
    pub memory_for_responses: u64,
    /// `server.linger_timeout`: how long unread input is discarded so that an error page arrives (default 2 s).
    pub linger_timeout: Duration,
    /// `server.queue`: most complete requests that wait for a worker (default 1000; more are 503).
    pub queue: usize,
    /// `server.queue_timeout`: longest wait for a worker (default 10 s; then 503).
    pub queue_timeout: Duration,
    /// `server.drain_timeout`: from the first signal to the end, whatever runs (default 30 s).
    pub drain_timeout: Duration,
    /// `server.drain_idle`: how long a draining server still answers idle connections (default 250 ms).
    pub drain_idle: Duration,
    /// `server.requests_per_connection`: then `Connection: close` (default unlimited).
    pub requests_per_connection: Option<u64>,
}

/// No more connections than this by default: a number that a default kernel serves without tuning.
const MAX_CONNECTIONS: usize = 16_384;
/// A few large bodies must be possible, however few descriptors there are.
const MIN_SPOOLED: u64 = 4;
/// No less memory for bodies than this: the threads read in pieces.
const MIN_MEMORY_FOR_BODIES: u64 = 1 << 20;

impl ServerSettings {
    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> io::Result<()> {
        let wrong = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if self.threads == 0 {
            return wrong("server.threads is 0: without a worker nothing is answered; set it to 1 or more");
        }
        if let Some(waiting) = self.waiting_threads
            && !(1..=self.threads).contains(&waiting)
        {
            return wrong(&format!(
                "server.waiting_threads is {waiting}: it is a part of server.threads, 1 to {}; leave it out for all but a fifth of them",
                self.threads
            ));
        }
        if self.connections == Some(0) {
            return wrong("server.connections is 0: no client could connect; set it to 1 or more, or leave it out");
        }
        if self.memory_for_bodies < MIN_MEMORY_FOR_BODIES {
            return wrong("server.memory_for_bodies: with less than 1 MiB no body of an ordinary form would be taken");
        }
        if self.head.head < 256 {
            return wrong("server.limits: a head of less than 256 bytes holds no real request");
        }
        if let Some(directory) = &self.spool_directory
            && let Err(error) = private_file::without_name(directory)
        {
            let place = directory.display();
            return wrong(&format!("server.spool_directory: no file can be made in {place}: {error}"));
        }
        Ok(())
    }

    /// How slow a client may send a body.
    pub(super) fn body_pace(&self) -> Pace {
        Pace { grace: self.body_timeout, rate: self.body_rate }
    }

    /// How slow a client may take a response.
    pub(super) fn write_pace(&self) -> Pace {
        Pace { grace: self.write_timeout, rate: self.write_rate }
    }

    /// A file without a name for a large request body.
    pub(crate) fn spool_file(&self) -> io::Result<File> {
        match &self.spool_directory {
            Some(directory) => private_file::without_name(directory),
            None => private_file::without_name(&std::env::temp_dir()),
        }
    }

    /// How many workers may be held by waits: as set, or all but a fifth.
    pub(crate) fn most_waiting(&self) -> usize {
        let left_free = (self.threads / 5).max(1);
        self.waiting_threads.unwrap_or_else(|| self.threads.saturating_sub(left_free).max(1))
    }

    /// How many bodies may be in temporary files at once: a part of the descriptors that connections leave. The rest is for other files.
    pub(crate) fn most_spooled(&self) -> u64 {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // A multipart form reads its file by a second descriptor.
        (descriptors.saturating_sub(self.most_connections() as u64) / 4).max(MIN_SPOOLED)
    }

    /// The limit of open connections: as set, or what the descriptor limit of the process leaves after a reserve for files.
    pub(crate) fn most_connections(&self) -> usize {
        self.connections.unwrap_or_else(|| {
            let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            let reserve = (descriptors / 8).clamp(16, 512);
            usize::try_from(descriptors.saturating_sub(reserve)).unwrap_or(usize::MAX).clamp(1, MAX_CONNECTIONS)
        })
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            threads: 10,
            waiting_threads: None,
            connections: None,
            backlog: 1024,
            head: HeadLimits::default(),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(10),
            body_rate: 1024,
            memory_for_bodies: 256 << 20,
            disk_for_bodies: 4 << 30,
            spool_directory: None,
            write_timeout: Duration::from_secs(30),
            write_rate: 1024,
            memory_for_responses: 256 << 20,
            linger_timeout: Duration::from_secs(2),
            queue: 1000,
            queue_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            drain_idle: Duration::from_millis(250),
            requests_per_connection: None,
        }
    }
}
