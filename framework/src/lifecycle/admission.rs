//! How the life of a request asks an [`Admit`]: the same way before the body, before the handler and at `before_finalize`.

use crate::exchange::{Admission, Admit, Blocking, Error, Exchange, WaitsFor, Wakers};
use crate::panics::guarded;
use crate::primitive::{Unpark, park_timeout};
use std::task::Waker;
use std::time::{Duration, Instant};

/// How asking ended.
pub(super) enum Passed {
    /// Go on.
    Through,
    /// The request waits.
    Parked(Parked),
}

/// How a request waits.
#[derive(Clone, Copy)]
pub(super) struct Parked {
    /// Until this moment at most.
    pub(super) deadline: Option<Instant>,
    /// See [`Wait::is_own`](crate::exchange::Wait::is_own).
    pub(super) is_own: bool,
}

/// Asks an admission, or the wait that it has made when it was asked before.
pub(super) fn pass(admit: &dyn Admit, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Passed, Error> {
    let mut wait = match exchange.course.parked.take() {
        Some(parked) => parked,
        None => match guarded(|| admit.admit(exchange, wakers))? {
            Admission::Go => return Ok(Passed::Through),
            Admission::Park(wait) => wait,
        },
    };
    if !guarded(|| wait.ready(exchange))? {
        let deadline = wait.deadline();
        if deadline.is_none_or(|deadline| deadline > Instant::now()) {
            let is_own = wait.is_own();
            exchange.course.parked = Some(wait);
            return Ok(Passed::Parked(Parked { deadline, is_own }));
        }
        guarded(|| wait.expired(exchange))?;
    }
    Ok(Passed::Through)
}

/// The same where nobody can run the request again: waits on this thread, if it may.
#[cold]
pub(super) fn pass_here(admit: &dyn Admit, exchange: &mut Exchange) -> Result<(), Error> {
    const LONGEST: Duration = Duration::from_secs(3600);
    let mut blocking = None;
    while let Passed::Parked(Parked { deadline, .. }) = pass(admit, exchange, &ThisThread)? {
        if blocking.is_none() {
            blocking = Some(Blocking::here(WaitsFor::Others)?);
        }
        let left = deadline.map_or(LONGEST, |deadline| deadline.saturating_duration_since(Instant::now()));
        park_timeout(left.min(LONGEST));
    }
    Ok(())
}

struct ThisThread;

impl Wakers for ThisThread {
    fn waker(&self) -> Waker {
        Unpark::waker()
    }
}
