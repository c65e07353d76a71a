//! The testbed as a process: its announcement, its answers and its exit code.

use demo_apps::process::Program;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");

fn testbed(arguments: &[&str]) -> Program {
    let mut command = Command::new(TESTBED);
    command.args(["--listen", "127.0.0.1:0"]).args(arguments);
    Program::run(command)
}

#[test]
fn it_listens_at_every_address_and_announces_each() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.sock");
    let at_path = format!("unix:{}", path.display());
    let program = testbed(&["--listen", "[::1]:0", "--listen", &format!("{at_path} mode=0600")]);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut socket = UnixStream::connect(&path).expect("it listens");
    socket.write_all(request).expect("room");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer, then the end");
    assert!(answer.ends_with("Hello, World!"), "{answer}");
    let (code, announced) = program.end_with(Signal::TERM);
    assert_eq!(code, Some(0));
    let [six, unix] = announced.lines().collect::<Vec<_>>()[..] else { panic!("two more addresses: {announced}") };
    assert!(six.starts_with("Serving on http://[::1]:") && unix == format!("Serving on {at_path}"), "{announced}");
    assert!(!path.exists());
}

/// What systemd does before it starts a program: a listening socket as descriptor 3, and variables that name it.
const MANAGER: &str = "
import os, socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='http')
os.execv(sys.argv[1], sys.argv[1:])
";

fn under_a_manager(arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", MANAGER, TESTBED]).args(arguments);
    command
}

#[test]
fn it_serves_at_the_socket_of_a_service_manager() {
    let program = Program::run(under_a_manager(&["--listen", "fd:http"]));
    program.client.get("/").send().assert_text("Hello, World!");
    assert_eq!(program.end_with(Signal::TERM).0, Some(0));
}

#[test]
fn a_socket_without_an_address_and_an_address_without_a_socket_stop_the_start() {
    let table = [("127.0.0.1:0", "the socket fd:http was passed on"), ("fd:https", "FileDescriptorName=https")];
    for (listen, problem) in table {
        let output = under_a_manager(&["--listen", listen]).output().expect("Python is there");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(problem), "{said}");
    }
}

#[test]
fn it_announces_its_address_answers_and_ends_with_0_after_sigterm() {
    let program = testbed(&["--sessions", "memory"]);
    program.client.get("/").send().assert_status(200).assert_text("Hello, World!");
    program.client.get("/count").send().assert_text("1");
    assert_eq!(program.end_with(Signal::TERM), (Some(0), String::new()));
}

// The first signal waits for the running request, the second does not.
#[test]
fn a_second_signal_ends_it_at_once() {
    let program = testbed(&[]);
    let mut streaming = program.client.get("/stream?chunks=2&ms=3600000").send_streaming();
    assert_eq!(streaming.next().as_deref(), Some(&b"Chunk 0\n"[..]));
    program.signal(Signal::TERM);
    // The drain has begun when a new connection is refused or its answer announces the end.
    while program.client.new_browser().get("/").try_send().is_ok_and(|response| response.header("connection").is_none())
    {
    }
    let (code, _) = program.end_with(Signal::TERM);
    assert_ne!(code, Some(0));
}

#[test]
fn a_request_that_runs_is_answered_before_it_ends() {
    let program = testbed(&[]);
    let client = program.client.clone();
    let mut streaming = client.get("/stream?chunks=3&ms=200").send_streaming();
    assert!(streaming.next().is_some());
    assert_eq!(program.end_with(Signal::TERM).0, Some(0));
    streaming.finish().assert_text("Chunk 0\nChunk 1\nChunk 2\n");
}

/// What browsers ask for.
const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn the_first_page_lists_all_pages_in_browsers_and_greets_programs() {
    let client = kirsch::testing::Client::in_process(testbed::app());
    client.get("/").send().assert_text("Hello, World!").assert_header("content-type", "text/plain; charset=utf-8");
    client.get("/").header("Accept", HTML).send().assert_contains("<a href=\"/form\">");
}

#[test]
fn a_wrong_form_is_shown_again_to_browsers_and_told_by_field_to_programs() {
    let client = kirsch::testing::Client::in_process(testbed::app());
    client.get("/form").send().assert_status(200).assert_lacks("aria-invalid");
    let wrong = [("title", "\"Tea\""), ("seats", "0")];
    let told = client.post("/form").form(&wrong).send();
    told.assert_status(422).assert_contains("\"errors\":{\"seats\":[\"Must be from 1 to 99.\"]}");
    let shown = client.post("/form").form(&wrong).header("Accept", HTML).send();
    shown.assert_status(422).assert_contains("value=\"&quot;Tea&quot;\"").assert_contains("Must be from 1 to 99.");
    let right = [("title", "Tea"), ("seats", "99")];
    client.post("/form").form(&right).send().assert_status(303).assert_header("location", "/form");
}
