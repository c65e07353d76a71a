//! Origins in texts: of addresses that a request names, and of settings.

use crate::exchange::Origin;

/// The origin of a URL in lower case, and what comes behind it; `None` for what has none, and for a name and password in it, which no browser sends.
pub(super) fn origin_of(url: &str) -> Option<(String, &str)> {
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
    let authority = authority.to_ascii_lowercase();
    Some((Origin::new(is_secure, &authority).to_string(), behind))
}

/// An origin as a setting has it: nothing behind the authority, or a slash.
pub(super) fn origin_setting(text: &str) -> Result<String, String> {
    match origin_of(text) {
        Some((origin, "" | "/")) => Ok(origin),
        _ => Err(format!("has {text:?}; write origins, as \"https://a.example\"")),
    }
}
