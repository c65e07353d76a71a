//! The Content-Disposition field: whether the browser shows or saves a file, and the name of the saved file (RFC 6266).
//!
//! Names outside of ASCII come twice: in `filename*` as UTF-8 (RFC 8187), and with `_` in place of each foreign letter
//! for programs that do not know that. Directories and control characters are taken out, since the name goes into the
//! user's file system.

use ::http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The value of Content-Disposition; `kind` is `attachment` or `inline`.
pub(super) fn disposition(kind: &'static str, name: &str) -> HeaderValue {
    let name = file_name(name);
    let mut plain = String::new();
    for letter in name.chars() {
        match letter {
            '"' | '\\' => plain.extend(['\\', letter]),
            ' '..='~' => plain.push(letter),
            _ => plain.push('_'),
        }
    }
    // Some browsers decode percent signs in the plain form, too, so a name that has one is said in the form that is
    // clear.
    let needs_extended = !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) || name.contains(['"', '\\', '%']);
    let value = if name.is_empty() {
        kind.to_owned()
    } else if needs_extended {
        format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(&name, EXTENDED))
    } else {
        format!("{kind}; filename=\"{plain}\"")
    };
    HeaderValue::try_from(value).expect("all that is not printable ASCII was replaced or encoded")
}

/// The last component of a name, without control characters.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|letter| !letter.is_control()).collect()
}

/// Everything but `attr-char` (RFC 8187, section 3.2.1).
const EXTENDED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_through_with_any_characters() {
        let table = [
            ("report.pdf", r#"attachment; filename="report.pdf""#),
            ("two words.pdf", r#"attachment; filename="two words.pdf""#),
            ("a;b,c=d.txt", r#"attachment; filename="a;b,c=d.txt""#),
            ("naïve.txt", r#"attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt"#),
            ("€.txt", r#"attachment; filename="_.txt"; filename*=UTF-8''%E2%82%AC.txt"#),
            (r#"a"b.txt"#, r#"attachment; filename="a\"b.txt"; filename*=UTF-8''a%22b.txt"#),
            ("100%.txt", r#"attachment; filename="100%.txt"; filename*=UTF-8''100%25.txt"#),
            ("a'b(c).txt", r#"attachment; filename="a'b(c).txt""#),
            ("../../etc/passwd", r#"attachment; filename="passwd""#),
            (r"C:\temp\a.txt", r#"attachment; filename="a.txt""#),
            ("a\r\nSet-Cookie: b=c", r#"attachment; filename="aSet-Cookie: b=c""#),
            ("", "attachment"),
            ("dir/", "attachment"),
        ];
        for (name, expected) in table {
            assert_eq!(disposition("attachment", name), expected, "{name}");
        }
    }

    #[test]
    fn inline_has_a_name_too() {
        assert_eq!(disposition("inline", "a.pdf"), r#"inline; filename="a.pdf""#);
    }
}
