//! Limits: a request that just fits, and one byte more (RFC 9110, section 15.5; RFC 6585, section 5).

use crate::{Closed, Open, Row};

const POST: &str = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A request whose line, without its CRLF, is `length` bytes long.
fn line(length: usize) -> String {
    let target = "a".repeat(length - "GET /? HTTP/1.1".len());
    format!("GET /?{target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A request whose head is `length` bytes long.
fn head(length: usize) -> String {
    let value = "a".repeat(length - "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len());
    format!("GET / HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n")
}

/// A request with `count` fields.
fn fields(count: usize) -> String {
    let others: String = (1..count).map(|number| format!("X-{number}: y\r\n")).collect();
    format!("GET / HTTP/1.1\r\nHost: a\r\n{others}\r\n")
}

/// A chunked body of `count` bytes, each in a chunk of its own.
fn single_bytes(path: &str, count: usize, extension: &str) -> String {
    let chunks = format!("1{extension}\r\nx\r\n").repeat(count);
    format!("POST {path} {POST}{chunks}0\r\n\r\n")
}

/// An empty chunked body with these trailers.
fn trailers(trailers: &str) -> String {
    format!("POST /echo {POST}0\r\n{trailers}\r\n")
}

/// A request with a field of that name whose value is `length` bytes long.
fn long_field(name: &str, length: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: {}\r\n\r\n", "a".repeat(length))
}

#[rustfmt::skip] // one row, one line
pub(crate) fn rows() -> Vec<Row> {
    let large = 100_000;
    let numbered = |count: usize| (0..count).map(|number| format!("X-{number}: y\r\n")).collect::<String>();
    let of_length = |path: &str, length: usize| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length))
    };
    vec![
        // The head.
        Row::made("the longest request line", "RFC 9112, 3", line(8192), &[200], Open),
        Row::made("a request line one byte too long", "RFC 9110, 15.5.15", line(8193), &[414], Closed),
        Row::made("a request line of 8000 bytes", "RFC 9112, 3", line(8000), &[200], Open),
        Row::made("a target of 100 kB", "RFC 9110, 15.5.15", line(large), &[414], Closed),
        Row::made("a method of 100 kB", "RFC 9112, 3", format!("{} / HTTP/1.1\r\n\r\n", "G".repeat(large)), &[414], Closed),
        Row::made("the largest head", "RFC 6585, 5", head(32_768), &[200], Open),
        Row::made("a head one byte too large", "RFC 6585, 5", head(32_769), &[431], Closed),
        Row::made("a value of 100 kB", "RFC 6585, 5", long_field("X", large), &[431], Closed),
        Row::made("a name of 100 kB", "RFC 6585, 5", long_field(&"X".repeat(large), 1), &[431], Closed),
        Row::made("a cookie of 64 kB", "RFC 6585, 5", long_field("Cookie", 65_536), &[431], Closed),
        Row::made("a head without an end", "RFC 6585, 5", format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(10_000)), &[431], Closed),
        Row::made("the most fields", "RFC 6585, 5", fields(100), &[200], Open),
        Row::made("one field too many", "RFC 6585, 5", fields(101), &[431], Closed),
        Row::made("ten thousand fields", "RFC 6585, 5", fields(10_000), &[431], Closed),
        Row::made("a field of 8000 bytes", "RFC 9110, 5.4", long_field("X", 8000), &[200], Open),
        // The body.
        Row::made("the largest body", "RFC 9110, 15.5.14", of_length("/small", 10), &[200], Open).says(&["xxxxxxxxxx"]),
        Row::made("a body one byte too large", "RFC 9110, 15.5.14", of_length("/small", 11), &[413], Open),
        Row::made("a length beyond the limit", "RFC 9110, 15.5.14", "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", &[413], Closed),
        Row::made("a length beyond the limit of all pages", "RFC 9110, 15.5.14", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n", &[413], Closed),
        Row::made("the largest body in chunks", "RFC 9110, 15.5.14", single_bytes("/small", 10, ""), &[200], Open).says(&["xxxxxxxxxx"]),
        Row::made("chunks one byte too large", "RFC 9110, 15.5.14", single_bytes("/small", 11, ""), &[413], Closed),
        Row::made("one chunk too large", "RFC 9110, 15.5.14", format!("POST /small {POST}b\r\n"), &[413], Closed),
        Row::made("chunks without an end", "RFC 9110, 15.5.14", format!("POST /small {POST}{}", "1\r\nx\r\n".repeat(5000)), &[413], Closed),
        Row::made("a body that needs a file", "RFC 9112, 6.2", of_length("/echo", 600_000), &[200], Open),
        Row::made("a body in many chunks", "RFC 9112, 7.1", single_bytes("/echo", 20_000, ""), &[200], Open),
        // Chunk extensions and trailers.
        Row::made("an extension of 64 kB", "RFC 9112, 7.1.1", single_bytes("/echo", 1, &format!(";a={}", "b".repeat(65_536))), &[400], Closed),
        Row::made("the longest extension", "RFC 9112, 7.1.1", single_bytes("/echo", 1, &format!(";{}", "b".repeat(16_384))), &[200], Open),
        Row::made("an extension one byte too long", "RFC 9112, 7.1.1", single_bytes("/echo", 1, &format!(";{}", "b".repeat(16_385))), &[400], Closed),
        Row::made("extensions of many chunks", "RFC 9112, 7.1.1", single_bytes("/echo", 1025, ";aaaaaaaaaaaaaaaa"), &[400], Closed),
        Row::made("the most trailers", "RFC 9112, 7.1.2", trailers(&numbered(100)), &[200], Open),
        Row::made("one trailer too many", "RFC 6585, 5", trailers(&numbered(101)), &[431], Closed),
        Row::made("the largest trailers", "RFC 9112, 7.1.2", trailers(&format!("X: {}\r\n", "y".repeat(8187))), &[200], Open),
        Row::made("trailers one byte too large", "RFC 6585, 5", trailers(&format!("X: {}\r\n", "y".repeat(8188))), &[431], Closed),
        Row::made("trailers without an end", "RFC 6585, 5", trailers(&numbered(5000)), &[431], Closed),
        // A long row of requests.
        Row::made("forty requests at once", "RFC 9112, 9.3.2", "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(40), &[200; 40], Open),
    ]
}
