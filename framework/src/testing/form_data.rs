//! A form with files, as a browser sends it.

use std::io::Write;

/// The fields of a form with files, for [`RequestBuilder::form_data`](super::RequestBuilder::form_data):
/// `multipart/form-data`, written as browsers write it.
///
/// ```
/// use kirsch::testing::FormData;
///
/// let form = FormData::new().field("title", "The sea").file("photo", "sea.jpg", "image/jpeg", b"...");
/// assert!(form.into_body().starts_with(b"--"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct FormData {
    content: Vec<u8>,
}

/// Content with this text in it would end early. A browser draws one by lot; tests want the same bytes in each run.
const BOUNDARY: &str = "----KirschFormBoundary7MA4YWxkTrZu0gW";

impl FormData {
    /// A form without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    #[must_use]
    pub fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{}\"", escaped(name)), value.as_bytes())
    }

    /// Adds a file. An empty name and no content is the way of browsers to send a file field that was left empty.
    #[must_use]
    pub fn file(self, name: &str, file_name: &str, content_type: &str, content: impl AsRef<[u8]>) -> Self {
        let (name, file_name) = (escaped(name), escaped(file_name));
        let head = format!("name=\"{name}\"; filename=\"{file_name}\"\r\nContent-Type: {content_type}");
        self.part(&head, content.as_ref())
    }

    fn part(mut self, head: &str, content: &[u8]) -> Self {
        // Writing to a Vec cannot fail.
        let _ = write!(self.content, "--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        self.content.extend_from_slice(content);
        self.content.extend_from_slice(b"\r\n");
        self
    }

    /// The `Content-Type` of the form.
    #[must_use]
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    /// The form as bytes.
    #[must_use]
    pub fn into_body(mut self) -> Vec<u8> {
        self.content.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.content
    }
}

/// As the form submission algorithm of the HTML standard has it.
fn escaped(name: &str) -> String {
    name.replace('\n', "%0A").replace('\r', "%0D").replace('"', "%22")
}
