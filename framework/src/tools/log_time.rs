//! Which handlers are slow: `LogTime`.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `before_handler` | 99 | the clock starts |
//! | `before_finalize` | 1, always | tells the log, if it took longer than the threshold |

use crate::Exchange;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use std::time::{Duration, Instant};

/// Tells the log which handlers took long, and how long their requests had waited before.
///
/// ```
/// use kirsch::{prelude::*, tools::LogTime};
/// use std::time::Duration;
///
/// let app = App::new(Tree::new().index(|_| "")).tool("/", LogTime::slower_than(Duration::from_millis(500)));
/// # app.build()?;
/// # Ok::<(), kirsch::Error>(())
/// ```
///
/// ```text
/// WARN kirsch::time: /report (request 00000000000000a7, handler yearly) ran 1.2s, after waiting 3ms
/// ```
///
/// The waiting is everything between the head of the request and the handler: its body, the queue, locks, places.
/// Setting: `threshold` (`"0s"`: every request).
#[derive(Clone, Debug, Settings)]
pub struct LogTime {
    /// Handlers that ran longer than this are told to the log; `"0s"` tells every request.
    #[setting(given, no_builder)]
    threshold: Duration,
}

impl LogTime {
    /// Handlers that ran longer than this (`threshold`).
    #[must_use]
    pub fn slower_than(threshold: Duration) -> Self {
        Self::defaults(threshold)
    }
}

struct Began(Instant);

impl Tool for LogTime {
    fn name(&self) -> &'static str {
        "log_time"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let begin = |exchange: &mut Exchange| {
            exchange.values.insert(Began(Instant::now()));
        };
        hooks.at(HookPoint::BeforeHandler, begin).priority(99);
        let threshold = self.threshold;
        let tell = move |exchange: &mut Exchange| {
            let Some(Began(began)) = exchange.values.remove() else { return };
            let (ran, waited) = (began.elapsed(), began.saturating_duration_since(exchange.request.received()));
            if ran < threshold {
                return;
            }
            let (path, request) = (exchange.request.path().escape_debug(), exchange.request.id());
            let handler = exchange.trail.handler().map_or("none", |handler| &*handler.name);
            crate::line::record!(Warn, target: "kirsch::time", "{path} (request {request}, handler {handler}) ran {ran:.1?}, after waiting {waited:.1?}");
        };
        hooks.at(HookPoint::BeforeFinalize, tell).priority(1).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}
