//! One bound listener: its socket, its name, and what its connections are.
//!
//! A listener is closed, never shut down. Its socket may be shared with another process: systemd, or the next version
//! of this program. A `shutdown` acts on the socket itself, so that process would be deaf; a close takes away our
//! descriptor alone. For the same reason the socket does not block from the beginning, and nothing relies on it: the
//! other process may have taken the connection that woke us.

use super::listen_address::{ListenAddress, ListenPlace};
use crate::exchange::{Connection, ListenerFacts, Peer};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a connection is silent before the system asks whether the client is still there.
const SILENCE: Duration = Duration::from_secs(60);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// Probes without an answer that end the connection.
const PROBES: u32 = 3;

/// A socket that clients connect to.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    /// As it was given, with the place where it really is.
    address: ListenAddress,
    facts: &'static ListenerFacts,
}

/// A listening socket and its name, for the process that takes it over.
#[derive(Debug)]
pub(crate) struct NamedSocket {
    /// The address as it was given, without its words: `127.0.0.1:0`.
    pub(crate) name: String,
    pub(crate) socket: OwnedFd,
}

/// The rules for all listeners of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    pub(super) backlog: u32,
    /// Whether an IPv6 socket leaves IPv4 alone, since another listener has the same port there.
    pub(super) v6_only: bool,
}

impl Listener {
    /// Binds and listens; or takes the socket of this name over that another process has bound.
    pub(super) fn bind(address: &ListenAddress, inherited: Option<OwnedFd>, how: Binding) -> io::Result<Self> {
        let facts = ListenerFacts::kept(&address.name(), address.role().unwrap_or_default());
        let socket = match (inherited, address.place()) {
            (Some(socket), _) => {
                rustix::io::ioctl_fionbio(&socket, true)?;
                socket
            }
            (None, ListenPlace::Tcp(place)) => tcp(*place, how)?,
            (None, _) => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "only TCP addresses can be bound yet"));
            }
        };
        let place = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
        Ok(Self { socket, address: address.at(ListenPlace::Tcp(place)), facts })
    }

    /// Where it listens, with the port that was picked.
    pub(super) fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The IP address, if it has one.
    pub(super) fn ip_address(&self) -> Option<SocketAddr> {
        match self.address.place() {
            ListenPlace::Tcp(address) => Some(*address),
            _ => None,
        }
    }

    /// A second descriptor of the same socket, with its name.
    pub(super) fn named_socket(&self) -> io::Result<NamedSocket> {
        Ok(NamedSocket { name: self.facts.name.clone(), socket: rustix::io::fcntl_dupfd_cloexec(&self.socket, 0)? })
    }

    /// A connection that has come, and what is known of it. It does not wait for one, unless another process has told
    /// the socket to.
    pub(super) fn accept(&self) -> rustix::io::Result<(OwnedFd, Connection)> {
        let (socket, peer) = rustix::net::acceptfrom_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        // A connection that was reset while it was in the queue has no peer.
        let peer = peer.and_then(|peer| ip_address(peer)).ok_or(Errno::CONNABORTED)?;
        let local = match self.ip_address() {
            // Which of the machine's addresses it was, only the connection can tell.
            Some(address) if address.ip().is_unspecified() => {
                rustix::net::getsockname(&socket).ok().and_then(ip_address).or(Some(address))
            }
            address => address,
        };
        let connection = Connection { peer: Peer::Ip(peer), local, listener: self.facts, ..Connection::default() };
        Ok((socket, connection))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// An IPv4 address is one, also where an IPv6 socket has taken it: or no list of trusted addresses would have it.
fn ip_address(address: SocketAddrAny) -> Option<SocketAddr> {
    let mut address = SocketAddr::try_from(address).ok()?;
    if let IpAddr::V6(long) = address.ip()
        && let short @ IpAddr::V4(_) = long.to_canonical()
    {
        address = SocketAddr::new(short, address.port());
    }
    Some(address)
}

/// Binds and listens. Accepted sockets inherit the options that are set here.
fn tcp(address: SocketAddr, how: Binding) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // The usual value depends on the machine.
        sockopt::set_ipv6_v6only(&socket, how.v6_only)?;
    }
    // One response leaves in one write: nothing is gained by waiting for more.
    sockopt::set_tcp_nodelay(&socket, true)?;
    // A client that vanished without a word is noticed also while nothing is sent: a handler may be asking for it.
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, SILENCE)?;
    sockopt::set_tcp_keepintvl(&socket, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(&socket, PROBES)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, i32::try_from(how.backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    fn bound(address: &str) -> Listener {
        let address = address.parse().expect("an address");
        Listener::bind(&address, None, Binding { backlog: 8, v6_only: false }).expect("a free port")
    }

    fn accepted(listener: &Listener) -> (OwnedFd, Connection) {
        poll(&mut [PollFd::new(listener, PollFlags::IN)], None).expect("a client comes");
        listener.accept().expect("a connection")
    }

    fn client_of(listener: &Listener) -> std::net::TcpStream {
        std::net::TcpStream::connect(listener.ip_address().expect("TCP")).expect("it listens")
    }

    // Nothing else tells a handler that waits of a network that was unplugged.
    #[test]
    fn accepted_connections_are_probed_when_they_are_silent() {
        let listener = bound("127.0.0.1:0");
        let _client = client_of(&listener);
        let (socket, _) = accepted(&listener);
        assert_eq!(sockopt::socket_keepalive(&socket), Ok(true));
        let probing = (sockopt::tcp_keepidle(&socket), sockopt::tcp_keepintvl(&socket), sockopt::tcp_keepcnt(&socket));
        assert_eq!(probing, (Ok(SILENCE), Ok(PROBE_INTERVAL), Ok(PROBES)));
        assert_eq!(sockopt::tcp_nodelay(&socket), Ok(true));
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_has_its_ipv4_address() {
        let listener = bound("[::]:0");
        let port = listener.ip_address().expect("TCP").port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens there, too");
        let (_, connection) = accepted(&listener);
        assert_eq!(connection.peer.address(), client.local_addr().ok());
        assert_eq!(connection.local, client.peer_addr().ok());
    }
}
