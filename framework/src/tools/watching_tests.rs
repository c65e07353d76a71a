//! The log records of the tools that only watch.

use crate::logs::capture::records;
use crate::testing::Client;
use crate::tools::{LogHeaders, LogHooks, LogTime, LogTracebacks};
use crate::{App, Error, Tool, Tree};
use std::time::Duration;

fn panics_deep_down() -> &'static str {
    panic!("on purpose")
}

fn client(tool: impl Tool) -> Client {
    let tree = Tree::new().index(|_| "page").page("panics", |_| panics_deep_down());
    let tree = tree.page("refuses", |_| -> crate::Result { Err(Error::new(crate::StatusCode::CONFLICT, "no")) });
    Client::in_process(App::new(tree).tool("/", tool))
}

#[test]
fn secrets_are_not_logged_and_no_client_can_forge_a_line() {
    let client = client(LogHeaders::new().mask(["X-Token"]));
    let logged = records("kirsch::error", || {
        let asked = client.get("/panics").header("authorization", "Basic c2VjcmV0").header("cookie", "id=secret");
        let asked = asked.header("x-token", "secret").header("x-note", "caf\u{e9}\tERROR kirsch::error: forged");
        asked.send().assert_status(500);
    });
    let fields = logged.iter().find(|line| line.contains(" said:")).expect("the fields").clone();
    assert!(!fields.contains("secret") && !fields.contains("c2VjcmV0"), "{fields}");
    assert!(fields.contains("authorization: (14 bytes)") && fields.contains("x-token: (6 bytes)"), "{fields}");
    assert!(fields.contains("x-note: caf\\xc3\\xa9\\tERROR"), "{fields}");
}

#[test]
fn a_clients_mistake_is_not_worth_its_fields() {
    let logged = records("kirsch::error", || {
        client(LogHeaders::new()).get("/refuses").send().assert_status(409);
    });
    assert!(!logged.iter().any(|line| line.contains(" said:")), "{logged:?}");
}

#[test]
fn a_panic_is_logged_with_the_programs_own_steps() {
    // The frames of this crate are the library's, and left out: the test checks that no other frames are there.
    let logged = records("kirsch::error", || {
        client(LogTracebacks).get("/panics").send().assert_status(500);
    });
    assert!(logged.iter().any(|line| line.contains("on purpose")), "{logged:?}");
    assert!(!logged.iter().any(|line| line.contains("std::panicking")), "{logged:?}");
}

#[test]
fn slow_handlers_are_named_and_quick_ones_are_not() {
    let logged = |tool| {
        records("kirsch::time", || {
            client(tool).get("/?a=1").send().assert_status(200);
        })
    };
    let slow = logged(LogTime::slower_than(Duration::ZERO));
    assert!(
        slow.len() == 1 && slow[0].contains("handler index) ran ") && slow[0].contains(", after waiting "),
        "{slow:?}"
    );
    assert!(logged(LogTime::slower_than(Duration::from_secs(3600))).is_empty());
}

#[test]
fn the_hooks_of_a_section_are_listed_at_the_start() {
    let logged = records("kirsch::hooks", || {
        client(LogHooks).get("/").send().assert_status(200);
    });
    assert!(logged[0].contains("the hooks of \"/\":"), "{logged:?}");
    for hook in ["OnStartResource: trailing_slash 60", "OnEndRequest: log_hooks 100", "secure_headers 97 (always)"] {
        assert!(logged[0].contains(hook), "{logged:?}");
    }
    assert!(logged.iter().any(|line| line.starts_with("DEBUG") && line.contains("had the hooks of")), "{logged:?}");
}
