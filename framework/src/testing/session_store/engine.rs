//! A store whose records are spoiled, or whose engine is gone.

use super::locks::LONG;
use super::requests::{lazy, site};
use super::{LIFETIME, PATIENCE, committed, data, load, number, terms};
use crate::sessions::{Moment, SessionId, Store};
use std::time::{Duration, Instant};

/// Checks that an unreadable record is put aside, counted, and blocks no other. `spoil` overwrites the content of that
/// record in the engine with other bytes.
///
/// # Panics
/// When the store breaks a rule; the message is the rule.
pub fn check_spoiled<S: Store>(make_store: impl Fn() -> S, spoil: impl Fn(&S, &SessionId)) {
    let store = make_store();
    let now = Moment::now();
    let ids: Vec<_> = (0..4).map(|_| SessionId::random()).collect();
    for id in &ids {
        let _ = committed(store.commit(id, None, &data(1), &terms(now)));
    }
    let before = store.quarantined();
    spoil(&store, &ids[0]);
    assert!(load(&store, &ids[0], now).is_none(), "a record that cannot be read is absent, and no error");
    assert!(load(&store, &ids[0], now).is_none(), "a record that cannot be read is absent, and no error");
    assert_eq!(store.quarantined(), before + 1, "a record that cannot be read is counted, once");
    let _ = committed(store.commit(&ids[0], None, &data(2), &terms(now)));
    assert_eq!(number(&store, &ids[0], now), 2, "a record that cannot be read is not in the way of a new one");
    spoil(&store, &ids[1]);
    store.sweep(now).expect("a record that cannot be read does not end a sweep");
    assert_eq!(number(&store, &ids[2], now), 1, "a sweep keeps the living");
    spoil(&store, &ids[3]);
    let after = now.later(LIFETIME * 2);
    let swept = store.sweep(after).expect("a record that cannot be read does not end a sweep");
    assert!(store.expires_by_itself() || swept >= 2, "a sweep goes on behind a record that cannot be read");
    assert!(ids.iter().all(|id| load(&store, id, after).is_none()), "what has ended is gone");
}

/// Checks that a store whose engine is gone says so within its deadlines, and works again by itself when the engine is
/// back. `stop` ends the engine (or cuts the way to it), `start` brings it back; its records may be lost.
///
/// # Panics
/// When the store breaks a rule; the message is the rule.
pub fn check_dead_engine<S: Store>(make_store: impl Fn() -> S, stop: impl Fn(), start: impl Fn()) {
    let store = make_store();
    let visitor = site(make_store(), lazy);
    let (id, now) = (SessionId::random(), Moment::now());
    let version = committed(store.commit(&id, None, &data(1), &terms(now)));
    visitor.get("/set?value=old").send().assert_status(200);

    stop();
    let began = Instant::now();
    assert!(store.load(&id, now).wait().is_err(), "without its engine a store cannot load, and says so");
    assert!(
        store.commit(&id, Some(version), &data(2), &terms(now)).wait().is_err(),
        "a commit without an engine is an error"
    );
    assert!(store.delete(&id).wait().is_err(), "a delete without an engine is an error");
    if let Some(shared) = store.shared_lock() {
        assert!(shared.try_lock(&id, LONG).wait().is_err(), "a lock without an engine is an error, not a lock");
    }
    assert!(store.probe().is_err(), "a probe without an engine is an error");
    visitor.get("/count").send().assert_status(503).assert_header("retry-after", "1");
    visitor.get("/get").send().assert_status(503).assert_header("retry-after", "1");
    visitor.get("/plain").send().assert_status(200);
    assert!(began.elapsed() < 2 * PATIENCE, "a store without its engine answers within its deadlines");

    start();
    let deadline = Instant::now() + PATIENCE;
    while store.load(&id, now).wait().is_err() || visitor.get("/count").send().status() != 200 {
        assert!(Instant::now() < deadline, "a store works again by itself when its engine is back");
        std::thread::sleep(Duration::from_millis(20));
    }
    let newcomer = visitor.new_browser();
    newcomer.get("/set?value=new").send().assert_status(200);
    newcomer.get("/get").send().assert_text("new");
}
