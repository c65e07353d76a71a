//! The configuration file: TOML with the section `[global]` and sections named by path.

use super::{AppPlace, ConfigError};
use crate::lifecycle::PathSettings;
use crate::private_file;
use crate::server::ServerSettings;
use crate::settings::Settings;
use crate::suggestion::suggestion;
use toml::{Table, Value};

/// A file that was read: its name for messages, the server's settings, the sections.
#[derive(Debug)]
pub(crate) struct ConfigurationFile {
    pub(crate) name: String,
    /// The app whose file it is.
    pub(crate) place: AppPlace,
    global: Table,
    /// The path as written, and the keys.
    pub(crate) sections: Vec<(String, Table)>,
}

impl ConfigurationFile {
    pub(crate) fn read(path: &std::path::Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                private_file::warn_of_changes(path, "the configuration");
                let file = Self::parse(&name, &text)?;
                if file.sections.iter().any(|(_, section)| section.iter().any(|(key, value)| is_secret(key, value))) {
                    private_file::warn_if_everybody_reads(path, "the secrets of the configuration");
                }
                Ok(file)
            }
            Err(error) => Err(ConfigError::new(name, format!("cannot be read: {error}"))),
        }
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            ConfigError::new(name, format!("line {line}: {}", error.message()))
        })?;
        let mut file =
            Self { name: name.to_owned(), place: AppPlace::default(), global: Table::new(), sections: Vec::new() };
        for (key, value) in table {
            match value {
                Value::Table(global) if key == "global" => file.global = global,
                Value::Table(section) if key.starts_with('/') => file.sections.push((key, section)),
                Value::Table(_) => {
                    let problem = format!(
                        "the section [{key}] is neither [global] nor a path: a path starts with `/`, as [\"/{key}\"]"
                    );
                    return Err(ConfigError::new(name, problem));
                }
                _ => {
                    let problem =
                        format!("`{key}` stands outside of all sections: move it below [global] or a path, as [\"/\"]");
                    return Err(ConfigError::new(name, problem));
                }
            }
        }
        Ok(file)
    }

    /// The same as the file of the app that is there.
    pub(crate) fn at(self, place: AppPlace) -> Self {
        Self { place, ..self }
    }

    /// Whether it says anything about the program as a whole.
    pub(crate) fn has_global(&self) -> bool {
        !self.global.is_empty()
    }

    /// Whether the file says where to listen.
    pub(crate) fn sets_address(&self) -> bool {
        self.global.get("server").is_some_and(|server| server.get("address").is_some())
    }

    /// Lays the settings in `[global]` over `settings`.
    pub(crate) fn apply_global(&self, settings: &mut ServerSettings) -> Result<(), ConfigError> {
        let place = format!("{}: [global]", self.name);
        for (group, value) in &self.global {
            let keys = match value {
                Value::Table(keys) if group == "server" => keys,
                _ if value.is_table() || PathSettings::default().setting_rows().iter().any(|row| row.key == group) => {
                    let problem = format!("`{group}` belongs to paths: move it to a path section, as [\"/\"]");
                    return Err(ConfigError::new(place, problem));
                }
                _ => {
                    let problem = format!("`{group}` is not a setting; {}", server_key(group));
                    return Err(ConfigError::new(place, problem));
                }
            };
            for (name, value) in flat("", keys) {
                match settings.set_setting(&name, value) {
                    Some(set) => {
                        set.map_err(|problem| ConfigError::new(&*place, format!("`server.{name}` {problem}")))?;
                    }
                    None => {
                        let problem = format!("`server.{name}` is not a setting; {}", server_key(&name));
                        return Err(ConfigError::new(place, problem));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a value is for few eyes: a secret, a password, or the address of a server with one in it.
fn is_secret(key: &str, value: &Value) -> bool {
    let is_named = || key.contains("secret") || key.contains("password");
    match value {
        Value::Table(table) => table.iter().any(|(key, value)| is_secret(key, value)),
        Value::Array(values) => values.iter().any(|value| is_secret(key, value)),
        Value::String(text) => {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            let credentials = rest.split(['/', '?']).next().and_then(|authority| authority.rsplit_once('@'));
            let is_asked = ["pass=", "password="].iter().any(|name| text.contains(name));
            (is_named() && !text.is_empty()) || is_asked || credentials.is_some_and(|(user, _)| user.contains(':'))
        }
        _ => false,
    }
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
    use std::time::Duration;

    fn server(text: &str) -> Result<ServerSettings, String> {
        let mut settings = ServerSettings::default();
        let file = ConfigurationFile::parse("site.toml", text).map_err(|error| error.to_string())?;
        file.apply_global(&mut settings).map_err(|error| error.to_string())?;
        Ok(settings)
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
                "site.toml: [global]: `server.thraeds` is not a setting; did you mean `server.threads`?",
            ),
            (
                "[global]\nserver.threads = 0",
                "site.toml: [global]: `server.threads` is 0; it must be a whole number, one or more",
            ),
            (
                "[global]\nserver.idle_timeout = 20",
                "site.toml: [global]: `server.idle_timeout` is 20; it must be a duration with its unit, as \"250ms\", \"20s\", \"5m\", \"2h\" or \"7d\"",
            ),
            (
                "[global]\nserver.connections = \"many\"",
                "site.toml: [global]: `server.connections` is \"many\"; it must be a whole number, one or more, or \"auto\"",
            ),
            (
                "[global]\nserver.address = \"localhost\"",
                "site.toml: [global]: `server.address` is \"localhost\"; it must be an IP address and a port, as \"127.0.0.1:8080\" or \"[::]:8080\"",
            ),
            (
                "[global]\nmax_body = 1",
                "site.toml: [global]: `max_body` belongs to paths: move it to a path section, as [\"/\"]",
            ),
            (
                "[global]\nsessions.on = true",
                "site.toml: [global]: `sessions` belongs to paths: move it to a path section, as [\"/\"]",
            ),
            (
                "[global]\nthreads = 2",
                "site.toml: [global]: `threads` is not a setting; did you mean `server.threads`?",
            ),
            (
                "[global]\nserver.colour = 2",
                "site.toml: [global]: `server.colour` is not a setting; there are: address, ",
            ),
            (
                "[admin]\nmax_body = 1",
                "site.toml: the section [admin] is neither [global] nor a path: a path starts with `/`, as [\"/admin\"]",
            ),
            (
                "max_body = 1",
                "site.toml: `max_body` stands outside of all sections: move it below [global] or a path, as [\"/\"]",
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
        let error = ConfigurationFile::read("/nowhere/site.toml".as_ref()).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/site.toml: cannot be read: No such file"), "{error}");
    }
}
