//! What goes on behind a request of a session and ends with the session: conversations by WebSocket, event streams.
//!
//! A logout must end them. A logout in this process does so at once. The end of a session anywhere else, or of its
//! life, is seen when the store is asked, which is before each ping of a conversation. A stream asks no store, since no
//! worker looks after it. A session that gets another id, as at a login, keeps what it has begun.

use super::SessionId;
use super::id::IdHasher;
use super::shared::Shared;
#[cfg(feature = "websocket")]
use super::{Moment, session::Backings};
#[cfg(feature = "websocket")]
use crate::exchange::websocket::{Bond, CloseCode, Peer};
use crate::exchange::{Pulled, Push, PushTurn, Response, ResponseBody};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// What all sessions of one tool have begun in this process.
#[derive(Default)]
pub(super) struct Outliving(Mutex<HashMap<SessionId, Vec<Begun>, IdHasher>>);

struct Begun {
    what: Arc<dyn EndsWithSession>,
    /// The id of its session at present.
    id: Arc<Mutex<SessionId>>,
}

trait EndsWithSession: Send + Sync {
    fn end(&self);
}

impl Outliving {
    /// The session has ended.
    pub(super) fn end(&self, id: &SessionId) {
        let begun = self.0.lock().remove(id);
        begun.into_iter().flatten().for_each(|begun| begun.what.end());
    }

    /// The session goes on under another id.
    pub(super) fn rename(&self, old: &SessionId, new: SessionId) {
        let mut all = self.0.lock();
        if let Some(moved) = all.remove(old) {
            moved.iter().for_each(|begun| *begun.id.lock() = new);
            all.entry(new).or_default().extend(moved);
        }
    }

    fn add(&self, begun: Begun) {
        let mut all = self.0.lock();
        let id = *begun.id.lock();
        all.entry(id).or_default().push(begun);
    }

    fn remove(&self, id: &Arc<Mutex<SessionId>>) {
        let mut all = self.0.lock();
        let of_session = *id.lock();
        let Some(begun) = all.get_mut(&of_session) else { return };
        let place = begun.iter().position(|begun| Arc::ptr_eq(&begun.id, id));
        let gone = place.map(|place| begun.swap_remove(place));
        if begun.is_empty() {
            all.remove(&of_session);
        }
        drop(all);
        drop(gone);
    }
}

/// One thing's tie to its session. Dropped with it.
pub(super) struct SessionTie {
    shared: Arc<Shared>,
    id: Arc<Mutex<SessionId>>,
    received: Instant,
}

impl SessionTie {
    pub(super) fn new(shared: Arc<Shared>, id: SessionId, received: Instant) -> Self {
        Self { shared, id: Arc::new(Mutex::new(id)), received }
    }

    /// Lets what begins with the response end with the session.
    pub(super) fn bind(self, response: &mut Response) {
        match std::mem::take(&mut response.body) {
            ResponseBody::Push(push) => {
                let life = Arc::new(Mutex::new(StreamLife::New));
                self.begin(OfStream(life.clone()));
                response.body = ResponseBody::Push(Box::new(StreamOfSession { push, life, _tie: self }));
            }
            body => {
                response.body = body;
                #[cfg(feature = "websocket")]
                response.bind(self);
            }
        }
    }

    fn begin(&self, what: impl EndsWithSession + 'static) {
        let what: Arc<dyn EndsWithSession> = Arc::new(what);
        self.shared.outliving.add(Begun { what: what.clone(), id: self.id.clone() });
        // It may have ended since the handler has run: its end is noted before what it has begun is looked for.
        let id = *self.id.lock();
        if self.shared.ended.is_later_than(self.received, &id) {
            what.end();
        }
    }
}

impl Drop for SessionTie {
    fn drop(&mut self) {
        self.shared.outliving.remove(&self.id);
    }
}

#[cfg(feature = "websocket")]
impl EndsWithSession for Peer {
    fn end(&self) {
        self.close(CloseCode::POLICY, "the session has ended");
    }
}

#[cfg(feature = "websocket")]
impl Bond for SessionTie {
    fn begin(&mut self, peer: &Peer) {
        Self::begin(self, peer.clone());
    }

    fn holds(&self) -> bool {
        if !matches!(self.shared.backings, Backings::InStore) {
            return true;
        }
        let id = *self.id.lock();
        // A store that cannot be reached ends nothing; it is asked again.
        match self.shared.block().map(|_place| self.shared.store.load(&id, Moment::now()).wait()) {
            Ok(Ok(record)) => record.is_some() || *self.id.lock() != id,
            Ok(Err(error)) => {
                self.shared.health.failed(&error, "asking whether a session goes on");
                true
            }
            Err(_) => true,
        }
    }
}

/// A push that ends with its session.
struct StreamOfSession {
    push: Box<dyn Push>,
    life: Arc<Mutex<StreamLife>>,
    _tie: SessionTie,
}

enum StreamLife {
    New,
    Follows(Waker),
    Over,
}

struct OfStream(Arc<Mutex<StreamLife>>);

impl EndsWithSession for OfStream {
    fn end(&self) {
        let before = std::mem::replace(&mut *self.0.lock(), StreamLife::Over);
        if let StreamLife::Follows(waker) = before {
            waker.wake();
        }
    }
}

impl Push for StreamOfSession {
    fn pull(&mut self, out: &mut Vec<u8>, turn: &PushTurn<'_>) -> Pulled {
        let mut life = self.life.lock();
        match &*life {
            StreamLife::New => *life = StreamLife::Follows(turn.waker()),
            StreamLife::Follows(_) => {}
            StreamLife::Over => return Pulled::End,
        }
        drop(life);
        self.push.pull(out, turn)
    }

    fn waits_for(&self) -> Cow<'static, str> {
        self.push.waits_for()
    }
}
