//! What a stream of HTTP/2 does beside other connections, since another one carries its bytes.
//!
//! It hears of its client by wake-ups alone. What it sends only goes to the connection that carries it, which must make
//! a step before the bytes leave. Where no other thread has that connection, the stream's thread makes the step: a
//! second thread would have to be woken for it, and there may be none.

use super::{HttpConnection, Turn};
use crate::server::scheduler::Step;
use crate::server::word::Edges;
use crate::server::workspace::Workspace;
#[cfg(feature = "http2")]
use {
    super::farewell::leave_undelivered,
    super::{Connection, State},
    crate::exchange::Exchange,
    crate::server::http2::{Held, StreamSide},
    crate::server::panics::guarded,
    crate::server::scheduler::{self, News, Role},
    crate::server::slab::Token,
    crate::server::transport::Transport,
    rustix::fd::OwnedFd,
};

#[cfg(feature = "http2")]
impl HttpConnection {
    /// A stream, whose request's head is the input.
    pub(in crate::server) fn of_stream(stream: StreamSide, ends: Connection, input: Vec<u8>) -> Self {
        Self { input, ..Self::new(Transport::Stream(stream), ends) }
    }

    /// There is no slot for the stream: refuses its request. The part of the answer that has no room now will never
    /// leave.
    pub(in crate::server) fn refuse_at_once(mut self, work: &mut Workspace) {
        let news = News { token: Token::NOBODY, edges: Edges::NONE, role: Role::Refuser };
        let tell = |text: &str| crate::line::record!(Error, "a stream was reset because the server panicked: {text}");
        if guarded(tell, || scheduler::Connection::step(&mut self, news, work)).is_some() {
            work.reset();
            work.output = self.unsent.take().map(|unsent| *unsent).unwrap_or_default();
            leave_undelivered(work, std::mem::take(&mut self.state).into_undelivered());
        }
    }

    /// A second descriptor of its socket, to wait for news of it.
    pub(in crate::server) fn second_socket(&self) -> Option<OwnedFd> {
        rustix::io::fcntl_dupfd_cloexec(self.transport.socket()?, 0).ok()
    }

    /// The step begins. A wake-up may mean anything.
    pub(super) fn begin_carried_turn(&mut self, edges: Edges) {
        let Transport::Stream(stream) = &self.transport else { return };
        stream.note_running(true);
        if edges.contains(Edges::WOKEN) {
            self.heard |= Edges::READABLE | Edges::WRITABLE;
            if stream.is_lost() {
                self.heard |= Edges::GONE;
            }
        }
    }

    /// The step ends. A stream that waits makes room for another; a connection that carries streams gives the new ones
    /// their slots.
    pub(super) fn end_carried_turn(&mut self, turn: &mut Turn, work: &mut Workspace, step: Step) {
        self.carry(turn, work);
        match (&self.transport, &mut self.state) {
            (Transport::Stream(stream), _) if matches!(step, Step::Wait { .. }) => stream.note_running(false),
            (_, State::Mux(mux)) => mux.launch(&self.ends, turn.role, work),
            _ => {}
        }
    }

    /// Takes the connection that carries this stream, unless another thread has it, before it is given bytes. They
    /// would wake it, and another thread for it.
    pub(super) fn hold(&self, turn: &mut Turn, work: &Workspace) {
        if let Transport::Stream(stream) = &self.transport {
            turn.gave = true;
            if turn.carrier.is_none() {
                turn.carrier = Held::take(&work.shared, stream.carrier());
            }
        }
    }

    /// Lets the bytes leave that the stream has given to its connection: before anything that may take long.
    pub(super) fn carry(&mut self, turn: &mut Turn, work: &mut Workspace) {
        let Transport::Stream(stream) = &self.transport else { return };
        if !std::mem::take(&mut turn.gave) {
            return;
        }
        // A thread that had it may have let go of it before the bytes came: then it stands in the run queue, and there
        // may be no worker for it.
        let held = turn.carrier.take().or_else(|| Held::take(&work.shared, stream.carrier()));
        let Some(held) = held else { return };
        work.input.store(&mut self.input);
        let output = std::mem::take(&mut work.output);
        held.drive(if turn.role == Role::Worker { Role::Worker } else { Role::Attendant }, work);
        work.reset();
        work.output = output;
        work.input.load(&mut self.input);
    }

    /// The head was read from the text of a request of HTTP/2, if it was.
    pub(super) fn note_protocol(&self, exchange: &mut Exchange) {
        if let Transport::Stream(stream) = &self.transport {
            exchange.request.head.become_http2(stream.has_content());
            exchange.request.client = stream.watch();
        }
    }

    /// Whether it is a stream, and not a connection of its own.
    #[cfg(feature = "websocket")]
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.transport, Transport::Stream(_))
    }

    /// Whether it is a stream for another protocol.
    #[cfg(feature = "websocket")]
    pub(super) fn is_tunnel(&self) -> bool {
        matches!(&self.transport, Transport::Stream(stream) if stream.ends().is_tunnel())
    }

    /// Whether the client of a stream has gone. If not, the stream is woken when it does.
    pub(super) fn is_lost_stream(&self) -> bool {
        matches!(&self.transport, Transport::Stream(stream) if stream.is_lost())
    }
}

#[cfg(not(feature = "http2"))]
impl HttpConnection {
    pub(super) fn begin_carried_turn(&mut self, _: Edges) {}

    pub(super) fn end_carried_turn(&mut self, _: &mut Turn, _: &mut Workspace, _: Step) {}

    pub(super) fn hold(&self, _: &mut Turn, _: &Workspace) {}

    pub(super) fn carry(&mut self, _: &mut Turn, _: &mut Workspace) {}

    pub(super) fn note_protocol(&self, _: &mut crate::exchange::Exchange) {}

    pub(super) fn is_lost_stream(&self) -> bool {
        false
    }

    #[cfg(feature = "websocket")]
    pub(super) fn is_stream(&self) -> bool {
        false
    }

    #[cfg(feature = "websocket")]
    pub(super) fn is_tunnel(&self) -> bool {
        false
    }
}
