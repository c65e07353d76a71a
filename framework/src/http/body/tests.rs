//! Request bodies, one rule a test, each in one piece, split at every byte, and byte by byte.

use super::super::noise::Noise;
use super::*;

/// The content, how many bytes of the input the body took, and whether it is complete; or the refusal.
type Outcome = Result<(Vec<u8>, usize, bool), Refusal>;

fn feed(framing: Framing, limits: BodyLimits, pieces: &[&[u8]]) -> Outcome {
    let mut decoder = BodyDecoder::new(framing, limits)?;
    let (mut content, mut used) = (Vec::new(), 0);
    for piece in pieces {
        let taken = decoder.decode(piece, &mut content)?;
        used += taken;
        assert!(taken == piece.len() || decoder.is_complete(), "input is left only behind the end");
    }
    Ok((content, used, decoder.is_complete()))
}

/// Decodes in every split and insists on one outcome.
fn decode_with(framing: Framing, limits: BodyLimits, input: &[u8]) -> Outcome {
    let whole = feed(framing, limits, &[input]);
    let single: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(whole, feed(framing, limits, &single), "byte by byte: {}", input.escape_ascii());
    for split in 0..input.len() {
        let (start, end) = input.split_at(split);
        assert_eq!(whole, feed(framing, limits, &[start, end]), "split at {split}: {}", input.escape_ascii());
    }
    whole
}

fn chunked(input: impl AsRef<[u8]>) -> Outcome {
    decode_with(Framing::Chunked, BodyLimits::default(), input.as_ref())
}

#[test]
fn a_request_without_framing_has_no_body() {
    assert_eq!(decode_with(Framing::None, BodyLimits::new(0), b"GET /"), Ok((vec![], 0, true)));
}

#[test]
fn a_length_takes_exactly_its_bytes() {
    let framing = Framing::Length(5);
    assert_eq!(decode_with(framing, BodyLimits::new(5), b"HelloGET /"), Ok((b"Hello".to_vec(), 5, true)));
    assert_eq!(decode_with(framing, BodyLimits::new(5), b"Hell"), Ok((b"Hell".to_vec(), 4, false)));
    assert_eq!(decode_with(Framing::Length(0), BodyLimits::new(0), b"GET"), Ok((vec![], 0, true)));
}

#[test]
fn a_length_over_the_limit_is_refused_before_the_body() {
    let refusal = BodyDecoder::new(Framing::Length(6), BodyLimits::new(5)).expect_err("6 > 5");
    assert_eq!(refusal, Refusal::BodyTooLarge { limit: 5 });
}

#[test]
fn what_remains_is_known_with_a_length_only() {
    let mut decoder = BodyDecoder::new(Framing::Length(5), BodyLimits::default()).expect("small");
    decoder.decode(b"He", &mut Vec::new()).expect("no rule broken");
    assert_eq!(decoder.remaining(), Some(3));
    let decoder = BodyDecoder::new(Framing::Chunked, BodyLimits::default()).expect("not known to be large");
    assert_eq!(decoder.remaining(), None);
}

#[test]
fn chunks_are_joined_and_the_next_request_is_left_alone() {
    let input = b"5\r\nHello\r\n00A\r\n, chunks!!\r\n0\r\n\r\nGET /";
    assert_eq!(chunked(input), Ok((b"Hello, chunks!!".to_vec(), input.len() - 5, true)));
    assert_eq!(chunked("0\r\n\r\n0\r\n\r\n"), Ok((vec![], 5, true)));
}

#[test]
fn a_body_that_is_cut_off_is_not_complete() {
    let input = b"5;a=b\r\nHello\r\n0\r\nA: b\r\n\r\n";
    for end in 0..input.len() {
        assert!(!chunked(&input[..end]).expect("no rule broken").2, "{end}");
    }
    assert!(chunked(input).expect("no rule broken").2);
}

#[test]
fn a_chunk_size_is_hexadecimal_digits_and_nothing_else() {
    for size in ["", "+5", "-5", "0x5", "5_0", " 5", "5 ", "g", ";a", "5\t", "\u{665}", "5\0"] {
        assert_eq!(chunked(format!("{size}\r\nHello\r\n0\r\n\r\n")), Err(Refusal::MalformedChunkSize), "{size:?}");
    }
}

#[test]
fn a_chunk_size_has_at_most_16_digits() {
    assert_eq!(chunked("0000000000000001\r\nx\r\n0\r\n\r\n").expect("16 digits").0, b"x");
    assert_eq!(chunked("00000000000000001\r\nx\r\n"), Err(Refusal::MalformedChunkSize));
}

#[test]
fn a_huge_chunk_size_does_not_overflow() {
    let limits = BodyLimits::new(u64::MAX - 1);
    let refusal = Err(Refusal::BodyTooLarge { limit: u64::MAX - 1 });
    assert_eq!(decode_with(Framing::Chunked, limits, b"ffffffffffffffff\r\n"), refusal);
    assert_eq!(decode_with(Framing::Chunked, limits, b"2\r\nab\r\nfffffffffffffffe\r\n"), refusal);
}

#[test]
fn every_line_of_the_chunked_coding_ends_in_crlf() {
    for (input, refusal) in [
        ("5\nHello\r\n0\r\n\r\n", Refusal::MalformedChunkSize),
        ("5\r\rHello\r\n0\r\n\r\n", Refusal::MalformedChunkSize),
        ("5\rHello\r\n0\r\n\r\n", Refusal::MalformedChunkSize),
        ("5\r\nHello\n0\r\n\r\n", Refusal::MalformedChunkEnd),
        ("5\r\nHelloo\r\n0\r\n\r\n", Refusal::MalformedChunkEnd),
        ("5\r\nHello0\r\n\r\n", Refusal::MalformedChunkEnd),
        ("5\r\nHello\r0\r\n\r\n", Refusal::MalformedChunkEnd),
        ("5\r\nHell\r\n0\r\n\r\n", Refusal::MalformedChunkEnd),
        ("0\r\n\n", Refusal::MalformedTrailer),
        ("0\r\n\rX", Refusal::MalformedTrailer),
        ("0\r\nA: b\n\r\n", Refusal::MalformedTrailer),
        ("0\r\nA: b\r\r\n", Refusal::MalformedTrailer),
    ] {
        assert_eq!(chunked(input), Err(refusal), "{input:?}");
    }
}

#[test]
fn extensions_are_dropped() {
    let (content, ..) = chunked("5;a=\"b;c\"\r\nHello\r\n0;x\r\n\r\n").expect("well-formed");
    assert_eq!(content, b"Hello");
}

#[test]
fn a_control_byte_in_an_extension_is_refused() {
    for extension in ["a\nb", "a\0", "\n", "a\x7f"] {
        let input = format!("5;{extension}\r\nHello\r\n");
        assert_eq!(chunked(&input), Err(Refusal::MalformedChunkExtension), "{input:?}");
    }
    assert_eq!(chunked("5;a\rb\r\nHello\r\n"), Err(Refusal::MalformedChunkSize));
}

#[test]
fn extensions_are_names_with_tokens_or_quoted_strings() {
    for extension in ["a", "a;b", "a=b;c=d", "a=\"\"", "a=\"\\\"\"", " a", "\ta \t= b", "a=\"b\" ;c", "a ;b"] {
        assert!(chunked(format!("1;{extension}\r\nx\r\n0\r\n\r\n")).is_ok(), "{extension:?}");
    }
    for extension in ["", ";", "a;", "=b", "a=", "a=b=c", "a[", "a=[", "a b", "a=b c", "a ", "a=\"b\"c", "a=\"b\" "] {
        let result = chunked(format!("1;{extension}\r\nx\r\n0\r\n\r\n"));
        assert_eq!(result, Err(Refusal::MalformedChunkExtension), "{extension:?}");
    }
}

#[test]
fn extensions_of_all_chunks_together_are_bounded() {
    let limits = BodyLimits { extensions: 5, ..BodyLimits::default() };
    let input = |last: &str| format!("1;abc\r\nx\r\n1;{last}\r\nx\r\n0\r\n\r\n");
    assert!(decode_with(Framing::Chunked, limits, input("de").as_bytes()).is_ok());
    let refusal = Err(Refusal::ChunkExtensionsTooLarge { limit: 5 });
    assert_eq!(decode_with(Framing::Chunked, limits, input("def").as_bytes()), refusal);
}

#[test]
fn endless_small_chunks_pass_the_limit() {
    let limits = BodyLimits::new(10);
    let input = b"1\r\nx\r\n".repeat(20);
    assert_eq!(decode_with(Framing::Chunked, limits, &input), Err(Refusal::BodyTooLarge { limit: 10 }));
    let mut exactly = b"1\r\nx\r\n".repeat(10);
    exactly.extend_from_slice(b"0\r\n\r\n");
    assert!(decode_with(Framing::Chunked, limits, &exactly).is_ok());
}

#[test]
fn a_chunk_over_the_limit_is_refused_before_its_content() {
    assert_eq!(decode_with(Framing::Chunked, BodyLimits::new(4), b"5\r"), Err(Refusal::BodyTooLarge { limit: 4 }));
}

#[test]
fn trailers_are_read_and_dropped() {
    let input = b"1\r\nx\r\n0\r\nContent-Length: 50\r\nB:\r\n\r\nGET /";
    assert_eq!(chunked(input), Ok((b"x".to_vec(), input.len() - 5, true)));
}

#[test]
fn a_trailer_is_a_field() {
    for trailer in ["A", "A b: c", ": b", " A: b", "A : b", "A: b\r\n c", "A: \0", "A: b\x7f"] {
        assert_eq!(chunked(format!("0\r\n{trailer}\r\n\r\n")), Err(Refusal::MalformedTrailer), "{trailer:?}");
    }
}

#[test]
fn trailers_are_bounded() {
    let limits = BodyLimits { trailers: 12, trailer_fields: 2, ..BodyLimits::default() };
    let decode = |input: &str| decode_with(Framing::Chunked, limits, input.as_bytes());
    assert!(decode("0\r\nA: b\r\nC: d\r\n\r\n").is_ok());
    assert_eq!(decode("0\r\nA: b\r\nC: de\r\n\r\n"), Err(Refusal::TrailersTooLarge { limit: 12 }));
    assert_eq!(decode("0\r\nA:\r\nB:\r\nC:\r\n\r\n"), Err(Refusal::TooManyTrailers { limit: 2 }));
}

#[test]
fn a_refused_body_stays_refused() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, BodyLimits::default()).expect("not known to be large");
    decoder.decode(b"x", &mut Vec::new()).expect_err("no size");
    let again = decoder.decode(b"5\r\nHello\r\n0\r\n\r\n", &mut Vec::new());
    assert_eq!(again, Err(Refusal::MalformedChunkSize));
    assert!(!decoder.is_complete());
}

#[test]
fn broken_bodies_never_panic_and_never_depend_on_the_split() {
    let seeds: [&[u8]; 3] = [
        b"5\r\nHello\r\n6;a=b\r\n World\r\n0\r\n\r\n",
        b"1\r\nx\r\n0;y\r\nA: b\r\nC: d\r\n\r\nGET / HTTP/1.1\r\n",
        b"ffff\r\nabc",
    ];
    let alphabet = b"\r\n\r\n0123afF;: =\"\tx\0\x7f\xff";
    let mut noise = Noise::new();
    for case in 0..20_000 {
        let mut input = seeds[noise.below(seeds.len())].to_vec();
        noise.mutate(&mut input, alphabet);
        let limits = BodyLimits { content: 5 + noise.next() % 100, extensions: 3, trailers: 13, trailer_fields: 2 };
        let whole = feed(Framing::Chunked, limits, &[&input]);
        let single: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(whole, feed(Framing::Chunked, limits, &single), "case {case}: {}", input.escape_ascii());
        let (start, end) = input.split_at(noise.below(input.len()));
        assert_eq!(whole, feed(Framing::Chunked, limits, &[start, end]), "case {case}: {}", input.escape_ascii());
    }
}
