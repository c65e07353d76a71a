//! Sessions in a folder: the rules of every store, and the special ones of this store.

use kirsch::sessions::{Commit, Data, FileStore, Moment, SessionId, SharedLock, Store, Terms};
use kirsch::testing::session_store;
use kirsch::{App, Sessions, Tree};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn terms() -> Terms {
    Terms { now: Moment::now(), lifetime: Duration::from_secs(60), cookie_sent: true, fence: None, unlock: false }
}

fn data() -> Data {
    let mut data = Data::new();
    data.insert("number", 1.into());
    data
}

fn opened(folder: &Path) -> FileStore {
    let store = FileStore::new(folder);
    store.probe().expect("a folder that can be written");
    store
}

fn place_of(folder: &Path, id: &SessionId) -> PathBuf {
    let name = id.storage_key();
    folder.join(&name[..2]).join(&name[2..4]).join(&name[4..])
}

fn count_files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| if entry.path().is_dir() { count_files(&entry.path()) } else { 1 }).sum()
}

#[test]
fn a_folder_conforms() {
    let room = tempfile::tempdir().expect("room");
    session_store::check(|| opened(&room.path().join(SessionId::random().to_string())));
}

#[test]
fn a_folder_is_shared() {
    let room = tempfile::tempdir().expect("room");
    session_store::check_shared(|| opened(room.path()));
}

#[test]
fn several_processes_share_a_folder() {
    let room = tempfile::tempdir().expect("room");
    let place = room.path().display().to_string();
    session_store::processes("several_processes_share_a_folder", &place, |place| opened(Path::new(place)));
}

#[test]
fn a_spoiled_record_blocks_no_other() {
    let room = tempfile::tempdir().expect("room");
    let spoil = |_: &FileStore, id: &SessionId| fs::write(place_of(room.path(), id), "spoiled").expect("a record");
    session_store::check_spoiled(|| opened(room.path()), spoil);
}

#[test]
fn without_its_folder_a_store_says_so_and_comes_back_by_itself() {
    let room = tempfile::tempdir().expect("room");
    let (here, away) = (room.path().join("here"), room.path().join("away"));
    let stop = || fs::rename(&here, &away).expect("moved");
    session_store::check_dead_engine(|| opened(&here), stop, || fs::rename(&away, &here).expect("moved back"));
}

#[test]
fn many_sessions_have_one_lock_file_and_small_folders() {
    let room = tempfile::tempdir().expect("room");
    let store = opened(room.path());
    for _ in 0..2000 {
        let id = SessionId::random();
        let fence = store
            .shared_lock()
            .expect("shared")
            .try_lock(&id, Duration::ZERO)
            .wait()
            .expect("a lock")
            .expect("free")
            .fence;
        let terms = Terms { fence: Some(fence), unlock: true, ..terms() };
        assert!(matches!(store.commit(&id, None, &data(), &terms).wait(), Ok(Commit::Committed(_))));
    }
    assert_eq!(count_files(room.path()), 2001, "each record, and one file of locks");
    assert!(fs::read_dir(room.path()).expect("a folder").count() <= 257);
}

#[test]
fn a_held_session_blocks_no_other() {
    let room = tempfile::tempdir().expect("room");
    let (one, other) = (opened(room.path()), opened(room.path()));
    let (one, other) = (one.shared_lock().expect("shared"), other.shared_lock().expect("shared"));
    let try_lock = |lock: &dyn SharedLock, id: &SessionId| lock.try_lock(id, Duration::ZERO).wait().expect("a lock");
    let held = SessionId::random();
    assert!(try_lock(one, &held).is_some() && try_lock(other, &held).is_none());
    assert!((0..1000).all(|_| try_lock(other, &SessionId::random()).is_some()));
}

#[test]
fn records_are_for_their_user_alone() {
    let room = tempfile::tempdir().expect("room");
    let (folder, id) = (room.path().join("sessions"), SessionId::random());
    let _ = opened(&folder).commit(&id, None, &data(), &terms()).wait().expect("kept");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let record = place_of(&folder, &id);
    assert_eq!((mode(&folder), mode(&record), mode(&folder.join("locks"))), (0o700, 0o600, 0o600));
    assert!(!record.display().to_string().contains(&id.reveal()));
}

#[test]
fn a_folder_that_cannot_be_used_stops_the_start() {
    let room = tempfile::tempdir().expect("room");
    let file = room.path().join("file");
    fs::write(&file, "").expect("a file");
    let app = App::new(Tree::new()).tool("/", Sessions::file(file.join("below")));
    let problem = app.build().expect_err("no folder can be there").to_string();
    assert!(
        problem.contains("cannot make the folder for the sessions") && problem.contains("name another folder"),
        "{problem}"
    );
}

#[test]
fn half_written_records_of_a_killed_program_go_at_a_sweep() {
    let room = tempfile::tempdir().expect("room");
    let (store, id) = (opened(room.path()), SessionId::random());
    let _ = store.commit(&id, None, &data(), &terms()).wait().expect("kept");
    let left = place_of(room.path(), &id).with_file_name(".tmp-0123");
    fs::write(&left, "half").expect("written");
    assert_eq!(store.sweep(Moment::now()).expect("swept"), 0);
    assert!(left.exists(), "somebody may be writing it");
    let later = Moment::now().later(Duration::from_secs(2 * 3600));
    assert_eq!((store.sweep(later).expect("swept"), left.exists()), (1, false));
}

#[test]
fn readers_never_see_a_half_written_record() {
    let room = tempfile::tempdir().expect("room");
    let (store, id) = (opened(room.path()), SessionId::random());
    let mut large = data();
    large.insert("text", "x".repeat(100_000).into());
    let Ok(Commit::Committed(first)) = store.commit(&id, None, &large, &terms()).wait() else { panic!("kept") };
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            (0..300).fold(first, |version, _| match store.commit(&id, Some(version), &large, &terms()).wait() {
                Ok(Commit::Committed(version)) => version,
                other => panic!("{other:?}"),
            })
        });
        let reader = FileStore::new(room.path());
        while !writing.is_finished() {
            assert!(reader.load(&id, Moment::now()).wait().expect("read").is_some_and(|record| record.data == large));
        }
        assert_eq!(reader.quarantined(), 0);
    });
}
