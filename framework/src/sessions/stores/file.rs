//! Sessions in a folder: a file for each, for the processes of one machine.
//!
//! ```text
//! folder/locks                         one byte for each session that is locked: range_lock.rs
//! folder/3f/9a/1c07…                   a record; the name is the hash of the id, in two levels of folders
//! folder/3f/9a/1c07….unreadable        a record that could not be read, put aside
//! folder/3f/9a/.tmp-…                  a record that is being written
//! ```
//!
//! A record is a head of 32 bytes (`kirsch\\0` and the form, version, end of life, when the cookie was sent) and the
//! content as `wire` writes it. It is written beside its place and renamed to it, so readers see the old one or the new
//! one and need no lock, and a full disk leaves the old one.

use super::super::{
    Answer, Commit, Data, Fence, Moment, Record, SessionId, Sessions, SharedLock, Store, StoreError, Terms, Version,
    wire,
};
use super::kept::{Head, probe_by_writing};
use super::range_lock::{RangeLocks, owned};
use crate::databases::{Configured, StoreSettings};
use crate::private_file;
use crate::settings::{SettingError, SettingRow, SettingTable};
use std::fs::{self, DirEntry, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

impl Sessions {
    /// Sessions that are kept as files in `folder`, shared by the processes of this machine (feature `file`).
    ///
    /// ```no_run
    /// use kirsch::prelude::*;
    ///
    /// # struct Shop;
    /// # #[handlers]
    /// # impl Shop {}
    /// App::new(Shop).tool("/", Sessions::file("/var/lib/shop/sessions")).serve("127.0.0.1:8080")?;
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    #[must_use]
    pub fn file(folder: impl Into<PathBuf>) -> Self {
        Self::new(FileStore::new(folder))
    }
}

/// Keeps sessions as files in a folder.
///
/// ```
/// use kirsch::{Sessions, sessions::FileStore};
///
/// let sessions = Sessions::new(FileStore::new("/var/lib/shop/sessions").sync(true));
/// ```
///
/// Sessions outlive the program. A lock ends with the process that holds it, however that ends; a process that is
/// stopped (`SIGSTOP`) keeps its locks. The folder must be on a file system of this machine: locks over NFS are another
/// matter. CherryPy's `FileSession`.
pub struct FileStore {
    configured: Configured<Settings>,
    quarantined: AtomicU64,
}

#[derive(Clone, PartialEq, Eq, crate::settings::Settings)]
#[settings(builders_on = FileStore)]
struct Settings {
    /// The folder; it is made at the start, for this user alone.
    #[setting(given, no_builder)]
    folder: PathBuf,
    /// Whether a record is on the disk before the client has its answer.
    sync: bool,
}

/// The values that are there once the settings are final.
struct Folder {
    path: PathBuf,
    sync: bool,
    locks: RangeLocks,
}

impl StoreSettings for Settings {
    type Engine = Folder;
    const PLACE: &'static str = "folder";

    fn open(self) -> Result<Folder, String> {
        let locks = RangeLocks::new(self.folder.join("locks"), self.folder.clone());
        Ok(Folder { path: self.folder, sync: self.sync, locks })
    }
}

impl FileStore {
    /// A store in this folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { configured: Configured::new(Settings::defaults(folder.into())), quarantined: AtomicU64::new(0) }
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.configured.change(change);
        self
    }

    fn folder(&self) -> Result<&Folder, StoreError> {
        self.configured.engine()
    }

    /// The record of this name, ended or not. One that cannot be read is put aside.
    fn read(&self, id: &SessionId) -> Result<Option<(Head, Data)>, StoreError> {
        let folder = self.folder()?;
        let path = folder.path_of(id);
        let Some(bytes) = folder.read_file(&path)? else { return Ok(None) };
        let parts = bytes.as_ref().map(|bytes| Head::read(bytes).zip(bytes.get(Head::BYTES..)));
        let problem = match parts {
            Ok(Some((head, content))) => match wire::decode(content) {
                Ok(data) => return Ok(Some((head, data))),
                Err(problem) => problem.to_string(),
            },
            Ok(None) => "a session cannot be read: its file does not begin as one".to_owned(),
            Err(foreign) => format!("a session is not read: {foreign}"),
        };
        let aside = path.with_extension("unreadable");
        crate::line::record!(Error, target: "kirsch::sessions", "{problem} (session {id}, kept aside as {})", aside.display());
        match fs::rename(&path, &aside) {
            Ok(()) => drop(self.quarantined.fetch_add(1, Ordering::Relaxed)),
            // Another thread was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("cannot put aside a session that cannot be read", &path, error)),
        }
        Ok(None)
    }

    /// The record, if it is alive.
    fn alive(&self, id: &SessionId, now: u64) -> Result<Option<(Head, Data)>, StoreError> {
        Ok(self.read(id)?.filter(|(head, _)| head.ends > now))
    }
}

/// A record begins with 32 bytes: a mark, and the three numbers of its head, eight bytes each, the last byte first.
impl Head {
    const BYTES: usize = 32;
    const MARK: [u8; 8] = *b"kirsch\0\x01";

    fn read(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        (bytes.get(..8)? == Self::MARK).then_some(Self {
            version: number(8)?,
            ends: number(16)?,
            cookie_sent: number(24)?,
        })
    }

    fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let numbers = [u64::from_le_bytes(Self::MARK), self.version, self.ends, self.cookie_sent];
        bytes.chunks_exact_mut(8).zip(numbers).for_each(|(place, number)| place.copy_from_slice(&number.to_le_bytes()));
        bytes
    }
}

impl Folder {
    fn path_of(&self, id: &SessionId) -> PathBuf {
        let name = id.storage_key();
        self.path.join(&name[..2]).join(&name[2..4]).join(&name[4..])
    }

    /// `None` if there is no such file in an existing folder; a missing folder is an error. Files of other users are
    /// not read.
    fn read_file(&self, path: &Path) -> Result<Option<io::Result<Vec<u8>>>, StoreError> {
        let mut bytes = Vec::new();
        match private_file::open_own(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(Ok(bytes))),
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(Some(Err(error))),
            Err(error) if error.kind() == ErrorKind::NotFound && self.locks.path().exists() => Ok(None),
            Err(error) => Err(failed("cannot read a session", path, error)),
        }
    }

    /// Puts a record in the place of the one before.
    fn write(&self, path: &Path, head: &Head, content: &[u8]) -> Result<(), StoreError> {
        let (Some(leaf), Some(branch)) = (path.parent(), path.parent().and_then(Path::parent)) else {
            return Err(StoreError::new("a session has no place", path.display().to_string()));
        };
        let temporary = leaf.join(format!(".tmp-{:016x}", Fence::random().0));
        let write = || -> io::Result<()> {
            let mut file = match private_file::create(&temporary) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    for folder in [branch, leaf] {
                        match private_file::folders().create(folder) {
                            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                            _ => {}
                        }
                    }
                    private_file::create(&temporary)?
                }
                opened => opened?,
            };
            file.write_all(&head.bytes())?;
            file.write_all(content)?;
            if self.sync {
                file.sync_data()?;
            }
            fs::rename(&temporary, path)?;
            if self.sync { File::open(leaf)?.sync_all() } else { Ok(()) }
        };
        write().map_err(|error| {
            // The earlier record is still there; half of the new one is of no use.
            let _ = fs::remove_file(&temporary);
            failed("cannot write a session", path, error)
        })
    }

    /// The files in the folder itself.
    fn branches(&self) -> Result<impl Iterator<Item = DirEntry>, StoreError> {
        let top = fs::read_dir(&self.path)
            .map_err(|error| failed("cannot read the folder of the sessions", &self.path, error))?;
        Ok(top.flatten())
    }

    /// The files of all records, and other files in the leaves. Links lead to other places and do not count.
    fn files(&self) -> Result<impl Iterator<Item = PathBuf>, StoreError> {
        let leaves = self.branches()?.flat_map(|branch| below(&branch));
        Ok(leaves.flat_map(|leaf| below(&leaf)).map(|entry| entry.path()))
    }

    /// Refuses folders that another user has put here, or could write: an owner of a folder can exchange everything in
    /// it.
    fn check(&self) -> Result<(), StoreError> {
        owned(&self.path)?;
        let leaves = self.branches()?.flat_map(|branch| below(&branch).map(|leaf| leaf.path()).chain([branch.path()]));
        for folder in leaves {
            private_file::is_own(&folder).then_some(()).ok_or_else(|| {
                let place = folder.display();
                let place = format!("{place}: another user may write there, or has made it; remove it");
                StoreError::new("other users could forge sessions", place)
            })?;
        }
        Ok(())
    }
}

fn below(folder: &DirEntry) -> impl Iterator<Item = DirEntry> + use<> {
    let is_folder = folder.file_type().is_ok_and(|kind| kind.is_dir());
    is_folder.then(|| fs::read_dir(folder.path())).into_iter().flatten().flatten().flatten()
}

fn failed(what: &'static str, path: &Path, error: io::Error) -> StoreError {
    StoreError::new(what, path.display().to_string()).because(error)
}

impl Store for FileStore {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        Answer::of(|| {
            let found = self.read(id)?;
            Ok(found.and_then(|(head, data)| head.record(data, now)))
        })
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        Answer::of(|| {
            let folder = self.folder()?;
            let content = wire::encode(data, usize::MAX)?;
            let now = terms.now.unix_millis();
            let commit = folder.locks.exclusively(id, || {
                if terms.fence.is_some_and(|fence| !folder.locks.is_held(id, fence)) {
                    return Ok(Commit::LockLost);
                }
                let before = self.alive(id, now)?.map(|(head, _)| head);
                if before.map(|head| Version(head.version)) != expected {
                    return Ok(Commit::Conflict);
                }
                // Drawn, not counted: no two records of an id ever have the same, though one was deleted in between.
                let mut head = Head::new(Fence::random().0, terms);
                if let Some(before) = before.filter(|_| !terms.cookie_sent) {
                    head.cookie_sent = before.cookie_sent;
                }
                folder.write(&folder.path_of(id), &head, &content)?;
                Ok(Commit::Committed(Version(head.version)))
            })?;
            if let (Commit::Committed(_), true, Some(fence)) = (commit, terms.unlock, terms.fence) {
                folder.locks.give_back(id, fence)?;
            }
            Ok(commit)
        })
    }

    /// Skipped while less than a sixteenth of the life has passed: the extension would cost a whole file.
    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        Answer::of(|| {
            let (folder, now) = (self.folder()?, terms.now.unix_millis());
            let ends = terms.now.later(terms.lifetime).unix_millis();
            let is_due =
                |head: &Head| terms.cookie_sent || ends.saturating_sub(head.ends) > ends.saturating_sub(now) / 16;
            if !self.alive(id, now)?.is_some_and(|(head, _)| is_due(&head)) {
                return Ok(());
            }
            folder.locks.exclusively(id, || {
                let Some((head, data)) = self.alive(id, now)? else { return Ok(()) };
                let cookie_sent = if terms.cookie_sent { now } else { head.cookie_sent };
                folder.write(
                    &folder.path_of(id),
                    &Head { ends, cookie_sent, ..head },
                    &wire::encode(&data, usize::MAX)?,
                )
            })
        })
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        Answer::of(|| {
            let folder = self.folder()?;
            folder.locks.exclusively(id, || remove(&folder.path_of(id)).map(drop))
        })
    }

    /// Removes ended records, those that were put aside a month ago, and the leftovers of programs that were killed
    /// while they wrote.
    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        const ASIDE: Duration = Duration::from_secs(30 * 24 * 3600);
        const HALF_WRITTEN: Duration = Duration::from_secs(3600);
        let (mut swept, mut problem) = (0, None);
        for path in self.folder()?.files()? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let kept = match name {
                name if name.starts_with(".tmp-") => Some(HALF_WRITTEN),
                name if name.ends_with(".unreadable") => Some(ASIDE),
                _ => None,
            };
            let removed = match kept {
                Some(kept) if is_older(&path, kept, now.calendar) => remove(&path),
                None if has_ended(&path, now.unix_millis()) => self.remove_ended(&path, now),
                _ => Ok(false),
            };
            match removed {
                Ok(removed) => swept += usize::from(removed && kept.is_none()),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        problem.map_or(Ok(swept), Err)
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        let is_record = |path: &PathBuf| {
            path.extension().is_none() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
        };
        Ok(Some(self.folder()?.files()?.filter(is_record).count()))
    }

    fn probe(&self) -> Result<(), StoreError> {
        let folder = self.folder()?;
        let advice = |what: &'static str| {
            move |error: io::Error| {
                let place = format!(
                    "{}: give this user the right to write there, or name another folder",
                    folder.path.display()
                );
                StoreError::new(what, place).because(error)
            }
        };
        private_file::folders()
            .recursive(true)
            .create(&folder.path)
            .map_err(advice("cannot make the folder for the sessions"))?;
        folder.check()?;
        let place = folder.path.display().to_string();
        probe_by_writing(self, &place, "what was written for a test was not there")
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        self.folder().ok().map(|folder| &folder.locks as _)
    }

    /// Each was put aside, with the ending `.unreadable`.
    fn quarantined(&self) -> u64 {
        self.quarantined.load(Ordering::Relaxed)
    }

    fn setting_rows(&self) -> Vec<SettingRow> {
        self.configured.setting_rows()
    }

    fn configure(&self, table: &SettingTable) -> Result<(), SettingError> {
        self.configured.configure(table)
    }
}

impl FileStore {
    /// Removes a record that has ended, unless another request has revived its place in between.
    fn remove_ended(&self, path: &Path, now: Moment) -> Result<bool, StoreError> {
        // Its stripe is that of its id, which the name does not tell; a rename and a look are as good as the lock.
        let aside = path.with_extension("ended");
        match fs::rename(path, &aside) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed("cannot remove a session that has ended", path, error)),
        }
        if has_ended(&aside, now.unix_millis()) {
            return remove(&aside);
        }
        // Another request wrote a new one in between; unless there is a newer one yet, it goes back.
        let _ = fs::hard_link(&aside, path);
        remove(&aside).map(|_| false)
    }
}

/// Whether there was something to remove.
fn remove(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error)
            if error.kind() == ErrorKind::NotFound
                && path.parent().is_some_and(|leaf| leaf.is_dir() || !leaf.exists()) =>
        {
            Ok(false)
        }
        Err(error) => Err(failed("cannot remove a session", path, error)),
    }
}

/// A record with an unreadable head has not ended: it is put aside when a request asks for it.
fn has_ended(path: &Path, now: u64) -> bool {
    let mut head = [0; Head::BYTES];
    let read = private_file::open_own(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && Head::read(&head).is_some_and(|head| head.ends <= now)
}

fn is_older(path: &Path, age: Duration, now: SystemTime) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| now.duration_since(modified).is_ok_and(|passed| passed > age))
}

impl std::fmt::Debug for FileStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStore").field("folder", &self.configured.settings().folder).finish_non_exhaustive()
    }
}
