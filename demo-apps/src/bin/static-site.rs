//! Run with `cargo run --release --bin static-site`, then open <http://127.0.0.1:8080/> in a browser.

use demo_apps::{command_line::CommandLine, static_site};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "static-site",
        about: "A small site out of files, with a recording to seek in.",
        numbers: &[],
        texts: &[],
        listens: demo_apps::command_line::Listens::Port,
    };
    match static_site::app() {
        Ok(app) => demo_apps::run(&command_line, |_| app),
        Err(error) => {
            eprintln!("static-site: the recording cannot be made: {error}");
            ExitCode::FAILURE
        }
    }
}
