//! Run with `cargo run --release --bin thumbnails`, then open <http://127.0.0.1:8080/> in a browser.

use demo_apps::{
    command_line::{CommandLine, NumberOption},
    thumbnails,
};
use std::{process::ExitCode, time::Duration};

const SECONDS: NumberOption = NumberOption::seconds("how long each of the five sizes takes", 1);

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "thumbnails",
        about: "Makes small pictures of large ones, as jobs, while the page shows how far they are.",
        numbers: &[SECONDS],
        texts: &[],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::run(&command_line, |options| thumbnails::app(Duration::from_secs(options.numbers[0])))
}
