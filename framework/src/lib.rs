//! Kirsch: CherryPy distilled. Structs whose methods are web pages, plain blocking code, and an
//! HTTP/1.1 server of its own.
#![forbid(unsafe_op_in_unsafe_fn)]

// The macros write `::kirsch::...`; inside this crate and its tests that name must exist too.
#[allow(unused_extern_crates, reason = "used by macro-generated code")]
extern crate self as kirsch;

pub mod config;
#[cfg(doctest)]
mod documents;
pub mod engine;
pub mod exchange;
pub mod http;
pub mod lifecycle;
pub mod logs;
mod primitive;
pub mod publish;
pub mod server;
pub mod sessions;
pub mod testing;
pub mod tools;

pub use ::http::{HeaderName, HeaderValue, Method, StatusCode, header};
pub use engine::App;
pub use exchange::{
    Argument, Body, Bytes, Conn, Cookies, Error, Exchange, Form, Html, IntoResponse, Json, Parameter, Params, Query,
    Redirect, Request, Response, Segments, Stream, Text,
};
pub use kirsch_macros::{Parameter, child, expose, handlers, resource};
pub use lifecycle::{Flow, HookPoint, Hooks, Tool};
pub use publish::{Publish, Tree};
pub use sessions::{Session, SessionView, Sessions};

/// What a page, a hook or `main` returns: `()` or the value, or an [`Error`] that knows its status.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Everything a program needs, in one import line.
pub mod prelude {
    pub use crate::{
        App, Body, Bytes, Conn, Cookies, Error, Exchange, Flow, Form, HookPoint, Hooks, Html, IntoResponse, Json,
        Method, Parameter, Params, Publish, Query, Redirect, Request, Response, Segments, Session, SessionView,
        Sessions, StatusCode, Stream, Text, Tool, Tree, child, expose, handlers, resource,
    };
}
