//! Requests that are parked, woken, expire and are cut off: each ends once, in any order of these events.
//!
//! The scheduler, slots and words are real. The connection parks as the server's does, and the stop goes through the
//! phases as `stop.rs` does, without clocks: its patience is a number of looks, and a request that is left makes the
//! wait for its end endless.

use super::*;

/// A mistake in parking or in the stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// A wake-up that comes while the request is on its way into parking is forgotten.
    WakeForgotten,
    /// After the end, workers treat connections as before.
    NoUndertaker,
}

/// The part that all threads share.
struct World {
    mistake: Mistake,
    /// Whether parked requests may go on.
    open: AtomicUsize,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// A connection with requests of one byte: `p` parks until it may go on, `l` runs until the server has stopped.
struct Guest {
    socket: UnixStream,
    world: Arc<World>,
    parked: bool,
    woken: bool,
    expired: bool,
    /// It has just been parked, and has not been let go since.
    fresh: bool,
}

impl AsFd for Guest {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The server's values for a step.
type Server = Arc<Scheduler<Guest>>;

impl Connection for Guest {
    type Workspace = Server;

    fn step(&mut self, news: News, server: &mut Server) -> Step {
        let forgets = self.world.mistake == Mistake::WakeForgotten && std::mem::take(&mut self.fresh);
        self.woken |= news.edges.contains(Edges::WOKEN) && !forgets;
        self.expired |= news.edges.contains(Edges::EXPIRED);
        if news.role == Role::Undertaker && self.world.mistake != Mistake::NoUndertaker {
            if self.parked {
                self.end();
            }
            return Step::Close;
        }
        if self.parked { self.resume(news.role, server) } else { self.read(news.role, server) }
    }

    fn interest(&self) -> Interest {
        Interest::INPUT
    }
}

impl Guest {
    fn read(&mut self, role: Role, server: &Server) -> Step {
        if role != Role::Worker && self.has_input() {
            return Step::Lend { refusable: false };
        }
        let mut job = [0];
        match self.socket.read(&mut job) {
            Ok(0) => return Step::Close,
            Ok(_) => {}
            Err(_) if server.phase() >= Phase::Closing => return Step::Close,
            Err(_) => return Step::Wait { deadline: None, idle: true },
        }
        self.world.begun.fetch_add(1, Ordering::SeqCst);
        if job == *b"l" {
            while server.phase() < Phase::Stopped {
                thread::yield_now();
            }
            self.end();
            return Step::Wait { deadline: None, idle: false };
        }
        self.run(server)
    }

    fn resume(&mut self, role: Role, server: &Server) -> Step {
        if !self.woken && !self.expired {
            return Step::Wait { deadline: None, idle: false };
        }
        if role != Role::Worker {
            return Step::Lend { refusable: false };
        }
        self.run(server)
    }

    /// The service: goes on, or parks.
    fn run(&mut self, server: &Server) -> Step {
        let expired = std::mem::take(&mut self.expired);
        (self.woken, self.parked) = (false, false);
        if self.world.open.load(Ordering::SeqCst) > 0 || expired {
            self.end();
            return self.read(Role::Worker, server);
        }
        // Here a waker is on the wait list, and may be used.
        thread::yield_now();
        (self.parked, self.fresh) = (true, true);
        Step::Wait { deadline: None, idle: false }
    }

    fn has_input(&self) -> bool {
        matches!(rustix::net::recv(&self.socket, &mut [0], rustix::net::RecvFlags::PEEK), Ok((_, 1..)))
    }

    fn end(&mut self) {
        self.parked = false;
        self.world.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// A server with one connection for each of `jobs`, which are on their way.
struct Play {
    server: Server,
    world: Arc<World>,
    peers: Vec<UnixStream>,
    workers: Vec<thread::JoinHandle<()>>,
}

impl Play {
    fn new(workers: usize, jobs: &[&str], mistake: Mistake) -> Self {
        let [open, begun, ended] = [(); 3].map(|()| AtomicUsize::new(0));
        let world = Arc::new(World { mistake, open, begun, ended });
        let server: Server = Arc::new(Scheduler::new(jobs.len(), 0, workers, 100).expect("a poller"));
        let peers = jobs.iter().map(|job| {
            let (socket, mut far) = UnixStream::pair().expect("a socket pair");
            socket.set_nonblocking(true).expect("a valid option");
            let guest =
                Guest { socket, world: world.clone(), parked: false, woken: false, expired: false, fresh: false };
            server.insert(guest, server.clock.now()).expect("room");
            far.write_all(job.as_bytes()).expect("room for a byte");
            far
        });
        let peers = peers.collect();
        let workers = (0..workers).map(|index| {
            let server = server.clone();
            thread::spawn(move || server.work(&server.records[index], &mut server.clone()))
        });
        let workers = workers.collect();
        Self { server, world, peers, workers }
    }

    fn spawn(&self, life: impl FnOnce(&Server, &World) + Send + 'static) -> thread::JoinHandle<()> {
        let (server, world) = (self.server.clone(), self.world.clone());
        thread::spawn(move || life(&server, &world))
    }

    /// Makes room, then wakes whoever waits for it.
    fn waker(&self) -> thread::JoinHandle<()> {
        self.spawn(|server, world| {
            world.open.store(1, Ordering::SeqCst);
            server.wake(Token::from_bits(0), Edges::WOKEN, Waiting::Turn);
        })
    }

    /// The phases of the stop; `looks` is its patience for requests in flight.
    fn stop(self, looks: usize) {
        let Self { server, world, peers, workers } = self;
        server.enter(Phase::Draining);
        server.enter(Phase::Closing);
        for _ in 0..looks {
            for index in server.slab.indexes() {
                let Some(mut owned) = server.slab.claim_if_free(index) else { continue };
                if owned.connection().parked {
                    server.put_down(owned);
                } else {
                    server.drive(owned, Edges::NONE, Role::Attendant, &mut server.clone());
                }
            }
            thread::yield_now();
        }
        server.enter(Phase::Stopped);
        while server.slab.open() > 0 {
            for index in server.slab.indexes() {
                match server.slab.claim_if_free(index) {
                    Some(mut owned) => {
                        if owned.connection().parked {
                            server.push(owned, Waiting::Worker);
                        }
                    }
                    None => {
                        server
                            .slab
                            .with_socket(index, |socket| rustix::net::shutdown(socket, rustix::net::Shutdown::Both));
                    }
                }
            }
            thread::yield_now();
        }
        server.enter(Phase::Ended);
        for worker in workers {
            worker.join().expect("no panic in the model");
        }
        drop(peers);
        assert_eq!(server.slab.open(), 0, "a connection was left");
        let [begun, ended] = [&world.begun, &world.ended].map(|count| count.load(Ordering::SeqCst));
        assert_eq!(begun, ended, "each request ends once");
    }
}

/// A parked request is woken, once, by a thread that made room; it goes on.
fn a_parked_request_is_woken(mistake: Mistake) {
    check(SCHEDULES, move || {
        let play = Play::new(2, &["p"], mistake);
        play.waker().join().expect("no panic in the model");
        while play.world.ended.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        play.stop(1);
    });
}

#[test]
fn a_wake_up_reaches_a_request_on_its_way_into_parking() {
    a_parked_request_is_woken(Mistake::None);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_a_wake_up_that_is_forgotten() {
    a_parked_request_is_woken(Mistake::WakeForgotten);
}

/// Waker, ticker, stop and a handler that does not return before all is over, in any order.
fn everything_meets_the_stop(mistake: Mistake) {
    check(SCHEDULES, move || {
        let play = Play::new(2, &["p", "l", "p"], mistake);
        let waker = play.waker();
        let ticker = play.spawn(|server, _| {
            if let Some(owned) = server.slab.claim_if_free(2) {
                server.drive(owned, Edges::EXPIRED, Role::Attendant, &mut server.clone());
            }
        });
        play.stop(1);
        for thread in [waker, ticker] {
            thread.join().expect("no panic in the model");
        }
    });
}

#[test]
fn at_the_stop_each_request_ends_once_and_no_thread_waits() {
    everything_meets_the_stop(Mistake::None);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_an_end_without_an_undertaker() {
    everything_meets_the_stop(Mistake::NoUndertaker);
}
