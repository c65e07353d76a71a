//! Admission: the only way in which a request waits.
//!
//! A request may wait before its body is read, before its handler, and once more at `before_finalize`, for results that
//! must be known before the response goes out. Each of these asks an [`Admit`]; `lifecycle/` does the asking.

use super::{Error, Exchange, Wakers};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Decides whether a request may go on now: to its handler if it was added with
/// [`Hooks::admission`](crate::Hooks::admission), to its end if with
/// [`Hooks::before_finalize`](crate::Hooks::before_finalize).
pub trait Admit: Send + Sync {
    /// Lets the request go, or parks it.
    ///
    /// # Errors
    /// Ends the request with an error page.
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error>;

    /// Lower is asked earlier, among those before the body and among those after it; ties keep the order in which the
    /// tools were switched on. Default 50. An admission that lets requests hold nothing while they wait, nor after it,
    /// should be early: then no request waits there while it holds something that others need. At `before_finalize` the
    /// priority is that of the hook.
    fn priority(&self) -> u8 {
        50
    }
}

/// The answer of an [`Admit`].
pub enum Admission {
    /// Go on.
    Go,
    /// Wait. The request holds no thread during the wait. The wait is asked at once whether it is
    /// [`ready`](Wait::ready), so that an event while it was made is not missed.
    Park {
        /// The wait of the request.
        wait: Box<dyn Wait>,
        /// How long it waits at most, from now on; then the wait has [`expired`](Wait::expired). A year is the limit.
        at_most: Duration,
    },
}

impl Admission {
    /// Parks the request until the wait is over, but no longer than `at_most`.
    pub fn park(wait: impl Wait + 'static, at_most: Duration) -> Self {
        Self::Park { wait: Box::new(wait), at_most }
    }
}

/// One request's place on a wait list. Dropping it gives the place up.
pub trait Wait: Send {
    /// Whether the wait is over. It is asked when the request parks, when its waker was woken, and at any other time.
    /// `Ok(true)` lets the request go on; the wait has then put its result into the exchange. `wakers` makes the same
    /// waker each time.
    ///
    /// # Errors
    /// Ends the request with an error page.
    fn ready(&mut self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<bool, Error>;

    /// The aim of the wait and, if known, the obstacle: words that continue the sentence "it waits for ...", such as
    /// `the lock of session 3f9a1c, held by /page1 for 12.4s`. The log names them when a wait was long. Any thread that
    /// has the request may ask for them at any time, so the answer must be quick.
    fn waits_for(&self) -> Cow<'static, str>;

    /// Whether the wait is for the request alone, so that other requests for the same page need not wait for it. Then
    /// the request gives up for the time being the duty that they wait for, such as making a page for the cache
    /// ([`Hooks::when_parked`](crate::Hooks::when_parked)). `false` for a line in which all of them would stand.
    fn is_own(&self) -> bool {
        true
    }

    /// Whether the client has asked to wait. Then a long wait is no news, and the log tells it at level debug.
    fn is_wanted(&self) -> bool {
        false
    }

    /// The deadline has passed. `Ok(())` lets the request go on without the result. The log says what the wait was for.
    ///
    /// # Errors
    /// Ends the request with an error page.
    fn expired(&mut self, exchange: &mut Exchange) -> Result<(), Error>;
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Go => "Go",
            Self::Park { .. } => "Park",
        })
    }
}

/// A request that waits: its aim, its start, its deadline.
pub(crate) struct Parked {
    pub(crate) wait: Box<dyn Wait>,
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
    /// The aim of the wait at the last question. Once it is over there is no obstacle any more.
    pub(crate) waits_for: Cow<'static, str>,
    pub(crate) waker: OneWaker,
}

impl Parked {
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

    pub(crate) fn new(wait: Box<dyn Wait>, at_most: Duration, waker: OneWaker) -> Self {
        let since = Instant::now();
        Self { wait, since, deadline: since + at_most.min(Self::LONGEST), waits_for: Cow::Borrowed(""), waker }
    }
}

/// The waker of one request, made when it is asked for the first time.
#[derive(Default)]
pub(crate) struct OneWaker(OnceCell<Waker>);

impl OneWaker {
    pub(crate) fn by<'a>(&'a self, wakers: &'a dyn Wakers) -> impl Wakers + 'a {
        MadeOnce { made: &self.0, wakers }
    }
}

struct MadeOnce<'a> {
    made: &'a OnceCell<Waker>,
    wakers: &'a dyn Wakers,
}

impl Wakers for MadeOnce<'_> {
    fn waker(&self) -> Waker {
        self.made.get_or_init(|| self.wakers.waker()).clone()
    }
}
