//! The charsets that the texts of a request are read in: UTF-8, and the few others that clients still declare.
//!
//! Labels mean what the Encoding Standard of the WHATWG says, since browsers go by it: `iso-8859-1` is windows-1252.
//! Only `us-ascii` is read as UTF-8, of which it is a part, so that a byte beyond ASCII is refused and not guessed.
//! There are no tables of whole languages here: text that needs them is 415.

use super::Parameters;
use std::borrow::Cow;

/// A charset that texts can be decoded from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Charset {
    #[default]
    Utf8,
    Windows1252,
    /// With a byte order mark of the other order, the other order.
    Utf16 {
        is_big_endian: bool,
    },
}

/// Any other label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownCharset;

impl Charset {
    /// The `charset` of a media type, if it has one.
    pub(crate) fn declared(media_type: &str) -> Result<Option<Self>, UnknownCharset> {
        match Parameters::split(media_type.as_bytes()).1.value_of("charset") {
            Some(label) if !label.is_empty() => Self::of_label(&label).map(Some).ok_or(UnknownCharset),
            _ => Ok(None),
        }
    }

    /// As it is called to people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Windows1252 => "windows-1252",
            Self::Utf16 { .. } => "UTF-16",
        }
    }

    /// The charset of this label, in any case and perhaps in quotes.
    pub(crate) fn of_label(label: &[u8]) -> Option<Self> {
        let label = label.trim_ascii();
        let label = label.strip_prefix(b"'").and_then(|label| label.strip_suffix(b"'")).unwrap_or(label);
        let is_one_of = |labels: &[&str]| labels.iter().any(|known| label.eq_ignore_ascii_case(known.as_bytes()));
        if is_one_of(&["utf-8", "utf8", "us-ascii", "ascii", "unicode-1-1-utf-8"]) {
            Some(Self::Utf8)
        } else if is_one_of(&[
            "iso-8859-1",
            "iso8859-1",
            "iso_8859-1",
            "iso88591",
            "latin1",
            "latin-1",
            "l1",
            "cp819",
            "windows-1252",
            "cp1252",
            "x-cp1252",
        ]) {
            Some(Self::Windows1252)
        } else if is_one_of(&["utf-16", "utf-16le"]) {
            Some(Self::Utf16 { is_big_endian: false })
        } else if is_one_of(&["utf-16be"]) {
            Some(Self::Utf16 { is_big_endian: true })
        } else {
            None
        }
    }

    /// The text, or `None` when the bytes are not valid in this charset.
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Windows1252 => match std::str::from_utf8(bytes) {
                Ok(text) if bytes.is_ascii() => Some(Cow::Borrowed(text)),
                _ => Some(bytes.iter().copied().map(windows_1252).collect::<String>().into()),
            },
            Self::Utf16 { is_big_endian } => {
                let (is_big_endian, bytes) = match bytes {
                    [0xff, 0xfe, rest @ ..] => (false, rest),
                    [0xfe, 0xff, rest @ ..] => (true, rest),
                    bytes => (is_big_endian, bytes),
                };
                let (pairs, odd) = bytes.as_chunks::<2>();
                let unit =
                    |pair: &[u8; 2]| if is_big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
                let text: Result<String, _> = char::decode_utf16(pairs.iter().map(unit)).collect();
                text.ok().filter(|_| odd.is_empty()).map(Cow::Owned)
            }
        }
    }
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => UPPER[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}

/// 0x80 to 0x9F. Those that windows-1252 leaves open are control characters (Encoding Standard, section 9.1).
#[rustfmt::skip]
const UPPER: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(label: &str, bytes: &[u8], text: Option<&str>) {
        let charset = Charset::of_label(label.as_bytes()).expect(label);
        assert_eq!(charset.decode(bytes).as_deref(), text, "{label}");
    }

    #[test]
    fn a_label_names_its_charset_in_any_case() {
        check("UTF-8", "\u{a3}".as_bytes(), Some("\u{a3}"));
        check("us-ascii", b"caf\xe9", None);
        check("ISO-8859-1", b"caf\xe9", Some("caf\u{e9}"));
        check("'latin1'", b"plain", Some("plain"));
        check(" windows-1252 ", b"\x80 \x93a\x94 \x81\xff", Some("\u{20ac} \u{201c}a\u{201d} \u{81}\u{ff}"));
        for unknown in ["", "gbk", "shift_jis", "utf-7", "x-user-defined"] {
            assert_eq!(Charset::of_label(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn a_media_type_declares_its_charset() {
        assert_eq!(Charset::declared("text/plain"), Ok(None));
        assert_eq!(Charset::declared("text/plain; charset="), Ok(None));
        assert_eq!(Charset::declared("text/plain;format=flowed;Charset=\"Latin1\""), Ok(Some(Charset::Windows1252)));
        assert_eq!(Charset::declared("text/plain; charset=gbk"), Err(UnknownCharset));
    }

    #[test]
    fn utf_16_goes_by_its_mark_and_must_be_whole() {
        check("utf-16", b"\xff\xfea\x00\x1c\x20", Some("a\u{201c}"));
        check("utf-16", b"\xfe\xff\x00a", Some("a"));
        check("utf-16le", b"a\x00", Some("a"));
        check("utf-16be", b"\x00a", Some("a"));
        check("utf-16", b"a\x00b", None);
        check("utf-16", b"\x00\xd8", None);
    }
}
