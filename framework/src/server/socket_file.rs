//! The file of a Unix socket: made so that clients never meet it half made, and removed only by its owner.
//!
//! The socket is bound to a name beside its own, gets its owner and permissions there, and then takes its name by a
//! rename. So there is no moment without a socket at the path, and none with wrong permissions; the umask, which all
//! threads share, stays as it is. A lock on the folder lets one of two programs that start at the same time see the
//! other.

use super::listen_address::UnixPlace;
use nix::unistd::{Group, User};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The permissions of a socket without `mode=`: for its user and its group.
const USUAL_MODE: u32 = 0o660;

/// The longest path in bytes: the system takes 107, and one is for the name beside it.
const MAX_PATH: usize = 106;

/// How long another program may hold the lock of the folder. It needs microseconds.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// The file of a listening socket. Dropped, it removes the file, unless that is another one by now.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number.
    identity: (u64, u64),
    is_left: AtomicBool,
}

impl SocketFile {
    /// Binds a socket to the path and listens.
    ///
    /// # Errors
    /// When a server answers at the path, when something else is there, or when a step fails; the message says which.
    pub(super) fn bind(place: &UnixPlace, backlog: i32) -> io::Result<(OwnedFd, Self)> {
        // Other remedies belong to this kind where an address has a port.
        Self::made(place, backlog).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                io::Error::other(format!("{error}; the user of the process must be able to write into its folder"))
            }
            _ => error,
        })
    }

    fn made(place: &UnixPlace, backlog: i32) -> io::Result<(OwnedFd, Self)> {
        let owner = place.owner.as_deref().map(user).transpose()?;
        let group = place.group.as_deref().map(group).transpose()?;
        let path = &place.path;
        if path.as_os_str().len() > MAX_PATH {
            let problem = format!("its path is longer than {MAX_PATH} bytes: choose a shorter one");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let _lock = lock(path)?;
        check_vacancy(path)?;
        let beside = beside(path);
        clear_beside(&beside)?;
        let socket = stream_socket()?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(&*beside)?)?;
        let finish = || {
            if owner.is_some() || group.is_some() {
                std::os::unix::fs::chown(&beside, owner, group).map_err(|error| step("owner and group", &error))?;
            }
            let mode = Mode::from_raw_mode(place.mode.unwrap_or(USUAL_MODE));
            rustix::fs::chmod(&beside, mode).map_err(|error| step("mode", &error.into()))?;
            rustix::net::listen(&socket, backlog)?;
            let file = Self::at(path.clone(), &beside)?;
            std::fs::rename(&beside, path)?;
            Ok(file)
        };
        match finish() {
            Ok(file) => Ok((socket, file)),
            Err(error) => {
                let _ = std::fs::remove_file(&beside);
                Err(error)
            }
        }
    }

    /// The file of a socket that another process has made; `None` if it is not there. It is that process's until this
    /// one [keeps](Self::keep) it: if this one fails before, the other goes on.
    pub(super) fn adopt(path: &Path) -> Option<Self> {
        let file = Self::at(path.to_owned(), path).ok()?;
        file.leave();
        Some(file)
    }

    fn at(path: PathBuf, present: &Path) -> io::Result<Self> {
        let identity = identity(present)?;
        Ok(Self { path, identity, is_left: AtomicBool::new(false) })
    }

    /// Takes the file over from the process that has made it.
    pub(super) fn keep(&self) {
        self.is_left.store(false, Ordering::Relaxed);
    }

    /// Leaves the file to the process that has taken the socket over.
    pub(super) fn leave(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_left.load(Ordering::Relaxed) {
            return;
        }
        // Without the lock a new server could take the name between the look and the removal.
        let _lock = lock(&self.path).ok();
        if identity(&self.path).is_ok_and(|present| present == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether there is nothing at the path, or the socket of a server that has died.
fn check_vacancy(path: &Path) -> io::Result<()> {
    let stat = match rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        let problem = "something is there that is no socket; remove it, or choose another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, problem));
    }
    match rustix::net::connect(&stream_socket()?, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
        // AGAIN: its queue is full.
        Ok(()) | Err(Errno::AGAIN) => {
            let problem = "another program listens there: stop it, or choose another path";
            Err(io::Error::new(io::ErrorKind::AlreadyExists, problem))
        }
        Err(error) => {
            Err(io::Error::other(format!("a socket is there, and whether a program listens cannot be seen: {error}")))
        }
    }
}

/// Removes what a server that has died left beside the path, and nothing else.
fn clear_beside(beside: &Path) -> io::Result<()> {
    let stat = match rustix::fs::statat(rustix::fs::CWD, beside, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) == FileType::Socket {
        return std::fs::remove_file(beside);
    }
    let shown = beside.display();
    let problem = format!("{shown} is in the way, the name that the socket has while it is made: move it away");
    Err(io::Error::new(io::ErrorKind::AlreadyExists, problem))
}

fn stream_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// The name that a socket has while it is made. With the lock of the folder, one is enough.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("~");
    name.into()
}

/// The lock of the folder of a path, as long as it is kept.
fn lock(path: &Path) -> io::Result<OwnedFd> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let patience = Instant::now() + PATIENCE;
    loop {
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(folder),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < patience => std::thread::sleep(LOOK),
            Err(error) => return Err(error.into()),
        }
    }
}

fn identity(path: &Path) -> rustix::io::Result<(u64, u64)> {
    let stat = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_dev, stat.st_ino))
}

fn step(what: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("its {what} cannot be set: {error}"))
}

/// The number of a user, by name or number.
fn user(name: &str) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    User::from_name(name)?.map(|user| user.uid.as_raw()).ok_or_else(|| unknown("user", name))
}

/// The number of a group, by name or number.
fn group(name: &str) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    Group::from_name(name)?.map(|group| group.gid.as_raw()).ok_or_else(|| unknown("group", name))
}

fn unknown(kind: &str, name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("this machine has no {kind} {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};

    fn place(folder: &tempfile::TempDir, words: &str) -> UnixPlace {
        let text = format!("unix:{}/app.sock {words}", folder.path().display());
        let address: super::super::ListenAddress = text.parse().expect("an address");
        let super::super::ListenPlace::Unix(place) = address.place() else { panic!("a Unix socket") };
        place.clone()
    }

    #[test]
    fn a_socket_has_its_mode_and_goes_with_its_server() {
        let folder = tempfile::tempdir().expect("a folder");
        for (words, mode) in [("", 0o660), ("mode=0600", 0o600), ("mode=666 group=0 owner=0", 0o666)] {
            let place = place(&folder, words);
            let Ok((socket, file)) = SocketFile::bind(&place, 8) else { continue };
            let found = std::fs::symlink_metadata(&place.path).expect("it is there");
            assert!(found.file_type().is_socket());
            assert_eq!(found.permissions().mode() & 0o777, mode);
            UnixStream::connect(&place.path).expect("it listens");
            drop((socket, file));
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
        }
    }

    #[test]
    fn the_socket_of_a_dead_server_is_replaced_and_that_of_a_living_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(&folder, "");
        drop(UnixListener::bind(&place.path).expect("a socket without a server"));
        let (_socket, _file) = SocketFile::bind(&place, 8).expect("it is stale");
        let refused = SocketFile::bind(&place, 8).expect_err("it is in use");
        assert!(refused.to_string().contains("choose another path"), "{refused}");
        UnixStream::connect(&place.path).expect("the first still listens");
    }

    #[test]
    fn only_one_of_many_that_start_at_once_has_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(&folder, "");
        drop(UnixListener::bind(&place.path).expect("a socket without a server"));
        let bound = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| SocketFile::bind(&place, 8).ok())).collect();
            all.into_iter().filter_map(|one| one.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert_eq!(bound.len(), 1);
        UnixStream::connect(&place.path).expect("it listens");
    }

    #[test]
    fn a_file_of_another_is_neither_replaced_nor_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(&folder, "");
        let (_socket, file) = SocketFile::bind(&place, 8).expect("nothing is there");
        std::fs::remove_file(&place.path).expect("it is there");
        std::fs::write(&place.path, "of another").expect("room");
        drop(file);
        assert!(place.path.exists());
        let refused = SocketFile::bind(&place, 8).expect_err("it is no socket");
        assert!(refused.to_string().contains("no socket"), "{refused}");
    }

    #[test]
    fn a_file_with_the_name_beside_the_path_is_not_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(&folder, "");
        std::fs::write(beside(&place.path), "precious").expect("room");
        let refused = SocketFile::bind(&place, 8).expect_err("it is in the way");
        assert!(refused.to_string().contains("app.sock~ is in the way"), "{refused}");
        std::fs::remove_file(beside(&place.path)).expect("it is still there");
        drop(UnixListener::bind(beside(&place.path)).expect("a socket without a server"));
        SocketFile::bind(&place, 8).expect("a rest of a start that was killed is no obstacle");
    }

    #[test]
    fn a_file_that_was_left_to_another_process_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(&folder, "");
        let (socket, file) = SocketFile::bind(&place, 8).expect("nothing is there");
        drop(SocketFile::adopt(&place.path).expect("it is there"));
        let heir = SocketFile::adopt(&place.path).expect("one that has failed leaves it");
        heir.keep();
        file.leave();
        drop(file);
        UnixStream::connect(&place.path).expect("it is there");
        drop((heir, socket));
        assert!(!place.path.exists());
    }

    #[test]
    fn unknown_owners_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        for (words, problem) in [("owner=no-such-user", "no user \"no-such-user\""), ("group=no-such", "no group")] {
            let refused = SocketFile::bind(&place(&folder, words), 8).expect_err("nobody has that name");
            assert!(refused.to_string().contains(problem), "{refused}");
        }
    }
}
