//! The funnel: each source of errors, each form of the page, and pages that fail themselves.

use super::*;
use crate::exchange::{Error, HttpError, MethodSet};
use crate::lifecycle::{ErrorPage, HookPoint, Hooks, Tool};
use crate::{HeaderValue, Redirect, Response, StatusCode, Stream, Tree, header};
use std::error::Error as _;

fn pages() -> App {
    let tree = Tree::new()
        .page("ok", |_| "fine")
        .page("forbidden", |_| Err::<(), _>(Error::new(StatusCode::FORBIDDEN, "only for <members>")))
        .page("unexpected", |_| -> Result<String, Error> {
            let number: u8 = "secret".parse()?;
            Ok(number.to_string())
        })
        .page("panic", |_| -> &'static str { panic!("the secret of /home/user") })
        .page("late", |_| {
            let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "");
            Err::<(), _>(Error::from(error.with_header(header::RETRY_AFTER, HeaderValue::from_static("7"))))
        })
        .page("login", |page| {
            page.response().set_header(header::ETAG, HeaderValue::from_static("\"1\""));
            page.response().add_header(header::SET_COOKIE, HeaderValue::from_static("a=b"));
            Err::<(), _>(Error::new(StatusCode::UNAUTHORIZED, ""))
        })
        .page("away", |_| Redirect::to("https://example.org/?c=é"))
        .page("away_as_error", |_| Err::<(), _>(Error::from(Redirect::to("https://example.org/?c=é"))))
        .page("split", |_| Redirect::to("/a\r\nSet-Cookie: x"))
        .page("odd", |_| Err::<(), _>(Error::new(StatusCode::OK, "")))
        .page("early_hints", |_| StatusCode::CONTINUE);
    App::new(tree)
}

/// The application's page answers every error, wherever it comes from.
#[test]
fn every_source_of_errors_comes_to_the_applications_page() {
    struct Broken;
    impl Tool for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn attach(&self, hooks: &mut Hooks) {
            hooks.at(HookPoint::BeforeHandler, |_| Err::<(), _>(Error::unexpected("a hook")));
        }
    }
    let app = || {
        pages().tool("/ok", Broken).default_error_page(|page: &ErrorPage<'_>| format!("our {}", page.status.as_u16()))
    };
    let table = [
        ("GET /nowhere", 404),
        ("PUT /forbidden", 405),
        ("GET /forbidden", 403),
        ("GET /unexpected", 500),
        ("GET /panic", 500),
        ("GET /ok", 500),
        ("GET /%ff", 400),
    ];
    for (request, status) in table {
        let answer = ask(app(), request);
        assert_eq!((answer.status, answer.body), (status, format!("our {status}")), "{request}");
    }
    let mut driver = Driver::new(app(), "GET /ok");
    assert_eq!(driver.refuse(Refusal::MissingHost).body, "our 400");
}

#[test]
fn the_page_of_a_status_comes_before_the_default_one() {
    let app =
        pages().default_error_page(|_| "any").error_page(StatusCode::NOT_FOUND, |_| (StatusCode::GONE, "it moved"));
    let answer = ask(app, "GET /nowhere");
    assert_eq!((answer.status, answer.body.as_str()), (410, "it moved"));
}

/// Built-in page once, no recursion, and a log record.
#[test]
fn an_error_page_that_fails_is_replaced_by_the_built_in_one() {
    let panics = pages().default_error_page(|_| -> &'static str { panic!("in the page") });
    let fails = pages().default_error_page(|_| Err::<(), _>(Error::unexpected("in the page")));
    for app in [panics, fails] {
        let mut answer = None;
        let records = crate::logs::capture::records("kirsch::error", || answer = Some(ask(app, "GET /forbidden")));
        let answer = answer.unwrap();
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("only for <members>") && !answer.body.contains("in the page"), "{}", answer.body);
        let errors: Vec<_> = records.iter().filter(|line| line.starts_with("ERROR")).collect();
        assert!(
            matches!(errors[..], [line] if line.contains("in the error page:") && line.contains("in the page")),
            "{records:?}"
        );
    }
}

#[test]
fn an_error_page_may_send_the_client_elsewhere() {
    let app = pages().error_page(StatusCode::UNAUTHORIZED, |_| Redirect::to("/sign_in"));
    let answer = ask(app, "GET /login");
    assert_eq!(answer.status, 303);
    assert!(
        answer.head.contains("location: /sign_in\n") && answer.head.contains("set-cookie: a=b\n"),
        "{}",
        answer.head
    );
}

/// The values of tools are there for error pages too.
#[test]
fn error_pages_see_the_values_of_tools() {
    struct Keeps;
    impl Tool for Keeps {
        fn name(&self) -> &'static str {
            "keeps"
        }
        fn attach(&self, hooks: &mut Hooks) {
            hooks.at(HookPoint::OnStartResource, |exchange| {
                exchange.values.insert(42_u64);
            });
        }
    }
    let app = || {
        pages().tool("/", Keeps).default_error_page(|page: &ErrorPage<'_>| format!("{:?}", page.values.get::<u64>()))
    };
    for request in ["GET /nowhere", "GET /panic"] {
        assert_eq!(ask(app(), request).body, "Some(42)");
    }
}

#[test]
fn the_built_in_page_follows_accept_and_is_escaped() {
    let html = ask(pages(), "GET /forbidden\nAccept: text/html");
    assert!(html.head.contains("content-type: text/html; charset=utf-8\n"));
    assert!(html.body.contains("<h1><b>403</b> Forbidden</h1>\n<p>only for &lt;members&gt;</p>"), "{}", html.body);
    let json: serde_json::Value =
        serde_json::from_str(&ask(pages(), "GET /forbidden\nAccept: application/json").body).unwrap();
    assert_eq!(json["status"], 403);
    assert_eq!((&json["title"], &json["detail"]), (&"Forbidden".into(), &"only for <members>".into()));
    let text = ask(pages(), "GET /forbidden\nAccept: */*");
    assert!(text.body.starts_with("403 Forbidden\n\nonly for <members>\n\nRequest "), "{}", text.body);
}

#[test]
fn error_pages_are_not_sniffed_and_not_cached() {
    let head = ask(pages(), "GET /nowhere").head;
    assert!(head.contains("x-content-type-options: nosniff\n") && head.contains("cache-control: no-store\n"), "{head}");
}

/// Details only for the log, unless `show_tracebacks` is on.
#[test]
fn unexpected_errors_tell_no_details() {
    for path in ["/unexpected", "/panic"] {
        let mut answers = Vec::new();
        let records = crate::logs::capture::records("kirsch::error", || {
            answers.push(ask(pages(), &format!("GET {path}?token=1")));
            answers
                .push(ask(pages().settings("/", |settings| settings.show_tracebacks = true), &format!("GET {path}")));
        });
        assert!(
            !answers[0].body.contains("invalid digit") && !answers[0].body.contains("secret"),
            "{}",
            answers[0].body
        );
        assert!(answers[1].body.contains("invalid digit") || answers[1].body.contains("secret"), "{}", answers[1].body);
        let id = answers[0].body.rsplit("Request ").next().unwrap().trim_end().to_owned();
        let record = records.iter().find(|line| line.starts_with("ERROR")).unwrap();
        assert!(record.contains(&format!("request {id}: GET \"{path}\" ")), "{record}");
        assert!(
            record.contains("invalid digit") || record.contains("panicked: the secret of /home/user, at "),
            "{record}"
        );
    }
}

#[test]
fn a_clients_mistake_is_no_error_in_the_log() {
    let records = crate::logs::capture::records("kirsch::error", || {
        for request in ["GET /nowhere", "DELETE /ok", "GET /%00", "GET /forbidden"] {
            ask(pages(), request);
        }
        Driver::new(pages(), "GET /ok").refuse(Refusal::MissingHost);
    });
    assert_eq!(records.len(), 5);
    assert!(records.iter().all(|line| line.starts_with("DEBUG")), "{records:?}");
}

#[test]
fn fields_of_the_error_go_out() {
    assert!(ask(pages(), "GET /late").head.contains("retry-after: 7\n"));
    assert!(ask(pages(), "DELETE /ok").head.contains("allow: GET, HEAD, OPTIONS, POST\n"));
}

#[test]
fn fields_of_tools_stay_and_those_of_the_lost_content_go() {
    let head = ask(pages(), "GET /login").head;
    assert!(head.contains("set-cookie: a=b\n") && !head.contains("etag"), "{head}");
}

#[test]
fn a_redirect_is_the_same_returned_or_as_an_error() {
    for path in ["/away", "/away_as_error"] {
        let answer = ask(pages().tool_off("/", "secure_headers"), &format!("GET {path}"));
        assert_eq!((answer.status, answer.head.as_str()), (303, "location: https://example.org/?c=%C3%A9\n"));
    }
}

#[test]
fn a_redirect_cannot_split_the_response() {
    assert_eq!(ask(pages(), "GET /split").status, 500);
}

#[test]
fn statuses_that_cannot_be_are_500() {
    assert_eq!(ask(pages(), "GET /odd").status, 500);
    assert_eq!(ask(pages(), "GET /early_hints").status, 500);
}

#[test]
fn overload_runs_none_of_the_applications_code() {
    let app = pages().default_error_page(|_| -> &'static str { panic!("must not run") });
    let answer = Driver::new(app, "GET /ok").refuse(Refusal::Overloaded);
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 1\n"));
}

#[test]
fn a_body_that_is_too_large_has_a_sentence_for_visitors_and_one_for_operators() {
    let tree = || {
        Tree::new().child("in", Tree::new().page("box", |page| page.argument::<crate::Bytes>().map(|bytes| bytes.0)))
    };
    let app = |shows| {
        App::new(tree()).settings("/in", move |settings| {
            settings.max_body = 10;
            settings.show_tracebacks = shows;
        })
    };
    let visitor = ask(app(false), "POST /in/box\nContent-Length: 11");
    assert_eq!(visitor.status, 413);
    assert!(visitor.body.contains("larger than this page takes: at most 10 bytes."), "{}", visitor.body);
    assert!(!visitor.body.contains("max_body"));
    let operator = ask(app(true), "POST /in/box\nContent-Length: 11");
    assert!(operator.body.contains("`max_body` at `/in` allows 10 bytes"), "{}", operator.body);
    let mut driver = Driver::new(app(true), "POST /in/box\nTransfer-Encoding: chunked");
    assert_eq!(driver.start(), BodyPlan::Read { limit: 10, memory: 256 << 10 });
    assert!(driver.refuse(Refusal::BodyTooLarge { limit: 10 }).body.contains("`max_body` at `/in`"));
}

/// Each response has one record, wherever it was made.
#[test]
fn each_response_has_one_access_record() {
    let records = crate::logs::capture::records("kirsch::access", || {
        for request in ["GET /ok?a=1", "GET /nowhere", "GET /panic", "HEAD /ok\nUser-Agent: a\"b\nReferer: c"] {
            ask(pages(), request);
        }
        for refusal in [Refusal::MissingHost, Refusal::Overloaded] {
            Driver::new(pages(), "GET /ok").refuse(refusal);
        }
    });
    let statuses: Vec<_> =
        records.iter().map(|line| line.split("HTTP/1.1\" ").nth(1).unwrap()[..3].to_owned()).collect();
    assert_eq!(statuses, ["200", "404", "500", "200", "400", "503"]);
    assert!(records[0].starts_with("INFO kirsch::access unix - - ["), "{}", records[0]);
    assert!(records[0].contains("+0000] \"GET /ok?a=1 HTTP/1.1\" 200 4 \"-\" \"-\" "), "{}", records[0]);
    let seconds: f64 = records[0].split(' ').rev().nth(1).unwrap().parse().unwrap();
    assert!(seconds >= LASTED.as_secs_f64(), "{}", records[0]);
    assert!(records[3].contains(" \"c\" \"a\\\"b\" "), "{}", records[3]);
}

/// An error in the middle of a stream is logged with its request and ends the stream.
#[test]
fn a_stream_that_fails_ends_with_an_error() {
    for panics in [false, true] {
        let tree = Tree::new().index(move |_| {
            Stream::fallible([Ok("one"), Err(()), Ok("three")].into_iter().map(move |chunk| {
                assert!(chunk.is_ok() || !panics, "in the stream");
                chunk.map_err(|()| Error::unexpected("in the stream"))
            }))
        });
        let mut driver = Driver::new(App::new(tree), "GET /");
        driver.start();
        driver.run();
        let crate::exchange::ResponseBody::Stream(mut stream) = driver.exchange.response.take_body() else {
            panic!("no stream")
        };
        let records = crate::logs::capture::records("kirsch::error", || {
            assert_eq!(stream.next().unwrap().unwrap(), b"one");
            assert!(stream.next().unwrap().is_err());
            assert!(stream.next().is_none());
        });
        assert_eq!(records.len(), 1);
        assert!(records[0].contains("the stream broke off: ") && records[0].contains("in the stream"), "{records:?}");
    }
}

// No client can fill the log with errors.
#[test]
fn a_stream_that_its_client_breaks_is_no_error_in_the_log() {
    let tree = Tree::new().index(|_| Stream::fallible([Err::<&str, _>(Error::new(StatusCode::BAD_REQUEST, "left"))]));
    let mut driver = Driver::new(App::new(tree), "GET /");
    driver.start();
    driver.run();
    let crate::exchange::ResponseBody::Stream(mut stream) = driver.exchange.response.take_body() else {
        panic!("no stream")
    };
    let records = crate::logs::capture::records("kirsch::error", || assert!(stream.next().unwrap().is_err()));
    assert!(records.len() == 1 && records[0].starts_with("DEBUG "), "{records:?}");
}

#[test]
fn an_answer_keeps_the_fields_that_tools_have_set() {
    let mut answer = Response::new();
    answer.set_header(header::VARY, HeaderValue::from_static("*"));
    let mut response = Response::new();
    response.set_header(header::VARY, HeaderValue::from_static("Accept"));
    response.set_header(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response.give_way_to(answer);
    let fields: Vec<_> =
        response.headers().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(fields, ["x-frame-options: DENY", "vary: *"]);
}

#[test]
fn causes_are_logged_to_the_root() {
    let inner = "x".parse::<u8>().unwrap_err();
    assert!(inner.source().is_none());
    let outer = std::io::Error::other(std::io::Error::other(inner));
    assert!(crate::logs::causes(&outer.into()).contains("invalid digit"));
}

/// RFC 9110, section 15.5.6.
#[test]
fn a_405_names_the_methods_of_the_page_but_for_the_one_it_refuses() {
    let refuse = |_: &mut crate::publish::PageCall<'_>| StatusCode::METHOD_NOT_ALLOWED;
    let app = || App::new(Tree::new().page_for(MethodSet::GET.with(MethodSet::PUT), "song", refuse));
    assert!(ask(app(), "PUT /song").head.contains("allow: GET, HEAD, OPTIONS\n"));
    assert!(ask(app(), "GET /song").head.contains("allow: OPTIONS, PUT\n"));
    assert!(ask(app(), "DELETE /song").head.contains("allow: GET, HEAD, OPTIONS, PUT\n"));
}

#[test]
fn references_are_always_encoded_and_a_tab_is_the_programs_error() {
    let tree = Tree::new()
        .page("field", |page| {
            page.response().set_header(header::LOCATION, HeaderValue::from_static("/a b\\c"));
            StatusCode::CREATED
        })
        .page("tuple", |_| (StatusCode::FOUND, [(header::LOCATION, "/a b\\c")], ""))
        .page("error", |_| {
            let error = HttpError::new(StatusCode::CONFLICT, "");
            Err::<(), _>(Error::from(error.with_header(header::LOCATION, HeaderValue::from_static("/a b\\c"))))
        })
        .page("tab", |_| (StatusCode::FOUND, [(header::LOCATION, "/\t/evil.example")], ""))
        .page("link", |_| ([(header::LINK, "</\t/evil.example>; rel=next")], ""))
        .page("tab_in_error", |_| {
            let error = HttpError::new(StatusCode::CONFLICT, "");
            Err::<(), _>(Error::from(error.with_header(header::LOCATION, HeaderValue::from_static("/\t"))))
        });
    let client = crate::testing::Client::in_process(App::new(tree));
    for path in ["/field", "/tuple", "/error"] {
        client.get(path).send().assert_header("location", "/a%20b%5Cc");
    }
    for path in ["/tab", "/link", "/tab_in_error"] {
        client.get(path).send().assert_status(500).assert_no_header("location").assert_no_header("link");
    }
}

#[test]
fn no_text_of_application_or_client_begins_a_line_of_the_log() {
    const HOSTILE: &str = "one\r\ntwo\u{1b}[2J\u{85}three\u{2028}four\u{202e}";
    let tree = Tree::new()
        .page("fails", |_| Err::<(), _>(Error::unexpected(HOSTILE)))
        .page("caused", |_| Err::<(), _>(Error::from(std::io::Error::other(HOSTILE))))
        .page("panics", |_| -> &'static str { panic!("{HOSTILE}") })
        .page("refuses", |_| Err::<(), _>(Error::new(StatusCode::CONFLICT, HOSTILE)))
        .page("moves", |_| Redirect::to(HOSTILE))
        .page("streams", |_| Stream::fallible(std::iter::once(Err::<Vec<u8>, _>(Error::unexpected(HOSTILE)))))
        .default(|page| Err::<(), _>(Error::unexpected(page.request().path().to_owned())));
    let client = crate::testing::Client::in_process(App::new(tree).tool("/", crate::tools::LogHeaders::new()));
    for path in ["/fails", "/caused", "/panics", "/refuses", "/moves", "/streams", "/a%0Ab%1B%C2%85%E2%80%A8"] {
        let ask = || drop(client.get(path).header("user-agent", "a\tb\u{202e}").send_streaming());
        let records = crate::logs::capture::records("kirsch", ask);
        assert!(!records.is_empty(), "{path}");
        for record in records {
            let lines = record.split('\n').skip(1);
            assert!(lines.clone().all(|line| line.starts_with("  ")), "{path}: {record:?}");
            let is_plain = |character: char| !(character.is_control() && character != '\n');
            assert!(record.chars().all(is_plain) && !record.contains(['\u{2028}', '\u{202e}']), "{path}: {record:?}");
        }
    }
}
