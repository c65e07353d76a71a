//! Start, stop, signals, plugins, background jobs: the application as a program.
//!
//! | file | what is in it |
//! |---|---|
//! | `app/` | the calls that describe the application; how it is built and started |
//! | `checks.rs` | the checks of the tree at start |
//! | `command.rs` | what a program is asked to print in place of serving |
//! | `course.rs` | the one course of all that starts and stops, in the order of priorities |
//! | `embedded/` | an application that answers requests without our server |
//! | `places.rs` | what code can name to listen on |
//! | `running.rs` | a started application: what can be asked of it, and its stop |
//! | `privileges.rs` | giving up the rights of root between the two |
//! | `pid_file.rs`, `notify.rs` | what supervisors are told: the number of the process, and its state for systemd |
//! | `signals.rs` | SIGINT, SIGTERM, SIGHUP and SIGQUIT, for programs only |
//! | `late_signals.rs` | the same while the program stops |
//! | `upgrade/` | a new process of the program takes over |
//! | `stuck.rs` | names requests in the log that run for very long |
//! | `background.rs` | the supervised threads of background jobs |

mod app;
mod background;
mod checks;
mod command;
mod course;
mod embedded;
mod errand;
mod late_signals;
mod notify;
mod pid_file;
mod places;
mod privileges;
mod running;
mod signals;
mod stuck;
mod upgrade;

pub use crate::bus::{Deadline, Engine, Events, ListeningAt, Plugin, State, Step};
pub use app::App;
pub use background::JobStatistics;
pub use course::PluginStatus;
pub use embedded::{Embedded, Incoming, Outgoing, Visitor};
pub use places::ListenPlaces;
pub use running::Running;

#[cfg(test)]
mod course_tests;
#[cfg(test)]
mod tests;
