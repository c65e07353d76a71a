//! The ownership word: which thread may touch a connection, and the news of it in between, in one atomic word.
//!
//! The thread that sets [`RUN`](Word) owns the connection in the slot. Every other thread that has news for it (an
//! event of the poller, a waker) leaves them as an *edge* in the same word. The owner cannot let go while an edge is
//! recorded: the release is a compare-and-swap from "no edges". So there is no moment in which news can be lost, and no
//! second location whose order would matter. The generation voids news for an earlier tenant of the slot.
//!
//! Each event for an owned connection wakes a thread that can only record it. So the thread that brings one event too
//! many in one ownership *mutes* the connection: it asks the poller for silence, with the socket pinned during the
//! call. The owner cannot let go of a muted connection either: it first asks the poller to report again, and the poller
//! reports the events of that moment.
//!
//! ```text
//!              claim (free)                     take_edges, step, ...
//!   free ───────────────────────► owned ◄──────────────────────────────┐
//!    ▲                              │ release: edges recorded? ── yes ──┘
//!    └──────────────── no ──────────┤
//!                                   ├─ muted? unmute, and look again
//!                                   ├─ enqueue ─► owned by the run queue ─ dequeue ─► owned
//!   vacant ◄──────── retire ────────┘      (RUN stays set; whoever clears QUEUED owns)
//!      └─ publish ─► fresh ─ settle ─► free     (fresh: only news of the poller may claim)
//! ```
//!
//! This file knows no slot and no socket; `slab.rs` does. The model in `word/model.rs` tries all interleavings of a few
//! threads, and all orders that the processor may make of them.

use crate::primitive::{AtomicU64, Ordering, give_way};

/// News for a connection, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edges(u32);

impl Edges {
    pub(super) const NONE: Self = Self(0);
    /// There may be something to read.
    pub(super) const READABLE: Self = Self(1 << 1);
    /// There may be room to write.
    pub(super) const WRITABLE: Self = Self(1 << 2);
    /// The peer will send no more.
    pub(super) const HALF_CLOSED: Self = Self(1 << 3);
    /// The connection is dead in both directions.
    pub(super) const GONE: Self = Self(1 << 4);
    /// The condition of a parked request may have come true.
    pub(super) const WOKEN: Self = Self(1 << 5);
    /// The deadline of the slot has passed. Never recorded: only who claimed a free slot passes it on.
    pub(super) const EXPIRED: Self = Self(1 << 6);

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

impl std::ops::BitOr for Edges {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Edges {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// See the module's documentation.
///
/// ```text
/// { generation: 32 | unused: 16 | MUTED | events: 3 | VACANT PINNED IDLE FRESH QUEUED | WOKEN GONE HALF_CLOSED
/// WRITABLE READABLE | RUN }
/// ```
#[derive(Debug)]
pub(super) struct Word(AtomicU64);

/// The connection has an owner: a thread, the run queue, or (with VACANT) the free list.
const RUN: u64 = 1;
const EDGES: u64 = 0b11_1110;
/// The owner is the run queue.
const QUEUED: u64 = 1 << 7;
/// The socket is being registered with the poller: free for the poller's news, not for the ticker.
const FRESH: u64 = 1 << 8;
/// Before its first request or between two: may be closed to make room.
const IDLE: u64 = 1 << 9;
/// A thread that is not the owner uses the socket for one system call: it must not be closed.
const PINNED: u64 = 1 << 10;
/// No connection here.
const VACANT: u64 = 1 << 11;
/// Events that came in this ownership, up to seven.
const EVENTS: u64 = 0b111 << 12;
const ONE_EVENT: u64 = 1 << 12;
/// The poller was asked for silence, or is about to be.
const MUTED: u64 = 1 << 15;
/// The edges that events bring; those of wakers are not counted.
const FROM_POLLER: u32 = Edges::READABLE.0 | Edges::WRITABLE.0 | Edges::HALF_CLOSED.0 | Edges::GONE.0;

/// Who has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// It rests.
    Nobody,
    /// A thread.
    Thread,
    /// The run queue.
    Queue,
}

/// The result of bringing news; see [`Word::claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The connection had no owner: now the caller owns it.
    Owner,
    /// The owner will see the news, or the connection has ended.
    Left,
    /// The owner will see the news, and there are too many of them: the caller has the socket pinned, asks the poller
    /// for silence, and unpins it.
    Flood,
}

impl Word {
    pub(super) fn vacant() -> Self {
        Self(AtomicU64::new(RUN | VACANT))
    }

    pub(super) fn generation(&self) -> u32 {
        generation(self.0.load(Ordering::Relaxed))
    }

    /// Whether the connection waits for a request. A hint: claim to be sure.
    pub(super) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (IDLE | RUN) == IDLE
    }

    /// Who has the connection, if there is one. A hint: it may have changed since.
    pub(super) fn holder(&self) -> Option<Holder> {
        let seen = self.0.load(Ordering::Relaxed);
        match () {
            () if seen & VACANT != 0 => None,
            () if seen & QUEUED != 0 => Some(Holder::Queue),
            () if seen & RUN != 0 => Some(Holder::Thread),
            () => Some(Holder::Nobody),
        }
    }

    /// Records `edges`, and makes the caller the owner if there is none.
    pub(super) fn claim(&self, for_generation: u32, edges: Edges) -> Claim {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if generation(seen) != for_generation {
                return Claim::Left;
            }
            let owned = seen & RUN != 0;
            let next = if owned { counted(seen, edges) } else { (seen | RUN) & !(FRESH | IDLE) } | u64::from(edges.0);
            // Acquire: a new owner sees everything that the last one did. Release: the owner that takes the edge sees
            // the earlier actions of its sender, such as giving a lock to the woken request.
            match self.0.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if !owned => return Claim::Owner,
                Ok(_) if next & !seen & MUTED != 0 => return Claim::Flood,
                Ok(_) => return Claim::Left,
                Err(now) => seen = now,
            }
        }
    }

    /// Makes the caller the owner if there is none. For the ticker, the acceptor and stop, which come back anyway.
    pub(super) fn claim_if_free(&self) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        seen & (RUN | FRESH) == 0
            && self.0.compare_exchange(seen, (seen | RUN) & !IDLE, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes the recorded edges. Only the owner may.
    pub(super) fn take_edges(&self) -> Edges {
        let seen = self.0.fetch_and(!EDGES, Ordering::Acquire);
        Edges((seen & EDGES) as u32)
    }

    /// Ends the ownership; false when edges were recorded or the connection is muted: the caller is still the owner and
    /// must look again.
    pub(super) fn release(&self, idle: bool) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if seen & (EDGES | MUTED) != 0 {
                return false;
            }
            let next = seen & !(RUN | EVENTS) | if idle { IDLE } else { 0 };
            match self.0.compare_exchange_weak(seen, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// Ends the muting: true obliges the owner to let the poller report again. Not while there is news, which comes
    /// first.
    pub(super) fn unmute(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & MUTED != 0 && seen & EDGES == 0 {
            if seen & PINNED != 0 {
                // The call for silence is not over; it must not come after the call to report again.
                give_way();
                seen = self.0.load(Ordering::Relaxed);
                continue;
            }
            // Acquire pairs with unpin.
            match self.0.compare_exchange_weak(seen, seen & !(MUTED | EVENTS), Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Moves the ownership into the run queue.
    pub(super) fn enqueue(&self) {
        self.0.fetch_or(QUEUED, Ordering::Release);
    }

    /// Moves the ownership from the run queue to the caller; false when the run queue did not have it.
    pub(super) fn dequeue(&self) -> bool {
        self.0.fetch_and(!QUEUED, Ordering::Acquire) & QUEUED != 0
    }

    /// Lets the poller's news claim the connection that was just put in. Called by the thread that took the slot from
    /// the free list.
    pub(super) fn publish(&self) {
        let generation = self.0.load(Ordering::Relaxed) >> 32;
        self.0.store(generation << 32 | FRESH | IDLE, Ordering::Release);
    }

    /// Puts a connection without a socket in, with the caller as its owner. Called by the thread that took the slot
    /// from the free list.
    #[cfg(any(feature = "http2", test))]
    pub(super) fn occupy(&self) {
        let generation = self.0.load(Ordering::Relaxed) >> 32;
        self.0.store(generation << 32 | RUN, Ordering::Release);
    }

    /// The socket is registered: from now on the ticker may claim the connection too.
    pub(super) fn settle(&self, for_generation: u32) {
        let mut seen = self.0.load(Ordering::Relaxed);
        while generation(seen) == for_generation && seen & FRESH != 0 {
            match self.0.compare_exchange_weak(seen, seen & !FRESH, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Voids all tokens of this connection and makes the slot vacant. Only the owner may; afterwards the socket can be
    /// closed, since no thread has it pinned.
    pub(super) fn retire(&self) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if seen & PINNED != 0 {
                give_way();
                seen = self.0.load(Ordering::Relaxed);
                continue;
            }
            let next = u64::from(generation(seen).wrapping_add(1)) << 32 | RUN | VACANT;
            // Acquire pairs with unpin: the system call on the socket is over.
            match self.0.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Keeps the socket of a connection with another owner from being closed, until [`unpin`](Self::unpin). Waits for
    /// other threads that have it pinned: each makes one system call.
    pub(super) fn pin(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & VACANT == 0 && seen & RUN != 0 {
            if seen & PINNED != 0 {
                give_way();
                seen = self.0.load(Ordering::Relaxed);
                continue;
            }
            match self.0.compare_exchange_weak(seen, seen | PINNED, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    pub(super) fn unpin(&self) {
        self.0.fetch_and(!PINNED, Ordering::Release);
    }
}

fn generation(word: u64) -> u32 {
    (word >> 32) as u32
}

/// An owned word after one more event. The eighth mutes, and pins the socket for it, unless another thread has it
/// pinned.
fn counted(word: u64, edges: Edges) -> u64 {
    if edges.0 & FROM_POLLER == 0 {
        word
    } else if word & EVENTS != EVENTS {
        word + ONE_EVENT
    } else if word & (MUTED | PINNED) == 0 {
        word | MUTED | PINNED
    } else {
        word
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn free() -> Word {
        let word = Word::vacant();
        word.publish();
        word.settle(0);
        word
    }

    #[test]
    fn only_the_first_claim_owns() {
        let word = free();
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Owner);
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Left);
        assert!(!word.claim_if_free());
    }

    #[test]
    fn an_edge_for_an_owned_connection_stops_its_release() {
        let word = free();
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Owner);
        assert_eq!(word.take_edges(), Edges::READABLE);
        assert_eq!(word.claim(0, Edges::WOKEN), Claim::Left);
        assert!(!word.release(false));
        assert_eq!(word.take_edges(), Edges::WOKEN);
        assert!(word.release(false));
        assert!(word.claim_if_free());
    }

    #[test]
    fn a_token_of_an_earlier_tenant_is_void() {
        let word = free();
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Owner);
        word.retire();
        word.publish();
        assert_eq!(word.claim(0, Edges::GONE), Claim::Left);
        assert_eq!(word.claim(1, Edges::READABLE), Claim::Owner);
        assert_eq!(word.take_edges(), Edges::READABLE);
    }

    #[test]
    fn a_vacant_slot_cannot_be_claimed_or_pinned() {
        let word = Word::vacant();
        assert!(!word.claim_if_free());
        assert!(!word.pin());
    }

    #[test]
    fn an_occupied_slot_has_an_owner_from_the_start() {
        let word = Word::vacant();
        word.occupy();
        assert_eq!(word.claim(0, Edges::WOKEN), Claim::Left);
        assert!(!word.claim_if_free() && !word.release(false));
        assert_eq!(word.take_edges(), Edges::WOKEN);
        assert!(word.release(false));
    }

    #[test]
    fn a_fresh_connection_is_open_to_the_poller_alone() {
        let word = Word::vacant();
        word.publish();
        assert!(!word.claim_if_free());
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Owner);
        word.settle(0);
        assert!(!word.claim_if_free(), "settling late must not take the ownership away");
    }

    #[test]
    fn the_run_queue_owns_each_entry_once() {
        let word = free();
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Owner);
        word.enqueue();
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Left);
        assert!(word.dequeue());
        assert!(!word.dequeue());
    }

    fn flooded() -> Word {
        let word = free();
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Owner);
        for _ in 0..7 {
            assert_eq!(word.claim(0, Edges::READABLE), Claim::Left);
        }
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Flood);
        word
    }

    #[test]
    fn the_eighth_event_in_one_ownership_mutes_once() {
        let word = flooded();
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Left);
    }

    #[test]
    fn events_of_an_earlier_ownership_and_wake_ups_do_not_count() {
        let word = free();
        for _ in 0..20 {
            assert_eq!(word.claim(0, Edges::READABLE), Claim::Owner);
            assert_eq!(word.claim(0, Edges::WOKEN), Claim::Left);
            assert_eq!(word.claim(0, Edges::READABLE), Claim::Left);
            word.take_edges();
            assert!(word.release(false));
        }
    }

    #[test]
    fn a_muted_connection_is_not_let_go_before_the_poller_reports_again() {
        let word = flooded();
        word.unpin();
        assert!(!word.unmute(), "the news come first");
        word.take_edges();
        assert!(!word.release(false));
        assert!(word.unmute());
        assert!(!word.unmute());
        assert!(word.release(false));
    }

    #[test]
    fn a_socket_that_is_pinned_is_muted_by_a_later_event() {
        let word = free();
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Owner);
        assert!(word.pin());
        for _ in 0..20 {
            assert_eq!(word.claim(0, Edges::READABLE), Claim::Left);
        }
        word.unpin();
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Flood);
    }

    #[test]
    fn idle_is_visible_only_without_an_owner() {
        let word = free();
        assert!(word.is_idle());
        assert_eq!(word.claim(0, Edges::NONE), Claim::Owner);
        assert!(word.release(true));
        assert!(word.is_idle());
        assert_eq!(word.claim(0, Edges::READABLE), Claim::Owner);
        assert!(!word.is_idle());
    }
}

#[cfg(all(test, loom))]
mod model;
