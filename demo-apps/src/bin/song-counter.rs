//! Run with `cargo run --release --bin song-counter`, then `curl -X POST -H 'Content-Length: 0'
//! localhost:8080/song/42`.

use demo_apps::{command_line::CommandLine, song_counter};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "song-counter",
        about: "Counts how often each song was played.",
        numbers: &[],
        texts: &[],
        listens: demo_apps::command_line::Listens::Port,
    };
    demo_apps::run(&command_line, |_| song_counter::app())
}
