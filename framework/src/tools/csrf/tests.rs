//! The promises of the tool: by origin, by token.

use super::{Csrf, CsrfToken};
use crate::publish::{Dispatcher, PathRest, Way};
use crate::testing::{Client, FormData};
use crate::tools::Proxy;
use crate::{App, Caching, Flow, HookPoint, Hooks, Method, Publish, Response, Tool, Tree, handlers};

struct Bank;

#[handlers]
impl Bank {
    #[expose]
    fn index(&self, token: &CsrfToken) -> String {
        token.to_string()
    }

    #[expose]
    fn plain(&self) -> &'static str {
        "plain"
    }

    #[expose(get)]
    fn statement(&self) -> &'static str {
        "30"
    }

    #[expose(post, put, delete)]
    fn transfer(&self) -> &'static str {
        "done"
    }
}

struct Late;

#[handlers]
impl Late {
    #[child]
    fn bank(&self) -> Box<dyn Publish> {
        Box::new(Bank)
    }
}

/// Answers where the tree has no page.
struct InPlace {
    expects_form: bool,
}

impl Tool for InPlace {
    fn name(&self) -> &'static str {
        "in_place"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let expects_form = self.expects_form;
        hooks.at(HookPoint::BeforeRequestBody, move |exchange| {
            if expects_form && exchange.request.path() == "/in-place" {
                exchange.expect_form();
            }
        });
        hooks.at(HookPoint::BeforeHandler, |exchange| match exchange.request.path() {
            "/in-place" => {
                let mut answer = Response::new();
                answer.set_body("in place");
                Flow::Answer(answer)
            }
            _ => Flow::Continue,
        });
    }
}

fn client(tool: Csrf) -> Client {
    Client::in_process(App::new(Bank).tool("/", tool))
}

#[track_caller]
fn check(client: &Client, fields: &[(&str, &str)], status: u16) {
    let request = client.post("/transfer").header("host", "bank.example");
    let request = fields.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.send().assert_status(status);
}

#[test]
fn where_a_request_comes_from_decides_by_the_first_field_that_is_there() {
    let client = client(Csrf::new().origins(["https://friend.example"]));
    for (fields, status) in [
        (&[("sec-fetch-site", "same-origin")][..], 200),
        (&[("sec-fetch-site", "none")], 200),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", "http://bank.example")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", "https://friend.example")], 200),
        (&[("origin", "http://bank.example")], 200),
        (&[("origin", "https://bank.example")], 200),
        (&[("origin", "http://BANK.example:80")], 200),
        (&[("origin", "http://bank.example:8080")], 403),
        (&[("origin", "http://bank.example.evil.example")], 403),
        (&[("origin", "http://bank.example@evil.example")], 403),
        (&[("origin", "null"), ("referer", "http://bank.example/")], 403),
        (&[("origin", "")], 403),
        (&[("referer", "http://bank.example/form?a=b")], 200),
        (&[("referer", "https://friend.example/")], 200),
        (&[("referer", "http://evil.example/?http://bank.example/")], 403),
        (&[], 200),
    ] {
        check(&client, fields, status);
    }
}

#[test]
fn safe_methods_always_come_through() {
    let client = client(Csrf::new().tokens(true));
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let response = client.request(method, "/plain").header("sec-fetch-site", "cross-site").send();
        assert!(response.status().is_success());
    }
    for method in [Method::PUT, Method::DELETE] {
        client.request(method, "/transfer").header("sec-fetch-site", "cross-site").send().assert_status(403);
    }
}

#[test]
fn behind_a_proxy_the_origin_is_its_clients() {
    let app = App::new(Bank).tool("/", Proxy::trusting(["loopback"]).host("X-Forwarded-Host")).tool("/", Csrf::new());
    let client = Client::over_socket(app);
    let ask = |origin| {
        let asked = client.post("/transfer").header("x-forwarded-proto", "https");
        asked.header("x-forwarded-host", "bank.example").header("origin", origin).send()
    };
    ask("https://bank.example").assert_status(200);
    ask("http://bank.example").assert_status(403);
}

#[test]
fn a_proxy_that_names_the_port_of_tls_alone_has_the_same_origin() {
    let client = client(Csrf::new());
    for (origin, status) in
        [("https://bank.example", 200), ("https://bank.example:8443", 403), ("https://evil.example", 403)]
    {
        let asked = client.post("/transfer").header("host", "bank.example:443");
        asked.header("origin", origin).send().assert_status(status);
    }
}

#[test]
fn a_token_is_good_for_its_browser_and_in_every_disguise() {
    let client = client(Csrf::new().tokens(true));
    let token = || client.get("/").send().text().to_owned();
    let (one, other) = (token(), token());
    assert_ne!(one, other);
    for token in [&one, &other] {
        client.post("/transfer").form(&[("csrf_token", token)]).send().assert_text("done");
        client.post("/transfer").header("x-csrf-token", token).send().assert_text("done");
    }
    client.new_browser().post("/transfer").form(&[("csrf_token", &one)]).send().assert_status(403);
    for wrong in ["", "0", &"0".repeat(64), &one.replace(&one[..1], "x"), &format!("{one}00")] {
        client.post("/transfer").form(&[("csrf_token", wrong)]).send().assert_status(403);
    }
}

#[test]
fn a_token_is_found_in_forms_with_files_too() {
    let client = client(Csrf::new().tokens(true));
    let token = client.get("/").send().text().to_owned();
    let form = |token: &str| FormData::new().field("csrf_token", token).file("file", "a.txt", "text/plain", b"1");
    client.post("/transfer").form_data(form(&token)).send().assert_text("done");
    client.post("/transfer").form_data(form("0")).send().assert_status(403);
}

#[test]
fn without_the_cookie_there_is_no_token() {
    let client = client(Csrf::new().tokens(true));
    // A mask that is its own disguise stands for the secret of zeros, which no browser has.
    client.post("/transfer").header("x-csrf-token", "ab".repeat(32)).send().assert_status(403);
}

#[test]
fn where_no_page_is_that_is_the_answer_and_not_the_missing_token() {
    let client = client(Csrf::new().tokens(true));
    let token = client.get("/").send().text().to_owned();
    for form in [&[][..], &[("csrf_token", "0")], &[("csrf_token", &token)]] {
        client.post("/nowhere").form(form).send().assert_status(404);
        client.post("/statement").form(form).send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS");
    }
    client.post("/nowhere").header("sec-fetch-site", "cross-site").send().assert_status(403);
}

#[test]
fn an_answer_in_place_of_a_page_needs_the_token() {
    for (expects_form, refused) in [(true, 403), (false, 404)] {
        let app = App::new(Bank).tool("/", Csrf::new().tokens(true)).tool("/", InPlace { expects_form });
        let client = Client::in_process(app);
        let token = client.get("/").send().text().to_owned();
        client.post("/in-place").send().assert_status(refused);
        client.post("/in-place").header("x-csrf-token", &token).send().assert_text("in place");
    }
}

#[test]
fn below_dispatchers_and_late_nodes_nothing_runs_without_the_token() {
    let dispatcher = Dispatcher::new(|_: &mut PathRest<'_>| Way::child(0)).child("", Bank);
    let tree = Tree::new().child("dispatched", dispatcher).child("late", Late).child("bank", Bank);
    let client = Client::in_process(App::new(tree).tool("/", Csrf::new().tokens(true)));
    let token = client.get("/bank/").send().text().to_owned();
    for (path, elsewhere) in [("/dispatched", 404), ("/late/bank", 403)] {
        client.post(&format!("{path}/transfer")).send().assert_status(403);
        client.post(&format!("{path}/transfer")).form(&[("csrf_token", &token)]).send().assert_text("done");
        client.post(&format!("{path}/nowhere")).send().assert_status(elsewhere);
    }
}

#[test]
fn a_page_that_does_not_look_at_the_token_gets_no_cookie() {
    let client = client(Csrf::new().tokens(true));
    client.get("/plain").send().assert_no_header("set-cookie").assert_no_header("cache-control");
    let page = client.get("/").send();
    page.assert_header("cache-control", "private, no-cache");
    assert!(page.header("set-cookie").is_some_and(|cookie| cookie.ends_with("; HttpOnly; SameSite=Lax")));
    client.get("/").send().assert_no_header("set-cookie");
}

#[test]
fn a_page_with_a_token_is_in_no_shared_cache() {
    let client = Client::in_process(App::new(Bank).tool("/", Csrf::new()).tool("/", Caching::new()));
    let first = client.get("/").send().text().to_owned();
    assert_ne!(client.new_browser().get("/").send().text(), first);
}

#[test]
fn a_path_may_be_left_out_and_a_wrong_set_up_stops_the_start() {
    let app = App::new(Tree::new().page("hook", |_| "heard")).tool("/", Csrf::new()).tool_off("/hook", "csrf");
    Client::in_process(app).post("/hook").header("origin", "https://other.example").send().assert_text("heard");
    let problem = |tool| App::new(Tree::new()).tool("/", tool).build().unwrap_err().to_string();
    assert!(problem(Csrf::new().origins(["bank.example"])).contains("write origins"));
    assert!(problem(Csrf::new().header("X CSRF")).contains("cannot be the name of a field"));
    assert!(App::new(Bank).build().unwrap_err().to_string().contains("needs the tool `csrf`"));
}

#[test]
fn a_planted_cookie_does_not_make_the_tokens_of_the_right_one_wrong() {
    let client = client(Csrf::new().tokens(true));
    let token = client.get("/").send().text().to_owned();
    let own = client.cookie("csrf").expect("the secret");
    let post = |cookies: String| {
        client.new_browser().post("/transfer").header("cookie", cookies).form(&[("csrf_token", &token)]).send()
    };
    for planted in ["x", &"0".repeat(32), &"ab".repeat(16)] {
        post(format!("csrf={planted}; csrf={own}")).assert_text("done");
        post(format!("csrf={planted}")).assert_status(403);
    }
}
