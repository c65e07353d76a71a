//! Where the content of a session is: in the record of a store, or sealed in its cookie (`sealed`).
//!
//! The backing is chosen once, when the session of a request is made. It decides what differs between the two: what
//! the client brings, how the content is read and committed, and which cookie the client gets. All the rest of
//! [`Session`] is the same for both.

use super::{Session, State};
use crate::exchange::{HttpError, Request};
use crate::sessions::settings::Settings;
use crate::sessions::{Answer, Commit, Data, SessionId, Terms, Version};
use crate::settings::SettingError;
use ::http::HeaderValue;

/// Chooses the backing of each session of one tool.
pub(in crate::sessions) trait Backings: Send + Sync {
    /// What is wrong with its settings, if anything.
    fn problem(&self) -> Option<SettingError>;

    /// The backing of the session of this request.
    fn begin(&self, settings: &Settings, request: &Request) -> Begun;
}

/// A session at the beginning of its request.
pub(in crate::sessions) struct Begun {
    pub(super) backing: Box<dyn Backing>,
    /// The ids that the client has sent.
    pub(super) ids: Vec<SessionId>,
    /// The client has brought nothing, so there is nothing to read.
    pub(super) is_loaded: bool,
}

/// Where the content of one session is.
pub(in crate::sessions) trait Backing: Send {
    /// Whether requests can lock the content, and so wait for it.
    fn is_lockable(&self) -> bool;

    /// Reads the content, if that needs no waiting. Whether it is known now.
    fn open(&self, session: &Session, state: &mut State) -> Result<bool, HttpError>;

    /// What was read before a long wait is looked at again at its next use.
    fn doubt(&self, state: &mut State);

    /// Keeps the content if the version is the expected one, as [`Store::commit`](crate::sessions::Store::commit) does.
    fn commit(
        &self,
        session: &Session,
        id: &SessionId,
        expected: Option<Version>,
        data: &Data,
        terms: &Terms,
    ) -> Answer<Commit>;

    /// The cookie that the client gets at the end of the request, and the extension of the session's life, unless a
    /// commit has brought that.
    fn cookie(
        &self,
        session: &Session,
        state: &mut State,
        is_success: bool,
    ) -> (Option<HeaderValue>, Option<Answer<()>>);
}

/// The content is in the record of a store, and the cookie is its id.
pub(in crate::sessions) struct InStore;

impl Backings for InStore {
    fn problem(&self) -> Option<SettingError> {
        None
    }

    fn begin(&self, settings: &Settings, request: &Request) -> Begun {
        let ids = settings.cookie.read(request, request.is_secure());
        // A box of nothing allocates nothing.
        Begun { backing: Box::new(Self), is_loaded: ids.is_empty(), ids }
    }
}

impl Backing for InStore {
    fn is_lockable(&self) -> bool {
        true
    }

    /// To read the record is a way of its own: `acquiring`.
    fn open(&self, _session: &Session, state: &mut State) -> Result<bool, HttpError> {
        Ok(state.is_loaded)
    }

    fn doubt(&self, state: &mut State) {
        state.is_loaded = false;
    }

    fn commit(
        &self,
        session: &Session,
        id: &SessionId,
        expected: Option<Version>,
        data: &Data,
        terms: &Terms,
    ) -> Answer<Commit> {
        session.shared.store.commit(id, expected, data, terms)
    }

    fn cookie(
        &self,
        session: &Session,
        state: &mut State,
        is_success: bool,
    ) -> (Option<HeaderValue>, Option<Answer<()>>) {
        let is_due = is_cookie_due(session, state);
        let touch = if is_success { session.touch(state, is_due) } else { None };
        let cookie = &session.settings.cookie;
        let field = match &state.stored {
            // A request that has given the session another id meanwhile has given the client the cookie, too.
            Some(stored) if session.shared.ended.is_later_than(session.received, &stored.id) => None,
            Some(stored) if state.client != Some(stored.id) || (is_due && is_success) => {
                let field = cookie.give(&stored.id.reveal(), session.settings.timeout, session.is_encrypted);
                state.client = Some(stored.id);
                Some(field)
            }
            None if state.is_ended && state.client.take().is_some() => Some(cookie.take_away(session.is_encrypted)),
            _ => None,
        };
        (field, touch)
    }
}

/// Whether more than half of the cookie's life has passed since it was sent.
fn is_cookie_due(session: &Session, state: &State) -> bool {
    let lifetime = session.settings.cookie.lifetime(session.settings.timeout);
    state.stored.as_ref().zip(lifetime).is_some_and(|(stored, lifetime)| stored.cookie_age > lifetime / 2)
}
