//! What the application sees of a request: its dictionary and its body.

use crate::{app, chunked, client, python};
use kirsch::exchange::Login;
use kirsch::testing::Client;
use kirsch::{App, HookPoint, Hooks, Method, Sessions, Tool, Tree};

#[test]
fn the_environment_is_that_of_pep_3333() {
    let client = client();
    let request = client.get("/p/environ/%C3%A4%2F?a=%20b").header("X-Two", "1").header("X-Two", "2");
    let request =
        request.header("Proxy", "evil").header("X_Under", "x").header("Cookie", "a=1").header("Cookie", "b=2");
    let response = request.header("Content-Type", "text/x").send();
    response.assert_status(200).assert_header("content-type", "text/plain; charset=utf-8");
    let host = client.address().expect("a socket").port().to_string();
    for line in [
        "SCRIPT_NAME='/p'",
        "PATH_INFO='/environ/Ã¤/'",
        "QUERY_STRING='a=%20b'",
        "REQUEST_URI='/p/environ/%C3%A4%2F?a=%20b'",
        "REQUEST_METHOD='GET'",
        "CONTENT_TYPE='text/x'",
        "HTTP_X_TWO='1, 2'",
        "HTTP_COOKIE='a=1; b=2'",
        "REMOTE_ADDR='127.0.0.1'",
        "SERVER_NAME='127.0.0.1'",
        &format!("SERVER_PORT='{host}'"),
        "SERVER_PROTOCOL='HTTP/1.1'",
        "wsgi.url_scheme='http'",
        "wsgi.version=(1, 0)",
        "wsgi.multithread=True",
        "wsgi.multiprocess=False",
        "wsgi.run_once=False",
    ] {
        response.assert_contains(&format!("{line}\n"));
    }
    for absent in ["HTTP_PROXY", "UNDER", "HTTP_CONTENT", "CONTENT_LENGTH", "REMOTE_USER"] {
        response.assert_lacks(absent);
    }
}

#[test]
fn a_field_and_a_path_beyond_ascii_are_latin_1() {
    let client = client();
    let mut raw = client.raw();
    raw.send(b"GET /p/environ/%C3%A4%20%25 HTTP/1.1\r\nHost: a\r\nX-Latin: caf\xe9\r\n\r\n");
    let response = raw.read_response();
    response.assert_contains("HTTP_X_LATIN='caf\u{e9}'").assert_contains("PATH_INFO='/environ/\u{c3}\u{a4} %'");
}

#[test]
fn the_mount_is_the_application_with_and_without_a_slash() {
    let client = Client::over_socket(App::new(Tree::new()).mount("/old", python("pages:paths")));
    for (path, said) in [
        ("/old", "'/old' ''"),
        ("/old/", "'/old' '/'"),
        ("/old//x", "'/old' '/x'"),
        ("/old/x%2Fy%252F/", "'/old' '/x/y%2F/'"),
        ("/old/x//y", "'/old' '/x//y'"),
    ] {
        client.get(path).send().assert_status(200).assert_text(said);
    }
}

/// Lets everybody in under one name.
struct Doorman;

impl Tool for Doorman {
    fn name(&self) -> &'static str {
        "doorman"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.provides("login");
        hooks.at(HookPoint::OnStartResource, |exchange| drop(exchange.values.insert(Login::new("anna"))));
    }
}

#[test]
fn it_sees_who_has_logged_in_and_shares_the_session() {
    let app = app(python("pages:application")).tool("/", Doorman).tool("/", Sessions::in_memory());
    let client = Client::over_socket(app);
    client.get("/p/environ").send().assert_contains("REMOTE_USER='anna'").assert_status(200);
}

#[test]
fn it_answers_every_method_and_is_under_its_mount_alone() {
    let client = client();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        client.request(method, "/p/hello").send().assert_status(200).assert_text("Hello from Python");
    }
    client.get("/native").send().assert_text("Hello from Rust");
    client.get("/elsewhere").send().assert_status(404);
    client.head("/p/hello").send().assert_status(200).assert_header("content-length", "17");
}

#[test]
fn bodies_are_read_in_any_way() {
    let client = client();
    client.post("/p/read").body(vec![b'x'; 300_000]).send().assert_text("300000");
    client.get("/p/read").send().assert_text("0");
    client.post("/p/read_some").body("some text").send().assert_text("some text");
    let lines = client.post("/p/lines").body("ab\ncdefgh\ni\nj\nk\nl").send();
    lines.assert_text("[b'ab\\n', b'cd', b'efg', [b'h\\n', b'i\\n'], [b'j\\n', b'k\\n', b'l']]");
}

#[test]
fn a_body_without_a_length_ends() {
    let piece = vec![b'x'; 1024 * 1024];
    let client = client();
    let mut raw = chunked(&client, "/p/read", &[&piece[..]; 5]);
    raw.send("0\r\n\r\n").read_response().assert_text("5242880");
}

#[test]
fn a_body_that_was_read_is_empty_from_then_on() {
    let client = client();
    let rest = "b'', b'', b'', [], []]";
    let whole = client.post("/p/read_again").body("ab\nc").send();
    whole.assert_text(&format!("[b'ab\\nc', {rest} 4 True"));
    let mut raw = chunked(&client, "/p/read_again", &[b"ab", b"c"]);
    raw.send("0\r\n\r\n").read_response().assert_text(&format!("[b'abc', {rest} None True"));
}

#[test]
fn a_client_that_waits_for_100_is_told_when_the_body_is_read() {
    let client = client();
    let mut raw = client.raw();
    raw.send("POST /p/read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(raw.read_interim(), 100);
    raw.send("abc").read_response().assert_text("3");
}

#[test]
fn a_response_may_begin_before_the_body_of_the_request_has_come() {
    let client = client();
    let mut raw = chunked(&client, "/p/echo", &[b"one\n"]);
    raw.read_response_to_head().assert_status(200);
    raw.send("4\r\ntwo\n\r\n0\r\n\r\n");
    let all = String::from_utf8(raw.read_to_end()).expect("text");
    assert!(all.contains("one\n") && all.contains("two\n") && all.ends_with("0\r\n\r\n"), "{all}");
}

#[test]
fn a_body_beyond_the_limit_is_413_unless_the_application_answers() {
    let app = app(python("pages:application")).settings("/p", |settings| settings.max_body = 1000);
    let client = Client::over_socket(app);
    client.post("/p/read").body(vec![0; 2000]).send().assert_status(413);
    let send = |path| {
        let mut raw = chunked(&client, path, &[&[b'x'; 2000]]);
        raw.send("0\r\n\r\n").read_response()
    };
    send("/p/read").assert_status(413);
    send("/p/answers_anyway").assert_status(200).assert_contains("no matter");
}

#[test]
fn a_client_that_is_there_is_not_gone() {
    client().get("/p/gone").send().assert_text("False");
}
