//! Which conversations by WebSocket a session has opened, so that its end is theirs.
//!
//! A conversation outlives its request, and a logout must end it. A logout in this process closes it at once. The end
//! of a session anywhere else, or of its life, is seen when the store is asked, which is before each ping. A session
//! that gets another id, as at a login, keeps its conversations.

use super::id::IdHasher;
use super::session::Backings;
use super::shared::Shared;
use super::{Moment, SessionId};
use crate::exchange::websocket::{Bond, CloseCode, Peer};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// The conversations of all sessions of one tool in this process.
#[derive(Debug, Default)]
pub(super) struct Sockets(Mutex<HashMap<SessionId, Vec<Socket>, IdHasher>>);

#[derive(Debug)]
struct Socket {
    peer: Peer,
    /// The id of its session at present.
    id: Arc<Mutex<SessionId>>,
}

const ENDED: &str = "the session has ended";

impl Sockets {
    /// The session has ended.
    pub(super) fn close(&self, id: &SessionId) {
        let sockets = self.0.lock().remove(id);
        for socket in sockets.into_iter().flatten() {
            socket.peer.close(CloseCode::POLICY, ENDED);
        }
    }

    /// The session goes on under another id.
    pub(super) fn rename(&self, old: &SessionId, new: SessionId) {
        let mut sockets = self.0.lock();
        if let Some(moved) = sockets.remove(old) {
            moved.iter().for_each(|socket| *socket.id.lock() = new);
            sockets.entry(new).or_default().extend(moved);
        }
    }

    fn add(&self, socket: Socket) {
        let mut sockets = self.0.lock();
        let id = *socket.id.lock();
        sockets.entry(id).or_default().push(socket);
    }

    fn remove(&self, id: &Mutex<SessionId>, peer: &Peer) {
        let mut sockets = self.0.lock();
        let id = *id.lock();
        if let Some(of_session) = sockets.get_mut(&id) {
            of_session.retain(|socket| socket.peer.id() != peer.id());
            if of_session.is_empty() {
                sockets.remove(&id);
            }
        }
    }
}

/// One conversation's tie to its session.
pub(super) struct SessionBond {
    shared: Arc<Shared>,
    id: Arc<Mutex<SessionId>>,
    received: Instant,
    peer: Option<Peer>,
}

impl SessionBond {
    pub(super) fn new(shared: Arc<Shared>, id: SessionId, received: Instant) -> Self {
        Self { shared, id: Arc::new(Mutex::new(id)), received, peer: None }
    }
}

impl Bond for SessionBond {
    fn begin(&mut self, peer: &Peer) {
        self.shared.sockets.add(Socket { peer: peer.clone(), id: self.id.clone() });
        self.peer = Some(peer.clone());
        // It may have ended since the handler has run: its end is noted before its conversations are looked for.
        let id = *self.id.lock();
        if self.shared.ended.is_later_than(self.received, &id) {
            peer.close(CloseCode::POLICY, ENDED);
        }
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

impl Drop for SessionBond {
    fn drop(&mut self) {
        if let Some(peer) = &self.peer {
            self.shared.sockets.remove(&self.id, peer);
        }
    }
}
