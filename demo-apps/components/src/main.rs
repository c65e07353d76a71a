//! Run with `cargo run --release -p components`, then open <http://127.0.0.1:8080/> in a browser. With `--https` behind
//! `--` it is <https://127.0.0.1:8080/>, and HTTP/2: compare the two.

use demo_apps::{
    certificate,
    command_line::{CommandLine, Listens, NumberOption},
};
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
        listens: Listens::EitherPort,
    };
    // The database goes with the program.
    let room = match tempfile::tempdir() {
        Ok(room) => room,
        Err(error) => {
            eprintln!("components: there is no room for its database: {error}");
            return ExitCode::FAILURE;
        }
    };
    demo_apps::try_run(&command_line, |options| {
        let database = SqliteStore::new(room.path().join("sessions.sqlite"));
        let app = components::app(Duration::from_millis(options.numbers[0]), database);
        Ok(if options.https { app.tls(certificate::of_this_machine()?) } else { app })
    })
}
