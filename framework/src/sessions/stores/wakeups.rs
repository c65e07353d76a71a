//! The waiters for the locks of an engine that sends messages, and the thread that hears when the locks may be free.
//!
//! A store says to the engine for which session it waits. A request that gives such a lock back sends a message with
//! the session's name. One thread listens, on a connection of its own, while there are waiters and a moment longer. It
//! also knows when each lease that is in the way will have lapsed, and wakes the waiters then. Whenever it was cut off
//! it may have missed something, says again for whom it waits, and wakes all.

use super::SESSIONS;
use crate::databases::listening::{self, Listening};
use crate::sessions::{SessionId, StoreError, Watch, Watchers};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

/// An engine that sends messages when locks are given back.
pub(super) trait Announcing: Send + Sync + 'static {
    /// The name of the thread that listens.
    const THREAD: &'static str;
    /// Whether the engine forgets who waits for a lock when it is given back.
    const FORGETS: bool;

    fn wakeups(&self) -> &Wakeups;

    /// Where it is, for the log.
    fn place(&self) -> &str;

    /// Listens on one connection.
    fn listen(&self, listening: &mut Listening<'_>) -> Result<(), StoreError>;

    /// Says that this store waits for the lock of the session with this name. Returns in how many milliseconds the lock
    /// may be free, if it is not renewed; negative: now.
    fn register(self: &Arc<Self>, name: &str) -> Result<i64, StoreError>;

    /// Sends an empty message to the listener, which lets it look at its times. If it is lost, it looks a little later.
    fn nudge(self: &Arc<Self>);
}

/// Who waits in this process.
#[derive(Default)]
pub(super) struct Wakeups {
    watchers: Watchers,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By the name of the session in the engine.
    watched: HashMap<String, Watched>,
    is_listening: bool,
    /// When the listener looks after leases, with or without messages.
    looks_at: Option<Instant>,
}

struct Watched {
    id: SessionId,
    count: usize,
    lapses: Instant,
}

/// How long the listener stays without waiters, so that not every wait needs a new connection.
const LINGER: Duration = Duration::from_secs(5);
/// The longest time without looking after leases.
const ROUND: Duration = Duration::from_secs(5);

impl Wakeups {
    pub(super) fn is_watched(&self, name: &str) -> bool {
        self.state.lock().watched.contains_key(name)
    }

    /// Adds a waiter, and starts the listener if needed.
    pub(super) fn watch<E: Announcing>(&self, engine: &Arc<E>, id: &SessionId, name: &str, waker: Waker) -> Watch {
        let watch = self.watchers.add(id, waker);
        let mut state = self.state.lock();
        let lapses = Instant::now() + ROUND;
        state.watched.entry(name.to_owned()).or_insert(Watched { id: *id, count: 0, lapses }).count += 1;
        let interest = Interest { state: self.state.clone(), name: name.to_owned() };
        if !state.is_listening {
            let ear = LockEar {
                engine: Arc::downgrade(engine),
                watchers: self.watchers.clone(),
                state: self.state.clone(),
                last_use: Instant::now(),
            };
            let place = engine.place().to_owned();
            match std::thread::Builder::new().name(E::THREAD.to_owned()).spawn(move || ear.run(&place)) {
                Ok(_) => state.is_listening = true,
                Err(error) => {
                    crate::line::record!(Error, target: "kirsch::sessions", "no thread `{}` for wake-ups: {error}", E::THREAD);
                }
            }
        }
        drop(state);
        Watch::new((watch, interest))
    }

    /// Wakes all waiters for `id`: they find the problem when they ask.
    #[cfg(feature = "postgres")]
    pub(super) fn wake(&self, id: &SessionId) {
        self.watchers.wake(id);
    }

    /// The lock that is in the way ends in so many milliseconds, if it is not renewed; negative: it may be free now.
    pub(super) fn lapses_in(&self, engine: &Arc<impl Announcing>, name: &str, millis: i64) {
        if looks_too_late(&self.state, name, millis) {
            engine.nudge();
        }
    }
}

/// Notes when to look after that lease. Whether the listener means to look only later.
fn looks_too_late(state: &Mutex<State>, name: &str, millis: i64) -> bool {
    let wait = u64::try_from(millis).map_or(ROUND, |left| Duration::from_millis(left + 1).min(ROUND));
    let lapses = Instant::now() + wait;
    let mut state = state.lock();
    let Some(watched) = state.watched.get_mut(name) else { return false };
    // Answers overtake each other: the earliest moment counts, since looking in vain does no harm.
    watched.lapses = watched.lapses.min(lapses);
    let is_too_late = state.looks_at.is_some_and(|looks_at| looks_at > lapses);
    if is_too_late {
        state.looks_at = Some(lapses);
    }
    is_too_late
}

struct Interest {
    state: Arc<Mutex<State>>,
    name: String,
}

impl Drop for Interest {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if let Some(watched) = state.watched.get_mut(&self.name) {
            watched.count -= 1;
            if watched.count == 0 {
                state.watched.remove(&self.name);
            }
        }
    }
}

/// The listener.
struct LockEar<E> {
    engine: Weak<E>,
    watchers: Watchers,
    state: Arc<Mutex<State>>,
    last_use: Instant,
}

impl<E: Announcing> LockEar<E> {
    /// Until there are no waiters, or the store is gone.
    fn run(mut self, place: &str) {
        let engine = self.engine.clone();
        listening::listen(SESSIONS, place, &mut self, |listening| {
            engine.upgrade().map_or(Ok(()), |engine| engine.listen(listening))
        });
        if self.engine.strong_count() == 0 {
            self.state.lock().is_listening = false;
        }
    }

    fn register_again(&self, id: &SessionId, name: &str) {
        let Some(engine) = self.engine.upgrade() else { return };
        if !engine.wakeups().is_watched(name) {
            return;
        }
        match engine.register(name) {
            // This is the listener itself: it looks at the time that it finds noted.
            Ok(left) if left > 0 => drop(looks_too_late(&self.state, name, left)),
            Ok(_) => self.watchers.wake(id),
            Err(error) => crate::line::record!(Debug, target: "kirsch::sessions", "{error}"),
        }
    }

    /// Wakes who waits for a lease that has lapsed by now. Returns the time until the next one lapses.
    fn wake_lapsed(&self, now: Instant) -> Duration {
        let mut state = self.state.lock();
        if let Some(looks_at) = state.looks_at.filter(|looks_at| *looks_at > now) {
            return looks_at.duration_since(now);
        }
        let mut lapsed = Vec::new();
        let mut next = now + ROUND;
        for watched in state.watched.values_mut() {
            if watched.lapses <= now {
                lapsed.push(watched.id);
                // A request that asks again says when to look the next time.
                watched.lapses = now + ROUND;
            }
            next = next.min(watched.lapses);
        }
        state.looks_at = Some(next);
        drop(state);
        lapsed.iter().for_each(|id| self.watchers.wake(id));
        next.saturating_duration_since(now)
    }
}

impl<E: Announcing> listening::Ear for LockEar<E> {
    /// A lock that was given back before this moment told nobody here.
    fn connected(&mut self) {
        let watched: Vec<_> =
            self.state.lock().watched.iter().map(|(name, watched)| (name.clone(), watched.id)).collect();
        watched.into_iter().for_each(|(name, id)| self.register_again(&id, &name));
        self.watchers.wake_all();
    }

    /// A request that is refused once more says with that for whom it waits. One that only watches does not, and may
    /// miss the next time where the engine has forgotten it.
    fn heard(&mut self, name: &str) {
        let id = self.state.lock().watched.get(name).map(|watched| watched.id);
        if let Some(id) = id {
            self.watchers.wake(&id);
            if E::FORGETS {
                self.register_again(&id, name);
            }
        }
    }

    /// The waiters ask again, and get the error from the store itself.
    fn cut_off(&mut self) {
        self.watchers.wake_all();
    }

    fn patience(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let wait = self.wake_lapsed(now);
        let mut state = self.state.lock();
        if !state.watched.is_empty() {
            self.last_use = now;
        } else if now >= self.last_use + LINGER {
            // A waiter that comes after this look finds no listener, and starts one.
            state.is_listening = false;
            state.looks_at = None;
            return None;
        }
        Some(wait)
    }
}
