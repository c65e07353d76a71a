//! A store that follows the rules, and the same with one mistake each: the suite has to find every one.
//!
//! The engine is in this process; several stores share it, as several processes would. Its leases lapse, and a thread
//! that looks every few milliseconds wakes its watches.

use super::*;
use crate::sessions::{Answer, Fence, Grant, MemoryStore, SharedLock, StoreError, Watch, Watchers};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

/// A mistake of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mistake {
    #[default]
    None,
    IgnoresVersions,
    RevivesDeleted,
    SweepsTheLiving,
    IgnoresFences,
    IgnoresFencesOnceFree,
    LocksTwice,
    LocksNothing,
    StripesItsLocks,
    KeepsTheLockAtCommit,
    LosesTheLockAtConflict,
    UnlocksForAnybody,
    RenewsForAnybody,
    WakesNobody,
    WakesNobodyAtCommit,
    WakesOnce,
    NoticesNoLapse,
    FailsAtSpoiledRecords,
    CountsNothingSpoiled,
    LocksWithoutItsEngine,
    StaysDead,
    AnswersLaterUnsaid,
}

#[derive(Default)]
pub(crate) struct Engine {
    records: MemoryStore,
    locks: Mutex<HashMap<SessionId, Lease>>,
    spoiled: Mutex<HashSet<SessionId>>,
    watchers: Watchers,
    is_dead: AtomicBool,
    was_dead: AtomicBool,
    quarantined: AtomicU64,
    asked: AtomicU64,
}

struct Lease {
    fence: Fence,
    until: Instant,
}

#[derive(Clone)]
pub(crate) struct Reference {
    pub(crate) engine: Arc<Engine>,
    mistake: Mistake,
    /// Whether grants bring the record along.
    brings_records: bool,
}

impl Reference {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        Self::with(engine, Mistake::None)
    }

    fn with(engine: &Arc<Engine>, mistake: Mistake) -> Self {
        Self { engine: Arc::clone(engine), mistake, brings_records: true }
    }

    fn has(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    fn reach(&self) -> Result<&Engine, StoreError> {
        self.engine.asked.fetch_add(1, Ordering::SeqCst);
        let stays_dead = self.has(Mistake::StaysDead) && self.engine.was_dead.load(Ordering::SeqCst);
        match self.engine.is_dead.load(Ordering::SeqCst) || stays_dead {
            true => Err(StoreError::new("the engine is gone", "reference")),
            false => Ok(&self.engine),
        }
    }

    /// The key of the lock.
    fn key(&self, id: &SessionId) -> SessionId {
        match self.has(Mistake::StripesItsLocks) {
            true => SessionId::parse(format!("{:040x}", id.as_bytes()[0] % 8).as_bytes()).expect("an id"),
            false => *id,
        }
    }
}

impl Engine {
    pub(crate) fn new() -> Arc<Self> {
        let engine = Arc::new(Self::default());
        let weak = Arc::downgrade(&engine);
        std::thread::spawn(move || {
            while let Some(engine) = weak.upgrade() {
                for id in engine.watchers.watched() {
                    let mut locks = engine.locks.lock();
                    if locks.get(&id).is_some_and(|lease| lease.until <= Instant::now()) {
                        locks.remove(&id);
                        drop(locks);
                        engine.watchers.wake(&id);
                    }
                }
                drop(engine);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        engine
    }

    pub(crate) fn die(&self, is_dead: bool) {
        self.is_dead.store(is_dead, Ordering::SeqCst);
        self.was_dead.fetch_or(is_dead, Ordering::SeqCst);
        if !is_dead {
            self.watchers.wake_all();
        }
    }

    /// Ends a hold, as the lapse of its lease would.
    pub(crate) fn lose(&self, id: &SessionId) {
        self.locks.lock().remove(id);
        self.watchers.wake(id);
    }

    pub(crate) fn is_locked(&self, id: &SessionId) -> bool {
        self.locks.lock().contains_key(id)
    }

    /// How many calls came to it: each is a round trip of a real one.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn watched(&self) -> usize {
        self.watchers.watched().len()
    }

    fn holds(locks: &HashMap<SessionId, Lease>, id: &SessionId, fence: Fence) -> bool {
        locks.get(id).is_some_and(|lease| lease.fence == fence && lease.until > Instant::now())
    }
}

impl Store for Reference {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        if self.has(Mistake::AnswersLaterUnsaid) {
            return Answer::later(self.engine.records.load(id, now).into_future());
        }
        Answer::of(|| {
            let engine = self.reach()?;
            if engine.spoiled.lock().contains(id) {
                if self.has(Mistake::FailsAtSpoiledRecords) {
                    return Err(StoreError::new("a record cannot be read", "reference"));
                }
                if !self.has(Mistake::CountsNothingSpoiled) {
                    engine.quarantined.fetch_add(1, Ordering::SeqCst);
                }
                self.delete(id).wait()?;
            }
            engine.records.load(id, now).wait()
        })
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        Answer::of(|| {
            let engine = self.reach()?;
            let key = self.key(id);
            let mut locks = engine.locks.lock();
            if let Some(fence) = terms.fence
                && !self.has(Mistake::IgnoresFences)
                && !(self.has(Mistake::IgnoresFencesOnceFree)
                    && locks.get(&key).is_none_or(|lease| lease.until <= Instant::now()))
                && !Engine::holds(&locks, &key, fence)
            {
                return Ok(Commit::LockLost);
            }
            let mut expected = expected;
            if self.has(Mistake::IgnoresVersions) {
                expected = engine.records.load(id, terms.now).wait()?.map(|record| record.version);
            }
            if self.has(Mistake::RevivesDeleted) && engine.records.load(id, terms.now).wait()?.is_none() {
                expected = None;
            }
            let commit = engine.records.commit(id, expected, data, terms).wait()?;
            let is_kept = matches!(commit, Commit::Committed(_));
            let gives_back = terms.unlock && !self.has(Mistake::KeepsTheLockAtCommit);
            if gives_back && (is_kept || self.has(Mistake::LosesTheLockAtConflict)) {
                locks.remove(&key);
                drop(locks);
                if !self.has(Mistake::WakesNobody) && !self.has(Mistake::WakesNobodyAtCommit) {
                    engine.watchers.wake(id);
                }
            }
            Ok(commit)
        })
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        Answer::of(|| self.reach()?.records.touch(id, terms).wait())
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        Answer::of(|| {
            let engine = self.reach()?;
            engine.spoiled.lock().remove(id);
            engine.records.delete(id).wait()
        })
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        let ahead = if self.has(Mistake::SweepsTheLiving) { LIFETIME * 9 } else { Duration::ZERO };
        self.reach()?.records.sweep(now.later(ahead))
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        self.reach()?.records.count()
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.reach().map(|_| ())
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        Some(self)
    }

    fn quarantined(&self) -> u64 {
        self.engine.quarantined.load(Ordering::SeqCst)
    }
}

impl SharedLock for Reference {
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Answer<Option<Grant>> {
        Answer::of(|| {
            if self.has(Mistake::LocksWithoutItsEngine) && self.reach().is_err() {
                return Ok(Some(Grant { fence: Fence::random(), record: None }));
            }
            let engine = self.reach()?;
            let mut locks = engine.locks.lock();
            let key = self.key(id);
            let is_held = locks.get(&key).is_some_and(|lease| lease.until > Instant::now());
            if is_held && !self.has(Mistake::LocksTwice) {
                return Ok(None);
            }
            let fence = Fence::random();
            if !self.has(Mistake::LocksNothing) {
                locks.insert(key, Lease { fence, until: Instant::now() + lease });
            }
            drop(locks);
            let record = self.brings_records.then(|| self.engine.records.load(id, Moment::now()).wait()).transpose()?;
            Ok(Some(Grant { fence, record }))
        })
    }

    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        let engine = self.reach()?;
        if self.has(Mistake::NoticesNoLapse) {
            // The engine's thread looks at the watched locks under its own name.
            let other = SessionId::random();
            return Ok(engine.watchers.add(&other, waker));
        }
        if self.has(Mistake::WakesOnce) {
            struct Once(AtomicBool, Waker);
            impl std::task::Wake for Once {
                fn wake(self: Arc<Self>) {
                    if !self.0.swap(true, Ordering::SeqCst) {
                        self.1.wake_by_ref();
                    }
                }
            }
            return Ok(engine.watchers.add(id, Waker::from(Arc::new(Once(AtomicBool::new(false), waker)))));
        }
        Ok(engine.watchers.add(id, waker))
    }

    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Answer<bool> {
        Answer::of(|| {
            let engine = self.reach()?;
            let mut locks = engine.locks.lock();
            let key = self.key(id);
            if !Engine::holds(&locks, &key, fence) {
                return Ok(self.has(Mistake::RenewsForAnybody));
            }
            locks.insert(key, Lease { fence, until: Instant::now() + lease });
            Ok(true)
        })
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Answer<()> {
        Answer::of(|| {
            let engine = self.reach()?;
            let mut locks = engine.locks.lock();
            let key = self.key(id);
            if !Engine::holds(&locks, &key, fence) && !self.has(Mistake::UnlocksForAnybody) {
                return Ok(());
            }
            locks.remove(&key);
            drop(locks);
            if !self.has(Mistake::WakesNobody) {
                engine.watchers.wake(id);
            }
            Ok(())
        })
    }
}

#[test]
fn a_store_that_follows_the_rules_passes() {
    check(|| Reference::new(&Engine::new()));
    let engine = Engine::new();
    check_shared(|| Reference::new(&engine));
    check_spoiled(|| Reference::new(&Engine::new()), spoil);
    check_dead_engine(|| Reference::new(&engine), || engine.die(true), || engine.die(false));
}

#[test]
fn a_store_whose_grants_bring_no_record_passes_too() {
    let engine = Engine::new();
    check_shared(|| Reference { brings_records: false, ..Reference::new(&engine) });
}

fn spoil(store: &Reference, id: &SessionId) {
    store.engine.spoiled.lock().insert(*id);
}

/// The rule that a store with this mistake breaks.
fn broken(mistake: Mistake, part: fn(Mistake)) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| part(mistake))).expect_err("the suite finds the mistake");
    panic.downcast_ref::<String>().cloned().or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned())).expect("text")
}

#[test]
fn every_mistake_breaks_a_rule() {
    use Mistake::*;
    let records = |mistake| check(|| Reference::with(&Engine::new(), mistake));
    let locks = |mistake| {
        let engine = Engine::new();
        check_shared(|| Reference::with(&engine, mistake));
    };
    let spoiled = |mistake| check_spoiled(|| Reference::with(&Engine::new(), mistake), spoil);
    let dead = |mistake| {
        let engine = Engine::new();
        check_dead_engine(|| Reference::with(&engine, mistake), || engine.die(true), || engine.die(false));
    };
    let table: [(_, fn(Mistake), _); 21] = [
        (IgnoresVersions, records, "the id is taken"),
        (RevivesDeleted, records, "a late commit does not bring a deleted record back"),
        (SweepsTheLiving, records, "a sweep"),
        (AnswersLaterUnsaid, records, "says so"),
        (IgnoresFences, locks, "a store that gave the lock back does not commit under it"),
        (IgnoresFencesOnceFree, locks, "even without another holder"),
        (LocksTwice, locks, "a lock has one holder"),
        (LocksNothing, locks, "a lock has one holder"),
        (StripesItsLocks, locks, "blocks no other"),
        (KeepsTheLockAtCommit, locks, "a commit that gives the lock back wakes"),
        (LosesTheLockAtConflict, locks, "a commit that is not kept keeps the lock"),
        (UnlocksForAnybody, locks, "giving back the lock of another holder has no effect"),
        (RenewsForAnybody, locks, "an earlier hold cannot be renewed"),
        (WakesNobody, locks, "a commit that gives the lock back wakes"),
        (WakesNobodyAtCommit, locks, "a commit that gives the lock back wakes"),
        // Which of the rules about watching is broken first is a matter of time.
        (WakesOnce, locks, "watch"),
        (NoticesNoLapse, locks, "wakes"),
        (FailsAtSpoiledRecords, spoiled, "load"),
        (CountsNothingSpoiled, spoiled, "is counted, once"),
        (LocksWithoutItsEngine, dead, "a lock without an engine is an error"),
        (StaysDead, dead, "works again by itself"),
    ];
    std::thread::scope(|scope| {
        let checks = table.map(|(mistake, part, rule)| (mistake, rule, scope.spawn(move || broken(mistake, part))));
        for (mistake, rule, check) in checks {
            let message = check.join().expect("the panic was caught");
            assert!(message.contains(rule), "{mistake:?}: {message}");
        }
    });
}
