//! The checks at start.

use crate::exchange::{Argument, ArgumentInfo, Arguments, HttpError};
use crate::lifecycle::{Hooks, Tool};
use crate::{App, Tree, handlers};
use std::time::Duration;

/// The value that the tool `badge` provides.
struct Badge;

impl<'a> Argument<'a> for Badge {
    const INFO: ArgumentInfo = ArgumentInfo { requires: Some("badge"), ..ArgumentInfo::TYPED };

    fn take(_: &'static str, _: &mut Arguments<'a>) -> Result<Self, HttpError> {
        Ok(Self)
    }
}

struct Badges;

impl Tool for Badges {
    fn name(&self) -> &'static str {
        "badge"
    }

    fn attach(&self, _: &mut Hooks) {}
}

struct Office;

#[handlers]
impl Office {
    #[expose]
    fn enter(&self, badge: Badge) -> &'static str {
        let Badge = badge;
        "in"
    }
}

fn app() -> App {
    App::new(Tree::new().child("office", Office))
}

/// Its only child needs the badge.
struct Gatehouse;

#[handlers]
impl Gatehouse {
    #[child]
    fn inside(&self, badge: Badge) -> Tree {
        let Badge = badge;
        Tree::new()
    }
}

#[test]
fn a_child_without_its_tool_is_named_too() {
    let error = App::new(Gatehouse).build().unwrap_err().to_string();
    assert!(error.starts_with("Gatehouse::inside at /inside: its argument `badge` needs the tool `badge`"), "{error}");
}

/// Reads the body as a stream, and wants a file that it was spooled to.
struct Twice;

#[handlers]
impl Twice {
    #[expose(post)]
    fn add(&self, photo: Option<crate::exchange::Upload>, body: crate::exchange::Body) -> String {
        format!("{photo:?} {body:?}")
    }
}

#[test]
fn a_handler_that_takes_the_body_twice_is_refused_at_start() {
    let error = App::new(Twice).build().unwrap_err().to_string();
    assert!(
        error.starts_with("Twice::add at /add: its arguments `photo` and `body` both take the request body"),
        "{error}"
    );
}

#[test]
fn a_handler_without_its_tool_is_named_with_the_fix() {
    let error = app().build().unwrap_err().to_string();
    assert_eq!(
        error,
        "Office::enter at /office/enter: its argument `badge` needs the tool `badge`, which is not on there: add the tool `badge` with .tool(\"/\", …)"
    );
}

#[test]
fn the_tool_must_be_on_at_the_path_of_the_handler() {
    assert!(app().tool("/", Badges).build().is_ok());
    assert!(app().tool("/office/enter", Badges).build().is_ok());
    assert!(app().tool("/other", Badges).build().is_err());
    assert!(app().tool("/", Badges).tool_off("/office", "badge").build().is_err());
}

#[test]
fn a_wrong_address_is_explained() {
    let error = App::new(Tree::new()).start("8080").unwrap_err().to_string();
    assert!(
        error.starts_with("\"8080\" is not an address to listen on (")
            && error.ends_with("; write host and port, as \"127.0.0.1:8080\""),
        "{error}"
    );
}

fn pages() -> App {
    App::new(Tree::new().index(|_| "Hello World!"))
}

/// The order of start and stop.
#[test]
fn starting_and_stopping_have_an_order() {
    use std::sync::{Arc, Mutex};
    let steps = Arc::new(Mutex::new(Vec::new()));
    let step = |name: &'static str| {
        let steps = steps.clone();
        move || {
            steps.lock().unwrap().push(name);
            Ok(())
        }
    };
    let (first, second) = (step("start 1"), step("start 2"));
    let app = pages().on_start(move |address| {
        assert_ne!(address.port(), 0);
        first()
    });
    let app = app.on_start(move |_| second()).on_stop(step("stop 1")).on_stop(step("stop 2"));
    let running = app.start("127.0.0.1:0").unwrap();
    let report = running.stop(Duration::from_secs(10));
    assert!(report.unfinished.is_empty());
    assert_eq!(*steps.lock().unwrap(), ["start 1", "start 2", "stop 2", "stop 1"]);
}

#[test]
fn a_start_that_fails_stops_everything_again() {
    let (listened, address) = crossbeam_channel::unbounded();
    let app = pages().on_start(move |address| {
        listened.send(address).unwrap();
        Err(crate::Error::unexpected("no licence"))
    });
    assert_eq!(app.start("127.0.0.1:0").unwrap_err().to_string(), "no licence");
    assert!(std::net::TcpStream::connect(address.recv().unwrap()).is_err());
}

#[test]
fn an_address_in_use_is_explained() {
    let running = pages().start("127.0.0.1:0").unwrap();
    let error = pages().start(running.address()).unwrap_err().to_string();
    let expected = format!("cannot listen on {}: ", running.address());
    assert!(error.starts_with(&expected) && error.ends_with("or choose another port (0 picks a free one)"), "{error}");
}

#[test]
fn the_address_in_the_file_wins() {
    let running = pages().config_str("[global]\nserver.listen = \"127.0.0.2:0\"").start("127.0.0.1:0").unwrap();
    assert_eq!(running.address().ip().to_string(), "127.0.0.2");
}

#[test]
fn background_jobs_of_tools_run_while_the_application_does() {
    struct Sweeping(std::sync::Mutex<Option<crossbeam_channel::Sender<()>>>);
    impl Tool for Sweeping {
        fn name(&self) -> &'static str {
            "sweeping"
        }
        fn attach(&self, hooks: &mut Hooks) {
            let done = self.0.lock().unwrap().take().unwrap();
            hooks.background("a sweep", Duration::from_millis(1), move || done.send(()).unwrap_or_default());
        }
    }
    let (done, sweeps) = crossbeam_channel::unbounded();
    let running = pages().tool("/", Sweeping(std::sync::Mutex::new(Some(done)))).start("127.0.0.1:0").unwrap();
    sweeps.recv().unwrap();
    assert_eq!(running.background_jobs()[0].name, "a sweep");
    drop(running);
    // The job ends, and its end of the channel with it; otherwise this would never end.
    sweeps.iter().for_each(drop);
}

#[test]
fn a_stop_may_wait_without_end() {
    let running = App::new(Tree::new()).start("127.0.0.1:0").unwrap();
    assert!(running.stop(Duration::MAX).unfinished.is_empty());
}

struct Hall;

#[handlers]
impl Hall {
    #[expose]
    fn named(&self, login: &crate::Login) -> String {
        login.to_string()
    }
}

/// A guard who knows everybody.
struct Guard;

impl Tool for Guard {
    fn name(&self) -> &'static str {
        "guard"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.provides("login");
    }
}

#[test]
fn a_login_without_a_tool_that_knows_the_visitor_stops_the_start() {
    let error = App::new(Hall).build().expect_err("nobody is ever logged in").to_string();
    let expected = "Hall::named at /named: its argument `login` needs a tool that knows who is logged in";
    assert!(error.starts_with(expected), "{error}");
    App::new(Hall).tool("/", Guard).build().expect("the guard provides it");
    assert!(App::new(Hall).tool("/other", Guard).build().is_err());
}

#[test]
fn a_page_whose_login_is_optional_needs_no_tool() {
    struct Open;
    #[handlers]
    impl Open {
        #[expose]
        fn index(&self, login: Option<&crate::Login>) -> String {
            format!("{login:?}")
        }
    }
    App::new(Open).build().expect("it takes either");
}

fn redirecting(change: impl FnOnce(App) -> App) -> (crate::engine::Running, crate::testing::Client) {
    let app = change(pages()).server(|settings| settings.redirect_port = Some(8443));
    let running = app.start("127.0.0.1:0 redirect").unwrap();
    let client = crate::testing::Client::connect(running.address());
    (running, client)
}

#[test]
fn a_redirect_listener_leads_every_request_to_the_same_address_of_https() {
    let (_running, client) = redirecting(|app| app);
    let get = client.get("/a%20b/?x=1&y").header("host", "Shop.Example:8080").send();
    get.assert_status(308).assert_header("location", "https://shop.example:8443/a%20b/?x=1&y");
    assert!(get.header("strict-transport-security").is_none());
    client.post("/").body("x").send().assert_status(308);
}

#[test]
fn a_redirect_listener_leads_to_no_foreign_host() {
    let (_running, client) = redirecting(|app| app.hosts(["shop.example"]));
    client.get("/").header("host", "shop.example").send().assert_status(308);
    client.get("/").header("host", "evil.example").send().assert_status(421);
}

// As health checks and old scripts do.
#[test]
fn a_client_that_names_no_host_is_led_to_the_only_one_or_told_what_is_missing() {
    let table = [(vec!["shop.example"], 308), (vec!["shop.example", "www.shop.example"], 400), (vec![], 400)];
    for (hosts, status) in table {
        let (_running, client) = redirecting(|app| if hosts.is_empty() { app } else { app.hosts(hosts) });
        let answer = client.raw().send("GET /a?b=1 HTTP/1.0\r\n\r\n").read_response();
        answer.assert_status(status);
        if status == 308 {
            answer.assert_header("location", "https://shop.example:8443/a?b=1");
        } else {
            assert!(answer.text().contains("https://"), "{}", answer.text());
        }
    }
}

#[test]
fn a_redirect_listener_answers_the_challenges_of_an_authority() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token-1"), "token-1.key").unwrap();
    let place = folder.path().to_owned();
    let (_running, client) = redirecting(|app| app.server(|settings| settings.challenge_folder = Some(place)));
    client.get("/.well-known/acme-challenge/token-1").send().assert_status(200).assert_text("token-1.key");
    for wrong in ["other", "..%2ftoken-1", "", "%2e", "a/b"] {
        client.get(&format!("/.well-known/acme-challenge/{wrong}")).send().assert_status(404);
    }
    client.get("/.well-known/other").send().assert_status(308);
}
