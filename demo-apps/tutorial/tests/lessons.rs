//! Each lesson as a process: it announces its address, does what it teaches, and ends with 0 after SIGTERM.

use kirsch::testing::{Client, FormData};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Opens the debug page of a lesson.
const DEBUG_KEY: &str = "the-key-of-these-tests";

struct Lesson {
    child: Child,
    client: Client,
}

impl Lesson {
    fn start(program: &str) -> Self {
        let mut command = Command::new(program);
        // The deliberate errors in the log are of no use here.
        command.args(["--port", "0"]).env("RUST_LOG", "off").env("KIRSCH_DEBUG_KEY", DEBUG_KEY);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it was built");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("stdout is text");
        let address = line.trim_end().strip_prefix("Serving on http://").map(str::parse);
        let address = address.unwrap_or_else(|| panic!("not an announcement: {line:?}")).expect("an address");
        Self { child, client: Client::connect(address) }
    }

    fn end(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the program runs");
        assert_eq!(self.child.wait().expect("it is our child").code(), Some(0));
    }
}

impl Drop for Lesson {
    fn drop(&mut self) {
        // Fails when the program has ended already, which is the aim of the tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LESSONS: [&str; 10] = [
    env!("CARGO_BIN_EXE_t01-hello"),
    env!("CARGO_BIN_EXE_t02-expose"),
    env!("CARGO_BIN_EXE_t03-forms"),
    env!("CARGO_BIN_EXE_t04-site-of-objects"),
    env!("CARGO_BIN_EXE_t05-shared-layouts"),
    env!("CARGO_BIN_EXE_t06-default-method"),
    env!("CARGO_BIN_EXE_t07-sessions"),
    env!("CARGO_BIN_EXE_t08-streaming"),
    env!("CARGO_BIN_EXE_t09-files"),
    env!("CARGO_BIN_EXE_t10-errors"),
];

#[test]
fn each_lesson_explains_itself_to_browsers_with_its_code() {
    for program in LESSONS {
        let lesson = Lesson::start(program);
        let page = lesson.client.get("/").header("Accept", "text/html,*/*;q=0.8").send();
        page.assert_status(200)
            .assert_contains("Lesson ")
            .assert_contains("Try ")
            .assert_contains("fn main() -&gt; ExitCode");
        lesson.client.get("/").send().assert_status(200).assert_lacks("fn main()");
        lesson.end();
    }
}

#[test]
fn each_lesson_knows_the_options_of_the_demos() {
    for program in LESSONS {
        let output = |argument| Command::new(program).arg(argument).output().expect("it was built");
        let help = String::from_utf8_lossy(&output("--help").stdout).into_owned();
        assert!(help.starts_with("Lesson ") && help.contains("--port N") && help.contains("--threads N"), "{help}");
        assert_eq!(output("8081").status.code(), Some(2));
    }
}

#[test]
fn t01_says_hello() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t01-hello"));
    lesson.client.get("/").send().assert_status(200).assert_text("Hello world!");
    lesson.client.get("/other").send().assert_status(404);
    lesson.end();
}

#[test]
fn t02_publishes_exposed_methods_and_nothing_else() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t02-expose"));
    lesson.client.get("/show-msg").send().assert_text("Hello world!");
    lesson.client.get("/add/3/4").send().assert_text("3 + 4 = 7");
    lesson.client.get("/add?a=3&b=-4").send().assert_text("3 + -4 = -1");
    lesson.client.get("/add/3/four").send().assert_status(404);
    lesson.client.get("/message").send().assert_status(404);
    lesson.end();
}

#[test]
fn t03_takes_forms_by_get_and_by_post() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t03-forms"));
    lesson.client.get("/greet?name=%3Cb%3EAnn").send().assert_text("Hey &lt;b&gt;Ann, what's up?");
    lesson.client.get("/greet").send().assert_contains("enter your name");
    lesson.client.post("/sign").form(&[("name", "<i>Bob")]).send().assert_status(303);
    lesson.client.get("/").send().assert_contains("<li>&lt;i&gt;Bob");
    lesson.client.get("/sign?name=Bob").send().assert_status(405);
    lesson.end();
}

#[test]
fn t04_is_a_site_of_several_objects() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t04-site-of-objects"));
    lesson.client.get("/joke/1/").send().assert_contains("bounded queue");
    lesson.client.get("/joke/3/").send().assert_status(404);
    lesson.client.get("/links/").send().assert_contains("rust-lang.org");
    lesson.client.get("/links/books").send().assert_contains("The book");
    lesson.end();
}

#[test]
fn t05_has_one_layout_for_two_pages() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t05-shared-layouts"));
    for (path, title) in [("/", "<h2>Tutorial</h2>"), ("/another/", "<h2>Another page</h2>")] {
        lesson.client.get(path).send().assert_contains(title).assert_contains("<p>Tutorial, lesson 5</p>");
    }
    lesson.end();
}

#[test]
fn t06_has_a_default() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t06-default-method"));
    lesson.client.get("/lorenzo").send().assert_contains("famous actor");
    lesson.client.get("/about").send().assert_contains("Three people");
    lesson.client.get("/%3Cb%3E").send().assert_contains("Unknown user &lt;b&gt;");
    lesson.client.get("/lorenzo/x").send().assert_status(404);
    lesson.end();
}

#[test]
fn t07_counts_for_each_visitor() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t07-sessions"));
    lesson.client.get("/").send().assert_contains("this page 1 times");
    lesson.client.get("/").send().assert_contains("this page 2 times");
    lesson.client.new_browser().get("/").send().assert_contains("this page 1 times");
    lesson.client.post("/forget").send().assert_status(303);
    lesson.client.get("/").send().assert_contains("this page 1 times");
    lesson.end();
}

#[test]
fn t08_sends_each_line_as_it_is_made() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t08-streaming"));
    lesson.client.get("/").send().assert_contains("Remi<br>Carlos<br>");
    let mut lines = lesson.client.get("/count?to=3").send_streaming();
    assert_eq!(lines.next().as_deref(), Some(&b"1\n"[..]));
    lines.finish().assert_text("1\n2\n3\n");
    lesson.end();
}

#[test]
fn t09_takes_and_gives_files() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t09-files"));
    let form = FormData::new().file("file", "<a>.txt", "text/plain", b"12345");
    lesson.client.post("/upload").form_data(form).send().assert_text("&lt;a&gt;.txt: 5 bytes, content type text/plain");
    lesson.client.get("/download").send().assert_header("content-disposition", "attachment; filename=\"a cherry.txt\"");
    lesson.client.get("/pages/cherry.txt").send().assert_text("A cherry.\n");
    lesson.end();
}

#[test]
fn t10_answers_each_error_with_its_page() {
    let lesson = Lesson::start(env!("CARGO_BIN_EXE_t10-errors"));
    lesson.client.set_cookie("kirsch_debug", DEBUG_KEY);
    let browser = |path| lesson.client.get(path).header("Accept", "text/html").send();
    browser("/members").assert_status(403).assert_text("<h1>No</h1>This page is for members.");
    browser("/members/typo").assert_status(404).assert_contains("<h1>No such member</h1>");
    lesson.client.get("/pay?amount=50").send().assert_status(409).assert_contains("\"balance\":30");
    let (failure, panic, typo) = (browser("/unexpected"), browser("/panic"), browser("/typo"));
    for (page, status) in [(&failure, 500), (&panic, 500), (&typo, 404)] {
        page.assert_status(status).assert_contains(page.header("x-request-id").expect("each has a number"));
    }
    failure.assert_contains("No such file or directory").assert_contains("t10-errors.rs");
    panic.assert_contains("this worker lives on");
    typo.assert_contains("All 5 routes");
    lesson.end();
}
