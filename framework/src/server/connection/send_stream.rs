//! Streams as responses: each chunk is made when the one before is in the socket, and leaves at once.
//!
//! The chunks are made by the application, so on a worker. A stream that fails ends the connection without a regular
//! end.

use super::request::guarded;
use super::respond::{Sending, sent};
use super::{HttpConnection, Next, Rest, State, Then, Turn};
use crate::exchange::{ResponseBody, WorkerStage};
use crate::http::{ResponseFraming, write_chunk, write_last_chunk};
use crate::server::scheduler::{Phase, Role, Step};
use crate::server::word::Edges;
use crate::server::workspace::Workspace;
use std::time::Instant;

/// Chunks that are made for one connection before the others have their turn.
const CHUNKS_IN_A_ROW: u32 = 16;

impl HttpConnection {
    pub(super) fn send_stream(&mut self, turn: &mut Turn, work: &mut Workspace, mut sending: Box<Sending>) -> Next {
        let mut chunks = 0;
        loop {
            // Earlier chunks go out before the next one, which may take long.
            let then = match self.flush(turn, work, Some(&sending)) {
                Then::Go if sending.ended => {
                    self.transport.finish();
                    return sent(turn, work, *sending);
                }
                Then::Go if turn.role != Role::Worker => Then::Stop(Step::Lend { refusable: false }),
                Then::Go if self.heard.contains(Edges::GONE) => Then::Lost,
                // A server that has stopped needs no more chunks.
                Then::Go if work.shared.scheduler.phase() >= Phase::Stopped => Then::Lost,
                // A chunk is made when it can be sent.
                Then::Go if !self.heard.contains(Edges::WRITABLE) => self.wait_for_room(turn, work, Some(&sending)),
                Then::Go if chunks == CHUNKS_IN_A_ROW => Then::Stop(Step::Again),
                Then::Go => {
                    self.carry(turn, work);
                    if sending.make_chunk(work) {
                        chunks += 1;
                        continue;
                    }
                    if sending.framing == ResponseFraming::Close {
                        // Here a close would look like the regular end; a reset does not.
                        self.transport.fail_at_close();
                    }
                    Then::Lost
                }
                then => then,
            };
            return (State::Sending(sending), then);
        }
    }
}

impl Sending {
    /// Makes the next chunk of the stream; false when it failed.
    fn make_chunk(&mut self, work: &mut Workspace) -> bool {
        let id = self.request.exchange.request.id;
        let now = work.shared.scheduler.clock.millis(Instant::now());
        work.record().begin(&self.request.exchange, now, WorkerStage::Stream);
        let ResponseBody::Stream(stream) = &mut self.request.exchange.response.body else { return false };
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
                self.request.rest = Rest::Nothing;
                if chunked {
                    write_last_chunk(&mut work.output.bytes);
                }
            }
            Some(Some(Err(error))) => {
                // The maker of the stream has logged it, with more than is known here.
                crate::line::record!(Debug, "request {id}: the stream of the response failed: {error}");
                return false;
            }
            None => return false,
        }
        true
    }
}
