//! Run with `cargo run --release -p components`, then open <http://127.0.0.1:8080/> in a browser.

use demo_apps::command_line::{CommandLine, NumberOption};
use kirsch::sessions::SqliteStore;
use std::{process::ExitCode, time::Duration};

const MILLISECONDS: NumberOption =
    NumberOption { name: "--milliseconds", meaning: "how long a part takes", default: 3000, most: 86_400_000 };

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "components",
        about: "A page of eight parts that a browser loads at once, in five variants of using the session.",
        numbers: &[MILLISECONDS],
        texts: &[],
        listens: demo_apps::command_line::Listens::Port,
    };
    // The database goes with the program.
    let room = match tempfile::tempdir() {
        Ok(room) => room,
        Err(error) => {
            eprintln!("components: there is no room for its database: {error}");
            return ExitCode::FAILURE;
        }
    };
    demo_apps::run(&command_line, |options| {
        let database = SqliteStore::new(room.path().join("sessions.sqlite"));
        components::app(Duration::from_millis(options.numbers[0]), database)
    })
}
