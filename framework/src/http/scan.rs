//! Searches in short texts: eight bytes at a time, without the set-up that a vector search needs.
//!
//! Most lines, targets and values of a head are shorter than a hundred bytes; there this is quicker than `memchr`,
//! which is made for long ones.

/// Where the first LF is, from `start` on.
pub(super) fn line_feed(bytes: &[u8], start: usize) -> Option<usize> {
    find(bytes, start, |word| equal(word, b'\n'), |byte| byte == b'\n')
}

/// Where the first byte that is not visible ASCII is, from `start` on.
pub(super) fn not_graphic(bytes: &[u8], start: usize) -> Option<usize> {
    let marks = |word| below(word, 0x21) | equal(word, 0x7f) | word & HIGHS;
    find(bytes, start, marks, |byte| !byte.is_ascii_graphic())
}

/// Whether one of these is among `bytes`.
pub(super) fn contains_any<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> bool {
    let marks = |word| wanted.iter().fold(0, |marks, &byte| marks | equal(word, byte));
    find(bytes, 0, marks, |byte| wanted.contains(&byte)).is_some()
}

/// Looks for the first byte that `is` wanted. In the eight bytes that `marks` returns, the lowest high bit belongs to
/// the first wanted byte; those above may be wrong.
#[inline]
fn find(bytes: &[u8], start: usize, marks: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = bytes.get(start..)?.as_chunks();
    let mut at = start;
    for word in words {
        let marked = marks(u64::from_le_bytes(*word));
        if marked != 0 {
            return Some(at + marked.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    rest.iter().position(|&byte| is(byte)).map(|offset| at + offset)
}

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES * 0x80;

/// Marks the bytes of `word` that are less than `limit`, which is at most 128.
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS
}

/// Marks the bytes of `word` that are `byte`.
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte at each place of a text, behind and before bytes of all kinds.
    #[test]
    fn the_first_wanted_byte_is_found_wherever_it_is() {
        for byte in 0..=u8::MAX {
            for length in 0..20 {
                for place in 0..length {
                    for behind in [b'a', b'\n', 0x0b, 0x80, 0xff, byte.wrapping_add(1)] {
                        let mut text = vec![b'a'; length];
                        text[place] = byte;
                        text[place + 1..].fill(behind);
                        for start in 0..=place {
                            let naive =
                                |is: fn(&u8) -> bool| text[start..].iter().position(is).map(|offset| start + offset);
                            assert_eq!(line_feed(&text, start), naive(|byte| *byte == b'\n'), "{text:?}");
                            assert_eq!(not_graphic(&text, start), naive(|byte| !byte.is_ascii_graphic()), "{text:?}");
                        }
                        let naive = text.iter().any(|byte| b"?#".contains(byte));
                        assert_eq!(contains_any(&text, [b'?', b'#']), naive, "{text:?}");
                    }
                }
            }
        }
    }
}
