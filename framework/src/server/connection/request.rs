//! A request whose head is there: the service starts it, parks it, runs it, refuses it. The response leaves by
//! `respond.rs`.

use super::body_reading::BodyReading;
use super::body_stream::BodyStream;
use super::respond::Verdict;
use super::{HttpConnection, InFlight, Next, Parked, Rest, State, Then, Turn};
use crate::exchange::{
    BodyPlan, Doing, Exchange, Progress, RequestBody, RequestId, Spent, Wakers, WhenBusy, WorkerStage,
};
use crate::http::{BodyDecoder, BodyLimits, CONTINUE, Framing, Refusal};
use crate::server::clock::Tick;
use crate::server::panics;
use crate::server::scheduler::{Role, Step};
use crate::server::slab::Token;
use crate::server::transport::Transport;
use crate::server::waker::ParkWaker;
use crate::server::word::Edges;
use crate::server::workspace::{Shared, Workspace};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Responses wait for each other in the output up to this.
const MAX_COLLECTED: usize = 64 * 1024;
/// A response may wait for the next one to the same page if it was made in less time than this.
const QUICK: Duration = Duration::from_micros(100);

impl HttpConnection {
    pub(super) fn received(&mut self, turn: &mut Turn, work: &mut Workspace, exchange: Box<Exchange>) -> Next {
        match turn.role {
            Role::Worker | Role::Undertaker => self.begin(turn, work, exchange),
            Role::Attendant | Role::Aside => self.receive_when_busy(turn, work, exchange),
            Role::Refuser => self.refuse(turn, work, InFlight::without_body(exchange), &Refusal::Overloaded),
        }
    }

    /// No worker is free: asks the service whether the request needs one.
    fn receive_when_busy(&mut self, turn: &mut Turn, work: &mut Workspace, mut exchange: Box<Exchange>) -> Next {
        let has_body = !matches!(exchange.request.head.framing(), Framing::None | Framing::Length(0));
        let id = exchange.request.id;
        let ask = || work.shared.service.when_busy(&mut exchange);
        match if has_body { None } else { guarded(id, ask) } {
            Some(WhenBusy::Answered) => self.respond(turn, work, InFlight::without_body(exchange), Verdict::Probed),
            Some(WhenBusy::Aside(_)) if turn.role == Role::Aside => {
                exchange.is_aside = true;
                self.begin(turn, work, exchange)
            }
            Some(WhenBusy::Aside(asker)) => {
                Spent::turn(&mut exchange, Doing::Queue);
                (State::Received(exchange), Then::Stop(Step::Aside(asker)))
            }
            Some(WhenBusy::Queue) | None => {
                Spent::turn(&mut exchange, Doing::Queue);
                (State::Received(exchange), Then::Stop(Step::Lend { refusable: true }))
            }
        }
    }

    /// Asks the service for the plan for the body.
    fn begin(&mut self, turn: &mut Turn, work: &mut Workspace, mut exchange: Box<Exchange>) -> Next {
        work.input.load(&mut self.input);
        Spent::turn_if_noted(&mut exchange, Doing::Worker);
        let wakers = ConnectionWakers { transport: &self.transport, shared: &work.shared, token: turn.token };
        let record = work.record();
        record.begin(&exchange, began(work, &exchange), WorkerStage::Hooks);
        let started = guarded(exchange.request.id, || work.shared.service.start(&mut exchange, &wakers));
        work.record().finish();
        let Some(plan) = started else { return self.fail(turn, work, InFlight::without_body(exchange)) };
        if turn.role == Role::Aside && !exchange.is_decided() {
            // It is a page like any other: its handler may wait.
            (exchange.waited, exchange.is_aside) = (true, false);
            Spent::turn(&mut exchange, Doing::Queue);
            return (State::Received(exchange), Then::Stop(Step::Lend { refusable: true }));
        }
        if let BodyPlan::Park { deadline } = plan {
            return self.park(turn, work, Parked::BeforeBody(exchange), deadline);
        }
        let framing = exchange.request.head.framing();
        if matches!(framing, Framing::None | Framing::Length(0)) {
            return self.run(turn, work, InFlight::without_body(exchange));
        }
        // The client waits for a sign only if it has not begun to send (RFC 9110, section 10.1.1).
        let expected = exchange.request.head.expects_continue() && work.input.is_empty();
        let unread = |decoder| Rest::Unread { decoder: Box::new(decoder), expected };
        let limit = match plan {
            BodyPlan::Read { limit, .. } | BodyPlan::Stream { limit } => limit,
            BodyPlan::Discard | BodyPlan::Park { .. } => u64::MAX,
        };
        match BodyDecoder::new(framing, BodyLimits::new(limit)) {
            Ok(decoder) => {
                let request = InFlight { exchange, rest: unread(decoder) };
                match plan {
                    BodyPlan::Read { memory, .. } => self.begin_body(turn, work, request, memory),
                    BodyPlan::Stream { .. } => self.open_body(turn, work, request),
                    BodyPlan::Discard | BodyPlan::Park { .. } => self.run(turn, work, request),
                }
            }
            Err(refusal) => {
                // Without a limit the announced length is accepted, so this decoder only stands for "something unread".
                let rest = BodyDecoder::new(framing, BodyLimits::new(u64::MAX)).map_or(Rest::Nothing, unread);
                self.refuse(turn, work, InFlight { exchange, rest }, &refusal)
            }
        }
    }

    /// The body is read before the request is run, up to `memory` bytes of it into memory.
    fn begin_body(&mut self, turn: &mut Turn, work: &mut Workspace, mut request: InFlight, memory: u64) -> Next {
        let Rest::Unread { decoder, expected } = &mut request.rest else { return self.run(turn, work, request) };
        let budgets = &work.shared.budgets;
        // A body that is known to be large needs no memory on its way to its file.
        let announced = decoder.remaining();
        let (budget, memory) = match announced {
            Some(length) if length > memory => (&budgets.disk, 0),
            _ => (&budgets.memory, memory),
        };
        if !budget.has_room_for(announced.unwrap_or(1)) {
            let refusal = budget.refuse_body();
            return self.refuse(turn, work, request, &refusal);
        }
        if std::mem::take(expected) && !self.transport.asks_for_body() {
            work.output.bytes.extend_from_slice(CONTINUE);
        }
        let (pace, charge) = (work.shared.settings.body_pace(), budgets.memory.charge());
        self.read_body(turn, work, Box::new(BodyReading::new(request, memory, pace, charge)))
    }

    /// The handler reads the body itself.
    fn open_body(&mut self, turn: &mut Turn, work: &mut Workspace, request: InFlight) -> Next {
        let mut charge = work.shared.budgets.memory.charge();
        if !charge.resize(BodyStream::memory(self.transport.is_encrypted())) {
            let refusal = work.shared.budgets.memory.refuse_body();
            return self.refuse(turn, work, request, &refusal);
        }
        let InFlight { mut exchange, rest } = request;
        let Rest::Unread { decoder, expected } = rest else {
            return self.run(turn, work, InFlight { exchange, rest });
        };
        match BodyStream::open(self, work, *decoder, expected, charge) {
            Ok((reader, handle)) => {
                exchange.request.body = RequestBody::Stream(reader);
                self.run(turn, work, InFlight { exchange, rest: Rest::Stream(handle) })
            }
            Err(error) => {
                let id = exchange.request.id;
                crate::line::record!(Error, "request {id}: the connection cannot be read as a stream: {error}");
                self.fail(turn, work, InFlight::without_body(exchange))
            }
        }
    }

    /// Lets the service make the response.
    pub(super) fn run(&mut self, turn: &mut Turn, work: &mut Workspace, mut request: InFlight) -> Next {
        if !matches!(turn.role, Role::Worker | Role::Aside) {
            request.exchange.waited = true;
            Spent::turn(&mut request.exchange, Doing::Queue);
            return (State::Ready(Box::new(request)), Then::Stop(Step::Lend { refusable: false }));
        }
        Spent::turn_if_noted(&mut request.exchange, Doing::Worker);
        if !work.output.is_empty() && !collects(turn, work, &request) {
            // Its client may take its time with the output.
            request.exchange.waited = true;
            let then = self.flush(turn, work, None);
            if !then.is_go() {
                return (State::Ready(Box::new(request)), then);
            }
        }
        let since = || began(work, &request.exchange);
        work.record().go_on(&request.exchange, since, WorkerStage::Hooks);
        let wakers = ConnectionWakers { transport: &self.transport, shared: &work.shared, token: turn.token };
        let progress = guarded(request.exchange.request.id, || work.shared.service.run(&mut request.exchange, &wakers));
        work.record().finish();
        match progress {
            Some(Progress::Done) => {
                // Only of interest when there is more to answer.
                if !work.input.is_empty() || !self.input.is_empty() {
                    turn.is_quick = request.exchange.request.received().elapsed() < QUICK;
                }
                self.respond(turn, work, request, Verdict::Answered)
            }
            Some(Progress::Park { deadline }) => {
                self.park(turn, work, Parked::BeforeHandler(Box::new(request)), deadline)
            }
            None => self.fail(turn, work, request),
        }
    }

    fn park(&mut self, turn: &mut Turn, work: &mut Workspace, mut parked: Parked, deadline: Option<Instant>) -> Next {
        match &mut parked {
            Parked::BeforeBody(exchange) => Spent::turn(exchange, Doing::Parked),
            Parked::BeforeHandler(request) => Spent::turn(&mut request.exchange, Doing::Parked),
        }
        let clock = work.shared.scheduler.clock;
        let deadline = deadline.map(|moment| clock.deadline(moment));
        self.heard.remove(Edges::WOKEN);
        let then = match self.flush(turn, work, None) {
            Then::Go if self.is_lost_stream() => Then::Lost,
            Then::Go => Then::Stop(Step::Wait { deadline, idle: false }),
            then => then,
        };
        (State::Parked(parked, deadline), then)
    }

    /// A parked request has news; perhaps not the event that it waits for.
    pub(super) fn parked(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        parked: Parked,
        deadline: Option<Tick>,
    ) -> Next {
        let is_due = self.heard.contains(Edges::WOKEN) || self.heard.contains(Edges::EXPIRED);
        let then = match turn.role {
            _ if self.heard.contains(Edges::GONE) => Then::Lost,
            _ if !is_due => Then::Stop(Step::Wait { deadline, idle: false }),
            Role::Worker => {
                self.heard.remove(Edges::WOKEN | Edges::EXPIRED);
                return match parked {
                    Parked::BeforeBody(exchange) => self.begin(turn, work, exchange),
                    Parked::BeforeHandler(request) => self.run(turn, work, *request),
                };
            }
            _ => Then::Stop(Step::Lend { refusable: false }),
        };
        (State::Parked(parked, deadline), then)
    }

    /// The request breaks a rule: the service makes the answer, and the connection ends.
    pub(super) fn refuse(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        mut request: InFlight,
        refusal: &Refusal,
    ) -> Next {
        self.heard.remove(Edges::EXPIRED);
        let exchange = &mut request.exchange;
        exchange.response.clear();
        if guarded(exchange.request.id, || work.shared.service.refuse(exchange, refusal)).is_none() {
            exchange.response.clear();
            exchange.response.set_status(refusal.status());
        }
        if *refusal == Refusal::Overloaded {
            work.shared.scheduler.rejections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        self.respond(turn, work, request, Verdict::Refused)
    }

    /// The service panicked, or the server itself cannot go on: 500.
    fn fail(&mut self, turn: &mut Turn, work: &mut Workspace, mut request: InFlight) -> Next {
        let response = &mut request.exchange.response;
        response.clear();
        response.set_status(::http::StatusCode::INTERNAL_SERVER_ERROR);
        response.default_content_type("text/plain; charset=utf-8");
        response.set_body("500 Internal Server Error\n");
        self.respond(turn, work, request, Verdict::Refused)
    }
}

/// Whether earlier responses may wait for this one, to leave in the same write. Only if it can be expected to be quick,
/// since the last one was, and asked for the same page.
fn collects(turn: &Turn, work: &Workspace, request: &InFlight) -> bool {
    let Some(last) = work.output.answered.back() else { return false };
    let (last, next) = (&last.exchange.request.head, &request.exchange.request.head);
    turn.is_quick
        && last.path() == next.path()
        && last.method() == next.method()
        && work.output.bytes.len() < MAX_COLLECTED
        && !matches!(request.rest, Rest::Stream(_))
}

/// Since when the request is on its way, in milliseconds of the server's clock.
pub(super) fn began(work: &Workspace, exchange: &Exchange) -> u64 {
    work.shared.scheduler.clock.millis(exchange.request.received())
}

/// Makes wakers for the connection with this token, or for the one at this pipe.
pub(super) struct ConnectionWakers<'a> {
    pub(super) transport: &'a Transport,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) token: Token,
}

impl Wakers for ConnectionWakers<'_> {
    fn waker(&self) -> std::task::Waker {
        self.transport.waker().unwrap_or_else(|| ParkWaker::waker(self.shared, self.token))
    }
}

/// Calls the service; `None` when it panicked, which is logged. The service catches panics of the application itself;
/// this is the net below it.
pub(super) fn guarded<T>(id: RequestId, call: impl FnOnce() -> T) -> Option<T> {
    panics::guarded(|text| crate::line::record!(Error, "request {id}: panic: {text}"), call)
}
