//! What is due in a conversation, and when: a ping, its answer, a message that has begun, the client's close frame.

use super::{Speaking, Stage};
use crate::exchange::websocket::CloseCode;
use crate::http::websocket::{Opcode, write_frame};
use crate::server::clock::Tick;
use crate::server::connection::Then;
use crate::server::patience::{Awaited, Pace};
use crate::server::scheduler::Step;
use crate::server::workspace::Workspace;

impl Speaking {
    /// The client does not take what there is for it. A close does not wait for that longer than for its answer.
    pub(super) fn wait_for_reader(&self, work: &Workspace, deadline: Option<Tick>, idle: bool) -> Then {
        let Stage::Closing { until, .. } = self.stage else { return Then::Stop(Step::Wait { deadline, idle }) };
        if until.has_passed(work.shared.scheduler.clock.now()) {
            return Then::Lost;
        }
        let deadline = deadline.map_or(until, |deadline| deadline.earlier(until));
        Then::Stop(Step::Wait { deadline: Some(deadline), idle })
    }

    /// Until when the connection may rest; `None` when something was due and is done.
    pub(super) fn next_deadline(&mut self, now: Tick, has_part: bool, pace: Pace) -> Option<Tick> {
        if let Stage::Closing { until, .. } = self.stage {
            return Some(until);
        }
        if self.pong.is_some_and(|pong| pong.has_passed(now)) {
            self.close(CloseCode::POLICY, "no answer to a ping".to_owned(), false, now);
            return None;
        }
        if self.ask_if_due(now) {
            return None;
        }
        let mut deadline = self.pong.map_or(self.ping, |pong| pong.earlier(self.ping));
        if has_part || self.decoder.is_within() {
            let begun = self.begun.get_or_insert_with(|| Box::new(Awaited::new(pace))).wait(now);
            if begun.has_passed(now) {
                self.close(CloseCode::POLICY, "a message takes too long".to_owned(), false, now);
                return None;
            }
            deadline = deadline.earlier(begun);
        } else {
            self.begun = None;
        }
        Some(deadline)
    }

    /// Asks the client whether it is there, if it is time; also a client that talks, since a proxy on the way may close
    /// what is silent in one direction.
    pub(super) fn ask_if_due(&mut self, now: Tick) -> bool {
        let is_due = self.ping.has_passed(now) && matches!(self.stage, Stage::Open);
        if is_due {
            self.is_doubted = self.bond.is_some();
            write_frame(&mut self.control, Opcode::Ping, &[]);
            self.ping = now.after(self.terms.ping);
            self.pong.get_or_insert_with(|| now.after(self.terms.pong));
        }
        is_due
    }
}
