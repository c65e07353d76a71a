//! The suite that every store must pass, so that a program behaves the same with each of them.
//!
//! ```
//! use kirsch::{sessions::MemoryStore, testing::session_store};
//!
//! session_store::check(MemoryStore::new);
//! ```
//!
//! | for | run |
//! |---|---|
//! | every store | [`check`] |
//! | a store that several processes share | [`check_shared`], [`processes`] |
//! | a store that can find a record unreadable | [`check_spoiled`] |
//! | a store with an engine that can be gone | [`check_dead_engine`] |
//! | a store whose answers come later | [`check_slow_engine`] |
//!
//! Time is handed to stores, so that records age without waiting; leases are the engine's, and are waited for. Every
//! wait has a deadline. A check that fails panics with the rule that was broken. This is a test, not a part of the
//! tool: it uses the whole framework.

mod engine;
mod later;
mod locks;
mod processes;
mod records;
#[cfg(test)]
pub(crate) mod reference;
mod requests;
mod slow;

pub use engine::{check_dead_engine, check_spoiled};
pub use processes::processes;
pub use slow::check_slow_engine;

use crate::sessions::{Answer, Commit, Data, Moment, Record, SessionId, Store, Terms, Version};
use std::time::Duration;

const LIFETIME: Duration = Duration::from_secs(60);

/// The longest wait here for something that should come at once. The suite's own tests wait for things that never come.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 8 } else { 30 });

/// Checks the rules of records, and whole requests, on fresh stores that `make_store` makes: each is empty.
///
/// # Panics
/// When the store breaks a rule; the message is the rule.
pub fn check<S: Store>(make_store: impl Fn() -> S) {
    for rule in records::rules() {
        rule(&make_store());
    }
    requests::check(&make_store);
}

/// Checks the rules of the lock between processes. `make_store` opens the same engine with each call, as another
/// process would; other records may be in it. Takes some seconds, since it waits for leases.
///
/// # Panics
/// When the store breaks a rule, or has no shared lock.
pub fn check_shared<S: Store>(make_store: impl Fn() -> S) {
    for rule in locks::rules() {
        rule(&make_store(), &make_store());
    }
    later::what_nobody_waits_for_is_given_back(&make_store(), &make_store());
    requests::check_shared(&make_store);
}

fn data(number: u64) -> Data {
    let mut data = Data::new();
    data.insert("number", number.into());
    data
}

fn terms(now: Moment) -> Terms {
    Terms { now, lifetime: LIFETIME, cookie_sent: true, fence: None, unlock: false }
}

fn load<S: Store>(store: &S, id: &SessionId, now: Moment) -> Option<Record> {
    store.load(id, now).wait().expect("load")
}

fn number<S: Store>(store: &S, id: &SessionId, now: Moment) -> u64 {
    let record = load(store, id, now).expect("a record");
    record.data.get("number").and_then(|value| value.as_u64()).expect("a number")
}

fn outcome(answer: Answer<Commit>) -> Commit {
    answer.wait().expect("commit")
}

fn committed(answer: Answer<Commit>) -> Version {
    match outcome(answer) {
        Commit::Committed(version) => version,
        Commit::Conflict | Commit::LockLost => panic!("a commit of the version that is there is kept"),
    }
}
