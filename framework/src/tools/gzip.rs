//! Compressed responses: `Gzip`, named after CherryPy's tool.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 10 | lets If-None-Match and If-Match name the tags of content that is not compressed |
//! | `before_finalize` | 80 | compresses, after what makes content, tags and cookies, before what stores responses |
//!
//! How a body is compressed depends on how it is made. Whole content up to 1 MiB: at once, on the worker that made it, so that its length
//! is known. Larger content and files: piece by piece while it is sent. Streams: each chunk when it is made.
//!
//! HEAD goes the same way as GET, so that both have the same fields, `Content-Length` too; streams and large content are never made for it.

mod compressor;
mod media_types;
mod pieces;
mod pool;
mod validators;

use self::compressor::{Compressor, Then};
use self::media_types::MediaTypes;
use self::pool::{Kind, Pool};
use crate::exchange::ResponseBody;
use crate::http::{Coding, list_has};
use crate::lifecycle::{HookPoint, Hooks, SettingError, SettingReader, Tool};
use crate::{Error, Exchange, HeaderName, HeaderValue, Response, StatusCode, header};
use std::sync::Arc;

/// Compresses responses for clients that ask for it with `Accept-Encoding`. Needs the cargo feature `gzip`.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Gzip};
///
/// struct Pages;
///
/// #[handlers]
/// impl Pages {
///     #[expose]
///     fn index(&self) -> String {
///         "All work and no play makes Jack a dull boy.\n".repeat(1000)
///     }
/// }
///
/// let client = Client::in_process(App::new(Pages).tool("/", Gzip::new()));
/// let page = client.get("/").header("accept-encoding", "gzip").send();
/// page.assert_header("content-encoding", "gzip").assert_header("vary", "Accept-Encoding");
/// assert!(page.bytes().len() < 1000);
/// client.get("/").send().assert_no_header("content-encoding");
/// ```
///
/// With the cargo features `brotli` and `zstd` it can offer these codings, too, once [`codings`](Self::codings) names them.
///
/// A response is compressed if the client likes a coding at least as much as none, its media type is one of [`mime_types`](Self::mime_types), and
/// it is not small, not already coded, no part of something (and no part is asked for), has no digest in its fields, and does not forbid
/// it (`Cache-Control: no-transform`). Content that would not become smaller is sent as it is. Whatever the client gets, a response whose type
/// can be compressed says `Vary: Accept-Encoding`.
///
/// **When not to use it:** where a page has a secret in it (a token against forged requests) beside text that a request brings. The length of
/// the compressed page then tells whether the two are alike, and who can make a browser ask often enough and see the lengths guesses the
/// secret letter by letter (the attack called BREACH). Leave the tool off for such paths: `App::tool_off("/account", "gzip")`.
///
/// Settings, in a file `gzip.compress_level = 6` and so on: the methods below. CherryPy's `gzip` answers 406 to `Accept-Encoding: br`, compresses
/// again what is coded already, and leaves one strong `ETag` on different bytes; this one does not.
#[derive(Clone, Debug)]
pub struct Gzip {
    settings: Settings,
    pool: Arc<Pool>,
}

#[derive(Clone, Debug)]
struct Settings {
    compress_level: usize,
    mime_types: MediaTypes,
    min_size: u64,
    max_file: u64,
    max_streams: usize,
    codings: Vec<Coding>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            compress_level: 5,
            mime_types: MediaTypes::default(),
            min_size: 1024,
            max_file: 16 << 20,
            max_streams: 128,
            codings: vec![Coding::Gzip],
        }
    }
}

impl Default for Gzip {
    fn default() -> Self {
        Self::new()
    }
}

impl Gzip {
    /// Compression with gzip, of text and what is like it, from 1 KiB on.
    #[must_use]
    pub fn new() -> Self {
        Self { settings: Settings::default(), pool: Arc::default() }
    }

    /// How hard gzip works: 1 (fast) to 9 (small), as CherryPy's `compress_level` (default 5; beyond 6 there is next to nothing to win).
    /// Brotli works at quality 5: pages are 4 % smaller than with gzip, for four times the work. Zstandard works at level 3: 3 % larger, for
    /// half the work. Files can be compressed harder ahead of time.
    #[must_use]
    pub fn compress_level(mut self, level: usize) -> Self {
        self.settings.compress_level = level;
        self
    }

    /// What is compressed, in place of the default list (`mime_types`): media types as `text/css`, and patterns as `text/*` and
    /// `application/*+json`. By default text, JSON, XML, scripts, SVG, WebAssembly and fonts that are not compressed in themselves.
    ///
    /// `text/event-stream` is compressed only where it is named in full: its connections live long, and each keeps a compressor.
    #[must_use]
    pub fn mime_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.settings.mime_types = MediaTypes::new(types.into_iter().map(Into::into));
        self
    }

    /// The smallest content that is compressed, in bytes (`min_size`, default 1 KiB): with its head it fits into one packet, and nothing
    /// that is sent is smaller than a packet. Streams whose length is not known are compressed in any case.
    #[must_use]
    pub fn min_size(mut self, bytes: u64) -> Self {
        self.settings.min_size = bytes;
        self
    }

    /// The largest file that is compressed, in bytes (`max_file`, default 16 MiB). Larger ones are worth more as they are: the kernel sends
    /// them, the client knows their length and can resume.
    #[must_use]
    pub fn max_file(mut self, bytes: u64) -> Self {
        self.settings.max_file = bytes;
        self
    }

    /// How many streams and large bodies are compressed at the same time (`max_streams`, default 128); one more is sent as it is. Each holds
    /// 0.4 MB until its client has read it (Brotli and Zstandard: 1 MB). Paths of one tool count together.
    #[must_use]
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.settings.max_streams = streams;
        self
    }

    /// The codings to offer, the best first (`codings = ["br", "gzip"]`; default gzip alone). The client's weights go before this order.
    #[must_use]
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        self.settings.codings = codings.into_iter().collect();
        self
    }

    fn compress(&self, exchange: &mut Exchange) -> Result<(), Error> {
        let Exchange { request, response, .. } = exchange;
        let settings = &self.settings;
        if !settings.can_be_compressed(response) {
            return Ok(());
        }
        response.add_vary(&header::ACCEPT_ENCODING);
        if response.status() == StatusCode::NOT_MODIFIED {
            validators::name_clients_tag(request, response, &settings.codings);
            return Ok(());
        }
        // A part is cut from content that is not compressed: whoever asks for one goes on with what it has.
        let wants_part = response.header(&header::ACCEPT_RANGES).is_some() && request.header("range").is_some();
        if wants_part || !settings.is_worth_it(response) {
            return Ok(());
        }
        let Some(coding) = request.best_coding(&settings.codings) else { return Ok(()) };
        let body = response.take_body();
        match self.compress_body(body, coding)? {
            Outcome::Compressed(body) => response.set_body(body),
            Outcome::AsItWas(body) => {
                response.set_body(body);
                return Ok(());
            }
        };
        response.set_header(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        // Parts would be of the content before it was compressed.
        response.remove_header(&header::ACCEPT_RANGES);
        if let Some(tag) = response.header(&header::ETAG).and_then(|tag| validators::with_suffix(tag, coding)) {
            response.set_header(header::ETAG, tag);
        }
        Ok(())
    }

    fn compress_body(&self, body: ResponseBody, coding: Coding) -> Result<Outcome, Error> {
        let settings = &self.settings;
        let level = u32::try_from(settings.compress_level).expect("checked at start");
        let kind = Kind { coding, level };
        if let Some(content) = body.as_bytes()
            && content.len() <= WHOLE
        {
            let mut out = Vec::with_capacity(content.len() / 4);
            self.pool.lend(kind)?.compress(content, Then::End, &mut out)?;
            let is_smaller = out.len() < content.len();
            return Ok(if is_smaller { Outcome::Compressed(out.into()) } else { Outcome::AsItWas(body) });
        }
        let Some(compressor) = self.pool.lend_to_stream(kind, settings.max_streams)? else {
            return Ok(Outcome::AsItWas(body));
        };
        let then = if matches!(body, ResponseBody::Stream(_)) { Then::Pause } else { Then::More };
        Ok(Outcome::Compressed(pieces::compressed(pieces::in_pieces(body), compressor, then).into()))
    }
}

/// The largest content that is compressed at once: some 20 ms of a worker.
const WHOLE: usize = 1 << 20;

enum Outcome {
    Compressed(ResponseBody),
    AsItWas(ResponseBody),
}

/// Fields that hold only for the very bytes they came with.
const BOUND_TO_BYTES: [HeaderName; 4] = [
    header::CONTENT_ENCODING,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("content-md5"),
];

impl Settings {
    /// Whether some client would get this response compressed, if it is large enough.
    fn can_be_compressed(&self, response: &Response) -> bool {
        let is_its_type = match response.header(&header::CONTENT_TYPE) {
            Some(content_type) => self.mime_types.contain(content_type.as_bytes()),
            // The type need not be said again.
            None => response.status() == StatusCode::NOT_MODIFIED,
        };
        is_its_type
            && !response.headers().any(|(name, value)| {
                BOUND_TO_BYTES.contains(name) || (*name == header::CACHE_CONTROL && forbids_change(value.as_bytes()))
            })
    }

    /// Whether this very response would win by it.
    fn is_worth_it(&self, response: &Response) -> bool {
        const NO_CONTENT: [StatusCode; 3] =
            [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::PARTIAL_CONTENT];
        let length = response.body().length();
        let is_too_large = matches!(response.body(), ResponseBody::File(file) if file.length() > self.max_file);
        !NO_CONTENT.contains(&response.status())
            && response.header(&header::CONTENT_RANGE).is_none()
            && length.is_none_or(|length| length > 0 && length >= self.min_size)
            && !is_too_large
    }

    /// What is wrong with the settings, if anything: the key and the sentence.
    fn problem(&self) -> Option<(&'static str, String)> {
        if !(1..=9).contains(&self.compress_level) {
            return Some(("compress_level", format!("is {}; it must be 1 (fast) to 9 (small)", self.compress_level)));
        }
        if self.codings.is_empty() {
            return Some(("codings", "is empty; to compress nothing, switch the tool off".to_owned()));
        }
        for &coding in &self.codings {
            if let Err(feature) = Compressor::is_there_for(coding) {
                let name = coding.name();
                let problem =
                    format!("has \"{name}\", which needs the feature: kirsch = {{ features = [\"{feature}\"] }}");
                return Some(("codings", problem));
            }
        }
        self.mime_types.problem().map(|problem| ("mime_types", problem))
    }
}

/// `no-transform` in Cache-Control (RFC 9111, section 5.2.2.6).
fn forbids_change(cache_control: &[u8]) -> bool {
    list_has([cache_control], "no-transform")
}

impl Tool for Gzip {
    fn name(&self) -> &'static str {
        "gzip"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Some((key, problem)) = self.settings.problem() {
            return hooks.refuse(SettingError::new(key, problem));
        }
        let codings = self.settings.codings.clone();
        let translate = move |exchange: &mut Exchange| validators::translate_conditions(exchange, &codings);
        hooks.at(HookPoint::OnStartResource, translate).priority(10);
        let tool = self.clone();
        hooks.at(HookPoint::BeforeFinalize, move |exchange| tool.compress(exchange)).priority(80);
    }

    fn configure(&self, table: &toml::Table) -> Result<Box<dyn Tool>, SettingError> {
        let mut tool = self.clone();
        let Settings { compress_level, mime_types, min_size, max_file, max_streams, codings } = &mut tool.settings;
        let (mut types, mut names) = (Vec::new(), Vec::new());
        let mut reader = SettingReader::new(table);
        reader.count("compress_level", compress_level)?;
        reader.texts("mime_types", &mut types)?;
        reader.size("min_size", min_size)?;
        reader.size("max_file", max_file)?;
        reader.count("max_streams", max_streams)?;
        reader.texts("codings", &mut names)?;
        reader.finish()?;
        if table.contains_key("mime_types") {
            *mime_types = MediaTypes::new(types);
        }
        if table.contains_key("codings") {
            *codings = names.iter().map(|name| coding_named(name)).collect::<Result<_, _>>()?;
        }
        match tool.settings.problem() {
            Some((key, problem)) => Err(SettingError::new(key, problem)),
            None => Ok(Box::new(tool)),
        }
    }
}

fn coding_named(name: &str) -> Result<Coding, SettingError> {
    Coding::from_name(name).ok_or_else(|| {
        let known = Coding::ALL.map(|coding| format!("{:?}", coding.name())).join(", ");
        SettingError::new("codings", format!("has {name:?}; there are {known}"))
    })
}
