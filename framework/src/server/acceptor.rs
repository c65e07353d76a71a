//! Accepting connections, by one thread that does nothing else.
//!
//! The thread waits for all listeners at once, takes some connections of each in turn, gives each a slot and registers
//! it with the poller, which reports a request that is already there at once. At the connection limit the connection
//! that has been idle longest makes room for a new one; if none is idle, the new one waits in its listener's queue, and
//! the listeners are left alone for a while: they stay ready, so waiting for them would not wait. It is the same when
//! descriptors run out. A descriptor in reserve lets the acceptor take a client anyway, instead of failing again and
//! again. It is won back from an idle connection before the next one.

use super::connection::HttpConnection;
use super::listener::Listener;
use super::scheduler::Phase;
use super::transport::Transport;
use super::workspace::Shared;
use crate::exchange::Connection;
#[cfg(feature = "tls")]
use crate::exchange::ListenerRole;
use crate::seldom::Seldom;
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::convert::Infallible;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections that are taken of a listener before the others have their turn.
const MAX_IN_A_ROW: usize = 64;

/// The thread that accepts, as it is before it runs.
pub(super) struct Acceptor {
    listeners: Arc<[Listener]>,
    stop: Arc<OwnedFd>,
    reserve: Option<File>,
    complaints: Seldom,
    /// Dropped at the end, behind the listeners.
    _ended: Sender<Infallible>,
}

/// Stops the acceptor.
pub(super) struct AcceptorStop {
    stop: Arc<OwnedFd>,
    ended: Receiver<Infallible>,
}

impl AcceptorStop {
    /// Lets the acceptor take the connections that have already come, and close its descriptors. Waits until it has,
    /// for this long at most.
    pub(super) fn stop(&self, patience: Duration) {
        // It fails only when the counter is full, and then it has been told.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        let _ = self.ended.recv_timeout(patience);
    }
}

impl Acceptor {
    pub(super) fn new(listeners: Arc<[Listener]>) -> rustix::io::Result<(Self, AcceptorStop)> {
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (sender, ended) = bounded(0);
        let complaints = Seldom::default();
        let acceptor = Self { listeners, stop: stop.clone(), reserve: open_reserve(), complaints, _ended: sender };
        Ok((acceptor, AcceptorStop { stop, ended }))
    }

    /// The life of the acceptor. Drops the listeners at its end.
    pub(super) fn run(mut self, shared: &Shared) {
        let listeners = self.listeners.clone();
        let stop = self.stop.clone();
        let mut waits: Vec<_> = listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        waits.push(PollFd::new(&*stop, PollFlags::IN));
        while shared.scheduler.phase() == Phase::Running {
            match poll(&mut waits, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => self.complain(shared, error),
            }
            for (listener, wait) in listeners.iter().zip(&waits) {
                if !wait.revents().is_empty() {
                    self.serve(shared, listener);
                }
            }
        }
        for listener in &*listeners {
            take_the_rest(shared, listener);
        }
    }

    /// Takes connections of one listener, as many as are its turn.
    fn serve(&mut self, shared: &Shared, listener: &Listener) {
        listener.expect_no_wait();
        for count in 0..MAX_IN_A_ROW {
            // Only the first is sure to be there: for nobody, no idle connection has to go.
            if count > 0 && is_full(shared) || !make_room(shared) {
                return;
            }
            match listener.accept() {
                Ok((socket, connection)) => open(shared, listener, socket, connection),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return,
                Err(error) => return self.fail(shared, listener, error),
            }
        }
    }

    /// A client waits and cannot be accepted.
    fn fail(&mut self, shared: &Shared, listener: &Listener, error: Errno) {
        if !matches!(error, Errno::MFILE | Errno::NFILE) || self.reserve.take().is_none() {
            self.complain(shared, error);
            self.reserve = open_reserve();
            return;
        }
        self.say(error);
        if let Ok((socket, connection)) = listener.accept() {
            self.reserve = regain_reserve(shared);
            open(shared, listener, socket, connection);
        } else {
            self.reserve = open_reserve();
        }
    }

    /// Says what is wrong, and waits a little: it would be the same at once.
    fn complain(&self, shared: &Shared, error: Errno) {
        self.say(error);
        shared.scheduler.slab.wait_for_change(PAUSE, || shared.scheduler.phase() > Phase::Running);
    }

    fn say(&self, error: Errno) {
        if self.complaints.may_say(Instant::now()).is_some() {
            crate::line::record!(Error, "cannot accept connections: {error}; see the limit of open files (ulimit -n)");
        }
    }
}

/// Takes the connections that have come before the end, while there is room.
fn take_the_rest(shared: &Shared, listener: &Listener) {
    listener.expect_no_wait();
    for _ in 0..shared.settings.backlog {
        if is_full(shared) {
            return;
        }
        match listener.accept() {
            Ok((socket, connection)) => open(shared, listener, socket, connection),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(_) => return,
        }
    }
}

fn is_full(shared: &Shared) -> bool {
    shared.scheduler.slab.sockets() >= shared.scheduler.slab.capacity()
}

/// Waits until there is a slot, and closes idle connections to that end; false when the server stops.
fn make_room(shared: &Shared) -> bool {
    let scheduler = &shared.scheduler;
    while scheduler.phase() == Phase::Running {
        if !is_full(shared) {
            return true;
        }
        if !close_oldest_idle(shared) {
            scheduler.slab.wait_for_change(PAUSE, || !is_full(shared) || scheduler.phase() > Phase::Running);
        }
    }
    false
}

fn open(shared: &Shared, listener: &Listener, socket: OwnedFd, connection: Connection) {
    let scheduler = &shared.scheduler;
    let proxies = listener.proxies();
    if proxies.is_some_and(|trusted| !trusted.contain_peer(&connection.peer)) {
        return shared.strangers.count(&connection.peer, "it is not in server.proxy_protocol_from");
    }
    let (mut connection, mut patience) = begun(shared, Transport::Socket(socket), connection);
    if proxies.is_some() {
        patience = shared.settings.head_timeout;
        connection = connection.introduced(scheduler.clock.now().after(patience));
    }
    if let Err(error) = scheduler.insert(connection, scheduler.clock.now().after(patience)) {
        crate::line::record!(Warn, "a connection was closed at once: {error}");
    }
    scheduler.alarm.ring();
}

/// A connection that begins as its listener says, and how long it may take to begin.
fn begun(shared: &Shared, link: Transport, connection: Connection) -> (HttpConnection, Duration) {
    #[cfg(feature = "tls")]
    if let (ListenerRole::Tls, Some(tls)) = (connection.listener.role, &shared.tls) {
        let patience = shared.settings.tls.handshake_timeout;
        let deadline = shared.scheduler.clock.now().after(patience);
        return (HttpConnection::with_handshake(link, connection, tls.current(), deadline), patience);
    }
    (HttpConnection::new(link, connection), shared.settings.idle_timeout)
}

/// A descriptor in reserve, for when there is no other.
fn open_reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// How long the acceptor waits before it looks again whether there is room.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection that has been silent for less than this may have a request on its way.
const NEWS_ON_ITS_WAY: Duration = Duration::from_millis(50);

/// Waits until there is a descriptor for the reserve, and closes idle connections to that end; `None` when the server
/// stops.
fn regain_reserve(shared: &Shared) -> Option<File> {
    let scheduler = &shared.scheduler;
    loop {
        let reserve = open_reserve();
        if reserve.is_some() || scheduler.phase() > Phase::Running {
            return reserve;
        }
        if !close_oldest_idle(shared) {
            scheduler.slab.wait_for_change(PAUSE, || scheduler.phase() > Phase::Running);
        }
    }
}

/// Closes the connection that has waited longest for its next request; false when none waits, or not long enough to be
/// sure.
fn close_oldest_idle(shared: &Shared) -> bool {
    let scheduler = &shared.scheduler;
    let slab = &scheduler.slab;
    let patience = shared.settings.idle_timeout.saturating_sub(NEWS_ON_ITS_WAY);
    loop {
        let limit = scheduler.clock.now().after(patience);
        let mut oldest = None;
        for index in slab.indexes().filter(|&index| slab.is_idle(index)) {
            if let Some(deadline) = slab.deadline(index).filter(|deadline| deadline.has_passed(limit)) {
                // All idle connections wait equally long: the earliest deadline is the oldest.
                oldest = match oldest {
                    Some((_, earliest)) if deadline.earlier(earliest) == earliest => oldest,
                    _ => Some((index, deadline)),
                };
            }
        }
        let Some((index, deadline)) = oldest else { return false };
        let Some(mut owned) = slab.claim_if_free(index) else { return false };
        // Between the look and the claim it may have begun a request, or the slot may have a new tenant.
        let is_the_same = owned.deadline() == Some(deadline) && owned.connection().is_silent();
        // With something received, closing would reset the connection under a request.
        if is_the_same && !owned.connection().has_input() {
            owned.connection().take_leave();
            return true;
        }
        // Its request is there, perhaps the event just has not been taken yet. Put down, it does not count as idle any
        // more.
        scheduler.put_down(owned);
    }
}
