//! The application as its author describes it.
//!
//! The calls are only noted in their order. [`App::build`] merges them with the configuration files, checks the result
//! against the tree, and returns the value that the server can call.

use super::Running;
use super::checks;
use super::command::Command;
use super::course::{AT_START, AT_STOP, Course, Piece, Start, bind};
use super::embedded::Embedded;
use super::notify::Notifier;
use super::places::ListenPlaces;
use super::privileges::Privileges;
use super::running::Upgrades;
use super::signals::Signals;
use super::upgrade::{Inheritance, Program};
use crate::Result;
use crate::bus::{Engine, Events, Observer, Plugin, Step};
use crate::config::{
    AppPlace, Change, ConfigError, Configuration, Environment, Layer, Merged, SectionPath, Statement, check_profile,
    joined, merge,
};
use crate::exchange::{Error, IntoResponse, ListenerRole};
use crate::jobs::{self, JobPages, Jobs};
use crate::lifecycle::{
    Application, BackgroundJob, ErrorPage, ErrorPages, Health, Hosts, IntoFlow, PathSettings, Redirects, Tool,
    debug_link,
};
use crate::logs::{HeldLogs, Logs};
use crate::publish::{Mount, Publish, Route, Tree, graft, routes};
use crate::server::{Bound, ListenAddress, ServerSettings};
use crate::settings::Settings;
use crate::status::{self, Metrics, Status};
use crate::tickets::Tickets;
use crate::tools::{SecureHeaders, TrailingSlash};
use ::http::StatusCode;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// An application: a tree, its tools and its settings.
///
/// ```no_run
/// use kirsch::prelude::*;
///
/// fn serve(root: impl Publish + 'static) -> kirsch::Result {
///     App::new(root)
///         .threads(20)
///         .settings("/upload", |settings| settings.max_body = 1 << 30)
///         .config_file("site.toml")
///         .on_start(|address| Ok(println!("Serving on http://{address}")))
///         .serve("127.0.0.1:8080")
/// }
/// ```
#[must_use = "an application does nothing until it is served, started or built"]
pub struct App {
    root: Arc<dyn Publish>,
    /// The apps below, with their paths as written.
    mounts: Vec<(String, Arc<dyn Publish>)>,
    code: Vec<Statement>,
    configuration: Vec<(AppPlace, Source)>,
    /// Whether the variables of the environment count. The test client does without.
    reads_environment: bool,
    /// The apps of other hosts, with their names as written.
    virtual_hosts: Vec<(Vec<String>, Self)>,
    /// The hosts that this app answers for, if not for all.
    hosts: Option<Vec<String>>,
    server: ServerSettings,
    /// The apps below that change settings of the server, with their paths, and the settings: they do not count.
    unheard: Vec<(String, Vec<String>)>,
    /// Calls that are mistakes, to be reported at start.
    refusals: Vec<String>,
    /// What starts and stops with the app.
    pieces: Vec<Piece>,
    observers: Vec<Observer>,
    events: Vec<Events>,
    background: Vec<BackgroundJob>,
    /// What an upgrade loses, as soon as the application is built.
    lost: Vec<&'static str>,
    logs: Option<Logs>,
    /// Where probes ask.
    health: Option<String>,
    /// The folder of tickets.
    tickets: Option<PathBuf>,
    /// Whether it is only looked at: nothing is opened for writing.
    is_rehearsal: bool,
    /// What the start has warned of.
    findings: Vec<String>,
}

/// The last tickets are written after all that could fail.
const LAST_TICKETS: u8 = 1;

/// What is known before anything is bound.
struct Prepared {
    layers: Vec<Layer>,
    places: Vec<Vec<ListenAddress>>,
    /// What is to be given up.
    privileges: Option<Privileges>,
}

/// An application that was put together to be looked at.
pub(super) struct Rehearsed {
    pub(super) application: Application,
    /// Those of the server.
    pub(super) settings: ServerSettings,
    pub(super) places: Vec<Vec<ListenAddress>>,
    /// What a start would warn of.
    pub(super) findings: Vec<String>,
}

/// Where a configuration comes from.
enum Source {
    File(PathBuf),
    Text(String),
    Read(Configuration),
}

impl App {
    /// An application that publishes `root` at `/`. The tools [`TrailingSlash`] and [`SecureHeaders`] are on.
    pub fn new(root: impl Publish + 'static) -> Self {
        let app = Self {
            root: Arc::new(root),
            mounts: Vec::new(),
            code: Vec::new(),
            configuration: Vec::new(),
            reads_environment: true,
            virtual_hosts: Vec::new(),
            hosts: None,
            server: ServerSettings::default(),
            unheard: Vec::new(),
            refusals: Vec::new(),
            pieces: Vec::new(),
            observers: Vec::new(),
            events: Vec::new(),
            background: Vec::new(),
            lost: Vec::new(),
            logs: None,
            health: None,
            tickets: None,
            is_rehearsal: false,
            findings: Vec::new(),
        };
        app.change("/", Change::Default(Arc::new(TrailingSlash::default())))
            .change("/", Change::Default(Arc::new(SecureHeaders::default())))
    }

    /// Puts another app at a path of this one, like CherryPy's `tree.mount`: its tree, and below the path all that it
    /// sets for paths of its own (tools, settings, error pages, configuration files).
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// fn blog() -> App {
    ///     App::new(Tree::new().index(|_| "articles").page("new", |_| "")).settings("/new", |settings| settings.max_body = 1 << 20)
    /// }
    ///
    /// let client = Client::in_process(App::new(Tree::new().index(|_| "home")).mount("/our/blog", blog()));
    /// client.get("/").send().assert_text("home");
    /// client.get("/our/blog/").send().assert_text("articles");
    /// ```
    ///
    /// The app below inherits the tools and settings of the path above, as every path does, and changes them for
    /// itself. Where both set something for the same path, this app wins. The steps, plugins and observers of both run
    /// as if all were added to this app; this call adds those of the other one. Server settings of the app below do not
    /// count, nor does `[global]` in its files; a warning in the log names them.
    ///
    /// The path has one or more segments; slashes at its ends and double ones mean nothing. It wins over `default`
    /// pages and over children that take the segment as a value. Links within the app:
    /// [`Request::url`](crate::Request::url).
    ///
    /// Building the application fails when two apps are at one path, and when this app has a page or child of that
    /// name.
    pub fn mount(mut self, path: &str, app: impl Into<Self>) -> Self {
        let mut app = app.into();
        self.take_life_of(&mut app);
        if app.hosts.is_some() || !app.virtual_hosts.is_empty() {
            self.refusals.push(format!(
                "the app mounted at {path:?} has hosts of its own: only the outermost app can have them"
            ));
        }
        if let Some(problem) = app.of_outermost_only() {
            self.refusals.push(format!("the app mounted at {path:?} {problem}"));
        }
        self.refusals.extend(app.refusals);
        self.unheard.push((path.to_owned(), changed(&app.server)));
        self.unheard.extend(app.unheard.into_iter().map(|(below, keys)| (joined(path, &below), keys)));
        self.mounts.push((path.to_owned(), app.root));
        self.mounts.extend(app.mounts.into_iter().map(|(below, root)| (joined(path, &below), root)));
        let own = app.code.into_iter().filter(|statement| !matches!(statement.change, Change::Default(_)));
        self.code.extend(own.map(|said| Statement { place: said.place.below(path), ..said }));
        self.configuration.extend(app.configuration.into_iter().map(|(place, source)| (place.below(path), source)));
        self
    }

    /// Lets another app answer for a host: CherryPy's `VirtualHost`. See [`virtual_hosts`](Self::virtual_hosts).
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// let shop = App::new(Tree::new().index(|_| "shop"));
    /// let app = App::new(Tree::new().index(|_| "anything else")).virtual_host("shop.example", shop);
    /// let client = Client::in_process(app);
    /// client.get("/").header("host", "shop.example").send().assert_text("shop");
    /// client.get("/").header("host", "www.shop.example").send().assert_text("anything else");
    /// ```
    pub fn virtual_host(self, host: &str, app: Self) -> Self {
        self.virtual_hosts([host], app)
    }

    /// Lets another app answer for several hosts: `shop.example`, `*.shop.example` for everything below it,
    /// `shop.example:8443` where the port matters.
    ///
    /// A whole name comes before `*`, a longer name behind the `*` before a shorter one. Upper and lower case are the
    /// same. The host is that of [`Request::origin`](crate::Request::origin): the client's, or the one that a trusted
    /// proxy names (the tool `proxy`, which must then be on at `/` of this app).
    ///
    /// The app of a host is independent: it inherits no tools and no settings, and has its own error pages. Its steps,
    /// plugins and observers run with the others. This app keeps
    /// everything that comes before a host is known: the server, `[global]`, tools that work before routing, answers to
    /// requests that cannot be read.
    ///
    /// This app answers for all other hosts, unless [`hosts`](Self::hosts) names those that it answers for.
    pub fn virtual_hosts<'h>(mut self, hosts: impl IntoIterator<Item = &'h str>, mut app: Self) -> Self {
        self.take_life_of(&mut app);
        self.virtual_hosts.push((hosts.into_iter().map(str::to_owned).collect(), app));
        self
    }

    /// The hosts that this app answers for, written as for [`virtual_hosts`](Self::virtual_hosts). Requests for any
    /// other host are answered with 421 (Misdirected Request). Without it the app answers for every host that has no
    /// other app.
    ///
    /// Use it where links are made from the host of the request: then no client can make the application write a
    /// foreign host name.
    pub fn hosts<'h>(mut self, hosts: impl IntoIterator<Item = &'h str>) -> Self {
        self.hosts.get_or_insert_default().extend(hosts.into_iter().map(str::to_owned));
        self
    }

    /// Switches a tool on for `path` and everything below it. Further down it may be switched on again with other
    /// settings.
    pub fn tool(self, path: &str, tool: impl Tool) -> Self {
        self.change(path, Change::On(Arc::new(tool)))
    }

    /// Switches a tool off for `path` and everything below it, by its name.
    pub fn tool_off(self, path: &str, name: &str) -> Self {
        self.change(path, Change::Off(name.to_owned()))
    }

    /// Changes settings for `path` and everything below it.
    pub fn settings(self, path: &str, change: impl Fn(&mut PathSettings) + Send + Sync + 'static) -> Self {
        self.change(path, Change::Settings(Box::new(change)))
    }

    /// Changes settings of the server.
    pub fn server(mut self, change: impl FnOnce(&mut ServerSettings)) -> Self {
        change(&mut self.server);
        self
    }

    /// How many workers run handlers (default 10).
    pub fn threads(self, threads: usize) -> Self {
        self.server(|settings| settings.threads = threads)
    }

    /// Serves by TLS, with these certificates: see [`Tls`](crate::Tls). Then addresses in code are `https`. In a file:
    /// `server.certificate`.
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: crate::Tls) -> Self {
        self.server(|settings| settings.tls = tls)
    }

    /// Lays a TOML file over the settings of the code; see [`config`](crate::config). It is read when the application
    /// is built. Of several files the later ones win.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.configuration.push((AppPlace::default(), Source::File(path.into())));
        self
    }

    /// Like [`config_file`](Self::config_file), with a configuration that the program has read before: because sections
    /// of it are the program's own.
    ///
    /// A section that nobody has read by then stops the start.
    pub fn configuration(mut self, configuration: Configuration) -> Self {
        self.configuration.push((AppPlace::default(), Source::Read(configuration)));
        self
    }

    /// Like [`config_file`](Self::config_file), with the text of a file.
    pub fn config_str(mut self, text: impl Into<String>) -> Self {
        self.configuration.push((AppPlace::default(), Source::Text(text.into())));
        self
    }

    /// The page for all answers with this error status, whether they come from the router, the parser, a tool, a
    /// handler or a panic. For a part of the site, a template or a file: [`error_pages`](Self::error_pages).
    ///
    /// Should the page itself fail, the built-in one takes its place. While the server is overloaded it answers without
    /// any page.
    pub fn error_page<F, R>(self, status: StatusCode, page: F) -> Self
    where
        F: Fn(&ErrorPage<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let page = Arc::new(page);
        self.error_pages("/", move |pages| {
            let page = page.clone();
            pages.set(status, move |error| page(error));
        })
    }

    /// The page for every error status that has no page of its own.
    pub fn default_error_page<F, R>(self, page: F) -> Self
    where
        F: Fn(&ErrorPage<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let page = Arc::new(page);
        self.error_pages("/", move |pages| {
            let page = page.clone();
            pages.set_default(move |error| page(error));
        })
    }

    /// Sets error pages for `path` and everything below it: functions, templates or files. See [`ErrorPages`].
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// let app = App::new(Tree::new())
    ///     .error_pages("/", |pages| pages.template(StatusCode::NOT_FOUND, "<h1>Nothing at this address</h1>"))
    ///     .error_pages("/shop", |pages| pages.template(StatusCode::NOT_FOUND, "<h1>Sold out</h1><p>{request_id}"));
    /// let client = Client::in_process(app);
    /// client.get("/x").send().assert_status(404).assert_text("<h1>Nothing at this address</h1>");
    /// client.get("/shop/x").send().assert_contains("Sold out");
    /// ```
    pub fn error_pages(self, path: &str, change: impl Fn(&mut ErrorPages) + Send + Sync + 'static) -> Self {
        self.change(path, Change::ErrorPages(Box::new(change)))
    }

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

    /// Everything that the tree publishes, to be printed or looked at.
    ///
    /// ```
    /// use kirsch::prelude::*;
    ///
    /// let app = App::new(Tree::new().page("add/{a}/{b}", |_| "a sum"));
    /// let route = &app.routes()[0];
    /// assert_eq!(route.path, "/add/{a}/{b}");
    /// assert_eq!(route.to_string(), "GET, HEAD, OPTIONS, POST /add/{a}/{b} (Tree::add)");
    /// ```
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let mut list = self.routes_of_tree();
        for (hosts, app) in &self.virtual_hosts {
            let host = Some(hosts.join(" "));
            list.extend(app.routes_of_tree().into_iter().map(|route| Route { host: host.clone(), ..route }));
        }
        list
    }

    /// Describes the pages for programs, in OpenAPI 3.1: paths, parameters, forms with their rules, answers and errors,
    /// as far as the types in the signatures know them. The documentation of a handler becomes its summary. See
    /// [`openapi`](crate::openapi).
    ///
    /// What [`Json<T>`](crate::Json) carries is described where `T` has `derive(Fields)` or implements `JsonSchema` of
    /// the crate [schemars](https://docs.rs/schemars). Pages of closures are listed with what their patterns say. Apps
    /// of other hosts have descriptions of their own, and so has an app before it is mounted. Logins are those that
    /// code has switched on so far, so call it last.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// struct Sums;
    ///
    /// #[resource]
    /// impl Sums {
    ///     /// The sum of two numbers.
    ///     fn get(&self, a: i64, b: i64) -> Json<i64> {
    ///         Json(a + b)
    ///     }
    /// }
    ///
    /// let app = App::new(Sums);
    /// let api = app.openapi()?.title("Sums").version("1.0");
    /// assert_eq!(api.as_value()["paths"]["/{a}/{b}"]["get"]["summary"], "The sum of two numbers.");
    /// let client = Client::in_process(app.mount("/api", api));
    /// client.get("/api/").send().assert_contains("The sum of two numbers.");
    /// client.get("/api/openapi.json").send().assert_contains("\"openapi\": \"3.1.1\"");
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    ///
    /// # Errors
    /// When an app is mounted where it cannot be.
    #[cfg(feature = "openapi")]
    pub fn openapi(&self) -> Result<crate::openapi::OpenApi> {
        let tree = self.tree()?.describe();
        let document = crate::openapi::describe(&tree, &|path| self.logins(path));
        Ok(crate::openapi::OpenApi::new(document))
    }

    /// The tools for logins that code has switched on for a path.
    #[cfg(feature = "openapi")]
    fn logins(&self, path: &str) -> Vec<crate::openapi::Login> {
        let segments = |path: &str| SectionPath::parse(path).ok();
        let is_above = |section: &SectionPath, path: &SectionPath| {
            let mut segments = path.segments();
            section.segments().all(|segment| segments.next() == Some(segment))
        };
        let Some(path) = segments(path) else { return Vec::new() };
        let mut said: Vec<_> = self
            .code
            .iter()
            .filter_map(|statement| {
                Some((segments(&joined(&statement.place.mount, &statement.path))?, &statement.change))
            })
            .filter(|(section, _)| is_above(section, &path))
            .collect();
        said.sort_by_key(|(section, _)| section.segments().count());
        let mut on: Vec<&'static str> = Vec::new();
        for (_, change) in said {
            match change {
                Change::On(tool)
                    if ["auth_basic", "auth_digest", "session_auth"].contains(&tool.name())
                        && !on.contains(&tool.name()) =>
                {
                    on.push(tool.name());
                }
                Change::Off(name) => on.retain(|known| known != name),
                _ => {}
            }
        }
        on.into_iter().map(|tool| crate::openapi::Login { tool }).collect()
    }

    /// Makes the value that the server calls, without starting anything: for tests, and for servers of your own.
    ///
    /// # Errors
    /// Names the mistake in the set-up, its place, and the remedy: unknown or wrong settings, tools that are missing,
    /// switched on twice or unknown; a folder of [`tickets`](Self::tickets) that cannot be written.
    pub fn build(mut self) -> Result<Application> {
        let layers = self.read_configuration()?;
        self.assemble(&layers)
    }

    /// The same, without the variables of the environment.
    pub(crate) fn without_environment(mut self) -> Self {
        self.reads_environment = false;
        self
    }

    /// Starts the application without a server of ours: it answers `http::Request`s inside axum or hyper, behind CGI,
    /// or in a function service. See [`Embedded`].
    ///
    /// # Errors
    /// As [`start`](Self::start), but for the address.
    pub fn embed(mut self) -> Result<Embedded> {
        let logs = self.logs.take().map(Logs::install).transpose()?;
        let layers = self.read_configuration()?;
        for layer in layers.iter().filter(|layer| layer.place.depth == 0) {
            layer.apply_global(&mut self.server)?;
        }
        let application = self.assemble(&layers)?;
        let start = Start {
            application,
            settings: &self.server,
            serves: false,
            places: &[],
            bound: None,
            inherited: None,
            waits: false,
            ticket_keys: None,
            status: Vec::new(),
            pieces: self.pieces,
            observers: self.observers,
            events: self.events,
            background: self.background,
        };
        let (course, application) = Course::start(start)?;
        Embedded::new(course, application, self.server, logs)
    }

    /// Starts the application on an address, or on several (see [`ListenPlaces`]), and returns; port 0 picks a free
    /// one. `server.listen` in a configuration file wins, and the variable `KIRSCH_SERVER__LISTEN` over both.
    ///
    /// Installs no signal handlers: the program around the application decides when it stops. [`Running::wait`] does
    /// install them.
    ///
    /// # Errors
    /// As [`build`](Self::build); when the address cannot be had; when an [`on_start`](Self::on_start) fails; when the
    /// [`logs`](Self::logs) cannot be installed.
    pub fn start(self, address: impl ListenPlaces) -> Result<Running> {
        Command::refuse()?;
        // Before anything else, so that nothing that this process starts inherits it.
        let program = Program::of_process().map_err(|error| error.to_string());
        let inheritance = Inheritance::take()?;
        let teller = inheritance.as_ref().map(Inheritance::teller).transpose()?;
        let started = self.start_as(program, address, inheritance);
        if let (Err(error), Some(teller)) = (&started, &teller) {
            teller.tell(error);
        }
        started
    }

    fn start_as(
        mut self,
        program: std::result::Result<Program, String>,
        address: impl ListenPlaces,
        mut inheritance: Option<Inheritance>,
    ) -> Result<Running> {
        let held = self.logs.take().map(Logs::hold).transpose()?;
        let had_dropped = inheritance.as_ref().is_some_and(|inheritance| inheritance.has_dropped);
        let prepared = self.prepare(address, had_dropped);
        let (bound, logs) = match &prepared {
            Ok(Prepared { privileges: Some(privileges), places, .. }) => {
                let inherited = inheritance.as_mut().map(|inheritance| std::mem::take(&mut inheritance.listeners));
                let bound = bind(&self.server, places, inherited)?;
                privileges.drop_others()?;
                let logs = held.map(HeldLogs::begin).transpose()?;
                privileges.probe(&self.server)?;
                (Some(bound), logs)
            }
            // Nothing is given up, or nothing is known: then the log tells what has been found so far.
            _ => (None, held.map(HeldLogs::begin).transpose()?),
        };
        let prepared = prepared?;
        let has_dropped = had_dropped || prepared.privileges.is_some();
        let upgrades = Upgrades {
            program,
            timeout: self.server.upgrade_timeout,
            drain: self.server.upgrade_drain,
            lost: Vec::new(),
            loses_memory: self.server.upgrade_loses_memory,
            has_dropped,
        };
        let mut running = self.started(prepared, bound, upgrades, inheritance)?;
        running.logs = logs;
        Ok(running)
    }

    /// Puts all together as [`start`](Self::start) does, and neither binds an address nor writes anything.
    pub(super) fn rehearse(mut self, address: impl ListenPlaces) -> Result<Rehearsed> {
        self.is_rehearsal = true;
        let Prepared { layers, places, .. } = self.prepare(address, false)?;
        let application = self.assemble(&layers)?;
        Ok(Rehearsed { application, settings: self.server, places, findings: self.findings })
    }

    /// Reads the configuration: all that must be known before the first address is bound.
    fn prepare(&mut self, address: impl ListenPlaces, has_dropped: bool) -> Result<Prepared> {
        let layers = self.read_configuration()?;
        let is_set = layers.iter().any(|layer| layer.place.depth == 0 && layer.sets_listen());
        for layer in layers.iter().filter(|layer| layer.place.depth == 0) {
            layer.apply_global(&mut self.server)?;
        }
        let mut places = if is_set { self.server.listen.clone().into_places()? } else { address.into_places()? };
        if !is_set && self.server.has_certificates() {
            let encrypted = |address: ListenAddress| address.with_default_role(ListenerRole::Tls);
            places = places.into_iter().map(|place| place.into_iter().map(encrypted).collect()).collect();
        }
        let privileges = Privileges::of(&self.server, has_dropped)?;
        Ok(Prepared { layers, places, privileges })
    }

    fn started(
        mut self,
        prepared: Prepared,
        bound: Option<Bound>,
        upgrades: Upgrades,
        mut inheritance: Option<Inheritance>,
    ) -> Result<Running> {
        let Prepared { layers, places, .. } = prepared;
        let mut application = self.assemble(&layers)?;
        let all = || places.iter().flatten();
        if all().any(|address| address.role() == Some(ListenerRole::Redirect)) {
            let settings = &self.server;
            application.set_redirects(Redirects::new(settings.redirect_port, settings.challenge_folder.clone()));
        }
        self.lost.sort_unstable();
        self.lost.dedup();
        let upgrades = Upgrades { lost: std::mem::take(&mut self.lost), ..upgrades };
        let inherited = inheritance.as_mut().map(|inheritance| std::mem::take(&mut inheritance.listeners));
        let hosts = |tree: usize| tree.checked_sub(1).and_then(|index| self.virtual_hosts[index].0.first().cloned());
        let sections = application.keyed_sections().into_iter();
        let sections: Vec<_> = sections.map(|(tree, section, page)| (hosts(tree), section, page)).collect();
        let links = move |engine: &Engine| engine.address().map_or(Ok(()), |address| tell_links(&sections, address));
        self.pieces.insert(0, Piece::function(Step::Start, AT_START, Box::new(links)));
        for row in self.server.setting_rows() {
            crate::line::record!(Debug, target: "kirsch::config", "[global] server.{} = {}", row.key, row.value.trim_matches('"'));
        }
        let start = Start {
            application,
            settings: &self.server,
            serves: true,
            places: &places,
            bound,
            inherited,
            waits: inheritance.is_some(),
            ticket_keys: inheritance.as_mut().and_then(|inheritance| inheritance.ticket_keys.take()),
            status: inheritance.iter().map(Inheritance::shown).collect(),
            pieces: self.pieces,
            observers: self.observers,
            events: self.events,
            background: self.background,
        };
        Running::start(start, upgrades, inheritance)
    }

    /// Serves on an address, or on several (see [`ListenPlaces`]), until SIGINT or SIGTERM, then lets the running
    /// requests end (setting `server.drain_timeout`). SIGHUP runs the steps [`Graceful`](Step::Graceful). A second
    /// signal ends the process at once, with status 130 or 143. A signal that comes while the application starts takes
    /// effect when it has. SIGUSR2 lets a new process of the program take over without a gap
    /// ([`Running::upgrade`]).
    ///
    /// With the variable `KIRSCH_COMMAND=routes` it prints the [routes](Self::routes) and returns, with
    /// `KIRSCH_COMMAND=check` the tools and settings of all paths: `kirsch routes` and `kirsch check` set it. Then
    /// nothing is bound, and nothing is written.
    ///
    /// # Errors
    /// As [`start`](Self::start); names the requests that had not ended in time; counts what `check` has found.
    pub fn serve(self, address: impl ListenPlaces) -> Result {
        if let Some(command) = Command::of_environment()? {
            return command.obey(self, address);
        }
        let (signals, manager) = (Signals::install()?, Notifier::of_environment());
        #[cfg(any(debug_assertions, feature = "dev"))]
        let app = self.developed()?;
        #[cfg(not(any(debug_assertions, feature = "dev")))]
        let app = self;
        app.start(address)?.wait_for(signals, &manager)
    }

    /// The application as `kirsch dev` serves it, if that has started this program.
    #[cfg(any(debug_assertions, feature = "dev"))]
    fn developed(mut self) -> Result<Self> {
        let Some(link) = crate::dev::Link::of_environment()? else { return Ok(self) };
        let tool = crate::dev::Dev::new(&link);
        for (_, app) in &mut self.virtual_hosts {
            let (place, path) = (AppPlace::default(), "/".to_owned());
            app.code.push(Statement { place, path, change: Change::On(Arc::new(tool.of_host())) });
        }
        Ok(self.tool("/", tool).plugin(link))
    }

    fn piece(mut self, piece: Piece) -> Self {
        self.pieces.push(piece);
        self
    }

    /// All of another app that lives with the process becomes this app's.
    fn take_life_of(&mut self, app: &mut Self) {
        self.pieces.append(&mut app.pieces);
        self.observers.append(&mut app.observers);
        self.events.append(&mut app.events);
        self.background.append(&mut app.background);
    }

    /// What this app has and only the outermost app can have.
    fn of_outermost_only(&self) -> Option<&'static str> {
        let table = [
            (self.logs.is_some(), "has logs of its own: only the outermost app can have them"),
            (self.health.is_some(), "answers probes: only the outermost app can (`health`)"),
            (self.tickets.is_some(), "has tickets of its own: only the outermost app can have them"),
        ];
        table.into_iter().find_map(|(has, problem)| has.then_some(problem))
    }

    fn change(mut self, path: &str, change: Change) -> Self {
        self.code.push(Statement { place: AppPlace::default(), path: path.to_owned(), change });
        self
    }

    /// The tree with the apps that are mounted in it.
    fn tree(&self) -> std::result::Result<Arc<dyn Publish>, ConfigError> {
        let refused = |problem| ConfigError::new("the application", problem);
        let mounts = self.mounts.iter().map(|(path, root)| {
            let segments = SectionPath::decoded(path).map_err(refused)?;
            match segments.iter().any(|segment| segment == "default") {
                true => Err(refused(format!(
                    "an app cannot be mounted at {path:?}: `default` is not the name of a path segment"
                ))),
                false => Ok(Mount { written: path.clone(), segments, root: root.clone() }),
            }
        });
        graft(&self.root, &mounts.collect::<std::result::Result<Vec<_>, _>>()?).map_err(refused)
    }

    /// Reads what the application was given, in its order, and the environment over it.
    fn read_configuration(&mut self) -> std::result::Result<Vec<Layer>, ConfigError> {
        let environment = if self.reads_environment { Environment::of_process()? } else { Environment::default() };
        let read = self.read_sources(&environment)?;
        let own = read.iter().fold(environment, |environment, (_, own)| environment.with(own.environment()));
        let profile = read.first().map(|(_, configuration)| configuration.profile().to_owned());
        let profile = profile.or_else(|| own.profile().map(str::to_owned));
        if let Some(profile) = &profile {
            check_profile(profile, read.iter().flat_map(|(_, own)| own.profiles()), own.profile().is_some())?;
            let why = if own.profile().is_some() { "by KIRSCH_PROFILE" } else { "KIRSCH_PROFILE chooses another" };
            crate::line::record!(Info, target: "kirsch::config", "the profile is `{profile}` ({why})");
        }
        let sections: Vec<String> = read.iter().flat_map(|(_, own)| own.sections_read()).collect();
        own.check(&sections.iter().map(|section| &**section).collect::<Vec<_>>())?;
        for name in own.names() {
            crate::line::record!(Debug, target: "kirsch::config", "set by the environment variable {name}");
        }
        let layers = read.iter().flat_map(|(place, configuration)| configuration.layers(place));
        Ok(layers.chain(own.layers()).collect())
    }

    /// The same for the app of a host: of the environment only the profile counts.
    fn read_host_configuration(&mut self, reads_environment: bool) -> std::result::Result<Vec<Layer>, ConfigError> {
        let environment = if reads_environment { Environment::of_process()? } else { Environment::default() };
        let read = self.read_sources(&environment)?;
        Ok(read.iter().flat_map(|(place, configuration)| configuration.layers(place)).collect())
    }

    fn read_sources(
        &mut self,
        environment: &Environment,
    ) -> std::result::Result<Vec<(AppPlace, Configuration)>, ConfigError> {
        let read = self.configuration.drain(..).map(|(place, source)| {
            let configuration = match source {
                Source::File(path) => Configuration::of_file(&path)?.over(environment),
                Source::Text(text) => Configuration::parse("the configuration", &text)?.over(environment),
                Source::Read(configuration) => configuration,
            };
            configuration.check_sections_read()?;
            Ok((place, configuration))
        });
        read.collect()
    }

    fn routes_of_tree(&self) -> Vec<Route> {
        // A page in the way of a mount is reported when the application is built.
        let tree = self.tree().unwrap_or_else(|_| self.root.clone());
        routes(&tree.describe())
    }

    fn assemble(&mut self, layers: &[Layer]) -> Result<Application> {
        // `build` finds mistakes in [global] as well as `start` does.
        let mut server = self.server.clone();
        for layer in layers {
            layer.apply_global(&mut server)?;
        }
        let (root, merged) = self.merged(layers, None)?;
        let Merged { sections, plans, background, status, lost, mut links, mut findings, .. } = merged;
        self.lost = lost;
        let mut trees = vec![root.describe()];
        let mut application = Application::new(root, sections, plans, background);
        application.show_status(status);
        let refused = |problem| ConfigError::new("the application", problem);
        let mut table = Hosts::default();
        if let Some(hosts) = &self.hosts {
            table.be_strict();
            hosts.iter().try_for_each(|host| table.add(host, 0)).map_err(refused)?;
        }
        for (index, (hosts, app)) in self.virtual_hosts.iter_mut().enumerate() {
            let name = hosts.join(" ");
            if app.hosts.is_some() || !app.virtual_hosts.is_empty() {
                let problem = "has hosts of its own: only the outermost app can have them";
                return Err(refused(format!("the app of the host {name:?} {problem}")).into());
            }
            if let Some(problem) = app.of_outermost_only() {
                return Err(refused(format!("the app of the host {name:?} {problem}")).into());
            }
            if hosts.is_empty() {
                return Err(refused("an app is there for no host at all: name one".to_owned()).into());
            }
            hosts.iter().try_for_each(|host| table.add(host, index + 1)).map_err(refused)?;
            let layers = app.read_host_configuration(self.reads_environment).map_err(|error| error.of_host(&name))?;
            for layer in &layers {
                layer.apply_global(&mut server.clone())?;
            }
            app.is_rehearsal = self.is_rehearsal;
            let (root, merged) = app.merged(&layers, Some(&name)).map_err(|error| error.of_host(&name))?;
            let Merged { sections, plans, background, status, lost, links: further, findings: found, .. } = merged;
            findings.extend(found);
            self.lost.extend(lost);
            trees.push(root.describe());
            links.extend(further);
            application.add_tree(root, sections, plans, background);
            application.show_status(status);
        }
        self.warn_of(findings);
        checks::linked_pages(&trees, &links)?;
        #[cfg(feature = "tls")]
        checks::asked_for_certificates(application.plans(), &server.tls)?;
        application.set_hosts(table);
        if let Some(path) = &self.health {
            application.set_health(Health::at(path).map_err(refused)?);
        }
        application.count_requests();
        if let Some(folder) = self.tickets.as_ref().filter(|_| !self.is_rehearsal) {
            let tickets = Tickets::open(folder)?;
            application.set_tickets(tickets.clone());
            let last = move |_: &Engine| {
                tickets.finish();
                Ok(())
            };
            self.pieces.push(Piece::function(Step::Stop, LAST_TICKETS, Box::new(last)));
        }
        Ok(application)
    }

    fn warn_of(&mut self, findings: Vec<String>) {
        for finding in &findings {
            crate::line::record!(Warn, target: "kirsch::config", "{finding}");
        }
        self.findings.extend(findings);
    }

    /// The tree of this app with its plans, checked, and what looks like a mistake in it; `host` is where another app
    /// is the outermost.
    fn merged(
        &self,
        layers: &[Layer],
        host: Option<&str>,
    ) -> std::result::Result<(Arc<dyn Publish>, Merged), ConfigError> {
        if let Some(problem) = self.refusals.first() {
            return Err(ConfigError::new("the application", problem));
        }
        let mut findings = Vec::new();
        let unheard = layers.iter().filter(|layer| layer.place.depth > 0 || host.is_some());
        for heading in unheard.filter_map(Layer::says_global) {
            findings.push(format!("{heading} does not count: its app is not the outermost, which says it"));
        }
        let at_host = host.unwrap_or_default();
        let own = host.map(|_| (String::new(), changed(&self.server)));
        for (path, keys) in own.iter().chain(&self.unheard).filter(|(_, keys)| !keys.is_empty()) {
            let place = format!("{at_host}{path}");
            let keys = keys.join(", ");
            findings.push(format!(
                "the app at {place:?} sets {keys}: it does not count there, set it on the outermost app"
            ));
        }
        let root = self.tree()?;
        let mounts: Vec<_> = self.mounts.iter().map(|(path, _)| path.clone()).collect();
        let merged = merge(&self.code, layers, &mounts, host, self.is_rehearsal)?;
        let tree = root.describe();
        checks::required_tools(&tree, &merged)?;
        checks::one_reader_of_the_body(&tree)?;
        for section in checks::sections_without_answer(&tree, &merged) {
            findings.push(format!("nothing answers at or below {at_host}{section:?}: is the path right?"));
        }
        log_effective(&merged, at_host);
        Ok((root, Merged { findings, ..merged }))
    }
}

/// The keys of the settings that are not the usual ones.
fn changed(server: &ServerSettings) -> Vec<String> {
    let usual = ServerSettings::default().setting_rows();
    let changed = server.setting_rows().into_iter().zip(usual).filter(|(row, usual)| row != usual);
    changed.map(|(row, _)| format!("server.{}", row.key)).collect()
}

/// Logs the settings in force, one line for each key.
fn log_effective(merged: &Merged, host: &str) {
    for plan in &merged.plans {
        let section = plan.section();
        crate::line::record!(Debug, target: "kirsch::config", "[{host}{section:?}] tools: {}", plan.tools().join(", "));
        crate::line::record!(Debug, target: "kirsch::config", "[{host}{section:?}] error pages: {:?}", plan.error_pages);
        for row in plan.settings().setting_rows() {
            crate::line::record!(Debug, target: "kirsch::config", "[{host}{section:?}] {} = {}", row.key, row.value.trim_matches('"'));
        }
    }
}

/// Prints the links to the pages for developers and operators, one for each tree in which they are on.
fn tell_links(sections: &[(Option<String>, String, &str)], address: SocketAddr) -> Result {
    for (host, section, page) in sections {
        let link = debug_link(address, host.as_deref(), section).map_err(Error::unexpected)?;
        if *page == "debug_page" {
            crate::line::record!(Warn, target: "kirsch::engine", "`debug_page` is on at {section:?}, for development only: it is shown to browsers that have opened {link}");
        } else {
            crate::line::record!(Warn, target: "kirsch::engine", "{page} is at {section:?}: for visitors whom a login tool at that path lets in, and for browsers that have opened {link}");
        }
    }
    Ok(())
}

/// The metrics as an app, to be mounted.
impl From<Metrics> for App {
    fn from(metrics: Metrics) -> Self {
        Self::new(Tree::new()).tool("/", metrics)
    }
}

/// The description as an app, to be mounted.
#[cfg(feature = "openapi")]
impl From<crate::openapi::OpenApi> for App {
    fn from(api: crate::openapi::OpenApi) -> Self {
        Self::new(crate::openapi::pages(&api))
    }
}

/// The status pages as an app, to be mounted.
impl From<Status> for App {
    fn from(status: Status) -> Self {
        Self::new(Tree::new()).tool("/", status)
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let root = self.root.describe();
        f.debug_struct("App").field("root", &root.type_name).field("server", &self.server).finish_non_exhaustive()
    }
}
