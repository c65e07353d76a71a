//! The content type of a file, by the last extension of its name.
//!
//! Unknown names are `application/octet-stream`, never a guess from the content: an upload with the name `photo` must
//! not become a page with scripts. (CherryPy's `serve_file` leaves them as `text/html`.) Text is labelled UTF-8.

use ::http::HeaderValue;
use std::collections::BTreeMap;

/// Content types by extension, in lower case, for extensions that have another one than usual.
pub(super) type Overrides = BTreeMap<String, HeaderValue>;

/// The content type of a file called `name`.
pub(super) fn content_type(name: &str, overrides: &Overrides) -> HeaderValue {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    if let Some(own) = extension.and_then(|extension| overrides.get(&extension)) {
        return own.clone();
    }
    let Some(usual) = mime_guess::from_path(name).first_raw() else { return UNKNOWN };
    if is_text(usual) {
        return HeaderValue::try_from(format!("{usual}; charset=utf-8")).unwrap_or(UNKNOWN);
    }
    HeaderValue::from_static(usual)
}

/// Whether content of that type usually becomes smaller when it is compressed, so that a compressed file may lie beside
/// it.
pub(super) fn is_compressible(content_type: &HeaderValue) -> bool {
    let Ok(content_type) = content_type.to_str() else { return false };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.starts_with("text/")
        || essence.ends_with("+xml")
        || essence.ends_with("+json")
        || [
            "application/javascript",
            "application/json",
            "application/octet-stream",
            "application/pdf",
            "application/vnd.ms-fontobject",
            "application/wasm",
            "application/x-javascript",
            "application/xml",
            "font/otf",
            "font/ttf",
            "image/bmp",
            "image/x-icon",
        ]
        .contains(&essence)
}

const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || matches!(media_type, "application/javascript" | "application/x-javascript")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(name: &str) -> String {
        content_type(name, &Overrides::new()).to_str().unwrap().to_owned()
    }

    #[test]
    fn the_last_extension_decides_in_any_case() {
        let table = [
            ("page.html", "text/html; charset=utf-8"),
            ("PAGE.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.mp4", "video/mp4"),
            ("a.wasm", "application/wasm"),
            ("a.tar.gz", "application/gzip"),
            ("photo", "application/octet-stream"),
            ("a.unheard-of", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("", "application/octet-stream"),
        ];
        for (name, expected) in table {
            assert_eq!(usual(name), expected, "{name}");
        }
    }

    #[test]
    fn overrides_are_taken_as_they_are() {
        let overrides = Overrides::from([("md".to_owned(), HeaderValue::from_static("text/x-own"))]);
        assert_eq!(content_type("a.MD", &overrides), "text/x-own");
        assert_eq!(content_type("md", &overrides), "application/octet-stream");
    }

    #[test]
    fn compressed_types_are_not_compressible() {
        let of = |name| is_compressible(&content_type(name, &Overrides::new()));
        assert!(of("a.html") && of("a.svg") && of("a.json") && of("a.wasm") && of("a.js"));
        assert!(!of("a.png") && !of("a.mp4") && !of("a.gz") && !of("a.woff2") && !of("a.zip"));
    }
}
