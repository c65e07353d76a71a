//! A board of notes: everybody reads them, people who have logged in write them.
//!
//! | file | what it holds |
//! |---|---|
//! | `lib.rs` | the application: which tools are on, and where |
//! | `pages.rs` | the pages |
//! | `notes.rs` | the notes, in SQLite |
//! | `people.rs` | who may log in |
//!
//! The pages themselves are in `templates/`, their style is in `static/`, the tables of the database are in
//! `migrations/`, and `site.toml` has the settings.

mod notes;
mod pages;
mod people;

use kirsch::{
    ErrorForm, ErrorPage,
    prelude::*,
    tools::{Csrf, LoginForm, SecureHeaders, SessionAuth, Templates, View},
};
use notes::Notes;
use pages::Pages;
use serde::Deserialize;
use serde_json::json;
use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

/// Nothing comes from other sites.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The section `[site]` of `site.toml`.
#[derive(Deserialize)]
struct Settings {
    title: String,
}

/// The application, with its notes, people and sessions in the folder `data`.
///
/// # Errors
/// When the folder or the settings cannot be used.
pub fn app(data: &Path) -> kirsch::Result<App> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(|error| format!("the folder {}: {error}", data.display()))?;
    let people = people::file(&data.join("people"))?;
    let configuration = Configuration::read("site.toml")?;
    let settings: Settings = configuration.section("site")?;
    let templates = Templates::new("templates").environment(move |environment| {
        environment.add_global("site_title", settings.title.clone());
    });
    let login = SessionAuth::file(people)
        .required(false)
        .page(|form: &LoginForm| View::new("login.html", form));
    Ok(
        App::new(Pages::new(Notes::open(data.join("notes.sqlite"))?))
            .tool("/", templates)
            .tool("/", Sessions::sqlite(data.join("sessions.sqlite")))
            .tool("/", login)
            .tool("/", Csrf::new().tokens(true))
            .tool("/", SecureHeaders::new().content_security_policy(POLICY))
            .tool("/static", StaticDir::new("static"))
            .default_error_page(error_page)
            .configuration(configuration),
    )
}

/// Browsers get the site's own error page; all other clients get the built-in one.
fn error_page(page: &ErrorPage<'_>) -> kirsch::Result<View> {
    if page.form() != ErrorForm::Html {
        return Err(page.built_in().into());
    }
    let request = page.request_id.to_string();
    Ok(View::new(
        "error.html",
        json!({ "heading": page.title(), "message": page.message, "request_id": request }),
    ))
}
