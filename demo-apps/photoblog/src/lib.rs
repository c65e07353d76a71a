//! A photo blog: the program of the book "CherryPy Essentials" with today's means, to read and to run.
//!
//! | folder or file | what it shows |
//! |---|---|
//! | `lib` | the application: which tools are on, and where |
//! | `model/` | SQLite in blocking code: migrations, one writer, readers, full-text search, no web |
//! | `pictures/` | uploads that are looked at before they are decoded, and a job that makes small pictures |
//! | `site/` | the pages of readers: HTML and JSON of one resource, archive and search |
//! | `desk/` | the pages of authors: typed forms, uploads, order, undo, and what happens when two edit one text |
//! | `atom/` | feeds, and the Atom Publishing Protocol with Basic and Digest |
//! | `language` | English and German |
//! | `settings` | what the operator may change in `photoblog.toml` |

mod atom;
mod blog;
mod desk;
mod language;
mod model;
mod pictures;
mod settings;
mod site;

use blog::Blog;
use kirsch::{
    ErrorForm, ErrorPage,
    jobs::Jobs,
    prelude::*,
    status,
    tools::{
        AuthBasic, AuthDigest, Autovary, Csrf, Etags, LoginForm, Proxy, RateLimit, SecureHeaders, SessionAuth,
        Templates, View,
    },
};
use pictures::{job, samples};
use serde_json::json;
use settings::Settings;
use sha2::{Digest, Sha256};
use site::Site;
use std::{
    collections::BTreeMap,
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Templates, styles and settings are read from here. A program that is installed elsewhere takes them along, and names
/// the place in this variable.
const HERE: &str = env!("CARGO_MANIFEST_DIR");
const PLACE: &str = "PHOTOBLOG_HOME";

/// Styles and scripts may be used for an hour before a browser asks again. A picture never changes: another one has
/// another name.
const STATIC: &str = "public, max-age=3600";
const PICTURES: &str = "public, max-age=31536000, immutable";
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What a blog without albums begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Painted photos.
    WhereEmpty,
    /// Nothing.
    Never,
}

/// The application, with its photos, texts and sessions in the folder `data`.
///
/// # Errors
/// When the folder or the database cannot be used, or the settings are wrong.
pub fn app(data: &Path, samples: Samples) -> kirsch::Result<App> {
    Ok(app_and_jobs(data, samples)?.0)
}

/// The same, with the jobs: the test client in process runs none by itself.
///
/// # Errors
/// As [`app`].
pub fn app_and_jobs(data: &Path, samples: Samples) -> kirsch::Result<(App, Jobs)> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(|error| format!("the folder {} cannot be used: {error}", data.display()))?;
    let here = std::env::var_os(PLACE).map_or_else(|| PathBuf::from(HERE), PathBuf::from);
    let configuration = Configuration::read(here.join("photoblog.toml"))?;
    let settings: Arc<Settings> = Arc::new(configuration.section("photoblog")?);

    let blog = Arc::new(Blog::open(data)?);
    let jobs = job::jobs(blog.database.path(), &blog);
    if samples == Samples::WhereEmpty {
        let author = settings.people.keys().next().ok_or("photoblog.people names no author")?;
        samples::add(&blog, &jobs, author)?;
    }

    let names = json!({ "title": settings.title, "subtitle": settings.subtitle });
    let templates = Templates::new(here.join("templates"))
        .environment(language::teach)
        .value("language", |exchange| language::of(&exchange.request))
        .value("blog", move |_| names.clone());
    let served = blog.pictures.served().to_owned();
    let login = login(&settings);
    let people = || settings.people.iter().map(|(name, password)| (name.clone(), password.exposed().clone()));
    // Programs choose. Who shows nothing may read.
    let basic = AuthBasic::users(&settings.title, people()).required(false);
    let digest = AuthDigest::users(&settings.title, people()).required(false);
    let app = App::new(Site { blog, settings, jobs: jobs.clone() })
        .tool("/", Proxy::trusting(["loopback"]))
        .tool("/", templates)
        .tool("/", Autovary::new())
        .tool("/", Etags::new())
        .tool("/", Sessions::sqlite(data.join("sessions.sqlite")))
        .tool("/", login)
        .tool("/", Csrf::new().tokens(true))
        .tool("/", SecureHeaders::new().content_security_policy(POLICY))
        .tool("/static", StaticDir::new(here.join("static")).cache_control(STATIC))
        .tool("/picture", StaticDir::new(served).cache_control(PICTURES))
        .tool_off("/static", "session_auth")
        .tool_off("/picture", "session_auth")
        .tool_off("/atom", "session_auth")
        .tool("/comment", RateLimit::per_minute(6))
        .tool("/atom", basic)
        .tool("/atom", digest)
        .jobs("/jobs", &jobs)
        .mount("/status", status::app())
        .health("/health")
        .default_error_page(error_page)
        .configuration(configuration);
    Ok((app, jobs))
}

/// The login of authors. Hashes are compared, so the time that takes says nothing about the password.
fn login(settings: &Settings) -> SessionAuth {
    let hash = |password: &str| Sha256::digest(password.as_bytes());
    let people: BTreeMap<_, _> =
        settings.people.iter().map(|(name, password)| (name.clone(), hash(password.exposed()))).collect();
    SessionAuth::new(move |name, password| people.get(name).is_some_and(|known| *known == hash(password)))
        .required(false)
        .home("/desk/")
        .page(|form: &LoginForm| View::new("login.html", form))
}

/// Browsers get the site's own error page; all other clients get the built-in one.
fn error_page(page: &ErrorPage<'_>) -> kirsch::Result<View> {
    if page.form() != ErrorForm::Html {
        return Err(page.built_in().into());
    }
    let request = page.request_id.to_string();
    Ok(View::new("error.html", json!({ "heading": page.title(), "message": page.message, "request_id": request })))
}
