//! Caching: responses that are kept and sent again, and made once however many ask at the same time.
//!
//! | file | what it holds |
//! |---|---|
//! | `tool`, `settings` | [`Caching`], the tool: its hooks, its settings, its job |
//! | `visit` | the way of a request past the cache: asking, waiting, keeping |
//! | `key` | the address that a response is kept for |
//! | `cache`, `cache/flight` | the entries by address; who makes the next response and who waits |
//! | `entries` | the entries in the order of their last use, and their bytes |
//! | `terms`, `variant` | for how long and for whom a response may be used; which requests it fits. Pure |
//! | `stored` | one kept response |
//! | `keeping`, `tee` | the way of a finished response, or of a stream, into the cache |
//!
//! What a shared cache at the origin must do by RFC 9111, it does; what it may do is done where it is safe. Everything uses the public
//! hooks and admission, as any tool could.

mod cache;
mod entries;
mod keeping;
mod key;
#[cfg(test)]
mod samples;
mod settings;
mod stored;
mod tee;
mod terms;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
mod tool;
mod variant;
mod visit;

pub use tool::{Caching, CachingStatistics};
