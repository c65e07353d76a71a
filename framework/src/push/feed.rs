//! A stream of one's own: events that one client gets, fed by any thread.

use super::event::Event;
use super::events::{Events, Reading};
use crate::primitive::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

/// The end of an event stream at which events are put in; see [`Events::channel`]. The stream ends when the last clone
/// is dropped.
pub struct Feed {
    shared: Arc<Mutex<Fed>>,
}

/// The end at which a stream takes them out.
pub(super) struct FeedEnd {
    shared: Arc<Mutex<Fed>>,
    waker: Option<Waker>,
}

struct Fed {
    waiting: VecDeque<Vec<u8>>,
    most: usize,
    feeds: usize,
    is_followed: bool,
    waker: Option<Waker>,
}

/// The event was not put into the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The client has not read the events before.
    Full,
    /// The client has gone.
    Gone,
}

impl std::fmt::Display for Undelivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "the client has not read the events before",
            Self::Gone => "the client has gone",
        })
    }
}

impl std::error::Error for Undelivered {}

impl Events {
    /// A stream for one client, and the end at which other code feeds it: the progress of a job, say. So many events
    /// wait for the client at most.
    ///
    /// ```
    /// use kirsch::publish::PageCall;
    /// use kirsch::push::{Event, Events};
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// let count = |_: &mut PageCall<'_>| {
    ///     let (feed, events) = Events::channel(8);
    ///     std::thread::spawn(move || (1..=3).try_for_each(|number| feed.send(Event::text(number.to_string()))));
    ///     events
    /// };
    /// let client = Client::in_process(App::new(Tree::new().page("count", count)));
    /// client.get("/count").send().assert_contains("data: 1\n\ndata: 2\n\ndata: 3\n\n");
    /// ```
    pub fn channel(most: usize) -> (Feed, Self) {
        let fed = Fed { waiting: VecDeque::new(), most, feeds: 1, is_followed: true, waker: None };
        let shared = Arc::new(Mutex::new(fed));
        let end = FeedEnd { shared: Arc::clone(&shared), waker: None };
        (Feed { shared }, Self::of_news(end))
    }
}

impl Feed {
    /// Sends an event to the client. It never waits.
    ///
    /// # Errors
    /// When too many wait already, or the client has gone.
    pub fn send(&self, event: Event) -> Result<(), Undelivered> {
        let bytes = event.into_bytes();
        let waker = {
            let mut fed = self.shared.lock();
            match () {
                () if !fed.is_followed => return Err(Undelivered::Gone),
                () if fed.waiting.len() >= fed.most => return Err(Undelivered::Full),
                () => fed.waiting.push_back(bytes),
            }
            fed.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Whether the client has gone: nothing that is sent would arrive.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.shared.lock().is_followed
    }
}

/// Without the events: they are no business of logs.
impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("waiting", &self.shared.lock().waiting.len()).finish_non_exhaustive()
    }
}

impl Clone for Feed {
    fn clone(&self) -> Self {
        self.shared.lock().feeds += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut fed = self.shared.lock();
        fed.feeds -= 1;
        let waker = if fed.feeds == 0 { fed.waker.take() } else { None };
        drop(fed);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl FeedEnd {
    pub(super) fn take(&mut self, out: &mut Vec<u8>, most: usize, waker: &dyn Fn() -> Waker) -> Reading {
        let waker = self.waker.get_or_insert_with(waker).clone();
        let mut fed = self.shared.lock();
        let full = out.len() + most;
        while let Some(event) = fed.waiting.pop_front() {
            out.extend_from_slice(&event);
            if out.len() >= full {
                return Reading::More;
            }
        }
        if fed.feeds == 0 {
            return Reading::End;
        }
        fed.waker = Some(waker);
        Reading::All
    }
}

impl Drop for FeedEnd {
    fn drop(&mut self) {
        let mut fed = self.shared.lock();
        fed.is_followed = false;
        let (waiting, waker) = (std::mem::take(&mut fed.waiting), fed.waker.take());
        drop(fed);
        drop((waiting, waker));
    }
}
