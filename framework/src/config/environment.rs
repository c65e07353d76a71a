//! The variables of the environment that set something: `KIRSCH_SERVER__LISTEN`, `KIRSCH_SHOP__TITLE`.
//!
//! Two underscores separate the parts of a name: the section, then the keys. `SERVER` stands for `[global]`, `ROOT` for
//! the section `["/"]`; every other first part is a section of the application's own. A name without two underscores
//! sets nothing, since container platforms make up names such as `KIRSCH_SERVICE_PORT`. If one looks like a setting
//! that was meant, the log says so.

use super::layer::{GLOBAL_GROUPS, Layer};
use super::node::{Node, in_variable};
use super::{AppPlace, ConfigError};
use crate::lifecycle::PathSettings;
use crate::server::ServerSettings;
use crate::settings::Settings;
use crate::suggestion::distance;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

const PREFIX: &str = "KIRSCH_";

/// Chooses the profile.
pub(super) const PROFILE: &str = "KIRSCH_PROFILE";

/// Variables that are no settings.
const OTHERS: [&str; 4] = [PROFILE, "KIRSCH_COMMAND", "KIRSCH_DEBUG_KEY", "KIRSCH_DEV"];

/// The first part of a name that stands for the section `["/"]`.
pub(super) const ROOT: &str = "root";

/// All variables of the framework, by their names.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<Arc<str>, Variable>);

#[derive(Clone)]
struct Variable {
    /// The parts of its name after the prefix, in small letters. A single one sets nothing.
    parts: Vec<String>,
    text: String,
}

impl Environment {
    /// Those of this process.
    pub(crate) fn of_process() -> Result<Self, ConfigError> {
        Self::of(std::env::vars_os())
    }

    pub(crate) fn of<N: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigError> {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let ours = variables.filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
        let read = |(name, value): (OsString, OsString)| {
            let name: Arc<str> = match name.into_string() {
                Ok(name) => name.into(),
                Err(name) => {
                    let place = format!("the environment variable {}", name.as_encoded_bytes().escape_ascii());
                    return Err(ConfigError::new(place, "its name is not UTF-8"));
                }
            };
            let refused = |problem: &str| ConfigError::new(format!("the environment variable {name}"), problem);
            let parts: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
            if parts.len() > 1 && parts.iter().any(String::is_empty) {
                return Err(refused("its name has an empty part: write KIRSCH_SECTION__KEY, as KIRSCH_SERVER__LISTEN"));
            }
            let text = value.into_string().map_err(|_| refused("its value is not UTF-8"))?;
            Ok((name, Variable { parts, text }))
        };
        ours.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// These, and those of another, which win.
    pub(crate) fn with(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().map(|(name, variable)| (name.clone(), variable.clone())));
        self
    }

    /// The profile that it chooses.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.0.get(PROFILE).map(|variable| variable.text.trim()).filter(|profile| !profile.is_empty())
    }

    /// Those that set something, with the first part of their name.
    fn settings(&self) -> impl Iterator<Item = (&Arc<str>, &str, &Variable)> {
        let settings = self.0.iter().filter(|(_, variable)| variable.parts.len() > 1);
        settings.map(|(name, variable)| (name, &*variable.parts[0], variable))
    }

    /// One layer for each variable about the server or the section of all paths.
    pub(crate) fn layers(&self) -> impl Iterator<Item = Layer> {
        self.settings().filter_map(|(name, first, variable)| {
            let empty = Layer { place: AppPlace::default(), within: String::new(), global: None, sections: Vec::new() };
            let layer = |keys: &[String]| Node::of_variable(name, keys, &variable.text);
            match first {
                _ if GLOBAL_GROUPS.contains(&first) => Some(Layer { global: Some(layer(&variable.parts)), ..empty }),
                ROOT => Some(Layer { sections: vec![("/".to_owned(), layer(&variable.parts[1..]))], ..empty }),
                _ => None,
            }
        })
    }

    /// What the variables say for a section of the application's own, one after the other.
    pub(super) fn for_section<'e>(&'e self, section: &'e str) -> impl Iterator<Item = Node> + 'e {
        let own = self.settings().filter(|(_, first, _)| in_variable(first) == in_variable(section));
        own.map(|(name, _, variable)| Node::of_variable(name, &variable.parts[1..], &variable.text))
    }

    /// Looks for variables that set nothing, although they seem to be meant so: an error if that is sure, otherwise a
    /// warning. They may be those of another program.
    pub(crate) fn check(&self, sections: &[&str]) -> Result<(), ConfigError> {
        let is_known = |first: &str| {
            let mut known = sections.iter().chain(&GLOBAL_GROUPS).chain([&ROOT]);
            known.any(|section| in_variable(section) == in_variable(first))
        };
        for (name, first, variable) in self.settings().filter(|(_, first, _)| !is_known(first)) {
            let place = format!("the environment variable {name}");
            let known = sections.iter().chain(&GLOBAL_GROUPS).chain([&ROOT]);
            let near = known.map(|section| (distance(first, section), *section)).min();
            match near {
                Some((distance, section)) if distance <= (section.len() / 3).max(1) => {
                    let meant = variable.parts[1..]
                        .iter()
                        .fold(in_variable(section), |name, part| format!("{name}__{}", part.to_uppercase()));
                    let problem = format!("nothing reads a section `{first}`; did you mean {PREFIX}{meant}?");
                    return Err(ConfigError::new(place, problem));
                }
                _ => {
                    crate::line::record!(Warn, target: "kirsch::config", "{place} has no effect: nothing reads a section `{first}`");
                }
            }
        }
        for (name, variable) in self.0.iter().filter(|(_, variable)| variable.parts.len() == 1) {
            let Some((meant, is_sure)) = meant(&variable.parts[0], sections).filter(|(meant, _)| **meant != **name)
            else {
                continue;
            };
            let place = format!("the environment variable {name}");
            if is_sure {
                let problem =
                    format!("it has no effect; did you mean {meant}? Two underscores separate section and key");
                return Err(ConfigError::new(place, problem));
            }
            crate::line::record!(Warn, target: "kirsch::config", "{place} has no effect; did you mean {meant}?");
        }
        Ok(())
    }

    /// The names of those that set something for these sections, the server or the paths, for the log.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.settings().map(|(name, ..)| &**name)
    }
}

/// The variable that may have been meant by a name without two underscores, and whether that is sure.
fn meant(rest: &str, sections: &[&str]) -> Option<(String, bool)> {
    let rest = in_variable(rest);
    let server = ServerSettings::default().setting_rows();
    let server = server.iter().map(|row| ("SERVER", row.key.to_uppercase().replace('.', "__")));
    let paths = PathSettings::default().setting_rows();
    let paths = paths.iter().map(|row| ("ROOT", row.key.to_uppercase()));
    for (section, key) in server.chain(paths) {
        let flat = key.replace("__", "_");
        if rest == format!("{section}_{flat}") {
            return Some((format!("{PREFIX}{section}__{key}"), true));
        }
        if rest == flat {
            return Some((format!("{PREFIX}{section}__{key}"), false));
        }
    }
    let name = format!("{PREFIX}{rest}");
    if let Some(other) = OTHERS.iter().find(|other| distance(other, &name) <= 2) {
        return Some(((*other).to_owned(), false));
    }
    sections.iter().find_map(|section| {
        let key = rest.strip_prefix(&in_variable(section))?.strip_prefix('_')?;
        Some((format!("{PREFIX}{}__{key}", in_variable(section)), false))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{App, Configuration, Sessions, Tree};

    /// What an application says that is started with these variables.
    fn start(variables: &[(&str, &str)]) -> Result<crate::lifecycle::Application, String> {
        let build = || {
            let configuration = Configuration::text("[\"/\"]\nmax_body = 1\n[shop]\na = 1")?;
            let configuration = configuration.variables(variables.iter().copied())?;
            configuration.section::<toml::Table>("shop")?;
            let app = App::new(Tree::new().index(|_| "")).tool("/", Sessions::in_memory()).configuration(configuration);
            app.without_environment().build()
        };
        build().map_err(|error| error.to_string())
    }

    #[test]
    fn variables_win_over_the_file() {
        let application =
            start(&[("KIRSCH_ROOT__MAX_BODY", "10 MiB"), ("KIRSCH_ROOT__SHOW_TRACEBACKS", "true")]).unwrap();
        let settings = application.plans()[0].settings();
        assert_eq!((settings.max_body, settings.show_tracebacks), (10 << 20, true));
        let off = start(&[("KIRSCH_ROOT__SESSIONS__ON", "false")]).unwrap();
        assert!(!off.plans()[0].tools().contains(&"sessions"));
    }

    #[test]
    fn wrong_variables_stop_the_start_and_are_named() {
        let table = [
            (
                "KIRSCH_SERVER__THREADS",
                "0",
                ": [global]: `server.threads` is 0; it must be a whole number, one or more",
            ),
            (
                "KIRSCH_SERVER__THRAEDS",
                "2",
                ": [global]: `server.thraeds` is not a setting; did you mean `server.threads`?",
            ),
            (
                "KIRSCH_SERVER__LIMITS__HAED",
                "2",
                ": [global]: `server.limits.haed` is not a setting; did you mean `server.limits.head`?",
            ),
            (
                "KIRSCH_SERVER__LISTEN",
                "8080",
                ": [global]: `server.listen` is 8080; it must be an IP address and a port, as \"127.0.0.1:8080\" or \"[::]:8080\", or one of \"unix:/run/app.sock\" and \"fd:http\"",
            ),
            ("KIRSCH_ROOT__MAX_BDY", "2", ": [\"/\"]: `max_bdy` is not a setting or a tool; did you mean `max_body`?"),
            (
                "KIRSCH_ROOT__SESSIONS__TIMEUOT",
                "2h",
                ": [\"/\"]: `sessions.timeuot` is not a setting; did you mean `timeout`?",
            ),
            ("KIRSCH_SERVR__THREADS", "2", ": nothing reads a section `servr`; did you mean KIRSCH_SERVER__THREADS?"),
            ("KIRSCH_SHP__A_B__C", "2", ": nothing reads a section `shp`; did you mean KIRSCH_SHOP__A_B__C?"),
            (
                "KIRSCH_SERVER_LISTEN",
                "2",
                ": it has no effect; did you mean KIRSCH_SERVER__LISTEN? Two underscores separate section and key",
            ),
            (
                "KIRSCH_SERVER_LIMITS_HEAD",
                "2",
                ": it has no effect; did you mean KIRSCH_SERVER__LIMITS__HEAD? Two underscores separate section and key",
            ),
            ("KIRSCH_SHOP__", "2", ": its name has an empty part: write KIRSCH_SECTION__KEY, as KIRSCH_SERVER__LISTEN"),
        ];
        for (name, value, message) in table {
            let refused = start(&[(name, value)]).map(drop);
            assert_eq!(refused, Err(format!("the environment variable {name}{message}")));
        }
    }

    #[test]
    fn variables_that_may_be_of_others_are_warned_of() {
        let table = [
            ("KIRSCH_LISTEN", Some("has no effect; did you mean KIRSCH_SERVER__LISTEN?")),
            ("KIRSCH_SHOP_TITLE", Some("has no effect; did you mean KIRSCH_SHOP__TITLE?")),
            ("KIRSCH_PROFIL", Some("has no effect; did you mean KIRSCH_PROFILE?")),
            ("KIRSCH_WAREHOUSE__SIZE", Some("has no effect: nothing reads a section `warehouse`")),
            ("KIRSCH_SERVICE_PORT", None),
            ("KIRSCH_SERVER_PORT_80_TCP", None),
            ("KIRSCH_PROFILE", None),
            ("KIRSCH_DEBUG_KEY", None),
            ("OTHER_SERVER__LISTEN", None),
        ];
        for (name, warning) in table {
            let records =
                crate::logs::capture::records("kirsch::config", || drop(start(&[(name, "production")]).unwrap()));
            let said: Vec<_> = records.iter().filter(|record| record.starts_with("WARN")).collect();
            let expected = warning.map(|text| format!("WARN kirsch::config the environment variable {name} {text}"));
            assert_eq!(said, expected.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let name = |start: &str| OsString::from_vec([start.as_bytes(), &[0xff]].concat());
        let refused = Environment::of([(name("KIRSCH_SHOP__"), "1")]).err().unwrap();
        assert_eq!(refused.to_string(), "the environment variable KIRSCH_SHOP__\\xff: its name is not UTF-8");
        assert!(Environment::of([(name("OTHER_"), "1")]).is_ok());
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let refused = Environment::of([("KIRSCH_SHOP__A", OsString::from_vec(vec![0xff]))]).err().unwrap();
        assert_eq!(refused.to_string(), "the environment variable KIRSCH_SHOP__A: its value is not UTF-8");
        assert!(Environment::of([("OTHER", OsString::from_vec(vec![0xff]))]).is_ok());
    }
}
