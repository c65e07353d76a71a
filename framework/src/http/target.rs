//! Request targets and authorities (RFC 9112, section 3.2; RFC 3986, section 3.2).
//!
//! Three forms are answered: `/path?query`, `http://authority/path?query`, and `*` for OPTIONS. The fourth, for
//! CONNECT, is refused, since it makes sense for proxies only. Nothing is decoded here.

use super::Refusal;
use super::scan;
use ::http::Method;
use std::net::Ipv6Addr;

/// The parts of a target, still encoded. The path is empty when an absolute-form target has none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) authority: Option<&'a [u8]>,
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    /// Takes a target of visible ASCII apart.
    pub(super) fn parse(method: &Method, target: &'a [u8]) -> Result<Self, Refusal> {
        if *method == Method::CONNECT {
            return Err(Refusal::ConnectRefused);
        }
        // Most targets are a path and nothing else, which one search tells.
        if target.first() == Some(&b'/') && !scan::contains_any(target, [b'?', b'#', b'\\']) {
            return Ok(Self { authority: None, path: target, query: None });
        }
        if memchr::memchr(b'#', target).is_some() {
            return Err(Refusal::FragmentInTarget);
        }
        if target.first() == Some(&b'/') {
            return Self::split(None, target);
        }
        if target == b"*" {
            return match *method {
                Method::OPTIONS => Ok(Self { authority: None, path: target, query: None }),
                _ => Err(Refusal::AsteriskWithoutOptions),
            };
        }
        let rest = after_scheme(target).ok_or(Refusal::MalformedTarget)?;
        let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if !is_authority(authority) {
            return Err(Refusal::MalformedHost);
        }
        Self::split(Some(authority), rest)
    }

    fn split(authority: Option<&'a [u8]>, path_and_query: &'a [u8]) -> Result<Self, Refusal> {
        let (path, query) = match memchr::memchr(b'?', path_and_query) {
            Some(mark) => (&path_and_query[..mark], Some(&path_and_query[mark + 1..])),
            None => (path_and_query, None),
        };
        // No browser sends a backslash in a path, and programs that take it for a slash see another path than we do.
        if memchr::memchr(b'\\', path).is_some() {
            return Err(Refusal::MalformedTarget);
        }
        Ok(Self { authority, path, query })
    }
}

/// Whether `authority` is `host` or `host:port`, as in a Host field (RFC 9110, section 7.2). User names are refused; so
/// is an empty host with a port.
///
/// ```
/// use kirsch::http::is_authority;
///
/// assert!(is_authority(b"shop.example:8443") && is_authority(b"[::1]") && !is_authority(b"anna@shop.example"));
/// ```
#[must_use]
pub fn is_authority(authority: &[u8]) -> bool {
    if authority.first() == Some(&b'[') {
        let Some(end) = memchr::memchr(b']', authority) else { return false };
        return is_ipv6(&authority[1..end]) && is_port_part(&authority[end + 1..]);
    }
    let end = host_name_length(authority);
    end > 0 && is_port_part(&authority[end..])
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| match target.split_at_checked(scheme.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(scheme) => Some(rest),
        _ => None,
    })
}

fn is_ipv6(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// How much of the start of `text` is a host name: unreserved, percent-encoded and sub-delimiters of RFC 3986, section
/// 3.2.2, except the comma: `a,b` looks like a list of two hosts, and programs that split it would see another host
/// than we do.
fn host_name_length(text: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let rest = &text[length..];
        length += rest.iter().position(|&byte| !HOST_NAME[byte as usize]).unwrap_or(rest.len());
        match &text[length..] {
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => length += 3,
            _ => return length,
        }
    }
}

/// The bytes of a host name that stand for themselves.
const HOST_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'='
            );
        byte += 1;
    }
    table
};

fn is_port_part(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] if digits.len() <= 5 => {
            // Texts of one length compare as numbers do.
            digits.iter().all(u8::is_ascii_digit) && (digits.len() < 5 || digits <= &b"65535"[..])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(target: &str) -> Result<Target<'_>, Refusal> {
        Target::parse(&Method::GET, target.as_bytes())
    }

    #[test]
    fn a_path_and_its_query_part_at_the_first_question_mark() {
        let target = parse("/a?b?c").expect("well-formed");
        assert_eq!((target.path, target.query), (&b"/a"[..], Some(&b"b?c"[..])));
        assert_eq!(parse("/?").expect("well-formed").query, Some(&b""[..]));
        assert_eq!(parse("/").expect("well-formed").query, None);
    }

    #[test]
    fn an_absolute_form_brings_its_authority() {
        let target = parse("HTTP://example.org:80/a?b").expect("well-formed");
        assert_eq!((target.authority, target.path), (Some(&b"example.org:80"[..]), &b"/a"[..]));
        assert_eq!(
            parse("https://h?q").expect("well-formed"),
            Target { authority: Some(b"h"), path: b"", query: Some(b"q") }
        );
    }

    #[test]
    fn an_absolute_form_without_a_host_or_with_a_user_is_refused() {
        for target in ["http://", "http:///a", "http://user@h/", "http://a:b@h/", "http://h:x/", "https://?q"] {
            assert_eq!(parse(target), Err(Refusal::MalformedHost), "{target}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for target in ["a", "ftp://h/", "h:80", "http:/h", "?a", "**", "http//h"] {
            assert_eq!(parse(target), Err(Refusal::MalformedTarget), "{target}");
        }
        assert_eq!(parse("/a#b"), Err(Refusal::FragmentInTarget));
    }

    #[test]
    fn an_asterisk_is_for_options() {
        assert_eq!(parse("*"), Err(Refusal::AsteriskWithoutOptions));
        assert!(Target::parse(&Method::OPTIONS, b"*").is_ok());
    }

    #[test]
    fn connect_is_refused() {
        assert_eq!(Target::parse(&Method::CONNECT, b"h:443"), Err(Refusal::ConnectRefused));
        assert_eq!(Target::parse(&Method::CONNECT, b"/"), Err(Refusal::ConnectRefused));
    }

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for host in ["h", "h:", "a-b.example", "127.0.0.1:65535", "[::1]", "[::1]:80", "x_y", "%41"] {
            assert!(is_authority(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":80", "h:65536", "h:000080", "h:8x", "h:+8", "a b", "a,b", "a/b", "u@h", "[::1", "[::1]x", "[x]",
            "::1", "h?", "%4", "a\\b", "\u{e9}", "h:80:80", "a\tb", "<h>",
        ] {
            assert!(!is_authority(host.as_bytes()), "{host}");
        }
    }
}
