//! Kirsch is CherryPy distilled: structs whose methods are web pages, plain blocking code, and an HTTP/1.1 server of
//! its own. A connection holds a thread only while your code runs for it.
//!
//! # Hello world
//!
//! `#[handlers]` publishes an impl block; methods marked `#[expose]` are pages, and `index` is the page of the place
//! itself.
//!
//! ```no_run
//! use kirsch::prelude::*;
//!
//! struct Hello;
//!
//! #[handlers]
//! impl Hello {
//!     #[expose]
//!     fn index(&self) -> &'static str {
//!         "Hello, World!"
//!     }
//! }
//!
//! fn main() -> kirsch::Result {
//!     App::new(Hello).serve("127.0.0.1:8080")
//! }
//! ```
//!
//! # Parameters are the signature
//!
//! Arguments come by name from the path, the query and the form. They are converted and checked before the method is
//! called; a missing or malformed one is answered for you. `curl localhost:8080/add/3/4` and `/add?a=3&b=4` both print
//! 7:
//!
//! ```
//! use kirsch::{prelude::*, testing::Client};
//!
//! struct Sums;
//!
//! #[handlers]
//! impl Sums {
//!     #[expose]
//!     fn add(&self, a: i64, b: i64) -> String {
//!         (a + b).to_string()
//!     }
//! }
//!
//! let client = Client::in_process(App::new(Sums));
//! client.get("/add/3/4").send().assert_text("7");
//! client.get("/add?a=3&b=four").send().assert_status(400).assert_contains("`b` must be a whole number");
//! ```
//!
//! Everything else comes by its type: [`&Request`](Request), `&mut `[`Response`], [`Json<T>`](Json), [`Form<T>`](Form),
//! [`Upload`], [`Body`], [`Cookies`], [`&Session`](Session) and more; [`Argument`] lists them. [`IntoResponse`] lists
//! the types that a page may return.
//!
//! # The tree
//!
//! A struct has children as it has pages: `#[child]` methods return another node, owned or borrowed, and may take
//! segments of the path. Children run as part of the request, so they may look into a database, and answer 404 with
//! `None`.
//!
//! ```
//! use kirsch::{prelude::*, testing::Client};
//!
//! struct Shop;
//! struct Customer(i64);
//!
//! #[handlers]
//! impl Shop {
//!     #[child]
//!     fn customer(&self, id: i64) -> Option<Customer> {
//!         (id < 100).then_some(Customer(id))
//!     }
//! }
//!
//! #[handlers]
//! impl Customer {
//!     #[expose]
//!     fn orders(&self) -> String {
//!         format!("orders of customer {}", self.0)
//!     }
//! }
//!
//! let client = Client::in_process(App::new(Shop));
//! client.get("/customer/42/orders").send().assert_text("orders of customer 42");
//! client.get("/customer/100/orders").send().assert_status(404);
//! ```
//!
//! Where the HTTP method is the method, write `#[resource]` and name them `get`, `post`, `put`, `patch`, `delete`:
//! [`resource`]. A tree of values and closures, without macros, is a [`Tree`].
//!
//! # Sessions
//!
//! A tool is switched on for a path and everything below it. The sessions tool gives handlers a session that is theirs
//! alone while they run; a request that waits for it holds no thread.
//!
//! ```
//! use kirsch::{prelude::*, testing::Client};
//!
//! struct Counter;
//!
//! #[handlers]
//! impl Counter {
//!     #[expose]
//!     fn index(&self, session: &Session) -> String {
//!         session.update("visits", |visits: &mut u64| {
//!             *visits += 1;
//!             visits.to_string()
//!         })
//!     }
//! }
//!
//! let client = Client::in_process(App::new(Counter).tool("/", Sessions::in_memory()));
//! client.get("/").send().assert_text("1");
//! client.get("/").send().assert_text("2");
//! client.new_browser().get("/").send().assert_text("1");
//! ```
//!
//! [`sessions`] tells when the lock is taken, and how to give it back before a long wait.
//!
//! # Tools that come along
//!
//! | tool | what it does |
//! |---|---|
//! | [`Sessions`] | the data that the requests of one visitor share, and the lock on it |
//! | [`StaticDir`], [`StaticFile`] | files, with conditions, ranges and a cache of small ones |
//! | [`Caching`] | keeps responses; of many requests for the same page one runs the handler |
//! | `tools::Gzip` | compressed responses, streams too; needs the cargo feature `gzip` |
//! | `tools::Templates` | pages in Jinja's language that share the handler's session; needs the cargo feature `templates` |
//! | `tools::SessionAuth`, `tools::AuthBasic`, `tools::AuthDigest` | who it is: a login page, or credentials with each request; need the cargo feature `auth` |
//! | [`TrailingSlash`](tools::TrailingSlash) | one address for each page; on everywhere |
//! | [`SecureHeaders`](tools::SecureHeaders) | the fields that protect users in browsers; on everywhere |
//!
//! # Tools of your own
//!
//! A [`Tool`] puts hooks at [hook points](HookPoint). The tools of the framework use nothing else. This one logs how
//! long each handler ran:
//!
//! ```
//! use kirsch::prelude::*;
//! use std::time::Instant;
//!
//! struct LogTime;
//!
//! impl Tool for LogTime {
//!     fn name(&self) -> &'static str {
//!         "log_time"
//!     }
//!     fn attach(&self, hooks: &mut Hooks) {
//!         hooks.at(HookPoint::BeforeHandler, |exchange| {
//!             exchange.values.insert(Instant::now());
//!         });
//!         hooks.at(HookPoint::BeforeFinalize, |exchange| {
//!             if let Some(start) = exchange.values.get::<Instant>() {
//!                 log::info!("{} ran for {:?}", exchange.request.path(), start.elapsed());
//!             }
//!         });
//!     }
//! }
//!
//! App::new(Tree::new().index(|_| "timed")).tool("/", LogTime).build()?;
//! # Ok::<(), kirsch::Error>(())
//! ```
//!
//! A hook may also end the request: return an [`Error`], a [`Redirect`] or [`Flow::Answer`], or an `Option` of one
//! where it mostly goes on:
//!
//! ```
//! # use kirsch::{prelude::*, testing::Client};
//! # struct Move;
//! # impl Tool for Move {
//! #     fn name(&self) -> &'static str { "move" }
//! fn attach(&self, hooks: &mut Hooks) {
//!     hooks.at(HookPoint::OnStartResource, |exchange| {
//!         exchange.request.path().starts_with("/old").then(|| Redirect::permanent("/"))
//!     });
//! }
//! # }
//! # let client = Client::in_process(App::new(Tree::new()).tool("/", Move));
//! # client.get("/old").send().assert_status(301).assert_header("location", "/");
//! # client.get("/new").send().assert_status(404);
//! ```
//!
//! An [admission](lifecycle::Admit) may let it wait.
//!
//! # Errors
//!
//! Any error becomes a response with `?`. [`Error::new`] chooses status and message, a [`Problem`] tells programs more.
//! Any other error is a 500 whose cause is in the log and not on the page. [`App::error_page`] replaces the page of a
//! status, [`App::error_pages`] those of a part of the site, wherever the error comes from: your handler, the router,
//! the parser. While you develop, the setting `debug_page` shows the cause in your browser, with the source around it,
//! the parameters and the hooks that ran.
//!
//! # Files
//!
//! [`StaticDir`] serves a folder, [`StaticFile`] one file, and handlers return a [`File`]. All of them answer
//! conditions and ranges.
//!
//! # News
//!
//! [`push::Topic`] tells clients what happens when it happens, by event streams or long polls. Nobody waits on a
//! worker:
//!
//! ```
//! use kirsch::push::{Events, LastEventId, Topic};
//! use kirsch::{prelude::*, testing::Client};
//!
//! struct News { headlines: Topic<String> }
//!
//! #[handlers]
//! impl News {
//!     #[expose]
//!     fn events(&self, last: LastEventId) -> Events { self.headlines.events(last) }
//! }
//!
//! let headlines = Topic::new("headlines");
//! let client = Client::in_process(App::new(News { headlines: headlines.clone() }));
//! let mut stream = client.get("/events").send_streaming();
//! headlines.publish("Cherries are ripe".to_owned());
//! assert!(stream.next_event().unwrap().starts_with("data: Cherries are ripe\n"));
//! ```
//!
//! # Further
//!
//! Settings from a file: [`config`]. The server by itself: [`server`]. Tests without a socket and over one:
//! [`testing`]. The guide is in `docs/guide/` of the repository.
#![forbid(unsafe_op_in_unsafe_fn)]
// The documentation site names the feature that an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

// The macros write `::kirsch::...`; inside this crate and its tests that name must exist too.
#[allow(unused_extern_crates, reason = "used by macro-generated code")]
extern crate self as kirsch;

mod bus;
mod by_age;
pub mod config;
mod databases;
#[cfg(any(debug_assertions, feature = "dev"))]
pub mod dev;
#[cfg(doctest)]
mod documents;
pub mod engine;
pub mod exchange;
mod file_stamp;
pub mod http;
pub mod jobs;
pub mod lifecycle;
mod line;
pub mod logs;
mod neighbours;
mod networks;
#[cfg(feature = "openapi")]
pub mod openapi;
mod panics;
#[cfg(feature = "passwords")]
pub mod passwords;
mod primitive;
mod private_file;
pub mod publish;
pub mod push;
mod random;
mod seldom;
pub mod server;
pub mod sessions;
pub mod settings;
pub mod status;
mod suggestion;
pub mod testing;
mod threads;
mod tickets;
#[cfg(feature = "tls")]
pub mod tls;
pub mod tools;
#[cfg(feature = "auth")]
mod watched_file;

pub use ::bytes;
pub use ::http::{HeaderName, HeaderValue, Method, StatusCode, header};
pub use config::Configuration;
pub use engine::App;
#[cfg(feature = "websocket")]
pub use exchange::websocket;
pub use exchange::{
    Argument, Body, Bytes, ClientWatch, Conn, Cookies, Error, Exchange, Fault, FieldError, Fields, FileBody, Form,
    FormErrors, Html, IntoResponse, Json, Login, Multipart, Omit, Parameter, Params, Problem, Query, Redirect, Request,
    Response, ResponseBody, Segments, SetCookie, Stream, Text, Upload, escape,
};
pub use kirsch_macros::{Fields, Parameter, child, expose, handlers, resource};
pub use lifecycle::{ErrorForm, ErrorPage, Flow, HookPoint, Hooks, Tool};
pub use publish::{Publish, Routes, Tree, link_to};
pub use sessions::{Session, SessionView, Sessions};
pub use settings::{Secret, Settings};
#[cfg(feature = "tls")]
pub use tls::Tls;
pub use tools::{Caching, File, StaticDir, StaticFile, serve_download, serve_file};

/// The result of a page, a hook or `main`: `()` or the value, or an [`Error`] that knows its status.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Everything a program needs, in one import line.
pub mod prelude {
    pub use crate::{
        App, Body, Bytes, Caching, Configuration, Conn, Cookies, Error, Exchange, Fields, File, Flow, Form, FormErrors,
        HookPoint, Hooks, Html, IntoResponse, Json, Login, Method, Multipart, Omit, Parameter, Params, Problem,
        Publish, Query, Redirect, Request, Response, Routes, Secret, Segments, Session, SessionView, Sessions,
        SetCookie, StaticDir, StaticFile, StatusCode, Stream, Text, Tool, Tree, Upload, child, escape, expose,
        handlers, link_to, resource, tools,
    };

    #[cfg(feature = "tls")]
    pub use crate::Tls;
}
