//! Cookies of requests, read leniently: one that another program on the same host has set must not cost ours.
//!
//! Anything but `name=value` is skipped, never refused (RFC 6265, section 5.4): pairs come from the browser's jar, and
//! any site may have set them. Writing `Set-Cookie` is not done here.

use super::grammar::{is_token, trim};

/// The cookies in the value of a Cookie field: each pair whose name is a token and whose value is UTF-8 without
/// control characters, in their order. Double quotes around a value are taken off; nothing else is decoded.
///
/// ```
/// let cookies: Vec<_> = kirsch::http::cookies("a:b=c; good=1; =; quoted=\"2\"").collect();
/// assert_eq!(cookies, [("good", "1"), ("quoted", "2")]);
/// ```
pub fn cookies<H: AsRef<[u8]> + ?Sized>(header: &H) -> impl Iterator<Item = (&str, &str)> {
    header.as_ref().split(|&byte| byte == b';').filter_map(parse_pair)
}

fn parse_pair(pair: &[u8]) -> Option<(&str, &str)> {
    let equals = memchr::memchr(b'=', pair)?;
    let (name, value) = (trim(&pair[..equals]), trim(&pair[equals + 1..]));
    let value = match value {
        [b'"', inner @ .., b'"'] => inner,
        other => other,
    };
    if !is_token(name) || value.iter().any(u8::is_ascii_control) {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<H: AsRef<[u8]> + ?Sized>(header: &H) -> Vec<(&str, &str)> {
        cookies(header).collect()
    }

    #[test]
    fn bad_pairs_are_skipped_and_good_ones_kept() {
        assert_eq!(read("a:b=c; good=1; =;"), [("good", "1")]);
        assert_eq!(read("; ;;=x; no-value; a b=c; good=1"), [("good", "1")]);
        assert_eq!(read(&b"bad=\xff; good=1; \xff=bad"[..]), [("good", "1")]);
        assert_eq!(read("bad=a\tb; good=1"), [("good", "1")]);
        assert_eq!(read(""), []);
    }

    #[test]
    fn a_value_may_be_empty_or_contain_equals_signs() {
        assert_eq!(read("a=; b=c=d;e=f"), [("a", ""), ("b", "c=d"), ("e", "f")]);
    }

    #[test]
    fn quotes_around_a_value_are_taken_off() {
        assert_eq!(read("a=\"b\"; c=\"\"; d=\"; e=x\"y\""), [("a", "b"), ("c", ""), ("d", "\""), ("e", "x\"y\"")]);
    }

    #[test]
    fn names_are_case_sensitive_and_may_repeat() {
        assert_eq!(read("a=1; A=2; a=3"), [("a", "1"), ("A", "2"), ("a", "3")]);
    }
}
