//! Admission: the only place where a request may wait.

use crate::exchange::{Error, Exchange};
use crate::server::Wakers;
use std::time::Instant;

/// Decides whether a request may go on to its handler now. Called after the body was read, before `before_handler`.
pub trait Admit: Send + Sync {
    /// Lets the request go, or parks it.
    ///
    /// # Errors
    /// Ends the request with an error page.
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error>;

    /// Lower is asked earlier, among those before the body and among those after it; ties keep the order in which the tools were
    /// switched on. Default 50. An admission that lets requests hold nothing while they wait, nor after it, should be early: then
    /// nobody waits there with what others need.
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
