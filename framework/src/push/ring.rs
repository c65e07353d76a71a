//! The last values of a topic, each with its encoding, cursors into them, and the wakers of those who have read all.
//!
//! ```text
//! numbers    1 2 3 │ 4 5 6 7 │ 8
//!            gone  │  kept   │ next
//!                      ▲          ▲
//!                   cursor     cursor of one who has read all: on the list of those who wait
//! ```
//!
//! * Only a reader who has read all is on the list, so a burst wakes each reader once.
//! * The waker is put down under the lock under which the end was seen: news in between cannot be missed.
//! * A reader has a place for its waker for as long as it lives; its drop gives the place back. No list is longer than
//!   there were readers at once.
//!
//! The lock is never held while a waker runs, while a value is dropped, or during I/O.

use crate::primitive::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

/// How much a ring keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) values: usize,
    pub(crate) bytes: usize,
}

pub(crate) struct Ring<T> {
    bounds: Bounds,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    kept: VecDeque<Kept<T>>,
    /// Of all encodings.
    bytes: usize,
    /// The number of the next value.
    next: u64,
    places: Vec<WakerPlace>,
    free: Vec<u32>,
    /// The places of those who wait; a place that its reader has left may be among them.
    waiting: Vec<u32>,
}

struct Kept<T> {
    value: T,
    encoded: Vec<u8>,
}

#[derive(Default)]
struct WakerPlace {
    /// There while its reader waits.
    waker: Option<Waker>,
    is_listed: bool,
}

/// A reader's place in a ring.
pub(crate) struct Cursor<T> {
    ring: Arc<Ring<T>>,
    /// The number of the next value to read.
    next: u64,
    place: Option<u32>,
    waker: Option<Waker>,
}

/// How much of the rest a reader wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// Only the latest.
    Latest,
}

/// What a reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes, and there is more.
    More,
    /// All of it: the reader is woken when there is more.
    All,
    /// It has missed so many values, and goes on with what comes.
    Missed(u64),
}

impl<T> Ring<T> {
    /// A ring whose last value had this number.
    pub(crate) fn new(bounds: Bounds, last: u64) -> Self {
        let held = Held {
            kept: VecDeque::new(),
            bytes: 0,
            next: last.saturating_add(1),
            places: Vec::new(),
            free: Vec::new(),
            waiting: Vec::new(),
        };
        Self { bounds, held: Mutex::new(held) }
    }

    /// Adds a value. `finish` writes the end of its encoding, once its number is known. Returns the number, and wakes
    /// those who wait.
    pub(crate) fn publish(&self, value: T, mut encoded: Vec<u8>, finish: impl FnOnce(u64, &mut Vec<u8>)) -> u64 {
        let mut gone = None;
        let mut more_gone = Vec::new();
        let (number, wakers) = {
            let mut held = self.held.lock();
            let number = held.next;
            finish(number, &mut encoded);
            held.next += 1;
            held.bytes += encoded.len();
            held.kept.push_back(Kept { value, encoded });
            while held.kept.len() > self.bounds.values || held.bytes > self.bounds.bytes {
                let Some(oldest) = held.kept.pop_front() else { break };
                held.bytes -= oldest.encoded.len();
                more_gone.extend(gone.replace(oldest));
            }
            (number, held.take_wakers())
        };
        wakers.into_iter().for_each(Waker::wake);
        number
    }

    /// The number of the last value; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.held.lock().next - 1
    }

    /// How many values and bytes are kept.
    pub(crate) fn size(&self) -> (usize, usize) {
        let held = self.held.lock();
        (held.kept.len(), held.bytes)
    }

    /// Calls `each` with the kept values behind this number, and returns the number of the last.
    pub(crate) fn after(&self, number: u64, mut each: impl FnMut(u64, &T)) -> u64 {
        let held = self.held.lock();
        let oldest = held.oldest();
        let skipped = usize::try_from((number + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        (oldest..).zip(&held.kept).skip(skipped).for_each(|(number, kept)| each(number, &kept.value));
        held.next - 1
    }
}

impl<T> Held<T> {
    fn oldest(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::with_capacity(self.waiting.len());
        for index in self.waiting.drain(..) {
            let place = &mut self.places[index as usize];
            place.is_listed = false;
            wakers.extend(place.waker.take());
        }
        wakers
    }

    fn listen(&mut self, place: &mut Option<u32>, waker: Waker) {
        let index = *place.get_or_insert_with(|| match self.free.pop() {
            Some(index) => index,
            None => {
                self.places.push(WakerPlace::default());
                u32::try_from(self.places.len() - 1).expect("there are fewer connections")
            }
        });
        let place = &mut self.places[index as usize];
        place.waker = Some(waker);
        if !std::mem::replace(&mut place.is_listed, true) {
            self.waiting.push(index);
        }
    }
}

impl<T> Cursor<T> {
    /// Behind the value of this number, which may be gone already.
    pub(crate) fn behind(ring: &Arc<Ring<T>>, number: u64) -> Self {
        Self { ring: Arc::clone(ring), next: number.saturating_add(1), place: None, waker: None }
    }

    /// The number of the last value that it has read.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }

    /// Appends what there is, whole values up to about `most` bytes. A reader who has read all is woken by news.
    pub(crate) fn read(
        &mut self,
        out: &mut Vec<u8>,
        most: usize,
        wanted: Wanted,
        waker: impl FnOnce() -> Waker,
    ) -> Read {
        let waker = self.waker.get_or_insert_with(waker).clone();
        let mut held = self.ring.held.lock();
        let oldest = held.oldest();
        if wanted == Wanted::Latest && !held.kept.is_empty() {
            self.next = self.next.max(held.next - 1);
        }
        if self.next < oldest {
            let missed = oldest - self.next;
            self.next = held.next;
            return Read::Missed(missed);
        }
        let full = out.len() + most;
        let skipped = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
        for kept in held.kept.iter().skip(skipped) {
            if out.len() >= full {
                return Read::More;
            }
            out.extend_from_slice(&kept.encoded);
            self.next += 1;
        }
        held.listen(&mut self.place, waker);
        Read::All
    }
}

impl<T> Drop for Cursor<T> {
    fn drop(&mut self) {
        let Some(index) = self.place else { return };
        let mut held = self.ring.held.lock();
        let waker = held.places[index as usize].waker.take();
        held.free.push(index);
        drop(held);
        drop(waker);
    }
}

impl<T> std::fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

#[cfg(all(test, shuttle))]
mod model;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    const BOUNDS: Bounds = Bounds { values: 4, bytes: 1000 };

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn publish(ring: &Ring<u64>, count: u64) {
        for _ in 0..count {
            ring.publish(0, Vec::new(), |number, out| out.extend_from_slice(number.to_string().as_bytes()));
        }
    }

    fn read(cursor: &mut Cursor<u64>, most: usize) -> (String, Read) {
        let mut out = Vec::new();
        let read = cursor.read(&mut out, most, Wanted::All, || Waker::noop().clone());
        (String::from_utf8(out).expect("digits"), read)
    }

    #[test]
    fn a_reader_gets_each_value_once_and_in_order() {
        let ring = Arc::new(Ring::new(BOUNDS, 0));
        let mut cursor = Cursor::behind(&ring, 0);
        publish(&ring, 3);
        assert_eq!(read(&mut cursor, 2), ("12".to_owned(), Read::More));
        publish(&ring, 1);
        assert_eq!(read(&mut cursor, 100), ("34".to_owned(), Read::All));
        assert_eq!(read(&mut cursor, 100), (String::new(), Read::All));
    }

    #[test]
    fn a_reader_that_fell_out_of_the_ring_is_told_how_much_it_missed() {
        let ring = Arc::new(Ring::new(BOUNDS, 0));
        let mut cursor = Cursor::behind(&ring, 0);
        publish(&ring, 10);
        assert_eq!(read(&mut cursor, 100), (String::new(), Read::Missed(6)));
        assert_eq!(cursor.last(), 10);
        publish(&ring, 1);
        assert_eq!(read(&mut cursor, 100), ("11".to_owned(), Read::All));
    }

    #[test]
    fn a_value_larger_than_the_ring_is_missed_and_not_kept() {
        let ring = Arc::new(Ring::new(BOUNDS, 0));
        let mut cursor = Cursor::behind(&ring, 0);
        ring.publish(0, vec![b'x'; 1001], |_, _| ());
        assert_eq!((ring.size(), read(&mut cursor, 100).1), ((0, 0), Read::Missed(1)));
    }

    #[test]
    fn a_burst_wakes_a_reader_once_and_one_that_left_never() {
        let ring = Arc::new(Ring::new(BOUNDS, 0));
        let woken = [Arc::new(Woken::default()), Arc::new(Woken::default())];
        let mut cursors = woken.clone().map(|woken| {
            let mut cursor = Cursor::behind(&ring, 0);
            cursor.read(&mut Vec::new(), 100, Wanted::All, || woken.into());
            cursor
        });
        publish(&ring, 3);
        read(&mut cursors[0], 100);
        drop(cursors);
        publish(&ring, 1);
        assert_eq!(woken.map(|woken| woken.0.load(Ordering::Relaxed)), [1, 1]);
    }

    #[test]
    fn readers_that_come_and_go_leave_nothing() {
        let ring = Arc::new(Ring::<u64>::new(BOUNDS, 0));
        for _ in 0..100 {
            let mut cursor = Cursor::behind(&ring, 0);
            read(&mut cursor, 100);
        }
        let held = ring.held.lock();
        assert_eq!((held.places.len(), held.waiting.len(), held.free.len()), (1, 1, 1));
    }

    #[test]
    fn whoever_wants_the_latest_skips_the_others() {
        let ring = Arc::new(Ring::new(BOUNDS, 0));
        let mut cursor = Cursor::behind(&ring, 0);
        publish(&ring, 3);
        let mut out = Vec::new();
        cursor.read(&mut out, 100, Wanted::Latest, || Waker::noop().clone());
        assert_eq!((out, cursor.last()), (b"3".to_vec(), 3));
    }
}
