//! Who may log in: an htpasswd file. `htpasswd -B data/people ben` adds somebody; the running program notices.

use kirsch::passwords;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file. The first start makes it with one name, and prints the password, which is nowhere else.
pub(crate) fn file(path: &Path) -> kirsch::Result<PathBuf> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    match File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(mut file) => {
            let password = password()?;
            file.write_all(format!("admin:{}\n", passwords::hash(&password)).as_bytes())
                .map_err(failed)?;
            eprintln!(
                "\n  Log in as `admin` with the password `{password}`. It is shown this once.\n"
            );
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error).into()),
    }
    Ok(path.to_owned())
}

/// 80 random bits, in letters that nobody mistakes for others.
fn password() -> kirsch::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    let letters: Vec<_> = random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    Ok(letters
        .chunks(4)
        .map(|group| group.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join("-"))
}
