//! What becomes of the answer: head, items, `close`, failures.

use crate::{assert_log, client, soon};
use std::fs;

#[test]
fn close_is_called_once_whatever_happens() {
    let client = client();
    let kinds = ["normal", "first", "later", "gone", "head", "304", "204"];
    for of in ["list", "generator", "apart"] {
        for kind in kinds.into_iter().filter(|kind| of != "list" || !["first", "later", "gone"].contains(kind)) {
            let name = format!("{of}-{kind}");
            let path = format!("/p/closing?of={of}&kind={kind}&name={name}");
            match kind {
                "head" => drop(client.head(&path).send().assert_status(200)),
                "first" => drop(client.get(&path).send().assert_status(500)),
                "later" => assert!(client.get(&path).try_send().is_err(), "{name}: the end is missing"),
                "gone" => {
                    let browser = client.new_browser();
                    let mut stream = browser.get(&path).send_streaming();
                    assert!(stream.next().is_some());
                    drop((stream, browser));
                }
                "304" | "204" => drop(client.get(&path).send().assert_status(kind.parse().expect("a number"))),
                _ => drop(client.get(&path).send().assert_status(200)),
            }
            let closed = || client.get(&format!("/p/closed?name={name}")).send().text().to_owned();
            soon(&format!("the close of {name}"), || closed() == "1");
        }
    }
}

#[test]
fn a_close_that_fails_is_told_to_the_log() {
    client().get("/p/close_fails").send().assert_status(200).assert_text("whole");
    assert_log(&["kirsch::wsgi", "close()", "in close"]);
}

#[test]
fn the_head_is_said_once_and_replaced_only_for_an_error() {
    let client = client();
    client.get("/p/twice").send().assert_status(500);
    client.get("/p/replaces").send().assert_status(502).assert_text("replaced");
    assert!(client.get("/p/replaces_late").try_send().is_err(), "the response breaks off");
    assert_log(&["the response breaks off", "behind the head"]);
    client.get("/p/not_started").send().assert_status(500);
    client.get("/p/late_start").send().assert_status(200).assert_text("late");
    client.get("/p/raises_started").send().assert_status(500).assert_no_header("x-half");
    client.get("/p/text_items").send().assert_status(500);
    assert_log(&["TypeError", "bytes, and this one is str"]);
}

#[test]
fn write_comes_before_the_items() {
    let client = client();
    client.get("/p/writes").send().assert_text("one two three");
    client.get("/p/writes_late").send().assert_status(200);
    client.get("/p/writes_late").send().assert_status(500);
    assert_log(&["write() was called after the application had returned"]);
}

#[test]
fn an_empty_item_is_no_end_and_each_other_one_is_sent_at_once() {
    let client = client();
    client.get("/p/empties").send().assert_text("onetwo");
    let folder = tempfile::tempdir().expect("a folder");
    let flag = folder.path().join("flag");
    let mut stream = client.get(&format!("/p/naps?until={}", flag.display())).send_streaming();
    assert_eq!(stream.next().as_deref(), Some(&b"before"[..]));
    fs::write(&flag, "").expect("a file");
    assert_eq!(stream.next().as_deref(), Some(&b"behind"[..]));
}

#[test]
fn a_head_that_cannot_be_sent_is_an_error_that_names_it() {
    let client = client();
    for (of, named) in [
        ("hop", "Connection"),
        ("name", "Not a name"),
        ("control", "X-Split"),
        ("beyond", "X-Beyond"),
        ("lengths", "Content-Length"),
        ("status", "two hundred"),
        ("interim", "100 Continue"),
        ("number", "must be a str"),
        ("shape", "tuple of two str"),
    ] {
        client.get(&format!("/p/head?of={of}")).send().assert_status(500).assert_no_header("set-cookie");
        assert_log(&[named, "page_head"]);
    }
}

#[test]
fn several_cookies_stay_several() {
    let response = client().get("/p/cookies").send();
    let cookies: Vec<_> = response.headers().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
}

#[test]
fn a_character_of_latin_1_is_a_byte_of_the_field() {
    let client = client();
    let mut raw = client.raw();
    raw.send("GET /p/cookies HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(raw.read_to_end().windows(4).any(|bytes| bytes == b" \xe4\r\n"));
}

#[test]
fn a_promised_length_is_kept_or_the_connection_breaks() {
    let client = client();
    for of in ["list", "iterator"] {
        let get = |length: u32| client.new_browser().get(&format!("/p/promise?of={of}&length={length}")).try_send();
        let kept = get(10).expect("a whole response");
        kept.assert_text("1234567890").assert_header("content-length", "10").assert_no_header("transfer-encoding");
        assert!(get(11).is_err(), "{of}: too short");
        assert!(get(9).is_err(), "{of}: too long");
    }
    client.head("/p/promise?length=10").send().assert_header("content-length", "10");
}

#[test]
fn a_real_file_is_sent_from_its_position_with_its_length() {
    let response = client().get("/p/file").send();
    response.assert_header("content-length", "999995");
    assert!(response.bytes().starts_with(b"567890"));
    client().get("/p/no_file").send().assert_text("not a real file").assert_no_header("content-length");
}

#[test]
fn an_exception_is_500_with_its_traceback_in_the_log() {
    let client = client();
    client.get("/p/raises").send().assert_status(500).assert_lacks("bad value");
    assert_log(&["ValueError: a bad value", "Traceback", "page_raises", "pages.py"]);
    client.get("/p/untellable").send().assert_status(500);
    for path in ["/p/exits", "/p/interrupted"] {
        client.get(path).send().assert_status(500);
    }
    client.get("/p/hello").send().assert_status(200);
}

#[test]
fn what_it_says_is_in_the_log_a_line_at_a_time() {
    client().get("/p/says?text=something").send().assert_text("said");
    assert_log(&["kirsch::wsgi request", ": said to the log: something"]);
    assert_log(&[": without an end"]);
}
