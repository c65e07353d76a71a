//! Caching: responses that are kept and sent again, and made once however many ask at the same time.
//!
//! | file | what is in it |
//! |---|---|
//! | `settings`, `tool` | [`Caching`], the tool: its settings; its hooks and its job |
//! | `shared` | what all paths share |
//! | `visit` | the way of a request past the cache: asking, waiting, keeping |
//! | `key` | the address that a response is kept for |
//! | `cache`, `cache/flight` | the entries by address; which request makes the next response and which ones wait |
//! | `entries` | the entries in the order of their last use, and their bytes |
//! | `terms`, `variant` | for how long and for whom a response may be used; which requests it fits. Pure |
//! | `stored` | one kept response |
//! | `keeping`, `tee` | the way of a finished response, or of a stream, into the cache |
//!
//! It does everything that RFC 9111 requires of a shared cache at the origin, and the optional parts where they are
//! safe. It uses only the public hooks and admission, as any tool could.

mod cache;
mod entries;
mod keeping;
mod key;
#[cfg(test)]
mod samples;
mod settings;
mod shared;
mod stored;
mod tee;
mod terms;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
mod tool;
mod variant;
mod visit;

pub use settings::Caching;
pub use tool::CachingStatistics;
