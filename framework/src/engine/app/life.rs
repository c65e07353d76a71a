//! What lives with the application: steps, plugins, jobs, observers, logs, and what operators are shown.

use super::super::course::{AT_START, AT_STOP, Piece};
use super::App;
use crate::Result;
use crate::bus::{Engine, Events, Observer, Plugin, Step};
use crate::jobs::{self, JobPages, Jobs};
use crate::lifecycle::{BackgroundJob, IntoFlow};
use crate::logs::Logs;
use crate::status;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

impl App {
    /// Does something at a moment in the life of the application: CherryPy's `engine.subscribe`. Lower priorities start
    /// earlier and stop later; see [`Step`].
    ///
    /// ```no_run
    /// use kirsch::{engine::Step, prelude::*};
    ///
    /// fn migrate() -> kirsch::Result {
    ///     Ok(())
    /// }
    ///
    /// App::new(Tree::new())
    ///     .on(Step::Start, 40, |_| migrate()) // below 75: before the first request is answered
    ///     .on(Step::WorkerStart, 50, |engine| println!("worker {:?} begins", engine.worker()))
    ///     .on(Step::Graceful, 50, |_| println!("SIGHUP"))
    ///     .serve("127.0.0.1:8080")?;
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    ///
    /// If a step of the start fails, the steps of the stop that stand before it run: those with a lower priority, and
    /// those of the same priority that were added earlier. A panic counts as an error.
    pub fn on<F, R>(self, step: Step, priority: u8, function: F) -> Self
    where
        F: Fn(&Engine) -> R + Send + Sync + 'static,
        R: IntoFlow,
    {
        let function = move |engine: &Engine| function(engine).into_flow().map(|_| ());
        self.piece(Piece::function(step, priority, Box::new(function)))
    }

    /// Puts a function around the life of each worker, on its thread: for libraries that keep something on the stack of
    /// a thread, such as the state of an interpreter. The function must call what it is given, once, and must not
    /// panic. For everything else there are [`Step::WorkerStart`] and [`Step::WorkerStop`].
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    /// use std::cell::Cell;
    ///
    /// thread_local!(static INSIDE: Cell<bool> = const { Cell::new(false) });
    ///
    /// let app = App::new(Tree::new().index(|_| INSIDE.get().to_string())).around_workers(|life| {
    ///     INSIDE.set(true);
    ///     life();
    /// });
    /// Client::over_socket(app).get("/").send().assert_text("true");
    /// ```
    pub fn around_workers(self, function: impl Fn(&mut (dyn FnMut() + Send)) + Send + Sync + 'static) -> Self {
        self.piece(Piece::around(Arc::new(function)))
    }

    /// Answers the questions of probes at `path` and below: `/health/live` and `/health/ready` for `"/health"`. No
    /// worker is needed for that, no hook runs, and the access log does not have them.
    ///
    /// * `live` is 503 only while every worker has been in one request for longer than `server.stuck_after`: then a
    ///   restart is all that helps. A busy server is alive.
    /// * `ready` is 503 before everything has started, and from the moment on that the application stops.
    ///
    /// Neither asks a database, since a restart mends none. The paths are the program's, whatever the host: of mounted
    /// apps and of those of hosts this is refused.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// let client = Client::over_socket(App::new(Tree::new()).health("/health"));
    /// client.get("/health/live").send().assert_text("ok\n");
    /// client.get("/health/ready").send().assert_text("ok\n");
    /// ```
    pub fn health(mut self, path: &str) -> Self {
        self.health = Some(path.to_owned());
        self
    }

    /// Does something once the server answers, with its address: [`Step::Start`] with priority 80. An error stops the
    /// start.
    pub fn on_start(self, run: impl FnOnce(SocketAddr) -> Result + Send + 'static) -> Self {
        let once = Mutex::new(Some(run));
        self.on(Step::Start, AT_START, move |engine| {
            let run = once.lock().take();
            run.zip(engine.address()).map_or(Ok(()), |(run, address)| run(address))
        })
    }

    /// Does something when the last request has ended: [`Step::Stop`] with priority 50. The latest comes first; an
    /// error is logged, the others run.
    pub fn on_stop(self, run: impl FnOnce() -> Result + Send + 'static) -> Self {
        let once = Mutex::new(Some(run));
        self.on(Step::Stop, AT_STOP, move |_| {
            let run = once.lock().take();
            run.map_or(Ok(()), |run| run())
        })
    }

    /// Starts and stops a plugin with the application.
    pub fn plugin(self, plugin: impl Plugin) -> Self {
        self.piece(Piece::plugin(plugin))
    }

    /// Starts and stops [jobs](crate::jobs) with the application, and publishes their states below `path`: `GET
    /// /jobs/42` for the path `/jobs`. See [`JobPages`](crate::jobs::JobPages).
    pub fn jobs(self, path: &str, jobs: &Jobs) -> Self {
        /// Before the server is drained: a request that waits for a job would hold the stop up.
        const BEFORE_DRAINING: u8 = 76;
        let at_stop = jobs.clone();
        self.plugin(jobs.clone())
            .on(Step::Stop, BEFORE_DRAINING, move |_| at_stop.let_waiters_go())
            .mount(path, Self::new(JobPages::new(jobs).mounted_at(path)).tool("/", jobs::wait(jobs)))
    }

    /// Does something again and again, on a thread of its own: CherryPy's `Monitor` and `BackgroundTask`. `every` is
    /// the pause between two runs. A run that fails or panics is logged, and the next one comes; failures in a row
    /// double the pause, from a second up to a minute.
    ///
    /// ```no_run
    /// use kirsch::prelude::*;
    /// use std::time::Duration;
    ///
    /// // A file whose age tells a supervisor that the program lives.
    /// App::new(Tree::new())
    ///     .background("heartbeat", Duration::from_secs(10), || std::fs::write("/run/shop/heartbeat", "")
    ///         .map_err(kirsch::Error::from))
    ///     .serve("127.0.0.1:8080")?;
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    pub fn background<F, R>(mut self, name: &'static str, every: Duration, run: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: IntoFlow,
    {
        self.background.push(BackgroundJob::new(name, every, run));
        self
    }

    /// Calls a function with each event of a type. All observers run on one thread, one after the other; the code that
    /// tells an event does not wait for them. See [`Events`].
    pub fn observe<T, F, R>(mut self, observer: F) -> Self
    where
        T: 'static,
        F: Fn(&T) -> R + Send + 'static,
        R: IntoFlow,
    {
        self.observers.push(Observer::new(move |event: &T| observer(event).into_flow().map(|_| ())));
        self
    }

    /// Lets the observers see the events that are told by this handle and its clones.
    pub fn events(mut self, events: &Events) -> Self {
        self.events.push(events.clone());
        self
    }

    /// Shows metrics for Prometheus at a path: [`status::metrics`]. For metrics of your own, and to open them to
    /// everybody, mount that value instead.
    pub fn metrics(self, path: &str) -> Self {
        self.mount(path, status::metrics())
    }

    /// Installs a log when the application starts, and writes its last lines when it stops. See [`Logs`]; a program
    /// that logs before it starts an application calls [`Logs::install`] itself.
    pub fn logs(mut self, logs: Logs) -> Self {
        self.logs = Some(logs);
        self
    }

    /// Writes a ticket for each failure of the program: a file in `folder`, named by the number that the visitor has
    /// read on the error page. The [status pages](crate::status) show them below `/tickets`.
    ///
    /// A ticket is a JSON object: the chain of causes, the place, handler and route, the request with its parameters,
    /// the hooks that ran, the time. Values whose names sound like secrets are masked. A path that is not absolute
    /// counts from the working directory; the folder is created, for this user alone.
    ///
    /// Failures of the same error, place and route are one kind. A kind has at most 10 tickets, of which the oldest is
    /// replaced every ten minutes; the rest is counted. There are at most 1,000 tickets of 64 KiB. A thread of their
    /// own writes them, so a full disk costs tickets, and no request waits. Give each process a folder of its own.
    ///
    /// ```
    /// use kirsch::{prelude::*, status, testing::Client};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let tickets = folder.path();
    /// let app = App::new(Tree::new().page("broken", |_| Err::<(), _>(Error::unexpected("no luck"))));
    /// let app = app.tickets(tickets).mount("/status", status::app());
    /// let client = Client::over_socket(app).as_developer();
    /// let number = client.get("/broken").send().header("x-request-id").unwrap().to_owned();
    /// client.get(&format!("/status/tickets/{number}")).send();
    /// ```
    pub fn tickets(mut self, folder: impl Into<PathBuf>) -> Self {
        self.tickets = Some(folder.into());
        self
    }

    fn piece(mut self, piece: Piece) -> Self {
        self.pieces.push(piece);
        self
    }

    /// All of another app that lives with the process becomes this app's.
    pub(super) fn take_life_of(&mut self, app: &mut Self) {
        self.pieces.append(&mut app.pieces);
        self.observers.append(&mut app.observers);
        self.events.append(&mut app.events);
        self.background.append(&mut app.background);
    }

    /// What this app has and only the outermost app can have.
    pub(super) fn of_outermost_only(&self) -> Option<&'static str> {
        let table = [
            (self.logs.is_some(), "has logs of its own: only the outermost app can have them"),
            (self.health.is_some(), "answers probes: only the outermost app can (`health`)"),
            (self.tickets.is_some(), "has tickets of its own: only the outermost app can have them"),
        ];
        table.into_iter().find_map(|(has, problem)| has.then_some(problem))
    }
}
