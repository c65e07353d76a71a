//! Another user of the machine can do nothing with the files of a program.
//!
//! Some of these tests act as another user, `nobody`, and only root can do that; without it they say so and are left
//! out.

use kirsch::sessions::{Commit, Data, FileStore, Moment, SessionId, SqliteStore, Store, Terms};
use kirsch::{App, Sessions, Tree};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const NOBODY: u32 = 65534;

fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("{test} is left out: only root can act as another user");
    }
    is_root
}

/// The output of a script as another user, without its errors.
fn as_nobody(script: &str, place: &Path) -> String {
    let mut shell = Command::new("/bin/sh");
    let output = shell.args(["-c", script]).arg(place).current_dir("/").uid(NOBODY).gid(NOBODY).output();
    String::from_utf8_lossy(&output.expect("a shell").stdout).into_owned()
}

/// A folder that others may look into, and may write if the test asks for it, such as `/tmp`.
fn room(mode: u32) -> tempfile::TempDir {
    let room = tempfile::tempdir().expect("room");
    set(room.path(), mode);
    room
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

fn terms() -> Terms {
    Terms { now: Moment::now(), lifetime: Duration::from_secs(60), cookie_sent: true, fence: None, unlock: false }
}

fn data() -> Data {
    let mut data = Data::new();
    data.insert("name", "the secret of anna".into());
    data
}

fn kept(store: &dyn Store) -> SessionId {
    store.probe().expect("a place for sessions");
    let id = SessionId::random();
    assert!(matches!(store.commit(&id, None, &data(), &terms()).wait(), Ok(Commit::Committed(_))));
    id
}

fn place_of(folder: &Path, id: &SessionId) -> PathBuf {
    let name = id.storage_key();
    folder.join(&name[..2]).join(&name[2..4]).join(&name[4..])
}

/// Runs `test` once more, in a process without a umask, which neighbours in this one would have too. `true` in that
/// process.
fn without_umask(test: &str) -> bool {
    const MARK: &str = "WITHOUT_UMASK";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("the test knows its own program");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"umask 0; exec "$0" --exact "$1""#]).arg(program).arg(test).env(MARK, "");
    let output = shell.output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

fn problem(sessions: Sessions) -> Option<String> {
    App::new(Tree::new()).tool("/", sessions).build().err().map(|problem| problem.to_string())
}

#[test]
fn no_other_user_can_read_or_write_the_files_of_stores() {
    if !without_umask("no_other_user_can_read_or_write_the_files_of_stores") {
        return;
    }
    let room = room(0o755);
    let stores: [Box<dyn Store>; 2] = [
        Box::new(FileStore::new(room.path().join("folder"))),
        Box::new(SqliteStore::new(room.path().join("sessions.sqlite"))),
    ];
    for store in &stores {
        kept(&**store);
    }
    for name in [
        "folder",
        "folder/locks",
        "sessions.sqlite",
        "sessions.sqlite-wal",
        "sessions.sqlite-shm",
        "sessions.sqlite-locks",
    ] {
        let mode = fs::metadata(room.path().join(name)).expect("there").mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{name} has the mode {mode:o}");
    }
    if is_root("reading as another user") {
        let found = as_nobody(r#"find "$0" -mindepth 1 \( -type f -readable -o -writable \); cat "$0"/*"#, room.path());
        assert_eq!(found, "");
    }
}

#[test]
fn an_unprepared_place_stops_the_start() {
    if !is_root("preparing as another user") {
        return;
    }
    let room = room(0o1777);
    as_nobody(r#"umask 0; mkdir "$0/folder"; : > "$0/db"; : > "$0/new-wal"; ln -s "$0/mine" "$0/link""#, room.path());
    fs::create_dir(room.path().join("mine")).expect("room");
    let at = |name: &str| room.path().join(name);
    for (sessions, sentence) in [
        (Sessions::file(at("folder")), "belongs to the user with the number 65534"),
        (Sessions::file(at("folder/below")), "could be exchanged"),
        (Sessions::file(at("link")), "could be exchanged"),
        (Sessions::sqlite(at("db")), "belongs to the user with the number 65534"),
        (Sessions::sqlite(at("new")), "new-wal belongs to the user with the number 65534"),
        (Sessions::sqlite(at("folder/db")), "could be exchanged"),
    ] {
        let problem = problem(sessions).expect(sentence);
        assert!(problem.contains(sentence) && problem.contains("could"), "{problem}");
    }
}

#[test]
fn a_place_that_others_may_write_stops_the_start() {
    let (room, open) = (room(0o755), room(0o777));
    let at = |name: &str| room.path().join(name);
    for (name, mode) in [("all", 0o777), ("sticky", 0o1777), ("group", 0o770)] {
        fs::create_dir(at(name)).expect("room");
        fs::write(at(&format!("{name}.db")), "").expect("room");
        set(&at(name), mode);
        set(&at(&format!("{name}.db")), mode & 0o666);
        for sessions in [Sessions::file(at(name)), Sessions::sqlite(at(&format!("{name}.db")))] {
            let problem = problem(sessions).expect(name);
            assert!(problem.contains("could read or forge sessions") && problem.contains("`chmod g"), "{problem}");
        }
    }
    for sessions in [Sessions::file(open.path().join("folder")), Sessions::sqlite(open.path().join("db"))] {
        assert!(problem(sessions).is_some_and(|problem| problem.contains("where it could be exchanged")));
    }
}

#[test]
fn a_folder_within_that_others_may_write_stops_the_start() {
    let room = room(0o755);
    let leaf = room.path().join("ab/cd");
    fs::create_dir_all(&leaf).expect("room");
    for folder in [&leaf, leaf.parent().expect("a folder")] {
        set(folder, 0o777);
        let problem = problem(Sessions::file(room.path())).expect("it could be written");
        assert!(
            problem.contains("could forge sessions") && problem.contains(&folder.display().to_string()),
            "{problem}"
        );
        set(folder, 0o700);
    }
    assert_eq!(problem(Sessions::file(room.path())), None);
}

#[test]
fn a_record_that_this_user_has_not_written_is_no_session() {
    let room = room(0o755);
    let store = FileStore::new(room.path());
    let there = place_of(room.path(), &kept(&store));
    let copy = |place: &Path| assert!(fs::copy(&there, place).is_ok());
    let put = |what: &str, place: &Path| match what {
        "a FIFO" => {
            rustix::fs::mknodat(rustix::fs::CWD, place, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("room");
        }
        "a link" => symlink(&there, place).expect("room"),
        "a folder" => fs::create_dir(place).expect("room"),
        "what all may write" => {
            copy(place);
            set(place, 0o666);
        }
        _ => {
            copy(place);
            chown(place, Some(NOBODY), None).expect("root may");
        }
    };
    let all = ["a FIFO", "a link", "a folder", "what all may write", "of another user"];
    let those = if is_root("giving a file away") { &all[..] } else { &all[..4] };
    for (number, what) in (1..).zip(those) {
        let id = kept(&store);
        let place = place_of(room.path(), &id);
        fs::remove_file(&place).expect("it was kept");
        put(what, &place);
        let later = Moment::now().later(Duration::from_secs(1));
        assert_eq!(store.sweep(later).expect("nothing is in a sweep's way"), 0, "{what}");
        assert!(store.load(&id, Moment::now()).wait().expect("answered").is_none(), "{what}");
        assert_eq!(store.quarantined(), number, "{what}");
        assert!(matches!(store.commit(&id, None, &data(), &terms()).wait(), Ok(Commit::Committed(_))), "{what}");
    }
}
