//! Several processes on one session: counting beside each other, a holder that is killed, a holder that is paused past
//! its lease.
//!
//! The test runs its own program again, with the name of the test and a role in the environment. A child that has
//! reported waits for a line on its standard input, so that the test and not the clock decides the order.

use super::locks::{LONG, SHORT, fenced, lock, shared, try_lock, unlock};
use super::{PATIENCE, committed, data, load, number, terms};
use crate::prelude::*;
use crate::sessions::{Commit, Moment, SessionId, Store, Version};
use crate::testing::Client;
use crossbeam_channel::{Receiver, unbounded};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "KIRSCH_CONFORMANCE_ROLE";
const MARK: &str = "kirsch conformance: ";
const THREADS: usize = 4;
const ROUNDS: u64 = 25;
/// A lease that is renewed, on a machine that may be busy.
const KEPT: Duration = Duration::from_secs(3);

/// Checks two processes in one session, from a plain `#[test]` whose full name is `test`, as `cargo test -- --list`
/// shows it. `open` opens the engine at `place`, here and in the processes that the check starts.
///
/// ```no_run
/// use kirsch::testing::session_store;
/// # use kirsch::sessions::MemoryStore as MyStore;
/// # fn open(place: &str) -> MyStore { MyStore::new() }
///
/// #[test]
/// fn several_processes_share_the_store() {
///     let folder = std::env::temp_dir().join(format!("my-store-{}", std::process::id()));
///     session_store::processes("several_processes_share_the_store", &folder.display().to_string(), open);
/// }
/// ```
///
/// Two processes with four threads each count in one session. The lock of a killed process comes free. A process that
/// holds a lock is paused past its lease, and its commit is refused when it goes on; so is that of a whole request.
///
/// # Panics
/// When the store breaks a rule; the message is the rule. Reports of the other processes are on standard error.
pub fn processes<S: Store>(test: &str, place: &str, open: impl Fn(&str) -> S) {
    if let Ok(role) = std::env::var(ROLE) {
        let mut words = role.splitn(3, ' ');
        let (role, id, place) = (words.next(), words.next(), words.next());
        let id = id.and_then(|id| SessionId::parse(id.as_bytes())).expect("an id in the environment");
        play(role.expect("a role in the environment"), open(place.expect("a place in the environment")), &id);
        std::process::exit(0);
    }
    let store = open(place);
    two_processes_lose_nothing(test, place, &store);
    the_lock_of_a_killed_process_comes_free(test, place, &store);
    the_commit_of_a_paused_process_is_refused(test, place, &store);
    the_request_of_a_paused_process_is_refused(test, place, &store);
}

fn two_processes_lose_nothing<S: Store>(test: &str, place: &str, store: &S) {
    let (id, _) = new_record(store);
    let mut other = Other::start(test, place, "count", &id);
    other.expect("ready");
    other.tell();
    count(store, &id);
    other.expect("done");
    let total = 2 * THREADS as u64 * ROUNDS;
    assert_eq!(number(store, &id, Moment::now()), total, "two processes with four threads each lose nothing");
}

fn the_lock_of_a_killed_process_comes_free<S: Store>(test: &str, place: &str, store: &S) {
    let (id, version) = new_record(store);
    let mut other = Other::start(test, place, "hold", &id);
    other.expect("held");
    if shared(store).lapses() {
        std::thread::sleep(KEPT + SHORT);
    }
    assert!(try_lock(store, &id, LONG).is_none(), "a process that renews its lock holds it");
    std::thread::scope(|scope| {
        let next = scope.spawn(|| lock(store, &id, LONG));
        other.kill();
        let next = next.join().unwrap_or_else(|_| panic!("the lock of a process that was killed comes free"));
        let _ = committed(store.commit(&id, Some(version), &data(2), &fenced(next.fence, true)));
    });
}

fn the_commit_of_a_paused_process_is_refused<S: Store>(test: &str, place: &str, store: &S) {
    let (id, version) = new_record(store);
    let mut other = Other::start(test, place, "commit", &id);
    other.expect("held");
    other.signal(Signal::STOP);
    if !shared(store).lapses() {
        assert!(try_lock(store, &id, LONG).is_none(), "a lock that does not lapse stays with a paused process");
        other.signal(Signal::CONT);
        other.tell();
        other.expect("kept");
        return;
    }
    let next = lock(store, &id, LONG);
    let _ = committed(store.commit(&id, Some(version), &data(2), &fenced(next.fence, true)));
    other.signal(Signal::CONT);
    other.tell();
    other.expect("refused");
    assert_eq!(number(store, &id, Moment::now()), 2, "a process that was paused past its lease commits nothing");
}

fn the_request_of_a_paused_process_is_refused<S: Store>(test: &str, place: &str, store: &S) {
    if !shared(store).lapses() {
        return;
    }
    let (id, version) = new_record(store);
    let mut other = Other::start(test, place, "request", &id);
    other.expect("held");
    other.signal(Signal::STOP);
    let next = lock(store, &id, LONG);
    let _ = committed(store.commit(&id, Some(version), &data(2), &fenced(next.fence, true)));
    other.signal(Signal::CONT);
    other.tell();
    other.expect("status 409");
    assert_eq!(number(store, &id, Moment::now()), 2, "a request that was paused past its lease saves nothing");
}

fn new_record<S: Store>(store: &S) -> (SessionId, Version) {
    let id = SessionId::random();
    let version = committed(store.commit(&id, None, &data(0), &terms(Moment::now())));
    (id, version)
}

fn count<S: Store>(store: &S, id: &SessionId) {
    let count = || {
        for _ in 0..ROUNDS {
            let grant = lock(store, id, LONG);
            let record = load(store, id, Moment::now()).expect("a record");
            let next = record.data.get("number").and_then(|value| value.as_u64()).expect("a number") + 1;
            let terms = fenced(grant.fence, true);
            let _ = committed(store.commit(id, Some(record.version), &data(next), &terms));
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(count))));
}

/// The work of a child.
fn play<S: Store>(role: &str, store: S, id: &SessionId) {
    match role {
        "count" => {
            say("ready");
            listen();
            count(&store, id);
            say("done");
        }
        "hold" => {
            let grant = lock(&store, id, KEPT);
            say("held");
            // Until it is killed.
            let end = Instant::now() + PATIENCE;
            while Instant::now() < end {
                std::thread::sleep(SHORT / 4);
                assert!(shared(&store).renew(id, grant.fence, KEPT).wait().expect("renew"), "a renewed lease lasts");
            }
            unlock(&store, id, grant.fence);
        }
        "commit" => {
            let record = load(&store, id, Moment::now()).expect("a record");
            let grant = lock(&store, id, SHORT);
            say("held");
            listen();
            match store.commit(id, Some(record.version), &data(3), &fenced(grant.fence, true)).wait().expect("commit") {
                Commit::Committed(_) => say("kept"),
                Commit::LockLost => say("refused"),
                Commit::Conflict => say("in conflict"),
            }
        }
        "request" => {
            let page = |page: &mut crate::publish::PageCall<'_>| -> Result<(), Error> {
                let session = page.argument::<&Session>()?;
                say("held");
                listen();
                session.set("number", 3);
                Ok(())
            };
            let app = App::new(Tree::new().index(page)).tool("/", Sessions::new(store).lock_lease(SHORT));
            let visitor = Client::in_process(app).with_timeout(PATIENCE);
            visitor.set_cookie("session_id", &id.reveal());
            say(&format!("status {}", visitor.get("/").send().status().as_u16()));
        }
        role => panic!("no role {role:?}"),
    }
}

/// One line to the parent, past the test harness, which captures output and writes its own.
fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "\n{MARK}{word}");
    let _ = out.flush();
}

/// Waits for the parent's line. A parent that is gone ends the child.
fn listen() {
    let mut line = String::new();
    if !matches!(std::io::stdin().read_line(&mut line), Ok(1..)) {
        std::process::exit(1);
    }
}

/// Another process of this test. It is killed when it is dropped.
struct Other {
    process: Child,
    input: ChildStdin,
    said: Receiver<String>,
}

impl Other {
    fn start(test: &str, place: &str, role: &str, id: &SessionId) -> Self {
        let program = std::env::current_exe().expect("the test knows its own program");
        let mut process = Command::new(program)
            .args([test, "--exact", "--nocapture", "--include-ignored"])
            .env(ROLE, format!("{role} {} {place}", id.reveal()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test can run its own program");
        let input = process.stdin.take().expect("a pipe");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, said) = unbounded();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(word) = line.strip_prefix(MARK) {
                    let _ = sender.send(word.to_owned());
                }
            }
        });
        Self { process, input, said }
    }

    fn expect(&mut self, word: &str) {
        match self.said.recv_timeout(PATIENCE) {
            Ok(said) => assert_eq!(said, word, "what the other process says"),
            Err(_) => panic!(
                "the other process did not say {word:?}: it has failed (see its standard error), or the test has another name \
                 (give the full one, as `cargo test -- --list` shows it)"
            ),
        }
    }

    fn tell(&mut self) {
        writeln!(self.input, "go on").expect("the other process listens");
    }

    fn signal(&self, signal: Signal) {
        let id = self.process.id().try_into().ok().and_then(Pid::from_raw).expect("a process has an id");
        kill_process(id, signal).expect("a child may be signalled");
    }

    fn kill(&mut self) {
        self.process.kill().expect("a child may be killed");
        let _ = self.process.wait();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
