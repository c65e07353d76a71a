//! The programs: each is started with the listener, says when it is ready, and hears what the build does.
//!
//! A program inherits the listener as from systemd (`LISTEN_FDS`), and tells as to systemd that it is ready
//! (`NOTIFY_SOCKET`). What the build does comes by a Unix socket (`KIRSCH_DEV`). Both sockets are in a folder that only
//! this user can open.

use super::report::Reported;
use super::supervisor::Event;
use super::tail::Tail;
use crate::say;
use crossbeam_channel::Sender;
use kirsch::dev::{Progress, VARIABLE};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The shell knows the number of the process before the program runs in it, and puts the listener where it belongs.
const SHELL: &str =
    "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=kirsch-dev; exec \"$0\" \"$@\"";

/// A program that reads nothing for so long hears no more.
const PATIENCE: Duration = Duration::from_secs(1);

/// All programs that run, and the listener.
pub(crate) struct Programs {
    listener: TcpListener,
    sockets: TempDir,
    /// The working directory of the programs.
    folder: PathBuf,
    arguments: Vec<OsString>,
    running: HashMap<u64, Running>,
    links: Arc<Mutex<Links>>,
    /// Opens the debug page, for all programs: a browser that has it keeps it.
    debug_key: String,
    told: Sender<Event>,
}

struct Running {
    group: Pid,
    /// Where it says that it is ready.
    notices: PathBuf,
}

#[derive(Default)]
struct Links {
    progress: Progress,
    /// By the number of the program.
    open: HashMap<u64, UnixStream>,
}

impl Programs {
    pub(crate) fn new(
        listener: TcpListener,
        folder: PathBuf,
        arguments: Vec<OsString>,
        told: Sender<Event>,
    ) -> Result<Self, String> {
        let sockets = tempfile::Builder::new().prefix("kirsch-dev-").tempdir();
        let sockets = sockets.map_err(|error| format!("there is no place for a temporary folder: {error}"))?;
        let debug_key = debug_key().map_err(|error| format!("/dev/urandom: {error}"))?;
        let (running, links) = (HashMap::new(), Arc::default());
        Ok(Self { listener, sockets, folder, arguments, running, links, debug_key, told })
    }

    /// Starts a program, or `kirsch` itself. A failure comes as the program's end.
    pub(crate) fn start(&mut self, number: u64, path: Option<&Path>) {
        if let Err(error) = self.try_start(number, path) {
            let shown = path.map_or_else(|| "kirsch".to_owned(), |path| path.display().to_string());
            let ended = Reported::text("The program cannot be started", &format!("{shown}: {error}"));
            let _ = self.told.send(Event::Ended(number, ended));
        }
    }

    fn try_start(&mut self, number: u64, path: Option<&Path>) -> std::io::Result<()> {
        let link = self.sockets.path().join(format!("{number}.link"));
        let notices = self.sockets.path().join(format!("{number}.notices"));
        self.link(number, UnixListener::bind(&link)?);
        self.await_readiness(number, UnixDatagram::bind(&notices)?);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SHELL]);
        match path {
            Some(path) => command.arg(path).args(&self.arguments),
            None => command.arg(std::env::current_exe()?).arg(super::FRONT),
        };
        command.current_dir(&self.folder).process_group(0);
        command.env(VARIABLE, &link).env("NOTIFY_SOCKET", &notices).env("KIRSCH_SERVER__LISTEN", "fd:kirsch-dev");
        // The next program is there already: an old one has the time to answer whoever has connected to it.
        let usual = [
            ("KIRSCH_SERVER__DRAIN_IDLE", "1s", true),
            ("KIRSCH_SERVER__DRAIN_TIMEOUT", "5s", true),
            ("KIRSCH_DEBUG_KEY", &self.debug_key, true),
            ("RUST_LOG_STYLE", "always", say::has_colours()),
        ];
        for (name, value, applies) in usual {
            if applies && std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        command.env_remove("KIRSCH_COMMAND");
        command.stdin(OwnedFd::from(self.listener.try_clone()?)).stderr(Stdio::piped());
        let child = command.spawn()?;
        self.running.insert(number, Running { group: Pid::from_child(&child), notices });
        self.await_end(number, child);
        Ok(())
    }

    /// Gives the program the present state as soon as it asks, and from then on each next one.
    fn link(&self, number: u64, listener: UnixListener) {
        let links = self.links.clone();
        thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            if stream.set_write_timeout(Some(PATIENCE)).is_err() {
                return;
            }
            let mut links = lock(&links);
            let progress = links.progress.clone();
            if tell(&mut stream, number, &progress) {
                links.open.insert(number, stream);
            }
        });
    }

    fn await_readiness(&self, number: u64, notices: UnixDatagram) {
        let told = self.told.clone();
        thread::spawn(move || {
            let mut notice = [0; 4096];
            while let Ok(length) = notices.recv(&mut notice) {
                let mut lines = notice[..length].split(|byte| *byte == b'\n');
                if lines.clone().any(|line| line == ENDED) {
                    return;
                }
                if lines.any(|line| line == b"READY=1") && told.send(Event::Ready(number)).is_err() {
                    return;
                }
            }
        });
    }

    fn await_end(&self, number: u64, mut child: Child) {
        let told = self.told.clone();
        thread::spawn(move || {
            let tail = child.stderr.take().map(|errors| Tail::follow(errors, std::io::stderr()));
            let status = child.wait();
            let last = tail.map(Tail::end).unwrap_or_default();
            let how = status.map_or_else(|error| error.to_string(), how);
            let _ = told.send(Event::Ended(number, Reported::text(&format!("The program has ended {how}"), &last)));
        });
    }

    /// Tells all programs the state.
    pub(crate) fn tell(&self, progress: Progress) {
        let mut links = lock(&self.links);
        links.open.retain(|number, stream| tell(stream, *number, &progress));
        links.progress = progress;
    }

    /// Lets a program end.
    pub(crate) fn stop(&self, number: u64) {
        self.signal(number, Signal::TERM);
    }

    /// Ends a program, with everything that it has started.
    pub(crate) fn kill(&self, number: u64) {
        self.signal(number, Signal::KILL);
    }

    fn signal(&self, number: u64, signal: Signal) {
        if let Some(running) = self.running.get(&number) {
            // One that is gone has ended by itself.
            let _ = kill_process_group(running.group, signal);
        }
    }

    /// Forgets a program that has ended, and ends what it has left behind.
    pub(crate) fn forget(&mut self, number: u64) {
        let Some(running) = self.running.remove(&number) else { return };
        let _ = kill_process_group(running.group, Signal::KILL);
        lock(&self.links).open.remove(&number);
        let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to(ENDED, &running.notices));
        drop(sent);
        for path in [&running.notices, &running.notices.with_extension("link")] {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// 128 random bits.
fn debug_key() -> std::io::Result<String> {
    let mut random = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}

/// What the waiting thread is told when there is nothing to wait for.
const ENDED: &[u8] = b"ENDED";

fn lock(links: &Mutex<Links>) -> MutexGuard<'_, Links> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the program goes on listening.
fn tell(stream: &mut UnixStream, number: u64, progress: &Progress) -> bool {
    let progress = Progress { program: number, ..progress.clone() };
    let line = serde_json::to_vec(&progress).map(|mut line| {
        line.push(b'\n');
        line
    });
    line.is_ok_and(|line| stream.write_all(&line).is_ok())
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(0), _) => "by itself".to_owned(),
        (Some(code), _) => format!("with status {code}"),
        (_, Some(signal)) => format!("by signal {signal}"),
        _ => status.to_string(),
    }
}
