//! The file with the number of the process: written when the application is ready, for programs that send signals.
//!
//! It appears whole, by a rename, and a process removes only a file that still holds its own number: after an upgrade
//! it is the new process's. It locks nothing, since a number alone says nothing about who has it now.

use crate::Result;
use crate::exchange::Error;
use crate::private_file;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The file of this process. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the number of this process.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn write(path: &Path) -> Result<Self> {
        let file = Self(path.to_owned());
        file.claim().map_err(|failure| {
            let shown = path.display();
            Error::unexpected(format!(
                "`server.pid_file` is {shown}, which cannot be written: {failure}; choose a folder that the user of the process may write"
            ))
        })?;
        Ok(file)
    }

    /// Writes the number again, if another process has written its own.
    pub(super) fn claim(&self) -> io::Result<()> {
        if self.is_own() {
            return Ok(());
        }
        let mut aside = self.0.clone().into_os_string();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        // One of a process that had this number before.
        let _ = fs::remove_file(&aside);
        let written = private_file::create(&aside).and_then(|mut file| {
            file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
            // For programs of other users: it is no secret.
            file.set_permissions(fs::Permissions::from_mode(0o644))
        });
        let placed = written.and_then(|()| fs::rename(&aside, &self.0));
        if placed.is_err() {
            let _ = fs::remove_file(&aside);
        }
        placed
    }

    fn is_own(&self) -> bool {
        fs::read_to_string(&self.0).is_ok_and(|text| text.trim().parse() == Ok(std::process::id()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_own() {
            let _ = fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("site.pid")
    }

    #[test]
    fn the_file_holds_the_number_and_goes_with_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let file = PidFile::write(&path(&folder)).unwrap();
        assert_eq!(fs::read_to_string(path(&folder)).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_file_of_another_process_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = PidFile::write(&path(&folder)).unwrap();
        fs::write(path(&folder), "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(path(&folder)).unwrap(), "1\n");
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, path(&folder)).unwrap();
        let _file = PidFile::write(&path(&folder)).unwrap();
        assert_eq!(fs::read_to_string(other).unwrap(), "precious");
    }
}
