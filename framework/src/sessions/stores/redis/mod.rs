//! Sessions in Redis or Valkey: one server, a primary that Sentinels name, or a Cluster.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | [`RedisStore`] and its settings; the store and its lock in terms of scripts |
//! | `batch` | requests that go together, in the form for the server |
//! | `request` | keys, the head of a record, commands and calls of scripts as they are sent |
//! | `scripts` | the scripts that the server runs in one step |
//! | `trips` | requests on their way, in company |
//!
//! A session is one string `{key}`: a head of fixed width (version, end of life, when the cookie was sent) and the
//! content. Two keys are beside it, with the same hash tag and so on the same node of a Cluster. `{key}:lock` is the
//! fence, with the lease as its life, and a `w` behind it if others wait; or `!` and the store that had the lock just
//! now and lets others go first. `{key}:wait` is the set of stores that wait for the lock.
//!
//! A request costs two round trips: a pipeline of `SET NX` and `GET` takes the lock and returns the record, a script
//! checks the fence, commits, gives the lock back and wakes the waiters. Where the lock is taken, or was left to
//! others, a script says for how long, and notes the waiter. Everything may be sent twice: the caller draws a version
//! and a fence, so that the second run finds the result of the first one.

mod batch;
mod request;
mod scripts;
mod trips;

use super::kept::{Head, millis, probe_by_writing};
use crate::databases::listening::Listening;
use crate::databases::redis::{Address, check_prefix};
use crate::databases::{Configured, Connections, StoreSettings, connection_builders};
use crate::sessions::answer::wait_for;
use crate::sessions::stores::wakeups::{Announcing, Wakeups};
use crate::sessions::{
    Answer, Answers, Commit, Data, Fence, Grant, Moment, Record, SessionId, Sessions, SharedLock, Store, StoreError,
    Terms, Version, Watch, wire,
};
use crate::settings::{Secret, SettingError, SettingRow, SettingTable};
use ::redis::Value;
use request::{Call, Commands, Keys, Request, Script, version_text};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;
use trips::Trips;

impl Sessions {
    /// Sessions that are kept in Redis or Valkey, shared by all processes that use the same server and prefix (feature
    /// `redis`).
    ///
    /// ```no_run
    /// use kirsch::prelude::*;
    ///
    /// # struct Shop;
    /// # #[handlers]
    /// # impl Shop {}
    /// App::new(Shop).tool("/", Sessions::redis("redis://127.0.0.1:6379")).serve("127.0.0.1:8080")?;
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    ///
    /// The forms of the address, and the other settings, are those of [`RedisStore`].
    #[must_use]
    pub fn redis(url: impl Into<String>) -> Self {
        Self::new(RedisStore::new(url))
    }
}

/// Keeps sessions in Redis or Valkey (Redis 5 and above; 7.0 is tested).
///
/// ```
/// use kirsch::{Sessions, sessions::RedisStore};
/// use std::time::Duration;
///
/// let store = RedisStore::new("redis://shop:secret@127.0.0.1:6379/2")
///     .pool(32)
///     .operation_timeout(Duration::from_millis(500))
///     .prefix("shop:session:");
/// let sessions = Sessions::new(store);
/// ```
///
/// Redis ends sessions by itself, so nothing is swept, and nothing is counted. Sessions that Redis loses, at a restart
/// without `appendonly` or to an eviction policy `allkeys-*`, are lost; the start logs a warning about such a policy.
/// The lock of a session is a lease: it outlives a killed process by at most that. Machines that share a store need
/// clocks that agree to the second (NTP).
///
/// While Redis is away, starts, or refuses writes, requests that need a session are answered with 503 and the log says
/// why; connections come back by themselves. Credentials in the address appear in no log and no error.
pub struct RedisStore {
    configured: Configured<Settings>,
}

#[derive(Clone, PartialEq, Eq, crate::settings::Settings)]
#[settings(check = Self::check, builders_on = RedisStore)]
struct Settings {
    /// Where Redis is: `redis://[user:password@]host:port/database`, `rediss://` with TLS; or several, for Sentinels or
    /// a Cluster.
    #[setting(given, no_builder)]
    url: Secret,
    #[setting(flatten, default = Connections::new(16))]
    connections: Connections,
    /// How the names of all keys and channels begin; two programs on one database need two.
    #[setting(default = "kirsch:session:")]
    prefix: String,
}

connection_builders! {
    /// Maximum of connections of this process (`pool`, default 16). More workers than that wait for one another, each
    /// for a round trip.
    RedisStore
}

impl RedisStore {
    /// A store at this address. Nothing is connected before the start; a malformed address stops it.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { configured: Configured::new(Settings::defaults(Secret::text(url))) }
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.configured.change(change);
        self
    }

    fn engine(&self) -> Result<&Arc<Engine>, StoreError> {
        self.configured.engine()
    }
}

/// Maximum of one value in Redis. The tool's own limit is far below.
const LARGEST: usize = 512 << 20;

impl Settings {
    fn check(&self) -> Result<(), SettingError> {
        check_prefix(&self.prefix).map_err(|problem| SettingError::new("prefix", problem))?;
        Address::parse(self.url.exposed()).map(drop).map_err(|problem| SettingError::new("url", problem))
    }
}

impl StoreSettings for Settings {
    type Engine = Arc<Engine>;
    const PLACE: &'static str = "url";

    fn open(self) -> Result<Arc<Engine>, String> {
        let links = Trips::new(Address::parse(self.url.exposed())?, self.connections);
        let (store, wakeups, quarantined) = (SessionId::random().reveal(), Wakeups::default(), AtomicU64::new(0));
        Ok(Arc::new(Engine { settings: self, links, store, wakeups, quarantined }))
    }
}

/// The values that are there once the settings are final.
struct Engine {
    settings: Settings,
    links: Arc<Trips>,
    /// The name of this store among those that wait for a lock, and of its channel behind the prefix of channels.
    store: String,
    wakeups: Wakeups,
    quarantined: AtomicU64,
}

impl Engine {
    fn channel(&self) -> String {
        format!("{}wake:{}", self.settings.prefix, self.store)
    }

    fn keys(&self, id: &SessionId) -> Keys {
        Keys::new(&self.settings.prefix, &id.storage_key())
    }

    /// The answer of a script that says a number.
    async fn number(&self, script: &Script, call: &Request) -> Result<i64, StoreError> {
        match self.links.run(script, call).await? {
            Value::Int(number) => Ok(number),
            _ => Err(StoreError::new("Redis answers something else than the script says", self.links.place())),
        }
    }

    /// The record of these bytes. An unreadable one is put aside, so that the visitor can begin again.
    async fn record(
        &self,
        id: &SessionId,
        keys: &Keys,
        bytes: &[u8],
        now: Moment,
    ) -> Result<Option<Record>, StoreError> {
        let problem = match Head::of_text(bytes) {
            Some((head, _)) if head.ends <= now.unix_millis() => return Ok(None),
            Some((head, content)) => match wire::decode(content) {
                Ok(data) => return Ok(head.record(data, now)),
                Err(problem) => problem.to_string(),
            },
            None => "a session cannot be read: it does not begin as one".to_owned(),
        };
        let aside = keys.record_name();
        crate::line::record!(Error, target: "kirsch::sessions", "{problem} (session {id}, kept aside as {aside}:unreadable)");
        self.quarantined.fetch_add(1, Ordering::Relaxed);
        let head = &bytes[..bytes.len().min(Head::LENGTH)];
        self.links.run(&scripts::SET_ASIDE, &scripts::SET_ASIDE.of(keys, &[head])).await?;
        Ok(None)
    }

    async fn load(&self, keys: &Keys, id: &SessionId, now: Moment) -> Result<Option<Record>, StoreError> {
        let answer = self.links.send(&Commands::of(&[b"GET", keys.record()]).into()).await?.pop();
        match self.links.value(answer)? {
            Value::BulkString(bytes) => self.record(id, keys, &bytes, now).await,
            _ => Ok(None),
        }
    }

    fn committing(
        &self,
        id: &SessionId,
        expected: Option<Version>,
        data: &Data,
        terms: &Terms,
    ) -> Result<Committing, StoreError> {
        let content = wire::encode(data, LARGEST)?;
        // Drawn, not counted: no two records of an id ever have the same, though one was deleted in between.
        let version = Fence::random().0;
        let (head, life) = life(version, terms);
        let (head, now) = head.split_at(Head::COOKIE);
        let expected = expected.map(|version| version_text(version.0));
        let (mut fence_text, mut life_text) = (itoa::Buffer::new(), itoa::Buffer::new());
        let fence = terms.fence.map_or("", |fence| fence_text.format(fence.0));
        let life = life_text.format(life);
        let how: &[u8] = match (terms.unlock && terms.fence.is_some(), terms.cookie_sent) {
            (false, false) => b"00",
            (false, true) => b"01",
            (true, false) => b"10",
            (true, true) => b"11",
        };
        let expected = expected.as_ref().map_or(&[][..], |text| text);
        let shared = [self.store.as_bytes(), life.as_bytes(), how];
        let arguments = [fence.as_bytes(), expected, head, now, &content];
        let keys = self.keys(id);
        let call = Call::new(&scripts::COMMIT, &shared, &[keys.record(), keys.lock()], &arguments).into();
        Ok(Committing { version: Version(version), call })
    }

    async fn commit(&self, commit: Committing) -> Result<Commit, StoreError> {
        match self.number(&scripts::COMMIT, &commit.call).await? {
            0 => Ok(Commit::Committed(commit.version)),
            1 => Ok(Commit::Conflict),
            _ => Ok(Commit::LockLost),
        }
    }

    async fn try_lock(self: &Arc<Self>, id: &SessionId, lease: Duration) -> Result<Option<Grant>, StoreError> {
        let (fence, keys) = (Fence::random(), self.keys(id));
        let (mut fence_text, mut lease_text) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (text, lease) = (fence_text.format(fence.0), lease_text.format(millis(lease)));
        // From here on the server may have granted it.
        let mut unclaimed = Unclaimed { engine: self, keys: &keys, fence: Some(fence) };
        let is_watched = self.wakeups.is_watched(keys.name());
        let record = if is_watched || self.links.are_several() {
            None
        } else {
            // Mostly the lock is free, and two commands do.
            let mut both = Commands::with_room_for(2 * keys.lock().len() + 120);
            both.add(&[b"SET", keys.lock(), text.as_bytes(), b"NX", b"PX", lease.as_bytes()]);
            both.add(&[b"GET", keys.record()]);
            let mut answers = self.links.send(&both.into()).await?.into_iter();
            match self.links.value(answers.next())? {
                Value::Nil => None,
                _ => Some(self.links.value(answers.next())?),
            }
        };
        let record = match record {
            Some(record) => record,
            None => {
                let store = self.store.as_bytes();
                let arguments = [text.as_bytes(), lease.as_bytes(), flag(is_watched), store];
                self.links.run(&scripts::LOCK, &scripts::LOCK.of(&keys, &arguments)).await?
            }
        };
        let record = match record {
            Value::Int(left) => {
                unclaimed.fence = None;
                if is_watched {
                    self.wakeups.lapses_in(self, keys.name(), left);
                }
                return Ok(None);
            }
            Value::BulkString(bytes) => self.record(id, &keys, &bytes, Moment::now()).await?,
            _ => None,
        };
        unclaimed.fence = None;
        Ok(Some(Grant { fence, record: Some(record) }))
    }

    fn unlocking(&self, keys: &Keys, fence: Fence) -> Request {
        scripts::UNLOCK.of(keys, &[fence.0.to_string().as_bytes(), self.store.as_bytes()])
    }
}

/// A commit as it is sent.
struct Committing {
    version: Version,
    call: Request,
}

/// A requested lock. If the caller has gone, a granted lock goes back.
struct Unclaimed<'e> {
    engine: &'e Engine,
    keys: &'e Keys,
    fence: Option<Fence>,
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if let Some(fence) = self.fence {
            self.engine.links.post(self.engine.unlocking(self.keys, fence));
        }
    }
}

impl Store for RedisStore {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        let id = *id;
        self.configured.answer(|engine| Ok(async move { engine.load(&engine.keys(&id), &id, now).await }))
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        self.configured.answer(|engine| {
            let commit = engine.committing(id, expected, data, terms)?;
            Ok(async move { engine.commit(commit).await })
        })
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        self.configured.answer(|engine| {
            let (head, life) = life(0, terms);
            let (mut text, is_sent) = (itoa::Buffer::new(), flag(terms.cookie_sent));
            let call = scripts::TOUCH.of(&engine.keys(id), &[&head, is_sent, text.format(life).as_bytes()]);
            Ok(async move { engine.links.run(&scripts::TOUCH, &call).await.map(drop) })
        })
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        self.configured.answer(|engine| {
            let call = Commands::of(&[b"DEL", engine.keys(id).record()]).into();
            Ok(async move {
                let answer = engine.links.send(&call).await?.pop();
                engine.links.value(answer).map(drop)
            })
        })
    }

    /// Nothing: Redis ends records by itself.
    fn sweep(&self, _: Moment) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// Not known: counting would read the name of every key in the database.
    fn count(&self) -> Result<Option<usize>, StoreError> {
        Ok(None)
    }

    fn probe(&self) -> Result<(), StoreError> {
        let engine = self.engine()?;
        let lost = "Redis did not keep what was written to it for a test; is it about to evict everything?";
        probe_by_writing(self, engine.links.place(), lost)?;
        engine.links.warn_of_evictions("sessions and locks");
        Ok(())
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

    /// Each was put aside, as `{key}:unreadable`, until its life ends.
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

impl SharedLock for RedisStore {
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Answer<Option<Grant>> {
        let id = *id;
        self.configured.answer(|engine| Ok(async move { engine.try_lock(&id, lease).await }))
    }

    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        let engine = self.engine()?;
        let keys = engine.keys(id);
        let watch = engine.wakeups.watch(engine, id, keys.name(), waker);
        let left = wait_for(engine.announce(&keys))?;
        engine.wakeups.lapses_in(engine, keys.name(), left);
        Ok(watch)
    }

    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Answer<bool> {
        self.configured.answer(|engine| {
            let (fence, lease) = (fence.0.to_string(), millis(lease).to_string());
            let call = scripts::RENEW.of(&engine.keys(id), &[fence.as_bytes(), lease.as_bytes()]);
            Ok(async move { Ok(engine.number(&scripts::RENEW, &call).await? == 1) })
        })
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Answer<()> {
        self.configured.answer(|engine| {
            let call = engine.unlocking(&engine.keys(id), fence);
            Ok(async move { engine.links.run(&scripts::UNLOCK, &call).await.map(drop) })
        })
    }
}

impl Engine {
    /// Says that this store waits for the lock. Returns in how many milliseconds it may be free; negative: now.
    async fn announce(&self, keys: &Keys) -> Result<i64, StoreError> {
        self.number(&scripts::WATCH, &scripts::WATCH.of(keys, &[self.store.as_bytes()])).await
    }
}

impl Announcing for Engine {
    const THREAD: &'static str = "kirsch-redis-listener";
    /// So that the registrations of dead processes are forgotten.
    const FORGETS: bool = true;

    fn wakeups(&self) -> &Wakeups {
        &self.wakeups
    }

    fn place(&self) -> &str {
        self.links.place()
    }

    fn listen(&self, listening: &mut Listening<'_>) -> Result<(), StoreError> {
        self.links.listen(&self.channel(), listening)
    }

    fn register(self: &Arc<Self>, name: &str) -> Result<i64, StoreError> {
        wait_for(self.announce(&Keys::new(&self.settings.prefix, name)))
    }

    fn nudge(self: &Arc<Self>) {
        let mut command = ::redis::cmd("PUBLISH");
        command.arg(self.channel()).arg("");
        if let Err(error) = self.links.call(|link| link.query::<()>(&command)) {
            crate::line::record!(Debug, target: "kirsch::sessions", "{error}");
        }
    }
}

/// Shows no credentials.
impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let engine = self.configured.engine_in_use();
        let place = engine.map_or("not connected yet", |engine| engine.links.place());
        f.debug_struct("RedisStore").field("place", &place).finish_non_exhaustive()
    }
}

fn flag(is_so: bool) -> &'static [u8] {
    if is_so { b"1" } else { b"0" }
}

/// The head of a record that lives on under these terms, and for how many milliseconds it does.
fn life(version: u64, terms: &Terms) -> ([u8; Head::LENGTH], u64) {
    let head = Head::new(version, terms);
    (head.text(), head.ends.saturating_sub(head.cookie_sent).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configure(store: &RedisStore, text: &str) -> Result<(), String> {
        let table = text.parse().expect("TOML");
        store.configure(&table).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_file_sets_everything_that_the_program_can() {
        let store = RedisStore::new("redis://127.0.0.1:1");
        let text =
            "url = 'redis://10.0.0.1'\npool = 3\nconnect_timeout = '1s'\noperation_timeout = '250ms'\nprefix = 's:'";
        configure(&store, text).expect("right");
        let Settings { url, connections, prefix } = store.configured.settings();
        assert_eq!((url.exposed().as_str(), connections.pool, prefix.as_str()), ("redis://10.0.0.1", 3, "s:"));
        assert_eq!(connections.operation_timeout, Duration::from_millis(250));
    }

    #[test]
    fn wrong_settings_name_their_key() {
        for (text, start) in [
            ("pool = 0", "`pool` must be at least 1"),
            ("connect_timeout = '0s'", "`connect_timeout` must be"),
            ("operation_timeout = 2", "`operation_timeout` "),
            ("prefix = 'a{b}'", "`prefix` must be 1 to 100"),
            ("url = 'http://127.0.0.1'", "`url` "),
            ("pol = 2", "`pol` is not a setting; did you mean `pool`?"),
        ] {
            let problem = configure(&RedisStore::new("redis://127.0.0.1"), text).expect_err(text);
            assert!(problem.starts_with(start), "{text}: {problem}");
        }
    }

    #[test]
    fn a_wrong_address_stops_the_start_and_shows_no_password() {
        let store = RedisStore::new("redis://ann:secret@");
        let problem = store.probe().expect_err("no host").to_string();
        assert!(problem.contains("sessions.url"), "{problem}");
        assert!(!problem.contains("secret") && !format!("{store:?}").contains("secret"), "{problem}");
    }
}
