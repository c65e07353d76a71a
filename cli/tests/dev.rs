//! `kirsch dev` from outside, with a script in place of cargo: it builds in no time what the sources say.

use kirsch::testing::{Client, TestResponse};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KIRSCH: &str = env!("CARGO_BIN_EXE_kirsch");

/// It takes a second; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds a program if `src/main.rs` has no `!`, and takes as long as it says.
const CARGO: &str = r#"#!/bin/sh
case $1 in
metadata) echo '{"packages":[{"name":"site","manifest_path":"HERE/Cargo.toml"}],"workspace_root":"HERE"}' ;;
build)
    echo build >>HERE/builds
    . HERE/src/pause
    if grep -q '!' HERE/src/main.rs; then
        printf '%s\n' '{"reason":"compiler-message","message":{"rendered":"error: <no> such thing\n","level":"error","spans":[{"file_name":"src/main.rs","line_start":1,"column_start":2,"is_primary":true}]}}'
        exit 101
    fi
    echo '{"reason":"compiler-artifact","executable":"HERE/program","target":{"kind":["bin"]}}' ;;
esac
"#;

/// The program: `kirsch` itself answers.
const PROGRAM: &str = "#!/bin/sh\necho $$ >>HERE/processes\nexec KIRSCH --front\n";

/// Whether there is such a process, and it has not ended.
fn runs(process: &str) -> bool {
    let state = fs::read_to_string(Path::new("/proc").join(process).join("status"));
    state.is_ok_and(|state| !state.contains("State:\tZ"))
}

/// A package, and `kirsch dev` in it.
struct Dev {
    folder: TempDir,
    kirsch: Child,
    client: Client,
}

impl Dev {
    fn start(source: &str) -> Self {
        let (dev, said) = Self::begin(source);
        thread::spawn(move || said.for_each(|line| println!("{line}")));
        dev
    }

    /// The same, with what it says.
    fn begin(source: &str) -> (Self, impl Iterator<Item = String> + Send + 'static) {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path().to_str().expect("UTF-8");
        for name in ["src", "static", "templates"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        fs::write(folder.path().join("src/main.rs"), source).expect("a file");
        fs::write(folder.path().join("src/pause"), "").expect("a file");
        for (name, script) in [("cargo", CARGO), ("program", PROGRAM)] {
            let script = script.replace("HERE", here).replace("KIRSCH", KIRSCH);
            fs::write(folder.path().join(name), script).expect("a file");
            fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o700)).expect("our file");
        }
        let mut command = Command::new(KIRSCH);
        command.args(["dev", "--listen", "127.0.0.1:0"]).current_dir(folder.path()).stderr(Stdio::piped());
        let mut kirsch = command.env("CARGO", folder.path().join("cargo")).spawn().expect("it was built");
        let mut said = BufReader::new(kirsch.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let first = said.find(|line| line.contains("http://")).expect("an address");
        let address = first.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
        let client = Client::connect(address.parse().expect("an address"));
        (Self { folder, kirsch, client }, said)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.folder.path().join(path), text).expect("a file");
    }

    fn news(&self) -> Value {
        self.client.new_browser().get("/__kirsch/live?seen=0").send().json()
    }

    /// The number of the program that answers.
    fn program(&self) -> u64 {
        let news = self.news();
        let page = news["page"].as_str().expect("a text");
        page.split('.').next().and_then(|number| number.parse().ok()).expect("a number")
    }

    fn page(&self, accept: &str) -> TestResponse {
        self.client.new_browser().get("/").header("Accept", accept).send()
    }

    /// Waits until the last build is in service.
    fn wait_for(&self, is_there: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(self) {
            assert!(Instant::now() < deadline, "it never comes: {}", self.news());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait_for_program(&self) {
        self.wait_for(|dev| dev.news()["phase"] == "ready");
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.folder.path().join("builds")).map_or(0, |text| text.lines().count())
    }

    /// Ctrl-C; then no process may be left.
    fn end(mut self) {
        kill_process(Pid::from_child(&self.kirsch), Signal::INT).expect("it runs");
        assert!(self.kirsch.wait().expect("our child").success());
        let processes = fs::read_to_string(self.folder.path().join("processes")).unwrap_or_default();
        for process in processes.lines() {
            assert!(!runs(process), "{process} is left");
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Where a test has failed; its programs end when their link breaks.
        let _ = self.kirsch.kill();
        let _ = self.kirsch.wait();
    }
}

#[test]
fn no_request_is_refused_while_programs_change() {
    let dev = Dev::start("one");
    dev.wait_for_program();
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            // Whatever fails beside it, this ends.
            let deadline = Instant::now() + PATIENCE;
            while !is_over.load(Ordering::Relaxed) && Instant::now() < deadline {
                dev.page("*/*").assert_status(404);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..3 {
            let before = (dev.program(), answered.load(Ordering::Relaxed));
            dev.write("src/main.rs", &format!("round {round}"));
            dev.wait_for(|dev| dev.program() > before.0 && answered.load(Ordering::Relaxed) > before.1);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(dev.builds(), 4);
    dev.end();
}

#[test]
fn errors_are_shown_until_they_are_mended() {
    let dev = Dev::start("!");
    dev.wait_for(|dev| dev.news()["phase"] == "failed");
    let page = dev.page("text/html");
    page.assert_status(503).assert_contains("error: &lt;no&gt; such thing").assert_contains("live.js");
    let here = dev.folder.path().display();
    page.assert_contains(&format!("href=\"vscode://file/{here}/src/main.rs:1:2\">src/main.rs:1:2</a>"));
    dev.page("application/json").assert_status(503).assert_contains("error: <no> such thing");
    dev.write("src/main.rs", "mended");
    dev.wait_for_program();
    dev.page("text/html").assert_status(404);
    dev.write("src/main.rs", "again!");
    dev.wait_for(|dev| dev.page("text/html").status() == 503);
    dev.end();
}

#[test]
fn a_reader_that_has_gone_stops_nothing() {
    let (dev, said) = Dev::begin("one");
    drop(said);
    dev.wait_for_program();
    dev.write("src/main.rs", "two!");
    dev.wait_for(|dev| dev.page("text/html").status() == 503);
    dev.end();
}

#[test]
fn templates_and_styles_need_no_build() {
    let dev = Dev::start("one");
    dev.wait_for_program();
    let before = dev.news();
    dev.write("static/site.css", "a {}");
    dev.wait_for(|dev| dev.news()["styles"] == 1);
    assert_eq!(dev.news()["page"], before["page"]);
    dev.write("templates/page.html", "<p>");
    dev.wait_for(|dev| dev.news()["page"] != before["page"]);
    assert_eq!(dev.builds(), 1);
    dev.end();
}

#[test]
fn a_change_ends_the_build_that_runs() {
    let dev = Dev::start("one");
    dev.wait_for_program();
    let before = dev.program();
    dev.write("src/pause", "sleep 1000");
    dev.wait_for(|dev| dev.builds() == 2);
    dev.write("src/pause", "");
    dev.wait_for(|dev| dev.program() > before);
    assert_eq!(dev.program(), before + 1);
    dev.write("src/pause", "sleep 1001");
    dev.wait_for(|dev| dev.news()["phase"] == "building");
    dev.end();
}

#[test]
fn a_crash_is_shown_and_the_next_change_starts_anew() {
    let dev = Dev::start("one");
    dev.wait_for_program();
    let process = fs::read_to_string(dev.folder.path().join("processes")).expect("a number");
    let process = process.trim().parse().ok().and_then(Pid::from_raw).expect("a number");
    kill_process(process, Signal::KILL).expect("it runs");
    dev.wait_for(|dev| dev.page("text/html").status() == 503);
    dev.page("text/html").assert_contains("The program has ended by signal 9");
    dev.write("src/main.rs", "two");
    dev.wait_for_program();
    dev.end();
}

#[test]
fn programs_end_when_kirsch_dev_is_killed() {
    let mut dev = Dev::start("one");
    dev.wait_for_program();
    let process = fs::read_to_string(dev.folder.path().join("processes")).expect("a number");
    dev.kirsch.kill().expect("it runs");
    let deadline = Instant::now() + PATIENCE;
    while runs(process.trim()) {
        assert!(Instant::now() < deadline, "the program is left");
        thread::sleep(Duration::from_millis(5));
    }
}
