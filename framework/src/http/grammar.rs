//! The byte classes of HTTP that several readers share (RFC 9110, section 5.6).

/// Whether `bytes` is a token: at least one byte, and only those that names and methods are made of (RFC 9110, section
/// 5.6.2).
///
/// ```
/// use kirsch::http::is_token;
///
/// assert!(is_token(b"x-own") && !is_token(b"x own") && !is_token(b""));
/// ```
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether a token may contain `byte`.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether a text without control bytes is `name`, which is written in lower case, letters and `-` only. Of the others,
/// only the two cases of a letter differ in nothing but the bit that is set here.
#[inline]
pub(super) fn is_name<const LENGTH: usize>(text: &[u8], name: &[u8; LENGTH]) -> bool {
    // All bytes are compared, even after a difference: so the compiler compares many at once.
    <&[u8; LENGTH]>::try_from(text)
        .is_ok_and(|text| text.iter().zip(name).fold(true, |same, (byte, wanted)| same & (byte | 0x20 == *wanted)))
}

/// Whether a field value may contain `byte`: HTAB, space, visible ASCII and everything above ASCII.
pub(super) const fn is_field_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Whether `byte` is white space within a line: space or HTAB.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `value` without the spaces and tabs around it.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let Some(start) = value.iter().position(|&byte| !is_space(byte)) else { return &[] };
    let end = value.iter().rposition(|&byte| !is_space(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < marks.len() {
        table[marks[index] as usize] = true;
        index += 1;
    }
    let mut byte: u8 = 0;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = true;
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_any_case() {
        for byte in 0..=u8::MAX {
            for wanted in (b'a'..=b'z').chain([b'-']) {
                let accepted = !byte.is_ascii_control() && is_name(&[byte], &[wanted]);
                assert_eq!(accepted, byte.eq_ignore_ascii_case(&wanted), "{byte:#x} for {}", char::from(wanted));
            }
        }
        assert!(is_name(b"User-Agent", b"user-agent") && !is_name(b"User-Agen", b"user-agent"));
    }
}
