//! One HTTP connection: from bytes to a request, from a response to bytes, and what comes after.
//!
//! ```text
//!            bytes               head complete               body complete
//!   Idle ─────────► Head ───┬──────────────────► Body ───────────────────► run ──► respond ──► Idle
//!                           │ ▲                                            │ ▲        │
//!                           │ └─► Parked                                   ▼ │        ├─► Sending (large, or a stream)
//!                           └─► Received (no worker yet)                Parked        ├─► Discarding (unread body)
//!   Ready: the body is there, no worker yet                                           └─► Lingering ──► closed
//!   any ─► Lost: the client is gone, and a worker must tell the service
//! ```
//!
//! A connection by TLS begins with a handshake (`handshake.rs`) in the place of `Idle`.
//!
//! A connection is a value that one thread at a time may step. It never waits: when it can go no further, the step ends
//! and names the event to wait for. A state owns everything that it needs; its function consumes it and returns the
//! [`Next`] one. Only [`go`](HttpConnection::go) stores a state, and only it loses a connection. Output that the socket
//! did not take is kept apart from the state: while there is some, nothing else happens.
//!
//! | file | what it does |
//! |---|---|
//! | `handshake.rs` | the time before, with TLS |
//! | `introduction.rs` | the time before everything else, with the PROXY protocol |
//! | `head.rs` | waits for a request and reads its head |
//! | `request.rs` | asks the service, parks, refuses |
//! | `body_reading.rs`, `body_stream.rs` | the body of a request, before the handler and during it |
//! | `respond.rs`, `send_file.rs`, `send_stream.rs`, `send_push.rs` | the response, up to its last byte |
//! | `speak.rs` | a conversation by WebSocket, behind its handshake |
//! | `unread.rs` | responses that their clients do not take |
//! | `multiplex.rs`, `carried.rs` | HTTP/2: a connection that carries streams, and what streams do beside other connections |
//! | `farewell.rs` | the time after the response, and the ways to part from a client |

mod body_reading;
mod body_stream;
mod carried;
mod farewell;
#[cfg(feature = "tls")]
mod handshake;
mod head;
mod introduction;
#[cfg(feature = "http2")]
mod multiplex;
mod request;
mod respond;
mod send_file;
mod send_push;
mod send_stream;
#[cfg(feature = "websocket")]
mod speak;
mod unread;

pub(super) use respond::end;
pub(super) use unread::{SharedContents, keep_within_budget};

use super::clock::Tick;
#[cfg(feature = "http2")]
use super::http2::{Held, Mux};
use super::poll::Interest;
use super::scheduler::{self, News, Role, Step};
use super::slab::Token;
use super::transport::Transport;
use super::word::Edges;
use super::workspace::{Output, Workspace};
use crate::exchange::{Connection, Exchange};
use crate::http::BodyDecoder;
use body_reading::BodyReading;
use body_stream::StreamHandle;
use farewell::Undelivered;
#[cfg(feature = "tls")]
use handshake::Greeting;
use introduction::Introduction;
pub(super) use introduction::Strangers;
use respond::{After, Sending};
#[cfg(feature = "websocket")]
use speak::Speaking;
use std::os::fd::{AsFd, BorrowedFd};
use unread::Unread;

pub(super) struct HttpConnection {
    transport: Transport,
    ends: Connection,
    state: State,
    /// Received and not used yet. Empty, without memory, between requests.
    input: Vec<u8>,
    /// The output that the socket did not take yet.
    unsent: Option<Box<Output>>,
    /// The client as a reader, once the socket did not take all of the output.
    reader: Option<Box<Unread>>,
    requests: u64,
    /// News that the connection has not used up. `READABLE` and `WRITABLE` say that a call is worth a try.
    heard: Edges,
    /// The reports of the poller.
    interest: Interest,
    /// How often news of input came while nothing read it.
    unheard: u8,
}

#[derive(Default)]
enum State {
    /// Between requests.
    #[default]
    Idle,
    /// The proxy is to name its client first.
    Introduction(Box<Introduction>),
    /// A part of a head is there.
    Head {
        /// How much of it has been searched for the end.
        searched: usize,
        /// When the rest must be there.
        deadline: Tick,
    },
    /// The head is complete; a worker must look at it.
    Received(Box<Exchange>),
    /// The body is being read.
    Body(Box<BodyReading>),
    /// The body is complete; a worker must run the request.
    Ready(Box<InFlight>),
    /// The service waits for something.
    Parked(Parked, Option<Tick>),
    /// The response is larger than the output buffer, or still being made.
    Sending(Box<Sending>),
    /// The response is in the output; this comes when it is out.
    Finishing(After),
    /// The response is out; the rest of the body is of no interest.
    Discarding { decoder: Box<BodyDecoder>, left: usize, deadline: Tick },
    /// The response is out and our side is closed; the client may still be sending.
    Lingering { deadline: Tick },
    /// The client is lost. A worker must tell the service.
    Lost(Option<Undelivered>),
    /// A conversation.
    #[cfg(feature = "websocket")]
    Speaking(Box<Speaking>),
    /// The beginning of a handshake is awaited.
    #[cfg(feature = "tls")]
    Greeting(Box<Greeting>),
    /// The handshake goes on.
    #[cfg(feature = "tls")]
    Handshaking { deadline: Tick },
    /// A part of a head is there, and a handshake should be.
    #[cfg(feature = "tls")]
    Misdirected { searched: usize, deadline: Tick },
    /// It carries streams of HTTP/2.
    #[cfg(feature = "http2")]
    Mux(Box<Mux>),
}

/// The state that follows, and how the step goes on with it.
type Next = (State, Then);

/// How a step goes on.
#[derive(Clone, Copy)]
enum Then {
    /// At once.
    Go,
    /// Not now: the step ends.
    Stop(Step),
    /// Never: the client will not hear the answer.
    Lost,
}

impl Then {
    fn is_go(self) -> bool {
        matches!(self, Self::Go)
    }
}

/// A request that the service has started, or that is answered without it.
struct InFlight {
    exchange: Box<Exchange>,
    rest: Rest,
}

impl InFlight {
    /// A request whose body is read, or has none.
    fn without_body(exchange: Box<Exchange>) -> Self {
        Self { exchange, rest: Rest::Nothing }
    }
}

/// A request that waits, and its next step.
enum Parked {
    BeforeBody(Box<Exchange>),
    BeforeHandler(Box<InFlight>),
}

/// The unread rest of a request body.
enum Rest {
    Nothing,
    /// Unread.
    Unread {
        /// A value of its own, since most requests have none and all are moved.
        decoder: Box<BodyDecoder>,
        /// The client may not even send it.
        expected: bool,
    },
    /// The service reads it, or the stream of the response does.
    Stream(StreamHandle),
}

/// What a connection without an owner waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Rests {
    /// A request. A new connection rests in this one.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
    /// Something else than its client.
    Parked,
    /// Its client, which takes its time with a response.
    Sending,
    /// News for its client.
    Pushing,
    /// What one of the two has to say, in a conversation.
    Speaking,
    /// Its end.
    Closing,
    /// The end of a handshake.
    #[cfg(feature = "tls")]
    Handshake,
    /// The streams that it carries.
    #[cfg(feature = "http2")]
    Streams,
}

/// The work of one step so far.
struct Turn {
    token: Token,
    role: Role,
    requests: u32,
    /// The connection that carries the stream, held while it is given bytes; see [`hold`](HttpConnection::hold).
    #[cfg(feature = "http2")]
    carrier: Option<Held>,
    /// The stream has given it bytes since its last step here.
    #[cfg(feature = "http2")]
    gave: bool,
    /// The last request of this step took so little time that its response may wait for the next one.
    is_quick: bool,
}

/// News of input that nothing reads, before the poller is asked to be silent about it.
const MAX_UNHEARD: u8 = 8;

impl scheduler::Connection for HttpConnection {
    type Workspace = Workspace;

    fn step(&mut self, news: News, work: &mut Workspace) -> Step {
        self.heard |= news.edges;
        if news.edges.contains(Edges::EXPIRED) {
            // Worth a try: the poller reports room only when there is much of it.
            self.heard |= Edges::WRITABLE;
        }
        work.reset();
        self.begin_carried_turn(news.edges);
        if let Some(unsent) = self.unsent.take() {
            work.output = *unsent;
        }
        let mut turn = Turn {
            token: news.token,
            role: news.role,
            requests: 0,
            #[cfg(feature = "http2")]
            carrier: None,
            #[cfg(feature = "http2")]
            gave: false,
            is_quick: false,
        };
        let step = self.go(&mut turn, work, news.edges);
        if !matches!(step, Step::Lend { .. }) {
            self.heard.remove(Edges::EXPIRED);
        }
        work.input.store(&mut self.input);
        if !work.output.is_empty() {
            self.unsent = Some(Box::new(std::mem::take(&mut work.output)));
        }
        self.end_carried_turn(&mut turn, work, step);
        step
    }

    fn interest(&self) -> Interest {
        self.interest
    }

    fn rest(&self) -> u8 {
        let rest = match &self.state {
            #[cfg(feature = "websocket")]
            State::Speaking(speaking) if speaking.is_closing() => Rests::Closing,
            #[cfg(feature = "websocket")]
            State::Speaking(_) => Rests::Speaking,
            _ if self.unsent.is_some() => Rests::Sending,
            State::Idle => Rests::Idle,
            State::Head { .. } | State::Introduction(_) => Rests::Head,
            State::Body(_) => Rests::Body,
            State::Parked(..) => Rests::Parked,
            State::Sending(sending) if sending.is_push() => Rests::Pushing,
            State::Received(_) | State::Ready(_) | State::Sending(_) => Rests::Sending,
            State::Finishing(_) | State::Discarding { .. } | State::Lingering { .. } | State::Lost(_) => Rests::Closing,
            #[cfg(feature = "tls")]
            State::Greeting(_) | State::Handshaking { .. } | State::Misdirected { .. } => Rests::Handshake,
            #[cfg(feature = "http2")]
            State::Mux(mux) if mux.is_idle() => Rests::Idle,
            #[cfg(feature = "http2")]
            State::Mux(_) => Rests::Streams,
        };
        rest as u8
    }
}

impl AsFd for HttpConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.socket().expect("only connections on sockets are watched")
    }
}

impl HttpConnection {
    pub(super) fn new(transport: Transport, ends: Connection) -> Self {
        Self {
            transport,
            ends,
            state: State::Idle,
            input: Vec::new(),
            unsent: None,
            reader: None,
            requests: 0,
            heard: Edges::READABLE | Edges::WRITABLE,
            interest: Interest::INPUT,
            unheard: 0,
        }
    }

    /// Whether it waits for a request, of which a part may be there, for the end of a handshake, or for several
    /// requests; `idle_only`: whether it waits without a deadline for the part that is missing.
    pub(super) fn waits_for_request(&self, idle_only: bool) -> bool {
        match self.state {
            State::Idle => true,
            State::Head { .. } | State::Introduction(_) => !idle_only,
            #[cfg(feature = "tls")]
            State::Greeting(_) | State::Handshaking { .. } | State::Misdirected { .. } => !idle_only,
            _ => self.is_mux(),
        }
    }

    /// Whether it carries streams.
    pub(super) fn is_mux(&self) -> bool {
        #[cfg(feature = "http2")]
        return matches!(self.state, State::Mux(_));
        #[cfg(not(feature = "http2"))]
        false
    }

    /// Says before a close without a request that it is a regular one.
    pub(super) fn take_leave(&mut self) {
        self.transport.take_leave();
    }

    /// Whether it is between two requests, and nothing of either is left here.
    pub(super) fn is_silent(&self) -> bool {
        let is_idle = match &self.state {
            State::Idle => true,
            #[cfg(feature = "http2")]
            State::Mux(mux) => mux.is_idle(),
            _ => false,
        };
        is_idle && self.input.is_empty() && self.unsent.is_none()
    }

    /// Whether it holds a request that waits for something else than its client.
    pub(super) fn is_parked(&self) -> bool {
        matches!(self.state, State::Parked(..))
    }

    /// Whether code of the application must still be told of its end.
    pub(super) fn owes_an_end(&self) -> bool {
        #[cfg(feature = "websocket")]
        if matches!(self.state, State::Speaking(_)) {
            return true;
        }
        self.in_flight().is_some()
    }

    /// Lets a parked request look again that waits since its client asked for it; false if there is none.
    pub(super) fn ends_wanted_wait(&mut self) -> bool {
        let parked = match &self.state {
            State::Parked(..) => self.in_flight().and_then(|exchange| exchange.course.parked.as_ref()),
            _ => None,
        };
        let is_wanted = parked.is_some_and(|parked| parked.wait.is_wanted());
        if is_wanted {
            self.heard |= Edges::WOKEN;
        }
        is_wanted
    }

    /// The memory that its transport holds.
    #[cfg(all(test, feature = "tls"))]
    pub(super) fn held(&self) -> usize {
        self.transport.held()
    }

    /// Whether there are received bytes that are unread.
    pub(super) fn has_input(&self) -> bool {
        self.transport.has_input()
    }

    /// The request that is being answered.
    pub(super) fn in_flight(&self) -> Option<&Exchange> {
        match &self.state {
            State::Received(exchange) | State::Parked(Parked::BeforeBody(exchange), _) => Some(exchange),
            State::Body(reading) => Some(&reading.request.exchange),
            State::Ready(request) | State::Parked(Parked::BeforeHandler(request), _) => Some(&request.exchange),
            State::Sending(sending) => Some(&sending.request.exchange),
            State::Lost(Some(undelivered)) => Some(&undelivered.exchange),
            _ => self.unsent.as_ref()?.answered.front().map(|answered| &*answered.exchange),
        }
    }

    /// Goes through the states until the step ends. The one place that stores a state, and that loses a connection.
    fn go(&mut self, turn: &mut Turn, work: &mut Workspace, edges: Edges) -> Step {
        let mut state = std::mem::take(&mut self.state);
        let mut then = match &state {
            _ if turn.role == Role::Undertaker => Then::Lost,
            State::Lost(_) => Then::Lost,
            #[cfg(feature = "websocket")]
            State::Speaking(speaking) => speaking.outset(),
            State::Sending(sending) => self.flush(turn, work, Some(sending)),
            // It reads on while output waits.
            #[cfg(feature = "http2")]
            State::Mux(_) => Then::Go,
            _ => self.flush(turn, work, None),
        };
        let step = loop {
            match then {
                Then::Go => (state, then) = self.advance(turn, work, state),
                Then::Stop(step) if self.listens(turn, work, edges, step) => break step,
                Then::Stop(_) | Then::Lost => {
                    let step;
                    (state, step) = self.lose(turn, work, state);
                    break step;
                }
            }
        };
        self.state = state;
        step
    }

    fn advance(&mut self, turn: &mut Turn, work: &mut Workspace, state: State) -> Next {
        match state {
            State::Idle => self.await_head(turn, work, 0, None),
            State::Introduction(introduction) => self.await_introduction(work, introduction),
            State::Head { searched, deadline } => self.await_head(turn, work, searched, Some(deadline)),
            State::Received(exchange) => self.received(turn, work, exchange),
            State::Body(reading) => self.read_body(turn, work, reading),
            State::Ready(request) => self.run(turn, work, *request),
            State::Parked(parked, deadline) => self.parked(turn, work, parked, deadline),
            State::Sending(sending) => self.send(turn, work, sending),
            State::Finishing(after) => self.finish(turn, work, after),
            State::Discarding { decoder, left, deadline } => self.discard(turn, work, decoder, left, deadline),
            State::Lingering { deadline } => self.linger(work, deadline),
            State::Lost(undelivered) => (State::Lost(undelivered), Then::Lost),
            #[cfg(feature = "websocket")]
            State::Speaking(speaking) => self.speak(turn, work, speaking),
            #[cfg(feature = "tls")]
            State::Greeting(greeting) => self.await_hello(turn, work, greeting),
            #[cfg(feature = "tls")]
            State::Handshaking { deadline } => self.shake_hands(turn, work, deadline),
            #[cfg(feature = "tls")]
            State::Misdirected { searched, deadline } => self.misdirected(turn, work, searched, deadline),
            #[cfg(feature = "http2")]
            State::Mux(mux) => self.multiplex(turn, work, mux),
        }
    }

    /// While a request is parked or a client does not read, each byte that it sends would call a worker for nothing.
    /// After a few such bytes the poller is silent about input, until the bytes so far have been read. False when the
    /// poller fails.
    fn listens(&mut self, turn: &Turn, work: &Workspace, edges: Edges, step: Step) -> bool {
        let has_input = self.heard.contains(Edges::READABLE);
        if !(has_input || self.unheard > 0) || !matches!(step, Step::Wait { .. }) {
            return true;
        }
        if !has_input {
            self.unheard = 0;
        } else if edges.contains(Edges::READABLE) {
            self.unheard = self.unheard.saturating_add(1);
        }
        let interest = Interest { input: self.unheard < MAX_UNHEARD, ..self.interest };
        interest == self.interest || self.watch(turn, work, interest)
    }

    /// Changes the reports of the poller; false when it cannot, and the connection is of no more use.
    fn watch(&mut self, turn: &Turn, work: &Workspace, interest: Interest) -> bool {
        self.interest = interest;
        let Some(socket) = self.transport.socket() else { return true };
        let watched = work.shared.scheduler.poller.watch(socket, turn.token, interest);
        if let Err(error) = &watched {
            crate::line::record!(Warn, "a connection cannot be watched any more: {error}");
        }
        watched.is_ok()
    }
}
