//! What a connection that carries streams has beside its socket: the engine, the streams that it has just opened, and
//! the counts that end a flood. Its steps are in `connection/multiplex.rs`.
//!
//! New requests are taken from the engine only while there is room for them to run. The others wait in the engine, and
//! the connection is rung when a stream makes room.

use super::carrier::Carrier;
use super::engine::{Engine, EngineLimits, MAX_OUTPUT, Opened, Parting, Turn, Unfinished};
use super::floods::Meter;
use super::stream::StreamSide;
use crate::exchange::Connection;
use crate::http::write_http2_head;
use crate::server::ServerSettings;
use crate::server::clock::Tick;
use crate::server::connection::HttpConnection;
use crate::server::scheduler::Role;
use crate::server::slab::Token;
use crate::server::workspace::{Input, Output, Shared, Workspace};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

/// The preface of HTTP/2 as far as it looks like a request of HTTP/1.1 (RFC 9113, section 3.4). A parser of HTTP/1.1
/// refuses it.
pub(in crate::server) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
const WHOLE_PREFACE: usize = PREFACE.len() + b"SM\r\n\r\n".len();

/// Streams that are opened before other connections have their turn.
const MAX_OPENED_IN_A_ROW: usize = 16;

/// The state of a connection that carries streams.
pub(in crate::server) struct Mux {
    engine: Engine,
    carrier: Arc<Carrier>,
    /// The carrier's.
    waker: Waker,
    meter: Meter,
    /// Streams that have no slot yet.
    opened: Vec<Opened>,
    /// Since when no stream is open. Nothing but a stream extends the time of an idle connection.
    idle_since: Option<Tick>,
    has_begun: bool,
    is_draining: bool,
    is_ending: bool,
}

impl Mux {
    /// For the connection with this token.
    pub(in crate::server) fn new(shared: &Arc<Shared>, token: Token) -> Box<Self> {
        let (head, streams) = (&shared.settings.head, shared.settings.http2.streams);
        let carrier = Arc::new(Carrier::new(shared, token));
        Box::new(Self {
            engine: Engine::new(&EngineLimits { streams, head: head.head, fields: head.fields }),
            waker: Waker::from(Arc::clone(&carrier)),
            carrier,
            meter: Meter::behind(WHOLE_PREFACE),
            opened: Vec::new(),
            idle_since: None,
            has_begun: false,
            is_draining: false,
            is_ending: false,
        })
    }

    /// Whether no request is being answered.
    pub(in crate::server) fn is_idle(&self) -> bool {
        self.carrier.counts().is_empty()
    }

    /// Whether so many streams have been opened in this step that others must have their turn.
    pub(in crate::server) fn has_had_its_turn(&self) -> bool {
        self.opened.len() >= MAX_OPENED_IN_A_ROW
    }

    /// Bytes have come.
    pub(in crate::server) fn count(&mut self, bytes: &[u8]) {
        self.meter.count(bytes);
    }

    /// The client sends no more. False if that was known.
    pub(in crate::server) fn end_input(&mut self) -> bool {
        self.engine.end_input();
        !std::mem::replace(&mut self.is_ending, true)
    }

    /// Whether it has carried a request. A client that has just connected does not expect that it ends at once, and may
    /// have sent its first requests.
    pub(in crate::server) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Lets the client know that no more requests are welcome. Those that it has sent before it knows are taken.
    pub(in crate::server) fn drain(&mut self) {
        if !std::mem::replace(&mut self.is_draining, true) {
            self.idle_since = None;
            self.engine.drain();
        }
    }

    /// Lets the engine go as far as it can; true when the connection is over. New requests are answered if it
    /// `welcomes` them. If not, their client is told to try elsewhere.
    pub(in crate::server) fn go_on(&mut self, input: &mut Input, output: &mut Output, welcomes: bool) -> bool {
        if self.meter.is_flood(self.carrier.content(), self.carrier.fruitless()) {
            self.end(Parting::Flood);
        }
        let mut unfinished = self.carrier.unfinished();
        loop {
            let accepts = !welcomes || (!self.has_had_its_turn() && self.carrier.counts().has_room());
            match self.engine.go_on(input, output, &mut Context::from_waker(&self.waker), accepts) {
                Turn::Opened(opened) if !welcomes => opened.turn_away(),
                Turn::Opened(opened) => {
                    self.has_begun = true;
                    self.carrier.counts().opens();
                    self.opened.push(*opened);
                }
                // There is room, so all that could leave has left.
                Turn::Waits if !unfinished.is_empty() && output.unsent().len() < MAX_OUTPUT => {
                    unfinished.drain(..).for_each(Unfinished::reset);
                }
                Turn::Waits => {
                    self.carrier.put_back(unfinished);
                    return false;
                }
                Turn::Over => return true,
            }
        }
    }

    /// Until when the connection may stay without a stream; `None` while there is one. The preface has the time of a
    /// head, and so has the answer to our settings; `patience` bounds both.
    pub(in crate::server) fn idle_until(
        &mut self,
        settings: &ServerSettings,
        patience: Duration,
        now: Tick,
    ) -> Option<Tick> {
        if !self.is_idle() {
            self.idle_since = None;
            return None;
        }
        let timeout = match () {
            () if self.engine.is_greeting() => settings.head_timeout,
            () if !self.meter.has_acknowledged() => settings.head_timeout.min(settings.idle_timeout),
            () => settings.idle_timeout,
        };
        Some(self.idle_since.get_or_insert(now).after(timeout.min(patience)))
    }

    /// The connection ends, for no fault of the client. False if it is ending already.
    pub(in crate::server) fn part(&mut self) -> bool {
        self.end(Parting::Regular)
    }

    fn end(&mut self, why: Parting) -> bool {
        let is_first = !std::mem::replace(&mut self.is_ending, true);
        if is_first {
            self.engine.end(why);
        }
        is_first
    }

    /// Gives the new streams their slots. Called when the step has given the buffers back, since streams may make steps
    /// here.
    pub(in crate::server) fn launch(&mut self, ends: &Connection, role: Role, work: &mut Workspace) {
        for opened in self.opened.drain(..) {
            let shared = Arc::clone(&work.shared);
            let mut text = Vec::with_capacity(512);
            write_http2_head(&mut text, &opened.head);
            let Opened { ends: stream, has_content, .. } = opened;
            let make = |token| {
                let side = StreamSide::new(&self.carrier, &shared, token, stream, has_content);
                HttpConnection::of_stream(side, ends.clone(), text)
            };
            if let Err(make) = shared.scheduler.start_detached(make, role, work) {
                make(Token::NOBODY).refuse_at_once(work);
            }
        }
    }
}

impl Drop for Mux {
    fn drop(&mut self) {
        self.carrier.ends();
    }
}
