//! The syntax of header fields, and Host (RFC 9110, sections 5 and 7.2; RFC 9112, sections 3.2 and 5).

use crate::{Closed, Open, Row, row};

#[rustfmt::skip] // one row, one line
pub(crate) const ROWS: &[Row] = &[
    // Lines.
    row("no white space behind the colon", "RFC 9112, 5", b"GET /fields HTTP/1.1\r\nHost:a\r\nX:b\r\n\r\n", &[200], Open)
        .says(&["Host=a;X=b;"]),
    row("white space around a value is not part of it", "RFC 9112, 5.1", b"GET /fields HTTP/1.1\r\nHost:\t a \t\r\nX: \tb c\t \r\n\r\n", &[200], Open)
        .says(&["Host=a;X=b c;"]),
    row("an empty value", "RFC 9110, 5.5", b"GET /fields HTTP/1.1\r\nHost: a\r\nX:\r\nY: \r\n\r\n", &[200], Open)
        .says(&["Host=a;X=;Y=;"]),
    row("a name in any case", "RFC 9110, 5.1", b"GET /seen HTTP/1.1\r\nhOsT: a\r\n\r\n", &[200], Open).says(&["GET a /seen None"]),
    row("the order of equal names is kept", "RFC 9110, 5.3", b"GET /fields HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\nX: 3\r\n\r\n", &[200], Open)
        .says(&["Host=a;X=1;x=2;X=3;"]),
    row("a name of all marks", "RFC 9110, 5.6.2", b"GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^`|~0: b\r\n\r\n", &[200], Open),
    row("a value of colons and quotes", "RFC 9110, 5.5", b"GET /fields HTTP/1.1\r\nHost: a\r\nX: \"b:c\", (d\r\n\r\n", &[200], Open)
        .says(&["Host=a;X=\"b:c\", (d;"]),
    row("a tab within a value", "RFC 9110, 5.5", b"GET /fields HTTP/1.1\r\nHost: a\r\nX: b\tc\r\n\r\n", &[200], Open)
        .says(&["Host=a;X=b\tc;"]),
    row("a value above ASCII", "RFC 9110, 5.5", b"GET /fields HTTP/1.1\r\nHost: a\r\nX: caf\xc3\xa9\r\n\r\n", &[200], Open)
        .says(&["Host=a;X=caf\u{e9};"]),
    row("a value that is not UTF-8", "RFC 9110, 5.5", b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\xfe\r\n\r\n", &[200], Open),
    // Names.
    row("a space before the colon", "RFC 9112, 5.1", b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", &[400], Closed),
    row("a tab before the colon", "RFC 9112, 5.1", b"GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n", &[400], Closed),
    row("a space before the colon of Host", "RFC 9112, 5.1", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", &[400], Closed),
    row("a space within a name", "RFC 9110, 5.1", b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", &[400], Closed),
    row("a tab within a name", "RFC 9110, 5.1", b"GET / HTTP/1.1\r\nHost: a\r\nContent\tLength: 5\r\n\r\n", &[400], Closed),
    row("an empty name", "RFC 9110, 5.1", b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", &[400], Closed),
    row("a line without a colon", "RFC 9112, 5", b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", &[400], Closed),
    row("a name with brackets", "RFC 9110, 5.6.2", b"GET / HTTP/1.1\r\nHost: a\r\nX[]: b\r\n\r\n", &[400], Closed),
    row("a name in quotes", "RFC 9110, 5.6.2", b"GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n", &[400], Closed),
    row("a name with a slash", "RFC 9110, 5.6.2", b"GET / HTTP/1.1\r\nHost: a\r\nX/Y: b\r\n\r\n", &[400], Closed),
    row("a name with a NUL", "RFC 9110, 5.6.2", b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", &[400], Closed),
    row("a name outside of ASCII", "RFC 9110, 5.6.2", b"GET / HTTP/1.1\r\nHost: a\r\nX-T\xc3\xabst: b\r\n\r\n", &[400], Closed),
    // Values.
    row("a NUL in a value", "RFC 9110, 5.5", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", &[400], Closed),
    row("a bell in a value", "RFC 9110, 5.5", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x07\r\n\r\n", &[400], Closed),
    row("an escape in a value", "RFC 9110, 5.5", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n", &[400], Closed),
    row("a DEL in a value", "RFC 9110, 5.5", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n", &[400], Closed),
    row("a CR in a value", "RFC 9112, 2.2", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", &[400], Closed),
    row("a CR that hides a field", "RFC 9112, 2.2", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rContent-Length: 5\r\n\r\n", &[400], Closed),
    row("two CRs behind a value", "RFC 9112, 2.2", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", &[400], Closed),
    row("LF alone behind a field", "RFC 9112, 2.2", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", &[400], Closed),
    row("LF alone behind the fields", "RFC 9112, 2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\n", &[400], Closed),
    row("CR before a field", "RFC 9112, 2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", &[400], Closed),
    // Folding, and white space before the first field.
    row("a folded value", "RFC 9112, 5.2", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", &[400], Closed),
    row("a value folded by a tab", "RFC 9112, 5.2", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", &[400], Closed),
    row("a folded empty value", "RFC 9112, 5.2", b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n", &[400], Closed),
    row("a space before the first field", "RFC 9112, 2.2", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", &[400], Closed),
    row("a line of white space before the first field", "RFC 9112, 2.2", b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", &[400], Closed),
    row("a line of white space before the end", "RFC 9112, 5.2", b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", &[400], Closed),
    // Names that programs of the CGI take for others.
    row("a name with an underscore is dropped", "RFC 3875, 4.1.18", b"GET /fields HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: evil\r\nX-Forwarded-For: good\r\nREMOTE_USER: evil\r\n\r\n", &[200], Open)
        .says(&["Host=a;X-Forwarded-For=good;"]),
    row("Content_Length is not Content-Length", "RFC 3875, 4.1.18", b"POST /fields HTTP/1.1\r\nHost: a\r\nContent_Length: 99\r\n\r\n", &[200], Open)
        .says(&["Host=a;"]),
    row("Transfer_Encoding is not Transfer-Encoding", "RFC 3875, 4.1.18", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer_Encoding: chunked\r\n\r\nabc", &[200], Open)
        .says(&["abc"]),
    // Host.
    row("no Host", "RFC 9112, 3.2", b"GET / HTTP/1.1\r\n\r\n", &[400], Closed),
    row("no Host among other fields", "RFC 9112, 3.2", b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", &[400], Closed),
    row("two equal Hosts", "RFC 9112, 3.2", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &[400], Closed),
    row("two different Hosts", "RFC 9112, 3.2", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n", &[400], Closed),
    row("an empty Host", "RFC 9110, 4.2.1", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", &[400], Closed),
    row("a Host of white space", "RFC 9110, 4.2.1", b"GET / HTTP/1.1\r\nHost: \t \r\n\r\n", &[400], Closed),
    row("a Host with a port", "RFC 9110, 7.2", b"GET /seen HTTP/1.1\r\nHost: example.org:8080\r\n\r\n", &[200], Open)
        .says(&["GET example.org:8080 /seen None"]),
    row("a Host with an empty port", "RFC 3986, 3.2.3", b"GET / HTTP/1.1\r\nHost: example.org:\r\n\r\n", &[200], Open),
    row("a Host that is an address", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n", &[200], Open),
    row("a Host that is an IPv6 address", "RFC 3986, 3.2.2", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", &[200], Open),
    row("a Host that is half an IPv6 address", "RFC 3986, 3.2.2", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", &[400], Closed),
    row("a Host with a user", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", &[400], Closed),
    row("a Host with a path", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400], Closed),
    row("a Host with a scheme", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", &[400], Closed),
    row("a Host with a query", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", &[400], Closed),
    row("a Host with a space", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[400], Closed),
    row("a Host with a backslash", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", &[400], Closed),
    row("a list of Hosts", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", &[400], Closed),
    row("a Host outside of ASCII", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", &[400], Closed),
    row("a Host with a port of letters", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", &[400], Closed),
    row("a Host with a port beyond 65535", "RFC 9110, 7.2", b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", &[400], Closed),
    // One content has one type.
    row("two Content-Types", "RFC 9110, 8.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nContent-Type: text/xml\r\n\r\nhello", &[400], Closed),
    row("two equal Content-Types", "RFC 9110, 8.3", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nContent-Type: text/plain\r\n\r\nhello", &[200], Open)
        .says(&["hello"]),
    // Fields that only offer something cannot break a request.
    row("an Accept that is not a list", "RFC 9110, 12.5.1", b"GET / HTTP/1.1\r\nHost: a\r\nAccept: ;q=x, */, text/html;q=9\r\n\r\n", &[200], Open),
    row("a Range that is none", "RFC 9110, 14.2", b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=x-y\r\n\r\n", &[200], Open),
    row("a Range of a unit that nobody knows", "RFC 9110, 14.2", b"GET / HTTP/1.1\r\nHost: a\r\nRange: miles=1-2\r\n\r\n", &[200], Open),
    row("a date that is none", "RFC 9110, 13.1.3", b"GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: yesterday\r\n\r\n", &[200], Open),
    row("cookies of others do not disturb", "RFC 6265, 5.4", b"GET /cookies HTTP/1.1\r\nHost: a\r\nCookie: a:b=c; =; ;;; x; good=1\r\n\r\n", &[200], Open),
    row("cookies in two fields", "RFC 6265, 5.4", b"GET /cookies HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nCookie: b=x=y\r\n\r\n", &[200], Open)
        .says(&["[a=1][b=x=y]"]),
    row("an empty Cookie", "RFC 6265, 5.4", b"GET /cookies HTTP/1.1\r\nHost: a\r\nCookie: \r\n\r\n", &[200], Open).says(&[""]),
];
