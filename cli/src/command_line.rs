//! What was typed, and the help.

use crate::dev::{Development, FRONT};
use crate::skeleton::Kind;
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CommandLine {
    /// A text.
    Show(String),
    New(NewProgram),
    Dev(Development),
    /// What `kirsch dev` starts while there is no program.
    Front,
    Ask(Question),
}

/// `kirsch new`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewProgram {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

/// `kirsch routes`, `kirsch check`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// The value of `KIRSCH_COMMAND`.
    pub(crate) name: &'static str,
    pub(crate) package: PackageChoice,
    /// For the program.
    pub(crate) arguments: Vec<OsString>,
}

/// Which program cargo builds, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PackageChoice(pub(crate) Vec<OsString>);

const HELP: &str = "\
The command of Kirsch, a threaded web framework.

  kirsch new PATH     begins a program: a site, an API, or two pages
  kirsch dev          serves the program of this folder, and builds it again
                      when a file changes
  kirsch routes       shows which paths lead to which handlers
  kirsch check        puts the program together without serving it, and says
                      what is wrong

`kirsch COMMAND --help` tells more about one of them, `kirsch --version` which
Kirsch this is.
";

const NEW: &str = "\
Begins a program in a new folder. The last part of PATH is its name.

  kirsch new PATH             a site: templates, login, SQLite, forms, tests
  kirsch new PATH --minimal   two pages in one file
  kirsch new PATH --api       an API: JSON, checked fields, problems, tests

It depends on Kirsch by the path of the checkout that this command was built
from. The command asks nothing, and touches no file that is there: it refuses a
folder that is not empty.
";

const DEV: &str = "\
Builds the program of this folder, serves it, and builds it again when a file
changes. The old program answers until the new one is ready; browsers of this
machine reload by themselves. Errors of the compiler are shown in the browser,
with links into the editor. A style sheet is exchanged without a reload; a
template needs no build.

  kirsch dev [OPTIONS] [-- ARGUMENTS OF THE PROGRAM]

      --listen ADDRESS    where to listen, in place of 127.0.0.1:8080 and of
                          what the program says
      --watch PATH        a further file or folder to watch; may be given
                          several times
      --poll              looks at the files once a second, where the system's
                          watches see nothing, as in some shared folders
  -p, --package PACKAGE   the package of a workspace
      --bin NAME          the program, where the package has several
      --features LIST     cargo features
      --release           built with optimisation, with the profile
                          `production`; its pages do not reload

It watches src, templates, static, migrations, build.rs, Cargo.lock and the TOML
files of the package. KIRSCH_EDITOR says how links into the editor look; unless
it is set: \"vscode://file/{path}:{line}:{column}\". With NO_COLOR there are no
colours.
";

const ROUTES: &str = "\
Builds the program of this folder, and shows which paths lead to which handlers:
methods, path, handler. The program does not serve, and its App::serve binds
nothing. It ends with 0, or with the status of cargo if the build fails.

  kirsch routes [OPTIONS] [-- ARGUMENTS OF THE PROGRAM]

  -p, --package PACKAGE   the package of a workspace
      --bin NAME          the program, where the package has several
      --features LIST     cargo features
      --release           built with optimisation, with the profile `production`
";

const CHECK: &str = "\
Builds the program of this folder, and lets it put its application together:
settings, tools, templates, pages that are linked to. It shows the tools and the
unusual settings of each path, and whatever looks like a mistake. App::serve
binds nothing then, and opens no store or log for writing. It ends with 0 if all
is well, with 1 if the program refuses to start or has a mistake, and with the
status of cargo if the build fails.

  kirsch check [OPTIONS] [-- ARGUMENTS OF THE PROGRAM]

  -p, --package PACKAGE   the package of a workspace
      --bin NAME          the program, where the package has several
      --features LIST     cargo features
      --release           built with optimisation, with the profile `production`
";

/// The commands, with their help.
const COMMANDS: [(&str, &str); 4] = [("new", NEW), ("dev", DEV), ("routes", ROUTES), ("check", CHECK)];

impl CommandLine {
    /// Reads arguments, of which the first is the program.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut parser = Parser::from_iter(arguments);
        let argument = parser.next().map_err(|error| error.to_string())?;
        match argument {
            None | Some(Arg::Short('h') | Arg::Long("help")) => Ok(Self::Show(HELP.to_owned())),
            Some(Arg::Long(name)) if FRONT.strip_prefix("--") == Some(name) => Ok(Self::Front),
            Some(Arg::Short('V') | Arg::Long("version")) => {
                Ok(Self::Show(format!("kirsch {}\n", env!("CARGO_PKG_VERSION"))))
            }
            Some(Arg::Value(name)) => match &*name.to_string_lossy() {
                "help" => help(&mut parser),
                "new" => new(&mut parser),
                "dev" => dev(&mut parser),
                "routes" => ask("routes", ROUTES, &mut parser),
                "check" => ask("check", CHECK, &mut parser),
                other => {
                    let names = COMMANDS.map(|(name, _)| name).join(", ");
                    Err(format!("there is no command `{other}`; there are: {names}"))
                }
            },
            Some(other) => Err(unknown(&other, "kirsch --help")),
        }
    }
}

/// `kirsch help`, `kirsch help dev`
fn help(parser: &mut Parser) -> Result<CommandLine, String> {
    let of_command = |argument: &Arg<'_>| match argument {
        Arg::Value(name) => COMMANDS.iter().find(|(command, _)| name == command).map(|(_, text)| *text),
        _ => None,
    };
    let text = match parser.next().map_err(|error| error.to_string())? {
        None => HELP,
        Some(argument) => of_command(&argument).ok_or_else(|| unknown(&argument, "kirsch help"))?,
    };
    Ok(CommandLine::Show(text.to_owned()))
}

fn unknown(argument: &Arg<'_>, help: &str) -> String {
    let shown = match argument {
        Arg::Short(letter) => format!("-{letter}"),
        Arg::Long(name) => format!("--{name}"),
        Arg::Value(value) => format!("{}", value.to_string_lossy()),
    };
    format!("`{shown}` has no meaning here; see {help}")
}

fn new(parser: &mut Parser) -> Result<CommandLine, String> {
    let (mut path, mut kind) = (None, None);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let chosen = match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(CommandLine::Show(NEW.to_owned())),
            Arg::Long("site") => Kind::Site,
            Arg::Long("minimal") => Kind::Minimal,
            Arg::Long("api") => Kind::Api,
            Arg::Value(value) if path.is_none() && !value.is_empty() => {
                path = Some(PathBuf::from(value));
                continue;
            }
            other => return Err(unknown(&other, "kirsch new --help")),
        };
        if kind.replace(chosen).is_some_and(|earlier| earlier != chosen) {
            return Err("choose one of --site, --minimal and --api".to_owned());
        }
    }
    let path = path.ok_or("where? Name a folder, as in `kirsch new photos`")?;
    Ok(CommandLine::New(NewProgram { path, kind: kind.unwrap_or(Kind::Site) }))
}

fn dev(parser: &mut Parser) -> Result<CommandLine, String> {
    let mut development = Development {
        listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
        watch: Vec::new(),
        polls: false,
        package: PackageChoice::default(),
        arguments: Vec::new(),
    };
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(CommandLine::Show(DEV.to_owned())),
            Arg::Long("listen") => {
                let text = value(parser)?;
                let text = text.to_string_lossy();
                let address = text.parse().map_err(|_| {
                    format!("--listen needs an IP address and a port, as 127.0.0.1:8080, and not {text:?}")
                });
                development.listen = address?;
            }
            Arg::Long("watch") => development.watch.push(value(parser)?.into()),
            Arg::Long("poll") => development.polls = true,
            Arg::Value(first) => {
                development.arguments.push(first);
                development.arguments.extend(parser.raw_args().map_err(|error| error.to_string())?);
            }
            other => {
                let other = Known::of(&other).ok_or_else(|| unknown(&other, "kirsch dev --help"))?;
                development.package.take(other, parser)?;
            }
        }
    }
    Ok(CommandLine::Dev(development))
}

fn value(parser: &mut Parser) -> Result<OsString, String> {
    parser.value().map_err(|error| error.to_string())
}

fn ask(name: &'static str, help: &'static str, parser: &mut Parser) -> Result<CommandLine, String> {
    let mut package = PackageChoice::default();
    let mut arguments = Vec::new();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(CommandLine::Show(help.to_owned())),
            // What stands behind `--`.
            Arg::Value(value) => {
                arguments.push(value);
                arguments.extend(parser.raw_args().map_err(|error| error.to_string())?);
            }
            other => {
                let other = Known::of(&other).ok_or_else(|| unknown(&other, &format!("kirsch {name} --help")))?;
                package.take(other, parser)?;
            }
        }
    }
    Ok(CommandLine::Ask(Question { name, package, arguments }))
}

/// An option that cargo knows, too.
#[derive(Clone, Copy)]
struct Known {
    name: &'static str,
    has_value: bool,
}

impl Known {
    fn of(argument: &Arg<'_>) -> Option<Self> {
        let (name, has_value) = match argument {
            Arg::Short('p') | Arg::Long("package") => ("--package", true),
            Arg::Long("bin") => ("--bin", true),
            Arg::Long("features") => ("--features", true),
            Arg::Long("release") => ("--release", false),
            _ => return None,
        };
        Some(Self { name, has_value })
    }
}

impl PackageChoice {
    /// The package, if it is named.
    pub(crate) fn package(&self) -> Option<&str> {
        let option = self.0.iter().position(|word| word == "--package")?;
        self.0.get(option + 1)?.to_str()
    }

    fn take(&mut self, option: Known, parser: &mut Parser) -> Result<(), String> {
        self.0.push(option.name.into());
        if option.has_value {
            self.0.push(value(parser)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<CommandLine, String> {
        CommandLine::read(["kirsch"].into_iter().chain(line.split_ascii_whitespace()).map(Into::into))
    }

    #[test]
    fn a_site_is_made_unless_another_kind_is_named() {
        for (line, kind) in
            [("new photos", Kind::Site), ("new --api photos", Kind::Api), ("new photos --minimal", Kind::Minimal)]
        {
            assert_eq!(read(line), Ok(CommandLine::New(NewProgram { path: "photos".into(), kind })), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("new", "where?"),
            ("new a b", "`b` has no meaning here; see kirsch new --help"),
            ("new a --api --site", "choose one of"),
            ("nwe", "there is no command `nwe`"),
            ("--verbose", "`--verbose` has no meaning here"),
            ("check --fast", "`--fast` has no meaning here; see kirsch check --help"),
            ("check --bin", "missing argument"),
            ("dev --listen 8080", "needs an IP address and a port"),
        ];
        for (line, problem) in table {
            let refused = read(line).expect_err(line);
            assert!(refused.contains(problem), "{line}: {refused}");
        }
    }

    #[test]
    fn each_command_has_help() {
        for line in ["", "--help", "-h", "help", "--version", "new --help", "dev --help", "routes -h", "check --help"] {
            assert!(matches!(read(line), Ok(CommandLine::Show(_))), "{line}");
        }
        for (command, _) in COMMANDS {
            assert_eq!(read(&format!("help {command}")), read(&format!("{command} --help")));
        }
        assert!(read("help nwe").expect_err("no command").contains("`nwe` has no meaning here"));
    }

    #[test]
    fn the_help_fits_into_a_terminal() {
        for text in [HELP, NEW, DEV, ROUTES, CHECK] {
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        }
    }

    #[test]
    fn development_has_its_address_and_its_files() {
        let line = "dev --listen 127.0.0.1:0 --watch ../shared -p shop --poll -- --data x";
        let CommandLine::Dev(development) = read(line).expect("it can be read") else { panic!("another command") };
        assert_eq!((development.listen.port(), development.polls), (0, true));
        assert_eq!(development.watch, [PathBuf::from("../shared")]);
        assert_eq!((development.package.package(), development.arguments.len()), (Some("shop"), 2));
    }

    #[test]
    fn arguments_behind_the_dashes_are_the_programs() {
        let CommandLine::Ask(question) = read("check -p shop --release -- --data /tmp --help").expect("a question")
        else {
            panic!("not a question")
        };
        assert_eq!(question.package.0, ["--package", "shop", "--release"]);
        assert_eq!(question.arguments, ["--data", "/tmp", "--help"]);
    }
}
