//! Run with `cargo run --release --bin quadruple`, then `curl 'localhost:8080/quadruple?number=4'`, twice.

use demo_apps::{
    command_line::{CommandLine, Seconds},
    quadruple,
};
use std::{process::ExitCode, time::Duration};

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "quadruple",
        about: "Asks a slow service once, however many want the answer, and keeps it.",
        seconds: Some(Seconds { meaning: "how long the service takes", default: 1 }),
    };
    demo_apps::run(&command_line, |options| quadruple::app(Duration::from_secs(options.seconds)))
}
