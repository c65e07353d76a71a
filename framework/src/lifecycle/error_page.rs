//! Error pages: one for each status, or one for all, in HTML, JSON or text as the client accepts.
//!
//! Here is what a page is made from, the application's own pages, and the built-in page. When a page is made, and what becomes of a
//! page that fails, is decided in `funnel.rs`.

use crate::exchange::{Error, IntoResponse, Request, RequestId, Response, Values};
use crate::http::best_media_type;
use ::http::{HeaderValue, StatusCode, header};
use std::fmt::Write;
use std::sync::Arc;

/// What an error page is made from.
#[derive(Debug)]
#[non_exhaustive]
pub struct ErrorPage<'a> {
    /// The status of the answer.
    pub status: StatusCode,
    /// A sentence for the client: the error's own, or the usual one of the status. Not escaped.
    pub message: &'a str,
    /// The number of the request, the same as in the logs: what a user can quote.
    pub request_id: RequestId,
    /// The cause of an unexpected error, when `show_tracebacks` is on for the path. Not escaped.
    pub details: Option<&'a str>,
    /// The request. It may be incomplete when the server refused it while reading.
    pub request: &'a Request,
    /// What tools keep for this request.
    pub values: &'a Values,
}

impl ErrorPage<'_> {
    /// The status in words, as `Not Found`.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// Writes the built-in page into `response`, in the form that the client prefers: HTML when it names HTML (browsers), JSON when it
    /// names JSON, plain text otherwise (`curl`).
    pub(super) fn write_built_in(&self, response: &mut Response) {
        let (content_type, content) = match Form::preferred(self.request.header("accept")) {
            Form::Html => ("text/html; charset=utf-8", self.html()),
            Form::Json => ("application/json", self.json()),
            Form::Text => ("text/plain; charset=utf-8", self.text()),
        };
        response.set_status(self.status);
        response.set_header(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response.set_body(content);
    }

    fn html(&self) -> String {
        let (status, title, message) = (self.status.as_u16(), self.title(), Escaped(self.message));
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{status} {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <h1><b>{status}</b> {title}</h1>\n<p>{message}</p>\n"
        );
        if let Some(details) = self.details {
            let _ = writeln!(page, "<pre>{}</pre>", Escaped(details));
        }
        let _ = write!(page, "<footer>Request {}</footer>\n</body>\n</html>\n", self.request_id);
        page
    }

    fn json(&self) -> String {
        let mut page = serde_json::json!({
            "status": self.status.as_u16(),
            "title": self.title(),
            "detail": self.message,
            "request": self.request_id.to_string(),
        });
        if let Some(details) = self.details {
            page["cause"] = details.into();
        }
        let mut page = page.to_string();
        page.push('\n');
        page
    }

    fn text(&self) -> String {
        let mut page = format!("{} {}\n\n{}\n", self.status.as_u16(), self.title(), self.message);
        if let Some(details) = self.details {
            let _ = write!(page, "\n{details}\n");
        }
        let _ = write!(page, "\nRequest {}\n", self.request_id);
        page
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:14vh auto 2rem;padding:0 1.25rem;overflow-wrap:break-word}\
h1{font-size:1.4rem;font-weight:500;margin:0 0 .75rem}\
h1 b{color:#b3123f;margin-right:.35rem}\
pre{font-size:.85rem;overflow:auto;padding:.75rem;border:1px solid #8885;border-radius:.3rem}\
footer{margin-top:2.5rem;font-size:.8rem;opacity:.65}\
@media(prefers-color-scheme:dark){h1 b{color:#ff7396}}";

type PageFunction = dyn Fn(&ErrorPage<'_>, &mut Response) -> Result<(), Error> + Send + Sync;

/// The application's own error pages.
#[derive(Clone, Default)]
pub struct ErrorPages {
    by_status: Vec<(StatusCode, Arc<PageFunction>)>,
    default: Option<Arc<PageFunction>>,
}

impl ErrorPages {
    /// Sets the page of one status; a later one replaces an earlier one.
    pub fn set<F, R>(&mut self, status: StatusCode, page: F)
    where
        F: Fn(&ErrorPage<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.by_status.retain(|(other, _)| *other != status);
        self.by_status.push((status, Arc::new(move |error, response| page(error).into_response(response))));
    }

    /// Sets the page of every status that has none of its own.
    pub fn set_default<F, R>(&mut self, page: F)
    where
        F: Fn(&ErrorPage<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.default = Some(Arc::new(move |error, response| page(error).into_response(response)));
    }

    pub(super) fn find(&self, status: StatusCode) -> Option<&PageFunction> {
        let own = self.by_status.iter().find(|(other, _)| *other == status).map(|(_, page)| page);
        own.or(self.default.as_ref()).map(|page| &**page)
    }
}

impl std::fmt::Debug for ErrorPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let statuses = self.by_status.iter().map(|(status, _)| status.as_u16());
        f.debug_list().entries(statuses).entries(self.default.iter().map(|_| "default")).finish()
    }
}

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
        429 => "There were too many requests. Please try again later.",
        500 => "Something went wrong on the server. The cause has been written to its log.",
        503 => "The server is busy at the moment. Please try again shortly.",
        other if other < 500 => "The request could not be answered as it is.",
        _ => "The server could not answer the request.",
    }
}

/// The forms of the built-in page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Html,
    Json,
    Text,
}

impl Form {
    /// The form that an `Accept` field prefers. HTML and JSON are only for clients that name them: `*/*` gets text.
    fn preferred(accept: Option<&str>) -> Self {
        const TABLE: [(&str, Form); 4] = [
            ("text/html", Form::Html),
            ("application/json", Form::Json),
            ("application/problem+json", Form::Json),
            ("text/plain", Form::Text),
        ];
        let accept = accept.unwrap_or_default().to_ascii_lowercase();
        let offered = TABLE.iter().map(|(media_type, _)| *media_type);
        let offered = offered.filter(|media_type| *media_type == "text/plain" || accept.contains(media_type));
        let best = best_media_type(&accept, &offered.collect::<Vec<_>>());
        TABLE.iter().find(|(media_type, _)| Some(*media_type) == best).map_or(Self::Text, |(_, form)| *form)
    }
}

/// Text with HTML's special characters replaced, for content and for attributes in quotes.
struct Escaped<'t>(&'t str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c15_the_form_follows_accept_and_nonsense_is_passed_over() {
        let table = [
            (None, Form::Text),
            (Some("*/*"), Form::Text),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Form::Html),
            (Some("application/json"), Form::Json),
            (Some("application/json, text/plain, */*"), Form::Json),
            (Some("application/problem+json"), Form::Json),
            (Some("text/html;q=0.1, application/json;q=0.9"), Form::Json),
            (Some("text/html;q=0"), Form::Text),
            (Some("text/html;q=x, application/json"), Form::Json),
            (Some("text/html;q=NaN"), Form::Html),
            (Some(";;,,q=,"), Form::Text),
        ];
        for (accept, form) in table {
            assert_eq!(Form::preferred(accept), form, "{accept:?}");
        }
    }

    #[test]
    fn what_goes_into_html_is_escaped() {
        assert_eq!(
            Escaped("<a href='x'>\"&\"</a>").to_string(),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;"
        );
    }
}
