//! The waiters for each lock in this process, and the thread that hears when it may be free.
//!
//! The server knows which *stores* (one in each process) wait for a session. A request that gives its lock back tells
//! just these, on a channel that each store has for itself. So no store hears of sessions that it does not wait for,
//! and a session without waiters causes no message.
//!
//! One thread listens, on a connection of its own, while there are waiters and a moment longer. It also knows when each
//! lease that is in the way will have lapsed, and wakes the waiters then. Whenever it was cut off it may have missed
//! something, and wakes all.

use super::Engine;
use super::request::Keys;
use crate::sessions::answer::wait_for;
use crate::sessions::{SessionId, Watch, Watchers};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

pub(super) struct Wakeups {
    channels: String,
    store: String,
    watchers: Watchers,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
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
const BACK_OFF: [u64; 5] = [50, 100, 200, 500, 1000];

impl Wakeups {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            channels: format!("{prefix}wake:"),
            store: SessionId::random().reveal(),
            watchers: Watchers::default(),
            state: Arc::default(),
        }
    }

    /// The name of this store among those that wait, and of its channel behind the prefix of channels.
    pub(super) fn store(&self) -> &str {
        &self.store
    }

    pub(super) fn is_watched(&self, keys: &Keys) -> bool {
        self.state.lock().watched.contains_key(keys.name())
    }

    /// Adds a waiter, and starts the listener if needed.
    pub(super) fn watch(&self, engine: &Arc<Engine>, id: &SessionId, keys: &Keys, waker: Waker) -> Watch {
        let watch = self.watchers.add(id, waker);
        let mut state = self.state.lock();
        let lapses = Instant::now() + ROUND;
        let watched = state.watched.entry(keys.name().to_owned()).or_insert(Watched { id: *id, count: 0, lapses });
        watched.count += 1;
        let interest = Interest { state: self.state.clone(), name: keys.name().to_owned() };
        if !state.is_listening {
            let listener = Listener { engine: Arc::downgrade(engine), state: self.state.clone() };
            let started =
                std::thread::Builder::new().name("kirsch-redis-listener".to_owned()).spawn(move || listener.run());
            match started {
                Ok(_) => state.is_listening = true,
                Err(error) => {
                    crate::line::record!(Error, target: "kirsch::sessions", "no thread for wake-ups from Redis: {error}");
                }
            }
        }
        drop(state);
        Watch::new((watch, interest))
    }

    /// The lock that is in the way ends in so many milliseconds, if it is not renewed; negative: it may be free now.
    pub(super) fn lapses_in(&self, engine: &Engine, keys: &Keys, millis: i64) {
        if self.looks_too_late(keys, millis) {
            // The listener sleeps in a read; a message without a name lets it look again. If it is lost, it looks at
            // its time.
            let mut command = ::redis::cmd("PUBLISH");
            command.arg(self.channel()).arg("");
            if let Err(error) = engine.links.call(|link| link.query::<()>(&command)) {
                crate::line::record!(Debug, target: "kirsch::sessions", "{error}");
            }
        }
    }

    /// Notes when to look after that lease. Whether the listener means to look only later.
    fn looks_too_late(&self, keys: &Keys, millis: i64) -> bool {
        let wait = u64::try_from(millis).map_or(ROUND, |left| Duration::from_millis(left + 1).min(ROUND));
        let lapses = Instant::now() + wait;
        let mut state = self.state.lock();
        let Some(watched) = state.watched.get_mut(keys.name()) else { return false };
        // Answers overtake each other: the earliest moment counts, since looking in vain does no harm.
        watched.lapses = watched.lapses.min(lapses);
        let is_too_late = state.looks_at.is_some_and(|looks_at| looks_at > lapses);
        if is_too_late {
            state.looks_at = Some(lapses);
        }
        is_too_late
    }

    fn channel(&self) -> String {
        format!("{}{}", self.channels, self.store)
    }
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

struct Listener {
    engine: Weak<Engine>,
    state: Arc<Mutex<State>>,
}

impl Listener {
    /// Until there are no waiters, or the store is gone.
    fn run(self) {
        let mut failures = 0;
        while let Some(engine) = self.engine.upgrade() {
            match self.listen(&engine, &mut failures) {
                Ok(()) => return,
                Err(error) => {
                    if failures == 0 {
                        let problem = engine.links.explain(&error);
                        crate::line::record!(Warn, target: "kirsch::sessions", "wake-ups from Redis are cut off: {problem}");
                    }
                    // A waiter asks again, and gets the error from the store itself.
                    engine.wakeups.watchers.wake_all();
                    drop(engine);
                    let pause = BACK_OFF[failures.min(BACK_OFF.len() - 1)];
                    failures += 1;
                    std::thread::sleep(Duration::from_millis(pause));
                    if self.ends_if_idle(None) {
                        return;
                    }
                }
            }
        }
        self.state.lock().is_listening = false;
    }

    fn listen(&self, engine: &Engine, failures: &mut usize) -> ::redis::RedisResult<()> {
        let mut connection = engine.links.connect_to_listen()?;
        let mut messages = connection.as_pubsub();
        messages.subscribe(engine.wakeups.channel())?;
        if *failures > 0 {
            crate::line::record!(Info, target: "kirsch::sessions", "wake-ups from Redis are back");
            *failures = 0;
        }
        // A lock that was given back before this moment told no store, and that ended the registration.
        let watched: Vec<_> =
            self.state.lock().watched.iter().map(|(name, watched)| (name.clone(), watched.id)).collect();
        watched.into_iter().for_each(|(name, id)| self.register_again(engine, &id, &name));
        engine.wakeups.watchers.wake_all();
        let (mut last_use, mut last_heard) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            let wait = self.wake_lapsed(engine, now);
            if !self.state.lock().watched.is_empty() {
                last_use = now;
            } else if self.ends_if_idle(Some(last_use + LINGER)) {
                return Ok(());
            }
            if now.duration_since(last_heard) > 2 * ROUND {
                // A peer that vanished without a word does not answer this.
                messages.set_read_timeout(Some(engine.settings.connections.operation_timeout))?;
                messages.ping::<()>()?;
                last_heard = Instant::now();
            }
            messages.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
            match messages.get_message() {
                Ok(message) => {
                    last_heard = Instant::now();
                    let name = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
                    let id = self.state.lock().watched.get(&name).map(|watched| watched.id);
                    if let Some(id) = id {
                        engine.wakeups.watchers.wake(&id);
                        self.register_again(engine, &id, &name);
                    }
                }
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Giving a lock back ends all registrations, so that those of dead processes are forgotten. A request that is
    /// refused once more registers with that; one that only watches does not, and may have missed the next time.
    fn register_again(&self, engine: &Engine, id: &SessionId, name: &str) {
        let keys = Keys::new(&engine.settings.prefix, name);
        if !engine.wakeups.is_watched(&keys) {
            return;
        }
        match wait_for(engine.register(&keys)) {
            // This is the listener itself: it looks at the time that it finds noted.
            Ok(left) if left > 0 => {
                engine.wakeups.looks_too_late(&keys, left);
            }
            Ok(_) => engine.wakeups.watchers.wake(id),
            Err(error) => crate::line::record!(Debug, target: "kirsch::sessions", "{error}"),
        }
    }

    /// Wakes who waits for a lease that has lapsed by now. Returns the time until the next one lapses.
    fn wake_lapsed(&self, engine: &Engine, now: Instant) -> Duration {
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
        lapsed.iter().for_each(|id| engine.wakeups.watchers.wake(id));
        next.saturating_duration_since(now)
    }

    /// Ends the listening if there are no waiters, and it is `not_before` that moment.
    fn ends_if_idle(&self, not_before: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        let is_over = state.watched.is_empty() && not_before.is_none_or(|moment| Instant::now() >= moment);
        if is_over {
            state.is_listening = false;
            state.looks_at = None;
        }
        is_over
    }
}
