//! Small files that are asked for often, kept in memory.
//!
//! Opening, reading and closing cost more than all other work for a small file. A file in here costs one look at its
//! identity (`stat`). While it is requested more than [`HOT`] times in an interval it does not cost even that: then a
//! change is seen by the end of the interval. So an author who edits a file and reloads the page sees the change at
//! once, and ten thousand requests a second do not ask the file system ten thousand times.
//!
//! Missing files that are looked for again and again are remembered too: compressed siblings.
//!
//! Memory is bounded, names included. When it is full, a sweep takes out the entries that have not been requested since
//! the last one.

use super::directory::Identity;
use super::found::Found;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a file is looked at in each interval before it is trusted for the rest of it.
const HOT: u32 = 64;

/// The rough cost of an entry besides its name and its content.
const OVERHEAD: u64 = 512;

/// The files in memory, by their path below the folder.
#[derive(Debug)]
pub(super) struct Memory {
    entries: RwLock<HashMap<Box<str>, Arc<Entry>>>,
    /// Of all entries; changes under the write lock only.
    held: AtomicU64,
    limit: u64,
    interval: Duration,
    start: Instant,
}

/// One file, or the fact that there is none.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) file: Option<(Identity, Arc<Found>)>,
    cost: u64,
    /// When the present interval began, in milliseconds since the start of the memory.
    began: AtomicU64,
    /// How often it was asked for since.
    asked: AtomicU32,
    /// Whether it was asked for again, since it came or since the last sweep.
    used: AtomicBool,
}

impl Memory {
    pub(super) fn new(limit: u64, interval: Duration) -> Self {
        let entries = RwLock::new(HashMap::new());
        Self { entries, held: AtomicU64::new(0), limit, interval, start: Instant::now() }
    }

    pub(super) fn get(&self, path: &str) -> Option<Arc<Entry>> {
        let entry = self.entries.read().get(path)?.clone();
        // A flag that is set already is only read: no write to memory that other processors look at.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(entry)
    }

    /// Whether the entry may be used `now` without a look at the file system. Counts this use.
    pub(super) fn is_trusted(&self, entry: &Entry, now: Instant) -> bool {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = millis(now.saturating_duration_since(self.start));
        let began = entry.began.load(Ordering::Relaxed);
        if now.saturating_sub(began) >= millis(self.interval) {
            entry.began.store(now, Ordering::Relaxed);
            entry.asked.store(1, Ordering::Relaxed);
            return false;
        }
        // Stops at the threshold, for the same reason as above.
        entry.asked.load(Ordering::Relaxed) >= HOT || entry.asked.fetch_add(1, Ordering::Relaxed) >= HOT
    }

    pub(super) fn insert(&self, path: &str, file: Option<(Identity, Arc<Found>)>) {
        let content = file.as_ref().map_or(0, |(identity, _)| identity.length);
        let cost = content + path.len() as u64 + OVERHEAD;
        if cost > self.limit {
            return;
        }
        let entry =
            Entry { file, cost, began: AtomicU64::new(0), asked: AtomicU32::new(0), used: AtomicBool::new(false) };
        let mut entries = self.entries.write();
        let mut held = self.held.load(Ordering::Relaxed);
        if held + cost > self.limit {
            // Room for more than this one, so that a full memory is not swept for each file.
            let wanted = (self.limit - cost).min(self.limit / 4 * 3);
            held = sweep(&mut entries, held, wanted);
        }
        let before = entries.insert(path.into(), Arc::new(entry));
        self.held.store(held + cost - before.map_or(0, |before| before.cost), Ordering::Relaxed);
    }

    /// Forgets the entry, unless another has taken its place.
    pub(super) fn forget(&self, path: &str, entry: &Arc<Entry>) {
        let mut entries = self.entries.write();
        if entries.get(path).is_some_and(|present| Arc::ptr_eq(present, entry)) {
            entries.remove(path);
            self.held.fetch_sub(entry.cost, Ordering::Relaxed);
        }
    }
}

/// Takes entries out until `held` is at most `wanted`: those that were not used since the last sweep, and if that is
/// not enough, others.
fn sweep(entries: &mut HashMap<Box<str>, Arc<Entry>>, mut held: u64, wanted: u64) -> u64 {
    for _ in 0..2 {
        entries.retain(|_, entry| {
            let stays = held <= wanted || entry.used.swap(false, Ordering::Relaxed);
            if !stays {
                held -= entry.cost;
            }
            stays
        });
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(limit: u64) -> Memory {
        Memory::new(limit, Duration::from_secs(1))
    }

    #[test]
    fn a_rare_file_is_looked_at_each_time_and_a_hot_one_once_an_interval() {
        let memory = memory(10_000);
        memory.insert("a", None);
        let entry = memory.get("a").unwrap();
        let looks = |from: u64, count: u64| {
            let times = (from..from + count).map(|millis| memory.start + Duration::from_millis(millis));
            times.filter(|now| !memory.is_trusted(&entry, *now)).count()
        };
        assert_eq!(looks(0, 50), 50);
        assert_eq!(looks(1050, 900), HOT as usize);
        assert_eq!(looks(2050, 10), 10);
    }

    #[test]
    fn without_an_interval_nothing_is_trusted() {
        let memory = Memory::new(10_000, Duration::ZERO);
        memory.insert("a", None);
        let entry = memory.get("a").unwrap();
        assert!((0..1000).all(|_| !memory.is_trusted(&entry, Instant::now())));
    }

    #[test]
    fn memory_stays_within_its_limit_and_used_files_stay() {
        let memory = memory(100 * (OVERHEAD + 3));
        memory.insert("hot", None);
        for number in 100..999 {
            memory.insert(&number.to_string(), None);
            assert!(memory.held.load(Ordering::Relaxed) <= memory.limit);
            assert!(memory.get("hot").is_some(), "{number}");
        }
        let entries = memory.entries.read();
        let held: u64 = entries.values().map(|entry| entry.cost).sum();
        assert_eq!(held, memory.held.load(Ordering::Relaxed));
        assert!(entries.len() > 50);
    }

    #[test]
    fn a_file_larger_than_all_memory_is_not_kept() {
        let memory = memory(OVERHEAD);
        memory.insert("a", None);
        assert!(memory.get("a").is_none());
    }

    #[test]
    fn only_the_entry_that_was_seen_is_forgotten() {
        let memory = memory(10_000);
        memory.insert("a", None);
        let old = memory.get("a").unwrap();
        memory.insert("a", None);
        memory.forget("a", &old);
        let new = memory.get("a").unwrap();
        memory.forget("a", &new);
        assert!(memory.get("a").is_none());
        assert_eq!(memory.held.load(Ordering::Relaxed), 0);
    }
}
