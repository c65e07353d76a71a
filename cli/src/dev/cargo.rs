//! The build: cargo, its messages, and what they mean.

use super::report::{Diagnostic, Place, Reported, plain};
use super::supervisor::{Event, Outcome};
use super::tail::Tail;
use crate::command_line::PackageChoice;
use crate::say;
use crossbeam_channel::Sender;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write, stderr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long cargo may take to end after it was told to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the sources are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The folder of the package.
    pub(crate) package: PathBuf,
    /// The root of its workspace, from which the compiler counts.
    pub(crate) root: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

/// The cargo that started this program, or the one in the path.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

impl Places {
    /// Those of the package that is chosen, or of the one around the working directory.
    pub(crate) fn find(choice: &PackageChoice) -> Result<Self, String> {
        let mut command = Command::new(cargo());
        command.args(["metadata", "--no-deps", "--format-version=1"]).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("cargo cannot be started: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("error: ").to_owned());
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("what `cargo metadata` says cannot be read: {error}"))?;
        let here = std::env::current_dir().and_then(|here| here.canonicalize()).map_err(|error| error.to_string())?;
        metadata.places(choice.package(), &here)
    }
}

impl Metadata {
    fn places(self, name: Option<&str>, here: &Path) -> Result<Places, String> {
        let folder = |package: &Package| package.manifest_path.parent().map(Path::to_owned);
        let found = match name {
            Some(name) => self.packages.iter().filter(|package| package.name == name).find_map(folder),
            None => {
                let around = self.packages.iter().filter_map(folder).filter(|folder| here.starts_with(folder));
                around.max_by_key(|folder| folder.as_os_str().len())
            }
        };
        let package = found.ok_or_else(|| match name {
            Some(name) => format!("there is no package `{name}` in this workspace"),
            None => "this is the root of a workspace: name the package with `-p PACKAGE`".to_owned(),
        })?;
        Ok(Places { package, root: self.workspace_root })
    }
}

/// A running build.
#[derive(Debug)]
pub(crate) struct Building {
    group: Option<Pid>,
}

impl Building {
    /// Starts cargo; the end comes as an event.
    pub(crate) fn start(number: u64, choice: &PackageChoice, places: &Places, told: &Sender<Event>) -> Self {
        let mut command = Command::new(cargo());
        command.args(["build", "--message-format=json-diagnostic-rendered-ansi"]).args(&choice.0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        if say::has_colours() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        let (told, root) = (told.clone(), places.root.clone());
        let began = Instant::now();
        match command.spawn() {
            Ok(child) => {
                let group = Pid::from_child(&child);
                thread::spawn(move || {
                    let outcome = follow(child, &root, began);
                    let _ = told.send(Event::BuildEnded(number, outcome));
                });
                Self { group: Some(group) }
            }
            Err(error) => {
                let failed = Reported::text("cargo cannot be started", &error.to_string());
                let _ = told.send(Event::BuildEnded(number, Outcome::Failed(failed)));
                Self { group: None }
            }
        }
    }

    /// Ends it, with the compilers that it has started.
    pub(crate) fn end(&mut self) {
        let Some(group) = self.group.take() else { return };
        // A group that is gone has ended by itself.
        let _ = kill_process_group(group, Signal::TERM);
        thread::spawn(move || {
            thread::sleep(PATIENCE);
            let _ = kill_process_group(group, Signal::KILL);
        });
    }
}

/// Reads what cargo says until it ends.
fn follow(mut child: Child, root: &Path, began: Instant) -> Outcome {
    let tail = child.stderr.take().map(|errors| Tail::follow(errors, stderr()));
    let mut said = Said::default();
    let messages = child.stdout.take().map(BufReader::new);
    for line in messages.into_iter().flat_map(|messages| messages.split(b'\n')).map_while(Result::ok) {
        if let Some(shown) = said.hear(&line) {
            let shown = if say::has_colours() { shown } else { plain(&shown) };
            let _ = stderr().write_all(shown.as_bytes());
        }
    }
    let status = child.wait();
    let rest = tail.map(Tail::end).unwrap_or_default();
    match status {
        Ok(status) if status.success() => match &said.programs[..] {
            [program] => {
                say::note(format_args!("kirsch dev: built in {:.1} s", began.elapsed().as_secs_f64()));
                Outcome::Built(program.clone())
            }
            [] => Outcome::Failed(Reported::text(
                "There is no program",
                "This package has no program to run: it has no `src/main.rs`.",
            )),
            several => {
                let names: Vec<_> =
                    several.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy()).collect();
                let text = format!(
                    "This package has several programs: name one with `kirsch dev --bin NAME`. There are: {}",
                    names.join(", ")
                );
                Outcome::Failed(Reported::text("Which program?", &text))
            }
        },
        _ => Outcome::Failed(Reported::of_build(&said.errors, &rest, root)),
    }
}

/// What the messages have said so far.
#[derive(Debug, Default)]
struct Said {
    errors: Vec<Diagnostic>,
    programs: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-message")]
    Compiler { message: Words },
    #[serde(rename = "compiler-artifact")]
    Artifact { executable: Option<PathBuf>, target: Target },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Words {
    rendered: Option<String>,
    level: String,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: PathBuf,
    line_start: u64,
    column_start: u64,
    is_primary: bool,
}

impl Said {
    /// Takes one line; returns what is to be shown. Other programs may print what is no message.
    fn hear(&mut self, line: &[u8]) -> Option<String> {
        match serde_json::from_slice(line).ok()? {
            Message::Compiler { message } => {
                let rendered = message.rendered?;
                // "aborting due to 2 previous errors" has no place, and says nothing new.
                if message.level == "error"
                    && !(message.spans.is_empty() && plain(&rendered).contains("aborting due to"))
                {
                    let place = message.spans.into_iter().find(|span| span.is_primary).map(|span| Place {
                        file: span.file_name,
                        line: span.line_start,
                        column: span.column_start,
                    });
                    self.errors.push(Diagnostic { rendered: rendered.clone(), place });
                }
                Some(rendered)
            }
            Message::Artifact { executable: Some(program), target } => {
                if target.kind.iter().any(|kind| kind == "bin") {
                    self.programs.push(program);
                }
                None
            }
            Message::Artifact { .. } | Message::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_programs_are_taken_from_the_messages() {
        let mut said = Said::default();
        let error = r#"{"reason":"compiler-message","message":{"rendered":"error: no\n","level":"error","spans":[
            {"file_name":"src/b.rs","line_start":1,"column_start":1,"is_primary":false},
            {"file_name":"src/a.rs","line_start":3,"column_start":5,"is_primary":true}]}}"#;
        assert_eq!(said.hear(error.as_bytes()).as_deref(), Some("error: no\n"));
        let end = r#"{"reason":"compiler-message","message":{"rendered":"error: aborting due to 1 previous error\n","level":"error","spans":[]}}"#;
        said.hear(end.as_bytes());
        let warning = r#"{"reason":"compiler-message","message":{"rendered":"warning: unused\n","level":"warning"}}"#;
        said.hear(warning.as_bytes());
        assert_eq!(said.errors.len(), 1);
        assert_eq!(said.errors[0].place, Some(Place { file: "src/a.rs".into(), line: 3, column: 5 }));
        for (kind, executable) in [("bin", "\"/t/site\""), ("custom-build", "\"/t/build\""), ("lib", "null")] {
            let artifact =
                format!(r#"{{"reason":"compiler-artifact","executable":{executable},"target":{{"kind":["{kind}"]}}}}"#);
            said.hear(artifact.as_bytes());
        }
        assert_eq!(said.programs, [PathBuf::from("/t/site")]);
    }

    #[test]
    fn lines_that_are_no_messages_are_left_out() {
        let mut said = Said::default();
        for line in
            ["", "Hello", "{", "[]", "{\"reason\":\"build-finished\",\"success\":true}", "{\"reason\":5}", "\u{fffd}"]
        {
            assert_eq!(said.hear(line.as_bytes()), None, "{line}");
        }
        assert!(said.errors.is_empty() && said.programs.is_empty());
    }

    #[test]
    fn the_package_is_the_one_that_is_named_or_the_one_around() {
        let metadata = || Metadata {
            workspace_root: "/w".into(),
            packages: ["/w/site/Cargo.toml", "/w/site/tools/Cargo.toml"]
                .map(|path| Package {
                    name: path.split('/').rev().nth(1).unwrap().to_owned(),
                    manifest_path: path.into(),
                })
                .into(),
        };
        let package = |name, here: &str| metadata().places(name, Path::new(here)).map(|places| places.package);
        assert_eq!(package(Some("tools"), "/w"), Ok("/w/site/tools".into()));
        assert_eq!(package(None, "/w/site/src"), Ok("/w/site".into()));
        assert_eq!(package(None, "/w/site/tools/src"), Ok("/w/site/tools".into()));
        assert!(package(None, "/w").unwrap_err().contains("-p PACKAGE"));
        assert!(package(Some("stie"), "/w").unwrap_err().contains("no package `stie`"));
    }
}
