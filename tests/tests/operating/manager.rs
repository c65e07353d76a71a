//! What a service manager is told: by the file with the process's number, and by `sd_notify`.

use super::PROGRAM;
use integration_tests::{program::Program, wait_until};
use rustix::process::Signal;
use std::{
    fs,
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    process::{Command, Stdio},
    time::Duration,
};

/// A manager that a program reports to.
pub(crate) struct Manager {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("room");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("room");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        Self { folder, socket }
    }

    /// What a shell says before it starts the program.
    pub(crate) fn variables(&self) -> String {
        format!("NOTIFY_SOCKET={}; export NOTIFY_SOCKET; ", self.folder.path().join("notify").display())
    }

    /// The next message.
    pub(crate) fn told(&self) -> String {
        let mut message = [0; 1000];
        let length = self.socket.recv(&mut message).expect("it is told within 10 s");
        String::from_utf8_lossy(&message[..length]).into_owned()
    }
}

#[test]
fn systemd_hears_of_each_change() {
    let manager = Manager::new();
    let program = Program::start(PROGRAM, &manager.variables(), "", Stdio::null());
    assert_eq!(manager.told(), "READY=1");
    program.signal(Signal::HUP);
    assert!(manager.told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(manager.told(), "READY=1");
    assert_eq!(program.terminate().code(), Some(0));
    assert_eq!(manager.told(), "STOPPING=1");
}

#[test]
fn the_watchdog_is_fed_until_every_worker_is_stuck() {
    let manager = Manager::new();
    let watched = format!("{}WATCHDOG_USEC=20000; export WATCHDOG_USEC; ", manager.variables());
    let stuck = "[global]\nserver.threads = 1\nserver.stuck_after = \"50ms\"\n";
    let program = Program::start(PROGRAM, &watched, stuck, Stdio::null());
    wait_until(|| manager.told() == "WATCHDOG=1");
    let mut held = program.client.raw();
    held.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    manager.socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket");
    wait_until(|| manager.socket.recv(&mut [0; 100]).is_err());
    program.signal(Signal::HUP);
    held.read_response().assert_text("held");
    manager.socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    wait_until(|| manager.told() == "WATCHDOG=1");
}

#[test]
fn the_pid_file_is_there_while_the_program_is_ready() {
    let folder = tempfile::tempdir().expect("room");
    let path = folder.path().join("site.pid");
    let configuration = format!("[global]\nserver.pid_file = \"{}\"\n", path.display());
    let program = Program::start(PROGRAM, "", &configuration, Stdio::null());
    let number = || fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    wait_until(|| number() == Some(program.id()));
    assert_eq!(program.terminate().code(), Some(0));
    assert_eq!(number(), None);
}

/// Answers one client, and waits for it in a call.
const BLOCKING: &str = r#"
import socket
listener = socket.socket(fileno=0)
listener.setblocking(True)
client, _ = listener.accept()
client.recv(1000)
client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\npython")
client.close()
"#;

// Whether calls block is a matter of the socket, which all have in common.
#[test]
fn a_socket_goes_to_a_server_that_blocks_and_comes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let socket = || OwnedFd::from(listener.try_clone().expect("room"));
    let serve = || {
        let program = Program::start_at(socket(), PROGRAM, "[global]\nserver.listen = \"fd:http\"\n");
        assert_eq!(program.client.address(), listener.local_addr().ok());
        program.client.get("/").send().assert_text("here");
        program
    };
    let client = serve().client.new_browser();
    let mut other = Command::new("python3").args(["-c", BLOCKING]).stdin(socket()).spawn().expect("Python");
    client.get("/").send().assert_text("python");
    assert!(other.wait().expect("ours").success());
    assert_eq!(serve().terminate().code(), Some(0));
}
