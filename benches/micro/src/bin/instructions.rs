//! Answers so many requests of one kind and ends: what `benches/instructions` counts the instructions of.

use micro_benches::{BROWSER, Line, PLAIN, cookie_of, counter, get, plain_app, site};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, count] = &arguments[..] else { return usage() };
    let Ok(count) = count.parse() else { return usage() };
    let (mut line, request) = match kind.as_str() {
        "plain" => (Line::to(plain_app()), PLAIN.to_vec()),
        "browser" => (Line::to(site()), BROWSER.to_vec()),
        "arguments" => (Line::to(site()), get("/five/1/2?c=&e=0.5", "")),
        "deep" => (Line::to(site()), get(&("/below".repeat(5) + "/page"), "")),
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

fn usage() -> ExitCode {
    eprintln!("usage: instructions plain|browser|arguments|deep|session COUNT");
    ExitCode::from(2)
}
