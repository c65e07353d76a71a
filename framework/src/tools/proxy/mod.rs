//! The word of trusted proxies about a request: `Proxy`, named after CherryPy's tool.
//!
//! | file | what is in it |
//! |---|---|
//! | this one | [`Proxy`], the tool: which peers to trust, which fields to believe |
//! | `chain` | the two ways of saying it, `X-Forwarded-*` and `Forwarded`, read from the right |
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `before_routing` | 0 | notes the word of a trusted peer, removes that of another one |
//!
//! Anybody can send these fields. Each proxy adds its entry *behind* the others, so the last entry is by the peer
//! itself, the one before it by the proxy that the last entry names, and so on. So the fields are read from the right,
//! and only as far as trusted proxies have written them.

mod chain;

use self::chain::{Said, forwarded_fields, x_forwarded_fields};
use super::fields;
use crate::exchange::Forwarded;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::networks::Networks;
use crate::settings::{SettingError, SettingTable, Settings, list};
use crate::{Exchange, HeaderName, Request};

/// Believes the proxies in front of the server about the client's address, scheme and host. Only at `/`.
///
/// Without it a program behind a proxy sees the proxy: its address in the access log and in rate limits, `http://` in
/// links although the client came by `https://`. With it [`Request::remote`], [`Request::origin`], redirects, cookies'
/// `Secure` and the log are the client's.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Proxy};
///
/// struct Pages;
///
/// #[handlers]
/// impl Pages {
///     #[expose]
///     fn index(&self, request: &Request) -> String {
///         format!("{} at {}", request.remote(), request.origin())
///     }
/// }
///
/// let client = Client::over_socket(App::new(Pages).tool("/", Proxy::trusting(["loopback"])));
/// let asked = client.get("/").header("host", "shop.example");
/// let asked = asked.header("x-forwarded-for", "203.0.113.7").header("x-forwarded-proto", "https");
/// asked.send().assert_text("203.0.113.7 at https://shop.example");
/// ```
///
/// # Whom to trust
///
/// Only these peers are trusted (`trusted`): networks such as `10.0.0.0/8` or `2001:db8::/32`, single addresses, and
/// the words `loopback` (this machine), `private` (the networks that are not on the internet) and `unix` (peers at Unix
/// sockets, which have no address). Every one of these fields of any other peer is removed from the request before
/// anything else sees it.
///
/// # What to believe
///
/// A proxy passes on fields that it does not know, so a field that *your* proxy does not set is the client's. By
/// default `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Make sure that your proxy sets both, and name others
/// only if it sets them too:
///
/// A malformed value counts as missing; in the chain of addresses it ends the walk, so that it never becomes an
/// address. CherryPy's `proxy` believes every peer, and the leftmost entry.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::prepare)]
pub struct Proxy {
    /// Networks such as `10.0.0.0/8`, single addresses, `loopback`, `private`, `unix`.
    #[setting(given, no_builder)]
    trusted: Vec<String>,
    /// The field with the addresses; empty for none.
    #[setting(default = "X-Forwarded-For")]
    remote: String,
    /// The field with the scheme; empty for none. `https`, `on`, `1` or `true` say TLS (`Front-End-Https: on`).
    #[setting(default = "X-Forwarded-Proto")]
    scheme: String,
    /// The field with the host, where the proxy does not pass `Host` on: `X-Forwarded-Host`; empty for none.
    host: String,
    /// The field with the port of that host: `X-Forwarded-Port`; empty for none.
    port: String,
    /// The field with the path below which the proxy has put this server: `X-Forwarded-Prefix`; empty for none.
    prefix: String,
    /// Whether to believe `Forwarded` (RFC 7239), and none of the above.
    forwarded: bool,
}

impl Proxy {
    /// Trusts the proxies in these networks (`trusted`).
    #[must_use]
    pub fn trusting<T: Into<String>>(networks: impl IntoIterator<Item = T>) -> Self {
        Self::defaults(list(networks))
    }

    fn prepare(&self) -> Result<Prepared, SettingError> {
        let trusted = Networks::parse(&self.trusted).map_err(|problem| SettingError::new("trusted", problem))?;
        let field = |key: &str, text: &str| match text {
            "" => Ok(None),
            text => fields::name(text).map(Some).map_err(|problem| SettingError::new(key, problem)),
        };
        let believed = Fields {
            remote: field("remote", &self.remote)?,
            scheme: field("scheme", &self.scheme)?,
            host: field("host", &self.host)?,
            port: field("port", &self.port)?,
            prefix: field("prefix", &self.prefix)?,
        };
        let own = [&believed.remote, &believed.scheme, &believed.host, &believed.port, &believed.prefix];
        let removed = own.into_iter().flatten().cloned().chain(USUAL.map(HeaderName::from_static)).collect();
        Ok(Prepared { trusted, believed, is_rfc_7239: self.forwarded, removed })
    }
}

/// Fields that are removed from untrusted peers, whichever are accepted from trusted ones.
const USUAL: [&str; 10] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-ssl",
    "x-real-ip",
    "traceparent",
    "tracestate",
];

/// The names of the fields that are believed.
struct Fields {
    remote: Option<HeaderName>,
    scheme: Option<HeaderName>,
    host: Option<HeaderName>,
    port: Option<HeaderName>,
    prefix: Option<HeaderName>,
}

/// The settings, ready to be compared with.
struct Prepared {
    trusted: Networks,
    believed: Fields,
    is_rfc_7239: bool,
    removed: Vec<HeaderName>,
}

impl Prepared {
    fn look(&self, request: &mut Request) {
        let peer = request.connection().peer;
        if !self.trusted.contain_peer(&peer) {
            for name in &self.removed {
                if request.header(name.as_str()).is_some() {
                    request.remove_header(name);
                }
            }
            return;
        }
        let is_trusted = |address| self.trusted.contain(address);
        let said = if self.is_rfc_7239 {
            forwarded_fields(&joined(request, "forwarded"), peer.ip(), is_trusted)
        } else {
            let values = |name: &Option<HeaderName>| name.as_ref().map(|name| joined(request, name.as_str()));
            let Fields { remote, scheme, host, port, prefix } = &self.believed;
            x_forwarded_fields(
                &values(remote).unwrap_or_default(),
                &values(scheme).unwrap_or_default(),
                &values(host).unwrap_or_default(),
                &values(port).unwrap_or_default(),
                &values(prefix).unwrap_or_default(),
                peer.ip(),
                is_trusted,
            )
        };
        let Said { remote, is_secure, authority, port, prefix } = said;
        let authority = match port {
            Some(port) => Some(with_port(authority.as_deref().unwrap_or_else(|| request.host()), port)),
            None => authority,
        };
        request.set_forwarded(Forwarded { is_secure, authority, remote, prefix });
    }
}

/// All fields of a name are one list (RFC 9110, section 5.3). One that is not text says nothing.
fn joined(request: &Request, name: &str) -> String {
    let mut list = String::new();
    for value in request.headers_named(name) {
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(str::from_utf8(value).unwrap_or_default());
    }
    list
}

fn with_port(authority: &str, port: u16) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    format!("{host}:{port}")
}

impl Tool for Proxy {
    fn name(&self) -> &'static str {
        "proxy"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if !hooks.section().trim_matches('/').is_empty() {
            let problem = format!(
                "is set at {:?}, but the client must be known before its path is looked at: switch the tool on at \"/\"",
                hooks.section()
            );
            return hooks.refuse(SettingError::new("on", problem));
        }
        match self.prepare() {
            Ok(prepared) => {
                hooks
                    .at(HookPoint::BeforeRouting, move |exchange: &mut Exchange| prepared.look(&mut exchange.request))
                    .priority(0);
            }
            Err(error) => hooks.refuse(error),
        }
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests;
