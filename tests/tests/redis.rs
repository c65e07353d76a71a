//! Sessions and jobs in Redis: the rules of every store and queue, and the special ones of these. Each test starts the
//! servers that it needs.

use integration_tests::engines::{Engine, Wire, free_port};
use integration_tests::networked::{check_lossy_wire, check_silent_engine, data, kept, number, terms};
use integration_tests::queues::{self, Told, told};
use kirsch::jobs::{JobId, Jobs, NewJob, Queue, RedisQueue};
use kirsch::sessions::{Moment, RedisStore, SessionId, Store};
use kirsch::testing::{job_queue, session_store};
use std::cell::RefCell;
use std::time::{Duration, Instant};

fn store(engine: &Engine) -> RedisStore {
    RedisStore::new(format!("redis://{}", engine.address())).prefix(format!("{}:", SessionId::random()))
}

/// The output of Redis's own client.
fn cli(port: u16, words: &[&str]) -> String {
    let mut command = std::process::Command::new("redis-cli");
    let output = command.args(["-p", &port.to_string()]).args(words).output().expect("redis-cli");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn redis_conforms() {
    let engine = Engine::redis(&[]);
    session_store::check(|| store(&engine));
}

#[test]
fn redis_is_shared() {
    let engine = Engine::redis(&[]);
    let prefix = format!("{}:", SessionId::random());
    session_store::check_shared(|| store(&engine).prefix(prefix.clone()));
}

#[test]
fn several_processes_share_redis() {
    // Those that the test starts are told where it is.
    let engine = std::env::var_os("KIRSCH_CONFORMANCE_ROLE").is_none().then(|| Engine::redis(&[]));
    let url = engine.as_ref().map_or_else(String::new, |engine| format!("redis://{}", engine.address()));
    session_store::processes("several_processes_share_redis", &url, |url| RedisStore::new(url));
}

#[test]
fn a_spoiled_record_blocks_no_other() {
    let engine = Engine::redis(&[]);
    let prefix = format!("{}:", SessionId::random());
    let spoil = |_: &RedisStore, id: &SessionId| {
        let key = format!("{prefix}{{{}}}", id.storage_key());
        // Behind the head, whose 46 bytes stay.
        assert_eq!(
            cli(engine.port(), &["setrange", &key, "46", "spoiled"]).parse::<usize>().map(|length| length > 46),
            Ok(true)
        );
    };
    session_store::check_spoiled(|| store(&engine).prefix(prefix.clone()), spoil);
}

#[test]
fn without_redis_requests_end_in_time_and_come_back_by_themselves() {
    let engine = RefCell::new(Engine::redis(&[]));
    let open = || store(&engine.borrow()).connect_timeout(Duration::from_millis(500));
    session_store::check_dead_engine(open, || engine.borrow_mut().stop(), || engine.borrow_mut().resume());
}

#[test]
fn a_restart_costs_nothing_but_the_moment() {
    let mut engine = Engine::redis(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (store, id) = (store(&engine), SessionId::random());
    let version = kept(store.commit(&id, None, &data(1), &terms()));
    engine.stop();
    let problem = store.load(&id, Moment::now()).wait().expect_err("gone").to_string();
    assert!(problem.contains("cannot be reached") && problem.contains(&engine.address()), "{problem}");
    engine.resume();
    wait_until("it has loaded what it kept", || cli(engine.port(), &["ping"]) == "PONG");
    // The connections and the scripts are gone too; a request does not notice.
    let _ = kept(store.commit(&id, Some(version), &data(2), &terms()));
    assert!(store.load(&id, Moment::now()).wait().expect("back").is_some());
}

#[test]
fn a_server_that_forgot_the_scripts_is_told_again() {
    let engine = Engine::redis(&[]);
    let (store, id) = (store(&engine), SessionId::random());
    let version = kept(store.commit(&id, None, &data(1), &terms()));
    cli(engine.port(), &["script", "flush"]);
    let _ = kept(store.commit(&id, Some(version), &data(2), &terms()));
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_once() {
    let engine = Engine::redis(&[]);
    let (store, id) = (store(&engine).operation_timeout(Duration::from_millis(200)), SessionId::random());
    let version = kept(store.commit(&id, None, &data(1), &terms()));
    engine.freeze();
    let problem = store.load(&id, Moment::now()).wait().expect_err("frozen").to_string();
    assert!(problem.contains("did not answer in time"), "{problem}");
    engine.thaw();
    // A late answer to an earlier request is not taken for the answer to this one.
    let _ = kept(store.commit(&id, Some(version), &data(2), &terms()));
    assert_eq!(number(&store, &id), 2);
}

#[test]
fn a_full_pool_is_waited_for_and_named() {
    let engine = Engine::redis(&[]);
    let store = store(&engine).pool(1).connect_timeout(Duration::from_millis(100));
    let id = SessionId::random();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| drop(store.load(&id, Moment::now()).wait().expect("in turn"))));
        }
    });
    assert_eq!(cli(engine.port(), &["client", "list"]).matches("user=default").count(), 2, "one, and who asks");
    engine.freeze();
    // So many that some do not wait for the trip of the first, but go on a connection of their own.
    std::thread::scope(|scope| {
        let ask = || store.delete(&id).wait().expect_err("frozen").to_string();
        let threads: Vec<_> = (0..12).map(|_| scope.spawn(ask)).collect();
        let problems: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        assert!(problems.iter().any(|problem| problem.contains("raise `sessions.pool`")), "{problems:?}");
    });
    engine.thaw();
}

#[test]
fn a_user_with_the_permissions_named_is_enough_and_a_wrong_password_is_not_shown() {
    let engine = Engine::redis(&[]);
    // As the reference says.
    let page = include_str!("../../docs/reference/session-stores.md").split("ACL user: `").nth(1).expect("a list");
    let list = page.split('`').next().expect("a list").replace("kirsch:session:", "s:");
    let permissions: Vec<&str> = list.split_whitespace().collect();
    let words = [&["acl", "setuser", "ann", "on", ">s%cret"][..], &permissions[..]].concat();
    assert_eq!(cli(engine.port(), &words), "OK");
    let open = |password: &str| RedisStore::new(format!("redis://ann:{password}@{}", engine.address())).prefix("s:");
    open("s%25cret").probe().expect("enough");
    session_store::check_shared(|| open("s%25cret"));
    let problem = open("wr0ng").probe().expect_err("wrong").to_string();
    assert!(problem.contains("password in `sessions.url`") && !problem.contains("wr0ng"), "{problem}");
    let stranger = open("s%25cret").prefix("other:").probe().expect_err("other keys").to_string();
    assert!(stranger.contains("permissions") && !stranger.contains("cret"), "{stranger}");
}

/// The environment names the trusted certificates, so the client is a process of its own.
#[test]
fn through_tls_only_a_trusted_server_is_spoken_to() {
    const TRUSTING: &str = "TESTED_REDIS_THROUGH_TLS";
    if let Ok(url) = std::env::var(TRUSTING) {
        RedisStore::new(&url).probe().expect("its certificate is trusted");
        return session_store::check_shared(|| RedisStore::new(&url));
    }
    let certificate = tempfile::tempdir().expect("a folder");
    let place = |name: &str| certificate.path().join(name).display().to_string();
    let (key, cert) = (place("key.pem"), place("cert.pem"));
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-keyout", &key, "-out", &cert, "-subj", "/CN=localhost"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
    assert!(openssl.output().expect("openssl").status.success(), "a certificate");
    let port = free_port();
    let start = format!(
        "redis-server --port 0 --tls-port {port} --bind 127.0.0.1 --save {{}} --tls-auth-clients no \
         --tls-cert-file {cert} --tls-key-file {key} --tls-ca-cert-file {cert}"
    );
    let engine = Engine::start(port, &start, &[]);
    let url = format!("rediss://{}", engine.address());
    let problem = RedisStore::new(&url).probe().expect_err("nobody knows its certificate").to_string();
    assert!(problem.contains("certificate"), "{problem}");
    let mut trusting = std::process::Command::new(std::env::current_exe().expect("this test"));
    trusting.args(["--exact", "through_tls_only_a_trusted_server_is_spoken_to"]);
    let output = trusting.env("SSL_CERT_FILE", &cert).env(TRUSTING, &url).output().expect("this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_replica_is_refused_with_the_remedy() {
    let engine = Engine::redis(&[]);
    let replica = Engine::redis(&["--replicaof", "127.0.0.1", &engine.port().to_string()]);
    let problem = store(&replica).probe().expect_err("read-only").to_string();
    assert!(problem.contains("read-only replica; name its primary"), "{problem}");
}

#[test]
fn the_engine_sees_no_id_and_everything_it_keeps_ends() {
    let engine = Engine::redis(&[]);
    let (store, id) = (store(&engine), SessionId::random());
    let lock = store.shared_lock().expect("shared");
    let grant = lock.try_lock(&id, Duration::from_secs(60)).wait().expect("redis").expect("free");
    let watch = lock.watch(&id, std::task::Waker::noop().clone()).expect("redis");
    let _ = kept(store.commit(&id, None, &data(1), &terms()));
    let keys = cli(engine.port(), &["keys", "*"]);
    assert_eq!(keys.lines().count(), 3, "{keys}");
    for key in keys.lines() {
        assert!(!key.contains(&id.reveal()) && key.contains(&format!("{{{}}}", id.storage_key())), "{key}");
        let life: i64 = cli(engine.port(), &["pttl", key]).parse().expect("milliseconds");
        assert!(life > 0, "{key} ends by itself");
    }
    drop(watch);
    lock.unlock(&id, grant.fence).wait().expect("redis");
    assert_eq!(cli(engine.port(), &["keys", "*:wait"]), "", "who waits is forgotten with each time");
}

#[test]
fn a_commit_that_is_sent_twice_is_kept_once() {
    let engine = Engine::redis(&[]);
    let (store, id) = (store(&engine), SessionId::random());
    let version = kept(store.commit(&id, None, &data(1), &terms()));
    // All kept connections die between two requests, whatever their last request was.
    cli(engine.port(), &["client", "kill", "type", "normal", "skipme", "yes"]);
    let _ = kept(store.commit(&id, Some(version), &data(2), &terms()));
    assert_eq!(number(&store, &id), 2);
}

#[test]
fn others_go_first_when_a_lock_is_given_back() {
    let engine = Engine::redis(&[]);
    let prefix = format!("{}:", SessionId::random());
    let open = || RedisStore::new(format!("redis://{}", engine.address())).prefix(prefix.clone());
    let (here, there, id) = (open(), open(), SessionId::random());
    let (here, there) = (here.shared_lock().expect("shared"), there.shared_lock().expect("shared"));
    let lease = Duration::from_secs(60);
    let grant = here.try_lock(&id, lease).wait().expect("redis").expect("free");
    let watch = there.watch(&id, std::task::Waker::noop().clone()).expect("redis");
    here.unlock(&id, grant.fence).wait().expect("redis");
    // Within 20 ms; a slow machine may need a few tries to be so quick.
    let is_polite = here.try_lock(&id, lease).wait().expect("redis").is_none();
    if is_polite {
        let grant = there.try_lock(&id, lease).wait().expect("redis").expect("it is their turn");
        there.unlock(&id, grant.fence).wait().expect("redis");
    }
    drop(watch);
}

#[test]
fn sentinels_name_the_primary_before_and_after_it_fails() {
    let mut primary = Engine::redis(&[]);
    let follow = primary.port().to_string();
    let replica = Engine::redis(&["--replicaof", "127.0.0.1", &follow]);
    let port = free_port();
    let start = format!("redis-server {{folder}}/sentinel.conf --sentinel --port {port} --bind 127.0.0.1");
    let lines = format!(
        "sentinel monitor shop 127.0.0.1 {follow} 1\nsentinel down-after-milliseconds shop 300\n\
         sentinel failover-timeout shop 2000\n"
    );
    let sentinel = Engine::start_with_file(port, &start, "sentinel.conf", &lines);
    let url = format!("redis+sentinel://127.0.0.1:1,{}/shop", sentinel.address());
    let store = RedisStore::new(&url).connect_timeout(Duration::from_secs(1));
    store.probe().expect("the first sentinel is not there, the second knows");
    let id = SessionId::random();
    let _ = kept(store.commit(&id, None, &data(1), &terms()));
    wait_until("the sentinel knows the replica", || {
        cli(port, &["sentinel", "replicas", "shop"]).contains(&replica.port().to_string())
            && cli(replica.port(), &["info", "replication"]).contains("master_link_status:up")
    });
    primary.stop();
    wait_until("the replica has taken over", || store.touch(&id, &terms()).wait().is_ok());
    assert_eq!(number(&store, &id), 1);
    let problem = RedisStore::new(format!("redis+sentinel://{}/other", sentinel.address())).probe();
    assert!(problem.expect_err("no such name").to_string().contains("there is no Redis primary"));
}

/// Three nodes that have found each other.
fn cluster() -> Vec<Engine> {
    let nodes: Vec<_> = (0..3)
        .map(|_| {
            let bus = free_port().to_string();
            Engine::redis(&["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-config-file", "nodes.conf"])
        })
        .collect();
    let addresses: Vec<_> = nodes.iter().map(Engine::address).collect();
    let mut create = vec!["--cluster", "create"];
    create.extend(addresses.iter().map(String::as_str));
    create.push("--cluster-yes");
    cli(nodes[0].port(), &create);
    let is_up = |node: &Engine| cli(node.port(), &["cluster", "info"]).contains("cluster_state:ok");
    wait_until("the cluster is up", || nodes.iter().all(is_up));
    nodes
}

#[test]
fn a_cluster_keeps_sessions_on_all_its_nodes_and_wakes_across_them() {
    let nodes = cluster();
    let addresses: Vec<_> = nodes.iter().map(Engine::address).collect();
    let single = RedisStore::new(format!("redis://{}", addresses[0]));
    let problem = (0..20).find_map(|_| single.probe().err()).expect("most keys are elsewhere").to_string();
    assert!(problem.contains("redis+cluster://"), "{problem}");
    let prefix = format!("{}:", SessionId::random());
    let open = || RedisStore::new(format!("redis+cluster://{}", addresses.join(","))).prefix(prefix.clone());
    open().probe().expect("a cluster");
    let store = open();
    for _ in 0..30 {
        let _ = kept(store.commit(&SessionId::random(), None, &data(1), &terms()));
    }
    assert!(nodes.iter().all(|node| cli(node.port(), &["dbsize"]) != "0"), "the sessions are spread");
    session_store::check_shared(open);
    // Jobs are on one of them, and messages about them on all.
    let queue = || RedisQueue::new(format!("redis+cluster://{}", addresses.join(",")));
    job_queue::check_shared(queue);
    // Messages of those may still be under way.
    let queue = || queue().prefix("other");
    let delayed = || {
        let mut new = NewJob::new(JobId::of_number(77), "mail", "{}");
        new.after = Duration::from_secs(5);
        queue().enqueue(&new).expect("a cluster");
    };
    queues::check_messages(&queue(), delayed, || {
        nodes.iter().for_each(|node| drop(cli(node.port(), &["client", "kill", "type", "pubsub"])));
    });
}

#[test]
fn visitors_of_a_slow_redis_hold_no_worker() {
    let engine = Engine::redis(&[]);
    let wire = Wire::slow_to(&engine, Duration::from_millis(50));
    let minute = Duration::from_secs(60);
    let open =
        || RedisStore::new(format!("redis://{}", wire.address())).connect_timeout(minute).operation_timeout(minute);
    session_store::check_slow_engine(open, || wire.hold(), || wire.release());
}

#[test]
fn a_request_with_a_lost_answer_is_not_done_twice() {
    let engine = Engine::redis(&[]);
    let wire = Wire::to(&engine);
    check_lossy_wire(&RedisStore::new(format!("redis://{}", wire.address())), &wire);
}

#[test]
fn a_silent_server_holds_one_request_at_a_time() {
    let engine = Engine::redis(&[]);
    let store = store(&engine).operation_timeout(Duration::from_millis(500));
    check_silent_engine(&store, || engine.freeze(), || engine.thaw());
}

fn queue(engine: &Engine) -> RedisQueue {
    RedisQueue::new(format!("redis://{}", engine.address())).prefix(SessionId::random().to_string())
}

#[test]
fn jobs_in_redis_keep_the_rules_of_queues() {
    let engine = Engine::redis(&[]);
    let number = RefCell::new(0);
    job_queue::check(|| {
        *number.borrow_mut() += 1;
        queue(&engine).prefix(format!("jobs:{}", number.borrow()))
    });
    job_queue::check_shared(|| queue(&engine).prefix("shared"));
}

#[test]
fn a_restart_of_redis_costs_no_job() {
    let engine = RefCell::new(Engine::redis(&["--appendonly", "yes", "--appendfsync", "always"]));
    let address = format!("redis://{}", engine.borrow().address());
    queues::check_restart(|| Jobs::redis(&*address), || engine.borrow_mut().stop(), || engine.borrow_mut().resume());
}

#[test]
fn a_lost_answer_of_redis_costs_no_job_and_no_attempt() {
    let engine = Engine::redis(&[]);
    let wire = Wire::to(&engine);
    let open = |prefix: &str| RedisQueue::new(format!("redis://{}", wire.address())).prefix(prefix);
    queues::check_lost_answers(&open("one").pool(1), &wire);
    queues::check_lost_end(&Jobs::with(open("other")), &wire);
}

#[test]
fn a_silent_redis_holds_one_caller_at_a_time() {
    let engine = Engine::redis(&[]);
    let queue = RedisQueue::new(format!("redis://{}", engine.address())).operation_timeout(Duration::from_millis(500));
    queues::check_silence(&queue, || engine.freeze(), || engine.thaw());
}

#[test]
fn a_job_in_redis_is_heard_of() {
    let engine = Engine::redis(&[]);
    let open = || RedisQueue::new(format!("redis://{}", engine.address()));
    let jobs = Jobs::with(open());
    let enqueue = || {
        jobs.prepare(&Told(1)).after(Duration::from_secs(5)).enqueue().expect("redis");
    };
    queues::check_messages(&open(), enqueue, || drop(cli(engine.port(), &["client", "kill", "type", "pubsub"])));
}

#[test]
fn a_user_with_the_permissions_named_is_enough_for_jobs() {
    let engine = Engine::redis(&[]);
    // As the guide says.
    let page = include_str!("../../docs/guide/jobs.md").split("ACL user: `").nth(1).expect("a list");
    let list = page.split('`').next().expect("a list").to_owned();
    let permissions: Vec<&str> = list.split_whitespace().collect();
    let words = [&["acl", "setuser", "ann", "on", ">secret"][..], &permissions[..]].concat();
    assert_eq!(cli(engine.port(), &words), "OK");
    let open = || RedisQueue::new(format!("redis://ann:secret@{}", engine.address()));
    open().probe().expect("enough");
    job_queue::check_shared(open);
    let stranger = told(&open().prefix("other").probe().expect_err("other keys"));
    assert!(stranger.contains("docs/guide/jobs.md lists those that jobs need"), "{stranger}");
}

#[test]
fn a_job_that_was_taken_away_by_hand_holds_up_no_other() {
    let engine = Engine::redis(&[]);
    let queue = queue(&engine).prefix("q");
    for number in [1, 2] {
        let mut new = NewJob::new(JobId::of_number(number), "mail", "{}");
        new.unique = Some("a");
        queue.enqueue(&new).expect("redis");
        if number == 1 {
            assert_eq!(cli(engine.port(), &["del", "{q}:job:1"]), "1");
        }
    }
    let claimed = queue.claim(&["mail"], Duration::from_secs(60)).expect("redis").expect("the other one");
    assert_eq!((claimed.id, queue.counts().expect("redis")), (JobId::of_number(2), [0, 1, 0, 0, 0]));
}

#[test]
fn a_redis_that_is_a_replica_starts_no_jobs() {
    let engine = Engine::redis(&[]);
    let replica = Engine::redis(&["--replicaof", "127.0.0.1", &engine.port().to_string()]);
    let problem = told(&queue(&replica).probe().expect_err("read-only"));
    assert!(problem.contains("name its primary in `jobs.url`"), "{problem}");
}

/// Waits for the work of other programs.
#[track_caller]
fn wait_until(what: &str, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !happened() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
