//! The stamp of a file, which changes when the file changes.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
#[cfg(any(test, feature = "templates"))]
use std::path::Path;

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
