//! Connections to the server, their number and their deadlines.
//!
//! A connection takes statements from several workers at once and answers them in turn. One that is closed is replaced by who needs it next; what was under way when it
//! broke is an error, since nobody knows whether it was done. While the server does not answer, one asks it at a time.

use crate::sessions::StoreError;
use crate::sessions::stores::doubt::{Doubt, StillSilent};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement};

pub(super) struct Links {
    runtime: Runtime,
    config: Config,
    place: String,
    connect_timeout: Duration,
    operation_timeout: Duration,
    slots: Box<[tokio::sync::Mutex<Option<Arc<Link>>>]>,
    turn: AtomicUsize,
    doubt: Doubt,
}

/// One connection, and the statements that it knows.
pub(super) struct Link {
    pub(super) client: Client,
    known: Mutex<HashMap<String, Statement>>,
}

impl Link {
    pub(super) async fn row(&self, statement: &str, values: &super::Values<'_>) -> Result<Option<Row>, Error> {
        let statement = self.known(statement).await?;
        self.client.query_opt(&statement, values).await
    }

    pub(super) async fn execute(&self, statement: &str, values: &super::Values<'_>) -> Result<u64, Error> {
        let statement = self.known(statement).await?;
        self.client.execute(&statement, values).await
    }

    pub(super) async fn known(&self, text: &str) -> Result<Statement, Error> {
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
    pub(super) fn new(
        url: &str,
        connections: usize,
        connect_timeout: Duration,
        operation_timeout: Duration,
    ) -> Result<Self, String> {
        let mut config = parse(url).map_err(|problem| format!("sessions.url: {problem}"))?;
        config.connect_timeout(connect_timeout).application_name("kirsch");
        // The server gives up as well, so that what nobody waits for any more holds nothing there.
        let most = operation_timeout.as_millis();
        config.options(format!("-c statement_timeout={most} -c lock_timeout={most}"));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build();
        Ok(Self {
            runtime: runtime.map_err(|error| format!("the thread for the database cannot be started: {error}"))?,
            place: place(&config),
            config,
            connect_timeout,
            operation_timeout,
            slots: (0..connections).map(|_| tokio::sync::Mutex::default()).collect(),
            turn: AtomicUsize::new(0),
            doubt: Doubt::default(),
        })
    }

    /// Where the server is, without credentials.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Does something with a connection, and waits for it until the deadline.
    pub(super) fn ask<T>(
        &self,
        what: &'static str,
        run: impl AsyncFnOnce(&Link) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let failed = |why: &'static str| StoreError::new(what, format!("{}: {why}", self.place));
        let _turn = match self.doubt.enter() {
            Ok(turn) => turn,
            Err(StillSilent) => return Err(failed("the server still does not answer")),
        };
        // A connection that has just been made may take its own time, and no more.
        let deadline = self.connect_timeout + self.operation_timeout;
        // Clocks of the runtime are there only within it.
        let _within = self.runtime.enter();
        let asked = self.runtime.block_on(timeout(deadline, async {
            let link = self.link().await?;
            timeout(self.operation_timeout, run(&link))
                .await
                .map(|result| (result, link))
                .map_err(|_| None)
                .and_then(|(result, _)| result.map_err(Some))
        }));
        let was_silent = matches!(asked, Err(_) | Ok(Err(None)));
        self.doubt.learn(was_silent);
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Some(error))) => Err(StoreError::new(what, &*self.place).because(told(&error))),
            Ok(Err(None)) | Err(_) => Err(failed("the server did not answer in time")),
        }
    }

    /// The next connection in turn; one that is closed is made anew.
    async fn link(&self) -> Result<Arc<Link>, Option<Error>> {
        let slot = self.turn.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let mut slot = self.slots[slot].lock().await;
        if let Some(link) = slot.as_ref().filter(|link| !link.client.is_closed()) {
            return Ok(Arc::clone(link));
        }
        let connecting = timeout(self.connect_timeout, self.config.connect(NoTls)).await;
        let (client, connection) = connecting.map_err(|_| None)?.map_err(Some)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                crate::line::record!(Debug, target: "kirsch::sessions", "a connection to PostgreSQL has ended: {}", told(&error));
            }
        });
        let link = Arc::new(Link { client, known: Mutex::default() });
        *slot = Some(Arc::clone(&link));
        Ok(link)
    }
}

/// The address as the client library reads it.
///
/// # Errors
/// What is wrong with it, without its password.
pub(super) fn parse(url: &str) -> Result<Config, String> {
    let config: Config = url.parse().map_err(|error: Error| {
        // A password with a space in it looks like an option, and the library tells its name.
        let told = Some(told(&error)).filter(|told| !told.contains("unknown option"));
        let told = told.unwrap_or_else(|| "it has an option that PostgreSQL does not know".to_owned());
        format!(
            "is no address of a PostgreSQL server ({told}); write postgres://user:password@host:5432/database, or put quotes around a \
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
pub(super) fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Both answers, asked for at once and in this order.
pub(super) async fn both<A, B>(
    first: impl Future<Output = Result<A, Error>>,
    second: impl Future<Output = Result<B, Error>>,
) -> Result<(A, B), Error> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut one, mut other) = (None, None);
    std::future::poll_fn(|context| {
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
