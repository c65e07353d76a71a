//! Sessions in PostgreSQL, for any number of machines.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`PostgresStore`] and its settings; the store and its lock in terms of statements |
//! | `statements` | the tables, and each step as one statement |
//! | `links` | connections, their number and their deadlines |
//! | `wakeups` | who waits for a lock in this process, and the task that hears of it |
//!
//! A session is a row under the hash of its id. Its lock is a lease: a row with a fence and a time in a second table, taken over when the time has passed. A commit is
//! one statement that looks at the fence, compares the version, writes, gives the lock back, and notifies whoever waits: one round trip. Taking the lock and reading the
//! record are two statements in one write to the server, one after the other, so that the second sees what the last holder has committed.
//!
//! The client is asynchronous inside, with a thread of its own, since only so each operation has a deadline; workers wait for it as
//! they would for any other engine.

mod links;
mod statements;
mod wakeups;

use super::super::{
    Commit, Data, Fence, Grant, Moment, Record, SessionId, Sessions, SharedLock, Store, StoreError, Terms, Version,
    Watch, wire,
};
use crate::lifecycle::{Secret, SettingError, SettingReader};
use links::Links;
use parking_lot::Mutex;
use statements::Statements;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;
use tokio_postgres::Row;
use wakeups::Wakeups;

impl Sessions {
    /// Sessions that are kept in PostgreSQL, shared by all processes that use the same database and table (feature `postgres`).
    ///
    /// ```no_run
    /// use kirsch::prelude::*;
    ///
    /// # struct Shop;
    /// # #[handlers]
    /// # impl Shop {}
    /// App::new(Shop).tool("/", Sessions::postgres("postgres://shop:secret@127.0.0.1/shop")).serve("127.0.0.1:8080")?;
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    #[must_use]
    pub fn postgres(url: impl Into<String>) -> Self {
        Self::new(PostgresStore::new(url))
    }
}

/// Keeps sessions in PostgreSQL (10 and above; 15 is tested).
///
/// ```
/// use kirsch::{Sessions, sessions::PostgresStore};
/// use std::time::Duration;
///
/// let store = PostgresStore::new("postgres://shop:secret@10.0.0.5/shop").pool(8).operation_timeout(Duration::from_millis(500));
/// println!("{}", store.ddl());
/// let sessions = Sessions::new(store);
/// ```
///
/// | setting | in the file | default | what |
/// |---|---|---|---|
/// | [`new`](Self::new) | `sessions.url` | | `postgres://user:password@host:5432/database`, or `host=… user=…`; several hosts are tried in turn |
/// | [`pool`](Self::pool) | `sessions.pool` | 4 | connections of this process; each serves several requests at once. One more listens while requests wait |
/// | [`connect_timeout`](Self::connect_timeout) | `sessions.connect_timeout` | 2 s | for a connection |
/// | [`operation_timeout`](Self::operation_timeout) | `sessions.operation_timeout` | 2 s | for the server's answer |
/// | [`table`](Self::table) | `sessions.table` | `kirsch_session` | the table; beside it are `…_lock` and `…_unreadable` |
/// | [`create_table`](Self::create_table) | `sessions.create_table` | `true` | whether the tables are made at the start, where they are missing |
///
/// The lock of a session is a lease: it outlives a killed process by at most that. It is measured on the server's clock; the lives of sessions are measured on those
/// of the machines, which have to agree to the second. There is no TLS to the server: put it into a network of its own. Credentials in the address
/// appear in no log and no error.
pub struct PostgresStore {
    settings: Mutex<Settings>,
    engine: OnceLock<Result<Arc<Engine>, String>>,
    quarantined: AtomicU64,
}

#[derive(Clone, PartialEq, Eq)]
struct Settings {
    url: Secret,
    pool: usize,
    connect_timeout: Duration,
    operation_timeout: Duration,
    table: String,
    create_table: bool,
}

impl PostgresStore {
    /// A store at this address. Nothing is connected before the start; an address that is none stops it.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let settings = Settings {
            url: Secret::from(url.into()),
            pool: 4,
            connect_timeout: Duration::from_secs(2),
            operation_timeout: Duration::from_secs(2),
            table: "kirsch_session".to_owned(),
            create_table: true,
        };
        Self { settings: Mutex::new(settings), engine: OnceLock::new(), quarantined: AtomicU64::new(0) }
    }

    /// Connections of this process (`pool`).
    #[must_use]
    pub fn pool(self, connections: usize) -> Self {
        self.with(|settings| settings.pool = connections)
    }

    /// How long connecting may take (`connect_timeout`).
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.connect_timeout = timeout)
    }

    /// How long the server may take to answer (`operation_timeout`).
    #[must_use]
    pub fn operation_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.operation_timeout = timeout)
    }

    /// The table (`table`): letters, digits and `_`, perhaps behind the name of a schema and a dot.
    #[must_use]
    pub fn table(self, name: impl Into<String>) -> Self {
        self.with(|settings| settings.table = name.into())
    }

    /// Whether the tables are made at the start (`create_table`): programs whose user may not do that leave it to [`ddl`](Self::ddl).
    #[must_use]
    pub fn create_table(self, create: bool) -> Self {
        self.with(|settings| settings.create_table = create)
    }

    /// The statements that make the tables, for whoever makes them by hand.
    #[must_use]
    pub fn ddl(&self) -> String {
        statements::tables(&self.settings.lock().table)
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings.lock());
        self
    }

    fn engine(&self) -> Result<&Arc<Engine>, StoreError> {
        let made = self.engine.get_or_init(|| {
            let settings = self.settings.lock().clone();
            settings.problem().map_or(Ok(()), |(key, problem)| Err(format!("sessions.{key}: {problem}")))?;
            Engine::new(settings).map(Arc::new)
        });
        made.as_ref().map_err(|problem| StoreError::new("the settings of the PostgreSQL store are wrong", problem))
    }

    /// The record of this row, if it is alive. One that cannot be read is put aside, so that the visitor can begin anew (A24).
    fn record(&self, id: &SessionId, row: Option<&Row>, now: Moment) -> Result<Option<Record>, StoreError> {
        let Some(row) = row else { return Ok(None) };
        let now = now.unix_millis();
        let (version, ends, cookie_sent): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let (ends, cookie_sent) = (unsigned(ends), unsigned(cookie_sent));
        if ends <= now {
            return Ok(None);
        }
        let problem = match wire::decode(row.get(3)) {
            Ok(data) => {
                return Ok(Some(Record {
                    data,
                    version: Version(unsigned(version)),
                    remaining: Duration::from_millis(ends - now),
                    cookie_age: Duration::from_millis(now.saturating_sub(cookie_sent)),
                }));
            }
            Err(problem) => problem,
        };
        let engine = self.engine()?;
        let table = &engine.settings.table;
        crate::line::record!(Error, target: "kirsch::sessions", "{problem} (session {id}, kept aside in {table}_unreadable of {})", engine.links.place());
        let key = id.storage_key();
        let moved = engine.execute(
            "cannot put aside a session that cannot be read",
            &engine.statements.put_aside,
            &[&key, &version],
        )?;
        self.quarantined.fetch_add(moved, Ordering::Relaxed);
        Ok(None)
    }
}

impl Settings {
    fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.pool == 0 {
            return Some(("pool", "must be at least 1"));
        }
        if self.connect_timeout.is_zero() {
            return Some(("connect_timeout", "must be more than nothing"));
        }
        if self.operation_timeout.is_zero() {
            return Some(("operation_timeout", "must be more than nothing"));
        }
        let is_name = |part: &str| {
            let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            part.bytes().all(is_fine) && part.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
        };
        if self.table.len() > 40 || self.table.split('.').count() > 2 || !self.table.split('.').all(is_name) {
            return Some(("table", "must be at most 40 small letters, digits and `_`, perhaps `schema.table`"));
        }
        None
    }
}

/// What is there once the settings are final.
struct Engine {
    settings: Settings,
    links: Links,
    statements: Statements,
    wakeups: Wakeups,
}

type Values<'v> = [&'v (dyn tokio_postgres::types::ToSql + Sync)];

impl Engine {
    fn new(settings: Settings) -> Result<Self, String> {
        let links =
            Links::new(settings.url.exposed(), settings.pool, settings.connect_timeout, settings.operation_timeout)?;
        let statements = Statements::of(&settings.table);
        let wakeups = Wakeups::new(&settings.table);
        Ok(Self { settings, links, statements, wakeups })
    }

    fn row(&self, what: &'static str, statement: &str, values: &Values<'_>) -> Result<Option<Row>, StoreError> {
        self.links.ask(what, async |link| link.row(statement, values).await)
    }

    fn execute(&self, what: &'static str, statement: &str, values: &Values<'_>) -> Result<u64, StoreError> {
        self.links.ask(what, async |link| link.execute(statement, values).await)
    }

    /// Says that somebody waits for the lock. Returns in how long it may be free; `None`: now.
    fn register(&self, key: &str) -> Result<Option<Duration>, StoreError> {
        let row = self.row("cannot wait for the lock of a session", &self.statements.watch, &[&key])?;
        let left = row.map_or(0, |row| row.get::<_, i64>(0));
        Ok((left > 0).then(|| Duration::from_millis(unsigned(left))))
    }
}

impl Store for PostgresStore {
    fn load(&self, id: &SessionId, now: Moment) -> Result<Option<Record>, StoreError> {
        let (engine, key) = (self.engine()?, id.storage_key());
        let row = engine.row("cannot read a session", &engine.statements.load, &[&key])?;
        self.record(id, row.as_ref(), now)
    }

    fn commit(
        &self,
        id: &SessionId,
        expected: Option<Version>,
        data: &Data,
        terms: &Terms,
    ) -> Result<Commit, StoreError> {
        let (engine, key) = (self.engine()?, id.storage_key());
        let content = wire::encode(data, LARGEST)?;
        // Drawn, not counted: no two records of an id ever have the same, though one was deleted in between.
        let version = Fence::random().0;
        let (now, ends) = (terms.now.unix_millis(), terms.now.later(terms.lifetime).unix_millis());
        let (fence, expected) = (terms.fence.map(|fence| signed(fence.0)), expected.map(|version| signed(version.0)));
        let (new, now, ends) = (signed(version), signed(now), signed(ends));
        let channel = engine.wakeups.channel();
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
            [&key, &new, &ends, &terms.cookie_sent, &now, &content, &fence, &terms.unlock, &channel];
        let what = "cannot write a session";
        let row = match &expected {
            None => engine.row(what, &engine.statements.commit_new, &values)?,
            Some(expected) => {
                let values: Vec<_> =
                    values.into_iter().chain([expected as &(dyn tokio_postgres::types::ToSql + Sync)]).collect();
                engine.row(what, &engine.statements.commit, &values)?
            }
        };
        let Some(row) = row else { return Err(StoreError::new("the server gave no answer", engine.links.place())) };
        Ok(match (row.get(0), row.get(1)) {
            (false, _) => Commit::LockLost,
            (_, true) => Commit::Committed(Version(version)),
            (_, false) => Commit::Conflict,
        })
    }

    /// Skipped while less than a sixteenth of the life has passed: each extension is a new version of the row.
    fn touch(&self, id: &SessionId, terms: &Terms) -> Result<(), StoreError> {
        let (engine, key) = (self.engine()?, id.storage_key());
        let (now, ends) = (terms.now.unix_millis(), terms.now.later(terms.lifetime).unix_millis());
        let due = signed(ends.saturating_sub(ends.saturating_sub(now) / 16));
        let (now, ends) = (signed(now), signed(ends));
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] = [&key, &ends, &terms.cookie_sent, &now, &due];
        engine.execute("cannot extend the life of a session", &engine.statements.touch, &values).map(drop)
    }

    fn delete(&self, id: &SessionId) -> Result<(), StoreError> {
        let (engine, key) = (self.engine()?, id.storage_key());
        engine.execute("cannot delete a session", &engine.statements.delete, &[&key]).map(drop)
    }

    /// In batches, so that nobody waits for all of it.
    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        let engine = self.engine()?;
        let now = signed(now.unix_millis());
        let mut swept = 0;
        loop {
            let gone = engine.execute("cannot remove sessions that have ended", &engine.statements.sweep, &[&now])?;
            swept += usize::try_from(gone).unwrap_or_default();
            if gone < statements::BATCH {
                break;
            }
        }
        engine.execute("cannot remove what was put aside", &engine.statements.sweep_aside, &[&now])?;
        engine.execute("cannot remove locks that nobody holds", &engine.statements.sweep_locks, &[])?;
        Ok(swept)
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        let engine = self.engine()?;
        let row = engine.row("cannot count the sessions", &engine.statements.count, &[])?;
        Ok(row.and_then(|row| usize::try_from(row.get::<_, i64>(0)).ok()))
    }

    fn probe(&self) -> Result<(), StoreError> {
        let engine = self.engine()?;
        if engine.settings.create_table {
            let tables = statements::tables(&engine.settings.table);
            let what = "cannot make the tables for the sessions (if this user may not, make them with PostgresStore::ddl and set `sessions.create_table = false`)";
            engine.links.ask(what, async |link| link.client.batch_execute(&tables).await)?;
        }
        let (id, now) = (SessionId::random(), Moment::now());
        let fence = self.try_lock(&id, Duration::from_secs(10))?.map(|grant| grant.fence);
        let terms = Terms { now, lifetime: Duration::from_secs(10), cookie_sent: true, fence, unlock: true };
        let mut data = Data::new();
        data.insert("probe", true.into());
        let _ = self.commit(&id, None, &data, &terms)?;
        let loaded = self.load(&id, now)?;
        self.delete(&id)?;
        match loaded {
            Some(record) if record.data == data => Ok(()),
            _ => Err(StoreError::new("what was written for a test was not there", engine.links.place())),
        }
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        Some(self)
    }

    /// Each was put aside, into the table that ends in `_unreadable`.
    fn quarantined(&self) -> u64 {
        self.quarantined.load(Ordering::Relaxed)
    }

    fn configure(&self, reader: &mut SettingReader<'_>) -> Result<(), SettingError> {
        let mut settings = self.settings.lock().clone();
        reader.secret("url", &mut settings.url)?;
        reader.count("pool", &mut settings.pool)?;
        reader.duration("connect_timeout", &mut settings.connect_timeout)?;
        reader.duration("operation_timeout", &mut settings.operation_timeout)?;
        reader.text("table", &mut settings.table)?;
        reader.flag("create_table", &mut settings.create_table)?;
        if let Some((key, problem)) = settings.problem() {
            return Err(SettingError::new(key, problem));
        }
        links::parse(settings.url.exposed()).map_err(|problem| SettingError::new("url", problem))?;
        let mut current = self.settings.lock();
        if *current != settings && self.engine.get().is_some() {
            return Err(SettingError::new(
                "url",
                "the store is in use already; set it where the sessions are switched on",
            ));
        }
        *current = settings;
        Ok(())
    }
}

impl SharedLock for PostgresStore {
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Result<Option<Grant>, StoreError> {
        let (engine, key, fence) = (self.engine()?, id.storage_key(), Fence::random());
        let (number, lease) = (signed(fence.0), signed(millis(lease)));
        let what = "cannot lock a session";
        let (granted, row) = engine.links.ask(what, async |link| {
            let (lock, load) = (link.known(&engine.statements.lock).await?, link.known(&engine.statements.load).await?);
            let (taken, loaded): (&Values<'_>, &Values<'_>) = (&[&key, &number, &lease], &[&key]);
            // Both go to the server at once; it begins the second when the first is done.
            links::both(link.client.execute(&lock, taken), link.client.query_opt(&load, loaded)).await
        })?;
        if granted == 1 {
            let record = self.record(id, row.as_ref(), Moment::now())?;
            return Ok(Some(Grant { fence, record: Some(record) }));
        }
        if engine.wakeups.is_watched(id) {
            engine.wakeups.keep_listening(engine)?;
            let left = engine.register(&key)?;
            engine.wakeups.lapses_in(id, left);
        }
        Ok(None)
    }

    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        let engine = self.engine()?;
        let watch = engine.wakeups.add(id, waker);
        engine.wakeups.keep_listening(engine)?;
        let left = engine.register(&id.storage_key())?;
        engine.wakeups.lapses_in(id, left);
        Ok(watch)
    }

    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Result<bool, StoreError> {
        let (engine, key) = (self.engine()?, id.storage_key());
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&key, &signed(fence.0), &signed(millis(lease))];
        Ok(engine.execute("cannot keep the lock of a session", &engine.statements.renew, &values)? == 1)
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Result<(), StoreError> {
        let (engine, key) = (self.engine()?, id.storage_key());
        let channel = engine.wakeups.channel();
        engine.row("cannot unlock a session", &engine.statements.unlock, &[&key, &signed(fence.0), &channel]).map(drop)
    }
}

/// What PostgreSQL takes as one value. The tool's own limit is far below.
const LARGEST: usize = 512 << 20;

/// At least one: no lease is no lock.
fn millis(duration: Duration) -> u64 {
    const LONGEST: u64 = 100 * 365 * 24 * 3600 * 1000;
    u64::try_from(duration.as_millis()).unwrap_or(LONGEST).clamp(1, LONGEST)
}

/// PostgreSQL counts in signed numbers; ours never use the highest bit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Shows no credentials.
impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.settings.lock().table).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configure(store: &PostgresStore, text: &str) -> Result<(), String> {
        let table = text.parse().expect("TOML");
        let mut reader = SettingReader::new(&table);
        store.configure(&mut reader).and_then(|()| reader.finish()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn wrong_settings_name_their_key() {
        for (text, start) in [
            ("pool = 0", "`pool` must be at least 1"),
            ("operation_timeout = '0s'", "`operation_timeout` must be"),
            ("table = 'a; DROP TABLE song'", "`table` must be at most 40"),
            ("table = 'Session'", "`table` must be at most 40"),
            ("url = 'redis://127.0.0.1'", "`url` "),
            ("tables = 'x'", "`tables` is not a setting; did you mean `table`?"),
        ] {
            let problem = configure(&PostgresStore::new("postgres://127.0.0.1/x"), text).expect_err(text);
            assert!(problem.starts_with(start), "{text}: {problem}");
        }
    }

    #[test]
    fn a_wrong_address_stops_the_start_and_shows_no_password() {
        let store = PostgresStore::new("postgres://ann:secret@host:port/x");
        let problem = store.probe().expect_err("no port").to_string();
        assert!(problem.contains("sessions.url"), "{problem}");
        assert!(!problem.contains("secret") && !format!("{store:?}").contains("secret"), "{problem}");
    }

    #[test]
    fn the_tables_can_be_printed() {
        let ddl = PostgresStore::new("postgres://127.0.0.1/x").table("shop.visit").ddl();
        assert!(ddl.contains("CREATE TABLE IF NOT EXISTS shop.visit ("), "{ddl}");
        assert!(ddl.contains("shop.visit_lock") && ddl.contains("CREATE INDEX IF NOT EXISTS visit_ends"), "{ddl}");
    }
}
