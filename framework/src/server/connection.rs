//! One HTTP connection: from bytes to a request, from a response to bytes, and what comes after.
//!
//! ```text
//!            bytes               head complete               body complete
//!   Idle ─────────► Head ───┬──────────────────► Body ───────────────────► run ──► respond ──► Idle
//!                           │ ▲                                            │ ▲        │
//!                           │ └─► Parked                                   ▼ │        ├─► Sending (large, or a stream)
//!                           └─► Received (no worker yet)                Parked        ├─► Discarding (unread body)
//!   Ready: the body is there, no worker yet                                           └─► Lingering ──► closed
//! ```
//!
//! A connection is a value that one thread at a time may step. It never waits: when it can go no further, the step
//! ends and says what it waits for. Output that the socket would not take is kept apart from the state: while
//! there is some, nothing else happens. Here are the states up to the call of the
//! service; `respond.rs` sends the response, `farewell.rs` has what comes after.

use super::body_reading::BodyReading;
use super::body_stream::{BodyStream, StreamHandle};
use super::clock::Tick;
use super::poll::Interest;
use super::respond::{After, Sending};
use super::scheduler::{self, News, Phase, Role, Step, panic_text};
use super::slab::Token;
use super::unread::Unread;
use super::waker::ParkWaker;
use super::word::Edges;
use super::workspace::{Output, Shared, Workspace};
use super::{BodyPlan, Progress, Wakers};
use crate::exchange::{Connection, Exchange, RequestBody, RequestId};
use crate::http::{BodyDecoder, BodyLimits, CONTINUE, Framing, Refusal};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct HttpConnection {
    pub(super) socket: OwnedFd,
    pub(super) ends: Connection,
    pub(super) state: State,
    /// Received and not used yet. Empty, without memory, between requests.
    pub(super) input: Vec<u8>,
    /// What the socket would not take yet.
    pub(super) unsent: Option<Box<Output>>,
    /// The client as a reader, once the socket would not take all of what is on its way.
    pub(super) reader: Option<Box<Unread>>,
    pub(super) requests: u64,
    /// There may be something to read.
    pub(super) readable: bool,
    /// There may be room to write.
    pub(super) writable: bool,
    /// What the poller reports.
    pub(super) interest: Interest,
    /// How often news of input came that nobody wanted to read.
    unheard: u8,
    /// The peer has ended its side: a short read no longer shows that nothing is left.
    half_closed: bool,
    pub(super) gone: bool,
    woken: bool,
    pub(super) expired: bool,
    /// The client is lost; the service has not been told yet.
    pub(super) lost: bool,
    /// The last request on this connection took less than [`FAST`].
    fast: bool,
}

#[derive(Default)]
pub(super) enum State {
    /// Between requests.
    #[default]
    Idle,
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
}

/// A request that the service has started.
pub(super) struct InFlight {
    pub(super) exchange: Box<Exchange>,
    pub(super) rest: Rest,
}

/// A request that waits, and what it goes on with.
pub(super) enum Parked {
    BeforeBody(Box<Exchange>),
    BeforeHandler(Box<InFlight>),
}

impl Parked {
    fn exchange(&self) -> &Exchange {
        match self {
            Self::BeforeBody(exchange) => exchange,
            Self::BeforeHandler(request) => &request.exchange,
        }
    }

    pub(super) fn into_exchange(self) -> Box<Exchange> {
        match self {
            Self::BeforeBody(exchange) => exchange,
            Self::BeforeHandler(request) => request.exchange,
        }
    }
}

/// What has not been read of a request body.
pub(super) enum Rest {
    Nothing,
    /// Nobody has read it.
    Unread {
        /// Apart, since most requests have none and all are moved.
        decoder: Box<BodyDecoder>,
        /// The client may not even send it.
        expected: bool,
    },
    /// The service reads it.
    Stream(StreamHandle),
}

/// What one step has done so far.
pub(super) struct Turn {
    pub(super) token: Token,
    pub(super) role: Role,
    requests: u32,
}

/// Whether the step goes on with the state that was left.
pub(super) enum Flow {
    Go,
    Stop(Step),
}

/// Requests that are answered on one connection before the others have their turn.
const MAX_IN_A_ROW: u32 = 16;
/// Responses wait for each other in the output up to this.
const MAX_COLLECTED: usize = 64 * 1024;
/// A response may wait for the next one to the same page if it was made in less time than this.
const FAST: Duration = Duration::from_micros(100);
/// News of input that nobody wants to read, before the poller is asked to be silent about it.
const MAX_UNHEARD: u8 = 8;

impl scheduler::Connection for HttpConnection {
    type Workspace = Workspace;

    fn step(&mut self, news: News, work: &mut Workspace) -> Step {
        self.note(news.edges);
        work.reset();
        if let Some(unsent) = self.unsent.take() {
            work.output = *unsent;
        }
        let mut turn = Turn { token: news.token, role: news.role, requests: 0 };
        let mut step = self.go(&mut turn, work);
        if (self.readable || self.unheard > 0) && matches!(step, Step::Wait { .. }) {
            step = self.listen(&turn, work, news.edges, step);
        }
        self.expired = self.expired && matches!(step, Step::Lend { .. });
        work.input.store(&mut self.input);
        if !work.output.is_empty() {
            self.unsent = Some(Box::new(std::mem::take(&mut work.output)));
        }
        step
    }

    fn interest(&self) -> Interest {
        self.interest
    }
}

impl AsFd for HttpConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl HttpConnection {
    pub(super) fn new(socket: OwnedFd, ends: Connection) -> Self {
        Self {
            socket,
            ends,
            state: State::Idle,
            input: Vec::new(),
            unsent: None,
            reader: None,
            requests: 0,
            readable: true,
            writable: true,
            interest: Interest::INPUT,
            unheard: 0,
            half_closed: false,
            gone: false,
            woken: false,
            expired: false,
            lost: false,
            fast: false,
        }
    }

    /// Whether it is between two requests, and nothing of either is left here.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.state, State::Idle) && self.input.is_empty() && self.unsent.is_none()
    }

    /// The request that is being answered.
    pub(super) fn in_flight(&self) -> Option<&Exchange> {
        match &self.state {
            State::Received(exchange) => Some(exchange),
            State::Body(reading) => Some(&reading.request.exchange),
            State::Ready(request) => Some(&request.exchange),
            State::Parked(parked, _) => Some(parked.exchange()),
            State::Sending(sending) => Some(&sending.exchange),
            _ => self.unsent.as_ref()?.answered.front().map(|answered| &*answered.exchange),
        }
    }

    /// Remembers news until they are of use.
    fn note(&mut self, edges: Edges) {
        self.readable |= edges.contains(Edges::READABLE);
        // At a deadline it is worth a try: the poller reports room only when there is much of it.
        self.writable |= edges.contains(Edges::WRITABLE) || edges.contains(Edges::EXPIRED);
        self.half_closed |= edges.contains(Edges::HALF_CLOSED);
        self.gone |= edges.contains(Edges::GONE);
        self.woken |= edges.contains(Edges::WOKEN);
        self.expired |= edges.contains(Edges::EXPIRED);
    }

    /// While a request is parked or a client does not read, each byte that it sends would call a worker in vain. After a few such
    /// bytes the poller is silent about input, until what is there has been read.
    fn listen(&mut self, turn: &Turn, work: &mut Workspace, edges: Edges, step: Step) -> Step {
        if !self.readable {
            self.unheard = 0;
        } else if edges.contains(Edges::READABLE) {
            self.unheard = self.unheard.saturating_add(1);
        }
        let interest = Interest { input: self.unheard < MAX_UNHEARD, ..self.interest };
        if interest == self.interest || self.watch(turn, work, interest) { step } else { self.lose(turn, work) }
    }

    /// Changes what the poller reports; false when it cannot, and the connection is of no more use.
    pub(super) fn watch(&mut self, turn: &Turn, work: &Workspace, interest: Interest) -> bool {
        self.interest = interest;
        let watched = work.shared.scheduler.poller.watch(&self.socket, turn.token, interest);
        if let Err(error) = &watched {
            crate::line::record!(Warn, "a connection cannot be watched any more: {error}");
        }
        watched.is_ok()
    }

    fn go(&mut self, turn: &mut Turn, work: &mut Workspace) -> Step {
        if self.lost || turn.role == Role::Undertaker {
            return self.lose(turn, work);
        }
        if let Flow::Stop(step) = self.flush(turn, work) {
            return step;
        }
        loop {
            let flow = match std::mem::take(&mut self.state) {
                State::Idle => self.await_head(turn, work, 0, None),
                State::Head { searched, deadline } => self.await_head(turn, work, searched, Some(deadline)),
                State::Received(exchange) => self.received(turn, work, exchange),
                State::Body(reading) => self.read_body(turn, work, reading),
                State::Ready(request) => self.run(turn, work, *request),
                State::Parked(parked, deadline) => self.parked(turn, work, parked, deadline),
                State::Sending(sending) => self.send(turn, work, sending),
                State::Finishing(after) => self.finish(turn, work, after),
                State::Discarding { decoder, left, deadline } => self.discard(turn, work, decoder, left, deadline),
                State::Lingering { deadline } => self.linger(work, deadline),
            };
            if let Flow::Stop(step) = flow {
                return step;
            }
        }
    }

    fn await_head(&mut self, turn: &mut Turn, work: &mut Workspace, mut searched: usize, since: Option<Tick>) -> Flow {
        work.input.load(&mut self.input);
        let phase = work.shared.scheduler.phase();
        // One last look: a request that was on its way when draining began is answered.
        self.readable |= phase >= Phase::Closing;
        loop {
            if !work.input.is_empty() {
                if turn.requests >= MAX_IN_A_ROW {
                    self.state = State::Idle;
                    return match self.flush(turn, work) {
                        Flow::Go => Flow::Stop(Step::Again),
                        stop @ Flow::Stop(_) => stop,
                    };
                }
                let mut exchange = work.exchange();
                match exchange.request.head.read(work.input.bytes(), &mut searched, &work.shared.settings.head) {
                    Ok(Some(length)) => {
                        work.input.consume(length);
                        return self.accept(turn, work, exchange);
                    }
                    Ok(None) => work.put_back(exchange),
                    Err(refusal) => {
                        if turn.role != Role::Worker {
                            work.put_back(exchange);
                            self.state = State::Head { searched: 0, deadline: work.shared.scheduler.clock.now() };
                            return Flow::Stop(Step::Lend { refusable: false });
                        }
                        self.identify(&mut exchange);
                        return self.refuse(turn, work, exchange, Rest::Nothing, &refusal);
                    }
                }
            }
            // Finished responses do not wait for more input.
            self.state = if work.input.is_empty() {
                State::Idle
            } else {
                let scheduler = &work.shared.scheduler;
                let deadline = since.unwrap_or_else(|| scheduler.clock.now().after(work.shared.settings.head_timeout));
                State::Head { searched, deadline }
            };
            if let stop @ Flow::Stop(_) = self.flush(turn, work) {
                return stop;
            }
            match self.fill(work) {
                Fill::Some => {}
                Fill::End => return Flow::Stop(Step::Close),
                Fill::Nothing => return self.wait_for_head(turn, work, phase),
            }
        }
    }

    fn wait_for_head(&mut self, turn: &mut Turn, work: &mut Workspace, phase: Phase) -> Flow {
        if phase >= Phase::Closing {
            return Flow::Stop(Step::Close);
        }
        match self.state {
            // The first bytes may have come together with the expiry of the idle connection.
            State::Head { deadline, .. } if self.expired && deadline.has_passed(work.shared.scheduler.clock.now()) => {
                if turn.role != Role::Worker {
                    return Flow::Stop(Step::Lend { refusable: false });
                }
                let mut exchange = work.exchange();
                exchange.request.head.recognise(work.input.bytes());
                self.identify(&mut exchange);
                let refusal = Refusal::TooSlow { setting: "server.head_timeout" };
                self.refuse(turn, work, exchange, Rest::Nothing, &refusal)
            }
            State::Head { deadline, .. } => Flow::Stop(Step::Wait { deadline: Some(deadline), idle: false }),
            _ if self.expired => Flow::Stop(Step::Close),
            _ => {
                let deadline = work.shared.scheduler.clock.coarse().after(work.shared.settings.idle_timeout);
                Flow::Stop(Step::Wait { deadline: Some(deadline), idle: true })
            }
        }
    }

    /// A head is complete.
    fn accept(&mut self, turn: &mut Turn, work: &mut Workspace, mut exchange: Box<Exchange>) -> Flow {
        self.identify(&mut exchange);
        exchange.request.client.turn_to(turn.token.bits(), || work.shared.watched());
        self.requests += 1;
        turn.requests += 1;
        self.received(turn, work, exchange)
    }

    fn identify(&self, exchange: &mut Exchange) {
        exchange.request.connection = self.ends;
        exchange.request.id = RequestId::next();
        exchange.request.received = Some(Instant::now());
    }

    fn received(&mut self, turn: &mut Turn, work: &mut Workspace, exchange: Box<Exchange>) -> Flow {
        match turn.role {
            Role::Worker | Role::Undertaker => self.begin(turn, work, exchange),
            Role::Attendant => {
                self.state = State::Received(exchange);
                Flow::Stop(Step::Lend { refusable: true })
            }
            Role::Refuser => self.refuse(turn, work, exchange, Rest::Nothing, &Refusal::Overloaded),
        }
    }

    /// Asks the service what becomes of the body.
    fn begin(&mut self, turn: &mut Turn, work: &mut Workspace, mut exchange: Box<Exchange>) -> Flow {
        work.input.load(&mut self.input);
        let id = exchange.request.id;
        let wakers = ConnectionWakers { shared: &work.shared, token: turn.token };
        let Some(plan) = guarded(id, || work.shared.service.start(&mut exchange, &wakers)) else {
            return self.fail(turn, work, exchange, Rest::Nothing);
        };
        if let BodyPlan::Park { deadline } = plan {
            return self.park(turn, work, Parked::BeforeBody(exchange), deadline);
        }
        let framing = exchange.request.head.framing();
        if matches!(framing, Framing::None | Framing::Length(0)) {
            return self.run(turn, work, InFlight { exchange, rest: Rest::Nothing });
        }
        // The client waits for a sign only if it has not begun to send (RFC 9110, section 10.1.1).
        let expected = exchange.request.head.expects_continue() && work.input.is_empty();
        let limit = match plan {
            BodyPlan::Read { limit, .. } | BodyPlan::Stream { limit } => limit,
            BodyPlan::Discard | BodyPlan::Park { .. } => u64::MAX,
        };
        let decoder = match BodyDecoder::new(framing, BodyLimits::new(limit)) {
            Ok(decoder) => Box::new(decoder),
            Err(refusal) => {
                // Without a limit the announced length is accepted, so this decoder only stands for "something unread".
                let rest = match BodyDecoder::new(framing, BodyLimits::new(u64::MAX)) {
                    Ok(decoder) => Rest::Unread { decoder: Box::new(decoder), expected },
                    Err(_) => Rest::Nothing,
                };
                return self.refuse(turn, work, exchange, rest, &refusal);
            }
        };
        let budgets = &work.shared.budgets;
        match plan {
            BodyPlan::Read { memory, .. } => {
                // A body that is known to be large needs no memory on its way to its file.
                let announced = decoder.remaining();
                let (budget, memory) = match announced {
                    Some(length) if length > memory => (&budgets.disk, 0),
                    _ => (&budgets.memory, memory),
                };
                if !budget.has_room_for(announced.unwrap_or(1)) {
                    let refusal = budget.refuse_body();
                    return self.refuse(turn, work, exchange, Rest::Unread { decoder, expected }, &refusal);
                }
                let charge = budgets.memory.charge();
                if expected {
                    work.output.bytes.extend_from_slice(CONTINUE);
                }
                let request = InFlight { exchange, rest: Rest::Unread { decoder, expected: false } };
                let pace = work.shared.settings.body_pace();
                self.read_body(turn, work, Box::new(BodyReading::new(request, memory, pace, charge)))
            }
            BodyPlan::Discard | BodyPlan::Park { .. } => {
                self.run(turn, work, InFlight { exchange, rest: Rest::Unread { decoder, expected } })
            }
            BodyPlan::Stream { .. } => {
                let mut charge = budgets.memory.charge();
                if !charge.resize(BodyStream::MEMORY) {
                    let refusal = budgets.memory.refuse_body();
                    return self.refuse(turn, work, exchange, Rest::Unread { decoder, expected }, &refusal);
                }
                match BodyStream::open(self, work, *decoder, expected, charge) {
                    Ok((reader, handle)) => {
                        exchange.request.body = RequestBody::Stream(reader);
                        self.run(turn, work, InFlight { exchange, rest: Rest::Stream(handle) })
                    }
                    Err(error) => {
                        crate::line::record!(Error, "request {id}: the connection cannot be read as a stream: {error}");
                        self.fail(turn, work, exchange, Rest::Nothing)
                    }
                }
            }
        }
    }

    /// Lets the service make the response.
    pub(super) fn run(&mut self, turn: &mut Turn, work: &mut Workspace, mut request: InFlight) -> Flow {
        if turn.role != Role::Worker {
            request.exchange.waited = true;
            self.state = State::Ready(Box::new(request));
            return Flow::Stop(Step::Lend { refusable: false });
        }
        if !work.output.is_empty() && !self.collects(work, &request) {
            // Its client may take its time with what is in the output.
            request.exchange.waited = true;
            self.state = State::Ready(Box::new(request));
            if let stop @ Flow::Stop(_) = self.flush(turn, work) {
                return stop;
            }
            let State::Ready(kept) = std::mem::take(&mut self.state) else {
                unreachable!("flush leaves the state alone");
            };
            request = *kept;
        }
        let received = request.exchange.request.received.unwrap_or_else(Instant::now);
        let began = work.shared.scheduler.clock.tick(received);
        work.record().begin(&request.exchange.request.head, began);
        let id = request.exchange.request.id;
        let wakers = ConnectionWakers { shared: &work.shared, token: turn.token };
        let progress = guarded(id, || work.shared.service.run(&mut request.exchange, &wakers));
        work.record().finish();
        match progress {
            Some(Progress::Done) => {
                // Only of interest when there is more to answer.
                if !work.input.is_empty() || !self.input.is_empty() {
                    self.fast = received.elapsed() < FAST;
                }
                self.respond(turn, work, request, false)
            }
            Some(Progress::Park { deadline }) => {
                self.park(turn, work, Parked::BeforeHandler(Box::new(request)), deadline)
            }
            None => self.fail(turn, work, request.exchange, request.rest),
        }
    }

    /// Whether earlier responses may wait for this one, to leave in the same write. Only if it can be expected to be quick,
    /// since the last one was, and asked for the same page.
    fn collects(&self, work: &Workspace, request: &InFlight) -> bool {
        let Some(last) = work.output.answered.back() else { return false };
        let (last, next) = (&last.exchange.request.head, &request.exchange.request.head);
        self.fast
            && last.path() == next.path()
            && last.method() == next.method()
            && work.output.bytes.len() < MAX_COLLECTED
            && !matches!(request.rest, Rest::Stream(_))
    }

    fn park(&mut self, turn: &mut Turn, work: &mut Workspace, parked: Parked, deadline: Option<Instant>) -> Flow {
        let clock = work.shared.scheduler.clock;
        let deadline = deadline.map(|moment| clock.deadline(moment));
        self.fast = false;
        self.woken = false;
        self.state = State::Parked(parked, deadline);
        match self.flush(turn, work) {
            Flow::Go => Flow::Stop(Step::Wait { deadline, idle: false }),
            stop @ Flow::Stop(_) => stop,
        }
    }

    /// A parked request has news; perhaps not what it waits for.
    fn parked(&mut self, turn: &mut Turn, work: &mut Workspace, parked: Parked, deadline: Option<Tick>) -> Flow {
        if self.gone {
            self.state = State::Parked(parked, deadline);
            return Flow::Stop(self.lose(turn, work));
        }
        if !self.woken && !self.expired {
            self.state = State::Parked(parked, deadline);
            return Flow::Stop(Step::Wait { deadline, idle: false });
        }
        if turn.role != Role::Worker {
            self.state = State::Parked(parked, deadline);
            return Flow::Stop(Step::Lend { refusable: false });
        }
        (self.woken, self.expired) = (false, false);
        match parked {
            Parked::BeforeBody(exchange) => self.begin(turn, work, exchange),
            Parked::BeforeHandler(request) => self.run(turn, work, *request),
        }
    }

    /// The request breaks a rule: the service makes the answer, and the connection ends.
    pub(super) fn refuse(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        mut exchange: Box<Exchange>,
        rest: Rest,
        refusal: &Refusal,
    ) -> Flow {
        self.expired = false;
        let id = exchange.request.id;
        exchange.response.clear();
        if guarded(id, || work.shared.service.refuse(&mut exchange, refusal)).is_none() {
            exchange.response.clear();
            exchange.response.set_status(refusal.status());
        }
        if *refusal == Refusal::Overloaded {
            work.shared.scheduler.rejections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        if let Some(seconds) = refusal.retry_after()
            && exchange.response.header(&::http::header::RETRY_AFTER).is_none()
        {
            exchange.response.set_header(::http::header::RETRY_AFTER, ::http::HeaderValue::from_static(seconds));
        }
        self.respond(turn, work, InFlight { exchange, rest }, true)
    }

    /// The service panicked, or the server itself cannot go on: 500.
    pub(super) fn fail(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        mut exchange: Box<Exchange>,
        rest: Rest,
    ) -> Flow {
        exchange.response.clear();
        exchange.response.set_status(::http::StatusCode::INTERNAL_SERVER_ERROR);
        exchange.response.default_content_type("text/plain; charset=utf-8");
        exchange.response.set_body("500 Internal Server Error\n");
        self.respond(turn, work, InFlight { exchange, rest }, true)
    }

    /// Reads as much as there is room for.
    pub(super) fn fill(&mut self, work: &mut Workspace) -> Fill {
        while self.readable {
            let room = work.input.room();
            let most = room.len();
            match recv(&self.socket, room, RecvFlags::empty()) {
                Ok((0, _)) => return Fill::End,
                Ok((length, _)) => {
                    // A short read has emptied the socket, unless an end of input is queued behind it.
                    self.readable = length == most || self.half_closed;
                    work.input.extend(length);
                    return Fill::Some;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.readable = false,
                Err(_) => return Fill::End,
            }
        }
        Fill::Nothing
    }
}

/// What a read brought.
pub(super) enum Fill {
    Some,
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    End,
}

/// Makes wakers for the connection with this token.
struct ConnectionWakers<'a> {
    shared: &'a Arc<Shared>,
    token: Token,
}

impl Wakers for ConnectionWakers<'_> {
    fn waker(&self) -> std::task::Waker {
        ParkWaker::waker(self.shared, self.token)
    }
}

/// Calls the service; `None` when it panicked, which is logged. The service catches panics of the application itself; this is
/// the net below it.
pub(super) fn guarded<T>(id: RequestId, call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|payload| {
            crate::line::record!(Error, "request {id}: panic: {}", panic_text(&*payload));
            // Its drop could panic in its turn.
            std::mem::forget(payload);
        })
        .ok()
}
