//! Conversations in frames of HTTP/2 with the mirror, on one thread: for properties, and for the fuzzer.

use super::mirror::Mirror;
use super::{ByHand, Came, Hand, unbounded};
use crate::exchange::{Connection, ListenerFacts, ListenerRole};
use crate::server::scheduler::Role;
use crate::server::word::Edges;
use crate::server::workspace::Workspace;
use std::sync::Arc;
use std::time::Instant;

/// Streams that there may be at a time.
const STREAMS: usize = 100;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The frames that a server sends to a client that sends the preface, then these pieces, and then ends its side.
///
/// # Panics
/// If the answer is not whole frames, or if a stream outlives its connection.
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "public for the fuzzer"))]
pub fn converse_in_frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let server = Arc::new(ByHand::with_streams(Arc::new(Mirror), unbounded(), STREAMS).expect("descriptors"));
    let mut work = Workspace::new(Arc::clone(&server.shared), Arc::default());
    let listener = ListenerFacts::kept("", ListenerRole::Plain, true);
    let mut hand = server.connect(Connection { listener, ..Connection::default() });
    let mut received = Vec::new();
    for piece in std::iter::once(PREFACE).chain(pieces) {
        hand.send(piece);
        go_on(&mut hand, &mut work, &mut received);
    }
    hand.end_input();
    go_on(&mut hand, &mut work, &mut received);
    drop(hand);
    while run_one(&server, &mut work) {}
    assert_eq!(server.shared.scheduler.slab.open(), 0, "streams are left");
    let mut frames = &received[..];
    while let [high, middle, low, rest @ ..] = frames {
        let length = 6 + u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        frames = rest.get(length..).expect("frames are whole");
    }
    assert!(frames.is_empty(), "{}", received.escape_ascii());
    received
}

/// Goes on as far as it goes without more from the client.
fn go_on(hand: &mut Hand, work: &mut Workspace, received: &mut Vec<u8>) {
    let server = Arc::clone(&hand.server);
    loop {
        while let Came::Bytes(_) = hand.receive(received, Instant::now()) {}
        // Its streams cannot wake it: it has no slot.
        hand.step(Edges::WOKEN | Edges::WRITABLE, Role::Worker);
        if !run_one(&server, work) {
            while let Came::Bytes(_) = hand.receive(received, Instant::now()) {}
            return;
        }
    }
}

/// Lets the stream that is first in line go on.
fn run_one(server: &ByHand, work: &mut Workspace) -> bool {
    let scheduler = &server.shared.scheduler;
    let Some(owned) = scheduler.pop() else { return false };
    scheduler.drive(owned, Edges::NONE, Role::Worker, work);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
        [&[0, 0, u8::try_from(content.len()).expect("short"), kind, flags, 0, 0, 0, stream], content].concat()
    }

    /// A request for `/`, which ends with its head.
    fn get(stream: u8) -> Vec<u8> {
        frame(1, 5, stream, &[0x82, 0x86, 0x84, 0x01, 1, b'a'])
    }

    /// How many answers there are.
    fn answers(mut frames: &[u8]) -> usize {
        let mut count = 0;
        while let [_, middle, low, kind, flags, ..] = frames {
            count += usize::from(*kind == 0 && flags & 1 != 0);
            frames = &frames[9 + usize::from(u16::from_be_bytes([*middle, *low]))..];
        }
        count
    }

    #[test]
    fn requests_are_answered_however_their_frames_are_split() {
        let frames = [frame(4, 0, 0, &[]), get(1), get(3), frame(6, 0, 0, &[0; 8]), get(5)].concat();
        for length in [1, 2, 8, 9, 10, 31, 1000] {
            assert_eq!(answers(&converse_in_frames(frames.chunks(length))), 3, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_frames_are_answered_in_frames(
            frames in vec((0_u8..11, any::<u8>(), 0_u8..8, vec(any::<u8>(), 0..20)), 0..20),
            length in 1_usize..40,
        ) {
            let made = frames.iter().map(|(kind, flags, stream, content)| match kind {
                10 => get(*stream),
                kind => frame(*kind, *flags, *stream, content),
            });
            let bytes = std::iter::once(frame(4, 0, 0, &[])).chain(made).collect::<Vec<_>>().concat();
            converse_in_frames(bytes.chunks(length));
        }
    }
}
