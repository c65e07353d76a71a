//! Templates of error pages: text with four placeholders.
//!
//! `{status}`, `{title}`, `{message}`, `{request_id}`; a word in two pairs of braces, `{{status}}`, stands for itself. A brace that does not
//! enclose just a word of small letters is text, so style sheets and scripts need no escaping. Every value is escaped for
//! the type of the page: a message may hold what a client has sent. In HTML that is right in content and in quoted attributes, not
//! within `<script>` or `<style>`.

use super::ErrorPage;
use crate::exchange::Escaped;
use ::http::HeaderValue;
use std::fmt::Write;

/// A template, checked.
#[derive(Debug)]
pub(super) struct ErrorTemplate {
    parts: Vec<Part>,
    escaping: Escaping,
    content_type: HeaderValue,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Status,
    Title,
    Message,
    RequestId,
}

/// How values are written, which goes by the content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    /// As in HTML and XML.
    Markup,
    /// As within a string of JSON.
    Json,
    /// Plain text: as they are.
    None,
}

impl ErrorTemplate {
    /// A template of HTML.
    pub(super) fn html(text: &str) -> Result<Self, String> {
        Self::parse(text, Escaping::Markup, HeaderValue::from_static("text/html; charset=utf-8"))
    }

    /// A template of the type that the extension of `path` says; HTML when it says nothing.
    pub(super) fn of_file(path: &std::path::Path, text: &str) -> Result<Self, String> {
        let media_type = mime_guess::from_path(path).first().unwrap_or(mime_guess::mime::TEXT_HTML_UTF_8);
        let suffix = media_type.suffix().map(|suffix| suffix.as_str());
        let escaping = match (media_type.type_().as_str(), media_type.subtype().as_str()) {
            (_, "json") => Escaping::Json,
            _ if suffix == Some("json") => Escaping::Json,
            ("text", "plain" | "markdown" | "csv") => Escaping::None,
            _ => Escaping::Markup,
        };
        let charset = if media_type.type_() == "text" { "; charset=utf-8" } else { "" };
        let content_type = HeaderValue::try_from(format!("{}{charset}", media_type.essence_str()));
        Self::parse(text, escaping, content_type.map_err(|error| error.to_string())?)
    }

    fn parse(text: &str, escaping: Escaping, content_type: HeaderValue) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            literal.push_str(&rest[..open]);
            rest = &rest[open..];
            if let Some(word) = word_within(rest, "{{", "}}") {
                let _ = write!(literal, "{{{word}}}");
                rest = &rest[word.len() + 4..];
            } else if let Some(word) = word_within(rest, "{", "}") {
                let value = match word {
                    "status" => Part::Status,
                    "title" => Part::Title,
                    "message" => Part::Message,
                    "request_id" => Part::RequestId,
                    _ => {
                        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
                        return Err(format!(
                            "line {line}: `{{{word}}}` is no placeholder; there are {{status}}, {{title}}, {{message}} and {{request_id}}, and \
                             `{{{{{word}}}}}` stands for itself"
                        ));
                    }
                };
                rest = &rest[word.len() + 2..];
                parts.push(Part::Text(std::mem::take(&mut literal)));
                parts.push(value);
            } else {
                literal.push('{');
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        Ok(Self { parts, escaping, content_type })
    }

    pub(super) fn is_json(&self) -> bool {
        self.escaping == Escaping::Json
    }

    pub(super) fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    pub(super) fn fill(&self, page: &ErrorPage<'_>) -> String {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Status => filled.push_str(page.status.as_str()),
                Part::Title => self.escape(page.title(), &mut filled),
                Part::Message => self.escape(page.message, &mut filled),
                Part::RequestId => {
                    let _ = write!(filled, "{}", page.request_id);
                }
            }
        }
        filled
    }

    fn escape(&self, value: &str, into: &mut String) {
        match self.escaping {
            Escaping::Markup => {
                let _ = write!(into, "{}", Escaped(value));
            }
            Escaping::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                into.push_str(&quoted[1..quoted.len() - 1]);
            }
            Escaping::None => into.push_str(value),
        }
    }
}

/// The word of small letters and `_` between `open` and `close` at the start of `text`.
fn word_within<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    let inner = text.strip_prefix(open)?;
    let length = inner.bytes().take_while(|byte| byte.is_ascii_lowercase() || *byte == b'_').count();
    (length > 0 && inner[length..].starts_with(close)).then(|| &inner[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(template: &str) -> Result<String, String> {
        let template = ErrorTemplate::html(template)?;
        let shown = template.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            value => format!("<{value:?}>"),
        });
        Ok(shown.collect())
    }

    #[test]
    fn only_a_word_in_braces_is_a_placeholder() {
        let table = [
            ("{status} {title}: {message} ({request_id})", "<Status> <Title>: <Message> (<RequestId>)"),
            ("@media print{p{color:red}}", "@media print{p{color:red}}"),
            ("if (x) { y() } {} {Status} {a1}", "if (x) { y() } {} {Status} {a1}"),
            ("{{status}} {{x}} {{{status}", "{status} {x} {{<Status>"),
            ("{", "{"),
            ("{status", "{status"),
            ("ä{title}ö", "ä<Title>ö"),
        ];
        for (template, expected) in table {
            assert_eq!(texts(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn an_unknown_placeholder_is_refused_with_its_line() {
        let error = texts("<h1>{title}</h1>\n<p>{mesage}").unwrap_err();
        assert!(error.starts_with("line 2: `{mesage}` is no placeholder; there are {status}, "), "{error}");
        assert!(error.ends_with("`{{mesage}}` stands for itself"), "{error}");
    }

    #[test]
    fn the_extension_decides_the_type_and_the_escaping() {
        let table = [
            ("404.html", "text/html; charset=utf-8", Escaping::Markup),
            ("404.json", "application/json", Escaping::Json),
            ("404.txt", "text/plain; charset=utf-8", Escaping::None),
            ("404.svg", "image/svg+xml", Escaping::Markup),
            ("404", "text/html; charset=utf-8", Escaping::Markup),
        ];
        for (path, content_type, escaping) in table {
            let template = ErrorTemplate::of_file(path.as_ref(), "").unwrap();
            assert_eq!(
                (template.content_type.to_str().unwrap(), template.escaping),
                (content_type, escaping),
                "{path}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_template_or_is_refused(text in "([a-z{}_ ä\\n]|\\{(status|title|message|request_id)\\}){0,40}") {
            if let Ok(shown) = texts(&text) {
                // What is no placeholder is there as it was, and nothing else is.
                let back = shown.replace("<Status>", "{status}").replace("<Title>", "{title}");
                let back = back.replace("<Message>", "{message}").replace("<RequestId>", "{request_id}");
                let plain = |text: &str| text.replace(['{', '}'], "");
                proptest::prop_assert_eq!(plain(&back), plain(&text));
            }
        }
    }
}
