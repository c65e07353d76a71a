//! The bus: what lives with the application, without what runs it. `engine/` runs it.
//!
//! | file | what is in it |
//! |---|---|
//! | `engine.rs` | [`Engine`], a handle to the application that starts, runs and stops; [`State`], [`Deadline`] |
//! | `plugin.rs` | [`Plugin`] and [`Step`]: what happens at the start, at the stop, and with each worker |
//! | `supervised.rs` | a loop that survives what it runs |
//! | `events.rs` | [`Events`]: typed messages to observers, on a thread of their own |
//!
//! The idea is CherryPy's bus without its strings: a step that does not exist and an event of the wrong type do not
//! compile.

mod engine;
mod events;
mod plugin;
mod supervised;

pub use engine::{Deadline, Engine, ListeningAt, State};
pub(crate) use engine::{EngineOwner, at_once, may_begin};
pub use events::Events;
pub(crate) use events::{Bus, Observer};
pub use plugin::{Plugin, Step};
pub(crate) use supervised::Supervised;
