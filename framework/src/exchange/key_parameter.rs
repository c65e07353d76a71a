//! Addresses without the key of the process, which the link at the start carries: whoever may read a log must not read
//! it there.
//!
//! A link may be part of another address (`?next=%2Fstatus%3Fkirsch_debug%3D...`), so its `=` may be encoded. A key
//! consists of characters that never are.

use std::borrow::Cow;

/// Names the parameter with the key, and the cookie.
pub(crate) const KEY_PARAMETER: &str = "kirsch_debug";

/// Stands for the key.
const MASK: &str = "***";

/// An address, or any text with addresses in it, without the values of that parameter.
pub(crate) fn without_key(text: &str) -> Cow<'_, str> {
    if !text.contains(KEY_PARAMETER) {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(KEY_PARAMETER) {
        let (before, behind) = rest.split_at(at + KEY_PARAMETER.len());
        masked.push_str(before);
        // Encoded once more with each address around it: `=`, `%3D`, `%253D`.
        let length = if behind.starts_with('=') { 1 } else { encoded_sign(behind).unwrap_or(0) };
        let (sign, value) = behind.split_at(length);
        masked.push_str(sign);
        let end = value.find(|character: char| !(character.is_ascii_alphanumeric() || "-_".contains(character)));
        let (value, following) = value.split_at(end.unwrap_or(value.len()));
        masked.push_str(if sign.is_empty() { value } else { MASK });
        rest = following;
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

/// The same for bytes of a client.
pub(crate) fn bytes_without_key(bytes: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(bytes).map(without_key) {
        Ok(Cow::Owned(masked)) => Cow::Owned(masked.into_bytes()),
        // No address of a link. It may be one with other bytes around it.
        Err(_) if memchr::memmem::find(bytes, KEY_PARAMETER.as_bytes()).is_some() => Cow::Borrowed(b"(not shown)"),
        _ => Cow::Borrowed(bytes),
    }
}

/// The length of an encoded `=` that the text begins with.
fn encoded_sign(text: &str) -> Option<usize> {
    let digits = text.strip_prefix('%')?.trim_start_matches("25");
    digits.get(..2).filter(|sign| sign.eq_ignore_ascii_case("3d")).map(|_| text.len() - digits.len() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_in_no_text() {
        let table = [
            ("/x?kirsch_debug=abc-_1", "/x?kirsch_debug=***"),
            ("/x?a=1&kirsch_debug=abc&b=2 HTTP/1.1", "/x?a=1&kirsch_debug=***&b=2 HTTP/1.1"),
            ("/login?next=%2Fx%3Fkirsch_debug%3Dabc%26b%3D2", "/login?next=%2Fx%3Fkirsch_debug%3D***%26b%3D2"),
            ("/a?next=b%3Fkirsch_debug%253dabc", "/a?next=b%3Fkirsch_debug%253d***"),
            ("kirsch_debug=abc; kirsch_debug=def", "kirsch_debug=***; kirsch_debug=***"),
            ("/kirsch_debugger", "/kirsch_debugger"),
            ("/plain?kirsch=debug", "/plain?kirsch=debug"),
            ("/x?kirsch_debug", "/x?kirsch_debug"),
            ("/x?kirsch_debug%", "/x?kirsch_debug%"),
            ("/x?kirsch_debug%ä", "/x?kirsch_debug%ä"),
        ];
        for (text, masked) in table {
            assert_eq!(without_key(text), masked);
            assert_eq!(&*bytes_without_key(text.as_bytes()), masked.as_bytes());
        }
        assert_eq!(&*bytes_without_key(b"\xff?kirsch_debug=abc"), b"(not shown)");
        assert_eq!(&*bytes_without_key(b"\xff"), b"\xff");
    }
}
