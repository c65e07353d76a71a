//! Fields for all responses of a path: `ResponseHeaders`, named after CherryPy's tool.
//!
//! The hook runs at `on_start_resource`, before the handler, which may change the fields; and always, so that error
//! pages and the answers of other tools have the fields, too. Fields that describe content, and `Cache-Control`, leave
//! with the content when an error page takes its place.

use super::fields;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{Setting, SettingError, SettingTable, SettingValue, Settings};
use crate::{Exchange, HeaderName, HeaderValue, header};
use std::any::Any;
use std::collections::BTreeMap;

/// Sets fields of all responses of a path and below it, before the handler runs.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::ResponseHeaders};
///
/// let fields = ResponseHeaders::new().set("X-Robots-Tag", "noindex").set("Content-Language", "en");
/// let client = Client::in_process(App::new(Tree::new().index(|_| "hidden")).tool("/", fields));
/// client.get("/").send().assert_header("x-robots-tag", "noindex");
/// client.get("/nowhere").send().assert_status(404).assert_header("x-robots-tag", "noindex");
/// ```
///
/// A handler that sets a field of the same name replaces it, and may remove it. A `Content-Type` that is set here
/// applies to handlers' texts, unless they set another. A name or value that cannot be in a field stops the start.
///
/// In a file: `response_headers.headers = { X-Robots-Tag = "noindex" }`. A section adds to the fields of the sections
/// above it, in code as in files; a name that is there already gets the new value. `App::tool_off` before `App::tool`
/// begins without them. CherryPy's `response_headers`.
#[derive(Clone, Debug, Default, Settings)]
#[settings(check = Self::prepare)]
pub struct ResponseHeaders {
    /// The fields; a section adds to those above it.
    #[setting(key = "headers", no_builder)]
    fields: SetFields,
}

/// Names with their values, each name once.
#[derive(Clone, Debug, Default)]
struct SetFields(Vec<(String, String)>);

impl SetFields {
    fn put(&mut self, name: String, value: String) {
        self.0.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
        self.0.push((name, value));
    }
}

impl Setting for SetFields {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let mut fields = Self::default();
        fields.set(value)?;
        Ok(fields)
    }

    fn show(&self) -> String {
        self.0.iter().cloned().collect::<BTreeMap<_, _>>().show()
    }

    fn set(&mut self, value: &SettingValue) -> Result<(), String> {
        BTreeMap::read(value)?.into_iter().for_each(|(name, value)| self.put(name, value));
        Ok(())
    }
}

impl ResponseHeaders {
    /// No field yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field (`headers`), in place of an earlier value here.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.put(name.into(), value.into());
        self
    }

    fn prepare(&self) -> Result<Vec<(HeaderName, HeaderValue)>, SettingError> {
        let refused = |problem| SettingError::new("headers", problem);
        let prepare = |(name, value): &(String, String)| {
            let parsed = fields::name(name).map_err(refused)?;
            if SERVERS.contains(&parsed) {
                return Err(refused(format!("has `{name}`, which the server writes itself: leave it out")));
            }
            let value = fields::value(value).map_err(|problem| refused(format!("has a `{name}` that {problem}")))?;
            Ok((parsed, value))
        };
        self.fields.0.iter().map(prepare).collect()
    }
}

/// The fields that belong to the server.
const SERVERS: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl Tool for ResponseHeaders {
    fn name(&self) -> &'static str {
        "response_headers"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let fields = match self.prepare() {
            Ok(fields) => fields,
            Err(error) => return hooks.refuse(error),
        };
        let run = move |exchange: &mut Exchange| {
            for (name, value) in &fields {
                exchange.response.set_header(name.clone(), value.clone());
            }
        };
        hooks.at(HookPoint::OnStartResource, run).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }

    fn added_to(&self, above: &dyn Tool) -> Option<Box<dyn Tool>> {
        let above: &dyn Any = above;
        let mut both = above.downcast_ref::<Self>()?.clone();
        self.fields.0.iter().cloned().for_each(|(name, value)| both.fields.put(name, value));
        Some(Box::new(both))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, Error, StatusCode, Tree};

    fn app() -> App {
        let tree = Tree::new()
            .index(|_| "page")
            .page("own", |page| {
                page.response().set_header(HeaderName::from_static("x-a"), HeaderValue::from_static("own"));
                "own"
            })
            .page("panics", |_| -> &'static str { panic!("on purpose") });
        App::new(tree)
    }

    #[test]
    fn all_responses_have_the_fields() {
        struct Shut;
        impl Tool for Shut {
            fn name(&self) -> &'static str {
                "shut"
            }
            fn attach(&self, hooks: &mut Hooks) {
                let shut = |_: &mut Exchange| Err::<(), _>(Error::new(StatusCode::FORBIDDEN, ""));
                hooks.at(HookPoint::OnStartResource, shut).priority(0);
            }
        }
        let client = Client::in_process(app().tool("/", ResponseHeaders::new().set("X-A", "1")).tool("/shut", Shut));
        for (path, status) in [("/", 200), ("/nowhere", 404), ("/panics", 500), ("/shut", 403), ("/own/", 301)] {
            client.get(path).send().assert_status(status).assert_header("x-a", "1");
        }
        client.get("/own").send().assert_header("x-a", "own");
    }

    #[test]
    fn a_content_type_is_the_one_of_texts_and_not_of_error_pages() {
        let client = Client::in_process(app().tool("/", ResponseHeaders::new().set("content-type", "text/plain")));
        client.get("/").send().assert_header("content-type", "text/plain");
        client
            .get("/nowhere")
            .header("accept", "text/html")
            .send()
            .assert_header("content-type", "text/html; charset=utf-8");
    }

    #[test]
    fn sections_of_a_file_add_to_the_fields() {
        let text = "[\"/\"]\nresponse_headers.headers = { X-A = \"2\" }\n[\"/own\"]\nresponse_headers.headers = { X-B = \"3\" }";
        let client = Client::in_process(app().tool("/", ResponseHeaders::new().set("x-a", "1")).config_str(text));
        client.get("/").send().assert_header("x-a", "2").assert_no_header("x-b");
        client.get("/own").send().assert_header("x-b", "3");
    }

    #[test]
    fn sections_of_code_add_to_the_fields_like_those_of_a_file() {
        let fields = |name: &str, value: &str| ResponseHeaders::new().set(name, value);
        let app =
            || app().tool("/", fields("x-b", "1").set("x-c", "1")).tool("/own", fields("X-B", "2").set("x-d", "2"));
        let own = Client::in_process(app()).get("/own").send();
        own.assert_header("x-b", "2").assert_header("x-c", "1").assert_header("x-d", "2");
        Client::in_process(app()).get("/").send().assert_header("x-b", "1").assert_no_header("x-d");
        let anew = app().tool_off("/panics", "response_headers").tool("/panics", fields("x-e", "3"));
        Client::in_process(anew).get("/panics").send().assert_header("x-e", "3").assert_no_header("x-b");
    }

    #[test]
    fn a_malformed_field_stops_the_start() {
        let table = [
            (
                "X-A",
                "a\r\nSet-Cookie: b=c",
                "`headers` has a `X-A` that is \"a\\r\\nSet-Cookie: b=c\", which cannot be",
            ),
            ("X A", "a", "`headers` has \"X A\", which cannot be the name of a field"),
            ("Content-Length", "5", "`headers` has `Content-Length`, which the server writes itself"),
        ];
        for (name, value, problem) in table {
            let error = app().tool("/", ResponseHeaders::new().set(name, value)).build().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
