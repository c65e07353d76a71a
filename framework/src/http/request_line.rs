//! Request lines: `method SP target SP version` and nothing else (RFC 9112, section 3).
//!
//! The second look at a line that the parser has refused: it names the rule, or the parts of the line that it can read.

use super::Refusal;
use super::grammar::is_token;
use super::scan;
use ::http::Method;

/// A request line, whose version is one of ours. The target is visible ASCII; its form is not checked yet.
#[derive(Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: Method,
    pub(super) target: &'a [u8],
}

impl<'a> RequestLine<'a> {
    /// Takes a line without its CRLF apart.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let malformed =
            || if line.contains(&b'\r') { Refusal::BareCarriageReturn } else { Refusal::MalformedRequestLine };
        let (method, rest) = split_at_space(line).ok_or_else(malformed)?;
        let method = parse_method(method).ok_or_else(malformed)?;
        let (target, rest) = rest.split_at(scan::not_graphic(rest, 0).unwrap_or(rest.len()));
        match rest {
            _ if target.is_empty() => Err(malformed()),
            b" HTTP/1.1" | b" HTTP/1.0" => Ok(Self { method, target }),
            [b' ', version @ ..] if is_version(version) => Err(Refusal::UnsupportedVersion),
            [b' ', ..] | [] => Err(malformed()),
            _ if rest.contains(&b' ') && !rest.contains(&b'\r') => Err(Refusal::MalformedTarget),
            _ => Err(malformed()),
        }
    }

    /// The method and the target of a line that is cut off or broken, as far as they can be told, for the log.
    pub(super) fn recognise(line: &'a [u8]) -> Option<(Method, &'a str)> {
        let (method, rest) = split_at_space(line)?;
        let method = parse_method(method)?;
        let end = rest.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len());
        Some((method, std::str::from_utf8(&rest[..end]).ok()?))
    }
}

fn parse_method(method: &[u8]) -> Option<Method> {
    match method {
        b"GET" => Some(Method::GET),
        _ if is_token(method) => Method::from_bytes(method).ok(),
        _ => None,
    }
}

fn split_at_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = line.iter().position(|&byte| byte == b' ')?;
    Some((&line[..space], &line[space + 1..]))
}

fn is_version(text: &[u8]) -> bool {
    matches!(text, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> Refusal {
        RequestLine::parse(line.as_bytes()).expect_err(line)
    }

    #[test]
    fn the_three_parts_are_told_apart() {
        let line = RequestLine::parse(b"PROPFIND /a?b HTTP/1.0").expect("well-formed");
        assert_eq!((line.method.as_str(), line.target), ("PROPFIND", &b"/a?b"[..]));
    }

    #[test]
    fn anything_but_three_parts_with_single_spaces_is_refused() {
        for line in [
            "",
            " ",
            "GET",
            "GET /",
            "GET  / HTTP/1.1",
            "GET /  HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET / HTTP/1.1 x",
            "GET\t/ HTTP/1.1",
            "GET /\tHTTP/1.1",
            "/ HTTP/1.1",
            "G(T / HTTP/1.1",
            "GET / x HTTP/1.1",
        ] {
            assert_eq!(refusal(line), Refusal::MalformedRequestLine, "{line:?}");
        }
    }

    #[test]
    fn a_malformed_version_is_refused() {
        for version in
            ["HTTP/1", "HTTP/1.1x", "HTTP/11.1", "HTTP/1.10", "http/1.1", "HTTP/1,1", "HTTPS/1.1", "HTTP/x.1", "1.1"]
        {
            assert_eq!(refusal(&format!("GET / {version}")), Refusal::MalformedRequestLine, "{version}");
        }
    }

    #[test]
    fn another_version_is_not_supported() {
        for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9"] {
            assert_eq!(refusal(&format!("GET / {version}")), Refusal::UnsupportedVersion, "{version}");
        }
    }

    #[test]
    fn only_visible_ascii_is_a_target() {
        for target in ["/\u{e9}", "/\u{7f}", "/\0", "/\x0b"] {
            assert_eq!(refusal(&format!("GET {target} HTTP/1.1")), Refusal::MalformedTarget, "{target:?}");
        }
        assert_eq!(refusal("GET /\r HTTP/1.1"), Refusal::BareCarriageReturn);
    }
}
