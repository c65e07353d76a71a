//! Secrets that a configuration does not hold, but names: `{ file = "/run/secrets/db" }`, or `{ credential = "db" }`
//! for one that systemd passes on in the folder `CREDENTIALS_DIRECTORY`.
//!
//! The file is read once, at start. One line break at its end does not count: editors and `echo` write it.

use super::SettingTable;
use crate::private_file;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest file that is taken for a secret: certificates with their keys fit.
const MAX_SECRET: u64 = 64 << 10;

/// The text that a table names. The error goes on after the key.
pub(super) fn read(table: &SettingTable) -> Result<String, String> {
    read_file(&path_of_secret(table)?)
}

/// The file that a table names. The error goes on after the key.
pub(crate) fn path_of_secret(table: &SettingTable) -> Result<PathBuf, String> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    path_in(table, folder.as_deref())
}

fn path_in(table: &SettingTable, credentials: Option<&Path>) -> Result<PathBuf, String> {
    let only = table.iter().next().filter(|_| table.len() == 1);
    match only.and_then(|(key, value)| Some((&**key, value.as_str()?))) {
        Some(("file", path)) => Ok(PathBuf::from(path)),
        Some(("credential", name)) if name.is_empty() || name.contains('/') || name.starts_with('.') => {
            Err(format!("has a credential {name:?}; it must be the name of a file, without a folder"))
        }
        Some(("credential", name)) => match credentials {
            Some(folder) => Ok(folder.join(name)),
            None => Err(format!(
                "is the credential {name:?}, but CREDENTIALS_DIRECTORY is not set: let systemd start the program, with LoadCredential={name}:PATH, or write {{ file = \"PATH\" }}"
            )),
        },
        _ => {
            Err("is a table; it must be a text in quotes, { file = \"PATH\" } or { credential = \"NAME\" }".to_owned())
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let place = path.display();
    let file = private_file::open_plain(path)
        .map_err(|error| format!("is in the file {place}, which cannot be read: {error}"))?;
    private_file::warn_of_changes(path, "a secret");
    private_file::warn_if_everybody_reads(path, "a secret");
    let mut text = String::new();
    let read = file.take(MAX_SECRET + 1).read_to_string(&mut text);
    let size = read.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => format!("is in the file {place}, which is not a text in UTF-8"),
        _ => format!("is in the file {place}, which cannot be read: {error}"),
    })?;
    if size as u64 > MAX_SECRET {
        return Err(format!(
            "is in the file {place}, which has more than {} KiB: is it the right one?",
            MAX_SECRET >> 10
        ));
    }
    let line = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    match line.is_empty() {
        true => Err(format!("is in the file {place}, which is empty")),
        false => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn table(text: &str) -> SettingTable {
        text.parse().expect("TOML")
    }

    fn read_in(table: &SettingTable, credentials: Option<&Path>) -> Result<String, String> {
        read_file(&path_in(table, credentials)?)
    }

    #[test]
    fn a_secret_is_the_file_without_its_last_line_break() {
        let folder = tempfile::tempdir().expect("a folder");
        let named = table(&format!("file = '{}'", folder.path().join("db").display()));
        for (text, secret) in
            [("hunter2", "hunter2"), ("hunter2\n", "hunter2"), ("a\nb\r\n", "a\nb"), (" a \n\n", " a \n")]
        {
            fs::write(folder.path().join("db"), text).expect("written");
            assert_eq!(read_in(&named, None).as_deref(), Ok(secret));
            assert_eq!(read_in(&table("credential = 'db'"), Some(folder.path())).as_deref(), Ok(secret));
        }
    }

    #[test]
    fn a_secret_that_is_not_there_is_an_error_that_says_why() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("empty"), "\n").expect("written");
        fs::write(at("bytes"), [0xff]).expect("written");
        fs::write(at("large"), "x".repeat(1 << 17)).expect("written");
        let table_of = [
            ("credential = 'missing'", "which cannot be read: No such file"),
            ("credential = 'empty'", "which is empty"),
            ("credential = 'bytes'", "which is not a text in UTF-8"),
            ("credential = 'large'", "more than 64 KiB"),
            ("credential = '../db'", "without a folder"),
            ("file = '/'", "cannot be read: is not a file"),
            ("file = 1", "it must be a text in quotes"),
            ("file = 'a'\ncredential = 'b'", "it must be a text in quotes"),
        ];
        for (text, problem) in table_of {
            let refused = read_in(&table(text), Some(folder.path())).expect_err(text);
            assert!(refused.contains(problem), "{text}: {refused}");
        }
        let refused = read_in(&table("credential = 'db'"), None).expect_err("no folder");
        assert!(refused.contains("LoadCredential=db:PATH"), "{refused}");
    }
}
