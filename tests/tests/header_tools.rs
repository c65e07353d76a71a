//! The header tools together, over sockets: the fields that browsers get, in any order of the tools.

use kirsch::prelude::*;
use kirsch::testing::{Client, TestResponse};
use kirsch::tools::{Autovary, Etags, Expires, Gzip, RedirectTo, ResponseHeaders};
use std::time::Duration;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> String {
        "All work and no play makes Jack a dull boy.\n".repeat(100)
    }

    #[expose]
    fn greeting(&self, request: &Request) -> String {
        let language = request.header("accept-language").unwrap_or("none");
        format!("{language} {}", "hello ".repeat(400))
    }

    #[expose]
    fn mine(&self, session: &Session) -> String {
        session.update("visits", |visits: &mut u64| {
            *visits += 1;
            format!("{visits} {}", "visits ".repeat(400))
        })
    }

    #[expose]
    fn broken(&self) -> &'static str {
        panic!("on purpose")
    }
}

fn site() -> App {
    App::new(Pages).tool("/", Sessions::in_memory())
}

type Add = fn(App) -> App;

const TOOLS: [Add; 6] = [
    |app| app.tool("/", Caching::new()),
    |app| app.tool("/", Gzip::new()),
    |app| app.tool("/", Expires::after(Duration::from_secs(60))),
    |app| app.tool("/", Etags::new()),
    |app| app.tool("/", Sessions::in_memory()),
    |app| app.tool("/", Autovary::new()),
];

/// The tools in two orders: the result must not depend on it.
fn clients() -> impl Iterator<Item = Client> {
    let forwards = TOOLS.iter().fold(App::new(Pages), |app, add| add(app));
    let backwards = TOOLS.iter().rev().fold(App::new(Pages), |app, add| add(app));
    [forwards, backwards].into_iter().map(Client::over_socket)
}

fn field(response: &TestResponse, name: &str) -> String {
    response.header(name).unwrap_or("nothing").to_owned()
}

#[test]
fn the_fields_of_a_plain_page() {
    let page = Client::over_socket(site()).get("/").send();
    let names: Vec<_> = page.headers().map(|(name, _)| name.to_ascii_lowercase()).collect();
    let expected =
        ["date", "content-type", "x-content-type-options", "x-frame-options", "referrer-policy", "content-length"];
    assert_eq!(names, expected);
}

#[test]
fn error_pages_of_every_kind_have_the_fields() {
    let client = Client::over_socket(site().settings("/", |settings| settings.max_body = 1));
    let responses = [
        client.get("/broken").send(),
        client.get("/nowhere").send(),
        client.delete("/").send(),
        client.get("/%zz").send(),
        client.post("/greeting").form(&[("too", "large")]).send(),
    ];
    for response in responses {
        assert!(response.status().is_client_error() || response.status().is_server_error());
        response.assert_header("x-frame-options", "SAMEORIGIN").assert_header("x-content-type-options", "nosniff");
    }
}

#[test]
fn tags_compression_and_cache_fit_together_in_any_order() {
    for client in clients() {
        let plain = client.get("/").send();
        let packed = client.get("/").header("accept-encoding", "gzip").send();
        let (tag, packed_tag) = (field(&plain, "etag"), field(&packed, "etag"));
        assert_eq!(packed_tag, format!("\"{}-gzip\"", tag.trim_matches('"')));
        // From the cache, both, and each with its own tag.
        let again = client.get("/").header("accept-encoding", "gzip").send();
        assert_eq!((field(&again, "etag"), field(&again, "content-encoding")), (packed_tag.clone(), "gzip".to_owned()));
        assert_ne!(field(&again, "age"), "nothing");
        assert_eq!(again.bytes(), packed.bytes());
        for (coding, tag) in [("gzip", &packed_tag), ("identity", &tag)] {
            let known = client.get("/").header("accept-encoding", coding).header("if-none-match", tag).send();
            known.assert_status(304).assert_header("etag", tag).assert_header("cache-control", "max-age=60");
            known.assert_header("vary", "Accept-Encoding");
        }
        let one_of_another = client.get("/").header("if-none-match", &packed_tag).send();
        one_of_another.assert_status(200);
    }
}

#[test]
fn fields_that_were_read_keep_responses_apart() {
    for client in clients() {
        for language in ["de", "en", "de", "en"] {
            let page = client.get("/greeting").header("accept-language", language).send();
            assert!(page.text().starts_with(language));
            page.assert_header("vary", "Accept-Encoding, Accept-Language");
        }
    }
}

#[test]
fn a_page_of_one_person_is_private_and_in_no_cache() {
    for client in clients() {
        for visit in ["1 ", "2 ", "3 "] {
            let page = client.get("/mine").send();
            assert!(page.text().starts_with(visit));
            page.assert_header("cache-control", "private, max-age=60").assert_no_header("age");
            assert!(field(&page, "vary").contains("Cookie"));
        }
    }
}

/// Python decodes an encoded word as in mail; Kirsch does not, and a host is a host.
#[test]
fn a_host_with_a_line_break_in_it_is_refused() {
    let app = site().tool("/", RedirectTo::external("https://a.example").keep_path(true));
    let client = Client::over_socket(app);
    for host in ["=?utf-8?q?a=0D=0ASet-Cookie:_b=3Dc?=", "a\tb", "a b", "a/b", "a\\b", "<a>"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut raw = client.raw();
        raw.send(request.as_bytes());
        let answer = raw.read_response();
        answer.assert_status(400).assert_no_header("set-cookie").assert_no_header("location");
    }
}

#[test]
fn text_of_a_request_in_location_stays_in_it() {
    let app = site().tool("/", RedirectTo::external("https://a.example").keep_path(true));
    let client = Client::over_socket(app.tool("/greeting", ResponseHeaders::new().set("X-A", "1")));
    let answer = client.get("/%0D%0ASet-Cookie:%20b=c/%3Cscript%3E?%0D%0Ax").send();
    answer.assert_status(303).assert_text("").assert_no_header("set-cookie");
    answer.assert_header("location", "https://a.example/%0D%0ASet-Cookie:%20b=c/%3Cscript%3E?%0D%0Ax");
}

/// A page that is told apart by a policy and a nonce, with everything on that could keep it.
#[test]
fn a_nonce_is_sent_once_with_any_cache() {
    use kirsch::tools::{CspNonce, SecureHeaders};
    struct Scripted;
    #[handlers]
    impl Scripted {
        #[expose]
        fn index(&self, nonce: &CspNonce, response: &mut Response) -> String {
            let (name, value) = (kirsch::header::CACHE_CONTROL, kirsch::HeaderValue::from_static("public, max-age=60"));
            response.set_header(name, value);
            response.set_header(kirsch::header::ETAG, kirsch::HeaderValue::from_static("\"v1\""));
            format!("<script nonce=\"{nonce}\"></script>{}", "text ".repeat(400))
        }
    }
    let secure = SecureHeaders::new().content_security_policy("script-src 'nonce-{nonce}'");
    let alone = || App::new(Scripted).tool("/", secure.clone()).tool("/", Etags::new()).tool("/", Gzip::new());
    for app in [alone(), alone().tool("/", Caching::new())] {
        let client = Client::over_socket(app);
        let policies = ["*", "\"v1\"", "\"v1-gzip\""].map(|tag| {
            let page = client.get("/").header("accept-encoding", "gzip").header("if-none-match", tag).send();
            page.assert_status(200).assert_no_header("etag").assert_no_header("age");
            page.assert_header("cache-control", "private, no-cache");
            field(&page, "content-security-policy")
        });
        assert!(policies[0] != policies[1] && policies[1] != policies[2] && policies[0] != policies[2]);
    }
}
