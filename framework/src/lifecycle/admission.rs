//! How the life of a request asks an [`Admit`]: the same way before the body, before the handler and at
//! `before_finalize`.
//!
//! The log names each wait that was long or failed, of any kind.

use crate::exchange::{Admission, Admit, Blocking, Error, Exchange, OneWaker, Parked, WaitsFor, Wakers};
use crate::panics::guarded;
use crate::primitive::{Unpark, park_timeout};
use std::task::Waker;
use std::time::{Duration, Instant};

/// How asking ended.
pub(super) enum Passed {
    /// Go on.
    Through,
    /// The request waits.
    Parked(Park),
}

/// How a request waits.
#[derive(Clone, Copy)]
pub(super) struct Park {
    /// Until this moment at most.
    pub(super) deadline: Instant,
    /// See [`Wait::is_own`](crate::exchange::Wait::is_own).
    pub(super) is_own: bool,
}

/// Asks an admission, or the wait that it has made when it was asked before.
pub(super) fn pass(admit: &dyn Admit, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Passed, Error> {
    let mut parked = match exchange.course.parked.take() {
        Some(parked) => parked,
        None => {
            let waker = OneWaker::default();
            match guarded(|| admit.admit(exchange, &waker.by(wakers)))? {
                Admission::Go => return Ok(Passed::Through),
                Admission::Park { wait, at_most } => Parked::new(wait, at_most, waker),
            }
        }
    };
    let Parked { wait, waits_for, waker, .. } = &mut parked;
    let asked = guarded(|| {
        let is_ready = wait.ready(exchange, &waker.by(wakers))?;
        if !is_ready {
            *waits_for = wait.waits_for();
        }
        Ok(is_ready)
    });
    let now = Instant::now();
    if matches!(asked, Ok(false)) {
        if now < parked.deadline {
            let park = Park { deadline: parked.deadline, is_own: parked.wait.is_own() };
            exchange.course.parked = Some(parked);
            return Ok(Passed::Parked(park));
        }
        guarded(|| parked.wait.expired(exchange)).inspect_err(|_| tell_given_up(&parked, exchange, now))?;
    }
    tell_if_slow(&parked, exchange, now);
    asked.map(|_| Passed::Through)
}

/// Logs the obstacle of a request that was not let in in time.
#[cold]
fn tell_given_up(Parked { waits_for, since, .. }: &Parked, exchange: &Exchange, now: Instant) {
    let (path, id, waited) = (exchange.request.path(), exchange.request.id(), now.duration_since(*since));
    crate::line::record!(Warn, target: WAITS, "{path} (request {id}) gave up after {waited:.1?}: it waited for {waits_for}");
}

/// Logs a wait that is over, if it was long.
fn tell_if_slow(Parked { wait, waits_for, since, .. }: &Parked, exchange: &Exchange, now: Instant) {
    let waited = now.duration_since(*since);
    if waited >= SLOW {
        let (path, id) = (exchange.request.path(), exchange.request.id());
        if wait.is_wanted() {
            crate::line::record!(Debug, target: WAITS, "{path} (request {id}) waited {waited:.1?} for {waits_for}");
        } else {
            crate::line::record!(Warn, target: WAITS, "{path} (request {id}) waited {waited:.1?} for {waits_for}");
        }
    }
}

/// Waits above this are in the log.
const SLOW: Duration = Duration::from_secs(1);
/// The target of the log's records about waits.
const WAITS: &str = "kirsch::waits";

/// The admission of a request that cannot run again: waits on this thread, if it may.
#[cold]
pub(super) fn pass_here(admit: &dyn Admit, exchange: &mut Exchange) -> Result<(), Error> {
    if let Some(parked) = &mut exchange.course.parked {
        // It parked with the wakers of another thread.
        parked.waker = OneWaker::default();
    }
    let mut blocking = None;
    while let Passed::Parked(Park { deadline, .. }) = pass(admit, exchange, &ThisThread)? {
        if blocking.is_none() {
            blocking = Some(Blocking::here(WaitsFor::Others)?);
        }
        park_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

struct ThisThread;

impl Wakers for ThisThread {
    fn waker(&self) -> Waker {
        Unpark::waker()
    }
}
