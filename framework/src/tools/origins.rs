//! Origins in texts: of addresses that a request names, and of settings.

use crate::Request;
use crate::exchange::{Origin, origin_of};

/// Whether a URL is of the request's own origin. An https URL also counts if the server knows only http: then a proxy
/// in front has not told it, and only the site itself has pages at that host.
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
