//! The files of new programs. They are in `skeletons/`, as they are written, but for these words:
//!
//! | word | what stands there in the end |
//! |---|---|
//! | `skeleton-name` | the name of the package |
//! | `skeleton_name` | the same in code |
//! | `skeleton-title` | the same for people |
//! | `skeleton-kirsch` | the path of Kirsch |

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Site,
    Minimal,
    Api,
}

/// A path below the folder, and the content.
type SkeletonFile = (&'static str, &'static str);

macro_rules! files {
    ($($folder:literal: $($path:literal)+;)+) => {
        &[$($(($path, include_str!(concat!("../skeletons/", $folder, "/", $path))),)+)+]
    };
}

const IGNORED: SkeletonFile = (".gitignore", include_str!("../skeletons/common/gitignore"));
const STYLE: SkeletonFile = ("static/site.css", include_str!("../skeletons/common/site.css"));
const ICON: SkeletonFile = ("static/icon.svg", include_str!("../skeletons/common/icon.svg"));

impl Kind {
    /// The files, with the words in them.
    pub(crate) fn files(self) -> Vec<SkeletonFile> {
        let (own, shared): (&[SkeletonFile], &[SkeletonFile]) = match self {
            Self::Minimal => (
                files!("minimal": "Cargo.toml" "README.md" "site.toml" "src/main.rs" "src/page.html";),
                &[IGNORED, STYLE, ICON],
            ),
            Self::Api => (
                files!("api": "Cargo.toml" "README.md" "site.toml" "src/main.rs" "src/lib.rs" "src/notes.rs" "tests/api.rs";),
                &[IGNORED],
            ),
            Self::Site => (
                files!("site":
                    "Cargo.toml" "README.md" "site.toml" "migrations/1-notes.sql"
                    "src/main.rs" "src/lib.rs" "src/notes.rs" "src/pages.rs" "src/people.rs" "tests/site.rs"
                    "templates/layout.html" "templates/notes.html" "templates/write.html" "templates/login.html"
                    "templates/error.html";
                ),
                &[IGNORED, STYLE, ICON],
            ),
        };
        own.iter().chain(shared).copied().collect()
    }
}

/// A content with its words replaced.
pub(crate) fn filled(content: &str, name: &str, kirsch: &str) -> String {
    let mut title: String = name.replace(['-', '_'], " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    content
        .replace("skeleton-name", name)
        .replace("skeleton_name", &name.replace('-', "_"))
        .replace("skeleton-title", &title)
        .replace("skeleton-kirsch", kirsch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn no_file_is_forgotten_and_no_word_is_left() {
        for (folder, kind) in [("site", Kind::Site), ("minimal", Kind::Minimal), ("api", Kind::Api)] {
            let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("skeletons").join(folder)];
            let mut found = 0;
            while let Some(path) = left.pop() {
                match path.is_dir() {
                    true => left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path())),
                    false => found += 1,
                }
            }
            let files = kind.files();
            assert_eq!(
                files
                    .iter()
                    .filter(|(path, _)| ![IGNORED, STYLE, ICON].iter().any(|(shared, _)| shared == path))
                    .count(),
                found
            );
            assert!(files.iter().all(|(_, content)| !filled(content, "photo-album", "/k").contains("skeleton")));
        }
    }

    #[test]
    fn a_title_is_for_people() {
        assert_eq!(filled("skeleton-title, skeleton_name", "photo-album", ""), "Photo album, photo_album");
    }
}
