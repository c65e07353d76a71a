//! Run with `cargo run --release -p photoblog`, then open <http://127.0.0.1:8080/> in a browser. The desk is for
//! `anna`, with the password `correct horse`.

use demo_apps::command_line::{CommandLine, Listens, TextOption};
use photoblog::Samples;
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "photoblog",
        about: "A photo blog. Log in at /desk/ as anna or as ben, with the passwords \"correct horse\" and \
                \"battery staple\".",
        numbers: &[],
        texts: &[
            TextOption {
                name: "--data",
                value: "DIR",
                meaning: "keep photos, texts and sessions here (default: in a folder that goes with the program)",
            },
            TextOption {
                name: "--sample",
                value: "yes|no",
                meaning: "whether a blog without albums begins with some painted photos (default: yes)",
            },
        ],
        listens: Listens::Port,
    };
    let passing = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("photoblog: there is no place for a temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    demo_apps::try_run(&command_line, |options| {
        let folder = options.texts[0].as_deref().map_or_else(|| passing.path(), Path::new);
        let samples = match options.texts[1].as_deref() {
            None | Some("yes") => Samples::WhereEmpty,
            Some("no") => Samples::Never,
            Some(other) => return Err(format!("--sample is yes or no, and not {other:?}")),
        };
        photoblog::app(folder, samples).map_err(|error| error.to_string())
    })
}
