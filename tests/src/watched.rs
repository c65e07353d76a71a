//! A server under attack in this process, whose descriptors, threads and memory must come back to where they were.

use crate::{Gate, pages::Pages, resources::Resources, wait_until};
use kirsch::{engine::Running, prelude::*, server::ServerSettings, testing::Client};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// A running server, and the resources of the process before the attack.
///
/// One at a time in a process: the others wait, so that they do not disturb the counting.
#[derive(Debug)]
pub struct Watched {
    /// The server.
    pub running: Running,
    /// A client of it. Its connection is closed before the end is looked at.
    pub client: Client,
    /// Where the pages wait.
    pub gate: Gate,
    /// The sessions of the pages.
    pub sessions: Sessions,
    before: Resources,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Watched {
    /// Starts [`Pages`] with four workers.
    #[must_use]
    pub fn start(change: impl FnOnce(&mut ServerSettings)) -> Self {
        Self::start_app(change, |app| app)
    }

    /// Starts [`Pages`] with more around them.
    #[must_use]
    pub fn start_app(change: impl FnOnce(&mut ServerSettings), more: impl FnOnce(App) -> App) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let pages = Pages::default();
        let (gate, sessions) = (pages.gate.clone(), Sessions::in_memory());
        let app = App::new(pages).tool("/", sessions.clone()).server(|settings| {
            settings.threads = 4;
            settings.drain_idle = Duration::ZERO;
            settings.linger_timeout = Duration::from_millis(50);
            change(settings);
        });
        let running = more(app).start("127.0.0.1:0").expect("a free port");
        let client = Client::connect(running.address());
        for _ in 0..20 {
            client.new_browser().get("/").send().assert_text("here");
        }
        wait_until(|| running.statistics().connections_open == 0);
        // Threads give themselves their names: workers, acceptor, ticker, ends, the one that looks for stuck requests.
        wait_until(|| Resources::of_this_process().threads as u64 >= running.statistics().workers_configured + 4);
        Self { before: Resources::of_this_process(), running, client, gate, sessions, _alone: alone }
    }

    /// The server answers, nothing of the attack is left, and it stops in order. Connections of the test must be closed
    /// by now.
    #[track_caller]
    pub fn assert_recovered(self) {
        // Dropped in the opposite order, also when something fails below.
        let Self { _alone, running, client, gate, sessions, before } = self;
        gate.open();
        client.new_browser().get("/").send().assert_text("here");
        drop(client);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let now = running.statistics();
            if now.connections_open == 0 && now.queued == 0 && now.workers_busy == 0 {
                break;
            }
            assert!(Instant::now() < deadline, "something goes on: {now:?}");
            thread::yield_now();
        }
        let now = running.statistics();
        assert_eq!((now.workers_alive, now.workers_replaced), (now.workers_configured, 0));
        assert!(sessions.locks().is_empty(), "a session stayed locked: {:?}", sessions.locks());
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let after = Resources::of_this_process();
            if after.is_back_at(&before) {
                break;
            }
            assert!(Instant::now() < deadline, "something was kept: {before:?} before, {after:?} after");
            thread::yield_now();
        }
        assert!(running.stop(Duration::from_secs(10)).unfinished.is_empty());
    }
}
