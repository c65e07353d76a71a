//! The tool: where templates come from, and the engine that has read all of them.
//!
//! All templates are read at start: one that cannot be parsed stops the start with its name and line. While developing
//! they are read again when they change, without a restart.

use super::context::with_context;
use super::escaping;
use super::links::names_in;
use crate::exchange::{Error, ErrorInText, Escaping, Exchange, TextPlace};
use crate::file_stamp::FileStamp;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::private_file;
use crate::settings::{Setting, SettingError, SettingTable, SettingValue, Settings};
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, TemplateSource, UndefinedBehavior, Value, path_loader};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Customise = dyn Fn(&mut Environment<'static>) + Send + Sync;

/// Lets handlers return a [`View`](super::View) on a path and below it.
///
/// ```no_run
/// use kirsch::{prelude::*, tools::Templates};
///
/// # struct Site;
/// # #[handlers] impl Site {}
/// # fn main() -> kirsch::Result {
/// App::new(Site)
///     .tool("/", Templates::new("templates").environment(|environment| {
///         environment.add_filter("euro", |cents: i64| format!("{}.{:02} €", cents / 100, cents % 100));
///     }))
///     .serve("127.0.0.1:8080")
/// # }
/// ```
///
/// Values are escaped as the name of their template says: [`PageType`](crate::exchange::PageType). Templates that
/// include or extend others name them from the folder on.
#[derive(Clone, Settings)]
pub struct Templates {
    /// Where the templates are, relative to the working directory.
    #[setting(key = "folder", given, no_builder)]
    place: Place,
    /// Whether changed templates are read again; by default only in programs that were built without optimisation
    /// (`cargo run`).
    #[setting(default = cfg!(debug_assertions))]
    reload: bool,
    #[setting(skip)]
    customise: Vec<Arc<Customise>>,
    #[setting(skip)]
    values: Vec<OwnValue>,
}

/// A value of the application: its name, and what the request makes of it.
pub(super) type OwnValue = (Arc<str>, Arc<dyn Fn(&Exchange) -> Value + Send + Sync>);

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    Embedded(Arc<[(String, String)]>),
}

/// The empty name leaves the folder of the code.
impl Setting for Place {
    fn read(value: &SettingValue) -> Result<Self, String> {
        Setting::read(value).map(Self::Folder)
    }

    fn show(&self) -> String {
        match self {
            Self::Folder(folder) => folder.show(),
            Self::Embedded(_) => String::new(),
        }
    }

    fn set(&mut self, value: &SettingValue) -> Result<(), String> {
        if value.as_str() != Some("") {
            *self = Self::read(value)?;
        }
        Ok(())
    }
}

impl Templates {
    /// The templates in `folder`, relative to the working directory, and in the folders below it.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::defaults(Place::Folder(folder.into()))
    }

    /// Templates that are part of the program, as names and texts: `[("page.html", include_str!("page.html"))]`.
    #[must_use]
    pub fn embedded<N: Into<String>, T: Into<String>>(templates: impl IntoIterator<Item = (N, T)>) -> Self {
        let templates = templates.into_iter().map(|(name, text)| (name.into(), text.into()));
        Self::defaults(Place::Embedded(templates.collect()))
    }

    /// Changes the engine: filters, functions, globals, another syntax. May be called several times.
    #[must_use]
    pub fn environment(mut self, change: impl Fn(&mut Environment<'static>) + Send + Sync + 'static) -> Self {
        self.customise.push(Arc::new(change));
        self
    }

    /// Gives every template the value `name`, made of its request: the visitor's language, or a cart. It is made once
    /// for each page, before the template is rendered, for error pages and the login page too. A name of the view's
    /// data wins over it.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client, tools::{Templates, View}};
    ///
    /// let templates = Templates::embedded([("hello.html", "{{ 'Hallo' if language == 'de' else 'Hello' }}")])
    ///     .value("language", |exchange| exchange.request.best_language(&["en", "de"]).to_owned());
    /// let app = App::new(Tree::new().index(|_| View::new("hello.html", ()))).tool("/", templates);
    /// Client::in_process(app).get("/").header("Accept-Language", "de-AT, en;q=0.5").send().assert_text("Hallo");
    /// ```
    #[must_use]
    pub fn value<V: Serialize>(
        mut self,
        name: impl Into<Arc<str>>,
        value: impl Fn(&Exchange) -> V + Send + Sync + 'static,
    ) -> Self {
        let value = move |exchange: &Exchange| Value::from(Serde(value(exchange)));
        self.values.push((name.into(), Arc::new(value)));
        self
    }

    /// An engine that has read every template, and shown it to `look` by name and text.
    fn engine(&self, mut look: impl FnMut(&str, &str)) -> Result<Engine, SettingError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_reload(self.reload);
        environment.set_debug(self.reload);
        escaping::install(&mut environment);
        self.customise.iter().for_each(|change| change(&mut environment));
        match &self.place {
            Place::Folder(folder) => {
                let (folder_of_loader, load) = (folder.clone(), path_loader(folder));
                environment.set_loader(move |name| {
                    // Before it is read: a change in between is seen at the next look.
                    let path = folder_of_loader.join(name);
                    let stamp = FileStamp::at(&path);
                    let source = load(name)?.map(|source| TemplateSource::new(source.source()));
                    Ok(source.map(|source| source.with_uptodate_check(move || FileStamp::at(&path) == stamp)))
                });
                let names = names_below(folder)?;
                for name in &names {
                    let template = environment.get_template(name).map_err(|error| spoiled(&error))?;
                    look(name, template.source());
                }
                private_file::warn_of_changes_below(folder, names.iter().map(String::as_str), "templates");
            }
            Place::Embedded(templates) => {
                for (name, text) in &**templates {
                    let added = environment.add_template_owned(name.clone(), text.clone());
                    added.map_err(|error| spoiled(&error))?;
                    look(name, text);
                }
            }
        }
        Ok(Engine { environment, values: self.values.clone() })
    }
}

impl Tool for Templates {
    fn name(&self) -> &'static str {
        "templates"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let look = |name: &str, text: &str| {
            for (line, page) in names_in(text) {
                hooks.links_to(page, format!("the template {name}, line {line}"));
            }
        };
        let engine = match self.engine(look) {
            Ok(engine) => Arc::new(engine),
            Err(error) => return hooks.refuse(error),
        };
        let lend = move |exchange: &mut Exchange| {
            exchange.values.insert(Arc::clone(&engine));
        };
        // Before all that may answer with a view.
        hooks.at(HookPoint::OnStartResource, lend).priority(0);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").field("place", &self.place).field("reload", &self.reload).finish_non_exhaustive()
    }
}

/// The engine of one section.
pub(super) struct Engine {
    environment: Environment<'static>,
    values: Vec<OwnValue>,
}

/// A template: one that the engine has read, or a text under a name.
pub(super) struct Source<'s> {
    pub(super) name: &'s str,
    pub(super) text: Option<&'s str>,
}

impl Engine {
    /// Renders a page that is escaped as `page` as a whole.
    pub(super) fn render(
        &self,
        Source { name, text }: Source<'_>,
        page: Escaping,
        data: Value,
        exchange: &mut Exchange,
    ) -> Result<String, Error> {
        let template = match text {
            Some(text) => self.environment.template_from_named_str(name, text),
            None => self.environment.get_template(name),
        };
        let template = template.map_err(|cause| self.failed(name, text, &cause))?;
        let rendered = with_context(data, &self.values, page, exchange, |context| template.render(context));
        rendered.map_err(|cause| self.failed(name, text, &cause).into())
    }

    /// The engine's own words name template and line. The innermost error is at the place: the outer ones tell which
    /// templates have included it.
    fn failed(&self, name: &str, own_text: Option<&str>, cause: &minijinja::Error) -> ErrorInText {
        let mut innermost: &minijinja::Error = cause;
        while let Some(within) = std::error::Error::source(innermost).and_then(|source| source.downcast_ref()) {
            innermost = within;
        }
        let place = innermost.name().zip(innermost.line()).map(|(of, line)| {
            let known = || self.environment.get_template(of).map(|template| template.source().to_owned());
            let text = match own_text.filter(|_| of == name) {
                Some(text) => text.to_owned(),
                None => known().unwrap_or_default(),
            };
            TextPlace { name: of.to_owned(), line, text }
        });
        let message = match cause.kind() {
            // Its kind and its detail say the same.
            ErrorKind::TemplateNotFound if cause.name().is_none() => format!("there is no template {name:?}"),
            _ => format!("the template {name:?} could not be rendered: {cause}"),
        };
        // What the engine says of its causes is part of its own words.
        ErrorInText { message, place, source: None }
    }
}

fn spoiled(error: &minijinja::Error) -> SettingError {
    SettingError::new("folder", format!("has a template that cannot be read: {error}"))
}

/// The names of all templates, in no order. Hidden files and files that are not text are not templates.
fn names_below(folder: &Path) -> Result<Vec<String>, SettingError> {
    let (mut names, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(below) = folders.pop() {
        let place = folder.join(&below);
        let refused = |error| {
            SettingError::new(
                "folder",
                format!("cannot be read at {}: {error}; does the folder exist?", place.display()),
            )
        };
        for entry in place.read_dir().map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = below.join(&name);
            if name.starts_with('.') {
                continue;
            }
            if entry.path().is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(entry.path()).is_ok() {
                names.extend(path.to_str().map(str::to_owned));
            }
        }
    }
    Ok(names)
}
