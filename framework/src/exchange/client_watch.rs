//! Whether the client is still there, for code that runs long.
//!
//! A request carries the number of its connection and a reference to the table of connections. It looks nothing up
//! before it is asked.

use super::ServerView;
use std::sync::{Arc, Weak};

/// Tells whether the client of a request has gone. You can keep it for as long as you like: also in a stream, on
/// another thread, or after the connection has ended.
///
/// A client counts as gone once it has reset the connection, or has closed it with nothing left to read. A client that
/// ends only its own side and reads on (`shutdown(SHUT_WR)`, `nc -N`) looks exactly like a closed tab, and counts as
/// gone here. The server itself goes on sending until the client's side refuses it. A client that vanishes silently,
/// such as with its network, is noticed after a minute and a half of silence.
///
/// Each question costs about one system call, so ask between two pieces of work and not in an inner loop. In the
/// in-process test client no client ever goes.
///
/// ```
/// use kirsch::prelude::*;
/// use std::{thread, time::Duration};
///
/// struct Clock;
///
/// #[handlers]
/// impl Clock {
///     /// Ticks as long as somebody listens.
///     #[expose]
///     fn ticks(&self, request: &Request) -> Text<Stream> {
///         let client = request.client_watch();
///         Text(Stream::new(std::iter::from_fn(move || {
///             thread::sleep(Duration::from_secs(1));
///             (!client.has_gone()).then_some("tick\n")
///         })))
///     }
/// }
/// ```
#[derive(Clone, Default)]
pub struct ClientWatch {
    /// `None` without a server.
    connections: Option<Weak<dyn Connections>>,
    connection: u64,
}

/// The server with its table of connections, which can look at one of them.
pub(crate) trait Connections: Send + Sync {
    /// Whether the client of the connection with this token has gone, or the connection has ended.
    fn is_abandoned(&self, connection: u64) -> bool;

    /// All that the server tells about itself.
    fn view(self: Arc<Self>) -> Option<Arc<dyn ServerView>> {
        None
    }
}

impl ClientWatch {
    /// Whether the client has gone. Always true when the connection has ended.
    #[must_use]
    pub fn has_gone(&self) -> bool {
        let Some(connections) = &self.connections else { return false };
        connections.upgrade().is_none_or(|connections| connections.is_abandoned(self.connection))
    }

    /// About the one client that these know.
    pub(crate) fn of(connections: Weak<dyn Connections>) -> Self {
        Self { connections: Some(connections), connection: 0 }
    }

    /// The server, while it runs.
    pub(super) fn server(&self) -> Option<Arc<dyn ServerView>> {
        self.connections.as_ref()?.upgrade()?.view()
    }

    /// A watch that asks these connections about this one.
    #[cfg(feature = "http2")]
    pub(crate) fn over(connections: Weak<dyn Connections>, connection: u64) -> Self {
        Self { connections: Some(connections), connection }
    }

    /// From now on it is about this connection.
    pub(crate) fn turn_to(&mut self, connection: u64, of: impl FnOnce() -> Weak<dyn Connections>) {
        self.connection = connection;
        self.connections.get_or_insert_with(of);
    }
}

impl std::fmt::Debug for ClientWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientWatch")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Odd;

    impl Connections for Odd {
        fn is_abandoned(&self, connection: u64) -> bool {
            connection % 2 == 1
        }
    }

    #[test]
    fn without_a_server_no_client_goes_and_with_the_server_all_do() {
        let mut watch = ClientWatch::default();
        assert!(!watch.has_gone());
        let server: Arc<dyn Connections> = Arc::new(Odd);
        watch.turn_to(2, || Arc::downgrade(&server));
        assert!(!watch.has_gone());
        watch.turn_to(1, || unreachable!("the server is known"));
        assert!(watch.has_gone());
        watch.turn_to(2, || unreachable!("the server is known"));
        drop(server);
        assert!(watch.has_gone());
    }
}
