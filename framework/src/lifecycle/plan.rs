//! The plan: everything that was decided at start about one path section.

use super::{Admit, Hook, HookPoint, Hooks};
use std::sync::Arc;

/// The merged configuration of one path section, with its hooks sorted. Built once at start, never per request.
#[derive(Default)]
pub struct Plan {
    pub(crate) section: String,
    pub(crate) tools: Vec<&'static str>,
    pub(crate) answers: bool,
    pub(crate) hooks: [Vec<Hook>; HookPoint::COUNT],
    /// All admissions; those that are asked before the body come first.
    pub(crate) admissions: Vec<Arc<dyn Admit>>,
    /// How many of them are asked before the body.
    pub(crate) early_admissions: usize,
    pub(crate) settings: PathSettings,
    /// The section that set `max_body` and the one that set `max_form`, for the message of a 413.
    pub(crate) max_body_section: String,
    pub(crate) max_form_section: String,
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

    /// Adds what a tool attached. Hooks are sorted by priority; ties keep the order in which the tools were switched on.
    pub(crate) fn add(&mut self, attached: &Hooks) {
        for hook in &attached.hooks {
            let hooks = &mut self.hooks[hook.point as usize];
            let index = hooks.partition_point(|earlier| earlier.priority <= hook.priority);
            hooks.insert(index, hook.clone());
        }
        let early = self.early_admissions..self.early_admissions;
        self.admissions.splice(early, attached.early_admissions.iter().cloned());
        self.early_admissions += attached.early_admissions.len();
        self.admissions.extend(attached.admissions.iter().cloned());
    }
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
    /// `max_form`: largest urlencoded form in bytes that becomes arguments by name (default 2 MiB). Forms stay in memory, whatever
    /// `body_memory` says, so they have a limit of their own. More is 413.
    pub max_form: u64,
    /// `body_memory`: bodies above this many bytes go to a temporary file (default 256 KiB).
    pub body_memory: u64,
    /// `show_tracebacks`: error pages tell the cause (default off; for development only).
    pub show_tracebacks: bool,
    /// `strict_params`: unknown query and form fields are refused (default off).
    pub strict_params: bool,
}

impl Default for PathSettings {
    fn default() -> Self {
        Self {
            max_body: 100 << 20,
            max_form: 2 << 20,
            body_memory: 256 << 10,
            show_tracebacks: false,
            strict_params: false,
        }
    }
}
