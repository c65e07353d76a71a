//! The files that the guide prints for those who run a program: the guide has them word for word, and they do what it
//! says.

mod deployment {
    mod files;
    mod proxies;
}

use std::path::{Path, PathBuf};

/// The folder of the files.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deployment")
}

/// The text of a file.
fn read(file: &str) -> String {
    let path = folder().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
