//! The chunked coding: sizes, extensions, ends, trailers (RFC 9112, section 7.1).

use crate::{Closed, Open, Row, row};

#[rustfmt::skip] // one row, one line
pub(crate) const ROWS: &[Row] = &[
    row("several chunks", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", &[200], Open)
        .says(&["hello world"]),
    row("a size in capitals", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhelloworld\r\n0\r\n\r\n", &[200], Open)
        .says(&["helloworld"]),
    row("a size in small letters", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n", &[200], Open)
        .says(&["HellO world1"]),
    row("a size with leading zeros", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n000\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("no chunk but the last", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[200], Open)
        .says(&[""]),
    row("a chunk that looks like the last one", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n", &[200], Open)
        .says(&["0\r\n\r\n"]),
    row("the next request begins behind the last chunk", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200], Open)
        .says(&["x", "here"]),
    row("GET with chunks", "RFC 9110, 9.3.1", b"GET /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", &[200], Open)
        .says(&["x"]),
    // Sizes.
    row("a size in hexadecimal notation", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("a size with a plus", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("a negative size", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("a size with an underscore", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1_0\r\nhello world!!!!!\r\n0\r\n\r\n", &[400], Closed),
    row("a size that is not a number", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("an empty size", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("a space before a size", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("a space behind a size", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("a tab behind a size", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\t\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("a size of seventeen digits", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("a size that wraps to five", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("a size beyond the limit", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nhello", &[413], Closed),
    row("LF alone behind a size", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("CR alone behind a size", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\rhello\r\n0\r\n\r\n", &[400], Closed),
    // Content and its end.
    row("a chunk without its CRLF", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", &[400], Closed),
    row("a chunk that is longer than its size", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!!\r\n0\r\n\r\n", &[400], Closed),
    row("a chunk that is shorter than its size", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("LF alone behind a chunk", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", &[400], Closed),
    row("CR alone behind a chunk", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r0\r\n\r\n", &[400], Closed),
    row("other bytes behind a chunk", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n", &[400], Closed),
    row("a broken chunk behind a good one", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nZ\r\n", &[400], Closed),
    row("a broken chunk, read by the handler", "RFC 9112, 7.1", b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nZ\r\n", &[400], Closed),
    row("no request is found behind a broken chunk", "RFC 9112, 11.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    // Extensions.
    row("an extension with a value", "RFC 9112, 7.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("an extension without a value", "RFC 9112, 7.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0;b\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("an extension in quotes", "RFC 9112, 7.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b;c\\\" =\";d\r\nhello\r\n0\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("an extension with white space", "RFC 9112, 7.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5; a\t= b ;c\r\nhello\r\n0\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("an extension without a name", "RFC 9112, 7.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("an extension of a value alone", "RFC 9112, 7.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;=b\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("an extension whose name is not a token", "RFC 9112, 7.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;bad[=x\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("an extension whose quotes stay open", "RFC 9112, 7.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("an extension with a NUL", "RFC 9112, 7.1.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\0\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("an extension with LF", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", &[400], Closed),
    row("an extension with CR", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\rX\r\nhello\r\n0\r\n\r\n", &[400], Closed),
    // Trailers: read past, and never taken for fields.
    row("a trailer", "RFC 9112, 7.1.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("trailers before the next request", "RFC 9112, 7.1.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTrailer: X, Y\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: 1\r\nY:\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200], Open)
        .says(&["x", "here"]),
    row("a trailer is not among the fields", "RFC 9110, 6.5.1", b"POST /fields HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: evil\r\n\r\n", &[200], Open)
        .says(&["Host=a;Transfer-Encoding=chunked;"]),
    row("a Content-Length in the trailers says nothing", "RFC 9110, 6.5.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("a Host in the trailers says nothing", "RFC 9110, 6.5.1", b"POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: evil\r\n\r\n", &[200], Open)
        .says(&["POST a /seen None"]),
    row("a trailer without a colon", "RFC 9112, 7.1.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n", &[400], Closed),
    row("a trailer with a space before the colon", "RFC 9112, 5.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n", &[400], Closed),
    row("a folded trailer", "RFC 9112, 5.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n", &[400], Closed),
    row("a NUL in a trailer", "RFC 9110, 5.5", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: \0\r\n\r\n", &[400], Closed),
    row("LF alone behind a trailer", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", &[400], Closed),
    row("LF alone behind the trailers", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\n", &[400], Closed),
    row("CR alone behind the trailers", "RFC 9112, 2.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\rX", &[400], Closed),
    row("a request hidden in the trailers", "RFC 9112, 11.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
];
