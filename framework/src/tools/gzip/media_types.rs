//! Which media types are worth compressing: patterns, as in CherryPy.

use crate::settings::{Setting, SettingValue};

/// A list of patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MediaTypes(Vec<String>);

/// Text in all its forms, and the few binary formats that are not compressed in themselves.
const DEFAULT: [&str; 14] = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/x-ndjson",
    "application/javascript",
    "application/xml",
    "application/*+xml",
    "application/wasm",
    "application/vnd.ms-fontobject",
    "image/svg+xml",
    "image/bmp",
    "image/x-icon",
    "font/ttf",
    "font/otf",
];

/// Compressed only where it is named: its connections live for hours, and each would keep a compressor.
const EVENT_STREAM: &str = "text/event-stream";

impl Default for MediaTypes {
    fn default() -> Self {
        Self(DEFAULT.map(str::to_owned).into())
    }
}

impl Setting for MediaTypes {
    fn read(value: &SettingValue) -> Result<Self, String> {
        Vec::<String>::read(value).map(Self::new)
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

impl MediaTypes {
    pub(super) fn new(patterns: impl IntoIterator<Item = String>) -> Self {
        Self(patterns.into_iter().map(|pattern| pattern.to_ascii_lowercase()).collect())
    }

    /// The mistake in a pattern, if any.
    pub(super) fn problem(&self) -> Option<String> {
        let is_wrong = |pattern: &&String| match pattern.split_once('/') {
            Some((kind, subtype)) => {
                let subtype = subtype.strip_prefix('*').map_or(subtype, |rest| rest.strip_prefix('+').unwrap_or(rest));
                let has_star = (kind != "*" && kind.contains('*')) || subtype.contains(['*', '/']);
                kind.is_empty() || has_star || pattern.contains([';', ',', ' ']) || pattern.ends_with(['/', '+'])
            }
            None => true,
        };
        let wrong = self.0.iter().find(is_wrong)?;
        Some(format!(
            "has {wrong:?}; a pattern is a media type as \"text/css\", or \"text/*\", or \"application/*+json\""
        ))
    }

    /// Whether one of the patterns is for content of the type in a Content-Type field.
    pub(super) fn contain(&self, content_type: &[u8]) -> bool {
        let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
        let Ok(essence) = std::str::from_utf8(essence) else { return false };
        let Some((kind, subtype)) = essence.trim().split_once('/') else { return false };
        let is_event_stream = essence.trim().eq_ignore_ascii_case(EVENT_STREAM);
        self.0.iter().any(|pattern| match pattern.split_once('/') {
            _ if is_event_stream => pattern == EVENT_STREAM,
            Some((wanted, wanted_subtype)) => {
                (wanted == "*" || wanted.eq_ignore_ascii_case(kind)) && subtype_fits(wanted_subtype, subtype)
            }
            None => false,
        })
    }
}

/// `*` fits any, `*+json` all names that end in `+json`, anything else itself.
fn subtype_fits(wanted: &str, subtype: &str) -> bool {
    match wanted.strip_prefix('*') {
        None => wanted.eq_ignore_ascii_case(subtype),
        Some(suffix) => {
            let start = subtype.len().checked_sub(suffix.len());
            start.and_then(|start| subtype.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(patterns: &[&str]) -> MediaTypes {
        MediaTypes::new(patterns.iter().map(|&pattern| pattern.to_owned()))
    }

    #[test]
    fn text_is_compressed_and_compressed_types_are_not() {
        let types = MediaTypes::default();
        for compressed in [
            "text/html; charset=utf-8",
            "TEXT/CSS",
            "application/json",
            "application/problem+json",
            "application/atom+xml;type=feed",
            "image/svg+xml",
            "application/wasm",
        ] {
            assert!(types.contain(compressed.as_bytes()), "{compressed}");
        }
        for as_it_is in
            ["image/png", "video/mp4", "application/zip", "application/octet-stream", "font/woff2", "", "text", "/"]
        {
            assert!(!types.contain(as_it_is.as_bytes()), "{as_it_is}");
        }
        assert!(!types.contain(b"text/\xff"));
    }

    #[test]
    fn patterns_are_those_of_cherrypy() {
        let types = of(&["text/html", "application/*+json", "Image/*"]);
        for (content_type, expected) in [
            ("text/html", true),
            ("text/plain", false),
            ("application/ld+json", true),
            ("application/json", false),
            ("application/+json", true),
            ("image/png", true),
        ] {
            assert_eq!(types.contain(content_type.as_bytes()), expected, "{content_type}");
        }
        assert!(of(&["*/*"]).contain(b"video/mp4"));
        assert!(!of(&[]).contain(b"text/html"));
    }

    #[test]
    fn an_event_stream_is_compressed_only_where_it_is_named() {
        assert!(!MediaTypes::default().contain(b"text/event-stream"));
        assert!(!of(&["*/*"]).contain(b"text/event-stream; charset=utf-8"));
        assert!(of(&["text/*", "Text/Event-Stream"]).contain(b"text/event-stream; charset=utf-8"));
    }

    #[test]
    fn a_pattern_that_can_fit_nothing_is_named() {
        assert_eq!(MediaTypes::default().problem(), None);
        assert_eq!(of(&["*/*", "*/*+json", "a/b"]).problem(), None);
        for wrong in ["text", "", "/", "text/", "/html", "t*/html", "text/h*", "text/*+", "text/html; charset=utf-8"] {
            let problem = of(&["text/html", wrong]).problem().unwrap_or_default();
            assert!(problem.starts_with(&format!("has {wrong:?}; a pattern is")), "{wrong}: {problem}");
        }
    }
}
