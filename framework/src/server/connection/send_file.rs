//! Files as responses: the kernel moves them from its page cache to the socket (`sendfile`).
//!
//! The head leaves together with the first bytes of the file: it is sent as a part of something larger (`MSG_MORE`).
//! Small files are read behind their head instead, which costs less than the second call. Any thread may go on with a
//! file, since no code of the application runs. It may wait for the disk, never for the client. With encryption it is
//! read in pieces. Where the file system cannot do it, the file is read and sent as a stream. `sendfile` has no
//! `MSG_NOSIGNAL`: a program must ignore `SIGPIPE`, as Rust does before `main`, or a client that leaves would kill it.

use super::respond::{MAX_MOVED_IN_A_ROW, Sending, sent};
use super::{HttpConnection, Next, State, Then, Turn};
use crate::exchange::{FileBody, ResponseBody, Stream};
use crate::server::scheduler::Step;
use crate::server::transport::{FileFailure, Follows};
use crate::server::word::Edges;
use crate::server::workspace::Workspace;

/// A file up to this size is read behind its head.
const SMALL: u64 = 16 * 1024;

/// Appends a small file to `out`. Leaves `out` alone when the file is not small, or has changed: sending will tell.
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
        self.hold(turn, work);
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
            if !head.is_empty() {
                let Ok(taken) = self.transport.send(head, Follows::AtOnce, &mut work.scratch) else {
                    return (State::Sending(sending), Then::Lost);
                };
                work.output.advance(taken.length);
                self.took(&work.shared, taken);
                continue;
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(MAX_MOVED_IN_A_ROW - moved);
            match self.transport.send_file(file, sending.body_bytes, most, &mut work.scratch) {
                Ok(taken) => {
                    sending.body_bytes += taken.length as u64;
                    moved += taken.length;
                    self.took(&work.shared, taken);
                }
                Err(FileFailure::Gone) => return (State::Sending(sending), Then::Lost),
                Err(FileFailure::Shorter) => {
                    let (id, sent, length) = (sending.request.exchange.request.id, sending.body_bytes, file.length());
                    crate::line::record!(
                        Error,
                        "request {id}: the file became shorter while it was sent: {sent} of {length} bytes"
                    );
                    return (State::Sending(sending), Then::Lost);
                }
                Err(FileFailure::Unsendable) => {
                    let id = sending.request.exchange.request.id;
                    let pieces = file.skip(sending.body_bytes).into_stream().inspect(move |piece| {
                        if let Err(error) = piece {
                            crate::line::record!(Error, "request {id}: the file cannot be sent: {error}");
                        }
                    });
                    sending.request.exchange.response.set_body(Stream::fallible(pieces));
                    return self.send_stream(turn, work, sending);
                }
            }
        }
    }
}
