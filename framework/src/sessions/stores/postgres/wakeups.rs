//! The waiters for each lock in this process, and the task that hears when it is free.
//!
//! A request that gives a lock back sends a notification with the session's name if others wait. One connection
//! listens, from the first waiter to the last. A holder that has died sends nothing; the row has the end of its lease,
//! and the waiters are woken then. A connection that breaks may have missed something: all waiters are woken, ask
//! again, and start a new one.

use crate::databases::postgres::{Links, told};
use crate::sessions::{SessionId, StoreError, Watch, Watchers};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{timeout, timeout_at};
use tokio_postgres::{AsyncMessage, Client, NoTls};

pub(super) struct Wakeups {
    pub(super) channel: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    watchers: Watchers,
    lapses: Mutex<HashMap<SessionId, Instant>>,
    /// Whether the task is alive. Locked while it starts, and while it decides to end.
    is_listening: tokio::sync::Mutex<bool>,
}

impl Wakeups {
    pub(super) fn new(table: &str) -> Self {
        Self { channel: table.replace('.', "_"), shared: Arc::default() }
    }

    pub(super) fn add(&self, id: &SessionId, waker: Waker) -> Watch {
        self.shared.watchers.add(id, waker)
    }

    pub(super) fn is_watched(&self, id: &SessionId) -> bool {
        self.shared.watchers.watched().contains(id)
    }

    /// The lock of `id` may be free then; `None`: now.
    pub(super) fn lapses_in(&self, id: &SessionId, left: Option<Duration>) {
        match left {
            None => self.shared.watchers.wake(id),
            Some(left) => {
                // A moment later, so that the lease has ended for the server, too.
                let at = Instant::now() + left + Duration::from_millis(2);
                self.shared.lapses.lock().insert(*id, at);
            }
        }
    }

    /// Wakes all waiters for `id`: they find the problem when they ask.
    pub(super) fn wake(&self, id: &SessionId) {
        self.shared.watchers.wake(id);
    }

    /// Starts the listener before a waiter announces itself.
    pub(super) async fn keep_listening(&self, links: &Links) -> Result<(), StoreError> {
        let what = "cannot listen for locks that become free";
        let failed = |why: String| StoreError::new(what, format!("{}: {why}", links.place()));
        match timeout(links.patience(), self.listen(links)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(told(&error))),
            Err(_) => Err(failed("the server did not answer in time".to_owned())),
        }
    }

    async fn listen(&self, links: &Links) -> Result<(), tokio_postgres::Error> {
        let mut is_listening = self.shared.is_listening.lock().await;
        if *is_listening {
            return Ok(());
        }
        let (client, mut connection) = links.config().connect(NoTls).await?;
        let (sender, messages) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message
                    && sender.send(notification.payload().to_owned()).is_err()
                {
                    return;
                }
            }
        });
        client.batch_execute(&format!("LISTEN {}", self.channel)).await?;
        *is_listening = true;
        tokio::spawn(listen(Arc::clone(&self.shared), client, messages));
        Ok(())
    }
}

/// Lives as long as there are waiters and the connection holds. The client is kept, since the connection ends with it.
async fn listen(shared: Arc<Shared>, _client: Client, mut messages: UnboundedReceiver<String>) {
    /// How soon the end of all waiting is noticed.
    const IDLE: Duration = Duration::from_secs(1);
    loop {
        let next = shared.lapses.lock().values().min().copied();
        let until = next.map_or_else(|| Instant::now() + IDLE, |at| at.min(Instant::now() + IDLE));
        match timeout_at(until.into(), messages.recv()).await {
            Ok(Some(key)) => {
                let freed = shared.watchers.watched().into_iter().filter(|id| id.storage_key() == key);
                freed.for_each(|id| shared.watchers.wake(&id));
            }
            Ok(None) => {
                *shared.is_listening.lock().await = false;
                shared.watchers.wake_all();
                return;
            }
            Err(_) => {}
        }
        let now = Instant::now();
        let lapsed: Vec<_> = shared.lapses.lock().extract_if(|_, at| *at <= now).map(|(id, _)| id).collect();
        lapsed.iter().for_each(|id| shared.watchers.wake(id));
        if shared.watchers.watched().is_empty() {
            let mut is_listening = shared.is_listening.lock().await;
            if shared.watchers.watched().is_empty() {
                *is_listening = false;
                return;
            }
        }
    }
}
