//! Where a body ends: Content-Length and Transfer-Encoding (RFC 9110, section 8.6; RFC 9112, section 6).
//!
//! Behind many requests stands another one, which must not be answered: if the end of a request is doubtful, so is the
//! beginning of the next.

use crate::{Closed, Open, Row, row};

#[rustfmt::skip] // one row, one line
pub(crate) const ROWS: &[Row] = &[
    // Content-Length.
    row("a body by its length", "RFC 9112, 6.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[200], Open)
        .says(&["hello"]),
    row("a body by its length, read by the handler", "RFC 9112, 6.2", b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[200], Open)
        .says(&["hello"]),
    row("a length of zero", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &[200], Open).says(&[""]),
    row("no length and no coding is no body", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open).says(&[""]),
    row("bytes behind a length of zero are the next request", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nhello world\r\n\r\n", &[200, 400], Closed),
    row("GET with a body", "RFC 9110, 9.3.1", b"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[200], Open)
        .says(&["hello"]),
    row("a body that looks like a request", "RFC 9112, 6.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["GET / HTTP/1.1\r\nHost: a\r\n\r\n"]),
    row("a length within white space", "RFC 9110, 5.5", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:\t 5 \r\n\r\nhello", &[200], Open)
        .says(&["hello"]),
    row("a length with leading zeros", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello", &[400], Closed),
    row("two different lengths", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", &[400], Closed),
    row("two equal lengths", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello", &[400], Closed),
    row("a list of different lengths", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello!", &[400], Closed),
    row("a list of equal lengths", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", &[400], Closed),
    row("a request hidden behind the shorter of two lengths", "RFC 9112, 11.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 31\r\n\r\nabcdGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a length with a plus", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", &[400], Closed),
    row("a negative length", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", &[400], Closed),
    row("a length of minus zero", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -0\r\n\r\n", &[400], Closed),
    row("a length below any number", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -123456789123456789123456789\r\n\r\n", &[400], Closed),
    row("a length with an underscore", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nhellohello", &[400], Closed),
    row("a length with a space within", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\nhellohello", &[400], Closed),
    row("a length of letters", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n", &[400], Closed),
    row("a length with letters behind it", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5x\r\n\r\nhello", &[400], Closed),
    row("a length in hexadecimal", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", &[400], Closed),
    row("a length in octal", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0o5\r\n\r\nhello", &[400], Closed),
    row("a length with a fraction", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\nhello", &[400], Closed),
    row("a length with an exponent", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5e0\r\n\r\nhello", &[400], Closed),
    row("a length in quotes", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\nhello", &[400], Closed),
    row("an empty length", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", &[400], Closed),
    row("a length of full-width digits", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: \xef\xbc\x95\r\n\r\nhello", &[400], Closed),
    row("a length of twenty digits", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", &[400], Closed),
    row("a length that wraps to five", "RFC 9110, 8.6", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello", &[400], Closed),
    row("a wrong length on GET", "RFC 9110, 8.6", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", &[400], Closed),
    row("a space before the colon of the length", "RFC 9112, 5.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello", &[400], Closed),
    // Both.
    row("length before coding", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("coding before length", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("length and coding in odd case", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\ncontent-LengtH: 5\r\nTransFer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n", &[400], Closed),
    row("length and a folded coding", "RFC 9112, 5.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\nhello", &[400], Closed),
    row("length and identity", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", &[400], Closed),
    row("length and an empty coding", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", &[400], Closed),
    row("length and xchunked", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello", &[400], Closed),
    row("length and a coding with a trailing space", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked \r\n\r\nhello", &[400], Closed),
    row("a request hidden behind the last chunk", "RFC 9112, 11.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a byte hidden behind the last chunk", "RFC 9112, 11.2", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", &[400], Closed),
    // Transfer-Encoding is exactly `chunked`.
    row("a chunked body", "RFC 9112, 7.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("a chunked body, read by the handler", "RFC 9112, 7.1", b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("chunked in any case", "RFC 9112, 7", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChunKed\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[200], Open)
        .says(&["hello"]),
    row("chunked within white space", "RFC 9110, 5.5", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked \t\r\n\r\n0\r\n\r\n", &[200], Open),
    row("a coding before chunked", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[501], Closed),
    row("a coding that nobody knows before chunked", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo;a=b,chunked\r\n\r\n0\r\n\r\n", &[501], Closed),
    row("a coding without chunked", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", &[400], Closed),
    row("chunked is not the last coding", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("chunked twice in one field", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("chunked in two fields", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("chunked and identity in two fields", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("gzip and chunked in two fields", "RFC 9112, 6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("identity", "RFC 9112, 7", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", &[400], Closed),
    row("an empty coding", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("xchunked", "RFC 9112, 6.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("chunked with a parameter", "RFC 9112, 7", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("chunked in quotes", "RFC 9112, 7", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("chunked behind an empty element", "RFC 9110, 5.6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("chunked before an empty element", "RFC 9110, 5.6.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("a vertical tab before chunked", "RFC 9110, 5.5", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("a form feed before chunked", "RFC 9110, 5.5", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("a NUL behind chunked", "RFC 9110, 5.5", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("a space before the colon of the coding", "RFC 9112, 5.1", b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("a coding on GET that nobody knows", "RFC 9112, 6.3", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n", &[400], Closed),
    row("a coding in HTTP/1.0", "RFC 9112, 6.1", b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    row("a coding in HTTP/1.0 that wants to stay", "RFC 9112, 6.1", b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n", &[400], Closed),
    row("TE asks for nothing that changes the answer", "RFC 9110, 10.1.4", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers, gzip;q=0.5\r\n\r\n", &[200], Open),
];
