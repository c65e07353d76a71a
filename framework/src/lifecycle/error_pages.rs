//! The application's own error pages of one path section: functions, templates, files.
//!
//! The page of an answer is that of the deepest section that has one for the status or a default; within a section the
//! status comes before the default. The input of a page is in `error_page.rs`, the placeholders are in
//! `error_template.rs`.

use super::ErrorPage;
use super::error_template::ErrorTemplate;
use crate::exchange::{Error, IntoResponse, Response};
use crate::file_stamp::FileStamp;
use crate::private_file;
use crate::settings::wrong;
use ::http::{StatusCode, header};
use parking_lot::Mutex;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Value;

/// The application's own error pages for a path: the argument of [`App::error_pages`](crate::App::error_pages).
///
/// | by | in code | in a configuration file |
/// |---|---|---|
/// | a function | [`set`](Self::set) | |
/// | a template | [`template`](Self::template) | `error_pages.404 = { template = "<h1>{title}</h1>" }` |
/// | a file | [`file`](Self::file) | `error_pages.404 = "errors/404.html"` |
///
/// Each has a form for all other statuses (`set_default`, `default_template`, `default_file`; `error_pages.default`).
/// The deepest section that has a page for the status or a default decides; within a section the status comes before
/// the default. A section that changes the setting `errors` begins without the pages from above.
///
/// **Templates and files** may contain `{status}`, `{title}`, `{message}` and `{request_id}`; all values are escaped
/// for the type of the page. An unknown placeholder stops the start; `{{word}}` stands for `{word}`. A file is relative
/// to the working directory, at most 1 MiB of UTF-8, its content type goes by its extension. It must exist at start,
/// and is read again when it has changed. If it cannot be read any more, the log says so, and the old content stays.
/// Clients that ask for JSON by name get the built-in page in JSON instead of a template, unless the setting `errors`
/// is not `auto`.
///
/// CherryPy's `error_page.404` and `error_page.default`.
#[derive(Clone, Default)]
pub struct ErrorPages {
    by_status: Vec<(StatusCode, Page)>,
    default: Option<Page>,
    /// The first thing that was wrong.
    pub(crate) refusal: Option<String>,
}

type PageFunction = dyn Fn(&ErrorPage<'_>, &mut Response) -> Result<(), Error> + Send + Sync;

#[derive(Clone)]
pub(super) enum Page {
    Function(Arc<PageFunction>),
    Template(Arc<ErrorTemplate>),
    File(Arc<PageFile>),
}

impl ErrorPages {
    /// Sets the page of one status; a later one replaces an earlier one.
    pub fn set<F, R>(&mut self, status: StatusCode, page: F)
    where
        F: Fn(&ErrorPage<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.put(Some(status), Ok(Page::function(page)));
    }

    /// Sets the page of every status that has none of its own.
    pub fn set_default<F, R>(&mut self, page: F)
    where
        F: Fn(&ErrorPage<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.put(None, Ok(Page::function(page)));
    }

    /// Sets a template of HTML as the page of one status.
    pub fn template(&mut self, status: StatusCode, template: impl AsRef<str>) {
        self.put(Some(status), Page::template(template.as_ref()));
    }

    /// Sets a template of HTML as the page of every status that has none of its own.
    pub fn default_template(&mut self, template: impl AsRef<str>) {
        self.put(None, Page::template(template.as_ref()));
    }

    /// Sets a file as the page of one status.
    pub fn file(&mut self, status: StatusCode, path: impl Into<PathBuf>) {
        self.put(Some(status), Page::file(path.into()));
    }

    /// Sets a file as the page of every status that has none of its own.
    pub fn default_file(&mut self, path: impl Into<PathBuf>) {
        self.put(None, Page::file(path.into()));
    }

    fn put(&mut self, status: Option<StatusCode>, page: Result<Page, String>) {
        let named = status.map_or_else(|| "default".to_owned(), |status| status.as_u16().to_string());
        let is_error = status.is_none_or(|status| status.is_client_error() || status.is_server_error());
        let page = match page {
            _ if !is_error => return self.refuse(format!("{named} is not the status of an error: 400 to 599")),
            Err(problem) => return self.refuse(format!("{named}: {problem}")),
            Ok(page) => page,
        };
        match status {
            Some(status) => {
                self.by_status.retain(|(other, _)| *other != status);
                self.by_status.push((status, page));
            }
            None => self.default = Some(page),
        }
    }

    fn refuse(&mut self, problem: String) {
        self.refusal.get_or_insert(problem);
    }

    /// Reads the table `error_pages` of a configuration file.
    pub(crate) fn read(&mut self, value: &Value) -> Result<(), String> {
        let Value::Table(pages) = value else {
            return Err(format!(
                "`error_pages` {}",
                wrong(value, "a table: write `error_pages.404 = \"errors/404.html\"`")
            ));
        };
        for (name, value) in pages {
            let status = name.parse().ok().and_then(|code| StatusCode::from_u16(code).ok()).map(Some);
            let status = if name == "default" { Some(None) } else { status };
            let status = status.ok_or_else(|| {
                format!(
                    "`error_pages.{name}` is not the status of an error: write a number from 400 to 599, or `default`"
                )
            })?;
            let page = match value {
                Value::String(path) => Page::file(path.into()),
                Value::Table(table) if table.len() == 1 && table.contains_key("template") => table["template"]
                    .as_str()
                    .map_or_else(|| Err("the template must be a text".to_owned()), Page::template),
                other => {
                    let problem = wrong(other, "the name of a file, or { template = \"…\" }");
                    return Err(format!("`error_pages.{name}` {problem}"));
                }
            };
            self.put(status, page);
        }
        Ok(())
    }

    /// Puts these pages over those of the section above. Where these have a default, nothing shows through.
    pub(crate) fn lay_over(&mut self, above: Self) {
        if self.default.is_some() {
            return;
        }
        self.default = above.default;
        for (status, page) in above.by_status {
            if self.by_status.iter().all(|(other, _)| *other != status) {
                self.by_status.push((status, page));
            }
        }
    }

    pub(super) fn find(&self, status: StatusCode) -> Option<&Page> {
        let own = self.by_status.iter().find(|(other, _)| *other == status).map(|(_, page)| page);
        own.or(self.default.as_ref())
    }
}

impl Page {
    fn function<F, R>(page: F) -> Self
    where
        F: Fn(&ErrorPage<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        Self::Function(Arc::new(move |error, response| page(error).into_response(response)))
    }

    fn template(text: &str) -> Result<Self, String> {
        Ok(Self::Template(Arc::new(ErrorTemplate::html(text)?)))
    }

    fn file(path: PathBuf) -> Result<Self, String> {
        let loaded = Loaded::read(&path).map_err(|problem| {
            let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
            format!("the file {absolute:?} {problem}")
        })?;
        Ok(Self::File(Arc::new(PageFile { path, loaded: Mutex::new(loaded) })))
    }

    /// Writes the page into `response`; `false` when the client wants JSON and this is a page for people.
    pub(super) fn write(&self, page: &ErrorPage<'_>, response: &mut Response) -> Result<bool, Error> {
        let of_file;
        let template = match self {
            Self::Function(write) => return write(page, response).map(|()| true),
            Self::Template(template) => template,
            Self::File(file) => {
                of_file = file.current();
                &of_file
            }
        };
        if page.is_negotiated() && page.form().is_json() && !template.is_json() {
            return Ok(false);
        }
        response.set_header(header::CONTENT_TYPE, template.content_type());
        response.set_body(template.fill(page));
        Ok(true)
    }
}

/// A page in a file, as it was when it was last looked at.
pub(super) struct PageFile {
    path: PathBuf,
    loaded: Mutex<Loaded>,
}

#[derive(Clone)]
struct Loaded {
    /// `None` while the file cannot be read.
    stamp: Option<FileStamp>,
    template: Arc<ErrorTemplate>,
}

/// Largest file.
const MOST: u64 = 1 << 20;

impl PageFile {
    /// The page, read again if the file has changed.
    fn current(&self) -> Arc<ErrorTemplate> {
        let Loaded { stamp, template } = self.loaded.lock().clone();
        let present = std::fs::metadata(&self.path).ok().as_ref().map(FileStamp::of);
        if present == stamp {
            return template;
        }
        let loaded = Loaded::read(&self.path).unwrap_or_else(|problem| {
            let path = &self.path;
            crate::line::record!(Error, target: crate::logs::ERROR, "the error page {path:?} {problem}; it stays as it was");
            Loaded { stamp: present, template }
        });
        let template = loaded.template.clone();
        *self.loaded.lock() = loaded;
        template
    }
}

impl Loaded {
    fn read(path: &Path) -> Result<Self, String> {
        let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
        let file = private_file::open_plain(path).map_err(unreadable)?;
        private_file::warn_of_changes(path, "an error page");
        let metadata = file.metadata().map_err(unreadable)?;
        let mut text = String::new();
        file.take(MOST + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MOST {
            return Err("is larger than 1 MiB".to_owned());
        }
        let template = Arc::new(ErrorTemplate::named(&path.to_string_lossy(), &text)?);
        Ok(Self { stamp: Some(FileStamp::of(&metadata)), template })
    }
}

impl std::fmt::Debug for ErrorPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let statuses = self.by_status.iter().map(|(status, _)| status.as_u16());
        f.debug_list().entries(statuses).entries(self.default.iter().map(|_| "default")).finish()
    }
}
