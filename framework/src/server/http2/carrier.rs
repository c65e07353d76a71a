//! The connection as its streams know it: how to wake it, how to take it, and what they tell it.

use super::engine::Unfinished;
use crate::server::run_queue::Waiting;
use crate::server::scheduler::Role;
use crate::server::slab::{Queued, Token};
use crate::server::stream_counts::StreamCounts;
use crate::server::word::Edges;
use crate::server::workspace::{Shared, Workspace};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Wake;

pub(super) struct Carrier {
    shared: Weak<Shared>,
    token: Token,
    counts: StreamCounts,
    /// Streams that the client has reset, or made the server reset, before it got any content.
    fruitless: AtomicUsize,
    /// Bytes of content that clients were sent.
    content: AtomicU64,
    /// Responses that have failed; `None` once the connection has ended. They hold the engine, and the engine holds
    /// this.
    unfinished: Mutex<Option<Vec<Unfinished>>>,
}

impl Carrier {
    pub(super) fn new(shared: &Arc<Shared>, token: Token) -> Self {
        let settings = &shared.settings;
        Self {
            shared: Arc::downgrade(shared),
            token,
            counts: StreamCounts::new(settings.http2.streams as usize, settings.most_running()),
            fruitless: AtomicUsize::new(0),
            content: AtomicU64::new(0),
            unfinished: Mutex::new(Some(Vec::new())),
        }
    }

    pub(super) fn shared(&self) -> Option<Arc<Shared>> {
        self.shared.upgrade()
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    pub(super) fn counts(&self) -> &StreamCounts {
        &self.counts
    }

    /// A stream that ran rests.
    pub(super) fn rests(&self) {
        if self.counts.rests() {
            self.ring();
        }
    }

    /// A stream that runs ends.
    pub(super) fn closes(&self) {
        if self.counts.closes() {
            self.ring();
        }
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.content.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn content(&self) -> u64 {
        self.content.load(Ordering::Relaxed)
    }

    pub(super) fn was_fruitless(&self) {
        self.fruitless.fetch_add(1, Ordering::Relaxed);
        self.ring();
    }

    pub(super) fn fruitless(&self) -> usize {
        self.fruitless.load(Ordering::Relaxed)
    }

    /// A response has failed. The connection resets it in its next step, behind what it has been given.
    pub(super) fn fails(&self, response: Unfinished) {
        match &mut *self.unfinished.lock() {
            Some(unfinished) => unfinished.push(response),
            None => return,
        }
        self.ring();
    }

    /// The responses that have failed.
    pub(super) fn unfinished(&self) -> Vec<Unfinished> {
        self.unfinished.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// They cannot be reset yet.
    pub(super) fn put_back(&self, responses: Vec<Unfinished>) {
        if let Some(unfinished) = &mut *self.unfinished.lock() {
            unfinished.extend(responses);
        }
    }

    /// The connection has ended.
    pub(super) fn ends(&self) {
        let unfinished = self.unfinished.lock().take();
        drop(unfinished);
    }

    /// Lets the connection look again.
    fn ring(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.scheduler.wake(self.token, Edges::WOKEN, Waiting::Turn);
        }
    }
}

/// A connection that a stream holds while it gives it bytes. Nobody else makes its steps so long.
pub(in crate::server) struct Held {
    shared: Arc<Shared>,
    /// It has left the run queue for this place, and is owned like one in there.
    connection: Option<Queued>,
}

impl Held {
    /// Takes the connection unless a thread has it.
    pub(in crate::server) fn take(shared: &Arc<Shared>, token: Token) -> Option<Self> {
        let connection = shared.scheduler.take(token)?.enqueue();
        Some(Self { shared: Arc::clone(shared), connection: Some(connection) })
    }

    /// Makes its steps.
    pub(in crate::server) fn drive(mut self, role: Role, work: &mut Workspace) {
        if let Some(owned) = self.connection.take().and_then(|held| self.shared.scheduler.slab.dequeue(&held)) {
            self.shared.scheduler.drive(owned, Edges::NONE, role, work);
        }
    }
}

/// The holder has panicked.
impl Drop for Held {
    fn drop(&mut self) {
        if let Some(owned) = self.connection.take().and_then(|held| self.shared.scheduler.slab.dequeue(&held)) {
            self.shared.scheduler.push(owned, Waiting::Turn);
        }
    }
}

/// The engine has something to send.
impl Wake for Carrier {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
