//! An application without our server: `http::Request` in, `http::Response` out, on the thread of the caller.
//!
//! The request goes through the connection of the server and its steps, over a pipe in memory (`server/by_hand.rs`), as
//! in the test client in process. So limits, conditions, ranges, HEAD and error pages are those of the server. What a
//! socket decides is left to the server around the application: TLS, slow clients, how many there are.

mod incoming;
mod outgoing;

pub use incoming::Incoming;
pub use outgoing::Outgoing;

use super::course::Course;
use crate::Result;
use crate::bus::Deadline;
use crate::exchange::{
    BodyPlan, ClientWatch, Connection, Connections, Delivery, Exchange, Peer, Progress, Service, StatusSource,
    TlsFacts, TlsVersion, Wakers,
};
use crate::http::Refusal;
use crate::lifecycle::Application;
use crate::logs::InstalledLogs;
use crate::server::ServerSettings;
use crate::server::by_hand::ByHand;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A started application that answers requests of another server: [`App::embed`](crate::App::embed) makes it.
///
/// ```
/// use kirsch::prelude::*;
///
/// let site = App::new(Tree::new().page("hello/{name}", |page| -> kirsch::Result<String> {
///     Ok(format!("Hello, {}!", page.parameter::<String>("name")?))
/// }));
/// let site = site.embed()?;
/// let request = http::Request::get("http://shop.example/hello/Anna").body(())?;
/// let response = site.answer(request)?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.into_body().read_all(1 << 20)?, b"Hello, Anna!");
/// # Ok::<_, kirsch::Error>(())
/// ```
///
/// [`answer`](Self::answer) may be called from any number of threads at the same time. It **blocks its thread** while
/// the handler runs, while the body of the request comes, and while the request is parked (for the lock of its session,
/// a place of [`Limit`](crate::tools::Limit)); each of these waits has the deadline that it has on our server. Inside
/// an async server call it on a thread for blocking code.
///
/// Plugins, background jobs and steps of the start and the stop run as usual, those of workers and
/// [`on_start`](crate::App::on_start) do not: there are no workers and no address. Dropping it stops the application.
///
/// The limits of requests are those of the application (`max_body`, `server.request_line`, ...). Its settings for
/// addresses, TLS, threads, slow clients and memory of responses do not count: the server around it has its own. A
/// response is made as far as its [body](Outgoing) is read.
pub struct Embedded {
    server: Arc<ByHand>,
    course: Course,
    drain_timeout: Duration,
    /// The last field, so that it takes what the stop says.
    _logs: Option<InstalledLogs>,
}

impl Embedded {
    pub(super) fn new(
        course: Course,
        application: Arc<Application>,
        settings: ServerSettings,
        logs: Option<InstalledLogs>,
    ) -> Result<Self> {
        let drain_timeout = settings.drain_timeout;
        let server = Arc::new(ByHand::with_settings(Arc::new(OfVisitor(application)), settings)?);
        Ok(Self { server, course, drain_timeout, _logs: logs })
    }

    /// Answers one request. Whatever goes wrong in the application is a response: 404, 413, 500 with its page.
    ///
    /// The path and query are those of the URI; the host is the URI's, else that of the field Host. Fields of framing
    /// and connection are left out (`Connection`, `Transfer-Encoding`, `Upgrade`, `Expect`, ...), so no request becomes
    /// a WebSocket. A `Content-Length` is a promise of the body. Of the extensions, [`Visitor`] counts.
    ///
    /// # Errors
    /// When there is no answer, since the body ended too early or its reader failed: the client has gone. End the
    /// connection.
    pub fn answer<B: Into<Incoming>>(&self, request: ::http::Request<B>) -> Result<::http::Response<Outgoing>> {
        let (parts, body) = request.into_parts();
        let visitor = parts.extensions.get::<Visitor>().cloned().unwrap_or_default();
        let hand = self.server.connect(visitor.connection.clone());
        incoming::send(&hand, &parts, &visitor, body.into());
        let client: Arc<dyn Connections> = Arc::new(Client(visitor.gone));
        // The request starts on this thread, before there is a response.
        let _watched = Watched::begin(&client);
        outgoing::receive(hand, client, &parts.method)
    }

    /// Stops the application: background jobs, plugins and the steps of the stop, all within
    /// `server.drain_timeout`. Answer no request meanwhile.
    pub fn stop(mut self) {
        let _ = self.course.stop(Deadline::within(self.drain_timeout));
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.course.stop(Deadline::within(Duration::ZERO));
    }
}

/// The client of a request, as the server around the application knows it: put one into the extensions of the
/// `http::Request`. Without it the client has the address `0.0.0.0`, and came without encryption.
///
/// ```
/// use kirsch::engine::Visitor;
/// use kirsch::prelude::*;
///
/// let site = App::new(Tree::new().index(|page| page.request().remote().to_string())).embed()?;
/// let visitor = Visitor::new("192.0.2.7:50000".parse()?).secure(true);
/// let request = http::Request::get("/").extension(visitor).body(())?;
/// assert_eq!(site.answer(request)?.into_body().read_all(100)?, b"192.0.2.7");
/// # Ok::<_, kirsch::Error>(())
/// ```
///
/// A clone is a handle to the same client.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    connection: Connection,
    gone: Arc<AtomicBool>,
}

impl Visitor {
    /// The client at this address. Behind a trusted proxy the tool `proxy` puts it right, as on our server.
    #[must_use]
    pub fn new(remote: SocketAddr) -> Self {
        let connection = Connection { peer: Peer::Ip(remote), ..Connection::default() };
        Self { connection, gone: Arc::default() }
    }

    /// The address of the server that the client came to.
    #[must_use]
    pub fn at(mut self, local: SocketAddr) -> Self {
        self.connection.local = Some(local);
        self
    }

    /// Whether it came by `https`. For more facts of the encryption: [`tls`](Self::tls).
    #[must_use]
    pub fn secure(self, enabled: bool) -> Self {
        let facts = enabled.then(|| TlsFacts::new(TlsVersion::Tls13, "unknown"));
        Self { connection: Connection { tls: facts.map(Arc::new), ..self.connection }, ..self }
    }

    /// The facts of its encryption.
    #[must_use]
    pub fn tls(mut self, facts: TlsFacts) -> Self {
        self.connection.tls = Some(Arc::new(facts));
        self
    }

    /// Tells the application that the client has gone: from now on
    /// [`Request::client_gone`](crate::Request::client_gone) says so. Call it from another thread while the request
    /// runs. A body that is dropped before its end tells it as well.
    pub fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// The client of one response, kept as long as that. When it is dropped the client has gone.
struct Client(Arc<AtomicBool>);

impl Connections for Client {
    fn is_abandoned(&self, _connection: u64) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

thread_local! {
    /// The client of the request that this thread begins.
    static CLIENT: RefCell<Option<Weak<dyn Connections>>> = const { RefCell::new(None) };
}

struct Watched;

impl Watched {
    fn begin(client: &Arc<dyn Connections>) -> Self {
        CLIENT.set(Some(Arc::downgrade(client)));
        Self
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        CLIENT.take();
    }
}

/// A service whose requests know their client.
struct OfVisitor(Arc<Application>);

impl Service for OfVisitor {
    fn start(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> BodyPlan {
        // A request that was parked is started again and has it.
        if let Some(client) = CLIENT.take() {
            exchange.request.client = ClientWatch::of(client);
        }
        self.0.start(exchange, wakers)
    }

    fn run(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Progress {
        self.0.run(exchange, wakers)
    }

    fn refuse(&self, exchange: &mut Exchange, refusal: &Refusal) {
        self.0.refuse(exchange, refusal);
    }

    fn end(&self, exchange: &mut Exchange, delivery: &Delivery) {
        self.0.end(exchange, delivery);
    }

    fn handler_at(&self, address: usize) -> Option<String> {
        self.0.handler_at(address)
    }

    fn sources(&self) -> Vec<Arc<dyn StatusSource>> {
        self.0.sources()
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
