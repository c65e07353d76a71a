//! Whole conversations with a service that echoes its request: for properties, and for the fuzzer.

use super::{ByHand, Came, Hand};
use crate::exchange::{BodyPlan, Connection, Delivery, Exchange, Progress, RequestBody, Service, Stream, Wakers};
use crate::http::{CONTINUE, Refusal, best_media_type};
use std::fmt::Write as _;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

/// The bytes that a server sends to a client that sends these pieces and then ends its side. After each piece, the
/// connection goes as far as it can.
///
/// Parts that may depend on the moment are left out: the value of Date, and `100 Continue`, which a client gets only if
/// its body has not begun.
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "public for the fuzzer"))]
pub fn converse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    timeless(&answers(mirror().connect(Connection::default()), pieces))
}

/// All that comes back to these pieces and the end behind them.
pub(super) fn answers<'a>(mut hand: Hand, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut received = Vec::new();
    for piece in pieces {
        hand.send(piece);
        while let Came::Bytes(_) = hand.receive(&mut received, Instant::now()) {}
    }
    hand.end_input();
    while let Came::Bytes(_) = hand.receive(&mut received, Instant::now()) {}
    received
}

/// A server that echoes its requests.
pub(super) fn mirror() -> Arc<ByHand> {
    Arc::new(ByHand::new(Arc::new(Mirror)).expect("descriptors for a poller"))
}

/// Echoes the request.
pub(super) struct Mirror;

impl Service for Mirror {
    fn start(&self, exchange: &mut Exchange, _wakers: &dyn Wakers) -> BodyPlan {
        match exchange.request.path() {
            // Whether an unwanted body is discarded depends on whether it comes, if the client has asked.
            "/discard" if !exchange.request.head.expects_continue() => BodyPlan::Discard,
            _ => BodyPlan::Read { limit: 1000, memory: 100 },
        }
    }

    fn run(&self, exchange: &mut Exchange, _wakers: &dyn Wakers) -> Progress {
        let request = &mut exchange.request;
        let path = request.decode_path();
        let decoded = request.decode_parameters().map_err(|error| error.message);
        let mut text = format!("{} {} {path:?}\n", request.method(), request.head.target());
        let _ = writeln!(text, "segments {:?}", request.segments().collect::<Vec<_>>());
        let _ = writeln!(text, "parameters {:?} {decoded:?}", request.all_parameters().collect::<Vec<_>>());
        let _ = writeln!(text, "cookies {:?}", request.head.cookies().collect::<Vec<_>>());
        let accept = request.header("accept").unwrap_or_default();
        let _ = writeln!(text, "accepts {:?}", best_media_type(accept, &["text/html", "application/json"]));
        let _ = writeln!(text, "headers {:?}", request.headers().collect::<Vec<_>>());
        let body = match request.body.take() {
            RequestBody::Memory(content) => content,
            RequestBody::File { mut file, .. } => {
                let mut content = Vec::new();
                file.read_to_end(&mut content).expect("a spooled body");
                content
            }
            _ => Vec::new(),
        };
        let _ = writeln!(text, "body {}", body.escape_ascii());
        if exchange.request.path() == "/stream" {
            exchange.response.set_body(Stream::new(text.lines().map(str::to_owned).collect::<Vec<_>>()));
        } else {
            exchange.response.set_body(text);
        }
        Progress::Done
    }

    fn refuse(&self, exchange: &mut Exchange, refusal: &Refusal) {
        exchange.response.set_status(refusal.status());
        exchange.response.set_body(refusal.to_string());
    }

    fn end(&self, _exchange: &mut Exchange, _delivery: &Delivery) {}
}

pub(super) fn timeless(output: &[u8]) -> Vec<u8> {
    const DATE: &[u8] = b"\r\ndate: ";
    let mut left = output;
    let mut result = Vec::new();
    while let Some(&byte) = left.first() {
        if left.starts_with(CONTINUE) {
            left = &left[CONTINUE.len()..];
        } else if left.len() > DATE.len() + 29 && left[..DATE.len()].eq_ignore_ascii_case(DATE) {
            result.extend_from_slice(DATE);
            left = &left[DATE.len() + 29..];
        } else {
            result.push(byte);
            left = &left[1..];
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    fn header() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => select(vec![
                "Connection: close", "Connection: keep-alive", "Cookie: a=1; b=\"2\"", "Accept: application/json;q=0.5",
                "Content-Type: application/x-www-form-urlencoded", "Expect: 100-continue", "Host: other", "X: \u{e4}",
                "Content-Length: 3", "Transfer-Encoding: chunked", "X:", "bad header",
            ]).prop_map(str::to_owned),
            1 => "[A-Za-z-]{1,8}: ?[ -~]{0,20}",
        ]
    }

    fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
        let content = || prop_oneof!["[a-z=&%0-9+]{0,20}", "[a-z]{90,130}", "[a-z]{990,1010}"];
        prop_oneof![
            3 => Just((String::new(), Vec::new())),
            2 => content().prop_map(|content| (format!("Content-Length: {}\r\n", content.len()), content.into_bytes())),
            2 => (vec(content(), 0..4), select(vec!["", ";a=b"]), select(vec!["", "Trailer: x\r\n", "bad"])).prop_map(
                |(chunks, extension, trailer)| {
                    let chunks: Vec<_> = chunks.iter().filter(|chunk| !chunk.is_empty()).collect();
                    let mut coded = String::new();
                    for chunk in chunks {
                        let _ = write!(coded, "{:x}{extension}\r\n{chunk}\r\n", chunk.len());
                    }
                    let _ = write!(coded, "0\r\n{trailer}\r\n");
                    ("Transfer-Encoding: chunked\r\n".to_owned(), coded.into_bytes())
                }
            ),
        ]
    }

    fn request() -> impl Strategy<Value = Vec<u8>> {
        let method = select(vec!["GET", "POST", "HEAD", "OPTIONS", "get", "BREW"]);
        let path = prop_oneof![
            select(vec!["/", "/discard", "/stream", "/a%2Fb?c=d&c=%zz", "*", "http://a/b"]).prop_map(str::to_owned),
            "/[a-z%/?&=.]{0,12}",
        ];
        let version = select(vec!["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2"]);
        (method, path, version, vec(header(), 0..3), body()).prop_map(|(method, path, version, headers, body)| {
            let mut bytes = format!("{method} {path} {version}\r\nHost: a\r\n").into_bytes();
            for header in headers {
                bytes.extend_from_slice(header.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(body.0.as_bytes());
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&body.1);
            bytes
        })
    }

    /// Requests in a row, some of them spoiled by a byte that is changed, added or lost.
    fn requests() -> impl Strategy<Value = Vec<u8>> {
        let spoil = (any::<Index>(), select(vec![0, b'\r', b'\n', b' ', b':', b'a', b'0', 0xff]), 0..3);
        (vec(request(), 1..5), proptest::option::weighted(0.4, spoil)).prop_map(|(requests, spoil)| {
            let mut bytes = requests.concat();
            if let Some((place, byte, kind)) = spoil {
                let place = place.index(bytes.len());
                match kind {
                    0 => bytes[place] = byte,
                    1 => bytes.insert(place, byte),
                    _ => drop(bytes.remove(place)),
                }
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn the_answers_do_not_depend_on_how_the_requests_are_split(
            input in requests(), cuts in vec(any::<Index>(), 0..8), each_byte in proptest::bool::weighted(0.1)
        ) {
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            if each_byte {
                places = (0..=input.len()).collect();
            }
            places.extend([0, input.len()]);
            places.sort_unstable();
            let pieces = places.windows(2).map(|ends| &input[ends[0]..ends[1]]);
            let whole = converse([&input[..]]);
            let split = converse(pieces);
            prop_assert_eq!(whole.escape_ascii().to_string(), split.escape_ascii().to_string(), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn a_conversation_has_one_answer_for_each_request() {
        let output = converse([
            &b"GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"[..],
        ]);
        let text = String::from_utf8(output).expect("text");
        assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
        assert!(text.contains(r#"parameters [("b", "c")]"#) && text.contains("body hi"), "{text}");
    }
}
