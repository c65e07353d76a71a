//! Sessions in SQLite: the rules of every store, and the special ones of this store.

use kirsch::sessions::{Commit, Data, Moment, SessionId, SqliteStore, Store, Terms};
use kirsch::testing::session_store;
use kirsch::{App, Sessions, Tree};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn terms() -> Terms {
    Terms { now: Moment::now(), lifetime: Duration::from_secs(60), cookie_sent: true, fence: None, unlock: false }
}

fn data(number: u64) -> Data {
    let mut data = Data::new();
    data.insert("number", number.into());
    data
}

fn opened(path: &Path) -> SqliteStore {
    let store = SqliteStore::new(path);
    store.probe().expect("a database that can be written");
    store
}

fn file_in(room: &tempfile::TempDir) -> PathBuf {
    room.path().join("sessions.sqlite")
}

#[test]
fn sqlite_conforms() {
    let room = tempfile::tempdir().expect("room");
    session_store::check(|| opened(&room.path().join(SessionId::random().to_string())));
}

#[test]
fn sqlite_is_shared() {
    let room = tempfile::tempdir().expect("room");
    session_store::check_shared(|| opened(&file_in(&room)));
}

#[test]
fn several_processes_share_sqlite() {
    let room = tempfile::tempdir().expect("room");
    let place = file_in(&room).display().to_string();
    session_store::processes("several_processes_share_sqlite", &place, |place| opened(Path::new(place)));
}

#[test]
fn a_spoiled_record_blocks_no_other() {
    let room = tempfile::tempdir().expect("room");
    let spoil = |_: &SqliteStore, id: &SessionId| {
        let database = rusqlite::Connection::open(file_in(&room)).expect("the database");
        let update = "UPDATE kirsch_session SET content = 'spoiled' WHERE key = ?1";
        assert_eq!(database.execute(update, [id.storage_key()]).expect("written"), 1);
    };
    session_store::check_spoiled(|| opened(&file_in(&room)), spoil);
}

#[test]
fn without_its_database_a_store_says_so_and_comes_back_by_itself() {
    let room = tempfile::tempdir().expect("room");
    let (here, away) = (room.path().join("here"), room.path().join("away"));
    fs::create_dir(&here).expect("a folder");
    let stop = || fs::rename(&here, &away).expect("moved");
    session_store::check_dead_engine(
        || opened(&here.join("s")),
        stop,
        || fs::rename(&away, &here).expect("moved back"),
    );
}

#[test]
fn sessions_survive_a_restart() {
    let room = tempfile::tempdir().expect("room");
    let id = SessionId::random();
    let _ = opened(&file_in(&room)).commit(&id, None, &data(7), &terms()).wait().expect("kept");
    assert!(
        opened(&file_in(&room))
            .load(&id, Moment::now())
            .wait()
            .expect("read")
            .is_some_and(|record| record.data == data(7))
    );
    let content = fs::read(file_in(&room)).expect("a file");
    assert!(!content.windows(40).any(|part| part == id.reveal().as_bytes()), "no id is in the file");
}

#[test]
fn writers_beside_each_other_are_patient_and_lose_nothing() {
    let room = tempfile::tempdir().expect("room");
    let stores = [opened(&file_in(&room)), opened(&file_in(&room))];
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(|| {
                for number in 0..100 {
                    let kept = store.commit(&SessionId::random(), None, &data(number), &terms());
                    assert!(matches!(kept.wait(), Ok(Commit::Committed(_))), "a commit");
                }
            });
        }
    });
    assert_eq!(stores[0].count().expect("counted"), Some(200));
}

#[test]
fn another_programs_database_stops_the_start_and_stays_as_it_is() {
    let room = tempfile::tempdir().expect("room");
    let database = rusqlite::Connection::open(file_in(&room)).expect("a database");
    database.execute_batch("CREATE TABLE song (name TEXT); PRAGMA user_version = 42;").expect("made");
    let problem = |path: &Path| {
        let app = App::new(Tree::new()).tool("/", Sessions::sqlite(path));
        app.build().expect_err("it cannot be used").to_string()
    };
    assert!(problem(&file_in(&room)).contains("user_version is 42"), "{}", problem(&file_in(&room)));
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).expect("counted");
    assert_eq!(tables, 1);
    let nowhere = problem(Path::new("/nowhere/at/all.sqlite"));
    assert!(nowhere.contains("does its folder exist"), "{nowhere}");
    let none = room.path().join("text");
    fs::write(&none, "this is no database, but it is long enough to be taken for one ".repeat(10)).expect("written");
    assert!(problem(&none).contains("not a database"), "{}", problem(&none));
}
