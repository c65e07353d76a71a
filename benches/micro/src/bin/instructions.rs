//! Answers so many requests of one kind and ends, for `benches/instructions` to count.

use micro_benches::{BROWSER, Line, PLAIN, cached_app, cookie_of, counter, get, plain_app, site};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, count] = &arguments[..] else { return usage() };
    let Ok(count) = count.parse() else { return usage() };
    if kind == "socket" {
        over_a_socket(count);
        return ExitCode::SUCCESS;
    }
    let (mut line, request) = match kind.as_str() {
        "plain" => (Line::to(plain_app()), PLAIN.to_vec()),
        "metrics" => (Line::to(plain_app().metrics("/metrics")), PLAIN.to_vec()),
        "browser" => (Line::to(site()), BROWSER.to_vec()),
        "arguments" => (Line::to(site()), get("/five/1/2?c=&e=0.5", "")),
        "deep" => (Line::to(site()), get(&("/below".repeat(5) + "/page"), "")),
        "cached" => {
            let mut line = Line::to(cached_app());
            line.answer(PLAIN);
            (line, PLAIN.to_vec())
        }
        "session" => {
            let mut line = Line::to(counter());
            let cookie = cookie_of(line.answer(&get("/", "")));
            (line, get("/", &cookie))
        }
        _ => return usage(),
    };
    for _ in 0..count {
        line.answer(&request);
    }
    ExitCode::SUCCESS
}

/// The plain page by a whole server. The client is in this process, too, and nearly all of it is in the kernel.
fn over_a_socket(count: usize) {
    let running = plain_app().start("127.0.0.1:0").expect("a free port");
    let mut client = TcpStream::connect(running.address()).expect("the server listens");
    let mut response = [0; 1024];
    for _ in 0..count {
        client.write_all(PLAIN).expect("the server reads");
        let length = client.read(&mut response).expect("the server answers");
        assert!(response[..length].ends_with(b"Hello, World!"), "a whole answer");
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: instructions socket|plain|metrics|browser|arguments|deep|session|cached COUNT");
    ExitCode::from(2)
}
