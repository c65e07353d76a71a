//! An application by TLS: what handlers, tools and clients see of it. The protocol has its tests in the server.

use kirsch::{
    prelude::*,
    testing::Client,
    tls::PlainRequests,
    tools::{SecureHeaders, StaticFile},
};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc,
    time::Duration,
};

/// With a certificate that signs itself.
fn certified() -> Tls {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    Tls::new().certificate_pem(made.cert.pem(), made.signing_key.serialize_pem())
}

fn page(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Tree {
    Tree::new().index(move |call| answer(call.request()))
}

#[test]
fn a_page_sees_that_it_was_asked_by_tls() {
    let client = Client::over_socket(
        App::new(page(|request| {
            let facts = request.tls().expect("TLS");
            let name = facts.server_name.as_deref().unwrap_or("nobody");
            let protocol = facts.protocol.as_deref().unwrap_or("nothing");
            format!("{} {} {name} {protocol} {}", request.is_secure(), request.origin().scheme(), facts.version)
        }))
        .tls(certified()),
    );
    client.get("/").send().assert_text("true https localhost http/1.1 TLS 1.3");
}

#[test]
fn cookies_of_sessions_and_headers_for_browsers_are_those_of_a_secure_site() {
    struct Counter;
    #[handlers]
    impl Counter {
        #[expose]
        fn index(&self, session: &Session) -> String {
            let count = session.get::<i64>("count").unwrap_or(0) + 1;
            session.set("count", count);
            count.to_string()
        }
    }
    let app = App::new(Counter)
        .tool("/", Sessions::in_memory())
        .tool("/", SecureHeaders::new().hsts(Duration::from_secs(60)));
    let client = Client::over_socket(app.tls(certified()));
    let answer = client.get("/").send();
    assert!(answer.header("set-cookie").is_some_and(|cookie| cookie.contains("Secure")), "{answer:?}");
    assert!(answer.header("strict-transport-security").is_some(), "{answer:?}");
    client.get("/").send().assert_text("2");
}

#[test]
fn a_plain_request_learns_the_right_address() {
    for (answer, status) in [(PlainRequests::Refuse, 400), (PlainRequests::Redirect, 308)] {
        let client = Client::over_socket(App::new(page(|_| String::new())).tls(certified().plain_requests(answer)));
        let address = client.address().expect("a socket");
        let plain = Client::connect(address);
        let told = plain.get("/a?b=c").send();
        told.assert_status(status);
        let right = format!("https://{address}/a?b=c");
        match status {
            400 => drop(told.assert_contains(&right)),
            _ => drop(told.assert_header("location", &right)),
        }
    }
}

#[test]
fn a_large_file_arrives_whole() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let content: Vec<u8> = (0_u32..500_000).flat_map(u32::to_le_bytes).collect();
    file.write_all(&content).expect("room");
    let app = App::new(page(|_| String::new())).tool("/file", StaticFile::new(file.path())).tls(certified());
    let answer = Client::over_socket(app).get("/file").send();
    assert!(answer.bytes() == content, "{} bytes", answer.bytes().len());
}

#[test]
fn a_client_that_leaves_with_a_word_is_gone() {
    let (told, hears) = mpsc::sync_channel(2);
    let app = App::new(page(move |request| {
        told.send("begun").expect("the test listens");
        let watch = request.client_watch();
        while !watch.has_gone() {
            std::thread::yield_now();
        }
        told.send("gone").expect("the test listens");
        String::new()
    }));
    let client = Client::over_socket(app.tls(certified()));
    let mut connection = client.raw();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(hears.recv_timeout(Duration::from_secs(10)), Ok("begun"));
    connection.shutdown_write();
    assert_eq!(hears.recv_timeout(Duration::from_secs(10)), Ok("gone"));
}

#[test]
fn without_a_certificate_the_word_tls_stops_the_start_and_without_the_word_a_certificate_does() {
    let refused = |app: App, place: &str| app.start(place).map(drop).expect_err("it cannot work").to_string();
    let problem = refused(App::new(page(|_| String::new())), "127.0.0.1:0 tls");
    assert!(problem.contains("server.certificate"), "{problem}");
    let problem = refused(App::new(page(|_| String::new())).tls(certified()), "127.0.0.1:0 plain");
    assert!(problem.contains("server.certificate"), "{problem}");
}

#[test]
fn a_tls_client_at_a_plain_address_is_sent_away_at_once() {
    let client = Client::over_socket(App::new(page(|_| String::new())));
    let mut socket = TcpStream::connect(client.address().expect("a socket")).expect("it listens");
    socket.write_all(b"\x16\x03\x01\x00\x80\x01\x00").expect("it reads");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    let _ = socket.shutdown(Shutdown::Both);
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
}
