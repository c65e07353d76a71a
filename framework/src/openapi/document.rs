//! From the routes of a tree to the paths of a description.
//!
//! A handler takes its arguments from the path, the query or a form. Here each has one place, that of links: what must
//! be there is a segment of the path, the rest is the query. For POST, PUT and PATCH there is a second path without
//! these segments, whose form has them.

use super::operation::{Described, operation};
use crate::exchange::{BodyUse, Handler, MethodSet, Schemas};
use crate::publish::{ChildStep, Node, Route, each_route};
use serde_json::{Map, Value, json};

/// A tool that lets clients log in, at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// Its name in configuration files.
    pub(crate) tool: &'static str,
}

/// The methods that are described: HEAD follows GET, OPTIONS is always answered.
const METHODS: [(&str, MethodSet); 5] = [
    ("get", MethodSet::GET),
    ("post", MethodSet::POST),
    ("put", MethodSet::PUT),
    ("patch", MethodSet::PATCH),
    ("delete", MethodSet::DELETE),
];

/// Describes a tree. `logins` tells the tools for logins of a path.
pub(crate) fn describe(root: &Node, logins: &dyn Fn(&str) -> Vec<Login>) -> Value {
    let mut paths = Paths::default();
    each_route(root, &mut |route, handler, way| paths.add(&route, handler, way, logins));
    let mut components = json!({ "responses": answers(), "schemas": paths.schemas.into_named() });
    components["schemas"]["Problem"] = problem(false);
    components["schemas"]["FieldProblem"] = problem(true);
    let schemes: Map<_, _> = SCHEMES
        .iter()
        .filter(|(tool, _)| paths.logins.iter().any(|login| login.tool == *tool))
        .map(|(tool, scheme)| ((*tool).to_owned(), scheme()))
        .collect();
    if !schemes.is_empty() {
        components["securitySchemes"] = Value::Object(schemes);
    }
    let mut info = json!({ "title": root.type_name, "version": "0" });
    if !paths.unknown.is_empty() {
        let list = paths.unknown.join(", ");
        info["description"] = json!(format!("Not described, since only their values know what they answer: {list}."));
    }
    json!({ "openapi": "3.1.1", "info": info, "paths": paths.paths, "components": components })
}

type Scheme = fn() -> Value;

const SCHEMES: [(&str, Scheme); 3] = [
    ("auth_basic", || json!({ "type": "http", "scheme": "basic" })),
    ("auth_digest", || json!({ "type": "http", "scheme": "digest" })),
    (
        "session_auth",
        || json!({ "type": "apiKey", "in": "cookie", "name": "session_id", "description": "The cookie of a session in which the visitor has logged in." }),
    ),
];

#[derive(Default)]
struct Paths {
    paths: Map<String, Value>,
    schemas: Schemas,
    /// Names of operations that are taken.
    names: Vec<String>,
    logins: Vec<Login>,
    /// Paths of which only their values know more.
    unknown: Vec<String>,
}

impl Paths {
    fn add(
        &mut self,
        route: &Route,
        handler: Option<&Handler>,
        way: &[ChildStep],
        logins: &dyn Fn(&str) -> Vec<Login>,
    ) {
        let Some(handler) = handler.filter(|handler| handler.methods != MethodSet::ANY) else {
            self.unknown.push(template(&route.path));
            return;
        };
        let full = template(&route.path);
        let logins = logins(&full);
        let bare = without_required(&full, handler);
        let reads_forms = !handler.uses_body(&[BodyUse::Json, BodyUse::Whole, BodyUse::Stream, BodyUse::Any]);
        for (method, set) in METHODS.iter().filter(|(_, set)| handler.methods.overlaps(*set)) {
            let brings_form = MethodSet::POST.with(MethodSet::PUT).with(MethodSet::PATCH);
            let has_form = reads_forms && set.overlaps(brings_form);
            let second = bare.as_ref().filter(|_| has_form);
            for path in std::iter::once(&full).chain(second) {
                let (known, renamed) = self.known(path);
                if self.paths.get(&known).is_some_and(|item| item.get(method).is_some()) {
                    continue;
                }
                let may_have_body = *set != MethodSet::GET;
                let described = Described { route, handler, way, path, has_form, may_have_body, logins: &logins };
                let Some(mut operation) = operation(&described, &mut self.schemas) else { continue };
                rename(&mut operation, &renamed);
                operation["operationId"] = json!(self.name(route, method));
                self.paths.entry(known).or_insert_with(|| json!({}))[*method] = operation;
                self.logins.extend(logins.iter().cloned());
            }
        }
    }

    /// The path as it is listed already: two that differ in the names of their parameters alone are one path. With it
    /// come the names to be replaced.
    fn known(&self, path: &str) -> (String, Vec<(String, String)>) {
        let shape = |path: &str| {
            path.split('/')
                .map(|segment| if name_of(segment).is_some() { "{}" } else { segment })
                .collect::<Vec<_>>()
                .join("/")
        };
        let wanted = shape(path);
        let found = self.paths.keys().find(|known| shape(known) == wanted);
        let Some(known) = found.filter(|known| *known != path) else { return (path.to_owned(), Vec::new()) };
        let names = |path: &str| path.split('/').filter_map(name_of).map(str::to_owned).collect::<Vec<_>>();
        (known.clone(), names(path).into_iter().zip(names(known)).collect())
    }

    /// `Shop.item`, or with its method, or a number.
    fn name(&mut self, route: &Route, method: &str) -> String {
        let plain = format!("{}.{}", route.type_name, route.handler);
        let with_method = format!("{plain}.{method}");
        let numbered = (2..).map(|number| format!("{with_method}.{number}"));
        let names = &self.names;
        let name = [plain, with_method.clone()].into_iter().chain(numbered).find(|name| !names.contains(name));
        let name = name.unwrap_or(with_method);
        self.names.push(name.clone());
        name
    }
}

fn rename(operation: &mut Value, names: &[(String, String)]) {
    let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) else { return };
    for parameter in parameters.iter_mut().filter(|parameter| parameter["in"] == "path") {
        if let Some((_, known)) = names.iter().find(|(own, _)| parameter["name"] == **own) {
            parameter["name"] = json!(known);
        }
    }
}

/// The name of a parameter in a segment of a path.
pub(super) fn name_of(segment: &str) -> Option<&str> {
    let start = segment.find('{')?;
    let inner = &segment[start + 1..];
    inner.split_once('}').map(|(name, _)| name)
}

/// `/files/{rest}` for `/files/{rest*}` and `/files/{*rest}`; optional segments are parameters of the query.
fn template(path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.ends_with("?}"));
    let text = segments.map(|segment| segment.replace("{*}", "{rest}").replace("{*", "{").replace("*}", "}"));
    let text = text.collect::<Vec<_>>().join("/");
    if text.is_empty() { "/".to_owned() } else { text }
}

/// The path without the segments that a form may bring as well.
fn without_required(path: &str, handler: &Handler) -> Option<String> {
    let mut rest = path;
    let required = handler.arguments.iter().rev().filter(|argument| argument.is_required());
    for argument in required {
        let segment = format!("/{{{}}}", argument.name);
        rest = rest.strip_suffix(&*segment)?;
    }
    (rest != path).then(|| if rest.is_empty() { "/".to_owned() } else { rest.to_owned() })
}

/// The errors that pages have in common.
fn answers() -> Value {
    let problem = |description: &str, schema: &str| {
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        json!({ "description": description, "content": { "application/problem+json": { "schema": schema } } })
    };
    json!({
        "BadRequest": problem("A parameter or the body cannot be read.", "Problem"),
        "Unauthorized": problem("Nobody is logged in.", "Problem"),
        "NotFound": problem("There is no such page, or a parameter is missing.", "Problem"),
        "ContentTooLarge": problem("The body is larger than this page takes.", "Problem"),
        "UnsupportedMediaType": problem("The body has another type than this page reads.", "Problem"),
        "InvalidFields": problem("Fields break their rules; `errors` tells which.", "FieldProblem"),
        "Error": problem("Any other error, such as 405 for another method and 503 for a busy server.", "Problem"),
    })
}

/// Problem details, RFC 9457.
fn problem(of_fields: bool) -> Value {
    let mut schema = json!({
        "type": "object",
        "description": "An error (RFC 9457). Browsers get a page of HTML in its place.",
        "properties": {
            "type": { "type": "string", "format": "uri-reference" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string", "format": "uri-reference" },
        },
    });
    if of_fields {
        let messages = json!({ "type": "array", "items": { "type": "string" } });
        schema["properties"]["errors"] = json!({ "type": "object", "additionalProperties": messages });
    }
    schema
}
