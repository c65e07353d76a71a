//! Origins in texts: of addresses that a request names, and of settings.

use crate::Request;
use crate::exchange::{Origin, origin_of};

/// Whether a URL is of the request's own origin. One that comes by TLS to a server that does not know of it is, too: then a proxy in front has not said so, and
/// nobody but the site itself has pages at that host.
pub(super) fn is_own(request: &Request, url: &str) -> bool {
    let Some((origin, _)) = origin_of(url) else { return false };
    let own = request.origin();
    origin == own.to_string() || origin == Origin::new(true, own.authority()).to_string()
}

/// An origin as a setting has it: nothing behind the authority, or a slash.
pub(super) fn origin_setting(text: &str) -> Result<String, String> {
    match origin_of(text) {
        Some((origin, "" | "/")) => Ok(origin),
        _ => Err(format!("has {text:?}; write origins, as \"https://a.example\"")),
    }
}
