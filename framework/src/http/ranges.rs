//! Parts of a content (RFC 9110, section 14): the ranges in a Range field, and the frame of an answer with several
//! parts.
//!
//! [`Precondition`](super::Precondition) decides before whether the field counts at all (GET, If-Range). Fields that
//! break the grammar, units other than bytes and more ranges than [`MAX_RANGES`] are ignored, as section 14.2 allows:
//! the answer is the whole content, which every client must be ready for. So no client gets more bytes than the content
//! has, and no mistake of a client is a 500 (CherryPy's `get_ranges` takes any number, overlapping ones too, and fails
//! on `Range: x`).

use std::ops::Range;

/// How many ranges one request may name. Video players and resumed downloads name one, viewers of documents a handful;
/// hundreds are only ever sent to make a server work.
pub const MAX_RANGES: usize = 16;

/// The result of a Range field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByteRanges {
    /// 200: the field does not count.
    Whole,
    /// 206: these parts, at least one; none is empty, overlaps another or touches it.
    Parts(Vec<Range<u64>>),
    /// 416: none of the ranges exists.
    Unsatisfiable,
}

impl ByteRanges {
    /// Reads the value of a Range field for a content of `length` bytes.
    ///
    /// Ranges that overlap or touch become one, at the place of the first of them; otherwise the client's order is
    /// kept.
    ///
    /// ```
    /// use kirsch::http::ByteRanges;
    ///
    /// assert_eq!(ByteRanges::parse(b"bytes=0-99, -100", 1000), ByteRanges::Parts(vec![0..100, 900..1000]));
    /// assert_eq!(ByteRanges::parse(b"bytes=0-99, 50-149, 150-", 1000), ByteRanges::Parts(vec![0..1000]));
    /// assert_eq!(ByteRanges::parse(b"bytes=1000-", 1000), ByteRanges::Unsatisfiable);
    /// assert_eq!(ByteRanges::parse(b"lines=1-2", 1000), ByteRanges::Whole);
    /// ```
    #[must_use]
    pub fn parse(value: &[u8], length: u64) -> Self {
        Self::read(value, length).unwrap_or(Self::Whole)
    }

    /// `None` when the field does not count.
    fn read(value: &[u8], length: u64) -> Option<Self> {
        let (unit, set) = std::str::from_utf8(value).ok()?.split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (mut count, mut parts) = (0, Vec::new());
        // Empty elements are ignored (RFC 9110, section 5.6.1).
        for text in set.split(',').map(|text| text.trim_matches([' ', '\t'])).filter(|text| !text.is_empty()) {
            count += 1;
            if count > MAX_RANGES {
                return None;
            }
            match parse_range(text, length)? {
                Some(range) if range.is_empty() => return None,
                Some(range) => add(&mut parts, range),
                None => {}
            }
        }
        match (count, parts.is_empty()) {
            (0, _) => None,
            (_, true) => Some(Self::Unsatisfiable),
            (_, false) => Some(Self::Parts(parts)),
        }
    }
}

/// The value of Content-Range for a part of a content of `length` bytes.
#[must_use]
pub fn content_range(part: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.start, part.end - 1)
}

/// The value of Content-Range in a 416.
#[must_use]
pub fn unsatisfied_range(length: u64) -> String {
    format!("bytes */{length}")
}

/// The frame of a `multipart/byteranges` body (RFC 9110, section 14.6): everything but the parts themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultipartFrame {
    /// The value of Content-Type.
    pub content_type: String,
    /// The text before each part.
    pub heads: Vec<String>,
    /// The text after the last part.
    pub end: String,
    /// The length of the whole body, frame and parts.
    pub length: u64,
}

impl MultipartFrame {
    /// The frame for `parts` of a content of `length` bytes and type `content_type`. The content must not contain
    /// `boundary`, which therefore should be random; it needs no quotes if it is made of letters and digits.
    #[must_use]
    pub fn new(parts: &[Range<u64>], length: u64, content_type: &str, boundary: &str) -> Self {
        let head = |(index, part): (usize, &Range<u64>)| {
            let before = if index == 0 { "" } else { "\r\n" };
            let range = content_range(part, length);
            format!("{before}--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {range}\r\n\r\n")
        };
        let heads: Vec<String> = parts.iter().enumerate().map(head).collect();
        let end = format!("\r\n--{boundary}--\r\n");
        let frame: usize = heads.iter().map(String::len).sum::<usize>() + end.len();
        let content: u64 = parts.iter().map(|part| part.end - part.start).sum();
        let content_type = format!("multipart/byteranges; boundary={boundary}");
        Self { content_type, heads, end, length: frame as u64 + content }
    }
}

/// One range of a set. The inner `None` is one that does not exist, the outer one a broken rule. An empty range is the
/// suffix of an empty content, which exists and cannot be written.
#[expect(clippy::option_option, reason = "the outer one says whether the range can be read")]
fn parse_range(text: &str, length: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = text.split_once('-')?;
    if first.is_empty() {
        let suffix = parse_number(last)?;
        return Some((suffix > 0).then(|| length.saturating_sub(suffix)..length));
    }
    let first = parse_number(first)?;
    let end = if last.is_empty() { length } else { parse_number(last)?.saturating_add(1) };
    if !last.is_empty() && end <= first {
        return None;
    }
    Some((first < length).then(|| first..end.min(length)))
}

/// Digits only; a number that is too large for 64 bits is as good as the largest one that is not.
fn parse_number(text: &str) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let add = |number: u64, byte| Some(number.saturating_mul(10).saturating_add(digit(byte)?));
    if text.is_empty() { None } else { text.bytes().try_fold(0, add) }
}

/// Adds a range, joined with all that it overlaps or touches.
fn add(parts: &mut Vec<Range<u64>>, mut range: Range<u64>) {
    let mut place = parts.len();
    // The joined range may now touch a part that was looked at before.
    while let Some(index) = parts.iter().position(|part| part.start <= range.end && range.start <= part.end) {
        let part = parts.remove(index);
        range = part.start.min(range.start)..part.end.max(range.end);
        place = place.min(index);
    }
    parts.insert(place, range);
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::*;

    fn parts(value: &str, length: u64) -> Option<Vec<Range<u64>>> {
        match ByteRanges::parse(value.as_bytes(), length) {
            ByteRanges::Parts(parts) => Some(parts),
            ByteRanges::Whole | ByteRanges::Unsatisfiable => None,
        }
    }

    #[test]
    fn first_last_and_suffix() {
        let table = [
            ("bytes=0-0", 0..1),
            ("bytes=0-", 0..1000),
            ("bytes=0-999", 0..1000),
            ("bytes=999-", 999..1000),
            ("bytes=500-2000", 500..1000),
            ("bytes=-1", 999..1000),
            ("bytes=-2000", 0..1000),
            ("BYTES=1-2", 1..3),
            ("bytes= 1-2 , ,", 1..3),
            ("bytes=1000-1001, 5-6", 5..7),
            ("bytes=-0, 5-6", 5..7),
            ("bytes=00000000000000000000000000000005-6", 5..7),
            ("bytes=5-99999999999999999999999999999999", 5..1000),
            ("bytes=-99999999999999999999999999999999", 0..1000),
            ("bytes=0-18446744073709551615", 0..1000),
        ];
        for (value, expected) in table {
            assert_eq!(parts(value, 1000), Some(vec![expected]), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        let table = [
            "",
            "x",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=1",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=1-b",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes=1 -2",
            "bytes=0-1,x",
            "lines=0-1",
            "bytes 0-1",
            "bytes =0-1",
            "=0-1",
            "bytes=0-1, 9-8",
            "bytes=0x1-2",
            "bytes=\u{661}-2",
        ];
        for value in table {
            assert_eq!(ByteRanges::parse(value.as_bytes(), 1000), ByteRanges::Whole, "{value}");
        }
        assert_eq!(ByteRanges::parse(b"bytes=\xff-", 1000), ByteRanges::Whole);
    }

    #[test]
    fn a_range_beyond_the_end_is_unsatisfiable() {
        for value in ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=99999999999999999999999999999999-"] {
            assert_eq!(ByteRanges::parse(value.as_bytes(), 1000), ByteRanges::Unsatisfiable, "{value}");
        }
        assert_eq!(ByteRanges::parse(b"bytes=0-", 0), ByteRanges::Unsatisfiable);
        assert_eq!(ByteRanges::parse(b"bytes=18446744073709551615-", u64::MAX), ByteRanges::Unsatisfiable);
        assert_eq!(unsatisfied_range(1000), "bytes */1000");
    }

    #[test]
    fn the_end_of_an_empty_content_is_the_whole_of_it() {
        assert_eq!(ByteRanges::parse(b"bytes=-5", 0), ByteRanges::Whole);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a list of one part is meant")]
    fn ranges_that_overlap_or_touch_become_one_in_the_clients_order() {
        let table = [
            ("bytes=0-9, 20-29", vec![0..10, 20..30]),
            ("bytes=20-29, 0-9", vec![20..30, 0..10]),
            ("bytes=0-9, 10-19", vec![0..20]),
            ("bytes=10-19, 0-9", vec![0..20]),
            ("bytes=0-9, 5-6, 0-9", vec![0..10]),
            ("bytes=50-59, 0-9, 20-29, 5-24", vec![50..60, 0..30]),
            ("bytes=20-29, 50-59, 0-9, 5-24", vec![0..30, 50..60]),
            ("bytes=0-, 0-, 0-, 0-, 0-", vec![0..1000]),
            ("bytes=-1, 0-0, 1-998", vec![0..1000]),
        ];
        for (value, expected) in table {
            assert_eq!(parts(value, 1000), Some(expected), "{value}");
        }
    }

    #[test]
    fn too_many_ranges_are_the_whole() {
        let many = |count: usize| {
            let set: Vec<String> = (0..count).map(|index| format!("{0}-{0}", index * 2)).collect();
            ByteRanges::parse(format!("bytes={}", set.join(",")).as_bytes(), 1000)
        };
        assert!(matches!(many(MAX_RANGES), ByteRanges::Parts(parts) if parts.len() == MAX_RANGES));
        assert_eq!(many(MAX_RANGES + 1), ByteRanges::Whole);
    }

    #[test]
    fn the_length_of_several_parts_is_that_of_their_body() {
        let content = "0123456789";
        let parts = [0..2, 8..10];
        let frame = MultipartFrame::new(&parts, 10, "text/plain", "XYZ");
        let mut body = String::new();
        for (head, part) in frame.heads.iter().zip([&content[0..2], &content[8..10]]) {
            body.push_str(head);
            body.push_str(part);
        }
        body.push_str(&frame.end);
        let expected = "--XYZ\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--XYZ\r\n\
                        Content-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--XYZ--\r\n";
        assert_eq!(body, expected);
        assert_eq!(frame.length, body.len() as u64);
        assert_eq!(frame.content_type, "multipart/byteranges; boundary=XYZ");
    }

    #[test]
    fn the_parts_are_always_apart_and_within() {
        let mut noise = Noise::new();
        for round in 0..20_000 {
            let mut value = b"bytes=0-9,5-30, -20,40-,60-61".to_vec();
            noise.mutate(&mut value, b"0123456789-,= b");
            let length = round % 80;
            if let ByteRanges::Parts(mut parts) = ByteRanges::parse(&value, length) {
                parts.sort_by_key(|part| part.start);
                assert!(parts.iter().all(|part| part.start < part.end && part.end <= length));
                assert!(parts.windows(2).all(|pair| pair[0].end < pair[1].start), "{parts:?}");
            }
        }
    }
}
