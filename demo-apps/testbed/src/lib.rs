//! One page for each thing that a prober of the server may want: bodies in and out, headers, cookies, slow answers,
//! large answers, streams, sessions, parameters, failures, templates, redirects, links, a typed form, and files if
//! there is a folder for them.

use kirsch::{
    prelude::*,
    push::{Events, LastEventId, Room, Topic},
    status,
    tools::{Templates, View},
    websocket::{Conversation, Message, Peer, Upgrade, Upgraded},
};
use std::{fmt::Write, path::Path, thread, time::Duration};

/// Largest answer of `/large`, in bytes: enough for any test, too little to end the process.
const LARGEST: usize = 1 << 30;
/// Largest message of `/echo_socket`, in bytes.
const LARGEST_MESSAGE: usize = 16 << 20;

/// The application, with its sessions in memory.
pub fn app() -> App {
    app_with(None, Sessions::in_memory())
}

/// The application with the files of a folder at `/static`. The sessions are on for the pages that count; the two paths
/// share them. One page is cached.
pub fn app_with(folder: Option<&Path>, sessions: Sessions) -> App {
    let topic = Topic::new("testbed");
    let counting = App::new(Testbed { topic: topic.clone(), room: Room::new() })
        .tool("/count", sessions.clone())
        .tool("/count_slow", sessions);
    let app = counting.tool("/cached", Caching::new()).mount("/metrics", status::metrics().open());
    let app = app.tool("/template", Templates::embedded::<&str, &str>([]));
    let app = app.tool("/form", Templates::embedded([("form.html", include_str!("form.html"))]));
    let app = app.mount("/status", status::app().open().show(topic)).health("/health");
    match folder {
        Some(folder) => app.tool("/static", StaticDir::new(folder).listing(true)),
        None => app,
    }
}

struct Testbed {
    topic: Topic<String>,
    room: Room,
}

#[handlers]
impl Testbed {
    /// Plain text for programs; browsers get the list of pages.
    #[expose]
    fn index(&self, request: &Request) -> Response {
        demo_apps::page_or(request, include_str!("index.html"), Text("Hello, World!"))
    }

    /// `Hello, World!` from the cache.
    #[expose]
    fn cached(&self) -> Text<&'static str> {
        Text("Hello, World!")
    }

    /// The request body back, with its type.
    #[expose]
    fn echo(&self, body: Bytes, request: &Request, response: &mut Response) -> Vec<u8> {
        let media_type = request.header("content-type").and_then(|value| value.parse().ok());
        if let Some(media_type) = media_type {
            response.set_header(kirsch::header::CONTENT_TYPE, media_type);
        }
        body.0
    }

    /// `Hello, World!` once the whole body has come.
    #[expose]
    fn heard(&self, _body: Bytes) -> Text<&'static str> {
        Text("Hello, World!")
    }

    /// The received fields, in their order.
    #[expose]
    fn headers(&self, request: &Request) -> Text<String> {
        Text(lines(request.headers().map(|(name, value)| (name, ": ", String::from_utf8_lossy(value).into_owned()))))
    }

    /// The cookies of the request.
    #[expose]
    fn cookie(&self, cookies: Cookies) -> Text<String> {
        Text(lines(cookies.iter().map(|(name, value)| (name, "=", value.to_owned()))))
    }

    #[expose]
    fn sleep(&self, ms: Option<u64>) -> Text<String> {
        let pause = pause(ms);
        Text(format!("Slept {} ms", pause.as_millis()))
    }

    #[expose]
    fn large(&self, bytes: Option<usize>) -> kirsch::Result<Text<Vec<u8>>> {
        let bytes = bytes.unwrap_or(1 << 20);
        if bytes > LARGEST {
            return Err(Error::new(StatusCode::BAD_REQUEST, format!("at most {LARGEST} bytes")));
        }
        Ok(Text(vec![b'x'; bytes]))
    }

    /// Lines `Chunk 0`, `Chunk 1`, ..., one in each chunk.
    #[expose]
    fn stream(&self, chunks: Option<u64>, ms: Option<u64>) -> Text<Stream> {
        Text(Stream::new((0..chunks.unwrap_or(10)).map(move |number| {
            if number > 0 {
                pause(Some(ms.unwrap_or(0)));
            }
            format!("Chunk {number}\n")
        })))
    }

    /// An event stream: what `/publish` is sent.
    #[expose]
    fn events(&self, last: LastEventId) -> Events {
        self.topic.events(last)
    }

    /// The body as the text of an event; answers its id.
    #[expose(post)]
    fn publish(&self, body: Bytes) -> Text<String> {
        Text(self.topic.publish(String::from_utf8_lossy(&body.0).into_owned()).to_string())
    }

    /// Adds one to a number in the session.
    #[expose]
    fn count(&self, session: &Session) -> Text<String> {
        let count = session.get::<u64>("count").unwrap_or(0) + 1;
        session.set("count", count);
        Text(count.to_string())
    }

    /// A count that sleeps between reading and writing: only the session's lock keeps it right.
    #[expose]
    fn count_slow(&self, session: &Session, ms: Option<u64>) -> Text<String> {
        let count = session.get::<u64>("count").unwrap_or(0) + 1;
        pause(ms);
        session.set("count", count);
        Text(count.to_string())
    }

    /// The sum of two path segments.
    #[expose]
    fn add(&self, a: i64, b: i64) -> kirsch::Result<Text<String>> {
        let sum = a.checked_add(b).ok_or_else(|| Error::new(StatusCode::BAD_REQUEST, "the sum is too large"))?;
        Ok(Text(sum.to_string()))
    }

    /// A value in a template of one line that has this name: the name says what the page is, and how the value is
    /// escaped.
    #[expose]
    fn template(&self, name: String, value: &str) -> View {
        View::from_source(name, "{{ value }}", serde_json::json!({ "value": value }))
    }

    /// Elsewhere.
    #[expose]
    fn redirect(&self, to: String) -> Redirect {
        Redirect::to(to)
    }

    /// The address of a path of this application, as the client must ask for it.
    #[expose]
    fn link(&self, to: &str, request: &Request) -> Text<String> {
        Text(request.url(to).to_string())
    }

    /// A form to fill in.
    #[expose(get, name = "form")]
    fn blank_form(&self) -> View {
        show_form(&FormErrors::blank::<Booking>())
    }

    /// The form as a visitor has sent it: shown again with its errors, or accepted.
    #[expose(post)]
    fn form(&self, form: Result<Form<Booking>, FormErrors>) -> kirsch::Result<Redirect> {
        let Form(Booking { title, seats }) = form.map_err(|errors| errors.page(show_form))?;
        log::info!("{seats} seats for {title:?}");
        Ok(Redirect::to("/form"))
    }

    /// Sends each message back, by WebSocket.
    #[expose]
    fn echo_socket(&self, upgrade: Upgrade) -> Upgraded {
        upgrade.max_message(LARGEST_MESSAGE).compress().speak(Echo)
    }

    /// Says each message to everybody who is here, by WebSocket.
    #[expose]
    fn room_socket(&self, upgrade: Upgrade) -> Upgraded {
        upgrade.speak(Guest(self.room.clone()))
    }

    #[expose]
    fn panic(&self) -> &'static str {
        panic!("asked for at /panic")
    }

    /// An error page with this status.
    #[expose]
    fn fail(&self, status: Option<u16>) -> kirsch::Result {
        let wanted = StatusCode::from_u16(status.unwrap_or(500)).ok();
        match wanted.filter(|status| status.is_client_error() || status.is_server_error()) {
            Some(status) => Err(Error::new(status, "asked for at /fail")),
            None => Err(Error::new(StatusCode::BAD_REQUEST, "the status must be from 400 to 599")),
        }
    }
}

struct Echo;

impl Conversation for Echo {
    fn message(&mut self, message: Message<'_>, peer: &Peer) -> kirsch::Result<()> {
        Ok(peer.send(message)?)
    }
}

struct Guest(Room);

impl Conversation for Guest {
    fn opened(&mut self, peer: &Peer) -> kirsch::Result<()> {
        self.0.join(peer);
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, _: &Peer) -> kirsch::Result<()> {
        Ok(self.0.say(message)?)
    }
}

#[derive(Fields)]
struct Booking {
    #[field(length = 1..=20)]
    title: String,
    #[field(range = 1..=99)]
    seats: u32,
}

fn show_form(form: &FormErrors) -> View {
    View::new("form.html", serde_json::json!({ "form": form, "style": include_str!("../../src/page.css") }))
}

/// Sleeps for `ms` milliseconds, at most an hour; a second unless said otherwise.
fn pause(ms: Option<u64>) -> Duration {
    let pause = Duration::from_millis(ms.unwrap_or(1000).min(3_600_000));
    thread::sleep(pause);
    pause
}

fn lines<'a>(pairs: impl Iterator<Item = (&'a str, &'static str, String)>) -> String {
    let mut text = String::new();
    for (name, separator, value) in pairs {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}{separator}{value}");
    }
    text
}
