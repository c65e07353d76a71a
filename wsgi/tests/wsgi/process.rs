//! Python within the process of the server: its stop, its threads and signals, its children.

use crate::{app, assert_log, client, python};
use kirsch::testing::Client;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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
        command.args(["--exact", "process::a_server_for_other_tests", "--nocapture"]).env("KIRSCH_WSGI_SERVES", "1");
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
fn a_fork_is_warned_of() {
    client().get("/p/forks").send().assert_text("forked");
    assert_log(&["the application forks this process"]);
}

#[test]
fn a_request_leaves_no_object_behind() {
    // A process of its own, so that no other test makes objects.
    let program = Program::start();
    let client = program.client();
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
    // It is about 300 requests and not about three objects.
    assert!(grown < 50, "{grown} objects more");
    assert_eq!(program.stop(), Some(7));
}
