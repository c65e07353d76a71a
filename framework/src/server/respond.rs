//! One HTTP connection, second half: from the finished response to the last byte, and what becomes of the connection.
//!
//! Small responses are collected in the thread's output buffer and leave in one write. Large bodies are sent from where they are,
//! behind the head, without a copy; `send_file.rs` and `send_stream.rs` have the two kinds that are not in memory. A slow client holds
//! the body, not a worker. The framing and the fate of the connection are decided once, before the head is
//! written.

use super::Delivery;
use super::body_stream::StreamHandle;
use super::connection::{Flow, HttpConnection, InFlight, Rest, State, Turn, guarded};
use super::farewell::MAX_DISCARDED;
use super::poll::Interest;
use super::scheduler::{Phase, Role, Step};
use super::send_file;
use super::unread;
use super::workspace::{Answered, Shared, Workspace};
use crate::exchange::{Exchange, ResponseBody};
use crate::http::{BodyDecoder, Persistence, ResponseFraming, write_response_head};
use ::http::{Method, Version};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use std::io::IoSlice;
use std::time::Instant;

/// What becomes of the connection after a response.
pub(super) enum After {
    /// The next request.
    Keep,
    /// The next request, behind the rest of this body.
    Discard(Box<BodyDecoder>),
    /// It ends; nothing unread is left.
    Close,
    /// It ends; the client may still be sending.
    Linger,
}

/// A response that is not in the output as a whole.
pub(super) struct Sending {
    pub(super) exchange: Box<Exchange>,
    /// How much of the content is sent, or made.
    pub(super) body_bytes: u64,
    pub(super) framing: ResponseFraming,
    after: After,
    /// The stream has made its last chunk.
    pub(super) ended: bool,
    /// Lets the stream of the response go on reading the body of the request.
    pub(super) request_body: Option<StreamHandle>,
}

/// A body up to this size is copied behind its head; beyond, two parts in one call cost less than the copy.
const INLINE: usize = 4 * 1024;
/// What is moved for one connection before the others have their turn, in bytes.
pub(super) const MAX_MOVED_IN_A_ROW: usize = 1024 * 1024;

impl HttpConnection {
    /// The response is in the exchange: writes its head and sends what is there.
    pub(super) fn respond(&mut self, turn: &mut Turn, work: &mut Workspace, request: InFlight, refused: bool) -> Flow {
        let InFlight { mut exchange, rest } = request;
        let head = &exchange.request.head;
        let response = &exchange.response;
        let framing = ResponseFraming::choose(head.method(), head.version(), response.status, response.body.length());
        // The framing may leave out a body that the status does not allow, such as that of a 205.
        let has_body =
            *head.method() != Method::HEAD && !matches!(framing, ResponseFraming::None | ResponseFraming::Length(0));
        let streams = has_body && matches!(response.body, ResponseBody::Stream(_));
        let (after, request_body) = self.after(work, &exchange, rest, refused, framing, streams);
        let persistence = match &after {
            After::Close | After::Linger => Persistence::Close,
            _ if head.version() == Version::HTTP_10 => Persistence::KeepAlive,
            _ => Persistence::Implied,
        };
        let date = exchange.response.date().map_or_else(|| *work.date(), |date| *date.as_bytes());
        let (headers, ready) = exchange.response.fields_to_send();
        write_response_head(
            &mut work.output.bytes,
            exchange.response.status,
            &date,
            headers,
            ready,
            framing,
            persistence,
        );
        work.record().count_request();
        let inline = if has_body { append_if_small(&exchange.response.body, &mut work.output.bytes) } else { Some(0) };
        match inline {
            Some(body_bytes) => {
                self.answered(turn, work, exchange, body_bytes);
                match after {
                    After::Keep => self.state = State::Idle,
                    after => self.state = State::Finishing(after),
                }
                Flow::Go
            }
            None => {
                exchange.request.received.get_or_insert_with(Instant::now);
                let sending = Sending { exchange, body_bytes: 0, framing, after, ended: false, request_body };
                self.send(turn, work, Box::new(sending))
            }
        }
    }

    /// Decides what becomes of the connection; also returns what must live as long as the response is made.
    fn after(
        &mut self,
        work: &Workspace,
        exchange: &Exchange,
        rest: Rest,
        refused: bool,
        framing: ResponseFraming,
        streams: bool,
    ) -> (After, Option<StreamHandle>) {
        let shared = &work.shared;
        let client_keeps = exchange.request.head.keep_alive();
        let keep = client_keeps
            && !refused
            && framing != ResponseFraming::Close
            && shared.scheduler.phase() == Phase::Running
            && shared.settings.requests_per_connection.is_none_or(|most| self.requests < most);
        let unread = match rest {
            Rest::Nothing => None,
            Rest::Unread { decoder, expected } => (!decoder.is_complete()).then_some((decoder, expected)),
            Rest::Stream(handle) if streams && !handle.is_read() => return (After::Linger, Some(handle)),
            Rest::Stream(handle) => {
                // The service read past the readiness that is noted here.
                self.readable = true;
                match handle.take_back(&mut self.input) {
                    Some((decoder, expected)) => (!decoder.is_complete()).then(|| (Box::new(decoder), expected)),
                    None => return (After::Linger, None),
                }
            }
        };
        let nothing_left = work.input.is_empty() && self.input.is_empty() && !self.readable;
        let after = match unread {
            None if keep => After::Keep,
            Some((decoder, false)) if keep && decoder.remaining().is_none_or(|left| left <= MAX_DISCARDED as u64) => {
                After::Discard(decoder)
            }
            // The client ends the connection itself after a request that was read to its end.
            None if nothing_left && !client_keeps && !refused => After::Close,
            _ => After::Linger,
        };
        (after, None)
    }

    /// The whole response is in the output.
    fn answered(&self, turn: &Turn, work: &mut Workspace, exchange: Box<Exchange>, body_bytes: u64) {
        let started = turn.role != Role::Refuser;
        work.output.answered.push_back(Answered { exchange, body_bytes, started });
    }

    /// Goes on with a response that is larger than the output.
    pub(super) fn send(&mut self, turn: &mut Turn, work: &mut Workspace, sending: Box<Sending>) -> Flow {
        match sending.exchange.response.body {
            ResponseBody::Stream(_) => self.send_stream(turn, work, sending),
            ResponseBody::File(_) => self.send_file(turn, work, sending),
            _ => self.send_content(turn, work, sending),
        }
    }

    fn send_content(&mut self, turn: &mut Turn, work: &mut Workspace, mut sending: Box<Sending>) -> Flow {
        let mut moved = 0;
        loop {
            let content = sending.exchange.response.body.as_bytes().unwrap_or_default();
            let rest = &content[usize::try_from(sending.body_bytes).unwrap_or(usize::MAX).min(content.len())..];
            let head = work.output.unsent();
            if head.is_empty() && rest.is_empty() {
                return self.sent(turn, work, *sending);
            }
            if !self.writable {
                self.state = State::Sending(sending);
                return self.wait_for_room(turn, work);
            }
            if moved >= MAX_MOVED_IN_A_ROW {
                self.state = State::Sending(sending);
                // Beyond the budget it goes on until its client falls behind: in the queue it could not be cut off, and sixty of its kind
                // could stand there uncounted.
                if self.charge_unread(work) || turn.role != Role::Worker {
                    return Flow::Stop(Step::Again);
                }
                let State::Sending(kept) = std::mem::take(&mut self.state) else {
                    unreachable!("charging leaves the state alone");
                };
                sending = kept;
                moved = 0;
                continue;
            }
            let rest = &rest[..rest.len().min(MAX_MOVED_IN_A_ROW - moved)];
            let parts = [IoSlice::new(head), IoSlice::new(rest)];
            let total = head.len() + rest.len();
            match sendmsg(&self.socket, &parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL) {
                Ok(length) => {
                    let of_head = length.min(head.len());
                    self.took(&work.shared, length, total);
                    work.output.advance(of_head);
                    sending.body_bytes += (length - of_head) as u64;
                    moved += length - of_head;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.writable = false,
                Err(_) => {
                    self.state = State::Sending(sending);
                    return Flow::Stop(self.lose(turn, work));
                }
            }
        }
    }

    /// The last byte of the content is on its way.
    pub(super) fn sent(&mut self, turn: &Turn, work: &mut Workspace, sending: Sending) -> Flow {
        let Sending { exchange, body_bytes, after, .. } = sending;
        self.answered(turn, work, exchange, body_bytes);
        self.state = State::Finishing(after);
        Flow::Go
    }

    /// The response goes out; then comes what was decided for the connection.
    pub(super) fn finish(&mut self, turn: &mut Turn, work: &mut Workspace, after: After) -> Flow {
        self.state = State::Finishing(after);
        if let stop @ Flow::Stop(_) = self.flush(turn, work) {
            return stop;
        }
        let State::Finishing(after) = std::mem::take(&mut self.state) else {
            unreachable!("flush leaves the state alone");
        };
        self.proceed(work, after)
    }

    /// Sends what is in the output, and tells the service of what is out. The state must be in place: when the step stops
    /// here, the connection goes on from it.
    #[inline]
    pub(super) fn flush(&mut self, turn: &mut Turn, work: &mut Workspace) -> Flow {
        if work.output.is_empty() { Flow::Go } else { self.flush_output(turn, work) }
    }

    fn flush_output(&mut self, turn: &mut Turn, work: &mut Workspace) -> Flow {
        while !work.output.unsent().is_empty() {
            if !self.writable {
                return self.wait_for_room(turn, work);
            }
            let unsent = work.output.unsent();
            let total = unsent.len();
            match send(&self.socket, unsent, SendFlags::NOSIGNAL) {
                Ok(length) => {
                    self.took(&work.shared, length, total);
                    work.output.advance(length);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.writable = false,
                // The client has gone: an everyday end.
                Err(_) => return Flow::Stop(self.lose(turn, work)),
            }
        }
        if turn.role != Role::Worker && work.output.answered.iter().any(|answered| answered.started) {
            return Flow::Stop(Step::Lend { refusable: false });
        }
        while let Some(answered) = work.output.answered.pop_front() {
            self.end(work, answered.exchange, answered.body_bytes, true);
        }
        // The next response begins with the whole patience, the next chunk of a stream does not.
        if self.reader.is_some() && !matches!(self.state, State::Sending(_)) {
            self.reader = None;
        }
        Flow::Go
    }

    /// The socket took a part.
    pub(super) fn took(&mut self, shared: &Shared, length: usize, of: usize) {
        self.writable = length == of;
        self.earn(shared, length);
    }

    /// The client is a reader again.
    pub(super) fn earn(&mut self, shared: &Shared, length: usize) {
        if let Some(reader) = &mut self.reader {
            reader.client.earn(length, shared.settings.write_pace(), || shared.scheduler.clock.now());
        }
    }

    pub(super) fn wait_for_room(&mut self, turn: &Turn, work: &mut Workspace) -> Flow {
        let scheduler = &work.shared.scheduler;
        let now = scheduler.clock.now();
        let fits = self.charge_unread(work);
        let Some(reader) = &mut self.reader else { unreachable!("it was just charged") };
        let deadline = reader.client.wait(now);
        if deadline.has_passed(now) {
            return Flow::Stop(self.lose(turn, work));
        }
        if !fits {
            let responses = &work.shared.budgets.responses;
            if reader.exceeds_alone(responses) {
                unread::tell_too_large(responses);
                return Flow::Stop(self.lose(turn, work));
            }
            unread::keep_within_budget(&work.shared);
        }
        if !self.interest.room && !self.watch(turn, work, Interest { room: true, ..self.interest }) {
            return Flow::Stop(self.lose(turn, work));
        }
        Flow::Stop(Step::Wait { deadline: Some(deadline), idle: false })
    }

    /// Tells the service how the response went out.
    pub(super) fn end(&self, work: &mut Workspace, mut exchange: Box<Exchange>, body_bytes: u64, complete: bool) {
        let id = exchange.request.id;
        let delivery = Delivery { body_bytes, complete, received: exchange.request.received() };
        let ended = guarded(id, || {
            work.shared.service.end(&mut exchange, &delivery);
            exchange.clear();
        });
        if ended.is_some() {
            work.put_back(exchange);
        } else {
            guarded(id, || drop(exchange));
        }
    }
}

/// Appends a body that is cheaper to copy than to send apart from its head, and returns its length.
fn append_if_small(body: &ResponseBody, out: &mut Vec<u8>) -> Option<u64> {
    match body {
        ResponseBody::File(file) => send_file::append_if_small(file, out).then(|| file.length()),
        body => {
            let content = body.as_bytes().filter(|content| content.len() <= INLINE)?;
            out.extend_from_slice(content);
            Some(content.len() as u64)
        }
    }
}
