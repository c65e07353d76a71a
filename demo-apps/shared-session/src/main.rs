//! Run with `cargo run --release -p shared-session`, then open <http://127.0.0.1:8080/> in a browser.

use demo_apps::command_line::CommandLine;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "shared-session",
        about: "Shows that a handler and its template may both open the session, in any order.",
        numbers: &[],
        texts: &[],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::run(&command_line, |_| shared_session::app())
}
