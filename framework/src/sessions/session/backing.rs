//! Where the content of a session is: in the record of a store, or sealed in its cookie (`sealed`).
//!
//! The backing is chosen once, when the session of a request is made. The two differ in what the client brings, how the
//! content is read and committed, and which cookie the client gets. All the rest of [`Session`] is the same for both.

use super::Session;
use super::failures::Failure;
#[cfg(feature = "cookie")]
use super::sealed::Sealed;
use super::state::{Known, State};
use crate::exchange::Request;
#[cfg(feature = "cookie")]
use crate::sessions::cookie_seal::Seal;
use crate::sessions::settings::Settings;
use crate::sessions::{Answer, Commit, Data, SessionId, Terms, Version};
use crate::settings::SettingError;
use ::http::HeaderValue;

/// Where the sessions of one tool are.
pub(in crate::sessions) enum Backings {
    InStore,
    #[cfg(feature = "cookie")]
    InCookie(std::sync::Arc<Seal>),
}

impl Backings {
    /// The first mistake in its settings.
    pub(in crate::sessions) fn problem(&self) -> Option<SettingError> {
        match self {
            Self::InStore => None,
            #[cfg(feature = "cookie")]
            Self::InCookie(seal) => seal.problem(),
        }
    }

    /// The backing of the session of this request.
    pub(super) fn begin(&self, settings: &Settings, request: &Request) -> Begun {
        match self {
            Self::InStore => {
                let (client, others) = settings.cookie.read(request, request.is_secure());
                Begun {
                    backing: Backing::InStore,
                    client,
                    others,
                    known: if client.is_none() { Known::Absent } else { Known::Nothing },
                }
            }
            #[cfg(feature = "cookie")]
            Self::InCookie(seal) => Sealed::begin(seal, settings, request),
        }
    }
}

/// A session at the beginning of its request.
pub(super) struct Begun {
    pub(super) backing: Backing,
    /// The id that the client has sent, and more of them.
    pub(super) client: Option<SessionId>,
    pub(super) others: Vec<SessionId>,
    /// [`Known::Absent`] if the client has brought nothing, so that there is nothing to read.
    pub(super) known: Known,
}

/// Where the content of one session is.
pub(super) enum Backing {
    /// In the record of a store; the cookie is its id.
    InStore,
    #[cfg(feature = "cookie")]
    InCookie(Box<Sealed>),
}

impl Backing {
    /// Whether requests can lock the content, and so wait for it.
    pub(super) fn is_lockable(&self) -> bool {
        matches!(self, Self::InStore)
    }

    /// Reads the content, if that needs no waiting. Whether the content is known now.
    pub(super) fn open(&self, session: &Session, state: &mut State) -> Result<bool, Failure> {
        #[cfg(not(feature = "cookie"))]
        let _ = session;
        match self {
            // A record is read in `acquiring`.
            Self::InStore => Ok(state.known.is_current()),
            #[cfg(feature = "cookie")]
            Self::InCookie(sealed) => sealed.open(session, state).map(|()| true),
        }
    }

    /// Keeps the content if the version is the expected one, as [`Store::commit`](crate::sessions::Store::commit) does.
    pub(super) fn commit(
        &self,
        session: &Session,
        id: &SessionId,
        expected: Option<Version>,
        data: &Data,
        terms: &Terms,
    ) -> Answer<Commit> {
        match self {
            Self::InStore => session.shared.store.commit(id, expected, data, terms),
            #[cfg(feature = "cookie")]
            Self::InCookie(sealed) => sealed.commit(session, id, expected, data, terms),
        }
    }

    /// The cookie that the client gets at the end of the request, and the extension of the session's life, unless a
    /// commit has brought that.
    pub(super) fn cookie(
        &self,
        session: &Session,
        state: &mut State,
        is_success: bool,
    ) -> (Option<HeaderValue>, Option<Answer<()>>) {
        match self {
            Self::InStore => cookie_with_id(session, state, is_success),
            #[cfg(feature = "cookie")]
            Self::InCookie(sealed) => sealed.cookie(session, state, is_success),
        }
    }
}

fn cookie_with_id(session: &Session, state: &mut State, is_success: bool) -> (Option<HeaderValue>, Option<Answer<()>>) {
    let is_due = is_cookie_due(session, state);
    let touch = if is_success { session.touch(state, is_due) } else { None };
    let cookie = &session.settings.cookie;
    let field = match state.known.stored() {
        Some(stored) if state.client == Some(stored.id) && !(is_due && is_success) => None,
        // Another request has given the session a new id meanwhile, and the client its cookie.
        Some(stored) if session.shared.ended.is_later_than(session.received, &stored.id) => None,
        Some(stored) => {
            state.client = Some(stored.id);
            Some(cookie.give(&stored.id.reveal(), session.settings.timeout, session.is_encrypted))
        }
        None if matches!(state.known, Known::Ended) && state.client.take().is_some() => {
            Some(cookie.take_away(session.is_encrypted))
        }
        None => None,
    };
    (field, touch)
}

/// Whether more than half of the cookie's life has passed since it was sent.
fn is_cookie_due(session: &Session, state: &State) -> bool {
    let lifetime = session.settings.cookie.lifetime(session.settings.timeout);
    state.known.stored().zip(lifetime).is_some_and(|(stored, lifetime)| stored.cookie_age > lifetime / 2)
}
