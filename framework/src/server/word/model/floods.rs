//! A flood of events: which thread silences a connection, which one lets it be heard again, and the kernel between
//! them.
//!
//! The kernel is a small one: it reports a socket once for each change that a thread has asked to hear of, drops a
//! report that is not true any more when it is taken, and looks at once when it is asked for something new.

use super::*;
use crate::server::poll::Interest;

/// A mistake in the treatment of a flood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// The owner does not ask for reports again.
    SilentForEver,
    /// The owner lets go of a muted connection.
    MutedRelease,
    /// The thread that silences the socket does not keep it pinned for the call.
    NoPin,
    /// The owner asks for reports again as if it had never waited for room.
    RoomForgotten,
}

struct Kernel {
    /// The tenant of the descriptor.
    tenant: u32,
    unread: u32,
    has_room: bool,
    interest: Interest,
    is_ready: bool,
}

impl Kernel {
    fn look(&mut self) {
        self.is_ready |= self.is_true();
    }

    fn is_true(&self) -> bool {
        self.interest.input && self.unread > 0 || self.interest.room && self.has_room
    }
}

/// The owner's view of a connection.
struct Known {
    unsent: bool,
    interest: Interest,
}

struct Scene {
    slot: Slot,
    kernel: Mutex<Kernel>,
    /// Behind the owner's door; the lock is for the model's sake.
    known: Mutex<Known>,
    mistake: Mistake,
}

impl Scene {
    /// A connection whose owner has been away for so long that the next event is one too many.
    fn new(unsent: bool, mistake: Mistake) -> Arc<Self> {
        let slot = Slot {
            word: Word::vacant(),
            fault: Fault::None,
            connection: UnsafeCell::new(()),
            tenant: AtomicU32::new(0),
            handled: AtomicU32::new(0),
            letters: [UnsafeCell::new(false), UnsafeCell::new(false)],
        };
        slot.word.publish();
        slot.word.settle(0);
        assert_eq!(slot.word.claim(0, Edges::READABLE), Claim::Owner);
        for _ in 0..7 {
            assert_eq!(slot.word.claim(0, Edges::READABLE), Claim::Left);
        }
        slot.word.take_edges();
        let interest = Interest::INPUT;
        let kernel = Kernel { tenant: 0, unread: 0, has_room: false, interest, is_ready: false };
        let (kernel, known) = (Mutex::new(kernel), Mutex::new(Known { unsent, interest }));
        Arc::new(Self { slot, kernel, known, mistake })
    }

    fn kernel<T>(&self, call: impl FnOnce(&mut Kernel) -> T) -> T {
        call(&mut self.kernel.lock().expect("no panic in the model"))
    }

    fn watch(&self, interest: Interest) {
        self.kernel(|kernel| {
            kernel.interest = interest;
            kernel.look();
        });
    }

    /// Something happens at the other end.
    fn change(&self, change: impl FnOnce(&mut Kernel)) {
        self.kernel(|kernel| {
            change(kernel);
            kernel.look();
        });
    }

    /// A worker takes an event from the poller, if there is one.
    fn harvest(&self) -> bool {
        let is_ready = self.kernel(|kernel| std::mem::take(&mut kernel.is_ready) && kernel.is_true());
        if is_ready {
            match self.slot.word.claim(0, Edges::READABLE | Edges::WRITABLE) {
                Claim::Owner => self.drive(),
                Claim::Left => {}
                Claim::Flood => self.mute(),
            }
        }
        is_ready
    }

    fn mute(&self) {
        if self.mistake == Mistake::NoPin {
            self.slot.word.unpin();
        }
        self.kernel(|kernel| {
            assert_eq!(kernel.tenant, 0, "the socket of a stranger was silenced");
            kernel.interest = Interest::NOTHING;
        });
        if self.mistake != Mistake::NoPin {
            self.slot.word.unpin();
        }
    }

    /// Reads all input, writes all output, asks to hear of room if there is none.
    fn drive(&self) {
        loop {
            self.slot.word.take_edges();
            self.slot.touch();
            let mut known = self.known.lock().expect("no panic in the model");
            let has_room = self.kernel(|kernel| {
                kernel.unread = 0;
                kernel.has_room
            });
            known.unsent &= !has_room;
            if known.unsent && !known.interest.room {
                known.interest.room = true;
                self.watch(known.interest);
            }
            let interest = known.interest;
            drop(known);
            if self.release() {
                return;
            }
            if self.slot.word.unmute() {
                match self.mistake {
                    Mistake::SilentForEver => {}
                    Mistake::RoomForgotten => self.watch(Interest::INPUT),
                    _ => self.watch(interest),
                }
            }
        }
    }

    fn release(&self) -> bool {
        let Word(word) = &self.slot.word;
        if self.mistake == Mistake::MutedRelease && word.load(Ordering::Relaxed) & EDGES == 0 {
            word.fetch_and(!(RUN | MUTED | EVENTS), Ordering::Release);
            return true;
        }
        self.slot.word.release(false)
    }
}

fn run(scene: &Arc<Scene>, life: impl FnOnce(&Scene) + 'static) -> thread::JoinHandle<()> {
    let scene = scene.clone();
    thread::spawn(move || life(&scene))
}

/// The client sends on and on, then makes room; workers take the events; the owner comes back from its handler.
fn a_flood_meets_the_owner(unsent: bool, mistake: Mistake) {
    check(move || {
        let scene = Scene::new(unsent, mistake);
        scene.change(|kernel| kernel.unread += 1);
        let worker = run(&scene, |scene| {
            scene.harvest();
        });
        let client = run(&scene, move |scene| {
            scene.change(|kernel| {
                kernel.has_room = unsent;
                kernel.unread += u32::from(!unsent);
            });
        });
        scene.drive();
        for thread in [worker, client] {
            thread.join().expect("no panic in the model");
        }
        // Other workers come by.
        while scene.harvest() {}
        assert_eq!(scene.kernel(|kernel| kernel.unread), 0, "input was left in the socket");
        assert!(!scene.known.lock().expect("no panic in the model").unsent, "output was left in the buffer");
    });
}

#[test]
fn after_a_flood_everything_is_heard() {
    a_flood_meets_the_owner(false, Mistake::None);
}

#[test]
fn after_a_flood_room_to_write_is_heard() {
    a_flood_meets_the_owner(true, Mistake::None);
}

#[test]
#[should_panic(expected = "input was left")]
fn found_an_owner_that_does_not_ask_for_reports_again() {
    a_flood_meets_the_owner(false, Mistake::SilentForEver);
}

#[test]
#[should_panic(expected = "input was left")]
fn found_a_release_of_a_muted_connection() {
    a_flood_meets_the_owner(false, Mistake::MutedRelease);
}

#[test]
#[should_panic(expected = "input was left")]
fn found_a_call_for_silence_after_the_release() {
    a_flood_meets_the_owner(false, Mistake::NoPin);
}

#[test]
#[should_panic(expected = "output was left")]
fn found_an_owner_that_forgets_that_it_waits_for_room() {
    a_flood_meets_the_owner(true, Mistake::RoomForgotten);
}

/// The connection ends while a worker silences it, and another connection gets its descriptor.
fn a_flood_meets_the_end(mistake: Mistake) {
    check(move || {
        let scene = Scene::new(false, mistake);
        scene.change(|kernel| kernel.unread += 1);
        let worker = run(&scene, |scene| {
            scene.harvest();
        });
        scene.slot.retire();
        scene.kernel(|kernel| (kernel.tenant, kernel.interest, kernel.is_ready) = (1, Interest::INPUT, false));
        scene.slot.word.publish();
        worker.join().expect("no panic in the model");
        assert_eq!(scene.kernel(|kernel| kernel.interest), Interest::INPUT);
        assert!(scene.slot.word.claim_if_free() || scene.slot.word.claim(1, Edges::READABLE) == Claim::Owner);
    });
}

#[test]
fn a_flood_never_silences_the_next_tenant() {
    a_flood_meets_the_end(Mistake::None);
}

#[test]
#[should_panic(expected = "the socket of a stranger")]
fn found_a_call_for_silence_on_a_descriptor_that_is_used_again() {
    a_flood_meets_the_end(Mistake::NoPin);
}

/// Two ways to use a socket without owning it, a flood and the stop, while its owner lets go: no thread waits without
/// end, and all news is heard.
#[test]
fn a_flood_and_the_stop_pass_each_other() {
    check(|| {
        let scene = Scene::new(false, Mistake::None);
        scene.change(|kernel| kernel.unread += 1);
        let stop = run(&scene, |scene| {
            if scene.slot.word.pin() {
                scene.kernel(|kernel| assert_eq!(kernel.tenant, 0, "the socket of a stranger was cut off"));
                scene.slot.word.unpin();
            }
        });
        scene.harvest();
        scene.drive();
        while scene.harvest() {}
        stop.join().expect("no panic in the model");
        assert_eq!(scene.kernel(|kernel| kernel.unread), 0, "input was left in the socket");
        assert_eq!(scene.kernel(|kernel| kernel.interest), Interest::INPUT);
    });
}
