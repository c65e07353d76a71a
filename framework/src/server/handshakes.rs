//! Handshakes of TLS: how many are computed at a time, and how those before them ended.
//!
//! A full one costs as much processor time as a hundred requests, and anybody may ask for one. So only a few are
//! computed at a time, whatever comes; the others wait in line without a thread, until their own deadline.

use crate::exchange::{Claim, Class, Entered, HandshakeCounts, Place, Turn, WaitList};
use rustls::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

/// The handshakes of a server.
#[derive(Debug)]
pub(super) struct Handshakes {
    places: WaitList<()>,
    completed: [AtomicU64; 2],
    failed: [AtomicU64; HandshakeFailure::ALL],
}

/// Why a handshake has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum HandshakeFailure {
    /// A request of HTTP came in its place.
    PlainHttp,
    /// Something came that is neither.
    NotTls,
    /// The client left before the end.
    CutOff,
    /// It was not over in time.
    TooSlow,
    /// Client and server have no version, cipher or protocol in common.
    Incompatible,
    /// The client has refused, mostly the certificate of the server.
    Refused,
    /// The server has refused the certificate of the client, or missed one.
    ClientCertificate,
    /// A message breaks the rules.
    Malformed,
}

impl HandshakeFailure {
    const ALL: usize = Self::Malformed as usize + 1;

    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::AlertReceived(_) => Self::Refused,
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => Self::ClientCertificate,
            _ => Self::Malformed,
        }
    }
}

impl Default for Handshakes {
    fn default() -> Self {
        // So many keep the processors busy while some of them wait for a moment.
        let places = 2 * std::thread::available_parallelism().map_or(1, usize::from);
        let list = WaitList::new("a handshake", places).max_waiting(usize::MAX);
        Self { places: list, completed: Default::default(), failed: Default::default() }
    }
}

impl Handshakes {
    /// A place to compute one, or a turn in line.
    pub(super) fn enter(&self, waker: impl FnOnce() -> Waker) -> Entered<()> {
        self.places.enter_at((), &Claim::unknown(), Class::Usual, Instant::now(), waker)
    }

    pub(super) fn count(&self, is_resumed: bool) {
        self.completed[usize::from(is_resumed)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failure(&self, failure: HandshakeFailure) {
        self.failed[failure as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> HandshakeCounts {
        let [full, resumed] = [0, 1].map(|kind| self.completed[kind].load(Ordering::Relaxed));
        let failed = |failure: HandshakeFailure| self.failed[failure as usize].load(Ordering::Relaxed);
        HandshakeCounts {
            full,
            resumed,
            plain_http: failed(HandshakeFailure::PlainHttp),
            not_tls: failed(HandshakeFailure::NotTls),
            cut_off: failed(HandshakeFailure::CutOff),
            too_slow: failed(HandshakeFailure::TooSlow),
            incompatible: failed(HandshakeFailure::Incompatible),
            refused: failed(HandshakeFailure::Refused),
            client_certificate: failed(HandshakeFailure::ClientCertificate),
            malformed: failed(HandshakeFailure::Malformed),
        }
    }
}

/// The place of a handshake, and the turn for one.
pub(super) type HandshakePlace = Place<()>;
pub(super) type HandshakeTurn = Turn<()>;
