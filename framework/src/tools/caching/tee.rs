//! Keeping a stream while it is sent: a copy of each chunk, up to a limit.
//!
//! Only a stream that ends as it should is kept. When it fails, or its client goes away, the copy is dropped, and so is
//! the lead: the next in line makes the response. A stream that grows beyond the limit is sent on and not kept; the
//! waiting requests are let go at once. All copies together take no more than the cache may.

use super::keeping::Keeping;
use crate::{Error, Stream};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The same stream, kept when it has ended: up to `most` bytes of it, with copies of other streams up to those of
/// `room`.
pub(super) fn tee(stream: Stream, keeping: Keeping, most: usize, room: Room) -> Stream {
    let length = stream.length();
    let teed = Stream::fallible(Tee {
        chunks: stream,
        copy: Some((keeping, Copy { content: Vec::new(), counted: 0, room })),
        most,
    });
    match length {
        Some(length) => teed.with_length(length),
        None => teed,
    }
}

/// The room for copies of streams.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) bytes: usize,
    pub(super) taken: Arc<AtomicUsize>,
}

struct Tee {
    chunks: Stream,
    copy: Option<(Keeping, Copy)>,
    most: usize,
}

impl Iterator for Tee {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.chunks.next();
        let Some((keeping, mut copy)) = self.copy.take() else { return chunk };
        match &chunk {
            Some(Ok(made)) if copy.add(made, self.most) => self.copy = Some((keeping, copy)),
            Some(Ok(_)) => keeping.give_up(),
            Some(Err(_)) => drop(keeping),
            None => {
                let content = std::mem::take(&mut copy.content).into_boxed_slice();
                keeping.finish(Bytes::from(content));
            }
        }
        chunk
    }
}

/// A copy, and how much of the room it has taken.
struct Copy {
    content: Vec<u8>,
    counted: usize,
    room: Room,
}

impl Copy {
    /// Adds a chunk, if there is room for it.
    fn add(&mut self, chunk: &[u8], most: usize) -> bool {
        let taken = self.room.taken.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len();
        self.counted += chunk.len();
        let has_room = self.counted <= most && taken <= self.room.bytes;
        if has_room {
            self.content.extend_from_slice(chunk);
        }
        has_room
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.counted, Ordering::Relaxed);
    }
}
