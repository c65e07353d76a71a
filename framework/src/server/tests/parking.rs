//! Parked requests: waiting costs no worker, and no wake-up is lost.

use super::*;

const PARK: &str = "GET /park HTTP/1.1\r\nHost: a\r\n\r\n";

/// Parked requests hold no worker, as idle connections do not.
#[test]
fn parked_requests_hold_no_worker() {
    let stage = Stage::new(|settings| settings.threads = 1);
    let mut parked: Vec<_> = (0..20).map(|_| stage.connect()).collect();
    for client in &mut parked {
        client.send(PARK);
    }
    let wakers: Vec<_> = (0..20).map(|_| stage.wakers.recv_timeout(SOON).expect("a parked request")).collect();
    assert_eq!(stage.connect().get("/free").text(), "/free");
    *stage.puppet.open.lock() = true;
    for waker in wakers {
        waker.wake();
    }
    for client in &mut parked {
        assert_eq!(client.answer().text(), "woken");
    }
}

#[test]
fn a_wake_up_right_after_the_waker_was_made_is_not_lost() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    for _ in 0..200 {
        *stage.puppet.open.lock() = false;
        client.send(PARK);
        let waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
        *stage.puppet.open.lock() = true;
        waker.wake();
        assert_eq!(client.answer().text(), "woken");
    }
}

#[test]
fn being_woken_without_reason_is_harmless() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send(PARK);
    let first = stage.wakers.recv_timeout(SOON).expect("a parked request");
    first.wake_by_ref();
    let second = stage.wakers.recv_timeout(SOON).expect("parked again");
    *stage.puppet.open.lock() = true;
    second.wake();
    assert_eq!(client.answer().text(), "woken");
    first.wake();
    assert_eq!(client.get("/next").text(), "/next");
}

#[test]
fn a_parked_request_is_run_again_at_its_deadline() {
    let stage = Stage::parking_for(Some(Duration::from_millis(50)), |_| {});
    assert_eq!(stage.connect().get("/park").text(), "expired");
}

#[test]
fn a_client_that_is_gone_gives_its_place_up() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send(PARK);
    let _waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    rustix::net::sockopt::set_socket_linger(&client.socket, Some(Duration::ZERO)).expect("a socket");
    drop(client);
    assert!(!stage.next_end().1.complete);
}

#[test]
fn a_half_closed_client_waits_on() {
    let stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send(PARK);
    let waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    client.socket.shutdown(std::net::Shutdown::Write).expect("an open socket");
    *stage.puppet.open.lock() = true;
    waker.wake();
    assert_eq!(client.answer().text(), "woken");
}

#[test]
fn a_waker_outlives_its_server() {
    let mut stage = Stage::new(|_| {});
    let mut client = stage.connect();
    client.send(PARK);
    let waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    let report = stage.stop(Duration::ZERO);
    assert_eq!(report.unfinished[0].0, "GET /park");
    assert!(!stage.next_end().1.complete);
    waker.wake();
}
