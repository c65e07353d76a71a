//! Rooms: what many conversations hear alike.
//!
//! A room is a ring, as a topic is: a message is made into a frame once, and each conversation has a cursor. So a room
//! of ten thousand costs each message one encoding, and a client that does not read costs no memory.

use super::ring::{Bounds, Cursor, Read, Ring, Wanted};
use crate::exchange::websocket::{Change, Channel, Heard, Message, Peer, SendError};
use crate::http::websocket::{Opcode, write_frame};
use std::sync::Arc;
use std::task::Waker;

/// What many conversations hear alike; see [`websocket`](crate::websocket). A clone is a handle to the same room.
///
/// ```
/// use kirsch::push::Room;
/// use kirsch::websocket::{Conversation, Message, Peer, Upgrade, Upgraded};
/// use kirsch::{prelude::*, testing::Client};
///
/// struct Guest { room: Room }
///
/// impl Conversation for Guest {
///     fn opened(&mut self, peer: &Peer) -> kirsch::Result<()> {
///         self.room.join(peer);
///         Ok(())
///     }
///
///     fn message(&mut self, message: Message<'_>, _: &Peer) -> kirsch::Result<()> {
///         Ok(self.room.say(message)?)
///     }
/// }
///
/// struct Hall { room: Room }
///
/// #[handlers]
/// impl Hall {
///     #[expose]
///     fn talk(&self, upgrade: Upgrade) -> Upgraded {
///         upgrade.speak(Guest { room: self.room.clone() })
///     }
/// }
///
/// let client = Client::over_socket(App::new(Hall { room: Room::new() }));
/// let (mut anna, mut ben) = (client.websocket("/talk"), client.websocket("/talk"));
/// anna.send("to myself");
/// assert_eq!(anna.text(), "to myself");
/// ben.send("Hello");
/// while ben.text() != "Hello" {}
/// assert_eq!(anna.text(), "Hello");
/// ```
///
/// A room keeps its last 4096 messages, and 4 MiB of them at most. A client that is further behind is too slow: its
/// conversation ends with 1013.
#[derive(Clone)]
pub struct Room {
    ring: Arc<Ring<()>>,
    bounds: Bounds,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Bounds { values: 4096, bytes: 4 << 20 })
    }

    fn of(bounds: Bounds) -> Self {
        Self { ring: Arc::new(Ring::new(bounds, 0)), bounds }
    }

    /// An empty room that keeps so many messages (default 4096).
    #[must_use]
    pub fn keep(self, messages: usize) -> Self {
        Self::of(Bounds { values: messages, ..self.bounds })
    }

    /// Tells everybody in the room. Any thread may call it; it waits for nobody.
    ///
    /// # Errors
    /// [`SendError::Full`] for a message of more than 4 MiB.
    pub fn say<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        let (opcode, content) = match message.into() {
            Message::Text(text) => (Opcode::Text, text.as_bytes()),
            Message::Bytes(bytes) => (Opcode::Binary, bytes),
        };
        let mut frame = Vec::with_capacity(content.len() + 10);
        write_frame(&mut frame, opcode, content);
        if frame.len() > self.bounds.bytes {
            return Err(SendError::Full);
        }
        self.ring.publish((), frame, |_, _| ());
        Ok(())
    }

    /// Lets a client hear what is said from now on.
    pub fn join(&self, peer: &Peer) {
        self.join_behind(peer, self.ring.last());
    }

    /// Lets a client hear the last messages that the room has kept, so many at most, and what is said from now on.
    pub fn join_late(&self, peer: &Peer, messages: usize) {
        let (kept, _) = self.ring.size();
        self.join_behind(peer, self.ring.last().saturating_sub(messages.min(kept) as u64));
    }

    fn join_behind(&self, peer: &Peer, number: u64) {
        peer.change(Change::Join(Box::new(Joined { cursor: Cursor::behind(&self.ring, number), room: self.id() })));
    }

    /// The client hears no more of it. The end of a conversation does that, too.
    pub fn leave(&self, peer: &Peer) {
        peer.change(Change::Leave(self.id()));
    }

    /// A number that no other room has while this one lives.
    fn id(&self) -> usize {
        Arc::as_ptr(&self.ring).addr()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.ring.fmt(f)
    }
}

/// A client in a room.
struct Joined {
    cursor: Cursor<()>,
    room: usize,
}

impl Channel for Joined {
    fn read(&mut self, out: &mut Vec<u8>, most: usize, waker: &Waker) -> Heard {
        match self.cursor.read(out, most, Wanted::All, || waker.clone()) {
            Read::All => Heard::All,
            Read::More => Heard::More,
            Read::Missed(_) => Heard::Missed,
        }
    }

    fn id(&self) -> usize {
        self.room
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::exchange::RequestId;
    use std::net::Ipv4Addr;

    fn heard(joined: &mut Joined) -> (Heard, usize) {
        let mut out = Vec::new();
        let heard = joined.read(&mut out, 1000, Waker::noop());
        (heard, out.len())
    }

    fn joined(room: &Room, number: u64) -> Joined {
        Joined { cursor: Cursor::behind(&room.ring, number), room: room.id() }
    }

    #[test]
    fn all_hear_the_same_frames_and_one_that_is_too_far_behind_misses_some() {
        let room = Room::new().keep(2);
        let (mut one, mut other) = (joined(&room, 0), joined(&room, 0));
        assert_eq!(room.say("abc"), Ok(()));
        assert_eq!((heard(&mut one), heard(&mut one)), ((Heard::All, 5), (Heard::All, 0)));
        (0..2).for_each(|_| assert_eq!(room.say(&[1u8, 2][..]), Ok(())));
        assert_eq!((heard(&mut one), heard(&mut other).0), ((Heard::All, 8), Heard::Missed));
        assert_eq!(room.say(&vec![0; 5 << 20]), Err(SendError::Full));
    }

    #[test]
    fn a_guest_that_comes_late_hears_what_was_said_last() {
        let room = Room::new();
        let peer = Peer::new(RequestId::next(), Ipv4Addr::LOCALHOST.into(), 1000, None, Waker::noop().clone());
        (0..5).for_each(|_| assert_eq!(room.say("abc"), Ok(())));
        room.join_late(&peer, 3);
        let Some(Change::Join(mut channel)) = peer.take(&mut Vec::new()).changes.pop() else { panic!("it has joined") };
        let mut out = Vec::new();
        assert_eq!((channel.read(&mut out, 1000, Waker::noop()), out.len()), (Heard::All, 15));
    }
}
