//! One bound listener: its socket, its name, and what its connections are.
//!
//! A listener is closed, never shut down. Its socket may be shared with another process: systemd, or the next version
//! of this program. A `shutdown` acts on the socket itself, so that process would be deaf; a close takes away our
//! descriptor alone. For the same reason the socket does not block from the beginning, and nothing relies on it: the
//! other process may have taken the connection that woke us.

use super::listen_address::{ListenAddress, ListenPlace, UnixPlace};
use super::socket_file::SocketFile;
use crate::exchange::{Connection, ListenerFacts, Peer, UnixPeer};
use crate::networks::Networks;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// How long a connection is silent before the system asks whether the client is still there.
const SILENCE: Duration = Duration::from_secs(60);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// How long bytes may be under way without an answer, at least.
const UNANSWERED: Duration = Duration::from_secs(30);
/// Probes without an answer that end the connection.
const PROBES: u32 = 3;

/// A socket that clients connect to.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    /// As it was given, with the place where it really is.
    address: ListenAddress,
    /// Its name for a process that takes it over: as it was given.
    given: String,
    facts: &'static ListenerFacts,
    /// The file of a Unix socket, if it goes with this listener.
    file: Option<SocketFile>,
    /// Whom to believe, where connections begin with a header of the PROXY protocol.
    proxies: Option<Networks>,
    /// Whether another process has the socket, too, and may have told it to block.
    is_shared: bool,
}

/// A listening socket and its name, for the process that takes it over.
#[derive(Debug)]
pub(crate) struct NamedSocket {
    /// The address as it was given, without its words: `127.0.0.1:0`; `fd:http` for a socket of systemd.
    pub(crate) name: String,
    pub(crate) socket: OwnedFd,
}

impl NamedSocket {
    /// Whether it is bound to this very address.
    pub(super) fn is_at(&self, address: &ListenAddress) -> bool {
        match (place_of(&self.socket), address.place()) {
            (Some(ListenPlace::Unix(bound)), ListenPlace::Unix(wanted)) => bound.path == wanted.path,
            (Some(bound), wanted) => bound == *wanted,
            (None, _) => false,
        }
    }

    /// Whether systemd has made it.
    fn is_of_systemd(&self) -> bool {
        self.name.starts_with("fd:")
    }
}

/// The rules for all listeners of a server.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) backlog: u32,
    /// Whether an IPv6 socket leaves IPv4 alone, since another listener has the same port there.
    pub(super) v6_only: bool,
    /// The peers that may name a client by the PROXY protocol.
    pub(super) proxies: Networks,
    /// How long a client may take nothing of what it was sent.
    pub(super) write_timeout: Duration,
}

impl Binding {
    fn backlog(&self) -> i32 {
        i32::try_from(self.backlog).unwrap_or(i32::MAX)
    }
}

impl Listener {
    /// Binds and listens; or takes the socket of this name over that another process has bound.
    pub(super) fn bind(address: &ListenAddress, inherited: Option<NamedSocket>, how: &Binding) -> io::Result<Self> {
        let is_shared = inherited.is_some();
        let (socket, file) = match (inherited, address.place()) {
            (Some(given), place) => {
                let is_ours = !given.is_of_systemd();
                let file = match place {
                    ListenPlace::Unix(place) if is_ours => SocketFile::adopt(&place.path),
                    _ => None,
                };
                (prepared(given.socket, how)?, file)
            }
            (None, ListenPlace::Tcp(place)) => (tcp(*place, how)?, None),
            (None, ListenPlace::Unix(place)) => {
                let (socket, file) = SocketFile::bind(place, how.backlog())?;
                (socket, Some(file))
            }
            (None, ListenPlace::Inherited(name)) => {
                let problem =
                    format!("no socket of that name was passed on; name it in its unit: FileDescriptorName={name}");
                return Err(io::Error::new(io::ErrorKind::NotFound, problem));
            }
        };
        let place = match (address.place(), place_of(&socket)) {
            // It was bound to another name, and renamed.
            (place @ ListenPlace::Unix(_), _) => place.clone(),
            (_, Some(place)) => place,
            (_, None) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither TCP nor a Unix socket"));
            }
        };
        let proxies = address.proxy_protocol().then(|| how.proxies.clone());
        let (given, role) = (address.name(), address.role().unwrap_or_default());
        // With the port that was picked; but by the name under which systemd knows it.
        let facts = match address.place() {
            ListenPlace::Inherited(_) => ListenerFacts::kept(&given, role, address.h2c()),
            _ => ListenerFacts::kept(&address.at(place.clone()).name(), role, address.h2c()),
        };
        Ok(Self { socket, address: address.at(place), given, facts, file, proxies, is_shared })
    }

    /// The peers that may name a client, where a header of the PROXY protocol is expected.
    pub(super) fn proxies(&self) -> Option<&Networks> {
        self.proxies.as_ref()
    }

    /// Takes the file of a Unix socket over from the process that has made it.
    pub(super) fn keep_file(&self) {
        if let Some(file) = &self.file {
            file.keep();
        }
    }

    /// Leaves the file of a Unix socket to the process that has taken the socket over.
    pub(super) fn leave_file(&self) {
        if let Some(file) = &self.file {
            file.leave();
        }
    }

    /// Another process that has the socket may have told it to block since. Then a connection that a third one takes
    /// would leave us waiting.
    pub(super) fn expect_no_wait(&self) {
        if self.is_shared {
            let _ = rustix::io::ioctl_fionbio(&self.socket, true);
        }
    }

    /// Where it listens, with the port that was picked.
    pub(super) fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The IP address, if it has one.
    #[cfg(test)]
    pub(super) fn ip_address(&self) -> Option<SocketAddr> {
        self.address.ip_address()
    }

    /// A second descriptor of the same socket, with its name.
    pub(super) fn named_socket(&self) -> io::Result<NamedSocket> {
        Ok(NamedSocket { name: self.given.clone(), socket: rustix::io::fcntl_dupfd_cloexec(&self.socket, 0)? })
    }

    /// A connection that has come, and what is known of it. It does not wait for one.
    pub(super) fn accept(&self) -> rustix::io::Result<(OwnedFd, Connection)> {
        let (socket, peer) = rustix::net::acceptfrom_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        let (peer, local) = match self.address.place() {
            ListenPlace::Tcp(address) => {
                // A connection that was reset while it was in the queue has no peer.
                let peer = peer.and_then(ip_address).ok_or(Errno::CONNABORTED)?;
                // Which of the machine's addresses it was, only the connection can tell.
                let is_any = address.ip().is_unspecified();
                let local = if is_any { rustix::net::getsockname(&socket).ok().and_then(ip_address) } else { None };
                (Peer::Ip(peer), Some(local.unwrap_or(*address)))
            }
            _ => (Peer::Unix(unix_peer(&socket)?), None),
        };
        Ok((socket, Connection { peer, local, listener: self.facts, ..Connection::default() }))
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

/// The process at the other end, as it was when it connected.
fn unix_peer(socket: &OwnedFd) -> rustix::io::Result<UnixPeer> {
    let told = nix::sys::socket::getsockopt(socket, nix::sys::socket::sockopt::PeerCredentials);
    let told = told.map_err(|_| Errno::CONNABORTED)?;
    // One of another container has the number 0 here.
    let pid = u32::try_from(told.pid()).ok().filter(|pid| *pid > 0);
    Ok(UnixPeer { uid: told.uid(), gid: told.gid(), pid })
}

/// Where a socket is bound.
fn place_of(socket: &OwnedFd) -> Option<ListenPlace> {
    let bound = rustix::net::getsockname(socket).ok()?;
    if let Ok(address) = SocketAddr::try_from(bound.clone()) {
        return Some(ListenPlace::Tcp(address));
    }
    let bound = SocketAddrUnix::try_from(bound).ok()?;
    Some(ListenPlace::Unix(UnixPlace::at(OsStr::from_bytes(bound.path_bytes().unwrap_or_default()).as_ref())))
}

/// A socket that another process has bound, with our options. For those of TCP it does not matter who has set them.
fn prepared(socket: OwnedFd, how: &Binding) -> io::Result<OwnedFd> {
    rustix::io::ioctl_fionbio(&socket, true)?;
    if matches!(place_of(&socket), Some(ListenPlace::Tcp(_))) {
        for_connections(&socket, how)?;
    }
    Ok(socket)
}

/// Options that accepted sockets inherit.
fn for_connections(socket: &OwnedFd, how: &Binding) -> rustix::io::Result<()> {
    // One response leaves in one write: nothing is gained by waiting for more.
    sockopt::set_tcp_nodelay(socket, true)?;
    // A client that vanished without a word is noticed also while nothing is sent: a handler may be asking for it.
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, SILENCE)?;
    sockopt::set_tcp_keepintvl(socket, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, PROBES)?;
    // While something is under way the system does not ask, and sends it again for a quarter of an hour. A client that
    // is there and does not read is given up just as soon, so it gets the patience that is set.
    let patience = how.write_timeout.max(UNANSWERED);
    let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    sockopt::set_tcp_user_timeout(socket, patience.unsigned_abs())
}

/// Binds and listens.
fn tcp(address: SocketAddr, how: &Binding) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // The usual value depends on the machine.
        sockopt::set_ipv6_v6only(&socket, how.v6_only)?;
    }
    for_connections(&socket, how)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, how.backlog())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    fn bound(address: &str) -> Listener {
        let address = address.parse().expect("an address");
        Listener::bind(
            &address,
            None,
            &Binding {
                backlog: 8,
                v6_only: false,
                proxies: Networks::default(),
                write_timeout: Duration::from_secs(60),
            },
        )
        .expect("a free port")
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
