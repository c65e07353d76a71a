//! The application as its author describes it.
//!
//! The calls are only noted in their order; `life.rs` has those about all that starts and stops with the application.
//! `assemble.rs` merges them with the configuration files, checks the result against the tree, and makes the value that
//! the server can call; `start.rs` makes it a running program; `describe.rs` lists its routes without either.

mod assemble;
mod describe;
mod life;
mod start;

pub(super) use start::Rehearsed;

use super::course::Piece;
use crate::bus::{Events, Observer};
use crate::config::{AppPlace, Change, Configuration, Statement, joined};
use crate::exchange::IntoResponse;
use crate::lifecycle::{BackgroundJob, ErrorPage, ErrorPages, PathSettings, Tool};
use crate::logs::Logs;
use crate::publish::{Publish, Tree};
use crate::server::ServerSettings;
use crate::status::{Metrics, Status};
use crate::tools::{SecureHeaders, TrailingSlash};
use ::http::StatusCode;
use assemble::changed;
use std::path::PathBuf;
use std::sync::Arc;

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

    fn change(mut self, path: &str, change: Change) -> Self {
        self.code.push(Statement { place: AppPlace::default(), path: path.to_owned(), change });
        self
    }
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
        // So clients that have the description already get a 304.
        Self::new(crate::openapi::pages(&api)).tool("/", crate::tools::Etags::new())
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
