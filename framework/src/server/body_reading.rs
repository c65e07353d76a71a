//! A request body that is read before the request is run: in memory, beyond a size in a temporary file.

use super::ServerSettings;
use super::clock::Clock;
use super::connection::{Fill, Flow, HttpConnection, InFlight, Rest, State, Turn};
use super::patience::{Awaited, Pace};
use super::scheduler::{Role, Step};
use super::workspace::{Input, Workspace};
use crate::exchange::RequestBody;
use crate::http::Refusal;
use std::fs::File;
use std::io::{ErrorKind, Seek, Write};

pub(super) struct BodyReading {
    pub(super) request: InFlight,
    content: Vec<u8>,
    /// Where the content goes when there is too much of it, and how much is there.
    file: Option<(File, u64)>,
    /// From here on it goes to the file.
    memory: u64,
    /// The file could not be written: it may hold half of what it should, so nothing can be added any more.
    failure: Option<Refusal>,
    client: Awaited,
    /// Bytes of the body received, framing included.
    received: u64,
}

/// How much of a body is read before the others have their turn: a fast client would otherwise keep the thread for all of a large
/// upload, and that may be the one that watches the deadlines.
const MOST_READ_IN_A_ROW: u64 = 1024 * 1024;

impl BodyReading {
    pub(super) fn new(request: InFlight, memory: u64, pace: Pace) -> Self {
        let client = Awaited::new(pace);
        Self { request, content: Vec::new(), file: None, memory, failure: None, client, received: 0 }
    }

    /// Takes what belongs to the body from the input; true when the body has ended.
    pub(super) fn decode(
        &mut self,
        input: &mut Input,
        settings: &ServerSettings,
        clock: Clock,
    ) -> Result<bool, Refusal> {
        if let Some(refusal) = self.failure {
            return Err(refusal);
        }
        let Rest::Unread { decoder, .. } = &mut self.request.rest else { return Ok(true) };
        let used = decoder.decode(input.bytes(), &mut self.content)?;
        input.consume(used);
        self.received += used as u64;
        self.client.earn(used, settings.body_pace(), || clock.now());
        let complete = decoder.is_complete();
        if self.file.is_some() || self.content.len() as u64 > self.memory {
            self.spool(settings).map_err(|error| self.fail(&error, settings))?;
        }
        Ok(complete)
    }

    fn spool(&mut self, settings: &ServerSettings) -> std::io::Result<()> {
        let (file, length) = match &mut self.file {
            Some(kept) => kept,
            None => self.file.insert((settings.spool_file()?, 0)),
        };
        file.write_all(&self.content)?;
        *length += self.content.len() as u64;
        self.content.clear();
        Ok(())
    }

    /// Gives up what was spooled, so that its room is free at once.
    fn fail(&mut self, error: &std::io::Error, settings: &ServerSettings) -> Refusal {
        let id = self.request.exchange.request.id;
        let directory = settings.spool_directory.clone().unwrap_or_else(std::env::temp_dir);
        crate::line::record!(Error,
            target: "kirsch::error",
            "request {id}: the body cannot be kept in {} (server.spool_directory): {error}",
            directory.display()
        );
        self.file = None;
        self.content = Vec::new();
        let refusal = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Refusal::NoRoomForBody,
            _ => Refusal::BodyNotKept,
        };
        *self.failure.insert(refusal)
    }

    /// The body is there: moves it into the request.
    pub(super) fn complete(self) -> InFlight {
        let Self { mut request, content, file, .. } = self;
        request.rest = Rest::Nothing;
        request.exchange.request.body = match file {
            // A file that cannot be rewound cannot be read either: whoever reads it gets the error.
            Some((mut file, length)) => {
                let _ = file.rewind();
                RequestBody::File { file, length }
            }
            None => RequestBody::Memory(content),
        };
        request
    }

    /// The body will not be complete.
    pub(super) fn abandon(self) -> InFlight {
        self.request
    }
}

impl HttpConnection {
    /// Reads until the body is complete, and then runs the request.
    pub(super) fn read_body(&mut self, turn: &mut Turn, work: &mut Workspace, mut reading: Box<BodyReading>) -> Flow {
        work.input.load(&mut self.input);
        let pause = reading.received.saturating_add(MOST_READ_IN_A_ROW);
        loop {
            match reading.decode(&mut work.input, &work.shared.settings, work.shared.scheduler.clock) {
                Ok(false) => {}
                Ok(true) => return self.run(turn, work, reading.complete()),
                Err(_) if turn.role != Role::Worker => {
                    self.state = State::Body(reading);
                    return Flow::Stop(Step::Lend { refusable: false });
                }
                Err(refusal) => {
                    let InFlight { exchange, rest } = reading.abandon();
                    return self.refuse(turn, work, exchange, rest, &refusal);
                }
            }
            let has_had_its_turn = reading.received >= pause;
            reading.request.exchange.waited = true;
            self.state = State::Body(reading);
            if let stop @ Flow::Stop(_) = self.flush(turn, work) {
                return stop;
            }
            if has_had_its_turn {
                return Flow::Stop(Step::Again);
            }
            let fill = self.fill(work);
            let State::Body(kept) = std::mem::take(&mut self.state) else {
                unreachable!("flush and fill leave the state alone");
            };
            reading = kept;
            match fill {
                Fill::Some => {}
                Fill::End => {
                    self.state = State::Body(reading);
                    return Flow::Stop(self.lose(turn, work));
                }
                Fill::Nothing => {
                    let now = work.shared.scheduler.clock.now();
                    let deadline = reading.client.wait(now);
                    // The bytes that came together with the expiry may have earned more time.
                    if !self.expired || !deadline.has_passed(now) {
                        self.state = State::Body(reading);
                        return Flow::Stop(Step::Wait { deadline: Some(deadline), idle: false });
                    }
                    if turn.role != Role::Worker {
                        self.state = State::Body(reading);
                        return Flow::Stop(Step::Lend { refusable: false });
                    }
                    let InFlight { exchange, rest } = reading.abandon();
                    let refusal = Refusal::TooSlow { setting: "server.body_timeout" };
                    return self.refuse(turn, work, exchange, rest, &refusal);
                }
            }
        }
    }
}
