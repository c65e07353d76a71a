//! Sessions in memcached: one server, or several among which the sessions are spread.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`MemcachedStore`] and its settings; the store and its lock in terms of items |
//! | `client` | the servers, which one has which session, their connections, and what of memcached's protocol stores need |
//! | `wakeups` | who waits for a lock in this process, and the thread that looks whether it is free |
//!
//! A session is an item (version, end of life, when the cookie was sent, content), its lock another one beside it on the same server: the fence,
//! with the lease as its life, set with `add`, so that one who comes second finds it there.
//!
//! memcached compares one item at a time, so a commit cannot check the lock and write the record in one step. It reads **the lock
//! first, then the record** with its CAS number, and writes only over that very number. If the lease lapses in between and somebody else takes
//! the lock, one of the two commits finds another number or another version than it read, and is refused: an update is never lost.

mod client;
mod wakeups;

use super::super::{
    Commit, Data, Fence, Grant, Moment, Record, SessionId, Sessions, SharedLock, Store, StoreError, Terms, Version,
    Watch, wire,
};
use crate::lifecycle::{SettingError, SettingReader};
use client::{Answer, Client, Outcome, Request};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, SystemTime};
use wakeups::Wakeups;

impl Sessions {
    /// Sessions that are kept in memcached, shared by all processes that use the same servers and prefix (feature `memcached`).
    ///
    /// ```no_run
    /// use kirsch::prelude::*;
    ///
    /// # struct Shop;
    /// # #[handlers]
    /// # impl Shop {}
    /// App::new(Shop).tool("/", Sessions::memcached(["10.0.0.1", "10.0.0.2:11212"])).serve("127.0.0.1:8080")?;
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    ///
    /// memcached forgets: read about the limits at [`MemcachedStore`].
    #[must_use]
    pub fn memcached(servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(MemcachedStore::new(servers))
    }
}

/// Keeps sessions in memcached (1.6 and above).
///
/// ```
/// use kirsch::{Sessions, sessions::MemcachedStore};
/// use std::time::Duration;
///
/// let store = MemcachedStore::new(["10.0.0.1:11211", "10.0.0.2:11211"])
///     .pool(32)
///     .operation_timeout(Duration::from_millis(500))
///     .prefix("shop:session:");
/// let sessions = Sessions::new(store);
/// ```
///
/// | setting | in the file | default | what |
/// |---|---|---|---|
/// | [`new`](Self::new) | `sessions.servers` | | a list of `host[:11211]`, in any order, but spelt alike in all processes: the spelling decides which server has which session |
/// | [`pool`](Self::pool) | `sessions.pool` | 16 | the most connections of this process to each server |
/// | [`connect_timeout`](Self::connect_timeout) | `sessions.connect_timeout` | 2 s | for a connection, and for a free place in the pool |
/// | [`operation_timeout`](Self::operation_timeout) | `sessions.operation_timeout` | 2 s | for the server's answer |
/// | [`prefix`](Self::prefix) | `sessions.prefix` | `kirsch:session:` | how the keys begin |
///
/// # Limits
/// * It is a cache. A restart ends all sessions of that server; when its memory is full, the ones used longest ago go, and nobody is told.
/// * A lock may be evicted like any item. Then two requests may hold the lock of one session; the second commit is refused as a conflict, so no
///   update is lost, but a request fails.
/// * A session has at most about 1 MiB (memcached's item size).
/// * Leases count in whole seconds and are rounded up: the lock of a killed process comes free up to two seconds late.
/// * Nothing tells when a lock is given back by another process: one thread looks, every 1 to 20 ms, while a request waits. Who comes next
///   among processes is chance.
/// * Sessions cannot be counted, and there are no passwords: let memcached listen on a private address only.
/// * A server that is away is not replaced by another, since there would be two truths: its sessions answer 503 until it is back.
///   Adding or removing a server moves the sessions of one, not of all.
pub struct MemcachedStore {
    settings: Mutex<Settings>,
    engine: OnceLock<Result<Arc<Engine>, String>>,
    quarantined: AtomicU64,
}

#[derive(Clone, PartialEq, Eq)]
struct Settings {
    servers: Vec<String>,
    pool: usize,
    connect_timeout: Duration,
    operation_timeout: Duration,
    prefix: String,
}

struct Engine {
    client: Client,
    prefix: String,
    wakeups: Wakeups,
}

impl MemcachedStore {
    /// A store on these servers. Nothing is connected before the start; an address that is none stops it.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let settings = Settings {
            servers: servers.into_iter().map(Into::into).collect(),
            pool: 16,
            connect_timeout: Duration::from_secs(2),
            operation_timeout: Duration::from_secs(2),
            prefix: "kirsch:session:".to_owned(),
        };
        Self { settings: Mutex::new(settings), engine: OnceLock::new(), quarantined: AtomicU64::new(0) }
    }

    /// The most connections of this process to each server (`pool`, default 16).
    #[must_use]
    pub fn pool(self, connections: usize) -> Self {
        self.with(|settings| settings.pool = connections)
    }

    /// How long connecting may take, and how long an operation waits for a connection of the pool (`connect_timeout`, default 2 s).
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.connect_timeout = timeout)
    }

    /// How long a server may take to answer (`operation_timeout`, default 2 s).
    #[must_use]
    pub fn operation_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.operation_timeout = timeout)
    }

    /// How the names of all items begin (`prefix`, default `kirsch:session:`).
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.with(|settings| settings.prefix = prefix.into())
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings.lock());
        self
    }

    fn engine(&self) -> Result<&Arc<Engine>, StoreError> {
        let made = self.engine.get_or_init(|| {
            let settings = self.settings.lock().clone();
            settings.problem().map_or(Ok(()), |(key, problem)| Err(format!("sessions.{key}: {problem}")))?;
            let client =
                Client::new(&settings.servers, settings.pool, settings.connect_timeout, settings.operation_timeout);
            Ok(Arc::new(Engine { client, prefix: settings.prefix, wakeups: Wakeups::default() }))
        });
        made.as_ref().map_err(|problem| StoreError::new("the settings of the memcached store are wrong", problem))
    }

    /// The record in an answer. One that cannot be read is deleted, so that the visitor can begin anew (A24).
    fn record(
        &self,
        engine: &Engine,
        id: &SessionId,
        answer: Answer,
        now: Moment,
    ) -> Result<Option<Record>, StoreError> {
        let Some((cas, bytes)) = answer.item else { return Ok(None) };
        match Item::read(&bytes).and_then(|item| item.record(now)) {
            Ok(record) => Ok(record),
            Err(problem) => {
                crate::line::record!(Error, target: "kirsch::sessions", "{problem} (session {id}, deleted from memcached)");
                self.quarantined.fetch_add(1, Ordering::Relaxed);
                let key = engine.key(id);
                engine.client.ask(&key, &[Request::delete(&key, Some(cas))])?;
                Ok(None)
            }
        }
    }
}

impl Settings {
    fn problem(&self) -> Option<(&'static str, String)> {
        if self.servers.is_empty() {
            return Some(("servers", "must name at least one server".to_owned()));
        }
        if let Some(problem) = self.servers.iter().find_map(|server| client::problem_of(server)) {
            return Some(("servers", problem));
        }
        if self.pool == 0 {
            return Some(("pool", "must be at least 1".to_owned()));
        }
        if self.connect_timeout.is_zero() {
            return Some(("connect_timeout", "must be more than nothing".to_owned()));
        }
        if self.operation_timeout.is_zero() {
            return Some(("operation_timeout", "must be more than nothing".to_owned()));
        }
        if self.prefix.is_empty() || self.prefix.len() > 100 || !self.prefix.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Some(("prefix", "must be 1 to 100 visible ASCII characters".to_owned()));
        }
        None
    }
}

impl Engine {
    fn key(&self, id: &SessionId) -> String {
        format!("{}{}", self.prefix, id.storage_key())
    }

    /// The CAS number of the lock, if this fence holds it.
    fn held(lock: &Answer, fence: Fence) -> Option<u64> {
        let (cas, value) = lock.item.as_ref()?;
        (value == fence.0.to_string().as_bytes()).then_some(*cas)
    }
}

/// How often a commit reads anew when a touch came in between.
const TRIES: usize = 64;

impl Store for MemcachedStore {
    fn load(&self, id: &SessionId, now: Moment) -> Result<Option<Record>, StoreError> {
        let engine = self.engine()?;
        let key = engine.key(id);
        let [answer] = engine.client.ask(&key, &[Request::get(&key)])?.answers;
        self.record(engine, id, answer, now)
    }

    fn commit(
        &self,
        id: &SessionId,
        expected: Option<Version>,
        data: &Data,
        terms: &Terms,
    ) -> Result<Commit, StoreError> {
        let engine = self.engine()?;
        let key = engine.key(id);
        let lock_key = lock_key(&key);
        let content = wire::encode(data, LARGEST)?;
        let now = terms.now.unix_millis();
        let life = life(terms.lifetime);
        let mut item = Item {
            version: Fence::random().0,
            ends: terms.now.later(terms.lifetime).unix_millis(),
            cookie_sent: now,
            content: &content,
        };
        for _ in 0..TRIES {
            // In this order: see the top of the file.
            let [lock, record] = engine.client.ask(&key, &[Request::get(&lock_key), Request::get(&key)])?.answers;
            let there = record.item.as_ref();
            let old = there.and_then(|(_, bytes)| Item::read(bytes).ok());
            if old.as_ref().is_some_and(|old| old.version == item.version) {
                // An earlier try was kept; its answer was not heard.
            } else {
                let held = terms.fence.map(|fence| Engine::held(&lock, fence));
                if held == Some(None) {
                    return Ok(Commit::LockLost);
                }
                let alive = old.filter(|old| old.ends > now);
                if alive.as_ref().map(|old| Version(old.version)) != expected {
                    return Ok(Commit::Conflict);
                }
                item.cookie_sent = match alive {
                    Some(old) if !terms.cookie_sent => old.cookie_sent,
                    _ => now,
                };
                let bytes = item.write();
                let put = match there {
                    Some((cas, _)) => Request::replace(&key, &bytes, life, *cas),
                    None => Request::add(&key, &bytes, life),
                };
                let [put] = engine.client.ask(&key, &[put])?.answers;
                if put.outcome != Outcome::Done {
                    continue;
                }
            }
            if terms.unlock
                && let Some(cas) = terms.fence.and_then(|fence| Engine::held(&lock, fence))
            {
                engine.client.ask(&key, &[Request::delete(&lock_key, Some(cas))])?;
                engine.wakeups.wake(id);
            }
            return Ok(Commit::Committed(Version(item.version)));
        }
        Ok(Commit::Conflict)
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Result<(), StoreError> {
        let engine = self.engine()?;
        let key = engine.key(id);
        let now = terms.now.unix_millis();
        let [answer] = engine.client.ask(&key, &[Request::get(&key)])?.answers;
        let Some((cas, bytes)) = &answer.item else { return Ok(()) };
        let Ok(mut item) = Item::read(bytes) else { return Ok(()) };
        if item.ends > now {
            item.ends = terms.now.later(terms.lifetime).unix_millis();
            if terms.cookie_sent {
                item.cookie_sent = now;
            }
            // If somebody commits meanwhile, that extends the life as well.
            engine.client.ask(&key, &[Request::replace(&key, &item.write(), life(terms.lifetime), *cas)])?;
        }
        Ok(())
    }

    fn delete(&self, id: &SessionId) -> Result<(), StoreError> {
        let engine = self.engine()?;
        let key = engine.key(id);
        engine.client.ask(&key, &[Request::delete(&key, None)]).map(drop)
    }

    /// Nothing: memcached ends records by itself.
    fn sweep(&self, _: Moment) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// Not known: memcached does not list its items.
    fn count(&self) -> Result<Option<usize>, StoreError> {
        Ok(None)
    }

    fn probe(&self) -> Result<(), StoreError> {
        let engine = self.engine()?;
        engine.client.check_versions()?;
        let (id, now) = (SessionId::random(), Moment::now());
        let terms = Terms { now, lifetime: Duration::from_secs(10), cookie_sent: true, fence: None, unlock: false };
        let mut data = Data::new();
        data.insert("probe", true.into());
        let committed = self.commit(&id, None, &data, &terms)?;
        let loaded = self.load(&id, now)?;
        self.delete(&id)?;
        if !matches!(committed, Commit::Committed(_)) || loaded.is_none_or(|record| record.data != data) {
            let what = "memcached did not keep what was written to it for a test; is its memory full?";
            return Err(StoreError::new(what, engine.client.place_of(&engine.key(&id))));
        }
        Ok(())
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        Some(self)
    }

    fn expires_by_itself(&self) -> bool {
        true
    }

    /// Each was deleted.
    fn quarantined(&self) -> u64 {
        self.quarantined.load(Ordering::Relaxed)
    }

    fn configure(&self, reader: &mut SettingReader<'_>) -> Result<(), SettingError> {
        let mut settings = self.settings.lock().clone();
        reader.texts("servers", &mut settings.servers)?;
        reader.count("pool", &mut settings.pool)?;
        reader.duration("connect_timeout", &mut settings.connect_timeout)?;
        reader.duration("operation_timeout", &mut settings.operation_timeout)?;
        reader.text("prefix", &mut settings.prefix)?;
        if let Some((key, problem)) = settings.problem() {
            return Err(SettingError::new(key, problem));
        }
        let mut current = self.settings.lock();
        if *current != settings && self.engine.get().is_some() {
            let problem = "the store is in use already; set it where the sessions are switched on";
            return Err(SettingError::new("servers", problem));
        }
        *current = settings;
        Ok(())
    }
}

impl SharedLock for MemcachedStore {
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Result<Option<Grant>, StoreError> {
        let engine = self.engine()?;
        let (fence, key) = (Fence::random(), engine.key(id));
        let lock_key = lock_key(&key);
        let value = fence.0.to_string();
        // The record is read after the lock was taken: in the same message, which the server works off in order.
        let requests = [Request::add(&lock_key, value.as_bytes(), life(lease)), Request::get(&key)];
        let asked = engine.client.ask(&key, &requests)?;
        let [lock, mut record] = asked.answers;
        if lock.outcome != Outcome::Done {
            // Perhaps it was the first of two tries that got it.
            if !asked.was_repeated {
                return Ok(None);
            }
            let [lock, again] = engine.client.ask(&key, &[Request::get(&lock_key), Request::get(&key)])?.answers;
            if Engine::held(&lock, fence).is_none() {
                return Ok(None);
            }
            record = again;
        }
        Ok(Some(Grant { fence, record: Some(self.record(engine, id, record, Moment::now())?) }))
    }

    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        let engine = self.engine()?;
        Ok(engine.wakeups.watch(engine, id, waker))
    }

    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Result<bool, StoreError> {
        let engine = self.engine()?;
        let key = engine.key(id);
        let lock_key = lock_key(&key);
        for _ in 0..2 {
            let [lock] = engine.client.ask(&key, &[Request::get(&lock_key)])?.answers;
            let Some(cas) = Engine::held(&lock, fence) else { return Ok(false) };
            let value = fence.0.to_string();
            let [put] =
                engine.client.ask(&key, &[Request::replace(&lock_key, value.as_bytes(), life(lease), cas)])?.answers;
            if put.outcome == Outcome::Done {
                return Ok(true);
            }
            // A first try whose answer was not heard has changed the number; what counts is the fence.
        }
        Ok(false)
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Result<(), StoreError> {
        let engine = self.engine()?;
        let key = engine.key(id);
        let lock_key = lock_key(&key);
        let [lock] = engine.client.ask(&key, &[Request::get(&lock_key)])?.answers;
        if let Some(cas) = Engine::held(&lock, fence) {
            engine.client.ask(&key, &[Request::delete(&lock_key, Some(cas))])?;
            engine.wakeups.wake(id);
        }
        Ok(())
    }
}

impl std::fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemcachedStore").field("servers", &self.settings.lock().servers).finish_non_exhaustive()
    }
}

/// A session as an item: three numbers, eight bytes each, the first byte first, and the content.
struct Item<'c> {
    version: u64,
    ends: u64,
    cookie_sent: u64,
    content: &'c [u8],
}

impl<'c> Item<'c> {
    fn read(bytes: &'c [u8]) -> Result<Self, String> {
        let too_short = || "a session cannot be read: it is too short".to_owned();
        let (version, rest) = bytes.split_first_chunk().ok_or_else(too_short)?;
        let (ends, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
        let (cookie_sent, content) = rest.split_first_chunk().ok_or_else(too_short)?;
        let [version, ends, cookie_sent] = [version, ends, cookie_sent].map(|number| u64::from_be_bytes(*number));
        Ok(Self { version, ends, cookie_sent, content })
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + self.content.len());
        [self.version, self.ends, self.cookie_sent].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
        bytes.extend_from_slice(self.content);
        bytes
    }

    fn record(&self, now: Moment) -> Result<Option<Record>, String> {
        let now = now.unix_millis();
        let data = wire::decode(self.content).map_err(|problem| problem.to_string())?;
        Ok((self.ends > now).then(|| Record {
            data,
            version: Version(self.version),
            remaining: Duration::from_millis(self.ends - now),
            cookie_age: Duration::from_millis(now.saturating_sub(self.cookie_sent)),
        }))
    }
}

/// What fits into an item of 1 MiB beside the names and numbers.
const LARGEST: usize = (1 << 20) - 1024;

fn lock_key(key: &str) -> String {
    format!("{key}:lock")
}

/// Whole seconds, one more than asked for: memcached's clock ticks once a second. Above thirty days it takes a point in time instead.
fn life(duration: Duration) -> u64 {
    const MONTH: u64 = 30 * 24 * 3600;
    const LONGEST: u64 = 20 * 365 * 24 * 3600;
    let seconds = duration.as_secs().min(LONGEST) + u64::from(duration.subsec_nanos() > 0) + 1;
    if seconds <= MONTH {
        return seconds;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_secs() + seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_name_their_key() {
        for (text, start) in [
            ("servers = []", "`servers` must name at least one"),
            ("servers = ['a b']", "`servers` "),
            ("servers = 'one'", "`servers` "),
            ("pool = 0", "`pool` must be at least 1"),
            ("operation_timeout = '0s'", "`operation_timeout` must be"),
            ("prefix = 'a b'", "`prefix` must be 1 to 100"),
            ("server = ['one']", "`server` is not a setting; did you mean `servers`?"),
        ] {
            let table = text.parse().expect("TOML");
            let mut reader = SettingReader::new(&table);
            let store = MemcachedStore::new(["127.0.0.1"]);
            let problem = store.configure(&mut reader).and_then(|()| reader.finish()).expect_err(text).to_string();
            assert!(problem.starts_with(start), "{text}: {problem}");
        }
    }

    #[test]
    fn a_life_is_rounded_up_and_a_long_one_is_a_point_in_time() {
        assert_eq!([life(Duration::from_secs(60)), life(Duration::from_millis(1))], [61, 2]);
        assert!(life(Duration::from_secs(31 * 24 * 3600)) > 1_700_000_000);
        assert!(life(Duration::MAX) < 1 << 32);
    }
}
