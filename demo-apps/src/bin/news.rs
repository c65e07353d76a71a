//! Run with `cargo run --release --bin news`, then open <http://127.0.0.1:8080/> in several tabs, or follow the news
//! with `curl -N http://127.0.0.1:8080/events` and publish with `curl -d TEXT http://127.0.0.1:8080/publish`.

use demo_apps::{
    command_line::{CommandLine, TextOption},
    news,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "news",
        about: "Tells what is published to every open tab, by event streams and long polls.",
        numbers: &[],
        texts: &[TextOption {
            name: "--file",
            value: "FILE",
            meaning: "keep the news there, so that it outlives the program",
        }],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::try_run(&command_line, |options| news::app(options.texts[0].clone().map(Into::into)))
}
