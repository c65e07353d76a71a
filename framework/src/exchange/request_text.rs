//! From bytes that a client has sent to text: one rule for the query, forms of either kind, and JSON.
//!
//! Text is UTF-8 unless the client declares another charset. Malformed bytes are 400, never replaced: a question mark
//! in a name would be stored for good. The answer names the parameter. Paths have the same rule, but cannot declare a
//! charset.

use super::HttpError;
use crate::http::{Charset, UnknownCharset};
use ::http::StatusCode;

/// The field of a form that tells the charset of the others: browsers fill it in (HTML standard, section 4.10.22.5),
/// and RFC 7578, section 4.6, reads it.
pub(super) const CHARSET_FIELD: &str = "_charset_";

/// The charset that a media type declares.
///
/// # Errors
/// 415 when it is not known; `what` it is of is for the sentence.
pub(super) fn declared(media_type: &str, what: &str) -> Result<Option<Charset>, HttpError> {
    Charset::declared(media_type).map_err(|UnknownCharset| unknown(what))
}

/// The charset that the field [`CHARSET_FIELD`] declares. An empty one declares none.
///
/// # Errors
/// 415 when it is not known.
pub(super) fn named_by_field(label: &[u8]) -> Result<Option<Charset>, HttpError> {
    match label.trim_ascii() {
        b"" => Ok(None),
        label => Charset::of_label(label).map(Some).ok_or_else(|| unknown("form")),
    }
}

/// The answer to a parameter whose value is not valid text; its name is known.
pub(super) fn not_text(name: &str, charset: Charset) -> HttpError {
    let message = format!("the parameter `{}` is not {}", name.escape_debug(), charset.name());
    HttpError::new(StatusCode::BAD_REQUEST, message)
}

/// The answer where the name itself is not valid text.
pub(super) fn name_is_not_text(charset: Charset) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, format!("the name of a parameter is not {}", charset.name()))
}

fn unknown(what: &str) -> HttpError {
    let message = format!("the charset of the {what} is not known here; send UTF-8");
    HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
}
