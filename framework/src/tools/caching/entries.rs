//! The entries of a cache in the order of their last use, with the bytes that they take.
//!
//! A slab, and a list through it from the entry used longest ago to the one used last, so that the next one to go is
//! found at once. Invariant: the list goes through exactly the places that are taken, and `bytes` is the sum of their
//! sizes. A removed entry is handed out, so that its memory is freed where no lock is held.

use super::stored::Stored;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// The state of a variant of an address.
#[derive(Debug)]
pub(super) enum Content {
    /// A response for every request that asks for it.
    Response(Arc<Stored>),
    /// The last response was for one request only: no request waits for the next.
    Unshared,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// The address that it belongs to.
    pub(super) key: Arc<str>,
    pub(super) content: Content,
    /// When it is of no use any more.
    pub(super) ends: Instant,
    size: usize,
}

#[derive(Debug)]
pub(super) struct Entries {
    slab: Vec<Place>,
    free: Vec<usize>,
    oldest: usize,
    newest: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Place {
    entry: Option<Entry>,
    older: usize,
    newer: usize,
}

/// The end of the list.
const NONE: usize = usize::MAX;

impl Entries {
    pub(super) fn new() -> Self {
        Self { slab: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE, bytes: 0 }
    }

    /// The cost of an entry beside its content: its place, its address in the index, its part in the allocator's
    /// bookkeeping.
    const OVERHEAD: usize = 256;

    /// Adds an entry as the one used last. Returns its place.
    pub(super) fn insert(&mut self, key: Arc<str>, content: Content, ends: Instant) -> usize {
        let size = Self::size(&key, &content);
        let place = Place { entry: Some(Entry { key, content, ends, size }), older: NONE, newer: NONE };
        let index = match self.free.pop() {
            Some(index) => {
                self.slab[index] = place;
                index
            }
            None => {
                self.slab.push(place);
                self.slab.len() - 1
            }
        };
        self.bytes += size;
        self.link_newest(index);
        index
    }

    /// The bytes that an entry takes.
    pub(super) fn size(key: &str, content: &Content) -> usize {
        let content = match content {
            Content::Response(stored) => stored.size(),
            Content::Unshared => 0,
        };
        Self::OVERHEAD + key.len() + content
    }

    pub(super) fn get(&self, index: usize) -> Option<&Entry> {
        self.slab.get(index)?.entry.as_ref()
    }

    /// Removes the entry in a place, if there is one.
    pub(super) fn remove(&mut self, index: usize) -> Option<Entry> {
        let entry = self.slab.get_mut(index)?.entry.take()?;
        self.unlink(index);
        self.free.push(index);
        self.bytes -= entry.size;
        Some(entry)
    }

    /// The entry is used now.
    pub(super) fn touch(&mut self, index: usize) {
        if self.newest != index {
            self.unlink(index);
            self.link_newest(index);
        }
    }

    /// The place of the entry used longest ago.
    pub(super) fn oldest(&self) -> Option<usize> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len() - self.free.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many places there are, taken or not.
    pub(super) fn places(&self) -> usize {
        self.slab.len()
    }

    /// Those of these places whose entries have ended.
    pub(super) fn ended(&self, places: Range<usize>, now: Instant) -> Vec<usize> {
        let has_ended = |index: &usize| self.get(*index).is_some_and(|entry| entry.ends <= now);
        places.filter(has_ended).collect()
    }

    /// After many entries have gone, the memory of their places goes, too.
    pub(super) fn give_memory_back(&mut self) {
        if self.len() == 0 {
            *self = Self::new();
        }
    }

    fn link_newest(&mut self, index: usize) {
        let before = self.newest;
        self.slab[index].older = before;
        self.slab[index].newer = NONE;
        match self.slab.get_mut(before) {
            Some(place) => place.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
    }

    fn unlink(&mut self, index: usize) {
        let (older, newer) = (self.slab[index].older, self.slab[index].newer);
        match self.slab.get_mut(older) {
            Some(place) => place.newer = newer,
            None => self.oldest = newer,
        }
        match self.slab.get_mut(newer) {
            Some(place) => place.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(entries: &mut Entries, key: &str) -> usize {
        entries.insert(Arc::from(key), Content::Unshared, Instant::now())
    }

    /// The keys from the one used longest ago to the one used last.
    fn order(entries: &Entries) -> Vec<&str> {
        let mut keys = Vec::new();
        let mut index = entries.oldest;
        while index != NONE {
            keys.push(&*entries.get(index).expect("a place in the list is taken").key);
            index = entries.slab[index].newer;
        }
        keys
    }

    #[test]
    fn entries_are_in_the_order_of_their_last_use() {
        let mut entries = Entries::new();
        let places: Vec<_> = ["a", "b", "c"].iter().map(|key| insert(&mut entries, key)).collect();
        entries.touch(places[0]);
        assert_eq!(order(&entries), ["b", "c", "a"]);
        entries.remove(places[2]);
        insert(&mut entries, "d");
        assert_eq!(order(&entries), ["b", "a", "d"]);
        assert_eq!(entries.oldest(), Some(places[1]));
    }

    // The count of bytes never drifts.
    #[test]
    fn the_bytes_are_the_sum_of_the_sizes() {
        let mut entries = Entries::new();
        let mut seed = 7_u64;
        for round in 0..2_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = usize::try_from(seed >> 33).unwrap() % 40;
            match round % 3 {
                0 => drop(insert(&mut entries, &"k".repeat(place))),
                1 => drop(entries.remove(place)),
                _ if entries.get(place).is_some() => entries.touch(place),
                _ => {}
            }
            let sizes: usize = entries.slab.iter().flat_map(|place| &place.entry).map(|entry| entry.size).sum();
            assert_eq!(entries.bytes(), sizes);
            assert_eq!(order(&entries).len(), entries.len());
        }
    }

    #[test]
    fn memory_goes_when_the_entries_have_gone() {
        let mut entries = Entries::new();
        let places: Vec<_> = (0..100).map(|number| insert(&mut entries, &number.to_string())).collect();
        places.iter().for_each(|place| drop(entries.remove(*place)));
        entries.give_memory_back();
        assert_eq!((entries.bytes(), entries.places(), entries.slab.capacity()), (0, 0, 0));
    }
}
