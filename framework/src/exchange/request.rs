//! The request: its head, where it came from, its path decoded into segments, its parameters decoded.

use super::json_types::{JSON_TYPES, is_json};
use super::limits::{Limit, Limits};
use super::list_names::is_of_list;
use super::multipart_form::MultipartForm;
use super::origin;
use super::reading::Reading;
use super::request_text::{CHARSET_FIELD, declared, name_is_not_text, named_by_field, not_text};
use super::{
    BodyCharge, ClientCertificate, ClientWatch, Connection, Forwarded, HttpError, PageAddresses, RequestBody,
    ServerView, TlsFacts, Upload,
};
use crate::http::{
    Charset, Coding, Framing, HeadLimits, Precondition, Refusal, RequestHead, Validators, best_coding, best_language,
    best_media_type, decode_segments, is_multipart, list_members, urlencoded,
};
use ::http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

/// The client's request.
#[derive(Debug, Default)]
pub struct Request {
    pub(crate) head: RequestHead,
    pub(crate) body: RequestBody,
    pub(crate) connection: Connection,
    pub(crate) id: RequestId,
    pub(crate) received: Option<Instant>,
    pub(crate) client: ClientWatch,
    path_text: String,
    segments: Vec<(u32, u32)>,
    parameters: ParameterTable,
    uploads: Vec<Upload>,
    limits: Option<Arc<Limits>>,
    /// The body's part of the server's budgets, given back when the exchange ends.
    pub(crate) charge: Option<Box<BodyCharge>>,
    /// The limit under which the body is read.
    pub(crate) body_limit: Option<Limit>,
    redirected: Option<Box<Redirected>>,
    forwarded: Option<Box<Forwarded>>,
    /// The host in its one spelling, where the one in the head is another or missing; made on demand.
    pub(super) authority: OnceLock<Box<str>>,
    /// Where the app is mounted that the path belongs to.
    pub(crate) mount: Option<Arc<str>>,
    /// Where the pages of the tree are that answers. It stays for the next request of the connection, which is mostly
    /// for the same tree.
    pub(crate) pages: Option<Arc<dyn PageAddresses>>,
    /// The fields that have been read, where reading is observed.
    pub(super) reading: Option<Box<Reading>>,
}

/// Where an internal redirect has sent the request.
#[derive(Debug)]
struct Redirected {
    path: String,
    query: Option<String>,
}

static GET: Method = Method::GET;

impl Request {
    /// The method. After an internal redirect it is GET, unless it was HEAD.
    #[must_use]
    pub fn method(&self) -> &Method {
        match self.head.method() {
            method if self.redirected.is_none() || *method == Method::HEAD => method,
            _ => &GET,
        }
    }

    /// The path as sent or redirected to, still percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.redirected.as_ref().map_or_else(|| self.head.path(), |to| &to.path)
    }

    /// The query as sent or redirected to, without its `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.redirected.as_ref().map_or_else(|| self.head.query(), |to| to.query.as_deref())
    }

    /// The target of the request line as the client sent it, `/path?query` in most requests, even after an internal
    /// redirect.
    #[must_use]
    pub fn target(&self) -> &str {
        self.head.target()
    }

    /// The method of the request line as the client sent it, even after an internal redirect.
    #[must_use]
    pub fn sent_method(&self) -> &Method {
        self.head.method()
    }

    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    #[must_use]
    pub fn version(&self) -> Version {
        self.head.version()
    }

    /// Host and port as they stand in the request: in its target, else in its Host field; empty if it has neither.
    /// Behind a proxy that is the host that the proxy asked for. [`host`](Self::host) is the one that the client asked
    /// for.
    #[must_use]
    pub fn raw_host(&self) -> &str {
        self.head.host()
    }

    /// The first field of that name, in any case, when its value is UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.note_reading(name);
        self.head.header(name)
    }

    /// The values of all fields of that name, in any case, in the order received.
    pub fn headers_named<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.note_reading(name);
        self.head.headers_named(name)
    }

    /// All fields of that name, in any case, as the one list that they are (RFC 9110, section 5.3), when their values
    /// are UTF-8. Use it for fields whose value is a list, such as `Accept`, of which a proxy or a client may send
    /// several. Use it also for fields that must be single, where a second one has to spoil the first.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut values = self.headers_named(name);
        let first = std::str::from_utf8(values.next()?).ok()?;
        let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
        let mut all = first.to_owned();
        for value in std::iter::once(second).chain(values) {
            all.push_str(", ");
            all.push_str(std::str::from_utf8(value).ok()?);
        }
        Some(Cow::Owned(all))
    }

    /// All fields in the order received.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.note_reading_all();
        self.head.headers()
    }

    /// Puts one field in place of all fields of that name, as if the client had sent it: for tools that translate
    /// requests. Framing, host and the life of the connection were read before and stay.
    pub fn set_header(&mut self, name: &HeaderName, value: &HeaderValue) -> &mut Self {
        self.head.set_header(name, value);
        self
    }

    /// Takes all fields of that name out, as if the client had not sent them: for tools that translate requests.
    /// Framing, host and the life of the connection were read before and stay.
    pub fn remove_header(&mut self, name: &HeaderName) -> &mut Self {
        self.head.remove_header(name);
        self
    }

    /// Whether the client prefers HTML to plain text and JSON, and says so by name in `Accept`: browsers do, `curl` and
    /// most programs do not. If the answer differs by it, say so with
    /// [`Response::add_vary`](super::Response::add_vary).
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// struct Answer;
    ///
    /// #[handlers]
    /// impl Answer {
    ///     #[expose]
    ///     fn index(&self, request: &Request) -> Response {
    ///         if request.prefers_html() { Response::of("<h1>42</h1>") } else { Response::of(Text("42")) }
    ///     }
    /// }
    ///
    /// let client = Client::in_process(App::new(Answer));
    /// client.get("/").send().assert_text("42");
    /// client.get("/").header("Accept", "text/html,*/*;q=0.8").send().assert_text("<h1>42</h1>");
    /// ```
    #[must_use]
    pub fn prefers_html(&self) -> bool {
        let accept = self.list("accept").unwrap_or_default().to_ascii_lowercase();
        let offered = ["text/plain", "text/html", "application/json"];
        accept.contains("text/html") && best_media_type(&accept, &offered) == Some("text/html")
    }

    /// The client's preferred language among the `offered` ones, the first one unless it names another:
    /// [`best_language`] of the Accept-Language fields. If the answer differs by it, say so with
    /// [`Response::add_vary`](super::Response::add_vary).
    ///
    /// ```
    /// use kirsch::{header, prelude::*, testing::Client};
    ///
    /// struct Greeting;
    ///
    /// #[handlers]
    /// impl Greeting {
    ///     #[expose]
    ///     fn index(&self, request: &Request, response: &mut Response) -> &'static str {
    ///         response.add_vary(&header::ACCEPT_LANGUAGE);
    ///         if request.best_language(&["en", "de"]) == "de" { "Hallo" } else { "Hello" }
    ///     }
    /// }
    ///
    /// let client = Client::in_process(App::new(Greeting));
    /// client.get("/").header("Accept-Language", "de-AT,en;q=0.5").send().assert_text("Hallo");
    /// client.get("/").header("Accept-Language", "fr").send().assert_text("Hello");
    /// ```
    #[must_use]
    pub fn best_language<'o>(&self, offered: &[&'o str]) -> &'o str {
        best_language(&self.list("accept-language").unwrap_or_default(), offered)
    }

    /// The client's preferred coding among the `offered` ones, `None` for the content as it is: [`best_coding`] of the
    /// Accept-Encoding fields. If the answer differs by it, say so with
    /// [`Response::add_vary`](super::Response::add_vary).
    #[must_use]
    pub fn best_coding(&self, offered: &[Coding]) -> Option<Coding> {
        self.note_reading("accept-encoding");
        best_coding(self.head.headers_named("accept-encoding"), offered)
    }

    /// The result of the conditions of the request (If-Match and its kin) for a page in the state `present`, `None` if
    /// there is no such page yet. For pages that change something: call it before the change. A response to GET or HEAD
    /// that has validators (ETag, Last-Modified) needs nothing: its conditions are evaluated when it is done.
    ///
    /// ```
    /// use kirsch::http::{EntityTag, Precondition, Validators};
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// struct Note;
    ///
    /// #[resource]
    /// impl Note {
    ///     fn put(&self, request: &Request) -> kirsch::Result<&'static str> {
    ///         let present = Validators { etag: Some(EntityTag::strong(b"v2")), last_modified: None };
    ///         match request.precondition(Some(&present)) {
    ///             Precondition::Met { .. } => Ok("saved"),
    ///             _ => Err(Error::new(StatusCode::PRECONDITION_FAILED, "Somebody else has changed the note.")),
    ///         }
    ///     }
    /// }
    ///
    /// let client = Client::in_process(App::new(Note));
    /// client.put("/").header("if-match", "\"v2\"").send().assert_text("saved");
    /// client.put("/").header("if-match", "\"v1\"").send().assert_status(412);
    /// ```
    #[must_use]
    pub fn precondition(&self, present: Option<&Validators<'_>>) -> Precondition {
        if !self.head.is_conditional() {
            return Precondition::Met { range: false };
        }
        Precondition::evaluate(self.method(), &self.head, present, SystemTime::now())
    }

    /// The connection that the request came by; behind a proxy that is the proxy's. The client's address is
    /// [`remote`](Self::remote), and whether the client came by TLS says [`is_secure`](Self::is_secure).
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The facts of the encryption of the connection: version, cipher, the name that the client asked for. `None` for a
    /// connection without it; behind a proxy that is the connection from the proxy.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.connection.tls.as_deref()
    }

    /// The certificate by which the client has proved who it is, if it has: see [`ClientCertificate`]. Which
    /// certificates are asked for and believed says the setting `server.tls.client_certificates`.
    ///
    /// ```
    /// use kirsch::prelude::*;
    ///
    /// fn whoami(request: &Request) -> String {
    ///     request.client_certificate().map_or_else(|| "a stranger".to_owned(), |shown| shown.subject().to_owned())
    /// }
    /// # let _ = whoami;
    /// ```
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.tls()?.client_certificate.as_ref()
    }

    /// Whether the client has closed or reset the connection, so that it will not see the answer: for long handlers
    /// that want to stop early. Costs about one system call.
    ///
    /// A client that ends only its own side and reads on counts as gone; see [`ClientWatch`], which also says it in a
    /// stream.
    ///
    /// ```
    /// use kirsch::prelude::*;
    ///
    /// struct Primes;
    ///
    /// #[handlers]
    /// impl Primes {
    ///     #[expose]
    ///     fn count(&self, below: u32, request: &Request) -> Option<String> {
    ///         let mut count = 0;
    ///         for number in 2..below {
    ///             if number % 4096 == 0 && request.client_gone() {
    ///                 return None;
    ///             }
    ///             count += u32::from((2..number).all(|divisor| number % divisor != 0));
    ///         }
    ///         Some(count.to_string())
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn client_gone(&self) -> bool {
        self.client.has_gone()
    }

    /// The server that the request came to: its workers, its queue, the requests that wait. `None` in process.
    #[must_use]
    pub fn server(&self) -> Option<Arc<dyn ServerView>> {
        self.client.server()
    }

    /// Like [`client_gone`](Self::client_gone), as a value that a stream or another thread may keep.
    #[must_use]
    pub fn client_watch(&self) -> ClientWatch {
        self.client.clone()
    }

    /// The word of a trusted proxy about the request, if one has passed it on.
    #[must_use]
    pub fn forwarded(&self) -> Option<&Forwarded> {
        self.forwarded.as_deref()
    }

    /// Notes the word of a proxy: for tools that know which peers to trust. Call it before routing, so that everything
    /// after it sees the same.
    pub fn set_forwarded(&mut self, mut forwarded: Forwarded) -> &mut Self {
        forwarded.authority = forwarded.authority.map(|authority| origin::canonical(&authority).into());
        self.forwarded = Some(Box::new(forwarded));
        self
    }

    /// Where the app is mounted that the path belongs to ([`App::mount`](crate::App::mount)): `/our/blog`,
    /// percent-encoded; empty for the outermost app. CherryPy's `request.script_name`.
    #[must_use]
    pub fn mount(&self) -> &str {
        self.mount.as_deref().unwrap_or_default()
    }

    /// The number of this request in logs and on error pages.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// When the head was complete.
    #[must_use]
    pub fn received(&self) -> Instant {
        self.received.unwrap_or_else(Instant::now)
    }

    /// The path segments, decoded; empty ones are left out.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.segments.len()).map(|index| self.segment(index))
    }

    /// The segment with this index, decoded.
    ///
    /// # Panics
    /// If there is no such segment.
    #[must_use]
    pub fn segment(&self, index: usize) -> &str {
        let (start, end) = self.segments[index];
        &self.path_text[start as usize..end as usize]
    }

    /// All values of that name: of the query in their order, then of the form.
    pub fn parameters<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.parameters.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Like [`parameters`](Self::parameters), together with the names of lists: `name[]` and `name[0]`.
    pub(crate) fn values_of_list<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.parameters.iter().filter(move |(key, _)| is_of_list(key, name)).map(|(_, value)| value)
    }

    /// All parameters as name and value: of the query, then of the form.
    pub fn all_parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter()
    }

    /// Whether the body is a form, urlencoded or multipart.
    #[must_use]
    pub fn has_form(&self) -> bool {
        self.is_urlencoded() || self.is_multipart()
    }

    /// Whether the body is a multipart form.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.content_type().is_some_and(is_multipart)
    }

    /// 415 for a body in a content coding (RFC 9110, section 15.5.16): a handler would read it as noise, or keep it as
    /// if it were the content.
    pub(crate) fn coded(&self) -> Option<HttpError> {
        let fields = self.head.headers().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
        let mut codings = list_members(fields.map(|(_, value)| value));
        let coding = codings.find(|coding| !coding.eq_ignore_ascii_case(b"identity"))?;
        let coding = String::from_utf8_lossy(coding);
        let message =
            format!("The request body must be sent as it is: the content coding `{coding}` is not read here.");
        let identity = HeaderValue::from_static("identity");
        let refused = HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
        Some(refused.with_header(::http::header::ACCEPT_ENCODING, identity))
    }

    fn is_urlencoded(&self) -> bool {
        self.media_type().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// Whether the body is JSON by its content type: one of the setting `json_types` of the path. Parameters as
    /// `charset` do not matter.
    #[must_use]
    pub fn has_json(&self) -> bool {
        match &self.limits {
            Some(limits) => is_json(self.media_type(), &limits.json_types),
            None => is_json(self.media_type(), &JSON_TYPES),
        }
    }

    /// Whether the client has sent content with a meaning: that of GET, HEAD and OPTIONS has none (RFC 9110, section
    /// 9.3.1).
    pub(crate) fn brings_content(&self) -> bool {
        self.redirected.is_none()
            && !matches!(self.head.framing(), Framing::None | Framing::Length(0))
            && !matches!(*self.head.method(), Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// 415 for a page that reads `wanted` only.
    pub(crate) fn unsupported(&self, wanted: &str) -> HttpError {
        let sent = match self.media_type() {
            _ if !self.brings_content() => String::new(),
            "" => "; the body has no Content-Type".to_owned(),
            media_type => format!("; the body is sent as `{}`", media_type.escape_debug()),
        };
        HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("this page reads {wanted}{sent}"))
    }

    /// The content type; after an internal redirect there is no content any more.
    pub(super) fn content_type(&self) -> Option<&str> {
        self.head.header("content-type").filter(|_| self.redirected.is_none())
    }

    fn media_type(&self) -> &str {
        self.content_type().unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }

    /// The parameters of the query, in their order.
    pub(crate) fn query_fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().take(self.parameters.in_query)
    }

    /// The texts of the form, in their order, without those of the query.
    pub fn form_fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().skip(self.parameters.in_query)
    }

    /// The files of the form in this field, in their order; `field[]` is the same field.
    pub(crate) fn uploads<'a>(&'a self, field: &str) -> impl Iterator<Item = &'a Upload> {
        self.uploads.iter().filter(move |upload| is_of_list(upload.field(), field))
    }

    /// The names of the form fields that hold files, one for each file, in their order.
    pub fn upload_names(&self) -> impl Iterator<Item = &str> {
        self.uploads.iter().map(Upload::field)
    }

    /// The limits of the path, the default ones if nothing has set any.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.limits.clone().unwrap_or_default()
    }

    pub(crate) fn set_limits(&mut self, limits: &Arc<Limits>) {
        self.limits = Some(limits.clone());
    }

    /// Reads a head that came by `connection` from the start of `input`, like [`RequestHead::read`]: for programs that
    /// drive a [`Service`](super::Service) without the server. A complete head gets its number and its time.
    ///
    /// # Errors
    /// The rule that the head breaks. [`Service::refuse`](super::Service::refuse) makes the answer.
    pub fn read_head(
        &mut self,
        input: &[u8],
        searched: &mut usize,
        limits: &HeadLimits,
        connection: Connection,
    ) -> Result<Option<usize>, Refusal> {
        let outcome = self.head.read(input, searched, limits);
        if outcome != Ok(None) {
            self.connection = connection;
            self.id = RequestId::next();
            self.received = Some(Instant::now());
        }
        outcome
    }

    /// Makes the request ready for the next head and keeps its buffers.
    pub(crate) fn clear(&mut self) {
        if !matches!(self.body, RequestBody::None) {
            self.body = RequestBody::None;
        }
        self.path_text.clear();
        self.segments.clear();
        if self.parameters.decoded {
            self.parameters.clear();
            self.uploads = Vec::new();
        }
        self.charge = None;
        self.limits = None;
        self.body_limit = None;
        self.received = None;
        self.redirected = None;
        self.forwarded = None;
        self.authority = OnceLock::new();
        self.mount = None;
        self.reading = None;
        // It watches a stream, which has no second request.
        #[cfg(feature = "http2")]
        if self.head.version() == Version::HTTP_2 {
            self.client = ClientWatch::default();
        }
    }

    /// Gives the room of the buffers back that the request does not need.
    pub(crate) fn shrink(&mut self) {
        self.head.shrink();
        self.path_text.shrink_to_fit();
        self.segments.shrink_to_fit();
        self.parameters.text.shrink_to_fit();
        self.parameters.entries.shrink_to_fit();
    }

    /// Decodes the path into segments.
    pub(crate) fn decode_path(&mut self) -> Result<(), Refusal> {
        self.path_text.clear();
        self.segments.clear();
        let path = self.redirected.as_ref().map_or_else(|| self.head.path(), |to| &to.path);
        decode_segments(path, &mut self.path_text, &mut self.segments)
    }

    /// Makes `target`, a path and perhaps a query, the target of the request, as a GET without a body (CherryPy's
    /// InternalRedirect).
    pub(crate) fn redirect(&mut self, target: &str) {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        self.redirected = Some(Box::new(Redirected { path: path.to_owned(), query }));
        self.body = RequestBody::None;
        self.parameters.clear();
        self.uploads = Vec::new();
    }

    /// Decodes the query, and the form when the body is an urlencoded one and in memory, for
    /// [`parameters`](Self::parameters) to tell. Done before the first argument is made; hooks that look at parameters
    /// call it before, from `before_handler` on, when the body is there. A second call has the outcome of the first.
    ///
    /// The query is UTF-8, and so is the form unless it declares another charset: by its content type, or by a field
    /// `_charset_`. A `%` that no two hexadecimal digits follow is itself.
    ///
    /// # Errors
    /// 400 for bytes that are not valid text, which names the parameter; 415 for an unknown charset. Parameters before
    /// it are there.
    pub fn decode_parameters(&mut self) -> Result<(), HttpError> {
        if !self.parameters.decoded {
            self.parameters.decoded = true;
            self.parameters.problem = self.read_parameters().err().map(Box::new);
        }
        match &self.parameters.problem {
            None => Ok(()),
            Some(problem) => Err(HttpError::clone(problem)),
        }
    }

    fn read_parameters(&mut self) -> Result<(), HttpError> {
        let query = self.redirected.as_ref().map_or_else(|| self.head.query(), |to| to.query.as_deref());
        if let Some(query) = query {
            let read = self.parameters.extend(query.as_bytes(), Charset::Utf8);
            self.parameters.in_query = self.parameters.entries.len();
            read?;
        }
        if self.is_urlencoded()
            && let Some(form) = self.body.in_memory()
        {
            let charset = form_charset(self.content_type().unwrap_or_default(), form)?;
            let read = self.parameters.extend(form, charset);
            self.charge_decoded();
            read?;
        }
        Ok(())
    }

    /// The decoded fields are in memory beside the body, and may be larger.
    fn charge_decoded(&mut self) {
        if let Some(charge) = &mut self.charge {
            let files: u64 = self.uploads.iter().map(Upload::in_memory).sum();
            charge.force_decoded(self.parameters.size() + files);
        }
    }

    /// Reserves memory to take a body out of its file.
    ///
    /// # Errors
    /// 503 when all bodies together have no room for it.
    pub(crate) fn charge_whole(&self, body: &RequestBody) -> Result<(), HttpError> {
        match (&self.charge, body) {
            (Some(charge), RequestBody::File { length, .. }) => charge.take_whole(*length),
            _ => Ok(()),
        }
    }

    /// Reads the form when the body is a multipart one, in memory or spooled: its texts join the parameters. The body
    /// stays.
    ///
    /// # Errors
    /// 400 when the form is malformed, 413 beyond a limit.
    pub(crate) fn read_multipart(&mut self) -> Result<(), HttpError> {
        if self.body.length().is_none_or(|length| length == 0) || !self.is_multipart() || self.parameters.has_multipart
        {
            return Ok(());
        }
        self.decode_parameters()?;
        self.parameters.has_multipart = true;
        let content_type = self.content_type().unwrap_or_default();
        let MultipartForm { fields, uploads } = MultipartForm::read(content_type, &self.body, &self.limits())?;
        for (name, value) in &fields {
            self.parameters.push(name, value);
        }
        self.uploads = uploads;
        if let Some(disk) = self.charge.as_ref().and_then(|charge| charge.disk.as_ref()) {
            self.uploads.iter_mut().for_each(|upload| upload.hold(disk));
        }
        self.charge_decoded();
        Ok(())
    }
}

/// The charset of an urlencoded form.
fn form_charset(content_type: &str, form: &[u8]) -> Result<Charset, HttpError> {
    let of_field = || match urlencoded(form).find(|(name, _)| **name == *CHARSET_FIELD.as_bytes()) {
        Some((_, label)) => named_by_field(&label),
        None => Ok(None),
    };
    let charset = match declared(content_type, "form")? {
        // Most forms are looked through once only.
        None if memchr::memmem::find(form, CHARSET_FIELD.as_bytes()).is_some() => of_field()?,
        declared => declared,
    };
    Ok(charset.unwrap_or_default())
}

/// Decoded names and values in one buffer, found by offsets.
#[derive(Debug, Default)]
struct ParameterTable {
    decoded: bool,
    /// Why they could not all be decoded.
    problem: Option<Box<HttpError>>,
    has_multipart: bool,
    /// How many entries come from the query; those of the form follow.
    in_query: usize,
    text: String,
    entries: Vec<[u32; 3]>,
}

impl ParameterTable {
    fn extend(&mut self, encoded: &[u8], charset: Charset) -> Result<(), HttpError> {
        for (name, value) in urlencoded(encoded) {
            let name = charset.decode(&name).ok_or_else(|| name_is_not_text(charset))?;
            let value = charset.decode(&value).ok_or_else(|| not_text(&name, charset))?;
            self.push(&name, &value);
        }
        Ok(())
    }

    fn push(&mut self, name: &str, value: &str) {
        let start = self.offset();
        self.text.push_str(name);
        let middle = self.offset();
        self.text.push_str(value);
        let end = self.offset();
        self.entries.push([start, middle, end]);
    }

    /// In bytes of memory.
    fn size(&self) -> u64 {
        (self.text.capacity() + self.entries.capacity() * size_of::<[u32; 3]>()) as u64
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.text.len()).expect("queries and forms in memory are far below 4 GiB")
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|&[start, middle, end]| {
            (&self.text[start as usize..middle as usize], &self.text[middle as usize..end as usize])
        })
    }

    fn clear(&mut self) {
        // A form may have a million fields. Exchanges are kept for later requests, but not the memory for such a form.
        const MAX_KEPT_TEXT: usize = 16 * 1024;
        const MAX_KEPT_ENTRIES: usize = 1024;
        if self.text.capacity() > MAX_KEPT_TEXT {
            self.text = String::new();
        }
        if self.entries.capacity() > MAX_KEPT_ENTRIES {
            self.entries = Vec::new();
        }
        self.decoded = false;
        self.problem = None;
        self.has_multipart = false;
        self.in_query = 0;
        self.text.clear();
        self.entries.clear();
    }
}

/// The number of a request, unique across processes; printed as sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// A number that no other request has: not of this process, and, but for an accident in 2^64, of no other. The
    /// numbers do not tell how many requests there have been.
    #[must_use]
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static KEY: OnceLock<[u64; 2]> = OnceLock::new();
        let [first, second] = *KEY.get_or_init(random_key);
        // Each step can be undone, so different counts are different numbers.
        let mut number = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(second).wrapping_mul(first | 1);
        number ^= number >> 32;
        number = number.wrapping_mul(second | 1);
        Self(number ^ (number >> 29))
    }
}

impl RequestId {
    /// The number of the request within a trace, which is never 0.
    pub(super) fn span(self) -> u64 {
        self.0.max(1)
    }
}

#[cold]
fn random_key() -> [u64; 2] {
    [(), ()].map(|()| u64::from_ne_bytes(crate::random::bytes()))
}

impl RequestId {
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Reads a number as it is printed, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_number = text.len() == 16 && text.bytes().all(is_digit);
        is_number.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_large_form_is_not_kept() {
        for form in ["a&".repeat(100_000), format!("a={}", "x".repeat(100_000))] {
            let mut request = Request::default();
            request.parameters.decoded = true;
            request.parameters.extend(form.as_bytes(), Charset::Utf8).expect("text");
            request.clear();
            let ParameterTable { text, entries, .. } = &request.parameters;
            assert!(text.capacity() + 12 * entries.capacity() <= 32 * 1024);
        }
    }

    fn read(fields: &str) -> Request {
        let mut request = Request::default();
        let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let read = request.read_head(head.as_bytes(), &mut 0, &HeadLimits::default(), Connection::default());
        assert_eq!(read, Ok(Some(head.len())));
        request
    }

    #[test]
    fn a_field_that_is_set_takes_the_place_of_all_of_its_name() {
        let mut request = read("Accept: a\r\nX: 1\r\nRange: r\r\naccept: b\r\nReferer: e\r\n");
        request.set_header(&HeaderName::from_static("accept"), &HeaderValue::from_static("c"));
        request.set_header(&HeaderName::from_static("x"), &HeaderValue::from_static("2"));
        request.set_header(&HeaderName::from_static("cookie"), &HeaderValue::from_static("a=1"));
        let fields: Vec<_> = request.headers().map(|(name, value)| (name, str::from_utf8(value).unwrap())).collect();
        let expected =
            [("Host", "localhost"), ("Range", "r"), ("Referer", "e"), ("accept", "c"), ("x", "2"), ("cookie", "a=1")];
        assert_eq!(fields, expected);
        for (name, value) in expected {
            assert_eq!(request.header(name), Some(value));
        }
        assert_eq!(request.head.cookies().collect::<Vec<_>>(), [("a", "1")]);
        assert_eq!((request.path(), request.raw_host()), ("/", "localhost"));
    }

    #[test]
    fn all_accept_encoding_fields_count() {
        let offered = [Coding::Brotli, Coding::Gzip];
        assert_eq!(
            read("Accept-Encoding: br;q=0.5\r\naccept-encoding: gzip\r\n").best_coding(&offered),
            Some(Coding::Gzip)
        );
        assert_eq!(read("").best_coding(&offered), None);
    }

    #[test]
    fn nothing_of_a_request_is_left_for_the_next() {
        let mut request = Request { received: Some(Instant::now()), ..Request::default() };
        request.redirect("/a/b?c=d");
        request.decode_path().expect("a path");
        request.decode_parameters().expect("text");
        request.body = RequestBody::Memory(vec![1]);
        request.clear();
        assert_eq!((request.path(), request.query(), request.segments().len()), ("", None, 0));
        assert!(request.received.is_none() && !request.parameters.decoded && request.all_parameters().next().is_none());
        assert_eq!(request.body.in_memory(), Some(&[][..]));
    }
}
