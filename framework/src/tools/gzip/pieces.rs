//! Content that is compressed while it is sent.

use super::compressor::Then;
use super::pool::Lent;
use crate::exchange::ResponseBody;
use crate::{Error, Stream};

/// How much of large content is compressed at a time: the work between two looks at the socket.
const PIECE: usize = 64 * 1024;

/// The content as a stream of pieces. A stream stays as it is.
pub(super) fn in_pieces(body: ResponseBody) -> Stream {
    match body {
        ResponseBody::Empty => Stream::new(std::iter::empty::<Vec<u8>>()),
        ResponseBody::Static(content) => pieces_of(content),
        ResponseBody::Bytes(content) => pieces_of(content),
        ResponseBody::Shared(content) => pieces_of(content),
        ResponseBody::File(file) => file.into_stream(),
        ResponseBody::Stream(stream) => stream,
        ResponseBody::Push(_) => unreachable!("a push is not compressed"),
    }
}

fn pieces_of(content: impl AsRef<[u8]> + Send + 'static) -> Stream {
    let mut position = 0;
    Stream::new(std::iter::from_fn(move || {
        let rest = &content.as_ref()[position..];
        let piece = &rest[..rest.len().min(PIECE)];
        position += piece.len();
        (!piece.is_empty()).then(|| piece.to_vec())
    }))
}

/// Compresses a stream chunk by chunk. With [`Then::Pause`] each chunk can be read when it arrives; with [`Then::More`]
/// they are joined as is best for the size.
///
/// A stream that breaks off breaks the compressed one off, without the end of the coding. Source and compressor are let
/// go as soon as either has ended, and with the stream itself when the client has gone.
pub(super) fn compressed(source: Stream, compressor: Lent, then: Then) -> Stream {
    let mut state = Some((source, compressor));
    Stream::fallible(std::iter::from_fn(move || {
        let outcome = next(state.as_mut()?, then);
        if !matches!(outcome, Ok((_, Then::More | Then::Pause))) {
            state = None;
        }
        Some(outcome.map(|(out, _)| out))
    }))
}

/// The next chunk that is not empty, and what comes after.
fn next((source, compressor): &mut (Stream, Lent), then: Then) -> Result<(Vec<u8>, Then), Error> {
    let mut out = Vec::new();
    for chunk in source {
        let chunk = chunk?;
        if !chunk.is_empty() {
            compressor.compress(&chunk, then, &mut out)?;
        }
        if !out.is_empty() {
            return Ok((out, then));
        }
    }
    compressor.compress(&[], Then::End, &mut out)?;
    Ok((out, Then::End))
}

#[cfg(test)]
mod tests {
    use super::super::pool::{Kind, Pool};
    use super::*;
    use crate::http::Coding;
    use std::io::Read;
    use std::sync::Arc;

    fn gzip(source: Stream, then: Then) -> Stream {
        let pool = Arc::new(Pool::default());
        compressed(source, pool.lend(Kind { coding: Coding::Gzip, level: 5 }).unwrap(), then)
    }

    fn read(compressed: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(compressed).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn each_chunk_comes_when_it_was_made_and_empty_ones_do_not() {
        let stream = gzip(Stream::new(["", "one", "", "two"]), Then::Pause);
        let chunks: Vec<_> = stream.collect::<Result<_, _>>().unwrap();
        assert_eq!(chunks.len(), 3);
        assert_eq!(read(&chunks.concat()).unwrap(), b"onetwo");
    }

    #[test]
    fn a_stream_that_breaks_off_has_no_end() {
        let mut stream = gzip(Stream::fallible([Ok("one"), Err(Error::unexpected("no more"))]), Then::Pause);
        let first = stream.next().unwrap().unwrap();
        assert!(read(&first).is_err());
        assert!(stream.next().unwrap().is_err());
        assert!(stream.next().is_none());
    }

    #[test]
    fn a_stream_lets_go_when_it_ends_breaks_or_is_dropped() {
        let held = Arc::new(());
        let source = |fails: bool| {
            let held = Arc::clone(&held);
            Stream::fallible((0..2).map(move |number| match number {
                1 if fails => Err(Error::unexpected("no more")),
                _ => Ok(vec![b'x'; Arc::strong_count(&held)]),
            }))
        };
        for fails in [false, true] {
            let mut stream = gzip(source(fails), Then::Pause);
            assert_eq!(stream.by_ref().count(), if fails { 2 } else { 3 });
            assert_eq!(Arc::strong_count(&held), 1);
            drop(stream);
        }
        let mut stream = gzip(source(false), Then::Pause);
        stream.next();
        drop(stream);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn large_content_is_compressed_in_pieces() {
        let content: Vec<u8> =
            (0..200_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        for body in [ResponseBody::from(content.clone()), bytes::Bytes::from(content.clone()).into()] {
            let chunks: Vec<_> = gzip(in_pieces(body), Then::More).collect::<Result<_, _>>().unwrap();
            assert!(chunks.len() > 3 && chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() < 2 * PIECE));
            assert!(read(&chunks.concat()).unwrap() == content);
        }
    }
}
