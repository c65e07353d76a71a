//! Encrypted conversations with the mirror, byte by byte: for tests, and for the fuzzer.

use super::Hand;
use super::mirror::{answers, mirror};
use crate::exchange::Connection;
use crate::server::connection::HttpConnection;
use rustls::ServerConfig;
use std::sync::Arc;

/// Sends these pieces to a server in the place of a handshake, and then ends the client's side.
///
/// # Panics
/// If the answer is neither whole records of TLS nor a response that refuses a plain request.
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "public for the fuzzer"))]
pub fn converse_encrypted<'a>(config: &Arc<ServerConfig>, pieces: impl IntoIterator<Item = &'a [u8]>) {
    let received = answers(connect(config), pieces);
    if received.starts_with(b"HTTP/1.1 4") || received.starts_with(b"HTTP/1.1 5") {
        return;
    }
    let mut answer = &received[..];
    while let [kind, 3, _, high, low, rest @ ..] = answer {
        assert!((20..24).contains(kind), "{kind} is no record");
        answer = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).expect("records are whole");
    }
    assert!(answer.is_empty(), "{}", received.escape_ascii());
}

/// A connection that begins with a handshake.
fn connect(config: &Arc<ServerConfig>) -> Hand {
    let server = mirror();
    let deadline = server.shared.scheduler.clock.now().after(server.shared.settings.tls.handshake_timeout);
    server.connect_by(|pipe| HttpConnection::with_handshake(pipe, Connection::default(), config.clone(), deadline))
}

#[cfg(test)]
mod tests {
    use super::super::Came;
    use super::super::mirror::{converse, timeless};
    use super::*;
    use crate::server::tests::tls::server_config;
    use crate::testing::encrypted::CLIENT_CONFIG;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use rustls::ClientConnection;
    use std::io::{Read, Write};
    use std::time::Instant;

    /// A client of rustls, and the server in its hand.
    struct Visitor {
        hand: Hand,
        session: ClientConnection,
        received: Vec<u8>,
    }

    impl Visitor {
        /// How the bytes of the client are cut.
        fn shake_hands(piece: usize) -> Self {
            let session = ClientConnection::new(CLIENT_CONFIG.clone(), "localhost".try_into().expect("a name"));
            let mut visitor =
                Self { hand: connect(&server_config()), session: session.expect("a client"), received: Vec::new() };
            while visitor.session.is_handshaking() {
                let bytes = visitor.sealed();
                visitor.send(bytes.chunks(piece));
            }
            let bytes = visitor.sealed();
            visitor.send(bytes.chunks(piece));
            visitor
        }

        /// The records of this plaintext, and what else the client has to say.
        fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
            self.session.writer().write_all(plain).expect("room");
            self.sealed()
        }

        fn sealed(&mut self) -> Vec<u8> {
            let mut bytes = Vec::new();
            while self.session.wants_write() {
                self.session.write_tls(&mut bytes).expect("memory");
            }
            bytes
        }

        fn send<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) {
            for piece in pieces {
                self.hand.send(piece);
                self.hear();
            }
        }

        /// Takes what the server sends.
        fn hear(&mut self) -> Came {
            loop {
                let mut bytes = Vec::new();
                let came = self.hand.receive(&mut bytes, Instant::now());
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    self.session.read_tls(&mut rest).expect("memory");
                    self.session.process_new_packets().expect("a server that keeps the rules");
                    let _ = self.session.reader().read_to_end(&mut self.received);
                }
                if !matches!(came, Came::Bytes(_)) {
                    return came;
                }
            }
        }

        /// Ends the client's side, and returns all that came, with whether it ended with the word for that.
        fn farewell(mut self) -> (Vec<u8>, bool) {
            self.hand.end_input();
            self.hear();
            // The reader fails at an end without the word.
            let _ = self.session.read_tls(&mut &[][..]);
            let is_regular = self.session.reader().read(&mut [0]).is_ok();
            (timeless(&self.received), is_regular)
        }
    }

    const REQUESTS: [&str; 2] = [
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "GET /stream HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
    ];

    fn plain_answers() -> Vec<u8> {
        converse([REQUESTS.concat().as_bytes()])
    }

    #[test]
    fn a_handshake_may_come_in_pieces_of_any_size() {
        for piece in [1, 2, 3, 5, 50, 1000] {
            let mut visitor = Visitor::shake_hands(piece);
            let bytes = visitor.seal(REQUESTS.concat().as_bytes());
            visitor.send(bytes.chunks(piece));
            assert_eq!(visitor.farewell(), (plain_answers(), true), "{piece}");
        }
    }

    #[test]
    fn two_requests_are_answered_alike_in_one_record_and_in_two_wherever_they_are_cut() {
        let expected = (plain_answers(), true);
        for records in [&[REQUESTS.concat()][..], &REQUESTS.map(str::to_owned)] {
            for cut in 0.. {
                let mut visitor = Visitor::shake_hands(usize::MAX);
                let bytes: Vec<u8> = records.iter().flat_map(|record| visitor.seal(record.as_bytes())).collect();
                if cut > bytes.len() {
                    break;
                }
                visitor.send([&bytes[..cut], &bytes[cut..]]);
                assert_eq!(visitor.farewell(), expected, "{cut} of {} records", records.len());
            }
        }
    }

    #[test]
    fn a_first_request_may_come_with_the_last_word_of_the_handshake() {
        let session = ClientConnection::new(CLIENT_CONFIG.clone(), "localhost".try_into().expect("a name"));
        let mut visitor =
            Visitor { hand: connect(&server_config()), session: session.expect("a client"), received: Vec::new() };
        visitor.session.writer().write_all(REQUESTS.concat().as_bytes()).expect("room");
        while visitor.session.wants_write() {
            let bytes = visitor.sealed();
            visitor.send([&bytes[..]]);
        }
        assert_eq!(visitor.farewell(), (plain_answers(), true));
    }

    #[test]
    fn a_changed_byte_ends_the_connection_without_an_answer() {
        let mut visitor = Visitor::shake_hands(usize::MAX);
        let mut bytes = visitor.seal(REQUESTS[0].as_bytes());
        bytes[20] ^= 1;
        visitor.hand.send(&bytes);
        let mut received = Vec::new();
        while let Came::Bytes(_) = visitor.hand.receive(&mut received, Instant::now()) {}
        // One record: the alert.
        assert_eq!((received.first(), received.len()), (Some(&23), 24));
    }

    #[test]
    fn an_idle_session_keeps_no_buffer() {
        let mut visitor = Visitor::shake_hands(usize::MAX);
        let body = "x".repeat(900);
        let bytes =
            visitor.seal(format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{body}").as_bytes());
        visitor.send([&bytes[..]]);
        let connection = visitor.hand.connection.as_ref().expect("it is kept");
        assert_eq!(connection.held(), 0);
    }

    #[test]
    fn updates_of_keys_and_empty_records_change_nothing() {
        let mut visitor = Visitor::shake_hands(usize::MAX);
        for request in ["GET /a HTTP/1.1\r\nHost: a\r\n\r\n"; 3] {
            visitor.session.refresh_traffic_keys().expect("TLS 1.3");
            let bytes = visitor.seal(request.as_bytes());
            visitor.send(bytes.chunks(7));
        }
        let heads = String::from_utf8_lossy(&visitor.received).matches("HTTP/1.1 200").count();
        assert_eq!(heads, 3);
    }

    #[test]
    fn a_part_of_a_message_of_the_engine_does_not_stand_in_the_way_of_an_answer() {
        let mut visitor = Visitor::shake_hands(usize::MAX);
        let request = visitor.seal(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
        visitor.session.refresh_traffic_keys().expect("TLS 1.3");
        let update = visitor.sealed();
        visitor.send([&[&request[..], &update[..10]].concat()[..]]);
        assert!(visitor.received.starts_with(b"HTTP/1.1 200"));
        visitor.send([&update[10..]]);
        let bytes = visitor.seal(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
        visitor.send([&bytes[..]]);
        assert_eq!(String::from_utf8_lossy(&visitor.received).matches("HTTP/1.1 200").count(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn whatever_comes_first_the_answer_is_in_order(
            change in proptest::option::of((any::<Index>(), any::<u8>())), noise in vec(any::<u8>(), 0..40), cut in any::<Index>(),
            keep in proptest::bool::ANY
        ) {
            let session = ClientConnection::new(CLIENT_CONFIG.clone(), "localhost".try_into().expect("a name"));
            let mut hello = Vec::new();
            session.expect("a client").write_tls(&mut hello).expect("memory");
            if let Some((place, byte)) = change {
                let place = place.index(hello.len());
                hello[place] = byte;
            }
            let input = if keep { [hello, noise].concat() } else { noise };
            let cut = cut.index(input.len() + 1);
            converse_encrypted(&server_config(), [&input[..cut], &input[cut..]]);
        }
    }
}
