//! Origins in the texts of settings.

pub(super) use crate::exchange::is_own_origin as is_own;
use crate::exchange::origin_of;

/// An origin as a setting has it: nothing behind the authority, or a slash.
pub(super) fn origin_setting(text: &str) -> Result<String, String> {
    match origin_of(text) {
        Some((origin, "" | "/")) => Ok(origin),
        _ => Err(format!("has {text:?}; write origins, as \"https://a.example\"")),
    }
}
