//! The end of a process: SIGTERM at every stage, a second signal, and the view of a parent or a child of the process.

use integration_tests::{pages::Pages, program::Program, wait_until};
use kirsch::{prelude::*, testing::Client};
use rustix::process::Signal;
use std::{
    io::{Read, Seek},
    net::{TcpListener, TcpStream},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_attacked");
const LONG: Duration = Duration::from_secs(3600);

/// All that could be waited for is an hour, so that waiting would show.
const PATIENT: &str = "[global]\nserver.head_timeout = \"1h\"\nserver.idle_timeout = \"1h\"\nserver.body_timeout = \"1h\"\n\
                       server.write_timeout = \"1h\"\nserver.drain_timeout = \"1h\"\n";
/// Like [`PATIENT`], but the end comes by its deadline.
const BY_DEADLINE: &str = "[global]\nserver.head_timeout = \"1h\"\nserver.idle_timeout = \"1h\"\nserver.body_timeout = \"1h\"\n\
                           server.write_timeout = \"1h\"\nserver.drain_timeout = \"300ms\"\nserver.drain_idle = \"0s\"\n";

fn start(configuration: &str) -> Program {
    Program::start(PROGRAM, "", configuration, Stdio::null())
}

/// The server has begun to stop when it takes no more connections.
fn wait_for_the_stop(program: &Program) {
    let address = program.client.address().expect("it has a socket");
    wait_until(|| TcpStream::connect(address).is_err());
}

// Silent clients are not waited for.
#[test]
fn sigterm_does_not_wait_for_silent_clients() {
    let program = start(PATIENT);
    let mut silent: Vec<_> = (0..30).map(|_| program.client.raw()).collect();
    for (number, connection) in silent.iter_mut().enumerate() {
        match number % 3 {
            0 => {}
            1 => drop(connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response()),
            _ => drop(connection.send("GET / HT")),
        }
    }
    assert_eq!(program.terminate().code(), Some(0));
    silent.iter_mut().for_each(kirsch::testing::RawConnection::assert_closed);
}

// As often as it comes, and without an end of anything.
#[test]
fn sighup_runs_the_graceful_steps_and_the_program_serves_on() {
    let program = start(PATIENT);
    let mut held = program.client.raw();
    held.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    program.signal(Signal::HUP);
    held.read_response().assert_text("held");
    program.signal(Signal::HUP);
    program.client.get("/").send().assert_text("here");
    assert_eq!(program.terminate().code(), Some(0));
}

// The waiting thread hears the signal that stops.
#[test]
fn a_graceful_step_that_hangs_does_not_hold_up_sigterm() {
    let program = Program::start(PROGRAM, "HANG=1; export HANG; ", PATIENT, Stdio::null());
    program.signal(Signal::HUP);
    program.signal(Signal::HUP);
    program.client.get("/").send().assert_text("here");
    assert_eq!(program.terminate().code(), Some(0));
}

#[test]
fn sigquit_writes_the_status_to_the_log_and_the_program_serves_on() {
    let log = tempfile::tempfile().expect("a temporary file");
    let program = Program::start(PROGRAM, "", PATIENT, log.try_clone().expect("a second handle").into());
    let mut held = program.client.raw();
    held.send("GET /sleep?ms=400 HTTP/1.1\r\nHost: a\r\n\r\n");
    program.signal(Signal::QUIT);
    let read = || {
        let (mut file, mut text) = (&log, String::new());
        file.rewind().and_then(|()| file.read_to_string(&mut text)).map(|_| text).expect("the log is text")
    };
    wait_until(|| read().contains("status: running, up "));
    held.read_response().assert_status(200);
    assert_eq!(program.terminate().code(), Some(0));
}

// Every request that was received is answered, and the answer says that it is the last.
#[test]
fn sigterm_lets_requests_end() {
    let program = start(PATIENT);
    let client = &program.client;
    client.get("/count").send().assert_text("1");
    let cookie = client.cookie("session_id").expect("a session was begun");
    let mut handler = client.raw();
    handler.send("GET /sleep?ms=400 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut stream = client.new_browser().get("/slow_stream?chunks=3&ms=200").send_streaming();
    assert!(stream.next().is_some());
    let mut holder = client.raw();
    holder.send(format!("GET /sleep_session?ms=400 HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n"));
    let mut body = client.raw();
    body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    // Its answer shows that the others have been read: one worker after another takes the events in their order.
    client.new_browser().get("/").send().assert_text("here");
    let mut parked = client.raw();
    parked.send(format!("GET /count HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n"));
    let mut pipelined = client.raw();
    pipelined.send("GET /sleep?ms=300 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    program.signal(Signal::TERM);
    wait_for_the_stop(&program);
    body.send("bc").read_response().assert_text("abc").assert_header("connection", "close");
    handler.read_response().assert_text("slept").assert_header("connection", "close");
    holder.read_response().assert_text("slept").assert_header("connection", "close");
    parked.read_response().assert_text("2").assert_header("connection", "close");
    pipelined.read_response().assert_text("slept").assert_header("connection", "close");
    stream.finish().assert_text("0\n1\n2\n");
    drop((body, handler, holder, parked, pipelined));
    assert_eq!(program.wait().code(), Some(0));
}

// A request that never ends is cut off at one deadline, and the exit code says so.
#[test]
fn sigterm_always_ends_by_its_deadline() {
    for request in [
        "GET /sleep?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /slow_stream?chunks=2&ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
    ] {
        let program = start(BY_DEADLINE);
        let mut connection = program.client.raw();
        connection.send(request);
        program.client.new_browser().get("/").send().assert_text("here");
        assert_eq!(program.terminate().code(), Some(1), "{request}");
    }
}

#[test]
fn the_second_signal_ends_the_process_at_once() {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let program = start(PATIENT);
        let mut stream = program.client.get("/slow_stream?chunks=2&ms=60000").send_streaming();
        assert!(stream.next().is_some());
        program.signal(Signal::TERM);
        wait_for_the_stop(&program);
        program.signal(second);
        assert_eq!(program.wait().code(), Some(code));
    }
}

// A signal at any moment of the start is not lost: it ends the process by itself, or it is the first signal.
#[test]
fn sigterm_during_the_start_is_not_lost() {
    for delay in 0..40 {
        let mut child = Program::command(PROGRAM, "", "")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it was built");
        // Each round is interrupted at another moment; nothing waits for this.
        thread::sleep(Duration::from_micros(delay * 250));
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).expect("it runs");
        let status = ended(&mut child);
        assert!(status.code() == Some(0) || status.signal() == Some(15), "after {delay}: {status}");
    }
}

// As in a container: the kernel delivers to the first process of a namespace only signals that it handles.
#[test]
fn sigterm_ends_the_first_process_of_a_container_in_order() {
    const CONTAINER: &str = "unshare --user --map-root-user --pid --fork --kill-child";
    let may = Command::new("sh").args(["-c", &format!("{CONTAINER} true")]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine lets its users make no namespaces");
        return;
    }
    let before = format!("exec {CONTAINER} \"$0\" \"$1\"; ");
    let program = Program::start(PROGRAM, &before, PATIENT, Stdio::null());
    let children = format!("/proc/{0}/task/{0}/children", program.id());
    let first: i32 = std::fs::read_to_string(children).expect("it runs").trim().parse().expect("one child");
    let first = rustix::process::Pid::from_raw(first).expect("a process");
    rustix::process::kill_process(first, Signal::TERM).expect("it runs");
    assert_eq!(program.wait().code(), Some(0));
}

// It takes effect when the start is over, in order.
#[test]
fn sigterm_during_a_long_start_stops_in_order() {
    let program = Program::start(PROGRAM, "SLOW_START=300; export SLOW_START; ", PATIENT, Stdio::null());
    assert_eq!(program.terminate().code(), Some(0));
}

fn ended(child: &mut Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the signal was lost");
        }
        thread::yield_now();
    }
}

// A server inside of a program that has other threads, and goes on afterwards.
#[test]
fn a_stop_waits_for_no_foreign_thread_and_the_program_goes_on() {
    let (end, until) = std::sync::mpsc::channel::<()>();
    let foreign = thread::Builder::new().name("kirsch-worker-1".to_owned()).spawn(move || until.recv());
    let foreign = foreign.expect("a thread");
    for _ in 0..3 {
        let running =
            App::new(Pages::default()).tool("/", Sessions::in_memory()).start("127.0.0.1:0").expect("a free port");
        Client::connect(running.address()).get("/").send().assert_text("here");
        assert!(running.stop(LONG).unfinished.is_empty());
    }
    assert!(!foreign.is_finished());
    drop(end);
    assert!(foreign.join().expect("no panic").is_err());
}

/// Starts a process that outlives its request.
struct Spawning(Arc<Mutex<Option<Child>>>);

#[handlers]
impl Spawning {
    #[expose]
    fn index(&self) -> kirsch::Result<&'static str> {
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        *self.0.lock().expect("nobody panics with it") = Some(child);
        Ok("spawned")
    }
}

// A child that a handler has started keeps neither the port nor the connection.
#[test]
fn a_child_process_inherits_no_socket() {
    let child = Arc::new(Mutex::new(None));
    let running = App::new(Spawning(Arc::clone(&child))).start("127.0.0.1:0").expect("a free port");
    let address = running.address();
    let mut connection = Client::connect(address).raw();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("spawned");
    assert!(running.stop(LONG).unfinished.is_empty());
    connection.assert_closed();
    assert!(TcpListener::bind(address).is_ok());
    let mut child = child.lock().expect("nobody panics with it").take().expect("it was started");
    assert_eq!(child.try_wait().expect("it is our child"), None, "the child has ended before it could be looked at");
    drop(child.stdin.take());
    assert!(child.wait().expect("it is our child").success());
}
