//! Requests that share Python's lock, and pages beside them that need none.

use crate::{app, assert_log, chunked, client, python, soon};
use kirsch::testing::Client;
use std::cell::RefCell;
use std::time::Duration;
use std::{fs, thread};

#[test]
fn native_pages_go_on_while_python_is_busy() {
    let folder = tempfile::tempdir().expect("a folder");
    let flag = folder.path().join("flag");
    let busy = format!("/p/busy?until={}", flag.display());
    let client = Client::over_socket(app(python("pages:application").lane(1)).threads(3));
    let client = client.with_timeout(Duration::from_secs(60));
    thread::scope(|scope| {
        let ask = || client.new_browser().get(&busy).send().text().to_owned();
        let asked: Vec<_> = (0..10).map(|_| scope.spawn(ask)).collect();
        for _ in 0..50 {
            client.get("/native").send().assert_text("Hello from Rust");
        }
        fs::write(&flag, "").expect("a file");
        assert!(asked.into_iter().all(|asked| asked.join().expect("no panic") == "was busy"));
    });
}

#[test]
fn a_full_line_is_503() {
    let folder = tempfile::tempdir().expect("a folder");
    let flag = folder.path().join("flag");
    let busy = format!("/p/busy?until={}", flag.display());
    let client = Client::over_socket(app(python("pages:application").lane(1).queue(1)));
    thread::scope(|scope| {
        let ask = || client.new_browser().get(&busy).send().status().as_u16();
        let asked: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        // Those that are let in wait for the flag; the others have their answer.
        soon("a refusal", || asked.iter().any(thread::ScopedJoinHandle::is_finished));
        fs::write(&flag, "").expect("a file");
        let statuses: Vec<_> = asked.into_iter().map(|asked| asked.join().expect("no panic")).collect();
        assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    });
}

#[test]
fn those_in_the_lane_may_wait_for_one_that_waits_for_its_client() {
    let client = Client::over_socket(app(python("pages:application").lane(1)).threads(4));
    let others_get_by = |go_on: &dyn Fn()| {
        thread::scope(|scope| {
            let ask = || client.new_browser().get("/p/reads_with_a_lock").send().text().to_owned();
            let others: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
            go_on();
            assert!(others.into_iter().all(|other| other.join().expect("no panic") == "0"));
        });
    };
    // Each has the application's lock, and no place in the lane.
    let raw = RefCell::new(chunked(&client, "/p/reads_with_a_lock", &[b"one"]));
    others_get_by(&|| {
        raw.borrow_mut().send("3\r\ntwo\r\n0\r\n\r\n").read_response().assert_text("6");
    });
    let stream = RefCell::new(client.new_browser().get("/p/yields_with_a_lock").send_streaming());
    others_get_by(&|| assert!(stream.borrow_mut().by_ref().map(|piece| piece.len()).sum::<usize>() == 2_000_000));
}

#[test]
fn an_extension_that_keeps_the_lock_is_named_and_native_pages_go_on() {
    let client = client().with_timeout(Duration::from_secs(60));
    thread::scope(|scope| {
        let keeps = scope.spawn(|| client.new_browser().get("/p/keeps_the_lock?seconds=3").send().text().to_owned());
        // The first that comes behind it waits.
        let waits = scope.spawn(|| {
            while !keeps.is_finished() {
                client.new_browser().get("/p/hello").send().assert_text("Hello from Python");
            }
            keeps.join().expect("no panic")
        });
        while !waits.is_finished() {
            client.get("/native").send().assert_text("Hello from Rust");
        }
        assert_eq!(waits.join().expect("no panic"), "kept it");
    });
    assert_log(&["Python's lock", "/p/keeps_the_lock"]);
}

#[test]
fn what_a_thread_keeps_is_there_for_its_next_call() {
    let client = Client::over_socket(app(python("pages:application")).threads(1));
    for calls in ["1", "2", "3"] {
        client.get("/p/of_thread").send().assert_text(calls);
    }
}
