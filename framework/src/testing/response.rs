//! Responses, and the checks that tests make on them.

use super::{Client, ClientError, PageForm, browser::Arriving, wire::Head};
use ::http::StatusCode;

/// Longest part of a body that a failed assertion prints, in bytes.
const PRINTED: usize = 4096;

/// A whole response. The `assert_` methods chain, and print all of it when they fail.
///
/// ```
/// # use kirsch::{prelude::*, testing::Client};
/// # struct Pages;
/// # #[handlers]
/// # impl Pages {
/// #     #[expose]
/// #     fn index(&self) -> &'static str { "Hello, World!" }
/// # }
/// # let client = Client::in_process(App::new(Pages));
/// client
///     .get("/")
///     .send()
///     .assert_status(200)
///     .assert_header("content-type", "text/html; charset=utf-8")
///     .assert_no_header("set-cookie")
///     .assert_contains("World");
/// ```
#[derive(Clone)]
pub struct TestResponse {
    asked: String,
    head: Head,
    chunks: Vec<Vec<u8>>,
    body: Vec<u8>,
    /// The browser that shows the page, and the page's path.
    page: Option<(Client, String)>,
}

impl TestResponse {
    pub(super) fn read(asked: String, mut arriving: Arriving) -> Result<Self, ClientError> {
        let mut chunks = Vec::new();
        while let Some(chunk) = arriving.next_piece()? {
            chunks.push(chunk);
        }
        Ok(Self::new(asked, arriving.head.clone(), chunks))
    }

    pub(super) fn new(asked: String, head: Head, chunks: Vec<Vec<u8>>) -> Self {
        let body = chunks.concat();
        Self { asked, head, chunks, body, page: None }
    }

    /// The same as a page of a browser.
    pub(super) fn at(self, client: Client, path: String) -> Self {
        Self { page: Some((client, path)), ..self }
    }

    /// A form of the page, with the values that the page has filled in: `"#booking"` by its id, `"/book"` by its
    /// action, `"form"` the first one.
    ///
    /// # Panics
    /// If the page has no such form, or is not a page of HTML.
    #[track_caller]
    pub fn form(&self, selector: &str) -> PageForm {
        let forms = self.forms();
        match forms.iter().find(|form| form.is_meant(selector)) {
            Some(form) => form.clone(),
            None => {
                let titles: Vec<_> = forms.iter().map(PageForm::title).collect();
                self.fail(&format!("the page has no form {selector:?}; it has {}", titles.join(", ")))
            }
        }
    }

    /// Logs in by the form of this page that asks for a password, and returns the page that follows.
    ///
    /// # Panics
    /// If the page has no such form, and if the page that follows asks for the password again.
    #[track_caller]
    pub fn login(&self, name: &str, password: &str) -> Self {
        let find = |page: &Self| page.forms().into_iter().find_map(|form| form.credentials(name, password));
        let Some(form) = find(self) else { self.fail("the page has no form that asks for a name and a password") };
        let page = form.submit();
        if page.status().is_client_error() || find(&page).is_some() {
            page.fail(&format!("{name:?} is not logged in"));
        }
        page
    }

    #[track_caller]
    fn forms(&self) -> Vec<PageForm> {
        match &self.page {
            Some((client, path)) => PageForm::all(client, path, self.text()),
            None => self.fail("forms are sent by pages that a client has asked for"),
        }
    }

    /// The status; compares with numbers too.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.head.status).expect("the reader of responses refuses other numbers")
    }

    /// The value of the first field of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// All fields in the order received, names as sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The body as bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => self.fail(&format!("the body is not UTF-8: {error}")),
        }
    }

    /// The body read as JSON.
    ///
    /// # Panics
    /// If it is not such a value.
    #[must_use]
    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => self.fail(&format!("the body is not the expected JSON: {error}")),
        }
    }

    /// The chunks of a chunked body as they were sent; else the pieces in which the body arrived.
    #[must_use]
    pub fn chunks(&self) -> &[Vec<u8>] {
        &self.chunks
    }

    /// The status is this.
    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        self.check(self.head.status == status, || format!("the status is {}, not {status}", self.head.status))
    }

    /// The whole body is this text.
    #[track_caller]
    pub fn assert_text(&self, text: &str) -> &Self {
        self.check(self.body == text.as_bytes(), || format!("the body is not {text:?}"))
    }

    /// The body contains this text.
    #[track_caller]
    pub fn assert_contains(&self, text: &str) -> &Self {
        self.check(String::from_utf8_lossy(&self.body).contains(text), || format!("the body does not contain {text:?}"))
    }

    /// The body does not contain this text.
    #[track_caller]
    pub fn assert_lacks(&self, text: &str) -> &Self {
        self.check(!String::from_utf8_lossy(&self.body).contains(text), || format!("the body contains {text:?}"))
    }

    /// There is exactly one field of that name, with this value.
    #[track_caller]
    pub fn assert_header(&self, name: &str, value: &str) -> &Self {
        let values: Vec<_> = self.head.values(name).collect();
        self.check(values == [value], || format!("the field {name} is {values:?}, not {value:?}"))
    }

    /// There is no field of that name.
    #[track_caller]
    pub fn assert_no_header(&self, name: &str) -> &Self {
        self.check(self.header(name).is_none(), || format!("there is a field {name}"))
    }

    /// The body is JSON and equal to `value`.
    ///
    /// ```
    /// # use kirsch::{prelude::*, testing::Client};
    /// # struct Pages;
    /// # #[handlers]
    /// # impl Pages {
    /// #     #[expose]
    /// #     fn songs(&self) -> Json<Vec<u32>> { Json(vec![42]) }
    /// # }
    /// # let client = Client::in_process(App::new(Pages));
    /// client.get("/songs").send().assert_json(&[42]);
    /// ```
    #[track_caller]
    pub fn assert_json<T: serde::Serialize + ?Sized>(&self, value: &T) -> &Self {
        let expected = match serde_json::to_value(value) {
            Ok(expected) => expected,
            Err(error) => self.fail(&format!("the expected value cannot be written as JSON: {error}")),
        };
        let found: serde_json::Value = self.json();
        self.check(found == expected, || format!("the JSON in the body is not {expected}"))
    }

    #[track_caller]
    fn check(&self, holds: bool, problem: impl FnOnce() -> String) -> &Self {
        if holds { self } else { self.fail(&problem()) }
    }

    #[track_caller]
    fn fail(&self, problem: &str) -> ! {
        panic!("{problem}\n{self:?}")
    }
}

/// The whole response, as a failed assertion prints it.
impl std::fmt::Debug for TestResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "the response to {}:", self.asked)?;
        writeln!(f, "    {} {} {}", self.head.version, self.head.status, self.head.reason)?;
        for (name, value) in &self.head.fields {
            writeln!(f, "    {name}: {value}")?;
        }
        writeln!(f)?;
        let printed = &self.body[..self.body.len().min(PRINTED)];
        for line in String::from_utf8_lossy(printed).lines() {
            writeln!(f, "    {line}")?;
        }
        if printed.len() < self.body.len() {
            writeln!(f, "    ... and {} more bytes", self.body.len() - printed.len())?;
        }
        Ok(())
    }
}

/// A response whose head has arrived; as an iterator it yields the body piece by piece: a chunked body chunk for chunk.
///
/// Dropping it before the end closes the connection.
///
/// ```
/// # use kirsch::{prelude::*, testing::Client};
/// # struct Pages;
/// # #[handlers]
/// # impl Pages {
/// #     #[expose]
/// #     fn count(&self) -> Stream { Stream::new((0..3).map(|number| number.to_string())) }
/// # }
/// # let client = Client::in_process(App::new(Pages));
/// let mut response = client.get("/count").send_streaming();
/// assert_eq!(response.next().as_deref(), Some(&b"0"[..]));
/// assert_eq!(response.count(), 2);
/// ```
pub struct StreamingResponse {
    asked: String,
    arriving: Arriving,
    chunks: Vec<Vec<u8>>,
    /// Of an event stream, behind the last event.
    rest: String,
}

impl StreamingResponse {
    pub(super) fn new(asked: String, arriving: Arriving) -> Self {
        Self { asked, arriving, chunks: Vec::new(), rest: String::new() }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.arriving.head.status).expect("the reader of responses refuses other numbers")
    }

    /// The value of the first field of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.arriving.head.field(name)
    }

    /// The next piece of the body, or why it will never come.
    ///
    /// # Errors
    /// When the server breaks off before the end of the body, or sends nothing until the client's deadline.
    pub fn try_next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let piece = self.arriving.next_piece()?;
        self.chunks.extend(piece.clone());
        Ok(piece)
    }

    /// The next event of an event stream, as it came, up to its blank line; `None` at the end. What browsers pass over,
    /// such as comments, is left out.
    ///
    /// # Panics
    /// If the stream breaks off, or sends no event until the client's deadline.
    #[track_caller]
    pub fn next_event(&mut self) -> Option<String> {
        loop {
            while let Some(end) = self.rest.find("\n\n") {
                let behind = self.rest.split_off(end + 2);
                let event = std::mem::replace(&mut self.rest, behind);
                if event.lines().any(|line| line.starts_with("data")) {
                    return Some(event);
                }
            }
            let piece = self.next()?;
            self.rest.push_str(&String::from_utf8_lossy(&piece));
        }
    }

    /// Reads the rest of the body: the whole response, chunks read before included.
    ///
    /// # Panics
    /// If the body breaks off.
    #[must_use]
    #[track_caller]
    pub fn finish(mut self) -> TestResponse {
        loop {
            match self.try_next() {
                Ok(Some(_)) => {}
                Ok(None) => return TestResponse::new(self.asked, self.arriving.head.clone(), self.chunks),
                Err(error) => panic!("{}: {error}", self.asked),
            }
        }
    }
}

/// Panics when the body breaks off; [`try_next`](StreamingResponse::try_next) tells instead.
impl Iterator for StreamingResponse {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match self.try_next() {
            Ok(piece) => piece,
            Err(error) => panic!("{}: {error}", self.asked),
        }
    }
}

impl std::fmt::Debug for StreamingResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the response to {}, status {}, {} chunks read",
            self.asked,
            self.arriving.head.status,
            self.chunks.len()
        )
    }
}
