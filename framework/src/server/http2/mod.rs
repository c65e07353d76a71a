//! HTTP/2: one connection with many requests at a time.
//!
//! ```text
//!  slot with a socket      mux: transport ⇄ engine          no application code: any thread may step it
//!        │ opens                  ▲ WOKEN when a stream has something to send
//!        ▼                        │
//!  slots without sockets   streams: one exchange each, a connection like any other behind its own transport
//! ```
//!
//! A connection becomes a mux when its first bytes are the preface of HTTP/2, or TLS has agreed on it. A stream is a
//! connection with one request, whose transport is not a socket but its part of the mux (`stream.rs`). Its head is text
//! in its input, as if a client of HTTP/1.1 had sent it, so heads, bodies, waits, deadlines, budgets and responses go
//! the ways of `connection/`. Only the seam knows the difference.
//!
//! | file | what is in it |
//! |---|---|
//! | `engine.rs` | the protocol, from memory to memory; the only file that knows the crate `h2` |
//! | `mux.rs` | what a connection that carries streams has; its steps are in `connection/multiplex.rs` |
//! | `carrier.rs` | the connection as its streams know it: counts, and the way to wake it |
//! | `stream.rs` | the way to the client for one stream |
//! | `floods.rs` | counts of what a client may do for nothing |

mod carrier;
mod engine;
mod floods;
mod mux;
mod stream;

pub(super) use carrier::Held;
pub(super) use engine::MAX_OUTPUT;
pub(super) use mux::{Mux, PREFACE};
pub(super) use stream::StreamSide;
