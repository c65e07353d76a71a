//! What a request knows of its session, and what becomes of that.

use super::failures::Failure;
use super::saving::Saving;
use crate::sessions::hold::Hold;
use crate::sessions::{Data, LockMode, SessionId, Version};
use std::time::{Duration, Instant};

/// The session as its request has it.
pub(in crate::sessions) struct State {
    pub(super) lock: Lock,
    /// The id that the client has.
    pub(super) client: Option<SessionId>,
    /// More ids that the client has sent, until it is known which one counts.
    pub(super) others: Vec<SessionId>,
    pub(super) known: Known,
    /// The client has asked for a session that is not there.
    pub(super) is_missing: bool,
    /// A request of another process had the lock meanwhile.
    pub(super) has_waited_elsewhere: bool,
    /// Something was read while the session was not locked.
    pub(super) is_read_unlocked: bool,
    /// What this request sees.
    pub(super) data: Data,
    /// What becomes of the record at the next commit.
    pub(super) fate: Fate,
    /// The end of a hold, while the store works on it.
    pub(super) saving: Option<Box<Saving>>,
    /// The id under which the session will be stored, once a caller has asked for it.
    pub(super) fresh_id: Option<SessionId>,
    /// The first failure that could not be returned where it happened. The end of the request answers with it.
    pub(super) failure: Option<Failure>,
}

/// The lock, as this request has it.
pub(super) enum Lock {
    Wanted,
    /// `None`: there is no record, so there is nothing to lock.
    Held(Option<Hold>),
    Open,
}

/// What the request knows of the record.
///
/// ```text
/// Nothing ──► Absent, Vanished ──commit──► Stored ⇄ Outdated
///    └────────────────────────────────────►  └──► Ended
/// ```
pub(super) enum Known {
    /// The record was not read yet.
    Nothing,
    /// There is no record.
    Absent,
    /// There is no record any more: it was there when the request came, and the session has ended while it waited.
    Vanished,
    /// This request has deleted the record, and nothing came in its place.
    Ended,
    /// The record that the store has.
    Stored(Stored),
    /// The record before a long wait. It is read again at its next use.
    Outdated(Stored),
}

/// A record, as the store had it.
pub(super) struct Stored {
    pub(super) id: SessionId,
    pub(super) version: Version,
    pub(super) data: Data,
    pub(super) cookie_age: Duration,
    /// When its life ends unless it is extended.
    pub(super) expires: Instant,
    /// This request has extended its life.
    pub(super) is_touched: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    /// The data goes on under another id.
    Renew,
    /// The record ends; what is set afterwards is another session.
    End,
}

impl State {
    pub(super) fn new(mode: LockMode, client: Option<SessionId>, others: Vec<SessionId>, known: Known) -> Self {
        Self {
            lock: Lock::at_start(mode),
            client,
            others,
            known,
            is_missing: false,
            has_waited_elsewhere: false,
            is_read_unlocked: false,
            data: Data::new(),
            fate: Fate::Keep,
            saving: None,
            fresh_id: None,
            failure: None,
        }
    }

    /// The record that a lock would be for.
    pub(super) fn record_id(&self) -> Option<SessionId> {
        match &self.known {
            Known::Nothing => self.client,
            _ => self.known.stored().map(|stored| stored.id),
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.lock, Lock::Held(_))
    }

    /// Whether there is something to write.
    pub(super) fn is_changed(&self) -> bool {
        match self.known.stored() {
            Some(stored) if self.fate != Fate::End => !self.data.is_unchanged_copy_of(&stored.data),
            _ => !self.data.is_empty(),
        }
    }

    pub(super) fn roll_back(&mut self) {
        match self.known.stored() {
            Some(stored) if self.data.is_unchanged_copy_of(&stored.data) => {}
            Some(stored) => self.data = stored.data.clone(),
            None => self.data = Data::new(),
        }
        self.fate = Fate::Keep;
    }
}

impl Lock {
    pub(super) fn at_start(mode: LockMode) -> Self {
        if mode == LockMode::Explicit { Self::Open } else { Self::Wanted }
    }
}

impl Known {
    pub(super) fn stored(&self) -> Option<&Stored> {
        match self {
            Self::Stored(stored) | Self::Outdated(stored) => Some(stored),
            Self::Nothing | Self::Absent | Self::Vanished | Self::Ended => None,
        }
    }

    /// Whether the record need not be read.
    pub(super) fn is_current(&self) -> bool {
        !matches!(self, Self::Nothing | Self::Outdated(_))
    }

    /// Takes the record out. Then there is none.
    pub(super) fn take(&mut self) -> Option<Stored> {
        match std::mem::replace(self, Self::Absent) {
            Self::Stored(stored) | Self::Outdated(stored) => Some(stored),
            other => {
                *self = other;
                None
            }
        }
    }

    /// The record may have changed since it was read.
    pub(super) fn outdate(&mut self) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Stored(stored) | Self::Outdated(stored) => Self::Outdated(stored),
            Self::Ended => Self::Ended,
            Self::Nothing | Self::Absent | Self::Vanished => Self::Nothing,
        };
    }
}
