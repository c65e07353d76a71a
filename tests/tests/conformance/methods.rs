//! Methods, expectations and upgrades (RFC 9110, sections 7.8, 9 and 10.1.1).

use crate::{Closed, Open, Row, row};

#[rustfmt::skip] // one row, one line
pub(crate) const ROWS: &[Row] = &[
    // HEAD.
    row("HEAD", "RFC 9110, 9.3.2", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open).head_at(&[0]),
    row("HEAD of a stream", "RFC 9110, 9.3.2", b"HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open).head_at(&[0]),
    row("HEAD of nothing", "RFC 9110, 9.3.2", b"HEAD /missing HTTP/1.1\r\nHost: a\r\n\r\n", &[404], Open).head_at(&[0]),
    row("HEAD with a body", "RFC 9110, 9.3.2", b"HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[200], Open).head_at(&[0]),
    row("HEAD in HTTP/1.0", "RFC 9110, 9.3.2", b"HEAD / HTTP/1.0\r\n\r\n", &[200], Closed).head_at(&[0]),
    row("HEAD of a stream in HTTP/1.0 with keep-alive", "RFC 9110, 9.3.2", b"HEAD /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &[200], Open)
        .head_at(&[0]),
    row("HEAD of a broken request", "RFC 9112, 6.3", b"HEAD / HTTP/1.1\r\nHost : a\r\n\r\n", &[400], Closed).head_at(&[0]),
    row("204 has no content", "RFC 9110, 15.3.5", b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", &[204], Open).says(&[""]),
    row("304 has no content", "RFC 9110, 15.4.5", b"GET /unchanged HTTP/1.1\r\nHost: a\r\n\r\n", &[304], Open).says(&[""]),
    // OPTIONS, TRACE.
    row("OPTIONS of a page", "RFC 9110, 9.3.7", b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", &[204], Open),
    row("OPTIONS with a body", "RFC 9110, 9.3.7", b"OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[204], Open),
    row("OPTIONS of nothing", "RFC 9110, 9.3.7", b"OPTIONS /missing HTTP/1.1\r\nHost: a\r\n\r\n", &[404], Open),
    row("TRACE repeats nothing", "RFC 9110, 9.3.8", b"TRACE / HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\n\r\n", &[405], Open),
    row("TRACE with a body", "RFC 9110, 9.3.8", b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[405], Open),
    // Expect.
    row("100 is said before the body", "RFC 9110, 10.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", &[100, 200], Open)
        .continued(b"hello")
        .says(&["", "hello"]),
    row("100 is said before chunks", "RFC 9110, 10.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", &[100, 200], Open)
        .continued(b"5\r\nhello\r\n0\r\n\r\n")
        .says(&["", "hello"]),
    row("100 is said when the handler reads", "RFC 9110, 10.1.1", b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", &[100, 200], Open)
        .continued(b"hello")
        .says(&["", "hello"]),
    row("the expectation in any case", "RFC 9110, 10.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n", &[100, 200], Open)
        .continued(b"hello"),
    row("a chunk that is broken after 100", "RFC 9112, 7.1", b"PUT /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", &[100, 400], Closed)
        .continued(b"Z\r\n"),
    row("a client that does not wait for 100", "RFC 9110, 10.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", &[200], Open)
        .says(&["hello"]),
    row("an expectation without a body", "RFC 9110, 10.1.1", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", &[200], Open),
    row("an expectation with a body of no bytes", "RFC 9110, 10.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", &[200], Open),
    row("an expectation that nobody knows", "RFC 9110, 10.1.1", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", &[417], Closed),
    row("an expectation that nobody knows behind a known one", "RFC 9110, 10.1.1", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, magic\r\n\r\n", &[417], Closed),
    row("an expectation in HTTP/1.0 says nothing", "RFC 9110, 10.1.1", b"GET / HTTP/1.0\r\nExpect: magic\r\n\r\n", &[200], Closed),
    row("an expected body that is too large", "RFC 9110, 10.1.1", b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n", &[413], Closed),
    row("an expected body for nobody", "RFC 9110, 10.1.1", b"POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", &[404], Closed),
    row("an expected body that nobody reads", "RFC 9110, 10.1.1", b"POST /glance HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", &[200], Closed)
        .says(&["glanced"]),
    // Upgrade: the server knows no other protocol, and goes on.
    row("an upgrade to WebSocket", "RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", &[200], Open),
    row("an upgrade to HTTP/2", "RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", &[200], Open),
    row("an upgrade to something unknown", "RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: totally-made-up/1.0\r\n\r\n", &[200], Open),
    row("an upgrade without Connection", "RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", &[200], Open),
    row("an upgrade with a body", "RFC 9110, 7.8", b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello", &[200], Open)
        .says(&["hello"]),
    row("an upgrade in HTTP/1.0", "RFC 9110, 7.8", b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", &[200], Closed),
    // Fields about content that does not ask for more.
    row("a Range on POST says nothing", "RFC 9110, 14.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nRange: bytes=0-1\r\n\r\nhello", &[200], Open)
        .says(&["hello"]),
];
