//! The servers, the choice of the server for a session, their connections, and the part of memcached's protocol (its
//! meta commands) that stores need.
//!
//! A client of our own: the synchronous crate that exists (memcache 0.21) spreads keys by the remainder of a division,
//! so that the loss of one server moves nearly all sessions, unless a program takes its module `exp`, which it declares
//! experimental. Only three commands are needed here.
//!
//! As with all stores, a kept connection may have died since its last use, and then the request is sent once more on a
//! new one. Callers bear that: writes are conditional, and can be told from the writes of others.

use super::connection::{Connection, Reply};
use crate::databases::Connections;
use crate::databases::doubt::{Doubt, StillSilent};
use crate::sessions::StoreError;
use crate::sessions::answer::wait_for;
use crate::sessions::stores::company::{Batch, Company, Failed, How, Travel};

use crate::databases::pool::{Full, Lease, Pool};
use std::io;
use std::sync::Arc;

/// A request about one item.
pub(super) struct Request {
    bytes: Vec<u8>,
    /// Whether the answer may be as long as an item.
    is_get: bool,
}

impl Request {
    /// The item and its number.
    pub(super) fn get(key: &str) -> Self {
        Self { is_get: true, ..Self::short(format!("mg {key} v c\r\n")) }
    }

    /// Whether there is one.
    pub(super) fn exists(key: &str) -> Self {
        Self::short(format!("mg {key}\r\n"))
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
        Self::short(format!("md {key}{condition}\r\n"))
    }

    fn put(head: &str, value: &[u8]) -> Self {
        Self { bytes: [head.as_bytes(), value, b"\r\n"].concat(), is_get: false }
    }

    fn short(text: String) -> Self {
        Self { bytes: text.into_bytes(), is_get: false }
    }
}

/// Requests that are sent together, to one server.
#[derive(Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
    count: usize,
    /// How many bytes follow the first request whose answer may be long.
    behind_get: Option<usize>,
}

impl Message {
    fn of(requests: &[Request]) -> Self {
        let mut message = Self::default();
        for Request { bytes, is_get } in requests {
            message.bytes.extend_from_slice(bytes);
            message.count += 1;
            message.behind_get = match message.behind_get {
                None => is_get.then_some(0),
                Some(behind) => Some(behind + bytes.len()),
            };
        }
        message
    }
}

/// Messages that go together.
#[derive(Default)]
pub(super) struct Messages {
    all: Message,
    counts: Vec<usize>,
}

impl Messages {
    /// So many bytes fit into the system's buffers while the server does not read: it writes long answers that are not
    /// read yet.
    const WINDOW: usize = 16 << 10;
    /// Maximum of one message in bytes.
    const MOST: usize = 4 << 20;
}

impl Batch<Message> for Messages {
    fn add(&mut self, message: &Message) -> bool {
        let behind_get = match (self.all.behind_get, message.behind_get) {
            (None, behind) => behind,
            (Some(behind), _) => Some(behind + message.bytes.len()),
        };
        let is_too_much = behind_get.is_some_and(|behind| behind > Self::WINDOW)
            || self.all.bytes.len() + message.bytes.len() > Self::MOST;
        if is_too_much && !self.counts.is_empty() {
            return false;
        }
        self.all.bytes.extend_from_slice(&message.bytes);
        self.all.count += message.count;
        self.all.behind_get = behind_get;
        self.counts.push(message.count);
        true
    }
}

/// The answers to the requests of one message.
pub(super) struct Asked<const N: usize> {
    pub(super) answers: [Reply; N],
    /// Whether it was asked twice, since a kept connection was dead.
    pub(super) was_repeated: bool,
}

/// The reason why there is no answer.
#[derive(Clone)]
pub(super) enum Failure {
    /// The server has not answered in time, and another request is finding out whether it does again.
    Silent,
    /// No connection of the pool became free in time.
    Full,
    Io(Arc<io::Error>),
}

impl Failed for Failure {
    const SILENT: Self = Self::Silent;

    fn is_silence(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Full => false,
            Self::Io(error) => is_silence(error),
        }
    }
}

pub(super) struct Client {
    servers: Vec<Arc<Server>>,
}

struct Server {
    name: String,
    limits: Connections,
    pool: Pool<Connection>,
    doubt: Doubt,
    company: Company<Server>,
}

impl Client {
    pub(super) fn new(names: &[String], limits: Connections) -> Self {
        let server = |name: &String| {
            Arc::new_cyclic(|server| Server {
                name: name.clone(),
                limits,
                pool: Pool::new(limits.pool, limits.connect_timeout),
                doubt: Doubt::default(),
                company: Company::new(server.clone()),
            })
        };
        Self { servers: names.iter().map(server).collect() }
    }

    /// The server that has this key, for errors.
    pub(super) fn place_of(&self, key: &str) -> String {
        self.servers[self.server_number(key)].place()
    }

    /// Which server has this key, as a number.
    pub(super) fn server_number(&self, key: &str) -> usize {
        let weights = self.servers.iter().map(|server| weight(&server.name, key)).enumerate();
        weights.max_by_key(|(_, weight)| *weight).map_or(0, |(number, _)| number)
    }

    /// Asks the server of `key`, in one message.
    pub(super) async fn ask<const N: usize>(&self, key: &str, requests: &[Request; N]) -> Result<Asked<N>, StoreError> {
        self.ask_as(How::Soonest, key, requests).await
    }

    pub(super) async fn ask_as<const N: usize>(
        &self,
        how: How,
        key: &str,
        requests: &[Request; N],
    ) -> Result<Asked<N>, StoreError> {
        let server = &self.servers[self.server_number(key)];
        let (answers, was_repeated) = server.ask(how, requests).await?;
        let answers = answers.try_into().map_err(|_| StoreError::new("an answer is missing", server.place()))?;
        Ok(Asked { answers, was_repeated })
    }

    /// Any number of requests, waited for here.
    pub(super) fn ask_server(&self, number: usize, requests: &[Request]) -> Result<Vec<Reply>, StoreError> {
        wait_for(self.servers[number].ask(How::Soonest, requests)).map(|(answers, _)| answers)
    }

    /// Checks that all servers answer, and know the commands.
    pub(super) fn check_versions(&self) -> Result<(), StoreError> {
        for server in &self.servers {
            let version = server.call(|connection| connection.line_for(b"version\r\n"));
            let (version, _) = version.map_err(|failure| server.explain(failure))?;
            let numbers = version.strip_prefix("VERSION ").unwrap_or_default();
            let mut numbers = numbers.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
            if (numbers.next(), numbers.next()) < (Some(1), Some(6)) {
                let place = format!("{} says {version:?}", server.place());
                return Err(StoreError::new("memcached 1.6 or above is needed for sessions", place));
            }
        }
        Ok(())
    }
}

impl Server {
    fn place(&self) -> String {
        format!("memcached {}", self.name)
    }

    async fn ask(&self, how: How, requests: &[Request]) -> Result<(Vec<Reply>, bool), StoreError> {
        let message = Message::of(requests);
        self.company.send(how, &message, self).await.map_err(|failure| self.explain(failure))
    }

    /// Asks twice if the kept connection was dead; then the answer says so.
    fn call<T>(&self, mut ask: impl FnMut(&mut Connection) -> io::Result<T>) -> Result<(T, bool), Failure> {
        let full = |Full| Failure::Full;
        let _turn = self.doubt.enter().map_err(|StillSilent| Failure::Silent)?;
        let mut lease = self.pool.lease().map_err(full)?;
        let was_idle = lease.link.is_some();
        let mut was_repeated = false;
        let result = match self.ask_over(&mut lease, &mut ask) {
            Err(error) if was_idle && is_of_old(&error) => {
                drop(lease);
                self.pool.close_idle();
                was_repeated = true;
                self.ask_over(&mut self.pool.place().map_err(full)?, &mut ask)
            }
            result => result,
        };
        self.doubt.learn(result.as_ref().is_err_and(is_silence));
        result.map(|answer| (answer, was_repeated)).map_err(|error| Failure::Io(Arc::new(error)))
    }

    /// A connection on which something went wrong is not kept: an answer may still be under way.
    fn ask_over<T>(
        &self,
        lease: &mut Lease<'_, Connection>,
        ask: &mut impl FnMut(&mut Connection) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut connection = match lease.link.take() {
            Some(connection) => connection,
            None => Connection::open(&self.name, self.limits.connect_timeout, self.limits.operation_timeout)?,
        };
        let answer = ask(&mut connection)?;
        lease.link = Some(connection);
        Ok(answer)
    }

    /// The text for the operator.
    fn explain(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Silent => {
                let what = "memcached did not answer in time; until it does, one request at a time asks it";
                StoreError::new(what, self.place())
            }
            Failure::Full => {
                let what = "no connection of the pool became free in time; raise `sessions.pool`";
                StoreError::new(what, format!("{}, {} connections in use", self.place(), self.limits.pool))
            }
            Failure::Io(error) => {
                let what = match error.kind() {
                    _ if is_silence(&error) => "memcached did not answer in time",
                    io::ErrorKind::ConnectionRefused => "memcached cannot be reached",
                    _ => "memcached failed",
                };
                StoreError::new(what, self.place()).because(error)
            }
        }
    }
}

impl Travel for Server {
    type Request = Message;
    type Answers = (Vec<Reply>, bool);
    type Failure = Failure;
    type Batch = Messages;

    const COURIER: &'static str = "kirsch-memcached-courier";

    fn alone(&self, message: &Message) -> Result<(Vec<Reply>, bool), Failure> {
        self.call(|connection| connection.ask(&message.bytes, message.count))
    }

    fn together(&self, Messages { all, counts }: Messages) -> Result<Vec<(Vec<Reply>, bool)>, Failure> {
        let (answers, was_repeated) = self.alone(&all)?;
        let mut answers = answers.into_iter();
        Ok(counts.into_iter().map(|count| (answers.by_ref().take(count).collect(), was_repeated)).collect())
    }

    fn is_doubtful(&self) -> bool {
        self.doubt.is_doubtful()
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

/// The mistake in the name of a server.
pub(super) fn problem_of(name: &str) -> Option<String> {
    let is_fine = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b'@');
    // The text before an `@` may be a password.
    let shown = name.rsplit('@').next().unwrap_or_default();
    (!is_fine).then(|| format!("{shown:?} is not a server; write host or host:port, without a user and a password"))
}

/// The server with the highest weight has the key (rendezvous hashing): when one goes, only its own keys find another.
/// FNV-1a, mixed, since all processes must agree, however they were compiled.
fn weight(server: &str, key: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in server.bytes().chain([0]).chain(key.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(names: &[&str]) -> Client {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Client::new(&names, Connections::new(1))
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

    /// The values that another program, or another version of this one, computes.
    #[test]
    fn the_weight_is_the_same_for_ever() {
        assert_eq!(weight("127.0.0.1:11211", "kirsch:session:00"), 15_888_175_477_805_466_363);
    }

    #[test]
    fn a_large_item_is_not_sent_behind_a_question_for_others() {
        let (get, small) = (Message::of(&[Request::get("a")]), Message::of(&[Request::add("a", b"x", 1)]));
        let large = Message::of(&[Request::add("a", &[b'x'; 20_000], 1)]);
        let added = |messages: &[&Message]| {
            let mut together = Messages::default();
            messages.iter().map(|message| together.add(message)).collect::<Vec<_>>()
        };
        assert_eq!(added(&[&get, &small, &get, &large]), [true, true, true, false]);
        assert_eq!(added(&[&large, &large, &get, &small]), [true, true, true, true], "their answers are short");
        let both = Message::of(&[Request::add("a", b"x", 1), Request::get("a")]);
        assert_eq!((both.count, both.behind_get), (2, Some(0)));
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
