//! The queue in Redis or Valkey, for the processes of any number of machines.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | [`RedisQueue`] and its settings; the queue in terms of scripts |
//! | `scripts` | the keys, and each step as one script |
//!
//! Each step is one script, which the server runs alone. The thread that asks waits for the answer, with a deadline.
//! Each enqueued job is a message to all processes.
//!
//! A call whose answer was lost may be sent again. So a job is enqueued under an id that the caller draws, and each
//! claim has a number: the next one gives back what a lost one has taken.

mod scripts;

use super::handle::Jobs;
use super::lost_claims::LostClaims;
use super::queue::{
    CLOCK_SET_BACK, Claimed, Enqueued, JobId, JobStatus, Keep, NewJob, Outcome, Queue, QueueError, Renewed, Stage,
    millis,
};
use crate::databases::listening::listen;
use crate::databases::redis::{Address, Links, check_prefix};
use crate::databases::{Configured, Connections, Owner, StoreSettings, connection_builders};
use crate::settings::{Secret, SettingError, SettingRow};
use ::redis::{FromRedisValue, Script, ScriptInvocation, Value};
use std::time::Duration;

const JOBS: Owner = Owner { settings: "jobs", log: "kirsch::jobs", page: "docs/guide/jobs.md" };

impl Jobs {
    /// Jobs in Redis or Valkey, for the processes of any number of machines (feature `redis`). A job survives what the
    /// server survives: it needs `appendonly yes`, and `maxmemory-policy noeviction`.
    ///
    /// ```no_run
    /// use kirsch::jobs::Jobs;
    ///
    /// let jobs = Jobs::redis("redis://:secret@10.0.0.5:6379/1").threads(2);
    /// ```
    ///
    /// The forms of the address are those of [`RedisStore`](crate::sessions::RedisStore). [`RedisQueue`] has the
    /// settings: `Jobs::with(RedisQueue::new(url).prefix("shop:jobs"))`.
    #[must_use]
    pub fn redis(url: impl Into<String>) -> Self {
        Self::with(RedisQueue::new(url))
    }
}

/// Keeps jobs in Redis or Valkey (Redis 5 and above; 7.0 is tested): one server, a primary that Sentinels name, or a
/// Cluster.
///
/// ```
/// use kirsch::jobs::{Jobs, RedisQueue};
/// use std::time::Duration;
///
/// let queue = RedisQueue::new("redis://127.0.0.1:6379/2").operation_timeout(Duration::from_millis(500)).prefix("shop:jobs");
/// let jobs = Jobs::with(queue);
/// ```
///
/// Leases and delays are measured on the server's clock. In a Cluster all jobs of a queue are on one node. Credentials
/// in the address appear in no log and no error.
pub struct RedisQueue {
    configured: Configured<Settings>,
    lost_claims: LostClaims,
}

#[derive(Clone, PartialEq, Eq, crate::settings::Settings)]
#[settings(check = Self::check, builders_on = RedisQueue)]
struct Settings {
    /// Where Redis is: `redis://[user:password@]host:port/database`, `rediss://` with TLS; or several, for Sentinels or
    /// a Cluster.
    #[setting(given, no_builder)]
    url: Secret,
    #[setting(flatten, default = Connections::new(16))]
    connections: Connections,
    /// How the names of all keys begin, in braces; two programs on one database need two.
    #[setting(default = "kirsch:jobs")]
    prefix: String,
}

connection_builders! {
    /// Maximum of connections of this process (`pool`, default 16); one more listens.
    RedisQueue
}

impl RedisQueue {
    /// A queue at this address. Nothing is connected before the start; a malformed address stops it.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { configured: Configured::new(Settings::defaults(Secret::text(url))), lost_claims: LostClaims::default() }
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
        self.configured.engine().map_err(QueueError::from)
    }

    /// The answer of a script with these arguments. It may be called twice.
    fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        mut arguments: impl FnMut(&mut ScriptInvocation<'_>),
    ) -> Result<T, QueueError> {
        let engine = self.engine()?;
        let answer = engine.links.call(|link| {
            let mut call = script.key(&engine.base);
            arguments(&mut call);
            call.invoke(link.connection())
        });
        answer.map_err(QueueError::from)
    }
}

impl Settings {
    fn check(&self) -> Result<(), SettingError> {
        check_prefix(&self.prefix).map_err(|problem| SettingError::new("prefix", problem))?;
        Address::parse(self.url.exposed()).map(drop).map_err(|problem| SettingError::new("url", problem))
    }
}

impl StoreSettings for Settings {
    type Engine = Engine;
    const PLACE: &'static str = "url";
    const OWNER: &'static str = JOBS.settings;

    fn open(self) -> Result<Engine, String> {
        let links = Links::new(JOBS, Address::parse(self.url.exposed())?, self.connections);
        Ok(Engine { base: format!("{{{}}}", self.prefix), links })
    }
}

/// The values that are there once the settings are final.
struct Engine {
    /// The key with which every other one begins.
    base: String,
    links: Links,
}

impl Engine {
    /// A server that keeps nothing on its disk loses all jobs at a restart. A user without the permission to ask is not
    /// warned.
    fn warn_of_restarts(&self) {
        if self.links.information("persistence", "aof_enabled").is_some_and(|enabled| enabled == "0") {
            let place = self.links.place();
            crate::line::record!(Warn, target: JOBS.log, "{place} has appendonly no: jobs since its last snapshot are lost when it ends; set appendonly yes");
        }
    }
}

impl Queue for RedisQueue {
    fn probe(&self) -> Result<(), QueueError> {
        let engine = self.engine()?;
        let mut command = ::redis::cmd("SET");
        command.arg(format!("{}:probe", engine.base)).arg("").arg("PX").arg(1000);
        engine.links.call(|link| link.query::<Value>(&command)).map_err(QueueError::from)?;
        self.counts()?;
        engine.links.warn_of_evictions("jobs");
        engine.warn_of_restarts();
        Ok(())
    }

    fn enqueue(&self, new: &NewJob<'_>) -> Result<Enqueued, QueueError> {
        let (what, more): (String, String) = self.run(&scripts::ENQUEUE, |call| {
            call.arg(new.id.number()).arg(new.kind).arg(new.payload).arg(millis(new.after));
            call.arg(new.attempts.max(1)).arg(new.max_waiting);
            call.arg(i32::from(new.unique.is_some())).arg(new.unique.unwrap_or_default());
            if let Some((entry, minute)) = new.turn {
                call.arg(entry).arg(minute).arg(CLOCK_SET_BACK);
            }
        })?;
        match what.as_str() {
            "new" => Ok(Enqueued::New),
            "served" => Ok(Enqueued::Served),
            "existing" => Ok(Enqueued::Existing(id_of(&more))),
            _ => Err(QueueError::Full(more.parse().unwrap_or(new.max_waiting))),
        }
    }

    fn claim(&self, kinds: &[&str], lease: Duration) -> Result<Option<Claimed>, QueueError> {
        let claim = LostClaims::new_number();
        let lost = self.lost_claims.take();
        let mut unheard = lost.clone();
        let claimed: Result<Option<ClaimedJob>, _> = self.run(&scripts::CLAIM, |call| {
            call.arg(millis(lease)).arg(claim).arg(unheard.len());
            for lost in &unheard {
                call.arg(*lost);
            }
            for kind in kinds {
                call.arg(*kind);
            }
            // A second call gives back what the first has taken.
            unheard.push(claim);
        });
        let claimed = claimed.inspect_err(|_| self.lost_claims.keep(lost.into_iter().chain([claim])))?;
        Ok(claimed.map(|(id, kind, payload, attempt, attempts)| Claimed {
            id: id_of(&id),
            kind,
            payload,
            attempt,
            attempts,
        }))
    }

    fn renew(&self, id: JobId, attempt: u32, lease: Duration, progress: f32) -> Result<Renewed, QueueError> {
        let renewed: u8 = self.run(&scripts::RENEW, |call| {
            call.arg(id.number()).arg(attempt).arg(millis(lease)).arg(progress);
        })?;
        Ok(match renewed {
            0 => Renewed::Lost,
            1 => Renewed::Held,
            _ => Renewed::Cancelled,
        })
    }

    fn finish(&self, id: JobId, attempt: u32, outcome: &Outcome) -> Result<bool, QueueError> {
        let (stage, after, kept, more) = match outcome {
            Outcome::Done { result } => (Stage::Done, Duration::ZERO, result.as_ref().map(|path| ("result", path)), 0),
            Outcome::Again { after, error } => (Stage::Queued, *after, Some(("error", error)), 0),
            Outcome::Dead { error } => (Stage::Dead, Duration::ZERO, Some(("error", error)), 0),
            Outcome::Released => (Stage::Queued, Duration::ZERO, None, 1),
            Outcome::Cancelled => (Stage::Cancelled, Duration::ZERO, None, 0),
        };
        self.run(&scripts::FINISH, |call| {
            call.arg(id.number()).arg(attempt).arg(stage as u8).arg(millis(after)).arg(more);
            if let Some((name, value)) = kept {
                call.arg(name).arg(value);
            }
        })
    }

    fn cancel(&self, id: JobId) -> Result<bool, QueueError> {
        self.run(&scripts::CANCEL, |call| {
            call.arg(id.number());
        })
    }

    fn revive(&self, id: JobId) -> Result<bool, QueueError> {
        let (revived, other): (u8, String) = self.run(&scripts::REVIVE, |call| {
            call.arg(id.number());
        })?;
        if revived == 2 { Err(QueueError::Exists(id_of(&other))) } else { Ok(revived == 1) }
    }

    fn status(&self, id: JobId) -> Result<Option<JobStatus>, QueueError> {
        let status: Option<Description> = self.run(&scripts::STATUS, |call| {
            call.arg(id.number());
        })?;
        Ok(status.map(status_of))
    }

    fn list(&self, stage: Stage, at_most: usize) -> Result<Vec<JobStatus>, QueueError> {
        let Some(last) = at_most.checked_sub(1) else { return Ok(Vec::new()) };
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        let found: Vec<Value> = self.run(&scripts::LIST, |call| {
            call.arg(stage as u8).arg(last);
        })?;
        let described = found.into_iter().map(|job| Description::from_redis_value(job).map(status_of));
        described.collect::<Result<_, _>>().map_err(|error| QueueError::Engine(error.to_string().into()))
    }

    fn counts(&self) -> Result<[usize; 5], QueueError> {
        self.run(&scripts::COUNTS, |_| {})
    }

    fn next_due(&self) -> Result<Option<Duration>, QueueError> {
        let due: Option<u64> = self.run(&scripts::NEXT_DUE, |_| {})?;
        Ok(due.map(Duration::from_millis))
    }

    fn last_turn(&self, entry: &str) -> Result<Option<u64>, QueueError> {
        let engine = self.engine()?;
        let mut command = ::redis::cmd("HGET");
        command.arg(format!("{}:turns", engine.base)).arg(entry);
        engine.links.call(|link| link.query(&command)).map_err(QueueError::from)
    }

    /// In batches, so that others do not wait for all of it.
    fn sweep(&self, keep: &Keep) -> Result<usize, QueueError> {
        let mut swept = 0;
        for (stage, keep) in [(Stage::Done, keep.done), (Stage::Dead, keep.dead), (Stage::Cancelled, keep.done)] {
            loop {
                let gone: usize = self.run(&scripts::SWEEP, |call| {
                    call.arg(stage as u8).arg(millis(keep)).arg(scripts::BATCH);
                })?;
                swept += gone;
                if gone < scripts::BATCH {
                    break;
                }
            }
        }
        self.run::<Value>(&scripts::END_LEASES, |_| {})?;
        Ok(swept)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn listen(&self, heard: &dyn Fn(Duration), goes_on: &dyn Fn() -> bool) {
        let Ok(engine) = self.engine() else { return };
        let channel = format!("{}:wake", engine.base);
        let mut ear = super::ear::Ear { heard, goes_on };
        listen(JOBS, engine.links.place(), &mut ear, |listening| engine.links.listen(&channel, listening));
    }
}

/// Shows no credentials.
impl std::fmt::Debug for RedisQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisQueue").field("prefix", &self.configured.settings().prefix).finish_non_exhaustive()
    }
}

/// As the script that claims says it: id, kind, payload, attempt, attempts.
type ClaimedJob = (String, String, String, u32, u32);

/// As the script `describe` says it: id, kind, stage, attempt, progress, result, error, age.
type Description = (String, String, usize, u32, f32, Option<String>, Option<String>, i64);

fn status_of((id, kind, stage, attempt, progress, result, error, age): Description) -> JobStatus {
    let stage = Stage::ALL.get(stage).copied().unwrap_or(Stage::Dead);
    let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
    JobStatus { attempt, progress, result, error, age, ..JobStatus::new(id_of(&id), kind, stage) }
}

fn id_of(text: &str) -> JobId {
    JobId::of_number(text.parse().unwrap_or(0))
}
