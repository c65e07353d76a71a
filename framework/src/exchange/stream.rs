//! Content that is made while it is sent, chunk by chunk.
//!
//! A stream keeps its promise or breaks: with a length, it yields an error in place of a chunk that would be too much,
//! and in place of an end that would come too early. So the sender needs no checks of its own. After an error the
//! stream has ended and has dropped everything that it held.

use super::Error;
use std::io::{self, Read};

/// A response body made chunk by chunk: each item of an iterator is sent as one chunk, and the next one is made only
/// when the connection has room for it.
///
/// Sent as `text/html; charset=utf-8` unless the handler sets a content type. The session lock is released before the
/// first chunk. An item that is an error, and a panic, end the connection without the last chunk, so that the client
/// can tell that something is missing. When the client has gone, the iterator is dropped.
///
/// Without a length the response is chunked (RFC 9112, section 7.1); for a client of HTTP/1.0 it ends with the
/// connection.
pub struct Stream {
    chunks: Box<dyn Iterator<Item = Result<Vec<u8>, Error>> + Send>,
    /// How much it must still make.
    left: Option<u64>,
}

/// How much is read from a reader at a time.
const PIECE: usize = 64 * 1024;

impl Stream {
    /// A stream of the items of `chunks`.
    pub fn new<I>(chunks: I) -> Self
    where
        I: IntoIterator,
        I::IntoIter: Send + 'static,
        I::Item: Into<Vec<u8>>,
    {
        Self { chunks: Box::new(chunks.into_iter().map(|chunk| Ok(chunk.into()))), left: None }
    }

    /// A stream whose items may fail.
    pub fn fallible<I, C, E>(chunks: I) -> Self
    where
        I: IntoIterator<Item = Result<C, E>>,
        I::IntoIter: Send + 'static,
        C: Into<Vec<u8>>,
        E: Into<Error>,
    {
        let chunks = chunks.into_iter().map(|chunk| chunk.map(Into::into).map_err(Into::into));
        Self { chunks: Box::new(chunks), left: None }
    }

    /// A stream of the bytes of a reader: each read, of up to 64 KiB, is one chunk. A read that fails breaks the stream
    /// off.
    ///
    /// The reads happen on a worker while the response is sent: one that waits, as for a pipe, holds the worker so
    /// long.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    /// use std::io::Read;
    ///
    /// struct Numbers;
    ///
    /// #[handlers]
    /// impl Numbers {
    ///     #[expose]
    ///     fn zeros(&self) -> Text<Stream> {
    ///         Text(Stream::reader(std::io::repeat(b'0').take(100_000)))
    ///     }
    /// }
    ///
    /// let response = Client::in_process(App::new(Numbers)).get("/zeros").send();
    /// assert_eq!(response.bytes(), [b'0'; 100_000]);
    /// ```
    pub fn reader(mut reader: impl Read + Send + 'static) -> Self {
        let mut buffer = Vec::new();
        Self::fallible(std::iter::from_fn(move || {
            buffer.resize(PIECE, 0);
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(length) => return Some(Ok(buffer[..length].to_vec())),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Some(Err(error)),
                }
            }
        }))
    }

    /// Promises that the stream makes `length` bytes in all: it is sent with `Content-Length` instead of in chunks.
    ///
    /// A stream that makes more or less breaks the connection and the log says so; nothing is ever sent beyond the
    /// promised length.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// let digits = || Stream::new((0..10).map(|number| number.to_string()));
    /// let client = Client::in_process(App::new(Tree::new().index(move |_| digits().with_length(10))));
    /// client.get("/").send().assert_text("0123456789").assert_header("content-length", "10");
    /// ```
    #[must_use]
    pub fn with_length(mut self, length: u64) -> Self {
        self.left = Some(length);
        self
    }

    /// How many bytes the stream has promised, less those that it has made. `None` when it has promised nothing.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.left
    }
}

impl Iterator for Stream {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut chunk = self.chunks.next();
        if let Some(left) = &mut self.left {
            let made = match &chunk {
                Some(Ok(content)) => content.len() as u64,
                _ => 0,
            };
            match left.checked_sub(made) {
                None => chunk = Some(Err(Error::unexpected("the stream made more than it promised"))),
                Some(rest @ 1..) if chunk.is_none() => {
                    let problem = format!("the stream ended {rest} bytes before the length it promised");
                    chunk = Some(Err(Error::unexpected(problem)));
                }
                Some(rest) => *left = rest,
            }
        }
        if let Some(Err(_)) = chunk {
            self.chunks = Box::new(std::iter::empty());
            self.left = None;
        }
        chunk
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.left {
            Some(left) => write!(f, "Stream({left} bytes)"),
            None => f.write_str("Stream"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chunks of a stream until it ends or breaks, and whether it broke.
    fn made(stream: &mut Stream) -> (Vec<u8>, bool) {
        let mut content = Vec::new();
        for chunk in stream {
            match chunk {
                Ok(chunk) => content.extend(chunk),
                Err(_) => return (content, true),
            }
        }
        (content, false)
    }

    #[test]
    fn a_stream_that_keeps_its_promise_ends() {
        let mut stream = Stream::new(["one", "", "two", ""]).with_length(6);
        assert_eq!(stream.length(), Some(6));
        assert_eq!(made(&mut stream), (b"onetwo".to_vec(), false));
        assert_eq!(stream.length(), Some(0));
    }

    #[test]
    fn a_stream_that_makes_less_breaks() {
        let mut stream = Stream::new(["one", "two"]).with_length(7);
        assert_eq!(made(&mut stream), (b"onetwo".to_vec(), true));
        assert!(stream.next().is_none());
    }

    #[test]
    fn a_stream_that_makes_more_breaks_before_the_first_byte_too_much() {
        let mut stream = Stream::new(["one", "two", "three"]).with_length(5);
        assert_eq!(made(&mut stream), (b"one".to_vec(), true));
        assert!(stream.next().is_none());
    }

    #[test]
    fn a_reader_makes_one_chunk_of_each_read() {
        struct Reads(Vec<io::Result<&'static str>>);
        impl Read for Reads {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let content = self.0.remove(0)?.as_bytes();
                buffer[..content.len()].copy_from_slice(content);
                Ok(content.len())
            }
        }
        let interrupted = Err(io::ErrorKind::Interrupted.into());
        let failed = Err(io::ErrorKind::ConnectionReset.into());
        let mut stream = Stream::reader(Reads(vec![Ok("one"), interrupted, Ok("two"), failed]));
        assert_eq!(stream.next().unwrap().unwrap(), b"one");
        assert_eq!(stream.next().unwrap().unwrap(), b"two");
        assert!(stream.next().unwrap().is_err());
        let mut stream = Stream::reader(&[7; 100_000][..]);
        assert_eq!(stream.next().unwrap().unwrap(), [7; PIECE]);
        assert_eq!(made(&mut stream), (vec![7; 100_000 - PIECE], false));
    }
}
