//! Engines for the tests of session stores: real servers of Debian's packages, each on a port of its own and in a
//! folder that goes with it.

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server that runs while this lives, on 127.0.0.1.
#[derive(Debug)]
pub struct Engine {
    command: Vec<String>,
    child: Option<Child>,
    port: u16,
    folder: TempDir,
    stop_signal: Signal,
}

/// Debian's numbers of `nobody` and `nogroup`.
const NOBODY: u32 = 65534;
const NOGROUP: u32 = 65534;

impl Engine {
    /// A Redis that keeps nothing on disk, with more arguments (`["--requirepass", "secret"]`).
    ///
    /// # Panics
    /// If it is not installed or does not start; so for all of them.
    #[must_use]
    pub fn redis(arguments: &[&str]) -> Self {
        let port = free_port();
        let start = format!("redis-server --port {port} --bind 127.0.0.1 --save {{}} --appendonly no");
        Self::start(port, &start, arguments)
    }

    /// A memcached.
    #[must_use]
    pub fn memcached(arguments: &[&str]) -> Self {
        let port = free_port();
        Self::start(port, &format!("memcached --listen=127.0.0.1 --port={port} --udp-port=0 --user=nobody"), arguments)
    }

    /// A PostgreSQL with a database `postgres` for the user `kirsch`. It does not run as root, so root starts it as the
    /// user `nobody`.
    #[must_use]
    pub fn postgres() -> Self {
        let binaries = std::fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
        let binaries = binaries.map(|version| version.path().join("bin")).max();
        let binaries = binaries.expect("PostgreSQL is not installed; `bash check` installs it").display().to_string();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let user = if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOGROUP)).expect("a folder of nobody's");
            format!("setpriv --reuid={NOBODY} --regid={NOGROUP} --clear-groups ")
        } else {
            String::new()
        };
        let data = folder.path().join("data").display().to_string();
        let make =
            format!("{user}{binaries}/initdb --auth=trust --username=kirsch --no-sync --encoding=UTF8 -D {data}");
        let mut words = make.split(' ');
        let mut command = Command::new(words.next().expect("a program"));
        let made = command.args(words).current_dir(folder.path()).output().expect("initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let settings = "-c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off";
        let mut engine =
            Self::prepared(folder, port, &format!("{user}{binaries}/postgres -D {data} -p {port} {settings}"), &[]);
        // Its processes share memory, and must all be gone before it can start again.
        engine.stop_signal = Signal::QUIT;
        engine.resume();
        engine
    }

    /// A server that is to listen on `port`: `{}` among the words of `start` is an empty argument, `{folder}` is its
    /// folder.
    #[must_use]
    pub fn start(port: u16, start: &str, arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), port, start, arguments)
    }

    /// The server with a file of that name and content in its folder.
    #[must_use]
    pub fn start_with_file(port: u16, start: &str, name: &str, content: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(name), content).expect("a file");
        Self::start_in(folder, port, start, &[])
    }

    /// The server in a folder that is prepared.
    #[must_use]
    pub fn start_in(folder: TempDir, port: u16, start: &str, arguments: &[&str]) -> Self {
        let mut engine = Self::prepared(folder, port, start, arguments);
        engine.resume();
        engine
    }

    fn prepared(folder: TempDir, port: u16, start: &str, arguments: &[&str]) -> Self {
        let path = folder.path().display().to_string();
        let words = start.split_whitespace().chain(arguments.iter().copied());
        let command = words.map(|word| if word == "{}" { String::new() } else { word.replace("{folder}", &path) });
        Self { command: command.collect(), child: None, port, folder, stop_signal: Signal::KILL }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Ends it at once, as a power cut would. [`resume`](Self::resume) brings it back at the same address.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill_process(Pid::from_child(&child), self.stop_signal);
            let _ = child.wait();
        }
    }

    /// Starts it again and waits until it listens.
    ///
    /// # Panics
    /// If it does not within 20 s.
    pub fn resume(&mut self) {
        let (program, arguments) = self.command.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(arguments.iter().map(OsStr::new)).current_dir(self.folder.path());
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        command.stdin(Stdio::null()).stderr(log.try_clone().expect("a log")).stdout(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; `bash check` installs it"));
        let child = self.child.insert(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() || !is_ready(self.stop_signal, self.port) {
            let ended = child.try_wait().expect("a child");
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "{program} did not start: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops all answers, without closing a connection, until it is [`thaw`](Self::thaw)ed.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        // The signal is sent, and its threads go on until it has reached each of them.
        let tasks = format!("/proc/{}/task", self.child.as_ref().expect("a running engine").id());
        let is_stopped = |task: io::Result<std::fs::DirEntry>| {
            let status = task.and_then(|task| std::fs::read_to_string(task.path().join("stat")));
            // The state comes behind the name, which is in parentheses.
            status.is_ok_and(|status| status.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')))
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !std::fs::read_dir(&tasks).expect("its threads").all(is_stopped) {
            assert!(Instant::now() < deadline, "the engine does not stop");
            std::thread::yield_now();
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running engine");
        kill_process(Pid::from_child(child), signal).expect("a running engine");
    }
}

/// PostgreSQL listens some time before it answers.
fn is_ready(stop_signal: Signal, port: u16) -> bool {
    let ready = || Command::new("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status();
    stop_signal != Signal::QUIT || ready().is_ok_and(|status| status.success())
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The way to an engine, on which answers can be late, held back, or lost: the engine has done its work, and the answer
/// does not arrive.
#[derive(Debug)]
pub struct Wire {
    address: String,
    state: Arc<WireState>,
}

#[derive(Debug, Default)]
struct WireState {
    loses: AtomicBool,
    delay: Duration,
    is_held: Mutex<bool>,
    released: Condvar,
}

impl Wire {
    /// A way to `engine`, through a port of its own.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn to(engine: &Engine) -> Self {
        Self::slow_to(engine, Duration::ZERO)
    }

    /// The way to an engine on which each answer takes this long.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn slow_to(engine: &Engine, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (state, there) = (Arc::new(WireState { delay, ..WireState::default() }), engine.address());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for here in listener.incoming().flatten() {
                let (state, there) = (Arc::clone(&shared), TcpStream::connect(&there));
                std::thread::spawn(move || there.and_then(|there| carry(here, there, &state)));
            }
        });
        Self { address, state }
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next answer is lost, and its connection with it.
    pub fn lose_an_answer(&self) {
        self.state.loses.store(true, Ordering::SeqCst);
    }

    /// Whether an answer is still to be lost.
    #[must_use]
    pub fn is_about_to_lose(&self) -> bool {
        self.state.loses.load(Ordering::SeqCst)
    }

    /// No answer comes through until [`release`](Self::release).
    pub fn hold(&self) {
        *self.state.is_held.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Answers come through again, those that were held back first.
    pub fn release(&self) {
        *self.state.is_held.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.state.released.notify_all();
    }
}

impl WireState {
    fn pass(&self) {
        std::thread::sleep(self.delay);
        let mut is_held = self.is_held.lock().unwrap_or_else(PoisonError::into_inner);
        while *is_held {
            is_held = self.released.wait(is_held).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn carry(mut here: TcpStream, mut there: TcpStream, state: &WireState) -> io::Result<()> {
    let (mut questions, mut engine) = (here.try_clone()?, there.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut questions, &mut engine);
        let _ = engine.shutdown(std::net::Shutdown::Both);
    });
    let mut answer = [0; 65_536];
    loop {
        let length = there.read(&mut answer)?;
        if length == 0 || state.loses.swap(false, Ordering::SeqCst) {
            return here.shutdown(std::net::Shutdown::Both);
        }
        state.pass();
        here.write_all(&answer[..length])?;
    }
}

/// A port without a listener.
///
/// It is below the ports that the kernel gives to clients and to port 0. Any connection of another test could take one
/// of those between this call and the start of an engine.
///
/// # Panics
/// If no port is free.
#[must_use]
pub fn free_port() -> u16 {
    const PORTS: Range<u32> = 10_000..32_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Programs that run beside each other begin far from each other.
    let first = std::process::id().wrapping_mul(101);
    let next = || PORTS.start + first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
    let mut ports = std::iter::repeat_with(next).take(1000).filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}
