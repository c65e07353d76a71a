//! One connection to one server: requests and answers, each within the deadline.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The server's answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) outcome: Outcome,
    /// The number and the value, of an item that was asked for.
    pub(super) item: Option<(u64, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// There is none, or one is there already, or it has another number.
    NotDone,
    /// The server cannot do it, in its words. It goes on with the next request.
    Failed(String),
}

/// `S`: a stream, or its substitute in tests.
pub(super) struct Connection<S = BufReader<TcpStream>> {
    stream: S,
    timeout: Duration,
}

impl Connection {
    pub(super) fn open(name: &str, connect_timeout: Duration, timeout: Duration) -> io::Result<Self> {
        let has_port = name.rsplit_once(']').map_or(name, |(_, after)| after).contains(':');
        let name = if has_port { name.to_owned() } else { format!("{name}:11211") };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in name.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, connect_timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(timeout))?;
                    stream.set_write_timeout(Some(timeout))?;
                    return Ok(Self { stream: BufReader::new(stream), timeout });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The answers to so many requests.
    pub(super) fn ask(&mut self, message: &[u8], requests: usize) -> io::Result<Vec<Reply>> {
        self.stream.get_mut().write_all(message)?;
        let deadline = Instant::now() + self.timeout;
        (0..requests).map(|_| self.answer(deadline)).collect()
    }

    pub(super) fn line_for(&mut self, message: &[u8]) -> io::Result<String> {
        self.stream.get_mut().write_all(message)?;
        self.line(Instant::now() + self.timeout)
    }
}

impl<S: BufRead> Connection<S> {
    fn answer(&mut self, deadline: Instant) -> io::Result<Reply> {
        let line = self.line(deadline)?;
        let mut words = line.split(' ');
        let outcome = match words.next() {
            Some("HD" | "OK") => Outcome::Done,
            Some("EN" | "NS" | "EX" | "NF") => Outcome::NotDone,
            Some("VA") => {
                let size: usize =
                    words.next().and_then(|size| size.parse().ok()).ok_or_else(|| not_understood(&line))?;
                let cas =
                    words.find_map(|flag| flag.strip_prefix('c')?.parse().ok()).ok_or_else(|| not_understood(&line))?;
                // The server's own largest item is far below.
                if size > 1 << 30 {
                    return Err(not_understood(&line));
                }
                let item = Some((cas, self.value(size, deadline)?));
                return Ok(Reply { outcome: Outcome::Done, item });
            }
            // Only this request fails: its own bytes are skipped, and the next ones are answered.
            Some("SERVER_ERROR") => Outcome::Failed(line),
            _ => return Err(not_understood(&line)),
        };
        Ok(Reply { outcome, item: None })
    }

    /// A value, and the end of its line.
    fn value(&mut self, size: usize, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut value = Vec::new();
        while value.len() < size + 2 {
            let part = self.more(deadline)?;
            let part = &part[..part.len().min(size + 2 - value.len())];
            value.extend_from_slice(part);
            let length = part.len();
            self.stream.consume(length);
        }
        if value.split_off(size) != b"\r\n" {
            return Err(not_understood("a value that does not end where it should"));
        }
        Ok(value)
    }

    fn line(&mut self, deadline: Instant) -> io::Result<String> {
        const LONGEST: usize = 2048;
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let part = self.more(deadline)?;
            let end = part.iter().position(|byte| *byte == b'\n').map_or(part.len(), |index| index + 1);
            line.extend_from_slice(&part[..end]);
            self.stream.consume(end);
            if line.len() > LONGEST {
                break;
            }
        }
        let text = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
        text.map(str::to_owned).ok_or_else(|| not_understood(&String::from_utf8_lossy(&line)))
    }

    /// The next bytes, at least one. A server that sends them one by one does not put off the deadline.
    fn more(&mut self, deadline: Instant) -> io::Result<&[u8]> {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let part = self.stream.fill_buf()?;
        if part.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(part) }
    }
}

fn not_understood(line: &str) -> io::Error {
    let start: String = line.chars().take(100).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("it says {start:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// The answers in this text, which comes in parts of so many bytes.
    fn answers(text: &str, part: usize) -> io::Result<Vec<Reply>> {
        let stream = BufReader::with_capacity(part, text.as_bytes());
        let mut connection = Connection { stream, timeout: PATIENCE };
        let mut answers = Vec::new();
        while !connection.stream.fill_buf()?.is_empty() {
            answers.push(connection.answer(Instant::now() + PATIENCE)?);
        }
        Ok(answers)
    }

    #[test]
    fn answers_are_the_same_wherever_they_are_cut() {
        let text = "HD\r\nVA 4 c17\r\na\r\nb\r\nEN\r\nSERVER_ERROR out of memory\r\nHD\r\n";
        let whole = answers(text, 1000).expect("answers");
        assert_eq!(whole[1].item, Some((17, b"a\r\nb".to_vec())));
        assert_eq!(whole[3].outcome, Outcome::Failed("SERVER_ERROR out of memory".to_owned()));
        assert_eq!((whole.len(), &whole[2].outcome, &whole[4].outcome), (5, &Outcome::NotDone, &Outcome::Done));
        assert!((1..text.len()).all(|part| answers(text, part).is_ok_and(|answers| answers == whole)));
    }

    #[test]
    fn a_malformed_answer_ends_the_connection() {
        let long = format!("{}\r\n", "H".repeat(5000));
        for text in
            ["+PONG\r\n", "VA x c1\r\n", "VA 1 f0\r\nx\r\n", "VA 1 c1\r\nxyz", "VA 9999999999999 c1\r\n", "HD", &long]
        {
            assert!(answers(text, 16).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_that_come_one_by_one_do_not_put_off_the_deadline() {
        let mut connection = Connection { stream: &b"VA 4 c17\r\nabcd\r\n"[..], timeout: PATIENCE };
        let past = Instant::now() - Duration::from_millis(1);
        assert_eq!(connection.answer(past).map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    }
}
