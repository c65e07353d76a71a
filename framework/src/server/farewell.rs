//! One HTTP connection, third part: after the response, and the ways to part from a client.
//!
//! A connection is never closed with unread input: that would reset it, and the client might lose a response that it has not read
//! yet. So the server first ends its own side and lingers, reading and forgetting, until the client ends its side, or a bound of
//! time is reached.

use super::clock::Tick;
use super::connection::{Fill, Flow, HttpConnection, State, Turn};
use super::respond::{After, Sending};
use super::scheduler::{Phase, Role, Step};
use super::workspace::{Output, Workspace};
use crate::http::BodyDecoder;

/// How much of an unread body is discarded to keep the connection.
pub(super) const MAX_DISCARDED: usize = 64 * 1024;

/// How much is read and forgotten after an early close before the others have their turn. There is no bound but time for all of
/// it: many clients write all of a large body before they read.
const MAX_LINGERED_IN_A_ROW: usize = 256 * 1024;

impl HttpConnection {
    /// What the connection does after a response.
    pub(super) fn proceed(&mut self, work: &Workspace, after: After) -> Flow {
        let now = work.shared.scheduler.clock.now();
        let settings = &work.shared.settings;
        match after {
            After::Keep => self.state = State::Idle,
            After::Discard(decoder) => {
                let deadline = now.after(settings.linger_timeout);
                self.state = State::Discarding { decoder, left: MAX_DISCARDED, deadline };
            }
            After::Close => return Flow::Stop(Step::Close),
            After::Linger => {
                if rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write).is_err() {
                    return Flow::Stop(Step::Close);
                }
                let wait = match work.shared.scheduler.phase() {
                    Phase::Running => settings.linger_timeout,
                    // A client that was told that the connection ends needs no more time than an idle one.
                    _ => settings.linger_timeout.min(settings.drain_idle),
                };
                self.state = State::Lingering { deadline: now.after(wait) };
            }
        }
        Flow::Go
    }

    /// Reads the rest of a body that nobody wanted, up to a bound, to keep the connection.
    pub(super) fn discard(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        mut decoder: Box<BodyDecoder>,
        mut left: usize,
        deadline: Tick,
    ) -> Flow {
        work.input.load(&mut self.input);
        let mut content = Vec::new();
        loop {
            let before = work.input.bytes().len();
            content.clear();
            match decoder.decode(work.input.bytes(), &mut content) {
                Ok(used) => work.input.consume(used),
                Err(_) => return self.proceed(work, After::Linger),
            }
            if decoder.is_complete() {
                self.state = State::Idle;
                return Flow::Go;
            }
            left = left.saturating_sub(before);
            if left == 0 {
                return self.proceed(work, After::Linger);
            }
            self.state = State::Discarding { decoder, left, deadline };
            if let stop @ Flow::Stop(_) = self.flush(turn, work) {
                return stop;
            }
            match self.fill(work) {
                Fill::Some => {}
                Fill::End => return Flow::Stop(Step::Close),
                Fill::Nothing if self.expired => return Flow::Stop(Step::Close),
                Fill::Nothing => return Flow::Stop(Step::Wait { deadline: Some(deadline), idle: false }),
            }
            let State::Discarding { decoder: kept, .. } = std::mem::take(&mut self.state) else {
                unreachable!("flush and fill leave the state alone");
            };
            decoder = kept;
        }
    }

    /// Reads and forgets until the client closes, so that it gets the whole response: closing with unread input would reset
    /// the connection, and the response with it (RFC 9112, section 9.6).
    pub(super) fn linger(&mut self, work: &mut Workspace, deadline: Tick) -> Flow {
        self.input = Vec::new();
        work.input.clear();
        let mut left = MAX_LINGERED_IN_A_ROW;
        while !self.expired && !deadline.has_passed(work.shared.scheduler.clock.now()) {
            match self.fill(work) {
                Fill::End => break,
                Fill::Some => {
                    left = left.saturating_sub(work.input.bytes().len());
                    work.input.clear();
                    if left == 0 {
                        self.state = State::Lingering { deadline };
                        return Flow::Stop(Step::Again);
                    }
                }
                Fill::Nothing => {
                    self.state = State::Lingering { deadline };
                    return Flow::Stop(Step::Wait { deadline: Some(deadline), idle: false });
                }
            }
        }
        Flow::Stop(Step::Close)
    }

    /// Nobody will hear the answer: tells the service, and ends.
    pub(super) fn lose(&mut self, turn: &Turn, work: &mut Workspace) -> Step {
        if matches!(turn.role, Role::Attendant | Role::Refuser) {
            self.lost = true;
            return Step::Lend { refusable: false };
        }
        for answered in std::mem::take(&mut work.output.answered) {
            self.end(work, answered.exchange, answered.body_bytes, false);
        }
        work.output = Output::default();
        self.reader = None;
        match std::mem::take(&mut self.state) {
            State::Body(reading) => self.end(work, reading.abandon().exchange, 0, false),
            State::Ready(request) => self.end(work, request.exchange, 0, false),
            State::Parked(parked, _) => self.end(work, parked.into_exchange(), 0, false),
            State::Sending(sending) => {
                let Sending { exchange, body_bytes, .. } = *sending;
                self.end(work, exchange, body_bytes, false);
            }
            _ => {}
        }
        Step::Close
    }
}
