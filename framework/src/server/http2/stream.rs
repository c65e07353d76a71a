//! The way to the client for one stream of HTTP/2: what `transport.rs` asks of a socket, asked of a part of the mux.
//!
//! A stream has one waker, which it leaves with the engine wherever it has to wait: for content, for room, for its
//! reset. A wake-up is an edge on the ownership word of the stream's slot, as for a parked request. It says that
//! something may have changed, and the stream looks at all of it.
//!
//! A handler that reads its body as it comes waits here, on its worker. The bytes come through the mux, which needs a
//! thread that may be this one. So before it sleeps, and whenever the client has sent something, it makes the mux's
//! steps itself, if nobody else does.

use super::carrier::Carrier;
use super::engine::StreamEnds;
use crate::exchange::{ClientWatch, Connections, FileBody, ServerView};
use crate::server::run_queue::Waiting;
use crate::server::scheduler::Role;
use crate::server::slab::Token;
use crate::server::transport::{FileFailure, Gone, Received, Taken, Waited};
use crate::server::word::Edges;
use crate::server::workspace::{Shared, Workspace};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// A stream, for those that use it.
pub(in crate::server) struct Stream {
    /// Never locked by a waker, which is called under the engine's lock.
    ends: Mutex<StreamEnds>,
    bell: Arc<Bell>,
    /// The bell's.
    waker: Waker,
    carrier: Arc<Carrier>,
    has_content: bool,
    /// It has been sent a byte of content.
    bears_fruit: AtomicBool,
    /// It counts as running. Only the owner of the slot changes it.
    runs: AtomicBool,
}

/// The connection's hold of its stream.
pub(in crate::server) struct StreamSide(Arc<Stream>);

/// Wakes a stream: its slot, and the thread that waits in its body.
struct Bell {
    shared: Weak<Shared>,
    token: Token,
    /// It has rung since content was last asked for.
    has_rung: AtomicBool,
    /// Readable once it has rung, while a thread waits in the body.
    sleeper: Mutex<Option<Arc<OwnedFd>>>,
}

/// How long a thread sleeps that waits for the mux's owner.
const FOR_THE_OWNER: Duration = Duration::from_millis(1);

impl StreamSide {
    /// The side of a stream that was just opened, in the slot of this token. It has been counted as open and running.
    pub(super) fn new(
        carrier: &Arc<Carrier>,
        shared: &Arc<Shared>,
        token: Token,
        ends: StreamEnds,
        has_content: bool,
    ) -> Self {
        let bell = Arc::new(Bell {
            shared: Arc::downgrade(shared),
            token,
            has_rung: AtomicBool::new(false),
            sleeper: Mutex::default(),
        });
        Self(Arc::new(Stream {
            ends: Mutex::new(ends),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            carrier: Arc::clone(carrier),
            has_content,
            bears_fruit: AtomicBool::new(false),
            runs: AtomicBool::new(true),
        }))
    }

    /// A second hold, for a reader of its own.
    pub(in crate::server) fn second(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Whether the client sends content.
    pub(in crate::server) fn has_content(&self) -> bool {
        self.0.has_content
    }

    /// What a request asks whether its client has gone.
    pub(in crate::server) fn watch(&self) -> ClientWatch {
        let stream: Weak<Stream> = Arc::downgrade(&self.0);
        ClientWatch::over(stream, 0)
    }

    /// The stream's step begins, or ends; `runs` until it waits for news.
    pub(in crate::server) fn note_running(&self, runs: bool) {
        if self.0.runs.swap(runs, Ordering::Relaxed) != runs {
            match runs {
                true => self.0.carrier.counts().runs(),
                false => self.0.carrier.rests(),
            }
        }
    }

    /// The connection that carries the stream.
    pub(in crate::server) fn carrier(&self) -> Token {
        self.0.carrier.token()
    }

    /// Whether the stream is lost: reset by its client, or with its connection. If not, it is woken when it is.
    pub(in crate::server) fn is_lost(&self) -> bool {
        self.0.is_lost()
    }

    pub(in crate::server) fn receive(&self, room: &mut [u8]) -> Received {
        let mut ends = self.0.ends.lock();
        self.0.bell.has_rung.store(false, Ordering::SeqCst);
        ends.receive(&mut self.0.context(), room)
    }

    pub(in crate::server) fn send(&self, parts: [&[u8]; 2]) -> Result<Taken, Gone> {
        let taken = self.0.ends.lock().send(&mut self.0.context(), parts)?;
        self.0.note_sent(taken.length);
        Ok(taken)
    }

    pub(in crate::server) fn send_file(
        &self,
        file: &FileBody,
        position: u64,
        most: usize,
    ) -> Result<Taken, FileFailure> {
        let taken = self.0.ends.lock().send_file(&mut self.0.context(), file, position, most)?;
        self.0.note_sent(taken.length);
        Ok(taken)
    }

    /// The stream's ends, for what only a stream has.
    pub(in crate::server) fn ends(&self) -> parking_lot::MutexGuard<'_, StreamEnds> {
        self.0.ends.lock()
    }

    /// Lets this thread wait for content, for this long at most, or until `stop` is readable.
    pub(in crate::server) fn wait(&self, stop: BorrowedFd<'_>, timeout: Duration) -> Waited {
        let Some(shared) = self.0.carrier.shared() else { return Waited::Stopped };
        let Ok(sleeper) = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK) else { return Waited::Gone };
        let sleeper = Arc::new(sleeper);
        *self.0.bell.sleeper.lock() = Some(Arc::clone(&sleeper));
        let waited = self.0.wait_for_bell(&shared, &sleeper, stop, timeout);
        *self.0.bell.sleeper.lock() = None;
        waited
    }
}

impl Stream {
    fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    fn is_lost(&self) -> bool {
        self.ends.lock().is_reset(&mut self.context())
    }

    fn note_sent(&self, length: usize) {
        if length > 0 {
            self.carrier.sent(length);
            self.bears_fruit.store(true, Ordering::Relaxed);
        }
    }

    fn wait_for_bell(
        &self,
        shared: &Arc<Shared>,
        sleeper: &OwnedFd,
        stop: BorrowedFd<'_>,
        timeout: Duration,
    ) -> Waited {
        // Its buffers are large. The steps are not in the record of the worker, which is that of the handler.
        let mut workspace = None;
        let mut socket: Option<OwnedFd> = None;
        let mut is_fruitless = false;
        loop {
            // Steps of the mux: for content, and for the room that the reader has given back to the client.
            let taken = shared.scheduler.take(self.carrier.token());
            let others_have_it = taken.is_none();
            if let Some(mut owned) = taken {
                socket = socket.or_else(|| owned.connection().second_socket());
                let workspace = workspace.get_or_insert_with(|| Workspace::new(Arc::clone(shared), Arc::default()));
                shared.scheduler.drive(owned, Edges::READABLE, Role::Attendant, workspace);
            }
            // It may have rung before there was a sleeper.
            if self.bell.has_rung.load(Ordering::SeqCst) {
                return Waited::Ready;
            }
            // A socket that stays readable, since the mux is busy or has too much to send, must not keep this thread
            // from its sleep.
            let pauses = others_have_it || is_fruitless;
            let mut waits = vec![PollFd::new(sleeper, PollFlags::IN), PollFd::new(&stop, PollFlags::IN)];
            waits.extend(socket.iter().filter(|_| !pauses).map(|socket| PollFd::new(socket, PollFlags::IN)));
            let this_long = if pauses { timeout.min(FOR_THE_OWNER) } else { timeout };
            let Ok(count) = poll(&mut waits, Timespec::try_from(this_long).ok().as_ref()) else {
                return Waited::Nothing;
            };
            match () {
                () if !waits[1].revents().is_empty() => return Waited::Stopped,
                () if !waits[0].revents().is_empty() => return Waited::Ready,
                // The reader asks for the time, and comes back.
                () if count == 0 => return Waited::Nothing,
                () => is_fruitless = !is_fruitless,
            }
        }
    }
}

impl Connections for Stream {
    fn is_abandoned(&self, _: u64) -> bool {
        self.is_lost()
    }

    fn view(self: Arc<Self>) -> Option<Arc<dyn ServerView>> {
        Some(self.carrier.shared()?)
    }
}

/// The exchange has ended. The rest of the stream is the engine's.
impl Drop for Stream {
    fn drop(&mut self) {
        if !self.is_lost() {
            let unfinished = self.ends.get_mut().take_unfinished();
            unfinished.into_iter().for_each(|response| self.carrier.fails(response));
        } else if !*self.bears_fruit.get_mut() {
            self.carrier.was_fruitless();
        }
        if !*self.runs.get_mut() {
            self.carrier.counts().runs();
        }
        self.carrier.closes();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::SeqCst);
        if let Some(sleeper) = &*self.sleeper.lock() {
            // It fails only when the counter is full, and then it is readable.
            let _ = rustix::io::write(&**sleeper, &1_u64.to_ne_bytes());
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.scheduler.wake(self.token, Edges::WOKEN, Waiting::Turn);
        }
    }
}
