//! The course: all that starts and stops with the application, in one order.
//!
//! ```text
//!  0  events       the thread of the observers
//! 50               plugins, unless they say another priority; the functions of `on_stop`
//! 65  background   the background jobs of tools
//! 70  bind         the address is bound: a taken port stops the start before anybody is answered. Where root gives up
//!                  its rights (`privileges.rs`) it has been bound before all else
//! 75  accept       requests are answered; at the stop they end
//! 80               the functions of `on_start`
//! ```
//!
//! The start goes up, the stop goes down, and steps of one priority keep the order in which they were added. If a step
//! of the start fails, the stop goes down from there: what stands behind it has not started and is not stopped.

use super::background::{Background, OfBackground};
use super::stuck;
use super::upgrade::Successor;
#[cfg(feature = "tls")]
use crate::bus::at_once;
use crate::bus::{Bus, Deadline, Engine, EngineOwner, ListeningAt, Observer, Plugin, State, Step};
use crate::exchange::{Error, ListenerRole, ServerPhase, StatusRow, StatusSource};
use crate::lifecycle::{Application, BackgroundJob};
use crate::logs;
use crate::panics::guarded;
use crate::server::{self, AroundWorkers, Bound, ListenAddress, NamedSocket, Server, ServerSettings, StopReport};
use crate::threads::Threads;
use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::time::Duration;

pub(super) type AroundFunction = dyn Fn(&mut (dyn FnMut() + Send)) + Send + Sync;
pub(super) type StepFunction = Box<dyn Fn(&Engine) -> Result<(), Error> + Send + Sync>;

pub(super) const AT_START: u8 = 80;
pub(super) const AT_STOP: u8 = 50;

/// Renewed certificates are in service after twice this time, and the second that files must have been still.
#[cfg(feature = "tls")]
const LOOK_AT_CERTIFICATES: Duration = Duration::from_secs(5);

/// One piece of the course, with its priority.
#[derive(Clone)]
pub(super) struct Piece {
    priority: u8,
    does: Does,
}

#[derive(Clone)]
enum Does {
    Function(Step, Arc<StepFunction>),
    Around(Arc<AroundFunction>),
    Plugin(Arc<dyn Plugin>),
    Events,
    Background,
    Bind,
    Accept,
}

/// What a plugin tells of itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// What it shows of itself; see [`Plugin::status`].
    pub rows: Vec<StatusRow>,
}

impl Piece {
    pub(super) fn function(step: Step, priority: u8, function: StepFunction) -> Self {
        Self { priority, does: Does::Function(step, Arc::new(function)) }
    }

    pub(super) fn around(function: Arc<AroundFunction>) -> Self {
        Self { priority: AT_STOP, does: Does::Around(function) }
    }

    pub(super) fn plugin(plugin: impl Plugin) -> Self {
        Self { priority: plugin.priority(), does: Does::Plugin(Arc::new(plugin)) }
    }

    /// The name for messages.
    fn name(&self) -> String {
        match &self.does {
            Does::Function(step, _) => format!("the step {step:?} of priority {}", self.priority),
            Does::Around(_) => "a function around the workers".to_owned(),
            Does::Plugin(plugin) => format!("the plugin {:?}", plugin.name()),
            Does::Events => "the thread of the observers".to_owned(),
            Does::Background => "the background jobs".to_owned(),
            Does::Bind | Does::Accept => "the server".to_owned(),
        }
    }

    /// Calls what belongs to this step, if anything does.
    fn call(&self, step: Step, engine: &Engine) -> Result<(), Error> {
        guarded(|| match &self.does {
            Does::Function(own, function) if *own == step => function(engine),
            Does::Plugin(plugin) => match step {
                Step::WorkerStart => plugin.worker_start(engine),
                Step::WorkerStop => plugin.worker_stop(engine),
                Step::Graceful => plugin.graceful(engine),
                Step::Start => plugin.start(engine),
                Step::Stop => Ok(()),
            },
            _ => Ok(()),
        })
    }

    /// Like [`call`](Self::call), where a failure stops nothing.
    fn call_and_log(&self, step: Step, engine: &Engine) {
        if let Err(error) = self.call(step, engine) {
            let name = self.name();
            crate::line::record!(Error, target: logs::ERROR, "{name} failed at {step:?}: {}", logs::causes(&error));
        }
    }
}

/// All that an application is started with.
pub(super) struct Start<'s> {
    pub(super) application: Application,
    pub(super) settings: &'s ServerSettings,
    /// Whether there is a server of ours. Without one, no address is bound and there are no workers.
    pub(super) serves: bool,
    /// For each listener the addresses of which the first that can be had is taken.
    pub(super) places: &'s [Vec<ListenAddress>],
    /// What is bound already, by a process that has given up the rights for it since.
    pub(super) bound: Option<Bound>,
    /// The listeners of an older process, else.
    pub(super) inherited: Option<Vec<NamedSocket>>,
    /// The keys of its TLS tickets.
    pub(super) ticket_keys: Option<Vec<u8>>,
    /// Whether an older process does the background work until it hands that over.
    pub(super) waits: bool,
    /// What is shown on the status page besides that of plugins and tools.
    pub(super) status: Vec<Arc<dyn StatusSource>>,
    /// As added; those of plugins among them.
    pub(super) pieces: Vec<Piece>,
    pub(super) observers: Vec<Observer>,
    /// Handles that the application was given.
    pub(super) events: Vec<crate::bus::Events>,
    pub(super) background: Vec<BackgroundJob>,
}

/// What has started, and what is needed to stop it.
pub(super) struct Course {
    pub(super) engine: EngineOwner,
    /// In their order. At a stop the last goes first.
    started: Vec<Piece>,
    bound: Option<Bound>,
    pub(super) server: Option<Server>,
    pub(super) background: Option<Background>,
    observing: Option<Background>,
    /// Names requests that are stuck.
    watching: Option<Background>,
    /// Takes renewed certificates.
    renewing: Option<Background>,
    /// Background work begins when it is dropped.
    pub(super) waiting: Option<Sender<Infallible>>,
    /// The process that takes over.
    pub(super) successor: Option<Successor>,
    pub(super) haste: Haste,
}

impl Course {
    /// Runs the start, and stops what had started if a step fails.
    pub(super) fn start(start: Start<'_>) -> Result<(Self, Arc<Application>), Error> {
        let builtin = |priority, does| Piece { priority, does };
        let mut pieces = vec![
            builtin(0, Does::Events),
            builtin(65, Does::Background),
            builtin(70, Does::Bind),
            builtin(75, Does::Accept),
        ];
        pieces.extend(start.pieces.iter().cloned());
        pieces.sort_by_key(|piece| piece.priority);
        let around = pieces.clone();
        let (waiting, handed_over) = bounded(0);
        let mut course = Self {
            engine: EngineOwner::new(handed_over.clone()),
            started: Vec::new(),
            bound: start.bound,
            server: None,
            background: None,
            observing: None,
            watching: None,
            renewing: None,
            waiting: start.waits.then_some(waiting),
            successor: None,
            haste: Haste::default(),
        };
        let (mut inherited, mut ticket_keys) = (start.inherited, start.ticket_keys);
        let mut application = start.application;
        let background_card = OfBackground::default();
        let mut cards = start.status;
        cards.extend(plugins_of(&pieces).map(|plugin| Arc::new(OfPlugin(plugin.clone())) as _));
        if !(application.background_jobs().is_empty() && start.background.is_empty()) {
            cards.push(Arc::new(background_card.clone()));
        }
        cards.extend(logs::of_log());
        application.show_status(cards);
        let application = Arc::new(application);
        let mut observers = Some(start.observers);
        for piece in pieces {
            let begun = match &piece.does {
                Does::Events => course.observe(observers.take().unwrap_or_default(), &start.events),
                Does::Background => {
                    let jobs = application.background_jobs().iter().chain(&start.background);
                    let started = Background::start(jobs, &handed_over).map(|background| {
                        background.show_in(&background_card);
                        course.background = Some(background);
                    });
                    started.map_err(Error::from)
                }
                Does::Bind if !start.serves => Ok(()),
                Does::Bind => course.bind(start.settings, start.places, inherited.take()),
                Does::Accept => course.accept(&application, &around, ticket_keys.take()),
                Does::Function(..) | Does::Around(_) | Does::Plugin(_) => {
                    piece.call(Step::Start, course.engine.handle())
                }
            };
            if let Err(error) = begun {
                course.stop(Deadline::within(start.settings.drain_timeout));
                return Err(error);
            }
            course.started.push(piece);
        }
        course.engine.enter(State::Running);
        course.announce(ServerPhase::Running);
        Ok((course, application))
    }

    fn announce(&self, phase: ServerPhase) {
        if let Some(server) = &self.server {
            server.announce(phase);
        }
    }

    fn observe(&mut self, observers: Vec<Observer>, handles: &[crate::bus::Events]) -> Result<(), Error> {
        if observers.is_empty() {
            return Ok(());
        }
        let (bus, observers) = Bus::new(observers);
        let mut thread = Background::new();
        thread.spawn("kirsch-events", move |stopped| observers.run(stopped))?;
        self.observing = Some(thread);
        self.engine.connect(&bus);
        handles.iter().for_each(|events| events.connect(&bus));
        Ok(())
    }

    fn bind(
        &mut self,
        settings: &ServerSettings,
        places: &[Vec<ListenAddress>],
        inherited: Option<Vec<NamedSocket>>,
    ) -> Result<(), Error> {
        let bound = self.bound.take().map_or_else(|| bind(settings, places, inherited), Ok)?;
        let listening = bound.addresses().iter();
        let listening = listening.map(|address| ListeningAt::new(address.shown(), address.role().unwrap_or_default()));
        self.engine.set_address(bound.address(), listening.collect());
        self.bound = Some(bound);
        Ok(())
    }

    fn accept(
        &mut self,
        application: &Arc<Application>,
        pieces: &[Piece],
        ticket_keys: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let Some(bound) = self.bound.take() else { return Ok(()) };
        if let Some(keys) = ticket_keys {
            bound.take_ticket_keys(&keys);
        }
        let addresses = bound.addresses().to_vec();
        let encrypted = addresses.iter().find(|address| address.role() == Some(ListenerRole::Tls));
        if let Some(address) = encrypted.and_then(ListenAddress::ip_address) {
            application.lead_redirects_to(address.port());
        }
        let engine = self.engine.handle().clone();
        let around = Around { engine, pieces: pieces.to_vec() };
        let server = bound.serve(application.clone(), around)?;
        self.watching = Some(stuck::watch(server.view())?);
        #[cfg(feature = "tls")]
        if let Some(tls) = server.tls().cloned() {
            // The process may have become another user since they were read.
            tls.warn_if_unreadable();
            let look = BackgroundJob::new("kirsch-certificates", LOOK_AT_CERTIFICATES, move || tls.look());
            self.renewing = Some(Background::start([&look], &at_once())?);
        }
        self.server = Some(server);
        for address in addresses {
            crate::line::record!(Info, target: "kirsch::engine", "serving on {}", address.shown());
        }
        Ok(())
    }

    /// Stops what has started, the latest first. A second call does nothing.
    pub(super) fn stop(&mut self, deadline: Deadline) -> StopReport {
        let mut report = StopReport::default();
        self.engine.enter(State::Draining);
        self.announce(ServerPhase::Draining);
        let handing_over = self.hand_over(deadline);
        let haste = self.haste.clone();
        while let Some(piece) = self.started.pop() {
            let deadline = haste.sooner(deadline);
            let engine = self.engine.handle().clone();
            let mut late = Vec::new();
            match &piece.does {
                Does::Function(Step::Stop, _) => piece.call_and_log(Step::Stop, &engine),
                Does::Function(..) | Does::Around(_) => {}
                Does::Plugin(plugin) => {
                    if let Err(error) = guarded(|| plugin.stop(deadline)) {
                        let name = piece.name();
                        crate::line::record!(Error, target: logs::ERROR, "{name} failed at the stop: {}", logs::causes(&error));
                    }
                }
                Does::Accept => {
                    let left = || haste.sooner(deadline).remaining();
                    report = self.server.take().map(|server| server.stop_within(&left)).unwrap_or_default();
                    self.engine.enter(State::Stopping);
                    late = end(&mut self.watching, deadline);
                    late.extend(end(&mut self.renewing, deadline));
                }
                Does::Bind => drop(self.bound.take()),
                Does::Background => late = end(&mut self.background, deadline),
                Does::Events => {
                    self.engine.enter(State::Stopped);
                    late = end(&mut self.observing, deadline);
                }
            }
            tell_late(&late);
        }
        if let Some(mut thread) = handing_over {
            tell_late(&thread.end_by(haste.sooner(deadline).at()));
        }
        // That is the end of this process for the new one.
        self.successor = None;
        self.engine.enter(State::Stopped);
        report
    }

    /// Lets the background work of the new process begin when that of this one has ended, which its connections do not
    /// wait for.
    fn hand_over(&mut self, deadline: Deadline) -> Option<Threads> {
        if self.started.is_empty() {
            return None;
        }
        let successor = self.successor.as_ref()?;
        if let Some(server) = &self.server {
            server.leave_to_successor();
        }
        let (told, mut background) = (successor.try_clone().ok()?, self.background.take());
        let mut thread = Threads::new();
        let begun = thread.spawn("kirsch-hand-over", move || {
            tell_late(&end(&mut background, deadline));
            told.begin();
        });
        if begun.is_err() {
            successor.begin();
        }
        Some(thread)
    }

    /// All that has a step for it, in order.
    pub(super) fn graceful(&self) -> impl Fn() + Send + Sync + 'static {
        let (engine, started) = (self.engine.handle().clone(), self.started.clone());
        #[cfg(feature = "tls")]
        let tls = self.server.as_ref().and_then(Server::tls).cloned();
        move || {
            #[cfg(feature = "tls")]
            if let Some(tls) = &tls {
                tls.read_again();
            }
            started.iter().for_each(|piece| piece.call_and_log(Step::Graceful, &engine));
        }
    }

    /// The plugins with what they tell of themselves.
    pub(super) fn plugins(&self) -> Vec<PluginStatus> {
        let told = plugins_of(&self.started).map(|plugin| {
            let shown = OfPlugin(plugin.clone());
            PluginStatus { name: shown.name(), rows: shown.rows() }
        });
        told.collect()
    }
}

/// A deadline that may come nearer while the application stops.
#[derive(Clone, Default)]
pub(super) struct Haste(Arc<Mutex<Option<Deadline>>>);

impl Haste {
    /// From now on everything is to be over by then.
    pub(super) fn end_by(&self, deadline: Deadline) {
        *self.0.lock() = Some(deadline);
    }

    /// The earlier one.
    fn sooner(&self, deadline: Deadline) -> Deadline {
        self.0.lock().map_or(deadline, |sooner| sooner.min(deadline))
    }
}

fn plugins_of(pieces: &[Piece]) -> impl Iterator<Item = &Arc<dyn Plugin>> {
    pieces.iter().filter_map(|piece| match &piece.does {
        Does::Plugin(plugin) => Some(plugin),
        _ => None,
    })
}

/// What a plugin tells of itself, on the status page.
struct OfPlugin(Arc<dyn Plugin>);

impl OfPlugin {
    fn name(&self) -> String {
        guarded(|| Ok(self.0.name().to_owned())).unwrap_or_else(|error| error.to_string())
    }
}

impl StatusSource for OfPlugin {
    fn title(&self) -> String {
        format!("Plugin {}", self.name())
    }

    fn rows(&self) -> Vec<StatusRow> {
        let asked = guarded(|| Ok(self.0.status()));
        asked.unwrap_or_else(|error| vec![StatusRow::new("failed", error.to_string()).alarming(true)])
    }
}

fn tell_late(threads: &[String]) {
    for thread in threads {
        crate::line::record!(Warn, target: "kirsch::engine", "the thread {thread:?} did not end in time");
    }
}

fn end(threads: &mut Option<Background>, deadline: Deadline) -> Vec<String> {
    threads.take().map(|threads| threads.stop(deadline)).unwrap_or_default()
}

/// The steps of workers, on their threads.
struct Around {
    engine: Engine,
    pieces: Vec<Piece>,
}

impl AroundWorkers for Around {
    fn around(&self, life: &mut (dyn FnMut() + Send)) {
        fn within(pieces: &[Piece], life: &mut (dyn FnMut() + Send)) {
            match pieces {
                [] => life(),
                [Piece { does: Does::Around(function), .. }, rest @ ..] => function(&mut || within(rest, life)),
                [_, rest @ ..] => within(rest, life),
            }
        }
        within(&self.pieces, life);
    }

    fn begins(&self, worker: usize) {
        let engine = EngineOwner::of_worker(&self.engine, worker);
        self.pieces.iter().for_each(|piece| piece.call_and_log(Step::WorkerStart, &engine));
    }

    fn ends(&self, worker: usize) {
        let engine = EngineOwner::of_worker(&self.engine, worker);
        self.pieces.iter().rev().for_each(|piece| piece.call_and_log(Step::WorkerStop, &engine));
    }
}

/// Listens at all places. Listeners of an older process are taken over where they fit; it closes the others itself.
/// Without an older process, those of systemd are taken, and all of them must fit.
pub(super) fn bind(
    settings: &ServerSettings,
    places: &[Vec<ListenAddress>],
    inherited: Option<Vec<NamedSocket>>,
) -> Result<Bound, Error> {
    if places.is_empty() {
        return Err(Error::unexpected("there is no address to listen on"));
    }
    let is_of_older = inherited.is_some();
    let mut inherited = inherited.map_or_else(server::passed_on, Ok)?;
    let bound = Server::bind_at(settings.clone(), places, &mut inherited).map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => {
                "; another program listens there: stop it, or choose another port (0 picks a free one)"
            }
            ErrorKind::PermissionDenied => "; ports below 1024 are for privileged programs: choose a higher one",
            ErrorKind::AddrNotAvailable => "; no interface of this machine has it: try 127.0.0.1 or 0.0.0.0",
            _ => "",
        };
        Error::unexpected(format!("{error}{remedy}"))
    })?;
    if !is_of_older {
        server::refuse_unwanted(&inherited)?;
    }
    for NamedSocket { name, .. } in inherited {
        crate::line::record!(Info, target: "kirsch::engine", "the older process listens at {name}, this one does not");
    }
    Ok(bound)
}
