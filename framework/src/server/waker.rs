//! Wakers of parked requests.
//!
//! A waker is one more source of news for a connection: it records an edge in the ownership word. If the connection has
//! no owner, the waker becomes the owner, and puts it into the run queue; otherwise the owner sees the edge before it
//! lets go. So a wake-up cannot be lost, also when it comes while the request is still on its way into parking. A waker
//! that outlives its request, connection or server does nothing, or wakes for nothing.

use super::run_queue::Waiting;
use super::slab::Token;
use super::word::Edges;
use super::workspace::Shared;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

pub(super) struct ParkWaker {
    shared: Weak<Shared>,
    token: Token,
    lane: Waiting,
}

impl ParkWaker {
    pub(super) fn waker(shared: &Arc<Shared>, token: Token) -> Waker {
        Waker::from(Arc::new(Self { shared: Arc::downgrade(shared), token, lane: Waiting::Turn }))
    }

    /// A waker for news: its connection waits behind those with requests.
    pub(super) fn of_news(shared: &Arc<Shared>, token: Token) -> Waker {
        Waker::from(Arc::new(Self { shared: Arc::downgrade(shared), token, lane: Waiting::News }))
    }
}

impl Wake for ParkWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.scheduler.wake(self.token, Edges::WOKEN, self.lane);
        }
    }
}
