//! Compressed responses: `Gzip`, named after CherryPy's tool.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 10 | lets If-None-Match and If-Match name the tags of content that is not compressed |
//! | `before_finalize` | 80 | compresses, after the hooks that make content, tags and cookies, before those that store responses |
//!
//! How a body is compressed depends on how it is made. Whole content up to 1 MiB: at once, on the worker that made it,
//! so that its length is known. Larger content and files: piece by piece while it is sent. Streams: each chunk when it
//! is made.
//!
//! HEAD goes the same way as GET, so that both have the same fields, `Content-Length` too; streams and large content
//! are never made for it.

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
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
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
/// With the cargo features `brotli` and `zstd` it can offer these codings, too, once [`codings`](Self::codings) names
/// them.
///
/// A response is compressed if the client likes a coding at least as much as none, and its media type is one of
/// [`mime_types`](Self::mime_types). It must not be small, coded already, or a range (nor may the request ask for one),
/// have a digest in its fields, or forbid it (`Cache-Control: no-transform`). Content that would not become smaller is
/// sent as it is. In any case a response whose type can be compressed has `Vary: Accept-Encoding`.
///
/// **When not to use it:** where a page has a secret in it (a token against forged requests) beside text of the
/// request. The length of the compressed page then tells whether the two are alike. An attacker who can make a browser
/// ask often enough, and see the lengths, guesses the secret letter by letter (the attack called BREACH). Leave the
/// tool off for such paths: `App::tool_off("/account", "gzip")`.
///
/// Settings, in a file `gzip.compress_level = 6` and so on: the methods below. CherryPy's `gzip` answers 406 to
/// `Accept-Encoding: br`, compresses coded content again, and leaves one strong `ETag` on different bytes; this one
/// does not.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check)]
pub struct Gzip {
    /// How hard gzip works: 1 (fast) to 9 (small), like CherryPy's `compress_level`. Beyond 6 there is next to nothing
    /// to win.
    ///
    /// Brotli works at quality 5: pages are 4 % smaller than with gzip, for four times the work. Zstandard works at
    /// level 3: 3 % larger, for half the work. Files can be compressed harder ahead of time.
    #[setting(default = 5)]
    compress_level: usize,
    /// Media types such as `text/css`, and patterns such as `text/*` and `application/*+json`.
    #[setting(no_builder)]
    mime_types: MediaTypes,
    /// The smallest content that is compressed. Streams whose length is not known are compressed in any case.
    ///
    /// With its head, 1 KiB fits into one packet, and nothing that is sent is smaller than a packet.
    #[setting(size, default = "1 KiB")]
    min_size: u64,
    /// The largest file that is compressed.
    ///
    /// Larger ones are worth more as they are: the kernel sends them, the client knows their length and can resume.
    #[setting(size, default = "16 MiB")]
    max_file: u64,
    /// How many streams and large bodies are compressed at the same time; one more is sent as it is.
    ///
    /// Each holds 0.4 MB until its client has read it (Brotli and Zstandard: 1 MB). Paths of one tool count together.
    #[setting(default = 128)]
    max_streams: usize,
    /// The codings to offer, the best first: `"gzip"`, `"br"`, `"zstd"`. The client's weights go before this order.
    #[setting(with = codings, default = vec![Coding::Gzip])]
    codings: Vec<Coding>,
    #[setting(skip)]
    pool: Arc<Pool>,
}

impl Default for Gzip {
    fn default() -> Self {
        Self::new()
    }
}

impl Gzip {
    /// Compression with gzip, of text and similar types, from 1 KiB on.
    #[must_use]
    pub fn new() -> Self {
        Self::defaults()
    }

    /// The types that are compressed, in place of the default list (`mime_types`): media types such as `text/css`, and
    /// patterns such as `text/*` and `application/*+json`. By default text, JSON, XML, scripts, SVG, WebAssembly and
    /// fonts that are not compressed in themselves.
    ///
    /// `text/event-stream` is compressed only where it is named in full: its connections live long, and each keeps a
    /// compressor.
    #[must_use]
    pub fn mime_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.mime_types = MediaTypes::new(types.into_iter().map(Into::into));
        self
    }

    fn compress(&self, exchange: &mut Exchange) -> Result<(), Error> {
        let Exchange { request, response, .. } = exchange;
        // News that comes once an hour would need a compressor all that time.
        let is_push = matches!(response.body(), ResponseBody::Push(_));
        if is_push || !self.can_be_compressed(response) {
            return Ok(());
        }
        response.add_vary(&header::ACCEPT_ENCODING);
        if response.status() == StatusCode::NOT_MODIFIED {
            validators::name_clients_tag(request, response, &self.codings);
            return Ok(());
        }
        // A range is cut from content that is not compressed: the client goes on with the bytes that it has.
        let wants_part = response.header(&header::ACCEPT_RANGES).is_some() && request.header("range").is_some();
        if wants_part || !self.is_worth_it(response) {
            return Ok(());
        }
        let Some(coding) = request.best_coding(&self.codings) else { return Ok(()) };
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
        let level = u32::try_from(self.compress_level).expect("checked at start");
        let kind = Kind { coding, level };
        if let Some(content) = body.as_bytes()
            && content.len() <= WHOLE
        {
            let mut out = Vec::with_capacity(content.len() / 4);
            self.pool.lend(kind)?.compress(content, Then::End, &mut out)?;
            let is_smaller = out.len() < content.len();
            return Ok(if is_smaller { Outcome::Compressed(out.into()) } else { Outcome::AsItWas(body) });
        }
        let Some(compressor) = self.pool.lend_to_stream(kind, self.max_streams)? else {
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

impl Gzip {
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

    fn check(&self) -> Result<(), SettingError> {
        let refused = |key, problem| Err(SettingError::new(key, problem));
        if !(1..=9).contains(&self.compress_level) {
            return refused("compress_level", format!("is {}; it must be 1 (fast) to 9 (small)", self.compress_level));
        }
        if self.codings.is_empty() {
            return refused("codings", "is empty; to compress nothing, switch the tool off".to_owned());
        }
        for &coding in &self.codings {
            if let Err(feature) = Compressor::is_there_for(coding) {
                let name = coding.name();
                let problem =
                    format!("has \"{name}\", which needs the feature: kirsch = {{ features = [\"{feature}\"] }}");
                return refused("codings", problem);
            }
        }
        self.mime_types.problem().map_or(Ok(()), |problem| refused("mime_types", problem))
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
        if let Err(error) = self.check() {
            return hooks.refuse(error);
        }
        let codings = self.codings.clone();
        let translate = move |exchange: &mut Exchange| validators::translate_conditions(exchange, &codings);
        hooks.at(HookPoint::OnStartResource, translate).priority(10);
        let tool = self.clone();
        hooks.at(HookPoint::BeforeFinalize, move |exchange| tool.compress(exchange)).priority(80);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

/// Codings by their names, in a file.
mod codings {
    use crate::http::Coding;
    use crate::settings::{Setting, SettingValue};

    pub(super) fn read(value: &SettingValue) -> Result<Vec<Coding>, String> {
        let known = |name: &String| {
            let all = || Coding::ALL.map(|coding| format!("{:?}", coding.name())).join(", ");
            Coding::from_name(name).ok_or_else(|| format!("has {name:?}; there are {}", all()))
        };
        Vec::<String>::read(value)?.iter().map(known).collect()
    }

    pub(super) fn show(codings: &[Coding]) -> String {
        let names: Vec<_> = codings.iter().map(|coding| coding.name()).collect();
        format!("{names:?}")
    }
}
