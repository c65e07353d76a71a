//! The rules of records: a record is there, for as long as it lives, and nothing is lost.

use super::{LIFETIME, committed, data, load, number, outcome, terms};
use crate::sessions::{Answer, Answers, Commit, Moment, SessionId, Store, Terms};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) fn rules<S: Store>() -> Vec<fn(&S)> {
    vec![
        unknown_ids_are_absent,
        a_commit_is_loaded,
        what_was_loaded_is_a_copy,
        a_new_record_needs_a_free_id,
        a_commit_needs_the_version_it_was_loaded_with,
        a_deleted_record_is_gone,
        deleting_twice_is_harmless,
        a_record_moves_to_another_id,
        ids_that_look_alike_are_apart,
        a_record_ends_with_its_life,
        a_touch_extends_life_and_keeps_the_version,
        a_sweep_removes_what_has_ended_and_nothing_else,
        the_age_of_the_cookie_is_remembered,
        parallel_commits_lose_nothing,
        a_sweep_disturbs_nobody,
        answers_come_as_the_store_says,
    ]
}

fn answers_come_as_the_store_says<S: Store>(store: &S) {
    let answer = store.load(&SessionId::random(), Moment::now());
    let is_later = matches!(answer, Answer::Later(_));
    assert!(!is_later || store.answers() == Answers::Later, "a store whose answers come later says so");
    assert!(answer.wait().expect("load").is_none(), "an id that was never committed has no record");
}

fn unknown_ids_are_absent<S: Store>(store: &S) {
    let id = SessionId::random();
    assert!(load(store, &id, Moment::now()).is_none(), "an id that was never committed has no record");
    store.touch(&id, &terms(Moment::now())).wait().expect("touching a missing record is not an error");
    assert!(load(store, &id, Moment::now()).is_none(), "touching an unknown id makes no record");
    assert_eq!(store.count().expect("count").unwrap_or(0), 0, "an empty store counts 0");
}

fn a_commit_is_loaded<S: Store>(store: &S) {
    let (id, now) = (SessionId::random(), Moment::now());
    let mut data = data(1);
    data.insert("text", "ä \u{1f352} \0 \" \n".into());
    data.insert("nested", serde_json::json!({"list": [1, -2, 3.5, null, true], "empty": {}}));
    data.insert("large", u64::MAX.into());
    let version = committed(store.commit(&id, None, &data, &terms(now)));
    let record = load(store, &id, now).expect("a committed record is there");
    assert_eq!(record.data, data, "what is loaded is what was committed");
    assert_eq!(record.version, version, "the version loaded is the version committed");
    assert_eq!(store.count().expect("count").unwrap_or(1), 1, "one record counts 1");
}

fn what_was_loaded_is_a_copy<S: Store>(store: &S) {
    let (id, now) = (SessionId::random(), Moment::now());
    let _ = committed(store.commit(&id, None, &data(1), &terms(now)));
    let mut copy = load(store, &id, now).expect("a record");
    copy.data.insert("number", 2.into());
    assert_eq!(number(store, &id, now), 1, "a change without a commit is not kept");
}

fn a_new_record_needs_a_free_id<S: Store>(store: &S) {
    let (id, now) = (SessionId::random(), Moment::now());
    let _ = committed(store.commit(&id, None, &data(1), &terms(now)));
    assert_eq!(outcome(store.commit(&id, None, &data(2), &terms(now))), Commit::Conflict, "the id is taken");
    assert_eq!(number(store, &id, now), 1, "a conflict keeps what was there");
}

fn a_commit_needs_the_version_it_was_loaded_with<S: Store>(store: &S) {
    let (id, now) = (SessionId::random(), Moment::now());
    let first = committed(store.commit(&id, None, &data(1), &terms(now)));
    let second = committed(store.commit(&id, Some(first), &data(2), &terms(now)));
    assert_ne!(first, second, "every commit makes another version");
    let late = outcome(store.commit(&id, Some(first), &data(3), &terms(now)));
    assert_eq!(late, Commit::Conflict, "the version is not the one there");
    assert_eq!(number(store, &id, now), 2, "a conflict keeps what was there");
}

fn a_deleted_record_is_gone<S: Store>(store: &S) {
    let (id, now) = (SessionId::random(), Moment::now());
    let version = committed(store.commit(&id, None, &data(1), &terms(now)));
    store.delete(&id).wait().expect("delete");
    assert!(load(store, &id, now).is_none(), "a deleted record is not loaded");
    let late = outcome(store.commit(&id, Some(version), &data(2), &terms(now)));
    assert_eq!(late, Commit::Conflict, "a late commit does not bring a deleted record back");
    assert!(load(store, &id, now).is_none(), "a late commit does not bring a deleted record back");
}

fn deleting_twice_is_harmless<S: Store>(store: &S) {
    let id = SessionId::random();
    store.delete(&id).wait().expect("deleting a missing record is not an error");
    let _ = committed(store.commit(&id, None, &data(1), &terms(Moment::now())));
    store.delete(&id).wait().expect("delete");
    store.delete(&id).wait().expect("deleting a missing record is not an error");
    assert_eq!(store.count().expect("count").unwrap_or(0), 0, "a deleted record does not count");
}

fn a_record_ends_with_its_life<S: Store>(store: &S) {
    let (id, now) = (SessionId::random(), Moment::now());
    let version = committed(store.commit(&id, None, &data(1), &terms(now)));
    assert!(load(store, &id, now.later(LIFETIME / 2)).is_some(), "alive within its life");
    let after = now.later(LIFETIME * 2);
    assert!(load(store, &id, after).is_none(), "not loaded after its life, swept or not");
    store.touch(&id, &terms(after)).wait().expect("touch");
    assert!(load(store, &id, after).is_none(), "a touch does not revive");
    let late = outcome(store.commit(&id, Some(version), &data(2), &terms(after)));
    assert_eq!(late, Commit::Conflict, "an ended record is gone for a commit");
    let _ = committed(store.commit(&id, None, &data(3), &terms(after)));
    assert_eq!(number(store, &id, after), 3, "an ended record does not stand in the way of a new one");
}

fn a_touch_extends_life_and_keeps_the_version<S: Store>(store: &S) {
    let (id, now) = (SessionId::random(), Moment::now());
    let version = committed(store.commit(&id, None, &data(1), &terms(now)));
    let half = now.later(LIFETIME * 3 / 4);
    store.touch(&id, &terms(half)).wait().expect("touch");
    let record = load(store, &id, now.later(LIFETIME * 3 / 2)).expect("life was extended");
    assert_eq!(record.version, version, "a touch makes no version");
    let quarter = LIFETIME / 4;
    assert!(
        record.remaining <= quarter && record.remaining + Duration::from_secs(1) >= quarter,
        "what remains of a life"
    );
}

fn a_sweep_removes_what_has_ended_and_nothing_else<S: Store>(store: &S) {
    let now = Moment::now();
    let ids: Vec<_> = (0..100).map(|_| SessionId::random()).collect();
    for (index, id) in ids.iter().enumerate() {
        let lifetime = if index % 2 == 0 { LIFETIME } else { LIFETIME * 10 };
        let terms = Terms { lifetime, ..terms(now) };
        let _ = committed(store.commit(id, None, &data(1), &terms));
    }
    let after = now.later(LIFETIME * 2);
    let swept = store.sweep(after).expect("sweep");
    if !store.expires_by_itself() {
        assert_eq!(swept, 50, "a sweep says how many it removed");
    }
    assert_eq!(store.sweep(after).expect("sweep"), 0, "a second sweep finds nothing");
    assert_eq!(store.count().expect("count").unwrap_or(50), 50, "a sweep keeps the living");
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(load(store, id, after).is_some(), index % 2 == 1, "a sweep keeps the living");
    }
}

fn the_age_of_the_cookie_is_remembered<S: Store>(store: &S) {
    let (id, now) = (SessionId::random(), Moment::now());
    let version = committed(store.commit(&id, None, &data(1), &terms(now)));
    let third = now.later(LIFETIME / 3);
    assert_eq!(cookie_age(store, &id, third), 20, "the cookie of a new record is sent with it");
    let _ = committed(store.commit(&id, Some(version), &data(2), &Terms { cookie_sent: false, ..terms(third) }));
    assert_eq!(cookie_age(store, &id, third), 20, "a commit without a cookie keeps its age");
    store.touch(&id, &terms(third)).wait().expect("touch");
    assert_eq!(cookie_age(store, &id, third), 0, "a cookie that is sent is new");
}

fn parallel_commits_lose_nothing<S: Store>(store: &S) {
    const THREADS: usize = 4;
    const ROUNDS: u64 = 50;
    let id = SessionId::random();
    let _ = committed(store.commit(&id, None, &data(0), &terms(Moment::now())));
    let barrier = Barrier::new(THREADS);
    let count = || {
        barrier.wait();
        for _ in 0..ROUNDS {
            loop {
                let now = Moment::now();
                let record = load(store, &id, now).expect("a record");
                let next = record.data.get("number").and_then(|value| value.as_u64()).expect("a number") + 1;
                match outcome(store.commit(&id, Some(record.version), &data(next), &terms(now))) {
                    Commit::Committed(_) => break,
                    Commit::Conflict | Commit::LockLost => {}
                }
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(count))));
    let total = number(store, &id, Moment::now());
    assert_eq!(total, THREADS as u64 * ROUNDS, "two commits of one version: only one is kept");
}

/// The steps of `regenerate`.
fn a_record_moves_to_another_id<S: Store>(store: &S) {
    let (old, new, now) = (SessionId::random(), SessionId::random(), Moment::now());
    let _ = committed(store.commit(&old, None, &data(1), &terms(now)));
    let record = load(store, &old, now).expect("a record");
    let _ = committed(store.commit(&new, None, &record.data, &terms(now)));
    store.delete(&old).wait().expect("delete");
    assert!(load(store, &old, now).is_none(), "the old id of a session with a new one belongs to no session");
    assert_eq!(number(store, &new, now), 1, "the new id has the content");
}

/// Ids are random, but a client may send any.
fn ids_that_look_alike_are_apart<S: Store>(store: &S) {
    let now = Moment::now();
    let texts = ["0", "f", "2", "5"].map(|digit| digit.repeat(40));
    let similar = ["0000000000000000000000000000000000000001", "1000000000000000000000000000000000000000"];
    let ids: Vec<_> = texts
        .iter()
        .map(String::as_str)
        .chain(similar)
        .map(|text| SessionId::parse(text.as_bytes()).expect("forty digits are an id"))
        .collect();
    for (index, id) in (0..).zip(&ids) {
        assert!(load(store, id, now).is_none(), "ids that look alike have records of their own");
        let _ = committed(store.commit(id, None, &data(index), &terms(now)));
    }
    for (index, id) in (0..).zip(&ids) {
        assert_eq!(number(store, id, now), index, "ids that look alike have records of their own");
        store.delete(id).wait().expect("delete");
    }
}

/// 10,000 sessions, half of them ended, are swept while requests use the others.
fn a_sweep_disturbs_nobody<S: Store>(store: &S) {
    const SESSIONS: usize = 10_000;
    const THREADS: usize = 4;
    let now = Moment::now();
    let ids: Vec<_> = (0..SESSIONS).map(|_| SessionId::random()).collect();
    let fill = |part: &[SessionId]| {
        for (index, id) in part.iter().enumerate() {
            let lifetime = if index % 2 == 0 { LIFETIME } else { LIFETIME * 10 };
            let _ = committed(store.commit(id, None, &data(0), &Terms { lifetime, ..terms(now) }));
        }
    };
    std::thread::scope(|scope| ids.chunks(SESSIONS / THREADS).for_each(|part| drop(scope.spawn(move || fill(part)))));
    let after = now.later(LIFETIME * 2);
    let is_swept = AtomicBool::new(false);
    let living: Vec<_> = ids.iter().skip(1).step_by(2).collect();
    let serve = |part: &[&SessionId]| {
        for id in part.iter().cycle().take(part.len().max(200)) {
            let record = load(store, id, after).expect("a sweep keeps the living");
            let next = record.data.get("number").and_then(|value| value.as_u64()).expect("a number") + 1;
            let _ = committed(store.commit(id, Some(record.version), &data(next), &terms(after)));
            let newcomer = SessionId::random();
            let _ = committed(store.commit(&newcomer, None, &data(1), &terms(after)));
            store.delete(&newcomer).wait().expect("delete");
            if is_swept.load(Ordering::Relaxed) {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        living.chunks(living.len().div_ceil(THREADS)).for_each(|part| drop(scope.spawn(move || serve(part))));
        let swept = store.sweep(after).expect("sweep");
        is_swept.store(true, Ordering::Relaxed);
        assert!(store.expires_by_itself() || swept == SESSIONS / 2, "a sweep beside requests removes what has ended");
    });
    let count = store.count().expect("count").unwrap_or(living.len());
    assert!(store.expires_by_itself() || count == living.len(), "after a sweep there are as many as live: {count}");
    assert!(living.iter().all(|id| load(store, id, after).is_some()), "a sweep keeps the living");
    assert!(ids.iter().step_by(2).all(|id| load(store, id, after).is_none()), "what has ended is gone");
}

/// In whole seconds: a store may round the times of a record.
fn cookie_age<S: Store>(store: &S, id: &SessionId, now: Moment) -> u64 {
    load(store, id, now).expect("a record").cookie_age.as_millis().div_ceil(1000).try_into().expect("small")
}
