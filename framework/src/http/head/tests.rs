//! Request heads, one rule a test, each in one piece, split at every byte, and byte by byte.

use super::super::noise::Noise;
use super::*;

/// The contents of a head, in values that can be compared.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    used: usize,
    method: Method,
    target: String,
    host: String,
    fields: Vec<(String, Vec<u8>)>,
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
}

fn outcome(head: &RequestHead, result: Result<Option<usize>, Refusal>) -> Option<Result<Seen, Refusal>> {
    let used = match result {
        Ok(used) => used?,
        Err(refusal) => return Some(Err(refusal)),
    };
    Some(Ok(Seen {
        used,
        method: head.method().clone(),
        target: head.target().to_owned(),
        host: head.host().to_owned(),
        fields: head.headers().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        framing: head.framing(),
        keep_alive: head.keep_alive(),
        expects_continue: head.expects_continue(),
    }))
}

fn feed(
    head: &mut RequestHead,
    input: &[u8],
    ends: impl Iterator<Item = usize>,
    limits: &HeadLimits,
) -> Option<Result<Seen, Refusal>> {
    let mut searched = 0;
    for end in ends {
        let result = head.read(&input[..end], &mut searched, limits);
        if let Some(seen) = outcome(head, result) {
            return Some(seen);
        }
    }
    None
}

/// Reads in every split and insists on one outcome.
fn read_with(input: &[u8], limits: &HeadLimits) -> Option<Result<Seen, Refusal>> {
    let mut head = RequestHead::new();
    let whole = feed(&mut head, input, std::iter::once(input.len()), limits);
    let single = feed(&mut head, input, 0..=input.len(), limits);
    assert_eq!(whole, single, "byte by byte: {}", input.escape_ascii());
    let step = (input.len() / 400).max(1);
    for split in (0..input.len()).step_by(step) {
        let parts = feed(&mut head, input, [split, input.len()].into_iter(), limits);
        assert_eq!(whole, parts, "split at {split}: {}", input.escape_ascii());
    }
    whole
}

fn accept(input: impl AsRef<[u8]>) -> Seen {
    read_with(input.as_ref(), &HeadLimits::default()).expect("complete").expect("accepted")
}

fn refuse(input: impl AsRef<[u8]>) -> Refusal {
    let input = input.as_ref();
    match read_with(input, &HeadLimits::default()) {
        Some(Err(refusal)) => refusal,
        other => panic!("{} gave {other:?}", input.escape_ascii()),
    }
}

/// A GET with these field lines after Host.
fn get(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes()
}

fn post(fields: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes()
}

#[test]
fn a_head_ends_at_its_blank_line() {
    let seen = accept("GET /a?b HTTP/1.1\r\nHost: h:80\r\nA:  b c \r\nE:\r\n\r\nGET /next");
    assert_eq!((seen.used, &seen.target[..], &seen.host[..]), (47, "/a?b", "h:80"));
    let fields = [("Host", &b"h:80"[..]), ("A", b"b c"), ("E", b"")];
    assert_eq!(seen.fields, fields.map(|(name, value)| (name.to_owned(), value.to_vec())));
}

#[test]
fn an_incomplete_head_waits() {
    let input = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for end in 0..input.len() {
        assert_eq!(read_with(&input[..end], &HeadLimits::default()), None);
    }
}

#[test]
fn each_byte_is_searched_once() {
    let (mut head, mut searched) = (RequestHead::new(), 0);
    let input = b"GET / HTTP/1.1\r\nHost: h\r\nA: b";
    head.read(input, &mut searched, &HeadLimits::default()).expect("no rule broken");
    assert_eq!(searched, input.len());
}

#[test]
fn one_empty_line_before_a_head_is_ignored() {
    assert_eq!(accept("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").used, 29);
    assert_eq!(refuse("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), Refusal::MalformedRequestLine);
    assert_eq!(refuse("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), Refusal::BareLineFeed);
}

#[test]
fn noise_is_refused_at_its_first_byte() {
    assert_eq!(refuse(b"\x16\x03\x01\x02"), Refusal::MalformedRequestLine);
    assert_eq!(refuse(" GET"), Refusal::MalformedRequestLine);
    assert_eq!(refuse("\rG"), Refusal::MalformedRequestLine);
}

#[test]
fn a_bare_line_feed_is_refused_anywhere() {
    for input in [
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\nB: c\r\n\r\n",
    ] {
        assert_eq!(refuse(input), Refusal::BareLineFeed, "{input:?}");
    }
}

#[test]
fn a_bare_carriage_return_is_refused_anywhere() {
    for fields in ["A: b\rc\r\n", "A: \rb\r\n", "A\r: b\r\n", "A: b\r\r\n", "\rA: b\r\n", "A:\r\r\n"] {
        assert_eq!(refuse(get(fields)), Refusal::BareCarriageReturn, "{fields:?}");
    }
    assert_eq!(refuse("GET /\r HTTP/1.1\r\nHost: h\r\n\r\n"), Refusal::BareCarriageReturn);
    assert_eq!(refuse("GET / HTTP/1.1\r\r\nHost: h\r\n\r\n"), Refusal::BareCarriageReturn);
}

#[test]
fn space_before_the_colon_is_refused() {
    assert_eq!(refuse(get("A : b\r\n")), Refusal::SpaceBeforeColon);
    assert_eq!(refuse(get("A\t: b\r\n")), Refusal::SpaceBeforeColon);
    assert_eq!(refuse(post("Content-Length : 5\r\n")), Refusal::SpaceBeforeColon);
}

#[test]
fn a_field_name_is_a_token() {
    for fields in ["A\r\n", ": b\r\n", "A b: c\r\n", "A(: b\r\n", "\u{e9}: b\r\n", "A\0: b\r\n", "\"A\": b\r\n"] {
        assert_eq!(refuse(get(fields)), Refusal::MalformedFieldName, "{fields:?}");
    }
}

#[test]
fn each_byte_is_allowed_or_refused_in_names() {
    for byte in (0..=255u8).filter(|byte| !b"\r\n:".contains(byte)) {
        for prefix in ["", "X", "Long-Enough-For-Vectors-Of-Thirty-Two-Bytes"] {
            let mut input = b"GET / HTTP/1.1\r\nHost: h\r\n".to_vec();
            input.extend_from_slice(prefix.as_bytes());
            input.extend_from_slice(&[byte, b'A', b':', b'b', b'\r', b'\n', b'\r', b'\n']);
            let result = RequestHead::new().read(&input, &mut 0, &HeadLimits::default());
            assert_eq!(result.is_ok(), is_token_byte(byte), "{byte:#x} after {prefix}");
        }
    }
}

#[test]
fn a_control_byte_in_a_value_is_refused() {
    for byte in (0..=255u8).filter(|byte| !b"\r\n".contains(byte)) {
        for prefix in ["", "x", "long enough for vectors of thirty-two bytes"] {
            let mut input = b"GET / HTTP/1.1\r\nHost: h\r\nA: ".to_vec();
            input.extend_from_slice(prefix.as_bytes());
            input.extend_from_slice(&[byte, b'y', b'\r', b'\n', b'\r', b'\n']);
            let result = RequestHead::new().read(&input, &mut 0, &HeadLimits::default());
            let control = (byte < b' ' && byte != b'\t') || byte == 0x7f;
            assert_eq!(result.err(), control.then_some(Refusal::ControlByteInField), "{byte:#x} after {prefix}");
        }
    }
}

#[test]
fn a_folded_field_is_refused() {
    assert_eq!(refuse(get("A: b\r\n c\r\n")), Refusal::FoldedField);
    assert_eq!(refuse(get("A: b\r\n\tc\r\n")), Refusal::FoldedField);
    assert_eq!(refuse("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), Refusal::FoldedField);
}

#[test]
fn http_1_1_needs_exactly_one_host() {
    assert_eq!(refuse("GET / HTTP/1.1\r\n\r\n"), Refusal::MissingHost);
    assert_eq!(refuse(get("Host: h\r\n")), Refusal::RepeatedHost);
    assert_eq!(refuse(get("hOST: other\r\n")), Refusal::RepeatedHost);
    assert_eq!(refuse("GET / HTTP/1.1\r\nHost:\r\n\r\n"), Refusal::MissingHost);
}

#[test]
fn http_1_0_may_have_one_host() {
    assert_eq!(accept("GET / HTTP/1.0\r\n\r\n").host, "");
    assert_eq!(accept("GET / HTTP/1.0\r\nHost:\r\n\r\n").host, "");
    assert_eq!(accept("GET / HTTP/1.0\r\nHost: h\r\n\r\n").host, "h");
    assert_eq!(refuse("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"), Refusal::RepeatedHost);
}

#[test]
fn a_malformed_host_is_refused() {
    for host in ["a b", "a/b", "u@h", "h:x", "a,b", "h:99999", "[::1", "\u{e9}"] {
        assert_eq!(refuse(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), Refusal::MalformedHost, "{host}");
    }
}

#[test]
fn content_types_that_contradict_each_other_are_refused() {
    for others in ["text/xml", "text/plain;a=b", "TEXT/PLAIN", "", "text/plain\r\nContent-Type: text/xml"] {
        let fields = format!("Content-Length: 0\r\nContent-Type: text/plain\r\nA: b\r\ncontent-type: {others}\r\n");
        assert_eq!(refuse(post(&fields)), Refusal::ContradictingContentTypes, "{others:?}");
    }
    accept(post("Content-Length: 0\r\nContent-Type: text/plain\r\ncontent-type:  text/plain \r\n"));
}

#[test]
fn the_authority_of_the_target_overrides_host() {
    let input = b"GET http://target?a HTTP/1.1\r\nHost: field\r\n\r\n";
    let mut head = RequestHead::new();
    head.read(input, &mut 0, &HeadLimits::default()).expect("accepted");
    assert_eq!((head.host(), head.path(), head.query()), ("target", "/", Some("a")));
    assert_eq!(refuse("GET http://target/ HTTP/1.1\r\n\r\n"), Refusal::MissingHost);
}

#[test]
fn target_forms_go_with_their_methods() {
    assert_eq!(accept("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").target, "*");
    assert_eq!(refuse("GET * HTTP/1.1\r\nHost: h\r\n\r\n"), Refusal::AsteriskWithoutOptions);
    assert_eq!(refuse("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"), Refusal::ConnectRefused);
    assert_eq!(refuse("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Refusal::UnsupportedVersion);
}

#[test]
fn a_second_content_length_is_refused() {
    assert_eq!(refuse(post("Content-Length: 5\r\nContent-Length: 5\r\n")), Refusal::RepeatedContentLength);
    assert_eq!(refuse(post("Content-Length: 5\r\ncontent-length: 6\r\n")), Refusal::RepeatedContentLength);
    assert_eq!(refuse(post("Content-Length: 5, 5\r\n")), Refusal::MalformedContentLength);
}

#[test]
fn content_length_is_one_canonical_number() {
    for value in ["", "+5", "-1", "1_0", "0x5", "5 5", "5.0", "1e3", "\u{663}", "99999999999999999999", "five", "5;"] {
        assert_eq!(refuse(post(&format!("Content-Length: {value}\r\n"))), Refusal::MalformedContentLength, "{value}");
    }
    for (value, length) in [("0", 0), ("7", 7), ("9999999999999999999", 9_999_999_999_999_999_999)] {
        assert_eq!(accept(post(&format!("Content-Length: {value}\r\n"))).framing, Framing::Length(length));
    }
}

#[test]
fn transfer_encoding_with_content_length_is_refused() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding:\r\nContent-Length: 5\r\n",
    ] {
        assert_eq!(refuse(post(fields)), Refusal::TransferEncodingWithContentLength, "{fields:?}");
    }
}

#[test]
fn transfer_encoding_is_exactly_chunked() {
    assert_eq!(accept(post("transfer-encoding: Chunked\r\n")).framing, Framing::Chunked);
    let refusal = |value: &str| refuse(post(&format!("Transfer-Encoding: {value}\r\n")));
    for value in ["gzip, chunked", "gzip;a=b , Chunked"] {
        assert_eq!(refusal(value), Refusal::UnsupportedTransferCoding, "{value}");
    }
    for value in [
        "gzip",
        "chunked, gzip",
        "chunked, chunked",
        "identity",
        "",
        "xchunked",
        "chunked;a=b",
        "\"chunked\"",
        "chunked,",
        ", chunked",
    ] {
        assert_eq!(refusal(value), Refusal::LastCodingNotChunked, "{value}");
    }
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(refuse(post(twice)), Refusal::RepeatedTransferEncoding);
}

#[test]
fn http_1_0_has_no_transfer_encoding() {
    assert_eq!(refuse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Refusal::TransferEncodingInHttp10);
}

#[test]
fn connection_is_a_list_in_any_case_and_close_wins() {
    for (fields, keep_alive) in [
        ("", true),
        ("Connection: close\r\n", false),
        ("Connection: CLOSE\r\n", false),
        ("Connection: a , Close\r\n", false),
        ("Connection: keep-alive, close\r\n", false),
        ("Connection: keep-alive\r\nConnection: close\r\n", false),
        ("Connection: upgrade\r\n", true),
        ("Connection: closed\r\n", true),
    ] {
        assert_eq!(accept(get(fields)).keep_alive, keep_alive, "{fields:?}");
    }
}

#[test]
fn http_1_0_lives_on_with_keep_alive_only() {
    assert!(!accept("GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert!(accept("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    assert!(!accept("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_alive);
}

#[test]
fn only_100_continue_can_be_expected() {
    assert!(accept(post("Content-Length: 1\r\nExpect: 100-Continue\r\n")).expects_continue);
    assert!(!accept(post("Content-Length: 0\r\nExpect: 100-continue\r\n")).expects_continue);
    assert_eq!(refuse(post("Expect: 100-continue\r\nExpect: more\r\n")), Refusal::UnknownExpectation);
    assert_eq!(refuse(post("Expect: 200-ok\r\n")), Refusal::UnknownExpectation);
    let old = "POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n";
    assert!(!accept(old).expects_continue);
}

fn limits(request_line: usize, head: usize, fields: usize) -> HeadLimits {
    HeadLimits { request_line, head, fields }
}

#[test]
fn a_request_line_over_its_limit_is_refused() {
    let input = b"GET /abc HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(read_with(input, &limits(17, 1000, 10)).expect("complete").is_ok());
    assert_eq!(read_with(input, &limits(16, 1000, 10)), Some(Err(Refusal::RequestLineTooLong { limit: 16 })));
    let endless = [b'a'; 100];
    assert_eq!(read_with(&endless, &limits(16, 1000, 10)), Some(Err(Refusal::RequestLineTooLong { limit: 16 })));
}

#[test]
fn a_head_over_its_limit_is_refused() {
    let input = b"GET /abc HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(read_with(input, &limits(100, input.len(), 10)).expect("complete").is_ok());
    let less = input.len() - 1;
    assert_eq!(read_with(input, &limits(100, less, 10)), Some(Err(Refusal::HeadTooLarge { limit: less })));
    assert_eq!(read_with(&input[..less], &limits(100, less, 10)), Some(Err(Refusal::HeadTooLarge { limit: less })));
    let endless = [b'a'; 100];
    assert_eq!(read_with(&endless, &limits(100, 50, 10)), Some(Err(Refusal::HeadTooLarge { limit: 50 })));
}

#[test]
fn more_fields_than_the_limit_are_refused() {
    for most in [1, 2, 24, 25, 100, 101, 300] {
        let fields = |count: usize| get(&"a:b\r\n".repeat(count - 1));
        let limits = limits(100, 10_000, most);
        assert_eq!(read_with(&fields(most), &limits).expect("complete").expect("accepted").fields.len(), most);
        assert_eq!(read_with(&fields(most + 1), &limits), Some(Err(Refusal::TooManyFields { limit: most })));
    }
}

#[test]
fn fields_are_found_by_name_in_any_case() {
    let mut head = RequestHead::new();
    let input = get("X-A: 1\r\nCookie: a=1\r\nx-a: 2\r\nCOOKIE: b=2\r\nBad: \u{e9}\r\n");
    head.read(&input, &mut 0, &HeadLimits::default()).expect("accepted");
    assert_eq!((head.header("x-A"), head.header("cookie")), (Some("1"), Some("a=1")));
    assert_eq!((head.header("Cookies"), head.header("")), (None, None));
    assert_eq!(head.headers_named("cookie").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
    assert_eq!(head.header("bad"), Some("\u{e9}"));
}

#[test]
fn a_name_with_an_underscore_is_dropped() {
    let seen = accept(post("Content_Length: 5\r\nTransfer_Encoding: chunked\r\n"));
    assert_eq!(seen.framing, Framing::None);
    let mut head = RequestHead::new();
    let input = get("X_Forwarded_For: evil\r\nX-Forwarded-For: good\r\nREMOTE_USER: evil\r\n");
    head.read(&input, &mut 0, &HeadLimits::default()).expect("accepted");
    let names: Vec<_> = head.headers().map(|(name, _)| name).collect();
    assert_eq!(names, ["Host", "X-Forwarded-For"]);
}

#[test]
fn cookies_of_all_cookie_fields_are_read() {
    let mut head = RequestHead::new();
    let input = b"GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; bad=\xe9; b=2\r\nCookie: c=3\r\n\r\n";
    head.read(input, &mut 0, &HeadLimits::default()).expect("accepted");
    assert_eq!(head.cookies().collect::<Vec<_>>(), [("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(RequestHead::new().cookies().next(), None);
}

#[test]
fn a_value_that_is_not_utf8_is_kept_as_bytes() {
    let mut head = RequestHead::new();
    let input = b"GET / HTTP/1.1\r\nHost: h\r\nA: \xe9\r\n\r\n";
    head.read(input, &mut 0, &HeadLimits::default()).expect("accepted");
    assert_eq!(head.header("a"), None);
    assert_eq!(head.headers_named("a").collect::<Vec<_>>(), [b"\xe9"]);
}

#[test]
fn every_known_name_is_found() {
    let names = [
        "Accept",
        "Accept-Encoding",
        "Authorization",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Cookie",
        "Origin",
        "Host",
        "If-Modified-Since",
        "If-None-Match",
        "Range",
        "Referer",
        "User-Agent",
    ];
    let lines: String = names.iter().map(|name| format!("{name}: 1\r\n")).collect();
    let mut head = RequestHead::new();
    let input = format!("GET / HTTP/1.1\r\n{lines}\r\n");
    head.read(input.as_bytes(), &mut 0, &HeadLimits::default()).expect("accepted");
    for name in names {
        assert_eq!(head.header(&name.to_uppercase()), Some("1"), "{name}");
    }
}

#[test]
fn an_empty_head_is_harmless() {
    let head = RequestHead::new();
    assert_eq!((head.method(), head.path(), head.query(), head.target()), (&Method::GET, "", None, ""));
    assert_eq!((head.host(), head.header("host"), head.headers().len()), ("", None, 0));
    assert_eq!(
        (head.framing(), head.keep_alive(), head.request_line().to_string()),
        (Framing::None, false, String::new())
    );
}

#[test]
fn a_refused_head_tells_what_was_recognised() {
    let mut head = RequestHead::new();
    let input = b"PUT /a?b HTTP/1.1\r\nBad Name: x\r\n\r\n";
    head.read(input, &mut 0, &HeadLimits::default()).expect_err("a bad name");
    assert_eq!((head.method(), head.path(), head.query()), (&Method::PUT, "/a", Some("b")));
    assert_eq!(head.request_line().to_string(), "PUT /a?b HTTP/1.1");
    assert_eq!((head.headers().len(), head.keep_alive()), (0, false));
}

#[test]
fn a_request_line_cannot_forge_a_log_line() {
    let mut head = RequestHead::new();
    head.recognise(b"GET /\"\\\x1b\r\xff\r\nx");
    assert_eq!(head.request_line().to_string(), "GET /\\x22\\x5c\\x1b\\x0d\\xff");
}

#[test]
fn nothing_of_an_earlier_head_is_left() {
    let mut head = RequestHead::new();
    head.read(&post("Cookie: a=1\r\nContent-Length: 5\r\n"), &mut 0, &HeadLimits::default()).expect("accepted");
    head.read(b"GET / HTTP/1.0\r\n\r\n", &mut 0, &HeadLimits::default()).expect("accepted");
    assert_eq!((head.header("cookie"), head.framing(), head.host()), (None, Framing::None, ""));
}

#[test]
fn a_warm_head_keeps_its_buffers() {
    let mut head = RequestHead::new();
    let input = get("Cookie: a=1\r\n");
    head.read(&input, &mut 0, &HeadLimits::default()).expect("accepted");
    let before = head.bytes.as_ptr();
    head.read(&input, &mut 0, &HeadLimits::default()).expect("accepted");
    assert_eq!(head.bytes.as_ptr(), before);
}

#[test]
fn broken_heads_never_panic_and_never_depend_on_the_split() {
    let seeds: [&[u8]; 4] = [
        b"GET /a/b?c=d HTTP/1.1\r\nHost: example.org:80\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n",
        b"POST http://h/x HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
        b"\r\nPUT / HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nConnection: close, a\r\n\r\n",
        b"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ];
    let alphabet = b"\r\n\r\n: \t/?#%*,;.@[]aHT10\0\x7f\xff";
    let mut noise = Noise::new();
    let mut head = RequestHead::new();
    for case in 0..20_000 {
        let mut input = seeds[noise.below(seeds.len())].to_vec();
        noise.mutate(&mut input, alphabet);
        let limits = limits(10 + noise.below(60), 20 + noise.below(120), 1 + noise.below(5));
        let whole = feed(&mut head, &input, std::iter::once(input.len()), &limits);
        let single = feed(&mut head, &input, 0..=input.len(), &limits);
        assert_eq!(whole, single, "case {case}: {}", input.escape_ascii());
        let _ = (head.path(), head.query(), head.request_line().to_string());
    }
}
