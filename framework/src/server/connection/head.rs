//! Before a request: waits for the bytes of a head, and reads it. The way of the request is in `request.rs`.

use super::respond::After;
use super::{HttpConnection, InFlight, Next, State, Then, Turn};
use crate::exchange::{Exchange, RequestId};
use crate::http::Refusal;
use crate::server::clock::Tick;
use crate::server::scheduler::{Phase, Role, Step};
use crate::server::transport::Received;
use crate::server::word::Edges;
use crate::server::workspace::Workspace;
use std::time::Instant;

/// Requests that are answered on one connection before the others have their turn.
const MAX_IN_A_ROW: u32 = 16;

/// The first byte of a handshake of TLS.
const HANDSHAKE: u8 = 22;

/// The result of a read.
pub(super) enum Fill {
    Some,
    /// Nothing now.
    Nothing,
    /// Nothing now; the beginning of something has come that cannot be read yet.
    Part,
    /// Nothing any more.
    End,
    /// Nothing any more, and what came is whole.
    Whole,
}

impl HttpConnection {
    /// Reads until a head is complete, if `searched` bytes of it have been searched for its end `since` a while ago.
    pub(super) fn await_head(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        mut searched: usize,
        since: Option<Tick>,
    ) -> Next {
        work.input.load(&mut self.input);
        let phase = work.shared.scheduler.phase();
        if phase >= Phase::Closing {
            // One last look: a request that was on its way when draining began is answered.
            self.heard |= Edges::READABLE;
        }
        loop {
            if !work.input.is_empty() {
                if turn.requests >= MAX_IN_A_ROW {
                    return match self.flush(turn, work, None) {
                        Then::Go => (State::Idle, Then::Stop(Step::Again)),
                        then => (State::Idle, then),
                    };
                }
                let mut exchange = work.exchange();
                match exchange.request.head.read(work.input.bytes(), &mut searched, &work.shared.settings.head) {
                    Ok(Some(length)) => {
                        work.input.consume(length);
                        return self.accept(turn, work, exchange);
                    }
                    Ok(None) if self.speaks_tls(work) => {
                        return self.refuse_head(turn, work, exchange, &Refusal::MalformedRequestLine);
                    }
                    Ok(None) => work.put_back(exchange),
                    #[cfg(feature = "http2")]
                    Err(_) if self.speaks_http2(work) => {
                        work.put_back(exchange);
                        return self.become_mux(turn, work);
                    }
                    #[cfg(feature = "http2")]
                    Err(_) if self.speaks_neither(work) => {
                        work.put_back(exchange);
                        return self.part_from_stranger(turn, work);
                    }
                    Err(refusal) => return self.refuse_head(turn, work, exchange, &refusal),
                }
            }
            // After a hand-over a client that has just connected is no idle one: it may be far away.
            let is_new = phase >= Phase::Closing && self.requests == 0 && work.shared.has_successor();
            let state = if work.input.is_empty() && !is_new {
                State::Idle
            } else {
                let scheduler = &work.shared.scheduler;
                let deadline = since.unwrap_or_else(|| scheduler.clock.now().after(work.shared.settings.head_timeout));
                State::Head { searched, deadline }
            };
            // Finished responses do not wait for more input.
            let then = self.flush(turn, work, None);
            if !then.is_go() {
                return (state, then);
            }
            match self.fill(work) {
                Fill::Some => {}
                // The client is to hear why.
                Fill::End if self.transport.has_failed() => return self.proceed(turn, work, After::Linger),
                Fill::End | Fill::Whole => return (state, Then::Stop(Step::Close)),
                Fill::Nothing if since.is_none() || !self.transport.has_part() => {
                    return self.wait_for_head(turn, work, state, phase);
                }
                // It has the time of a head.
                Fill::Nothing | Fill::Part => {
                    let clock = work.shared.scheduler.clock;
                    let deadline = since.unwrap_or_else(|| clock.now().after(work.shared.settings.head_timeout));
                    return self.wait_for_head(turn, work, State::Head { searched, deadline }, phase);
                }
            }
        }
    }

    fn wait_for_head(&mut self, turn: &mut Turn, work: &mut Workspace, state: State, phase: Phase) -> Next {
        let has_expired = self.heard.contains(Edges::EXPIRED);
        let step = match state {
            State::Head { .. } if phase >= Phase::Closing && !work.shared.has_successor() => self.close_politely(),
            State::Head { deadline, .. }
                if has_expired
                    && work.input.is_empty()
                    && !self.transport.has_part()
                    && deadline.has_passed(work.shared.scheduler.clock.now()) =>
            {
                self.close_politely()
            }
            // The first bytes may have come together with the expiry of the idle connection.
            State::Head { deadline, .. } if has_expired && deadline.has_passed(work.shared.scheduler.clock.now()) => {
                if turn.role == Role::Worker {
                    let mut exchange = work.exchange();
                    exchange.request.head.recognise(work.input.bytes());
                    let refusal = Refusal::TooSlow { setting: "server.head_timeout" };
                    return self.refuse_head(turn, work, exchange, &refusal);
                }
                Step::Lend { refusable: false }
            }
            State::Head { deadline, .. } => Step::Wait { deadline: Some(deadline), idle: false },
            _ if has_expired || phase >= Phase::Closing => self.close_politely(),
            _ => {
                let deadline = work.shared.scheduler.clock.coarse().after(work.shared.settings.idle_timeout);
                Step::Wait { deadline: Some(deadline), idle: true }
            }
        };
        (state, Then::Stop(step))
    }

    /// The head breaks a rule. A worker lets the service answer; it reads the head again from its beginning.
    pub(super) fn refuse_head(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        mut exchange: Box<Exchange>,
        refusal: &Refusal,
    ) -> Next {
        if turn.role != Role::Worker {
            work.put_back(exchange);
            let state = State::Head { searched: 0, deadline: work.shared.scheduler.clock.now() };
            return (state, Then::Stop(Step::Lend { refusable: false }));
        }
        if self.speaks_tls(work) {
            self.tell_of_tls(work);
        }
        self.identify(&mut exchange);
        self.refuse(turn, work, InFlight::without_body(exchange), refusal)
    }

    /// Whether a handshake came where the first request should be.
    fn speaks_tls(&self, work: &Workspace) -> bool {
        self.requests == 0 && work.input.bytes().first() == Some(&HANDSHAKE)
    }

    /// Such a client shows no answer to its user; the operator may be surprised.
    #[cold]
    fn tell_of_tls(&self, work: &Workspace) {
        if let Some(unsaid) = work.shared.said_tls.may_say(Instant::now()) {
            let (peer, listener) = (&self.ends.peer, &self.ends.listener.name);
            crate::line::record!(
                Warn,
                target: "kirsch::server",
                "{peer} speaks TLS to {listener}, which does not: add the word `tls` to that address in server.listen, or send \
                 clients to http://; {unsaid} more were since the last such line"
            );
        }
    }

    /// A head is complete.
    fn accept(&mut self, turn: &mut Turn, work: &mut Workspace, mut exchange: Box<Exchange>) -> Next {
        self.identify(&mut exchange);
        self.note_protocol(&mut exchange);
        // A client at a pipe never goes while its request runs: it is the same thread.
        if self.transport.socket().is_some() {
            exchange.request.client.turn_to(turn.token.bits(), || work.shared.watched());
        }
        self.requests += 1;
        turn.requests += 1;
        self.received(turn, work, exchange)
    }

    pub(super) fn identify(&self, exchange: &mut Exchange) {
        exchange.request.connection.clone_from(&self.ends);
        exchange.request.id = RequestId::next();
        exchange.request.received = Some(Instant::now());
    }

    /// Reads as much as there is room for.
    pub(super) fn fill(&mut self, work: &mut Workspace) -> Fill {
        if !self.heard.contains(Edges::READABLE) {
            return Fill::Nothing;
        }
        let received = self.transport.receive(work.input.room(), &mut work.scratch);
        self.note(work, received)
    }

    /// Reads, into the input as well, what is only to be forgotten.
    pub(super) fn fill_to_forget(&mut self, work: &mut Workspace) -> Fill {
        if !self.heard.contains(Edges::READABLE) {
            return Fill::Nothing;
        }
        let received = self.transport.forget(work.input.room(), &mut work.scratch);
        self.note(work, received)
    }

    #[inline]
    fn note(&mut self, work: &mut Workspace, received: Received) -> Fill {
        match received {
            Received::Bytes { length, is_drained } => {
                // An end of input that is queued behind a short read must be read, too.
                if is_drained && !self.heard.contains(Edges::HALF_CLOSED) {
                    self.heard.remove(Edges::READABLE);
                }
                work.input.extend(length);
                Fill::Some
            }
            Received::Nothing => {
                self.heard.remove(Edges::READABLE);
                Fill::Nothing
            }
            Received::Part => {
                self.heard.remove(Edges::READABLE);
                Fill::Part
            }
            Received::End => Fill::End,
            Received::Whole => Fill::Whole,
        }
    }

    /// Closes the connection between two requests.
    fn close_politely(&mut self) -> Step {
        self.transport.take_leave();
        Step::Close
    }
}
