//! The client: one browser, and the application that it talks to.

use super::{
    RawConnection, RequestBuilder, TestResponse,
    browser::{Browser, Target, connect},
    wire::Wire,
};
use crate::lifecycle::DEBUG_COOKIE;
use crate::{engine::App, server::Service};
use ::http::Method;
use std::{
    net::SocketAddr,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::{Duration, Instant},
};

/// A browser for tests: it asks an application for pages, keeps its cookies and lets tests check the responses.
///
/// Clones are the same browser on several threads: they share cookies and may send at the same time.
/// [`new_browser`](Client::new_browser) is another visitor of the same application.
///
/// ```
/// # use kirsch::{prelude::*, testing::Client};
/// # struct Counter;
/// # #[handlers]
/// # impl Counter {
/// #     #[expose]
/// #     fn index(&self, session: &Session) -> String {
/// #         let count = session.get::<i64>("count").unwrap_or(0) + 1;
/// #         session.set("count", count);
/// #         count.to_string()
/// #     }
/// # }
/// let app = App::new(Counter).tool("/", Sessions::in_memory());
/// let anna = Client::in_process(app);
/// let ben = anna.new_browser();
/// anna.get("/").send().assert_text("1");
/// anna.get("/").send().assert_text("2");
/// ben.get("/").send().assert_text("1");
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) target: Arc<Target>,
    pub(super) browser: Arc<Browser>,
    pub(super) timeout: Duration,
}

impl Client {
    /// A client that runs each request of `app` on the thread that sends it, without a socket.
    ///
    /// The request goes through the same steps as on a server. A request that waits, as for the lock of its session,
    /// blocks its thread. A handler that never returns cannot be interrupted here; over a socket the client's deadline
    /// ends the wait.
    ///
    /// # Panics
    /// If the application cannot start; the message is the application's.
    #[must_use]
    #[track_caller]
    pub fn in_process(app: App) -> Self {
        Self::of(Target::in_process(app).unwrap_or_else(|error| panic!("{error}")))
    }

    /// A client with a server of its own on a free port of 127.0.0.1, which stops when the last clone and the last
    /// browser are dropped. An application with certificates is served by TLS; the client takes every certificate.
    ///
    /// # Panics
    /// If the application or the server cannot start; the message is theirs.
    #[must_use]
    #[track_caller]
    pub fn over_socket(app: App) -> Self {
        Self::of(Target::over_socket(app).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Like [`over_socket`](Client::over_socket), and both speak HTTP/2. Responses look as over HTTP/1.1; a body
    /// without a length comes in chunks.
    ///
    /// # Panics
    /// If the application or the server cannot start; the message is theirs.
    #[cfg(feature = "http2")]
    #[must_use]
    #[track_caller]
    pub fn over_http2(app: App) -> Self {
        Self::of(Target::over_http2(app).unwrap_or_else(|error| panic!("{error}")))
    }

    /// A client of a server that already runs.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(Target::Socket { address, is_encrypted: false, _running: None })
    }

    /// A client of a server that already runs and speaks TLS. It takes every certificate.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn connect_tls(address: SocketAddr) -> Self {
        Self::of(Target::Socket { address, is_encrypted: true, _running: None })
    }

    /// A client that runs requests of a bare service, without application or socket.
    ///
    /// # Panics
    /// If the process has no descriptors left.
    #[must_use]
    #[track_caller]
    pub fn of_service(service: Arc<dyn Service>) -> Self {
        Self::of(Target::of_service(service).unwrap_or_else(|error| panic!("{error}")))
    }

    fn of(target: Target) -> Self {
        Self { target: Arc::new(target), browser: Arc::default(), timeout: Duration::from_secs(10) }
    }

    /// Another visitor of the same application: no cookies, connections of its own.
    #[must_use]
    pub fn new_browser(&self) -> Self {
        Self { target: Arc::clone(&self.target), browser: Arc::default(), timeout: self.timeout }
    }

    /// Another visitor of the same application, like [`new_browser`](Self::new_browser), who shows this certificate to
    /// a server that asks for one. Both texts are PEM.
    ///
    /// # Panics
    /// If the certificate or its private key cannot be read.
    #[cfg(feature = "tls")]
    #[must_use]
    #[track_caller]
    pub fn with_certificate(&self, chain: &str, key: &str) -> Self {
        let config = super::encrypted::config(Some((chain, key))).unwrap_or_else(|problem| panic!("{problem}"));
        Self { target: Arc::clone(&self.target), browser: Browser::showing(config).into(), timeout: self.timeout }
    }

    /// The same browser with another deadline for every wait (default 10 s): for a response head, for each further
    /// piece of a body.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Begins a GET request. `path` is sent as it stands: percent-encode it where needed.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Begins a HEAD request.
    pub fn head(&self, path: &str) -> RequestBuilder {
        self.request(Method::HEAD, path)
    }

    /// Begins a POST request.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Begins a PUT request.
    pub fn put(&self, path: &str) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// Begins a DELETE request.
    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// Begins a request of any method.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, path)
    }

    /// Opens a connection that sends exactly the bytes it is given.
    ///
    /// # Panics
    /// For a client in process, which has no connection, and if the server does not accept one.
    #[must_use]
    #[track_caller]
    pub fn raw(&self) -> RawConnection {
        let address = self.target.address();
        let address = address.expect("raw bytes need a socket: make this client with Client::over_socket");
        match connect(address, self.target.is_encrypted(), &self.browser.identity, self.timeout) {
            Ok(socket) => RawConnection::new(Wire::new(socket), self.timeout),
            Err(error) => panic!("{error}"),
        }
    }

    /// The address of the server; `None` in process.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.target.address()
    }

    /// The value of the cookie of that name that this browser keeps.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.browser.cookies.lock().get(name, Instant::now()).map(str::to_owned)
    }

    /// Makes the browser send this cookie with every request from now on.
    pub fn set_cookie(&self, name: &str, value: &str) -> &Self {
        self.browser.cookies.lock().store(&format!("{name}={value}; Path=/"), "/", Instant::now());
        self
    }

    /// Makes the browser the developer's: it brings the key to the debug page of the applications in this process
    /// (setting `debug_page`), like a browser that has opened the link in the log. A client in process needs no key.
    ///
    /// # Panics
    /// If the environment sets a key that cannot be used.
    #[track_caller]
    pub fn as_developer(self) -> Self {
        let key = crate::lifecycle::debug_key();
        self.set_cookie(DEBUG_COOKIE, key.unwrap_or_else(|problem| panic!("{problem}")));
        self
    }

    /// Logs in by the form at `/login`, and returns the page that follows. A site with its login page at another
    /// address asks for that page and calls [`TestResponse::login`](super::TestResponse::login).
    ///
    /// # Panics
    /// If there is no such form, or the login fails.
    #[track_caller]
    pub fn login(&self, name: &str, password: &str) -> TestResponse {
        self.get("/login").header("Accept", "text/html").follow_redirects().send().login(name, password)
    }

    /// Forgets all cookies.
    pub fn clear_cookies(&self) -> &Self {
        self.browser.cookies.lock().clear();
        self
    }
}

/// Tests catch the panics of failed checks. What a client keeps, cookies and connections, changes under a lock in whole
/// steps.
impl UnwindSafe for Client {}

impl RefUnwindSafe for Client {}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.target.address() {
            Some(address) => {
                write!(f, "Client of {}://{address}", if self.target.is_encrypted() { "https" } else { "http" })
            }
            None => f.write_str("Client in process"),
        }
    }
}
