//! A log of a program that runs for itself: the settings, and the one logger of the process.

use super::form::Form;
use super::levels::Levels;
use super::log_file::{LogFile, Rotation};
use super::place::{Place, say_on_stderr};
use super::queue::LogQueue;
use crate::exchange::Error;
use crate::line::record;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The variable that operators know.
const VARIABLE: &str = "RUST_LOG";

/// Longest wait for the last lines when the program stops.
const LAST_LINES: Duration = Duration::from_secs(2);

/// A log that never makes a request wait: text or JSON lines, written by a thread of their own.
///
/// ```no_run
/// use kirsch::{logs::Logs, prelude::*};
///
/// fn main() -> kirsch::Result {
///     App::new(Tree::new().index(|_| "Hello")).logs(Logs::json("log/site.jsonl").daily()).serve("127.0.0.1:8080")
/// }
/// ```
///
/// The records of the framework and those of your program (`log::info!` and its kin, with their key-values) become one
/// line each. A queue of 8,192 lines leads to the thread that writes. When it is full, because the disk is full or
/// nobody reads the pipe, lines are dropped, and the log tells how many as soon as it goes on. The last tenth of the
/// queue is for warnings and errors. A line that says the same more than ten times in ten seconds is counted instead.
///
/// A file is put aside at 100 MiB (`site.log.1`, `site.log.2`, ...), and seven of those are kept. A program that
/// renames the file itself, as `logrotate` does, needs no signal; SIGHUP opens it again at once.
///
/// For a log on the screen `env_logger` is simpler. A process has one logger: install either.
#[must_use = "a log does nothing until an application starts with it, or it is installed"]
pub struct Logs {
    form: Form,
    to: Target,
    levels: String,
    lines: usize,
    bytes: usize,
    rotation: Rotation,
}

enum Target {
    Path(PathBuf),
    Stream(Box<dyn Write + Send>),
}

impl Logs {
    /// Lines for people, into a file. It is created with the folders above it, readable for this user alone; a file
    /// that is there keeps its mode, as do those that follow it.
    pub fn text(path: impl Into<PathBuf>) -> Self {
        Self::new(Form::Text, Target::Path(path.into()))
    }

    /// One JSON object for each line, into a file: `ts`, `level`, `target`, `msg`, and the keys of the record. Access
    /// records have their columns as keys in place of `msg`.
    pub fn json(path: impl Into<PathBuf>) -> Self {
        Self::new(Form::Json, Target::Path(path.into()))
    }

    /// As [`text`](Self::text), to anything that takes bytes, such as [`std::io::stderr`].
    pub fn text_to(stream: impl Write + Send + 'static) -> Self {
        Self::new(Form::Text, Target::Stream(Box::new(stream)))
    }

    /// As [`json`](Self::json), to anything that takes bytes.
    pub fn json_to(stream: impl Write + Send + 'static) -> Self {
        Self::new(Form::Json, Target::Stream(Box::new(stream)))
    }

    fn new(form: Form, to: Target) -> Self {
        let rotation = Rotation { size: 100 << 20, daily: false, keep: 7 };
        Self { form, to, levels: "info".to_owned(), lines: 8192, bytes: 16 << 20, rotation }
    }

    /// The records that are wanted: a level for all, and `target=level`, as in `"info,shop=debug"` (default `"info"`).
    /// The environment variable `RUST_LOG` wins.
    pub fn levels(mut self, levels: impl Into<String>) -> Self {
        self.levels = levels.into();
        self
    }

    /// Most lines that wait to be written (default 8,192; at least 16).
    pub fn queue(mut self, lines: usize) -> Self {
        self.lines = lines.max(16);
        self
    }

    /// Most bytes of lines that wait to be written (default 16 MiB; at least 64 KiB).
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes.max(64 << 10);
        self
    }

    /// Puts the file aside before it is longer than so many bytes (default 100 MiB). With [`u64::MAX`] it grows until
    /// another program puts it aside.
    pub fn rotate_at(mut self, bytes: u64) -> Self {
        self.rotation.size = bytes;
        self
    }

    /// Puts the file aside when a new day begins, too; days are those of UTC.
    pub fn daily(mut self) -> Self {
        self.rotation.daily = true;
        self
    }

    /// How many files that were put aside are kept (default 7).
    pub fn keep(mut self, files: usize) -> Self {
        self.rotation.keep = files;
        self
    }

    /// Makes this the logger of the process, for programs without an [`App`](crate::App), or to log before there is
    /// one. When the value that it returns is dropped, the last lines are written.
    ///
    /// # Errors
    /// When the file cannot be opened, a level does not exist, or the process has a logger already.
    pub fn install(self) -> Result<InstalledLogs, Error> {
        let levels = std::env::var(VARIABLE).ok().filter(|set| !set.trim().is_empty());
        let queue = Arc::new(self.start(levels.as_deref())?);
        let most = queue.levels.most();
        if log::set_boxed_logger(Box::new(queue.clone())).is_err() {
            let problem = match INSTALLED.get() {
                Some(_) => "`Logs` is installed twice; install it once, in `main`",
                None => "another logger is installed, such as `env_logger`; leave one of them out",
            };
            return Err(Error::unexpected(format!("the log: {problem}")));
        }
        log::set_max_level(most);
        if INSTALLED.set(queue).is_ok() {
            watch_the_end();
        }
        Ok(InstalledLogs(()))
    }

    fn start(self, levels: Option<&str>) -> Result<LogQueue, Error> {
        let levels = Levels::parse(levels.unwrap_or(&self.levels))?;
        let place = match self.to {
            Target::Stream(stream) => Place::Stream(stream),
            Target::Path(path) => {
                let refused = |error| Error::unexpected(format!("the log {}: {error}", path.display()));
                Place::File(LogFile::open(&path, self.rotation).map_err(refused)?)
            }
        };
        LogQueue::start(self.form, levels, self.lines, self.bytes, place)
    }
}

/// The log of the process, as long as this lives. Dropped, it waits for the last lines, two seconds at most.
#[derive(Debug)]
#[must_use = "dropping it writes the last lines; keep it until the end of `main`"]
pub struct InstalledLogs(());

impl Drop for InstalledLogs {
    fn drop(&mut self) {
        flush();
    }
}

static INSTALLED: OnceLock<Arc<LogQueue>> = OnceLock::new();

/// The counts of the log of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStatistics {
    /// Lines that wait to be written now.
    pub waiting: usize,
    /// Lines that were written.
    pub written: u64,
    /// Lines that the queue had no room for.
    pub dropped: u64,
    /// Lines that could not be written, as on a full disk.
    pub lost: u64,
    /// Lines that were counted instead of written, since they said the same as others.
    pub repeated: u64,
}

/// The counts of the log, if this process has installed [`Logs`].
#[must_use]
pub fn statistics() -> Option<LogStatistics> {
    INSTALLED.get().map(|queue| queue.statistics())
}

/// Opens the file of the log again, if this process has installed [`Logs`]: for programs that rename log files. SIGHUP
/// does the same where [`App::serve`](crate::App::serve) runs.
pub fn reopen() {
    if let Some(queue) = INSTALLED.get() {
        queue.reopen();
    }
}

/// Waits for the last lines, but not for ever: a disk or a reader that takes none costs those lines.
fn flush() {
    if let Some(queue) = INSTALLED.get()
        && !queue.flush_within(LAST_LINES)
    {
        let statistics = queue.statistics();
        let (waiting, dropped) = (statistics.waiting, statistics.dropped);
        say_on_stderr(&format!(
            "kirsch: the log took no lines for {LAST_LINES:?}: {waiting} are not written, {dropped} were dropped\n"
        ));
    }
}

/// A panic that ends the program is the last line of its log. Nobody knows here whether one of the main thread is
/// caught. Those of other threads are, and logged elsewhere.
fn watch_the_end() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        previous(panic);
        let thread = std::thread::current();
        if cfg!(panic = "abort") || thread.name() == Some("main") {
            record!(Error, target: super::ERROR, "the thread {:?} {panic}", thread.name().unwrap_or_default());
            flush();
        }
    }));
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = match &self.to {
            Target::Path(path) => Some(path),
            Target::Stream(_) => None,
        };
        f.debug_struct("Logs").field("form", &self.form).field("path", &path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
