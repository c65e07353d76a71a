//! The backtrace of a caught panic or an unexpected error, for tools and the debug page.

use super::debug_page::steps;
use crate::exchange::{Error, ErrorKind};
use crate::panics::Panicked;
use std::backtrace::Backtrace;

/// The steps of the program that led to a panic, or to the `?` that made an unexpected error, the innermost first, as
/// `function at file:line:column`. Empty for other errors, and unless a tool has asked for backtraces
/// ([`Hooks::capture_backtraces`](super::Hooks::capture_backtraces)). Steps of libraries are left out.
#[must_use]
pub fn backtrace_of(error: &Error) -> Vec<String> {
    captured(error).map(steps).unwrap_or_default()
}

/// The whole backtrace of a panic or an error.
pub(super) fn captured(error: &Error) -> Option<&Backtrace> {
    let ErrorKind::Unexpected(cause) = error.kind() else { return None };
    match cause.downcast_ref::<Panicked>() {
        Some(panicked) => panicked.backtrace.as_ref(),
        None => error.backtrace(),
    }
}
