//! Locks between the processes of one machine: one byte of a file for each session, locked by the kernel.
//!
//! A lock is an open file description lock (`F_OFD_SETLK`) on the byte whose number is a hash of the session's name.
//! The kernel drops it when the last descriptor of the description is closed, so it dies with its process and needs no
//! lease. There is one file for all sessions, which is never removed, and one locked byte does not block the others.
//!
//! All locks of a store go through one description, to which its own locks are no obstacle. So `held` has the locks of
//! this store, and refuses those.
//!
//! The kernel can wait for a lock, but only by holding a thread. So one thread asks for all waiters whether the bytes
//! are free, at the latest every 10 ms (`polling.rs`).

use super::super::{Answer, Fence, Grant, SessionId, SharedLock, StoreError, Watch};
use super::polling::{Polled, PolledLocks};
use crate::private_file;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// The locks of all sessions of one store.
pub(super) struct RangeLocks {
    path: PathBuf,
    /// Their purpose, a folder or a file.
    kept: PathBuf,
    bytes: Arc<Mutex<Bytes>>,
    waiters: PolledLocks,
    /// Within this process only one thread at a time has a short lock of a stripe; see `exclusively`.
    #[cfg(feature = "file")]
    stripes: Box<[Mutex<()>]>,
}

/// The file, and those of its bytes that this store has locked.
#[derive(Default)]
struct Bytes {
    file: Option<Arc<File>>,
    held: HashMap<SessionId, Fence>,
}

impl RangeLocks {
    #[cfg(feature = "file")]
    const STRIPES: usize = 64;
    /// Above the bytes that stand for sessions: those of the short locks.
    #[cfg(feature = "file")]
    const SHORT: i64 = 1 << 62;

    /// Locks in the file at `path`, which is made when it is first needed, for the sessions that are kept at `kept`.
    pub(super) fn new(path: PathBuf, kept: PathBuf) -> Self {
        Self {
            path,
            kept,
            bytes: Arc::default(),
            waiters: PolledLocks::default(),
            #[cfg(feature = "file")]
            stripes: (0..Self::STRIPES).map(|_| Mutex::default()).collect(),
        }
    }

    #[cfg(feature = "file")]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock, unless it is taken. Anything but "it is taken" is an error.
    fn take(&self, id: &SessionId) -> Result<Option<Fence>, StoreError> {
        let mut bytes = self.bytes.lock();
        let file = self.file(&mut bytes)?;
        if bytes.held.contains_key(id) {
            return Ok(None);
        }
        match fcntl(&*file, FcntlArg::F_OFD_SETLK(&byte(place(id), libc::F_WRLCK))) {
            Ok(_) => {
                let fence = Fence::random();
                bytes.held.insert(*id, fence);
                Ok(Some(fence))
            }
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(self.failed("cannot lock a session", error)),
        }
    }

    /// Whether the file was there once.
    #[cfg(feature = "sqlite")]
    pub(super) fn was_used(&self) -> bool {
        self.bytes.lock().file.is_some()
    }

    pub(super) fn is_held(&self, id: &SessionId, fence: Fence) -> bool {
        self.bytes.lock().held.get(id) == Some(&fence)
    }

    pub(super) fn give_back(&self, id: &SessionId, fence: Fence) -> Result<(), StoreError> {
        let mut bytes = self.bytes.lock();
        if bytes.held.get(id) != Some(&fence) {
            return Ok(());
        }
        bytes.held.remove(id);
        let unlocked = match &bytes.file {
            Some(file) => fcntl(&**file, FcntlArg::F_OFD_SETLK(&byte(place(id), libc::F_UNLCK))),
            None => Ok(0),
        };
        drop(bytes);
        self.waiters.wake(id);
        unlocked.map(drop).map_err(|error| self.failed("cannot unlock a session", error))
    }

    /// Runs a short piece of work on the record of a session while no other thread, in this or another process, does
    /// so. For reading, comparing and writing, never for user code: others wait on their threads.
    #[cfg(feature = "file")]
    pub(super) fn exclusively<T>(
        &self,
        id: &SessionId,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let stripe = id.shard(Self::STRIPES);
        let _within = self.stripes[stripe].lock();
        let file = self.file(&mut self.bytes.lock())?;
        let place = Self::SHORT + i64::try_from(stripe).unwrap_or_default();
        let lock = byte(place, libc::F_WRLCK);
        let locked = loop {
            match fcntl(&*file, FcntlArg::F_OFD_SETLKW(&lock)) {
                Err(Errno::EINTR) => {}
                result => break result,
            }
        };
        locked.map_err(|error| self.failed("cannot lock a record", error))?;
        let result = work();
        let unlocked = fcntl(&*file, FcntlArg::F_OFD_SETLK(&byte(place, libc::F_UNLCK)));
        unlocked.map_err(|error| self.failed("cannot unlock a record", error))?;
        result
    }

    /// The file, if it is still the one at its place: a folder that was moved away takes its locks with it. A new file
    /// must be this user's own, and so must its folder.
    fn file(&self, bytes: &mut Bytes) -> Result<Arc<File>, StoreError> {
        if let Some(file) = &bytes.file {
            let there =
                std::fs::metadata(&self.path).map_err(|error| self.failed("cannot find the lock file", error))?;
            let ours = file.metadata().map_err(|error| self.failed("cannot look at the lock file", error))?;
            if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) {
                return Ok(Arc::clone(file));
            }
            bytes.held.clear();
        }
        owned(&self.kept)?;
        let opened = private_file::open_or_create(&self.path);
        let file = Arc::new(opened.map_err(|error| self.failed("cannot open the lock file", error))?);
        bytes.file = Some(Arc::clone(&file));
        Ok(file)
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn failed(&self, what: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        StoreError::new(what, self.place()).because(error)
    }
}

impl SharedLock for RangeLocks {
    fn try_lock(&self, id: &SessionId, _: Duration) -> Answer<Option<Grant>> {
        self.take(id).map(|fence| fence.map(|fence| Grant { fence, record: None })).into()
    }

    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        self.file(&mut self.bytes.lock())?;
        self.waiters.watch(&self.bytes, id, waker)
    }

    fn renew(&self, id: &SessionId, fence: Fence, _: Duration) -> Answer<bool> {
        Answer::now(self.is_held(id, fence))
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Answer<()> {
        self.give_back(id, fence).into()
    }

    /// The kernel drops the locks of a process that has ended.
    fn lapses(&self) -> bool {
        false
    }
}

/// Refuses sessions that other users could change or exchange.
pub(super) fn owned(kept: &Path) -> Result<(), StoreError> {
    private_file::require_own(kept)
        .map_err(|exposed| StoreError::new("other users could read or forge sessions", exposed.to_string()))
}

impl Polled for Mutex<Bytes> {
    const THREAD: &'static str = "session locks";
    const LONGEST: Duration = Duration::from_millis(10);

    fn free(&self, watched: &[SessionId]) -> Result<HashSet<SessionId>, StoreError> {
        let file = self.lock().file.clone();
        let is_free = |id: &&SessionId| file.as_deref().is_none_or(|file| is_free(file, id));
        Ok(watched.iter().filter(is_free).copied().collect())
    }
}

/// Whether no other description has the byte. If that cannot be found out, the waiters ask for themselves.
fn is_free(file: &File, id: &SessionId) -> bool {
    let mut asked = byte(place(id), libc::F_WRLCK);
    let found = fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked));
    found.is_err() || i32::from(asked.l_type) == libc::F_UNLCK
}

/// The byte of a session: 61 bits of a hash, since the kernel shows every user which bytes are locked.
fn place(id: &SessionId) -> i64 {
    let digits = &id.storage_key()[..16];
    i64::try_from(u64::from_str_radix(digits, 16).unwrap_or_default() >> 3).unwrap_or_default()
}

fn byte(place: i64, kind: i32) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: place,
        l_len: 1,
        l_pid: 0,
    }
}

impl std::fmt::Debug for RangeLocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RangeLocks").field("path", &self.path).finish_non_exhaustive()
    }
}
