//! The servers, which one has which session, their connections, and what of memcached's protocol (its meta commands) stores need.
//!
//! A client of our own: the synchronous crate that exists (memcache 0.21) spreads keys by the remainder of a division, so that the loss of one server moves
//! nearly all sessions; it cannot delete on condition, so that giving a lock back would be a race; and it sends one request at a time. What is
//! needed here is three commands.
//!
//! As with all stores, a kept connection may have died since its last use, and then what was asked is asked once more on a new one. Callers bear that:
//! writes are conditional, and what they write can be told from what others write.

use crate::sessions::StoreError;
use crate::sessions::stores::doubt::{Doubt, StillSilent};
use crate::sessions::stores::pool::{Full, Lease, Pool};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// What is asked about one item.
pub(super) struct Request(Vec<u8>);

impl Request {
    /// The item and its number.
    pub(super) fn get(key: &str) -> Self {
        Self(format!("mg {key} v c\r\n").into_bytes())
    }

    /// Whether there is one.
    pub(super) fn exists(key: &str) -> Self {
        Self(format!("mg {key}\r\n").into_bytes())
    }

    /// Puts an item where none is.
    pub(super) fn add(key: &str, value: &[u8], life: u64) -> Self {
        Self::put(&format!("ms {key} {} T{life} ME\r\n", value.len()), value)
    }

    /// Puts an item in place of the one with that number.
    pub(super) fn replace(key: &str, value: &[u8], life: u64, cas: u64) -> Self {
        Self::put(&format!("ms {key} {} T{life} C{cas}\r\n", value.len()), value)
    }

    /// Removes the item, or only the one with that number.
    pub(super) fn delete(key: &str, cas: Option<u64>) -> Self {
        let condition = cas.map_or_else(String::new, |cas| format!(" C{cas}"));
        Self(format!("md {key}{condition}\r\n").into_bytes())
    }

    fn put(head: &str, value: &[u8]) -> Self {
        Self([head.as_bytes(), value, b"\r\n"].concat())
    }
}

/// What the server says to a request.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// The number and the value, of an item that was asked for.
    pub(super) item: Option<(u64, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// There is none, or one is there already, or it has another number.
    NotDone,
}

/// The answers to the requests of one message.
pub(super) struct Asked<const N: usize> {
    pub(super) answers: [Answer; N],
    /// Whether it was asked twice, since a kept connection was dead.
    pub(super) was_repeated: bool,
}

pub(super) struct Client {
    servers: Vec<Server>,
    most: usize,
    connect_timeout: Duration,
    operation_timeout: Duration,
}

struct Server {
    name: String,
    pool: Pool<Connection>,
    doubt: Doubt,
}

impl Client {
    pub(super) fn new(names: &[String], most: usize, connect_timeout: Duration, operation_timeout: Duration) -> Self {
        let server = |name: &String| Server {
            name: name.clone(),
            pool: Pool::new(most, connect_timeout),
            doubt: Doubt::default(),
        };
        Self { servers: names.iter().map(server).collect(), most, connect_timeout, operation_timeout }
    }

    /// The server that has this key, for errors.
    pub(super) fn place_of(&self, key: &str) -> String {
        format!("memcached {}", self.server(key).name)
    }

    /// Which server has this key, as a number.
    pub(super) fn server_number(&self, key: &str) -> usize {
        let weights = self.servers.iter().map(|server| weight(&server.name, key)).enumerate();
        weights.max_by_key(|(_, weight)| *weight).map_or(0, |(number, _)| number)
    }

    fn server(&self, key: &str) -> &Server {
        &self.servers[self.server_number(key)]
    }

    /// Asks the server of `key`, in one message.
    pub(super) fn ask<const N: usize>(&self, key: &str, requests: &[Request; N]) -> Result<Asked<N>, StoreError> {
        let (answers, was_repeated) = self.ask_server(self.server_number(key), requests)?;
        let answers = answers.try_into().ok().expect("as many answers as requests");
        Ok(Asked { answers, was_repeated })
    }

    /// The same with any number of requests.
    pub(super) fn ask_server(&self, number: usize, requests: &[Request]) -> Result<(Vec<Answer>, bool), StoreError> {
        let server = &self.servers[number];
        let message: Vec<u8> = requests.iter().flat_map(|request| request.0.iter().copied()).collect();
        self.call(server, |connection| connection.ask(&message, requests.len()))
    }

    /// Checks that all servers answer, and know the commands.
    pub(super) fn check_versions(&self) -> Result<(), StoreError> {
        for server in &self.servers {
            let (version, _) = self.call(server, |connection| connection.line_for(b"version\r\n"))?;
            let numbers = version.strip_prefix("VERSION ").unwrap_or_default();
            let mut numbers = numbers.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
            if (numbers.next(), numbers.next()) < (Some(1), Some(6)) {
                let place = format!("memcached {} says {version:?}", server.name);
                return Err(StoreError::new("memcached 1.6 or above is needed for sessions", place));
            }
        }
        Ok(())
    }

    fn call<T>(
        &self,
        server: &Server,
        mut ask: impl FnMut(&mut Connection) -> io::Result<T>,
    ) -> Result<(T, bool), StoreError> {
        let full = |Full| {
            let what = "no connection of the pool became free in time; raise `sessions.pool`";
            StoreError::new(what, format!("memcached {}, {} connections in use", server.name, self.most))
        };
        let _turn = server.doubt.enter().map_err(|StillSilent| {
            let what = "memcached did not answer in time; until it does, one request at a time asks it";
            StoreError::new(what, format!("memcached {}", server.name))
        })?;
        let mut lease = server.pool.lease().map_err(full)?;
        let was_idle = lease.link.is_some();
        let mut was_repeated = false;
        let result = match self.ask_over(server, &mut lease, &mut ask) {
            Err(error) if was_idle && is_of_old(&error) => {
                drop(lease);
                server.pool.close_idle();
                was_repeated = true;
                self.ask_over(server, &mut server.pool.place().map_err(full)?, &mut ask)
            }
            result => result,
        };
        server.doubt.learn(result.as_ref().is_err_and(is_silence));
        result.map(|answer| (answer, was_repeated)).map_err(|error| explain(server, error))
    }

    /// A connection on which something went wrong is not kept: an answer may still be under way.
    fn ask_over<T>(
        &self,
        server: &Server,
        lease: &mut Lease<'_, Connection>,
        ask: &mut impl FnMut(&mut Connection) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut connection = match lease.link.take() {
            Some(connection) => connection,
            None => Connection::open(&server.name, self.connect_timeout, self.operation_timeout)?,
        };
        let answer = ask(&mut connection)?;
        lease.link = Some(connection);
        Ok(answer)
    }
}

/// Whether the failure is of a connection that had its time.
fn is_of_old(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

fn explain(server: &Server, error: io::Error) -> StoreError {
    let what = match error.kind() {
        _ if is_silence(&error) => "memcached did not answer in time",
        io::ErrorKind::ConnectionRefused => "memcached cannot be reached",
        io::ErrorKind::OutOfMemory => "the memory of memcached is full",
        _ => "memcached failed",
    };
    StoreError::new(what, format!("memcached {}", server.name)).because(error)
}

/// What is wrong with the name of a server.
pub(super) fn problem_of(name: &str) -> Option<String> {
    let is_fine = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b'@');
    // What stands before an `@` may be a password.
    let shown = name.rsplit('@').next().unwrap_or_default();
    (!is_fine).then(|| format!("{shown:?} is no server; write host or host:port, without a user and a password"))
}

/// The server with the highest weight has the key (rendezvous hashing): when one goes, only its own keys find another. FNV-1a, mixed, since
/// all processes must agree, whatever compiled them.
fn weight(server: &str, key: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in server.bytes().chain([0]).chain(key.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

struct Connection {
    stream: BufReader<TcpStream>,
    timeout: Duration,
}

impl Connection {
    fn open(name: &str, connect_timeout: Duration, timeout: Duration) -> io::Result<Self> {
        let has_port = name.rsplit_once(']').map_or(name, |(_, after)| after).contains(':');
        let name = if has_port { name.to_owned() } else { format!("{name}:11211") };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in name.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, connect_timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(timeout))?;
                    stream.set_write_timeout(Some(timeout))?;
                    return Ok(Self { stream: BufReader::new(stream), timeout });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn ask(&mut self, message: &[u8], requests: usize) -> io::Result<Vec<Answer>> {
        self.stream.get_mut().write_all(message)?;
        let deadline = Instant::now() + self.timeout;
        (0..requests).map(|_| self.answer(deadline)).collect()
    }

    fn line_for(&mut self, message: &[u8]) -> io::Result<String> {
        self.stream.get_mut().write_all(message)?;
        self.line(Instant::now() + self.timeout)
    }

    fn answer(&mut self, deadline: Instant) -> io::Result<Answer> {
        let line = self.line(deadline)?;
        let mut words = line.split(' ');
        let outcome = match words.next() {
            Some("HD" | "OK") => Outcome::Done,
            Some("EN" | "NS" | "EX" | "NF") => Outcome::NotDone,
            Some("VA") => {
                let size: usize =
                    words.next().and_then(|size| size.parse().ok()).ok_or_else(|| not_understood(&line))?;
                let cas =
                    words.find_map(|flag| flag.strip_prefix('c')?.parse().ok()).ok_or_else(|| not_understood(&line))?;
                // The server's own largest item is far below.
                if size > 1 << 30 {
                    return Err(not_understood(&line));
                }
                let mut value = vec![0; size + 2];
                self.stream.read_exact(&mut value)?;
                value.truncate(size);
                return Ok(Answer { outcome: Outcome::Done, item: Some((cas, value)) });
            }
            Some("SERVER_ERROR") if line.contains("out of memory") => {
                return Err(io::Error::new(io::ErrorKind::OutOfMemory, line));
            }
            _ => return Err(not_understood(&line)),
        };
        Ok(Answer { outcome, item: None })
    }

    fn line(&mut self, deadline: Instant) -> io::Result<String> {
        const LONGEST: u64 = 2048;
        let mut line = Vec::new();
        (&mut self.stream).take(LONGEST).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let text = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
        text.map(str::to_owned).ok_or_else(|| not_understood(&String::from_utf8_lossy(&line)))
    }
}

fn not_understood(line: &str) -> io::Error {
    let start: String = line.chars().take(100).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("it says {start:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(names: &[&str]) -> Client {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Client::new(&names, 1, Duration::from_secs(1), Duration::from_secs(1))
    }

    #[test]
    fn keys_are_spread_and_a_lost_server_moves_only_its_own() {
        let (three, two) = (client(&["a", "b", "c"]), client(&["c", "a"]));
        let mut counts = [0; 3];
        for number in 0..3_000 {
            let key = format!("key{number}");
            let place = three.server_number(&key);
            counts[place] += 1;
            if place != 1 {
                assert_eq!(three.place_of(&key), two.place_of(&key), "the order does not matter");
            }
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }

    /// What another program, or another version of this one, computes.
    #[test]
    fn the_weight_is_the_same_for_ever() {
        assert_eq!(weight("127.0.0.1:11211", "kirsch:session:00"), 15_888_175_477_805_466_363);
    }

    #[test]
    fn a_server_is_a_host_perhaps_with_a_port() {
        for good in ["one", "10.0.0.1:11211", "[::1]:11212"] {
            assert_eq!(problem_of(good), None);
        }
        for bad in ["", "a b", "/run/memcached", "ann:secret@one"] {
            assert!(problem_of(bad).is_some_and(|problem| !problem.contains("secret")), "{bad}");
        }
    }
}
