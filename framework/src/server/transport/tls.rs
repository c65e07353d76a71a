//! Encryption between a connection and its link: the one file that knows the session API of rustls.
//!
//! The engine owns no buffers. Received records are opened in a buffer that the thread lends, and their plaintext goes
//! to the connection's input; sent bytes become records in the same buffer, at most [`PIECE`] at a time. Two rests move
//! into the session: the beginning of a record (`raw`) and records that the link did not take (`cipher`). Both are
//! empty, without memory, when the connection is idle.
//!
//! **Invariant: nothing is encrypted while `cipher` is not empty.** A record cannot be taken back. So the last byte of
//! its plaintext is not reported as taken before the link has all of it: the connection keeps that byte, waits for room
//! as ever, and calls again. A response is complete when its last byte is taken, and never before.
//!
//! Where a request comes with the last word of a handshake, tickets are in `cipher` that the link was not offered yet:
//! they leave with the response, and so does the word that nothing follows it. Each send of its own would wake the
//! client.

use super::{FileFailure, Follows, Gone, Received, Taken, Transport};
use crate::exchange::{FileBody, TlsFacts, TlsVersion};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, HandshakeKind, ProtocolVersion, ServerConfig};
use std::io;
use std::sync::Arc;

/// How much is encrypted, or received, at a time: four records.
const PIECE: usize = 64 * 1024;
/// Longer than the records of a piece; where the engine has more to say, the buffer grows.
const MAX_SEALED: usize = PIECE + 1024;
/// The longest record: five bytes of header, 16 KiB, and what encryption may add.
const MAX_RECORD: usize = 5 + 16 * 1024 + 2048;

/// The fatal alert `decode_error`, before there are keys.
const UNREADABLE: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

/// A link with a session on it.
pub(in crate::server) struct Tls {
    /// A socket, or a pipe.
    link: Transport,
    /// A reader of the body has a second way to it. Both sides hold the lock for one step of theirs.
    session: Arc<Mutex<Session>>,
}

struct Session {
    engine: UnbufferedServerConnection,
    server_name: Option<Box<str>>,
    /// Received, and not complete: a record, or a message of the handshake.
    raw: Vec<u8>,
    /// Records that the link did not take.
    cipher: Vec<u8>,
    /// Whether the link was not offered what is in `cipher`: then it holds words of the engine alone.
    is_untried: bool,
    /// Plaintext in `cipher` that is not reported as taken.
    owed: usize,
    /// The client has said that it sends no more, or the session has failed.
    is_over: bool,
    has_taken_leave: bool,
    failure: Option<Error>,
}

impl Tls {
    /// Answers a ClientHello that has been received, perhaps with more behind it.
    ///
    /// # Errors
    /// When the configuration cannot work; the link comes back.
    pub(in crate::server) fn accept(
        link: Transport,
        config: Arc<ServerConfig>,
        server_name: Option<Box<str>>,
        mut hello: Vec<u8>,
    ) -> Result<Self, (Transport, Error)> {
        let engine = match UnbufferedServerConnection::new(config) {
            Ok(engine) => engine,
            Err(error) => return Err((link, error)),
        };
        let mut session = Session {
            engine,
            server_name,
            raw: Vec::new(),
            cipher: Vec::new(),
            is_untried: false,
            owed: 0,
            is_over: false,
            has_taken_leave: false,
            failure: None,
        };
        session.digest(&mut hello, &mut []);
        Ok(Self { link, session: Arc::new(Mutex::new(session)) })
    }

    pub(super) fn link(&self) -> &Transport {
        &self.link
    }

    /// Whether the client's part of the handshake is missing.
    pub(in crate::server) fn is_handshaking(&self) -> bool {
        self.session.lock().engine.is_handshaking()
    }

    /// Why the session has failed, if it has.
    pub(in crate::server) fn failure(&self) -> Option<Error> {
        self.session.lock().failure.clone()
    }

    /// Whether there are records that the link has not taken.
    pub(in crate::server) fn has_unsent(&self) -> bool {
        let session = self.session.lock();
        !session.cipher.is_empty() && !session.is_untried
    }

    /// The bytes of such records, and of received ones that are not complete.
    pub(in crate::server) fn held(&self) -> usize {
        let session = self.session.lock();
        session.cipher.capacity() + session.raw.capacity()
    }

    /// Sends such records.
    pub(in crate::server) fn flush(&mut self) -> Result<Taken, Gone> {
        self.session.lock().flush(&mut self.link)
    }

    /// The chain of the client, if it has shown one.
    pub(in crate::server) fn with_chain<T>(&self, read: impl FnOnce(&[CertificateDer<'_>]) -> T) -> Option<T> {
        self.session.lock().engine.peer_certificates().map(read)
    }

    /// What is known when the handshake has ended, but for the client's certificate.
    pub(in crate::server) fn facts(&mut self) -> TlsFacts {
        let session = &mut *self.session.lock();
        let engine = &session.engine;
        let version = match engine.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        };
        let cipher = engine.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown");
        let mut facts = TlsFacts::new(version, cipher);
        facts.protocol = engine.alpn_protocol().map(|name| String::from_utf8_lossy(name).into());
        facts.is_resumed = engine.handshake_kind() == Some(HandshakeKind::Resumed);
        facts.server_name = session.server_name.take();
        facts
    }

    pub(super) fn receive(&mut self, room: &mut [u8], scratch: &mut Vec<u8>) -> Received {
        self.session.lock().receive(&mut self.link, room, scratch)
    }

    /// Reads bytes that nobody will open.
    pub(super) fn forget(&mut self, room: &mut [u8], scratch: &mut Vec<u8>) -> Received {
        self.session.lock().raw = Vec::new();
        self.link.receive(room, scratch)
    }

    pub(super) fn send(&mut self, parts: [&[u8]; 2], follows: Follows, scratch: &mut Vec<u8>) -> Result<Taken, Gone> {
        let mut session = self.session.lock();
        match session.catch_up(&mut self.link)? {
            Some(taken) => Ok(taken),
            None => session.send(&mut self.link, parts, follows, sized(scratch, MAX_SEALED)),
        }
    }

    /// Reads a piece of the file, and sends it.
    pub(super) fn send_file(
        &mut self,
        file: &FileBody,
        position: u64,
        most: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<Taken, FileFailure> {
        let mut session = self.session.lock();
        match session.catch_up(&mut self.link) {
            Ok(Some(taken)) => return Ok(taken),
            Ok(None) => {}
            Err(Gone) => return Err(FileFailure::Gone),
        }
        let (sealed, piece) = sized(scratch, MAX_SEALED + PIECE).split_at_mut(MAX_SEALED);
        let piece = &mut piece[..most.min(PIECE)];
        // Reading it in another way finds the error.
        file.read_exact_at(piece, position).map_err(|_| FileFailure::Unsendable)?;
        session.send(&mut self.link, [piece, &[]], Follows::Perhaps, sealed).map_err(|Gone| FileFailure::Gone)
    }

    /// Says that nothing more follows, and ends our side of the link; false while the link has no room for the word.
    pub(super) fn end(&mut self) -> Result<bool, Gone> {
        let mut session = self.session.lock();
        session.take_leave();
        session.flush(&mut self.link)?;
        if !session.cipher.is_empty() {
            return Ok(false);
        }
        drop(session);
        self.link.end()
    }

    /// Ends the link without the word, so that the end looks like a failure.
    pub(super) fn fail_at_close(&mut self) {
        self.link.fail_at_close();
    }

    pub(super) fn has_part(&self) -> bool {
        !self.session.lock().raw.is_empty()
    }

    pub(super) fn has_input(&self) -> bool {
        self.has_part() || self.link.has_input()
    }

    pub(super) fn second(&self) -> io::Result<Self> {
        Ok(Self { link: self.link.second()?, session: Arc::clone(&self.session) })
    }
}

impl Session {
    /// Reads, and opens all complete records: whether there is more to read is the link's word alone then.
    fn receive(&mut self, link: &mut Transport, room: &mut [u8], scratch: &mut Vec<u8>) -> Received {
        while !self.is_over {
            let held = self.raw.len();
            // Plaintext is never longer than its records, so all of this has room when it is opened.
            let length = PIECE.min(room.len());
            if held >= length {
                self.fail(Error::PeerSentOversizedRecord);
                break;
            }
            let buffer = &mut sized(scratch, PIECE)[..length];
            buffer[..held].copy_from_slice(&self.raw);
            let (length, is_drained) = match link.receive(&mut buffer[held..], &mut Vec::new()) {
                Received::Bytes { length, is_drained } => (length, is_drained),
                Received::Nothing | Received::Part if held == 0 => return Received::Nothing,
                Received::Nothing | Received::Part => return Received::Part,
                Received::End | Received::Whole => return Received::End,
            };
            let was_empty = self.cipher.is_empty();
            let plain = self.digest(&mut buffer[..held + length], room);
            // With older versions the client needs our word before it believes an answer.
            let is_new = self.engine.protocol_version() == Some(ProtocolVersion::TLSv1_3);
            if was_empty && plain > 0 && is_new && !self.is_over {
                self.is_untried = !self.cipher.is_empty();
            } else if self.flush(link).is_err() {
                self.is_over = true;
            }
            if plain > 0 {
                return Received::Bytes { length: plain, is_drained: is_drained && !self.is_over };
            }
        }
        Received::End
    }

    /// Takes out of `input` all that is complete: plaintext goes to `room`, answers of the engine to `cipher`. Keeps
    /// the rest, and returns the length of the plaintext.
    fn digest(&mut self, input: &mut [u8], room: &mut [u8]) -> usize {
        let (mut used, mut plain) = (0, 0);
        let mut goes_on = true;
        while goes_on {
            let UnbufferedStatus { mut discard, state } = self.engine.process_tls_records(&mut input[used..]);
            let mut failure = None;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) if record.payload.len() <= room.len() - plain => {
                                discard += record.discard;
                                room[plain..][..record.payload.len()].copy_from_slice(record.payload);
                                plain += record.payload.len();
                            }
                            Ok(_) => failure = Some(Error::PeerSentOversizedRecord),
                            Err(error) => failure = Some(error),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => append(&mut self.cipher, |out| data.encode(out)),
                // It is in `cipher`, which leaves in its order.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => goes_on = false,
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.is_over = true;
                    goes_on = false;
                }
                // Early data is not offered.
                Ok(_) => failure = Some(Error::HandshakeNotComplete),
                Err(error) => failure = Some(error),
            }
            used += discard;
            if let Some(error) = failure {
                self.fail(error);
                goes_on = false;
            }
        }
        self.raw = if self.is_over { Vec::new() } else { input[used..].to_vec() };
        if self.raw.len() > MAX_RECORD && !self.engine.is_handshaking() {
            self.fail(Error::PeerSentOversizedRecord);
        }
        plain
    }

    /// The session cannot go on. What the engine has to say about it is put into `cipher`.
    fn fail(&mut self, error: Error) {
        let is_told = matches!(error, Error::AlertReceived(_));
        self.failure.get_or_insert(error);
        self.is_over = true;
        self.has_taken_leave = true;
        self.raw = Vec::new();
        // Only what waits to be sent may be asked for: the engine would judge the input a second time.
        while self.engine.wants_write() {
            match self.engine.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => append(&mut self.cipher, |out| data.encode(out)),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => while traffic.next_record().is_some() {},
                _ => break,
            }
        }
        if self.cipher.is_empty() && !is_told && self.engine.protocol_version().is_none() {
            // A ClientHello that is too long: the engine has no word for it.
            self.cipher.extend_from_slice(&UNREADABLE);
        }
    }

    /// Sends records that the link did not take before. `None` when all is sent: more may be encrypted.
    fn catch_up(&mut self, link: &mut Transport) -> Result<Option<Taken>, Gone> {
        if self.failure.is_some() {
            return Err(Gone);
        }
        if self.is_untried || self.cipher.is_empty() && self.owed == 0 {
            return Ok(None);
        }
        let flushed = self.flush(link)?;
        if !self.cipher.is_empty() {
            // A client that takes its time is measured by what it takes.
            let length = flushed.length.min(self.owed.saturating_sub(1));
            self.owed -= length;
            return Ok(Some(Taken { length, is_full: true }));
        }
        let length = std::mem::take(&mut self.owed);
        Ok((length > 0 || flushed.is_full).then_some(Taken { length, is_full: flushed.is_full }))
    }

    /// Encrypts a piece and sends it.
    fn send(
        &mut self,
        link: &mut Transport,
        parts: [&[u8]; 2],
        follows: Follows,
        sealed: &mut [u8],
    ) -> Result<Taken, Gone> {
        debug_assert!(self.cipher.is_empty() || self.is_untried, "nothing is encrypted before the rest is sent");
        debug_assert_eq!(self.owed, 0, "what is owed was not sent");
        let (mut length, mut end) = (0, 0);
        for part in parts {
            let part = &part[..part.len().min(PIECE - length)];
            if !part.is_empty() {
                end += self.seal(Some(part), &mut sealed[end..])?;
                length += part.len();
            }
        }
        if follows == Follows::Nothing && length == parts[0].len() + parts[1].len() {
            end += self.seal_leave(&mut sealed[end..]);
        }
        if !self.cipher.is_empty() {
            // What the engine had to say before goes first.
            self.cipher.extend_from_slice(&sealed[..end]);
            self.owed = length;
            self.is_untried = false;
            return Ok(self.catch_up(link)?.unwrap_or(Taken { length: 0, is_full: false }));
        }
        let taken = link.send(&sealed[..end], follows, &mut Vec::new())?;
        if taken.length == end {
            return Ok(Taken { length, is_full: taken.is_full });
        }
        self.cipher = sealed[taken.length..end].to_vec();
        let reported = taken.length.min(length.saturating_sub(1));
        self.owed = length - reported;
        Ok(Taken { length: reported, is_full: true })
    }

    /// Makes records of plaintext, or of the word that nothing more follows. Returns their length.
    fn seal(&mut self, plain: Option<&[u8]>, sealed: &mut [u8]) -> Result<usize, Gone> {
        loop {
            let UnbufferedStatus { discard, state } = self.engine.process_tls_records(&mut self.raw);
            let written = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => Some(match plain {
                    Some(plain) => traffic.encrypt(plain, sealed),
                    None => traffic.queue_close_notify(sealed),
                }),
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.cipher, |out| data.encode(out));
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => None,
                _ => return Err(Gone),
            };
            self.raw.drain(..discard);
            match written {
                Some(Ok(length)) => return Ok(length),
                Some(Err(EncryptError::InsufficientSize(_))) => unreachable!("a piece and its overhead have room"),
                // So many records that the keys are used up.
                Some(Err(EncryptError::EncryptExhausted)) => return Err(Gone),
                None => {}
            }
        }
    }

    /// Puts the word that nothing more follows into `cipher`, once.
    fn take_leave(&mut self) {
        let mut sealed = [0; 256];
        let length = self.seal_leave(&mut sealed);
        self.cipher.extend_from_slice(&sealed[..length]);
    }

    /// Makes a record of it, once. Returns its length.
    fn seal_leave(&mut self, sealed: &mut [u8]) -> usize {
        if std::mem::replace(&mut self.has_taken_leave, true) || self.engine.is_handshaking() {
            return 0;
        }
        self.seal(None, sealed).unwrap_or(0)
    }

    fn flush(&mut self, link: &mut Transport) -> Result<Taken, Gone> {
        self.is_untried = false;
        let mut sent = 0;
        let mut is_full = false;
        while sent < self.cipher.len() && !is_full {
            let taken = link.send(&self.cipher[sent..], Follows::Perhaps, &mut Vec::new())?;
            sent += taken.length;
            is_full = taken.is_full;
        }
        if sent == self.cipher.len() {
            self.cipher = Vec::new();
        } else {
            self.cipher.drain(..sent);
        }
        Ok(Taken { length: sent, is_full })
    }
}

/// The first bytes of a buffer that a thread lends, which grows to the size it is used in.
fn sized(scratch: &mut Vec<u8>, size: usize) -> &mut [u8] {
    if scratch.len() < size {
        scratch.resize(size, 0);
    }
    &mut scratch[..size]
}

/// Appends a message of the engine.
fn append(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let start = out.len();
    if let Err(EncodeError::InsufficientSize(needed)) = encode(&mut []) {
        out.resize(start + needed.required_size, 0);
        let encoded = encode(&mut out[start..]);
        debug_assert!(encoded.is_ok(), "it has the room that it asked for");
    }
}
