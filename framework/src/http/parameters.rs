//! The parameters behind a value, `; name=value; name="quoted value"`, as in Content-Disposition and Content-Type.
//!
//! The practice of clients decides, more than the grammar. Browsers write a quote within quotes as `%22` and a
//! backslash as itself (the form submission algorithm of the HTML standard), curl and others write `\"` and `\\`. So a
//! backslash escapes a quote and a backslash, and is itself before any other character. Unquoted values end at the
//! semicolon: some clients put a space, or letters beyond ASCII, into them. Nothing here fails. Malformed parameters
//! are passed over, and a value without a closing quote says so.

use super::grammar::{is_token, trim};
use std::borrow::Cow;

/// Reads parameter after parameter.
pub(crate) struct Parameters<'v>(&'v [u8]);

/// One parameter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parameter<'v> {
    /// A token.
    pub(crate) name: &'v [u8],
    /// Without quotes and escapes; any bytes.
    pub(crate) value: Cow<'v, [u8]>,
    /// False when the closing quote is missing, or something follows it.
    pub(crate) is_sound: bool,
}

impl<'v> Parameters<'v> {
    /// The value before the first semicolon, without white space around it, and the parameters behind it.
    pub(crate) fn split(field: &'v [u8]) -> (&'v [u8], Self) {
        let end = memchr::memchr(b';', field).unwrap_or(field.len());
        (trim(&field[..end]), Self(&field[end..]))
    }

    /// The value of the first parameter of that name, in any case.
    pub(crate) fn value_of(mut self, name: &str) -> Option<Cow<'v, [u8]>> {
        self.find(|parameter| parameter.name.eq_ignore_ascii_case(name.as_bytes())).map(|parameter| parameter.value)
    }
}

impl<'v> Iterator for Parameters<'v> {
    type Item = Parameter<'v>;

    fn next(&mut self) -> Option<Parameter<'v>> {
        loop {
            let start = self.0.iter().position(|byte| !matches!(byte, b';' | b' ' | b'\t'))?;
            let rest = &self.0[start..];
            let end = memchr::memchr2(b'=', b';', rest).unwrap_or(rest.len());
            let name = trim(&rest[..end]);
            if rest.get(end) != Some(&b'=') {
                self.0 = &rest[end..];
                continue;
            }
            let text = trim(&rest[end + 1..]);
            let (value, after, is_closed) = match text.strip_prefix(b"\"") {
                Some(quoted) => read_quoted(quoted),
                None => {
                    let end = memchr::memchr(b';', text).unwrap_or(text.len());
                    (Cow::Borrowed(trim(&text[..end])), &text[end..], true)
                }
            };
            let end = memchr::memchr(b';', after).unwrap_or(after.len());
            let is_sound = is_closed && trim(&after[..end]).is_empty();
            self.0 = &after[end..];
            if is_token(name) {
                return Some(Parameter { name, value, is_sound });
            }
        }
    }
}

/// The text up to the closing quote, the text after it, and whether there is a closing quote.
fn read_quoted(text: &[u8]) -> (Cow<'_, [u8]>, &[u8], bool) {
    let mut value = Cow::Borrowed(&text[..0]);
    let mut start = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[start..]) {
        let place = start + found;
        let escaped = text[place] == b'\\' && matches!(text.get(place + 1), Some(b'"' | b'\\'));
        let literal = text[place] == b'\\' && !escaped;
        append(&mut value, &text[start..place + usize::from(literal)]);
        start = place + 1;
        if escaped {
            append(&mut value, &text[start..=start]);
            start += 1;
        } else if !literal {
            return (value, &text[start..], true);
        }
    }
    append(&mut value, &text[start..]);
    (value, &[], false)
}

/// Most values are one piece, which is borrowed.
fn append<'v>(value: &mut Cow<'v, [u8]>, piece: &'v [u8]) {
    if value.is_empty() {
        *value = Cow::Borrowed(piece);
    } else {
        value.to_mut().extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, bool)> {
        let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the tests write text");
        let parameters = Parameters::split(text.as_bytes()).1;
        parameters.map(|Parameter { name, value, is_sound }| (text_of(name), text_of(&value), is_sound)).collect()
    }

    #[track_caller]
    fn check(text: &str, value: &str) {
        let expected = [("a".to_owned(), value.to_owned(), true), ("b".to_owned(), "2".to_owned(), true)];
        assert_eq!(read(&format!("form-data; a={text}; b=2")), expected);
    }

    // A comma, a space or a semicolon in a name once truncated it.
    #[test]
    fn quotes_hold_commas_spaces_and_semicolons() {
        check("\"x, y; z=1 .txt\"", "x, y; z=1 .txt");
        check("\"\"", "");
        check("plain.txt", "plain.txt");
        check(" \"x\" ", "x");
    }

    #[test]
    fn a_backslash_escapes_only_quotes_and_itself() {
        check(r#""a\"b""#, r#"a"b"#);
        check(r#""\"""#, "\"");
        check(r#""C:\dir\file.txt""#, r"C:\dir\file.txt");
        check(r#""a\\b""#, r"a\b");
    }

    #[test]
    fn a_value_without_quotes_ends_at_the_semicolon() {
        check("my file.txt", "my file.txt");
        check("na\u{ef}ve.txt ", "na\u{ef}ve.txt");
        check("", "");
        check("a=b", "a=b");
        check("a\"b", "a\"b");
    }

    #[test]
    fn malformed_parameters_are_passed_over() {
        for text in ["x; y; a=1", "x; =y; a=1", "x; y z=1; a=1", "x ; ; a=1;", "x;a = 1", "x; \u{e4}=2; a=1"] {
            assert_eq!(read(text), [("a".to_owned(), "1".to_owned(), true)], "{text}");
        }
        assert_eq!(read("x;"), []);
    }

    #[test]
    fn quotes_that_do_not_hold_are_told() {
        for (text, value) in [("\"x", "x"), ("\"x\"y", "x"), ("\"x\\\"", "x\""), ("\"", "")] {
            assert_eq!(read(&format!("x; a={text}")), [("a".to_owned(), value.to_owned(), false)], "{text}");
        }
        // Text after the first closing quote is lost, the parameters behind it are not.
        let parameters = read("x; a=\"say \"hi\".txt\"; b=2");
        assert_eq!(parameters[0], ("a".to_owned(), "say ".to_owned(), false));
        assert_eq!(parameters[1].0, "b");
    }

    #[test]
    fn a_parameter_is_found_in_any_case() {
        let charset = |text: &str| Parameters::split(text.as_bytes()).1.value_of("charset").map(Cow::into_owned);
        assert_eq!(charset("text/plain; Charset=\"utf-8\"").as_deref(), Some(&b"utf-8"[..]));
        assert_eq!(charset("text/plain; x=charset"), None);
    }
}
