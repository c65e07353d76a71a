//! The poller: which connections have news. All of epoll and eventfd is in this file, so that kqueue can join.
//!
//! A socket is registered once, edge-triggered, for reading; interest in writing is added at the first blocked write
//! and stays. A socket whose news would only disturb is silenced for a while. One event wakes one waiting thread, the
//! most recently idle one: the kernel is the dispatcher. `kick` wakes one thread without news; kicks merge, so a woken
//! thread must pass the kick on. `stop` wakes all for good.

use super::slab::Token;
use super::word::Edges;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use std::time::Duration;

/// Maximum of events of one call.
pub(super) const BATCH: usize = 32;

const KICK: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;

/// The reports that the poller makes of a socket. It always reports a dead one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) input: bool,
    pub(super) room: bool,
}

impl Interest {
    pub(super) const NOTHING: Self = Self { input: false, room: false };
    pub(super) const INPUT: Self = Self { input: true, room: false };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::ET;
        flags.set(EventFlags::IN | EventFlags::RDHUP, self.input);
        flags.set(EventFlags::OUT, self.room);
        flags
    }
}

#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    /// Edge-triggered and never read: each write is one edge.
    kick: OwnedFd,
    /// Level-triggered and never read: once written, every wait returns at once.
    stop: OwnedFd,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let kick = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &kick, EventData::new_u64(KICK), EventFlags::IN | EventFlags::ET)?;
        epoll::add(&epoll, &stop, EventData::new_u64(STOP), EventFlags::IN)?;
        Ok(Self { epoll, kick, stop })
    }

    /// Registers a socket. Data that is there already is reported at once.
    pub(super) fn add(&self, socket: impl AsFd, token: Token) -> io::Result<()> {
        epoll::add(&self.epoll, socket, EventData::new_u64(token.bits()), Interest::INPUT.flags())
    }

    /// Changes the reports of a socket. An event that is there already is reported at once, so no edge is lost.
    pub(super) fn watch(&self, socket: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        epoll::modify(&self.epoll, socket, EventData::new_u64(token.bits()), interest.flags())
    }

    /// Waits for at most `most` events. A kick, a stop, a signal and the timeout all end the wait with fewer.
    pub(super) fn wait(&self, events: &mut Events, most: usize, timeout: Option<Duration>) {
        #[cfg(shuttle)]
        let (forever, timeout) = (timeout.is_none(), Some(timeout.unwrap_or_default()));
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 }));
        let most = most.clamp(1, BATCH);
        events.length = match epoll::wait(&self.epoll, &mut events.buffer[..most], timeout.as_ref()) {
            Ok(length) => length,
            Err(Errno::INTR) => 0,
            Err(error) => unreachable!("the poller's own descriptors are valid as long as it lives: {error}"),
        };
        // The threads of a model are one thread of the kernel: they ask again instead of sleeping.
        #[cfg(shuttle)]
        while events.length == 0 && forever {
            crate::primitive::give_way();
            self.wait(events, most, Some(Duration::ZERO));
        }
    }

    /// Wakes one waiting thread.
    pub(super) fn kick(&self) {
        // It fails only when the counter is full, and then the descriptor has an edge already.
        let _ = io::write(&self.kick, &1_u64.to_ne_bytes());
    }

    /// Wakes all waiting threads, now and always.
    pub(super) fn stop(&self) {
        let _ = io::write(&self.stop, &1_u64.to_ne_bytes());
    }

    /// Becomes readable for good when the server has stopped: for waits outside the poller.
    pub(super) fn stop_signal(&self) -> BorrowedFd<'_> {
        self.stop.as_fd()
    }
}

/// The events of one wait.
pub(super) struct Events {
    buffer: [Event; BATCH],
    length: usize,
}

impl Events {
    pub(super) fn new() -> Self {
        Self { buffer: [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; BATCH], length: 0 }
    }

    /// Connections and their news; kicks are left out.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, Edges)> {
        self.buffer[..self.length].iter().filter_map(|event| {
            let (data, flags) = (event.data.u64(), event.flags);
            if data == KICK || data == STOP {
                return None;
            }
            let mut edges = Edges::NONE;
            if flags.contains(EventFlags::IN) {
                edges |= Edges::READABLE;
            }
            if flags.contains(EventFlags::OUT) {
                edges |= Edges::WRITABLE;
            }
            if flags.contains(EventFlags::RDHUP) {
                edges |= Edges::HALF_CLOSED | Edges::READABLE;
            }
            if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                edges |= Edges::GONE | Edges::READABLE | Edges::WRITABLE;
            }
            Some((Token::from_bits(data), edges))
        })
    }
}
