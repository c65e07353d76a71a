//! The origin: scheme, host and port as the client sees them, and the word of a trusted proxy about them.
//!
//! The server knows the connection; behind a proxy that is the proxy's. The facts that the proxy vouches for are kept
//! here as one value, [`Forwarded`], which a tool (`proxy`) puts into the request before routing. Links, redirects,
//! cookies, keys and comparisons ask the request for its [`Origin`] and its remote address, never the connection: a
//! test of the workspace holds that.
//!
//! One host has one spelling here: in lower case, without a dot at its end, an address without a Host field by the
//! server's own. So two texts that mean one host are never two entries of a cache or two sites to a form.

use super::Request;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Scheme, host and port of an address, as the client sees them: `https://shop.example:8443` (RFC 6454).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'r> {
    is_secure: bool,
    authority: &'r str,
}

impl<'r> Origin<'r> {
    /// An origin of `http://` or, if it `is_secure`, `https://`, and an authority: a host, perhaps with a port.
    #[must_use]
    pub fn new(is_secure: bool, authority: &'r str) -> Self {
        let default_port = if is_secure { ":443" } else { ":80" };
        Self { is_secure, authority: authority.strip_suffix(default_port).unwrap_or(authority).trim_end_matches(':') }
    }

    /// Whether it is `https://`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    /// The host with its port, unless the port is the scheme's default.
    #[must_use]
    pub fn authority(&self) -> &'r str {
        self.authority
    }

    /// The host without the port; an IPv6 address in its brackets.
    #[must_use]
    pub fn host(&self) -> &'r str {
        self.split().0
    }

    /// The port, the scheme's default if none is named.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.split().1.unwrap_or(if self.is_secure { 443 } else { 80 })
    }

    fn split(&self) -> (&'r str, Option<u16>) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
            _ => (self.authority, None),
        }
    }
}

impl std::fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)
    }
}

/// The word of a trusted proxy about a request; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Whether the client came over TLS.
    pub is_secure: Option<bool>,
    /// The host, and perhaps the port, that the client asked for; a valid authority.
    pub authority: Option<String>,
    /// The client's address.
    pub remote: Option<IpAddr>,
    /// The path below which the proxy has put this server, such as `/shop`; without a slash at its end.
    pub prefix: Option<String>,
}

impl Request {
    /// Scheme, host and port as the client sees them, right behind a trusted proxy. The host is in lower case and
    /// without a dot at its end. A request without a host, as HTTP/1.0 allows, has that of the server's own address.
    #[must_use]
    pub fn origin(&self) -> Origin<'_> {
        let authority = self.forwarded().and_then(|forwarded| forwarded.authority.as_deref());
        Origin::new(self.is_secure(), authority.unwrap_or_else(|| self.own_authority()))
    }

    /// Host and port as the client sees them, right behind a trusted proxy: [`Origin::authority`] of
    /// [`origin`](Self::origin), so without the port if it is the scheme's default. [`raw_host`](Self::raw_host) is the
    /// text in the request itself.
    #[must_use]
    pub fn host(&self) -> &str {
        self.origin().authority()
    }

    /// Whether the client came by TLS, right behind a trusted proxy.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.forwarded().and_then(|forwarded| forwarded.is_secure).unwrap_or_else(|| self.connection().is_secure())
    }

    /// The host that stands in the request, in its one spelling.
    fn own_authority(&self) -> &str {
        let raw = self.raw_host();
        if is_plain(raw) {
            return raw;
        }
        self.authority.get_or_init(|| match raw {
            "" => local_authority(self.connection().local),
            raw => canonical(raw),
        })
    }

    /// The path below which a trusted proxy has put this server: `/front`; empty for none.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.forwarded().and_then(|forwarded| forwarded.prefix.as_deref()).unwrap_or_default()
    }

    /// The client's address, right behind a trusted proxy. A client without an address, which came by a Unix socket,
    /// has the unspecified one (`0.0.0.0`); [`Connection::peer`](super::Connection) says more about it.
    #[must_use]
    pub fn remote(&self) -> IpAddr {
        let forwarded = self.forwarded().and_then(|forwarded| forwarded.remote);
        forwarded.unwrap_or_else(|| self.connection().peer.ip())
    }
}

/// A client's address for logs: `unix` for a client that has none.
pub(crate) struct RemoteText(pub(crate) IpAddr);

impl std::fmt::Display for RemoteText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_unspecified() { f.write_str("unix") } else { self.0.fmt(f) }
    }
}

/// The origin of a URL of `http` or `https` in its one spelling, as in [`Request::origin`], and the rest of the URL.
/// `None` for an address without an origin, and for one with a name and password, which no browser sends.
///
/// ```
/// use kirsch::exchange::origin_of;
///
/// assert_eq!(origin_of("HTTPS://Shop.Example:443/a?b"), Some(("https://shop.example".to_owned(), "/a?b")));
/// assert_eq!(origin_of("/a"), None);
/// ```
#[must_use]
pub fn origin_of(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_secure = match scheme {
        scheme if scheme.eq_ignore_ascii_case("https") => true,
        scheme if scheme.eq_ignore_ascii_case("http") => false,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    Some((Origin::new(is_secure, &canonical(authority)).to_string(), behind))
}

/// Whether a URL is of the request's own origin. An https URL also counts if the server knows only http: then a proxy
/// in front has not told it, and only the site itself has pages at that host.
pub(crate) fn is_own_origin(request: &Request, url: &str) -> bool {
    let Some((origin, _)) = origin_of(url) else { return false };
    let own = request.origin();
    origin == own.to_string() || origin == Origin::new(true, own.authority()).to_string()
}

/// Whether an authority is in its one spelling already, as nearly all are. An address in brackets may be, too.
fn is_plain(authority: &str) -> bool {
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "1"));
    !host.is_empty()
        && !host.ends_with(['.', ']'])
        && !port.is_empty()
        && !port.starts_with('0')
        && !authority.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'[')
}

/// The one spelling of an authority.
pub(super) fn canonical(authority: &str) -> Box<str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.trim_start_matches('0')),
        _ => (authority, ""),
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')?.parse::<Ipv6Addr>().ok());
    let host = match address {
        Some(address) => format!("[{address}]"),
        None => host.strip_suffix('.').filter(|host| !host.is_empty()).unwrap_or(host).to_ascii_lowercase(),
    };
    if port.is_empty() { host.into() } else { format!("{host}:{port}").into() }
}

/// How the server can be reached at the address that a connection came to.
fn local_authority(local: Option<SocketAddr>) -> Box<str> {
    match local {
        // A Unix socket, or no socket at all.
        None => "localhost".into(),
        Some(local) => local.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Connection;
    use crate::http::HeadLimits;

    fn request(head: &str, local: &str) -> Request {
        let mut request = Request::default();
        let connection = Connection { local: local.parse().ok(), ..Connection::default() };
        request.read_head(head.as_bytes(), &mut 0, &HeadLimits::default(), connection).unwrap();
        request
    }

    #[test]
    fn a_host_has_one_spelling() {
        let table = [
            ("Shop.Example", "shop.example"),
            ("shop.example.", "shop.example"),
            ("shop.example:80", "shop.example"),
            ("SHOP.example.:080", "shop.example"),
            ("shop.example:", "shop.example"),
            ("shop.example.:8080", "shop.example:8080"),
            ("shop.example:08080", "shop.example:8080"),
            ("[0:0::1]:8080", "[::1]:8080"),
            ("[::1]", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
        ];
        for (sent, host) in table {
            let mut request = request(&format!("GET / HTTP/1.1\r\nHost: {sent}\r\n\r\n"), "127.0.0.1:1");
            assert_eq!((request.host(), request.raw_host()), (host, sent));
            request.set_forwarded(Forwarded { authority: Some(sent.to_owned()), ..Forwarded::default() });
            assert_eq!(request.host(), host, "{sent}");
        }
    }

    #[test]
    fn a_request_without_a_host_has_the_servers_own() {
        let table = [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("[::1]:8080", "[::1]:8080"),
            ("a Unix socket", "localhost"),
        ];
        for (local, host) in table {
            let request = request("GET / HTTP/1.0\r\n\r\n", local);
            assert_eq!((request.host(), request.raw_host()), (host, ""));
            assert_eq!(request.url("/x").to_string(), format!("http://{host}/x"));
        }
    }

    #[test]
    fn the_host_of_a_request_does_not_stay_for_the_next() {
        let mut request = request("GET / HTTP/1.0\r\n\r\n", "127.0.0.1:8080");
        assert_eq!(request.host(), "127.0.0.1:8080");
        request.clear();
        let head = b"GET / HTTP/1.1\r\nHost: A\r\n\r\n";
        request.read_head(head, &mut 0, &HeadLimits::default(), Connection::default()).unwrap();
        assert_eq!(request.host(), "a");
    }

    #[test]
    fn a_default_port_is_left_out_and_there_is_only_one() {
        let table = [
            (false, "a.example", "http://a.example", "a.example", 80),
            (false, "a.example:80", "http://a.example", "a.example", 80),
            (false, "a.example:443", "http://a.example:443", "a.example", 443),
            (true, "a.example:443", "https://a.example", "a.example", 443),
            (true, "a.example:8443", "https://a.example:8443", "a.example", 8443),
            (true, "[::1]", "https://[::1]", "[::1]", 443),
            (false, "[::1]:8080", "http://[::1]:8080", "[::1]", 8080),
        ];
        for (is_secure, authority, shown, host, port) in table {
            let origin = Origin::new(is_secure, authority);
            assert_eq!((origin.to_string().as_str(), origin.host(), origin.port()), (shown, host, port));
        }
    }
}
