//! A new program without a gap: this process starts its successor, hands the listeners over, and ends what it has
//! begun.
//!
//! ```text
//!  old (SIGUSR2)                                      new
//!  socket pair ── Command(stdin = socket) ──────────► take fd 0, put /dev/null there
//!  listeners, names  ── one message each ───────────► match by name and address; bind what is missing
//!                                                     checks, steps, workers, then accept
//!  wait ≤ upgrade_timeout  ◄──────── Ready ─────────  both accept now, from the same queues: nothing is lost
//!  close the listeners, drain
//!  background jobs have ended  ──── Begin ──────────► background jobs begin
//!  end                         ──── (closed) ───────► alone
//! ```
//!
//! | file | what is in it |
//! |---|---|
//! | `program.rs` | what is started: the program as it was started itself |
//! | `message.rs` | what the two say to each other |
//! | `attempt.rs` | the side of the old process, until the new one is ready or has failed |
//! | `heir.rs` | the side of the new process |
//!
//! The old process decides. Whatever goes wrong before `Ready`, the new process is killed, and the old one goes on as
//! if nothing had been. There is no number of a descriptor in the environment, and no moment without `CLOEXEC`.

mod attempt;
mod heir;
mod message;
mod program;

pub(super) use attempt::{Attempt, Offer, Successor};
pub(super) use heir::{Elders, Inheritance};
pub(super) use program::Program;

/// The variable that tells a new process which process has started it to be its successor. It stays in the environment
/// of children, where the number is wrong.
pub(super) const VARIABLE: &str = "KIRSCH_UPGRADE";

/// How many older processes may still end what they have begun when a new one is started.
pub(super) const MAX_ELDERS: usize = 1;
