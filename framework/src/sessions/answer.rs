//! The answer of a store: at once, or later.
//!
//! A store whose calls need no engine, or block until it has answered, returns [`Answer::Now`]. One whose client is
//! asynchronous returns
//! [`Answer::Later`]: the request is then parked, and its worker serves others. The session asks both in the same way.

use super::StoreError;
use crate::primitive::block_on;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The answer of a store: there now, or later.
///
/// ```
/// use kirsch::sessions::{Answer, StoreError};
///
/// fn plain() -> Answer<u32> {
///     Answer::now(1)
/// }
///
/// fn may_fail(text: &str) -> Answer<u32> {
///     let read = text.parse().map_err(|error| StoreError::new("no number", text).because(error));
///     read.into()
/// }
///
/// fn asked_elsewhere() -> Answer<u32> {
///     Answer::later(async { Ok(1) })
/// }
///
/// assert_eq!([plain(), may_fail("1"), asked_elsewhere()].map(|answer| answer.wait().ok()), [Some(1); 3]);
/// assert!(may_fail("one").wait().is_err());
/// ```
#[must_use = "an answer that comes later may begin only when it is waited for"]
pub enum Answer<T> {
    /// Here it is.
    Now(Result<T, StoreError>),
    /// The engine gives it later.
    Later(StoreFuture<T>),
}

/// An answer that the engine gives later: a standard future, which wakes its waker from any thread.
///
/// The future has taken what it needs of the call's arguments. It has a deadline of its own and ends with an error
/// then.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// How a store answers, as the thread sees it that asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// Without waiting for anything: all is in the store's own memory.
    AtOnce,
    /// The calls keep their thread waiting, for a disk or a network. Only a part of the workers may do so at a time
    /// (`server.waiting_threads`).
    #[default]
    Blocking,
    /// With [`Answer::Later`] whenever there is something to wait for. A parked request holds no worker.
    Later,
}

impl<T> Answer<T> {
    /// This value, now.
    pub fn now(value: T) -> Self {
        Self::Now(Ok(value))
    }

    /// The result of the calls of `ask`, now: for the `?` in them.
    pub fn of(ask: impl FnOnce() -> Result<T, StoreError>) -> Self {
        Self::Now(ask())
    }

    /// The result of this future.
    pub fn later(answer: impl Future<Output = Result<T, StoreError>> + Send + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }

    /// Waits for the answer on this thread: for tests, and for threads that no request needs.
    ///
    /// # Errors
    /// The store's.
    pub fn wait(self) -> Result<T, StoreError> {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => wait_for(answer),
        }
    }

    /// The answer, if it is there by now. If not, the waker will be woken.
    pub(super) fn hear(self, waker: &Waker) -> Result<Result<T, StoreError>, Self> {
        match self {
            Self::Now(answer) => Ok(answer),
            Self::Later(mut answer) => match answer.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Ready(answer) => Ok(answer),
                Poll::Pending => Err(Self::Later(answer)),
            },
        }
    }
}

impl<T> From<Result<T, StoreError>> for Answer<T> {
    fn from(answer: Result<T, StoreError>) -> Self {
        Self::Now(answer)
    }
}

/// So that a store around another one can go on from its answer.
impl<T: Send + 'static> IntoFuture for Answer<T> {
    type Output = Result<T, StoreError>;
    type IntoFuture = StoreFuture<T>;

    fn into_future(self) -> Self::IntoFuture {
        match self {
            Self::Now(answer) => Box::pin(std::future::ready(answer)),
            Self::Later(answer) => answer,
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// Waits on this thread. It ends by itself: each question has a deadline of its own.
pub(super) fn wait_for<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    const NEVER: Duration = Duration::from_secs(3600);
    let never = || Err(StoreError::new("the store did not answer in time", "its own deadlines have passed"));
    block_on(answer, Instant::now() + NEVER).unwrap_or_else(never)
}
