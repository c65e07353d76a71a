//! The common parts of the integration tests. The tests themselves are in `tests/`, one file for each feature.
//!
//! A test that makes a claim about the application runs over both transports with [`both`]; one about connections runs
//! over a socket. Handlers meet tests at a [`Gate`] or a channel, never by sleeping.

pub mod engines;
mod held;
pub mod networked;
pub mod pages;
pub mod program;
pub mod queues;
pub mod resources;
pub mod watched;

pub use held::HeldPages;

use kirsch::{App, testing::Client};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs a test in process, then over a socket, then over HTTP/2, with a fresh application each.
#[track_caller]
pub fn both(app: impl Fn() -> App, test: impl Fn(&Client)) {
    test(&Client::in_process(app()));
    test(&Client::over_socket(app()));
    test(&Client::over_http2(app()));
}

/// A gate in a handler: requests wait there until the test opens it, and the test can wait until they are there.
///
/// Every wait ends after 10 s by a panic, so that a broken test ends too.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    state: Arc<(Mutex<GateState>, Condvar)>,
}

#[derive(Debug, Default)]
struct GateState {
    arrived: usize,
    open: bool,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits in a handler until the test opens the gate.
    pub fn pass(&self) {
        self.change(|state| state.arrived += 1);
        self.wait_until(|state| state.open);
    }

    /// Waits in the test until `count` requests have come to the gate.
    pub fn wait_for(&self, count: usize) {
        self.wait_until(|state| state.arrived >= count);
    }

    /// Lets all pass, now and later.
    pub fn open(&self) {
        self.change(|state| state.open = true);
    }

    /// Closes the gate again, and forgets who came.
    pub fn close(&self) {
        self.change(|state| *state = GateState::default());
    }

    fn change(&self, change: impl FnOnce(&mut GateState)) {
        let (state, signal) = &*self.state;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        signal.notify_all();
    }

    fn wait_until(&self, there: impl Fn(&GateState) -> bool) {
        let (state, signal) = &*self.state;
        let guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = signal.wait_timeout_while(guard, Duration::from_secs(10), |state| !there(state));
        let timed_out = waited.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        assert!(!timed_out, "nobody came to the gate, or nobody opened it, within 10 s");
    }
}

/// Waits until other threads have done something that can only be seen in statistics.
///
/// # Panics
/// If it has not happened within 10 s.
#[track_caller]
pub fn wait_until(happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !happened() {
        assert!(Instant::now() < deadline, "it has not happened within 10 s");
        std::thread::yield_now();
    }
}

/// Raises the limit of open descriptors of this process to at least `count`: tests hold both ends of every connection.
///
/// # Panics
/// If the system does not allow that many.
pub fn allow_descriptors(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        let raised = Rlimit { current: Some(count), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("the hard limit of open descriptors is too low for this test");
    }
}

/// Panics of workers are not printed from now on: tests make thousands of them. Those of tests are.
pub fn quiet_worker_panics() {
    static QUIET: std::sync::Once = std::sync::Once::new();
    QUIET.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            if !thread.name().is_some_and(|name| name.starts_with("kirsch-worker")) {
                before(panic);
            }
        }));
    });
}
