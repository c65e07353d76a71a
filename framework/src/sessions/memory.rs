//! The store in memory: shards of records in the order of their last use.
//!
//! A shard has entries by age (`by_age.rs`) and an index of them by id. Its lists are two: one of sessions that never
//! came back, one of the others. Strangers can make sessions without end, so the former go first, unless there are only
//! a few of them: a new visitor must have time to come back. So the oldest is found at once, and nothing ever looks at
//! all records under one lock: a sweep takes a shard a batch of entries at a time, an eviction asks each shard for its
//! oldest. A shard's lock is held for a few moves of pointers; content is dropped after it.
//!
//! Life is measured on the monotonic clock: setting the calendar ends no session and revives none.

use super::id::IdHasher;
use super::{Answer, Answers, Commit, Data, Moment, Record, SessionId, Store, StoreError, Terms, Version};
use crate::by_age::ByAge;
use crate::settings::{SettingError, SettingRow, SettingTable, Settings};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Keeps sessions in the memory of this process; they end with it.
///
/// At most [`DEFAULT_CAPACITY`](MemoryStore::DEFAULT_CAPACITY) sessions and
/// [`DEFAULT_MAX_BYTES`](MemoryStore::DEFAULT_MAX_BYTES) of memory, unless said otherwise. Beyond it those go first
/// that were made by one request and never came back, then those used longest ago. So visitors without end cost memory
/// that has one.
#[derive(Debug)]
pub struct MemoryStore {
    shards: Box<[Shard]>,
    all: Totals,
    /// Those that never came back.
    fresh: Totals,
    capacity: AtomicUsize,
    max_bytes: AtomicUsize,
    evicted: AtomicU64,
}

/// How many sessions, and the memory that they take. Changed under the lock of a shard only, so that neither falls
/// below zero.
#[derive(Debug, Default)]
struct Totals {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Totals {
    fn add(&self, bytes: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn resize(&self, before: usize, after: usize) {
        // Wraps to a subtraction when it shrinks.
        self.bytes.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl MemoryStore {
    /// Maximum of sessions by default.
    pub const DEFAULT_CAPACITY: usize = 100_000;
    /// Maximum of memory in bytes by default: 256 MiB.
    pub const DEFAULT_MAX_BYTES: usize = 256 << 20;
    const SHARDS: usize = 64;
    /// The cost of a session beside its content: its entry and its place in the index, both of which grow by doubling.
    const OVERHEAD: usize = 2 * (size_of::<Entry>() + size_of::<(SessionId, usize)>());
    /// New sessions may take this part of the store before they go first.
    const PART_OF_FRESH: usize = 8;
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
            all: Totals::default(),
            fresh: Totals::default(),
            capacity: AtomicUsize::new(sessions.max(1)),
            max_bytes: AtomicUsize::new(Self::DEFAULT_MAX_BYTES),
            evicted: AtomicU64::new(0),
        }
    }

    /// Sets the maximum of sessions, at least one. If there are more, some go at once.
    pub fn set_capacity(&self, sessions: usize) {
        self.capacity.store(sessions.max(1), Ordering::Relaxed);
        self.evict_above_limits();
    }

    /// Sets the maximum of memory in bytes for all sessions together, with the overhead around their content. If they
    /// take more, some sessions go at once.
    pub fn set_max_bytes(&self, bytes: usize) {
        self.max_bytes.store(bytes, Ordering::Relaxed);
        self.evict_above_limits();
    }

    /// About how many bytes of memory all sessions take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.all.bytes()
    }

    fn shard(&self, id: &SessionId) -> &Mutex<Entries> {
        &self.shards[id.shard(Self::SHARDS)].0
    }

    /// Removes one entry and counts it.
    fn remove(&self, entries: &mut Entries, id: &SessionId) -> Option<Data> {
        let gone = entries.remove(id)?;
        self.all.remove(gone.bytes);
        if gone.kind == Kind::Fresh {
            self.fresh.remove(gone.bytes);
        }
        Some(gone.data)
    }

    /// The session is used. The first time, it has come back.
    fn used(&self, entries: &mut Entries, index: usize, now: Instant) {
        if let Some(entry) = entries.by_age.get(index)
            && entry.kind == Kind::Fresh
        {
            self.fresh.remove(entry.bytes);
        }
        entries.used(index, Kind::Returned, now);
    }

    /// Which kind of session goes first, if one must go.
    fn evicted_first(&self) -> Option<Kind> {
        let (capacity, max_bytes) = (self.capacity.load(Ordering::Relaxed), self.max_bytes.load(Ordering::Relaxed));
        let (is_full, is_heavy) = (self.all.count() > capacity, self.all.bytes() > max_bytes);
        let are_many = is_full && self.fresh.count() > capacity / Self::PART_OF_FRESH;
        let are_large = is_heavy && self.fresh.bytes() > max_bytes / Self::PART_OF_FRESH;
        (is_full || is_heavy).then_some(if are_many || are_large { Kind::Fresh } else { Kind::Returned })
    }

    fn evict_above_limits(&self) {
        while let Some(first) = self.evicted_first() {
            if !self.evict_oldest(first) && !self.evict_oldest(first.other()) {
                return;
            }
            let evicted = self.evicted.fetch_add(1, Ordering::Relaxed) + 1;
            if evicted.is_power_of_two() {
                crate::line::record!(
                    Warn,
                    target: "kirsch::sessions",
                    "{evicted} sessions evicted so far: there are more than `sessions.capacity` ({}) or `sessions.max_bytes` ({}) allows",
                    self.capacity.load(Ordering::Relaxed),
                    self.max_bytes.load(Ordering::Relaxed)
                );
            }
        }
    }

    /// Removes the one of this kind that was used longest ago; false when there is none.
    fn evict_oldest(&self, kind: Kind) -> bool {
        let oldest = self.shards.iter().filter_map(|shard| {
            let (used, _) = shard.0.lock().oldest(kind)?;
            Some((used, shard))
        });
        let Some((_, shard)) = oldest.min_by_key(|(used, _)| *used) else { return false };
        // The oldest may have been used since; then the one that is oldest now goes, which is as good.
        let mut entries = shard.0.lock();
        let gone = entries.oldest(kind).and_then(|(_, id)| self.remove(&mut entries, &id));
        drop(entries);
        // Another thread may have been faster: then all is to be looked at again.
        drop(gone);
        true
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        let mut entries = self.shard(id).lock();
        let Some(index) = entries.find_alive(id, now.monotonic) else { return Answer::now(None) };
        self.used(&mut entries, index, now.monotonic);
        Answer::now(entries.by_age.get(index).map(|entry| Record {
            data: entry.data.clone(),
            version: entry.version,
            remaining: entry.expires.saturating_duration_since(now.monotonic),
            cookie_age: now.monotonic.saturating_duration_since(entry.cookie_sent),
        }))
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        let now = terms.now.monotonic;
        let mut entries = self.shard(id).lock();
        let found = entries.find(id);
        let alive = found.and_then(|index| entries.by_age.get(index)).filter(|entry| entry.expires > now);
        if alive.map(|entry| entry.version) != expected {
            return Answer::now(Commit::Conflict);
        }
        entries.last_version += 1;
        let version = Version(entries.last_version);
        let index = found.unwrap_or_else(|| {
            self.all.add(0);
            self.fresh.add(0);
            entries.insert(id, now)
        });
        let Some(entry) = entries.by_age.get_mut(index) else { return Answer::now(Commit::Conflict) };
        let before = std::mem::replace(&mut entry.data, data.clone());
        let bytes = data.memory() + Self::OVERHEAD;
        self.all.resize(entry.bytes, bytes);
        if entry.kind == Kind::Fresh {
            self.fresh.resize(entry.bytes, bytes);
        }
        entry.bytes = bytes;
        let kind = entry.kind;
        entry.version = version;
        entry.expires = terms.now.later(terms.lifetime).monotonic;
        if terms.cookie_sent || expected.is_none() {
            entry.cookie_sent = now;
        }
        entries.used(index, kind, now);
        drop(entries);
        drop(before);
        self.evict_above_limits();
        Answer::now(Commit::Committed(version))
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        let now = terms.now.monotonic;
        let mut entries = self.shard(id).lock();
        if let Some(index) = entries.find_alive(id, now)
            && let Some(entry) = entries.by_age.get_mut(index)
        {
            entry.expires = terms.now.later(terms.lifetime).monotonic;
            if terms.cookie_sent {
                entry.cookie_sent = now;
            }
            self.used(&mut entries, index, now);
        }
        Answer::now(())
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        let gone = self.remove(&mut self.shard(id).lock(), id);
        drop(gone);
        Answer::now(())
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        let mut swept = 0;
        for shard in &*self.shards {
            let mut start = 0;
            loop {
                let mut entries = shard.0.lock();
                let end = entries.by_age.places().min(start + Self::SWEEP_BATCH);
                let batch = entries.by_age.values(start.min(end)..end);
                let ended = batch.filter(|(_, entry)| entry.expires <= now.monotonic);
                let ended: Vec<SessionId> = ended.map(|(_, entry)| entry.id).collect();
                let gone: Vec<Data> = ended.iter().filter_map(|id| self.remove(&mut entries, id)).collect();
                let is_last = end == entries.by_age.places();
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
        Ok(Some(self.all.count()))
    }

    fn answers(&self) -> Answers {
        Answers::AtOnce
    }

    fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    fn configure(&self, settings: &SettingTable) -> Result<(), SettingError> {
        let before = self.limits();
        let MemoryLimits { capacity, max_bytes } = before.configured(settings)?;
        if capacity != before.capacity {
            self.set_capacity(capacity);
        }
        if max_bytes != before.max_bytes {
            self.set_max_bytes(max_bytes);
        }
        Ok(())
    }

    fn setting_rows(&self) -> Vec<SettingRow> {
        self.limits().setting_rows()
    }
}

/// No smaller limit in settings.
const MIN_MAX_BYTES: usize = 1 << 20;

/// The settings of a store in memory.
#[derive(Clone, Settings)]
#[settings(check = Self::check, no_builders)]
struct MemoryLimits {
    /// Maximum of sessions in memory; then one goes that never came back, or the one used longest ago.
    #[setting(default = MemoryStore::DEFAULT_CAPACITY)]
    capacity: usize,
    /// Maximum of memory for all sessions together; the same go first.
    #[setting(size, default = MemoryStore::DEFAULT_MAX_BYTES)]
    max_bytes: usize,
}

impl MemoryLimits {
    fn check(&self) -> Result<(), SettingError> {
        if self.capacity == 0 {
            return Err(SettingError::new("capacity", "must be at least 1"));
        }
        if self.max_bytes < MIN_MAX_BYTES {
            let problem = "must be at least 1 MiB, or a large session would push out all others";
            return Err(SettingError::new("max_bytes", problem));
        }
        Ok(())
    }
}

impl MemoryStore {
    fn limits(&self) -> MemoryLimits {
        let read = |limit: &AtomicUsize| limit.load(Ordering::Relaxed);
        MemoryLimits { capacity: read(&self.capacity), max_bytes: read(&self.max_bytes) }
    }
}

/// On a cache line of its own, so that neighbours do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(Mutex<Entries>);

/// Invariant: `by_age` has exactly the entries in `index`, each in the list of its kind.
#[derive(Debug, Default)]
struct Entries {
    index: HashMap<SessionId, usize, IdHasher>,
    by_age: ByAge<Entry, 2>,
    last_version: u64,
}

/// Whether a session has come back since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fresh,
    Returned,
}

impl Kind {
    fn other(self) -> Self {
        match self {
            Self::Fresh => Self::Returned,
            Self::Returned => Self::Fresh,
        }
    }
}

#[derive(Debug)]
struct Entry {
    id: SessionId,
    kind: Kind,
    data: Data,
    /// Of memory, all included; what the totals count.
    bytes: usize,
    version: Version,
    expires: Instant,
    last_used: Instant,
    cookie_sent: Instant,
}

impl Entries {
    fn find(&self, id: &SessionId) -> Option<usize> {
        self.index.get(id).copied()
    }

    fn find_alive(&self, id: &SessionId, now: Instant) -> Option<usize> {
        self.find(id).filter(|index| self.by_age.get(*index).is_some_and(|entry| entry.expires > now))
    }

    fn insert(&mut self, id: &SessionId, now: Instant) -> usize {
        let entry = Entry {
            id: *id,
            kind: Kind::Fresh,
            data: Data::new(),
            bytes: 0,
            version: Version(0),
            expires: now,
            last_used: now,
            cookie_sent: now,
        };
        let index = self.by_age.insert(Kind::Fresh as usize, entry);
        self.index.insert(*id, index);
        index
    }

    fn remove(&mut self, id: &SessionId) -> Option<Entry> {
        self.by_age.remove(self.index.remove(id)?)
    }

    fn used(&mut self, index: usize, kind: Kind, now: Instant) {
        if let Some(entry) = self.by_age.get_mut(index) {
            entry.last_used = now;
            entry.kind = kind;
        }
        self.by_age.touch(index, kind as usize);
    }

    fn oldest(&self, kind: Kind) -> Option<(Instant, SessionId)> {
        let entry = self.by_age.get(self.by_age.oldest(kind as usize)?)?;
        Some((entry.last_used, entry.id))
    }

    /// After a wave of visitors has gone, their memory goes too.
    fn give_memory_back(&mut self) {
        let last_version = self.last_version;
        *self = Self { last_version, ..Self::default() };
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
        assert!(matches!(store.commit(&id, None, &data, &terms(now)).wait(), Ok(Commit::Committed(_))));
        id
    }

    #[test]
    fn the_store_in_memory_conforms() {
        crate::testing::session_store::check(MemoryStore::new);
    }

    #[test]
    fn one_too_many_evicts_the_one_used_longest_ago() {
        let store = MemoryStore::with_capacity(3);
        let start = Moment::now();
        let at = |second| start.later(Duration::from_secs(second));
        let [first, second, third] = [1, 2, 3].map(|second| add(&store, at(second)));
        assert!(store.load(&first, at(4)).wait().expect("memory").is_some(), "used again, so it is not the oldest");
        let fourth = add(&store, at(5));
        assert!(store.load(&second, at(6)).wait().expect("memory").is_none());
        for kept in [first, third, fourth] {
            assert!(store.load(&kept, at(6)).wait().expect("memory").is_some());
        }
        assert_eq!((store.count().expect("memory"), store.evicted()), (Some(3), 1));
    }

    fn add_large(store: &MemoryStore, now: Moment) -> SessionId {
        let id = SessionId::random();
        let mut data = Data::new();
        data.insert("text", "x".repeat(250_000).into());
        assert!(matches!(store.commit(&id, None, &data, &terms(now)).wait(), Ok(Commit::Committed(_))));
        id
    }

    #[test]
    fn sessions_that_never_came_back_make_room_for_others() {
        let store = MemoryStore::new();
        store.set_max_bytes(10 << 20);
        let start = Moment::now();
        let visitors = [1, 2, 3].map(|_| add_large(&store, start));
        let comes_back =
            |id: &SessionId| store.load(id, start.later(Duration::from_secs(1))).wait().expect("memory").is_some();
        assert!(visitors.iter().all(comes_back));
        let strangers: Vec<_> =
            (0..1500).map(|number| add_large(&store, start.later(Duration::from_secs(2 + number % 9)))).collect();
        assert!(store.bytes() <= 10 << 20 && store.bytes() > 9 << 20, "{}", store.bytes());
        assert!(visitors.iter().all(comes_back), "used longest ago, but they have come back");
        let kept = strangers.iter().filter(|id| store.shard(id).lock().find(id).is_some()).count();
        assert_eq!((kept + 3, Some(kept + 3)), (store.all.count(), store.count().expect("memory")));
    }

    #[test]
    fn a_new_visitor_has_time_to_come_back_where_all_others_have() {
        let store = MemoryStore::with_capacity(80);
        let start = Moment::now();
        for _ in 0..80 {
            let id = add(&store, start);
            assert!(store.load(&id, start).wait().expect("memory").is_some());
        }
        let new: Vec<_> = (0..10).map(|_| add(&store, start.later(Duration::from_secs(1)))).collect();
        assert!(
            new.iter().all(|id| store.load(id, start.later(Duration::from_secs(2))).wait().expect("memory").is_some())
        );
        assert_eq!(store.all.count(), 80);
    }

    #[test]
    fn all_counted_bytes_are_given_back() {
        let store = MemoryStore::new();
        let now = Moment::now();
        let ids: Vec<_> = (0..100).map(|_| add_large(&store, now)).collect();
        let ids_and_kinds = ids.iter().enumerate();
        for (number, id) in ids_and_kinds {
            if number % 2 == 0 {
                let version = store.load(id, now).wait().expect("memory").map(|record| record.version);
                assert!(matches!(
                    store.commit(id, version, &Data::new(), &terms(now)).wait(),
                    Ok(Commit::Committed(_))
                ));
            }
            if number % 3 == 0 {
                store.delete(id).wait().expect("memory");
            }
        }
        store.sweep(now.later(Duration::from_secs(99))).expect("memory");
        let totals = [&store.all, &store.fresh].map(|totals| (totals.count(), totals.bytes()));
        assert_eq!(totals, [(0, 0); 2]);
    }

    #[test]
    fn small_values_count_their_memory_and_not_their_json() {
        let mut data = Data::new();
        data.insert("list", vec![0; 10_000].into());
        assert!(data.encoded_len() < 21_000 && data.memory() > 10_000 * size_of::<serde_json::Value>());
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
        ids.iter().step_by(2).for_each(|id| store.touch(id, &terms(later)).wait().expect("memory"));
        assert_eq!(store.sweep(start.later(Duration::from_secs(61))).expect("memory"), count / 2);
        assert_eq!(store.count().expect("memory"), Some(count / 2));
        assert_eq!(store.sweep(start.later(Duration::from_secs(91))).expect("memory"), count / 2);
        assert!(store.shards.iter().all(|shard| shard.0.lock().by_age.capacity() == 0), "memory is given back");
    }
}
