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

    /// The answer to more: 413, with the setting to change and the section where it was set.
    pub(crate) fn exceeded(&self) -> HttpError {
        let Self { setting, section, most } = self;
        let (what, unit) = match *setting {
            "max_parts" => ("The form has more parts", "parts"),
            _ => ("The request body is larger", "bytes"),
        };
        let message = format!("{what} than `{setting}` at `{section}` allows: {most} {unit}.");
        HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
}
