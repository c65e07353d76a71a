//! A connection that carries streams of HTTP/2: it moves bytes between its socket and the engine.
//!
//! It runs no application code, so any thread may make its steps. Unlike the other states it goes on reading while
//! output waits: a client may wait with its reading until its own bytes are taken.

use super::head::Fill;
use super::respond::After;
use super::{HttpConnection, Next, State, Then, Turn};
use crate::server::http2::{MAX_OUTPUT, Mux, PREFACE};
use crate::server::scheduler::{Phase, Step};
use crate::server::word::Edges;
use crate::server::workspace::Workspace;

/// Bytes that are read and sent before other connections have their turn.
const MAX_MOVED_IN_A_ROW: usize = 1024 * 1024;

impl HttpConnection {
    /// Whether the client begins with the preface of HTTP/2, where it may.
    pub(super) fn speaks_http2(&self, work: &Workspace) -> bool {
        self.ends.listener.h2c && self.requests == 0 && work.input.bytes().starts_with(PREFACE)
    }

    /// Whether the client begins with what belongs to neither protocol, where it may choose. It can read no answer.
    pub(super) fn speaks_neither(&self, work: &Workspace) -> bool {
        let input = work.input.bytes();
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else { return false };
        let version = input[..end].rsplit(|&byte| byte == b' ').next().unwrap_or_default();
        self.ends.listener.h2c && self.requests == 0 && !version.starts_with(b"HTTP/")
    }

    pub(super) fn part_from_stranger(&mut self, turn: &Turn, work: &Workspace) -> Next {
        self.proceed(turn, work, After::Linger)
    }

    /// The client speaks HTTP/2: the input begins with its preface, or that is still to come.
    pub(super) fn become_mux(&mut self, turn: &mut Turn, work: &mut Workspace) -> Next {
        let mut mux = Mux::new(&work.shared, turn.token);
        mux.count(work.input.bytes());
        self.multiplex(turn, work, mux)
    }

    /// Moves bytes both ways until there are no more.
    pub(super) fn multiplex(&mut self, turn: &mut Turn, work: &mut Workspace, mut mux: Box<Mux>) -> Next {
        work.input.load(&mut self.input);
        self.heard.remove(Edges::WOKEN);
        let phase = work.shared.scheduler.phase();
        // After a hand-over nobody waits for a client, and it may be far away.
        let is_closing = phase >= Phase::Closing && !work.shared.has_successor();
        let settings = &work.shared.settings;
        let patience = match phase {
            Phase::Running => settings.idle_timeout,
            // The client has still to take what the engine holds of its last response.
            _ if is_closing => settings.drain_idle,
            _ => settings.head_timeout,
        };
        if phase >= Phase::Draining && mux.has_begun() {
            mux.drain();
        }
        let mut moved = 0;
        loop {
            let is_over = mux.go_on(&mut work.input, &mut work.output, !is_closing);
            let was_full = work.output.unsent().len() >= MAX_OUTPUT;
            let flushed = self.flush(turn, work, None);
            match flushed {
                Then::Go if is_over => return self.proceed(turn, work, After::Linger),
                Then::Stop(_) if is_over => return (State::Mux(mux), flushed),
                Then::Lost => return (State::Mux(mux), Then::Lost),
                _ if mux.has_had_its_turn() || moved >= MAX_MOVED_IN_A_ROW => {
                    return (State::Mux(mux), Then::Stop(Step::Again));
                }
                Then::Go if was_full => {
                    moved += MAX_OUTPUT;
                    continue;
                }
                _ => {}
            }
            // The engine leaves input only while it has too much output.
            match if work.input.is_empty() { self.fill(work) } else { Fill::Nothing } {
                Fill::Some => {
                    mux.count(work.input.bytes());
                    moved += work.input.bytes().len();
                    continue;
                }
                Fill::End | Fill::Whole if mux.end_input() => continue,
                _ => {}
            }
            let now = work.shared.scheduler.clock.coarse();
            let idle_until = mux.idle_until(&work.shared.settings, patience, now);
            let step = match (flushed, idle_until) {
                (Then::Stop(step), _) => step,
                (_, None) => Step::Wait { deadline: None, idle: false },
                (_, Some(deadline)) if deadline.has_passed(now) && mux.part() => continue,
                (_, deadline) => Step::Wait { deadline, idle: true },
            };
            return (State::Mux(mux), Then::Stop(step));
        }
    }
}
