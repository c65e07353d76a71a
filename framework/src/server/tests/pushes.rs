//! Pushes: nothing is held while there is no news, and news comes whatever the workers do.

use super::*;
use crate::exchange::{Pulled, Push, PushTurn, ResponseBody};
use std::net::Shutdown;

const PUSH: &str = "GET /push HTTP/1.1\r\nHost: a\r\n\r\n";
const PUSH_1_0: &str = "GET /push HTTP/1.0\r\nHost: a\r\n\r\n";

/// Tells what comes through the channel, and ends with it.
struct Told {
    news: Receiver<Vec<u8>>,
    /// Gets a waker at the first pull.
    wakers: Option<Sender<Waker>>,
}

pub(super) fn told(news: Receiver<Vec<u8>>, wakers: Sender<Waker>) -> ResponseBody {
    let push: Box<dyn Push> = Box::new(Told { news, wakers: Some(wakers) });
    push.into()
}

impl Push for Told {
    fn pull(&mut self, out: &mut Vec<u8>, turn: &PushTurn<'_>) -> Pulled {
        if let Some(wakers) = self.wakers.take() {
            wakers.send(turn.waker()).expect("the test listens");
        }
        if turn.is_in_doubt() {
            out.extend_from_slice(b"still there?");
        }
        match self.news.try_recv() {
            Ok(piece) if piece == b"break" => Pulled::Break,
            // It leaves what comes next to another push.
            Ok(piece) if piece == b"once" => {
                out.extend_from_slice(&piece);
                Pulled::Wait(None)
            }
            Ok(piece) if piece == b"later" => Pulled::Wait(Some(turn.now() + Duration::from_millis(20))),
            Ok(piece) => {
                out.extend_from_slice(&piece);
                Pulled::More
            }
            Err(crossbeam_channel::TryRecvError::Disconnected) => Pulled::End,
            Err(_) if turn.is_closing() => {
                out.extend_from_slice(b"bye");
                Pulled::Wait(None)
            }
            Err(_) => Pulled::Wait(None),
        }
    }
}

impl Stage {
    /// A client whose push has been pulled once, and its waker.
    fn push(&self, request: &str) -> (Client, Waker) {
        let mut client = self.connect();
        client.send(request);
        client.head();
        (client, self.wakers.recv_timeout(SOON).expect("a push"))
    }

    fn tell(&self, waker: &Waker, piece: &[u8]) {
        self.chunks.as_ref().expect("not ended").send(piece.to_vec()).expect("a push listens");
        waker.wake_by_ref();
    }
}

#[test]
fn a_push_holds_no_worker() {
    let stage = Stage::new(|settings| settings.threads = 1);
    let mut pushes: Vec<_> = (0..20).map(|_| stage.push(PUSH)).collect();
    assert_eq!(stage.connect().get("/free").text(), "/free");
    for (client, waker) in &mut pushes {
        stage.tell(waker, b"once");
        assert_eq!(client.exactly(9), b"4\r\nonce\r\n");
    }
}

#[test]
fn news_comes_while_every_worker_is_in_a_handler() {
    let stage = Stage::new(|_| {});
    let (mut client, waker) = stage.push(PUSH);
    let _blocked = [stage.block(), stage.block()];
    for _ in 0..3 {
        stage.tell(&waker, b"news");
        assert_eq!(client.exactly(9), b"4\r\nnews\r\n");
    }
    stage.release.send(()).expect("the puppet waits");
    stage.release.send(()).expect("the puppet waits");
}

#[test]
fn a_push_is_asked_again_at_the_moment_that_it_names() {
    let mut stage = Stage::new(|_| {});
    let (mut client, waker) = stage.push(PUSH);
    stage.tell(&waker, b"later");
    eventually("the pull", || stage.chunks.as_ref().expect("not ended").is_empty());
    // From here on nobody wakes it.
    stage.chunks = None;
    *stage.puppet.chunks.lock() = None;
    assert_eq!(client.exactly(5), b"0\r\n\r\n");
}

#[test]
fn a_push_that_ends_leaves_the_connection_open() {
    let mut stage = Stage::new(|_| {});
    let (mut client, waker) = stage.push(PUSH);
    stage.tell(&waker, b"last");
    (stage.chunks, *stage.puppet.chunks.lock()) = (None, None);
    waker.wake();
    assert_eq!(client.exactly(14), b"4\r\nlast\r\n0\r\n\r\n");
    let (path, delivery) = stage.next_end();
    assert_eq!((path.as_str(), delivery.body_bytes, delivery.complete), ("/push", 4, true));
    assert_eq!(client.get("/next").text(), "/next");
}

#[test]
fn a_push_that_breaks_off_has_no_last_chunk() {
    let stage = Stage::new(|_| {});
    for (request, first) in [(PUSH, &b"3\r\none\r\n"[..]), (PUSH_1_0, b"one")] {
        let (mut client, waker) = stage.push(request);
        stage.tell(&waker, b"one");
        assert_eq!(client.exactly(first.len()), first);
        stage.tell(&waker, b"break");
        // A plain close would look like the regular end to a client of HTTP/1.0.
        let end = client.socket.read(&mut [0; 8]);
        assert!(if request == PUSH_1_0 && !stage.is_encrypted { end.is_err() } else { matches!(end, Ok(0) | Err(_)) });
        assert!(!stage.next_end().1.complete);
    }
}

#[test]
fn a_client_of_http_1_0_reads_until_the_connection_ends() {
    let mut stage = Stage::new(|_| {});
    let (mut client, waker) = stage.push(PUSH_1_0);
    stage.tell(&waker, b"last");
    (stage.chunks, *stage.puppet.chunks.lock()) = (None, None);
    waker.wake();
    assert_eq!(client.exactly(4), b"last");
    assert!(client.is_closed());
}

#[test]
fn a_server_that_stops_ends_every_push_as_it_should() {
    let mut stage = Stage::new(|settings| settings.drain_idle = SOON);
    let mut pushes: Vec<_> = (0..50).map(|_| stage.push(PUSH)).collect();
    let began = Instant::now();
    let report = stage.stop(SOON);
    assert!(report.unfinished.is_empty());
    assert!(began.elapsed() < SOON / 2, "they were waited for");
    for (client, _) in &mut pushes {
        assert_eq!(client.exactly(13), b"3\r\nbye\r\n0\r\n\r\n");
        assert!(client.is_closed());
    }
}

#[test]
fn a_client_that_leaves_ends_its_push() {
    let stage = Stage::new(|_| {});
    let (client, _waker) = stage.push(PUSH);
    drop(client);
    let (path, delivery) = stage.next_end();
    assert_eq!((path.as_str(), delivery.complete), ("/push", false));
}

#[test]
fn a_client_that_only_ends_its_own_side_reads_on() {
    let stage = Stage::new(|_| {});
    let (mut client, waker) = stage.push(PUSH);
    client.socket.shutdown(Shutdown::Write).expect("open");
    assert_eq!(client.exactly(17), b"c\r\nstill there?\r\n");
    stage.tell(&waker, b"news");
    assert_eq!(client.exactly(9), b"4\r\nnews\r\n");
}

#[test]
fn news_that_the_client_does_not_take_is_not_made() {
    let stage = Stage::new(|_| {});
    let (mut client, waker) = stage.push(PUSH);
    const PIECES: usize = 400;
    for _ in 0..PIECES {
        stage.tell(&waker, &[b'x'; 1 << 16]);
    }
    let chunks = stage.chunks.as_ref().expect("not ended");
    eventually("a full socket", || stage.server().view().upgrade().is_some_and(|view| view.connections().sending == 1));
    assert!(!chunks.is_empty(), "all of it was made");
    for _ in 0..PIECES {
        client.exactly((1 << 16) + 9);
    }
    eventually("the rest", || stage.server().view().upgrade().is_some_and(|view| view.connections().pushing == 1));
}
