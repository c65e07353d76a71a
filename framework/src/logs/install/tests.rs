//! The log as a whole, without making it the logger of the process.

use super::*;
use crossbeam_channel::{Receiver, Sender, unbounded};
use log::{Level, Log, Record};
use parking_lot::Mutex;
use std::io;

/// A place that takes what a test lets it take.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<(Vec<u8>, Option<io::ErrorKind>)>>);

impl Taken {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().0.clone()).unwrap()
    }

    fn fail(&self, with: Option<io::ErrorKind>) {
        self.0.lock().1 = with;
    }
}

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = self.0.lock();
        if let Some(kind) = taken.1 {
            return Err(kind.into());
        }
        taken.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe that nobody reads until the test does.
struct Pipe {
    began: Sender<()>,
    read: Receiver<()>,
    taken: Taken,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.began.send(());
        let _ = self.read.recv();
        self.taken.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logs {
    /// The log, without making it the logger of the process.
    fn start(self, levels: Option<&str>) -> Result<Arc<LogQueue>, Error> {
        let HeldLogs { to, rotation, lines } = self.apart(levels)?;
        lines.writer.start(to.open(rotation)?)?;
        Ok(lines.queue)
    }
}

const LONG: Duration = Duration::from_secs(60);

fn say(queue: &LogQueue, level: Level, message: &str) {
    queue.log(&Record::builder().level(level).target("shop").args(format_args!("{message}")).build());
}

#[test]
fn what_was_said_before_a_flush_is_written() {
    let taken = Taken::default();
    let queue = Logs::text_to(taken.clone()).start(None).unwrap();
    for number in 0..1000 {
        say(&queue, Level::Info, &format!("order {number}"));
    }
    assert!(queue.flush_within(LONG));
    let text = taken.text();
    assert!(text.lines().enumerate().all(|(number, line)| line.ends_with(&format!("INFO  shop order {number}"))));
    assert_eq!((text.lines().count(), queue.statistics().written), (1000, 1000));
}

#[test]
fn a_file_that_cannot_be_put_aside_is_told_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.log");
    // A folder that is not empty has the name that the file would take.
    std::fs::create_dir_all(path.with_extension("log.1").join("in the way")).unwrap();
    let queue = Logs::text(&path).rotate_at(100).keep(1).start(None).unwrap();
    for number in 0..3 {
        say(&queue, Level::Info, &format!("order {number} {}", "x".repeat(100)));
        assert!(queue.flush_within(LONG));
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let told: Vec<_> = text.lines().filter(|line| line.contains("could not be put aside")).collect();
    assert_eq!((told.len(), text.lines().count()), (1, 4), "{text}");
    assert!(told[0].contains("WARN  kirsch::logs the log file could not be put aside, so it goes on growing: "));
}

#[test]
fn a_flood_of_equal_errors_is_a_hundred_lines_at_most() {
    let taken = Taken::default();
    let queue = Logs::json_to(taken.clone()).start(None).unwrap();
    for number in 0..100_000 {
        let (id, args) = (format!("{number:016x}"), format_args!("request {number:016x}: the database is \"gone\""));
        let pairs = [("request", id.as_str())];
        queue.log(&Record::builder().level(Level::Error).target("shop").args(args).key_values(&pairs).build());
    }
    assert!(queue.flush_within(LONG));
    let lines = taken.text().lines().count();
    assert!((11..=100).contains(&lines), "{lines} lines");
    let last: serde_json::Value = serde_json::from_str(taken.text().lines().last().unwrap()).unwrap();
    assert!(last["msg"].as_str().is_some_and(|message| message.contains("were dropped") || message.contains("said: ")));
    let LogStatistics { written, dropped, repeated, .. } = queue.statistics();
    assert_eq!((written, written + dropped + repeated), (10, 100_000));
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_and_tells_how_many() {
    let (taken, (began, begun), (read, reader)) = (Taken::default(), unbounded(), unbounded());
    let pipe = Pipe { began, read: reader, taken: taken.clone() };
    let queue = Logs::text_to(pipe).queue(100).start(None).unwrap();
    say(&queue, Level::Info, "the first");
    begun.recv().unwrap();
    for number in 0..1000 {
        say(&queue, Level::Info, &format!("page {number}"));
    }
    say(&queue, Level::Error, "an error");
    assert!(!queue.flush_within(Duration::ZERO));
    let LogStatistics { waiting, dropped, .. } = queue.statistics();
    assert_eq!((waiting, dropped), (91, 910));
    drop(read);
    assert!(queue.flush_within(LONG));
    assert!(taken.text().contains("an error\n"), "errors have a place of their own");
    assert!(taken.text().contains("910 lines were dropped"), "{}", taken.text());
}

#[test]
fn lines_that_a_full_disk_does_not_take_are_counted_and_told() {
    let taken = Taken::default();
    let queue = Logs::text_to(taken.clone()).start(None).unwrap();
    taken.fail(Some(io::ErrorKind::StorageFull));
    say(&queue, Level::Info, "one");
    say(&queue, Level::Info, "two");
    assert!(queue.flush_within(LONG));
    assert_eq!(queue.statistics().lost, 2);
    taken.fail(None);
    say(&queue, Level::Info, "three");
    assert!(queue.flush_within(LONG));
    assert!(taken.text().contains("three\n") && taken.text().contains("2 lines were lost: "), "{}", taken.text());
}

#[test]
fn the_bytes_that_wait_are_bounded() {
    let (began, begun) = unbounded();
    let (read, reader) = unbounded();
    let queue = Logs::text_to(Pipe { began, read: reader, taken: Taken::default() }).queue_bytes(64 << 10);
    let queue = queue.start(None).unwrap();
    say(&queue, Level::Info, "the first");
    begun.recv().unwrap();
    for _ in 0..1000 {
        say(&queue, Level::Info, &"x".repeat(10_000));
    }
    assert!(queue.statistics().waiting < 10, "{:?}", queue.statistics());
    drop(read);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let error = Logs::text("/dev/null/site.log").start(None).unwrap_err().to_string();
    assert!(error.starts_with("the log /dev/null/site.log: "), "{error}");
}
