//! References to other pages in fields such as `Location` (RFC 3986, section 4.1). They are written so that every
//! reader understands the same, and judged: does it stay on this site?
//!
//! Browsers mend malformed addresses: they drop TABs and line breaks, and take `\` for `/`. So `/\evil.example` and
//! `/<TAB>/evil.example` are other sites to them, even if a check for `//` passes. The server sends neither: characters
//! outside of the RFC are percent-encoded, and control characters are refused.

use ::http::header::{CONTENT_LOCATION, LINK, LOCATION, REFRESH};
use ::http::{HeaderName, HeaderValue};
use percent_encoding::{percent_decode, percent_encode_byte};
use std::borrow::Cow;

/// Why a text cannot be sent as a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlCharacter(pub u8);

impl std::fmt::Display for ControlCharacter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.0 {
            b'\t' => "a TAB",
            b'\r' | b'\n' => "a line break",
            0 => "NUL",
            _ => "a control character",
        };
        write!(f, "it has {what}, which browsers drop or take for the end of the field: percent-encode foreign values")
    }
}

impl std::error::Error for ControlCharacter {}

/// The text as a URI reference: characters that the RFC does not allow are percent-encoded, letters outside of ASCII as
/// UTF-8. A `%` stays if two hexadecimal digits follow.
///
/// ```
/// use kirsch::http::encode_reference;
///
/// assert_eq!(encode_reference("/a b?c=\"ä\"&d=5%&e=%20")?, "/a%20b?c=%22%C3%A4%22&d=5%25&e=%20");
/// assert_eq!(encode_reference("/\\evil.example")?, "/%5Cevil.example");
/// assert!(encode_reference("/\t/evil.example").is_err());
/// # Ok::<(), kirsch::http::ControlCharacter>(())
/// ```
///
/// # Errors
/// For control characters, TAB and line breaks among them.
pub fn encode_reference(text: &str) -> Result<Cow<'_, str>, ControlCharacter> {
    Ok(match encode(text.as_bytes())? {
        None => Cow::Borrowed(text),
        Some(encoded) => Cow::Owned(encoded),
    })
}

/// The encoded value of a field that refers to another page; `None` when it is fine as it is, or the field is another
/// one.
pub(crate) fn encode_field(name: &HeaderName, value: &HeaderValue) -> Result<Option<HeaderValue>, ControlCharacter> {
    let bytes = value.as_bytes();
    let encoded = match *name {
        LOCATION | CONTENT_LOCATION => encode(bytes)?,
        LINK => encode_links(bytes)?,
        REFRESH => encode_refresh(bytes)?,
        _ => None,
    };
    Ok(encoded.map(|encoded| HeaderValue::try_from(encoded).expect("encoded texts are visible ASCII and spaces")))
}

/// Whether a field refers to another page.
pub(crate) fn is_reference(name: &HeaderName) -> bool {
    [LOCATION, CONTENT_LOCATION, LINK, REFRESH].contains(name)
}

/// Whether `text` is a path of this site, with or without a query: for every browser, and for every program that
/// decodes it before a browser gets it.
///
/// Use it for texts that a visitor has sent, such as the `next` of a form: anybody can put `//evil.example` there.
///
/// ```
/// use kirsch::http::is_local_reference;
///
/// assert!(is_local_reference("/members?page=2"));
/// for foreign in ["//evil.example", "/\\evil.example", "/%09/evil.example", "/.//evil.example", "https:evil.example"] {
///     assert!(!is_local_reference(foreign));
/// }
/// ```
#[must_use]
pub fn is_local_reference(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !is_plain || !text.starts_with('/') {
        return false;
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let is_text = |path: Vec<u8>| std::str::from_utf8(&path).is_ok_and(|path| !path.contains(char::is_control));
    decodings(path.as_bytes()).all(is_text) && !leads_to_other_host(text)
}

/// Whether a path, with or without a query, may be read as the address of another host: by a browser, or by a program
/// that decodes it before a browser gets it.
///
/// Unlike [`is_local_reference`] it lets encoded control characters through: it is for paths that are made of the
/// request's own path and encoded again.
#[must_use]
pub fn leads_to_other_host(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    // Decoded, and decoded again, as by a program that decodes twice.
    decodings(path.as_bytes()).any(|mut path| {
        // As browsers do with TAB and line breaks.
        path.retain(|byte| !byte.is_ascii_control());
        path.contains(&b'\\') || leads_to_host(&path)
    })
}

/// Whether one segment of a path is `.` or `..` after decoding, or has such a part.
#[must_use]
pub fn is_dot_segment(segment: &str) -> bool {
    decodings(segment.as_bytes())
        .any(|segment| segment.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| matches!(part, b"." | b"..")))
}

/// The text, decoded, and decoded again.
fn decodings(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    std::iter::successors(Some(text.to_vec()), |text| Some(percent_decode(text).collect())).take(3)
}

/// Whether a path begins with `//` once `.` and `..` are removed.
fn leads_to_host(path: &[u8]) -> bool {
    let mut left: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/').skip(1) {
        match segment {
            b"." => {}
            b".." => drop(left.pop()),
            segment => left.push(segment),
        }
    }
    left.len() > 1 && left[0].is_empty()
}

/// `None` when nothing needs to be encoded.
fn encode(text: &[u8]) -> Result<Option<String>, ControlCharacter> {
    if let Some(control) = text.iter().find(|byte| byte.is_ascii_control()) {
        return Err(ControlCharacter(*control));
    }
    // Brackets stand around an IPv6 address only.
    let host = authority(text);
    let has_hash = |index: usize| text[..index].contains(&b'#');
    let is_fine = |(index, byte): (usize, u8)| match byte {
        b'%' => text.get(index + 1..index + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        b'[' | b']' => host.contains(&index),
        b'#' => !has_hash(index),
        _ => is_of_references(byte),
    };
    let bytes = || text.iter().copied().enumerate();
    if bytes().all(is_fine) {
        return Ok(None);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for (index, byte) in bytes() {
        match is_fine((index, byte)) {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(percent_encode_byte(byte)),
        }
    }
    Ok(Some(encoded))
}

/// Where host and port are, if the reference has them.
fn authority(text: &[u8]) -> std::ops::Range<usize> {
    let start = match text.windows(2).position(|pair| pair == b"//") {
        Some(0) => 2,
        Some(slashes) if text[..slashes].ends_with(b":") && !text[..slashes].contains(&b'/') => slashes + 2,
        _ => return 0..0,
    };
    let length = text[start..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    start..length.map_or(text.len(), |length| start + length)
}

/// Unreserved and reserved characters (RFC 3986, section 2), without brackets, `#` and `%`, which have rules of their
/// own.
fn is_of_references(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=".contains(&byte)
}

/// The text between `<` and `>` in the links of a Link field (RFC 8288, section 3), not within quotes.
fn encode_links(value: &[u8]) -> Result<Option<String>, ControlCharacter> {
    let Ok(text) = std::str::from_utf8(value) else { return Ok(None) };
    let mut encoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(mark) = rest.find(['<', '"']) {
        let (before, after) = rest.split_at(mark + 1);
        encoded.push_str(before);
        let end = if before.ends_with('<') { after.find('>') } else { end_of_quoted(after) };
        let Some(end) = end else {
            rest = after;
            break;
        };
        match before.ends_with('<') {
            true => encoded.push_str(&encode_reference(&after[..end])?),
            false => encoded.push_str(&after[..end]),
        }
        encoded.push_str(&after[end..=end]);
        rest = &after[end + 1..];
    }
    encoded.push_str(rest);
    Ok((encoded != text && encoded.is_ascii()).then_some(encoded))
}

fn end_of_quoted(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(index),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

/// The address of a Refresh field: `5; url=/next`.
fn encode_refresh(value: &[u8]) -> Result<Option<String>, ControlCharacter> {
    let Some(separator) = value.iter().position(|byte| matches!(byte, b';' | b',')) else { return Ok(None) };
    let after = &value[separator + 1..];
    let blank = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut start = blank(after);
    if after[start..].get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"url")) {
        let equals = start + 3 + blank(&after[start + 3..]);
        if after.get(equals) == Some(&b'=') {
            start = equals + 1 + blank(&after[equals + 1..]);
        }
    }
    // A text in quotes ends with them.
    let target = match after.get(start) {
        Some(&quote @ (b'"' | b'\'')) => after[start + 1..].split(|byte| *byte == quote).next().unwrap_or_default(),
        _ => after[start..].trim_ascii_end(),
    };
    if let Some(control) = value.iter().find(|byte| byte.is_ascii_control()) {
        return Err(ControlCharacter(*control));
    }
    let seconds = String::from_utf8_lossy(&value[..separator]);
    let encoded = encode(target)?;
    let is_quoted = matches!(after.get(start), Some(b'"' | b'\''));
    Ok(match encoded {
        None if !is_quoted => None,
        encoded => {
            let target = encoded.unwrap_or_else(|| String::from_utf8_lossy(target).into_owned());
            let seconds: String = seconds.chars().filter(|character| character.is_ascii_graphic()).collect();
            Some(format!("{seconds}; url={target}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::header;

    #[test]
    fn characters_that_no_reference_can_hold_are_encoded() {
        let table = [
            ("", ""),
            ("/a/b?c=d&e#f", "/a/b?c=d&e#f"),
            ("/a b", "/a%20b"),
            ("\"<>\\{}|^`", "%22%3C%3E%5C%7B%7D%7C%5E%60"),
            ("/ä?ü#ö", "/%C3%A4?%C3%BC#%C3%B6"),
            ("/%20%2f%zz%4%", "/%20%2f%25zz%254%25"),
            ("/a#b#c", "/a#b%23c"),
            ("/[1]?a[]=2", "/%5B1%5D?a%5B%5D=2"),
            ("http://[::1]:80/[x]", "http://[::1]:80/%5Bx%5D"),
            ("//[::1]/a", "//[::1]/a"),
            ("/a//[b]", "/a//%5Bb%5D"),
            ("/-._~:@!$&'()*+,;=", "/-._~:@!$&'()*+,;="),
            ("/\\evil.example", "/%5Cevil.example"),
            ("\u{2028}", "%E2%80%A8"),
        ];
        for (text, expected) in table {
            assert_eq!(encode_reference(text).as_deref(), Ok(expected), "{text:?}");
            assert_eq!(encode_reference(expected).as_deref(), Ok(expected), "{text:?} again");
        }
    }

    #[test]
    fn control_characters_are_refused() {
        for control in (0..0x20).chain([0x7f]) {
            let text = format!("/{}/evil.example", char::from(control));
            assert_eq!(encode_reference(&text), Err(ControlCharacter(control)), "{text:?}");
        }
    }

    #[test]
    fn only_paths_of_this_site_are_local() {
        let local = [
            "/",
            "/members/",
            "/a?b=c&d=//e",
            "/a//b",
            "/a%20b",
            "/%C3%BC?q=%5C",
            "/a@b",
            "/a:b",
            "/a/../b",
            "/..",
            "/?",
            "/#//",
        ];
        for text in local {
            assert!(is_local_reference(text), "{text}");
        }
        let foreign = "//evil.example|///evil.example|////|//|/\\evil.example|/\\/evil.example|\\\\evil.example|\\/evil.example|\\evil.example|\
            https:evil.example|https:/evil.example|https://evil.example|http:///evil.example|HTTPS://evil.example|javascript:alert(1)|data:text/html,x|\
            evil.example|members|?next|#x||/%2f%2fevil.example|/%2Fevil.example|%2f%2fevil.example|/%5cevil.example|/%5C%5Cevil.example|/%255cevil.example|\
            /%252fevil.example|/%09/evil.example|/%0a/evil.example|/%0d%0aSet-Cookie:a|/%2509/evil.example|/%00/evil.example|/./\\evil.example|\
            /.//evil.example|/%2e//evil.example|/a/..//evil.example|/a/%2e%2e//evil.example|/..//evil.example|/../%2fevil.example|/.%2f/evil.example|\
            /.%5cevil.example| //evil.example|/ /evil.example|/a b|/ü|/%ff|/\u{2028}|@evil.example|:80|.//evil.example|../evil";
        let foreign: Vec<&str> = foreign.split('|').collect();
        assert!(foreign.len() >= 40);
        let controls =
            ["/\t/evil.example", "/\n/evil.example", "\t//evil.example", "/a\r\nSet-Cookie: a=b", "/\0", "/\u{7f}"];
        for text in foreign.into_iter().chain(controls) {
            assert!(!is_local_reference(text), "{text:?}");
        }
    }

    #[test]
    fn segments_that_climb_are_found_however_they_are_written() {
        for climbing in [".", "..", "%2e%2e", "%252e%252e", ".%2E", "..%2f", "../x", "a/..", "a\\..\\b", "..%5c"] {
            assert!(is_dot_segment(climbing), "{climbing}");
        }
        for plain in ["", "...", "a..b", ".a", "a.", "..a", "%2e%2e%2e"] {
            assert!(!is_dot_segment(plain), "{plain}");
        }
    }

    #[test]
    fn all_fields_that_lead_elsewhere_are_encoded() {
        let table = [
            (LOCATION, "/a b", "/a%20b"),
            (CONTENT_LOCATION, "/<x>", "/%3Cx%3E"),
            (
                LINK,
                "</a b>; rel=\"next of <x y>\", <c|d>;title=\"q\\\"<\"",
                "</a%20b>; rel=\"next of <x y>\", <c%7Cd>;title=\"q\\\"<\"",
            ),
            (LINK, "</a>; rel=next", "</a>; rel=next"),
            (REFRESH, "5; url=/a b", "5; url=/a%20b"),
            (REFRESH, "0;URL='/a b'", "0; url=/a%20b"),
            (REFRESH, "5", "5"),
            (REFRESH, "5; url=/a", "5; url=/a"),
        ];
        for (name, value, expected) in table {
            let encoded = encode_field(&name, &HeaderValue::from_static(value)).unwrap();
            assert_eq!(encoded.map_or_else(|| value.to_owned(), |value| value.to_str().unwrap().to_owned()), expected);
        }
        let tab = HeaderValue::from_static("/\t/evil.example");
        assert!(encode_field(&LOCATION, &tab).is_err() && encode_field(&header::ETAG, &tab) == Ok(None));
        let refresh = HeaderValue::from_static("0; url=/\t/evil.example");
        assert!(encode_field(&REFRESH, &refresh).is_err());
        let latin = HeaderValue::from_bytes(b"/\xe4").unwrap();
        assert_eq!(encode_field(&LOCATION, &latin).unwrap().unwrap(), "/%E4");
    }
}
