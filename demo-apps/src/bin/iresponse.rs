//! Run with `cargo run --release --bin iresponse http://127.0.0.1:8080/chunks` while `chunks` runs: prints a response
//! piece by piece as it comes, a chunked one chunk for chunk, with the seconds since the request.
//!
//! The exit code is 0 at the regular end, 1 when the response breaks off or does not come, 2 for a wrong command line.

use kirsch::testing::{Client, ClientError};
use std::{
    io::{self, Write},
    net::ToSocketAddrs,
    process::ExitCode,
    time::{Duration, Instant},
};

/// How long the next piece may take.
const PATIENCE: Duration = Duration::from_secs(3600);

const USAGE: &str = "Prints a response piece by piece as it comes.\n\nUsage: iresponse http://HOST:PORT/PATH";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (url, None) = (arguments.next().unwrap_or_default(), arguments.next()) else {
        eprintln!("iresponse: one URL is enough\n\n{USAGE}");
        return ExitCode::from(2);
    };
    if matches!(&*url, "--help" | "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let Some((host, path)) = parse(&url) else {
        eprintln!("iresponse: {url:?} is not a URL of this kind\n\n{USAGE}");
        return ExitCode::from(2);
    };
    match show(host, &path) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our standard output has seen enough and closed it.
        Err(Problem::Output) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("iresponse: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Host and port, and the path with its query.
fn parse(url: &str) -> Option<(&str, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = path.split('#').next().unwrap_or_default();
    let is_visible = path.bytes().all(|byte| byte.is_ascii_graphic());
    let slash = if path.starts_with('/') { "" } else { "/" };
    (!host.is_empty() && is_visible).then(|| (host, format!("{slash}{path}")))
}

fn show(host: &str, path: &str) -> Result<(), Problem> {
    let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut addresses = with_port.to_socket_addrs().map_err(|error| Problem::Address(with_port.clone(), error))?;
    let address = addresses.next().ok_or_else(|| Problem::Address(with_port, io::ErrorKind::NotFound.into()))?;
    let start = Instant::now();
    let client = Client::connect(address).with_timeout(PATIENCE);
    let mut response = client.get(path).header("Host", host).try_send_streaming().map_err(Problem::NoResponse)?;
    say(start, response.status())?;
    let mut pieces = 0;
    while let Some(piece) = response.try_next().map_err(|error| Problem::BrokenOff(pieces, error))? {
        pieces += 1;
        let text = String::from_utf8_lossy(&piece);
        // Characters that could steer the terminal do not reach it.
        say(start, text.trim_end().replace(char::is_control, " "))?;
    }
    say(start, format_args!("the end, after {pieces} pieces"))
}

fn say(start: Instant, what: impl std::fmt::Display) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{:9.3}  {what}", start.elapsed().as_secs_f64());
    written.and_then(|()| out.flush()).map_err(|_| Problem::Output)
}

/// Why not all of the response was printed.
enum Problem {
    Address(String, io::Error),
    NoResponse(ClientError),
    BrokenOff(u64, ClientError),
    Output,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address, error) => write!(f, "{address:?} cannot be found: {error}"),
            Self::NoResponse(error) => write!(f, "no response: {error}"),
            Self::BrokenOff(pieces, error) => write!(f, "the response broke off after {pieces} pieces: {error}"),
            Self::Output => f.write_str("the output was closed"),
        }
    }
}
