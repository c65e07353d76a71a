//! Accepting connections, by one thread that does nothing else.
//!
//! The thread blocks in `accept4`, gives each connection a slot and registers it with the poller, which reports a
//! request that is already there at once. At the connection limit the connection that has been idle longest makes room;
//! if none is idle, the new one waits. It is the same when descriptors run out. A descriptor in reserve lets the
//! acceptor wait for a client, instead of failing again and again. It is won back from an idle connection before the
//! next one.

use super::connection::HttpConnection;
use super::scheduler::Phase;
use super::transport::Transport;
use super::workspace::Shared;
use crate::exchange::Connection;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, sockopt};
use std::fs::File;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a connection is silent before the system asks whether the client is still there.
const SILENCE: Duration = Duration::from_secs(60);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// Probes without an answer that end the connection.
const PROBES: u32 = 3;

pub(super) struct Listener {
    socket: OwnedFd,
    address: SocketAddr,
}

impl Listener {
    /// Binds and listens. Accepted sockets inherit the options that are set here.
    pub(super) fn bind(address: SocketAddr, backlog: u32) -> rustix::io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        // One response leaves in one write: nothing is gained by waiting for more.
        sockopt::set_tcp_nodelay(&socket, true)?;
        // A client that vanished without a word is noticed also while nothing is sent: a handler may be asking for it.
        sockopt::set_socket_keepalive(&socket, true)?;
        sockopt::set_tcp_keepidle(&socket, SILENCE)?;
        sockopt::set_tcp_keepintvl(&socket, PROBE_INTERVAL)?;
        sockopt::set_tcp_keepcnt(&socket, PROBES)?;
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let address = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
        Ok(Self { socket, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the connections that have already come, and no more after them. A blocked `accept` ends.
    pub(super) fn close(&self, shared: &Shared) {
        if rustix::io::ioctl_fionbio(&self.socket, true).is_ok() {
            for _ in 0..shared.settings.backlog {
                match self.accept() {
                    Ok((socket, peer)) => self.open(shared, socket, peer),
                    Err(Errno::INTR | Errno::CONNABORTED) => {}
                    Err(_) => break,
                }
            }
        }
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    /// The life of the acceptor.
    pub(super) fn run(&self, shared: &Shared, accepted: &dyn Fn()) {
        let scheduler = &shared.scheduler;
        let mut reserve = open_reserve();
        let mut last_complaint: Option<Instant> = None;
        while scheduler.phase() == Phase::Running {
            let error = match self.accept() {
                Ok((socket, peer)) => {
                    self.make_room(shared);
                    self.open(shared, socket, peer);
                    accepted();
                    continue;
                }
                Err(Errno::INTR | Errno::CONNABORTED | Errno::AGAIN) => continue,
                Err(_) if scheduler.phase() > Phase::Running => break,
                Err(error) => error,
            };
            if last_complaint.is_none_or(|moment| moment.elapsed() > Duration::from_secs(1)) {
                last_complaint = Some(Instant::now());
                crate::line::record!(
                    Error,
                    "cannot accept connections: {error}; see the limit of open files (ulimit -n)"
                );
            }
            // Without a free descriptor the kernel does not even wait for a client. The reserve lets it.
            if matches!(error, Errno::MFILE | Errno::NFILE) && reserve.take().is_some() {
                if let Ok((socket, peer)) = self.accept() {
                    reserve = regain_reserve(shared);
                    self.open(shared, socket, peer);
                    accepted();
                }
            } else {
                scheduler.slab.wait_for_change(PAUSE, || scheduler.phase() > Phase::Running);
            }
            reserve = reserve.or_else(open_reserve);
        }
    }

    pub(super) fn accept(&self) -> rustix::io::Result<(OwnedFd, Option<SocketAddrAny>)> {
        rustix::net::acceptfrom_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
    }

    /// Waits until there is a slot, and closes idle connections to that end.
    fn make_room(&self, shared: &Shared) {
        let scheduler = &shared.scheduler;
        let is_full = || scheduler.slab.open() >= scheduler.slab.capacity();
        while is_full() && scheduler.phase() <= Phase::Draining {
            if !close_oldest_idle(shared) {
                scheduler.slab.wait_for_change(PAUSE, || !is_full());
            }
        }
    }

    fn open(&self, shared: &Shared, socket: OwnedFd, peer: Option<SocketAddrAny>) {
        let Some(peer) = peer.and_then(|peer| SocketAddr::try_from(peer).ok()) else { return };
        let local = if self.address.ip().is_unspecified() {
            rustix::net::getsockname(&socket).ok().and_then(|local| SocketAddr::try_from(local).ok())
        } else {
            Some(self.address)
        };
        let connection = Connection { peer, local: local.unwrap_or(self.address), tls: None };
        let scheduler = &shared.scheduler;
        let deadline = scheduler.clock.now().after(shared.settings.idle_timeout);
        if let Err(error) = scheduler.insert(HttpConnection::new(Transport::Socket(socket), connection), deadline) {
            crate::line::record!(Warn, "a connection was closed at once: {error}");
        }
    }
}

/// A descriptor in reserve, for when there is no other.
fn open_reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// How long the acceptor waits before it looks again whether there is room.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection that has been silent for less than this may have a request on its way.
const NEWS_ON_ITS_WAY: Duration = Duration::from_millis(50);

/// Waits until there is a descriptor for the reserve, and closes idle connections to that end; `None` when the server
/// stops.
fn regain_reserve(shared: &Shared) -> Option<File> {
    let scheduler = &shared.scheduler;
    loop {
        let reserve = open_reserve();
        if reserve.is_some() || scheduler.phase() > Phase::Running {
            return reserve;
        }
        if !close_oldest_idle(shared) {
            scheduler.slab.wait_for_change(PAUSE, || scheduler.phase() > Phase::Running);
        }
    }
}

/// Closes the connection that has waited longest for its next request; false when none waits, or not long enough to be
/// sure.
fn close_oldest_idle(shared: &Shared) -> bool {
    let scheduler = &shared.scheduler;
    let slab = &scheduler.slab;
    let patience = shared.settings.idle_timeout.saturating_sub(NEWS_ON_ITS_WAY);
    loop {
        let limit = scheduler.clock.now().after(patience);
        let mut oldest = None;
        for index in slab.indexes().filter(|&index| slab.is_idle(index)) {
            if let Some(deadline) = slab.deadline(index).filter(|deadline| deadline.has_passed(limit)) {
                // All idle connections wait equally long: the earliest deadline is the oldest.
                oldest = match oldest {
                    Some((_, earliest)) if deadline.earlier(earliest) == earliest => oldest,
                    _ => Some((index, deadline)),
                };
            }
        }
        let Some((index, deadline)) = oldest else { return false };
        let Some(mut owned) = slab.claim_if_free(index) else { return false };
        // Between the look and the claim it may have begun a request, or the slot may have a new tenant.
        let is_the_same = owned.deadline() == Some(deadline) && owned.connection().is_silent();
        // With something received, closing would reset the connection under a request.
        if is_the_same && !owned.connection().has_input() {
            return true;
        }
        // Its request is there, perhaps the event just has not been taken yet. Put down, it does not count as idle any
        // more.
        scheduler.put_down(owned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Nothing else tells a handler that waits of a network that was unplugged.
    #[test]
    fn accepted_connections_are_probed_when_they_are_silent() {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 1).expect("a free port");
        let _client = std::net::TcpStream::connect(listener.address()).expect("it listens");
        let (socket, _) = listener.accept().expect("a connection");
        assert_eq!(sockopt::socket_keepalive(&socket), Ok(true));
        let probing = (sockopt::tcp_keepidle(&socket), sockopt::tcp_keepintvl(&socket), sockopt::tcp_keepcnt(&socket));
        assert_eq!(probing, (Ok(SILENCE), Ok(PROBE_INTERVAL), Ok(PROBES)));
    }
}
