//! Run with `cargo run --release --bin chunks`, then `curl -N localhost:8080`, or open <http://127.0.0.1:8080/> in a
//! browser.

use demo_apps::{
    chunks,
    command_line::{CommandLine, NumberOption},
};
use std::{process::ExitCode, time::Duration};

const CHUNKS: NumberOption =
    NumberOption { name: "--chunks", meaning: "how many chunks a response has", default: 10, most: u64::MAX };
const PAUSE: NumberOption =
    NumberOption { name: "--pause", meaning: "milliseconds between two chunks", default: 1000, most: 3_600_000 };

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "chunks",
        about: "Serves a response that is made while it is sent, chunk by chunk.",
        numbers: &[CHUNKS, PAUSE],
        texts: &[],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::run(&command_line, |options| chunks::app(options.numbers[0], Duration::from_millis(options.numbers[1])))
}
