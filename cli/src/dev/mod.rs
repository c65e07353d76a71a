//! `kirsch dev`: serves the program of this folder, and builds it again when a file changes.
//!
//! | file | what is in it |
//! |---|---|
//! | `supervisor.rs` | what is done next: events in, actions out |
//! | `watch.rs` | the watched files |
//! | `cargo.rs` | the build |
//! | `program.rs` | the programs |
//! | `report.rs` | the page that shows what is wrong |
//! | `tail.rs` | the last words of a process |
//!
//! The listener is bound once and kept for ever. All threads only tell events; this one does everything.

mod cargo;
mod program;
mod report;
mod supervisor;
mod tail;
mod watch;

use crate::command_line::PackageChoice;
use crate::say;
use cargo::{Building, Places};
use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use kirsch::prelude::*;
use program::Programs;
use report::Reported;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;
use std::time::Instant;
use supervisor::{Action, Event, Supervisor};
use watch::Watch;

/// The argument with which `kirsch` answers while there is no program.
pub(crate) const FRONT: &str = "--front";

/// `kirsch dev`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Development {
    pub(crate) listen: SocketAddr,
    /// Further files and folders to watch.
    pub(crate) watch: Vec<PathBuf>,
    /// Whether a clock looks at the files.
    pub(crate) polls: bool,
    pub(crate) package: PackageChoice,
    /// For the program.
    pub(crate) arguments: Vec<OsString>,
}

/// Serves until a signal comes. The error is a sentence with a remedy.
pub(crate) fn run(development: Development) -> Result<(), String> {
    let places = Places::find(&development.package)?;
    let listener = bind(development.listen)?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let (tell, events) = unbounded();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|error| format!("signals: {error}"))?;
    let on_signal = tell.clone();
    thread::spawn(move || signals.forever().all(|_| on_signal.send(Event::Stop).is_ok()));
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let further = development.watch.iter().map(|path| here.join(path)).collect();
    let mut watch = Watch::new(places.package.clone(), further);
    if let Some(problem) = watch.begin(development.polls, &tell) {
        say::note(format_args!("kirsch dev: the files are looked at once a second, without watches ({problem})"));
    }
    if let Some(problem) = watch.problem() {
        say::note(format_args!("kirsch dev: {problem}"));
    }
    let programs = Programs::new(listener, places.package.clone(), development.arguments, tell.clone())?;
    say::note(format_args!("kirsch dev: http://{address}/ shows {}; Ctrl-C ends it", places.package.display()));
    let (supervisor, first) = Supervisor::new(Instant::now(), Reported::first());
    let mut desk = Desk { supervisor, programs, watch, places, package: development.package, building: None, tell };
    if desk.perform(first) {
        desk.work(&events);
    }
    Ok(())
}

fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => {
                ": another program listens there; stop it, or choose another port, as `--listen 127.0.0.1:8081`"
            }
            ErrorKind::PermissionDenied => {
                ": ports below 1024 are for privileged programs; choose a higher one with `--listen`"
            }
            ErrorKind::AddrNotAvailable => ": no interface of this machine has it; try `--listen 127.0.0.1:8080`",
            _ => "",
        };
        format!("{address} cannot be had{}", if remedy.is_empty() { format!(": {error}") } else { remedy.to_owned() })
    })
}

/// Everything that the actions need.
struct Desk {
    supervisor: Supervisor,
    programs: Programs,
    watch: Watch,
    places: Places,
    package: PackageChoice,
    building: Option<Building>,
    tell: crossbeam_channel::Sender<Event>,
}

impl Desk {
    fn work(&mut self, events: &Receiver<Event>) {
        loop {
            let next = match self.supervisor.deadline() {
                Some(deadline) => events.recv_deadline(deadline),
                None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let event = match next {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match &event {
                Some(Event::Ended(program, _)) => self.programs.forget(*program),
                Some(Event::BuildEnded(_, supervisor::Outcome::Built(program))) => self.watch.note_compiled(program),
                _ => {}
            }
            let actions = self.supervisor.handle(event, Instant::now());
            if !self.perform(actions) {
                return;
            }
        }
    }

    /// Does what is to be done; `false` at the end.
    fn perform(&mut self, actions: Vec<Action>) -> bool {
        for action in actions {
            match action {
                Action::Look => {
                    let changes = self.watch.look();
                    let _ = self.tell.send(Event::Looked(changes));
                }
                Action::Build(number) => {
                    self.building = Some(Building::start(number, &self.package, &self.places, &self.tell));
                }
                Action::EndBuild => self.building.iter_mut().for_each(Building::end),
                Action::Start(number, path) => self.programs.start(number, path.as_deref()),
                Action::Stop(number) => self.programs.stop(number),
                Action::Kill(number) => self.programs.kill(number),
                Action::Tell(progress) => self.programs.tell(progress),
                Action::Say(text) => say::note(format_args!("kirsch dev: {text}")),
                Action::Leave => return false,
            }
        }
        true
    }
}

/// Answers while there is no program: each page is the report.
pub(crate) fn front() -> kirsch::Result {
    App::new(Tree::new()).serve("127.0.0.1:0")
}
