//! The start: from an application to a running program, with or without a server of ours.
//!
//! All that can fail without an address comes first ([`App::prepare`]); then addresses are bound, rights are given up,
//! and the course of the start runs.

use super::super::Running;
use super::super::command::Command;
use super::super::course::{AT_START, Course, Piece, Start, bind};
use super::super::embedded::Embedded;
use super::super::notify::Notifier;
use super::super::places::ListenPlaces;
use super::super::privileges::Privileges;
use super::super::running::Upgrades;
use super::super::signals::Signals;
use super::super::upgrade::{Inheritance, Program};
use super::App;
use crate::Result;
use crate::bus::{Engine, Step};
use crate::config::{AppPlace, Change, Layer, Statement};
use crate::exchange::{Error, ListenerRole};
use crate::lifecycle::{Application, Redirects, debug_link};
use crate::logs::{HeldLogs, Logs};
use crate::server::{Bound, ListenAddress, ServerSettings};
use crate::settings::Settings;
use std::net::SocketAddr;
use std::sync::Arc;

/// What is known before anything is bound.
struct Prepared {
    layers: Vec<Layer>,
    places: Vec<Vec<ListenAddress>>,
    /// What is to be given up.
    privileges: Option<Privileges>,
}

/// An application that was put together to be looked at.
pub(in crate::engine) struct Rehearsed {
    pub(in crate::engine) application: Application,
    /// Those of the server.
    pub(in crate::engine) settings: ServerSettings,
    pub(in crate::engine) places: Vec<Vec<ListenAddress>>,
    /// What a start would warn of.
    pub(in crate::engine) findings: Vec<String>,
}

impl App {
    /// Starts the application on an address, or on several (see [`ListenPlaces`]), and returns; port 0 picks a free
    /// one. `server.listen` in a configuration file wins, and the variable `KIRSCH_SERVER__LISTEN` over both.
    ///
    /// Installs no signal handlers: the program around the application decides when it stops. [`Running::wait`] does
    /// install them.
    ///
    /// # Errors
    /// As [`build`](Self::build); when the address cannot be had; when an [`on_start`](Self::on_start) fails; when the
    /// [`logs`](Self::logs) cannot be installed.
    pub fn start(self, address: impl ListenPlaces) -> Result<Running> {
        Command::refuse()?;
        // Before anything else, so that nothing that this process starts inherits it.
        let program = Program::of_process().map_err(|error| error.to_string());
        let inheritance = Inheritance::take()?;
        let teller = inheritance.as_ref().map(Inheritance::teller).transpose()?;
        let started = self.start_as(program, address, inheritance);
        if let (Err(error), Some(teller)) = (&started, &teller) {
            teller.tell(error);
        }
        started
    }

    /// Serves on an address, or on several (see [`ListenPlaces`]), until SIGINT or SIGTERM, then lets the running
    /// requests end (setting `server.drain_timeout`). SIGHUP runs the steps [`Graceful`](Step::Graceful). A second
    /// signal ends the process at once, with status 130 or 143. A signal that comes while the application starts takes
    /// effect when it has. SIGUSR2 lets a new process of the program take over without a gap
    /// ([`Running::upgrade`]).
    ///
    /// With the variable `KIRSCH_COMMAND=routes` it prints the [routes](Self::routes) and returns, with
    /// `KIRSCH_COMMAND=check` the tools and settings of all paths: `kirsch routes` and `kirsch check` set it. Then
    /// nothing is bound, and nothing is written.
    ///
    /// # Errors
    /// As [`start`](Self::start); names the requests that had not ended in time; counts what `check` has found.
    pub fn serve(self, address: impl ListenPlaces) -> Result {
        if let Some(command) = Command::of_environment()? {
            return command.obey(self, address);
        }
        let (signals, manager) = (Signals::install()?, Notifier::of_environment());
        #[cfg(any(debug_assertions, feature = "dev"))]
        let app = self.developed()?;
        #[cfg(not(any(debug_assertions, feature = "dev")))]
        let app = self;
        app.start(address)?.wait_for(signals, &manager)
    }

    /// Starts the application without a server of ours: it answers `http::Request`s inside axum or hyper, behind CGI,
    /// or in a function service. See [`Embedded`].
    ///
    /// # Errors
    /// As [`start`](Self::start), but for the address.
    pub fn embed(mut self) -> Result<Embedded> {
        let logs = self.logs.take().map(Logs::install).transpose()?;
        let layers = self.read_configuration()?;
        for layer in layers.iter().filter(|layer| layer.place.depth == 0) {
            layer.apply_global(&mut self.server)?;
        }
        let application = self.assemble(&layers)?;
        let start = Start {
            application,
            settings: &self.server,
            serves: false,
            places: &[],
            bound: None,
            inherited: None,
            waits: false,
            ticket_keys: None,
            status: Vec::new(),
            pieces: self.pieces,
            observers: self.observers,
            events: self.events,
            background: self.background,
        };
        let (course, application) = Course::start(start)?;
        Embedded::new(course, application, self.server, logs)
    }

    /// Puts all together as [`start`](Self::start) does, and neither binds an address nor writes anything.
    pub(in crate::engine) fn rehearse(mut self, address: impl ListenPlaces) -> Result<Rehearsed> {
        self.is_rehearsal = true;
        let Prepared { layers, places, .. } = self.prepare(address, false)?;
        let application = self.assemble(&layers)?;
        Ok(Rehearsed { application, settings: self.server, places, findings: self.findings })
    }

    fn start_as(
        mut self,
        program: std::result::Result<Program, String>,
        address: impl ListenPlaces,
        mut inheritance: Option<Inheritance>,
    ) -> Result<Running> {
        let held = self.logs.take().map(Logs::hold).transpose()?;
        let had_dropped = inheritance.as_ref().is_some_and(|inheritance| inheritance.has_dropped);
        let prepared = self.prepare(address, had_dropped);
        let (bound, logs) = match &prepared {
            Ok(Prepared { privileges: Some(privileges), places, .. }) => {
                let inherited = inheritance.as_mut().map(|inheritance| std::mem::take(&mut inheritance.listeners));
                let bound = bind(&self.server, places, inherited)?;
                privileges.drop_others()?;
                let logs = held.map(HeldLogs::begin).transpose()?;
                privileges.probe(&self.server)?;
                (Some(bound), logs)
            }
            // Nothing is given up, or nothing is known: then the log tells what has been found so far.
            _ => (None, held.map(HeldLogs::begin).transpose()?),
        };
        let prepared = prepared?;
        let has_dropped = had_dropped || prepared.privileges.is_some();
        let upgrades = Upgrades {
            program,
            timeout: self.server.upgrade_timeout,
            drain: self.server.upgrade_drain,
            lost: Vec::new(),
            loses_memory: self.server.upgrade_loses_memory,
            has_dropped,
        };
        let mut running = self.started(prepared, bound, upgrades, inheritance)?;
        running.logs = logs;
        Ok(running)
    }

    /// Reads the configuration: all that must be known before the first address is bound.
    fn prepare(&mut self, address: impl ListenPlaces, has_dropped: bool) -> Result<Prepared> {
        let layers = self.read_configuration()?;
        let is_set = layers.iter().any(|layer| layer.place.depth == 0 && layer.sets_listen());
        for layer in layers.iter().filter(|layer| layer.place.depth == 0) {
            layer.apply_global(&mut self.server)?;
        }
        let mut places = if is_set { self.server.listen.clone().into_places()? } else { address.into_places()? };
        if !is_set && self.server.has_certificates() {
            let encrypted = |address: ListenAddress| address.with_default_role(ListenerRole::Tls);
            places = places.into_iter().map(|place| place.into_iter().map(encrypted).collect()).collect();
        }
        let privileges = Privileges::of(&self.server, has_dropped)?;
        Ok(Prepared { layers, places, privileges })
    }

    fn started(
        mut self,
        prepared: Prepared,
        bound: Option<Bound>,
        upgrades: Upgrades,
        mut inheritance: Option<Inheritance>,
    ) -> Result<Running> {
        let Prepared { layers, places, .. } = prepared;
        let mut application = self.assemble(&layers)?;
        let all = || places.iter().flatten();
        if all().any(|address| address.role() == Some(ListenerRole::Redirect)) {
            let settings = &self.server;
            application.set_redirects(Redirects::new(settings.redirect_port, settings.challenge_folder.clone()));
        }
        self.lost.sort_unstable();
        self.lost.dedup();
        let upgrades = Upgrades { lost: std::mem::take(&mut self.lost), ..upgrades };
        let inherited = inheritance.as_mut().map(|inheritance| std::mem::take(&mut inheritance.listeners));
        let hosts = |tree: usize| tree.checked_sub(1).and_then(|index| self.virtual_hosts[index].0.first().cloned());
        let sections = application.keyed_sections().into_iter();
        let sections: Vec<_> = sections.map(|(tree, section, page)| (hosts(tree), section, page)).collect();
        let links = move |engine: &Engine| engine.address().map_or(Ok(()), |address| tell_links(&sections, address));
        self.pieces.insert(0, Piece::function(Step::Start, AT_START, Box::new(links)));
        for row in self.server.setting_rows() {
            crate::line::record!(Debug, target: "kirsch::config", "[global] server.{} = {}", row.key, row.value.trim_matches('"'));
        }
        let start = Start {
            application,
            settings: &self.server,
            serves: true,
            places: &places,
            bound,
            inherited,
            waits: inheritance.is_some(),
            ticket_keys: inheritance.as_mut().and_then(|inheritance| inheritance.ticket_keys.take()),
            status: inheritance.iter().map(Inheritance::shown).collect(),
            pieces: self.pieces,
            observers: self.observers,
            events: self.events,
            background: self.background,
        };
        Running::start(start, upgrades, inheritance)
    }

    /// The application as `kirsch dev` serves it, if that has started this program.
    #[cfg(any(debug_assertions, feature = "dev"))]
    fn developed(mut self) -> Result<Self> {
        let Some(link) = crate::dev::Link::of_environment()? else { return Ok(self) };
        let tool = crate::dev::Dev::new(&link);
        for (_, app) in &mut self.virtual_hosts {
            let (place, path) = (AppPlace::default(), "/".to_owned());
            app.code.push(Statement { place, path, change: Change::On(Arc::new(tool.of_host())) });
        }
        Ok(self.tool("/", tool).plugin(link))
    }
}

/// Prints the links to the pages for developers and operators, one for each tree in which they are on.
fn tell_links(sections: &[(Option<String>, String, &str)], address: SocketAddr) -> Result {
    for (host, section, page) in sections {
        let link = debug_link(address, host.as_deref(), section).map_err(Error::unexpected)?;
        if *page == "debug_page" {
            crate::line::record!(Warn, target: "kirsch::engine", "`debug_page` is on at {section:?}, for development only: it is shown to browsers that have opened {link}");
        } else {
            crate::line::record!(Warn, target: "kirsch::engine", "{page} is at {section:?}: for visitors whom a login tool at that path lets in, and for browsers that have opened {link}");
        }
    }
    Ok(())
}
