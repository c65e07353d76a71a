//! Values that a page for developers does not show either, since it ends up in screenshots and bug reports.

use crate::exchange::KEY_PARAMETER;

/// Stands for a secret.
pub(super) const MASK: &str = "••••••";

/// Parts of names whose values are secret. Rather too many values are masked than too few.
const SECRET_PARTS: [&str; 17] = [
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "authori",
    "authenticat",
    "cookie",
    "session",
    "csrf",
    "xsrf",
    "credential",
    "api_key",
    "apikey",
    "private",
    "signature",
    "otp",
];
/// Whole names of the kind.
const SECRET_NAMES: [&str; 6] = ["auth", "key", "pin", "sid", "code", KEY_PARAMETER];

/// Longest value that is shown whole, in characters.
const LONGEST: usize = 500;

pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRET_NAMES.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Replaces the values of secret parameters in what an error says, unless they are too short to be found for sure.
pub(super) fn without_secrets<'v>(mut text: String, parameters: impl Iterator<Item = (&'v str, &'v str)>) -> String {
    /// Shorter secrets would mask half of the words.
    const SHORTEST: usize = 4;
    for (_, value) in parameters.filter(|(name, value)| is_secret(name) && value.len() >= SHORTEST) {
        if text.contains(value) {
            text = text.replace(value, MASK);
        }
    }
    text
}

/// The value of a parameter as it is shown.
pub(super) fn masked(name: &str, value: &str) -> String {
    if is_secret(name) { MASK.to_owned() } else { shortened(value) }
}

/// The value of a field as it is shown. The queries of addresses in it are left out: they hold parameters.
pub(super) fn masked_field(name: &str, value: &str) -> String {
    match value.split_once('?') {
        _ if is_secret(name) => MASK.to_owned(),
        Some((address, _)) if address.contains("://") || address.starts_with('/') => {
            format!("{}?…", shortened(address))
        }
        _ => shortened(value),
    }
}

/// A text of a client as it is shown.
pub(super) fn shortened(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} bytes)", &value[..end], value.len()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_sound_like_secrets_are_masked() {
        for name in [
            "password",
            "new_passwd",
            "Authorization",
            "X-Api-Key",
            "Cookie",
            "csrf-token",
            "sessionid",
            "pin",
            "X-Auth-Token",
            "kirsch_debug",
        ] {
            assert_eq!(masked_field(name, "hunter2"), MASK, "{name}");
        }
        for name in ["name", "author", "shipping", "keyword", "Accept", "zip_code"] {
            assert_eq!(masked(name, "shown"), "shown", "{name}");
        }
        assert_eq!(masked_field("Referer", "http://localhost/reset?token=hunter2"), "http://localhost/reset?…");
    }

    #[test]
    fn an_error_that_tells_a_secret_is_masked() {
        let parameters = [("password", "hunter2"), ("pin", "12"), ("name", "anna")];
        let told = without_secrets("anna's \"hunter2\" has 12 faults".to_owned(), parameters.into_iter());
        assert_eq!(told, format!("anna's \"{MASK}\" has 12 faults"));
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(masked("a", &"ä".repeat(600)), format!("{}… (1200 bytes)", "ä".repeat(500)));
    }
}
