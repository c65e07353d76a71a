//! How many requests of a section may be at work at once: `Limit`.
//!
//! | file | what it holds |
//! |---|---|
//! | this one | [`Limit`], the tool: its admission, and when a place is given back |
//! | `gate` | places and the queue for them |
//!
//! | where | priority | what |
//! |---|---|---|
//! | admission | 20 | takes a place, or parks: before a session's lock is waited for, so that nobody waits here with what others need |
//! | `on_end_resource` | 60, always | gives the place back, unless the response is a stream, which is work that goes on |
//!
//! The place is a value in the exchange: it is given back with the exchange at the latest, whatever way the request took.

mod gate;

use self::gate::{Gate, Permit, Place};
use super::neighbourhood::neighbourhood;
use crate::exchange::ResponseBody;
use crate::exchange::Wakers;
use crate::lifecycle::{Admission, Admit, HookPoint, Hooks, Tool, Wait};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Error, Exchange, HeaderValue, StatusCode, header};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lets so many requests of a section be at work at once; the others wait in line, without a worker.
///
/// A few slow pages (reports, exports, long polls) can hold all workers, and then nothing else is answered. With a limit they hold as many as it says.
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
/// Who waits is served first come, first served, and gives up the place when the client goes. A stream keeps its place until its last byte. Sections further down share the
/// places, unless they set something: then they have their own. A clone is a handle to them.
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
    #[setting(skip)]
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    gate: Arc<Gate>,
    admitted: AtomicU64,
    waited: AtomicU64,
    refused: AtomicU64,
}

/// What a limit has done and is doing; see the field names.
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

    /// Counters and gauges of this moment.
    #[must_use]
    pub fn statistics(&self) -> LimitStatistics {
        let (at_work, waiting) = self.shared.gate.load();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LimitStatistics {
            at_work,
            waiting,
            admitted: read(&self.shared.admitted),
            waited: read(&self.shared.waited),
            refused: read(&self.shared.refused),
        }
    }
}

/// The places that a request has: more than one if it was redirected internally into another section.
#[derive(Default)]
struct Held(Vec<Permit>);

impl Held {
    fn keep(exchange: &mut Exchange, permit: Permit) {
        match exchange.values.get_mut::<Self>() {
            Some(held) => held.0.push(permit),
            None => drop(exchange.values.insert(Self(vec![permit]))),
        }
    }
}

impl Shared {
    fn refused(&self) -> Error {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let busy = "Too many requests are at work on this page at the moment. Please try again shortly.";
        let error = crate::exchange::HttpError::new(StatusCode::SERVICE_UNAVAILABLE, busy);
        error.with_header(header::RETRY_AFTER, HeaderValue::from_static("1")).into()
    }
}

impl Admit for Limit {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let shared = &self.shared;
        let has_a_place = |held: &Held| held.0.iter().any(|permit| permit.is_of(&shared.gate));
        // An error page is no work, and who came back by an internal redirect has a place.
        if exchange.route_error().is_some() || exchange.values.get::<Held>().is_some_and(has_a_place) {
            return Ok(Admission::Go);
        }
        let lane = self.per_address.then(|| neighbourhood(exchange.request.remote()));
        match shared.gate.enter(lane, self.most, self.queue, || wakers.waker()) {
            Place::Free(permit) => {
                shared.admitted.fetch_add(1, Ordering::Relaxed);
                Held::keep(exchange, permit);
                Ok(Admission::Go)
            }
            Place::InLine(waiter) => {
                let wait = InLine { waiter, is_own: self.per_address, shared: Arc::clone(shared) };
                Ok(Admission::park(wait, self.wait))
            }
            Place::None => Err(shared.refused()),
        }
    }

    fn priority(&self) -> u8 {
        20
    }
}

/// A request that waits for a place.
struct InLine {
    waiter: gate::Waiter,
    is_own: bool,
    shared: Arc<Shared>,
}

impl Wait for InLine {
    fn ready(&mut self, exchange: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
        let Some(permit) = self.waiter.poll() else { return Ok(false) };
        self.shared.admitted.fetch_add(1, Ordering::Relaxed);
        self.shared.waited.fetch_add(1, Ordering::Relaxed);
        Held::keep(exchange, permit);
        Ok(true)
    }

    fn waits_for(&self) -> Cow<'static, str> {
        Cow::Borrowed("a place at work (`limit`)")
    }

    /// Where all addresses share the places, all stand in this line.
    fn is_own(&self) -> bool {
        self.is_own
    }

    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        Err(self.shared.refused())
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
        let give_back = |exchange: &mut Exchange| {
            if !matches!(exchange.response.body(), ResponseBody::Stream(_)) {
                exchange.values.remove::<Held>();
            }
        };
        hooks.at(HookPoint::OnEndResource, give_back).priority(60).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(Self { shared: Arc::default(), ..self.configured(settings)? }))
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
