//! Connections to Redis: at most so many, made when they are needed, kept for the next, each with deadlines.
//!
//! A kept connection may have died since its last use: the server was restarted, or closed it. One that turns out to be
//! dead takes all other kept ones with it, and the request is sent once more on a new connection. That is safe, since
//! every request of a store may be sent twice. A failure of a new connection, and a late answer, are final: there is no
//! second deadline.
//!
//! Frequent requests go in [`Company`]; in a Cluster, where each session has its own server, they do not.

use super::address::Address;
use super::batch::Together;
use super::connection::Link;
use super::request::{Commands, Request, Script};
use crate::exchange::{Blocking, WaitsFor};
use crate::sessions::StoreError;
use crate::sessions::detached;
use crate::sessions::stores::company::{Company, Failed, How, Travel};
use crate::sessions::stores::configured::Connections;
use crate::sessions::stores::doubt::{Doubt, StillSilent};
use crate::sessions::stores::pool::{Full, Lease, Pool};
use ::redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use std::sync::Arc;

/// The reason why there is no answer.
#[derive(Clone)]
pub(super) enum Failure {
    /// The server has not answered in time, and another request is finding out whether it does again.
    Silent,
    /// No connection of the pool became free in time.
    Full,
    Redis(RedisError),
}

impl Failed for Failure {
    const SILENT: Self = Self::Silent;

    fn is_silence(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Full => false,
            Self::Redis(error) => error.is_timeout(),
        }
    }
}

pub(super) struct Links {
    address: Address,
    limits: Connections,
    pool: Pool<Link>,
    doubt: Doubt,
    company: Company<Links>,
}

impl Links {
    pub(super) fn new(address: Address, limits: Connections) -> Arc<Self> {
        Arc::new_cyclic(|links| {
            let pool = Pool::new(limits.pool, limits.connect_timeout);
            let (doubt, company) = (Doubt::default(), Company::new(links.clone()));
            Self { address, limits, pool, doubt, company }
        })
    }

    /// The address without credentials.
    pub(super) fn place(&self) -> &str {
        self.address.shown()
    }

    /// Asks something, on a connection for itself. Errors are those of a store.
    pub(super) fn call<T>(&self, ask: impl FnMut(&mut Link) -> RedisResult<T>) -> Result<T, StoreError> {
        self.attempt(ask).map_err(|failure| self.describe(failure))
    }

    /// The answer to each command of the request; errors of the server are among them.
    pub(super) async fn send(&self, request: &Request) -> Result<Vec<Value>, StoreError> {
        self.go(request).await.map_err(|failure| self.describe(failure))
    }

    /// Has it sent after all that was asked before, and forgets it.
    pub(super) fn post(self: &Arc<Self>, request: Request) {
        if self.address.is_cluster() {
            let _ = self.alone(&request);
            return;
        }
        let links = Arc::clone(self);
        detached::finish(async move {
            // If it fails, the lease ends by itself.
            let _ = links.company.send(How::AfterAll, &request, &links).await;
        });
    }

    async fn go(&self, request: &Request) -> Result<Vec<Value>, Failure> {
        if self.address.is_cluster() {
            let _blocking = Blocking::here(WaitsFor::Store).map_err(|_| Failure::Full)?;
            self.alone(request)
        } else {
            self.company.send(How::Soonest, request, self).await
        }
    }

    /// The answer of a script. A server that does not know it gets its text.
    pub(super) async fn run(&self, script: &Script, call: &Request) -> Result<Value, StoreError> {
        let answer = match self.one(call).await {
            Err(Failure::Redis(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.call(|link| {
                    let mut load = ::redis::cmd("SCRIPT");
                    load.arg("LOAD").arg(&script.text);
                    link.query::<()>(&load)
                })?;
                self.one(call).await
            }
            answer => answer,
        };
        answer.map_err(|failure| self.describe(failure))
    }

    async fn one(&self, request: &Request) -> Result<Value, Failure> {
        let answer = self.go(request).await?.pop().ok_or_else(unheard);
        answer.and_then(Value::extract_error).map_err(Failure::Redis)
    }

    /// The answer to one of the commands.
    pub(super) fn value(&self, answer: Option<Value>) -> Result<Value, StoreError> {
        let answer = answer.ok_or_else(unheard).and_then(Value::extract_error);
        answer.map_err(|error| self.explain(&error))
    }

    /// Whether there are several servers, each with some of the sessions.
    pub(super) fn are_several(&self) -> bool {
        self.address.is_cluster()
    }

    /// Asks twice if the kept connection was dead.
    fn attempt<T>(&self, mut ask: impl FnMut(&mut Link) -> RedisResult<T>) -> Result<T, Failure> {
        // Among the servers of a Cluster one may be silent and the others not.
        let turn = if self.address.is_cluster() { Ok(None) } else { self.doubt.enter() };
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

    /// The answers to these commands, errors of the server among them.
    fn exchange(&self, commands: &Commands) -> Result<Vec<Value>, Failure> {
        self.attempt(|link| {
            let answers = link.send(commands)?;
            let is_demoted = |answer: &&Value| matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::ReadOnly));
            match answers.iter().find(is_demoted) {
                Some(answer) if self.address.fails_over() => Err(answer.clone().extract_error().err().unwrap_or_else(unheard)),
                _ => Ok(answers),
            }
        })
    }

    pub(super) fn connect_to_listen(&self) -> RedisResult<::redis::Connection> {
        self.address.connect_to_listen(self.limits.connect_timeout, self.limits.operation_timeout)
    }

    /// Whether the failure is of a connection that had its time, and a new one may succeed.
    fn is_of_old(&self, error: &RedisError) -> bool {
        error.is_connection_dropped() || (is_demoted(error) && self.address.fails_over())
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

    fn describe(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Silent => {
                let what = "Redis did not answer in time; until it does, one request at a time asks it";
                StoreError::new(what, self.place())
            }
            Failure::Full => {
                let what = "no connection of the pool became free in time; raise `sessions.pool`";
                StoreError::new(what, format!("{}, {} connections in use", self.place(), self.limits.pool))
            }
            Failure::Redis(error) => self.explain(&error),
        }
    }

    /// The text for the operator.
    pub(super) fn explain(&self, error: &RedisError) -> StoreError {
        let what = match error.kind() {
            _ if error.is_timeout() => "Redis did not answer in time",
            _ if error.is_connection_refusal() => "Redis cannot be reached",
            ErrorKind::Io => "the connection to Redis failed",
            ErrorKind::AuthenticationFailed => "Redis refuses the user or the password in `sessions.url`",
            ErrorKind::MasterNameNotFoundBySentinel | ErrorKind::EmptySentinelList => "there is no Redis primary",
            ErrorKind::Server(ServerErrorKind::BusyLoading) => "Redis has started and still loads its data",
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                "this Redis is a read-only replica; name its primary in `sessions.url`, or Sentinels"
            }
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot) => {
                "this Redis is a node of a Cluster; write redis+cluster:// in `sessions.url`"
            }
            ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::MasterDown) => {
                "the Redis Cluster is down"
            }
            ErrorKind::Server(ServerErrorKind::NoPerm) => {
                "the Redis user lacks permissions; docs/reference/session-stores.md lists those that sessions need"
            }
            _ => match error.code() {
                Some("NOAUTH" | "WRONGPASS") => "Redis refuses the user or the password in `sessions.url`",
                Some("OOM") => "the memory of Redis is full (maxmemory)",
                Some("MISCONF") => "Redis refuses writes, since it cannot save to its disk",
                _ => "Redis failed",
            },
        };
        StoreError::new(what, self.place()).because(error.clone())
    }
}

impl Travel for Links {
    type Request = Request;
    type Answers = Vec<Value>;
    type Failure = Failure;
    type Batch = Together;

    const COURIER: &'static str = "kirsch-redis-courier";

    fn alone(&self, request: &Request) -> Result<Vec<Value>, Failure> {
        self.exchange(&request.alone()).map(|answers| request.own_answers(answers))
    }

    fn together(&self, batch: Together) -> Result<Vec<Vec<Value>>, Failure> {
        self.exchange(&batch.trip()).map(|answers| batch.answers(answers))
    }

    /// Among the servers of a Cluster one may be silent and the others not.
    fn is_doubtful(&self) -> bool {
        !self.address.is_cluster() && self.doubt.is_doubtful()
    }
}

/// The client counts answers; one that is missing would be its mistake.
fn unheard() -> RedisError {
    RedisError::from((ErrorKind::UnexpectedReturnType, "an answer is missing"))
}

fn is_demoted(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}
