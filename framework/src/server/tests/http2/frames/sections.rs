//! The rules of RFC 9113 and RFC 7541 that a client can use or break with its frames, one row each, by section. The
//! kinds of cases are those of h2spec, which asks the same from outside.

use super::*;

const PRIORITY: u8 = 2;
const PUSH_PROMISE: u8 = 5;
const UNKNOWN: u8 = 0x16;

const PADDED: u8 = 8;
const HAS_PRIORITY: u8 = 0x20;

const FLOW: u32 = 3;
const CLOSED: u32 = 5;
const SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

/// What follows the frames.
#[derive(Debug)]
enum Then {
    /// The request is answered.
    Answer,
    /// Nothing: a PING behind them has its answer.
    Nothing,
    /// An error of the stream, for one of these reasons, or the end of the connection.
    Fails(&'static [u32]),
    /// The connection ends, for one of these reasons. The engine calls most of them PROTOCOL_ERROR.
    Ends(&'static [u32]),
}

use Then::{Answer, Ends, Fails, Nothing};

struct Row(&'static str, &'static str, Vec<u8>, Then);

fn row(section: &'static str, what: &'static str, frames: &[Vec<u8>], then: Then) -> Row {
    Row(section, what, frames.concat(), then)
}

/// `GET / ` with the host `a`.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 1, b'a'];
const POST: &[u8] = &[0x83, 0x86, 0x84, 0x01, 1, b'a'];

/// A field in letters, without an index.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The head of stream 1, and of a whole request.
fn head(block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
}

fn with(block: &[u8], name: &str, value: &str) -> Vec<u8> {
    [block.to_vec(), field(name, value)].concat()
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(RESET, 0, stream, &reason.to_be_bytes())
}

/// A priority that depends on the stream.
fn priority(on: u32) -> Vec<u8> {
    [&on.to_be_bytes()[..], &[15]].concat()
}

/// A stream whose body is awaited.
fn open() -> Vec<u8> {
    upload(1, "/echo")
}

/// A stream whose answer is awaited.
fn half_closed() -> Vec<u8> {
    request(1, "/park", END_STREAM)
}

fn frames_and_streams() -> Vec<Row> {
    let data = |flags, stream, content: &[u8]| frame(DATA, flags, stream, content);
    let part = || frame(HEADERS, END_STREAM, 1, &GET[..3]);
    let rest = |flags| frame(CONTINUATION, flags, 1, &GET[3..]);
    vec![
        row("4.1", "a frame of an unknown type", &[frame(UNKNOWN, 0, 0, &[0; 8])], Nothing),
        row("4.1", "an undefined flag", &[frame(PING, 0x16, 0, &[0; 8])], Nothing),
        row("4.1", "the reserved bit", &[frame(PING, 0, 1 << 31, &[0; 8])], Nothing),
        row("4.2", "the largest frame", &[open(), data(END_STREAM, 1, &[0; 16_384])], Answer),
        row("4.2", "DATA beyond it", &[open(), data(0, 1, &[0; 16_385])], Fails(&[SIZE])),
        row("4.2", "HEADERS beyond it", &[head(&[0x82; 16_385])], Ends(&[SIZE])),
        row("4.3", "a block that is none", &[head(&[0xff; 12])], Ends(&[COMPRESSION])),
        row("4.3", "PRIORITY within a block", &[part(), frame(PRIORITY, 0, 1, &priority(0))], Ends(&[PROTOCOL_ERROR])),
        row(
            "4.3",
            "HEADERS of another stream within a block",
            &[part(), frame(HEADERS, 5, 3, GET)],
            Ends(&[PROTOCOL_ERROR]),
        ),
        row("5.1", "DATA, idle", &[data(END_STREAM, 1, b"x")], Fails(&[PROTOCOL_ERROR, CLOSED])),
        row("5.1", "RST_STREAM, idle", &[reset(1, 8)], Ends(&[PROTOCOL_ERROR])),
        row("5.1", "WINDOW_UPDATE, idle", &[window(1, 1)], Ends(&[PROTOCOL_ERROR])),
        row("5.1", "CONTINUATION, idle", &[rest(END_HEADERS)], Ends(&[PROTOCOL_ERROR])),
        row("5.1", "DATA, half-closed", &[half_closed(), data(END_STREAM, 1, b"x")], Fails(&[CLOSED])),
        row("5.1", "HEADERS, half-closed", &[half_closed(), head(GET)], Fails(&[CLOSED, PROTOCOL_ERROR])),
        row("5.1", "CONTINUATION, half-closed", &[half_closed(), rest(END_HEADERS)], Ends(&[PROTOCOL_ERROR])),
        row("5.1", "WINDOW_UPDATE, half-closed", &[half_closed(), window(1, 1)], Nothing),
        row("5.1", "PRIORITY, half-closed", &[half_closed(), frame(PRIORITY, 0, 1, &priority(0))], Nothing),
        row("5.1", "DATA, reset", &[open(), reset(1, 8), data(END_STREAM, 1, b"x")], Fails(&[CLOSED])),
        row("5.1", "CONTINUATION, reset", &[open(), reset(1, 8), rest(END_HEADERS)], Ends(&[PROTOCOL_ERROR])),
        row("5.1.1", "an even number", &[request(2, "/", END_STREAM)], Ends(&[PROTOCOL_ERROR])),
        row(
            "5.1.1",
            "a smaller number",
            &[request(5, "/park", 1), request(3, "/", 1)],
            Ends(&[PROTOCOL_ERROR, CLOSED]),
        ),
        row(
            "5.1.2",
            "more streams than announced",
            &[1, 3, 5, 7].map(|n| request(n, "/park", 1)),
            Fails(&[PROTOCOL_ERROR, REFUSED]),
        ),
        row(
            "5.3.1",
            "a head that depends on itself",
            &[frame(HEADERS, 0x25, 1, &[&priority(1)[..], GET].concat())],
            Fails(&[PROTOCOL_ERROR]),
        ),
        row(
            "5.3.1",
            "a stream that depends on itself",
            &[frame(PRIORITY, 0, 1, &priority(1))],
            Fails(&[PROTOCOL_ERROR]),
        ),
        row(
            "5.3",
            "a head with a priority",
            &[frame(HEADERS, 5 | HAS_PRIORITY, 1, &[&priority(0)[..], GET].concat())],
            Answer,
        ),
        row(
            "5.5",
            "an unknown frame within a block",
            &[part(), frame(UNKNOWN, 0, 0, &[0; 8])],
            Ends(&[PROTOCOL_ERROR]),
        ),
        row("6.1", "DATA of no stream", &[data(0, 0, b"x")], Ends(&[PROTOCOL_ERROR])),
        row("6.1", "DATA with too much padding", &[open(), data(PADDED, 1, &[9, 0, 0])], Ends(&[PROTOCOL_ERROR])),
        row("6.1", "DATA with padding", &[open(), data(PADDED | END_STREAM, 1, &[2, b'x', 0, 0])], Answer),
        row("6.2", "HEADERS of no stream", &[frame(HEADERS, 5, 0, GET)], Ends(&[PROTOCOL_ERROR])),
        row(
            "6.2",
            "HEADERS with too much padding",
            &[frame(HEADERS, 5 | PADDED, 1, &[200, 0x82])],
            Ends(&[PROTOCOL_ERROR]),
        ),
        row("6.2", "HEADERS with padding", &[frame(HEADERS, 5 | PADDED, 1, &[&[2], GET, &[0, 0]].concat())], Answer),
        row("6.3", "PRIORITY of no stream", &[frame(PRIORITY, 0, 0, &priority(1))], Ends(&[PROTOCOL_ERROR])),
        row("6.3", "PRIORITY of four bytes", &[frame(PRIORITY, 0, 1, &[0; 4])], Fails(&[SIZE])),
        row("6.4", "RST_STREAM of no stream", &[reset(0, 8)], Ends(&[PROTOCOL_ERROR])),
        row("6.4", "RST_STREAM of three bytes", &[open(), frame(RESET, 0, 1, &[0; 3])], Ends(&[SIZE])),
        row("6.5", "an acknowledgement with content", &[frame(SETTINGS, ACK, 0, &[0; 6])], Ends(&[SIZE])),
        row("6.5", "SETTINGS of a stream", &[frame(SETTINGS, 0, 1, &[])], Ends(&[PROTOCOL_ERROR])),
        row("6.5", "SETTINGS of three bytes", &[frame(SETTINGS, 0, 0, &[0; 3])], Ends(&[SIZE])),
        row("6.5.2", "ENABLE_PUSH of 2", &[setting(2, 2)], Ends(&[PROTOCOL_ERROR])),
        row("6.5.2", "a window of 2^31", &[setting(4, 1 << 31)], Ends(&[FLOW])),
        row("6.5.2", "a frame size below 2^14", &[setting(5, 16_383)], Ends(&[PROTOCOL_ERROR])),
        row("6.5.2", "a frame size of 2^24", &[setting(5, 1 << 24)], Ends(&[PROTOCOL_ERROR])),
        row("6.5.2", "an unknown setting", &[setting(0xff, 1)], Nothing),
        row(
            "6.6",
            "PUSH_PROMISE",
            &[frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2], GET].concat())],
            Ends(&[PROTOCOL_ERROR]),
        ),
        row("6.7", "an answer to no PING", &[frame(PING, ACK, 0, &[1; 8])], Nothing),
        row("6.7", "PING of a stream", &[frame(PING, 0, 1, &[0; 8])], Ends(&[PROTOCOL_ERROR])),
        row("6.7", "PING of six bytes", &[frame(PING, 0, 0, &[0; 6])], Ends(&[SIZE])),
        row("6.8", "GOAWAY of a stream", &[frame(GO_AWAY, 0, 1, &[0; 8])], Ends(&[PROTOCOL_ERROR])),
        row("6.9", "a window by 0", &[window(0, 0)], Ends(&[PROTOCOL_ERROR])),
        row("6.9", "a stream's window by 0", &[half_closed(), window(1, 0)], Fails(&[PROTOCOL_ERROR])),
        row("6.9", "WINDOW_UPDATE of three bytes", &[frame(WINDOW_UPDATE, 0, 0, &[0; 3])], Ends(&[SIZE])),
        row("6.9.1", "a window beyond 2^31 - 1", &[window(0, u32::MAX >> 1), window(0, u32::MAX >> 1)], Ends(&[FLOW])),
        row(
            "6.9.1",
            "a stream's window beyond it",
            &[half_closed(), window(1, u32::MAX >> 1), window(1, u32::MAX >> 1)],
            Fails(&[FLOW]),
        ),
        row(
            "6.10",
            "a head in pieces",
            &[part(), frame(CONTINUATION, 0, 1, &GET[3..4]), frame(CONTINUATION, END_HEADERS, 1, &GET[4..])],
            Answer,
        ),
        row(
            "6.10",
            "CONTINUATION of no stream",
            &[part(), frame(CONTINUATION, END_HEADERS, 0, &GET[3..])],
            Ends(&[PROTOCOL_ERROR]),
        ),
        row("6.10", "DATA within a block", &[part(), data(END_STREAM, 1, b"x")], Ends(&[PROTOCOL_ERROR])),
        row("6.10", "CONTINUATION behind the end of a block", &[open(), rest(END_HEADERS)], Ends(&[PROTOCOL_ERROR])),
        row(
            "6.10",
            "CONTINUATION behind DATA",
            &[open(), data(0, 1, b"x"), rest(END_HEADERS)],
            Ends(&[PROTOCOL_ERROR]),
        ),
        row("7", "a reset for an unknown reason", &[half_closed(), reset(1, 0xff)], Nothing),
    ]
}

fn messages_and_blocks() -> Vec<Row> {
    let second = |flags, block: &[u8]| frame(HEADERS, END_HEADERS | flags, 1, block);
    let body = |content: &[u8]| frame(DATA, END_STREAM, 1, content);
    let post = |length: &str| frame(HEADERS, END_HEADERS, 1, &with(POST, "content-length", length));
    let malformed = |what, block: &[u8]| row("8", what, &[head(block)], Fails(&[PROTOCOL_ERROR]));
    let broken = |section, block: &[u8]| row(section, "a broken block", &[head(block)], Ends(&[COMPRESSION]));
    let without = |index: usize| [&GET[..index], &GET[index + 1..]].concat();
    vec![
        row("8.1", "trailers without the end", &[open(), second(0, &field("x", "y"))], Fails(&[PROTOCOL_ERROR])),
        row("8.1", "trailers", &[open(), second(END_STREAM, &field("x", "y"))], Answer),
        // They go with the trailers, which nobody reads: the engine does not look for them there.
        row("8.1", "a pseudo-field in trailers", &[open(), second(END_STREAM, &[0x82])], Answer),
        row("8.1", "a status in trailers", &[open(), second(END_STREAM, &field(":status", "200"))], Answer),
        row("8.1.1", "less content than its length", &[post("5"), body(b"four")], Fails(&[PROTOCOL_ERROR])),
        row("8.1.1", "more content than its length", &[post("1"), body(b"four")], Fails(&[PROTOCOL_ERROR])),
        row("8.1.1", "as much content as its length", &[post("4"), body(b"four")], Answer),
        malformed("a name with capitals", &with(GET, "X-Test", "y")),
        malformed("Connection", &with(GET, "connection", "keep-alive")),
        malformed("TE other than trailers", &with(GET, "te", "gzip")),
        malformed("Transfer-Encoding", &with(GET, "transfer-encoding", "chunked")),
        malformed("Upgrade", &with(GET, "upgrade", "h2c")),
        malformed("Keep-Alive", &with(GET, "keep-alive", "5")),
        malformed("Proxy-Connection", &with(GET, "proxy-connection", "keep-alive")),
        malformed("a line break in a value", &with(GET, "x", "y\r\nhost: b")),
        malformed("a lone line feed in a value", &with(GET, "x", "y\nhost: b")),
        malformed("a NUL in a value", &with(GET, "x", "y\0")),
        malformed("a colon in a name", &with(GET, "x:y", "z")),
        malformed("a space in a name", &with(GET, "x y", "z")),
        malformed("a line break in a name", &with(GET, "x\r\ny", "z")),
        malformed("an empty name", &with(GET, "", "z")),
        malformed("a line break in the path", &[&[0x82, 0x86][..], &field(":path", "/ HTTP/1.1\r\nx: y")].concat()),
        malformed("a space in the path", &[&[0x82, 0x86][..], &field(":path", "/a b")].concat()),
        malformed("a space in the method", &[&field(":method", "GET /x HTTP/1.1\r\n"), &GET[1..]].concat()),
        malformed("a line break in the host", &[&GET[..3], &field(":authority", "a\r\nx: y")].concat()),
        row("8.2.1", "spaces around a value", &[head(&with(GET, "x", " y "))], Answer),
        row("8.3.1", "two hosts", &[head(&with(GET, "host", "b"))], Answer),
        row("8.3.1", "neither host nor authority", &[head(&GET[..3])], Answer),
        row("8.5", "CONNECT", &[head(&[&field(":method", "CONNECT")[..], &GET[3..]].concat())], Answer),
        malformed("CONNECT with a path", &[&field(":method", "CONNECT")[..], &GET[1..]].concat()),
        malformed("an unknown pseudo-field", &with(GET, ":test", "y")),
        malformed("a pseudo-field of responses", &with(GET, ":status", "200")),
        malformed("a pseudo-field behind a field", &[with(&GET[1..], "x", "y"), vec![0x82]].concat()),
        malformed("an empty path", &[&[0x82, 0x86][..], &field(":path", "")].concat()),
        malformed("no method", &without(0)),
        malformed("no scheme", &without(1)),
        malformed("no path", &without(2)),
        malformed("two methods", &[&[0x82], GET].concat()),
        malformed("two schemes", &[&[0x86], GET].concat()),
        malformed("two paths", &[&[0x84], GET].concat()),
        row("HPACK 4.2", "a smaller table first", &[head(&[&[0x20], GET].concat())], Answer),
        broken("HPACK 2.3.3", &[0x82, 0x86, 0x84, 0xc6]),
        broken("HPACK 2.3.3", &[0x82, 0x86, 0x84, 0x7f, 7, 1, b'a']),
        broken("HPACK 4.2", &[GET, &[0x20]].concat()),
        broken("HPACK 5.2", &[0x82, 0x86, 0x84, 0x01, 0x85, 0xff, 0xff, 0xff, 0xff, 0xff]),
        broken("HPACK 5.2", &[0x82, 0x86, 0x84, 0x01, 0x81, 0b0001_1000]),
        broken("HPACK 6.1", &[0x82, 0x86, 0x84, 0x80]),
        broken("HPACK 6.3", &[&[0x3f, 0xe1, 0xff, 3], GET].concat()),
    ]
}

/// Reads frames until the outcome is there; what came instead, if it does not.
fn wrong_outcome(client: &mut Client, then: &Then) -> Option<String> {
    let reason = |content: &[u8]| u32::from_be_bytes([content[0], content[1], content[2], content[3]]);
    loop {
        match (client.frame(), then) {
            (Some((DATA | HEADERS, flags, 1, _)), Answer) if flags & END_STREAM != 0 => return None,
            (Some((PING, flags, _, content)), Nothing) if flags & ACK != 0 && content == [7; 8] => return None,
            (Some((RESET, _, _, content)), Fails(reasons)) if reasons.contains(&reason(&content)) => return None,
            (Some((GO_AWAY, _, _, content)), Fails(reasons) | Ends(reasons))
                if reason(&content[4..]) == PROTOCOL_ERROR || reasons.contains(&reason(&content[4..])) =>
            {
                return None;
            }
            (Some((RESET, _, stream, content)), Answer | Nothing) => {
                return Some(format!("a reset of {stream} for {}", reason(&content)));
            }
            (Some((GO_AWAY, _, _, content)), _) => return Some(format!("an end for {}", reason(&content[4..]))),
            (None, _) => return Some("an end without a word".to_owned()),
            (Some(_), _) => {}
        }
    }
}

#[test]
fn the_rules_of_frames_hold_by_section() {
    let stage = stage(|settings| settings.http2.streams = 3);
    let mut wrong = Vec::new();
    for Row(section, what, frames, then) in frames_and_streams().into_iter().chain(messages_and_blocks()) {
        let mut client = greet(&stage);
        client.send([frames, frame(PING, 0, 0, &[7; 8])].concat());
        if let Some(came) = wrong_outcome(&mut client, &then) {
            wrong.push(format!("{section}, {what}: {came} instead of {then:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
