//! Connections to PostgreSQL, their number and their deadlines.
//!
//! A connection takes the statements of several requests at once and answers them in turn. The next request that needs
//! a closed one replaces it. Statements that were under way when it broke are errors, since it is unknown whether they
//! were done. While the server does not answer, one request asks it at a time.
//!
//! Everything here runs on the thread of a runtime, which the store has for itself.

use super::doubt::{Doubt, StillSilent, Turn};
use super::listening::{Listening, SILENCE};
use super::{Connections, Owner, StoreError};
use crate::primitive::block_on;
use crossbeam_channel::RecvTimeoutError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::config::Host;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Row, Statement};

/// A value of a statement.
pub(crate) type Value = dyn ToSql + Sync;

/// The connections of one process to one server.
pub(crate) struct Links {
    owner: Owner,
    runtime: Handle,
    config: Config,
    place: String,
    limits: Connections,
    slots: Box<[tokio::sync::Mutex<Option<Arc<Link>>>]>,
    turn: AtomicUsize,
    doubt: Doubt,
}

/// One connection, and the statements that it knows.
pub(crate) struct Link {
    pub(crate) client: Client,
    known: Mutex<HashMap<String, Statement>>,
}

impl Link {
    pub(crate) async fn row(&self, statement: &str, values: &[&Value]) -> Result<Option<Row>, Error> {
        let statement = self.known(statement).await?;
        self.client.query_opt(&statement, values).await
    }

    pub(crate) async fn rows(&self, statement: &str, values: &[&Value]) -> Result<Vec<Row>, Error> {
        let statement = self.known(statement).await?;
        self.client.query(&statement, values).await
    }

    pub(crate) async fn execute(&self, statement: &str, values: &[&Value]) -> Result<u64, Error> {
        let statement = self.known(statement).await?;
        self.client.execute(&statement, values).await
    }

    pub(crate) async fn known(&self, text: &str) -> Result<Statement, Error> {
        let known = self.known.lock().get(text).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(text).await?;
        self.known.lock().insert(text.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Links {
    pub(crate) fn new(owner: Owner, runtime: Handle, url: &str, limits: Connections) -> Result<Self, String> {
        let mut config = parse(url).map_err(|problem| format!("{}.url: {problem}", owner.settings))?;
        for (index, host) in config.get_hosts().iter().enumerate() {
            if let Host::Unix(folder) = host {
                let port = config.get_ports().get(index).or_else(|| config.get_ports().first()).unwrap_or(&5432);
                crate::private_file::warn_of_socket(&folder.join(format!(".s.PGSQL.{port}")));
            }
        }
        config.connect_timeout(limits.connect_timeout).application_name("kirsch");
        // The server gives up as well, so that an abandoned statement holds nothing there.
        let most = limits.operation_timeout.as_millis();
        config.options(format!("-c statement_timeout={most} -c lock_timeout={most}"));
        let slots = (0..limits.pool).map(|_| tokio::sync::Mutex::default()).collect();
        let (turn, doubt) = (AtomicUsize::new(0), Doubt::default());
        Ok(Self { owner, runtime, place: place(&config), config, limits, slots, turn, doubt })
    }

    /// Where the server is, without credentials.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The longest that one step may take: a connection that has just been made may take its own time, and no more.
    fn patience(&self) -> Duration {
        self.limits.connect_timeout + self.limits.operation_timeout
    }

    /// The only row of this statement, if there is one; `what` for errors.
    pub(crate) async fn row(
        &self,
        what: &'static str,
        statement: &str,
        values: &[&Value],
    ) -> Result<Option<Row>, StoreError> {
        let asking = self.ask(what).await?;
        asking.answer(asking.link.row(statement, values)).await
    }

    /// All rows of this statement.
    pub(crate) async fn rows(
        &self,
        what: &'static str,
        statement: &str,
        values: &[&Value],
    ) -> Result<Vec<Row>, StoreError> {
        let asking = self.ask(what).await?;
        asking.answer(asking.link.rows(statement, values)).await
    }

    /// The result of these steps, waited for on this thread. They go on by themselves.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        steps: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        /// Each step has a deadline of its own, and a call has few.
        const STEPS: u32 = 4;
        let unfinished = || StoreError::new("a step was not finished", &*self.place);
        let deadline = std::time::Instant::now() + self.patience().saturating_mul(STEPS);
        match block_on(self.runtime.spawn(steps), deadline) {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(unfinished().because(error)),
            None => Err(unfinished()),
        }
    }

    /// Listens on a connection of its own, until that breaks or the ear has heard enough.
    pub(crate) fn listen(&self, channel: &str, listening: &mut Listening<'_>) -> Result<(), StoreError> {
        let what = "cannot hear messages";
        let failed = move |place: &str, error: &Error| StoreError::new(what, place).because(told(error));
        let late = move |place: &str| StoreError::new(what, format!("{place}: the server did not answer in time"));
        let (config, patience, place) = (self.config.clone(), self.patience(), self.place.clone());
        let statement = format!("LISTEN {channel}");
        let (client, messages) = self.wait(async move {
            let connecting = async {
                let (client, mut connection) = config.connect(NoTls).await?;
                let (sender, messages) = crossbeam_channel::bounded(MAX_UNHEARD);
                tokio::spawn(async move {
                    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                        if let AsyncMessage::Notification(notification) = message
                            && sender.try_send(notification.payload().to_owned()).is_err()
                        {
                            // Nobody hears, or too slowly: what follows the end of a connection makes up for it.
                            return;
                        }
                    }
                });
                client.batch_execute(&statement).await?;
                Ok((client, messages))
            };
            timeout(patience, connecting).await.map_err(|_| late(&place))?.map_err(|error| failed(&place, &error))
        })?;
        listening.connected();
        let client = Arc::new(client);
        let mut last_heard = std::time::Instant::now();
        while let Some(patience) = listening.patience() {
            match messages.recv_timeout(patience) {
                Ok(message) => {
                    last_heard = std::time::Instant::now();
                    listening.heard(&message);
                }
                Err(RecvTimeoutError::Timeout) if last_heard.elapsed() > SILENCE => {
                    let (client, place, patience) = (Arc::clone(&client), self.place.clone(), self.patience());
                    self.wait(async move {
                        let answer = timeout(patience, client.batch_execute("")).await;
                        answer.map_err(|_| late(&place))?.map_err(|error| failed(&place, &error))
                    })?;
                    last_heard = std::time::Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(StoreError::new("the connection for messages has ended", &*self.place));
                }
            }
        }
        Ok(())
    }

    /// How many rows this statement has changed.
    pub(crate) async fn execute(
        &self,
        what: &'static str,
        statement: &str,
        values: &[&Value],
    ) -> Result<u64, StoreError> {
        let asking = self.ask(what).await?;
        asking.answer(asking.link.execute(statement, values)).await
    }

    /// Several statements without values, in one transaction.
    pub(crate) async fn batch(&self, what: &'static str, statements: &str) -> Result<(), StoreError> {
        let asking = self.ask(what).await?;
        asking.answer(asking.link.client.batch_execute(statements)).await
    }

    /// A connection for one step, `what` for errors.
    pub(crate) async fn ask(&self, what: &'static str) -> Result<Asking<'_>, StoreError> {
        let turn = match self.doubt.enter() {
            Ok(turn) => turn,
            Err(StillSilent) => {
                let why = "did not answer in time; until it does, one request at a time asks it";
                return Err(StoreError::new(what, format!("{} {why}", self.place)));
            }
        };
        let deadline = Instant::now() + self.patience();
        let connected = timeout_at(deadline, self.link()).await.unwrap_or(Err(None));
        match connected {
            // A connection that is kept says nothing about the server: its answer will.
            Ok(link) => Ok(Asking { links: self, link, what, deadline, _turn: turn }),
            Err(error) => self.learn(what, Err(error)),
        }
    }

    /// The result; `None`: no answer in time.
    fn learn<T>(&self, what: &'static str, result: Result<T, Option<Error>>) -> Result<T, StoreError> {
        self.doubt.learn(matches!(result, Err(None)));
        result.map_err(|error| match error {
            Some(error) => StoreError::new(what, &*self.place).because(told(&error)),
            None => StoreError::new(what, format!("{}: the server did not answer in time", self.place)),
        })
    }

    /// The next connection in turn; a closed one is replaced.
    async fn link(&self) -> Result<Arc<Link>, Option<Error>> {
        let slot = self.turn.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let mut slot = self.slots[slot].lock().await;
        if let Some(link) = slot.as_ref().filter(|link| !link.client.is_closed()) {
            return Ok(Arc::clone(link));
        }
        let connecting = timeout(self.limits.connect_timeout, self.config.connect(NoTls)).await;
        let (client, connection) = connecting.map_err(|_| None)?.map_err(Some)?;
        let log = self.owner.log;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                crate::line::record!(Debug, target: log, "a connection to PostgreSQL has ended: {}", told(&error));
            }
        });
        let link = Arc::new(Link { client, known: Mutex::default() });
        *slot = Some(Arc::clone(&link));
        Ok(link)
    }
}

/// A connection that one step has.
pub(crate) struct Asking<'l> {
    links: &'l Links,
    pub(crate) link: Arc<Link>,
    what: &'static str,
    deadline: Instant,
    _turn: Option<Turn<'l>>,
}

impl Asking<'_> {
    /// Waits for the answer, until the deadline.
    pub(crate) async fn answer<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let deadline = self.deadline.min(Instant::now() + self.links.limits.operation_timeout);
        let answer = timeout_at(deadline, answer).await;
        self.links.learn(self.what, answer.map_or(Err(None), |answer| answer.map_err(Some)))
    }
}

/// So many messages may wait to be heard.
const MAX_UNHEARD: usize = 1024;

/// The name of a table, as a setting.
///
/// # Errors
/// The problem with it.
pub(crate) fn check_table(table: &str) -> Result<(), &'static str> {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name =
        |part: &str| part.bytes().all(is_fine) && part.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    let is_table = table.len() <= 40 && table.split('.').count() <= 2 && table.split('.').all(is_name);
    if is_table { Ok(()) } else { Err("must be at most 40 small letters, digits and `_`, perhaps `schema.table`") }
}

/// The thread of a store, on which its statements run.
pub(crate) fn runtime() -> Result<Runtime, String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build();
    runtime.map_err(|error| format!("the thread for the database cannot be started: {error}"))
}

/// The address as the client library reads it.
///
/// # Errors
/// The problem with it, without its password.
pub(crate) fn parse(url: &str) -> Result<Config, String> {
    let config: Config = url.parse().map_err(|error: Error| {
        // A password with a space in it looks like an option, and the library tells its name.
        let told = Some(told(&error)).filter(|told| !told.contains("unknown option"));
        let told = told.unwrap_or_else(|| "it has an option that PostgreSQL does not know".to_owned());
        format!(
            "is not an address of a PostgreSQL server ({told}); write postgres://user:password@host:5432/database, or put quotes around a \
             password with spaces"
        )
    })?;
    if config.get_hosts().is_empty() {
        return Err("names no host; write postgres://user:password@host:5432/database".to_owned());
    }
    Ok(config)
}

fn place(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let port = config.get_ports().get(index).or_else(|| config.get_ports().first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(host) => format!("{host}:{port}"),
            Host::Unix(path) => path.display().to_string(),
        }
    });
    format!("PostgreSQL at {}", hosts.collect::<Vec<_>>().join(", "))
}

/// The library's words with those of their cause, where the reason is.
pub(crate) fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Both answers, asked for at once and in this order.
pub(crate) async fn both<A, B>(
    first: impl Future<Output = Result<A, Error>>,
    second: impl Future<Output = Result<B, Error>>,
) -> Result<(A, B), Error> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut one, mut other) = (None, None);
    poll_fn(|context| {
        fn poll<T>(
            place: &mut Option<T>,
            future: &mut Pin<&mut impl Future<Output = Result<T, Error>>>,
            context: &mut std::task::Context<'_>,
        ) -> Result<(), Error> {
            if place.is_none()
                && let Poll::Ready(result) = future.as_mut().poll(context)
            {
                *place = Some(result?);
            }
            Ok(())
        }
        if let Err(error) = poll(&mut one, &mut first, context).and_then(|()| poll(&mut other, &mut second, context)) {
            return Poll::Ready(Err(error));
        }
        match (one.take(), other.take()) {
            (Some(first), Some(second)) => Poll::Ready(Ok((first, second))),
            (first, second) => {
                (one, other) = (first, second);
                Poll::Pending
            }
        }
    })
    .await
}
