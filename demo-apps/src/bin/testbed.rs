//! Run with `cargo run --release --bin testbed`: a program for probing the server from outside.

use demo_apps::{command_line::CommandLine, testbed};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "testbed",
        about: "One page for each thing that a prober of the server may want.",
        seconds: None,
        directory: None,
    };
    demo_apps::run(&command_line, |_| testbed::app())
}
