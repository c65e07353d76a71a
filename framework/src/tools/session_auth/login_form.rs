//! The login form: the values that a page of the application needs to show it, and the built-in page.

use crate::{HeaderValue, Response, escape, header};
use serde::Serialize;
use std::fmt::Write;

/// The contents of a login page: the argument of the function of [`SessionAuth::page`](super::SessionAuth::page).
///
/// The form is sent by POST to `action`, and has the fields `name` and `password`, and `token` and `next` as they are
/// here: [`hidden`](Self::hidden) writes those two. All of it can be given to a template.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LoginForm {
    /// Where the form is sent.
    pub action: String,
    /// The name that was tried last, empty at first.
    pub name: String,
    /// Why the form is shown again, if it is.
    pub message: Option<String>,
    /// Says that the form is ours.
    pub token: String,
    /// Where to go after the login.
    pub next: String,
}

impl LoginForm {
    /// The hidden fields, as HTML.
    #[must_use]
    pub fn hidden(&self) -> String {
        let (token, next) = (escape(&self.token), escape(&self.next));
        format!(
            "<input type=\"hidden\" name=\"token\" value=\"{token}\"><input type=\"hidden\" name=\"next\" value=\"{next}\">"
        )
    }

    /// The page that is shown unless the application has its own.
    pub(super) fn built_in(&self) -> Response {
        let mut page = start("Log in");
        let (action, name, hidden) = (escape(&self.action), escape(&self.name), self.hidden());
        if let Some(message) = &self.message {
            let _ = writeln!(page, "<p role=\"alert\">{}</p>", escape(message));
        }
        // A visitor whose name is filled in goes on with the password.
        let (at_name, at_password) = if self.name.is_empty() { (" autofocus", "") } else { ("", " autofocus") };
        let _ = write!(
            page,
            "<form method=\"post\" action=\"{action}\">{hidden}\n\
             <label for=\"name\">Name</label>\n<input id=\"name\" name=\"name\" value=\"{name}\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required{at_name}>\n\
             <label for=\"password\">Password</label>\n<input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required{at_password}>\n\
             <button>Log in</button>\n</form>\n</body>\n</html>\n"
        );
        finish(page)
    }
}

/// The page that asks whether to log out.
pub(super) fn logout_page(action: &str, name: &str) -> Response {
    let mut page = start("Log out");
    let (action, name) = (escape(action), escape(name));
    let _ = write!(
        page,
        "<p>You are logged in as <b>{name}</b>.</p>\n<form method=\"post\" action=\"{action}\"><button>Log out</button></form>\n</body>\n</html>\n"
    );
    finish(page)
}

fn start(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    )
}

fn finish(page: String) -> Response {
    let mut response = Response::new();
    response.set_header(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.set_header(header::CONTENT_SECURITY_POLICY, POLICY);
    response.set_body(page);
    response
}

/// The page needs its style and its form; no other site may show it in a frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:20rem;margin:14vh auto 2rem;padding:0 1.25rem;overflow-wrap:break-word}\
h1{font-size:1.4rem;font-weight:500;margin:0 0 .75rem}\
label{display:block;margin-top:.9rem}\
input,button{font:inherit;box-sizing:border-box;width:100%;padding:.6rem .7rem;border:1px solid #8888;border-radius:.3rem}\
button{margin-top:1.4rem;border:0;background:#b3123f;color:#fff;cursor:pointer}\
p[role=alert]{color:#b3123f;margin:0}\
@media(prefers-color-scheme:dark){p[role=alert]{color:#ff7396}}";
