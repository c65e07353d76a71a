//! Start, stop, signals, background jobs: the application as a program.
//!
//! | file | what is in it |
//! |---|---|
//! | `app.rs` | the calls that describe the application, and how it is built |
//! | `checks.rs` | the checks of the tree at start |
//! | `running.rs` | a started application: server and background jobs; the order of start and stop |
//! | `signals.rs` | SIGINT and SIGTERM, for programs only |
//! | `background.rs` | the supervised threads of background jobs |

mod app;
mod background;
mod checks;
mod running;
mod signals;

pub use app::App;
pub use background::JobStatistics;
pub use running::Running;

#[cfg(test)]
mod tests;
