//! `kirsch new`: a folder for a new program. Nothing is asked, and no file that is there is touched.

use crate::command_line::NewProgram;
use crate::skeleton::{Kind, filled};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Where this command was built: Kirsch is beside it.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Makes the folder and the files; returns what to tell. The error is a sentence with a remedy.
pub(crate) fn make(new: &NewProgram) -> Result<String, String> {
    let shown = new.path.display();
    // `.` and `..` have no name of their own.
    let absolute = std::path::absolute(&new.path).map_err(|error| format!("{shown}: {error}"))?;
    let folder = absolute.canonicalize().unwrap_or(absolute);
    let name = folder.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        format!("{shown} does not end with a name in UTF-8: name a folder, as in `kirsch new photos`")
    })?;
    check_name(name)?;
    let checkout = checkout(Path::new(CHECKOUT))?;
    check_folder(&folder)?;
    let kirsch = checkout.join("framework");
    let kirsch = kirsch.to_str().ok_or("the path of Kirsch is not UTF-8: move the checkout")?;
    let kirsch = kirsch.replace('\\', r"\\").replace('"', r#"\""#);
    let mut files: Vec<_> = new
        .kind
        .files()
        .into_iter()
        .map(|(path, content)| (path, filled(content, name, &kirsch).into_bytes()))
        .collect();
    // The versions that Kirsch is tested with. Cargo takes those out that are not needed here.
    files.extend(fs::read(checkout.join("Cargo.lock")).map(|lock| ("Cargo.lock", lock)));
    fill(&folder, &files)?;
    Ok(told(new, name, &checkout))
}

/// Writes all files or, if one of them fails, leaves none behind: the next try must not find the folder in use.
fn fill(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), String> {
    let was_there = folder.exists();
    let mut written = Vec::new();
    let result = files.iter().try_for_each(|(path, content)| write(&folder.join(path), content, &mut written));
    if result.is_err() {
        for path in written.iter().rev() {
            let _ = fs::remove_file(path);
            let made = path.ancestors().skip(1).take_while(|above| above.starts_with(folder));
            for above in made.filter(|above| !was_there || *above != folder) {
                // Not before it is empty.
                let _ = fs::remove_dir(above);
            }
        }
    }
    result
}

fn told(new: &NewProgram, name: &str, checkout: &Path) -> String {
    let what = match new.kind {
        Kind::Site => "a site",
        Kind::Minimal => "a site of two pages",
        Kind::Api => "an API",
    };
    let path = as_word(&new.path.to_string_lossy());
    let search = std::env::var_os("PATH").unwrap_or_default();
    let command = match std::env::split_paths(&search).any(|folder| folder.join("kirsch").is_file()) {
        true => String::new(),
        false => {
            let cli = as_word(&checkout.join("cli").to_string_lossy());
            format!("The command kirsch is not installed yet: cargo install --path {cli}\n")
        }
    };
    format!(
        "{name} is {what}. Now:\n\n  cd {path}\n  cargo run        then open http://127.0.0.1:8080/\n  kirsch dev       the same, and builds it again when a file changes\n  cargo test\n\n{command}Its README.md says more.\n"
    )
}

/// A path as one word of a shell.
fn as_word(path: &str) -> String {
    match path.chars().all(|c| c.is_alphanumeric() || "/._-+~".contains(c)) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

/// The checkout, if it still is where it was.
fn checkout(path: &Path) -> Result<PathBuf, String> {
    let found = path.canonicalize().ok().filter(|path| path.join("framework/Cargo.toml").is_file());
    found.ok_or_else(|| {
        let path = path.display();
        format!("Kirsch is not at {path} any more, where this command was built: build it again, with `cargo install --path cli` in the checkout")
    })
}

/// Nothing may be in the way.
fn check_folder(folder: &Path) -> Result<(), String> {
    let shown = folder.display();
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(format!("{shown} is not empty: choose another name, or move what is there")),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err(format!("{shown} is a file, or in place of a folder there is one: choose another name"))
        }
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// Notes the file as soon as it is there.
fn write(path: &Path, content: &[u8], written: &mut Vec<PathBuf>) -> Result<(), String> {
    let mut write = || {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let mut file = File::options().write(true).create_new(true).open(path)?;
        written.push(path.to_owned());
        file.write_all(content)
    };
    write().map_err(|error: std::io::Error| format!("{} cannot be written: {error}", path.display()))
}

const MAX_NAME: usize = 64;

/// Words of the language, and names of crates that the program or cargo knows already.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "argon2",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "env_logger",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "getrandom",
    "if",
    "impl",
    "in",
    "incremental",
    "kirsch",
    "kirsch_macros",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "rusqlite",
    "self",
    "serde",
    "serde_json",
    "static",
    "std",
    "struct",
    "super",
    "tempfile",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Whether a package and its code may be called so.
fn check_name(name: &str) -> Result<(), String> {
    let Err(problem) = problem_with(name) else { return Ok(()) };
    let plain: String = name.to_lowercase().chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let plain = plain.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('-');
    // What would be left of a name in other letters is no name.
    let has_hint = name.is_ascii() && problem_with(plain).is_ok();
    let hint = if has_hint { format!(", as `{plain}`") } else { String::new() };
    Err(format!("a program cannot be called {name:?}: {problem}{hint}"))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')
}

fn problem_with(name: &str) -> Result<(), &'static str> {
    match name {
        _ if name.len() > MAX_NAME => Err("that is longer than 64 letters"),
        _ if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_plain) => {
            Err("use small letters, digits, `-` and `_`, a letter first")
        }
        // The lints of the compiler refuse the name of such a crate.
        _ if name.replace('-', "_").contains("__") => Err("two of `-` and `_` in a row are one too many"),
        _ if TAKEN.contains(&&*name.replace('-', "_")) => {
            Err("Rust, cargo or the program itself uses that name already")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(path: PathBuf) -> NewProgram {
        NewProgram { path, kind: Kind::Minimal }
    }

    #[test]
    fn names_that_cargo_or_rust_would_refuse_are_refused() {
        for name in ["photos", "photo-album", "a", "x_2"] {
            assert_eq!(check_name(name), Ok(()));
        }
        let long = "a".repeat(65);
        let table = [
            ("", "a letter first"),
            ("2photos", "as `photos`"),
            ("Photos", "as `photos`"),
            ("my photos", "as `my-photos`"),
            ("photos.rs", "as `photos-rs`"),
            ("ümlaut", "a letter first"),
            ("photo--album", "in a row"),
            ("photo_-album", "in a row"),
            ("kirsch-macros", "uses that name already"),
            ("Fn", "a letter first"),
            ("-", "a letter first"),
            ("fn", "uses that name already"),
            ("test", "uses that name already"),
            ("serde-json", "uses that name already"),
            ("kirsch", "uses that name already"),
            (&long, "longer than 64"),
        ];
        for (name, problem) in table {
            let refused = check_name(name).expect_err(name);
            assert!(refused.contains(problem), "{refused}");
        }
    }

    #[test]
    fn a_folder_with_anything_in_it_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("photos");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(".hidden"), "mine").unwrap();
        assert!(make(&new(folder.clone())).unwrap_err().contains("is not empty"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::write(place.path().join("notes"), "").unwrap();
        assert!(make(&new(place.path().join("notes"))).unwrap_err().contains("is a file"));
    }

    #[test]
    fn an_empty_folder_is_filled() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("photos");
        fs::create_dir(&folder).unwrap();
        let told = make(&new(folder.join("."))).unwrap();
        assert!(told.starts_with("photos is a site of two pages."), "{told}");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("name = \"photos\"") && manifest.contains("/framework\""), "{manifest}");
        assert!(folder.join(".gitignore").exists() && folder.join("Cargo.lock").exists());
    }

    #[test]
    fn a_checkout_that_has_gone_is_named() {
        let place = tempfile::tempdir().unwrap();
        assert!(checkout(place.path()).unwrap_err().contains("not at"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let problem = make(&new("/proc/photos".into())).unwrap_err();
        assert!(problem.contains("/proc/photos/Cargo.toml cannot be written"), "{problem}");
    }

    #[test]
    fn what_cannot_be_finished_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("photos");
        let files = ["src/main.rs", "a/b/c.html", "a/b/c.html"].map(|path| (path, Vec::new()));
        assert!(fill(&folder, &files).unwrap_err().contains("c.html cannot be written"));
        assert!(!folder.exists());
        fs::create_dir(&folder).unwrap();
        assert!(fill(&folder, &files).is_err());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn a_path_is_told_as_a_shell_takes_it() {
        for (path, word) in [("../a_b-1.c", "../a_b-1.c"), ("my site", "'my site'"), ("it's", r"'it'\''s'")] {
            assert_eq!(as_word(path), word);
        }
    }
}
