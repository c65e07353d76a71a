//! The queue in an SQLite database: jobs that survive the end of their process, shared by the processes of a machine.
//!
//! One table. A claim is one statement that names the attempt it has seen, so two processes never get the same job, and
//! each step of a job is one commit. The database may be the application's own: then a job is enqueued in the
//! transaction that it belongs to ([`Jobs::transaction`]).
//!
//! One connection writes, another one reads; a thread waits for either no longer than for other processes.

use super::handle::{Core, Jobs};
use super::job::Job;
use super::memory::lease_ended;
use super::queue::{
    CLOCK_SET_BACK, Claimed, Enqueued, JobId, JobStatus, Keep, NewJob, Outcome, Queue, QueueError, Renewed, Stage,
    minute as minute_of,
};
use crate::Result;
use crate::exchange::Error;
use crate::private_file;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How long a statement waits for other writers.
const BUSY: Duration = Duration::from_secs(5);
/// How often jobs are counted to find out whether there is room; in between the new ones are added.
const COUNT_AGAIN: Duration = Duration::from_secs(1);

/// `due` is when a job may be claimed: its time, or the end of its lease. For one that has ended it is the end.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS kirsch_job (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    id       INTEGER NOT NULL UNIQUE,
    kind     TEXT NOT NULL,
    payload  TEXT NOT NULL,
    key      TEXT,
    stage    INTEGER NOT NULL DEFAULT 0,
    due      INTEGER NOT NULL,
    enqueued INTEGER NOT NULL,
    attempt  INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL,
    progress REAL NOT NULL DEFAULT 0,
    cancel   INTEGER NOT NULL DEFAULT 0,
    result   TEXT,
    error    TEXT
);
CREATE INDEX IF NOT EXISTS kirsch_job_due ON kirsch_job (kind, due, number) WHERE stage < 2;
CREATE INDEX IF NOT EXISTS kirsch_job_next ON kirsch_job (due, stage) WHERE stage < 2;
CREATE INDEX IF NOT EXISTS kirsch_job_ended ON kirsch_job (stage, due) WHERE stage >= 2;
CREATE UNIQUE INDEX IF NOT EXISTS kirsch_job_key ON kirsch_job (kind, key) WHERE key IS NOT NULL AND stage < 2;
CREATE TABLE IF NOT EXISTS kirsch_job_turn (entry TEXT PRIMARY KEY, minute INTEGER NOT NULL) WITHOUT ROWID;
";

/// The columns that [`status`] reads.
const COLUMNS: &str = "id, kind, stage, attempt, progress, result, error, enqueued";

impl Jobs {
    /// Jobs in the SQLite database at `path`, which survive the end of the process, and which the processes of this
    /// machine share (feature `sqlite`). The file is made at the first use, for this user alone. It may be the
    /// application's own database: the tables are called `kirsch_job` and `kirsch_job_turn`.
    ///
    /// A commit is on the disk before [`enqueue`](Self::enqueue) returns.
    ///
    /// ```no_run
    /// use kirsch::jobs::Jobs;
    ///
    /// let jobs = Jobs::sqlite("/var/lib/shop/shop.sqlite").threads(2);
    /// ```
    #[must_use]
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        let queue = Arc::new(SqliteQueue::new(path));
        Self { core: Arc::new(Core { sqlite: Some(queue.clone()), ..Core::new(queue) }) }
    }

    /// Changes the application's own tables and enqueues jobs, all or nothing: in one transaction on `connection`,
    /// which must be one to the same database. The threads of the jobs look when it is committed.
    ///
    /// ```
    /// use kirsch::jobs::{Job, Jobs, Work};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Thumbnails { photo: i64 }
    ///
    /// impl Job for Thumbnails {
    ///     const NAME: &str = "thumbnails";
    ///     type State = ();
    ///     fn run(&self, _: &(), _: &Work) -> kirsch::Result { Ok(()) }
    /// }
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("gallery.sqlite");
    /// let jobs = Jobs::sqlite(&path).register::<Thumbnails>(());
    /// let mut connection = rusqlite::Connection::open(&path)?;
    /// connection.execute("CREATE TABLE photo (id INTEGER PRIMARY KEY, name TEXT)", [])?;
    /// let job = jobs.transaction(&mut connection, |change| {
    ///     change.execute("INSERT INTO photo (name) VALUES ('cherries')", [])?;
    ///     change.enqueue(&Thumbnails { photo: change.last_insert_rowid() })
    /// })?;
    /// assert!(jobs.status(job)?.is_some());
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    ///
    /// # Errors
    /// The closure's own, after which nothing has changed, and those of the database. Also when the jobs are not in
    /// SQLite.
    pub fn transaction<T>(&self, connection: &mut Connection, run: impl FnOnce(&Change<'_>) -> Result<T>) -> Result<T> {
        let Some(queue) = &self.core.sqlite else {
            return Err(Error::unexpected("these jobs are not in SQLite, so no transaction holds them"));
        };
        // Makes the tables, if they are not there.
        drop(queue.open()?);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let change = Change { jobs: self, queue, transaction };
        let result = run(&change)?;
        change.transaction.commit()?;
        self.ring();
        Ok(result)
    }
}

/// A transaction of the application's own database in which jobs are enqueued, too: see [`Jobs::transaction`]. It is
/// also the `rusqlite::Transaction`.
#[derive(Debug)]
pub struct Change<'c> {
    jobs: &'c Jobs,
    queue: &'c SqliteQueue,
    transaction: Transaction<'c>,
}

impl Change<'_> {
    /// Enqueues a job when the transaction is committed, and never if it is not.
    ///
    /// # Errors
    /// As [`Jobs::enqueue`].
    pub fn enqueue<J: Job>(&self, job: &J) -> Result<JobId> {
        self.jobs.prepare(job).enqueue_by(|new| self.queue.enqueue_on(&self.transaction, new))
    }
}

impl<'c> Deref for Change<'c> {
    type Target = Transaction<'c>;

    fn deref(&self) -> &Transaction<'c> {
        &self.transaction
    }
}

/// Keeps jobs in an SQLite database.
pub struct SqliteQueue {
    path: PathBuf,
    writer: Mutex<Option<Opened>>,
    reader: Mutex<Option<Opened>>,
    /// The file was there once. If it goes, it is not made again: an empty queue would hide that.
    was_there: AtomicBool,
    /// How many jobs waited or ran at that moment, and those that were enqueued since.
    waiting: Mutex<Option<(Instant, usize)>>,
}

/// A connection, and the file that it is to: device and number.
struct Opened {
    connection: Connection,
    file: (u64, u64),
}

/// One of the two connections.
struct Link<'q>(MutexGuard<'q, Option<Opened>>);

impl Deref for Link<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0.as_ref().expect("a link is made with a connection").connection
    }
}

impl DerefMut for Link<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0.as_mut().expect("a link is made with a connection").connection
    }
}

impl SqliteQueue {
    /// A queue in the database at this path. Nothing is opened before it is used.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let path = std::path::absolute(&path).unwrap_or(path);
        let (writer, reader, waiting) = (Mutex::new(None), Mutex::new(None), Mutex::new(None));
        Self { path, writer, reader, was_there: AtomicBool::new(false), waiting }
    }

    fn failed(&self, what: &str, error: impl std::fmt::Display) -> QueueError {
        QueueError::Engine(format!("{}: {what}: {error}", self.path.display()).into())
    }

    fn link<'q>(&self, slot: &'q Mutex<Option<Opened>>) -> Result<Link<'q>, QueueError> {
        let mut slot =
            slot.try_lock_for(BUSY).ok_or_else(|| self.failed("other threads use it", "no answer in time"))?;
        // A file that was moved away or replaced lives on in its connections, and is not the queue any more.
        let file = self.file();
        if file.is_none() || slot.as_ref().is_none_or(|opened| Some(opened.file) != file) {
            *slot = None;
            *slot = Some(self.connect()?);
        }
        Ok(Link(slot))
    }

    /// The file that is at the path now.
    fn file(&self) -> Option<(u64, u64)> {
        self.path.metadata().ok().map(|file| (file.dev(), file.ino()))
    }

    /// The connection that writes.
    fn open(&self) -> Result<Link<'_>, QueueError> {
        self.link(&self.writer)
    }

    /// A connection to the database, whose file is made for this user alone before SQLite sees it: SQLite gives the
    /// same mode to its files beside it.
    fn connect(&self) -> Result<Opened, QueueError> {
        let moved = || self.failed("it is not there any more", "it was moved or removed; put it back, or start again");
        if self.was_there.load(Ordering::Relaxed) && self.file().is_none() {
            return Err(moved());
        }
        match private_file::create(&self.path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(self.failed("cannot make it", error)),
            _ => {}
        }
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.clone().into_os_string();
            name.push(ending);
            private_file::require_own(Path::new(&name)).map_err(|error| self.failed("it is not safe", error))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.set_prepared_statement_cache_capacity(32);
            connection.execute_batch(TABLES)?;
            Ok(connection)
        };
        let file = self.file().ok_or_else(moved)?;
        let connection = open().map_err(|error: rusqlite::Error| self.failed("cannot open it for jobs", error))?;
        self.was_there.store(true, Ordering::Relaxed);
        Ok(Opened { connection, file })
    }

    fn write<T>(&self, what: &str, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, QueueError> {
        run(&*self.open()?).map_err(|error| self.failed(what, error))
    }

    fn read<T>(&self, what: &str, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, QueueError> {
        run(&*self.link(&self.reader)?).map_err(|error| self.failed(what, error))
    }

    /// Whether there is room for one more; it is counted in.
    fn take_room(&self, connection: &Connection, max_waiting: usize) -> Result<(), QueueError> {
        let mut waiting = self.waiting.lock();
        let count = match *waiting {
            // Near the end every job counts.
            Some((at, count)) if at.elapsed() < COUNT_AGAIN && count + 100 < max_waiting => count,
            _ => {
                let select = "SELECT count(*) FROM kirsch_job WHERE stage < 2";
                let counted = connection
                    .prepare_cached(select)
                    .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)));
                let count = counted.map_err(|error| self.failed("cannot count the jobs", error))?;
                usize::try_from(count).unwrap_or(0)
            }
        };
        let at = waiting.filter(|(at, before)| at.elapsed() < COUNT_AGAIN && *before == count).map(|(at, _)| at);
        *waiting = Some((at.unwrap_or_else(Instant::now), count + 1));
        if count >= max_waiting { Err(QueueError::Full(count)) } else { Ok(()) }
    }

    /// Enqueues within a transaction of this connection, or as one by itself.
    fn enqueue_on(&self, connection: &Connection, new: &NewJob<'_>) -> Result<Enqueued, QueueError> {
        self.take_room(connection, new.max_waiting)?;
        let insert = || -> rusqlite::Result<Enqueued> {
            if let Some((entry, minute)) = new.turn {
                let turn = "INSERT INTO kirsch_job_turn VALUES (?1, ?2) ON CONFLICT (entry) DO UPDATE SET minute = ?2 \
                            WHERE minute < ?2 OR minute > ?3";
                let latest = signed(minute_of(SystemTime::now()) + CLOCK_SET_BACK);
                if connection.prepare_cached(turn)?.execute(params![entry, signed(minute), latest])? == 0 {
                    return Ok(Enqueued::Served);
                }
            }
            let now = now();
            let insert = "INSERT INTO kirsch_job (id, kind, payload, key, due, enqueued, attempts) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (kind, key) WHERE key IS NOT NULL AND stage < 2 DO NOTHING";
            let values = params![
                signed(new.id.number()),
                new.kind,
                new.payload,
                new.unique,
                now.saturating_add(millis(new.after)),
                now,
                new.attempts.max(1)
            ];
            if connection.prepare_cached(insert)?.execute(values)? == 1 {
                return Ok(Enqueued::New);
            }
            let select = "SELECT id FROM kirsch_job WHERE kind = ?1 AND key = ?2 AND stage < 2";
            let mut statement = connection.prepare_cached(select)?;
            statement.query_row(params![new.kind, new.unique], |row| Ok(Enqueued::Existing(id_of(row.get(0)?))))
        };
        insert().map_err(|error| self.failed("cannot enqueue a job", error))
    }
}

/// Milliseconds of the machine's clock since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> i64 {
    // A hundred years are as good as for ever.
    const LONGEST: i64 = 100 * 365 * 24 * 3600 * 1000;
    i64::try_from(duration.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn id_of(number: i64) -> JobId {
    JobId::of_number(u64::try_from(number).unwrap_or(0))
}

fn stage_of(number: u8) -> Stage {
    Stage::ALL.get(usize::from(number)).copied().unwrap_or(Stage::Dead)
}

fn status(row: &Row<'_>) -> rusqlite::Result<JobStatus> {
    let age = now().saturating_sub(row.get::<_, i64>(7)?);
    Ok(JobStatus {
        attempt: row.get(3)?,
        progress: row.get(4)?,
        result: row.get(5)?,
        error: row.get(6)?,
        age: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
        ..JobStatus::new(id_of(row.get(0)?), row.get::<_, String>(1)?, stage_of(row.get(2)?))
    })
}

/// A job that may be claimed, as it was seen.
struct Candidate {
    number: i64,
    stage: u8,
    attempt: u32,
    attempts: u32,
    is_cancelled: bool,
}

impl Candidate {
    fn find(connection: &Connection, kinds: &[&str], now: i64) -> rusqlite::Result<Option<Self>> {
        let select = "SELECT number, stage, attempt, attempts, cancel FROM kirsch_job \
                      WHERE kind = ?1 AND stage < 2 AND due <= ?2 ORDER BY due, number LIMIT 1";
        let mut statement = connection.prepare_cached(select)?;
        for kind in kinds {
            let row = |row: &Row<'_>| {
                Ok(Self {
                    number: row.get(0)?,
                    stage: row.get(1)?,
                    attempt: row.get(2)?,
                    attempts: row.get(3)?,
                    is_cancelled: row.get(4)?,
                })
            };
            if let Some(found) = statement.query_row(params![kind, now], row).optional()? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Ends it instead, if there is no attempt left or nobody wants it.
    fn end_if_over(&self, connection: &Connection, now: i64) -> rusqlite::Result<bool> {
        let stage = match () {
            () if self.stage != Stage::Running as u8 => return Ok(false),
            () if self.is_cancelled => Stage::Cancelled,
            () if self.attempt >= self.attempts => Stage::Dead,
            () => return Ok(false),
        };
        let error = (stage == Stage::Dead).then(|| lease_ended(self.attempt));
        let update = "UPDATE kirsch_job SET stage = ?3, due = ?4, error = coalesce(?5, error) \
                      WHERE number = ?1 AND attempt = ?2 AND stage = 1 AND due <= ?4";
        let values = params![self.number, self.attempt, stage as u8, now, error];
        connection.prepare_cached(update)?.execute(values)?;
        Ok(true)
    }

    fn claim(&self, connection: &Connection, now: i64, lease: Duration) -> rusqlite::Result<Option<Claimed>> {
        let update = "UPDATE kirsch_job SET stage = 1, attempt = attempt + 1, due = ?4 \
                      WHERE number = ?1 AND attempt = ?2 AND stage = ?3 AND due <= ?5 \
                      RETURNING id, kind, payload, attempt, attempts";
        let values = params![self.number, self.attempt, self.stage, now.saturating_add(millis(lease)), now];
        let claimed = |row: &Row<'_>| {
            Ok(Claimed {
                id: id_of(row.get(0)?),
                kind: row.get(1)?,
                payload: row.get(2)?,
                attempt: row.get(3)?,
                attempts: row.get(4)?,
            })
        };
        connection.prepare_cached(update)?.query_row(values, claimed).optional()
    }
}

impl Queue for SqliteQueue {
    fn enqueue(&self, new: &NewJob<'_>) -> Result<Enqueued, QueueError> {
        let mut link = self.open()?;
        if new.turn.is_none() {
            return self.enqueue_on(&link, new);
        }
        // The turn and its job come together, or not at all.
        let failed = |error| self.failed("cannot enqueue a job", error);
        let transaction = link.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let enqueued = self.enqueue_on(&transaction, new)?;
        transaction.commit().map_err(failed)?;
        Ok(enqueued)
    }

    fn claim(&self, kinds: &[&str], lease: Duration) -> Result<Option<Claimed>, QueueError> {
        loop {
            let now = now();
            // Looked for without the right to write: an idle process disturbs no other.
            let found = self.read("cannot look for a job", |reader| Candidate::find(reader, kinds, now))?;
            let Some(found) = found else { return Ok(None) };
            let claimed = self.write("cannot claim a job", |writer| {
                if found.end_if_over(writer, now)? { Ok(None) } else { found.claim(writer, now, lease) }
            })?;
            if claimed.is_some() {
                return Ok(claimed);
            }
        }
    }

    fn renew(&self, id: JobId, attempt: u32, lease: Duration, progress: f32) -> Result<Renewed, QueueError> {
        let update = "UPDATE kirsch_job SET due = ?3, progress = ?4 WHERE id = ?1 AND attempt = ?2 AND stage = 1 \
                      RETURNING cancel";
        let due = now().saturating_add(millis(lease));
        let cancelled = self.write("cannot renew a lease", |writer| {
            let mut statement = writer.prepare_cached(update)?;
            let values = params![signed(id.number()), attempt, due, progress];
            statement.query_row(values, |row| row.get::<_, bool>(0)).optional()
        })?;
        Ok(match cancelled {
            None => Renewed::Lost,
            Some(true) => Renewed::Cancelled,
            Some(false) => Renewed::Held,
        })
    }

    fn finish(&self, id: JobId, attempt: u32, outcome: &Outcome) -> Result<bool, QueueError> {
        let now = now();
        // What a cancelled job becomes in place of being queued again is decided in the statement.
        let (stage, due, result, error, more) = match outcome {
            Outcome::Done { result } => (Stage::Done, now, result.as_deref(), None, 0),
            Outcome::Again { after, error } => {
                (Stage::Queued, now.saturating_add(millis(*after)), None, Some(error.as_str()), 0)
            }
            Outcome::Dead { error } => (Stage::Dead, now, None, Some(error.as_str()), 0),
            Outcome::Released => (Stage::Queued, now, None, None, 1),
            Outcome::Cancelled => (Stage::Cancelled, now, None, None, 0),
        };
        let update = "UPDATE kirsch_job SET stage = iif(?3 = 0 AND cancel, 4, ?3), due = iif(?3 = 0 AND cancel, ?8, ?4), \
                      result = ?5, error = ?6, attempts = attempts + ?7, progress = iif(?3 = 2, 1, progress) \
                      WHERE id = ?1 AND attempt = ?2 AND stage = 1";
        let values = params![signed(id.number()), attempt, stage as u8, due, result, error, more, now];
        self.write("cannot end a job", |writer| Ok(writer.prepare_cached(update)?.execute(values)? == 1))
    }

    fn cancel(&self, id: JobId) -> Result<bool, QueueError> {
        let update = "UPDATE kirsch_job SET cancel = 1, due = iif(stage = 0, ?2, due), stage = iif(stage = 0, 4, 1) \
                      WHERE id = ?1 AND stage < 2";
        self.write("cannot cancel a job", |writer| {
            Ok(writer.prepare_cached(update)?.execute(params![signed(id.number()), now()])? == 1)
        })
    }

    fn revive(&self, id: JobId) -> Result<bool, QueueError> {
        let mut link = self.open()?;
        let failed = |error| self.failed("cannot revive a job", error);
        let transaction = link.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let other = "SELECT other.id FROM kirsch_job AS own JOIN kirsch_job AS other USING (kind, key) \
                     WHERE own.id = ?1 AND own.stage = 3 AND other.stage < 2";
        let id = signed(id.number());
        let other: Option<i64> = transaction.query_row(other, [id], |row| row.get(0)).optional().map_err(failed)?;
        if let Some(other) = other {
            return Err(QueueError::Exists(id_of(other)));
        }
        let update = "UPDATE kirsch_job SET stage = 0, due = ?2, attempts = attempts + max(attempt, 1) \
                      WHERE id = ?1 AND stage = 3";
        let revived = transaction.execute(update, params![id, now()]).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(revived == 1)
    }

    fn status(&self, id: JobId) -> Result<Option<JobStatus>, QueueError> {
        let select = format!("SELECT {COLUMNS} FROM kirsch_job WHERE id = ?1");
        self.read("cannot look for a job", |reader| {
            reader.prepare_cached(&select)?.query_row([signed(id.number())], status).optional()
        })
    }

    fn list(&self, stage: Stage, at_most: usize) -> Result<Vec<JobStatus>, QueueError> {
        let select = format!("SELECT {COLUMNS} FROM kirsch_job WHERE stage = ?1 ORDER BY number DESC LIMIT ?2");
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        self.read("cannot list jobs", |reader| {
            reader.prepare_cached(&select)?.query_map(params![stage as u8, at_most], status)?.collect()
        })
    }

    fn counts(&self) -> Result<[usize; 5], QueueError> {
        // Each half is in an index: no job is read, and those that are kept may be many.
        let select = "SELECT stage, count(*) FROM kirsch_job WHERE stage < 2 GROUP BY stage UNION ALL \
                      SELECT stage, count(*) FROM kirsch_job WHERE stage >= 2 GROUP BY stage";
        self.read("cannot count the jobs", |reader| {
            let mut counts = [0; 5];
            let mut statement = reader.prepare_cached(select)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                counts[stage_of(row.get(0)?) as usize] = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
            }
            Ok(counts)
        })
    }

    fn next_due(&self) -> Result<Option<Duration>, QueueError> {
        let select = "SELECT min(due) FROM kirsch_job WHERE stage < 2";
        let due: Option<i64> = self
            .read("cannot look for a job", |reader| reader.prepare_cached(select)?.query_row([], |row| row.get(0)))?;
        Ok(due.map(|due| Duration::from_millis(u64::try_from(due.saturating_sub(now())).unwrap_or(0))))
    }

    fn last_turn(&self, entry: &str) -> Result<Option<u64>, QueueError> {
        let select = "SELECT minute FROM kirsch_job_turn WHERE entry = ?1";
        let minute: Option<i64> = self.read("cannot read the timetable", |reader| {
            reader.prepare_cached(select)?.query_row([entry], |row| row.get(0)).optional()
        })?;
        Ok(minute.and_then(|minute| u64::try_from(minute).ok()))
    }

    /// In batches, so that writers do not wait for all of it.
    fn sweep(&self, keep: &Keep) -> Result<usize, QueueError> {
        const BATCH: usize = 500;
        let now = now();
        let mut swept = 0;
        let kept = [(Stage::Done, keep.done), (Stage::Dead, keep.dead), (Stage::Cancelled, keep.done)];
        for (stage, keep) in kept {
            let old = now.saturating_sub(millis(keep));
            let delete = "DELETE FROM kirsch_job WHERE number IN \
                          (SELECT number FROM kirsch_job WHERE stage = ?1 AND stage >= 2 AND due <= ?2 LIMIT 500)";
            loop {
                let gone = self.write("cannot remove jobs that have ended", |writer| {
                    writer.prepare_cached(delete)?.execute(params![stage as u8, old])
                })?;
                swept += gone;
                if gone < BATCH {
                    break;
                }
            }
        }
        // `stage < 2` lets SQLite use the index, and not read all jobs that are kept.
        // No lease can end so late, unless the clock was set back since it was given.
        let latest = now.saturating_add(millis(keep.lease.saturating_mul(2)));
        self.write("cannot end leases", |writer| {
            writer
                .prepare_cached("UPDATE kirsch_job SET due = ?1 WHERE stage = 1 AND stage < 2 AND due > ?2")?
                .execute([now, latest])
        })?;
        // Nor is a job enqueued in the future. Its delay counts from now.
        let update = "UPDATE kirsch_job SET due = due - (enqueued - ?1), enqueued = ?1 \
                      WHERE stage = 0 AND stage < 2 AND due >= ?1 AND enqueued > ?1";
        self.write("cannot correct times", |writer| writer.prepare_cached(update)?.execute([now]))?;
        Ok(swept)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteQueue").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::exchange::ErrorKind;
    use crate::jobs::Work;
    use crate::publish::PageCall;
    use crate::testing::{Client, job_queue};
    use crate::{App, Tree};
    use serde::{Deserialize, Serialize};
    use tempfile::TempDir;

    #[test]
    fn the_queue_in_sqlite_keeps_the_rules() {
        let folders = Mutex::new(Vec::new());
        job_queue::check(|| {
            let folder = TempDir::new().unwrap();
            let queue = SqliteQueue::new(folder.path().join("jobs.sqlite"));
            folders.lock().push(folder);
            queue
        });
    }

    #[test]
    fn several_handles_of_a_database_are_one_queue() {
        let folder = TempDir::new().unwrap();
        job_queue::check_shared(|| SqliteQueue::new(folder.path().join("jobs.sqlite")));
    }

    #[derive(Serialize, Deserialize)]
    struct Note;

    impl Job for Note {
        const NAME: &'static str = "note";
        type State = ();
        fn run(&self, (): &(), _: &Work) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_transaction_that_is_rolled_back_leaves_no_job() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("own.sqlite");
        let jobs = Jobs::sqlite(&path).register::<Note>(());
        let mut connection = Connection::open(&path).unwrap();
        connection.execute("CREATE TABLE own (number INTEGER)", []).unwrap();
        let write = |connection: &mut Connection, fails: bool| {
            jobs.transaction(connection, |change| {
                change.execute("INSERT INTO own VALUES (1)", [])?;
                let id = change.enqueue(&Note)?;
                if fails { Err(Error::unexpected("no")) } else { Ok(id) }
            })
        };
        assert_eq!(write(&mut connection, true).unwrap_err().to_string(), "no");
        assert_eq!(jobs.counts().unwrap(), [0; 5]);
        write(&mut connection, false).unwrap();
        assert_eq!((jobs.run_due().unwrap(), jobs.counts().unwrap()), (1, [0, 0, 1, 0, 0]));
        let rows: i64 = connection.query_row("SELECT count(*) FROM own", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_lease_from_before_the_clock_was_set_back_ends_with_the_next_sweep() {
        let folder = TempDir::new().unwrap();
        let queue = SqliteQueue::new(folder.path().join("jobs.sqlite"));
        queue.enqueue(&NewJob::new(JobId::of_number(1), "note", "null")).unwrap();
        queue.claim(&["note"], Duration::from_secs(3600)).unwrap().unwrap();
        assert_eq!(queue.claim(&["note"], Duration::from_secs(60)).unwrap(), None);
        queue.sweep(&Keep::default()).unwrap();
        let again = queue.claim(&["note"], Duration::from_secs(60)).unwrap().unwrap();
        assert_eq!(again.attempt, 2);
    }

    #[test]
    fn a_job_from_before_the_clock_was_set_back_keeps_its_delay_from_then_on() {
        const HOUR: Duration = Duration::from_secs(3600);
        let folder = TempDir::new().unwrap();
        let queue = SqliteQueue::new(folder.path().join("jobs.sqlite"));
        for (number, after) in [(1, Duration::ZERO), (2, HOUR)] {
            queue.enqueue(&NewJob { after, ..NewJob::new(JobId::of_number(number), "note", "null") }).unwrap();
        }
        queue
            .write("test", |w| w.execute("UPDATE kirsch_job SET due = due + 9e6, enqueued = enqueued + 9e6", []))
            .unwrap();
        assert_eq!(queue.claim(&["note"], HOUR).unwrap(), None);
        queue.sweep(&Keep::default()).unwrap();
        assert_eq!(queue.claim(&["note"], HOUR).unwrap().map(|job| job.id), Some(JobId::of_number(1)));
        let due = queue.next_due().unwrap().unwrap();
        assert!(due <= HOUR && !due.is_zero(), "{due:?}");
    }

    #[test]
    fn the_file_is_this_users_own_and_does_not_grow_for_ever() {
        use std::os::unix::fs::MetadataExt;
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("jobs.sqlite");
        let queue = SqliteQueue::new(&path);
        let (keep, payload) = (Keep { done: Duration::ZERO, ..Keep::default() }, "x".repeat(1000));
        let mut sizes = Vec::new();
        for round in 0..6 {
            // A thousand jobs that are done, in one transaction: the disk is not what is tested.
            queue
                .write("test", |writer| {
                    let insert = "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + 999) \
                              INSERT INTO kirsch_job (id, kind, payload, stage, due, enqueued, attempts) \
                              SELECT i, 'note', ?2, 2, 0, 0, 5 FROM n";
                    writer.execute(insert, params![round * 1000, payload])
                })
                .unwrap();
            assert_eq!(queue.sweep(&keep).unwrap(), 1000);
            sizes.push(path.metadata().unwrap().len());
        }
        assert!(sizes[5] <= sizes[2] + sizes[2] / 4, "it grows: {sizes:?}");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_database_that_was_removed_is_an_error_and_not_an_empty_queue() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("jobs.sqlite");
        let jobs = Jobs::sqlite(&path).register::<Note>(());
        jobs.enqueue(&Note).unwrap();
        assert_eq!(jobs.counts().unwrap()[0], 1);
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&path, &elsewhere).unwrap();
        for _ in 0..3 {
            assert!(told(jobs.enqueue(&Note)).contains("it was moved or removed"), "it stays so");
            assert!(told(jobs.counts()).contains("it was moved or removed"));
        }
        std::fs::rename(&elsewhere, &path).unwrap();
        jobs.enqueue(&Note).unwrap();
        assert_eq!(jobs.run_due().unwrap(), 2);
    }

    /// What the operator reads about a failure.
    fn told<T>(result: Result<T>) -> String {
        match result.err().map(Error::into_kind) {
            Some(ErrorKind::Http(error)) if error.status == 503 => error.remedy.unwrap_or_default().into_owned(),
            _ => String::new(),
        }
    }

    #[test]
    fn a_file_in_place_of_the_database_is_the_queue_from_then_on() {
        let folder = TempDir::new().unwrap();
        let (path, backup) = (folder.path().join("jobs.sqlite"), folder.path().join("backup.sqlite"));
        let jobs = Jobs::sqlite(&path).register::<Note>(());
        let first = jobs.enqueue(&Note).unwrap();
        let in_backup = Jobs::sqlite(&backup).register::<Note>(()).enqueue(&Note).unwrap();
        assert!(jobs.status(first).unwrap().is_some());
        for ending in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path().join(format!("jobs.sqlite{ending}")));
        }
        std::fs::rename(&backup, &path).unwrap();
        assert_eq!((jobs.status(first).unwrap(), jobs.run_due().unwrap()), (None, 1));
        assert_eq!(jobs.status(in_backup).unwrap().map(|job| job.stage), Some(Stage::Done));
    }

    #[test]
    fn without_room_on_the_disk_a_job_is_refused_with_503_and_other_pages_are_as_ever() {
        let folder = TempDir::new().unwrap();
        let jobs = Jobs::sqlite(folder.path().join("jobs.sqlite")).register::<Note>(());
        let first = jobs.enqueue(&Note).unwrap();
        let queue = jobs.core.sqlite.clone().unwrap();
        queue.write("test", |writer| writer.pragma_update(None, "max_page_count", 1)).unwrap();
        let to_enqueue = jobs.clone();
        // Large ones, so that the pages that are there are soon full.
        let order = move |_: &mut PageCall<'_>| {
            let many = (0..1000).try_for_each(|number| {
                to_enqueue.prepare(&Note).unique("x".repeat(4000) + &number.to_string()).enqueue().map(drop)
            });
            many.map(|()| "all of them")
        };
        let client = Client::in_process(App::new(Tree::new().index(|_| "here").page("order", order)));
        client.post("/order").send().assert_status(503).assert_header("retry-after", "60").assert_contains("try again");
        client.get("/").send().assert_status(200).assert_text("here");
        assert!(jobs.status(first).unwrap().is_some(), "what is there can be read");
        let full = told(jobs.prepare(&Note).unique("x".repeat(4000)).enqueue());
        assert!(full.contains("jobs.sqlite: cannot enqueue a job: database or disk is full"), "{full}");
    }

    #[test]
    fn a_queue_is_read_while_another_process_writes() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("jobs.sqlite");
        SqliteQueue::new(&path).enqueue(&NewJob::new(JobId::of_number(1), "note", "null")).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE; UPDATE kirsch_job SET kind = 'other'").unwrap();
        let queue = SqliteQueue::new(&path);
        // Opened here for the first time: without waiting for the writer, which would fail after five seconds.
        assert_eq!(queue.status(JobId::of_number(1)).unwrap().map(|job| job.kind).as_deref(), Some("note"));
    }
}
