//! The watched files: what they are, and which of them differ from the last look.
//!
//! The system's watches only wake: at each look all watched files are compared with the last look, by time and length,
//! then by content. So a file that was saved without a change, one that is there no more, and a folder that was renamed
//! need no thought. Where watches cannot be had, a clock wakes.

use super::supervisor::{Changes, Event};
use crossbeam_channel::Sender;
use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

/// Folders of a package whose files count. What it writes itself is in none of them.
const FOLDERS: [&str; 4] = ["src", "templates", "static", "migrations"];
/// How often a clock wakes, where watches cannot be had.
const PAUSE: Duration = Duration::from_secs(1);
/// Larger files are compared by time and length alone.
const MAX_COMPARED: u64 = 4 << 20;
/// More files are not looked at: each look would take too long.
const MAX_FILES: usize = 50_000;
const MAX_DEPTH: usize = 32;

/// What is watched, and how it was at the last look.
#[derive(Debug)]
pub(crate) struct Watch {
    package: PathBuf,
    /// Files elsewhere, and folders that the command line names.
    further: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Seen>,
    /// Files outside of `src` that the compiler has read.
    compiled: BTreeSet<PathBuf>,
    watcher: Option<RecommendedWatcher>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    modified: Option<SystemTime>,
    length: u64,
    content: u64,
}

impl Watch {
    /// Looks at all files for the first time.
    pub(crate) fn new(package: PathBuf, further: Vec<PathBuf>) -> Self {
        let mut watch = Self { package, further, known: BTreeMap::new(), compiled: BTreeSet::new(), watcher: None };
        watch.known = watch.seen();
        watch
    }

    /// Wakes from now on; returns why only a clock does.
    pub(crate) fn begin(&mut self, polls: bool, wake: &Sender<Event>) -> Option<String> {
        let on_event = wake.clone();
        let begun = match polls {
            true => Err("--poll".to_owned()),
            false => {
                let tell = move |event: notify::Result<notify::Event>| {
                    // To read a file is no change. An error may have cost an event.
                    if !event.is_ok_and(|event| event.kind.is_access()) {
                        let _ = on_event.send(Event::Touched);
                    }
                };
                // What a link leads to may be the whole disk.
                RecommendedWatcher::new(tell, Config::default().with_follow_symlinks(false))
                    .map_err(|error| error.to_string())
            }
        };
        let begun = begun.and_then(|watcher| {
            self.watcher = Some(watcher);
            self.watch_all()
        });
        let problem = begun.err()?;
        self.watcher = None;
        let wake = wake.clone();
        thread::spawn(move || {
            while wake.send(Event::Touched).is_ok() {
                thread::sleep(PAUSE);
            }
        });
        Some(problem)
    }

    /// A folder may have come, or have been replaced by another one.
    fn watch_all(&mut self) -> Result<(), String> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        let own = FOLDERS.iter().map(|folder| self.package.join(folder));
        // A watched folder may itself be a link.
        let folders = own.chain(self.further.iter().cloned()).filter_map(|folder| folder.canonicalize().ok());
        let all = folders.filter(|folder| folder.is_dir()).map(|folder| (folder, RecursiveMode::Recursive));
        for (folder, mode) in all.chain([(self.package.clone(), RecursiveMode::NonRecursive)]) {
            watcher.watch(&folder, mode).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(())
    }

    /// Notes what the compiler has read: the file beside the program that cargo writes for make.
    pub(crate) fn note_compiled(&mut self, program: &Path) {
        let Ok(rule) = fs::read_to_string(program.with_extension("d")) else { return };
        self.compiled = files_of(&rule);
    }

    /// A sentence if there are more files than are looked at.
    pub(crate) fn problem(&self) -> Option<String> {
        (self.known.len() >= MAX_FILES).then(|| {
            let folders = FOLDERS.join(", ");
            format!("{folders} have more than {MAX_FILES} files: changes of the others are not seen. Does a folder of uploads or pictures belong elsewhere?")
        })
    }

    /// What differs from the last look.
    pub(crate) fn look(&mut self) -> Changes {
        // If that fails now, the watches that there are go on.
        let _ = self.watch_all();
        let seen = self.seen();
        let mut changes = Changes::default();
        let paths: BTreeSet<_> = seen.keys().chain(self.known.keys()).collect();
        for path in paths {
            let (now, before) = (seen.get(path), self.known.get(path));
            if now.map(|seen| (seen.length, seen.content)) == before.map(|seen| (seen.length, seen.content)) {
                continue;
            }
            match self.kind(path) {
                Kind::Source => changes.sources.push(path.clone()),
                Kind::Page => changes.has_pages = true,
                Kind::Style => changes.has_styles = true,
            }
        }
        self.known = seen;
        changes
    }

    fn kind(&self, path: &Path) -> Kind {
        let below = |folder: &str| path.starts_with(self.package.join(folder));
        let is_read_by_program = (below("templates") || below("static")) && !self.compiled.contains(path);
        match path.extension() {
            Some(extension) if is_read_by_program && extension == "css" => Kind::Style,
            _ if is_read_by_program => Kind::Page,
            _ => Kind::Source,
        }
    }

    fn seen(&self) -> BTreeMap<PathBuf, Seen> {
        let mut found = BTreeMap::new();
        let is_of_root = |path: &Path| {
            path.extension().is_some_and(|extension| extension == "toml")
                || path.ends_with("Cargo.lock")
                || path.ends_with("build.rs")
        };
        for path in entries(&self.package) {
            if is_of_root(&path) && !is_passing(&path) {
                self.see(path, &mut found);
            }
        }
        let own = FOLDERS.iter().map(|folder| self.package.join(folder));
        let mut left: Vec<_> = own.chain(self.further.iter().cloned()).map(|path| (path, 0)).collect();
        while let Some((path, depth)) = left.pop() {
            // What a link leads to may lead back, so only the first one is followed.
            let metadata = if depth == 0 { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
            match metadata {
                Ok(metadata) if metadata.is_dir() && depth < MAX_DEPTH => {
                    left.extend(entries(&path).filter(|path| !is_passing(path)).map(|path| (path, depth + 1)));
                }
                Ok(_) if found.len() < MAX_FILES => self.see(path, &mut found),
                _ => {}
            }
        }
        found
    }

    /// A file that is there no more by now is none.
    fn see(&self, path: PathBuf, found: &mut BTreeMap<PathBuf, Seen>) {
        let Ok(metadata) = fs::metadata(&path) else { return };
        if !metadata.is_file() {
            return;
        }
        let (modified, length) = (metadata.modified().ok(), metadata.len());
        let known = self.known.get(&path).filter(|known| known.modified == modified && known.length == length);
        let content = match known {
            // Two saves may be closer together than the clock of the files can tell.
            Some(known) if modified.and_then(|time| time.elapsed().ok()) > Some(Duration::from_secs(2)) => {
                known.content
            }
            _ if length > MAX_COMPARED => hash(&modified),
            _ => match fs::read(&path) {
                Ok(content) => hash(&content),
                Err(_) => return,
            },
        };
        found.insert(path, Seen { modified, length, content });
    }
}

enum Kind {
    Source,
    Page,
    Style,
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Hidden files, and those that editors write beside the one that they save.
fn is_passing(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with(['.', '#'])
        || name.ends_with('~')
        || [".swp", ".swx", ".tmp", ".bak"].iter().any(|end| name.ends_with(end))
        || name == "4913"
}

/// The files behind the colon; `\ ` is a space in a name.
fn files_of(rule: &str) -> BTreeSet<PathBuf> {
    let Some((_, files)) = rule.lines().next().unwrap_or_default().split_once(": ") else { return BTreeSet::new() };
    let files = files.replace("\\ ", "\0");
    files.split(' ').filter(|file| !file.is_empty()).map(|file| file.replace('\0', " ").into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn package() -> (TempDir, Watch) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["src", "templates", "static", "target", "data"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("src/main.rs"), "fn main() {}").unwrap();
        let watch = Watch::new(folder.path().to_owned(), Vec::new());
        (folder, watch)
    }

    #[test]
    fn each_kind_of_file_is_known() {
        let (folder, mut watch) = package();
        let write = |name: &str| fs::write(folder.path().join(name), name).unwrap();
        for name in ["src/main.rs", "Cargo.toml", "site.toml", "build.rs", "Cargo.lock", "src/a/b.rs"] {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            write(name);
            assert_eq!(watch.look().sources, [folder.path().join(name)]);
        }
        write("templates/a.html");
        assert_eq!(watch.look(), Changes { has_pages: true, ..Changes::default() });
        write("static/site.css");
        assert_eq!(watch.look(), Changes { has_styles: true, ..Changes::default() });
        write("static/a.js");
        assert_eq!(watch.look(), Changes { has_pages: true, ..Changes::default() });
    }

    #[test]
    fn outputs_hidden_files_and_those_of_editors_do_not_count() {
        let (folder, mut watch) = package();
        for name in [
            "target/a.rs",
            "data/a.sqlite",
            "src/.main.rs.swp",
            "src/main.rs~",
            "src/#main.rs#",
            "src/4913",
            "README.md",
            ".env",
        ] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        assert_eq!(watch.look(), Changes::default());
    }

    #[test]
    fn a_save_without_a_change_does_not_count() {
        let (folder, mut watch) = package();
        fs::write(folder.path().join("src/main.rs"), "fn main() {}").unwrap();
        assert_eq!(watch.look(), Changes::default());
    }

    #[test]
    fn a_file_that_vanishes_counts_once() {
        let (folder, mut watch) = package();
        fs::remove_file(folder.path().join("src/main.rs")).unwrap();
        assert_eq!(watch.look().sources.len(), 1);
        fs::remove_dir_all(folder.path().join("src")).unwrap();
        assert_eq!(watch.look(), Changes::default());
    }

    #[test]
    fn a_template_that_was_compiled_in_is_a_source() {
        let (folder, mut watch) = package();
        let (template, rule) = (folder.path().join("templates/a b.html"), folder.path().join("target/site.d"));
        let shown = template.display().to_string().replace(' ', "\\ ");
        fs::write(&rule, format!("/target/site: /src/main.rs {shown}\n")).unwrap();
        watch.note_compiled(&folder.path().join("target/site"));
        fs::write(&template, "new").unwrap();
        assert_eq!(watch.look().sources, [template]);
    }

    #[test]
    fn a_watched_folder_may_be_a_link_and_links_in_it_lead_nowhere() {
        let (folder, mut watch) = package();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::remove_dir(folder.path().join("templates")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("templates")).unwrap();
        std::os::unix::fs::symlink(folder.path(), elsewhere.path().join("loop")).unwrap();
        let (send, events) = crossbeam_channel::unbounded();
        assert_eq!(watch.begin(false, &send), None);
        fs::write(elsewhere.path().join("a.html"), "<p>").unwrap();
        assert!(matches!(events.recv_timeout(Duration::from_secs(10)), Ok(Event::Touched)));
        assert_eq!(watch.look(), Changes { has_pages: true, ..Changes::default() });
    }

    #[test]
    fn a_folder_that_comes_later_is_watched() {
        let (folder, mut watch) = package();
        let (send, events) = crossbeam_channel::unbounded();
        assert_eq!(watch.begin(false, &send), None);
        fs::create_dir(folder.path().join("migrations")).unwrap();
        assert!(matches!(events.recv_timeout(Duration::from_secs(10)), Ok(Event::Touched)));
        watch.look();
        while events.try_recv().is_ok() {}
        fs::write(folder.path().join("migrations/1.sql"), "").unwrap();
        assert!(matches!(events.recv_timeout(Duration::from_secs(10)), Ok(Event::Touched)));
    }

    #[test]
    fn without_watches_a_clock_wakes_and_says_so() {
        let (_folder, mut watch) = package();
        let (send, events) = crossbeam_channel::unbounded();
        assert_eq!(watch.begin(true, &send).as_deref(), Some("--poll"));
        assert!(matches!(events.recv_timeout(Duration::from_secs(10)), Ok(Event::Touched)));
    }
}
