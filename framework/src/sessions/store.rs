//! Stores: where sessions are kept between requests.
//!
//! A store keeps a record under an id: content, a version that every commit raises, an end of life. It knows nothing of
//! requests or cookies. Time comes in as an argument ([`Moment`]), so that a store can be tested without waiting. A
//! store that several processes share also has a lock between them: [`SharedLock`], in `shared_lock.rs`. Every store
//! must pass [`session_store::check`](crate::testing::session_store::check), and the other checks there that it has
//! something for.

use super::{Answer, Answers, Data, Fence, SessionId, SharedLock, StoreError};
use crate::settings::{SettingError, SettingRow, SettingTable};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A place where sessions are kept.
///
/// All calls come from workers and background threads, any number at a time; each of them is atomic for its id. No call
/// may be made to wait for another session's work. Requests call the first four: their answer may come [later](Answer).
/// The others may block.
pub trait Store: Send + Sync + 'static {
    /// The record under this id, if it is there and alive.
    ///
    /// # Errors
    /// When the store cannot say. An unreadable record is `Ok(None)`, after a log line, and counted in
    /// [`quarantined`](Self::quarantined).
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>>;

    /// Puts `data` in place of the version `expected`; `None` expects that nothing alive is there. Life is
    /// `terms.lifetime` from `terms.now` on.
    ///
    /// With a `terms.fence` the commit needs that lock. If the lock has lapsed or gone to another request, nothing is
    /// kept and the answer is [`Commit::LockLost`]. With `terms.unlock` a commit that is kept gives the lock back in
    /// the same step.
    ///
    /// If the answer comes later and its request has gone, the commit may be kept or not.
    ///
    /// # Errors
    /// When the store cannot keep it. The earlier record is then still there.
    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit>;

    /// Extends the life of a record without writing its content and without a new version. No record, no effect.
    ///
    /// A store for which this costs a write may skip it while little of the life has passed.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()>;

    /// Removes the record, if there is one.
    ///
    /// # Errors
    /// When it may still be there.
    fn delete(&self, id: &SessionId) -> Answer<()>;

    /// Removes the records whose life has ended, and returns how many they were. One bad record must not protect the
    /// others.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn sweep(&self, now: Moment) -> Result<usize, StoreError>;

    /// How many records there are, ended ones included until they are swept; `None` where the engine cannot tell.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn count(&self) -> Result<Option<usize>, StoreError>;

    /// Tries, once at start, whether the store can do its work: reaches the engine, writes, reads and deletes
    /// something, makes its tables. A failure stops the start.
    ///
    /// # Errors
    /// Names the failure, its place, and the remedy.
    fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The lock between processes, of a store that several processes share. One that a single process has for itself
    /// keeps the default.
    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        None
    }

    /// How the calls above answer, and those of the shared lock. A store that does not say so counts as one whose calls
    /// block.
    fn answers(&self) -> Answers {
        Answers::Blocking
    }

    /// Whether the engine ends records by itself, so that no sweep is needed.
    fn expires_by_itself(&self) -> bool {
        false
    }

    /// Sets the store's own keys among the settings of the tool (`sessions.url = "…"`), at start, before
    /// [`probe`](Self::probe). The tool hands over those that [`setting_rows`](Self::setting_rows) has. Paths share the
    /// store: if several set a key, the last wins.
    ///
    /// # Errors
    /// Names the key and what is wrong with it.
    fn configure(&self, settings: &SettingTable) -> Result<(), SettingError> {
        settings.keys().next().map_or(Ok(()), |key| Err(SettingError::unknown(key, &[])))
    }

    /// The store's own settings; none by default.
    fn setting_rows(&self) -> Vec<SettingRow> {
        Vec::new()
    }

    /// How many records had to go before their time, because there were too many.
    fn evicted(&self) -> u64 {
        0
    }

    /// How many records were unreadable and have been put aside or deleted.
    fn quarantined(&self) -> u64 {
        0
    }
}

/// Parts the settings for a store of these rows from the others.
pub(super) fn part(table: &SettingTable, rows: &[SettingRow]) -> (SettingTable, SettingTable) {
    table.clone().into_iter().partition(|(key, _)| rows.iter().any(|row| row.key == key))
}

/// A store that the program keeps a handle to.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        (**self).load(id, now)
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        (**self).commit(id, expected, data, terms)
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        (**self).touch(id, terms)
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        (**self).delete(id)
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        (**self).sweep(now)
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        (**self).count()
    }

    fn probe(&self) -> Result<(), StoreError> {
        (**self).probe()
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        (**self).shared_lock()
    }

    fn answers(&self) -> Answers {
        (**self).answers()
    }

    fn expires_by_itself(&self) -> bool {
        (**self).expires_by_itself()
    }

    fn configure(&self, settings: &SettingTable) -> Result<(), SettingError> {
        (**self).configure(settings)
    }

    fn setting_rows(&self) -> Vec<SettingRow> {
        (**self).setting_rows()
    }

    fn evicted(&self) -> u64 {
        (**self).evicted()
    }

    fn quarantined(&self) -> u64 {
        (**self).quarantined()
    }
}

/// One session as a store keeps it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The content.
    pub data: Data,
    /// Which version of the record this is.
    pub version: Version,
    /// How long it lives on, unless it is used.
    pub remaining: Duration,
    /// How long ago the cookie was sent last.
    pub cookie_age: Duration,
}

/// The version of a record. Every commit of an id makes another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u64);

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a conflict means that nothing was kept"]
pub enum Commit {
    /// Done: the record has this version.
    Committed(Version),
    /// Not kept: the record has another version than expected, or is gone, or is there already.
    Conflict,
    /// Not kept: the lock under which the record was read is not held any more.
    LockLost,
}

/// Under which terms a record lives on.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The time of the call.
    pub now: Moment,
    /// How long the record lives from now on, unless it is used again.
    pub lifetime: Duration,
    /// Whether the cookie is being sent with this response, so that its age starts again.
    pub cookie_sent: bool,
    /// The shared lock that the request holds, if the store has one.
    pub fence: Option<Fence>,
    /// Whether a commit that is kept gives that lock back.
    pub unlock: bool,
}

/// A point in time on two clocks: the monotonic one for values of this process, the calendar for values that outlive
/// it.
///
/// The calendar may be set back and forth while the program runs; life that is measured within the process does not
/// notice.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For durations within this process.
    pub monotonic: Instant,
    /// For values that are written down.
    pub calendar: SystemTime,
}

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), calendar: SystemTime::now() }
    }

    /// Milliseconds of the calendar since 1970: the times of engines.
    #[must_use]
    pub fn unix_millis(self) -> u64 {
        let since = self.calendar.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment so much later; at most a hundred years.
    #[must_use]
    pub fn later(self, duration: Duration) -> Self {
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        let duration = duration.min(LONGEST);
        Self {
            monotonic: self.monotonic.checked_add(duration).unwrap_or(self.monotonic),
            calendar: self.calendar.checked_add(duration).unwrap_or(self.calendar),
        }
    }
}

impl StoreError {
    /// The session is larger than the store keeps. `sessions.max_size` has been checked by then: this is for engines
    /// with limits of their own.
    #[must_use]
    pub fn too_large(bytes: usize, limit: usize) -> Self {
        let place = format!(
            "{bytes} bytes, the maximum is {limit}: keep large values in another place and their key in the session"
        );
        let mut error = Self::new("the session is too large", place);
        error.is_too_large = true;
        error
    }

    /// Whether the session was too large for the store: a mistake of the program, not a failure of the engine.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.is_too_large
    }
}
