//! Streams as responses: each chunk is made when the one before is in the socket, and leaves at once.
//!
//! The chunks are made by the application, so on a worker. A stream that fails ends the connection without a regular end.

use super::connection::{Flow, HttpConnection, State, Turn, guarded};
use super::respond::Sending;
use super::scheduler::{Phase, Role, Step};
use super::workspace::Workspace;
use crate::exchange::ResponseBody;
use crate::http::{ResponseFraming, write_chunk, write_last_chunk};
use std::time::Duration;

/// Chunks that are made for one connection before the others have their turn.
const CHUNKS_IN_A_ROW: u32 = 16;

impl HttpConnection {
    pub(super) fn send_stream(&mut self, turn: &mut Turn, work: &mut Workspace, mut sending: Box<Sending>) -> Flow {
        let mut chunks = 0;
        loop {
            let ended = sending.ended;
            self.state = State::Sending(sending);
            // What was made before goes out before the next chunk, which may take long.
            if let stop @ Flow::Stop(_) = self.flush(turn, work) {
                return stop;
            }
            if !ended {
                if turn.role != Role::Worker {
                    return Flow::Stop(Step::Lend { refusable: false });
                }
                // A client that has gone, or a server that has stopped, needs no more chunks.
                if self.gone || work.shared.scheduler.phase() >= Phase::Stopped {
                    return Flow::Stop(self.lose(turn, work));
                }
                if chunks == CHUNKS_IN_A_ROW {
                    return Flow::Stop(Step::Again);
                }
            }
            let State::Sending(kept) = std::mem::take(&mut self.state) else {
                unreachable!("flush leaves the state alone");
            };
            sending = kept;
            if ended {
                return self.sent(turn, work, *sending);
            }
            if !sending.make_chunk(work) {
                if sending.framing == ResponseFraming::Close {
                    // Here a close would look like the regular end; a reset does not.
                    let _ = rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
                }
                self.state = State::Sending(sending);
                return Flow::Stop(self.lose(turn, work));
            }
            chunks += 1;
        }
    }
}

impl Sending {
    /// Makes the next chunk of the stream; false when it failed.
    fn make_chunk(&mut self, work: &mut Workspace) -> bool {
        let id = self.exchange.request.id;
        let ResponseBody::Stream(stream) = &mut self.exchange.response.body else { return false };
        let now = work.shared.scheduler.clock.now();
        work.record().begin(&self.exchange.request.head, now);
        let chunk = guarded(id, || stream.next());
        work.record().finish();
        let chunked = self.framing == ResponseFraming::Chunked;
        match chunk {
            Some(Some(Ok(content))) => {
                self.body_bytes += content.len() as u64;
                if chunked {
                    write_chunk(&mut work.output.bytes, &content);
                } else {
                    work.output.bytes.extend_from_slice(&content);
                }
            }
            Some(None) => {
                self.ended = true;
                self.request_body = None;
                if chunked {
                    write_last_chunk(&mut work.output.bytes);
                }
            }
            Some(Some(Err(error))) => {
                // Whoever made the stream has logged it, with more than is known here.
                crate::line::record!(Debug, "request {id}: the stream of the response failed: {error}");
                return false;
            }
            None => return false,
        }
        true
    }
}
