//! The event stream that a handler returns, and how it is told.

use super::event::EventId;
use super::feed::FeedEnd;
use super::ring::Wanted;
use crate::exchange::{Error, HttpError, IntoResponse, Pulled, Push, PushTurn, Response, ResponseBody};
use ::http::{HeaderName, HeaderValue, header};
use std::borrow::Cow;
use std::io::Write;
use std::task::Waker;
use std::time::{Duration, Instant};

/// A stream of events, as a handler returns it: [`Topic::events`](super::Topic::events), or
/// [`Events::channel`](super::Events::channel).
///
/// The head is sent at once, as `text/event-stream`, with `Cache-Control: no-store` and, for proxies that collect,
/// `X-Accel-Buffering: no`. Until there is news, the connection holds no worker and hardly any memory. A heartbeat, a
/// comment that browsers do not show, keeps it open and finds out that its client has gone. When the server stops, the
/// stream ends as it should, and the browser comes back after a time of 1 to 10 seconds that was drawn for each
/// stream. It also ends with the session of its visitor, if its handler has used that: at a logout.
#[must_use = "an event stream does nothing until a handler returns it"]
pub struct Events {
    news: Result<Box<dyn News>, HttpError>,
    lag: Lag,
    heartbeat: Duration,
    retry: Duration,
}

/// What happens to a client that reads so slowly that events have gone which it has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lag {
    /// It gets an event of the kind `resync`, whose data is `{"missed":12}`, and goes on with what comes. The page
    /// should ask for its state.
    #[default]
    Resync,
    /// Its stream ends. A browser comes back with its last event, and is told of a gap if that is gone.
    Close,
    /// Only the latest event counts, as for prices and positions: others are left out without a word, also while the
    /// topic has them.
    Newest,
}

/// Where the events of a stream come from.
pub(super) trait News: Send {
    /// The position to tell the client before the first event.
    fn position(&self) -> Option<EventId>;

    /// Whether the client has missed events before the first, and nobody knows how many.
    fn begins_with_gap(&mut self) -> bool;

    /// Appends what there is.
    fn read(&mut self, out: &mut Vec<u8>, wanted: Wanted, waker: &dyn Fn() -> Waker) -> Reading;

    fn waits_for(&self) -> Cow<'static, str>;
}

/// What was found.
pub(super) enum Reading {
    More,
    All,
    Missed(u64),
    End,
}

impl Events {
    pub(super) fn of_news(news: impl News + 'static) -> Self {
        let [first, second] = crate::random::bytes();
        let retry = Duration::from_millis(1_000 + u64::from(u16::from_ne_bytes([first, second])) * 9_000 / 65_536);
        Self { news: Ok(Box::new(news)), lag: Lag::Resync, heartbeat: Duration::from_secs(15), retry }
    }

    /// A stream that is answered with an error.
    pub(super) fn refused(error: HttpError) -> Self {
        Self { news: Err(error), lag: Lag::Resync, heartbeat: Duration::ZERO, retry: Duration::ZERO }
    }

    /// What happens to a client that reads too slowly (default [`Lag::Resync`]).
    pub fn lag(self, lag: Lag) -> Self {
        Self { lag, ..self }
    }

    /// How long the stream is silent at most (default 15 s; a second at least). Proxies close a silent connection, many
    /// after a minute.
    pub fn heartbeat(self, every: Duration) -> Self {
        Self { heartbeat: every.max(Duration::from_secs(1)), ..self }
    }

    /// How long the client waits before it connects again. By default each stream draws a time from 1 to 10 s, so that
    /// not all come back at the same moment.
    pub fn retry(self, after: Duration) -> Self {
        Self { retry: after, ..self }
    }
}

impl IntoResponse for Events {
    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let Self { news, lag, heartbeat, retry } = self;
        let stream = EventStream { news: news?, lag, heartbeat, retry, next_beat: None };
        response.default_content_type("text/event-stream");
        response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.set_header(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response.set_body(ResponseBody::Push(Box::new(stream)));
        Ok(())
    }
}

/// An event stream on its way.
struct EventStream {
    news: Box<dyn News>,
    lag: Lag,
    heartbeat: Duration,
    retry: Duration,
    /// When it has been silent for long enough; `None` before the first pull.
    next_beat: Option<Instant>,
}

/// How much is pulled at once, about.
pub(super) const PIECE: usize = 64 * 1024;
/// A comment: browsers pass over it.
const BEAT: &[u8] = b":\n\n";

impl Push for EventStream {
    fn pull(&mut self, out: &mut Vec<u8>, turn: &PushTurn<'_>) -> Pulled {
        let now = turn.now();
        let is_first = self.next_beat.is_none();
        if is_first {
            self.greet(out);
        } else if turn.is_in_doubt() || self.next_beat.is_some_and(|beat| now >= beat) {
            out.extend_from_slice(BEAT);
        }
        let wanted = if self.lag == Lag::Newest { Wanted::Latest } else { Wanted::All };
        let pulled = match self.news.read(out, wanted, &|| turn.waker()) {
            Reading::All if turn.is_closing() => Pulled::End,
            Reading::All => Pulled::Wait(None),
            Reading::More => Pulled::More,
            Reading::End => Pulled::End,
            // At the beginning it would end again each time that the client comes back.
            Reading::Missed(_) if self.lag == Lag::Close && !is_first => Pulled::End,
            Reading::Missed(count) => {
                self.tell_gap(out, Some(count));
                Pulled::More
            }
        };
        if !out.is_empty() || is_first {
            self.next_beat = Some(now + self.heartbeat);
        }
        match pulled {
            Pulled::Wait(_) => Pulled::Wait(self.next_beat),
            pulled => pulled,
        }
    }

    fn waits_for(&self) -> Cow<'static, str> {
        self.news.waits_for()
    }
}

impl EventStream {
    /// Something is sent at once, so that the client knows that it is connected, and its position: it may be cut off
    /// before the first event.
    fn greet(&mut self, out: &mut Vec<u8>) {
        // Writing into memory cannot fail.
        let _ = writeln!(out, "retry: {}", self.retry.as_millis());
        match self.news.begins_with_gap() {
            true => {
                out.push(b'\n');
                self.tell_gap(out, None);
            }
            false => match self.news.position() {
                Some(id) => id.write_last_field(out),
                None => out.extend_from_slice(BEAT),
            },
        }
    }

    fn tell_gap(&self, out: &mut Vec<u8>, missed: Option<u64>) {
        let count = missed.map_or_else(|| "null".to_owned(), |count| count.to_string());
        let _ = write!(out, "event: resync\ndata: {{\"missed\":{count}}}\n");
        match self.news.position() {
            Some(id) => id.write_last_field(out),
            None => out.push(b'\n'),
        }
    }
}

impl News for FeedEnd {
    fn position(&self) -> Option<EventId> {
        None
    }

    fn begins_with_gap(&mut self) -> bool {
        false
    }

    fn read(&mut self, out: &mut Vec<u8>, _: Wanted, waker: &dyn Fn() -> Waker) -> Reading {
        self.take(out, PIECE, waker)
    }

    fn waits_for(&self) -> Cow<'static, str> {
        "its own feed".into()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("lag", &self.lag).finish_non_exhaustive()
    }
}
