//! A session store of a user's own passes the public suite, between processes too: written with nothing but the public
//! interface.
//!
//! The store is one file that every process locks, reads, changes and writes again: slow, and right by construction.

use kirsch::sessions::{
    Answer, Commit, Data, Fence, Grant, Moment, Record, SessionId, SharedLock, Store, StoreError, Terms, Version, Watch,
};
use kirsch::testing::session_store;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    thread,
    time::Duration,
};

struct OneFile {
    path: PathBuf,
    /// A mistake: commits are kept with any fence.
    ignores_fences: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    records: BTreeMap<String, Kept>,
    locks: BTreeMap<String, Held>,
    versions: u64,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    data: Data,
    version: u64,
    ends: u64,
    cookie_sent: u64,
}

#[derive(Serialize, Deserialize)]
struct Held {
    fence: u64,
    ends: u64,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("short")
}

fn now() -> u64 {
    Moment::now().unix_millis()
}

impl OneFile {
    fn open(path: &str) -> Self {
        Self { path: path.into(), ignores_fences: false }
    }

    fn with<R>(&self, change: impl FnOnce(&mut Content) -> R) -> Answer<R> {
        let failed =
            |error: std::io::Error| StoreError::new("cannot use", self.path.display().to_string()).because(error);
        let run = || {
            let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&self.path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            let mut content = if text.is_empty() { Content::default() } else { serde_json::from_str(&text)? };
            let result = change(&mut content);
            let text = serde_json::to_vec(&content)?;
            file.rewind()?;
            file.write_all(&text)?;
            file.set_len(text.len() as u64)?;
            Ok(result)
        };
        run().map_err(failed).into()
    }
}

impl Content {
    fn record(&self, id: &SessionId, now: u64) -> Option<&Kept> {
        self.records.get(&id.reveal()).filter(|kept| kept.ends > now)
    }

    fn holds(&self, id: &SessionId, fence: Fence) -> bool {
        self.locks.get(&id.reveal()).is_some_and(|held| held.fence == fence.0 && held.ends > now())
    }
}

impl Store for OneFile {
    fn load(&self, id: &SessionId, at: Moment) -> Answer<Option<Record>> {
        let now = at.unix_millis();
        self.with(|content| {
            content.record(id, now).map(|kept| Record {
                data: kept.data.clone(),
                version: Version(kept.version),
                remaining: Duration::from_millis(kept.ends - now),
                cookie_age: Duration::from_millis(now.saturating_sub(kept.cookie_sent)),
            })
        })
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        let now = terms.now.unix_millis();
        self.with(|content| {
            if terms.fence.is_some_and(|fence| !self.ignores_fences && !content.holds(id, fence)) {
                return Commit::LockLost;
            }
            let there = content.record(id, now);
            if there.map(|kept| Version(kept.version)) != expected {
                return Commit::Conflict;
            }
            let cookie_sent = there.filter(|_| !terms.cookie_sent).map_or(now, |kept| kept.cookie_sent);
            content.versions += 1;
            let (version, ends) = (content.versions, now + millis(terms.lifetime));
            content.records.insert(id.reveal(), Kept { data: data.clone(), version, ends, cookie_sent });
            if terms.unlock {
                content.locks.remove(&id.reveal());
            }
            Commit::Committed(Version(version))
        })
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        let now = terms.now.unix_millis();
        self.with(|content| {
            if let Some(kept) = content.records.get_mut(&id.reveal()).filter(|kept| kept.ends > now) {
                kept.ends = now + millis(terms.lifetime);
                kept.cookie_sent = if terms.cookie_sent { now } else { kept.cookie_sent };
            }
        })
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        self.with(|content| drop(content.records.remove(&id.reveal())))
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        self.with(|content| {
            let before = content.records.len();
            content.records.retain(|_, kept| kept.ends > now.unix_millis());
            before - content.records.len()
        })
        .wait()
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        self.with(|content| Some(content.records.len())).wait()
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        Some(self)
    }
}

impl SharedLock for OneFile {
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Answer<Option<Grant>> {
        self.with(|content| {
            if content.locks.get(&id.reveal()).is_some_and(|held| held.ends > now()) {
                return None;
            }
            let fence = Fence::random();
            content.locks.insert(id.reveal(), Held { fence: fence.0, ends: now() + millis(lease) });
            Some(Grant { fence, record: None })
        })
    }

    /// A file wakes no waiter: a thread looks. A real store would do better.
    fn watch(&self, _id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        struct Interest(Arc<AtomicBool>);
        impl Drop for Interest {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let interest = Interest(Arc::clone(&is_over));
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
                waker.wake_by_ref();
            }
        });
        Ok(Watch::new(interest))
    }

    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Answer<bool> {
        self.with(|content| {
            let is_held = content.holds(id, fence);
            if is_held {
                content.locks.insert(id.reveal(), Held { fence: fence.0, ends: now() + millis(lease) });
            }
            is_held
        })
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Answer<()> {
        self.with(|content| {
            if content.holds(id, fence) {
                content.locks.remove(&id.reveal());
            }
        })
    }
}

fn file(folder: &Path) -> String {
    folder.join("sessions.json").display().to_string()
}

#[test]
fn a_store_of_ones_own_passes_the_suite_of_shared_stores() {
    let folder = tempfile::tempdir().expect("a folder");
    session_store::check_shared(|| OneFile::open(&file(folder.path())));
}

#[test]
fn a_store_of_ones_own_passes_the_suite_of_several_processes() {
    let folder = tempfile::tempdir().expect("a folder");
    session_store::processes(
        "a_store_of_ones_own_passes_the_suite_of_several_processes",
        &file(folder.path()),
        OneFile::open,
    );
}

#[test]
#[should_panic(expected = "what the other process says")]
fn a_store_that_ignores_fences_is_found_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |path: &str| OneFile { ignores_fences: true, ..OneFile::open(path) };
    session_store::processes("a_store_that_ignores_fences_is_found_out", &file(folder.path()), open);
}

#[test]
#[should_panic(expected = "the test has another name")]
fn a_wrong_name_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    session_store::processes("no_such_test", &file(folder.path()), OneFile::open);
}
