//! The status page: what a server does at this moment, for people, for programs and for the log.
//!
//! ```no_run
//! use kirsch::{prelude::*, status};
//!
//! App::new(Tree::new().index(|_| "a site")).mount("/status", status::app()).serve("127.0.0.1:8080")?;
//! # Ok::<(), kirsch::Error>(())
//! ```
//!
//! The pages are answered by a hook before the body, so they reach no admission: they take no session's lock, no place
//! of a limit and no turn of a cache. While no worker is free, a thread of their own answers them. Nothing on them
//! waits, and nothing changes by looking.
//!
//! | file | what is in it |
//! |---|---|
//! | `pages.rs` | `Status`: which address has which page, and who may see them |
//! | `report.rs` | everything of one moment, as one value; as JSON |
//! | `html.rs` | the same for people |
//! | `lines.rs` | the same for the log |
//! | `threads.rs` | the threads of the process |
//! | `tickets.rs` | failures of the program, for people |
//! | `metrics.rs`, `metric_text.rs` | metrics for Prometheus; their text format |

mod html;
mod lines;
mod metric_text;
mod metrics;
mod pages;
mod report;
mod threads;
mod tickets;

pub(crate) use lines::write_to_log;
pub use metrics::{Metrics, metrics};
pub use pages::{Status, app};
