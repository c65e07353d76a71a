//! The return value of handlers: the name of a template and the data for it.

use super::tool::{Engine, Source};
use crate::exchange::{Answer, Error, Escaping, IntoResponse, PageType, Response};
use ::http::{HeaderValue, header};
use minijinja::value::{Serde, Value};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// A page made by a template: its name below the folder of the tool [`Templates`](super::Templates), and the data that
/// it shows.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::{Templates, View}};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Greeting<'n> { name: &'n str }
///
/// struct Greeter;
///
/// #[handlers]
/// impl Greeter {
///     #[expose]
///     fn index(&self, name: &str) -> View {
///         View::new("hello.html", Greeting { name })
///     }
/// }
///
/// let templates = Templates::embedded([("hello.html", "<p>Hello, {{ name }}!</p>")]);
/// let client = Client::in_process(App::new(Greeter).tool("/", templates));
/// client.get("/?name=<b>Anna").send().assert_text("<p>Hello, &lt;b&gt;Anna!</p>");
/// ```
///
/// Besides its data a template sees `session` (`{{ session.user }}`, `session.get("user", "nobody")`,
/// `session.set("seen", true)`; where the tool `sessions` is on), `request` (`path`, `method`, `query`, `origin`, `id`)
/// and `login`, the name of the visitor who is logged in, unless the data has a name of its own for one of these. The
/// template's name decides the content type and how values are escaped, as in [`PageType`]: `.html`, `.txt`, `.xml`,
/// `.json` and so on; any other name is HTML. A content type that the handler has set stays, and where it is HTML or
/// XML, values are escaped for that. Any status comes with a tuple: `(StatusCode::CREATED, View::new(…))`.
///
/// A name that is used but undefined is an error that names the template and the line, not an empty place; `or`, `if`
/// and `default` may ask for undefined names.
#[derive(Debug)]
#[must_use = "a view is rendered when a handler returns it"]
pub struct View {
    name: Cow<'static, str>,
    source: Option<Cow<'static, str>>,
    data: Value,
}

impl View {
    /// The template `name` with `data`: a struct or a map with named values, or `()` for none.
    pub fn new(name: impl Into<Cow<'static, str>>, data: impl Serialize) -> Self {
        Self { name: name.into(), source: None, data: Value::from(Serde(data)) }
    }

    /// A template that is not a file: its text is `source`, and `name` decides the type of the page, like the name of a
    /// file. It may extend and include the templates of the tool. The text must be the program's own: an author of a
    /// template can read everything that it sees.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client, tools::{Templates, View}};
    ///
    /// let tree = Tree::new().index(|_| View::from_source("hello.html", "<p>{{ name }}</p>", serde_json::json!({"name": "<b>"})));
    /// let client = Client::in_process(App::new(tree).tool("/", Templates::embedded([("", "")])));
    /// client.get("/").send().assert_text("<p>&lt;b&gt;</p>");
    /// ```
    pub fn from_source(
        name: impl Into<Cow<'static, str>>,
        source: impl Into<Cow<'static, str>>,
        data: impl Serialize,
    ) -> Self {
        Self { source: Some(source.into()), ..Self::new(name, data) }
    }
}

impl IntoResponse for View {
    const REQUIRES: Option<&'static str> = Some("templates");
    const ANSWER: Answer = Answer::of("text/html; charset=utf-8");

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let Self { name, source, data } = self;
        response.defer(move |exchange| {
            let Some(engine) = exchange.values.get::<Arc<Engine>>().cloned() else {
                return Err(Error::unexpected(format!(
                    "the page returns the view {name:?}, but the tool `templates` is not on there: \
                     add .tool(\"/\", Templates::new(\"folder\"))"
                )));
            };
            let page_type = PageType::of_name(&name);
            let own = exchange.response.header(&header::CONTENT_TYPE).map(Escaping::of_content_type);
            let template = Source { name: &name, text: source.as_deref() };
            let content = engine.render(template, own.unwrap_or_else(|| page_type.escaping()), data, exchange)?;
            let response = &mut exchange.response;
            if own.is_none() {
                response.set_header(header::CONTENT_TYPE, page_type.header_value());
            }
            // A page whose name is not HTML must not become HTML by its content.
            response.default_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response.set_body(content);
            Ok(())
        });
        Ok(())
    }
}
