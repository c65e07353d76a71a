//! A handle to a running application: its state, its address, its events.

use super::{Bus, Events};
use crate::exchange::ListenerRole;
use crossbeam_channel::{Receiver, bounded, select_biased};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A handle to the application for steps and plugins: its state, its address and its events. A clone is a handle to the
/// same application.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<EngineState>,
    worker: Option<usize>,
}

#[derive(Debug)]
struct EngineState {
    state: AtomicU8,
    address: OnceLock<SocketAddr>,
    listening: OnceLock<Vec<ListeningAt>>,
    events: Events,
    handed_over: Receiver<Infallible>,
}

/// A place that the server listens at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListeningAt {
    /// `http://127.0.0.1:8080` with the port that was picked, `https://` where it is encrypted, or
    /// `unix:/run/app.sock`.
    pub address: String,
    /// What its connections are for.
    pub role: ListenerRole,
}

impl ListeningAt {
    pub(crate) fn new(address: String, role: ListenerRole) -> Self {
        Self { address, role }
    }
}

/// The stages of an application, in their order. It never goes back to an earlier one. Each change is also an event:
/// `App::observe(|state: &State| ...)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// The steps of the start run.
    Starting,
    /// All steps of the start have run, and the server answers.
    Running,
    /// No connections are taken any more, and running requests end.
    Draining,
    /// The last request has ended, and the steps of the stop run.
    Stopping,
    /// Nothing runs any more.
    Stopped,
}

const STATES: [State; 5] = [State::Starting, State::Running, State::Draining, State::Stopping, State::Stopped];

/// The moment by which something must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now on, a year at most.
    #[must_use]
    pub fn within(time: Duration) -> Self {
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
        Self(Instant::now() + time.min(LONGEST))
    }

    /// The moment itself.
    #[must_use]
    pub fn at(self) -> Instant {
        self.0
    }

    /// The time that is left; zero when the moment has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

impl Engine {
    /// The stage of the application.
    #[must_use]
    pub fn state(&self) -> State {
        // SeqCst, as with all of it: read a few times in the life of a process.
        STATES[usize::from(self.shared.state.load(Ordering::SeqCst))]
    }

    /// The first IP address that the server listens on, with the port that was picked; `0.0.0.0:0` if it listens on
    /// Unix sockets alone. There is none before it is bound, at priority 70 of the start.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.shared.address.get().copied()
    }

    /// All places that the server listens at. There are none before they are bound.
    ///
    /// ```
    /// use kirsch::{engine::Step, prelude::*};
    ///
    /// let app = App::new(Tree::new()).on(Step::Start, 80, |engine| {
    ///     engine.listening_at().iter().for_each(|place| println!("Serving on {}", place.address));
    /// });
    /// app.start(["127.0.0.1:0", "127.0.0.2:0"])?;
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    #[must_use]
    pub fn listening_at(&self) -> &[ListeningAt] {
        self.shared.listening.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// Disconnects when background work may begin: at once, but for a process that takes over from an older one.
    pub(crate) fn handed_over(&self) -> Receiver<Infallible> {
        self.shared.handed_over.clone()
    }

    /// The number of the worker whose thread this is, in the steps of workers. The first is 1.
    #[must_use]
    pub fn worker(&self) -> Option<usize> {
        self.worker
    }

    /// Tells the observers of `T`; see [`Events::emit`].
    pub fn emit<T: Send + 'static>(&self, event: T) {
        self.shared.events.emit(event);
    }

    /// A handle for code that only tells events.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.events.clone()
    }
}

/// The side of the engine that changes what handles tell.
pub(crate) struct EngineOwner(Engine);

impl EngineOwner {
    /// `handed_over` disconnects when no older process does this one's background work any more.
    pub(crate) fn new(handed_over: Receiver<Infallible>) -> Self {
        let shared = EngineState {
            state: AtomicU8::new(0),
            address: OnceLock::new(),
            listening: OnceLock::new(),
            events: Events::new(),
            handed_over,
        };
        Self(Engine { shared: Arc::new(shared), worker: None })
    }

    pub(crate) fn handle(&self) -> &Engine {
        &self.0
    }

    /// The handle for the steps of a worker.
    pub(crate) fn of_worker(engine: &Engine, worker: usize) -> Engine {
        Engine { worker: Some(worker), ..engine.clone() }
    }

    pub(crate) fn connect(&self, bus: &Arc<Bus>) {
        self.0.shared.events.connect(bus);
    }

    pub(crate) fn set_address(&self, address: SocketAddr, listening: Vec<ListeningAt>) {
        let _ = self.0.shared.address.set(address);
        let _ = self.0.shared.listening.set(listening);
    }

    /// Goes on to this state, unless the application is further already.
    pub(crate) fn enter(&self, state: State) {
        if self.0.shared.state.fetch_max(state as u8, Ordering::SeqCst) < state as u8 {
            self.0.emit(state);
        }
    }
}

/// For background work that waits for no older process.
pub(crate) fn at_once() -> Receiver<Infallible> {
    bounded(0).1
}

/// Waits until background work may begin; false if it was stopped before.
pub(crate) fn may_begin(handed_over: &Receiver<Infallible>, stopped: &Receiver<Infallible>) -> bool {
    select_biased! {
        recv(handed_over) -> _ => true,
        recv(stopped) -> _ => false,
    }
}
