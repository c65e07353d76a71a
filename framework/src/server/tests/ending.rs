//! The end of a server: drained, in order, on time.

use super::*;

#[test]
fn idle_connections_are_not_waited_for() {
    let mut stage = Stage::new(|_| {});
    let mut idle: Vec<_> = (0..10).map(|_| stage.connect()).collect();
    for client in &mut idle {
        client.get("/");
    }
    let began = Instant::now();
    let report = stage.stop(SOON);
    assert!(report.unfinished.is_empty());
    assert!(began.elapsed() < SOON / 2);
    assert!(idle.iter_mut().all(Client::is_closed));
}

#[test]
fn a_running_request_is_answered_and_told_to_close() {
    let mut stage = Stage::new(|_| {});
    let mut client = stage.block();
    let server = stage.server.take().expect("running");
    let stopping = std::thread::spawn(move || server.stop(SOON));
    eventually("the end of accepting", || TcpStream::connect(stage.address).is_err());
    stage.release.send(()).expect("the puppet waits");
    let answer = client.answer();
    assert_eq!((answer.text(), answer.closes()), ("released", true));
    drop(client);
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}

#[test]
fn an_idle_connection_may_send_one_more_request_while_draining() {
    let mut stage = Stage::new(|settings| settings.drain_idle = SOON);
    let mut client = stage.connect();
    client.get("/");
    let server = stage.server.take().expect("running");
    let stopping = std::thread::spawn(move || server.stop(SOON));
    eventually("the end of accepting", || TcpStream::connect(stage.address).is_err());
    let answer = client.get("/last");
    assert_eq!((answer.text(), answer.closes()), ("/last", true));
    drop(client);
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}

#[test]
fn a_handler_that_never_ends_is_reported_and_left() {
    let mut stage = Stage::new(|_| {});
    let mut client = stage.block();
    let report = stage.stop(Duration::from_millis(50));
    assert_eq!(report.unfinished.len(), 1);
    assert_eq!(report.unfinished[0].0, "GET /block");
    assert!(client.is_closed());
    stage.release.send(()).expect("the puppet waits");
}

/// A request that was received before the stop, but waits for a worker.
#[test]
fn a_queued_request_is_answered() {
    let mut stage = Stage::new(|settings| settings.threads = 1);
    let mut busy = stage.block();
    let mut queued = stage.connect();
    queued.send("GET /queued HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("a queued request", || stage.server().statistics().queued == 1);
    let server = stage.server.take().expect("running");
    let stopping = std::thread::spawn(move || server.stop(SOON));
    eventually("the end of accepting", || TcpStream::connect(stage.address).is_err());
    stage.release.send(()).expect("the puppet waits");
    assert_eq!(busy.answer().text(), "released");
    assert_eq!(queued.answer().text(), "/queued");
    drop((busy, queued));
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}

#[test]
fn clients_that_are_slow_to_begin_are_answered_after_a_hand_over() {
    let mut stage = Stage::new(|_| {});
    let [mut silent, mut half, mut kept, mut half_again] = std::array::from_fn(|_| stage.connect());
    half.send("GET /half HT");
    for client in [&mut kept, &mut half_again] {
        client.get("/");
    }
    half_again.send("GET /half-again HT");
    let server = stage.server.take().expect("running");
    server.leave_to_successor();
    let stopping = std::thread::spawn(move || server.stop(SOON));
    assert!(kept.is_closed(), "it is idle");
    half.send("TP/1.1\r\nHost: a\r\n\r\n");
    half_again.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((half.answer().text(), half_again.answer().text()), ("/half", "/half-again"));
    let answer = silent.get("/silent");
    assert_eq!((answer.text(), answer.closes()), ("/silent", true));
    drop((silent, half, half_again));
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}

#[test]
fn clients_that_never_begin_hold_up_no_stop_and_after_a_hand_over_have_the_time_of_a_head() {
    for has_successor in [false, true] {
        let patience = if has_successor { Duration::from_millis(100) } else { SOON };
        let mut stage = Stage::new(|settings| settings.head_timeout = patience);
        let [mut silent, mut half] = std::array::from_fn(|_| stage.connect());
        half.send("GET /half HT");
        if has_successor {
            stage.server().leave_to_successor();
        }
        assert!(stage.stop(2 * SOON).unfinished.is_empty());
        assert!(silent.is_closed());
        // The one is told why, the other is not spoken to.
        assert_eq!(has_successor, half.socket.read(&mut [0; 1]).is_ok_and(|length| length == 1));
    }
}

/// Threads that belong to a server have its workers' names; other tests run beside this one.
#[test]
fn starting_and_stopping_leaves_no_thread_and_no_descriptor() {
    let mut last = None;
    for _ in 0..50 {
        let mut stage = Stage::new(|_| {});
        stage.connect().get("/");
        let shared = Arc::downgrade(&stage.server().running.shared);
        let _ = stage.stop(SOON);
        assert!(shared.upgrade().is_none(), "a thread still holds the server");
        last = Some(stage.address);
    }
    let address = last.expect("fifty rounds");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_address_is_free_at_once_after_a_stop() {
    let mut stage = Stage::new(|_| {});
    stage.connect().get("/");
    let address = stage.address;
    let _ = stage.stop(SOON);
    let again = Stage::new(|settings| settings.listen = vec![address.into()]);
    assert_eq!(again.connect().get("/again").text(), "/again");
}

#[test]
fn settings_that_cannot_work_are_refused_with_their_name() {
    let settings = ServerSettings { threads: 0, ..Default::default() };
    let error = settings.check().expect_err("no worker");
    assert!(error.to_string().contains("server.threads"));
}

/// Also of a request that was about to be parked when the server stopped, the service learns the end.
#[test]
fn the_service_is_told_of_every_request_that_is_cut_off() {
    for round in 0..300 {
        let mut stage = Stage::new(|_| {});
        let mut client = stage.connect();
        client.send("GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
        let _waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
        // From here on the worker is on its way out of the service; each round is interrupted somewhere else.
        (0..round * 10).for_each(|_| std::hint::spin_loop());
        let _ = stage.stop(Duration::ZERO);
        assert!(!stage.next_end().1.complete);
    }
}
