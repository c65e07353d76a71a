//! Content that comes when there is news: the server asks for it, and the answer may be "nothing yet".
//!
//! A [`Stream`](super::Stream) is an iterator, so a pause in it holds a worker. A push says that it waits, and its
//! connection waits in its slot, without a thread, until a waker is woken or a moment has come. `kirsch::push` has the
//! pushes that applications use.

use super::Wakers;
use std::task::Waker;
use std::time::Instant;

/// A response body that waits for news without a thread.
///
/// The server pulls after the head was sent, after each wake-up, at each moment that was asked for, and at any other
/// time. It pulls on whichever thread has the connection, also on those that look after the server while every worker
/// is busy. So [`pull`](Self::pull) must neither wait nor run code that may take long: make content where news arises,
/// and only copy it here. Dropping the push is its end, however the response ended.
pub trait Push: Send {
    /// Appends what there is to `out`, up to some 64 KiB, and says how it goes on. Empty `out` with
    /// [`Pulled::More`] is asked again.
    ///
    /// A push must leave its waker *before* it looks for news: news in between would wake nobody.
    fn pull(&mut self, out: &mut Vec<u8>, turn: &PushTurn<'_>) -> Pulled;

    /// What it waits for, in words that continue the sentence "it waits for ...". It must be quick.
    fn waits_for(&self) -> std::borrow::Cow<'static, str> {
        "news".into()
    }
}

/// How a push goes on after a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// There may be more at once.
    More,
    /// Nothing more yet: ask again when the waker is woken, or at this moment.
    Wait(Option<Instant>),
    /// It is over: the response ends as it should.
    End,
    /// It has failed: the client must see that something is missing.
    Break,
}

/// What a push may know and do during one pull.
pub struct PushTurn<'a> {
    now: Instant,
    is_closing: bool,
    is_in_doubt: bool,
    wakers: &'a dyn Wakers,
}

impl<'a> PushTurn<'a> {
    pub(crate) fn new(now: Instant, is_closing: bool, is_in_doubt: bool, wakers: &'a dyn Wakers) -> Self {
        Self { now, is_closing, is_in_doubt, wakers }
    }

    /// The time of the pull.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Whether the server stops: this pull is for the last words. A push that would wait ends instead.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether the client has ended its own side. It may be gone altogether, which shows once something is sent.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// A waker that makes the server pull again, from any thread, any number of times. It stays good for as long as the
    /// push lives.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.wakers.waker()
    }
}

impl std::fmt::Debug for PushTurn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushTurn").field("is_closing", &self.is_closing).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for dyn Push {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Push")
    }
}
