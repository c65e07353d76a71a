//! A folder of files below a path.

use super::directory::Symlinks;
use super::file::is_visible;
use super::files::{FileSettings, Files, Lookup, pattern};
use super::found::Found;
use super::listing::listing;
use crate::exchange::{Error, Exchange, HttpError, Redirect, Request, Response};
use crate::lifecycle::{Flow, HookPoint, Hooks, SettingError, SettingReader, SettingTable, Tool};
use crate::tools::address::address;
use ::http::{HeaderValue, Method, StatusCode, header};
use regex_lite::Regex;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Serves the files of a folder, and of the folders in it, below the path where it is switched on. CherryPy's `staticdir`.
///
/// ```no_run
/// use kirsch::prelude::*;
///
/// fn main() -> kirsch::Result {
///     let assets = StaticDir::new("public").cache_control("public, max-age=3600");
///     App::new(Tree::new().index(|_| "Hello World!")).tool("/static", assets).serve("127.0.0.1:8080")
/// }
/// ```
///
/// `public/css/site.css` is then at `/static/css/site.css`, with its content type, validators (`ETag`, `Last-Modified`), conditional and
/// partial answers. What is not in the folder falls through to the tree, as if the tool were off. GET and HEAD are answered; other
/// methods of a file that no handler answers are 405.
///
/// The tool answers before the body is read and before any admission, after all other tools at `before_request_body` but the cache: it never waits
/// for a session's lock and sets no cookie. What is to guard files must act no later than that.
///
/// | setting | default | meaning |
/// |---|---|---|
/// | `dir` | | the folder; relative to the working directory. It must exist at start and is opened once |
/// | `index` | `["index.html"]` | the file that is the page of a folder; the first one that exists |
/// | `match` | all | a regular expression; only paths below the tool's own that it is found in are served |
/// | `hidden` | false | whether names that start with a dot are served; `.well-known` always is |
/// | `symlinks` | `"within"` | links are followed `"within"` the folder (relative ones), `"never"`, or `"anywhere"` |
/// | `listing` | false | whether a folder without index page is listed |
/// | `fallthrough` | true | whether the tree may answer what is not in the folder; otherwise it is 404 |
/// | `content_types` | | content types by extension, in place of the usual ones: `{ md = "text/markdown; charset=utf-8" }` |
/// | `cache_control` | none | the `Cache-Control` field of every file |
/// | `immutable` | none | a regular expression for paths whose content never changes, as `\.[0-9a-f]{8}\.`: cached for a year |
/// | `precompressed` | true | whether `site.css.br`, `.zst` or `.gz` is sent for `site.css` to who accepts it, if it is not older |
/// | `memory` | 16 MiB | how much of small files is kept in memory at most; 0 switches it off |
/// | `memory_file` | 64 KiB | the largest file that is kept |
/// | `recheck` | 1 s | how long a file that is asked for all the time (more than 64 times in that time) is believed to be unchanged; others are looked at each time |
///
/// No other way leads out of the folder than the links that `symlinks` allows (CherryPy compares prefixes of texts, decodes twice and
/// follows every link).
#[derive(Clone, Debug)]
pub struct StaticDir {
    dir: PathBuf,
    index: Vec<String>,
    matching: String,
    hidden: bool,
    listing: bool,
    fallthrough: bool,
    files: FileSettings,
}

impl StaticDir {
    /// Serves the files in `dir`, relative to the working directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            index: vec!["index.html".to_owned()],
            matching: String::new(),
            hidden: false,
            listing: false,
            fallthrough: true,
            files: FileSettings::default(),
        }
    }

    /// The names of files that are the page of their folder (default `index.html`); the first one that exists is.
    #[must_use]
    pub fn index<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.index = names.into_iter().map(Into::into).collect();
        self
    }

    /// Serves only paths in which this regular expression is found. The path is that below the tool's own, as `css/site.css`.
    #[must_use]
    pub fn matching(mut self, pattern: impl Into<String>) -> Self {
        self.matching = pattern.into();
        self
    }

    /// Whether names that start with a dot are served (default no, but for `.well-known`).
    #[must_use]
    pub fn hidden(mut self, hidden: bool) -> Self {
        self.hidden = hidden;
        self
    }

    /// Which symbolic links are followed (default those [within](Symlinks::Within) the folder).
    #[must_use]
    pub fn symlinks(mut self, symlinks: Symlinks) -> Self {
        self.files.symlinks = symlinks;
        self
    }

    /// Whether a folder without index page is answered with a list of what is in it (default no).
    #[must_use]
    pub fn listing(mut self, listing: bool) -> Self {
        self.listing = listing;
        self
    }

    /// Whether the tree may answer what is not in the folder (default yes); otherwise it is 404.
    #[must_use]
    pub fn fallthrough(mut self, fallthrough: bool) -> Self {
        self.fallthrough = fallthrough;
        self
    }

    /// The content type of files with this extension, in place of the usual one.
    #[must_use]
    pub fn content_type(mut self, extension: impl Into<String>, content_type: impl Into<String>) -> Self {
        self.files.content_types.insert(extension.into(), content_type.into());
        self
    }

    /// The `Cache-Control` field of every file (default none).
    #[must_use]
    pub fn cache_control(mut self, cache_control: impl Into<String>) -> Self {
        self.files.cache_control = cache_control.into();
        self
    }

    /// A regular expression for paths whose content never changes since their name would: `Cache-Control: public, max-age=31536000,
    /// immutable` (default none).
    #[must_use]
    pub fn immutable(mut self, pattern: impl Into<String>) -> Self {
        self.files.immutable = pattern.into();
        self
    }

    /// Whether compressed files beside the original (`.br`, `.zst`, `.gz`) are sent to who accepts them (default yes).
    #[must_use]
    pub fn precompressed(mut self, precompressed: bool) -> Self {
        self.files.precompressed = precompressed;
        self
    }

    /// How many bytes of small files are kept in memory at most, all together (default 16 MiB); 0 switches it off.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.files.memory = bytes;
        self
    }

    /// The largest file in bytes that is kept in memory (default 64 KiB).
    #[must_use]
    pub fn memory_file(mut self, bytes: u64) -> Self {
        self.files.memory_file = bytes;
        self
    }

    /// How long a file in memory that is asked for all the time is believed to be unchanged (default 1 s); zero looks each time.
    #[must_use]
    pub fn recheck(mut self, interval: Duration) -> Self {
        self.files.recheck = interval;
        self
    }

    fn open(&self, section: &str) -> Result<Site, SettingError> {
        if let Some(wrong) = self.index.iter().find(|name| !is_visible(name, true)) {
            return Err(SettingError::new("index", format!("has {wrong:?}, which is not the name of a file")));
        }
        Ok(Site {
            files: Files::open(&self.dir, "dir", &self.files)?,
            depth: section.split('/').filter(|segment| !segment.is_empty()).count(),
            index: self.index.clone(),
            matching: pattern("match", &self.matching)?,
            hidden: self.hidden,
            listing: self.listing,
            fallthrough: self.fallthrough,
        })
    }
}

impl Tool for StaticDir {
    fn name(&self) -> &'static str {
        "staticdir"
    }

    fn attach(&self, hooks: &mut Hooks) {
        match self.open(hooks.section()) {
            Ok(site) => {
                // Late, so that what guards the path at this point comes before.
                hooks.at(HookPoint::BeforeRequestBody, move |exchange| site.answer(exchange)).priority(90);
            }
            Err(error) => hooks.refuse(error),
        }
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        let mut tool = self.clone();
        let mut dir = tool.dir.to_string_lossy().into_owned();
        let mut reader = SettingReader::new(settings);
        reader.text("dir", &mut dir)?;
        reader.texts("index", &mut tool.index)?;
        reader.text("match", &mut tool.matching)?;
        reader.flag("hidden", &mut tool.hidden)?;
        reader.flag("listing", &mut tool.listing)?;
        reader.flag("fallthrough", &mut tool.fallthrough)?;
        tool.files.read(&mut reader)?;
        reader.finish()?;
        if settings.contains_key("dir") {
            tool.dir = dir.into();
        }
        Ok(Box::new(tool))
    }

    fn answers(&self) -> bool {
        true
    }
}

/// The tool at work.
#[derive(Debug)]
struct Site {
    files: Files,
    /// How many segments lead to the folder itself.
    depth: usize,
    index: Vec<String>,
    matching: Option<Regex>,
    hidden: bool,
    listing: bool,
    fallthrough: bool,
}

/// What is to be done about a request.
enum Verdict {
    Send(String, Arc<Found>),
    List(String),
    AddSlash,
    Nothing,
}

impl Site {
    fn answer(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        let Exchange { request, response, trail, .. } = exchange;
        let has_handler = trail.handler().is_some();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads && has_handler {
            return Ok(Flow::Continue);
        }
        let path = self.path_below(request);
        // Nearly all requests are for a file by its own name: they are answered without a copy of it.
        let found = match &path {
            Some(path) if !request.path().ends_with('/') => self.files.find(path, request.received())?,
            _ => Lookup::Nothing,
        };
        let (path, found) = match (path, found) {
            (Some(path), Lookup::File(found)) => (path, found),
            (Some(path), found) => match self.folder(&path, &found, request, has_handler)? {
                Verdict::Send(path, found) => (path.into(), found),
                Verdict::List(page) if reads => return Ok(Flow::Answer(list(response, page))),
                Verdict::AddSlash if reads => return Err(Redirect::permanent(address(request, "/")).into()),
                Verdict::List(_) | Verdict::AddSlash => return Err(wrong_method(request)),
                Verdict::Nothing => return self.nothing(),
            },
            (None, _) => return self.nothing(),
        };
        if !reads {
            return Err(wrong_method(request));
        }
        self.files.write(&path, &found, request, response)?;
        Ok(Flow::Answer(std::mem::take(response)))
    }

    /// What follows if there is no file at `path`.
    fn folder(&self, path: &str, found: &Lookup, request: &Request, has_handler: bool) -> Result<Verdict, Error> {
        let has_slash = request.path().ends_with('/');
        if !has_slash && !matches!(found, Lookup::Directory) {
            return Ok(Verdict::Nothing);
        }
        for name in &self.index {
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            if let Lookup::File(found) = self.files.find(&below, request.received())? {
                // A handler with this name has its own opinion about slashes: both opinions would be a circle.
                return Ok(match (has_slash, has_handler) {
                    (true, _) => Verdict::Send(below, found),
                    (false, false) => Verdict::AddSlash,
                    (false, true) => Verdict::Nothing,
                });
            }
        }
        if !self.listing || has_handler {
            return Ok(Verdict::Nothing);
        }
        let title: String = request.segments().flat_map(|segment| ["/", segment]).chain(["/"]).collect();
        Ok(match listing(&self.files.directory, path, &title, self.hidden)? {
            Some(_) if !has_slash => Verdict::AddSlash,
            Some(page) => Verdict::List(page),
            None => Verdict::Nothing,
        })
    }

    fn nothing(&self) -> Result<Flow, Error> {
        if self.fallthrough { Ok(Flow::Continue) } else { Err(Error::not_found()) }
    }

    /// The path below the folder, if it is one that may be served: the decoded segments with `/` between them.
    fn path_below<'r>(&self, request: &'r Request) -> Option<Cow<'r, str>> {
        let segments = || request.segments().skip(self.depth);
        if !segments().all(|segment| is_visible(segment, self.hidden)) {
            return None;
        }
        let path = match plain_tail(request.path(), self.depth) {
            Some(tail) => Cow::Borrowed(tail),
            None => Cow::Owned(segments().collect::<Vec<_>>().join("/")),
        };
        self.matching.as_ref().is_none_or(|pattern| pattern.is_match(&path)).then_some(path)
    }
}

/// The part of a path behind its first `depth` segments, if it reads the same as the decoded segments.
fn plain_tail(path: &str, depth: usize) -> Option<&str> {
    if path.contains('%') || path.contains("//") {
        return None;
    }
    let mut tail = path.strip_prefix('/')?;
    for _ in 0..depth {
        tail = tail.split_once('/').map_or("", |(_, tail)| tail);
    }
    Some(tail.strip_suffix('/').unwrap_or(tail))
}

fn list(response: &mut Response, page: String) -> Response {
    response.set_header(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.set_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.set_body(page);
    std::mem::take(response)
}

/// The answer to other methods than GET and HEAD of what is here: 405, or to OPTIONS what there is.
pub(super) fn wrong_method(request: &Request) -> Error {
    const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
    if *request.method() == Method::OPTIONS {
        let mut answer = Response::new();
        answer.set_status(StatusCode::NO_CONTENT).set_header(header::ALLOW, ALLOW);
        return answer.into();
    }
    let message = "This is a file: it answers GET and HEAD only.";
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, message).with_header(header::ALLOW, ALLOW).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_is_used_as_it_is() {
        let table = [
            ("/static/a/b.css", 1, Some("a/b.css")),
            ("/static/a/", 1, Some("a")),
            ("/static", 1, Some("")),
            ("/static/", 1, Some("")),
            ("/", 0, Some("")),
            ("/a", 0, Some("a")),
            ("/x/y/a", 2, Some("a")),
            ("/static//a", 1, None),
            ("/static/%61", 1, None),
        ];
        for (path, depth, expected) in table {
            assert_eq!(plain_tail(path, depth), expected, "{path}");
        }
    }
}
