//! Background jobs: work that a tool wants done now and then, beside the requests.
//!
//! Here is the definition of a job; `engine/` runs it: on a thread of its own, supervised, until the application stops.

use super::IntoFlow;
use crate::exchange::Error;
use std::sync::Arc;
use std::time::Duration;

/// A named piece of work that is done at an interval while the application runs. Made by
/// [`Hooks::background`](super::Hooks::background).
#[derive(Clone)]
pub struct BackgroundJob {
    pub(crate) name: &'static str,
    pub(crate) every: Duration,
    pub(crate) run: Arc<dyn Fn() -> Result<(), Error> + Send + Sync>,
}

impl BackgroundJob {
    pub(crate) fn new<F, R>(name: &'static str, every: Duration, run: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: IntoFlow,
    {
        Self { name, every, run: Arc::new(move || run().into_flow().map(|_| ())) }
    }
}

impl std::fmt::Debug for BackgroundJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} every {:?}", self.name, self.every)
    }
}
