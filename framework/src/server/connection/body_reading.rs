//! A request body that is read before the request is run: in memory, beyond a size in a temporary file.

use super::head::Fill;
use super::{HttpConnection, InFlight, Next, Rest, State, Then, Turn};
use crate::exchange::{BodyCharge, Charge, DiskCharge, RequestBody};
use crate::exchange::{Doing, Spent};
use crate::http::Refusal;
use crate::server::ServerSettings;
use crate::server::budgets::Budgets;
use crate::server::patience::{Awaited, Pace};
use crate::server::scheduler::{Role, Step};
use crate::server::word::Edges;
use crate::server::workspace::{Input, Shared, Workspace};
use std::fs::File;
use std::io::{ErrorKind, Seek, Write};

pub(super) struct BodyReading {
    pub(super) request: InFlight,
    content: Vec<u8>,
    /// For the memory that `content` takes.
    charge: Charge,
    /// Where the content goes when there is too much of it.
    file: Option<Spool>,
    /// From here on it goes to the file.
    memory: u64,
    /// The file could not be written: it may be incomplete, so nothing can be added any more.
    failure: Option<Refusal>,
    client: Awaited,
    /// Bytes of the body received, framing included.
    received: u64,
}

/// The part of a body that is in a file, and its charge.
struct Spool {
    file: File,
    charge: DiskCharge,
}

/// How much of a body is read before other connections have their turn: a fast client would otherwise keep the thread
/// for all of a large upload, and that may be the thread that watches the deadlines.
const MAX_READ_IN_A_ROW: u64 = 1024 * 1024;

impl BodyReading {
    pub(super) fn new(request: InFlight, memory: u64, pace: Pace, charge: Charge) -> Self {
        let client = Awaited::new(pace);
        Self { request, content: Vec::new(), charge, file: None, memory, failure: None, client, received: 0 }
    }

    /// Takes the body's bytes from the input; true when the body has ended.
    pub(super) fn decode(&mut self, input: &mut Input, shared: &Shared) -> Result<bool, Refusal> {
        let Shared { settings, budgets, scheduler, .. } = shared;
        if let Some(refusal) = self.failure {
            return Err(refusal);
        }
        let Rest::Unread { decoder, .. } = &mut self.request.rest else { return Ok(true) };
        let left = decoder.remaining().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        if !make_room(&mut self.content, &mut self.charge, input.bytes().len().min(left), left) {
            let refusal = self.charge.budget().refuse_body();
            return Err(self.give_up(refusal));
        }
        let used = decoder.decode(input.bytes(), &mut self.content)?;
        input.consume(used);
        self.received += used as u64;
        self.client.earn(used, settings.body_pace(), || scheduler.clock.now());
        let complete = decoder.is_complete();
        if self.file.is_some() || self.content.len() as u64 > self.memory {
            self.spool(settings, budgets)?;
        }
        Ok(complete)
    }

    /// Moves the content from memory to the file, and the charge with it.
    fn spool(&mut self, settings: &ServerSettings, budgets: &Budgets) -> Result<(), Refusal> {
        let spool = match &mut self.file {
            Some(spool) => spool,
            None => {
                let mut charge = DiskCharge { bytes: budgets.disk.charge(), file: budgets.files.charge() };
                if !charge.file.resize(1) {
                    return Err(self.give_up(budgets.files.refuse_body()));
                }
                match settings.spool_file() {
                    Ok(file) => self.file.insert(Spool { file, charge }),
                    Err(error) => return Err(self.fail(&error, settings)),
                }
            }
        };
        if !spool.charge.bytes.resize(spool.charge.bytes.amount() + self.content.len() as u64) {
            return Err(self.give_up(budgets.disk.refuse_body()));
        }
        if let Err(error) = spool.file.write_all(&self.content) {
            return Err(self.fail(&error, settings));
        }
        // Nothing of it stays behind: thousands of uploads may wait for their next piece.
        self.content = Vec::new();
        self.charge.force(0);
        Ok(())
    }

    /// Gives up the bytes so far, so that their room is free at once.
    fn give_up(&mut self, refusal: Refusal) -> Refusal {
        self.file = None;
        self.content = Vec::new();
        self.charge.force(0);
        *self.failure.insert(refusal)
    }

    /// The file cannot be written.
    fn fail(&mut self, error: &std::io::Error, settings: &ServerSettings) -> Refusal {
        let id = self.request.exchange.request.id;
        let directory = settings.spool_directory.clone().unwrap_or_else(std::env::temp_dir);
        crate::line::record!(Error,
            target: "kirsch::error",
            "request {id}: the body cannot be kept in {} (server.spool_directory): {error}",
            directory.display()
        );
        self.give_up(match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Refusal::NoRoomForBody,
            _ => Refusal::BodyNotKept,
        })
    }

    /// The client has ended the body by other means than its bytes; false if more was announced.
    fn end(&mut self) -> bool {
        match &mut self.request.rest {
            Rest::Unread { decoder, .. } => decoder.end(),
            Rest::Nothing | Rest::Stream(_) => true,
        }
    }

    /// The body is there: moves it into the request.
    pub(super) fn complete(self) -> InFlight {
        let Self { mut request, content, charge, file, .. } = self;
        request.rest = Rest::Nothing;
        let (body, disk) = match file {
            // A file that cannot be rewound cannot be read either: its reader gets the error.
            Some(Spool { mut file, charge }) => {
                let _ = file.rewind();
                (RequestBody::File { file, length: charge.bytes.amount() }, Some(charge))
            }
            None => (RequestBody::Memory(content), None),
        };
        request.exchange.request.body = body;
        request.exchange.request.charge = Some(Box::new(BodyCharge::new(charge, disk)));
        request
    }

    /// The body will not be complete.
    pub(super) fn abandon(self) -> InFlight {
        self.request
    }
}

/// Makes room for `more` bytes and charges it before it is taken; false when the budget is spent. As a vector would,
/// but never beyond the `left` bytes of the body.
fn make_room(content: &mut Vec<u8>, charge: &mut Charge, more: usize, left: usize) -> bool {
    let needed = content.len() + more;
    if needed <= content.capacity() {
        return true;
    }
    let room = needed.max(content.capacity().saturating_mul(2)).min(content.len().saturating_add(left));
    if !charge.resize(room as u64) {
        return false;
    }
    content.reserve_exact(room - content.len());
    true
}

impl HttpConnection {
    /// Reads until the body is complete, and then runs the request.
    pub(super) fn read_body(&mut self, turn: &mut Turn, work: &mut Workspace, mut reading: Box<BodyReading>) -> Next {
        work.input.load(&mut self.input);
        let pause = reading.received.saturating_add(MAX_READ_IN_A_ROW);
        loop {
            match reading.decode(&mut work.input, &work.shared) {
                Ok(false) => {}
                Ok(true) => return self.run(turn, work, reading.complete()),
                Err(refusal) => return self.refuse_body(turn, work, reading, &refusal),
            }
            reading.request.exchange.waited = true;
            Spent::turn(&mut reading.request.exchange, Doing::Body);
            let then = match self.flush(turn, work, None) {
                Then::Go if reading.received >= pause => Then::Stop(Step::Again),
                Then::Go => match self.fill(work) {
                    Fill::Some => continue,
                    Fill::Whole if reading.end() => return self.run(turn, work, reading.complete()),
                    Fill::End | Fill::Whole => Then::Lost,
                    Fill::Nothing | Fill::Part => {
                        let now = work.shared.scheduler.clock.now();
                        let deadline = reading.client.wait(now);
                        // The bytes that came together with the expiry may have earned more time.
                        if self.heard.contains(Edges::EXPIRED) && deadline.has_passed(now) {
                            let refusal = Refusal::TooSlow { setting: "server.body_timeout" };
                            return self.refuse_body(turn, work, reading, &refusal);
                        }
                        Then::Stop(Step::Wait { deadline: Some(deadline), idle: false })
                    }
                },
                then => then,
            };
            return (State::Body(reading), then);
        }
    }

    /// The body breaks a rule, or comes too slowly. A worker lets the service answer.
    fn refuse_body(
        &mut self,
        turn: &mut Turn,
        work: &mut Workspace,
        reading: Box<BodyReading>,
        refusal: &Refusal,
    ) -> Next {
        if turn.role == Role::Worker {
            self.refuse(turn, work, reading.abandon(), refusal)
        } else {
            (State::Body(reading), Then::Stop(Step::Lend { refusable: false }))
        }
    }
}
