//! Connections to Redis or Valkey: at most so many, made when they are needed, kept for the next, each with deadlines.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | [`Links`]; one retry where a kept connection turned out to be dead |
//! | `address` | the forms of an address; connecting |
//! | `link` | one connection, of either kind |
//!
//! A kept connection may have died since its last use: the server was restarted, or closed it. One that turns out to be
//! dead takes all other kept ones with it, and the request is sent once more on a new connection. So everything that is
//! asked here may be sent twice. A failure of a new connection, and a late answer, are final: there is no second
//! deadline.

mod address;
mod link;

use super::doubt::{Doubt, StillSilent};
use super::listening::{Listening, SILENCE};
use super::pool::{Full, Lease, Pool};
use super::{Connections, Owner, StoreError};
use ::redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
pub(crate) use address::Address;
pub(crate) use link::Link;
use std::time::{Duration, Instant};

/// The reason why there is no answer.
#[derive(Clone)]
pub(crate) enum Failure {
    /// The server has not answered in time, and another request is finding out whether it does again.
    Silent,
    /// No connection of the pool became free in time.
    Full,
    Redis(RedisError),
}

/// The connections of one process.
pub(crate) struct Links {
    owner: Owner,
    address: Address,
    limits: Connections,
    pool: Pool<Link>,
    doubt: Doubt,
}

impl Links {
    pub(crate) fn new(owner: Owner, address: Address, limits: Connections) -> Self {
        let (pool, doubt) = (Pool::new(limits.pool, limits.connect_timeout), Doubt::default());
        Self { owner, address, limits, pool, doubt }
    }

    /// The address without credentials.
    pub(crate) fn place(&self) -> &str {
        self.address.shown()
    }

    /// Whether there are several servers, each with some of the keys.
    pub(crate) fn are_several(&self) -> bool {
        self.address.is_cluster()
    }

    /// Whether another server may answer at this address from one moment to the next.
    pub(crate) fn fails_over(&self) -> bool {
        self.address.fails_over()
    }

    /// Among the servers of a Cluster one may be silent and the others not.
    pub(crate) fn is_doubtful(&self) -> bool {
        !self.are_several() && self.doubt.is_doubtful()
    }

    /// Asks something, on a connection for itself. Errors are those of a store.
    pub(crate) fn call<T>(&self, ask: impl FnMut(&mut Link) -> RedisResult<T>) -> Result<T, StoreError> {
        self.attempt(ask).map_err(|failure| self.describe(failure))
    }

    /// Asks twice if the kept connection was dead.
    pub(crate) fn attempt<T>(&self, mut ask: impl FnMut(&mut Link) -> RedisResult<T>) -> Result<T, Failure> {
        let turn = if self.are_several() { Ok(None) } else { self.doubt.enter() };
        let _turn = turn.map_err(|StillSilent| Failure::Silent)?;
        let mut lease = self.pool.lease().map_err(|Full| Failure::Full)?;
        let was_idle = lease.link.is_some();
        let result = match self.ask(&mut lease, &mut ask) {
            Err(error) if was_idle && self.is_of_old(&error) => {
                drop(lease);
                self.pool.close_idle();
                self.ask(&mut self.pool.place().map_err(|Full| Failure::Full)?, &mut ask)
            }
            result => result,
        };
        self.doubt.learn(result.as_ref().is_err_and(RedisError::is_timeout));
        result.map_err(Failure::Redis)
    }

    fn connect_to_listen(&self) -> RedisResult<::redis::Connection> {
        self.address.connect_to_listen(self.limits.connect_timeout, self.limits.operation_timeout)
    }

    /// Listens on one connection, until that breaks or the ear has heard enough.
    pub(crate) fn listen(&self, channel: &str, listening: &mut Listening<'_>) -> Result<(), StoreError> {
        self.hear(channel, listening).map_err(|error| self.explain(&error))
    }

    fn hear(&self, channel: &str, listening: &mut Listening<'_>) -> RedisResult<()> {
        let mut connection = self.connect_to_listen()?;
        let mut messages = connection.as_pubsub();
        messages.subscribe(channel)?;
        listening.connected();
        let mut last_heard = Instant::now();
        while let Some(patience) = listening.patience() {
            if last_heard.elapsed() > SILENCE {
                messages.set_read_timeout(Some(self.limits.operation_timeout))?;
                messages.ping::<()>()?;
                last_heard = Instant::now();
            }
            messages.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
            match messages.get_message() {
                Ok(message) => {
                    last_heard = Instant::now();
                    listening.heard(&String::from_utf8_lossy(message.get_payload_bytes()));
                }
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A value that the server tells about itself. `None` for a user without the permission to ask.
    pub(crate) fn information(&self, section: &str, name: &str) -> Option<String> {
        let mut command = ::redis::cmd("INFO");
        command.arg(section);
        let text: String = self.call(|link| link.query(&command)).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::to_owned)
    }

    /// A server that evicts any key loses what is kept, `what` in words, when its memory is full.
    pub(crate) fn warn_of_evictions(&self, what: &str) {
        let policy = self.information("memory", "maxmemory_policy");
        if let Some(policy) = policy.filter(|policy| policy.starts_with("allkeys")) {
            crate::line::record!(Warn,
                target: self.owner.log,
                "{} has maxmemory-policy {policy}: when its memory is full it drops {what} that are in use; \
                 noeviction answers 503 instead",
                self.place()
            );
        }
    }

    /// Whether the failure is of a connection that had its time, and a new one may succeed.
    fn is_of_old(&self, error: &RedisError) -> bool {
        error.is_connection_dropped() || (is_demoted(error) && self.fails_over())
    }

    /// A connection on which something went wrong is not kept: an answer may still be under way.
    fn ask<T>(&self, lease: &mut Lease<'_, Link>, ask: &mut impl FnMut(&mut Link) -> RedisResult<T>) -> RedisResult<T> {
        let mut link = match lease.link.take() {
            Some(link) => link,
            None => self.address.connect(self.limits.connect_timeout, self.limits.operation_timeout)?,
        };
        let result = ask(&mut link);
        let is_answer = |error: &RedisError| error.code().is_some() && !is_demoted(error);
        if result.as_ref().err().is_none_or(is_answer) {
            lease.link = Some(link);
        }
        result
    }

    pub(crate) fn describe(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Silent => {
                let what = "Redis did not answer in time; until it does, one request at a time asks it";
                StoreError::new(what, self.place())
            }
            Failure::Full => {
                let settings = self.owner.settings;
                let what = format!("no connection of the pool became free in time; raise `{settings}.pool`");
                StoreError::new(what, format!("{}, {} connections in use", self.place(), self.limits.pool))
            }
            Failure::Redis(error) => self.explain(&error),
        }
    }

    /// The text for the operator.
    pub(crate) fn explain(&self, error: &RedisError) -> StoreError {
        let url = format!("`{}.url`", self.owner.settings);
        let refused = || format!("Redis refuses the user or the password in {url}");
        let what = match error.kind() {
            _ if error.is_timeout() => "Redis did not answer in time".to_owned(),
            _ if error.is_connection_refusal() => "Redis cannot be reached".to_owned(),
            ErrorKind::Io => "the connection to Redis failed".to_owned(),
            ErrorKind::AuthenticationFailed => refused(),
            ErrorKind::MasterNameNotFoundBySentinel | ErrorKind::EmptySentinelList => {
                "there is no Redis primary".to_owned()
            }
            ErrorKind::Server(ServerErrorKind::BusyLoading) => "Redis has started and still loads its data".to_owned(),
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                format!("this Redis is a read-only replica; name its primary in {url}, or Sentinels")
            }
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot) => {
                format!("this Redis is a node of a Cluster; write redis+cluster:// in {url}")
            }
            ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::MasterDown) => {
                "the Redis Cluster is down".to_owned()
            }
            ErrorKind::Server(ServerErrorKind::NoPerm) => {
                let Owner { settings, page, .. } = self.owner;
                format!("the Redis user lacks permissions; {page} lists those that {settings} need")
            }
            _ => match error.code() {
                Some("NOAUTH" | "WRONGPASS") => refused(),
                Some("OOM") => "the memory of Redis is full (maxmemory)".to_owned(),
                Some("MISCONF") => "Redis refuses writes, since it cannot save to its disk".to_owned(),
                _ => "Redis failed".to_owned(),
            },
        };
        StoreError::new(what, self.place()).because(error.clone())
    }
}

/// The beginning of all keys, as a setting.
///
/// # Errors
/// The problem with it.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), &'static str> {
    let is_fine = |byte: u8| byte.is_ascii_graphic() && !b"{}*?[]\\".contains(&byte);
    let is_prefix = (1..=100).contains(&prefix.len()) && prefix.bytes().all(is_fine);
    if is_prefix { Ok(()) } else { Err("must be 1 to 100 visible ASCII characters without {}*?[]\\") }
}

fn is_demoted(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}
