//! The head of one part: its name, the name of its file, its type. Everything else in it is of no use and is passed
//! over.
//!
//! It is a head of MIME and not of HTTP: lines may be folded (RFC 5322, section 2.2.3). A name can be written in three
//! ways, and the first of these that can be read counts: `name*` (RFC 8187), `name`, and `name*0`, `name*1`, ... (RFC
//! 2231, section 3).

use super::MultipartError;
use crate::http::grammar::{is_field_value_byte, is_name, is_space, is_token, trim};
use crate::http::{Charset, Parameters};
use std::borrow::Cow;

/// The fields of a part's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartHead {
    /// The name of the form's field; empty when the part says none.
    pub name: String,
    /// The name of the file as the client sent it, which may be empty or a whole path; `None` when the part is not a
    /// file.
    pub file_name: Option<String>,
    /// The media type of the part, unchecked.
    pub content_type: Option<String>,
}

impl PartHead {
    /// Reads a head that ends with its empty line; its names are in `charset`.
    pub(super) fn read(head: &[u8], charset: Charset) -> Result<Self, MultipartError> {
        let (mut part, mut has_disposition) = (Self::default(), false);
        let unfolded = unfold(head);
        let lines = unfolded.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        for line in lines.filter(|line| !line.is_empty()) {
            let colon = memchr::memchr(b':', line).ok_or(MultipartError::MalformedHead)?;
            let (name, value) = (line[..colon].trim_ascii_end(), trim(&line[colon + 1..]));
            if !is_token(name) || !value.iter().copied().all(is_field_value_byte) {
                return Err(MultipartError::MalformedHead);
            }
            if is_name(name, b"content-disposition") {
                if std::mem::replace(&mut has_disposition, true) {
                    return Err(MultipartError::MalformedHead);
                }
                part.read_disposition(value, charset)?;
            } else if is_name(name, b"content-type") {
                let value = String::from_utf8_lossy(value).into_owned();
                if part.content_type.replace(value).is_some() {
                    return Err(MultipartError::MalformedHead);
                }
            } else if is_name(name, b"content-transfer-encoding")
                && CHANGING.iter().any(|encoding| value.eq_ignore_ascii_case(encoding))
            {
                return Err(MultipartError::TransferEncoding);
            }
        }
        part.content_type = part.content_type.filter(|content_type| !content_type.is_empty());
        Ok(part)
    }

    /// The kind of the disposition does not matter: clients write `form-data`, `attachment`, `file` and `form-field`.
    fn read_disposition(&mut self, value: &[u8], charset: Charset) -> Result<(), MultipartError> {
        let (mut name, mut file_name) = (Spellings::default(), Spellings::default());
        for parameter in Parameters::split(value).1 {
            let star = memchr::memchr(b'*', parameter.name).unwrap_or(parameter.name.len());
            let (base, form) = parameter.name.split_at(star);
            if is_name(base, b"name") {
                name.add(form, parameter.value)?;
            } else if is_name(base, b"filename") {
                file_name.add(form, parameter.value)?;
            }
        }
        self.name = name.read(charset)?.unwrap_or_default();
        self.file_name = match file_name.read(charset) {
            // Only shown to people, so a malformed one does no harm.
            Err(_) => file_name.plain.map(|plain| String::from_utf8_lossy(&unescape(&plain)).into_owned()),
            // A file whose name cannot be read at all is still a file.
            Ok(None) => file_name.extended.map(|extended| String::from_utf8_lossy(&extended).into_owned()),
            Ok(text) => text,
        };
        Ok(())
    }
}

/// The encodings whose bytes are not those of the content. All others change nothing (`binary`, `8bit`) or are unknown.
const CHANGING: [&[u8]; 4] = [b"base64", b"quoted-printable", b"uuencode", b"x-uuencode"];

/// One name, as it was written.
#[derive(Default)]
struct Spellings<'v> {
    plain: Option<Cow<'v, [u8]>>,
    extended: Option<Cow<'v, [u8]>>,
    /// One behind the other, as far as they came in order.
    pieces: Option<Vec<u8>>,
    pieces_are_extended: bool,
    next_piece: usize,
}

impl<'v> Spellings<'v> {
    /// `form` is the text after the name in `name`, `name*`, `name*0` and `name*0*`.
    fn add(&mut self, form: &[u8], value: Cow<'v, [u8]>) -> Result<(), MultipartError> {
        let earlier = match form {
            b"" => self.plain.replace(value),
            b"*" => self.extended.replace(value),
            [b'*', number @ ..] => {
                let (number, is_encoded) = match number {
                    [number @ .., b'*'] => (number, true),
                    number => (number, false),
                };
                if std::str::from_utf8(number).is_ok_and(|number| number.parse() == Ok(self.next_piece)) {
                    self.pieces_are_extended |= self.next_piece == 0 && is_encoded;
                    self.next_piece += 1;
                    let pieces = self.pieces.get_or_insert_default();
                    if self.pieces_are_extended && !is_encoded {
                        // As it is, so that decoding all of it does not change it.
                        pieces.extend(
                            percent_encoding::percent_encode(&value, percent_encoding::NON_ALPHANUMERIC)
                                .flat_map(str::bytes),
                        );
                    } else {
                        pieces.extend_from_slice(&value);
                    }
                }
                None
            }
            _ => None,
        };
        if earlier.is_some() { Err(MultipartError::NamedTwice) } else { Ok(()) }
    }

    /// The first spelling that can be read; an error if a plain one is not valid text in `charset`.
    fn read(&self, charset: Charset) -> Result<Option<String>, MultipartError> {
        if let Some(text) = self.extended.as_deref().and_then(read_extended) {
            return Ok(Some(text));
        }
        let text = |bytes: &[u8]| charset.decode(bytes).map(Cow::into_owned);
        if let Some(plain) = &self.plain {
            return text(&unescape(plain)).map(Some).ok_or(MultipartError::NameNotText);
        }
        let Some(pieces) = &self.pieces else { return Ok(None) };
        let read = if self.pieces_are_extended { read_extended(pieces) } else { text(pieces) };
        Ok(read.or_else(|| Some(String::from_utf8_lossy(pieces).into_owned())))
    }
}

/// Takes the line ends out that are followed by white space.
fn unfold(head: &[u8]) -> Cow<'_, [u8]> {
    let is_fold = |at: usize| head.get(at + 2).copied().is_some_and(is_space);
    let mut folds = memchr::memmem::find_iter(head, b"\r\n").filter(|&at| is_fold(at)).peekable();
    if folds.peek().is_none() {
        return Cow::Borrowed(head);
    }
    let (mut unfolded, mut start) = (Vec::with_capacity(head.len()), 0);
    for fold in folds {
        unfolded.extend_from_slice(&head[start..fold]);
        start = fold + 2;
    }
    unfolded.extend_from_slice(&head[start..]);
    Cow::Owned(unfolded)
}

/// Undoes the escapes of browsers for the three bytes that cannot stand within quotes; browsers leave everything else
/// alone, `%` too.
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

/// `UTF-8'en'na%C3%AFve` (RFC 8187, section 3.2). Forms should not have it (RFC 7578, section 4.2), but some clients
/// write it. One that cannot be read is passed over (RFC 6266, section 4.3).
fn read_extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes: Vec<u8> = percent_encoding::percent_decode(encoded).collect();
    Charset::of_label(charset)?.decode(&bytes).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<PartHead, MultipartError> {
        PartHead::read(format!("{lines}\r\n\r\n").as_bytes(), Charset::Utf8)
    }

    #[track_caller]
    fn check(parameters: &str, name: &str, file_name: Option<&str>) {
        let head = read(&format!("Content-Disposition: form-data; {parameters}")).expect(parameters);
        assert_eq!((&*head.name, head.file_name.as_deref()), (name, file_name), "{parameters}");
    }

    // The spellings of browsers, curl and programs.
    #[test]
    fn names_of_files_come_as_clients_write_them() {
        check("name=\"a\"", "a", None);
        check("name=a; filename=b.txt", "a", Some("b.txt"));
        check("name=\"a\"; filename=\"\"", "a", Some(""));
        check("name=\"a\"; filename=", "a", Some(""));
        check("name=\"a\"; filename=\"x, y.txt\"", "a", Some("x, y.txt"));
        check("name=\"a%22b\"; filename=\"100%41%0D%0a%22.txt\"", "a\"b", Some("100%41\r\n\".txt"));
        check("name=\"\u{e4}\"; filename=\"\u{65e5}.txt\"", "\u{e4}", Some("\u{65e5}.txt"));
        check("name=a; filename=my file \u{e4}.txt", "a", Some("my file \u{e4}.txt"));
        check("NAME = \"a\" ;FileName= \"b.txt\" ", "a", Some("b.txt"));
        check(r#"name="a"; filename="C:\dir\b.txt"; size=7"#, "a", Some(r"C:\dir\b.txt"));
        check(r#"name="a"; filename="\\server\share\b.txt""#, "a", Some(r"\server\share\b.txt"));
    }

    #[test]
    fn of_three_spellings_the_first_that_can_be_read_counts() {
        check("name=a; filename=\"n.txt\"; filename*=utf-8''na%C3%AFve.txt", "a", Some("na\u{ef}ve.txt"));
        check("filename*=UTF-8''b%20c; filename=n.txt; name*=utf-8'en'%C3%A4", "\u{e4}", Some("b c"));
        check("name=a; filename*=ISO-8859-1'en'%E4", "a", Some("\u{e4}"));
        for bad in ["UTF-8''%ff", "gbk''%c4", "\u{e4}.txt", "b c.txt", "UTF-8'", "", "\"UTF-8''%ff\""] {
            check(&format!("name=a; filename=\"n.txt\"; filename*={bad}"), "a", Some("n.txt"));
            check(&format!("name*={bad}; name=a"), "a", None);
            // Still a file.
            let alone = read(&format!("Content-Disposition: form-data; name=a; filename*={bad}")).expect(bad);
            assert_eq!(alone.file_name.as_deref(), Some(bad.trim_matches('"')));
        }
        check("name=a; filename*0=\"b\"; filename*1=\" c.txt\"; filename*3=x", "a", Some("b c.txt"));
        check(
            "name=a; filename*0*=utf-8''%C3%A4; filename*1=\"%41\"; filename*2*=%C3%A4",
            "a",
            Some("\u{e4}%41\u{e4}"),
        );
        check("name=a; filename*0=b; filename=n.txt", "a", Some("n.txt"));
    }

    #[test]
    fn a_bad_parameter_loses_nothing_else() {
        check("name=\"a\"; filename=\"b.txt", "a", Some("b.txt"));
        check("name=\"a\"; filename=\"say \"hi\".txt\"; size=1", "a", Some("say "));
        check("size; =x; name=a; \u{e4}=1; filename=b;", "a", Some("b"));
    }

    #[test]
    fn a_part_without_a_name_has_the_empty_one() {
        for lines in ["X: 1", "", "Content-Type: text/plain", "Content-Disposition:", "Content-Disposition: form-data"]
        {
            assert_eq!(read(lines).expect(lines).name, "", "{lines}");
        }
        check("name=\"\"", "", None);
        check("filename=\"a\"", "", Some("a"));
    }

    #[test]
    fn lines_may_be_folded() {
        let head = read(
            "Content-Disposition: form-data;\r\n name=\"a\";\r\n\t filename=\"b\r\n c.txt\"\r\nContent-Type:\r\n image/png;\r\n\tx=1",
        );
        let head = head.expect("a head");
        assert_eq!((&*head.name, head.file_name.as_deref()), ("a", Some("b c.txt")));
        assert_eq!(head.content_type.as_deref(), Some("image/png;\tx=1"));
    }

    #[test]
    fn the_type_is_kept_and_other_fields_are_passed_over() {
        let head = read("X-Other: 1\r\ncontent-type:  image/png \r\nCONTENT-DISPOSITION : Attachment; name=a")
            .expect("a head");
        assert_eq!((&*head.name, head.content_type.as_deref()), ("a", Some("image/png")));
        assert_eq!(read("Content-Type: ").expect("a head").content_type, None);
    }

    #[test]
    fn names_are_in_the_charset_of_the_form() {
        let head = b"Content-Disposition: form-data; name=\"\xe4\"; filename=\"\xe4\"\r\n\r\n";
        let read = PartHead::read(head, Charset::Windows1252).expect("a head");
        assert_eq!((&*read.name, read.file_name.as_deref()), ("\u{e4}", Some("\u{e4}")));
        assert_eq!(PartHead::read(head, Charset::Utf8), Err(MultipartError::NameNotText));
        let file = b"Content-Disposition: form-data; name=a; filename=\"\xe4\"\r\n\r\n";
        let read = PartHead::read(file, Charset::Utf8).expect("a head");
        assert_eq!(read.file_name.as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn the_mistake_in_a_head_is_told() {
        use MultipartError::*;
        let named = "Content-Disposition: form-data; name=a";
        let table = [
            ("Content-Disposition: form-data; name=a; name=b", NamedTwice),
            ("Content-Disposition: form-data; name=a; filename=a; filename=b", NamedTwice),
            ("Content-Disposition: form-data; name=a; filename*=utf-8''a; FILENAME*=utf-8''b", NamedTwice),
            (&format!("{named}\r\n{named}"), MalformedHead),
            (" folded from nothing", MalformedHead),
            (&format!("{named}\r\nno colon"), MalformedHead),
            (&format!("{named}\r\nX: a\rb"), MalformedHead),
            (&format!("{named}\r\nContent-Transfer-Encoding: Base64"), TransferEncoding),
            (&format!("{named}\r\nContent-Transfer-Encoding: quoted-printable"), TransferEncoding),
        ];
        for (lines, error) in table {
            assert_eq!(read(lines), Err(error), "{lines}");
        }
        for plain in ["Binary", "8bit", "7BIT", "utf-8", ""] {
            assert!(read(&format!("{named}\r\nContent-Transfer-Encoding: {plain}")).is_ok(), "{plain}");
        }
    }
}
