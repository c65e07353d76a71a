//! The queue between the threads that log and the one that writes.
//!
//! A caller makes its line and leaves it here, or counts it as dropped: it never waits, whatever the disk or the reader
//! of a pipe does. The queue is bounded in lines and in bytes. Its last tenth is for warnings and errors, so that a
//! flood of access records does not cost those.

use super::form::{Form, LogLine};
use super::install::LogStatistics;
use super::levels::Levels;
use super::place::Place;
use super::writer::{Command, Writer};
use crate::exchange::Error;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use log::{Level, Log, Metadata, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Longest wait for the writer in [`Log::flush`].
const FLUSH: Duration = Duration::from_secs(2);

/// The logger of a process.
#[derive(Debug)]
pub(super) struct LogQueue {
    form: Form,
    pub(super) levels: Levels,
    lines: Sender<LogLine>,
    commands: Sender<Command>,
    counts: Arc<LogCounts>,
    /// Most bytes that wait.
    bytes: usize,
    /// Most lines that wait, for lines that are neither warnings nor errors.
    usual: usize,
}

/// What both sides count.
#[derive(Debug, Default)]
pub(super) struct LogCounts {
    /// Bytes of the lines that wait.
    pub(super) waiting: AtomicUsize,
    pub(super) written: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) repeated: AtomicU64,
}

impl LogQueue {
    /// The queue, and what the thread that writes has of it.
    pub(super) fn new(form: Form, levels: Levels, lines: usize, bytes: usize) -> (Self, WriterOfQueue) {
        let (sender, receiver) = bounded(lines);
        let (commands, commanded) = bounded(4);
        let counts = Arc::new(LogCounts::default());
        let writer = WriterOfQueue { form, lines: receiver, commands: commanded, counts: counts.clone() };
        (Self { form, levels, lines: sender, commands, counts, bytes, usual: lines - lines / 10 }, writer)
    }

    fn has_room(&self, level: Level) -> bool {
        let (bytes, lines) = match level {
            Level::Error | Level::Warn => (self.bytes, usize::MAX),
            _ => (self.bytes - self.bytes / 10, self.usual),
        };
        self.counts.waiting.load(Ordering::Relaxed) < bytes && self.lines.len() < lines
    }

    /// Waits until what was logged before is written. Whether it is.
    pub(super) fn flush_within(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let (done, written) = bounded(1);
        self.commands.send_deadline(Command::Flush(done), deadline).is_ok() && written.recv_deadline(deadline).is_ok()
    }

    /// Lets the writer open its file again.
    pub(super) fn reopen(&self) {
        let _ = self.commands.try_send(Command::Reopen);
    }

    pub(super) fn statistics(&self) -> LogStatistics {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LogStatistics {
            waiting: self.lines.len(),
            written: count(&self.counts.written),
            dropped: count(&self.counts.dropped),
            lost: count(&self.counts.lost),
            repeated: count(&self.counts.repeated),
        }
    }
}

/// The writer's side of a queue, before there is a place to write to.
pub(super) struct WriterOfQueue {
    form: Form,
    lines: Receiver<LogLine>,
    commands: Receiver<Command>,
    counts: Arc<LogCounts>,
}

impl WriterOfQueue {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(super) fn start(self, place: Place) -> Result<(), Error> {
        let writer = Writer::new(self.form, place, self.lines, self.commands, self.counts);
        std::thread::Builder::new().name("kirsch-log".to_owned()).spawn(move || writer.run())?;
        Ok(())
    }
}

impl Log for LogQueue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.levels.allow(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let counts = &self.counts;
        // Before the line is made: a flood costs little once the queue is full.
        if !self.has_room(record.level()) {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let line = self.form.line(record, SystemTime::now());
        // Counted before the writer can take it off again.
        counts.waiting.fetch_add(line.text.len(), Ordering::Relaxed);
        if let Err(TrySendError::Full(line) | TrySendError::Disconnected(line)) = self.lines.try_send(line) {
            counts.waiting.fetch_sub(line.text.len(), Ordering::Relaxed);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {
        self.flush_within(FLUSH);
    }
}
