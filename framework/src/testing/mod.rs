//! The public test client: in process and over a socket, with the same calls.
//!
//! A [`Client`] is one browser: it keeps cookies and, over a socket, its connection. What it does:
//!
//! * [`Client::in_process`] runs each request on the thread that sends it, through the same steps as the server and
//!   through real request and response bytes. No socket, no port, no waiting.
//! * [`Client::over_socket`] starts a server of its own on a free port and stops it when the last clone is dropped. It
//!   speaks TLS if the application does.
//! * `Client::over_http2` does the same, and speaks HTTP/2 (feature `http2`).
//! * [`Client::connect`] talks to a server that already runs.
//! * [`Client::raw`] gives a bare connection, for requests that no honest client would send.
//!
//! ```
//! use kirsch::{prelude::*, testing::Client};
//!
//! struct Greeter;
//!
//! #[handlers]
//! impl Greeter {
//!     #[expose]
//!     fn index(&self, name: Option<String>) -> String {
//!         format!("Hello, {}!", name.as_deref().unwrap_or("World"))
//!     }
//! }
//!
//! let client = Client::in_process(App::new(Greeter));
//! client.get("/").send().assert_status(200).assert_text("Hello, World!");
//! client.get("/?name=Anna").send().assert_contains("Anna");
//! client.post("/").form(&[("name", "Ben")]).send().assert_text("Hello, Ben!");
//! ```
//!
//! A [`session_store`] of your own can be checked with the suite that all stores pass, a queue of jobs with
//! [`job_queue`].
//!
//! Rules of this room:
//! * The client reads responses with a strict parser of its own (`wire.rs`), never with the server's code, so that a
//!   mistake of the server cannot hide behind the same mistake here.
//! * Every wait has a deadline (10 s unless set) and ends with a sentence that names it.
//! * A failure is in the line of the test that asked, and shows the whole response.

mod browser;
mod client;
mod cookies;
#[cfg(feature = "tls")]
pub(crate) mod encrypted;
mod form_data;
mod html;
#[cfg(feature = "http2")]
mod http2;
mod in_process;
pub mod job_queue;
mod page_form;
mod raw;
mod request;
mod response;
pub mod session_store;
#[cfg(feature = "websocket")]
mod websocket;
mod wire;

pub use client::Client;
pub use form_data::FormData;
pub use page_form::PageForm;
pub use raw::RawConnection;
pub use request::RequestBuilder;
pub use response::{StreamingResponse, TestResponse};
#[cfg(feature = "websocket")]
pub use websocket::{Said, WebSocket};

/// Why a test client got no response, as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError(String);

impl ClientError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ClientError {}
