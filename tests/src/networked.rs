//! The common tests of all stores with an engine on the network: records to keep, and the rules of a connection that
//! fails.

use crate::engines::Wire;
use crate::wait_until;
use kirsch::sessions::{Answer, Commit, Data, Moment, SessionId, Store, Terms, Version};
use std::time::Duration;

/// How long locks are held here: longer than any test.
pub const LONG: Duration = Duration::from_secs(60);

/// Content that [`number`] finds again.
#[must_use]
pub fn data(number: u64) -> Data {
    let mut data = Data::new();
    data.insert("number", number.into());
    data
}

/// A minute of life, without a lock.
#[must_use]
pub fn terms() -> Terms {
    Terms { now: Moment::now(), lifetime: LONG, cookie_sent: true, fence: None, unlock: false }
}

/// The version that was committed.
///
/// # Panics
/// If nothing was.
#[track_caller]
pub fn kept(answer: Answer<Commit>) -> Version {
    match answer.wait() {
        Ok(Commit::Committed(version)) => version,
        other => panic!("not kept: {other:?}"),
    }
}

/// The value of [`data`] that was committed last.
///
/// # Panics
/// If there is no record.
#[track_caller]
pub fn number(store: &impl Store, id: &SessionId) -> u64 {
    let record = store.load(id, Moment::now()).wait().expect("the engine").expect("a record");
    record.data.get("number").and_then(|value| value.as_u64()).expect("a number")
}

/// A request whose answer is lost does not count twice: for stores that ask once more.
///
/// # Panics
/// If the store breaks that rule.
pub fn check_lossy_wire(store: &impl Store, wire: &Wire) {
    let id = SessionId::random();
    let version = kept(store.commit(&id, None, &data(1), &terms()));
    let lock = store.shared_lock().expect("shared");
    wire.lose_an_answer();
    let grant = lock.try_lock(&id, LONG).wait().expect("asked again").expect("it was taken by this very call");
    assert!(!wire.is_about_to_lose() && lock.try_lock(&id, LONG).wait().expect("the engine").is_none());
    wire.lose_an_answer();
    assert!(lock.renew(&id, grant.fence, LONG).wait().expect("asked again"), "it is held");
    wire.lose_an_answer();
    let locked = Terms { fence: Some(grant.fence), unlock: true, ..terms() };
    let _ = kept(store.commit(&id, Some(version), &data(2), &locked));
    assert!(!wire.is_about_to_lose() && number(store, &id) == 2);
    assert!(lock.try_lock(&id, LONG).wait().expect("the engine").is_some(), "the lock was given back");
    wire.lose_an_answer();
    store.delete(&id).wait().expect("asked again");
    assert!(store.load(&id, Moment::now()).wait().expect("the engine").is_none());
}

/// A silent engine holds one request at a time, and the others are told. From `freeze` on it answers nothing, until
/// `thaw`. The store should not wait long for an answer.
///
/// # Panics
/// If the store breaks that rule.
pub fn check_silent_engine(store: &impl Store, freeze: impl Fn(), thaw: impl Fn()) {
    let id = SessionId::random();
    let _ = kept(store.commit(&id, None, &data(1), &terms()));
    freeze();
    let load = || store.load(&id, Moment::now()).wait().expect_err("frozen").to_string();
    let first = load();
    assert!(first.contains("did not answer in time"), "{first}");
    let problems: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let turned_away = problems.iter().filter(|problem| problem.contains("one request at a time asks it")).count();
    assert!(turned_away > 0, "{problems:?}");
    thaw();
    wait_until(|| store.load(&id, Moment::now()).wait().is_ok());
    // The late answers to what was asked are not taken for those to this.
    assert_eq!(number(store, &id), 1);
}
