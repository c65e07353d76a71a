//! Run with `cargo run --release --bin testbed`: a program for probing the server from outside.

use demo_apps::{
    command_line::{CommandLine, FolderOption},
    testbed,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "testbed",
        about: "One page for each thing that a prober of the server may want.",
        numbers: &[],
        folder: Some(FolderOption { name: "--static", meaning: "serve this folder at /static" }),
    };
    demo_apps::run(&command_line, |options| testbed::app_with(options.folder.as_deref()))
}
