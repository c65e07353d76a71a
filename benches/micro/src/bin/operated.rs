//! Hello world as it runs in earnest, for `benches/compare`: with status and metrics, and as its arguments say with a
//! log of each request, by TLS, by HTTP/2 without encryption, with files.

use kirsch::prelude::*;
use kirsch::{logs::Logs, status};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

struct Site;

#[handlers]
impl Site {
    #[expose]
    fn index(&self) -> Text<&'static str> {
        Text("Hello, World!")
    }

    /// Counts the visits of a session, and keeps its lock for so long.
    #[expose]
    fn count_slow(&self, session: &Session, ms: u64) -> Text<String> {
        let count = session.get::<u64>("count").unwrap_or(0) + 1;
        thread::sleep(Duration::from_millis(ms));
        session.set("count", count);
        Text(count.to_string())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words = arguments.iter();
    let Some(port) = words.next() else { return usage() };
    let mut address = format!("127.0.0.1:{port}");
    let mut app = App::new(Site)
        .tool("/count_slow", Sessions::in_memory())
        .mount("/status", status::app().open())
        .mount("/metrics", status::metrics().open());
    while let Some(option) = words.next() {
        if option == "--h2c" {
            address += " h2c";
            continue;
        }
        app = match (option.as_str(), words.next()) {
            ("--log", Some(file)) => app.logs(Logs::json(file)),
            ("--static", Some(folder)) => app.tool("/static", StaticDir::new(folder)),
            ("--tls", Some(certificate)) => {
                let Some(key) = words.next() else { return usage() };
                address += " tls";
                app.tls(Tls::new().certificate(certificate, key))
            }
            _ => return usage(),
        };
    }
    match app.serve(&*address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("operated: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: operated PORT [--log FILE] [--tls CERTIFICATE KEY] [--h2c] [--static FOLDER]");
    ExitCode::from(2)
}
