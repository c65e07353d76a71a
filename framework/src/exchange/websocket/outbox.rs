//! What waits for one client: put in from any thread, taken out by the connection.
//!
//! ```text
//! any thread: lock, append a frame, was the connection at rest? ── yes ──► wake it, outside of the lock
//! connection: lock, take whole frames ... nothing left? ──► note that it rests, in the same lock ──► let go of the slot
//! ```
//!
//! One lock covers both sides, so a frame is either taken or its sender wakes the connection. Frames are whole: a
//! control frame of the server goes between two of them.

use super::{CloseCode, Message};
use crate::exchange::RequestId;
#[cfg(feature = "websocket-deflate")]
use crate::http::websocket::write_compressed;
use crate::http::websocket::{Opcode, Window, frame_length, write_frame};
use crate::primitive::Mutex;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;

/// The client of a conversation, for any thread: keep a clone to send when there is something to say.
///
/// ```no_run
/// # use kirsch::websocket::Peer;
/// fn tell_all(guests: &[Peer], text: &str) {
///     for guest in guests {
///         // A client that is too slow, or gone, misses it.
///         let _ = guest.send(text);
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Peer(Arc<Outbox>);

struct Outbox {
    id: RequestId,
    remote: IpAddr,
    most: usize,
    #[cfg_attr(not(feature = "websocket-deflate"), expect(dead_code, reason = "nothing is compressed"))]
    deflates: Option<Window>,
    kept: Mutex<Kept>,
}

/// Where frames come from that are the same for many clients, such as a room. Dropped when its client has left.
pub(crate) trait Channel: Send + 'static {
    /// Appends whole frames up to about `most` bytes. When all are read, the waker is woken by the next one.
    fn read(&mut self, out: &mut Vec<u8>, most: usize, waker: &Waker) -> Heard;

    /// What it is a channel of, to leave it.
    fn id(&self) -> usize;
}

/// What a client has got of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// There is more.
    More,
    /// All.
    All,
    /// Some is gone that it has not got.
    Missed,
}

/// A change of a client's channels.
pub(crate) enum Change {
    Join(Box<dyn Channel>),
    Leave(usize),
}

/// What was taken out.
pub(crate) struct Taken {
    /// There are more frames.
    pub(crate) has_more: bool,
    pub(crate) changes: Vec<Change>,
}

#[derive(Default)]
struct Kept {
    /// Frames in a row.
    frames: Vec<u8>,
    /// How much of them was taken.
    taken: usize,
    /// Messages and their bytes so far, frames not counted.
    sent: (u64, u64),
    farewell: Option<Farewell>,
    changes: Vec<Change>,
    /// The connection waits for a wake-up.
    rests: bool,
    waker: Option<Waker>,
    is_over: bool,
}

/// The wish to end a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The client does not take what is there for it: more than the setting `websocket.outbox` would wait.
    Full,
    /// The conversation is over, or ends.
    Over,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the client does not take its messages",
            Self::Over => "the conversation is over",
        })
    }
}

impl std::error::Error for SendError {}

/// Not more is moved at once: a control frame waits for no more than that.
const MAX_TAKEN: usize = 64 * 1024;
/// A client that is silent keeps no larger buffer.
const MAX_KEPT: usize = 512;

impl Peer {
    pub(crate) fn new(id: RequestId, remote: IpAddr, most: usize, deflates: Option<Window>, waker: Waker) -> Self {
        let kept = Mutex::new(Kept { waker: Some(waker), ..Kept::default() });
        Self(Arc::new(Outbox { id, remote, most, deflates, kept }))
    }

    /// Sends a message, text or bytes: it waits for the client, never this thread. Messages of one thread keep their
    /// order.
    ///
    /// # Errors
    /// [`SendError::Full`] when too much waits already; a single message of any size is taken. [`SendError::Over`] when
    /// the conversation ends.
    pub fn send<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        let message = message.into();
        let (opcode, content) = match message {
            Message::Text(text) => (Opcode::Text, text.as_bytes()),
            Message::Bytes(bytes) => (Opcode::Binary, bytes),
        };
        #[cfg(feature = "websocket-deflate")]
        if let Some(window) = self.0.deflates {
            // Compressed outside of the lock, and not in vain for a client that does not read.
            self.0.kept.lock().admit(content.len(), self.0.most)?;
            let mut frame = Vec::new();
            write_compressed(&mut frame, opcode, content, window);
            return self.put(content.len(), |frames| frames.extend_from_slice(&frame));
        }
        self.put(content.len(), |frames| write_frame(frames, opcode, content))
    }

    /// Lets the client hear a channel from now on, or no more.
    pub(crate) fn change(&self, change: Change) {
        let waker = {
            let mut kept = self.0.kept.lock();
            if kept.is_over {
                return;
            }
            kept.changes.push(change);
            kept.waker_of_rest()
        };
        wake(waker);
    }

    /// Ends the conversation with this code and these words, of at most 123 bytes, behind what was sent before.
    pub fn close(&self, code: CloseCode, reason: impl Into<String>) {
        let waker = {
            let mut kept = self.0.kept.lock();
            if kept.is_over || kept.farewell.is_some() {
                return;
            }
            kept.farewell = Some(Farewell { code, reason: reason.into() });
            kept.waker_of_rest()
        };
        wake(waker);
    }

    /// The number of the request that began the conversation, as in the access log.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// The client's address, right behind a trusted proxy.
    #[must_use]
    pub fn remote(&self) -> IpAddr {
        self.0.remote
    }

    /// Whether the conversation is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.kept.lock().is_over
    }

    fn put(&self, length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        let waker = {
            let mut kept = self.0.kept.lock();
            kept.admit(length, self.0.most)?;
            write(&mut kept.frames);
            kept.sent = (kept.sent.0 + 1, kept.sent.1 + length as u64);
            kept.waker_of_rest()
        };
        wake(waker);
        Ok(())
    }

    /// Moves frames to `out`, up to 64 KiB or one that is larger.
    pub(crate) fn take(&self, out: &mut Vec<u8>) -> Taken {
        let mut kept = self.0.kept.lock();
        kept.rests = false;
        let changes = std::mem::take(&mut kept.changes);
        let waiting = &kept.frames[kept.taken..];
        let mut end = waiting.len();
        if end > MAX_TAKEN {
            end = 0;
            while let Some(length) = frame_length(&waiting[end..]) {
                if end > 0 && end + length > MAX_TAKEN {
                    break;
                }
                end += length;
            }
        }
        out.extend_from_slice(&waiting[..end]);
        kept.taken += end;
        if kept.taken < kept.frames.len() {
            return Taken { has_more: true, changes };
        }
        kept.taken = 0;
        kept.frames.clear();
        if kept.frames.capacity() > MAX_KEPT {
            kept.frames = Vec::new();
        }
        Taken { has_more: false, changes }
    }

    /// The connection is about to rest. False when there is something to send first.
    pub(crate) fn rest(&self) -> bool {
        let mut kept = self.0.kept.lock();
        kept.rests = kept.frames.is_empty() && kept.changes.is_empty() && (kept.farewell.is_none() || kept.is_over);
        kept.rests
    }

    /// The wish to end, if there is one; behind all that was sent.
    pub(crate) fn farewell(&self) -> Option<Farewell> {
        let kept = self.0.kept.lock();
        if kept.frames.is_empty() { kept.farewell.clone() } else { None }
    }

    /// Nothing more is taken, and what waits is forgotten. How many messages went out, and their bytes.
    pub(crate) fn end(&self) -> (u64, u64) {
        let (sent, _dropped_without_the_lock) = {
            let mut kept = self.0.kept.lock();
            kept.is_over = true;
            (kept.frames, kept.taken) = (Vec::new(), 0);
            (kept.sent, (kept.waker.take(), std::mem::take(&mut kept.changes)))
        };
        sent
    }
}

impl Kept {
    /// Whether a message of this length may still come in.
    fn admit(&self, length: usize, most: usize) -> Result<(), SendError> {
        if self.is_over || self.farewell.is_some() {
            return Err(SendError::Over);
        }
        let waiting = self.frames.len() - self.taken;
        if waiting > 0 && waiting.saturating_add(length) > most { Err(SendError::Full) } else { Ok(()) }
    }

    /// The waker, if the connection is at rest; it is woken once.
    fn waker_of_rest(&mut self) -> Option<Waker> {
        if std::mem::take(&mut self.rests) { self.waker.clone() } else { None }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("id", &self.0.id).field("remote", &self.0.remote).finish_non_exhaustive()
    }
}

#[cfg(all(test, shuttle))]
mod model;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn peer(most: usize) -> Peer {
        Peer::new(RequestId::next(), Ipv4Addr::LOCALHOST.into(), most, None, Waker::noop().clone())
    }

    #[test]
    fn too_much_is_refused_and_one_message_of_any_size_is_not() {
        let peer = peer(10);
        assert_eq!(peer.send(&vec![0; 1000]), Ok(()));
        assert_eq!(peer.send("more"), Err(SendError::Full));
        let mut out = Vec::new();
        assert!(!peer.take(&mut out).has_more && out.len() == 1004);
        assert_eq!(peer.send("more"), Ok(()));
    }

    #[test]
    fn whole_frames_are_taken() {
        let peer = peer(1 << 20);
        for length in [1000, 40_000, 30_000, 100_000] {
            assert_eq!(peer.send(&vec![0; length]), Ok(()));
        }
        let mut taken = Vec::new();
        loop {
            let mut out = Vec::new();
            let more = peer.take(&mut out).has_more;
            taken.push(out.len());
            if !more {
                break;
            }
        }
        assert_eq!(taken, [41_008, 30_004, 100_010]);
    }

    #[test]
    fn a_connection_rests_only_when_nothing_waits_and_the_end_is_behind_all() {
        let peer = peer(1000);
        assert!(peer.rest());
        assert_eq!(peer.send("a"), Ok(()));
        peer.close(CloseCode::NORMAL, "done");
        assert!(!peer.rest() && peer.farewell().is_none());
        peer.take(&mut Vec::new());
        assert!(peer.farewell().is_some() && !peer.rest());
        assert_eq!(peer.send("b"), Err(SendError::Over));
        peer.end();
        assert!(peer.is_over() && peer.rest());
    }
}
