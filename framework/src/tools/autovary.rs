//! `Vary` by the fields of the request that were really read: `Autovary`, named after CherryPy's tool.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 0 | lets the request note which fields are read |
//! | `before_handler` | 99 | forgets that tools have looked through all fields: from here on it counts |
//! | `before_finalize` | 90, always | sets `Vary`; after the hooks that make the response, before those that keep it (95) |
//!
//! Where the tool is off a read costs one look at an empty pointer; see
//! [`Request::observe_reading`](crate::Request::observe_reading).

use super::fields;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Exchange, HeaderName, HeaderValue, Session, header};

/// Says in `Vary` which request fields the response depends on, by noting which ones are read while it is made.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Autovary};
///
/// let tree = Tree::new().index(|page| match page.request().header("accept-language") {
///     Some(languages) if languages.starts_with("de") => "Guten Tag",
///     _ => "Good day",
/// });
/// let client = Client::in_process(App::new(tree).tool("/", Autovary::new()));
/// client.get("/").send().assert_header("vary", "Accept-Language");
/// ```
///
/// These reads of handlers and tools count: `Request::header`, `Request::headers_named`, `Request::best_coding`,
/// `Cookies` (`Cookie`), and the session, if anything has looked into it (`Cookie`). A handler that looks through all
/// fields (`Request::headers`) makes it `Vary: *`, which no cache can use. Fields that never choose between responses
/// that a cache may keep do not count: conditions, `Range`, `Authorization`, `Cache-Control`, the fields of the
/// connection and of the body, `Host`; nor do the names in [`ignore`](Self::ignore).
///
/// Names that are in `Vary` already stay. With [`Caching`](crate::Caching) this makes pages by language or device safe
/// to keep. It sees fields, nothing else: a page that depends on the client's address must say `private` itself.
///
/// In a file: `autovary.ignore = ["User-Agent"]`. CherryPy's `autovary`.
#[derive(Clone, Debug, Default, Settings)]
#[settings(check = Self::prepare)]
pub struct Autovary {
    /// Fields that do not count, such as one that is read for the log.
    ignore: Vec<String>,
}

impl Autovary {
    /// Counts all fields that choose between responses.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn prepare(&self) -> Result<Vec<HeaderName>, SettingError> {
        let prepare = |name: &String| fields::name(name).map_err(|problem| SettingError::new("ignore", problem));
        self.ignore.iter().map(prepare).collect()
    }
}

/// Whether a field never chooses between responses.
fn chooses_nothing(name: &str) -> bool {
    const NAMES: [&str; 18] = [
        "authorization",
        "cache-control",
        "connection",
        "date",
        "expect",
        "host",
        "keep-alive",
        "max-forwards",
        "pragma",
        "proxy-authorization",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-request-id",
        "traceparent",
    ];
    name.starts_with("if-") || name.starts_with("content-") || NAMES.contains(&name)
}

/// The handler's turn has come.
struct Handled;

fn say(exchange: &mut Exchange, ignored: &[HeaderName]) {
    let has_session = Session::of(exchange).is_some_and(Session::is_used);
    let names = exchange.request.fields_read();
    let response = &mut exchange.response;
    if exchange.values.get::<Handled>().is_some() && names.last().is_some_and(|name| name == "*") {
        response.set_header(header::VARY, HeaderValue::from_static("*"));
        return;
    }
    for name in names.iter().filter(|name| *name != "*" && !chooses_nothing(name)) {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes())
            && !ignored.contains(&name)
        {
            response.add_vary(&name);
        }
    }
    if has_session && !ignored.contains(&header::COOKIE) {
        response.add_vary(&header::COOKIE);
    }
}

impl Tool for Autovary {
    fn name(&self) -> &'static str {
        "autovary"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let ignored = match self.prepare() {
            Ok(ignored) => ignored,
            Err(error) => return hooks.refuse(error),
        };
        let begin = |exchange: &mut Exchange| {
            exchange.values.remove::<Handled>();
            exchange.request.observe_reading();
        };
        hooks.at(HookPoint::OnStartResource, begin).priority(0);
        let handle = |exchange: &mut Exchange| {
            exchange.values.insert(Handled);
            exchange.request.observe_reading();
        };
        hooks.at(HookPoint::BeforeHandler, handle).priority(99);
        hooks.at(HookPoint::BeforeFinalize, move |exchange| say(exchange, &ignored)).priority(90).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, Caching, Cookies, Result, Sessions, Tree};

    fn app(tool: Autovary) -> App {
        let tree = Tree::new()
            .index(|_| "nothing")
            .page("language", |page| format!("{:?}", page.request().header("Accept-Language")))
            .page("two", |page| {
                let request = page.request();
                format!("{:?} {:?}", request.header("x-b"), request.header("DNT").or_else(|| request.header("dnt")))
            })
            .page("others", |page| {
                let request = page.request();
                format!("{:?}", ["host", "if-none-match", "content-type", "range"].map(|name| request.header(name)))
            })
            .page("cookies", |page| -> Result<String> {
                let cookies: Cookies = page.argument()?;
                Ok(format!("{:?}", cookies.get("a")))
            })
            .page("session", |page| -> Result<String> {
                let session: &Session = page.argument()?;
                Ok(format!("{:?}", session.get::<u8>("a")))
            })
            .page("all", |page| page.request().headers().count().to_string());
        App::new(tree).tool("/", Sessions::in_memory()).tool("/", tool)
    }

    fn vary(client: &Client, path: &str) -> String {
        client.get(path).send().header("vary").unwrap_or("nothing").to_owned()
    }

    #[test]
    fn vary_names_what_was_read_and_nothing_else() {
        let client = Client::in_process(app(Autovary::new()));
        let table = [
            ("/", "nothing"),
            ("/language", "Accept-Language"),
            ("/two", "X-B, Dnt"),
            ("/others", "nothing"),
            ("/cookies", "Cookie"),
            ("/session", "Cookie"),
            ("/all", "*"),
        ];
        for (path, expected) in table {
            assert_eq!(vary(&client, path), expected, "{path}");
        }
    }

    #[test]
    fn a_cache_keeps_what_was_read_apart() {
        let client = Client::in_process(app(Autovary::new()).tool("/", Caching::new()));
        for language in ["de", "en", "de", "en"] {
            let page = client.get("/language").header("accept-language", language).send();
            page.assert_text(&format!("Some(\"{language}\")")).assert_header("vary", "Accept-Language");
        }
        let hit = client.get("/language").header("accept-language", "de").send();
        hit.assert_header("age", "0").assert_header("vary", "Accept-Language");
    }

    #[test]
    fn names_may_be_left_out() {
        let client = Client::in_process(app(Autovary::new()).config_str("[\"/\"]\nautovary.ignore = [\"X-B\"]"));
        assert_eq!(vary(&client, "/two"), "Dnt");
        assert!(app(Autovary::new().ignore(["a b"])).build().is_err());
    }
}
