//! Sessions in memcached: one server, or several among which the sessions are spread.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | [`MemcachedStore`] and its settings; the store and its lock in terms of items |
//! | `client` | the servers, the choice of the server for a session, and the requests to them |
//! | `connection` | one connection, and the answers that come over it |
//! | `locks` | which locks are free |
//!
//! A session is an item (version, end of life, when the cookie was sent, content). Its lock is another item beside it
//! on the same server: the fence, with the lease as its life, set with `add`, so that the second caller finds it there.
//!
//! memcached compares one item at a time, so a commit cannot check the lock and write the record in one step. It reads
//! **the lock first, then the record** with its CAS number, and writes only over that very number. If the lease lapses
//! in between and another request takes the lock, one of the two commits finds another number or another version than
//! it read, and is refused: an update is never lost.

mod client;
mod connection;
mod locks;

use super::company::How;
use super::kept::{Head, probe_by_writing};
use super::polling::PolledLocks;
use crate::databases::{Configured, Connections, StoreSettings, connection_builders};
use crate::sessions::{
    Answer, Answers, Commit, Data, Fence, Grant, Moment, Record, SessionId, Sessions, SharedLock, Store, StoreError,
    Terms, Version, Watch, detached, wire,
};
use crate::settings::{SettingError, SettingRow, SettingTable};
use client::{Client, Request};
use connection::{Outcome, Reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, SystemTime};

impl Sessions {
    /// Sessions that are kept in memcached, shared by all processes that use the same servers and prefix (feature
    /// `memcached`).
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
/// # Limits
/// * It is a cache. A restart ends all sessions of that server; when its memory is full, the ones used longest ago go
///   silently.
/// * A lock may be evicted like any item. Then two requests may hold the lock of one session; the second commit is
///   refused as a conflict, so no update is lost, but a request fails.
/// * A session has at most about 1 MiB (memcached's item size).
/// * Leases count in whole seconds and are rounded up: the lock of a killed process comes free up to two seconds late.
/// * No message tells when another process gives a lock back: one thread looks, every 1 to 20 ms, while a request
///   waits. Which process comes next is chance.
/// * Sessions cannot be counted, and there are no passwords: let memcached listen on a private address only.
/// * A server that is away is not replaced by another, since there would be two truths: its sessions answer 503 until
///   it is back. Adding or removing a server moves the sessions of one, not of all.
pub struct MemcachedStore {
    configured: Configured<Settings>,
}

#[derive(Clone, PartialEq, Eq, crate::settings::Settings)]
#[settings(check = Self::check, builders_on = MemcachedStore)]
struct Settings {
    /// The servers, each as `host`, `host:port` or `unix:/path`; a session is on one of them.
    #[setting(given, no_builder)]
    servers: Vec<String>,
    #[setting(flatten, default = Connections::new(16))]
    connections: Connections,
    /// How the names of all items begin.
    #[setting(default = "kirsch:session:")]
    prefix: String,
}

struct Engine {
    client: Client,
    prefix: String,
    waiters: PolledLocks,
    quarantined: AtomicU64,
}

connection_builders! {
    /// Maximum of connections of this process to each server (`pool`, default 16).
    MemcachedStore
}

impl MemcachedStore {
    /// A store on these servers. Nothing is connected before the start; a malformed address stops it.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { configured: Configured::new(Settings::defaults(servers.into_iter().map(Into::into).collect())) }
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.configured.change(change);
        self
    }

    fn engine(&self) -> Result<&Arc<Engine>, StoreError> {
        self.configured.engine()
    }
}

impl Settings {
    fn check(&self) -> Result<(), SettingError> {
        self.problem().map_or(Ok(()), |(key, problem)| Err(SettingError::new(key, problem)))
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        if self.servers.is_empty() {
            return Some(("servers", "must name at least one server".to_owned()));
        }
        let is_prefix =
            (1..=100).contains(&self.prefix.len()) && self.prefix.bytes().all(|byte| byte.is_ascii_graphic());
        let prefix = || (!is_prefix).then(|| ("prefix", "must be 1 to 100 visible ASCII characters".to_owned()));
        let server = self.servers.iter().find_map(|server| client::problem_of(server));
        server.map(|problem| ("servers", problem)).or_else(prefix)
    }
}

impl StoreSettings for Settings {
    type Engine = Arc<Engine>;
    const PLACE: &'static str = "servers";

    fn open(self) -> Result<Arc<Engine>, String> {
        let client = Client::new(&self.servers, self.connections);
        let (waiters, quarantined) = (PolledLocks::default(), AtomicU64::new(0));
        Ok(Arc::new(Engine { client, prefix: self.prefix, waiters, quarantined }))
    }
}

impl Engine {
    fn key(&self, id: &SessionId) -> String {
        format!("{}{}", self.prefix, id.storage_key())
    }

    /// The CAS number of the lock, if this fence holds it.
    fn held(lock: &Reply, fence: Fence) -> Option<u64> {
        let (cas, value) = lock.item.as_ref()?;
        (value == fence.0.to_string().as_bytes()).then_some(*cas)
    }

    /// Whether it was done; an error if the server cannot do it.
    fn is_done(&self, key: &str, answer: Reply) -> Result<bool, StoreError> {
        match answer.outcome {
            Outcome::Done => Ok(true),
            Outcome::NotDone => Ok(false),
            Outcome::Failed(words) => {
                let is_full = words.contains("out of memory");
                let what = if is_full { "the memory of memcached is full" } else { "memcached refuses" };
                Err(StoreError::new(what, self.client.place_of(key)).because(words))
            }
        }
    }

    async fn load(&self, id: &SessionId, now: Moment) -> Result<Option<Record>, StoreError> {
        let key = self.key(id);
        let [answer] = self.client.ask(&key, &[Request::get(&key)]).await?.answers;
        self.record(id, answer, now).await
    }

    /// The record in an answer. An unreadable one is deleted, so that the visitor can begin again.
    async fn record(&self, id: &SessionId, answer: Reply, now: Moment) -> Result<Option<Record>, StoreError> {
        let Some((cas, bytes)) = answer.item else { return Ok(None) };
        match record(&bytes, now) {
            Ok(record) => Ok(record),
            Err(problem) => {
                crate::line::record!(Error, target: "kirsch::sessions", "{problem} (session {id}, deleted from memcached)");
                self.quarantined.fetch_add(1, Ordering::Relaxed);
                let key = self.key(id);
                self.client.ask(&key, &[Request::delete(&key, Some(cas))]).await?;
                Ok(None)
            }
        }
    }

    async fn commit(
        &self,
        id: &SessionId,
        expected: Option<Version>,
        content: Vec<u8>,
        terms: Terms,
    ) -> Result<Commit, StoreError> {
        let key = self.key(id);
        let lock_key = lock_key(&key);
        let life = life(terms.lifetime);
        let mut head = Head::new(Fence::random().0, &terms);
        let now = head.cookie_sent;
        for _ in 0..TRIES {
            // In this order: see the top of the file.
            let [lock, there] = self.client.ask(&key, &[Request::get(&lock_key), Request::get(&key)]).await?.answers;
            let old = there.item.as_ref().and_then(|(_, bytes)| Head::of_bytes(bytes)).map(|(old, _)| old);
            if old.is_some_and(|old| old.version == head.version) {
                // An earlier try was kept; its answer was not heard.
            } else {
                let held = terms.fence.map(|fence| Self::held(&lock, fence));
                if held == Some(None) {
                    return Ok(Commit::LockLost);
                }
                let alive = old.filter(|old| old.ends > now);
                if alive.map(|old| Version(old.version)) != expected {
                    return Ok(Commit::Conflict);
                }
                head.cookie_sent = alive.filter(|_| !terms.cookie_sent).map_or(now, |old| old.cookie_sent);
                let item = head.with(&content);
                let put = match there.item {
                    Some((cas, _)) => Request::replace(&key, &item, life, cas),
                    None => Request::add(&key, &item, life),
                };
                let [put] = self.client.ask(&key, &[put]).await?.answers;
                if !self.is_done(&key, put)? {
                    continue;
                }
            }
            if terms.unlock
                && let Some(cas) = terms.fence.and_then(|fence| Self::held(&lock, fence))
            {
                self.client.ask(&key, &[Request::delete(&lock_key, Some(cas))]).await?;
                self.waiters.wake(id);
            }
            return Ok(Commit::Committed(Version(head.version)));
        }
        Ok(Commit::Conflict)
    }

    async fn touch(&self, id: &SessionId, terms: Terms) -> Result<(), StoreError> {
        let key = self.key(id);
        let [answer] = self.client.ask(&key, &[Request::get(&key)]).await?.answers;
        let Some((cas, bytes)) = &answer.item else { return Ok(()) };
        let Some((old, content)) = Head::of_bytes(bytes) else { return Ok(()) };
        let mut head = Head::new(old.version, &terms);
        if old.ends > head.cookie_sent {
            if !terms.cookie_sent {
                head.cookie_sent = old.cookie_sent;
            }
            // A commit in between extends the life as well.
            let put = Request::replace(&key, &head.with(content), life(terms.lifetime), *cas);
            self.client.ask(&key, &[put]).await?;
        }
        Ok(())
    }

    async fn try_lock(self: &Arc<Self>, id: &SessionId, lease: Duration) -> Result<Option<Grant>, StoreError> {
        let (fence, key) = (Fence::random(), self.key(id));
        let lock_key = lock_key(&key);
        let value = fence.0.to_string();
        // The record is read after the lock was taken: in the same message, which the server works off in order.
        let requests = [Request::add(&lock_key, value.as_bytes(), life(lease)), Request::get(&key)];
        // From here on the server may have granted it.
        let mut unclaimed = Unclaimed { engine: Arc::clone(self), id: *id, fence: Some(fence) };
        let asked = self.client.ask(&key, &requests).await?;
        let [lock, mut record] = asked.answers;
        if !self.is_done(&key, lock)? {
            // Perhaps it was the first of two tries that got it.
            let held = if asked.was_repeated {
                let [lock, again] =
                    self.client.ask(&key, &[Request::get(&lock_key), Request::get(&key)]).await?.answers;
                record = again;
                Self::held(&lock, fence)
            } else {
                None
            };
            if held.is_none() {
                unclaimed.fence = None;
                return Ok(None);
            }
        }
        let record = self.record(id, record, Moment::now()).await?;
        unclaimed.fence = None;
        Ok(Some(Grant { fence, record: Some(record) }))
    }

    async fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Result<bool, StoreError> {
        let key = self.key(id);
        let lock_key = lock_key(&key);
        for _ in 0..2 {
            let [lock] = self.client.ask(&key, &[Request::get(&lock_key)]).await?.answers;
            let Some(cas) = Self::held(&lock, fence) else { return Ok(false) };
            let put = Request::replace(&lock_key, fence.0.to_string().as_bytes(), life(lease), cas);
            let [put] = self.client.ask(&key, &[put]).await?.answers;
            if self.is_done(&key, put)? {
                return Ok(true);
            }
            // A first try whose answer was lost has changed the number; the fence decides.
        }
        Ok(false)
    }

    async fn unlock(&self, id: &SessionId, fence: Fence, how: How) -> Result<(), StoreError> {
        let key = self.key(id);
        let lock_key = lock_key(&key);
        let [lock] = self.client.ask_as(how, &key, &[Request::get(&lock_key)]).await?.answers;
        if let Some(cas) = Self::held(&lock, fence) {
            self.client.ask_as(how, &key, &[Request::delete(&lock_key, Some(cas))]).await?;
            self.waiters.wake(id);
        }
        Ok(())
    }
}

/// A requested lock. If the caller has gone, a granted lock goes back.
struct Unclaimed {
    engine: Arc<Engine>,
    id: SessionId,
    fence: Option<Fence>,
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(fence) = self.fence {
            let (engine, id) = (Arc::clone(&self.engine), self.id);
            detached::finish(async move {
                if let Err(error) = engine.unlock(&id, fence, How::AfterAll).await {
                    crate::line::record!(Debug, target: "kirsch::sessions", "{error}");
                }
            });
        }
    }
}

/// How often a commit reads again when a touch came in between.
const TRIES: usize = 64;

impl Store for MemcachedStore {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        let id = *id;
        self.configured.answer(|engine| Ok(async move { engine.load(&id, now).await }))
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        let (id, terms) = (*id, *terms);
        self.configured.answer(|engine| {
            let content = wire::encode(data, LARGEST)?;
            Ok(async move { engine.commit(&id, expected, content, terms).await })
        })
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        let (id, terms) = (*id, *terms);
        self.configured.answer(|engine| Ok(async move { engine.touch(&id, terms).await }))
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        self.configured.answer(|engine| {
            let key = engine.key(id);
            Ok(async move { engine.client.ask(&key, &[Request::delete(&key, None)]).await.map(drop) })
        })
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
        let names = self.configured.settings().servers.join(", ");
        let lost = "memcached did not keep what was written to it for a test; is its memory full?";
        probe_by_writing(self, &format!("memcached {names}"), lost)
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        Some(self)
    }

    fn answers(&self) -> Answers {
        Answers::Later
    }

    fn expires_by_itself(&self) -> bool {
        true
    }

    /// Each was deleted.
    fn quarantined(&self) -> u64 {
        self.engine().map_or(0, |engine| engine.quarantined.load(Ordering::Relaxed))
    }

    fn configure(&self, settings: &SettingTable) -> Result<(), SettingError> {
        self.configured.configure(settings)
    }

    fn setting_rows(&self) -> Vec<SettingRow> {
        self.configured.setting_rows()
    }
}

impl SharedLock for MemcachedStore {
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Answer<Option<Grant>> {
        let id = *id;
        self.configured.answer(|engine| Ok(async move { engine.try_lock(&id, lease).await }))
    }

    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        let engine = self.engine()?;
        engine.waiters.watch(engine, id, waker)
    }

    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Answer<bool> {
        let id = *id;
        self.configured.answer(|engine| Ok(async move { engine.renew(&id, fence, lease).await }))
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Answer<()> {
        let id = *id;
        self.configured.answer(|engine| Ok(async move { engine.unlock(&id, fence, How::Soonest).await }))
    }
}

impl std::fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemcachedStore").field("servers", &self.configured.settings().servers).finish_non_exhaustive()
    }
}

/// A session as an item: the three numbers of its head, eight bytes each, the first byte first, and the content.
impl Head {
    fn of_bytes(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (ends, rest) = rest.split_first_chunk()?;
        let (cookie_sent, content) = rest.split_first_chunk()?;
        let [version, ends, cookie_sent] = [version, ends, cookie_sent].map(|number| u64::from_be_bytes(*number));
        Some((Self { version, ends, cookie_sent }, content))
    }

    fn with(&self, content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + content.len());
        [self.version, self.ends, self.cookie_sent].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
        bytes.extend_from_slice(content);
        bytes
    }
}

fn record(bytes: &[u8], now: Moment) -> Result<Option<Record>, String> {
    let (head, content) = Head::of_bytes(bytes).ok_or("a session cannot be read: it is too short")?;
    let data = wire::decode(content).map_err(|problem| problem.to_string())?;
    Ok(head.record(data, now))
}

/// The room in an item of 1 MiB beside the names and numbers.
const LARGEST: usize = (1 << 20) - 1024;

fn lock_key(key: &str) -> String {
    format!("{key}:lock")
}

/// Whole seconds, one more than asked for: memcached's clock ticks once a second. Above thirty days it takes a point in
/// time instead.
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
            let store = MemcachedStore::new(["127.0.0.1"]);
            let problem = store.configure(&table).expect_err(text).to_string();
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
