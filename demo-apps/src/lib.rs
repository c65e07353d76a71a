//! The demo programs: each story that started the project, as a program of its own.
//!
//! There is one module for each application and one file in `bin/` for each program. A program that needs a feature of
//! `kirsch` is a package in a folder beside `src/`, so that a page without databases is built without them. All
//! programs share their command line, how they serve, and how their pages look: that is here too. The applications are
//! in libraries so that tests can run them without a process.

#[cfg(feature = "tls")]
pub mod certificate;
pub mod chunks;
pub mod command_line;
mod lesson;
pub mod news;
pub mod page1_page2;
pub mod process;
pub mod quadruple;
#[cfg(feature = "stores")]
pub mod session_store;
pub mod song_counter;
pub mod static_site;
pub mod thumbnails;
pub mod upload;

pub use lesson::lesson;

use command_line::{CommandLine, Options, Parsed};
use kirsch::{
    App, IntoResponse, Request, Response,
    engine::{Engine, ListeningAt, Step},
    exchange::ListenerRole,
    header,
};
use std::{io::Write, process::ExitCode, time::SystemTime};

/// Runs a demo program: reads the command line, serves the application until a signal comes, and reports a failure.
///
/// The exit code is 0 after a graceful stop, 1 when the application cannot start, 2 for a wrong command line.
#[must_use]
pub fn run(command_line: &CommandLine<'_>, app: impl FnOnce(&Options) -> App) -> ExitCode {
    try_run(command_line, |options| Ok(app(options)))
}

/// Sends the log to standard error. Without the variable `RUST_LOG` it begins at `warn`: the access log is at `info`,
/// and a benchmark measures the server, not the terminal.
pub fn log_to_standard_error() {
    let mut logger = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"));
    logger.format(|out, record| {
        let now = httpdate::HttpDate::from(SystemTime::now());
        writeln!(out, "[{now} {:<5} {}] {}", record.level(), record.target(), record.args())
    });
    logger.init();
}

/// Like [`run`], for an application that refuses some values of the options; the message looks like that for a wrong
/// command line.
#[must_use]
pub fn try_run(command_line: &CommandLine<'_>, app: impl FnOnce(&Options) -> Result<App, String>) -> ExitCode {
    log_to_standard_error();
    let refuse = |problem: &str| {
        eprintln!("{}: {problem}\n\n{}", command_line.program, command_line.help());
        ExitCode::from(2)
    };
    let options = match command_line.parse(std::env::args().skip(1)) {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Help) => {
            say(&command_line.help());
            return ExitCode::SUCCESS;
        }
        Err(problem) => return refuse(&problem),
    };
    let app = match app(&options) {
        Ok(app) => app,
        Err(problem) => return refuse(&problem),
    };
    match serve(app, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", command_line.program);
            ExitCode::FAILURE
        }
    }
}

/// One of the pages of the demos, with the style that all of them have, and with the script that puts the address of
/// the server into lines for a shell.
#[must_use]
pub fn page(html: &str) -> String {
    html.replace("{style}", include_str!("page.css")).replace("{shell}", include_str!("shell.js"))
}

/// A page of the demos for browsers, and `content` for programs.
#[must_use]
pub fn page_or(request: &Request, html: &str, content: impl IntoResponse) -> Response {
    let mut response = if request.prefers_html() { Response::of(page(html)) } else { Response::of(content) };
    response.add_vary(&header::ACCEPT);
    response
}

fn serve(app: App, options: &Options) -> kirsch::Result {
    /// When requests are answered.
    const SERVING: u8 = 80;
    let announce = |engine: &Engine| {
        for ListeningAt { address, role, .. } in engine.listening_at() {
            say(&format!(
                "{} {address}",
                if *role == ListenerRole::Redirect { "Redirecting from" } else { "Serving on" }
            ));
        }
    };
    app.threads(options.threads).on(Step::Start, SERVING, announce).serve(&*options.listen)
}

/// Prints a line at once. If the reader has closed our standard output, the program goes on.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
