//! A plain page allocates nothing once its buffers are warm: no request may cost more because of the one before. And a
//! connection by TLS that waits for its next request keeps little.
//!
//! The whole process counts: workers, ticker and the test itself. So this program does without the test harness, whose
//! own thread allocates at any moment, and where the memory of clients would count, they are a process of their own.

use kirsch::{prelude::*, testing::Client};
use micro_benches::{Line, PLAIN, plain_app};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often memory was asked for while `run` ran, in the whole process.
fn allocations(run: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    run();
    let change = region.change();
    change.allocations + change.reallocations
}

fn main() {
    if let Ok(address) = std::env::var(CLIENTS_OF) {
        return clients(&address);
    }
    let first = without_sockets();
    over_a_socket(first);
    println!("a plain page allocates nothing: ok");
    let encrypted = idle_connection(true).saturating_sub(idle_connection(false));
    assert!(encrypted <= MOST_FOR_TLS, "{encrypted} bytes more than a plain connection");
    println!("an idle connection by TLS keeps {encrypted} bytes more than a plain one: ok");
}

/// Returns the allocations of the first request on a new exchange.
fn without_sockets() -> usize {
    let mut line = Line::to(plain_app());
    let first = allocations(|| {
        line.answer(PLAIN);
    });
    assert!(first > 0, "nothing is counted");
    let warm = allocations(|| (0..10_000).for_each(|_| assert!(line.answer(PLAIN).ends_with(b"Hello, World!"))));
    assert_eq!(warm, 0, "allocations in 10,000 requests");
    first
}

/// With all ten workers, so one of them may meet its first request late: it warms its own buffers.
fn over_a_socket(first: usize) {
    const WORKERS: usize = 10;
    const ROUNDS: usize = 10;
    let running = plain_app().threads(WORKERS).start("127.0.0.1:0").expect("a free port");
    let mut client = TcpStream::connect(running.address()).expect("the server listens");
    client.set_nodelay(true).expect("a socket option");
    let mut response = [0; 1024];
    client.write_all(PLAIN).expect("the server reads");
    let length = client.read(&mut response).expect("the server answers");
    assert!(response[..length].ends_with(b"Hello, World!"), "the first answer is whole");
    let mut ask = |count: usize| {
        for _ in 0..count {
            client.write_all(PLAIN).expect("the server reads");
            client.read_exact(&mut response[..length]).expect("the server answers");
            assert!(response[..length].ends_with(b"Hello, World!"), "one answer for each request");
        }
    };
    ask(1000);
    let rounds: [usize; ROUNDS] = std::array::from_fn(|_| allocations(|| ask(500)));
    assert!(rounds.contains(&0), "allocations in each round of 500 requests: {rounds:?}");
    // A worker's buffers are the exchange, its box, the list of spare ones, the output and its list.
    let most = WORKERS * (first + 8);
    assert!(rounds.iter().sum::<usize>() <= most, "more than {most} allocations: {rounds:?}");
    drop(client);
    drop(running);
}

/// The variable that makes clients of this program. They hold so many connections until their input ends.
const CLIENTS_OF: &str = "CLIENTS_OF";
const CONNECTIONS: isize = 64;
const MOST_FOR_TLS: usize = 4608;

/// The memory of an idle connection on which a record of 16 KiB has come.
fn idle_connection(is_encrypted: bool) -> usize {
    let app = App::new(Tree::new().index(|_| "Hello, World!"));
    let app = if is_encrypted {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        app.tls(Tls::new().certificate_pem(made.cert.pem(), made.signing_key.serialize_pem()))
    } else {
        app
    };
    let running = app.threads(1).start("127.0.0.1:0").expect("a free port");
    let kept = || {
        let region = Region::new(ALLOCATOR);
        let address = format!("{} {}", running.address(), if is_encrypted { "tls" } else { "plain" });
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.env(CLIENTS_OF, address).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("this program again");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n");
        let change = region.change();
        drop(process.stdin.take());
        assert!(process.wait().expect("ours").success());
        while running.statistics().connections_open > 0 {
            std::thread::yield_now();
        }
        change.bytes_allocated.cast_signed() - change.bytes_deallocated.cast_signed()
    };
    // What the first ones make stays: slots, buffers. Later ones make a buffer more when many come at one moment.
    kept();
    let mut rounds: [isize; 5] = std::array::from_fn(|_| kept() / CONNECTIONS);
    rounds.sort_unstable();
    usize::try_from(rounds[2]).unwrap_or(0)
}

fn clients(of: &str) {
    let (address, kind) = of.split_once(' ').expect("an address and a word");
    let address: SocketAddr = address.parse().expect("an address");
    let client = if kind == "tls" { Client::connect_tls(address) } else { Client::connect(address) };
    let connected = || {
        let client = client.new_browser();
        client.post("/").body(vec![b'x'; 16 << 10]).send().assert_text("Hello, World!");
        client
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| connected()).collect();
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
    drop(clients);
}
