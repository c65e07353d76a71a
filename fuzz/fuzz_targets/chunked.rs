//! The chunked coding: where the input is split does not matter, and decoded content comes back when it is coded again.
//! The first byte says where to split.
#![no_main]

use kirsch::http::{BodyDecoder, BodyLimits, Framing, Refusal, write_chunk, write_last_chunk};
use libfuzzer_sys::fuzz_target;

const LIMITS: BodyLimits = BodyLimits { content: 4096, extensions: 64, trailers: 64, trailer_fields: 4 };

fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, usize, bool), Refusal> {
    let mut decoder = BodyDecoder::new(Framing::Chunked, LIMITS)?;
    let (mut content, mut used) = (Vec::new(), 0);
    for piece in pieces {
        used += decoder.decode(piece, &mut content)?;
    }
    Ok((content, used, decoder.is_complete()))
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let (first, second) = input.split_at(usize::from(cut).min(input.len()));
    let whole = decode(&[input]);
    assert_eq!(whole, decode(&[first, second]));
    if let Ok((content, _, true)) = whole {
        let mut coded = Vec::new();
        write_chunk(&mut coded, &content);
        write_last_chunk(&mut coded);
        assert_eq!(decode(&[&coded]), Ok((content, coded.len(), true)));
    }
});
