//! Run with `cargo run --release --bin quadruple`, then `curl 'localhost:8080/quadruple?number=4'`, twice.

use demo_apps::{
    command_line::{CommandLine, NumberOption},
    quadruple,
};
use std::{process::ExitCode, time::Duration};

const SECONDS: NumberOption = NumberOption::seconds("how long the service takes", 1);

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "quadruple",
        about: "Asks a slow service once, however many want the answer, and keeps it.",
        numbers: &[SECONDS],
        texts: &[],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::run(&command_line, |options| quadruple::app(Duration::from_secs(options.numbers[0])))
}
