//! Typed settings from code and TOML, merged by path into plans.
//!
//! ```toml
//! [global]                        # the server's settings
//! server.threads = 20
//! server.idle_timeout = "30s"
//!
//! ["/"]                           # a path section: settings and tools of the path and everything below it
//! max_body = "10 MiB"
//! sessions.timeout = "30m"        # a setting of a tool
//!
//! ["/static"]
//! sessions.on = false             # a tool, off from here on down
//! ```
//!
//! * A section inherits tools and settings of the sections above it and changes single keys.
//! * Within one section the file wins over the code: the operator has the last word. A section further down wins over
//!   one further up, wherever they were written.
//! * The file switches tools off and on and sets their keys; a tool is brought in by code, since only code can make it.
//! * Durations need a unit. An unknown key stops the start, with a suggestion. So does a value of the wrong kind.
//!
//! The keys are fields of `ServerSettings` and `PathSettings`; the keys of a tool are those of its
//! [`Settings`](crate::Settings).

mod file;
mod keys;
mod merge;

pub(crate) use file::ConfigurationFile;
pub use keys::{KeyDescription, keys};
pub(crate) use merge::{AppPlace, Change, Merged, SectionPath, Statement, how_to_add, joined, merge};

/// The reason why a configuration was refused: the place, the mistake, and the right form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    place: String,
    problem: String,
}

impl ConfigError {
    pub(crate) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

impl ConfigError {
    /// The same, found in the app of that host.
    #[must_use]
    pub(crate) fn of_host(self, host: &str) -> Self {
        Self { place: format!("{host}: {}", self.place), ..self }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
