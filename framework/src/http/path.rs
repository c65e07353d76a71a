//! Request paths: split into segments, then decoded, once.
//!
//! Splitting comes first, so `%2F` stays inside its segment. `.` and `..` are ordinary segments: clients remove them
//! (RFC 3986, section 5.2.4), the object tree has no parent to climb to, and code that opens files checks its own
//! names.

use super::Refusal;
use super::scan;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// Splits `path` at `/`, drops empty segments and percent-decodes the rest; `ranges` gets the start and end of each
/// segment in `text`, to the end of which they are written. `%2F` stays inside its segment, `+` stays a plus. The path
/// `*` of OPTIONS has no segments.
///
/// ```
/// let (mut text, mut ranges) = (String::new(), Vec::new());
/// kirsch::http::decode_segments("/songs//caf%C3%A9", &mut text, &mut ranges)?;
/// let segments: Vec<&str> = ranges.iter().map(|&(start, end)| &text[start as usize..end as usize]).collect();
/// assert_eq!(segments, ["songs", "café"]);
/// # Ok::<(), kirsch::http::Refusal>(())
/// ```
///
/// # Errors
/// Refuses bad percent-encoding, NUL and text that is not UTF-8 after decoding; `text` and `ranges` are empty then.
pub fn decode_segments(path: &str, text: &mut String, ranges: &mut Vec<(u32, u32)>) -> Result<(), Refusal> {
    if path == "*" {
        return Ok(());
    }
    if !scan::contains_any(path.as_bytes(), [b'%', 0]) {
        let mut start = text.len();
        text.push_str(path);
        let ends = text.bytes().enumerate().skip(start).filter(|&(_, byte)| byte == b'/').map(|(index, _)| index);
        for end in ends.chain([text.len()]) {
            if start < end {
                ranges.push((offset(start), offset(end)));
            }
            start = end + 1;
        }
        return Ok(());
    }
    let mut decoded = std::mem::take(text).into_bytes();
    let outcome = decode_into(path, &mut decoded, ranges);
    if outcome.is_err() {
        decoded.clear();
        ranges.clear();
    }
    *text = String::from_utf8(decoded).expect("every segment was checked on its own");
    outcome
}

fn decode_into(path: &str, decoded: &mut Vec<u8>, ranges: &mut Vec<(u32, u32)>) -> Result<(), Refusal> {
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let start = decoded.len();
        check_percent_encoding(segment.as_bytes())?;
        decoded.extend(percent_decode(segment.as_bytes()));
        let bytes = &decoded[start..];
        if memchr::memchr(0, bytes).is_some() {
            return Err(Refusal::NulInPath);
        }
        // Segment by segment: the halves of a character in two segments must not make one.
        std::str::from_utf8(bytes).map_err(|_| Refusal::PathNotUtf8)?;
        ranges.push((offset(start), offset(decoded.len())));
    }
    Ok(())
}

fn check_percent_encoding(segment: &[u8]) -> Result<(), Refusal> {
    for percent in memchr::memchr_iter(b'%', segment) {
        match segment.get(percent + 1..percent + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {}
            _ => return Err(Refusal::BadPercentEncoding),
        }
    }
    Ok(())
}

fn offset(position: usize) -> u32 {
    u32::try_from(position).expect("paths are far below 4 GiB")
}

/// Percent-encodes one segment of a path, in pieces; a `/` in it becomes `%2F`.
///
/// ```
/// use kirsch::http::encode_segment;
///
/// assert_eq!(encode_segment("rock & roll/live").to_string(), "rock%20&%20roll%2Flive");
/// ```
pub fn encode_segment(segment: &str) -> impl Iterator<Item = &str> + std::fmt::Display {
    utf8_percent_encode(segment, SEGMENT)
}

/// The characters to encode in a path segment (RFC 3986, section 3.3: all but `pchar`).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> Result<Vec<String>, Refusal> {
        let (mut text, mut ranges) = (String::new(), Vec::new());
        decode_segments(path, &mut text, &mut ranges)?;
        Ok(ranges.iter().map(|&(start, end)| text[start as usize..end as usize].to_owned()).collect())
    }

    #[test]
    fn paths_are_split_then_decoded_once() {
        let table: [(&str, &[&str]); 14] = [
            ("/", &[]),
            ("", &[]),
            ("//", &[]),
            ("*", &[]),
            ("/a", &["a"]),
            ("/a/", &["a"]),
            ("//a///b", &["a", "b"]),
            ("/a%2Fb/c", &["a/b", "c"]),
            ("/%2e%2E/./..", &["..", ".", ".."]),
            ("/%2541", &["%41"]),
            ("/a+b", &["a+b"]),
            ("/caf%C3%A9", &["caf\u{e9}"]),
            ("/a;b=c", &["a;b=c"]),
            ("/%20", &[" "]),
        ];
        for (path, expected) in table {
            assert_eq!(segments(path).expect(path), expected, "{path}");
        }
    }

    #[test]
    fn bad_percent_encoding_is_refused() {
        for path in ["/%", "/a%4", "/%4/1", "/%zz", "/%4g", "/%%41", "/%+1"] {
            assert_eq!(segments(path), Err(Refusal::BadPercentEncoding), "{path}");
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        for path in ["/%FF", "/a%C3", "/%C0%AF", "/%ED%A0%80"] {
            assert_eq!(segments(path), Err(Refusal::PathNotUtf8), "{path}");
        }
    }

    #[test]
    fn a_character_split_over_two_segments_is_refused() {
        assert_eq!(segments("/%C3/%A9"), Err(Refusal::PathNotUtf8));
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(segments("/%00"), Err(Refusal::NulInPath));
        assert_eq!(segments("/a/b%00c"), Err(Refusal::NulInPath));
        assert_eq!(segments("/a\0"), Err(Refusal::NulInPath));
    }

    #[test]
    fn after_a_refusal_nothing_is_left() {
        let (mut text, mut ranges) = (String::from("old"), vec![(0, 3)]);
        decode_segments("/a/%FF", &mut text, &mut ranges).expect_err("not UTF-8");
        assert!(text.is_empty() && ranges.is_empty());
    }
}
