//! The entries of a cache in the order of their last use, with the bytes that they take.
//!
//! Invariant: `bytes` is the sum of the sizes of all entries. A removed entry is handed out, so that its memory is
//! freed where no lock is held.

use super::stored::Stored;
use crate::by_age::ByAge;
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

#[derive(Debug, Default)]
pub(super) struct Entries {
    by_age: ByAge<Entry>,
    bytes: usize,
}

impl Entries {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The cost of an entry beside its content: its place, its address in the index, its part in the allocator's
    /// bookkeeping.
    const OVERHEAD: usize = 256;

    /// Adds an entry as the one used last. Returns its place.
    pub(super) fn insert(&mut self, key: Arc<str>, content: Content, ends: Instant) -> usize {
        let size = Self::size(&key, &content);
        self.bytes += size;
        self.by_age.insert(0, Entry { key, content, ends, size })
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
        self.by_age.get(index)
    }

    /// Removes the entry in a place, if there is one.
    pub(super) fn remove(&mut self, index: usize) -> Option<Entry> {
        let entry = self.by_age.remove(index)?;
        self.bytes -= entry.size;
        Some(entry)
    }

    /// The entry is used now.
    pub(super) fn touch(&mut self, index: usize) {
        self.by_age.touch(index, 0);
    }

    /// The place of the entry used longest ago.
    pub(super) fn oldest(&self) -> Option<usize> {
        self.by_age.oldest(0)
    }

    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many places there are, taken or not.
    pub(super) fn places(&self) -> usize {
        self.by_age.places()
    }

    /// Those of these places whose entries have ended.
    pub(super) fn ended(&self, places: Range<usize>, now: Instant) -> Vec<usize> {
        let ended = self.by_age.values(places).filter(|(_, entry)| entry.ends <= now);
        ended.map(|(index, _)| index).collect()
    }

    /// After many entries have gone, the memory of their places goes, too.
    pub(super) fn give_memory_back(&mut self) {
        if self.len() == 0 {
            *self = Self::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(entries: &mut Entries, key: &str) -> usize {
        entries.insert(Arc::from(key), Content::Unshared, Instant::now())
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
            let sizes: usize = entries.by_age.in_order(0).iter().map(|entry| entry.size).sum();
            assert_eq!(entries.bytes(), sizes);
        }
    }

    #[test]
    fn memory_goes_when_the_entries_have_gone() {
        let mut entries = Entries::new();
        let places: Vec<_> = (0..100).map(|number| insert(&mut entries, &number.to_string())).collect();
        places.iter().for_each(|place| drop(entries.remove(*place)));
        entries.give_memory_back();
        assert_eq!((entries.bytes(), entries.places(), entries.by_age.capacity()), (0, 0, 0));
    }
}
