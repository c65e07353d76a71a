//! A small team books its rooms: a complete site, to read and to copy.
//!
//! | file | what it holds |
//! |---|---|
//! | `lib` | the application: which tools are on, and where |
//! | `booking` | a booking as people type it, and the rules for its fields |
//! | `store` | the bookings in SQLite, and their attachments in a folder |
//! | `site` | the pages for people |
//! | `api` | the same bookings for programs |
//! | `settings` | what the operator may change in `site.toml` |
//!
//! The pages themselves are in `templates/`, their style is in `static/`, the tables of the database are in
//! `migrations/`.

mod api;
mod booking;
mod settings;
mod site;
mod store;

use chrono::NaiveDate;
use kirsch::{
    ErrorForm, ErrorPage,
    prelude::*,
    tools::{AuthBasic, Csrf, LoginForm, SecureHeaders, SessionAuth, Templates, View},
};
use serde_json::json;
use settings::Settings;
use site::Site;
use std::{
    fs::{DirBuilder, File},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use store::Store;

/// Templates, styles and settings are read from here. A program that is installed elsewhere takes them along.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Styles and icons may be used for an hour before a browser asks again. Nothing comes from other sites.
const STATIC: &str = "public, max-age=3600";
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The application, with its bookings, its attachments and its sessions in the folder `data`.
///
/// # Errors
/// When the folder or the database cannot be used.
pub fn app(data: &Path) -> kirsch::Result<App> {
    let people = people(data).map_err(|error| format!("the folder {} cannot be used: {error}", data.display()))?;
    let here = Path::new(HERE);
    let configuration = Configuration::read(here.join("site.toml"))?;
    let settings: Settings = configuration.section("booking")?;
    let team = settings.team.clone();
    let templates = Templates::new(here.join("templates")).environment(move |environment| {
        environment.add_global("team", team.clone());
        environment.add_filter("date", |date: &str| match date.parse::<NaiveDate>() {
            Ok(date) => date.format("%A, %-d %B %Y").to_string(),
            Err(_) => date.to_owned(),
        });
    });
    let app = App::new(Site::new(Store::open(data)?, settings))
        .tool("/", templates)
        .tool("/", Sessions::sqlite(data.join("sessions.sqlite")))
        .tool("/", SessionAuth::file(&people).page(|form: &LoginForm| View::new("login.html", form)))
        .tool("/", Csrf::new().tokens(true))
        .tool("/", SecureHeaders::new().content_security_policy(POLICY))
        .tool("/static", StaticDir::new(here.join("static")).cache_control(STATIC))
        .tool_off("/static", "session_auth")
        .tool("/api", AuthBasic::file("Bookings", &people))
        .tool_off("/api", "session_auth")
        .default_error_page(error_page)
        .configuration(configuration);
    // A page for those who write programs, from the signatures of all pages.
    let api = app.openapi()?.title("Bookings").version("1.0");
    Ok(app.mount("/api/about", api))
}

/// The file of people who may log in: at first those of the demo. `htpasswd -B people carla` adds one.
fn people(data: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    let path = data.join("people");
    match File::options().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => file.write_all(include_bytes!("../people"))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(path)
}

/// Browsers get the site's own error page; all other clients get the built-in one.
fn error_page(page: &ErrorPage<'_>) -> kirsch::Result<View> {
    if page.form() != ErrorForm::Html {
        return Err(page.built_in().into());
    }
    let request = page.request_id.to_string();
    Ok(View::new("error.html", json!({ "heading": page.title(), "message": page.message, "request_id": request })))
}
