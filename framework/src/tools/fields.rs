//! Names and values of fields as settings have them: texts, checked at start. And a field that several tools set.

use crate::http::ResponseDirectives;
use crate::{HeaderName, HeaderValue, Response, header};

/// A field value, or the mistake in the text: control characters, such as a line break, would begin another field (RFC
/// 9110, section 5.5).
pub(super) fn value(text: &str) -> Result<HeaderValue, String> {
    let problem = || {
        format!(
            "is {text:?}, which cannot be the value of a field: it must be text in one line, without control characters"
        )
    };
    HeaderValue::from_str(text.trim()).map_err(|_| problem())
}

/// A field name, or the mistake in the text.
pub(super) fn name(text: &str) -> Result<HeaderName, String> {
    let problem =
        || format!("has {text:?}, which cannot be the name of a field: write letters, digits and `-`, as \"X-Name\"");
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| problem())
}

/// Makes a page one visitor's, unless it says so itself: shared caches do not keep it, and the browser's own asks
/// before it shows it again.
pub(super) fn keep_from_shared_caches(response: &mut Response) {
    let said = response.headers().filter(|(name, _)| **name == header::CACHE_CONTROL).map(|(_, value)| value);
    let directives = ResponseDirectives::read(said);
    if !directives.private && !directives.no_store {
        response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
}
