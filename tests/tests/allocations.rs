//! A plain page allocates nothing once its buffers are warm: no request may cost more because of the one before.
//!
//! The whole process counts: workers, ticker and the test itself. So this program does without the test harness, whose
//! own thread allocates at any moment.

use micro_benches::{Line, PLAIN, plain_app};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;

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
    let first = without_sockets();
    over_a_socket(first);
    println!("a plain page allocates nothing: ok");
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
