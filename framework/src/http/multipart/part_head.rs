//! The head of one part: its name, the name of its file, its type. Everything else in it is of no use and is passed over.

use super::MultipartError;
use super::parameters::{Malformed, Parameters};
use crate::http::grammar::{is_field_value_byte, is_name, is_token, trim};

/// What the head of a part says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartHead {
    /// The name of the form's field.
    pub name: String,
    /// The name of the file as the client sent it, which may be empty or a whole path; `None` when the part is no file.
    pub file_name: Option<String>,
    /// The media type of the part, unchecked.
    pub content_type: Option<String>,
}

impl PartHead {
    /// Reads a head that ends with its empty line.
    pub(super) fn read(head: &[u8]) -> Result<Self, MultipartError> {
        let lines = head.strip_suffix(b"\r\n\r\n").ok_or(MultipartError::MalformedDisposition)?;
        let (mut part, mut is_form_data) = (Self::default(), false);
        for line in lines.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = memchr::memchr(b':', line).ok_or(MultipartError::MalformedHead)?;
            let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
            if !is_token(name) || !value.iter().copied().all(is_field_value_byte) {
                return Err(MultipartError::MalformedHead);
            }
            if is_name(name, b"content-disposition") {
                if std::mem::replace(&mut is_form_data, true) {
                    return Err(MultipartError::MalformedHead);
                }
                part.read_disposition(value)?;
            } else if is_name(name, b"content-type") {
                let value = String::from_utf8_lossy(value).into_owned();
                if part.content_type.replace(value).is_some() {
                    return Err(MultipartError::MalformedHead);
                }
            } else if is_name(name, b"content-transfer-encoding")
                && ![&b"binary"[..], b"7bit", b"8bit"].iter().any(|plain| value.eq_ignore_ascii_case(plain))
            {
                return Err(MultipartError::TransferEncoding);
            }
        }
        if is_form_data { Ok(part) } else { Err(MultipartError::MalformedDisposition) }
    }

    fn read_disposition(&mut self, value: &[u8]) -> Result<(), MultipartError> {
        let (kind, parameters) = Parameters::split(value);
        if !kind.eq_ignore_ascii_case(b"form-data") {
            return Err(MultipartError::MalformedDisposition);
        }
        let (mut name, mut plain, mut extended) = (None, None, None);
        for parameter in parameters {
            let (key, value) = parameter.map_err(|Malformed| MultipartError::MalformedDisposition)?;
            let earlier = if is_name(key, b"name") {
                let text = String::from_utf8(unescape(&value)).map_err(|_| MultipartError::NameNotUtf8)?;
                name.replace(text)
            } else if is_name(key, b"filename") {
                // Only told to people, so one that is not UTF-8 does no harm.
                plain.replace(String::from_utf8_lossy(&unescape(&value)).into_owned())
            } else if key.eq_ignore_ascii_case(b"filename*") {
                extended.replace(read_extended(&value).ok_or(MultipartError::MalformedDisposition)?)
            } else if key.contains(&b'*') {
                // A name or a file name in pieces (RFC 2231), which forms never had: without it a file would look like text.
                return Err(MultipartError::MalformedDisposition);
            } else {
                None
            };
            if earlier.is_some() {
                return Err(MultipartError::MalformedDisposition);
            }
        }
        self.name = name.ok_or(MultipartError::Unnamed)?;
        self.file_name = extended.or(plain);
        Ok(())
    }
}

/// Takes back what browsers do to the three bytes that cannot stand within quotes; everything else they leave alone, `%` too.
fn unescape(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(place) = memchr::memchr(b'%', rest) {
        text.extend_from_slice(&rest[..place]);
        let (byte, length) = match rest.get(place + 1..place + 3) {
            Some(b"22") => (b'"', 3),
            Some(b"0D" | b"0d") => (b'\r', 3),
            Some(b"0A" | b"0a") => (b'\n', 3),
            _ => (b'%', 1),
        };
        text.push(byte);
        rest = &rest[place + length..];
    }
    text.extend_from_slice(rest);
    text
}

/// `UTF-8'en'na%C3%AFve` (RFC 8187, section 3.2). Forms should not have it (RFC 7578, section 4.2), but some clients write it.
fn read_extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes: Vec<u8> = percent_encoding::percent_decode(encoded).collect();
    if charset.eq_ignore_ascii_case(b"utf-8") {
        String::from_utf8(bytes).ok()
    } else if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        Some(bytes.into_iter().map(char::from).collect())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<PartHead, MultipartError> {
        PartHead::read(format!("{lines}\r\n\r\n").as_bytes())
    }

    #[track_caller]
    fn check(parameters: &str, name: &str, file_name: Option<&str>) {
        let head = read(&format!("Content-Disposition: form-data; {parameters}")).expect(parameters);
        assert_eq!((&*head.name, head.file_name.as_deref()), (name, file_name));
    }

    // G8: what browsers, curl and programs send.
    #[test]
    fn names_of_files_come_as_clients_write_them() {
        check("name=\"a\"", "a", None);
        check("name=a; filename=b.txt", "a", Some("b.txt"));
        check("name=\"a\"; filename=\"\"", "a", Some(""));
        check("name=\"a\"; filename=\"x, y.txt\"", "a", Some("x, y.txt"));
        check("name=\"a%22b\"; filename=\"100%41%0D%0a%22.txt\"", "a\"b", Some("100%41\r\n\".txt"));
        check("name=\"\u{e4}\"; filename=\"\u{65e5}.txt\"", "\u{e4}", Some("\u{65e5}.txt"));
        check("name=a; filename=\"n.txt\"; filename*=utf-8''na%C3%AFve.txt", "a", Some("na\u{ef}ve.txt"));
        check("name=a; filename*=ISO-8859-1'en'%E4", "a", Some("\u{e4}"));
        check(r#"name="a"; filename="C:\dir\b.txt"; size=7"#, "a", Some(r"C:\dir\b.txt"));
    }

    #[test]
    fn the_type_is_kept_and_other_fields_are_passed_over() {
        let head =
            read("X-Other: 1\r\ncontent-type:  image/png \r\nCONTENT-DISPOSITION: Form-Data; name=a").expect("a head");
        assert_eq!((&*head.name, head.content_type.as_deref()), ("a", Some("image/png")));
    }

    #[test]
    fn what_is_wrong_with_a_head_is_told() {
        use MultipartError::*;
        let named = "Content-Disposition: form-data; name=a";
        let table = [
            ("", MalformedHead),
            ("Content-Type: text/plain", MalformedDisposition),
            ("Content-Disposition: attachment; name=a", MalformedDisposition),
            ("Content-Disposition: form-data", Unnamed),
            ("Content-Disposition: form-data; filename=a", Unnamed),
            ("Content-Disposition: form-data; name=a; name=b", MalformedDisposition),
            ("Content-Disposition: form-data; name=\"a", MalformedDisposition),
            ("Content-Disposition: form-data; name=a; filename*0=b", MalformedDisposition),
            ("Content-Disposition: form-data; name=a; filename*=latin9''b", MalformedDisposition),
            (&format!("{named}\r\n{named}"), MalformedHead),
            (&format!("{named}\r\n folded"), MalformedHead),
            (&format!("{named}\r\nno colon"), MalformedHead),
            (&format!("{named}\r\nContent-Transfer-Encoding: base64"), TransferEncoding),
        ];
        for (lines, error) in table {
            assert_eq!(read(lines), Err(error), "{lines}");
        }
        let latin = b"Content-Disposition: form-data; name=\"\xe4\"\r\n\r\n";
        assert_eq!(PartHead::read(latin), Err(NameNotUtf8));
        assert!(read(&format!("{named}\r\nContent-Transfer-Encoding: Binary")).is_ok());
    }
}
