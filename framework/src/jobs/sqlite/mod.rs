//! The queue in an SQLite database: jobs that survive the end of their process, shared by the processes of a machine.
//!
//! One table. A claim is one statement that names the attempt it has seen, so two processes never get the same job, and
//! each step of a job is one commit. The database may be the application's own: then a job is enqueued in the
//! transaction that it belongs to ([`Jobs::transaction`]).
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | [`SqliteQueue`], in terms of statements |
//! | `links` | the two connections |
//! | `change` | [`Jobs::transaction`] |

mod change;
mod links;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

pub use change::Change;

use super::handle::Jobs;
use super::memory::lease_ended;
use super::queue::{
    CLOCK_SET_BACK, Claimed, Enqueued, JobId, JobStatus, Keep, NewJob, Outcome, Queue, QueueError, Renewed, Stage,
    millis, minute as minute_of, signed,
};
use super::room::Room;
use links::Links;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How long a call waits for other writers, unless it is set.
const PATIENCE: Duration = Duration::from_secs(2);

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
        Self::with(SqliteQueue::new(path))
    }
}

/// Keeps jobs in an SQLite database.
///
/// ```no_run
/// use kirsch::jobs::{Jobs, SqliteQueue};
/// use std::time::Duration;
///
/// let jobs = Jobs::with(SqliteQueue::new("shop.sqlite").patience(Duration::from_millis(500)));
/// ```
pub struct SqliteQueue {
    links: Links,
    room: Room,
}

impl SqliteQueue {
    /// A queue in the database at this path. Nothing is opened before it is used.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let path = std::path::absolute(&path).unwrap_or(path);
        Self { links: Links::new(path, PATIENCE), room: Room::default() }
    }

    /// How long a call waits for other threads and processes that write (default 2 s). A handler that enqueues a job
    /// waits on its worker, and answers 503 then.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.links.patience = patience;
        self
    }

    /// Enqueues within a transaction of this connection, or as one by itself.
    fn enqueue_on(&self, connection: &Connection, new: &NewJob<'_>) -> Result<Enqueued, QueueError> {
        self.room.take(new.max_waiting, || {
            let select = "SELECT count(*) FROM kirsch_job WHERE stage < 2";
            let counted = connection
                .prepare_cached(select)
                .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)));
            let count = counted.map_err(|error| self.links.refused("cannot count the jobs", error))?;
            Ok(usize::try_from(count).unwrap_or(0))
        })?;
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
        insert().map_err(|error| self.links.refused("cannot enqueue a job", error))
    }
}

/// Milliseconds of the machine's clock since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
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
        let mut link = self.links.open()?;
        if new.turn.is_none() {
            return self.enqueue_on(&link, new);
        }
        // The turn and its job come together, or not at all.
        let failed = |error| self.links.refused("cannot enqueue a job", error);
        let transaction = link.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let enqueued = self.enqueue_on(&transaction, new)?;
        transaction.commit().map_err(failed)?;
        Ok(enqueued)
    }

    fn claim(&self, kinds: &[&str], lease: Duration) -> Result<Option<Claimed>, QueueError> {
        loop {
            let now = now();
            // Looked for without the right to write: an idle process disturbs no other.
            let found = self.links.read("cannot look for a job", |reader| Candidate::find(reader, kinds, now))?;
            let Some(found) = found else { return Ok(None) };
            let claimed = self.links.write("cannot claim a job", |writer| {
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
        let cancelled = self.links.write("cannot renew a lease", |writer| {
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
        self.links.write("cannot end a job", |writer| Ok(writer.prepare_cached(update)?.execute(values)? == 1))
    }

    fn cancel(&self, id: JobId) -> Result<bool, QueueError> {
        let update = "UPDATE kirsch_job SET cancel = 1, due = iif(stage = 0, ?2, due), stage = iif(stage = 0, 4, 1) \
                      WHERE id = ?1 AND stage < 2";
        self.links.write("cannot cancel a job", |writer| {
            Ok(writer.prepare_cached(update)?.execute(params![signed(id.number()), now()])? == 1)
        })
    }

    fn revive(&self, id: JobId) -> Result<bool, QueueError> {
        let mut link = self.links.open()?;
        let failed = |error| self.links.refused("cannot revive a job", error);
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
        self.links.read("cannot look for a job", |reader| {
            reader.prepare_cached(&select)?.query_row([signed(id.number())], status).optional()
        })
    }

    fn list(&self, stage: Stage, at_most: usize) -> Result<Vec<JobStatus>, QueueError> {
        let select = format!("SELECT {COLUMNS} FROM kirsch_job WHERE stage = ?1 ORDER BY number DESC LIMIT ?2");
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        self.links.read("cannot list jobs", |reader| {
            reader.prepare_cached(&select)?.query_map(params![stage as u8, at_most], status)?.collect()
        })
    }

    fn counts(&self) -> Result<[usize; 5], QueueError> {
        // Each half is in an index: no job is read, and those that are kept may be many.
        let select = "SELECT stage, count(*) FROM kirsch_job WHERE stage < 2 GROUP BY stage UNION ALL \
                      SELECT stage, count(*) FROM kirsch_job WHERE stage >= 2 GROUP BY stage";
        self.links.read("cannot count the jobs", |reader| {
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
            .links
            .read("cannot look for a job", |reader| reader.prepare_cached(select)?.query_row([], |row| row.get(0)))?;
        Ok(due.map(|due| Duration::from_millis(u64::try_from(due.saturating_sub(now())).unwrap_or(0))))
    }

    fn last_turn(&self, entry: &str) -> Result<Option<u64>, QueueError> {
        let select = "SELECT minute FROM kirsch_job_turn WHERE entry = ?1";
        let minute: Option<i64> = self.links.read("cannot read the timetable", |reader| {
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
                let gone = self.links.write("cannot remove jobs that have ended", |writer| {
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
        self.links.write("cannot end leases", |writer| {
            writer
                .prepare_cached("UPDATE kirsch_job SET due = ?1 WHERE stage = 1 AND stage < 2 AND due > ?2")?
                .execute([now, latest])
        })?;
        // Nor is a job enqueued in the future. Its delay counts from now.
        let update = "UPDATE kirsch_job SET due = due - (enqueued - ?1), enqueued = ?1 \
                      WHERE stage = 0 AND stage < 2 AND due >= ?1 AND enqueued > ?1";
        self.links.write("cannot correct times", |writer| writer.prepare_cached(update)?.execute([now]))?;
        Ok(swept)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteQueue").field("path", &self.links.path()).finish_non_exhaustive()
    }
}
