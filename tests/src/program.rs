//! The attacked pages as a child process.

use crate::{resources::Resources, wait_until};
use kirsch::testing::Client;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// A running program; killed when a test fails before it has ended.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// A client of it.
    pub client: Client,
}

impl Program {
    /// Starts the program at `path` with a configuration, by way of a shell that may first change its limits: `"ulimit
    /// -n 64; "`. `stderr` is where its log goes.
    ///
    /// # Panics
    /// If it does not announce an address.
    #[must_use]
    pub fn start(path: &str, before: &str, configuration: &str, stderr: Stdio) -> Self {
        Self::announced(Self::command(path, before, configuration), stderr)
    }

    /// Starts the program with a listening socket, which is `fd:http` there.
    ///
    /// # Panics
    /// If it does not announce an address.
    #[must_use]
    pub fn start_at(socket: OwnedFd, path: &str, configuration: &str) -> Self {
        let before = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http; ";
        let mut command = Self::command(path, before, configuration);
        command.stdin(socket);
        Self::announced(command, Stdio::null())
    }

    fn announced(mut command: Command, stderr: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("there is a shell");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        output.read_line(&mut line).expect("stdout is text");
        let address = line.trim_end().parse().unwrap_or_else(|_| panic!("not an address: {line:?}"));
        Self { child, client: Client::connect(address) }
    }

    /// Starts the program without a reader for its announcement.
    ///
    /// # Panics
    /// If it does not listen within 10 s.
    #[must_use]
    pub fn start_unheard(path: &str, before: &str, configuration: &str, address: SocketAddr) -> Self {
        let child = Self::command(path, before, configuration).spawn().expect("there is a shell");
        wait_until(|| std::net::TcpStream::connect(address).is_ok());
        Self { child, client: Client::connect(address) }
    }

    /// The program as a command, for tests that need more than the functions above.
    #[must_use]
    pub fn command(path: &str, before: &str, configuration: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before}exec \"$0\" \"$1\""), path, configuration]);
        command.env("RUST_LOG", "info").stdin(Stdio::null());
        command
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The resources of the process now, with all threads of the server started.
    #[must_use]
    pub fn resources(&self) -> Resources {
        // Threads give themselves their names: ten workers, acceptor, ticker, ends, watch.
        wait_until(|| Resources::of_process(self.id()).threads >= 14);
        Resources::of_process(self.id())
    }

    /// Waits until the process holds no more than before.
    #[track_caller]
    pub fn wait_until_back_at(&self, before: &Resources) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.resources().is_back_at(before) {
            assert!(Instant::now() < deadline, "something was kept: {before:?} before, {:?} after", self.resources());
            std::thread::yield_now();
        }
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If it has ended already.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end within 10 s.
    #[track_caller]
    pub fn wait(mut self) -> ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        let status = std::cell::Cell::new(None);
        wait_until(|| {
            status.set(child.borrow_mut().try_wait().expect("it is our child"));
            status.get().is_some()
        });
        status.get().expect("it has ended")
    }

    /// Sends SIGTERM and waits for its end.
    #[track_caller]
    pub fn terminate(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails when the program has ended already, which is the aim of the tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
