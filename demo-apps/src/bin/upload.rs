//! Run with `cargo run --release --bin upload`, then open <http://127.0.0.1:8080/> in a browser, or send a file with
//! `curl -T FILE http://127.0.0.1:8080/receive/` or `curl -F file=@FILE http://127.0.0.1:8080/receive`.

use demo_apps::{
    command_line::{CommandLine, TextOption},
    upload,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "upload",
        about: "Receives files of any size and shows how far they have come.",
        numbers: &[],
        texts: &[TextOption {
            name: "--directory",
            value: "DIR",
            meaning: "keep the files there; without it they are only counted",
        }],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::run(&command_line, |options| upload::app(options.texts[0].clone().map(Into::into)))
}
