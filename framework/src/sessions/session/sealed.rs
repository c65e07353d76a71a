//! A session whose content is in its cookie. It is opened at its first use, and sent back when it has changed.

use super::Session;
use super::backing::{Backing, Begun};
use super::failures::Failure;
use super::state::{Known, State};
use crate::exchange::Request;
use crate::sessions::cookie::{CookieSettings, MAX_IDS};
use crate::sessions::cookie_seal::{MIN_VALUE, Seal};
use crate::sessions::settings::Settings;
use crate::sessions::{Answer, Commit, Data, Moment, SessionId, Store, StoreError, Terms, Version};
use ::http::HeaderValue;
use std::cell::Cell;
use std::sync::Arc;

/// The content is in the cookie, under this seal.
pub(super) struct Sealed {
    seal: Arc<Seal>,
    /// The host that the request came to.
    host: Box<str>,
    /// The values of the cookies of that name. The first that is ours counts.
    values: Vec<Vec<u8>>,
    /// The session that the client has, and its version.
    has: Cell<Option<(SessionId, Version)>>,
}

impl Sealed {
    /// The session of this request, which is opened later.
    pub(super) fn begin(seal: &Arc<Seal>, settings: &Settings, request: &Request) -> Begun {
        let values = settings.cookie.values(request, request.is_secure());
        let known = if values.is_empty() { Known::Absent } else { Known::Nothing };
        let sealed =
            Self { seal: Arc::clone(seal), host: request.origin().host().into(), values, has: Cell::new(None) };
        Begun { backing: Backing::InCookie(Box::new(sealed)), client: None, others: Vec::new(), known }
    }

    /// Opens the cookie, or looks again whether the session goes on.
    pub(super) fn open(&self, session: &Session, state: &mut State) -> Result<(), Failure> {
        let now = Moment::now();
        match state.known {
            Known::Nothing => self.open_cookie(session, state, now),
            Known::Outdated(_) => self.look_for_end(session, state, now),
            _ => Ok(()),
        }
    }

    pub(super) fn commit(
        &self,
        session: &Session,
        id: &SessionId,
        expected: Option<Version>,
        data: &Data,
        terms: &Terms,
    ) -> Answer<Commit> {
        if let Err(error) = self.fits_cookie(session, data) {
            return Answer::Now(Err(error));
        }
        if expected.is_some() && session.shared.ended.is_later_than(session.received, id) {
            return Answer::now(Commit::Conflict);
        }
        session.shared.store.commit(id, expected, data, terms)
    }

    pub(super) fn cookie(
        &self,
        session: &Session,
        state: &mut State,
        is_success: bool,
    ) -> (Option<HeaderValue>, Option<Answer<()>>) {
        let field = self.renew_cookie(session, state, is_success);
        let touch = if is_success && field.is_some() { session.touch(state, false) } else { None };
        (field, touch)
    }

    /// The scope of a sealed cookie: its name, and the host or the domain that browsers send it to. So two sites with
    /// the same secret refuse each other's cookies.
    fn scope(&self, session: &Session) -> String {
        let cookie = &session.settings.cookie;
        format!("{}@{}", cookie.full_name(session.is_encrypted), cookie.domain.as_deref().unwrap_or(&self.host))
    }

    fn open_cookie(&self, session: &Session, state: &mut State, now: Moment) -> Result<(), Failure> {
        let scope = self.scope(session);
        // The first that is ours and goes on counts. If none goes on, the first that is ours has ended.
        let mut ours = None;
        for opened in self.values.iter().take(MAX_IDS).filter_map(|value| self.seal.open(&scope, value, now)) {
            let is_over = self.is_over(session, &opened.id, now)?;
            if !is_over || ours.is_none() {
                ours = Some((opened, is_over));
            }
            if !is_over {
                break;
            }
        }
        let Some((opened, is_over)) = ours else {
            (state.known, state.is_missing) = (Known::Absent, !self.values.is_empty());
            return Ok(());
        };
        let (id, version) = (opened.id, opened.record.version);
        let mut record = (!is_over).then_some(opened.record);
        if let Some(record) = record.as_mut().filter(|record| record.remaining < session.settings.timeout / 2) {
            // The version in a paired store must outlive the request.
            let terms = Terms { now, ..session.terms(false) };
            ask(session, |store| store.touch(&id, &terms))?;
            record.remaining = terms.lifetime;
        }
        session.take(state, id, record, now);
        state.client = Some(id);
        self.has.set(Some((id, version)));
        Ok(())
    }

    /// Whether a session was ended, for every copy of its cookie. A copy that is older than the last change can still
    /// be read, but not written.
    fn is_over(&self, session: &Session, id: &SessionId, now: Moment) -> Result<bool, Failure> {
        if session.shared.ended.is_later_than(session.received, id) {
            return Ok(true);
        }
        Ok(self.seal.is_paired() && ask(session, |store| store.load(id, now))?.is_none())
    }

    /// The request has waited since its session was opened. The session may be over by now.
    fn look_for_end(&self, session: &Session, state: &mut State, now: Moment) -> Result<(), Failure> {
        let Some(id) = state.known.stored().map(|stored| stored.id) else { return Ok(()) };
        if self.is_over(session, &id, now)? {
            session.take(state, id, None, now);
        } else {
            state.known = state.known.take().map_or(Known::Absent, Known::Stored);
        }
        Ok(())
    }

    /// Whether the content fits into a cookie.
    fn fits_cookie(&self, session: &Session, data: &Data) -> Result<(), StoreError> {
        let settings = &session.settings;
        let attributes = settings.cookie.give("", settings.timeout, session.is_encrypted).len();
        let size = attributes + self.seal.len(data.encoded_len());
        if size > Seal::MOST { Err(StoreError::too_large(size, Seal::MOST)) } else { Ok(()) }
    }

    /// The cookie, if the client does not have the one that it should have.
    fn renew_cookie(&self, session: &Session, state: &mut State, is_success: bool) -> Option<HeaderValue> {
        let (cookie, timeout) = (&session.settings.cookie, session.settings.timeout);
        let Some(stored) = state.known.stored() else {
            let has_ended = matches!(state.known, Known::Ended) && self.has.take().is_some();
            return has_ended.then(|| cookie.take_away(session.is_encrypted));
        };
        // The end of the session's life is in its cookie. So the cookie is sent again before that, even if the browser
        // drops it earlier.
        let is_due = is_success && stored.cookie_age > timeout / 2;
        let should_have = Some((stored.id, stored.version));
        if self.has.get() == should_have && !is_due {
            return None;
        }
        // Another request has given the session a new id meanwhile, and the client its cookie.
        if session.shared.ended.is_later_than(session.received, &stored.id) {
            return None;
        }
        self.has.set(should_have);
        state.client = Some(stored.id);
        let life = (Moment::now(), timeout);
        let value = self.seal.seal(&self.scope(session), &stored.id, stored.version, &stored.data, life);
        Some(cookie.give(&value, timeout, session.is_encrypted))
    }
}

/// Asks the store, and waits for its answer on this thread.
fn ask<T>(session: &Session, ask: impl FnOnce(&dyn Store) -> Answer<T>) -> Result<T, Failure> {
    let _blocking = session.shared.block()?;
    session.answered(ask(&*session.shared.store).wait())
}

impl CookieSettings {
    /// The values of that name that are long enough for a session, each once. If there is none, a short value stands
    /// for a session that is missing. The number is bounded as for ids: each value costs a decryption.
    fn values(&self, request: &Request, is_encrypted: bool) -> Vec<Vec<u8>> {
        let mut values: Vec<Vec<u8>> = Vec::new();
        for value in self.all(request, is_encrypted).filter(|value| value.len() >= MIN_VALUE) {
            if values.len() < MAX_IDS && !values.iter().any(|known| known == value) {
                values.push(value.to_vec());
            }
        }
        if values.is_empty() {
            values.extend(self.all(request, is_encrypted).next().map(<[u8]>::to_vec));
        }
        values
    }

    /// The name as browsers have it.
    fn full_name(&self, is_encrypted: bool) -> String {
        format!("{}{}", self.prefix(is_encrypted), self.name)
    }
}
