//! The pages of the demos in a real browser: their scripts run, and the console stays empty. Skipped where Chromium is not installed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// A running demo program; it ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // Fails when the program has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(path: &str, arguments: &[&str]) -> (Program, String) {
    let mut command = Command::new(path);
    let mut child = command.args(["--port=0"]).args(arguments).stdout(Stdio::piped()).spawn().expect("it was built");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("stdout is text");
    let address = line.trim_end().strip_prefix("Serving on ").expect("an announcement").to_owned();
    (Program(child), address)
}

/// The page as it is after its script has run, or `None` without a browser.
fn after_its_script(address: &str) -> Option<String> {
    let profile = tempfile::tempdir().expect("room");
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    // Timers run as fast as the network lets them.
    command.args(["--dump-dom", "--virtual-time-budget=20000", "--enable-logging=stderr"]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).arg(address);
    let Ok(output) = command.output() else {
        eprintln!("skipped: there is no chromium to run");
        return None;
    };
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(!messages.contains("CONSOLE"), "{address}: {messages}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_pages_of_the_demos_work_in_a_browser() {
    for (path, arguments, place, texts) in [
        (
            env!("CARGO_BIN_EXE_page1-page2"),
            "--seconds=0",
            "/#/page1",
            ["/page1: \"*Yawn*\" after", "/page2: \"Hello World!\" after"],
        ),
        (env!("CARGO_BIN_EXE_chunks"), "--pause=0", "/#/chunks", ["s: Chunk 0", "Chunk 9"]),
        (env!("CARGO_BIN_EXE_quadruple"), "--seconds=0", "/#5", ["4 × 5 = 20 after", "asked         1\n"]),
        (env!("CARGO_BIN_EXE_upload"), "--threads=2", "/", ["nothing yet", "<progress"]),
        (
            env!("CARGO_BIN_EXE_components"),
            "--milliseconds=50",
            "/#implicit",
            ["at most 1 at the same time", "<rect class=\"waiting\""],
        ),
        // Six connections to a host: the other two parts are queued in the browser.
        (
            env!("CARGO_BIN_EXE_components"),
            "--milliseconds=500",
            "/#view",
            ["at most 6 at the same time", "<rect class=\"queued\""],
        ),
        (env!("CARGO_BIN_EXE_components"), "--milliseconds=500", "/#forget", ["at most 6 ", "<rect class=\"running\""]),
        (env!("CARGO_BIN_EXE_components"), "--milliseconds=500", "/#lazy", ["at most 6 ", "<rect class=\"running\""]),
        (
            env!("CARGO_BIN_EXE_components"),
            "--milliseconds=500",
            "/#database",
            ["at most 6 ", "<rect class=\"running\""],
        ),
        (env!("CARGO_BIN_EXE_shared-session"), "--threads=2", "/everybody", ["part 3", "has seen 1 of"]),
        (env!("CARGO_BIN_EXE_static-site"), "--threads=2", "/assets/", [">cherry.svg</a>", ">site.css</a>"]),
    ] {
        let (_program, address) = start(path, &[arguments]);
        let Some(page) = after_its_script(&format!("{address}{place}")) else { return };
        for text in texts {
            assert!(page.contains(text), "{path} has no {text:?}: {page}");
        }
    }
}
