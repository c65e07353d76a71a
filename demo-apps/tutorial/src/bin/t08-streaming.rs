//! Lesson 8: streaming. A page may be made while it is sent.
//!
//! `Stream` takes an iterator and sends each item as a chunk of its own, at once. The worker makes the next one when
//! the client has room for it, and none at all when the client has gone.
//!
//! Try `/count?to=10&pause=500`, and watch it come: `curl -N "http://127.0.0.1:8080/count?to=10&pause=500"`.

use kirsch::prelude::*;
use std::{process::ExitCode, thread, time::Duration};

struct Counter;

#[handlers]
impl Counter {
    #[expose]
    fn index(&self) -> Html<Stream> {
        let users = ["Remi", "Carlos", "Hendrik", "Lorenzo"];
        let header = std::iter::once("<html><body><h2>Users</h2>".to_owned());
        let lines = users.into_iter().map(|user| format!("{user}<br>"));
        let footer = std::iter::once("</body></html>".to_owned());
        Html(Stream::new(header.chain(lines).chain(footer)))
    }

    /// Counts, with a pause in milliseconds between two lines, one second at most.
    #[expose]
    fn count(&self, to: u32, pause: Option<u64>) -> Text<Stream> {
        let pause = Duration::from_millis(pause.unwrap_or(0).min(1000));
        Text(Stream::new((1..=to).map(move |number| {
            thread::sleep(pause);
            format!("{number}\n")
        })))
    }
}

fn main() -> ExitCode {
    demo_apps::lesson(include_str!("t08-streaming.rs"), App::new(Counter))
}
