//! The song counter twice in one program: in Rust at `/`, and the same in raw WSGI at `/wsgi`. Run with `cargo run
//! --release -p raw-wsgi`, then `curl -X POST localhost:8080/song/42` and `curl -X POST localhost:8080/wsgi/song/42`.

use demo_apps::command_line::{CommandLine, Listens, NumberOption};
use demo_apps::song_counter;
use kirsch::App;
use kirsch_wsgi::Wsgi;
use std::process::ExitCode;

fn app(lane: usize) -> App {
    let counter = Wsgi::load("song_counter:application").path(env!("CARGO_MANIFEST_DIR")).lane(lane);
    song_counter::app().mount("/wsgi", counter)
}

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "raw-wsgi",
        about: "Counts how often each song was played: in Rust at /, and in Python at /wsgi.",
        numbers: &[NumberOption {
            name: "--lane",
            meaning: "how many requests are in Python at the same time",
            default: 2,
            most: 100,
        }],
        texts: &[],
        listens: Listens::Port,
    };
    demo_apps::run(&command_line, |options| app(usize::try_from(options.numbers[0]).unwrap_or(2)))
}

#[cfg(test)]
mod tests {
    use kirsch::Method;
    use kirsch::testing::Client;

    #[test]
    fn both_counters_answer_alike() {
        let client = Client::over_socket(super::app(2));
        for (method, path) in [
            (Method::GET, "/song/42"),
            (Method::POST, "/song/42"),
            (Method::POST, "/song/42"),
            (Method::POST, "/song/7%20up"),
            (Method::GET, "/song/42"),
            (Method::GET, "/"),
            (Method::DELETE, "/"),
            (Method::GET, "/"),
        ] {
            let native = client.request(method.clone(), path).send();
            let python = client.request(method, &format!("/wsgi{path}")).send();
            assert_eq!((native.status(), native.text()), (python.status(), python.text()), "{path}");
        }
    }
}
