//! How many requests of a section may be at work at once: `Limit`, a wait list as a tool.
//!
//! | where | priority | what |
//! |---|---|---|
//! | admission | 20 | takes a place, or parks: before a session's lock is waited for, so that no request waits here while it holds something that others need |
//! | `on_end_resource` | 60, always | gives the place back, unless the response is a stream, which is work that goes on |
//!
//! The place is a value in the exchange: it is given back with the exchange at the latest, however the request ends.

use super::neighbourhood::neighbourhood;
use crate::exchange::Wakers;
use crate::lifecycle::{Admission, Admit, HookPoint, Hooks, StatusRow, StatusSource, Tool, WaitList, WaitStatistics};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Error, Exchange};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Lets so many requests of a section be at work at once; the others wait in line, without a worker.
///
/// A few slow pages (reports, exports, long polls) can hold all workers, and then nothing else is answered. With a
/// limit they hold as many as it says.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Limit};
///
/// struct Reports;
///
/// #[handlers]
/// impl Reports {
///     #[expose]
///     fn yearly(&self) -> &'static str { "a report" }
/// }
///
/// let limit = Limit::new(2);
/// let client = Client::in_process(App::new(Reports).tool("/", limit.clone()));
/// client.get("/yearly").send().assert_text("a report");
/// assert_eq!((limit.statistics().admitted, limit.statistics().at_work), (1, 0));
/// ```
///
/// Waiting requests are served first come, first served, and give up their turn when the client goes. A stream keeps
/// its place until its last byte. Sections further down share the places, unless they have settings: then they have
/// their own. A clone is a handle to them.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check)]
pub struct Limit {
    /// How many requests are at work at once, for each client address with `per_address`.
    #[setting(given, no_builder)]
    most: usize,
    /// How many more may wait; another one is answered 503 at once.
    #[setting(default = 100)]
    queue: usize,
    /// How long a request waits; then 503. Both say `Retry-After`.
    #[setting(default = "30s")]
    wait: Duration,
    /// Whether each client address has places of its own (of IPv6 each network of 64 bits).
    ///
    /// The tool `proxy` decides which address is the client's.
    per_address: bool,
    /// Made from the settings when it is used for the first time.
    #[setting(skip)]
    list: Arc<OnceLock<WaitList<Option<IpAddr>>>>,
}

/// The counts of a limit; see the field names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitStatistics {
    /// Requests that have a place now.
    pub at_work: usize,
    /// Requests that wait for one now.
    pub waiting: usize,
    /// Requests that got a place, since the start.
    pub admitted: u64,
    /// How many of them had to wait for it.
    pub waited: u64,
    /// Requests that were answered 503.
    pub refused: u64,
}

impl Limit {
    /// At most so many requests at once (`most`).
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self::defaults(most)
    }

    fn check(&self) -> Result<(), SettingError> {
        match self.most {
            0 => Err(SettingError::new("most", "must be at least 1: nothing would be answered")),
            _ => Ok(()),
        }
    }

    fn list(&self) -> &WaitList<Option<IpAddr>> {
        self.list.get_or_init(|| {
            // Without a place the start is refused.
            WaitList::new("a place at work (`limit`)", self.most.max(1))
                .max_waiting(self.queue)
                .max_wait(self.wait)
                .one_line_for_all(!self.per_address)
        })
    }

    /// Counters and gauges of this moment.
    #[must_use]
    pub fn statistics(&self) -> LimitStatistics {
        let WaitStatistics { held, waiting, admitted, waited, refused, .. } = self.list().statistics();
        LimitStatistics { at_work: held, waiting, admitted, waited, refused }
    }
}

impl Admit for Limit {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        // An error page needs no place.
        if exchange.route_error().is_some() {
            return Ok(Admission::Go);
        }
        let lane = self.per_address.then(|| neighbourhood(exchange.request.remote()));
        self.list().admit(lane, exchange, wakers)
    }

    fn priority(&self) -> u8 {
        20
    }
}

impl Tool for Limit {
    fn name(&self) -> &'static str {
        "limit"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Err(error) = self.check() {
            return hooks.refuse(error);
        }
        hooks.admission(self.clone());
        hooks.status(self.clone());
        let list = self.list().clone();
        let give_back = move |exchange: &mut Exchange| {
            if !exchange.response.body().is_made_later() {
                list.leave(exchange);
            }
        };
        hooks.at(HookPoint::OnEndResource, give_back).priority(60).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(Self { list: Arc::default(), ..self.configured(settings)? }))
    }
}

impl StatusSource for Limit {
    fn title(&self) -> String {
        format!("Limit of {}", self.most)
    }

    fn rows(&self) -> Vec<StatusRow> {
        let LimitStatistics { at_work, waiting, admitted, waited, refused } = self.statistics();
        vec![
            StatusRow::new("at work", at_work),
            StatusRow::new("waiting", waiting).alarming(waiting > 0),
            StatusRow::new("admitted", admitted),
            StatusRow::new("had to wait", waited),
            StatusRow::new("refused", refused).alarming(refused > 0),
        ]
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
