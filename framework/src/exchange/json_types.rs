//! Which content types are JSON: a list of patterns, which a path can set.

/// The types that are JSON by default: the registered type and those built on it, and those that clients sent before
/// they were registered. `text/plain` is not among them: any page of any site may send that, without asking.
pub(crate) const JSON_TYPES: [&str; 6] =
    ["application/json", "*/*+json", "text/json", "application/x-json", "text/x-json", "application/csp-report"];

/// Whether `media_type`, which has no parameters, is one of `types`.
pub(crate) fn is_json(media_type: &str, types: &[impl AsRef<str>]) -> bool {
    let Some((kind, subtype)) = media_type.split_once('/') else { return false };
    types.iter().filter_map(|pattern| pattern.as_ref().split_once('/')).any(|(wanted_kind, wanted_subtype)| {
        matches(kind.as_bytes(), wanted_kind.as_bytes()) && matches(subtype.as_bytes(), wanted_subtype.as_bytes())
    })
}

/// The mistake in a pattern, if it has one.
pub(crate) fn problem_with(pattern: &str) -> Option<&'static str> {
    let is_word = |word: &str| {
        let word = word.strip_prefix('*').unwrap_or(word);
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match pattern.split_once('/') {
        Some((kind, subtype)) if !kind.is_empty() && !subtype.is_empty() && is_word(kind) && is_word(subtype) => None,
        _ => Some("write media types as \"application/json\" or \"application/*+json\""),
    }
}

/// `wanted` may start with a `*` for any start.
fn matches(word: &[u8], wanted: &[u8]) -> bool {
    match wanted.strip_prefix(b"*") {
        Some(end) => word.len() >= end.len() && word[word.len() - end.len()..].eq_ignore_ascii_case(end),
        None => word.eq_ignore_ascii_case(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_clients_for_json_are_json() {
        for media_type in [
            "application/json",
            "Application/JSON",
            "text/json",
            "application/x-json",
            "text/x-json",
            "application/csp-report",
            "application/reports+json",
            "application/ld+json",
            "application/vnd.api+json",
            "model/gltf+JSON",
        ] {
            assert!(is_json(media_type, &JSON_TYPES), "{media_type}");
        }
        for media_type in
            ["", "json", "text/plain", "application/jsonp", "application/xml", "+json", "application/json5"]
        {
            assert!(!is_json(media_type, &JSON_TYPES), "{media_type}");
        }
    }

    #[test]
    fn a_pattern_is_a_media_type_that_may_start_with_stars() {
        for (media_type, pattern, is_met) in [
            ("application/x+json", "application/*+json", true),
            ("text/x+json", "application/*+json", false),
            ("a/b", "*/*", true),
            ("json", "*/*json", false),
        ] {
            assert_eq!(is_json(media_type, &[pattern]), is_met, "{media_type} {pattern}");
            assert_eq!(problem_with(pattern), None);
        }
        for pattern in ["json", "", "/", "a/", "a/b; c=d", "a/b*", "a b/c", "a/b/c"] {
            assert!(problem_with(pattern).is_some(), "{pattern}");
        }
    }
}
