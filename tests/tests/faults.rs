//! Failures inside: handlers, hooks, error pages and streams that panic, a log and a disk that cannot be written.

use integration_tests::{program::Program, quiet_worker_panics, wait_until, watched::Watched};
use kirsch::prelude::*;
use std::{
    fs::File,
    net::TcpListener,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_attacked");

// Ten thousand panics, and not one worker less. `assert_recovered` counts them.
#[test]
fn ten_thousand_panics_in_a_handler_cost_no_worker() {
    quiet_worker_panics();
    let server = Watched::start(|_| {});
    for _ in 0..10_000 {
        server.client.get("/panic").send().assert_status(500);
    }
    assert_eq!(server.running.statistics().workers_alive, 4);
    server.assert_recovered();
}

/// Panics at one hook point of the section.
struct Bomb(HookPoint, Arc<AtomicUsize>);

impl Tool for Bomb {
    fn name(&self) -> &'static str {
        "bomb"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let (point, count) = (self.0, Arc::clone(&self.1));
        hooks.at(point, move |_| -> () {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("asked for at {point:?}")
        });
    }
}

// Panics in all hooks.
#[test]
fn ten_thousand_panics_in_hooks_cost_no_worker() {
    use HookPoint::*;
    quiet_worker_panics();
    for (point, path) in [
        (OnStartResource, "/echo"),
        (BeforeRequestBody, "/echo"),
        (BeforeHandler, "/echo"),
        (BeforeFinalize, "/echo"),
        (OnEndResource, "/echo"),
        (OnEndRequest, "/echo"),
        (BeforeErrorResponse, "/panic"),
        (AfterErrorResponse, "/panic"),
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let bomb = Bomb(point, Arc::clone(&count));
        let server = Watched::start_app(|_| {}, |app| app.tool(path, bomb));
        for _ in 0..1250 {
            let status = server.client.post(path).body("abc").send().status().as_u16();
            assert!([200, 500].contains(&status), "{point:?}: {status}");
        }
        wait_until(|| count.load(Ordering::SeqCst) == 1250);
        server.assert_recovered();
    }
}

#[test]
fn a_panic_in_an_error_page_costs_no_worker() {
    quiet_worker_panics();
    let server =
        Watched::start_app(|_| {}, |app| app.default_error_page(|_| -> &'static str { panic!("in the error page") }));
    for _ in 0..500 {
        server.client.get("/nowhere").send().assert_status(404);
        server.client.get("/panic").send().assert_status(500);
    }
    server.assert_recovered();
}

/// A stream that panics in the middle, and again when it is dropped.
struct Rotten(u8);

impl Iterator for Rotten {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.0 += 1;
        assert!(self.0 < 3, "in the stream");
        Some(b"chunk".to_vec())
    }
}

impl Drop for Rotten {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "when the stream is dropped");
    }
}

#[test]
fn a_stream_that_panics_even_when_dropped_costs_no_worker() {
    quiet_worker_panics();
    let server = Watched::start_app(|_| {}, |app| app.error_page(StatusCode::NOT_FOUND, |_| Stream::new(Rotten(0))));
    for _ in 0..200 {
        let mut connection = server.client.raw();
        connection.send("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = connection.read_to_end();
        assert!(!answer.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&answer));
    }
    server.assert_recovered();
}

// A session's lock outlives no panic, wherever it happens.
#[test]
fn a_panic_with_a_session_lets_go_of_it() {
    quiet_worker_panics();
    for point in
        [HookPoint::BeforeHandler, HookPoint::BeforeFinalize, HookPoint::OnEndResource, HookPoint::OnEndRequest]
    {
        let bomb = Bomb(point, Arc::default());
        let server = Watched::start_app(|_| {}, |app| app.tool("/count/", bomb));
        server.client.set_cookie("session_id", &"ab".repeat(16));
        for _ in 0..50 {
            server.client.get("/count").send();
        }
        server.assert_recovered();
    }
}

/// Errors, panics and ordinary pages, while the log cannot be written; then SIGTERM.
fn assert_serves(program: Program) {
    for _ in 0..50 {
        program.client.get("/").send().assert_text("here");
        program.client.get("/nowhere").send().assert_status(404);
        program.client.get("/panic").send().assert_status(500);
    }
    assert_eq!(program.terminate().code(), Some(0));
}

// The disk of the log is full.
#[test]
fn a_log_on_a_full_disk_does_no_harm() {
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    assert_serves(Program::start(PROGRAM, "", "", full.into()));
}

// The reader of the log is gone.
#[test]
fn a_log_into_a_broken_pipe_does_no_harm() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_serves(Program::start(PROGRAM, "", "", writer.into()));
}

#[test]
fn closed_standard_streams_do_no_harm() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    drop(taken);
    let configuration = format!("[global]\nserver.listen = \"{address}\"");
    assert_serves(Program::start_unheard(PROGRAM, "exec <&- >&- 2>&-; ", &configuration, address));
}

// A failure to write a temporary file is an error of that request alone.
#[test]
fn without_a_directory_for_temporary_files_only_large_bodies_fail() {
    let program = Program::start(PROGRAM, "TMPDIR=/nowhere/at/all; export TMPDIR; ", "", Stdio::null());
    for _ in 0..20 {
        program.client.new_browser().post("/echo").body(vec![b'x'; 2_000_000]).send().assert_status(500);
        program.client.post("/echo").body("small").send().assert_text("small");
    }
    assert_eq!(program.terminate().code(), Some(0));
}
