//! Files that handlers return.

use super::directory::{Directory, Entry, Identity, Symlinks};
use super::disposition::disposition;
use super::media_type::{Overrides, content_type};
use super::stamp::Stamp;
use crate::exchange::{Error, FileBody, IntoResponse, Response};
use ::http::{HeaderValue, header};
use rustix::fs::{FileType, Mode, OFlags, open};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// A file as the answer of a handler, with everything that browsers expect of one: type, length, validators, ranges.
///
/// ```
/// use kirsch::{File, prelude::*, testing::Client};
///
/// struct Reports;
///
/// #[handlers]
/// impl Reports {
///     #[expose]
///     fn latest(&self) -> kirsch::Result<File> {
///         File::open("Cargo.toml")
///     }
///
///     #[expose]
///     fn download(&self, year: u16) -> kirsch::Result<File> {
///         Ok(File::open("Cargo.toml")?.download(&format!("report {year}.toml")))
///     }
/// }
///
/// let client = Client::in_process(App::new(Reports));
/// let latest = client.get("/latest").send();
/// let etag = latest.header("etag").unwrap();
/// client.get("/latest").header("if-none-match", etag).send().assert_status(304);
/// client.get("/latest").header("range", "bytes=0-8").send().assert_status(206).assert_text("[package]");
/// client.get("/download/2026").send().assert_header("content-disposition", "attachment; filename=\"report 2026.toml\"");
/// ```
///
/// The content is sent from the file, in any size, and never in memory as a whole. CherryPy's `serve_file`.
#[derive(Debug)]
pub struct File {
    body: FileBody,
    content_type: HeaderValue,
    disposition: Option<HeaderValue>,
    stamp: Stamp,
}

impl File {
    /// Opens the file at `path`, relative to the working directory. Its content type goes by the extension.
    ///
    /// Links are followed and `..` is allowed: the path must be the program's own. For names that come from a client
    /// there is [`open_below`](Self::open_below).
    ///
    /// # Errors
    /// 404 when there is no regular file, or it may not be read; other failures are 500.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        // A pipe must not keep the worker waiting.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open(path, flags, Mode::empty()).map_err(|error| missing(path, &error.into()))?;
        Self::from_std(file.into(), &path.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Opens the file that a client has named: `name`, perhaps with `/` in it, below `folder` and never outside of it.
    ///
    /// # Errors
    /// As in [`open`](Self::open); also 404 for `..`, for names that start with a dot, and for links that lead out of
    /// the folder.
    pub fn open_below(folder: impl AsRef<Path>, name: &str) -> Result<Self, Error> {
        let folder = folder.as_ref();
        if !name.split('/').all(|component| is_visible(component, false)) {
            return Err(Error::not_found());
        }
        let directory = Directory::open(folder, Symlinks::Within)
            .map_err(|error| Error::unexpected(format!("the folder {folder:?} cannot be opened: {error}")))?;
        match directory.find(name)? {
            Some(Entry::File(file, _)) => Self::from_std(file, name.rsplit('/').next().unwrap_or(name)),
            _ => Err(Error::not_found()),
        }
    }

    /// A file that is open already, called `name`. CherryPy's `serve_fileobj`.
    ///
    /// # Errors
    /// 404 when it is not a regular file; 500 when the system cannot tell.
    pub fn from_std(file: std::fs::File, name: &str) -> Result<Self, Error> {
        let identity = Identity::of(&file)?;
        if identity.kind != FileType::RegularFile {
            return Err(Error::not_found());
        }
        let stamp = Stamp::new(&identity, None, SystemTime::now());
        let body = FileBody::range(Arc::new(file), 0..identity.length);
        Ok(Self { body, content_type: content_type(name, &Overrides::new()), disposition: None, stamp })
    }

    /// Lets the browser save the file as `name` instead of showing it. The name may have any letters; a path before it
    /// is taken off.
    #[must_use]
    pub fn download(mut self, name: &str) -> Self {
        self.disposition = Some(disposition("attachment", name));
        self
    }

    /// Lets the browser show the file, and call it `name` should the user save it.
    #[must_use]
    pub fn inline(mut self, name: &str) -> Self {
        self.disposition = Some(disposition("inline", name));
        self
    }

    /// Another content type than that of the extension.
    #[must_use]
    pub fn content_type(mut self, content_type: HeaderValue) -> Self {
        self.content_type = content_type;
        self
    }
}

/// A content type that the handler has set through `&mut Response` stays.
impl IntoResponse for File {
    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let Stamp { etag, last_modified, .. } = self.stamp;
        if response.header(&header::CONTENT_TYPE).is_none() {
            response.set_header(header::CONTENT_TYPE, self.content_type);
        }
        response.set_header(header::ETAG, etag);
        if let Some(date) = last_modified {
            response.set_header(header::LAST_MODIFIED, date);
        }
        if let Some(disposition) = self.disposition {
            response.set_header(header::CONTENT_DISPOSITION, disposition);
        }
        response.set_header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        response.set_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response.set_body(self.body);
        Ok(())
    }
}

/// The file at `path`, for the browser to show: [`File::open`] by CherryPy's name.
///
/// # Errors
/// As [`File::open`].
pub fn serve_file(path: impl AsRef<Path>) -> Result<File, Error> {
    File::open(path)
}

/// The file at `path`, for the browser to save as `name`: [`File::open`] with [`File::download`], by CherryPy's name.
///
/// # Errors
/// As [`File::open`].
pub fn serve_download(path: impl AsRef<Path>, name: &str) -> Result<File, Error> {
    Ok(File::open(path)?.download(name))
}

/// Whether a client may name that component of a path. Dots lead up or hide; an encoded slash, a backslash and NUL are
/// in no name that we would have made.
pub(super) fn is_visible(component: &str, hidden: bool) -> bool {
    let dotted = component.starts_with('.') && component != ".well-known";
    !(component.is_empty()
        || component == "."
        || component == ".."
        || component.contains(['/', '\\', '\0'])
        || dotted && !hidden)
}

/// The answer for a path that cannot be opened.
fn missing(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::not_found(),
        io::ErrorKind::PermissionDenied => {
            crate::line::record!(Warn, target: "kirsch::static", "{path:?} may not be read by this process: answered as not found");
            Error::not_found()
        }
        // A socket.
        _ if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => Error::not_found(),
        _ => Error::unexpected(format!("{path:?} cannot be opened: {error}")),
    }
}
