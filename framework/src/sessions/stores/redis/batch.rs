//! Requests of several sessions that go to the server together: the calls first, joined where they are of one script,
//! then the commands.

use super::request::{Call, CallAnswers, Commands, Request};
use crate::sessions::stores::company::Batch;
use ::redis::Value;

#[derive(Default)]
pub(super) struct Together {
    /// Calls that queued together become one, since each costs the server as much as its work.
    calls: Vec<Call>,
    commands: Commands,
    parts: Vec<Part>,
}

/// One request's own part of a batch.
enum Part {
    /// So many commands.
    Commands(usize),
    /// One of those in the call with this number.
    Call(usize),
}

impl Batch<Request> for Together {
    fn add(&mut self, request: &Request) -> bool {
        let part = match request {
            Request::Commands(commands) => {
                self.commands.append(commands);
                Part::Commands(commands.count)
            }
            Request::Call(call) => {
                if !self.calls.last_mut().is_some_and(|last| last.join(call)) {
                    self.calls.push(call.clone());
                }
                Part::Call(self.calls.len() - 1)
            }
        };
        self.parts.push(part);
        true
    }
}

impl Together {
    /// As it is sent.
    pub(super) fn trip(&self) -> Commands {
        let mut trip = Commands::default();
        self.calls.iter().for_each(|call| trip.call(call));
        trip.append(&self.commands);
        trip
    }

    /// The answers to each request, in the order in which they were added.
    pub(super) fn answers(self, mut calls: Vec<Value>) -> Vec<Vec<Value>> {
        let mut commands = calls.split_off(self.calls.len().min(calls.len())).into_iter();
        let mut calls: Vec<_> = calls.into_iter().map(CallAnswers::of).collect();
        let own = |part| match part {
            Part::Commands(count) => commands.by_ref().take(count).collect(),
            Part::Call(number) => calls.get_mut(number).and_then(Iterator::next).into_iter().collect(),
        };
        self.parts.into_iter().map(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Script;
    use super::*;
    use std::sync::LazyLock;

    static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(&["return 1"]));

    #[test]
    fn calls_that_go_together_are_one_and_each_gets_its_own_answer() {
        let call = || Call::new(&SCRIPT, &[b"store"], &[b"{a}"], &[b"x"]).into();
        let mut together = Together::default();
        for request in [call(), Commands::of(&[b"GET", b"b"]).into(), call()] {
            assert!(together.add(&request));
        }
        let sent = together.trip();
        assert_eq!(sent.count, 2);
        assert!(sent.bytes.ends_with(b"*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"), "the calls go first");
        let answers = together.answers(vec![Value::Array(vec![Value::Int(100), Value::Int(101)]), Value::Int(1)]);
        assert_eq!(answers, [[Value::Int(100)], [Value::Int(1)], [Value::Int(101)]]);
    }

    #[test]
    fn requests_whose_answers_are_missing_get_none() {
        let mut together = Together::default();
        together.add(&Commands::of(&[b"GET", b"b"]).into());
        assert_eq!(together.answers(Vec::new()), [Vec::new()]);
    }
}
