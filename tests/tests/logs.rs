//! The log that makes no request wait: what it holds, what it costs when nothing takes its lines, rotation and signals.

use integration_tests::{program::Program, wait_until};
use kirsch::{exchange::TraceParent, prelude::*, testing::Client, tools::Proxy};
use rustix::process::Signal;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::Stdio,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_attacked");

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log/site.log")
    }
}

/// The program with a log in `path`; `before` may change the limits of the process.
fn start(form: &str, path: &Path, before: &str, stderr: Stdio) -> Program {
    Program::start(PROGRAM, &format!("{form}={}; export {form}; {before}", path.display()), "", stderr)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The objects of a log in JSON; each line is one.
fn objects(path: &Path) -> Vec<serde_json::Value> {
    read(path).lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect()
}

#[test]
fn a_listener_that_only_leads_on_has_its_answers_in_the_log() {
    let folder = Folder::new();
    let before = format!("LOG_TEXT={}; export LOG_TEXT; ", folder.log().display());
    let settings = "[global]\nserver.listen = \"127.0.0.1:0 redirect\"\nserver.redirect_port = 8443\n";
    let program = Program::start(PROGRAM, &before, settings, Stdio::null());
    program.client.get("/a").send().assert_status(308);
    wait_until(|| read(&folder.log()).contains("\"GET /a HTTP/1.1\" 308 "));
}

#[test]
fn each_response_is_an_object_with_its_columns() {
    let folder = Folder::new();
    let program = start("LOG_JSON", &folder.log(), "", Stdio::null());
    program.client.get("/?q=1").header("user-agent", "a\"b\\ \u{e9}\u{85}").send().assert_status(200);
    program.client.get("/panic").send().assert_status(500);
    assert_eq!(program.terminate().code(), Some(0));
    let objects = objects(&folder.log());
    let access: Vec<_> = objects.iter().filter(|object| object["target"] == "kirsch::access").collect();
    assert_eq!(access.len(), 2);
    let first = access[0];
    assert_eq!((&first["method"], &first["path"], &first["query"]), (&"GET".into(), &"/".into(), &"q=1".into()));
    assert_eq!((&first["status"], &first["bytes"]), (&200.into(), &4.into()));
    assert_eq!((&first["client"], &first["agent"]), (&"127.0.0.1".into(), &"a\"b\\ \u{e9}\u{85}".into()));
    assert!(first["trace"].as_str().is_some_and(|trace| trace.len() == 32));
    assert!(first["duration"].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds < 10.0));
    // A failure has the number of its request, and so has its access record.
    let failure = objects.iter().find(|object| object["level"] == "ERROR").expect("the panic is logged");
    assert_eq!(failure["request"], access[1]["request"]);
    assert_eq!(objects.last().expect("it has lines")["msg"], "stopped");
}

// The link that the start prints is in the history of a browser, too, and whoever may read logs may not see the pages.
#[test]
fn the_key_of_a_link_is_in_no_log() {
    const KEY: &str = "0123456789abcdef";
    for form in ["LOG_JSON", "LOG_TEXT"] {
        let folder = Folder::new();
        let program =
            start(form, &folder.log(), &format!("KIRSCH_DEBUG_KEY={KEY}; export KIRSCH_DEBUG_KEY; "), Stdio::null());
        let link = format!("/panic?a=1&kirsch_debug={KEY}");
        program.client.get(&link).send().assert_status(500);
        let later = program.client.get(&format!("/?next=%2Fx%3Fkirsch_debug%3D{KEY}"));
        later.header("referer", format!("http://127.0.0.1{link}")).send().assert_status(200);
        assert_eq!(program.terminate().code(), Some(0));
        let log = read(&folder.log());
        assert!(!log.contains(KEY) && log.matches("kirsch_debug").count() >= 3, "{log}");
        assert!(log.contains("a=1&kirsch_debug=***") && log.contains("kirsch_debug%3D***"), "{log}");
    }
}

#[test]
fn the_status_page_counts_lines() {
    let folder = Folder::new();
    let program = start("LOG_TEXT", &folder.log(), "STATUS=1; export STATUS; ", Stdio::null());
    let lines = || {
        let status: serde_json::Value = program.client.get("/status/json").send().json();
        let sections = status["sections"].as_array().expect("a list").clone();
        let log = sections.into_iter().find(|section| section["title"] == "Log").expect("a log is installed");
        (log["rows"][0]["value"].as_u64().unwrap_or_default(), log["rows"][2]["value"].clone())
    };
    wait_until(|| lines().0 > 10);
    assert_eq!(lines().1, 0, "none is dropped");
    assert_eq!(program.terminate().code(), Some(0));
}

#[test]
fn a_pipe_that_nobody_reads_stops_no_request_and_no_stop() {
    let folder = Folder::new();
    let pipe = folder.0.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).expect("a pipe");
    // It has a reader, who does not read.
    let _reader = fs::File::options().read(true).write(true).open(&pipe).expect("the pipe is there");
    let (mut told, stderr) = std::io::pipe().expect("a pipe");
    let program = start("LOG_TEXT", &pipe, "", stderr.into());
    for _ in 0..200 {
        program.client.get(&format!("/{}", "x".repeat(2000))).send().assert_status(404);
    }
    assert_eq!(program.terminate().code(), Some(0));
    let mut words = String::new();
    told.read_to_string(&mut words).expect("text");
    assert!(words.contains("the log took no lines for 2s: ") && words.contains(" are not written, "), "{words}");
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    let (mut told, stderr) = std::io::pipe().expect("a pipe");
    let program = start("LOG_TEXT", Path::new("/dev/full"), "", stderr.into());
    for _ in 0..50 {
        program.client.get("/").send().assert_text("here");
    }
    assert_eq!(program.terminate().code(), Some(0));
    let mut words = String::new();
    told.read_to_string(&mut words).expect("text");
    assert!(words.contains("the log cannot be written, its lines are lost: No space left"), "{words}");
}

#[test]
fn a_log_goes_on_when_there_is_room_again() {
    let folder = Folder::new();
    // Files may have 64 blocks of 512 bytes.
    let program = start("LOG_TEXT", &folder.log(), "ulimit -f 64; ", Stdio::null());
    let path = format!("/{}", "x".repeat(2000));
    wait_until(|| {
        program.client.get(&path).send().assert_status(404);
        fs::metadata(folder.log()).is_ok_and(|file| file.len() == 64 * 512)
    });
    program.client.get("/").send().assert_status(200);
    fs::rename(folder.log(), folder.log().with_extension("full")).expect("the log is there");
    wait_until(|| {
        program.client.get("/").send().assert_status(200);
        read(&folder.log()).contains(" lines were lost: ")
    });
    assert_eq!(program.terminate().code(), Some(0));
    assert!(read(&folder.log()).ends_with("kirsch::engine stopped\n"));
}

#[test]
fn a_log_is_put_aside_by_its_size_and_two_of_those_are_kept() {
    let folder = Folder::new();
    let program = start("LOG_JSON", &folder.log(), "", Stdio::null());
    for number in 0..300 {
        program.client.get(&format!("/{number}{}", "x".repeat(2000))).send().assert_status(404);
    }
    assert_eq!(program.terminate().code(), Some(0));
    let sizes: Vec<_> = fs::read_dir(folder.0.path().join("log"))
        .expect("the folder of the log")
        .map(|file| file.and_then(|file| file.metadata()).expect("it stays").len())
        .collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size <= 100_000), "{sizes:?}");
}

#[test]
fn sighup_opens_the_log_again() {
    let folder = Folder::new();
    let program = start("LOG_TEXT", &folder.log(), "", Stdio::null());
    program.client.get("/before").send().assert_status(404);
    let aside = folder.log().with_extension("old");
    wait_until(|| read(&folder.log()).contains("/before"));
    fs::rename(folder.log(), &aside).expect("the log is there");
    program.signal(Signal::HUP);
    wait_until(|| folder.log().exists());
    program.client.get("/after").send().assert_status(404);
    assert_eq!(program.terminate().code(), Some(0));
    assert!(read(&folder.log()).contains("/after") && !read(&aside).contains("/after"));
}

#[test]
fn a_panic_that_ends_the_program_is_its_last_line() {
    let folder = Folder::new();
    let program = start("LOG_TEXT", &folder.log(), "PANIC=1; export PANIC; ", Stdio::null());
    assert_eq!(program.wait().code(), Some(101));
    let log = read(&folder.log());
    assert!(log.contains("attacked the last words\n"), "{log}");
    assert!(log.contains("the thread \"main\" panicked at ") && log.contains("broken\\nin two lines\n"), "{log}");
}

#[test]
fn two_loggers_are_a_mistake_with_a_name() {
    let _ = env_logger::try_init();
    let error = kirsch::logs::Logs::text_to(std::io::sink()).install().expect_err("env_logger is there");
    assert!(error.to_string().contains("another logger is installed, such as `env_logger`"), "{error}");
}

struct Traced;

#[handlers]
impl Traced {
    /// The fields that a request to another service would get.
    #[expose]
    fn index(&self, trace: TraceParent) -> String {
        format!("{trace} {}", trace.state())
    }
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

// The number of this request within the trace is its own; the rest goes on as it came.
#[test]
fn a_trace_of_a_trusted_proxy_goes_on() {
    let client = Client::over_socket(App::new(Traced).tool("/", Proxy::trusting(["loopback"])));
    let request = client.get("/").header("traceparent", TRACE).header("tracestate", "a=1").header("tracestate", "b=2");
    let answer = request.send();
    answer.assert_no_header("traceparent").assert_no_header("traceresponse").assert_no_header("tracestate");
    let text = answer.text();
    assert!(text.starts_with(&TRACE[..36]) && text.ends_with("-01 a=1,b=2"), "{text}");
    assert!(!text.contains("00f067aa0ba902b7"), "{text}");
}

#[test]
fn a_trace_of_a_stranger_or_a_broken_one_is_begun_again() {
    let trusting = |proxies: &[&str]| App::new(Traced).tool("/", Proxy::trusting(proxies.iter().copied()));
    let table = [
        (App::new(Traced), vec![TRACE]),
        (trusting(&["10.0.0.0/8"]), vec![TRACE]),
        (trusting(&["loopback"]), vec![&TRACE[..54]]),
        (trusting(&["loopback"]), vec![TRACE, TRACE]),
        (trusting(&["loopback"]), vec![]),
    ];
    for (app, fields) in table {
        let client = Client::over_socket(app);
        let request = client.get("/").header("tracestate", "a=1");
        let request = fields.iter().fold(request, |request, field| request.header("traceparent", *field));
        let text = request.send().text().to_owned();
        assert!(text.starts_with("00-") && text.ends_with("-00 ") && !text.contains("4bf92f35"), "{fields:?}: {text}");
    }
}

// A reader that comes back gets whole lines.
#[test]
fn lines_in_a_pipe_are_whole() {
    let folder = Folder::new();
    let pipe = folder.0.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).expect("a pipe");
    let reader = fs::File::options().read(true).write(true).open(&pipe).expect("the pipe is there");
    let program = start("LOG_JSON", &pipe, "", Stdio::null());
    for _ in 0..50 {
        program.client.get(&format!("/{}", "x".repeat(2000))).send().assert_status(404);
    }
    let mut lines = BufReader::new(reader).lines().map(|line| line.expect("the pipe is open"));
    let served = lines.by_ref().take(50).map(|line| serde_json::from_str::<serde_json::Value>(&line));
    assert!(served.collect::<Result<Vec<_>, _>>().is_ok());
    drop(lines);
    assert_eq!(program.terminate().code(), Some(0));
}
