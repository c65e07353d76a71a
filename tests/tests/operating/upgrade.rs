//! A new process of the program takes over while clients are served.

use super::{PROGRAM, manager::Manager, privileges};
use integration_tests::{program::Program, wait_until};
use kirsch::testing::{Client, RawConnection};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Instant,
};

/// A program at a place where another one can be put, and all processes that have been started by it.
struct Site {
    folder: tempfile::TempDir,
    first: Option<Program>,
    address: SocketAddr,
}

impl Site {
    fn start(before: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("room");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("ours");
        let place = |name: &str| folder.path().join(name);
        symlink(PROGRAM, place("program")).expect("room");
        let configuration = configuration(folder.path(), settings);
        let log = fs::File::create(place("log")).expect("room");
        let program = place("program");
        let first = Program::start(program.to_str().expect("text"), before, &configuration, log.into());
        let address = first.client.address().expect("it has a socket");
        let site = Self { folder, first: Some(first), address };
        wait_until(|| site.process().is_some());
        site
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another program at the place of this one.
    fn replace(&self, script: &str) {
        let aside = self.place("aside");
        fs::write(&aside, format!("#!/bin/sh\n{script}\n")).expect("room");
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).expect("ours");
        fs::rename(&aside, self.place("program")).expect("room");
    }

    /// The process that serves, as the PID file has it.
    fn process(&self) -> Option<u32> {
        fs::read_to_string(self.place("pid")).ok()?.trim().parse().ok()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place("log")).expect("it is there")
    }

    fn signal(&self, signal: Signal) {
        signal_to(self.process().expect("it serves"), signal);
    }

    /// Sends the signal, and waits until the new process alone accepts. Returns the old one.
    fn upgrade(&self) -> u32 {
        let old = self.process().expect("it serves");
        signal_to(old, Signal::USR2);
        wait_until(|| self.process().is_some_and(|process| process != old));
        wait_until(|| !listens(old, self.address.port()));
        old
    }

    /// The same, and waits until the old one has ended.
    fn upgrade_wholly(&mut self) {
        let old = self.upgrade();
        self.wait_for_the_end_of(old);
    }

    fn wait_for_the_end_of(&mut self, process: u32) {
        match self.first.take_if(|first| first.id() == process) {
            Some(first) => assert_eq!(first.wait().code(), Some(0)),
            None => wait_until(|| has_ended(process)),
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A request that is answered when its body is [released](release).
    fn hold(&self) -> RawConnection {
        let mut held = self.client().raw();
        held.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
        // The answer shows that the other has been read: one worker after another takes the events in their order.
        self.client().get("/").send().assert_text("here");
        held
    }
}

fn release(mut held: RawConnection) {
    held.send("bc").read_response().assert_text("abc").assert_header("connection", "close");
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(process) = self.process()
            && self.first.as_ref().is_none_or(|first| first.id() != process)
            && let Some(process) = Pid::from_raw(process.cast_signed())
        {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

fn configuration(folder: &Path, settings: &str) -> String {
    format!(
        "[global]\nserver.pid_file = \"{}\"\nserver.drain_timeout = \"20s\"\n{settings}",
        folder.join("pid").display()
    )
}

fn signal_to(process: u32, signal: Signal) {
    kill_process(Pid::from_raw(process.cast_signed()).expect("a number"), signal).expect("it runs");
}

/// Whether a process has the listening socket of this port.
fn listens(process: u32, port: u16) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    let listening = format!(":{port:04X} 00000000:0000 0A");
    let number = |line: &str| Some(PathBuf::from(format!("socket:[{}]", line.split_whitespace().nth(9)?)));
    let listening: Vec<_> = sockets.lines().filter(|line| line.contains(&listening)).filter_map(number).collect();
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok()).any(|place| listening.contains(&place))
}

/// Also of a process that nobody has waited for.
fn has_ended(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_none_or(|rest| rest.trim().is_empty() || rest.trim().starts_with(['Z', 'X']))
}

/// Clients on kept connections, as many as there are threads. A connection ends when the server says so.
struct Load {
    address: SocketAddr,
    ends: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Load {
    fn new(address: SocketAddr) -> Self {
        Self { address, ends: AtomicBool::new(false), answered: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    fn run(&self, request: &str) {
        let mut connection: Option<BufReader<TcpStream>> = None;
        while !self.ends.load(Ordering::Relaxed) {
            let asked = connection.take().map_or_else(|| TcpStream::connect(self.address).map(BufReader::new), Ok);
            match asked.and_then(|connection| ask(connection, request)) {
                Ok((200, kept)) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    connection = kept;
                }
                Ok((_, kept)) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    connection = kept;
                }
                Err(_) => drop(self.failed.fetch_add(1, Ordering::Relaxed)),
            }
        }
    }
}

type Kept = Option<BufReader<TcpStream>>;

fn ask(mut connection: BufReader<TcpStream>, request: &str) -> std::io::Result<(u16, Kept)> {
    connection.get_mut().write_all(request.as_bytes())?;
    let (mut status, mut length, mut is_last) = (0, 0, false);
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest[..3].parse().unwrap_or(0);
        } else if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap_or(0);
        } else if line == "connection: close" {
            is_last = true;
        } else if line.is_empty() {
            break;
        }
    }
    std::io::copy(&mut connection.by_ref().take(length), &mut std::io::sink())?;
    Ok((status, (!is_last).then_some(connection)))
}

/// So many upgrades in a row, each begun when the one before has drained. How many requests were answered.
fn upgrades_under_load(site: &mut Site, upgrades: u32, clients: usize, request: &str) -> u64 {
    let load = Load::new(site.address);
    thread::scope(|scope| {
        (0..clients).for_each(|_| drop(scope.spawn(|| load.run(request))));
        for _ in 0..upgrades {
            let before = load.answered.load(Ordering::Relaxed);
            site.upgrade_wholly();
            wait_until(|| load.answered.load(Ordering::Relaxed) > before + 10);
        }
        load.ends.store(true, Ordering::Relaxed);
    });
    assert_eq!(load.failed.load(Ordering::Relaxed), 0, "of {} requests", load.answered.load(Ordering::Relaxed));
    load.answered.load(Ordering::Relaxed)
}

const PLAIN: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn no_request_fails_through_upgrades() {
    let mut site = Site::start("", "");
    upgrades_under_load(&mut site, 3, 4, PLAIN);
}

// `cargo test -p integration-tests --test operating -- --ignored --nocapture soak`
#[test]
#[ignore = "it takes a minute"]
fn soak_of_twenty_upgrades() {
    let mut site = Site::start("", "");
    let began = Instant::now();
    let answered = upgrades_under_load(&mut site, 20, 8, PLAIN);
    println!("{answered} requests, none failed, through 20 upgrades in {:.1?}", began.elapsed());
}

// Sessions that one process has for itself are locked between both while there are two.
#[test]
fn no_change_of_a_session_is_lost_through_upgrades() {
    let sessions = tempfile::tempdir().expect("room");
    let mut site = Site::start(&format!("SESSIONS={}; export SESSIONS; ", sessions.path().display()), "");
    let client = site.client();
    client.get("/count").send().assert_text("1");
    let cookie = client.cookie("session_id").expect("a session was begun");
    let request = format!("GET /count HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n");
    let answered = upgrades_under_load(&mut site, 4, 2, &request);
    client.get("/count").send().assert_text(&(answered + 2).to_string());
}

// The first process has the certificate, and the keys of the tickets go from one to the next.
#[test]
fn clients_resume_their_sessions_of_tls_through_an_upgrade() {
    let files = tempfile::tempdir().expect("room");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (file, key) = (files.path().join("site.pem"), files.path().join("site.key"));
    fs::write(&file, made.cert.pem()).expect("room");
    fs::write(&key, made.signing_key.serialize_pem()).expect("room");
    let tls =
        format!("server.listen = \"127.0.0.1:0 tls\"\n[[global.server.certificate]]\nfile = {file:?}\nkey = {key:?}");
    let mut site = Site::start("", &tls);
    let is_resumed = || Client::connect_tls(site.address).get("/resumed").send().text() == "true";
    assert!(!is_resumed());
    assert!((0..8).all(|_| is_resumed()));
    site.upgrade_wholly();
    let answers: Vec<_> =
        (0..8).map(|_| Client::connect_tls(site.address).get("/resumed").send().text().to_owned()).collect();
    assert_eq!(answers, ["true"; 8]);
}

#[test]
fn a_program_that_does_not_start_changes_nothing() {
    let panics = format!("PANIC_AT_START=1 exec {PROGRAM} \"$@\"");
    let wrong = format!("exec {PROGRAM} 'no configuration'");
    for (script, problem) in [
        ("exit 3", "has ended before it was ready: exit status: 3"),
        ("exec sleep 100", "was not ready within 500ms (`server.upgrade_timeout`)"),
        ("exec 0<&-; exec sleep 100", "has closed its standard input"),
        ("echo nonsense >&0; exec sleep 100", "not a Kirsch program of this kind"),
        (panics.as_str(), "has failed to start: "),
        (wrong.as_str(), "has failed to start: "),
    ] {
        let site = Site::start("", "server.upgrade_timeout = \"500ms\"\n");
        let (old, mut held) = (site.process(), site.hold());
        site.replace(script);
        site.signal(Signal::USR2);
        wait_until(|| site.log().contains("the upgrade has failed, this process serves on"));
        let log = site.log();
        assert_eq!(log.matches("the upgrade has failed").count(), 1, "{script}: {log}");
        // A loaded machine may take longer than that for a start.
        let is_late = log.contains("was not ready within");
        assert!(log.contains(problem) || is_late, "{script}: {log}");
        site.client().get("/").send().assert_text("here");
        held.send("bc").read_response().assert_text("abc");
        assert_eq!(site.process(), old, "{script}");
    }
}

#[test]
fn a_program_that_is_gone_or_must_not_be_started_changes_nothing() {
    let site = Site::start("", "");
    fs::remove_file(site.place("program")).expect("it is there");
    site.signal(Signal::USR2);
    wait_until(|| site.log().contains("program cannot be started: No such file or directory"));
    fs::write(site.place("program"), "").expect("room");
    site.signal(Signal::USR2);
    wait_until(|| site.log().contains("program cannot be started: Permission denied"));
    site.client().get("/").send().assert_text("here");
}

#[test]
fn of_a_hundred_signals_one_starts_a_process() {
    let mut site = Site::start("", "");
    let started = site.place("started");
    let old = site.process().expect("it serves");
    site.replace(&format!("echo >> {}; SLOW_START=300 exec {PROGRAM} \"$@\"", started.display()));
    site.signal(Signal::USR2);
    wait_until(|| started.exists());
    (0..100).for_each(|_| signal_to(old, Signal::USR2));
    wait_until(|| site.process() != Some(old));
    site.wait_for_the_end_of(old);
    assert_eq!(fs::read_to_string(started).expect("it is there").lines().count(), 1);
}

#[test]
fn listeners_may_be_added_and_left_out() {
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let (left_out, added) = (free(), free());
    let mut site = Site::start("", &format!("server.listen = [\"127.0.0.1:0\", \"{left_out}\"]\n"));
    let kept = site.address;
    Client::connect(left_out).get("/").send().assert_text("here");
    // By the same name, and the other way round by its address.
    let changed = configuration(site.folder.path(), &format!("server.listen = [\"{added}\", \"{kept}\"]\n"));
    site.replace(&format!("exec {PROGRAM} '{changed}'"));
    site.upgrade_wholly();
    Client::connect(kept).get("/").send().assert_text("here");
    Client::connect(added).get("/").send().assert_text("here");
    assert!(TcpStream::connect(left_out).is_err(), "nobody listens there any more");
}

fn ask_unix(path: &Path) -> String {
    let mut client = std::os::unix::net::UnixStream::connect(path).expect("it listens");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("it takes it");
    std::io::read_to_string(client).expect("an answer")
}

#[test]
fn the_file_of_a_unix_socket_goes_with_it() {
    let sockets = tempfile::tempdir().expect("room");
    let path = sockets.path().join("site.sock");
    let mut site = Site::start("", &format!("server.listen = [\"127.0.0.1:0\", \"unix:{}\"]\n", path.display()));
    site.replace(&format!("PANIC_AT_START=1 exec {PROGRAM} \"$@\""));
    site.signal(Signal::USR2);
    wait_until(|| site.log().contains("the upgrade has failed"));
    assert!(ask_unix(&path).ends_with("here"), "one that has failed leaves it");
    site.replace(&format!("exec {PROGRAM} \"$@\""));
    site.upgrade_wholly();
    assert!(ask_unix(&path).ends_with("here"));
    site.signal(Signal::TERM);
    wait_until(|| !path.exists());
}

fn descriptors(process: u32) -> Vec<(String, PathBuf)> {
    let all = fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").flatten();
    all.filter_map(|entry| Some((entry.file_name().into_string().ok()?, fs::read_link(entry.path()).ok()?))).collect()
}

#[test]
fn the_new_process_gets_the_listeners_and_nothing_else() {
    let mut site = Site::start("", "");
    let held = site.hold();
    let old = site.upgrade();
    let new = site.process().expect("it serves");
    let of_new = descriptors(new);
    let stdin = of_new.iter().find(|(number, _)| number == "0").expect("it is open");
    assert_eq!(stdin.1, Path::new("/dev/null"));
    // What this test has been started with, the first process has got, too.
    let places = |process| descriptors(process).into_iter().map(|(_, place)| place).collect::<HashSet<_>>();
    let of_test = places(std::process::id());
    let is_private =
        |place: &Path| !place.starts_with("/dev/null") && !place.to_string_lossy().starts_with("anon_inode");
    let more = of_new.iter().filter(|(number, _)| !["0", "1", "2"].contains(&number.as_str())).map(|(_, place)| place);
    let more: Vec<_> = more.filter(|place| is_private(place) && !of_test.contains(*place)).collect();
    // The listeners, until the old one has closed its own.
    wait_until(|| {
        let of_old = places(old);
        more.iter().all(|place| !of_old.contains(*place))
    });
    release(held);
    site.wait_for_the_end_of(old);
}

#[test]
fn a_request_of_the_old_process_ends_there_and_two_old_processes_are_enough() {
    let mut site = Site::start("", "");
    let of_first = site.hold();
    let first = site.upgrade();
    let of_second = site.hold();
    let second = site.upgrade();
    site.signal(Signal::USR2);
    wait_until(|| site.log().contains(&format!("the older processes {second} and {first} have not ended yet")));
    release(of_first);
    site.wait_for_the_end_of(first);
    wait_until(|| site.log().matches(&format!("the older process {first} has ended")).count() == 2);
    let third = site.upgrade();
    release(of_second);
    site.wait_for_the_end_of(second);
    site.wait_for_the_end_of(third);
}

#[test]
fn background_jobs_run_in_one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("room");
    let beats = folder.path().join("beats");
    let mut site = Site::start(&format!("BEATS={}; export BEATS; ", beats.display()), "");
    let read = || fs::read_to_string(&beats).unwrap_or_default();
    let beats_of = |process: u32| read().lines().any(|line| line.parse() == Ok(process));
    let old = site.process().expect("it serves");
    wait_until(|| beats_of(old));
    let held = site.hold();
    site.upgrade();
    let new = site.process().expect("it serves");
    // The old one still has a request.
    wait_until(|| beats_of(new));
    release(held);
    site.wait_for_the_end_of(old);
    let all = read();
    let mut changes: Vec<_> = all.lines().collect();
    changes.dedup();
    assert_eq!(changes, [old.to_string(), new.to_string()]);
}

#[test]
fn a_stop_during_an_upgrade_ends_both() {
    let mut site = Site::start("", "");
    let started = site.place("started");
    site.replace(&format!("echo $$ > {}; exec sleep 100", started.display()));
    site.signal(Signal::USR2);
    let number = || fs::read_to_string(&started).ok().and_then(|text| text.trim().parse::<u32>().ok());
    wait_until(|| number().is_some());
    assert_eq!(site.first.take().expect("it runs").terminate().code(), Some(0));
    wait_until(|| number().is_some_and(has_ended));
    assert_eq!(site.process(), None);
}

#[test]
fn clients_that_are_slow_to_begin_are_served_through_an_upgrade() {
    let mut site = Site::start("", "server.drain_idle = \"10ms\"\n");
    let [mut silent, mut half, mut kept] = [(); 3].map(|()| site.client().raw());
    half.send("GET / HT");
    // Accepted after the others.
    kept.send(PLAIN).read_response();
    let old = site.upgrade();
    kept.assert_closed();
    half.send("TP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("here");
    silent.send(PLAIN).read_response().assert_text("here");
    site.wait_for_the_end_of(old);
}

// It has minutes for what it has begun, unless somebody says that it has not.
#[test]
fn an_old_process_hears_signals_until_it_has_ended() {
    let mut site = Site::start("KIRSCH_SERVER__DRAIN_TIMEOUT=100ms; export KIRSCH_SERVER__DRAIN_TIMEOUT; ", "");
    let mut held = site.hold();
    let old = site.upgrade();
    wait_until(|| site.log().contains("takes over"));
    signal_to(old, Signal::QUIT);
    wait_until(|| site.log().contains("status: draining"));
    signal_to(old, Signal::HUP);
    signal_to(old, Signal::USR2);
    wait_until(|| site.log().contains("this process stops already"));
    assert!(!has_ended(old));
    signal_to(old, Signal::TERM);
    held.assert_closed();
    // In order, with an error that names the request.
    assert_eq!(site.first.take_if(|first| first.id() == old).expect("the first").wait().code(), Some(1));
    assert!(site.log().contains("SIGTERM: stopping within 100ms"));
    site.client().get("/").send().assert_text("here");
}

#[test]
fn what_visitors_would_lose_is_told_and_can_forbid_an_upgrade() {
    let mut site = Site::start("", "");
    site.upgrade_wholly();
    assert!(site.log().contains("visitors lose sessions in memory"));
    let site = Site::start("", "server.upgrade_loses_memory = false\n");
    site.signal(Signal::USR2);
    wait_until(|| site.log().contains("visitors would lose sessions in memory (`server.upgrade_loses_memory` is off)"));
    site.client().get("/").send().assert_text("here");
}

#[test]
fn systemd_learns_which_process_is_the_main_one() {
    let manager = Manager::new();
    let mut site = Site::start(&manager.variables(), "");
    assert_eq!(manager.told(), "READY=1");
    let old = site.upgrade();
    let main = format!("MAINPID={}\nREADY=1", site.process().expect("it serves"));
    assert!(manager.told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    let mut told = [manager.told(), manager.told()];
    told.sort();
    assert_eq!(told, [main, "READY=1".to_owned()]);
    site.wait_for_the_end_of(old);
    site.signal(Signal::TERM);
    assert_eq!(manager.told(), "STOPPING=1");
}

// What has been given up stays so, and a port of root's is kept.
#[test]
fn an_upgrade_without_rights_takes_over_what_root_had_bound() {
    if !privileges::is_root("giving up rights") {
        return;
    }
    let mut site = Site::start("", "server.user = \"nobody\"\nserver.listen = \"127.44.0.2:80\"\n");
    site.upgrade_wholly();
    let new = site.process().expect("it serves");
    assert!(privileges::of_all_threads(new, "Uid:").iter().all(|users| users.iter().all(|user| user == "65534")));
    assert!(privileges::of_all_threads(new, "CapEff:").iter().all(|set| set[0] == "0000000000000000"));
    site.client().get("/").send().assert_text("here");
}
