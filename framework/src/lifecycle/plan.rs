//! The plan: everything that was decided at start about one path section.

use super::debug_page::DebugNotes;
use super::hook::ParkedFunction;
use super::{Admit, ErrorForm, ErrorPages, Hook, HookPoint, Hooks};
use crate::exchange::{JSON_TYPES, Limits, MAX_BODY, MAX_FORM, MAX_JSON, MAX_PARTS};
use std::sync::Arc;

/// The merged configuration of one path section, with its hooks sorted. Built once at start, never per request.
#[derive(Default)]
pub struct Plan {
    pub(crate) section: String,
    /// Where the app is mounted that the section belongs to, percent-encoded; `None` for the outermost.
    pub(crate) mount: Option<Arc<str>>,
    pub(crate) tools: Vec<&'static str>,
    pub(crate) answers: bool,
    pub(crate) hooks: [Vec<Hook>; HookPoint::COUNT],
    /// All admissions; those that are asked before the body come first.
    pub(crate) admissions: Vec<Arc<dyn Admit>>,
    /// How many of them are asked before the body.
    pub(crate) early_admissions: usize,
    /// Told when a request is parked.
    pub(crate) when_parked: Vec<Arc<ParkedFunction>>,
    /// A tool looks into forms, whether the handlers take them or not.
    pub(crate) reads_forms: bool,
    pub(crate) settings: PathSettings,
    /// The application's error pages here, those of the sections above included.
    pub(crate) error_pages: ErrorPages,
    /// The plan's part of the debug page, where it is on.
    pub(crate) debug: Option<Box<DebugNotes>>,
    /// The limits among the settings, each with the section that set it.
    pub(crate) limits: Arc<Limits>,
}

impl Plan {
    /// The path section that the plan was made for, as it was written.
    #[must_use]
    pub fn section(&self) -> &str {
        &self.section
    }

    /// The tools that are on, in the order in which they were switched on.
    #[must_use]
    pub fn tools(&self) -> &[&'static str] {
        &self.tools
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &PathSettings {
        &self.settings
    }

    /// The hooks of a point, in the order in which they run.
    #[must_use]
    pub fn hooks(&self, point: HookPoint) -> &[Hook] {
        &self.hooks[point as usize]
    }

    /// All hooks, point by point, each point's in the order in which they run.
    pub fn all_hooks(&self) -> impl Iterator<Item = &Hook> {
        self.hooks.iter().flatten()
    }

    /// Adds what a tool attached. Hooks and admissions are sorted by priority; ties keep the order in which the tools
    /// were switched on.
    pub(crate) fn add(&mut self, attached: &Hooks) {
        for hook in &attached.hooks {
            let hooks = &mut self.hooks[hook.point as usize];
            let index = hooks.partition_point(|earlier| earlier.priority <= hook.priority);
            hooks.insert(index, hook.clone());
        }
        self.reads_forms |= attached.reads_forms;
        self.when_parked.extend(attached.when_parked.iter().cloned());
        for admission in &attached.early_admissions {
            let index = place(&self.admissions[..self.early_admissions], admission);
            self.admissions.insert(index, admission.clone());
            self.early_admissions += 1;
        }
        for admission in &attached.admissions {
            let index = self.early_admissions + place(&self.admissions[self.early_admissions..], admission);
            self.admissions.insert(index, admission.clone());
        }
    }
}

/// Where an admission belongs among others.
fn place(others: &[Arc<dyn Admit>], admission: &Arc<dyn Admit>) -> usize {
    others.partition_point(|earlier| earlier.priority() <= admission.priority())
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("section", &self.section)
            .field("tools", &self.tools)
            .field("hooks", &self.hooks)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The settings that every path has, tools aside. A section inherits those of its parents and changes single ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSettings {
    /// `max_body`: largest request body in bytes (default 100 MiB, CherryPy's). More is 413.
    pub max_body: u64,
    /// `max_form`: maximum of the form data that becomes arguments, in bytes, files aside (default 2 MiB). It stays in
    /// memory, even beyond `body_memory`, so it has a limit of its own. More is 413.
    pub max_form: u64,
    /// `max_json`: largest JSON body in bytes that becomes a value (default 2 MiB): it stays in memory, too. More is
    /// 413.
    pub max_json: u64,
    /// `json_types`: the content types that [`Json`](crate::Json) reads as an argument. A type and a subtype may start
    /// with `*` for any start. Default: `application/json`, `*/*+json`, `text/json`, `application/x-json`,
    /// `text/x-json`, `application/csp-report`.
    pub json_types: Vec<String>,
    /// `max_parts`: maximum of parts in a multipart form (default 1000). More is 413.
    pub max_parts: usize,
    /// `body_memory`: bodies above this many bytes go to a temporary file (default 256 KiB).
    pub body_memory: u64,
    /// `show_tracebacks`: error pages tell the cause (default off; for development only).
    pub show_tracebacks: bool,
    /// `debug_page`: unexpected errors show their cause, the handler, parameters, hooks and plan, and 404 the routes
    /// near the path, to browsers that have opened the link in the log (default off; for development only).
    pub debug_page: bool,
    /// `errors`: the form of the built-in error page (default [`Auto`](ErrorForm::Auto): as the client accepts).
    pub errors: ErrorForm,
    /// `strict_params`: unknown query and form fields are refused (default off).
    pub strict_params: bool,
}

impl Default for PathSettings {
    fn default() -> Self {
        Self {
            max_body: MAX_BODY,
            max_form: MAX_FORM,
            max_json: MAX_JSON,
            json_types: JSON_TYPES.map(str::to_owned).into(),
            max_parts: MAX_PARTS,
            body_memory: 256 << 10,
            show_tracebacks: false,
            debug_page: false,
            errors: ErrorForm::Auto,
            strict_params: false,
        }
    }
}
