//! Run with `cargo run --release --bin testbed`: a program for probing the server from outside.

use demo_apps::{
    command_line::{CommandLine, TextOption},
    testbed,
};
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "testbed",
        about: "One page for each thing that a prober of the server may want.",
        numbers: &[],
        text: Some(TextOption { name: "--static", value: "DIR", meaning: "serve this folder at /static" }),
    };
    demo_apps::run(&command_line, |options| testbed::app_with(options.text.as_deref().map(Path::new)))
}
