//! The ring, its cursors and the wake-up of a waiting connection under shuttle. `bash check models` runs it.
//!
//! A reader is a connection without its server: it reads, and sleeps when it has read all, until its waker was woken.
//! [`Fault`] names known mistakes; a reader that makes one must be found out.

use super::*;
use crate::primitive::{Unpark, effort};
use shuttle::thread;

const SCHEDULES: usize = 2_000;
const VALUES: u64 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The reader sees the end, and puts its waker down in a second step.
    LooksBeforeItListens,
    /// The cursor of the replay and that of the live part are two.
    TwoCursors,
    /// A reader that leaves takes the place of another one with it.
    LeavesWithAnothersPlace,
}

/// Reads until the last value, and checks that nothing is lost or doubled without a word.
fn reader(ring: &Arc<Ring<u64>>, fault: Fault) {
    let mut cursor = Cursor::behind(ring, 0);
    if fault == Fault::TwoCursors {
        let mut seen = 0;
        ring.after(0, |number, _| seen = number);
        thread::yield_now();
        let live = Cursor::behind(ring, ring.last());
        assert_eq!(live.last(), seen, "an event between replay and live was lost");
        return;
    }
    let mut expected = 1;
    while expected <= VALUES {
        let mut out = Vec::new();
        if fault == Fault::LooksBeforeItListens {
            if ring.last() < expected {
                thread::yield_now();
                ring.held.lock().listen(&mut cursor.place, Unpark::waker());
                thread::park();
                continue;
            }
        }
        match cursor.read(&mut out, 1, Wanted::All, Unpark::waker) {
            Read::All if out.is_empty() => thread::park(),
            Read::All | Read::More => {
                for number in out {
                    assert_eq!(u64::from(number), expected, "in order, each once");
                    expected += 1;
                }
            }
            Read::Missed(_) => expected = cursor.last() + 1,
        }
    }
}

fn play(bounds: Bounds, fault: Fault) {
    let ring = Arc::new(Ring::new(bounds, 0));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || reader(&ring, fault))
        })
        .collect();
    let visitor = {
        let ring = Arc::clone(&ring);
        thread::spawn(move || {
            let mut cursor = Cursor::behind(&ring, 0);
            cursor.read(&mut Vec::new(), 1, Wanted::All, Unpark::waker);
            if fault == Fault::LeavesWithAnothersPlace {
                cursor.place = cursor.place.map(|_| 0);
                let _ = ring.held.lock().places[0].waker.take();
            }
        })
    };
    for _ in 0..VALUES {
        ring.publish(0, Vec::new(), |number, out| out.push(u8::try_from(number).expect("a few")));
    }
    readers.into_iter().chain([visitor]).for_each(|thread| thread.join().expect("no panic in the model"));
    let held = ring.held.lock();
    assert_eq!(held.free.len(), held.places.len(), "every place was given back");
}

const LARGE: Bounds = Bounds { values: 10, bytes: 1000 };

fn check(bounds: Bounds, fault: Fault) {
    shuttle::check_random(move || play(bounds, fault), SCHEDULES * effort());
}

#[test]
fn no_reader_sleeps_through_news() {
    check(LARGE, Fault::None);
}

#[test]
fn readers_of_a_small_ring_end_too() {
    check(Bounds { values: 1, bytes: 1000 }, Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_reader_that_looks_before_it_listens() {
    check(LARGE, Fault::LooksBeforeItListens);
}

#[test]
#[should_panic(expected = "was lost")]
fn found_two_cursors_for_replay_and_live() {
    check(LARGE, Fault::TwoCursors);
}

#[test]
#[should_panic]
fn found_a_reader_that_leaves_with_anothers_place() {
    check(LARGE, Fault::LeavesWithAnothersPlace);
}
