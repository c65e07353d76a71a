//! The life of a connection: persistence, pipelining, unread bodies, errors, halves of requests (RFC 9112, sections 8
//! and 9).

use crate::{Closed, Open, Row, Unfinished, row};

#[rustfmt::skip] // one row, one line
pub(crate) const ROWS: &[Row] = &[
    // Persistence.
    row("close", "RFC 9112, 9.6", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &[200], Closed),
    row("close in capitals", "RFC 9110, 7.6.1", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n", &[200], Closed),
    row("close within a list", "RFC 9110, 7.6.1", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x , close,y\r\n\r\n", &[200], Closed),
    row("close in a second field", "RFC 9110, 5.3", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", &[200], Closed),
    row("close beats keep-alive", "RFC 9112, 9.3", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n", &[200], Closed),
    row("closed is not close", "RFC 9112, 9.3", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", &[200], Open),
    row("keep-alive", "RFC 9112, 9.3", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", &[200], Open),
    row("an empty Connection", "RFC 9110, 7.6.1", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: ,,\r\n\r\n", &[200], Open),
    row("Proxy-Connection says nothing", "RFC 9112, C.2.2", b"GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n", &[200], Open),
    row("Keep-Alive says nothing by itself", "RFC 9112, C.2.2", b"GET / HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n", &[200], Closed),
    row("requests behind close are not answered", "RFC 9112, 9.6", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Closed),
    row("close after a body", "RFC 9112, 9.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", &[200], Closed)
        .says(&["hello"]),
    row("close before a stream", "RFC 9112, 9.6", b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &[200], Closed)
        .says(&["onetwo"]),
    // HTTP/1.0.
    row("HTTP/1.0 closes", "RFC 9112, 9.3", b"GET / HTTP/1.0\r\n\r\n", &[200], Closed).says(&["here"]),
    row("HTTP/1.0 with Host", "RFC 9112, 3.2", b"GET /seen HTTP/1.0\r\nHost: a\r\n\r\n", &[200], Closed).says(&["GET a /seen None"]),
    row("HTTP/1.0 without Host", "RFC 9112, 3.2", b"GET /seen HTTP/1.0\r\n\r\n", &[200], Closed).says(&["GET  /seen None"]),
    row("HTTP/1.0 with two Hosts", "RFC 9112, 3.2", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", &[400], Closed),
    row("HTTP/1.0 with keep-alive", "RFC 9112, 9.3", b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &[200], Open),
    row("HTTP/1.0 with keep-alive and close", "RFC 9112, 9.3", b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", &[200], Closed),
    row("HTTP/1.0 with a body", "RFC 9112, 6.3", b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", &[200], Closed).says(&["hello"]),
    row("HTTP/1.0 without a length has no body", "RFC 9112, 6.3", b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &[200], Open)
        .says(&[""]),
    row("a stream to HTTP/1.0 with keep-alive ends it", "RFC 9112, 6.3", b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &[200], Closed)
        .says(&["onetwo"]),
    row("HTTP/1.0 with an empty Host", "RFC 9112, 3.2", b"GET / HTTP/1.0\r\nHost:\r\n\r\n", &[200], Closed),
    row("one after the other in HTTP/1.0", "RFC 9112, 9.3", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /stream HTTP/1.0\r\n\r\n", &[200, 200], Closed)
        .says(&["here", "onetwo"]),
    // Pipelining.
    row("answers come in the order of requests", "RFC 9112, 9.3.2", b"GET /seen?1 HTTP/1.1\r\nHost: a\r\n\r\nGET /missing HTTP/1.1\r\nHost: a\r\n\r\nGET /seen?3 HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 404, 200], Open),
    row("bodies and streams in a row", "RFC 9112, 9.3.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1GET /stream HTTP/1.1\r\nHost: a\r\n\r\nPOST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n\r\n", &[200, 200, 200], Open)
        .says(&["1", "onetwo", "3"]),
    row("a HEAD in a row", "RFC 9112, 6.3", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200, 200], Open)
        .says(&["here", "", "here"])
        .head_at(&[1]),
    row("answers without content in a row", "RFC 9112, 6.3", b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\nGET /unchanged HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[204, 304, 200], Open)
        .says(&["", "", "here"]),
    row("an empty line between requests", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200], Open)
        .says(&["1", "here"]),
    row("what comes before a broken request is answered", "RFC 9112, 9.3.2", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost : a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 400], Closed),
    row("half a request behind a whole one", "RFC 9112, 8", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT", &[200], Unfinished),
    // Errors of the application leave the framing in order.
    row("404 behind a body", "RFC 9112, 9.3", b"POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[404, 200], Open),
    row("405 behind a body", "RFC 9112, 9.3", b"DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[405, 200], Open),
    row("405 behind chunks", "RFC 9112, 9.3", b"DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[405, 200], Open),
    // An unread body does not become the next request.
    row("an unread body", "RFC 9112, 9.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}GET /seen HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200], Open)
        .says(&["here", "GET a /seen None"]),
    row("unread chunks", "RFC 9112, 9.3", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\nGET /seen HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200], Open)
        .says(&["here", "GET a /seen None"]),
    row("a body that the handler did not read", "RFC 9112, 9.3", b"POST /glance HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200], Open)
        .says(&["glanced", "here"]),
    row("chunks that the handler did not read", "RFC 9112, 9.3", b"POST /glance HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200], Open)
        .says(&["glanced", "here"]),
    row("an unread body that is a request", "RFC 9112, 11.2", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\nGET /missing HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open),
    row("an unread body too large to read past", "RFC 9112, 9.3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nhello", &[200], Closed),
    // Halves of requests: nothing is answered before the head is complete.
    row("nothing", "RFC 9112, 8", b"", &[], Unfinished),
    row("an empty line", "RFC 9112, 8", b"\r\n", &[], Unfinished),
    row("a part of the method", "RFC 9112, 8", b"G", &[], Unfinished),
    row("the method", "RFC 9112, 8", b"GET ", &[], Unfinished),
    row("a part of the target", "RFC 9112, 8", b"GET /hello", &[], Unfinished),
    row("the target", "RFC 9112, 8", b"GET /hello ", &[], Unfinished),
    row("a part of the version", "RFC 9112, 8", b"GET / HTTP", &[], Unfinished),
    row("the request line without its end", "RFC 9112, 8", b"GET / HTTP/1.1", &[], Unfinished),
    row("the request line with a part of its end", "RFC 9112, 8", b"GET / HTTP/1.1\r", &[], Unfinished),
    row("the request line", "RFC 9112, 8", b"GET / HTTP/1.1\r\n", &[], Unfinished),
    row("a part of a name", "RFC 9112, 8", b"GET / HTTP/1.1\r\nHos", &[], Unfinished),
    row("a name", "RFC 9112, 8", b"GET / HTTP/1.1\r\nHost:", &[], Unfinished),
    row("a name and a space", "RFC 9112, 8", b"GET / HTTP/1.1\r\nHost: ", &[], Unfinished),
    row("a field without its end", "RFC 9112, 8", b"GET / HTTP/1.1\r\nHost: a", &[], Unfinished),
    row("a field with a part of its end", "RFC 9112, 8", b"GET / HTTP/1.1\r\nHost: a\r", &[], Unfinished),
    row("all fields", "RFC 9112, 8", b"GET / HTTP/1.1\r\nHost: a\r\n", &[], Unfinished),
    row("all but the last byte", "RFC 9112, 8", b"GET / HTTP/1.1\r\nHost: a\r\n\r", &[], Unfinished),
    row("half a line of HTTP/0.9", "RFC 9112, 8", b"GET /\r\n", &[], Unfinished),
    row("half a body", "RFC 9112, 8", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello", &[], Unfinished),
    row("chunks without the last one", "RFC 9112, 8", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", &[], Unfinished),
    row("the last chunk without its end", "RFC 9112, 8", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", &[], Unfinished),
    row("a huge length and no body", "RFC 9112, 8", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", &[], Unfinished),
];
