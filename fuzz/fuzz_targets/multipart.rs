//! Multipart bodies: where the input is split does not matter, and the parts of a sound body can be written and read
//! again. The first byte says where to split.
#![no_main]

use kirsch::http::{MultipartError, MultipartEvent, MultipartParser, PartHead, PartLimits};
use libfuzzer_sys::fuzz_target;

const LIMITS: PartLimits = PartLimits { parts: 8, head: 256 };
const TYPE: &str = "multipart/form-data; boundary=XX";

/// The parts, and whether the last boundary has come.
type Outcome = Result<(Vec<(PartHead, Vec<u8>)>, bool), MultipartError>;

fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut parser = MultipartParser::new(TYPE, LIMITS)?;
    let mut parts = Vec::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            let (used, event) = parser.next(piece)?;
            match event {
                MultipartEvent::More => assert_eq!(used, piece.len()),
                MultipartEvent::Part(head) => parts.push((head, Vec::new())),
                MultipartEvent::Content(content) => parts.last_mut().expect("a part").1.extend_from_slice(content),
                MultipartEvent::PartEnd | MultipartEvent::End => assert!(used > 0),
            }
            piece = &piece[used..];
        }
    }
    Ok((parts, parser.finish().is_ok()))
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let (first, second) = input.split_at(usize::from(cut).min(input.len()));
    let whole = parse([input]);
    assert_eq!(whole, parse([first, second]));
    assert_eq!(whole, parse(input.chunks(1)));
    if let Ok((parts, true)) = whole {
        let mut written = Vec::new();
        for (_, content) in &parts {
            written.extend_from_slice(b"--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n");
            written.extend_from_slice(content);
            written.extend_from_slice(b"\r\n");
        }
        written.extend_from_slice(b"--XX--");
        let contents = |parts: Vec<(PartHead, Vec<u8>)>| parts.into_iter().map(|(_, content)| content).collect::<Vec<_>>();
        let (again, ended) = parse([&written[..]]).expect("it is sound");
        assert!(ended);
        assert_eq!(contents(parts), contents(again));
    }
});
