//! The plan: everything that was decided at start about one path section.

use super::debug_page::DebugNotes;
use super::hook::ParkedFunction;
use super::request_counts::RequestCounts;
use super::{Admit, ErrorForm, ErrorPages, Hook, HookPoint, Hooks};
use crate::exchange::{JSON_TYPES, Late, Limits, MAX_BODY, MAX_FORM, MAX_JSON, MAX_PARTS, problem_with_json_type};
use crate::settings::Settings;
use crate::tickets::Tickets;
use std::sync::Arc;

/// The merged configuration of one path section, with its hooks sorted. Built once at start, never per request.
#[derive(Default)]
pub struct Plan {
    pub(crate) section: String,
    /// Where the app is mounted that the section belongs to, percent-encoded; `None` for the outermost.
    pub(crate) mount: Option<Arc<str>>,
    pub(crate) tools: Vec<&'static str>,
    /// What the tools provide besides themselves, as `login`.
    pub(crate) provided: Vec<&'static str>,
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
    /// What the key of the process opens here, in words for the log.
    pub(crate) keyed: Option<&'static str>,
    /// A thread of their own answers requests here while no worker is free.
    pub(crate) answers_when_busy: bool,
    /// A hook or an admission before the handler may take time.
    pub(crate) works_before_handler: bool,
    /// Tools that read the counts of requests.
    pub(crate) counts_readers: Vec<Late<RequestCounts>>,
    /// Tools that show the tickets.
    pub(crate) tickets_readers: Vec<Late<Tickets>>,
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

    /// The priorities of all admissions, in the order in which they are asked.
    pub fn admission_priorities(&self) -> impl Iterator<Item = u8> {
        self.admissions.iter().map(|admission| admission.priority())
    }

    /// Adds what a tool attached. Hooks and admissions are sorted by priority; ties keep the order in which the tools
    /// were switched on.
    pub(crate) fn add(&mut self, attached: &Hooks) {
        for hook in &attached.hooks {
            let hooks = &mut self.hooks[hook.point as usize];
            let index = hooks.partition_point(|earlier| earlier.priority <= hook.priority);
            hooks.insert(index, hook.clone());
            self.works_before_handler |= hook.point.is_before_handler() && !hook.is_brief;
        }
        self.works_before_handler |= !attached.early_admissions.is_empty() || !attached.admissions.is_empty();
        self.reads_forms |= attached.reads_forms;
        self.keyed = self.keyed.or(attached.keyed);
        self.answers_when_busy |= attached.answers_when_busy;
        self.counts_readers.extend(attached.counts_readers.iter().cloned());
        self.tickets_readers.extend(attached.tickets_readers.iter().cloned());
        self.provided.extend(&attached.provided);
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
///
/// The table of all defaults is at [`Settings`](#impl-Settings-for-PathSettings).
#[derive(Clone, Debug, PartialEq, Eq, Settings)]
#[settings(no_builders)]
pub struct PathSettings {
    /// Largest request body; more is 413. CherryPy's default is the same.
    #[setting(size, default = MAX_BODY)]
    pub max_body: u64,
    /// Maximum of the form data that becomes arguments, files aside; more is 413.
    ///
    /// It stays in memory, even beyond `body_memory`, so it has a limit of its own.
    #[setting(size, default = MAX_FORM)]
    pub max_form: u64,
    /// Largest JSON body that becomes a value; more is 413.
    ///
    /// It stays in memory, even beyond `body_memory`.
    #[setting(size, default = MAX_JSON)]
    pub max_json: u64,
    /// The content types that [`Json<T>`](crate::Json) reads; `*` is any start of a type or a subtype.
    #[setting(default = JSON_TYPES.map(str::to_owned).into(), check = json_types)]
    pub json_types: Vec<String>,
    /// Maximum of parts in a multipart form; more is 413.
    #[setting(default = MAX_PARTS, min = 1)]
    pub max_parts: usize,
    /// Larger bodies go to a temporary file.
    #[setting(size, default = "256 KiB")]
    pub body_memory: u64,
    /// Error pages tell the cause; for development only.
    pub show_tracebacks: bool,
    /// Errors show everything about the request to browsers that have opened the link in the log; for development only.
    ///
    /// Unexpected errors show their cause, the handler, parameters, hooks and plan, and 404 the routes near the path.
    pub debug_page: bool,
    /// The form of the built-in error pages: `"auto"` is as the client accepts; else `"html"`, `"json"`, `"problem"` or
    /// `"text"`.
    pub errors: ErrorForm,
    /// Query and form fields that the page does not name are refused.
    pub strict_params: bool,
}

fn json_types(patterns: &[String]) -> Result<(), String> {
    match patterns.iter().find_map(|pattern| Some((pattern, problem_with_json_type(pattern)?))) {
        Some((pattern, problem)) => Err(format!("has {pattern:?}; {problem}")),
        None => Ok(()),
    }
}

impl Default for PathSettings {
    fn default() -> Self {
        Self::defaults()
    }
}

#[cfg(test)]
mod tests {
    use crate::{App, Sessions, Tree};

    #[test]
    fn a_page_needs_no_clock_of_its_own_where_no_tool_takes_time_before_it() {
        let app = || App::new(Tree::new().index(|_| ""));
        let works = |app: App| app.build().unwrap().plans()[0].works_before_handler;
        assert_eq!([app(), app().tool("/", Sessions::in_memory())].map(works), [false, true]);
    }
}
