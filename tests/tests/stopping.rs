//! A graceful stop: running requests are answered, idle connections are not waited for, and all ends by one deadline.

use integration_tests::{Gate, HeldPages, wait_until};
use kirsch::{engine::Running, prelude::*, testing::Client};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(3600);

fn start(change: impl FnOnce(App) -> App) -> (Running, Client, Gate) {
    let gate = Gate::new();
    let running = change(App::new(HeldPages { gate: gate.clone() })).start("127.0.0.1:0").expect("a free port");
    let client = Client::connect(running.address());
    (running, client, gate)
}

// A request whose head was read counts as running. Its answer announces the end.
#[test]
fn a_running_request_is_answered() {
    let (running, client, gate) = start(|app| app);
    thread::scope(|scope| {
        let held = scope.spawn(|| client.get("/hold").send());
        gate.wait_for(1);
        let stopped = scope.spawn(|| running.stop(LONG));
        wait_until(|| client.new_browser().get("/").try_send().is_err());
        gate.open();
        held.join().expect("it is answered").assert_text("held").assert_header("connection", "close");
        assert!(stopped.join().expect("it stops").unfinished.is_empty());
    });
}

// Idle connections are not waited for. The deadline of an hour would show.
#[test]
fn idle_connections_are_not_waited_for() {
    let (running, client, _gate) = start(|app| app);
    let mut idle: Vec<_> = (0..10).map(|_| client.raw()).collect();
    for connection in &mut idle {
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_status(200);
    }
    assert!(running.stop(LONG).unfinished.is_empty());
    idle.iter_mut().for_each(kirsch::testing::RawConnection::assert_closed);
}

// The deadline is absolute, and the report names late requests.
#[test]
fn late_requests_are_in_the_report() {
    let (running, client, gate) = start(|app| app);
    thread::scope(|scope| {
        scope.spawn(|| drop(client.get("/hold").try_send()));
        gate.wait_for(1);
        let report = running.stop(Duration::from_millis(50));
        assert_eq!(report.unfinished.iter().map(|(request, _)| request.as_str()).collect::<Vec<_>>(), ["GET /hold"]);
        gate.open();
    });
}

#[test]
fn on_stop_runs_after_the_last_request() {
    let done = Arc::new(AtomicBool::new(false));
    let at_stop = Arc::clone(&done);
    let (running, client, _gate) = start(|app| {
        app.on_stop(move || {
            at_stop.store(true, Ordering::SeqCst);
            Ok(())
        })
    });
    client.get("/").send().assert_text("here");
    assert!(!done.load(Ordering::SeqCst));
    let _report = running.stop(LONG);
    assert!(done.load(Ordering::SeqCst));
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let app = App::new(HeldPages { gate: Gate::new() }).on_start(|_| Err(Error::unexpected("not today")));
    let error = app.start("127.0.0.1:0").expect_err("on_start failed");
    assert!(error.to_string().contains("not today"));
}
