//! Compressed messages (RFC 7692), each by itself: no side remembers the messages before.
//!
//! So a client that is silent holds no compressor. Compressor and decompressor belong to the thread that uses them.

use super::{Violation, Window};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::cell::RefCell;

thread_local! {
    /// One for each size of a window.
    static COMPRESSORS: RefCell<[Option<Compress>; 3]> = const { RefCell::new([const { None }; 3]) };
    static DECOMPRESSOR: RefCell<Option<Decompress>> = const { RefCell::new(None) };
}

/// Fast. The level below it panics in zlib-rs 0.6 when its output does not fit.
const LEVEL: u32 = 2;
/// How compressed data ends; left out on the wire.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// How much room is made at a time.
const PIECE: usize = 16 * 1024;

/// The message compressed, also where that gains nothing; `None` if the compressor fails.
pub(super) fn compressed(message: &[u8], window: Window) -> Option<Vec<u8>> {
    let place = match window {
        Window::Small => 0,
        Window::Medium => 1,
        Window::Any | Window::Full => 2,
    };
    COMPRESSORS.with_borrow_mut(|compressors| {
        let make = || Compress::new_with_window_bits(Compression::new(LEVEL), false, window.bits());
        let compressor = compressors[place].get_or_insert_with(make);
        compressor.reset();
        let mut out = Vec::with_capacity(message.len() / 2 + 64);
        loop {
            let used = usize::try_from(compressor.total_in()).ok()?;
            compressor.compress_vec(message.get(used..)?, &mut out, FlushCompress::Sync).ok()?;
            if compressor.total_in() == message.len() as u64 && out.len() < out.capacity() {
                break;
            }
            out.reserve(PIECE);
        }
        out.truncate(out.strip_suffix(&TAIL)?.len());
        Some(out)
    })
}

/// The message of compressed `data`, of at most `most` bytes.
pub(super) fn inflated(data: &[u8], most: usize) -> Result<Vec<u8>, Violation> {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = decompressor.get_or_insert_with(|| Decompress::new(false));
        decompressor.reset(false);
        let mut out = Vec::new();
        for mut input in [data, &TAIL] {
            loop {
                let room = PIECE.min(most.saturating_add(1) - out.len());
                out.reserve(room);
                let (before_in, before_out) = (decompressor.total_in(), out.len());
                let status = decompressor
                    .decompress_vec(input, &mut out, FlushDecompress::Sync)
                    .map_err(|_| Violation::NotDeflated)?;
                let used = usize::try_from(decompressor.total_in() - before_in).unwrap_or(usize::MAX);
                input = input.get(used..).unwrap_or_default();
                if out.len() > most {
                    return Err(Violation::TooLarge);
                }
                if status == Status::StreamEnd {
                    decompressor.reset(false);
                }
                let has_moved = used > 0 || out.len() > before_out;
                if !has_moved || (input.is_empty() && out.len() < out.capacity()) {
                    break;
                }
            }
            if !input.is_empty() {
                return Err(Violation::NotDeflated);
            }
        }
        Ok(out)
    })
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_read_again() {
        for length in [128, 1000, 16_384, 16_385, 1_000_000] {
            let message = b"guest 7: good morning, room; ".iter().copied().cycle().take(length).collect::<Vec<_>>();
            for window in [Window::Any, Window::Small, Window::Medium, Window::Full] {
                let small = compressed(&message, window).expect("it gains");
                assert!(small.len() < message.len() / 2);
                assert_eq!(inflated(&small, message.len()), Ok(message.clone()));
                assert_eq!(inflated(&small, message.len() - 1), Err(Violation::TooLarge));
            }
        }
    }

    #[test]
    fn a_client_needs_no_larger_window_than_it_has_asked_for() {
        // Two halves that are alike, far apart.
        let half = crate::random::bytes::<20_000>();
        let message = [half, half].concat();
        for window in [Window::Small, Window::Medium] {
            let mut small = compressed(&message, window).expect("it can be compressed");
            small.extend_from_slice(&TAIL);
            let mut client = Decompress::new_with_window_bits(false, window.bits());
            let mut read = Vec::with_capacity(message.len());
            // By small pieces, so that nothing but the window is there to refer to.
            for piece in small.chunks(100) {
                client.decompress_vec(piece, &mut read, FlushDecompress::Sync).expect("it is within the window");
            }
            assert!(read == message);
        }
        let full = compressed(&message, Window::Full).expect("it gains");
        assert!(full.len() < message.len() / 2 + 1000, "the full window sees that they are alike");
    }

    #[test]
    fn what_gains_nothing_is_read_again_too() {
        assert_eq!(compressed(b"", Window::Any), Some(vec![0]));
        for _ in 0..100 {
            for message in [&b""[..], b"short", &crate::random::bytes::<1000>(), &crate::random::bytes::<70_000>()] {
                let small = compressed(message, Window::Any).expect("it can be compressed");
                assert_eq!(inflated(&small, message.len()).as_deref(), Ok(message));
            }
        }
    }
}
