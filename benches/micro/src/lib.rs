//! The request path without sockets, and the pages that are measured on it.
//!
//! A [`Line`] does for one keep-alive connection the work of a worker between `read` and `write`: it reads the head,
//! lets the application start and run the request, writes the response behind those before, ends the exchange and
//! clears it for the next one. It calls the same code as the server; only sockets, slots and threads are missing.

use kirsch::exchange::Connection;
use kirsch::http::{DateCache, HeadLimits, Persistence, ResponseFraming, write_response_head};
use kirsch::lifecycle::Application;
use kirsch::prelude::*;
use kirsch::server::{Delivery, Progress, Service, Wakers};
use std::task::Waker;

/// As `wrk` asks.
pub const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// As a browser asks.
pub const BROWSER: &[u8] = b"GET /song/42?format=html HTTP/1.1\r\n\
    Host: music.example:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: http://music.example:8080/songs\r\n\
    Connection: keep-alive\r\n\
    Cookie: theme=dark; last_seen=1721900000\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\r\n";

/// A request for `path` with the fields of `fields`, each with its CRLF.
#[must_use]
pub fn get(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n{fields}\r\n").into_bytes()
}

/// One keep-alive connection without a socket.
#[derive(Debug)]
pub struct Line {
    application: Application,
    exchange: Exchange,
    output: Vec<u8>,
    dates: DateCache,
    limits: HeadLimits,
}

impl Line {
    /// A connection to an application.
    ///
    /// # Panics
    /// When the application has a mistake.
    #[must_use]
    pub fn to(app: App) -> Self {
        Self {
            application: app.build().expect("the application is right"),
            exchange: Exchange::new(),
            output: Vec::new(),
            dates: DateCache::new(),
            limits: HeadLimits::default(),
        }
    }

    /// The response to one request without a body.
    ///
    /// # Panics
    /// When the request breaks a rule, must wait, or is answered by a stream.
    pub fn answer(&mut self, request: &[u8]) -> &[u8] {
        let Self { application, exchange, output, dates, limits } = self;
        let used = exchange.request.read_head(request, &mut 0, limits, Connection::default()).expect("a correct head");
        assert_eq!(used, Some(request.len()), "one whole request");
        application.start(exchange, &NoWakers);
        assert_eq!(application.run(exchange, &NoWakers), Progress::Done, "nothing to wait for");
        let response = &exchange.response;
        let content = response.body().as_bytes().expect("no stream");
        let framing = ResponseFraming::choose(
            exchange.request.method(),
            exchange.request.version(),
            response.status(),
            Some(content.len() as u64),
        );
        output.clear();
        // The time of day stands still: its cost is the system's, not the framework's.
        let date = dates.render(784_111_777);
        let (headers, ready) = response.fields_to_send();
        write_response_head(output, response.status(), date, headers, ready, framing, Persistence::Implied);
        output.extend_from_slice(content);
        let delivery =
            Delivery { body_bytes: content.len() as u64, complete: true, received: exchange.request.received() };
        application.end(exchange, &delivery);
        exchange.clear();
        output
    }
}

/// On a line there is only one request at a time, so nothing has to wait for another.
struct NoWakers;

impl Wakers for NoWakers {
    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

/// One page that is a constant, with default settings.
pub fn plain_app() -> App {
    App::new(Plain)
}

struct Plain;

#[handlers]
impl Plain {
    #[expose]
    fn index(&self) -> &'static str {
        "Hello, World!"
    }
}

/// The same page from the cache.
pub fn cached_app() -> App {
    App::new(Plain).tool("/", Caching::new())
}

/// Pages at several depths, with several numbers of arguments, in a tree of several pages at each place.
pub fn site() -> App {
    App::new(Site { below: Below })
}

struct Site {
    below: Below,
}

#[handlers]
impl Site {
    #[expose]
    fn index(&self) -> &'static str {
        "the first page"
    }

    #[expose]
    fn about(&self) -> &'static str {
        "about"
    }

    #[expose]
    fn song(&self, id: i64, format: Option<&str>) -> &'static str {
        if id == 42 && format.is_some() { "a song" } else { "no song" }
    }

    #[expose]
    fn none(&self) -> &'static str {
        "none"
    }

    #[expose]
    fn two(&self, a: i64, b: u32) -> &'static str {
        if a > i64::from(b) { "more" } else { "less" }
    }

    #[expose]
    fn five(&self, a: i64, b: u32, c: &str, d: Option<bool>, e: f64) -> &'static str {
        if a > i64::from(b) && c.is_empty() && d.is_none() && e > 0.0 { "more" } else { "less" }
    }

    #[child]
    fn below(&self) -> &Below {
        &self.below
    }
}

struct Below;

#[handlers]
impl Below {
    #[expose]
    fn page(&self) -> &'static str {
        "a page"
    }

    #[expose]
    fn other(&self) -> &'static str {
        "another page"
    }

    #[child]
    fn below(&self) -> &Self {
        self
    }
}

/// A counter in the session, and a page that takes and gives back the session's lock many times.
pub fn counter() -> App {
    App::new(Counter).tool("/", Sessions::in_memory())
}

struct Counter;

#[handlers]
impl Counter {
    #[expose]
    fn index(&self, session: &Session) -> String {
        session.update("visits", |visits: &mut u64| {
            *visits += 1;
            visits.to_string()
        })
    }

    #[expose]
    fn view(&self, session: SessionView) -> String {
        session.get::<u64>("visits").unwrap_or_default().to_string()
    }

    #[expose]
    fn locks(&self, session: &Session, count: u32) -> kirsch::Result<&'static str> {
        for _ in 0..count {
            session.release_lock();
            session.acquire_lock()?;
        }
        Ok("locked")
    }
}

/// The fields that send the cookies of a response back.
///
/// # Panics
/// When the response sets no cookie.
#[must_use]
pub fn cookie_of(response: &[u8]) -> String {
    let response = String::from_utf8_lossy(response);
    let lines = response.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("set-cookie").then(|| value.split(';').next().unwrap_or_default())
    });
    let cookies: Vec<&str> = lines.collect();
    assert!(!cookies.is_empty(), "no cookie in {response}");
    format!("Cookie: {}\r\n", cookies.join("; "))
}
