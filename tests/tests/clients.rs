//! Every kind of response, read by clients that others have written: `ureq`, `curl` and Python's `http.client`.
//!
//! The clients ask for the same pages, over one connection as far as they can, and hand over status and content. If a
//! client finds a mistake in a response (a length that does not hold, a body where none may be, a chunk without its
//! end), it reports an error.

use kirsch::{Redirect, StatusCode, prelude::*, testing::Client};
use std::{
    io::{ErrorKind, Write},
    process::{Command, Output, Stdio},
    time::Duration,
};

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> &'static str {
        "here"
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
    fn large(&self) -> Vec<u8> {
        large()
    }

    #[expose]
    fn stream(&self) -> Stream {
        Stream::new(["one", "", "two", "three"])
    }

    #[expose]
    fn away(&self) -> Redirect {
        Redirect::to("/")
    }

    #[expose]
    fn broken(&self) -> kirsch::Result {
        Err(Error::unexpected("it is meant to fail"))
    }

    #[expose]
    fn echo(&self, body: Bytes) -> Vec<u8> {
        body.0
    }

    /// Does not read the body that comes.
    #[expose(put)]
    fn upload(&self, _body: Body) -> Redirect {
        Redirect::to("/")
    }

    /// The client's end of the connection.
    #[expose]
    fn connection(&self, request: &Request) -> String {
        request.connection().peer.to_string()
    }
}

fn large() -> Vec<u8> {
    (0..4u32 << 20).map(|number| number.to_le_bytes()[1]).collect()
}

/// The responses that a client must have understood.
enum Content {
    Is(&'static [u8]),
    Large,
    /// An error page, in a type that the client prefers.
    APage,
}

struct Case {
    method: &'static str,
    path: &'static str,
    status: u16,
    content: Content,
}

const fn case(method: &'static str, path: &'static str, status: u16, content: Content) -> Case {
    Case { method, path, status, content }
}

const CASES: &[Case] = &[
    case("GET", "/", 200, Content::Is(b"here")),
    case("HEAD", "/", 200, Content::Is(b"")),
    case("GET", "/nothing", 204, Content::Is(b"")),
    case("GET", "/unchanged", 304, Content::Is(b"")),
    case("GET", "/large", 200, Content::Large),
    case("HEAD", "/large", 200, Content::Is(b"")),
    case("GET", "/stream", 200, Content::Is(b"onetwothree")),
    case("HEAD", "/stream", 200, Content::Is(b"")),
    case("GET", "/missing", 404, Content::APage),
    case("HEAD", "/missing", 404, Content::Is(b"")),
    case("GET", "/broken", 500, Content::APage),
    case("GET", "/away", 303, Content::Is(b"")),
    case("POST", "/echo", 200, Content::Is(b"sent")),
    case("DELETE", "/", 405, Content::APage),
    case("GET", "/", 200, Content::Is(b"here")),
];

impl Case {
    #[track_caller]
    fn check(&self, status: u16, content: &[u8]) {
        let Self { method, path, .. } = self;
        assert_eq!(status, self.status, "{method} {path}");
        let right = match self.content {
            Content::Is(expected) => content == expected,
            Content::Large => content == large(),
            Content::APage => String::from_utf8_lossy(content).contains(&status.to_string()),
        };
        let shown = String::from_utf8_lossy(&content[..content.len().min(200)]);
        assert!(right, "{method} {path}: {} bytes, {shown:?}", content.len());
    }
}

/// A server, and its address.
fn server() -> (Client, String) {
    let client = Client::over_socket(App::new(Pages));
    let address = client.address().expect("it has a socket").to_string();
    (client, address)
}

/// Runs a program; reports a missing program, and the output of one that failed.
#[track_caller]
fn run(program: &str, package: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("this test needs the program `{program}`; install it with `apt-get install {package}`")
        }
        Err(error) => panic!("`{program}` cannot be started: {error}"),
    };
    // It may end without having read its input.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it was started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}: {said}", output.status);
    output
}

fn curl(arguments: &[&str]) -> Output {
    let common = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"];
    run("curl", "curl", &[&common, arguments].concat(), "")
}

/// A server that speaks HTTP/2 as well, and its address.
fn server_of_http2() -> (Client, String) {
    let client = Client::over_http2(App::new(Pages));
    let address = client.address().expect("it has a socket").to_string();
    (client, address)
}

/// Asks for all cases by curl, with these arguments more.
fn cases_by_curl(arguments: &[&str]) {
    let (_client, address) = server_of_http2();
    for case in CASES {
        let url = format!("http://{address}{}", case.path);
        let method: &[&str] = match case.method {
            "HEAD" => &["--head", "--output", "/dev/null"],
            "POST" => &["--data", "sent"],
            other => &["--request", other],
        };
        let output = curl(&[arguments, method, &["--write-out", "%{stderr}%{http_code}", &url]].concat());
        let status = String::from_utf8_lossy(&output.stderr).parse().expect("a status");
        case.check(status, &output.stdout);
    }
}

#[test]
fn curl_understands_every_kind_of_response() {
    cases_by_curl(&["--http1.1"]);
}

#[test]
fn curl_understands_every_kind_of_response_in_http_1_0() {
    cases_by_curl(&["--http1.0"]);
    cases_by_curl(&["--http1.0", "--header", "Connection: keep-alive"]);
}

#[test]
fn curl_understands_every_kind_of_response_in_http_2() {
    cases_by_curl(&["--http2-prior-knowledge"]);
    // What it offers by `Upgrade` is not taken.
    cases_by_curl(&["--http2"]);
}

#[test]
fn curl_keeps_its_connection() {
    let (_client, address) = server();
    let urls: Vec<_> = ["/", "/stream", "/nothing", "/missing", "/large", "/away", "/"]
        .map(|path| format!("http://{address}{path}"))
        .into();
    let mut arguments = vec!["--write-out", "%{stderr}%{num_connects}"];
    for url in &urls {
        arguments.extend(["--output", "/dev/null", url]);
    }
    assert_eq!(String::from_utf8_lossy(&curl(&arguments).stderr), "1000000");
}

// Curl waits for 100 before a large body, and does not get it here. Told not to wait, it is in the middle of its
// upload.
#[test]
fn curl_gets_an_early_answer_to_its_upload() {
    let (_client, address) = server();
    let url = format!("http://{address}/upload");
    let file = std::env::temp_dir().join(format!("kirsch-upload-{}", std::process::id()));
    std::fs::write(&file, vec![b'x'; 10 << 20]).expect("a temporary file");
    let path = file.to_str().expect("a path of text");
    for expect in ["Expect: 100-continue", "Expect:"] {
        let answer = curl(&["--header", expect, "--upload-file", path, "--write-out", "%{stderr}%{http_code}", &url]);
        assert_eq!(String::from_utf8_lossy(&answer.stderr), "303", "{expect}");
    }
    std::fs::remove_file(file).expect("it is there");
}

/// Asks for each line of its input over one connection, and writes status and length on a line, then the content.
const PYTHON: &str = r"
import http.client, sys
address, version, cases = sys.argv[1], sys.argv[2], sys.argv[3].split()
connection = http.client.HTTPConnection(address, timeout=20)
connection._http_vsn, connection._http_vsn_str = int(version.replace('.', '')), 'HTTP/' + version
fields = {'Connection': 'keep-alive'} if version == '1.0' else {}
for case in cases:
    method, path = case.split(':')
    body = {'POST': b'sent', 'PUT': b'x' * 10485760}.get(method)
    connection.request(method, path, body=body, headers=fields)
    response = connection.getresponse()
    content = response.read()
    sys.stdout.buffer.write(b'%d %d\n' % (response.status, len(content)) + content)
";

/// The answers that Python gets to these cases.
fn by_python(address: &str, version: &str, cases: &[(&str, &str)]) -> Vec<(u16, Vec<u8>)> {
    let cases: Vec<_> = cases.iter().map(|(method, path)| format!("{method}:{path}")).collect();
    let output = run("python3", "python3", &["-", address, version, &cases.join(" ")], PYTHON).stdout;
    let (mut answers, mut rest) = (Vec::new(), &output[..]);
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).expect("a line of numbers");
        let (status, length) = line.split_once(' ').expect("two numbers");
        let (content, others) = rest[end + 1..].split_at(length.parse().expect("a length"));
        answers.push((status.parse().expect("a status"), content.to_vec()));
        rest = others;
    }
    answers
}

fn cases_by_python(version: &str) {
    let (_client, address) = server();
    let asked: Vec<_> = CASES.iter().map(|case| (case.method, case.path)).collect();
    let answers = by_python(&address, version, &asked);
    assert_eq!(answers.len(), CASES.len());
    for (case, (status, content)) in CASES.iter().zip(answers) {
        case.check(status, &content);
    }
}

#[test]
fn python_understands_every_kind_of_response() {
    cases_by_python("1.1");
}

#[test]
fn python_understands_every_kind_of_response_in_http_1_0() {
    cases_by_python("1.0");
}

#[test]
fn python_keeps_its_connection() {
    let (_client, address) = server();
    let pages = ["/connection", "/stream", "/nothing", "/unchanged", "/missing", "/large", "/connection"];
    let answers = by_python(&address, "1.1", &pages.map(|path| ("GET", path)));
    assert_eq!(answers.first(), answers.last());
}

// Python writes all of the body before it reads.
#[test]
fn python_gets_an_early_answer_to_its_upload() {
    let (_client, address) = server();
    assert_eq!(by_python(&address, "1.1", &[("PUT", "/upload")]), [(303, Vec::new())]);
}

/// Asks by ureq; redirects are not followed, and no status is an error.
fn by_ureq(agent: &ureq::Agent, method: &str, url: &str) -> (u16, Vec<u8>) {
    let request = http::Request::builder().method(method).uri(url);
    let response = match method {
        "POST" => agent.run(request.body("sent").expect("a request")),
        _ => agent.run(request.body(()).expect("a request")),
    };
    let mut response = response.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let content = response.body_mut().with_config().limit(64 << 20).read_to_vec();
    (response.status().as_u16(), content.unwrap_or_else(|error| panic!("{method} {url}: {error}")))
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    let config = config.max_redirects(0).max_redirects_will_error(false).timeout_global(Some(Duration::from_secs(20)));
    config.build().new_agent()
}

#[test]
fn ureq_understands_every_kind_of_response() {
    let ((_client, address), agent) = (server(), agent());
    for case in CASES {
        let (status, content) = by_ureq(&agent, case.method, &format!("http://{address}{}", case.path));
        case.check(status, &content);
    }
}

#[test]
fn ureq_keeps_its_connection() {
    let ((_client, address), agent) = (server(), agent());
    let connection = || by_ureq(&agent, "GET", &format!("http://{address}/connection"));
    let first = connection();
    for path in ["/", "/stream", "/nothing", "/missing", "/large"] {
        by_ureq(&agent, "GET", &format!("http://{address}{path}"));
        assert_eq!(connection(), first, "after {path}");
    }
}
