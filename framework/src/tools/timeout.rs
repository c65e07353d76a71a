//! A time that handlers can ask about: `Timeout` and [`Deadline`].
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `before_handler` | 0 | the clock starts: waiting for a worker, a lock or a place does not count |
//! | `before_finalize` | 99, always | a handler that took longer is told to the log, and counted |
//!
//! A thread cannot be interrupted in the middle of its work without leaving things half done; a tool that says it can
//! is lying. So nothing is killed here: the handler asks, and ends itself.

use crate::exchange::{Argument, ArgumentInfo, Arguments, HttpError};
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Error, Exchange, HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Gives handlers a time to be done in, which they ask about.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::{Deadline, Timeout}};
/// use std::time::Duration;
///
/// struct Sums;
///
/// #[handlers]
/// impl Sums {
///     #[expose]
///     fn count(&self, most: u64, deadline: &Deadline) -> kirsch::Result<String> {
///         let mut sum = 0_u64;
///         for number in 0..most {
///             if number % 1024 == 0 {
///                 deadline.check()?;
///             }
///             sum = sum.wrapping_add(number);
///         }
///         Ok(sum.to_string())
///     }
/// }
///
/// let client = Client::in_process(App::new(Sums).tool("/", Timeout::new(Duration::from_millis(50))));
/// client.get("/count?most=10").send().assert_text("45");
/// client.get("/count?most=99999999999999").send().assert_status(503).assert_header("retry-after", "1");
/// ```
///
/// A handler that asks other services passes the time on: `deadline.remaining()` as the time limit of a query or a
/// request. The log warns about a handler that takes longer when it ends, whether it asks or not. Setting: `budget`.
/// CherryPy had a `timeout` that claimed more, and took it out.
#[derive(Clone, Debug, Settings)]
pub struct Timeout {
    /// The time of a handler, from its begin.
    #[setting(given, no_builder)]
    budget: Duration,
    #[setting(skip)]
    late: Arc<AtomicU64>,
}

impl Timeout {
    /// So much time from the begin of the handler (`budget`).
    #[must_use]
    pub fn new(budget: Duration) -> Self {
        Self::defaults(budget)
    }

    /// How many handlers took longer, since the start.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }
}

/// Until when a handler should be done; see [`Timeout`]. It may be copied into a stream or another thread.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    budget: Duration,
}

impl Deadline {
    /// The deadline of this request, if the tool is on for its path and the handler's turn has come.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<Self> {
        exchange.values.get().copied()
    }

    /// How much time is left; nothing when it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Goes on, or ends the request: call it between two pieces of work.
    ///
    /// # Errors
    /// 503 with `Retry-After` when the time has passed.
    pub fn check(&self) -> Result<(), Error> {
        if !self.has_passed() {
            return Ok(());
        }
        let message = "This page took too long, so it was given up. Please try again later.";
        let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message);
        Err(error.with_header(header::RETRY_AFTER, HeaderValue::from_static("1")).into())
    }
}

impl<'a> Argument<'a> for &'a Deadline {
    const INFO: ArgumentInfo = ArgumentInfo { requires: Some("timeout"), ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.values.get::<Deadline>().ok_or_else(|| {
            crate::line::record!(Error, target: "kirsch::tools", "a handler asks for its deadline where the tool `timeout` is off");
            HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
        })
    }
}

impl Tool for Timeout {
    fn name(&self) -> &'static str {
        "timeout"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if self.budget.is_zero() {
            return hooks.refuse(SettingError::new("budget", "must be more than nothing: every page would be late"));
        }
        let budget = self.budget;
        let begin = move |exchange: &mut Exchange| {
            let now = Instant::now();
            exchange.values.insert(Deadline { at: now.checked_add(budget).unwrap_or(now), budget });
        };
        hooks.at(HookPoint::BeforeHandler, begin).priority(0);
        let late = Arc::clone(&self.late);
        let tell = move |exchange: &mut Exchange| {
            let Some(Deadline { at, budget }) = Deadline::of(exchange) else { return };
            let over = Instant::now().saturating_duration_since(at);
            if !over.is_zero() {
                late.fetch_add(1, Ordering::Relaxed);
                let (request, path) = (exchange.request.id(), exchange.request.path().escape_debug());
                let took = budget + over;
                crate::line::record!(Warn, target: "kirsch::tools", "{path} (request {request}) took {took:.1?}, more than its {budget:?}: `timeout`");
            }
        };
        hooks.at(HookPoint::BeforeFinalize, tell).priority(99).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, Tree, handlers};

    struct Pages;

    #[handlers]
    impl Pages {
        #[expose]
        fn left(&self, deadline: &Deadline) -> String {
            (deadline.remaining() > Duration::from_secs(3000)).to_string()
        }

        #[expose]
        fn asks(&self, deadline: &Deadline) -> Result<&'static str, Error> {
            loop {
                deadline.check()?;
            }
        }

        #[expose]
        fn does_not_ask(&self, deadline: &Deadline) -> &'static str {
            while !deadline.has_passed() {}
            "done all the same"
        }
    }

    #[test]
    fn a_handler_that_asks_ends_at_its_deadline_and_one_that_does_not_is_counted() {
        let timeout = Timeout::new(Duration::from_millis(5));
        let client = Client::in_process(App::new(Pages).tool("/", timeout.clone()));
        client
            .get("/asks")
            .send()
            .assert_status(503)
            .assert_header("retry-after", "1")
            .assert_contains("took too long");
        client.get("/does_not_ask").send().assert_text("done all the same");
        assert_eq!(timeout.late(), 2);
    }

    #[test]
    fn the_file_sets_the_budget_and_without_the_tool_the_start_fails() {
        let app = App::new(Pages).tool("/", Timeout::new(Duration::from_millis(1)));
        let client = Client::in_process(app.config_str("[\"/\"]\ntimeout.budget = \"1h\""));
        client.get("/left").send().assert_text("true");
        assert!(App::new(Pages).build().unwrap_err().to_string().contains("needs the tool `timeout`"));
        let nothing = App::new(Tree::new()).tool("/", Timeout::new(Duration::ZERO)).build().unwrap_err().to_string();
        assert!(nothing.contains("more than nothing"), "{nothing}");
    }
}
