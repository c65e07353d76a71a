//! The store in memory: shards of records in the order of their last use.
//!
//! A shard is a slab of entries, an index by id, and a list through the slab from the entry used longest ago to the one used last.
//! So the oldest is found at once, and nothing ever looks at all records under one lock: a sweep takes a shard a batch of entries at a
//! time, an eviction asks each shard for its oldest. A shard's lock is held for a few moves of pointers; content is dropped after it.
//!
//! Life is measured on the monotonic clock: setting the calendar ends no session and revives none.

use super::id::IdHasher;
use super::{Commit, Data, Moment, Record, SessionId, Store, StoreError, Terms, Version};
use crate::lifecycle::{SettingError, SettingReader};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Keeps sessions in the memory of this process; they end with it.
///
/// At most [`DEFAULT_CAPACITY`](MemoryStore::DEFAULT_CAPACITY) sessions, unless said otherwise: when one more comes, the one used longest ago
/// goes. So visitors without end cost memory that has one.
#[derive(Debug)]
pub struct MemoryStore {
    shards: Box<[Shard]>,
    count: AtomicUsize,
    capacity: AtomicUsize,
    evicted: AtomicU64,
}

impl MemoryStore {
    /// The most sessions, unless another number is set.
    pub const DEFAULT_CAPACITY: usize = 100_000;
    const SHARDS: usize = 64;
    /// Entries that a sweep looks at before it lets others have the shard.
    const SWEEP_BATCH: usize = 256;

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// An empty store for at most so many sessions, at least one.
    #[must_use]
    pub fn with_capacity(sessions: usize) -> Self {
        Self {
            shards: (0..Self::SHARDS).map(|_| Shard::default()).collect(),
            count: AtomicUsize::new(0),
            capacity: AtomicUsize::new(sessions.max(1)),
            evicted: AtomicU64::new(0),
        }
    }

    /// Sets the most sessions to keep, at least one. If there are more, those used longest ago go at once.
    pub fn set_capacity(&self, sessions: usize) {
        self.capacity.store(sessions.max(1), Ordering::Relaxed);
        self.evict_above_capacity();
    }

    fn shard(&self, id: &SessionId) -> &Mutex<Entries> {
        &self.shards[id.shard(Self::SHARDS)].0
    }

    /// Removes one entry and counts it. The count changes under the shard's lock only, so that it never falls below zero.
    fn counting_down(&self, entries: &mut Entries, remove: impl FnOnce(&mut Entries) -> Option<Data>) -> Option<Data> {
        let gone = remove(entries);
        if gone.is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        gone
    }

    fn evict_above_capacity(&self) {
        while self.count.load(Ordering::Relaxed) > self.capacity.load(Ordering::Relaxed) {
            let oldest = self.shards.iter().filter_map(|shard| {
                let used = shard.0.lock().oldest()?;
                Some((used, shard))
            });
            let Some((_, shard)) = oldest.min_by_key(|(used, _)| *used) else { return };
            // The oldest may have been used since; then the one that is oldest now goes, which is as good.
            let gone = self.counting_down(&mut shard.0.lock(), Entries::remove_oldest);
            if gone.is_some() {
                let evicted = self.evicted.fetch_add(1, Ordering::Relaxed) + 1;
                if evicted.is_power_of_two() {
                    crate::line::record!(Warn,
                        target: "kirsch::sessions",
                        "{evicted} sessions evicted so far: more than the {} of `sessions.capacity` are in use",
                        self.capacity.load(Ordering::Relaxed)
                    );
                }
            }
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn load(&self, id: &SessionId, now: Moment) -> Result<Option<Record>, StoreError> {
        let mut entries = self.shard(id).lock();
        let Some(index) = entries.find_alive(id, now.monotonic) else { return Ok(None) };
        entries.used(index, now.monotonic);
        let entry = &entries.slab[index];
        Ok(Some(Record {
            data: entry.data.clone(),
            version: entry.version,
            remaining: entry.expires.saturating_duration_since(now.monotonic),
            cookie_age: now.monotonic.saturating_duration_since(entry.cookie_sent),
        }))
    }

    fn commit(
        &self,
        id: &SessionId,
        expected: Option<Version>,
        data: &Data,
        terms: &Terms,
    ) -> Result<Commit, StoreError> {
        let now = terms.now.monotonic;
        let mut entries = self.shard(id).lock();
        let found = entries.find(id);
        let alive = found.filter(|index| entries.slab[*index].expires > now);
        if alive.map(|index| entries.slab[index].version) != expected {
            return Ok(Commit::Conflict);
        }
        entries.last_version += 1;
        let version = Version(entries.last_version);
        let (index, is_more) = match found {
            Some(index) => (index, false),
            None => {
                self.count.fetch_add(1, Ordering::Relaxed);
                (entries.insert(id, now), true)
            }
        };
        let entry = &mut entries.slab[index];
        let before = std::mem::replace(&mut entry.data, data.clone());
        entry.version = version;
        entry.expires = terms.now.later(terms.lifetime).monotonic;
        if terms.cookie_sent || expected.is_none() {
            entry.cookie_sent = now;
        }
        entries.used(index, now);
        drop(entries);
        drop(before);
        if is_more {
            self.evict_above_capacity();
        }
        Ok(Commit::Committed(version))
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Result<(), StoreError> {
        let now = terms.now.monotonic;
        let mut entries = self.shard(id).lock();
        if let Some(index) = entries.find_alive(id, now) {
            let entry = &mut entries.slab[index];
            entry.expires = terms.now.later(terms.lifetime).monotonic;
            if terms.cookie_sent {
                entry.cookie_sent = now;
            }
            entries.used(index, now);
        }
        Ok(())
    }

    fn delete(&self, id: &SessionId) -> Result<(), StoreError> {
        let gone = self.counting_down(&mut self.shard(id).lock(), |entries| entries.remove(id));
        drop(gone);
        Ok(())
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        let mut swept = 0;
        for shard in &*self.shards {
            let mut start = 0;
            loop {
                let mut entries = shard.0.lock();
                let end = entries.slab.len().min(start + Self::SWEEP_BATCH);
                let batch = start.min(end)..end;
                let is_ended = |entry: &&Entry| entry.is_used && entry.expires <= now.monotonic;
                let ended: Vec<SessionId> = entries.slab[batch].iter().filter(is_ended).map(|entry| entry.id).collect();
                let gone: Vec<Data> = ended.iter().filter_map(|id| entries.remove(id)).collect();
                self.count.fetch_sub(gone.len(), Ordering::Relaxed);
                let is_last = end == entries.slab.len();
                if is_last && entries.index.is_empty() {
                    entries.give_memory_back();
                }
                drop(entries);
                swept += gone.len();
                if is_last {
                    break;
                }
                start = end;
            }
        }
        Ok(swept)
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        Ok(Some(self.count.load(Ordering::Relaxed)))
    }

    fn blocks(&self) -> bool {
        false
    }

    fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// `capacity`: the most sessions to keep.
    fn configure(&self, settings: &mut SettingReader<'_>) -> Result<(), SettingError> {
        let before = self.capacity.load(Ordering::Relaxed);
        let mut capacity = before;
        settings.count("capacity", &mut capacity)?;
        if capacity == 0 {
            return Err(SettingError::new("capacity", "must be at least 1"));
        }
        if capacity != before {
            self.set_capacity(capacity);
        }
        Ok(())
    }
}

/// On a cache line of its own, so that neighbours do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(Mutex<Entries>);

/// Invariant: the list from `oldest` to `newest` goes through exactly the entries in `index`, in the order of their last use;
/// the others are in `free`.
#[derive(Debug)]
struct Entries {
    index: HashMap<SessionId, usize, IdHasher>,
    slab: Vec<Entry>,
    free: Vec<usize>,
    oldest: usize,
    newest: usize,
    last_version: u64,
}

#[derive(Debug)]
struct Entry {
    id: SessionId,
    is_used: bool,
    data: Data,
    version: Version,
    expires: Instant,
    last_used: Instant,
    cookie_sent: Instant,
    older: usize,
    newer: usize,
}

/// The end of the list.
const NONE: usize = usize::MAX;

impl Default for Entries {
    fn default() -> Self {
        Self {
            index: HashMap::default(),
            slab: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            last_version: 0,
        }
    }
}

impl Entries {
    fn find(&self, id: &SessionId) -> Option<usize> {
        self.index.get(id).copied()
    }

    fn find_alive(&self, id: &SessionId, now: Instant) -> Option<usize> {
        self.find(id).filter(|index| self.slab[*index].expires > now)
    }

    fn insert(&mut self, id: &SessionId, now: Instant) -> usize {
        let entry = Entry {
            id: *id,
            is_used: true,
            data: Data::new(),
            version: Version(0),
            expires: now,
            last_used: now,
            cookie_sent: now,
            older: NONE,
            newer: NONE,
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.slab[index] = entry;
                index
            }
            None => {
                self.slab.push(entry);
                self.slab.len() - 1
            }
        };
        self.index.insert(*id, index);
        self.link_newest(index);
        index
    }

    fn remove(&mut self, id: &SessionId) -> Option<Data> {
        let index = self.index.remove(id)?;
        self.unlink(index);
        self.free.push(index);
        let entry = &mut self.slab[index];
        entry.is_used = false;
        Some(std::mem::take(&mut entry.data))
    }

    fn used(&mut self, index: usize, now: Instant) {
        self.slab[index].last_used = now;
        if self.newest != index {
            self.unlink(index);
            self.link_newest(index);
        }
    }

    fn oldest(&self) -> Option<Instant> {
        self.slab.get(self.oldest).map(|entry| entry.last_used)
    }

    fn remove_oldest(&mut self) -> Option<Data> {
        let id = self.slab.get(self.oldest)?.id;
        self.remove(&id)
    }

    /// After a wave of visitors has gone, their memory goes too.
    fn give_memory_back(&mut self) {
        let last_version = self.last_version;
        *self = Self { last_version, ..Self::default() };
    }

    fn link_newest(&mut self, index: usize) {
        let before = self.newest;
        self.slab[index].older = before;
        self.slab[index].newer = NONE;
        match self.slab.get_mut(before) {
            Some(entry) => entry.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
    }

    fn unlink(&mut self, index: usize) {
        let (older, newer) = (self.slab[index].older, self.slab[index].newer);
        match self.slab.get_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.slab.get_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn terms(now: Moment) -> Terms {
        Terms { now, lifetime: Duration::from_secs(60), cookie_sent: false, fence: None, unlock: false }
    }

    fn add(store: &MemoryStore, now: Moment) -> SessionId {
        let id = SessionId::random();
        let mut data = Data::new();
        data.insert("user", "ann".into());
        assert!(matches!(store.commit(&id, None, &data, &terms(now)), Ok(Commit::Committed(_))));
        id
    }

    #[test]
    fn the_store_in_memory_conforms() {
        super::super::conformance::check(MemoryStore::new);
    }

    #[test]
    fn a27_one_too_many_evicts_the_one_used_longest_ago() {
        let store = MemoryStore::with_capacity(3);
        let start = Moment::now();
        let at = |second| start.later(Duration::from_secs(second));
        let [first, second, third] = [1, 2, 3].map(|second| add(&store, at(second)));
        assert!(store.load(&first, at(4)).expect("memory").is_some(), "used again, so it is not the oldest");
        let fourth = add(&store, at(5));
        assert!(store.load(&second, at(6)).expect("memory").is_none());
        for kept in [first, third, fourth] {
            assert!(store.load(&kept, at(6)).expect("memory").is_some());
        }
        assert_eq!((store.count().expect("memory"), store.evicted()), (Some(3), 1));
    }

    #[test]
    fn a_smaller_capacity_takes_effect_at_once() {
        let store = MemoryStore::new();
        for _ in 0..10 {
            add(&store, Moment::now());
        }
        store.set_capacity(4);
        assert_eq!((store.count().expect("memory"), store.evicted()), (Some(4), 6));
    }

    #[test]
    fn a_sweep_finds_every_ended_record_among_many() {
        let store = MemoryStore::new();
        let start = Moment::now();
        let count = 40_000;
        let ids: Vec<_> = (0..count).map(|_| add(&store, start)).collect();
        let later = start.later(Duration::from_secs(30));
        ids.iter().step_by(2).for_each(|id| store.touch(id, &terms(later)).expect("memory"));
        assert_eq!(store.sweep(start.later(Duration::from_secs(61))).expect("memory"), count / 2);
        assert_eq!(store.count().expect("memory"), Some(count / 2));
        assert_eq!(store.sweep(start.later(Duration::from_secs(91))).expect("memory"), count / 2);
        assert!(store.shards.iter().all(|shard| shard.0.lock().slab.capacity() == 0), "memory is given back");
    }

    #[test]
    fn the_list_stays_whole_under_random_use() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut entries = Entries::default();
        let mut now = Instant::now();
        let ids: Vec<_> = (0..20).map(|_| SessionId::random()).collect();
        for _ in 0..5_000 {
            now += Duration::from_secs(1);
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let id = ids[(random >> 8) as usize % ids.len()];
            match (entries.find(&id), random % 3) {
                (None, _) => drop(entries.insert(&id, now)),
                (Some(index), 0 | 1) => entries.used(index, now),
                (Some(_), _) => drop(entries.remove(&id)),
            }
            let mut walked = 0;
            let (mut at, mut before) = (entries.oldest, NONE);
            while at != NONE {
                assert_eq!(entries.slab[at].older, before);
                assert!(before == NONE || entries.slab[before].last_used < entries.slab[at].last_used);
                (before, at, walked) = (at, entries.slab[at].newer, walked + 1);
            }
            assert_eq!((walked, before), (entries.index.len(), entries.newest));
        }
    }
}
