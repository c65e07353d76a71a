//! A WSGI application inside, as PEP 3333 wants it, and as its users suffered elsewhere.
//!
//! The Python in `tests/apps` has a page for each rule. One interpreter serves all tests, so each names its own things.

use kirsch::exchange::Login;
use kirsch::testing::{Client, FormData, RawConnection};
use kirsch::{App, HookPoint, Hooks, Method, Sessions, Tool, Tree};
use kirsch_wsgi::Wsgi;
use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
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

#[test]
fn the_environment_is_that_of_pep_3333() {
    let client = client();
    let request = client.get("/p/environ/%C3%A4%2F?a=%20b").header("X-Two", "1").header("X-Two", "2");
    let request =
        request.header("Proxy", "evil").header("X_Under", "x").header("Cookie", "a=1").header("Cookie", "b=2");
    let response = request.header("Content-Type", "text/x").send();
    response.assert_status(200).assert_header("content-type", "text/plain; charset=utf-8");
    let host = client.address().expect("a socket").port().to_string();
    for line in [
        "SCRIPT_NAME='/p'",
        "PATH_INFO='/environ/Ã¤/'",
        "QUERY_STRING='a=%20b'",
        "REQUEST_URI='/p/environ/%C3%A4%2F?a=%20b'",
        "REQUEST_METHOD='GET'",
        "CONTENT_TYPE='text/x'",
        "HTTP_X_TWO='1, 2'",
        "HTTP_COOKIE='a=1; b=2'",
        "REMOTE_ADDR='127.0.0.1'",
        "SERVER_NAME='127.0.0.1'",
        &format!("SERVER_PORT='{host}'"),
        "SERVER_PROTOCOL='HTTP/1.1'",
        "wsgi.url_scheme='http'",
        "wsgi.version=(1, 0)",
        "wsgi.multithread=True",
        "wsgi.multiprocess=False",
        "wsgi.run_once=False",
    ] {
        response.assert_contains(&format!("{line}\n"));
    }
    for absent in ["HTTP_PROXY", "UNDER", "HTTP_CONTENT", "CONTENT_LENGTH", "REMOTE_USER"] {
        response.assert_lacks(absent);
    }
}

#[test]
fn a_field_and_a_path_beyond_ascii_are_latin_1() {
    let mut raw = client().raw();
    raw.send(b"GET /p/environ/%C3%A4%20%25 HTTP/1.1\r\nHost: a\r\nX-Latin: caf\xe9\r\n\r\n");
    let response = raw.read_response();
    response.assert_contains("HTTP_X_LATIN='caf\u{e9}'").assert_contains("PATH_INFO='/environ/\u{c3}\u{a4} %'");
}

#[test]
fn the_mount_is_the_application_with_and_without_a_slash() {
    let client = Client::over_socket(App::new(Tree::new()).mount("/a b", python("pages:paths")));
    for (path, said) in [
        ("/a%20b", "'/a b' ''"),
        ("/a%20b/", "'/a b' '/'"),
        ("/a%20b//x", "'/a b' '/x'"),
        ("/a%20b/x%2Fy%252F/", "'/a b' '/x/y%2F/'"),
        ("/a%20b/x//y", "'/a b' '/x//y'"),
    ] {
        client.get(path).send().assert_status(200).assert_text(said);
    }
}

/// Lets everybody in under one name.
struct Doorman;

impl Tool for Doorman {
    fn name(&self) -> &'static str {
        "doorman"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.provides("login");
        hooks.at(HookPoint::OnStartResource, |exchange| drop(exchange.values.insert(Login::new("anna"))));
    }
}

#[test]
fn it_sees_who_has_logged_in_and_shares_the_session() {
    let app = app(python("pages:application")).tool("/", Doorman).tool("/", Sessions::in_memory());
    let client = Client::over_socket(app);
    client.get("/p/environ").send().assert_contains("REMOTE_USER='anna'").assert_status(200);
}

#[test]
fn it_answers_every_method_and_is_under_its_mount_alone() {
    let client = client();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        client.request(method, "/p/hello").send().assert_status(200).assert_text("Hello from Python");
    }
    client.get("/native").send().assert_text("Hello from Rust");
    client.get("/elsewhere").send().assert_status(404);
    client.head("/p/hello").send().assert_status(200).assert_header("content-length", "17");
}

#[test]
fn bodies_are_read_in_any_way() {
    let client = client();
    client.post("/p/read").body(vec![b'x'; 300_000]).send().assert_text("300000");
    client.get("/p/read").send().assert_text("0");
    client.post("/p/read_some").body("some text").send().assert_text("some text");
    let lines = client.post("/p/lines").body("ab\ncdefgh\ni\nj\nk\nl").send();
    lines.assert_text("[b'ab\\n', b'cd', b'efg', [b'h\\n', b'i\\n'], [b'j\\n', b'k\\n', b'l']]");
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
fn a_body_without_a_length_ends() {
    let piece = vec![b'x'; 1024 * 1024];
    let client = client();
    let mut raw = chunked(&client, "/p/read", &[&piece[..]; 5]);
    raw.send("0\r\n\r\n").read_response().assert_text("5242880");
}

#[test]
fn a_body_that_was_read_is_empty_from_then_on() {
    let client = client();
    let rest = "b'', b'', b'', [], []]";
    let whole = client.post("/p/read_again").body("ab\nc").send();
    whole.assert_text(&format!("[b'ab\\nc', {rest} 4 True"));
    let mut raw = chunked(&client, "/p/read_again", &[b"ab", b"c"]);
    raw.send("0\r\n\r\n").read_response().assert_text(&format!("[b'abc', {rest} None True"));
}

#[test]
fn a_client_that_waits_for_100_is_told_when_the_body_is_read() {
    let mut raw = client().raw();
    raw.send("POST /p/read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(raw.read_interim(), 100);
    raw.send("abc").read_response().assert_text("3");
}

#[test]
fn a_response_may_begin_before_the_body_of_the_request_has_come() {
    let client = client();
    let mut raw = chunked(&client, "/p/echo", &[b"one\n"]);
    raw.read_response_to_head().assert_status(200);
    raw.send("4\r\ntwo\n\r\n0\r\n\r\n");
    let all = String::from_utf8(raw.read_to_end()).expect("text");
    assert!(all.contains("one\n") && all.contains("two\n") && all.ends_with("0\r\n\r\n"), "{all}");
}

#[test]
fn a_body_beyond_the_limit_is_413_unless_the_application_answers() {
    let app = app(python("pages:application")).settings("/p", |settings| settings.max_body = 1000);
    let client = Client::over_socket(app);
    client.post("/p/read").body(vec![0; 2000]).send().assert_status(413);
    let send = |path| {
        let mut raw = chunked(&client, path, &[&[b'x'; 2000]]);
        raw.send("0\r\n\r\n").read_response()
    };
    send("/p/read").assert_status(413);
    send("/p/answers_anyway").assert_status(200).assert_contains("no matter");
}

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
    assert!(response.headers().any(|(name, value)| name.eq_ignore_ascii_case("x-latin") && value == b"\xe4"));
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
    for part in ["ModuleNotFoundError", "Traceback", "Wsgi::path", "Wsgi::venv"] {
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

#[test]
fn native_pages_go_on_while_python_is_busy() {
    let folder = tempfile::tempdir().expect("a folder");
    let flag = folder.path().join("flag");
    let busy = format!("/p/busy?until={}", flag.display());
    let client = Client::over_socket(app(python("pages:application").lane(1)).threads(3));
    let client = client.with_timeout(Duration::from_secs(60));
    thread::scope(|scope| {
        let ask = || client.new_browser().get(&busy).send().text().to_owned();
        let asked: Vec<_> = (0..10).map(|_| scope.spawn(ask)).collect();
        for _ in 0..50 {
            client.get("/native").send().assert_text("Hello from Rust");
        }
        fs::write(&flag, "").expect("a file");
        assert!(asked.into_iter().all(|asked| asked.join().expect("no panic") == "was busy"));
    });
}

#[test]
fn a_full_line_is_503() {
    let folder = tempfile::tempdir().expect("a folder");
    let flag = folder.path().join("flag");
    let busy = format!("/p/busy?until={}", flag.display());
    let client = Client::over_socket(app(python("pages:application").lane(1).queue(1)));
    thread::scope(|scope| {
        let ask = || client.new_browser().get(&busy).send().status().as_u16();
        let asked: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        // Those that are let in wait for the flag; the others have their answer.
        soon("a refusal", || asked.iter().any(thread::ScopedJoinHandle::is_finished));
        fs::write(&flag, "").expect("a file");
        let statuses: Vec<_> = asked.into_iter().map(|asked| asked.join().expect("no panic")).collect();
        assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    });
}

#[test]
fn those_in_the_lane_may_wait_for_one_that_waits_for_its_client() {
    let client = Client::over_socket(app(python("pages:application").lane(1)).threads(4));
    let others_get_by = |go_on: &dyn Fn()| {
        thread::scope(|scope| {
            let ask = || client.new_browser().get("/p/reads_with_a_lock").send().text().to_owned();
            let others: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
            go_on();
            assert!(others.into_iter().all(|other| other.join().expect("no panic") == "0"));
        });
    };
    // Each has the application's lock, and no place in the lane.
    let raw = RefCell::new(chunked(&client, "/p/reads_with_a_lock", &[b"one"]));
    others_get_by(&|| {
        raw.borrow_mut().send("3\r\ntwo\r\n0\r\n\r\n").read_response().assert_text("6");
    });
    let stream = RefCell::new(client.new_browser().get("/p/yields_with_a_lock").send_streaming());
    others_get_by(&|| assert!(stream.borrow_mut().by_ref().map(|piece| piece.len()).sum::<usize>() == 2_000_000));
}

#[test]
fn an_extension_that_keeps_the_lock_is_named_and_native_pages_go_on() {
    let client = client().with_timeout(Duration::from_secs(60));
    thread::scope(|scope| {
        let keeps = scope.spawn(|| client.new_browser().get("/p/keeps_the_lock?seconds=3").send().text().to_owned());
        // The first that comes behind it waits.
        let waits = scope.spawn(|| {
            while !keeps.is_finished() {
                client.new_browser().get("/p/hello").send().assert_text("Hello from Python");
            }
            keeps.join().expect("no panic")
        });
        while !waits.is_finished() {
            client.get("/native").send().assert_text("Hello from Rust");
        }
        assert_eq!(waits.join().expect("no panic"), "kept it");
    });
    assert_log(&["Python's lock", "/p/keeps_the_lock"]);
}

#[test]
fn a_request_leaves_no_object_behind() {
    let client = client();
    let objects = || client.get("/p/objects").send().text().parse::<i64>().expect("a number");
    for path in ["hello", "environ", "read", "writes", "no_file", "raises"] {
        client.get(&format!("/p/{path}")).send();
    }
    let before = objects();
    for _ in 0..50 {
        for path in ["hello", "environ", "read", "writes", "no_file", "raises"] {
            client.get(&format!("/p/{path}")).send();
        }
    }
    let grown = objects() - before;
    // The other tests run beside, so it is about 300 requests and not about three objects.
    assert!(grown < 250, "{grown} objects more");
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

/// A server in a process of its own, which can be stopped and does not take this one with it.
struct Program {
    child: Child,
    address: SocketAddr,
    /// The lines of its standard output.
    said: Box<dyn Iterator<Item = String>>,
}

/// Not a test: the program of [`Program`].
#[test]
fn a_server_for_other_tests() {
    if std::env::var_os("KIRSCH_WSGI_SERVES").is_none() {
        return;
    }
    let application = std::env::var("KIRSCH_WSGI_APPLICATION").expect("the name of the application");
    let app = app(python(&application)).server(|settings| settings.drain_timeout = Duration::from_secs(1));
    let told = app.on_start(|address| {
        println!("\nSERVING {address}");
        Ok(())
    });
    let _ = told.serve("127.0.0.1:0");
    // As `main` does when it returns.
    std::process::exit(7);
}

impl Program {
    fn start() -> Self {
        Self::of("pages:application")
    }

    fn of(application: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "a_server_for_other_tests", "--nocapture"]).env("KIRSCH_WSGI_SERVES", "1");
        command.env("KIRSCH_WSGI_APPLICATION", application);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut said = lines.map_while(Result::ok);
        let address = said.find_map(|line| line.strip_prefix("SERVING ")?.parse().ok()).expect("it serves");
        Self { child, address, said: Box::new(said) }
    }

    fn client(&self) -> Client {
        Client::connect(self.address).with_timeout(Duration::from_secs(30))
    }

    /// Sends SIGTERM, and returns how it ended.
    fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => return status.code(),
                None if Instant::now() > end => {
                    let _ = self.child.kill();
                    panic!("it has not ended");
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

#[test]
fn a_stop_waits_for_nothing_in_python() {
    for path in ["/p/sleeps?seconds=600", "/p/busy?until=never", "/p/drips"] {
        let program = Program::start();
        let client = program.client();
        thread::scope(|scope| {
            let hangs = scope.spawn(|| client.new_browser().get(path).try_send().is_ok());
            // It is in Python when it no longer is in the program's own hands.
            client.get("/native").send().assert_text("Hello from Rust");
            thread::sleep(Duration::from_millis(300));
            assert_eq!(program.stop(), Some(7), "{path}");
            assert!(!hangs.join().expect("no panic"), "{path}: nobody answers any more");
        });
    }
}

#[test]
fn neither_threads_nor_signals_of_python_keep_the_program_from_its_stop() {
    let program = Program::of("ignores_signals:application");
    program.client().get("/p/leaves_a_thread").send().assert_text("left");
    // Python allows it in its main thread alone.
    program.client().get("/p/sets_a_signal").send().assert_status(500);
    assert_eq!(program.stop(), Some(7));
}

#[test]
fn what_a_page_prints_is_written_at_once() {
    let mut program = Program::start();
    program.client().get("/p/prints").send().assert_text("printed");
    assert!(program.said.any(|line| line == "printed by a page"));
    assert_eq!(program.stop(), Some(7));
}

#[test]
fn a_program_that_a_page_has_started_does_not_keep_the_port() {
    let program = Program::start();
    let said = program.client().get("/p/runs").send().text().to_owned();
    let sleeper = said.split(' ').next().expect("a number").to_owned();
    assert!(said.contains("from a program"), "{said}");
    let address = program.address;
    assert_eq!(program.stop(), Some(7));
    assert!(TcpListener::bind(address).is_ok(), "the port is free");
    assert!(Command::new("kill").arg(sleeper).status().expect("kill").success(), "it lives on");
}

#[test]
fn what_a_thread_keeps_is_there_for_its_next_call() {
    let client = Client::over_socket(app(python("pages:application")).threads(1));
    for calls in ["1", "2", "3"] {
        client.get("/p/of_thread").send().assert_text(calls);
    }
}

#[test]
fn a_fork_is_warned_of() {
    client().get("/p/forks").send().assert_text("forked");
    assert_log(&["the application forks this process"]);
}

#[test]
fn a_client_that_is_there_is_not_gone() {
    client().get("/p/gone").send().assert_text("False");
}
