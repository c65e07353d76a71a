//! The two connections to the database: one writes, the other reads. A thread waits for the connection and for other
//! processes that write, both together no longer than the queue's patience.

use super::TABLES;
use crate::jobs::queue::QueueError;
use crate::private_file;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The connections of one queue.
pub(super) struct Links {
    path: PathBuf,
    pub(super) patience: Duration,
    writer: Mutex<Option<Opened>>,
    reader: Mutex<Option<Opened>>,
    /// The file was there once. If it goes, it is not made again: an empty queue would hide that.
    was_there: AtomicBool,
}

/// A connection, and the file that it is to: device and number.
struct Opened {
    connection: Connection,
    file: (u64, u64),
}

/// One of the two connections.
pub(super) struct Link<'q>(MutexGuard<'q, Option<Opened>>);

impl Deref for Link<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0.as_ref().expect("a link is made with a connection").connection
    }
}

impl DerefMut for Link<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0.as_mut().expect("a link is made with a connection").connection
    }
}

impl Links {
    pub(super) fn new(path: PathBuf, patience: Duration) -> Self {
        let (writer, reader) = (Mutex::new(None), Mutex::new(None));
        Self { path, patience, writer, reader, was_there: AtomicBool::new(false) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn failed(&self, what: &str, error: impl std::fmt::Display) -> QueueError {
        QueueError::Engine(format!("{}: {what}: {error}", self.path.display()).into())
    }

    /// The failure of a statement. Where others write for too long, that is said.
    pub(super) fn refused(&self, what: &str, error: rusqlite::Error) -> QueueError {
        if is_busy(&error) { self.late(what) } else { self.failed(what, error) }
    }

    fn late(&self, what: &str) -> QueueError {
        let patience = self.patience;
        let why = format!(
            "others were writing to it for longer than {patience:?}. Make their transactions shorter, or set SqliteQueue::patience"
        );
        self.failed(what, why)
    }

    /// The connection that writes.
    pub(super) fn open(&self) -> Result<Link<'_>, QueueError> {
        self.link(&self.writer)
    }

    pub(super) fn write<T>(
        &self,
        what: &str,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, QueueError> {
        run(&*self.open()?).map_err(|error| self.refused(what, error))
    }

    pub(super) fn read<T>(
        &self,
        what: &str,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, QueueError> {
        run(&*self.link(&self.reader)?).map_err(|error| self.refused(what, error))
    }

    fn link<'q>(&self, slot: &'q Mutex<Option<Opened>>) -> Result<Link<'q>, QueueError> {
        let deadline = Instant::now() + self.patience;
        let mut slot = slot.try_lock_until(deadline).ok_or_else(|| self.late("the other threads are at it"))?;
        let left = deadline.saturating_duration_since(Instant::now());
        // A file that was moved away or replaced lives on in its connections, and is not the queue any more.
        let file = self.file();
        match &*slot {
            Some(opened) if Some(opened.file) == file => {
                opened.connection.busy_timeout(left).map_err(|error| self.failed("cannot wait for it", error))?;
            }
            _ => {
                *slot = None;
                *slot = Some(self.connect(left)?);
            }
        }
        Ok(Link(slot))
    }

    /// The file that is at the path now.
    fn file(&self) -> Option<(u64, u64)> {
        self.path.metadata().ok().map(|file| (file.dev(), file.ino()))
    }

    /// A connection to the database, whose file is made for this user alone before SQLite sees it: SQLite gives the
    /// same mode to its files beside it.
    fn connect(&self, patience: Duration) -> Result<Opened, QueueError> {
        let moved = || self.failed("it is not there any more", "it was moved or removed; put it back, or start again");
        if self.was_there.load(Ordering::Relaxed) && self.file().is_none() {
            return Err(moved());
        }
        match private_file::create(&self.path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(self.failed("cannot make it", error)),
            _ => {}
        }
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.clone().into_os_string();
            name.push(ending);
            private_file::require_own(Path::new(&name)).map_err(|error| self.failed("it is not safe", error))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(patience)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.set_prepared_statement_cache_capacity(32);
            connection.execute_batch(TABLES)?;
            Ok(connection)
        };
        let file = self.file().ok_or_else(moved)?;
        let deadline = Instant::now() + patience;
        let mut opened = open();
        // Of processes that make a database at the same time some are refused at once, without waiting.
        while opened.as_ref().is_err_and(is_busy) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
            opened = open();
        }
        let connection = opened.map_err(|error| self.refused("cannot open it for jobs", error))?;
        self.was_there.store(true, Ordering::Relaxed);
        Ok(Opened { connection, file })
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
