//! Settings are merged by path, and wrong set-ups fail at start with a sentence that names the item and the fix.

use integration_tests::{both, program::Program};
use kirsch::prelude::*;
use std::process::Stdio;

const PROGRAM: &str = env!("CARGO_BIN_EXE_attacked");

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

#[test]
fn a_variable_of_the_process_wins_over_the_file() {
    let variable = "KIRSCH_SERVER__LISTEN=127.0.0.3:0; export KIRSCH_SERVER__LISTEN; ";
    let program = Program::start(PROGRAM, variable, "[global]\nserver.listen = \"127.0.0.2:0\"", Stdio::null());
    assert_eq!(program.client.address().expect("it listens").ip().to_string(), "127.0.0.3");
}

#[test]
fn an_own_section_that_nobody_reads_stops_the_start() {
    assert_names(&refusal(site("\n[shop]\ntitle = \"Teas\"")()), &["line 2", "[shop]", "Configuration::section"]);
    let configuration = Configuration::text("[shop]\ntitle = \"Teas\"\n[shp]\na = 1").expect("it is TOML");
    configuration.section::<std::collections::BTreeMap<String, String>>("shop").expect("it is there");
    assert_names(&refusal(App::new(Pages).configuration(configuration)), &["line 3", "[shp]", "[shop]?"]);
}

// A secret in a file serves the framework's own settings, too.
#[test]
fn the_secret_of_cookies_may_be_in_a_file() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let named = format!("[\"/\"]\nsessions.secret.file = {:?}", file.path());
    let app = || App::new(WithSession).tool("/", Sessions::cookie("PHa3fI5XWqdyRCJNFVYh9IyTm0yvbS1u1kp4CoZQk6o="));
    assert_names(&refusal(app().config_str(&named)), &["line 2", "sessions.secret", "which is empty"]);
    std::fs::write(file.path(), "q7S1Yp0nq0mT3n6cS2h1lq8y0bq3Jw2dW9k4x5vZ6uA=\n").expect("it can be written");
    assert!(app().config_str(&named).build().is_ok());
}
