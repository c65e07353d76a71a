//! The error page: its input, and the built-in one in HTML, JSON, problem+json or text.
//!
//! The application's own pages are in `error_pages.rs`. `funnel.rs` decides when a page is made, and what replaces a
//! page that fails.

use super::debug_page::Report;
use crate::exchange::{Escaped, HttpError, Request, RequestId, Response, Values};
use crate::http::{best_media_type, parse_date, reason};
use crate::settings::{Setting, SettingWord};
use ::http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// The input of an error page.
#[derive(Debug)]
#[non_exhaustive]
pub struct ErrorPage<'a> {
    /// The status of the answer.
    pub status: StatusCode,
    /// A sentence for the client: the error's own, or the usual one of the status. Not escaped.
    pub message: &'a str,
    /// The number of the request, the same as in the logs, for users to quote. It also goes out in the field
    /// `X-Request-Id`.
    pub request_id: RequestId,
    /// The cause of an unexpected error, or the setting that a request was refused by, when `show_tracebacks` is on for
    /// the path. Not escaped.
    pub details: Option<&'a str>,
    /// The request. It may be incomplete when the server refused it while reading.
    pub request: &'a Request,
    /// The values that tools keep for this request.
    pub values: &'a Values,
    pub(super) report: Option<&'a Report>,
    pub(super) error: &'a HttpError,
    /// The setting `errors` of the path.
    pub(super) wanted: ErrorForm,
}

impl ErrorPage<'_> {
    /// The error in a few words: the title of a [`Problem`](crate::Problem), else the status in words, such as `Not
    /// Found`. Not escaped.
    #[must_use]
    pub fn title(&self) -> &str {
        let own = self.error.problem.as_ref().and_then(|problem| problem.title.as_deref());
        own.unwrap_or_else(|| reason(self.status).unwrap_or("Error"))
    }

    /// The type of a [`Problem`](crate::Problem), `about:blank` without one.
    #[must_use]
    pub fn problem_type(&self) -> &str {
        self.error.problem.as_ref().and_then(|problem| problem.kind.as_deref()).unwrap_or("about:blank")
    }

    /// A member that the handler has added to its [`Problem`](crate::Problem).
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.error.problem.as_ref().and_then(|problem| problem.extensions.get(name))
    }

    /// When the client may come again, if the error says so with `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let (_, value) = self.error.headers.iter().find(|(name, _)| *name == header::RETRY_AFTER)?;
        let value = value.to_str().ok()?;
        match value.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => parse_date(value.as_bytes(), SystemTime::now())?.duration_since(SystemTime::now()).ok(),
        }
    }

    /// The form that the answer should have: that of the setting `errors`, else the one that the client accepts. Never
    /// [`ErrorForm::Auto`].
    #[must_use]
    pub fn form(&self) -> ErrorForm {
        match self.wanted {
            ErrorForm::Auto => {
                ErrorForm::preferred(self.request.list("accept").as_deref(), self.error.problem.is_some())
            }
            form => form,
        }
    }

    /// Whether the client decides about the form.
    pub(super) fn is_negotiated(&self) -> bool {
        self.wanted == ErrorForm::Auto
    }

    /// The built-in page in the form of [`form`](Self::form): for functions that only want to make the pages of some
    /// clients.
    ///
    /// ```
    /// use kirsch::{ErrorForm, ErrorPage, prelude::*, testing::Client};
    ///
    /// let app = App::new(Tree::new()).default_error_page(|page: &ErrorPage<'_>| match page.form() {
    ///     ErrorForm::Html => Ok(format!("<h1>Sorry: {}</h1>", page.title())),
    ///     _ => Err(Error::from(page.built_in())),
    /// });
    /// let client = Client::in_process(app);
    /// client.get("/").header("Accept", "text/html").send().assert_contains("Sorry: Not Found");
    /// client.get("/").header("Accept", "application/json").send().assert_contains("\"status\":404");
    /// ```
    #[must_use]
    pub fn built_in(&self) -> Response {
        let mut response = Response::new();
        self.write_built_in(&mut response);
        response
    }

    pub(super) fn write_built_in(&self, response: &mut Response) {
        let form = self.form();
        let content = match (form, self.report) {
            (ErrorForm::Html, Some(report)) => report.html(self),
            (ErrorForm::Html, None) => self.html(),
            (ErrorForm::Json, _) => self.json(),
            (ErrorForm::Problem, _) => self.problem(),
            (ErrorForm::Text | ErrorForm::Auto, Some(report)) => report.text(self),
            (ErrorForm::Text | ErrorForm::Auto, None) => self.text(),
        };
        response.set_status(self.status);
        response.set_header(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
        if form == ErrorForm::Html {
            response.set_header(header::CONTENT_SECURITY_POLICY, POLICY);
        }
        response.set_body(content);
    }

    /// The message, and when to come again.
    fn sentences(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let again = match self.retry_after() {
            Some(wait) => Some(Cow::Owned(format!("Please try again {}.", in_words(wait)))),
            None => matches!(self.status.as_u16(), 429 | 503).then_some(Cow::Borrowed("Please try again later.")),
        };
        // Only where the message does not say so already.
        let again = again.filter(|_| !self.message.contains("try again"));
        std::iter::once(Cow::Borrowed(self.message)).chain(again)
    }

    fn html(&self) -> String {
        let (status, title) = (self.status.as_u16(), Escaped(self.title()));
        let mut page =
            format!("{HTML_START}<title>{status} {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n");
        let _ = writeln!(page, "<h1><b>{status}</b> {title}</h1>");
        for sentence in self.sentences() {
            let _ = writeln!(page, "<p>{}</p>", Escaped(&sentence));
        }
        if let Some(details) = self.details {
            let _ = writeln!(page, "<pre>{}</pre>", Escaped(details));
        }
        let _ = write!(page, "<footer>Request {}</footer>\n</body>\n</html>\n", self.request_id);
        page
    }

    fn json(&self) -> String {
        self.object(|_| {})
    }

    fn problem(&self) -> String {
        self.object(|object| {
            let own = self.error.problem.as_ref().and_then(|problem| problem.instance.as_deref());
            object.insert("type".to_owned(), self.problem_type().into());
            object.insert("instance".to_owned(), own.unwrap_or_else(|| self.request.path()).into());
        })
    }

    fn object(&self, more: impl FnOnce(&mut Map<String, Value>)) -> String {
        let extensions = self.error.problem.as_ref().map(|problem| problem.extensions.clone());
        let mut object = extensions.unwrap_or_default();
        object.insert("status".to_owned(), self.status.as_u16().into());
        object.insert("title".to_owned(), self.title().into());
        object.insert("detail".to_owned(), self.message.into());
        object.insert("request_id".to_owned(), self.request_id.to_string().into());
        if let Some(wait) = self.retry_after() {
            object.insert("retry_after".to_owned(), wait.as_secs().into());
        }
        if let Some(details) = self.details {
            object.insert("cause".to_owned(), details.into());
        }
        more(&mut object);
        let mut content = Value::Object(object).to_string();
        content.push('\n');
        content
    }

    fn text(&self) -> String {
        let sentences: Vec<_> = self.sentences().collect();
        let mut page = format!("{} {}\n\n{}\n", self.status.as_u16(), self.title(), sentences.join(" "));
        if let Some(details) = self.details {
            let _ = write!(page, "\n{details}\n");
        }
        let _ = write!(page, "\nRequest {}\n", self.request_id);
        page
    }
}

/// A built-in page needs its own style and nothing else; the site's policy may forbid even that.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
);

/// How every built-in page begins.
pub(super) const HTML_START: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:14vh auto 2rem;padding:0 1.25rem;overflow-wrap:break-word}\
h1{font-size:1.4rem;font-weight:500;margin:0 0 .75rem}\
h1 b{color:#b3123f;margin-right:.35rem}\
pre{font-size:.85rem;overflow:auto;padding:.75rem;border:1px solid #8885;border-radius:.3rem}\
footer{margin-top:2.5rem;font-size:.8rem;opacity:.65}\
@media(prefers-color-scheme:dark){h1 b{color:#ff7396}}";

/// The usual sentence of a status, for errors that bring none.
pub(super) fn usual_message(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "The server could not make sense of this request.",
        401 => "This page is only for those who have signed in.",
        403 => "This page is not open to you.",
        404 => "There is no page at this address.",
        405 => "This page does not answer this kind of request.",
        408 => "The request took too long to arrive.",
        409 => "The request does not fit the present state of the page.",
        410 => "This page is gone.",
        413 => "The request is larger than is allowed here.",
        415 => "This kind of content is not accepted here.",
        429 => "There were too many requests.",
        500 => "Something went wrong on the server. The cause has been written to its log.",
        503 => "The server is busy at the moment.",
        _ if status.is_client_error() => "The request could not be answered as it is.",
        _ => "The server could not answer the request.",
    }
}

/// A wait in words, in the unit that suits it: `in 30 seconds`, `in 5 minutes`.
fn in_words(wait: Duration) -> String {
    let (count, unit) = match wait.as_secs() {
        0 => return "now".to_owned(),
        seconds @ 1..120 => (seconds, "second"),
        seconds @ 120..7200 => (seconds.div_ceil(60), "minute"),
        seconds @ 7200..172_800 => (seconds.div_ceil(3600), "hour"),
        seconds => (seconds.div_ceil(86400), "day"),
    };
    format!("in {count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// The forms of the built-in error page: the setting `errors` of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorForm {
    /// `auto`: HTML for clients that name it in `Accept` (browsers), JSON or problem+json for those that name that,
    /// text for all others (`curl`). A [`Problem`](crate::Problem) is problem+json for all but those that prefer HTML
    /// or text by name.
    #[default]
    Auto,
    /// `html`.
    Html,
    /// `json`: an object with `status`, `title`, `detail` and `request_id`.
    Json,
    /// `problem`: `application/problem+json`, as RFC 9457 says.
    Problem,
    /// `text`.
    Text,
}

impl SettingWord for ErrorForm {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("html", Self::Html),
        ("json", Self::Json),
        ("problem", Self::Problem),
        ("text", Self::Text),
    ];
}

impl ErrorForm {
    pub(super) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Problem)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Problem => "application/problem+json",
            Self::Text | Self::Auto => "text/plain; charset=utf-8",
        }
    }

    /// The form that an `Accept` field prefers. All but one are only for clients that name them: `*/*` gets text, or a
    /// problem that is one.
    fn preferred(accept: Option<&str>, is_problem: bool) -> Self {
        const TABLE: [(&str, ErrorForm); 4] = [
            ("text/html", ErrorForm::Html),
            ("application/problem+json", ErrorForm::Problem),
            ("application/json", ErrorForm::Json),
            ("text/plain", ErrorForm::Text),
        ];
        let otherwise = if is_problem { Self::Problem } else { Self::Text };
        let accept = accept.unwrap_or_default().to_ascii_lowercase();
        let offered = TABLE.iter().filter(|(media_type, form)| *form == otherwise || accept.contains(media_type));
        let best = best_media_type(&accept, &offered.map(|(media_type, _)| *media_type).collect::<Vec<_>>());
        match TABLE.iter().find(|(media_type, _)| Some(*media_type) == best) {
            Some((_, Self::Json)) if is_problem => Self::Problem,
            Some((_, form)) => *form,
            None => otherwise,
        }
    }
}

impl std::fmt::Display for ErrorForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.show().trim_matches('"'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_accept_and_nonsense_is_passed_over() {
        use ErrorForm::{Html, Json, Problem, Text};
        // For an error, and for a problem.
        let table = [
            (None, Text, Problem),
            (Some("*/*"), Text, Problem),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Html, Html),
            (Some("application/json"), Json, Problem),
            (Some("application/json, text/plain, */*"), Json, Problem),
            (Some("application/problem+json"), Problem, Problem),
            (Some("application/json, application/problem+json"), Problem, Problem),
            (Some("text/html;q=0.1, application/json;q=0.9"), Json, Problem),
            (Some("text/plain"), Text, Text),
            (Some("image/png"), Text, Problem),
            (Some("text/html;q=0"), Text, Problem),
            (Some("text/html;q=x, application/json"), Json, Problem),
            (Some("text/html;q=NaN"), Html, Html),
            (Some(";;,,q=,"), Text, Problem),
        ];
        for (accept, form, of_problem) in table {
            assert_eq!(ErrorForm::preferred(accept, false), form, "{accept:?}");
            assert_eq!(ErrorForm::preferred(accept, true), of_problem, "{accept:?}");
        }
    }

    #[test]
    fn a_wait_is_told_in_words() {
        let table = [
            (0, "now"),
            (1, "in 1 second"),
            (90, "in 90 seconds"),
            (121, "in 3 minutes"),
            (7200, "in 2 hours"),
            (172_800, "in 2 days"),
        ];
        for (seconds, words) in table {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
