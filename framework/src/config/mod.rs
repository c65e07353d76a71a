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
//!
//! [shop]                          # a section of the application's own: `Configuration::section`
//! title = "Teas"
//!
//! [profile.production]            # what changes there
//! shop.title = "Teas and more"
//! ```
//!
//! * A section inherits tools and settings of the sections above it and changes single keys.
//! * Within one section the file wins over the code, the profile over the rest of the file, and the environment over
//!   both: the operator has the last word. A section further down wins over one further up, wherever they were written.
//! * The file switches tools off and on and sets their keys; a tool is brought in by code, since only code can make it.
//! * `KIRSCH_SERVER__THREADS`, `KIRSCH_ROOT__MAX_BODY` and `KIRSCH_SHOP__TITLE` are variables of the environment for a
//!   key of `[global]`, of `["/"]` and of `[shop]`.
//! * Durations need a unit. An unknown key stops the start, with a suggestion. So does a value of the wrong kind.
//!
//! The keys are fields of `ServerSettings` and `PathSettings`; the keys of a tool are those of its
//! [`Settings`](crate::Settings).
//!
//! | file | what it holds |
//! |---|---|
//! | `configuration.rs` | what a program reads: a file, its profile, the environment |
//! | `section.rs` | sections of the application's own, read by serde |
//! | `environment.rs` | the names of variables |
//! | `layer.rs`, `merge.rs` | what each source says for the framework, and how it becomes plans |
//! | `node.rs` | values with their places |
//! | `keys.rs` | the list of all keys |

mod configuration;
mod environment;
mod keys;
mod layer;
mod merge;
mod node;
mod section;

pub use configuration::Configuration;
pub(crate) use configuration::check_profile;
pub(crate) use environment::Environment;
pub use keys::{KeyDescription, keys};
pub(crate) use layer::Layer;
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
