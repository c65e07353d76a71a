//! The stamp of a file, which changes when the file changes, and when a changed file may be read: never half of it.
//!
//! A changed file is whole once it has been still for a second, or since the last look: editors, `htpasswd` and
//! programs that renew certificates write in place.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
#[cfg(any(test, feature = "templates"))]
use std::path::Path;
#[cfg(any(feature = "auth", feature = "tls"))]
use std::{
    fs::File,
    io::{self, Read},
    time::{Duration, Instant, SystemTime},
};

/// All that changes when a file changes: device, inode, length, and the times of content and inode in nanoseconds. No
/// program can set the last one, so even a change that keeps length and time is seen. The default is the stamp of a
/// missing file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileStamp(Option<[i64; 7]>);

impl FileStamp {
    /// Of the file that is at `path` now.
    #[cfg(any(test, feature = "templates"))]
    pub(crate) fn at(path: &Path) -> Self {
        path.metadata().as_ref().map(Self::of).unwrap_or_default()
    }

    pub(crate) fn of(metadata: &Metadata) -> Self {
        let place = [metadata.dev(), metadata.ino(), metadata.size()].map(u64::cast_signed);
        let [device, inode, length] = place;
        let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
        Self(Some([device, inode, length, times[0], times[1], times[2], times[3]]))
    }

    /// The content of a file of at most `most` bytes, with the stamp that it had before and after it was read.
    ///
    /// # Errors
    /// Also when the file is larger, or changed meanwhile.
    #[cfg(any(feature = "auth", feature = "tls"))]
    pub(crate) fn read(mut file: &File, most: u64) -> io::Result<(Self, Vec<u8>)> {
        let before = Self::of(&file.metadata()?);
        let mut content = Vec::new();
        if file.by_ref().take(most + 1).read_to_end(&mut content)? as u64 > most {
            return Err(io::Error::other(format!("has more than {most} bytes")));
        }
        match Self::of(&file.metadata()?) == before {
            true => Ok((before, content)),
            false => Err(io::Error::other("changed while it was read")),
        }
    }
}

/// For how long a file must have been still to be whole.
#[cfg(any(feature = "auth", feature = "tls"))]
const STILL: Duration = Duration::from_secs(1);

/// Decides when changed files are read again. The stamp is that of one file or those of several.
#[cfg(any(feature = "auth", feature = "tls"))]
#[derive(Debug)]
pub(crate) struct Watch<S> {
    /// Of the content in force.
    taken: S,
    /// The stamp of a refused content, so that it is reported once.
    refused: Option<S>,
    /// The changed stamp, and when it was seen.
    seen: Option<(S, Instant)>,
}

#[cfg(any(feature = "auth", feature = "tls"))]
impl<S: Clone + PartialEq> Watch<S> {
    /// The content with this stamp is in force.
    pub(crate) fn new(taken: S) -> Self {
        Self { taken, refused: None, seen: None }
    }

    /// Whether files of this stamp should be read now: they have changed, were not refused, and have been still, by
    /// their own clock (`is_old`) or by ours.
    pub(crate) fn is_due(&mut self, stamp: &S, is_old: bool) -> bool {
        if *stamp == self.taken || self.refused.as_ref() == Some(stamp) {
            return false;
        }
        let seen = self.seen.as_ref().filter(|(seen, _)| seen == stamp);
        if is_old || seen.is_some_and(|(_, when)| when.elapsed() >= STILL) {
            return true;
        }
        if seen.is_none() {
            self.seen = Some((stamp.clone(), Instant::now()));
        }
        false
    }

    /// The content with this stamp cannot be used; the one before stays in force.
    pub(crate) fn refuse(&mut self, stamp: S) {
        self.refused = Some(stamp);
    }
}

/// Whether nothing has been written for a while, by the clock of the file system.
#[cfg(any(feature = "auth", feature = "tls"))]
pub(crate) fn is_old(metadata: &Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age >= STILL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, rename, write};
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_file_in_the_place_of_another_is_seen_at_any_time_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        let make = |path| {
            write(path, "same").unwrap();
            File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        };
        make(&path);
        let before = FileStamp::at(&path);
        assert_eq!(before, FileStamp::at(&path));
        make(&other);
        rename(&other, &path).unwrap();
        assert_ne!(before, FileStamp::at(&path));
        assert_ne!(before, FileStamp::default());
    }
}
