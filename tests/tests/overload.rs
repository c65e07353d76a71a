//! More load than the server can or may take: clients within the bounds are served, the rest is refused, and afterwards
//! all is as before.

use integration_tests::{allow_descriptors, program::Program, wait_until, watched::Watched};
use kirsch::{
    lifecycle::{Admission, Admit, Wait, Wakers},
    prelude::*,
    testing::{Client, RawConnection},
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::{
    collections::VecDeque,
    fs,
    net::TcpListener,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    thread,
    time::Duration,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_attacked");
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn sent(client: &Client, bytes: impl AsRef<[u8]>) -> RawConnection {
    let mut connection = client.raw();
    connection.send(bytes);
    connection
}

// More of everything than fits, then nothing; the pool is as before.
#[test]
fn after_an_overload_the_server_is_as_before() {
    let server = Watched::start(|settings| {
        settings.threads = 2;
        settings.queue = 4;
        settings.queue_timeout = Duration::from_millis(50);
        settings.connections = Some(100);
    });
    let mut holders: Vec<_> = (0..2).map(|_| sent(&server.client, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    server.gate.wait_for(2);
    let mut beyond: Vec<_> = (0..60).map(|_| sent(&server.client, GET)).collect();
    for connection in &mut beyond {
        connection.read_response().assert_status(503);
    }
    server.gate.open();
    for holder in &mut holders {
        holder.read_response().assert_text("held");
    }
    assert_eq!(server.running.statistics().overload_rejections, 60);
    drop((holders, beyond));
    server.assert_recovered();
}

// Descriptors beyond 1024, where `select` ends.
#[test]
fn more_connections_than_select_could_hold_are_served() {
    allow_descriptors(4096);
    let server = Watched::start(|_| {});
    let mut connections: Vec<_> = (0..1200).map(|_| server.client.raw()).collect();
    for connection in connections.iter_mut().rev() {
        connection.send(GET).read_response().assert_text("here");
    }
    drop(connections);
    server.assert_recovered();
}

// Many more clients than connections; idle ones make room, others wait.
#[test]
fn four_times_more_clients_than_connections_are_all_served() {
    let server = Watched::start(|settings| settings.connections = Some(16));
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..5 {
                    server.client.new_browser().get("/").send().assert_text("here");
                }
            });
        }
    });
    server.assert_recovered();
}

/// Lowers the limit of a running process.
fn limit_descriptors(program: &Program, most: u64) {
    let limit = Rlimit { current: Some(most), maximum: Some(4096) };
    let id = Pid::from_raw(program.id().try_into().expect("a process id")).expect("a process id");
    prlimit(Some(id), Resource::Nofile, limit).expect("a lower limit is allowed");
}

// A limit of 64 descriptors, known at the start.
#[test]
fn a_limit_of_descriptors_bounds_the_connections() {
    let program = Program::start(PROGRAM, "ulimit -n 64; ", "", Stdio::null());
    let idle: Vec<_> = (0..200).map(|_| program.client.raw()).collect();
    program.client.get("/").send().assert_text("here");
    // A large body needs a descriptor more, for its file.
    program.client.post("/echo").body(vec![b'x'; 2_000_000]).send().assert_status(200);
    drop(idle);
    program.client.get("/").send().assert_text("here");
    assert_eq!(program.terminate().code(), Some(0));
}

// Descriptors run out although the server believed that there were enough.
#[test]
fn running_out_of_descriptors_costs_only_idle_connections() {
    let program = Program::start(PROGRAM, "", "", Stdio::null());
    program.client.get("/").send().assert_text("here");
    let before = program.resources();
    limit_descriptors(&program, before.descriptors as u64 + 20);
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut connection = program.client.raw();
        let _ = connection.try_send(GET);
        idle.push(connection);
    }
    program.client.new_browser().get("/").send().assert_text("here");
    drop(idle);
    program.wait_until_back_at(&before);
    program.client.new_browser().get("/").send().assert_text("here");
    assert_eq!(program.terminate().code(), Some(0));
}

#[test]
fn all_listeners_share_the_reserve_of_descriptors() {
    let free = |host| TcpListener::bind((host, 0)).and_then(|free| free.local_addr()).expect("a free port");
    let [second, third] = ["127.0.0.2", "127.0.0.3"].map(free);
    let settings = format!("[global]\nserver.listen = [\"127.0.0.1:0\", \"{second}\", \"{third}\"]\n");
    let program = Program::start(PROGRAM, "", &settings, Stdio::null());
    let clients = [program.client.new_browser(), Client::connect(second), Client::connect(third)];
    let before = program.resources();
    limit_descriptors(&program, before.descriptors as u64 + 20);
    let asked = |client: &Client| {
        let mut connection = client.raw();
        let _ = connection.try_send(GET);
        connection
    };
    let idle: Vec<_> = clients.iter().cycle().take(200).map(asked).collect();
    for client in &clients {
        client.new_browser().get("/").send().assert_text("here");
    }
    drop(idle);
    program.wait_until_back_at(&before);
    assert_eq!(program.terminate().code(), Some(0));
}

#[test]
fn without_idle_connections_a_lack_of_descriptors_costs_only_new_ones() {
    let program = Program::start(PROGRAM, "", "", Stdio::null());
    program.client.get("/").send().assert_text("here");
    let before = program.resources();
    limit_descriptors(&program, before.descriptors as u64 + 4);
    let mut busy: Vec<_> =
        (0..4).map(|_| sent(&program.client, "GET /slow_stream?chunks=3&ms=100 HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let newcomers: Vec<_> = (0..50).map(|_| program.client.raw()).collect();
    for connection in &mut busy {
        connection.read_response().assert_text("0\n1\n2\n");
    }
    drop((busy, newcomers));
    program.wait_until_back_at(&before);
    program.client.new_browser().get("/").send().assert_text("here");
    assert_eq!(program.terminate().code(), Some(0));
}

/// How often the threads of a process have given up the processor to wait for something: how often they woke.
fn wake_ups(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs").flatten();
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).unwrap_or_default();
    let count = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    };
    tasks.map(status).map(count).sum()
}

// No ticks.
#[test]
fn a_server_without_connections_sleeps() {
    let program = Program::start(PROGRAM, "", "", Stdio::null());
    program.client.new_browser().get("/").send().assert_text("here");
    // The test measures the time in which the server sleeps; one that is still busy with the end of the request gets a
    // few of them.
    let slept = (0..20).any(|_| {
        let before = wake_ups(program.id());
        thread::sleep(Duration::from_millis(500));
        wake_ups(program.id()) - before <= 2
    });
    assert!(slept, "it never slept for half a second");
}

// A connection may be used until the very end of its time.
#[test]
fn a_connection_that_is_nearly_idle_for_too_long_still_serves() {
    let server = Watched::start(|settings| settings.idle_timeout = Duration::from_secs(3));
    let mut connection = server.client.raw();
    for _ in 0..4 {
        connection.send(GET).read_response().assert_text("here");
        // All pauses together are longer than the timeout; each is so much shorter that a busy machine does no harm.
        thread::sleep(Duration::from_millis(1100));
    }
    drop(connection);
    server.assert_recovered();
}

/// At most so many requests of a section run at a time; the others wait, first come, first served, without a thread.
///
/// An application can write this itself, with nothing but the public interface.
#[derive(Clone)]
struct AtMost(Arc<Mutex<Room>>);

struct Room {
    free: usize,
    waiting: VecDeque<(u64, Waker)>,
    next: u64,
}

impl AtMost {
    fn new(free: usize) -> Self {
        Self(Arc::new(Mutex::new(Room { free, waiting: VecDeque::new(), next: 0 })))
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for this request; its turn must have been checked before.
    fn take(&self, room: &mut Room, exchange: &mut Exchange) {
        room.free -= 1;
        exchange.values.insert(Place(self.clone()));
    }
}

impl Room {
    fn wake_first(&self) {
        if let Some((_, waker)) = self.waiting.front().filter(|_| self.free > 0) {
            waker.wake_by_ref();
        }
    }
}

impl Tool for AtMost {
    fn name(&self) -> &'static str {
        "at_most"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.admission(self.clone());
    }
}

impl Admit for AtMost {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let mut room = self.room();
        if room.free > 0 && room.waiting.is_empty() {
            self.take(&mut room, exchange);
            return Ok(Admission::Go);
        }
        let number = room.next;
        room.next += 1;
        room.waiting.push_back((number, wakers.waker()));
        Ok(Admission::park(Waiting { limit: self.clone(), number }, Duration::from_secs(60)))
    }
}

/// Held by a request that runs.
struct Place(AtMost);

impl Drop for Place {
    fn drop(&mut self) {
        let mut room = self.0.room();
        room.free += 1;
        room.wake_first();
    }
}

struct Waiting {
    limit: AtMost,
    number: u64,
}

impl Wait for Waiting {
    fn ready(&mut self, exchange: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
        let mut room = self.limit.room();
        let is_first = room.waiting.front().is_some_and(|(number, _)| *number == self.number);
        if room.free == 0 || !is_first {
            return Ok(false);
        }
        room.waiting.pop_front();
        self.limit.take(&mut room, exchange);
        room.wake_first();
        Ok(true)
    }

    fn waits_for(&self) -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("a place")
    }

    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "too many at once"))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut room = self.limit.room();
        room.waiting.retain(|(number, _)| *number != self.number);
        room.wake_first();
    }
}

// Fifty long polls on a section that two of four workers may serve; the rest of the site does not notice.
#[test]
fn a_limit_of_ones_own_keeps_workers_free_for_others() {
    let limit = AtMost::new(2);
    let server = Watched::start_app(|_| {}, |app| app.tool("/hold", limit.clone()));
    let mut polls: Vec<_> = (0..50).map(|_| sent(&server.client, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    wait_until(|| limit.room().waiting.len() == 48);
    server.gate.wait_for(2);
    for _ in 0..20 {
        server.client.get("/").send().assert_text("here");
    }
    // Those who leave make the others come sooner, not later.
    for connection in polls.drain(20..) {
        connection.reset();
    }
    server.gate.open();
    for connection in &mut polls {
        connection.read_response().assert_text("held");
    }
    drop(polls);
    wait_until(|| limit.room().free == 2 && limit.room().waiting.is_empty());
    server.assert_recovered();
}

// More streams than workers, each held up by its reader.
#[test]
fn streams_whose_readers_are_slow_hold_no_worker() {
    let server = Watched::start(|settings| settings.threads = 2);
    let mut streams: Vec<_> = (0..20).map(|_| server.client.new_browser().get("/endless").send_streaming()).collect();
    for _ in 0..10 {
        for stream in &mut streams {
            assert!(stream.next().is_some());
        }
        server.client.get("/").send().assert_text("here");
    }
    drop(streams);
    server.assert_recovered();
}

// The queue is bounded in number; its time is tested with the limits.
#[test]
fn without_a_queue_everything_beyond_the_workers_is_refused() {
    let server = Watched::start(|settings| {
        settings.threads = 1;
        settings.queue = 0;
    });
    let mut holder = sent(&server.client, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    server.gate.wait_for(1);
    server.client.new_browser().get("/").send().assert_status(503);
    server.gate.open();
    holder.read_response().assert_text("held");
    drop(holder);
    server.assert_recovered();
}

// A handler cannot be interrupted, but one can see which one is late, and for how long.
#[test]
fn a_handler_that_takes_long_can_be_seen() {
    let server = Watched::start(|_| {});
    let mut holder = sent(&server.client, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    server.gate.wait_for(1);
    let age = || server.running.workers().into_iter().find_map(|worker| worker.request);
    wait_until(|| age().is_some_and(|request| request.line == "GET /hold" && request.age > Duration::from_millis(20)));
    server.gate.open();
    holder.read_response().assert_text("held");
    drop(holder);
    server.assert_recovered();
}
