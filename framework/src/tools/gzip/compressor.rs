//! One compressor for every coding: content in, compressed bytes out. No response, no setting besides the level.

use crate::Error;
use crate::http::Coding;
use flate2::{Compress, Compression, FlushCompress, Status};

/// The state of one compression. Large (0.4 MB for gzip), so it is used again where that is possible.
pub(super) enum Compressor {
    Gzip(Compress),
    /// Empty once the end is written: this state cannot be used again.
    #[cfg(feature = "brotli")]
    Brotli(Option<Box<brotli::CompressorWriter<Vec<u8>>>>),
    #[cfg(feature = "zstd")]
    Zstd(zstd::stream::raw::Encoder<'static>),
}

/// The next event after the content that is given to a compressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// More, at once: output may wait for it.
    More,
    /// Perhaps a long pause: all content so far can be read from the output.
    Pause,
    /// The end, with the trailer of the coding.
    End,
}

impl Compressor {
    /// A compressor; `gzip_level` is for gzip alone.
    pub(super) fn new(coding: Coding, gzip_level: u32) -> Result<Self, Error> {
        match coding {
            Coding::Gzip => Ok(Self::Gzip(Compress::new_gzip(Compression::new(gzip_level), GZIP_WINDOW))),
            #[cfg(feature = "brotli")]
            Coding::Brotli => Ok(Self::Brotli(Some(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER,
                BROTLI_QUALITY,
                BROTLI_WINDOW,
            ))))),
            #[cfg(feature = "zstd")]
            Coding::Zstd => {
                let mut encoder = zstd::stream::raw::Encoder::new(ZSTD_LEVEL)?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(ZSTD_WINDOW))?;
                Ok(Self::Zstd(encoder))
            }
            #[cfg(not(all(feature = "brotli", feature = "zstd")))]
            other => Err(Error::unexpected(format!("this program is built without {}", other.name()))),
        }
    }

    /// Whether this program has a compressor for `coding`; if not, the cargo feature that brings it.
    pub(super) fn is_there_for(coding: Coding) -> Result<(), &'static str> {
        match coding {
            Coding::Brotli if cfg!(not(feature = "brotli")) => Err("brotli"),
            Coding::Zstd if cfg!(not(feature = "zstd")) => Err("zstd"),
            Coding::Gzip | Coding::Brotli | Coding::Zstd => Ok(()),
        }
    }

    /// Compresses `content` and appends the result to `out`.
    pub(super) fn compress(&mut self, content: &[u8], then: Then, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Gzip(state) => gzip(state, content, then, out),
            #[cfg(feature = "brotli")]
            Self::Brotli(state) => brotli(state, content, then, out),
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => zstd(encoder, content, then, out),
        }
    }

    /// Makes the compressor ready for other content, wherever it stopped. False when it cannot be used again.
    pub(super) fn reset(&mut self) -> bool {
        match self {
            Self::Gzip(state) => {
                state.reset();
                true
            }
            #[cfg(feature = "brotli")]
            Self::Brotli(_) => false,
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => zstd::stream::raw::Operation::reinit(encoder).is_ok(),
        }
    }
}

/// 32 KiB, the maximum of gzip.
const GZIP_WINDOW: u8 = 15;

/// The minimum of room for the output. A flush that finds less than six bytes would be written twice.
const ROOM: usize = 4 * 1024;

fn gzip(state: &mut Compress, mut content: &[u8], then: Then, out: &mut Vec<u8>) -> Result<(), Error> {
    let flush = match then {
        Then::More => FlushCompress::None,
        Then::Pause => FlushCompress::Sync,
        Then::End => FlushCompress::Finish,
    };
    loop {
        out.reserve(ROOM);
        let before = state.total_in();
        let status = state.compress_vec(content, out, flush)?;
        let taken = usize::try_from(state.total_in() - before).expect("no more is taken than was given");
        content = &content[taken..];
        let has_room = out.len() < out.capacity();
        let is_over = match then {
            // With room left, nothing more would come out.
            Then::More | Then::Pause => content.is_empty() && has_room,
            Then::End => status == Status::StreamEnd,
        };
        if is_over {
            return Ok(());
        }
    }
}

/// The first quality that beats gzip on pages: by 4 %, for four times the work. Less gives nothing; more is for files
/// ahead of time.
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: u32 = 5;

/// 256 KiB: more would cost memory for each response on its way and gain next to nothing on pages.
#[cfg(feature = "brotli")]
const BROTLI_WINDOW: u32 = 18;

#[cfg(feature = "brotli")]
const BROTLI_BUFFER: usize = 4 * 1024;

#[cfg(feature = "brotli")]
fn brotli(
    state: &mut Option<Box<brotli::CompressorWriter<Vec<u8>>>>,
    content: &[u8],
    then: Then,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    use std::io::Write;
    let Some(writer) = state else { return Err(Error::unexpected("content came after its end")) };
    writer.write_all(content)?;
    if then == Then::Pause {
        writer.flush()?;
    }
    out.append(writer.get_mut());
    if then == Then::End
        && let Some(writer) = state.take()
    {
        out.append(&mut writer.into_inner());
    }
    Ok(())
}

/// The library's own default: pages 3 % larger than gzip's, for half the work.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 3;

/// 256 KiB, as for Brotli; far below the 8 MiB that browsers read (RFC 9659).
#[cfg(feature = "zstd")]
const ZSTD_WINDOW: u32 = 18;

#[cfg(feature = "zstd")]
fn zstd(
    encoder: &mut zstd::stream::raw::Encoder<'static>,
    content: &[u8],
    then: Then,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    use zstd::stream::raw::{InBuffer, Operation, OutBuffer};
    let mut content = InBuffer::around(content);
    loop {
        out.reserve(ROOM);
        let end = out.len();
        let mut room = OutBuffer::around_pos(out, end);
        let is_taken = content.pos() == content.src.len();
        let left = match then {
            _ if !is_taken => encoder.run(&mut content, &mut room)?,
            Then::More => 0,
            Then::Pause => encoder.flush(&mut room)?,
            Then::End => encoder.finish(&mut room, true)?,
        };
        if is_taken && left == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn codings() -> impl Iterator<Item = Coding> {
        Coding::ALL.into_iter().filter(|coding| Compressor::is_there_for(*coding).is_ok())
    }

    /// Reads as much as can be read of content that may not have ended yet, and whether it has.
    fn read(coding: Coding, compressed: &[u8]) -> (Vec<u8>, bool) {
        let mut reader: Box<dyn Read> = match coding {
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(compressed)),
            #[cfg(feature = "brotli")]
            Coding::Brotli => Box::new(brotli::Decompressor::new(compressed, 4096)),
            #[cfg(feature = "zstd")]
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(compressed).unwrap()),
            #[cfg(not(all(feature = "brotli", feature = "zstd")))]
            other => panic!("no {}", other.name()),
        };
        let (mut content, mut buffer) = (Vec::new(), [0; 1000]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return (content, true),
                Ok(length) => content.extend_from_slice(&buffer[..length]),
                Err(_) => return (content, false),
            }
        }
    }

    /// Text and noise, larger than any window and buffer here.
    fn content() -> Vec<u8> {
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        let text = (0..60_000).flat_map(|number: u32| format!("line {number}, ").into_bytes());
        text.chain(noise.take(400_000)).collect()
    }

    #[test]
    fn content_comes_out_again_in_any_pieces() {
        let content = content();
        for coding in codings() {
            for (piece, then) in [(usize::MAX, Then::More), (70_000, Then::More), (4096, Then::Pause)] {
                let mut compressor = Compressor::new(coding, 5).unwrap();
                let mut out = Vec::new();
                for part in content.chunks(piece.min(content.len())) {
                    compressor.compress(part, then, &mut out).unwrap();
                }
                compressor.compress(b"", Then::End, &mut out).unwrap();
                assert!(read(coding, &out) == (content.clone(), true), "{coding:?} {piece} {then:?}");
            }
        }
    }

    #[test]
    fn all_that_came_before_a_pause_can_be_read() {
        for coding in codings() {
            let mut compressor = Compressor::new(coding, 5).unwrap();
            let mut out = Vec::new();
            for (count, part) in [b"one ", b"two ", b"six "].into_iter().enumerate() {
                compressor.compress(part, Then::Pause, &mut out).unwrap();
                assert_eq!(read(coding, &out), (b"one two six "[..(count + 1) * 4].to_vec(), false), "{coding:?}");
            }
        }
    }

    #[test]
    fn nothing_is_compressed_to_an_empty_content() {
        for coding in codings() {
            let mut out = Vec::new();
            Compressor::new(coding, 5).unwrap().compress(b"", Then::End, &mut out).unwrap();
            assert_eq!(read(coding, &out), (Vec::new(), true), "{coding:?}");
        }
    }

    #[test]
    fn a_compressor_is_new_again_after_a_reset_wherever_it_stopped() {
        for coding in codings() {
            let compress = |compressor: &mut Compressor| {
                let mut out = Vec::new();
                compressor.compress(b"content", Then::End, &mut out).unwrap();
                out
            };
            let expected = compress(&mut Compressor::new(coding, 5).unwrap());
            for then in [Then::More, Then::Pause, Then::End] {
                let mut compressor = Compressor::new(coding, 5).unwrap();
                compressor.compress(&[7; 100_000], then, &mut Vec::new()).unwrap();
                if compressor.reset() {
                    assert_eq!(compress(&mut compressor), expected, "{coding:?} {then:?}");
                }
            }
        }
    }

    #[test]
    fn the_head_of_gzip_tells_nothing_that_is_not_so() {
        let mut out = Vec::new();
        Compressor::new(Coding::Gzip, 5).unwrap().compress(b"content", Then::End, &mut out).unwrap();
        // Magic, deflate, no flags, no time, neither the best nor the fastest level (RFC 1952, section 2.3).
        assert_eq!(out[..9], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0]);
    }
}
