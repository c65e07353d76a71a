//! Run with `cargo run --release -p testbed`: a program for probing the server from outside.

use demo_apps::{
    command_line::{CommandLine, Listens, TextOption},
    session_store,
};
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "testbed",
        about: "One page for each thing that a prober of the server may want.",
        numbers: &[],
        texts: &[
            TextOption { name: "--static", value: "DIR", meaning: "serve this folder at /static" },
            TextOption { name: "--sessions", value: "PLACE", meaning: session_store::MEANING },
        ],
        listens: Listens::Addresses,
    };
    demo_apps::try_run(&command_line, |options| {
        let sessions = session_store::sessions(options.texts[1].as_deref().unwrap_or("memory"))?;
        Ok(testbed::app_with(options.texts[0].as_deref().map(Path::new), sessions))
    })
}
