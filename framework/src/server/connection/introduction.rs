//! Before everything else, where the listener speaks the PROXY protocol: the header in which a proxy names its client.
//!
//! It is looked at where it lies and taken only when it is complete, so that not a byte behind it is touched: TLS may
//! begin there. A connection that begins otherwise, or not in time, is closed without a word.

use super::{HttpConnection, Next, State, Then};
use crate::exchange::Peer;
use crate::http::ProxyHeader;
use crate::seldom::Seldom;
use crate::server::clock::Tick;
use crate::server::scheduler::{Phase, Step};
use crate::server::transport::{Received, look, take};
use crate::server::word::Edges;
use crate::server::workspace::{Shared, Workspace};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A connection whose proxy has not named its client yet.
pub(super) struct Introduction {
    deadline: Tick,
    /// The state behind it.
    next: State,
}

/// Connections that were closed because they did not begin with the header of a trusted proxy.
#[derive(Debug, Default)]
pub(in crate::server) struct Strangers {
    count: AtomicU64,
    lines: Seldom,
}

impl Strangers {
    /// One more, for this reason.
    pub(in crate::server) fn count(&self, peer: &Peer, reason: &str) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(unsaid) = self.lines.may_say(Instant::now()) {
            crate::line::record!(
                Warn,
                "a connection of {peer} was closed at a listener with `proxy_protocol`: {reason} ({unsaid} more since the last line)"
            );
        }
    }

    pub(in crate::server) fn counted(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl HttpConnection {
    /// The same, after a header of the PROXY protocol, which must be there at the `deadline`.
    pub(in crate::server) fn introduced(mut self, deadline: Tick) -> Self {
        let next = std::mem::take(&mut self.state);
        self.state = State::Introduction(Box::new(Introduction { deadline, next }));
        self
    }

    pub(super) fn await_introduction(&mut self, work: &mut Workspace, introduction: Box<Introduction>) -> Next {
        let shared = Arc::clone(&work.shared);
        let close = |state: Box<Introduction>| (State::Introduction(state), Then::Stop(Step::Close));
        let peer = self.ends.peer;
        let refused = |reason: &str| shared.strangers.count(&peer, reason);
        if shared.scheduler.phase() >= Phase::Closing && !shared.has_successor() {
            return close(introduction);
        }
        let Some(socket) = self.transport.socket() else { return (introduction.next, Then::Go) };
        let room = &mut work.input.room()[..ProxyHeader::MAX_LENGTH];
        let came = match look(socket, room) {
            Received::Bytes { length, .. } => length,
            Received::End => {
                refused("it ended before the header");
                return close(introduction);
            }
            _ => 0,
        };
        match ProxyHeader::read(&room[..came]) {
            Ok(Some((header, length))) => {
                take(socket, &mut room[..length]);
                if let ProxyHeader::Client { client, server } = header {
                    let proxy = std::mem::replace(&mut self.ends.peer, Peer::Ip(client));
                    (self.ends.proxy, self.ends.local) = (Some(Arc::new(proxy)), Some(server));
                }
                (introduction.next, Then::Go)
            }
            Ok(None) => {
                // What has come is still there; more of it is news.
                self.heard.remove(Edges::READABLE);
                if self.heard.contains(Edges::EXPIRED) && is_over(&shared, introduction.deadline) {
                    refused("the header was not there in time");
                    return close(introduction);
                }
                if self.heard.contains(Edges::HALF_CLOSED) {
                    refused("it ended within the header");
                    return close(introduction);
                }
                let wait = Step::Wait { deadline: Some(introduction.deadline), idle: false };
                (State::Introduction(introduction), Then::Stop(wait))
            }
            Err(_) => {
                refused("it begins with something else than the header");
                close(introduction)
            }
        }
    }
}

fn is_over(shared: &Shared, deadline: Tick) -> bool {
    deadline.has_passed(shared.scheduler.clock.now())
}
