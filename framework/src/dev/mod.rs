//! What a program does for `kirsch dev`: it shows its browsers what the build does.
//!
//! Compiled into debug builds only, and into `kirsch` itself (feature `dev`). `kirsch dev` starts the program with the
//! variable `KIRSCH_DEV`, the path of a Unix socket. There `App::serve` learns what has changed, as lines of JSON.
//!
//! ```text
//! kirsch dev ──Progress, a line of JSON──► link.rs ──► live.rs ◄──waits── /__kirsch/live ◄── live.js in each HTML page
//! ```
//!
//! | file | what is in it |
//! |---|---|
//! | `progress.rs` | [`Progress`]: what the browsers must know |
//! | `link.rs` | the socket, and the thread that reads it |
//! | `live.rs` | the present state, and the requests that wait for the next one |
//! | `tool.rs` | the tool: the script in pages, the answers to it, and the page of a build that has failed |
//!
//! Only this machine is served: the peer and the host that it asks for must both be local. Otherwise a page elsewhere
//! could read the source by a name of its own that leads here.

mod link;
mod live;
mod progress;
mod tool;

pub(crate) use link::Link;
pub use progress::{Phase, Progress, Report};
pub(crate) use tool::Dev;

/// The variable that names the socket.
pub const VARIABLE: &str = "KIRSCH_DEV";
