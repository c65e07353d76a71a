//! What handlers return: the name of a template and the data for it.

use super::tool::Engine;
use crate::exchange::{Error, IntoResponse, Response};
use ::http::{HeaderValue, header};
use minijinja::value::{Serde, Value};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// A page made by a template: its name below the folder of the tool [`Templates`](super::Templates), and the data that it shows.
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
/// Besides its data a template sees `session` (`{{ session.user }}`, `session.get("user", "nobody")`, `session.set("seen", true)`; where the
/// tool `sessions` is on), `request` (`path`, `method`, `query`, `origin`, `id`) and `login`, the name of who is logged in, unless the data
/// has a name of its own for one of these. The content type follows the template's extension: `.html`, `.txt`, `.xml`, `.json`, `.css`, `.csv`,
/// `.svg`; one that the handler has set stays. Any status comes with a tuple: `(StatusCode::CREATED, View::new(…))`.
///
/// A name that is used but undefined is an error that names the template and the line, not an empty place; `or`, `if` and `default` may
/// ask for what is not there.
#[derive(Debug)]
#[must_use = "a view is rendered when a handler returns it"]
pub struct View {
    name: Cow<'static, str>,
    data: Value,
}

impl View {
    /// The template `name` with `data`: a struct or a map with named values, or `()` for none.
    pub fn new(name: impl Into<Cow<'static, str>>, data: impl Serialize) -> Self {
        Self { name: name.into(), data: Value::from(Serde(data)) }
    }
}

impl IntoResponse for View {
    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let Self { name, data } = self;
        response.defer(move |exchange| {
            let Some(engine) = exchange.values.get::<Arc<Engine>>().cloned() else {
                return Err(Error::unexpected(format!(
                    "the page returns the view {name:?}, but the tool `templates` is not on there: \
                     add .tool(\"/\", Templates::new(\"folder\"))"
                )));
            };
            let content = engine.render(&name, data, exchange)?;
            let response = &mut exchange.response;
            if response.header(&header::CONTENT_TYPE).is_none() {
                response.set_header(header::CONTENT_TYPE, content_type(&name));
            }
            response.set_body(content);
            Ok(())
        });
        Ok(())
    }
}

/// By the extension; `page.html.j2` counts as `page.html`.
fn content_type(name: &str) -> HeaderValue {
    let name = name.strip_suffix(".j2").or_else(|| name.strip_suffix(".jinja")).unwrap_or(name);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    HeaderValue::from_static(match extension {
        "txt" | "md" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        "json" => "application/json",
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/html; charset=utf-8",
    })
}
