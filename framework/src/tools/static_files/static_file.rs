//! One file at one path.

use super::directory::Symlinks;
use super::files::{FileSettings, Files, Lookup};
use super::static_dir::StaticDir;
use crate::exchange::{Error, Exchange, MethodSet};
use crate::lifecycle::{Flow, HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use ::http::Method;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Serves one file at the path where it is switched on. CherryPy's `staticfile`.
///
/// ```no_run
/// use kirsch::prelude::*;
///
/// fn main() -> kirsch::Result {
///     let icon = StaticFile::new("public/favicon.ico").cache_control("public, max-age=86400");
///     App::new(Tree::new().index(|_| "Hello World!")).tool("/favicon.ico", icon).serve("127.0.0.1:8080")
/// }
/// ```
///
/// All that is said of [`StaticDir`](super::StaticDir) holds for it; so do these settings: `content_types`,
/// `cache_control`, `precompressed`, `recheck`. `filename` is the file, relative to the working directory; a link is
/// followed. Its folder must exist at start, and the file too.
#[derive(Clone, Debug, Settings)]
pub struct StaticFile {
    /// The file, relative to the working directory; a link is followed. It must exist at start, and its folder too.
    #[setting(given, no_builder)]
    filename: PathBuf,
    /// Content types by extension, in place of the usual ones.
    #[setting(no_builder)]
    content_types: BTreeMap<String, String>,
    /// The `Cache-Control` field; empty for none.
    cache_control: String,
    /// Whether a compressed file beside it is sent to clients that accept it, if it is not older.
    #[setting(default = true)]
    precompressed: bool,
    /// How long the file is believed to be unchanged while it is asked for all the time; zero looks each time.
    #[setting(default = "1s")]
    recheck: Duration,
}

impl StaticFile {
    /// Serves the file at `filename`, relative to the working directory.
    pub fn new(filename: impl Into<PathBuf>) -> Self {
        Self::defaults(filename.into())
    }

    /// The content type, in place of that of the extension.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        let extension = self.filename.extension().unwrap_or_default().to_string_lossy().into_owned();
        self.content_types.insert(extension, content_type.into());
        self
    }

    fn open(&self, section: &str) -> Result<Single, SettingError> {
        let wrong = |problem: &str| SettingError::new("filename", format!("is {:?}, which {problem}", self.filename));
        let name = self.filename.file_name().and_then(|name| name.to_str()).ok_or_else(|| wrong("names no file"))?;
        let folder =
            self.filename.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let settings = FileSettings {
            // The operator who names the file means it, wherever it is.
            symlinks: Symlinks::Anywhere,
            content_types: self.content_types.clone(),
            cache_control: self.cache_control.clone(),
            precompressed: self.precompressed,
            recheck: self.recheck,
            ..StaticDir::new(folder).file_settings()
        };
        let files = Files::open(folder, "filename", &settings)?;
        let absolute = std::path::absolute(&self.filename).unwrap_or_else(|_| self.filename.clone());
        if !matches!(files.directory.find(name), Ok(Some(super::directory::Entry::File(..)))) {
            return Err(wrong(&format!("is not a readable file: {absolute:?}")));
        }
        let depth = section.split('/').filter(|segment| !segment.is_empty()).count();
        Ok(Single { files, name: name.to_owned(), depth })
    }
}

impl Tool for StaticFile {
    fn name(&self) -> &'static str {
        "staticfile"
    }

    fn attach(&self, hooks: &mut Hooks) {
        match self.open(hooks.section()) {
            Ok(single) => {
                hooks.at(HookPoint::BeforeRequestBody, move |exchange| single.answer(exchange)).priority(90);
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
struct Single {
    files: Files,
    name: String,
    /// How many segments the path has.
    depth: usize,
}

impl Single {
    fn answer(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        let Exchange { request, response, trail, .. } = exchange;
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        // The section reaches further down than the file.
        let is_other = request.segments().len() != self.depth || request.path().ends_with('/') && self.depth > 0;
        if is_other || !reads && trail.handler().is_some() {
            return Ok(Flow::Continue);
        }
        let Lookup::File(found) = self.files.find(&self.name, request.received())? else { return Ok(Flow::Continue) };
        if !reads {
            return Err(MethodSet::GET.refuse(request.method()));
        }
        self.files.write(&self.name, &found, request, response)?;
        Ok(Flow::Answer(std::mem::take(response)))
    }
}
