//! The response: a status, fields and a body that knows how it will be sent.

use super::set_cookie::problem_with_field;
#[cfg(feature = "websocket")]
use super::websocket::{Agreed, Bond};
use super::{Error, Exchange, IntoResponse, ReadyFields, ResponseBody};
use crate::http::{FixedDate, encode_field, is_reference, parse_date};
use ::http::{HeaderName, HeaderValue, StatusCode, header};
use std::time::SystemTime;

/// The response to the client.
///
/// Handlers change it through `&mut Response`; their return value is written into it afterwards.
#[derive(Debug, Default)]
pub struct Response {
    pub(crate) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Further fields; none of them has a name that is among `headers`, unless it was added later.
    ready: Option<ReadyFields>,
    pub(crate) body: ResponseBody,
    spare: Vec<u8>,
    deferred: Option<Deferred>,
    /// When it was made, if not now.
    date: Option<FixedDate>,
    /// A field that was set and cannot be sent.
    unsendable: Option<Box<Error>>,
    /// The conversation that begins behind it.
    #[cfg(feature = "websocket")]
    agreed: Option<Box<Agreed>>,
}

impl Response {
    /// An empty 200.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The status, 200 unless it was set.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Sets the status.
    pub fn set_status(&mut self, status: StatusCode) -> &mut Self {
        self.status = status;
        self
    }

    /// The first field of that name.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let own = self.headers.iter().find(|(key, _)| key == name);
        own.or_else(|| self.ready?.fields().iter().find(|(key, _)| key == name)).map(|(_, value)| value)
    }

    /// Like [`header`](Self::header), for a name that no ready field has.
    pub(crate) fn own_header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// All fields in the order they were added.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let ready = self.ready.map_or(&[][..], ReadyFields::fields);
        self.headers.iter().chain(ready).map(|(name, value)| (name, value))
    }

    pub(super) fn parts(&self) -> (&[(HeaderName, HeaderValue)], Option<ReadyFields>) {
        (&self.headers, self.ready)
    }

    pub(super) fn set_ready(&mut self, fields: ReadyFields) {
        self.ready = Some(fields);
    }

    /// Makes the ready fields ones like others, before one of them is changed.
    #[cold]
    fn unready(&mut self) {
        if let Some(ready) = self.ready.take() {
            self.headers.extend_from_slice(ready.fields());
        }
    }

    /// Sets a field in place of all fields of that name.
    ///
    /// Fields that refer to other pages (`Location`, `Content-Location`, `Link`, `Refresh`) are sent as references:
    /// characters that these cannot hold are percent-encoded. A TAB in one of them is an error of the program, 500 in
    /// place of the response: browsers drop it, and read another address.
    ///
    /// `Date` works like [`set_date`](Self::set_date). If the value is not a date, the server writes the time itself.
    pub fn set_header(&mut self, name: HeaderName, value: HeaderValue) -> &mut Self {
        self.remove_header(&name);
        self.add_header(name, value)
    }

    /// Adds a field and keeps others of that name, as `Set-Cookie` and `Vary` need. A cookie that browsers would drop
    /// for its size is an error of the program, as in [`set_cookie`](Self::set_cookie). Fields that refer to other
    /// pages are encoded as in [`set_header`](Self::set_header).
    pub fn add_header(&mut self, name: HeaderName, value: HeaderValue) -> &mut Self {
        match is_reference(&name) {
            true => self.add_reference(name, value),
            false if name == header::SET_COOKIE => match problem_with_field(&value) {
                None => self.headers.push((name, value)),
                Some(problem) => self.cannot_send(problem),
            },
            false if name == header::DATE => {
                let now = SystemTime::now();
                self.date = parse_date(value.as_bytes(), now).map(FixedDate::of).or(self.date);
            }
            false => self.headers.push((name, value)),
        }
        self
    }

    /// Only the first problem is reported.
    fn cannot_send(&mut self, problem: Error) {
        self.unsendable.get_or_insert_with(|| Box::new(problem));
    }

    fn add_reference(&mut self, name: HeaderName, value: HeaderValue) {
        match encode_field(&name, &value) {
            Ok(encoded) => self.headers.push((name, encoded.unwrap_or(value))),
            Err(problem) => {
                let problem =
                    Error::unexpected(format!("{value:?} cannot be the value of the field `{name}`: {problem}"));
                self.cannot_send(problem);
            }
        }
    }

    /// Takes over the date of another response that is laid over this one, and its field that cannot be sent. Where the
    /// other has none, this one's stay.
    pub(super) fn take_over(&mut self, other: &mut Self) {
        self.date = other.date.or(self.date);
        self.unsendable = other.unsendable.take().or_else(|| self.unsendable.take());
        #[cfg(feature = "websocket")]
        if let Some(agreed) = other.agreed.take() {
            self.agreed = Some(agreed);
        }
    }

    /// Whether a conversation begins behind it.
    pub(crate) fn begins_conversation(&self) -> bool {
        #[cfg(feature = "websocket")]
        return self.agreed.is_some() && self.status == StatusCode::SWITCHING_PROTOCOLS;
        #[cfg(not(feature = "websocket"))]
        false
    }

    /// Lets this conversation begin behind the response, if that is still a 101 when it goes out.
    #[cfg(feature = "websocket")]
    pub(super) fn set_agreed(&mut self, agreed: Box<Agreed>) {
        self.agreed = Some(agreed);
    }

    /// Ties the conversation that begins behind it to something else, if one does.
    #[cfg(feature = "websocket")]
    pub(crate) fn bind(&mut self, bond: impl Bond) {
        if let Some(agreed) = &mut self.agreed {
            agreed.bond = Some(Box::new(bond));
        }
    }

    /// Takes the conversation that was agreed on.
    #[cfg(feature = "websocket")]
    pub(crate) fn take_agreed(&mut self) -> Option<Box<Agreed>> {
        self.agreed.take().filter(|_| self.status == StatusCode::SWITCHING_PROTOCOLS)
    }

    /// The error in place of a field that was set and cannot be sent.
    pub(crate) fn take_unsendable(&mut self) -> Option<Box<Error>> {
        self.unsendable.take()
    }

    /// Sets a field unless one of that name is there: for tools, where the handler has set nothing.
    ///
    /// ```
    /// use kirsch::{HeaderValue, Response, header};
    ///
    /// let mut response = Response::new();
    /// response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    /// response.default_header(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    /// assert_eq!(response.header(&header::CACHE_CONTROL).unwrap(), "no-store");
    /// ```
    pub fn default_header(&mut self, name: HeaderName, value: HeaderValue) -> &mut Self {
        if self.header(&name).is_none() {
            self.add_header(name, value);
        }
        self
    }

    /// Removes all fields of that name.
    pub fn remove_header(&mut self, name: &HeaderName) -> &mut Self {
        if *name == header::DATE {
            self.forget_date();
        }
        if self.ready.is_some_and(|ready| ready.has(name)) {
            self.unready();
        }
        self.headers.retain(|(key, _)| key != name);
        self
    }

    /// Sets `Content-Type` unless it is already there.
    pub fn default_content_type(&mut self, value: &'static str) -> &mut Self {
        self.content_type_unless_set(HeaderValue::from_static(value))
    }

    /// As [`default_content_type`](Self::default_content_type), with a value that was checked when the program was
    /// compiled.
    pub(super) fn content_type_unless_set(&mut self, value: HeaderValue) -> &mut Self {
        if self.header(&header::CONTENT_TYPE).is_none() {
            self.headers.push((header::CONTENT_TYPE, value));
        }
        self
    }

    /// Sets the time at which the response was made (`Date`), if that is not now: for code that keeps responses and
    /// sends them again (RFC 9111, section 4).
    pub fn set_date(&mut self, date: FixedDate) -> &mut Self {
        self.date = Some(date);
        self
    }

    /// The time at which the response was made, if it was set.
    #[must_use]
    pub fn date(&self) -> Option<&FixedDate> {
        self.date.as_ref()
    }

    /// Forgets the time that was set: the response is made now.
    pub(crate) fn forget_date(&mut self) {
        self.date = None;
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &ResponseBody {
        &self.body
    }

    /// The body, to be changed in place.
    pub(crate) fn body_mut(&mut self) -> &mut ResponseBody {
        &mut self.body
    }

    /// Replaces the body.
    pub fn set_body(&mut self, body: impl Into<ResponseBody>) -> &mut Self {
        self.body = body.into();
        self
    }

    /// Replaces the body by a copy of `content`, in a buffer that is used again for later responses.
    pub fn copy_body(&mut self, content: &[u8]) -> &mut Self {
        let mut buffer = std::mem::take(&mut self.spare);
        buffer.clear();
        buffer.extend_from_slice(content);
        self.body = ResponseBody::Bytes(buffer);
        self
    }

    /// The response that a handler which returned `content` would give: for a handler that answers now with one kind of
    /// content, now with another.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// struct Pages;
    ///
    /// #[handlers]
    /// impl Pages {
    ///     #[expose]
    ///     fn index(&self, name: Option<&str>) -> Response {
    ///         match name {
    ///             Some(name) => Response::of(format!("Hello, {name}!")),
    ///             None => Response::of(Redirect::to("/?name=you")),
    ///         }
    ///     }
    /// }
    ///
    /// let client = Client::in_process(App::new(Pages));
    /// client.get("/?name=Anna").send().assert_text("Hello, Anna!");
    /// client.get("/").send().assert_status(303);
    /// ```
    pub fn of(content: impl IntoResponse) -> Self {
        let mut response = Self::new();
        if let Err(error) = content.into_response(&mut response) {
            response = Self::new();
            response.defer(|_| Err(error));
        }
        response
    }

    /// Lets `make` write the response when the handler has returned, with the whole exchange at hand: for return values
    /// that need more than themselves, such as a template that shows the session.
    ///
    /// It runs once, before the hooks at `before_finalize`, so everything that the handler held is still held. It
    /// replaces an earlier deferred writer, and an error in the response's place drops it.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// /// Says what was asked for.
    /// struct Echo;
    ///
    /// impl IntoResponse for Echo {
    ///     fn into_response(self, response: &mut Response) -> kirsch::Result {
    ///         response.defer(|exchange| {
    ///             let path = exchange.request.path().to_owned();
    ///             exchange.response.default_content_type("text/plain; charset=utf-8").set_body(path);
    ///             Ok(())
    ///         });
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let client = Client::in_process(App::new(Tree::new().default(|_| Echo)));
    /// client.get("/a/b").send().assert_text("/a/b");
    /// ```
    pub fn defer(&mut self, make: impl FnOnce(&mut Exchange) -> Result<(), Error> + Send + 'static) -> &mut Self {
        self.deferred = Some(Deferred(Box::new(make)));
        self
    }

    /// Takes the writer that [`defer`](Self::defer) left.
    pub(crate) fn take_deferred(&mut self) -> Option<Deferred> {
        self.deferred.take()
    }

    /// Makes this a 304: the content goes, and the fields that describe it. The fields that a cache needs to go on
    /// using its copy stay (`ETag`, `Last-Modified`, `Cache-Control`, `Vary`). See
    /// [`Request::precondition`](super::Request::precondition).
    pub fn set_not_modified(&mut self) -> &mut Self {
        const OF_THE_CONTENT: [HeaderName; 7] = [
            header::ACCEPT_RANGES,
            header::CONTENT_DISPOSITION,
            header::CONTENT_ENCODING,
            header::CONTENT_LANGUAGE,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::CONTENT_TYPE,
        ];
        self.unready();
        self.headers.retain(|(name, _)| !OF_THE_CONTENT.contains(name));
        self.recycle();
        self.set_status(StatusCode::NOT_MODIFIED)
    }

    /// Takes the body out and leaves an empty one.
    #[must_use]
    pub fn take_body(&mut self) -> ResponseBody {
        std::mem::take(&mut self.body)
    }

    /// Puts `answer` in place of this response. Fields that were set before and that the answer does not name stay,
    /// cookies in any case.
    pub(crate) fn give_way_to(&mut self, answer: Self) {
        self.forget_content();
        if self.headers().next().is_none() {
            *self = answer;
            return;
        }
        let laid_over = answer.into_response(self);
        debug_assert!(laid_over.is_ok(), "a response can always be laid over another");
    }

    /// Forgets the content and the fields that describe it.
    pub(crate) fn forget_content(&mut self) {
        const OF_THE_CONTENT: [HeaderName; 12] = [
            header::ACCEPT_RANGES,
            header::AGE,
            header::CONTENT_DISPOSITION,
            header::CONTENT_ENCODING,
            header::CONTENT_LANGUAGE,
            header::CONTENT_LENGTH,
            header::CONTENT_LOCATION,
            header::CONTENT_RANGE,
            header::CONTENT_TYPE,
            header::ETAG,
            header::LAST_MODIFIED,
            header::LOCATION,
        ];
        for name in &OF_THE_CONTENT {
            self.remove_header(name);
        }
        self.forget_date();
        drop(self.take_body());
        drop(self.take_deferred());
        self.forget_agreed();
    }

    /// Forgets status, fields and body, as before an error page is written. Keeps the buffers.
    pub fn clear(&mut self) {
        self.status = StatusCode::OK;
        self.headers.clear();
        self.ready = None;
        self.deferred = None;
        self.unsendable = None;
        self.date = None;
        self.forget_agreed();
        self.recycle();
    }

    /// Gives the room of the buffers back that the response does not need.
    pub(super) fn shrink(&mut self) {
        self.headers.shrink_to_fit();
        self.spare = Vec::new();
    }

    #[inline]
    fn forget_agreed(&mut self) {
        #[cfg(feature = "websocket")]
        drop(self.agreed.take());
    }

    /// Drops the body and keeps its buffer for the next response.
    fn recycle(&mut self) {
        const KEPT: usize = 16 * 1024;
        if let ResponseBody::Bytes(buffer) = std::mem::take(&mut self.body)
            && buffer.capacity() <= KEPT
            && buffer.capacity() > self.spare.capacity()
        {
            self.spare = buffer;
        }
    }
}

type Make = dyn FnOnce(&mut Exchange) -> Result<(), Error> + Send;

/// A response that is still to be made.
pub(crate) struct Deferred(Box<Make>);

impl Deferred {
    pub(crate) fn make(self, exchange: &mut Exchange) -> Result<(), Error> {
        (self.0)(exchange)
    }
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deferred")
    }
}
