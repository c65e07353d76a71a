//! The key to the pages for developers and operators: its holder is one of them, at any address.
//!
//! An address proves nothing: a proxy on this machine speaks for the internet, and a client can write any `Host`. So
//! the process has a key. The start prints a link with it ([`link`]); [`offer`] takes it from the address, puts it into
//! a cookie, and leads on to the page itself.
//!
//! ```text
//! /x?kirsch_debug=KEY   303 /x, Set-Cookie: kirsch_debug=KEY; HttpOnly; SameSite=Lax
//! ```
//!
//! The key is drawn when the process first asks for it. Set the variable [`VARIABLE`] for one that outlives restarts.

use crate::exchange::{
    Error, Exchange, HttpError, IntoResponse, KEY_PARAMETER, Origin, Redirect, Request, Response, SetCookie,
};
use crate::lifecycle::hook::{Flow, Hook, HookPoint, Run};
use ::http::{HeaderValue, Method, StatusCode, header};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// The environment variable with a key that stays the same.
const VARIABLE: &str = "KIRSCH_DEBUG_KEY";

/// Names the parameter in the link, and the cookie.
pub(crate) const NAME: &str = KEY_PARAMETER;

/// Fewest characters of a key: 96 bits of letters and digits.
const MIN_LENGTH: usize = 16;

/// The key of this process.
///
/// # Errors
/// A sentence for the operator, if the environment sets a key that cannot be used. Then the page is never shown.
pub(crate) fn key() -> Result<&'static str, &'static str> {
    static KEY: OnceLock<Result<String, String>> = OnceLock::new();
    let key = KEY.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(set) => checked(set),
        Err(std::env::VarError::NotPresent) => Ok(crate::random::digits()),
        Err(error) => Err(format!("{VARIABLE}: {error}")),
    });
    key.as_deref().map_err(String::as_str)
}

fn checked(key: String) -> Result<String, String> {
    let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match is_plain && key.len() >= MIN_LENGTH {
        true => Ok(key),
        false => Err(format!(
            "the environment variable {VARIABLE} must have at least {MIN_LENGTH} random letters, digits, `-` or `_`: `openssl rand -hex 16` makes them"
        )),
    }
}

/// Whether `text` is the key. Takes the same time for all texts of its length.
fn is_key(text: &str) -> bool {
    let Ok(key) = key() else { return false };
    let differences = key.bytes().zip(text.bytes()).fold(0, |all, (right, said)| all | (right ^ said));
    key.len() == text.len() && std::hint::black_box(differences) == 0
}

/// Whether the request brings the key, in its cookie or, as programs do, as `Authorization: Bearer`. Several cookies of
/// that name may come, since cookies do not tell ports apart.
pub(super) fn is_brought_by(request: &Request) -> bool {
    let mut cookies = request.head.headers_named("cookie").flat_map(crate::http::cookies);
    let bearer = || request.head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    cookies.any(|(name, value)| name == NAME && is_key(value)) || bearer().is_some_and(is_key)
}

/// Whether the request brings the key, also in its address.
pub(in crate::lifecycle) fn brings_key(request: &Request) -> bool {
    is_brought_by(request) || given(request).is_some_and(is_key)
}

/// The hook that takes the key out of an address. It comes before all others of its point: a holder of the key needs no
/// password to get the cookie, and gets nothing but that.
pub(crate) fn offer(tool: &'static str) -> Hook {
    let run = Arc::new(|exchange: &mut Exchange| take(&exchange.request).map(|()| Flow::Continue));
    let point = HookPoint::OnStartResource;
    Hook { tool, point, priority: 0, always: false, is_brief: false, run: Run::Function(run) }
}

fn take(request: &Request) -> Result<(), Error> {
    let (Some(given), Some(query)) = (given(request), request.query()) else { return Ok(()) };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    if !is_key(given) {
        let message = "This link is not from the present start of the server: its log has the new one.";
        return Err(HttpError::new(StatusCode::FORBIDDEN, message).into());
    }
    let rest: Vec<_> = query.split('&').filter(|pair| value(pair).is_none()).collect();
    let path = format!("{}/{}", request.prefix(), request.path().trim_start_matches('/'));
    let target = if rest.is_empty() { path } else { format!("{path}?{}", rest.join("&")) };
    let mut answer = Response::new();
    Redirect::to(target).into_response(&mut answer)?;
    answer.set_cookie(SetCookie::new(NAME, given).secure(request.is_secure()))?;
    answer.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.set_header(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Err(answer.into())
}

/// The key, or another text in its place, in the address of the request.
fn given(request: &Request) -> Option<&str> {
    let query = request.query().filter(|query| query.contains(NAME))?;
    query.split('&').find_map(value)
}

fn value(pair: &str) -> Option<&str> {
    pair.strip_prefix(NAME)?.strip_prefix('=')
}

/// The link with the key, to be printed at the start: to a section of the application that answers at `address`, or of
/// one of its `host`s there.
///
/// # Errors
/// As [`key`].
pub(crate) fn link(address: SocketAddr, host: Option<&str>, section: &str) -> Result<String, &'static str> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let authority = match host.map(|host| host.trim_start_matches("*.")) {
        None => SocketAddr::new(ip, address.port()).to_string(),
        Some(host) if Origin::new(true, host).host() != host => host.to_owned(),
        Some(host) => format!("{host}:{}", address.port()),
    };
    let path = section.trim_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    Ok(format!("http://{authority}{slash}{path}/?{NAME}={}", key()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_is_the_key() {
        let key = key().unwrap();
        assert!(is_key(key) && key.len() >= MIN_LENGTH);
        for wrong in ["", &key[1..], &key[..key.len() - 1], &format!("{key}0"), &"0".repeat(key.len())] {
            assert!(!is_key(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_could_be_guessed_or_would_break_a_link_is_refused() {
        assert!(checked("0123456789abcdef".to_owned()).is_ok());
        for wrong in ["", "secret", "0123456789abcde", "0123456789abcdef;", "0123456789 abcdef", "0123456789abcdé"] {
            assert!(checked(wrong.to_owned()).unwrap_err().contains("openssl rand"), "{wrong}");
        }
    }

    #[test]
    fn the_link_leads_to_where_the_page_is_on() {
        let table = [
            ("0.0.0.0:8080", None, "/", "http://127.0.0.1:8080/?kirsch_debug="),
            ("[::]:8080", None, "/admin", "http://[::1]:8080/admin/?kirsch_debug="),
            ("127.0.0.1:8080", Some("*.shop.example"), "/", "http://shop.example:8080/?kirsch_debug="),
            ("127.0.0.1:8080", Some("shop.example:81"), "/", "http://shop.example:81/?kirsch_debug="),
        ];
        for (address, host, section, start) in table {
            assert_eq!(link(address.parse().unwrap(), host, section).unwrap(), format!("{start}{}", key().unwrap()));
        }
    }
}
