//! A folder whose files are served: descent by handles, never by comparing texts.
//!
//! The folder is opened once. The kernel resolves every path below that handle (`openat2`). So there is no prefix that
//! a neighbour could share (`public` and `public-secret`), and no moment between a check and the opening in which a
//! link could be put in place. Where the kernel, or its sandbox, has no `openat2`, [`descend`] makes the same walk, one
//! component at a time.
//!
//! Only regular files and folders come out of here. A pipe or a device is opened without waiting and then turned down.

use crate::settings::SettingWord;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2, readlinkat, statat};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use twox_hash::XxHash3_128;

/// The treatment of symbolic links below the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symlinks {
    /// They are followed as long as they lead to something below the folder, by a relative path.
    Within,
    /// They are not there.
    Never,
    /// They are followed wherever they lead.
    Anywhere,
}

impl SettingWord for Symlinks {
    const WORDS: &'static [(&'static str, Self)] =
        &[("within", Self::Within), ("never", Self::Never), ("anywhere", Self::Anywhere)];
}

/// An open folder.
#[derive(Debug)]
pub(super) struct Directory {
    handle: OwnedFd,
    path: PathBuf,
    symlinks: Symlinks,
}

/// The target of a path.
pub(super) enum Entry {
    File(File, Identity),
    Directory(OwnedFd),
}

/// The identity of one state of a file. `changed` is set by the kernel alone, with every change of content, name or
/// owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    pub(super) length: u64,
    pub(super) modified: Moment,
    pub(super) changed: Moment,
    pub(super) kind: FileType,
}

impl Identity {
    /// All of it in a number that does not reveal its parts.
    pub(super) fn fingerprint(&self) -> u64 {
        let Self { device, inode, length, modified, changed, kind: _ } = *self;
        let seconds = [modified, changed].map(|moment| moment.seconds.cast_unsigned());
        let nanoseconds = [modified, changed].map(|moment| u64::from(moment.nanoseconds));
        let numbers = [device, inode, length, seconds[0], nanoseconds[0], seconds[1], nanoseconds[1]];
        let mut bytes = [0; 56];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        // The upper half of the tags of pages: the same hash, whose shorter kin is not built.
        (XxHash3_128::oneshot(&bytes) >> 64) as u64
    }
}

/// A time of a file, in seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
const HANDLE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Directory {
    pub(super) fn open(path: &Path, symlinks: Symlinks) -> io::Result<Self> {
        let handle = open(path, HANDLE, Mode::empty())?;
        Ok(Self { handle, path: path.to_owned(), symlinks })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the target of `path`, components with `/` between them, of which none is empty, `.` or `..`; the empty
    /// path is the folder itself. `None` when nothing is there that may be served.
    pub(super) fn find(&self, path: &str) -> io::Result<Option<Entry>> {
        let handle = match self.resolve(path, OPEN) {
            Ok(handle) => handle,
            Err(error) => return absence(error, || self.path.join(path)).map(|()| None),
        };
        let identity = Identity::of(&handle)?;
        Ok(match identity.kind {
            FileType::RegularFile => Some(Entry::File(handle.into(), identity)),
            FileType::Directory => Some(Entry::Directory(handle)),
            _ => None,
        })
    }

    /// The state of the target of `path` now, without opening it; `None` when nothing is there.
    ///
    /// Links are followed to any place: only to be compared with the result of [`find`](Self::find).
    pub(super) fn look(&self, path: &str) -> Option<Identity> {
        statat(&self.handle, path, AtFlags::empty()).ok().map(|stat| Identity::from(&stat))
    }

    /// The target of `path` if it may be served, without opening it.
    pub(super) fn identify(&self, path: &str) -> Option<Identity> {
        let handle = self.resolve(path, OFlags::PATH.union(OFlags::CLOEXEC)).ok()?;
        Identity::of(&handle).ok()
    }

    fn resolve(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let resolve = match self.symlinks {
            Symlinks::Within => ResolveFlags::BENEATH,
            Symlinks::Never => ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS),
            Symlinks::Anywhere => ResolveFlags::empty(),
        };
        // Links of /proc would lead to any file that this process has open.
        let resolve = resolve.union(ResolveFlags::NO_MAGICLINKS);
        for _ in 0..MAX_ATTEMPTS {
            match openat2(&self.handle, path, flags, Mode::empty(), resolve) {
                // Something on the way was renamed in between.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOSYS | Errno::PERM) => return self.descend(path, flags),
                outcome => return outcome,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The walk of `openat2`, for kernels without it.
    fn descend(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        if self.symlinks == Symlinks::Anywhere {
            return openat(&self.handle, path, flags, Mode::empty());
        }
        descend(&self.handle, path, flags, self.symlinks == Symlinks::Within)
    }
}

/// A rename that hits the same lookup this often is deliberate.
const MAX_ATTEMPTS: usize = 16;

/// As many links as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// Opens `path` below `root`, component by component, and never leaves `root`. Links are followed in the same way, or
/// not at all.
fn descend(root: &OwnedFd, path: &str, flags: OFlags, follow: bool) -> rustix::io::Result<OwnedFd> {
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut left: Vec<Vec<u8>> = path.split('/').rev().map(|component| component.as_bytes().to_vec()).collect();
    let mut links = 0;
    while let Some(component) = left.pop() {
        let here = above.last().unwrap_or(root).as_fd();
        match &component[..] {
            b"" | b"." if !left.is_empty() => continue,
            b".." => {
                above.pop().ok_or(Errno::XDEV)?;
                // The path may end here.
                if left.is_empty() {
                    left.push(b".".to_vec());
                }
                continue;
            }
            _ => {}
        }
        let name = if component.is_empty() { b"." } else { &component[..] };
        let target = match readlinkat(here, name, Vec::new()) {
            Ok(target) => target.into_bytes(),
            // It is not a link, or not there.
            Err(_) if left.is_empty() => return openat(here, name, flags.union(OFlags::NOFOLLOW), Mode::empty()),
            Err(_) => {
                above.push(openat(here, name, HANDLE.union(OFlags::NOFOLLOW), Mode::empty())?);
                continue;
            }
        };
        links += 1;
        if !follow || links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        if target.starts_with(b"/") {
            return Err(Errno::XDEV);
        }
        left.extend(target.split(|&byte| byte == b'/').rev().map(<[u8]>::to_vec));
    }
    Err(Errno::NOENT)
}

/// `Ok` when `error` means that nothing is there for us: the client cannot tell the difference, the log can.
fn absence(error: Errno, path: impl FnOnce() -> PathBuf) -> io::Result<()> {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL | Errno::NXIO | Errno::NODEV => Ok(()),
        Errno::ACCESS | Errno::PERM => {
            crate::line::record!(Warn, target: "kirsch::static", "{:?} may not be read by this process: answered as not found", path());
            Ok(())
        }
        Errno::LOOP | Errno::XDEV => {
            crate::line::record!(Debug, target: "kirsch::static", "{:?} is, or is behind, a link that `symlinks` does not allow", path());
            Ok(())
        }
        error => Err(error.into()),
    }
}

impl Identity {
    pub(super) fn of(handle: impl AsFd) -> io::Result<Self> {
        Ok(Self::from(&fstat(handle)?))
    }
}

impl From<&rustix::fs::Stat> for Identity {
    #[expect(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the widths differ between architectures")]
    fn from(stat: &rustix::fs::Stat) -> Self {
        let nanoseconds = |part| u32::try_from(part).unwrap_or(0);
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            modified: Moment { seconds: stat.st_mtime.into(), nanoseconds: nanoseconds(stat.st_mtime_nsec) },
            changed: Moment { seconds: stat.st_ctime.into(), nanoseconds: nanoseconds(stat.st_ctime_nsec) },
            kind: FileType::from_raw_mode(stat.st_mode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};
    use std::os::unix::fs::symlink;

    /// A folder `public`, with a neighbour whose name starts with its own.
    fn folders() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        create_dir_all(at("public/sub/deep")).unwrap();
        create_dir_all(at("public-secret")).unwrap();
        write(at("secret"), "secret").unwrap();
        write(at("public-secret/key"), "secret").unwrap();
        write(at("public/a"), "a").unwrap();
        write(at("public/sub/b"), "b").unwrap();
        symlink("a", at("public/to-a")).unwrap();
        symlink("../a", at("public/sub/to-a")).unwrap();
        symlink("sub/deep/../b", at("public/around")).unwrap();
        symlink("sub", at("public/to-sub")).unwrap();
        symlink("../secret", at("public/out")).unwrap();
        symlink("../../secret", at("public/sub/out")).unwrap();
        symlink("/etc/hostname", at("public/absolute")).unwrap();
        symlink("loop", at("public/loop")).unwrap();
        symlink("/proc/self/root", at("public/magic")).unwrap();
        place
    }

    fn open_folder(place: &tempfile::TempDir, symlinks: Symlinks) -> Directory {
        Directory::open(&place.path().join("public"), symlinks).unwrap()
    }

    /// By the kernel and by hand: the two must not differ.
    fn is_file(directory: &Directory, path: &str) -> bool {
        let found = matches!(directory.find(path), Ok(Some(Entry::File(..))));
        let by_hand = directory.descend(path, OPEN);
        let by_hand = by_hand.is_ok_and(|handle| Identity::of(&handle).unwrap().kind == FileType::RegularFile);
        assert_eq!(found, by_hand, "{path}");
        found
    }

    #[test]
    fn links_are_followed_as_far_as_the_policy_says() {
        let place = folders();
        let table = [
            ("a", [true, true, true]),
            ("sub/b", [true, true, true]),
            ("to-a", [true, false, true]),
            ("sub/to-a", [true, false, true]),
            ("around", [true, false, true]),
            ("to-sub/b", [true, false, true]),
            ("out", [false, false, true]),
            ("sub/out", [false, false, true]),
            ("to-sub/out", [false, false, true]),
            ("loop", [false, false, false]),
            ("nowhere", [false, false, false]),
            ("a/b", [false, false, false]),
            ("sub", [false, false, false]),
        ];
        for (path, expected) in table {
            let found = [Symlinks::Within, Symlinks::Never, Symlinks::Anywhere]
                .map(|symlinks| is_file(&open_folder(&place, symlinks), path));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn absolute_links_and_those_of_proc_lead_out() {
        let place = folders();
        for path in ["absolute", "magic/etc/hostname"] {
            assert!(!is_file(&open_folder(&place, Symlinks::Within), path), "{path}");
        }
    }

    #[test]
    fn a_neighbour_whose_name_starts_alike_is_not_below() {
        let place = folders();
        for path in ["../public-secret/key", "-secret/key", "../secret", "sub/../../secret"] {
            assert!(!is_file(&open_folder(&place, Symlinks::Within), path), "{path}");
        }
    }

    #[test]
    fn pipes_and_devices_are_not_served_and_do_not_block() {
        let place = folders();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            place.path().join("public/pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let directory = open_folder(&place, Symlinks::Anywhere);
        assert!(directory.find("pipe").unwrap().is_none());
        let devices = Directory::open(Path::new("/dev"), Symlinks::Within).unwrap();
        assert!(devices.find("null").unwrap().is_none());
    }

    #[test]
    fn the_empty_path_is_the_folder_itself() {
        let place = folders();
        let directory = open_folder(&place, Symlinks::Never);
        assert!(matches!(directory.find("").unwrap(), Some(Entry::Directory(_))));
        assert!(matches!(directory.find("sub/deep").unwrap(), Some(Entry::Directory(_))));
    }

    #[test]
    fn a_changed_file_has_another_identity() {
        let place = folders();
        let directory = open_folder(&place, Symlinks::Within);
        let before = directory.look("a").unwrap();
        assert_eq!(directory.look("a"), Some(before));
        write(place.path().join("b"), "b").unwrap();
        std::fs::rename(place.path().join("b"), place.path().join("public/a")).unwrap();
        assert_ne!(directory.look("a"), Some(before));
    }
}
