//! The thread that writes the log.
//!
//! It takes the lines that have come, puts those of a moment together, and writes them in one call. Only this thread
//! waits for a disk or for the reader of a pipe. It also counts, since it sees all lines:
//!
//! * A line that says the same for the eleventh time within ten seconds is counted and not written. The count follows
//!   when the ten seconds are over, and every ten seconds as long as it goes on.
//! * Lines that the queue had no room for, and lines that could not be written, are told as soon as the log takes lines
//!   again.

use super::form::{Form, LogLine, beginning};
use super::place::{Place, say_on_stderr};
use super::queue::LogCounts;
use crossbeam_channel::{Receiver, Sender, select};
use log::Level;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// Most bytes that are written in one call, but for one long line.
const BATCH: usize = 64 << 10;
/// Lines that come within this time go together. Woken for each line, this thread would cost more than all others save.
const TOGETHER: Duration = Duration::from_millis(2);
/// How often the same may be said within [`WINDOW`].
const OFTEN: u64 = 10;
const WINDOW: Duration = Duration::from_secs(10);
/// How many different lines are watched for repetition at the same time.
const MAX_WATCHED: usize = 1024;
/// How much of a repeated line is told with its count, in bytes.
const SHOWN: usize = 300;
/// The pause between two lines about what was dropped or lost.
const QUIET: Duration = Duration::from_secs(1);

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Write all that has come, then answer.
    Flush(Sender<()>),
    /// Open the file again.
    Reopen,
}

pub(super) struct Writer {
    form: Form,
    place: Place,
    lines: Receiver<LogLine>,
    commands: Receiver<Command>,
    counts: Arc<LogCounts>,
    watched: HashMap<u64, Watched>,
    batch: Vec<u8>,
    /// How many lines of the queue are in the batch.
    in_batch: u64,
    /// How many dropped and lost lines have been told, and how many the batch tells.
    told: (u64, u64),
    telling: (u64, u64),
    next_told: Instant,
    /// Why lines were lost last.
    failure: String,
    /// The last batch could not be written.
    is_failing: bool,
}

/// A line that may come again.
struct Watched {
    said: u64,
    unsaid: u64,
    /// Whether this is not the first window in a row: then nothing but the count is written.
    goes_on: bool,
    until: Instant,
    level: Level,
    message: String,
}

impl Writer {
    pub(super) fn new(
        form: Form,
        place: Place,
        lines: Receiver<LogLine>,
        commands: Receiver<Command>,
        counts: Arc<LogCounts>,
    ) -> Self {
        Self {
            form,
            place,
            lines,
            commands,
            counts,
            watched: HashMap::new(),
            batch: Vec::with_capacity(BATCH),
            in_batch: 0,
            told: (0, 0),
            telling: (0, 0),
            next_told: Instant::now(),
            failure: String::new(),
            is_failing: false,
        }
    }

    /// Until nobody can log any more.
    pub(super) fn run(mut self) {
        loop {
            let (lines, commands) = (self.lines.clone(), self.commands.clone());
            let mut asked = None;
            let mut has_ended = false;
            select! {
                recv(lines) -> line => match line {
                    Ok(line) => self.take(&line),
                    Err(_) => has_ended = true,
                },
                recv(commands) -> command => match command {
                    Ok(command) => asked = Some(command),
                    Err(_) => has_ended = true,
                },
                default(self.pause()) => {}
            }
            if asked.is_none() && !has_ended {
                asked = commands.recv_timeout(TOGETHER).ok();
            }
            self.take_all();
            let (now, at_once) = (Instant::now(), has_ended || asked.is_some());
            self.tell_repeated(now, at_once);
            self.tell_missing(now, at_once);
            self.write();
            match asked {
                Some(Command::Flush(done)) => {
                    let _ = done.try_send(());
                }
                Some(Command::Reopen) => self.reopen(),
                None => {}
            }
            if has_ended {
                return;
            }
        }
    }

    /// Until something is to be told without a new line.
    fn pause(&self) -> Duration {
        let repeated = self.watched.values().filter(|watched| watched.unsaid > 0).map(|watched| watched.until);
        let untold = (self.told != self.untold()).then_some(self.next_told);
        let next = repeated.chain(untold).min();
        next.map_or(Duration::from_secs(3600), |next| next.saturating_duration_since(Instant::now()))
    }

    fn untold(&self) -> (u64, u64) {
        (self.counts.dropped.load(Ordering::Relaxed), self.counts.lost.load(Ordering::Relaxed))
    }

    fn take_all(&mut self) {
        // As many as there are now: lines that go on coming do not keep a flush from its end.
        for _ in 0..self.lines.len() {
            let Ok(line) = self.lines.try_recv() else { return };
            self.take(&line);
        }
    }

    fn take(&mut self, line: &LogLine) {
        self.counts.waiting.fetch_sub(line.text.len(), Ordering::Relaxed);
        if !self.is_said(line) {
            self.counts.repeated.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if self.batch.len() + line.text.len() > BATCH {
            self.write();
        }
        if self.is_failing && self.batch.is_empty() {
            // Before the lines that may take the room.
            self.tell_missing(Instant::now(), true);
        }
        self.batch.extend_from_slice(line.text.as_bytes());
        self.in_batch += 1;
    }

    /// Whether the line is written. One that was said too often is counted.
    fn is_said(&mut self, line: &LogLine) -> bool {
        let Some(says) = line.says else { return true };
        if self.watched.len() >= MAX_WATCHED && !self.watched.contains_key(&says) {
            let now = Instant::now();
            self.watched.retain(|_, watched| watched.unsaid > 0 || watched.until > now);
            if self.watched.len() >= MAX_WATCHED {
                return true;
            }
        }
        let watched = self.watched.entry(says).or_insert_with(|| Watched {
            said: 0,
            unsaid: 0,
            goes_on: false,
            until: Instant::now() + WINDOW,
            level: line.level,
            message: shown(&line.text[line.message.clone()]),
        });
        let is_said = !watched.goes_on && watched.said < OFTEN;
        *(if is_said { &mut watched.said } else { &mut watched.unsaid }) += 1;
        is_said
    }

    /// Adds the counts of lines that were said too often: `at_once`, or when it is their time.
    fn tell_repeated(&mut self, now: Instant, at_once: bool) {
        let form = self.form;
        let mut own = Vec::new();
        self.watched.retain(|_, watched| {
            if watched.until > now && !(at_once && watched.unsaid > 0) {
                return true;
            }
            if watched.unsaid == 0 {
                return false;
            }
            let message = format!("{} more lines of the last {} s said: ", watched.unsaid, WINDOW.as_secs());
            own.push(form.own_line(SystemTime::now(), watched.level, &message, &watched.message));
            *watched = Watched {
                said: 0,
                unsaid: 0,
                goes_on: true,
                until: now + WINDOW,
                level: watched.level,
                message: std::mem::take(&mut watched.message),
            };
            true
        });
        for line in own {
            self.batch.extend_from_slice(line.as_bytes());
        }
    }

    /// Adds how many lines are missing since this was told last.
    fn tell_missing(&mut self, now: Instant, at_once: bool) {
        let (dropped, lost) = self.untold();
        if (dropped, lost) == self.telling || !(at_once || now >= self.next_told) {
            return;
        }
        self.next_told = now + QUIET;
        let (new_dropped, new_lost) = (dropped - self.telling.0, lost - self.telling.1);
        self.telling = (dropped, lost);
        if new_dropped > 0 {
            let message = format!("{new_dropped} lines were dropped: they came faster than the log could be written");
            self.batch.extend_from_slice(self.form.own_line(SystemTime::now(), Level::Warn, &message, "").as_bytes());
        }
        if new_lost > 0 {
            let message = format!("{new_lost} lines were lost: {}", self.failure);
            self.batch.extend_from_slice(self.form.own_line(SystemTime::now(), Level::Error, &message, "").as_bytes());
        }
    }

    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        match self.place.write(&self.batch, SystemTime::now()) {
            Ok(()) => {
                self.counts.written.fetch_add(self.in_batch, Ordering::Relaxed);
                self.told = self.telling;
                self.is_failing = false;
            }
            Err((written, error)) => {
                let whole = count_lines(&self.batch[..written]).min(self.in_batch);
                self.counts.written.fetch_add(whole, Ordering::Relaxed);
                self.counts.lost.fetch_add(self.in_batch - whole, Ordering::Relaxed);
                self.telling = self.told;
                self.is_failing = true;
                let failure = error.to_string();
                if self.failure != failure {
                    say_on_stderr(&format!("kirsch: the log cannot be written, its lines are lost: {failure}\n"));
                    self.failure = failure;
                }
                // The next telling is the next attempt, if there are no lines before.
                self.next_told = Instant::now() + QUIET;
                let _ = self.place.reopen();
            }
        }
        self.batch.clear();
        self.in_batch = 0;
        if let Some(error) = self.place.take_refusal() {
            self.say(Level::Warn, &format!("the log file could not be put aside, so it goes on growing: {error}"));
        }
    }

    /// Writes a line of the log about itself.
    fn say(&mut self, level: Level, message: &str) {
        let line = self.form.own_line(SystemTime::now(), level, message, "");
        self.batch.extend_from_slice(line.as_bytes());
        self.write();
    }

    fn reopen(&mut self) {
        if let Err(error) = self.place.reopen() {
            let message = format!("the log cannot be opened again, its lines go where they went before: {error}");
            self.say(Level::Error, &message);
        }
    }
}

/// The beginning of a message as it is written, without half an escape at its end.
fn shown(message: &str) -> String {
    let mut shown = beginning(message, SHOWN);
    if shown.len() < message.len()
        && let Some(escape) = shown.rfind('\\').filter(|at| shown.len() - at < 10)
    {
        shown = shown[..escape].trim_end_matches('\\');
    }
    shown.replace('\n', " ")
}

fn count_lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}
