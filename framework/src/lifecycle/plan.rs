//! The plan: everything that was decided at start about one path section.

use super::Admit;
use super::{ErrorPages, Hook, HookPoint};
use std::sync::Arc;

/// The merged configuration of one path section, with its hooks sorted. Built once at start, never per request.
#[derive(Default)]
pub struct Plan {
    pub(crate) section: String,
    pub(crate) tools: Vec<&'static str>,
    pub(crate) hooks: [Vec<Hook>; HookPoint::COUNT],
    pub(crate) admissions: Vec<Arc<dyn Admit>>,
    pub(crate) settings: PathSettings,
    pub(crate) error_pages: ErrorPages,
}

/// The settings that every path has, tools aside.
#[derive(Clone, Debug)]
pub struct PathSettings {
    /// `max_body`: largest request body in bytes (default 100 MiB, CherryPy's).
    pub max_body: u64,
    /// `body_memory`: bodies above this many bytes go to a temporary file (default 256 KiB).
    pub body_memory: u64,
    /// `show_tracebacks`: error pages tell the cause (default off; for development only).
    pub show_tracebacks: bool,
    /// `strict_params`: unknown query and form fields are refused (default off).
    pub strict_params: bool,
}

impl Default for PathSettings {
    fn default() -> Self {
        Self { max_body: 100 << 20, body_memory: 256 << 10, show_tracebacks: false, strict_params: false }
    }
}
