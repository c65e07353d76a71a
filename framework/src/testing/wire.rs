//! Responses as bytes: a strict reader for HTTP/1.1 responses (RFC 9112), written for tests.
//!
//! It knows nothing of the server's writer. Mistakes that a lenient client would pass over are errors here: a bare LF,
//! a space before a colon, a folded field, two lengths, a body where none may be, a missing last chunk. It does not
//! decide where bytes come from (a [`Transport`] does) or what to ask.

use super::ClientError;
#[cfg(feature = "tls")]
use super::encrypted::Encrypted;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Where response bytes come from.
pub(super) trait Transport: Send {
    /// Appends the bytes that have arrived to `received`, waiting until `deadline` for the first byte; 0 is the end of
    /// the stream.
    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<usize>;
}

/// The receiving side of one connection: bytes that came and were not yet used.
pub(super) struct Wire<T> {
    pub(super) transport: T,
    received: Vec<u8>,
}

/// The status line and the fields of a response.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) version: &'static str,
    pub(super) fields: Vec<(String, String)>,
}

/// The rest of a response body, and how its end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyState {
    /// This many bytes.
    Length(u64),
    /// Chunks, until the last one.
    Chunked,
    /// All until the connection ends.
    UntilClose,
    /// Nothing.
    Complete,
}

impl<T: Transport> Wire<T> {
    pub(super) fn new(transport: T) -> Self {
        Self { transport, received: Vec::new() }
    }

    /// Bytes that came after everything that was read.
    pub(super) fn unread(&self) -> &[u8] {
        &self.received
    }

    /// Everything until the connection ends.
    pub(super) fn read_to_end(&mut self, deadline: Instant) -> Result<Vec<u8>> {
        while self.transport.receive(&mut self.received, deadline)? > 0 {}
        Ok(std::mem::take(&mut self.received))
    }

    /// The next head, interim responses included.
    pub(super) fn read_head(&mut self, deadline: Instant) -> Result<Head> {
        let line = self.line("the status line", deadline)?;
        let (version, rest) = if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            ("HTTP/1.1", rest)
        } else if let Some(rest) = line.strip_prefix("HTTP/1.0 ") {
            ("HTTP/1.0", rest)
        } else {
            return Err(broken("the status line", &line));
        };
        let (code, reason) = rest.split_once(' ').ok_or_else(|| broken("the status line", &line))?;
        let status = code.parse().ok().filter(|status| code.len() == 3 && (100..600).contains(status));
        let status = status.ok_or_else(|| broken("the status code", &line))?;
        let mut fields = Vec::new();
        loop {
            let line = self.line("a header field", deadline)?;
            if line.is_empty() {
                return Ok(Head { status, reason: reason.to_owned(), version, fields });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken("a header field", &line))?;
            if name.is_empty() || !name.bytes().all(is_token_byte) {
                return Err(broken("the name of a header field", &line));
            }
            let value = value.trim_matches([' ', '\t']);
            if value.chars().any(|c| c.is_control() && c != '\t') {
                return Err(broken("the value of a header field", &line));
            }
            fields.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The next piece of the body: one chunk of a chunked body, else the bytes that have arrived; `None` when it is
    /// complete.
    pub(super) fn next_piece(&mut self, body: &mut BodyState, deadline: Instant) -> Result<Option<Vec<u8>>> {
        match *body {
            BodyState::Complete => Ok(None),
            BodyState::Length(remaining) => {
                if self.received.is_empty() {
                    self.more(&format!("{remaining} more bytes of the body"), deadline)?;
                }
                let available = usize::try_from(remaining).unwrap_or(usize::MAX).min(self.received.len());
                let remaining = remaining - available as u64;
                *body = if remaining == 0 { BodyState::Complete } else { BodyState::Length(remaining) };
                Ok(Some(self.received.drain(..available).collect()))
            }
            BodyState::UntilClose => {
                if self.received.is_empty() && self.transport.receive(&mut self.received, deadline)? == 0 {
                    *body = BodyState::Complete;
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.received)))
            }
            BodyState::Chunked => {
                let line = self.line("the size of a chunk", deadline)?;
                let plain = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
                let size = usize::from_str_radix(&line, 16).ok().filter(|_| plain);
                let size = size.ok_or_else(|| broken("the size of a chunk", &line))?;
                if size == 0 {
                    let end = self.line("the end of the last chunk", deadline)?;
                    if !end.is_empty() {
                        return Err(broken("the end of the last chunk (no trailers are expected)", &end));
                    }
                    *body = BodyState::Complete;
                    return Ok(None);
                }
                while self.received.len() < size + 2 {
                    self.more("the rest of a chunk", deadline)?;
                }
                let chunk = self.received.drain(..size).collect();
                let end: Vec<u8> = self.received.drain(..2).collect();
                if end != b"\r\n" {
                    return Err(broken("the CRLF behind a chunk", &String::from_utf8_lossy(&end)));
                }
                Ok(Some(chunk))
            }
        }
    }

    /// So many bytes.
    #[cfg(feature = "websocket")]
    pub(super) fn read_exactly(&mut self, count: usize, what: &str, deadline: Instant) -> Result<Vec<u8>> {
        while self.received.len() < count {
            self.more(what, deadline)?;
        }
        Ok(self.received.drain(..count).collect())
    }

    /// One line without its CRLF.
    fn line(&mut self, what: &str, deadline: Instant) -> Result<String> {
        let mut searched = 0;
        let end = loop {
            if let Some(found) = self.received[searched..].iter().position(|&byte| byte == b'\n') {
                break searched + found;
            }
            searched = self.received.len();
            self.more(what, deadline)?;
        };
        let line: Vec<u8> = self.received.drain(..=end).collect();
        let text = String::from_utf8_lossy(&line).into_owned();
        match text.strip_suffix("\r\n") {
            Some(line) if !line.contains('\r') => Ok(line.to_owned()),
            _ => Err(ClientError::new(format!("{what} is not ended by CR LF alone: {text:?}"))),
        }
    }

    /// Waits for at least one more byte.
    fn more(&mut self, what: &str, deadline: Instant) -> Result<()> {
        let count = self.transport.receive(&mut self.received, deadline).map_err(|error| {
            let so_far = String::from_utf8_lossy(&self.received);
            ClientError::new(format!("waiting for {what}: {error} (received so far: {so_far:?})"))
        })?;
        if count == 0 {
            let so_far = String::from_utf8_lossy(&self.received);
            return Err(ClientError::new(format!(
                "the server closed the connection before {what} (received so far: {so_far:?})"
            )));
        }
        Ok(())
    }
}

impl Head {
    /// The first field of that name, in any case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All fields of that name, in any case.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the server ends the connection after this response.
    pub(super) fn closes(&self) -> bool {
        let has = |wanted: &str| {
            self.values("connection").flat_map(|v| v.split(',')).any(|v| v.trim().eq_ignore_ascii_case(wanted))
        };
        has("close") || (self.version == "HTTP/1.0" && !has("keep-alive"))
    }

    /// How the body that follows is framed (RFC 9112, section 6.3), for a response to a HEAD request or not.
    pub(super) fn body(&self, to_head: bool) -> Result<BodyState> {
        let lengths: Vec<_> = self.values("content-length").collect();
        let codings: Vec<_> = self.values("transfer-encoding").collect();
        let fault = |problem: &str| Err(ClientError::new(format!("{problem}: {self:?}")));
        if lengths.len() + codings.len() > 1 {
            return fault("more than one of Content-Length and Transfer-Encoding");
        }
        let without_body = self.status < 200 || self.status == 204;
        if without_body && lengths.len() + codings.len() > 0 {
            return fault("a response of this status must not have Content-Length or Transfer-Encoding");
        }
        let state = match (lengths.first(), codings.first()) {
            (Some(length), _) => match length.parse::<u64>() {
                Ok(number) if number.to_string() == *length => BodyState::Length(number),
                _ => return fault("Content-Length is not a plain number"),
            },
            (None, Some(&"chunked")) if self.version == "HTTP/1.1" => BodyState::Chunked,
            (None, Some(_)) => return fault("Transfer-Encoding is not what this client was told it may get"),
            (None, None) => BodyState::UntilClose,
        };
        if to_head || without_body || self.status == 304 || state == BodyState::Length(0) {
            return Ok(BodyState::Complete);
        }
        if state == BodyState::UntilClose && !self.closes() {
            return fault("a body without length on a connection that is not announced to close");
        }
        Ok(state)
    }
}

fn broken(what: &str, line: &str) -> ClientError {
    ClientError::new(format!("{what} breaks the rules of HTTP/1.1: {line:?}"))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A TCP connection to the server, perhaps with TLS on it.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    #[cfg(feature = "tls")]
    session: Option<Encrypted>,
}

impl Socket {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self {
            stream,
            #[cfg(feature = "tls")]
            session: None,
        }
    }

    /// Makes a handshake with the server.
    #[cfg(feature = "tls")]
    pub(super) fn encrypted(
        mut stream: TcpStream,
        identity: Option<&Arc<rustls::ClientConfig>>,
        deadline: Instant,
    ) -> Result<Self> {
        let session = Encrypted::connect(&mut stream, identity, deadline)?;
        Ok(Self { stream, session: Some(session) })
    }

    /// Says that nothing more will be sent.
    pub(super) fn end(&mut self) -> std::io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(session) = &mut self.session {
            session.take_leave(&mut self.stream)?;
        }
        self.stream.shutdown(Shutdown::Write)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.session.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Sends all of `bytes`.
    pub(super) fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> Result<()> {
        #[cfg(feature = "tls")]
        if let Some(session) = &mut self.session {
            return session.send(&mut self.stream, bytes, deadline);
        }
        while !bytes.is_empty() {
            let waited = until(deadline).and_then(|wait| self.stream.set_write_timeout(Some(wait)).map_err(describe));
            waited.map_err(|error| ClientError::new(format!("sending {} more bytes: {error}", bytes.len())))?;
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(describe(error)),
            }
        }
        Ok(())
    }
}

impl Transport for Socket {
    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(session) = &mut self.session {
            return session.receive(&mut self.stream, received, deadline);
        }
        let mut buffer = [0; 16 * 1024];
        loop {
            self.stream.set_read_timeout(Some(until(deadline)?)).map_err(describe)?;
            match self.stream.read(&mut buffer) {
                Ok(count) => {
                    received.extend_from_slice(&buffer[..count]);
                    return Ok(count);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(describe(error)),
            }
        }
    }
}

/// The time left until `deadline`, never zero: the socket would take zero as no limit.
pub(super) fn until(deadline: Instant) -> Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ClientError::new("the client's deadline has passed"));
    }
    Ok(left.max(Duration::from_millis(1)))
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn describe(error: std::io::Error) -> ClientError {
    ClientError::new(match error.kind() {
        ErrorKind::ConnectionReset => "the server reset the connection".to_owned(),
        ErrorKind::BrokenPipe => "the server has closed the connection".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out its bytes one at a time, the hardest way to receive a response.
    struct Drip(std::vec::IntoIter<u8>);

    impl Transport for Drip {
        fn receive(&mut self, received: &mut Vec<u8>, _deadline: Instant) -> Result<usize> {
            let next = self.0.next();
            received.extend(next);
            Ok(usize::from(next.is_some()))
        }
    }

    fn read(bytes: &str) -> Result<(Head, Vec<Vec<u8>>)> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut wire = Wire::new(Drip(bytes.as_bytes().to_vec().into_iter()));
        let head = wire.read_head(deadline)?;
        let mut body = head.body(false)?;
        let mut pieces = Vec::new();
        while let Some(piece) = wire.next_piece(&mut body, deadline)? {
            pieces.push(piece);
        }
        Ok((head, pieces))
    }

    fn refused(bytes: &str, because: &str) {
        let error = read(bytes).expect_err("a broken response was accepted");
        assert!(error.to_string().contains(because), "{error}");
    }

    #[test]
    fn chunks_come_one_by_one() {
        let (head, pieces) =
            read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
                .expect("a response");
        assert_eq!(head.status, 200);
        assert_eq!(pieces, [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn a_body_by_length_ends_where_the_length_says() {
        let (_, pieces) = read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabXX").expect("a response");
        assert_eq!(pieces.concat(), b"ab");
    }

    #[test]
    fn a_missing_last_chunk_is_noticed() {
        refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", "closed the connection before");
    }

    #[test]
    fn a_body_that_is_too_short_is_noticed() {
        refused("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "4 more bytes");
    }

    #[test]
    fn two_lengths_are_refused() {
        refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "more than one");
        refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na", "more than one");
    }

    #[test]
    fn a_bare_line_feed_is_refused() {
        refused("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "CR LF");
    }

    #[test]
    fn a_space_before_the_colon_is_refused() {
        refused("HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", "name of a header field");
    }

    #[test]
    fn a_body_without_length_needs_a_connection_that_closes() {
        refused("HTTP/1.1 200 OK\r\n\r\nabc", "not announced to close");
        let (_, pieces) = read("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc").expect("a response");
        assert_eq!(pieces.concat(), b"abc");
    }

    #[test]
    fn a_204_with_a_length_is_refused() {
        refused("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "must not have");
    }
}
