//! How the requests of sessions get to Redis: frequent ones go in [`Company`], those to a Cluster, where each session
//! has its own server, do not. Every request of a store may be sent twice.

use super::batch::Together;
use super::request::{Commands, Request, Script};
use crate::databases::redis::{Address, Failure, Link, Links};
use crate::databases::{Connections, StoreError};
use crate::exchange::{Blocking, WaitsFor};
use crate::sessions::detached;
use crate::sessions::stores::SESSIONS;
use crate::sessions::stores::company::{Company, Failed, How, Travel};
use ::redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use std::ops::Deref;
use std::sync::Arc;

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

/// The connections, and the trips that are made on them.
pub(super) struct Trips {
    links: Links,
    company: Company<Trips>,
}

impl Deref for Trips {
    type Target = Links;

    fn deref(&self) -> &Links {
        &self.links
    }
}

impl Trips {
    pub(super) fn new(address: Address, limits: Connections) -> Arc<Self> {
        Arc::new_cyclic(|trips| Self {
            links: Links::new(SESSIONS, address, limits),
            company: Company::new(trips.clone()),
        })
    }

    /// The answer to each command of the request; errors of the server are among them.
    pub(super) async fn send(&self, request: &Request) -> Result<Vec<Value>, StoreError> {
        self.go(request).await.map_err(|failure| self.describe(failure))
    }

    /// Has it sent after all that was asked before, and forgets it.
    pub(super) fn post(self: &Arc<Self>, request: Request) {
        if self.are_several() {
            let _ = self.alone(&request);
            return;
        }
        let trips = Arc::clone(self);
        detached::finish(async move {
            // If it fails, the lease ends by itself.
            let _ = trips.company.send(How::AfterAll, &request, &trips).await;
        });
    }

    async fn go(&self, request: &Request) -> Result<Vec<Value>, Failure> {
        if self.are_several() {
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
                self.call(|link: &mut Link| {
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

    /// The answers to these commands, errors of the server among them.
    fn exchange(&self, commands: &Commands) -> Result<Vec<Value>, Failure> {
        self.attempt(|link| {
            let answers = link.send(&commands.bytes, commands.count)?;
            let is_demoted = |answer: &&Value| matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::ReadOnly));
            match answers.iter().find(is_demoted) {
                Some(answer) if self.fails_over() => Err(answer.clone().extract_error().err().unwrap_or_else(unheard)),
                _ => Ok(answers),
            }
        })
    }
}

impl Travel for Trips {
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

    fn is_doubtful(&self) -> bool {
        self.links.is_doubtful()
    }
}

/// The client counts answers; one that is missing would be its mistake.
fn unheard() -> RedisError {
    RedisError::from((ErrorKind::UnexpectedReturnType, "an answer is missing"))
}
