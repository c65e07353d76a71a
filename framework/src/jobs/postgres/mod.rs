//! The queue in PostgreSQL, for the processes of any number of machines.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | [`PostgresQueue`] and its settings; the queue in terms of statements |
//! | `statements` | the tables and functions, and each step as one statement |
//!
//! One table. A claim locks the row that it takes and passes over those that others are at (`SKIP LOCKED`), so
//! processes do not wait for each other. Every step is one statement on a thread of tokio, with a deadline, and the
//! calling thread waits for it. Each enqueued job is a message (`NOTIFY`) when its transaction is committed.
//!
//! A claim whose answer is lost leaves a job that nobody is at. So each claim has a number, and the next call gives
//! back what the lost ones have taken: such a job waits for no lease and loses no attempt.

mod statements;

use super::handle::{Jobs, Prepared};
use super::lost_claims::LostClaims;
use super::queue::{
    Claimed, Enqueued, JobId, JobStatus, Keep, NewJob, Outcome, Queue, QueueError, Renewed, Stage, millis, signed,
};
use super::room::Room;
use crate::Result;
use crate::databases::listening::listen;
use crate::databases::postgres::{self, Links, Value};
use crate::databases::{Configured, Connections, Owner, StoreSettings, connection_builders};
use crate::exchange::Error;
use crate::settings::{Secret, SettingError, SettingRow};
use statements::Statements;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_postgres::Row;

const JOBS: Owner = Owner {
    settings: "jobs",
    log: "kirsch::jobs",
    #[cfg(feature = "redis")]
    page: "docs/guide/jobs.md",
};

impl Jobs {
    /// Jobs in PostgreSQL, for the processes of any number of machines (feature `postgres`). The database may be the
    /// application's own: then a job is enqueued in the transaction that it belongs to, see [`Prepared::sql`].
    ///
    /// ```no_run
    /// use kirsch::jobs::Jobs;
    ///
    /// let jobs = Jobs::postgres("postgres://shop:secret@10.0.0.5/shop").threads(2);
    /// ```
    ///
    /// [`PostgresQueue`] has the settings: `Jobs::with(PostgresQueue::new(url).pool(8))`.
    #[must_use]
    pub fn postgres(url: impl Into<String>) -> Self {
        Self::with(PostgresQueue::new(url))
    }
}

impl Prepared<'_> {
    /// The statement that enqueues the job, for a transaction of your own on the PostgreSQL database where the jobs are
    /// (feature `postgres`). Any client can run it; it has no parameters. The job is there when the transaction is
    /// committed, and never if it is not.
    ///
    /// Its one column is the number of the job: [`JobId::of_number`] of it.
    ///
    /// ```no_run
    /// # use kirsch::jobs::{Job, JobId, Jobs, Work};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Thumbnails { photo: i64 }
    /// # impl Job for Thumbnails {
    /// #     const NAME: &str = "thumbnails";
    /// #     type State = ();
    /// #     fn run(&self, _: &(), _: &Work) -> kirsch::Result { Ok(()) }
    /// # }
    /// # fn upload(jobs: &Jobs, client: &mut postgres::Client) -> kirsch::Result<JobId> {
    /// let mut transaction = client.transaction()?;
    /// let photo: i64 = transaction.query_one("INSERT INTO photo (name) VALUES ('cherries') RETURNING id", &[])?.get(0);
    /// let enqueue = jobs.prepare(&Thumbnails { photo }).sql()?;
    /// let number: i64 = transaction.query_one(&enqueue, &[])?.get(0);
    /// transaction.commit()?;
    /// # Ok(JobId::of_number(number as u64))
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Jobs::enqueue`], and when the jobs are not in PostgreSQL.
    pub fn sql(self) -> Result<String> {
        let core = &self.jobs.core;
        let Some(queue) = core.queue_of::<PostgresQueue>() else {
            return Err(Error::unexpected("these jobs are not in PostgreSQL, so no statement enqueues them"));
        };
        let mut statement = String::new();
        self.enqueue_by(|new| {
            let table = queue.configured.settings().table;
            statement = core.ask(|_| {
                queue.engine()?.take_room(new.max_waiting)?;
                Ok(enqueueing(&statements::base(&table), new))
            })?;
            Ok(Enqueued::New)
        })?;
        Ok(statement)
    }
}

/// The statement for this job.
fn enqueueing(base: &str, new: &NewJob<'_>) -> String {
    let (kind, payload) = (literal(new.kind), literal(new.payload));
    let key = new.unique.map_or_else(|| "NULL".to_owned(), literal);
    let (delay, attempts, id) = (millis(new.after), count(new.attempts), signed(new.id.number()));
    format!(
        "SELECT {base}_enqueue({kind}, {payload}, {delay} * interval '1 millisecond', {key}, {attempts}, {id}::bigint)"
    )
}

/// A text in a statement, whatever `standard_conforming_strings` is. It has no NUL: JSON escapes it, and no key has
/// one.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Keeps jobs in PostgreSQL (10 and above; 15 is tested).
///
/// ```
/// use kirsch::jobs::{Jobs, PostgresQueue};
/// use std::time::Duration;
///
/// let queue = PostgresQueue::new("postgres://shop:secret@10.0.0.5/shop").operation_timeout(Duration::from_millis(500));
/// println!("{}", queue.ddl());
/// let jobs = Jobs::with(queue);
/// ```
///
/// Leases and delays are measured on the server's clock. There is no TLS to the server: put it into a network of its
/// own. Credentials in the address appear in no log and no error.
pub struct PostgresQueue {
    configured: Configured<Settings>,
}

#[derive(Clone, PartialEq, Eq, crate::settings::Settings)]
#[settings(check = Self::check, builders_on = PostgresQueue)]
struct Settings {
    /// Where the database is: `postgres://user:password@host:5432/database`, or `host=… user=…`; several hosts are
    /// tried in turn.
    #[setting(given, no_builder)]
    url: Secret,
    #[setting(flatten, default = Connections::new(4))]
    connections: Connections,
    /// How the names of the tables and functions begin: letters, digits and `_`, perhaps behind the name of a schema
    /// and a dot. They are `…_v1`, `…_v1_turn`, `…_v1_enqueue` and `…_v1_claim`.
    #[setting(default = "kirsch_job")]
    table: String,
    /// Whether the tables and functions are made at the start, where they are missing.
    ///
    /// Programs whose user may not do that leave it to [`ddl`](Self::ddl).
    #[setting(default = true)]
    create_table: bool,
}

connection_builders! {
    /// Connections of this process (`pool`, default 4); one more listens.
    PostgresQueue
}

impl PostgresQueue {
    /// A queue at this address. Nothing is connected before the start; a malformed address stops it.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { configured: Configured::new(Settings::defaults(Secret::text(url))) }
    }

    /// The statements that make the tables and functions, for operators who make them by hand.
    #[must_use]
    pub fn ddl(&self) -> String {
        statements::tables(&self.configured.settings().table)
    }

    /// The settings as they are now, for tables.
    #[must_use]
    pub fn setting_rows(&self) -> Vec<SettingRow> {
        self.configured.setting_rows()
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.configured.change(change);
        self
    }

    fn engine(&self) -> Result<&Engine, QueueError> {
        let engine = self.configured.engine().map_err(QueueError::from)?;
        engine.make_tables()?;
        Ok(engine)
    }
}

impl Settings {
    fn check(&self) -> Result<(), SettingError> {
        postgres::check_table(&self.table).map_err(|problem| SettingError::new("table", problem))?;
        postgres::parse(self.url.exposed()).map(drop).map_err(|problem| SettingError::new("url", problem))
    }
}

impl StoreSettings for Settings {
    type Engine = Engine;
    const PLACE: &'static str = "url";
    const OWNER: &'static str = JOBS.settings;

    fn open(self) -> Result<Engine, String> {
        let runtime = postgres::runtime()?;
        let links = Links::new(JOBS, runtime.handle().clone(), self.url.exposed(), self.connections)?;
        Ok(Engine {
            statements: Statements::of(&self.table),
            table: self.table,
            has_tables: AtomicBool::new(!self.create_table),
            lost_claims: LostClaims::default(),
            room: Room::default(),
            links: Arc::new(links),
            _runtime: runtime,
        })
    }
}

/// The values that are there once the settings are final.
struct Engine {
    table: String,
    statements: Statements,
    has_tables: AtomicBool,
    lost_claims: LostClaims,
    room: Room,
    links: Arc<Links>,
    _runtime: Runtime,
}

impl Engine {
    /// The first call makes them, and each later one if it has failed.
    fn make_tables(&self) -> Result<(), QueueError> {
        if self.has_tables.load(Ordering::Acquire) {
            return Ok(());
        }
        let what = "cannot make the tables for the jobs (if this user may not, make them with PostgresQueue::ddl and set create_table(false))";
        let (links, tables) = (Arc::clone(&self.links), statements::tables(&self.table));
        self.links.wait(async move { links.batch(what, &tables).await }).map_err(QueueError::from)?;
        self.has_tables.store(true, Ordering::Release);
        Ok(())
    }

    /// The rows of a statement; `what` for errors.
    fn rows(&self, what: &'static str, statement: &str, values: Vec<Box<Owned>>) -> Result<Vec<Row>, QueueError> {
        let (links, statement) = (Arc::clone(&self.links), statement.to_owned());
        let steps = async move {
            let values: Vec<&Value> = values.iter().map(|value| &**value as &Value).collect();
            links.rows(what, &statement, &values).await
        };
        self.links.wait(steps).map_err(QueueError::from)
    }

    /// How many rows a statement has changed.
    fn execute(&self, what: &'static str, statement: &str, values: Vec<Box<Owned>>) -> Result<u64, QueueError> {
        let (links, statement) = (Arc::clone(&self.links), statement.to_owned());
        let steps = async move {
            let values: Vec<&Value> = values.iter().map(|value| &**value as &Value).collect();
            links.execute(what, &statement, &values).await
        };
        self.links.wait(steps).map_err(QueueError::from)
    }

    fn take_room(&self, max_waiting: usize) -> Result<(), QueueError> {
        self.room.take(max_waiting, || {
            let rows = self.rows("cannot count the jobs", &self.statements.waiting, vec![])?;
            Ok(rows.first().map_or(0, |row| length(row.get(0))))
        })
    }

    /// Gives back what claims without an answer have taken.
    fn give_back(&self) -> Result<(), QueueError> {
        let lost = self.lost_claims.take();
        if lost.is_empty() {
            return Ok(());
        }
        let numbers: Vec<i64> = lost.iter().copied().map(signed).collect();
        let given_back = self.execute("cannot give back a job", &self.statements.give_back, vec![Box::new(numbers)]);
        given_back.map(drop).inspect_err(|_| self.lost_claims.keep(lost))
    }
}

/// A value of a statement that goes to the other thread.
type Owned = dyn tokio_postgres::types::ToSql + Send + Sync;

impl Queue for PostgresQueue {
    fn probe(&self) -> Result<(), QueueError> {
        self.counts().map(drop)
    }

    fn enqueue(&self, new: &NewJob<'_>) -> Result<Enqueued, QueueError> {
        let engine = self.engine()?;
        engine.take_room(new.max_waiting)?;
        let (entry, minute) = new.turn.map_or((None, None), |(entry, minute)| (Some(entry), Some(signed(minute))));
        let values: Vec<Box<Owned>> = vec![
            Box::new(new.kind.to_owned()),
            Box::new(new.payload.to_owned()),
            Box::new(millis(new.after)),
            Box::new(new.unique.map(str::to_owned)),
            Box::new(count(new.attempts)),
            Box::new(signed(new.id.number())),
            Box::new(entry.map(str::to_owned)),
            Box::new(minute),
        ];
        let rows = engine.rows("cannot enqueue a job", &engine.statements.enqueue, values)?;
        Ok(match rows.first().and_then(|row| row.get::<_, Option<i64>>(0)).map(id_of) {
            None => Enqueued::Served,
            Some(id) if id == new.id => Enqueued::New,
            Some(other) => Enqueued::Existing(other),
        })
    }

    fn claim(&self, kinds: &[&str], lease: Duration) -> Result<Option<Claimed>, QueueError> {
        let engine = self.engine()?;
        engine.give_back()?;
        let claim = LostClaims::new_number();
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let values: Vec<Box<Owned>> = vec![Box::new(kinds), Box::new(millis(lease)), Box::new(signed(claim))];
        let rows = engine
            .rows("cannot claim a job", &engine.statements.claim, values)
            .inspect_err(|_| engine.lost_claims.keep([claim]))?;
        Ok(rows.first().map(|row| Claimed {
            id: id_of(row.get(0)),
            kind: row.get(1),
            payload: row.get(2),
            attempt: uncount(row.get(3)),
            attempts: uncount(row.get(4)),
        }))
    }

    fn renew(&self, id: JobId, attempt: u32, lease: Duration, progress: f32) -> Result<Renewed, QueueError> {
        let engine = self.engine()?;
        let values: Vec<Box<Owned>> =
            vec![Box::new(signed(id.number())), Box::new(count(attempt)), Box::new(millis(lease)), Box::new(progress)];
        let rows = engine.rows("cannot renew a lease", &engine.statements.renew, values)?;
        Ok(match rows.first().map(|row| row.get::<_, bool>(0)) {
            None => Renewed::Lost,
            Some(true) => Renewed::Cancelled,
            Some(false) => Renewed::Held,
        })
    }

    fn finish(&self, id: JobId, attempt: u32, outcome: &Outcome) -> Result<bool, QueueError> {
        let engine = self.engine()?;
        // A text in PostgreSQL has no NUL.
        let text = |text: &String| text.replace('\0', "\u{fffd}");
        let (stage, after, result, error, more) = match outcome {
            Outcome::Done { result } => (Stage::Done, Duration::ZERO, result.as_ref().map(text), None, 0),
            Outcome::Again { after, error } => (Stage::Queued, *after, None, Some(text(error)), 0),
            Outcome::Dead { error } => (Stage::Dead, Duration::ZERO, None, Some(text(error)), 0),
            Outcome::Released => (Stage::Queued, Duration::ZERO, None, None, 1),
            Outcome::Cancelled => (Stage::Cancelled, Duration::ZERO, None, None, 0),
        };
        let values: Vec<Box<Owned>> = vec![
            Box::new(signed(id.number())),
            Box::new(count(attempt)),
            Box::new(stage as i16),
            Box::new(millis(after)),
            Box::new(result),
            Box::new(error),
            Box::new(more),
        ];
        Ok(!engine.rows("cannot end a job", &engine.statements.finish, values)?.is_empty())
    }

    fn cancel(&self, id: JobId) -> Result<bool, QueueError> {
        let engine = self.engine()?;
        let cancelled =
            engine.execute("cannot cancel a job", &engine.statements.cancel, vec![Box::new(signed(id.number()))])?;
        Ok(cancelled == 1)
    }

    fn revive(&self, id: JobId) -> Result<bool, QueueError> {
        let engine = self.engine()?;
        let rows =
            engine.rows("cannot revive a job", &engine.statements.revive, vec![Box::new(signed(id.number()))])?;
        match rows.first().map(|row| (row.get::<_, Option<i64>>(0), row.get::<_, bool>(1))) {
            Some((Some(other), _)) => Err(QueueError::Exists(id_of(other))),
            other => Ok(other.is_some_and(|(_, is_revived)| is_revived)),
        }
    }

    fn status(&self, id: JobId) -> Result<Option<JobStatus>, QueueError> {
        let engine = self.engine()?;
        let rows =
            engine.rows("cannot look for a job", &engine.statements.status, vec![Box::new(signed(id.number()))])?;
        Ok(rows.first().map(status))
    }

    fn list(&self, stage: Stage, at_most: usize) -> Result<Vec<JobStatus>, QueueError> {
        let engine = self.engine()?;
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let values: Vec<Box<Owned>> = vec![Box::new(stage as i16), Box::new(at_most)];
        Ok(engine.rows("cannot list jobs", &engine.statements.list, values)?.iter().map(status).collect())
    }

    fn counts(&self) -> Result<[usize; 5], QueueError> {
        let engine = self.engine()?;
        let mut counts = [0; 5];
        for row in engine.rows("cannot count the jobs", &engine.statements.counts, vec![])? {
            counts[stage_of(row.get(0)) as usize] = length(row.get(1));
        }
        Ok(counts)
    }

    fn next_due(&self) -> Result<Option<Duration>, QueueError> {
        let engine = self.engine()?;
        let rows = engine.rows("cannot look for a job", &engine.statements.next_due, vec![])?;
        Ok(rows.first().and_then(|row| row.get::<_, Option<i64>>(0)).map(after))
    }

    fn last_turn(&self, entry: &str) -> Result<Option<u64>, QueueError> {
        let engine = self.engine()?;
        let rows =
            engine.rows("cannot read the timetable", &engine.statements.last_turn, vec![Box::new(entry.to_owned())])?;
        Ok(rows.first().and_then(|row| u64::try_from(row.get::<_, i64>(0)).ok()))
    }

    /// In batches, so that none takes long.
    fn sweep(&self, keep: &Keep) -> Result<usize, QueueError> {
        let engine = self.engine()?;
        let mut swept = 0;
        for (stage, keep) in [(Stage::Done, keep.done), (Stage::Dead, keep.dead), (Stage::Cancelled, keep.done)] {
            loop {
                let values: Vec<Box<Owned>> = vec![Box::new(stage as i16), Box::new(millis(keep))];
                let what = "cannot remove jobs that have ended";
                let gone = engine.execute(what, &engine.statements.sweep, values)?;
                swept += usize::try_from(gone).unwrap_or(0);
                if gone < statements::BATCH {
                    break;
                }
            }
        }
        engine.execute("cannot end leases", &engine.statements.end_leases, vec![])?;
        engine.execute("cannot correct times", &engine.statements.correct_times, vec![])?;
        Ok(swept)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn listen(&self, heard: &dyn Fn(Duration), goes_on: &dyn Fn() -> bool) {
        let Ok(engine) = self.engine() else { return };
        let channel = statements::channel(&engine.table);
        let mut ear = super::ear::Ear { heard, goes_on };
        listen(JOBS, engine.links.place(), &mut ear, |listening| engine.links.listen(&channel, listening));
    }
}

/// Shows no credentials.
impl std::fmt::Debug for PostgresQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresQueue").field("table", &self.configured.settings().table).finish_non_exhaustive()
    }
}

fn status(row: &Row) -> JobStatus {
    JobStatus {
        attempt: uncount(row.get(3)),
        progress: row.get(4),
        result: row.get(5),
        error: row.get(6),
        age: after(row.get(7)),
        ..JobStatus::new(id_of(row.get(0)), row.get::<_, String>(1), stage_of(row.get(2)))
    }
}

fn id_of(number: i64) -> JobId {
    JobId::of_number(u64::try_from(number).unwrap_or(0))
}

fn stage_of(number: i16) -> Stage {
    usize::try_from(number).ok().and_then(|number| Stage::ALL.get(number)).copied().unwrap_or(Stage::Dead)
}

fn after(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn length(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn count(attempts: u32) -> i32 {
    i32::try_from(attempts).unwrap_or(i32::MAX)
}

fn uncount(attempts: i32) -> u32 {
    u32::try_from(attempts).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_a_statement_ends_where_it_ends() {
        assert_eq!(literal(r"it's C:\"), r"E'it''s C:\\'");
        let new = NewJob { unique: Some("a'b"), ..NewJob::new(JobId::of_number(7), "mail", r#"{"to":"O'Hara\n"}"#) };
        let expected = r#"SELECT j_v1_enqueue(E'mail', E'{"to":"O''Hara\\n"}', 0 * interval '1 millisecond', E'a''b', 5, 7::bigint)"#;
        assert_eq!(enqueueing("j_v1", &new), expected);
    }

    #[test]
    fn wrong_settings_are_told_by_their_names_without_the_password() {
        for (queue, told) in [
            (PostgresQueue::new("redis://ann:secret@127.0.0.1"), "jobs.url: "),
            (PostgresQueue::new("postgres://127.0.0.1/x").table("Job;"), "jobs.table: must be at most 40"),
            (PostgresQueue::new("postgres://127.0.0.1/x").pool(0), "jobs.pool: must be at least 1"),
        ] {
            let QueueError::Engine(problem) = queue.probe().expect_err(told) else { panic!("{told}") };
            let problem = problem.to_string();
            assert!(problem.contains(told) && !problem.contains("secret"), "{problem}");
        }
    }
}
