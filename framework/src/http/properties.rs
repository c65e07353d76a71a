//! Properties of the protocol that hold for all input, on random input. Rows of examples are in the tests of each file.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<u8>, usize, bool), Refusal> {
    let mut decoder = BodyDecoder::new(Framing::Chunked, BodyLimits::new(1 << 16))?;
    let (mut content, mut used) = (Vec::new(), 0);
    for piece in pieces {
        used += decoder.decode(piece, &mut content)?;
    }
    Ok((content, used, decoder.is_complete()))
}

/// Bytes that are likely to mean something to a parser.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => proptest::sample::select(b"aZ09 \t\r\n:;,=\"%&+*/?#-.~".to_vec()), 1 => any::<u8>()];
    vec(byte, 0..60)
}

/// A field line, often a good one.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let good =
        "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}:[ \t]{0,2}[!-~\u{a0}-\u{ff} \t]{0,20}\r\n".prop_map(String::into_bytes);
    prop_oneof![4 => good, 1 => noise()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn chunked_content_comes_back(chunks in vec(vec(any::<u8>(), 0..300), 0..6), rest in noise(), cut in any::<Index>()) {
        let mut coded = Vec::new();
        for chunk in &chunks {
            write_chunk(&mut coded, chunk);
        }
        write_last_chunk(&mut coded);
        let length = coded.len();
        coded.extend_from_slice(&rest);
        let expected = Ok((chunks.concat(), length, true));
        prop_assert_eq!(&decode([&coded[..]]), &expected);
        let (first, second) = coded[..length].split_at(cut.index(length + 1));
        prop_assert_eq!(decode([first, second]), expected);
    }

    #[test]
    fn a_segment_that_was_encoded_comes_back(segments in vec("[^\\x00]{1,12}", 0..5)) {
        let encode = |segment: &String| percent_encoding::percent_encode(segment.as_bytes(), percent_encoding::NON_ALPHANUMERIC).to_string();
        let path = format!("/{}", segments.iter().map(encode).collect::<Vec<_>>().join("/"));
        let (mut text, mut ranges) = (String::new(), Vec::new());
        prop_assert_eq!(decode_segments(&path, &mut text, &mut ranges), Ok(()));
        let decoded: Vec<_> = ranges.iter().map(|&(start, end)| &text[start as usize..end as usize]).collect();
        prop_assert_eq!(decoded, segments);
    }

    #[test]
    fn any_path_is_decoded_or_refused(path in "[/a%0-9A-F.+*\u{e4}\\x00]{0,30}") {
        let (mut text, mut ranges) = (String::new(), Vec::new());
        match decode_segments(&path, &mut text, &mut ranges) {
            Ok(()) => prop_assert!(ranges.iter().all(|&(start, end)| start < end && text.is_char_boundary(start as usize))),
            Err(_) => prop_assert!(text.is_empty() && ranges.is_empty()),
        }
    }

    #[test]
    fn a_cookie_that_was_set_comes_back(name in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,10}", value in "[!#-+\\--:<-\\[\\]-~]{0,20}", other in noise()) {
        let set = format!("{name}={value}");
        prop_assert_eq!(cookies(&set).next(), Some((&name[..], &value[..])));
        // A cookie of another program does not hide it.
        let mut field = other;
        field.extend_from_slice(b"; ");
        field.extend_from_slice(set.as_bytes());
        prop_assert_eq!(cookies(&field).last(), Some((&name[..], &value[..])));
    }

    #[test]
    fn any_cookie_and_accept_field_is_read(field in noise()) {
        for (name, value) in cookies(&field) {
            prop_assert!(!name.is_empty() && !value.contains(char::is_control), "{name:?} {value:?}");
        }
        let offered = ["text/html", "application/json"];
        let text = String::from_utf8_lossy(&field);
        prop_assert!(best_media_type(&text, &offered).is_none_or(|best| offered.contains(&best)));
    }

    #[test]
    fn a_form_that_was_written_comes_back_however_it_is_split(contents in vec(noise(), 0..4), cuts in vec(any::<Index>(), 0..6)) {
        // Bytes of noise that are a boundary by chance would end a part, as they should.
        prop_assume!(contents.iter().all(|content| memchr::memmem::find(content, b"--aZ").is_none()));
        let mut body = Vec::new();
        for content in &contents {
            body.extend_from_slice(b"--aZ\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--aZ--");
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([0, body.len()]).collect();
        places.sort_unstable();
        let mut parser = MultipartParser::new("multipart/form-data; boundary=aZ", PartLimits::default()).expect("a boundary");
        let mut read = Vec::new();
        for piece in places.windows(2).map(|ends| &body[ends[0]..ends[1]]) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (used, event) = parser.next(rest).expect("a sound body");
                match event {
                    MultipartEvent::Part(_) => read.push(Vec::new()),
                    MultipartEvent::Content(content) => read.last_mut().expect("a part").extend_from_slice(content),
                    _ => {}
                }
                rest = &rest[used..];
            }
        }
        prop_assert_eq!(parser.finish(), Ok(()));
        prop_assert_eq!(read, contents);
    }

    #[test]
    fn any_head_of_a_part_means_one_thing_however_it_is_split(boundary in "[!-~]{1,70}", noise in noise(), cut in any::<Index>(), is_folded in any::<bool>()) {
        let fold: &[u8] = if is_folded { b"\r\n " } else { b" " };
        let head = [b"Content-Disposition:", fold, b"form-data;", fold, b"name=\"x\"; filename=", &noise[..]].concat();
        let body = [b"--", boundary.as_bytes(), b"\r\n", &head, b"\r\n\r\ncontent\r\n--", boundary.as_bytes(), b"--"].concat();
        let quoted = boundary.replace('\\', "\\\\").replace('"', "\\\"");
        let content_type = format!("multipart/form-data; x=y; boundary=\"{quoted}\"");
        let read = |pieces: &[&[u8]]| -> Result<Vec<PartHead>, MultipartError> {
            let mut parser = MultipartParser::new(&content_type, PartLimits::default())?;
            let mut heads = Vec::new();
            for piece in pieces {
                let mut rest = *piece;
                while !rest.is_empty() {
                    let (used, event) = parser.next(rest)?;
                    if let MultipartEvent::Part(head) = event {
                        heads.push(head);
                    }
                    rest = &rest[used..];
                }
            }
            parser.finish().map(|()| heads)
        };
        let whole = read(&[&body]);
        let (first, second) = body.split_at(cut.index(body.len() + 1));
        prop_assert_eq!(&whole, &read(&[first, second]));
        prop_assert_eq!(&whole, &read(&body.chunks(1).collect::<Vec<_>>()));
        // Only a line that is not a field, or two names, can spoil it.
        if noise.iter().all(|byte| byte.is_ascii_graphic() && *byte != b';') {
            let heads = whole.expect("a sound body");
            prop_assert_eq!((heads.len(), &*heads[0].name, heads[0].file_name.is_some()), (1, "x", true));
        }
    }

    #[test]
    fn any_text_of_a_form_is_read_in_any_charset_or_refused(form in noise(), label in prop_oneof![Just("utf-8"), Just("latin1"), Just("utf-16"), Just("utf-16be")]) {
        let charset = Charset::of_label(label.as_bytes()).expect("a known one");
        for (name, value) in urlencoded(&form) {
            let read = charset.decode(&name).zip(charset.decode(&value));
            prop_assert!(read.is_some() || label != "latin1");
            prop_assert_eq!(charset == Charset::Utf8 && read.is_none(), label == "utf-8" && [name, value].iter().any(|bytes| std::str::from_utf8(bytes).is_err()));
        }
    }

    #[test]
    fn any_head_is_read_as_its_prefixes_are(input in noise()) {
        let input = [b"GET / HTTP/1.1\r\nHost: a\r\n", &input[..], b"\r\n\r\n"].concat();
        let limits = HeadLimits::default();
        let whole = RequestHead::new().read(&input, &mut 0, &limits);
        let (mut head, mut searched) = (RequestHead::new(), 0);
        let split = (1..=input.len()).map(|end| head.read(&input[..end], &mut searched, &limits)).find(|read| *read != Ok(None));
        prop_assert_eq!(whole, split.unwrap_or(Ok(None)));
    }

    #[test]
    fn a_head_that_is_accepted_means_what_its_lines_say(lines in vec(line(), 0..6), cut in any::<Index>(), byte in any::<Option<u8>>()) {
        let mut input = [b"GET /a?b HTTP/1.1\r\nHost: a\r\n", &lines.concat()[..], b"\r\n"].concat();
        if let Some(byte) = byte {
            *cut.get_mut(&mut input) = byte;
        }
        let mut head = RequestHead::new();
        if let Ok(Some(length)) = head.read(&input, &mut 0, &HeadLimits::default()) {
            let text: Vec<&[u8]> = input[..length - 4].split(|&byte| byte == b'\n').collect();
            let lines = text[1..].iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line));
            let fields = lines.map(|line| line.split_at(line.iter().position(|&byte| byte == b':').unwrap()));
            let known = fields.filter(|(name, _)| !name.contains(&b'_'));
            let expected: Vec<_> = known.map(|(name, value)| (name, value[1..].trim_ascii())).collect();
            let read: Vec<_> = head.headers().map(|(name, value)| (name.as_bytes(), value)).collect();
            prop_assert_eq!(read, expected);
            let line: Vec<&[u8]> = text[0].split(|&byte| byte == b' ').collect();
            prop_assert_eq!(&[head.method().as_str().as_bytes(), head.target().as_bytes()][..], &line[..2]);
        }
    }
}
