//! Templates of error pages: text with four placeholders.
//!
//! `{status}`, `{title}`, `{message}`, `{request_id}`; a word in two pairs of braces, `{{status}}`, stands for itself.
//! A brace that does not enclose just a word of small letters is text, so style sheets and scripts need no escaping.
//! Every value is escaped for the type of the page, since a message may contain text of a client. In HTML that is right
//! in content and in quoted attributes, not within `<script>` or `<style>`.

use super::ErrorPage;
use crate::exchange::PageType;
use ::http::HeaderValue;
use std::fmt::Write;

/// A template, checked.
#[derive(Debug)]
pub(super) struct ErrorTemplate {
    parts: Vec<Part>,
    page_type: PageType,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Status,
    Title,
    Message,
    RequestId,
}

impl ErrorTemplate {
    /// A template of HTML.
    pub(super) fn html(text: &str) -> Result<Self, String> {
        Self::named("", text)
    }

    /// A template of the type that `name` says; HTML when it says nothing.
    pub(super) fn named(name: &str, text: &str) -> Result<Self, String> {
        Self::parse(text, PageType::of_name(name))
    }

    fn parse(text: &str, page_type: PageType) -> Result<Self, String> {
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
                            "line {line}: `{{{word}}}` is not a placeholder; there are {{status}}, {{title}}, {{message}} and {{request_id}}, and \
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
        Ok(Self { parts, page_type })
    }

    pub(super) fn is_json(&self) -> bool {
        self.page_type.content_type().ends_with("json")
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        self.page_type.header_value()
    }

    pub(super) fn fill(&self, page: &ErrorPage<'_>) -> String {
        let (mut filled, escaping) = (String::new(), self.page_type.escaping());
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Status => filled.push_str(page.status.as_str()),
                Part::Title => escaping.write(page.title(), &mut filled),
                Part::Message => escaping.write(page.message, &mut filled),
                Part::RequestId => {
                    let _ = write!(filled, "{}", page.request_id);
                }
            }
        }
        filled
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
        assert!(error.starts_with("line 2: `{mesage}` is not a placeholder; there are {status}, "), "{error}");
        assert!(error.ends_with("`{{mesage}}` stands for itself"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_template_or_is_refused(text in "([a-z{}_ ä\\n]|\\{(status|title|message|request_id)\\}){0,40}") {
            if let Ok(shown) = texts(&text) {
                // Text that is not a placeholder is there as it was, and nothing else is.
                let back = shown.replace("<Status>", "{status}").replace("<Title>", "{title}");
                let back = back.replace("<Message>", "{message}").replace("<RequestId>", "{request_id}");
                let plain = |text: &str| text.replace(['{', '}'], "");
                proptest::prop_assert_eq!(plain(&back), plain(&text));
            }
        }
    }
}
