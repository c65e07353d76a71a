//! From the calls and the files to the value that the server can call.
//!
//! The tree with its mounts, the statements of the code, the layers of the files and the environment are merged and
//! checked here. Nothing starts, and no address is bound.

use super::super::checks;
use super::super::course::Piece;
use super::{App, Source};
use crate::Result;
use crate::bus::{Engine, Step};
use crate::config::{
    AppPlace, ConfigError, Configuration, Environment, Layer, Merged, SectionPath, check_profile, merge,
};
use crate::lifecycle::{Application, Health, Hosts};
use crate::publish::{Mount, Publish, graft};
use crate::server::ServerSettings;
use crate::settings::{Settings, unusual};
use crate::tickets::Tickets;
use std::sync::Arc;

/// The last tickets are written after all that could fail.
const LAST_TICKETS: u8 = 1;

impl App {
    /// Makes the value that the server calls, without starting anything: for tests, and for servers of your own.
    ///
    /// # Errors
    /// Names the mistake in the set-up, its place, and the remedy: unknown or wrong settings, tools that are missing,
    /// switched on twice or unknown; a folder of [`tickets`](Self::tickets) that cannot be written.
    pub fn build(mut self) -> Result<Application> {
        let layers = self.read_configuration()?;
        self.assemble(&layers)
    }

    /// The same, without the variables of the environment.
    pub(crate) fn without_environment(mut self) -> Self {
        self.reads_environment = false;
        self
    }

    /// The tree with the apps that are mounted in it.
    pub(super) fn tree(&self) -> std::result::Result<Arc<dyn Publish>, ConfigError> {
        let refused = |problem| ConfigError::new("the application", problem);
        let mounts = self.mounts.iter().map(|(path, root)| {
            let segments = SectionPath::decoded(path).map_err(refused)?;
            match segments.iter().any(|segment| segment == "default") {
                true => Err(refused(format!(
                    "an app cannot be mounted at {path:?}: `default` is not the name of a path segment"
                ))),
                false => Ok(Mount { written: path.clone(), segments, root: root.clone() }),
            }
        });
        graft(&self.root, &mounts.collect::<std::result::Result<Vec<_>, _>>()?).map_err(refused)
    }

    /// Reads what the application was given, in its order, and the environment over it.
    pub(super) fn read_configuration(&mut self) -> std::result::Result<Vec<Layer>, ConfigError> {
        let environment = if self.reads_environment { Environment::of_process()? } else { Environment::default() };
        let read = self.read_sources(&environment)?;
        let own = read.iter().fold(environment, |environment, (_, own)| environment.with(own.environment()));
        let profile = read.first().map(|(_, configuration)| configuration.profile().to_owned());
        let profile = profile.or_else(|| own.profile().map(str::to_owned));
        if let Some(profile) = &profile {
            check_profile(profile, read.iter().flat_map(|(_, own)| own.profiles()), own.profile().is_some())?;
            let why = if own.profile().is_some() { "by KIRSCH_PROFILE" } else { "KIRSCH_PROFILE chooses another" };
            crate::line::record!(Info, target: "kirsch::config", "the profile is `{profile}` ({why})");
        }
        let sections: Vec<String> = read.iter().flat_map(|(_, own)| own.sections_read()).collect();
        own.check(&sections.iter().map(|section| &**section).collect::<Vec<_>>())?;
        for name in own.names() {
            crate::line::record!(Debug, target: "kirsch::config", "set by the environment variable {name}");
        }
        let layers = read.iter().flat_map(|(place, configuration)| configuration.layers(place));
        Ok(layers.chain(own.layers()).collect())
    }

    /// The same for the app of a host: of the environment only the profile counts.
    fn read_host_configuration(&mut self, reads_environment: bool) -> std::result::Result<Vec<Layer>, ConfigError> {
        let environment = if reads_environment { Environment::of_process()? } else { Environment::default() };
        let read = self.read_sources(&environment)?;
        Ok(read.iter().flat_map(|(place, configuration)| configuration.layers(place)).collect())
    }

    fn read_sources(
        &mut self,
        environment: &Environment,
    ) -> std::result::Result<Vec<(AppPlace, Configuration)>, ConfigError> {
        let read = self.configuration.drain(..).map(|(place, source)| {
            let configuration = match source {
                Source::File(path) => Configuration::of_file(&path)?.over(environment),
                Source::Text(text) => Configuration::parse("the configuration", &text)?.over(environment),
                Source::Read(configuration) => configuration,
            };
            configuration.check_sections_read()?;
            Ok((place, configuration))
        });
        read.collect()
    }

    pub(super) fn assemble(&mut self, layers: &[Layer]) -> Result<Application> {
        // `build` finds mistakes in [global] as well as `start` does.
        let mut server = self.server.clone();
        for layer in layers {
            layer.apply_global(&mut server)?;
        }
        let (root, merged) = self.merged(layers, None)?;
        let Merged { sections, plans, background, status, lost, mut links, mut findings, .. } = merged;
        self.lost = lost;
        let mut trees = vec![root.describe()];
        let mut application = Application::new(root, sections, plans, background);
        application.show_status(status);
        let refused = |problem| ConfigError::new("the application", problem);
        let mut table = Hosts::default();
        if let Some(hosts) = &self.hosts {
            table.be_strict();
            hosts.iter().try_for_each(|host| table.add(host, 0)).map_err(refused)?;
        }
        for (index, (hosts, app)) in self.virtual_hosts.iter_mut().enumerate() {
            let name = hosts.join(" ");
            if app.hosts.is_some() || !app.virtual_hosts.is_empty() {
                let problem = "has hosts of its own: only the outermost app can have them";
                return Err(refused(format!("the app of the host {name:?} {problem}")).into());
            }
            if let Some(problem) = app.of_outermost_only() {
                return Err(refused(format!("the app of the host {name:?} {problem}")).into());
            }
            if hosts.is_empty() {
                return Err(refused("an app is there for no host at all: name one".to_owned()).into());
            }
            hosts.iter().try_for_each(|host| table.add(host, index + 1)).map_err(refused)?;
            let layers = app.read_host_configuration(self.reads_environment).map_err(|error| error.of_host(&name))?;
            for layer in &layers {
                layer.apply_global(&mut server.clone())?;
            }
            app.is_rehearsal = self.is_rehearsal;
            let (root, merged) = app.merged(&layers, Some(&name)).map_err(|error| error.of_host(&name))?;
            let Merged { sections, plans, background, status, lost, links: further, findings: found, .. } = merged;
            findings.extend(found);
            self.lost.extend(lost);
            trees.push(root.describe());
            links.extend(further);
            application.add_tree(root, sections, plans, background);
            application.show_status(status);
        }
        self.warn_of(findings);
        checks::linked_pages(&trees, &links)?;
        #[cfg(feature = "tls")]
        checks::asked_for_certificates(application.plans(), &server.tls)?;
        application.set_hosts(table);
        if let Some(path) = &self.health {
            application.set_health(Health::at(path).map_err(refused)?);
        }
        application.count_requests();
        if let Some(folder) = self.tickets.as_ref().filter(|_| !self.is_rehearsal) {
            let tickets = Tickets::open(folder)?;
            application.set_tickets(tickets.clone());
            let last = move |_: &Engine| {
                tickets.finish();
                Ok(())
            };
            self.pieces.push(Piece::function(Step::Stop, LAST_TICKETS, Box::new(last)));
        }
        Ok(application)
    }

    fn warn_of(&mut self, findings: Vec<String>) {
        for finding in &findings {
            crate::line::record!(Warn, target: "kirsch::config", "{finding}");
        }
        self.findings.extend(findings);
    }

    /// The tree of this app with its plans, checked, and what looks like a mistake in it; `host` is where another app
    /// is the outermost.
    fn merged(
        &self,
        layers: &[Layer],
        host: Option<&str>,
    ) -> std::result::Result<(Arc<dyn Publish>, Merged), ConfigError> {
        if let Some(problem) = self.refusals.first() {
            return Err(ConfigError::new("the application", problem));
        }
        let mut findings = Vec::new();
        let unheard = layers.iter().filter(|layer| layer.place.depth > 0 || host.is_some());
        for heading in unheard.filter_map(Layer::says_global) {
            findings.push(format!("{heading} does not count: its app is not the outermost, which says it"));
        }
        let at_host = host.unwrap_or_default();
        let own = host.map(|_| (String::new(), changed(&self.server)));
        for (path, keys) in own.iter().chain(&self.unheard).filter(|(_, keys)| !keys.is_empty()) {
            let place = format!("{at_host}{path}");
            let keys = keys.join(", ");
            findings.push(format!(
                "the app at {place:?} sets {keys}: it does not count there, set it on the outermost app"
            ));
        }
        let root = self.tree()?;
        let mounts: Vec<_> = self.mounts.iter().map(|(path, _)| path.clone()).collect();
        let merged = merge(&self.code, layers, &mounts, host, self.is_rehearsal)?;
        let tree = root.describe();
        checks::required_tools(&tree, &merged)?;
        checks::one_reader_of_the_body(&tree)?;
        for section in checks::sections_without_answer(&tree, &merged) {
            findings.push(format!("nothing answers at or below {at_host}{section:?}: is the path right?"));
        }
        log_effective(&merged, at_host);
        Ok((root, Merged { findings, ..merged }))
    }
}

/// The keys of the settings that are not the usual ones.
pub(super) fn changed(server: &ServerSettings) -> Vec<String> {
    unusual(server, &ServerSettings::default()).map(|row| format!("server.{}", row.key)).collect()
}

/// Logs the settings in force, one line for each key.
fn log_effective(merged: &Merged, host: &str) {
    for plan in &merged.plans {
        let section = plan.section();
        crate::line::record!(Debug, target: "kirsch::config", "[{host}{section:?}] tools: {}", plan.tools().join(", "));
        crate::line::record!(Debug, target: "kirsch::config", "[{host}{section:?}] error pages: {:?}", plan.error_pages);
        for row in plan.settings().setting_rows() {
            crate::line::record!(Debug, target: "kirsch::config", "[{host}{section:?}] {} = {}", row.key, row.value.trim_matches('"'));
        }
    }
}
