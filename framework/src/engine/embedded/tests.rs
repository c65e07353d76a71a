//! What an application does without our server.

use super::{Embedded, Incoming, Outgoing, Visitor};
use crate::exchange::Error;
use crate::lifecycle::PathSettings;
use crate::tools::Limit;
use crate::{App, Body, FileBody, Request, Sessions, Stream, Tree, handlers};
use ::http::{HeaderValue, Request as HttpRequest, Response as HttpResponse};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn embedded(app: App) -> Embedded {
    app.without_environment().embed().expect("an application")
}

fn answer<B: Into<Incoming>>(site: &Embedded, request: HttpRequest<B>) -> HttpResponse<Outgoing> {
    site.answer(request).expect("an answer")
}

fn text(response: HttpResponse<Outgoing>) -> String {
    let content = response.into_body().read_all(1 << 24).expect("a whole response");
    String::from_utf8(content).expect("text")
}

struct Site;

#[handlers]
impl Site {
    #[expose]
    fn facts(&self, request: &Request) -> String {
        let fields: Vec<_> = request.headers().map(|(name, _)| name.to_owned()).collect();
        format!("{} {} {} {:?} {fields:?}", request.method(), request.url("/x"), request.remote(), request.query())
    }

    #[expose]
    fn size(&self, mut body: Body) -> kirsch::Result<String> {
        Ok(io::copy(&mut body, &mut io::sink())?.to_string())
    }

    #[expose]
    fn whole(&self, body: crate::Bytes) -> String {
        body.0.len().to_string()
    }

    #[expose]
    fn pieces(&self) -> Stream {
        Stream::new(["one", "two", "three"])
    }

    #[expose]
    fn breaks(&self) -> Stream {
        Stream::fallible([Ok("one"), Err(Error::unexpected("no more"))])
    }

    #[expose]
    fn file(&self) -> kirsch::Result<FileBody> {
        let file = tempfile::tempfile()?;
        file.set_len(3 << 20)?;
        Ok(FileBody::whole(file)?)
    }

    #[expose]
    fn panics(&self) -> &'static str {
        panic!("on purpose")
    }
}

#[test]
fn a_request_keeps_what_it_says_and_loses_what_is_about_its_connection() {
    let site = embedded(App::new(Site));
    let visitor = Visitor::new("192.0.2.7:5".parse().expect("an address")).secure(true);
    let request = HttpRequest::get("http://shop.example/facts?a=b").extension(visitor).header("x-own", "1");
    let request = request.header("connection", "x-hop, upgrade").header("x-hop", "1").header("upgrade", "websocket");
    let shown = text(answer(&site, request.body(()).expect("a request")));
    assert_eq!(shown, "GET https://shop.example/x 192.0.2.7 Some(\"a=b\") [\"host\", \"x-own\", \"connection\"]");
}

#[test]
fn a_response_keeps_its_fields_but_those_of_the_connection() {
    let site = embedded(App::new(Site));
    let response = answer(&site, HttpRequest::get("/facts").body(()).expect("a request"));
    let names: Vec<_> = response.headers().keys().map(|name| name.as_str().to_owned()).collect();
    assert!(names.contains(&"date".to_owned()) && names.contains(&"content-length".to_owned()), "{names:?}");
    assert!(!names.contains(&"connection".to_owned()), "{names:?}");
    assert_eq!(response.body().length(), response.headers()["content-length"].to_str().unwrap().parse().ok());
}

#[test]
fn head_has_the_length_and_no_content() {
    let site = embedded(App::new(Site));
    let response = answer(&site, HttpRequest::head("/file").body(()).expect("a request"));
    assert_eq!(response.headers()["content-length"], "3145728");
    assert_eq!(text(response), "");
}

#[test]
fn bodies_come_as_bytes_or_are_read_with_or_without_a_length() {
    let site = embedded(App::new(Site));
    for path in ["/size", "/whole"] {
        let post = || HttpRequest::post(path);
        let content = vec![b'x'; 100_000];
        assert_eq!(text(answer(&site, post().body(content.clone()).expect("a request"))), "100000");
        let read = Incoming::reader(io::Cursor::new(content.clone()));
        assert_eq!(text(answer(&site, post().body(read).expect("a request"))), "100000");
        let read = Incoming::reader(io::Cursor::new(content));
        assert_eq!(text(answer(&site, post().header("content-length", "7").body(read).expect("a request"))), "7");
    }
}

#[test]
fn a_body_that_breaks_its_promise_or_a_limit_is_refused() {
    let site = embedded(App::new(Site).settings("/", |settings: &mut PathSettings| settings.max_body = 1000));
    let short = |path| {
        let body = Incoming::reader(&b"1234567"[..]);
        HttpRequest::post(path).header("content-length", "8").body(body).expect("a request")
    };
    assert_eq!(answer(&site, short("/size")).status(), 400);
    assert!(site.answer(short("/whole")).is_err(), "no handler has run, and the client has gone");
    for path in ["/size", "/whole"] {
        let long = HttpRequest::post(path).body(Incoming::reader(io::repeat(1))).expect("a request");
        assert_eq!(answer(&site, long).status(), 413, "{path}");
    }
}

/// Counts what is read of it.
struct Counted(Arc<AtomicBool>);

impl Read for Counted {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.store(true, Ordering::SeqCst);
        Ok(0)
    }
}

#[test]
fn a_body_that_nobody_wants_is_not_read() {
    let site = embedded(App::new(Site));
    let was_read = Arc::new(AtomicBool::new(false));
    let request = HttpRequest::post("/pieces").body(Incoming::reader(Counted(Arc::clone(&was_read))));
    assert_eq!(text(answer(&site, request.expect("a request"))), "onetwothree");
    assert!(!was_read.load(Ordering::SeqCst));
}

#[test]
fn a_stream_comes_piece_by_piece_and_a_broken_one_says_so() {
    let site = embedded(App::new(Site));
    let get = |path: &str| answer(&site, HttpRequest::get(path).body(()).expect("a request")).into_body();
    let pieces: Vec<_> = get("/pieces").map(|piece| piece.expect("a piece")).collect();
    assert_eq!(pieces, ["one", "two", "three"]);
    let mut broken = get("/breaks");
    assert_eq!(broken.next().expect("a piece").expect("a piece"), "one");
    assert!(broken.next().expect("an error").is_err());
    assert!(broken.next().is_none());
    assert!(get("/file").count() > 1, "a file is not in memory as a whole");
}

#[test]
fn failures_are_responses() {
    let site = embedded(App::new(Site));
    let status = |request: HttpRequest<()>| answer(&site, request).status().as_u16();
    assert_eq!(status(HttpRequest::get("/nothing").body(()).expect("a request")), 404);
    assert_eq!(status(HttpRequest::get("/panics").body(()).expect("a request")), 500);
    assert_eq!(status(HttpRequest::get(format!("/{}", "x".repeat(9000))).body(()).expect("a request")), 414);
}

/// Pages that say when they run, and wait for a word.
struct Slow {
    began: Sender<()>,
    end: Receiver<()>,
}

#[handlers]
impl Slow {
    #[expose]
    fn index(&self, request: &Request) -> String {
        self.began.send(()).expect("the test listens");
        self.end.recv().expect("the test says when");
        request.client_gone().to_string()
    }
}

fn slow() -> (Slow, Receiver<()>, Sender<()>) {
    let ((began, begun), (end, ended)) = (bounded(10), bounded(10));
    (Slow { began, end: ended }, begun, end)
}

#[test]
fn a_parked_request_waits_on_its_thread_until_there_is_a_place() {
    let (page, begun, end) = slow();
    let limit = Limit::new(1);
    let site = embedded(App::new(page).tool("/", limit.clone()));
    let get = || text(answer(&site, HttpRequest::get("/").body(()).expect("a request")));
    thread::scope(|scope| {
        let both = [scope.spawn(get), scope.spawn(get)];
        begun.recv().expect("one runs");
        while limit.statistics().waiting == 0 {
            thread::yield_now();
        }
        (0..2).for_each(|_| end.send(()).expect("a page waits"));
        assert!(both.into_iter().all(|one| one.join().expect("no panic") == "false"));
    });
}

#[test]
fn a_client_that_has_left_is_gone() {
    let (page, begun, end) = slow();
    let site = embedded(App::new(page));
    let visitor = Visitor::default();
    let request = HttpRequest::get("/").extension(visitor.clone()).body(()).expect("a request");
    thread::scope(|scope| {
        let asked = scope.spawn(|| text(answer(&site, request)));
        begun.recv().expect("it runs");
        visitor.leave();
        end.send(()).expect("the page waits");
        assert_eq!(asked.join().expect("no panic"), "true");
    });
}

#[test]
fn sessions_and_the_steps_of_the_life_work() {
    let (said, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (at_start, at_stop) = (Arc::clone(&said), Arc::clone(&stopped));
    let count = |page: &mut crate::publish::PageCall<'_>| -> kirsch::Result<String> {
        let session = page.argument::<&crate::Session>()?;
        Ok(session.update("count", |count: &mut u32| {
            *count += 1;
            count.to_string()
        }))
    };
    let app = App::new(Tree::new().index(count)).tool("/", Sessions::in_memory());
    let site = embedded(
        app.on(crate::engine::Step::Start, 40, move |_| at_start.store(true, Ordering::SeqCst)).on_stop(move || {
            at_stop.store(true, Ordering::SeqCst);
            Ok(())
        }),
    );
    assert!(said.load(Ordering::SeqCst));
    let first = answer(&site, HttpRequest::get("/").body(()).expect("a request"));
    let cookie = first.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a cookie").to_owned();
    let again = HttpRequest::get("/").header("cookie", HeaderValue::from_str(&cookie).expect("a field"));
    assert_eq!(text(answer(&site, again.body(()).expect("a request"))), "2");
    site.stop();
    assert!(stopped.load(Ordering::SeqCst));
}
