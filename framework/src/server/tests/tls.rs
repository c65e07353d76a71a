//! Connections by TLS: what is the same as over plain sockets, and what is not.

use super::*;
use crate::exchange::HandshakeCounts;
use crate::testing::encrypted::CLIENT_CONFIG;
use crate::tls::{Tls, TlsInService};
use rustls::{ClientConfig, ClientConnection, ServerConfig};
use std::io::ErrorKind;
use std::sync::LazyLock;

/// With a certificate that signs itself.
pub(super) fn settings() -> Tls {
    static CERTIFICATE: LazyLock<[String; 2]> = LazyLock::new(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        [made.cert.pem(), made.signing_key.serialize_pem()]
    });
    let [chain, key] = &*CERTIFICATE;
    Tls::new().certificate_pem(chain, key)
}

pub(in crate::server) fn server_config() -> Arc<ServerConfig> {
    static TLS: LazyLock<TlsInService> = LazyLock::new(|| TlsInService::start(settings()).expect("a certificate"));
    TLS.current()
}

impl Client {
    pub(super) fn shake_hands(self) -> Self {
        self.shake_hands_as(CLIENT_CONFIG.clone(), b"")
    }

    /// The same behind other bytes, in one packet with the first of the handshake.
    pub(super) fn shake_hands_behind(self, bytes: &[u8]) -> Self {
        self.shake_hands_as(CLIENT_CONFIG.clone(), bytes)
    }

    pub(super) fn shake_hands_as(mut self, config: Arc<ClientConfig>, behind: &[u8]) -> Self {
        let name = "localhost".try_into().expect("a name");
        let mut session = Box::new(ClientConnection::new(config, name).expect("a client"));
        let mut first = behind.to_vec();
        session.write_tls(&mut first).expect("memory");
        self.socket.write_all(&first).expect("the server reads");
        while session.is_handshaking() {
            session.complete_io(&mut self.socket).expect("a handshake");
        }
        self.session = Some(session);
        self
    }

    /// Whether the server has said that nothing more follows.
    fn has_heard_the_end(&mut self) -> bool {
        let session = self.session.as_mut().expect("TLS");
        session.reader().read(&mut [0]).is_ok()
    }
}

pub(super) fn send(session: &mut ClientConnection, socket: &mut TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let length = session.writer().write(bytes).expect("memory");
        bytes = &bytes[length..];
        while session.wants_write() {
            session.write_tls(socket).expect("the server reads");
        }
    }
}

pub(super) fn more(session: &mut ClientConnection, socket: &mut TcpStream, received: &mut Vec<u8>) -> bool {
    loop {
        let before = received.len();
        match session.reader().read_to_end(received) {
            Ok(_) => return received.len() > before,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // An end without the word for it.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return received.len() > before,
            Err(error) => panic!("{error}"),
        }
        if received.len() > before {
            return true;
        }
        match session.read_tls(socket) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            Err(error) => panic!("the server neither answered nor closed: {error}"),
        }
        session.process_new_packets().expect("a server that keeps the rules");
    }
}

pub(super) fn encrypted(change: impl FnOnce(&mut ServerSettings)) -> Stage {
    Stage::with(None, Vec::new(), true, change)
}

fn handshakes(stage: &Stage) -> HandshakeCounts {
    stage.server().statistics().handshakes
}

#[test]
fn requests_are_answered_and_their_handshakes_counted() {
    let stage = encrypted(|_| {});
    let mut client = stage.connect();
    assert_eq!((client.get("/a").text(), client.get("/b").text()), ("/a", "/b"));
    assert_eq!(stage.connect().get("/c").text(), "/c");
    let counts = handshakes(&stage);
    // The sessions that clients remember are shared by all tests.
    assert_eq!((counts.full + counts.resumed, counts.all()), (2, 2));
}

#[test]
fn a_plain_request_is_told_that_the_address_speaks_tls() {
    let stage = encrypted(|_| {});
    for piece in [1, 1000] {
        let mut client = stage.connect_plainly();
        for bytes in b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n".chunks(piece) {
            client.send(bytes);
        }
        let answer = client.answer();
        assert_eq!((answer.status(), answer.closes()), ("400", true));
    }
    assert_eq!(*stage.puppet.refusals.lock(), [Refusal::NotEncrypted { redirects: false }; 2]);
    assert_eq!(handshakes(&stage).plain_http, 2);
}

#[test]
fn failed_handshakes_are_counted_by_kind_and_kill_no_worker() {
    let stage = encrypted(|settings| settings.tls = self::settings().handshake_timeout(Duration::from_millis(300)));
    type Count = fn(HandshakeCounts) -> u64;
    let table: [(&[u8], Count); 5] = [
        (b"\x80\x2e\x01", |counts| counts.not_tls),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", |counts| counts.malformed),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", |counts| counts.malformed),
        (b"\x16\x03\x03\x48\x00", |counts| counts.too_slow),
        (b"", |counts| counts.too_slow),
    ];
    for (bytes, count) in table {
        let before = count(handshakes(&stage));
        let mut client = stage.connect_plainly();
        client.send(bytes);
        let _ = client.socket.read_to_end(&mut Vec::new());
        assert_eq!(count(handshakes(&stage)), before + 1, "{bytes:?}");
    }
    drop(stage.connect_plainly());
    eventually("a handshake that is cut off", || handshakes(&stage).cut_off == 1);
    assert_eq!(stage.connect().get("/").text(), "/");
    assert_eq!(stage.server().statistics().workers_replaced, 0);
}

#[test]
fn a_hello_that_is_too_long_is_answered_with_an_alert() {
    let stage = encrypted(|_| {});
    // By its own word, and by the records that it comes in.
    for (length, record) in [(0x11170_u32, 16 * 1024), (0xffff, 8)] {
        let message = [&[1][..], &length.to_be_bytes()[1..], &[7; 0xffff]].concat();
        let head = |part: &[u8]| [&[22, 3, 1][..], &u16::try_from(part.len()).expect("short").to_be_bytes()].concat();
        let records: Vec<_> = message.chunks(record).flat_map(|part| [&*head(part), part].concat()).collect();
        let mut client = stage.connect_plainly();
        client.send(records);
        let mut answer = [0; 7];
        client.socket.read_exact(&mut answer).expect("an alert");
        assert_eq!(answer[..6], [21, 3, 3, 0, 2, 2]);
    }
}

#[test]
fn a_client_that_breaks_the_rules_hears_of_it_though_it_goes_on() {
    let stage = encrypted(|_| {});
    // Between two requests, in a body that the server reads, that the handler reads, and that is of no interest.
    for begin in ["GET /", "POST /echo", "POST /read", "POST /discard"] {
        let mut client = stage.connect();
        let length = if begin.starts_with("GET") { 0 } else { 50_000 };
        client.send(format!("{begin} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        let junk = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat().repeat(2000);
        client.socket.write_all(&junk).expect("the server reads");
        let Client { socket, session, .. } = &mut client;
        let session = session.as_mut().expect("TLS");
        let told = loop {
            assert_ne!(session.read_tls(socket).expect("no reset"), 0, "{begin}: it was told nothing");
            if let Err(error) = session.process_new_packets() {
                break error;
            }
        };
        assert_eq!(told, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac), "{begin}");
    }
}

#[test]
fn half_handshakes_leave_others_served() {
    let stage = encrypted(|settings| settings.tls = self::settings().handshake_timeout(Duration::from_secs(2)));
    let half: Vec<_> = (0..1000)
        .map(|_| {
            let mut client = stage.connect_plainly();
            client.send(b"\x16\x03\x01\x02\x00");
            client
        })
        .collect();
    assert_eq!(stage.connect().get("/a").text(), "/a");
    eventually("all are counted", || {
        stage.server().view().upgrade().expect("it runs").connections().handshaking == 1000
    });
    eventually("all are gone", || handshakes(&stage).too_slow == 1000);
    drop(half);
}

#[test]
fn a_slow_reader_gets_every_byte_once() {
    let stage = encrypted(|_| {});
    for path in ["/large", "/large-shared", "/large-file", "/large-stream"] {
        let mut client = stage.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        eventually("the sockets are full", || {
            stage.server().view().upgrade().expect("it runs").connections().sending == 1
        });
        let content = client.exactly(LARGE);
        let expected = if path == "/large-file" { 0 } else { b'x' };
        assert!(content.iter().all(|&byte| byte == expected), "{path}");
        assert_eq!(client.get("/next").text(), "/next");
        let ended = stage.next_end();
        assert!(ended.1.complete && ended.1.body_bytes == LARGE as u64, "{ended:?}");
        stage.next_end();
    }
}

#[test]
fn an_early_answer_arrives_though_its_body_goes_on() {
    let stage = encrypted(|_| {});
    let mut client = stage.connect();
    client.send("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
    // More than the buffers of both sides.
    client.send(vec![b'x'; 10_000_000]);
    let answer = client.answer();
    assert_eq!((answer.status(), answer.closes()), ("413", true));
    assert!(client.is_closed() && client.has_heard_the_end());
}

#[test]
fn a_body_until_the_end_ends_with_a_word_and_a_broken_one_without() {
    let mut stage = encrypted(|_| {});
    let chunks = stage.chunks.take().expect("strings");
    chunks.send(b"all".to_vec()).expect("it listens");
    drop(chunks);
    let mut client = stage.connect();
    client.send("GET /stream HTTP/1.0\r\n\r\n");
    client.head();
    assert_eq!((client.rest(), client.has_heard_the_end()), (b"all".to_vec(), true));
    let mut client = stage.connect();
    client.send("GET /broken-stream HTTP/1.0\r\n\r\n");
    let received = client.rest();
    assert!(!client.has_heard_the_end(), "{}", received.escape_ascii());
}

#[test]
fn a_slow_handshake_goes_on_after_a_hand_over() {
    let mut stage = encrypted(|_| {});
    let mut kept = stage.connect();
    kept.get("/");
    let slow = stage.connect_plainly();
    let server = stage.server.take().expect("running");
    server.leave_to_successor();
    let stopping = std::thread::spawn(move || server.stop(SOON));
    assert!(kept.is_closed(), "it is idle");
    let mut slow = slow.shake_hands();
    let answer = slow.get("/slow");
    assert_eq!((answer.text(), answer.closes()), ("/slow", true));
    drop(slow);
    assert!(stopping.join().expect("no panic").unfinished.is_empty());
}

#[test]
fn an_idle_connection_is_closed_with_a_word() {
    let stage = encrypted(|settings| settings.idle_timeout = Duration::from_millis(100));
    let mut client = stage.connect();
    assert_eq!(client.get("/a").text(), "/a");
    assert!(client.is_closed() && client.has_heard_the_end());
}

#[test]
fn handlers_read_bodies_as_they_come() {
    let stage = encrypted(|_| {});
    let content: Vec<u8> = (0..=250).cycle().take(300_000).collect();
    for path in ["/read", "/echo", "/relay"] {
        let mut client = stage.connect();
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\nExpect: 100-continue\r\n\r\n");
        client.send(head);
        assert!(client.head().starts_with("HTTP/1.1 100"), "{path}");
        client.send(&content[..1000]);
        client.send(&content[1000..]);
        let head = client.head();
        let body = match path {
            // Chunked, made while the body comes.
            "/relay" => client.rest(),
            _ => client.exactly(300_000),
        };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let expected = if path == "/relay" { &content[1..] } else { &content[..] };
        assert!(body.windows(expected.len()).any(|window| window == expected), "{path}: {}", body.len());
    }
}

#[test]
fn a_client_that_ends_its_side_still_gets_its_answer() {
    let stage = encrypted(|_| {});
    let mut client = stage.block();
    let session = client.session.as_mut().expect("TLS");
    session.send_close_notify();
    session.write_tls(&mut client.socket).expect("the server reads");
    client.socket.shutdown(std::net::Shutdown::Write).expect("it is open");
    stage.release.send(()).expect("the puppet waits");
    assert_eq!(client.answer().text(), "released");
}

#[test]
fn a_client_that_is_reset_ends_its_request() {
    let stage = encrypted(|_| {});
    let mut client = stage.connect();
    client.send("GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
    let _waker = stage.wakers.recv_timeout(SOON).expect("a parked request");
    rustix::net::sockopt::set_socket_linger(&client.socket, Some(Duration::ZERO)).expect("a TCP socket");
    drop(client);
    assert!(!stage.next_end().1.complete);
}

#[test]
fn a_part_of_a_record_has_the_time_of_a_head() {
    let stage = encrypted(|settings| settings.head_timeout = Duration::from_millis(200));
    let mut client = stage.connect();
    assert_eq!(client.get("/a").text(), "/a");
    client.socket.write_all(b"\x17\x03\x03\x01\x00half").expect("the server reads");
    assert_eq!(client.answer().status(), "408");
}
