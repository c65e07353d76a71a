//! Settings are merged by path, and wrong set-ups fail at start with a sentence that names the item and the fix.

use integration_tests::both;
use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn index(&self, name: Option<String>) -> String {
        name.unwrap_or_default()
    }

    #[expose]
    fn echo(&self, body: Bytes) -> Vec<u8> {
        body.0
    }

    #[expose]
    fn fail(&self) -> kirsch::Result {
        Err(Error::unexpected("the cause"))
    }
}

struct WithSession;

#[handlers]
impl WithSession {
    #[expose]
    fn index(&self, session: &Session) -> &'static str {
        session.set("seen", true);
        "seen"
    }
}

fn site(configuration: &'static str) -> impl Fn() -> App {
    move || {
        let tree = Tree::new().child("outer", Tree::new().child("inner", Pages)).child("other", Pages);
        App::new(tree).config_str(configuration)
    }
}

/// The sentence with which an application refuses to start.
fn refusal(app: App) -> String {
    app.build().expect_err("a wrong set-up was accepted").to_string()
}

fn assert_names(sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "{part:?} is missing in: {sentence}");
    }
}

#[test]
fn a_section_covers_its_path_and_all_paths_below() {
    both(site("[\"/outer\"]\nmax_body = 10"), |client| {
        client.post("/outer/inner/echo").body("0123456789").send().assert_status(200);
        client.post("/outer/inner/echo").body("0123456789x").send().assert_status(413);
        client.post("/other/echo").body("0123456789x").send().assert_status(200);
    });
}

#[test]
fn a_deeper_section_changes_single_keys() {
    both(site("[\"/outer\"]\nmax_body = 10\nshow_tracebacks = true\n[\"/outer/inner\"]\nmax_body = 20"), |client| {
        client.post("/outer/inner/echo").body("0123456789x").send().assert_status(200);
        client.get("/outer/inner/fail").send().assert_status(500).assert_contains("the cause");
        client.get("/other/fail").send().assert_status(500).assert_lacks("the cause");
    });
}

#[test]
fn a_refused_body_names_the_setting_to_operators_alone() {
    both(site("[\"/\"]\nmax_body = 10\n[\"/outer\"]\nshow_tracebacks = true"), |client| {
        let visitor = client.post("/other/echo").body("0123456789x").send();
        visitor.assert_status(413).assert_contains("at most 10 bytes").assert_lacks("max_body");
        let operator = client.post("/outer/inner/echo").body("0123456789x").send();
        operator.assert_status(413).assert_contains("`max_body` at `/` allows 10 bytes");
    });
}

#[test]
fn strict_params_refuses_unknown_fields() {
    both(site("[\"/outer\"]\nstrict_params = true"), |client| {
        client.get("/other/?utm_source=news").send().assert_status(200);
        let status = client.get("/outer/inner/?utm_source=news").send().assert_contains("utm_source").status();
        assert!(status.is_client_error());
    });
}

// A typo is an error with a suggestion.
#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    assert_names(&refusal(site("[\"/outer\"]\nmax_boddy = 10")()), &["/outer", "max_boddy", "max_body"]);
    assert_names(&refusal(site("[global]\nserver.thread = 10")()), &["global", "server.thread", "threads"]);
}

// Durations carry their unit.
#[test]
fn a_duration_without_unit_is_refused() {
    assert_names(&refusal(site("[global]\nserver.idle_timeout = 5")()), &["idle_timeout", "5"]);
}

#[test]
fn a_handler_that_takes_the_session_needs_the_tool() {
    assert_names(&refusal(App::new(WithSession)), &["sessions"]);
}

#[test]
fn the_file_switches_a_tool_off_below_a_path() {
    let app = || App::new(Tree::new().child("closed", WithSession)).tool("/", Sessions::in_memory());
    assert!(app().build().is_ok(), "the handler has its sessions");
    assert_names(&refusal(app().config_str("[\"/closed\"]\nsessions.on = false")), &["sessions"]);
}

#[test]
fn the_file_wins_over_the_code() {
    let app = || App::new(Pages).settings("/", |settings| settings.max_body = 5).config_str("[\"/\"]\nmax_body = 10");
    both(app, |client| {
        client.post("/echo").body("0123456789").send().assert_status(200);
    });
}

#[test]
fn an_address_in_use_is_named_with_a_remedy() {
    let running = App::new(Pages).start("127.0.0.1:0").expect("a free port");
    let address = running.address();
    let error = App::new(Pages).start(address).expect_err("the port is taken").to_string();
    assert_names(&error, &[&address.to_string(), "another program"]);
}
