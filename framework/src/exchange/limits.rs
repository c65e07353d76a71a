//! How much of a request body a path takes, and the message beyond it.

use super::{HttpError, JSON_TYPES};
use ::http::StatusCode;
use std::sync::Arc;

/// `max_body` unless set: CherryPy's.
pub(crate) const MAX_BODY: u64 = 100 << 20;
/// `max_form` unless set.
pub(crate) const MAX_FORM: u64 = 2 << 20;
/// `max_json` unless set.
pub(crate) const MAX_JSON: u64 = 2 << 20;
/// `max_parts` unless set.
pub(crate) const MAX_PARTS: usize = 1000;

/// The limits of the bodies of one path section, and its types of JSON.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) max_body: Limit,
    pub(crate) max_form: Limit,
    pub(crate) max_json: Limit,
    pub(crate) max_parts: Limit,
    /// Which media types are JSON here.
    pub(crate) json_types: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: Limit::new("max_body", "/", MAX_BODY),
            max_form: Limit::new("max_form", "/", MAX_FORM),
            max_json: Limit::new("max_json", "/", MAX_JSON),
            max_parts: Limit::new("max_parts", "/", MAX_PARTS as u64),
            json_types: JSON_TYPES.map(str::to_owned).into(),
        }
    }
}

/// One limit, with the setting and the section that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    setting: &'static str,
    section: Arc<str>,
    pub(crate) most: u64,
}

impl Limit {
    pub(crate) fn new(setting: &'static str, section: impl Into<Arc<str>>, most: u64) -> Self {
        Self { setting, section: section.into(), most }
    }

    /// The answer to more: 413. The operator reads the setting to change and the section where it was set.
    pub(crate) fn exceeded(&self) -> HttpError {
        let Self { setting, section, most } = self;
        let (message, unit) = match *setting {
            "max_parts" => (format!("The form has more parts than this page takes: at most {most}."), "parts"),
            _ => (format!("The request is larger than this page takes: at most {}.", in_words(*most)), "bytes"),
        };
        HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
            .with_remedy(format!("`{setting}` at `{section}` allows {most} {unit}"))
    }
}

/// A size as people say it: `2 MB`, `1.5 kB`, `10 bytes`.
fn in_words(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        None => format!("{bytes} bytes"),
        Some((unit, name)) => {
            // Rounded down: the page must take what the sentence promises.
            let (whole, tenth) = (bytes / unit, bytes % unit * 10 / unit);
            if tenth == 0 || whole >= 10 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn a_size_is_told_in_the_unit_that_suits_it() {
        let table = [(10, "10 bytes"), (1000, "1 kB"), (1 << 20, "1 MB"), (2_560_000, "2.5 MB"), (100 << 20, "104 MB")];
        for (bytes, words) in table {
            assert_eq!(in_words(bytes), words);
        }
    }
}
