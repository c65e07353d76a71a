//! Admission: the only way in which a request waits.
//!
//! A request may wait before its body is read, before its handler, and once more at `before_finalize`, for what must be known before the
//! response goes out. All of these ask an [`Admit`], in the same way: [`pass`].

use super::guarded::guarded;
use crate::exchange::{Blocking, Error, Exchange, WaitsFor};
use crate::primitive::{Unpark, park_timeout};
use crate::server::Wakers;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Decides whether a request may go on now: to its handler if it was added with [`Hooks::admission`](super::Hooks::admission), to its
/// end if with [`Hooks::before_finalize`](super::Hooks::before_finalize).
pub trait Admit: Send + Sync {
    /// Lets the request go, or parks it.
    ///
    /// # Errors
    /// Ends the request with an error page.
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error>;

    /// Lower is asked earlier, among those before the body and among those after it; ties keep the order in which the tools were
    /// switched on. Default 50. An admission that lets requests hold nothing while they wait, nor after it, should be early: then
    /// nobody waits there with what others need. At `before_finalize` the priority is that of the hook.
    fn priority(&self) -> u8 {
        50
    }
}

/// The answer of an [`Admit`].
pub enum Admission {
    /// Go on.
    Go,
    /// Wait for this. The request holds no thread meanwhile. It is asked at once whether it is [`ready`](Wait::ready), so that what
    /// happened while it was made is not missed.
    Park(Box<dyn Wait>),
}

/// One request's place on a wait list. Dropping it gives the place up.
pub trait Wait: Send {
    /// Whether the wait is over; called when woken, and whenever else. `Ok(true)` lets the request go on; what was waited for
    /// has then been put into the exchange.
    ///
    /// # Errors
    /// Ends the request with an error page.
    fn ready(&mut self, exchange: &mut Exchange) -> Result<bool, Error>;

    /// When to give up.
    fn deadline(&self) -> Option<Instant>;

    /// Whether the wait is this request's own affair, so that others who ask for the same page need not wait for it. Then what they wait for is
    /// given up for the time being, as the duty to make a page for the cache ([`Hooks::when_parked`](super::Hooks::when_parked)). `false` for a line in
    /// which all of them would stand.
    fn is_own(&self) -> bool {
        true
    }

    /// The deadline has passed. `Ok(())` lets the request go on without what it waited for.
    ///
    /// # Errors
    /// Ends the request with an error page.
    fn expired(&mut self, exchange: &mut Exchange) -> Result<(), Error>;
}

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
    /// See [`Wait::is_own`].
    pub(super) is_own: bool,
}

/// Asks an admission, or the wait that it has made when it was asked before.
pub(super) fn pass(admit: &dyn Admit, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Passed, Error> {
    let mut wait = match exchange.course.parked.take() {
        Some(parked) => parked.downcast::<Box<dyn Wait>>().expect("only admission parks, and it parks a wait"),
        None => match guarded(|| admit.admit(exchange, wakers))? {
            Admission::Go => return Ok(Passed::Through),
            Admission::Park(wait) => Box::new(wait),
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

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Go => "Go",
            Self::Park(_) => "Park",
        })
    }
}
