//! Several listeners, and listeners that live on in another server.

use super::*;
use crate::server::ListenAddress;

fn addresses(texts: &[&str]) -> Vec<ListenAddress> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

fn listening(stage: &Stage) -> Vec<SocketAddr> {
    stage.server().addresses().iter().filter_map(ListenAddress::ip_address).collect()
}

#[test]
fn a_server_listens_at_all_its_addresses() {
    let stage = Stage::new(|settings| settings.listen = addresses(&["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"]));
    let all = listening(&stage);
    assert_eq!(all.len(), 3);
    assert_eq!(stage.server().address(), all[0]);
    for address in all {
        assert_eq!(Stage::connect_to(address).get("/here").text(), "/here");
    }
}

#[test]
fn an_address_that_cannot_be_had_gives_the_others_back() {
    let taken = Stage::new(|_| {});
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let listen = vec![free.into(), taken.address.into()];
    let refused = Server::bind(ServerSettings { listen, ..Default::default() }, Vec::new()).err().expect("it is taken");
    assert!(refused.to_string().contains(&taken.address.to_string()), "{refused}");
    assert!(TcpStream::connect(free).is_err());
}

#[test]
fn one_port_has_a_socket_for_each_family_where_both_are_listed() {
    let port = std::net::TcpListener::bind("[::]:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let both = addresses(&[&format!("[::]:{port}"), &format!("0.0.0.0:{port}")]);
    let stage = Stage::new(|settings| settings.listen = both);
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(Stage::connect_to(address.parse().expect("an address")).get("/").status(), "200");
    }
    drop(stage);
}

// Anything but a close would make it deaf: the socket is the same for both.
#[test]
fn a_listener_that_was_passed_on_outlives_its_first_server() {
    let mut first = Stage::new(|_| {});
    let passed_on = first.server().named_sockets().expect("descriptors");
    let second = Stage::inheriting(passed_on, |_| {});
    assert_eq!(second.address, first.address);
    let _ = first.stop(SOON);
    for round in 0..10 {
        let path = format!("/{round}");
        assert_eq!(second.connect().get(&path).text(), path);
    }
}

#[test]
fn a_client_in_the_queue_of_a_stopped_server_is_answered_by_its_heir() {
    let mut first = Stage::new(|settings| settings.connections = Some(1));
    let busy = first.block();
    let mut waiting = first.connect();
    waiting.send("GET /waited HTTP/1.1\r\nHost: a\r\n\r\n");
    let passed_on = first.server().named_sockets().expect("descriptors");
    let _ = first.stop(Duration::ZERO);
    let second = Stage::inheriting(passed_on, |_| {});
    assert_eq!(waiting.answer().text(), "/waited");
    drop((busy, second));
}

#[test]
fn a_socket_that_no_address_wants_stops_the_start() {
    let first = Stage::new(|settings| settings.listen = addresses(&["127.0.0.1:0", "127.0.0.2:0"]));
    let passed_on = first.server().named_sockets().expect("descriptors");
    let settings = ServerSettings { listen: addresses(&["127.0.0.1:0"]), ..Default::default() };
    let refused = Server::bind(settings, passed_on).err().expect("one is left");
    assert!(refused.to_string().contains("the socket 127.0.0.2:0 was passed on"), "{refused}");
}

// A flood that never ends on one of two listeners.
#[test]
fn a_busy_listener_leaves_the_others_their_turn() {
    let stage = Stage::new(|settings| settings.listen = addresses(&["127.0.0.1:0", "127.0.0.2:0"]));
    let [busy, quiet] = listening(&stage)[..] else { panic!("two listeners") };
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(TcpStream::connect(busy));
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(Stage::connect_to(quiet).get("/").status(), "200");
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn unix_stage(folder: &tempfile::TempDir, words: &str) -> (Stage, std::path::PathBuf) {
    let path = folder.path().join("app.sock");
    let address = format!("unix:{} {words}", path.display());
    (Stage::new(|settings| settings.listen = addresses(&[&address])), path)
}

fn ask_unix(path: &std::path::Path, request: &str) -> String {
    let mut socket = std::os::unix::net::UnixStream::connect(path).expect("the server listens");
    socket.set_read_timeout(Some(SOON)).expect("a valid timeout");
    socket.write_all(request.as_bytes()).expect("room");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer, then the end");
    answer
}

#[test]
fn a_client_at_a_unix_socket_is_served_and_has_no_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let (stage, path) = unix_stage(&folder, "mode=0600");
    assert_eq!(stage.server().address().to_string(), "0.0.0.0:0");
    assert_eq!(stage.server().addresses()[0].shown(), format!("unix:{}", path.display()));
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(ask_unix(&path, &request("/here")).ends_with("/here"));
    let peer = ask_unix(&path, &request("/peer"));
    let own = (rustix::process::getuid().as_raw(), std::process::id());
    assert!(peer.ends_with(&format!("unix 0.0.0.0 {own:?}")), "{peer}");
    drop(stage);
    assert!(!path.exists());
}

#[test]
fn a_path_that_is_too_long_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let bound = |length: usize| {
        let name = "x".repeat(length - folder.path().as_os_str().len() - 1);
        let listen = addresses(&[&format!("unix:{}", folder.path().join(name).display())]);
        Server::bind(ServerSettings { listen, ..Default::default() }, Vec::new()).err()
    };
    assert!(bound(106).is_none());
    for length in [107, 108, 200] {
        let refused = bound(length).expect("it is too long").to_string();
        assert!(refused.contains("longer than 106 bytes"), "{refused}");
    }
}

#[test]
fn a_unix_socket_that_was_passed_on_keeps_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut first, path) = unix_stage(&folder, "");
    let passed_on = first.server().named_sockets().expect("descriptors");
    let listen = vec![format!("unix:{}", path.display()).parse().expect("an address")];
    let second = Stage::inheriting(passed_on, |settings| settings.listen = listen);
    first.server().leave_to_successor();
    second.server().keep_files();
    let _ = first.stop(SOON);
    let request = "GET /heir HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(ask_unix(&path, request).ends_with("/heir"));
    drop(second);
    assert!(!path.exists());
}

// Another process may tell the socket to block, which is a matter of the socket and not of a descriptor.
#[test]
fn a_shared_socket_that_another_process_lets_block_is_served_and_can_be_stopped() {
    let first = Stage::new(|_| {});
    let passed_on = first.server().named_sockets().expect("descriptors");
    let foreign = first.server().named_sockets().expect("descriptors");
    drop(first);
    let mut second = Stage::inheriting(passed_on, |_| {});
    rustix::io::ioctl_fionbio(&foreign[0].socket, false).expect("a socket");
    for path in ["/1", "/2"] {
        assert_eq!(second.connect().get(path).text(), path);
    }
    let began = Instant::now();
    assert!(second.stop(SOON).unfinished.is_empty());
    assert!(began.elapsed() < SOON);
}

const BY_PROXY: &str = "127.0.0.1:0 proxy_protocol";
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n";
/// The same in version 2, with an extension behind the addresses.
const BINARY_HEADER: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x01\xc0\0\x02\x02\xc3\x50\x01\xbb\x04\0\x01\0";

fn behind_proxy(from: &str, head_timeout: Duration) -> Stage {
    Stage::new(|settings| {
        settings.listen = addresses(&[BY_PROXY]);
        settings.proxy_protocol_from = vec![from.to_owned()];
        settings.head_timeout = head_timeout;
    })
}

#[test]
fn a_trusted_proxy_names_its_client_wherever_its_header_is_cut() {
    let stage = behind_proxy("loopback", SOON);
    let cuts = |header: &'static [u8]| (0..=header.len()).map(move |cut| header.split_at(cut));
    for (begin, rest) in cuts(HEADER).chain(cuts(BINARY_HEADER)) {
        let mut client = stage.connect();
        let own = client.socket.local_addr().expect("a socket");
        client.send(begin);
        client.send([rest, b"GET /peer HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        assert_eq!(client.answer().text(), format!("192.0.2.1:50000 192.0.2.1 by {own}"));
        assert_eq!(client.get("/again").text(), "/again");
    }
}

// The handshake comes in the same packet as the header, or in the next one.
#[cfg(feature = "tls")]
#[test]
fn a_proxy_names_its_client_before_the_handshake() {
    let stage = Stage::with(None, Vec::new(), true, |settings| {
        settings.listen = addresses(&["127.0.0.1:0 tls proxy_protocol"]);
        settings.proxy_protocol_from = vec!["loopback".to_owned()];
    });
    for (header, is_apart) in [(HEADER, true), (HEADER, false), (BINARY_HEADER, true), (BINARY_HEADER, false)] {
        let mut client = stage.connect_plainly();
        let client = if is_apart {
            client.send(header);
            client.shake_hands()
        } else {
            client.shake_hands_behind(header)
        };
        assert!({ client }.get("/peer").text().starts_with("192.0.2.1:50000 192.0.2.1 by 127.0.0.1:"));
    }
}

#[test]
fn a_header_comes_byte_by_byte() {
    let stage = behind_proxy("loopback", SOON);
    let mut client = stage.connect();
    HEADER.iter().for_each(|byte| client.send([*byte]));
    assert!(client.get("/peer").text().starts_with("192.0.2.1:50000"));
}

#[test]
fn who_may_not_or_does_not_name_a_client_is_closed_and_counted() {
    let strangers = behind_proxy("192.0.2.0/24", SOON);
    let mut client = strangers.connect();
    let _ = client.socket.write_all(HEADER);
    assert!(!matches!(client.socket.read(&mut [0]), Ok(1..)));
    eventually("the count", || strangers.server().statistics().proxy_headers_refused == 1);
    let without = behind_proxy("loopback", Duration::from_millis(50));
    let mut wrong = without.connect();
    wrong.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!matches!(wrong.socket.read(&mut [0]), Ok(1..)));
    let mut part = without.connect();
    part.send(&HEADER[..10]);
    assert!(!matches!(part.socket.read(&mut [0]), Ok(1..)));
    assert!(without.connect().is_closed());
    assert_eq!(without.server().statistics().proxy_headers_refused, 3);
}

#[test]
fn a_listener_with_the_word_needs_the_networks_of_its_proxies() {
    let settings = ServerSettings { listen: addresses(&[BY_PROXY]), ..Default::default() };
    let refused = Server::bind(settings, Vec::new()).err().expect("nobody is trusted").to_string();
    assert!(refused.contains("server.proxy_protocol_from"), "{refused}");
}
