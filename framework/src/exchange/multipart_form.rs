//! A multipart form that has been received: its texts become parameters, its files [`Upload`]s.
//!
//! One pass over the body, which stays where it is: files of a spooled body are ranges of the same temporary file.
//! `max_form` limits the parts in memory, texts and names, however large the files are.

use super::limits::Limits;
use super::request_text::{CHARSET_FIELD, declared, named_by_field, not_text};
use super::upload::Content;
use super::{HttpError, RequestBody, Upload};
use crate::http::{Charset, MultipartError, MultipartEvent, MultipartParser, PartHead, PartLimits};
use ::http::StatusCode;
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// The contents of a form.
#[derive(Debug, Default)]
pub(super) struct MultipartForm {
    /// Names and values, in their order.
    pub(super) fields: Vec<(String, String)>,
    pub(super) uploads: Vec<Upload>,
}

/// How much of a spooled body is read at a time.
const PIECE: usize = 64 * 1024;

impl MultipartForm {
    /// Reads a body that is in memory or spooled; there is nothing to read in any other.
    ///
    /// # Errors
    /// 400 for a malformed form, 413 beyond a limit, 415 when it is not multipart, 500 when the temporary file cannot
    /// be read.
    pub(super) fn read(content_type: &str, body: &RequestBody, limits: &Limits) -> Result<Self, HttpError> {
        match body {
            RequestBody::None | RequestBody::Stream(_) => Ok(Self::default()),
            RequestBody::Memory(content) => {
                let mut reading = Reading::new(content_type, limits)?;
                reading.feed(content, &Source::Memory(content))?;
                reading.finish()
            }
            RequestBody::File { file, length } => {
                let mut reading = Reading::new(content_type, limits)?;
                let file = Arc::new(file.try_clone().map_err(|error| unreadable(&error))?);
                let (mut piece, mut position) = (vec![0; PIECE], 0);
                let source = Source::Spooled(file.clone());
                while position < *length {
                    match file.read_at(&mut piece, position) {
                        Ok(0) => return Err(unreadable(&io::ErrorKind::UnexpectedEof.into())),
                        Ok(count) => {
                            reading.feed(&piece[..count], &source)?;
                            position += count as u64;
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(unreadable(&error)),
                    }
                }
                reading.finish()
            }
        }
    }
}

/// Where the content of a file is taken from when it is complete.
enum Source<'b> {
    Memory(&'b [u8]),
    Spooled(Arc<File>),
}

impl Source<'_> {
    fn content(&self, start: u64, length: u64) -> Content {
        match self {
            Self::Memory(body) => {
                let range = |place| usize::try_from(place).expect("the body is in memory");
                Content::Memory(Arc::from(&body[range(start)..range(start + length)]))
            }
            Self::Spooled(file) => Content::Spooled { file: file.clone(), start, length },
        }
    }
}

struct Reading<'l> {
    parser: MultipartParser,
    /// The charset of the form as a whole.
    charset: Option<Charset>,
    texts: Vec<(PartHead, Vec<u8>)>,
    uploads: Vec<Upload>,
    limits: &'l Limits,
    /// Bytes of the body before the piece that is being read.
    position: u64,
    /// Bytes kept in memory.
    kept: u64,
    part: Option<Part>,
}

/// The part that is being read.
struct Part {
    head: PartHead,
    text: Vec<u8>,
    start: u64,
    length: u64,
}

impl<'l> Reading<'l> {
    fn new(content_type: &str, limits: &'l Limits) -> Result<Self, HttpError> {
        let parser = MultipartParser::new(content_type, part_limits(limits)).map_err(|error| refused(error, limits))?;
        let charset = declared(content_type, "form")?;
        Ok(Self { parser, charset, texts: Vec::new(), uploads: Vec::new(), limits, position: 0, kept: 0, part: None })
    }

    fn feed(&mut self, piece: &[u8], source: &Source<'_>) -> Result<(), HttpError> {
        let mut used = 0;
        while used < piece.len() {
            let (length, event) = self.parser.next(&piece[used..]).map_err(|error| refused(error, self.limits))?;
            used += length;
            let mut kept = 0;
            match event {
                MultipartEvent::Part(head) => {
                    let texts = [Some(&head.name), head.file_name.as_ref(), head.content_type.as_ref()];
                    kept = texts.into_iter().flatten().map(String::len).sum();
                    let start = self.position + used as u64;
                    self.part = Some(Part { head, text: Vec::new(), start, length: 0 });
                }
                MultipartEvent::Content(content) => {
                    if let Some(part) = &mut self.part {
                        part.length += content.len() as u64;
                        if part.head.file_name.is_none() {
                            kept = content.len();
                            part.text.extend_from_slice(content);
                        }
                    }
                }
                MultipartEvent::PartEnd => {
                    if let Some(part) = self.part.take() {
                        self.add(part, source);
                    }
                }
                MultipartEvent::More | MultipartEvent::End => {}
            }
            self.kept += kept as u64;
            if self.kept > self.limits.max_form.most {
                return Err(self.limits.max_form.exceeded());
            }
        }
        self.position += piece.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<MultipartForm, HttpError> {
        self.parser.finish().map_err(|error| refused(error, self.limits))?;
        let of_fields = match self.texts.iter().find(|(head, _)| head.name == CHARSET_FIELD) {
            Some((_, label)) if self.charset.is_none() => named_by_field(label)?,
            _ => self.charset,
        };
        let fields = self.texts.into_iter().map(|(head, bytes)| {
            let text = part_text(&head, &bytes, of_fields)?;
            Ok((head.name, text))
        });
        Ok(MultipartForm { fields: fields.collect::<Result<_, HttpError>>()?, uploads: self.uploads })
    }

    fn add(&mut self, part: Part, source: &Source<'_>) {
        let Part { head, text, start, length } = part;
        match &head.file_name {
            // A file field that was left empty, as browsers send it.
            Some(name) if name.is_empty() && length == 0 => {}
            Some(_) => self.uploads.push(Upload::new(head, source.content(start, length))),
            None => self.texts.push((head, text)),
        }
    }
}

/// The text of a part, in the charset that it declares, or else in that of the form.
pub(super) fn part_text(head: &PartHead, bytes: &[u8], of_form: Option<Charset>) -> Result<String, HttpError> {
    let of_part = head
        .content_type
        .as_deref()
        .map_or(Ok(None), |content_type| declared(content_type, &format!("field `{}`", head.name.escape_debug())))?;
    let charset = of_part.or(of_form).unwrap_or_default();
    charset.decode(bytes).map(Cow::into_owned).ok_or_else(|| not_text(&head.name, charset))
}

/// The parser's part of the limits.
pub(super) fn part_limits(limits: &Limits) -> PartLimits {
    PartLimits { parts: usize::try_from(limits.max_parts.most).unwrap_or(usize::MAX), ..PartLimits::default() }
}

/// The answer to a body that the parser refuses.
pub(super) fn refused(error: MultipartError, limits: &Limits) -> HttpError {
    match error {
        MultipartError::TooManyParts { .. } => limits.max_parts.exceeded(),
        MultipartError::NotMultipart => {
            HttpError::new(error.status(), "this page reads a form with files, `multipart/form-data`")
        }
        error => HttpError::new(error.status(), error.to_string()),
    }
}

fn unreadable(error: &io::Error) -> HttpError {
    crate::line::record!(Error, target: "kirsch::error", "the temporary file of a request body cannot be read: {error}");
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    fn part(parameters: &str, content: &str) -> String {
        format!("--XX\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{content}\r\n")
    }

    /// Reads the body from memory and from a file, and insists on one outcome.
    fn read(body: &str, limits: &Limits) -> Result<MultipartForm, String> {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(body.as_bytes()).expect("room");
        let spooled = RequestBody::File { file, length: body.len() as u64 };
        let [memory, spooled] = [RequestBody::Memory(body.as_bytes().to_vec()), spooled].map(|body| {
            MultipartForm::read(TYPE, &body, limits).map_err(|error| format!("{} {}", error.status, error.message))
        });
        if let (Ok(memory), Ok(spooled)) = (&memory, &spooled) {
            assert_eq!(memory.fields, spooled.fields);
            let contents = |form: &MultipartForm| {
                form.uploads.iter().map(|upload| upload.clone().bytes().expect("readable")).collect::<Vec<_>>()
            };
            assert_eq!(contents(memory), contents(spooled));
        } else {
            assert_eq!(memory.as_ref().err(), spooled.as_ref().err());
        }
        spooled
    }

    #[test]
    fn texts_and_files_are_told_apart_by_their_file_name() {
        let content = "x".repeat(200_000);
        let body =
            [part("name=a", "1"), part("name=f; filename=f.txt", &content), part("name=a", "\u{e4}"), "--XX--".into()]
                .concat();
        let form = read(&body, &Limits::default()).expect("a sound form");
        assert_eq!(form.fields, [("a".to_owned(), "1".to_owned()), ("a".to_owned(), "\u{e4}".to_owned())]);
        assert!(form.uploads.len() == 1 && form.uploads[0].clone().bytes().expect("readable") == content.as_bytes());
    }

    #[test]
    fn an_empty_file_counts_when_it_has_a_name() {
        let body = [
            part("name=a; filename=\"\"", ""),
            part("name=b; filename=b", ""),
            part("name=c; filename=\"\"", "x"),
            "--XX--".into(),
        ];
        let form = read(&body.concat(), &Limits::default()).expect("a sound form");
        assert_eq!(form.uploads.iter().map(Upload::field).collect::<Vec<_>>(), ["b", "c"]);
    }

    // A field is a text or refused, never one thing or the other by its size.
    #[test]
    fn only_what_is_kept_in_memory_counts_against_max_form() {
        let limits = Limits { max_form: super::super::limits::Limit::new("max_form", "/up", 10), ..Limits::default() };
        let file = part("name=f; filename=f", &"x".repeat(100));
        assert!(read(&format!("{file}{}--XX--", part("name=a", "1234567")), &limits).is_ok());
        let refused = read(&format!("{file}{}--XX--", part("name=a", "12345678")), &limits).expect_err("too much");
        assert_eq!(refused, "413 Payload Too Large The request is larger than this page takes: at most 10 bytes.");
        let name = format!("name=f; filename={}", "f".repeat(11));
        assert!(read(&format!("{}--XX--", part(&name, "")), &limits).is_err());
    }

    #[test]
    fn a_malformed_form_is_the_clients_fault() {
        let limits = Limits { max_parts: super::super::limits::Limit::new("max_parts", "/", 1), ..Limits::default() };
        let two = part("name=a", "").repeat(2);
        let refused = read(&format!("{two}--XX--"), &limits).expect_err("one too many");
        assert_eq!(refused, "413 Payload Too Large The form has more parts than this page takes: at most 1.");
        assert!(
            read(&two, &Limits::default())
                .is_err_and(|error| error.starts_with("400") && error.contains("last boundary"))
        );
        let latin = MultipartForm::read(
            TYPE,
            &RequestBody::Memory([part("name=a", "").trim_end().as_bytes(), b"\r\n\r\n\xe4\r\n--XX--"].concat()),
            &Limits::default(),
        );
        assert!(latin.is_err_and(|error| error.message == "the parameter `a` is not UTF-8"));
    }
}
