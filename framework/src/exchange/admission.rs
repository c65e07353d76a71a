//! Admission: the only way in which a request waits.
//!
//! A request may wait before its body is read, before its handler, and once more at `before_finalize`, for what must be known before the
//! response goes out. Each of these asks an [`Admit`]; `lifecycle/` does the asking.

use super::{Error, Exchange, Wakers};
use std::time::Instant;

/// Decides whether a request may go on now: to its handler if it was added with [`Hooks::admission`](crate::Hooks::admission), to its
/// end if with [`Hooks::before_finalize`](crate::Hooks::before_finalize).
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
    /// given up for the time being, as the duty to make a page for the cache ([`Hooks::when_parked`](crate::Hooks::when_parked)). `false` for a line in
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

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Go => "Go",
            Self::Park(_) => "Park",
        })
    }
}
