//! The way to a client in the same process: bytes in memory in place of a socket.
//!
//! One side is the connection's, behind the seam, and never waits; the other side is the client's. A pipe has room for
//! one write: it takes all of it, and the next one when the client has taken it. So a response is made only as far as
//! its client reads. Input may come from a reader of the client's, which is asked when the connection wants more; what
//! the connection has written goes out first. A pipe also carries the news that the poller and wakers bring to a
//! connection on a socket: the thread that steps the connection sleeps here.

use super::{FileFailure, Received, Taken};
use crate::exchange::FileBody;
use crate::server::word::Edges;
use parking_lot::{Condvar, Mutex};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

#[derive(Default)]
pub(in crate::server) struct Pipe {
    ends: Mutex<Ends>,
    news_came: Condvar,
}

#[derive(Default)]
struct Ends {
    /// From the client.
    input: Vec<u8>,
    /// How much of it has been read.
    read: usize,
    /// More of it.
    source: Option<Box<dyn Read + Send>>,
    /// The client will send no more.
    input_has_ended: bool,
    /// To the client: one write that it has not taken.
    output: Vec<u8>,
    /// How the connection has ended its side, if it has.
    output_end: Option<End>,
    /// What the connection has not heard of.
    news: Edges,
}

/// How the connection's side of a pipe has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum End {
    Regular,
    /// As if the connection had been reset.
    Failure,
}

/// The connection's side.
impl Pipe {
    pub(super) fn receive(&self, room: &mut [u8]) -> Received {
        let mut ends = self.ends.lock();
        let unread = &ends.input[ends.read..];
        if unread.is_empty() {
            if ends.source.is_some() && !ends.output.is_empty() {
                return Received::Nothing;
            }
            if let Some(source) = ends.source.take() {
                drop(ends);
                return self.receive_from(source, room);
            }
            return if ends.input_has_ended { Received::End } else { Received::Nothing };
        }
        let length = unread.len().min(room.len());
        room[..length].copy_from_slice(&unread[..length]);
        ends.read += length;
        Received::Bytes { length, is_drained: ends.read == ends.input.len() && ends.source.is_none() }
    }

    /// A source that fails has ended too early, which is seen by the framing.
    fn receive_from(&self, mut source: Box<dyn Read + Send>, room: &mut [u8]) -> Received {
        loop {
            match source.read(room) {
                Ok(length @ 1..) => {
                    self.ends.lock().source = Some(source);
                    return Received::Bytes { length, is_drained: false };
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return Received::End,
            }
        }
    }

    pub(super) fn send(&self, parts: [&[u8]; 2]) -> Taken {
        let output = &mut self.ends.lock().output;
        if !output.is_empty() {
            return Taken { length: 0, is_full: true };
        }
        parts.iter().for_each(|part| output.extend_from_slice(part));
        Taken { length: output.len(), is_full: true }
    }

    pub(super) fn send_file(&self, file: &FileBody, position: u64, most: usize) -> Result<Taken, FileFailure> {
        let output = &mut self.ends.lock().output;
        if !output.is_empty() {
            return Ok(Taken { length: 0, is_full: true });
        }
        output.resize(most, 0);
        if file.read_exact_at(output, position).is_err() {
            output.clear();
            return Err(FileFailure::Unsendable);
        }
        Ok(Taken { length: most, is_full: true })
    }

    pub(super) fn end(&self, end: End) {
        self.ends.lock().output_end.get_or_insert(end);
    }

    pub(super) fn has_input(&self) -> bool {
        let ends = self.ends.lock();
        ends.read < ends.input.len()
    }

    /// Whether the client has taken all that was written.
    pub(super) fn has_room(&self) -> bool {
        self.ends.lock().output.is_empty()
    }
}

/// The client's side.
impl Pipe {
    /// The client sends.
    pub(in crate::server) fn write(&self, bytes: &[u8]) {
        let ends = &mut *self.ends.lock();
        ends.input.drain(..std::mem::take(&mut ends.read));
        ends.input.extend_from_slice(bytes);
        ends.news |= Edges::READABLE;
    }

    /// The client sends what this reader has, and nothing behind it.
    pub(in crate::server) fn read_from(&self, source: Box<dyn Read + Send>) {
        let mut ends = self.ends.lock();
        ends.source = Some(source);
        ends.input_has_ended = true;
        ends.news |= Edges::READABLE;
    }

    /// The client will send no more.
    pub(in crate::server) fn end_input(&self) {
        let mut ends = self.ends.lock();
        ends.input_has_ended = true;
        ends.news |= Edges::READABLE | Edges::HALF_CLOSED;
    }

    /// The client takes what was written; returns how much.
    pub(in crate::server) fn take(&self, into: &mut Vec<u8>) -> usize {
        let ends = &mut *self.ends.lock();
        let length = ends.output.len();
        if length > 0 {
            into.append(&mut ends.output);
            ends.news |= Edges::WRITABLE;
            if ends.source.is_some() {
                ends.news |= Edges::READABLE;
            }
        }
        length
    }

    /// How the connection has ended its side, if it has.
    pub(in crate::server) fn output_end(&self) -> Option<End> {
        self.ends.lock().output_end
    }

    /// Takes the news for the connection, and waits for the first until the moment.
    pub(in crate::server) fn wait_for_news(&self, until: Instant) -> Edges {
        let mut ends = self.ends.lock();
        while ends.news == Edges::NONE {
            if self.news_came.wait_until(&mut ends, until).timed_out() {
                break;
            }
        }
        std::mem::take(&mut ends.news)
    }
}

/// The waker of the request that the connection has parked.
impl Wake for Pipe {
    fn wake(self: Arc<Self>) {
        self.ends.lock().news |= Edges::WOKEN;
        self.news_came.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_takes_one_write_and_the_next_when_its_client_has_taken_that() {
        let pipe = Pipe::default();
        assert_eq!(pipe.send([b"head", b"content"]).length, 11);
        assert_eq!(pipe.send([b"more", b""]).length, 0);
        let mut received = Vec::new();
        assert_eq!((pipe.take(&mut received), pipe.take(&mut received)), (11, 0));
        assert_eq!(pipe.wait_for_news(Instant::now()), Edges::WRITABLE);
        assert_eq!((pipe.send([b"more", b""]).length, &received[..]), (4, &b"headcontent"[..]));
    }

    #[test]
    fn the_end_of_the_input_comes_behind_its_last_byte() {
        let pipe = Pipe::default();
        assert!(matches!(pipe.receive(&mut [0; 4]), Received::Nothing));
        pipe.write(b"ab");
        pipe.end_input();
        assert!(matches!(pipe.receive(&mut [0; 1]), Received::Bytes { length: 1, is_drained: false }));
        assert!(matches!(pipe.receive(&mut [0; 4]), Received::Bytes { length: 1, is_drained: true }));
        assert!(matches!(pipe.receive(&mut [0; 4]), Received::End));
    }

    #[test]
    fn a_source_is_asked_when_the_input_is_used_up_and_nothing_waits_to_be_taken() {
        let pipe = Pipe::default();
        pipe.write(b"ab");
        pipe.read_from(Box::new(&b"cd"[..]));
        let mut room = [0; 4];
        assert!(matches!(pipe.receive(&mut room), Received::Bytes { length: 2, .. }));
        pipe.send([b"out", b""]);
        assert!(matches!(pipe.receive(&mut room), Received::Nothing));
        pipe.take(&mut Vec::new());
        assert_eq!(pipe.wait_for_news(Instant::now()), Edges::READABLE | Edges::WRITABLE);
        assert!(matches!(pipe.receive(&mut room), Received::Bytes { length: 2, .. }));
        assert!(matches!(pipe.receive(&mut room), Received::End));
    }

    #[test]
    fn a_wake_up_before_the_wait_is_not_lost() {
        let pipe = Arc::new(Pipe::default());
        std::task::Waker::from(Arc::clone(&pipe)).wake();
        assert_eq!(pipe.wait_for_news(Instant::now()), Edges::WOKEN);
        assert_eq!(pipe.wait_for_news(Instant::now()), Edges::NONE, "it is told once");
    }
}
