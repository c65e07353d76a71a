//! The waiters for each lock in this process, and the thread that looks whether it is free.
//!
//! memcached sends no messages. So while a request waits, one thread asks for all the wanted locks, in one message to
//! each server: soon after a new waiter arrives, then less and less often, every 20 ms in the end. Locks that this
//! process gives back itself need no look.

use super::client::Request;
use super::connection::Outcome;
use super::{Engine, lock_key};
use crate::sessions::{SessionId, StoreError, Watch, Watchers};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Wakeups {
    watchers: Watchers,
    arrivals: AtomicU64,
    is_looking: Arc<Mutex<bool>>,
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(20);
/// While a server does not answer, a waiter asks it itself this often, and gets its error.
const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// Locks in one message.
const BATCH: usize = 100;

impl Wakeups {
    pub(super) fn wake(&self, id: &SessionId) {
        self.watchers.wake(id);
    }

    pub(super) fn watch(&self, engine: &Arc<Engine>, id: &SessionId, waker: Waker) -> Watch {
        let watch = self.watchers.add(id, waker);
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        let mut is_looking = self.is_looking.lock();
        if !*is_looking {
            let (engine, state) = (Arc::downgrade(engine), self.is_looking.clone());
            let thread = std::thread::Builder::new().name("kirsch-memcached-locks".to_owned());
            match thread.spawn(move || look(&engine, &state)) {
                Ok(_) => *is_looking = true,
                Err(error) => {
                    crate::line::record!(Error, target: "kirsch::sessions", "no thread to look after locks in memcached: {error}");
                }
            }
        }
        watch
    }
}

/// Until there are no waiters, or the store is gone.
fn look(engine: &Weak<Engine>, is_looking: &Mutex<bool>) {
    let mut pause = SHORTEST;
    let (mut arrivals, mut was_free, mut has_failed) = (0, HashSet::new(), false);
    loop {
        std::thread::sleep(pause);
        let Some(engine) = engine.upgrade() else { return };
        let wakeups = &engine.wakeups;
        let watched = {
            // A waiter that comes after this look finds no thread, and starts one.
            let mut is_looking = is_looking.lock();
            let watched = wakeups.watchers.watched();
            if watched.is_empty() {
                *is_looking = false;
                return;
            }
            watched
        };
        let now = wakeups.arrivals.load(Ordering::Relaxed);
        match free(&engine, &watched) {
            Ok(free) => {
                free.iter().for_each(|id| wakeups.watchers.wake(id));
                // Close behind a change there is often another; a lock that stays free is nothing new.
                let is_news = now != arrivals || free.iter().any(|id| !was_free.contains(id));
                pause = if is_news { SHORTEST } else { (pause * 2).min(LONGEST) };
                (was_free, has_failed) = (free, false);
            }
            Err(error) => {
                if !has_failed {
                    crate::line::record!(Warn, target: "kirsch::sessions", "cannot look whether locks are free: {error}");
                }
                wakeups.watchers.wake_all();
                (pause, has_failed) = (AFTER_FAILURE, true);
            }
        }
        arrivals = now;
    }
}

/// Those of `watched` whose lock is free.
fn free(engine: &Engine, watched: &[SessionId]) -> Result<HashSet<SessionId>, StoreError> {
    let mut by_server: Vec<Vec<(SessionId, Request)>> = Vec::new();
    for id in watched {
        let key = engine.key(id);
        let number = engine.client.server_number(&key);
        if by_server.len() <= number {
            by_server.resize_with(number + 1, Vec::new);
        }
        by_server[number].push((*id, Request::exists(&lock_key(&key))));
    }
    let mut free = HashSet::new();
    for (number, mut locks) in by_server.into_iter().enumerate() {
        while !locks.is_empty() {
            let batch = locks.split_off(locks.len().saturating_sub(BATCH));
            let (ids, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let answers = engine.client.ask_server(number, &requests)?;
            let absent = ids.iter().zip(answers).filter(|(_, answer)| answer.outcome != Outcome::Done);
            free.extend(absent.map(|(id, _)| *id));
        }
    }
    Ok(free)
}
