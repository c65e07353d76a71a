//! The origin: scheme, host and port as the client sees them, and what a trusted proxy says about them.
//!
//! The server knows the connection; behind a proxy that is the proxy's. What the proxy vouches for is kept here as one value,
//! [`Forwarded`], which a tool (`proxy`) puts into the request before routing. Links, redirects, cookies and comparisons ask the
//! request for its [`Origin`] and its remote address, never the connection.

use super::Request;
use std::net::IpAddr;

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

/// What a trusted proxy says about a request; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Whether the client came over TLS.
    pub is_secure: Option<bool>,
    /// The host, and perhaps the port, that the client asked for; a valid authority.
    pub authority: Option<String>,
    /// The client's address.
    pub remote: Option<IpAddr>,
    /// The path below which the proxy has put this server, as `/shop`; without a slash at its end.
    pub prefix: Option<String>,
}

impl Request {
    /// Scheme, host and port as the client sees them, right behind a trusted proxy.
    #[must_use]
    pub fn origin(&self) -> Origin<'_> {
        let forwarded = self.forwarded();
        let is_secure = forwarded.and_then(|forwarded| forwarded.is_secure).unwrap_or_else(|| self.connection().secure);
        let authority = forwarded.and_then(|forwarded| forwarded.authority.as_deref());
        Origin::new(is_secure, authority.unwrap_or_else(|| self.host()))
    }

    /// The path below which a trusted proxy has put this server: `/front`; empty for none.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.forwarded().and_then(|forwarded| forwarded.prefix.as_deref()).unwrap_or_default()
    }

    /// The client's address, right behind a trusted proxy.
    #[must_use]
    pub fn remote(&self) -> IpAddr {
        let forwarded = self.forwarded().and_then(|forwarded| forwarded.remote);
        forwarded.unwrap_or_else(|| self.connection().peer.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i4_a_default_port_is_left_out_and_there_is_only_one() {
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
