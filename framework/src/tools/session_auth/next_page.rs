//! Where a visitor goes after the login: a page of this site, whatever a link has said.
//!
//! What stands in `next` comes from the address, so anybody can send a link with it. Browsers take `//host`, `/\host` and both with tabs and line breaks in
//! between for another site; what decodes to that is refused as well, since somebody on the way may decode it.

use percent_encoding::percent_decode_str;

/// The text, if it is the path (and perhaps the query) of a page of this site.
pub(super) fn same_site(text: &str) -> Option<&str> {
    const LONGEST: usize = 2048;
    let is_plain = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !is_plain || !text.starts_with('/') {
        return None;
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let mut decoded = path.to_owned();
    // Twice: for who decodes what was decoded already.
    for _ in 0..3 {
        let is_foreign = decoded.starts_with("//") || decoded.contains('\\') || decoded.contains(char::is_control);
        if is_foreign {
            return None;
        }
        decoded = percent_decode_str(&decoded).decode_utf8().ok()?.into_owned();
    }
    Some(text)
}

/// The segments of the path that a browser asks for when it is sent to `target`: it takes `.` and `..` out by itself, encoded ones too.
pub(super) fn segments(target: &str) -> Vec<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match percent_decode_str(segment).decode_utf8_lossy().as_ref() {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment.to_owned()),
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i12_pages_of_this_site_are_taken() {
        for good in ["/", "/members/", "/members/a?b=c&d=//e", "/a//b", "/a%20b", "/%C3%BC?q=%5C", "/a@b", "/a:b"] {
            assert_eq!(same_site(good), Some(good));
        }
    }

    #[test]
    fn the_segments_of_a_target_are_those_that_a_browser_asks_for() {
        let table =
            [("/", ""), ("/a/b?c=/d", "a b"), ("//a%2Fb/", "a/b"), ("/a/../b", "b"), ("/a//%2e%2E/./b#c", "a b")];
        for (target, expected) in table {
            assert_eq!(segments(target).join(" "), expected, "{target}");
        }
        assert_eq!(segments("/../a/b/../../.."), [""; 0]);
    }

    #[test]
    fn i12_other_sites_are_not() {
        let long = format!("/{}", "a".repeat(2048));
        let vectors = [
            "",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "https:evil.example",
            "https://evil.example",
            "http:///evil.example",
            "javascript:alert(1)",
            "evil.example",
            "members",
            "?next",
            "/%2f%2fevil.example",
            "/%2Fevil.example",
            "%2f%2fevil.example",
            "/%5cevil.example",
            "/%255cevil.example",
            "/%252fevil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/a\r\nSet-Cookie: a=b",
            "/%0d%0aSet-Cookie:a",
            "/%09/evil.example",
            " //evil.example",
            "/ /evil.example",
            "/\u{2028}",
            "/ü",
            "/%ff",
            "/\0",
            &long,
        ];
        for vector in vectors {
            assert_eq!(same_site(vector), None, "{vector:?}");
        }
    }
}
