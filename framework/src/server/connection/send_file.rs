//! Files as responses: the kernel moves them from its page cache to the socket (`sendfile`).
//!
//! The head leaves together with the first bytes of the file: it is sent as a part of something larger (`MSG_MORE`). Small files
//! are read behind their head instead, which costs less than the second call. Any thread may go on with a file, since no code of the
//! application runs; the reads it may wait for are those of the disk, never those of the client. Where the file system cannot do it, the
//! file is read and sent as a stream. `sendfile` has no `MSG_NOSIGNAL`: a program in which `SIGPIPE` is not ignored, as Rust does it
//! before `main`, would die of a client that leaves.

use super::respond::{MAX_MOVED_IN_A_ROW, Sending, sent};
use super::{HttpConnection, Next, State, Then, Turn};
use crate::exchange::{FileBody, ResponseBody, Stream};
use crate::server::scheduler::Step;
use crate::server::word::Edges;
use crate::server::workspace::Workspace;
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// A file up to this size is read behind its head.
const SMALL: u64 = 16 * 1024;

/// Appends a small file to `out`. Leaves `out` alone when the file is not small, or is not what it was: sending will tell.
pub(super) fn append_if_small(file: &FileBody, out: &mut Vec<u8>) -> bool {
    if file.length() > SMALL {
        return false;
    }
    let start = out.len();
    out.resize(start + usize::try_from(file.length()).unwrap_or(0), 0);
    let is_whole = file.read_exact_at(&mut out[start..], 0).is_ok();
    if !is_whole {
        out.truncate(start);
    }
    is_whole
}

impl HttpConnection {
    pub(super) fn send_file(&mut self, turn: &mut Turn, work: &mut Workspace, mut sending: Box<Sending>) -> Next {
        let mut moved = 0;
        loop {
            let ResponseBody::File(file) = &sending.request.exchange.response.body else {
                unreachable!("only files are sent as files");
            };
            let left = file.length().saturating_sub(sending.body_bytes);
            let head = work.output.unsent();
            if head.is_empty() && left == 0 {
                return sent(turn, work, *sending);
            }
            if !self.heard.contains(Edges::WRITABLE) {
                let then = self.wait_for_room(turn, work, Some(&sending));
                return (State::Sending(sending), then);
            }
            if moved >= MAX_MOVED_IN_A_ROW {
                return (State::Sending(sending), Then::Stop(Step::Again));
            }
            let total = head.len();
            let outcome = if head.is_empty() {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(MAX_MOVED_IN_A_ROW - moved);
                let mut position = file.offset() + sending.body_bytes;
                sendfile(&self.socket, file.file(), Some(&mut position), most).map(Sent::OfFile)
            } else {
                send(&self.socket, head, SendFlags::NOSIGNAL | SendFlags::MORE).map(Sent::OfHead)
            };
            match outcome {
                Ok(Sent::OfHead(length)) => {
                    self.took(&work.shared, length, total);
                    work.output.advance(length);
                }
                Ok(Sent::OfFile(0)) => {
                    let (id, sent, length) = (sending.request.exchange.request.id, sending.body_bytes, file.length());
                    crate::line::record!(
                        Error,
                        "request {id}: the file became shorter while it was sent: {sent} of {length} bytes"
                    );
                    return (State::Sending(sending), Then::Lost);
                }
                // Less than asked for may be the end of the file as well as that of the room: the next call tells.
                Ok(Sent::OfFile(length)) => {
                    self.earn(&work.shared, length);
                    sending.body_bytes += length as u64;
                    moved += length;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.heard.remove(Edges::WRITABLE),
                // Not every file system can do it. Reading can, or tells what is wrong with the file.
                Err(error) if !is_the_clients(error) && head.is_empty() => {
                    let id = sending.request.exchange.request.id;
                    let pieces = file.skip(sending.body_bytes).into_stream().inspect(move |piece| {
                        if let Err(error) = piece {
                            crate::line::record!(Error, "request {id}: the file cannot be sent: {error}");
                        }
                    });
                    sending.request.exchange.response.set_body(Stream::fallible(pieces));
                    return self.send_stream(turn, work, sending);
                }
                Err(_) => return (State::Sending(sending), Then::Lost),
            }
        }
    }
}

/// What a call has sent.
enum Sent {
    OfHead(usize),
    OfFile(usize),
}

/// The connection has ended, an everyday end. Anything else is about the file.
fn is_the_clients(error: Errno) -> bool {
    matches!(
        error,
        Errno::PIPE | Errno::CONNRESET | Errno::CONNABORTED | Errno::TIMEDOUT | Errno::HOSTUNREACH | Errno::NETUNREACH
    )
}
