//! After the response, and the ways to part from a client.
//!
//! A connection is never closed with unread input: that would reset it, and the client might lose a response that it
//! has not read yet. So the server first ends its own side and lingers, reading and forgetting, until the client ends
//! its side, or a bound of time is reached.

use super::head::Fill;
use super::respond::{After, end, leave_end, leave_ends};
use super::{HttpConnection, Next, Parked, State, Then, Turn};
use crate::exchange::Exchange;
use crate::http::BodyDecoder;
use crate::server::clock::Tick;
use crate::server::ends::Ended;
use crate::server::scheduler::{Phase, Role, Step};
use crate::server::transport::Gone;
use crate::server::word::Edges;
use crate::server::workspace::{Output, Workspace};

/// How much of an unread body is discarded to keep the connection.
pub(super) const MAX_DISCARDED: usize = 64 * 1024;

/// How much is read and forgotten after an early close before other connections have their turn. Only time bounds all
/// of it: many clients write all of a large body before they read.
const MAX_LINGERED_IN_A_ROW: usize = 256 * 1024;

/// A request that the service has started, and whose response will not be taken to its end.
pub(super) struct Undelivered {
    pub(super) exchange: Box<Exchange>,
    body_bytes: u64,
}

impl HttpConnection {
    /// The connection's plan after a response.
    pub(super) fn proceed(&mut self, turn: &Turn, work: &Workspace, after: After) -> Next {
        let now = work.shared.scheduler.clock.now();
        let settings = &work.shared.settings;
        match after {
            After::Keep => (State::Idle, Then::Go),
            After::Discard(decoder) => {
                let deadline = now.after(settings.linger_timeout);
                (State::Discarding { decoder, left: MAX_DISCARDED, deadline }, Then::Go)
            }
            After::Close if !self.transport.is_encrypted() => (State::Idle, Then::Stop(Step::Close)),
            // With encryption the client answers our last word: a close before that would be a reset.
            After::Close | After::Linger => {
                match self.transport.end() {
                    Ok(true) => {}
                    Ok(false) => {
                        self.heard.remove(Edges::WRITABLE);
                        let then = self.wait_for_room(turn, work, None);
                        return (State::Finishing(After::Linger), then);
                    }
                    Err(Gone) => return (State::Idle, Then::Stop(Step::Close)),
                }
                let wait = match work.shared.scheduler.phase() {
                    Phase::Running => settings.linger_timeout,
                    // A client that was told that the connection ends needs no more time than an idle one.
                    _ => settings.linger_timeout.min(settings.drain_idle),
                };
                (State::Lingering { deadline: now.after(wait) }, Then::Go)
            }
        }
    }

    /// Reads the rest of an unwanted body, up to a bound, to keep the connection.
    pub(super) fn discard(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        mut decoder: Box<BodyDecoder>,
        mut left: usize,
        deadline: Tick,
    ) -> Next {
        work.input.load(&mut self.input);
        let mut content = Vec::new();
        loop {
            let before = work.input.bytes().len();
            content.clear();
            match decoder.decode(work.input.bytes(), &mut content) {
                Ok(used) => work.input.consume(used),
                Err(_) => return self.proceed(turn, work, After::Linger),
            }
            if decoder.is_complete() {
                return (State::Idle, Then::Go);
            }
            left = left.saturating_sub(before);
            if left == 0 {
                return self.proceed(turn, work, After::Linger);
            }
            let then = match self.flush(turn, work, None) {
                Then::Go => match self.fill(work) {
                    Fill::Some => continue,
                    Fill::End if self.transport.has_failed() => return self.proceed(turn, work, After::Linger),
                    Fill::End | Fill::Whole => Then::Stop(Step::Close),
                    Fill::Nothing | Fill::Part if self.heard.contains(Edges::EXPIRED) => Then::Stop(Step::Close),
                    Fill::Nothing | Fill::Part => Then::Stop(Step::Wait { deadline: Some(deadline), idle: false }),
                },
                then => then,
            };
            return (State::Discarding { decoder, left, deadline }, then);
        }
    }

    /// Reads and forgets until the client closes, so that it gets the whole response: closing with unread input would
    /// reset the connection, and the response with it (RFC 9112, section 9.6).
    pub(super) fn linger(&mut self, work: &mut Workspace, deadline: Tick) -> Next {
        self.input = Vec::new();
        work.input.clear();
        let mut left = MAX_LINGERED_IN_A_ROW;
        let is_over = self.heard.contains(Edges::EXPIRED);
        let step = loop {
            if is_over || deadline.has_passed(work.shared.scheduler.clock.now()) {
                break Step::Close;
            }
            match self.fill_to_forget(work) {
                Fill::End | Fill::Whole => break Step::Close,
                Fill::Some => {
                    left = left.saturating_sub(work.input.bytes().len());
                    work.input.clear();
                    if left == 0 {
                        break Step::Again;
                    }
                }
                Fill::Nothing | Fill::Part => break Step::Wait { deadline: Some(deadline), idle: false },
            }
        };
        (State::Lingering { deadline }, Then::Stop(step))
    }

    /// The client will not hear the answer: a worker tells the service, and the connection ends.
    pub(super) fn lose(&mut self, turn: &Turn, work: &mut Workspace, state: State) -> (State, Step) {
        #[cfg(feature = "websocket")]
        if let State::Speaking(speaking) = state {
            return self.lose_conversation(turn, work, speaking);
        }
        let undelivered = state.into_undelivered();
        if turn.role == Role::Aside {
            leave_undelivered(work, undelivered);
            return self.part_from_lost(turn, work);
        }
        if matches!(turn.role, Role::Attendant | Role::Refuser) {
            return (State::Lost(undelivered), Step::Lend { refusable: false });
        }
        self.forget_output(work);
        if let Some(Undelivered { exchange, body_bytes }) = undelivered {
            end(work, exchange, body_bytes, false);
        }
        self.part_from_lost(turn, work)
    }

    /// Ends the connection. A client that has broken the rules of TLS hears of it, though it may be in the middle of a
    /// request.
    pub(super) fn part_from_lost(&mut self, turn: &Turn, work: &Workspace) -> (State, Step) {
        if turn.role == Role::Undertaker || !self.transport.has_failed() {
            return (State::Idle, Step::Close);
        }
        match self.proceed(turn, work, After::Linger) {
            (state, Then::Go) => (state, Step::Again),
            (state, Then::Stop(step)) => (state, step),
            (_, Then::Lost) => (State::Idle, Step::Close),
        }
    }

    /// Nothing more is sent; the service hears of responses that were not out.
    pub(super) fn forget_output(&mut self, work: &mut Workspace) {
        for answered in std::mem::take(&mut work.output.answered) {
            end(work, answered.exchange, answered.body_bytes, false);
        }
        work.output = Output::default();
        self.reader = None;
    }
}

/// Leaves it to the thread for the ends to tell the service of a request, and of responses that were not out.
pub(super) fn leave_undelivered(work: &mut Workspace, undelivered: Option<Undelivered>) {
    leave_ends(work, false);
    work.output = Output::default();
    if let Some(Undelivered { exchange, body_bytes }) = undelivered {
        leave_end(&work.shared, Ended { exchange, body_bytes, is_complete: false });
    }
}

impl State {
    /// The request that the service must still be told the end of.
    pub(super) fn into_undelivered(self) -> Option<Undelivered> {
        let (exchange, body_bytes) = match self {
            Self::Body(reading) => (reading.abandon().exchange, 0),
            Self::Ready(request) | Self::Parked(Parked::BeforeHandler(request), _) => (request.exchange, 0),
            Self::Parked(Parked::BeforeBody(exchange), _) => (exchange, 0),
            Self::Sending(sending) => (sending.request.exchange, sending.body_bytes),
            Self::Lost(undelivered) => return undelivered,
            _ => return None,
        };
        Some(Undelivered { exchange, body_bytes })
    }
}
