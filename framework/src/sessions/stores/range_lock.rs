//! Locks between the processes of one machine: one byte of a file for each session, locked by the kernel.
//!
//! A lock is an open file description lock (`F_OFD_SETLK`) on the byte whose number is a hash of the session's name.
//! The kernel drops it when the last descriptor of the description is closed, so it dies with its process and needs no
//! lease. There is one file for all sessions, which is never removed, and one locked byte does not block the others.
//!
//! All locks of a store go through one description, to which its own locks are no obstacle. So `held` has the locks of
//! this store, and refuses those.
//!
//! The kernel can wait for a lock, but only by holding a thread. So one thread wakes the waiters: it asks whether the
//! bytes are free, at the latest every 10 ms, and lives only as long as there are waiters.

use super::super::{Answer, Fence, Grant, SessionId, SharedLock, StoreError, Watch, Watchers};
use crate::private_file;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use parking_lot::Mutex;
use std::collections::HashMap;
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
    shared: Arc<Shared>,
    /// Within this process only one thread at a time has a short lock of a stripe; see `exclusively`.
    #[cfg(feature = "file")]
    stripes: Box<[Mutex<()>]>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    watchers: Watchers,
}

#[derive(Default)]
struct State {
    file: Option<Arc<File>>,
    held: HashMap<SessionId, Fence>,
    /// Whether the thread that wakes is alive.
    is_watching: bool,
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
            shared: Arc::default(),
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
        let mut state = self.shared.state.lock();
        let file = self.file(&mut state)?;
        if state.held.contains_key(id) {
            return Ok(None);
        }
        match fcntl(&*file, FcntlArg::F_OFD_SETLK(&byte(place(id), libc::F_WRLCK))) {
            Ok(_) => {
                let fence = Fence::random();
                state.held.insert(*id, fence);
                Ok(Some(fence))
            }
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(self.failed("cannot lock a session", error)),
        }
    }

    /// Whether the file was there once.
    #[cfg(feature = "sqlite")]
    pub(super) fn was_used(&self) -> bool {
        self.shared.state.lock().file.is_some()
    }

    pub(super) fn is_held(&self, id: &SessionId, fence: Fence) -> bool {
        self.shared.state.lock().held.get(id) == Some(&fence)
    }

    pub(super) fn give_back(&self, id: &SessionId, fence: Fence) -> Result<(), StoreError> {
        let mut state = self.shared.state.lock();
        if state.held.get(id) != Some(&fence) {
            return Ok(());
        }
        state.held.remove(id);
        let unlocked = match &state.file {
            Some(file) => fcntl(&**file, FcntlArg::F_OFD_SETLK(&byte(place(id), libc::F_UNLCK))),
            None => Ok(0),
        };
        drop(state);
        self.shared.watchers.wake(id);
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
        let file = self.file(&mut self.shared.state.lock())?;
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
    fn file(&self, state: &mut State) -> Result<Arc<File>, StoreError> {
        if let Some(file) = &state.file {
            let there =
                std::fs::metadata(&self.path).map_err(|error| self.failed("cannot find the lock file", error))?;
            let ours = file.metadata().map_err(|error| self.failed("cannot look at the lock file", error))?;
            if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) {
                return Ok(Arc::clone(file));
            }
            state.held.clear();
        }
        owned(&self.kept)?;
        let opened = private_file::open_or_create(&self.path);
        let file = Arc::new(opened.map_err(|error| self.failed("cannot open the lock file", error))?);
        state.file = Some(Arc::clone(&file));
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
        let watch = self.shared.watchers.add(id, waker);
        let mut state = self.shared.state.lock();
        self.file(&mut state)?;
        if !state.is_watching {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("session locks".to_owned());
            thread.spawn(move || shared.wake_those_whose_lock_is_free()).map_err(|error| {
                StoreError::new("cannot start the thread that waits for locks", self.place()).because(error)
            })?;
            state.is_watching = true;
        }
        Ok(watch)
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

impl Shared {
    fn wake_those_whose_lock_is_free(&self) {
        const SHORTEST: Duration = Duration::from_millis(1);
        const LONGEST: Duration = Duration::from_millis(10);
        let (mut pause, mut before) = (SHORTEST, 0);
        loop {
            let watched = self.watchers.watched();
            let file = {
                let mut state = self.state.lock();
                // Under the lock under which a new one is started, after one more look: no waiter is left alone.
                if watched.is_empty() && self.watchers.watched().is_empty() {
                    state.is_watching = false;
                    return;
                }
                state.file.clone()
            };
            for id in &watched {
                if file.as_deref().is_none_or(|file| is_free(file, id)) {
                    self.watchers.wake(id);
                }
            }
            // Polls often just after a new waiter arrives, then less and less often.
            pause = if watched.len() > before { SHORTEST } else { (pause * 2).min(LONGEST) };
            before = watched.len();
            std::thread::sleep(pause);
        }
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
