//! All workers busy: input and output go on, requests wait within a bound, and requests beyond it get an answer.

use super::*;

#[test]
fn with_a_full_queue_the_answer_is_503() {
    let stage = Stage::new(|settings| {
        settings.threads = 1;
        settings.queue = 1;
    });
    let mut busy = stage.block();
    let mut queued = stage.connect();
    queued.send("GET /queued HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("a queued request", || stage.server().statistics().queued == 1);
    let answer = stage.connect().get("/refused");
    assert_eq!((answer.status(), answer.closes()), ("503", true));
    assert_eq!(stage.server().statistics().overload_rejections, 1);
    stage.release.send(()).expect("the puppet waits");
    assert_eq!(busy.answer().text(), "released");
    assert_eq!(queued.answer().text(), "/queued");
}

#[test]
fn a_request_that_waits_too_long_for_a_worker_is_answered_and_the_server_recovers() {
    let stage = Stage::new(|settings| {
        settings.threads = 1;
        settings.queue_timeout = Duration::from_millis(50);
    });
    let mut busy = stage.block();
    for _ in 0..5 {
        assert_eq!(stage.connect().get("/late").status(), "503");
    }
    stage.release.send(()).expect("the puppet waits");
    assert_eq!(busy.answer().text(), "released");
    assert_eq!(stage.connect().get("/free").text(), "/free");
    assert_eq!(stage.server().statistics().queued, 0);
}

#[test]
fn downloads_go_on_while_all_workers_are_busy() {
    let stage = Stage::new(|settings| settings.threads = 1);
    let mut download = stage.connect();
    download.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    download.head();
    let _busy = stage.block();
    assert_eq!(download.exactly(LARGE).len(), LARGE);
    stage.release.send(()).expect("the puppet waits");
}

#[test]
fn clients_that_vanish_under_overload_harm_nothing() {
    let stage = Stage::new(|settings| {
        settings.threads = 1;
        settings.queue = 0;
    });
    let mut busy = stage.block();
    for _ in 0..200 {
        stage.connect().send("GET /refused HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert_eq!(stage.connect().get("/refused").status(), "503");
    stage.release.send(()).expect("the puppet waits");
    assert_eq!(busy.answer().text(), "released");
    // Its worker is free a moment after the answer, and nobody may wait for that here.
    eventually("a worker that is free", || stage.connect().get("/free").text() == "/free");
}

// Such as a logger that hangs.
#[test]
fn an_end_that_hangs_holds_up_no_further_answer() {
    let stage = Stage::new(|settings| {
        settings.threads = 1;
        settings.queue = 0;
    });
    let mut busy = stage.block();
    for path in ["/end-hangs", "/next", "/end-hangs", "/last"] {
        assert_eq!(stage.connect().get(path).status(), "503");
    }
    (0..3).for_each(|_| stage.release.send(()).expect("the puppet waits"));
    assert_eq!(busy.answer().text(), "released");
    let ends: Vec<_> = (0..5).map(|_| stage.next_end().0).filter(|path| path != "/block").collect();
    assert_eq!(ends, ["/end-hangs", "/next", "/end-hangs", "/last"]);
}

#[test]
fn a_busy_connection_does_not_starve_another() {
    let stage = Stage::new(|settings| settings.threads = 1);
    let mut greedy = stage.connect();
    greedy.send("GET /greedy HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000));
    let mut modest = stage.connect();
    assert_eq!(modest.get("/modest").text(), "/modest");
    for _ in 0..1000 {
        assert_eq!(greedy.answer().text(), "/greedy");
    }
}

#[test]
fn the_work_of_workers_can_be_seen() {
    let stage = Stage::new(|_| {});
    let _busy = stage.block();
    let requests: Vec<_> = stage.server().workers().into_iter().filter_map(|worker| worker.request).collect();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, "GET /block");
    assert_eq!(stage.server().statistics().workers_busy, 1);
    stage.release.send(()).expect("the puppet waits");
}
