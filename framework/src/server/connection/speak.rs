//! A conversation by WebSocket: what follows a 101.
//!
//! ```text
//!   New ──opened──► Open ──► Closing ──► lingering
//!                    │ ▲        ▲
//!      message ◄─────┘ │        └─ a close frame of either side, an error, a rule that is broken, the stop of the server
//!  (worker, one at a time)
//! ```
//!
//! Bytes, control frames and the end are any thread's; the application is called on workers. Nothing is read while a
//! message is handled, nor while the client does not take what is there for it. The deadlines are the slot's: a ping
//! that is due, a pong, a begun message, the client's close frame, the client as a reader.

mod calls;
mod due;
mod held;

use super::head::Fill;
use super::respond::After;
use super::send_push::NewsWakers;
use super::{HttpConnection, InFlight, Next, State, Then, Turn};
use crate::exchange::websocket::{
    Agreed, Bond, Change, Channel, CloseCode, Closed, Conversation, Farewell, Heard, Peer, Terms,
};
use crate::exchange::{Charge, Wakers};
use crate::http::websocket::{Decoder, Event, Opcode, frame_length, write_close, write_frame};
use crate::http::{Persistence, ResponseFraming, write_response_head};
use crate::server::clock::Tick;
use crate::server::conversation_counts::Counted;
use crate::server::patience::{Awaited, Pace};
use crate::server::scheduler::{Phase, Role, Step};
#[cfg(feature = "http2")]
use crate::server::transport::Transport;
use crate::server::word::Edges;
use crate::server::workers::handler_of;
use crate::server::workspace::{Answered, Workspace};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// A conversation, and what it needs between two steps.
pub(super) struct Speaking {
    conversation: Box<dyn Conversation>,
    /// Among the pushes of the server.
    _place: Charge,
    counted: Counted,
    bond: Option<Box<dyn Bond>>,
    peer: Peer,
    decoder: Decoder,
    /// What a message takes that is not small; among the bodies of requests.
    held: Option<Charge>,
    terms: Arc<Terms>,
    stage: Stage,
    /// A complete message waits for a worker; whether it is text.
    message: Option<bool>,
    /// The rooms that it hears, and what wakes it for them.
    channels: Vec<Box<dyn Channel>>,
    waker: Waker,
    /// Bytes of rooms that it got.
    heard: u64,
    /// Bytes for the client that went out since nothing was left.
    backlog: usize,
    /// Control frames for the client.
    control: Vec<u8>,
    /// A ping is due, and a worker must first ask whether the conversation may go on.
    is_doubted: bool,
    /// When the client is asked whether it is there.
    ping: Tick,
    /// Until when it must have answered.
    pong: Option<Tick>,
    /// The client with a message that has begun.
    begun: Option<Box<Awaited>>,
    /// Messages received, and their bytes.
    received: (u64, u64),
    since: Instant,
    /// The connection is lost; a worker must tell the conversation.
    is_lost: bool,
    /// Which page it began at.
    line: Box<[u8]>,
    handler: usize,
}

enum Stage {
    /// Before the first call.
    New,
    Open,
    /// A close frame is out, or on its way.
    Closing {
        why: Closed,
        /// When the client's close frame must have come.
        until: Tick,
        /// It has.
        is_answered: bool,
        /// The conversation knows.
        is_told: bool,
    },
}

/// Messages that are handled for one client before others have their turn.
const MAX_IN_A_ROW: u32 = 16;
/// Whatever is done for one client before others have their turn: reads, control frames, parts of messages.
const MAX_ROUNDS: u32 = 256;
/// Control frames that wait for a client that does not read; beyond that it is not worth an answer.
const MAX_CONTROL: usize = 4096;
/// Why a client is given up that does not take what is there for it.
const TOO_SLOW: &str = "this client is too slow";
/// What is moved of a room at once.
const MAX_OF_ROOM: usize = 64 * 1024;

impl HttpConnection {
    /// The handshake is agreed on: its answer goes out, and the conversation begins behind it.
    pub(super) fn switch(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        request: InFlight,
        mut agreed: Agreed,
        place: Charge,
    ) -> Next {
        let mut exchange = request.exchange;
        let is_stream = self.is_stream();
        if is_stream {
            exchange.response.status = ::http::StatusCode::OK;
        }
        let date = exchange.response.date().map_or_else(|| *work.date(), |date| *date.as_bytes());
        let wakers = NewsWakers { transport: &self.transport, shared: &work.shared, token: turn.token };
        let waker = wakers.waker();
        let peer = agreed.peer(&exchange.request, waker.clone());
        let fields = agreed.fields(!is_stream);
        let now = work.shared.scheduler.clock.now();
        let mut bond = agreed.bond.take();
        if let Some(bond) = &mut bond {
            bond.begin(&peer);
        }
        let speaking = Box::new(Speaking {
            bond,
            peer,
            decoder: Decoder::new(agreed.max_message(), agreed.deflates()),
            held: None,
            stage: Stage::New,
            message: None,
            is_doubted: false,
            channels: Vec::new(),
            waker,
            heard: 0,
            backlog: 0,
            control: Vec::new(),
            ping: now.after(agreed.terms().ping),
            pong: None,
            begun: None,
            received: (0, 0),
            since: Instant::now(),
            is_lost: false,
            line: exchange.request.head.method_and_path().into(),
            handler: handler_of(&exchange),
            terms: agreed.terms().clone(),
            conversation: agreed.conversation,
            _place: place,
            counted: work.shared.conversations.opens(),
        });
        let (headers, ready) = exchange.response.fields_to_send();
        let (status, framing, fields) = (exchange.response.status, ResponseFraming::None, [ready, &fields].concat());
        self.hold(turn, work);
        match &self.transport {
            #[cfg(feature = "http2")]
            Transport::Stream(stream) => {
                let sent = stream.ends().send_head(status, &date, headers, &fields, framing, false);
                if sent.is_err() {
                    return (State::Speaking(speaking), Then::Lost);
                }
            }
            _ => {
                let out = &mut work.output.bytes;
                write_response_head(out, status, &date, headers, &fields, framing, Persistence::Upgrade);
            }
        }
        work.record().count_request();
        work.output.answered.push_back(Answered { exchange, body_bytes: 0, started: true });
        (State::Speaking(speaking), Then::Go)
    }

    /// Goes on with a conversation.
    pub(super) fn speak(&mut self, turn: &mut Turn, work: &mut Workspace, mut speaking: Box<Speaking>) -> Next {
        work.input.load(&mut self.input);
        speaking.ask_if_due(work.shared.scheduler.clock.now());
        if work.shared.scheduler.phase() >= Phase::Draining {
            speaking.close(
                CloseCode::GOING_AWAY,
                "the server stops".to_owned(),
                false,
                work.shared.scheduler.clock.now(),
            );
        }
        let mut rounds = 0;
        loop {
            rounds += 1;
            let has_more = speaking.collect(work);
            // More than its own outbox went out: others go on filling it, and the client has its turn meanwhile.
            let is_due = speaking.backlog > speaking.terms.outbox;
            let then = match self.flush(turn, work, None) {
                Then::Go if rounds > MAX_ROUNDS => Then::Stop(Step::Again),
                Then::Go if has_more && !is_due => self.listen(work, &mut speaking).unwrap_or(Then::Go),
                Then::Go => self.turn_to(turn, work, &mut speaking, has_more),
                Then::Lost if !self.heard.contains(Edges::WRITABLE) && !self.heard.contains(Edges::GONE) => {
                    let now = work.shared.scheduler.clock.now();
                    speaking.close(CloseCode::TRY_LATER, TOO_SLOW.to_owned(), false, now);
                    Then::Lost
                }
                Then::Stop(Step::Wait { deadline, idle }) => speaking.wait_for_reader(work, deadline, idle),
                then => then,
            };
            match then {
                Then::Go => {}
                Then::Stop(Step::Close) => return self.proceed(turn, work, After::Linger),
                then => return (State::Speaking(speaking), then),
            }
        }
    }

    /// All is out, or the client has its turn before there is more: looks what is next. [`Step::Close`] is the end.
    fn turn_to(&mut self, turn: &mut Turn, work: &mut Workspace, speaking: &mut Speaking, has_more: bool) -> Then {
        speaking.backlog = 0;
        let is_worker = turn.role == Role::Worker;
        let lend = Then::Stop(Step::Lend { refusable: false });
        let clock = work.shared.scheduler.clock;
        let now = || clock.now();
        match &speaking.stage {
            Stage::New if !is_worker => return lend,
            Stage::New => {
                self.carry(turn, work);
                speaking.stage = Stage::Open;
                speaking.call(work, |conversation, peer| conversation.opened(peer));
                return Then::Go;
            }
            Stage::Closing { is_told: false, .. } if !is_worker => return lend,
            Stage::Closing { is_told: false, .. } => {
                self.carry(turn, work);
                speaking.tell(work);
                return Then::Go;
            }
            Stage::Closing { is_answered: true, .. } => return Then::Stop(Step::Close),
            Stage::Closing { until, .. } if until.has_passed(now()) => return Then::Stop(Step::Close),
            Stage::Open | Stage::Closing { .. } => {}
        }
        if speaking.is_doubted {
            if !is_worker {
                return lend;
            }
            speaking.look_again(work);
            return Then::Go;
        }
        if let Some(is_text) = speaking.message {
            if !is_worker {
                return lend;
            }
            if turn.requests >= MAX_IN_A_ROW {
                return Then::Stop(Step::Again);
            }
            turn.requests += 1;
            speaking.message = None;
            self.carry(turn, work);
            speaking.hand_over(work, is_text);
            return Then::Go;
        }
        if let Some(Farewell { code, reason }) = speaking.peer.farewell()
            && matches!(speaking.stage, Stage::Open)
        {
            speaking.close(code, reason, false, now());
            return Then::Go;
        }
        match self.listen(work, speaking) {
            Some(then) => then,
            None if has_more => Then::Go,
            None => {
                let has_part = !work.input.is_empty();
                self.rest_from(speaking, now(), has_part, work.shared.settings.body_pace())
            }
        }
    }

    /// Takes in what the client has sent, up to the next event: a ping is answered also while there is more for the
    /// client than it takes at once. `None` when nothing has come, or a message waits already.
    fn listen(&mut self, work: &mut Workspace, speaking: &mut Speaking) -> Option<Then> {
        if speaking.message.is_some() || matches!(speaking.stage, Stage::New) {
            return None;
        }
        let clock = work.shared.scheduler.clock;
        if !work.input.is_empty() {
            match speaking.decoder.decode(work.input.bytes()) {
                Ok((used, event)) => {
                    work.input.consume(used);
                    if !speaking.fits(&work.shared.budgets.memory) {
                        speaking.broken(CloseCode::TRY_LATER, "there is no room for large messages", clock.now());
                        return Some(Then::Go);
                    }
                    if let Some(event) = event {
                        if matches!(event, Event::Text | Event::Binary) {
                            work.record().count_message_in();
                        }
                        speaking.note(event, clock.now());
                        return Some(Then::Go);
                    }
                }
                Err(violation) => {
                    work.input.clear();
                    speaking.broken(violation.code(), &violation.to_string(), clock.now());
                    return Some(Then::Go);
                }
            }
        }
        let before = work.input.bytes().len();
        match self.fill(work) {
            Fill::Some => {
                speaking.heard(work.input.bytes().len() - before, work);
                Some(Then::Go)
            }
            // Without a word.
            Fill::End | Fill::Whole => Some(match speaking.stage {
                Stage::Closing { .. } => Then::Stop(Step::Close),
                Stage::New | Stage::Open => Then::Lost,
            }),
            Fill::Nothing | Fill::Part => None,
        }
    }

    /// Nothing is to be read: waits, unless something is due.
    fn rest_from(&mut self, speaking: &mut Speaking, now: Tick, has_part: bool, pace: Pace) -> Then {
        if self.heard.contains(Edges::GONE) {
            return Then::Lost;
        }
        let Some(deadline) = speaking.next_deadline(now, has_part, pace) else { return Then::Go };
        speaking.forget();
        if !speaking.peer.rest() {
            return Then::Go;
        }
        self.heard.remove(Edges::WOKEN);
        Then::Stop(Step::Wait { deadline: Some(deadline), idle: false })
    }

    /// The client is lost. A worker tells the conversation.
    pub(super) fn lose_conversation(
        &mut self,
        turn: &Turn,
        work: &mut Workspace,
        mut speaking: Box<Speaking>,
    ) -> (State, Step) {
        if !matches!(turn.role, Role::Worker | Role::Undertaker) {
            speaking.is_lost = true;
            return (State::Speaking(speaking), Step::Lend { refusable: false });
        }
        self.forget_output(work);
        if !matches!(speaking.stage, Stage::Closing { .. }) {
            let code = if turn.role == Role::Undertaker { CloseCode::GOING_AWAY } else { CloseCode::LOST };
            speaking.close(code, String::new(), turn.role == Role::Worker, work.shared.scheduler.clock.now());
        }
        if matches!(speaking.stage, Stage::Closing { is_told: false, .. }) {
            speaking.tell(work);
        }
        self.part_from_lost(turn, work)
    }
}

impl Speaking {
    /// How a step begins.
    pub(super) fn outset(&self) -> Then {
        if self.is_lost { Then::Lost } else { Then::Go }
    }

    /// Whether a close frame is out, or on its way.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing { .. })
    }

    /// The connection is ended for the memory that it holds.
    pub(super) fn cut_off(&mut self) {
        self.is_lost = true;
    }

    /// Puts what there is for the client into the output, control frames first. Whether there is more.
    fn collect(&mut self, work: &mut Workspace) -> bool {
        let out = &mut work.output.bytes;
        out.append(&mut self.control);
        if self.control.capacity() > 0 {
            self.control = Vec::new();
        }
        // Behind a close frame there is nothing.
        if self.is_closing() {
            return false;
        }
        let before = out.len();
        let has_more = self.take(out);
        let mut frames = &out[before..];
        self.backlog += frames.len();
        let mut count = 0;
        while let Some(rest) = frame_length(frames).and_then(|length| frames.get(length..)) {
            (frames, count) = (rest, count + 1);
        }
        if count > 0 {
            work.record().count_messages_out(count);
        }
        has_more
    }

    /// What was sent to it, and what is said in its rooms.
    fn take(&mut self, out: &mut Vec<u8>) -> bool {
        let taken = self.peer.take(out);
        for change in taken.changes {
            match change {
                Change::Join(channel) => self.channels.push(channel),
                Change::Leave(id) => self.channels.retain(|channel| channel.id() != id),
            }
        }
        let mut has_more = taken.has_more;
        let before = out.len();
        for channel in &mut self.channels {
            match channel.read(out, MAX_OF_ROOM, &self.waker) {
                Heard::All => {}
                Heard::More => has_more = true,
                Heard::Missed => self.peer.close(CloseCode::TRY_LATER, TOO_SLOW),
            }
        }
        self.heard += (out.len() - before) as u64;
        has_more
    }

    /// The client is there: bytes have come.
    fn heard(&mut self, length: usize, work: &Workspace) {
        self.pong = None;
        if let Some(begun) = &mut self.begun {
            begun.earn(length, work.shared.settings.body_pace(), || work.shared.scheduler.clock.now());
        }
    }

    fn note(&mut self, event: Event, now: Tick) {
        let is_open = matches!(self.stage, Stage::Open);
        match event {
            Event::Text | Event::Binary if is_open => {
                self.begun = None;
                self.received = (self.received.0 + 1, self.received.1 + self.decoder.message().len() as u64);
                self.message = Some(event == Event::Text);
            }
            Event::Ping(bytes) if is_open && self.control.len() < MAX_CONTROL => {
                write_frame(&mut self.control, Opcode::Pong, &bytes);
            }
            Event::Text | Event::Binary | Event::Ping(_) | Event::Pong(_) => {}
            Event::Close(code, reason) => self.closed_by_client(code, reason, now),
        }
    }

    /// The client's close frame.
    fn closed_by_client(&mut self, code: Option<CloseCode>, reason: String, now: Tick) {
        if let Stage::Closing { is_answered, .. } = &mut self.stage {
            *is_answered = true;
            return;
        }
        write_close(&mut self.control, code, "");
        let why = self.ended(code.unwrap_or(CloseCode::NO_CODE), reason, true);
        self.stage = Stage::Closing { why, until: now.after(self.terms.close), is_answered: true, is_told: false };
    }

    /// The client broke a rule: nothing that follows can be read.
    fn broken(&mut self, code: CloseCode, rule: &str, now: Tick) {
        match &mut self.stage {
            Stage::Closing { is_answered, .. } => *is_answered = true,
            Stage::New | Stage::Open => {
                self.close(code, rule.to_owned(), false, now);
                if let Stage::Closing { is_answered, .. } = &mut self.stage {
                    *is_answered = true;
                }
            }
        }
    }

    /// Ends the conversation, unless it ends already.
    fn close(&mut self, code: CloseCode, reason: String, by_client: bool, now: Tick) {
        if matches!(self.stage, Stage::Closing { .. }) {
            return;
        }
        // Before the first call there is nobody to tell.
        let is_told = matches!(self.stage, Stage::New);
        write_close(&mut self.control, Some(code), &reason);
        let why = self.ended(code, reason, by_client);
        (self.message, self.begun, self.is_doubted) = (None, None, false);
        self.stage = Stage::Closing { why, until: now.after(self.terms.close), is_answered: false, is_told };
    }

    fn ended(&self, code: CloseCode, reason: String, by_client: bool) -> Closed {
        self.counted.ends(code);
        Closed { code, reason, by_client, after: self.since.elapsed() }
    }
}
