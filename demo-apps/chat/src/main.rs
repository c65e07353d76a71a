//! Run with `cargo run --release -p chat`, then open <http://127.0.0.1:8080/> in two browsers.

use demo_apps::command_line::CommandLine;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "chat",
        about: "Rooms to talk in, by WebSocket: who is here, what was said, with a login.",
        numbers: &[],
        texts: &[],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::run(&command_line, |_| chat::app())
}
