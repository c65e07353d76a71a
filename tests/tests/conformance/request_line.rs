//! Request lines and the forms of the target (RFC 9112, section 3).

use crate::{Closed, Open, Row, row};

#[rustfmt::skip] // one row, one line
pub(crate) const ROWS: &[Row] = &[
    // The line.
    row("a backslash in the path", "RFC 3986, 3.3", b"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a simple request", "RFC 9112, 2.1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open).says(&["here"]),
    row("an empty line before the request", "RFC 9112, 2.2", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open),
    row("two empty lines before the request", "RFC 9112, 2.2", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("an empty line of LF before the request", "RFC 9112, 2.2", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a space before the method", "RFC 9112, 3", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("two spaces before the target", "RFC 9112, 3", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("two spaces before the version", "RFC 9112, 3", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a space behind the version", "RFC 9112, 3", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", &[400], Closed),
    row("a tab instead of the first space", "RFC 9112, 3", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a tab instead of the second space", "RFC 9112, 3", b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a vertical tab in the line", "RFC 9112, 3", b"GET\x0b/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a line without a target", "RFC 9112, 3", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a line without a version", "RFC 9112, 3", b"GET /\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a line without a version, with a space", "RFC 9112, 3", b"GET / \r\n\r\n", &[400], Closed),
    row("a line of white space", "RFC 9112, 3", b"   \r\n\r\n", &[400], Closed),
    row("a word behind the version", "RFC 9112, 3", b"GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a space in the target", "RFC 9112, 3.2", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("LF alone behind the line", "RFC 9112, 2.2", b"GET / HTTP/1.1\nHost: a\r\n\r\n", &[400], Closed),
    row("CR alone behind the line", "RFC 9112, 2.2", b"GET / HTTP/1.1\rHost: a\r\n\r\n", &[400], Closed),
    row("CR within the target", "RFC 9112, 2.2", b"GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("two CRs behind the line", "RFC 9112, 2.2", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a greeting of TLS", "RFC 9112, 3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400], Closed),
    row("binary noise", "RFC 9112, 3", b"\x80\x01\xff\xfe\0\0\x17\x90\r\n\r\n", &[400], Closed),
    row("words before the method", "RFC 9112, 3", b"Extra lineGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    // The method.
    row("a method with a bracket", "RFC 9110, 9.1", b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a method outside of ASCII", "RFC 9110, 9.1", b"G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a method with a NUL", "RFC 9110, 9.1", b"GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a method in small letters is another one", "RFC 9110, 9.1", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", &[405], Open),
    row("an unknown method", "RFC 9110, 9.1", b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", &[405], Open),
    row("a method of all marks", "RFC 9110, 5.6.2", b"!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n", &[405], Open),
    row("a method that the page does not answer", "RFC 9110, 15.5.6", b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", &[405], Open),
    // The version.
    row("HTTP/0.9", "RFC 9110, 15.6.6", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", &[505], Closed),
    row("HTTP/1.2", "RFC 9110, 15.6.6", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", &[505], Closed),
    row("HTTP/2.0", "RFC 9110, 15.6.6", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[505], Closed),
    row("HTTP/9.9", "RFC 9110, 15.6.6", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", &[505], Closed),
    row("the preface of HTTP/2", "RFC 9113, 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505], Closed),
    row("a version without a minor number", "RFC 9112, 2.3", b"GET / HTTP/1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a version with two digits", "RFC 9112, 2.3", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a version with leading zeros", "RFC 9112, 2.3", b"GET / HTTP/01.01\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a version with a space", "RFC 9112, 2.3", b"GET / HTTP/ 1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a version in small letters", "RFC 9112, 2.3", b"GET / http/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a version with a comma", "RFC 9112, 2.3", b"GET / HTTP/1,1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a version with letters", "RFC 9112, 2.3", b"GET / HTTP/x.y\r\nHost: a\r\n\r\n", &[400], Closed),
    row("junk behind the version", "RFC 9112, 2.3", b"GET / HTTP/1.1abc\r\nHost: a\r\n\r\n", &[400], Closed),
    row("another protocol", "RFC 9112, 2.3", b"GET / RTSP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    // Origin-form.
    row("a path and a query", "RFC 9112, 3.2.1", b"GET /seen?a=b?c HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["GET a /seen Some(\"a=b?c\")"]),
    row("an empty query", "RFC 9112, 3.2.1", b"GET /seen? HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["GET a /seen Some(\"\")"]),
    row("a path without its slash", "RFC 9112, 3.2", b"GET seen HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a query without a path", "RFC 9112, 3.2", b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a fragment", "RFC 9112, 3.2", b"GET /seen#a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a target outside of ASCII", "RFC 9112, 3.2", b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a NUL in the target", "RFC 9112, 3.2", b"GET /\0a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a DEL in the target", "RFC 9112, 3.2", b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("a path that starts with two slashes", "RFC 9112, 3.2.1", b"GET //b/seen HTTP/1.1\r\nHost: a\r\n\r\n", &[404], Open),
    row("a path that nobody answers", "RFC 9110, 15.5.5", b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n", &[404], Open),
    // Percent-encoding: once, and within its segment.
    row("encoded letters", "RFC 3986, 2.3", b"GET /%73een HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open),
    row("an encoded slash stays in its segment", "RFC 3986, 2.2", b"GET /segments/a%2Fb/c HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["a/b|c"]),
    row("encoding is taken off once", "RFC 3986, 2.4", b"GET /segments/%2541 HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["%41"]),
    row("a plus is a plus in a path", "RFC 3986, 2.2", b"GET /segments/a+b HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["a+b"]),
    row("encoded UTF-8", "RFC 3986, 2.5", b"GET /segments/%C3%A9 HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open).says(&["\u{e9}"]),
    row("an encoded line break is content", "RFC 3986, 2.1", b"GET /segments/a%0d%0aX-Y:%20z HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["a\r\nX-Y: z"]),
    row("a percent sign without digits", "RFC 3986, 2.1", b"GET /segments/%zz HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Open),
    row("a percent sign at the end", "RFC 3986, 2.1", b"GET /segments/% HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Open),
    row("an encoded NUL", "RFC 3986, 7.3", b"GET /segments/a%00.html HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Open),
    row("an overlong slash", "RFC 3629, 3", b"GET /segments/%c0%af HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Open),
    row("dots are ordinary segments", "RFC 3986, 5.2.4", b"GET /segments/../a HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["..|a"]),
    // Only `&` separates.
    row("a semicolon separates nothing", "RFC 3986, 3.4", b"GET /query?a=1;b=2 HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["[a=1;b=2]"]),
    row("an ampersand separates", "RFC 3986, 3.4", b"GET /query?a=1&b=2&a=+%26 HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["[a=1][b=2][a= &]"]),
    // Absolute-form.
    row("an absolute target", "RFC 9112, 3.2.2", b"GET http://b:80/seen?q HTTP/1.1\r\nHost: b:80\r\n\r\n", &[200], Open)
        .says(&["GET b:80 /seen Some(\"q\")"]),
    row("an absolute target beats Host", "RFC 9112, 3.2.2", b"GET http://b/seen HTTP/1.1\r\nHost: a\r\n\r\n", &[200], Open)
        .says(&["GET b /seen None"]),
    row("the scheme in capitals", "RFC 9110, 4.2.3", b"GET HTTP://b/seen HTTP/1.1\r\nHost: b\r\n\r\n", &[200], Open),
    row("an absolute target without a path", "RFC 9112, 3.2.2", b"GET http://b HTTP/1.1\r\nHost: b\r\n\r\n", &[200], Open)
        .says(&["here"]),
    row("an absolute target of https", "RFC 9112, 3.2.2", b"GET https://b/seen HTTP/1.1\r\nHost: b\r\n\r\n", &[200], Open),
    row("an absolute target needs Host all the same", "RFC 9112, 3.2.2", b"GET http://b/ HTTP/1.1\r\n\r\n", &[400], Closed),
    row("an absolute target without a host", "RFC 9110, 4.2.1", b"GET http:///seen HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("an absolute target with a user", "RFC 9110, 4.2.4", b"GET http://u:p@b/ HTTP/1.1\r\nHost: b\r\n\r\n", &[400], Closed),
    row("an absolute target with a wrong port", "RFC 9110, 4.2.1", b"GET http://b:x/ HTTP/1.1\r\nHost: b\r\n\r\n", &[400], Closed),
    row("an absolute target of another scheme", "RFC 9112, 3.2.2", b"GET ftp://b/ HTTP/1.1\r\nHost: b\r\n\r\n", &[400], Closed),
    // Authority-form and asterisk-form.
    row("CONNECT", "RFC 9110, 9.3.6", b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", &[400], Closed),
    row("CONNECT to a path", "RFC 9112, 3.2.3", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("GET of an authority", "RFC 9112, 3.2.3", b"GET b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n", &[400], Closed),
    row("OPTIONS for the whole server", "RFC 9112, 3.2.4", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[204], Open),
    row("GET of the asterisk", "RFC 9112, 3.2.4", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    row("two asterisks", "RFC 9112, 3.2.4", b"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
];
