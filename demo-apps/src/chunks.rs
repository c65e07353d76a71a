//! A response that comes piece by piece: `Chunk 0`, `Chunk 1`, ..., one in each chunk, with a pause between two.
//!
//! `curl -N localhost:8080` shows each chunk as it comes; a browser gets a page that does.

use crate::page;
use kirsch::{header, http::best_media_type, prelude::*};
use std::{thread, time::Duration};

/// The application: so many chunks, with such a pause between two.
pub fn app(chunks: u64, pause: Duration) -> App {
    App::new(Chunks { chunks, pause })
}

struct Chunks {
    chunks: u64,
    pause: Duration,
}

/// The longest pause that a client may ask for.
const LONGEST: Duration = Duration::from_secs(3600);

#[handlers]
impl Chunks {
    /// A page for browsers, the chunks themselves for all other clients.
    #[expose]
    fn index(&self, request: &Request, response: &mut Response) -> kirsch::Result {
        response.add_vary(&header::ACCEPT);
        let accept = request.header("accept").unwrap_or_default();
        if best_media_type(accept, &["text/plain", "text/html"]) != Some("text/html") {
            return self.chunks(None, None, request).into_response(response);
        }
        let page = page(include_str!("chunks.html")).replace("{chunks}", &self.chunks.to_string());
        page.replace("{pause}", &self.pause.as_millis().to_string()).into_response(response)
    }

    /// The chunks; `?chunks=3&pause=100` asks for others than the command line, the pause in milliseconds.
    #[expose]
    fn chunks(&self, chunks: Option<u64>, pause: Option<u64>, request: &Request) -> Text<Stream> {
        let chunks = chunks.unwrap_or(self.chunks);
        let pause = pause.map_or(self.pause, Duration::from_millis).min(LONGEST);
        let client = request.client_watch();
        Text(Stream::new((0..chunks).map_while(move |number| {
            if number > 0 {
                thread::sleep(pause);
            }
            (!client.has_gone()).then(|| line(number))
        })))
    }

    /// Two chunks, then a failure: the client can tell that something is missing.
    #[expose]
    fn broken(&self) -> Text<Stream> {
        let pause = self.pause;
        let chunks = (0..3).map(move |number| {
            if number > 0 {
                thread::sleep(pause);
            }
            if number < 2 { Ok(line(number)) } else { Err(Error::unexpected("asked for at /broken")) }
        });
        Text(Stream::fallible(chunks))
    }
}

fn line(number: u64) -> String {
    format!("Chunk {number}\n")
}
