//! One funnel for errors: wherever they come from, they become one page in the form that the client accepts, and tell
//! no secrets.

use integration_tests::both;
use kirsch::exchange::HttpError;
use kirsch::prelude::*;
use kirsch::testing::{Client, TestResponse};
use std::fs;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn forbidden(&self) -> kirsch::Result {
        Err(Error::new(StatusCode::FORBIDDEN, "only for <members>"))
    }

    #[expose]
    fn unexpected(&self) -> kirsch::Result<String> {
        let number: u32 = "the secret of the database".parse()?;
        Ok(number.to_string())
    }

    #[expose]
    fn panic(&self) -> &'static str {
        panic!("the secret of the database")
    }

    #[expose]
    fn busy(&self) -> kirsch::Result {
        let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "");
        Err(error.with_header(kirsch::header::RETRY_AFTER, kirsch::HeaderValue::from_static("300")).into())
    }

    #[expose]
    fn pay(&self) -> Result<(), Problem> {
        let problem = Problem::new(StatusCode::FORBIDDEN).with_type("https://bank.example/out-of-credit");
        Err(problem.with_title("No <credit>").with_detail("The balance is 30.").with_member("balance", 30))
    }

    #[expose]
    fn echo(&self, body: Bytes) -> Vec<u8> {
        body.0
    }
}

fn pages() -> App {
    App::new(Pages)
}

#[test]
fn an_error_page_comes_in_the_form_that_the_client_accepts() {
    both(pages, |client| {
        for (accept, media_type) in [
            ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
            ("application/json", "application/json"),
            ("*/*", "text/plain; charset=utf-8"),
        ] {
            let page = client.get("/forbidden").header("Accept", accept).send();
            page.assert_status(403).assert_header("content-type", media_type).assert_contains("only for");
        }
    });
}

// Text in HTML is escaped.
#[test]
fn messages_are_escaped_in_html() {
    both(pages, |client| {
        let page = client.get("/forbidden").header("Accept", "text/html").send();
        page.assert_contains("&lt;members&gt;").assert_lacks("<members>");
    });
}

// No details for strangers, but a number to quote.
#[test]
fn an_unexpected_error_tells_no_details() {
    both(pages, |client| {
        for path in ["/unexpected", "/panic"] {
            client
                .get(path)
                .send()
                .assert_status(500)
                .assert_lacks("secret")
                .assert_lacks("panicked")
                .assert_contains("Request");
        }
    });
}

// One place for all errors, the router's too.
#[test]
fn the_applications_own_page_is_used_for_every_error() {
    let app = || {
        App::new(Pages).default_error_page(|page: &kirsch::lifecycle::ErrorPage<'_>| {
            format!("our page for {}", page.status.as_u16())
        })
    };
    both(app, |client| {
        client.get("/nowhere").send().assert_status(404).assert_text("our page for 404");
        client.get("/panic").send().assert_status(500).assert_text("our page for 500");
        client.put("/panic").send().assert_status(405).assert_text("our page for 405");
    });
}

// An error page that fails falls back once.
#[test]
fn an_error_page_that_panics_falls_back_to_the_built_in_one() {
    let app = || {
        App::new(Pages).error_page(StatusCode::NOT_FOUND, |_: &kirsch::lifecycle::ErrorPage<'_>| -> &'static str {
            panic!("in the error page")
        })
    };
    both(app, |client| {
        client.get("/nowhere").send().assert_status(404).assert_contains("Request").assert_lacks("in the error page");
        client.get("/forbidden").send().assert_status(403);
    });
}

fn json(answer: &TestResponse) -> serde_json::Value {
    serde_json::from_str(answer.text()).expect("JSON")
}

fn refusal(app: App) -> String {
    app.build().map(drop).expect_err("a wrong set-up").to_string()
}

// A client that asks for problem details gets them, and so does every client where the path says so.
#[test]
fn an_error_is_problem_json_for_clients_that_ask_and_on_paths_that_say_so() {
    both(pages, |client| {
        let answer = client.get("/forbidden?a=1").header("Accept", "application/problem+json").send();
        let problem = json(answer.assert_header("content-type", "application/problem+json"));
        assert_eq!((&problem["type"], &problem["title"]), (&"about:blank".into(), &"Forbidden".into()));
        assert_eq!((&problem["status"], &problem["instance"]), (&403.into(), &"/forbidden".into()));
        assert_eq!(problem["detail"], "only for <members>");
        assert_eq!(problem["request_id"], answer.header("x-request-id").unwrap());
    });
    let app = || pages().config_str("[\"/\"]\nerrors = \"text\"\n[\"/forbidden\"]\nerrors = \"problem\"");
    both(app, |client| {
        let browser = |path| client.get(path).header("Accept", "text/html").send();
        browser("/forbidden").assert_header("content-type", "application/problem+json");
        browser("/nowhere").assert_header("content-type", "text/plain; charset=utf-8");
    });
}

#[test]
fn a_problem_has_the_handlers_members() {
    both(pages, |client| {
        let problem = json(
            client.get("/pay").send().assert_status(403).assert_header("content-type", "application/problem+json"),
        );
        assert_eq!(problem["type"], "https://bank.example/out-of-credit");
        assert_eq!((&problem["title"], &problem["balance"]), (&"No <credit>".into(), &30.into()));
        let page = client.get("/pay").header("Accept", "text/html").send();
        page.assert_contains("No &lt;credit&gt;").assert_contains("<p>The balance is 30.</p>").assert_lacks("<credit>");
    });
}

#[test]
fn a_member_does_not_replace_those_of_the_rfc() {
    let tree =
        Tree::new().index(|_| Problem::new(StatusCode::CONFLICT).with_member("status", 200).with_member("type", "x"));
    let problem = json(&Client::in_process(App::new(tree)).get("/").send());
    assert_eq!((&problem["status"], &problem["type"]), (&409.into(), &"about:blank".into()));
}

#[test]
fn the_wait_of_retry_after_is_told_in_words() {
    both(pages, |client| {
        let page = client.get("/busy").send();
        page.assert_header("retry-after", "300").assert_contains("Please try again in 5 minutes.");
        assert_eq!(json(&client.get("/busy").header("Accept", "application/json").send())["retry_after"], 300);
    });
}

// A number to quote, also for programs that look at no page.
#[test]
fn the_number_of_the_request_is_on_every_error_page_and_in_a_field() {
    both(pages, |client| {
        for path in ["/forbidden", "/panic", "/nowhere"] {
            let page = client.get(path).send();
            page.assert_contains(&format!("Request {}", page.header("x-request-id").unwrap()));
        }
        assert!(client.head("/nowhere").send().header("x-request-id").is_some());
        assert!(client.post("/echo").body("x").send().header("x-request-id").is_none());
    });
}

#[test]
fn the_deepest_section_decides_about_the_error_page() {
    let app = || {
        pages()
            .error_pages("/", |pages| pages.template(StatusCode::NOT_FOUND, "root 404"))
            .error_pages("/a", |pages| pages.template(StatusCode::FORBIDDEN, "a 403"))
            .error_pages("/a/b", |pages| pages.default_template("b default"))
            .error_pages("/a/b", |pages| pages.template(StatusCode::METHOD_NOT_ALLOWED, "b 405"))
    };
    both(app, |client| {
        for (path, page) in [("/x", "root 404"), ("/a/x", "root 404"), ("/a/b/x", "b default"), ("/ab", "root 404")] {
            client.get(path).send().assert_status(404).assert_text(page);
        }
        client.get("/forbidden").send().assert_status(403).assert_contains("only for");
    });
}

#[test]
fn a_section_that_says_another_form_has_no_pages_of_another_form() {
    let app = || pages().default_error_page(|_| "ours").config_str("[\"/api\"]\nerrors = \"json\"");
    both(app, |client| {
        client.get("/x").send().assert_text("ours");
        client.get("/api/x").send().assert_header("content-type", "application/json");
    });
}

#[test]
fn a_template_is_filled_in_and_escaped() {
    let app = || {
        pages().error_pages("/", |pages| {
            pages.default_template("<style>p{a:b}</style>{status} {title}: {message} {{status}}");
        })
    };
    both(app, |client| {
        let page = client.get("/forbidden").send();
        page.assert_header("content-type", "text/html; charset=utf-8");
        page.assert_text("<style>p{a:b}</style>403 Forbidden: only for &lt;members&gt; {status}");
        client
            .get("/forbidden")
            .header("Accept", "application/json")
            .send()
            .assert_header("content-type", "application/json");
    });
}

#[test]
fn a_page_in_a_file_is_read_again_when_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("404.html");
    fs::write(&path, "one {status}").unwrap();
    let text =
        format!("[\"/\"]\nerror_pages.404 = {path:?}\nerror_pages.default = {{ template = \"all {{status}}\" }}");
    let client = Client::in_process(pages().config_str(text));
    client.get("/nowhere").send().assert_text("one 404");
    client.get("/forbidden").send().assert_text("all 403");
    fs::write(&path, "another {status}").unwrap();
    client.get("/nowhere").send().assert_text("another 404");
    fs::write(&path, "with a mistake {statsu}").unwrap();
    client.get("/nowhere").send().assert_text("another 404");
    fs::remove_file(&path).unwrap();
    client.get("/nowhere").send().assert_status(404).assert_text("another 404");
    fs::write(&path, "back").unwrap();
    client.get("/nowhere").send().assert_text("back");
}

#[test]
fn a_json_page_in_a_file_is_escaped_for_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.json");
    fs::write(&path, "{\"said\": \"{message}\"}").unwrap();
    let tree = Tree::new().index(|_| Err::<(), _>(Error::new(StatusCode::CONFLICT, "a \"b\"\n<c>")));
    let app = App::new(tree).error_pages("/", move |pages| pages.default_file(&path));
    let answer = Client::in_process(app).get("/").header("Accept", "application/json").send();
    assert_eq!(json(answer.assert_header("content-type", "application/json"))["said"], "a \"b\"\n<c>");
}

#[test]
fn wrong_error_pages_are_refused_at_start_with_place_and_remedy() {
    let file = |text: &str| refusal(pages().config_str(format!("[\"/shop\"]\n{text}")));
    let table = [
        ("error_pages.404 = \"no/such.html\"", "no/such.html\" cannot be read: No such file"),
        ("error_pages.200 = \"a\"", "200 is not the status of an error: 400 to 599"),
        (
            "error_pages.missing = \"a\"",
            "`error_pages.missing` is not the status of an error: write a number from 400 to 599, or `default`",
        ),
        ("error_pages.404 = 7", "`error_pages.404` is 7; it must be the name of a file, or { template = \"…\" }"),
        ("error_pages = \"a\"", "`error_pages` is \"a\"; it must be a table"),
        (
            "error_pages.404 = { template = \"{mesage}\" }",
            "the error pages at `/shop`: 404: line 1: `{mesage}` is not a placeholder",
        ),
        (
            "errors = \"xml\"",
            "`errors` is \"xml\"; it must be one of \"auto\", \"html\", \"json\", \"problem\", \"text\"",
        ),
        ("error_page.404 = \"a\"", "did you mean `error_pages`?"),
    ];
    for (text, message) in table {
        let refused = file(text);
        assert!(
            refused.starts_with("the configuration: line 2: [\"/shop\"]: ") && refused.contains(message),
            "{text}\n{refused}"
        );
    }
    let code = refusal(pages().error_pages("/shop", |pages| pages.template(StatusCode::OK, "")));
    assert_eq!(code, "the application: the error pages at `/shop`: 200 is not the status of an error: 400 to 599");
}

// The built-in page has a style of its own and no script.
#[test]
fn the_built_in_page_has_a_policy_that_lets_it_be_seen_and_do_nothing() {
    let strict = tools::SecureHeaders::new().content_security_policy("default-src 'self'");
    let client = Client::in_process(pages().tool("/", strict));
    let policy = client.get("/nowhere").header("Accept", "text/html").send();
    let policy = policy.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'; "), "{policy}");
    client.get("/nowhere").send().assert_header("content-security-policy", "default-src 'self'");
}

#[test]
fn a_page_names_its_status_as_the_status_line_does() {
    for status in [StatusCode::NOT_FOUND, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY] {
        let tree = Tree::new().index(move |_| Err::<(), _>(Error::new(status, "")));
        let answer = Client::over_socket(App::new(tree))
            .raw()
            .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .read_to_end();
        let answer = String::from_utf8(answer).unwrap();
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.lines().next().unwrap().strip_prefix("HTTP/1.1 "), page.lines().next());
    }
}

// Even if the application's code fails while its error is reported.
#[test]
fn an_error_that_panics_when_it_is_told_is_500_and_the_worker_lives() {
    #[derive(Debug)]
    struct Untold;
    impl std::fmt::Display for Untold {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("not a word")
        }
    }
    impl std::error::Error for Untold {}
    for debug_page in [false, true] {
        let tree = || Tree::new().index(|_| Err::<(), _>(Error::from(Untold))).page("ok", |_| "fine");
        let app = move || App::new(tree()).threads(1).settings("/", move |settings| settings.debug_page = debug_page);
        both(app, |client| {
            client.get("/").send().assert_status(500);
            client.get("/ok").send().assert_text("fine");
        });
    }
}

#[test]
fn hooks_know_the_failure_until_the_end_of_the_request() {
    struct Watch(std::sync::mpsc::Sender<String>);
    impl Tool for Watch {
        fn name(&self) -> &'static str {
            "watch"
        }
        fn attach(&self, hooks: &mut Hooks) {
            for point in [HookPoint::BeforeErrorResponse, HookPoint::AfterErrorResponse, HookPoint::OnEndRequest] {
                let sender = self.0.clone();
                hooks.at(point, move |exchange| {
                    let failure = exchange.failure().map(ToString::to_string);
                    let _ = sender.send(format!("{point:?} {}", failure.unwrap_or_default()));
                });
            }
        }
    }
    let (sender, seen) = std::sync::mpsc::channel();
    let client = Client::over_socket(pages().tool("/", Watch(sender)));
    client.get("/unexpected").send().assert_status(500);
    let seen: Vec<_> = (0..3).map(|_| seen.recv().expect("three hooks run")).collect();
    let digit = "invalid digit found in string";
    assert_eq!(
        seen,
        [
            format!("BeforeErrorResponse {digit}"),
            format!("AfterErrorResponse {digit}"),
            format!("OnEndRequest {digit}")
        ]
    );
}
