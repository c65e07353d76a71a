//! Sessions in memcached: the rules of every store, and the special ones of this store. Each test starts the servers
//! that it needs.

use integration_tests::engines::{Engine, Wire, free_port};
use integration_tests::networked::{check_lossy_wire, check_silent_engine, data, kept, terms};
use kirsch::sessions::{Commit, Data, MemcachedStore, Moment, SessionId, Store};
use kirsch::testing::session_store;
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn store(engine: &Engine) -> MemcachedStore {
    MemcachedStore::new([engine.address()]).prefix(format!("{}:", SessionId::random()))
}

/// Speaks memcached's protocol; the first of the answer's lines.
fn say(engine: &Engine, words: &str) -> String {
    let mut stream = TcpStream::connect(engine.address()).expect("memcached");
    stream.write_all(words.as_bytes()).expect("memcached");
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).expect("memcached");
    String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned()
}

fn curr_items(engine: &Engine) -> u64 {
    let mut stream = TcpStream::connect(engine.address()).expect("memcached");
    stream.write_all(b"stats\r\nquit\r\n").expect("memcached");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("memcached");
    let line = text.lines().find_map(|line| line.strip_prefix("STAT curr_items ")).expect("a count");
    line.parse().expect("a number")
}

#[test]
fn memcached_conforms() {
    let engine = Engine::memcached(&[]);
    session_store::check(|| store(&engine));
}

#[test]
fn memcached_is_shared() {
    let engines = [Engine::memcached(&[]), Engine::memcached(&[])];
    let prefix = format!("{}:", SessionId::random());
    let open = || MemcachedStore::new(engines.each_ref().map(Engine::address)).prefix(prefix.clone());
    session_store::check_shared(open);
}

#[test]
fn several_processes_share_memcached() {
    // Those that the test starts are told where it is.
    let engine = std::env::var_os("KIRSCH_CONFORMANCE_ROLE").is_none().then(|| Engine::memcached(&[]));
    let address = engine.as_ref().map_or_else(String::new, Engine::address);
    session_store::processes("several_processes_share_memcached", &address, |address| MemcachedStore::new([address]));
}

#[test]
fn a_spoiled_record_blocks_no_other() {
    let engine = Engine::memcached(&[]);
    let spoil = |_: &MemcachedStore, id: &SessionId| {
        assert_eq!(say(&engine, &format!("ms s:{} 7\r\nspoiled\r\n", id.storage_key())), "HD");
    };
    session_store::check_spoiled(|| store(&engine).prefix("s:"), spoil);
}

#[test]
fn without_memcached_requests_end_in_time_and_come_back_by_themselves() {
    let engine = RefCell::new(Engine::memcached(&[]));
    let open = || store(&engine.borrow()).connect_timeout(Duration::from_millis(500));
    session_store::check_dead_engine(open, || engine.borrow_mut().stop(), || engine.borrow_mut().resume());
}

#[test]
fn a_restart_costs_the_sessions_and_nothing_else() {
    let mut engine = Engine::memcached(&[]);
    let (store, id) = (store(&engine), SessionId::random());
    let version = kept(store.commit(&id, None, &data(1), &terms()));
    engine.stop();
    let problem = store.load(&id, Moment::now()).wait().expect_err("gone").to_string();
    assert!(problem.contains("cannot be reached") && problem.contains(&engine.address()), "{problem}");
    engine.resume();
    assert_eq!(
        store.commit(&id, Some(version), &data(2), &terms()).wait().expect("back"),
        Commit::Conflict,
        "forgotten"
    );
    let _ = kept(store.commit(&id, None, &data(3), &terms()));
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_once() {
    let engine = Engine::memcached(&[]);
    let (store, id) = (store(&engine).operation_timeout(Duration::from_millis(200)), SessionId::random());
    let version = kept(store.commit(&id, None, &data(1), &terms()));
    engine.freeze();
    let problem = store.load(&id, Moment::now()).wait().expect_err("frozen").to_string();
    assert!(problem.contains("did not answer in time"), "{problem}");
    engine.thaw();
    // A late answer to an earlier request is not taken for the answer to this one.
    let _ = kept(store.commit(&id, Some(version), &data(2), &terms()));
}

#[test]
fn a_lost_server_takes_its_own_sessions_with_it_and_no_others() {
    let mut engines = [Engine::memcached(&[]), Engine::memcached(&[])];
    let store = MemcachedStore::new(engines.each_ref().map(Engine::address));
    let ids: Vec<_> = (0..40).map(|_| SessionId::random()).collect();
    for id in &ids {
        let _ = kept(store.commit(id, None, &data(1), &terms()));
    }
    let (first, second) = (curr_items(&engines[0]), curr_items(&engines[1]));
    assert!(first > 0 && second > 0 && first + second == 40, "{first} + {second}");
    engines[0].stop();
    let failed = ids.iter().filter(|id| store.load(id, Moment::now()).wait().is_err()).count();
    assert_eq!(failed as u64, first, "no session moves to where it is not");
    let problem = store.probe().expect_err("one is gone").to_string();
    assert!(problem.contains(&engines[0].address()), "{problem}");
}

#[test]
fn a_session_beyond_an_item_is_too_large() {
    let engine = Engine::memcached(&[]);
    let mut large = Data::new();
    large.insert("text", "x".repeat(1 << 20).into());
    let problem = store(&engine).commit(&SessionId::random(), None, &large, &terms()).wait().expect_err("too large");
    assert!(problem.is_too_large(), "{problem}");
}

#[test]
fn a_full_memory_evicts_and_does_not_fail() {
    let engine = Engine::memcached(&["--memory-limit=2"]);
    let store = store(&engine);
    let mut large = Data::new();
    large.insert("text", "x".repeat(100_000).into());
    let ids: Vec<_> = (0..100).map(|_| SessionId::random()).collect();
    for id in &ids {
        let _ = kept(store.commit(id, None, &large, &terms()));
    }
    let there = |id: &SessionId| store.load(id, Moment::now()).wait().expect("memcached").is_some();
    assert!(!there(&ids[0]) && there(&ids[99]), "the one used longest ago went");
}

#[test]
fn a_server_without_memory_says_so() {
    let engine = Engine::memcached(&["--memory-limit=2", "--disable-evictions"]);
    let store = store(&engine);
    let mut large = Data::new();
    large.insert("text", "x".repeat(100_000).into());
    let problem = (0..100).find_map(|_| store.commit(&SessionId::random(), None, &large, &terms()).wait().err());
    assert!(problem.expect("full").to_string().contains("the memory of memcached is full"));
}

#[test]
fn another_server_than_memcached_is_named_at_the_start() {
    let nobody = MemcachedStore::new([format!("127.0.0.1:{}", free_port())]);
    assert!(nobody.probe().expect_err("nobody").to_string().contains("cannot be reached"));
    let redis = Engine::redis(&[]);
    let problem = MemcachedStore::new([redis.address()]).probe().expect_err("Redis").to_string();
    assert!(problem.contains("memcached") && problem.contains(&redis.address()), "{problem}");
}

#[test]
fn the_engine_sees_no_id() {
    let engine = Engine::memcached(&[]);
    let (store, id) = (store(&engine).prefix("s:"), SessionId::random());
    let _ = kept(store.commit(&id, None, &data(1), &terms()));
    assert_eq!(say(&engine, &format!("mg s:{}\r\n", id.reveal())), "EN");
    assert_eq!(say(&engine, &format!("mg s:{}\r\n", id.storage_key())), "HD");
}

#[test]
fn visitors_of_a_slow_memcached_hold_no_worker() {
    let engine = Engine::memcached(&[]);
    let wire = Wire::slow_to(&engine, Duration::from_millis(50));
    let minute = Duration::from_secs(60);
    let open = || MemcachedStore::new([wire.address()]).connect_timeout(minute).operation_timeout(minute);
    session_store::check_slow_engine(open, || wire.hold(), || wire.release());
}

#[test]
fn a_request_with_a_lost_answer_is_not_done_twice() {
    let engine = Engine::memcached(&[]);
    let wire = Wire::to(&engine);
    check_lossy_wire(&MemcachedStore::new([wire.address()]), &wire);
}

#[test]
fn a_silent_server_holds_one_request_at_a_time() {
    let engine = Engine::memcached(&[]);
    let store = store(&engine).operation_timeout(Duration::from_millis(500));
    check_silent_engine(&store, || engine.freeze(), || engine.thaw());
}
