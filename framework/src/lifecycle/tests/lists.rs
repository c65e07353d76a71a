//! Fields whose value is a list, in several lines, with empty members, in any case.

use super::*;
use crate::testing::{Client, RequestBuilder};
use crate::tools::Cors;
use crate::{Tree, header};

/// A request with these fields, one in a line.
fn asked(client: &Client, line: &str, fields: &str) -> crate::testing::TestResponse {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let request = client.request(method.parse().expect("a method"), path);
    let add = |request: RequestBuilder, field: &str| {
        let (name, value) = field.split_once(": ").expect("a field");
        request.header(name, value)
    };
    fields.lines().fold(request, add).send()
}

#[test]
fn several_lines_are_one_list_and_empty_members_mean_nothing() {
    let tree = Tree::new().index(|_| ([(header::ETAG, "\"a\""), (header::ACCEPT_RANGES, "Bytes, x")], "text"));
    let client = Client::in_process(App::new(tree));
    let table = [
        ("GET /missing", "Accept: image/png\nAccept: application/json", 404, Some("application/json")),
        ("GET /missing", "Accept: , ,application/JSON,", 404, Some("application/json")),
        ("GET /", "If-None-Match: \"b\"\nIf-None-Match: , \"a\" ,", 304, None),
        ("GET /", "If-None-Match: \nIf-None-Match: \"a\"", 304, None),
        ("GET /", "If-Match: \"b\"\nIf-Match: \"a\"", 200, None),
        ("GET /", "Range: BYTES=0-1", 206, None),
        ("POST /", "Expect: , 100-Continue\nExpect: ", 200, None),
        ("POST /", "Expect: 100-continue, other", 417, None),
    ];
    for (line, fields, status, content_type) in table {
        let response = asked(&client, line, fields);
        response.assert_status(status);
        if let Some(content_type) = content_type {
            assert!(response.header("content-type").is_some_and(|said| said.starts_with(content_type)), "{fields}");
        }
    }
}

#[test]
fn a_preflight_names_its_fields_in_as_many_lines_as_it_likes() {
    let cors = Cors::new(["https://a.example"]).headers(["x-a", "x-b"]);
    let client = Client::in_process(App::new(Tree::new().index(|_| "text")).tool("/", cors));
    let fields =
        "Origin: https://a.example\nAccess-Control-Request-Method: POST\nAccess-Control-Request-Headers: ,X-A\n";
    let asked = |more: &str| asked(&client, "OPTIONS /", &format!("{fields}{more}"));
    asked("Access-Control-Request-Headers: x-b,").assert_status(204);
    asked("Access-Control-Request-Headers: x-c").assert_status(403);
    asked("Origin: https://evil.example").assert_status(403);
}
