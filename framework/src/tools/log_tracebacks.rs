//! Where a panic came from: `LogTracebacks`, named after CherryPy's tool.
//!
//! The hook runs at `before_error_response` 50. That an error happened, its causes and its place are logged without any
//! tool; this one adds the steps that led to a panic.

use crate::Exchange;
use crate::lifecycle::{HookPoint, Hooks, Tool, backtrace_of};

/// Writes the backtrace of a panic into the error log, cut down to the program's own functions.
///
/// ```
/// use kirsch::{prelude::*, tools::LogTracebacks};
///
/// let app = App::new(Tree::new().index(|_| "")).tool("/", LogTracebacks);
/// # app.build()?;
/// # Ok::<(), kirsch::Error>(())
/// ```
///
/// ```text
/// ERROR kirsch::error: request 00000000000000a7 panicked in:
///   shop::prices::total at shop/src/prices.rs:41:9
///   shop::Shop::cart at shop/src/main.rs:88:20
/// ```
///
/// Taking a backtrace costs milliseconds, for panics of the whole program once the tool is on somewhere. It needs line
/// tables: `debug = "line-tables-only"` in the profile.
#[derive(Clone, Debug, Default)]
pub struct LogTracebacks;

impl Tool for LogTracebacks {
    fn name(&self) -> &'static str {
        "log_tracebacks"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.capture_backtraces();
        hooks.at(HookPoint::BeforeErrorResponse, |exchange: &mut Exchange| {
            let steps = exchange.failure().map(backtrace_of).unwrap_or_default();
            if !steps.is_empty() {
                let request = exchange.request.id();
                let first = format!("request {request} panicked in:");
                log::error!(target: crate::logs::ERROR, "{}", crate::logs::Lines(&first, &steps));
            }
        });
    }
}
