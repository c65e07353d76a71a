//! Run with `cargo run -p booking`, then open <http://127.0.0.1:8080/> in a browser and log in as `anna`, with the
//! password `correct horse`.

use demo_apps::command_line::{CommandLine, TextOption};
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "booking",
        about: "A small team books its rooms. Log in as anna or as ben, with the password \"correct horse\".",
        numbers: &[],
        texts: &[TextOption {
            name: "--data",
            value: "DIR",
            meaning: "keep bookings, attachments and sessions here (default: in a folder that goes with the program)",
        }],
        listens: demo_apps::command_line::Listens::Port,
    };
    let passing = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("booking: there is no place for a temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    demo_apps::try_run(&command_line, |options| {
        let folder = options.texts[0].as_deref().map_or_else(|| passing.path(), Path::new);
        booking::app(folder).map_err(|error| error.to_string())
    })
}
