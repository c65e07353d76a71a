//! Files that are for this user alone, and whether those that the program trusts are.
//!
//! Everything that the framework creates on disk is created here, and every file that it trusts is checked here:
//! sessions, locks, spooled bodies, tickets, passwords, configuration, templates, error pages. Static files, and
//! uploads that a handler keeps, are meant for other users and are not here.
//!
//! Two ideas. A file has its mode from its creation, never by a `chmod` afterwards, so there is no moment in which it
//! is wider; a umask can only narrow it. And a user who may change a folder may replace any file below it. So the way
//! to a file counts as much as the file: `exposure` walks it.
//!
//! The bits of the group stand for access control lists, too: in a file with a list they are its mask, the upper bound
//! for every name in it.

mod exposure;

#[cfg(feature = "sqlite")]
pub(crate) use exposure::warn_if_readable;
#[cfg(feature = "templates")]
pub(crate) use exposure::warn_of_changes_below;
#[cfg(feature = "auth")]
pub(crate) use exposure::warn_of_passwords;
#[cfg(any(feature = "redis", feature = "postgres"))]
pub(crate) use exposure::warn_of_socket;
pub(crate) use exposure::{require_own, warn_if_everybody_reads, warn_of_changes};

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Never through a link, and without waiting: to open a FIFO for reading waits for its writer.
const PLAIN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Creates a file for this user alone.
///
/// # Errors
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists) where anything is in its place, be it a link to nowhere.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Creates folders for this user alone.
pub(crate) fn folders() -> std::fs::DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Opens a file that only this user's programs use, for reading and writing, or creates it. One that others may use is
/// narrowed first.
#[cfg(any(feature = "file", feature = "sqlite"))]
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = only_own(file.custom_flags(flags(PLAIN)).open(path)?)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Opens a file that this user has written: [`InvalidData`](io::ErrorKind::InvalidData) for a link, for anything but a
/// file, and for a file that another user owns or may write.
pub(crate) fn open_own(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().read(true).custom_flags(flags(PLAIN)).open(path);
    let is_link = |error: &io::Error| error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    only_own(opened.map_err(|error| if is_link(&error) { foreign("it is a link") } else { error })?)
}

/// Opens a file to read it, or says that it is not a file: it does not wait for the writer of a FIFO.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY)).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(foreign("is not a file")) }
}

/// Opens a log file to append to it, or creates it, and the folders above it, for this user alone. One that is there
/// keeps its mode: the operator may let others read it. A pipe without a reader is an error, since opening it would
/// wait.
pub(crate) fn open_to_append(path: &Path) -> io::Result<(File, std::fs::Metadata)> {
    use std::os::unix::fs::DirBuilderExt;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let flags = flags(OFlags::NONBLOCK | OFlags::NOCTTY);
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    // The thread that writes may wait for the reader of a pipe.
    let opened = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, opened - OFlags::NONBLOCK)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// A file without a name in this folder: it goes with its last descriptor.
pub(crate) fn without_name(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let flags = flags(OFlags::TMPFILE | OFlags::EXCL);
    let opened = options.read(true).write(true).mode(0o600).custom_flags(flags).open(folder);
    // Where the file system cannot do that, it has a name for a moment, and the same mode.
    opened.or_else(|_| tempfile::tempfile_in(folder))
}

/// Whether this is a file or folder that only this user may write, and no link.
#[cfg(feature = "file")]
pub(crate) fn is_own(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.symlink_metadata().is_ok_and(|metadata| {
        !metadata.is_symlink() && exposure::is_trusted(metadata.uid()) && metadata.mode() & 0o022 == 0
    })
}

fn only_own(file: File) -> io::Result<File> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    match () {
        () if !metadata.is_file() => Err(foreign("it is not a file")),
        () if !exposure::is_trusted(metadata.uid()) => Err(foreign("another user owns it")),
        () if metadata.mode() & 0o022 != 0 => Err(foreign("other users may write it")),
        () => Ok(file),
    }
}

fn foreign(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(test)]
#[cfg(all(feature = "file", feature = "sqlite", feature = "passwords", feature = "templates"))]
mod tests;
