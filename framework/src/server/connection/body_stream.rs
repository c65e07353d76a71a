//! A request body that the handler reads itself, while it runs: the one place where a worker waits for a client.
//!
//! The reader is as patient as the server would be (`patience.rs`). Only time spent waiting counts: a handler may take
//! long between two reads, which is not the client's fault. `100 Continue` is sent at the first read and not before: a
//! handler that answers without reading never asks for the body. When the response is made, the connection takes the
//! unread rest back; from then on the reader is dead, wherever it went.

use super::HttpConnection;
use crate::exchange::{Blocking, BodyError, Charge, WaitsFor};
use crate::http::{BodyDecoder, CONTINUE, Refusal};
use crate::server::patience::Patience;
use crate::server::transport::{Awaiting, Follows, Received, Transport, Waited};
use crate::server::workspace::{Shared, Workspace};
use parking_lot::Mutex;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::Instant;

/// The source of the handler's bytes.
pub(super) struct BodyStream {
    source: Arc<Mutex<Option<Source>>>,
}

/// The connection's end of it. Dropping it ends the stream.
pub(super) struct StreamHandle {
    source: Arc<Mutex<Option<Source>>>,
}

struct Source {
    /// The connection's, a second time; gone before the connection closes the first.
    transport: Transport,
    shared: Arc<Shared>,
    decoder: BodyDecoder,
    /// Lent to encryption.
    scratch: Vec<u8>,
    /// Received, not decoded.
    input: Vec<u8>,
    /// Decoded, not read.
    content: Vec<u8>,
    position: usize,
    /// The client waits for `100 Continue`.
    expected: bool,
    /// Why nothing more can be read; told again at each read.
    failed: Option<Refusal>,
    client: Patience,
    /// For the pieces.
    _charge: Charge,
}

/// How much is read at a time.
const PIECE: usize = 64 * 1024;

impl BodyStream {
    /// The memory of one reader: the received bytes, and those decoded from them; before both, those decrypted.
    pub(super) fn memory(is_encrypted: bool) -> u64 {
        (2 + u64::from(is_encrypted)) * PIECE as u64
    }

    /// A reader of the body that follows in `connection`, and the handle that ends it.
    pub(super) fn open(
        connection: &mut HttpConnection,
        work: &mut Workspace,
        decoder: BodyDecoder,
        expected: bool,
        charge: Charge,
    ) -> io::Result<(Box<Self>, StreamHandle)> {
        let mut input = Vec::new();
        work.input.store(&mut input);
        let source = Arc::new(Mutex::new(Some(Source {
            transport: connection.transport.second()?,
            shared: work.shared.clone(),
            decoder,
            scratch: Vec::new(),
            input,
            content: Vec::new(),
            position: 0,
            expected,
            failed: None,
            client: Patience::new(work.shared.settings.body_pace()),
            _charge: charge,
        })));
        Ok((Box::new(Self { source: source.clone() }), StreamHandle { source }))
    }
}

impl Read for BodyStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.source.lock().as_mut() {
            Some(source) => source.read(buffer),
            None => Err(io::Error::new(ErrorKind::NotConnected, "the request has ended, and its body with it")),
        }
    }
}

impl StreamHandle {
    /// Whether the body has been read to its end: nothing of it is left, on its way or in here.
    pub(super) fn is_read(&self) -> bool {
        let source = self.source.lock();
        source.as_ref().is_some_and(|source| source.decoder.is_complete() && source.position == source.content.len())
    }

    /// Ends the stream: puts received bytes behind the body into `input` and returns the decoder, with whether the
    /// client still waits for `100 Continue`. `None` when the connection is of no more use.
    pub(super) fn take_back(self, input: &mut Vec<u8>) -> Option<(BodyDecoder, bool)> {
        let source = self.source.lock().take()?;
        input.extend_from_slice(&source.input);
        source.failed.is_none().then_some((source.decoder, source.expected))
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        *self.source.lock() = None;
    }
}

impl Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.position < self.content.len() {
                let length = buffer.len().min(self.content.len() - self.position);
                buffer[..length].copy_from_slice(&self.content[self.position..self.position + length]);
                self.position += length;
                return Ok(length);
            }
            if self.decoder.is_complete() {
                return Ok(0);
            }
            if self.failed.is_none()
                && let Err(refusal) = self.advance()
            {
                self.failed = Some(refusal);
            }
            if let Some(refusal) = self.failed {
                return Err(BodyError::from(refusal).into());
            }
        }
    }

    /// Receives and decodes a piece.
    fn advance(&mut self) -> Result<(), Refusal> {
        if self.input.is_empty() {
            self.receive()?;
        }
        self.content.clear();
        self.position = 0;
        let used = self.decoder.decode(&self.input, &mut self.content)?;
        self.input.drain(..used);
        Ok(())
    }

    /// Waits for the client and receives a piece. A connection that fails is the client's end of it, as an early end
    /// is.
    fn receive(&mut self) -> Result<(), Refusal> {
        if std::mem::take(&mut self.expected) && !self.transport.asks_for_body() {
            let mut rest = CONTINUE;
            while !rest.is_empty() {
                self.wait(Awaiting::Room)?;
                let taken = self
                    .transport
                    .send(rest, Follows::Perhaps, &mut self.scratch)
                    .map_err(|_| Refusal::IncompleteBody)?;
                rest = &rest[taken.length..];
            }
        }
        self.input.resize(PIECE, 0);
        let received = self.receive_into_input();
        let length = *received.as_ref().unwrap_or(&0);
        self.input.truncate(length);
        self.client.earn(length, self.shared.settings.body_pace());
        received.map(|_| ())
    }

    fn receive_into_input(&mut self) -> Result<usize, Refusal> {
        loop {
            match self.transport.receive(&mut self.input, &mut self.scratch) {
                Received::Bytes { length, .. } => return Ok(length),
                Received::Nothing | Received::Part => self.wait(Awaiting::Input)?,
                Received::Whole if self.decoder.end() => return Ok(0),
                Received::End | Received::Whole => return Err(Refusal::IncompleteBody),
            }
        }
    }

    fn wait(&mut self, awaiting: Awaiting) -> Result<(), Refusal> {
        // The handler has a place already; a response that is made of its own request's body needs one.
        let _blocking = Blocking::here(WaitsFor::Others).map_err(|_| Refusal::Overloaded)?;
        let began = Instant::now();
        let result = self.wait_until(awaiting, began);
        self.client.spend(began.elapsed());
        result
    }

    fn wait_until(&self, awaiting: Awaiting, began: Instant) -> Result<(), Refusal> {
        loop {
            let left = self.client.left().saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(Refusal::TooSlow { setting: "server.body_timeout" });
            }
            match self.transport.wait(awaiting, self.shared.scheduler.poller.stop_signal(), left) {
                Waited::Ready => return Ok(()),
                Waited::Nothing => {}
                Waited::Stopped => return Err(Refusal::Stopping),
                Waited::Gone => return Err(Refusal::IncompleteBody),
            }
        }
    }
}
