//! The answers of the server to raw bytes, and the state of the connection afterwards: tables written from RFC 9110 and
//! RFC 9112.
//!
//! Here is how a row is read and run; the rows are in `conformance/`, one table for each topic. A row names the section
//! it comes from. Where the RFC leaves a choice, the row has this server's choice: the strict side. The tables cover
//! the rules of the public suites h1spec and Http11Probe.
//!
//! All rows run against one server, on connections of their own. Nothing waits for time to pass: a closed connection
//! shows by its end, an open one by the answer to one more request.

use kirsch::{
    StatusCode,
    prelude::*,
    testing::{Client, RawConnection},
};
use std::{
    any::Any,
    borrow::Cow,
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

mod conformance {
    pub(crate) mod chunks;
    pub(crate) mod connection;
    pub(crate) mod fields;
    pub(crate) mod framing;
    pub(crate) mod limits;
    pub(crate) mod methods;
    pub(crate) mod request_line;
}
use conformance::{chunks, connection, fields, framing, limits, methods, request_line};

/// The state of the connection after the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It answers the next request.
    Open,
    /// It ends, and the last answer has said so.
    Closed,
    /// The bytes are not a whole request: the client ends its side, and the server ends the connection without another
    /// answer.
    Unfinished,
}
use Fate::{Closed, Open, Unfinished};

/// One rule of HTTP, as bytes.
#[derive(Clone, Debug)]
struct Row {
    name: &'static str,
    section: &'static str,
    sent: Cow<'static, [u8]>,
    /// Sent when 100 has come.
    continued: &'static [u8],
    statuses: &'static [u16],
    fate: Fate,
    /// The contents of the answers, where they matter.
    says: &'static [&'static str],
    /// Which answers are for HEAD.
    to_head: &'static [usize],
}

/// The rule `name` of `section`: `sent` is answered with `statuses`, in this order.
const fn row(
    name: &'static str,
    section: &'static str,
    sent: &'static [u8],
    statuses: &'static [u16],
    fate: Fate,
) -> Row {
    Row { name, section, sent: Cow::Borrowed(sent), continued: b"", statuses, fate, says: &[], to_head: &[] }
}

impl Row {
    /// Like [`row`], for bytes that are made by the program.
    fn made(
        name: &'static str,
        section: &'static str,
        sent: impl Into<Vec<u8>>,
        status: &'static [u16],
        fate: Fate,
    ) -> Self {
        Self { sent: Cow::Owned(sent.into()), ..row(name, section, b"", status, fate) }
    }

    /// The answers.
    const fn says(mut self, contents: &'static [&'static str]) -> Self {
        self.says = contents;
        self
    }

    /// The bytes that are sent once `100 Continue` has come.
    const fn continued(mut self, rest: &'static [u8]) -> Self {
        self.continued = rest;
        self
    }

    /// The positions of answers to HEAD, which have no content.
    const fn head_at(mut self, positions: &'static [usize]) -> Self {
        self.to_head = positions;
        self
    }

    /// Sends the bytes and checks all that the row says; panics at the first difference.
    fn run(&self, connection: &mut RawConnection) {
        connection.send(&self.sent);
        let mut last = None;
        for (position, &status) in self.statuses.iter().enumerate() {
            if status == 100 {
                assert_eq!(connection.read_interim(), 100);
                connection.send(self.continued);
                continue;
            }
            let response = match self.to_head.contains(&position) {
                true => connection.read_response_to_head(),
                false => connection.read_response(),
            };
            response.assert_status(status);
            if let Some(text) = self.says.get(position) {
                response.assert_text(text);
            }
            // RFC 9110, section 6.6.1, and section 15.5.6.
            assert!(response.header("date").is_some_and(|date| date.len() == 29), "a date is missing: {response:?}");
            assert!(status != 405 || response.header("allow").is_some(), "a 405 without Allow: {response:?}");
            last = Some(response);
        }
        let said_close = last.is_some_and(|last| last.header("connection") == Some("close"));
        match self.fate {
            Open => {
                assert!(!said_close, "the last answer has `Connection: close`");
                connection.send("GET /?another HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("here");
            }
            Closed => {
                assert!(said_close, "the last answer has no `Connection: close`");
                connection.assert_closed();
            }
            Unfinished => connection.shutdown_write().assert_closed(),
        }
    }
}

/// The application that all rows talk to.
struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> &'static str {
        "here"
    }

    /// The body, read by the server.
    #[expose]
    fn echo(&self, body: Bytes) -> Vec<u8> {
        body.0
    }

    /// The answers to the input in pieces of at most ten bytes.
    #[expose]
    fn small(&self, body: Bytes) -> Vec<u8> {
        body.0
    }

    /// The body, read by the handler.
    #[expose]
    fn read(&self, mut body: Body) -> kirsch::Result<Vec<u8>> {
        Ok(body.read_all(1 << 20)?)
    }

    /// Could read the body and does not.
    #[expose]
    fn glance(&self, _body: Body) -> &'static str {
        "glanced"
    }

    /// Reads one byte of the body and sends the client away.
    #[expose(put)]
    fn early(&self, mut body: Body) -> kirsch::Result<Redirect> {
        body.read_exact(&mut [0])?;
        Ok(Redirect::to("/"))
    }

    /// The fields, as they were understood.
    #[expose]
    fn fields(&self, request: &Request) -> String {
        let field = |(name, value)| format!("{name}={};", String::from_utf8_lossy(value));
        request.headers().map(field).collect()
    }

    /// The target, as it was understood.
    #[expose]
    fn seen(&self, request: &Request) -> String {
        format!("{} {} {} {:?}", request.method(), request.raw_host(), request.path(), request.query())
    }

    #[expose]
    fn segments(&self, segments: Segments) -> String {
        segments.0.join("|")
    }

    #[expose]
    fn query(&self, request: &Request) -> String {
        request.all_parameters().map(|(name, value)| format!("[{name}={value}]")).collect()
    }

    #[expose]
    fn cookies(&self, cookies: Cookies) -> String {
        cookies.iter().map(|(name, value)| format!("[{name}={value}]")).collect()
    }

    #[expose]
    fn nothing(&self) -> StatusCode {
        StatusCode::NO_CONTENT
    }

    #[expose]
    fn unchanged(&self) -> StatusCode {
        StatusCode::NOT_MODIFIED
    }

    #[expose]
    fn stream(&self) -> Stream {
        Stream::new(["one", "", "two"])
    }
}

fn pages() -> Client {
    Client::over_socket(App::new(Pages).settings("/small", |settings| settings.max_body = 10))
}

fn all_rows() -> Vec<Row> {
    let tables: [&[Row]; 6] =
        [request_line::ROWS, fields::ROWS, framing::ROWS, chunks::ROWS, connection::ROWS, methods::ROWS];
    tables.concat().into_iter().chain(limits::rows()).collect()
}

/// Runs all rows, several at a time, and tells all that fail.
#[test]
fn every_row_of_the_tables_holds() {
    let (client, rows, next) = (pages(), all_rows(), AtomicUsize::new(0));
    let work = || {
        let mut failures = Vec::new();
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            let run = catch_unwind(AssertUnwindSafe(|| row.run(&mut client.raw())));
            failures.extend(run.err().map(|panic| failure(row, &*panic)));
        }
        failures
    };
    let failures: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("rows are caught")).collect()
    });
    assert!(failures.is_empty(), "{} of {} rows failed:\n\n{}", failures.len(), rows.len(), failures.join("\n"));
}

fn failure(row: &Row, panic: &(dyn Any + Send)) -> String {
    let Row { name, section, statuses, fate, .. } = row;
    let came = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let shown = &row.sent[..row.sent.len().min(500)];
    format!(
        "{name} ({section})\n  sent      {:?}{}\n  expected  {statuses:?}, then {fate:?}\n  came      {}\n",
        String::from_utf8_lossy(shown),
        if shown.len() < row.sent.len() { "..." } else { "" },
        came.unwrap_or_default().replace('\n', "\n            "),
    )
}

#[test]
fn there_are_more_than_two_hundred_rows_with_different_names_and_bytes() {
    let rows = all_rows();
    let mut names: Vec<_> = rows.iter().map(|row| row.name).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1], "a name is there twice");
    }
    let mut bytes: Vec<_> = rows.iter().map(|row| (&row.sent, row.fate == Unfinished)).collect();
    bytes.sort_unstable();
    for pair in bytes.windows(2) {
        assert_ne!(pair[0], pair[1], "two rows send the same: {}", String::from_utf8_lossy(pair[0].0));
    }
    assert!(rows.len() >= 200, "{}", rows.len());
    assert!(rows.iter().all(|row| row.section.starts_with("RFC ")));
}

/// All bytes that come until the connection ends.
fn everything_after(sent: &str) -> String {
    let client = pages();
    let mut connection = client.raw();
    connection.send(sent);
    String::from_utf8_lossy(&connection.read_to_end()).into_owned()
}

// RFC 9110, section 10.1.1. A final status takes the place of 100, and the server does not wait for the body.
#[test]
fn no_100_is_sent_where_the_body_is_not_wanted() {
    for (request, status) in [
        ("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11", 413),
        ("POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 5", 404),
        ("DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5", 405),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5", 200),
        ("POST /glance HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked", 200),
    ] {
        let answer = everything_after(&format!("{request}\r\nExpect: 100-continue\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: {answer}");
    }
}

// RFC 9110, section 15.2: HTTP/1.0 knows no interim responses.
#[test]
fn no_100_is_sent_to_http_1_0() {
    let answer = everything_after("POST /echo HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nabc"), "{answer}");
}

// RFC 9110, section 5.1: the case of names means nothing, and one form is enough.
#[test]
fn the_names_of_a_head_are_all_of_one_form() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close",
        "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0",
        "GET /missing HTTP/1.1\r\nHost: a\r\nConnection: close",
        "OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: close",
        "GET / HTTP/1.1\r\nbad head",
    ] {
        let answer = everything_after(&format!("{request}\r\n\r\n"));
        let lines: Vec<_> = answer.lines().skip(1).take_while(|line| !line.is_empty()).collect();
        let names = lines.iter().map(|line| line.split_once(": ").expect("a field").0);
        assert!(lines.len() > 1 && names.clone().all(|name| name == name.to_ascii_lowercase()), "{request}: {lines:?}");
    }
}

// RFC 9110, section 9.3.2. No byte follows the head, and the head is that of GET.
#[test]
fn head_is_get_without_content() {
    for path in ["/", "/stream", "/missing", "/nothing", "/unchanged"] {
        let ask =
            |method| everything_after(&format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let (head, get) = (ask("HEAD"), ask("GET"));
        assert!(head.ends_with("\r\n\r\n") && head.matches("\r\n\r\n").count() == 1, "{head:?}");
        let fields = |answer: &str| -> Vec<String> {
            let head = answer.split_once("\r\n\r\n").expect("a head").0;
            // The page of an error tells the number of the request.
            let stays = |line: &&str| !line.starts_with("date") && !line.starts_with("x-request-id");
            head.lines().filter(stays).map(str::to_owned).collect()
        };
        assert_eq!(fields(&head), fields(&get), "{path}");
    }
}

// RFC 9112, section 6.1: chunks only for those who know them.
#[test]
fn a_stream_to_http_1_0_ends_with_the_connection() {
    let answer = everything_after("GET /stream HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\nonetwo") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

// RFC 9112, section 11.2. The answer was out before anybody looked at the body, so it could not say `close`.
#[test]
fn nothing_is_answered_behind_an_unread_body_that_is_broken() {
    for path in ["/", "/glance"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked");
        let answer = everything_after(&format!("{head}\r\n\r\nZ\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

// RFC 9112, section 9.6. The client writes all of it before it reads.
#[test]
fn an_early_answer_reaches_a_client_that_sends_ten_megabytes() {
    let client = pages();
    let mut connection = client.raw();
    connection.send(format!("PUT /early HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 10 << 20));
    connection.send(vec![b'x'; 10 << 20]);
    connection.read_response().assert_status(303).assert_header("connection", "close");
    connection.assert_closed();
}
