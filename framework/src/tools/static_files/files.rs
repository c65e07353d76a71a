//! The files of a folder, looked up by path: in memory first, then on disk.

use super::directory::{Directory, Entry, Identity, Symlinks};
use super::found::{Content, Found};
use super::media_type::{Overrides, content_type, is_compressible};
use super::memory::Memory;
use super::stamp::Stamp;
use crate::exchange::{Error, HttpError, Request, Response};
use crate::http::Coding;
use crate::settings::SettingError;
use ::http::{HeaderValue, StatusCode, header};
use regex_lite::Regex;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How files are served, by `staticdir` and by `staticfile`.
#[derive(Clone, Debug)]
pub(super) struct FileSettings {
    pub(super) symlinks: Symlinks,
    pub(super) content_types: BTreeMap<String, String>,
    pub(super) cache_control: String,
    pub(super) immutable: String,
    pub(super) precompressed: bool,
    pub(super) memory: u64,
    pub(super) memory_file: u64,
    pub(super) recheck: Duration,
}

/// A folder with the files that are in memory.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) directory: Directory,
    memory: Memory,
    /// Largest file that goes into memory.
    memory_file: u64,
    content_types: Overrides,
    cache_control: Option<HeaderValue>,
    immutable: Option<Regex>,
    precompressed: bool,
}

/// The target of a path.
#[derive(Debug)]
pub(super) enum Lookup {
    File(Arc<Found>),
    Directory,
    Nothing,
}

impl Files {
    /// Opens the folder at `path`; `key` is the setting that named it.
    pub(super) fn open(path: &Path, key: &str, settings: &FileSettings) -> Result<Self, SettingError> {
        let directory = Directory::open(path, settings.symlinks).map_err(|error| {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            SettingError::new(key, format!("is {path:?}, and the folder {absolute:?} cannot be opened: {error}"))
        })?;
        let content_types = settings.content_types.iter().map(|(extension, content_type)| {
            let value = field_value("content_types", content_type)?;
            Ok((extension.trim_start_matches('.').to_ascii_lowercase(), value))
        });
        let cache_control =
            (!settings.cache_control.is_empty()).then(|| field_value("cache_control", &settings.cache_control));
        Ok(Self {
            directory,
            memory: Memory::new(settings.memory, settings.recheck),
            memory_file: settings.memory_file,
            content_types: content_types.collect::<Result<_, SettingError>>()?,
            cache_control: cache_control.transpose()?,
            immutable: pattern("immutable", &settings.immutable)?,
            precompressed: settings.precompressed,
        })
    }

    /// Looks for a file at `path`, which [`Directory::find`] could open.
    pub(super) fn find(&self, path: &str, now: Instant) -> Result<Lookup, Error> {
        match self.remembered(path, now) {
            Some(found) => Ok(found.map_or(Lookup::Nothing, Lookup::File)),
            None => self.open_file(path),
        }
    }

    fn open_file(&self, path: &str) -> Result<Lookup, Error> {
        Ok(match self.directory.find(path).map_err(|error| trouble(&error, &self.directory, path))? {
            Some(Entry::File(file, identity)) => Lookup::File(self.load(path, file, identity)),
            Some(Entry::Directory(_)) => Lookup::Directory,
            None => Lookup::Nothing,
        })
    }

    /// Writes the file at `path` into the response, compressed if there is such a file beside it and the client likes
    /// it.
    pub(super) fn write(
        &self,
        path: &str,
        found: &Found,
        request: &Request,
        response: &mut Response,
    ) -> Result<(), Error> {
        let has_variants = self.precompressed && is_compressible(&found.content_type);
        let compressed = if has_variants { self.best_compressed(path, found, request)? } else { None };
        match &compressed {
            Some((compressed, coding)) => found.write_compressed(compressed, *coding, response),
            None => found.write(response),
        }
        if has_variants {
            // Even if there is no other form today: a cache must not keep the plain one from clients that would take a
            // compressed one tomorrow.
            response.add_vary(&header::ACCEPT_ENCODING);
        }
        if compressed.as_ref().map_or(found, |(compressed, _)| compressed).is_known_to(request) {
            response.set_not_modified();
        }
        Ok(())
    }

    /// The compressed file beside `path` that the client likes best, if it likes one.
    fn best_compressed(
        &self,
        path: &str,
        found: &Found,
        request: &Request,
    ) -> Result<Option<(Arc<Found>, Coding)>, Error> {
        if request.header("accept-encoding").is_none() {
            return Ok(None);
        }
        let mut offered = SERVED.to_vec();
        while let Some(coding) = request.best_coding(&offered) {
            if let Some(compressed) = self.compressed(path, coding, found, request.received())? {
                return Ok(Some((compressed, coding)));
            }
            offered.retain(|other| *other != coding);
        }
        Ok(None)
    }

    /// The file beside `path` in that coding, unless it is older than the original.
    fn compressed(
        &self,
        path: &str,
        coding: Coding,
        original: &Found,
        now: Instant,
    ) -> Result<Option<Arc<Found>>, Error> {
        let beside = format!("{path}.{}", coding.file_extension());
        let found = match self.remembered(&beside, now) {
            Some(found) => found,
            None => match self.open_file(&beside)? {
                Lookup::File(found) => Some(found),
                Lookup::Directory | Lookup::Nothing => {
                    // Only names beside a file are worth remembering: anybody can ask for any number of other names.
                    self.memory.insert(&beside, None);
                    None
                }
            },
        };
        Ok(found.filter(|found| found.modified >= original.modified))
    }

    /// The entry in memory about the path, if it is still true; the inner `None` means that there is no file.
    #[expect(clippy::option_option, reason = "the outer one says whether it is known")]
    fn remembered(&self, path: &str, now: Instant) -> Option<Option<Arc<Found>>> {
        let entry = self.memory.get(path)?;
        let present = || self.directory.look(path);
        if self.memory.is_trusted(&entry, now) || present() == entry.file.as_ref().map(|(identity, _)| *identity) {
            return Some(entry.file.as_ref().map(|(_, found)| found.clone()));
        }
        self.memory.forget(path, &entry);
        None
    }

    fn load(&self, path: &str, file: std::fs::File, identity: Identity) -> Arc<Found> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let coding = Coding::ALL
            .into_iter()
            .find(|coding| name.rsplit_once('.').is_some_and(|(_, extension)| extension == coding.file_extension()));
        let stamp = Stamp::new(&identity, coding, SystemTime::now());
        let is_immutable = self.immutable.as_ref().is_some_and(|pattern| pattern.is_match(path));
        let found = |content| Found {
            content,
            content_type: content_type(name, &self.content_types),
            etag: stamp.etag.clone(),
            last_modified: stamp.last_modified.clone(),
            cache_control: if is_immutable { Some(IMMUTABLE) } else { self.cache_control.clone() },
            modified: identity.modified,
        };
        if stamp.settled
            && identity.length <= self.memory_file
            && let Some(bytes) = read(&file, identity)
        {
            let found = Arc::new(found(Content::Memory(bytes)));
            self.memory.insert(path, Some((identity, found.clone())));
            return found;
        }
        Arc::new(found(Content::File(Arc::new(file), identity.length)))
    }
}

/// In the order in which they are sent to clients that like them equally: the smallest first.
const SERVED: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

/// For names that change with their content: a year, and no questions even when the page is reloaded (RFC 8246).
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The whole content; `None` when it changed while it was read.
fn read(file: &std::fs::File, identity: Identity) -> Option<bytes::Bytes> {
    let mut content = vec![0; usize::try_from(identity.length).ok()?];
    file.read_exact_at(&mut content, 0).ok()?;
    (Identity::of(file).ok()? == identity).then(|| content.into())
}

/// The answer when the file system fails: when this process has no room, 503, since later it may have.
fn trouble(error: &io::Error, directory: &Directory, path: &str) -> Error {
    let no_room = [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(|error| Some(error.raw_os_error()));
    let problem = format!("{:?} cannot be opened: {error}", directory.path().join(path));
    if no_room.contains(&error.raw_os_error()) {
        crate::line::record!(Error, target: "kirsch::static", "{problem}");
        let retry = HeaderValue::from_static("1");
        return HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "").with_header(header::RETRY_AFTER, retry).into();
    }
    Error::unexpected(problem)
}

/// A regular expression of the settings; the empty one means none.
pub(super) fn pattern(key: &str, text: &str) -> Result<Option<Regex>, SettingError> {
    if text.is_empty() {
        return Ok(None);
    }
    let problem = |error| SettingError::new(key, format!("is {text:?}, which is not a regular expression: {error}"));
    Regex::new(text).map(Some).map_err(problem)
}

pub(super) fn field_value(key: &str, text: &str) -> Result<HeaderValue, SettingError> {
    HeaderValue::try_from(text)
        .map_err(|_| SettingError::new(key, format!("has {text:?}, which cannot be a field value")))
}
