//! Loads by WebSocket, for `benches/compare`: one thread, one epoll. The answer is a line of JSON.
//!
//! * `echo PORT CONNECTIONS SECONDS WINDOW [deflate]`: on each connection a window of messages of 100 bytes is always
//!   under way;
//! * `room PORT CONNECTIONS`: opens them and says `ready`. Then each line of its input, a number of seconds, lets one
//!   speak, and all hear it, again and again.

use flate2::{Compress, Compression, FlushCompress};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use std::collections::VecDeque;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
/// Who does not answer for so long has stalled.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok()).unwrap_or_else(|| usage());
    let port = u16::try_from(number(1)).unwrap_or_else(|_| usage());
    match words[0].as_str() {
        "echo" => {
            let deflates = words.get(5).is_some_and(|word| word == "deflate");
            let mut load = Load::open(port, "/echo_socket", number(2), deflates);
            // Warm first.
            load.echo(Duration::from_millis(300), number(4), deflates);
            println!("{}", load.echo(Duration::from_secs(number(3) as u64), number(4), deflates));
        }
        "room" => {
            let mut load = Load::open(port, "/room_socket", number(2), false);
            load.speak(Duration::from_millis(100));
            println!("ready");
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                println!("{}", load.speak(Duration::from_secs(line.trim().parse().unwrap_or_else(|_| usage()))));
            }
        }
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: websocket-load echo PORT CONNECTIONS SECONDS WINDOW [deflate] | room PORT CONNECTIONS");
    std::process::exit(2)
}

/// A frame with a message of 100 bytes, as a chat has them.
fn message(deflates: bool) -> Vec<u8> {
    let text = br#"{"kind":"said","who":"anna","at":"12:31:07","text":"Is anybody here who has seen the bridge?","no":7}"#;
    let mut payload = text[..100].to_vec();
    if deflates {
        let mut out = Vec::with_capacity(1000);
        let outcome = Compress::new(Compression::new(2), false).compress_vec(&payload, &mut out, FlushCompress::Sync);
        outcome.expect("it is compressed");
        out.truncate(out.len() - 4);
        payload = out;
    }
    let mut frame = vec![if deflates { 0xc1 } else { 0x81 }, 0x80 | u8::try_from(payload.len()).expect("it is short")];
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

struct Load {
    poll: OwnedFd,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    frames: Frames,
    /// When the messages that are under way were sent.
    sent: VecDeque<Instant>,
}

/// Where the stream of a server is between two reads.
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    left: usize,
}

impl Frames {
    /// How many messages, and how many pings, are complete.
    fn feed(&mut self, mut bytes: &[u8]) -> (usize, usize) {
        let (mut messages, mut pings) = (0, 0);
        loop {
            if self.left == 0 {
                let Some((&next, rest)) = bytes.split_first() else { return (messages, pings) };
                self.head.push(next);
                bytes = rest;
                let length = match (self.head.get(1), self.head.len()) {
                    (Some(126), 4) => usize::from(u16::from_be_bytes([self.head[2], self.head[3]])),
                    (Some(&short @ 0..126), 2) => usize::from(short),
                    (Some(127), _) => panic!("no message is so long"),
                    _ => continue,
                };
                self.left = length;
            }
            let taken = self.left.min(bytes.len());
            (self.left, bytes) = (self.left - taken, &bytes[taken..]);
            if self.left > 0 {
                return (messages, pings);
            }
            match self.head[0] & 0x0f {
                1 | 2 => messages += 1,
                9 => pings += 1,
                other => panic!("the server sends a frame of kind {other}"),
            }
            self.head.clear();
        }
    }
}

impl Load {
    fn open(port: u16, path: &str, count: usize, deflates: bool) -> Self {
        let poll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
        let extension = if deflates { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extension}\r\n"
        );
        let connections = (0..count).map(|number| {
            let connection = Connection::open(port, &request, deflates).unwrap_or_else(|error| {
                eprintln!("only {number} of {count} conversations were opened: {error}");
                std::process::exit(1)
            });
            epoll::add(&poll, &connection.stream, EventData::new_u64(number as u64), EventFlags::IN).expect("epoll");
            connection
        });
        Self { connections: connections.collect(), poll }
    }

    fn echo(&mut self, time: Duration, window: usize, deflates: bool) -> String {
        let frame = message(deflates);
        let (begin, burst) = (Instant::now(), frame.repeat(window));
        for connection in &mut self.connections {
            connection.send(&burst, window, begin);
        }
        let mut latencies: Vec<Duration> = Vec::with_capacity(1 << 20);
        self.until(begin + time, |connection, count, now| {
            latencies.extend(connection.sent.drain(..count).map(|sent| now - sent));
            connection.send(&burst[..frame.len() * count], count, now);
            false
        });
        let spent = begin.elapsed();
        // What is under way comes in, so that the next measurement begins with nothing.
        let mut left: usize = self.connections.iter().map(|connection| connection.sent.len()).sum();
        self.until(Instant::now() + PATIENCE, |connection, count, _| {
            connection.sent.drain(..count);
            left -= count;
            left == 0
        });
        report(latencies.len(), latencies, spent, left)
    }

    /// One speaks, and all hear it. The latency is that of the last one who hears it.
    fn speak(&mut self, time: Duration) -> String {
        let (frame, begin, all) = (message(false), Instant::now(), self.connections.len());
        let (mut rounds, mut deliveries, mut missed) = (Vec::new(), 0, 0);
        while begin.elapsed() < time {
            let said = Instant::now();
            self.connections[0].send(&frame, 0, said);
            let mut left = all;
            self.until(said + PATIENCE, |_, count, _| {
                left -= count;
                left == 0
            });
            deliveries += all - left;
            missed += left;
            rounds.push(said.elapsed());
        }
        report(deliveries, rounds, begin.elapsed(), missed)
    }

    /// Reads until the time is over, or `heard` has had enough.
    fn until(&mut self, end: Instant, mut heard: impl FnMut(&mut Connection, usize, Instant) -> bool) {
        let (mut events, mut input) = ([MaybeUninit::<Event>::uninit(); 256], [0u8; 64 * 1024]);
        loop {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { return };
            let timeout = left.try_into().ok();
            let Ok((ready, _)) = epoll::wait(&self.poll, &mut events, timeout.as_ref()) else { continue };
            let now = Instant::now();
            for event in ready {
                let connection = &mut self.connections[event.data.u64() as usize];
                let count = match connection.stream.read(&mut input) {
                    Ok(0) => panic!("the server has ended a conversation"),
                    Ok(length) => connection.heard(&input[..length]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(error) => panic!("the server has cut a conversation off: {error}"),
                };
                if count > 0 && heard(connection, count, now) {
                    return;
                }
            }
        }
    }
}

impl Connection {
    fn open(port: u16, request: &str, deflates: bool) -> io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if !head.starts_with("http/1.1 101 ") || head.contains("permessage-deflate") != deflates {
            return Err(io::Error::other(head.lines().next().unwrap_or_default().to_owned()));
        }
        stream.set_nonblocking(true)?;
        Ok(Self { stream, frames: Frames::default(), sent: VecDeque::new() })
    }

    /// The kernel takes what is under way: it is little.
    fn send(&mut self, bytes: &[u8], count: usize, now: Instant) {
        self.stream.write_all(bytes).expect("the server takes it");
        self.sent.extend(std::iter::repeat_n(now, count));
    }

    fn heard(&mut self, bytes: &[u8]) -> usize {
        let (messages, pings) = self.frames.feed(bytes);
        (0..pings).for_each(|_| self.stream.write_all(&PONG).expect("the server takes it"));
        messages
    }
}

fn report(count: usize, mut latencies: Vec<Duration>, spent: Duration, missed: usize) -> String {
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = (latencies.len() as f64 * share) as usize;
        latencies.get(place.min(latencies.len().saturating_sub(1))).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    };
    let rate = count as f64 / spent.as_secs_f64();
    format!(
        "{{\"requests\": {count}, \"rate\": {rate:.1}, \"p50\": {:.4}, \"p99\": {:.4}, \"p999\": {:.4}, \"errors\": {missed}}}",
        at(0.5),
        at(0.99),
        at(0.999)
    )
}
