//! From the finished response to its last byte.
//!
//! Small responses are collected in the thread's output buffer and leave in one write. Large bodies are sent from where
//! they are, behind the head, without a copy; `send_file.rs`, `send_stream.rs` and `send_push.rs` have the kinds that
//! are not in memory. A slow client holds the body, not a worker. The framing and the fate of the connection are
//! decided once, before the head is written.

use super::farewell::MAX_DISCARDED;
use super::request::{began, guarded};
use super::unread::{keep_within_budget, tell_too_large};
use super::{HttpConnection, InFlight, Next, Rest, State, Then, Turn, send_file};
use crate::exchange::{Budget, Charge, Delivery, Doing, Exchange, ResponseBody, Spent, WorkerStage};
use crate::http::{BodyDecoder, Persistence, Refusal, ResponseFraming, write_response_head};
use crate::server::ends::Ended;
use crate::server::poll::Interest;
use crate::server::scheduler::{Phase, Role, Step};
#[cfg(feature = "http2")]
use crate::server::transport::Transport;
use crate::server::transport::{Follows, Taken};
use crate::server::word::Edges;
use crate::server::workspace::{Answered, Shared, Workspace};
use ::http::{Method, Version};
use std::time::Instant;

/// How a request was answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it asked.
    Answered,
    /// Against its will: the rest of the connection cannot be trusted, or the server is overloaded.
    Refused,
    /// At once, without a worker; nothing remains to be done for it that could wait.
    Probed,
}

/// The fate of the connection after a response.
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
    /// Its body goes on being read if the stream of the response does that.
    pub(super) request: InFlight,
    /// How much of the content is sent, or made.
    pub(super) body_bytes: u64,
    pub(super) framing: ResponseFraming,
    pub(super) after: After,
    /// The stream has made its last chunk.
    pub(super) ended: bool,
    /// The place of a push.
    _place: Option<Charge>,
}

impl Sending {
    /// Whether its content comes when there is news.
    pub(super) fn is_push(&self) -> bool {
        matches!(self.request.exchange.response.body, ResponseBody::Push(_))
    }
}

/// A body up to this size is copied behind its head; beyond, two parts in one call cost less than the copy.
const INLINE: usize = 4 * 1024;
/// How many bytes are moved for one connection before the others have their turn.
pub(super) const MAX_MOVED_IN_A_ROW: usize = 1024 * 1024;

impl HttpConnection {
    /// The response is in the exchange: writes its head and sends the bytes so far.
    pub(super) fn respond(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        mut request: InFlight,
        verdict: Verdict,
    ) -> Next {
        #[cfg(feature = "websocket")]
        if request.exchange.response.status == ::http::StatusCode::SWITCHING_PROTOCOLS
            && let Some(agreed) = request.exchange.response.take_agreed()
        {
            let Some(place) = place_of_push(work) else {
                return self.refuse(turn, work, request, &Refusal::Overloaded);
            };
            return self.switch(turn, work, request, *agreed, place);
        }
        // A success would say that the other protocol begins.
        #[cfg(feature = "websocket")]
        if self.is_tunnel() && request.exchange.response.status.is_success() {
            let response = &mut request.exchange.response;
            response.clear();
            response.set_status(::http::StatusCode::NOT_IMPLEMENTED);
        }
        let place = match &request.exchange.response.body {
            ResponseBody::Push(_) => match place_of_push(work) {
                None => return self.refuse(turn, work, request, &Refusal::Overloaded),
                place => place,
            },
            _ => None,
        };
        let head = &request.exchange.request.head;
        let response = &request.exchange.response;
        let framing = ResponseFraming::choose(head.method(), head.version(), response.status, response.body.length());
        // Others wait for the thread, too.
        let verdict = if turn.role == Role::Aside { Verdict::Refused } else { verdict };
        let after = self.after(work, &mut request, verdict, framing);
        let InFlight { exchange, .. } = &mut request;
        let persistence = match &after {
            After::Close | After::Linger => Persistence::Close,
            _ if exchange.request.head.version() == Version::HTTP_10 => Persistence::KeepAlive,
            _ => Persistence::Implied,
        };
        let has_body = has_body(exchange, framing);
        let date = exchange.response.date().map_or_else(|| *work.date(), |date| *date.as_bytes());
        let (headers, ready) = exchange.response.fields_to_send();
        let status = exchange.response.status;
        self.hold(turn, work);
        match &self.transport {
            #[cfg(feature = "http2")]
            Transport::Stream(stream) => {
                let sent = stream.ends().send_head(status, &date, headers, ready, framing, !has_body);
                if sent.is_err() {
                    return (State::Ready(Box::new(request)), Then::Lost);
                }
            }
            _ => {
                let out = &mut work.output.bytes;
                write_response_head(out, status, &date, headers, ready, framing, persistence);
            }
        }
        work.record().count_request();
        if exchange.spent.is_some() || work.record().is_slow(exchange.request.id) {
            Spent::turn(exchange, Doing::Sending);
        }
        let inline = if has_body { append_if_small(&exchange.response.body, &mut work.output.bytes) } else { Some(0) };
        match inline {
            Some(body_bytes) => {
                let started = turn.role != Role::Refuser && verdict != Verdict::Probed;
                work.output.answered.push_back(Answered { exchange: request.exchange, body_bytes, started });
                let state = match after {
                    After::Keep => State::Idle,
                    after => State::Finishing(after),
                };
                (state, Then::Go)
            }
            None => {
                exchange.request.received.get_or_insert_with(Instant::now);
                if matches!(exchange.response.body, ResponseBody::Push(_)) {
                    // It goes on for long, and that is not slow.
                    exchange.shrink();
                    exchange.spent = None;
                }
                let sending = Sending { request, body_bytes: 0, framing, after, ended: false, _place: place };
                self.send(turn, work, Box::new(sending))
            }
        }
    }

    /// Decides the fate of the connection, and of the rest of the request's body.
    fn after(&mut self, work: &Workspace, request: &mut InFlight, verdict: Verdict, framing: ResponseFraming) -> After {
        #[cfg(feature = "http2")]
        if let Transport::Stream(stream) = &self.transport {
            // It ends with its response. Some clients forget a response when a reset comes together with it, so the
            // rest of the body is read and forgotten first.
            let is_streamed = matches!(request.exchange.response.body, ResponseBody::Stream(_));
            if is_streamed && matches!(&request.rest, Rest::Stream(handle) if !handle.is_read()) {
                return After::Linger;
            }
            request.rest = Rest::Nothing;
            // The service read past the readiness that is noted here.
            self.heard |= Edges::READABLE;
            return if stream.ends().has_unread() { After::Linger } else { After::Close };
        }
        let shared = &work.shared;
        let client_keeps = request.exchange.request.head.keep_alive();
        let keep = client_keeps
            && verdict != Verdict::Refused
            && framing != ResponseFraming::Close
            && shared.scheduler.phase() == Phase::Running
            && shared.settings.requests_per_connection.is_none_or(|most| self.requests < most);
        let unread = match std::mem::replace(&mut request.rest, Rest::Nothing) {
            Rest::Nothing => None,
            Rest::Unread { decoder, expected } => (!decoder.is_complete()).then_some((decoder, expected)),
            Rest::Stream(handle) => {
                let response = &request.exchange.response.body;
                let is_streamed = matches!(response, ResponseBody::Stream(_)) && has_body(&request.exchange, framing);
                if is_streamed && !handle.is_read() {
                    request.rest = Rest::Stream(handle);
                    return After::Linger;
                }
                // The service read past the readiness that is noted here.
                self.heard |= Edges::READABLE;
                match handle.take_back(&mut self.input) {
                    Some((decoder, expected)) => (!decoder.is_complete()).then(|| (Box::new(decoder), expected)),
                    None => return After::Linger,
                }
            }
        };
        let nothing_left = work.input.is_empty() && self.input.is_empty() && !self.heard.contains(Edges::READABLE);
        match unread {
            None if keep => After::Keep,
            Some((decoder, false)) if keep && decoder.remaining().is_none_or(|left| left <= MAX_DISCARDED as u64) => {
                After::Discard(decoder)
            }
            // The client ends the connection itself after a request that was read to its end.
            None if nothing_left && !client_keeps && verdict == Verdict::Answered => After::Close,
            _ => After::Linger,
        }
    }

    /// Goes on with a response that is larger than the output.
    pub(super) fn send(&mut self, turn: &mut Turn, work: &mut Workspace, sending: Box<Sending>) -> Next {
        match sending.request.exchange.response.body {
            ResponseBody::Stream(_) => self.send_stream(turn, work, sending),
            ResponseBody::Push(_) => self.send_push(turn, work, sending),
            ResponseBody::File(_) => self.send_file(turn, work, sending),
            _ => self.send_content(turn, work, sending),
        }
    }

    fn send_content(&mut self, turn: &mut Turn, work: &mut Workspace, mut sending: Box<Sending>) -> Next {
        let mut moved = 0;
        self.hold(turn, work);
        loop {
            let content = sending.request.exchange.response.body.as_bytes().unwrap_or_default();
            let rest = &content[usize::try_from(sending.body_bytes).unwrap_or(usize::MAX).min(content.len())..];
            let head = work.output.unsent();
            if head.is_empty() && rest.is_empty() {
                return sent(turn, work, *sending);
            }
            if !self.heard.contains(Edges::WRITABLE) {
                Spent::turn(&mut sending.request.exchange, Doing::Sending);
                let then = self.wait_for_room(turn, work, Some(&sending));
                return (State::Sending(sending), then);
            }
            if moved >= MAX_MOVED_IN_A_ROW {
                // Beyond the budget it goes on until its client falls behind: in the queue it could not be cut off, and
                // sixty like it could stand there uncounted.
                if self.charge_unread(work, Some(&sending)) || turn.role != Role::Worker {
                    return (State::Sending(sending), Then::Stop(Step::Again));
                }
                moved = 0;
            }
            let rest = &rest[..rest.len().min(MAX_MOVED_IN_A_ROW - moved)];
            let Ok(taken) = self.transport.send_both(head, rest, &mut work.scratch) else {
                return (State::Sending(sending), Then::Lost);
            };
            let of_head = taken.length.min(head.len());
            work.output.advance(of_head);
            sending.body_bytes += (taken.length - of_head) as u64;
            moved += taken.length - of_head;
            self.took(&work.shared, taken);
        }
    }

    /// The response goes out; then follows the fate of the connection.
    pub(super) fn finish(&mut self, turn: &mut Turn, work: &mut Workspace, after: After) -> Next {
        let follows = match after {
            After::Close | After::Linger => Follows::Nothing,
            After::Keep | After::Discard(_) => Follows::Perhaps,
        };
        let then = if work.output.is_empty() { Then::Go } else { self.flush_output(turn, work, None, follows) };
        if then.is_go() { self.proceed(turn, work, after) } else { (State::Finishing(after), then) }
    }

    /// Sends the output, and tells the service of responses that are out. `sending` is the response that goes on behind
    /// it.
    #[inline]
    pub(super) fn flush(&mut self, turn: &mut Turn, work: &mut Workspace, sending: Option<&Sending>) -> Then {
        if work.output.is_empty() { Then::Go } else { self.flush_output(turn, work, sending, Follows::Perhaps) }
    }

    fn flush_output(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        sending: Option<&Sending>,
        follows: Follows,
    ) -> Then {
        self.hold(turn, work);
        while !work.output.unsent().is_empty() {
            if !self.heard.contains(Edges::WRITABLE) {
                return self.wait_for_room(turn, work, sending);
            }
            // A client that has gone is an everyday end.
            let Ok(taken) = self.transport.send(work.output.unsent(), follows, &mut work.scratch) else {
                return Then::Lost;
            };
            work.output.advance(taken.length);
            self.took(&work.shared, taken);
        }
        self.carry(turn, work);
        match turn.role {
            Role::Worker => {}
            Role::Aside => leave_ends(work, true),
            _ if work.output.answered.iter().any(|answered| answered.started) => {
                return Then::Stop(Step::Lend { refusable: false });
            }
            // A log that hangs must not hang the thread that looks after the server.
            Role::Attendant | Role::Refuser => leave_ends(work, true),
            Role::Undertaker => {}
        }
        while let Some(answered) = work.output.answered.pop_front() {
            end(work, answered.exchange, answered.body_bytes, true);
        }
        // The next response begins with the whole patience, the next chunk of a stream does not.
        if sending.is_none() {
            self.reader = None;
        }
        Then::Go
    }

    /// The client is a reader again, for as long as there is room.
    pub(super) fn took(&mut self, shared: &Shared, taken: Taken) {
        if taken.is_full {
            self.heard.remove(Edges::WRITABLE);
        }
        if let Some(reader) = &mut self.reader
            && taken.length > 0
        {
            reader.client.earn(taken.length, shared.settings.write_pace(), || shared.scheduler.clock.now());
        }
    }

    pub(super) fn wait_for_room(&mut self, turn: &Turn, work: &Workspace, sending: Option<&Sending>) -> Then {
        let now = work.shared.scheduler.clock.now();
        let fits = self.charge_unread(work, sending);
        let Some(reader) = &mut self.reader else { unreachable!("it was just charged") };
        let deadline = reader.client.wait(now);
        if deadline.has_passed(now) {
            return Then::Lost;
        }
        if !fits {
            let responses = &work.shared.budgets.responses;
            if reader.exceeds_alone(responses) {
                tell_too_large(responses);
                return Then::Lost;
            }
            keep_within_budget(&work.shared);
        }
        if !self.interest.room && !self.watch(turn, work, Interest { room: true, ..self.interest }) {
            return Then::Lost;
        }
        Then::Stop(Step::Wait { deadline: Some(deadline), idle: false })
    }
}

/// The whole response is in the output.
fn answered(turn: &Turn, work: &mut Workspace, exchange: Box<Exchange>, body_bytes: u64) {
    let started = turn.role != Role::Refuser;
    work.output.answered.push_back(Answered { exchange, body_bytes, started });
}

/// The last byte of the content is on its way.
pub(super) fn sent(turn: &Turn, work: &mut Workspace, sending: Sending) -> Next {
    let Sending { request, body_bytes, after, .. } = sending;
    answered(turn, work, request.exchange, body_bytes);
    (State::Finishing(after), Then::Go)
}

/// A place for a response that will wait for news, if one is free.
fn place_of_push(work: &Workspace) -> Option<Charge> {
    let pushes = &work.shared.budgets.pushes;
    let mut place = pushes.charge();
    if place.resize(1) {
        return Some(place);
    }
    tell_too_many(pushes);
    None
}

/// Counts a push that found no place; the log hears of it now and then.
#[cold]
fn tell_too_many(pushes: &Budget) {
    if let Some(unsaid) = pushes.refused() {
        let limit = pushes.limit();
        crate::line::record!(
            Warn,
            target: "kirsch::error",
            "server.pushes: event streams and WebSockets are refused with 503, since {limit} are open; {unsaid} more were since the last such line"
        );
    }
}

/// Leaves the ends of all that is answered to the thread for them.
pub(super) fn leave_ends(work: &mut Workspace, is_complete: bool) {
    for Answered { exchange, body_bytes, .. } in work.output.answered.drain(..) {
        leave_end(&work.shared, Ended { exchange, body_bytes, is_complete });
    }
}

/// Leaves one end to the thread for them.
pub(super) fn leave_end(shared: &Shared, ended: Ended) {
    if let Some(exchange) = shared.ends.push(ended) {
        forget(exchange);
    }
}

/// Lets a request go without a word to the service.
fn forget(exchange: Box<Exchange>) {
    guarded(exchange.request.id, || drop(exchange));
}

/// Tells the service how the response went out.
pub(in crate::server) fn end(work: &mut Workspace, mut exchange: Box<Exchange>, body_bytes: u64, complete: bool) {
    let id = exchange.request.id;
    if let Some(spent) = exchange.spent.take() {
        work.shared.slow.note(&exchange, &spent);
    }
    let delivery = Delivery { body_bytes, complete, received: exchange.request.received() };
    let since = || began(work, &exchange);
    work.record().go_on(&exchange, since, WorkerStage::End);
    let ended = guarded(id, || {
        work.shared.service.end(&mut exchange, &delivery);
        exchange.clear();
    });
    if ended.is_some() {
        work.put_back(exchange);
    } else {
        forget(exchange);
    }
    work.record().finish();
}

/// Whether content follows the head. The framing may leave out a body that the status does not allow, such as that of a
/// 205.
fn has_body(exchange: &Exchange, framing: ResponseFraming) -> bool {
    *exchange.request.head.method() != Method::HEAD
        && !matches!(framing, ResponseFraming::None | ResponseFraming::Length(0))
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
