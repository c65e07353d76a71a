//! A demo program as a process, for tests: it starts on a free port, and ends with the test.

use kirsch::testing::Client;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

/// A running demo program; killed when a test fails before it has ended.
#[derive(Debug)]
pub struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    /// A client of it.
    pub client: Client,
}

impl Program {
    /// Starts the program at `path`, and waits until it has announced its address.
    ///
    /// # Panics
    /// If it does not announce one.
    #[must_use]
    pub fn start(path: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path);
        command.args(["--port", "0"]).args(arguments);
        Self::run(command)
    }

    /// Runs the command, and waits until it has announced the first address, which must be one of IP. The client does
    /// not speak TLS.
    ///
    /// # Panics
    /// If it does not announce one.
    #[must_use]
    pub fn run(mut command: Command) -> Self {
        command.env_remove("RUST_LOG");
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program was built");
        let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("stdout is text");
        let url = line.trim_end().strip_prefix("Serving on ");
        let address = url.and_then(|url| url.split_once("://")).map(|(_, address)| address.parse());
        let address = address.unwrap_or_else(|| panic!("not an announcement: {line:?}")).expect("an address");
        Self { child, output, client: Client::connect(address) }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, and does not wait for its effect.
    ///
    /// # Panics
    /// If the program has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program runs");
    }

    /// Sends a signal; returns the exit code and the rest of the output.
    ///
    /// # Panics
    /// If the program has ended, or its output is not text.
    #[must_use]
    pub fn end_with(mut self, signal: Signal) -> (Option<i32>, String) {
        self.signal(signal);
        (self.wait(), self.rest())
    }

    /// Waits for its end, and returns the exit code. Another process may go on with its output.
    ///
    /// # Panics
    /// If it is not ours.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("the program is our child").code()
    }

    /// The next line of the output.
    ///
    /// # Panics
    /// If it is not text.
    #[must_use]
    pub fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("stdout is text");
        line.trim_end().to_owned()
    }

    /// The output until all processes that write it have ended.
    ///
    /// # Panics
    /// If it is not text.
    #[must_use]
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("stdout is text");
        rest
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails when the program has ended already, which is the aim of the tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
