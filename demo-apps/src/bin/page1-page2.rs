//! Run with `cargo run --release --bin page1-page2`, then open <http://127.0.0.1:8080/> in a browser.

use demo_apps::{
    command_line::{CommandLine, NumberOption},
    page1_page2,
};
use std::{process::ExitCode, time::Duration};

const SECONDS: NumberOption = NumberOption::seconds("how long page1 sleeps", 20);

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "page1-page2",
        about: "Shows how one page of a session waits for another: page2 for the sleeping page1.",
        numbers: &[SECONDS],
        texts: &[],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::run(&command_line, |options| page1_page2::app(Duration::from_secs(options.numbers[0])))
}
