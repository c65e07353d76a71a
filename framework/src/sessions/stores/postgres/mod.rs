//! Sessions in PostgreSQL, for any number of machines.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | [`PostgresStore`] and its settings; the store and its lock in terms of statements |
//! | `statements` | the tables, and each step as one statement |
//!
//! A session is a row under the hash of its id. Its lock is a lease: a row with a fence and a time in a second table,
//! taken over when the time has passed. A commit is one statement that checks the fence, compares the version, writes,
//! gives the lock back, and notifies the waiters: one round trip. Taking the lock and reading the record are two
//! statements in one write to the server, one after the other, so that the second sees the commit of the last holder.
//!
//! The steps run on a thread of the store, as tasks of tokio, each with a deadline. So answers come later, and a parked
//! request holds no worker; calls that block wait for the very same steps. An abandoned step is finished: a lock that
//! it was granted is given back.

mod statements;

use super::SESSIONS;
use super::kept::{Head, millis, probe_by_writing, signed, unsigned};
use crate::databases::listening::Listening;
use crate::databases::postgres::{self, Links, Value};
use crate::databases::{Configured, Connections, StoreSettings, connection_builders};
use crate::sessions::stores::wakeups::{Announcing, Wakeups};
use crate::sessions::{
    Answer, Answers, Commit, Data, Fence, Grant, Moment, Record, SessionId, Sessions, SharedLock, Store, StoreError,
    Terms, Version, Watch, wire,
};
use crate::settings::{Secret, SettingError, SettingRow, SettingTable};
use statements::Statements;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_postgres::Row;

impl Sessions {
    /// Sessions that are kept in PostgreSQL, shared by all processes that use the same database and table (feature
    /// `postgres`).
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
/// The lock of a session is a lease: it outlives a killed process by at most that. It is measured on the server's
/// clock; the lives of sessions are measured on those of the machines, which have to agree to the second. There is no
/// TLS to the server: put it into a network of its own. Credentials in the address appear in no log and no error.
pub struct PostgresStore {
    configured: Configured<Settings>,
}

#[derive(Clone, PartialEq, Eq, crate::settings::Settings)]
#[settings(check = Self::check, builders_on = PostgresStore)]
struct Settings {
    /// Where the database is: `postgres://user:password@host:5432/database`, or `host=… user=…`; several hosts are
    /// tried in turn.
    #[setting(given, no_builder)]
    url: Secret,
    #[setting(flatten, default = Connections::new(4))]
    connections: Connections,
    /// The table: letters, digits and `_`, perhaps behind the name of a schema and a dot. Beside it are `…_lock` and
    /// `…_unreadable`.
    #[setting(default = "kirsch_session")]
    table: String,
    /// Whether the tables are made at the start, where they are missing.
    ///
    /// Programs whose user may not do that leave it to [`ddl`](Self::ddl).
    #[setting(default = true)]
    create_table: bool,
}

connection_builders! {
    /// Connections of this process (`pool`).
    PostgresStore
}

impl PostgresStore {
    /// A store at this address. Nothing is connected before the start; a malformed address stops it.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { configured: Configured::new(Settings::defaults(Secret::text(url))) }
    }

    /// The statements that make the tables, for operators who make them by hand.
    #[must_use]
    pub fn ddl(&self) -> String {
        statements::tables(&self.configured.settings().table)
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.configured.change(change);
        self
    }

    fn engine(&self) -> Result<&Arc<Engine>, StoreError> {
        self.configured.engine().map(|running| &running.engine)
    }

    /// The result of these steps. They go on by themselves, even after the caller has gone.
    fn answer<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
        &self,
        steps: impl FnOnce(Arc<Engine>) -> Result<F, StoreError>,
    ) -> Answer<T> {
        match self.engine().and_then(|engine| Ok((engine, steps(Arc::clone(engine))?))) {
            Ok((engine, steps)) => {
                let (task, engine) = (engine.links.runtime().spawn(steps), Arc::clone(engine));
                Answer::later(async move {
                    let failed =
                        |error| StoreError::new("a step was not finished", engine.links.place()).because(error);
                    task.await.unwrap_or_else(|error: tokio::task::JoinError| Err(failed(error)))
                })
            }
            Err(error) => Answer::Now(Err(error)),
        }
    }

    /// The result, waited for here.
    fn wait<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
        &self,
        steps: impl FnOnce(Arc<Engine>) -> F,
    ) -> Result<T, StoreError> {
        self.answer(|engine| Ok(steps(engine))).wait()
    }
}

impl Settings {
    fn check(&self) -> Result<(), SettingError> {
        postgres::check_table(&self.table).map_err(|problem| SettingError::new("table", problem))?;
        postgres::parse(self.url.exposed()).map(drop).map_err(|problem| SettingError::new("url", problem))
    }
}

impl StoreSettings for Settings {
    type Engine = Running;
    const PLACE: &'static str = "url";

    fn open(self) -> Result<Running, String> {
        let runtime = postgres::runtime()?;
        let links = Links::new(SESSIONS, runtime.handle().clone(), self.url.exposed(), self.connections)?;
        let (statements, channel) = (Statements::of(&self.table), self.table.replace('.', "_"));
        let wakeups = Wakeups::default();
        let quarantined = AtomicU64::new(0);
        let engine = Engine {
            table: self.table,
            create_table: self.create_table,
            links,
            statements,
            channel,
            wakeups,
            quarantined,
        };
        Ok(Running { engine: Arc::new(engine), _runtime: runtime })
    }
}

/// The engine and the thread on which its steps run. Steps keep the engine alive, and the store keeps the thread: no
/// thread ends itself.
struct Running {
    engine: Arc<Engine>,
    _runtime: Runtime,
}

/// The values that are there once the settings are final.
struct Engine {
    table: String,
    create_table: bool,
    links: Links,
    statements: Statements,
    /// Where waiters hear of locks that are given back.
    channel: String,
    wakeups: Wakeups,
    quarantined: AtomicU64,
}

impl Engine {
    async fn row(&self, what: &'static str, statement: &str, values: &[&Value]) -> Result<Option<Row>, StoreError> {
        self.links.row(what, statement, values).await
    }

    async fn execute(&self, what: &'static str, statement: &str, values: &[&Value]) -> Result<u64, StoreError> {
        self.links.execute(what, statement, values).await
    }

    async fn make_tables(&self) -> Result<(), StoreError> {
        let tables = statements::tables(&self.table);
        let what = "cannot make the tables for the sessions (if this user may not, make them with PostgresStore::ddl and set `sessions.create_table = false`)";
        self.links.batch(what, &tables).await
    }

    async fn load(&self, id: &SessionId, now: Moment) -> Result<Option<Record>, StoreError> {
        let row = self.row("cannot read a session", &self.statements.load, &[&id.storage_key()]).await?;
        self.record(id, row.as_ref(), now).await
    }

    /// The record of this row, if it is alive. An unreadable one is put aside, so that the visitor can begin again.
    async fn record(&self, id: &SessionId, row: Option<&Row>, now: Moment) -> Result<Option<Record>, StoreError> {
        let Some(row) = row else { return Ok(None) };
        let [version, ends, cookie_sent] = [0, 1, 2].map(|column| unsigned(row.get(column)));
        if ends <= now.unix_millis() {
            return Ok(None);
        }
        let problem = match wire::decode(row.get(3)) {
            Ok(data) => return Ok(Head { version, ends, cookie_sent }.record(data, now)),
            Err(problem) => problem,
        };
        let (table, place) = (&self.table, self.links.place());
        crate::line::record!(Error, target: "kirsch::sessions", "{problem} (session {id}, kept aside in {table}_unreadable of {place})");
        let what = "cannot put aside a session that cannot be read";
        let values: [&Value; 2] = [&id.storage_key(), &signed(version)];
        let moved = self.execute(what, &self.statements.put_aside, &values).await?;
        self.quarantined.fetch_add(moved, Ordering::Relaxed);
        Ok(None)
    }

    async fn commit(&self, commit: Committing) -> Result<Commit, StoreError> {
        let Committing { key, head, expected, content, terms } = commit;
        let (new, now, ends) = (signed(head.version), signed(head.cookie_sent), signed(head.ends));
        let (fence, expected) = (terms.fence.map(|fence| signed(fence.0)), expected.map(|version| signed(version.0)));
        let mut values: Vec<&Value> =
            vec![&key, &new, &ends, &terms.cookie_sent, &now, &content, &fence, &terms.unlock, &self.channel];
        let statement = match &expected {
            None => &self.statements.commit_new,
            Some(expected) => {
                values.push(expected);
                &self.statements.commit
            }
        };
        let row = self.row("cannot write a session", statement, &values).await?;
        let row = row.ok_or_else(|| StoreError::new("the server gave no answer", self.links.place()))?;
        Ok(match (row.get(0), row.get(1)) {
            (false, _) => Commit::LockLost,
            (_, true) => Commit::Committed(Version(head.version)),
            (_, false) => Commit::Conflict,
        })
    }

    /// The lock and the record that was read under it. The lock is given back unless the caller takes it.
    async fn try_lock(
        self: &Arc<Self>,
        id: &SessionId,
        lease: Duration,
    ) -> Result<Option<(Unclaimed, Option<Record>)>, StoreError> {
        let (key, fence, lease) = (id.storage_key(), Fence::random(), signed(millis(lease)));
        let number = signed(fence.0);
        let asking = self.links.ask("cannot lock a session").await?;
        // From here on the server may have granted it.
        let mut unclaimed = Unclaimed { engine: Arc::clone(self), id: *id, fence: Some(fence) };
        let both = async {
            let link = &asking.link;
            let (lock, load) = (link.known(&self.statements.lock).await?, link.known(&self.statements.load).await?);
            let (taken, loaded): ([&Value; 3], [&Value; 1]) = ([&key, &number, &lease], [&key]);
            // Both go to the server at once; it begins the second when the first is done.
            postgres::both(link.client.execute(&lock, &taken), link.client.query_opt(&load, &loaded)).await
        };
        let (granted, row) = asking.answer(both).await?;
        drop(asking);
        if granted == 1 {
            let record = self.record(id, row.as_ref(), Moment::now()).await?;
            return Ok(Some((unclaimed, record)));
        }
        unclaimed.fence = None;
        if self.wakeups.is_watched(&key) {
            self.register(id).await?;
        }
        Ok(None)
    }

    /// Announces a waiter for the lock, and wakes it when the lock may be free.
    async fn register(self: &Arc<Self>, id: &SessionId) -> Result<(), StoreError> {
        let name = id.storage_key();
        let left = self.announce(name.clone()).await?;
        self.wakeups.lapses_in(self, &name, left);
        if left <= 0 {
            self.wakeups.wake(id);
        }
        Ok(())
    }

    /// Says that a process waits for the lock. Returns in how many milliseconds it may be free.
    async fn announce(&self, name: String) -> Result<i64, StoreError> {
        let row = self.row("cannot wait for the lock of a session", &self.statements.watch, &[&name]).await?;
        Ok(row.map_or(0, |row| row.get(0)))
    }

    async fn unlock(&self, id: &SessionId, fence: Fence) -> Result<(), StoreError> {
        let values: [&Value; 3] = [&id.storage_key(), &signed(fence.0), &self.channel];
        self.row("cannot unlock a session", &self.statements.unlock, &values).await.map(drop)
    }

    /// In batches, so that no request waits for all of it.
    async fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        let now = signed(now.unix_millis());
        let mut swept = 0;
        loop {
            let gone = self.execute("cannot remove sessions that have ended", &self.statements.sweep, &[&now]).await?;
            swept += usize::try_from(gone).unwrap_or_default();
            if gone < statements::BATCH {
                break;
            }
        }
        self.execute("cannot remove what was put aside", &self.statements.sweep_aside, &[&now]).await?;
        self.execute("cannot remove free locks", &self.statements.sweep_locks, &[]).await?;
        Ok(swept)
    }
}

/// A commit as it is sent.
struct Committing {
    key: String,
    head: Head,
    expected: Option<Version>,
    content: Vec<u8>,
    terms: Terms,
}

/// A requested lock. If the caller has gone, a granted lock goes back.
struct Unclaimed {
    engine: Arc<Engine>,
    id: SessionId,
    fence: Option<Fence>,
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        let Some(fence) = self.fence else { return };
        let (engine, id) = (Arc::clone(&self.engine), self.id);
        self.engine.links.runtime().spawn(async move {
            if let Err(error) = engine.unlock(&id, fence).await {
                crate::line::record!(Debug, target: "kirsch::sessions", "{error}");
            }
        });
    }
}

impl Store for PostgresStore {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        let id = *id;
        self.answer(|engine| Ok(async move { engine.load(&id, now).await }))
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        self.answer(|engine| {
            let content = wire::encode(data, LARGEST)?;
            // Drawn, not counted: no two records of an id ever have the same, though one was deleted in between.
            let head = Head::new(Fence::random().0, terms);
            let commit = Committing { key: id.storage_key(), head, expected, content, terms: *terms };
            Ok(async move { engine.commit(commit).await })
        })
    }

    /// Skipped while less than a sixteenth of the life has passed: each extension is a new version of the row.
    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        let (key, head, is_sent) = (id.storage_key(), Head::new(0, terms), terms.cookie_sent);
        let due = signed(head.ends.saturating_sub(head.ends.saturating_sub(head.cookie_sent) / 16));
        let (now, ends) = (signed(head.cookie_sent), signed(head.ends));
        self.answer(|engine| {
            Ok(async move {
                let values: [&Value; 5] = [&key, &ends, &is_sent, &now, &due];
                engine.execute("cannot extend the life of a session", &engine.statements.touch, &values).await.map(drop)
            })
        })
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        let key = id.storage_key();
        self.answer(|engine| {
            Ok(async move {
                engine.execute("cannot delete a session", &engine.statements.delete, &[&key]).await.map(drop)
            })
        })
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        self.wait(|engine| async move { engine.sweep(now).await })
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        let row =
            self.wait(
                |engine| async move { engine.row("cannot count the sessions", &engine.statements.count, &[]).await },
            )?;
        Ok(row.and_then(|row| usize::try_from(row.get::<_, i64>(0)).ok()))
    }

    fn probe(&self) -> Result<(), StoreError> {
        let engine = self.engine()?;
        if engine.create_table {
            self.wait(|engine| async move { engine.make_tables().await })?;
        }
        probe_by_writing(self, engine.links.place(), "what was written for a test was not there")
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        Some(self)
    }

    fn answers(&self) -> Answers {
        Answers::Later
    }

    /// Each was put aside, into the table that ends in `_unreadable`.
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

impl SharedLock for PostgresStore {
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Answer<Option<Grant>> {
        let id = *id;
        let granted = self.answer(|engine| Ok(async move { engine.try_lock(&id, lease).await }));
        Answer::later(async move {
            let Some((mut unclaimed, record)) = granted.await? else { return Ok(None) };
            Ok(unclaimed.fence.take().map(|fence| Grant { fence, record: Some(record) }))
        })
    }

    /// Waits for nothing: if listening is impossible, the waiter is woken, asks again, and gets the error.
    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        let engine = Arc::clone(self.engine()?);
        let (watch, id) = (engine.wakeups.watch(&engine, id, &id.storage_key(), waker), *id);
        let runtime = engine.links.runtime().clone();
        runtime.spawn(async move {
            if let Err(error) = engine.register(&id).await {
                crate::line::record!(Debug, target: "kirsch::sessions", "{error}");
                engine.wakeups.wake(&id);
            }
        });
        Ok(watch)
    }

    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Answer<bool> {
        let (key, fence, lease) = (id.storage_key(), signed(fence.0), signed(millis(lease)));
        self.answer(|engine| {
            Ok(async move {
                let values: [&Value; 3] = [&key, &fence, &lease];
                let what = "cannot keep the lock of a session";
                engine.execute(what, &engine.statements.renew, &values).await.map(|renewed| renewed == 1)
            })
        })
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Answer<()> {
        let id = *id;
        self.answer(|engine| Ok(async move { engine.unlock(&id, fence).await }))
    }
}

impl Announcing for Engine {
    const THREAD: &'static str = "kirsch-postgres-listener";
    const FORGETS: bool = false;

    fn wakeups(&self) -> &Wakeups {
        &self.wakeups
    }

    fn place(&self) -> &str {
        self.links.place()
    }

    fn listen(&self, listening: &mut Listening<'_>) -> Result<(), StoreError> {
        self.links.listen(&self.channel, listening)
    }

    fn register(self: &Arc<Self>, name: &str) -> Result<i64, StoreError> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.links.wait(async move { engine.announce(name).await })
    }

    fn nudge(self: &Arc<Self>) {
        let engine = Arc::clone(self);
        self.links.runtime().spawn(async move {
            let channel: [&Value; 1] = [&engine.channel];
            let nudge = engine.row("cannot send a message", "SELECT pg_notify($1, '')::text", &channel);
            if let Err(error) = nudge.await {
                crate::line::record!(Debug, target: "kirsch::sessions", "{error}");
            }
        });
    }
}

/// Maximum of one value in PostgreSQL. The tool's own limit is far below.
const LARGEST: usize = 512 << 20;

/// Shows no credentials.
impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.configured.settings().table).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configure(store: &PostgresStore, text: &str) -> Result<(), String> {
        let table = text.parse().expect("TOML");
        store.configure(&table).map_err(|problem| problem.to_string())
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
