//! htpasswd files: lines of `name:hash`.
//!
//! A name that is not in the file costs as much time as one in it: the password is compared with the hash of another
//! user, chosen by the name, always the same one. Right passwords are remembered under a key that only this process
//! has, since browsers send them with each request and bcrypt is made to be slow. A changed hash is another one, so a
//! removed password is not remembered.

use super::{is_argon2, is_bcrypt, verify};
use crate::random::CodeKey;
use crate::watched_file::WatchedFile;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// A file of names and hashes, as `htpasswd -B` writes it: read when it is opened, and again when it has changed.
///
/// ```
/// use kirsch::passwords::{PasswordFile, hash};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("members");
/// std::fs::write(&path, format!("# members\nanna:{}\n", hash("correct horse")))?;
/// let members = PasswordFile::open(&path)?;
/// assert!(members.verify("anna", "correct horse"));
/// assert!(!members.verify("ben", "correct horse"));
/// # Ok::<(), kirsch::Error>(())
/// ```
///
/// Lines are `name:hash`, with a bcrypt or an argon2 hash; empty lines and lines that start with `#` are skipped. Other
/// hashes of `htpasswd` (`{SHA}`, `$apr1$`, crypt, plain text) are refused: they are guessed by the billion. The next
/// request reads a changed file once it has been still for a second. If the new content has a mistake, the log reports
/// it, and the old content stays in force.
pub struct PasswordFile {
    file: WatchedFile<Hashes>,
    remembered: Mutex<HashSet<[u8; 32]>>,
    key: CodeKey,
}

/// How many right passwords are remembered; then they are forgotten, all at once.
const MAX_REMEMBERED: usize = 1024;

impl PasswordFile {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is malformed; the error names the line and the remedy.
    pub fn open(path: impl AsRef<Path>) -> crate::Result<Self> {
        let file = WatchedFile::open(path.as_ref(), Hashes::parse).map_err(crate::Error::unexpected)?;
        Ok(Self { file, remembered: Mutex::default(), key: CodeKey::of_this_process() })
    }

    /// Whether the file has this name, and this is its password.
    #[must_use]
    pub fn verify(&self, name: &str, password: &str) -> bool {
        let hashes = self.file.content();
        let Some(hash) = hashes.0.get(name) else {
            if let Some(other) = hashes.instead_of(&self.tag(&[name])) {
                let _ = verify(password, other);
            }
            return false;
        };
        let tag = self.tag(&[hash, password]);
        if self.remembered.lock().contains(&tag) {
            return true;
        }
        let is_right = verify(password, hash);
        if is_right {
            let mut remembered = self.remembered.lock();
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
            remembered.insert(tag);
        }
        is_right
    }

    /// A code for these texts that means nothing outside of this process.
    fn tag(&self, texts: &[&str]) -> [u8; 32] {
        let lengths: Vec<_> = texts.iter().map(|text| (text.len() as u64).to_le_bytes()).collect();
        let parts = lengths.iter().zip(texts).flat_map(|(length, text)| [&length[..], text.as_bytes()]);
        self.key.code(&parts.collect::<Vec<_>>())
    }
}

impl std::fmt::Debug for PasswordFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PasswordFile").field(&self.file).finish()
    }
}

/// Hashes by name.
#[derive(Debug)]
struct Hashes(BTreeMap<String, String>);

impl Hashes {
    fn parse(text: &str) -> Result<Self, String> {
        let mut hashes = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let (number, line) = (index + 1, line.trim_end());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = line
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| format!("line {number} is not `name:hash`; write it with `htpasswd -B`"))?;
            if !is_bcrypt(hash) && !is_argon2(hash) {
                let kind = kind(hash);
                return Err(format!(
                    "line {number}, of {name:?}, has {kind}; set the password again with `htpasswd -B FILE NAME`, or put an argon2id hash there"
                ));
            }
            if hashes.insert(name.to_owned(), hash.to_owned()).is_some() {
                return Err(format!("line {number} has {name:?} a second time; remove one of the two"));
            }
        }
        Ok(Self(hashes))
    }

    /// The hash that an unknown name is compared with.
    fn instead_of(&self, tag: &[u8; 32]) -> Option<&str> {
        let number = usize::from(u16::from_le_bytes([tag[0], tag[1]]));
        self.0.values().nth(number.checked_rem(self.0.len())?).map(String::as_str)
    }
}

/// Names the kind of a hash that cannot be used.
fn kind(hash: &str) -> &'static str {
    match hash {
        "" => "no password",
        hash if hash.starts_with("{SHA}") => "a SHA-1 hash, which can be guessed by the billion",
        hash if hash.starts_with("$apr1$") || hash.starts_with("$1$") => {
            "an MD5 hash (apr1), which can be guessed by the million"
        }
        hash if hash.starts_with("$5$") || hash.starts_with("$6$") || hash.starts_with('_') || hash.len() == 13 => {
            "a hash of crypt, which is not read here"
        }
        hash if hash.starts_with("$2") || hash.starts_with("$argon2") => "a hash that is damaged",
        _ => "a plain password",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$u045hG1jpraCACBWg5cb.e81yv0y3Q6xwojRRN66RzdPXlMLJNd0i";

    #[test]
    fn weak_hashes_are_refused_with_line_and_fix() {
        let table = [
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "a SHA-1 hash"),
            ("$apr1$d8dq3v4d$UQ3/A9IeqzTtyqhwAXDdG.", "an MD5 hash"),
            ("rqXexS6ZhobKA", "a hash of crypt"),
            ("$6$salt$hash", "a hash of crypt"),
            ("secret", "a plain password"),
            ("", "no password"),
            ("$2y$05$cut", "a hash that is damaged"),
        ];
        for (hash, kind) in table {
            let error = Hashes::parse(&format!("# members\nanna:{hash}\n")).unwrap_err();
            assert!(error.starts_with("line 2, of \"anna\", has ") && error.contains(kind), "{error}");
            assert!(error.contains("`htpasswd -B FILE NAME`"), "{error}");
        }
    }

    #[test]
    fn lines_are_names_and_hashes_once_each() {
        let hashes = Hashes::parse(&format!("\n# a\nanna:{BCRYPT}\r\nben:{BCRYPT}")).unwrap();
        assert_eq!(hashes.0.keys().collect::<Vec<_>>(), ["anna", "ben"]);
        let twice = Hashes::parse(&format!("anna:{BCRYPT}\nanna:{BCRYPT}")).unwrap_err();
        assert!(twice.contains("line 2 has \"anna\" a second time"), "{twice}");
        assert!(Hashes::parse("anna").unwrap_err().contains("line 1 is not `name:hash`"));
        assert!(Hashes::parse("").unwrap().instead_of(&[7; 32]).is_none());
    }

    #[test]
    fn a_right_password_is_remembered_under_its_hash_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members");
        let line = |password| format!("anna:{}\n", bcrypt::hash(password, 4).unwrap());
        std::fs::write(&path, line("one")).unwrap();
        let file = PasswordFile::open(&path).unwrap();
        assert!(file.verify("anna", "one") && file.verify("anna", "one") && !file.verify("anna", "two"));
        assert_eq!(file.remembered.lock().len(), 1);
        std::fs::write(&path, line("two") + "\n").unwrap();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(9);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
        assert!(!file.verify("anna", "one") && file.verify("anna", "two"));
    }
}
