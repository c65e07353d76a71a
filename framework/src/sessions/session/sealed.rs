//! A session whose content is in its cookie: opened at its first use, given back when it has changed.

use super::{Session, State};
use crate::exchange::HttpError;
use crate::sessions::cookie::MAX_IDS;
use crate::sessions::cookie_seal::Seal;
use crate::sessions::{Answer, Data, Moment, SessionId, Store, StoreError, Terms, Version};
use ::http::HeaderValue;

/// The cookie of the client.
pub(super) struct Brought {
    /// The values of the cookie, until they are opened: of several of the name the first that is ours counts.
    values: Vec<Vec<u8>>,
    /// The session and its version that the client has.
    has: Option<(SessionId, Version)>,
}

impl Brought {
    pub(super) fn new(values: Vec<Vec<u8>>) -> Box<Self> {
        Box::new(Self { values, has: None })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl Session {
    /// Asks the store, and waits for its answer on this thread.
    fn ask<T>(&self, ask: impl FnOnce(&dyn Store) -> Answer<T>) -> Result<T, HttpError> {
        let _blocking = self.shared.block()?;
        self.answered(ask(&*self.shared.store).wait())
    }

    /// The scope of a sealed cookie: its name, and the host or the domain that browsers send it to. So two sites with
    /// one secret do not take each other's.
    fn sealed_as(&self) -> String {
        let cookie = &self.settings.cookie;
        format!("{}@{}", cookie.full_name(self.is_encrypted), cookie.domain.as_deref().unwrap_or(&self.host))
    }

    /// Opens the client's cookie, if that was not done yet.
    pub(super) fn open_cookie(&self, state: &mut State, seal: &Seal, now: Moment) -> Result<(), HttpError> {
        if std::mem::take(&mut state.is_doubtful) {
            return self.look_for_end(state, seal, now);
        }
        let values = match &mut state.brought {
            Some(brought) if !state.is_loaded => std::mem::take(&mut brought.values),
            _ => return Ok(()),
        };
        let name = self.sealed_as();
        // Of several the first that is ours and goes on; if none does, the first that is ours has ended.
        let mut ours = None;
        for opened in values.iter().take(MAX_IDS).filter_map(|value| seal.open(&name, value, now)) {
            let is_over = self.is_over(seal, &opened.id, now)?;
            if !is_over || ours.is_none() {
                ours = Some((opened, is_over));
            }
            if !is_over {
                break;
            }
        }
        let Some((opened, is_over)) = ours else {
            (state.is_loaded, state.is_missing) = (true, !values.is_empty());
            return Ok(());
        };
        let (id, version) = (opened.id, opened.record.version);
        let mut record = (!is_over).then_some(opened.record);
        if let Some(record) = record.as_mut().filter(|record| record.remaining < self.settings.timeout / 2) {
            // The version in a paired store must not end before the request does.
            let terms = Terms { now, ..self.terms(false) };
            self.ask(|store| store.touch(&id, &terms))?;
            record.remaining = terms.lifetime;
        }
        self.take(state, id, record, now);
        state.client = Some(id);
        if let Some(brought) = &mut state.brought {
            brought.has = Some((id, version));
        }
        Ok(())
    }

    /// Whether a session was ended, for every copy of its cookie. One that has changed since is read as it was, and not
    /// written.
    fn is_over(&self, seal: &Seal, id: &SessionId, now: Moment) -> Result<bool, HttpError> {
        if self.shared.ended.is_later_than(self.received, id) {
            return Ok(true);
        }
        Ok(seal.is_paired() && self.ask(|store| store.load(id, now))?.is_none())
    }

    /// The request has waited since its session was opened, which may be over by now.
    fn look_for_end(&self, state: &mut State, seal: &Seal, now: Moment) -> Result<(), HttpError> {
        let Some(id) = state.stored.as_ref().map(|stored| stored.id) else { return Ok(()) };
        if self.is_over(seal, &id, now)? {
            self.take(state, id, None, now);
        }
        Ok(())
    }

    /// Whether the content fits into a cookie.
    pub(super) fn fits_cookie(&self, seal: &Seal, data: &Data) -> Result<(), StoreError> {
        let attributes = self.settings.cookie.give("", self.settings.timeout, self.is_encrypted).len();
        let size = attributes + seal.len(data.encoded_len());
        if size > Seal::MOST { Err(StoreError::too_large(size, Seal::MOST)) } else { Ok(()) }
    }

    /// The cookie, if the client's is not the one that it should have.
    pub(super) fn renew_cookie(&self, state: &mut State, seal: &Seal, is_success: bool) -> Option<HeaderValue> {
        let (cookie, timeout) = (&self.settings.cookie, self.settings.timeout);
        let brought = state.brought.as_mut()?;
        let Some(stored) = &state.stored else {
            let has_ended = state.is_ended && brought.has.take().is_some();
            return has_ended.then(|| cookie.take_away(self.is_encrypted));
        };
        // A request that has given it another id in between has given the client the cookie, too.
        if self.shared.ended.is_later_than(self.received, &stored.id) {
            return None;
        }
        // The life of the session is that in its cookie: it has to be sent again before that ends, even if the browser
        // drops it earlier.
        let is_due = is_success && stored.cookie_age > timeout / 2;
        let should_have = Some((stored.id, stored.version));
        if brought.has == should_have && !is_due {
            return None;
        }
        brought.has = should_have;
        state.client = Some(stored.id);
        let life = (Moment::now(), timeout);
        let value = seal.seal(&self.sealed_as(), &stored.id, stored.version, &stored.data, life);
        Some(cookie.give(&value, timeout, self.is_encrypted))
    }
}
