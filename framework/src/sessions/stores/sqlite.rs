//! Sessions in an SQLite database, for the processes of one machine: the store for "must survive a restart".
//!
//! One table, one row for a session, under the hash of its id. A commit is one statement that compares the version, so
//! that no update is lost even without the lock. The database is in WAL mode: readers never wait for the writer.
//!
//! Locks are not in the database: a row cannot know that its process has died. They are bytes of a file beside it,
//! `<path>-locks`; see `range_lock.rs`.

use super::super::{
    Answer, Commit, Data, Fence, Moment, Record, SessionId, Sessions, SharedLock, Store, StoreError, Terms, Version,
    wire,
};
use super::kept::{Head, probe_by_writing, signed, unsigned};
use super::range_lock::{RangeLocks, owned};
use crate::databases::pool::Pool;
use crate::databases::{Configured, StoreSettings};
use crate::private_file;
use crate::settings::{SettingError, SettingRow, SettingTable};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

impl Sessions {
    /// Sessions that are kept in the SQLite database at `path`, shared by the processes of this machine (feature
    /// `sqlite`).
    ///
    /// ```no_run
    /// use kirsch::prelude::*;
    ///
    /// # struct Shop;
    /// # #[handlers]
    /// # impl Shop {}
    /// App::new(Shop).tool("/", Sessions::sqlite("/var/lib/shop/sessions.sqlite")).serve("127.0.0.1:8080")?;
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    #[must_use]
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::new(SqliteStore::new(path))
    }
}

/// Keeps sessions in an SQLite database.
///
/// ```
/// use kirsch::{Sessions, sessions::SqliteStore};
///
/// let sessions = Sessions::new(SqliteStore::new("/var/lib/shop/sessions.sqlite").sync(true));
/// ```
///
/// The database is the store's own: it says so in its `user_version`, and another program's is refused. SQLite is built
/// in.
pub struct SqliteStore {
    configured: Configured<Settings>,
    quarantined: AtomicU64,
}

#[derive(Clone, PartialEq, Eq, crate::settings::Settings)]
#[settings(check = Self::check, builders_on = SqliteStore)]
struct Settings {
    /// The database; it is made at the start, for this user alone. Beside it are `-wal`, `-shm` and `-locks`.
    #[setting(given, no_builder)]
    path: PathBuf,
    /// Whether a commit is on the disk before the client has its answer; without, a power failure may cost the last
    /// moments, and nothing else.
    sync: bool,
    /// Maximum of connections of this process.
    #[setting(default = 8)]
    pool: usize,
    /// How long a statement waits for other writers, and an operation for a connection.
    #[setting(default = "2s")]
    operation_timeout: Duration,
}

impl Settings {
    fn check(&self) -> Result<(), SettingError> {
        if self.pool == 0 { Err(SettingError::new("pool", "must be at least 1")) } else { Ok(()) }
    }
}

/// The values that are there once the settings are final.
struct Database {
    settings: Settings,
    connections: Pool<Connection>,
    locks: RangeLocks,
}

impl StoreSettings for Settings {
    type Engine = Database;
    const PLACE: &'static str = "path";

    fn open(self) -> Result<Database, String> {
        let mut beside = self.path.clone().into_os_string();
        beside.push("-locks");
        let connections = Pool::new(self.pool, self.operation_timeout);
        let locks = RangeLocks::new(beside.into(), self.path.clone());
        Ok(Database { connections, locks, settings: self })
    }
}

/// The form of the tables.
const FORM: i64 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS kirsch_session (
    key         TEXT PRIMARY KEY,
    version     INTEGER NOT NULL,
    ends        INTEGER NOT NULL,
    cookie_sent INTEGER NOT NULL,
    content     BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kirsch_session_ends ON kirsch_session (ends);
CREATE TABLE IF NOT EXISTS kirsch_session_unreadable (key TEXT, found INTEGER, content BLOB);
PRAGMA user_version = 1;
";

impl SqliteStore {
    /// A store in the database at this path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { configured: Configured::new(Settings::defaults(path.into())), quarantined: AtomicU64::new(0) }
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.configured.change(change);
        self
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.configured.engine()
    }

    /// Puts an unreadable record aside, so that the visitor can begin again.
    fn put_aside(&self, id: &SessionId, version: i64, problem: &wire::Unreadable) -> Result<(), StoreError> {
        let database = self.database()?;
        crate::line::record!(Error, target: "kirsch::sessions", "{problem} (session {id}, kept aside in kirsch_session_unreadable of {})", database.place());
        let key = id.storage_key();
        let moved = database.ask("cannot put aside a session that cannot be read", |connection| {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let copy = "INSERT INTO kirsch_session_unreadable SELECT key, ends, content FROM kirsch_session WHERE key = ?1 AND version = ?2";
            transaction.execute(copy, params![key, version])?;
            let moved = transaction.execute("DELETE FROM kirsch_session WHERE key = ?1 AND version = ?2", params![key, version])?;
            transaction.commit()?;
            Ok(moved)
        })?;
        self.quarantined.fetch_add(moved as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Database {
    fn place(&self) -> String {
        self.settings.path.display().to_string()
    }

    /// Does something with a connection. One that failed is closed.
    fn ask<T>(
        &self,
        what: &'static str,
        run: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let failed = |error| StoreError::new(what, self.place()).because(error);
        let mut lease =
            self.connections.lease().map_err(|_| StoreError::new("all connections are in use", self.place()))?;
        // A file that was moved away lives on in its connections, and is not the store any more.
        if !self.settings.path.exists() && self.locks_are_there_no_more(&lease.link) {
            lease.link = None;
            return Err(StoreError::new("the database is not there any more", self.place()));
        }
        let mut connection = match lease.link.take() {
            Some(connection) => connection,
            None => self.open(what)?,
        };
        let result = run(&mut connection).map_err(failed)?;
        lease.link = Some(connection);
        Ok(result)
    }

    fn locks_are_there_no_more(&self, connection: &Option<Connection>) -> bool {
        connection.is_some() || self.locks.was_used()
    }

    /// A connection to the database, whose file is made for this user alone before SQLite sees it: SQLite gives the
    /// same mode to its files beside it.
    fn open(&self, what: &'static str) -> Result<Connection, StoreError> {
        let path = std::path::absolute(&self.settings.path).unwrap_or_else(|_| self.settings.path.clone());
        match private_file::create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(StoreError::new(what, self.place()).because(error));
            }
            _ => {}
        }
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut name = path.clone().into_os_string();
            name.push(ending);
            owned(name.as_ref())?;
            private_file::warn_if_readable(name.as_ref(), "sessions");
        }
        self.connect(&path).map_err(|error| StoreError::new(what, self.place()).because(error))
    }

    fn connect(&self, path: &Path) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(self.settings.operation_timeout)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", if self.settings.sync { "FULL" } else { "NORMAL" })?;
        connection.set_prepared_statement_cache_capacity(16);
        Ok(connection)
    }
}

impl Store for SqliteStore {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        Answer::of(|| {
            let key = id.storage_key();
            let row = self.database()?.ask("cannot read a session", |connection| {
                let select = "SELECT version, ends, cookie_sent, content FROM kirsch_session WHERE key = ?1";
                let mut statement = connection.prepare_cached(select)?;
                let row = |row: &rusqlite::Row<'_>| {
                    let content: rusqlite::types::Value = row.get(3)?;
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, content))
                };
                statement.query_row([&key], row).optional()
            })?;
            let Some((version, ends, cookie_sent, content)) = row else { return Ok(None) };
            let [number, ends, cookie_sent] = [version, ends, cookie_sent].map(unsigned);
            let head = Head { version: number, ends, cookie_sent };
            if head.ends <= now.unix_millis() {
                return Ok(None);
            }
            let content = match content {
                rusqlite::types::Value::Blob(bytes) => bytes,
                rusqlite::types::Value::Text(text) => text.into_bytes(),
                _ => Vec::new(),
            };
            match wire::decode(&content) {
                Ok(data) => Ok(head.record(data, now)),
                Err(problem) => self.put_aside(id, version, &problem).map(|()| None),
            }
        })
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        Answer::of(|| {
            let database = self.database()?;
            if terms.fence.is_some_and(|fence| !database.locks.is_held(id, fence)) {
                return Ok(Commit::LockLost);
            }
            let content = wire::encode(data, usize::MAX)?;
            // Drawn, not counted: no two records of an id ever have the same, though one was deleted in between.
            let (head, key) = (Head::new(Fence::random().0, terms), id.storage_key());
            let [version, ends, now] = [head.version, head.ends, head.cookie_sent].map(signed);
            let changed = database.ask("cannot write a session", |connection| match expected {
            Some(expected) => {
                let update = "UPDATE kirsch_session SET version = ?2, ends = ?3, cookie_sent = CASE WHEN ?4 THEN ?5 ELSE cookie_sent END, \
                              content = ?6 WHERE key = ?1 AND version = ?7 AND ends > ?5";
                let values = params![key, version, ends, terms.cookie_sent, now, content, signed(expected.0)];
                connection.prepare_cached(update)?.execute(values)
            }
            None => {
                let insert = "INSERT INTO kirsch_session (key, version, ends, cookie_sent, content) VALUES (?1, ?2, ?3, ?4, ?5) \
                              ON CONFLICT (key) DO UPDATE SET version = ?2, ends = ?3, cookie_sent = ?4, content = ?5 WHERE ends <= ?4";
                let values = params![key, version, ends, now, content];
                connection.prepare_cached(insert)?.execute(values)
            }
        })?;
            if changed == 0 {
                return Ok(Commit::Conflict);
            }
            if let (true, Some(fence)) = (terms.unlock, terms.fence) {
                database.locks.give_back(id, fence)?;
            }
            Ok(Commit::Committed(Version(head.version)))
        })
    }

    /// Skipped while less than a sixteenth of the life has passed: each extension is a write.
    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        Answer::of(|| {
            let (now, ends) = (terms.now.unix_millis(), terms.now.later(terms.lifetime).unix_millis());
            let key = id.storage_key();
            let due = ends.saturating_sub(ends.saturating_sub(now) / 16);
            self.database()?.ask("cannot extend the life of a session", |connection| {
            let find = "SELECT 1 FROM kirsch_session WHERE key = ?1 AND ends > ?2 AND (?3 OR ends < ?4)";
            let values = params![key, signed(now), terms.cookie_sent, signed(due)];
            if !connection.prepare_cached(find)?.exists(values)? {
                return Ok(());
            }
            let update = "UPDATE kirsch_session SET ends = ?2, cookie_sent = CASE WHEN ?3 THEN ?4 ELSE cookie_sent END \
                          WHERE key = ?1 AND ends > ?4";
            let values = params![key, signed(ends), terms.cookie_sent, signed(now)];
            connection.prepare_cached(update)?.execute(values).map(drop)
        })
        })
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        Answer::of(|| {
            let key = id.storage_key();
            self.database()?.ask("cannot delete a session", |connection| {
                connection.prepare_cached("DELETE FROM kirsch_session WHERE key = ?1")?.execute([&key]).map(drop)
            })
        })
    }

    /// In batches, so that writers do not wait for all of it.
    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        const BATCH: usize = 500;
        const ASIDE: u64 = 30 * 24 * 3600 * 1000;
        let mut swept = 0;
        loop {
            let gone = self.database()?.ask("cannot remove sessions that have ended", |connection| {
                let batch = "DELETE FROM kirsch_session WHERE key IN (SELECT key FROM kirsch_session WHERE ends <= ?1 LIMIT 500)";
                connection.prepare_cached(batch)?.execute([signed(now.unix_millis())])
            })?;
            swept += gone;
            if gone < BATCH {
                break;
            }
        }
        self.database()?.ask("cannot remove what was put aside", |connection| {
            let old = signed(now.unix_millis().saturating_sub(ASIDE));
            connection.execute("DELETE FROM kirsch_session_unreadable WHERE found <= ?1", [old])
        })?;
        Ok(swept)
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        let count = self.database()?.ask("cannot count the sessions", |connection| {
            connection.query_row("SELECT count(*) FROM kirsch_session", [], |row| row.get::<_, i64>(0))
        })?;
        Ok(usize::try_from(count).ok())
    }

    fn probe(&self) -> Result<(), StoreError> {
        let database = self.database()?;
        let form: i64 = database.ask(
            "cannot use the database for sessions: does its folder exist, and may this user write there?",
            |connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0)),
        )?;
        if form != 0 && form != FORM {
            let place = format!(
                "{}: its user_version is {form}, this program's is {FORM}; name another file",
                database.place()
            );
            return Err(StoreError::new("the database is another program's, or a later one's", place));
        }
        database.ask("cannot make the tables for the sessions", |connection| connection.execute_batch(TABLES))?;
        probe_by_writing(self, &database.place(), "what was written for a test was not there")
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        self.database().ok().map(|database| &database.locks as _)
    }

    /// Each was put aside, into the table `kirsch_session_unreadable`.
    fn quarantined(&self) -> u64 {
        self.quarantined.load(Ordering::Relaxed)
    }

    fn setting_rows(&self) -> Vec<SettingRow> {
        self.configured.setting_rows()
    }

    fn configure(&self, table: &SettingTable) -> Result<(), SettingError> {
        self.configured.configure(table)
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.configured.settings().path).finish_non_exhaustive()
    }
}
