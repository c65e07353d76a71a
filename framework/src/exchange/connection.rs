//! The connection that a request came by, as the server sees it: its two ends, the listener, the encryption.
//!
//! Only facts are here. What a trusted proxy says about the client is in `origin.rs`.

use super::TlsFacts;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The connection that a request came by. Behind a proxy its peer is the proxy, and the encryption that of the way from
/// there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The other end: the client, or a proxy. Where the listener speaks the PROXY protocol, it is the client that the
    /// proxy has named.
    pub peer: Peer,
    /// The other end of the socket, where a header of the PROXY protocol has named another `peer`.
    pub proxy: Option<Arc<Peer>>,
    /// The server's address; `None` for a Unix socket.
    pub local: Option<SocketAddr>,
    /// The listener that has accepted it.
    pub listener: &'static ListenerFacts,
    /// The facts of its encryption; `None` for a plain one.
    pub tls: Option<Arc<TlsFacts>>,
}

impl Connection {
    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }
}

/// A connection from nowhere.
impl Default for Connection {
    fn default() -> Self {
        let peer = Peer::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
        Self { peer, proxy: None, local: None, listener: &NOWHERE, tls: None }
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address. An IPv4 address is one, also where an IPv6 socket has taken it for `::ffff:192.0.2.1`.
    Ip(SocketAddr),
    /// A process of this machine, by a Unix socket: it has no address.
    Unix(UnixPeer),
}

impl Peer {
    /// Its address, if it has one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match *self {
            Self::Ip(address) => Some(address),
            Self::Unix(_) => None,
        }
    }

    /// Its IP address; the unspecified one (`0.0.0.0`) for a peer that has none.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
    }
}

/// `127.0.0.1:50000`, or `unix` for a peer without an address.
impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(_) => f.write_str("unix"),
        }
    }
}

/// The process at the other end of a Unix socket, as it was when it connected (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixPeer {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its number; `None` where it is not visible, such as that of a process in another container.
    pub pid: Option<u32>,
}

/// A listener, as its connections know it.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerFacts {
    /// The address with the port that was picked, or the name in the unit: `0.0.0.0:443`, `unix:/run/app.sock`,
    /// `fd:http`.
    pub name: String,
    /// What its connections are for.
    pub role: ListenerRole,
    /// Whether a client may speak HTTP/2 without TLS, if it knows beforehand (`h2c`).
    pub h2c: bool,
}

/// The listener of connections that came by none, as in tests.
static NOWHERE: ListenerFacts = ListenerFacts { name: String::new(), role: ListenerRole::Plain, h2c: false };

impl ListenerFacts {
    /// Facts that live as long as the process, so that each request can point to them for nothing. Equal ones are kept
    /// once: what is kept grows with different listeners, not with servers.
    pub(crate) fn kept(name: &str, role: ListenerRole, h2c: bool) -> &'static Self {
        static KEPT: parking_lot::Mutex<Vec<&'static ListenerFacts>> = parking_lot::Mutex::new(Vec::new());
        let mut kept = KEPT.lock();
        let known = kept.iter().find(|facts| facts.name == name && facts.role == role && facts.h2c == h2c);
        known.copied().unwrap_or_else(|| {
            let facts: &'static Self = Box::leak(Box::new(Self { name: name.to_owned(), role, h2c }));
            kept.push(facts);
            facts
        })
    }
}

/// What the connections of a listener are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenerRole {
    /// Requests as they are.
    #[default]
    Plain,
    /// Requests over TLS.
    Tls,
    /// Plain requests, each of which is sent to the same address with `https://`.
    Redirect,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_equal_listeners_are_kept_once() {
        let facts = |role| ListenerFacts::kept("127.0.0.1:1", role, false);
        assert!(std::ptr::eq(facts(ListenerRole::Tls), facts(ListenerRole::Tls)));
        assert_eq!(facts(ListenerRole::Redirect).role, ListenerRole::Redirect);
    }

    #[test]
    fn a_peer_without_an_address_has_the_unspecified_one() {
        let peer = Peer::Unix(UnixPeer { uid: 0, gid: 0, pid: None });
        assert!(peer.ip().is_unspecified());
        assert_eq!(peer.to_string(), "unix");
    }
}
