//! What an upgrade starts: this program, as it was started itself.
//!
//! All of it is read at the start. Later the file may have been replaced, and would read as deleted; and the working
//! directory may be gone.
//!
//! Places are kept as they were named if the name leads there. A release is often a link (`current`), and the new
//! release is where the link leads then.

use super::VARIABLE;
use crate::Result;
use crate::exchange::Error;
use rustix::fs::{Access, access};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program, its arguments, and its working directory.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    directory: Option<PathBuf>,
}

/// Of the process as it was started: not for another one.
const FOREIGN: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

impl Program {
    /// That of this process.
    pub(crate) fn of_process() -> Result<Self> {
        let real = std::env::current_exe()
            .map_err(|error| Error::unexpected(format!("it is not known which program this is: {error}")))?;
        let directory = std::env::current_dir().ok();
        let directory = directory.map(|real| as_named(std::env::var_os("PWD").map(PathBuf::from), real));
        let arguments: Vec<_> = std::env::args_os().collect();
        let named = arguments.first().map(|name| directory.clone().unwrap_or_default().join(name));
        Ok(Self { path: as_named(named, real), arguments, directory })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Starts it once more, with this socket as its standard input.
    pub(super) fn start(&self, socket: OwnedFd) -> Result<Child> {
        let shown = self.path.display();
        let failed = |error: std::io::Error| Error::unexpected(format!("{shown} cannot be started: {error}"));
        access(&self.path, Access::EXEC_OK).map_err(|error| failed(error.into()))?;
        let mut command = Command::new(&self.path);
        let mut arguments = self.arguments.iter();
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments).env(VARIABLE, std::process::id().to_string()).stdin(Stdio::from(socket));
        for name in FOREIGN {
            command.env_remove(name);
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.spawn().map_err(failed)
    }
}

/// The name of a place, if it leads there.
fn as_named(named: Option<PathBuf>, real: PathBuf) -> PathBuf {
    let leads_there = |named: &PathBuf| named.is_absolute() && named.canonicalize().is_ok_and(|found| found == real);
    named.filter(leads_there).unwrap_or(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_as_it_was_named_if_the_name_leads_there() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let (real, link, other) = (folder.join("1"), folder.join("current"), folder.join("2"));
        std::fs::write(&real, "").unwrap();
        std::fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        for (named, expected) in [(Some(&link), &link), (Some(&other), &real), (None, &real)] {
            assert_eq!(as_named(named.cloned(), real.clone()), *expected);
        }
        assert_eq!(as_named(Some("site".into()), real.clone()), real);
    }
}
