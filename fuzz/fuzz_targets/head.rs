//! Request heads: whatever the bytes are, a head read at once and a head read byte by byte are the same, all of it can be asked for, and to
//! another parser it means the same.
#![no_main]

use kirsch::http::{HeadLimits, RequestHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let limits = HeadLimits { request_line: 256, head: 1024, fields: 16 };
    let mut whole = RequestHead::new();
    let outcome = whole.read(input, &mut 0, &limits);
    let (mut head, mut searched) = (RequestHead::new(), 0);
    let split = (1..=input.len()).map(|end| head.read(&input[..end], &mut searched, &limits)).find(|read| *read != Ok(None));
    assert_eq!(outcome, split.unwrap_or(Ok(None)));
    if let Ok(Some(length)) = outcome {
        assert!(length <= input.len());
        assert_eq!(whole.headers().collect::<Vec<_>>(), head.headers().collect::<Vec<_>>());
        assert_eq!((whole.path(), whole.query(), whole.framing()), (head.path(), head.query(), head.framing()));
        let _ = (whole.host(), whole.keep_alive(), whole.cookies().count(), whole.request_line().to_string());
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut other = httparse::Request::new(&mut fields);
        assert_eq!(other.parse(input), Ok(httparse::Status::Complete(length)));
        assert_eq!((other.method, other.path), (Some(whole.method().as_str()), Some(whole.target())));
        let known = other.headers.iter().filter(|field| !field.name.contains('_'));
        assert_eq!(whole.headers().collect::<Vec<_>>(), known.map(|field| (field.name, field.value)).collect::<Vec<_>>());
        let (mut text, mut ranges) = (String::new(), Vec::new());
        let _ = kirsch::http::decode_segments(whole.path(), &mut text, &mut ranges);
        for (start, end) in ranges {
            assert!(!text[start as usize..end as usize].is_empty());
        }
    }
});
