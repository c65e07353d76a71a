//! The page after the login: a page of this site, in spite of any link.
//!
//! The value of `next` comes from the address, so anybody can send a link with it.

use crate::http::is_local_reference;
use percent_encoding::percent_decode_str;

/// The text, if it is the path (and perhaps the query) of a page of this site.
pub(super) fn same_site(text: &str) -> Option<&str> {
    const LONGEST: usize = 2048;
    (text.len() <= LONGEST && is_local_reference(text)).then_some(text)
}

/// The segments of the path that a browser asks for when it is sent to `target`: it takes `.` and `..` out by itself,
/// encoded ones too.
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
    fn the_segments_of_a_target_are_those_that_a_browser_asks_for() {
        let table =
            [("/", ""), ("/a/b?c=/d", "a b"), ("//a%2Fb/", "a/b"), ("/a/../b", "b"), ("/a//%2e%2E/./b#c", "a b")];
        for (target, expected) in table {
            assert_eq!(segments(target).join(" "), expected, "{target}");
        }
        assert_eq!(segments("/../a/b/../../.."), [""; 0]);
    }

    #[test]
    fn a_page_of_this_site_is_taken_and_no_other() {
        assert_eq!(same_site("/members/a?b=c"), Some("/members/a?b=c"));
        let long = format!("/{}", "a".repeat(2048));
        for foreign in ["//evil.example", "/%09/evil.example", "", &long] {
            assert_eq!(same_site(foreign), None, "{foreign}");
        }
    }
}
