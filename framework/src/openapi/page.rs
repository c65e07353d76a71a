//! The page to read a description. It needs no script: each operation unfolds by itself, and by a link into it.

use super::OpenApi;
use crate::exchange::{Html, escape};
use crate::publish::Tree;
use ::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use std::fmt::Write;

/// The page, its style, and the description itself.
pub(crate) fn pages(api: &OpenApi) -> Tree {
    let (page, document) = (render(api.as_value()), api.to_string());
    Tree::new()
        .index(move |_| Html(page.clone()))
        .page("openapi.json", move |_| ([(CONTENT_TYPE, "application/json")], document.clone()))
        .page("openapi.css", |_| ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("openapi.css")))
}

fn render(document: &Value) -> String {
    let info = &document["info"];
    let title = escape(text(&info["title"]));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"openapi.css\">\n</head>\n<body>\n<main>\n\
         <h1>{title} <small>version {}</small></h1>\n",
        escape(text(&info["version"]))
    );
    if let Some(description) = info["description"].as_str() {
        paragraphs(&mut html, description);
    }
    html.push_str("<p>For programs: <a href=\"openapi.json\">openapi.json</a>, in OpenAPI 3.1.</p>\n");
    let mut group = "";
    for (path, method, operation) in operations(document) {
        let tag = text(&operation["tags"][0]);
        if tag != group {
            let _ = writeln!(html, "<h2>{}</h2>", escape(tag));
            group = tag;
        }
        write_operation(&mut html, path, method, operation);
    }
    html.push_str("<h2>Schemas</h2>\n");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let _ = write!(
            html,
            "<details><summary><code>{0}</code></summary>\n<pre id=\"schema-{0}\">{1}</pre></details>\n",
            escape(name),
            escape(&format!("{schema:#}"))
        );
    }
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

/// All operations, those of a type together.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let items = entries(&document["paths"]);
    let mut all: Vec<_> = items
        .flat_map(|(path, item)| entries(item).map(move |(method, operation)| (&**path, &**method, operation)))
        .collect();
    all.sort_by_key(|(path, _, operation)| (text(&operation["tags"][0]), *path));
    all
}

fn write_operation(html: &mut String, path: &str, method: &str, operation: &Value) {
    let (id, summary) = (escape(text(&operation["operationId"])), escape(text(&operation["summary"])));
    let _ = writeln!(
        html,
        "<details><summary><b class=\"{method}\">{}</b> <code>{}</code> <span>{summary}</span></summary>\n<div id=\"{id}\">",
        method.to_uppercase(),
        escape(path)
    );
    paragraphs(html, text(&operation["description"]));
    let schemes: Vec<_> = operation["security"].as_array().into_iter().flatten().collect();
    if !schemes.is_empty() {
        let names: Vec<_> =
            schemes.iter().flat_map(|scheme| entries(scheme).map(|(name, _)| escape(name).to_string())).collect();
        let _ = writeln!(html, "<p>With a login: {}.</p>", names.join(" or "));
    }
    let parameters = operation["parameters"].as_array().map_or(&[][..], |list| list);
    if !parameters.is_empty() {
        html.push_str("<table><thead><tr><th>parameter</th><th>in</th><th></th><th>value</th></tr></thead><tbody>\n");
        for parameter in parameters {
            let _ = writeln!(
                html,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(text(&parameter["name"])),
                escape(text(&parameter["in"])),
                if parameter["required"] == true { "required" } else { "optional" },
                in_words(&parameter["schema"])
            );
        }
        html.push_str("</tbody></table>\n");
    }
    let body = &operation["requestBody"];
    for (media_type, content) in entries(&body["content"]) {
        let _ = write!(html, "<h3>Body <code>{}</code></h3>\n{}", escape(media_type), shown(&content["schema"]));
    }
    html.push_str("<h3>Answers</h3>\n<table><thead><tr><th>status</th><th></th></tr></thead><tbody>\n");
    for (status, answer) in entries(&operation["responses"]) {
        let content: String = entries(&answer["content"])
            .map(|(media_type, content)| {
                format!(" <code>{}</code> {}", escape(media_type), in_words(&content["schema"]))
            })
            .collect();
        let what = match answer["$ref"].as_str() {
            Some(name) => name.rsplit('/').next().unwrap_or_default(),
            None => text(&answer["description"]),
        };
        let _ = writeln!(html, "<tr><td><code>{}</code></td><td>{}{content}</td></tr>", escape(status), escape(what));
    }
    html.push_str("</tbody></table>\n</div>\n</details>\n");
}

/// A schema on one line.
fn in_words(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        let name = escape(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    let kind = match &schema["type"] {
        Value::String(kind) if kind == "array" => return format!("list of {}", in_words(&schema["items"])),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    };
    let mut words = escape(&kind).to_string();
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|value| format!("<code>{}</code>", escape(text(value)))).collect();
        let _ = write!(words, ": {}", values.join(", "));
    }
    for (key, sign) in [("minimum", "from"), ("maximum", "to"), ("minLength", "from"), ("maxLength", "to")] {
        if schema[key].is_number() {
            let unit = if key.ends_with("Length") { " characters" } else { "" };
            let _ = write!(words, ", {sign} {}{unit}", schema[key]);
        }
    }
    if let Some(description) = schema["description"].as_str() {
        let _ = write!(words, ", {}", escape(description));
    }
    words
}

/// A schema as a table of its properties, or as it is.
fn shown(schema: &Value) -> String {
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        return match schema.as_object().is_some_and(Map::is_empty) {
            true => "<p>Not known before a request comes.</p>\n".to_owned(),
            false if schema.get("$ref").is_some() => format!("<p>{}</p>\n", in_words(schema)),
            false => format!("<pre>{}</pre>\n", escape(&format!("{schema:#}"))),
        };
    };
    let is_required =
        |name: &str| schema["required"].as_array().is_some_and(|list| list.iter().any(|item| item == name));
    let rows: String = properties
        .iter()
        .map(|(name, schema)| {
            let need = if is_required(name) { "required" } else { "optional" };
            format!("<tr><td><code>{}</code></td><td>{need}</td><td>{}</td></tr>\n", escape(name), in_words(schema))
        })
        .collect();
    format!("<table><thead><tr><th>field</th><th></th><th>value</th></tr></thead><tbody>\n{rows}</tbody></table>\n")
}

fn paragraphs(html: &mut String, text: &str) {
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let _ = writeln!(html, "<p>{}</p>", escape(paragraph));
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
