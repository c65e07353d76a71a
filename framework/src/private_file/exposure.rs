//! Which other users can change or read a file: decided by its owner, its mode and the way to it.
//!
//! This program's user and root are trusted. The way to a file is every folder from the root on, and every link that
//! leads to another folder. A folder that every user may write is not safe, unless it is sticky (such as `/tmp`) and
//! the next step belongs to a trusted user: then no other user may rename it.
//!
//! | who may | a store of sessions, tickets | passwords that are read | configuration, templates, error pages |
//! |---|---|---|---|
//! | every user may write the file, or change the way | refused | a warning | a warning |
//! | another user owns the file, or its group may write it | refused | a warning | nothing: that is how programs are deployed |
//! | another user owns a folder of the way, or its group may write it | a warning | nothing | nothing |
//!
//! The group of the same number as the user is taken for the user's own, as most systems make it. Only a store refuses
//! it, since it needs no group.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// A sentence that names the users who may use a file that should be private, and the remedy.
#[derive(Debug)]
pub(crate) struct Exposed(String);

impl std::fmt::Display for Exposed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses a file or folder that other users could change or replace, if it is there. A doubtful one is only a warning.
pub(crate) fn require_own(path: &Path) -> Result<(), Exposed> {
    let (doubtful, refused): (Vec<_>, Vec<_>) =
        findings(path).into_iter().partition(|found| found.who == Who::Neighbours);
    if let Some(Finding { text, .. }) = refused.into_iter().next() {
        return Err(Exposed(text));
    }
    doubtful.iter().for_each(|found| warn_once(&found.text));
    Ok(())
}

/// Warns if others may read a file of secrets that the framework has made, or could have made.
#[cfg(feature = "sqlite")]
pub(crate) fn warn_if_readable(path: &Path, what: &str) {
    let Ok(metadata) = path.metadata() else { return };
    let mode = metadata.mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        let (place, shell) = (path.display(), quoted(path));
        warn_once(&format!(
            "other users may read {what} in {place}: its mode is {mode:04o}; `chmod 600 {shell}` mends it"
        ));
    }
}

/// Warns if every user may change a file that the program trusts.
pub(crate) fn warn_of_changes(path: &Path, what: &str) {
    warn_of(path, what, &[Who::Everybody]);
}

/// Warns, in one sentence, if every user may change a folder that the program trusts, or some of the files below it.
#[cfg(feature = "templates")]
pub(crate) fn warn_of_changes_below<'n>(folder: &Path, names: impl Iterator<Item = &'n str>, what: &str) {
    warn_of_changes(folder, what);
    let is_open = |path: &PathBuf| path.metadata().is_ok_and(|metadata| metadata.mode() & 0o1002 == 0o002);
    let within = |name: &'n str| Path::new(name).ancestors().filter(|part| !part.as_os_str().is_empty());
    let paths: BTreeSet<PathBuf> = names.flat_map(within).map(|name| folder.join(name)).collect();
    let mut open = paths.iter().filter(|path| is_open(path));
    if let Some(first) = open.next() {
        let (place, shell, more) = (first.display(), quoted(folder), open.count());
        warn_once(&format!(
            "other users could change {what}: everybody may write {place}, and {more} more files and folders; `chmod -R go-w {shell}` mends it"
        ));
    }
}

/// Warns if other users may change a file of passwords, or every user may read it.
#[cfg(feature = "auth")]
pub(crate) fn warn_of_passwords(path: &Path) {
    const WHAT: &str = "passwords";
    warn_of(path, WHAT, &[Who::Everybody, Who::Owner, Who::Group]);
    warn_if_everybody_reads(path, WHAT);
}

/// Warns if every user may read a file of secrets.
pub(crate) fn warn_if_everybody_reads(path: &Path, what: &str) {
    let Ok(metadata) = path.metadata() else { return };
    let mode = metadata.mode() & 0o777;
    if metadata.is_file() && mode & 0o004 != 0 {
        let (place, shell) = (path.display(), quoted(path));
        warn_once(&format!(
            "every user may read {what} in {place}: its mode is {mode:04o}; `chmod o-r {shell}` mends it"
        ));
    }
}

fn warn_of(path: &Path, what: &str, whom: &[Who]) {
    for found in findings(path).iter().filter(|found| whom.contains(&found.who)) {
        warn_once(&format!("other users could change {what}: {}", found.text));
    }
}

/// Warns of a socket where any user could have put one: the program behind it gets everything that is sent.
#[cfg(any(feature = "redis", feature = "postgres"))]
pub(crate) fn warn_of_socket(path: &Path) {
    use std::os::unix::fs::FileTypeExt;
    let Ok(steps) = way(path) else { return };
    let is_strange = |end: &&Step| end.metadata.file_type().is_socket() && !is_trusted(end.metadata.uid());
    let is_open = |step: &Step| step.folder.as_ref().is_some_and(|folder| folder.mode() & 0o002 != 0);
    if steps.last().filter(is_strange).is_some() && steps.iter().any(is_open) {
        let place = path.display();
        warn_once(&format!(
            "any user could have put the socket {place} there, and would get all sessions: everybody may write in a folder on the way to it; let the \
             server listen in a folder of its own"
        ));
    }
}

/// Whether this is the program's user or root: files of other users are not trusted.
pub(super) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == own_number()
}

fn own_number() -> u32 {
    rustix::process::geteuid().as_raw()
}

struct Finding {
    text: String,
    who: Who,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Everybody,
    /// Of the file itself.
    Owner,
    Group,
    /// A group that is most likely the user's own.
    OwnGroup,
    /// The owner of a folder on the way, or its group.
    Neighbours,
}

/// The faults of a file and of the way to it. A missing file, or one that cannot be checked, has none: using it will
/// fail.
fn findings(path: &Path) -> Vec<Finding> {
    let Ok(steps) = way(path) else { return Vec::new() };
    let itself = steps.last().filter(|end| end.is_end).and_then(of_itself);
    itself.into_iter().chain(steps.iter().filter_map(|step| of_folder(step, path))).collect()
}

fn of_itself(step: &Step) -> Option<Finding> {
    let (uid, gid, mode) = (step.metadata.uid(), step.metadata.gid(), step.metadata.mode() & 0o7777);
    let (place, shell, own) = (step.path.display(), quoted(&step.path), own_number());
    if !step.metadata.is_dir() && !step.metadata.is_file() {
        return None;
    }
    let (who, text) = if !is_trusted(uid) {
        let text = format!(
            "{place} belongs to the user with the number {uid}, and this program runs as number {own}; run it as that user, or mend it with \
             `chown -R {own} {shell}`"
        );
        (Who::Owner, text)
    } else if mode & 0o002 != 0 {
        (Who::Everybody, format!("everybody may write {place}: its mode is {mode:04o}; `chmod go-w {shell}` mends it"))
    } else if mode & 0o020 != 0 {
        let who = if gid == own { Who::OwnGroup } else { Who::Group };
        let text = format!(
            "the group with the number {gid} may write {place}: its mode is {mode:04o}; `chmod g-w {shell}` mends it"
        );
        (who, text)
    } else {
        return None;
    };
    Some(Finding { text, who })
}

/// What the folder of a step lets other users do with it.
fn of_folder(step: &Step, path: &Path) -> Option<Finding> {
    let (folder, place) = (step.folder.as_ref()?, step.path.parent()?);
    let (uid, gid, mode) = (folder.uid(), folder.gid(), folder.mode() & 0o7777);
    let (place, shell) = (place.display(), quoted(place));
    let (who, text) = if !is_trusted(uid) {
        (Who::Neighbours, format!("{place} belongs to the user with the number {uid}"))
    } else if mode & 0o1000 != 0 && is_trusted(step.metadata.uid()) {
        return None;
    } else if mode & 0o002 != 0 {
        (Who::Everybody, format!("everybody may write {place}: its mode is {mode:04o}; `chmod o-w {shell}` mends it"))
    } else if mode & 0o020 != 0 && gid != own_number() {
        (Who::Neighbours, format!("the group with the number {gid} may write {place}: its mode is {mode:04o}"))
    } else {
        return None;
    };
    Some(Finding { text: format!("on the way to {}, where it could be exchanged, {text}", path.display()), who })
}

/// Something that decides where a path leads.
struct Step {
    path: PathBuf,
    metadata: Metadata,
    /// The one that it is in; none of the root.
    folder: Option<Metadata>,
    /// Whether nothing comes after it.
    is_end: bool,
}

/// The folders, links and at last the file that a path leads along, from the root on, as far as they are there.
fn way(path: &Path) -> io::Result<Vec<Step>> {
    /// As the kernel: more links than this lead in a circle.
    const MAX_LINKS: usize = 40;
    let names = |path: &Path| path.components().rev().map(|part| part.as_os_str().to_owned()).collect::<Vec<_>>();
    let mut left = names(&std::path::absolute(path)?);
    let (mut here, mut steps, mut links) = (PathBuf::new(), Vec::new(), 0);
    while let Some(name) = left.pop() {
        match Path::new(&name).components().next() {
            Some(Component::RootDir) => here = PathBuf::from("/"),
            Some(Component::Normal(name)) => here.push(name),
            Some(Component::ParentDir) => {
                here.pop();
                continue;
            }
            _ => continue,
        }
        let metadata = match here.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            metadata => metadata?,
        };
        let folder = here.parent().map(Path::symlink_metadata).transpose()?;
        let is_link = metadata.is_symlink();
        steps.push(Step { path: here.clone(), metadata, folder, is_end: !is_link && left.is_empty() });
        if is_link {
            links += 1;
            if links > MAX_LINKS {
                return Err(rustix::io::Errno::LOOP.into());
            }
            left.extend(names(&here.read_link()?));
            here.pop();
        }
    }
    Ok(steps)
}

/// Each sentence once in the life of the program: several sections share a file, and a file is opened more than once.
fn warn_once(text: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().insert(text.to_owned()) {
        crate::line::record!(Warn, target: "kirsch::files", "{text}");
    }
}

/// The path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+@%:,=".contains(letter);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
