//! Sessions and jobs in PostgreSQL: the rules of every store and queue, and the special ones of these. Each test starts
//! the server that it needs.

use integration_tests::engines::{Engine, Wire};
use integration_tests::networked::{check_silent_engine, data, terms};
use integration_tests::queues::{self, Told, told};
use integration_tests::wait_until;
use kirsch::jobs::{JobId, Jobs, NewJob, PostgresQueue, Queue};
use kirsch::sessions::{Commit, PostgresStore, SessionId, Store, Terms};
use kirsch::testing::{job_queue, session_store};
use std::cell::RefCell;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

fn url(engine: &Engine) -> String {
    format!("postgres://kirsch@{}/postgres", engine.address())
}

fn opened(url: &str) -> PostgresStore {
    let store = PostgresStore::new(url);
    store.probe().expect("a database that can be written");
    store
}

/// The output of PostgreSQL's own client.
fn psql(engine: &Engine, statement: &str) -> String {
    let output =
        Command::new("psql").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, &url(engine)]).output();
    let output = output.expect("psql");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn postgres_conforms() {
    let engine = Engine::postgres();
    let number = RefCell::new(0);
    session_store::check(|| {
        *number.borrow_mut() += 1;
        let store = PostgresStore::new(url(&engine)).table(format!("session_{}", number.borrow()));
        store.probe().expect("a database that can be written");
        store
    });
}

#[test]
fn postgres_is_shared() {
    let engine = Engine::postgres();
    session_store::check_shared(|| opened(&url(&engine)));
}

#[test]
fn several_processes_share_postgres() {
    // Those that the test starts are told where it is.
    let engine = std::env::var_os("KIRSCH_CONFORMANCE_ROLE").is_none().then(Engine::postgres);
    let url = engine.as_ref().map_or_else(String::new, url);
    session_store::processes("several_processes_share_postgres", &url, opened);
}

#[test]
fn a_spoiled_record_blocks_no_other() {
    let engine = Engine::postgres();
    let spoil = |_: &PostgresStore, id: &SessionId| {
        let key = id.storage_key();
        let update = format!("UPDATE kirsch_session SET content = 'spoiled' WHERE key = '{key}'");
        assert_eq!(psql(&engine, &update), "UPDATE 1");
    };
    session_store::check_spoiled(|| opened(&url(&engine)), spoil);
}

#[test]
fn without_postgres_requests_end_in_time_and_come_back_by_themselves() {
    let engine = RefCell::new(Engine::postgres());
    let open = || opened(&url(&engine.borrow()));
    session_store::check_dead_engine(open, || engine.borrow_mut().stop(), || engine.borrow_mut().resume());
}

#[test]
fn after_a_crash_of_the_server_no_lock_is_left() {
    let mut engine = Engine::postgres();
    let (store, id) = (opened(&url(&engine)), SessionId::random());
    let Ok(Commit::Committed(version)) = store.commit(&id, None, &data(1), &terms()).wait() else { panic!("kept") };
    let lock = || store.shared_lock().expect("shared").try_lock(&id, Duration::from_secs(60)).wait().expect("a lock");
    let fence = lock().expect("free").fence;
    engine.stop();
    engine.resume();
    let late = store.commit(&id, Some(version), &data(2), &Terms { fence: Some(fence), unlock: true, ..terms() });
    let late = late.wait();
    assert!(matches!(late, Ok(Commit::LockLost)), "{late:?}");
    assert!(lock().is_some(), "the lock is free again");
}

#[test]
fn a_program_that_may_not_make_tables_says_how_they_are_made() {
    let engine = Engine::postgres();
    psql(&engine, "CREATE ROLE guest LOGIN");
    psql(&engine, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let guest = || PostgresStore::new(format!("postgres://guest@{}/postgres", engine.address()));
    let problem = guest().probe().expect_err("not allowed").to_string();
    assert!(problem.contains("PostgresStore::ddl") && problem.contains("permission denied"), "{problem}");
    psql(&engine, &guest().ddl());
    psql(&engine, "GRANT ALL ON ALL TABLES IN SCHEMA public TO guest");
    guest().create_table(false).probe().expect("the tables are there");
}

#[test]
fn a_server_that_is_not_there_is_named_without_the_password() {
    let problem = PostgresStore::new("postgres://ann:secret@127.0.0.1:1/x").probe().expect_err("nobody").to_string();
    assert!(problem.contains("PostgreSQL at 127.0.0.1:1") && problem.contains("refused"), "{problem}");
    assert!(!problem.contains("secret"), "{problem}");
}

#[test]
fn names_are_hashes_and_only_waiters_listen() {
    let engine = Engine::postgres();
    let (store, id) = (opened(&url(&engine)), SessionId::random());
    let _ = store.commit(&id, None, &data(1), &terms()).wait().expect("kept");
    assert_eq!(psql(&engine, "SELECT key FROM kirsch_session"), id.storage_key());
    assert_eq!(psql(&engine, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"), "0");
}

#[test]
fn visitors_of_a_slow_postgres_hold_no_worker() {
    let engine = Engine::postgres();
    let wire = Wire::slow_to(&engine, Duration::from_millis(50));
    let minute = Duration::from_secs(60);
    let open = || {
        PostgresStore::new(format!("postgres://kirsch@{}/postgres", wire.address()))
            .connect_timeout(minute)
            .operation_timeout(minute)
    };
    session_store::check_slow_engine(open, || wire.hold(), || wire.release());
}

#[test]
fn a_silent_server_holds_one_request_at_a_time() {
    let engine = Engine::postgres();
    let wire = Wire::to(&engine);
    let store = PostgresStore::new(format!("postgres://kirsch@{}/postgres", wire.address()));
    let store = store.operation_timeout(Duration::from_millis(500)).connect_timeout(Duration::from_millis(500));
    store.probe().expect("a database that can be written");
    check_silent_engine(&store, || wire.hold(), || wire.release());
}

#[test]
fn jobs_in_postgres_keep_the_rules_of_queues() {
    let engine = Engine::postgres();
    let number = RefCell::new(0);
    job_queue::check(|| {
        *number.borrow_mut() += 1;
        PostgresQueue::new(url(&engine)).table(format!("job_{}", number.borrow()))
    });
    psql(&engine, "CREATE SCHEMA shop");
    job_queue::check_shared(|| PostgresQueue::new(url(&engine)).table("shop.job"));
}

#[test]
fn a_restart_of_postgres_costs_no_job() {
    let engine = RefCell::new(Engine::postgres());
    let address = url(&engine.borrow());
    queues::check_restart(|| Jobs::postgres(&*address), || engine.borrow_mut().stop(), || engine.borrow_mut().resume());
}

#[test]
fn a_lost_answer_of_postgres_costs_no_job_and_no_attempt() {
    let engine = Engine::postgres();
    let wire = Wire::to(&engine);
    let open = |table: &str| PostgresQueue::new(format!("postgres://kirsch@{}/postgres", wire.address())).table(table);
    queues::check_lost_answers(&open("job").pool(1), &wire);
    queues::check_lost_end(&Jobs::with(open("other")), &wire);
}

#[test]
fn a_silent_postgres_holds_one_caller_at_a_time() {
    let engine = Engine::postgres();
    let wire = Wire::to(&engine);
    let half = Duration::from_millis(500);
    let queue = PostgresQueue::new(format!("postgres://kirsch@{}/postgres", wire.address()));
    let queue = queue.operation_timeout(half).connect_timeout(half);
    queues::check_silence(&queue, || wire.hold(), || wire.release());
}

#[test]
fn a_job_is_heard_of_when_its_transaction_is_committed() {
    let engine = Engine::postgres();
    let queue = PostgresQueue::new(url(&engine));
    queue.probe().expect("a database that can be written");
    let jobs = Jobs::postgres(url(&engine));
    let sql = |seconds| jobs.prepare(&Told(1)).after(Duration::from_secs(seconds)).sql().expect("in PostgreSQL");
    let enqueue = || {
        psql(&engine, &format!("BEGIN; {}; ROLLBACK", sql(4)));
        psql(&engine, &format!("BEGIN; {}; COMMIT", sql(5)));
    };
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    queues::check_messages(&queue, enqueue, || drop(psql(&engine, end)));
    assert_eq!(queue.counts().expect("counts"), [1, 0, 0, 0, 0], "what was rolled back is not there");
}

#[test]
fn any_client_enqueues_in_a_transaction_of_its_own() {
    let engine = Engine::postgres();
    let done = std::sync::Arc::new(queues::Done::default());
    let jobs = Jobs::postgres(url(&engine)).register::<Told>(std::sync::Arc::clone(&done));
    assert_eq!(jobs.counts().expect("counts"), [0; 5]);
    let keyed = || jobs.prepare(&Told(1)).unique("it's").sql().expect("in PostgreSQL");
    let first = psql(&engine, &keyed());
    assert_eq!(psql(&engine, &keyed()), first, "the number of the one that waits");
    // Without Kirsch: by hand, or by another program.
    let number: u64 = psql(&engine, "SELECT kirsch_job_v1_enqueue('told', '2')").parse().expect("a number");
    assert_eq!(jobs.run_due().expect("the engine"), 2);
    assert!(jobs.status(JobId::of_number(number)).expect("the engine").is_some());
    let full = Jobs::postgres(url(&engine)).max_waiting(0).prepare(&Told(3)).sql();
    assert!(full.is_err(), "a full queue refuses");
    assert!(Jobs::memory().register::<Told>(done).prepare(&Told(1)).sql().is_err());
}

#[test]
fn an_open_transaction_with_a_job_holds_up_no_start() {
    let engine = Engine::postgres();
    let queue = || PostgresQueue::new(url(&engine));
    queue().probe().expect("the tables are made");
    let mut command = Command::new("psql");
    let mut open =
        command.args(["-X", "-q", &url(&engine)]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("psql");
    let mut statements = open.stdin.take().expect("a pipe");
    statements.write_all(b"BEGIN; SELECT kirsch_job_v1_enqueue('told', '1');\n").expect("psql reads");
    let locks =
        "SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock' AND relation = 'kirsch_job_v1'::regclass";
    wait_until(|| psql(&engine, locks) == "1");
    queue().probe().expect("another program starts meanwhile");
    drop(statements);
    assert!(open.wait().expect("psql").success());
}

#[test]
fn several_programs_make_the_tables_of_jobs_at_the_same_time() {
    let engine = Engine::postgres();
    std::thread::scope(|scope| {
        (0..8).for_each(|_| drop(scope.spawn(|| PostgresQueue::new(url(&engine)).probe().expect("one after another"))));
    });
}

#[test]
fn a_program_that_may_not_make_the_tables_of_jobs_says_how_they_are_made() {
    let engine = Engine::postgres();
    psql(&engine, "CREATE ROLE guest LOGIN");
    psql(&engine, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let guest = || PostgresQueue::new(format!("postgres://guest:secret@{}/postgres", engine.address()));
    let problem = told(&guest().probe().expect_err("not allowed"));
    assert!(problem.contains("PostgresQueue::ddl") && problem.contains("permission denied"), "{problem}");
    assert!(!problem.contains("secret"), "{problem}");
    psql(&engine, &guest().ddl());
    psql(&engine, "GRANT ALL ON ALL TABLES IN SCHEMA public TO guest");
    let queue = guest().create_table(false);
    queue.probe().expect("the tables are there");
    queue.enqueue(&NewJob::new(JobId::of_number(1), "mail", "{}")).expect("and the functions");
}

#[test]
fn times_of_jobs_are_put_right_when_the_clock_of_postgres_was_set_back() {
    let engine = Engine::postgres();
    let (queue, lease) = (PostgresQueue::new(url(&engine)), Duration::from_secs(60));
    for number in [1, 2] {
        queue.enqueue(&NewJob::new(JobId::of_number(number), "mail", "{}")).expect("the engine");
    }
    queue.claim(&["mail"], lease).expect("the engine").expect("a job is due");
    let hour = "interval '1 hour'";
    psql(&engine, &format!("UPDATE kirsch_job_v1 SET due = due + {hour}, enqueued = enqueued + {hour}"));
    assert_eq!(queue.claim(&["mail"], lease).expect("the engine"), None);
    queue.sweep(&kirsch::jobs::Keep::default()).expect("the engine");
    let claimed = [(); 2].map(|()| queue.claim(&["mail"], lease).expect("the engine").expect("due").attempt);
    assert_eq!(claimed.iter().sum::<u32>(), 3, "the one that waited, and the one whose lease has ended");
}
