//! A WSGI application inside, as PEP 3333 wants it, and as its users suffered elsewhere.
//!
//! The Python in `tests/apps` has a page for each rule. One interpreter serves all tests, so each names its own things.

mod lane;
mod process;
mod requests;
mod responses;

use kirsch::testing::{Client, FormData, RawConnection};
use kirsch::{App, Tree};
use kirsch_wsgi::Wsgi;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

const APPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps");

fn python(application: &str) -> Wsgi {
    Wsgi::load(application).path(APPS)
}

fn app(wsgi: Wsgi) -> App {
    App::new(Tree::new().page("native", |_| "Hello from Rust")).mount("/p", wsgi)
}

fn client() -> Client {
    listen_to_the_log();
    Client::over_socket(app(python("pages:application")))
}

/// The lines of the log so far.
static LOG: LazyLock<Mutex<Vec<String>>> = LazyLock::new(Mutex::default);

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() <= log::Level::Warn {
            LOG.lock().expect("no panic in it").push(format!("{} {}", record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

fn listen_to_the_log() {
    if log::set_logger(&Listener).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
}

/// Whether a line of the log has all of these.
fn log_has(parts: &[&str]) -> bool {
    let lines = LOG.lock().expect("no panic in it");
    lines.iter().any(|line| parts.iter().all(|part| line.contains(part)))
}

#[track_caller]
fn assert_log(parts: &[&str]) {
    soon(&format!("{parts:?} in the log"), || log_has(parts));
}

/// Waits for something that another thread does at once.
#[track_caller]
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what} has not come");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A request whose body is in chunks, but for their end.
fn chunked(client: &Client, path: &str, chunks: &[&[u8]]) -> RawConnection {
    let mut raw = client.raw();
    raw.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for chunk in chunks {
        raw.send(format!("{:x}\r\n", chunk.len())).send(chunk).send("\r\n");
    }
    raw
}

#[test]
fn the_validator_of_the_standard_library_is_content() {
    let client = Client::over_socket(app(python("pages:validated")));
    for path in ["hello", "environ", "echo", "writes", "no_file", "cookies", "closing?of=apart&kind=normal&name=valid"]
    {
        client.get(&format!("/p/{path}")).send().assert_status(200);
    }
    client.post("/p/read_some").body("validated").send().assert_text("validated");
    client.head("/p/hello").send().assert_status(200);
}

#[test]
fn what_cannot_be_loaded_stops_the_start() {
    let refusal = |wsgi: Wsgi| app(wsgi).build().expect_err("it cannot be loaded").to_string();
    let broken = refusal(python("broken:application"));
    for part in ["broken:application", "ZeroDivisionError", "Traceback", "prepare"] {
        assert!(broken.contains(part), "{part:?} is missing in {broken}");
    }
    let missing = refusal(python("no_such_module:application"));
    for part in ["ModuleNotFoundError", "Wsgi::path", "Wsgi::venv"] {
        assert!(missing.contains(part), "{part:?} is missing in {missing}");
    }
    assert!(refusal(python("pages:no_such_name")).contains("AttributeError"));
    assert!(refusal(python("pages:not_callable")).contains("a str cannot be called"));
    let venv = tempfile::tempdir().expect("a folder");
    assert!(refusal(python("pages").venv(venv.path())).contains("pyvenv.cfg"));
    fs::write(venv.path().join("pyvenv.cfg"), "home = /usr/bin\nversion = 2.7.18\n").expect("a file");
    assert!(refusal(python("pages").venv(venv.path())).contains("is of Python 2.7.18"));
    assert!(app(python("pages:make_application()")).build().is_ok());
}

/// With the packages of the virtual environment that the tests were given.
fn with_packages(application: &str) -> Wsgi {
    match std::env::var("KIRSCH_WSGI_VENV") {
        Ok(venv) => python(application).venv(venv),
        Err(_) => python(application),
    }
}

#[test]
fn flask_works() {
    listen_to_the_log();
    let flask = || with_packages("with_flask:application");
    if let Err(problem) = app(flask()).build() {
        assert!(problem.to_string().contains("flask"), "{problem}");
        return eprintln!("skipped: there is no Flask (Debian: python3-flask, or KIRSCH_WSGI_VENV)");
    }
    let client = Client::over_socket(app(flask()));
    client.get("/p/hello/Anna").send().assert_text("Hello, Anna!");
    let form = FormData::new().field("text", "a file of").file("file", "a.txt", "text/plain", vec![b'x'; 5000]);
    client.post("/p/form").form_data(form).send().assert_text("a file of 5000");
    client.get("/p/count").send().assert_text("1");
    client.get("/p/count").send().assert_text("2");
    client.get("/p/stream").send().assert_text("0 1 2 ");
    client.get("/p/nothing").send().assert_status(404);
    client.get("/p/fails").send().assert_status(500);
    assert_log(&["in Flask"]);
}

#[test]
fn django_works() {
    listen_to_the_log();
    let django = || with_packages("with_django:application");
    if let Err(problem) = app(django()).build() {
        assert!(problem.to_string().contains("django"), "{problem}");
        return eprintln!("skipped: there is no Django (Debian: python3-django, or KIRSCH_WSGI_VENV)");
    }
    let client = Client::over_socket(app(django()));
    client.get("/p/hello/Anna?a=1").send().assert_text("Hello, Anna! /p/hello/Anna?a=1");
    let form = FormData::new().field("text", "a file of").file("file", "a.txt", "text/plain", vec![b'x'; 5000]);
    client.post("/p/form").form_data(form).send().assert_text("a file of 5000");
    client.get("/p/stream").send().assert_text("0 1 2 ");
    client.get("/p/nothing").send().assert_status(404);
}
