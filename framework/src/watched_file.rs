//! A file of settings that is read at start, and read again when it has changed, but never half of it.
//!
//! Each request looks at the file before it uses the content (one `stat`). A changed file is read once it has been
//! still: half a file must lock nobody out. It is used only if it can be read and understood. Otherwise the log reports
//! the mistake once, and the old content stays in force. No request waits: while one reads, the others use the old
//! content.

use crate::file_stamp::{FileStamp, Watch, is_old};
use crate::private_file;
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a text becomes the content, or a sentence that says why not.
type Parse<T> = fn(&str) -> Result<T, String>;

pub(crate) struct WatchedFile<T> {
    path: PathBuf,
    parse: Parse<T>,
    content: RwLock<Arc<T>>,
    /// Held for a `stat` by one request at a time; the others do not wait for it.
    watch: Mutex<Watch<FileStamp>>,
}

/// A file of a million users; the way to more is a database.
const MAX_FILE: u64 = 256 << 20;

impl<T> WatchedFile<T> {
    /// Reads the file for the first time.
    pub(crate) fn open(path: &Path, parse: Parse<T>) -> Result<Self, String> {
        let (stamp, content) = read(path, parse)?;
        let content = RwLock::new(Arc::new(content));
        Ok(Self { path: path.to_owned(), parse, content, watch: Mutex::new(Watch::new(stamp)) })
    }

    pub(crate) fn content(&self) -> Arc<T> {
        if let Some(mut watch) = self.watch.try_lock() {
            self.look(&mut watch);
        }
        self.content.read().clone()
    }

    fn look(&self, watch: &mut Watch<FileStamp>) {
        let metadata = std::fs::metadata(&self.path);
        let stamp = metadata.as_ref().map(FileStamp::of).unwrap_or_default();
        if !watch.is_due(&stamp, metadata.is_ok_and(|metadata| is_old(&metadata))) {
            return;
        }
        match read(&self.path, self.parse) {
            // The file has changed again: the next look will see it.
            Ok((read, _)) if read != stamp => {}
            Ok((_, content)) => {
                *self.content.write() = Arc::new(content);
                *watch = Watch::new(stamp);
                crate::line::record!(Info, target: "kirsch::tools", "{} was read again", self.path.display());
            }
            Err(problem) => {
                crate::line::record!(Error, target: "kirsch::tools", "{problem}; what it said before goes on");
                watch.refuse(stamp);
            }
        }
    }
}

/// The content, with the stamp that it had before and after it was read; anything else is an error.
fn read<T>(path: &Path, parse: Parse<T>) -> Result<(FileStamp, T), String> {
    let said = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let file = private_file::open_plain(path).map_err(|error| said(&error))?;
    let (stamp, bytes) = FileStamp::read(&file, MAX_FILE).map_err(|error| said(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| said(&"is not a text in UTF-8"))?;
    private_file::warn_of_passwords(path);
    Ok((stamp, parse(&text).map_err(|problem| said(&problem))?))
}

impl<T> std::fmt::Debug for WatchedFile<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WatchedFile").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;
    use std::time::{Duration, SystemTime};

    fn parse(text: &str) -> Result<String, String> {
        if text.contains("bad") { Err("line 1 is bad".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn write(path: &Path, text: &str, age: u64) {
        let mut file = File::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, "one", 10);
        let file = WatchedFile::open(&path, parse).unwrap();
        assert_eq!(*file.content(), "one");
        write(&path, "tw", 0);
        assert_eq!(*file.content(), "one", "somebody may be writing it");
        write(&path, "two", 5);
        assert_eq!(*file.content(), "two");
    }

    #[test]
    fn a_malformed_file_leaves_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, "one", 10);
        let file = WatchedFile::open(&path, parse).unwrap();
        write(&path, "bad", 5);
        assert_eq!(*file.content(), "one");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*file.content(), "one");
        write(&path, "three", 5);
        assert_eq!(*file.content(), "three");
        assert!(WatchedFile::open(&folder.path().join("none"), parse).unwrap_err().contains("none: No such file"));
    }
}
