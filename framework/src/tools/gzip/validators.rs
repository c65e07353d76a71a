//! Entity tags per coding (RFC 9110, section 8.8.3.3): `"v1"` is `"v1-gzip"` when it is compressed.
//!
//! Two contents that differ in their bytes must not have the same strong tag, or a client joins the start of one to the
//! end of the other. But the code that evaluates conditions (static files, the cache, a handler) knows only its own
//! tags. So the suffix lives between this tool and the client:
//! * A response that is compressed gets it. A weak tag stays: it promises no more than the same meaning.
//! * A request that names a tag with the suffix is made to name the one without, too. It keeps the first, which may be
//!   the application's own.
//! * A 304 that came of it names the tag that the client has.
//!
//! If-Range is left alone: ranges are only made of content that is not compressed, and a client that has the beginning
//! of the compressed one must get all of it again.

use crate::http::Coding;
use crate::{Exchange, HeaderName, HeaderValue, Request, Response, header};

/// The tag of the compressed content; `None` for a weak one, which both have.
pub(super) fn with_suffix(tag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let start = tag.as_bytes().strip_suffix(b"\"").filter(|start| start.starts_with(b"\""))?;
    HeaderValue::from_bytes(&[start, b"-", coding.name().as_bytes(), b"\""].concat()).ok()
}

/// Lets the conditions of a request name the tags that others here know. A condition for reading names them only in the
/// coding that this request would get.
pub(super) fn translate_conditions(exchange: &mut Exchange, codings: &[Coding]) {
    struct Translated;
    let has_none_match = exchange.request.header("if-none-match").is_some();
    let has_match = exchange.request.header("if-match").is_some();
    // An internal redirect brings the same request again.
    if !(has_none_match || has_match) || exchange.values.get::<Translated>().is_some() {
        return;
    }
    exchange.values.insert(Translated);
    let request = &mut exchange.request;
    if has_none_match && let Some(coding) = request.best_coding(codings) {
        translate(request, &header::IF_NONE_MATCH, &[coding]);
    }
    if has_match {
        translate(request, &header::IF_MATCH, codings);
    }
}

/// Gives a 304 the tag that the client has, if it has the content in the coding that it would get now.
pub(super) fn name_clients_tag(request: &Request, response: &mut Response, codings: &[Coding]) {
    let Some(coding) = request.best_coding(codings) else { return };
    let Some(tag) = response.header(&header::ETAG).and_then(|tag| with_suffix(tag, coding)) else { return };
    if tags(&joined(request, &header::IF_NONE_MATCH)).any(|(_, named)| named == tag.as_bytes()) {
        response.set_header(header::ETAG, tag);
    }
}

fn translate(request: &mut Request, field: &HeaderName, codings: &[Coding]) {
    let mut list = joined(request, field);
    let mut added = Vec::new();
    for (weak, tag) in tags(&list) {
        let plain = codings.iter().find_map(|coding| {
            let start = tag.strip_suffix(b"\"")?.strip_suffix(coding.name().as_bytes())?;
            start.strip_suffix(b"-")
        });
        if let Some(plain) = plain {
            added.extend_from_slice(if weak { b", W/" } else { b", " });
            added.extend_from_slice(plain);
            added.push(b'"');
        }
    }
    list.append(&mut added);
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        request.set_header(field, &list);
    }
}

/// All fields of that name as one list.
fn joined(request: &Request, field: &HeaderName) -> Vec<u8> {
    let fields = request.headers().filter(|(name, _)| name.eq_ignore_ascii_case(field.as_str()));
    fields.map(|(_, value)| value).collect::<Vec<_>>().join(&b", "[..])
}

/// The tags of a list, with their quotes, and whether they are weak. The text between them is passed over: the
/// evaluation of the list judges that.
fn tags(list: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let mut position = 0;
    std::iter::from_fn(move || {
        let start = position + list[position..].iter().position(|&byte| byte == b'"')?;
        let length = list[start + 1..].iter().position(|&byte| byte == b'"')? + 2;
        position = start + length;
        Some((list[..start].ends_with(b"W/"), &list[start..position]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeadLimits;

    fn exchange(fields: &str) -> Exchange {
        let mut exchange = Exchange::new();
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let read = exchange.request.read_head(head.as_bytes(), &mut 0, &HeadLimits::default(), Default::default());
        assert_eq!(read, Ok(Some(head.len())));
        exchange
    }

    #[track_caller]
    fn check(fields: &str, name: &str, expected: &str) {
        let mut exchange = exchange(fields);
        translate_conditions(&mut exchange, &[Coding::Brotli, Coding::Gzip]);
        translate_conditions(&mut exchange, &[Coding::Brotli, Coding::Gzip]);
        assert_eq!(exchange.request.header(name), Some(expected), "{fields}");
    }

    #[test]
    fn a_strong_tag_gets_the_coding_and_a_weak_one_stays() {
        let suffixed = |tag: &'static str| with_suffix(&HeaderValue::from_static(tag), Coding::Gzip);
        assert_eq!(suffixed("\"v1\"").unwrap(), "\"v1-gzip\"");
        assert_eq!(suffixed("\"\"").unwrap(), "\"-gzip\"");
        for other in ["W/\"v1\"", "v1", "\"v1", "\"", ""] {
            assert_eq!(suffixed(other), None, "{other}");
        }
    }

    #[test]
    fn a_tag_with_the_suffix_brings_the_one_without() {
        const GZIP: &str = "Accept-Encoding: gzip\r\nIf-None-Match: ";
        let table = [
            ("\"v1-gzip\"", "\"v1-gzip\", \"v1\""),
            ("W/\"v1-gzip\"", "W/\"v1-gzip\", W/\"v1\""),
            ("\"a\", \"b-gzip\",\"c,-gzip\"", "\"a\", \"b-gzip\",\"c,-gzip\", \"b\", \"c,\""),
            ("\"v1\"", "\"v1\""),
            ("*", "*"),
            ("\"v1-br\"", "\"v1-br\""),
            ("\"v1-gzip", "\"v1-gzip"),
            ("\"vgzip\"", "\"vgzip\""),
        ];
        for (before, after) in table {
            check(&format!("{GZIP}{before}\r\n"), "if-none-match", after);
        }
        let two_fields = format!("{GZIP}\"a\"\r\nif-none-match: \"b-gzip\"\r\n");
        check(&two_fields, "if-none-match", "\"a\", \"b-gzip\", \"b\"");
    }

    #[test]
    fn reading_is_translated_in_the_coding_of_the_request_alone_and_writing_in_all() {
        check("If-None-Match: \"v1-gzip\"\r\n", "if-none-match", "\"v1-gzip\"");
        check("Accept-Encoding: br\r\nIf-None-Match: \"v1-gzip\"\r\n", "if-none-match", "\"v1-gzip\"");
        check("If-Match: \"v1-gzip\", \"v2-br\"\r\n", "if-match", "\"v1-gzip\", \"v2-br\", \"v1\", \"v2\"");
    }

    #[test]
    fn a_304_names_the_tag_that_the_client_has() {
        let named = |fields: &str, tag: &'static str| {
            let mut exchange = exchange(fields);
            let codings = [Coding::Gzip];
            translate_conditions(&mut exchange, &codings);
            exchange.response.set_header(header::ETAG, HeaderValue::from_static(tag));
            name_clients_tag(&exchange.request, &mut exchange.response, &codings);
            exchange.response.header(&header::ETAG).unwrap().to_str().unwrap().to_owned()
        };
        let gzip = "Accept-Encoding: gzip\r\nIf-None-Match: \"v1-gzip\"\r\n";
        assert_eq!(named(gzip, "\"v1\""), "\"v1-gzip\"");
        assert_eq!(named(gzip, "\"v2\""), "\"v2\"");
        assert_eq!(named(gzip, "\"v1-gzip\""), "\"v1-gzip\"");
        assert_eq!(named(gzip, "W/\"v1\""), "W/\"v1\"");
        assert_eq!(named("Accept-Encoding: gzip\r\nIf-None-Match: \"v1\"\r\n", "\"v1\""), "\"v1\"");
        assert_eq!(named("If-None-Match: \"v1-gzip\"\r\n", "\"v1\""), "\"v1\"");
    }
}
