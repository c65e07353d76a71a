//! A log of a program that runs for itself: the settings, and the one logger of the process.

use super::form::Form;
use super::levels::Levels;
use super::log_file::{LogFile, Rotation};
use super::place::{Place, say_on_stderr};
use super::queue::{LogQueue, WriterOfQueue};
use crate::exchange::{Error, StatusRow, StatusSource};
use crate::line::record;
use crate::private_file;
use rustix::fs::{Access, access};
use std::io::Write;
use std::path::{Path, PathBuf};
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
        let HeldLogs { to, rotation, lines } = self.apart(levels_of_environment().as_deref())?;
        let place = to.open(rotation)?;
        lines.become_the_logger()?;
        lines.begin_at(place)
    }

    /// Makes this the logger of the process. Its lines wait until it [begins](HeldLogs::begin): root must not open a
    /// file in a folder of another user, who could have put a link there.
    ///
    /// # Errors
    /// As [`install`](Self::install), but for the file.
    pub(crate) fn hold(self) -> Result<HeldLogs, Error> {
        let held = self.apart(levels_of_environment().as_deref())?;
        held.lines.become_the_logger()?;
        Ok(held)
    }

    /// The queue of lines, apart from the place that they go to.
    fn apart(self, levels: Option<&str>) -> Result<HeldLogs, Error> {
        let levels = Levels::parse(levels.unwrap_or(&self.levels))?;
        let (queue, writer) = LogQueue::new(self.form, levels, self.lines, self.bytes);
        let file = match &self.to {
            Target::Path(path) => Some((path.clone(), self.rotation)),
            Target::Stream(_) => None,
        };
        let lines = WaitingLines { queue: Arc::new(queue), writer, file };
        Ok(HeldLogs { to: self.to, rotation: self.rotation, lines })
    }
}

/// A log whose lines wait. Dropped, they are lost.
#[must_use = "its lines wait until it begins"]
pub(crate) struct HeldLogs {
    to: Target,
    rotation: Rotation,
    lines: WaitingLines,
}

impl HeldLogs {
    /// Opens the file and starts the thread that writes.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn begin(self) -> Result<InstalledLogs, Error> {
        self.lines.begin_at(self.to.open(self.rotation)?)
    }
}

/// A logger, and the side of the thread that will write its lines.
struct WaitingLines {
    queue: Arc<LogQueue>,
    writer: WriterOfQueue,
    file: Option<(PathBuf, Rotation)>,
}

impl WaitingLines {
    fn become_the_logger(&self) -> Result<(), Error> {
        if log::set_boxed_logger(Box::new(self.queue.clone())).is_err() {
            let problem = match INSTALLED.get() {
                Some(_) => "`Logs` is installed twice; install it once, in `main`",
                None => "another logger is installed, such as `env_logger`; leave one of them out",
            };
            return Err(Error::unexpected(format!("the log: {problem}")));
        }
        log::set_max_level(self.queue.levels.most());
        Ok(())
    }

    fn begin_at(self, place: Place) -> Result<InstalledLogs, Error> {
        self.writer.start(place)?;
        if INSTALLED.set(LogOfProcess { queue: self.queue, file: self.file }).is_ok() {
            watch_the_end();
        }
        Ok(InstalledLogs(()))
    }
}

impl Target {
    fn open(self, rotation: Rotation) -> Result<Place, Error> {
        let path = match self {
            Self::Stream(stream) => return Ok(Place::Stream(stream)),
            Self::Path(path) => path,
        };
        let refused = |error| Error::unexpected(format!("the log {}: {error}", path.display()));
        Ok(Place::File(LogFile::open(&path, rotation).map_err(refused)?))
    }
}

fn levels_of_environment() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|set| !set.trim().is_empty())
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

struct LogOfProcess {
    queue: Arc<LogQueue>,
    file: Option<(PathBuf, Rotation)>,
}

static INSTALLED: OnceLock<LogOfProcess> = OnceLock::new();

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
    INSTALLED.get().map(|installed| installed.queue.statistics())
}

/// The card of the status page, if this process has installed [`Logs`].
pub(crate) fn of_log() -> Option<Arc<dyn StatusSource>> {
    INSTALLED.get().map(|installed| Arc::new(OfLog(installed.queue.clone())) as _)
}

struct OfLog(Arc<LogQueue>);

impl StatusSource for OfLog {
    fn title(&self) -> String {
        "Log".to_owned()
    }

    fn rows(&self) -> Vec<StatusRow> {
        let LogStatistics { waiting, written, dropped, lost, repeated } = self.0.statistics();
        vec![
            StatusRow::new("lines written", written),
            StatusRow::new("waiting", waiting),
            StatusRow::new("dropped", dropped).alarming(dropped > 0),
            StatusRow::new("not written", lost).alarming(lost > 0),
            StatusRow::new("counted as repetitions", repeated),
        ]
    }
}

/// Opens the file of the log again, if this process has installed [`Logs`]: for programs that rename log files. SIGHUP
/// does the same where [`App::serve`](crate::App::serve) runs.
pub fn reopen() {
    if let Some(installed) = INSTALLED.get() {
        installed.queue.reopen();
    }
}

/// Whether this user can open the file of the log again, and put it aside when it is full.
///
/// # Errors
/// The file or the folder that it cannot write, in a sentence.
pub(crate) fn probe() -> Result<(), String> {
    let Some((path, rotation)) = INSTALLED.get().and_then(|installed| installed.file.as_ref()) else { return Ok(()) };
    let shown = path.display();
    private_file::open_to_append(path).map_err(|error| format!("the log {shown} cannot be opened again: {error}"))?;
    if rotation.size == u64::MAX && !rotation.daily {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let error = std::io::Error::from(error);
        format!("the log {shown} cannot be put aside when it is full: its folder cannot be written: {error}")
    })
}

/// Waits for the last lines, but not for ever: a disk or a reader that takes none costs those lines.
fn flush() {
    if let Some(LogOfProcess { queue, .. }) = INSTALLED.get()
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
