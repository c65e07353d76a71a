//! Before the first request of an encrypted connection: the handshake of TLS.
//!
//! ```text
//!             first byte is TLS        complete, and its turn           the client has finished
//!   Greeting ───────────────────► ... ───────────────────────► Handshaking ─────────────────► Idle
//!      └── a letter ─► Misdirected ─► 400, lingers                 └── failed ─► the alert goes out, lingers
//! ```
//!
//! All of it has one deadline, `tls.handshake_timeout` from the accept on, which no byte extends. Nothing waits in a
//! call. The answer to a ClientHello is the dear part: it is computed by workers, behind the requests that are in line
//! already, a few at a time (`handshakes.rs`). While no worker is free, the ticker computes one a look. A handshake
//! that fails is an everyday end: it is counted by its kind, and only the debug log hears of it.

use super::head::Fill;
use super::request::ConnectionWakers;
use super::respond::After;
use super::{HttpConnection, InFlight, Next, State, Then, Turn};
use crate::exchange::{Entered, Wakers};
use crate::http::Refusal;
use crate::server::clock::Tick;
use crate::server::handshakes::{HandshakeFailure, HandshakePlace, HandshakeTurn};
use crate::server::poll::Interest;
use crate::server::scheduler::{Phase, Role, Step};
use crate::server::transport::{FirstLook, Gone, Pipe, Tls, Transport};
use crate::server::word::Edges;
use crate::server::workspace::Workspace;
use crate::tls::{PlainRequests, client_certificate};
use rustls::ServerConfig;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A connection whose ClientHello is awaited, or waits for its turn.
pub(super) struct Greeting {
    config: Arc<ServerConfig>,
    deadline: Tick,
    /// Received so far.
    hello: Vec<u8>,
    /// Its turn among those that wait for a place.
    line: Option<HandshakeTurn>,
    /// It has stood behind the requests.
    has_queued: bool,
}

/// How often a handshake looks whether the queue of requests has room again.
const LOOK: Duration = Duration::from_millis(100);

impl HttpConnection {
    /// A new connection that begins with a handshake, which must be over at the `deadline`.
    pub(in crate::server) fn with_handshake(
        link: Transport,
        ends: crate::exchange::Connection,
        config: Arc<ServerConfig>,
        deadline: Tick,
    ) -> Self {
        let greeting = Greeting { config, deadline, hello: Vec::new(), line: None, has_queued: false };
        Self { state: State::Greeting(Box::new(greeting)), ..Self::new(link, ends) }
    }

    /// Reads until a ClientHello is complete, or what came is something else.
    pub(super) fn await_hello(&mut self, turn: &mut Turn, work: &mut Workspace, mut greeting: Box<Greeting>) -> Next {
        loop {
            match FirstLook::at(&greeting.hello) {
                FirstLook::Hello(name) => return self.answer_hello(turn, work, greeting, name),
                FirstLook::Request => {
                    work.shared.handshakes.count_failure(HandshakeFailure::PlainHttp);
                    self.input = greeting.hello;
                    let state = State::Misdirected { searched: 0, deadline: greeting.deadline };
                    return (state, Then::Go);
                }
                FirstLook::Foreign => return self.give_up(work, HandshakeFailure::NotTls, "the first byte is not TLS"),
                FirstLook::Part => {}
            }
            match self.fill(work) {
                Fill::Some => {
                    greeting.hello.extend_from_slice(work.input.bytes());
                    work.input.clear();
                }
                Fill::End | Fill::Whole => {
                    return self.give_up(work, HandshakeFailure::CutOff, "it left before its ClientHello");
                }
                Fill::Nothing | Fill::Part => {
                    let deadline = greeting.deadline;
                    return self.wait_in_handshake(work, State::Greeting(greeting), deadline);
                }
            }
        }
    }

    /// A ClientHello is complete.
    fn answer_hello(
        &mut self,
        turn: &Turn,
        work: &mut Workspace,
        mut greeting: Box<Greeting>,
        server_name: Option<Box<str>>,
    ) -> Next {
        let deadline = greeting.deadline;
        let queue = &work.shared.scheduler.queue;
        let is_worker = matches!(turn.role, Role::Worker | Role::Aside);
        if is_worker && !greeting.has_queued && !queue.is_empty() {
            greeting.has_queued = true;
            return (State::Greeting(greeting), Then::Stop(Step::Again));
        }
        if queue.requests() > 0 && queue.requests() >= work.shared.settings.queue {
            // Nobody could read a 503.
            let soon = work.shared.scheduler.clock.now().after(LOOK).earlier(deadline);
            return self.wait_in_handshake_until(work, State::Greeting(greeting), deadline, soon);
        }
        if !is_worker && !work.may_answer_hello() {
            return (State::Greeting(greeting), Then::Stop(Step::Again));
        }
        let Some(place) = self.handshake_place(turn, work, &mut greeting) else {
            return self.wait_in_handshake(work, State::Greeting(greeting), deadline);
        };
        let Greeting { config, hello, .. } = *greeting;
        // The link moves into the session.
        let link = std::mem::replace(&mut self.transport, Transport::Pipe(Arc::<Pipe>::default()));
        match Tls::accept(link, config, server_name, hello) {
            Ok(tls) => self.transport = Transport::Tls(Box::new(tls)),
            Err((link, error)) => {
                self.transport = link;
                crate::line::record!(Error, "the configuration of TLS cannot be used: {error}");
                return (State::Idle, Then::Stop(Step::Close));
            }
        }
        drop(place);
        (State::Handshaking { deadline }, Then::Go)
    }

    fn handshake_place(&mut self, turn: &Turn, work: &Workspace, greeting: &mut Greeting) -> Option<HandshakePlace> {
        self.heard.remove(Edges::WOKEN);
        if let Some(line) = &mut greeting.line {
            match line.poll() {
                Poll::Pending => return None,
                Poll::Ready(Some(place)) => {
                    greeting.line = None;
                    return Some(place);
                }
                Poll::Ready(None) => {}
            }
        }
        let wakers = ConnectionWakers { transport: &self.transport, shared: &work.shared, token: turn.token };
        match work.shared.handshakes.enter(|| wakers.waker()) {
            Entered::Place(place) => Some(place),
            Entered::Turn(line) => {
                greeting.line = Some(line);
                None
            }
            Entered::Full => None,
        }
    }

    /// Goes on until the client has finished, and all of our part has left.
    pub(super) fn shake_hands(&mut self, turn: &mut Turn, work: &mut Workspace, deadline: Tick) -> Next {
        work.input.load(&mut self.input);
        let state = State::Handshaking { deadline };
        if turn.role == Role::Attendant && self.heard.contains(Edges::READABLE) && !work.may_answer_hello() {
            return (state, Then::Stop(Step::Again));
        }
        // Where the first request has come with the client's last word, the socket is left alone until it is answered.
        let filled = if work.input.is_empty() { self.fill(work) } else { Fill::Some };
        let Transport::Tls(tls) = &mut self.transport else { return (state, Then::Lost) };
        if let Some(error) = tls.failure() {
            let failure = HandshakeFailure::of(&error);
            self.tell_failure(work, failure, &error);
            // The alert tells the client.
            return self.proceed(turn, work, After::Linger);
        }
        if matches!(filled, Fill::End) {
            return self.give_up(work, HandshakeFailure::CutOff, "it left in the middle");
        }
        if self.heard.contains(Edges::WRITABLE) && tls.has_unsent() {
            match tls.flush() {
                Ok(taken) if taken.is_full => self.heard.remove(Edges::WRITABLE),
                Ok(_) => {}
                Err(Gone) => return self.give_up(work, HandshakeFailure::CutOff, "it left in the middle"),
            }
        }
        if tls.has_unsent() {
            self.heard.remove(Edges::WRITABLE);
            if !self.interest.room && !self.watch(turn, work, Interest { room: true, ..self.interest }) {
                return (state, Then::Lost);
            }
            return self.wait_in_handshake(work, state, deadline);
        }
        if tls.is_handshaking() {
            return self.wait_in_handshake(work, state, deadline);
        }
        let mut facts = tls.facts();
        facts.client_certificate = tls.with_chain(client_certificate).flatten();
        work.shared.handshakes.count(facts.is_resumed);
        #[cfg(feature = "http2")]
        let speaks_http2 = facts.protocol.as_deref() == Some("h2");
        self.ends.tls = Some(Arc::new(facts));
        #[cfg(feature = "http2")]
        if speaks_http2 {
            return self.become_mux(turn, work);
        }
        (State::Idle, Then::Go)
    }

    /// A request without encryption where there should be some: reads its head, to tell the client the right address.
    pub(super) fn misdirected(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        mut searched: usize,
        deadline: Tick,
    ) -> Next {
        if turn.role != Role::Worker {
            return (State::Misdirected { searched, deadline }, Then::Stop(Step::Lend { refusable: false }));
        }
        work.input.load(&mut self.input);
        loop {
            if !work.input.is_empty() {
                let mut exchange = work.exchange();
                match exchange.request.head.read(work.input.bytes(), &mut searched, &work.shared.settings.head) {
                    Ok(Some(length)) => {
                        work.input.consume(length);
                        self.identify(&mut exchange);
                        let redirects = work.shared.settings.tls.plain == PlainRequests::Redirect;
                        let refusal = Refusal::NotEncrypted { redirects };
                        return self.refuse(turn, work, InFlight::without_body(exchange), &refusal);
                    }
                    Ok(None) => work.put_back(exchange),
                    Err(refusal) => return self.refuse_head(turn, work, exchange, &refusal),
                }
            }
            match self.fill(work) {
                Fill::Some => {}
                Fill::End | Fill::Whole => return (State::Idle, Then::Stop(Step::Close)),
                Fill::Nothing | Fill::Part => {
                    let state = State::Misdirected { searched, deadline };
                    return self.wait_in_handshake(work, state, deadline);
                }
            }
        }
    }

    fn wait_in_handshake(&mut self, work: &Workspace, state: State, deadline: Tick) -> Next {
        self.wait_in_handshake_until(work, state, deadline, deadline)
    }

    /// Waits for news, and looks again at the moment `next` without.
    fn wait_in_handshake_until(&mut self, work: &Workspace, state: State, deadline: Tick, next: Tick) -> Next {
        if work.shared.scheduler.phase() >= Phase::Closing && !work.shared.has_successor() {
            return (State::Idle, Then::Stop(Step::Close));
        }
        if deadline.has_passed(work.shared.scheduler.clock.now()) {
            return self.give_up(work, HandshakeFailure::TooSlow, "it was not over in time (tls.handshake_timeout)");
        }
        (state, Then::Stop(Step::Wait { deadline: Some(next), idle: false }))
    }

    /// There is nobody to tell.
    fn give_up(&self, work: &Workspace, failure: HandshakeFailure, why: &str) -> Next {
        self.tell_failure(work, failure, &why);
        (State::Idle, Then::Stop(Step::Close))
    }

    fn tell_failure(&self, work: &Workspace, failure: HandshakeFailure, why: &dyn std::fmt::Display) {
        work.shared.handshakes.count_failure(failure);
        crate::line::record!(Debug, "a handshake with {} failed ({failure:?}): {why}", self.ends.peer);
    }
}
