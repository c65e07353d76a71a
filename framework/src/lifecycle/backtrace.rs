//! The backtrace of a caught panic, for tools and the debug page.

use super::debug_page::steps;
use crate::exchange::{Error, ErrorKind};
use crate::panics::Panicked;

/// The steps of the program that led to a panic, the innermost first, as `function at file:line:column`. Empty for
/// other errors, and unless a tool has asked for backtraces
/// ([`Hooks::capture_backtraces`](super::Hooks::capture_backtraces)). Steps of libraries are left out.
#[must_use]
pub fn backtrace_of(error: &Error) -> Vec<String> {
    let ErrorKind::Unexpected(cause) = error.kind() else { return Vec::new() };
    let backtrace = cause.downcast_ref::<Panicked>().and_then(|panicked| panicked.backtrace.as_ref());
    backtrace.map(steps).unwrap_or_default()
}
