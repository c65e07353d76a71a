//! application/x-www-form-urlencoded, as in queries and forms: from its bytes to names and values that are still bytes.
//!
//! The rules of the URL Standard (section 5.1): fields end at `&`, the name at the first `=`, `+` is a space, and a `%`
//! without two hexadecimal digits is itself. The caller decides what the bytes mean as text, since a form may declare
//! its charset.

use super::scan;
use std::borrow::Cow;

/// The names and values, decoded, in their order; empty fields are left out.
pub(crate) fn urlencoded(text: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    text.split(|&byte| byte == b'&').filter(|field| !field.is_empty()).map(|field| {
        // Names are a few letters: shorter than the set-up of a vector search.
        let end = field.iter().position(|&byte| byte == b'=').unwrap_or(field.len());
        (decode(&field[..end]), decode(field.get(end + 1..).unwrap_or_default()))
    })
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !scan::contains_any(text, [b'+', b'%']) {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_encoding::percent_decode(&spaced).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_before_they_are_decoded() {
        type Fields = &'static [(&'static [u8], &'static [u8])];
        let table: [(&str, Fields); 8] = [
            ("a=1&b=2", &[(b"a", b"1"), (b"b", b"2")]),
            ("&&a&=1&", &[(b"a", b""), (b"", b"1")]),
            ("a=b=c&d%3De%26=f%3d%26", &[(b"a", b"b=c"), (b"d=e&", b"f=&")]),
            ("a+b=c+d%2B", &[(b"a b", b"c d+")]),
            ("a=%A3&%e9=", &[(b"a", b"\xa3"), (b"\xe9", b"")]),
            // A bad percent sign is itself; paths refuse it.
            ("a=%zz&b=100%&c=%4&d=%+1", &[(b"a", b"%zz"), (b"b", b"100%"), (b"c", b"%4"), (b"d", b"% 1")]),
            ("a;b=1", &[(b"a;b", b"1")]),
            ("", &[]),
        ];
        for (text, fields) in table {
            let read: Vec<_> = urlencoded(text.as_bytes()).collect();
            let read: Vec<(&[u8], &[u8])> = read.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(read, fields, "{text}");
        }
    }

    #[test]
    fn it_reads_as_the_parser_of_the_url_standard_does() {
        let mut noise = super::super::noise::Noise::new();
        for _ in 0..2000 {
            let mut text = b"a=1&b%C3%A4=%E2%82%AC+x&c&d=%".to_vec();
            noise.mutate(&mut text, b"&=+%0aF;\xe4");
            let ours: Vec<_> = urlencoded(&text)
                .map(|(name, value)| [name, value].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
                .collect();
            let theirs: Vec<_> =
                form_urlencoded::parse(&text).map(|(name, value)| [name.into_owned(), value.into_owned()]).collect();
            assert_eq!(ours, theirs, "{}", text.escape_ascii());
        }
    }
}
