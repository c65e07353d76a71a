//! What a handshake must be, whose pages may ask, and what follows it at once.

use super::*;
#[cfg(feature = "http2")]
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// A handshake as bytes, with this version of HTTP.
fn handshake(version: &str) -> String {
    format!(
        "GET /talk HTTP/{version}\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

#[test]
fn what_is_no_handshake_is_refused() {
    let (client, _heard) = (Client::in_process(app().0), ());
    let key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let table: [(&[(&str, &str)], u16); 11] = [
        (&[("Upgrade", "")], 426),
        (&[("Upgrade", "h2c")], 426),
        (&[("Connection", "keep-alive")], 426),
        (&[("Connection", "keep-alive, UPGRADE"), ("Upgrade", "WebSocket")], 101),
        (&[("Sec-WebSocket-Version", "")], 426),
        (&[("Sec-WebSocket-Version", "8")], 426),
        (&[("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "8")], 426),
        (&[("Sec-WebSocket-Key", "")], 400),
        (&[("Sec-WebSocket-Key", "short")], 400),
        (&[key, key], 400),
        (&[("Origin", "")], 101),
    ];
    for (fields, status) in table {
        match client.try_websocket("/talk", fields) {
            Ok(_) => assert_eq!(status, 101, "{fields:?}"),
            Err(answer) => {
                answer.assert_status(status);
                if status == 426 {
                    answer.assert_header("sec-websocket-version", "13");
                }
            }
        }
    }
    let with_body: [&[(&str, &str)]; 2] = [&[("Content-Length", "5")], &[("Transfer-Encoding", "chunked")]];
    for fields in with_body {
        client.try_websocket("/talk", fields).expect_err("a body").assert_status(400);
    }
    client.post("/talk").form(&[("a", "b")]).send().assert_status(405).assert_header("allow", "GET");
    client.get("/talk").send().assert_status(426).assert_header("upgrade", "websocket");
}

#[test]
fn an_upgrade_that_no_page_takes_is_ignored() {
    let client = Client::in_process(app().0);
    client.try_websocket("/page", &[]).expect_err("a page").assert_status(200).assert_text("a page");
}

#[test]
fn foreign_pages_are_refused_before_the_handler() {
    let tool = WebSockets::of_this_site().origins(["https://app.example:8443"]);
    let (app, _heard) = app();
    let client = Client::in_process(app.tool("/", tool));
    let table = [
        ("http://a.example", true),
        ("http://A.example:80", true),
        ("HTTP://a.EXAMPLE", true),
        ("https://a.example", true),
        ("http://a.example:8080", false),
        ("http://a.example/", false),
        ("http://a.example.evil.example", false),
        ("http://evil.example/a.example", false),
        ("http://evila.example", false),
        ("https://app.example:8443", true),
        ("https://app.example", false),
        ("https://sub.app.example:8443", false),
        ("null", false),
        ("file://", false),
        ("http://user@a.example", false),
        ("http://a.example, http://a.example", false),
    ];
    for (origin, passes) in table {
        let answer = client.try_websocket("/talk", &[("Host", "a.example"), ("Origin", origin)]);
        assert_eq!(answer.is_ok(), passes, "{origin}");
        if let Err(answer) = answer {
            answer.assert_status(403);
        }
    }
}

#[test]
fn the_first_protocol_of_the_page_that_the_client_offers_is_agreed_on() {
    let client = Client::in_process(app().0);
    for (offer, agreed) in [("chat.v1, chat.v2", Some("chat.v2")), ("x, chat.v1", Some("chat.v1")), ("x", None)] {
        let socket = client.try_websocket("/talk", &[("Sec-WebSocket-Protocol", offer)]).expect("a conversation");
        assert_eq!(socket.protocol(), agreed);
    }
}

#[test]
fn what_comes_with_the_handshake_is_not_lost() {
    let (app, _heard) = app();
    let client = Client::over_socket(app);
    let mut raw = client.raw();
    let head = "GET /talk HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    raw.send([head.as_bytes(), &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i', 0x88, 0x80, 0, 0, 0, 0]].concat());
    raw.shutdown_write();
    let answer = raw.read_to_end();
    assert!(answer.ends_with(&[0x81, 2, b'h', b'i', 0x88, 0]), "{}", String::from_utf8_lossy(&answer));
}

#[cfg(feature = "http2")]
#[test]
fn over_http2_a_page_that_takes_no_upgrade_is_no_success() {
    let (app, _heard) = app();
    let client = Client::over_http2(app);
    client.try_websocket("/page", &[]).expect_err("a page").assert_status(501);
    client.try_websocket("/none", &[]).expect_err("no page").assert_status(404);
    client.try_websocket("/talk", &[("Origin", "https://evil.example")]).expect_err("foreign").assert_status(403);
    let mut sockets: Vec<_> = (0..20).map(|_| client.websocket("/talk")).collect();
    for socket in &mut sockets {
        assert_eq!(socket.send("hello").text(), "hello");
    }
}

#[test]
fn http_1_0_has_no_upgrade() {
    let (app, _heard) = app();
    let client = Client::over_socket(app);
    client.raw().send(handshake("1.0")).read_response().assert_status(426).assert_header("upgrade", "websocket");
    assert_eq!(client.raw().send(handshake("1.1")).read_interim(), 101);
}

#[test]
fn a_site_with_an_international_name_is_known_by_its_ascii_name() {
    let (app, _heard) = app();
    let client = Client::in_process(app);
    for (origin, passes) in [
        ("http://xn--bcher-kva.example", true),
        ("http://XN--BCHER-KVA.example", true),
        ("http://b\u{fc}cher.example", false),
        ("http://bucher.example", false),
    ] {
        let fields = [("Host", "xn--bcher-kva.example"), ("Origin", origin)];
        assert_eq!(client.try_websocket("/talk", &fields).is_ok(), passes, "{origin}");
    }
}

#[test]
fn two_origins_are_none_of_this_site() {
    let client = Client::in_process(app().0);
    let own = ("Origin", "http://a.example");
    client.try_websocket("/talk", &[("Host", "a.example"), own, own]).expect_err("two").assert_status(403);
}

/// Kinds, streams and contents of the frames of HTTP/2.
#[cfg(feature = "http2")]
fn frames(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((content, rest)) = rest.split_at_checked(length) else { break };
        frames.push((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), content.to_vec()));
        bytes = rest;
    }
    frames
}

#[cfg(feature = "http2")]
#[test]
fn over_http2_a_connect_for_another_protocol_opens_nothing() {
    const HEADERS: u8 = 1;
    let (app, heard) = app();
    let client = Client::over_http2(app);
    // An extended CONNECT (RFC 8441, section 4) without Huffman codes.
    let mut block = b"\x02\x07CONNECT\x00\x09:protocol\x09websocke2\x86\x04\x05/talk\x01\x01a".to_vec();
    block.extend(b"\x00\x15sec-websocket-version\x0213");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend([0, 0, u8::try_from(block.len()).expect("short"), HEADERS, 5, 0, 0, 0, 1]);
    bytes.extend(&block);
    let mut socket = TcpStream::connect(client.address().expect("a server")).expect("it listens");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    socket.write_all(&bytes).expect("it reads");
    let mut received = Vec::new();
    let answer = loop {
        let mut piece = [0; 4096];
        match socket.read(&mut piece) {
            Ok(length @ 1..) => received.extend_from_slice(&piece[..length]),
            ended => panic!("no answer: {ended:?} after {:?}", frames(&received)),
        }
        if let Some((kind, _, block)) = frames(&received).into_iter().find(|(_, stream, _)| *stream == 1) {
            break (kind, block);
        }
    };
    // 0x88 is the status 200; the stream may be reset instead.
    assert!(answer.0 != HEADERS || answer.1[0] != 0x88, "{answer:?}");
    assert!(heard.peers.is_empty());
    client.get("/page").send().assert_text("a page");
}
