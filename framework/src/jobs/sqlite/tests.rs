use super::*;
use crate::Result;
use crate::exchange::{Error, ErrorKind};
use crate::jobs::{Job, Work};
use crate::publish::PageCall;
use crate::testing::{Client, job_queue};
use crate::{App, Tree};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[test]
fn the_queue_in_sqlite_keeps_the_rules() {
    let folders = Mutex::new(Vec::new());
    job_queue::check(|| {
        let folder = TempDir::new().unwrap();
        let queue = SqliteQueue::new(folder.path().join("jobs.sqlite"));
        folders.lock().push(folder);
        queue
    });
}

#[test]
fn several_handles_of_a_database_are_one_queue() {
    let folder = TempDir::new().unwrap();
    job_queue::check_shared(|| SqliteQueue::new(folder.path().join("jobs.sqlite")));
}

#[derive(Serialize, Deserialize)]
struct Note;

impl Job for Note {
    const NAME: &'static str = "note";
    type State = ();
    fn run(&self, (): &(), _: &Work) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_transaction_that_is_rolled_back_leaves_no_job() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("own.sqlite");
    let jobs = Jobs::sqlite(&path).register::<Note>(());
    let mut connection = Connection::open(&path).unwrap();
    connection.execute("CREATE TABLE own (number INTEGER)", []).unwrap();
    let write = |connection: &mut Connection, fails: bool| {
        jobs.transaction(connection, |change| {
            change.execute("INSERT INTO own VALUES (1)", [])?;
            let id = change.enqueue(&Note)?;
            if fails { Err(Error::unexpected("no")) } else { Ok(id) }
        })
    };
    assert_eq!(write(&mut connection, true).unwrap_err().to_string(), "no");
    assert_eq!(jobs.counts().unwrap(), [0; 5]);
    write(&mut connection, false).unwrap();
    assert_eq!((jobs.run_due().unwrap(), jobs.counts().unwrap()), (1, [0, 0, 1, 0, 0]));
    let rows: i64 = connection.query_row("SELECT count(*) FROM own", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn a_lease_from_before_the_clock_was_set_back_ends_with_the_next_sweep() {
    let folder = TempDir::new().unwrap();
    let queue = SqliteQueue::new(folder.path().join("jobs.sqlite"));
    queue.enqueue(&NewJob::new(JobId::of_number(1), "note", "null")).unwrap();
    queue.claim(&["note"], Duration::from_secs(3600)).unwrap().unwrap();
    assert_eq!(queue.claim(&["note"], Duration::from_secs(60)).unwrap(), None);
    queue.sweep(&Keep::default()).unwrap();
    let again = queue.claim(&["note"], Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(again.attempt, 2);
}

#[test]
fn a_job_from_before_the_clock_was_set_back_keeps_its_delay_from_then_on() {
    const HOUR: Duration = Duration::from_secs(3600);
    let folder = TempDir::new().unwrap();
    let queue = SqliteQueue::new(folder.path().join("jobs.sqlite"));
    for (number, after) in [(1, Duration::ZERO), (2, HOUR)] {
        queue.enqueue(&NewJob { after, ..NewJob::new(JobId::of_number(number), "note", "null") }).unwrap();
    }
    queue
        .links
        .write("test", |w| w.execute("UPDATE kirsch_job SET due = due + 9e6, enqueued = enqueued + 9e6", []))
        .unwrap();
    assert_eq!(queue.claim(&["note"], HOUR).unwrap(), None);
    queue.sweep(&Keep::default()).unwrap();
    assert_eq!(queue.claim(&["note"], HOUR).unwrap().map(|job| job.id), Some(JobId::of_number(1)));
    let due = queue.next_due().unwrap().unwrap();
    assert!(due <= HOUR && !due.is_zero(), "{due:?}");
}

#[test]
fn the_file_is_this_users_own_and_does_not_grow_for_ever() {
    use std::os::unix::fs::MetadataExt;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    let queue = SqliteQueue::new(&path);
    let (keep, payload) = (Keep { done: Duration::ZERO, ..Keep::default() }, "x".repeat(1000));
    let mut sizes = Vec::new();
    for round in 0..6 {
        // A thousand jobs that are done, in one transaction: the disk is not what is tested.
        queue
            .links
            .write("test", |writer| {
                let insert = "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + 999) \
                          INSERT INTO kirsch_job (id, kind, payload, stage, due, enqueued, attempts) \
                          SELECT i, 'note', ?2, 2, 0, 0, 5 FROM n";
                writer.execute(insert, params![round * 1000, payload])
            })
            .unwrap();
        assert_eq!(queue.sweep(&keep).unwrap(), 1000);
        sizes.push(path.metadata().unwrap().len());
    }
    assert!(sizes[5] <= sizes[2] + sizes[2] / 4, "it grows: {sizes:?}");
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_database_that_was_removed_is_an_error_and_not_an_empty_queue() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    let jobs = Jobs::sqlite(&path).register::<Note>(());
    jobs.enqueue(&Note).unwrap();
    assert_eq!(jobs.counts().unwrap()[0], 1);
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&path, &elsewhere).unwrap();
    for _ in 0..3 {
        assert!(told(jobs.enqueue(&Note)).contains("it was moved or removed"), "it stays so");
        assert!(told(jobs.counts()).contains("it was moved or removed"));
    }
    std::fs::rename(&elsewhere, &path).unwrap();
    jobs.enqueue(&Note).unwrap();
    assert_eq!(jobs.run_due().unwrap(), 2);
}

/// What the operator reads about a failure.
fn told<T>(result: Result<T>) -> String {
    match result.err().map(Error::into_kind) {
        Some(ErrorKind::Http(error)) if error.status == 503 => error.remedy.unwrap_or_default().into_owned(),
        _ => String::new(),
    }
}

#[test]
fn a_file_in_place_of_the_database_is_the_queue_from_then_on() {
    let folder = TempDir::new().unwrap();
    let (path, backup) = (folder.path().join("jobs.sqlite"), folder.path().join("backup.sqlite"));
    let jobs = Jobs::sqlite(&path).register::<Note>(());
    let first = jobs.enqueue(&Note).unwrap();
    let in_backup = Jobs::sqlite(&backup).register::<Note>(()).enqueue(&Note).unwrap();
    assert!(jobs.status(first).unwrap().is_some());
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.path().join(format!("jobs.sqlite{ending}")));
    }
    std::fs::rename(&backup, &path).unwrap();
    assert_eq!((jobs.status(first).unwrap(), jobs.run_due().unwrap()), (None, 1));
    assert_eq!(jobs.status(in_backup).unwrap().map(|job| job.stage), Some(Stage::Done));
}

#[test]
fn without_room_on_the_disk_a_job_is_refused_with_503_and_other_pages_are_as_ever() {
    let folder = TempDir::new().unwrap();
    let jobs = Jobs::sqlite(folder.path().join("jobs.sqlite")).register::<Note>(());
    let first = jobs.enqueue(&Note).unwrap();
    let queue = jobs.core.queue_of::<SqliteQueue>().unwrap();
    queue.links.write("test", |writer| writer.pragma_update(None, "max_page_count", 1)).unwrap();
    let to_enqueue = jobs.clone();
    // Large ones, so that the pages that are there are soon full.
    let order = move |_: &mut PageCall<'_>| {
        let many = (0..5000).try_for_each(|number| {
            to_enqueue.prepare(&Note).unique("x".repeat(400) + &number.to_string()).enqueue().map(drop)
        });
        many.map(|()| "all of them")
    };
    let client = Client::in_process(App::new(Tree::new().index(|_| "here").page("order", order)));
    client.post("/order").send().assert_status(503).assert_header("retry-after", "60").assert_contains("try again");
    client.get("/").send().assert_status(200).assert_text("here");
    assert!(jobs.status(first).unwrap().is_some(), "what is there can be read");
    let full = told(jobs.prepare(&Note).unique("x".repeat(400)).enqueue());
    assert!(full.contains("jobs.sqlite: cannot enqueue a job: database or disk is full"), "{full}");
}

#[test]
fn a_queue_is_read_while_another_process_writes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    SqliteQueue::new(&path).enqueue(&NewJob::new(JobId::of_number(1), "note", "null")).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE kirsch_job SET kind = 'other'").unwrap();
    let queue = SqliteQueue::new(&path);
    // Opened here for the first time: without waiting for the writer, which would fail after two seconds.
    assert_eq!(queue.status(JobId::of_number(1)).unwrap().map(|job| job.kind).as_deref(), Some("note"));
}

#[test]
fn a_job_waits_for_other_writers_no_longer_than_the_patience_and_is_503_then() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    let jobs = Jobs::with(SqliteQueue::new(&path).patience(Duration::from_millis(20))).register::<Note>(());
    jobs.enqueue(&Note).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let problem = told(jobs.enqueue(&Note));
    assert!(problem.contains("others were writing to it for longer than 20ms"), "{problem}");
    assert_eq!(jobs.counts().unwrap()[0], 1, "a look waits for nobody");
    other.execute_batch("COMMIT").unwrap();
    jobs.enqueue(&Note).unwrap();
}
