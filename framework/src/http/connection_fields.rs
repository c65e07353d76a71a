//! Fields that are about one connection, not about the message: whoever passes a message on leaves them out.

use super::list_has;

/// Whether a field is about framing or one connection (RFC 9110, section 7.6.1), by its name or because `Connection`
/// lists it.
pub(crate) fn is_of_the_connection(name: &str, options: &[&[u8]]) -> bool {
    const NAMES: [&str; 11] = [
        "connection",
        "content-length",
        "date",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) || list_has(options.iter().copied(), name)
}
