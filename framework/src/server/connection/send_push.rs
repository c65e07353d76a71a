//! Pushes as responses: content that comes when there is news. In between the connection waits in its slot, without a
//! worker and without buffers.
//!
//! A pull runs no code of the application, so any thread may make it: the ticker does while every worker is in a slow
//! handler. News is pulled only when everything before is in the socket, so a slow reader holds one piece. When the
//! server drains, the next pull is the last one.

use super::request::guarded;
use super::respond::{After, Sending, sent};
use super::{HttpConnection, Next, Rest, State, Then, Turn};
use crate::exchange::{Pulled, PushTurn, ResponseBody, Wakers};
use crate::http::{ResponseFraming, write_chunk, write_last_chunk};
use crate::server::clock::Tick;
use crate::server::scheduler::{Phase, Step};
use crate::server::slab::Token;
use crate::server::transport::Transport;
use crate::server::waker::ParkWaker;
use crate::server::word::Edges;
use crate::server::workspace::{Shared, Workspace};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// Pulls for one connection before the others have their turn. Each makes some 64 KiB at most.
const PULLS_IN_A_ROW: u32 = 8;

impl HttpConnection {
    pub(super) fn send_push(&mut self, turn: &mut Turn, work: &mut Workspace, mut sending: Box<Sending>) -> Next {
        let mut pulls = 0;
        let mut rest = None;
        // An edge of a wake-up is used up before the look at the news that it is for.
        self.heard.remove(Edges::WOKEN | Edges::EXPIRED);
        loop {
            let then = match (self.flush(turn, work, Some(&sending)), rest) {
                (Then::Go, _) if sending.ended => {
                    self.transport.finish();
                    return sent(turn, work, *sending);
                }
                (Then::Go, Some(_)) if self.is_lost_stream() => Then::Lost,
                (Then::Go, Some(step)) => {
                    // It has taken everything: what comes next begins with the whole patience.
                    self.reader = None;
                    Then::Stop(step)
                }
                (Then::Go, None) if self.heard.contains(Edges::GONE) => Then::Lost,
                // A server that has stopped has no more news.
                (Then::Go, None) if work.shared.scheduler.phase() >= Phase::Stopped => Then::Lost,
                (Then::Go, None) if !self.heard.contains(Edges::WRITABLE) => {
                    self.wait_for_room(turn, work, Some(&sending))
                }
                (Then::Go, None) if pulls == PULLS_IN_A_ROW => Then::Stop(Step::Later),
                (Then::Go, None) => match self.pull(turn, work, &mut sending) {
                    Went::On => {
                        pulls += 1;
                        continue;
                    }
                    Went::ToRest(deadline) => {
                        rest = Some(Step::Wait { deadline, idle: false });
                        continue;
                    }
                    Went::Wrong => {
                        if sending.framing == ResponseFraming::Close {
                            // Here a close would look like the regular end; a reset does not.
                            self.transport.fail_at_close();
                        }
                        Then::Lost
                    }
                },
                (then, _) => then,
            };
            return (State::Sending(sending), then);
        }
    }

    /// Asks the push for news, and writes what it has.
    fn pull(&mut self, turn: &Turn, work: &mut Workspace, sending: &mut Sending) -> Went {
        let is_closing = work.shared.scheduler.phase() > Phase::Running;
        let is_in_doubt = self.heard.contains(Edges::HALF_CLOSED);
        self.heard.remove(Edges::HALF_CLOSED);
        let exchange = &mut sending.request.exchange;
        let id = exchange.request.id;
        let ResponseBody::Push(push) = &mut exchange.response.body else { return Went::Wrong };
        let wakers = NewsWakers { transport: &self.transport, shared: &work.shared, token: turn.token };
        let news = PushTurn::new(Instant::now(), is_closing, is_in_doubt, &wakers);
        let mut content = std::mem::take(&mut work.news);
        content.clear();
        let pulled = guarded(id, || push.pull(&mut content, &news));
        sending.body_bytes += content.len() as u64;
        let out = &mut work.output.bytes;
        match sending.framing {
            _ if content.is_empty() => {}
            ResponseFraming::Chunked => write_chunk(out, &content),
            _ => out.extend_from_slice(&content),
        }
        if content.capacity() <= MAX_KEPT {
            work.news = content;
        }
        match pulled {
            Some(Pulled::More) => Went::On,
            Some(Pulled::Wait(moment)) if !is_closing => {
                Went::ToRest(moment.map(|moment| work.shared.scheduler.clock.deadline(moment)))
            }
            Some(Pulled::End | Pulled::Wait(_)) => {
                sending.ended = true;
                sending.request.rest = Rest::Nothing;
                if sending.framing == ResponseFraming::Chunked {
                    write_last_chunk(out);
                }
                if is_closing && matches!(sending.after, After::Keep) {
                    let nothing_left = self.input.is_empty() && !self.heard.contains(Edges::READABLE);
                    sending.after = if nothing_left { After::Close } else { After::Linger };
                }
                Went::On
            }
            Some(Pulled::Break) => {
                crate::line::record!(Debug, "request {id}: the push of the response broke off");
                Went::Wrong
            }
            None => Went::Wrong,
        }
    }
}

/// A larger buffer for news is not kept.
const MAX_KEPT: usize = 256 * 1024;

/// What a pull has brought.
enum Went {
    /// Bytes, an end, or the word that there may be more.
    On,
    /// Perhaps bytes, and nothing behind them until news comes, or this moment.
    ToRest(Option<Tick>),
    /// A failure.
    Wrong,
}

/// Makes wakers whose connection waits behind requests and turns.
pub(super) struct NewsWakers<'a> {
    pub(super) transport: &'a Transport,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) token: Token,
}

impl Wakers for NewsWakers<'_> {
    fn waker(&self) -> Waker {
        self.transport.waker().unwrap_or_else(|| ParkWaker::of_news(self.shared, self.token))
    }
}
