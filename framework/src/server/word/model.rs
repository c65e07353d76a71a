//! The ownership word under loom: every interleaving of a few threads, and every order that the processor may make of
//! their operations. `bash check models` runs it.
//!
//! The word is the real one. A [`Slot`] here is a word with cells that loom watches. It reports a thread that is in the
//! connection together with another one, or has not seen the writes of the last owner. Each claim has a [`Fault`]
//! beside it: a known mistake that the same checks must find.

mod floods;

use super::*;
use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU32;
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A mistake, made in one operation of the model in place of the word's own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// News for an owned connection are thrown away.
    DroppedEdge,
    /// The owner lets go without looking for news.
    BlindRelease,
    /// The owner lets go without publishing its writes.
    UnorderedRelease,
    /// The sender of news does not publish its earlier writes.
    UnorderedClaim,
    /// News for an earlier tenant count for the present one.
    AnyGeneration,
    /// The socket is closed while it is pinned.
    HastyRetire,
}

struct Slot {
    word: Word,
    fault: Fault,
    /// The connection: no two threads may be in here together.
    connection: UnsafeCell<()>,
    /// The tenant of the connection.
    tenant: AtomicU32,
    /// Edges that an owner has handled.
    handled: AtomicU32,
    /// The writes of the sender of each of two kinds of news.
    letters: [UnsafeCell<bool>; 2],
}

/// The news of a thread of the model, and its letter.
const NEWS: [Edges; 2] = [Edges::READABLE, Edges::WOKEN];

impl Slot {
    fn free(fault: Fault) -> Arc<Self> {
        let slot = Self {
            word: Word::vacant(),
            fault,
            connection: UnsafeCell::new(()),
            tenant: AtomicU32::new(0),
            handled: AtomicU32::new(0),
            letters: [UnsafeCell::new(false), UnsafeCell::new(false)],
        };
        slot.word.publish();
        slot.word.settle(0);
        Arc::new(slot)
    }

    fn claim(&self, generation: u32, edges: Edges) -> bool {
        let Word(word) = &self.word;
        match self.fault {
            Fault::AnyGeneration => self.word.claim(self.word.generation(), edges) == Claim::Owner,
            Fault::DroppedEdge => {
                let claimed = self.word.claim_if_free();
                if claimed {
                    word.fetch_or(edges.0.into(), Ordering::Relaxed);
                }
                claimed
            }
            Fault::UnorderedClaim => word.fetch_or(RUN | u64::from(edges.0), Ordering::Acquire) & RUN == 0,
            _ => self.word.claim(generation, edges) == Claim::Owner,
        }
    }

    fn release(&self) -> bool {
        let Word(word) = &self.word;
        match self.fault {
            Fault::BlindRelease => {
                word.fetch_and(!RUN, Ordering::Release);
                true
            }
            Fault::UnorderedRelease => {
                let seen = word.load(Ordering::Relaxed);
                seen & EDGES == 0
                    && word.compare_exchange(seen, seen & !RUN, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            }
            _ => self.word.release(false),
        }
    }

    fn retire(&self) {
        match self.fault {
            Fault::HastyRetire => self.word.0.store(1 << 32 | RUN | VACANT, Ordering::Release),
            _ => self.word.retire(),
        }
    }

    /// The owner does something with the connection, and sees its tenant.
    fn touch(&self) -> u32 {
        self.connection.with_mut(|_| self.tenant.load(Ordering::Relaxed))
    }

    /// The worker loop's part.
    fn drive(&self) {
        loop {
            let edges = self.word.take_edges();
            self.touch();
            for (letter, news) in self.letters.iter().zip(NEWS) {
                if edges.contains(news) {
                    letter.with(|_| ());
                }
            }
            self.handled.fetch_or(edges.0, Ordering::Relaxed);
            if self.release() {
                return;
            }
        }
    }

    /// The part of a thread that has news for the first tenant.
    fn event(&self, number: usize) {
        self.letters[number].with_mut(|_| ());
        if self.claim(0, NEWS[number]) {
            self.drive();
        }
    }

    /// After all other threads have ended: the connection has no owner, and all news were taken.
    fn assert_handled(&self, edges: Edges) {
        assert!(self.word.claim_if_free(), "somebody forgot to let go, or news were left");
        assert_eq!(self.word.take_edges(), Edges::NONE, "news were recorded in a free word");
        self.touch();
        assert_eq!(self.handled.load(Ordering::Relaxed), edges.0, "news were lost");
    }
}

/// With more preemptions than this, three threads take hours.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn spawn(slot: &Arc<Slot>, life: impl FnOnce(&Slot) + 'static) -> thread::JoinHandle<()> {
    let slot = slot.clone();
    thread::spawn(move || life(&slot))
}

/// Two senders of news and the ticker, which claims only free connections.
fn two_events_and_the_ticker(fault: Fault) {
    check(move || {
        let slot = Slot::free(fault);
        let events = [0, 1].map(|number| spawn(&slot, move |slot| slot.event(number)));
        if slot.word.claim_if_free() {
            slot.drive();
        }
        events.into_iter().for_each(|event| event.join().expect("no panic in the model"));
        slot.assert_handled(Edges::READABLE | Edges::WOKEN);
    });
}

#[test]
fn no_edge_is_lost_and_there_is_one_owner() {
    two_events_and_the_ticker(Fault::None);
}

#[test]
#[should_panic(expected = "news were lost")]
fn found_an_edge_that_is_dropped_while_owned() {
    two_events_and_the_ticker(Fault::DroppedEdge);
}

#[test]
#[should_panic(expected = "news were")]
fn found_a_release_that_does_not_look_for_edges() {
    two_events_and_the_ticker(Fault::BlindRelease);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn found_a_release_without_an_order() {
    two_events_and_the_ticker(Fault::UnorderedRelease);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn found_a_claim_without_an_order() {
    two_events_and_the_ticker(Fault::UnorderedClaim);
}

/// A deadline passes while news come: the ticker retires the connection, and the slot has a new tenant at once.
fn expiry_meets_events_and_the_slot_is_used_again(fault: Fault) {
    check(move || {
        let slot = Slot::free(fault);
        let late = spawn(&slot, |slot| {
            if slot.claim(0, Edges::READABLE) {
                loop {
                    slot.word.take_edges();
                    assert_eq!(slot.touch(), 0, "news for the first tenant opened the door of the second");
                    if slot.release() {
                        return;
                    }
                }
            }
        });
        if slot.word.claim_if_free() {
            slot.touch();
            slot.retire();
            // The free list gives the slot to the acceptor, whose thread this is from here on.
            slot.connection.with_mut(|_| slot.tenant.store(1, Ordering::Relaxed));
            slot.word.publish();
            let own = spawn(&slot, |slot| {
                // The poller has news for the second tenant before it is settled.
                if slot.claim(1, Edges::WRITABLE) {
                    slot.drive();
                }
            });
            slot.word.settle(1);
            own.join().expect("no panic in the model");
            late.join().expect("no panic in the model");
            slot.assert_handled(Edges::WRITABLE);
        } else {
            late.join().expect("no panic in the model");
        }
    });
}

#[test]
fn news_for_an_earlier_tenant_are_void() {
    expiry_meets_events_and_the_slot_is_used_again(Fault::None);
}

#[test]
#[should_panic(expected = "opened the door of the second")]
fn found_a_generation_that_is_not_compared() {
    expiry_meets_events_and_the_slot_is_used_again(Fault::AnyGeneration);
}

/// The kernel's side of a socket that is full: room, and whether a thread asked to hear of it.
#[derive(Default)]
struct Kernel {
    has_room: bool,
    is_watched: bool,
}

/// The owner finds no room, asks the poller to watch for it and lets go, while the client makes room.
fn a_full_socket_gets_room(fault: Fault) {
    check(move || {
        let slot = Slot::free(fault);
        let kernel = Arc::new(Mutex::new(Kernel::default()));
        let sent = Arc::new(AtomicU32::new(0));
        // A blocked write goes on; the word's owner calls it.
        let write = {
            let (kernel, sent) = (kernel.clone(), sent.clone());
            move |slot: &Slot| loop {
                slot.word.take_edges();
                slot.touch();
                let has_room = kernel.lock().expect("no panic in the model").has_room;
                if has_room {
                    sent.store(1, Ordering::Relaxed);
                } else {
                    let mut kernel = kernel.lock().expect("no panic in the model");
                    kernel.is_watched = true;
                    // EPOLL_CTL_MOD reports room that is there already.
                    if kernel.has_room {
                        drop(kernel);
                        assert!(!slot.claim(0, Edges::WRITABLE) || slot.fault != Fault::None, "the owner owns");
                    }
                }
                if slot.release() {
                    return;
                }
            }
        };
        assert!(slot.claim(0, Edges::READABLE));
        let client = {
            let write = write.clone();
            spawn(&slot, move |slot| {
                let mut kernel = kernel.lock().expect("no panic in the model");
                kernel.has_room = true;
                let is_watched = kernel.is_watched;
                drop(kernel);
                if is_watched && slot.claim(0, Edges::WRITABLE) {
                    write(slot);
                }
            })
        };
        write(&slot);
        client.join().expect("no panic in the model");
        assert_eq!(sent.load(Ordering::Relaxed), 1, "the response was left in its buffer");
    });
}

#[test]
fn room_to_write_is_seen_after_a_full_socket() {
    a_full_socket_gets_room(Fault::None);
}

#[test]
#[should_panic(expected = "left in its buffer")]
fn found_an_edge_for_writing_that_is_dropped_while_owned() {
    a_full_socket_gets_room(Fault::DroppedEdge);
}

#[test]
#[should_panic(expected = "left in its buffer")]
fn found_a_release_that_does_not_look_for_room_to_write() {
    a_full_socket_gets_room(Fault::BlindRelease);
}

#[test]
fn the_run_queue_passes_the_connection_on() {
    check(|| {
        let slot = Slot::free(Fault::None);
        assert!(slot.claim(0, Edges::READABLE));
        slot.word.enqueue();
        let workers = [(); 2].map(|()| {
            spawn(&slot, |slot| {
                // Two threads look at the same entry, as after a slow pop: one of them owns.
                if slot.word.dequeue() {
                    slot.drive();
                }
            })
        });
        slot.event(1);
        workers.into_iter().for_each(|worker| worker.join().expect("no panic in the model"));
        slot.assert_handled(Edges::READABLE | Edges::WOKEN);
    });
}

/// A thread that does not own the connection makes one call on its socket, while the owner closes it.
fn a_pin_meets_the_end(fault: Fault) {
    check(move || {
        let slot = Slot::free(fault);
        assert!(slot.claim(0, Edges::NONE));
        let user = spawn(&slot, |slot| {
            if slot.word.pin() {
                slot.touch();
                slot.word.unpin();
            }
        });
        slot.retire();
        slot.touch();
        user.join().expect("no panic in the model");
    });
}

#[test]
fn a_pinned_socket_is_closed_after_it_was_used() {
    a_pin_meets_the_end(Fault::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn found_a_socket_that_is_closed_while_it_is_pinned() {
    a_pin_meets_the_end(Fault::HastyRetire);
}
