//! The parameters behind a value, `; name=value; name="quoted value"`, as in Content-Disposition and Content-Type.
//!
//! What clients send decides, more than the grammar: browsers write a quote within quotes as `%22` and a backslash as itself
//! (the form submission algorithm of the HTML standard), curl and others write `\"` and `\\`. So a backslash escapes a quote
//! and a backslash, and is itself before anything else. Unquoted values may hold more than tokens do: many boundaries are written so.

use crate::http::grammar::{is_field_value_byte, is_token, trim};
use std::borrow::Cow;

/// Reads parameter after parameter; `Err` once when the rest cannot be read.
pub(super) struct Parameters<'v>(&'v [u8]);

/// A name and its value.
type Parameter<'v> = (&'v [u8], Cow<'v, [u8]>);

/// The text cannot be split into parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'v> Parameters<'v> {
    /// The value before the first semicolon, without white space around it, and the parameters behind it.
    pub(super) fn split(field: &'v [u8]) -> (&'v [u8], Self) {
        let end = memchr::memchr(b';', field).unwrap_or(field.len());
        (trim(&field[..end]), Self(&field[end..]))
    }

    fn read(&mut self) -> Result<Option<Parameter<'v>>, Malformed> {
        let mut rest = trim(self.0);
        // A semicolon at the end is harmless.
        while let Some(after) = rest.strip_prefix(b";") {
            rest = trim(after);
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let equals = memchr::memchr(b'=', rest).ok_or(Malformed)?;
        let name = trim(&rest[..equals]);
        if !is_token(name) {
            return Err(Malformed);
        }
        rest = trim(&rest[equals + 1..]);
        let value = match rest.strip_prefix(b"\"") {
            Some(quoted) => {
                let (value, after) = read_quoted(quoted)?;
                rest = trim(after);
                value
            }
            None => {
                let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
                let value = trim(&rest[..end]);
                let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
                if value.is_empty() || !value.iter().all(is_plain) {
                    return Err(Malformed);
                }
                rest = &rest[end..];
                Cow::Borrowed(value)
            }
        };
        if !(rest.is_empty() || rest.starts_with(b";")) {
            return Err(Malformed);
        }
        self.0 = rest;
        Ok(Some((name, value)))
    }
}

impl<'v> Iterator for Parameters<'v> {
    type Item = Result<Parameter<'v>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.0 = &[];
        }
        read.transpose()
    }
}

/// The text up to the closing quote, and what follows that.
fn read_quoted(text: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Malformed> {
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
            let is_text = value.iter().copied().all(is_field_value_byte);
            return if is_text { Ok((value, &text[start..])) } else { Err(Malformed) };
        }
    }
    Err(Malformed)
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

    fn read(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the tests write text");
        Parameters::split(text.as_bytes())
            .1
            .map(|parameter| parameter.map(|(name, value)| (text_of(name), text_of(&value))))
            .collect()
    }

    #[track_caller]
    fn check(text: &str, value: &str) {
        assert_eq!(
            read(&format!("form-data; a={text}; b=2")),
            Ok(vec![("a".into(), value.into()), ("b".into(), "2".into())])
        );
    }

    // G8: a comma, a space or a semicolon in a name once truncated it.
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
    fn what_cannot_be_split_is_an_error() {
        for text in ["a", "a=", "=x", "a=\"x", "a=\"x\"y", "a=\"x\\\"", "a b=1", "a=x y", "a=\"x\ny\"", "a=\u{e4}"] {
            assert_eq!(read(&format!("x; {text}")), Err(Malformed), "{text}");
        }
        assert_eq!(read("x;"), Ok(vec![]));
        assert_eq!(read("x ; ; a=1;").map(|parameters| parameters.len()), Ok(1));
    }
}
