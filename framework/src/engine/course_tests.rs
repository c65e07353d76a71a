//! The order of start and stop, and what failures in it do.

use super::{Deadline, Engine, Events, Plugin, State, Step};
use crate::logs::capture;
use crate::{App, Error, Tree};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

fn pages() -> App {
    App::new(Tree::new().index(|_| "Hello World!"))
}

/// What has happened, in its order.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn step(&self, app: App, step: Step, priority: u8) -> App {
        let trace = self.clone();
        app.on(step, priority, move |_| trace.note(format!("{step:?} {priority}")))
    }
}

/// A plugin that notes what it is asked to do.
struct Noting(Trace, &'static str, u8);

impl Plugin for Noting {
    fn name(&self) -> &str {
        self.1
    }
    fn priority(&self) -> u8 {
        self.2
    }
    fn start(&self, _: &Engine) -> Result<(), Error> {
        self.0.note(format!("{} starts", self.1));
        if self.1 == "panicking" { panic!("no luck") } else { Ok(()) }
    }
    fn stop(&self, _: Deadline) -> Result<(), Error> {
        self.0.note(format!("{} stops", self.1));
        Err(Error::unexpected("it does not matter"))
    }
    fn graceful(&self, _: &Engine) -> Result<(), Error> {
        self.0.note(format!("{} is graceful", self.1));
        Ok(())
    }
}

#[test]
fn the_start_goes_up_and_the_stop_goes_down() {
    let trace = Trace::default();
    let mut app = pages().plugin(Noting(trace.clone(), "database", 50));
    for (step, priority) in [(Step::Start, 80), (Step::Stop, 80), (Step::Start, 20), (Step::Stop, 20)] {
        app = trace.step(app, step, priority);
    }
    let running = app.start("127.0.0.1:0").unwrap();
    assert_eq!(trace.taken(), ["Start 20", "database starts", "Start 80"]);
    drop(running.stop(LONG));
    assert_eq!(trace.taken(), ["Stop 80", "database stops", "Stop 20"]);
}

#[test]
fn a_failing_start_stops_what_had_started_and_nothing_else() {
    let trace = Trace::default();
    let mut app = pages();
    for (name, priority) in [("first", 10), ("second", 20), ("panicking", 30), ("later", 40)] {
        app = app.plugin(Noting(trace.clone(), name, priority));
    }
    for priority in [29, 30, 31] {
        app = trace.step(app, Step::Stop, priority);
    }
    let error = app.start("127.0.0.1:0").unwrap_err().to_string();
    assert!(error.contains("no luck"), "{error}");
    let expected = ["first starts", "second starts", "panicking starts", "Stop 29", "second stops", "first stops"];
    assert_eq!(trace.taken(), expected);
}

#[test]
fn a_taken_port_fails_before_anything_behind_it_has_started() {
    let (trace, other) = (Trace::default(), pages().start("127.0.0.1:0").unwrap());
    let app = trace.step(trace.step(trace.step(pages(), Step::Start, 69), Step::Stop, 69), Step::Start, 71);
    assert!(app.start(other.address()).is_err());
    assert_eq!(trace.taken(), ["Start 69", "Stop 69"]);
}

#[test]
fn between_bind_and_accept_clients_may_connect_and_are_answered_later() {
    let (connected, connections) = unbounded();
    let app = pages().on(Step::Start, 72, move |engine| {
        let client = std::net::TcpStream::connect(engine.address().unwrap()).unwrap();
        connected.send(client).unwrap();
    });
    let _running = app.start("127.0.0.1:0").unwrap();
    let mut client = connections.recv().unwrap();
    std::io::Write::write_all(&mut client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let answer = std::io::read_to_string(client).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_failing_step_of_the_stop_is_logged_and_the_others_run() {
    let trace = Trace::default();
    let app = trace.step(pages(), Step::Stop, 10).on(Step::Stop, 30, |_| Err::<(), _>(Error::unexpected("no ink")));
    let running = app.on(Step::Stop, 20, |_| -> () { panic!("no paper") }).start("127.0.0.1:0").unwrap();
    let records = capture::records("kirsch::error", || drop(running.stop(LONG)));
    assert!(records[0].contains("Stop of priority 30") && records[0].contains("no ink"), "{records:?}");
    assert!(records[1].contains("no paper"), "{records:?}");
    assert_eq!(trace.taken(), ["Stop 10"]);
}

#[test]
fn each_worker_begins_and_ends_once_whatever_its_steps_do() {
    let (begun, begins) = unbounded();
    let (ended, ends) = unbounded();
    let app = pages().threads(3).on(Step::WorkerStart, 40, move |engine| -> () {
        begun.send(engine.worker().unwrap()).unwrap();
        panic!("it starts nevertheless");
    });
    let app = app.on(Step::WorkerStop, 40, move |engine| ended.send(engine.worker().unwrap()).unwrap());
    let running = app.start("127.0.0.1:0").unwrap();
    let client = crate::testing::Client::connect(running.address());
    client.get("/").send().assert_text("Hello World!");
    drop(running.stop(LONG));
    for list in [begins, ends] {
        let mut workers: Vec<_> = list.try_iter().collect();
        workers.sort_unstable();
        assert_eq!(workers, [1, 2, 3]);
    }
}

#[test]
fn graceful_reaches_steps_and_plugins_as_often_as_it_is_asked_for() {
    let trace = Trace::default();
    let app = pages().plugin(Noting(trace.clone(), "log", 50)).on(Step::Graceful, 10, |_| -> () { panic!("logged") });
    let running = trace.step(app, Step::Graceful, 60).start("127.0.0.1:0").unwrap();
    assert_eq!(trace.taken(), ["log starts"]);
    running.graceful();
    running.graceful();
    assert_eq!(trace.taken(), ["log is graceful", "Graceful 60", "log is graceful", "Graceful 60"]);
}

#[test]
fn states_are_events_and_never_go_back() {
    let (seen, states) = unbounded();
    let app = pages().observe(move |state: &State| seen.send(*state).unwrap());
    let running = app.start("127.0.0.1:0").unwrap();
    let engine = running.engine().clone();
    assert_eq!(running.state(), State::Running);
    drop(running.stop(LONG));
    assert_eq!(engine.state(), State::Stopped);
    assert_eq!(states.iter().collect::<Vec<_>>(), [State::Running, State::Draining, State::Stopping, State::Stopped]);
}

#[test]
fn a_mounted_app_brings_its_steps_plugins_and_observers() {
    let (trace, events, (seen, told)) = (Trace::default(), Events::new(), unbounded());
    let below = pages().plugin(Noting(trace.clone(), "below", 50)).events(&events);
    let below = below.observe(move |number: &u8| seen.send(*number).unwrap());
    let running = App::new(Tree::new()).mount("/below", below).start("127.0.0.1:0").unwrap();
    events.emit(7_u8);
    assert_eq!(told.recv().unwrap(), 7);
    assert_eq!((trace.taken(), running.plugins()[0].name.as_str()), (vec!["below starts".to_owned()], "below"));
}

/// An observer that hangs until the sender is dropped.
fn hanging() -> (Sender<()>, impl Fn(&u8) + Send + 'static, Receiver<()>) {
    let ((release, released), (began, begun)) = (bounded::<()>(0), unbounded());
    let observe = move |_: &u8| {
        began.send(()).unwrap_or_default();
        released.recv().unwrap_or_default();
    };
    (release, observe, begun)
}

#[test]
fn a_hanging_observer_delays_neither_those_who_tell_nor_the_stop_for_ever() {
    let (release, observe, begun) = hanging();
    let running = pages().observe(observe).start("127.0.0.1:0").unwrap();
    running.engine().emit(0_u8);
    begun.recv().unwrap();
    (0..5000).for_each(|_| running.engine().emit(0_u8));
    assert_eq!(running.engine().events().dropped(), 5000 - 1024);
    let records = capture::records("kirsch::engine", || drop(running.stop(Duration::ZERO)));
    assert!(records.iter().any(|line| line.contains("\"kirsch-events\" did not end in time")), "{records:?}");
    drop(release);
}

#[test]
fn an_app_has_background_jobs_of_its_own() {
    let (done, runs) = unbounded();
    let app = pages().background("heartbeat", Duration::from_millis(1), move || done.send(()).unwrap_or_default());
    let running = app.start("127.0.0.1:0").unwrap();
    runs.recv().unwrap();
    assert_eq!(running.background_jobs()[0].name, "heartbeat");
}
