//! Slots: the places of connections. The only file of the crate with `unsafe`.
//!
//! A slot pairs a connection with its ownership word. The connection can be reached through an [`Owned`] alone, and
//! there is at most one `Owned` for a slot, because every way to get one goes through an operation of the word that
//! lets exactly one caller win: `claim`, `claim_if_free`, `dequeue`, or taking the vacant slot from the free list.
//! Dropping an `Owned` retires the connection, so a panic in the middle of a step closes it.
//!
//! Slots come in pages that are made when first needed and live as long as the slab: an address stays valid, and a
//! small server stays small.
//!
//! A slot may also hold a value without a socket, such as a stream of HTTP/2. Only wakers and deadlines bring it news.
//! Such values have a number of their own, so that they never take the place of a connection.

use super::clock::{Deadline, Tick};
use super::word::{Claim, Edges, Holder, Word};
use parking_lot::{Condvar, Mutex};
use std::cell::UnsafeCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

const PAGE: usize = 64;
/// In place of the descriptor of a socket.
const NO_SOCKET: RawFd = -1;
type Page<C> = Box<[Slot<C>]>;

/// All connections of one server, up to a fixed number.
pub(super) struct Slab<C> {
    pages: Box<[OnceLock<Page<C>>]>,
    /// Maximum of connections with sockets.
    capacity: usize,
    /// Maximum of those without.
    most_detached: usize,
    vacancies: Mutex<Vacancies>,
    /// Slots with an index below this have been used.
    used: AtomicU32,
    open: AtomicUsize,
    /// How many of them have no socket.
    detached: AtomicUsize,
    accepted: AtomicU64,
    /// How many threads wait for a connection to end; see [`wait_for_change`](Self::wait_for_change).
    watchers: AtomicUsize,
    change: Condvar,
}

struct Vacancies {
    /// Slots that were used, the most recent last: its memory is still warm.
    free: Vec<u32>,
    /// The first slot that was never used.
    next: u32,
}

/// Aligned so that two slots never share a cache line, nor a pair of lines that the processor fetches together.
#[repr(align(128))]
struct Slot<C> {
    word: Word,
    deadline: Deadline,
    /// What the connection rests in, as its last owner left it: so that counting claims nothing.
    rest: AtomicU8,
    /// The descriptor of the connection's socket, for [`Slab::with_socket`].
    socket: AtomicI32,
    connection: UnsafeCell<Option<C>>,
}

#[expect(unsafe_code)]
// SAFETY: `connection` is reached through `Owned` alone, of which there is at most one at a time (see the module's
// documentation); it moves between threads, so C must be Send. All other fields are Sync.
unsafe impl<C: Send> Sync for Slot<C> {}

/// Names a connection: void as soon as the connection has ended, also when the slot has a new tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    generation: u32,
    index: u32,
}

impl Token {
    /// The name of a connection without a slot.
    pub(super) const NOBODY: Self = Self { generation: 0, index: u32::MAX };

    pub(super) fn index(self) -> u32 {
        self.index
    }

    pub(super) fn bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    #[expect(clippy::cast_possible_truncation, reason = "two halves")]
    pub(super) fn from_bits(bits: u64) -> Self {
        Self { generation: (bits >> 32) as u32, index: bits as u32 }
    }
}

/// A connection that the run queue owns.
#[derive(Debug)]
pub(super) struct Queued {
    index: u32,
}

impl Queued {
    /// The number of its slot.
    #[cfg(any(feature = "http2", all(test, shuttle)))]
    pub(super) fn index(&self) -> u32 {
        self.index
    }
}

impl<C: AsFd> Slab<C> {
    /// For so many connections with sockets, and so many without.
    pub(super) fn new(capacity: usize, most_detached: usize) -> Self {
        Self {
            pages: (0..(capacity + most_detached).div_ceil(PAGE)).map(|_| OnceLock::new()).collect(),
            capacity,
            most_detached,
            vacancies: Mutex::new(Vacancies { free: Vec::new(), next: 0 }),
            used: AtomicU32::new(0),
            open: AtomicUsize::new(0),
            detached: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            watchers: AtomicUsize::new(0),
            change: Condvar::new(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many connections there are, with sockets and without.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// How many connections with sockets there are.
    pub(super) fn sockets(&self) -> usize {
        self.open().saturating_sub(self.detached())
    }

    /// How many connections without sockets there are.
    pub(super) fn detached(&self) -> usize {
        self.detached.load(Ordering::SeqCst)
    }

    /// How many connections there have been.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Gives a connection a slot and registers it with the poller.
    ///
    /// While `register` runs, only the news that it asks for can claim the connection, so no other thread can close the
    /// socket before it is registered.
    pub(super) fn insert(
        &self,
        connection: C,
        deadline: Tick,
        register: impl FnOnce(BorrowedFd<'_>, Token) -> io::Result<()>,
    ) -> io::Result<Token> {
        let full = || io::Error::other("all slots are taken");
        let (slot, token) = self.take_vacancy(false).ok_or_else(full)?;
        let descriptor = connection.as_fd().as_raw_fd();
        slot.deadline.set(Some(deadline));
        self.fill(slot, token, descriptor, connection);
        self.accepted.fetch_add(1, Ordering::Relaxed);
        slot.word.publish();
        // SAFETY: a fresh connection cannot be claimed until it is registered, so its socket is open until then.
        #[expect(unsafe_code)]
        let registered = register(unsafe { BorrowedFd::borrow_raw(descriptor) }, token);
        if let Err(error) = registered {
            drop(self.claim(token, Edges::NONE, |_| ()));
            return Err(error);
        }
        slot.word.settle(token.generation);
        Ok(token)
    }

    /// Gives a connection without a socket a slot, and the caller its ownership. When there are too many, the caller
    /// gets back what makes it.
    #[cfg(any(feature = "http2", test))]
    pub(super) fn insert_detached<M: FnOnce(Token) -> C>(&self, make: M) -> Result<Owned<'_, C>, M> {
        let Some((slot, token)) = self.take_vacancy(true) else { return Err(make) };
        self.fill(slot, token, NO_SOCKET, make(token));
        slot.word.occupy();
        Ok(Owned { slab: self, slot, index: token.index })
    }

    /// Takes a vacant slot, if there is room for one more.
    fn take_vacancy(&self, is_detached: bool) -> Option<(&Slot<C>, Token)> {
        let index = {
            let mut vacancies = self.vacancies.lock();
            let has_room = match is_detached {
                true => self.detached() < self.most_detached,
                false => self.sockets() < self.capacity,
            };
            if !has_room {
                return None;
            }
            self.open.fetch_add(1, Ordering::SeqCst);
            self.detached.fetch_add(usize::from(is_detached), Ordering::SeqCst);
            vacancies.free.pop().unwrap_or_else(|| {
                vacancies.next += 1;
                vacancies.next - 1
            })
        };
        let page = self.pages[index as usize / PAGE].get_or_init(|| (0..PAGE).map(|_| Slot::new()).collect());
        let slot = &page[index as usize % PAGE];
        Some((slot, Token { generation: slot.word.generation(), index }))
    }

    /// Puts a connection into a slot that was just taken from the free list.
    fn fill(&self, slot: &Slot<C>, token: Token, descriptor: RawFd, connection: C) {
        slot.rest.store(0, Ordering::Relaxed);
        slot.socket.store(descriptor, Ordering::Relaxed);
        // SAFETY: the index came from the free list, so the slot is vacant and this thread alone has it.
        #[expect(unsafe_code)]
        unsafe {
            *slot.connection.get() = Some(connection);
        }
        self.used.fetch_max(token.index + 1, Ordering::Release);
    }

    /// Records news for a connection. `Some` makes the caller its owner; `None` means that the owner will see the news,
    /// or that the connection has ended. When there are too many events for its owner, `mute` asks the poller for
    /// silence.
    pub(super) fn claim(&self, token: Token, edges: Edges, mute: impl FnOnce(BorrowedFd<'_>)) -> Option<Owned<'_, C>> {
        let slot = self.slot(token.index)?;
        match slot.word.claim(token.generation, edges) {
            Claim::Owner => return Some(Owned { slab: self, slot, index: token.index }),
            Claim::Left => {}
            Claim::Flood => drop(slot.with_pinned_socket(mute)),
        }
        None
    }

    /// Owns the connection in the slot with this index, if there is one without an owner.
    pub(super) fn claim_if_free(&self, index: u32) -> Option<Owned<'_, C>> {
        let slot = self.slot(index)?;
        slot.word.claim_if_free().then(|| Owned { slab: self, slot, index })
    }

    /// Takes the ownership back from the run queue.
    pub(super) fn dequeue(&self, queued: &Queued) -> Option<Owned<'_, C>> {
        let slot = self.slot(queued.index)?;
        slot.word.dequeue().then(|| Owned { slab: self, slot, index: queued.index })
    }

    /// The indexes of all slots in use, and vacant ones among them.
    pub(super) fn indexes(&self) -> std::ops::Range<u32> {
        0..self.used.load(Ordering::Acquire)
    }

    /// The deadline that the last owner set.
    pub(super) fn deadline(&self, index: u32) -> Option<Tick> {
        self.slot(index)?.deadline.get()
    }

    /// Whether the connection waits for its next request. A hint: claim to be sure.
    pub(super) fn is_idle(&self, index: u32) -> bool {
        self.slot(index).is_some_and(|slot| slot.word.is_idle())
    }

    /// Who has the connection with this index, and what it rests in; `None` for a vacant slot. A hint.
    pub(super) fn rest(&self, index: u32) -> Option<(Holder, u8)> {
        let slot = self.slot(index)?;
        Some((slot.word.holder()?, slot.rest.load(Ordering::Relaxed)))
    }

    /// Leaves a note of what a connection rests in that is not registered yet.
    pub(super) fn note_rest(&self, token: Token, rest: u8) {
        if let Some(slot) = self.slot(token.index) {
            slot.rest.store(rest, Ordering::Relaxed);
        }
    }

    /// Makes one system call on the socket of an owned connection; `None` if it has no owner. It waits for no more than
    /// another such call; the owner waits for it before it closes the socket. `None` also where there is no socket.
    pub(super) fn with_socket<T>(&self, index: u32, call: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        let slot = self.slot(index)?;
        slot.word.pin().then(|| slot.with_pinned_socket(call)).flatten()
    }

    /// Whether the connection has not ended.
    pub(super) fn is_current(&self, token: Token) -> bool {
        self.slot(token.index).is_some_and(|slot| slot.word.generation() == token.generation)
    }

    /// Waits until a connection has ended, or the time is over.
    pub(super) fn wait_for_change(&self, timeout: Duration, is_over: impl Fn() -> bool) {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        let mut vacancies = self.vacancies.lock();
        if !is_over() {
            self.change.wait_for(&mut vacancies, timeout);
        }
        drop(vacancies);
        self.watchers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Ends all waits for a change.
    pub(super) fn notify(&self) {
        let _vacancies = self.vacancies.lock();
        self.change.notify_all();
    }

    fn slot(&self, index: u32) -> Option<&Slot<C>> {
        self.pages.get(index as usize / PAGE)?.get()?.get(index as usize % PAGE)
    }

    fn retire(&self, slot: &Slot<C>, index: u32) {
        slot.deadline.set(None);
        // SAFETY: called by the drop of the slot's only `Owned`.
        #[expect(unsafe_code)]
        let connection = unsafe { (*slot.connection.get()).take() };
        slot.word.retire();
        let is_detached = slot.socket.load(Ordering::Relaxed) == NO_SOCKET;
        // Closes the socket, before the slot can have a new tenant. The guard also runs when a value of the
        // application that the connection holds panics in its own drop.
        let _vacate = Vacate { slab: self, index, is_detached };
        drop(connection);
    }
}

struct Vacate<'s, C: AsFd> {
    slab: &'s Slab<C>,
    index: u32,
    is_detached: bool,
}

impl<C: AsFd> Drop for Vacate<'_, C> {
    fn drop(&mut self) {
        let mut vacancies = self.slab.vacancies.lock();
        vacancies.free.push(self.index);
        // In this order: `sockets` must not be too high.
        self.slab.open.fetch_sub(1, Ordering::SeqCst);
        self.slab.detached.fetch_sub(usize::from(self.is_detached), Ordering::SeqCst);
        if self.slab.watchers.load(Ordering::SeqCst) > 0 {
            self.slab.change.notify_all();
        }
    }
}

impl<C> Slot<C> {
    fn new() -> Self {
        Self {
            word: Word::vacant(),
            deadline: Deadline::default(),
            rest: AtomicU8::new(0),
            socket: AtomicI32::new(NO_SOCKET),
            connection: UnsafeCell::new(None),
        }
    }

    /// Makes the one system call that the caller has pinned the socket for; `None` if there is no socket.
    fn with_pinned_socket<T>(&self, call: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        let descriptor = self.socket.load(Ordering::Relaxed);
        let result = (descriptor != NO_SOCKET).then(|| {
            // SAFETY: the slot is not vacant, and `retire` closes the socket only after it saw the pin gone.
            #[expect(unsafe_code)]
            call(unsafe { BorrowedFd::borrow_raw(descriptor) })
        });
        self.word.unpin();
        result
    }
}

impl<C> std::fmt::Debug for Slab<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slab").field("capacity", &self.capacity).field("open", &self.open).finish_non_exhaustive()
    }
}

/// The right to touch one connection. Dropping it ends the connection.
pub(super) struct Owned<'s, C: AsFd> {
    slab: &'s Slab<C>,
    slot: &'s Slot<C>,
    index: u32,
}

impl<C: AsFd> Owned<'_, C> {
    pub(super) fn token(&self) -> Token {
        Token { generation: self.slot.word.generation(), index: self.index }
    }

    pub(super) fn connection(&mut self) -> &mut C {
        // SAFETY: this is the only `Owned` of the slot, borrowed mutably.
        #[expect(unsafe_code)]
        let connection = unsafe { &mut *self.slot.connection.get() };
        connection.as_mut().expect("only retire empties an owned slot")
    }

    /// The deadline that the last owner set.
    pub(super) fn deadline(&self) -> Option<Tick> {
        self.slot.deadline.get()
    }

    /// Takes the news recorded since the last time.
    pub(super) fn take_edges(&mut self) -> Edges {
        self.slot.word.take_edges()
    }

    /// Ends the muting, after the news; true obliges the caller to let the poller report again.
    pub(super) fn unmute(&mut self) -> bool {
        self.slot.word.unmute()
    }

    /// Leaves a note of what the connection rests in.
    #[inline]
    pub(super) fn note_rest(&self, rest: u8) {
        self.slot.rest.store(rest, Ordering::Relaxed);
    }

    /// Lets go of the connection; gives it back when there is news, or when it is muted.
    pub(super) fn release(self, deadline: Option<Tick>, idle: bool) -> Result<(), Self> {
        self.slot.deadline.set(deadline);
        if self.slot.word.release(idle) {
            std::mem::forget(self);
            Ok(())
        } else {
            Err(self)
        }
    }

    /// Hands the connection to the run queue.
    pub(super) fn enqueue(self) -> Queued {
        let queued = Queued { index: self.index };
        self.slot.deadline.set(None);
        self.slot.word.enqueue();
        std::mem::forget(self);
        queued
    }
}

impl<C: AsFd> Drop for Owned<'_, C> {
    fn drop(&mut self) {
        self.slab.retire(self.slot, self.index);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn slab() -> (Slab<UnixStream>, UnixStream) {
        let (near, far) = UnixStream::pair().expect("a socket pair");
        let slab = Slab::new(1, 1);
        slab.insert(near, Tick::default(), |_, _| Ok(())).expect("room for one");
        (slab, far)
    }

    #[test]
    fn a_full_slab_takes_no_more() {
        let (slab, far) = slab();
        assert!(slab.insert(far, Tick::default(), |_, _| Ok(())).is_err());
    }

    #[test]
    fn a_connection_that_cannot_be_registered_leaves_its_slot() {
        let (near, _far) = UnixStream::pair().expect("a socket pair");
        let slab = Slab::new(1, 1);
        assert!(slab.insert(near, Tick::default(), |_, _| Err(io::ErrorKind::OutOfMemory.into())).is_err());
        assert_eq!(slab.open(), 0);
    }

    #[test]
    fn dropping_the_ownership_closes_the_socket_and_frees_the_slot() {
        use std::io::Read;
        let (slab, mut far) = slab();
        drop(slab.claim_if_free(0));
        assert_eq!(far.read(&mut [0]).expect("end of stream"), 0);
        assert_eq!(slab.open(), 0);
        assert!(slab.insert(far, Tick::default(), |_, _| Ok(())).is_ok());
    }

    #[test]
    fn the_run_queue_gives_an_ownership_back_once() {
        let (slab, _far) = slab();
        let queued = slab.claim_if_free(0).expect("free").enqueue();
        assert!(slab.claim_if_free(0).is_none());
        let owned = slab.dequeue(&queued);
        assert!(owned.is_some());
        assert!(slab.dequeue(&queued).is_none());
    }

    #[test]
    fn the_socket_of_an_owned_connection_can_be_used_and_that_of_a_vacant_slot_cannot() {
        let (slab, _far) = slab();
        let owned = slab.claim_if_free(0).expect("free");
        let mut calls = 0;
        slab.with_socket(0, |_| calls += 1);
        drop(owned);
        slab.with_socket(0, |_| calls += 1);
        assert_eq!(calls, 1);
    }

    #[test]
    fn connections_without_sockets_have_room_of_their_own() {
        let (slab, far) = slab();
        let (near, _far) = UnixStream::pair().expect("a socket pair");
        let Ok(owned) = slab.insert_detached(|_| near) else { panic!("room for one") };
        assert_eq!((slab.open(), slab.sockets(), slab.detached()), (2, 1, 1));
        assert!(slab.insert_detached(|_| far).is_err());
        drop(owned);
        assert_eq!((slab.sockets(), slab.detached()), (1, 0));
    }

    #[test]
    fn nobody_makes_a_call_on_a_socket_that_is_not_there() {
        let slab = Slab::new(1, 1);
        let (near, _far) = UnixStream::pair().expect("a socket pair");
        let Ok(owned) = slab.insert_detached(|_| near) else { panic!("room for one") };
        let token = owned.token();
        assert_eq!(slab.with_socket(token.index(), |_| ()), None);
        for _ in 0..20 {
            assert!(slab.claim(token, Edges::READABLE, |_| panic!("there is no socket to mute")).is_none());
        }
    }

    struct Counted(UnixStream, u64);

    impl AsFd for Counted {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    /// Adds to a number that nothing else protects, once for an event and once for each other look that the owner must
    /// take.
    fn step(mut owned: Owned<'_, Counted>) {
        loop {
            owned.take_edges();
            owned.unmute();
            owned.connection().1 += 1;
            match owned.release(None, false) {
                Ok(()) => return,
                Err(still_owned) => owned = still_owned,
            }
        }
    }

    // For Miri: it sees every unprotected access, and lets threads see old values as the memory model allows.
    #[test]
    fn threads_with_events_and_threads_that_look_take_turns_in_a_connection() {
        let (near, _far) = UnixStream::pair().expect("a socket pair");
        let slab = Slab::new(1, 1);
        slab.insert(Counted(near, 0), Tick::default(), |_, _| Ok(())).expect("room for one");
        let token = slab.claim_if_free(0).expect("free").token();
        slab.insert(Counted(UnixStream::pair().expect("a pair").0, 0), Tick::default(), |_, _| Ok(()))
            .expect("room again");
        let token = Token { generation: token.generation + 1, ..token };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..20).filter_map(|_| slab.claim(token, Edges::READABLE, |_| {})).for_each(step));
            }
            (0..20).filter_map(|_| slab.claim_if_free(0)).for_each(step);
        });
        let steps = slab.claim_if_free(0).expect("free").connection().1;
        assert!((1..=80).contains(&steps), "{steps}");
    }
}
