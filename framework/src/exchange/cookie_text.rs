//! How a cookie is written into a Set-Cookie field, and which cookies cannot be written (RFC 6265bis).
//!
//! The cookies of an application and the session's own are checked and written here, so that both keep the same rules.
//! The caller checks the value: an application's may be any text, a session's is made of letters.

use super::SameSite;
use crate::http::is_token;
use std::fmt::Write;

/// A cookie without its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CookieText<'c> {
    /// The prefix of the name.
    pub(crate) prefix: &'static str,
    pub(crate) name: &'c str,
    pub(crate) path: &'c str,
    pub(crate) domain: Option<&'c str>,
    /// In seconds; without it the browser keeps the cookie until it ends.
    pub(crate) max_age: Option<u64>,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    pub(crate) same_site: SameSite,
}

/// The part of a cookie that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookiePart {
    Name,
    Path,
    Domain,
    SameSite,
}

/// Maximum of a path or domain in bytes that browsers read (RFC 6265bis, section 5.6); a longer one is ignored.
pub(crate) const MAX_ATTRIBUTE: usize = 1024;

impl CookieText<'_> {
    /// The first part that browsers would refuse, if any, and what is wrong with it.
    pub(crate) fn problem(&self) -> Option<(CookiePart, String)> {
        let Self { name, path, domain, secure, same_site, .. } = *self;
        let is_attribute = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
        if !is_token(name.as_bytes()) {
            return Some((CookiePart::Name, format!("must be a token as `session_id`, not {name:?}")));
        }
        let texts = [(CookiePart::Path, path), (CookiePart::Domain, domain.unwrap_or_default())];
        if let Some((part, text)) = texts.into_iter().find(|(_, text)| text.len() > MAX_ATTRIBUTE) {
            let size = text.len();
            return Some((part, format!("has {size} bytes, and browsers pass over more than {MAX_ATTRIBUTE}")));
        }
        if !path.starts_with('/') || !is_attribute(path) {
            return Some((CookiePart::Path, format!("must start with `/`, not {path:?}")));
        }
        if let Some(domain) = domain.filter(|domain| domain.is_empty() || !is_attribute(domain)) {
            return Some((CookiePart::Domain, format!("must be a domain as `example.org`, not {domain:?}")));
        }
        if same_site == SameSite::None && !secure {
            let problem = "`none` needs `secure = true`: browsers drop such a cookie otherwise";
            return Some((CookiePart::SameSite, problem.to_owned()));
        }
        if has_prefix(name, "__Secure-") && !secure {
            return Some((CookiePart::Name, format!("{name:?} needs `secure = true`: its prefix promises that")));
        }
        if has_prefix(name, "__Host-") && !(secure && domain.is_none() && path == "/") {
            let needs = "needs `secure = true`, the path `/` and no domain: its prefix promises that";
            return Some((CookiePart::Name, format!("{name:?} {needs}")));
        }
        None
    }

    /// The value of the field. Nothing of it can end the field or begin an attribute, if there was no
    /// [`problem`](Self::problem) and `value` is made of the bytes of a cookie's value.
    pub(crate) fn write(&self, value: &str) -> String {
        let Self { prefix, name, path, domain, max_age, secure, http_only, same_site } = *self;
        let mut field = String::with_capacity(96 + value.len());
        for part in [prefix, name, "=", value] {
            field.push_str(part);
        }
        if let Some(seconds) = max_age {
            // Writing to a String cannot fail.
            let _ = write!(field, "; Max-Age={seconds}");
        }
        field.push_str("; Path=");
        field.push_str(path);
        if let Some(domain) = domain {
            field.push_str("; Domain=");
            field.push_str(domain);
        }
        if secure {
            field.push_str("; Secure");
        }
        if http_only {
            field.push_str("; HttpOnly");
        }
        field.push_str(match same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        field
    }
}

/// Whether a name promises what `prefix` stands for: to browsers in any case of letters (RFC 6265bis, section 5.4).
fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

impl std::fmt::Display for CookiePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Path => "path",
            Self::Domain => "domain",
            Self::SameSite => "same_site",
        })
    }
}
