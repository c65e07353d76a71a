//! The tool: the script in pages, the answers to it, and the page of a build that has failed.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `before_routing` | 0 | answers `/__kirsch/live` and its script, and everything while a build has failed |
//! | `before_finalize` | 0 | lets `/__kirsch/live` wait for news |
//! | `before_finalize` | 1, always | writes the news |
//! | `before_finalize` | 65, always | puts the script into pages, before they are compressed |
//!
//! The first three need no route and no host, so they belong to the outermost app alone.

use super::Progress;
use super::link::Link;
use super::live::Live;
use crate::exchange::{
    Admission, Admit, Claim, Error, Exchange, Request, Response, ResponseBody, Stream, Turn, Wait, Wakers,
};
use crate::http::best_media_type;
use crate::lifecycle::{Flow, HookPoint, Hooks, Tool};
use crate::logs::Unrecorded;
use crate::tools::CspNonce;
use ::http::{HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

const LIVE: &str = "/__kirsch/live";
const SCRIPT: &str = "/__kirsch/live.js";

/// Proxies and browsers may lose their patience with a silent answer after half a minute.
const MAX_WAIT: Duration = Duration::from_secs(25);

/// Shows browsers of this machine what the build does.
#[derive(Clone, Debug)]
pub(crate) struct Dev {
    live: Live,
    is_outermost: bool,
}

impl Dev {
    /// For the outermost app.
    pub(crate) fn new(link: &Link) -> Self {
        Self { live: link.live(), is_outermost: true }
    }

    /// The same for the app of a host.
    pub(crate) fn of_host(&self) -> Self {
        Self { is_outermost: false, ..self.clone() }
    }

    /// What needs no application.
    fn answer(&self, exchange: &mut Exchange) -> Option<Flow> {
        let request = &exchange.request;
        if !is_local(request) {
            return None;
        }
        let progress = self.live.present();
        match request.path() {
            SCRIPT => {
                let mut response = Response::new();
                response.set_header(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
                response.set_header(header::CACHE_CONTROL, NO_STORE);
                response.set_body(include_str!("live.js"));
                exchange.values.insert(Unrecorded);
                Some(Flow::Answer(response))
            }
            LIVE => {
                let seen = request.query().and_then(|query| query.strip_prefix("seen=")?.parse().ok());
                exchange.values.insert(Asked { seen: seen.unwrap_or_default() });
                exchange.values.insert(Unrecorded);
                Some(Flow::Answer(Response::new()))
            }
            _ => {
                let report = progress.report.as_ref().filter(|_| replaces_page(request))?;
                let mut response = Response::new();
                response.set_status(StatusCode::SERVICE_UNAVAILABLE);
                response
                    .set_header(header::CACHE_CONTROL, NO_STORE)
                    .set_header(header::VARY, HeaderValue::from_static("Accept"));
                response.set_header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
                let (content_type, body) = match is_page(request) {
                    true => ("text/html; charset=utf-8", &report.html),
                    false => ("text/plain; charset=utf-8", &report.text),
                };
                response
                    .set_header(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
                    .set_body(body.clone());
                Some(Flow::Answer(response))
            }
        }
    }

    fn write_news(&self, exchange: &mut Exchange) {
        if exchange.values.remove::<Asked>().is_none() {
            return;
        }
        let progress = self.live.present();
        let news = News {
            version: progress.version,
            page: progress.present_key(),
            styles: progress.styles,
            phase: progress.phase,
        };
        let response = &mut exchange.response;
        response.set_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.set_header(header::CACHE_CONTROL, NO_STORE);
        response.set_body(serde_json::to_vec(&news).unwrap_or_default());
    }

    /// Puts the script into a page, and keeps the page from all caches.
    fn add_script(&self, exchange: &mut Exchange) {
        if !takes_script(exchange) {
            return;
        }
        let script = script(&self.live.present(), exchange.request.method(), CspNonce::of(exchange));
        let response = &mut exchange.response;
        let body = match response.take_body() {
            ResponseBody::File(file) => {
                let length = file.length() + script.len() as u64;
                let with_script = file.into_stream().chain(std::iter::once(Ok(script.into_bytes())));
                Stream::fallible(with_script).with_length(length).into()
            }
            ResponseBody::Stream(stream) => {
                let length = stream.length().map(|length| length + script.len() as u64);
                let with_script = Stream::fallible(stream.chain(std::iter::once(Ok(script.into_bytes()))));
                match length {
                    Some(length) => with_script.with_length(length).into(),
                    None => with_script.into(),
                }
            }
            other => match other.as_bytes() {
                Some(bytes) => with_script(bytes, &script).into(),
                None => other,
            },
        };
        response.set_body(body);
        for field in [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES, header::CONTENT_LENGTH] {
            response.remove_header(&field);
        }
        response.set_header(header::CACHE_CONTROL, NO_STORE);
    }
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Of reports, whatever the application's pages may do.
const POLICY: &str =
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; img-src data:";

/// A question for news, with the version that its browser has seen.
struct Asked {
    seen: u64,
}

#[derive(Serialize)]
struct News {
    version: u64,
    page: String,
    styles: u64,
    phase: super::Phase,
}

impl Tool for Dev {
    fn name(&self) -> &'static str {
        "kirsch_dev"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if self.is_outermost {
            let dev = self.clone();
            hooks.at(HookPoint::BeforeRouting, move |exchange| dev.answer(exchange)).priority(0);
            hooks.before_finalize(self.clone()).priority(0);
            let dev = self.clone();
            hooks.at(HookPoint::BeforeFinalize, move |exchange| dev.write_news(exchange)).priority(1).always();
        }
        let dev = self.clone();
        hooks.at(HookPoint::BeforeFinalize, move |exchange| dev.add_script(exchange)).priority(65).always();
    }
}

impl Admit for Dev {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let Some(Asked { seen }) = exchange.values.get::<Asked>() else { return Ok(Admission::Go) };
        let turn = self.live.enter(*seen, &Claim::of(&exchange.request), || wakers.waker());
        Ok(turn.map_or(Admission::Go, |turn| Admission::park(NextState(turn), MAX_WAIT)))
    }
}

struct NextState(Turn<()>);

impl Wait for NextState {
    fn ready(&mut self, _: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
        Ok(self.0.poll().is_ready())
    }

    fn waits_for(&self) -> Cow<'static, str> {
        "news of the build".into()
    }

    fn is_wanted(&self) -> bool {
        true
    }

    /// The browser sees that nothing is new, and asks again.
    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }
}

/// Whether a browser of this machine asks, for a name of this machine.
fn is_local(request: &Request) -> bool {
    let origin = request.raw_host();
    let host = match origin.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => origin.split(':').next().unwrap_or_default(),
    };
    let host = host.trim_end_matches('.');
    let is_name = host.eq_ignore_ascii_case("localhost")
        || host.len() > 10 && host.get(host.len() - 10..).is_some_and(|end| end.eq_ignore_ascii_case(".localhost"));
    let is_address = || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    request.connection().peer.ip().is_loopback() && (is_name || is_address())
}

/// What the browser wants it for, if it says so.
fn destination(request: &Request) -> Option<&str> {
    request.header("sec-fetch-dest")
}

/// Whether a report answers it. Styles and pictures are still there while a build has failed.
fn replaces_page(request: &Request) -> bool {
    !matches!(destination(request), Some("style" | "script" | "image" | "font" | "audio" | "video" | "manifest"))
}

/// Whether it is for a window of a browser.
fn is_page(request: &Request) -> bool {
    let accepts_html = || {
        request
            .list("accept")
            .and_then(|accept| best_media_type(&accept, &["text/html"]).map(|_| accept.contains("html")))
    };
    matches!(destination(request), None | Some("document" | "iframe" | "frame")) && accepts_html().unwrap_or_default()
}

/// Whether the response is a whole page of HTML for a window of a browser of this machine.
fn takes_script(exchange: &Exchange) -> bool {
    let (request, response) = (&exchange.request, &exchange.response);
    let is_html = response.header(&header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_whole = response.status() != StatusCode::PARTIAL_CONTENT && response.body().length() != Some(0);
    is_html.is_some_and(|value| value.starts_with("text/html"))
        && is_whole
        && *request.method() != Method::HEAD
        && response.header(&header::CONTENT_ENCODING).is_none()
        && matches!(destination(request), None | Some("document" | "iframe" | "frame"))
        && is_local(request)
}

fn script(progress: &Progress, method: &Method, nonce: Option<&CspNonce>) -> String {
    let nonce = nonce.map(|nonce| format!(" nonce=\"{nonce}\"")).unwrap_or_default();
    let (page, version, styles) = (progress.key_of_pages(), progress.version, progress.styles);
    let get = u8::from(*method == Method::GET);
    format!(
        "<script{nonce} src=\"{SCRIPT}?page={page}&amp;seen={version}&amp;styles={styles}&amp;get={get}\" defer></script>"
    )
}

/// The page with the script at the end of its body, or of itself.
fn with_script(page: &[u8], script: &str) -> Vec<u8> {
    let end = memchr::memmem::rfind(page, b"</body>").unwrap_or(page.len());
    [&page[..end], script.as_bytes(), &page[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::super::{Phase, Report};
    use super::*;
    use crate::testing::Client;
    use crate::tools::SecureHeaders;
    use crate::{App, Html, StaticFile, Text, Tree};

    fn served(progress: Progress, change: impl FnOnce(App) -> App) -> (Client, Live) {
        let live = Live::new(progress);
        let tree = Tree::new()
            .index(|_| Html("<body><h1>Home</h1></body>"))
            .page("text", |_| Text("</body>"))
            .page("stream", |_| Stream::new(["<p>", "</p>"]));
        let app = change(App::new(tree)).tool("/", Dev { live: live.clone(), is_outermost: true });
        (Client::over_socket(app), live)
    }

    fn failed() -> Progress {
        let report = Report { number: 4, html: "<h1>1 error</h1>".to_owned(), text: "error: no".to_owned() };
        Progress {
            version: 7,
            program: 2,
            serving: 2,
            phase: Phase::Failed,
            report: Some(report),
            ..Progress::default()
        }
    }

    #[test]
    fn each_page_gets_the_script_at_its_end() {
        let (client, _) = served(Progress { program: 3, ..Progress::default() }, |app| app);
        let script = "<script src=\"/__kirsch/live.js?page=3.0.0&amp;seen=0&amp;styles=0&amp;get=1\" defer></script>";
        client
            .get("/")
            .send()
            .assert_text(&format!("<body><h1>Home</h1>{script}</body>"))
            .assert_header("cache-control", "no-store");
        client.get("/stream").send().assert_text(&format!("<p></p>{script}"));
        client.get("/nowhere").header("accept", "text/html").send().assert_status(404).assert_contains("live.js");
        client.get("/__kirsch/live.js").send().assert_header("content-type", "text/javascript; charset=utf-8");
    }

    #[test]
    fn a_page_in_a_file_gets_it_too_and_is_never_not_modified() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        std::fs::write(&path, "<p>".repeat(100_000)).unwrap();
        let (client, _) = served(Progress::default(), |app| app.tool("/file", StaticFile::new(&path)));
        let page = client.get("/file").send();
        page.assert_contains("live.js").assert_no_header("etag").assert_no_header("last-modified");
    }

    #[test]
    fn texts_and_what_scripts_ask_for_stay_as_they_are() {
        let (client, _) = served(Progress::default(), |app| app);
        client.get("/text").send().assert_text("</body>");
        client.get("/").header("sec-fetch-dest", "empty").send().assert_lacks("live.js");
        client.head("/").send().assert_text("");
    }

    #[test]
    fn a_policy_with_a_nonce_lets_the_script_in() {
        let policy = "script-src 'nonce-{nonce}'";
        let (client, _) =
            served(Progress::default(), |app| app.tool("/", SecureHeaders::new().content_security_policy(policy)));
        let page = client.get("/").send();
        let nonce = page.text().split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        page.assert_header("content-security-policy", &format!("script-src 'nonce-{nonce}'"));
    }

    #[test]
    fn a_build_that_has_failed_is_shown_in_place_of_all_pages() {
        let (client, _) = served(failed(), |app| app);
        let page = client.get("/nowhere").header("accept", "text/html,*/*").send();
        page.assert_status(503).assert_contains("<h1>1 error</h1>").assert_contains("live.js?page=2.0.4&amp;seen=7");
        for accept in ["*/*", "application/json"] {
            let text = client.post("/").header("accept", accept).send();
            text.assert_status(503).assert_text("error: no").assert_header("content-type", "text/plain; charset=utf-8");
        }
        client.get("/").header("sec-fetch-dest", "style").send().assert_status(200);
    }

    #[test]
    fn a_question_for_news_waits_until_there_are_some() {
        let (client, live) = served(Progress { version: 1, ..Progress::default() }, |app| app);
        client.get("/__kirsch/live?seen=0").send().assert_contains("\"version\":1");
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| client.get("/__kirsch/live?seen=1").send());
            live.update(failed());
            let news = asked.join().unwrap();
            news.assert_text(r#"{"version":7,"page":"2.0.4","styles":0,"phase":"failed"}"#);
        });
    }

    #[test]
    fn questions_for_news_are_no_news_of_the_log() {
        let app = App::new(Tree::new().index(|_| "Home"));
        let live = Live::new(Progress::default());
        let client = Client::in_process(app.tool("/", Dev { live, is_outermost: true }));
        let records = crate::logs::capture::records("kirsch::access", || {
            for path in ["/__kirsch/live?seen=5", "/__kirsch/live.js", "/", "/__kirsch/other"] {
                client.get(path).send();
            }
        });
        assert_eq!(records.len(), 2, "{records:?}");
        assert!(records[0].contains("GET / ") && records[1].contains("/__kirsch/other"), "{records:?}");
    }

    #[test]
    fn names_and_addresses_from_elsewhere_get_the_application() {
        let (client, _) = served(failed(), |app| app);
        for host in ["evil.example", "localhost.evil.example", "xlocalhost", "192.0.2.1", "127.0.0.1.evil.example"] {
            client.get("/").header("host", host).send().assert_status(200).assert_lacks("live.js");
            client.get("/__kirsch/live?seen=0").header("host", host).send().assert_status(404);
        }
        for host in ["localhost", "LOCALHOST:8080", "shop.localhost:80", "127.0.0.2", "[::1]:8080"] {
            client.get("/").header("host", host).send().assert_status(503);
        }
    }
}
