//! Multipart bodies, one rule a test, each in one piece, split at every byte, and byte by byte.

use super::*;
use crate::http::noise::Noise;

/// The parts, each with its content, and whether the last boundary has come; or the error.
type Outcome = Result<(Vec<(PartHead, Vec<u8>)>, bool), MultipartError>;

fn feed<'a>(content_type: &str, limits: PartLimits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut parser = MultipartParser::new(content_type, limits)?;
    let (mut parts, mut open, mut ended) = (Vec::<(PartHead, Vec<u8>)>::new(), false, false);
    for mut piece in pieces {
        while !piece.is_empty() {
            let (used, event) = parser.next(piece)?;
            match event {
                MultipartEvent::More => assert_eq!(used, piece.len(), "all is used when nothing is found"),
                MultipartEvent::Part(head) => {
                    assert!(!std::mem::replace(&mut open, true) && !ended);
                    parts.push((head, Vec::new()));
                }
                MultipartEvent::Content(content) => {
                    assert!(open && !content.is_empty());
                    parts.last_mut().expect("a part is open").1.extend_from_slice(content);
                }
                MultipartEvent::PartEnd => assert!(std::mem::take(&mut open)),
                MultipartEvent::End => assert!(!open && !std::mem::replace(&mut ended, true)),
            }
            piece = &piece[used..];
        }
    }
    assert_eq!(parser.finish().is_ok(), ended);
    Ok((parts, ended))
}

const TYPE: &str = "multipart/form-data; boundary=XX";

/// Parses in every split and insists on one outcome.
fn parse(body: impl AsRef<[u8]>) -> Outcome {
    let body = body.as_ref();
    let whole = feed(TYPE, PartLimits::default(), [body]);
    assert_eq!(whole, feed(TYPE, PartLimits::default(), body.chunks(1)), "byte by byte: {}", body.escape_ascii());
    for split in 0..body.len() {
        let (start, end) = body.split_at(split);
        let parted = feed(TYPE, PartLimits::default(), [start, end]);
        assert_eq!(whole, parted, "split at {split}: {}", body.escape_ascii());
    }
    whole
}

/// The contents of the parts of a complete body.
#[track_caller]
fn contents(body: impl AsRef<[u8]>) -> Vec<String> {
    let (parts, ended) = parse(body).expect("a sound body");
    assert!(ended);
    parts.into_iter().map(|(_, content)| String::from_utf8_lossy(&content).into_owned()).collect()
}

const HEAD: &str = "Content-Disposition: form-data; name=\"a\"\r\n\r\n";

fn one(content: &str) -> String {
    format!("--XX\r\n{HEAD}{content}\r\n--XX--\r\n")
}

#[test]
fn parts_come_in_order_with_their_heads() {
    let second = "Content-Disposition: form-data; name=b; filename=\"c d.txt\"\r\nContent-Type: text/plain\r\n\r\n";
    let (parts, ended) = parse(format!("--XX\r\n{HEAD}1\r\n--XX\r\n{second}\r\n\r\n--XX--")).expect("a sound body");
    assert!(ended && parts.len() == 2);
    assert_eq!((&*parts[0].0.name, &parts[0].0.file_name, &*parts[0].1), ("a", &None, &b"1"[..]));
    assert_eq!(parts[1].0.file_name.as_deref(), Some("c d.txt"));
    assert_eq!((parts[1].0.content_type.as_deref(), &*parts[1].1), (Some("text/plain"), &b"\r\n"[..]));
}

#[test]
fn almost_a_boundary_is_content() {
    for content in [
        "",
        "\r",
        "\r\n",
        "\r\n-",
        "\r\n--",
        "\r\n--X",
        "--XX",
        "\r\r\n--",
        "\n--XX",
        "\r\n--XY\r\n--X",
        "\r\n\r\n--xx--",
    ] {
        // Right behind a head the boundary needs no CRLF of its own.
        let content = format!("x{content}");
        assert_eq!(contents(one(&content)), [content]);
    }
    assert_eq!(contents(one("\r\n--X\r\n\r\n--")), ["\r\n--X\r\n\r\n--"]);
}

#[test]
fn a_part_may_be_empty_with_and_without_a_line_of_its_own() {
    assert_eq!(contents(one("")), [""]);
    assert_eq!(contents(format!("--XX\r\n{HEAD}--XX--")), [""]);
    assert_eq!(contents("--XX--"), [""; 0]);
}

#[test]
fn preamble_and_epilogue_mean_nothing() {
    let body = format!("a preamble\r\n--X not yet\r\n{}--XX\r\n an epilogue \n", one("1"));
    assert_eq!(contents(body), ["1"]);
}

#[test]
fn white_space_may_follow_a_boundary() {
    assert_eq!(contents(format!("--XX \t\r\n{HEAD}1\r\n--XX-- \t\r\n")), ["1"]);
}

#[test]
fn a_folded_head_is_read_in_every_split() {
    let head = "Content-Disposition:\r\n form-data;\r\n\tname=\"a\"; filename*=UTF-8''%ff;\r\n filename=\"b.txt\"";
    let (parts, ended) = parse(format!("--XX\r\n{head}\r\n\r\n1\r\n--XX--")).expect("a sound body");
    assert!(ended);
    assert_eq!((&*parts[0].0.name, parts[0].0.file_name.as_deref(), &*parts[0].1), ("a", Some("b.txt"), &b"1"[..]));
}

#[test]
fn a_body_that_breaks_a_rule_is_an_error() {
    use MultipartError::*;
    let table = [
        (format!("--XX\n{HEAD}1\r\n--XX--"), BareLineFeed),
        ("--XX\r\nContent-Disposition: form-data; name=a\n\n1\n--XX--".to_owned(), BareLineFeed),
        (format!("--XX\r\n{HEAD}1\r\n--XX\n{HEAD}2\r\n--XX--"), BareLineFeed),
        (format!("--XXY\r\n{HEAD}1\r\n--XX--"), AfterBoundary),
        (format!("--XX\r{HEAD}1\r\n--XX--"), AfterBoundary),
        (format!("--XX -\r\n{HEAD}1\r\n--XX--"), AfterBoundary),
        (format!("--XX\r\n{HEAD}1\r\n--XX-\r\n"), AfterBoundary),
        ("--XX\r\n folded\r\n\r\n1\r\n--XX--".to_owned(), MalformedHead),
        ("--XX\r\nno head\r\n\r\n1\r\n--XX--".to_owned(), MalformedHead),
    ];
    for (body, error) in table {
        assert_eq!(parse(&body), Err(error), "{body:?}");
    }
}

#[test]
fn a_body_without_its_last_boundary_is_unfinished() {
    let body = one("1");
    for end in 0..body.len() - 2 {
        assert_eq!(parse(&body[..end]).map(|(_, ended)| ended), Ok(false), "{end}");
    }
    // LF alone never makes a boundary.
    assert_eq!(parse(format!("--XX\r\n{HEAD}1\n--XX--\n")).map(|(_, ended)| ended), Ok(false));
}

#[test]
fn parts_and_heads_are_limited() {
    let limits = PartLimits { parts: 2, head: HEAD.len() };
    let parts = |count| format!("{}--XX--", format!("--XX\r\n{HEAD}\r\n").repeat(count));
    assert!(feed(TYPE, limits, [parts(2).as_bytes()]).is_ok());
    assert_eq!(feed(TYPE, limits, [parts(3).as_bytes()]), Err(MultipartError::TooManyParts { limit: 2 }));
    let long = format!("--XX\r\nA: b\r\n{HEAD}1\r\n--XX--");
    assert_eq!(feed(TYPE, limits, [long.as_bytes()]), Err(MultipartError::HeadTooLarge { limit: HEAD.len() }));
    let endless = "x".repeat(HEAD.len() + 1);
    let endless = format!("--XX\r\n{endless}");
    assert_eq!(
        feed(TYPE, limits, endless.as_bytes().chunks(1)),
        Err(MultipartError::HeadTooLarge { limit: HEAD.len() })
    );
}

// No input makes the search slow; a quadratic search would not end.
#[test]
fn content_that_looks_like_boundaries_is_read_in_linear_time() {
    let name = "-".repeat(70);
    let content_type = format!("multipart/form-data; boundary={name}");
    for unit in ["\r", "\r\n", "\r\n--", "-", &format!("\r\n--{}", &name[..69])] {
        // The ends keep the content from being a boundary in turn.
        let content = format!("x{}x", unit.repeat((8 << 20) / unit.len()).replace(&format!("\r\n--{name}"), "x"));
        let body = format!("--{name}\r\n{HEAD}{content}\r\n--{name}--");
        let (parts, ended) = feed(&content_type, PartLimits::default(), body.as_bytes().chunks(4096)).expect("sound");
        assert!(ended && parts[0].1 == content.as_bytes(), "{unit:?}");
    }
}

#[test]
fn a_boundary_is_found_in_the_content_type() {
    let boundary_of = |parameters: &str| boundary(&format!("multipart/form-data{parameters}"));
    let longest = "y".repeat(70);
    for (parameters, expected) in [
        ("; boundary=XX", "XX"),
        ("; charset=utf-8; Boundary=\"a b:c/d=e?\";", "a b:c/d=e?"),
        (";boundary=----=_Part_1.2", "----=_Part_1.2"),
        ("; boundary=ab*cd; charset=utf-8", "ab*cd"),
        ("; boundary=alamofire.boundary.0c9e1f083$", "alamofire.boundary.0c9e1f083$"),
        ("; boundary=!#%&^~|", "!#%&^~|"),
        ("; boundary=a{b}<c>@[d]", "a{b}<c>@[d]"),
        ("; boundary = \"a\\\"b\" ", "a\"b"),
        ("; boundary=XX \t; x", "XX"),
        ("; boundary=\"a \"", "a"),
        ("; x=\"; boundary=no\"; boundary=yes", "yes"),
        (&format!("; boundary={longest}"), &*longest),
    ] {
        assert_eq!(boundary_of(parameters).as_deref(), Ok(expected.as_bytes()), "{parameters}");
    }
    let bad = [
        "",
        "; boundary=",
        "; boundary=\"\"",
        "; boundary=\" \"",
        "; boundary=a; boundary=b",
        "; boundary=\u{e4}",
        "; boundary=\"a",
        "; boundary=\"a\"b",
    ];
    for parameters in bad.into_iter().chain([&*format!("; boundary={longest}y")]) {
        assert_eq!(boundary_of(parameters), Err(MultipartError::BadBoundary), "{parameters}");
    }
    for other in ["", "multipart/mixed; boundary=a", "application/json", "multipart/form-data-x; boundary=a"] {
        assert_eq!(boundary(other), Err(MultipartError::NotMultipart), "{other}");
    }
    assert!(is_multipart("MULTIPART/form-data ; boundary=a"));
    let unknown = MultipartParser::new("multipart/form-data; boundary=a; charset=gbk", PartLimits::default());
    assert_eq!(unknown.map(|_| ()), Err(MultipartError::UnknownCharset));
}

#[test]
fn a_broken_body_is_read_or_refused_in_every_split() {
    let mut noise = Noise::new();
    for _ in 0..300 {
        let mut body = one("1\r\n--X").into_bytes();
        noise.mutate(&mut body, b"\r\n-X: a;=\"%*\x00\xff");
        let _ = parse(&body);
    }
}
