//! A folder of files below a path.

use super::directory::Symlinks;
use super::file::is_visible;
use super::files::{FileSettings, Files, Lookup, pattern};
use super::found::Found;
use super::listing::listing;
use crate::exchange::{Error, Exchange, MethodSet, Redirect, Request, Response};
use crate::lifecycle::{Flow, HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::tools::address::address;
use ::http::{HeaderValue, Method, header};
use regex_lite::Regex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Serves the files of a folder, and of the folders in it, below the path where it is switched on. CherryPy's
/// `staticdir`.
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
/// `public/css/site.css` is then at `/static/css/site.css`, with its content type, validators (`ETag`,
/// `Last-Modified`), conditional and partial answers. Other paths fall through to the tree, as if the tool were off.
/// GET and HEAD are answered; other methods of a file that no handler answers are 405.
///
/// The tool answers before the body is read and before any admission, after all other tools at `before_request_body`
/// but the cache: it never waits for a session's lock and sets no cookie. A tool that guards files must act no later
/// than that.
///
/// No other way leads out of the folder than the links that `symlinks` allows (CherryPy compares prefixes of texts,
/// decodes twice and follows every link).
#[derive(Clone, Debug, Settings)]
pub struct StaticDir {
    /// The folder, relative to the working directory. It must exist at start and is opened once.
    #[setting(given, no_builder)]
    dir: PathBuf,
    /// The names of files that are the page of their folder; the first one that exists is.
    #[setting(default = ["index.html"])]
    index: Vec<String>,
    /// A regular expression; only paths below the tool's own in which it is found are served. Empty for all.
    #[setting(key = "match")]
    matching: String,
    /// Whether names that start with a dot are served; `.well-known` always is.
    hidden: bool,
    /// Which symbolic links are followed: those `"within"` the folder (relative ones), `"never"`, or `"anywhere"`.
    #[setting(default = Symlinks::Within)]
    symlinks: Symlinks,
    /// Whether a folder without an index page is answered with a list of its files.
    listing: bool,
    /// Whether the tree may answer for missing files; otherwise they are 404.
    #[setting(default = true)]
    fallthrough: bool,
    /// Content types by extension, in place of the usual ones: `{ md = "text/markdown; charset=utf-8" }`.
    #[setting(no_builder)]
    content_types: BTreeMap<String, String>,
    /// The `Cache-Control` field of every file; empty for none.
    cache_control: String,
    /// A regular expression for paths whose content never changes, such as `\.[0-9a-f]{8}\.`: cached for a year. Empty
    /// for none.
    ///
    /// They are sent with `Cache-Control: public, max-age=31536000, immutable`.
    immutable: String,
    /// Whether `site.css.br`, `.zst` or `.gz` is sent for `site.css` to clients that accept it, if it is not older.
    #[setting(default = true)]
    precompressed: bool,
    /// How much of small files is kept in memory at most, all together; 0 switches it off.
    #[setting(size, default = "16 MiB")]
    memory: u64,
    /// The largest file that is kept in memory.
    #[setting(size, default = "64 KiB")]
    memory_file: u64,
    /// How long a file that is asked for all the time is believed to be unchanged; zero looks each time.
    ///
    /// All the time is more than 64 times in that time. Other files are looked at each time.
    #[setting(default = "1s")]
    recheck: Duration,
}

impl StaticDir {
    /// Serves the files in `dir`, relative to the working directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::defaults(dir.into())
    }

    /// The content type of files with this extension, in place of the usual one.
    #[must_use]
    pub fn content_type(mut self, extension: impl Into<String>, content_type: impl Into<String>) -> Self {
        self.content_types.insert(extension.into(), content_type.into());
        self
    }

    /// Those that say how a file is served.
    pub(super) fn file_settings(&self) -> FileSettings {
        FileSettings {
            symlinks: self.symlinks,
            content_types: self.content_types.clone(),
            cache_control: self.cache_control.clone(),
            immutable: self.immutable.clone(),
            precompressed: self.precompressed,
            memory: self.memory,
            memory_file: self.memory_file,
            recheck: self.recheck,
        }
    }

    fn open(&self, section: &str) -> Result<Site, SettingError> {
        if let Some(wrong) = self.index.iter().find(|name| !is_visible(name, true)) {
            return Err(SettingError::new("index", format!("has {wrong:?}, which is not the name of a file")));
        }
        Ok(Site {
            files: Files::open(&self.dir, "dir", &self.file_settings())?,
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
                // Late, so that tools that guard the path at this point come before.
                hooks.at(HookPoint::BeforeRequestBody, move |exchange| site.answer(exchange)).priority(90);
            }
            Err(error) => hooks.refuse(error),
        }
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
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

/// The decision about a request.
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
                Verdict::List(_) | Verdict::AddSlash => return Err(MethodSet::GET.refuse(request.method())),
                Verdict::Nothing => return self.nothing(),
            },
            (None, _) => return self.nothing(),
        };
        if !reads {
            return Err(MethodSet::GET.refuse(request.method()));
        }
        self.files.write(&path, &found, request, response)?;
        Ok(Flow::Answer(std::mem::take(response)))
    }

    /// The answer if there is no file at `path`.
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
