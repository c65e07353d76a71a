//! What one source says for the framework: `[global]` and the sections of paths, of a file, a profile or a variable.
//!
//! Layers are merged in their order (`merge.rs`). The sections that are the application's own are not here: a
//! [`Configuration`](super::Configuration) reads those.

use super::node::Node;
use super::{AppPlace, ConfigError};
use crate::lifecycle::PathSettings;
use crate::server::ServerSettings;
use crate::settings::Settings;
use crate::suggestion::suggestion;
use toml::{Table, Value};

/// The groups of settings in `[global]`.
pub(crate) const GLOBAL_GROUPS: [&str; 1] = ["server"];

/// What one source says for the framework.
pub(crate) struct Layer {
    /// The app whose source it is.
    pub(crate) place: AppPlace,
    /// What the headings of its sections begin with, such as `profile.production.`.
    pub(super) within: String,
    pub(super) global: Option<Node>,
    /// The path as written, and the keys.
    pub(crate) sections: Vec<(String, Node)>,
}

impl Layer {
    /// The same as the source of the app that is there.
    pub(crate) fn at(self, place: AppPlace) -> Self {
        Self { place, ..self }
    }

    /// Where it says something about the program as a whole, if it does.
    pub(crate) fn says_global(&self) -> Option<String> {
        self.global.as_ref().map(|node| format!("{}: {}", node.origin, self.heading("global")))
    }

    /// Whether it says where to listen.
    pub(crate) fn sets_listen(&self) -> bool {
        self.global.as_ref().and_then(|global| global.get("server")?.get("listen")).is_some()
    }

    /// Lays the settings in `[global]` over `settings`.
    pub(crate) fn apply_global(&self, settings: &mut ServerSettings) -> Result<(), ConfigError> {
        let Some(node) = &self.global else { return Ok(()) };
        apply(node, |global| apply_global(global, settings)).map_err(|refused| self.error("global", node, &refused))
    }

    /// The error about a key of a section.
    pub(super) fn error(&self, section: &str, node: &Node, refused: &Refused) -> ConfigError {
        let origin = node.origin_of(&refused.key);
        ConfigError::new(format!("{origin}: {}", self.heading(section)), &*refused.problem)
    }

    fn heading(&self, section: &str) -> String {
        match section.starts_with('/') {
            true => format!("[{}\"{section}\"]", self.within),
            false => format!("[{}{section}]", self.within),
        }
    }
}

/// A key that cannot be used, such as `sessions.timeuot`, and the whole sentence about it.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) key: String,
    pub(super) problem: String,
}

impl Refused {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

/// Applies a section in the first of its readings that can be used. A refused one must have changed nothing, where
/// there are several: those are of variables, which have one key.
pub(super) fn apply(node: &Node, mut apply: impl FnMut(&Table) -> Result<(), Refused>) -> Result<(), Refused> {
    let mut result = Ok(());
    for reading in node.readings() {
        let Value::Table(table) = reading else { continue };
        result = apply(&table);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn apply_global(global: &Table, settings: &mut ServerSettings) -> Result<(), Refused> {
    for (group, value) in global {
        let keys = match value {
            Value::Table(keys) if GLOBAL_GROUPS.contains(&&**group) => keys,
            _ if value.is_table() || PathSettings::default().setting_rows().iter().any(|row| row.key == group) => {
                let problem = format!("`{group}` belongs to paths: move it to a path section, as [\"/\"]");
                return Err(Refused::new(group, problem));
            }
            _ => return Err(Refused::new(group, format!("`{group}` is not a setting; {}", server_key(group)))),
        };
        for (name, value) in flat("", keys) {
            let key = format!("server.{name}");
            match settings.set_setting(&name, value) {
                Some(Ok(())) => {}
                Some(Err(problem)) => return Err(Refused::new(&*key, format!("`{key}` {problem}"))),
                None if is_of_tls(&name) => {
                    return Err(Refused::new(&*key, format!("`{key}` needs the cargo feature `tls` of kirsch")));
                }
                None => return Err(Refused::new(&*key, format!("`{key}` is not a setting; {}", server_key(&name)))),
            }
        }
    }
    Ok(())
}

/// Whether the program was built without what this key needs.
fn is_of_tls(name: &str) -> bool {
    !cfg!(feature = "tls") && (name == "certificate" || name.starts_with("tls."))
}

/// The key of the server that may have been meant, as it is to be written.
fn server_key(name: &str) -> String {
    // Compared without the prefix, so that who forgot it is helped too.
    let rows = ServerSettings::default().setting_rows();
    let names: Vec<_> = rows.iter().map(|row| row.key).collect();
    suggestion(name, &names).replacen('`', "`server.", 1)
}

/// The keys of a table, those of tables in it as `outer.inner`.
fn flat<'t>(prefix: &str, table: &'t Table) -> Vec<(String, &'t Value)> {
    let entries = table.iter().flat_map(|(key, value)| match value {
        Value::Table(inner) => flat(&format!("{prefix}{key}."), inner),
        _ => vec![(format!("{prefix}{key}"), value)],
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Configuration;
    use std::time::Duration;

    fn server(text: &str) -> Result<ServerSettings, String> {
        let read = |text: &str| {
            let mut settings = ServerSettings::default();
            let configuration = Configuration::parse("site.toml", text)?;
            configuration.check_sections_read()?;
            let mut layers = configuration.layers(&AppPlace::default()).into_iter();
            layers.try_for_each(|layer| layer.apply_global(&mut settings))?;
            Ok(settings)
        };
        read(text).map_err(|error: ConfigError| error.to_string())
    }

    #[test]
    fn global_sets_the_server() {
        let settings =
            server("[global]\nserver.threads = 20\nserver.idle_timeout = \"5m\"\nserver.connections = \"auto\"\nserver.limits.head = \"16 KiB\"")
                .unwrap();
        assert_eq!((settings.threads, settings.idle_timeout), (20, Duration::from_secs(300)));
        assert_eq!((settings.connections, settings.head.head), (None, 16384));
    }

    #[test]
    fn wrong_files_are_refused_with_place_and_remedy() {
        let table = [
            (
                "[global]\nserver.thraeds = 2",
                "site.toml: line 2: [global]: `server.thraeds` is not a setting; did you mean `server.threads`?",
            ),
            (
                "[global]\nserver.threads = 0",
                "site.toml: line 2: [global]: `server.threads` is 0; it must be a whole number, one or more",
            ),
            (
                "[global]\nserver.idle_timeout = 20",
                "site.toml: line 2: [global]: `server.idle_timeout` is 20; it must be a duration with its unit, as \"250ms\", \"20s\", \"5m\", \"2h\" or \"7d\"",
            ),
            (
                "[global]\nserver.connections = \"many\"",
                "site.toml: line 2: [global]: `server.connections` is \"many\"; it must be a whole number, one or more, or \"auto\"",
            ),
            (
                "[global]\nserver.listen = \"localhost\"",
                "site.toml: line 2: [global]: `server.listen` is \"localhost\"; it must be an IP address and a port, as \"127.0.0.1:8080\" or \"[::]:8080\", or one of \"unix:/run/app.sock\" and \"fd:http\"",
            ),
            (
                "[global]\nmax_body = 1",
                "site.toml: line 2: [global]: `max_body` belongs to paths: move it to a path section, as [\"/\"]",
            ),
            (
                "[global]\nsessions.on = true",
                "site.toml: line 2: [global]: `sessions` belongs to paths: move it to a path section, as [\"/\"]",
            ),
            (
                "[global]\nthreads = 2",
                "site.toml: line 2: [global]: `threads` is not a setting; did you mean `server.threads`?",
            ),
            (
                "[global]\nserver.colour = 2",
                "site.toml: line 2: [global]: `server.colour` is not a setting; there are: listen, ",
            ),
            (
                "[admin]\nmax_body = 1",
                "site.toml: line 1: nothing reads the section [admin]: a path starts with `/`, as [\"/admin\"], and `Configuration::section` reads a section of your own",
            ),
            (
                "[globl]\nserver.threads = 1",
                "site.toml: line 1: nothing reads the section [globl]; did you mean [global]?",
            ),
            (
                "max_body = 1",
                "site.toml: line 1: `max_body` stands outside of all sections: move it below [global] or a path, as [\"/\"]",
            ),
            ("\n\n[\"/\"\nmax_body = 1", "site.toml: line 3: "),
        ];
        for (text, message) in table {
            let error = server(text).unwrap_err();
            assert!(error.starts_with(message), "{text}\n{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Configuration::read("/nowhere/site.toml").unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/site.toml: cannot be read: No such file"), "{error}");
    }

    #[test]
    fn a_profile_says_what_changes_there() {
        let text = "[global]\nserver.threads = 2\nserver.queue = 5\n[profile.production.global]\nserver.threads = 40\n[profile.other]\nglobal.server.threads = 7";
        let threads = |profile: &str| {
            let configuration = Configuration::text(text).unwrap().default_profile(profile);
            let mut settings = ServerSettings::default();
            for layer in configuration.layers(&AppPlace::default()) {
                layer.apply_global(&mut settings).unwrap();
            }
            (settings.threads, settings.queue)
        };
        assert_eq!([threads("development"), threads("production"), threads("other")], [(2, 5), (40, 5), (7, 5)]);
    }

    #[test]
    fn the_errors_of_a_profile_name_it() {
        let error = |text: &str| {
            let layers =
                Configuration::parse("site.toml", text)?.default_profile("production").layers(&AppPlace::default());
            layers.iter().try_for_each(|layer| layer.apply_global(&mut ServerSettings::default()))
        };
        let table = [
            (
                "\n[profile.production.global]\nserver.thraeds = 1",
                "site.toml: line 3: [profile.production.global]: `server.thraeds` is not a setting; did you mean `server.threads`?",
            ),
            (
                "[profile.production]\nserver.threads = 1",
                "site.toml: line 2: `server` is for the whole program: write it below [profile.production.global]",
            ),
            (
                "[profile]\nproduction = 1",
                "site.toml: line 2: `profile.production` is not a table: write [profile.production] and sections below it",
            ),
            ("[profile.a.profile.b]", "site.toml: line 1: a profile has no profiles: move it to the top of the file"),
            ("[root]", "site.toml: line 1: [root] is the section [\"/\"], in the names of variables: write that"),
        ];
        for (text, message) in table {
            assert_eq!(error(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
