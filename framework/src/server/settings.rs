//! The settings of a server, each with its unit, default and reason.

use super::listen_address::ListenAddress;
use super::patience::Pace;
use crate::exchange::ListenerRole;
use crate::http::HeadLimits;
use crate::networks::Networks;
use crate::private_file;
use crate::settings::{Setting, SettingRow, SettingValue, Settings, size};
#[cfg(feature = "tls")]
use crate::tls::Tls;
use rustix::process::{Resource, getrlimit};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set on a server. Start from [`ServerSettings::default`].
///
/// Files have the settings in `[global]`, each with `server.` before its name. The table of all defaults is at
/// [`Settings`](#impl-Settings-for-ServerSettings).
#[derive(Clone, Debug, Settings)]
#[settings(no_builders)]
pub struct ServerSettings {
    /// Where to listen: an address as [`ListenAddress`] describes it, or a list of them; port 0 picks a free one.
    #[setting(default = vec![SocketAddr::from(([127, 0, 0, 1], 8080)).into()])]
    pub listen: Vec<ListenAddress>,
    /// The port in the addresses to which `redirect` listeners send; `"auto"` is that of the first `tls` listener, or
    /// 443.
    #[setting(none = "auto", min = 1)]
    pub redirect_port: Option<u16>,
    /// The folder in which a client of a certificate authority writes its answers (RFC 8555); `redirect` listeners
    /// serve them at `/.well-known/acme-challenge/`.
    #[setting(none = "off", with = absolute_path)]
    pub challenge_folder: Option<PathBuf>,
    /// The proxies at addresses with the word `proxy_protocol`: networks, addresses, `loopback`, `private`, `unix`.
    /// Any other peer is closed there.
    pub proxy_protocol_from: Vec<String>,
    /// How many workers run handlers (CherryPy's `thread_pool`).
    #[setting(default = 10, min = 1)]
    pub threads: usize,
    /// How many workers may be held by waits that cannot be parked, such as a handler that reads a slow upload;
    /// `"auto"` is all but a fifth, at least one left.
    ///
    /// Such waits are those of handlers that read their body from the client or call `acquire_lock`, and calls of
    /// session stores. A request that would be one too many is parked where it can be, for `queue_timeout`, else
    /// answered 503.
    #[setting(none = "auto", min = 1)]
    pub waiting_threads: Option<usize>,
    /// Maximum of open connections; `"auto"` is as many as the descriptor limit allows, at most 16,384.
    #[setting(none = "auto", min = 1)]
    pub connections: Option<usize>,
    /// How many responses may wait for news at once, event streams and WebSockets; more are 503. `"auto"` is three
    /// quarters of `connections`, so that a page still finds a place.
    #[setting(none = "auto", min = 1)]
    pub pushes: Option<usize>,
    /// Connections that the kernel keeps waiting.
    #[setting(default = 1024, min = 1)]
    pub backlog: u32,
    /// Sizes of request heads.
    #[setting(flatten)]
    pub head: HeadLimits,
    /// From the first byte of a head to its last; then 408.
    #[setting(default = "10s")]
    pub head_timeout: Duration,
    /// How long a connection may be open between two requests.
    #[setting(default = "20s")]
    pub idle_timeout: Duration,
    /// How long a body may be silent, or on the whole slower than `body_rate`; then 408. Fast bytes buy no longer
    /// silence.
    #[setting(default = "10s")]
    pub body_timeout: Duration,
    /// Slowest body, per second, over windows of `body_timeout`; 0 asks for one byte in each window.
    #[setting(size, default = "1 KiB")]
    pub body_rate: u64,
    /// Bytes that all request bodies together may take in memory, from their arrival to the end of their response; more
    /// is 503 before the body is read.
    ///
    /// Decoded forms are included. The default is a thousand bodies of `body_memory`.
    #[setting(size, default = "256 MiB")]
    pub memory_for_bodies: u64,
    /// Bytes that all request bodies together may take in temporary files; more is 503. The largest `max_body` must
    /// fit.
    ///
    /// The default is forty bodies of `max_body`.
    #[setting(size, default = "4 GiB")]
    pub disk_for_bodies: u64,
    /// Where bodies larger than `body_memory` are kept, in files without a name; `"auto"` is `TMPDIR`, or `/tmp`.
    ///
    /// Where `/tmp` is in memory, choose a directory on a disk.
    #[setting(none = "auto", with = absolute_path)]
    pub spool_directory: Option<PathBuf>,
    /// How long a client may take no byte of a response, or be on the whole slower than `write_rate`; then the
    /// connection is closed.
    #[setting(default = "30s")]
    pub write_timeout: Duration,
    /// Slowest client of a response, per second, over windows of `write_timeout`; 0 asks for one byte in each window.
    ///
    /// Only the time counts in which the socket takes nothing.
    #[setting(size, default = "1 KiB")]
    pub write_rate: u64,
    /// Bytes that responses may take in memory, all together, while their clients do not take them; then the
    /// longest-stalled are cut off.
    ///
    /// Files take none, and a page of the cache counts once.
    #[setting(size, default = "256 MiB")]
    pub memory_for_responses: u64,
    /// How long unread input is discarded so that an error page arrives.
    #[setting(default = "2s")]
    pub linger_timeout: Duration,
    /// Maximum of complete requests that wait for a worker; more are 503.
    #[setting(default = 1000)]
    pub queue: usize,
    /// Longest wait for a worker; then 503.
    #[setting(default = "10s")]
    pub queue_timeout: Duration,
    /// A request that runs for longer is named in the log, once; while every worker is in such a request, the server
    /// says that it is not alive any more.
    #[setting(default = "60s")]
    pub stuck_after: Duration,
    /// From the signal to the end, even if requests still run.
    #[setting(default = "30s")]
    pub drain_timeout: Duration,
    /// How long a stopping server still answers idle connections.
    #[setting(default = "250ms")]
    pub drain_idle: Duration,
    /// After so many requests the connection is closed.
    #[setting(none = "unlimited", min = 1)]
    pub requests_per_connection: Option<u64>,
    /// The limits of HTTP/2.
    #[setting(flatten, default = Http2Settings::default())]
    pub http2: Http2Settings,
    /// The user that the process becomes, by name or number, once its addresses are bound and its certificates are
    /// read: for programs that root starts (CherryPy's `DropPrivileges`).
    #[setting(none = "unchanged")]
    pub user: Option<String>,
    /// Its group, by name or number, instead of the one that `user` has.
    #[setting(none = "of the user")]
    pub group: Option<String>,
    /// The folder that becomes `/` for the process, before it becomes `user`. A service manager does that better.
    #[setting(none = "off", with = absolute_path)]
    pub chroot: Option<PathBuf>,
    /// How long a newer program may take until it is ready, after SIGUSR2; then it is ended, and this process goes on.
    #[setting(default = "60s")]
    pub upgrade_timeout: Duration,
    /// How long this process may end what it has begun after a newer program has taken over.
    #[setting(default = "5m")]
    pub upgrade_drain: Duration,
    /// Whether a newer program may take over although visitors lose what is in the memory of this one, such as their
    /// sessions; without, that is refused.
    #[setting(default = true)]
    pub upgrade_loses_memory: bool,
    /// The file that holds the number of the process while it serves (CherryPy's `PIDFile`).
    #[setting(none = "off", with = absolute_path)]
    pub pid_file: Option<PathBuf>,
    /// Certificates, and what is asked of clients: needs the cargo feature `tls`.
    #[cfg(feature = "tls")]
    #[setting(flatten)]
    pub tls: Tls,
}

/// Limits of HTTP/2, which is there with the feature `http2`.
#[derive(Clone, Debug, Settings)]
#[settings(no_builders)]
pub struct Http2Settings {
    /// Requests that one connection may have at a time (HTTP/2); further ones wait at the client.
    #[setting(key = "http2.streams", default = 100, min = 1)]
    pub streams: u32,
    /// How many of them may wait for a worker or run at a time; `"auto"` is as many as there are workers.
    ///
    /// The others wait their turn, so that one client with a hundred requests does not keep others out.
    #[setting(key = "http2.running", none = "auto", min = 1)]
    pub running: Option<usize>,
    /// Requests that all connections of HTTP/2 together may have at a time, parked ones among them; more are 503.
    /// `"auto"` is 1,000, 16 for each worker, and `pushes`.
    #[setting(key = "http2.requests", none = "auto", min = 1)]
    pub requests: Option<usize>,
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self::defaults()
    }
}

/// An absolute path, in a file.
mod absolute_path {
    use crate::settings::{Setting, SettingValue, wrong};
    use std::path::{Path, PathBuf};

    pub(super) fn read(value: &SettingValue) -> Result<PathBuf, String> {
        let path = value.as_str().map(PathBuf::from).filter(|path| path.is_absolute());
        path.ok_or_else(|| wrong(value, "an absolute path, as \"/var/tmp\""))
    }

    pub(super) fn show(path: &Path) -> String {
        path.to_owned().show()
    }
}

/// By hand, since `http` knows nothing of settings.
impl Settings for HeadLimits {
    fn set_setting(&mut self, key: &str, value: &SettingValue) -> Option<Result<(), String>> {
        Some(match key {
            "limits.request_line" => size::read(value).map(|bytes| self.request_line = bytes),
            "limits.head" => size::read(value).map(|bytes| self.head = bytes),
            "limits.fields" => self.fields.set(value),
            _ => return None,
        })
    }

    fn setting_rows(&self) -> Vec<SettingRow> {
        let line = SettingRow::new(
            "limits.request_line",
            "Longest request line; longer is 414.",
            size::show(&self.request_line),
        );
        let head = SettingRow::new("limits.head", "Longest request head; longer is 431.", size::show(&self.head));
        let fields = SettingRow::new("limits.fields", "Maximum of header fields; more are 431.", self.fields.show());
        vec![line, head, fields]
    }
}

/// No more connections than this by default: a number that a default kernel serves without tuning.
const MAX_CONNECTIONS: usize = 16_384;
/// A few large bodies must be possible, however few descriptors there are.
const MIN_SPOOLED: u64 = 4;
/// No less memory for bodies than this: the threads read in pieces.
const MIN_MEMORY_FOR_BODIES: u64 = 1 << 20;

impl ServerSettings {
    /// Whether there is a certificate, so that the server can speak TLS.
    #[must_use]
    pub fn has_certificates(&self) -> bool {
        #[cfg(feature = "tls")]
        let has = self.tls.is_on();
        #[cfg(not(feature = "tls"))]
        let has = false;
        has
    }

    /// Refuses settings that cannot work.
    pub(crate) fn check(&self) -> io::Result<()> {
        let wrong = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        for address in &self.listen {
            self.check_address(address).or_else(|problem| wrong(&format!("server.listen has {address}: {problem}")))?;
        }
        if self.has_certificates() && self.listen.iter().all(|address| address.role() != Some(ListenerRole::Tls)) {
            return wrong(
                "server.certificate: no address is encrypted, so no client would see it; add the word `tls` to one in \
                 server.listen, as \"0.0.0.0:8443 tls\"",
            );
        }
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
        if self.stuck_after.is_zero() {
            return wrong("server.stuck_after is 0: every request would count as stuck; set it to a second or more");
        }
        if self.memory_for_bodies < MIN_MEMORY_FOR_BODIES {
            return wrong("server.memory_for_bodies: with less than 1 MiB no body of an ordinary form would be taken");
        }
        if self.head.head < 256 {
            return wrong("server.limits: a head of less than 256 bytes holds no real request");
        }
        if self.spool_directory.is_some() { self.check_spool_directory() } else { Ok(()) }
    }

    /// Whether this user can keep bodies.
    pub(crate) fn check_spool_directory(&self) -> io::Result<()> {
        self.spool_file().map(drop).map_err(|error| {
            let place = self.spool_directory.clone().unwrap_or_else(std::env::temp_dir);
            let text = format!("server.spool_directory: no file can be made in {}: {error}", place.display());
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }

    /// Refuses an address that cannot work.
    fn check_address(&self, address: &ListenAddress) -> Result<(), &'static str> {
        if address.h2c() && !cfg!(feature = "http2") {
            return Err("`h2c` is HTTP/2, which needs the cargo feature `http2` of kirsch");
        }
        if address.proxy_protocol() && self.proxy_protocol_from.is_empty() {
            return Err("`proxy_protocol` needs the networks of the proxies in server.proxy_protocol_from");
        }
        match address.role() {
            Some(ListenerRole::Tls) if !cfg!(feature = "tls") => {
                return Err("`tls` needs the cargo feature `tls` of kirsch");
            }
            Some(ListenerRole::Tls) if !self.has_certificates() => {
                return Err("`tls` needs a certificate: set server.certificate, or call `App::tls`");
            }
            Some(ListenerRole::Tls) => {}
            Some(ListenerRole::Redirect | ListenerRole::Plain) | None => {}
        }
        Ok(())
    }

    /// The peers that may name a client by the PROXY protocol.
    pub(super) fn proxies(&self) -> io::Result<Networks> {
        if self.proxy_protocol_from.is_empty() {
            return Ok(Networks::default());
        }
        Networks::parse(&self.proxy_protocol_from).map_err(|problem| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("server.proxy_protocol_from {problem}"))
        })
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

    /// How many bodies may be in temporary files at once: a part of the descriptors that connections leave. The rest is
    /// for other files.
    pub(crate) fn most_spooled(&self) -> u64 {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // A multipart form reads its file by a second descriptor.
        (descriptors.saturating_sub(self.most_connections() as u64) / 4).max(MIN_SPOOLED)
    }

    /// How many streams of one connection may run at a time.
    #[cfg(feature = "http2")]
    pub(super) fn most_running(&self) -> usize {
        self.http2.running.unwrap_or(self.threads)
    }

    /// How many streams there may be.
    pub(super) fn most_streams(&self) -> usize {
        match cfg!(feature = "http2") {
            true => self.http2.requests.unwrap_or_else(|| {
                // Streams that wait for news leave these to pages.
                1000 + 16 * self.threads + usize::try_from(self.most_pushes()).unwrap_or(usize::MAX / 2)
            }),
            false => 0,
        }
    }

    /// How many pushes there may be: as set, or three quarters of the connections.
    pub(crate) fn most_pushes(&self) -> u64 {
        self.pushes.unwrap_or_else(|| (self.most_connections() / 4 * 3).max(1)) as u64
    }

    /// The limit of open connections: as set, or what the descriptor limit of the process leaves after a reserve for
    /// files.
    pub(crate) fn most_connections(&self) -> usize {
        self.connections.unwrap_or_else(|| {
            let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            // An idle program has about twenty open; large bodies and static files need theirs.
            let reserve = (descriptors / 8).clamp(32, 512);
            usize::try_from(descriptors.saturating_sub(reserve)).unwrap_or(usize::MAX).clamp(1, MAX_CONNECTIONS)
        })
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self::defaults()
    }
}
