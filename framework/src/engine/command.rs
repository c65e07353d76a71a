//! What a program is asked to print in place of serving: `KIRSCH_COMMAND=routes` and `KIRSCH_COMMAND=check`.
//!
//! `kirsch routes` and `kirsch check` start the program so. It comes to `App::serve` as always; nothing is bound there,
//! and no store, folder or log is opened for writing. What the program does before is its own.

use super::app::{App, Rehearsed};
use super::places::ListenPlaces;
use crate::Result;
use crate::exchange::Error;
use crate::lifecycle::PathSettings;
use crate::publish::Route;
use crate::server::ServerSettings;
use crate::settings::{SettingRow, unusual};
use std::io::{ErrorKind, Write, stdout};

/// What the environment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Routes,
    Check,
}

const VARIABLE: &str = "KIRSCH_COMMAND";

/// The columns of a usual terminal.
const MAX_WIDTH: usize = 80;

impl Command {
    /// `None` without the variable: then the program serves.
    pub(super) fn of_environment() -> Result<Option<Self>> {
        match std::env::var_os(VARIABLE) {
            None => Ok(None),
            Some(name) => Self::named(&name.to_string_lossy()),
        }
    }

    /// For programs that start the application themselves: they would serve in place of printing.
    pub(super) fn refuse() -> Result {
        match Self::of_environment()? {
            None => Ok(()),
            Some(_) => Err(Error::unexpected(format!(
                "{VARIABLE} is set, and this program does not use App::serve, which obeys it"
            ))),
        }
    }

    fn named(name: &str) -> Result<Option<Self>> {
        match name {
            "" => Ok(None),
            "routes" => Ok(Some(Self::Routes)),
            "check" => Ok(Some(Self::Check)),
            other => Err(Error::unexpected(format!("{VARIABLE} is {other:?}; it must be \"routes\" or \"check\""))),
        }
    }

    /// Prints what is asked for.
    pub(super) fn obey(self, app: App, address: impl ListenPlaces) -> Result {
        let (text, findings) = match self {
            Self::Routes => (listed(&app.routes()), 0),
            Self::Check => {
                let routes = app.routes().len();
                let rehearsed = app.rehearse(address)?;
                (report(&rehearsed, routes), rehearsed.findings.len())
            }
        };
        match stdout().write_all(text.as_bytes()) {
            // The reader has seen enough, as `head` does.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written?,
        }
        match findings {
            0 => Ok(()),
            1 => Err(Error::unexpected("the check has found one thing that looks like a mistake")),
            many => Err(Error::unexpected(format!("the check has found {many} things that look like mistakes"))),
        }
    }
}

/// The routes as a table.
fn listed(routes: &[Route]) -> String {
    let rows: Vec<_> = routes.iter().map(columns).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[methods, path, handler]| format!("{methods:first$}  {path:second$}  {handler}\n")).collect()
}

fn columns(route: &Route) -> [String; 3] {
    let Route { host, path, methods, handler, type_name } = route;
    let path = format!("{}{path}", host.as_deref().unwrap_or_default());
    match handler.is_empty() {
        true => ["...".to_owned(), path, type_name.clone()],
        false => [methods.allow(), path, format!("{type_name}::{handler}")],
    }
}

fn report(rehearsed: &Rehearsed, routes: usize) -> String {
    let Rehearsed { application, settings, places, findings } = rehearsed;
    let mut lines = Vec::new();
    for place in places {
        let shown: Vec<_> = place.iter().map(ToString::to_string).collect();
        lines.push(format!("listens at {}", shown.join(" or ")));
    }
    lines.extend(unusual(settings, &ServerSettings::default()).map(|row| shown("  server.", &row)));
    let usual = PathSettings::default();
    for plan in application.plans() {
        lines.push(String::new());
        lines.push(plan.section().to_owned());
        lines.push(tools(plan.tools()));
        lines.extend(unusual(plan.settings(), &usual).map(|row| shown("  ", &row)));
    }
    lines.push(String::new());
    lines.extend(findings.iter().map(|finding| format!("found: {finding}")));
    let (sections, found) = (application.plans().len(), findings.len());
    lines.push(format!("{}, {}, {}", many(routes, "route"), many(sections, "section"), many(found, "finding")));
    lines.join("\n") + "\n"
}

fn many(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// A list that no terminal breaks within a name.
fn tools(names: &[&str]) -> String {
    let (mut text, mut line) = ("  tools:".to_owned(), "  tools:".len());
    for (index, name) in names.iter().chain(names.is_empty().then_some(&"none")).enumerate() {
        let word = if index + 1 < names.len() { format!(" {name},") } else { format!(" {name}") };
        if line + word.len() > MAX_WIDTH {
            line = "        ".len();
            text.push_str("\n        ");
        }
        line += word.len();
        text.push_str(&word);
    }
    text
}

fn shown(before: &str, row: &SettingRow) -> String {
    format!("{before}{} = {}", row.key, row.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sessions, Tree};

    fn check(app: App) -> Result<String> {
        let routes = app.routes().len();
        Ok(report(&app.rehearse("127.0.0.1:8080")?, routes))
    }

    #[test]
    fn a_command_that_nobody_knows_is_refused() {
        assert_eq!(Command::named("check").unwrap(), Some(Command::Check));
        assert_eq!(Command::named("").unwrap(), None);
        assert!(Command::named("chekc").unwrap_err().to_string().contains("\"routes\" or \"check\""));
    }

    #[test]
    fn routes_are_a_table() {
        let app = App::new(Tree::new().index(|_| "").page("add/{a}/{b}", |_| ""));
        let text = listed(&app.routes());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.starts_with("GET, HEAD, OPTIONS, POST  /")), "{text}");
        assert_eq!(lines[0].find("Tree::"), lines[1].find("Tree::"), "{text}");
    }

    #[test]
    fn a_check_shows_tools_and_unusual_settings() {
        let app = App::new(Tree::new().index(|_| "")).tool("/", Sessions::in_memory()).threads(3);
        let text = check(app.settings("/", |settings| settings.max_body = 5).without_environment()).unwrap();
        for line in [
            "listens at 127.0.0.1:8080\n",
            "  server.threads = 3\n",
            "/\n  tools: trailing_slash, secure_headers, sessions\n  max_body = ",
            "1 route, 1 section, 0 findings\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_long_list_of_tools_goes_on_below_its_first_name() {
        assert_eq!(tools(&[]), "  tools: none");
        assert_eq!(tools(&["sessions", "csrf"]), "  tools: sessions, csrf");
        let text = tools(&["secure_headers"; 9]);
        assert!(text.lines().skip(1).all(|line| line.starts_with("         secure_headers")), "{text}");
        assert!(text.lines().all(|line| line.len() <= MAX_WIDTH), "{text}");
        assert_eq!((text.lines().count(), text.matches(',').count()), (3, 8));
    }

    #[test]
    fn a_section_without_pages_is_found() {
        let app = App::new(Tree::new().index(|_| "")).settings("/shpo", |_| ());
        let text = check(app.without_environment()).unwrap();
        assert!(text.contains("found: nothing answers at or below \"/shpo\""), "{text}");
    }

    #[test]
    fn a_mistake_ends_the_check() {
        let app = App::new(Tree::new().index(|_| "")).config_str("[\"/\"]\nmax_bdy = 1").without_environment();
        assert!(check(app).unwrap_err().to_string().contains("did you mean `max_body`?"));
    }

    #[test]
    fn a_check_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let app = App::new(Tree::new().index(|_| "")).tickets(folder.path().join("tickets")).without_environment();
        #[cfg(feature = "sqlite")]
        let app = app.tool("/", Sessions::sqlite(folder.path().join("sessions")));
        check(app).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
