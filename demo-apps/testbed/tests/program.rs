//! The testbed as a process: its announcement, its answers and its exit code.

use demo_apps::process::Program;
use rustix::process::Signal;

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");

#[test]
fn it_announces_its_address_answers_and_ends_with_0_after_sigterm() {
    let program = Program::start(TESTBED, &["--sessions", "memory"]);
    program.client.get("/").send().assert_status(200).assert_text("Hello, World!");
    program.client.get("/count").send().assert_text("1");
    assert_eq!(program.end_with(Signal::TERM), (Some(0), String::new()));
}

// The first signal waits for the running request, the second does not.
#[test]
fn a_second_signal_ends_it_at_once() {
    let program = Program::start(TESTBED, &[]);
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
    let program = Program::start(TESTBED, &[]);
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
