//! The file of a log: opened to append, rotated by size and by day, and opened again when another program has renamed
//! it.
//!
//! ```text
//! site.log ──► site.log.1 ──► site.log.2 ──► ... ──► site.log.7 ──► deleted
//! ```
//!
//! Only the thread that writes the log is here, so nothing of it delays a request. A rotation that fails leaves the
//! lines in the file as it is, and is tried again later.

use super::clock;
use crate::private_file;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// When a file is put aside, and how many of those are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    /// At this length in bytes.
    pub(super) size: u64,
    /// When a new day begins, in UTC.
    pub(super) daily: bool,
    pub(super) keep: usize,
}

/// An open log file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    /// Device and number of the open file, and its length. None for a pipe or a device, which is never rotated.
    regular: Option<(u64, u64)>,
    length: u64,
    /// Of the last line.
    day: u64,
    /// The last line is only half there.
    is_torn: bool,
    /// When the path is next compared with the open file, or a failed rotation is tried again.
    next_look: Instant,
    next_rotation: Instant,
    /// Why the last rotation failed, until it is told.
    refused: Option<io::Error>,
}

/// How often the path is compared with the open file, at most.
const LOOK: Duration = Duration::from_secs(1);
/// The pause after a rotation that has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

impl LogFile {
    /// Opens the file, or creates it with the folders above it.
    ///
    /// # Errors
    /// As the operating system says. A pipe that nobody reads is one: opening it would wait.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let (file, metadata) = private_file::open_to_append(path)?;
        let now = Instant::now();
        let mut log = Self {
            path: path.to_owned(),
            rotation,
            file,
            regular: None,
            length: 0,
            day: 0,
            is_torn: false,
            next_look: now + LOOK,
            next_rotation: now,
            refused: None,
        };
        log.note(&metadata);
        Ok(log)
    }

    fn note(&mut self, metadata: &Metadata) {
        self.regular = metadata.is_file().then(|| (metadata.dev(), metadata.ino()));
        self.length = metadata.len();
        let written = metadata.modified().unwrap_or_else(|_| SystemTime::now());
        self.day = clock::day(if self.length == 0 { SystemTime::now() } else { written });
        self.is_torn = false;
    }

    /// Writes whole lines. Of those that fail it may write a part; the next line then begins in a line of its own.
    ///
    /// # Errors
    /// As the operating system says, with the number of bytes that were written.
    pub(super) fn write(&mut self, lines: &[u8], now: SystemTime) -> Result<(), (usize, io::Error)> {
        self.look(now, lines.len() as u64);
        if self.is_torn {
            self.write_all(b"\n").map_err(|(_, error)| (0, error))?;
            self.is_torn = false;
        }
        let result = self.write_all(lines);
        let written = result.as_ref().map_or_else(|(written, _)| *written, |()| lines.len());
        self.is_torn = lines[..written].last().is_some_and(|byte| *byte != b'\n');
        self.day = clock::day(now);
        result
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    self.length += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }

    /// Opens the path again: after a signal, after a failure, and when another program has renamed or deleted the file.
    ///
    /// # Errors
    /// As [`open`](Self::open); then the lines go on into the file that is open.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let torn = self.is_torn.then_some(self.regular);
        let (file, metadata) = private_file::open_to_append(&self.path)?;
        self.file = file;
        self.note(&metadata);
        self.is_torn = torn == Some(self.regular);
        Ok(())
    }

    fn look(&mut self, now: SystemTime, more: u64) {
        let Some(regular) = self.regular else { return };
        let instant = Instant::now();
        if instant >= self.next_look {
            self.next_look = instant + LOOK;
            match fs::metadata(&self.path) {
                // Another process may write to it, too.
                Ok(there) if (there.dev(), there.ino()) == regular => self.length = there.len(),
                _ => drop(self.reopen()),
            }
        }
        let is_due = self.length > 0
            && (self.length + more > self.rotation.size || self.rotation.daily && clock::day(now) > self.day);
        if is_due
            && instant >= self.next_rotation
            && let Err(error) = self.rotate()
        {
            self.next_rotation = instant + AFTER_FAILURE;
            self.refused = Some(error);
        }
    }

    /// Why the file could not be put aside, once for each attempt.
    pub(super) fn take_refusal(&mut self) -> Option<io::Error> {
        self.refused.take()
    }

    /// Puts the file aside, unless another process does so or has done so: its file would follow at once, and push an
    /// old one out.
    fn rotate(&mut self) -> io::Result<()> {
        if flock(&self.file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Ok(());
        }
        let there = fs::metadata(&self.path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        let rotated = if there == self.regular { self.put_aside() } else { self.reopen() };
        // Of no effect on a new file; the lock goes with the old one.
        let _ = flock(&self.file, FlockOperation::Unlock);
        rotated
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let aside = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let mode = self.file.metadata()?.permissions();
        if self.rotation.keep == 0 {
            fs::remove_file(&self.path)?;
        } else {
            // The last one goes as the one before it takes its name.
            for number in (1..self.rotation.keep).rev() {
                match fs::rename(aside(number), aside(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::rename(&self.path, aside(1))?;
        }
        self.reopen()?;
        // Whoever could read the log can go on reading it.
        self.file.set_permissions(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_put_aside_by_its_size_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/site.log");
        let mut log = LogFile::open(&path, Rotation { size: 10, daily: false, keep: 2 }).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n", "six\n", "seven\n"] {
            log.write(line.as_bytes(), SystemTime::now()).unwrap();
        }
        assert_eq!(names(path.parent().unwrap()), ["site.log", "site.log.1", "site.log.2"]);
        let all: String = ["site.log.2", "site.log.1", "site.log"]
            .map(|name| fs::read_to_string(path.with_file_name(name)).unwrap())
            .concat();
        assert_eq!(all, "three\nfour\nfive\nsix\nseven\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_new_day_begins_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.log");
        let mut log = LogFile::open(&path, Rotation { size: u64::MAX, daily: true, keep: 7 }).unwrap();
        let now = SystemTime::now();
        log.write(b"today\n", now).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        log.write(b"tomorrow\n", now + DAY).unwrap();
        // A clock that was set back puts nothing aside.
        log.write(b"today again\n", now).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "tomorrow\ntoday again\n");
        assert_eq!(names(folder.path()), ["site.log", "site.log.1"]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn two_processes_put_a_file_aside_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.log");
        let rotation = Rotation { size: 10, daily: false, keep: 1 };
        let [mut one, mut other] = [(), ()].map(|()| LogFile::open(&path, rotation).unwrap());
        one.write(b"one 1234\n", SystemTime::now()).unwrap();
        other.write(b"2\n", SystemTime::now()).unwrap();
        one.write(b"three\n", SystemTime::now()).unwrap();
        other.write(b"four 1234\n", SystemTime::now()).unwrap();
        assert_eq!(fs::read_to_string(path.with_extension("log.1")).unwrap(), "one 1234\n2\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\nfour 1234\n");
    }

    #[test]
    fn the_lines_of_another_process_count_for_the_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.log");
        let rotation = Rotation { size: 10, daily: false, keep: 1 };
        let [mut one, mut other] = [(), ()].map(|()| LogFile::open(&path, rotation).unwrap());
        other.write(b"other 123\n", SystemTime::now()).unwrap();
        one.next_look = Instant::now();
        one.write(b"one\n", SystemTime::now()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
    }

    #[test]
    fn a_renamed_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.log");
        let mut log = LogFile::open(&path, Rotation { size: u64::MAX, daily: false, keep: 7 }).unwrap();
        log.write(b"before\n", SystemTime::now()).unwrap();
        fs::rename(&path, folder.path().join("site.log-20261130")).unwrap();
        log.next_look = Instant::now();
        log.write(b"after\n", SystemTime::now()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
    }
}
