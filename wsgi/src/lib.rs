//! A WSGI application (PEP 3333) inside a Kirsch program, below a path and behind its tools.
//!
//! ```no_run
//! use kirsch::prelude::*;
//! use kirsch_wsgi::Wsgi;
//!
//! fn main() -> kirsch::Result {
//!     let old = Wsgi::load("shop:application").path("old").venv("old/.venv");
//!     App::new(Tree::new().index(|_| "the new pages")).mount("/old", old).serve("127.0.0.1:8080")
//! }
//! ```
//!
//! The idea: a worker that waits for Python's lock (the GIL) is a worker lost for pages that need no Python. So calls
//! pass a *lane*: two requests at a time are in Python, the others are parked and hold no worker. The lock is given
//! away around every read and every wait.
//!
//! | file | what it does |
//! |---|---|
//! | `load.rs` | starts the interpreter and imports the application |
//! | `lane.rs` | the admission, its status, and the look at calls that get no lock |
//! | `gateway.rs` | one request: the call, and the response that comes of it |
//! | `environ.rs` | the dictionary of the request |
//! | `input.rs`, `errors.rs` | `wsgi.input`, `wsgi.errors`, and exceptions |
//! | `start_response.rs` | the head of the response, and `write` |
//! | `output.rs` | the iterable, its `close`, and `wsgi.file_wrapper` |
//!
//! The interpreter is the main one, one a process, and is never finalized: the process ends instead. Python handles no
//! signals. No Python object is dropped by a thread that is not attached.

mod environ;
mod errors;
mod gateway;
mod input;
mod lane;
mod load;
mod output;
mod start_response;

use gateway::Gateway;
use kirsch::App;
use kirsch::engine::Step;
use lane::{InPython, Lane};
use pyo3::Python;
use std::path::PathBuf;
use std::time::Duration;

/// A WSGI application, to be mounted: `App::mount("/old", Wsgi::load("module:application"))`.
///
/// It is imported when it is mounted. An import that fails, and an object that cannot be called, stop the start of the
/// program with Python's own traceback.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is mounted"]
pub struct Wsgi {
    application: String,
    paths: Vec<PathBuf>,
    venv: Option<PathBuf>,
    lane: Option<usize>,
    queue: usize,
    wait: Duration,
}

/// How many requests that read their body are with Python beyond the lane.
const READERS: usize = 4;

impl Wsgi {
    /// The object of that name in a module: `shop:application`, `shop.web:make_app()`. Without a colon it is the
    /// module's `application`. With `()` behind it, it is called once without arguments and returns the application.
    pub fn load(application: impl Into<String>) -> Self {
        Self {
            application: application.into(),
            paths: Vec::new(),
            venv: None,
            lane: None,
            queue: 100,
            wait: Duration::from_secs(30),
        }
    }

    /// Looks for modules in this folder first. A path that is not absolute counts from the working directory.
    pub fn path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.paths.push(folder.into());
        self
    }

    /// Takes packages from this virtual environment, which must be of the Python that this program is built with.
    pub fn venv(self, folder: impl Into<PathBuf>) -> Self {
        Self { venv: Some(folder.into()), ..self }
    }

    /// How many requests are in Python at the same time; the others are parked. The default is 2, where Python has its
    /// lock: more would only take turns. A Python without it (3.13t and later) has 10. Keep it below `server.threads`,
    /// by 5 at least: four more requests may be reading their bodies.
    pub fn lane(self, requests: usize) -> Self {
        Self { lane: Some(requests.max(1)), ..self }
    }

    /// How many may wait for the lane (default 100). One more is answered 503 at once.
    pub fn queue(self, requests: usize) -> Self {
        Self { queue: requests, ..self }
    }

    /// How long a request waits for the lane (default 30 s), then 503.
    pub fn max_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }
}

impl From<Wsgi> for App {
    fn from(wsgi: Wsgi) -> Self {
        let loaded = load::load(&wsgi.application, &wsgi.paths, wsgi.venv.as_deref());
        let usual = loaded.as_ref().map_or(1, |loaded| if loaded.has_lock { 2 } else { 10 });
        let lane = Lane::new(wsgi.application, wsgi.lane.unwrap_or(usual), READERS, wsgi.queue, wsgi.wait);
        match loaded {
            Ok(loaded) => Self::new(Gateway::new(loaded, lane.clone()))
                .tool("/", InPython::new(lane))
                // A thread that is attached for the first time makes a state, and mostly forgets it at the end. So each
                // worker keeps its own, and with it the `threading.local` of the application.
                .around_workers(|life| Python::attach(|py| py.detach(life)))
                .on(Step::Stop, output::AFTER_THE_SERVER, |_| output::finish_closing()),
            Err(problem) => Self::new(kirsch::Tree::new()).tool("/", InPython::broken(lane, problem)),
        }
    }
}
