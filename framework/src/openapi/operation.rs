//! One operation: its parameters, its body and its answers.

use super::document::{Login, name_of};
use crate::exchange::{ArgumentInfo, BodyUse, Content, Description, Handler, Schemas, Source};
use crate::publish::{ChildStep, Route};
use serde_json::{Map, Value, json};

/// What is described.
pub(super) struct Described<'d> {
    pub(super) route: &'d Route,
    pub(super) handler: &'d Handler,
    /// The children on the way to it.
    pub(super) way: &'d [ChildStep],
    /// The path, whose parameters are no others.
    pub(super) path: &'d str,
    /// Whether arguments by name that are not in the path come by a form.
    pub(super) has_form: bool,
    /// Whether the method has a body.
    pub(super) may_have_body: bool,
    pub(super) logins: &'d [Login],
}

/// What gathers while the arguments are looked at.
#[derive(Default)]
struct Parts {
    parameters: Vec<Value>,
    /// The fields of a form, one by one.
    fields: Map<String, Value>,
    required: Vec<String>,
    has_files: bool,
    /// A body as one value: the media types, its schema, and whether it must be there.
    body: Option<(Vec<&'static str>, Value, bool)>,
    has_rules: bool,
    /// Whether something is read that may be malformed.
    reads: bool,
    misses: bool,
}

const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data";

/// `None` where a body must be there that the method does not have.
pub(super) fn operation(described: &Described<'_>, schemas: &mut Schemas) -> Option<Value> {
    let Described { route, handler, path, .. } = *described;
    let mut parts = Parts::default();
    let mut of_path = path_schemas(described, schemas);
    for name in path.split('/').filter_map(name_of) {
        let schema = of_path.remove(name).unwrap_or_else(|| json!({ "type": "string" }));
        parts.parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        parts.misses = true;
    }
    let contents: Vec<_> = contents(&handler.description, schemas).take(handler.arguments.len()).collect();
    for (argument, content) in handler.arguments.iter().zip(contents) {
        parts.take(argument, content, described, schemas);
    }
    let text = handler.description.text;
    let mut operation = json!({ "tags": [route.type_name] });
    let (summary, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    for (key, text) in [("summary", summary.replace('\n', " ")), ("description", rest.to_owned())] {
        if !text.is_empty() {
            operation[key] = json!(text);
        }
    }
    let body = parts.request_body();
    if body.as_ref().is_some_and(|body| body["required"] == true) && !described.may_have_body {
        return None;
    }
    let body = body.filter(|_| described.may_have_body);
    let is_closed = !described.logins.is_empty();
    let mut answers = Map::new();
    let refer = |name: &str| json!({ "$ref": format!("#/components/responses/{name}") });
    for (status, name, counts) in [
        ("400", "BadRequest", parts.reads || body.is_some()),
        ("401", "Unauthorized", is_closed),
        ("404", "NotFound", parts.misses || handler.description.answer.may_be_missing),
        ("413", "ContentTooLarge", body.is_some()),
        ("415", "UnsupportedMediaType", body.is_some()),
        ("422", "InvalidFields", parts.has_rules),
        ("default", "Error", true),
    ] {
        if counts {
            answers.insert(status.to_owned(), refer(name));
        }
    }
    let (status, answer) = answer(handler, schemas);
    answers.insert(status.to_owned(), answer);
    operation["responses"] = Value::Object(answers);
    if !parts.parameters.is_empty() {
        operation["parameters"] = Value::Array(parts.parameters);
    }
    if let Some(body) = body {
        operation["requestBody"] = body;
    }
    if is_closed {
        operation["security"] = described.logins.iter().map(|login| json!({ login.tool: [] })).collect();
    }
    Some(operation)
}

/// What the types of the arguments know, one for each argument.
fn contents<'d>(description: &'d Description, schemas: &'d mut Schemas) -> impl Iterator<Item = Content> + 'd {
    let known = description.arguments.iter().map(|content| content(schemas));
    known.chain(std::iter::repeat_with(Content::default))
}

/// The schemas of what may be in the path, by name.
fn path_schemas(described: &Described<'_>, schemas: &mut Schemas) -> Map<String, Value> {
    let children = described.way.iter().map(|child| (&child.arguments, &child.description));
    let own = (&described.handler.arguments, &described.handler.description);
    let mut found = Map::new();
    for (arguments, description) in children.chain([own]) {
        for (argument, content) in arguments.iter().zip(contents(description, schemas)) {
            if let (Source::Named { .. }, Some(schema)) = (argument.source, content.schema) {
                found.insert(argument.name.to_owned(), schema);
            }
        }
    }
    found
}

impl Parts {
    fn take(&mut self, argument: &ArgumentInfo, content: Content, described: &Described<'_>, schemas: &Schemas) {
        let name = argument.name;
        let schema = content.schema;
        let is_in_path = described.path.split('/').filter_map(name_of).any(|known| known == name);
        let text = || json!({ "type": "string" });
        self.has_rules |= content.has_rules;
        match (argument.source, argument.body) {
            (Source::Named { .. }, _) if is_in_path => self.reads = true,
            (Source::Named { required }, _) => {
                self.by_name(name, schema.unwrap_or_else(text), required, described.has_form);
            }
            (Source::Repeated, _) => {
                let schema = json!({ "type": "array", "items": schema.unwrap_or_else(text) });
                self.by_name(name, schema, false, described.has_form);
            }
            (Source::File, _) => {
                let file = json!({ "type": "string", "contentMediaType": "application/octet-stream" });
                let schema = if content.is_list { json!({ "type": "array", "items": file }) } else { file };
                self.has_files = true;
                self.by_name(name, schema, !content.is_optional, true);
            }
            (Source::Parameters, BodyUse::Fields | BodyUse::Files) => {
                let types = if argument.body == BodyUse::Files { vec![PARTS] } else { vec![FORM, PARTS] };
                self.body = Some((types, schema.unwrap_or_else(|| json!({ "type": "object" })), true));
            }
            (Source::Parameters, BodyUse::None) => {
                self.of_query(&schemas.resolved(schema.unwrap_or_default()), content.is_optional);
            }
            (Source::Typed, BodyUse::Json) => {
                self.body = Some((vec!["application/json"], schema.unwrap_or_else(|| json!({})), !content.is_optional));
            }
            (_, BodyUse::Whole | BodyUse::Stream) => {
                self.body = self.body.take().or_else(|| Some((vec!["*/*"], json!({}), false)));
            }
            _ => {}
        }
    }

    fn by_name(&mut self, name: &str, schema: Value, is_required: bool, has_form: bool) {
        self.reads = true;
        if !has_form {
            self.misses |= is_required;
            let parameter = json!({ "name": name, "in": "query", "required": is_required, "schema": schema });
            self.parameters.push(parameter);
            return;
        }
        self.required.extend(is_required.then(|| name.to_owned()));
        self.fields.insert(name.to_owned(), schema);
    }

    /// A query as one value: each of its properties is a parameter.
    fn of_query(&mut self, schema: &Value, is_optional: bool) {
        self.reads = true;
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let properties = schema["properties"].as_object().into_iter().flatten();
        self.parameters.extend(properties.map(|(name, schema)| {
            let is_required = !is_optional && required.iter().any(|required| required == name);
            json!({ "name": name, "in": "query", "required": is_required, "schema": schema })
        }));
    }

    fn request_body(&mut self) -> Option<Value> {
        let fields = std::mem::take(&mut self.fields);
        let (types, mut schema, mut is_required) = match self.body.take() {
            Some((types, schema, is_required)) => (types, schema, is_required),
            None if fields.is_empty() => return None,
            None => (vec![FORM, PARTS], json!({ "type": "object" }), false),
        };
        let is_form = types.contains(&PARTS);
        if is_form && !fields.is_empty() {
            is_required |= !self.required.is_empty();
            let own = json!({ "type": "object", "properties": fields });
            schema = if schema.get("properties").is_some() || schema.get("$ref").is_some() {
                json!({ "allOf": [schema, own] })
            } else {
                own
            };
            if !self.required.is_empty() {
                schema["required"] = json!(self.required);
            }
        }
        let types = if self.has_files && is_form { vec![PARTS] } else { types };
        let content: Map<_, _> = types.iter().map(|name| ((*name).to_owned(), json!({ "schema": schema }))).collect();
        Some(json!({ "required": is_required, "content": content }))
    }
}

/// The status and the answer when all is well.
fn answer(handler: &Handler, schemas: &mut Schemas) -> (&'static str, Value) {
    let Description { answer, content, .. } = &handler.description;
    let description = match answer.status {
        "200" => "The page.",
        "202" => "A job has been left; its place is in `Location`.",
        "3XX" => "The page to go on with is in `Location`.",
        _ => "All is well.",
    };
    let mut value = json!({ "description": description });
    if let Some(media_type) = answer.media_type {
        let is_json = media_type == "application/json";
        let schema = content.filter(|_| is_json).and_then(|content| content(schemas).schema);
        let schema = schema.unwrap_or_else(|| if is_json { json!({}) } else { json!({ "type": "string" }) });
        value["content"] = json!({ media_type: { "schema": schema } });
    }
    (answer.status, value)
}
