//! Request heads: a head read at once and a head read byte by byte are the same, all of it can be asked for, and its
//! fields mean what its lines say. Assertions of the library hold the parser and the names of its rules against each
//! other.
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
        let lines = input[..length].split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
        let lines = lines.skip_while(|line| line.is_empty()).skip(1).take_while(|line| !line.is_empty());
        let fields = lines.map(|line| line.split_at(line.iter().position(|&byte| byte == b':').unwrap()));
        let fields = fields.filter(|(name, _)| !name.contains(&b'_')).map(|(name, value)| (name, value[1..].trim_ascii()));
        assert!(whole.headers().map(|(name, value)| (name.as_bytes(), value)).eq(fields));
        let (mut text, mut ranges) = (String::new(), Vec::new());
        let _ = kirsch::http::decode_segments(whole.path(), &mut text, &mut ranges);
        for (start, end) in ranges {
            assert!(!text[start as usize..end as usize].is_empty());
        }
    }
});
