//! The parts of a session that all engines keep beside its content, and trying out whether they keep it.

use crate::sessions::{Commit, Data, Moment, Record, SessionId, Store, StoreError, Terms, Version};
use std::time::Duration;

/// The head before the content: the version, and two moments in milliseconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) version: u64,
    /// The end of its life.
    pub(super) ends: u64,
    pub(super) cookie_sent: u64,
}

impl Head {
    /// The head of a record that lives on under these terms, with its cookie sent now.
    pub(super) fn new(version: u64, terms: &Terms) -> Self {
        let (cookie_sent, ends) = (terms.now.unix_millis(), terms.now.later(terms.lifetime).unix_millis());
        Self { version, ends, cookie_sent }
    }

    /// The record with this content; `None` if its life has ended.
    pub(super) fn record(&self, data: Data, now: Moment) -> Option<Record> {
        let now = now.unix_millis();
        (self.ends > now).then(|| Record {
            data,
            version: Version(self.version),
            remaining: Duration::from_millis(self.ends - now),
            cookie_age: Duration::from_millis(now.saturating_sub(self.cookie_sent)),
        })
    }
}

/// Writes, reads and deletes a record, under its lock where the store has one. `place` and `advice` are for the
/// operator.
///
/// # Errors
/// The store's error, or that it did not keep the record.
pub(super) fn probe_by_writing(store: &dyn Store, place: &str, advice: &'static str) -> Result<(), StoreError> {
    const LIFETIME: Duration = Duration::from_secs(10);
    let (id, now) = (SessionId::random(), Moment::now());
    let grant = store.shared_lock().map_or(Ok(None), |lock| lock.try_lock(&id, LIFETIME).wait())?;
    let fence = grant.map(|grant| grant.fence);
    let terms = Terms { now, lifetime: LIFETIME, cookie_sent: true, fence, unlock: fence.is_some() };
    let mut data = Data::new();
    data.insert("probe", true.into());
    let committed = store.commit(&id, None, &data, &terms).wait()?;
    let loaded = store.load(&id, now).wait()?;
    store.delete(&id).wait()?;
    match (committed, loaded) {
        (Commit::Committed(_), Some(record)) if record.data == data => Ok(()),
        _ => Err(StoreError::new(advice, place)),
    }
}

/// Databases count in signed numbers; ours never use the highest bit.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// At least one: an engine takes nothing for no life at all.
#[cfg(any(feature = "redis", feature = "postgres"))]
pub(super) fn millis(duration: Duration) -> u64 {
    const LONGEST: u64 = 100 * 365 * 24 * 3600 * 1000;
    u64::try_from(duration.as_millis()).unwrap_or(LONGEST).clamp(1, LONGEST)
}
